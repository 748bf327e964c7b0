"""Find what made a training diverge: train on from the newest checkpoint, in a copy, and look at every layer.

    python -m zoo.replay RUN

Prints the step, its pictures and the first layer whose numbers were not finite. The run itself stays as it is.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from zoo.datasets.loaders import Batch
    from zoo.run import Run


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="zoo replay", description="Find the step, the pictures and the layer that made a run diverge.")
    parser.add_argument("run", help="the run's folder")
    arguments = parser.parse_args(argv)

    from zoo.run import Run

    print(replay(Run.read(arguments.run)))
    return 0


def replay(run: Run) -> str:
    """Train on from the newest checkpoint until a number is not finite; says what was found.

    Raises:
        DataError, ZooError: the data or the checkpoints are not what they were.
    """
    from zoo import build
    from zoo.engines.fit import Fit
    from zoo.errors import DivergedError
    from zoo.run import Run

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, run.folder.name)
        shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("figures", "tables", "tensorboard"))
        source = build.source(run.recipe)
        data = build.loaders(source, run.recipe)
        task = build.task(run.recipe, data.spec, trained=run.newest_checkpoint() is not None)
        layers = Layers(task)
        again = Run(folder, run.recipe.changed(["train.log_every=1", "train.tensorboard=false"]))  # every step is looked at
        with Fit(task, data, again) as fit:
            for batch in fit.batches():
                layers.begin()
                try:
                    fit.step(batch)
                except DivergedError as error:
                    return _found(str(error), layers, batch)
                layers.end()
    return "every loss was finite to the end: on this machine, with these threads and versions, the training does not diverge"


def _found(error: str, layers: Layers, batch: Batch) -> str:
    paths = batch.get("path", [])
    return "\n".join(
        [
            error.partition(" Try ")[0],
            f"first in {layers.culprit()}",
            f"pictures of the batch ({len(paths)}):",
            *(f"  {path}" for path in paths),
        ]
    )


class Layers:
    """Looks at the outputs of all layers of a network, and at its weights after each step.

    Args:
        network: is given hooks.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.wrong: str | None = None
        self.broken: str | None = None  # a weight that the step before made so
        for name, module in network.named_modules():
            if not any(True for _ in module.children()):
                module.register_forward_hook(self._looking(name or type(module).__name__))

    def begin(self) -> None:
        """A step begins."""
        self.wrong = None

    def end(self) -> None:
        """A step has ended: are the weights it made finite?"""
        bad = (name for name, weight in self.network.named_parameters() if not bool(weight.isfinite().all()))
        self.broken = next(bad, None)

    def culprit(self) -> str:
        """Where the first number was that is not finite."""
        if self.broken:
            return f"the weight {self.broken}: the gradients of the step before made it so"
        return f"the output of {self.wrong}" if self.wrong else "the loss: all layers were finite"

    def _looking(self, name: str) -> Any:
        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            import torch

            if self.wrong is None and isinstance(output, torch.Tensor) and not bool(output.isfinite().all()):
                self.wrong = f"{name} ({type(module).__name__})"

        return look


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("replay", sys.argv[1:]))
