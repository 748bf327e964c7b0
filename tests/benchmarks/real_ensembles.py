"""Do three networks together beat the best of them, and does looking at a picture four times help? On real pictures, by hand.

    python tests/benchmarks/real_ensembles.py FOLDER_OF_CLASSES --weights TORCH_HOME [--write] [key=value ...]

On each split three members are trained that differ in their seed alone. Told are the members' accuracies on val, that of the ensemble with
equal weights, and that of each member by itself with the views `flip` and `zoom`; all on the pictures that chose each member's epoch.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from zoo import bench
from zoo.document import dump
from zoo.run import Run
from zoo.train import train

SEEDS = (0, 1, 2)
SHARED = ("size", "fit", "crop", "root", "workers")


def joined(runs: list[Run], folder: Path, **options: object) -> float:
    """val/accuracy of these runs' ensemble."""
    plain = runs[0].recipe.to_dict()
    recipe = {
        "question": "What do they say together?",
        "split": plain["split"],
        "data": {"name": "image_folder", "synthetic": "never"} | {key: plain["data"][key] for key in SHARED},
        "task": {"name": "ensemble", "members": [str(run.folder) for run in runs]} | options,
        "train": {"engine": "combine", "batch_size": 32},
        "monitor": {"metric": "val/accuracy", "mode": "max"},
    }
    file = folder / "together.yaml"
    file.write_text(dump(recipe), encoding="utf-8")
    value: float = train(file).metrics["val/accuracy"]
    return value


def main() -> None:
    """Train, put together, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="of the members' recipe, image_folder")
    parser.add_argument("--weights", required=True, help="TORCH_HOME that holds MobileNetV2's ImageNet weights")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="append to docs/results.csv")
    arguments = parser.parse_intermixed_args()
    os.environ["TORCH_HOME"] = os.path.abspath(arguments.weights)
    data = [f"data.root={os.path.abspath(arguments.folder)}", "backbone.pretrained=torchvision", *arguments.changes]
    begun, together, alone, viewed, single = time.process_time(), [], [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for split in range(arguments.splits):
            runs = [train("image_folder", [*data, f"split.seed={split}", f"seed={seed}"]) for seed in SEEDS]
            scores = [run.metrics["val/accuracy"] for run in runs]
            alone.append(max(scores))
            together.append(joined(runs, folder))
            single += scores
            viewed += [joined([run], folder, views=["flip", "zoom"]) for run in runs]
            told = " ".join(f"{score:.4f}" for score in scores)
            print(f"split {split}: members {told}, together {together[-1]:.4f}; with views {viewed[-len(SEEDS) :]}", flush=True)
    seconds = (time.process_time() - begun) / arguments.splits
    found = {
        "val/accuracy_of_three_together": statistics.mean(together),
        "val/accuracy_of_the_best_of_three": statistics.mean(alone),
        "val/accuracy_with_four_views": statistics.mean(viewed),
        "val/accuracy_with_one_view": statistics.mean(single),
    }
    splits, words = f"split seeds 0-{arguments.splits - 1}", " ".join(arguments.changes)
    note = f"274 real cut-outs in 8 classes, mean over {splits}, members' seeds 0-2 {words}".strip()
    for name, value in found.items():
        print(f"{name} {value:.4f}")
        if arguments.write:
            bench.append("image_folder", "real", name, value, seconds, note)


if __name__ == "__main__":
    main()
