"""Sheets of pictures have each picture in its place, any words and sizes, and say so where there is nothing to show."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text
from numpy.typing import NDArray

from figures.test_figures import HOSTILE, names, rendered, texts
from zoo.figures.digits import activity_bars, code_plane, mosaic, sample_sheet, titled_grid
from zoo.figures.style import COLOURS, WIDTH

Array = NDArray[np.uint8]


def picture(value: int, height: int = 28, width: int = 28) -> Array:
    return np.full((height, width), value, np.uint8)


def row(*values: int) -> list[Array]:
    return [picture(value) for value in values]


def test_each_picture_is_in_its_place() -> None:
    sheet = mosaic([row(10, 20, 30), row(40, 50)])
    assert sheet.shape == (57, 86, 3)
    assert sheet[14, [14, 43, 72], 0].tolist() == [10, 20, 30]
    assert sheet[43, [14, 43], 0].tolist() == [40, 50]
    assert (sheet[28] == sheet[0, 28]).all() and (sheet[43, 72] == sheet[28, 0]).all(), "lines, and the place of no picture"
    colour = np.zeros((4, 6, 3), np.uint8)
    colour[..., 1] = 200
    assert mosaic([[colour]])[0, 0].tolist() == [0, 200, 0]
    assert (mosaic([[picture(9)[..., None]]]) == 9).all()


def test_pictures_that_do_not_go_together_are_refused() -> None:
    for rows in ([row(1), [picture(1, 5)]], [], [[]]):
        with pytest.raises(ValueError, match="pictures of"):
            mosaic(rows)
    for shape in ((2, 2, 4), (0, 2), (2,)):
        with pytest.raises(ValueError, match="picture of uint8"):
            mosaic([[np.zeros(shape, np.uint8)]])


@pytest.mark.parametrize("count", [0, 1, 3, 8, 64])
def test_samples_fill_the_width(count: int) -> None:
    figure = sample_sheet(row(*range(count)))
    assert rendered(figure).size and figure.get_size_inches()[0] == pytest.approx(WIDTH)
    assert figure.get_size_inches()[1] < WIDTH * 1.1


def test_words_stand_above_their_columns_and_beside_their_rows() -> None:
    figure = titled_grid([row(0, 50, 100), row(150, 200, 250)], above=("zero", "one", "two"), beside=("first", "second"))
    found = [text for text in texts(figure) if text]
    assert found == ["zero", "one", "two", "first", "second"]
    renderer = FigureCanvasAgg(figure).get_renderer()
    for text in figure.findobj(Text):
        box = text.get_window_extent(renderer)
        assert not text.get_text() or (box.x0 >= 0 and box.y1 <= figure.bbox.height), f"{text.get_text()!r} is cut off"
    for rows in ([], [[]]):
        assert "no samples to show" in texts(titled_grid(rows))
    with pytest.raises(ValueError, match="2 titles above 3 columns"):
        titled_grid([row(1, 2, 3)], above=("a", "b"))
    with pytest.raises(ValueError, match="1 titles beside 2 rows"):
        titled_grid([row(1), row(2)], beside=("a",))


def test_any_words_can_be_drawn() -> None:
    count = len(HOSTILE)
    assert rendered(titled_grid([row(*range(count))] * count, above=names(count), beside=names(count))).size


def test_the_plane_names_its_codes() -> None:
    figure = code_plane([row(1, 2, 3), row(4, 5, 6), row(7, 8, 9)], (-1.5, 0, 1.5))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["-1.5", "0", "1.5"]
    assert axes.get_xticks().tolist() == [0.5, 1.5, 2.5] and axes.get_yticks().tolist() == [2.5, 1.5, 0.5]
    assert rendered(figure).size
    with pytest.raises(ValueError, match="1 rows for 2 coordinates"):
        code_plane([row(1, 2)], (0, 1))


@pytest.mark.parametrize("dimensions", [1, 2, 20, 100])
def test_bars_show_who_is_active(dimensions: int) -> None:
    activity = np.linspace(0, 1, dimensions) ** 2
    figure = activity_bars(activity, 0.01)
    (axes,) = figure.axes
    colours = [to_hex(bar.get_facecolor()).upper() for bar in axes.patches]
    active = int((activity > 0.01).sum())
    assert colours == [COLOURS[0]] * active + [COLOURS[1]] * (dimensions - active)
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == sorted(heights, reverse=True) and min(heights) > axes.get_ylim()[0]
    assert axes.get_xticklabels()[0].get_text() == str(dimensions - 1)
    assert len(axes.get_xticks()) <= 20 and rendered(figure).size


def test_no_dimensions_and_broken_ones() -> None:
    assert "the code has no dimensions" in texts(activity_bars([], 0.01))
    assert rendered(activity_bars([float("nan"), 1.0, float("inf")], 0.01)).size
