"""Pictures a second of MobileNetV2 on a GPU under each engine, beside a loop in plain PyTorch of the same settings; by hand.

    python tests/gpu/throughput.py [--rounds 12] [--steps 100] [--batch 256] [--size 224] [--precision bf16] [--no-compile]
    python tests/gpu/throughput.py --device cpu --size 32 --batch 8 --steps 10 --no-compile   # to try the script itself

All sides train on one batch that lies on the device, with channels-last layout where that is a GPU, AdamW (fused) and a cosine rate;
the loop reads its loss as rarely as zoo does (`train.log_every`). zoo's engines go through `Engine.fit` with a run folder.

Timed: the steps of a round between two moments at which the device has done all it was given, after some steps to warm up. Not timed:
compiling (an uncounted round comes first, and each training warms up again), making trainers, validation and checkpoints. In a round
every side trains once; the order moves on by one from round to round. Given are medians, and the median of the rounds' ratios to the
loop with the interval that holds it with at least 95 % (order statistics of the sign test). The target is 0.95 for every engine.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))

from intervals import interval
from small import LABELS, Memory, recipe

from zoo import registry
from zoo.backbones.timm import TimmBackbone
from zoo.datasets.loaders import Batch
from zoo.engines.fit import memory_format
from zoo.run import Run
from zoo.spec import DataSpec
from zoo.tasks.classification import Classification

LR, LOG_EVERY = 1e-3, 20


class Resident:
    """What `Fit` asks of `Loaders`: one batch again and again, with the clock read before the first step that counts and after the last."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.device = torch.device(options.device)
        memory = Memory(options.batch, options.batch)
        image = torch.rand(options.batch, 3, options.size, options.size, generator=torch.Generator().manual_seed(1))
        last = memory_format("auto", self.device)
        self.batch: Batch = memory.batch(torch.arange(options.batch)) | {"image": image.to(self.device, memory_format=last)}
        self.batch |= {key: self.batch[key].to(self.device) for key in ("label", "index")}
        self.edges = (options.warm, options.warm + options.steps)
        self.steps = options.warm + options.steps + 1
        self.batches = self.steps + 1  # the epoch does not end within the training
        self.batch_size, self.workers, self.source, self.spec = memory.batch_size, 0, memory.source, memory.spec
        self.parts = memory.parts
        self.marks: list[float] = []

    def stream(self, epoch: int = 0, batch: int = 0) -> Iterator[Batch]:
        for number in range(self.steps):
            if number in self.edges:
                if self.device.type == "cuda":
                    torch.cuda.synchronize(self.device)
                self.marks.append(time.perf_counter())
            yield dict(self.batch)

    def evaluation(self, part: str, shared: bool = False) -> list[Batch]:
        return [{key: value[:8] for key, value in self.batch.items()}]

    def fingerprint(self) -> str:
        return ""

    def rate(self) -> float:
        """Pictures a second."""
        return self.batch_size * (self.edges[1] - self.edges[0]) / (self.marks[1] - self.marks[0])


def network(size: int) -> Classification:
    """MobileNetV2 with random weights."""
    torch.manual_seed(0)
    backbone = TimmBackbone(channels=3, form="vector", pretrained=False, name="mobilenetv2_100", size=(size, size))
    return Classification(DataSpec(3, (size, size), LABELS, (1,) * len(LABELS), ()), backbone)


def plain(net: Classification, data: Resident, options: argparse.Namespace) -> None:
    """The loop that one would write for speed."""
    net.train().to(data.device, memory_format=memory_format("auto", data.device))
    optimizer = torch.optim.AdamW(net.parameters(), LR, weight_decay=0.01, fused=True)
    logits_of = torch.compile(net.logits) if options.compile else net.logits
    half = torch.bfloat16 if options.precision == "bf16" else torch.float16
    scaler = torch.amp.GradScaler(data.device.type, enabled=options.precision == "16")
    total = right = torch.zeros((), device=data.device)
    for number, batch in enumerate(data.stream()):
        for group in optimizer.param_groups:
            group["lr"] = LR * (1 + math.cos(math.pi * number / data.steps)) / 2
        with torch.autocast(data.device.type, half, enabled=options.precision != "32"):
            logits = logits_of(batch["image"]).float()
            loss = F.cross_entropy(logits, batch["label"])
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        total = total + loss.detach()
        right = right + (logits.detach().argmax(1) == batch["label"]).float().mean()
        if number % LOG_EVERY == 0 and not math.isfinite(float(total)):
            raise RuntimeError("diverged")


def by_zoo(engine: str) -> Callable[[Classification, Resident, argparse.Namespace], None]:
    """One of zoo's engines."""

    def train(net: Classification, data: Resident, options: argparse.Namespace) -> None:
        made = recipe(
            f"train.device={options.device}",
            f"train.precision={options.precision}",
            f"train.compile={str(options.compile).lower()}",
            f"train.batch_size={options.batch}",
            f"train.max_steps={data.steps}",
            f"train.log_every={LOG_EVERY}",
            f"train.lr={LR}",
            *("train.optimizer=adamw", "train.schedule=cosine", "train.epochs=1"),
        )
        registry.load("engines", engine)().fit(net, data, Run.open(made))

    return train


SIDES = {"by hand": plain} | {engine: by_zoo(engine) for engine in ("loop", "lightning", "mmengine")}


def timed(options: argparse.Namespace) -> dict[str, list[float]]:
    """Pictures a second of each side, by round; the first round is not kept."""
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    names = list(SIDES)
    with Path(os.devnull).open("w") as nowhere:
        for number in range(-1, options.rounds):
            start = number % len(names)
            for side in names[start:] + names[:start]:
                data = Resident(options)
                torch._dynamo.reset()  # it gives up on a function that it has compiled for many networks
                with redirect_stderr(nowhere):
                    SIDES[side](network(options.size), data, options)
                if number >= 0:
                    found[side].append(data.rate())
    return found


def report(found: dict[str, list[float]]) -> None:
    """A line for each side."""
    for side, rates in found.items():
        line = f"{side:<12}{statistics.median(rates):>10.1f} pictures/s"
        if side != "by hand":
            ratios = sorted(ours / theirs for ours, theirs in zip(rates, found["by hand"], strict=True))
            low, high = interval(ratios)
            line += f"   {statistics.median(ratios):.3f} of by hand [{low:.3f}, {high:.3f}]"
        print(line)


def main() -> None:
    """Time all sides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100, help="timed in a round")
    parser.add_argument("--warm", type=int, default=10, help="steps before the clock runs")
    parser.add_argument("--rounds", type=int, default=12, help="at least 6, for an interval of 95 %%")
    parser.add_argument("--precision", choices=("32", "bf16", "16"), default="bf16")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOO_HOME"] = folder
        found = timed(options)
    print(
        f"MobileNetV2, {options.size} px, batches of {options.batch}, precision {options.precision}, "
        f"{'compiled' if options.compile else 'not compiled'}: {options.rounds} rounds of {options.steps} steps on {options.device}"
    )
    report(found)


if __name__ == "__main__":
    main()
