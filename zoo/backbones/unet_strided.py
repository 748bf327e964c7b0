"""U-Net (Ronneberger, Fischer & Brox 2015, arXiv:1505.04597) that learns how to shrink and to enlarge its maps.

Each max-pooling is a 3x3 convolution of stride 2 that keeps the channels (Springenberg et al. 2014, arXiv:1412.6806, section 3.1),
followed by batch normalisation and ReLU. Maps are enlarged by the U-Net's own 2x2 up-convolution, a transposed one of stride 2,
which halves the channels. Otherwise it differs from the paper as `unet` does: convolutions are padded, batch normalisation follows
each, there is no dropout. The last 1x1 convolution belongs to the task.
"""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from zoo.backbones import weights
from zoo.backbones.backbone import Backbone, Form, Normalize, Pretrained
from zoo.backbones.layers import begin, conv, convs
from zoo.backbones.padding import crop, pad


class UNetStrided(Backbone):
    """Strided convolutions down, transposed ones up; one map of `width` channels at stride 1. There are no pretrained weights for it."""

    def __init__(
        self,
        channels: int = 3,
        form: Form = "maps",
        pretrained: Pretrained = False,
        width: Annotated[int, Ge(1), Le(256)] = 64,
    ) -> None:
        """Builds the network.

        Args:
            channels: of the pictures.
            form: "maps"; there is no vector.
            pretrained: False, or "prefer", which says that there are none.
            width: channels of the first level; each deeper one has twice as many.
        """
        super().__init__()
        levels = [width * 2**level for level in range(5)]
        self.first = convs(channels, width, width)
        self.shrink = nn.ModuleList(conv(level, level, stride=2) for level in levels[:-1])
        self.down = nn.ModuleList(convs(level, 2 * level, 2 * level) for level in levels[:-1])
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(2 * level, level, 2, 2, bias=False) for level in levels[-2::-1])
        self.up = nn.ModuleList(convs(2 * level, level, level) for level in levels[-2::-1])
        self.weights = begin("unet_strided", self, form, pretrained)
        self.normalize = Normalize(*weights.IMAGENET, channels=channels)
        self.channels, self.strides = (width,), (1,)

    def maps(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) float in [0, 1], at least 9 pixels on either side -> [(B, width, H, W)]."""
        x = self.first(pad(self.normalize(image), 16))
        skips = []
        for shrink, level in zip(self.shrink, self.down, strict=True):
            skips.append(x)
            x = level(shrink(x))
        for enlarge, level in zip(self.enlarge, self.up, strict=True):
            x = level(torch.cat([enlarge(x), skips.pop()], 1))
        return [crop(x, image)]
