"""Frames through a model: read ahead in one thread, predicted in this one, drawn and written behind in another."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar

import numpy as np

from zoo.frames.video import Frame, Picture, Video
from zoo.progress import Progress, clock, say

T = TypeVar("T")
P = ParamSpec("P")

_MOST_BYTES = 2**28  # of the frames that wait on either side of the model
_MOST_WAITS = 100_000  # an hour at 28 frames a second
_EVERY = 10.0  # seconds between two lines about a camera


@dataclass(frozen=True)
class Watched:
    """How it went.

    Attributes:
        frames: that the model saw.
        last: seconds in the video of the last of them.
        seconds: that it took.
        inside: of these, in the model: from pictures to what is found in them.
        interrupted: whether Ctrl-C ended it, or a person in front of its window.
        waits: of each of the latest frames, seconds from taken to found.
    """

    frames: int
    last: float
    seconds: float
    inside: float
    interrupted: bool = False
    waits: Sequence[float] = ()

    @property
    def latency(self) -> str:
        """The median and the 95th percentile of the waits, for people; "" of none."""
        if not self.waits:
            return ""
        middle, most = np.quantile(np.array(self.waits), (0.5, 0.95))
        return f"latency {1000 * middle:.0f} ms from a frame taken to what is found in it (median), {1000 * most:.0f} ms (95th percentile)"

    def __str__(self) -> str:
        rate = self.frames / max(self.seconds, 1e-9)
        share = self.inside / max(self.seconds, 1e-9)
        return f"{self.frames} frames in {clock(self.seconds)}: {rate:.1f} per second, {share:.0%} of the time in the model"


def watch(
    video: Video,
    detect: Callable[[list[Picture]], list[T]],
    write: Callable[[Frame, T], None],
    batch_size: int = 1,
    goes_on: Callable[[], bool] = lambda: True,
) -> Watched:
    """Give each frame to `detect`, and it with what was found to `write`, in the video's order.

    Ctrl-C ends it as the video's end does: what was found until then is written.

    Args:
        video: that is open.
        detect: (H, W, 3) uint8 RGB pictures -> what is in each.
        write: called in another thread, one frame at a time.
        batch_size: frames that go through the model at once, from 1 on.
        goes_on: asked in this thread after each batch; if not, it ends as by Ctrl-C.

    Raises:
        DataError: the video has no frame, or changes its size.
    """
    most = 1 if video.live else max(1, min(2 * batch_size, _MOST_BYTES // max(1, 3 * video.pixels)))
    begun, inside, done, last, interrupted = time.perf_counter(), 0.0, 0, 0.0, False
    waits: deque[float] = deque(maxlen=_MOST_WAITS)
    beat = Progress("watching", video.expected, "frames") if video.expected else None
    due = begun + _EVERY
    with closing(ahead(video.frames(), most)) as frames, Behind(write, most) as behind, beat or nullcontext():
        try:
            while chunk := list(islice(frames, batch_size)):
                start = time.perf_counter()
                found = detect([frame.picture for frame in chunk])
                now = time.perf_counter()
                inside += now - start
                waits.extend(now - frame.taken for frame in chunk)
                for frame, each in zip(chunk, found, strict=True):
                    behind(frame, each)
                    done, last = done + 1, frame.seconds
                if not goes_on():
                    interrupted = True
                    break
                if beat is not None:
                    beat.advance(len(chunk))
                elif now > due:
                    say(f"{video.name}: {done} frames, {done / (now - begun):.1f} per second")
                    due = now + _EVERY
        except KeyboardInterrupt:
            interrupted = True
    return Watched(done, last, time.perf_counter() - begun, inside, interrupted, waits)


def ahead(items: Iterator[T], most: int) -> Generator[T, None, None]:
    """Go through items in order, at most `most` of them taken in another thread before they are asked for."""
    pool = ThreadPoolExecutor(1)
    coming: deque[Future[T | None]] = deque(pool.submit(next, items, None) for _ in range(most))
    try:
        while (item := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, items, None))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


class Behind(Generic[P]):
    """Calls a function in another thread, in order and at most `most` calls behind; its errors are raised here, at the latest on leaving.

    Args:
        call: the function.
        most: calls that wait.
    """

    def __init__(self, call: Callable[P, None], most: int) -> None:
        self.call, self.most = call, most
        self.pool = ThreadPoolExecutor(1)
        self.waiting: deque[Future[None]] = deque()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call it soon."""
        while len(self.waiting) >= self.most:
            self.waiting.popleft().result()
        self.waiting.append(self.pool.submit(self.call, *args, **kwargs))

    def __enter__(self) -> Behind[P]:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        try:
            while self.waiting and kind is None:
                self.waiting.popleft().result()
        finally:
            self.pool.shutdown(cancel_futures=True)
