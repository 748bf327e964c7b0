"""Scores of drawn pictures against plain computations, closed forms, scikit-learn and torchmetrics' own, and on planted sets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist, pdist
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from zoo.metrics import generative
from zoo.metrics.generative import SETS, GenerativeScores, diversity, fid, kid, nearest_other, one_nn_accuracy, scores, spread

MEASURES = (kid, fid, one_nn_accuracy, diversity)


def drawn(real: int = 30, fake: int = 30, width: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two sets that differ a little in mean, spread and direction."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator)
    return torch.randn(real, width, generator=generator) + 1, torch.randn(fake, width, generator=generator) @ mixing / 2 + 1.3


def exactly(mean: Tensor, covariance: Tensor, number: int, seed: int) -> Tensor:
    """Points (number, D) float64 whose mean and covariance are these to the last digits."""
    points = torch.randn(number, len(mean), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    centred = points - points.mean(0)
    white = torch.linalg.qr(centred).Q * math.sqrt(number - 1)
    return white @ torch.linalg.cholesky(covariance).T + mean


class Extracted(nn.Module):
    """Features that are given already."""

    num_features = 12

    def forward(self, features: Tensor) -> Tensor:
        return features


# ---------------------------------------------------------------- kid


def test_kid_is_the_unbiased_mmd_of_the_cubic_kernel() -> None:
    for sizes in ((30, 30), (2, 2), (9, 31)):
        real, fake = (one.double().numpy() for one in drawn(*sizes))

        def kernel(x: np.ndarray, y: np.ndarray) -> float:
            return float((np.dot(x, y) / len(x) + 1) ** 3)

        within = [np.mean([kernel(x, y) for i, x in enumerate(one) for j, y in enumerate(one) if i != j]) for one in (real, fake)]
        plain = sum(within) - 2 * np.mean([kernel(x, y) for x in real for y in fake])
        assert kid(torch.from_numpy(real), torch.from_numpy(fake)) == pytest.approx(plain, rel=1e-9)


@pytest.mark.filterwarnings("ignore:Metric .Kernel Inception Distance. will save:UserWarning")
def test_kid_is_torchmetrics_over_one_subset_of_all() -> None:
    real, fake = drawn()
    theirs = KernelInceptionDistance(nn.Identity(), subsets=1, subset_size=30)
    theirs.update(real.double(), real=True)
    theirs.update(fake.double(), real=False)
    assert kid(real, fake) == pytest.approx(float(theirs.compute()[0]), rel=1e-6)


def test_kid_of_one_distribution_is_about_zero_whatever_the_number() -> None:
    for number in (5, 80):
        found = [kid(*torch.randn(2, number, 3, generator=torch.Generator().manual_seed(seed))) for seed in range(200)]
        assert abs(np.mean(found)) < 3.5 * np.std(found) / math.sqrt(200)
        assert min(found) < 0, "an estimate without bias is below zero about as often"


# ---------------------------------------------------------------- fid


def test_fid_is_the_closed_form_of_two_gaussians() -> None:
    mean, other = torch.tensor([0.0, 1, 2, 3]).double(), torch.tensor([1.0, 1, 0, 3]).double()
    scales, others = torch.tensor([1.0, 2, 3, 0.5]).double(), torch.tensor([2.0, 2, 1, 0.1]).double()
    by_hand = 5 + float((scales - others).square().sum())  # covariances with the same axes
    real, fake = exactly(mean, scales.square().diag(), 50, 0), exactly(other, others.square().diag(), 40, 1)
    assert fid(real, fake) == pytest.approx(by_hand, rel=1e-9)


def test_fid_equals_the_root_of_a_matrix_where_axes_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (one @ one.T + torch.eye(5) for one in torch.randn(2, 5, 5, generator=generator, dtype=torch.float64))
    mean = torch.arange(5).double()
    truth = np.trace((first + second).numpy() - 2 * sqrtm((first @ second).numpy()).real) + 5 * 4
    assert fid(exactly(mean, first, 60, 0), exactly(mean + 2, second, 60, 1)) == pytest.approx(float(truth), rel=1e-9)


@pytest.mark.parametrize("number", [4, 40])
def test_fid_is_torchmetrics_also_for_fewer_pictures_than_numbers(number: int) -> None:
    real, fake = drawn(number, number, 12)
    theirs = FrechetInceptionDistance(Extracted()).set_dtype(torch.float64)
    theirs.update(real.double(), real=True)
    theirs.update(fake.double(), real=False)
    assert fid(real, fake) == pytest.approx(float(theirs.compute()), rel=1e-4)


def test_fid_of_equal_sets_is_zero() -> None:
    for seed in range(20):
        real = drawn(2 + 2 * seed, seed=seed)[0]
        assert 0 <= fid(real, real) < 1e-9, "rounded, but not to below zero"
    assert fid(real, real + 1) == pytest.approx(6, rel=1e-5)


# ---------------------------------------------------------------- neighbours


def test_one_nn_accuracy_is_scikit_learns_leave_one_out() -> None:
    for seed in range(2):
        real, fake = drawn(seed=seed)
        points, kinds = torch.cat((real, fake)).numpy(), np.repeat([0, 1], 30)
        truth = cross_val_score(KNeighborsClassifier(1), points, kinds, cv=LeaveOneOut()).mean()
        assert one_nn_accuracy(real, fake) == pytest.approx(truth)
        assert 0.4 < truth < 0.95


def test_one_nn_accuracy_on_planted_sets() -> None:
    real = torch.arange(10.0)[:, None].repeat(1, 3)
    assert one_nn_accuracy(real, real + 100) == 1, "far apart"
    assert one_nn_accuracy(real, real + 0.01) == 0, "each drawn picture sits on a real one"
    assert one_nn_accuracy(real, real) == 0, "likewise"
    assert one_nn_accuracy(real, torch.full((10, 3), 500.0)) == 1, "collapsed"
    same = one_nn_accuracy(*torch.ones(2, 10, 3))
    assert same == pytest.approx(9 / 19), "nothing differs: by chance, among the 19 others 9 are of its kind"


def test_the_nearest_other_is_found_with_its_exact_distance() -> None:
    vectors, others = drawn(12, 50)
    truth = cdist(vectors.double().numpy(), others.double().numpy())
    found, rows = nearest_other(vectors, others)
    assert rows.tolist() == truth.argmin(1).tolist() and rows.dtype == torch.int64
    assert found.numpy() == pytest.approx(truth.min(1), rel=1e-5)
    memorised = nearest_other(others[[7, 3]].clone(), others)
    assert memorised[0].tolist() == [0, 0] and memorised[1].tolist() == [7, 3]
    assert [len(part) for part in nearest_other(vectors[:0], others)] == [0, 0]
    assert nearest_other(vectors, others[:1])[1].tolist() == [0] * 12
    with pytest.raises(ValueError, match="no other vectors"):
        nearest_other(vectors, others[:0])


def test_the_nearest_of_a_few_close_together_and_far_from_the_rest() -> None:
    """Rounded products of float32 cannot tell them apart."""
    far = torch.full((4, 8), -3000.0)
    for place in range(5):
        close = 3000 + torch.eye(5, 8) * torch.tensor([1.0, 5, 4, 3, 2]).roll(place)[:, None] / 50
        found, rows = nearest_other(torch.full((1, 8), 3000.0), torch.cat((far, close)))
        assert rows.item() == 4 + place and found.item() == pytest.approx(1 / 50, rel=0.02)


# ---------------------------------------------------------------- diversity


def test_spread_is_the_mean_distance_over_pairs() -> None:
    for number in (2, 3, 40):
        points = drawn(number)[0]
        assert spread(points) == pytest.approx(pdist(points.double().numpy()).mean(), rel=1e-7)
    assert spread(points + 1e4) == pytest.approx(spread(points), rel=1e-3), "wherever they lie"
    assert spread(100 * drawn(1, width=500)[0].expand(40, 500)) == 0, "equal points are at no distance at all"
    assert math.isnan(spread(points[:1]))


def test_diversity_on_planted_sets() -> None:
    real = drawn()[0]
    assert diversity(real, real) == 1
    assert diversity(real, 3 * real.flip(0) - 7) == pytest.approx(3, rel=1e-6)
    assert diversity(real, 100 * real[:1].expand(30, 6)) == 0, "collapsed to one point"
    halves = torch.tensor([0.0, 1.0]).repeat_interleave(15)[:, None].expand(30, 6)
    assert diversity(halves, halves * 0.5) == pytest.approx(0.5), "two modes"
    assert math.isnan(diversity(torch.ones(30, 6), real)), "nothing to compare with: not infinitely good"


# ---------------------------------------------------------------- odd sets, chunks


def test_too_few_or_broken_vectors_are_nan() -> None:
    real, fake = drawn()
    for measure in MEASURES:
        assert math.isfinite(measure(real[:2], fake[:2]))
        for few in (0, 1):
            assert math.isnan(measure(real[:few], fake)) and math.isnan(measure(real, fake[:few])), measure.__name__
        for odd in (math.nan, math.inf):
            broken = fake.clone()
            broken[3, 2] = odd
            assert math.isnan(measure(real, broken)) and math.isnan(measure(broken, real)), measure.__name__
        for shape in ((30, 5), (30,), (30, 6, 1)):
            with pytest.raises(ValueError, match=r"sets of shapes \[\(30, 6\), \(30,.*expected \(N, D\) and \(M, D\)"):
                measure(real, torch.zeros(shape))


def test_chunks_change_nothing_and_bound_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = drawn(50, 40)
    whole = [measure(real, fake) for measure in MEASURES]
    sizes = []
    split = torch.split

    def watched(points: Tensor, rows: int) -> tuple[Tensor, ...]:
        sizes.append(rows)
        return split(points, rows)

    monkeypatch.setattr(generative, "MOST", 160)
    monkeypatch.setattr(torch, "split", watched)
    assert [kid(real, fake), diversity(real, fake)] == pytest.approx([whole[0], whole[3]], rel=1e-9)
    assert sizes == [3, 4, 4, 3, 4], "rows of 50, 40 and 40 columns, then of 50 and 40"


def test_half_precision_is_measured_in_double() -> None:
    real, fake = (one.bfloat16() for one in drawn())
    for measure in MEASURES:
        assert measure(real, fake) == measure(real.double(), fake.double()), measure.__name__


# ---------------------------------------------------------------- the metric


def predictions(number: int = 30) -> dict[str, Tensor]:
    real, fake = drawn(number, number)
    pixels = torch.rand(2, number, 5, generator=torch.Generator().manual_seed(1))
    says = torch.arange(number).float()
    return dict(zip(SETS, (real, fake, *pixels), strict=True)) | {"real_score": says, "fake_score": -2 * says}


def expected(said: dict[str, Tensor]) -> dict[str, float]:
    real, fake, real_pixels, fake_pixels = (said[name] for name in SETS)
    found = {measure.__name__: measure(real, fake) for measure in MEASURES}
    means = {name: float(said[name].mean()) for name in ("real_score", "fake_score")}
    return found | {"diversity_of_pixels": diversity(real_pixels, fake_pixels)} | means


@pytest.mark.parametrize("size", [30, 7, 1])
def test_scores_are_of_all_batches_together(size: int) -> None:
    said, metrics = predictions(), scores()
    for start in range(0, 30, size):
        metrics.update({name: values[start : start + size] for name, values in said.items()}, {})
    found = {name: float(value) for name, value in metrics.compute().items()}
    assert found == pytest.approx(expected(said), rel=1e-9)
    assert len(set(found.values())) == len(found) == 7
    metrics.reset()
    metrics.update(predictions(2), {})
    assert float(metrics.compute()["kid"]) == pytest.approx(expected(predictions(2))["kid"])


def test_nothing_and_one_picture_are_nan() -> None:
    metric = GenerativeScores()
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert all(map(math.isnan, metric.compute().values()))
    metric.update(predictions(1), {})
    assert all(map(math.isnan, metric.compute().values()))


def test_the_vectors_are_kept_without_their_gradients() -> None:
    metric, said = GenerativeScores(), predictions()
    metric.update({name: values.half().requires_grad_() for name, values in said.items()}, {})
    assert not any(part.requires_grad or part.dtype != torch.float32 for name in SETS for part in getattr(metric, name))
    assert metric.compute()["fid"] == pytest.approx(expected(said)["fid"], rel=1e-2)


@pytest.mark.parametrize("share", [13, 0])
def test_vectors_are_gathered_over_processes(share: int) -> None:
    """As torchmetrics does it, also where one process has nothing; what the other process would send is handed over."""
    said = predictions()
    mine, other = GenerativeScores(), GenerativeScores()
    mine.update({name: values[share:] for name, values in said.items()}, {})
    if share:
        other.update({name: values[:share] for name, values in said.items()}, {})
    assert set(mine._reductions) == {*SETS, "widths"}
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
    truth = expected(said)
    assert mine.compute() == pytest.approx({name: truth[name] for name in truth if not name.endswith("_score")}, rel=1e-9)


def test_of_very_many_pictures_evenly_chosen_ones_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = torch.arange(11.0)[:, None]
    assert generative.enough(vectors) is vectors
    monkeypatch.setattr(generative, "ENOUGH", 6)
    assert generative.enough(vectors)[:, 0].tolist() == [0, 2, 4, 6, 8, 10]
    metric = GenerativeScores()
    real, fake = torch.randn(2, 11, 3, generator=torch.Generator().manual_seed(0)).unbind()
    metric.update(dict(zip(SETS, (real, fake, real, fake), strict=True)), {})
    assert metric.compute()["kid"] == pytest.approx(kid(real[::2], fake[::2]))
