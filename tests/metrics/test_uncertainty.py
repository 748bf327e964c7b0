"""What is worth a label: by hand, and k-centre greedy against the same rule written without any thrift."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from zoo.metrics import uncertainty

SURE, SPLIT, EVEN = [1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]
THREE = torch.tensor([SURE, SPLIT, EVEN])


def test_one_models_doubts_by_hand() -> None:
    """Margin asks for two classes alike, the others for all alike."""
    assert uncertainty.least_confident(THREE).tolist() == pytest.approx([0, 1 / 2, 2 / 3])
    assert uncertainty.margin(THREE).tolist() == pytest.approx([0, 1, 1])
    assert uncertainty.entropy(THREE).tolist() == pytest.approx([0, math.log(2) / math.log(3), 1])
    one = torch.tensor([[0.6, 0.1, 0.3]])
    assert uncertainty.margin(one).tolist() == pytest.approx([0.7])
    assert uncertainty.least_confident(one).tolist() == pytest.approx([0.4])


def test_votes_by_hand() -> None:
    """Three of three for one class, two against one, and one for each; how sure they are does not count."""
    one, two, three = [0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.1, 0.3, 0.6]
    said = torch.tensor([[one, one, one], [one, one, two], [one, two, three]])
    part = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)) / math.log(3)
    assert uncertainty.vote_entropy(said).tolist() == pytest.approx([0, part, 1], abs=1e-6)


def test_disagreement_is_what_the_mean_doubts_more_than_each() -> None:
    """Rows: sure of the same, both unsure alike, sure of two different classes."""
    other = torch.tensor([SURE, SPLIT, [0.0, 1.0, 0.0]])
    said = torch.stack([torch.tensor([SURE, SPLIT, SURE]), other])
    assert uncertainty.disagreement(said).tolist() == pytest.approx([0, 0, math.log(2) / math.log(3)], abs=1e-6)
    same = torch.rand(1, 500, 3, generator=torch.Generator().manual_seed(0)).softmax(2).expand(7, -1, -1)
    assert bool((uncertainty.disagreement(same) >= 0).all())  # rounding alone leaves some below


def test_k_centre_by_hand() -> None:
    line = torch.tensor([[0.0], [1.0], [5.0], [10.0]])
    places, gaps = uncertainty.k_centre(line, 3, known=torch.tensor([[0.0]]))
    assert places.tolist() == [3, 2, 1] and gaps.tolist() == pytest.approx([10, 5, 1])
    places, gaps = uncertainty.k_centre(line, 2)  # the mean is 4
    assert places.tolist() == [2, 0] and gaps.tolist() == pytest.approx([1, 5])


def test_equal_vectors_are_chosen_once_each() -> None:
    places, gaps = uncertainty.k_centre(torch.ones(4, 2), 4, torch.ones(1, 2))
    assert places.tolist() == [0, 1, 2, 3] and gaps.tolist() == [0, 0, 0, 0]


def by_force(vectors: Tensor, count: int, known: list[Tensor]) -> list[int]:
    """All distances anew for each choice."""
    chosen: list[int] = []
    if not known:
        middle = vectors.mean(0)
        chosen.append(min(range(len(vectors)), key=lambda row: float((vectors[row] - middle).norm())))
    while len(chosen) < count:
        centres = [*known, *(vectors[row] for row in chosen)]
        free = [row for row in range(len(vectors)) if row not in chosen]
        chosen.append(max(free, key=lambda row: min(float((vectors[row] - centre).norm()) for centre in centres)))
    return chosen


@pytest.mark.parametrize("labelled", [0, 1, 7])
def test_k_centre_chooses_as_brute_force(labelled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uncertainty, "CELLS", 30)  # distances to the known in many parts
    dice = torch.Generator().manual_seed(labelled)
    vectors, known = torch.randn(30, 3, generator=dice), torch.randn(labelled, 3, generator=dice)
    assert uncertainty.k_centre(vectors, 12, known)[0].tolist() == by_force(vectors, 12, list(known))


def test_k_centre_of_none_and_of_too_many() -> None:
    places, gaps = uncertainty.k_centre(torch.zeros(3, 2), 0)
    assert places.tolist() == [] and gaps.tolist() == [] and places.dtype == torch.int64
    with pytest.raises(ValueError, match=r"count=4: there are 3 vectors; expected a number from 0 to that"):
        uncertainty.k_centre(torch.zeros(3, 2), 4)


def test_spread_looks_at_the_highest_scores_only() -> None:
    """Of the four highest scores, places 0, 1, 2 and 4, the two farthest apart from what is known; place 3 is far but not unsure."""
    scores = torch.tensor([0.9, 0.8, 0.7, 0.1, 0.6])
    vectors = torch.tensor([[1.0], [2.0], [9.0], [99.0], [5.0]])
    assert uncertainty.spread(scores, vectors, 2, torch.tensor([[0.0]]), times=2).tolist() == [2, 4]
    assert sorted(uncertainty.spread(scores, vectors, 2, times=1).tolist()) == [0, 1]
    assert uncertainty.spread(scores, vectors, 0).tolist() == []
