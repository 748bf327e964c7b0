"""Cameras that are none: what the commands see when they open one."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, ClassVar, TypeVar

import cv2
import pytest

from zoo.frames import footage
from zoo.frames.video import Picture, Video

Plugged = TypeVar("Plugged")


class Camera:
    """What Video asks of OpenCV: so many times the same picture (H, W, 3) uint8 RGB."""

    SAID: ClassVar[dict[int, float]] = {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_FRAME_COUNT: -1.0}

    def __init__(self, frames: int, picture: Picture) -> None:
        self.left, self.picture = frames, picture

    def get(self, key: int) -> float:
        return self.SAID.get(key, float(self.picture.shape[0]))

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return self.left >= 0, self.picture[..., ::-1]


def plugged(monkeypatch: pytest.MonkeyPatch, camera: Plugged) -> Plugged:
    """The camera that is opened now, whatever the number."""
    capture: Any = camera
    monkeypatch.setattr(footage, "open_camera", lambda number: nullcontext(Video(capture, f"camera {number}", live=True)))
    return camera
