"""What a training step of a U-Net costs in zoo, beside segmentation-models-pytorch's equal network in a loop by hand; some minutes.

    python tests/benchmarks/unet_step.py [--rounds 12] [--steps 3] [--model unet|mobilenetv2 ...] [--width 64] [--threads 1]

Both sides train with AdamW (fused) on the same batches of 8 pictures of 128x128 pixels in memory; there is no DataLoader.

    unet          zoo's own U-Net and 1x1 head; there the library's VGG encoder with the U-Net's levels, its U-Net decoder and head
    mobilenetv2   timm's MobileNetV2 and the library's U-Net decoder; there `smp.Unet("tu-mobilenetv2_100")`

    zoo           the task `segmentation` with `bce` through `Engine.fit` of the plain loop, with a run folder
    smp           a textbook loop: normalise, binary cross entropy of the logits, backward, step, look at the loss

First, both sides are given equal weights and must give equal logits. Timed is what is between two requests for a batch, over the
steps of a round, after one step to warm up. In a round every side trains once, and the order is turned from round to round; the first
round is not kept. Given are the medians a step, their ratio, and the interval that holds the median of the rounds' ratios with at
least 95 % (order statistics of the sign test), in wall-clock and in CPU time. Peak memory is what tensors took together at most while a
process of its own trained as many steps, by PyTorch's profiler: the resident size of a process differs by a tenth from run to run. Of
a narrow U-Net the peak is the building of the library's encoder. Target: zoo at most 5 % over smp, its memory no higher.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
import torchmetrics  # noqa: F401  # which zoo imports to evaluate: both sides shall have it in memory
from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from segmentation_models_pytorch.encoders.vgg import VGGEncoder
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).parent.parent))

from engine_overhead import Clocked, silence
from intervals import interval
from small import Memory, recipe

from zoo import registry
from zoo.backbones.timm import TimmBackbone
from zoo.backbones.unet import UNet
from zoo.datasets.loaders import Batch
from zoo.run import Run
from zoo.spec import DataSpec
from zoo.tasks.segmentation import Segmentation

LR, BATCH, SIZE = 1e-3, 8, 128
SPEC = DataSpec(3, (SIZE, SIZE), ("background", "lesion"))
CHANGES = ("train.optimizer=adamw", f"train.lr={LR}", "train.schedule=constant", "monitor.metric=val/iou", f"train.batch_size={BATCH}")


# ---------------------------------------------------------------- the networks


class TheirUNet(nn.Module):
    """The U-Net's levels, put together from the library's parts."""

    def __init__(self, width: int) -> None:
        super().__init__()
        levels = [width * 2**level for level in range(5)]
        plan = [entry for level in levels for entry in (level, level, "M")][:-1]
        self.encoder = VGGEncoder(levels, plan, batch_norm=True, depth=4)
        self.decoder = UnetDecoder([3, *levels], levels[-2::-1], 4)
        self.head = SegmentationHead(width, 1, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.head(self.decoder([image, *self.encoder(image)]))
        return logits


@dataclass(frozen=True)
class Model:
    """A network of each side."""

    ours: Callable[[int], Segmentation]
    theirs: Callable[[int], nn.Module]


def unet(width: int) -> Segmentation:
    return Segmentation(SPEC, UNet(width=width))


def mobilenetv2(width: int) -> Segmentation:
    return Segmentation(SPEC, TimmBackbone("mobilenetv2_100", form="maps"), "unet")


def their_mobilenetv2(width: int) -> nn.Module:
    net: nn.Module = smp.Unet("tu-mobilenetv2_100", encoder_weights=None, classes=1)
    return net


MODELS = {"unet": Model(unet, TheirUNet), "mobilenetv2": Model(mobilenetv2, their_mobilenetv2)}


def equal(model: Model, width: int) -> tuple[Segmentation, nn.Module]:
    """Both networks with one side's weights, layer by layer.

    Raises:
        AssertionError: their logits differ.
    """
    torch.manual_seed(0)
    ours, theirs = model.ours(width), model.theirs(width)
    kinds = (nn.Conv2d, nn.BatchNorm2d)
    for one, other in zip(*([part for part in net.modules() if isinstance(part, kinds)] for net in (ours, theirs)), strict=True):
        other.load_state_dict(one.state_dict(), strict=False)
        if isinstance(other, nn.Conv2d) and isinstance(one, nn.Conv2d) and other.bias is not None and one.bias is None:
            nn.init.zeros_(other.bias)
    image = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(ours.eval().logits(image), theirs.eval()(normal(image)), rtol=1e-4, atol=1e-5)
    return ours, theirs


# ---------------------------------------------------------------- the sides


def normal(image: Tensor) -> Tensor:
    return (image - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def hand(net: nn.Module, data: Clocked) -> None:
    """As one would write it."""
    net.train()
    optimizer = torch.optim.AdamW(net.parameters(), LR, weight_decay=0.01, fused=True)
    for batch in data:
        image, mask = normal(batch["image"].float().div_(255)), batch["mask"][:, None].float()
        loss = F.binary_cross_entropy_with_logits(net(image), mask)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if not loss.isfinite():
            raise RuntimeError("diverged")


class Held(Memory):
    """What `Fit` asks of `Loaders`; an epoch is one batch longer than the training."""

    def __init__(self, clocked: Clocked) -> None:
        super().__init__(BATCH, BATCH)
        self.clocked, self.batches = clocked, len(clocked) + 1

    def stream(self, epoch: int = 0, batch: int = 0) -> Iterator[Batch]:
        assert (epoch, batch) == (0, 0)
        return iter(self.clocked)

    def evaluation(self, part: str, shared: bool = False) -> list[Batch]:
        return [{key: value[:1] for key, value in self.clocked.batches[0].items()}]


def by_zoo(task: Segmentation, data: Clocked) -> None:
    """The plain loop of zoo."""
    made = recipe(*CHANGES, f"train.max_steps={len(data)}", "train.epochs=1")
    registry.load("engines", "loop")().fit(task, Held(data), Run.open(made))


def batches(count: int) -> list[Batch]:
    """The same pictures for every step: bright discs on noise."""
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 160, (BATCH, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    centre = torch.randint(32, 96, (BATCH, 2, 1, 1), generator=generator)
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    mask = ((rows - centre[:, 0]) ** 2 + (columns - centre[:, 1]) ** 2 < 24**2).to(torch.uint8)
    image += 80 * mask[:, None]
    whole: dict[str, Any] = {"image": image, "mask": mask, "index": torch.arange(BATCH), "path": [f"{row}.png" for row in range(BATCH)]}
    return [dict(whole) for _ in range(count)]


def train(name: str, side: str, width: int, steps: int) -> tuple[float, float]:
    """Wall-clock and CPU time of a step, in milliseconds."""
    torch.manual_seed(0)
    data = Clocked(batches(steps + 2), warm=1)
    with Path(os.devnull).open("w") as nowhere, silence(nowhere):
        if side == "zoo":
            by_zoo(MODELS[name].ours(width), data)
        else:
            hand(MODELS[name].theirs(width), data)
    return data.a_step()


# ---------------------------------------------------------------- measuring


def timed(name: str, width: int, steps: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Both sides once a round, the first round aside."""
    times: dict[str, list[tuple[float, float]]] = {"zoo": [], "smp": []}
    for number in range(-1, rounds):
        print(f"\r{name}: round {number + 1} of {rounds} ", end="", file=sys.stderr, flush=True)
        for side in ("zoo", "smp") if number % 2 else ("smp", "zoo"):
            found = train(name, side, width, steps)
            if number >= 0:
                times[side].append(found)
    print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
    return times


def tensors(name: str, side: str, width: int, steps: int) -> float:
    """Most MiB that tensors took together."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        train(name, side, width, steps)
    assert seen.profiler is not None and seen.profiler.kineto_results is not None
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    sizes = accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns()))
    return max(sizes) / 2**20


def peak(name: str, side: str, arguments: argparse.Namespace) -> float:
    """`tensors` of a process that trains this side alone."""
    options = ["--width", str(arguments.width), "--steps", str(arguments.steps), "--threads", str(arguments.threads)]
    command = [sys.executable, __file__, "--model", name, "--alone", side, *options]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(name: str, times: Mapping[str, list[tuple[float, float]]], peaks: Mapping[str, float]) -> str:
    """What a person reads."""
    lines = [
        f"{name}: {len(times['zoo'])} rounds; milliseconds a step of {BATCH} pictures of {SIZE}x{SIZE}",
        f"{'':<6}{'wall':>10}{'CPU':>10}{'peak MiB':>12}",
    ]
    for side, found in times.items():
        wall, cpu = (statistics.median(values) for values in zip(*found, strict=True))
        lines.append(f"{side:<6}{wall:>10.1f}{cpu:>10.1f}{peaks[side]:>12.0f}")
    for kind, index in (("wall", 0), ("CPU", 1)):
        ours, theirs = ([found[index] for found in times[side]] for side in ("zoo", "smp"))
        low, high = interval(sorted(one / other for one, other in zip(ours, theirs, strict=True)))
        lines.append(f"zoo / smp, {kind}: {statistics.median(ours) / statistics.median(theirs):.3f} [{low:.3f}, {high:.3f}]")
    ratio = peaks["zoo"] / peaks["smp"]
    return "\n".join([*lines, f"zoo / smp, peak memory: {ratio:.4f}"])


def main() -> None:
    """Time the models that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12, help="at least 6, for an interval of 95 %%")
    parser.add_argument("--steps", type=int, default=3, help="timed in a round")
    parser.add_argument("--model", nargs="+", choices=tuple(MODELS), default=list(MODELS))
    parser.add_argument("--width", type=int, default=64, help="of the own U-Net")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--alone", choices=("zoo", "smp"), help="train this side once and print the most MiB of tensors")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOO_HOME"] = folder
        if arguments.alone:
            print(tensors(arguments.model[0], arguments.alone, arguments.width, arguments.steps))
            return
        for name in arguments.model:
            equal(MODELS[name], arguments.width)
            times = timed(name, arguments.width, arguments.steps, arguments.rounds)
            peaks = {side: peak(name, side, arguments) for side in ("zoo", "smp")}
            print(table(name, times, peaks), flush=True)


if __name__ == "__main__":
    main()
