"""Rows of neighbours: what is drawn, in which frame, and that nothing overlaps."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from figures.test_figures import HOSTILE, names, rendered, texts
from zoo.figures.neighbours import ACROSS, Found, neighbour_rows
from zoo.figures.style import COLOURS, FAINT, INK, WIDTH


def grey(level: int = 100, *shape: int) -> NDArray[np.uint8]:
    return np.full(shape or (8, 8), level, np.uint8)


def row(number: int, right: tuple[bool | None, ...] = (), titles: tuple[str, ...] = ()) -> Found:
    return Found(grey(0), [grey(place + 1) for place in range(number)], [place / 8 for place in range(number)], right, "query", titles)


def frames(figure: Figure) -> list[tuple[str, str]]:
    patches = [patch for axes in figure.axes for patch in axes.patches if isinstance(patch, Rectangle)]
    return [(str(patch.get_edgecolor()), str(patch.get_linestyle())) for patch in patches]


def drawn(figure: Figure) -> list[int]:
    return [int(np.asarray(axes.images[0].get_array()).flat[0]) for axes in figure.axes]


def test_query_first_then_the_neighbours_in_order() -> None:
    figure = neighbour_rows([row(3), row(2)])
    assert rendered(figure).size
    assert figure.get_size_inches()[0] == pytest.approx(WIDTH)
    assert drawn(figure) == [0, 1, 2, 3, 0, 1, 2]
    assert [text for text in texts(figure) if text in ("query", "0", "0.125", "0.25")] == [
        "query",
        "0",
        "0.125",
        "0.25",
        "query",
        "0",
        "0.125",
    ]


def test_right_and_wrong_differ_in_colour_sign_and_line() -> None:
    from matplotlib.colors import to_rgba

    figure = neighbour_rows([row(3, (True, False, None))])
    colours = [str(to_rgba(colour)) for colour in (INK, COLOURS[0], COLOURS[1], FAINT)]
    assert frames(figure) == list(zip(colours, ("solid", "solid", "dashed", "solid"), strict=True))
    assert {"✓ 0", "✗ 0.125", "0.25"} <= set(texts(figure))
    assert not {"✓ 0", "✗ 0"} & set(texts(neighbour_rows([row(1)])))


def test_many_neighbours_go_on_below_and_nothing_overlaps() -> None:
    titles = tuple(f"t{place}" for place in range(ACROSS + 2))
    figure = neighbour_rows([row(ACROSS + 2, titles=titles), row(1, titles=("u",))])
    boxes = [axes.get_position(original=True) for axes in figure.axes]
    for place, one in enumerate(boxes):
        assert 0 <= one.x0 < one.x1 <= 1 and 0 <= one.y0 < one.y1 <= 1
        for other in boxes[:place]:
            assert one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0
    height = figure.get_size_inches()[1]
    tops = {text.get_text(): text.get_position()[1] * height + 0.12 for text in figure.texts}  # 8 pt letters
    assert tops["t1"] > tops["0.125"] + 0.12, "the title stands above the distance"
    assert tops[f"t{ACROSS}"] < boxes[1].y0 * height and tops["u"] < boxes[ACROSS + 1].y0 * height
    assert boxes[ACROSS + 1].x0 == boxes[1].x0 > boxes[0].x1, "lines below begin under the first neighbour"
    assert rendered(figure).size


def test_odd_pictures_words_and_nothing() -> None:
    shapes = [(1, 1), (4, 9, 1), (9, 4, 3), (5, 5, 4), (60, 2)]
    odd = Found(grey(0, 3, 7), [grey(9, *shape) for shape in shapes], [0, 1e-9, 1e9, 0.5, 123456.7], (), HOSTILE[0], tuple(names(5)))
    assert rendered(neighbour_rows([odd, *(Found(grey(), [grey()], [0.5], (), name, (name,)) for name in HOSTILE)])).size
    assert drawn(neighbour_rows([row(0)])) == [0]
    assert "no neighbours to show" in texts(neighbour_rows([]))


def test_numbers_lose_digits_and_are_never_cut() -> None:
    distances = [0.000402, 0.00499, 7.7e-05, 0.98765, 123456.7, 1.234e-100]
    figure = neighbour_rows([Found(grey(), [grey()] * 6, distances, (False,) * 6)])
    shown = [text for text in texts(figure) if text.startswith("✗")]
    assert shown == ["✗ 0.0004", "✗ 0.00499", "✗ 7.7e-05", "✗ 0.988", "✗ 1.2e+05", "✗ 1e-100"]


def test_names_end_before_the_next_picture() -> None:
    name = "Günther_Eriksen_0001"
    figure = neighbour_rows([Found(grey(), [grey(), grey()], [0.000412, 0.00499], (False, True), name, (name, name))])
    renderer = FigureCanvasAgg(figure).get_renderer()
    lefts = sorted({axes.get_window_extent(renderer).x0 for axes in figure.axes})
    for text in figure.texts:
        box = text.get_window_extent(renderer)
        following = [left for left in lefts if left > box.x0 + 1]
        assert not following or box.x1 < following[0], text.get_text()


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match="1 distances for 2 neighbours"):
        neighbour_rows([Found(grey(), [grey(), grey()], [0.5])])
    with pytest.raises(ValueError, match="1 marks for 2 neighbours"):
        neighbour_rows([row(2, (True,))])
    with pytest.raises(ValueError, match="1 titles for 2 neighbours"):
        neighbour_rows([row(2, titles=("a",))])
    with pytest.raises(ValueError, match=r"picture of float64 \(4, 4\); expected uint8"):
        neighbour_rows([Found(np.asarray(np.zeros((4, 4))), [], [])])
