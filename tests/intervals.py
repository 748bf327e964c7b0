"""The interval of a median, and of the median of ratios, for benchmarks."""

from __future__ import annotations

import math
import statistics


def interval(values: list[float]) -> tuple[float, float]:
    """Of sorted values the two that enclose the median with at least 95 %; the outermost where there are too few for that."""
    count, below = len(values), 0.0
    for rank in range(count // 2):
        below += math.comb(count, rank) / 2**count
        if below > 0.025:
            return values[max(rank - 1, 0)], values[count - max(rank, 1)]
    return values[0], values[-1]


def ratio(one: list[float], other: list[float]) -> str:
    """The median of paired ratios with its interval."""
    values = sorted(a / b for a, b in zip(one, other, strict=True))
    low, high = interval(values)
    return f"{statistics.median(values):.3f} [{low:.3f}, {high:.3f}]"
