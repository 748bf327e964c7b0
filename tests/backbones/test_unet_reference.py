"""The three U-Nets against what can be counted by hand, against formulas written anew, and against segmentation-models-pytorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from segmentation_models_pytorch.encoders.vgg import VGGEncoder
from torch import Tensor, nn

from zoo.backbones.backbone import Backbone
from zoo.backbones.unet import UNet
from zoo.backbones.unet_dilated import UNetDilated
from zoo.backbones.unet_strided import UNetStrided

# Channels into and out of every convolution, from the paper's figure 1 with maps joined: 1024 + 512 = 1536.
ENCODER = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
DEEPEST = [(512, 1024), (1024, 1024)]
NEAREST = [(1536, 512), (512, 512), (768, 256), (256, 256), (384, 128), (128, 128), (192, 64), (64, 64)]
HALVED = [(1024, 512), (512, 512), (512, 256), (256, 256), (256, 128), (128, 128), (128, 64), (64, 64)]
SHRINK = [(64, 64), (128, 128), (256, 256), (512, 512)]
ENLARGE = [(1024, 512), (512, 256), (256, 128), (128, 64)]
CENTRE = [(512, 512)] * 4


def threes(layers: list[tuple[int, int]]) -> int:
    """3x3 weights, then scale and shift of the normalisation."""
    return sum(9 * inside * outside + 2 * outside for inside, outside in layers)


@pytest.mark.parametrize(
    ("build", "parameters"),
    [
        (UNet, threes(ENCODER + DEEPEST + NEAREST)),
        (UNetStrided, threes(ENCODER + DEEPEST + SHRINK + HALVED) + sum(4 * inside * outside for inside, outside in ENLARGE)),
        (UNetDilated, threes(ENCODER + CENTRE + NEAREST[2:])),
    ],
)
def test_parameters_are_those_of_the_layers(build: Any, parameters: int) -> None:
    backbone = build()
    assert sum(weight.numel() for weight in backbone.parameters()) == parameters
    found = [(module.in_channels, module.out_channels) for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    assert sorted(found) == sorted(
        {
            UNet: ENCODER + DEEPEST + NEAREST,
            UNetStrided: ENCODER + DEEPEST + SHRINK + HALVED,
            UNetDilated: ENCODER + CENTRE + NEAREST[2:],
        }[build]
    )


@pytest.mark.parametrize(
    ("build", "shapes"),  # of a picture of 97x131: at the deepest level a multiple of 16 or 8
    [
        (UNet, [(2, 112, 144), (4, 56, 72), (8, 28, 36), (16, 14, 18), (32, 7, 9), (16, 14, 18), (8, 28, 36), (4, 56, 72), (2, 112, 144)]),
        (
            UNetStrided,
            [(2, 112, 144), (4, 56, 72), (8, 28, 36), (16, 14, 18), (32, 7, 9), (16, 14, 18), (8, 28, 36), (4, 56, 72), (2, 112, 144)],
        ),
        (UNetDilated, [(2, 104, 136), (4, 52, 68), (8, 26, 34), (16, 13, 17), (8, 26, 34), (4, 52, 68), (2, 104, 136)]),
    ],
)
def test_shapes_of_the_levels(build: Any, shapes: list[tuple[int, ...]]) -> None:
    backbone = build(width=2)
    found: list[tuple[int, ...]] = []
    for level in (backbone.first, *backbone.down, *backbone.up):
        level.register_forward_hook(lambda module, inputs, output: found.append(tuple(output.shape[1:])))
    assert backbone.maps(torch.rand(1, 3, 97, 131))[0].shape == (1, 2, 97, 131)
    assert found == shapes


def test_strided_and_dilated_do_not_pool_and_see_as_far_as_they_say() -> None:
    assert [module.stride for module in UNetStrided(width=1).shrink.modules() if isinstance(module, nn.Conv2d)] == [(2, 2)] * 4
    centre = [module for module in UNetDilated(width=1).centre.modules() if isinstance(module, nn.Conv2d)]
    assert 1 + sum(2 * module.dilation[0] for module in centre) == 31


# ------------------------------------------------------------------------- a forward written anew, in float64


class Weights:
    """The tensors of a state dict by name; a convolution with its normalisation over the batch and the cut below zero."""

    def __init__(self, backbone: Backbone) -> None:
        self.state = {name: value.double() for name, value in backbone.state_dict().items()}

    def conv(self, x: Tensor, name: str, stride: int = 1, dilation: int = 1) -> Tensor:
        y = F.conv2d(x, self.state[f"{name}.0.weight"], stride=stride, padding=dilation, dilation=dilation)
        mean = y.mean((0, 2, 3), keepdim=True)
        spread = ((y - mean) ** 2).mean((0, 2, 3), keepdim=True)
        scale, shift = (self.state[f"{name}.1.{part}"].view(1, -1, 1, 1) for part in ("weight", "bias"))
        return ((y - mean) / (spread + 1e-5).sqrt() * scale + shift).clamp(min=0)

    def twice(self, x: Tensor, name: str) -> Tensor:
        return self.conv(self.conv(x, f"{name}.0"), f"{name}.1")

    def picture(self, image: Tensor, multiple: int) -> Tensor:
        values = (image - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        edges = [(0, 0), (0, 0), *((0, -side % multiple) for side in image.shape[2:])]
        return torch.from_numpy(np.pad(values.numpy(), edges, mode="reflect"))


def pooled(x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    return x.view(batch, channels, height // 2, 2, width // 2, 2).amax((3, 5))


def doubled(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def stamped(x: Tensor, kernel: Tensor) -> Tensor:
    """A 2x2 transposed convolution of stride 2: each cell leaves its own 2x2 print."""
    batch, _, height, width = x.shape
    prints = torch.einsum("bihw,iokl->bohkwl", x, kernel)
    return prints.reshape(batch, kernel.shape[1], 2 * height, 2 * width)


def unet(weights: Weights, image: Tensor) -> Tensor:
    e0 = weights.twice(weights.picture(image, 16), "first")
    e1 = weights.twice(pooled(e0), "down.0")
    e2 = weights.twice(pooled(e1), "down.1")
    e3 = weights.twice(pooled(e2), "down.2")
    x = weights.twice(pooled(e3), "down.3")
    for number, skip in enumerate((e3, e2, e1, e0)):
        x = weights.twice(torch.cat([doubled(x), skip], 1), f"up.{number}")
    return x


def unet_strided(weights: Weights, image: Tensor) -> Tensor:
    e0 = weights.twice(weights.picture(image, 16), "first")
    e1 = weights.twice(weights.conv(e0, "shrink.0", stride=2), "down.0")
    e2 = weights.twice(weights.conv(e1, "shrink.1", stride=2), "down.1")
    e3 = weights.twice(weights.conv(e2, "shrink.2", stride=2), "down.2")
    x = weights.twice(weights.conv(e3, "shrink.3", stride=2), "down.3")
    for number, skip in enumerate((e3, e2, e1, e0)):
        x = weights.twice(torch.cat([stamped(x, weights.state[f"enlarge.{number}.weight"]), skip], 1), f"up.{number}")
    return x


def unet_dilated(weights: Weights, image: Tensor) -> Tensor:
    e0 = weights.twice(weights.picture(image, 8), "first")
    e1 = weights.twice(pooled(e0), "down.0")
    e2 = weights.twice(pooled(e1), "down.1")
    x = weights.twice(pooled(e2), "down.2")
    d1 = weights.conv(x, "centre.0", dilation=1)
    d2 = weights.conv(d1, "centre.1", dilation=2)
    d4 = weights.conv(d2, "centre.2", dilation=4)
    d8 = weights.conv(d4, "centre.3", dilation=8)
    x = x + d1 + d2 + d4 + d8
    for number, skip in enumerate((e2, e1, e0)):
        x = weights.twice(torch.cat([doubled(x), skip], 1), f"up.{number}")
    return x


@pytest.mark.parametrize(("build", "formula"), [(UNet, unet), (UNetStrided, unet_strided), (UNetDilated, unet_dilated)])
def test_forward_is_the_formula(build: Any, formula: Callable[[Weights, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    backbone = build(width=3)
    for name, weight in backbone.named_parameters():
        if weight.ndim == 1:
            nn.init.uniform_(weight, *((0.5, 1.5) if "weight" in name else (-0.5, 0.5)))
    backbone.double()
    image = torch.rand(2, 3, 41, 60, dtype=torch.float64)
    expected = formula(Weights(backbone), image)[..., :41, :60]
    torch.testing.assert_close(backbone.maps(image)[0], expected, rtol=1e-6, atol=1e-6)  # normalize's buffers were drawn in 32 bits


# ------------------------------------------------------------------------------------- segmentation-models-pytorch


def theirs() -> nn.ModuleDict:
    """The library's VGG encoder with the U-Net's levels, and its U-Net decoder; as a module list of the network that is equal to ours."""
    levels = [4, 8, 16, 32, 64]
    plan = [entry for level in levels for entry in (level, level, "M")][:-1]
    encoder = VGGEncoder(levels, plan, batch_norm=True, depth=4)
    return nn.ModuleDict({"encoder": encoder, "decoder": UnetDecoder([3, *levels], levels[-2::-1], 4)})


def pairs(ours: nn.Module, their: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Layers that correspond, in the order in which both hold them."""
    kinds = (nn.Conv2d, nn.BatchNorm2d)
    return zip(*([each for each in net.modules() if isinstance(each, kinds)] for net in (ours, their)), strict=True)


def test_unet_is_that_of_segmentation_models_pytorch() -> None:
    torch.manual_seed(0)
    ours, other = UNet(width=4).double(), theirs().double()
    for our, their in pairs(ours, other):
        their.load_state_dict(our.state_dict(), strict=False)
        if isinstance(our, nn.Conv2d) and isinstance(their, nn.Conv2d) and their.bias is not None:
            nn.init.zeros_(their.bias)
    image = torch.rand(2, 3, 32, 48, dtype=torch.float64)
    normal = ours.normalize(image)
    results = [ours.maps(image)[0], other["decoder"]([normal, *other["encoder"](normal)])]
    torch.testing.assert_close(results[0], results[1])
    for result in results:
        (result * torch.linspace(0, 1, 48)).sum().backward()
    for our, their in pairs(ours, other):
        torch.testing.assert_close(our.weight.grad, their.weight.grad)
