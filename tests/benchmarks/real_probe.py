"""Probes of a frozen pretrained network on real pictures, over split seeds: the figures for docs/results.csv, by hand (2 minutes).

python tests/benchmarks/real_probe.py FOLDER_OF_CLASSES --weights TORCH_HOME [--write]
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
from zoo.probe import main as probe

BACKBONE = "mobilenetv2_100"
LEAST = 0.80


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--weights", required=True, help="TORCH_HOME that holds MobileNetV2's ImageNet weights")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="append to docs/results.csv")
    arguments = parser.parse_args()
    os.environ["TORCH_HOME"] = os.path.abspath(arguments.weights)
    begun, found = time.monotonic(), [probed(arguments.folder, seed) for seed in range(arguments.seeds)]
    seconds = (time.monotonic() - begun) / len(found)
    for name in found[0]:
        values = [each[name] for each in found if name in each]
        mean, each = statistics.mean(values), " ".join(f"{value:.3f}" for value in values)
        print(f"{name}: mean {mean:.4f} over {len(values)} splits: {each}", flush=True)
        if name in ("knn", "linear_probe"):
            assert mean >= LEAST, f"{name}: {mean:.4f} on average, expected at least {LEAST}"
            if arguments.write:
                note = f"274 real cut-outs in 8 classes, {BACKBONE} frozen, mean over split seeds 0-{len(values) - 1}: {each}"
                bench.append("image_folder", "real", f"val/{name}_accuracy_of_frozen_{BACKBONE}", mean, seconds, note)


def probed(folder: str, seed: int) -> dict[str, float]:
    """Accuracy on val by probe, on one split."""
    with tempfile.TemporaryDirectory() as scratch:
        to = Path(scratch, "probes.csv")
        where = [f"data.root={os.path.abspath(folder)}", f"split.seed={seed}", "backbone.pretrained=torchvision", "data.size=160"]
        probe([BACKBONE, "--data", "image_folder", *where, "--csv", str(to)])
        with to.open(newline="", encoding="utf-8") as file:
            return {row["probe"]: float(row["accuracy"]) for row in csv.DictReader(file) if row["part"] == "val"}


if __name__ == "__main__":
    main()
