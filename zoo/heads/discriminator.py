"""The discriminator of an adversarial game: from pictures to one score each by strided convolutions.

Radford, Metz & Chintala 2015 (DCGAN), arXiv:1511.06434, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.heads import players
from zoo.heads.players import Activation, Norm


class Discriminator(nn.Module):
    """Pictures -> scores, higher for what looks real; a sigmoid, where one is wanted, is the loss's.

    Each stage halves the map by a convolution with a kernel of 4 cells; a linear layer reads the last map. As in the paper, the first
    layer is not normalised, nor is the last. Spectral normalisation is of weights and binds all layers, as its paper has it (Miyato
    2018, arXiv:1802.05957): one left out would leave the scores' slope free.

    Args:
        picture: (C, H, W).
        widths: channels from the finest map on, one a halving; () for DCGAN's: 64 on the finest, doubled towards the coarsest of 4 to 7
            cells on its shorter side, at most 512.
        linear: units of hidden linear layers between the last map and the score.
        activation: of the hidden layers; "leaky_relu" has a slope of 0.2.
        norm: of the hidden layers; "group" has groups of 16 channels or more, "instance" leaves linear layers as they are.
        extra: 3x3 convolutions on each map, after the layer that leads to it.

    Raises:
        ValueError: the picture's sides cannot be halved so often, or the options do not go together.
    """

    def __init__(
        self,
        picture: tuple[int, int, int],
        widths: Sequence[int] = (),
        linear: Sequence[int] = (),
        activation: Activation = "leaky_relu",
        norm: Norm = "batch",
        extra: int = 0,
    ) -> None:
        super().__init__()
        widths = tuple(widths) or players.dcgan_widths(picture)
        height, width = players.coarsest(picture, len(widths), norm)
        cells, bare = height * width, players.of_weights(norm)
        self.picture, self.alone = tuple(picture), norm != "batch" or (not linear and cells > 1)
        self.stages = nn.ModuleList(
            nn.Sequential(
                players.down(inside, outside, norm if number else bare, activation),
                *(players.same(outside, norm, activation) for _ in range(extra)),
            )
            for number, (inside, outside) in enumerate(pairwise((picture[0], *widths)))
        )
        units = (widths[-1] * cells, *linear)
        hidden = [players.dense(inside, outside, norm, activation) for inside, outside in pairwise(units)]
        self.last = nn.Sequential(nn.Flatten(), *hidden, *players.weighted(nn.Linear(units[-1], 1), bare))

    def forward(self, image: Tensor) -> Tensor:
        """Scores of pictures.

        Args:
            image: (B, C, H, W), of the size it was built for, in the range of the generator's output.

        Returns:
            (B,) logits, float32 at least.

        Raises:
            ValueError: the pictures have another size.
            RecipeError: there is one picture, and batch normalisation cannot learn from it.
        """
        if image.shape[1:] != self.picture:
            found, expected = ("x".join(map(str, shape)) for shape in (image.shape[1:], self.picture))
            raise ValueError(f"pictures of {found} (channels, height, width): this discriminator was built for {expected}")
        players.check_batch(self, len(image), self.alone)
        for stage in self.stages:
            image = stage(image)
        score: Tensor = self.last(image)
        return score.squeeze(1).to(torch.promote_types(score.dtype, torch.float32))
