"""What exact resume and safe checkpoints cost: an epoch with them against one without, interleaved, by hand.

    python tests/benchmarks/resume_cost.py FOLDER [--rounds 14] [--always-better]

FOLDER holds a folder of pictures per class. Both sides train the recipe `image_folder` on it by zoo's plain loop, with validation. One is
what a user gets: every sample's random numbers are its own, after each epoch the training state is written, and the weights if they
are the best, with digests and to the disk itself. The other side does none of that. With --always-better the metric rises each epoch,
so that weights are written as often as they can be. See epoch.py for how the sides take turns, and for the allocator's settings.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from epoch import Turns, report, timed

from zoo import build
from zoo.datasets.loaders import Batch, Key, Loaders, Pictures
from zoo.engines import fit
from zoo.engines.loop import Loop
from zoo.recipe import Recipe
from zoo.run import Run


class BareRun(Run):
    """Writes no checkpoint and no weights."""

    def save_checkpoint(self, *arguments: object) -> None:
        """Nothing."""

    keep_weights = load_weights = save_checkpoint


class BarePictures(Pictures):
    """Draws from whatever random state there is."""

    def __getitem__(self, key: int | Key) -> Batch:
        """The sample of a key."""
        record = self.records[key if isinstance(key, int) else key[1]]
        picture, fields = self.source.read(record)
        return {"image": self.preprocess(picture, self.augment), **fields, "index": 0, "path": str(record.path)}


def bare(data: Loaders) -> Loaders:
    """Loaders whose training pictures are bare ones."""
    whole = data.training_pictures()
    data.training_pictures = lambda: BarePictures(whole.source, whole.records, whole.preprocess, whole.augment)
    return data


def training(recipe: Recipe, run: Run) -> Callable[[Any], None]:
    """A training of `run` over loaders that are given later."""

    def train(data: Any) -> None:
        with run:
            Loop().fit(build.task(recipe, data.spec), data, run)

    return train


def main() -> None:
    """Time both sides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--rounds", type=int, default=14)
    parser.add_argument("--always-better", action="store_true")
    arguments = parser.parse_args()
    if arguments.always_better:
        rising, measure = itertools.count(), fit.evaluate
        fit.evaluate = lambda *given, **options: replace(measure(*given, **options), metrics={"accuracy": float(next(rising)), "loss": 0.0})
    with tempfile.TemporaryDirectory(dir=Path.home()) as home:  # on a disk: a folder for temporary files may lie in memory
        os.environ["ZOO_HOME"] = home
        changes = [f"data.root={os.path.abspath(arguments.folder)}", f"train.epochs={arguments.rounds + 2}"]
        recipe = Recipe.read("image_folder", [*changes, "backbone.pretrained=false", "train.device=cpu"])
        kept, without = Run.open(recipe), Run.open(recipe)
        without.__class__ = BareRun
        sides = {
            "kept": Turns(build.loaders(build.source(recipe), recipe), training(recipe, kept)),
            "hand": Turns(bare(build.loaders(build.source(recipe), recipe)), training(recipe, without)),
        }
        for side in sides.values():
            side.epoch()  # warm up
        wall, cpu = timed(sides, arguments.rounds)
        for side in sides.values():
            side.epoch()
            side.thread.join()
    report("wall", "kept", wall)
    report("CPU", "kept", cpu)


if __name__ == "__main__":
    main()
