"""Measuring a task on a part of the data, in one way for validation, test and the `evaluate` command.

python -m zoo.evaluate RUN [--part val] [key=value ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from zoo.tasks.task import Task

MOST_VALUES = 4096
"""Fields and predictions with more values a sample (masks, pictures) are not kept."""
BOXES = ("boxes", "classes", "scores")
"""These are kept whatever their number."""


@dataclass(frozen=True)
class Evaluation:
    """What came of an evaluation.

    Attributes:
        metrics: name -> value, the task's main one first.
        details: the task's details of its metrics; where processes share, a classifier's alone.
        truth, predictions: fields of the batches and predictions, joined over the samples, but for large ones; on the CPU. Empty
            unless asked to keep them.
    """

    metrics: dict[str, float]
    details: dict[str, Any]
    truth: dict[str, Any]
    predictions: dict[str, Tensor]


def evaluate(
    task: Task, batches: Iterable[Mapping[str, Any]], device: torch.device, keep: bool = False, shared: bool = False
) -> Evaluation:
    """Measure a task.

    Runs in evaluation mode, without gradients and under a fixed seed; mode and random state are put back, so that training
    goes on as if nothing had been measured.

    Args:
        task: on `device`.
        batches: of `Loaders.evaluation`.
        device: to compute on.
        keep: also keep truth and predictions, for drawing.
        shared: the processes that train together measure a share each, and what they counted is added up: all find the same metrics.
    """
    import torch

    from zoo.datasets.loaders import to_device
    from zoo.progress import track
    from zoo.ranks import ranks
    from zoo.tasks.task import Classifies

    metrics = task.metrics().to(device)
    for metric in metrics.values(copy_state=False):
        # By itself torchmetrics waits for the other processes whenever there are some, also where one measures alone.
        metric.distributed_available_fn = lambda: shared and ranks().world > 1
    kept: list[tuple[dict[str, Any], dict[str, Tensor]]] = []
    training = task.training
    task.eval()
    try:
        with _undisturbed(device), torch.inference_mode():
            for batch in track(batches, "evaluating", len(batches), "batches") if isinstance(batches, Sized) else batches:
                moved = to_device(batch, device)
                predictions = task.predict(moved)
                metrics.update(predictions, moved)
                if keep:
                    kept.append((_light(batch), _light(predictions)))
            computed = _ordered({name: float(value) for name, value in metrics.compute().items()}, task.main)
            # They are of what this process counted; only a classifier's are of all.
            details = {} if shared and not isinstance(task, Classifies) else task.details(metrics)
    finally:
        task.train(training)
    truth, said = _join([fields for fields, _ in kept]), _join([predictions for _, predictions in kept])
    return Evaluation(computed, details, truth, said)


def _ordered(values: dict[str, float], main: str) -> dict[str, float]:
    """The main metric first, losses and mean scores last; torchmetrics orders by the alphabet."""
    return {name: values[name] for name in sorted(values, key=lambda name: (name != main, name.endswith(("loss", "_score"))))}


@contextmanager
def _undisturbed(device: torch.device) -> Iterator[None]:
    """Draws under a fixed seed within; afterwards random states, the device's too, as they were."""
    import torch

    from zoo.datasets.loaders import seeded

    on_cuda = device.type == "cuda"
    with seeded(0), torch.random.fork_rng([device] if on_cuda else []):
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(0)
        yield


def _light(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What to keep of a batch: all but pictures and other large fields."""
    return {
        key: value.cpu() if hasattr(value, "dtype") else value
        for key, value in fields.items()
        if key != "image" and (key in BOXES or not (hasattr(value, "dtype") and value[0].numel() > MOST_VALUES))
    }


def _join(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:

    joined: dict[str, Any] = {}
    for key in parts[0] if parts else ():
        values = [part[key] for part in parts if key in part]
        joined[key] = _rows(values) if hasattr(values[0], "dtype") else [item for value in values for item in value]
    return joined


def _rows(values: Sequence[Tensor]) -> Tensor:
    """Tensors one after the other; where pictures have different numbers of something (boxes), rows are filled up as in a batch."""
    import torch

    from zoo.datasets.boxes import NONE

    most = max((value.shape[1] for value in values if value.ndim > 1), default=0)
    fill = 0 if values[0].is_floating_point() else NONE
    return torch.cat([_widened(value, most, fill) for value in values])


def _widened(value: Tensor, most: int, fill: int) -> Tensor:
    import torch

    if value.ndim < 2 or value.shape[1] == most:
        return value
    return torch.cat([value, value.new_full((len(value), most - value.shape[1], *value.shape[2:]), fill)], 1)


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="zoo evaluate", description="Measure a trained run again, perhaps on other data.")
    parser.add_argument("run", help="run folder, packed file, or the name of a trained recipe")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes of the run's recipe, such as data.root=FOLDER")
    parser.add_argument("--part", default="val", choices=("train", "val", "test"), help="which part of the data (default: val)")
    arguments = parser.parse_intermixed_args(argv)

    from zoo import build
    from zoo.errors import RecipeError
    from zoo.model import load
    from zoo.progress import say

    model = load(arguments.run)
    recipe = model.recipe.changed(arguments.changes)
    source = build.source(recipe)
    data = build.loaders(source, recipe)
    if data.spec.labels != model.spec.labels:
        raise RecipeError(f"the data has other classes than the model: {_difference(model.spec.labels, data.spec.labels)}")
    for warning in model.split_warnings(data.split):
        say(f"WARNING: {warning}")
    if arguments.part not in data.parts():
        raise RecipeError(f"--part {arguments.part}: this data has {', '.join(data.parts())}")
    found = evaluate(model.task, data.evaluation(arguments.part), model.device)
    kind = "synthetic" if recipe.synthetic else "real"
    say(f"{arguments.part}: {len(data.parts()[arguments.part])} pictures of {kind} {recipe.data.name}")
    for name, value in found.metrics.items():
        sys.stdout.write(f"{arguments.part}/{name} {value:.6g}\n")
    return 0


def _difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    missing, new = sorted(set(ours) - set(theirs))[:5], sorted(set(theirs) - set(ours))[:5]
    return f"missing {missing}, new {new}" if missing or new else "the same names in another order"


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("evaluate", sys.argv[1:]))
