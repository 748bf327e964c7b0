"""ResNet18 (He et al. 2015, arXiv:1512.03385) with squeeze and excitation, Mish and GroupNorm.

Squeeze and excitation: Hu et al. 2017, arXiv:1709.01507, here with two linear layers without bias. Mish: Misra 2019,
arXiv:1908.08681, in place of every ReLU. GroupNorm: Wu & He 2018, arXiv:1803.08494, in place of
BatchNorm, so that small batches train as well as large ones. With a linear head for 20 classes: 11,273,812 parameters.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le, Lt
from torch import Tensor, nn

from zoo.backbones import weights
from zoo.backbones.backbone import Backbone, Form, Normalize, Pretrained
from zoo.backbones.weights import Trunk
from zoo.errors import RecipeError

WIDTHS = (64, 128, 256, 512)


class SqueezeExcite(nn.Module):
    """Scales each channel by a number in (0, 1) that depends on the means of all channels."""

    def __init__(self, width: int, reduction: int = 16) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, width // reduction, bias=False)
        self.excite = nn.Linear(width // reduction, width, bias=False)
        self.activation = nn.Mish()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        gate = self.excite(self.activation(self.squeeze(x.mean((2, 3))))).sigmoid()
        scaled: Tensor = x * gate[:, :, None, None]
        return scaled


class Block(nn.Module):
    """Two 3x3 convolutions and a gate, added to the input. Dropout stands between the convolutions (Zagoruyko & Komodakis 2016)."""

    def __init__(self, inside: int, outside: int, stride: int, groups: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False),
            nn.GroupNorm(groups, outside),
            nn.Mish(),
            nn.Dropout(dropout),
            nn.Conv2d(outside, outside, 3, padding=1, bias=False),
            nn.GroupNorm(groups, outside),
            SqueezeExcite(outside),
        )
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.skip = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.GroupNorm(groups, outside))
        self.activation = nn.Mish()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) -> (B, outside, H / stride, W / stride)."""
        out: Tensor = self.activation(self.body(x) + self.skip(x))
        return out


class SEResNet18(Backbone):
    """ResNet18 with squeeze and excitation, Mish and GroupNorm; nobody publishes pretrained weights for it."""

    def __init__(
        self,
        channels: int = 3,
        form: Form = "vector",
        pretrained: Pretrained = False,
        norm_groups: Annotated[int, Ge(1), Le(64)] = 32,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
    ) -> None:
        """Builds the network.

        Args:
            channels: of the pictures.
            form: "vector" or "maps".
            pretrained: False, or "prefer", which says that there are none.
            norm_groups: groups of channels that are normalised together; must divide 64.
            dropout: chance of a zero between the two convolutions of a block.
        """
        super().__init__()
        if WIDTHS[0] % norm_groups:
            raise RecipeError(f"backbone.norm_groups: {norm_groups} does not divide {WIDTHS[0]}; expected 1, 2, 4, 8, 16, 32 or 64")
        self.stem = nn.Sequential(nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False), nn.GroupNorm(norm_groups, 64), nn.Mish())
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        inside = (64, *WIDTHS[:-1])
        self.stages = nn.ModuleList(_stage(*pair, norm_groups, dropout) for pair in zip(inside, WIDTHS, strict=True))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        random = Trunk(self.stem, weights.IMAGENET, "random weights")
        self.weights = weights.choose("se_resnet18", pretrained, {}, lambda: random).weights
        self.normalize = Normalize(*random.normal, channels=channels)
        self.form = form
        if form == "maps":
            self.channels, self.strides = (64, *WIDTHS), (2, 4, 8, 16, 32)
        else:
            self.width = WIDTHS[-1]

    def vector(self, image: Tensor) -> Tensor:
        """(B, C, H, W) float in [0, 1] -> (B, 512): the coarsest map's means."""
        return self._pyramid(image)[-1].mean((2, 3)) if self.form == "vector" else super().vector(image)

    def maps(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) float in [0, 1] -> [(B, channels[i], H / strides[i], W / strides[i])], fine to coarse."""
        return self._pyramid(image) if self.form == "maps" else super().maps(image)

    def _pyramid(self, image: Tensor) -> list[Tensor]:
        maps: list[Tensor] = [self.stem(self.normalize(image))]
        x = self.pool(maps[0])
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def _stage(inside: int, outside: int, groups: int, dropout: float) -> nn.Sequential:
    stride = 1 if inside == outside else 2
    return nn.Sequential(Block(inside, outside, stride, groups, dropout), Block(outside, outside, 1, groups, dropout))
