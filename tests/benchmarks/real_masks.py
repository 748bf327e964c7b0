"""Real pictures with masks, by a pretrained encoder and by U-Net from random weights, over seeds: for docs/results.csv, by hand.

    python tests/benchmarks/real_masks.py FOLDER --weights TORCH_HOME [--seeds 3] [--width 16] [--write]

FOLDER holds images/ and masks/. The recipe is `image_masks` (128 pixels, 20 epochs, the whole split stays the same); the other network
is zoo's own `unet` of --width in its place. Half an hour on two cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

from zoo import bench
from zoo.train import train

METRICS = ("test/iou", "test/iou_pooled")


def main() -> None:
    """Train both networks with each seed and print their means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--weights", required=True, help="TORCH_HOME that holds MobileNetV2's ImageNet weights")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--width", type=int, default=16, help="of the U-Net from random weights")
    parser.add_argument("--write", action="store_true", help="append to docs/results.csv")
    arguments = parser.parse_args()
    os.environ["TORCH_HOME"] = os.path.abspath(arguments.weights)
    root = f"data.root={os.path.abspath(arguments.folder)}"
    own = [f"backbone={{name: unet, width: {arguments.width}, pretrained: false}}", "task.decoder=none"]
    for name, changes in (("", ["backbone.pretrained=torchvision"]), (f"_of_unet_{arguments.width}_from_random_weights", own)):
        begun = time.monotonic()
        runs = [train("image_masks", [root, f"seed={seed}", *changes]) for seed in range(arguments.seeds)]
        seconds = (time.monotonic() - begun) / len(runs)
        for metric in METRICS:
            values = [run.metrics[metric] for run in runs]
            each = " ".join(f"{value:.3f}" for value in values)
            print(f"{metric}{name}: mean {statistics.mean(values):.4f} ({each}), {seconds:.0f} s each", flush=True)
            if arguments.write:
                note = f"200 real cut-outs on other grounds, mean over seeds 0-{len(runs) - 1}: {each}"
                bench.append("image_masks", "real", f"{metric}{name}", statistics.mean(values), seconds, note)


if __name__ == "__main__":
    main()
