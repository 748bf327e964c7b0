"""The trainings that one process and two are compared in; as a script, a rank of the two: `python ranked.py FOLDER`.

It wants torchrun's variables. Rank 0 writes what came of each training into FOLDER.
"""

from __future__ import annotations

import itertools
import json
import signal
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from safetensors.torch import save_file
from small import Memory, recipe, spec, task
from small_tasks import Game
from torch import Tensor, nn

from zoo import ranks, registry
from zoo.engines.fit import StoppedError
from zoo.errors import DivergedError
from zoo.evaluate import evaluate
from zoo.run import Run
from zoo.tasks.task import Task

ENGINES = ("lightning", "mmengine")
CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "classifier": ("classifier", ()),
    "a backbone that thaws": ("frozen", ()),
    "game": ("game", ("train.players.generator.lr=0.01",)),
    "game with everything": ("waiting", ("train.accumulate=2", "train.clip=0.5", "train.ema=0.9")),
}
"""Name -> kind of task, changes of the recipe."""


class EvenGame(Game):
    """A game whose result does not depend on who computes it: noise by picture, and no batch statistics."""

    def __init__(self, **options: Any) -> None:
        super().__init__(spec(), **options)
        self.generator[1] = nn.GroupNorm(3, 12)

    def noise(self, batch: Any) -> Tensor:
        table = torch.randn(64, self.NOISE, generator=torch.Generator().manual_seed(5))
        return table[batch["index"]]


def made(name: str) -> Task:
    torch.manual_seed(0)
    if name == "classifier":
        return task(norm=False)
    if name == "frozen":
        return task(norm=False, frozen_epochs=1)
    return EvenGame(every=3) if name == "waiting" else EvenGame()


def train(engine: str, case: str) -> dict[str, Any] | None:
    """Losses of each step, weights and history; None for all ranks but the first."""
    name, changes = CASES[case]
    lowest = ("monitor={metric: val/loss, mode: min}",) if name in ("game", "waiting") else ()
    run = Run.open(recipe("train.schedule=constant", "train.lr=0.02", *lowest, *changes))
    net = made(name)
    seen: list[float] = []

    def losses(batch: Any, player: str, own: Any = net.losses) -> dict[str, Tensor]:
        found = own(batch, player)
        if found:
            seen.append(float(ranks.mean(found["loss"].detach().clone())))
        return dict(found)

    net.losses = losses
    data = Memory(samples=21, batch_size=4)  # of 21 pictures one rank validates 11, the other 10
    registry.load("engines", engine)().fit(net, data, run)
    if not ranks.ranks().first:
        return None
    return {"losses": seen, "weights": dict(net.state_dict()), "history": run.history(), "run": str(run.folder)}


class Counting(Memory):
    """Counts the pictures that this rank validates."""

    validated = 0

    def evaluation(self, part: str, shared: bool = False) -> Any:
        found = super().evaluation(part, shared)
        self.validated += shared * sum(len(batch["label"]) for batch in found)
        return found


class HalfPoisoned(Memory):
    """From the third batch on the share of rank 1 holds pictures that are no numbers."""

    def stream(self, epoch: int = 0, batch: int = 0) -> Any:
        for number, found in enumerate(super().stream(epoch, batch)):
            if number == 2 and not ranks.ranks().first:
                found["image"] = torch.full(found["image"].shape, float("nan"))
            yield found


def noisy(engine: str, stop: int | None = None) -> tuple[dict[str, Tensor], Any]:
    """Dropout in two processes, perhaps stopped by a signal that only one of them is sent, and going on."""
    run = Run.open(recipe("train.schedule=constant"))
    for _ in range(1 if stop is None else 2):
        net = task(inner_dropout=0.5, norm=False)
        own, steps = net.losses, itertools.count(1)

        def losses(batch: Any, player: str, own: Any = own, steps: Any = steps, stop: int | None = stop) -> Any:
            if next(steps) == stop and not ranks.ranks().first:
                signal.raise_signal(signal.SIGTERM)
            return own(batch, player)

        net.losses = losses
        try:
            registry.load("engines", engine)().fit(net, Memory(), Run.read(run.folder) if run.newest_checkpoint() else run)
        except StoppedError:
            ranks.most(0)  # rank 0 has saved
            assert run.newest_checkpoint() == stop
            stop = None
    return dict(net.state_dict()), run


def checks(folder: Path) -> dict[str, Any]:
    """What is looked at in both processes, beside what two must have in common with one."""
    found: dict[str, Any] = {}
    with ranks.first_goes_first():
        if ranks.ranks().first:
            time.sleep(1)
            (folder / "first").touch()
        found["after the first"] = (folder / "first").exists()
    for engine in ENGINES:
        whole, _ = noisy(engine)
        resumed, _ = noisy(engine, stop=7)
        found[f"{engine}: equal after a stop"] = all(torch.equal(whole[key], resumed[key]) for key in whole)
        data = Counting(samples=21, batch_size=4)
        registry.load("engines", engine)().fit(task(), data, Run.open(recipe("train.epochs=1")))
        found[f"{engine}: validated"] = data.validated
        try:
            registry.load("engines", engine)().fit(task(), HalfPoisoned(), Run.open(recipe()))
        except DivergedError as error:
            found[f"{engine}: diverged"] = str(error)
    # Batch statistics that differ: the numbers are those of the weights that are kept.
    run = Run.open(recipe("train.epochs=2", "train.ema=0.5"))
    net, memory = task(), Memory(samples=21)
    registry.load("engines", "mmengine")().fit(net, memory, run)
    if ranks.ranks().first:
        measured = evaluate(net, memory.evaluation("val"), torch.device("cpu")).metrics
        best = run.history()[run.checkpoints.manifest.best - 1]
        found["loss of the kept weights"] = [measured["loss"], best["val/loss"]]
    return found


def main(folder: Path) -> None:
    with ranks.joined("cpu"):
        rank = ranks.ranks().rank
        (folder / f"checks-{rank}.json").write_text(json.dumps(checks(folder)))
        for case, engine in product(CASES, ENGINES):
            found = train(engine, case)
            if found is not None:
                save_file(found.pop("weights"), folder / f"{case}-{engine}.safetensors")
                (folder / f"{case}-{engine}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
