"""Do three networks together beat the best of them, and does looking at a picture four times help? On real pictures, by hand.

    python tests/benchmarks/real_ensembles.py FOLDER_OF_CLASSES --weights TORCH_HOME [--write] [key=value ...]

On each split three members are trained that differ in their seed alone. Told are the members' accuracies on a test part, that of the
ensemble with equal weights, and that of each member by itself with views. The best member is the one that val says: chosen on the test
part itself, it would be the luckiest one.
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
VIEWS = {"flip": ["flip"], "flip_and_zoom": ["flip", "zoom"]}


def joined(runs: list[Run], folder: Path, **options: object) -> float:
    """test/accuracy of these runs' ensemble."""
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
    value: float = train(file).metrics["test/accuracy"]
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
    data = [f"data.root={os.path.abspath(arguments.folder)}", "backbone.pretrained=torchvision", "split.test=0.2", *arguments.changes]
    begun = time.process_time()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for split in range(arguments.splits):
            runs = [train("image_folder", [*data, f"split.seed={split}", f"seed={seed}"]) for seed in SEEDS]
            scores = [run.metrics["test/accuracy"] for run in runs]
            best = max(range(len(runs)), key=lambda number: runs[number].metrics["val/accuracy"])
            of_split = {"of_three_together": [joined(runs, folder)], "of_the_best_by_val": [scores[best]], "of_one": scores}
            of_split |= {f"of_one_with_{name}": [joined([run], folder, views=views) for run in runs] for name, views in VIEWS.items()}
            for name, values in of_split.items():
                found.setdefault(name, []).extend(values)
            print(f"split {split}:", {name: [round(value, 4) for value in values] for name, values in of_split.items()}, flush=True)
    seconds = (time.process_time() - begun) / arguments.splits
    splits, words = f"split seeds 0-{arguments.splits - 1}", " ".join(arguments.changes)
    note = f"274 real cut-outs in 8 classes, mean over {splits}, members' seeds 0-2 {words}".strip()
    for name, values in found.items():
        mean = statistics.mean(values)
        print(f"test/accuracy_{name} {mean:.4f}")
        if arguments.write:
            bench.append("image_folder", "real", f"test/accuracy_{name}", mean, seconds, note)


if __name__ == "__main__":
    main()
