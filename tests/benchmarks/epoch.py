"""An epoch of zoo under each engine against a hand-written loop over equal loaders: wall and CPU time, interleaved, by hand.

    python tests/benchmarks/epoch.py FOLDER [--engine loop|lightning|mmengine|all] [--rounds 12] [--size 128]

FOLDER holds a folder of pictures per class. Each engine trains through `Engine.fit` with all that a user gets: history, progress and
a checkpoint after each epoch; the loop by hand saves weights and optimiser once an epoch as well. Only validation is left out of
both. Every training runs in a thread of its own that waits at each epoch's edge until it is let go, so that one computes at a time
and the sides take turns; before each turn there is a pause in which the workers of the others come to rest. CPU time is that of the
training process, without its workers. Prints the median of the paired ratios with a 95 % bootstrap interval; the seconds that zoo
itself prints meanwhile hold the turns of the others as well.

What glibc gives back to the system between two steps, and takes again, differs from thread to thread and can cost a third of an
epoch. Keep it from doing so, on all sides alike, by the environment:

    MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_TOP_PAD_=268435456
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from zoo import build, registry
from zoo.datasets.loaders import Batch, Loaders
from zoo.engines import fit
from zoo.evaluate import Evaluation
from zoo.overview import overview
from zoo.recipe import Recipe
from zoo.results import write_drawings
from zoo.run import Run

ENGINES = ("loop", "lightning", "mmengine")
REST = 0.3
"""Seconds before a turn."""


class Turns:
    """Loaders whose training stream waits before each epoch; the training over them runs in a thread of its own."""

    def __init__(self, data: Loaders, train: Callable[[Any], None]) -> None:
        self.data = data
        self.go, self.arrived = threading.Semaphore(0), threading.Semaphore(0)
        self.error: BaseException | None = None
        self.threads = torch.get_num_threads()
        self.thread = threading.Thread(target=self._run, args=(train,), daemon=True)
        self.thread.start()
        self._wait()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)

    def stream(self, epoch: int = 0, batch: int = 0) -> Iterator[Batch]:
        """As that of the loaders, with a stop before each epoch."""
        batches = self.data.stream(epoch, batch)
        while True:
            self.arrived.release()
            self.go.acquire()
            for _ in range(self.data.batches):
                yield next(batches)

    def epoch(self) -> None:
        """Let the training go until it asks for the next epoch's first batch, or ends."""
        self.go.release()
        self._wait()

    def _run(self, train: Callable[[Any], None]) -> None:
        torch.set_num_threads(self.threads)  # OpenMP counts them for each thread that computes
        try:
            train(self)
        except BaseException as error:
            self.error = error
        finally:
            self.arrived.release()

    def _wait(self) -> None:
        self.arrived.acquire()
        if self.error is not None:
            raise self.error


def by_zoo(recipe: Recipe, engine: str) -> Callable[[Any], None]:
    """One of zoo's engines, with a run folder."""
    run = Run.open(recipe)
    return lambda data: registry.load("engines", engine)().fit(build.task(recipe, data.spec), data, run)


def by_hand(recipe: Recipe, folder: Path) -> Callable[[Any], None]:
    """The loop a student writes."""

    def train(data: Any) -> None:
        task = build.task(recipe, data.spec).train()
        optimizer = torch.optim.AdamW(task.parameters(), 1e-3, weight_decay=0.01, fused=True)  # as zoo has it: else that is all one sees
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=recipe.train.epochs * data.batches)
        stream = data.stream()
        for _ in range(recipe.train.epochs):
            total = 0.0
            for _ in range(data.batches):
                batch = next(stream)
                optimizer.zero_grad(set_to_none=True)
                loss = F.cross_entropy(task.logits(batch["image"].float().div_(255)), batch["label"])
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item()
            torch.save({"model": task.state_dict(), "optimizer": optimizer.state_dict(), "loss": total}, folder / "last.pt")

    return train


def nothing_measured(*arguments: object, **options: object) -> Evaluation:
    """In place of validation: the numbers that a recipe looks at."""
    return Evaluation({"accuracy": 0.0, "loss": 0.0}, {}, {}, {})


def main() -> None:
    """Time the engines that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--engine", choices=(*ENGINES, "all"), default="all")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--size", type=int, default=128)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["ZOO_HOME"] = home
        compare(arguments, Path(home))


def compare(arguments: argparse.Namespace, home: Path) -> None:
    """Train all sides in turns and print what an epoch takes them."""
    changes = [
        f"data.root={os.path.abspath(arguments.folder)}",
        f"data.size={arguments.size}",
        f"train.epochs={arguments.rounds + 2}",  # one to warm up and one to end with, neither of which is timed
        "backbone.pretrained=false",
        "train.device=cpu",
    ]
    recipe = Recipe.read("image_folder", changes)
    fit.evaluate = nothing_measured
    engines = ENGINES if arguments.engine == "all" else (arguments.engine,)
    trains = {"hand": by_hand(recipe, home)} | {engine: by_zoo(recipe, engine) for engine in engines}
    sides = {name: Turns(build.loaders(build.source(recipe), recipe), train) for name, train in trains.items()}
    for side in sides.values():
        side.epoch()  # warm up: workers start, memory is laid out
    begun = time.perf_counter()
    write_drawings(Run.open(recipe), overview(sides["hand"].data))
    print(f"figures of the data, once a run: {time.perf_counter() - begun:.2f} s")
    wall, cpu = timed(sides, arguments.rounds)
    for side in sides.values():
        side.epoch()
        side.thread.join()
    for engine in engines:
        report("wall", engine, wall)
        report("CPU", engine, cpu)


def timed(sides: dict[str, Turns], rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Wall-clock and CPU seconds of each side's epochs; who begins changes from round to round."""
    wall: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            time.sleep(REST)
            begun, used = time.perf_counter(), time.process_time()
            sides[name].epoch()
            wall[name].append(time.perf_counter() - begun)
            cpu[name].append(time.process_time() - used)
    return wall, cpu


def report(title: str, engine: str, times: dict[str, list[float]]) -> None:
    """A line on one engine."""
    ratios = [ours / theirs for ours, theirs in zip(times[engine], times["hand"], strict=True)]
    low, high = interval(ratios)
    ours, theirs = statistics.median(times[engine]), statistics.median(times["hand"])
    spread = f"{statistics.median(ratios):.3f} (95 % {low:.3f} to {high:.3f})"
    print(f"{engine:<10}{title:>5}: {ours:.2f} s, by hand {theirs:.2f} s, ratio {spread}, {len(ratios)} rounds")


def interval(values: list[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    dice = random.Random(0)
    medians = sorted(statistics.median(dice.choices(values, k=len(values))) for _ in range(2000))
    return medians[50], medians[1949]


if __name__ == "__main__":
    main()
