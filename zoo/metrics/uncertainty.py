"""Which unlabelled pictures are worth a label: how unsure a model is, how much several models disagree, how far a picture lies from others.

B. Settles: Active Learning Literature Survey. 2009 (least confidence, margin, entropy, vote entropy: sections 3.1 and 3.2).
N. Houlsby et al.: Bayesian Active Learning for Classification and Preference Learning. 2011 (disagreement).
O. Sener, S. Savarese: Active Learning for Convolutional Neural Networks: A Core-Set Approach. ICLR 2018 (k-centre greedy, algorithm 1).
F. Zhdanov: Diverse mini-batch Active Learning. 2019 (diversity among the most uncertain; clusters there, k-centre greedy here).

All scores rise with what a label would teach.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CELLS = 2**24
"""Distances that are held at once: 64 MiB."""


def least_confident(probabilities: Tensor) -> Tensor:
    """(N, C) -> (N,) in [0, 1]: 1 - the probability of the likeliest class."""
    return 1 - probabilities.max(1).values


def margin(probabilities: Tensor) -> Tensor:
    """(N, C) with C >= 2 -> (N,) in [0, 1]: 1 - how far the likeliest class lies ahead of the second."""
    first, second = probabilities.topk(2, dim=1).values.unbind(1)
    return 1 - (first - second)


def entropy(probabilities: Tensor) -> Tensor:
    """(..., C) with C >= 2 -> (...) in [0, 1]: the entropy as a part of that of even odds."""
    total: Tensor = torch.special.entr(probabilities).sum(-1)
    return total / math.log(probabilities.shape[-1])


def disagreement(probabilities: Tensor) -> Tensor:
    """(M, N, C) of M models -> (N,) in [0, 1]: the entropy of their mean less the mean of their entropies (BALD).

    What all are unsure of in the same way counts nothing: a label would not settle between them.
    """
    return (entropy(probabilities.mean(0)) - entropy(probabilities).mean(0)).clamp_min(0)


def vote_entropy(probabilities: Tensor) -> Tensor:
    """(M, N, C) of M models -> (N,) in [0, 1]: the entropy of their votes for a class."""
    votes = torch.nn.functional.one_hot(probabilities.argmax(2), probabilities.shape[2])
    return entropy(votes.float().mean(0))


def k_centre(vectors: Tensor, count: int, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Choose vectors one by one, each the farthest from all that are known or chosen; of equals the first.

    Memory grows with N and not with N², time with `count` x N x D. The paper's algorithm starts from labelled pictures; without any
    the first choice is the vector nearest to the mean.

    Args:
        vectors: (N, D) float.
        count: how many to choose, at most N.
        known: (K, D) float of pictures with a label.

    Returns:
        (count,) int64 places in the order of choice, and (count,) the distance of each to what was known or chosen before it (the
        first without any known: to the mean).

    Raises:
        ValueError: `count` is no number from 0 to N.
    """
    if not 0 <= count <= len(vectors):
        raise ValueError(f"count={count}: there are {len(vectors)} vectors; expected a number from 0 to that")
    if count == 0:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    away, chosen, gaps = torch.full((len(vectors),), torch.inf), [], []
    if known is not None and len(known):
        away = _to_nearest(vectors, known)
    else:
        first = (vectors - vectors.mean(0)).norm(dim=1)
        chosen, gaps = [int(first.argmin())], [float(first.min())]
    while len(chosen) < count:
        if chosen:
            away = torch.minimum(away, (vectors - vectors[chosen[-1]]).norm(dim=1))
            away[chosen[-1]] = -1  # equal pictures lie at 0 and may be chosen once each
        chosen.append(int(away.argmax()))
        gaps.append(float(away[chosen[-1]]))
    return torch.tensor(chosen), torch.tensor(gaps)


def _to_nearest(vectors: Tensor, known: Tensor) -> Tensor:
    """(N,) distances to the nearest of the known, a few rows at a time."""
    step = max(1, CELLS // len(known))
    parts = [vectors[begin : begin + step] for begin in range(0, len(vectors), step)]
    return torch.cat([torch.cdist(rows, known).min(1).values for rows in parts])


def spread(scores: Tensor, vectors: Tensor, count: int, known: Tensor | None = None, times: int = 10) -> Tensor:
    """(count,) places: of the `times` x `count` highest scores those that k-centre greedy chooses, in its order.

    Args:
        scores: (N,).
        vectors: (N, D) float.
        count: how many to choose, at most N.
        known: (K, D) float of pictures with a label.
        times: how many are looked at for each that is chosen; with 1 only the order changes.

    Raises:
        ValueError: as `k_centre`.
    """
    best = scores.argsort(descending=True, stable=True)[: max(times * count, 1)]
    return best[k_centre(vectors[best], count, known)[0]]
