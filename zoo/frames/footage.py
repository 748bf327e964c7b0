"""What the commands have in common that go through a video file or before a camera: which, how many frames at once, and how it ends."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from pathlib import Path

from zoo.errors import DataError, RecipeError
from zoo.frames.video import Video, open_camera, open_video, refuse_film
from zoo.frames.watch import Watched
from zoo.progress import say

VIDEO_BATCH = 4
"""Frames of a video file that go through a detector at once, if nothing is said; a camera's go one by one."""


def source(arguments: argparse.Namespace) -> AbstractContextManager[Video]:
    """The video or the camera that was given."""
    return open_camera(arguments.camera) if arguments.video is None else open_video(arguments.video)


def batch_size(arguments: argparse.Namespace, usual: int) -> int:
    """Frames that go through the network at once, of a file `usual` if nothing is said; raises RecipeError for no such number."""
    default = 1 if arguments.video is None else usual
    given: int = default if arguments.batch_size is None else arguments.batch_size
    if given < 1:
        raise RecipeError(f"--batch-size {given}: expected a whole number from 1 on, such as {default}")
    return given


def refuse_no_film(arguments: argparse.Namespace) -> None:
    """Raise RecipeError where no film can be written, before the work."""
    path: Path = arguments.drawn
    refuse_film(path)
    if (path.exists() and not path.is_file()) or not path.parent.is_dir():
        reason = "is no file" if path.exists() else f"there is no folder {path.parent}"
        raise RecipeError(f"--drawn {path}: {reason}; expected a video to write, in a folder that exists")
    if arguments.video is not None and path.resolve() == arguments.video.resolve():
        raise RecipeError(f"--drawn {path}: this is the video that was given, and would be written over; choose another file")


def end(opened: Video, done: Watched) -> None:
    """Say how it went and what is missing.

    Raises:
        DataError: a file ends before its end, or a camera gave no more.
        KeyboardInterrupt: a person ended a file.
    """
    own = f" (its own rate is {opened.rate:g})" if opened.rate else ""
    say(f"{opened.name}: {done}{own}")
    if done.latency:
        say(f"{opened.name}: {done.latency}")
    if done.interrupted and opened.live:
        return
    if done.interrupted:
        raise KeyboardInterrupt
    refuse_cut(opened, done.frames, done.last)


def refuse_cut(opened: Video, frames: int, last: float) -> None:
    """Say what is missing in a video that was seen to its end, so many frames, the last at `last` seconds; DataError if it is the end."""
    if opened.live:
        raise DataError(f"{opened.name}: it gave no more frames; what was asked for is written up to there: see that it is connected")
    lacking, cut = opened.lacking(frames, last)
    if cut:
        raise DataError(f"{lacking}: it is truncated or broken; what was asked for is written up to there: copy the video again")
    if lacking:
        say(f"{lacking}: it may be broken")
