"""What each cell's model says of the same held-out pictures, or makes up by the same seed, for the report."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, ZooError
from zoo.studies.outcomes import Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.datasets.loaders import Loaders
    from zoo.model import Model

PICTURES, SAMPLES = 6, 10
"""In a strip: held-out pictures, and made-up ones."""
WIDE, NARROW = 112, 76
"""Pixels of the page that their tiles are wide; files hold at most twice as many."""
OUTLINES = " Outlines: the truth light blue (of more than two classes white), the prediction orange (or its class’s colour)."
BOXES = " Boxes: the truth white, what was found in its class’s colour."


@dataclass(frozen=True)
class Tile:
    """One picture of one model: a PNG, what was predicted or asked for where that is a word, and whether it is right (None: not known)."""

    png: bytes
    said: str = ""
    right: bool | None = None


@dataclass(frozen=True)
class Gallery:
    """Pictures by cells.

    Attributes:
        title: of all of them.
        caption: what is to be seen, in words.
        heads: of each column, what it shows and its true class where it has one.
        strips: id of a cell -> a tile for each column.
        notes: cells that cannot be shown, and why.
        width: of a tile, in pixels of the page.
    """

    title: str
    caption: str
    heads: Sequence[tuple[str, str]]
    strips: Mapping[str, Sequence[Tile]]
    notes: Sequence[str]
    width: int = WIDE


def gallery(cells: Sequence[Outcome]) -> Gallery:
    """Draw a strip for each of these finished cells, best first; what it shows is the first one's affair."""
    from zoo.model import from_run
    from zoo.progress import track
    from zoo.run import Run
    from zoo.tasks.task import Samples

    shown: HeldOut | Wall | None = None
    strips: dict[str, Sequence[Tile]] = {}
    notes = []
    for cell in track(cells, "drawing pictures", len(cells), "cells"):
        try:
            model = from_run(Run.read(cell.folder))
            if shown is None:
                shown = Wall() if isinstance(model.task, Samples) else HeldOut(model)
            strips[cell.id] = shown.strip(model)
        except ZooError as error:
            notes.append(f"{cell.id} is not among the pictures: {error}")
        except Exception as error:  # a task's or library's own, on a model that was trained elsewhere
            notes.append(f"{cell.id} is not among the pictures: {type(error).__name__}: {error}")
    return shown.gallery(strips, notes) if shown else Gallery("", "", [], strips, notes)


# ---------------------------------------------------------------- what models make up


class Wall:
    """Samples of each model by the same seed; of one that is told labels, a sample of each label in turn."""

    def strip(self, model: Model) -> list[Tile]:
        """Its samples."""
        import numpy as np

        labels: Sequence[str | None] = model.labels[:SAMPLES] if model.task.conditional else (None,)
        rounds = -(-SAMPLES // len(labels))
        made = [model.sample(rounds, seed=0, label=label) for label in labels]
        turns = [(place % len(labels), place // len(labels)) for place in range(SAMPLES)]
        return [Tile(_png(np.asarray(made[label][number]), NARROW), labels[label] or "") for label, number in turns]

    def gallery(self, strips: Mapping[str, Sequence[Tile]], notes: Sequence[str]) -> Gallery:
        """These strips with their words."""
        heads = [(f"sample {number + 1}", "") for number in range(SAMPLES)]
        told = " Below a picture: the label asked for." if any(tile.said for strip in strips.values() for tile in strip) else ""
        caption = f"What each cell’s model makes up by seed 0: none was chosen.{told}"
        return Gallery("Samples of each cell", caption, heads, strips, notes, NARROW)


# ---------------------------------------------------------------- what models say


class HeldOut:
    """The same held-out pictures under each model, spread evenly over the part: test where there is one, else val."""

    def __init__(self, model: Model) -> None:
        self.known: dict[str, Loaders] = {}
        data = _loaders(model, self.known)
        self.part = "test" if "test" in data.parts() else "val"
        self.ids, self.heads = _chosen(data, self.part)

    def strip(self, model: Model) -> list[Tile]:
        """What it says of them."""
        return _strip(model, _loaders(model, self.known), self.part, self.ids)

    def gallery(self, strips: Mapping[str, Sequence[Tile]], notes: Sequence[str]) -> Gallery:
        """These strips with their words."""
        outlines = OUTLINES if any(data.source.masks is not None for data in self.known.values()) else ""
        outlines += BOXES if any(data.source.boxed for data in self.known.values()) else ""
        caption = f"Pictures of “{self.part}”, spread evenly over it, under each cell’s model.{outlines}"
        return Gallery("The same pictures under each cell", caption, self.heads, strips, notes)


def _loaders(model: Model, known: dict[str, Loaders]) -> Loaders:
    """The cell's data; cells that read it alike share it."""
    from zoo import build

    recipe = model.recipe
    key = f"{recipe.data!r} {recipe.split!r}"
    if key not in known:
        known[key] = build.loaders(build.source(recipe), recipe)
    return known[key]


def _chosen(data: Loaders, part: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Ids of pictures spread evenly over the part, and their heads."""
    records = data.parts()[part]
    count = min(PICTURES, len(records))
    chosen = [records[(2 * number + 1) * len(records) // (2 * count)] for number in range(count)]
    labels = data.spec.labels
    return [record.id for record in chosen], [(record.id, labels[record.label] if record.label is not None else "") for record in chosen]


def _strip(model: Model, data: Loaders, part: str, ids: Sequence[str]) -> list[Tile]:
    import torch

    from zoo.datasets.loaders import collate, to_device

    rows = {record.id: row for row, record in enumerate(data.parts().get(part, ()))}
    if absent := [name for name in ids if name not in rows]:
        raise DataError(f"its split differs, and {absent[0]} is not in its part {part!r}")
    samples = [data.pictures(part)[rows[name]] for name in ids]
    batch = collate(samples)
    if "error" in batch:
        raise batch["error"]
    with torch.inference_mode():
        predictions = {key: value.cpu() for key, value in model.task.predict(to_device(batch, model.device)).items()}
    return [_tile(model, sample, {key: value[row] for key, value in predictions.items()}) for row, sample in enumerate(samples)]


def _tile(model: Model, sample: Mapping[str, Any], prediction: Mapping[str, Any]) -> Tile:
    from zoo.overview import to_picture

    truth = {key: value for key, value in sample.items() if key != "image"}
    picture = model.task.overlay(to_picture(sample["image"]), truth, prediction)
    probabilities = prediction.get("probabilities")
    if probabilities is None or probabilities.ndim != 1 or not model.labels:
        return Tile(_png(picture, WIDE))
    best = int(probabilities.argmax())
    right = int(sample["label"]) == best if "label" in sample else None
    return Tile(_png(picture, WIDE), f"{model.labels[best]} {float(probabilities[best]):.0%}", right)


def _png(picture: NDArray[np.uint8], width: int) -> bytes:
    from PIL import Image

    image = Image.fromarray(picture[:, :, 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture)
    image.thumbnail((2 * width, 2 * width))
    content = io.BytesIO()
    image.save(content, format="png", optimize=True)
    return content.getvalue()
