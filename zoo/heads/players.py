"""What both players of an adversarial game are made of: their layers, how these are drawn, and which sizes of pictures they fit.

Radford, Metz & Chintala 2015 (DCGAN), arXiv:1511.06434, section 3, is the default of everything here. A layer is a linear map, its
normalisation and its activation, in this order.
"""

from __future__ import annotations

from typing import Literal

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from zoo.errors import RecipeError

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu"]
Norm = Literal["batch", "instance", "group", "spectral", "none"]
Output = Literal["tanh", "sigmoid", "linear"]

FINEST, WIDEST, COARSEST = 64, 512, 4
"""DCGAN's rule: channels of the finest hidden map, channels at most, and cells on the shorter side of the coarsest map at least."""
STD = 0.02
"""Of all weights at the beginning (section 4)."""
GROUP = 16
"""Channels that share a mean and a variance, at least."""


def dcgan_widths(picture: tuple[int, int, int]) -> tuple[int, ...]:
    """Channels of DCGAN's maps for a picture (C, H, W), from the finest hidden one on: (64, 128, 256, 512) at 64 pixels."""
    halvings = max(1, (min(picture[1:]) // COARSEST).bit_length() - 1)
    return tuple(min(FINEST << stage, WIDEST) for stage in range(halvings))


def coarsest(picture: tuple[int, int, int], halvings: int, norm: Norm) -> tuple[int, int]:
    """Height and width of a picture (C, H, W) after so many halvings.

    Raises:
        ValueError: a side cannot be halved so often, or nothing would be left by the normalisation.
    """
    _, height, width = picture
    unit = 1 << halvings
    if height < 1 or width < 1 or height % unit or width % unit:
        fitting = [max(unit, round(side / unit) * unit) for side in (height, width)]
        raise ValueError(
            f"pictures of {height}x{width} pixels cannot be halved {halvings} times: expected sides that are multiples of {unit}, such as "
            f"{fitting[0]}x{fitting[1]} (data.size), or other widths, one for each halving"
        )
    if norm == "instance" and height == width == unit:
        raise ValueError(
            f"norm 'instance' with {halvings} widths: {halvings} halvings of {height}x{width} pixels leave 1x1 cell, whose only value it "
            "sets to 0; expected fewer widths, or another norm, such as 'group'"
        )
    return height // unit, width // unit


def down(inside: int, outside: int, norm: Norm, activation: Activation) -> nn.Sequential:
    """Halves a map: (B, inside, H, W) -> (B, outside, H / 2, W / 2)."""
    return nn.Sequential(*weighted(nn.Conv2d(inside, outside, 4, 2, 1, bias=_biased(norm)), norm), *after(outside, norm, activation))


def up(inside: int, outside: int, norm: Norm, activation: Activation) -> nn.Sequential:
    """Doubles a map: (B, inside, H, W) -> (B, outside, 2 H, 2 W). The stride divides the kernel, so all pixels get as many terms."""
    convolution = nn.ConvTranspose2d(inside, outside, 4, 2, 1, bias=_biased(norm))
    return nn.Sequential(*weighted(convolution, norm), *after(outside, norm, activation))


def same(channels: int, norm: Norm, activation: Activation) -> nn.Sequential:
    """A 3x3 convolution: (B, channels, H, W) -> the same shape."""
    convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=_biased(norm))
    return nn.Sequential(*weighted(convolution, norm), *after(channels, norm, activation))


def dense(inside: int, outside: int, norm: Norm, activation: Activation) -> nn.Sequential:
    """A hidden linear layer: (B, inside) -> (B, outside). "instance" leaves vectors as they are: a unit has no other cells."""
    norm = "none" if norm == "instance" else norm
    return nn.Sequential(*weighted(nn.Linear(inside, outside, bias=_biased(norm)), norm), *after(outside, norm, activation, vectors=True))


def project(inside: int, shape: tuple[int, int, int], norm: Norm, activation: Activation) -> nn.Sequential:
    """From vectors to the first map: (B, inside) -> (B, *shape)."""
    channels, height, width = shape
    linear = nn.Linear(inside, channels * height * width, bias=_biased(norm))
    return nn.Sequential(*weighted(linear, norm), nn.Unflatten(1, shape), *after(channels, norm, activation))


def weighted(linear: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, norm: Norm) -> list[nn.Module]:
    """A linear map drawn as DCGAN's, its weights divided by their largest singular value where `norm` is "spectral"."""
    nn.init.normal_(linear.weight, std=STD)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
    return [spectral_norm(linear) if norm == "spectral" else linear]


def after(channels: int, norm: Norm, activation: Activation, vectors: bool = False) -> list[nn.Module]:
    """What follows the linear map: a normalisation of values if `norm` is one, and the activation."""
    match norm:
        case "batch":
            values: list[nn.Module] = [nn.BatchNorm1d(channels) if vectors else nn.BatchNorm2d(channels)]
        case "instance":
            values = [nn.InstanceNorm2d(channels, affine=True)]
        case "group":
            values = [nn.GroupNorm(groups(channels), channels)]
        case "spectral" | "none":
            values = []
        case _:
            raise ValueError(f"norm {norm!r}: expected 'batch', 'instance', 'group', 'spectral' or 'none'")
    return [*values, _activation(activation)]


def groups(channels: int) -> int:
    """Most groups, at 32, that divide the channels into 16 or more (Wu & He 2018, arXiv:1803.08494, table 3); 1 where none does."""
    return max((count for count in range(1, 33) if channels % count == 0 and channels >= count * GROUP), default=1)


def of_weights(norm: Norm) -> Norm:
    """The part of a normalisation that is of weights, for a layer whose values stay as they are."""
    return "spectral" if norm == "spectral" else "none"


def check_batch(player: nn.Module, count: int, alone: bool) -> None:
    """Refuses to learn from a batch of one where batch normalisation sees one value of each unit.

    Args:
        player: the network.
        count: of pictures or codes in the batch.
        alone: whether the network can learn from a single one.

    Raises:
        RecipeError: it cannot, and this is one.
    """
    if player.training and count == 1 and not alone:
        raise RecipeError(
            "norm 'batch' in linear layers or on maps of 1x1 cell cannot learn from a batch of one picture; take another train.batch_size, "
            "that leaves no single picture over, or another norm, such as 'group'"
        )


def _biased(norm: Norm) -> bool:
    """Whether a layer has a bias of its own; normalisations of values bring one."""
    return norm in ("spectral", "none")


def _activation(name: Activation) -> nn.Module:
    match name:
        case "relu":
            return nn.ReLU(inplace=True)
        case "leaky_relu":
            return nn.LeakyReLU(0.2, inplace=True)  # section 3
        case "elu":
            return nn.ELU()
        case "gelu":
            return nn.GELU()
        case "silu":
            return nn.SiLU()
    raise ValueError(f"activation {name!r}: expected 'relu', 'leaky_relu', 'elu', 'gelu' or 'silu'")
