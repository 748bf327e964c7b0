"""A classifier's part of the command `predict` before a camera or a video: labels that do not flicker, drawn, written and printed."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from zoo.abilities import refusal
from zoo.cells import bare, guarded
from zoo.errors import RecipeError, shown
from zoo.figures.label import labelled
from zoo.frames import footage
from zoo.frames.region import Corners, parsed, within
from zoo.frames.smoothing import CONSTANT, THRESHOLD, WRONG, Shown, Smoother, background_of, fitted
from zoo.frames.video import Frame, Picture, Video, film
from zoo.frames.watch import watch
from zoo.frames.window import ENDS, Window, window
from zoo.model import Model, Prediction
from zoo.partial import growing_lines, growing_rows
from zoo.progress import say
from zoo.tasks.task import Classifies

Write = Callable[[Frame, Shown], None]
NONE = "-"
"""Stands for no label where texts are printed."""

_MOST_BYTES = 2**26  # of a run's predictions that are read
_MOST_ROWS = 1_000_000


def video(model: Model, arguments: argparse.Namespace) -> int:
    """Labels of a video's or a camera's frames, to where the options say; ends with 130 if Ctrl-C ended a file."""
    if not isinstance(model.task, Classifies):
        raise refusal(model, "predicts no classes")
    box = None if arguments.box is None else parsed(arguments.box)
    batch_size = footage.batch_size(arguments, 1)
    if arguments.drawn:
        footage.refuse_no_film(arguments)
    smoother = _smoother(model, arguments)
    with footage.source(arguments) as opened, window("zoo predict", arguments.preview is not False) as screen:
        newest: list[Picture] = []
        outputs = _outputs(arguments, model, opened, partial(_draw, model.labels, box, smoother.threshold), newest if screen else None)
        with ExitStack() as stack:
            writers = [stack.enter_context(output) for output in outputs]

            def write(frame: Frame, probabilities: npt.NDArray[np.float64]) -> None:
                said = smoother.update(frame.seconds, probabilities)
                for each in writers:
                    each(frame, said)

            done = watch(opened, partial(_classify, model, box, opened.name), write, batch_size, partial(_goes_on, screen, newest))
        footage.end(opened, done)
    return 0


def _classify(model: Model, box: Corners | None, name: str, pictures: list[Picture]) -> list[npt.NDArray[np.float64]]:
    """What the model says of each frame, or of the part of it in the box: (C,)."""
    seen = [_part(picture, box, name) for picture in pictures]
    return [np.array(list(each.scores.values())) for each in model.predict(seen, len(seen)) if isinstance(each, Prediction)]


def _part(picture: Picture, box: Corners | None, name: str) -> Picture:
    if box is None:
        return picture
    left, top, right, bottom = within(box, picture.shape[1], picture.shape[0], name)
    return picture[top:bottom, left:right]


def _goes_on(screen: Window | None, newest: list[Picture]) -> bool:
    """Show the newest picture that was drawn; whether nobody closed the window."""
    return screen is None or not newest or screen.show(newest[-1]) not in ENDS


# ---------------------------------------------------------------- when a label is shown


def _smoother(model: Model, arguments: argparse.Namespace) -> Smoother:
    background = background_of(model.labels)
    threshold = arguments.threshold
    if threshold is None:
        threshold = _fitted(model, None if background is None else model.labels[background])
    elif not 0 <= threshold <= 1:
        raise RecipeError(f"--threshold {threshold:g}: expected a score from 0 to 1, such as {THRESHOLD}")
    constant = CONSTANT if arguments.smooth is None else arguments.smooth
    if not 0 <= constant < float("inf"):
        raise RecipeError(f"--smooth {constant:g}: expected seconds from 0 on, such as {CONSTANT}; 0 takes every frame by itself")
    if background is None:
        say("no class is named background or no_gesture: every label competes alike")
    return Smoother(background, threshold, constant)


def _fitted(model: Model, background: str | None) -> float:
    """The threshold that what the run says of its validation pictures asks for; `THRESHOLD` where that is not known."""
    found = fitted(_answers(model.origin / "predictions_val.csv"), background)
    if found is None:
        say(f"threshold {THRESHOLD}: nothing is known of the model's errors; --threshold SCORE sets another")
        return THRESHOLD
    threshold, wrong = found
    reason = f"{wrong:.1%} of what is shown of the validation pictures at it is wrong"
    more = "" if wrong <= WRONG else f", more than the {WRONG:.0%} wished for"
    say(f"threshold {threshold:g}: {reason}{more}; --threshold SCORE sets another")
    return threshold


def _answers(path: Path) -> Iterator[tuple[str, str, float]]:
    """Truth, likeliest class and probability of each row of a run's predictions; none of a file that is not there or not whole."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, csv.Error):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _MOST_BYTES:
            text = path.read_text(encoding="utf-8", errors="replace")
            for row in islice(csv.DictReader(io.StringIO(text, newline="")), _MOST_ROWS):
                yield bare(row["truth"]), bare(row["prediction"]), float(row["score"])


# ---------------------------------------------------------------- what comes out


def _outputs(
    arguments: argparse.Namespace, model: Model, opened: Video, draw: Callable[[Frame, Shown], Picture], newest: list[Picture] | None
) -> list[AbstractContextManager[Write]]:
    """The writers that were asked for; changes are printed if none was."""
    outputs: list[AbstractContextManager[Write]] = []
    if arguments.drawn or newest is not None:  # first, so that the film is finished last: where the disk is full, small files are whole
        outputs.append(_drawn(arguments.drawn, opened, draw, newest))
    if arguments.csv:
        outputs.append(_rows(arguments.csv, model.labels))
    if arguments.json:
        outputs.append(_json_lines(arguments.json, model.labels))
    return outputs if arguments.drawn or arguments.csv or arguments.json else [*outputs, _printed(model.labels)]


def _draw(labels: Sequence[str], box: Corners | None, threshold: float, frame: Frame, said: Shown) -> Picture:
    height, width = frame.picture.shape[:2]
    part = None if box is None else within(box, width, height, "frame")
    label = None if said.label is None else labels[said.label]
    return labelled(frame.picture, label, said.score, said.label or 0, part, threshold)


@contextmanager
def _drawn(path: Path | None, opened: Video, draw: Callable[[Frame, Shown], Picture], newest: list[Picture] | None) -> Iterator[Write]:
    """A film of the frames with their labels, if asked for; the newest of them for the window, if there is one."""
    count = 0
    with ExitStack() as stack:
        add = None if path is None else stack.enter_context(film(path, opened.rate, opened.live))

        def write(frame: Frame, said: Shown) -> None:
            nonlocal count
            picture = draw(frame, said)
            if newest is not None:
                newest[:] = [picture]
            if add is not None:
                add(picture, frame.seconds)
                count += 1

        yield write
    if path is not None:
        say(f"wrote {count} frames to {path}")


@contextmanager
def _printed(labels: Sequence[str]) -> Iterator[Write]:
    """A line on standard output whenever what is shown changes: score, label, frame and seconds."""
    before: list[int | None] = []

    def write(frame: Frame, said: Shown) -> None:
        if before[-1:] != [said.label]:
            before[:] = [said.label]
            label = NONE if said.label is None else shown(labels[said.label])
            print(f"{said.score:.6f}  {label}  {frame.number}  {frame.seconds:.3f}", flush=True)

    yield write


@contextmanager
def _rows(path: Path, labels: Sequence[str]) -> Iterator[Write]:
    """CSV with a row a frame; the label is empty where none is shown."""
    with growing_rows(path, ("frame", "seconds", "label", "score")) as add:

        def write(frame: Frame, said: Shown) -> None:
            label = "" if said.label is None else guarded(labels[said.label])
            add((frame.number, f"{frame.seconds:.3f}", label, f"{said.score:.6f}"))

        yield write


@contextmanager
def _json_lines(path: Path, labels: Sequence[str]) -> Iterator[Write]:
    """A JSON object a line and frame: `frame`, `seconds`, `label` (null where none is shown), `score`, and `scores`, the averages."""
    with growing_lines(path) as add:

        def write(frame: Frame, said: Shown) -> None:
            label = None if said.label is None else labels[said.label]
            scores = dict(zip(labels, np.round(said.probabilities, 6).tolist(), strict=True))
            seconds, score = round(frame.seconds, 3), round(said.score, 6)
            add({"frame": frame.number, "seconds": seconds, "label": label, "score": score, "scores": scores})

        yield write
