"""A tracker of one box by normalised cross-correlation: small, without weights, and it says when it has lost what it follows.

After Lewis, "Fast normalized cross-correlation" (1995), for the score, and Briechle and Hanebeck (2001) for template matching as
tracking. What is followed is looked for near its last place at three sizes, and the template takes up a little of what was found, so that
it follows slow changes of light and pose; it does not follow turning, fast growth, or a jump of more than about the box's own size
between two frames.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError
from zoo.frames.region import Corners, spelt
from zoo.frames.video import Picture, opencv

LEAST = 0.65
"""Correlation from which on it is found."""

_SIDE = 48  # pixels that the template's longer side is made smaller to: fast, and blind to noise
_CONTEXT = 0.15  # of the box's sides taken in around it: the edges of what is plain lie there
_REACH = 1.0  # how far it is looked for, in sides of the template, more after each frame without it
_SIZES = (1.0, 0.95, 1.05)
_RATE = 0.08  # share of what is found that the template takes up
_SURE = 0.75  # correlation from which on it does
_FLAT = 3.0  # standard deviation of levels below which there is nothing to follow


class Tracker:
    """Follows what is in a box from frame to frame.

    Args:
        picture: (H, W, 3) uint8 RGB, the first.
        box: in it.

    Attributes:
        box: the last in which it was found.
        score: correlation in [-1, 1] at the best place of the last frame.

    Raises:
        DataError: nothing in the box stands out.
    """

    def __init__(self, picture: Picture, box: Corners) -> None:
        self.box, self.score, self.lost = box, 1.0, 0
        wide, tall = (box[2] - box[0]) * (1 + 2 * _CONTEXT), (box[3] - box[1]) * (1 + 2 * _CONTEXT)
        self.scale = min(1.0, _SIDE / max(wide, tall))
        self.size = max(3, round(wide * self.scale)), max(3, round(tall * self.scale))
        self.template = self._patch(self._prepared(picture), box, 1.0)
        if self.template.std() < _FLAT:
            raise DataError(f"the box {spelt(box)} is of one colour, with nothing to follow; draw it around something with edges")

    def update(self, picture: Picture) -> Corners | None:
        """Where it is in the next frame, within it; None if it is not found."""
        grey = self._prepared(picture)
        height, width = grey.shape
        found = [self._look(grey, size) for size in _SIZES]
        self.score, box = max(found, key=lambda one: one[0])
        middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        if self.score < LEAST or not (0 <= middle[0] < width and 0 <= middle[1] < height):
            self.lost += 1
            return None
        self.box, self.lost = box, 0
        if self.score >= _SURE:
            self.template += _RATE * (self._patch(grey, box, 1.0) - self.template)
        return max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3])

    def _prepared(self, picture: Picture) -> npt.NDArray[np.float32]:
        """(H, W) grey, without what is finer than the template's pixels."""
        cv = opencv()
        grey: npt.NDArray[np.float32] = cv.cvtColor(picture, cv.COLOR_RGB2GRAY).astype(np.float32)
        step = (self.box[2] - self.box[0]) * (1 + 2 * _CONTEXT) / self.size[0]
        return cv.GaussianBlur(grey, (0, 0), 0.5 * step) if step > 1.5 else grey

    def _look(self, grey: npt.NDArray[np.float32], size: float) -> tuple[float, Corners]:
        """The best place near the last one, of something so many times as large as that: correlation and box."""
        cv = opencv()
        around = self._patch(grey, _sized(self.box, size), 1 + 2 * _REACH * min(1 + self.lost, 4))
        scores = cv.matchTemplate(around, self.template, cv.TM_CCOEFF_NORMED)
        down, across = np.unravel_index(int(scores.argmax()), scores.shape)
        step = size * (self.box[2] - self.box[0]) * (1 + 2 * _CONTEXT) / self.size[0]
        shift = step * (int(across) - (scores.shape[1] - 1) / 2), step * (int(down) - (scores.shape[0] - 1) / 2)
        left, top, right, bottom = _sized(self.box, size)
        return float(scores[down, across]), (left + shift[0], top + shift[1], right + shift[0], bottom + shift[1])

    def _patch(self, grey: npt.NDArray[np.float32], box: Corners, times: float) -> npt.NDArray[np.float32]:
        """The box with its context, so many times as large, at the template's scale; what lies outside repeats the edge."""
        cv = opencv()
        across, down = ((box[2] - box[0]) * (1 + 2 * _CONTEXT) / self.size[0], (box[3] - box[1]) * (1 + 2 * _CONTEXT) / self.size[1])
        width, height = (2 * round(side * (times - 1) / 2) + side for side in self.size)
        left, top = (box[0] + box[2]) / 2 - across * width / 2, (box[1] + box[3]) / 2 - down * height / 2
        matrix = np.array([[across, 0, left + across / 2 - 0.5], [0, down, top + down / 2 - 0.5]])
        flags = cv.INTER_LINEAR | cv.WARP_INVERSE_MAP
        patch: npt.NDArray[np.float32] = cv.warpAffine(grey, matrix, (width, height), flags=flags, borderMode=cv.BORDER_REPLICATE)
        return patch


def _sized(box: Corners, times: float) -> Corners:
    """The box about its middle, so many times as large."""
    across, down = (box[2] - box[0]) * (times - 1) / 2, (box[3] - box[1]) * (times - 1) / 2
    return box[0] - across, box[1] - down, box[2] + across, box[3] + down


def _said(box: Corners) -> str:
    return ",".join(f"{value:g}" for value in box)
