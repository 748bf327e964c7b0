"""Boxes are drawn where they are, tags stay within the picture, and galleries draw any picture, any name and nothing at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from figures.test_figures import HOSTILE, rendered, texts
from zoo.datasets import boxes as of_data
from zoo.figures import boxes as figures
from zoo.figures.boxes import Case, gallery, outlined, sample_grid
from zoo.figures.masks import SAID, TRUTH, class_colour
from zoo.figures.style import WIDTH

LABELS = ("helmet", "head")
BOX = (20.0, 30.0, 50.0, 70.0)


def grey(height: int = 100, width: int = 120, value: int = 100) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


def colour(text: str) -> list[int]:
    return [round(255 * part) for part in to_rgb(text)]


def places(drawn: NDArray[np.uint8], text: str) -> NDArray[Any]:
    """Rows and columns of pixels that have a colour."""
    return np.argwhere((np.abs(drawn.astype(int) - colour(text)) <= 1).all(2))


def changed(drawn: NDArray[np.uint8], value: int = 100) -> NDArray[Any]:
    return np.argwhere((drawn != value).any(2))


def case(**changes: Any) -> Case:
    fields: dict[str, Any] = {
        "picture": grey(),
        "box": np.array(BOX),
        "found": np.array([BOX]),
        "truth": np.array([[25, 35, 55, 75]]),
        "ignored": np.zeros((0, 4)),
        "title": ("helmet 0.90",),
        "name": "a.png",
    }
    return Case(**(fields | changes))


# ---------------------------------------------------------------- on a picture


def test_all_mean_the_same_by_ignored() -> None:
    assert figures.IGNORED == of_data.IGNORED


@pytest.mark.parametrize("kind", [0, 1])
def test_the_line_runs_just_outside_of_the_box(kind: int) -> None:
    drawn = outlined(grey(), [BOX], [kind])
    found = places(drawn, class_colour(kind + 1))
    assert found.min(0).tolist() == [28, 18] and found.max(0).tolist() == [71, 51], "2 pixels wide"
    assert (drawn[30:70, 20:50] == 100).all(), "what is in the box is seen"
    assert changed(drawn).min(0).tolist() == [27, 17], "with a dark edge"


def test_the_picture_itself_stays_as_it_is() -> None:
    picture = grey()
    outlined(picture, [BOX], [-1])
    assert (picture == 100).all()


@pytest.mark.parametrize("box", [(-20, -20, 500, 500), (0, 0, 120, 100), (110.4, 90.2, 130, 120), (-5, 40, 3, 50)])
def test_a_box_over_the_edge_is_closed_within(box: tuple[float, ...]) -> None:
    drawn = outlined(grey(), [box], [0])
    found = places(drawn, class_colour(1))
    assert len(found)
    assert np.isin(found[:, 0], (0, 1, 98, 99)).any() or np.isin(found[:, 1], (0, 1, 118, 119)).any()


@pytest.mark.parametrize("box", [(200, 10, 220, 20), (-20, 10, 0, 20), (0, -9, 9, 0), (np.nan, 0, 9, 9), (0, 0, np.inf, 9)])
def test_what_cannot_be_seen_is_not_drawn(box: tuple[float, ...]) -> None:
    assert not len(changed(outlined(grey(), [box], [0], [0.5], LABELS)))


def test_rows_that_are_none_are_not_drawn() -> None:
    assert not len(changed(outlined(grey(), [BOX], [of_data.NONE], [0.0], LABELS)))
    assert not len(changed(outlined(grey(), np.zeros((0, 4)), [], [], LABELS)))


def test_ignored_regions_are_hatched() -> None:
    drawn = outlined(grey(), [BOX], [-1], [0.0], LABELS)
    inside = drawn[30:70, 20:50].reshape(-1, 3)
    assert len(np.unique(inside, axis=0)) == 2 and (inside.min(1) == inside.max(1)).all(), "two greys"
    assert not len(places(drawn, class_colour(1)))


def test_the_surest_box_is_on_top() -> None:
    boxes, classes = [BOX, BOX], [0, 1]
    assert not len(places(outlined(grey(), boxes, classes, [0.4, 0.9]), class_colour(1)))
    assert not len(places(outlined(grey(), boxes, classes, [0.9, 0.4]), class_colour(2)))


def test_the_truth_is_white_and_below() -> None:
    there = (np.array([[60, 30, 90, 70], [0, 0, 0, 0]]), np.array([0, -2]))
    drawn = outlined(grey(), [BOX], [0], truth=there)
    white = places(drawn, "white")
    assert white.min(0).tolist() == [29, 59] and white.max(0).tolist() == [70, 90]
    assert not len(places(outlined(grey(), [BOX], [0], truth=([(19, 29, 51, 71)], [0])), "white")), "under the found box"


def test_a_tag_is_above_the_box_and_names_it() -> None:
    bare, tagged = outlined(grey(), [BOX], [0]), outlined(grey(), [BOX], [0], [0.5], LABELS)
    moved = np.argwhere((bare != tagged).any(2))
    assert moved[:, 0].max() < 28 and moved[:, 0].min() >= 0
    other = outlined(grey(), [BOX], [0], [0.6], LABELS)
    assert (other != tagged).any(), "with its score"
    assert (outlined(grey(), [BOX], [0], None, LABELS) != tagged).any()


@pytest.mark.parametrize("box", [(0, 0, 9, 9), (111, 0, 120, 9), (0, 91, 9, 100), (111, 91, 120, 100), (0, 0, 120, 100)])
@pytest.mark.parametrize("size", [(100, 120), (12, 40), (1, 1), (300, 20)])
def test_tags_stay_within_the_picture(box: tuple[float, ...], size: tuple[int, int]) -> None:
    drawn = outlined(grey(*size), [box], [0], [1.0], LABELS)
    assert drawn.shape == (*size, 3)
    if size == (100, 120):
        assert len(places(drawn, class_colour(1))) > 400, "its tag is there as a whole"


def test_tags_do_not_cover_each_other_where_there_is_room() -> None:
    boxes = [(30, 40, 60, 60), (32, 42, 62, 62)]
    tags = [outlined(grey(), [box], [kind], [1.0], LABELS) for kind, box in enumerate(boxes)]
    alone = [len(places(tag, class_colour(kind + 1))) for kind, tag in enumerate(tags)]
    both = outlined(grey(), boxes, [0, 1], [0.9, 0.8], LABELS)
    assert len(places(both, class_colour(2))) > alone[1] * 0.6


@pytest.mark.parametrize("label", HOSTILE)
def test_labels_of_any_kind_are_drawn(label: str) -> None:
    assert outlined(grey(300, 300), [BOX], [0], [0.5], [label]).shape == (300, 300, 3)


def test_lines_and_letters_grow_with_the_picture() -> None:
    small, large = (outlined(grey(side, side), [(90, 90, 160, 160)], [0], [0.5], LABELS) for side in (256, 1920))
    assert len(places(large, class_colour(1))) > 4 * len(places(small, class_colour(1)))


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 1), (40, 50, 3), (40, 50, 4)])
def test_any_picture_is_drawn_on(shape: tuple[int, ...]) -> None:
    assert outlined(np.zeros(shape, np.uint8), [(5, 5, 20, 20)], [0]).shape == (40, 50, 3)


def test_other_arrays_are_named() -> None:
    other: Any = np.zeros((4, 4, 3))
    with pytest.raises(ValueError, match=r"picture of float64 \(4, 4, 3\); expected uint8"):
        outlined(other, [BOX], [0])


# ---------------------------------------------------------------- galleries


def test_a_gallery_shows_what_is_around_a_box() -> None:
    picture = np.arange(400 * 500, dtype=np.uint32).reshape(400, 500).astype(np.uint8)
    for box in ((0, 0, 8, 8), (240, 200, 260, 230), (490, 390, 500, 400), (0, 0, 500, 400), (100, 0, 110, 400)):
        part, (left, top) = figures._window(picture[..., None].repeat(3, 2), np.array(box, float))
        assert (part[..., 0] == picture[top : top + part.shape[0], left : left + part.shape[1]]).all()
        assert left <= box[0] and top <= box[1] and left + part.shape[1] >= box[2] and top + part.shape[0] >= box[3]
        assert min(part.shape[:2]) >= 48
    assert figures._window(picture[..., None].repeat(3, 2), np.array((240, 200, 260, 230.0)))[0].shape == (90, 90, 3)


def test_truth_and_found_boxes_have_their_colours_and_the_box_itself_a_thick_line() -> None:
    close = figures._close_up(case())
    assert len(places(close, SAID)) > 1.5 * len(places(close, TRUTH)) > 100
    missed = figures._close_up(case(box=np.array([25, 35, 55, 75]), found=np.zeros((0, 4))))
    assert len(places(missed, TRUTH)) > 1.5 * len(places(close, TRUTH)) and not len(places(missed, SAID))


@pytest.mark.parametrize("number", [0, 1, 2, 9, 10])
def test_galleries_of_any_number(number: int) -> None:
    cases = [case(name=HOSTILE[index % len(HOSTILE)], title=(HOSTILE[-index], "b")) for index in range(number)]
    figure = gallery(cases)
    assert rendered(figure).min() < 150
    assert figure.get_size_inches()[0] == pytest.approx(WIDTH)
    assert len(figure.axes) == number
    assert ("no boxes to show" in texts(figure)) == (number == 0)


def test_the_legend_names_ignored_regions_where_there_are_some() -> None:
    legend = [[text.get_text() for text in gallery([one]).legends[0].get_texts()] for one in (case(), case(ignored=np.array([BOX])))]
    assert legend == [["true box", "found box"], ["true box", "found box", "ignored"]]


def test_samples_with_their_boxes() -> None:
    pictures = [grey(), grey(60, 90), np.zeros((30, 30), np.uint8)]
    boxes: list[Any] = [[BOX], np.zeros((0, 4)), [(1, 1, 9, 9), (4, 4, 20, 20), (0, 0, 0, 0)]]
    classes: list[Any] = [[1], [], [0, -1, -2]]
    figure = sample_grid(pictures, boxes, classes, LABELS)
    rendered(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["helmet", "head", "ignored"]
    first = np.asarray(figure.axes[0].images[0].get_array())
    assert first.shape == (400, 480, 3)
    found = places(first, class_colour(2))
    assert found.min(0).tolist() == [116, 76], "around the box, 4 times as large"
    assert not sample_grid(pictures[1:2], boxes[1:2], classes[1:2], LABELS).legends
    assert texts(sample_grid([], [], [], LABELS)) == ["no pictures to show"]
    with pytest.raises(ValueError, match=r"\(3, 1, 3\); expected equal numbers"):
        sample_grid(pictures, boxes[:1], classes, LABELS)
