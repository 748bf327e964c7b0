"""Do three networks together beat the best of them, and does looking at a picture four times help? On real pictures, by hand.

    python tests/benchmarks/real_ensembles.py FOLDER_OF_CLASSES --weights TORCH_HOME [--networks A B C] [--write] [key=value ...]

On each split three members are trained that differ in their seeds, and in their networks if these are given. Told are the members'
accuracies on a test part, that of the ensemble with equal weights, and that of each member by itself with views. The best member is the
one that val says: chosen on the test part itself, it would be the luckiest one. Differences have an interval of 95 % by a paired
bootstrap of the pictures.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import tempfile
import time
from pathlib import Path

from zoo import bench
from zoo.document import dump
from zoo.metrics.bootstrap import paired_difference
from zoo.run import Run
from zoo.train import train

SHARED = ("size", "fit", "crop", "root", "workers")
VIEWS = {"flip": ["flip"], "flip_and_zoom": ["flip", "zoom"]}
OF = ("", "", "_two_networks", "_three_networks")
BESIDE = {"of_three_together": "of_the_best_by_val", "of_one_with_flip": "of_one", "of_one_with_flip_and_zoom": "of_one"}
Hits = dict[str, float]
"""Of each test picture whether the answer was right."""


def hits(run: Run) -> Hits:
    """By the run's predictions."""
    with (run.folder / "predictions_test.csv").open(encoding="utf-8") as file:
        return {row["id"]: float(row["truth"] == row["prediction"]) for row in csv.DictReader(file)}


def accuracy(found: list[Hits]) -> float:
    """Mean over the splits and members."""
    return statistics.mean(statistics.mean(each.values()) for each in found)


def difference(one: list[Hits], other: list[Hits]) -> str:
    """In words, with its interval; a picture of several test parts is drawn whole."""
    names = [name for each in one for name in each]
    first = [each[name] for each in one for name in each]
    second = [after[name] for before, after in zip(one, other, strict=True) for name in before]
    mean, low, high = paired_difference(first, second, names)
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"


def joined(runs: list[Run], folder: Path, **options: object) -> Run:
    """These runs' ensemble."""
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
    return train(file)


def main() -> None:
    """Train, put together, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="of the members' recipe, image_folder")
    parser.add_argument("--weights", required=True, help="TORCH_HOME that holds the networks' ImageNet weights")
    parser.add_argument("--networks", nargs=3, metavar="NAME", default=["mobilenetv2_100"] * 3, help="of the three members")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="append to docs/results.csv")
    arguments = parser.parse_intermixed_args()
    os.environ["TORCH_HOME"] = os.path.abspath(arguments.weights)
    data = [f"data.root={os.path.abspath(arguments.folder)}", "split.test=0.2", *arguments.changes]
    begun = time.process_time()
    found: dict[str, list[Hits]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for split in range(arguments.splits):
            members = [[f"split.seed={split}", f"seed={seed}", f"backbone.name={name}"] for seed, name in enumerate(arguments.networks)]
            runs = [train("image_folder", [*data, *own]) for own in members]
            best = max(runs, key=lambda run: run.metrics["val/accuracy"])
            of_split = {"of_three_together": [joined(runs, folder)], "of_the_best_by_val": [best], "of_one": runs}
            of_split |= {f"of_one_with_{name}": [joined([run], folder, views=views) for run in runs] for name, views in VIEWS.items()}
            for name, those in of_split.items():
                found.setdefault(name, []).extend(map(hits, those))
            told = {name: [round(run.metrics["test/accuracy"], 4) for run in those] for name, those in of_split.items()}
            print(f"split {split}:", told, flush=True)
    seconds = (time.process_time() - begun) / arguments.splits
    splits, words = f"split seeds 0-{arguments.splits - 1}", " ".join(arguments.changes)
    networks = " ".join(dict.fromkeys(arguments.networks))
    note = f"274 real cut-outs in 8 classes, mean over {splits}, members' seeds 0-2, {networks} {words}".strip()
    for name, values in found.items():
        mean, other = accuracy(values), BESIDE.get(name)
        beside = f"{difference(values, found[other])} against {other.removeprefix('of_').replace('_', ' ')}" if other else ""
        metric = f"test/accuracy_{name}{OF[len(set(arguments.networks))]}"
        print(f"{metric} {mean:.4f} {beside}".rstrip())
        if arguments.write:
            bench.append("image_folder", "real", metric, mean, seconds, "; ".join(filter(None, (note, beside))))


if __name__ == "__main__":
    main()
