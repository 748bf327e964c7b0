"""What tasks that answer with one label share: how it is measured, drawn and tabled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from zoo.tasks.task import Drawing, Examples, Table

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

MOST = 20
"""Mistakes in a gallery."""
MOST_PAIRS = 15


def metrics(labels: Sequence[str]) -> MetricCollection:
    """accuracy, macro, micro and weighted F1, and the mean cross entropy as `loss`."""
    from torchmetrics import MetricCollection

    from zoo.metrics.classification import ClassificationScores
    from zoo.metrics.mean import Mean

    return MetricCollection({"scores": ClassificationScores(len(labels)), "loss": Mean("losses")})


def details(metrics: MetricCollection) -> dict[str, Any]:
    """`confusion` (C, C) int64, rows truth."""
    confusion: Any = metrics["scores"].confusion
    return {"confusion": confusion.cpu().numpy()}


def drawings(labels: Sequence[str], examples: Examples) -> dict[str, Drawing]:
    """Confusion matrix and the surest mistakes."""
    from zoo.figures.confusion import confusion_matrix
    from zoo.figures.grid import mistake_gallery

    drawn = {
        "confusion": Drawing(
            "Confusion matrix",
            confusion_matrix(examples.details["confusion"], labels),
            "Rows: truth; columns: what the model said.",
        )
    }
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
    """Precision, recall and F1 of each class; the most confused pairs."""
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
    return tabled


def _mistakes(examples: Examples) -> tuple[list[int], Tensor, Tensor]:
    """Rows of the wrong predictions, surest first; what was said and how surely, for all rows."""
    score, said = examples.predictions["probabilities"].max(1)
    wrong = (said != examples.truth["label"]).nonzero().flatten().tolist()
    return sorted(wrong, key=lambda row: -float(score[row])), said, score
