"""Precision over recall and box sizes, for any number of classes and for nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.colors import to_hex

from figures.test_figures import names, rendered, texts
from zoo.figures.detection import Line, box_sizes, precision_recall
from zoo.figures.style import FAINT, INK


def line(label: str = "helmet", average: float = 0.5, chosen: tuple[float, float] = (0.5, 0.6)) -> Line:
    return Line(label, np.array([0.2, 0.4, 0.6]), np.array([0.9, 0.7, 0.8]), average, chosen)


def test_the_line_gives_the_best_precision_at_each_recall_or_more_and_ends() -> None:
    (axes,) = precision_recall([line()]).axes
    curve, dot = axes.lines
    assert np.asarray(curve.get_data()).T.tolist() == [[0, 0.9], [0.2, 0.9], [0.4, 0.8], [0.6, 0.8], [0.6, 0]]
    assert [float(np.asarray(values).item()) for values in dot.get_data()] == [0.5, 0.6]


def test_classes_that_do_not_occur_have_no_line_and_those_never_found_lie_on_the_ground() -> None:
    nothing = Line("head", np.zeros(0), np.zeros(0), 0.0, (0.0, math.nan))
    absent = Line("person", np.array([math.nan]), np.array([0.0]), math.nan, (math.nan, 0.0))
    figure = precision_recall([line(), nothing, absent])
    rendered(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["helmet  0.50", "head  0.00"]
    assert len(figure.axes[0].lines) == 3, "two lines and a dot"
    assert "no true boxes to find" in texts(precision_recall([absent]))


@pytest.mark.parametrize(("number", "named"), [(1, 1), (7, 7), (8, 7), (40, 7)])
def test_of_many_classes_the_best_and_the_worst_are_named(number: int, named: int) -> None:
    lines = [line(f"class {place}", place / number) for place in range(number)]
    figure = precision_recall(lines)
    rendered(figure)
    assert len(figure.legends[0].get_texts()) == named
    grey = [curve for curve in figure.axes[0].lines if to_hex(curve.get_color()) == FAINT]
    assert len(grey) == number - named
    if number == 40:
        words = [text.get_text().split("  ")[0] for text in figure.legends[0].get_texts()]
        assert words == [f"class {place}" for place in (39, 38, 37, 3, 2, 1, 0)]


@pytest.mark.parametrize("number", [1, 2, 30])
def test_sizes_of_any_number_of_classes(number: int) -> None:
    sides = [np.linspace(5, 50 + place, 20 + place) for place in range(number)]
    figure = box_sizes(sides, names(number))
    rendered(figure)
    assert {str(20 + place) for place in range(number)} <= set(texts(figure))


def test_percentiles_and_limits() -> None:
    figure = box_sizes([[], np.arange(1.0, 102), [7.0]], ("none", "many", "one"))
    rendered(figure)
    (axes,) = figure.axes
    limits = [np.asarray(line.get_xdata())[0] for line in axes.lines if line.get_color() == INK]
    assert limits == [32, 96]
    spans = [np.asarray(line.get_xdata()).tolist() for line in axes.lines if line.get_color() != INK]
    assert spans[:3] == [[6, 96], [26, 76], [51]], "the class with the most boxes first"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["many", "one", "none"]


def test_nothing_to_measure() -> None:
    assert "no boxes to measure" in texts(box_sizes([[], [0.0]], ("a", "b")))
    with pytest.raises(ValueError, match="sides of 1 classes for 2 labels"):
        box_sizes([[]], ("a", "b"))
