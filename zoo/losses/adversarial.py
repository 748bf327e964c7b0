"""Losses of a game between a generator and a discriminator, and penalties on the slope of the scores.

Scores are the discriminator's outputs before any sigmoid, (B,), read as float32 (float64 stays). Losses are means over pictures; real
and drawn ones need not be equally many.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Name = Literal["bce", "lsgan", "hinge", "wgan"]


def of_discriminator(name: Name, real: Tensor, fake: Tensor, real_label: Tensor | None = None, fake_label: Tensor | None = None) -> Tensor:
    """What the discriminator lowers: the sum of its losses on real and on drawn pictures.

    Args:
        name: "bce", cross entropy (Goodfellow 2014, arXiv:1406.2661, eq. 1); "lsgan", half the squared distance to the labels (Mao
            2017, arXiv:1611.04076, eq. 9); "hinge" (Lim & Ye 2017, arXiv:1705.02894); "wgan", the negative Wasserstein distance
            (Arjovsky 2017, arXiv:1701.07875), for scores whose slope is bounded.
        real: (B,) scores of real pictures.
        fake: (B',) scores of drawn ones, detached from the generator.
        real_label: (B,) targets of "bce" and "lsgan", such as `soft_labels`; None for 1. The others have none.
        fake_label: (B',); None for 0.

    Returns:
        A scalar.

    Raises:
        ValueError: there is no such loss, or there are not as many labels as scores.
    """
    real, fake = _read(real), _read(fake)
    real_label, fake_label = _targets(real, real_label, 1.0), _targets(fake, fake_label, 0.0)
    match name:
        case "bce":
            return F.binary_cross_entropy_with_logits(real, real_label) + F.binary_cross_entropy_with_logits(fake, fake_label)
        case "lsgan":
            return 0.5 * (F.mse_loss(real, real_label) + F.mse_loss(fake, fake_label))
        case "hinge":
            return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        case "wgan":
            return fake.mean() - real.mean()
    raise _unknown(name)


def of_generator(name: Name, fake: Tensor) -> Tensor:
    """What the generator lowers. "bce" does not saturate: -log D(G(z)) in place of log(1 - D(G(z))) (Goodfellow 2014, section 3).

    Args:
        name: as for `of_discriminator`; the two players' may differ.
        fake: (B,) scores of drawn pictures.

    Returns:
        A scalar.

    Raises:
        ValueError: there is no such loss.
    """
    fake = _read(fake)
    match name:
        case "bce":
            return F.softplus(-fake).mean()
        case "lsgan":
            return 0.5 * (fake - 1).square().mean()
        case "hinge" | "wgan":
            return -fake.mean()
    raise _unknown(name)


def gradient_penalty(score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """How far the slope of the scores is from 1 on the lines between real and drawn pictures (Gulrajani 2017, arXiv:1704.00028, eq. 3).

    Two-sided: slopes below 1 cost too. Its weight, 10 in the paper, is the caller's. A score that mixes pictures, as batch
    normalisation in training does, has no slope of its own for each of them; the paper advises against it.

    Args:
        score: (B, C, H, W) -> (B,), through which gradients flow twice.
        real: (B, C, H, W).
        fake: the same shape.

    Returns:
        A scalar, whose gradient reaches the weights of `score` and not the pictures. Places on the lines come from torch's global
        generator on the pictures' device.

    Raises:
        ValueError: the shapes differ.
    """
    if real.shape != fake.shape:
        raise ValueError(f"real pictures {tuple(real.shape)} and drawn ones {tuple(fake.shape)}: expected two equal shapes")
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device, dtype=real.dtype)
    slope: Tensor = _slope(score, share * real + (1 - share) * fake)
    norm: Tensor = torch.linalg.vector_norm(slope, dim=1)  # its gradient at slopes of 0 is 0, where a root's is infinite
    return (norm - 1).square().mean()


def r1(score: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Half the mean squared norm of the scores' gradient at real pictures (Mescheder 2018, arXiv:1801.04406, eq. 9, without gamma).

    Taken only every k-th step, it is multiplied by k too (Karras 2019, arXiv:1912.04958, appendix B), which is the caller's.

    Args:
        score: (B, C, H, W) -> (B,), through which gradients flow twice.
        real: (B, C, H, W).

    Returns:
        A scalar, whose gradient reaches the weights of `score` and not the pictures.
    """
    slope: Tensor = _slope(score, real)
    return 0.5 * slope.square().sum(1).mean()


def soft_labels(count: int, low: float, high: float, flip: float, device: torch.device) -> Tensor:
    """Labels that leave the discriminator in doubt: uniform in [low, high], and noise that swaps real and drawn for some.

    One-sided smoothing has real labels in [0.9, 0.9] and drawn ones in [0, 0] (Salimans 2016, arXiv:1606.03498, section 3.4).

    Args:
        count: B.
        low: from 0, drawn, to 1, real.
        high: from `low` on.
        flip: chance that a label y becomes 1 - y.
        device: of the labels, and of the global generator that they come from.

    Returns:
        (B,) float32.

    Raises:
        ValueError: `low` is above `high`.
    """
    if not low <= high:
        raise ValueError(f"labels from {low} to {high}: expected the lower one first")
    label = low + (high - low) * torch.rand(count, device=device)
    return torch.where(torch.rand(count, device=device) < flip, 1 - label, label)


@torch.compiler.disable  # type: ignore[untyped-decorator]  # torch gives its decorator no types
def _slope(score: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Gradients of scores at pictures: (B, ...) -> (B, C * H * W), float32 at least.

    Never compiled, since compiled code gives no gradients of gradients.
    """
    image = image.detach().requires_grad_()
    (slope,) = torch.autograd.grad(score(image).sum(), image, create_graph=True)
    return _read(slope.flatten(1))


def _read(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _targets(score: Tensor, label: Tensor | None, value: float) -> Tensor:
    if label is None:
        return torch.full_like(score, value)
    if label.shape != score.shape:
        raise ValueError(f"labels {tuple(label.shape)} for scores {tuple(score.shape)}: expected equal shapes")
    return label.to(score.dtype)


def _unknown(name: str) -> ValueError:
    return ValueError(f"no adversarial loss is called {name!r}; expected 'bce', 'lsgan', 'hinge' or 'wgan'")
