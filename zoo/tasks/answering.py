"""What tasks that answer with one label share: how it is measured, drawn and tabled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from zoo.tasks.task import Drawing, Examples, Table

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from zoo.metrics.thresholds import Sweep

MOST = 20
"""Mistakes in a gallery."""
MOST_PAIRS = 15
WORST = 8
"""Curves, where there are too many classes for one each."""


def metrics(labels: Sequence[str]) -> MetricCollection:
    """accuracy, macro, micro and weighted F1, and the mean cross entropy as `loss`."""
    from torchmetrics import MetricCollection

    from zoo.metrics.classification import ClassificationScores
    from zoo.metrics.mean import Mean

    return MetricCollection({"scores": ClassificationScores(len(labels)), "loss": Mean("losses")})


def details(metrics: MetricCollection) -> dict[str, Any]:
    """`confusion` (C, C) int64, rows truth, once the metrics are computed."""
    counted: Any = metrics["scores"].counted
    return {"confusion": counted}


def drawings(labels: Sequence[str], examples: Examples) -> dict[str, Drawing]:
    """Confusion matrix, precision against recall, F1 against the threshold, and the surest mistakes."""
    from zoo.figures.confusion import confusion_matrix
    from zoo.figures.grid import mistake_gallery

    drawn = {
        "confusion": Drawing(
            "Confusion matrix",
            confusion_matrix(examples.details["confusion"], labels),
            "Rows: truth; columns: what the model said.",
        )
    }
    drawn |= _curves(labels, examples)
    wrong, said, score = _mistakes(examples)
    rows = wrong[:MOST]
    if rows:
        truth = examples.truth["label"]
        figure = mistake_gallery(
            [examples.picture(row) for row in rows],
            [labels[int(truth[row])] for row in rows],
            [labels[int(said[row])] for row in rows],
            [float(score[row]) for row in rows],
        )
        drawn["mistakes"] = Drawing("Surest mistakes", figure, f"The {len(rows)} mistakes of {len(wrong)} that the model was surest of.")
    return drawn


def tables(labels: Sequence[str], examples: Examples) -> dict[str, Table]:
    """Precision, recall and F1 of each class; the most confused pairs; of val, the best threshold of each class."""
    from zoo.metrics.classification import per_class

    confusion = examples.details["confusion"]
    classes = per_class(confusion)
    rows = [
        (label, int(classes.support[i]), float(classes.precision[i]), float(classes.recall[i]), float(classes.f1[i]))
        for i, label in enumerate(labels)
    ]
    off = confusion * (1 - np.eye(len(labels), dtype=np.int64))
    worst = [divmod(int(cell), len(labels)) for cell in np.argsort(-off, axis=None, kind="stable")[:MOST_PAIRS]]
    pairs = [(labels[t], labels[p], int(off[t, p])) for t, p in worst if off[t, p]]
    tabled = {"per_class": Table("Per class", ("class", "pictures", "precision", "recall", "f1"), rows)}
    if pairs:
        tabled["confused_pairs"] = Table("Most confused pairs", ("truth", "said", "times"), pairs)
    if examples.part == "val":  # chosen on test, a threshold would be measured on what chose it
        tabled["thresholds"] = _thresholds(labels, examples, classes.f1)
    return tabled


def _sweeps(labels: Sequence[str], examples: Examples) -> dict[int, Sweep]:
    """Class -> what becomes of it at each threshold; without those that no picture is of."""
    from zoo.metrics.thresholds import sweep

    said, truth = examples.predictions["probabilities"].numpy(), examples.truth["label"].numpy()
    swept = {index: sweep(said[:, index], truth == index) for index in range(len(labels))}
    return {index: one for index, one in swept.items() if one is not None}


def _curves(labels: Sequence[str], examples: Examples) -> dict[str, Drawing]:
    """A curve for each class; of many, the worst."""
    from zoo.figures.thresholds import MOST as MOST_CURVES
    from zoo.figures.thresholds import f1_thresholds, precision_recall

    swept = _sweeps(labels, examples)
    worst = sorted(swept, key=lambda index: swept[index].average_precision)[:WORST]
    shown = list(swept) if len(swept) <= MOST_CURVES else worst
    names, curves = [labels[index] for index in shown], [swept[index] for index in shown]
    few = "" if len(shown) == len(swept) else f" The {WORST} of {len(swept)} classes with the lowest average precision; the table has all."
    absent = len(labels) - len(swept)
    few += f" {absent} without pictures here: no curve." if absent else ""
    against = precision_recall(names, [(one.recall, one.precision) for one in curves], [one.average_precision for one in curves])
    best = [(float(one.thresholds[one.best]), float(one.f1[one.best])) for one in curves]
    f1 = f1_thresholds(names, [(one.thresholds, one.f1) for one in curves], best)
    return {
        "precision_recall": Drawing("Precision against recall", against, f"Each class against the others; its average precision.{few}"),
        "threshold_f1": Drawing("F1 against threshold", f1, f"Each class against the others; the dot: its best threshold.{few}"),
    }


def _thresholds(labels: Sequence[str], examples: Examples, answered: NDArray[np.float64]) -> Table:
    """Each class's threshold of the highest F1; `answered` (C,) is F1 of the likeliest class."""
    header = ("class", "pictures", "threshold", "f1_at_threshold", "f1", "average_precision")
    rows = []
    for index, one in _sweeps(labels, examples).items():
        best = float(one.thresholds[one.best]), float(one.f1[one.best])
        rows.append((labels[index], one.positives, *best, float(answered[index]), one.average_precision))
    words = "A picture is of the class if its probability reaches the threshold; these very pictures chose it. f1: of the likeliest class."
    return Table("Best thresholds", header, rows, words)


def _mistakes(examples: Examples) -> tuple[list[int], Tensor, Tensor]:
    """Rows of the wrong predictions, surest first; what was said and how surely, for all rows."""
    score, said = examples.predictions["probabilities"].max(1)
    wrong = (said != examples.truth["label"]).nonzero().flatten().tolist()
    return sorted(wrong, key=lambda row: -float(score[row])), said, score
