"""Which dimensions of a code are in use, whatever the batches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from zoo.metrics.elbo import ACTIVE, ActiveDimensions, Dimensions, scores


def codes(pictures: int = 400) -> dict[str, Tensor]:
    """Dimension 0 tells pictures apart, 1 has collapsed, 2 is large but the same for all, 3 tells a little."""
    torch.manual_seed(0)
    mean = torch.randn(pictures, 4) * torch.tensor([1.0, 0.0, 0.0, 0.2]) + torch.tensor([0.0, 0.0, 3.0, 0.0])
    log_variance = torch.tensor([-3.0, 0.0, -1.0, -0.5]).expand(pictures, 4)
    return {"codes": mean, "log_variance": log_variance}


def found(predictions: dict[str, Tensor], size: int) -> ActiveDimensions:
    metric = ActiveDimensions(4)
    for start in range(0, len(predictions["codes"]), size):
        metric.update({key: value[start : start + size] for key, value in predictions.items()}, {})
    return metric


@pytest.mark.parametrize("size", [400, 7])
def test_activity_is_the_variance_of_the_means(size: int) -> None:
    predictions = codes()
    metric = found(predictions, size)
    mean, log_variance = predictions["codes"].double(), predictions["log_variance"].double()
    assert metric.compute() == 2
    assert np.allclose(metric.dimensions().activity, mean.var(0, correction=0))
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).mean(0)
    assert np.allclose(metric.dimensions().kl, expected)


def test_one_picture_tells_nothing_apart() -> None:
    metric = found(codes(1), 1)
    assert metric.compute() == 0 and np.isfinite(metric.dimensions().activity).all()


def test_a_dimension_at_the_threshold_has_collapsed() -> None:
    said = Dimensions(np.array([ACTIVE, 2.0, 0.0, 0.02]), np.array([0.1, 3.0, 0.0, 0.2]))
    assert said.rows() == [(1, 2.0, 3.0, "yes"), (3, 0.02, 0.2, "yes"), (0, ACTIVE, 0.1, "no"), (2, 0.0, 0.0, "no")]
    assert said.in_words() == "2 of 4 dimensions are active; collapsed, the same for all pictures: 0, 2."
    assert said.in_words(most=1).endswith("pictures: 0 and 1 more.")
    assert Dimensions(np.ones(3), np.ones(3)).in_words() == "All 3 dimensions are active."


def test_scores_are_means_over_pictures() -> None:
    metrics = scores(4)
    for start, size in ((0, 1), (1, 9)):
        part = {key: value[start : start + size] for key, value in codes(10).items()}
        rows = torch.arange(start, start + size).float()
        metrics.update({**part, "nll": rows, "kl": 2 * rows, "elbo": -3 * rows}, {})
    values = {name: float(value) for name, value in metrics.compute().items()}
    assert values == {"elbo": -13.5, "nll": 4.5, "kl": 9.0, "active": 2.0}
    assert not any(math.isnan(value) for value in values.values())


def test_dimensions_of_a_network_that_diverged_are_not_active() -> None:
    assert "0 of 2 dimensions are active" in Dimensions(np.full(2, np.nan), np.full(2, np.nan)).in_words()
