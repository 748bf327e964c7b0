"""How a classifier's answers changed over the epochs: confusion matrices, F1 of each class, and the pairs it confuses most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from zoo.figures.confusion import SHADES, row_shares
from zoo.figures.style import COLOURS, FAINT, INK, SOFT, WIDTH, dress, new_figure, note_figure, plain, with_style

_COLUMNS = 3
_GAP, _HEAD = 0.12, 0.2  # inches
_LINE = 0.17  # inches of a class in the heat map
_CHARACTER = 0.07  # inches of width per character, on average


@with_style
def confusion_strip(matrices: Mapping[int, ArrayLike], best: int | None = None) -> Figure:
    """Small confusion matrices (C, C) side by side, each under its epoch; colours as in the large one. A star marks the epoch `best`."""
    if not matrices:
        return note_figure("no epoch has ended yet")
    columns = min(_COLUMNS, len(matrices))
    rows = -(-len(matrices) // columns)
    side = min(1.9, (WIDTH - _GAP * (columns + 1)) / columns)
    height = rows * (side + _HEAD + _GAP)
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    for place, (epoch, counts) in enumerate(matrices.items()):
        left, top = _GAP + place % columns * (side + _GAP), height - place // columns * (side + _HEAD + _GAP)
        axes = figure.add_axes((left / WIDTH, (top - _HEAD - side) / height, side / WIDTH, side / height), xticks=[], yticks=[])
        axes.spines[:].set_color(FAINT)
        axes.imshow(
            row_shares(np.asarray(counts, dtype=np.float64)),
            cmap=SHADES.with_extremes(bad=FAINT),
            norm=PowerNorm(0.5, 0, 1),
            aspect="auto",
            interpolation="nearest",
        )
        figure.text(left / WIDTH, (top - _HEAD + 0.05) / height, f"epoch {epoch}{' ★' if epoch == best else ''}", fontsize=8.5, color=INK)
    return figure


@with_style
def class_heat(values: ArrayLike, labels: Sequence[str], epochs: Sequence[int], best: int | None = None) -> Figure:
    """A row for each class and a column for each epoch; dark is good. The numbers are of the epoch `best`, else of the last.

    Args:
        values: (classes, epochs) in [0, 1]; NaN is grey.
        labels: of the rows.
        epochs: of the columns, ascending.
        best: is marked by a dotted line.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (len(labels), len(epochs)):
        raise ValueError(f"values of shape {numbers.shape}; expected one row for each of {len(labels)} labels and {len(epochs)} columns")
    if not numbers.size:
        return note_figure("no epoch has ended yet")
    names = [plain(label, 22) for label in labels]
    left, right, below, above = 0.15 + _CHARACTER * max(map(len, names)), 0.42, 0.45, 0.25
    line = max(_LINE, 0.6 / len(labels))
    height = below + above + line * len(labels)
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((left / WIDTH, below / height, (WIDTH - left - right) / WIDTH, 1 - (below + above) / height))
    dress(axes, grid=None)
    axes.imshow(numbers, cmap=SHADES.with_extremes(bad=FAINT), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(labels)), names)
    axes.tick_params(length=0, labelcolor=INK, labelsize=8)
    shown = sorted({*np.linspace(0, len(epochs) - 1, min(len(epochs), 8)).round().astype(int).tolist()})
    axes.set_xticks(shown, [str(epochs[column]) for column in shown])
    axes.set_xlabel("epoch", labelpad=1)
    known = best is not None and best in epochs
    column = list(epochs).index(best) if best is not None and known else len(epochs) - 1
    axes.set_title(f"epoch {epochs[column]}{' ★' if known else ''}", loc="right", fontsize=8.5, color=SOFT, fontweight="normal")
    if known and len(epochs) > 1:
        axes.axvline(column, color=COLOURS[1], linewidth=1, linestyle=":")
    for row, value in enumerate(numbers[:, column]):
        text = f"{value:.2f}" if math.isfinite(value) else "–"
        axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=INK)
    return figure


@with_style
def pair_lines(values: ArrayLike, names: Sequence[tuple[str, str]], epochs: Sequence[int], best: int | None = None) -> Figure:
    """A line for each pair of classes: the share of the one's pictures that was taken for the other after each epoch.

    Args:
        values: (pairs, epochs) in [0, 1].
        names: truth and what was said, at most as many pairs as there are colours.
        epochs: of the columns, ascending.
        best: is marked by a dotted line.
    """
    numbers: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    if not numbers.size:
        return note_figure("no pair is confused")
    below = 0.55 + 0.155 * len(names)
    height = 1.9 + below + 0.1
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.5 / WIDTH, below / height, (WIDTH - 0.65) / WIDTH, 1.9 / height))
    dress(axes)
    for place, ((truth, said), line) in enumerate(zip(names, numbers, strict=True)):
        marker = "o" if len(epochs) <= 30 else None
        axes.plot(
            epochs, 100 * line, color=COLOURS[place], marker=marker, markersize=3, linewidth=1.5, label=f"{plain(truth)} → {plain(said)}"
        )
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.set_xlabel("epoch", labelpad=1)
    axes.set_ylabel("% of the true class", labelpad=1)
    if best is not None and best in epochs:
        axes.axvline(best, color=SOFT, linewidth=1, linestyle=":")
    axes.legend(loc="upper left", bbox_to_anchor=(-0.08, -0.38 / 1.9), frameon=False, borderaxespad=0, handlelength=2.0, labelspacing=0.25)
    return figure
