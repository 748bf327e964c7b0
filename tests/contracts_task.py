"""`check_task`: what every task must keep to, in the manner of scikit-learn's `check_estimator`. Any class can be put through it."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.engines.engine import training_step
from zoo.tasks.task import Classifies, Embeds, HasPrior, Samples, Segments, Task, Watched

Batch = Mapping[str, Any]


def check_task(task: Task, batch: Batch) -> None:
    """Put a task through the contract.

    Args:
        task: freshly built, small, on the CPU; it is trained a few steps.
        batch: at least two samples of its data on the CPU, `image` float32 in [0, 1], with all fields of a training batch.

    Raises:
        AssertionError: says which part of the contract is broken.
    """
    task.start_epoch(0)
    for check in (
        check_declarations,
        check_players,
        check_losses,
        check_one_batch_is_learnt,
        check_predictions,
        check_metrics,
        check_state,
        check_modes,
        check_abilities,
    ):
        check(copy.deepcopy(task), batch)


def check_declarations(task: Task, batch: Batch) -> None:
    """Class attributes and the constructor's signature are what `build` goes by."""
    assert task.form in ("vector", "maps", None), f"form: expected 'vector', 'maps' or None, found {task.form!r}"
    names = list(inspect.signature(type(task).__init__).parameters)[1:]
    assert names[:1] == ["spec"], "the constructor takes `spec` first"
    assert ("backbone" in names) == (task.form is not None), "`backbone` is taken by those that have a form, and by no others"


def check_players(task: Task, batch: Batch) -> None:
    """Every weight that is trained belongs to exactly one player."""
    players = task.players()
    assert players and all(isinstance(player, nn.Module) for player in players.values())
    assert list(task.players()) == list(players), "their order is the order of their turns: it may not change"
    owners: dict[int, str] = {}
    for name, player in players.items():
        weights = list(player.parameters())
        assert weights, f"player {name!r} has no weights"
        for weight in weights:
            assert id(weight) not in owners, f"a weight belongs to {owners.get(id(weight))!r} and to {name!r}"
            owners[id(weight)] = name
    lost = [name for name, weight in task.named_parameters() if weight.requires_grad and id(weight) not in owners]
    assert not lost, f"weights without a player: {lost}"


def check_losses(task: Task, batch: Batch) -> None:
    """Scalars on the device, one of them `loss`, which leads to gradients of the player's own weights alone."""
    task.train()
    before = _copied(batch)
    played = False
    for name, player in task.players().items():
        task.zero_grad(set_to_none=True)
        losses = task(batch, name)
        if not losses:
            continue
        played = True
        assert "loss" in losses, f"player {name!r}: no `loss` among {list(losses)}"
        for key, value in losses.items():
            assert isinstance(value, Tensor) and value.shape == (), f"{name}/{key}: expected a scalar tensor, found {value!r}"
            assert value.isfinite(), f"{name}/{key} is {float(value.detach())} on a fresh model"
            assert key == "loss" or not key.startswith(f"{name}/"), f"{key!r}: the player's name is put in front by the training step"
        assert losses["loss"].requires_grad, f"{name}/loss has no gradient"
        losses["loss"].backward()
        gradients = [weight.grad for weight in player.parameters() if weight.requires_grad]
        assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients), f"{name}/loss moves none of its weights"
        assert all(gradient is None or gradient.isfinite().all() for gradient in gradients)
    assert played, "all players sit out"
    assert _equal(batch, before), "the batch was changed in place: the next player gets it as well"


def check_one_batch_is_learnt(task: Task, batch: Batch) -> None:
    """A single player's loss on one batch falls; of several, all move. Equal seeds move them equally."""
    results = []
    for _ in range(2):
        trained = copy.deepcopy(task).train()
        optimizers = {name: torch.optim.Adam(player.parameters(), lr=1e-2) for name, player in trained.players().items()}

        def update(name: str, loss: Tensor, optimizers: dict[str, torch.optim.Adam] = optimizers) -> None:
            loss.backward()
            optimizers[name].step()
            optimizers[name].zero_grad(set_to_none=True)

        torch.manual_seed(0)
        logged = [training_step(trained, trained.players(), batch, update) for _ in range(12)]
        results.append(trained.state_dict())
    if len(task.players()) == 1:
        first, last = float(logged[0]["loss"]), min(float(losses["loss"]) for losses in logged[-3:])
        assert last < first, f"the loss on one batch went from {first:.4g} to {last:.4g} in 12 steps"
    for name, player in task.players().items():
        prefix = {id(weight): key for key, weight in task.named_parameters()}
        keys = [prefix[id(weight)] for weight in player.parameters() if weight.requires_grad]
        assert any(not torch.equal(results[0][key], task.state_dict()[key]) for key in keys), f"player {name!r} has not moved"
    assert all(torch.equal(results[0][key], results[1][key]) for key in results[0]), "equal seeds give other weights"


def check_predictions(task: Task, batch: Batch) -> None:
    """First dimension B; a sample's prediction is its own affair; the same twice; labels are not needed."""
    task.eval()
    size = len(batch["image"])
    with torch.inference_mode():
        whole = task.predict(batch)
        again = task.predict(batch)
        alone = task.predict({key: value[:1] for key, value in batch.items()})
        blind = task.predict({"image": batch["image"]})
    assert whole, "predict says nothing"
    for key, value in whole.items():
        assert isinstance(value, Tensor) and len(value) == size, f"predict()[{key!r}]: expected a tensor of {size} rows"
        assert not value.requires_grad and torch.equal(value, again[key]), f"predict()[{key!r}] is not the same twice"
        if value.is_floating_point():
            assert torch.allclose(value[:1], alone[key], atol=1e-4), f"predict()[{key!r}] of a sample depends on its batch"
    assert set(blind) <= set(whole), "without labels there is less to say, not more"
    assert blind, "predict says nothing without labels, which `zoo predict` has not"


def check_metrics(task: Task, batch: Batch) -> None:
    """Plain finite numbers, `main` among them, each metric object new, the same however the samples are batched."""
    task.eval()
    assert task.metrics() is not task.metrics(), "metrics() gives the same object twice, with what it has gathered"
    whole, parts = task.metrics(), task.metrics()
    size = len(batch["image"])
    with torch.inference_mode():
        whole.update(task.predict(batch), batch)
        for row in range(size):
            one = {key: value[row : row + 1] for key, value in batch.items()}
            parts.update(task.predict(one), one)
    found, piecewise = whole.compute(), parts.compute()
    assert task.main in found, f"main: there is no metric {task.main!r} among {list(found)}"
    for name, value in found.items():
        assert isinstance(name, str) and "/" not in name, f"{name!r}: the part's name is put in front by the run"
        assert math.isfinite(float(value)), f"{name} is {float(value)}"
        assert math.isclose(float(value), float(piecewise[name]), rel_tol=1e-4, abs_tol=1e-6), f"{name} depends on the batch size"
    assert isinstance(task.details(whole), dict)


def check_state(task: Task, batch: Batch) -> None:
    """The state dict is the trained model: loaded into another copy it predicts the same. No tensor is replaced by training."""
    before = {key: value.data_ptr() for key, value in task.state_dict(keep_vars=True).items()}
    task.train()
    training_step(task, task.players(), batch, lambda name, loss: loss.backward())
    after = {key: value.data_ptr() for key, value in task.state_dict(keep_vars=True).items()}
    assert before == after, "a step puts new tensors in place of old ones: averaged weights would go on following the old"
    other = copy.deepcopy(task)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(1.0)
    other.load_state_dict(task.state_dict())
    task.eval()
    other.eval()
    with torch.inference_mode():
        one, two = task.predict(batch), other.predict(batch)
    assert all(torch.equal(one[key], two[key]) for key in one), "the state dict does not hold all that predictions depend on"


def check_modes(task: Task, batch: Batch) -> None:
    """Predicting changes nothing that is saved; freezing schedules and modes can be called at any time."""
    task.eval()
    before = {key: value.clone() for key, value in task.state_dict().items()}
    with torch.inference_mode():
        task.predict(batch)
    assert all(torch.equal(value, before[key]) for key, value in task.state_dict().items()), "predict changes the model"
    for epoch in (0, 1, 1000, 0):
        task.start_epoch(epoch)
        assert task.train() is task and task.training
        assert task.eval() is task and not task.training
        assert not any(module.training for module in task.modules())


def check_abilities(task: Task, batch: Batch) -> None:
    """What it promises by its protocols."""
    task.eval()
    size = len(batch["image"])
    with torch.inference_mode():
        if isinstance(task, Embeds):
            vectors = task.embed(batch["image"])
            assert vectors.ndim == 2 and len(vectors) == size and vectors.isfinite().all(), f"embed: {tuple(vectors.shape)}"
        if isinstance(task, Classifies):
            probabilities = task.classify(batch["image"])
            assert probabilities.shape[0] == size and probabilities.ndim == 2, f"classify: {tuple(probabilities.shape)}"
            assert torch.equal(probabilities, task.predict(batch)["probabilities"]), "classify and predict differ"
            assert torch.allclose(probabilities.sum(1), torch.ones(size), atol=1e-5) and (probabilities >= 0).all()
        if isinstance(task, Segments):
            mask = task.segment(batch["image"])
            assert mask.dtype == torch.uint8 and mask.shape == (size, *batch["image"].shape[2:]), f"segment: {tuple(mask.shape)}"
            assert torch.equal(mask, task.predict(batch)["mask"]), "segment and predict differ"
        if isinstance(task, HasPrior) and not task.conditional:
            check_pictures("decode", task.decode(torch.zeros(2, task.latent)), 2, batch)
        if isinstance(task, Samples):
            check_pictures("sample", task.sample(3, 0 if task.conditional else None), 3, batch)
        if isinstance(task, Watched):
            shown = task.snapshot()
            check_pictures("snapshot", shown, len(shown), batch)
            assert torch.equal(shown, task.snapshot()), "snapshot: other pictures the second time"
            assert task.alarms([{"epoch": 1, "step": 1}]) == [], "an epoch that says nothing is no reason for an alarm"


def check_pictures(name: str, made: Tensor, count: int, batch: Batch) -> None:
    """So many pictures of the size of those it was trained on."""
    assert made.shape == (count, *batch["image"].shape[1:]), f"{name}: {tuple(made.shape)}"
    assert made.min() >= 0 and made.max() <= 1, f"{name}: from {float(made.min())} to {float(made.max())}"


def _copied(batch: Batch) -> dict[str, Any]:
    return {key: value.clone() if isinstance(value, Tensor) else copy.copy(value) for key, value in batch.items()}


def _equal(one: Batch, other: Batch) -> bool:
    return list(one) == list(other) and all(
        torch.equal(value, other[key]) if isinstance(value, Tensor) else value == other[key] for key, value in one.items()
    )
