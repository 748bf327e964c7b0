"""Losses of pictures that are to equal others: squared and absolute differences, and structural dissimilarity.

The contract of all: `f(predicted, target, reduction="mean")` with both (B, C, H, W) in [0, 1], any float type, read as float32
(float64 stays). "none" gives one number for each picture, (B,); "mean" their mean. So a loss does not depend on how pictures are divided
into batches.
"""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor

Reduction = Literal["none", "mean"]

WINDOW = 11
"""Of SSIM, in pixels: Wang 2004, section III.B."""


class Loss(Protocol):
    """What all functions of this module are."""

    def __call__(self, predicted: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
        """(B, C, H, W) twice -> a scalar, or (B,)."""
        ...


def build(name: Literal["mse", "l1", "ssim"]) -> Loss:
    """A loss by its name."""
    losses: dict[str, Loss] = {"mse": mse, "l1": l1, "ssim": ssim}
    return losses[name]


def mse(predicted: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean squared difference of the pixels, from 0 up."""
    predicted, target = _read(predicted, target, reduction)
    return _reduce((predicted - target).square().flatten(1).mean(1), reduction)


def l1(predicted: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean absolute difference of the pixels, from 0 up."""
    predicted, target = _read(predicted, target, reduction)
    return _reduce((predicted - target).abs().flatten(1).mean(1), reduction)


def ssim(predicted: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """1 - SSIM (Wang et al. 2004, doi:10.1109/TIP.2003.819861, eq. 13), from 0 (equal) to 2.

    The paper's Gaussian window of 11 pixels and sigma 1.5, its constants 0.01 and 0.03 for a range of 1, and only places where the
    window lies within the picture. A picture with a side below 11 gets the largest odd window that fits. Colours count alike.
    Libraries that call half of this the loss differ from it by that factor.
    """
    from kornia.metrics import ssim as similarity  # takes a second to import, and most trainings do not use it

    predicted, target = _read(predicted, target, reduction)
    most = min(WINDOW, *predicted.shape[2:])
    with torch.autocast(predicted.device.type, enabled=False):  # variances are small differences of large numbers
        places = similarity(predicted, target, most - (most % 2 == 0), padding="valid")
    return _reduce(1 - places.flatten(1).mean(1), reduction)


def _read(predicted: Tensor, target: Tensor, reduction: str) -> tuple[Tensor, Tensor]:
    if predicted.dim() != 4 or predicted.shape != target.shape:
        raise ValueError(f"predicted {tuple(predicted.shape)} and target {tuple(target.shape)}: expected two equal shapes (B, C, H, W)")
    if reduction not in ("none", "mean"):
        raise ValueError(f"reduction={reduction!r}: expected 'none' or 'mean'")
    kind = torch.promote_types(torch.promote_types(predicted.dtype, target.dtype), torch.float32)
    return predicted.to(kind), target.to(kind)


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    return losses if reduction == "none" else losses.mean()
