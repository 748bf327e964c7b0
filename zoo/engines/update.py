"""The one Updater: from the loss of a player to its new weights. Its state is the run's training state, whatever the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zoo.engines.schedules import PlateauFactor, factor
from zoo.errors import RecipeError
from zoo.nearest import nearest
from zoo.sections import SGD, Adam, AdamW, Monitor, Plateau, RMSprop, Train
from zoo.tasks.task import Task

Backward = Callable[[Tensor], None]


class Updater:
    """Per player an optimiser and schedule with clipping, accumulation, loss scaling and averaged weights.

    Args:
        task: on its device already.
        train: of the recipe; `train.players.<name>` refines it for one player.
        monitor: the plateau schedule's metric, unless it names its own.
        batches: training batches in an epoch.
        device: whose kind decides about fused optimisers and loss scaling.

    Raises:
        RecipeError: `train.players` names one that the task does not have, or an optimiser's options do not go together.
    """

    def __init__(self, task: Task, train: Train, monitor: Monitor, batches: int, device: torch.device) -> None:
        self.train, self.batches = train, batches
        self.seen = 0  # batches; the time of the schedule, for players that sit batches out as well
        modules = task.players()
        for name in train.players:
            if name not in modules:
                raise RecipeError(f"train.players.{name}: the task has no such player{nearest(name, modules)}; it has {', '.join(modules)}")
        self.players = {name: _Player(module, refined(train, name), monitor, device) for name, module in modules.items()}
        self._set_rates()

    def update(self, name: str, loss: Tensor, backward: Backward | None = None) -> None:
        """Lower a player's loss: gradients now, new weights at every `accumulate`-th call.

        Args:
            name: of the player.
            loss: scalar on the device.
            backward: what computes gradients, when the engine has its own way.
        """
        self.gather(name, loss, backward)
        self.end_turn(name)

    def gather(self, name: str, loss: Tensor, backward: Backward | None = None) -> None:
        """The first half of `update`: adds a loss's gradients to those that wait."""
        player = self.players[name]
        if self.train.accumulate > 1:
            loss = loss / self.train.accumulate
        if player.scaler is not None:
            loss = player.scaler.scale(loss)
        if backward is None:
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        else:
            backward(loss)

    def end_turn(self, name: str) -> None:
        """The second half of `update`: the player has seen a batch, and takes a step if one is due."""
        player = self.players[name]
        player.waiting += 1
        if player.waiting >= self.train.accumulate:
            player.step()

    def end_batch(self) -> None:
        """Called after all players had their turn: moves the averaged weights and the time."""
        for player in self.players.values():
            player.follow()
        self.seen += 1
        if self.seen % self.train.accumulate == 0:
            self._set_rates()

    def end_epoch(self, metrics: dict[str, float]) -> None:
        """Called after an epoch's validation with all its numbers: a plateau schedule looks at its metric."""
        for plateau in self.plateaus:
            plateau.end_epoch(metrics)
        self._set_rates()

    @property
    def plateaus(self) -> list[PlateauFactor]:
        """Those that wait for a metric to stand still."""
        return [player.plateau for player in self.players.values() if player.plateau is not None]

    @property
    def averages(self) -> list[Average]:
        """Of the players whose weights are averaged."""
        return [player.average for player in self.players.values() if player.average is not None]

    @property
    def norms(self) -> dict[str, Tensor]:
        """Of the gradients of this batch's steps, before clipping: `gradient_norm`, or `<player>/gradient_norm`; if they are asked for."""
        found = {name: player.norm for name, player in self.players.items() if player.moved and player.norm is not None}
        return {f"{name}/gradient_norm" if len(self.players) > 1 else "gradient_norm": norm for name, norm in found.items()}

    @property
    def rates(self) -> dict[str, float]:
        """The learning rates now: `lr`, or `lr/<player>` where there are several players."""
        found = {name: float(player.optimizer.param_groups[0]["lr"]) for name, player in self.players.items()}
        several = len(found) > 1
        return {f"lr/{name}" if several else "lr": rate for name, rate in found.items()}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within, the task holds its averaged weights, if it is asked to average."""
        for average in self.averages:
            average.swap()
        try:
            yield
        finally:
            for average in self.averages:
                average.swap()

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain data."""
        return {
            "seen": self.seen,
            "players": {name: player.state_dict() for name, player in self.players.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.seen = state["seen"]
        for name, player in self.players.items():
            player.load_state_dict(state["players"][name])
        self._set_rates()

    def _set_rates(self) -> None:
        every = self.train.accumulate
        time, step = self.seen // every * every / self.batches, every / self.batches
        for player in self.players.values():
            player.set_rate(time, step)


def refined(train: Train, player: str) -> Train:
    """`train` as it holds for one player."""
    own = train.players.get(player)
    if own is None:
        return train
    return train.model_copy(update={key: value for key in type(own).model_fields if (value := getattr(own, key)) is not None})


class _Player:
    """A player's weights, their optimiser and, for 16-bit floats, the scale of its loss."""

    def __init__(self, module: nn.Module, train: Train, monitor: Monitor, device: torch.device) -> None:
        self.train = train
        self.weights = list(module.parameters())
        self.optimizer = optimizer(self.weights, train, device)
        # One each: a scale that another player changed would mix scales within the gradients gathered here.
        self.scaler = torch.amp.GradScaler(device.type) if train.precision == 16 else None
        self.average = Average(module, train.ema) if train.ema is not None else None
        self.waiting = 0  # batches whose gradients are gathered
        self.moved = False  # whether it took a step in this batch
        self.norm: Tensor | None = None  # of the gradients of the last step
        self.plateau = None
        if isinstance(train.schedule, Plateau):
            own = train.schedule.metric
            self.plateau = PlateauFactor(train.schedule, own or monitor.metric, train.schedule.mode if own else monitor.mode)

    def set_rate(self, time: float, step: float) -> None:
        """The rate for the next update; times as in `schedules.factor`."""
        rate = self.train.lr * factor(self.train.schedule, time, self.train.epochs, step)
        if self.plateau is not None:
            rate *= self.plateau.factor
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def step(self) -> None:
        """New weights from the gradients gathered."""
        if self.scaler is not None and (self.train.clip is not None or self.train.log_gradients):
            self.scaler.unscale_(self.optimizer)
        if self.train.clip is not None:
            self.norm = nn.utils.clip_grad_norm_(self.weights, self.train.clip)
        elif self.train.log_gradients:
            self.norm = nn.utils.get_total_norm([weight.grad for weight in self.weights if weight.grad is not None])
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.waiting, self.moved = 0, True

    def follow(self) -> None:
        """Called after each batch: the averaged weights move where the player did."""
        if self.average is not None and self.moved:
            self.average.follow()
        self.moved = False

    def state_dict(self) -> dict[str, Any]:
        gradients = {str(n): weight.grad for n, weight in enumerate(self.weights) if weight.grad is not None} if self.waiting else {}
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict() if self.scaler else None,
            "plateau": self.plateau.state_dict() if self.plateau else None,
            "average": self.average.state_dict() if self.average else None,
            "waiting": self.waiting,
            "gradients": gradients,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        for weight, values in self.optimizer.state.items():
            values |= {name: _laid_out(value, weight) for name, value in values.items() if isinstance(value, Tensor)}
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])
        if self.plateau is not None:
            self.plateau.load_state_dict(state["plateau"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.waiting = state["waiting"]
        for number, gradient in state["gradients"].items():
            weight = self.weights[int(number)]
            weight.grad = _laid_out(gradient.to(weight.device), weight)


def _laid_out(value: Tensor, weight: Tensor) -> Tensor:
    """`value` in the memory layout of its weight: files know one layout only, and fused kernels walk both in step."""
    return torch.empty_like(weight, dtype=value.dtype).copy_(value) if value.shape == weight.shape else value


def optimizer(weights: list[nn.Parameter], train: Train, device: torch.device) -> torch.optim.Optimizer:
    """The optimiser of a recipe; fused into one kernel where PyTorch can, which is the same arithmetic with less overhead.

    Raises:
        RecipeError: its options do not go together.
    """
    fused = True if device.type in ("cpu", "cuda") else None
    try:
        match train.optimizer:
            case SGD(momentum=momentum, nesterov=nesterov, weight_decay=decay):
                sgd = torch.optim.SGD(weights, train.lr, momentum, weight_decay=decay, nesterov=nesterov, fused=fused)
                if momentum and fused:  # its kernel fails where some weights join later (unfrozen ones) and have no momentum yet
                    sgd.state.update({weight: {"momentum_buffer": torch.zeros_like(weight)} for weight in weights})
                return sgd
            case Adam(betas=betas, weight_decay=decay):
                return torch.optim.Adam(weights, train.lr, betas, weight_decay=decay, fused=fused)
            case AdamW(betas=betas, weight_decay=decay):
                return torch.optim.AdamW(weights, train.lr, betas, weight_decay=decay, fused=fused)
            case RMSprop(smoothing=smoothing, momentum=momentum, weight_decay=decay):
                return torch.optim.RMSprop(weights, train.lr, smoothing, weight_decay=decay, momentum=momentum)
    except ValueError as error:  # nesterov without momentum
        raise RecipeError(f"train.optimizer: {train.optimizer!r}: {error}") from error


class Average:
    """Exponential moving average of all floating-point tensors of a player's state, batch statistics included.

    The decay rises with the steps as min(decay, (1 + n) / (10 + n)), so that the random start is soon forgotten.
    """

    def __init__(self, player: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        # By identity: a tensor that two modules share would be swapped twice.
        floats = {id(t): (name, t.detach()) for name, t in player.state_dict(keep_vars=True).items() if t.is_floating_point()}
        self.names, self.live = zip(*floats.values(), strict=True)
        self.kept = [tensor.clone() for tensor in self.live]

    @torch.no_grad()
    def follow(self) -> None:
        """Move towards the weights as they are now."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.kept, self.live, 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the averaged and the live values."""
        for tensor, kept in zip(self.live, self.kept, strict=True):
            held = tensor.clone()
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
