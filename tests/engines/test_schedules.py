"""Schedules equal PyTorch's, update by update."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from zoo.engines.schedules import PlateauFactor, better, factor
from zoo.errors import RecipeError
from zoo.sections import Constant, Cosine, LrSchedule, MultiStep, OneCycle, Plateau, Step

BATCHES, EPOCHS = 7, 6
TOTAL = BATCHES * EPOCHS
Make = Callable[[torch.optim.Optimizer], Any]


def theirs(make: Make, updates: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(updates):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


def ours(schedule: LrSchedule, updates: int, every: int = 1) -> list[float]:
    return [factor(schedule, update * every / BATCHES, EPOCHS, every / BATCHES) for update in range(updates)]


PAIRS: dict[str, tuple[LrSchedule, Make]] = {
    "constant": (Constant(name="constant"), lambda o: lr_scheduler.ConstantLR(o, 1.0)),
    "step": (Step(name="step", every=2.0, gamma=0.3), lambda o: lr_scheduler.StepLR(o, 2 * BATCHES, 0.3)),
    "step, part of an epoch": (Step(name="step", every=3 / 7, gamma=0.9), lambda o: lr_scheduler.StepLR(o, 3, 0.9)),
    "multistep": (
        MultiStep(name="multistep", at=(1.0, 4.0), gamma=0.2),
        lambda o: lr_scheduler.MultiStepLR(o, [BATCHES, 4 * BATCHES], 0.2),
    ),
    "cosine": (Cosine(name="cosine"), lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL)),
    "cosine to a tenth": (Cosine(name="cosine", final=0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL, eta_min=0.1)),
    "one_cycle": (OneCycle(name="one_cycle"), lambda o: lr_scheduler.OneCycleLR(o, 1.0, TOTAL, cycle_momentum=False)),
    "one_cycle, other values": (
        OneCycle(name="one_cycle", rise=0.45, start=10.0, end=50.0),
        lambda o: lr_scheduler.OneCycleLR(o, 1.0, TOTAL, pct_start=0.45, div_factor=10.0, final_div_factor=50.0, cycle_momentum=False),
    ),
    "warm-up": (Constant(name="constant", warmup=2.0), lambda o: lr_scheduler.LinearLR(o, 1 / 14, total_iters=13)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_equals_torch(name: str) -> None:
    schedule, make = PAIRS[name]
    assert ours(schedule, TOTAL) == pytest.approx(theirs(make, TOTAL), abs=1e-6)


def test_accumulation_keeps_the_shape_of_one_cycle() -> None:
    make: Make = lambda o: lr_scheduler.OneCycleLR(o, 1.0, TOTAL // 2, cycle_momentum=False)  # noqa: E731  # one expression, beside the others of its kind
    assert ours(OneCycle(name="one_cycle"), TOTAL // 2, every=2) == pytest.approx(theirs(make, TOTAL // 2), abs=1e-6)


def test_cosine_after_a_warm_up() -> None:
    schedule = Cosine(name="cosine", warmup=1.0)
    rates = ours(schedule, TOTAL)
    assert rates[:BATCHES] == pytest.approx([(n + 1) / BATCHES for n in range(BATCHES)])
    assert rates[BATCHES:] == pytest.approx(theirs(lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL - BATCHES), TOTAL - BATCHES), abs=1e-6)


@pytest.mark.parametrize("schedule", [schedule for schedule, _ in PAIRS.values()], ids=list(PAIRS))
@pytest.mark.parametrize(("batches", "epochs"), [(1, 1), (1, 2), (3, 1), (1000, 1), (7, 300)])
def test_is_a_rate_anywhere(schedule: LrSchedule, batches: int, epochs: int) -> None:
    """Shorter than its warm-up or its rise, at the end, and after it: never below zero, never above the base rate."""
    for update in {0, 1, batches, batches * epochs - 1, batches * epochs, batches * epochs + 5}:
        assert 0 <= factor(schedule, update / batches, epochs, 1 / batches) <= 1 + 1e-12


def test_edges_in_tenths_of_an_epoch_are_met_exactly() -> None:
    """0.3 // 0.1 is 2 in floats."""
    rates = [factor(Step(name="step", every=0.1, gamma=0.5), n / 10, 1, 0.1) for n in range(10)]
    assert rates == pytest.approx([0.5**n for n in range(10)])


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("patience", [0, 1, 2, 5])
@pytest.mark.parametrize("delta", [0.0, 0.05])
def test_plateau_equals_torch(mode: str, patience: int, delta: float) -> None:
    values = torch.rand(60, generator=torch.Generator().manual_seed(patience)).tolist()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, mode, 0.5, patience, threshold=delta, threshold_mode="abs", eps=0.0)
    plateau = PlateauFactor(Plateau(name="plateau", factor=0.5, patience=patience, min_delta=delta), "val/loss", mode)
    for value in values:
        scheduler.step(value)
        plateau.end_epoch({"val/loss": value})
        assert plateau.factor == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-6)
    assert plateau.factor < 1


def test_plateau_goes_on_from_its_state() -> None:
    def new() -> PlateauFactor:
        return PlateauFactor(Plateau(name="plateau", patience=2), "val/loss", "min")

    whole, first = new(), new()
    values = [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0]
    for value in values[:4]:
        first.end_epoch({"val/loss": value})
    second = new()
    second.load_state_dict(first.state_dict())
    for value in values[4:]:
        second.end_epoch({"val/loss": value})
    for value in values:
        whole.end_epoch({"val/loss": value})
    assert whole.factor < 1
    assert second.state_dict() == whole.state_dict()


def test_plateau_names_what_there_is() -> None:
    plateau = PlateauFactor(Plateau(name="plateau", metric="val/los"), "val/los", "min")
    with pytest.raises(
        RecipeError, match=r"train.schedule.metric.*'val/los'.*did you mean `val/loss`.*expected one of val/loss, train/loss"
    ):
        plateau.end_epoch({"val/loss": 1.0, "train/loss": 1.0})


def test_better() -> None:
    nan = math.nan
    assert better(nan, None, "max") and better(0.0, nan, "max") and better(0.0, nan, "min")
    assert not better(nan, nan, "max"), "a run of NaN is no progress"
    assert not better(nan, 0.5, "max") and not better(nan, 0.5, "min")
    assert better(0.6, 0.5, "max") and not better(0.5, 0.5, "max") and better(0.4, 0.5, "min")
    assert not better(0.55, 0.5, "max", 0.1) and better(0.65, 0.5, "max", 0.1)
