"""A window that shows pictures and takes keys and a box drawn with the mouse, where there is a screen and OpenCV has windows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from zoo.frames.region import Corners
from zoo.frames.video import Picture, opencv
from zoo.progress import say

ENDS = ("q", "\x1b")  # the second is the key Escape
_LEAST = 4  # pixels of a side that is a box and no click


class Window:
    """A window that is open. All calls come from one thread.

    Attributes:
        box: the last one drawn with the mouse; None before that.
    """

    def __init__(self, cv: ModuleType, title: str) -> None:
        self.cv, self.title = cv, title
        self.box: Corners | None = None
        self.corner: tuple[int, int] | None = None
        self.mouse = (0, 0)
        cv.namedWindow(title, cv.WINDOW_NORMAL | cv.WINDOW_KEEPRATIO)
        cv.setMouseCallback(title, self._on_mouse)

    def show(self, picture: Picture, wait: float = 0.001) -> str:
        """Show a picture (H, W, 3) uint8 RGB and wait so many seconds for a key; its letter, "q" of a window that was closed, or ""."""
        drawn = picture.copy()
        box = self.box if self.corner is None else _between(self.corner, self.mouse)
        if box is not None:
            left, top, right, bottom = (round(value) for value in box)
            self.cv.rectangle(drawn, (left, top), (right - 1, bottom - 1), (255, 255, 255), 2)
        self.cv.imshow(self.title, self.cv.cvtColor(drawn, self.cv.COLOR_RGB2BGR))
        key = self.cv.waitKey(max(1, round(1000 * wait)))
        if self.cv.getWindowProperty(self.title, self.cv.WND_PROP_VISIBLE) < 1:
            return ENDS[0]
        return chr(key & 0xFF) if key >= 0 else ""

    def _on_mouse(self, event: int, across: int, down: int, flags: int, extra: object) -> None:
        self.mouse = across, down
        if event == self.cv.EVENT_LBUTTONDOWN:
            self.corner = across, down
        elif event == self.cv.EVENT_LBUTTONUP and self.corner is not None:
            box = _between(self.corner, self.mouse)
            self.box = box if min(box[2] - box[0], box[3] - box[1]) >= _LEAST else None
            self.corner = None


@contextmanager
def window(title: str, wished: bool = True) -> Iterator[Window | None]:
    """A window, or None where there can be none, which is said once."""
    opened = None
    if wished:
        cv = opencv()
        if reason := _no_screen():
            say(f"no preview: {reason}")
        else:
            try:
                opened = Window(cv, title)
            except cv.error:
                say("no preview: this OpenCV has no windows (opencv-python-headless); opencv-python has")
    try:
        yield opened
    finally:
        if opened is not None:
            opened.cv.destroyAllWindows()


def _no_screen() -> str:
    """Why there is no screen; "" if there is one. Some builds end the program when they are asked for a window without."""
    if sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return ""
    return "there is no screen (DISPLAY is not set)"


def _between(one: tuple[int, int], other: tuple[int, int]) -> Corners:
    """The box that two opposite corners span."""
    (left, right), (top, bottom) = (sorted(pair) for pair in zip(one, other, strict=True))
    return float(left), float(top), float(right), float(bottom)
