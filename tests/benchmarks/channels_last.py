"""What a training step costs with pictures and weights laid out channels last, beside channels first; by hand, some minutes a recipe.

    python tests/benchmarks/channels_last.py RECIPE ... [--rounds 12] [--batch 16] [--change key=value ...]

Each recipe's network is made twice from the same weights, once in each layout, and learns the same drawn batch, turn by turn. Given are
the medians of a step and the median of the rounds' ratios, last to first, with the interval that holds it with at least 95 %, in CPU
time and on the clock, for steps in 32-bit floats and in bfloat16.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from intervals import ratio

from zoo import build
from zoo.datasets.loaders import collate, to_device
from zoo.engines.engine import training_step
from zoo.engines.update import Updater
from zoo.recipe import Recipe
from zoo.tasks.task import Task

CPU = torch.device("cpu")
LAYOUTS = {"first": torch.contiguous_format, "last": torch.channels_last}
Step = Callable[[], object]


def steps(recipe: Recipe, pictures: int) -> dict[str, Step]:
    """A step of training in each layout."""
    data = build.loaders(build.source(recipe), recipe)
    task = build.task(recipe, data.spec).train()
    drawn, keys = data.training_pictures(), data.sampler.epoch(0)
    batch = to_device(collate([drawn[keys[place % len(keys)]] for place in range(pictures)]), CPU)
    made: dict[str, Step] = {}
    for name, layout in LAYOUTS.items():
        own = copy.deepcopy(task).to(memory_format=layout)
        own.start_epoch(recipe.train.epochs - 1)  # everything that will ever learn does
        updater = Updater(own, recipe.train, recipe.monitor, data.batches, CPU)
        moved = batch | {"image": batch["image"].contiguous(memory_format=layout)}
        made[name] = partial(training_step, partial(_losses, own, recipe.train.precision), own.players(), moved, updater.update)
    return made


def _losses(task: Task, precision: object, batch: dict[str, torch.Tensor], player: str) -> dict[str, torch.Tensor]:
    with torch.autocast("cpu", torch.bfloat16, enabled=precision != 32):
        return task.losses(batch, player)


def compare(name: str, recipe: Recipe, pictures: int, rounds: int) -> str:
    """A line of the table."""
    both = steps(recipe, pictures)
    times: dict[str, list[tuple[float, float]]] = {layout: [] for layout in both}
    for turn in range(-1, rounds):
        for layout in sorted(both, reverse=bool(turn % 2)):
            begun, used = time.perf_counter(), time.process_time()
            both[layout]()
            if turn >= 0:
                times[layout].append((time.perf_counter() - begun, time.process_time() - used))
    said = []
    for clock in (1, 0):
        first, last = ([taken[clock] for taken in times[layout]] for layout in both)
        milliseconds = f"{1e3 * statistics.median(first):.0f} -> {1e3 * statistics.median(last):.0f} ms"
        said.append(f"{milliseconds}, {ratio(last, first)}")
    return f"{name:<24}{recipe.train.precision!s:<6}CPU {said[0]:<42}wall {said[1]}"


def main() -> None:
    """A line a recipe and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", metavar="RECIPE")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--change", action="append", default=[], metavar="key=value", help="of all recipes")
    given = parser.parse_args()
    print(f"batches of {given.batch}, {torch.get_num_threads()} threads")
    for name in given.recipes:
        for precision in ("32", "bf16"):
            recipe = Recipe.read(name, ["data.synthetic=always", f"train.precision={precision}", *given.change])
            print(compare(name, recipe, given.batch, given.rounds), flush=True)


if __name__ == "__main__":
    main()
