"""The Updater: the recipe's optimiser, accumulation, clipping, averaging and 16-bit training do what they say."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small import Convolution, Memory, recipe, same, spec, task
from small_tasks import Game
from torch import Tensor, nn

from zoo.engines.engine import training_step
from zoo.engines.update import Average, Updater
from zoo.errors import RecipeError
from zoo.tasks.classification import Classification
from zoo.tasks.task import Task

CPU = torch.device("cpu")


def updater(net: Task, *changes: str, batches: int = 5) -> Updater:
    made = recipe("train.schedule=constant", *changes)
    return Updater(net, made.train, made.monitor, batches, CPU)


def batch(rows: Any) -> dict[str, Any]:
    found = Memory().batch(torch.as_tensor(rows))
    return found | {"image": found["image"].float() / 255}


def train(net: Task, update: Updater, groups: list[list[int]]) -> None:
    for rows in groups:
        training_step(net, net.players(), batch(rows), update.update)
        update.end_batch()


def distance(one: nn.Module, other: nn.Module) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["train.optimizer=sgd"], (torch.optim.SGD, {"momentum": 0.9, "nesterov": False, "weight_decay": 0.0})),
        (
            ["train.optimizer={name: sgd, momentum: 0.5, nesterov: true, weight_decay: 0.1}"],
            (torch.optim.SGD, {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1}),
        ),
        (
            ["train.optimizer={name: adam, betas: [0.8, 0.9], weight_decay: 0.2}"],
            (torch.optim.Adam, {"betas": (0.8, 0.9), "weight_decay": 0.2}),
        ),
        (["train.optimizer=adamw"], (torch.optim.AdamW, {"betas": (0.9, 0.999), "weight_decay": 0.01})),
        (
            ["train.optimizer={name: rmsprop, smoothing: 0.7, momentum: 0.3, weight_decay: 0.4}"],
            (torch.optim.RMSprop, {"alpha": 0.7, "momentum": 0.3, "weight_decay": 0.4}),
        ),
    ],
)
def test_optimizers_take_their_options(changes: list[str], expected: tuple[type, dict[str, Any]]) -> None:
    optimizer = updater(task(), *changes, "train.lr=0.125").players["model"].optimizer
    assert type(optimizer) is expected[0]
    assert {key: optimizer.param_groups[0][key] for key in expected[1]} == expected[1]
    assert optimizer.param_groups[0]["lr"] == 0.125


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_optimizers_step_as_pytorchs_plain_ones(name: str) -> None:
    net = task(norm=False)
    plain = copy.deepcopy(net)
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
    options = {"momentum": 0.9} if name == "sgd" else {}
    other = kinds[name](plain.parameters(), lr=0.01, **options)
    groups = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    train(net, updater(net, f"train.optimizer={name}", "train.lr=0.01"), groups)
    for rows in groups:
        found = batch(rows)
        other.zero_grad()
        F.cross_entropy(plain.logits(found["image"]), found["label"]).backward()
        other.step()
    assert distance(net, plain) < 1e-6


def test_nesterov_without_momentum_is_a_mistake_in_the_recipe() -> None:
    with pytest.raises(RecipeError, match=r"train.optimizer.*momentum"):
        updater(task(), "train.optimizer={name: sgd, momentum: 0.0, nesterov: true}")


def test_accumulated_batches_are_one_big_batch() -> None:
    small, large = task(norm=False), task(norm=False)
    train(small, updater(small, "train.accumulate=4", "train.optimizer=adam"), [[0, 1], [2, 3], [4, 5], [6, 7]] * 2)
    train(large, updater(large, "train.optimizer=adam"), [list(range(8))] * 2)
    assert distance(small, large) < 1e-6
    start = task(norm=False)
    train(start, updater(start, "train.accumulate=4", "train.optimizer=adam"), [[0, 1]] * 3)
    assert distance(start, task(norm=False)) == 0, "no step before the fourth batch"


def test_clipping_bounds_the_step() -> None:
    net, before = task(norm=False), task(norm=False)
    train(net, updater(net, "train.clip=0.001", "train.optimizer={name: sgd, momentum: 0.0}", "train.lr=1.0"), [[0, 1, 2]])
    moved = torch.cat([(a - b).flatten() for a, b in zip(net.parameters(), before.parameters(), strict=True)]).norm()
    assert float(moved.detach()) == pytest.approx(0.001, rel=1e-3)


def test_clipping_sees_the_accumulated_gradient() -> None:
    """Two opposite gradients cancel; clipped one by one they would not."""
    net = task(norm=False)
    update = updater(net, "train.clip=0.001", "train.accumulate=2", "train.optimizer={name: sgd, momentum: 0.0}", "train.lr=1.0")
    before = copy.deepcopy(net)
    for sign in (1.0, -1.0):
        update.update("model", sign * 1000 * net.head[1].weight.sum())
        update.end_batch()
    assert distance(net, before) == 0


def test_rate_follows_the_schedule() -> None:
    net = task()
    update = updater(net, "train.schedule={name: step, every: 1.0, gamma: 0.1}", "train.lr=1.0", batches=2)
    rates = []
    for _ in range(4):
        rates.append(update.rates["lr"])
        train(net, update, [[0, 1]])
    assert rates == pytest.approx([1.0, 1.0, 0.1, 0.1])


# ---------------------------------------------------------------- averaged weights


def test_average_follows_its_formula() -> None:
    net = task()
    update = updater(net, "train.ema=0.9", "train.lr=0.1")
    expected = {name: tensor.double().clone() for name, tensor in net.state_dict().items() if tensor.is_floating_point()}
    for step in range(1, 30):
        train(net, update, [[step % 20, (step + 3) % 20]])
        decay = min(0.9, (1 + step) / (10 + step))
        for name in expected:
            expected[name] = decay * expected[name] + (1 - decay) * net.state_dict()[name].double()
    live = copy.deepcopy(net.state_dict())
    with update.averaged():
        for name, tensor in net.state_dict().items():
            if tensor.is_floating_point():
                assert torch.allclose(tensor.double(), expected[name], atol=1e-5), name
        assert not torch.equal(net.head[1].weight, live["head.1.weight"])
    assert same(dict(net.state_dict()), dict(live)), "back to the bit"
    assert "backbone.net.1.running_var" in expected, "batch statistics are averaged too"


def test_average_comes_back_after_an_exception() -> None:
    net = task()
    update = updater(net, "train.ema=0.5")
    train(net, update, [[0, 1]] * 3)
    live = copy.deepcopy(dict(net.state_dict()))
    with pytest.raises(KeyError), update.averaged():
        raise KeyError
    assert same(dict(net.state_dict()), live)


def test_average_moves_with_steps_and_not_with_batches() -> None:
    net = task()
    update = updater(net, "train.ema=0.9", "train.accumulate=3")
    train(net, update, [[0, 1]] * 7)
    assert [average.steps for average in update.averages] == [2]


def test_average_of_one_player_alone() -> None:
    """It follows that player's steps, and the other's weights are never exchanged."""
    net = Game(spec(), sits_out="generator", every=2)
    update = updater(net, "train.players.generator.ema=0.5")
    train(net, update, [[0, 1, 2]] * 4)
    assert [average.steps for average in update.averages] == [2]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with update.averaged():
        held = {name.partition(".")[0] for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert held == {"generator"}
    assert same(dict(net.state_dict()), before)


def test_average_of_all_players_but_for_one_decay() -> None:
    update = updater(Game(spec()), "train.ema=0.9", "train.players.generator.ema=0.5")
    assert [average.decay for average in update.averages] == [0.9, 0.5]


# ---------------------------------------------------------------- norms of gradients


@pytest.mark.parametrize("clip", [[], ["train.clip=0.001"]])
def test_norms_are_of_the_gradients_before_clipping(clip: list[str]) -> None:
    net = task(norm=False)
    update = updater(net, "train.log_gradients=true", *clip)
    losses = net.losses(batch([0, 1, 2]), "model")
    expected = torch.cat([gradient.flatten() for gradient in torch.autograd.grad(losses["loss"], list(net.parameters()))]).norm()
    training_step(net, net.players(), batch([0, 1, 2]), update.update)
    assert list(update.norms) == ["gradient_norm"]
    assert float(update.norms["gradient_norm"]) == pytest.approx(float(expected), rel=1e-5)
    assert float(expected) > 0.001
    update.end_batch()
    assert not update.norms, "of this batch alone"


def test_norms_of_those_who_took_a_step() -> None:
    net = Game(spec(), every=2)
    update = updater(net, "train.log_gradients=true", "train.accumulate=2")
    seen = []
    for _ in range(6):  # the discriminator sits out every second batch
        training_step(net, net.players(), batch([0, 1, 2]), update.update)
        seen.append(set(update.norms))
        update.end_batch()
    assert seen[1] == {"generator/gradient_norm"} and seen[2] == {"discriminator/gradient_norm"} and not seen[0]


def test_average_of_shared_weights() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(2, 2)
            self.other = nn.Linear(2, 2)
            self.other.weight = self.one.weight

    net = Tied()
    average = Average(net, 0.5)
    with torch.no_grad():
        net.one.weight.add_(1.0)
    live = net.one.weight.detach().clone()
    average.follow()
    average.swap()
    assert not torch.equal(net.one.weight, live)
    average.swap()
    assert torch.equal(net.one.weight, live)


# ---------------------------------------------------------------- state


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_state_goes_on_to_the_bit(optimizer: str, layout: torch.memory_format) -> None:
    """In the middle of accumulation too, and where files have another memory layout than the weights."""

    def new() -> tuple[Task, Updater]:
        net = Classification(spec(), Convolution(norm=False)).to(memory_format=layout)
        net.load_state_dict(task(norm=False).state_dict())
        return net, updater(net, f"train.optimizer={optimizer}", "train.accumulate=2", "train.ema=0.9", "train.lr=0.01")

    groups = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [1, 3], [7, 5], [2, 4]]
    whole, update = new()
    train(whole, update, groups)
    first, update = new()
    train(first, update, groups[:5])
    state = copy.deepcopy({"net": dict(first.state_dict()), "updater": update.state_dict()})
    flat = _contiguous(state)
    second, update = new()
    second.load_state_dict(flat["net"])
    update.load_state_dict(flat["updater"])
    train(second, update, groups[5:])
    assert same(dict(second.state_dict()), dict(whole.state_dict()))


def _contiguous(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.contiguous()
    return {key: _contiguous(inner) for key, inner in value.items()} if isinstance(value, dict) else value


# ---------------------------------------------------------------- 16 bits


def test_a_player_that_sits_out_keeps_pace_with_the_schedule() -> None:
    class Now(Classification):
        def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
            return super().losses(batch, player) if 0 in batch["index"] else {}

    torch.manual_seed(0)
    net = Now(spec(), Convolution(norm=False))
    update = updater(net, "train.schedule={name: cosine}", "train.epochs=1", batches=4)
    before = copy.deepcopy(net)
    train(net, update, [[1, 2], [3, 4]])
    assert distance(net, before) == 0
    assert update.rates["lr"] == pytest.approx(0.025)
    train(net, update, [[0, 1]])
    assert distance(net, before) > 0


def test_scaled_losses_give_the_same_weights() -> None:
    net, plain = task(norm=False), task(norm=False)
    changes = ["train.accumulate=2", "train.clip=0.05", "train.optimizer=sgd"]
    train(net, updater(net, "train.precision=16", *changes), [[0, 1], [2, 3], [4, 5], [6, 7]])
    train(plain, updater(plain, *changes), [[0, 1], [2, 3], [4, 5], [6, 7]])
    assert distance(net, plain) < 1e-5
    assert distance(net, task(norm=False)) > 1e-4


def test_a_step_of_infinite_gradients_is_left_out() -> None:
    net = task(norm=False)
    update = updater(net, "train.precision=16", "train.optimizer=adam")
    before = copy.deepcopy(net)
    update.update("model", float("inf") * net.head[1].weight.sum())
    assert distance(net, before) == 0
    scaler = update.players["model"].scaler
    assert scaler is not None and scaler.get_scale() < 2.0**16
