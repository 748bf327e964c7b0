"""Pictures side by side: samples of the data, and the mistakes a model is surest of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
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
    """Place every picture by hand: a layout engine needs seconds for a hundred axes."""
    if columns < 1:
        raise ValueError(f"{columns} columns; expected at least 1")
    rows = math.ceil(len(pictures) / columns)
    side = (WIDTH - _GAP * (columns + 1)) / columns
    head = _LINE * max(len(text) for text in lines) + 0.05
    height = rows * (side + head + _GAP) + _GAP
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    longest = max(6, int(side / _CHARACTER))
    for place, (picture, text) in enumerate(zip(pictures, lines, strict=True)):
        left = _GAP + (place % columns) * (side + _GAP)
        top = height - _GAP - (place // columns) * (side + head + _GAP)
        for number, (line, colour) in enumerate(text):
            base = top - _LINE * (number + 0.8)
            figure.text(left / WIDTH, base / height, plain(line, longest), color=colour, fontsize=8, va="baseline")
        axes = figure.add_axes((left / WIDTH, (top - head - side) / height, side / WIDTH, side / height), anchor="N")
        image = _drawable(picture)
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(FAINT)
    return figure


def _drawable(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = np.asarray(picture)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.dtype != np.uint8 or image.size == 0 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))):
        raise ValueError(f"picture of {image.dtype} {image.shape}; expected uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")
    return image
