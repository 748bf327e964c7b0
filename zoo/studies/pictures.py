"""The same held-out pictures under each cell's model, for the report."""

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

PICTURES = 6
SIDE = 224
"""Pixels to which the longer side of larger pictures is reduced."""
OUTLINES = "Outlines: the truth light blue (of more than two classes white), the prediction orange (or its class’s colour)."


@dataclass(frozen=True)
class Tile:
    """One picture under one model: a PNG, what was predicted where that is a word, and whether it is right (None: not known)."""

    png: bytes
    said: str = ""
    right: bool | None = None


@dataclass(frozen=True)
class Gallery:
    """Pictures by cells.

    Attributes:
        part: of the data, "test" or "val".
        heads: of each picture, its id and its true class where it has one.
        strips: id of a cell -> a tile for each picture.
        notes: cells that cannot be shown, and why.
        legend: what is drawn on the pictures, in words.
    """

    part: str
    heads: Sequence[tuple[str, str]]
    strips: Mapping[str, Sequence[Tile]]
    notes: Sequence[str]
    legend: str = ""


def gallery(cells: Sequence[Outcome]) -> Gallery:
    """Draw the same pictures under each of these finished cells, best first."""
    from zoo.model import from_run
    from zoo.progress import track
    from zoo.run import Run

    known: dict[str, Loaders] = {}
    part, ids, heads = "", list[str](), list[tuple[str, str]]()
    strips: dict[str, Sequence[Tile]] = {}
    notes = []
    for cell in track(cells, "drawing pictures", len(cells), "cells"):
        try:
            model = from_run(Run.read(cell.folder))
            data = _loaders(model, known)
            if not ids:
                part = "test" if "test" in data.parts() else "val"
                ids, heads = _chosen(data, part)
            strips[cell.id] = _strip(model, data, part, ids)
        except ZooError as error:
            notes.append(f"{cell.id} is not among the pictures: {error}")
        except Exception as error:  # a task's or library's own, on a model that was trained elsewhere
            notes.append(f"{cell.id} is not among the pictures: {type(error).__name__}: {error}")
    masks = any(data.source.masks is not None for data in known.values())
    return Gallery(part, heads, strips, notes, OUTLINES if masks else "")


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
    from zoo.results import to_picture

    truth = {key: value for key, value in sample.items() if key != "image"}
    picture = model.task.overlay(to_picture(sample["image"]), truth, prediction)
    probabilities = prediction.get("probabilities")
    if probabilities is None or probabilities.ndim != 1 or not model.labels:
        return Tile(_png(picture))
    best = int(probabilities.argmax())
    right = int(sample["label"]) == best if "label" in sample else None
    return Tile(_png(picture), f"{model.labels[best]} {float(probabilities[best]):.0%}", right)


def _png(picture: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    image = Image.fromarray(picture[:, :, 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture)
    image.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    image.save(content, format="png", optimize=True)
    return content.getvalue()
