"""What a step of a DCGAN costs under zoo's engines, beside a loop by hand; by hand, some minutes.

    python tests/benchmarks/gan_step.py [--rounds 12] [--width 64] [--size 64] [--batch 64]

All sides train the same two networks (64 pixels, DCGAN's widths) with two fused Adams on the same batches in memory. `hand` is the loop of
PyTorch's tutorial: the discriminator's turn comes first, one batch of samples serves both players, and the discriminator's weights gather
gradients in the generator's turn that are thrown away. zoo lets each player's weights stand still in the other's turn; there the generator
comes first, so that its samples serve both as well.

In a round every side trains once, in an order that moves on; timed is what is between two requests for a batch, after a step to warm up.
Given are the medians a step, and the median of the rounds' ratios to `hand` with the interval that holds it with at least 95 % (order
statistics of the sign test), in wall-clock and in CPU time. Targets: `loop` at most 1.03, `lightning` at most 1.10.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))

from engine_overhead import CPU, Clocked, Held, Times, silence
from intervals import ratio
from small import recipe

from zoo import registry
from zoo.backbones.conv import Conv
from zoo.datasets.loaders import to_device
from zoo.run import Run
from zoo.spec import DataSpec
from zoo.tasks.dcgan import DCGAN

LR, BETAS, LATENT = 2e-4, (0.5, 0.999), 100
WARM, STEPS = 1, 3


def new(size: int, width: int) -> DCGAN:
    """The same networks each time."""
    torch.manual_seed(0)
    down = tuple(min(width << stage, 8 * width) for stage in range(max(1, (size // 4).bit_length() - 1)))
    spec = DataSpec(3, (size, size))
    return DCGAN(spec, Conv(3, (size, size), widths=(4,)), LATENT, generator_widths=down[::-1], discriminator_widths=down)


def hand(net: DCGAN, data: Clocked) -> None:
    """As PyTorch's tutorial has it, on zoo's two networks."""
    net.train()
    judge, maker = (torch.optim.Adam(player.parameters(), LR, BETAS, fused=True) for player in net.players().values())
    for batch in data:
        real = 2 * to_device(batch, CPU)["image"] - 1
        judge.zero_grad()
        score = net.discriminator(real)
        F.binary_cross_entropy_with_logits(score, torch.ones_like(score)).backward()
        fake = net.generator(torch.randn(len(real), LATENT))
        score = net.discriminator(fake.detach())
        F.binary_cross_entropy_with_logits(score, torch.zeros_like(score)).backward()
        judge.step()
        maker.zero_grad()
        score = net.discriminator(fake)
        F.binary_cross_entropy_with_logits(score, torch.ones_like(score)).backward()
        maker.step()


def by_zoo(engine: str) -> Callable[[DCGAN, Clocked], None]:
    """One of zoo's engines."""

    def train(net: DCGAN, data: Clocked) -> None:
        lowest = "monitor={metric: val/kid, mode: min}"
        adam = f"train.optimizer={{name: adam, betas: [{BETAS[0]}, {BETAS[1]}]}}"
        steps = ("train.epochs=1", f"train.max_steps={len(data)}", "train.schedule=constant")
        made = recipe(*steps, f"train.lr={LR}", adam, lowest)
        registry.load("engines", engine)().fit(net, Held(data), Run.open(made))

    return train


SIDES: Mapping[str, Callable[[DCGAN, Clocked], None]] = {
    "hand": hand,
    "loop": by_zoo("loop"),
    "lightning": by_zoo("lightning"),
    "mmengine": by_zoo("mmengine"),
}


def timed(size: int, width: int, pictures: int, rounds: int) -> Times:
    """Every side once a round; the first round is not kept."""
    image = torch.randint(0, 256, (pictures, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    batch = {"image": image, "index": torch.arange(pictures), "path": [f"{number}.png" for number in range(pictures)]}
    names, times = list(SIDES), Times()
    with Path(os.devnull).open("w") as nowhere:
        for number in range(-1, rounds):
            print(f"\rround {number + 1} of {rounds} ", end="", file=sys.stderr, flush=True)
            start = number % len(names)
            for side in names[start:] + names[:start]:
                data = Clocked([dict(batch) for _ in range(WARM + STEPS + 1)], WARM)
                with silence(nowhere):
                    SIDES[side](new(size, width), data)
                if number >= 0:
                    times.add(side, *data.a_step())
    print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
    return times


def table(times: Times) -> str:
    """What a person reads."""
    lines = [f"{'':<12}{'wall ms':>10}{'CPU ms':>10}   {'wall over hand [95 %]':<28}CPU over hand [95 %]"]
    for side, wall in times.wall.items():
        ratios = ["", ""]
        if side != "hand":
            ratios = [ratio(of[side], of["hand"]) for of in (times.wall, times.cpu)]
        lines.append(
            f"{side:<12}{statistics.median(wall):>10.0f}{statistics.median(times.cpu[side]):>10.0f}   {ratios[0]:<28}{ratios[1]}".rstrip()
        )
    return "\n".join(lines)


def main() -> None:
    """Time all sides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12, help="at least 6, for an interval of 95 %%")
    parser.add_argument("--size", type=int, default=64, help="pixels")
    parser.add_argument("--width", type=int, default=64, help="channels of the finest map")
    parser.add_argument("--batch", type=int, default=64, help="pictures")
    arguments = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOO_HOME"] = folder
        print(f"{arguments.size} pixels, width {arguments.width}, batches of {arguments.batch}, {torch.get_num_threads()} threads")
        print(table(timed(arguments.size, arguments.width, arguments.batch, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
