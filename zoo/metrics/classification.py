"""Metrics of single-label classification, all from one confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import Metric

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PerClass:
    """Precision, recall, F1 and number of true samples of each class, each (C,); 0 where a class does not occur."""

    precision: Matrix
    recall: Matrix
    f1: Matrix
    support: Matrix


def per_class(confusion: npt.ArrayLike) -> PerClass:
    """From a confusion matrix (C, C), rows truth, columns prediction."""
    matrix = np.asarray(confusion, dtype=np.float64)
    hit, truth, said = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    precision, recall = hit / np.maximum(said, 1), hit / np.maximum(truth, 1)
    return PerClass(precision, recall, 2 * hit / np.maximum(truth + said, 1), truth)


def scores(confusion: npt.ArrayLike) -> dict[str, float]:
    """accuracy, f1_macro, f1_micro and f1_weighted of a confusion matrix (C, C), rows truth, columns prediction.

    The macro average runs over the classes that occur in truth or prediction, as in scikit-learn; NaN for an empty matrix.
    """
    matrix = np.asarray(confusion, dtype=np.float64)
    total = matrix.sum()
    if not total:
        return dict.fromkeys(("accuracy", "f1_macro", "f1_micro", "f1_weighted"), float("nan"))
    classes = per_class(matrix)
    occurs = (matrix.sum(0) + matrix.sum(1)) > 0
    accuracy = float(matrix.trace() / total)
    return {
        "accuracy": accuracy,
        "f1_macro": float(classes.f1[occurs].mean()),
        "f1_micro": accuracy,  # with one label each, every miss is one false positive and one false negative
        "f1_weighted": float((classes.f1 * classes.support).sum() / total),
    }


def confusion_of(truth: Tensor, said: Tensor, classes: int) -> Tensor:
    """(N,) classes in truth and as predicted -> (C, C) int64, rows truth."""
    return torch.bincount(truth * classes + said, minlength=classes**2).view(classes, classes)


class ClassificationScores(Metric):
    """Gathers a confusion matrix on the device and computes `scores` of it.

    `update(predictions, batch)` reads `predictions["probabilities"]` (B, C) and `batch["label"]` (B,).

    Attributes:
        counted: after `compute`: (C, C) int64, rows truth, of all processes that measured together.
    """

    full_state_update = False
    confusion: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.counted = np.zeros((classes, classes), dtype=np.int64)
        self.add_state("confusion", torch.zeros(classes, classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Mapping[str, Tensor], batch: Mapping[str, Any]) -> None:
        """Count a batch.

        Raises:
            ValueError: a label is no class; it would be counted somewhere else.
        """
        label = batch["label"]
        wrong = label[(label < 0) | (label >= self.classes)]
        if len(wrong):
            raise ValueError(f"label {int(wrong[0])}: expected a class from 0 to {self.classes - 1}")
        self.confusion += confusion_of(label, predictions["probabilities"].argmax(1), self.classes)

    def compute(self) -> dict[str, float]:
        """The scores so far."""
        self.counted = self.confusion.cpu().numpy().copy()  # torchmetrics takes the sum over the processes away again
        return scores(self.counted)
