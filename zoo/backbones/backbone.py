"""The contract of a backbone: pictures in, features out.

A backbone is built for one of two questions, and what the asked form does not use is not built: `vector` (one vector a
picture, for classification and embedding) or `maps` (a pyramid of feature maps, for segmentation and detection).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Form = Literal["vector", "maps"]
Pretrained = Literal["torchvision", "timm", "prefer", False]


class Backbone(nn.Module):
    """Base of all backbones.

    A subclass's constructor takes `channels: int`, `form: Form`, `pretrained: Pretrained` and its own options, and sets the
    attributes below. It normalises its own input with `Normalize`; nobody else does.

    Attributes:
        width: length of the vector, for the form "vector".
        channels: channels of each map, fine to coarse, for the form "maps".
        strides: pixels of the picture per cell of each map, for the form "maps".
        shapes: of what it computes stage by stage, (C, H, W) or (N,) without the batch, the picture first: a decoder can mirror them. Empty
            where they are not told.
        weights: one line saying which pretrained weights it holds, or that it holds random ones and why.
    """

    width: int = 0
    channels: Sequence[int] = ()
    strides: Sequence[int] = ()
    shapes: Sequence[tuple[int, ...]] = ()
    weights: str = "random weights"

    def vector(self, image: Tensor) -> Tensor:
        """Features of a batch of pictures: (B, C, H, W) float in [0, 1] -> (B, width)."""
        raise TypeError(f"{type(self).__name__} was not built with form='vector'")

    def maps(self, image: Tensor) -> list[Tensor]:
        """Feature pyramid, fine to coarse: (B, C, H, W) float in [0, 1] -> [(B, channels[i], H / strides[i], W / strides[i])]."""
        raise TypeError(f"{type(self).__name__} was not built with form='maps'")


class Normalize(nn.Module):
    """(image - mean) / std per channel, as buffers: they are saved and loaded with the weights that they belong to."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], channels: int = 3) -> None:
        super().__init__()
        if channels != len(mean):  # weights for colour, pictures in grey: the average of the colours
            mean, std = [sum(mean) / len(mean)] * channels, [sum(std) / len(std)] * channels
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> the same shape, normalised."""
        return (image - self.mean) / self.std
