"""What only a CUDA device shows: precision, layout, compiler and random state there, and that no step waits for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once a process, before matrices are multiplied in a fixed order

import pytest
import torch
from small import RECIPE, Memory, recipe, same, stopped, task
from torch import Tensor, nn

from zoo import build, registry
from zoo.engines import fit as module
from zoo.engines.fit import Fit, StoppedError
from zoo.ranks import Ranks
from zoo.run import Run
from zoo.tasks.classification import Classification

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device")
two_devices = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are not two CUDA devices")
engines = pytest.mark.parametrize("engine", ("loop", "lightning", "mmengine"))

STEPS = 8
EIGHT = ("train.epochs=2", f"train.max_steps={STEPS}", "train.schedule=constant", f"train.device={DEVICE}")
BF16, FP16 = 2.0**-8, 2.0**-11
"""Largest relative error of rounding one number."""


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    """Sums in a fixed order and float32 in full: without it equality to the bit is chance. What has no such kernel only warns."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Of all steps since the last look, whatever the engine."""
    found: list[float] = []
    step = Fit.step

    def noted(fit: Fit, batch: Any, *backward: Any) -> dict[str, Tensor]:
        given = step(fit, batch, *backward)
        found.append(float(given["loss"]))
        return given

    monkeypatch.setattr(Fit, "step", noted)
    return found


def trained(engine: str, *changes: str, net: Classification | None = None, run: Run | None = None) -> tuple[Run, Classification]:
    run = Run.open(recipe(*EIGHT, *changes)) if run is None else run
    net = task() if net is None else net
    registry.load("engines", engine)().fit(net, Memory(), run)
    return run, net


def facts(run: Run, net: Classification) -> dict[str, Any]:
    """All that must be equal to the bit."""
    state = run.checkpoint()
    assert state is not None
    kept = {key: value for key, value in state.items() if key not in ("seconds", "spent")}
    rows = [{key: value for key, value in row.items() if "seconds" not in key} for row in run.history()]
    return {"state": kept, "weights": {key: value.cpu() for key, value in net.state_dict().items()}, "history": rows}


def taken(losses: list[float]) -> list[float]:
    """The losses of one training, which are forgotten."""
    found = losses[:]
    losses.clear()
    assert len(found) == STEPS
    return found


def far(one: list[float], other: list[float]) -> float:
    """The largest relative difference."""
    return max(abs(a - b) / b for a, b in zip(one, other, strict=True))


# ---------------------------------------------------------------- where it happens


@engines
def test_the_trained_task_is_on_the_device(engine: str) -> None:
    """It is measured next, where it lies."""
    run, net = trained(engine)
    assert {weight.device.type for weight in (*net.parameters(), *net.buffers())} == {DEVICE}
    assert run.read_json("environment.json")["device"].startswith(DEVICE)
    kept = run.checkpoints.read_weights(run.checkpoints.manifest.best)
    assert all(torch.equal(value.cpu(), kept[name]) for name, value in net.state_dict().items())


def test_the_device_computes_what_the_cpu_does(losses: list[float]) -> None:
    """Sums in another order: some float32 roundings (6e-8 each), which eight steps carry on."""
    trained("loop")
    there = taken(losses)
    trained("loop", "train.device=cpu")
    assert far(there, taken(losses)) < 1e-4


def test_batches_come_through_pinned_memory() -> None:
    """Only from there can a copy to the device go on beside computing."""
    made = recipe(f"train.device={DEVICE}")
    data = build.loaders(build.source(made), made)
    batch = next(data.stream())
    assert batch["image"].is_pinned() and batch["label"].is_pinned()


# ---------------------------------------------------------------- precision, layout, compiler


@engines
@pytest.mark.parametrize(("precision", "unit", "dtype"), [("bf16", BF16, torch.bfloat16), ("16", FP16, torch.float16)])
def test_half_precision(losses: list[float], precision: str, unit: float, dtype: torch.dtype, engine: str) -> None:
    """Near to float32 by one rounding of one number, but not equal; validation in float32."""
    trained(engine)
    single = taken(losses)
    found: dict[bool, set[torch.dtype]] = {True: set(), False: set()}

    def look(convolution: nn.Module, inputs: Any, output: Tensor) -> None:
        found[torch.is_grad_enabled()].add(output.dtype)

    net = task()
    convolution = net.get_submodule("backbone.net.0")
    convolution.register_forward_hook(look)
    trained(engine, f"train.precision={precision}", net=net)
    assert 0 < far(taken(losses), single) < unit
    assert found == {True: {dtype}, False: {torch.float32}}


@engines
@pytest.mark.parametrize(("wish", "last"), [("auto", True), ("true", True), ("false", False)])
def test_channels_last_is_on_by_itself(engine: str, wish: str, last: bool) -> None:
    layouts = set()

    class Noted(Classification):
        def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
            for tensor in (batch["image"], self.get_parameter("backbone.net.0.weight")):
                layouts.add(tensor.is_contiguous(memory_format=torch.channels_last))
            return super().losses(batch, player)

    net = task()
    net.__class__ = Noted
    run, _ = trained(engine, f"train.channels_last={wish}", net=net)
    assert layouts == {last}
    assert run.read_json("environment.json")["channels_last"] is last


@pytest.mark.slow
@engines
def test_compiled_is_near_to_eager(losses: list[float], engine: str) -> None:
    """Fused kernels add up in another order."""
    trained(engine)
    eager = taken(losses)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    trained(engine, "train.compile=true")
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1, "nothing was compiled"
    assert far(taken(losses), eager) < 1e-4


# ---------------------------------------------------------------- to the bit


@pytest.mark.parametrize("engine", ["lightning", "mmengine"])
@pytest.mark.parametrize("precision", ["32", "bf16", "16"])
def test_engines_agree_to_the_bit(losses: list[float], precision: str, engine: str) -> None:
    """They give the device the same kernels in the same order, each of which is deterministic here."""
    options: dict[str, Any] = {"inner_dropout": 0.5, "mixup": 0.4}
    expected = facts(*trained("loop", f"train.precision={precision}", "train.ema=0.9", net=task(**options)))
    by_loop = taken(losses)
    assert same(facts(*trained(engine, f"train.precision={precision}", "train.ema=0.9", net=task(**options))), expected)
    assert taken(losses) == by_loop


@engines
@pytest.mark.parametrize("precision", ["32", "16"])
@pytest.mark.parametrize("step", [3, 5])
def test_a_resumed_training_draws_the_devices_random_numbers_on(precision: str, step: int, engine: str) -> None:
    """Dropout draws on the device; step 3 is within an epoch, step 5 at its end."""
    changes = (f"train.precision={precision}", "train.optimizer=adamw")
    whole = facts(*trained(engine, *changes, net=task(inner_dropout=0.5)))
    run = Run.open(recipe(*EIGHT, *changes))
    with pytest.raises(StoppedError):
        trained(engine, net=stopped(task(inner_dropout=0.5), step), run=run)
    torch.manual_seed(12345)
    torch.rand(7, device=DEVICE)
    assert same(facts(*trained(engine, net=task(inner_dropout=0.5, seed=99), run=Run.read(run.folder))), whole)
    other = facts(*trained(engine, *changes, "seed=4", net=task(inner_dropout=0.5)))
    assert not same(other["state"]["task"], whole["state"]["task"]), "dropout draws nothing, so nothing was tested"


# ---------------------------------------------------------------- no step waits for the device

LONG = ("train.epochs=1", "train.max_steps=null", "train.log_every=5")
"""An epoch of 20 batches, of which every fifth is one at which the losses are read."""


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Whatever waits for the device is an error, from the end of the first step on but for the steps at which losses are read."""
    torch.use_deterministic_algorithms(False)  # as in a training, where no kernel is replaced
    free: list[int] = []
    step = Fit.step

    def watched(fit: Fit, batch: Any, *backward: Any) -> dict[str, Tensor]:
        number = fit.step_number + 1
        reads = number == 1 or number % fit.train.log_every == 0 or number % fit.data.batches == 0
        torch.cuda.set_sync_debug_mode("default" if reads else "error")
        given = step(fit, batch, *backward)
        free.extend([] if reads else [number])
        torch.cuda.set_sync_debug_mode("default" if fit.done else "error")  # also for what the engine does until the next step
        return given

    monkeypatch.setattr(Fit, "step", watched)
    yield free
    torch.cuda.set_sync_debug_mode("default")


@engines
@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ((), {}),
        (("train.precision=bf16", "train.optimizer=adamw"), {}),
        (("train.precision=16", "train.clip=1.0", "train.accumulate=2"), {}),
        (("train.ema=0.9", "train.schedule=cosine"), {"inner_dropout": 0.5}),
        ((), {"mixup": 0.4, "cutmix": 1.0}),
    ],
    ids=["float32", "bf16", "float16", "averaged", "mixed"],
)
def test_no_step_waits_for_the_device(strict: list[int], changes: tuple[str, ...], options: dict[str, Any], engine: str) -> None:
    run = Run.open(recipe(*EIGHT, *LONG, *changes))
    registry.load("engines", engine)().fit(task(**options), Memory(samples=80), run)
    assert strict == [step for step in range(2, 20) if step % 5]


@pytest.mark.usefixtures("strict")
def test_waiting_for_the_device_would_be_noticed() -> None:
    """Shows that the test above can fail."""
    net = task()
    compute = net.losses

    def waits(batch: Any, player: str) -> dict[str, Tensor]:
        found = compute(batch, player)
        float(found["loss"].detach())
        return found

    net.losses = waits
    with pytest.raises(RuntimeError, match="synchroniz"):
        registry.load("engines", "loop")().fit(net, Memory(samples=80), Run.open(recipe(*EIGHT, *LONG)))


# ---------------------------------------------------------------- several devices


def test_batch_statistics_are_shared_among_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two processes, before they meet: the layers are others, the weights and their names the same."""
    monkeypatch.setattr(module, "ranks", lambda: Ranks(0, 2, 0, 2))
    net = task()
    names = list(net.state_dict())
    fit = Fit(net, Memory(), Run.open(recipe(*EIGHT)))
    assert [type(layer) for layer in net.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)] == [nn.SyncBatchNorm]
    assert list(net.state_dict()) == names
    learning = {id(weight) for player in fit.updater.players.values() for weight in player.weights}
    assert {id(weight) for weight in net.parameters()} == learning


@two_devices
@pytest.mark.parametrize("engine", ["lightning", "mmengine"])
def test_two_devices_train_as_one(tmp_path: Any, engine: str) -> None:
    """The same batches, halved, with shared batch statistics; the sums of many layers are in another order."""
    file = tmp_path / "small.yaml"
    file.write_text(RECIPE)
    changes = (f"train.device={DEVICE}", "train.batch_size=8", "train.lr=0.001", "train.epochs=1", "train.max_steps=4", "data.size=32")
    rows = []
    for devices in (1, 2):
        words = [sys.executable, "-m", "zoo.train", str(file), f"train.engine={engine}", f"train.devices={devices}", *changes]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=500)
        assert ended.returncode == 0, ended.stderr
        run = Run.read(ended.stdout.split()[-1])
        assert json.loads((run.folder / "environment.json").read_text())["ranks"] == devices
        rows.append(run.history()[-1])
    assert rows[1]["train/loss"] == pytest.approx(rows[0]["train/loss"], rel=1e-3)
    assert rows[1]["val/loss"] == pytest.approx(rows[0]["val/loss"], rel=1e-2)
