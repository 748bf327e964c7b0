"""Which class is taken for which: the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from zoo.figures.style import COLOURS, FAINT, INK, dress, new_figure, note_figure, plain, with_style

SHADES = LinearSegmentedColormap.from_list("paper to ink", ["#ffffff", "#9fcbe6", COLOURS[0], "#00273d"])
_MOST_WRITTEN = 20
_LABELS = 1.5  # inches that the names take at the left and below


@with_style
def confusion_matrix(matrix: ArrayLike, labels: Sequence[str]) -> Figure:
    """Draw counts (classes, classes): rows are the truth, columns the prediction, colour the share of the row.

    Up to 20 classes the counts are written as well. A class without pictures has a grey row. The colour follows the square root of
    the share, because the mistakes worth seeing are a few per cent.
    """
    counts = np.asarray(matrix, dtype=np.float64)
    if counts.shape != (len(labels), len(labels)) and not (counts.size == 0 and not labels):
        raise ValueError(f"confusion matrix of shape {counts.shape} for {len(labels)} labels; expected one row and one column per label")
    if not labels:
        return note_figure("no classes to confuse")
    cell = min(0.42, 8.0 / len(labels))
    side = max(cell * len(labels), 2.0)
    figure = new_figure(side + _LABELS + 0.2, side + _LABELS + 0.3)
    axes = figure.subplots()
    dress(axes, grid=None)
    shares = row_shares(counts)
    image = axes.imshow(shares, cmap=SHADES.with_extremes(bad=FAINT), norm=PowerNorm(0.5, 0, 1), aspect="equal", interpolation="nearest")
    _write_labels(axes, labels, cell)
    if len(labels) <= _MOST_WRITTEN:
        _write_counts(axes, counts, shares)
    bar = figure.colorbar(image, ax=axes, orientation="horizontal", location="top", fraction=0.02, pad=0.01, aspect=60)
    bar.set_ticks([0, 0.05, 0.25, 0.5, 1])
    bar.ax.set_xticklabels(["0", "5 %", "25 %", "50 %", "100 % of the row"])
    bar.ax.tick_params(labelsize=8, color=FAINT)
    bar.outline.set_visible(False)
    return figure


def row_shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row divided by its sum; NaN where the row is empty."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.full_like(counts, np.nan)
    np.divide(counts, totals, out=shares, where=totals > 0)
    return shares


def _write_labels(axes: Axes, labels: Sequence[str], cell: float) -> None:
    step = max(1, math.ceil(0.15 / cell))  # hundreds of classes: every step-th name
    places = range(0, len(labels), step)
    names = [plain(labels[index], 22) for index in places]
    axes.set_xticks(places, names, rotation=90)
    axes.set_yticks(places, names)
    axes.tick_params(length=0, labelcolor=INK, labelsize=8.5 if cell > 0.2 else 8)
    axes.set_xlabel("prediction", fontweight="bold")
    axes.set_ylabel("truth", fontweight="bold")
    edges = np.arange(len(labels) + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color="#eef1f4", linewidth=0.5 if cell > 0.05 else 0)
    axes.tick_params(which="minor", length=0)


def _write_counts(axes: Axes, counts: NDArray[np.float64], shares: NDArray[np.float64]) -> None:
    for row, column in np.argwhere(counts > 0):
        axes.text(
            column,
            row,
            f"{counts[row, column]:.0f}",
            ha="center",
            va="center",
            fontsize=8 if counts.max() < 10_000 else 6.5,
            color="white" if shares[row, column] > 0.2 else INK,
        )
