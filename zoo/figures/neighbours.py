"""Rows of nearest neighbours: the query in a frame of its own, then what was found, nearest first.

Right and wrong differ in colour, in the sign above the picture and in the line of the frame, so that no reader depends on colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from zoo.figures.style import COLOURS, FAINT, INK, WIDTH, new_figure, note_figure, plain, with_style

Picture = NDArray[np.uint8]
ACROSS = 5
"""Neighbours in a line; more go on below."""
_GAP, _APART = 0.07, 0.2  # inches between pictures, and between the query and its neighbours
_SIDE = (WIDTH - 6 * _GAP - _APART) / (ACROSS + 1)
_LINE = 0.15  # inches of height per line of text
_WORDS, _DIGITS = 8, 7  # characters of a title, and of a number beside its mark, that fit above a picture
_MARKS = {True: ("✓", COLOURS[0], "solid"), False: ("✗", COLOURS[1], "dashed"), None: ("", FAINT, "solid")}


@dataclass(frozen=True)
class Found:
    """One row.

    Attributes:
        query: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        neighbours: the same, nearest first; sizes may differ.
        distances: one for each neighbour.
        right: whether each is of the query's class or group; None where that is not known, () where none is.
        title: above the query, such as its class.
        titles: above the neighbours, with their distances; () for none.
    """

    query: Picture
    neighbours: Sequence[Picture]
    distances: Sequence[float]
    right: Sequence[bool | None] = ()
    title: str = "query"
    titles: Sequence[str] = ()


@with_style
def neighbour_rows(rows: Sequence[Found]) -> Figure:
    """A row for each query; more than `ACROSS` neighbours go on in lines below the first.

    Raises:
        ValueError: numbers of neighbours, distances, marks or titles differ, or a picture is none.
    """
    if not rows:
        return note_figure("no neighbours to show")
    lines = [_lines(row) for row in rows]
    tall = [_LINE * (2 if row.titles else 1) + 0.05 + _SIDE + _GAP for row in rows]  # of one line of pictures
    height = sum(number * line for number, line in zip(lines, tall, strict=True)) + _GAP * len(rows)
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    top = height - _GAP / 2
    for row, number, line in zip(rows, lines, tall, strict=True):
        _picture(figure, row.query, (_GAP, top - line + _GAP), [plain(row.title, _WORDS)], (INK, "solid", 2.2))
        for place in range(len(row.neighbours)):
            down, across = divmod(place, ACROSS)
            left = _GAP + _SIDE + _APART + across * (_SIDE + _GAP)
            sign, colour, dash = _MARKS[row.right[place] if row.right else None]
            words = [*([plain(row.titles[place], _WORDS)] if row.titles else []), f"{sign} {_short(row.distances[place])}".strip()]
            frame = (colour, dash, 1.8 if sign else 0.8)
            _picture(figure, row.neighbours[place], (left, top - (down + 1) * line + _GAP), words, frame)
        top -= number * line + _GAP
    return figure


def _short(distance: float) -> str:
    """With as many digits as there is room for: a number cut in the middle would be another one."""
    texts = (f"{distance:.{digits}g}" for digits in (3, 2))
    return next((text for text in texts if len(text) <= _DIGITS), f"{distance:.0e}")


def _lines(row: Found) -> int:
    """How many lines of pictures a row takes."""
    number = len(row.neighbours)
    for what, values in (("distances", row.distances), ("marks", row.right), ("titles", row.titles)):
        if len(values) != number and (values or what == "distances"):
            raise ValueError(f"{len(values)} {what} for {number} neighbours; expected one for each")
    return max(1, -(-number // ACROSS))


def _picture(figure: Figure, picture: Picture, corner: tuple[float, float], words: Sequence[str], frame: tuple[str, str, float]) -> None:
    """Draw a picture with its words above it, in inches from the lower left corner of the figure."""
    width, height = figure.get_size_inches()
    (left, low), (colour, dash, thickness) = corner, frame
    for number, text in enumerate(reversed(words)):
        ink = INK if colour == FAINT or number else colour
        base = low + _SIDE + 0.05 + number * _LINE
        figure.text(left / width, base / height, text, color=ink, fontsize=8, va="baseline")
    axes = figure.add_axes((left / width, low / height, _SIDE / width, _SIDE / height), anchor="NW")
    axes.imshow(_drawable(picture), cmap="gray", vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    outline = Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, color=colour, linestyle=dash, linewidth=thickness)
    axes.add_patch(outline).set_clip_on(False)


def _drawable(picture: Picture) -> Picture:
    image = np.asarray(picture)
    image = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if image.dtype != np.uint8 or not image.size or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))):
        raise ValueError(f"picture of {image.dtype} {image.shape}; expected uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")
    return image
