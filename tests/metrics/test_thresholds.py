"""Thresholds of one class, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from zoo.metrics.thresholds import sweep


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random(60) < 0.3
    scores = random.random(60).round(1 if seed % 2 else 6)  # with ties, and without
    found = sweep(scores, truth)
    assert found is not None
    assert found.average_precision == pytest.approx(sk.average_precision_score(truth, scores))
    f1 = [sk.f1_score(truth, scores >= threshold) for threshold in found.thresholds]
    assert found.f1 == pytest.approx(f1)
    assert found.f1[found.best] == max(f1)
    precision, recall, thresholds = sk.precision_recall_curve(truth, scores)
    assert found.thresholds == pytest.approx(thresholds[::-1])
    assert found.precision == pytest.approx(precision[-2::-1]) and found.recall == pytest.approx(recall[-2::-1])


def test_of_equals_the_highest_threshold_is_the_best() -> None:
    found = sweep([0.9, 0.5, 0.4, 0.1], [True, False, False, False])
    assert found is not None and found.thresholds[found.best] == 0.9 and found.positives == 1


def test_without_pictures_or_numbers_there_is_nothing_to_measure() -> None:
    assert sweep([0.1, 0.2], [False, False]) is None
    assert sweep([0.1, np.nan], [True, False]) is None
    assert sweep([], []) is None


def test_other_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"scores of shape \(2,\) and truth of shape \(3,\)"):
        sweep([0.1, 0.2], [True, False, True])
