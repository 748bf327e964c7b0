"""The shared look of all figures: narrow enough for a phone, sharp on dense screens, safe for colour-blind readers.

Figures are plain `matplotlib.figure.Figure` objects: pyplot keeps every figure alive in global state, which a long training cannot afford.
Colours are those of Okabe and Ito, "Color Universal Design" (2008).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from PIL import Image

WIDTH = 4.2  # inches; a page shows it 420 pixels wide, so that 9 pt text is still legible when a phone shrinks it to 340
DPI = 200
INK, SOFT, FAINT = "#1b1f24", "#59636e", "#d9dee3"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6b4c9a", "#000000")
FONT = "DejaVu Sans"  # comes with matplotlib: the same picture on every machine

with_style = rc_context(
    {
        "font.family": [FONT],
        "font.size": 9.5,
        "text.color": INK,
        "axes.edgecolor": SOFT,
        "axes.labelcolor": SOFT,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "legend.fontsize": 8.5,
        "lines.linewidth": 1.8,
    }
)
"""Decorator of the functions that draw. Ticks are made later, when the figure is saved: `dress` sets their look by itself."""


def new_figure(width: float = WIDTH, height: float = 3.0) -> Figure:
    """An empty white figure of `width` x `height` inches that can save itself without a screen."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, grid: Literal["x", "y"] | None = "y") -> None:
    """Take away the frame, quieten the ticks and lay a faint grid along `grid`, if any, behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(which="both", colors=FAINT, labelcolor=SOFT, labelsize=8.5, labelfontfamily=FONT)
    axes.set_axisbelow(True)
    if grid is not None:
        axes.grid(axis=grid, color=FAINT, linewidth=0.7)


def note_figure(text: str) -> Figure:
    """A small figure that says why there is nothing to draw."""
    figure = new_figure(height=1.0)
    figure.text(0.5, 0.5, plain(text, 60), ha="center", va="center", color=SOFT, fontsize=10, fontfamily=FONT)
    return figure


def plain(text: object, width: int = 24) -> str:
    """Text from outside as one drawable line: no line breaks, no mathematics, no missing glyphs, at most `width` characters."""
    line = " ".join(str(text).split())
    line = "".join(character if _drawable(character) else "\N{REPLACEMENT CHARACTER}" for character in line)
    if len(line) > width:  # the end of a name often tells neighbours apart (man_1, man_2), so the middle goes
        tail = (width - 1) // 3
        line = line[: width - 1 - tail] + "…" + line[len(line) - tail :]
    return line.replace("$", r"\$")


def save(figure: Figure, path: Path | BinaryIO) -> None:
    """Write `figure` as an opaque PNG whose bytes do not name the version of matplotlib.

    The pixels are those of `Figure.savefig`, which draws everything twice, the first time to lay it out; a figure lays itself out anyway.
    """
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib does not say the types of what follows
    canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(path, "PNG", dpi=(figure.dpi, figure.dpi))


@lru_cache(maxsize=4096)
def _drawable(character: str) -> bool:
    return character.isprintable() and get_font(findfont(FONT)).get_char_index(ord(character)) != 0
