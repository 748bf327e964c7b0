"""Labels of a video's frames that do not flicker: probabilities averaged over time, a threshold, and hysteresis around both.

The average is an exponential one in continuous time, so that it is the same at 10 and at 60 frames a second: after a gap of `d` seconds
what was known before counts exp(-d / constant). The two levels of a label, one to appear at and a lower one to disappear below, are a
Schmitt trigger's (Schmitt, "A thermionic trigger", 1938).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

CONSTANT = 0.3
"""Seconds, if nothing is said."""
THRESHOLD = 0.5
"""Where nothing is known of the model's errors; above it no two labels are at once."""
MARGIN = 0.1
"""How much less is asked of a label that is shown already."""
WRONG = 0.05
"""The share of shown labels that may be wrong where a threshold is fitted."""

_BACKGROUND = ("background", "no_gesture")
_STEPS = tuple(step / 20 for step in range(10, 20))  # 0.5, 0.55 ... 0.95


class Shown(NamedTuple):
    """What is to be said of a frame.

    Attributes:
        label: the class's index; None where none is sure enough, or the background is surer.
        score: its averaged probability; without a label that of the likeliest.
        probabilities: (C,) averaged.
    """

    label: int | None
    score: float
    probabilities: npt.NDArray[np.float64]


class Smoother:
    """Follows the frames of one video.

    The likeliest label appears when its averaged probability reaches the threshold and is more than the margin above the background's.
    It stays while it is above the background's and at most the margin below the threshold, and no other that could appear is more than
    the margin above it.

    Args:
        background: the class that is never shown, see `background_of`; None if there is none.
        threshold: in [0, 1].
        constant: seconds in which what was seen loses all but 1/e of its weight; 0 takes every frame by itself.
        margin: in [0, 1].

    Raises:
        ValueError: a number is out of its range.
    """

    def __init__(
        self, background: int | None = None, threshold: float = THRESHOLD, constant: float = CONSTANT, margin: float = MARGIN
    ) -> None:
        for name, value, most in (("threshold", threshold, 1.0), ("constant", constant, math.inf), ("margin", margin, 1.0)):
            if not 0 <= value <= most or value == math.inf:
                raise ValueError(f"{name}={value!r}: expected a number from 0{f' to {most:g}' if most < math.inf else ' on'}")
        self.background, self.threshold, self.constant, self.margin = background, threshold, constant, margin
        self.average: npt.NDArray[np.float64] | None = None
        self.seconds = 0.0
        self.label: int | None = None

    def update(self, seconds: float, probabilities: npt.ArrayLike) -> Shown:
        """The next frame's time, not before the last one's, and what is said of it (C,); what is not finite counts as 0."""
        now = np.nan_to_num(np.asarray(probabilities, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        if self.average is None:
            self.average = now
        else:
            self.average = now + self._kept(seconds - self.seconds) * (self.average - now)
        self.seconds = seconds
        self.label = self._label(self.average)
        shown = int(self.average.argmax()) if self.label is None else self.label
        return Shown(self.label, float(self.average[shown]), self.average)

    def _kept(self, gap: float) -> float:
        """The share of the average that is left after a gap."""
        return math.exp(-max(0.0, gap) / self.constant) if self.constant else 0.0

    def _label(self, average: npt.NDArray[np.float64]) -> int | None:
        floor = -math.inf if self.background is None else average[self.background]
        best, label = int(average.argmax()), self.label
        rises = average[best] >= self.threshold and average[best] > floor + self.margin  # which the background itself never is
        stays = label is not None and average[label] >= self.threshold - self.margin and average[label] > floor
        if rises and (not stays or average[best] > average[label] + self.margin):
            return best
        return label if stays else None


def background_of(labels: Sequence[str]) -> int | None:
    """The index of the class that means nothing is there: BACKGROUND or no_gesture, in any case of letters; None if there is none."""
    return next((index for index, label in enumerate(labels) if label.casefold() in _BACKGROUND), None)


def fitted(answers: Iterable[tuple[str, str, float]], background: str | None, wrong: float = WRONG) -> tuple[float, float] | None:
    """The lowest threshold from 0.5 to 0.95 at which at most so large a share of what is shown is wrong.

    Args:
        answers: of pictures that were not trained on: truth, likeliest class and its probability.
        background: the class that is never shown.
        wrong: share in [0, 1].

    Returns:
        The threshold and the share that is wrong at it; where none is low enough, the highest that anything reaches; None where nothing is
        shown at 0.5.
    """
    shown = [(truth == said, score) for truth, said, score in answers if said != background]
    found: tuple[float, float] | None = None
    for step in _STEPS:
        right = [each for each, score in shown if score >= step]
        if not right:
            return found
        found = step, right.count(False) / len(right)
        if found[1] <= wrong:
            return found
    return found
