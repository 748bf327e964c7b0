"""How far settings lie from the first one, seed by seed: the mean of the differences with its 95 % interval.

Cells of one seed share the split, the order of the pictures and what is drawn at random as far as their recipes allow, so that a part of
what seeds do cancels in their difference (a paired t-test: Student, "The probable error of a mean", 1908). Each interval stands for
itself: of twenty that hold nothing, one is expected to leave zero out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.studies.findings import joined, student

SAME = 1e-9
"""Differences that differ by less are one number, seen through rounding."""


@dataclass(frozen=True)
class Difference:
    """A setting against the first one.

    Attributes:
        name: of the setting.
        seeds: that both have finished.
        mean: of setting - first over these seeds.
        half: half the width of the interval around it; None with one seed, or where every seed gives the same difference, as metrics of
            few pictures do: such a spread of zero says nothing of other seeds.
    """

    name: str
    seeds: int
    mean: float
    half: float | None

    @property
    def told(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.half is not None and abs(self.mean) > self.half


def difference(name: str, first: Mapping[int, float], other: Mapping[int, float]) -> Difference | None:
    """A setting's values against those of the first, by seed; None if they share no seed."""
    found = [other[seed] - first[seed] for seed in first if seed in other]
    if not found:
        return None
    spread = statistics.stdev(found) if len(found) > 1 else 0.0
    half = student(len(found) - 1) * spread / math.sqrt(len(found)) if spread > SAME else None
    return Difference(name, len(found), statistics.fmean(found), half)


def interval(found: Difference) -> str:
    """`[0.012, 0.050]`, as near or far as the difference is; "" where there is none."""
    return "" if found.half is None else f"[{found.mean - found.half:.3f}, {found.mean + found.half:.3f}]"


def answer(first: str, found: Sequence[Difference], metric: str, mode: str, apart: bool = False) -> str:
    """In a sentence which settings differ from the first one, for the better or the worse; "" before two seeds can be compared.

    Args:
        first: its name.
        found: the others.
        metric: that was compared.
        mode: whether its best is the "max" or the "min".
        apart: each was measured on pictures of its own: then higher is not better.
    """
    several = [one for one in found if one.seeds > 1]
    if not several:
        return ""
    told = sorted((one for one in several if one.told), key=lambda one: -abs(one.mean))
    said = [f"{one.name} {_verb(one.mean, mode, apart)} by {_size(one)}" for one in told[:4]]
    said += [f"{len(told) - 4} more differ from it (see the table)"] if len(told) > 4 else []
    rest = [one.name for one in several if not one.told]
    if rest:
        others = "the others" if told and len(rest) > 4 else joined(rest)
        said.append(f"{others} cannot be told from it")
    counts = sorted({one.seeds for one in several})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"Against {first}, seed by seed over {seeds} seeds, in {metric}: {'; '.join(said)}."


def _verb(mean: float, mode: str, apart: bool) -> str:
    if apart:
        return "reads higher" if mean > 0 else "reads lower"
    return "is better" if (mean > 0) == (mode == "max") else "is worse"


def _size(found: Difference) -> str:
    """The difference without its sign, and its interval turned with it."""
    mean, half = abs(found.mean), found.half or 0.0
    return f"{mean:.3f} [{mean - half:.3f}, {mean + half:.3f}]"
