"""Boxes: rectangles of a picture that are each of a class.

Coordinates are pixels of the upright picture, x to the right and y down, with corners between pixels: a box around the picture's first
pixel is (0, 0, 1, 1), and its width is right - left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

IGNORED = -1
"""Class of a region that belongs to no class: what is found there is neither right nor wrong, and nothing is learnt from it."""
NONE = -2
"""Class of a row that is no box: pictures have different numbers of boxes, and those of a batch lie in one tensor."""


class Box(NamedTuple):
    """A rectangle with right > left and bottom > top, and the index of its class or `IGNORED`."""

    left: float
    top: float
    right: float
    bottom: float
    label: int


def tensors(boxes: Sequence[Box]) -> tuple[Tensor, Tensor]:
    """Corners (N, 4) float32 as left, top, right, bottom, and classes (N,) int64."""
    corners = torch.tensor([box[:4] for box in boxes], dtype=torch.float32).reshape(-1, 4)
    return corners, torch.tensor([box.label for box in boxes], dtype=torch.int64)


def joined(corners: Sequence[Tensor], classes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Boxes of several pictures in one tensor: (B, M, 4) and (B, M), filled up with rows of class `NONE`."""
    pad = torch.nn.utils.rnn.pad_sequence
    return pad(list(corners), batch_first=True), pad(list(classes), batch_first=True, padding_value=NONE)


def seen(corners: Tensor, classes: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The parts of boxes that lie in a picture.

    A box whose centre is outside counts as `IGNORED`: what is left of it may not be enough to tell what it is.

    Args:
        corners: (N, 4).
        classes: (N,).
        size: height and width of the picture.

    Returns:
        (M, 4) and (M,): boxes without a visible part are left out.
    """
    limit = torch.tensor([size[1], size[0]], dtype=corners.dtype)
    centre = (corners[:, :2] + corners[:, 2:]) / 2
    inside = ((centre >= 0) & (centre < limit)).all(1)
    clipped = corners.reshape(-1, 2, 2).clamp(min=0).minimum(limit).reshape(-1, 4)
    visible = (clipped[:, 2:] > clipped[:, :2]).all(1)
    return clipped[visible], torch.where(inside, classes, IGNORED)[visible]
