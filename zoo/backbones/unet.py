"""U-Net (Ronneberger, Fischer & Brox 2015, arXiv:1505.04597): an encoder and a decoder of five levels, joined at each level.

Where it differs from the paper: convolutions are padded, so that the map is as large as the picture (the paper's shrinks by 184
pixels); batch normalisation follows each convolution and there is no dropout; maps are enlarged by their nearest neighbour and
joined as they are, without the 2x2 convolution that halves their channels: the level's first convolution does so. Width 64 has the
paper's channels. The last 1x1 convolution belongs to the task.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, Le
from torch import Tensor, nn

from zoo.backbones import weights
from zoo.backbones.backbone import Backbone, Form, Normalize, Pretrained
from zoo.backbones.layers import begin, convs
from zoo.backbones.padding import crop, pad


class UNet(Backbone):
    """Max-pooling down, nearest neighbours up; one map of `width` channels at stride 1. Nobody publishes pretrained weights for it."""

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
        self.down = nn.ModuleList(convs(level, 2 * level, 2 * level) for level in levels[:-1])
        self.up = nn.ModuleList(convs(3 * level, level, level) for level in levels[-2::-1])
        self.weights = begin("unet", self, form, pretrained)
        self.normalize = Normalize(*weights.IMAGENET, channels=channels)
        self.channels, self.strides = (width,), (1,)

    def maps(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) float in [0, 1], at least 9 pixels on either side -> [(B, width, H, W)]."""
        x = self.first(pad(self.normalize(image), 16))
        skips = []
        for level in self.down:
            skips.append(x)
            x = level(F.max_pool2d(x, 2))
        for level in self.up:
            x = level(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skips.pop()], 1))
        return [crop(x, image)]
