"""What simpler ways than a network make of pictures: the mean picture and principal components, blur and median; no task itself.

A network that does no better than these has learnt nothing worth its training, and the report has to say so.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMAS = tuple(step / 10 for step in range(3, 31))
"""Of blurs that are tried, in pixels."""


@dataclass(frozen=True)
class Components:
    """Principal components of pictures.

    Attributes:
        mean: (C, H, W), the mean picture.
        axes: (K, C * H * W), orthonormal, the one of most variance first.
    """

    mean: Tensor
    axes: Tensor

    def reconstruct(self, pictures: Tensor) -> Tensor:
        """Through K numbers and back: (N, C, H, W) -> the same shape, in [0, 1]."""
        flat = (pictures - self.mean).flatten(1)
        return (self.mean + (flat @ self.axes.T @ self.axes).view_as(pictures)).clamp(0, 1)


def components(pictures: Tensor, number: int) -> Components:
    """The first principal components of pictures (N, C, H, W); at most N - 1, as many as there are."""
    mean = pictures.mean(0)
    flat = (pictures - mean).flatten(1)
    _, _, axes = torch.linalg.svd(flat, full_matrices=False)
    return Components(mean, axes[: min(number, len(pictures) - 1)])


def blur(pictures: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `sigma` pixels, (N, C, H, W) -> the same shape; at borders the weights of what lies within are made to sum to 1."""
    rows, columns = (_weights(side, sigma, pictures) for side in pictures.shape[2:])
    return rows @ pictures @ columns.mT


def _weights(side: int, sigma: float, like: Tensor) -> Tensor:
    at = torch.arange(side, dtype=like.dtype, device=like.device)
    weights = torch.exp(-0.5 * ((at - at[:, None]) / sigma) ** 2)
    return weights / weights.sum(1, keepdim=True)


def best_sigma(spoilt: Tensor, clean: Tensor) -> float:
    """The blur of `SIGMAS` that brings spoilt pictures nearest to the clean ones: two (N, C, H, W) -> pixels."""
    errors = [float((blur(spoilt, sigma) - clean).square().mean()) for sigma in SIGMAS]
    return SIGMAS[errors.index(min(errors))]


def median(pictures: Tensor, side: int) -> Tensor:
    """The median of each `side` x `side` neighbourhood, mirrored at borders: (N, C, H, W) -> the same shape.

    Args:
        pictures: with sides above side // 2.
        side: odd.
    """
    half = side // 2
    padded = F.pad(pictures, (half, half, half, half), mode="reflect")
    around = padded.unfold(2, side, 1).unfold(3, side, 1)
    return torch.stack([one.flatten(-2).median(-1).values for one in around])  # one by one: 25 values for each of a picture's are many
