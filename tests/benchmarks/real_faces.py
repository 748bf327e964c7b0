"""Faces on real portraits: reconstruction and denoising of unseen people, beside simpler ways: for docs/results.csv, by hand.

    python tests/benchmarks/real_faces.py FOLDER [--seeds 1] [--write]

FOLDER holds a folder of portraits for each person. The recipes are `lfw_autoencoder` and `lfw_denoising` in grey, 64 pixels, split by
person; what stands beside them (PCA with as many codes, the mean picture, the best blur, medians) is the tables of their own reports,
for the test part. Half an hour on two cores.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import time
from collections.abc import Iterator

from zoo import bench
from zoo.run import Run
from zoo.train import train

RECIPES: dict[str, list[str]] = {"lfw_autoencoder": ["task.edits=[]"], "lfw_denoising": []}
METRICS = ("mse", "psnr", "ssim", "recall_at_1", "retrieval_map")


def main() -> None:
    """Train both recipes with each seed and print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="append to docs/results.csv")
    arguments = parser.parse_args()
    place = f"data.root={os.path.abspath(arguments.folder)}"
    faces = [place, "data.name=image_files", "data.groups=folder", "data.grey=true", "data.fit=squash"]
    for recipe, changes in RECIPES.items():
        begun = time.monotonic()
        runs = [train(recipe, [*faces, f"seed={seed}", *changes]) for seed in range(arguments.seeds)]
        seconds = (time.monotonic() - begun) / len(runs)
        found = [dict(measured(run)) for run in runs]
        for metric in found[0]:
            values = [each[metric] for each in found]
            each = " ".join(f"{value:.5f}" for value in values)
            print(f"{recipe} {metric}: mean {statistics.mean(values):.5f} ({each}), {seconds:.0f} s each", flush=True)
            if arguments.write:
                pictures = runs[0].read_json("split.json")["sizes"]["test"]
                note = f"{pictures} real portraits of people it has not seen, mean over seeds 0-{len(runs) - 1}: {each}"
                bench.append(recipe, "real", metric, statistics.mean(values), seconds, note)


def measured(run: Run) -> Iterator[tuple[str, float]]:
    """The metrics of the test part, and the rows of the table beside them."""
    yield from ((f"test/{name}", run.metrics[f"test/{name}"]) for name in METRICS if f"test/{name}" in run.metrics)
    with (run.folder / "tables" / "simpler_test.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for name in ("mse", "psnr"):
                yield f"test/{name}_of_{row['way'].lower().replace(',', '').replace(' ', '_')}", float(row[name])


if __name__ == "__main__":
    main()
