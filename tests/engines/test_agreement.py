"""All engines train alike, to the bit: with each other, with a loop in plain PyTorch, and when one goes on where another stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations, islice
from typing import Any

import pytest
import torch
from contracts_task import check_task
from small import Convolution, Memory, recipe, spec, task
from small_tasks import Autoencoder, Game
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from zoo import registry
from zoo.engines import engine as module
from zoo.engines.fit import StoppedError
from zoo.run import Run
from zoo.tasks.dcgan import DCGAN
from zoo.tasks.task import Task

ENGINES = ("loop", "lightning", "mmengine")
Calls = list[tuple[str, dict[str, Tensor]]]
"""Whose losses they were, and what they were; in order."""


@dataclass(frozen=True)
class Setting:
    """A new task, each time with the same weights, and the changes of the recipe."""

    new: Callable[[], Task]
    changes: tuple[str, ...]


def seeded(new: Callable[[], Task]) -> Task:
    torch.manual_seed(0)
    return new()


def classifier(*changes: str, **options: Any) -> Setting:
    return Setting(partial(task, **options), (CONSTANT, *changes))


def autoencoder(*changes: str) -> Setting:
    return Setting(partial(seeded, partial(Autoencoder, spec())), (CONSTANT, LOWEST, ADAM, *changes))


def game(*changes: str, **options: Any) -> Setting:
    return Setting(partial(seeded, partial(Game, spec(), **options)), (CONSTANT, LOWEST, ADAM, "train.lr=0.01", *changes))


def dcgan(*changes: str, **options: Any) -> Setting:
    changes = (CONSTANT, "monitor={metric: val/kid, mode: min}", ADAM, "train.lr=0.01", *changes)
    return Setting(partial(seeded, partial(small_dcgan, **options)), changes)


def small_dcgan(**options: Any) -> DCGAN:
    return DCGAN(spec(), Convolution(), latent=4, generator_widths=(8, 6), discriminator_widths=(6, 8), **options)


CONSTANT = "train.schedule=constant"
LOWEST = "monitor={metric: val/loss, mode: min}"
ADAM = "train.optimizer={name: adam, betas: [0.5, 0.999]}"
OWN = ("train.players.discriminator={optimizer: {name: sgd, momentum: 0.5}, lr: 0.03}", "train.players.generator.lr=0.02")
FALLING = "{name: plateau, patience: 0, factor: 0.5, metric: val/loss, mode: max}"  # no loss is a maximum for long
SETTINGS = {
    "classifier": classifier(),
    "autoencoder": autoencoder(),
    "game": game(),
    "adamw": classifier("train.optimizer=adamw"),
    "rmsprop": autoencoder("train.optimizer=rmsprop", "train.lr=0.001"),
    "clipping": game("train.clip=0.02"),
    "accumulation": autoencoder("train.accumulate=3"),
    "accumulation, the discriminator sits out": game("train.accumulate=2", every=3),
    "averaged weights": classifier("train.ema=0.9"),
    "averaged weights of two players": game("train.ema=0.9"),
    "warmup": classifier("train.schedule={name: constant, warmup: 1.5}"),
    "step": classifier("train.schedule={name: step, every: 1, gamma: 0.5}"),
    "multistep": autoencoder("train.schedule={name: multistep, at: [1, 2.4], gamma: 0.5}"),
    "cosine": classifier("train.schedule={name: cosine, warmup: 0.4}"),
    "one_cycle": autoencoder("train.schedule=one_cycle"),
    "plateau": autoencoder(f"train.schedule={FALLING}"),
    "mixup": classifier(mixup=0.4, inner_dropout=0.5),
    "freezing": classifier(frozen_epochs=1),
    "the discriminator sits out": game(every=3),
    "the generator sits out": game(sits_out="generator", every=2),
    "optimisers and rates of their own": game(*OWN),
    "schedules of their own": game(
        f"train.players.discriminator.schedule={FALLING}", "train.players.generator.schedule={name: cosine, final: 0.1}"
    ),
    "dcgan": dcgan(real_labels=(0.7, 1.0), label_noise=0.1),
    "dcgan, the generator sits out": dcgan(
        *("train.players.generator.ema=0.9", "train.log_gradients=true"),
        **{"loss": "hinge", "r1": 1.0, "r1_every": 3, "discriminator_steps": 2, "augment": ("color", "translation", "cutout")},
    ),
    "dcgan with a gradient penalty": dcgan(loss="wgan", gradient_penalty=10.0, discriminator_norm="spectral", generator_norm="group"),
    "channels last": classifier("train.channels_last=true"),
    "channels last, two players": game("train.channels_last=true"),
    "ended within an epoch": game("train.max_steps=8"),
    "ended early": classifier("train.epochs=6", "train.lr=1e-9", "monitor.patience=1"),
    "everything": game(
        *OWN,
        f"train.players.generator.schedule={FALLING}",
        "train.schedule={name: cosine, warmup: 0.4}",
        "train.accumulate=2",
        "train.clip=0.02",
        "train.ema=0.9",
        "train.channels_last=true",
        "train.log_every=2",
        every=3,
    ),
}


def noted(net: Task, calls: Calls, stop_at: int | None = None) -> Task:
    """`net`, whose losses are kept; in the step `stop_at` a signal comes."""
    compute, first = net.losses, next(iter(net.players()))

    def losses(batch: Any, player: str) -> dict[str, Tensor]:
        found = compute(batch, player)
        calls.append((player, {name: value.detach().clone() for name, value in found.items()}))
        if [name for name, _ in calls].count(first) == stop_at and player == first:
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL, "nobody would hear the signal"
            signal.raise_signal(signal.SIGTERM)
        return found

    net.losses = losses
    return net


def facts(run: Run, net: Task, calls: Calls) -> dict[str, Any]:
    """All that must be equal: every loss, the best weights, the state at the end, the history but its times."""
    state = run.checkpoint()
    assert state is not None
    return {
        "losses": calls,
        "weights": dict(net.state_dict()),
        "state": {key: value for key, value in state.items() if key not in ("seconds", "spent")},
        "history": [{key: value for key, value in row.items() if "seconds" not in key} for row in run.history()],
        "best": run.checkpoints.manifest.best,
    }


def trained(engine: str, setting: Setting) -> dict[str, Any]:
    calls: Calls = []
    net = noted(setting.new(), calls)
    run = Run.open(recipe(*setting.changes))
    registry.load("engines", engine)().fit(net, Memory(), run)
    return facts(run, net, calls)


@cache
def by_loop(setting: str) -> dict[str, Any]:
    return trained("loop", SETTINGS[setting])


def difference(one: Any, other: Any, where: str = "") -> str:
    """The first place where two are not equal to the bit, "" for none."""
    if isinstance(one, dict) and isinstance(other, dict):
        if list(one) != list(other):
            return f"{where}: {list(one)} and {list(other)}"
        return next(filter(None, (difference(one[key], other[key], f"{where}/{key}") for key in one)), "")
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        places = (difference(left, right, f"{where}/{n}") for n, (left, right) in enumerate(zip(one, other, strict=False)))
        return next(filter(None, places), "" if len(one) == len(other) else f"{where}: {len(one)} and {len(other)} of them")
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return "" if one.dtype == other.dtype and torch.equal(one, other) else f"{where}: {one} and {other}"
    return "" if type(one) is type(other) and one == other else f"{where}: {one!r} and {other!r}"


# ---------------------------------------------------------------- with each other


@pytest.mark.parametrize("engine", ENGINES[1:])
@pytest.mark.parametrize("setting", SETTINGS)
def test_engines_agree(setting: str, engine: str) -> None:
    expected = by_loop(setting)
    assert len(expected["history"]) >= 2 and expected["history"][-1]["step"] >= 8
    assert not difference(trained(engine, SETTINGS[setting]), expected)


def test_settings_are_trainings_of_their_own() -> None:
    """Agreement in one that changes nothing would say nothing."""
    for one, other in combinations(SETTINGS, 2):
        assert difference(by_loop(one)["losses"], by_loop(other)["losses"]) or difference(
            by_loop(one)["state"]["updater"], by_loop(other)["state"]["updater"]
        ), f"{one} and {other}"


@pytest.mark.parametrize("setting", ("classifier", "autoencoder", "game", "dcgan"))
def test_tasks_keep_the_contract(setting: str) -> None:
    batch = next(Memory().stream())
    check_task(SETTINGS[setting].new(), batch | {"image": batch["image"].float() / 255})


# ---------------------------------------------------------------- with plain PyTorch


def sgd(net: Task) -> dict[str, Optimizer]:
    return {"model": SGD(net.parameters(), 0.05, 0.9, fused=True)}


def adam(net: Task) -> dict[str, Optimizer]:
    return {"model": Adam(net.parameters(), 0.05, (0.5, 0.999), fused=True)}


def two_adams(net: Task) -> dict[str, Optimizer]:
    assert isinstance(net, Game | DCGAN)
    return {
        "discriminator": Adam(net.discriminator.parameters(), 0.01, (0.5, 0.999), fused=True),
        "generator": Adam(net.generator.parameters(), 0.01, (0.5, 0.999), fused=True),
    }


def two_kinds(net: Task) -> dict[str, Optimizer]:
    assert isinstance(net, Game)
    return {
        "discriminator": SGD(net.discriminator.parameters(), 0.03, 0.5, fused=True),
        "generator": Adam(net.generator.parameters(), 0.02, (0.5, 0.999), fused=True),
    }


HANDS: dict[str, Callable[[Task], dict[str, Optimizer]]] = {
    "classifier": sgd,
    "autoencoder": adam,
    "game": two_adams,
    "dcgan": two_adams,
    "dcgan, the generator sits out": two_adams,
    "dcgan with a gradient penalty": two_adams,
    "the discriminator sits out": two_adams,
    "optimisers and rates of their own": two_kinds,
}


@cache
def by_hand(setting: str) -> dict[str, Any]:
    """Three epochs as a textbook has them: for each player in turn clear all gradients, go backwards, take a step."""
    calls: Calls = []
    net = noted(SETTINGS[setting].new(), calls)
    optimizers = HANDS[setting](net)
    torch.manual_seed(3)
    for step, batch in enumerate(islice(Memory().stream(), 15)):
        net.start_batch(step)
        ready = batch | {"image": batch["image"].float() / 255}
        for player in net.players():
            losses = net.losses(ready, player)
            net.zero_grad()
            if losses:
                losses["loss"].backward()
                optimizers[player].step()
    moments = {player: list(optimizers[player].state_dict()["state"].values()) for player in net.players()}
    return {"losses": calls, "weights": dict(net.state_dict()), "optimizers": moments}


def last(found: dict[str, Any]) -> dict[str, Any]:
    """Of an engine's training what `by_hand` gives."""
    players = found["state"]["updater"]["players"]
    moments = {name: list(player["optimizer"]["state"].values()) for name, player in players.items()}
    return {"losses": found["losses"], "weights": found["state"]["task"], "optimizers": moments}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("setting", HANDS)
def test_engines_do_what_a_loop_by_hand_does(setting: str, engine: str) -> None:
    assert not difference(last(trained(engine, SETTINGS[setting])), by_hand(setting))


@pytest.mark.parametrize("engine", ENGINES)
def test_without_waiting_players_would_disturb_each_other(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would keep the gradients of the other's turn. Shows that the tests above would notice."""
    monkeypatch.setattr(module, "waiting", lambda players, active: nullcontext())
    found = difference(last(trained(engine, SETTINGS["game"])), by_hand("game"))
    assert found.startswith("/losses/2/"), "after the first turn of both"


# ---------------------------------------------------------------- going on under another


def relay(engines: tuple[str, ...], steps: tuple[int, ...], setting: Setting) -> dict[str, Any]:
    """Each engine but the last is stopped in its step, the next goes on with what is in the folder alone."""
    calls: Calls = []
    run = Run.open(recipe(*setting.changes))
    for engine, step in zip(engines[:-1], steps, strict=True):
        with pytest.raises(StoppedError):
            registry.load("engines", engine)().fit(noted(other_weights(setting, run), calls, step), Memory(), run)
        assert run.newest_checkpoint() == step
        run = Run.read(run.folder)
    net = noted(other_weights(setting, run), calls)
    registry.load("engines", engines[-1])().fit(net, Memory(), run)
    return facts(run, net, calls)


ONE_TURN = "dcgan, the generator sits out"
"""After an odd number of batches the discriminator has had one turn more than the generator was due."""


def other_weights(setting: Setting, run: Run) -> Task:
    """A new task; where the run has begun already, with weights that are of no use, and after other random numbers."""
    net = setting.new()
    if run.newest_checkpoint() is not None:
        torch.manual_seed(12345)
        with torch.no_grad():
            for weight in net.parameters():
                weight.add_(1.0)
    return net


@pytest.mark.parametrize("then", ENGINES)
@pytest.mark.parametrize("first", ENGINES)
@pytest.mark.parametrize(("setting", "step"), [("everything", 7), ("mixup", 8), ("freezing", 3), (ONE_TURN, 7)])
def test_any_engine_goes_on_where_any_stopped(setting: str, step: int, first: str, then: str) -> None:
    assert not difference(relay((first, then), (step,), SETTINGS[setting]), by_loop(setting))


@pytest.mark.parametrize("setting", ("everything", "autoencoder", "plateau"))
def test_engines_take_turns(setting: str) -> None:
    engines = ("mmengine", "lightning", "loop", "lightning", "mmengine")
    assert not difference(relay(engines, (3, 4, 9, 12), SETTINGS[setting]), by_loop(setting))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_training_that_has_ended_is_left_alone(engine: str) -> None:
    calls: Calls = []
    setting = SETTINGS["ended within an epoch"]
    run = Run.open(recipe(*setting.changes))
    registry.load("engines", "loop")().fit(setting.new(), Memory(), run)
    again = Run.read(run.folder)
    net = noted(other_weights(setting, again), calls)
    registry.load("engines", engine)().fit(net, Memory(), again)
    assert not calls
    assert not difference(facts(again, net, by_loop("ended within an epoch")["losses"]), by_loop("ended within an epoch"))
