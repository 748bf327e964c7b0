"""Labels needed for an accuracy: a rising line through scattered rounds, and seeds that never get there do not flatter."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import isotonic_regression

from zoo.metrics.label_cost import Cost, labels_needed, rising


def test_the_rising_line_by_hand() -> None:
    assert rising([0.1, 0.5, 0.3, 0.6]) == pytest.approx([0.1, 0.4, 0.4, 0.6])
    assert rising([0.9, 0.6, 0.3]) == pytest.approx([0.6, 0.6, 0.6])
    assert rising([]) == []


def test_the_rising_line_is_isotonic_regression() -> None:
    dice = np.random.default_rng(1)
    for size in (1, 2, 5, 40):
        values = dice.normal(0, 1, size) + np.linspace(0, 2, size)
        assert rising(values.tolist()) == pytest.approx(isotonic_regression(values).tolist())


def test_labels_between_two_budgets() -> None:
    budgets = [100, 200, 400]
    assert labels_needed(budgets, [0.5, 0.6, 0.8], 0.65) == pytest.approx(250)
    assert labels_needed(budgets, [0.5, 0.6, 0.8], 0.8) == pytest.approx(400)
    assert labels_needed(budgets, [0.5, 0.6, 0.8], 0.4) == 100


def test_a_lucky_round_is_not_taken_for_the_curve() -> None:
    """Read off the raw values 0.7 would be reached at 175."""
    assert labels_needed([100, 200, 300, 400], [0.4, 0.8, 0.6, 0.9], 0.75) == pytest.approx(325)


def test_what_is_never_reached_is_none() -> None:
    assert labels_needed([100, 200], [0.5, 0.6], 0.61) is None
    assert labels_needed([100, 200], [0.8, 0.4], 0.7) is None  # the rising line is flat at 0.6


def test_a_seed_that_never_gets_there_makes_a_lower_bound() -> None:
    cost = Cost((300.0, None, 450.0), (600.0, 500.0, 600.0), 600)
    assert cost.missed == 1
    assert cost.labels == pytest.approx((300, 600, 450))
    assert cost.shares == pytest.approx((0.5, 1.2, 0.75))
    assert Cost((300.0,), (600.0,), 600).missed == 0
