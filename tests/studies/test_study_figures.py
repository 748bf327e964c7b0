"""The figures that compare cells: what stands in them, and what they refuse."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from matplotlib.figure import Figure

from zoo.figures.compared import Curve, Effect, axis_panels, compared_curves
from zoo.figures.heatmap import heat_map

NAN = math.nan


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_heat_map_writes_each_number_and_marks_the_best() -> None:
    figure = heat_map([[0.5, 0.9], [NAN, 0.7]], ["a", "b$x$"], ["c", "d"], ("one", "two"), [[0.1, NAN], [NAN, NAN]], (0, 1), [(1, 1)])
    assert texts(figure) == ["0.500", "± 0.1", "★ 0.900", "–", "0.700"]
    (axes,) = figure.axes
    frames = [patch for patch in axes.patches if patch.get_linewidth() in (2.2, 1.2)]
    assert [(frame.get_x() + 0.47, frame.get_y() + 0.46) for frame in frames] == [(1.0, 0.0), (1.0, 1.0)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", r"b\$x\$"]
    figure.savefig("/dev/null", format="png")


@pytest.mark.parametrize("mode", ["max", "min"])
def test_dark_is_good(mode: Literal["max", "min"]) -> None:
    figure = heat_map([[0.1, 0.9]], ["a"], ["c", "d"], mode=mode)
    shades = np.asarray(figure.axes[0].images[0].get_array())
    assert shades.tolist() == ([[0.0, 1.0]] if mode == "max" else [[1.0, 0.0]])


def test_equal_values_are_drawn() -> None:
    assert texts(heat_map([[0.5, 0.5]], ["a"], ["c", "d"])) == ["0.500", "0.500"]


def test_a_map_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"values of shape \(1, 1\) for 1 rows and 2 columns"):
        heat_map([[1.0]], ["a"], ["b", "c"])


def test_nothing_finished_is_said() -> None:
    for figure in (heat_map([[NAN]], ["a"], ["b"]), axis_panels([Effect("x", [], [])], "m"), compared_curves({"val/iou": []})):
        assert not figure.axes
        assert len(figure.texts) == 1


def test_curves_have_the_colour_of_one_axis_and_the_dash_of_the_other() -> None:
    curves = [Curve(one, other, [(1, 0.1), (2, NAN), (3, 0.3)]) for one in "ab" for other in "xy"]
    figure = compared_curves({"val/iou": curves, "train/loss": curves[:1], "empty": []}, ("first", "second"))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["val/iou", "train/loss"]
    lines = figure.axes[0].lines
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color()
    assert lines[0].get_linestyle() == lines[2].get_linestyle() != lines[1].get_linestyle()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts() if text.get_text() != " "] == ["first", "a", "b", "second", "x", "y"]


def test_no_two_lines_of_one_axis_look_alike() -> None:
    figure = compared_curves({"m": [Curve(str(number), "", [(1, 0.5), (2, 0.6)]) for number in range(12)]}, ("first", ""))
    (legend,) = figure.legends
    for lines in (figure.axes[0].lines, [line for line in legend.get_lines() if line.get_linestyle() != "None"]):
        assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(lines) == 12


def test_of_very_many_words_the_legend_names_the_first() -> None:
    figure = compared_curves({"m": [Curve(str(number), "", [(1, 0.5)]) for number in range(30)]}, ("first", ""))
    assert [text.get_text() for text in figure.legends[0].get_texts()][-2:] == ["11", "and 18 more"]


def test_panels_show_every_cell_on_every_axis() -> None:
    effects = [Effect("network", ["a", "b", "a"], [0.1, 0.9, 0.3]), Effect("train.lr", [1e-4, 1e-2, 1e-3], [0.1, 0.9, 0.3], log=True)]
    named, ranged = axis_panels(effects, "val/iou", best=1).axes
    assert list(named.lines[0].get_xdata()) == [0.0, 1.0, 0.0]
    assert list(named.lines[1].get_xdata()) == [1.0]  # the star
    assert ranged.get_xscale() == "log"
    assert list(ranged.lines[0].get_xdata()) == [1e-4, 1e-2, 1e-3]
    means = [collection.get_segments()[0][0][1] for collection in named.collections]
    assert means == pytest.approx([0.2, 0.9])
