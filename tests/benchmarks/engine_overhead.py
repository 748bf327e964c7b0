"""What a step costs under each engine, beside a loop by hand and the frameworks as they come; by hand, some minutes.

    python tests/benchmarks/engine_overhead.py [--rounds 12] [--model tiny|mobilenetv2|both] [--sides NAME ...]

All sides train one model with AdamW (fused) and a cosine rate set at every step, on the same batches of 8 pictures in memory; there
is no DataLoader. `tiny` is a convolution on 8x8 pixels, so small that little but overhead is left to time; `mobilenetv2` has 64x64
pixels. PyTorch computes in one thread.

    hand                a textbook loop that adds up loss and accuracy and looks at the loss at every step
    loop, lightning,    zoo's engines, through `Engine.fit` with a run folder
      mmengine
    Lightning, bare     automatic optimisation, nothing logged, shown or saved
    Lightning           as it comes: loss and accuracy logged at every step and shown, logger, progress bar and checkpoints
    MMEngine            as it comes: Runner with EpochBasedTrainLoop, OptimWrapper and the default hooks

Timed: what is between two requests for a batch, over the steps of a round, after some steps to warm up; fetching, the step, hooks,
callbacks, what is logged. Not timed: what happens once a training (making the trainer and the run, the first steps, validation and
checkpoint at the end), since each round is one training whose clocks are read as its batches are drawn, and whose epoch is longer than
what is timed.

In a round every side trains once; the order moves on by one from round to round. Given are the medians a step and the median of the
rounds' differences to `loop`, with the interval that holds it with at least 95 % (order statistics of the sign test), in wall-clock
and in CPU time. Targets on the tiny model: `loop` at most 0.1 ms over `hand`, `lightning` at most 1.0 ms and `mmengine` at most
0.6 ms over `loop`.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import statistics
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.runner import Runner
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from intervals import interval
from small import LABELS, Memory, recipe, task

from zoo import registry
from zoo.backbones.timm import TimmBackbone
from zoo.datasets.loaders import Batch, to_device
from zoo.run import Run
from zoo.spec import DataSpec
from zoo.tasks.classification import Classification

LR, BATCH = 1e-3, 8
ADAMW = ("train.optimizer=adamw", f"train.lr={LR}", "train.schedule=cosine")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Model:
    """What is trained, and how long."""

    title: str
    new: Callable[[], Classification]
    size: int
    warm: int  # steps before the clock runs
    steps: int  # timed


def mobilenetv2() -> Classification:
    torch.manual_seed(0)
    backbone = TimmBackbone(channels=3, form="vector", pretrained=False, name="mobilenetv2_100", size=(64, 64))
    return Classification(DataSpec(3, (64, 64), LABELS, (1,) * len(LABELS), ()), backbone)


MODELS = {
    "tiny": Model("a convolution, 8x8 pixels", task, 8, 50, 400),
    "mobilenetv2": Model("MobileNetV2, 64x64 pixels", mobilenetv2, 64, 2, 15),
}


class Clocked:
    """Batches in memory for one training, whose drawing reads the clocks: before the first step that counts and after the last."""

    def __init__(self, batches: list[Batch], warm: int) -> None:
        self.batches = batches
        self.dataset = None  # MMEngine looks there for the names of classes
        self.edges = (warm, len(batches) - 1)  # one more step follows, so that the last that counts is whole for everyone
        self.marks: list[tuple[float, float]] = []

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        for number, batch in enumerate(self.batches):
            if number in self.edges:
                self.marks.append((time.perf_counter(), time.process_time()))
            yield batch

    def a_step(self) -> tuple[float, float]:
        """Wall-clock and CPU time of a step, in milliseconds."""
        (begun, burnt), (ended, spent) = self.marks
        steps = self.edges[1] - self.edges[0]
        return (ended - begun) / steps * 1e3, (spent - burnt) / steps * 1e3


# ---------------------------------------------------------------- the sides


def hand(net: Classification, data: Clocked) -> None:
    """As one would write it: loss and accuracy are added up, a loss that is no number stops it."""
    net.train()
    optimizer = torch.optim.AdamW(net.parameters(), LR, weight_decay=0.01, fused=True)
    total = right = torch.zeros(())
    for number, batch in enumerate(data):
        moved = to_device(batch, CPU)
        for group in optimizer.param_groups:
            group["lr"] = LR * (1 + math.cos(math.pi * number / len(data))) / 2
        logits = net.logits(moved["image"])
        loss = F.cross_entropy(logits, moved["label"])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        total = total + loss.detach()
        right = right + accuracy(logits, moved["label"])
        if not math.isfinite(float(total)):
            raise RuntimeError("diverged")


def accuracy(logits: Tensor, label: Tensor) -> Tensor:
    return (logits.detach().argmax(1) == label).float().mean()


class Held(Memory):
    """What `Fit` asks of `Loaders`; an epoch is one batch longer than the training."""

    def __init__(self, clocked: Clocked) -> None:
        super().__init__(BATCH, BATCH)
        self.clocked, self.batches = clocked, len(clocked) + 1

    def stream(self, epoch: int = 0, batch: int = 0) -> Iterator[Batch]:
        assert (epoch, batch) == (0, 0)
        return iter(self.clocked)

    def evaluation(self, part: str, shared: bool = False) -> list[Batch]:
        return self.clocked.batches[:1]


def by_zoo(engine: str) -> Callable[[Classification, Clocked], None]:
    """One of zoo's engines."""

    def train(net: Classification, data: Clocked) -> None:
        made = recipe(f"train.max_steps={len(data)}", "train.epochs=1", f"train.batch_size={BATCH}", *ADAMW)
        registry.load("engines", engine)().fit(net, Held(data), Run.open(made))

    return train


class Plain(LightningModule):
    """A module as Lightning's users write it, with automatic optimisation."""

    def __init__(self, net: Classification, steps: int, logs: bool) -> None:
        super().__init__()
        self.net, self.steps, self.logs = net, steps, logs

    def training_step(self, batch: Batch, index: int) -> Tensor:
        logits = self.net.logits(batch["image"].float().div_(255))
        loss = F.cross_entropy(logits, batch["label"])
        right = accuracy(logits, batch["label"])
        if self.logs:
            self.log("loss", loss, prog_bar=True, batch_size=BATCH)
            self.log("accuracy", right, prog_bar=True, batch_size=BATCH)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), LR, weight_decay=0.01, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def lightning(logs: bool) -> Callable[[Classification, Clocked], None]:
    """Lightning's Trainer, with all it does by itself or without."""
    without = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}

    def train(net: Classification, data: Clocked) -> None:
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(accelerator="cpu", devices=1, max_epochs=1, default_root_dir=folder, **({} if logs else without))
            trainer.fit(Plain(net, len(data), logs), data)

    return train


class Mine(BaseModel):  # MMEngine has no types
    """A model as MMEngine's users write it."""

    def __init__(self, net: Classification) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, label: Tensor, mode: str, **rest: object) -> dict[str, Tensor]:
        assert mode == "loss"
        logits = self.net.logits(image.float().div_(255))
        return {"loss": F.cross_entropy(logits, label), "accuracy": accuracy(logits, label)}


def mmengine(net: Classification, data: Clocked) -> None:
    """MMEngine's Runner with its defaults."""
    with tempfile.TemporaryDirectory() as folder:
        Runner(
            Mine(net),
            work_dir=folder,
            train_dataloader=data,
            train_cfg={"by_epoch": True, "max_epochs": 1},
            optim_wrapper={"type": "OptimWrapper", "optimizer": {"type": "AdamW", "lr": LR, "weight_decay": 0.01, "fused": True}},
            param_scheduler={"type": "CosineAnnealingLR", "T_max": len(data), "by_epoch": False},
            experiment_name=uuid.uuid4().hex,  # its helpers are kept by name for the whole process
        ).train()


SIDES: Mapping[str, Callable[[Classification, Clocked], None]] = {
    "hand": hand,
    "loop": by_zoo("loop"),
    "lightning": by_zoo("lightning"),
    "mmengine": by_zoo("mmengine"),
    "Lightning, bare": lightning(logs=False),
    "Lightning": lightning(logs=True),
    "MMEngine": mmengine,
}


# ---------------------------------------------------------------- timing


@dataclass
class Times:
    """Milliseconds a step, by side and round."""

    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)

    def add(self, side: str, wall: float, cpu: float) -> None:
        self.wall.setdefault(side, []).append(wall)
        self.cpu.setdefault(side, []).append(cpu)


def timed(model: Model, sides: list[str], rounds: int, nowhere: TextIO) -> Times:
    """Every side once a round, in an order that moves on; the first round is not kept."""
    memory = Memory(BATCH, BATCH)
    image = torch.randint(0, 256, (BATCH, 3, model.size, model.size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    batch = memory.batch(torch.arange(BATCH)) | {"image": image}
    batches = [dict(batch) for _ in range(model.warm + model.steps + 1)]
    times = Times()
    for number in range(-1, rounds):
        print(f"\r{model.title}: round {number + 1} of {rounds} ", end="", file=sys.stderr, flush=True)
        start = number % len(sides)
        for side in sides[start:] + sides[:start]:
            data = Clocked(batches, model.warm)
            with silence(nowhere):
                SIDES[side](model.new(), data)
            if number >= 0:
                times.add(side, *data.a_step())
    print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
    return times


@contextmanager
def silence(nowhere: TextIO) -> Iterator[None]:
    """What is printed is formatted and written, but nobody sees it."""
    with redirect_stdout(nowhere), redirect_stderr(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def table(model: Model, times: Times) -> str:
    """What a person reads."""
    rounds = len(times.wall["loop"])
    lines = [
        f"{model.title}: {rounds} rounds of {model.steps} steps with batches of {BATCH}; milliseconds a step",
        f"{'':<16}{'wall':>9}{'CPU':>9}   {'wall over loop [95 %]':<31}CPU over loop [95 %]",
    ]
    for side, wall in times.wall.items():
        cpu = times.cpu[side]
        over = [difference(wall, times.wall["loop"]), difference(cpu, times.cpu["loop"])] if side != "loop" else ["", ""]
        lines.append(f"{side:<16}{statistics.median(wall):>9.3f}{statistics.median(cpu):>9.3f}   {over[0]:<31}{over[1]:<31}".rstrip())
    return "\n".join(lines)


def difference(one: list[float], other: list[float]) -> str:
    """The median of paired differences with its interval."""
    values = sorted(a - b for a, b in zip(one, other, strict=True))
    low, high = interval(values)
    return f"{statistics.median(values):+.3f} [{low:+.3f}, {high:+.3f}]"


def main() -> None:
    """Time the models that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12, help="at least 6, for an interval of 95 %%")
    parser.add_argument("--model", choices=(*MODELS, "both"), default="both")
    parser.add_argument("--sides", nargs="+", choices=tuple(SIDES), default=list(SIDES), help="some only; loop is always among them")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    sides = [side for side in SIDES if side in (*arguments.sides, "loop")]
    for name in MODELS if arguments.model == "both" else (arguments.model,):
        with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
            os.environ["ZOO_HOME"] = folder
            print(table(MODELS[name], timed(MODELS[name], sides, arguments.rounds, nowhere)), flush=True)


if __name__ == "__main__":
    main()
