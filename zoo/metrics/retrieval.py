"""Nearest neighbours, and how often they are of the same class or group.

Leave-one-out: each picture of a part in turn is the query, all others are searched. Recall at k is the share of queries with a relevant
picture among the k nearest (Jegou, Douze & Schmid, "Product quantization for nearest neighbor search", 2011). Mean average precision
goes over the whole ranking (Musgrave, Belongie & Lim, "A Metric Learning Reality Check", 2020, who write it beside MAP@R): for each
query the mean, over the relevant pictures, of the precision at their rank.

Pictures equally far share a rank, as in scikit-learn's `average_precision_score`, and recall is the chance under a random order among
them: a model that gives all pictures one code scores no better than chance, however the pictures are ordered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

Distance = Literal["cosine", "euclidean", "manhattan", "mahalanobis"]
DISTANCES: tuple[str, ...] = get_args(Distance)
MOST = 2**22
"""Distances held at a time: 16 MB of float32."""
TABLE_HEADER = ("what is compared", "numbers", "recall@1", "recall@5", "mAP")
"""Of `retrieval_table`."""


def shrunk_covariance(vectors: Tensor) -> Tensor:
    """Covariance of vectors (N, D), shrunk towards a multiple of the identity so that it can be inverted also where N < D.

    By how much is Ledoit & Wolf's "A well-conditioned estimator for large-dimensional covariance matrices" (2004). Vectors that do not
    vary have the identity.

    Returns:
        (D, D) float64 on the CPU: in float32 that of a few vectors could no longer be inverted.
    """
    from sklearn.covariance import LedoitWolf

    values = vectors.detach().cpu().double().numpy()
    if len(values) < 2 or not values.var(0).any():
        return torch.eye(vectors.shape[1], dtype=torch.float64)
    covariance = LedoitWolf().fit(values).covariance_
    covariance[np.diag_indices_from(covariance)] += 1e-6 * np.trace(covariance) / len(covariance)  # no shrinkage keeps dead codes at 0
    return torch.from_numpy(covariance)


def space(base: Tensor, metric: str, covariance: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    """A map to where a distance is simple: there Euclidean and Mahalanobis are both the length of a difference, cosine half its square.

    Vectors are centred, which changes no distance and keeps small ones exact; for cosine they are scaled to length 1 instead.

    Args:
        base: (N, D) float, what is searched.
        metric: one of `DISTANCES`.
        covariance: (D, D), for Mahalanobis; `shrunk_covariance(base)` if None.

    Raises:
        ValueError: there is no such metric, or the covariance cannot be inverted.
    """
    if metric not in DISTANCES:
        raise ValueError(f"metric {metric!r}: expected one of {', '.join(DISTANCES)}")
    if metric == "cosine":
        return lambda vectors: F.normalize(vectors.float(), dim=1)
    centre = base.float().mean(0)
    if metric != "mahalanobis":
        return lambda vectors: vectors.float() - centre
    spread = (shrunk_covariance(base) if covariance is None else covariance).double().cpu()
    factor, failed = torch.linalg.cholesky_ex(spread)
    if failed or not factor.isfinite().all():
        raise ValueError("this covariance cannot be inverted: expected a symmetric matrix with positive eigenvalues")
    whiten = torch.linalg.solve_triangular(factor, torch.eye(len(factor), dtype=torch.float64), upper=False).T.float().to(base.device)
    return lambda vectors: (vectors.float() - centre) @ whiten


def distances(queries: Tensor, base: Tensor, metric: str = "cosine", covariance: Tensor | None = None) -> Tensor:
    """All distances at once, rounded as float32 products are (1e-3 of the vectors' length); `nearest` is for many, and exact.

    Args:
        queries: (Q, D) float.
        base: (N, D) float.
        metric: "cosine" (1 - cosine, in [0, 2]; 1 from a vector of zeros, but 0 between two), "euclidean", "manhattan" or "mahalanobis".
        covariance: (D, D), for Mahalanobis; `shrunk_covariance(base)` if None.

    Returns:
        (Q, N) float32.
    """
    place = space(base, metric, covariance)
    return _all_pairs(place(queries), place(base), metric)


def _all_pairs(queries: Tensor, base: Tensor, metric: str) -> Tensor:
    """(Q, D), (N, D), both in the space -> (Q, N); of vectors nearly equal the last digits are lost, see `_pairs`."""
    if metric == "cosine":
        return (1 - queries @ base.T).clamp_(min=0)
    if metric == "manhattan":
        return torch.cdist(queries, base, p=1)
    return torch.cdist(queries, base, compute_mode="use_mm_for_euclid_dist")


def _pairs(queries: Tensor, found: Tensor, metric: str) -> Tensor:
    """(Q, D), (Q, k, D), both in the space -> (Q, k), from the differences themselves: 0 for equal vectors."""
    difference = queries[:, None] - found
    if metric == "cosine":
        return difference.square().sum(2) / 2
    return difference.abs().sum(2) if metric == "manhattan" else difference.norm(dim=2)


def nearest(queries: Tensor, base: Tensor, k: int, metric: str = "cosine", covariance: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k nearest vectors of each query, nearest first; of equally near ones the earlier first.

    Works in chunks of queries, in memory for about `MOST` distances.

    Args:
        queries: (Q, D) float.
        base: (N, D) float, on the same device.
        k: how many, at least 1; all N if there are fewer.
        metric: see `distances`.
        covariance: likewise.

    Returns:
        Distances (Q, k) float32 and rows of `base` (Q, k) int64.

    Raises:
        ValueError: widths differ, or k is no number from 1 on.
    """
    if k < 1:
        raise ValueError(f"k={k}: expected a number of neighbours from 1 on")
    if queries.ndim != 2 or base.ndim != 2 or queries.shape[1] != base.shape[1]:
        raise ValueError(f"queries of shape {tuple(queries.shape)} in vectors of {tuple(base.shape)}: expected (Q, D) and (N, D)")
    k, place = min(k, len(base)), space(base, metric, covariance)
    points = place(base)
    parts = [(queries.new_zeros((0, k), dtype=torch.float32), torch.zeros((0, k), dtype=torch.int64, device=queries.device))]
    for rows in torch.split(queries, max(1, MOST // max(len(base), k * base.shape[1], 1))):
        asked = place(rows)
        parts.append(ranked(asked, points, _all_pairs(asked, points, metric).topk(k, largest=False).indices, metric))
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def ranked(queries: Tensor, points: Tensor, rows: Tensor, metric: str) -> tuple[Tensor, Tensor]:
    """Candidates (Q, k), rows of `points` (N, D), with their exact distances, nearest first, then by row; all in the `space`."""
    rows = rows.sort(1).values
    found, order = _pairs(queries, points[rows], metric).sort(dim=1, stable=True)
    return found, rows.gather(1, order)


@dataclass(frozen=True)
class Ranking:
    """Leave-one-out retrieval.

    Attributes:
        recall: k -> share of queries with a relevant picture among the k nearest; NaN without a query.
        mean_average_precision: over the whole ranking; NaN without a query.
        queries: how many were asked.
        left_out: how many were not, because nothing else is of their group; they are still searched.
    """

    recall: Mapping[int, float]
    mean_average_precision: float
    queries: int
    left_out: int


def leave_one_out(
    codes: Tensor, groups: Tensor, ks: Sequence[int] = (1,), metric: str = "cosine", covariance: Tensor | None = None
) -> Ranking:
    """Let each picture look for the others of its group.

    Args:
        codes: (N, D) float; if one is not finite, all scores are NaN.
        groups: (N,) int64, equal for pictures that are relevant for one another; negative for one without a group.
        ks: of the recalls.
        metric: see `distances`.
        covariance: likewise.

    Raises:
        ValueError: the numbers of codes and groups differ.
    """
    if codes.ndim != 2 or groups.shape != codes.shape[:1]:
        raise ValueError(f"codes of shape {tuple(codes.shape)} with groups of {tuple(groups.shape)}: expected (N, D) and (N,)")
    order = groups.argsort(stable=True)  # so that the relevant pictures of a query stand in a row
    ordered = groups[order]
    begin = torch.searchsorted(ordered, ordered)
    size = torch.searchsorted(ordered, ordered, right=True) - begin
    queries = ((size > 1) & (ordered >= 0)).nonzero()[:, 0]
    if not len(queries) or not codes.isfinite().all():
        return Ranking(dict.fromkeys(ks, torch.nan), torch.nan, len(queries), len(codes) - len(queries))
    points = space(codes, metric, covariance)(codes)[order]
    sums = torch.zeros(1 + len(ks), dtype=torch.float64, device=codes.device)
    for rows in torch.split(queries, max(1, MOST // len(codes))):
        found = _all_pairs(points[rows], points, metric)
        found.scatter_(1, rows[:, None], torch.inf)  # nobody finds itself
        step = torch.arange(int(size[rows].max()), device=codes.device)
        relevant = found.gather(1, (begin[rows, None] + step).clamp(max=len(codes) - 1))
        sums += _scores(found, relevant.masked_fill(step >= size[rows, None], torch.inf), size[rows] - 1, ks)
    precision, *recall = (sums / len(queries)).tolist()
    return Ranking(dict(zip(ks, recall, strict=True)), precision, len(queries), len(codes) - len(queries))


def _scores(found: Tensor, relevant: Tensor, number: Tensor, ks: Sequence[int]) -> Tensor:
    """Average precision and recalls, summed over queries.

    Args:
        found: (Q, N) distances; infinite for the query itself.
        relevant: (Q, R) those of the relevant pictures, infinite behind the last.
        number: (Q,) of relevant pictures.
        ks: of the recalls.
    """
    found, relevant = _sorted(found), _sorted(relevant)
    rank, hits = torch.searchsorted(found, relevant, right=True), torch.searchsorted(relevant, relevant, right=True)
    precision = torch.where(relevant.isfinite(), hits.double() / rank, 0.0).sum(1) / number
    before = torch.searchsorted(found, relevant[:, :1].contiguous())[:, 0]
    recalls = [_chance(before, rank[:, 0] - before, hits[:, 0], k).sum() for k in ks]
    return torch.stack([precision.sum(), *recalls])


def _sorted(values: Tensor) -> Tensor:
    """Rows in ascending order. On the CPU by NumPy, which sorts float32 some twenty times as fast."""
    return values.sort(1).values if values.is_cuda else torch.from_numpy(np.sort(values.numpy(), axis=1))


def _chance(before: Tensor, tied: Tensor, good: Tensor, k: int) -> Tensor:
    """Chance that one of the k nearest is relevant.

    Args:
        before: (Q,) how many are nearer than the nearest relevant picture.
        tied: (Q,) how many are as near as that.
        good: (Q,) how many of these are relevant.
        k: of the recall.
    """
    bad, slots = tied - good, torch.minimum((k - before).clamp(min=0), tied)

    def ways(number: Tensor) -> Tensor:  # logarithm of number! / (number - slots)!
        return torch.lgamma(number.double() + 1) - torch.lgamma((number - slots).clamp(min=0).double() + 1)

    return torch.where(bad < slots, 1.0, 1 - torch.exp(ways(bad) - ways(tied)))


def group_numbers(names: Sequence[str | None]) -> Tensor:
    """Names of groups -> int64 (N,), the same in every process: 63 bits of BLAKE2b; -1 for none and for an empty name."""
    digests = (hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest() if name else None for name in names)
    return torch.tensor([-1 if digest is None else int.from_bytes(digest) >> 1 for digest in digests], dtype=torch.int64)


class RetrievalScores(Metric):
    """`recall_at_1` and `retrieval_map`, leave-one-out over a part of the data.

    `update(predictions, batch)` reads `predictions["codes"]` (B, D) float and the batch's field of the constructor; a batch without
    it counts pictures of no group. Where no two pictures are of one group, or a code is not finite, both are NaN, which `metrics.json`
    writes as null and no monitor takes for best.

    Args:
        by: what makes two pictures relevant for one another: equal "label" (B,) int64 or equal "group" (list of B names); None takes
            the label if the batch has it.
        metric: see `distances`.
    """

    full_state_update = False
    codes: list[Tensor] | Tensor
    groups: list[Tensor] | Tensor
    width: Tensor

    def __init__(self, by: Literal["label", "group"] | None = None, metric: str = "cosine") -> None:
        super().__init__()
        if metric not in DISTANCES:
            raise ValueError(f"metric {metric!r}: expected one of {', '.join(DISTANCES)}")
        self.by, self.metric = by, metric
        self.add_state("codes", [], dist_reduce_fx="cat")  # flat: a process without a picture knows no width
        self.add_state("groups", [], dist_reduce_fx="cat")
        self.add_state("width", torch.zeros((), dtype=torch.int64), dist_reduce_fx="max")

    def update(self, predictions: Mapping[str, Tensor], batch: Mapping[str, Any]) -> None:
        """Keep a batch's codes."""
        codes = predictions["codes"].detach().float()
        by = self.by or ("label" if "label" in batch else "group")
        groups = batch.get(by, [None] * len(codes))
        numbers = groups.long() if isinstance(groups, Tensor) else group_numbers(groups).to(codes.device)
        self.width.fill_(codes.shape[1])
        self._keep(codes.flatten(), numbers)

    def _keep(self, codes: Tensor, groups: Tensor) -> None:
        assert isinstance(self.codes, list) and isinstance(self.groups, list)
        self.codes.append(codes)
        self.groups.append(groups)

    def sync(self, *words: Any, **options: Any) -> None:
        """As torchmetrics does it; a process without a picture brings nothing, but of the right type."""
        if isinstance(self.codes, list) and not self.codes:
            self._keep(torch.zeros(0, device=self.device), torch.zeros(0, dtype=torch.int64, device=self.device))
        super().sync(*words, **options)

    def compute(self) -> dict[str, float]:
        """Both scores, over all processes where these are synchronised."""
        if not len(self.codes) or not int(self.width):
            return {"recall_at_1": torch.nan, "retrieval_map": torch.nan}
        codes = dim_zero_cat(self.codes).view(-1, int(self.width))
        found = leave_one_out(codes, dim_zero_cat(self.groups), metric=self.metric)
        return {"recall_at_1": found.recall[1], "retrieval_map": found.mean_average_precision}


def retrieval_table(
    codes: Tensor, raw: Tensor, training_raw: Tensor, groups: Tensor | Sequence[str], metric: str = "cosine"
) -> list[tuple[str, int, float, float, float]]:
    """What the model's codes find beside raw pixels and beside PCA of as many codes, leave-one-out.

    Args:
        codes: (N, D) float of the model.
        raw: (N, C, H, W) uint8 or float in [0, 1], the same pictures.
        training_raw: (M, C, H, W) uint8 or float in [0, 1], pictures that PCA is fitted on; its codes are at most M and pixels many, and
            below two pictures it is left out.
        groups: (N,) int64 labels, negative for none, or N names.
        metric: see `distances`.

    Returns:
        Rows under `TABLE_HEADER`; NaN where no two pictures are of one group.
    """
    numbers = groups if isinstance(groups, Tensor) else group_numbers(groups)
    pixels, training = _flat(raw), _flat(training_raw)
    rows = [("the model's codes", codes.detach().cpu()), ("raw pixels", pixels)]
    if len(training) > 1:
        from sklearn.decomposition import PCA

        axes = PCA(min(codes.shape[1], *training.shape), random_state=0).fit(training.numpy())
        rows.append(("PCA codes of the pixels", torch.from_numpy(axes.transform(pixels.numpy()))))
    table = []
    for name, vectors in rows:
        found = leave_one_out(vectors, numbers.cpu(), (1, 5), metric)
        table.append((name, vectors.shape[1], found.recall[1], found.recall[5], found.mean_average_precision))
    return table


def _flat(pictures: Tensor) -> Tensor:
    """(N, C, H, W) uint8 or float -> (N, C * H * W) float in [0, 1] on the CPU."""
    flat = pictures.detach().cpu().flatten(1)
    return flat.float() / 255 if flat.dtype == torch.uint8 else flat.float()
