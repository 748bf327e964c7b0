"""What became of each box of a picture, and the precision over recall that follows from it.

A found box is right if no surer one of its class took the true box that it overlaps most, by an intersection over union (IoU) of 0.5 or
more, as in COCO's benchmark (Lin et al. 2014, arXiv:1405.0312). The kinds of errors are near those of TIDE (Bolya et al. 2020,
arXiv:2008.08115).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IGNORED = -1
"""Class of a region where what is found is neither right nor wrong."""
MATCHED, NEAR = 0.5, 0.1
"""IoU from which on a box is taken for a true one, and from which on it lies near it."""
RIGHT, WRONG, TWICE, LOOSE, FALSE = "right", "wrong class", "duplicate", "loose", "false alarm"
LEFT_OUT, BELOW = "ignored", "below threshold"

Array = npt.NDArray[Any]
Vector = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """What became of the boxes of one picture.

    Attributes:
        kinds: (N,) str, of each found box: "right"; "wrong class" for one that matches a true box of another class which no other box
            got; "duplicate" for one that matches a true box which another box got; "loose" for one near a true box of its class;
            "false alarm" for any other; "ignored" for one that is not right and lies within an ignored region; "below threshold".
        partners: (N,) int, the true box of a right, wrong, duplicate or loose one, else -1.
        overlaps: (N,) float, the IoU with it, else 0.
        missed: (M,) bool, the true boxes that no found box got, neither right nor of a wrong class.
    """

    kinds: npt.NDArray[np.str_]
    partners: Ints
    overlaps: Vector
    missed: Bools


def judged(
    boxes: npt.ArrayLike,
    scores: npt.ArrayLike,
    classes: npt.ArrayLike,
    true_boxes: npt.ArrayLike,
    true_classes: npt.ArrayLike,
    threshold: float = 0.0,
) -> Judged:
    """Compare what was found in one picture with what is there.

    Args:
        boxes: (N, 4), left, top, right, bottom.
        scores: (N,).
        classes: (N,); rows of a negative class are no boxes.
        true_boxes: (M, 4).
        true_classes: (M,), a class or `IGNORED`; other negative ones are no boxes.
        threshold: found boxes below this score are left aside.
    """
    score, kind, truth = (np.asarray(values).reshape(-1) for values in (scores, classes, true_classes))
    said, free = (kind >= 0) & (score >= threshold), truth >= 0
    if not len(truth):
        return Judged(np.where(said, FALSE, BELOW), np.full(len(kind), -1), np.zeros(len(kind)), free)
    shared, own, true = _areas(boxes, true_boxes)
    iou = _ratio(shared, own[:, None] + true - shared) * free
    same = kind[:, None] == truth
    order = np.argsort(-score, kind="stable")
    right = _matched(order[said[order]], iou * same, free)
    within = (right < 0) & (_ratio(shared, own[:, None]) * (truth == IGNORED) >= MATCHED).any(1)
    rest = said & ~within & (right < 0)
    wrong = _matched(order[rest[order]], iou * ~same, free)
    near = iou * (same | (iou >= MATCHED))  # what still matches a true box matches one that another box got
    nearest = near.max(1)
    kinds = np.select(
        [~said, right >= 0, within, wrong >= 0, nearest >= MATCHED, nearest >= NEAR],
        [BELOW, RIGHT, LEFT_OUT, WRONG, TWICE, LOOSE],
        FALSE,
    )
    partners = np.where((kinds == TWICE) | (kinds == LOOSE), near.argmax(1), np.maximum(right, wrong))
    overlaps = np.where(partners >= 0, iou[np.arange(len(iou)), partners], 0)
    return Judged(kinds, partners, overlaps, free)


def _matched(order: Array, iou: Vector, free: Bools) -> Ints:
    """The true box (N,) that each of the rows `order` gets, the first row first, or -1; what they get is no longer `free`."""
    partners = np.full(len(iou), -1)
    for row in order[iou[order].max(1, initial=0) >= MATCHED]:
        open_to = iou[row] * free
        best = int(open_to.argmax())
        if open_to[best] >= MATCHED:
            partners[row], free[best] = best, False
    return partners


def _areas(boxes: npt.ArrayLike, others: npt.ArrayLike) -> tuple[Vector, Vector, Vector]:
    """Of boxes (N, 4) and others (M, 4): the areas they share (N, M), and their own (N,) and (M,)."""
    one, other = (np.asarray(corners, np.float64).reshape(-1, 4) for corners in (boxes, others))
    sides = np.minimum(one[:, None, 2:], other[:, 2:]) - np.maximum(one[:, None, :2], other[:, :2])
    areas = [(corners[:, 2:] - corners[:, :2]).clip(0).prod(1) for corners in (one, other)]
    return sides.clip(0).prod(2), areas[0], areas[1]


def _ratio(part: Vector, whole: Vector) -> Vector:
    """0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


@dataclass(frozen=True)
class Seen:
    """The boxes of one picture: its `index`, what was found as `judged` takes it, and what is there."""

    index: int
    boxes: Vector
    scores: Vector
    classes: Vector
    true_boxes: Vector
    true_classes: Vector

    def judged(self, threshold: float = 0.0) -> Judged:
        """See `judged`."""
        return judged(self.boxes, self.scores, self.classes, self.true_boxes, self.true_classes, threshold)


# ---------------------------------------------------------------- many pictures


@dataclass(frozen=True)
class Curve:
    """Precision and recall (P,) of one class at each of its `scores` (P,), descending: of the boxes of that score or more, IoU 0.5.

    `boxes` is the number of true ones. Where there is none, recall is NaN.
    """

    scores: Vector
    precision: Vector
    recall: Vector
    boxes: int

    def at(self, threshold: float) -> tuple[float, float]:
        """Precision and recall of the boxes from this score on; the precision of none is NaN, their recall 0 if there are true ones."""
        number = int((self.scores >= threshold).sum())
        if number == 0:
            return math.nan, 0.0 if self.boxes else math.nan
        return float(self.precision[number - 1]), float(self.recall[number - 1])

    def best(self) -> tuple[float, float]:
        """The highest F1 and the threshold that gives it, of equals the highest; NaN without a true or without a found box."""
        if not self.boxes or not len(self.scores):
            return math.nan, math.nan
        f1 = _ratio(2 * self.precision * self.recall, self.precision + self.recall)
        place = int(f1.argmax())
        return float(f1[place]), float(self.scores[place])


def curve(scores: Vector, right: Bools, boxes: int) -> Curve:
    """Of the boxes found of one class, in any order: their scores (N,), whether each is right, and how many true ones there are."""
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], right[order].cumsum()
    last = np.append(scores[1:] != scores[:-1], True)[: len(scores)]  # boxes of one score come together
    found = np.arange(1, len(scores) + 1)
    recall = hits / boxes if boxes else np.full(len(scores), np.nan)
    return Curve(scores[last], (hits / found)[last], recall[last], boxes)
