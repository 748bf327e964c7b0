"""Codes of a prior N(0, I): those of a seed, as they are or truncated."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from zoo.latent.samplers import checked_seed

LEAST, MOST = 0.01, 5.0
"""Bounds of a truncation: all pictures are nearly alike, and one number in two million is changed."""


def codes(count: int, width: int, seed: int, truncation: float | None = None) -> Tensor:
    """(count, width) float32 of N(0, I), or truncated, on the CPU: the same for every device, and the first ones for every count.

    The first code is `noise_of` its seed (see `zoo.heads.variational`): picture k, from 0, of a report's samples is the one of seed k.

    Raises:
        ValueError: no such seed or truncation.
    """
    generator = torch.Generator().manual_seed(checked_seed(seed))
    drawn = torch.stack([torch.randn(width, generator=generator) for _ in range(count)])
    return drawn if truncation is None else truncated(drawn, truncation)


def truncated(drawn: Tensor, threshold: float) -> Tensor:
    """The truncation trick (Brock, Donahue & Simonyan 2018, arXiv:1809.11096, section 3.1): fewer kinds of pictures, better ones.

    The paper draws each number beyond the threshold again until it lies within. Here every number moves inwards to where as large a
    share of the truncated distribution lies nearer to 0. The distribution is the same, and a code stays akin to what it was.

    Args:
        drawn: numbers of N(0, 1), of any shape.
        threshold: the largest magnitude, from 0.01 to 5.

    Raises:
        ValueError: no such threshold.
    """
    most = _checked(threshold)
    nearer = torch.erf(drawn.double().abs() / math.sqrt(2)) * math.erf(most / math.sqrt(2))
    return (math.sqrt(2) * torch.erfinv(nearer) * drawn.sign()).to(drawn.dtype)


def _checked(threshold: Any) -> float:
    if isinstance(threshold, bool) or not isinstance(threshold, Real) or not LEAST <= float(threshold) <= MOST:
        raise ValueError(f"truncation={threshold!r}: expected a number from {LEAST:g} (pictures nearly alike) to {MOST:g}, such as 0.7")
    return float(threshold)
