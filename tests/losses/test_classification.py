"""Losses against PyTorch's and against their formulas in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.losses.classification import cross_entropy, focal

WEIGHT = torch.tensor([0.5, 1.0, 2.0, 3.5])


def case(size: int = 16, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    logits = 3 * torch.randn(size, classes, generator=generator)
    return logits.requires_grad_(), torch.randint(classes, (size,), generator=generator)


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_focal_at_gamma_0_is_pytorchs_cross_entropy(weight: Tensor | None, smoothing: float) -> None:
    logits, target = case()
    theirs = F.cross_entropy(logits, target, weight, label_smoothing=smoothing)
    (expected,) = torch.autograd.grad(theirs, logits)
    for ours in (focal(logits, target, weight, smoothing, gamma=0.0), cross_entropy(logits, target, weight, smoothing)):
        (gradient,) = torch.autograd.grad(ours, logits)
        assert float(ours) == pytest.approx(float(theirs), rel=1e-6)
        assert torch.allclose(gradient, expected, atol=1e-7)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_focal_by_its_formula(gamma: float, weight: Tensor | None, smoothing: float) -> None:
    logits, target = case()
    p = logits.detach().double().softmax(1)
    weights = torch.ones(4).double() if weight is None else weight.double()
    total, divisor = 0.0, 0.0
    for row, label in enumerate(target.tolist()):
        divisor += float(weights[label])
        for c in range(4):
            share = (1 - smoothing) * (c == label) + smoothing / 4
            total -= float(weights[c] * share * (1 - p[row, c]) ** gamma * p[row, c].log())
    assert float(focal(logits, target, weight, smoothing, gamma, alpha=0.25)) == pytest.approx(0.25 * total / divisor, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 100.0, 1e4, -1e4])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_finite_however_sure(gamma: float, scale: float, weight: Tensor | None) -> None:
    """Surely right, surely wrong and undecided, with their gradients."""
    logits = (scale * torch.eye(4)).repeat(2, 1).requires_grad_()
    target = torch.tensor([0, 1, 2, 3, 1, 2, 3, 0])
    for loss in (
        focal(logits, target, weight, 0.0, gamma),
        focal(logits, target, weight, 0.1, gamma),
        cross_entropy(logits, target, weight),
    ):
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite() and gradient.isfinite().all()
    if scale == 1e4:
        assert float(cross_entropy(logits, target)) == pytest.approx(5e3)


def test_focal_still_teaches_where_the_answer_is_surely_wrong() -> None:
    logits = torch.tensor([[1e4, 0.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(focal(logits, torch.tensor([1])), logits)
    assert torch.allclose(gradient, torch.tensor([[1.0, -1.0]]))


@pytest.mark.parametrize("function", [cross_entropy, focal])
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_targets_that_are_hard(function: type, weight: Tensor | None, smoothing: float) -> None:
    logits, target = case()
    hard = function(logits, target, weight, smoothing)
    soft = function(logits, F.one_hot(target, 4).float(), weight, smoothing)
    assert float(soft) == pytest.approx(float(hard), rel=1e-6)


def test_soft_targets_without_weights_are_pytorchs() -> None:
    logits, target = case()
    mixed = 0.3 * F.one_hot(target, 4).float() + 0.7 * F.one_hot(target.flip(0), 4).float()
    for smoothing in (0.0, 0.1):
        expected = float(F.cross_entropy(logits, mixed, label_smoothing=smoothing))
        assert float(cross_entropy(logits, mixed, None, smoothing)) == pytest.approx(expected, rel=1e-6)
        assert float(focal(logits, mixed, None, smoothing, gamma=0.0)) == pytest.approx(expected, rel=1e-6)


def test_weights_change_the_balance_and_not_the_size() -> None:
    logits, target = case()
    mixed = 0.3 * F.one_hot(target, 4).float() + 0.7 * F.one_hot(target.flip(0), 4).float()
    for soft in (target, mixed):
        assert float(cross_entropy(logits, soft, 7 * WEIGHT)) == pytest.approx(float(cross_entropy(logits, soft, WEIGHT)), rel=1e-6)
    only = torch.tensor([0.0, 0.0, 1.0, 0.0])
    rows = target == 2
    assert float(cross_entropy(logits, target, only)) == pytest.approx(float(F.cross_entropy(logits[rows], target[rows])), rel=1e-6)
