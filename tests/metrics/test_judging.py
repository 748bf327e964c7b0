"""What became of each box: right, of a wrong class, found twice, loose, a false alarm, left out, or missed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from zoo.metrics.judging import (
    BELOW,
    FALSE,
    IGNORED,
    LEFT_OUT,
    LOOSE,
    RIGHT,
    TWICE,
    WRONG,
    Curve,
    Judged,
    curve,
    judged,
)

TRUE = [[0, 0, 10, 10], [20, 0, 30, 10], [100, 100, 200, 200]]
KINDS = [0, 1, IGNORED]


def said(boxes: Sequence[Sequence[float]], classes: Sequence[int], scores: Sequence[float] = (), threshold: float = 0.0) -> Judged:
    sure = scores or [0.9 - place / 10 for place in range(len(boxes))]
    return judged(np.array(boxes, np.float64).reshape(-1, 4), sure, classes, TRUE, KINDS, threshold)


def shifted(box: int, right: float) -> list[float]:
    left, top, other, bottom = TRUE[box]
    return [left + right, top, other + right, bottom]


@pytest.mark.parametrize(
    ("box", "kind", "verdict", "partner", "overlap"),
    [
        (shifted(0, 0), 0, RIGHT, 0, 1.0),
        ([0, 0, 10, 5], 0, RIGHT, 0, 0.5),
        (shifted(0, 3.4), 0, LOOSE, 0, 6.6 / 13.4),
        (shifted(0, 9), 0, FALSE, -1, 0.0),
        (shifted(0, 8), 0, LOOSE, 0, 2 / 18),
        (shifted(0, 0), 1, WRONG, 0, 1.0),
        (shifted(0, 5), 1, FALSE, -1, 0.0),
        ([50, 50, 60, 60], 1, FALSE, -1, 0.0),
        ([110, 110, 120, 120], 1, LEFT_OUT, -1, 0.0),
        ([90, 110, 110, 120], 0, LEFT_OUT, -1, 0.0),
        ([89, 110, 110, 120], 0, FALSE, -1, 0.0),
        (shifted(0, 0), -2, BELOW, -1, 0.0),
        ([5, 5, 5, 5], 0, FALSE, -1, 0.0),
        ([8, 8, 2, 2], 0, FALSE, -1, 0.0),
    ],
)
def test_one_box(box: list[float], kind: int, verdict: str, partner: int, overlap: float) -> None:
    found = said([box], [kind])
    assert found.kinds.tolist() == [verdict]
    assert found.partners.tolist() == [partner]
    assert found.overlaps.tolist() == pytest.approx([overlap])
    assert found.missed.tolist() == [partner != 0 or verdict == LOOSE, True, False], "an ignored region cannot be missed"


def test_the_surer_of_two_is_right_whatever_their_order_and_overlap() -> None:
    found = said([shifted(0, 0), shifted(0, 2)], [0, 0], [0.4, 0.8])
    assert found.kinds.tolist() == [TWICE, RIGHT]
    assert found.partners.tolist() == [0, 0]
    assert said([shifted(0, 0), shifted(0, 2)], [0, 0], [0.5, 0.5]).kinds.tolist() == [RIGHT, TWICE], "among equals the first"


def test_a_right_box_takes_its_true_one_from_a_surer_box_of_a_wrong_class() -> None:
    found = said([shifted(0, 0), shifted(0, 1)], [1, 0])
    assert found.kinds.tolist() == [TWICE, RIGHT]
    assert not found.missed[0]
    assert said([shifted(0, 0), shifted(0, 1)], [1, 1]).kinds.tolist() == [WRONG, TWICE], "a true box is mistaken once"


def test_a_box_takes_the_true_one_that_it_overlaps_most_and_is_free() -> None:
    true = [[0, 0, 10, 10], [1, 0, 11, 10]]
    found = judged([[0.1, 0, 10.1, 10], [0.2, 0, 10.2, 10]], [0.9, 0.8], [0, 0], true, [0, 0])
    assert found.partners.tolist() == [0, 1]
    assert found.kinds.tolist() == [RIGHT, RIGHT]


def test_what_is_below_the_threshold_takes_nothing() -> None:
    found = said([shifted(0, 0), shifted(1, 0)], [0, 1], [0.5, 0.49], threshold=0.5)
    assert found.kinds.tolist() == [RIGHT, BELOW]
    assert found.missed.tolist() == [False, True, False]


def test_nothing_found_and_nothing_there() -> None:
    found = said([], [])
    assert found.kinds.shape == found.partners.shape == found.overlaps.shape == (0,)
    assert found.missed.tolist() == [True, True, False]
    absent = judged([[0, 0, 1, 1], [0, 0, 1, 1]], [0.5, 0.1], [0, 0], np.zeros((0, 4)), [], 0.2)
    assert absent.kinds.tolist() == [FALSE, BELOW]
    assert absent.missed.shape == (0,)
    neither: Any = judged([], [], [], [], [])
    assert neither.kinds.shape == (0,)


def test_padding_is_not_there() -> None:
    found = judged([[0, 0, 10, 10]], [0.5], [0], [[0, 0, 10, 10]], [-2])
    assert found.kinds.tolist() == [FALSE]
    assert not found.missed.any()


# ---------------------------------------------------------------- curves


def drawn() -> Curve:
    """Surest first: right, wrong and right at once, wrong; of 4 true boxes."""
    return curve(np.array([0.2, 0.9, 0.5, 0.5]), np.array([False, True, False, True]), 4)


def test_boxes_of_one_score_come_together() -> None:
    found = drawn()
    assert found.scores.tolist() == [0.9, 0.5, 0.2]
    assert found.precision.tolist() == pytest.approx([1, 2 / 3, 1 / 2])
    assert found.recall.tolist() == [0.25, 0.5, 0.5]


@pytest.mark.parametrize(
    ("threshold", "precision", "recall"), [(0.95, math.nan, 0), (0.9, 1, 0.25), (0.51, 1, 0.25), (0.5, 2 / 3, 0.5), (0, 0.5, 0.5)]
)
def test_at_a_threshold(threshold: float, precision: float, recall: float) -> None:
    assert drawn().at(threshold) == pytest.approx((precision, recall), nan_ok=True)


def test_the_best_threshold() -> None:
    assert drawn().best() == pytest.approx((4 / 7, 0.5))
    nothing = curve(np.zeros(0), np.zeros(0, np.bool_), 3)
    assert np.isnan(nothing.best()).all() and nothing.at(0)[1] == 0
    absent = curve(np.array([0.5]), np.array([False]), 0)
    assert np.isnan(absent.best()).all() and absent.at(0) == pytest.approx((0, math.nan), nan_ok=True)
