"""A training that runs out of memory goes on in portions of its batches, exactly as if they had been divided from that turn on."""

from __future__ import annotations

import json
import signal
from functools import partial
from typing import Any

import pytest
import torch
from small import Memory, recipe, same, spec, stopped, task
from small_tasks import Game
from torch import Tensor

from zoo import registry
from zoo.engines.fit import Fit, StoppedError
from zoo.engines.portions import out_of_memory, portioned, said_of
from zoo.errors import RecipeError, ZooError
from zoo.ranks import Ranks
from zoo.report import write_report
from zoo.run import Run
from zoo.tasks.classification import Classification
from zoo.tasks.task import Task

HALVE = ("train.on_oom=halve", "train.schedule=constant")
ADAM = "train.optimizer={name: adam, betas: [0.5, 0.999]}"
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError("std::bad_alloc"),
]


class Refused(torch.autograd.Function):
    """Passes through; on the way back there is no memory."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, error: BaseException) -> Tensor:
        ctx.error = error
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise ctx.error


def short_of_memory(
    net: Task, most: int, at: int = 2, who: str = "model", backwards: bool = False, error: BaseException = ERRORS[0]
) -> Task:
    """`net`, for which from the `at`-th turn of player `who` on more than `most` pictures are too many."""
    compute, turns = net.losses, iter(range(1, 10_000))

    def losses(batch: Any, player: str) -> dict[str, Tensor]:
        short = player == who and next(turns) >= at and len(batch["image"]) > most
        found = compute(batch, player)  # with all that it draws and counts
        if short and not backwards:
            raise error
        return {name: Refused.apply(value, error) if short and name == "loss" else value for name, value in found.items()}

    net.losses = losses
    return net


def trained(net: Task, *changes: str, engine: str = "loop", batch_size: int = 4) -> Run:
    with Run.open(recipe(*HALVE, *changes)) as run:
        registry.load("engines", engine)().fit(net, Memory(batch_size=batch_size), run)
    return run


def divided(net: Task, number: int, at: int, *changes: str, who: str = "model", batch_size: int = 4) -> Run:
    """The same training, divided by hand from the `at`-th turn of player `who` on."""
    with Run.open(recipe(*HALVE, *changes)) as run, Fit(net, Memory(batch_size=batch_size), run) as fit:
        turn, turns = fit.portions.turn, iter(range(1, 10_000))

        def counted(batch: Any, player: str, backward: Any = None) -> dict[str, Tensor]:
            if player == who and next(turns) >= at:
                fit.portions.number = number
            return turn(batch, player, backward)

        fit.portions.turn = counted
        for batch in fit.batches():
            fit.step(batch)
    return run


def state(run: Run) -> dict[str, Any]:
    found = run.checkpoint()
    assert found is not None
    return {key: found[key] for key in ("step", "updater", "task", "random", "portions")}


def net(**options: Any) -> Classification:
    return task(inner_dropout=0.5, **options)


def game() -> Task:
    torch.manual_seed(0)
    return Game(spec())


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "cpu", "c++"])
@pytest.mark.parametrize("backwards", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("changes", [(), ("train.accumulate=2", "train.clip=0.1", "train.ema=0.9", ADAM)], ids=["plain", "accumulating"])
def test_it_goes_on_as_if_divided_from_there_on(error: BaseException, backwards: bool, changes: tuple[str, ...]) -> None:
    run = trained(short_of_memory(net(), 2, backwards=backwards, error=error), *changes)
    expected = divided(net(), 2, 2, *changes)
    assert state(run)["portions"] == 2
    assert same(state(run), state(expected))
    assert not same(state(run), state(trained(net(), *changes))), "dividing should have changed something"


@pytest.mark.parametrize("changes", [(), ("train.accumulate=2",)], ids=["plain", "accumulating"])
def test_what_the_portions_before_had_gathered_is_taken_back(changes: tuple[str, ...]) -> None:
    """Of five pictures the first portion holds two, and the second three, which are too many."""
    run = trained(short_of_memory(net(), 2), *changes, batch_size=5)
    assert state(run)["portions"] == 4
    assert same(state(run), state(divided(net(), 4, 2, *changes, batch_size=5)))


@pytest.mark.parametrize("engine", ["lightning", "mmengine"])
def test_under_every_engine(engine: str) -> None:
    assert same(state(trained(short_of_memory(net(), 2), engine=engine)), state(divided(net(), 2, 2)))


@pytest.mark.parametrize("who", ["discriminator", "generator"])
def test_a_player_that_has_moved_does_not_move_again(who: str) -> None:
    changes = ("monitor={metric: val/loss, mode: min}", ADAM, "train.accumulate=2")
    run = trained(short_of_memory(game(), 2, at=3, who=who), *changes)
    assert same(state(run), state(divided(game(), 2, 3, *changes, who=who)))


def test_without_batch_statistics_the_gradients_are_those_of_the_whole() -> None:
    whole, parts = task(norm=False), task(norm=False)
    trained(whole)
    run = trained(short_of_memory(parts, 1))
    assert state(run)["portions"] == 4
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_halved_as_often_as_needed_and_no_further(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZooError, match=r"^out of memory at step 2 on cpu: 4 pictures .* Try train.batch_size=2 train.accumulate=2"):
        trained(short_of_memory(net(), 0))
    run = trained(short_of_memory(net(), 1))
    assert state(run)["portions"] == 4
    assert capfd.readouterr().err.count("in 4 portions of 1") == 1


def test_other_errors_are_no_want_of_memory() -> None:
    with pytest.raises(RuntimeError, match=r"^shapes$"):
        trained(short_of_memory(net(), 2, error=RuntimeError("shapes")))
    assert not out_of_memory(ValueError("memory"))


def test_it_resumes_divided() -> None:
    whole = trained(short_of_memory(net(), 2))
    broken = short_of_memory(net(), 2)
    assert isinstance(broken, Classification)
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError), Run.open(recipe(*HALVE)) as run:
        registry.load("engines", "loop")().fit(stopped(broken, 9), Memory(), run)
    assert signal.getsignal(signal.SIGTERM) is handler
    with Run.open(recipe(*HALVE), resume=run.folder) as run:
        registry.load("engines", "loop")().fit(net(), Memory(), run)
    assert same(state(run), state(whole))


def test_log_environment_and_report_say_it(capfd: pytest.CaptureFixture[str]) -> None:
    run = trained(short_of_memory(net(), 2))
    said = said_of(2, 4, 2, ["batch normalisation"])
    assert "from step 2 on each batch of 4 is trained on in 2 portions of 2; batch normalisation work on 2 pictures at a time" in said
    assert f"WARNING: {said}" in capfd.readouterr().err
    assert json.loads((run.folder / "environment.json").read_text())["divided"] == said
    assert f"M{said[1:]}." in write_report(run.folder).read_text(), "below the result, as a sentence"


def test_what_joins_the_pictures_of_a_batch_is_named() -> None:
    assert task(norm=False).coupling() == []
    assert task().coupling() == ["batch normalisation"]
    frozen = task(frozen_epochs=-1)
    frozen.start_epoch(0)
    assert frozen.coupling() == [], "its batch statistics stand still"
    weighed = Classification(spec((1.0, 2.0, 0.5)), task(norm=False).backbone, mixup=0.2)
    assert weighed.coupling() == ["the loss's class weights", "mixup"]
    assert said_of(2, 5, 7, []).endswith("in 2 portions of 3, which gives the gradients of the whole")


def test_portions_hold_every_picture_once() -> None:
    batch = Memory().batch(torch.arange(7))
    for number in range(1, 8):
        parts = list(portioned(batch, number))
        assert sum(share for share, _ in parts) == pytest.approx(1)
        assert [path for _, part in parts for path in part["path"]] == batch["path"]
        assert torch.equal(torch.cat([part["image"] for _, part in parts]), batch["image"])
        assert max(len(part["label"]) for _, part in parts) == -(-7 // number)


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.engines.fit.ranks", partial(Ranks, 0, 2))
    with pytest.raises(RecipeError, match=r"train.on_oom=halve: for one process only"):
        trained(net())
