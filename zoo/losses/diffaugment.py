"""Augmentation of what the discriminator sees, real and drawn, through which the generator learns (Zhao 2020, arXiv:2006.10738).

For small sets of pictures, which a discriminator would soon know by heart. Each picture draws its own numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Policy = Literal["color", "translation", "cutout"]

SHIFT, CUT = 1 / 8, 1 / 2
"""Shares of a side: the largest shift, and the box that is cut out."""


def diffaugment(images: Tensor, policy: Sequence[Policy], low: float = -1.0, high: float = 1.0) -> Tensor:
    """Pictures changed at random, by differentiable steps, in the policy's order.

    Strengths are those of the authors' release. Shifts and boxes show the middle of the range, its zero. Values are not cut to the
    range. Random numbers come from torch's global generator on the pictures' device, and nothing waits for the device.

    Args:
        images: (B, C, H, W) float.
        policy: of "color" (brightness, saturation and contrast), "translation" (up to an eighth of either side) and "cutout" (a box of
            half of either side, which may lie half outside); () for the pictures as they are.
        low: least value of the pictures' range.
        high: largest value of it.

    Returns:
        (B, C, H, W).

    Raises:
        ValueError: there is no such step, or `low` is not below `high`.
    """
    if not low < high:
        raise ValueError(f"a range from {low} to {high}: expected the lower one first")
    middle, half = (low + high) / 2, (high - low) / 2
    for step in policy:
        match step:
            case "color":
                images = _color(images, half)
            case "translation":
                images = _translated(images, middle)
            case "cutout":
                images = _cut(images, middle)
            case _:
                raise ValueError(f"policy {step!r}: expected 'color', 'translation' or 'cutout'")
    return images


def _color(images: Tensor, half: float) -> Tensor:
    """Brightness up to half of half the range up or down, saturation 0 to 2 times, contrast 0.5 to 1.5 times.

    Saturation is the distance of channels from their mean: one channel has none.
    """
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, device=images.device, dtype=images.dtype)
    images = images + (brightness - 0.5) * half
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * 2 * saturation
    mean = images.mean((1, 2, 3), keepdim=True)
    changed: Tensor = mean + (images - mean) * (contrast + 0.5)
    return changed


def _translated(images: Tensor, middle: float) -> Tensor:
    """By whole pixels, so that nothing is interpolated."""
    for dim in (2, 3):
        size = images.shape[dim]
        most = int(size * SHIFT + 0.5)
        shift = torch.randint(-most, most + 1, (len(images), 1), device=images.device)
        source = torch.arange(size, device=images.device) - shift
        inside = _along(dim, (source >= 0) & (source < size))
        images = images.gather(dim, _along(dim, source.clamp(0, size - 1)).expand_as(images))
        images = images.where(inside, middle)
    return images


def _cut(images: Tensor, middle: float) -> Tensor:
    """The box's centre may be any pixel."""
    boxes = []
    for dim in (2, 3):
        size = images.shape[dim]
        box = int(size * CUT + 0.5)
        begin = torch.randint(0, size + 1 - box % 2, (len(images), 1), device=images.device) - box // 2
        place = torch.arange(size, device=images.device)
        boxes.append(_along(dim, (place >= begin) & (place < begin + box)))
    return images.where(~(boxes[0] & boxes[1]), middle)


def _along(dim: int, values: Tensor) -> Tensor:
    """(B, size) -> (B, 1, size, 1) for rows, dim 2, or (B, 1, 1, size) for columns, dim 3."""
    return values[:, None, :, None] if dim == 2 else values[:, None, None, :]
