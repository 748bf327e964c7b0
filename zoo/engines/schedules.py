"""Learning-rate schedules as functions of time, so that resuming needs no state but the time (the plateau's apart)."""

from __future__ import annotations

from math import cos, pi
from typing import Any

from zoo.recipe import Constant, Cosine, LrSchedule, MultiStep, OneCycle, Plateau, Step


def factor(schedule: LrSchedule, time: float, total: float) -> float:
    """What the base rate is multiplied with.

    Args:
        schedule: of the recipe.
        time: epochs done, with fractions.
        total: epochs of the whole training.
    """
    if isinstance(schedule, OneCycle):
        return _one_cycle(schedule, min(time / total, 1.0))
    if time < schedule.warmup:
        return time / schedule.warmup
    match schedule:
        case Step(every=every, gamma=gamma):
            return float(gamma ** (time // every))
        case MultiStep(at=at, gamma=gamma):
            return float(gamma ** sum(time >= epoch for epoch in at))
        case Cosine(final=final, warmup=warmup):
            part = min(1.0, (time - warmup) / max(total - warmup, 1e-9))
            return final + (1 - final) * (1 + cos(pi * part)) / 2
        case Constant() | Plateau():
            return 1.0


def _one_cycle(schedule: OneCycle, part: float) -> float:
    """Smith 2018, "Super-Convergence", with cosine flanks as in PyTorch's OneCycleLR; the momentum stays as it is."""
    low, lowest = 1 / schedule.start, 1 / schedule.start / schedule.end
    if part < schedule.rise:
        return 1 + (low - 1) * (1 + cos(pi * part / schedule.rise)) / 2
    return lowest + (1 - lowest) * (1 + cos(pi * (part - schedule.rise) / (1 - schedule.rise))) / 2


class PlateauFactor:
    """The factor of a plateau schedule: falls after `patience` epochs without improvement of its metric."""

    def __init__(self, schedule: Plateau, metric: str, mode: str) -> None:
        self.schedule, self.metric, self.mode = schedule, metric, mode
        self.best: float | None = None
        self.factor, self.waited = 1.0, 0

    def end_epoch(self, metrics: dict[str, float]) -> None:
        """Look at an epoch's metrics."""
        value = metrics[self.metric]
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
    """Whether `value` improves on `best` by more than `min_delta`. Anything improves on None or NaN, and NaN on nothing else."""
    if best is None or best != best:
        return True
    return value > best + min_delta if mode == "max" else value < best - min_delta
