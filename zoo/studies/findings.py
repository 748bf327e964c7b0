"""What the figures of a study say, in plain language: which setting is best, if that can be said at all.

Seeds alone move a metric. A setting is called the best only if it leads by more than the least significant difference (Fisher, "The
Design of Experiments", 1935): t * s * sqrt(1/n + 1/m), with s the seeds' standard deviation pooled over all settings or that of either
of the two, whichever is largest, and t Student's two-sided 95 % value. With one seed there is no such difference, and none is claimed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

NEAR = 0.02
"""With one seed, settings within this part of the best value are named beside it."""
T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""Student's t for 1 to 10 degrees of freedom; above 2.2 to 20 and 2.1 beyond, both rounded up."""


@dataclass(frozen=True)
class Score:
    """The monitored metric of one setting: one value for each seed that is finished."""

    name: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds; None for one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Finding:
    """What can be said.

    Attributes:
        sentence: in plain language.
        leader: the setting with the best mean; "" before any is finished.
        claimed: whether it may be called the best.
        near: those that cannot be told from it.
    """

    sentence: str
    leader: str = ""
    claimed: bool = False
    near: tuple[str, ...] = ()


def ranked(scores: Sequence[Score], mode: str) -> list[Score]:
    """Best mean first; of equals in the order given."""
    return sorted(scores, key=lambda score: -score.mean if mode == "max" else score.mean)


def finding(scores: Sequence[Score], metric: str, mode: str) -> Finding:
    """What the scores of the settings say."""
    order = ranked(scores, mode)
    if not order:
        return Finding("No cell is finished yet, so nothing can be said.")
    leader, others = order[0], order[1:]
    reached = f"{metric} {_number(leader)}"
    if not others:
        return Finding(f"Only {leader.name} is finished: {reached}. There is nothing yet to compare it with.", leader.name)
    if all(score.spread is None for score in order):
        return _single(leader, others, reached, mode)
    margins = {score.name: margin(leader, score, order) for score in others}
    near = tuple(score.name for score in others if abs(leader.mean - score.mean) <= margins[score.name])
    seeds = f"over {_seeds(order)} seeds"
    if not near:
        second = others[0]
        gap = f"{abs(leader.mean - second.mean):.3g}, and differences above {margins[second.name]:.2g} are more than the seeds explain"
        return Finding(f"{leader.name} is the best: {reached} {seeds}. It leads {second.name} by {gap}.", leader.name, True)
    text = f"No single best: {leader.name} has the {_superlative(mode)} mean, {reached} {seeds}, but {joined(near)} "
    text += f"{'lies' if len(near) == 1 else 'lie'} within the seeds’ spread of it (differences up to {margins[near[0]]:.2g})."
    return Finding(text, leader.name, False, near)


def margin(one: Score, other: Score, scores: Sequence[Score]) -> float:
    """The difference of means that seeds alone do not explain."""
    several = [score for score in scores if score.spread is not None]
    freedom = sum(len(score.values) - 1 for score in several)
    pooled = math.sqrt(sum((len(score.values) - 1) * (score.spread or 0.0) ** 2 for score in several) / freedom)
    deviation = max(pooled, one.spread or 0.0, other.spread or 0.0)
    return student(freedom) * deviation * math.sqrt(1 / len(one.values) + 1 / len(other.values))


def student(freedom: int) -> float:
    """Student's two-sided 95 % value for so many degrees of freedom, one or more; rounded up above ten."""
    return T95[freedom - 1] if freedom <= len(T95) else 2.2 if freedom <= 20 else 2.1


def side_by_side(scores: Sequence[Score], metric: str) -> Finding:
    """The scores of settings that were each measured on pictures of their own: none is better than another."""
    if len(scores) < 2:
        return finding(scores, metric, "max")
    told = joined([f"{score.name} {_number(score)}" for score in scores])
    seeds = f" over {_seeds(scores)} seeds" if max(len(score.values) for score in scores) > 1 else " with one seed"
    return Finding(f"Side by side, each measured on its own split: {told} ({metric}{seeds}).")


def _single(leader: Score, others: Sequence[Score], reached: str, mode: str) -> Finding:
    near = tuple(score.name for score in others if abs(score.mean - leader.mean) <= NEAR * abs(leader.mean))
    text = f"{leader.name} has the {_superlative(mode)} value, {reached}, with one seed: how far another seed would move it is not known"
    equal = [score.name for score in others if score.mean == leader.mean]
    if equal:
        text = f"{joined([leader.name, *equal])} share the {_superlative(mode)} value, {reached}, with one seed each"
        near = (*equal, *(name for name in near if name not in equal))
    if rest := near[len(equal) :]:
        text += f". Near {'it' if not equal else 'them'} (within {NEAR:.0%}): {joined(rest)}"
    elif not equal:
        text += f". Next is {others[0].name} with {_number(others[0])}"
    return Finding(f"{text}. Repeats with other seeds would tell.", leader.name, False, near)


def effects(settings: Mapping[str, Mapping[str, object]], scores: Sequence[Score], metric: str) -> list[str]:
    """For each axis the mean of each of its values over all other axes, if every value was tried with the same others."""
    means = {score.name: score.mean for score in scores}
    tried = {name: setting for name, setting in settings.items() if name in means}
    axes = list(next(iter(tried.values()), {}))
    lines = []
    for axis in axes if len(axes) > 1 else []:
        groups: dict[str, dict[tuple[str, ...], float]] = {}
        for name, setting in tried.items():
            rest = tuple(str(value) for key, value in setting.items() if key != axis)
            groups.setdefault(str(setting[axis]), {})[rest] = means[name]
        partners = [set(group) for group in groups.values()]
        if 1 < len(groups) <= 8 and all(partner == partners[0] for partner in partners):
            told = ", ".join(f"{value} {statistics.fmean(group.values()):.3f}" for value, group in groups.items())
            lines.append(f"{axis}, mean {metric} over the other axes: {told}")
    return lines


def _number(score: Score) -> str:
    return f"{score.mean:.4g}" + (f" ± {score.spread:.2g}" if score.spread is not None else "")


def _seeds(scores: Sequence[Score]) -> str:
    counts = sorted({len(score.values) for score in scores})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _superlative(mode: str) -> Literal["highest", "lowest"]:
    return "highest" if mode == "max" else "lowest"


def joined(names: Sequence[str], most: int = 4) -> str:
    """`a, b and c`; of very many the first."""
    shown = [*names[:most], f"{len(names) - most} more"] if len(names) > most else [*names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
