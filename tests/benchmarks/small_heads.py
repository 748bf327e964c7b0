"""Does a small new head help? MobileNetV2 fine-tuned on real pictures with zoo's head and with timm's own, over split seeds, by hand.

    python tests/benchmarks/small_heads.py FOLDER_OF_CLASSES --weights TORCH_HOME [--seeds 3]

Figures are kept in docs/decisions/0003-small-heads.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile

import timm
import torch

from zoo import build
from zoo.recipe import Recipe
from zoo.run import Run


def trained(folder: str, seed: int, own: bool) -> tuple[float, float]:
    """First training loss and best validation accuracy."""
    changes = [f"data.root={os.path.abspath(folder)}", f"split.seed={seed}", f"seed={seed}", "backbone.pretrained=torchvision"]
    recipe = Recipe.read("image_folder", changes)
    run = Run.open(recipe)
    data = build.loaders(build.source(recipe), recipe)
    task = build.task(recipe, data.spec)
    if not own:
        drawn = timm.create_model(recipe.backbone.name, num_classes=len(data.spec.labels)).classifier
        with torch.no_grad():
            task.head[1].weight.copy_(drawn.weight)
            task.head[1].bias.copy_(drawn.bias)
    build.engine(recipe).fit(task, data, run)
    history = run.history()
    return history[0]["train/loss"], max(row["val/accuracy"] for row in history)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--weights", required=True, help="TORCH_HOME that holds MobileNetV2's ImageNet weights")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["TORCH_HOME"] = os.path.abspath(arguments.weights)
    os.environ["ZOO_HOME"] = tempfile.mkdtemp()
    for own, title in ((True, "zoo's head, std 0.01"), (False, "timm's own head")):
        found = [trained(arguments.folder, seed, own) for seed in range(arguments.seeds)]
        accuracies = [accuracy for _, accuracy in found]
        print(f"{title}: accuracy {' '.join(f'{value:.3f}' for value in accuracies)}, mean {statistics.mean(accuracies):.3f}; ", end="")
        print(f"loss of the first epoch {' '.join(f'{loss:.2f}' for loss, _ in found)}", flush=True)


if __name__ == "__main__":
    main()
