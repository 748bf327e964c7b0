"""SegNet (Badrinarayanan, Kendall & Cipolla 2015, arXiv:1511.00561): VGG16's 13 convolutions and their mirror image.

Each pooling keeps where in its 2x2 window the largest value was, and the decoder puts its values back to those places, zeros
elsewhere; nothing else goes from encoder to decoder. Width 64 has the paper's channels. Where it differs from the paper: the
encoder starts from random weights, not from ImageNet's; the last convolution keeps its channels and is normalised, since the one
that tells classes apart, here 1x1, belongs to the task; what the paper says of local contrast normalisation is left to the data.
"""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from annotated_types import Ge, Le
from torch import Tensor, nn

from zoo.backbones import weights
from zoo.backbones.backbone import Backbone, Form, Normalize, Pretrained
from zoo.backbones.layers import begin, convs
from zoo.backbones.padding import crop, pad

LEVELS = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))
"""Of VGG16, fine to coarse: channels in units of the width, and convolutions."""


class SegNet(Backbone):
    """Pooling indices carried to the decoder; one map of `width` channels at stride 1. Built with random weights only."""

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
            width: channels of the first level; deeper ones have 2, 4, 8 and 8 times as many.
        """
        super().__init__()
        widths = [width * times for times, _ in LEVELS]
        depths = [depth for _, depth in LEVELS]
        inside = [channels, *widths[:-1]]
        outside = [width, *widths[:-1]]  # what a level of the decoder gives to the one above it
        self.encoder = nn.ModuleList(convs(i, *[w] * depth) for i, w, depth in zip(inside, widths, depths, strict=True))
        decoder = [convs(*[w] * depth, o) for w, o, depth in zip(widths, outside, depths, strict=True)]
        self.decoder = nn.ModuleList(reversed(decoder))
        self.weights = begin("segnet", self, form, pretrained)
        self.normalize = Normalize(*weights.IMAGENET, channels=channels)
        self.channels, self.strides = (width,), (1,)

    def maps(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) float in [0, 1], at least 17 pixels on either side -> [(B, width, H, W)]."""
        x = pad(self.normalize(image), 32)
        places = []
        for level in self.encoder:
            x, where = F.max_pool2d(level(x), 2, return_indices=True)
            places.append(where)
        for level in self.decoder:
            x = level(F.max_unpool2d(x, places.pop(), [2, 2]))
        return [crop(x, image)]
