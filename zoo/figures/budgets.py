"""Accuracy against the number of labels, for several ways of choosing which pictures to label."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from zoo.figures.style import COLOURS, SOFT, WIDTH, dress, new_figure, note_figure, plain, with_style

Point = tuple[float, float, float]
_ROW = 0.17  # inches of a row of names
_COLUMNS = 2
_TICKS = 6


@with_style
def budget_curves(labels: Sequence[int], curves: Mapping[str, Sequence[Point]], baseline: str = "random") -> Figure:
    """A line for each strategy with its interval as a band; the baseline is dashed, and a dotted line marks where it ends.

    Args:
        labels: budgets, rising.
        curves: strategy -> (mean, low, high) at each budget; ends that are not finite draw no band.
        baseline: the strategy that the others are held against.
    """
    drawn = {name: points for name, points in curves.items() if points}
    if not drawn:
        return note_figure("no seed is finished yet")
    figure = new_figure(WIDTH, 2.9 + _ROW * math.ceil(len(drawn) / _COLUMNS))
    axes = figure.subplots()
    dress(axes)
    others = [name for name in drawn if name != baseline]
    for name, points in drawn.items():
        mean, low, high = zip(*points, strict=True)
        colour = SOFT if name == baseline else COLOURS[others.index(name) % len(COLOURS)]
        dash = (0, (5, 1.5)) if name == baseline else "solid"
        axes.plot(labels, mean, color=colour, linestyle=dash, marker="o", markersize=3.5, label=plain(name))
        if all(map(math.isfinite, (*low, *high))):
            axes.fill_between(labels, low, high, color=colour, alpha=0.15, linewidth=0)
    if baseline in drawn:
        axes.axhline(drawn[baseline][-1][0], color=SOFT, linewidth=1, linestyle=":")
    axes.set_xlabel("labels")
    axes.set_ylabel("accuracy")
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_xticks(labels[:: -math.ceil(len(labels) / _TICKS)])  # from the last on, where strategies are held against each other
    figure.legend(loc="outside upper left", ncols=_COLUMNS, frameon=False, handlelength=2.6)
    return figure
