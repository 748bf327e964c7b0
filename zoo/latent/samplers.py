"""Ways to draw codes of a measured code space, by name.

scikit-learn is imported by the samplers that need it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.nearest import nearest

if TYPE_CHECKING:
    from zoo.latent.space import Latent


def sample(latent: Latent, n: int, seed: int, sampler: str) -> NDArray[np.float32]:
    """See `Latent.sample`."""
    if sampler not in SAMPLERS:
        raise ValueError(f"no sampler {sampler!r}{nearest(sampler, SAMPLERS)}; expected one of {', '.join(SAMPLERS)}")
    return SAMPLERS[sampler](latent, n, checked_seed(seed)).astype(np.float32)


def checked_seed(seed: Any) -> int:
    """A seed that NumPy, scikit-learn and torch all take; raises ValueError on another."""
    found = whole(seed)
    if type(found) is not int or not 0 <= found < 2**32:
        raise ValueError(f"seed={seed!r}: expected a whole number from 0 to {2**32 - 1}")
    return found


def whole(value: Any) -> Any:
    """A whole number of any library as Python's own; anything else, True and 3.0 among it, as it is, for those who refuse it."""
    try:
        return value if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return value


def _normal(latent: Latent, n: int, seed: int) -> NDArray[Any]:
    """N(0, 1) in each number: the prior of a VAE; the codes of a plain autoencoder lie elsewhere."""
    return np.random.default_rng(seed).standard_normal((n, len(latent.mean)))


def _gaussian(latent: Latent, n: int, seed: int) -> NDArray[Any]:
    """The normal distribution with the codes' mean and covariance."""
    variances, axes = np.linalg.eigh(latent.covariance.astype(np.float64))
    drawn = np.random.default_rng(seed).standard_normal((n, len(latent.mean)))
    return np.asarray(latent.mean + (drawn * np.sqrt(variances.clip(0))) @ axes.T)


def _pca_kde(latent: Latent, n: int, seed: int) -> NDArray[Any]:
    """A kernel density estimate in at most 55 principal components, as in the coursework.

    The components are scaled to variance 1, so that Scott's rule, N ** (-1 / (d + 4)), suits a round kernel. Its samples spread
    wider than the codes: by a factor sqrt(1 + width ** 2) along each component.
    """
    from sklearn.neighbors import KernelDensity

    components, scaled = _whitened(latent, "pca_kde")
    density = KernelDensity(bandwidth="scott").fit(scaled)
    return np.asarray(components.inverse_transform(density.sample(n, random_state=seed)))


def _mixture(latent: Latent, n: int, seed: int) -> NDArray[Any]:
    """A mixture of at most 10 normal distributions, fitted in at most 55 principal components."""
    from sklearn.mixture import GaussianMixture

    components, scaled = _whitened(latent, "mixture")
    parts = max(1, min(10, len(scaled) // (5 * scaled.shape[1])))  # each needs codes enough for a covariance of its own
    mixture = GaussianMixture(parts, reg_covar=1e-3, random_state=seed).fit(scaled)
    drawn = mixture.sample(n)[0]  # part by part
    return np.asarray(components.inverse_transform(np.random.default_rng(seed).permutation(drawn)))


def _whitened(latent: Latent, sampler: str, most: int = 55) -> tuple[Any, NDArray[Any]]:
    """A fitted PCA and the codes in its components of variance 1."""
    from sklearn.decomposition import PCA

    if latent.codes is None:
        raise ValueError(
            f"sampler {sampler!r} needs the codes of training pictures, which a packed file leaves out: "
            "load the run's folder, or take the sampler 'gaussian'"
        )
    codes = latent.codes.astype(np.float64)
    varied = np.linalg.matrix_rank(codes - codes.mean(0)) if len(codes) > 1 else 0
    if not varied:
        raise ValueError(f"sampler {sampler!r} needs codes that differ; there are {len(codes)}, all alike: take the sampler 'gaussian'")
    components = PCA(min(most, int(varied)), whiten=True, svd_solver="full")
    return components, components.fit_transform(codes)


SAMPLERS: Mapping[str, Callable[[Latent, int, int], NDArray[Any]]] = {
    "normal": _normal,
    "gaussian": _gaussian,
    "pca_kde": _pca_kde,
    "mixture": _mixture,
}
