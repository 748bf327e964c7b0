"""Learning-rate schedules as functions of time, so that resuming needs no state but the time (the plateau's apart)."""

from __future__ import annotations

from math import cos, pi
from typing import Any

from zoo.errors import RecipeError
from zoo.nearest import nearest
from zoo.sections import Constant, Cosine, LrSchedule, MultiStep, OneCycle, Plateau, Step

SLACK = 1e-9
"""Times are quotients of whole numbers: one that should fall on an edge may miss it by rounding."""


def factor(schedule: LrSchedule, time: float, total: float, step: float = 0.0) -> float:
    """What the base rate is multiplied with: PyTorch's schedulers, when they are stepped at every update.

    Args:
        schedule: of the recipe.
        time: epochs done, with fractions.
        total: epochs of the whole training.
        step: epochs that one update takes.
    """
    if isinstance(schedule, OneCycle):
        return _one_cycle(schedule, time, total, step)
    if time + SLACK < schedule.warmup:
        return min(1.0, (time + step) / schedule.warmup)  # `+ step`: an update at rate zero would be wasted
    match schedule:
        case Step(every=every, gamma=gamma):
            return float(gamma ** int(time / every + SLACK))
        case MultiStep(at=at, gamma=gamma):
            return float(gamma ** sum(time + SLACK >= epoch for epoch in at))
        case Cosine(final=final, warmup=warmup):
            part = min(1.0, (time - warmup) / max(total - warmup, SLACK))
            return _arc(1.0, final, part)
        case Constant() | Plateau():
            return 1.0


def _one_cycle(schedule: OneCycle, time: float, total: float, step: float) -> float:
    """Smith 2018, "Super-Convergence", with cosine flanks as in PyTorch's OneCycleLR; the momentum stays as it is.

    As there, the last update of the rise has the full rate, and the last of all the lowest.
    """
    low, lowest = 1 / schedule.start, 1 / schedule.start / schedule.end
    peak = schedule.rise * total - step
    if time <= peak and peak > 0:
        return _arc(low, 1.0, time / peak)
    return _arc(1.0, lowest, min(1.0, (time - peak) / (total - step - peak)))


def _arc(start: float, end: float, part: float) -> float:
    """Half a cosine wave from `start` to `end`."""
    return end + (start - end) * (1 + cos(pi * part)) / 2


class PlateauFactor:
    """The factor of a plateau schedule: falls after `patience` epochs without improvement of its metric."""

    def __init__(self, schedule: Plateau, metric: str, mode: str) -> None:
        self.schedule, self.metric, self.mode = schedule, metric, mode
        self.best: float | None = None
        self.factor, self.waited = 1.0, 0

    def end_epoch(self, metrics: dict[str, float]) -> None:
        """Look at an epoch's numbers, `train/` and `val/` alike."""
        value = measured("train.schedule.metric", self.metric, metrics)
        if better(value, self.best, self.mode, self.schedule.min_delta):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
            if self.waited > self.schedule.patience:
                self.factor, self.waited = self.factor * self.schedule.factor, 0

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"factor": self.factor, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.factor, self.best, self.waited = state["factor"], state["best"], state["waited"]


def better(value: float, best: float | None, mode: str, min_delta: float = 0.0) -> bool:
    """Whether `value` improves on `best` by more than `min_delta`. Anything improves on None, any number on NaN, NaN on nothing."""
    if best is None:
        return True
    if best != best:
        return value == value
    return value > best + min_delta if mode == "max" else value < best - min_delta


def measured(key: str, name: str, metrics: dict[str, float]) -> float:
    """The metric that the recipe names under `key`.

    Raises:
        RecipeError: there is none of that name.
    """
    if name not in metrics:
        raise RecipeError(f"{key}: there is no {name!r}{nearest(name, metrics)}; expected one of {', '.join(metrics)}")
    return metrics[name]
