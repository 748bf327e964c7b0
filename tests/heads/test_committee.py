"""Answers are joined as the rules say, and the fitted shares are those that no others beat."""

from __future__ import annotations

from typing import Literal, get_args

import pytest
import torch

from zoo.heads.committee import How, combined, fitted

HOW: tuple[Literal["probabilities", "logits"], ...] = get_args(How)


def answers(pictures: int = 200, networks: int = 3, classes: int = 4) -> torch.Tensor:
    return torch.randn(pictures, networks, classes, generator=torch.Generator().manual_seed(0)).mul(2).softmax(2)


def test_the_mean_of_probabilities() -> None:
    said = torch.tensor([[[0.9, 0.1], [0.3, 0.7]]])
    assert torch.allclose(combined(said, torch.tensor([0.5, 0.5]), "probabilities"), torch.tensor([[0.6, 0.4]]))
    assert torch.allclose(combined(said, torch.tensor([0.25, 0.75]), "probabilities"), torch.tensor([[0.45, 0.55]]))


def test_the_mean_of_logits() -> None:
    logits = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(1))
    shares = torch.tensor([0.2, 0.3, 0.5])
    expected = (logits * shares[None, :, None]).sum(1).softmax(1)
    assert torch.allclose(combined(logits.softmax(2), shares, "logits"), expected, atol=1e-6)


@pytest.mark.parametrize("how", HOW)
def test_a_certain_answer_leaves_numbers(how: How) -> None:
    said = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert torch.allclose(combined(said, torch.tensor([0.5, 0.5]), how), torch.tensor([[0.5, 0.5]]))


@pytest.mark.parametrize("how", HOW)
def test_no_shares_are_better_than_the_fitted_ones(how: How) -> None:
    said = answers()
    label = combined(said, torch.tensor([0.7, 0.3, 0.0]), how).multinomial(1, generator=torch.Generator().manual_seed(2)).flatten()
    shares = fitted(said, label, how)
    assert shares.sum() == pytest.approx(1) and (shares >= 0).all()

    def loss(shares: torch.Tensor) -> float:
        return float(torch.nn.functional.nll_loss(combined(said, shares, how).log(), label))

    least = loss(shares)
    others = torch.rand(200, 3, generator=torch.Generator().manual_seed(3)) ** 3
    assert least <= min(loss(other / other.sum()) for other in others) + 1e-4
    assert least < loss(torch.full((3,), 1 / 3)) - 1e-3, "equal shares are worse here"


def test_one_that_is_always_right_takes_all() -> None:
    said = answers()
    label = said[:, 1].argmax(1)
    said[:, 1] = torch.nn.functional.one_hot(label, 4).float()
    assert fitted(said, label, "probabilities")[1] > 0.99


def test_fitting_leaves_the_answers_alone() -> None:
    with torch.inference_mode():
        said = answers(20)
    fitted(said, torch.zeros(20, dtype=torch.int64), "logits")
    assert torch.equal(said, answers(20))
