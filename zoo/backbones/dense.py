"""Fully connected layers on all pixels at once, as in Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647.

Where it differs from the paper: hidden units are rectified (ReLU) and all layers are trained at once, from PyTorch's own random weights,
without the paper's pretraining layer by layer. Values are brought to mean 0 and a deviation near 1: on values that are all
positive the first layer learns several times slower.
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
from zoo.backbones.weights import Trunk
from zoo.errors import RecipeError


class Dense(Backbone):
    """Linear layers with ReLU; the vector is what the last one gives. Takes pictures of one size, and nobody publishes weights for it.

    Attributes:
        shapes: of the picture and of each hidden layer, without the batch.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        form: Form = "vector",
        pretrained: Pretrained = False,
        conditions: int = 0,
        hidden: tuple[Annotated[int, Ge(1), Le(65536)], ...] = (400,),
        dropout: Annotated[float, Ge(0), Le(0.9)] = 0.0,
        normalize: bool = True,
    ) -> None:
        """Builds the network.

        Args:
            channels: of the pictures.
            size: of the pictures, height and width.
            form: "vector"; there are no maps.
            pretrained: False, or "prefer", which says that there are none.
            conditions: length of the condition that is joined to the pixels.
            hidden: units of each layer; without any the vector is the pixels, and an autoencoder on it is linear.
            dropout: share of the pixels and hidden units that are zeroed in training.
            normalize: photographs are learnt faster with ImageNet's mean taken off, pixels that are black or white as they are.
        """
        super().__init__()
        if form != "vector":
            raise RecipeError("backbone.name: dense gives one vector a picture and no maps; take another, such as unet")
        self.size = (channels, *size)
        widths = (math.prod(self.size) + conditions, *hidden)
        layers = [(nn.Dropout(dropout), nn.Linear(inside, outside), nn.ReLU()) for inside, outside in pairwise(widths)]
        self.layers = nn.Sequential(*(part for layer in layers for part in layer))
        self.weights = weights.choose("dense", pretrained, {}, lambda: Trunk(self.layers, weights.IMAGENET, "random weights")).weights
        self.normalize = Normalize(*weights.IMAGENET, channels=channels) if normalize else nn.Identity()
        self.width, self.shapes = widths[-1], (self.size, *((units,) for units in hidden))

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
        flat = self.normalize(image).flatten(1)
        vector: Tensor = self.layers(flat if condition is None else torch.cat((flat, condition), 1))
        return vector
