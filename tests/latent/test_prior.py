"""Codes of a prior: a seed's own on every device, and truncated ones of the right distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest, truncnorm

from zoo.heads.variational import noise_of
from zoo.latent import prior


def test_a_seed_has_codes_of_its_own() -> None:
    """The first are the same for every count, and picture k of a report is the one of seed k."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for width in (3, 16, 100):  # torch draws few numbers in another way than many
        many = prior.codes(20, width, 7)
        assert many.shape == (20, width) and many.dtype == torch.float32
        assert torch.equal(prior.codes(5, width, 7), many[:5])
        for seed in (0, 7, 2**32 - 1):
            assert torch.equal(prior.codes(1, width, seed), noise_of(torch.tensor([seed]), width))
        assert not torch.equal(many[1], prior.codes(1, width, 8)[0]), "seeds that follow each other share no codes"
    assert torch.equal(torch.get_rng_state(), before)
    assert kstest(prior.codes(500, 20, 0).flatten(), "norm").pvalue > 0.01


@pytest.mark.parametrize("threshold", [0.04, 0.7, 2, np.float32(1.5), 5.0])
def test_truncated_numbers_are_as_if_drawn_again(threshold: Any) -> None:
    drawn = prior.codes(1000, 20, 3)
    found = prior.truncated(drawn, threshold)
    assert found.shape == drawn.shape and found.dtype == drawn.dtype and float(found.abs().max()) <= float(threshold) + 1e-6
    assert kstest(found.flatten(), truncnorm(-threshold, threshold).cdf).pvalue > 0.01
    assert (found.abs() <= drawn.abs() + 1e-6).all() and (found.sign() == drawn.sign()).all(), "all move inwards"
    assert torch.equal(found.flatten()[drawn.flatten().argsort()].sort().values, found.flatten()[drawn.flatten().argsort()])
    assert torch.equal(prior.codes(1000, 20, 3, threshold), found)


def test_far_numbers_stay_finite() -> None:
    far = torch.tensor([0.0, 4.0, -6.0, 9.0, 40.0, -40.0])
    for threshold in (5.0, 0.5):
        shares = (1 + np.array([0.0, 0.9999366575, -0.9999999980, 1, 1, -1])) / 2  # of N(0, 1) that lie nearer to 0, as a distribution
        expected = truncnorm(-threshold, threshold).ppf(shares)
        assert prior.truncated(far, threshold).tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("threshold", [0, 0.009, 5.1, -1, True, "0.7", float("nan"), float("inf"), [0.7]])
def test_thresholds_that_are_none(threshold: Any) -> None:
    with pytest.raises(ValueError, match=r"truncation=.*: expected a number from 0.01 \(pictures nearly alike\) to 5, such as 0.7"):
        prior.codes(1, 2, 0, threshold)
