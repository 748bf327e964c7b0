"""How many labels a way of choosing pictures needs for the accuracy that another way has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


def rising(values: Sequence[float]) -> list[float]:
    """The rising line nearest to `values` in squares (pool adjacent violators; Ayer et al. 1955).

    Single trainings scatter by more than a batch of labels brings; the first lucky one would otherwise be taken for the curve.
    """
    blocks: list[list[float]] = []  # mean, members
    for value in values:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, members = blocks.pop()
            before, others = blocks[-1]
            blocks[-1] = [(mean * members + before * others) / (members + others), members + others]
    return [mean for mean, members in blocks for _ in range(int(members))]


def labels_needed(labels: Sequence[int], values: Sequence[float], target: float) -> float | None:
    """Labels at which the rising line through the values reaches `target`, linear between budgets; None if it does not.

    Args:
        labels: budgets, rising.
        values: what was reached with each.
        target: to reach.
    """
    line = rising(values)
    if line[0] >= target:
        return float(labels[0])
    for (few, low), (many, high) in pairwise(zip(labels, line, strict=True)):
        if high >= target:
            return few + (many - few) * (target - low) / (high - low)
    return None


@dataclass(frozen=True)
class Cost:
    """Labels needed for what random choice reaches at the end, one entry a seed.

    Attributes:
        needed: by a strategy; None where it does not get there with the last budget.
        random: by random choice itself.
        last: budget.
    """

    needed: tuple[float | None, ...]
    random: tuple[float, ...]
    last: int

    @property
    def missed(self) -> int:
        """Seeds that do not get there: where there are any, every mean over the seeds is a lower bound."""
        return self.needed.count(None)

    @property
    def labels(self) -> tuple[float, ...]:
        """`needed`, with the last budget where that is not enough: less than the truth."""
        return tuple(float(self.last) if need is None else need for need in self.needed)

    @property
    def shares(self) -> tuple[float, ...]:
        """`labels` as shares of random's own in the same seed."""
        return tuple(own / random for own, random in zip(self.labels, self.random, strict=True))
