"""Weighted nearest neighbours over vectors, as Wu et al. 2018 (arXiv:1805.01978, section 3.4) and DINOv2 (Oquab et al. 2023,
arXiv:2304.07193) judge features: each of the k training vectors nearest by cosine votes for its class with exp(similarity / 0.07).

Here is more than there: a k is chosen on the training vectors alone, and smaller k are tried where classes are small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

PROTOCOL = (10, 20, 100, 200)
"""DINOv2's k."""
SMALL = (1, 5)
"""Tried as well where classes are small: one with fewer vectors than most of the protocol's k cannot fill a vote."""
SMALL_CLASS = 100
TEMPERATURE = 0.07
CELLS = 2**25
"""Similarities that are held at once: 128 MiB."""


def fitting(counts: Sequence[int]) -> tuple[int, ...]:
    """The k to try for classes of so many training vectors each; none is larger than their sum."""
    filled = [count for count in counts if count]
    ks = (SMALL if min(filled, default=0) < SMALL_CLASS else ()) + PROTOCOL
    return tuple(k for k in ks if k <= sum(filled))


def votes(bank: Tensor, labels: Tensor, queries: Tensor, ks: Sequence[int], classes: int) -> dict[int, Tensor]:
    """What the neighbours say of each query.

    Args:
        bank: (N, D) float, the training vectors; they need no normalising.
        labels: (N,) int64, their classes.
        queries: (Q, D) float.
        ks: numbers of neighbours, each from 1 to N.
        classes: how many there are.

    Returns:
        k -> (Q,) int64, the class with most votes; of equals the first.

    Raises:
        ValueError: fewer training vectors than a k.
    """
    _refuse_large(ks, len(bank))
    said: dict[int, list[Tensor]] = {k: [] for k in ks}
    for _, similar in _similarities(bank, queries):
        for k, answers in _counted(similar, labels, ks, classes).items():
            said[k].append(answers)
    return {k: torch.cat(answers) if answers else labels[:0] for k, answers in said.items()}


def best_k(bank: Tensor, labels: Tensor, groups: Tensor, ks: Sequence[int], classes: int, most: int = 5000) -> int | None:
    """The k that tells the training vectors' own classes best when each is left out with all of its group; of equals the smallest.

    Args:
        bank: (N, D) float.
        labels: (N,) int64.
        groups: (N,) int64, what is left out together, such as frames of one video.
        ks: numbers of neighbours, each from 1 to N.
        classes: how many there are.
        most: so many vectors, evenly chosen, are asked for; all of them answer.

    Returns:
        One of `ks`; None if there is but one group.

    Raises:
        ValueError: fewer training vectors than a k.
    """
    _refuse_large(ks, len(bank))
    if not ks or bool((groups == groups[0]).all()):
        return None
    asked = torch.linspace(0, len(bank) - 1, min(most, len(bank))).round().long()
    right = dict.fromkeys(ks, 0)
    for begin, similar in _similarities(bank, bank[asked]):
        rows = asked[begin : begin + len(similar)]
        similar[groups[rows, None] == groups] = -torch.inf
        for k, answers in _counted(similar, labels, ks, classes).items():
            right[k] += int((answers == labels[rows]).sum())
    return max(sorted(ks), key=lambda k: right[k])


def _refuse_large(ks: Sequence[int], count: int) -> None:
    wrong = [k for k in ks if not 1 <= k <= count]
    if wrong:
        raise ValueError(f"k={wrong[0]}: there are {count} training vectors; expected a k from 1 to {count}")


def _similarities(bank: Tensor, queries: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Cosines (rows, N) of a few queries at a time with all of the bank, and the number of the first of them."""
    lengths = torch.linalg.vector_norm(bank, dim=1).clamp_min(1e-12)  # divides the products: a normalised copy would double the memory
    step = max(1, CELLS // max(1, len(bank)))
    for begin in range(0, len(queries), step):
        rows = torch.nn.functional.normalize(queries[begin : begin + step], dim=1)
        yield begin, (rows @ bank.T).div_(lengths)


def _counted(similar: Tensor, labels: Tensor, ks: Sequence[int], classes: int) -> dict[int, Tensor]:
    """The class with most votes by k, for each row of similarities; -inf is no neighbour."""
    near, places = similar.topk(max(ks), dim=1)
    weights = ((near - near[:, :1]) / TEMPERATURE).exp()  # by the nearest's weight: no decision changes, and no vote overflows
    said = {}
    for k in ks:
        ballot = torch.zeros(len(similar), classes).scatter_add_(1, labels[places[:, :k]], weights[:, :k])
        said[k] = ballot.argmax(1)
    return said
