"""What a training will cost, before it begins: seconds an epoch and memory, from a few pictures."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch

from zoo.datasets.loaders import Loaders, to_device
from zoo.device import compute_device
from zoo.progress import clock
from zoo.recipe import SGD, Recipe

if TYPE_CHECKING:
    from zoo.tasks.task import Task

PICTURES = 8


@dataclass(frozen=True)
class Estimate:
    """Seconds for an epoch's training steps and for all epochs; bytes of weights, gradients, optimiser state and activations."""

    epoch_seconds: float
    seconds: float
    state_bytes: int
    activation_bytes: int

    def __str__(self) -> str:
        memory = (self.state_bytes + self.activation_bytes) / 1e9
        return (
            f"about {clock(self.epoch_seconds)} an epoch, {clock(self.seconds)} in all; {memory:.2f} GB for training beside what PyTorch itself takes "
            f"({self.state_bytes / 1e9:.2f} weights, gradients and optimiser, {self.activation_bytes / 1e9:.2f} activations)"
        )


def estimate(task: Task, data: Loaders, recipe: Recipe) -> Estimate:
    """Time and measure a step on a few pictures, on a copy of the task and with the random state put back.

    Activations are what autograd keeps for the backward pass, counted once each and scaled to the batch size.
    """
    device = compute_device(recipe.train.device)
    trial = copy.deepcopy(task).to(device).train()
    pictures = data.pictures("train")
    rows = [pictures[index] for index in islice(range(len(pictures)), PICTURES)]
    from zoo.datasets.loaders import collate

    batch = to_device(collate(rows), device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        kept = _step(trial, batch)
        _wait(device)
        begun = time.perf_counter()
        _step(trial, batch)
        _wait(device)
        a_picture = (time.perf_counter() - begun) / len(rows)
    weights = sum(weight.numel() * weight.element_size() for weight in trial.parameters())
    moments = (recipe.train.optimizer.momentum > 0) if isinstance(recipe.train.optimizer, SGD) else 2
    epoch = a_picture * data.batches * data.batch_size + a_picture / 3 * len(data.parts()["val"])  # no backward pass in validation
    averaged = recipe.train.ema is not None
    return Estimate(epoch, epoch * recipe.train.epochs, weights * (2 + moments + averaged), kept // len(rows) * data.batch_size)


def _step(task: Task, batch: dict[str, Any]) -> int:
    """Forward and backward for every player; returns the bytes that autograd kept in between."""
    own = {weight.untyped_storage().data_ptr() for weight in task.parameters()}
    seen: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        for player in task.players():
            losses = task.losses(batch, player)
            if losses:
                losses["loss"].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return sum(seen.values())


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
