"""Video in and out, by OpenCV: the frames of a file or a camera in order, and films of pictures, written whole or not at all."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError, RecipeError, ZooError, shown
from zoo.partial import whole

if TYPE_CHECKING:
    import cv2

Picture = npt.NDArray[np.uint8]

CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
"""Ending of a film's name -> its codec; every build of OpenCV that reads video at all can write these."""

MOST_PIXELS = 7680 * 4320
"""Of a frame (8K); a video of larger ones is refused."""

_RATES = (0.1, 1000.0)  # frames per second that are believed
_USUAL_RATE = 25.0


class Frame(NamedTuple):
    """A picture of a video.

    Attributes:
        number: counted from 1.
        seconds: since the video's first frame.
        picture: (H, W, 3) uint8, RGB, turned as the file says.
        taken: when it was decoded, by `time.perf_counter`.
    """

    number: int
    seconds: float
    picture: Picture
    taken: float = 0.0


class Video:
    """The frames of a video that is open.

    Attributes:
        name: for people.
        live: whether it is a camera, which does not wait.
        rate: frames per second, as it says itself; 0 if it does not.
        expected: how many frames it says it has; 0 if it does not.
        pixels: of a frame.
    """

    def __init__(self, capture: cv2.VideoCapture, name: str, live: bool = False) -> None:
        cv = opencv()
        self.capture, self.name, self.live = capture, name, live
        self.rate = _believed(capture.get(cv.CAP_PROP_FPS), *_RATES)
        self.expected = 0 if live else int(_believed(capture.get(cv.CAP_PROP_FRAME_COUNT), 1, 2**31))
        width, height = (int(capture.get(key)) for key in (cv.CAP_PROP_FRAME_WIDTH, cv.CAP_PROP_FRAME_HEIGHT))
        self.pixels = width * height
        if self.pixels > MOST_PIXELS:
            raise DataError(f"{name}: frames of {width}x{height} pixels; expected at most 7680x4320: make them smaller")

    def frames(self) -> Iterator[Frame]:
        """All of them, in order.

        Raises:
            DataError: there is none, or their size changes on the way.
        """
        cv = opencv()
        size, last, begun = (0, 0), 0.0, time.monotonic()
        for number in count(1):
            good, picture = self.capture.read()
            taken = time.perf_counter()
            if not good and number == 1:
                raise DataError(f"{self.name}: no frame could be decoded; expected a video: open it in a player to see what it is")
            if not good:
                return
            height, width = picture.shape[:2]
            if (size := size if any(size) else (width, height)) != (width, height):
                sizes = f"frame {number} is of {width}x{height} pixels, those before it of {size[0]}x{size[1]}"
                raise DataError(f"{self.name}: {sizes}; expected one size: convert the video first")
            last = time.monotonic() - begun if self.live else self._stamp(number, last)
            yield Frame(number, last, cv.cvtColor(picture, cv.COLOR_BGR2RGB), taken)

    def _stamp(self, number: int, last: float) -> float:
        """Seconds of the frame just read; where the file has no times that grow, by its rate."""
        stamp: float = self.capture.get(opencv().CAP_PROP_POS_MSEC) / 1000
        grows = stamp >= 0 if number == 1 else stamp > last
        return stamp if grows and stamp < math.inf else last + (number > 1) / (self.rate or _USUAL_RATE)

    def lacking(self, frames: int, last: float) -> tuple[str, bool]:
        """What is missing after so many frames, the last at `last` seconds ("" if nothing is), and whether it is the video's end.

        The number of frames that some kinds of file give is an estimate, their length in seconds is not: that alone tells a cut.
        """
        if not self.rate or frames >= self.expected - max(1, self.expected // 50):
            return "", False
        there, length = last + 1 / self.rate, self.expected / self.rate
        cut = there < 0.98 * length - 1 / self.rate
        place = f"it ends after {there:.1f} of {length:.1f} seconds" if cut else "some on the way are missing"
        return f"{self.name}: {frames} of {self.expected} frames could be decoded; {place}", cut


@contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """A video file.

    Raises:
        DataError: there is none, or nothing that OpenCV can read.
    """
    name = shown(path)
    if not path.is_file():
        reason = "a folder" if path.is_dir() else "no file" if path.exists() else "no such file"
        raise DataError(f"{name}: {reason}; expected a video file, such as site.mp4")
    if not path.stat().st_size:
        raise DataError(f"{name}: the file is empty (0 bytes); expected a video: copy it again")
    cv = opencv()
    try:
        # From the root on, so that no name is taken for an address; by FFmpeg, so that none is for a series of pictures.
        capture = cv.VideoCapture(str(path.resolve()), cv.CAP_FFMPEG)
    except (UnicodeError, cv.error) as error:
        raise DataError(f"{name}: OpenCV cannot open a file of this name ({type(error).__name__}): rename it") from error
    if not capture.isOpened():
        reason = "it is no video, truncated before its index, or of a kind that this OpenCV cannot read"
        raise DataError(f"{name}: cannot be opened ({reason}); expected a video such as .mp4 or .avi: copy or convert it again")
    with _released(capture):
        yield Video(capture, name)


@contextmanager
def open_camera(number: int) -> Iterator[Video]:
    """A camera by its number, from 0 on.

    Raises:
        RecipeError: no such number.
        DataError: there is none.
    """
    if number < 0:
        raise RecipeError(f"camera {number}: expected its number, from 0 on")
    cv = opencv()
    capture = cv.VideoCapture(number)
    if not capture.isOpened():
        there = ", ".join(sorted(str(device) for device in Path("/dev").glob("video*"))) or "none in /dev/video*"
        raise DataError(f"camera {number}: cannot be opened (there: {there}); expected a camera that no other program uses")
    capture.set(cv.CAP_PROP_BUFFERSIZE, 1)  # what waits in a longer buffer is old when its turn comes
    with _released(capture):
        yield Video(capture, f"camera {number}", live=True)


@contextmanager
def film(path: Path, rate: float, live: bool = False) -> Iterator[Callable[[Picture, float], None]]:
    """Give what adds a picture (H, W, 3) uint8 RGB, shown from so many seconds on, to a film; of no picture nothing is written.

    Args:
        path: the film, see `CODECS`.
        rate: frames per second; 0 if not known.
        live: keep time: a camera's picture is repeated until the next one's time.

    Raises:
        ZooError: it cannot be written.
    """
    rate = round(rate or _USUAL_RATE, 3)
    written, writer = 0, None
    with whole(path) as partial:

        def add(picture: Picture, seconds: float) -> None:
            nonlocal written, writer
            cv = opencv()
            writer = writer or _writer(path, partial, rate, picture)
            for _ in range(max(1, round(seconds * rate) + 1 - written) if live else 1):
                writer.write(cv.cvtColor(picture, cv.COLOR_RGB2BGR))
                written += 1

        try:
            yield add
        finally:
            if writer is not None:
                writer.release()
        if written:
            _refuse_short(path, partial, written)


def refuse_film(path: Path) -> None:
    """Raise RecipeError unless films of this name can be written."""
    if path.suffix.lower() not in CODECS:
        raise RecipeError(f"{shown(path)}: a video is drawn to a video; expected a file that ends with {' or '.join(CODECS)}")


def _writer(path: Path, partial: Path, rate: float, picture: Picture) -> cv2.VideoWriter:
    cv = opencv()
    codec = CODECS[path.suffix.lower()]
    height, width = picture.shape[:2]
    writer: cv2.VideoWriter = cv.VideoWriter(str(partial.resolve()), cv.CAP_FFMPEG, cv.VideoWriter.fourcc(*codec), rate, (width, height))
    if not writer.isOpened():
        others = [ending for ending in CODECS if ending != path.suffix.lower()]
        what = f"{width}x{height} pixels, {rate:g} frames per second, codec {codec}"
        raise ZooError(f"{shown(path)}: OpenCV cannot write it ({what}): is the folder writable? Else try {others[0]}")
    return writer


def _refuse_short(path: Path, partial: Path, written: int) -> None:
    """OpenCV does not tell when a disk is full, and headers promise frames that are not there: count them, not decoded."""
    cv = opencv()
    capture = cv.VideoCapture(str(partial.resolve()), cv.CAP_FFMPEG, [cv.CAP_PROP_FORMAT, -1])
    found = 0
    while found < written and capture.grab():
        found += 1
    capture.release()
    if found < written:
        raise ZooError(f"{shown(path)}: cannot be written: only {found} of {written} frames reached the disk: make room there")


@contextmanager
def _released(capture: cv2.VideoCapture) -> Iterator[None]:
    try:
        yield
    finally:
        capture.release()


def _believed(number: float, low: float, high: float) -> float:
    """A number from a file's header, or 0 where it cannot be true."""
    return number if low <= number <= high else 0.0


def opencv() -> ModuleType:
    """OpenCV without its own lines on standard error: what they mean is said here."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2
