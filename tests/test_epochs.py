"""What a classifier answered after each epoch: kept within a budget, cut with the history, read with care."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from small import LABELS, Memory, fit, recipe, task

from zoo import epochs
from zoo.epochs import Answers, cells, confused, confusions, f1_scores, matrix, spacing
from zoo.metrics.classification import per_class
from zoo.ranks import Ranks
from zoo.run import Run


def test_each_epoch_leaves_a_row_and_a_file(home: Path) -> None:
    run = Run.open(recipe())
    fit(run)
    found = confusions(run.confusions(), 3)
    assert list(found) == [1, 2, 3]
    for row, counts in zip(run.history(), found.values(), strict=True):
        full = matrix(counts, 3)
        assert full.sum() == 20 and full.trace() / 20 == pytest.approx(row["val/accuracy"])
        file = run.folder / "predictions" / f"epoch_000{row['epoch']}.csv.gz"
        assert file.read_bytes()[4:8] == bytes(4), "no time is in it: equal runs have equal files"
        rows = table(file)
        assert list(rows[0]) == ["id", "truth", "prediction", "score", *(f"p({label})" for label in LABELS)]
        assert [one["id"] for one in rows] == [f"{index}.png" for index in range(20)]
        again = np.zeros((3, 3), dtype=int)
        np.add.at(again, tuple([LABELS.index(one[key]) for one in rows] for key in ("truth", "prediction")), 1)
        assert np.array_equal(again, full)
        for one in rows:
            each = [float(one[f"p({label})"]) for label in LABELS]
            assert sum(each) == pytest.approx(1, abs=1e-5) and max(each) == float(one["score"])


def table(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(gzip.decompress(file.read_bytes()).decode(), newline="")))


def test_shares_of_processes_become_one_in_the_order_of_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    index, label = torch.arange(5), torch.tensor([2, 0, 1, 1, 0])
    probabilities = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    shares: list[torch.Tensor] = []

    def gathered(filled: torch.Tensor) -> list[torch.Tensor]:
        shares.append(filled)
        return shares

    monkeypatch.setattr(epochs, "ranks", lambda: Ranks(0, 2))
    monkeypatch.setattr(epochs, "most", lambda length: 3)
    monkeypatch.setattr(epochs, "gathered", gathered)
    for rank in (0, 1):
        together = epochs._of_all(index[rank::2], label[rank::2], probabilities[rank::2])
    assert together[0].tolist() == index.tolist() and together[1].tolist() == label.tolist()
    assert torch.equal(together[2].float(), probabilities)


def test_names_are_no_formulas(home: Path) -> None:
    data: Any = Memory()
    data.spec = replace(data.spec, labels=("=1+1", "-a", "c"))
    data.parts = lambda: {"val": [SimpleNamespace(id=f"={row}.png") for row in range(20)]}
    run = Run.open(recipe("train.epochs=1"))
    fit(run, data=data)
    rows = table(run.folder / "predictions" / "epoch_0001.csv.gz")
    assert {one["truth"] for one in rows} == {"'=1+1", "'-a", "c"}
    assert [one["id"] for one in rows] == [f"'={row}.png" for row in range(20)]


def test_without_room_no_predictions_are_kept_but_confusion_is(home: Path) -> None:
    run = Run.open(recipe("checkpoint.keep_predictions=0"))
    fit(run)
    assert not (run.folder / "predictions").exists() and len(run.confusions()) == 3


@pytest.mark.parametrize(("size", "budget", "every"), [(0, 100, 1), (100, 100, 1), (101, 100, 2), (1000, 100, 10), (5, 0, 0)])
def test_of_every_so_many_epochs_one_is_kept(size: int, budget: int, every: int) -> None:
    assert spacing(size, budget) == every


def test_all_epochs_together_fit_the_budget(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "_CELL", 10_000)  # 20 pictures: 0.6 MB an epoch
    answers = Answers(task(), Memory(), Run.open(recipe("checkpoint.keep_predictions=1")))
    assert [epoch for epoch in range(1, 7) if answers.due(epoch)] == [2, 4, 6]


def test_cut_takes_back_what_will_be_written_again(home: Path) -> None:
    run = Run.open(recipe())
    fit(run)
    steps = [row["step"] for row in run.history()]
    (run.folder / "predictions" / "epoch_mine.csv.gz").write_bytes(b"")
    run.cut_history(steps[0])
    assert list(confusions(run.confusions(), 3)) == [1]
    assert sorted(path.name for path in (run.folder / "predictions").iterdir()) == ["epoch_0001.csv.gz", "epoch_mine.csv.gz"]


def test_an_epoch_that_was_measured_twice_counts_once(home: Path) -> None:
    """It was cut short by `max_steps`, and went on."""
    run = Run.open(recipe("train.max_steps=7"))
    fit(run)
    again = Run(run.folder, recipe("train.max_steps=10"))
    fit(again)
    assert [row["epoch"] for row in again.confusions()] == [1, 2, 2]
    found = confusions(again.confusions(), 3)
    assert list(found) == [1, 2] and np.array_equal(cells(matrix(found[2], 3)), again.confusions()[-1]["counts"])


@pytest.mark.parametrize("counts", [None, 3, [3], [[0, 0]], [[0, 3, 1]], [[-1, 0, 1]], [[0, 0, -1]], [[0, 0, 10**30]], [["0", 0, 1]]])
def test_broken_rows_are_left_out(counts: object) -> None:
    rows: list[dict[str, Any]] = [{"epoch": 1, "counts": counts}, {"counts": []}, {"epoch": 2, "counts": [[0, 1, 5]]}, {}]
    assert list(confusions(rows, 3)) == [2]


def test_numbers_are_those_of_the_whole_matrix() -> None:
    counts = np.random.default_rng(0).integers(0, 5, (4, 4))
    counts[3], counts[:, 3] = 0, 0
    kept = np.array(cells(counts))
    assert np.array_equal(matrix(kept, 4), counts)
    found = f1_scores(kept, 4)
    assert found[:3] == pytest.approx(per_class(counts).f1[:3]) and np.isnan(found[3]), "the last class is neither true nor said"


def test_the_most_confused_pairs_over_all_epochs() -> None:
    first, second = np.array([[5, 5], [0, 10]]), np.array([[9, 1], [8, 2]])
    found = confused([np.array(cells(first)), np.array(cells(second))], 2, 5)
    assert {pair: shares.tolist() for pair, shares in found.items()} == {(1, 0): [0.0, 0.8], (0, 1): [0.5, 0.1]}
    assert list(found) == [(1, 0), (0, 1)], "the most frequent first"
    assert list(confused([np.array(cells(first))], 2, 1)) == [(0, 1)]


def rows_of(number: int, classes: int = 2) -> list[dict[str, Any]]:
    return [{"epoch": epoch, "step": epoch, "counts": cells(np.eye(classes, dtype=int) + 1)} for epoch in range(1, number + 1)]


def test_drawn_from_the_second_epoch_on() -> None:
    assert epochs.drawings([], ("a", "b"), None) == {} and epochs.drawings(rows_of(1), ("a", "b"), 1) == {}
    drawn = epochs.drawings(rows_of(2), ("a", "b"), 2)
    assert list(drawn) == ["confusion_epochs", "f1_epochs", "confused_epochs"]
    perfect = [{"epoch": epoch, "counts": [[0, 0, 5], [1, 1, 5]]} for epoch in (1, 2)]
    assert "confused_epochs" not in epochs.drawings(perfect, ("a", "b"), 2)


def test_the_drawings_are_of_the_best_epoch_and_in_the_order_of_the_epochs() -> None:
    counts = {2: np.array([[5, 5], [0, 10]]), 1: np.array([[9, 1], [0, 10]])}
    drawn = epochs.drawings([{"epoch": epoch, "counts": cells(each)} for epoch, each in counts.items()], ("cat", "dog"), 1)
    assert [text.get_text() for text in drawn["confusion_epochs"].figure.texts] == ["epoch 1 ★", "epoch 2"]
    lines = drawn["confused_epochs"].figure.axes[0].lines
    assert lines[0].get_label() == "cat → dog" and np.allclose(lines[0].get_ydata(), [10, 50]) and list(lines[1].get_xdata()) == [1, 1]


def test_first_best_and_last_are_among_the_matrices() -> None:
    for best in range(1, 41):
        chosen = epochs._chosen(range(1, 41), best)
        assert len(set(chosen)) == 6 and {1, best, 40} <= set(chosen) and chosen == sorted(chosen)
    assert epochs._chosen([3, 5], 9) == [3, 5]
    assert epochs.drawings(rows_of(9), ("a", "b"), 4)["confusion_epochs"].caption.endswith(" 6 of 9 epochs.")


def test_of_very_many_classes_the_worst_have_a_row() -> None:
    drawing = epochs.drawings(rows_of(2, 61), [str(label) for label in range(61)], 1)["f1_epochs"]
    assert "The 60 of 61 classes with the lowest F1" in drawing.caption
    first, second = np.eye(61, dtype=int) * 4, np.eye(61, dtype=int) * 4
    first[0], first[:, 0] = 0, 0
    first[60, 60], first[60, 59], second[5, 5], second[5, 6] = 1, 3, 1, 3
    rows = [{"epoch": epoch, "counts": cells(each)} for epoch, each in ((1, first), (2, second))]
    (axes,) = epochs.drawings(rows, [str(label) for label in range(61)], 1)["f1_epochs"].figure.axes
    shown, shares = [label.get_text() for label in axes.get_yticklabels()], axes.images[0].get_array()
    assert shown[:2] == ["60", "59"] and "0" not in shown, "the worst of the best epoch on top; what does not occur is not the worst"
    assert shares is not None and shares[0].tolist() == pytest.approx([0.4, 1.0])
