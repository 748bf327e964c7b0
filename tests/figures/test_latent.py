"""Sheets and strips show every picture where it belongs; planes colour codes by class or value, and survive what is unknown."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.test_figures import HOSTILE, rendered, texts
from zoo.figures.latent import class_plane, picture_sheet, picture_strips, value_plane
from zoo.figures.style import COLOURS, WIDTH

PLACES = np.random.default_rng(1).normal(size=(30, 2))


def flat(level: int, *shape: int) -> NDArray[np.uint8]:
    return np.full(shape or (4, 6), level, np.uint8)


def drawn(figure: Figure, place: int = 0) -> NDArray[Any]:
    return np.asarray(figure.axes[place].images[0].get_array())


def dots(figure: Figure) -> list[PathCollection]:
    return [each for each in figure.axes[0].collections if isinstance(each, PathCollection)]


# ---------------------------------------------------------------- sheets and strips


def test_a_sheet_goes_row_by_row_with_white_between() -> None:
    sheet = drawn(picture_sheet([flat(10), flat(20, 4, 6, 1), flat(30, 4, 6, 3)], 2))
    assert sheet.shape == (9, 13, 3)
    assert (sheet[:4, :6] == 10).all() and (sheet[:4, 7:] == 20).all() and (sheet[5:, :6] == 30).all()
    assert (sheet[4] == 255).all() and (sheet[:, 6] == 255).all() and (sheet[5:, 7:] == 255).all()


@pytest.mark.parametrize("number", [0, 1, 3, 64])
def test_sheets_of_any_number_render_at_the_pages_width(number: int) -> None:
    figure = picture_sheet([flat(90)] * number, 8, "samples")
    assert rendered(figure).min() < 200 and figure.get_figwidth() == WIDTH
    if number:
        shape, axes = drawn(figure).shape, figure.axes[0].get_position()
        height, width = axes.height * figure.get_figheight(), axes.width * WIDTH
        assert height / width == pytest.approx(shape[0] / shape[1]) and axes.y0 > 0 and axes.y1 < 1


def test_strips_say_what_stands_above() -> None:
    rows = [[flat(level), flat(level + 1)] for level in (10, 20)]
    figure = picture_strips(rows, ["-2", "+2"], ["smiling", "eyeglasses"])
    assert [text.get_text() for text in figure.texts] == ["-2", "+2", "smiling", "eyeglasses"]
    assert [int(drawn(figure, row)[0, 0, 0]) for row in (0, 1)] == [10, 20] and drawn(figure)[0, -1, 0] == 11
    left, right = (text.get_position()[0] for text in figure.texts[:2])
    assert 0 < left < 0.5 < right < 1
    tops = [figure.axes[row].get_position().y1 for row in (0, 1)]
    heights = [text.get_position()[1] for text in figure.texts]
    assert (
        heights[0] > heights[2] > tops[0] > figure.axes[0].get_position().y0 > heights[3] > tops[1] > figure.axes[1].get_position().y0 > 0
    )
    assert rendered(picture_strips(rows)).size and rendered(picture_strips([])).size and rendered(picture_strips([[]])).size


def test_hostile_words_are_drawn_as_they_are() -> None:
    words = list(HOSTILE)
    assert rendered(picture_strips([[flat(9)] * len(words)] * len(words), words, words)).size
    assert rendered(picture_sheet([flat(9)], title=HOSTILE[0])).size
    assert rendered(class_plane(PLACES, np.arange(30) % len(words), words, HOSTILE[3])).size
    assert rendered(value_plane(PLACES, PLACES[:, 0], HOSTILE[1], HOSTILE[-2])).size


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: picture_sheet([flat(1), flat(1, 5, 6)]), "pictures of 2 sizes; expected one"),
        (lambda: picture_sheet([np.zeros((4, 4))]), "picture of float64"),
        (lambda: picture_sheet([flat(1)], 0), "0 columns; expected at least 1"),
        (lambda: picture_strips([[flat(1)], [flat(1)] * 2]), r"rows of \[1, 2\] pictures"),
        (lambda: picture_strips([[flat(1)]], ["a", "b"]), "2 words above 1 columns"),
        (lambda: picture_strips([[flat(1)]], [], ["a", "b"]), "2 above 1 rows"),
        (lambda: class_plane(PLACES, [1, 2], ["a"]), "2 classes for 30 codes"),
        (lambda: class_plane(PLACES.T), r"points of shape \(2, 30\)"),
        (lambda: value_plane(PLACES, [1.0], "a"), "1 values for 30 codes"),
    ],
)
def test_what_does_not_fit_is_said(draw: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


# ---------------------------------------------------------------- planes


def test_each_class_has_its_colour_and_name() -> None:
    classes = np.repeat([0, 2, 5], 10)  # the second has no codes, the last is not known
    figure = class_plane(PLACES, classes, ["cat", "dog", "bird"], "by PCA")
    other, cat, bird = dots(figure)
    assert [np.asarray(group.get_offsets()).tolist() for group in (cat, bird, other)] == [
        PLACES[start : start + 10].tolist() for start in (0, 10, 20)
    ]
    assert not np.allclose(cat.get_facecolor(), bird.get_facecolor())
    words = texts(figure)
    assert {"cat", "bird", "other", "by PCA"} <= set(words) and "dog" not in words
    assert rendered(figure).size


def test_the_classes_with_most_codes_are_named_and_the_rest_share_a_grey() -> None:
    numbers = [7 if place % 3 else place for place in range(90)]
    figure = class_plane(np.resize(PLACES, (90, 2)), numbers, [f"person {place}" for place in range(90)])
    groups = dots(figure)
    assert len(groups) == 1 + 3 * len(COLOURS)
    assert {"person 7", "other"} <= set(texts(figure))
    looks = {(str(group.get_facecolor()), str(group.get_paths()[0].vertices)) for group in groups}
    assert len(looks) == len(groups)
    assert rendered(figure).shape[0] < 2.5 * rendered(figure).shape[1]


def test_digits_stand_among_their_codes() -> None:
    figure = class_plane(PLACES, np.repeat([0, 1, 2], 10), ["0", "1", "10"])
    found = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert found["1"] == pytest.approx(np.median(PLACES[10:20], 0)) and len(found) == 3
    assert not class_plane(PLACES, np.repeat([0, 1, 2], 10), ["cat", "dog", "bird"]).axes[0].texts


def test_values_are_coloured_without_far_ones_hiding_the_rest() -> None:
    values = np.linspace(0, 1, 30)
    values[[3, 4]] = 1000, math.nan
    figure = value_plane(PLACES, values, "Smiling")
    unknown, known = dots(figure)
    assert np.asarray(unknown.get_offsets()).tolist() == [PLACES[4].tolist()]
    low, high = known.get_clim()
    assert low == pytest.approx(0, abs=0.05) and high < 500
    assert "Smiling" in texts(figure) and rendered(figure).size


@pytest.mark.parametrize("values", [np.ones(30), np.full(30, math.nan)])
def test_values_that_are_alike_or_unknown(values: NDArray[np.float64]) -> None:
    assert rendered(value_plane(PLACES, values, "Hat")).size


def test_planes_of_none_and_one() -> None:
    for number in (0, 1):
        assert rendered(class_plane(PLACES[:number])).size
        assert rendered(class_plane(PLACES[:number], [0] * number, ["a"])).size
        assert rendered(value_plane(PLACES[:number], [1.0] * number, "a")).size
    assert rendered(class_plane(PLACES, [9] * 30, [])).size
    assert "unknown" in texts(class_plane(PLACES, [9] * 30, []))


def test_these_figures_need_neither_pyplot_nor_torch() -> None:
    code = "import sys, zoo.figures.latent; print({'torch', 'matplotlib.pyplot', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
