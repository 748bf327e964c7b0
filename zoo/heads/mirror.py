"""From codes back to pictures: a decoder that goes an encoder's stages in reverse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]

WIDEST, COARSEST = 256, 4
"""Of the decoder that mirrors nobody: channels at most, and the side in cells at which it stops halving."""


class Mirror(nn.Module):
    """Codes -> logits of the pictures that they stand for; a sigmoid, where one is wanted, is the caller's.

    A linear layer leads from the code to the encoder's last stage; from there each step leads to the stage before. A vector is
    reached by a linear layer. A map is reached by enlarging (nearest neighbour, to the very size that the encoder had there) and a 3x3
    convolution, which leaves no chequerboard as transposed convolutions do (Odena, Dumoulin & Olah 2016, doi:10.23915/distill.00003). ReLU
    follows all but the last layer, after batch normalisation where there are maps.

    Args:
        code: its length.
        shapes: of the encoder's stages without the batch, the picture first, each (units,) or (C, H, W); () for an encoder that does
            not tell its stages: then the picture's sides are halved, rounded up, until the shorter is 4 cells or less.
        picture: (C, H, W).
        conditions: length of the condition that is joined to the code.

    Raises:
        ValueError: the first of the shapes is not that of the picture.
    """

    def __init__(self, code: int, shapes: Sequence[Shape], picture: tuple[int, int, int], conditions: int = 0) -> None:
        stages = [tuple(shape) for shape in shapes] or _stages(picture)
        if stages[0] != tuple(picture):
            raise ValueError(f"the encoder's stages begin with {stages[0]}; expected the picture's {tuple(picture)}")
        super().__init__()
        *inner, last = pairwise([(code + conditions,), *reversed(stages)])
        self.steps = nn.Sequential(*(_step(before, after) for before, after in inner), _linear(*last))

    def forward(self, code: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, code), and with conditions (B, conditions) -> (B, C, H, W) logits."""
        logits: Tensor = self.steps(code if condition is None else torch.cat((code, condition), 1))
        return logits


def _step(before: Shape, after: Shape) -> nn.Sequential:
    """From a stage to the one before it in the encoder: (B, *before) -> (B, *after)."""
    norm = [nn.BatchNorm2d(after[0])] if len(after) == 3 else []
    return nn.Sequential(_linear(before, after), *norm, nn.ReLU())


def _linear(before: Shape, after: Shape) -> nn.Sequential:
    """The same without normalisation and ReLU."""
    if len(before) == len(after) == 3:
        return nn.Sequential(nn.Upsample(after[1:]), nn.Conv2d(before[0], after[0], 3, padding=1))
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(before), math.prod(after)), nn.Unflatten(1, after))


def _stages(picture: Shape) -> list[Shape]:
    """Of an encoder that halves the picture, rounding up, from 32 channels on."""
    (_, height, width), stages = picture, [picture]
    while min(height, width) > COARSEST:
        height, width = math.ceil(height / 2), math.ceil(width / 2)
        stages.append((min(32 << len(stages) - 1, WIDEST), height, width))
    return stages
