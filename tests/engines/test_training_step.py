"""The one training step: each player moves its own weights and nobody else's."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from small import Memory, recipe
from torch import Tensor, nn

from zoo.engines.engine import training_step
from zoo.engines.update import Updater
from zoo.tasks.task import Task


class Game(Task):
    """A generator that would be judged well, a discriminator with one frozen layer, one loss each."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.generator = nn.Linear(4, 3 * 64)
        self.discriminator = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3 * 64), nn.Linear(3 * 64, 8), nn.ReLU(), nn.Linear(8, 1))
        self.frozen = self.discriminator[2].requires_grad_(False)
        self.sits_out: str | None = None
        self.breaks: str | None = None
        self.asked: dict[str, list[bool]] = {}

    def players(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
        self.asked[player] = [weight.requires_grad for weight in self.parameters()]
        if player == self.sits_out:
            return {}
        if player == self.breaks:
            raise RuntimeError("broken")
        drawn = self.generator(torch.linspace(-1, 1, 16).view(4, 4)).view(4, 3, 8, 8)
        if player == "generator":
            return {"loss": -self.discriminator(drawn).mean(), "size": drawn.abs().mean()}
        return {"loss": self.discriminator(drawn).mean() - self.discriminator(batch["image"]).mean()}


@pytest.fixture
def batch() -> dict[str, Any]:
    found = Memory().batch(torch.arange(4))
    return found | {"image": found["image"].float() / 255}


def copies(module: nn.Module) -> list[Tensor]:
    return [weight.detach().clone() for weight in module.parameters()]


def moved(module: nn.Module, before: list[Tensor]) -> list[bool]:
    return [not torch.equal(weight, old) for weight, old in zip(module.parameters(), before, strict=True)]


def test_each_player_moves_alone(batch: dict[str, Any]) -> None:
    net = Game()
    players = net.players()

    def update(name: str, loss: Tensor) -> None:
        other = players["generator" if name == "discriminator" else "discriminator"]
        loss.backward()
        assert all(weight.grad is None for weight in other.parameters()), "the waiting player got gradients"
        assert any(weight.grad is not None for weight in players[name].parameters())
        net.zero_grad(set_to_none=True)

    training_step(net, players, batch, update)
    made = recipe("train.optimizer=adamw", "train.schedule=constant")
    updater = Updater(net, made.train, made.monitor, 5, torch.device("cpu"))
    before = {name: copies(player) for name, player in players.items()}

    def step(name: str, loss: Tensor) -> None:
        waiting = "generator" if name == "discriminator" else "discriminator"
        held = copies(players[waiting])
        updater.update(name, loss)
        assert not any(moved(players[waiting], held)), "the waiting player moved"

    training_step(net, players, batch, step)
    assert all(moved(net.generator, before["generator"]))
    assert moved(net.discriminator, before["discriminator"]) == [True, True, False, False, True, True], "the frozen layer stands still"


def test_names_say_whose_loss_it_was(batch: dict[str, Any]) -> None:
    net = Game()
    logged = training_step(net, net.players(), batch, lambda name, loss: None)
    assert list(logged) == ["discriminator/loss", "generator/loss", "generator/size"]
    assert not any(value.requires_grad for value in logged.values())


def test_a_single_player_needs_no_prefix(batch: dict[str, Any]) -> None:
    net = Game()
    logged = training_step(net, {"generator": net.generator}, batch, lambda name, loss: None)
    assert list(logged) == ["loss", "size"]


def test_flags_are_as_before(batch: dict[str, Any]) -> None:
    net = Game()
    before = [weight.requires_grad for weight in net.parameters()]
    training_step(net, net.players(), batch, lambda name, loss: None)
    assert [weight.requires_grad for weight in net.parameters()] == before
    assert net.asked["generator"] == [True, True] + [False] * 6
    assert net.asked["discriminator"] == [False, False, True, True, False, False, True, True]
    net.breaks = "generator"
    with pytest.raises(RuntimeError, match="broken"):
        training_step(net, net.players(), batch, lambda name, loss: None)
    assert [weight.requires_grad for weight in net.parameters()] == before

    def refuse(name: str, loss: Tensor) -> None:
        raise KeyboardInterrupt

    net.breaks = None
    with pytest.raises(KeyboardInterrupt):
        training_step(net, net.players(), batch, refuse)
    assert [weight.requires_grad for weight in net.parameters()] == before


def test_a_player_may_sit_out(batch: dict[str, Any]) -> None:
    net = Game()
    net.sits_out = "generator"
    called = []
    logged = training_step(net, net.players(), batch, lambda name, loss: called.append(name))
    assert called == ["discriminator"]
    assert list(logged) == ["discriminator/loss"]


def test_losses_without_a_loss_are_named(batch: dict[str, Any]) -> None:
    net = Game()
    net.losses = lambda batch, player: {"los": torch.zeros(())}
    with pytest.raises(ValueError, match=r"discriminator.*'loss'.*los"):
        training_step(net, net.players(), batch, lambda name, loss: None)


def test_statistics_of_a_waiting_player_still_move(batch: dict[str, Any]) -> None:
    """As in DCGAN: only weights wait."""
    net = Game()
    before = copy.deepcopy(net.discriminator[1].running_mean)
    training_step(net, {"generator": net.generator, "discriminator": net.discriminator}, batch, lambda name, loss: None)
    assert not torch.equal(net.discriminator[1].running_mean, before)
