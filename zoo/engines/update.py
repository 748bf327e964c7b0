"""The one Updater: from the loss of a player to its new weights. Its state is the run's training state, whatever the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zoo.engines.schedules import PlateauFactor, factor
from zoo.recipe import SGD, Adam, AdamW, Monitor, Plateau, RMSprop, Train
from zoo.tasks.task import Task

Backward = Callable[[Tensor], None]


class Updater:
    """Per player an optimiser; for all of them schedule, clipping, accumulation, loss scaling and averaged weights.

    Args:
        task: on its device already.
        train: of the recipe.
        monitor: the plateau schedule's metric, unless it names its own.
        batches: training batches in an epoch.
        device: whose kind decides about fused optimisers and loss scaling.
    """

    def __init__(self, task: Task, train: Train, monitor: Monitor, batches: int, device: torch.device) -> None:
        self.train, self.batches = train, batches
        self.players = {name: _Player(player, train, device) for name, player in task.players().items()}
        self.plateau = None
        if isinstance(train.schedule, Plateau):
            own = train.schedule.metric
            self.plateau = PlateauFactor(train.schedule, own or monitor.metric, train.schedule.mode if own else monitor.mode)
        self.scaler = torch.amp.GradScaler(device.type) if train.precision == 16 else None
        self.average = Average(task, train.ema) if train.ema is not None else None
        self._set_rates()

    def update(self, name: str, loss: Tensor, backward: Backward | None = None) -> None:
        """Lower a player's loss: gradients now, new weights at every `accumulate`-th call.

        Args:
            name: of the player.
            loss: scalar on the device.
            backward: what computes gradients, when the engine has its own way.
        """
        player = self.players[name]
        if self.train.accumulate > 1:
            loss = loss / self.train.accumulate
        if self.scaler is not None:
            loss = self.scaler.scale(loss)
        if backward is None:
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        else:
            backward(loss)
        player.waiting += 1
        if player.waiting >= self.train.accumulate:
            self._step(player)

    def _step(self, player: _Player) -> None:
        if self.train.clip is not None:
            if self.scaler is not None:
                self.scaler.unscale_(player.optimizer)
            nn.utils.clip_grad_norm_(player.weights, self.train.clip)
        if self.scaler is None:
            player.optimizer.step()
        else:
            self.scaler.step(player.optimizer)
            self.scaler.update()
        player.optimizer.zero_grad(set_to_none=True)
        player.waiting, player.steps = 0, player.steps + 1
        self._set_rate(player)

    def end_batch(self) -> None:
        """Called after all players had their turn: moves the averaged weights."""
        if self.average is not None:
            self.average.follow()

    def end_epoch(self, metrics: dict[str, float]) -> None:
        """Called after an epoch's validation: a plateau schedule looks at its metric."""
        if self.plateau is not None:
            self.plateau.end_epoch(metrics)
            self._set_rates()

    @property
    def rate(self) -> float:
        """The first player's learning rate."""
        return float(next(iter(self.players.values())).optimizer.param_groups[0]["lr"])

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within, the task holds its averaged weights, if it is asked to average."""
        if self.average is None:
            yield
            return
        self.average.swap()
        try:
            yield
        finally:
            self.average.swap()

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain data."""
        return {
            "players": {name: player.state_dict() for name, player in self.players.items()},
            "plateau": self.plateau.state_dict() if self.plateau else None,
            "scaler": self.scaler.state_dict() if self.scaler else None,
            "average": self.average.state_dict() if self.average else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        for name, player in self.players.items():
            player.load_state_dict(state["players"][name])
        for name in ("plateau", "scaler", "average"):
            part = getattr(self, name)
            if part is not None:
                part.load_state_dict(state[name])
        self._set_rates()

    def _set_rates(self) -> None:
        for player in self.players.values():
            self._set_rate(player)

    def _set_rate(self, player: _Player) -> None:
        time = player.steps * self.train.accumulate / self.batches
        rate = self.train.lr * factor(self.train.schedule, time, self.train.epochs) * (self.plateau.factor if self.plateau else 1.0)
        for group in player.optimizer.param_groups:
            group["lr"] = rate


class _Player:
    """A player's weights and their optimiser."""

    def __init__(self, module: nn.Module, train: Train, device: torch.device) -> None:
        self.weights = [weight for weight in module.parameters()]
        self.optimizer = optimizer(self.weights, train, device)
        self.steps = 0
        self.waiting = 0

    def state_dict(self) -> dict[str, Any]:
        gradients = {str(n): weight.grad for n, weight in enumerate(self.weights) if weight.grad is not None} if self.waiting else {}
        return {"optimizer": self.optimizer.state_dict(), "steps": self.steps, "waiting": self.waiting, "gradients": gradients}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps, self.waiting = state["steps"], state["waiting"]
        for number, gradient in state["gradients"].items():
            weight = self.weights[int(number)]
            weight.grad = gradient.to(weight.device)


def optimizer(weights: list[nn.Parameter], train: Train, device: torch.device) -> torch.optim.Optimizer:
    """The optimiser of a recipe; fused into one kernel where PyTorch can, which is the same arithmetic with less overhead."""
    fused = True if device.type in ("cpu", "cuda") else None
    match train.optimizer:
        case SGD(momentum=momentum, nesterov=nesterov, weight_decay=decay):
            return torch.optim.SGD(weights, train.lr, momentum, weight_decay=decay, nesterov=nesterov, fused=fused)
        case Adam(betas=betas, weight_decay=decay):
            return torch.optim.Adam(weights, train.lr, betas, weight_decay=decay, fused=fused)
        case AdamW(betas=betas, weight_decay=decay):
            return torch.optim.AdamW(weights, train.lr, betas, weight_decay=decay, fused=fused)
        case RMSprop(smoothing=smoothing, momentum=momentum, weight_decay=decay):
            return torch.optim.RMSprop(weights, train.lr, smoothing, weight_decay=decay, momentum=momentum)


class Average:
    """Exponential moving average of all floating-point tensors of a task's state, batch statistics included.

    The decay rises with the steps as min(decay, (1 + n) / (10 + n)), so that the random start is soon forgotten.
    """

    def __init__(self, task: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.names, self.live = zip(*((name, tensor) for name, tensor in task.state_dict(keep_vars=True).items() if tensor.is_floating_point()), strict=True)
        self.kept = [tensor.detach().clone() for tensor in self.live]

    @torch.no_grad()
    def follow(self) -> None:
        """Move towards the weights as they are now."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.kept, [tensor.detach() for tensor in self.live], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the averaged and the live values."""
        for tensor, kept in zip(self.live, self.kept, strict=True):
            held = tensor.detach().clone()
            tensor.copy_(kept)
            kept.copy_(held)

    def state_dict(self) -> dict[str, Any]:
        """Tensors by name."""
        return {"steps": self.steps, "kept": dict(zip(self.names, self.kept, strict=True))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.steps = state["steps"]
        for name, kept in zip(self.names, self.kept, strict=True):
            kept.copy_(state["kept"][name])
