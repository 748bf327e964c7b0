"""What the figures say, in words: a claim only where the seeds leave no doubt."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from zoo.studies.findings import Score, effects, finding, margin, ranked


def scores(**values: float | tuple[float, ...]) -> list[Score]:
    return [Score(name, value if isinstance(value, tuple) else (value,)) for name, value in values.items()]


def test_a_clear_winner_is_named() -> None:
    found = finding(scores(unet=(0.90, 0.91, 0.92), segnet=(0.70, 0.71, 0.69)), "val/iou", "max")
    assert found.claimed
    assert (found.leader, found.near) == ("unet", ())
    assert found.sentence.startswith(
        "unet is the best: val/iou 0.91 ± 0.01 over 3 seeds. It leads segnet by 0.21, and differences above 0.023"
    )


def test_within_the_spread_nothing_is_claimed() -> None:
    found = finding(scores(a=(0.90, 0.80), b=(0.86, 0.82), c=(0.10, 0.12)), "val/iou", "max")
    assert not found.claimed
    assert found.near == ("b",)
    assert "is the best" not in found.sentence
    assert found.sentence.startswith(
        "No single best: a has the highest mean, val/iou 0.85 ± 0.071 over 2 seeds, but b lies within the seeds’ spread"
    )


def test_one_seed_claims_nothing_and_names_near_ties() -> None:
    found = finding(scores(a=0.871, b=0.866, c=0.5), "val/iou", "max")
    assert not found.claimed
    assert found.near == ("b",)
    assert found.sentence == (
        "a has the highest value, val/iou 0.871, with one seed: how far another seed would move it is not known. "
        "Near it (within 2%): b. Repeats with other seeds would tell."
    )
    alone = finding(scores(a=0.9, b=0.5), "val/iou", "max")
    assert alone.near == ()
    assert "Next is b with 0.5" in alone.sentence


def test_equal_values_share_the_place() -> None:
    found = finding(scores(a=0.9, b=0.9, c=0.899), "val/iou", "max")
    assert found.sentence.startswith("a and b share the highest value, val/iou 0.9, with one seed each. Near them (within 2%): c.")
    assert found.near == ("b", "c")


def test_the_lowest_is_best_of_a_loss() -> None:
    found = finding(scores(a=(2.0, 2.01), b=(1.0, 1.01)), "val/loss", "min")
    assert found.leader == "b"
    assert finding(scores(a=2.0, b=1.0), "val/loss", "min").sentence.startswith("b has the lowest value")


@pytest.mark.parametrize(("given", "words"), [([], "No cell is finished yet"), (scores(a=0.5), "Only a is finished: val/iou 0.5.")])
def test_nothing_to_compare(given: list[Score], words: str) -> None:
    found = finding(given, "val/iou", "max")
    assert found.sentence.startswith(words)
    assert not found.claimed


def test_the_margin_is_that_of_a_t_test() -> None:
    """For two settings of equal spread: what scipy's t-test calls 5 % likely."""
    one, other = Score("a", (0.50, 0.51, 0.52)), Score("b", (0.60, 0.61, 0.62))
    shift = margin(one, other, [one, other])
    shifted = np.array(one.values) + shift
    assert ttest_ind(one.values, shifted).pvalue == pytest.approx(0.05, abs=0.001)


def test_a_wild_setting_is_not_called_best_because_others_are_calm() -> None:
    calm = {f"calm{number}": (0.5 + number / 1000, 0.5 + number / 1000 + 1e-5) for number in range(12)}
    found = finding(scores(wild=(0.99, 0.65), **calm), "val/iou", "max")
    assert found.leader == "wild"
    assert not found.claimed


def test_settings_with_fewer_seeds_count_less() -> None:
    many = scores(a=(0.90, 0.92, 0.91), b=(0.85, 0.87, 0.86))
    single = scores(a=(0.90, 0.92, 0.91), b=(0.86,))
    assert margin(single[0], single[1], single) > margin(many[0], many[1], many)


def test_noise_alone_is_seldom_called_best() -> None:
    """Two equal settings with three seeds: about one claim in twenty."""
    draw = np.random.default_rng(0)
    claims = sum(finding([Score(name, tuple(draw.normal(0.8, 0.01, 3))) for name in "ab"], "val/iou", "max").claimed for _ in range(400))
    assert claims / 400 < 0.08


def test_ranked_is_by_mean() -> None:
    assert [score.name for score in ranked(scores(a=(0.1, 0.9), b=0.6, c=(0.7, 0.71)), "max")] == ["c", "b", "a"]


def test_effects_are_means_over_equal_partners() -> None:
    settings = {f"{one}{other}": {"first": one, "second": other} for one in "ab" for other in "xy"}
    given = scores(ax=0.1, ay=0.3, bx=0.5, by=0.9)
    assert effects(settings, given, "val/iou") == [
        "first, mean val/iou over the other axes: a 0.200, b 0.700",
        "second, mean val/iou over the other axes: x 0.300, y 0.600",
    ]
    assert effects(settings, given[:3], "val/iou") == []  # by is missing: b and y would be judged by easier partners
