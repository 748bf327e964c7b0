"""Votes of nearest neighbours against scikit-learn's, and the k that is chosen without looking beyond the training vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from zoo.metrics import knn

CLASSES = 4


def clouds(count: int, seed: int = 0, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    """Vectors (count, 6) around a centre a class, and their classes."""
    dice = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, 6, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(CLASSES, (count,), generator=dice)
    return centres[labels] + spread * torch.randn(count, 6, generator=dice), labels


@pytest.mark.parametrize("cells", [1, 200, 2**25])
def test_it_votes_as_scikit_learn_does(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, "CELLS", cells)
    bank, labels = clouds(90)
    queries, _ = clouds(40, seed=1)
    found = knn.votes(bank, labels, queries, (1, 7, 50), CLASSES)
    for k in (1, 7, 50):
        other = KNeighborsClassifier(k, metric="cosine", weights=lambda far: np.exp((1 - far) / 0.07)).fit(bank.numpy(), labels.numpy())
        assert found[k].tolist() == other.predict(queries.numpy()).tolist()
    assert len({tuple(said.tolist()) for said in found.values()}) == 3, "the k make a difference here"


def test_lengths_do_not_count() -> None:
    bank, labels = clouds(90)
    queries, _ = clouds(40, seed=1)
    scale = torch.logspace(-2, 2, 90)[:, None]
    assert torch.equal(knn.votes(bank * scale, labels, 5 * queries, (9,), CLASSES)[9], knn.votes(bank, labels, queries, (9,), CLASSES)[9])


def test_near_neighbours_outvote_many_far_ones() -> None:
    bank = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    labels = torch.tensor([0, 1, 1, 1])
    assert knn.votes(bank, labels, torch.tensor([[1.0, 0.1]]), (4,), 2)[4].tolist() == [0]


def test_a_vector_of_zeros_is_like_no_other() -> None:
    bank = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    said = knn.votes(bank, torch.tensor([0, 1]), torch.tensor([[1.0, 0.2], [0.0, 0.0]]), (2,), 2)[2]
    assert said.tolist() == [1, 0], "and asks for nothing in particular: the first class"


def test_no_queries() -> None:
    bank, labels = clouds(9)
    assert knn.votes(bank, labels, bank[:0], (1, 5), CLASSES)[5].shape == (0,)


@pytest.mark.parametrize("k", [0, 10])
def test_k_must_fit(k: int) -> None:
    bank, labels = clouds(9)
    with pytest.raises(ValueError, match=f"k={k}: there are 9 training vectors; expected a k from 1 to 9"):
        knn.votes(bank, labels, bank, (k,), CLASSES)
    with pytest.raises(ValueError, match="9 training vectors"):
        knn.best_k(bank, labels, torch.arange(9), (k,), CLASSES)


@pytest.mark.parametrize(
    ("counts", "ks"),
    [
        ((100, 0, 100), (10, 20, 100, 200)),
        ((100, 99), (1, 5, 10, 20, 100)),
        ((3, 8), (1, 5, 10)),
        ((2, 2), (1,)),
        ((0, 0), ()),
    ],
)
def test_the_k_that_fit(counts: tuple[int, ...], ks: tuple[int, ...]) -> None:
    assert knn.fitting(counts) == ks


def test_the_best_k_leaves_each_vector_out() -> None:
    bank, labels = clouds(60, spread=1.5)
    right = {}
    for k in (1, 5, 20):
        said = [
            knn.votes(
                torch.cat([bank[:row], bank[row + 1 :]]), torch.cat([labels[:row], labels[row + 1 :]]), bank[row : row + 1], (k,), CLASSES
            )[k]
            for row in range(60)
        ]
        right[k] = int((torch.cat(said) == labels).sum())
    assert len(set(right.values())) == 3 and max(right, key=lambda k: right[k]) != 1, "or this test tells nothing"
    assert knn.best_k(bank, labels, torch.arange(60), (20, 5, 1), CLASSES) == max(right, key=lambda k: right[k])


def test_the_best_k_leaves_whole_groups_out() -> None:
    """Twins: alone the nearest neighbour is always right, without its twin it knows nothing of a scattered class."""
    bank, labels = clouds(60, spread=1.5)
    bank, labels, twins = bank.repeat(2, 1), labels.repeat(2), torch.arange(60).repeat(2)
    assert knn.best_k(bank, labels, torch.arange(120), (1, 20), CLASSES) == 1
    assert knn.best_k(bank, labels, twins, (1, 20), CLASSES) == 20


def test_one_group_chooses_nothing() -> None:
    bank, labels = clouds(9)
    assert knn.best_k(bank, labels, torch.zeros(9, dtype=torch.int64), (1, 5), CLASSES) is None
    assert knn.best_k(bank, labels, torch.arange(9), (), CLASSES) is None


def test_few_are_asked_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    plain = knn._similarities
    monkeypatch.setattr(knn, "_similarities", lambda bank, queries: asked.append(len(queries)) or plain(bank, queries))
    bank, labels = clouds(60)
    assert knn.best_k(bank, labels, torch.arange(60), (1, 5), CLASSES, most=7) in (1, 5) and asked == [7]
