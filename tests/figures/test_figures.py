"""Figures come out for every number of classes, for empty and broken values, and draw text from outside as it is."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from zoo.figures.balance import MOST, balance_panels
from zoo.figures.bars import class_histogram
from zoo.figures.confusion import confusion_matrix
from zoo.figures.curves import best_epoch, training_curves
from zoo.figures.epochs import class_heat, confusion_strip, pair_lines
from zoo.figures.grid import mistake_gallery, picture_grid
from zoo.figures.style import WIDTH, plain, save
from zoo.figures.thresholds import f1_thresholds, precision_recall

HOSTILE = ("$x^2$", "<script>", "two\nlines", "\u202eright to left", "\U0001f600 \x00\ud800", "русский", "犬", "", "a" * 500, r"\frac{")


def rendered(figure: Figure) -> NDArray[np.uint8]:
    """The figure as pixels; any warning of matplotlib, such as a missing glyph, is an error."""
    page = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(page, format="png", dpi=40)
    return np.asarray(Image.open(page).convert("RGB"))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))]


def names(number: int) -> list[str]:
    return [HOSTILE[index % len(HOSTILE)] for index in range(number)]


@pytest.mark.parametrize("classes", [0, 1, 2, 20, 42])
def test_figures_of_any_number_of_classes_render(classes: int) -> None:
    labels, counts = names(classes), [2.0**index % 999 for index in range(classes)]
    assert rendered(class_histogram(labels, {"train": counts, "val": counts})).min() < 100
    assert rendered(confusion_matrix(np.diag(counts) if classes else np.zeros((0, 0)), labels)).min() < 150


def test_a_thousand_classes_make_no_giant() -> None:
    width, height = confusion_matrix(np.eye(1000), [str(index) for index in range(1000)]).get_size_inches()
    assert max(width, height) < 12


def test_confusion_writes_counts_up_to_twenty_classes() -> None:
    few, many = np.full((20, 20), 7), np.full((21, 21), 7)
    assert texts(confusion_matrix(few, names(20))).count("7") == 400
    assert texts(confusion_matrix(many, names(21))).count("7") == 0


def test_confusion_rows_are_the_truth_and_an_empty_class_is_grey() -> None:
    figure = confusion_matrix([[3, 1], [0, 0]], ["cat", "dog"])
    shares = figure.axes[0].images[0].get_array()
    assert shares is not None
    assert shares[0].tolist() == [0.75, 0.25]
    assert np.ma.getmaskarray(shares)[1].all()
    assert (figure.axes[0].get_ylabel(), figure.axes[0].get_xlabel()) == ("truth", "prediction")
    assert {(*text.get_position(), text.get_text()) for text in figure.axes[0].texts} == {(0, 0, "3"), (1, 0, "1")}, "column, row"


def test_histogram_is_logarithmic_only_when_counts_differ_much() -> None:
    assert class_histogram(["a", "b"], {"train": [2246, 3]}).axes[0].get_xscale() == "log"
    assert class_histogram(["a", "b"], {"train": [60, 3]}).axes[0].get_xscale() == "linear"


def test_histogram_has_the_most_frequent_on_top_and_numbers_beside_their_bars() -> None:
    (axes,) = class_histogram(["rare", "often", "some"], {"train": [2, 30, 10], "val": [1, 3, 7]}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["often", "some", "rare"] and axes.yaxis_inverted()
    assert [[bar.get_width() for bar in bars] for bars in axes.containers] == [[30, 10, 2], [3, 7, 1]]
    assert [text.get_text() for text in axes.texts] == ["train", "30", "10", "2", "val", "3", "7", "1"]


def test_histogram_survives_zero_and_missing_counts() -> None:
    figure = class_histogram(["a", "b", "c"], {"before": [0, math.nan, 1000], "after": [1, 2, 3]})
    assert rendered(figure).size
    assert {"0", "–", "1000"} <= set(texts(figure))


def test_lengths_that_disagree_are_said() -> None:
    with pytest.raises(ValueError, match="'val' has 1 counts for 2 labels"):
        class_histogram(["a", "b"], {"val": [1]})
    with pytest.raises(ValueError, match="for 3 labels"):
        confusion_matrix(np.eye(2), ["a", "b", "c"])
    with pytest.raises(ValueError, match="1 titles for 2 pictures"):
        picture_grid([np.zeros((4, 4), np.uint8)] * 2, ["a"])
    with pytest.raises(ValueError, match="expected equal numbers"):
        mistake_gallery([np.zeros((4, 4), np.uint8)], ["a"], [], [0.5])


def test_balance_stands_side_by_side() -> None:
    figure = balance_panels(["b", "often$", "none"], [10, 300, 0], {"none": [10, 300, 0], "sampler": [4.5, 160, 0]})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["none", "sampler"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [r"often\$", "b", "none"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["160", "4.5", "0"]
    before, after = ([bar.get_width() for bar in bars] for bars in figure.axes[1].containers)
    assert before == [300, 10, 0] and after == [160, 4.5, 0]
    assert all(axes.get_xscale() == "log" for axes in figure.axes)
    assert rendered(figure).min() < 100
    with pytest.raises(ValueError, match="'sampler' has the counts"):
        balance_panels(["a", "b"], [1, 2], {"sampler": [1, math.inf]})


def test_of_very_many_classes_balance_shows_the_ends() -> None:
    counts = list(range(1, 101))
    figure = balance_panels(names(100), counts, {"none": counts})
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert len(shown) == MOST and shown[:2] == ["100", "99"] and shown[-1] == "1"
    assert not balance_panels([], [], {}).axes


def test_curves_have_a_panel_per_scale_and_mark_the_best_epoch() -> None:
    accuracies = [0.5, 0.9, 0.8]
    history = [
        {
            "epoch": epoch,
            "step": 9 * epoch,
            "train/loss": 1 / epoch,
            "val/loss": 2 / epoch,
            "val/accuracy": value,
            "val/psnr": 20.0,
            "lr": 0.1,
        }
        for epoch, value in enumerate(accuracies, 1)
    ]
    figure = training_curves(history)
    assert [axes.get_title("left") for axes in figure.axes] == ["loss", "metrics", "psnr", "learning rate"]
    assert figure.axes[1].get_title("right") == "★ val/accuracy 0.9, epoch 2"
    assert training_curves(history, monitor="val/loss", mode="min").axes[0].get_title("right").endswith("epoch 3")
    assert rendered(figure).size


def test_best_epoch_is_the_earliest_among_equals_and_never_nan() -> None:
    history: list[dict[str, float]] = [
        {"epoch": 0, "val/iou": math.nan},
        {"epoch": 1, "val/iou": 0.7},
        {"epoch": 2, "val/iou": 0.7},
        {"epoch": 3},
    ]
    assert best_epoch(history, "val/iou", "max") == 1
    assert best_epoch(history, "val/dice", "max") is None


@pytest.mark.parametrize(
    "history",
    [
        [],
        [{}],
        [{"epoch": 1.0, "val/loss": math.nan, "train/loss": math.inf}],
        [{"epoch": 1, "val/loss": 0.5}, {"epoch": 2, "val/loss": math.nan}, {"epoch": 3, "val/loss": -0.2}],
        [{"val/$a$": 0.1, "lr/generator": 0.0}, {"val/$a$": 5.0}],
    ],
)
def test_curves_survive_gaps(history: list[dict[str, float]]) -> None:
    assert rendered(training_curves(history)).size


def test_grids_take_grey_and_colour_of_any_size() -> None:
    shapes = [(8, 8), (9, 20, 1), (20, 9, 3), (5, 5, 4), (1, 1)]
    pictures = [np.full(shape, 128, np.uint8) for shape in shapes]
    figure = picture_grid(pictures, [HOSTILE[index] for index in range(5)], columns=2)
    assert rendered(figure).size
    assert figure.get_size_inches()[0] == pytest.approx(WIDTH)
    assert rendered(mistake_gallery(pictures, names(5), names(5), [0.1, 1.0, math.nan, 0.0, 0.5])).size
    assert rendered(picture_grid([])).size
    assert rendered(mistake_gallery([], [], [], [])).size


@pytest.mark.parametrize("picture", [np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)])
def test_grid_names_what_is_no_picture(picture: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W\)"):
        picture_grid([picture])


def test_text_from_outside_is_one_short_line_without_mathematics() -> None:
    assert plain("a\n b\t c") == "a b c"
    assert plain("$x$") == r"\$x\$"  # matplotlib draws an escaped dollar as a dollar
    assert plain("charles_montgomery_burns", 20) == "charles_montg…_burns"
    assert "\ud800" not in plain("\ud800")
    figure = class_histogram(["$x^2$"], {"train": [1]})
    figure.canvas.draw()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [r"\$x^2\$"]


def test_the_same_figure_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save(class_histogram(["a"], {"train": [1]}), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_saved_figure_has_the_pixels_of_savefig(tmp_path: Path) -> None:
    matrix, page = np.arange(9).reshape(3, 3), io.BytesIO()
    confusion_matrix(matrix, ["a", "b", "c"]).savefig(page, format="png")
    save(confusion_matrix(matrix, ["a", "b", "c"]), tmp_path / "a.png")
    ours, theirs = (np.asarray(Image.open(file).convert("RGB")) for file in (tmp_path / "a.png", page))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("classes", "epochs"), [(2, 2), (10, 5), (60, 30)])
def test_epochs_of_any_number_of_classes_render(classes: int, epochs: int) -> None:
    numbers = np.linspace(0, 1, classes * epochs).reshape(classes, epochs)
    numbers[0] = np.nan
    number = list(range(1, epochs + 1))
    assert rendered(class_heat(numbers, names(classes), number, best=2)).min() < 150
    few = min(classes, 6)
    pairs = [(HOSTILE[place], HOSTILE[place + 1]) for place in range(few)]
    assert rendered(pair_lines(numbers[1 : few + 1], pairs[: classes - 1], number, best=None)).size
    assert rendered(confusion_strip({epoch: np.eye(classes) for epoch in number[:6]}, best=2)).min() < 150


def test_no_epochs_and_no_curves_are_said() -> None:
    empty = np.zeros((0, 0))
    for figure in (confusion_strip({}), class_heat(empty, [], []), pair_lines(empty, [], [])):
        assert rendered(figure).size
    for figure in (precision_recall([], [], []), f1_thresholds([], [], [])):
        assert "no class to measure" in texts(figure) and rendered(figure).size


def test_the_best_epoch_is_marked_and_its_numbers_written() -> None:
    figure = class_heat([[0.1, 0.7, 0.3]], ["a"], [1, 2, 4], best=2)
    assert "epoch 2 ★" in texts(figure) and "0.70" in texts(figure)
    assert "epoch 4" in texts(class_heat([[0.1, 0.7, math.nan]], ["a"], [1, 2, 4])), "without a best epoch, the last"
    assert "epoch 3 ★" in texts(confusion_strip({1: np.eye(2), 3: np.eye(2)}, best=3))


def test_matrices_of_epochs_stand_in_the_order_of_reading() -> None:
    figure = confusion_strip({epoch: [[epoch, 1], [0, 1]] for epoch in range(1, 6)})
    places = [(-axes.get_position().y0, axes.get_position().x0) for axes in figure.axes]
    assert places == sorted(places) and len({down for down, _ in places}) == 2, "row by row, from the left"
    assert [text.get_text() for text in figure.texts] == [f"epoch {epoch}" for epoch in range(1, 6)]


def test_rows_of_the_heat_map_are_the_classes() -> None:
    (axes,) = class_heat([[0.1, 0.2, 0.3], [0.8, 0.9, 0.7]], ["worse", "better"], [3, 5, 7], best=5).axes
    shares = axes.images[0].get_array()
    assert shares is not None and shares.tolist() == [[0.1, 0.2, 0.3], [0.8, 0.9, 0.7]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["worse", "better"] and axes.images[0].get_clim() == (0, 1)
    assert [text.get_text() for text in axes.texts] == ["0.20", "0.90"] and list(axes.lines[0].get_xdata()) == [1, 1], "of the best epoch"


def test_pairs_are_in_per_cent_and_name_the_truth_first() -> None:
    (axes,) = pair_lines([[0.1, 0.25]], [("cat", "dog")], [1, 2], best=1).axes
    line, mark = axes.lines
    assert np.allclose(line.get_ydata(), [10, 25]) and line.get_label() == "cat → dog" and list(mark.get_xdata()) == [1, 1]


def test_threshold_curves_say_what_they_are_and_reach_the_ends() -> None:
    (axes,) = precision_recall(["cat"], [([0.5, 1.0], [0.9, 0.4])], [0.65]).axes
    assert axes.lines[0].get_xydata().tolist() == [[0, 0.9], [0.5, 0.9], [1, 0.4]], "from recall 0 on"
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.lines[0].get_label()) == ("recall", "precision", "cat  0.65")
    (axes,) = f1_thresholds(["cat"], [([0.8, 0.3], [0.7, 0.5])], [(0.8, 0.7)]).axes
    line, dot = axes.lines
    assert line.get_xydata().tolist() == [[0.8, 0.7], [0.3, 0.5], [0, 0.5]], "below the lowest score all are called"
    assert dot.get_xydata().tolist() == [[0.8, 0.7]] and line.get_label() == "cat  0.80", "the threshold is beside the name"
    (axes,) = precision_recall(["a"] * 9, [([0, 1], [1, 0])] * 9, [0.5] * 9).axes
    assert [line.get_linestyle() for line in axes.lines] == ["-"] * 8 + ["--"]


@pytest.mark.parametrize("curves", [1, 2, 10])
def test_threshold_curves_render(curves: int) -> None:
    line = np.linspace(0, 1, 2000), np.linspace(1, 0, 2000)
    assert rendered(precision_recall(names(curves), [line] * curves, [0.5] * curves)).size
    figure = f1_thresholds(names(curves), [line] * curves, [(0.5, 0.9)] * curves)
    assert rendered(figure).size
    assert len(figure.axes[0].lines[0].get_xdata()) <= 401, "no more points than can be seen"


def test_more_curves_than_can_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="11 curves; expected at most 10"):
        precision_recall(["a"] * 11, [([0, 1], [1, 0])] * 11, [0.5] * 11)


def test_figures_need_neither_pyplot_nor_torch() -> None:
    modules = ", ".join(f"zoo.figures.{name}" for name in ("bars", "confusion", "curves", "epochs", "grid", "masks", "style", "thresholds"))
    code = f"import sys, {modules}; print({{'torch', 'matplotlib.pyplot'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
