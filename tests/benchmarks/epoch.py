"""An epoch of zoo against a hand-written loop over the same loader: wall and CPU time, interleaved, by hand.

    python tests/benchmarks/epoch.py FOLDER [--rounds 12] [--size 128]

FOLDER holds a folder of pictures per class. Everything is on that a user gets: history, progress, validation of nobody (both sides
train only). Prints the median of the paired ratios with a 95 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from zoo import build
from zoo.datasets.loaders import Loaders
from zoo.engines.fit import Fit
from zoo.recipe import Recipe
from zoo.results import overview, write_drawings
from zoo.run import Run


def by_hand(recipe: Recipe, data: Loaders) -> Callable[[], None]:
    """The loop a student writes."""
    task = build.task(recipe, data.spec).train()
    network = torch.nn.Sequential(Vector(task.backbone), task.head)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=10_000)
    stream = data.stream()

    def epoch() -> None:
        total = 0.0
        for _ in range(data.batches):
            batch = next(stream)
            image = batch["image"].float().div_(255)
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(network(image), batch["label"])
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()

    return epoch


class Vector(torch.nn.Module):
    """A backbone's vector as a module."""

    def __init__(self, backbone: torch.nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, width)."""
        return self.backbone.vector(image)


def by_zoo(recipe: Recipe, data: Loaders) -> Callable[[], None]:
    """`Fit`, a step at a time, with history and progress; its validation is taken out, as the other side has none."""
    run = Run.open(recipe)
    task = build.task(recipe, data.spec)
    fit = Fit(task, data, run).__enter__()
    batches = fit.batches()

    def epoch() -> None:
        for _ in range(data.batches):
            fit.step(next(batches))
        run.log({"epoch": fit.epoch, "step": fit.step_number, "train/loss": float(fit.sums["loss"]) / fit.gathered})

    fit._end_epoch = lambda end: None
    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--size", type=int, default=128)
    arguments = parser.parse_args()
    os.environ["ZOO_HOME"] = tempfile.mkdtemp()
    changes = [
        f"data.root={os.path.abspath(arguments.folder)}",
        f"data.size={arguments.size}",
        "train.epochs=1000",
        "backbone.pretrained=false",
        "train.device=cpu",
    ]
    recipe = Recipe.read("image_folder", changes)
    sides = {}
    for name, side in (("zoo", by_zoo), ("hand", by_hand)):
        data = build.loaders(build.source(recipe), recipe)
        sides[name] = side(recipe, data)
        sides[name]()  # warm up: workers start, memory is laid out
    begun = time.perf_counter()
    write_drawings(Run.open(recipe), overview(data))
    print(f"figures of the data, once a run: {time.perf_counter() - begun:.2f} s")
    wall: dict[str, list[float]] = {"zoo": [], "hand": []}
    cpu: dict[str, list[float]] = {"zoo": [], "hand": []}
    for number in range(arguments.rounds):
        for name in ("zoo", "hand") if number % 2 else ("hand", "zoo"):
            begun, used = time.perf_counter(), time.process_time()
            sides[name]()
            wall[name].append(time.perf_counter() - begun)
            cpu[name].append(time.process_time() - used)
    for title, times in (("wall", wall), ("CPU", cpu)):
        ratios = [ours / theirs for ours, theirs in zip(times["zoo"], times["hand"], strict=True)]
        low, high = interval(ratios)
        seconds = {name: statistics.median(values) for name, values in times.items()}
        spread = f"{statistics.median(ratios):.3f} (95 % {low:.3f} to {high:.3f})"
        print(f"{title}: zoo {seconds['zoo']:.2f} s, by hand {seconds['hand']:.2f} s, ratio {spread}, {len(ratios)} rounds")


def interval(values: list[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    dice = random.Random(0)
    medians = sorted(statistics.median(dice.choices(values, k=len(values))) for _ in range(2000))
    return medians[50], medians[1949]


if __name__ == "__main__":
    main()
