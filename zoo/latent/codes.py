"""Ways through a code space and maps of it: interpolation between two codes, and codes laid out in a plane.

scikit-learn and umap-learn are imported by the functions that need them.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zoo.latent.space import MOST_CODES, Codes, checked_codes, evenly
from zoo.nearest import nearest

Interpolation = Literal["spherical", "linear"]


def interpolate(first: ArrayLike, last: ArrayLike, steps: int, how: Interpolation = "spherical") -> Codes:
    """(steps, D) codes from `first` (D,) to `last` (D,), both included.

    Spherical interpolation is Shoemake's (1985, section 3.3) with codes of any length in place of unit quaternions: normal codes
    of many dimensions lie near a sphere, and a straight line between two of them leaves it. Where the angle between the codes
    has no plane (parallel, opposite or zero) the line is straight.

    Raises:
        ValueError: fewer than two steps, codes of different shapes, or no such way.
    """
    start, end = np.asarray(first, np.float64), np.asarray(last, np.float64)
    if type(steps) is not int or steps < 2:
        raise ValueError(f"steps={steps!r}: expected a whole number from 2 on, such as 8")
    if start.ndim != 1 or start.shape != end.shape:
        raise ValueError(f"codes of shapes {start.shape} and {end.shape}; expected two of one shape (D,)")
    if how not in ("spherical", "linear"):
        raise ValueError(f"how={how!r}: expected spherical or linear")
    share = np.linspace(0, 1, steps)[:, None]
    length = float(np.linalg.norm(start) * np.linalg.norm(end))
    angle = math.acos(min(1.0, max(-1.0, float(start @ end) / length))) if length else 0.0
    if how == "linear" or math.sin(angle) < 1e-4:
        return ((1 - share) * start + share * end).astype(np.float32)
    return ((np.sin((1 - share) * angle) * start + np.sin(share * angle) * end) / math.sin(angle)).astype(np.float32)


def plane(codes: ArrayLike, method: str = "pca", seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Codes (N, D) laid out in a plane.

    Args:
        codes: at least two; t-SNE and UMAP take 3,000, evenly chosen from more.
        method: pca, tsne (van der Maaten and Hinton 2008; perplexity 30, less for fewer than 91 codes), or umap (package umap-learn).
        seed: of t-SNE and UMAP.

    Returns:
        Which codes were laid out (M,), and their places (M, 2).

    Raises:
        ValueError: too few codes, no such method, or UMAP is not installed.
    """
    points = checked_codes(codes)
    if method not in PLANES:
        raise ValueError(f"no method {method!r}{nearest(method, PLANES)}; expected one of {', '.join(PLANES)}")
    lay, fewest, most = PLANES[method]
    if len(points) < fewest:
        raise ValueError(f"{len(points)} codes are too few for {method}; expected at least {fewest}")
    rows = evenly(len(points), most)
    return rows, np.asarray(lay(points[rows], seed), np.float64)


def _pca_plane(codes: Codes, seed: int) -> NDArray[Any]:
    centred = codes.astype(np.float64) - codes.mean(0, dtype=np.float64)
    wide = np.pad(centred, ((0, 0), (0, max(0, 2 - codes.shape[1]))))
    axes = np.linalg.eigh(wide.T @ wide)[1][:, [-1, -2]]  # the widest first
    axes *= np.sign(axes[np.abs(axes).argmax(0), [0, 1]])  # an axis has no direction of its own: its largest number is positive
    return np.asarray(wide @ axes)


def _tsne_plane(codes: Codes, seed: int) -> NDArray[Any]:
    from sklearn.manifold import TSNE

    start = _pca_plane(codes, seed)
    start *= 1e-4 / max(float(start[:, 0].std()), 1e-12)  # the start that scikit-learn takes too, of codes of one dimension as well
    return np.asarray(TSNE(2, perplexity=min(30.0, (len(codes) - 1) / 3), init=start, random_state=seed).fit_transform(codes))


def _umap_plane(codes: Codes, seed: int) -> NDArray[Any]:
    try:
        umap = importlib.import_module("umap")
    except ImportError as error:
        raise ValueError(f"method 'umap' needs a package that is not installed ({error}): pip install umap-learn, or take tsne") from error
    lay = umap.UMAP(n_neighbors=min(15, len(codes) - 1), random_state=seed, n_jobs=1)  # with a seed it takes one job, or warns
    return np.asarray(lay.fit_transform(codes))


PLANES: Mapping[str, tuple[Callable[[Codes, int], NDArray[Any]], int, int]] = {
    "pca": (_pca_plane, 2, MOST_CODES),
    "tsne": (_tsne_plane, 5, 3000),
    "umap": (_umap_plane, 5, 3000),
}
"""Method -> what lays codes out, how many it needs, and how many it takes."""
