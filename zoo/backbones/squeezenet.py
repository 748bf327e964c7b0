"""SqueezeNet (Iandola et al. 2016, arXiv:1602.07360): few parameters by squeezing channels before each 3x3 convolution.

The layers are torchvision's, so that its weights fit; timm lacks this network.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models import SqueezeNet as Whole

from zoo.backbones import weights
from zoo.backbones.backbone import Backbone, Form, Normalize, Pretrained
from zoo.backbones.weights import CHECKPOINTS, Trunk

# Channels of each map; they are taken before each halving and at the end. 1.0 pools late, 1.1 early: 2.4 times less work.
CHANNELS = {"1_0": (96, 256, 512, 512), "1_1": (64, 128, 256, 512)}


class SqueezeNet(Backbone):
    """SqueezeNet 1.0 or 1.1 without its classifier, which is a convolution to the classes: its vector is the mean before that."""

    def __init__(
        self,
        channels: int = 3,
        form: Form = "vector",
        pretrained: Pretrained = False,
        version: Literal["1_0", "1_1"] = "1_1",
    ) -> None:
        """Builds the network.

        Args:
            channels: of the pictures; pretrained weights for colour are averaged over it.
            form: "vector" or "maps".
            pretrained: which weights to begin with; timm has none.
            version: "1_0", or "1_1", which asks less work for the same accuracy.
        """
        super().__init__()
        name = f"squeezenet{version}"
        attempts = {"torchvision": lambda: _from_torchvision(name, version, channels, form)}
        trunk = weights.choose(
            name, pretrained, attempts, lambda: Trunk(_layers(version, channels, form), weights.IMAGENET, "random weights")
        )
        self.features = trunk.net
        self.weights = trunk.weights
        self.normalize = Normalize(*trunk.normal, channels=channels)
        self.form = form
        if form == "maps":
            self.channels, self.strides = CHANNELS[version], (2, 4, 8, 16)
        else:
            self.width = 512

    def vector(self, image: Tensor) -> Tensor:
        """(B, C, H, W) float in [0, 1] -> (B, 512)."""
        if self.form != "vector":
            return super().vector(image)
        mean: Tensor = self.features(self.normalize(image)).mean((2, 3))
        return mean

    def maps(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) float in [0, 1] -> [(B, channels[i], H / strides[i], W / strides[i])], fine to coarse."""
        if self.form != "maps":
            return super().maps(image)
        maps: list[Tensor] = []
        x = self.normalize(image)
        for layer in self.features.children():
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
            x = layer(x)
        return [*maps, x]


def _layers(version: str, channels: int, form: Form) -> nn.Module:
    features: nn.Sequential = Whole(version).features
    first = features[0]
    assert isinstance(first, nn.Conv2d)
    kernel = first.kernel_size[0]
    # Without padding 224 pixels give maps of 111, 55, 27, 13: as a pyramid they would fit neither each other nor the picture.
    padding = kernel // 2 if form == "maps" else 0
    if channels != first.in_channels or padding:
        first = nn.Conv2d(channels, first.out_channels, kernel, stride=2, padding=padding)
        nn.init.kaiming_uniform_(first.weight)
        if first.bias is not None:
            nn.init.zeros_(first.bias)
        features[0] = first
    return features


def _from_torchvision(name: str, version: str, channels: int, form: Form) -> Trunk:
    checkpoint = CHECKPOINTS[name]
    state = weights.read(weights.fetch(checkpoint))
    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # only for its names and shapes: takes no memory, draws nothing
        expected = Whole(version).state_dict()
    values = weights.fit(state, expected, checkpoint.by)
    net = _layers(version, channels, form)
    weights.put(net, {key.removeprefix("features."): value for key, value in values.items()})
    return Trunk(net, checkpoint.normal, f"torchvision weights {checkpoint.file}")
