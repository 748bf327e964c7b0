"""Metrics of detection: COCO's average precision, and what became of each box.

A found box is right if it overlaps a true one of its class by an intersection over union (IoU) of so much or more and no surer box took
that. The average precision of a class is the area under its precision over recall, from the surest box to the least sure, and `map` the
mean over the classes that occur and over ten IoUs from 0.5 to 0.95 (Lin et al. 2014, arXiv:1405.0312, and the rules of its benchmark).

A true box of class `IGNORED` is to COCO a crowd (`iscrowd`) of every class: a found box that is nowhere right and lies by the IoU in
question or more of its own area within is left out. That leaves out a little more than the VOC benchmark does for its `difficult`
boxes, where the overlap is over the area of both.
"""

from __future__ import annotations

import gc
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from faster_coco_eval import COCO, COCOeval_faster
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from zoo.errors import DataError
from zoo.metrics.judging import BELOW, FALSE, IGNORED, LEFT_OUT, LOOSE, RIGHT, TWICE, WRONG, Curve, Seen, curve

SIZES = ("all", "small", "medium", "large")
"""Of boxes: up to 32 x 32 pixels of the picture as the model sees it, up to 96 x 96, and above."""
Vector = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Averages:
    """COCO's numbers, each (10 IoUs, C classes, 4 `SIZES`); NaN where there is no true box.

    Attributes:
        precision: average precision.
        recall: of at most 100 boxes of a class in a picture.
    """

    precision: Vector
    recall: Vector


def averages(found: Rows, truth: Rows, classes: int) -> Averages:
    """What COCO's benchmark computes of boxes.

    Args:
        found: (N, 7), each the number of its picture, left, top, right, bottom, score and class.
        truth: (M, 6), each the number of its picture, left, top, right, bottom and class, `IGNORED` included.
        classes: their number, C.
    """
    with _without_collecting():
        evaluation = _evaluated(found, truth, classes)
    measured = {name: np.asarray(evaluation.eval[name]) for name in ("precision", "recall")}  # -1 where there is no true box
    precision, recall = (np.where(values < 0, np.nan, values) for values in measured.values())
    return Averages(precision[..., -1].mean(1), recall[..., -1])


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Hundreds of thousands of dicts are made and kept: to search them for garbage again and again takes a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _evaluated(found: Rows, truth: Rows, classes: int) -> COCOeval_faster:
    crowds = _crowds(found, truth)
    real = truth[truth[:, 5] != IGNORED]
    there = _annotations(np.concatenate((real, crowds)), np.arange(len(real) + len(crowds)) >= len(real))
    said = _annotations(found[:, [0, 1, 2, 3, 4, 6]], np.zeros(len(found), np.bool_))
    for annotation, score in zip(said, found[:, 5].tolist(), strict=True):
        annotation["score"] = score
    lists = {
        "images": [{"id": int(picture)} for picture in np.union1d(found[:, 0], truth[:, 0])],
        "categories": [{"id": number} for number in range(classes)],
    }
    evaluation = COCOeval_faster(*(COCO(lists | {"annotations": annotations}) for annotations in (there, said)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def _annotations(rows: Rows, crowd: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Rows (N, 6) of `averages` as COCO's format has them; numbers from 1, since 0 says there that nothing was matched."""
    corner, sides = rows[:, 1:3], rows[:, 3:5] - rows[:, 1:3]
    columns = (
        range(1, len(rows) + 1),
        rows[:, 0].astype(int).tolist(),
        rows[:, 5].astype(int).tolist(),
        np.concatenate((corner, sides), 1).tolist(),
        sides.prod(1).tolist(),
        crowd.astype(int).tolist(),
    )
    names = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _crowds(found: Rows, truth: Rows) -> Rows:
    """Each ignored region once for each class found in its picture: to another class it makes no difference."""
    occurring = defaultdict(set)
    for picture, label in found[:, [0, 6]].tolist():
        occurring[picture].add(label)
    regions = truth[truth[:, 5] == IGNORED].tolist()
    return np.array([[*row[:5], label] for row in regions for label in sorted(occurring[row[0]])], np.float64).reshape(-1, 6)


@dataclass(frozen=True)
class PerClass:
    """Of each class, each (C,): number of true boxes, average precision at IoU 0.5 and over all ten IoUs, precision and recall at a
    threshold (IoU 0.5), and the best F1 with its threshold; NaN where there is nothing to divide by.
    """

    boxes: Vector
    map50: Vector
    map: Vector
    precision: Vector
    recall: Vector
    best_f1: Vector
    best_threshold: Vector


@dataclass(frozen=True)
class PerSize:
    """Of each of `SIZES`, each (4,): number of true boxes, `map` and `recall` as in `DetectionScores`."""

    boxes: Vector
    map: Vector
    recall: Vector


class DetectionScores(Metric):
    """`map`, `map50`, `map75`, `map_small`, `map_medium`, `map_large` and `recall`, means over the classes that occur.

    `update(predictions, batch)` reads `predictions["boxes"]` (B, K, 4), left, top, right and bottom in pixels of the image,
    `predictions["scores"]` (B, K), `predictions["classes"]` (B, K), where a negative class is no box, and `batch["boxes"]` (B, M, 4),
    `batch["classes"]` (B, M), `batch["index"]` (B), a number of its own for each picture.

    Args:
        labels: names of the classes.
    """

    full_state_update = False
    found: list[Tensor]
    truth: list[Tensor]

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.add_state("found", [], dist_reduce_fx="cat")  # flat, rows of 7 and of 6 as `averages` takes them: a process without
        self.add_state("truth", [], dist_reduce_fx="cat")  # a picture has an empty tensor

    def update(self, predictions: Mapping[str, Tensor], batch: Mapping[str, Any]) -> None:
        """Keep a batch's boxes.

        Raises:
            DataError: there was nothing to compare the predictions with.
        """
        if "boxes" not in batch:
            raise DataError("found boxes cannot be measured: these pictures come without true boxes")
        self.found.append(_flat(batch["index"], predictions["boxes"], predictions["scores"], predictions["classes"]))
        self.truth.append(_flat(batch["index"], batch["boxes"], batch["classes"]))

    def compute(self) -> dict[str, float]:
        """All scores, over all processes where these are synchronised; NaN where no true box is measured."""
        measured = self.averages()
        by_size = {f"map_{size}": _mean(measured.precision[:, :, place]) for place, size in enumerate(SIZES) if place}
        precision, recall = measured.precision[:, :, 0], measured.recall[:, :, 0]
        return {"map": _mean(precision), "map50": _mean(precision[0]), "map75": _mean(precision[5]), **by_size, "recall": _mean(recall)}

    def averages(self) -> Averages:
        """COCO's numbers by IoU, class and size."""
        return averages(*self._rows(), len(self.labels))

    def pictures(self) -> Iterator[Seen]:
        """The boxes of each picture that has any, by ascending index."""
        found, truth = (rows[np.argsort(rows[:, 0], kind="stable")] for rows in self._rows())
        for index in np.union1d(found[:, 0], truth[:, 0]):
            said, there = (rows[slice(*np.searchsorted(rows[:, 0], (index, index + 1)))] for rows in (found, truth))
            yield Seen(int(index), said[:, 1:5], said[:, 5], said[:, 6], there[:, 1:5], there[:, 5])

    def curves(self) -> list[Curve]:
        """Precision over recall of each class, at IoU 0.5."""
        scores, classes, right, true = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, np.bool_)], [np.zeros(0)]
        for seen in self.pictures():
            kinds = seen.judged().kinds
            counted = (kinds != LEFT_OUT) & (kinds != BELOW)
            scores.append(seen.scores[counted])
            classes.append(seen.classes[counted])
            right.append(kinds[counted] == RIGHT)
            true.append(seen.true_classes)
        score, kind, hit = (np.concatenate(parts) for parts in (scores, classes, right))
        boxes = np.concatenate(true)
        return [curve(score[kind == number], hit[kind == number], int((boxes == number).sum())) for number in range(len(self.labels))]

    def confusion(self, threshold: float) -> npt.NDArray[np.int64]:
        """(C + 1, C + 1), rows the truth, columns what was found from this score on; the last row and column are the background.

        Each true box counts once, in its class's row: where it was found, as another class, or not at all. Each other found box counts
        once in the row of the background, duplicates and loose ones too.
        """
        classes = len(self.labels)
        counts = np.zeros((classes + 1, classes + 1), np.int64)
        for seen in self.pictures():
            said = seen.judged(threshold)
            taken = (said.kinds == RIGHT) | (said.kinds == WRONG)
            alone = (said.kinds == FALSE) | (said.kinds == LOOSE) | (said.kinds == TWICE)
            there, found = seen.true_classes.astype(int), seen.classes.astype(int)
            np.add.at(counts, (there[said.partners[taken]], found[taken]), 1)
            np.add.at(counts[classes], found[alone], 1)
            np.add.at(counts[:, classes], there[said.missed], 1)
        return counts

    def per_class(self, threshold: float) -> PerClass:
        """The scores of each class; precision and recall are of the boxes from this score on."""
        measured, curves = self.averages().precision[:, :, 0], self.curves()
        at, best = (np.array(values, np.float64) for values in zip(*((one.at(threshold), one.best()) for one in curves), strict=True))
        boxes = np.array([one.boxes for one in curves], np.float64)
        return PerClass(boxes, measured[0], measured.mean(0), at[:, 0], at[:, 1], best[:, 0], best[:, 1])

    def per_size(self) -> PerSize:
        """The scores of boxes of each size."""
        measured, truth = self.averages(), self._rows()[1]
        area = (truth[:, 3:5] - truth[:, 1:3]).prod(1)[truth[:, 5] >= 0]
        limits = ((0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10))  # as COCO has them: an area on a limit counts on both sides
        boxes = np.array([((area >= low) & (area <= high)).sum() for low, high in limits], np.float64)
        means = [[_mean(values[:, :, place]) for place in range(len(SIZES))] for values in (measured.precision, measured.recall)]
        return PerSize(boxes, np.array(means[0]), np.array(means[1]))

    def _rows(self) -> tuple[Rows, Rows]:
        """Found (N, 7) and true (M, 6) boxes as `averages` takes them, without rows that are none."""
        flat = (dim_zero_cat(parts).cpu().double().numpy() if len(parts) else np.zeros(0) for parts in (self.found, self.truth))
        found, truth = (rows.reshape(-1, width) for rows, width in zip(flat, (7, 6), strict=True))
        found, truth = found[(found[:, 6] >= 0) & np.isfinite(found).all(1)], truth[truth[:, 5] >= IGNORED]
        for what, classes in (("found", found[:, 6]), ("true", truth[:, 5])):
            if len(classes) and classes.max() >= len(self.labels):
                raise ValueError(f"class {int(classes.max())} of a {what} box: expected 0 to {len(self.labels) - 1}")
        return found, truth


def _flat(index: Tensor, *fields: Tensor) -> Tensor:
    """Fields (B, N) or (B, N, 4) of boxes behind the number of their picture, as one row of numbers; the device is not waited for."""
    numbers = index[:, None, None].expand(-1, fields[0].shape[1], 1)
    columns = [numbers, *(field if field.ndim == 3 else field[..., None] for field in fields)]
    return torch.cat([column.detach().float() for column in columns], 2).flatten()


def _mean(values: Vector) -> float:
    """Over what was measured; NaN if nothing was."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan
