"""The recipes `mnist_vae` and `mnist_cvae` on real digits, judged by a classifier: for docs/results.csv, by hand.

    python tests/benchmarks/real_digits.py FOLDER [--seeds 1] [--write]

FOLDER holds MNIST/raw/. Of the VAE: the ELBO by one sample and the importance-weighted bound by 100, over all test pictures, and the
dimensions in use. Of the CVAE and of the coursework's sizes (784 + 10 to 400 to 20, and back): the KL term on the test part; the share
of samples that a CNN, trained here on the same real digits, takes for the digit wished; and how different samples of a digit are: the
standard deviation of each pixel over the samples of a label, mean over pixels and labels, as a part of that of the real test digits.
Ten class means would be taken for the right digit every time, and have a spread of 0. Half an hour on two cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import v2

from zoo import bench
from zoo.datasets.mnist import LABELS, MNIST
from zoo.model import from_run
from zoo.train import train

SAMPLES = 200
"""Of each label."""
COURSEWORK = ("backbone={name: dense, hidden: [400], pretrained: false, normalize: false}", "task.latent=20")


def main() -> None:
    """Train everything with each seed and print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="append to docs/results.csv")
    arguments = parser.parse_args()
    source = MNIST(Path(arguments.folder))
    image, label = digits(source, "test")
    judge = classifier(*digits(source, "train"))
    print(f"judge: accuracy {share(judge, image, label):.4f} on {len(image):,} real test digits", flush=True)
    real = spread(image, label)
    for recipe, name, changes in (
        ("mnist_vae", "", ()),
        ("mnist_cvae", "", ()),
        ("mnist_cvae", "_of_the_courseworks_sizes", COURSEWORK),
    ):
        begun = time.monotonic()
        root = f"data.root={os.path.abspath(arguments.folder)}"
        runs = [train(recipe, [root, f"seed={seed}", *changes]) for seed in range(arguments.seeds)]
        seconds = (time.monotonic() - begun) / len(runs)
        found = [measure(run, image, label, judge, real) for run in runs]
        for metric in found[0]:
            values = [each[metric] for each in found]
            each = " ".join(f"{value:.4g}" for value in values)
            print(f"{recipe}{name} {metric}: mean {statistics.mean(values):.4f} ({each}), {seconds:.0f} s each", flush=True)
            if arguments.write:
                note = f"{len(image):,} real test digits, mean over seeds 0-{len(runs) - 1}: {each}"
                bench.append(recipe, "real", f"{metric}{name}", statistics.mean(values), seconds, note)


def measure(run: Any, image: Tensor, label: Tensor, judge: nn.Module, real: float) -> dict[str, float]:
    """What this script's head promises of one run."""
    task: Any = from_run(run, device="cpu").task
    torch.manual_seed(0)
    found = {f"test/{name}": run.metrics[f"test/{name}"] for name in ("elbo", "kl", "active")}
    ones = torch.bernoulli(image)
    with torch.inference_mode():
        if not task.conditional:
            bounds = [task.bound(part, samples=100) for part in ones.split(100)]
            return found | {"test/bound_of_100_samples": float(torch.cat(bounds).mean())}
        samples = torch.cat([task.sample(SAMPLES, number) for number in range(len(LABELS))])
    asked = torch.arange(len(LABELS)).repeat_interleave(SAMPLES)
    return found | {"test/samples_of_the_digit_wished": share(judge, samples, asked), "test/spread": spread(samples, asked) / real}


def spread(image: Tensor, label: Tensor) -> float:
    """The standard deviation of each pixel over the pictures of a label, mean over pixels and then over labels."""
    return float(torch.stack([image[label == number].std(0).mean() for number in label.unique()]).mean())


def digits(source: MNIST, part: str) -> tuple[Tensor, Tensor]:
    """(N, 1, 28, 28) in [0, 1] and (N,) of a part of the data set's own."""
    records = source.records[part]
    pictures = np.stack([np.asarray(source.read(record)[0]) for record in records])
    return torch.from_numpy(pictures)[:, None].float() / 255, torch.tensor([record.label for record in records])


def classifier(image: Tensor, label: Tensor, epochs: int = 8, batch: int = 64) -> nn.Module:
    """A small CNN, trained on digits that are turned, shifted and scaled a little."""
    torch.manual_seed(0)
    net = nn.Sequential(*block(1, 16), nn.MaxPool2d(2), *block(16, 32), nn.MaxPool2d(2), *block(32, 64), nn.Flatten())
    net.extend([nn.Dropout(0.3), nn.Linear(64 * 7 * 7, len(LABELS))])
    optimizer = torch.optim.AdamW(net.parameters())
    steps = epochs * (len(image) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    move = v2.RandomAffine(10, (0.08, 0.08), (0.9, 1.1), interpolation=v2.InterpolationMode.BILINEAR)
    for step in range(steps):
        if step % (len(image) // batch) == 0:
            order = torch.randperm(len(image)).split(batch)
        rows = order[step % (len(image) // batch)]
        moved = torch.stack([move(one) for one in image[rows]])
        optimizer.zero_grad()
        F.cross_entropy(net(moved), label[rows]).backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def block(inside: int, outside: int) -> tuple[nn.Module, ...]:
    """A 3x3 convolution with batch normalisation and ReLU."""
    return nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU()


@torch.inference_mode()
def share(net: nn.Module, image: Tensor, label: Tensor) -> float:
    """The share of pictures that are taken for their label."""
    said = torch.cat([net(part).argmax(1) for part in image.split(500)])
    return float((said == label).float().mean())


if __name__ == "__main__":
    main()
