"""What `Fit.step` costs beyond an equal hand-written loop, on a model so small that little else is left to time.

    python tests/benchmarks/overhead.py

Both train a convolution and a linear layer on batches of 8 pictures of 8x8 pixels in memory, with AdamW and the rate set at
every step. Rounds alternate; the figure is the median of the rounds' differences, with the interval that holds the median with
95 % (from the order statistics of the sign test). The target is 0.1 ms a step.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))

from small import Memory, recipe, task

from zoo.datasets.loaders import Batch, to_device
from zoo.engines.fit import Fit
from zoo.run import Run

ROUNDS, STEPS, LR = 21, 300, 1e-3
CPU = torch.device("cpu")


def main() -> None:
    """Time both and print the differences."""
    torch.set_num_threads(1)
    data = Memory(samples=8 * (STEPS + 1), batch_size=8)  # one batch more than is trained: the epoch does not end within a round
    batches = [data.batch(torch.arange(8 * n, 8 * n + 8)) for n in range(STEPS)]
    loops = {"plain": plain(batches), "zoo": zoo(batches, data)}
    for loop in loops.values():
        loop()  # warm up
    wall: dict[str, list[float]] = {name: [] for name in loops}
    cpu: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(ROUNDS):
        for name in sorted(loops, reverse=bool(number % 2)):
            begun, burnt = time.perf_counter(), time.process_time()
            loops[name]()
            wall[name].append((time.perf_counter() - begun) / STEPS * 1e3)
            cpu[name].append((time.process_time() - burnt) / STEPS * 1e3)
    for kind, found in (("wall", wall), ("CPU", cpu)):
        differences = sorted(b - a for a, b in zip(found["plain"], found["zoo"], strict=True))
        low, high = interval(differences)
        plain_median, zoo_median = (sorted(found[name])[ROUNDS // 2] for name in ("plain", "zoo"))
        print(
            f"{kind:>4}: plain {plain_median:.4f} ms, zoo {zoo_median:.4f} ms a step; "
            f"over it {differences[ROUNDS // 2]:+.4f} ms [{low:+.4f}, {high:+.4f}] (median of {ROUNDS} rounds of {STEPS} steps)"
        )


def plain(batches: list[Batch]) -> Callable[[], None]:
    """As one would write it by hand: loss and accuracy are added up, a loss that is no number stops it."""
    net = task().train()
    optimizer = torch.optim.AdamW(net.parameters(), LR, weight_decay=0.01, fused=True)

    def run() -> None:
        total = right = torch.zeros(())
        for number, batch in enumerate(batches):
            moved = to_device(batch, CPU)
            for group in optimizer.param_groups:
                group["lr"] = LR * (1 + math.cos(math.pi * number / STEPS)) / 2
            logits = net.logits(moved["image"])
            loss = F.cross_entropy(logits, moved["label"])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            total = total + loss.detach()
            right = right + (logits.detach().argmax(1) == moved["label"]).float().mean()
            if not math.isfinite(float(total)):
                raise RuntimeError("diverged")

    return run


def zoo(batches: list[Batch], data: Memory) -> Callable[[], None]:
    """`Fit.step`, fed with the same batches and the same conversion."""
    made = recipe("train.optimizer=adamw", f"train.lr={LR}", "train.schedule=cosine", "train.epochs=1000", "train.batch_size=8")
    fit = Fit(task(), data, Run.open(made))
    fit.__enter__()

    def run() -> None:
        fit.step_number = 0
        fit._begin_epoch()
        for batch in batches:
            fit.step(to_device(batch, CPU))

    return run


def interval(values: list[float]) -> tuple[float, float]:
    """Of sorted values the two that enclose the median with at least 95 %."""
    count, below = len(values), 0.0
    for rank in range(count // 2):
        below += math.comb(count, rank) / 2**count
        if below > 0.025:
            return values[max(rank - 1, 0)], values[count - max(rank, 1)]
    return values[0], values[-1]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOO_HOME"] = folder
        main()
