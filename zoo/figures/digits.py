"""What a model of pictures makes up: sheets of samples, labels by styles, a plane of codes; and which dimensions of a code are used."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from zoo.figures.style import COLOURS, FAINT, SOFT, WIDTH, dress, new_figure, note_figure, plain, with_style

Pictures = Sequence[NDArray[np.uint8]]
_LINE = 0.16  # inches of height per line of text
_MARGIN = 0.07
_MOST_BARS = 60


def mosaic(rows: Sequence[Pictures]) -> NDArray[np.uint8]:
    """Rows of pictures of one size, (H, W), (H, W, 1) or (H, W, 3) uint8, with light lines between them: one (height, width, 3).

    The last row may be shorter.

    Raises:
        ValueError: there are none, or they differ in size.
    """
    images = [[_colours(picture) for picture in row] for row in rows]
    shapes = {image.shape for row in images for image in row}
    if len(shapes) != 1:
        raise ValueError(f"pictures of {sorted(shapes) or 'no size'}; expected one or more of one size")
    ((height, width, _),) = shapes
    gap = max(1, round(width / 28))
    sheet = np.full((len(rows) * (height + gap) - gap, len(rows[0]) * (width + gap) - gap, 3), 217, np.uint8)
    for down, row in enumerate(images):
        for along, image in enumerate(row):
            top, left = down * (height + gap), along * (width + gap)
            sheet[top : top + height, left : left + width] = image
    return sheet


@with_style
def sample_sheet(pictures: Pictures, columns: int = 8) -> Figure:
    """Samples side by side.

    Args:
        pictures: of one size, see `mosaic`.
        columns: in a row.
    """
    if not len(pictures):
        return note_figure("no samples to show")
    columns = min(columns, len(pictures))
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    return _sheet(rows)[0]


@with_style
def titled_grid(rows: Sequence[Pictures], above: Sequence[str] = (), beside: Sequence[str] = ()) -> Figure:
    """Rows of pictures with words above the columns or beside the rows: labels by styles, samples of each label.

    Args:
        rows: equally many pictures of one size each, see `mosaic`.
        above: one for each column, or none.
        beside: one for each row, or none; shortened to 12 characters.
    """
    if not rows or not rows[0]:
        return note_figure("no samples to show")
    for name, titles, places, kind in (("above", above, len(rows[0]), "columns"), ("beside", beside, len(rows), "rows")):
        if titles and len(titles) != places:
            raise ValueError(f"{len(titles)} titles {name} {places} {kind}; expected one each, or none")
    words = [plain(title, 12) for title in beside]
    left = 0.09 + 0.075 * max(map(len, words), default=0) if words else _MARGIN
    figure, axes = _sheet(rows, left, _LINE if above else 0.0)
    room = max(2, int((WIDTH - left) / len(rows[0]) / 0.075))
    for place, title in enumerate(above):
        axes.text(place + 0.5, -0.05, plain(title, room), ha="center", va="bottom", fontsize=8)
    for place, word in enumerate(words):
        axes.annotate(word, (0, place + 0.5), (-4, 0), textcoords="offset points", ha="right", va="center", fontsize=8)
    return figure


@with_style
def code_plane(rows: Sequence[Pictures], values: ArrayLike) -> Figure:
    """What a plane of codes decodes to, as figure 4 of Kingma & Welling 2013.

    Args:
        rows: from the highest second coordinate down, each from the lowest first coordinate up.
        values: (S,) the coordinates, rising, the same on both axes.
    """
    at = np.asarray(values, np.float64)
    if len(rows) != len(at) or any(len(row) != len(at) for row in rows):
        raise ValueError(f"{len(rows)} rows for {len(at)} coordinates; expected a square of pictures")
    figure, axes = _sheet(rows, 0.58, 0.05, 0.42)
    chosen = np.unique(np.linspace(0, len(at) - 1, 5).round().astype(int))
    words = [f"{at[place]:.2g}" for place in chosen]
    axes.set_xticks(chosen + 0.5, words)
    axes.set_yticks(len(at) - chosen - 0.5, words)
    axes.tick_params(colors=FAINT, labelcolor=SOFT, labelsize=8.5, length=2)
    axes.set_xlabel("first code", labelpad=1)
    axes.set_ylabel("second code", labelpad=1)
    return figure


@with_style
def activity_bars(activity: ArrayLike, threshold: float) -> Figure:
    """A bar for each dimension of a code, the most active first, on a logarithmic scale, with the threshold as a line.

    Args:
        activity: (D,) variances over pictures of the code's mean; what is not finite counts as 0.
        threshold: a dimension above it is active.
    """
    values = np.nan_to_num(np.asarray(activity, np.float64), posinf=0.0)
    if not values.size:
        return note_figure("the code has no dimensions")
    order = np.argsort(-values, kind="stable")
    drawn = np.maximum(values[order], threshold / 100)  # a dimension that is dead altogether keeps a stub
    figure = new_figure(height=2.5)
    axes = figure.subplots()
    dress(axes)
    colours = [COLOURS[0] if value > threshold else COLOURS[1] for value in values[order]]
    axes.bar(range(len(drawn)), drawn, width=0.8 if len(drawn) <= _MOST_BARS else 1.0, color=colours)
    axes.axhline(threshold, color=SOFT, linewidth=1, linestyle=":")
    axes.set_yscale("log")
    axes.set_ylim(threshold / 200, max(1.0, drawn.max()) * 2)
    axes.set_xlim(-0.6, len(drawn) - 0.4)
    axes.set_ylabel("variance of the mean")
    _name_bars(axes, order)
    return figure


def _name_bars(axes: Axes, order: NDArray[np.intp]) -> None:
    """Numbers of the dimensions below the bars, as far as there is room for them."""
    every = 1 if len(order) <= 20 else math.ceil(len(order) / 12)
    axes.set_xticks(range(0, len(order), every), [str(number) for number in order[::every]])
    axes.set_xlabel("dimension, the most active first")


def _sheet(rows: Sequence[Pictures], left: float = _MARGIN, above: float = 0.0, below: float = 0.0) -> tuple[Figure, Axes]:
    """Rows of pictures that fill a figure but for so many inches; on its axes each picture is 1 wide and 1 high, from the upper left."""
    image = mosaic(rows)
    wide = WIDTH - left - _MARGIN
    tall = wide * image.shape[0] / image.shape[1]
    height = tall + 2 * _MARGIN + above + below
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((left / WIDTH, (below + _MARGIN) / height, wide / WIDTH, tall / height))
    axes.imshow(image, interpolation="nearest", extent=(0, len(rows[0]), len(rows), 0), aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return figure, axes


def _colours(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = np.asarray(picture)
    image = image[:, :, None] if image.ndim == 2 else image
    if image.dtype != np.uint8 or image.size == 0 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ValueError(f"picture of {image.dtype} {np.shape(picture)}; expected uint8 (H, W), (H, W, 1) or (H, W, 3)")
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
