"""The terms of the evidence lower bound (Kingma & Welling 2013, arXiv:1312.6114), in nats for each picture.

    log p(x) >= ELBO = E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z)),   q(z|x) = N(mean, exp(log_variance)),   p(z) = N(0, I)

What a network says of the spread is the logarithm of the variance everywhere, never of the standard deviation. Sums run over pixels and
dimensions, so that numbers can be compared with those of papers; means over pixels would weigh the two terms by the picture's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)) in closed form (Kingma & Welling 2013, appendix B): two (B, D) -> (B,) nats."""
    return kl_of_dimensions(mean, log_variance).sum(1)


def kl_of_dimensions(mean: Tensor, log_variance: Tensor) -> Tensor:
    """What each dimension adds to `kl`: two (B, D) -> (B, D) nats."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


def bernoulli(logits: Tensor, target: Tensor) -> Tensor:
    """-log p(target) of independent pixels that are 1 with probability sigmoid(logits).

    Args:
        logits: (B, ...).
        target: the same shape, of 0 and 1. Values in between are read as shares of ones: the same gradients, but no likelihood of grey.

    Returns:
        (B,) nats, summed over the picture.
    """
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).sum(1)


def gaussian(mean: Tensor, target: Tensor, std: float = 1.0) -> Tensor:
    """-log p(target) of independent pixels of N(mean, std).

    Args:
        mean: (B, ...).
        target: the same shape.
        std: fixed, in units of the pixels. As a density, the number depends on these units and can be negative.

    Returns:
        (B,) nats, summed over the picture.

    Raises:
        ValueError: `std` is not above 0.
    """
    if not std > 0:
        raise ValueError(f"std={std!r}: expected a number above 0")
    squares = ((target - mean) / std).square().flatten(1)
    return 0.5 * squares.sum(1) + squares.shape[1] * (math.log(std) + 0.5 * math.log(2 * math.pi))


def likelihood(name: Literal["bernoulli", "gaussian"], std: float = 1.0) -> Callable[[Tensor, Tensor], Tensor]:
    """The negative log likelihood of a name: logits (B, ...) and target -> (B,) nats; the Gaussian's mean is sigmoid(logits).

    Raises:
        ValueError: there is no such name, or `std` is not above 0.
    """
    if name == "bernoulli":
        return bernoulli
    if name != "gaussian" or not std > 0:
        raise ValueError(f"likelihood {name!r} of std {std!r}: expected 'bernoulli', or 'gaussian' of a std above 0")
    return partial(_gaussian_of_logits, std=std)


def _gaussian_of_logits(logits: Tensor, target: Tensor, std: float) -> Tensor:
    return gaussian(logits.sigmoid(), target, std)


def log_normal(value: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """The density log N(value; mean, exp(log_variance)) of all dimensions: (..., D) each, or what broadcasts to it -> (...)."""
    squares = (value - mean).square() * (-log_variance).exp()
    return -0.5 * (squares + log_variance + math.log(2 * math.pi)).sum(-1)


def log_weights(code: Tensor, mean: Tensor, log_variance: Tensor, nll: Tensor) -> Tensor:
    """What `importance_bound` averages: log p(x, z) - log q(z|x).

    Args:
        code: (..., B, D), drawn from q.
        mean: (B, D) of q.
        log_variance: (B, D) of q.
        nll: (..., B), -log p(x|z).

    Returns:
        (..., B) nats.
    """
    nothing = torch.zeros_like(mean)
    return log_normal(code, nothing, nothing) - nll - log_normal(code, mean, log_variance)


def importance_bound(log_weights: Callable[[int], Tensor], samples: int, chunk: int = 10) -> Tensor:
    """The importance-weighted bound log 1/K sum_k p(x, z_k) / q(z_k|x) (Burda, Grosse & Salakhutdinov 2015, arXiv:1509.00519, eq. 8).

    With K = 1 it is the one-sample ELBO; it rises with K towards log p(x).

    Args:
        log_weights: number of samples k -> (k, B): log p(x, z) - log q(z|x) of so many fresh z ~ q(z|x) for each picture.
        samples: K, from 1 on.
        chunk: most samples asked for at once, which bounds the memory.

    Returns:
        (B,) nats.

    Raises:
        ValueError: `samples` or `chunk` is below 1.
    """
    if min(samples, chunk) < 1:
        raise ValueError(f"samples={samples}, chunk={chunk}: expected numbers from 1 on")
    parts = [log_weights(min(chunk, samples - begun)).logsumexp(0) for begun in range(0, samples, chunk)]
    return torch.stack(parts).logsumexp(0) - math.log(samples)


def warmed(weight: float, epochs: int, epoch: int) -> float:
    """The weight of the KL term in an epoch (counted from 0): it rises linearly from 0 and is `weight` after `epochs` (Bowman 2015)."""
    return weight * min(1.0, epoch / epochs) if epochs else weight
