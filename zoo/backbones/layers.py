"""What the encoder-decoder backbones have in common: their convolutions, how these are drawn, and what they refuse."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from zoo.backbones import weights
from zoo.backbones.backbone import Form, Pretrained
from zoo.backbones.weights import Trunk
from zoo.errors import RecipeError


def conv(inside: int, outside: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolution, batch normalisation, ReLU: (B, inside, H, W) -> (B, outside, H / stride, W / stride).

    Without a bias, which the normalisation would take away again. In place, since neither neighbour needs what ReLU is given.
    """
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


def convs(*widths: int) -> nn.Sequential:
    """A chain of `conv`: (B, widths[0], H, W) -> (B, widths[-1], H, W)."""
    return nn.Sequential(*(conv(inside, outside) for inside, outside in pairwise(widths)))


def begin(name: str, network: nn.Module, form: Form, pretrained: Pretrained) -> str:
    """Draws a network's convolutions with std sqrt(2 / incoming nodes) (He 2015, arXiv:1502.01852) and says what its weights are.

    Raises:
        RecipeError: a vector or pretrained weights are asked for; there are neither.
    """
    if form != "maps":
        raise RecipeError(f"backbone.name: {name} gives a map as large as the picture, and no vector; take another, such as resnet18")
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return weights.choose(name, pretrained, {}, lambda: Trunk(network, weights.IMAGENET, "random weights")).weights
