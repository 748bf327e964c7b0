"""What a classifier answered on validation after each epoch of its training: its confusion matrix, and every picture's probabilities.

Both come of the one evaluation that ends an epoch, so that no picture is predicted twice. The confusion matrix is a line of
`confusion.jsonl` for each epoch, and only its cells that are not zero. The predictions are a file for each epoch,
`predictions/epoch_0007.csv.gz`, of about 4 bytes a probability: `checkpoint.keep_predictions` bounds all of them together, and where not
all fit, those of every second, third, ... epoch are kept.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zoo.cells import guarded
from zoo.ranks import gathered, most, ranks
from zoo.run import CONFUSION, predictions_file
from zoo.tasks.task import Classifies, Drawing, Task

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.datasets.loaders import Loaders
    from zoo.evaluate import Evaluation
    from zoo.run import Run

SHOWN = 6
"""Confusion matrices in the strip."""
MOST_PAIRS = 6
MOST_CLASSES = 60
"""Rows of the heat map."""
Counts = npt.NDArray[np.int64]
_LEVEL = 6
_ROW, _CELL = 24, 4  # bytes of a row and of each of its probabilities, compressed; measured on real runs they are fewer


class Answers:
    """Writes what a classifier answered after an epoch; of other tasks, nothing.

    Args:
        task: that is trained.
        data: of which `val` is answered.
        run: to write into; its recipe says how much.
    """

    def __init__(self, task: Task, data: Loaders, run: Run) -> None:
        self.run, self.data = run, data
        self.classifies, self.every = isinstance(task, Classifies), 0
        if self.classifies:
            size = len(data.parts()["val"]) * (_ROW + _CELL * len(data.spec.labels))
            self.every = spacing(run.recipe.train.epochs * size, run.recipe.checkpoint.keep_predictions * 1_000_000)

    def due(self, epoch: int) -> bool:
        """Whether this epoch's predictions are to be kept."""
        return self.every > 0 and epoch % self.every == 0

    def note(self, found: Evaluation, epoch: int, step: int) -> None:
        """Write what an epoch's evaluation found; every process calls it, rank 0 writes."""
        confusion = found.details.get("confusion")
        if not self.classifies or confusion is None:
            return
        self.run.append(CONFUSION, {"epoch": epoch, "step": step, "counts": cells(confusion)})
        if self.due(epoch):
            index, label, probabilities = _of_all(found.truth["index"], found.truth["label"], found.predictions["probabilities"])
            if ranks().first:
                self.run.write_bytes(predictions_file(epoch), self._csv(index, label, probabilities))

    def _csv(self, index: Tensor, label: Tensor, probabilities: Tensor) -> bytes:
        """One row a picture: id, truth, prediction, score, and a probability for each class."""
        records, labels = self.data.parts()["val"], [guarded(name) for name in self.data.spec.labels]
        score, said = probabilities.max(1)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("id", "truth", "prediction", "score", *(f"p({name})" for name in self.data.spec.labels)))
        columns = index.tolist(), label.tolist(), said.tolist(), score.tolist(), probabilities.tolist()
        for one, truth, answer, sure, each in zip(*columns, strict=True):
            numbers = [f"{value:.6f}" for value in (sure, *each)]
            writer.writerow((guarded(records[one].id), labels[truth], labels[answer], *numbers))
        return gzip.compress(text.getvalue().encode("utf-8", "surrogateescape"), compresslevel=_LEVEL, mtime=0)  # equal runs, equal files


def spacing(size: int, budget: int) -> int:
    """Of how many epochs one is kept, so that all of `size` bytes fit into `budget`; 0 for none."""
    return max(1, math.ceil(size / budget)) if budget > 0 else 0


def _of_all(index: Tensor, label: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of all processes in the order of the part; shares differ in length by one, so they are filled up to be sent."""
    import torch

    if ranks().world == 1:
        return index, label, probabilities
    rows = torch.cat([index[:, None].double(), label[:, None].double(), probabilities.double()], 1)
    filled = rows.new_full((most(len(rows)), rows.shape[1]), -1.0)
    filled[: len(rows)] = rows
    together = torch.cat(gathered(filled))
    together = together[together[:, 0] >= 0]
    together = together[together[:, 0].argsort()]
    return together[:, 0].long(), together[:, 1].long(), together[:, 2:]


# ---------------------------------------------------------------- the matrices as they are kept


def cells(confusion: npt.ArrayLike) -> list[list[int]]:
    """(C, C) counts -> [truth, prediction, times] of each cell that is not zero."""
    counts = np.asarray(confusion)
    rows, columns = counts.nonzero()
    found: list[list[int]] = np.stack([rows, columns, counts[rows, columns]], 1).tolist()
    return found


def confusions(rows: Sequence[Mapping[str, Any]], classes: int) -> dict[int, Counts]:
    """Epoch -> its cells (K, 3), in the order of the epochs. Of an epoch that was measured twice the last row counts.

    Args:
        rows: of `confusion.jsonl`.
        classes: a row with cells of others is broken, and left out.
    """
    found: dict[int, Counts] = {}
    for row in rows:
        epoch, counts = row.get("epoch"), row.get("counts")
        if isinstance(epoch, int) and isinstance(counts, list) and all(_is_cell(cell, classes) for cell in counts):
            found[epoch] = np.array(counts, dtype=np.int64).reshape(-1, 3)
    return dict(sorted(found.items()))


def _is_cell(cell: Any, classes: int) -> bool:
    if not (isinstance(cell, list) and len(cell) == 3 and all(isinstance(value, int) for value in cell)):
        return False
    truth, said, times = (int(value) for value in cell)
    return 0 <= truth < classes and 0 <= said < classes and 0 <= times < 2**53


def matrix(counts: Counts, classes: int) -> Counts:
    """Cells (K, 3) -> (C, C)."""
    full = np.zeros((classes, classes), dtype=np.int64)
    full[counts[:, 0], counts[:, 1]] = counts[:, 2]
    return full


def f1_scores(counts: Counts, classes: int) -> npt.NDArray[np.float64]:
    """Cells (K, 3) -> F1 of each class (C,); NaN where a class is neither in the truth nor said."""
    truth, said = (np.bincount(counts[:, side], counts[:, 2], classes) for side in (0, 1))
    hit = counts[counts[:, 0] == counts[:, 1]]
    right = np.bincount(hit[:, 0], hit[:, 2], classes)
    occurs = truth + said > 0
    return np.where(occurs, 2 * right / np.maximum(truth + said, 1), np.nan)


def confused(found: Sequence[Counts], classes: int, most: int) -> dict[tuple[int, int], npt.NDArray[np.float64]]:
    """The pairs (truth, said) confused most often over all epochs -> after each, the share of the truth's pictures that was so confused."""
    times: dict[tuple[int, int], npt.NDArray[np.float64]] = {}
    for place, counts in enumerate(found):
        for truth, said, number in counts[counts[:, 0] != counts[:, 1]].tolist():
            times.setdefault((truth, said), np.zeros(len(found)))[place] = number
    worst = sorted(times, key=lambda pair: (-times[pair].sum(), pair))[:most]
    totals = np.array([np.bincount(counts[:, 0], counts[:, 2], classes) for counts in found])
    return {(truth, said): times[truth, said] / np.maximum(totals[:, truth], 1) for truth, said in worst}


# ---------------------------------------------------------------- drawn


def drawings(rows: Sequence[Mapping[str, Any]], labels: Sequence[str], best: int | None) -> dict[str, Drawing]:
    """What the epochs' confusion matrices show, where there are several; {} for one alone.

    Args:
        rows: of `confusion.jsonl`.
        labels: of the classes.
        best: the epoch that was kept.
    """
    from zoo.figures.epochs import class_heat, confusion_strip, pair_lines

    classes, found = len(labels), confusions(rows, len(labels))
    if len(found) < 2:
        return {}
    epochs = list(found)
    chosen = _chosen(epochs, best)
    words = "Rows: truth; columns: what the model said; colours and order as in the large matrix"
    strip = confusion_strip({epoch: matrix(found[epoch], classes) for epoch in chosen}, best)
    drawn = {"confusion_epochs": Drawing("Confusion over the epochs", strip, f"{words}. {len(chosen)} of {len(epochs)} epochs.")}
    scores = np.stack([f1_scores(counts, classes) for counts in found.values()], 1)
    worst, said = _worst(scores[:, epochs.index(best) if best in found else -1])
    heat = class_heat(scores[worst], [labels[index] for index in worst], epochs, best)
    drawn["f1_epochs"] = Drawing("F1 of each class over the epochs", heat, f"Dark is good; grey: neither true nor said. {said}".strip())
    pairs = confused(list(found.values()), classes, MOST_PAIRS)
    if pairs:
        names = [(labels[truth], labels[said]) for truth, said in pairs]
        lines = pair_lines(np.stack(list(pairs.values())), names, epochs, best)
        drawn["confused_epochs"] = Drawing("Most confused pairs over the epochs", lines, "Truth → what the model said instead.")
    return drawn


def _chosen(epochs: Sequence[int], best: int | None) -> list[int]:
    """The first, the best, the last, and some evenly between."""
    if len(epochs) <= SHOWN:
        return list(epochs)
    even = [epochs[round(place * (len(epochs) - 1) / (SHOWN - 1))] for place in range(SHOWN)]
    if best is not None and best in epochs and best not in even:
        near = min(range(1, SHOWN - 1), key=lambda place: abs(even[place] - best))
        even[near] = best
    return sorted(even)


def _worst(scores: npt.NDArray[np.float64]) -> tuple[list[int], str]:
    """The classes to draw, in their order, and a sentence if these are not all."""
    if len(scores) <= MOST_CLASSES:
        return list(range(len(scores))), ""
    order = np.argsort(np.where(np.isnan(scores), np.inf, scores), kind="stable")[:MOST_CLASSES]
    return order.tolist(), f"The {MOST_CLASSES} of {len(scores)} classes with the lowest F1, the worst on top."
