"""The interval of a paired difference is that of theory where theory knows it, and wider for groups."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.metrics.bootstrap import paired_difference


def test_equal_models_differ_by_nothing() -> None:
    right = np.random.default_rng(0).integers(0, 2, 50)
    assert paired_difference(right, right) == (0, 0, 0)


def test_the_interval_is_that_of_the_normal_approximation() -> None:
    dice = np.random.default_rng(0)
    one, other = dice.random(2000) < 0.8, dice.random(2000) < 0.7
    gain, low, high = paired_difference(one, other)
    error = (one.astype(float) - other).std() / 2000**0.5
    assert gain == pytest.approx(float(one.mean() - other.mean()))
    assert (low, high) == (pytest.approx(gain - 1.96 * error, abs=0.15 * error), pytest.approx(gain + 1.96 * error, abs=0.15 * error))


def test_pairs_are_kept_together() -> None:
    """Both are right on the same pictures but one: the difference hardly varies, though each alone does."""
    right = np.arange(100) % 2
    better = right.copy()
    better[0] = 1
    gain, low, high = paired_difference(better, right)
    assert (gain, low) == (0.01, 0) and high <= 0.03


def test_pictures_of_a_group_are_drawn_together() -> None:
    one, other = np.repeat(np.random.default_rng(1).integers(0, 2, 20), 10), np.zeros(200)
    alone = paired_difference(one, other)
    grouped = paired_difference(one, other, [f"video {number // 10}" for number in range(200)])
    assert grouped[0] == alone[0] and grouped[2] - grouped[1] > 2 * (alone[2] - alone[1])


def test_the_same_seed_draws_the_same() -> None:
    one, other = np.arange(30) % 3 == 0, np.arange(30) % 2 == 0
    assert paired_difference(one, other) == paired_difference(one, other) != paired_difference(one, other, seed=1)


@pytest.mark.parametrize("values", [[], [[1.0]]])
def test_what_is_no_list_of_numbers_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="expected one number for each"):
        paired_difference(values, values)
