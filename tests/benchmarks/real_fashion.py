"""Retrieval on Fashion-MNIST: do an autoencoder's codes find clothes of the same kind? For docs/results.csv, by hand.

    python tests/benchmarks/real_fashion.py FOLDER [--seeds 1] [--write]

FOLDER holds FashionMNIST/raw/. The recipe is `lfw_autoencoder` on pictures of 28 pixels: three stages, five epochs, nothing augmented.
Each of the 10,000 test pictures looks for others of its kind among them, by cosine: by the model's codes, by raw pixels, and by as many
principal components, fitted on the same training pictures. The report's own table says the same of 2,000 pictures, and is printed beside
it. Six minutes a seed on one core.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

import torch
from torch import Tensor

from zoo import bench, build
from zoo.datasets.loaders import Loaders
from zoo.metrics.retrieval import TABLE_HEADER, retrieval_table
from zoo.model import from_run
from zoo.run import Run
from zoo.train import train

RECIPE = "lfw_autoencoder"
CHANGES = [
    *("data.name=fashion_mnist", "data.size=28", "data.fit=squash", "data.crop=1", "data.augment=[]"),
    *("backbone.widths=[32,64,128]", "task.edits=[]", "train.epochs=5", "train.batch_size=100"),
]
WAYS = ("codes", "raw_pixels", "pca")
"""The rows of `retrieval_table`."""


def main() -> None:
    """Train with each seed and print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="append to docs/results.csv")
    arguments = parser.parse_args()
    place = f"data.root={os.path.abspath(arguments.folder)}"
    begun = time.monotonic()
    runs = [train(RECIPE, [place, *CHANGES, f"seed={seed}"]) for seed in range(arguments.seeds)]
    seconds = (time.monotonic() - begun) / len(runs)
    found = [measured(run) for run in runs]
    for metric in found[0]:
        values = [each[metric] for each in found]
        each = " ".join(f"{value:.4f}" for value in values)
        print(f"{metric}: mean {statistics.mean(values):.4f} ({each}), {seconds:.0f} s each", flush=True)
        if arguments.write:
            pictures = runs[0].read_json("split.json")["sizes"]["test"]
            note = f"{pictures:,} real test pictures of clothes, mean over seeds 0-{len(runs) - 1}: {each}"
            bench.append(RECIPE, "real", metric, statistics.mean(values), seconds, note)


def measured(run: Run) -> dict[str, float]:
    """Mean squared error and retrieval scores on the whole test part, and the scores of the ways beside."""
    task: Any = from_run(run, device="cpu").task
    data = build.loaders(build.source(run.recipe), run.recipe)
    training, _ = pictures(data, "train")
    image, label = pictures(data, "test")
    with torch.inference_mode():
        codes = torch.cat([task.embed(part.float() / 255) for part in torch.split(image, 500)])
    found = {"test/mse_of_fashion_mnist": run.metrics["test/mse"]}
    print(*TABLE_HEADER, sep=", ")
    for way, row in zip(WAYS, retrieval_table(codes, image, training, label), strict=True):
        print(f"{row[0]}, {row[1]}, {row[2]:.4f}, {row[3]:.4f}, {row[4]:.4f}")
        found |= {f"test/recall_at_1_of_fashion_mnist_by_{way}": row[2], f"test/retrieval_map_of_fashion_mnist_by_{way}": row[4]}
    print("in the report:", (run.folder / "tables" / "retrieval_test.csv").read_text(encoding="utf-8"), sep="\n", flush=True)
    return found


def pictures(data: Loaders, part: str) -> tuple[Tensor, Tensor]:
    """(N, 1, 28, 28) uint8 and (N,) of a part."""
    batches = list(data.evaluation(part))
    return torch.cat([batch["image"] for batch in batches]), torch.cat([batch["label"] for batch in batches])


if __name__ == "__main__":
    main()
