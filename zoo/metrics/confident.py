"""Likely wrong labels by confident learning, Northcutt, Jiang & Chuang 2021 (arXiv:1911.00068).

Each vector is judged by a logistic regression that did not learn from it (out of fold). A class's threshold is the mean probability of it
among those that are labelled so (equation 2). Confidently of a class is what reaches that class's threshold; of several the likeliest.
Those confidently of another class than the given one, the off-diagonal of the confident joint, are the likely wrong labels. Ranked is by
how much likelier the other class is than the given one (the normalised margin of section 3.2).

Other than in the paper, all records are listed whose likeliest class is another one, and those of the confident joint are marked: few of
the listed are wrong far down, but of those beyond the joint some are. A class that a fold did not learn judges nobody in it: groups may
hold a class alone.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zoo.metrics.linear_probe import drawn

CS = (0.001, 0.01, 0.1)
"""Strengths of the regression's penalty, the strongest first; the one that held-out labels are most probable by is taken."""
FOLDS = 5
FITTED = 10_000
"""At most so many vectors are learnt from in a fold."""
WIDTH = 256
"""Principal axes that are kept."""

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Issue(NamedTuple):
    """A label that may be wrong.

    Attributes:
        row: of the vector.
        suggested: the likeliest class.
        margin: by how much that is likelier than the given one, in (0, 1].
        confident: whether it is of the confident joint: likely wrong, and not only doubtful.
    """

    row: int
    suggested: int
    margin: float
    confident: bool


def issues(probabilities: Doubles, labels: Ints) -> list[Issue]:
    """The labels that may be wrong, the likeliest first.

    Args:
        probabilities: (N, classes) of vectors that were held out; NaN in a whole row: not judged.
        labels: (N,) the given classes.
    """
    judged = np.flatnonzero(np.isfinite(probabilities).all(1))
    if not len(judged):
        return []
    p, given = probabilities[judged], labels[judged]
    counts = np.bincount(given, minlength=p.shape[1])
    sums = np.bincount(given, p[np.arange(len(p)), given], p.shape[1])
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)  # of a class that nobody is labelled as nothing is known
    said = p.argmax(1)
    rows = np.arange(len(p))
    margins = p[rows, said] - p[rows, given]
    sure = np.where(p >= thresholds, p, -np.inf)
    confident = np.isfinite(sure.max(1)) & (sure.argmax(1) == said)
    order = np.argsort(-margins, kind="stable")
    return [Issue(int(judged[row]), int(said[row]), float(margins[row]), bool(confident[row])) for row in order if margins[row] > 0]


def agreement(probabilities: Doubles, labels: Ints) -> float:
    """The part of the judged labels that are the likeliest class themselves, in [0, 1]; 0 where none was judged.

    Args:
        probabilities: (N, classes) of vectors that were held out; NaN in a whole row: not judged.
        labels: (N,) the given classes.
    """
    judged = np.isfinite(probabilities).all(1)
    return float((probabilities[judged].argmax(1) == labels[judged]).mean()) if judged.any() else 0.0


def held_out(vectors: Floats, labels: Ints, groups: Ints, classes: int, seed: int = 0) -> Doubles:
    """Probabilities (N, classes) of each vector by a regression that learnt from other groups; NaN in rows that cannot be judged.

    A row cannot be judged where the fold that judges it did not learn its given class, and where no fold can be held out.

    Args:
        vectors: (N, D).
        labels: (N,) the given classes.
        groups: (N,) what stays together: frames of one video, and copies, which would vouch for each other's labels.
        classes: how many there are.
        seed: of the folds and the draws.
    """
    pairs = _folds(labels, groups, seed)
    vectors = _narrowed(vectors)
    best: tuple[float, Doubles] | None = None
    for c in CS:
        found = np.full((len(labels), classes), np.nan)
        for learn, held in pairs:
            found[held] = _judged(vectors, labels, learn, held, c, classes, seed)
        own = found[np.arange(len(labels)), labels]
        surprise = -float(np.log(np.maximum(own[np.isfinite(own)], 1e-12)).mean()) if np.isfinite(own).any() else np.inf
        if best is None or surprise < best[0]:
            best = surprise, found
    assert best is not None  # CS holds some
    return best[1]


def _judged(vectors: Floats, labels: Ints, learn: Ints, held: Ints, c: float, classes: int, seed: int) -> Doubles:
    from sklearn.linear_model import LogisticRegression

    some = learn[drawn(labels[learn], FITTED, seed)]
    model: Any = LogisticRegression(C=c, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the passes end before it has converged is meant
        model.fit(vectors[some], labels[some])
    found = np.zeros((len(held), classes))
    found[:, model.classes_] = model.predict_proba(vectors[held])
    found[~np.isin(labels[held], model.classes_)] = np.nan
    return found


def _narrowed(vectors: Floats) -> Floats:
    """Standardised, along their first principal axes: a penalty of squares knows no axes, so of few vectors nothing is lost but width."""
    scale = vectors.std(0)
    standard = (vectors - vectors.mean(0)) / np.where(scale > 1e-12, scale, np.float32(1))
    values, axes = np.linalg.eigh(standard.T @ standard) if len(standard) >= standard.shape[1] else _of_few(standard)
    most = values.argsort()[::-1][:WIDTH]
    narrowed: Floats = (standard @ axes[:, most]).astype(np.float32)
    return narrowed


def _of_few(standard: Floats) -> tuple[Floats, Floats]:
    """Squares of the singular values and the axes (D, N) of fewer vectors than numbers in each."""
    values, left = np.linalg.eigh(standard @ standard.T)
    return values, standard.T @ left / np.sqrt(np.maximum(values, 1e-6 * max(values.max(), 1e-12)))


def _folds(labels: Ints, groups: Ints, seed: int) -> list[tuple[Ints, Ints]]:
    """Rows to learn from and rows held out, no group on both sides; only those that leave two classes to learn."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    alone = len(np.unique(groups)) == len(groups)  # the one with groups is slow
    count = min(FOLDS, len(np.unique(groups)), int(np.bincount(labels).max()))
    if count < 2:
        return []
    kind = StratifiedKFold if alone else StratifiedGroupKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer vectors than folds
        pairs = list(kind(count, shuffle=True, random_state=seed).split(labels, labels, groups))
    return [(learn, held) for learn, held in pairs if len(held) and len(np.unique(labels[learn])) > 1]
