"""Distances, neighbours and leave-one-out scores against scikit-learn, SciPy and loops over single pictures."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pytest
import torch
from scipy.spatial import distance as sp
from sklearn import metrics as sk
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from torch import Tensor

from zoo.metrics import retrieval
from zoo.metrics.retrieval import (
    DISTANCES,
    TABLE_HEADER,
    RetrievalScores,
    distances,
    group_numbers,
    leave_one_out,
    nearest,
    retrieval_table,
    shrunk_covariance,
)


def drawn(number: int = 60, width: int = 7, classes: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Codes whose classes overlap, of unequal spread, and labels; the last label is of one picture only."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (number,), generator=generator)
    labels[number // 2] = classes
    codes = torch.randn(number, width, generator=generator) + 0.8 * torch.randn(classes + 1, width, generator=generator)[labels]
    return codes * torch.linspace(0.2, 3, width), labels


def expected(codes: Tensor, labels: Tensor, metric: str, k: int) -> tuple[float, float, int]:
    """Recall at k, mean average precision and number of queries by a loop, with scikit-learn's average precision."""
    matrix, hits, precisions = distances(codes, codes, metric).numpy(), [], []
    for query in range(len(codes)):
        others = np.arange(len(codes)) != query
        relevant = (labels == labels[query]).numpy()[others]
        if relevant.any():
            hits.append(relevant[np.argsort(matrix[query][others], kind="stable")[:k]].any())
            precisions.append(sk.average_precision_score(relevant, -matrix[query][others]))
    return float(np.mean(hits)), float(np.mean(precisions)), len(hits)


# ---------------------------------------------------------------- distances and neighbours


def test_distances_equal_scipy() -> None:
    queries, base = drawn(9)[0], drawn(40, seed=1)[0]
    inverse = np.linalg.inv(shrunk_covariance(base).numpy())
    names = {"cosine": "cosine", "euclidean": "euclidean", "manhattan": "cityblock", "mahalanobis": "mahalanobis"}
    assert set(names) == set(DISTANCES)
    for ours, theirs in names.items():
        more = {"VI": inverse} if ours == "mahalanobis" else {}
        truth = sp.cdist(queries.double().numpy(), base.double().numpy(), theirs, **more)
        assert distances(queries, base, ours).numpy() == pytest.approx(truth, rel=1e-4, abs=1e-5), ours
        found, rows = nearest(queries, base, 6, ours)
        assert np.array_equal(rows.numpy(), truth.argsort(1)[:, :6]), ours
        assert found.numpy() == pytest.approx(np.sort(truth, 1)[:, :6], rel=1e-4, abs=1e-5)


def test_the_covariance_is_ledoit_and_wolfs_and_can_always_be_inverted() -> None:
    codes = drawn()[0]
    truth = LedoitWolf().fit(codes.double().numpy()).covariance_
    assert shrunk_covariance(codes).numpy() == pytest.approx(truth, rel=1e-5)
    dead = torch.cat((codes, torch.zeros(len(codes), 3)), 1)
    for odd in (dead, codes[:3], codes[:1], torch.ones(5, 4), dead[:2]):
        found = distances(odd, odd, "mahalanobis")
        assert found.isfinite().all() and found.diagonal().max() < 0.01
    assert torch.equal(shrunk_covariance(torch.ones(5, 4)), torch.eye(4).double())
    with pytest.raises(ValueError, match="cannot be inverted"):
        distances(codes, codes, "mahalanobis", -torch.eye(7))


def test_equal_vectors_are_at_distance_zero_and_in_order() -> None:
    base = drawn(30)[0].repeat(3, 1) + 1000
    for metric in DISTANCES:
        found, rows = nearest(base[:30], base, 3, metric)
        assert (found == 0).all(), metric
        assert torch.equal(rows, torch.arange(30)[:, None] + torch.tensor([0, 30, 60])), metric


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, labels = drawn()
    whole, scores = nearest(codes, codes, 9), leave_one_out(codes, labels, (1, 5))
    monkeypatch.setattr(retrieval, "MOST", 150)
    found = nearest(codes, codes, 9)
    assert torch.equal(found[1], whole[1]) and torch.allclose(found[0], whole[0])
    again = leave_one_out(codes, labels, (1, 5))
    assert again.recall == pytest.approx(scores.recall)
    assert again.mean_average_precision == pytest.approx(scores.mean_average_precision)


def test_never_all_distances_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    whole = retrieval._all_pairs

    def watched(queries: Tensor, base: Tensor, metric: str) -> Tensor:
        nonlocal largest
        largest = max(largest, len(queries) * len(base))
        return whole(queries, base, metric)

    monkeypatch.setattr(retrieval, "_all_pairs", watched)
    monkeypatch.setattr(retrieval, "MOST", 40_000)
    codes, labels = drawn(1000)
    leave_one_out(codes, labels)
    nearest(codes, codes, 3)
    assert largest == 40_000


def test_few_neighbours_and_none() -> None:
    codes = drawn(4)[0]
    assert nearest(codes, codes, 9)[1].shape == (4, 4)
    assert [part.shape for part in nearest(codes[:0], codes, 2)] == [(0, 2), (0, 2)]
    for k in (0, -1):
        with pytest.raises(ValueError, match=f"k={k}: expected a number of neighbours"):
            nearest(codes, codes, k)
    with pytest.raises(ValueError, match=r"shape \(4, 5\) in vectors of \(4, 7\)"):
        nearest(codes[:, :5], codes, 1)
    with pytest.raises(ValueError, match="metric 'cos': expected one of cosine, euclidean"):
        nearest(codes, codes, 1, "cos")
    zeros = torch.zeros(2, 7)
    assert torch.allclose(distances(zeros, codes), torch.ones(2, 4)), "no direction is as far as a right angle"


# ---------------------------------------------------------------- scores


@pytest.mark.parametrize("metric", DISTANCES)
@pytest.mark.parametrize("seed", [0, 1])
def test_scores_equal_scikit_learn(seed: int, metric: str) -> None:
    codes, labels = drawn(seed=seed)
    for k in (1, 5):
        found = leave_one_out(codes, labels, (k,), metric)
        recall, precision, queries = expected(codes, labels, metric, k)
        assert found.recall[k] == pytest.approx(recall)
        assert found.mean_average_precision == pytest.approx(precision, abs=1e-6)
        assert (found.queries, found.left_out) == (queries, 60 - queries) == (59, 1)
    assert 0.25 < precision < 0.9


def test_many_small_groups() -> None:
    """Sizes from one to six in one chunk."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(25, (70,), generator=generator) * 10**16
    codes = torch.randn(70, 4, generator=generator) + torch.randn(25, 4, generator=generator)[labels // 10**16]
    found = leave_one_out(codes, labels, (3,))
    recall, precision, queries = expected(codes, labels, "cosine", 3)
    assert (found.recall[3], found.mean_average_precision) == pytest.approx((recall, precision))
    assert found.queries == queries < 70


def test_by_hand() -> None:
    """On a line: a at 0, b at 1, a at 3, b at 7, c at 20. From 0: b, a; from 1: a, a, b; from 3: b, a; from 7: a, b."""
    codes, labels = torch.tensor([0.0, 1, 3, 7, 20])[:, None], torch.tensor([0, 1, 0, 1, 2])
    found = leave_one_out(codes, labels, (1, 2, 3), "euclidean")
    assert found.mean_average_precision == pytest.approx((1 / 2 + 1 / 3 + 1 / 2 + 1 / 2) / 4)
    assert found.recall == pytest.approx({1: 0, 2: 3 / 4, 3: 1})
    assert (found.queries, found.left_out) == (4, 1)


def test_equally_far_pictures_are_scored_by_chance() -> None:
    """One code for all, sorted by label: the order must not help."""
    labels = torch.tensor([0] * 4 + [1] * 6)
    for metric in DISTANCES:
        found = leave_one_out(torch.ones(10, 3), labels, (1, 3, 9), metric)
        share = (4 * 3 / 9 + 6 * 5 / 9) / 10
        assert found.recall[1] == pytest.approx(share) == pytest.approx(found.mean_average_precision)
        chance = (4 * (1 - math.comb(6, 3) / math.comb(9, 3)) + 6 * (1 - math.comb(4, 3) / math.comb(9, 3))) / 10
        assert found.recall[3] == pytest.approx(chance)
        assert found.recall[9] == pytest.approx(1)


def test_ties_in_the_middle_equal_an_average_over_orders() -> None:
    codes, labels = torch.tensor([0.0, 1, 2, 2, 2, 2, 3])[:, None], torch.tensor([0, 1, 0, 0, 2, 3, 1])
    for k in (1, 2, 3, 4):
        others = [[1, *order] for order in combinations((2, 3, 4, 5), k - 1)]
        share = np.mean([any(labels[row] == 0 for row in rows) for rows in others])
        alone = torch.where(labels == 0, 0, -1)
        alone[[2, 3]] = torch.tensor([0, -1])  # the query 0 has one relevant picture
        one = np.mean([2 in rows for rows in others])
        found = retrieval._chance(torch.tensor([1, 1]), torch.tensor([4, 4]), torch.tensor([2, 1]), k)
        assert found.tolist() == pytest.approx([share, one])
    precise = leave_one_out(codes, labels, (1,), "euclidean")
    assert precise.mean_average_precision == pytest.approx(expected(codes, labels, "euclidean", 1)[1])


def test_pictures_without_a_group_are_searched_and_not_asked() -> None:
    codes, labels = torch.tensor([0.0, 1, 2, 3])[:, None], torch.tensor([5, -1, 5, -1])
    found = leave_one_out(codes, labels, (1, 2), "euclidean")
    assert (found.queries, found.left_out) == (2, 2)
    assert found.recall[1] == 0
    assert found.recall[2] == pytest.approx(0.5)


def test_nothing_to_find_is_nan_and_no_crash() -> None:
    codes = drawn(4)[0]
    for labels in (torch.arange(4), torch.full((4,), -1)):
        found = leave_one_out(codes, labels, (1, 5))
        assert all(map(math.isnan, (*found.recall.values(), found.mean_average_precision)))
        assert (found.queries, found.left_out) == (0, 4)
    assert math.isnan(leave_one_out(codes[:0], torch.zeros(0, dtype=torch.int64)).mean_average_precision)
    codes[0, 0] = math.nan
    assert math.isnan(leave_one_out(codes, torch.zeros(4, dtype=torch.int64)).recall[1])
    with pytest.raises(ValueError, match=r"codes of shape \(4, 7\) with groups of \(3,\)"):
        leave_one_out(codes, torch.zeros(3, dtype=torch.int64))


def test_numbers_of_groups() -> None:
    found = group_numbers(["s01", "s02", "s01", "", None, "犬", "caf\udce9"])
    assert found.dtype == torch.int64 and found[0] == found[2] and len(set(found.tolist())) == 5
    assert found[3] == found[4] == -1 and (found[[0, 1, 5, 6]] >= 0).all()
    assert found[0] == 4569855514764757301, "the same in every process"


# ---------------------------------------------------------------- the metric


def measured(codes: Tensor, labels: Tensor, size: int = 7) -> RetrievalScores:
    metric = RetrievalScores()
    for part, truth in zip(torch.split(codes, size), torch.split(labels, size), strict=True):
        metric.update({"codes": part}, {"label": truth})
    return metric


def test_the_metric_scores_batches_as_a_whole() -> None:
    codes, labels = drawn()
    whole = leave_one_out(codes, labels)
    found = measured(codes, labels).compute()
    assert found == pytest.approx({"recall_at_1": whole.recall[1], "retrieval_map": whole.mean_average_precision})
    names = RetrievalScores("group", "euclidean")
    names.update({"codes": codes.half()}, {"group": [f"person {label}" for label in labels], "label": torch.zeros(60)})
    other = leave_one_out(codes.half().float(), labels, metric="euclidean")
    assert names.compute()["retrieval_map"] == pytest.approx(other.mean_average_precision)
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert math.isnan(RetrievalScores().compute()["recall_at_1"])
    with pytest.raises(ValueError, match="metric 'l2': expected one of"):
        RetrievalScores(metric="l2")


def test_the_metric_takes_what_the_batch_has() -> None:
    codes, labels = drawn(20)
    both = {"label": labels, "group": ["same"] * 20}
    cases: list[tuple[Literal["label", "group"] | None, dict[str, Any], float]] = [
        (None, both, measured(codes, labels).compute()["recall_at_1"]),
        ("group", both, 1.0),
        (None, {"group": ["same"] * 20}, 1.0),
        (None, {}, math.nan),
        ("label", {"group": ["same"] * 20}, math.nan),
    ]
    for by, batch, score in cases:
        metric = RetrievalScores(by)
        metric.update({"codes": codes}, batch)
        assert metric.compute()["recall_at_1"] == pytest.approx(score, nan_ok=True)


@pytest.mark.parametrize("share", [23, 0])
def test_codes_are_gathered_over_processes(share: int) -> None:
    """As torchmetrics does it, also where one process has nothing; what the other process would send is handed over."""
    codes, labels = drawn()
    mine, other = measured(codes[share:], labels[share:]), measured(codes[:share], labels[:share]) if share else RetrievalScores()
    assert set(mine._reductions) == {"codes", "groups", "width"}
    sent: list[list[Tensor]] = []
    for metric in (other, mine):  # each tells what it would send
        parts: list[Tensor] = []
        sent.append(parts)

        def tell(tensor: Tensor, group: object = None, parts: list[Tensor] = parts) -> list[Tensor]:
            parts.append(tensor)
            return [tensor]

        metric.sync(dist_sync_fn=tell, distributed_available=lambda: True)
        metric.unsync()
    assert [(a.dtype, a.ndim) for a in sent[0]] == [(b.dtype, b.ndim) for b in sent[1]]
    coming = iter(zip(*sent, strict=True))
    mine.dist_sync_fn = lambda tensor, group=None: list(next(coming))
    mine.distributed_available_fn = lambda: True
    assert mine.compute() == pytest.approx(measured(codes, labels).compute())


# ---------------------------------------------------------------- the table


def test_the_table_sets_the_model_beside_pixels_and_pca() -> None:
    codes, labels = drawn(40, 3)
    generator = torch.Generator().manual_seed(0)
    raw = torch.randint(256, (40, 1, 4, 5), generator=generator, dtype=torch.uint8)
    training = torch.randint(256, (50, 1, 4, 5), generator=generator, dtype=torch.uint8)
    table = retrieval_table(codes, raw, training, labels)
    assert [len(row) for row in table] == [len(TABLE_HEADER)] * 3
    assert [row[1] for row in table] == [3, 20, 3]
    pca = PCA(3).fit(training.flatten(1).numpy() / 255.0)
    plane = torch.from_numpy(pca.transform(raw.flatten(1).numpy() / 255.0))
    for row, vectors in zip(table, (codes, raw.flatten(1) / 255, plane), strict=True):
        truth = leave_one_out(vectors, labels, (1, 5))
        assert row[2:] == pytest.approx((truth.recall[1], truth.recall[5], truth.mean_average_precision), abs=1e-6)
    assert len({row[4] for row in table}) == 3
    names = [f"p{label}" for label in labels]
    assert [row[2:] for row in retrieval_table(codes, raw / 255, training / 255, names)] == [pytest.approx(row[2:]) for row in table]
    assert [row[1] for row in retrieval_table(torch.randn(40, 30), raw, training[:4], labels)] == [30, 20, 4]
    assert len(retrieval_table(codes, raw, training[:1], labels)) == 2
