"""Boxes on pictures: by class with their scores, samples of the data, and galleries of errors.

By class, a box has its class's colour and the truth is white. In galleries, which show one kind of error, truth is sky blue and what was
found orange, as of masks. Every line has a dark edge, ignored regions are hatched in grey.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from zoo.figures.masks import SAID, TRUTH, class_colour
from zoo.figures.style import FAINT, FONT, INK, SOFT, WIDTH, new_figure, note_figure, plain, with_style

IGNORED = -1
Picture = NDArray[np.uint8]
Corners = tuple[int, int, int, int]

_SHARP = 400  # pixels that the longer side of a picture has at least when lines are drawn on it
_AROUND = 3.0  # side of what a gallery shows, in sides of the box
_LEAST = 48  # pixels of the picture that a gallery shows at least
_GAP = 0.07
_LINE = 0.15  # inches of height per line of text
_CHARACTER = 0.071  # inches of width per character, on average
_NAMED = 12  # classes in a legend


# ---------------------------------------------------------------- on a picture


def outlined(
    picture: Picture,
    boxes: ArrayLike,
    classes: ArrayLike,
    scores: ArrayLike | None = None,
    labels: Sequence[str] = (),
    truth: tuple[ArrayLike, ArrayLike] | None = None,
    width: int | None = None,
) -> Picture:
    """The picture with boxes in the colours of their classes, the surest on top, each with a tag that lies within the picture.

    The size of letters follows the picture's longer side.

    Args:
        picture: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        boxes: (N, 4), left, top, right, bottom in pixels of it, corners between pixels; lines run just outside.
        classes: (N,), indices of the labels, `IGNORED` for a region that is hatched; other negative ones are no boxes.
        scores: (N,), written behind the label.
        labels: names of the classes; none for boxes without tags.
        truth: true boxes (M, 4) and their classes (M,), drawn below as thin white lines.
        width: of lines in pixels; by default it follows the picture's longer side too.

    Returns:
        (H, W, 3) uint8.
    """
    kinds = np.asarray(classes, np.int64).reshape(-1)
    sure = np.zeros(len(kinds)) if scores is None else np.asarray(scores, np.float64).reshape(-1)
    image = _coloured(picture)
    height = max(10, round(5 + max(image.shape) / 70))
    width = max(2, round(max(image.shape) / 320)) if width is None else width
    true = () if truth is None else tuple(_drawable(*truth, image.shape))
    found = sorted(_drawable(boxes, kinds, image.shape), key=lambda one: float(sure[one[0]]))
    for _, corners, kind in (*true, *found):
        if kind == IGNORED:
            _hatch(image, corners)
    drawn = Image.fromarray(image)
    brush = ImageDraw.Draw(drawn)
    for _, corners, kind in true:
        _frame(brush, corners, SOFT if kind == IGNORED else "white", max(1, width // 2))
    for _, corners, kind in found:
        _frame(brush, corners, SOFT if kind == IGNORED else class_colour(kind + 1), width)
    taken: list[Corners] = []
    for row, corners, kind in reversed(found):
        if 0 <= kind < len(labels):
            text = labels[kind] if scores is None else f"{labels[kind]} {sure[row]:.2f}"
            _tag(brush, corners, text, class_colour(kind + 1), height, width, taken)
    return np.asarray(drawn)


def _drawable(boxes: ArrayLike, classes: ArrayLike, shape: Sequence[int]) -> Iterator[tuple[int, Corners, int]]:
    """Row, corners in whole pixels (the last ones inclusive) and class of each box that can be seen."""
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    limit = np.array([shape[1], shape[0]] * 2)
    for row, (box, kind) in enumerate(zip(corners, np.asarray(classes).reshape(-1).tolist(), strict=True)):
        if kind < IGNORED or not np.isfinite(box).all() or (box[2:] <= 0).any() or (box[:2] >= limit[:2]).any():
            continue
        left, top, right, bottom = np.rint(np.clip(box, 0, limit)).astype(int).tolist()
        yield row, (left, top, max(left, right - 1), max(top, bottom - 1)), int(kind)


def _frame(brush: ImageDraw.ImageDraw, corners: Corners, colour: str, width: int) -> None:
    """A line around a box, just outside of it where the picture goes on, with a dark edge outside."""
    right, bottom = (side - 1 for side in brush.im.size)
    edge = max(1, width // 3)
    for grown, thick, ink in ((width + edge, width + edge, INK), (width, width, colour)):
        left, top = (max(0, value - grown) for value in corners[:2])
        brush.rectangle((left, top, min(right, corners[2] + grown), min(bottom, corners[3] + grown)), outline=ink, width=thick)


def _tag(brush: ImageDraw.ImageDraw, corners: Corners, text: str, colour: str, height: int, width: int, taken: list[Corners]) -> None:
    """A text on its colour above the box; below or within it where the picture ends or another tag is."""
    font = _font(height)
    line = plain(text, 32).replace(r"\$", "$")
    broad, tall = math.ceil(font.getlength(line)) + height // 2, round(1.25 * height)
    across, down = brush.im.size
    if broad > across or tall > down:
        return
    left = min(max(0, corners[0] - width), across - broad)
    tops = (corners[1] - width - tall, corners[3] + width, corners[1], corners[3] - tall)
    free = [(left, top, left + broad, top + tall) for top in tops if 0 <= top <= down - tall]
    free = free or [(left, min(max(0, corners[1]), down - tall), left + broad, min(max(0, corners[1]), down - tall) + tall)]
    place = next((one for one in free if not any(_meet(one, other) for other in taken)), free[0])
    taken.append(place)
    brush.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=colour)
    dark = sum(weight * part for weight, part in zip((0.299, 0.587, 0.114), to_rgb(colour), strict=True)) > 0.45
    brush.text((place[0] + height // 4, place[1] + tall / 2), line, fill=INK if dark else "white", font=font, anchor="lm")


def _meet(one: Corners, other: Corners) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(findfont(FONT), size)


def _coloured(picture: Picture) -> Picture:
    """Any picture as (H, W, 3), a copy."""
    image = np.asarray(picture)
    image = image[:, :, None] if image.ndim == 2 else image
    if image.dtype != np.uint8 or image.size == 0 or image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise ValueError(f"picture of {image.dtype} {picture.shape}; expected uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[:, :, :3].copy()


def _hatch(image: Picture, corners: Corners) -> None:
    """Dim a region and draw diagonal stripes over it, in place."""
    part = image[corners[1] : corners[3] + 1, corners[0] : corners[2] + 1]
    down, right = np.ogrid[: part.shape[0], : part.shape[1]]
    period = max(4, max(image.shape) // 40)
    stripes = np.where((down + right) % period < period / 2, 90, 165)
    part[:] = (0.5 * part + 0.5 * stripes[..., None]).astype(np.uint8)


def _enlarged(picture: Picture) -> tuple[Picture, int]:
    """A small picture as many times as large as lines on it need; and how many."""
    scale = math.ceil(_SHARP / max(picture.shape[:2]))
    return picture.repeat(scale, axis=0).repeat(scale, axis=1), scale


# ---------------------------------------------------------------- galleries


@dataclass(frozen=True)
class Case:
    """One box that something is wrong with, and what lies around it.

    Attributes:
        picture: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8.
        box: (4,), left, top, right, bottom.
        found: (N, 4), what was found in the picture.
        truth: (M, 4), what is there.
        ignored: (I, 4), regions that do not count.
        title: what it is, in one or two short lines.
        name: a file or id.
    """

    picture: Picture
    box: NDArray[Any]
    found: NDArray[Any]
    truth: NDArray[Any]
    ignored: NDArray[Any]
    title: tuple[str, ...]
    name: str


@with_style
def gallery(cases: Sequence[Case], columns: int = 3) -> Figure:
    """Parts of pictures around a box each, with all that was found and all that is there, in the order given.

    The box itself has a thick line. Small parts are enlarged.
    """
    if not cases:
        return note_figure("no boxes to show")
    entries: list[Artist] = [_line_entry("true box", TRUTH), _line_entry("found box", SAID)]
    if any(len(case.ignored) for case in cases):
        entries.append(Patch(facecolor=FAINT, edgecolor=SOFT, hatch="////", linewidth=0, label="ignored"))
    return _tiled([_close_up(case) for case in cases], [(*case.title, case.name) for case in cases], entries, columns)


def _close_up(case: Case) -> Picture:
    image, (left, top) = _window(_coloured(case.picture), np.asarray(case.box, np.float64))
    image, scale = _enlarged(image)
    width = max(2, round(max(image.shape) / 65))

    def shown(boxes: ArrayLike) -> list[Corners]:
        moved = (np.asarray(boxes, np.float64).reshape(-1, 4) - (left, top, left, top)) * scale
        return [corners for _, corners, _ in _drawable(moved, np.zeros(len(moved)), image.shape)]

    for corners in shown(case.ignored):
        _hatch(image, corners)
    drawn = Image.fromarray(image)
    brush = ImageDraw.Draw(drawn)
    own = shown(case.box)
    for boxes, colour in ((case.truth, TRUTH), (case.found, SAID)):
        for corners in sorted(shown(boxes), key=lambda one: one in own):
            _frame(brush, corners, colour, width if corners in own else width // 2)
    return np.asarray(drawn)


def _window(image: Picture, box: NDArray[np.float64]) -> tuple[Picture, tuple[int, int]]:
    """The part of a picture around a box, as square as the picture allows, and its left upper corner."""
    side = max(_LEAST, math.ceil(_AROUND * max(box[2] - box[0], box[3] - box[1])))
    begins, ends = [], []
    for whole, low, high in zip(image.shape[1::-1], box[:2], box[2:], strict=True):
        wide = min(side, whole)
        begin = min(max(0, round((low + high - wide) / 2)), whole - wide)
        begins.append(begin)
        ends.append(begin + wide)
    return image[begins[1] : ends[1], begins[0] : ends[0]], (begins[0], begins[1])


@with_style
def sample_grid(
    pictures: Sequence[Picture], boxes: Sequence[ArrayLike], classes: Sequence[ArrayLike], labels: Sequence[str], columns: int = 2
) -> Figure:
    """Pictures with their true boxes in the colours of their classes; what is ignored is hatched.

    Args:
        pictures: any that `outlined` takes.
        boxes: of each picture (N, 4).
        classes: of each picture (N,).
        labels: names of the classes.
        columns: pictures in a row.
    """
    if not len(pictures) == len(boxes) == len(classes):
        raise ValueError(f"pictures, boxes and classes number {(len(pictures), len(boxes), len(classes))}; expected equal numbers")
    if not pictures:
        return note_figure("no pictures to show")
    drawn = []
    for picture, corners, kinds in zip(pictures, boxes, classes, strict=True):
        image, scale = _enlarged(_coloured(picture))
        line = max(2, round(max(image.shape) / 130))  # it is shown small
        drawn.append(outlined(image, np.asarray(corners, np.float64).reshape(-1, 4) * scale, kinds, width=line))
    occurring = sorted({int(kind) for kinds in classes for kind in np.asarray(kinds).reshape(-1)})
    named = [kind for kind in occurring if 0 <= kind < len(labels)][:_NAMED]
    entries: list[Artist] = [_line_entry(labels[kind], class_colour(kind + 1)) for kind in named]
    if IGNORED in occurring:
        entries.append(Patch(facecolor=FAINT, edgecolor=SOFT, hatch="////", linewidth=0, label="ignored"))
    return _tiled(drawn, [() for _ in drawn], entries, columns)


def _tiled(tiles: Sequence[Picture], lines: Sequence[Sequence[str]], entries: Sequence[Artist], columns: int) -> Figure:
    """Pictures side by side, each below its lines of text, and all below a legend."""
    columns = min(columns, len(tiles))
    side = (WIDTH - _GAP * (columns + 1)) / columns
    if columns == 1:
        side = min(side, 2.8)
    legend = 0.2 * math.ceil(len(entries) / 3) + 0.05 if entries else 0.0
    text = _LINE * max(len(one) for one in lines) + 0.05
    tall = side * max(min(1.0, tile.shape[0] / tile.shape[1]) for tile in tiles)
    height = legend + math.ceil(len(tiles) / columns) * (text + tall + _GAP) + _GAP
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    if entries:
        _write_legend(figure, entries)
    longest = max(6, int(side / _CHARACTER))
    for place, (tile, words) in enumerate(zip(tiles, lines, strict=True)):
        left = _GAP + (place % columns) * (side + _GAP)
        top = height - legend - _GAP - (place // columns) * (text + tall + _GAP)
        for number, line in enumerate(words):
            base = (top - _LINE * (number + 0.8)) / height
            figure.text(
                left / WIDTH, base, plain(line, longest), fontsize=8, color=SOFT if number == len(words) - 1 else INK, va="baseline"
            )
        axes = figure.add_axes((left / WIDTH, (top - text - tall) / height, side / WIDTH, tall / height), anchor="NW")
        axes.imshow(tile)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(FAINT)
    return figure


def _line_entry(label: str, colour: str) -> Line2D:
    return Line2D([], [], color=colour, linewidth=2.5, label=plain(label, 18))


def _write_legend(figure: Figure, entries: Sequence[Artist]) -> None:
    height = figure.get_size_inches()[1]
    figure.legend(
        handles=list(entries),
        loc="upper left",
        bbox_to_anchor=(_GAP / WIDTH, 1 - 0.05 / height),
        ncols=3,
        frameon=False,
        fontsize=8.5,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.4,
        columnspacing=1.2,
    )
