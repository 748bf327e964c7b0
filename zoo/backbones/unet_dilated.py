"""U-Net (Ronneberger, Fischer & Brox 2015, arXiv:1505.04597) with dilated convolutions in place of its deepest pooling.

It pools three times. What the fourth pooling and the level of 1024 channels gave, a wide view, dilated convolutions give (Yu &
Koltun 2015, arXiv:1511.07122) without losing resolution: a cascade of four with dilations 1, 2, 4, 8, whose results are added to
what goes in, as in the centre of D-LinkNet (Zhou, Zhang & Wu 2018, CVPR Workshops, section 2.1). The deepest map has stride 8, and
the cascade alone sees 31 of its cells, 248 pixels. Unlike D-LinkNet's, the dilated convolutions are followed by batch normalisation.
Otherwise it differs from the paper as `unet` does: convolutions are padded, batch normalisation follows each, there is no dropout,
maps are enlarged by their nearest neighbour. The last 1x1 convolution belongs to the task.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, Le
from torch import Tensor, nn

from zoo.backbones import weights
from zoo.backbones.backbone import Backbone, Form, Normalize, Pretrained
from zoo.backbones.layers import begin, conv, convs
from zoo.backbones.padding import crop, pad


class UNetDilated(Backbone):
    """Three poolings and a dilated centre; one map of `width` channels at stride 1. Nobody publishes pretrained weights for it."""

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
        levels = [width * 2**level for level in range(4)]
        self.first = convs(channels, width, width)
        self.down = nn.ModuleList(convs(level, 2 * level, 2 * level) for level in levels[:-1])
        self.centre = nn.ModuleList(conv(levels[-1], levels[-1], dilation=dilation) for dilation in (1, 2, 4, 8))
        self.up = nn.ModuleList(convs(3 * level, level, level) for level in levels[-2::-1])
        self.weights = begin("unet_dilated", self, form, pretrained)
        self.normalize = Normalize(*weights.IMAGENET, channels=channels)
        self.channels, self.strides = (width,), (1,)

    def maps(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) float in [0, 1], at least 5 pixels on either side -> [(B, width, H, W)]."""
        x = self.first(pad(self.normalize(image), 8))
        skips = []
        for level in self.down:
            skips.append(x)
            x = level(F.max_pool2d(x, 2))
        seen = x
        for dilated in self.centre:
            seen = dilated(seen)
            x = x + seen
        for level in self.up:
            x = level(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skips.pop()], 1))
        return [crop(x, image)]
