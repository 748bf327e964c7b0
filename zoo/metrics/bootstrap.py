"""How sure a difference between two models is that were measured on the same pictures: a paired bootstrap (Efron & Tibshirani 1993)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

ROUNDS = 2000
LEVEL = 0.95


def paired_difference(
    one: npt.ArrayLike, other: npt.ArrayLike, groups: Sequence[object] | None = None, seed: int = 0
) -> tuple[float, float, float]:
    """The mean of `one - other` with the interval that holds it with 95 %: percentiles of the means of drawn samples.

    Args:
        one: (N,) a number for each picture, such as whether it was right.
        other: (N,) of the other model.
        groups: (N,) what each picture belongs to (a video, a person): groups are drawn whole, since their pictures are alike.
        seed: of the drawing.

    Returns:
        Difference, lower and upper end.

    Raises:
        ValueError: there are no pictures, or not as many of each.
    """
    difference = np.asarray(one, np.float64) - np.asarray(other, np.float64)
    if difference.ndim != 1 or not len(difference):
        raise ValueError(f"differences of shape {difference.shape}: expected one number for each of at least one picture")
    names = range(len(difference)) if groups is None else groups
    _, place = np.unique(np.asarray([str(name) for name in names]), return_inverse=True)
    sums, sizes = np.bincount(place, difference), np.bincount(place)
    dice = np.random.default_rng(seed)
    drawn = (dice.multinomial(len(sums), np.full(len(sums), 1 / len(sums))) for _ in range(ROUNDS))
    means = [float(times @ sums / (times @ sizes)) for times in drawn]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(difference.mean()), float(low), float(high)
