"""CenterNet's head: from a backbone's coarsest map to where objects are centred, how large they are, and back to boxes.

Zhou, Wang & Krähenbühl 2019 (Objects as Points), arXiv:1904.07850, sections 3 and 5, with the ResNet of its appendix in the form that
MMDetection 3.3 gives it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

TOP = 100
"""Boxes that are told of a picture."""
LAYERS = 6
"""Modules of one doubling: convolution, normalisation and activation, twice."""
NONE = -2
"""Class of a row without a box, as in the data."""


class Maps(NamedTuple):
    """What the head says of each cell.

    Attributes:
        heat: (B, labels, H, W) logits that an object of the class is centred in the cell.
        size: (B, 2, H, W) its width and height in cells.
        offset: (B, 2, H, W) from the cell's upper left corner to the centre, to the right and down, in cells.
    """

    heat: Tensor
    size: Tensor
    offset: Tensor


class CenterHead(nn.Module):
    """The coarsest map is doubled some times, and three branches read the result.

    Each doubling is a 3x3 convolution to the new width and a transposed one of kernel 4 and stride 2, both normalised and followed by
    ReLU. A branch is a 3x3 convolution, ReLU, and a 1x1 convolution. At first each cell is a centre with a probability of 0.1 (the
    authors' bias of -2.19), and sizes and offsets are drawn small. The transposed convolutions start as PyTorch draws them; the
    authors write a bilinear kernel into the first of their channels, which was meant for convolutions of one channel each.

    Args:
        channels: of each map, fine to coarse: the backbone's `channels`. Without `lateral` only the last is read.
        strides: of each map: the backbone's `strides`.
        labels: classes.
        widths: channels after each doubling.
        width: channels inside a branch.
        deformable: whether the 3x3 convolutions of the doublings are deformable, as in the authors' models of highest scores.
        lateral: whether the backbone's map of the same stride is added to each doubled one, by a 1x1 convolution (Lin et al. 2016, Feature
            Pyramid Networks, arXiv:1612.03144, section 3), as the authors' DLA networks do in their way: small things are lost in the
            coarsest map.

    Attributes:
        stride: pixels of the picture per cell of the result.

    Raises:
        ValueError: the coarsest map is too fine to be doubled so often, or `lateral` finds no map of any stride on the way.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        labels: int,
        widths: Sequence[int] = (256, 128, 64),
        width: int = 64,
        deformable: bool = False,
        lateral: bool = False,
    ) -> None:
        super().__init__()
        finer = 2 ** len(widths)
        if strides[-1] % finer:
            raise ValueError(
                f"widths {tuple(widths)} double the backbone's coarsest map {len(widths)} times; expected one of a stride that "
                f"{finer} divides, found {strides[-1]}: take another backbone, such as resnet18, or fewer widths"
            )
        self.stride = strides[-1] // finer
        pairs = pairwise((channels[-1], *widths))
        self.neck = nn.Sequential(*(layer for inside, outside in pairs for layer in _doubling(inside, outside, deformable)))
        self.sides = nn.ModuleDict()
        if lateral:
            there = dict(zip(strides, channels, strict=True))
            wished = {strides[-1] // 2 ** (number + 1): outside for number, outside in enumerate(widths)}
            self.sides.update({str(stride): _side(there[stride], wished[stride]) for stride in wished if stride in there})
            if not self.sides:
                raise ValueError(
                    f"lateral: the backbone has no map of stride {' or '.join(map(str, wished)) or 'finer than its coarsest'} to be added; "
                    "take another backbone, such as resnet18, or set lateral to false"
                )
        self.strides = tuple(strides)
        self.places = {stride: place for place, stride in enumerate(strides)}  # of maps of one stride the deepest
        self.heat, self.size, self.offset = (_branch((channels[-1], *widths)[-1], width, outputs) for outputs in (labels, 2, 2))
        _begin(self.heat, self.size, self.offset)

    def forward(self, maps: Sequence[Tensor]) -> Maps:
        """A pyramid, fine to coarse -> maps of cells of `stride` pixels."""
        x, stride = maps[-1], self.strides[-1]
        for number, layer in enumerate(self.neck, start=1):
            x = layer(x)
            if number % LAYERS == 0:
                stride //= 2
                if str(stride) in self.sides:
                    x = x + self.sides[str(stride)](maps[self.places[stride]])
        return Maps(self.heat(x), self.size(x), self.offset(x))


class DeformableConv(nn.Module):
    """A 3x3 convolution that looks, for each cell and each of its nine weights, at a place of its own and as much as it finds good.

    Zhu, Hu, Lin & Dai 2018 (Deformable ConvNets v2), arXiv:1811.11168, section 3.2. Places and amounts are read from the same map by a
    plain convolution, which starts at zero: nine places in a square, each with half its weight. Computed in the precision of its
    weights also under autocast: places are fractions of cells on maps of a hundred.
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outside, inside, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as PyTorch draws a convolution
        self.offset = nn.Conv2d(inside, 27, 3, padding=1)
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) -> (B, outside, H, W)."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.weight.dtype)
            places, amounts = self.offset(x).split((18, 9), 1)
            found: Tensor = deform_conv2d(x, places, self.weight, padding=1, mask=amounts.sigmoid())
        return found


def decode(heat: Tensor, size: Tensor, offset: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes around the highest peaks: cells that no neighbour exceeds, among all classes (section 4).

    Args:
        heat: (B, labels, H, W) probabilities.
        size: as in `Maps`.
        offset: as in `Maps`.
        stride: pixels per cell.

    Returns:
        Corners (B, 100, 4) as left, top, right, bottom in pixels, which may lie outside of the picture; scores (B, 100), descending;
        classes (B, 100) int64. Where there are fewer peaks, the last rows are zeros of class `NONE`.
    """
    labels, height, width = heat.shape[1:]
    peaks = torch.where(heat == _highest_around(heat), heat, 0)
    scores, places = peaks.flatten(1).topk(min(TOP, labels * height * width))
    classes, cells = places // (height * width), places % (height * width)
    sizes, offsets = (read(each, cells) for each in (size, offset))
    centres = torch.stack((cells % width, cells // width), 2) + offsets
    boxes = torch.cat((centres - sizes / 2, centres + sizes / 2), 2) * stride
    found = scores > 0
    missing = (0, TOP - scores.shape[1])
    boxes = F.pad(torch.where(found[..., None], boxes, 0), (0, 0, *missing))
    return boxes, F.pad(scores, missing), F.pad(torch.where(found, classes, NONE), missing, value=NONE)


def read(maps: Tensor, cells: Tensor) -> Tensor:
    """What maps say of some cells: (B, N, H, W), (B, M) int64 counted row by row -> (B, M, N)."""
    return maps.flatten(2).gather(2, cells[:, None].expand(-1, maps.shape[1], -1)).mT


def _highest_around(heat: Tensor) -> Tensor:
    """The highest of each 3x3 cells: first along columns, then along rows, which is several times faster than `max_pool2d`."""
    for dim, border in ((2, (0, 0, 1, 1)), (3, (1, 1))):
        side, wider = heat.shape[dim], F.pad(heat, border)  # no probability is below 0
        before, after = wider.narrow(dim, 0, side), wider.narrow(dim, 2, side)
        heat = torch.maximum(torch.maximum(before, after), heat)
    return heat


def from_mmdet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of MMDetection's CenterNet under the names that the task `centernet` on timm's ResNet of the same depth gives them.

    The task's normalisation (`backbone.normalize`) is not among them: MMDetection holds it in its configuration, as the same ImageNet
    means and deviations on a scale of 255.

    Args:
        state: its `state_dict()`.

    Raises:
        ValueError: a name that no CenterNet has.
    """
    return {_renamed(name): value for name, value in state.items()}


BRANCHES = {"heatmap_head": "heat", "wh_head": "size", "offset_head": "offset"}


def _renamed(name: str) -> str:
    match name.split("."):
        case ["backbone", *rest]:
            return ".".join(("backbone", "net", *rest))
        case ["neck", "deconv_layers", number, "conv", "conv_offset", last]:
            return f"head.neck.{3 * int(number)}.offset.{last}"
        case ["neck", "deconv_layers", number, ("conv" | "bn") as kind, last]:
            return f"head.neck.{3 * int(number) + (kind == 'bn')}.{last}"
        case ["bbox_head", branch, *rest] if branch in BRANCHES:
            return ".".join(("head", BRANCHES[branch], *rest))
    raise ValueError(f"{name!r} is no weight of MMDetection's CenterNet; expected backbone.*, neck.deconv_layers.* or bbox_head.*")


def _doubling(inside: int, outside: int, deformable: bool) -> list[nn.Module]:
    first = DeformableConv(inside, outside) if deformable else nn.Conv2d(inside, outside, 3, padding=1, bias=False)
    second = nn.ConvTranspose2d(outside, outside, 4, 2, 1, bias=False)
    return [layer for conv in (first, second) for layer in (conv, nn.BatchNorm2d(outside), nn.ReLU(inplace=True))]


def _side(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, outside, 1, bias=False), nn.BatchNorm2d(outside))


def _branch(inside: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, width, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(width, outputs, 1))


def _begin(heat: nn.Sequential, *others: nn.Sequential) -> None:
    nn.init.constant_(heat[-1].bias, -math.log(9))  # type: ignore[arg-type]  # of a convolution: a probability of 0.1
    for layer in (layer for branch in others for layer in branch if isinstance(layer, nn.Conv2d)):
        nn.init.normal_(layer.weight, std=0.001)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has one
