"""The trainings that one process and two are compared in; as a script, a rank of the two: `python ranked.py FOLDER`.

It wants torchrun's variables. Rank 0 writes what came of each training into FOLDER.
"""

from __future__ import annotations

import json
import sys
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

    net.losses = losses  # type: ignore[method-assign]
    data = Memory(samples=21, batch_size=4)  # of 21 pictures one rank validates 11, the other 10
    registry.load("engines", engine)().fit(net, data, run)
    if not ranks.ranks().first:
        return None
    return {"losses": seen, "weights": dict(net.state_dict()), "history": run.history(), "run": str(run.folder)}


def main(folder: Path) -> None:
    with ranks.joined("cpu"):
        for case, engine in product(CASES, ENGINES):
            found = train(engine, case)
            if found is not None:
                save_file(found.pop("weights"), folder / f"{case}-{engine}.safetensors")
                (folder / f"{case}-{engine}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
