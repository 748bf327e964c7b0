"""Precision, memory layout and compiler under every engine, on the CPU: what changes a little, and what must not change at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small import Memory, recipe, same, stopped, task
from torch import Tensor, nn

from zoo import registry
from zoo.device import memory_format
from zoo.engines.engine import Engine
from zoo.engines.fit import Fit, StoppedError
from zoo.evaluate import evaluate
from zoo.run import Run
from zoo.tasks.classification import Classification

ENGINES = ("loop", "lightning", "mmengine")
STEPS = 8
EIGHT = ("train.epochs=2", f"train.max_steps={STEPS}", "train.schedule=constant")
BF16, FP16 = 2.0**-8, 2.0**-11
"""Largest relative error of rounding one number: 8 and 11 bits, the first of which is not stored."""
CPU = torch.device("cpu")
COMPILER = (os.environ.get("CXX") or "g++").split()[0]


@dataclass
class Seen:
    """What an onlooker finds in one training."""

    losses: list[float] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)  # what computed the losses
    training: set[torch.dtype] = field(default_factory=set)  # what the convolution gave
    measuring: set[torch.dtype] = field(default_factory=set)
    layouts: set[bool] = field(default_factory=set)  # whether pictures and weights of a step were channels-last


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Looks at every step, whatever the engine."""
    found, step = Seen(), Fit.step

    def watched(fit: Fit, batch: Any, *backward: Any) -> dict[str, Tensor]:
        losses = step(fit, batch, *backward)
        weight = fit.task.get_parameter("backbone.net.0.weight")
        found.losses.append(float(losses["loss"]))
        found.modules.add(type(fit.module).__name__)
        found.layouts |= {tensor.is_contiguous(memory_format=torch.channels_last) for tensor in (batch["image"], weight)}
        return losses

    monkeypatch.setattr(Fit, "step", watched)
    return found


def engine(name: str) -> Engine:
    made: Engine = registry.load("engines", name)()
    return made


def trained(name: str, *changes: str, net: Classification | None = None) -> tuple[Run, Classification]:
    run = Run.open(recipe(*EIGHT, *changes))
    net = task() if net is None else net
    engine(name).fit(net, Memory(), run)
    return run, net


def facts(run: Run, net: Classification, seen: Seen) -> dict[str, Any]:
    """All that must be equal to the bit; the losses seen are taken away."""
    state = run.checkpoint()
    assert state is not None
    losses, seen.losses = seen.losses, []
    kept = {key: value for key, value in state.items() if key not in ("seconds", "spent")}
    rows = [{key: value for key, value in row.items() if "seconds" not in key} for row in run.history()]
    return {"losses": losses, "state": kept, "weights": dict(net.state_dict()), "history": rows}


def by(name: str, seen: Seen, *changes: str) -> dict[str, Any]:
    found = facts(*trained(name, *changes), seen)
    assert len(found["losses"]) == STEPS
    return found


def far(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest relative difference of two trainings' losses."""
    return max(abs(a - b) / b for a, b in zip(one["losses"], other["losses"], strict=True))


# ---------------------------------------------------------------- 16 bits


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("precision", "unit"), [("bf16", BF16), ("16", FP16)])
def test_half_precision_is_near_to_single_and_not_equal(seen: Seen, precision: str, unit: float, name: str) -> None:
    """The tolerance is one rounding of one number: a loss is a mean over many rounded ones, whose errors cancel for the most part.

    As rounding errs by chance, losses that agreed at every step would mean that nothing was rounded.
    """
    single = by(name, seen)
    half = by(name, seen, f"train.precision={precision}")
    assert 0 < far(half, single) < unit
    assert sum(a != b for a, b in zip(half["losses"], single["losses"], strict=True)) >= STEPS // 2


@pytest.mark.parametrize("name", ENGINES[1:])
@pytest.mark.parametrize("changes", [("train.precision=bf16",), ("train.precision=16", "train.clip=0.1"), ("train.channels_last=true",)])
def test_engines_agree_to_the_bit(seen: Seen, changes: tuple[str, ...], name: str) -> None:
    assert same(by(name, seen, *changes), by("loop", seen, *changes))


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("precision", "dtype"), [("32", torch.float32), ("bf16", torch.bfloat16), ("16", torch.float16)])
def test_training_is_in_the_precision_and_validation_in_float32(seen: Seen, precision: str, dtype: torch.dtype, name: str) -> None:
    net = task()

    def look(convolution: nn.Module, inputs: Any, output: Tensor) -> None:
        (seen.training if torch.is_grad_enabled() else seen.measuring).add(output.dtype)

    convolution = net.get_submodule("backbone.net.0")
    convolution.register_forward_hook(look)
    run, _ = trained(name, f"train.precision={precision}", net=net)
    assert seen.training == {dtype}
    assert seen.measuring == {torch.float32}
    assert {value.dtype for value in net.state_dict().values()} == {torch.float32, torch.int64}
    best = max(run.history(), key=lambda row: row["val/accuracy"])
    assert evaluate(net, Memory().evaluation("val"), CPU).metrics["loss"] == best["val/loss"]


# ---------------------------------------------------------------- the scale of the loss


def scaler(run: Run) -> dict[str, Any]:
    """Of the training state in the run's folder."""
    state = run.checkpoint()
    assert state is not None
    (player,) = state["updater"]["players"].values()
    found: dict[str, Any] = player["scaler"]
    return found


@pytest.mark.parametrize("then", ENGINES)
@pytest.mark.parametrize("first", ENGINES)
def test_the_scale_of_the_loss_comes_back(monkeypatch: pytest.MonkeyPatch, seen: Seen, first: str, then: str) -> None:
    """Its growth interval is made short, so that scale and count have moved when the training is cut."""
    make = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device: make(device, init_scale=1024.0, growth_interval=3))
    whole_run, whole_net = trained(then, "train.precision=16")
    assert scaler(whole_run)["scale"] == 1024.0 * 2 ** (STEPS // 3)
    whole = facts(whole_run, whole_net, seen)
    run = Run.open(recipe(*EIGHT, "train.precision=16"))
    with pytest.raises(StoppedError):
        engine(first).fit(stopped(task(), 4), Memory(), run)
    assert (scaler(run)["scale"], scaler(run)["_growth_tracker"]) == (2048.0, 1)
    net = task(seed=99)
    run = Run.read(run.folder)
    engine(then).fit(net, Memory(), run)
    assert same(facts(run, net, seen) | {"losses": whole["losses"]}, whole), "of the step that was cut nobody was told the losses"


@pytest.mark.parametrize("name", ENGINES)
def test_a_scale_that_is_too_large_halves_and_the_step_is_left_out(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    make = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device: make(device, init_scale=2.0**126))
    run, net = trained(name, "train.precision=16", "train.max_steps=2")
    assert scaler(run)["scale"] == 2.0**124
    before, after = dict(task().named_parameters()), dict(net.named_parameters())
    assert all(torch.equal(before[key], value) for key, value in after.items())


# ---------------------------------------------------------------- memory layout


@pytest.mark.parametrize("name", ENGINES)
def test_channels_last_is_used_and_files_are_contiguous(seen: Seen, name: str) -> None:
    run, net = trained(name, "train.channels_last=true")
    assert seen.layouts == {True}
    run.save_weights(net)
    live = net.state_dict()
    assert not live["backbone.net.0.weight"].is_contiguous()
    fresh = task(seed=99)
    for file in ("weights.safetensors", f"checkpoints/epoch-{run.checkpoints.manifest.best}.safetensors"):
        kept = load_file(run.folder / file)
        assert all(value.is_contiguous() and torch.equal(value, live[key]) for key, value in kept.items())
        fresh.load_state_dict(kept)
    batch = Memory().evaluation("val")[0]["image"].float() / 255
    assert torch.allclose(fresh.eval().logits(batch), net.eval().logits(batch), atol=1e-6)


@pytest.mark.parametrize("name", ENGINES)
def test_on_the_cpu_small_pictures_stay_as_they_are_by_default(seen: Seen, name: str) -> None:
    trained(name)
    assert seen.layouts == {False}


@pytest.mark.parametrize(
    ("wish", "device", "size", "last"),
    [
        ("auto", "cpu", (96, 200), True),
        ("auto", "cpu", (200, 95), False),
        ("auto", "cuda", (32, 32), True),
        (True, "cpu", (32, 32), True),
        (False, "cuda", (224, 224), False),
        (False, "cpu", (224, 224), False),
    ],
)
def test_the_layout_is_chosen_by_device_and_size(wish: bool | str, device: str, size: tuple[int, int], last: bool) -> None:
    assert memory_format(wish, torch.device(device), size) is (torch.channels_last if last else torch.contiguous_format)


# ---------------------------------------------------------------- compiler


@pytest.fixture
def fresh_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing compiled before is found, and nothing is left behind."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"torch.compile needs a C++ compiler, and there is no {COMPILER}")
@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("name", ENGINES)
def test_compiled_is_near_to_eager(seen: Seen, name: str) -> None:
    """Fused kernels add up in another order: the last bits of float32 (1.2e-7) differ, and eight steps carry them on."""
    eager = by(name, seen)
    assert seen.modules == {"Classification"}
    compiled = by(name, seen, "train.compile=true")
    assert seen.modules == {"Classification", "OptimizedModule"}
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1, "nothing was compiled"
    assert far(compiled, eager) < 1e-5
    assert list(compiled["weights"]) == list(eager["weights"]), "names in files are those of the task itself"
    assert list(compiled["state"]["task"]) == list(eager["state"]["task"])
