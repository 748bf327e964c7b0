"""The generator of an adversarial game: from noise to pictures by transposed convolutions.

Radford, Metz & Chintala 2015 (DCGAN), arXiv:1511.06434, section 3 and figure 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.heads import players
from zoo.heads.players import Activation, Norm, Output


class Generator(nn.Module):
    """Codes -> pictures.

    The code is projected onto the coarsest map; each stage doubles a map by a transposed convolution, and the last of them gives the
    picture. Against the paper's figure 1 kernels are of 4 cells and not 5, so that the stride divides them, and maps have half its
    channels, as in the authors' release for faces: 512 on 4x4 cells to 64 on 32x32 for 64 pixels.
    All layers but the last, which finds the pictures' own scale, are normalised and activated.

    Args:
        latent: length of a code.
        picture: (C, H, W).
        widths: channels from the coarsest map on, one a doubling; () for DCGAN's: 64 on the finest hidden map, doubled towards the
            coarsest of 4 to 7 cells on its shorter side, at most 512.
        linear: units of hidden linear layers between the code and the coarsest map.
        activation: of the hidden layers; "leaky_relu" has a slope of 0.2.
        norm: of the hidden layers; "group" has groups of 16 channels or more, "spectral" divides weights by their largest singular
            value (Miyato 2018, arXiv:1802.05957), here without normalising values too, "instance" leaves linear layers as they are.
        extra: 3x3 convolutions on each hidden map, after the layer that leads to it.
        output: last activation: "tanh" to [-1, 1], "sigmoid" to [0, 1], "linear" for any range.

    Raises:
        ValueError: the picture's sides cannot be halved so often, or the options do not go together.
    """

    def __init__(
        self,
        latent: int,
        picture: tuple[int, int, int],
        widths: Sequence[int] = (),
        linear: Sequence[int] = (),
        activation: Activation = "relu",
        norm: Norm = "batch",
        extra: int = 0,
        output: Output = "tanh",
    ) -> None:
        super().__init__()
        if output not in ("tanh", "sigmoid", "linear"):
            raise ValueError(f"output {output!r}: expected 'tanh', 'sigmoid' or 'linear'")
        widths = tuple(widths) or players.dcgan_widths(picture)[::-1]
        height, width = players.coarsest(picture, len(widths), norm)
        self.output, self.alone = output, norm != "batch" or (not linear and height * width > 1)
        hidden = [players.dense(inside, outside, norm, activation) for inside, outside in pairwise((latent, *linear))]
        first = players.project((latent, *linear)[-1], (widths[0], height, width), norm, activation)
        self.first = nn.Sequential(*hidden, first, *(players.same(widths[0], norm, activation) for _ in range(extra)))
        self.stages = nn.ModuleList(
            nn.Sequential(players.up(inside, outside, norm, activation), *(players.same(outside, norm, activation) for _ in range(extra)))
            for inside, outside in pairwise(widths)
        )
        self.last = nn.Sequential(*players.weighted(nn.ConvTranspose2d(widths[-1], picture[0], 4, 2, 1), "none"))

    def forward(self, code: Tensor) -> Tensor:
        """Pictures of codes.

        Args:
            code: (B, latent).

        Returns:
            (B, C, H, W) in the output's range, float32 at least: tanh of half floats is flat, and teaches nothing, from about 3 on.

        Raises:
            RecipeError: there is one code, and batch normalisation cannot learn from it.
        """
        players.check_batch(self, len(code), self.alone)
        maps = self.first(code)
        for stage in self.stages:
            maps = stage(maps)
        picture: Tensor = self.last(maps)
        picture = picture.to(torch.promote_types(picture.dtype, torch.float32))
        if self.output == "linear":
            return picture
        return picture.tanh() if self.output == "tanh" else picture.sigmoid()
