"""What detectors are measured by, drawn: precision over recall, and how large boxes are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from zoo.figures.style import COLOURS, FAINT, INK, WIDTH, dress, new_figure, note_figure, plain, with_style

_NAMED = 7  # classes with a colour of their own in a figure of curves
_ROW = 0.25  # inches per class


@dataclass(frozen=True)
class Line:
    """Precision over recall of a class.

    Attributes:
        label: its name.
        recall: (P,), ascending.
        precision: (P,), of the boxes down to that recall.
        average: its average precision, NaN where it does not occur.
        chosen: recall and precision at the threshold in use, NaN where there is none.
    """

    label: str
    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    average: float
    chosen: tuple[float, float]


@with_style
def precision_recall(lines: Sequence[Line]) -> Figure:
    """Precision over recall of each class that occurs, the best precision at each recall or more, with a dot at the threshold in use.

    Of more than seven classes the best three and the worst four have a colour and a name, the others are grey.
    """
    drawn = sorted((line for line in lines if math.isfinite(line.average)), key=lambda line: -line.average)
    if not drawn:
        return note_figure("no true boxes to find")
    named = drawn if len(drawn) <= _NAMED else [*drawn[:3], *drawn[3 - _NAMED :]]
    figure = new_figure(height=3.1 + 0.19 * len(named))
    axes = figure.subplots()
    dress(axes)
    colours = {line.label: colour for line, colour in zip(named, COLOURS, strict=False)}
    for line in sorted(drawn, key=lambda line: line.label in colours):
        colour = colours.get(line.label, FAINT)
        best = np.maximum.accumulate(line.precision[::-1])[::-1]
        recall, precision = np.append(line.recall, line.recall[-1:]), np.append(best, np.zeros(min(1, len(best))))
        name = f"{plain(line.label)}  {line.average:.2f}" if line.label in colours else None
        axes.plot(np.insert(recall, 0, 0.0), np.insert(precision, 0, best[:1] if len(best) else 0.0), color=colour, label=name)
        if line.label in colours and np.isfinite(line.chosen).all():
            axes.plot(*line.chosen, marker="o", markersize=6.5, color=colour, markeredgecolor="white", zorder=5, clip_on=False)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("recall (share of the true boxes that is found)")
    axes.set_ylabel("precision (share that is right)")
    figure.legend(loc="outside lower left", frameon=False, title="average precision", alignment="left", title_fontsize=8.5)
    return figure


@with_style
def box_sizes(sides: Sequence[ArrayLike], labels: Sequence[str], limits: Sequence[float] = (32, 96)) -> Figure:
    """How large the boxes of each class are: a line from the 5th to the 95th percentile, thick from 25th to 75th, a dot at the median.

    Args:
        sides: of each class (N,), the square roots of the areas.
        labels: names of the classes.
        limits: sides between sizes, drawn as dotted lines.
    """
    if len(sides) != len(labels):
        raise ValueError(f"sides of {len(sides)} classes for {len(labels)} labels; expected one each")
    values = [np.asarray(one, np.float64).reshape(-1) for one in sides]
    values = [one[one > 0] for one in values]
    if not any(len(one) for one in values):
        return note_figure("no boxes to measure")
    order = sorted(range(len(labels)), key=lambda number: -len(values[number]))
    figure = new_figure(WIDTH, 0.95 + _ROW * max(len(labels), 2))
    axes = figure.subplots()
    dress(axes, grid="x")
    for row, number in enumerate(order):
        if len(values[number]):
            low, first, middle, third, high = np.percentile(values[number], (5, 25, 50, 75, 95))
            axes.plot((low, high), (row, row), color=COLOURS[0], linewidth=1.2, solid_capstyle="round")
            axes.plot((first, third), (row, row), color=COLOURS[0], linewidth=5, solid_capstyle="round")
            axes.plot(middle, row, marker="o", markersize=5, color="white", markeredgecolor=COLOURS[0], zorder=5)
        axes.annotate(
            f"{len(values[number]):,}",
            (1, row),
            xycoords=axes.get_yaxis_transform(),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
        )
    axes.annotate(
        "boxes",
        (1, -0.7),
        xycoords=axes.get_yaxis_transform(),
        xytext=(6, 0),
        textcoords="offset points",
        va="bottom",
        fontsize=8.5,
        fontweight="bold",
    )
    for limit in limits:
        axes.axvline(limit, color=INK, linewidth=1.1, linestyle=":", zorder=0.9)
    _pixels(axes, np.concatenate(values))
    axes.set_yticks(range(len(order)), [plain(labels[number], 22) for number in order])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(order) - 0.4, -0.6)
    return figure


def _pixels(axes: Axes, values: NDArray[np.float64]) -> None:
    """A logarithmic axis of pixels with ticks at powers of two."""
    low, high = np.percentile(values, (2, 98)) * (0.6, 1.6)
    axes.set_xscale("log", base=2)
    powers = range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)
    axes.set_xticks([2.0**power for power in powers], [f"{2.0**power:g}" for power in powers])
    axes.set_xlim(low, high)
    axes.minorticks_off()
    axes.set_xlabel("side in pixels (root of the area)")
