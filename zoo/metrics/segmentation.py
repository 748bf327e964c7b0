"""Metrics of segmentation, all from the confusion matrix of each picture.

Per picture means: one number a picture, then the mean over the pictures. Pooled means: one confusion matrix of all pixels, then one
number. Two classes are background and foreground, and IoU and Dice are the foreground's; of more classes they are means over the
classes that occur in truth or prediction. A picture without a valid pixel counts nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.metrics.mean import Mean

IGNORE = 255
THRESHOLDS = tuple(step / 20 for step in range(1, 20))
"""0.05, 0.10 ... 0.95."""

Vector = npt.NDArray[np.float64]
_OVERLAPS = ("iou", "dice", "iou_thresholded")


@dataclass(frozen=True)
class PerClass:
    """IoU, Dice, precision, recall and number of true pixels of each class, each (C,); NaN where there is nothing to divide by."""

    iou: Vector
    dice: Vector
    precision: Vector
    recall: Vector
    pixels: Vector


@dataclass(frozen=True)
class Sweep:
    """Mean IoU and Dice over pictures, each (T,), where a pixel is foreground from each of the `thresholds` (T,) on."""

    thresholds: Vector
    iou: Vector
    dice: Vector


def confusions(said: Tensor, truth: Tensor, classes: int, ignore: int = IGNORE) -> Tensor:
    """Confusion matrix of each picture, without waiting for the device.

    Args:
        said: (B, H, W), decided classes.
        truth: (B, H, W), classes or `ignore`; such pixels are not counted.
        classes: C; a value outside of 0 ... C - 1 is no class and must not occur.
        ignore: the value of pixels without truth.

    Returns:
        (B, C, C) int64, rows truth, columns prediction.
    """
    cells = classes * classes
    cell = torch.where(truth == ignore, cells, truth.long() * classes + said.long())
    return _histograms(cell, cells + 1)[:, :cells].reshape(-1, classes, classes)


def swept_confusions(probability: Tensor, truth: Tensor, thresholds: Tensor, ignore: int = IGNORE) -> Tensor:
    """Confusion matrix of each picture at each threshold; a pixel is foreground if its probability is the threshold or more.

    Each pixel is put between two thresholds once, and the counts are summed up from the highest down.

    Args:
        probability: (B, H, W), of the foreground.
        truth: (B, H, W), 0, 1 or `ignore`.
        thresholds: (T,), ascending.
        ignore: the value of pixels without truth.

    Returns:
        (B, T, 2, 2) int64, rows truth, columns prediction.
    """
    bins = len(thresholds) + 1
    reached = torch.bucketize(probability.contiguous(), thresholds.to(probability.dtype), right=True)  # how many thresholds
    place = torch.where(truth == ignore, 2 * bins, truth.long() * bins + reached)
    counts = _histograms(place, 2 * bins + 1)[:, :-1].reshape(-1, 2, bins)
    at_least = counts.flip(-1).cumsum(-1).flip(-1)  # (B, 2, T + 1)
    foreground = at_least[..., 1:]
    return torch.stack((at_least[..., :1] - foreground, foreground), -1).transpose(1, 2)


def _histograms(values: Tensor, number: int) -> Tensor:
    """(B, H, W) int64 of 0 ... number - 1 -> (B, number) int64; `bincount` would wait for the device."""
    flat = values.flatten(1)
    return flat.new_zeros(len(flat), number).scatter_add_(1, flat, torch.ones_like(flat))


def overlaps(confusion: Tensor) -> dict[str, Tensor]:
    """IoU, Dice and thresholded IoU of confusion matrices.

    Where neither truth nor prediction has foreground, all three are 1. The thresholded IoU of several classes is the mean of theirs.

    Args:
        confusion: (..., C, C) int64, rows truth, columns prediction.

    Returns:
        `iou`, `dice` and `iou_thresholded`, each (...) float64; NaN for a matrix without a pixel.
    """
    hit, truth, said = confusion.diagonal(dim1=-2, dim2=-1), confusion.sum(-1), confusion.sum(-2)
    both, union = truth + said, truth + said - hit
    values = {"iou": hit.double() / union, "dice": 2 * hit.double() / both, "iou_thresholded": thresholded_iou(hit, union)}
    measured = truth.sum(-1) > 0
    return {name: torch.where(measured, _over_classes(value, union > 0), torch.nan) for name, value in values.items()}


def _over_classes(value: Tensor, occurs: Tensor) -> Tensor:
    if value.shape[-1] == 2:
        return torch.where(occurs, value, 1.0)[..., 1]
    return torch.where(occurs, value, 0.0).sum(-1) / occurs.sum(-1)


def thresholded_iou(hit: Tensor, union: Tensor) -> Tensor:
    """0 for an IoU up to 0.5, 0.1 up to 0.55, and so on to 1 above 0.95: clamp(20 * (IoU - 0.5), 0, 10) rounded up, over 10.

    That is the share of the thresholds 0.5, 0.55 ... 0.95 that the IoU is greater than, as in Kaggle's TGS Salt Identification
    Challenge (2018). Computed in integers: in floating point 20 * (0.55 - 0.5) is more than 1.

    Args:
        hit: pixels of both truth and prediction, int64, any shape.
        union: pixels of either, the same shape.

    Returns:
        float64 of that shape; 1 where the union is empty.
    """
    steps = -torch.div(10 * union - 20 * hit, union.clamp(min=1), rounding_mode="floor")
    return torch.where(union > 0, steps.clamp(0, 10), 10).double() / 10


def accuracies(confusion: Tensor) -> dict[str, float]:
    """`pixel_accuracy` (share of right pixels) and `mean_pixel_accuracy` (mean recall of the classes that occur in the truth).

    Args:
        confusion: (C, C), rows truth, columns prediction; NaN if it is empty.
    """
    hit, truth = confusion.diagonal().double(), confusion.sum(1)
    return {
        "pixel_accuracy": float(hit.sum() / truth.sum()),
        "mean_pixel_accuracy": float((hit / truth)[truth > 0].mean()),
    }


def per_class(confusion: npt.ArrayLike) -> PerClass:
    """Of all pixels, from a confusion matrix (C, C), rows truth, columns prediction."""
    matrix = np.asarray(confusion, dtype=np.float64)
    hit, truth, said = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    with np.errstate(invalid="ignore"):
        return PerClass(hit / (truth + said - hit), 2 * hit / (truth + said), hit / said, hit / truth, truth)


def per_picture(said: Tensor, truth: Tensor, classes: int, ignore: int = IGNORE) -> dict[str, Tensor]:
    """`iou`, `dice` and `iou_thresholded` of each picture of a batch, for a task's predictions.

    Args:
        said: (B, H, W), decided classes.
        truth: (B, H, W), classes or `ignore`.
        classes: their number, two for background and foreground.
        ignore: the value of pixels without truth.

    Returns:
        Each (B,) float64; NaN for a picture without a valid pixel.

    Raises:
        ValueError: a value is no class.
    """
    _check(said, truth, classes, ignore)
    return overlaps(confusions(said, truth, classes, ignore))


def group_means(groups: Sequence[str], values: Mapping[str, Tensor]) -> dict[str, dict[str, float]]:
    """Means of each group of pictures, for a table of diagnoses.

    Args:
        groups: B names, one a picture.
        values: name -> (B,), as `per_picture` gives them, NaN where a picture does not count.

    Returns:
        group -> {"pictures": how many count, and the mean of each of the values}, groups in alphabetical order.
    """
    for name, value in values.items():
        if len(value) != len(groups):
            raise ValueError(f"{len(value)} values of {name} for {len(groups)} groups; expected one for each picture")
    table = torch.stack([value.double().cpu() for value in values.values()])
    measured = ~table.isnan().any(0)
    means = {}
    for group in sorted(set(groups)):
        rows = measured & torch.tensor([other == group for other in groups])
        means[group] = {"pictures": float(rows.sum())} | dict(zip(values, table[:, rows].mean(1).tolist(), strict=True))
    return means


def _check(said: Tensor, truth: Tensor, classes: int, ignore: int) -> None:
    """Another value would be counted in another cell or picture."""
    for what, values in (("mask", truth[truth != ignore]), ("predicted mask", said)):
        wrong = values[(values < 0) | (values >= classes)]
        if len(wrong):
            raise ValueError(f"{what} value {int(wrong[0])}: expected a class from 0 to {classes - 1}; {ignore} in a true mask is no truth")


class MeanOverMasks(Mean):
    """Mean over pictures of `predictions[key]`, shape (B,), without those whose mask has no valid pixel."""

    def update(self, predictions: Mapping[str, Tensor], batch: Mapping[str, Any]) -> None:
        """Count a batch, without waiting for the device; see `Mean.update`."""
        if self.key in predictions:
            empty = (batch["mask"] == IGNORE).flatten(1).all(1)
            predictions = {self.key: predictions[self.key].masked_fill(empty, 0)}
            self.count -= empty.sum()
        super().update(predictions, batch)


class SegmentationScores(Metric):
    """IoU, thresholded IoU, Dice and pixel accuracies.

    `update(predictions, batch)` reads `predictions["mask"]` (B, H, W), decided classes, `batch["mask"]` (B, H, W), classes or 255, and,
    for two classes, `predictions["probabilities"]` (B, 1, H, W) of the foreground. Counts are int64 and sums float64, so that
    the batch size does not matter.

    Args:
        classes: their number, at least two; two are background and foreground.
        thresholds: of `sweep`, ascending.

    Attributes:
        confusion: (C, C) int64, of all pixels, rows truth, columns prediction.
    """

    full_state_update = False
    confusion: Tensor
    sums: Tensor
    swept: Tensor
    pictures: Tensor
    thresholds: Tensor

    def __init__(self, classes: int, thresholds: Sequence[float] = THRESHOLDS) -> None:
        super().__init__()
        if not 2 <= classes <= IGNORE:
            raise ValueError(f"{classes} classes: expected 2 (background and foreground) to {IGNORE}")
        if list(thresholds) != sorted(set(thresholds)):
            raise ValueError(f"thresholds {list(thresholds)}: expected ascending numbers")
        self.classes = classes
        self.register_buffer("thresholds", torch.tensor(thresholds, dtype=torch.float64), persistent=False)
        self.add_state("confusion", torch.zeros(classes, classes, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("sums", torch.zeros(len(_OVERLAPS), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("swept", torch.zeros(2, len(thresholds), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("pictures", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Mapping[str, Tensor], batch: Mapping[str, Any]) -> None:
        """Count a batch.

        Raises:
            ValueError: a value of a mask is no class.
        """
        said, truth = predictions["mask"], batch["mask"]
        _check(said, truth, self.classes, IGNORE)
        counts = confusions(said, truth, self.classes)
        values = overlaps(counts)
        self.confusion += counts.sum(0)
        self.sums += torch.stack([values[name].nansum() for name in _OVERLAPS])
        self.pictures += (~values["iou"].isnan()).sum()
        if self.classes == 2:
            swept = overlaps(swept_confusions(predictions["probabilities"][:, 0], truth, self.thresholds))
            self.swept += torch.stack([swept[name].nansum(0) for name in ("iou", "dice")])

    def compute(self) -> dict[str, float]:
        """`iou`, `dice` and `iou_thresholded` are means over pictures; `iou_pooled` and the accuracies are of all pixels."""
        means = (self.sums / self.pictures).tolist()
        pooled = float(overlaps(self.confusion)["iou"])
        return dict(zip(_OVERLAPS, means, strict=True)) | {"iou_pooled": pooled} | accuracies(self.confusion)

    def sweep(self) -> Sweep | None:
        """What other thresholds give; None for more than two classes, which are decided without a threshold."""
        if self.classes != 2:
            return None
        iou, dice = (self.swept / self.pictures).cpu().numpy()
        return Sweep(self.thresholds.cpu().numpy(), iou, dice)
