"""What becomes of a class when its probability must reach a threshold: precision, recall and F1 for each threshold there is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sweep:
    """One class against the others, from the highest threshold to the lowest.

    Attributes:
        thresholds: (K,) the scores that occur, descending; a picture is called the class if its score is at least the threshold.
        precision, recall, f1: (K,) each, in [0, 1].
        average_precision: the sum of precision times the gain of recall, as in scikit-learn: without interpolation.
        best: place of the highest F1, the highest threshold among equals.
        positives: pictures of the class.
    """

    thresholds: Values
    precision: Values
    recall: Values
    f1: Values
    average_precision: float
    best: int
    positives: int


def sweep(scores: npt.ArrayLike, truth: npt.ArrayLike) -> Sweep | None:
    """All thresholds of one class; None if no picture is of it, or a score is not a number: then there is nothing to measure.

    Args:
        scores: (N,) of the class.
        truth: (N,) whether the picture is of the class.
    """
    given, is_one = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=bool)
    if given.shape != is_one.shape or given.ndim != 1:
        raise ValueError(f"scores of shape {given.shape} and truth of shape {is_one.shape}; expected (N,) both")
    positives = int(is_one.sum())
    if not positives or not np.isfinite(given).all():
        return None
    order = np.argsort(-given, kind="stable")
    ordered = given[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # equal scores are called together
    hits, called = np.cumsum(is_one[order])[ends], ends + 1.0
    precision, recall = hits / called, hits / positives
    f1 = 2 * hits / (called + positives)
    gained = np.diff(recall, prepend=0.0)
    return Sweep(ordered[ends], precision, recall, f1, float((precision * gained).sum()), int(f1.argmax()), positives)
