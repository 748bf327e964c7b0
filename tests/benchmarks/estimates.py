"""What is estimated before a training, beside what the training then takes: peak memory and seconds an epoch; by hand, ten minutes.

    python tests/benchmarks/estimates.py [RECIPE ...] [--steps 60] [--write] [--change key=value ...]

For each recipe one process draws the pictures, one estimates and one trains two epochs without an estimate before, by the recipe's engine,
with validation and saving. Memory is measured from just before the training, with network and data in place, to its end: on the CPU by
how much the peak of the resident size (VmHWM) is above the size before, without the processes that read; on a GPU
`torch.cuda.max_memory_allocated`. Seconds are those of the last epoch's row of the history, training and validation; where `--steps`
cut it short, the training part is scaled. Cores are the CPU time of the process a second: where other programs share the machine and
the two processes got unequal parts of it, seconds differ for that alone. Targets: memory within 25 %, seconds within 50 %.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from zoo import bench, build
from zoo.device import compute_device
from zoo.estimate import estimate
from zoo.memory import Memory
from zoo.recipe import Recipe
from zoo.run import Run

RECIPES = ("simpsons_mobilenetv2", "mpii_se_resnet18", "ph2_unet", "mnist_vae", "faces_dcgan_64")
TARGETS = {"memory": 0.25, "seconds": 0.5}


def drawn(recipe: Recipe) -> dict[str, float]:
    """Nothing but the pictures: a process that drew them has memory at hand that one which finds them must ask for."""
    build.loaders(build.source(recipe), recipe)
    return {}


def predicted(recipe: Recipe) -> dict[str, float]:
    """By the estimate."""
    data = build.loaders(build.source(recipe), recipe)
    task = build.task(recipe, data.spec)
    begun, used = time.perf_counter(), time.process_time()
    found = estimate(task, data, recipe)
    taken = time.perf_counter() - begun
    cores = (time.process_time() - used) / taken
    return {"memory": found.memory or 0, "seconds": found.epoch_seconds, "cores": cores, "taken": taken, "tried": found.tried}


def measured(recipe: Recipe) -> dict[str, float]:
    """Of a training."""
    data = build.loaders(build.source(recipe), recipe)
    task = build.task(recipe, data.spec)
    with Run.open(recipe) as run:
        memory = Memory(compute_device(recipe.train.device))
        memory.begin()
        begun, used = time.perf_counter(), time.process_time()
        build.engine(recipe).fit(task, data, run)
        taken = time.perf_counter() - begun
        peak = memory.peak()
        *before, row = run.history()
    steps, training = row["step"] - (before[-1]["step"] if before else 0), row["train_seconds"]
    seconds = training * data.batches / steps + row["seconds"] - training
    return {"memory": peak, "seconds": seconds, "cores": (time.process_time() - used) / taken, "taken": taken}


SIDES = {"draw": drawn, "estimate": predicted, "train": measured}


def alone(side: str, name: str, changes: list[str]) -> dict[str, float]:
    """What a process of its own finds."""
    command = [sys.executable, __file__, name, "--alone", side, *(word for change in changes for word in ("--change", change))]
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"ZOO_HOME": home}
        environment.setdefault("ZOO_DATA", os.path.join(tempfile.gettempdir(), "zoo_estimates"))  # drawn once for all processes
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(name: str, changes: list[str], write: bool) -> None:
    """A recipe's lines."""
    _, before, after = (alone(side, name, changes) for side in SIDES)
    tried = f"estimated in {before['taken']:.1f} s with up to {before['tried']:.0f} pictures, trained in {after['taken']:.0f} s"
    print(f"{name}: {tried}; cores {before['cores']:.2f} and {after['cores']:.2f}")
    for what, unit, scale in (("memory", "MB", 1e6), ("seconds", "s", 1.0)):
        ratio = before[what] / after[what]
        verdict = "met" if abs(ratio - 1) <= TARGETS[what] else "NOT MET"
        said = f"predicted {before[what] / scale:.1f} {unit}, measured {after[what] / scale:.1f} {unit}"
        print(f"  {what:<8} {said}, ratio {ratio:.2f}, target within {TARGETS[what]:.0%}: {verdict}", flush=True)
        if write:
            note = said if what == "memory" else f"{said}; cores {before['cores']:.2f} and {after['cores']:.2f}"
            bench.append(name, "synthetic", f"estimate/{what}", ratio, after["taken"], note)


def main() -> None:
    """Compare, or do one side of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", default=RECIPES)
    parser.add_argument("--steps", type=int, default=60, help="most steps of a training")
    parser.add_argument("--change", action="append", default=[], metavar="key=value", help="of all recipes")
    parser.add_argument("--write", action="store_true", help="append to docs/results.csv")
    parser.add_argument("--alone", choices=SIDES, help=argparse.SUPPRESS)
    given: Any = parser.parse_args()
    if given.alone:
        print(json.dumps(SIDES[given.alone](Recipe.read(given.recipes[0], given.change))))
        return
    changes = ["data.synthetic=always", "train.epochs=2", f"train.max_steps={given.steps}", *given.change]
    for name in given.recipes:
        compare(name, changes, given.write)


if __name__ == "__main__":
    main()
