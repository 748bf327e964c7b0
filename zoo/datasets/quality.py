"""Size, sharpness and exposure of pictures, and which of them stand out of their set.

Sharpness is the variance of the Laplacian (Pech-Pacheco et al. 2000), of greys of a picture that is made at most 256 pixels long, so that
its size does not count. What stands out is told by the robust z-score of Iglewicz & Hoaglin 1993: 0.6745 times the distance from the
median, over the median of such distances. Where nearly all pictures are alike that median is next to nothing, and a difference that nobody
sees would count: so each measure has a least difference that stands out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from zoo.datasets.source import Record, Source
from zoo.progress import track

SIDE = 256
OUTLYING = 3.5
"""From this z-score on a picture stands out, as Iglewicz & Hoaglin advise."""
LEAST = (np.log(2.0), np.log(1.25), np.log(2.0), 20.0)
"""The least difference that stands out: twice the pixels, a quarter wider, twice the variance of the Laplacian, 20 greys."""

Doubles = npt.NDArray[np.float64]


class Quality(NamedTuple):
    """Of one picture: pixels, width over height, variance of the Laplacian, and mean grey in [0, 255]."""

    pixels: float
    aspect: float
    sharpness: float
    brightness: float


class Outlier(NamedTuple):
    """A record's number, what of it stands out, and its robust z-score."""

    number: int
    kind: str
    score: float


def measured(source: Source, records: Sequence[Record]) -> list[Quality | None]:
    """The quality of each record; None for a picture that cannot be read."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(track(pool.map(partial(_of, source), records), "measuring blur and exposure", len(records), "pictures"))


def _of(source: Source, record: Record) -> Quality | None:
    try:
        picture = source.read(record)[0]
    except Exception:  # Pillow's decoders raise many kinds; broken files are named before
        return None
    return quality(picture)


def quality(picture: Image.Image) -> Quality:
    """Of a picture of mode "L" or "RGB"."""
    small = picture.convert("L")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    grey = np.asarray(small, np.float64)
    inner = grey[1:-1, 1:-1]
    bent = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    sharpness = float(bent.var()) if bent.size else 0.0
    return Quality(float(picture.width * picture.height), picture.width / picture.height, sharpness, float(grey.mean()))


def outliers(found: Sequence[Quality | None]) -> list[Outlier]:
    """What stands out: small, large, of another shape, blurred, dark or bright; the farthest first."""
    numbers = [number for number, each in enumerate(found) if each is not None]
    values = np.array([each for each in found if each is not None], np.float64).reshape(-1, 4)
    scores = {
        ("small", "large"): robust(np.log(values[:, 0]), LEAST[0]),
        ("tall", "wide"): robust(np.log(values[:, 1]), LEAST[1]),
        ("blurred", ""): robust(np.log1p(values[:, 2]), LEAST[2]),
        ("dark", "bright"): robust(values[:, 3], LEAST[3]),
    }
    told = []
    for (low, high), column in scores.items():
        for number, score in zip(numbers, column.tolist(), strict=True):
            kind = low if score < 0 else high
            if abs(score) >= OUTLYING and kind:
                told.append(Outlier(number, kind, score))
    return sorted(told, key=lambda each: -abs(each.score))


def robust(values: Doubles, least: float) -> Doubles:
    """(N,) robust z-scores, of which a difference of less than `least` from the median is never `OUTLYING`."""
    if not len(values):
        return values
    away = values - np.median(values)
    usual = max(float(np.median(np.abs(away))), 0.6745 * least / OUTLYING)
    return 0.6745 * away / usual
