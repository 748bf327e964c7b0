"""Convolutions that halve the picture stage by stage: the encoder of convolutional autoencoders.

Each stage is a 3x3 convolution of stride 2 (Springenberg et al. 2014, arXiv:1412.6806), batch normalisation and ReLU. The vector is
the last map as it lies, not its mean: where something is belongs to what a code has to tell.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from zoo.backbones import weights
from zoo.backbones.backbone import Backbone, Form, Normalize, Pretrained
from zoo.backbones.layers import conv
from zoo.backbones.weights import Trunk
from zoo.errors import RecipeError


class Conv(Backbone):
    """Stages of stride 2; the vector is the flattened last map. Takes pictures of one size, and nobody publishes weights for it.

    Attributes:
        shapes: of the picture and of the map after each stage, without the batch; an odd side is halved and rounded up.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        form: Form = "vector",
        pretrained: Pretrained = False,
        conditions: int = 0,
        widths: tuple[Annotated[int, Ge(1), Le(4096)], ...] = (32, 64, 128, 256),
    ) -> None:
        """Builds the network.

        Args:
            channels: of the pictures.
            size: of the pictures, height and width.
            form: "vector"; there are no maps of stride 1, 2, 4 ... that a decoder of masks could join.
            pretrained: False, or "prefer", which says that there are none.
            conditions: length of the condition; each of its numbers becomes a constant plane beside the picture's channels.
            widths: channels of each stage.
        """
        super().__init__()
        if form != "vector":
            raise RecipeError("backbone.name: conv gives one vector a picture and no maps; take another, such as unet")
        if not widths:
            raise RecipeError("backbone.widths: no stages; expected the channels of at least one, such as [32, 64, 128, 256]")
        self.size = (channels, *size)
        self.stages = nn.Sequential(*(conv(i, o, stride=2) for i, o in pairwise((channels + conditions, *widths))))
        self.weights = weights.choose("conv", pretrained, {}, lambda: Trunk(self.stages, weights.IMAGENET, "random weights")).weights
        self.normalize = Normalize(*weights.IMAGENET, channels=channels)
        sides = [tuple(math.ceil(side / 2**stage) for side in size) for stage in range(1, len(widths) + 1)]
        self.shapes = (self.size, *((width, *side) for width, side in zip(widths, sides, strict=True)))
        self.width = math.prod(self.shapes[-1])

    def vector(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Features of a batch of pictures.

        Args:
            image: (B, C, H, W) float in [0, 1], of the size it was built for.
            condition: (B, conditions), such as a label's one-hot vector; given if and only if it was built with conditions.

        Returns:
            (B, width).

        Raises:
            ValueError: the pictures have another size.
        """
        if image.shape[1:] != self.size:
            found, expected = ("x".join(map(str, shape)) for shape in (image.shape[1:], self.size))
            raise ValueError(f"pictures of {found} (channels, height, width): this network was built for {expected}")
        image = self.normalize(image)
        if condition is not None:
            planes = condition[:, :, None, None].expand(-1, -1, *image.shape[2:])
            image = torch.cat((image, planes), 1)
        vector: Tensor = self.stages(image).flatten(1)
        return vector
