"""What ways of balancing make of the classes: before and after, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.figures.style import COLOURS, FAINT, INK, SOFT, dress, new_figure, note_figure, plain, with_style

MOST = 60
"""Classes: of more the most and the least frequent, half of each."""
_ROW = 0.235  # inches of a class: room for one line of 8.5 pt
_PANEL = 1.95  # inches
_LOG_FROM = 50


@with_style
def balance_panels(labels: Sequence[str], before: Sequence[float], after: Mapping[str, Sequence[float]]) -> Figure:
    """A panel for each way with a row for each class: a grey bar before and a coloured one after, whose number is written.

    Args:
        labels: names of the classes.
        before: a count of each; the most frequent class stands on top. Logarithmic when counts differ more than 50-fold.
        after: way -> a count of each class.
    """
    for name, values in {"before": before, **after}.items():
        if len(values) != len(labels) or not all(math.isfinite(value) for value in values):
            raise ValueError(f"{name!r} has the counts {list(values)[:5]} for {len(labels)} labels; expected one finite count per label")
    if not labels or not after:
        return note_figure("no classes to count")
    order = sorted(range(len(labels)), key=lambda index: -before[index])
    order = order if len(order) <= MOST else [*order[: MOST // 2], *order[-MOST // 2 :]]
    left = 0.2 + 0.075 * max(len(plain(labels[index], 22)) for index in order)
    figure = new_figure(left + _PANEL * len(after), 0.95 + _ROW * max(len(order), 2))
    panels = figure.subplots(1, len(after), sharey=True, sharex=True, squeeze=False)[0]
    for axes, (name, values) in zip(panels, after.items(), strict=True):
        dress(axes, grid="x")
        axes.set_title(plain(name, 24))
        _bars(axes, [before[index] for index in order], [values[index] for index in order])
    _set_scale(panels, [value for values in (before, *after.values()) for value in values])
    panels[0].set_yticks(range(len(order)), [plain(labels[index], 22) for index in order])
    panels[0].set_ylim(len(order) - 0.4, -0.6)
    for axes in panels:
        axes.tick_params(axis="y", length=0, labelcolor=INK)
    return figure


def _bars(axes: Axes, before: Sequence[float], after: Sequence[float]) -> None:
    rows = range(len(before))
    axes.barh(rows, before, height=0.84, color=FAINT)
    axes.barh(rows, after, height=0.36, color=COLOURS[0])
    for row in rows:
        text = f"{after[row]:,.0f}" if after[row] >= 10 or after[row] == round(after[row]) else f"{after[row]:.2g}"
        longer = max(before[row], after[row])
        axes.annotate(
            text,
            (longer, row),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK if after[row] > 0 else SOFT,
        )


def _set_scale(panels: Sequence[Axes], values: Sequence[float]) -> None:
    """One scale for all panels, with room for the numbers right of the bars."""
    positive = [value for value in values if value > 0]
    most = max(positive, default=1.0)
    if positive and most / min(positive) > _LOG_FROM:
        low = min(positive) / 2  # the rarest class keeps a visible bar
        panels[0].set_xscale("log")
        panels[0].set_xlim(low, most * (most / low) ** 0.3)
    else:
        panels[0].set_xlim(0, most * 1.3)
        panels[0].xaxis.set_major_locator(MaxNLocator(nbins=3))
    for axes in panels:
        axes.set_xlabel("pictures (logarithmic)" if panels[0].get_xscale() == "log" else "pictures")
