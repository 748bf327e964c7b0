"""Settings against the first one, seed by seed: intervals, and what they let one say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from zoo.studies.findings import Score, side_by_side
from zoo.studies.paired import Difference, answer, difference, interval


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_the_interval_is_that_of_a_paired_t_test(count: int) -> None:
    draw = np.random.default_rng(count)
    one, other = draw.normal(0.5, 0.1, count), draw.normal(0.6, 0.1, count)
    found = difference("b", by_seed(*one), by_seed(*other))
    assert found is not None and found.half is not None
    low, high = ttest_rel(other, one).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(other - one))
    assert found.half == pytest.approx((high - low) / 2, rel=2e-3)
    assert found.told == (low > 0 or high < 0)


def test_pairing_takes_away_what_seeds_do_to_both() -> None:
    found = difference("b", by_seed(0.2, 0.5, 0.8), by_seed(0.23, 0.52, 0.83))
    assert found is not None and found.told and interval(found) == "[0.012, 0.041]"


def test_only_seeds_that_both_have_count() -> None:
    found = difference("b", {0: 0.1, 1: 0.2, 2: 0.3}, {2: 0.5, 1: 0.3, 7: 0.9})
    assert found is not None and (found.seeds, found.mean) == (2, pytest.approx(0.15))
    assert difference("b", {0: 0.1}, {1: 0.3}) is None


@pytest.mark.parametrize("other", [by_seed(0.6), by_seed(0.6, 0.7), by_seed(0.5, 0.6)], ids=["one seed", "equal steps", "no change"])
def test_without_a_spread_there_is_no_interval(other: dict[int, float]) -> None:
    found = difference("b", by_seed(0.5, 0.6), other)
    assert found is not None and found.half is None and not found.told and not interval(found)


BETTER, WORSE, SAME = Difference("b", 5, 0.031, 0.019), Difference("c", 5, -0.2, 0.1), Difference("d", 4, 0.01, 0.02)


@pytest.mark.parametrize(
    ("found", "mode", "apart", "said"),
    [
        (
            [BETTER, SAME],
            "max",
            False,
            "4 to 5 seeds, in val/f1_macro: b is better by 0.031 [0.012, 0.050]; d cannot be told from it.",
        ),
        ([BETTER, WORSE], "max", False, "c is worse by 0.200 [0.100, 0.300]; b is better by 0.031 [0.012, 0.050]."),
        ([BETTER, WORSE], "min", False, "c is better by 0.200 [0.100, 0.300]; b is worse by 0.031 [0.012, 0.050]."),
        ([BETTER, WORSE], "max", True, "c reads lower by 0.200 [0.100, 0.300]; b reads higher by 0.031 [0.012, 0.050]."),
        ([SAME], "max", False, "Against a, seed by seed over 4 seeds, in val/f1_macro: d cannot be told from it."),
        ([BETTER] * 6, "max", False, "0.050]; 2 more differ from it (see the table)."),
        ([BETTER, *[SAME] * 5], "max", False, "; the others cannot be told from it."),
    ],
)
def test_the_answer_names_what_differs(found: list[Difference], mode: str, apart: bool, said: str) -> None:
    assert said in answer("a", found, "val/f1_macro", mode, apart)


def test_one_seed_has_no_answer() -> None:
    assert answer("a", [Difference("b", 1, 0.5, None)], "val/f1_macro", "max") == ""


def test_side_by_side_nothing_is_best() -> None:
    found = side_by_side([Score("by video", (0.7, 0.72)), Score("random", (0.95, 0.97))], "val/accuracy")
    assert found.sentence == (
        "Side by side, each measured on its own split: by video 0.71 ± 0.014 and random 0.96 ± 0.014 (val/accuracy over 2 seeds)."
    )
    assert not found.leader and not found.claimed
    assert "Only a is finished" in side_by_side([Score("a", (0.5,))], "val/accuracy").sentence
