"""How many pictures or boxes each class has, in each part of the data or before and after balancing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.figures.style import COLOURS, INK, SOFT, WIDTH, dress, new_figure, note_figure, plain, with_style

_ROW = 0.235  # inches per class: room for one line of 8.5 pt
_LOG_FROM = 50


@with_style
def class_histogram(labels: Sequence[str], parts: Mapping[str, Sequence[float]], what: str = "pictures") -> Figure:
    """Horizontal bars, most frequent class first, with every number written in a column of its part.

    Args:
        labels: names of the classes.
        parts: name of a part ("train", "after balancing") -> one count per class. Logarithmic when counts differ more than 50-fold.
        what: is counted.
    """
    counts = {name: [float(value) for value in values] for name, values in parts.items()}
    for name, values in counts.items():
        if len(values) != len(labels):
            raise ValueError(f"part {name!r} has {len(values)} counts for {len(labels)} labels; expected one count per label")
    if not labels or not counts:
        return note_figure("no classes to count")
    first = next(iter(counts.values()))
    order = sorted(range(len(labels)), key=lambda index: -first[index] if math.isfinite(first[index]) else math.inf)
    figure = new_figure(WIDTH, 0.9 + _ROW * max(len(labels), 2))
    axes = figure.subplots()
    dress(axes, grid="x")
    _set_scale(axes, [value for values in counts.values() for value in values], what)
    thickness = 0.78 / len(counts)
    right = 0.0
    for place, (name, values) in enumerate(counts.items()):
        colour = COLOURS[place % len(COLOURS)]
        drawn = [values[index] if math.isfinite(values[index]) else 0.0 for index in order]
        axes.barh([row - 0.39 + thickness * (place + 0.5) for row in range(len(order))], drawn, height=thickness, color=colour)
        right += _write_column(axes, name, [values[index] for index in order], right, colour)
    axes.set_yticks(range(len(order)), [plain(labels[index], 22) for index in order])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(order) - 0.4, -0.6)
    return figure


def _set_scale(axes: Axes, values: Sequence[float], what: str) -> None:
    positive = [value for value in values if math.isfinite(value) and value > 0]
    if positive and max(positive) / min(positive) > _LOG_FROM:
        axes.set_xscale("log")
        axes.set_xlim(min(positive) / 2, max(positive) * 1.15)  # the rarest class keeps a visible bar
        axes.set_xlabel(f"{what} (logarithmic)")
    else:
        axes.set_xlim(0, max(positive, default=1.0) * 1.05)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.set_xlabel(what)


def _write_column(axes: Axes, name: str, values: Sequence[float], left: float, colour: str) -> float:
    """Write the numbers `left` points right of the bars; returns the width. The head of the column is the legend of its colour."""
    head = [plain(word, 10) for word in name.split()]
    texts = [_written(value) for value in values]
    width = 10 + 5.6 * max(len(text) for text in [*head, *texts])

    def write(row: float, text: str, vertical: str, shade: str, weight: str) -> None:
        axes.annotate(
            text,
            xy=(1, row),
            xycoords=axes.get_yaxis_transform(),
            xytext=(left + width, 0),
            textcoords="offset points",
            ha="right",
            va=vertical,
            color=shade,
            fontsize=8.5,
            fontweight=weight,
        )

    write(-0.7, "\n".join(head), "bottom", colour, "bold")
    for row, (value, text) in enumerate(zip(values, texts, strict=True)):
        write(row, text, "center", INK if value > 0 else SOFT, "normal")
    return width


def _written(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:.0f}" if value == round(value) else f"{value:.3g}"
