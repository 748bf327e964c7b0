"""Training on when memory does not suffice: a batch in portions, whose gradients are added up to the one step of the whole.

Halving the micro-batch and doubling the accumulation is what people do by hand after a crash. Here the turn of the player that ran
out of memory is taken again, exactly: its random numbers, batch statistics and gathered gradients are first put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.datasets.loaders import Batch
from zoo.engines.update import Backward, Updater
from zoo.tasks.task import Task

Losses = Callable[[Batch, str], dict[str, Tensor]]


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice: CUDA's, the CPU allocator's, or that of C++ (`std::bad_alloc`)."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


class Portions:
    """The turns of players in as many portions of the batch as memory asks for; doubled whenever it does not suffice.

    Args:
        task: whose batch statistics are put back before a turn is taken again.
        losses: computes a player's losses.
        updater: gathers its gradients.
        device: to compute on.

    Attributes:
        number: portions of each batch.
    """

    def __init__(self, task: Task, losses: Losses, updater: Updater, device: torch.device) -> None:
        self.task, self.losses, self.updater, self.device = task, losses, updater, device
        self.number = 1

    def turn(self, batch: Batch, player: str, backward: Backward | None = None) -> dict[str, Tensor]:
        """A player's losses of the whole batch, detached; its gradients are gathered on the way.

        Raises:
            torch.OutOfMemoryError, RuntimeError, MemoryError: memory does not suffice for one picture.
        """
        while True:
            before = self._state(player)
            try:
                return self._gathered(batch, player, backward)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error) or self.number >= len(batch["image"]):
                    raise
            # Only here, after the error: its traceback holds the tensors that did not fit.
            self._put_back(before, player)
            self.number = min(2 * self.number, len(batch["image"]))
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _gathered(self, batch: Batch, player: str, backward: Backward | None) -> dict[str, Tensor]:
        total: dict[str, Tensor] = {}
        for share, portion in portioned(batch, self.number):
            losses = self.losses(portion, player)
            if "loss" in losses:
                self.updater.gather(player, losses["loss"] * share, backward)
            for name, value in losses.items():
                total[name] = total.get(name, torch.zeros_like(value)) + value.detach() * share
        return total

    def _state(self, player: str) -> dict[str, Any]:
        """What a turn changes before its step."""
        return {
            "cpu": torch.default_generator.get_state(),
            "cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "buffers": [buffer.clone() for buffer in self.task.buffers()],
            "gradients": [None if weight.grad is None else weight.grad.clone() for weight in self._weights(player)],
        }

    def _put_back(self, state: dict[str, Any], player: str) -> None:
        torch.default_generator.set_state(state["cpu"])
        if state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"], self.device)
        with torch.no_grad():
            for buffer, before in zip(self.task.buffers(), state["buffers"], strict=True):
                buffer.copy_(before)
        for weight, gradient in zip(self._weights(player), state["gradients"], strict=True):
            weight.grad = gradient

    def _weights(self, player: str) -> Sequence[Tensor]:
        return self.updater.players[player].weights


def portioned(batch: Batch, number: int) -> Iterator[tuple[float, Batch]]:
    """The batch in `number` near-equal portions, each with its share of the pictures; every field has one entry a picture."""
    total = len(batch["image"])
    for part in range(number):
        rows = slice(part * total // number, (part + 1) * total // number)
        yield (rows.stop - rows.start) / total, {key: values[rows] for key, values in batch.items()}


def said_of(number: int, pictures: int, step: int, coupling: Sequence[str]) -> str:
    """A sentence for the log and the report.

    Args:
        number: portions of each batch.
        pictures: in a batch.
        step: from which on.
        coupling: `Task.coupling`.
    """
    size = -(-pictures // number)
    said = f"memory did not suffice: from step {step} on each batch of {pictures} is trained on in {number} portions of {size}"
    if not coupling:
        return f"{said}, which gives the gradients of the whole"
    return f"{said}; {' and '.join(coupling)} work on {size} pictures at a time, so results differ from those of whole batches"
