"""A detector's part of the command `predict`: boxes in pictures, in a video and before a camera, and an alarm."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.datasets.pictures import read_picture
from zoo.errors import RecipeError, shown
from zoo.frames import box_files, footage
from zoo.frames.alarm import Alarm
from zoo.frames.box_files import Seen, Write
from zoo.frames.video import Frame, Picture
from zoo.frames.watch import watch
from zoo.nearest import nearest
from zoo.predict import BATCH, png_names
from zoo.progress import track

if TYPE_CHECKING:
    from zoo.model import Detections, Model

ALARM_FRAMES = 5


def pictures(model: Model, files: Sequence[Path], arguments: argparse.Namespace) -> int:
    """Boxes of pictures, to where the options say."""
    for option in ("alarm", "alarm_frames"):
        if getattr(arguments, option) is not None:
            raise RecipeError(f"--{option.replace('_', '-')}: pictures have no frames running; take it with --video or --camera")
    numbers, ids = _image_ids(files)
    names = png_names(files, arguments.drawn, "--drawn") if arguments.drawn else []
    found = model.detect(files, BATCH if arguments.batch_size is None else arguments.batch_size, arguments.threshold)
    outputs = _files(arguments, model, ("path",), ids)
    if arguments.drawn:
        outputs.append(box_files.drawn_pictures(arguments.drawn, dict(zip(numbers, names, strict=True)), model.labels))
    with _all(outputs) as write:
        for number, file, each in track(zip(numbers, files, found, strict=True), "writing boxes", len(files), "pictures"):
            write(Seen(number, {"path": str(file)}, partial(_read, file)), each)
    return 0


def video(model: Model, arguments: argparse.Namespace) -> int:
    """Boxes of a video or a camera, to where the options say; ends with 130 if Ctrl-C ended a file."""
    alarm = _alarm(arguments, model)
    if arguments.drawn:
        footage.refuse_no_film(arguments)
    batch_size = footage.batch_size(arguments, footage.VIDEO_BATCH)
    with footage.source(arguments) as opened:
        outputs = _files(arguments, model, ("frame", "seconds"), "the frame's number, from 1 on")
        if arguments.drawn:  # first, so that it is finished last: where the disk is full, the small files are whole by then
            outputs.insert(0, box_files.drawn_film(arguments.drawn, opened.rate, opened.live, model.labels))
        with _all([*outputs, _alarms(alarm)] if alarm else outputs) as write:
            done = watch(opened, partial(_detect, model, arguments.threshold), partial(_write, write), batch_size)
        footage.end(opened, done)
    return 0


def _files(arguments: argparse.Namespace, model: Model, where: Sequence[str], ids: str) -> list[AbstractContextManager[Write]]:
    """The writers that were asked for; rows are printed if none was."""
    outputs: list[AbstractContextManager[Write]] = []
    if arguments.csv:
        outputs.append(box_files.rows(arguments.csv, where))
    if arguments.json:
        outputs.append(box_files.json_lines(arguments.json))
    if arguments.coco:
        outputs.append(box_files.coco_results(arguments.coco, model.labels, ids))
    quiet = outputs or arguments.drawn or arguments.alarm
    return outputs if quiet else [box_files.printed()]


@contextmanager
def _all(outputs: Sequence[AbstractContextManager[Write]]) -> Iterator[Write]:
    """One writer of several."""
    with ExitStack() as stack:
        writers = [stack.enter_context(output) for output in outputs]

        def write(seen: Seen, found: Detections) -> None:
            for each in writers:
                each(seen, found)

        yield write


def _write(write: Write, frame: Frame, found: Detections) -> None:
    write(Seen(frame.number, {"frame": frame.number, "seconds": round(frame.seconds, 3)}, lambda: frame.picture), found)


def _detect(model: Model, threshold: float | None, frames: list[Picture]) -> list[Detections]:
    return model.detect(frames, len(frames), threshold)


def _read(file: Path) -> Picture:
    return np.asarray(read_picture(file))


def _image_ids(files: Sequence[Path]) -> tuple[list[int], str]:
    """A number for each picture, and what it is: COCO's own pictures are named by their ids."""
    names = [file.stem for file in files]
    if all(name.isascii() and name.isdigit() and len(name) < 16 for name in names) and len({int(name) for name in names}) == len(names):
        return [int(name) for name in names], "the number that is the picture's name"
    return list(range(1, len(files) + 1)), "the picture's place among those given, from 1 on"


# ---------------------------------------------------------------- alarm


def _alarm(arguments: argparse.Namespace, model: Model) -> Alarm | None:
    """Raises RecipeError for a class that the model does not know, or a wrong number of frames."""
    frames = ALARM_FRAMES if arguments.alarm_frames is None else arguments.alarm_frames
    if arguments.alarm is None:
        if arguments.alarm_frames is not None:
            raise RecipeError(f"--alarm-frames {frames}: expected --alarm CLASS with it, one of {', '.join(map(shown, model.labels))}")
        return None
    if arguments.alarm not in model.labels:
        known = f"expected one of {', '.join(map(shown, model.labels))}"
        raise RecipeError(f"--alarm {shown(arguments.alarm)}: no class of this model{nearest(arguments.alarm, model.labels)}; {known}")
    if frames < 1:
        raise RecipeError(f"--alarm-frames {frames}: expected a number from 1 on, such as {ALARM_FRAMES}")
    return Alarm(arguments.alarm, frames)


@contextmanager
def _alarms(alarm: Alarm) -> Iterator[Write]:
    def write(seen: Seen, found: Detections) -> None:
        _announce(alarm.update(seen.number, float(seen.where["seconds"]), found.labels))

    yield write
    _announce(alarm.end())


def _announce(line: str | None) -> None:
    if line is not None:
        if sys.stderr.isatty():  # a bar may stand there
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
        print(line, flush=True)
