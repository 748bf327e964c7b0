"""What a training will cost, before it begins: seconds an epoch and memory, from a few pictures."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from zoo.datasets.loaders import Loaders, collate, to_device
from zoo.device import compute_device
from zoo.engines.portions import out_of_memory
from zoo.progress import clock
from zoo.ranks import ranks
from zoo.recipe import Recipe
from zoo.sections import SGD, Optimizer, RMSprop

if TYPE_CHECKING:
    from zoo.tasks.task import Task

PICTURES = 8


@dataclass(frozen=True)
class Estimate:
    """Seconds for an epoch and for all of them; bytes of weights, gradients and optimiser state, and of a batch's activations."""

    epoch_seconds: float
    seconds: float
    state_bytes: int
    activation_bytes: int

    def __str__(self) -> str:
        state, activations = self.state_bytes / 1e9, self.activation_bytes / 1e9
        return (
            f"about {clock(self.epoch_seconds)} an epoch, {clock(self.seconds)} in all; "
            f"{state + activations:.2f} GB for training beside what PyTorch itself takes "
            f"({state:.2f} weights, gradients and optimiser, {activations:.2f} activations)"
        )


def described(task: Task, data: Loaders, recipe: Recipe) -> str:
    """The estimate in words, or why there is none."""
    try:
        return str(estimate(task, data, recipe))
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return f"none: there is no memory for a batch of {PICTURES} pictures"


def estimate(task: Task, data: Loaders, recipe: Recipe) -> Estimate:
    """Read a few pictures, and time and measure steps on them; on a copy of the task, with the random state put back."""
    train, device = recipe.train, compute_device(recipe.train.device)
    trial = copy.deepcopy(task).to(device)
    trial.start_epoch(train.epochs - 1)  # the dearest: by then everything that will learn does
    trial.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        batch, reading = _timed(lambda: _read(data), device)
        moved = to_device(batch, device)
        kept = _step(trial, moved, train.precision)  # also warms up
        computing = min(_timed(lambda: _step(trial, moved, train.precision), device)[1] for _ in range(2))
    forward = computing / 3  # without the backward pass, about twice as dear
    world = ranks().world
    trained, judged = data.batches * data.batch_size / world, len(data.parts()["val"]) / world
    epoch = (trained * _together(reading, computing, data.workers) + judged * _together(reading, forward, data.workers)) / PICTURES
    epochs = min(train.epochs, (train.max_steps or train.epochs * data.batches) / data.batches)
    weights = sum(weight.numel() * weight.element_size() for weight in trial.parameters())
    copies = 2 + _moments(train.optimizer) + (train.ema is not None)  # weights and gradients, what the optimiser keeps, an average
    return Estimate(epoch, epoch * epochs, weights * copies, kept // PICTURES * data.batch_size // world)


def _read(data: Loaders) -> dict[str, Any]:
    """A batch of training pictures; they are repeated where there are fewer, since batch statistics need two."""
    pictures = data.pictures("train")
    batch = collate([pictures[number % len(pictures)] for number in range(PICTURES)])
    if "error" in batch:
        raise batch["error"]
    return batch


def _together(reading: float, computing: float, workers: int) -> float:
    """Seconds of both: one after the other, or side by side when other processes read."""
    return max(reading / workers, computing) if workers else reading + computing


def _moments(optimizer: Optimizer) -> int:
    """How many numbers an optimiser keeps for each weight."""
    if isinstance(optimizer, SGD):
        return int(optimizer.momentum > 0)
    return 1 + (optimizer.momentum > 0) if isinstance(optimizer, RMSprop) else 2


def _step(task: Task, batch: dict[str, Any], precision: int | str) -> int:
    """Forward and backward for every player; returns the bytes that autograd kept in between, each counted once."""
    own = {weight.untyped_storage().data_ptr() for weight in task.parameters()}
    seen: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    half = torch.float16 if precision == 16 else torch.bfloat16
    for player in task.players():
        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            torch.autocast(batch["image"].device.type, half, enabled=precision != 32),
        ):
            losses = task.losses(batch, player)
        if losses:
            losses["loss"].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return sum(seen.values())


def _timed(work: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """What work gives, and its seconds."""
    _wait(device)
    begun = time.perf_counter()
    result = work()
    _wait(device)
    return result, time.perf_counter() - begun


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
