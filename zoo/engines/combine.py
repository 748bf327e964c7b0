"""The engine of ensembles: no training, but trained models put together, with what validation says of their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.datasets.loaders import to_device
from zoo.device import compute_device
from zoo.engines.engine import Engine
from zoo.ensembles import refuse_other_data
from zoo.errors import RecipeError
from zoo.evaluate import evaluate
from zoo.heads.committee import fitted
from zoo.model import load
from zoo.progress import Progress, say
from zoo.ranks import ranks
from zoo.tasks.ensemble import Ensemble
from zoo.tasks.task import Task

if TYPE_CHECKING:
    from zoo.datasets.loaders import Loaders
    from zoo.model import Model
    from zoo.run import Run

State = Mapping[str, Tensor]


class Combine(Engine):
    """Fetches the members' weights, averages those of one architecture if that is wished, and fits how much each counts."""

    def fit(self, task: Task, data: Loaders, run: Run) -> None:
        """See `Engine.fit`; an ensemble is put together anew if it was interrupted."""
        if ranks().world > 1:
            raise RecipeError("train.engine=combine: knows one device; set train.devices to 1")
        assert isinstance(task, Ensemble)  # the recipe's check
        device = compute_device(run.recipe.train.device)
        task.to(device).eval()
        for network, members in zip(task.networks, task.members, strict=True):
            models = [_member(name, data, device) for name in members]
            if len(models) > 1:
                assert isinstance(network, Task)
                _average(network, models, task.average, data, device)
            else:
                network.load_state_dict(models[0].task.state_dict())
        if task.fitted:
            found = evaluate(task, data.evaluation("val"), device, keep=True)
            task.shares.copy_(fitted(found.predictions["answers"], found.truth["label"], task.combine))
        told = ", ".join(f"{members[0]} {share:.2f}" for members, share in zip(task.members, task.shares.tolist(), strict=True))
        say(f"ensemble: {told}")
        run.write_text("history.jsonl", "")  # no epochs, which is not the same as a history that was lost


def _member(name: str, data: Loaders, device: torch.device) -> Model:
    """A trained model; says so where it was trained on pictures that are measured here.

    Raises:
        RecipeError: it was trained on data of another kind.
    """
    model = load(name, device=str(device))
    refuse_other_data(model, data.spec, name)
    for warning in model.split_warnings(data.split):
        say(f"WARNING: {name}: {warning}")
    return model


# ---------------------------------------------------------------- one network of several


def _average(network: Task, models: Sequence[Model], how: str, data: Loaders, device: torch.device) -> None:
    """Give a network the mean of the weights of all models, or of those whose joining does not make validation worse."""
    if how == "uniform":
        _pour(network, [model.task.state_dict() for model in models], data, device)
        return
    alone = [_accuracy(model.task, data, device) for model in models]
    order = sorted(range(len(models)), key=lambda place: -alone[place])
    kept, best = [models[order[0]].task.state_dict()], alone[order[0]]
    for place in order[1:]:
        tried = [*kept, models[place].task.state_dict()]
        _pour(network, tried, data, device)
        reached = _accuracy(network, data, device)
        if reached >= best:
            kept, best = tried, reached
    if kept is not tried:  # else the network has them already
        _pour(network, kept, data, device)
    say(f"greedy soup: {len(kept)} of {len(models)} weights, val/accuracy {best:.4f}, the best alone {max(alone):.4f}")


def _accuracy(task: Task, data: Loaders, device: torch.device) -> float:
    return evaluate(task, data.evaluation("val"), device).metrics["accuracy"]


def _pour(network: Task, states: Sequence[State], data: Loaders, device: torch.device) -> None:
    """The mean of weights; statistics of batch normalisation are those of the mean, measured anew on the training pictures."""
    floating = {name for name, value in states[0].items() if value.is_floating_point()}
    mean = {name: torch.stack([state[name] for state in states]).mean(0) if name in floating else states[0][name] for name in states[0]}
    network.load_state_dict(mean)
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats]
    if len(states) > 1 and norms:
        _measure(network, norms, data, device)


def _measure(network: Task, norms: Sequence[nn.modules.batchnorm._BatchNorm], data: Loaders, device: torch.device) -> None:
    """Give these layers the mean of all training batches' statistics."""
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean, instead of a moving one
        norm.train()
    pictures = len(data.parts()["train"])
    with Progress("measuring batch statistics", pictures, "pictures") as progress, torch.inference_mode():
        for batch in data.evaluation("train"):
            network.predict({"image": to_device(batch, device)["image"]})
            progress.advance(len(batch["path"]))
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
        norm.eval()
