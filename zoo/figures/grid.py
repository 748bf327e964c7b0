"""Pictures side by side: samples of the data, and the mistakes a model is surest of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from zoo.figures.style import COLOURS, FAINT, INK, WIDTH, new_figure, note_figure, plain, with_style

Pictures = Sequence[NDArray[np.uint8]]
_GAP = 0.07
_LINE = 0.145  # inches of height per line of text
_CHARACTER = 0.071  # inches of width per character, on average


@with_style
def picture_grid(pictures: Pictures, titles: Sequence[str] = (), columns: int = 4) -> Figure:
    """Pictures (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, each with its title above; sizes may differ.

    Args:
        pictures: what to draw, row by row.
        titles: one per picture, or none at all; shortened to the width of a column.
        columns: pictures in a row.
    """
    if titles and len(titles) != len(pictures):
        raise ValueError(f"{len(titles)} titles for {len(pictures)} pictures; expected one each, or none")
    lines = [[(title, INK)] for title in titles] or [[] for _ in pictures]
    return _draw(pictures, lines, columns) if len(pictures) else note_figure("no pictures to show")


@with_style
def mistake_gallery(
    pictures: Pictures, truths: Sequence[str], predictions: Sequence[str], scores: Sequence[float], columns: int = 3
) -> Figure:
    """Wrongly predicted pictures, in the order given, each with its truth, its prediction and the score of the prediction (0 to 1)."""
    if not len(pictures) == len(truths) == len(predictions) == len(scores):
        given = (len(pictures), len(truths), len(predictions), len(scores))
        raise ValueError(f"pictures, truths, predictions and scores number {given}; expected equal numbers")
    if not len(pictures):
        return note_figure("no mistakes to show")
    lines = [
        [(f"is {truth}", COLOURS[0]), (f"said {prediction}", COLOURS[1]), (f"{score:.0%} sure", INK)]
        for truth, prediction, score in zip(truths, predictions, scores, strict=True)
    ]
    return _draw(pictures, lines, columns)


def _draw(pictures: Pictures, lines: Sequence[Sequence[tuple[str, str]]], columns: int) -> Figure:
    """Place every picture by hand, in inches on one pair of axes: axes for each, or a layout engine, would take most of the time."""
    if columns < 1:
        raise ValueError(f"{columns} columns; expected at least 1")
    rows = math.ceil(len(pictures) / columns)
    side = (WIDTH - _GAP * (columns + 1)) / columns
    head = _LINE * max(len(text) for text in lines) + 0.05
    height = rows * (side + head + _GAP) + _GAP
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height), autoscale_on=False)
    axes.set_axis_off()
    longest = max(6, int(side / _CHARACTER))
    for place, (picture, text) in enumerate(zip(pictures, lines, strict=True)):
        left = _GAP + (place % columns) * (side + _GAP)
        top = height - _GAP - (place // columns) * (side + head + _GAP)
        for number, (line, colour) in enumerate(text):
            axes.text(left, top - _LINE * (number + 0.8), plain(line, longest), color=colour, fontsize=8, va="baseline")
        _place(axes, _drawable(picture), left, top - head, side)
    return figure


def _place(axes: Axes, image: NDArray[np.uint8], left: float, top: float, side: float) -> None:
    """A picture with a frame, as large as a square of `side` below `top` allows; in its middle if it is narrower."""
    scale = side / max(image.shape[:2])
    high, wide = (length * scale for length in image.shape[:2])
    left += (side - wide) / 2
    drawn = AxesImage(axes, cmap="gray", norm=Normalize(0, 255), extent=(left, left + wide, top - high, top), origin="upper")
    drawn.set_data(image)
    axes.add_artist(drawn)
    axes.add_artist(Rectangle((left, top - high), wide, high, fill=False, edgecolor=FAINT, linewidth=0.8))


def _drawable(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = np.asarray(picture)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.dtype != np.uint8 or image.size == 0 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))):
        raise ValueError(f"picture of {image.dtype} {image.shape}; expected uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")
    return image
