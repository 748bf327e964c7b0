"""Mixup and CutMix: two pictures in one, and their labels in the same shares."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def mix(image: Tensor, label: Tensor, classes: int, mixup: float, cutmix: float) -> tuple[Tensor, Tensor]:
    """Mix a batch with a shuffled copy of itself.

    One of the two ways is drawn for the batch where both are asked for, in equal shares; randomness is the CPU's, so that
    nothing waits for a device.

    Args:
        image: (B, C, H, W) float.
        label: (B,) int64.
        classes: number of classes.
        mixup: alpha of the Beta distribution (Zhang 2018, "mixup"); 0 for none.
        cutmix: alpha of CutMix (Yun 2019, algorithm A1); 0 for none.

    Returns:
        Mixed images and (B, classes) float labels.
    """
    soft = F.one_hot(label, classes).float()  # whatever the picture's type: shares in half floats would not add up to 1
    cut = cutmix > 0 and (mixup <= 0 or bool(torch.rand(()) < 0.5))
    alpha = cutmix if cut else mixup
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    order = torch.randperm(len(image)).to(image.device, non_blocking=True)
    if cut:
        image, share = _paste(image, image[order], share)
    else:
        image = image * share + image[order] * (1 - share)
    return image, soft * share + soft[order] * (1 - share)


def _paste(image: Tensor, other: Tensor, share: float) -> tuple[Tensor, float]:
    """Paste a box of `other` of area 1 - share at a random place; returns the share that is really left."""
    height, width = image.shape[-2:]
    side = (1 - share) ** 0.5
    y, x = int(torch.randint(height, ())), int(torch.randint(width, ()))
    rows, columns = int(height * side) // 2, int(width * side) // 2
    top, bottom, left, right = max(0, y - rows), min(height, y + rows), max(0, x - columns), min(width, x + columns)
    image = image.clone()
    image[..., top:bottom, left:right] = other[..., top:bottom, left:right]
    return image, 1 - (bottom - top) * (right - left) / (height * width)
