"""Galleries of pictures beside what was made of them: any picture, any name, nothing at all; differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from figures.test_figures import HOSTILE, rendered, texts
from zoo.figures.pairs import AMPLIFIED, Row, difference, pair_gallery
from zoo.figures.style import WIDTH

THREE = ("picture", "reconstruction", "difference")


def picture(*shape: int, value: int = 120) -> NDArray[np.uint8]:
    return np.full(shape, value, np.uint8)


@pytest.mark.parametrize("shape", [(20, 20), (28, 28, 1), (64, 40, 3), (9, 90, 3), (300, 10)], ids=str)
@pytest.mark.parametrize("columns", [1, 3, 4])
def test_any_picture_any_number_of_columns(shape: tuple[int, ...], columns: int) -> None:
    figure = pair_gallery(THREE[:1] * columns, [Row([picture(*shape)] * columns, "a", "b")] * 2)
    assert figure.get_size_inches()[0] == pytest.approx(WIDTH)
    assert figure.get_size_inches()[1] < 16
    assert len(figure.axes) == 2 * columns
    assert rendered(figure).min() < 150


def test_words_stand_above_their_pictures_in_order() -> None:
    figure = pair_gallery(THREE, [Row([picture(8, 8, value=number)] * 3, f"name {number}", f"mse {number}") for number in range(3)])
    found = [text for text in texts(figure) if text]
    assert found[:3] == list(THREE)
    assert found[3:9] == ["name 0", "mse 0", "name 1", "mse 1", "name 2", "mse 2"]
    tops = [axes.get_position().y1 for axes in figure.axes]
    assert tops[0] == tops[1] == tops[2] > tops[3] > tops[6]
    shown = [int(np.asarray(axes.images[0].get_array()).flat[0]) for axes in figure.axes]
    assert shown == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_grey_is_not_stretched() -> None:
    (axes,) = pair_gallery(("one",), [Row([picture(8, 8, value=120)])]).axes
    assert axes.images[0].get_clim() == (0, 255)


def test_pictures_do_not_lie_over_one_another_or_the_words() -> None:
    figure = pair_gallery(THREE, [Row([picture(30, 20)] * 3, "a", "b"), Row([picture(20, 30)] * 3, "c", "d")])
    boxes = [axes.get_position() for axes in figure.axes]
    height = figure.get_size_inches()[1]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in boxes)
    assert boxes[0].x1 < boxes[1].x0 and boxes[3].y1 + 0.15 / height < boxes[0].y0
    at = {text.get_text(): text.get_position()[1] for text in figure.texts}
    assert boxes[0].y1 < at["a"] < at["picture"] and boxes[3].y1 < at["c"] < boxes[0].y0


@pytest.mark.parametrize("text", HOSTILE)
def test_words_from_outside_are_drawn_as_they_are(text: str) -> None:
    figure = pair_gallery((text, text), [Row([picture(8, 8)] * 2, text, text)])
    assert rendered(figure).size
    assert figure.get_size_inches()[0] == pytest.approx(WIDTH)


def test_a_long_name_leaves_room_for_the_numbers() -> None:
    note = "mse 0.0123   24.5 dB   SSIM 0.71"
    figure = pair_gallery(("a",), [Row([picture(8, 8)], "x" * 200, note)])
    name = next(text.get_text() for text in figure.texts if "x" in text.get_text())
    assert note.replace("   ", " ") in texts(figure)
    assert "…" in name and len(name) + len(note) < 62


def test_nothing_to_show_is_said() -> None:
    assert "no pictures to show" in texts(pair_gallery(THREE, []))


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="2 pictures under 3 headings"):
        pair_gallery(THREE, [Row([picture(8, 8)] * 2)])
    wrong: list[Any] = [np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)]
    for one in wrong:
        with pytest.raises(ValueError, match=r"expected uint8 \(H, W\)"):
            pair_gallery(("a",), [Row([one])])


def test_differences_are_amplified_and_never_turn_over() -> None:
    one, other = np.array([[10, 200, 0, 100]], np.uint8), np.array([[15, 190, 255, 100]], np.uint8)
    assert difference(one, other).tolist() == [[5 * AMPLIFIED, 10 * AMPLIFIED, 255, 0]]
    assert (difference(one, other) == difference(other, one)).all()
    assert difference(one, other).dtype == np.uint8
