"""One number for each pair of two things, such as networks and losses: a heat map with the best marked."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from zoo.figures.style import COLOURS, FAINT, INK, SOFT, WIDTH, dress, new_figure, note_figure, plain, with_style

_SHADES = LinearSegmentedColormap.from_list("paper to blue", ["#f2f7fb", "#9fcbe6", COLOURS[0], "#00375a"])
_CELL = 0.5  # inches of a row
_COLUMN = 0.78


@with_style
def heat_map(
    values: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    titles: tuple[str, str] = ("", ""),
    spreads: ArrayLike | None = None,
    best: tuple[int, int] | None = None,
    near: Collection[tuple[int, int]] = (),
    mode: Literal["min", "max"] = "max",
) -> Figure:
    """Draw numbers (rows, columns); each is written in its field, NaN leaves it grey. Dark is good.

    Args:
        values: (rows, columns).
        rows: their names.
        columns: their names.
        titles: what the rows are, and the columns.
        spreads: (rows, columns), written below the numbers as ±; NaN writes nothing.
        best: the field that gets a star and a frame.
        near: fields that get a thin frame, because they cannot be told from the best.
        mode: whether high values are good or low ones.
    """
    numbers = np.asarray(values, dtype=np.float64)
    around = np.full(numbers.shape, np.nan) if spreads is None else np.asarray(spreads, dtype=np.float64)
    if numbers.shape != (len(rows), len(columns)) or around.shape != numbers.shape:
        raise ValueError(f"values of shape {numbers.shape} for {len(rows)} rows and {len(columns)} columns; expected one for each field")
    if not np.isfinite(numbers).any():
        return note_figure("no cell is finished yet")
    left = 0.5 + 0.075 * max(len(plain(name, 22)) for name in rows)
    slanted = max(len(name) for name in columns) > 10
    figure = new_figure(max(WIDTH, left + _COLUMN * len(columns)), 1.0 + 0.5 * slanted + _CELL * len(rows))
    axes = figure.subplots()
    dress(axes, grid=None)
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    goodness = (numbers - low) / (high - low) if high > low else np.where(np.isfinite(numbers), 0.5, np.nan)
    goodness = goodness if mode == "max" else 1 - goodness
    axes.imshow(goodness, cmap=_SHADES.with_extremes(bad=FAINT), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_xticks(
        range(len(columns)), [plain(name, 22) for name in columns], rotation=30 if slanted else 0, ha="left" if slanted else "center"
    )
    axes.set_yticks(range(len(rows)), [plain(name, 22) for name in rows])
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(plain(titles[1], 30), fontweight="bold")
    axes.set_ylabel(plain(titles[0], 30), fontweight="bold")
    axes.xaxis.set_label_position("top")
    _draw_edges(axes, len(rows), len(columns))
    for row, column in np.ndindex(*numbers.shape):
        field = (float(part[row, column]) for part in (numbers, around, goodness))
        _write(axes, row, column, (row, column) == best, *field)
        if (row, column) == best or (row, column) in near:
            axes.add_patch(_frame(row, column, (row, column) == best))
    return figure


def _draw_edges(axes: Axes, rows: int, columns: int) -> None:
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0, top=False)


def _write(axes: Axes, row: int, column: int, best: bool, value: float, spread: float, goodness: float) -> None:
    """The number of a field, with its spread and, for the best, a star."""
    if not math.isfinite(value):
        axes.text(column, row, "–", ha="center", va="center", color=SOFT, fontsize=9)
        return
    ink = "white" if goodness > 0.55 else INK
    several = math.isfinite(spread)
    text = f"{'★ ' if best else ''}{value:.3f}" if abs(value) < 100 else f"{'★ ' if best else ''}{value:.4g}"
    axes.text(
        column,
        row - (0.14 if several else 0),
        text,
        ha="center",
        va="center",
        color=ink,
        fontsize=9.5,
        fontweight="bold" if best else "normal",
    )
    if several:
        axes.text(column, row + 0.22, f"± {spread:.2g}", ha="center", va="center", color=ink, fontsize=8)


def _frame(row: int, column: int, best: bool) -> Rectangle:
    line = {"linewidth": 2.2} if best else {"linewidth": 1.2, "linestyle": (0, (3, 2))}
    return Rectangle((column - 0.47, row - 0.46), 0.94, 0.92, fill=False, edgecolor=COLOURS[1], **line)
