"""The terms of the bound against torch.distributions, against Monte Carlo and against models whose likelihood is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from zoo.losses import elbo


def posterior(pictures: int = 5, latent: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    mean, log_variance = torch.randn(2, pictures, latent, generator=generator, dtype=torch.float64)
    return mean, log_variance


def normal(mean: Tensor, log_variance: Tensor) -> Normal:
    return Normal(mean, (0.5 * log_variance).exp())


def test_kl_is_the_closed_form() -> None:
    mean, log_variance = posterior()
    expected = kl_divergence(normal(mean, log_variance), Normal(torch.zeros_like(mean), 1.0)).sum(1)
    assert torch.allclose(elbo.kl(mean, log_variance), expected)
    assert torch.allclose(elbo.kl_of_dimensions(mean, log_variance).sum(1), expected)
    assert elbo.kl(torch.zeros(2, 4), torch.zeros(2, 4)).tolist() == [0, 0]
    assert elbo.kl(torch.zeros(1, 1), torch.full((1, 1), 2.0)).item() == pytest.approx(0.5 * (math.e**2 - 3))  # 2 is no std


def test_kl_is_what_draws_say() -> None:
    torch.manual_seed(0)
    mean, log_variance = posterior()
    q = normal(mean, log_variance)
    code = q.sample((40_000,))
    drawn = (q.log_prob(code) - Normal(0.0, 1.0).log_prob(code)).sum(-1)
    error = drawn.std(0) / math.sqrt(len(drawn))
    assert ((drawn.mean(0) - elbo.kl(mean, log_variance)).abs() < 4 * error).all()
    assert error.max() < 0.05


def test_likelihoods_are_sums_over_the_picture() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(4, 2, 5, 3, generator=generator)
    ones = torch.rand(logits.shape, generator=generator).round()
    assert torch.allclose(elbo.bernoulli(logits, ones), -Bernoulli(logits=logits).log_prob(ones).sum((1, 2, 3)))
    grey = torch.rand(logits.shape, generator=generator)
    for std in (0.1, 1.0):
        assert torch.allclose(elbo.gaussian(logits, grey, std), -Normal(logits, std).log_prob(grey).sum((1, 2, 3)), rtol=1e-5)
        of_logits = elbo.likelihood("gaussian", std)(logits, grey)
        assert torch.equal(of_logits, elbo.gaussian(logits.sigmoid(), grey, std))
    assert elbo.likelihood("bernoulli") is elbo.bernoulli
    assert elbo.bernoulli(torch.full((1, 1, 1, 2), 200.0), torch.zeros(1, 1, 1, 2)).item() == 400


def test_options_that_mean_nothing_are_refused() -> None:
    for std in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="std"):
            elbo.gaussian(torch.zeros(1, 2), torch.zeros(1, 2), std)
        with pytest.raises(ValueError, match="std"):
            elbo.likelihood("gaussian", std)
    for samples, chunk in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="from 1 on"):
            elbo.importance_bound(lambda count: torch.zeros(count, 1), samples, chunk)


def test_log_normal_is_the_density() -> None:
    mean, log_variance = posterior()
    value = torch.linspace(-2, 2, 7, dtype=torch.float64).view(7, 1, 1)
    assert torch.allclose(elbo.log_normal(value, mean, log_variance), normal(mean, log_variance).log_prob(value).sum(-1))


class Line:
    """x = z + noise of variance v, whose log p(x) = log N(x; 0, 1 + v) and p(z|x) are known; q is some other Gaussian."""

    def __init__(self, copies: int = 1, mean: float = 0.2, variance: float = 0.6) -> None:
        self.x, self.v = torch.tensor([[1.0]] * copies + [[-0.4]] * copies, dtype=torch.float64), 0.5
        self.mean, self.log_variance = torch.full_like(self.x, mean), torch.full_like(self.x, math.log(variance))
        self.truth = Normal(0.0, math.sqrt(1 + self.v)).log_prob(self.x)[:, 0]

    def log_weights(self, count: int) -> Tensor:
        code = normal(self.mean, self.log_variance).sample((count,))
        nll = -Normal(code, math.sqrt(self.v)).log_prob(self.x).sum(-1)
        return elbo.log_weights(code, self.mean, self.log_variance, nll)

    def elbo(self) -> Tensor:
        """In closed form."""
        spread = (self.x - self.mean).square()[:, 0] + self.log_variance.exp()[:, 0]
        likelihood = -0.5 * (spread / self.v + math.log(2 * math.pi * self.v))
        return likelihood - elbo.kl(self.mean, self.log_variance)


def test_the_mean_weight_is_the_elbo() -> None:
    torch.manual_seed(0)
    line = Line()
    drawn = line.log_weights(100_000)
    assert torch.allclose(drawn.mean(0), line.elbo(), atol=0.015)
    assert (line.elbo() < line.truth).all()


def test_the_bound_rises_from_the_elbo_to_the_likelihood() -> None:
    torch.manual_seed(0)
    line = Line(copies=1000)
    of = {samples: elbo.importance_bound(line.log_weights, samples).view(2, 1000).mean(1) for samples in (1, 10, 200)}
    assert torch.allclose(of[1], line.elbo()[[0, -1]], atol=0.1)
    assert (of[1] < of[10]).all() and (of[10] < of[200]).all()
    assert torch.allclose(of[200], line.truth[[0, -1]], atol=0.03)


def test_with_the_true_posterior_one_sample_is_enough() -> None:
    line = Line()
    line.mean, line.log_variance = line.x / (1 + line.v), torch.full_like(line.x, math.log(line.v / (1 + line.v)))
    assert torch.allclose(elbo.importance_bound(line.log_weights, 1), line.truth)


def test_chunks_change_nothing_and_bound_what_is_asked_for() -> None:
    weights = torch.linspace(-3000, -1000, 7 * 2, dtype=torch.float64).view(7, 2)  # their exponentials are all 0
    for chunk in (1, 3, 7, 100):
        asked: list[int] = []

        def next_weights(count: int, asked: list[int] = asked) -> Tensor:
            asked.append(count)
            return weights[sum(asked) - count : sum(asked)]

        found = elbo.importance_bound(next_weights, 7, chunk)
        assert torch.allclose(found, weights.logsumexp(0) - math.log(7))
        assert sum(asked) == 7 and max(asked) <= chunk


def test_the_weight_rises_to_its_end() -> None:
    assert [elbo.warmed(2.0, 4, epoch) for epoch in (0, 1, 2, 4, 100)] == [0, 0.5, 1, 2, 2]
    assert elbo.warmed(0.3, 0, 0) == 0.3
