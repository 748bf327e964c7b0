"""How far a resumed training ends from the unbroken one: stock Lightning beside zoo's three engines.

    python tests/resume/drift.py

The same network with dropout on the same pictures, shuffled: four epochs at once, and four with one stop after the second. Stock
Lightning resumes by `Trainer.fit(ckpt_path=...)` in a program that seeds itself as at the first start. Prints a table with the
largest difference of a weight.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from small import Memory, recipe, task
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from zoo import registry
from zoo.run import Run, going_on

EPOCHS, CUT, SEED = 4, 2, 3
Weights = dict[str, Tensor]


class Stock(pl.LightningModule):
    """As Lightning's users write it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = task(inner_dropout=0.5)

    def training_step(self, batch: Any, index: int) -> Tensor:
        image, label = batch
        return F.cross_entropy(self.net.logits(image.float() / 255), label)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.05, momentum=0.9)


def stock(folder: Path, epochs: int, resume: str | None = None) -> tuple[Weights, str]:
    pl.seed_everything(SEED, verbose=False)
    module, memory = Stock(), Memory()
    data = DataLoader(TensorDataset(memory.image, memory.label), batch_size=4, shuffle=True)
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = pl.Trainer(max_epochs=epochs, accelerator="cpu", default_root_dir=folder, **quiet)
    # weights_only is Lightning's way to read its own file; nothing here comes from outside.
    trainer.fit(module, data, ckpt_path=resume, weights_only=False)
    path = str(folder / f"{epochs}.ckpt")
    trainer.save_checkpoint(path)
    return {name: value.clone() for name, value in module.net.state_dict().items()}, path


def ours(engine: str, epochs: int, resume: Run | None = None) -> tuple[Weights, Run]:
    changes = [f"train.engine={engine}", f"train.epochs={epochs}", "train.schedule=constant"]
    wished, forced = going_on(resume, changes) if resume else (recipe(*changes), [])
    net = task(inner_dropout=0.5)
    with Run.open(wished, resume.folder if resume else None, forced) as run:
        registry.load("engines", engine)().fit(net, Memory(), run)
        state = run.checkpoint()
    assert state
    return state["task"], run


def furthest(one: Weights, other: Weights) -> float:
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ZOO_HOME"] = scratch
        folder = Path(scratch)
        whole, _ = stock(folder, EPOCHS)
        _, path = stock(folder, CUT)
        resumed, _ = stock(folder, EPOCHS, path)
        rows = [(f"stock Lightning {pl.__version__}, ckpt_path", furthest(whole, resumed))]
        for engine in ("lightning", "mmengine", "loop"):
            whole, _ = ours(engine, EPOCHS)
            _, run = ours(engine, CUT)
            resumed, _ = ours(engine, EPOCHS, Run.read(run.folder))
            rows.append((f"zoo, train.engine={engine}", furthest(whole, resumed)))
    print(f"| {EPOCHS} epochs with one stop after {CUT} | largest difference of a weight from {EPOCHS} at once |\n|---|---|")
    for name, difference in rows:
        print(f"| {name} | {difference:.3g} |")


if __name__ == "__main__":
    main()
