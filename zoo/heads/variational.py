"""The code of a variational autoencoder: a diagonal Gaussian for each picture, and how to draw from it.

Kingma & Welling 2013, arXiv:1312.6114, section 2.4 and appendix C.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GaussianHead(nn.Module):
    """(B, width) -> mean and logarithm of the variance of q(z|x), (B, latent) each, by a linear layer each.

    Both start as PyTorch draws them. Initial weights near 0 would make all codes alike, which a decoder learns to leave unread.
    """

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.mean = nn.Linear(width, latent)
        self.log_variance = nn.Linear(width, latent)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, width) -> two (B, latent), float32 at least: their exponentials leave half floats' range."""
        mean, log_variance = self.mean(features), self.log_variance(features)
        kind = torch.promote_types(mean.dtype, torch.float32)
        return mean.to(kind), log_variance.to(kind)


def reparameterise(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A draw from N(mean, exp(log_variance)) through which gradients reach both.

    Args:
        mean: (B, D).
        log_variance: (B, D).
        noise: (..., B, D) of N(0, I), by `torch.randn`.

    Returns:
        The shape of `noise`.
    """
    return mean + (0.5 * log_variance).exp() * noise


def noise_of(index: Tensor, latent: int) -> Tensor:
    """Normal noise that belongs to a picture, so that what is measured with it does not depend on the pictures beside it.

    Args:
        index: (B,) int64, of each picture in its part of the data.
        latent: D.

    Returns:
        (B, D) float32 on the device of `index`, each row drawn from the seed `index`.
    """
    rows = [torch.randn(latent, generator=torch.Generator().manual_seed(number)) for number in index.tolist()]
    return torch.stack(rows).to(index.device)
