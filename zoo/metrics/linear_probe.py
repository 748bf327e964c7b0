"""Logistic regression over vectors: how much of the classes a plane finds in features, as Alain & Bengio 2016 (arXiv:1610.01644) probe.

Features are standardised by the vectors that are learnt from. The penalty is an elastic net (Zou & Hastie 2005): its strength 1 / C and
the part l1_ratio of it that is of absolute values are searched by cross-validation within the training vectors. Two things are bounded.
The search and the fit learn from so many vectors, drawn evenly. And of the solvers the one that knows absolute values, SAGA (Defazio et
al. 2014, arXiv:1407.0202), costs classes x width for each vector and pass, so it stops after a budget of them, converged or not.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

CS = (0.001, 0.01, 0.1, 1.0)
"""From the strongest penalty to the weakest."""
L1_RATIOS = (0.0, 0.5)
"""0 is the squares alone, which L-BFGS solves."""
FOLDS = 3
SEARCHED, FITTED = 2_000, 20_000
"""At most so many vectors are searched and fitted on."""
BUDGET = 1.5e8
"""Of SAGA: vectors x width x classes x passes of one fit of the search; the last fit has four times as much."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Probe:
    """A fitted regression.

    Attributes:
        c, l1_ratio: what was chosen.
        searched: whether by cross-validation; False where the vectors are too few for it.
        fitted: vectors that it learnt from.
        mean, scale: (D,) what features are standardised by.
        model: scikit-learn's.
    """

    c: float
    l1_ratio: float
    searched: bool
    fitted: int
    mean: Floats
    scale: Floats
    model: Any

    def predict(self, vectors: Floats) -> Ints:
        """The likeliest class (N,) of each vector (N, D)."""
        said: Ints = self.model.predict((vectors - self.mean) / self.scale)
        return said


def fit(vectors: Floats, labels: Ints, groups: Ints, seed: int = 0) -> Probe:
    """Search C and l1_ratio, and fit.

    Args:
        vectors: (N, D), the training vectors alone.
        labels: (N,) their classes.
        groups: (N,) what stays together in the cross-validation, such as frames of one video.
        seed: of the draws, the folds and SAGA.

    Raises:
        ValueError: there is but one class.
    """
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(f"all {len(labels)} training vectors are of one class, and at least two are needed to tell apart")
    some = drawn(labels, SEARCHED, seed)
    found = search(vectors[some], labels[some], groups[some], seed)
    c, l1_ratio = found or (CS[1], 0.0)
    rows = drawn(labels, FITTED, seed)
    chosen = vectors[rows]
    mean, scale = _standard(chosen)
    model = _regression(c, l1_ratio, _passes(4 * BUDGET, len(rows), vectors.shape[1], len(classes)), seed)
    _quietly(model, (chosen - mean) / scale, labels[rows])
    return Probe(c, l1_ratio, found is not None, len(rows), mean, scale, model)


def search(vectors: Floats, labels: Ints, groups: Ints, seed: int = 0) -> tuple[float, float] | None:
    """C and l1_ratio that tell most held-out vectors right; of equals the simplest. None where no fold can be held out.

    Along rising C each fit of SAGA begins at the one before, so that few passes do.
    """
    right: dict[tuple[float, float], int] = {}
    for learn, held in _folds(labels, groups, seed):
        mean, scale = _standard(vectors[learn])
        inside, outside = ((vectors[rows] - mean) / scale for rows in (learn, held))
        passes = _passes(BUDGET, len(learn), vectors.shape[1], len(np.unique(labels[learn])))
        for l1_ratio in L1_RATIOS:
            model = _regression(CS[0], l1_ratio, passes, seed).set_params(warm_start=True)
            for c in CS:
                _quietly(model.set_params(C=c), inside, labels[learn])
                hits = int((model.predict(outside) == labels[held]).sum())
                right[c, l1_ratio] = right.get((c, l1_ratio), 0) + hits
    return max(sorted(right, key=lambda pair: (pair[1], pair[0])), key=lambda pair: right[pair]) if right else None


def drawn(labels: Ints, most: int, seed: int) -> Ints:
    """At most so many rows, in order, with each class's share kept."""
    if len(labels) <= most:
        return np.arange(len(labels))
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    rows: Ints = np.sort(by_class[np.linspace(0, len(labels) - 1, most).round().astype(np.int64)])
    return rows


def _folds(labels: Ints, groups: Ints, seed: int) -> Iterator[tuple[Ints, Ints]]:
    """Rows to learn from and rows held out, no group on both sides; only those that leave two classes to learn."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    alone = len(np.unique(groups)) == len(groups)  # the one with groups is slow
    count = min(FOLDS, len(np.unique(groups)), int(np.bincount(labels).max()))
    if count < 2:
        return
    kind = StratifiedKFold if alone else StratifiedGroupKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer vectors than folds, which are then missing in some
        pairs = list(kind(count, shuffle=True, random_state=seed).split(labels, labels, groups))
    for learn, held in pairs:
        if len(held) and len(np.unique(labels[learn])) > 1:
            yield learn, held


def _standard(vectors: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each feature; 1 for one that never changes."""
    scale = vectors.std(0)
    return vectors.mean(0), np.where(scale > 1e-12, scale, np.float32(1)).astype(np.float32)


def _passes(budget: float, count: int, width: int, classes: int) -> int:
    return int(min(200, max(3, budget / (count * width * classes))))


def _regression(c: float, l1_ratio: float, passes: int, seed: int) -> Any:
    import sklearn
    from sklearn.linear_model import LogisticRegression

    if not l1_ratio:
        return LogisticRegression(C=c, max_iter=200)
    # Since 1.8 l1_ratio alone names the penalty, and the word warns.
    old = tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < (1, 8)
    named = {"penalty": "elasticnet"} if old else {}
    return LogisticRegression(C=c, l1_ratio=l1_ratio, solver="saga", max_iter=passes, tol=1e-3, random_state=seed, **named)


def _quietly(model: Any, vectors: Floats, labels: Ints) -> None:
    """Fit; that the passes end before it has converged is meant."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(vectors, labels)
