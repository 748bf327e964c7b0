"""Labels of frames: averaged in continuous time, steady at both thresholds, never the background."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from zoo.frames.smoothing import Smoother, background_of, fitted

RATE = 10.0


def labels(smoother: Smoother, rows: Sequence[Sequence[float]], rate: float = RATE) -> str:
    """What is shown of each frame: its index, or a point for nothing."""
    shown = [smoother.update(place / rate, row).label for place, row in enumerate(rows)]
    return "".join("." if label is None else str(label) for label in shown)


def of(score: float) -> list[float]:
    """Background, ONE, TWO: so sure of ONE, the rest is background."""
    return [1 - score, score, 0.0]


def test_the_average_is_exponential_in_time_and_not_in_frames() -> None:
    for rate in (10, 50, 1000):
        smoother = Smoother(constant=0.5)
        smoother.update(0.0, [1.0, 0.0])
        for frame in range(1, rate + 1):
            said = smoother.update(frame / rate, [0.0, 1.0])
        assert said.probabilities == pytest.approx([math.exp(-2), 1 - math.exp(-2)]), "a second is two constants"


def test_the_first_frame_counts_whole_and_without_constant_each_does() -> None:
    assert Smoother(constant=5).update(3.0, [0.2, 0.8]).score == 0.8
    smoother = Smoother(constant=0)
    assert [round(smoother.update(place, of(score)).score, 6) for place, score in enumerate((0.9, 0.6, 0.7))] == [0.9, 0.6, 0.7]


def test_one_odd_frame_changes_nothing() -> None:
    rows = [of(0.95)] * 10 + [[0.0, 0.0, 1.0]] + [of(0.95)] * 5 + [[1.0, 0.0, 0.0]] + [of(0.95)] * 5
    assert labels(Smoother(0, 0.5, 0.3), rows) == "1" * len(rows)
    assert set(labels(Smoother(0, 0.5, 0.0), rows)) == {"1", "2", "."}, "without smoothing it flickers"


def test_a_new_label_takes_over_once() -> None:
    rows = [[0.0, 1.0, 0.0]] * 10 + [[0.0, 0.0, 1.0]] * 10
    said = labels(Smoother(0, 0.5, 0.3), rows)
    assert said == "1" * 12 + "2" * 8, "1 - exp(-t / 0.3) leads by the margin after 0.3 seconds"


def test_around_the_threshold_nothing_flickers() -> None:
    swinging = [of(0.5 + 0.04 * (-1) ** place) for place in range(20)]
    assert labels(Smoother(None, 0.5, 0.0, 0.0), swinging) == "10" * 10
    assert labels(Smoother(0, 0.3, 0.0, 0.1), [of(0.9), *swinging]) == "11.................." + ".", "it fell behind the background"
    low = [[0.0, 0.45 + 0.08 * (-1) ** place, 0.3] for place in range(8)]
    assert labels(Smoother(0, 0.5, 0.0, 0.2), low) == "1" * 8
    assert labels(Smoother(0, 0.5, 0.0, 0.0), low) == "1." * 4


def test_two_labels_that_are_near_do_not_take_turns() -> None:
    swinging = [[0.0, 0.5 + 0.04 * (-1) ** place, 0.5 - 0.04 * (-1) ** place] for place in range(10)]
    assert labels(Smoother(0, 0.4, 0.0, 0.1), swinging) == "1" * 10
    assert labels(Smoother(0, 0.4, 0.0, 0.0), swinging) == "12" * 5
    smoother = Smoother(None, 0.4, 0.0, 0.1)
    assert [smoother.update(place, row)[:2] for place, row in enumerate([[0.55, 0.45], [0.46, 0.54]])] == [(0, 0.55), (0, 0.46)]


def test_the_background_is_never_shown_and_must_be_beaten() -> None:
    assert labels(Smoother(0, 0.3, 0.0), [[0.98, 0.01, 0.01], [0.5, 0.45, 0.05], [0.44, 0.45, 0.11], [0.3, 0.5, 0.2]]) == "...1"
    smoother = Smoother(0, 0.3, 0.0)
    assert labels(smoother, [of(0.9), of(0.55), of(0.49)]) == "11."
    assert labels(Smoother(None, 0.5, 0.0), [[0.5, 0.3, 0.2]]) == "0", "it appears when it reaches the threshold"
    assert smoother.update(9, of(0.2)).score == 0.8, "of the likeliest, where nothing is shown"
    assert labels(Smoother(0, 0.0, 0.0, 0.0), [[1.0]]) == ".", "there may be nothing else"
    assert labels(Smoother(None, 0.3, 0.0), [[0.9, 0.1]]) == "0", "without a background the first class is one like others"


def test_what_is_not_finite_counts_as_nothing() -> None:
    smoother = Smoother(0, 0.5, 0.1)
    said = [smoother.update(place / 10, row) for place, row in enumerate([of(0.9), [math.nan] * 3, [math.inf, 0, 0], of(0.9), of(0.9)])]
    assert np.isfinite([each.probabilities for each in said]).all() and said[-1].label == 1


def test_time_that_stands_still_or_runs_back_takes_nothing_away() -> None:
    smoother = Smoother(constant=0.3)
    smoother.update(1.0, [1.0, 0.0])
    assert smoother.update(0.5, [0.0, 1.0]).probabilities.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("name", "value"), [("threshold", -0.1), ("threshold", 1.1), ("margin", math.nan), ("constant", math.inf), ("constant", -1)]
)
def test_numbers_out_of_range_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}={value}.*expected a number from 0"):
        Smoother(**{"background": None, name: value})


@pytest.mark.parametrize(
    ("names", "index"), [(("ONE", "BACKGROUND"), 1), (("background", "cat"), 0), (("a", "No_Gesture"), 1), (("foreground", "a"), None)]
)
def test_the_background_is_known_by_its_name(names: tuple[str, ...], index: int | None) -> None:
    assert background_of(names) == index


def test_the_threshold_is_the_lowest_with_few_errors() -> None:
    right = [("ONE", "ONE", 0.5 + place / 250) for place in range(100)]
    wrong = [("BACKGROUND", "ONE", 0.5 + place / 100) for place in range(12)]
    found = fitted(iter(right + wrong + [("ONE", "BACKGROUND", 0.99)] * 50), "BACKGROUND")
    assert found is not None
    shown = [truth == said for truth, said, score in right + wrong if score >= found[0]]
    assert found[0] == 0.6 and found[1] == pytest.approx(1 - sum(shown) / len(shown)) and found[1] <= 0.05
    assert fitted(right, None) == (0.5, 0.0)
    assert fitted([("ONE", "TWO", 0.99)], None) == (0.95, 1.0), "no threshold is high enough"
    assert fitted([("ONE", "TWO", 0.72)], None) == (0.7, 1.0), "nothing is shown at a higher one"
    assert fitted([("ONE", "ONE", 0.9)] * 19 + [("ONE", "TWO", 0.5)], None) == (0.5, 0.05), "at most: one of twenty may be wrong"
    assert fitted([("ONE", "BACKGROUND", 0.9), ("ONE", "ONE", 0.3)], "BACKGROUND") is None
    assert fitted([], None) is None
