"""Pictures beside what a model made of them, row by row: reconstructions with their errors, spoilt pictures with what was restored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from zoo.figures.style import FAINT, INK, SOFT, WIDTH, new_figure, note_figure, plain, with_style

Picture = NDArray[np.uint8]

AMPLIFIED = 3
"""How many times larger than it is a difference is drawn: most are too faint to see."""

_GAP = 0.07
_LINE = 0.16  # inches of height per line of text
_CHARACTER = 0.075  # inches of width per character, on average


@dataclass(frozen=True)
class Row:
    """Pictures that belong together.

    Attributes:
        pictures: (H, W), (H, W, 1) or (H, W, 3) uint8, one for each column; all of a gallery are drawn as high as the row's highest.
        name: what they are of, such as a file; on the left above them.
        note: numbers, on the right above them.
    """

    pictures: Sequence[Picture]
    name: str = ""
    note: str = ""


@with_style
def pair_gallery(columns: Sequence[str], rows: Sequence[Row]) -> Figure:
    """Rows of pictures under headings, each with a line of words above it.

    Args:
        columns: headings, such as "picture", "reconstruction", "difference".
        rows: in the order to show, each with as many pictures as there are columns.

    Raises:
        ValueError: a row has another number of pictures, or something that is no picture.
    """
    for row in rows:
        if len(row.pictures) != len(columns):
            raise ValueError(f"a row of {len(row.pictures)} pictures under {len(columns)} headings; expected one under each")
    if not rows:
        return note_figure("no pictures to show")
    side = (WIDTH - _GAP * (len(columns) + 1)) / len(columns)
    heights = [side * min(1.6, max(_drawable(one).shape[0] / one.shape[1] for one in row.pictures)) for row in rows]
    top = _LINE + 0.12 + sum(heights) + (_LINE + 0.14) * len(rows)
    figure = new_figure(WIDTH, top)
    figure.set_layout_engine("none")
    _write_headings(figure, columns, side)
    top -= _LINE + 0.12
    for row, tall in zip(rows, heights, strict=True):
        _draw_row(figure, row, side, top, tall)
        top -= tall + _LINE + 0.14
    return figure


def difference(picture: Picture, other: Picture) -> Picture:
    """How far each value is from the other picture's, `AMPLIFIED` times: black where they are equal; of the same shape."""
    apart = np.abs(picture.astype(np.int16) - other.astype(np.int16)) * AMPLIFIED
    return apart.clip(0, 255).astype(np.uint8)


def _write_headings(figure: Figure, columns: Sequence[str], side: float) -> None:
    height = figure.get_size_inches()[1]
    for column, heading in enumerate(columns):
        left = _GAP + column * (side + _GAP)
        text = plain(heading, max(6, int(side / _CHARACTER)))
        figure.text(left / WIDTH, 1 - 0.17 / height, text, fontsize=8.5, fontweight="bold", color=INK)


def _draw_row(figure: Figure, row: Row, side: float, top: float, tall: float) -> None:
    """A line of text, `top` inches above the figure's lower edge, and below it the pictures, `tall` inches high."""
    height = figure.get_size_inches()[1]
    words = int((WIDTH - 3 * _GAP) / _CHARACTER)
    note = plain(row.note, words)
    figure.text(_GAP / WIDTH, (top - 0.14) / height, plain(row.name, max(6, words - len(note) - 2)), fontsize=8)
    figure.text(1 - _GAP / WIDTH, (top - 0.14) / height, note, fontsize=8, ha="right", color=SOFT)
    for column, picture in enumerate(row.pictures):
        left = _GAP + column * (side + _GAP)
        axes = figure.add_axes((left / WIDTH, (top - 0.2 - tall) / height, side / WIDTH, tall / height), anchor="N")
        axes.imshow(_drawable(picture), cmap="gray", vmin=0, vmax=255)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(FAINT)


def _drawable(picture: Picture) -> Picture:
    image = picture[:, :, 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    if image.dtype != np.uint8 or image.size == 0 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(f"picture of {picture.dtype} {picture.shape}; expected uint8 (H, W), (H, W, 1) or (H, W, 3)")
    return image
