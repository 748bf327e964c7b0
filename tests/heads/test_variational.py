"""Means and log-variances, draws from them, and noise that belongs to a picture."""

from __future__ import annotations

import math

import torch

from zoo.heads.variational import GaussianHead, noise_of, reparameterise


def test_the_head_gives_two_vectors_of_their_own() -> None:
    torch.manual_seed(0)
    head = GaussianHead(6, 3)
    features = torch.randn(4, 6)
    mean, log_variance = head(features)
    assert torch.equal(mean, head.mean(features)) and torch.equal(log_variance, head.log_variance(features))
    assert mean.shape == log_variance.shape == (4, 3) and not torch.equal(mean, log_variance)
    halves = head.to(torch.bfloat16)(features.to(torch.bfloat16))
    assert {part.dtype for part in halves} == {torch.float32}


def test_draws_have_the_mean_and_the_variance() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[math.log(4.0), math.log(0.25)]])
    drawn = reparameterise(mean, log_variance, torch.randn(100_000, 1, 2))[:, 0]
    assert torch.allclose(drawn.mean(0), mean[0], atol=0.03)
    assert torch.allclose(drawn.var(0), torch.tensor([4.0, 0.25]), rtol=0.03)


def test_gradients_reach_both() -> None:
    mean, log_variance = torch.zeros(1, 2, requires_grad=True), torch.full((1, 2), math.log(9.0), requires_grad=True)
    reparameterise(mean, log_variance, torch.tensor([[2.0, -1.0]])).sum().backward()
    assert mean.grad is not None and mean.grad.tolist() == [[1, 1]]
    assert log_variance.grad is not None and torch.allclose(log_variance.grad, torch.tensor([[3.0, -1.5]]))  # std * noise / 2


def test_noise_belongs_to_the_index() -> None:
    state = torch.random.get_rng_state()
    noise = noise_of(torch.arange(2000), 20)
    assert torch.equal(noise[[7, 3]], noise_of(torch.tensor([7, 3]), 20))
    assert torch.equal(state, torch.random.get_rng_state()), "training's own random numbers were touched"
    assert abs(noise.mean()) < 0.02 and abs(noise.var() - 1) < 0.03
    between_rows = torch.corrcoef(noise[:200]).fill_diagonal_(0)
    assert between_rows.abs().max() < 0.95 and abs(between_rows.mean()) < 0.01
    neighbours = (noise[1:] * noise[:-1]).mean()
    assert abs(neighbours) < 0.03
