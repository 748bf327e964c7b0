"""What is drawn of the data before anything is learnt: how many there are of each kind, and some pictures as the model sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zoo.tasks.task import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from zoo.datasets.loaders import Loaders
    from zoo.datasets.source import Record

SHOWN = 12
"""Training pictures in the grid; of those with boxes fewer, so that small ones can be seen."""
SHOWN_BOXED = 8


def overview(data: Loaders) -> dict[str, Drawing]:
    """The counts of each group, class or kind of box, and a grid of training pictures; where they are classified, of validation too."""
    return _counts(data) | _samples(data)


def _counts(data: Loaders) -> dict[str, Drawing]:
    from zoo.datasets.loaders import class_counts
    from zoo.figures.bars import class_histogram

    drawings = {}
    labels, parts = data.spec.labels, data.parts()
    groups = sorted({record.stratum for records in parts.values() for record in records if record.stratum is not None})
    if groups:
        counts = {part: tuple(sum(one.stratum == group for one in records) for group in groups) for part, records in parts.items()}
        drawings["groups"] = Drawing("Pictures per group", class_histogram(groups, counts))
    if data.spec.truth == "boxes":
        drawings |= _box_drawings(parts, labels)
    if data.spec.counts:
        counts = {part: class_counts(records, len(labels)) for part, records in parts.items()}
        drawings["classes"] = Drawing("Pictures per class", class_histogram(labels, counts))
        if data.data.balance in ("sampler", "augmented_sampler"):
            after = {"before": data.spec.counts, "one epoch after": data.epoch_counts()}
            drawings["balance"] = Drawing(
                "Balance", class_histogram(labels, after), f"What data.balance: {data.data.balance} makes of the training part."
            )
    return drawings


def _box_drawings(parts: dict[str, list[Record]], labels: Sequence[str]) -> dict[str, Drawing]:
    """Boxes per class, and how large those of the training part are."""
    from zoo.figures.bars import class_histogram
    from zoo.figures.detection import box_sizes

    boxes = {part: [box for record in records for box in record.boxes or ()] for part, records in parts.items()}
    counts = {part: tuple(sum(box.label == index for box in found) for index in range(len(labels))) for part, found in boxes.items()}
    sides = [
        [math.sqrt((box.right - box.left) * (box.bottom - box.top)) for box in boxes["train"] if box.label == index]
        for index in range(len(labels))
    ]
    caption = (
        "Sides of the training boxes in pixels of the pictures as they come, before data.size. Thin line: 5th to 95th percentile; "
        "thick: 25th to 75th; dot: median. Dotted: 32 and 96 pixels, between small, medium and large."
    )
    return {
        "classes": Drawing("Boxes per class", class_histogram(labels, counts, "boxes")),
        "box_sizes": Drawing("Box sizes", box_sizes(sides, labels), caption),
    }


def _samples(data: Loaders) -> dict[str, Drawing]:
    """Training pictures as the model sees them, with what is known of them.

    Raises:
        ZooError: one of them cannot be read.
    """
    seen = data.training_pictures()
    shown = SHOWN_BOXED if data.spec.truth == "boxes" else SHOWN
    samples = [seen[key] for key in data.sampler.epoch(0)[:shown]]
    if broken := [sample["error"] for sample in samples if "error" in sample]:
        raise broken[0]
    caption = f"As the model sees them; {len(data.parts()['train']):,} in all."
    drawn = {"samples": Drawing("Training pictures", _grid(samples, data.spec.labels), caption)}
    return drawn | (_validated(data) if data.spec.truth == "label" and data.spec.counts else {})


def _validated(data: Loaders) -> dict[str, Drawing]:
    """Validation pictures with their labels, evenly chosen."""
    pictures, count = data.pictures("val"), len(data.parts()["val"])
    places = [place * count // min(SHOWN, count) for place in range(min(SHOWN, count))]
    samples = [pictures[place] for place in places]
    if broken := [sample["error"] for sample in samples if "error" in sample]:
        raise broken[0]
    caption = f"As the model sees them, without augmentation; {count:,} in all."
    return {"samples_val": Drawing("Validation pictures", _grid(samples, data.spec.labels), caption)}


def _grid(samples: Sequence[dict[str, Any]], labels: Sequence[str]) -> Figure:
    from zoo.figures.boxes import sample_grid
    from zoo.figures.grid import picture_grid
    from zoo.figures.masks import mask_grid

    pictures = [to_picture(sample["image"]) for sample in samples]
    if "mask" in samples[0]:
        masks, titles = [sample["mask"].numpy() for sample in samples], [sample.get("group", "") for sample in samples]
        return mask_grid(pictures, masks, titles, len(labels))
    if "boxes" in samples[0]:
        boxes, classes = ([sample[key].numpy() for sample in samples] for key in ("boxes", "classes"))
        return sample_grid(pictures, boxes, classes, labels)
    return picture_grid(pictures, [labels[sample["label"]] if labels and "label" in sample else "" for sample in samples])


def to_picture(image: torch.Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(C, H, W) uint8 -> (H, W, C) uint8."""
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())
