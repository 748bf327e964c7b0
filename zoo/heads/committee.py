"""Joining the answers of several classifiers to one (Kittler et al. 1998, "On Combining Classifiers": the sum and the product rule)."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

How = Literal["probabilities", "logits"]

TINY = 1e-12
"""Probabilities are not taken to be smaller before their logarithm."""


def combined(answers: Tensor, shares: Tensor, how: How) -> Tensor:
    """The weighted mean of answers.

    Args:
        answers: (B, M, C) probabilities of M classifiers.
        shares: (M,) from 0 on, with the sum 1.
        how: mean of "probabilities", or of "logits". These are known up to a number a picture, which the softmax does not see.

    Returns:
        (B, C) probabilities.
    """
    if how == "probabilities":
        return torch.einsum("bmc,m->bc", answers, shares)
    return torch.einsum("bmc,m->bc", answers.clamp_min(TINY).log(), shares).softmax(1)


def fitted(answers: Tensor, label: Tensor, how: How, steps: int = 200) -> Tensor:
    """The shares (M,) with the least cross entropy of the joint answer: a convex problem, so there is one best value.

    Args:
        answers: (N, M, C) probabilities, N >= 1.
        label: (N,) classes.
        how: as in `combined`.
        steps: at most, of L-BFGS on the logarithms of the shares, which keep them above 0 and their sum at 1.
    """
    answers, label = answers.detach().double().cpu(), label.cpu()
    logs = torch.zeros(answers.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logs], max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        said = combined(answers, logs.softmax(0), how).clamp_min(TINY).log()
        value = F.nll_loss(said, label)
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return value

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]  # likewise
    return logs.detach().softmax(0).float()
