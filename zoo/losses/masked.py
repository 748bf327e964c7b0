"""What all losses of segmentation share: how logits and a mask are read, and how pictures become one number.

Each picture gets one number over its valid pixels, and a batch the mean over its pictures. So a loss does not depend on how pictures
are divided into batches, and in a padded batch a small picture counts as much as a large one.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE = 255
"""The value of pixels whose class nobody knows, as in PASCAL VOC's masks."""

Reduction = Literal["none", "mean"]


class Masked(NamedTuple):
    """Logits with their truth; where the truth is unknown the logits are 0, so that nothing they hold can reach a loss.

    Attributes:
        logits: (B, K, H, W) float32, or float64 where they came so; K = 1 is foreground against background.
        mask: (B, H, W) int64, -1 where ignored.
        valid: (B, H, W) bool.
    """

    logits: Tensor
    mask: Tensor
    valid: Tensor

    def probabilities(self) -> Tensor:
        """(B, K, H, W): of the foreground by a sigmoid, or of K classes by a softmax."""
        return self.logits.sigmoid() if self.logits.shape[1] == 1 else self.logits.softmax(1)

    def truth(self) -> Tensor:
        """(B, K, H, W) bool: whether a pixel is of the class; an eighth of what int64 would take."""
        classes = self.logits.shape[1]
        first = int(classes == 1)
        return self.mask[:, None] == torch.arange(first, first + classes, device=self.mask.device)[:, None, None]

    def misses(self, probabilities: Tensor, truth: Tensor) -> Tensor:
        """(B, K, H, W): how far each probability is from its truth, in [0, 1]; 0 where ignored."""
        return torch.where(truth, 1 - probabilities, probabilities) * self.valid[:, None]

    def entropy(self, smoothing: float = 0.0) -> Tensor:
        """(B, H, W): cross entropy of each pixel, `smoothing` of its truth spread evenly over the classes (two where K = 1)."""
        if self.logits.shape[1] > 1:  # unreduced, because CUDA adds up the mean over a plane in no fixed order
            return F.cross_entropy(self.logits, self.mask, ignore_index=-1, reduction="none", label_smoothing=smoothing)
        soft = (self.mask == 1).to(self.logits.dtype) * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(self.logits[:, 0], soft, reduction="none")

    def mean(self, pixels: Tensor) -> Tensor:
        """(B, H, W) -> (B,): the mean over each picture's valid pixels, 0 without any."""
        return (pixels * self.valid).sum((1, 2)) / self.valid.sum((1, 2)).clamp_min(1)

    def over_classes(self, losses: Tensor, truth: Tensor) -> Tensor:
        """(B, K) -> (B,): the mean over the classes that occur in each picture's truth; K = 1 is its own mean.

        A class that does not occur has no overlap to measure. Counting it as perfect would reward pictures of few classes, as lost
        would teach nothing; probability spent on it is missing from the classes that do occur, and is paid for there.
        """
        if losses.shape[1] == 1:
            return losses[:, 0]
        present = truth.flatten(2).any(2)
        return (losses * present).sum(1) / present.sum(1).clamp_min(1)

    def reduce(self, losses: Tensor, reduction: Reduction) -> Tensor:
        """(B,) -> (B,) or a scalar; a picture without a valid pixel is 0 and is not counted in the mean."""
        seen = self.valid.flatten(1).any(1)
        losses = losses * seen
        return losses if reduction == "none" else losses.sum() / seen.sum().clamp_min(1)


def read(logits: Tensor, mask: Tensor, ignore: int, reduction: Reduction) -> Masked:
    """Check what can be checked without waiting for the device, and hide ignored pixels.

    Raises:
        ValueError: shapes or types are not those of the contract, or `reduction` is unknown.
    """
    if logits.dim() != 4 or not logits.shape[1] or not logits.is_floating_point():
        raise ValueError(f"logits {tuple(logits.shape)} of {logits.dtype}: expected floats of shape (B, K, H, W) with at least one class")
    expected = (logits.shape[0], *logits.shape[2:])
    if mask.shape != expected or mask.dtype != torch.int64:
        raise ValueError(f"mask {tuple(mask.shape)} of {mask.dtype}: expected torch.int64 of shape {expected}, as the logits are")
    require(reduction in ("none", "mean"), "reduction", reduction, "'none' or 'mean'")
    valid = mask != ignore
    # Sums over a picture leave half floats' range and precision.
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return Masked(logits.masked_fill(~valid[:, None], 0), mask.masked_fill(~valid, -1), valid)


def require(holds: bool, name: str, value: object, expected: str) -> None:
    """Refuse an option's value.

    Raises:
        ValueError: it does not hold.
    """
    if not holds:
        raise ValueError(f"{name}={value!r}: expected {expected}")
