"""Progress for people: a bar with rate and time left on a terminal, a line now and then elsewhere. All of it on standard error."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from zoo.ranks import ranks

T = TypeVar("T")


def say(text: str) -> None:
    """Print a line for the person at the terminal; of several processes that train together one speaks."""
    if ranks().first:
        print(text, file=sys.stderr, flush=True)


class Progress:
    """Counts steps of a known total. Silent for its first two seconds, so that short work prints nothing.

    Args:
        title: what is going on.
        total: number of steps.
        unit: what a step is ("files", "batches").
        start: steps already done.
    """

    def __init__(self, title: str, total: int, unit: str = "it", start: int = 0) -> None:
        self.title, self.total, self.unit, self.done = title, total, unit, start
        self.terminal = sys.stderr.isatty()
        self.begun = time.monotonic()
        self.first = start
        self.due = self.begun + 2.0 if ranks().first else float("inf")
        self.shown = False

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps; draws at most five times a second on a terminal, every ten seconds elsewhere."""
        self.done += steps
        now = time.monotonic()
        if now >= self.due and self.done != self.total:  # what is done is no news
            self._draw(now, note)
            self.due = now + (0.2 if self.terminal else 10.0)

    def _draw(self, now: float, note: str) -> None:
        rate = (self.done - self.first) / max(now - self.begun, 1e-9)
        left = (self.total - self.done) / rate if rate > 0 else 0.0
        text = f"{self.title} {self.done}/{self.total} {self.unit}, {rate:.1f}/s, {clock(left)} left{'  ' + note if note else ''}"
        if self.terminal:
            filled = round(20 * self.done / max(self.total, 1))
            text = f"\r\x1b[2K[{'#' * filled}{'.' * (20 - filled)}] {text}"
        print(text, end="" if self.terminal else "\n", file=sys.stderr, flush=True)
        self.shown = True

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self.shown and self.terminal:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)


def track(items: Iterable[T], title: str, total: int, unit: str = "it") -> Iterator[T]:
    """Go through items under a progress bar."""
    with Progress(title, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()


def clock(seconds: float) -> str:
    """Seconds as people say them: `48 s`, `3 min 05 s`, `2 h 10 min`."""
    if not math.isfinite(seconds):
        return f"{seconds} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
