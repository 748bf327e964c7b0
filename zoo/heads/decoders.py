"""From a backbone's maps to logits for every pixel: a 1x1 convolution, or a decoder of segmentation-models-pytorch.

The only module that imports segmentation-models-pytorch (Iakubovskii 2019, github.com/qubvel-org/segmentation_models.pytorch), and
it does so when one of its decoders is built. Taken are the decoders alone, with their own defaults and initialisation. Its encoders,
weights and hub are not: the backbone stands before the decoder, with the weights that the recipe names.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import RecipeError

Name = Literal[
    "none", "unet", "unetplusplus", "manet", "linknet", "fpn", "pspnet", "pan", "upernet", "segformer", "deeplabv3", "deeplabv3plus", "dpt"
]

PYRAMID: tuple[Name, ...] = (
    *("unet", "unetplusplus", "manet", "linknet", "fpn", "pspnet"),
    *("pan", "upernet", "segformer", "deeplabv3", "deeplabv3plus"),
)
POOLED: tuple[Name, ...] = ("pan", "upernet", "deeplabv3", "deeplabv3plus")
"""They normalise the means of whole pictures over the batch, which must hold two pictures for that."""


class Decoder(nn.Module):
    """Maps -> logits at the size of the picture.

    The maps are those of the picture padded to multiples of the coarsest stride (`zoo.backbones.padding.pad`); the logits are cropped
    back. Where the decoder's own map is coarser than the picture the logits are enlarged bilinearly, cells taken as areas. The
    library takes their centres as corners there (`align_corners`), which shifts logits by up to half a cell at the borders.
    The last convolution starts as PyTorch draws it. Drawn small, as other heads of zoo are, it can be stuck: on maps of ReLUs all its
    weights may turn negative before one has grown, and then no logit rises above the bias (docs/decisions/0009-segmentation.md).

    Args:
        name: "none", a 1x1 convolution on the only map, or on the last of several of one stride; or a decoder, whose form is that of
            the library: "unet" (Ronneberger 2015, arXiv:1505.04597), "unetplusplus" (Zhou 2018, arXiv:1807.10165), "manet" (Fan 2020,
            doi:10.1109/ACCESS.2020.3025372), "linknet" (Chaurasia & Culurciello 2017, arXiv:1707.03718), "fpn" (Kirillov 2019,
            arXiv:1901.02446), "pspnet" (Zhao 2016, arXiv:1612.01105), "pan" (Li 2018, arXiv:1805.10180), "upernet" (Xiao 2018,
            arXiv:1807.10221), "segformer" (Xie 2021, arXiv:2105.15203), "deeplabv3" (Chen 2017, arXiv:1706.05587), "deeplabv3plus"
            (Chen 2018, arXiv:1802.02611), "dpt" (Ranftl 2021, arXiv:2103.13413; without its readout of the class token, which maps do
            not hold). The papers of "pspnet", "pan" and the DeepLabs dilate the encoder so that its last stride is 8 or 16; here it
            stays as it is, mostly 32.
        channels: of each map, fine to coarse: the backbone's `channels`.
        strides: of each map: the backbone's `strides`.
        outputs: logits for each pixel.

    Raises:
        ValueError: the decoder cannot read such maps; names those that can.
    """

    def __init__(self, name: Name, channels: Sequence[int], strides: Sequence[int], outputs: int) -> None:
        super().__init__()
        _check(name, strides)
        self.name, self.stride = name, max(strides)
        self.missing = strides[0].bit_length() - 1 if name in PYRAMID else 0  # levels above the finest map: strides 1 and perhaps 2
        part = _build(name, [0] * self.missing + list(channels), strides)
        self.decoder = part.decoder
        self.head = nn.Conv2d(part.width, outputs, part.kernel, padding=part.kernel // 2)

    def forward(self, image: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """Logits for every pixel.

        Args:
            image: (B, C, H, W), before it was padded; only its size is looked at.
            maps: [(B, channels[i], H' / strides[i], W' / strides[i])], where H' and W' are H and W padded.

        Returns:
            (B, outputs, H, W).

        Raises:
            RecipeError: the decoder cannot work on a picture so small, or learn from a batch of one.
        """
        height, width = image.shape[2:]
        padded = [side + -side % self.stride for side in (height, width)]
        self._check(len(image), min(padded) // self.stride)
        logits: Tensor = self.head(self._decoded(list(maps), padded))
        if list(logits.shape[2:]) != padded:
            logits = F.interpolate(logits, size=padded, mode="bilinear", align_corners=False)
        return logits if padded == [height, width] else logits[..., :height, :width]

    def _decoded(self, maps: list[Tensor], padded: list[int]) -> Tensor:
        """The map that the head reads. A pyramid's missing levels are filled with maps that have a size but no channels."""
        if self.name == "none":
            return maps[-1]
        if self.name == "dpt":
            decoded: Tensor = self.decoder(maps, [None] * len(maps))
            return decoded
        empty = [maps[0].new_empty(len(maps[0]), 0, *[side >> level for side in padded]) for level in range(self.missing)]
        decoded = self.decoder([*empty, *maps])
        return decoded

    def _check(self, batch: int, cells: int) -> None:
        if self.name in POOLED and self.training and batch == 1:
            raise RecipeError(
                f"decoder {self.name!r} normalises pictures' means over the batch and cannot learn from a batch of one picture; "
                "take another train.batch_size, that leaves no single picture over, or another decoder, such as unet"
            )
        if self.name == "pan" and cells < 8:
            least = 7 * self.stride + 1
            raise RecipeError(
                f"decoder 'pan' halves the coarsest map three times and needs pictures of {least} pixels or more on either side; "
                "take another data.size or another decoder, such as unet"
            )


def fitting(strides: Sequence[int]) -> tuple[Name, ...]:
    """The decoders that can read maps of these strides, given fine to coarse; the first is a good choice."""
    count, finest = len(strides), strides[0]
    if len(set(strides)) == 1:  # one map; or several of a plain ViT, which "dpt" brings to strides 4, 8, ...
        return ("dpt", "none") if 2 <= count <= 4 and finest % 2 ** (count + 1) == 0 else ("none",)
    doubling = all(coarse == 2 * fine for fine, coarse in pairwise(strides))
    if not doubling or finest not in (1, 2, 4) or strides[-1] < 8:
        return ()
    return PYRAMID if count >= 4 else tuple(name for name in PYRAMID if name != "fpn")


def _check(name: Name, strides: Sequence[int]) -> None:
    known = fitting(strides)
    if name in known:
        return
    maps = f"maps of strides {', '.join(map(str, strides))}" if len(strides) > 1 else f"one map of stride {strides[0]}"
    if not known:
        raise ValueError(f"no decoder reads {maps}; take another backbone, such as resnet18")
    raise ValueError(f"decoder {name!r} cannot read this backbone's {maps}; expected {' or '.join(known)}, or take another backbone")


class _Part(NamedTuple):
    """A decoder, the channels of its map, and the kernel of the head that the library puts on it."""

    decoder: nn.Module
    width: int
    kernel: int


def _build(name: Name, channels: list[int], strides: Sequence[int]) -> _Part:
    """A decoder on maps of these channels, from stride 1 on for those in PYRAMID."""
    if name == "none":
        return _Part(nn.Identity(), channels[-1], 1)
    from segmentation_models_pytorch.base.initialization import initialize_decoder

    part = _of_library(name, channels, strides)
    initialize_decoder(part.decoder)
    return part


def _of_library(name: Name, channels: list[int], strides: Sequence[int]) -> _Part:
    from segmentation_models_pytorch import decoders as smp

    depth = len(channels) - 1
    halving = [16 << level for level in reversed(range(depth))]  # 256, 128, 64, 32, 16 from stride 32 on
    match name:
        case "unet":
            return _Part(smp.unet.decoder.UnetDecoder(channels, halving, depth), 16, 3)
        case "unetplusplus":
            return _Part(smp.unetplusplus.decoder.UnetPlusPlusDecoder(channels, halving, depth), 16, 3)
        case "manet":
            return _Part(smp.manet.decoder.MAnetDecoder(channels, halving, depth), 16, 3)
        case "linknet":
            return _Part(smp.linknet.decoder.LinknetDecoder(channels, n_blocks=depth), 32, 1)
        case "fpn":
            return _Part(smp.fpn.decoder.FPNDecoder(channels, depth), 128, 1)
        case "pspnet":
            return _Part(smp.pspnet.decoder.PSPDecoder(channels), 512, 3)
        case "pan":
            return _Part(smp.pan.decoder.PANDecoder(channels, depth, 32), 32, 3)
        case "upernet":
            return _Part(smp.upernet.decoder.UPerNetDecoder(channels, depth), 256, 1)
        case "segformer":
            return _Part(smp.segformer.decoder.SegformerDecoder(channels, depth), 256, 1)
        case "deeplabv3":
            return _Part(smp.deeplabv3.decoder.DeepLabV3Decoder(channels[-1], 256, _rates(strides), False, 0.5), 256, 1)
        case "deeplabv3plus":
            decoder = smp.deeplabv3.decoder.DeepLabV3PlusDecoder(channels, depth, 256, _rates(strides), 16, True, 0.5)
            decoder.up = nn.Upsample(scale_factor=strides[-1] // 4, mode="bilinear", align_corners=True)  # its own ends in stride 16
            return _Part(decoder, 256, 1)
        case "dpt":
            wide = (256, 512, 1024, 1024)[: len(channels)]
            return _Part(smp.dpt.decoder.DPTDecoder(channels, strides, False, "ignore", wide), 256, 3)
    raise ValueError(f"no decoder is called {name!r}")


def _rates(strides: Sequence[int]) -> list[int]:
    """The DeepLabs' dilations: 6, 12, 18 at stride 16, and as wide in pixels of the picture at any other."""
    return [rate * 16 // strides[-1] for rate in (6, 12, 18)]
