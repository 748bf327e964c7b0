"""What a video costs beside the model: reading, drawing and writing in threads against one thing after the other, interleaved, by hand.

    python tests/benchmarks/video.py RUN [VIDEO] [--rounds 3] [--threads 2] [--batch-size 4] [--threshold SCORE] [--frames 200]

RUN is a trained detector, VIDEO a file; without one, 640x480 pixels of moving pictures are written first. Both sides read every frame,
find its boxes, write them as JSON lines, draw them and write a film:

    threads    as the command `predict --video` does it: frames are read ahead in one thread, drawn and written behind in another
    in turn    a loop as one would write it

Given are, as medians over the rounds with their extremes: frames per second, the share of the time outside of the model (`Model.detect`:
resizing, network, boxes), and the share outside of the network alone. Target: at most 25 % outside of the model on two cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

import zoo
from zoo.frames.box_files import Seen, Write, drawn_film, json_lines
from zoo.frames.video import Frame, Picture, Video, film, open_video
from zoo.frames.watch import watch
from zoo.model import Detections, Model

TARGET = 0.25


@dataclass
class Clock:
    """Seconds spent in a function."""

    call: Callable[..., Any]
    seconds: float = 0.0

    def __call__(self, *given: object) -> Any:
        """Call it."""
        start = time.perf_counter()
        found = self.call(*given)
        self.seconds += time.perf_counter() - start
        return found


@dataclass(frozen=True)
class Round:
    """One way through the video."""

    frames: int
    seconds: float
    model: float
    network: float


def in_turn(
    video: Video, detect: Callable[[list[Picture]], list[Detections]], write: Callable[[Frame, Detections], None], batch: int
) -> int:
    """What `watch` does, without threads."""
    frames, done = video.frames(), 0
    while chunk := list(islice(frames, batch)):
        for frame, found in zip(chunk, detect([frame.picture for frame in chunk]), strict=True):
            write(frame, found)
            done += 1
    return done


def go(model: Model, path: Path, threads: bool, batch: int, threshold: float | None) -> Round:
    """Through the video once, with all that is written."""
    task: Any = model.task
    network = Clock(task.detect)
    task.detect = network
    detect = Clock(lambda pictures: model.detect(pictures, batch, threshold))
    try:
        with tempfile.TemporaryDirectory() as folder, open_video(path) as video, ExitStack() as stack:
            outputs = (drawn_film(Path(folder, "a.mp4"), video.rate, False, model.labels), json_lines(Path(folder, "a.jsonl")))
            writers: list[Write] = [stack.enter_context(output) for output in outputs]

            def write(frame: Frame, found: Detections) -> None:
                for each in writers:
                    each(Seen(frame.number, {"frame": frame.number, "seconds": frame.seconds}, lambda: frame.picture), found)

            start = time.perf_counter()
            frames = watch(video, detect, write, batch).frames if threads else in_turn(video, detect, write, batch)
            return Round(frames, time.perf_counter() - start, detect.seconds, network.seconds)
    finally:
        del task.detect


def moving(path: Path, frames: int) -> Path:
    """A video in which everything moves: what is dear to read and to write."""
    generator = np.random.default_rng(0)
    coarse = torch.from_numpy(generator.random((1, 3, 30, 40), np.float32))
    ground = torch.nn.functional.interpolate(coarse, (480, 640), mode="bilinear")[0].movedim(0, -1).mul(255).byte().numpy()
    with film(path, 25) as add:
        for number in range(frames):
            picture = np.roll(ground, 3 * number, 1)
            add(picture ^ generator.integers(0, 16, picture.shape, np.uint8), number / 25)
    return path


def said(title: str, rounds: list[Round]) -> str:
    """A line for people."""
    rates = [each.frames / each.seconds for each in rounds]
    shares = {
        "outside of the model": [1 - each.model / each.seconds for each in rounds],
        "of the network": [1 - each.network / each.seconds for each in rounds],
    }
    parts = [f"{name} {statistics.median(found):.1%} ({min(found):.1%} to {max(found):.1%})" for name, found in shares.items()]
    return f"{title:<8} {statistics.median(rates):6.1f} frames per second; {', '.join(parts)}"


def compare(model: Model, path: Path, rounds: int, batch: int, threshold: float | None) -> str:
    """Both sides in turns, after one to warm up."""
    go(model, path, True, batch, threshold)
    found: dict[bool, list[Round]] = {True: [], False: []}
    for number in range(rounds):
        for threads in (True, False) if number % 2 else (False, True):
            found[threads].append(go(model, path, threads, batch, threshold))
    share = statistics.median(1 - each.model / each.seconds for each in found[True])
    verdict = f"outside of the model {share:.1%}, target at most {TARGET:.0%}: {'met' if share <= TARGET else 'NOT MET'}"
    return "\n".join([said("threads", found[True]), said("in turn", found[False]), verdict])


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--frames", type=int, default=200, help="of the video that is written")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = given.video or moving(Path(folder, "moving.mp4"), given.frames)
        print(compare(zoo.load(given.run), path, given.rounds, given.batch_size, given.threshold))


if __name__ == "__main__":
    main()
