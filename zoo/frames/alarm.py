"""An alarm while a class is seen: it begins after so many frames running and ends after as many without, so that it does not flicker."""

from __future__ import annotations

from collections.abc import Collection

from zoo.errors import shown


class Alarm:
    """Watches the frames of a video for a class.

    A frame in which it is missed, as happens to every detector, does not end the alarm: it must be gone for `frames` frames running, and
    for 2 at least.

    Args:
        label: the class.
        frames: in how many frames running it must be seen, from 1 on.
    """

    def __init__(self, label: str, frames: int) -> None:
        self.label, self.frames = label, frames
        self.on = False
        self.seen = self.missed = 0
        self.first = self.last = (0, 0.0)

    def update(self, number: int, seconds: float, labels: Collection[str]) -> str | None:
        """The next frame and what is in it -> a line, if the alarm begins or ends with it."""
        if self.label in labels:
            self.missed, self.last = 0, (number, seconds)
            if not self.on:
                self.first = self.first if self.seen else self.last
                self.seen += 1
                return self._begin() if self.seen >= self.frames else None
            return None
        self.seen, self.missed = 0, self.missed + 1
        return self.end() if self.missed >= max(2, self.frames) else None

    def end(self) -> str | None:
        """A line, if the alarm is on: it ends, as the video does."""
        if not self.on:
            return None
        self.on, self.seen = False, 0
        return f"alarm ends: {shown(self.label)} last seen at {_at(*self.last)}, {self.last[1] - self.first[1]:.1f} s after the first"

    def _begin(self) -> str:
        self.on = True
        frames = f"{self.frames} frames running" if self.frames > 1 else "1 frame"
        return f"ALARM: {shown(self.label)} seen in {frames}, first at {_at(*self.first)}"


def _at(number: int, seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 100), 6000)
    return f"{minutes}:{rest / 100:05.2f} (frame {number})"
