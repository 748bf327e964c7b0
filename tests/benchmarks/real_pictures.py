"""Real pictures, with and without pretrained weights, over split seeds: the figures for docs/results.csv, by hand (15 minutes).

python tests/benchmarks/real_pictures.py FOLDER_OF_CLASSES --weights TORCH_HOME [--write]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

from zoo import bench
from zoo.train import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--weights", required=True, help="TORCH_HOME that holds MobileNetV2's ImageNet weights")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="append to docs/results.csv")
    arguments = parser.parse_args()
    os.environ["TORCH_HOME"] = os.path.abspath(arguments.weights)
    for pretrained in ("torchvision", "false"):
        begun, values = time.monotonic(), []
        for seed in range(arguments.seeds):
            changes = [f"data.root={os.path.abspath(arguments.folder)}", f"split.seed={seed}", f"backbone.pretrained={pretrained}"]
            run = train("image_folder", changes)
            values.append(run.metrics["val/accuracy"])
            macro, seconds = run.metrics["val/f1_macro"], run.metrics["seconds"]
            print(f"pretrained {pretrained}, split {seed}: {values[-1]:.4f} (macro-F1 {macro:.4f}), {seconds} s", flush=True)
        mean = statistics.mean(values)
        print(f"pretrained {pretrained}: mean {mean:.4f} over {len(values)} splits")
        if arguments.write:
            kind = "" if pretrained == "torchvision" else "_from_random_weights"
            each = " ".join(f"{value:.3f}" for value in values)
            note = f"274 real cut-outs in 8 classes, mean over split seeds 0-{len(values) - 1}: {each}"
            bench.append("image_folder", "real", f"val/accuracy{kind}", mean, (time.monotonic() - begun) / len(values), note)


if __name__ == "__main__":
    main()
