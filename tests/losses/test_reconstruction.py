"""Losses of pictures against formulas in plain Python and against other libraries."""

from __future__ import annotations

import math
from collections.abc import Callable

import kornia
import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from zoo.losses import reconstruction as losses

NAMES = ("mse", "l1", "ssim")


def pictures(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Smooth pictures and others that are like them."""
    generator = torch.Generator().manual_seed(seed)
    rough = torch.rand(*shape[:2], 4, 4, generator=generator)
    target = torch.nn.functional.interpolate(rough, shape[2:], mode="bilinear")
    return (target + 0.1 * torch.randn(shape, generator=generator)).clamp(0, 1), target


def ssim_by_loops(one: Tensor, other: Tensor, window: int = 11) -> float:
    """The mean over channels and places of equation 13, moments taken about the mean, in double precision."""
    offsets = np.arange(window) - window // 2
    taps = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights = np.outer(taps, taps) / taps.sum() ** 2
    values = []
    for x, y in zip(one.double().numpy(), other.double().numpy(), strict=True):
        for top in range(x.shape[0] - window + 1):
            for left in range(x.shape[1] - window + 1):
                a, b = (image[top : top + window, left : left + window] for image in (x, y))
                mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
                var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
                both = (weights * (a - mean_a) * (b - mean_b)).sum()
                likeness = (2 * mean_a * mean_b + 1e-4) * (2 * both + 9e-4)
                values.append(likeness / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)))
    return float(np.mean(values))


def ssim_of_torchmetrics(said: Tensor, target: Tensor) -> Tensor:
    """Of each picture, where the window lies within it; its own mean also counts places where it reaches over mirrored edges."""
    _, places = structural_similarity_index_measure(said, target, data_range=1.0, reduction="none", return_full_image=True)
    return places[:, :, 5:-5, 5:-5].flatten(1).mean(1)


def test_differences_by_their_formulas() -> None:
    said, target = pictures(3, 2, 5, 7)
    for number in range(3):
        apart = (said[number] - target[number]).flatten().tolist()
        assert float(losses.mse(said, target, "none")[number]) == pytest.approx(math.fsum(d * d for d in apart) / 70, rel=1e-5)
        assert float(losses.l1(said, target, "none")[number]) == pytest.approx(math.fsum(map(abs, apart)) / 70, rel=1e-5)


@pytest.mark.parametrize(("shape", "window"), [((2, 1, 12, 15), 11), ((2, 3, 11, 11), 11), ((2, 1, 8, 20), 7), ((2, 2, 3, 3), 3)], ids=str)
def test_ssim_by_its_formula(shape: tuple[int, ...], window: int) -> None:
    said, target = pictures(*shape)
    found = losses.ssim(said, target, "none")
    for number in range(len(said)):
        assert float(found[number]) == pytest.approx(1 - ssim_by_loops(said[number], target[number], window), abs=2e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_that_of_other_libraries(channels: int) -> None:
    said, target = pictures(4, channels, 40, 31)
    ours = 1 - losses.ssim(said, target, "none")
    torch.testing.assert_close(ours, ssim_of_torchmetrics(said, target), atol=1e-5, rtol=0)
    torch.testing.assert_close(ours, kornia.metrics.ssim(said, target, 11, padding="valid").flatten(1).mean(1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_none_gives_each_picture_its_own_and_mean_their_mean(name: str) -> None:
    loss: Callable[..., Tensor] = getattr(losses, name)
    said, target = pictures(5, 3, 14, 14)
    each = loss(said, target, "none")
    assert each.shape == (5,) and (each > 0).all()
    assert torch.allclose(each[2:3], loss(said[2:3], target[2:3], "none"), atol=1e-6)
    assert torch.allclose(loss(said, target), each.mean())
    assert torch.allclose(loss(target, target, "none"), torch.zeros(5), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_the_values(name: str) -> None:
    loss: Callable[..., Tensor] = getattr(losses, name)
    said, target = (picture.double() for picture in pictures(2, 1, 6, 6))
    assert torch.autograd.gradcheck(lambda x: loss(x, target), said.clamp(0.1, 0.9).requires_grad_())


@pytest.mark.parametrize("name", NAMES)
def test_a_step_downhill_brings_pictures_together(name: str) -> None:
    loss: Callable[..., Tensor] = getattr(losses, name)
    said, target = pictures(2, 1, 16, 16)
    said = said.requires_grad_()
    optimizer = torch.optim.Adam([said], 0.02)
    first = float(loss(said, target).detach())
    for _ in range(30):
        optimizer.zero_grad()
        loss(said, target).backward()
        optimizer.step()
    assert float(loss(said, target).detach()) < 0.3 * first
    assert float((said - target).abs().mean().detach()) < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_half_floats_and_autocast_are_computed_in_single(name: str) -> None:
    loss: Callable[..., Tensor] = getattr(losses, name)
    said, target = pictures(2, 1, 16, 16)
    assert loss(said.bfloat16(), target.bfloat16()).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(loss(said, target), loss(said.double(), target.double()).float(), atol=1e-5)


def test_flat_pictures_stay_finite() -> None:
    flat = torch.zeros(1, 1, 16, 16, requires_grad=True)
    loss = losses.ssim(flat, torch.ones(1, 1, 16, 16))
    loss.backward()
    assert 0.9 < float(loss.detach()) <= 1.0
    assert flat.grad is not None and flat.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_refused(name: str) -> None:
    loss: Callable[..., Tensor] = getattr(losses, name)
    said, target = pictures(2, 1, 8, 8)
    with pytest.raises(ValueError, match=r"predicted \(2, 1, 8, 8\) and target \(1, 1, 8, 8\): expected two equal shapes"):
        loss(said, target[:1])
    with pytest.raises(ValueError, match="reduction='sum': expected 'none' or 'mean'"):
        loss(said, target, "sum")


def test_names() -> None:
    assert [losses.build(name) for name in ("mse", "l1", "ssim")] == [losses.mse, losses.l1, losses.ssim]
