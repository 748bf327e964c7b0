"""Contours and errors have the right colours in the right places; galleries draw any picture, any name and nothing at all."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from figures.test_figures import HOSTILE, names, rendered, texts
from zoo.figures.masks import (
    HIT,
    SAID,
    TRUTH,
    WRONG,
    Case,
    class_colour,
    error_map,
    mask_grid,
    outlined,
    overlay_gallery,
    threshold_sweep,
    worst_first,
)
from zoo.figures.style import WIDTH

Array = NDArray[np.uint8]


def grey(height: int = 60, width: int = 60, value: int = 100) -> Array:
    return np.full((height, width, 3), value, np.uint8)


def square(low: int, high: int, value: int = 1, side: int = 60) -> Array:
    mask = np.zeros((side, side), np.uint8)
    mask[low:high, low:high] = value
    return mask


def colour(text: str) -> list[int]:
    return [round(255 * part) for part in to_rgb(text)]


def nearest(pixel: Array) -> str:
    """Which kind of pixel an error map shows."""
    return min((HIT, TRUTH, SAID, WRONG), key=lambda kind: float(np.abs(pixel - 100.0 - (np.array(colour(kind)) - 100.0) * 0.5).sum()))


def case(iou: float = 0.5, name: str = "a", group: str = "", size: int = 20) -> Case:
    return Case(grey(size, size), square(4, 12, side=size), square(6, 14, side=size), name, iou, group)


def test_truth_runs_outside_and_prediction_inside_with_a_dark_edge_around_both() -> None:
    drawn = outlined(grey(), square(20, 40), square(20, 40))
    assert drawn.shape == (60, 60, 3)
    assert drawn.dtype == np.uint8
    across = drawn[30, 15:25].tolist()  # columns 15 to 24 of a row through the middle
    plain, dark = [100] * 3, [20] * 3
    assert across == [plain, plain, plain, dark, colour(TRUTH), colour(SAID), dark, plain, plain, plain]
    assert (drawn[30] == drawn[:, 30]).all()
    assert drawn[30, ::-1].tolist() == drawn[30].tolist()


def test_either_mask_may_be_missing() -> None:
    said, true, nothing = outlined(grey(), square(20, 40)), outlined(grey(), None, square(20, 40)), outlined(grey(), None)
    assert said[30, 20].tolist() == colour(SAID)
    assert true[30, 19].tolist() == colour(TRUTH)
    assert not (said == colour(TRUTH)).all(-1).any()
    assert not (true == colour(SAID)).all(-1).any()
    assert (nothing == grey()).all()
    assert (outlined(grey(), square(0, 0), square(0, 0)) == grey()).all()


def test_a_mask_that_touches_the_edge_of_the_picture_is_open_there() -> None:
    drawn = outlined(grey(), square(0, 40), square(0, 40))
    assert drawn[0, 20].tolist() == [100] * 3
    assert drawn[39, 20].tolist() == colour(SAID)
    assert (outlined(grey(), np.ones((60, 60), np.uint8), np.ones((60, 60), np.uint8)) == grey()).all()


@pytest.mark.parametrize(("side", "scale", "width"), [(64, 1, 1), (60, 10, 5), (600, 1, 5), (1200, 1, 10)])
def test_lines_are_as_wide_as_the_picture_is_large(side: int, scale: int, width: int) -> None:
    drawn = outlined(grey(side, side), square(side // 4, side // 2, side=side), scale=scale)
    assert drawn.shape == (side * scale, side * scale, 3)
    line = (drawn[3 * side * scale // 8] == colour(SAID)).all(-1)
    assert line.sum() == 2 * width
    assert line.argmax() == side // 4 * scale


def test_a_single_pixel_is_framed_without_gaps() -> None:
    drawn = outlined(grey(600, 600), None, square(300, 301, side=600))
    assert (drawn == colour(TRUTH)).all(-1).sum() == 11 * 11 - 1


def test_enlarging_invents_no_value() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    assert (outlined(picture, None, scale=3)[1::3, 1::3] == picture).all()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_lines_show_on_any_brightness(value: int) -> None:
    """Of line and edge at least one differs much from what it is drawn on."""
    drawn = outlined(grey(value=value), square(20, 40)).astype(int)
    assert max(abs(drawn[30, column].mean() - value) for column in (19, 20)) > 60


def test_classes_have_their_colours_and_the_truth_a_white_line() -> None:
    mask, truth = square(5, 25, 3), square(5, 25, 3)
    mask[35:55, 35:55] = 7
    drawn = outlined(grey(), mask, truth, classes=9)
    tint = [int(0.6 * 100 + 0.4 * part) for part in colour(class_colour(3))]
    assert drawn[15, 15].tolist() == tint
    assert drawn[45, 35].tolist() == colour(class_colour(7))
    assert drawn[15, 5].tolist() == [255] * 3
    alone = outlined(grey(), None, truth, classes=9)
    assert alone[15, 5].tolist() == colour(class_colour(3))
    assert alone[15, 15].tolist() == tint


def test_neighbouring_classes_are_parted_by_their_lines() -> None:
    mask = square(0, 60, 2)
    mask[:, 30:] = 4
    drawn = outlined(grey(), mask, classes=5)
    assert drawn[30, 29].tolist() == colour(class_colour(2))
    assert drawn[30, 30].tolist() == colour(class_colour(4))


def test_twenty_classes_have_twenty_colours() -> None:
    assert len({class_colour(index) for index in range(1, 21)}) == 20


def test_kinds_differ_for_colour_blind_readers() -> None:
    """Protanopia, deuteranopia and tritanopia: matrices of Machado, Oliveira and Fernandes (2009), severity 1."""
    blind = (
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    )
    for matrix in blind:
        seen = [np.clip(np.array(matrix) @ np.array(to_rgb(kind)) ** 2.2, 0, 1) ** (1 / 2.2) for kind in (TRUTH, SAID, HIT, WRONG)]
        assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 0.2


def test_pixels_without_truth_are_hatched() -> None:
    truth = square(20, 40)
    truth[:10] = 255
    for drawn in (outlined(grey(), square(20, 40), truth), outlined(grey(), square(20, 40), truth, classes=3)):
        assert len(np.unique(drawn[:10])) == 2  # two shades, neither of them the picture's, and no line around
        assert 100 not in drawn[:10]
        assert (drawn[12:17] == 100).all()


def test_errors_by_kind() -> None:
    mask, truth = np.zeros((40, 50), np.uint8), np.zeros((40, 50), np.uint8)
    truth[:, 10:30], mask[:, 20:40] = 1, 1
    mask[:5, 20:30] = 2
    truth[30:] = 255
    drawn = error_map(grey(40, 50), mask, truth)
    assert drawn.shape == (40, 50, 3)
    assert drawn.dtype == np.uint8
    assert [nearest(drawn[20, column]) for column in (15, 25, 35)] == [TRUTH, HIT, SAID]
    assert nearest(drawn[2, 25]) == WRONG
    assert len(set(drawn[20, 5].tolist())) == 1  # grey
    shades = drawn[31:, 1:].reshape(-1, 3)
    assert (shades == shades[:, :1]).all(), "no colour where there is no truth"
    assert len(np.unique(shades)) == 2


def test_hits_recede_behind_errors() -> None:
    truth, mask = square(0, 60), square(0, 30)
    drawn = error_map(grey(), mask, truth).astype(int)
    assert np.ptp(drawn[10, 10]) < np.ptp(drawn[50, 50])


@pytest.mark.parametrize("shape", [(30, 30), (30, 30, 1), (30, 30, 3), (30, 30, 4)])
def test_any_kind_of_picture_is_drawn_on_and_left_alone(shape: tuple[int, ...]) -> None:
    picture = np.full(shape, 100, np.uint8)
    mask, truth = square(10, 20, side=30), square(8, 20, 255, side=30)
    before = mask.copy(), truth.copy()
    assert outlined(picture, mask, truth).shape == error_map(picture, mask, truth).shape == (30, 30, 3)
    assert (picture == 100).all()
    assert (mask == before[0]).all()
    assert (truth == before[1]).all()
    assert outlined(picture, mask)[10, 15].tolist() == colour(SAID)
    whole, signed = outlined(picture, mask, truth), outlined(picture, mask.astype(np.int64), truth.astype(np.int64))
    assert (whole == signed).all()


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match=r"mask of shape \(60, 60\) on a picture of \(60, 50\)"):
        outlined(grey(60, 50), square(0, 5))
    with pytest.raises(ValueError, match="expected equal sizes"):
        error_map(grey(), square(0, 5), square(0, 5, side=30))
    with pytest.raises(ValueError, match=r"float64 .*expected uint8 \(H, W\)"):
        outlined(np.asarray(np.zeros((60, 60))), square(0, 5))
    with pytest.raises(ValueError, match="1 masks for 2 pictures"):
        mask_grid([grey(), grey()], [square(0, 5)])
    with pytest.raises(ValueError, match=r"IoU of shape .* for 3 thresholds"):
        threshold_sweep([0.1, 0.2, 0.3], [1.0], [1.0], 0.5)


def test_worst_first_and_unknown_last() -> None:
    assert worst_first([0.5, math.nan, 0.1, 0.5, 1.0]) == [2, 0, 3, 4, 1]
    assert worst_first([]) == []


def test_the_gallery_has_a_row_a_case_worst_first() -> None:
    cases = [case(0.9, "good"), case(math.nan, "void"), case(0.125, "bad", "melanoma"), case(0.5, "fair")]
    figure = overlay_gallery(cases)
    assert rendered(figure).size
    assert figure.get_size_inches()[0] == pytest.approx(WIDTH)
    assert len(figure.axes) == 12
    shown = [text.get_text() for text in figure.texts]
    assert [text for text in shown if text in ("good", "void", "bad", "fair")] == ["bad", "fair", "good", "void"]
    assert "melanoma   IoU 0.125" in shown
    assert {"IoU 0.500", "IoU 0.900", "no truth"} <= set(shown)
    assert "void" not in texts(overlay_gallery(cases, most=3))
    assert len(overlay_gallery([case()] * 30).axes) == 3 * 8


def pixels(axes: Axes) -> Array:
    array = axes.images[0].get_array()
    assert array is not None
    return np.asarray(array, np.uint8)


def test_a_row_shows_picture_contours_and_errors() -> None:
    one = case(size=100)
    picture, contours, errors = (pixels(axes) for axes in overlay_gallery([one]).axes)
    assert (picture == one.picture).all()
    assert (contours == outlined(one.picture, one.mask, one.truth, scale=4)).all()
    assert (errors == error_map(one.picture, one.mask, one.truth)).all()
    labels = ("nothing", "cat", "dog")
    truth, contours, _ = (pixels(axes) for axes in overlay_gallery([one], labels).axes)
    assert (truth == outlined(one.picture, None, one.truth, 3, scale=4)).all()
    assert (contours == outlined(one.picture, one.mask, one.truth, 3, scale=4)).all()


def legend(cases: list[Case], labels: tuple[str, ...] = ("background", "lesion")) -> list[list[str]]:
    figure = overlay_gallery(cases, labels)
    assert all(isinstance(found, Legend) for found in figure.legends)
    return [[text.get_text() for text in found.get_texts()] for found in figure.legends]


def test_the_legend_names_what_is_shown_once() -> None:
    assert legend([case(), case()]) == [[], ["truth", "prediction"], ["missed", "false alarm", "hit"]]
    void = Case(grey(20, 20), square(4, 12, 2, side=20), square(6, 14, 255, side=20), "b", math.nan)
    assert legend([case(), void])[2] == ["missed", "false alarm", "hit", "no truth"]
    labels = ("nothing", "cat", "dog", "cow")
    assert legend([case(), void], labels) == [
        ["cat", "dog"],
        ["line of the truth"],
        ["missed", "false alarm", "another class", "hit", "no truth"],
    ]


def test_rows_are_as_tall_as_their_pictures() -> None:
    def height(*shapes: tuple[int, int]) -> float:
        masks = [np.zeros(shape, np.uint8) for shape in shapes]
        return float(overlay_gallery([Case(grey(*mask.shape), mask, mask, "a", 1.0) for mask in masks]).get_size_inches()[1])

    assert height((20, 40)) < height((40, 40)) < height((40, 30))
    assert height((4000, 40)) < 4  # a strip makes no giant
    assert height((20, 40), (40, 40)) - height((20, 40)) == pytest.approx(height((40, 40), (40, 40)) - height((40, 40)))


def test_rows_do_not_overlap() -> None:
    cases = [Case(grey(20, width), np.zeros((20, width), np.uint8), np.zeros((20, width), np.uint8), "a", 1.0) for width in (20, 30, 15)]
    figure = overlay_gallery(cases)
    height = figure.get_size_inches()[1]
    boxes = [figure.axes[3 * row].get_position() for row in range(3)]
    lines = [text.get_position()[1] for text in figure.texts if text.get_text() == "a"]
    for box, line in zip(boxes, lines, strict=True):
        assert line > box.y1
    for box, line in zip(boxes[:-1], lines[1:], strict=True):
        assert box.y0 * height > line * height + 0.1  # room for a line of 8 pt
    assert 0 < boxes[-1].y0 * height < 0.2


def test_hostile_words_and_odd_sizes_are_drawn() -> None:
    sizes = (1, 2, 20, 150, 20, 64, 64, 3, 9, 9)
    cases = [
        Case(grey(size, size + 1), np.full((size, size + 1), place, np.uint8), np.zeros((size, size + 1), np.uint8), name, 0.0, group)
        for place, (size, name, group) in enumerate(zip(sizes, names(10), HOSTILE[::-1], strict=True))
    ]
    assert rendered(overlay_gallery(cases, names(10), most=10)).size
    assert rendered(overlay_gallery(cases, ("_background", "$x$", "_lesion"))).size
    assert rendered(mask_grid([one.picture for one in cases], [one.mask for one in cases], names(10))).size


def test_nothing_to_show_is_said() -> None:
    assert "no masks to show" in texts(overlay_gallery([]))
    assert "no pictures to show" in texts(mask_grid([], []))
    assert "no threshold was measured" in texts(threshold_sweep([], [], [], 0.5))
    assert "no threshold was measured" in texts(threshold_sweep([0.5], [math.nan], [math.nan], 0.5))


def test_the_sweep_marks_the_best_and_the_chosen_threshold() -> None:
    figure = threshold_sweep([0.1, 0.2, 0.3, 0.5], [0.5, math.nan, 0.75, 0.625], [0.6, 0.7, 0.8, 0.9], chosen=0.5)
    assert rendered(figure).size
    (axes,) = figure.axes
    assert axes.get_title("right") == "★ IoU 0.75 at 0.3"
    lines = {line.get_label(): line for line in axes.get_lines() if isinstance(line, Line2D)}
    assert set(np.ravel(lines["chosen: 0.5"].get_xdata())) == {0.5}
    assert np.ravel(lines["Dice"].get_ydata()).tolist() == [0.6, 0.7, 0.8, 0.9]
    stars = [line for line in axes.get_lines() if line.get_marker() == "*"]
    assert [(float(np.ravel(star.get_xdata())[0]), float(np.ravel(star.get_ydata())[0])) for star in stars] == [(0.3, 0.75)]


def test_training_masks_are_drawn_as_truth() -> None:
    figure = mask_grid([grey(100, 100)], [square(20, 40, side=100)], ["$melanoma$"])
    assert (pixels(figure.axes[0]) == outlined(grey(100, 100), None, square(20, 40, side=100), scale=4)).all()
    assert r"\$melanoma\$" in texts(figure)
    many = mask_grid([grey(100, 100)], [square(20, 40, 2, side=100)], classes=3)
    assert (pixels(many.axes[0]) == colour(class_colour(2))).all(-1).any()
