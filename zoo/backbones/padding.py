"""Pictures of any size for networks that halve them several times: mirrored at two edges before, cropped back after."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from zoo.errors import RecipeError


def pad(image: Tensor, multiple: int) -> Tensor:
    """Makes height and width multiples of a number by mirroring the picture at its lower and right edge.

    Mirrored, as the U-Net's authors extrapolate what lies beyond a border (Ronneberger 2015, section 2): zeros would be an edge
    that is not in the picture, and would shift the batch statistics. All of it on two sides, so that every pixel and every cell of
    a map keeps its place and cropping is a slice from the origin. On the picture and not on inner maps: no gradient goes through.

    Args:
        image: (B, C, H, W).
        multiple: of which H and W shall be; 1 or more.

    Returns:
        The picture itself where it fits already.

    Raises:
        RecipeError: H or W is at most half of the multiple, so that there is too little to mirror.
    """
    height, width = image.shape[2:]
    down, right = -height % multiple, -width % multiple
    if not down and not right:
        return image
    if down >= height or right >= width:
        least = multiple // 2 + 1
        raise RecipeError(f"data.size: {height}x{width} pixels are too few for this backbone; expected at least {least} on either side")
    return F.pad(image, (0, right, 0, down), mode="reflect")


def crop(maps: Tensor, like: Tensor) -> Tensor:
    """What belongs to the picture before it was padded: (B, C, H', W') -> (B, C, H, W) of `like`; a view."""
    height, width = like.shape[2:]
    return maps if maps.shape[2:] == like.shape[2:] else maps[..., :height, :width]
