"""Each class against the others: precision against recall, and F1 against the threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from zoo.figures.style import COLOURS, FAINT, INK, SOFT, WIDTH, dress, new_figure, note_figure, plain, with_style

MOST = 10
"""Curves that can be told apart: eight colours, the ninth and tenth dashed."""
_POINTS = 400  # of a curve; more cannot be seen
_ROW = 0.155  # inches of a row of names
_PANEL = 2.3  # inches
Curve = tuple[ArrayLike, ArrayLike]


@with_style
def precision_recall(labels: Sequence[str], curves: Sequence[Curve], areas: Sequence[float]) -> Figure:
    """A curve for each class, with its average precision beside its name.

    Args:
        labels: at most `MOST`.
        curves: recall and precision, (K,) each, of each class, recall ascending.
        areas: the average precision of each.
    """
    if not labels:
        return note_figure("no class to measure")
    names = [f"{plain(label, 20)}  {area:.2f}" for label, area in zip(labels, areas, strict=True)]
    figure, axes = _panel(names)
    for place, (recall, precision) in enumerate(curves):
        x, y = (np.asarray(values, dtype=np.float64) for values in (recall, precision))
        _line(axes, place, np.insert(x, 0, 0.0), np.insert(y, 0, y[:1]), names[place])
    return _finished(figure, axes, ("recall", "precision"), len(names))


@with_style
def f1_thresholds(labels: Sequence[str], curves: Sequence[Curve], best: Sequence[tuple[float, float]]) -> Figure:
    """A curve for each class; a dot at its best threshold.

    Args:
        labels: at most `MOST`.
        curves: thresholds and F1, (K,) each, of each class, thresholds descending.
        best: threshold and F1 of each class's highest F1.
    """
    if not labels:
        return note_figure("no class to measure")
    names = [f"{plain(label, 20)}  {place:.2f}" for label, (place, _) in zip(labels, best, strict=True)]
    figure, axes = _panel(names)
    for place, (thresholds, f1) in enumerate(curves):
        x, y = (np.asarray(values, dtype=np.float64) for values in (thresholds, f1))
        _line(axes, place, np.append(x, 0.0), np.append(y, y[-1:]), names[place])  # below the lowest score all are called
        axes.plot(*best[place], marker="o", markersize=5.5, color=COLOURS[place % len(COLOURS)], markeredgecolor="white", zorder=4)
    return _finished(figure, axes, ("threshold of the class's probability", "F1"), len(names))


def _panel(names: Sequence[str]) -> tuple[Figure, Axes]:
    """One panel, placed by hand: above the rows of names there is always the same room."""
    if len(names) > MOST:
        raise ValueError(f"{len(names)} curves; expected at most {MOST}, as more cannot be told apart")
    below = 0.6 + _ROW * -(-len(names) // 2)
    height = _PANEL + below + 0.1
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.5 / WIDTH, below / height, (WIDTH - 0.65) / WIDTH, _PANEL / height))
    dress(axes)
    axes.grid(axis="x", color=FAINT, linewidth=0.7)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
    return figure, axes


def _line(axes: Axes, place: int, x: NDArray[np.float64], y: NDArray[np.float64], name: str) -> None:
    """A curve of at most so many points, evenly along its way: most thresholds lie where nothing changes."""
    way = np.cumsum(np.hypot(np.diff(x, prepend=x[:1]), np.diff(y, prepend=y[:1])))
    kept = np.unique(np.append(np.searchsorted(way, np.linspace(0, way[-1], _POINTS)), len(x) - 1))
    dashed = place >= len(COLOURS)
    axes.plot(
        x[kept], y[kept], color=COLOURS[place % len(COLOURS)], linestyle=(0, (3, 1.5)) if dashed else "solid", linewidth=1.5, label=name
    )


def _finished(figure: Figure, axes: Axes, titles: tuple[str, str], curves: int) -> Figure:
    axes.set_xlabel(titles[0], color=SOFT, labelpad=1)
    axes.set_ylabel(titles[1], color=SOFT, labelpad=1)
    below = 0.4 / _PANEL
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(-0.08, -below),
        ncols=2 if curves > 1 else 1,
        frameon=False,
        borderaxespad=0,
        handlelength=2.0,
        labelcolor=INK,
        labelspacing=0.25,
        columnspacing=1.2,
    )
    return figure
