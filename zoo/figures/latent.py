"""Figures of a code space: sheets of pictures that a model makes up, strips of edits, and codes laid out in a plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import ArrayLike, NDArray

from zoo.figures.style import COLOURS, FAINT, INK, SOFT, WIDTH, dress, new_figure, note_figure, plain, with_style

Pictures = Sequence[NDArray[np.uint8]]
_EDGE = 0.06  # inches around everything
_LINE = 0.19  # inches of height per line of text
_CHARACTER = 0.078  # inches of width per character, on average
_MARKERS = "o^s"
_MOST_CLASSES = len(COLOURS) * len(_MARKERS)


@with_style
def picture_sheet(pictures: Pictures, columns: int = 8, title: str = "") -> Figure:
    """Pictures of one size, (H, W), (H, W, 1) or (H, W, 3) of uint8, close together, row by row.

    Args:
        pictures: such as samples, or the steps of an interpolation.
        columns: at most so many in a row.
        title: a line above them.
    """
    if columns < 1:
        raise ValueError(f"{columns} columns; expected at least 1")
    if not len(pictures):
        return note_figure("no pictures to show")
    sheet = _mosaic(pictures, min(columns, len(pictures)))
    head = _LINE + 0.04 if title else 0.0
    width = WIDTH - 2 * _EDGE
    height = width * sheet.shape[0] / sheet.shape[1]
    figure = _page(height + head + 2 * _EDGE)
    if title:
        _write(figure, _EDGE, _EDGE, title, int(width / _CHARACTER))
    _place(figure, sheet, _EDGE + head, height)
    return figure


@with_style
def picture_strips(rows: Sequence[Pictures], columns: Sequence[str] = (), names: Sequence[str] = ()) -> Figure:
    """Rows of pictures of one size, with words above each column and above each row: edits by their strengths, for instance.

    Args:
        rows: equally many pictures in each, as in `picture_sheet`.
        columns: one for each column, such as strengths, or none.
        names: one for each row, such as attributes, or none.
    """
    if not rows or not len(rows[0]):
        return note_figure("no pictures to show")
    if any(len(row) != len(rows[0]) for row in rows):
        raise ValueError(f"rows of {sorted({len(row) for row in rows})} pictures; expected equally many in each")
    if (columns and len(columns) != len(rows[0])) or (names and len(names) != len(rows)):
        raise ValueError(
            f"{len(columns)} words above {len(rows[0])} columns, {len(names)} above {len(rows)} rows; expected one each, or none"
        )
    width = WIDTH - 2 * _EDGE
    mosaics = [_mosaic(row, len(row)) for row in rows]
    height = width * mosaics[0].shape[0] / mosaics[0].shape[1]
    head, above = (_LINE if columns else 0.0), (_LINE + 0.06 if names else _EDGE)
    figure = _page(2 * _EDGE + head + len(rows) * (height + above))
    step = width / len(rows[0])
    for place, word in enumerate(columns):
        _write(figure, _EDGE + (place + 0.5) * step, _EDGE, word, int(step / _CHARACTER), SOFT, "center")
    for place, mosaic in enumerate(mosaics):
        top = _EDGE + head + place * (height + above)
        if names:
            _write(figure, _EDGE, top + 0.06, names[place], int(width / _CHARACTER))
        _place(figure, mosaic, top + above, height)
    return figure


@with_style
def class_plane(points: ArrayLike, classes: ArrayLike | None = None, names: Sequence[str] = (), title: str = "") -> Figure:
    """Codes laid out in a plane, coloured by class.

    Args:
        points: (N, 2).
        classes: (N,) indices into `names`; None draws all alike.
        names: of the classes. From the 25th class on by size they share a grey, as codes of an index without a name do.
        title: a line above the plane.
    """
    places = _points(points)
    if not len(places):
        return note_figure("no codes to show")
    if classes is None:
        figure, axes = _plane(title)
        _dots(axes, places, len(places), color=COLOURS[0], alpha=0.7)
        return figure
    found = np.asarray(classes).reshape(-1)
    if found.shape != (len(places),):
        raise ValueError(f"{len(found)} classes for {len(places)} codes; expected one each")
    numbers = np.where((found >= 0) & (found < len(names)), found, -1)
    largest = np.argsort(-np.bincount(numbers + 1, minlength=len(names) + 1)[1:], kind="stable")[:_MOST_CLASSES]
    shown = sorted(int(number) for number in largest if (numbers == number).any())
    rows = math.ceil((len(shown) + 1) / _legend_columns(names))
    figure, axes = _plane(title, rows * 0.17)
    other = ~np.isin(numbers, shown)
    if other.any():
        _dots(axes, places[other], len(places), color=SOFT, alpha=0.4, label="other" if shown else "unknown")
    for place, number in enumerate(shown):
        look = {"color": COLOURS[place % len(COLOURS)], "marker": _MARKERS[place // len(COLOURS)]}
        own = places[numbers == number]
        _dots(axes, own, len(places), alpha=0.75, label=plain(names[number], 18) or "–", **look)
        if len(names[number]) <= 2:  # digits and letters are read more easily where they are than from their colours
            halo = [Stroke(linewidth=2.5, foreground="white"), Normal()]
            left, low = np.median(own, 0)
            axes.text(left, low, plain(names[number]), fontsize=13, weight="bold", ha="center", va="center", path_effects=halo)
    figure.legend(
        loc="outside lower center",
        ncols=_legend_columns(names),
        frameon=False,
        handletextpad=0.1,
        columnspacing=0.8,
        markerscale=_legend_scale(places),
    )
    return figure


@with_style
def value_plane(points: ArrayLike, values: ArrayLike, name: str, title: str = "") -> Figure:
    """Codes laid out in a plane, coloured by a real value; those whose value is not finite are grey.

    Args:
        points: (N, 2).
        values: (N,); colours end at the 2nd and 98th of hundred parts, so that a few far ones do not hide the rest.
        name: of the value, beside the colour bar.
        title: a line above the plane.
    """
    places, found = _points(points), np.asarray(values, np.float64).reshape(-1)
    if found.shape != (len(places),):
        raise ValueError(f"{len(found)} values for {len(places)} codes; expected one each")
    if not len(places):
        return note_figure("no codes to show")
    figure, axes = _plane(title)
    known = np.isfinite(found)
    _dots(axes, places[~known], len(places), color=FAINT)
    if not known.any():
        return figure
    least, most = (float(value) for value in np.percentile(found[known], (2, 98)))
    spread = (least, most) if most > least else (least - 0.5, least + 0.5)
    look = {"cmap": "viridis", "vmin": spread[0], "vmax": spread[1]}
    drawn = _dots(axes, places[known], len(places), c=found[known], alpha=0.85, **look)
    bar = figure.colorbar(drawn, ax=axes, fraction=0.05, pad=0.02)
    bar.solids.set_alpha(1)  # type: ignore[union-attr]  # None only before it is drawn
    bar.set_label(plain(name, 40))
    bar.ax.tick_params(colors=FAINT, labelcolor=SOFT, labelsize=8.5)
    bar.outline.set_visible(False)
    return figure


def _mosaic(pictures: Pictures, columns: int) -> NDArray[np.uint8]:
    """(rows * H, columns * W, 3) of all pictures with white between them; white where there are none."""
    images = [_rgb(picture) for picture in pictures]
    if len({image.shape for image in images}) != 1:
        raise ValueError(f"pictures of {len({image.shape for image in images})} sizes; expected one")
    height, width = images[0].shape[:2]
    gap = max(1, round(width / 16))
    rows = math.ceil(len(images) / columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for place, image in enumerate(images):
        top, left = place // columns * (height + gap), place % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def _rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = np.asarray(picture)
    flat = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if image.dtype != np.uint8 or not image.size or not (flat.ndim == 2 or (flat.ndim == 3 and flat.shape[2] == 3)):
        raise ValueError(f"picture of {image.dtype} {image.shape}; expected uint8 (H, W), (H, W, 1) or (H, W, 3)")
    return np.stack([flat] * 3, axis=-1) if flat.ndim == 2 else flat


def _page(height: float) -> Figure:
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    return figure


def _place(figure: Figure, image: NDArray[np.uint8], top: float, height: float) -> None:
    """Over the whole width, `top` inches below the upper edge."""
    whole = figure.get_figheight()
    axes = figure.add_axes((_EDGE / WIDTH, (whole - top - height) / whole, 1 - 2 * _EDGE / WIDTH, height / whole))
    axes.imshow(image, aspect="auto", interpolation="nearest")
    axes.set_axis_off()


def _write(figure: Figure, left: float, top: float, text: str, most: int, colour: str = INK, align: str = "left") -> None:
    whole = figure.get_figheight()
    figure.text(left / WIDTH, (whole - top - 0.13) / whole, plain(text, max(4, most)), color=colour, fontsize=9, ha=align, va="baseline")


def _points(points: ArrayLike) -> NDArray[np.float64]:
    places = np.asarray(points, np.float64)
    if places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f"points of shape {places.shape}; expected (N, 2)")
    return places


def _plane(title: str, below: float = 0.0) -> tuple[Figure, Axes]:
    """Axes without numbers, which mean nothing in such a plane."""
    figure = new_figure(height=3.9 + below)
    axes = figure.subplots()
    dress(axes, grid=None)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(FAINT)
    axes.set_xticks([])
    axes.set_yticks([])
    if title:
        axes.set_title(plain(title, 52))
    return figure, axes


def _dots(axes: Axes, places: NDArray[np.float64], number: int, **look: Any) -> PathCollection:
    """Some of `number` codes."""
    return axes.scatter(places[:, 0], places[:, 1], s=_dot(number), linewidths=0, **look)


def _dot(number: int) -> float:
    """Area in square points: fewer codes are drawn larger."""
    return float(np.clip(6000 / number, 5, 40))


def _legend_scale(places: NDArray[np.float64]) -> float:
    return math.sqrt(30 / _dot(len(places)))


def _legend_columns(names: Sequence[str]) -> int:
    longest = max((len(plain(name, 18)) for name in names), default=1)
    return int(np.clip(WIDTH / (0.3 + longest * _CHARACTER), 1, 6))
