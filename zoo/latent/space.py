"""What is known of a model's code space: its spread and the directions of attributes.

Pure NumPy; scikit-learn is imported by the functions that need it. Nothing here knows pictures or networks: codes come from a task
that embeds and go to one that decodes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zoo.latent import samplers
from zoo.nearest import nearest

Codes = NDArray[np.float32]

MOST_CODES = 10_000
"""Codes kept of a training: enough for every sampler, and some 8 MB at 200 numbers each."""
MOST_WIDTH = 4096
"""Numbers in a code: the covariance of wider ones fills hundreds of megabytes."""
SHARE, FEWEST = 0.15, 15
"""Of all pictures, these have an attribute most, or least: the share, and the number where there are as many."""
STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Of a strip of edits; the outer ones are the bounds of an edit."""
KEPT = ("codes", "attributes", "labels")
"""What is of single training pictures, and left out of a file that is given away."""


@dataclass(frozen=True, eq=False)
class Latent:
    """A code space, measured on the codes of training pictures.

    Attributes:
        mean: (D,) of the codes.
        covariance: (D, D), shrunk towards a multiple of the unit matrix as Ledoit and Wolf (2004) do, so that it can be inverted.
        directions: (A, D) from the pictures that have an attribute least to those that have it most; see `measure`.
        names: of the A attributes.
        codes: (N, D) of at most 10,000 pictures, evenly taken from all; None if they were left out.
        attributes: (N, A) of the same pictures, or None.
        labels: (N,) class indices of the same pictures, or None.
    """

    mean: Codes
    covariance: Codes
    directions: Codes
    names: tuple[str, ...] = ()
    codes: Codes | None = None
    attributes: Codes | None = None
    labels: NDArray[np.int64] | None = None

    @classmethod
    def measure(
        cls, codes: ArrayLike, attributes: ArrayLike | None = None, names: Sequence[str] = (), labels: ArrayLike | None = None
    ) -> Latent:
        """Measure codes of training pictures.

        The direction of an attribute is the mean code of the pictures that have it most minus that of those that have it least:
        15 % of the pictures at each end, at least 15 pictures, never beyond the attribute's mean; pictures with equal values stay
        together, so that of an attribute that is only present or absent all pictures count. The coursework compares fixed values,
        > 1.5 against < -1, which only the attributes of one data set have.

        Args:
            codes: (N, D) finite numbers.
            attributes: (N, A) real values, positive = present; a value that is not finite is not known. None if there are none.
            names: of the A attributes.
            labels: (N,) class indices, to colour planes by.

        Raises:
            ValueError: the shapes disagree, a code is not finite, or there is none.
        """
        points = checked_codes(codes)
        values = None if attributes is None else np.asarray(attributes, np.float32).reshape(len(points), -1)
        if (0 if values is None else values.shape[1]) != len(names):
            raise ValueError(f"{len(names)} names for attributes {None if values is None else values.shape}; expected one for each column")
        numbers = None if labels is None else np.asarray(labels, np.int64)
        if numbers is not None and numbers.shape != (len(points),):
            raise ValueError(f"labels of shape {numbers.shape} for {len(points)} codes; expected one each")
        directions = [direction_between(points, column) for column in (() if values is None else values.T)]
        rows = evenly(len(points), MOST_CODES)
        return cls(
            points.mean(0, dtype=np.float64).astype(np.float32),
            _covariance(points),
            np.asarray(directions, np.float32).reshape(len(names), points.shape[1]),
            tuple(names),
            points[rows],
            None if values is None else values[rows],
            None if numbers is None else numbers[rows],
        )

    # ------------------------------------------------------------ editing and drawing codes

    def direction(self, name: str) -> Codes:
        """(D,) of an attribute; case does not count, nor whether words are joined by spaces, `-` or `_`.

        Raises:
            ValueError: no such attribute, or all training pictures have it alike.
        """
        found = [row for row, known in enumerate(self.names) if known == name] or [
            row for row, known in enumerate(self.names) if joined(known) == joined(name)
        ]
        if not found:
            known = ", ".join(joined(each) for each in self.names[:12]) + (", ..." if len(self.names) > 12 else "")
            expected = f"expected one of {known}" if known else "the model's data has no attributes"
            raise ValueError(f"no attribute {name!r}{nearest(name, map(joined, self.names))}; {expected}")
        direction: Codes = self.directions[found[0]]
        if not direction.any():
            raise ValueError(f"attribute {self.names[found[0]]!r} has no direction: all training pictures have it alike; choose another")
        return direction

    def edited(self, code: ArrayLike, strengths: Mapping[str, float]) -> Codes:
        """A code (..., D) plus strength times the direction of each attribute named; 1 is the whole way from least to most.

        Raises:
            ValueError: no such attribute, or a strength outside [-2, 2].
        """
        moved: Codes = np.array(code, np.float32)
        for name, strength in strengths.items():
            if not (isinstance(strength, int | float) and -2 <= strength <= 2):
                raise ValueError(f"{name}={strength!r}: expected a strength from -2 to 2, such as {name}=+1.5")
            moved += np.float32(strength) * self.direction(name)
        return moved

    def strip(self, code: ArrayLike, name: str, strengths: Sequence[float] = STRENGTHS) -> Codes:
        """(S, D) versions of a code (D,), one for each strength of one attribute."""
        return np.stack([self.edited(code, {name: strength}) for strength in strengths])

    def sample(self, n: int, seed: int = 0, sampler: str = "gaussian") -> Codes:
        """`n` codes (n, D) drawn by a sampler of `zoo.latent.samplers`; the same seed draws the same codes.

        Raises:
            ValueError: no such sampler, a wrong seed, or codes that the sampler needs and that were left out.
        """
        return samplers.sample(self, n, seed, sampler)

    # ------------------------------------------------------------ keeping

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, without those that are None; `names` go beside them."""
        fields = ("mean", "covariance", "directions", *KEPT)
        return {field: np.ascontiguousarray(value) for field in fields if (value := getattr(self, field)) is not None}

    def given_away(self) -> Latent:
        """The same without what is of single training pictures."""
        return Latent(self.mean, self.covariance, self.directions, self.names)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], names: Sequence[str]) -> Latent:
        """Read what `to_tensors` gave; nothing in it is believed.

        Args:
            tensors: arrays by name.
            names: of the attributes, as the model's spec has them.

        Raises:
            ValueError: it is not what `to_tensors` gives for such attributes.
        """
        unknown = [key for key in tensors if key not in ("mean", "covariance", "directions", *KEPT)]
        missing = [key for key in ("mean", "covariance", "directions") if key not in tensors]
        if unknown or missing:
            raise ValueError(f"missing {missing}, not known {unknown[:4]}; expected mean, covariance, directions")
        width, number = tensors["mean"].size, tensors["codes"].shape[:1] if "codes" in tensors else (0,)
        expected = {"mean": (width,), "covariance": (width, width), "directions": (len(names), width)}
        expected |= {"codes": (*number, width), "attributes": (*number, len(names)), "labels": number}
        for key, array in tensors.items():
            _refuse_array(key, array, expected[key])
        if not 0 < width <= MOST_WIDTH or sum(number) > MOST_CODES:
            raise ValueError(f"{sum(number)} codes of {width} numbers; expected at most {MOST_CODES} of 1 to {MOST_WIDTH}")
        covariance = tensors["covariance"]
        if not np.allclose(covariance, covariance.T, rtol=1e-4, atol=1e-6 * max(1.0, float(np.abs(covariance).max()))):
            raise ValueError("covariance is not symmetric")
        if (covariance.diagonal() < 0).any():
            raise ValueError("covariance has a negative variance")
        return cls(names=tuple(names), **{key: np.asarray(array) for key, array in tensors.items()})

    def to_bytes(self) -> bytes:
        """A safetensors file: the arrays, and the names of the attributes as JSON under `names`."""
        from safetensors.numpy import save

        return save(self.to_tensors(), metadata={"names": json.dumps(list(self.names))})


def _refuse_array(key: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    kind = np.int64 if key == "labels" else np.float32
    if array.dtype != kind or array.shape != shape:
        raise ValueError(f"{key} is {array.dtype} {array.shape}; expected {np.dtype(kind)} {shape}")
    if key != "attributes" and not np.isfinite(array).all():  # an attribute may be unknown
        raise ValueError(f"{key} holds values that are not finite")
    if key == "labels" and (array < 0).any():
        raise ValueError("labels holds negative numbers; expected indices of classes")


def checked_codes(codes: ArrayLike) -> Codes:
    """Codes as float32 (N, D); raises ValueError if they are not at least one row of finite numbers."""
    points = np.asarray(codes, np.float32)
    if points.ndim != 2 or not points.size:
        raise ValueError(f"codes of shape {points.shape}; expected (N, D) with at least one row")
    if not np.isfinite(points).all():
        raise ValueError("codes hold values that are not finite: the model that made them diverged")
    return points


def _covariance(points: Codes) -> Codes:
    if len(points) < 2:
        return np.zeros((points.shape[1],) * 2, np.float32)
    from sklearn.covariance import ledoit_wolf

    shrunk = ledoit_wolf(points.astype(np.float64))[0]
    return np.asarray((shrunk + shrunk.T) / 2, np.float32)


def direction_between(codes: Codes, values: NDArray[np.float32]) -> Codes:
    """(D,) from the codes (N, D) with the least values (N,) to those with the most; zeros where all are alike. See `Latent.measure`."""
    known = np.isfinite(values)
    codes, values = codes[known], values[known]
    if not len(values) or values.min() == values.max():
        return np.zeros(codes.shape[1], np.float32)
    number = min(max(FEWEST, round(SHARE * len(values))), len(values))
    ordered = np.sort(values)
    middle = values.mean(dtype=np.float64)
    most = codes[(values >= ordered[-number]) & (values > middle)]
    least = codes[(values <= ordered[number - 1]) & (values < middle)]
    between: Codes = (most.mean(0, dtype=np.float64) - least.mean(0, dtype=np.float64)).astype(np.float32)
    return between


def evenly(number: int, most: int) -> NDArray[np.int64]:
    """At most so many rows of `number`, evenly spaced: data often lies sorted by class."""
    return np.linspace(0, number - 1, min(number, most)).round().astype(np.int64)


def joined(name: str) -> str:
    """An attribute's name as people may write it: `No Eyewear` -> `no_eyewear`."""
    return re.sub(r"[\W_]+", "_", name.strip()).casefold()
