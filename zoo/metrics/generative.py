"""How near drawn pictures are to real ones, and how much they differ among themselves.

All compare two sets of vectors, a picture's features from some network each (or its pixels): a number means something only beside
others from the same network, of as many pictures.

- `kid`: the squared maximum mean discrepancy with a cubic kernel (Binkowski et al. 2018, arXiv:1801.01401).
- `fid`: the distance between the Gaussians of the same means and covariances (Heusel et al. 2017, arXiv:1706.08500).
- `one_nn_accuracy`: how often the nearest other picture tells a real one from a drawn one (Lopez-Paz & Oquab 2017, arXiv:1610.06545).
- `diversity`: the mean distance between two drawn pictures over that between two real ones; near 0 where a generator has collapsed.

Everything is computed on the CPU, so that a number depends on no device; all but the neighbours in float64. Below two pictures a set,
or where a vector is not finite, all are NaN, which `metrics.json` writes as null and no monitor takes for best. The cost grows with the
square of their number, so of more than `ENOUGH` a set evenly chosen ones are compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.utilities import dim_zero_cat

from zoo.metrics.mean import Mean
from zoo.metrics.retrieval import leave_one_out, nearest

SETS = ("features_real", "features_fake", "pixels_real", "pixels_fake")
"""What is gathered of each batch of predictions."""

ENOUGH = 4000
"""Pictures of each set that are compared."""

MOST = 2**22
"""Numbers of pairs held at a time: 32 MB of float64."""

CANDIDATES = 8
"""Neighbours found by rounded distances, of which the nearest by exact ones is taken."""


def kid(real: Tensor, fake: Tensor) -> float:
    """Kernel Inception Distance: the unbiased estimate (Gretton et al. 2012, lemma 6) of the squared MMD with kernel (x.y / D + 1)^3.

    One estimate over all pairs, where the paper averages over random subsets: nothing is drawn, and all that the pictures tell is
    used. Its mean does not depend on how many there are; below 0 it says that no difference was found.

    Args:
        real: (N, D) float.
        fake: (M, D) float.

    Raises:
        ValueError: the widths differ.
    """
    if not _measurable(real, fake):
        return math.nan
    real, fake = real.cpu().double(), fake.cpu().double()
    within = [(_kernel(one, one) - _itself(one)) / (len(one) * (len(one) - 1)) for one in (real, fake)]
    return sum(within) - 2 * _kernel(real, fake) / (len(real) * len(fake))


def _kernel(left: Tensor, right: Tensor) -> float:
    """Sum over all pairs."""
    return sum(float((rows @ right.T).div_(left.shape[1]).add_(1).pow_(3).sum()) for rows in _chunks(left, len(right)))


def _itself(points: Tensor) -> float:
    """Sum over the pairs of a vector with itself."""
    return float((points.square().mean(1) + 1).pow(3).sum())


def fid(real: Tensor, fake: Tensor) -> float:
    """Fréchet Inception Distance |m - m'|^2 + Tr(C + C' - 2 (C C')^(1/2)), with covariances over N - 1.

    For centred pictures X, Y as rows, scaled so that C = X'X and C' = Y'Y, the trace of the root is the sum of the singular values of
    XY': exact also for fewer pictures than numbers, where C cannot be inverted, and no root of a matrix is taken. Biased: the fewer
    pictures, the larger, and by how much depends on the model (Chong & Forsyth 2019, arXiv:1911.07023).

    Args:
        real: (N, D) float.
        fake: (M, D) float.

    Raises:
        ValueError: the widths differ.
    """
    if not _measurable(real, fake):
        return math.nan
    (mean, root), (other_mean, other_root) = _gaussian(real), _gaussian(fake)
    traces = root.square().sum() + other_root.square().sum()
    shared = torch.linalg.svdvals(root @ other_root.T).sum()
    return float(((mean - other_mean).square().sum() + traces - 2 * shared).clamp_min(0))  # rounded, equal sets may be below 0


def _gaussian(points: Tensor) -> tuple[Tensor, Tensor]:
    """(N, D) -> the mean (D,) and an R (at most D rows, D) with R'R the covariance."""
    points = points.cpu().double()
    mean = points.mean(0)
    root = (points - mean) / math.sqrt(len(points) - 1)
    return mean, torch.linalg.qr(root, mode="r").R if len(root) > root.shape[1] else root


def one_nn_accuracy(real: Tensor, fake: Tensor) -> float:
    """Accuracy, leave-one-out, of calling a picture real or drawn as its nearest other picture is (Euclidean).

    0.5 where the two sets cannot be told apart, 1 where they can, below 0.5 where drawn pictures sit on single real ones (memorised).
    Among pictures equally near it is the chance under a random choice.

    Args:
        real: (N, D) float.
        fake: (M, D) float, as many: among more of one kind the nearest would be of that kind by number alone.

    Raises:
        ValueError: the widths differ.
    """
    if not _measurable(real, fake):
        return math.nan
    kinds = torch.tensor([0, 1]).repeat_interleave(torch.tensor([len(real), len(fake)]))
    return leave_one_out(torch.cat((real.cpu(), fake.cpu())).float(), kinds, metric="euclidean").recall[1]


def diversity(real: Tensor, fake: Tensor) -> float:
    """Mean distance between two of the drawn over that between two of the real: 0 for one picture drawn again and again.

    Args:
        real: (N, D) float; NaN if they are all the same.
        fake: (M, D) float.

    Raises:
        ValueError: the widths differ.
    """
    if not _measurable(real, fake):
        return math.nan
    whole = spread(real)
    return spread(fake) / whole if whole > 0 else math.nan


def spread(points: Tensor) -> float:
    """Mean Euclidean distance over pairs of different rows of points (N, D) float; NaN below two."""
    points = points.cpu().double()
    points = points - points.mean(0)  # changes no distance, and equal points are at 0 exactly
    total = sum(float(torch.cdist(rows, points).sum()) for rows in _chunks(points, len(points)))
    return total / (len(points) * (len(points) - 1)) if len(points) > 1 else math.nan


def enough(vectors: Tensor) -> Tensor:
    """(N, D) -> all of them, or of more than `ENOUGH` so many, evenly chosen."""
    return vectors if len(vectors) <= ENOUGH else vectors[torch.linspace(0, len(vectors) - 1, ENOUGH).long()]


def nearest_other(vectors: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest of other vectors, such as those of the training pictures, to see whether a generator has memorised them.

    Args:
        vectors: (M, D) float.
        others: (N, D) float, on the same device.

    Returns:
        Euclidean distance (M,) float32, 0 from an equal vector, and row of `others` (M,) int64, of equally near ones the first.

    Raises:
        ValueError: there are no others, or the widths differ.
    """
    if not len(others):
        raise ValueError("no other vectors: expected at least one to be nearest")
    found, rows = nearest(vectors, others, CANDIDATES, "euclidean")
    return found[:, 0], rows[:, 0]


def _measurable(*sets: Tensor) -> bool:
    """Whether each set has two vectors, all finite; raises ValueError unless all are as wide."""
    shapes = [tuple(one.shape) for one in sets]
    if any(len(shape) != 2 or shape[1] != shapes[0][1] for shape in shapes):
        raise ValueError(f"sets of shapes {shapes}: expected (N, D) and (M, D)")
    return all(len(one) > 1 and bool(one.isfinite().all()) for one in sets)


def _chunks(points: Tensor, others: int) -> tuple[Tensor, ...]:
    """Rows so many at a time that their pairs with the others fit into `MOST`."""
    return torch.split(points, max(1, MOST // max(others, 1)))


class GenerativeScores(Metric):
    """`kid`, `fid`, `one_nn_accuracy` and `diversity` of features, `diversity_of_pixels` of pixels.

    `update(predictions, batch)` reads `predictions["features_real"]` and `["features_fake"]` (B, D) float, `["pixels_real"]` and
    `["pixels_fake"]` (B, P) float, P values of a small copy of the picture; nothing of the batch.
    """

    full_state_update = False
    widths: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in SETS:
            self.add_state(name, [], dist_reduce_fx="cat")  # flat: a process without a picture knows no width
        self.add_state("widths", torch.zeros(len(SETS), dtype=torch.int64), dist_reduce_fx="max")

    def update(self, predictions: Mapping[str, Tensor], batch: Mapping[str, Any]) -> None:
        """Keep a batch's vectors."""
        for number, name in enumerate(SETS):
            vectors = predictions[name].detach().float()
            self.widths[number] = vectors.shape[1]
            getattr(self, name).append(vectors.flatten())

    def compute(self) -> dict[str, float]:
        """All scores, over all processes where these are synchronised."""
        real, fake, real_pixels, fake_pixels = (self._vectors(name, int(width)) for name, width in zip(SETS, self.widths, strict=True))
        found = {"kid": kid(real, fake), "fid": fid(real, fake), "one_nn_accuracy": one_nn_accuracy(real, fake)}
        return {**found, "diversity": diversity(real, fake), "diversity_of_pixels": diversity(real_pixels, fake_pixels)}

    def _vectors(self, name: str, width: int) -> Tensor:
        kept = getattr(self, name)
        return enough(dim_zero_cat(kept).view(-1, width)) if len(kept) and width else torch.zeros(0, 1)


def scores() -> MetricCollection:
    """Those of `GenerativeScores`, and the means of `real_score` and `fake_score`, what a discriminator says, (B,) each."""
    found: dict[str, Metric] = {name: Mean(name) for name in ("real_score", "fake_score")}
    return MetricCollection({"generative": GenerativeScores(), **found}, compute_groups=False)
