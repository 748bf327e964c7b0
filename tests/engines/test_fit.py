"""Fit: epochs, the best, early stopping, precision, divergence, and what the run folder holds afterwards."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from small import Memory, fit, recipe, same, task
from torch import Tensor

from zoo.engines import fit as module
from zoo.engines.fit import Fit
from zoo.engines.loop import Loop
from zoo.errors import DivergedError, RecipeError, ZooError
from zoo.evaluate import evaluate
from zoo.run import Run
from zoo.tasks.classification import Classification

CPU = torch.device("cpu")


def opened(*changes: str) -> Run:
    return Run.open(recipe(*changes))


def trained(*changes: str, net: Classification | None = None, data: Any = None) -> tuple[Run, Classification]:
    with opened(*changes) as run:
        found = fit(run, net, data)
    assert isinstance(found, Classification)
    return run, found


def without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]


class Scripted:
    """Validation numbers by epoch, in place of `evaluate`; before the first epoch it is asked once for their names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, *values: float) -> None:
        self.name, self.values = name, [math.nan, *values]
        self.weights: list[dict[str, Tensor]] = []
        monkeypatch.setattr(module, "evaluate", self)

    def __call__(self, net: Any, batches: Any, device: Any, keep: bool = False, shared: bool = False) -> Any:
        self.weights.append({key: value.clone() for key, value in net.state_dict().items()})
        return type("Found", (), {"metrics": {self.name: self.values.pop(0)}, "details": {}})


# ---------------------------------------------------------------- learning, history


def test_it_learns_and_writes_a_row_an_epoch() -> None:
    run, _ = trained("train.epochs=8", "train.lr=0.2")
    rows = run.history()
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    assert [row["step"] for row in rows] == list(range(5, 41, 5))
    assert set(rows[0]) == {
        *("epoch", "step", "lr", "train/loss", "train/accuracy", "val/loss", "val/accuracy"),
        *("val/f1_macro", "val/f1_micro", "val/f1_weighted", "seconds", "train_seconds"),
    }
    assert rows[-1]["train/loss"] < 0.8 * rows[0]["train/loss"]
    assert max(row["val/accuracy"] for row in rows) >= 0.8


def test_the_epochs_loss_is_the_mean_over_its_batches() -> None:
    seen: list[float] = []

    class Noted(Classification):
        def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
            losses = super().losses(batch, player)
            seen.append(float(losses["loss"].detach()))
            return losses

    net = task()
    net.__class__ = Noted
    run, _ = trained("train.epochs=2", net=net)
    assert len(seen) == 10
    for row, losses in zip(run.history(), (seen[:5], seen[5:]), strict=True):
        assert row["train/loss"] == pytest.approx(sum(losses) / 5, rel=1e-6)


def test_two_runs_of_one_seed_are_equal_to_the_bit() -> None:
    changes = ("train.ema=0.9", "train.accumulate=2")
    one, net = trained(*changes, net=task(inner_dropout=0.5, mixup=0.2, cutmix=1.0))
    other, again = trained(*changes, net=task(inner_dropout=0.5, mixup=0.2, cutmix=1.0))
    assert same(dict(net.state_dict()), dict(again.state_dict()))
    assert without_times(one.history()) == without_times(other.history())
    third, _ = trained(*changes, "seed=4", net=task(inner_dropout=0.5, mixup=0.2, cutmix=1.0))
    assert without_times(one.history()) != without_times(third.history())


def test_training_mode_comes_back_after_validation() -> None:
    statistics = []

    class Watched(Memory):
        def stream(self, epoch: int = 0, batch: int = 0) -> Any:
            for found in super().stream(epoch, batch):
                assert net.training
                statistics.append(net.state_dict()["backbone.net.1.running_mean"].clone())
                yield found

    net = task()
    trained("train.epochs=2", net=net, data=Watched())
    assert not torch.equal(statistics[6], statistics[7]), "batch statistics move in the second epoch too"


def test_max_steps_ends_in_the_middle_of_an_epoch() -> None:
    data = Memory()
    run, _ = trained("train.max_steps=7", data=data)
    assert [(row["epoch"], row["step"]) for row in run.history()] == [(1, 5), (2, 7)]
    assert data.drawn == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1)], "no batch more than needed"
    assert run.checkpoints.manifest.best in run.checkpoints.manifest.weights


def test_max_steps_beyond_the_epochs_changes_nothing() -> None:
    assert trained("train.max_steps=1000")[0].history()[-1]["step"] == 15


# ---------------------------------------------------------------- the best


@pytest.mark.parametrize(("mode", "best"), [("max", 3), ("min", 2)])
def test_the_best_epoch_is_kept_as_a_copy(monkeypatch: pytest.MonkeyPatch, mode: str, best: int) -> None:
    script = Scripted(monkeypatch, "score", 0.5, 0.1, 0.9, 0.4)
    run, net = trained("train.epochs=4", "monitor.metric=val/score", f"monitor.mode={mode}")
    assert run.checkpoints.manifest.best == best
    assert same(dict(net.state_dict()), script.weights[best]), "the task holds the weights of the best epoch"
    assert not same(script.weights[best], script.weights[4]), "training went on"
    kept = run.checkpoints.read_weights(run.checkpoints.manifest.best)
    assert all(torch.equal(kept[name], value) for name, value in script.weights[best].items())


def test_equal_numbers_keep_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    Scripted(monkeypatch, "score", 0.5, 0.7, 0.7)
    run, _ = trained("monitor.metric=val/score")
    assert run.checkpoints.manifest.best == 2


def test_nan_is_better_than_nothing_and_worse_than_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    Scripted(monkeypatch, "score", math.nan, math.nan, 0.1, math.nan)
    run, _ = trained("train.epochs=4", "monitor.metric=val/score")
    assert run.checkpoints.manifest.best == 3
    assert run.history()[0]["val/score"] is None
    assert "NaN" not in (run.folder / "history.jsonl").read_text()


@pytest.mark.parametrize(
    ("changes", "values", "epochs"),
    [
        (["monitor.patience=2"], [0.5, 0.6, 0.6, 0.5, 0.9, 0.9], 4),
        (["monitor.patience=1"], [0.1, 0.2, 0.3, 0.3, 0.9, 0.9], 4),
        (["monitor.patience=2", "monitor.min_delta=0.1"], [0.50, 0.55, 0.59, 0.9, 0.9, 0.9], 3),
        (["monitor.patience=2", "monitor.min_delta=0.1"], [0.50, 0.55, 0.61, 0.62, 0.63, 0.9], 5),
        (["monitor.patience=2", "monitor.mode=min"], [0.5, 0.4, 0.4, 0.45, 0.1, 0.1], 4),
        (["monitor.patience=2"], [math.nan] * 6, 3),
        ([], [0.5] * 6, 6),
    ],
)
def test_early_stopping(monkeypatch: pytest.MonkeyPatch, changes: list[str], values: list[float], epochs: int) -> None:
    Scripted(monkeypatch, "score", *values)
    run, _ = trained("train.epochs=6", "monitor.metric=val/score", *changes)
    assert len(run.history()) == epochs


def test_small_gains_count_for_the_best_though_not_for_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    Scripted(monkeypatch, "score", 0.50, 0.55, 0.59, 0.1, 0.1, 0.1)
    run, _ = trained("train.epochs=6", "monitor.metric=val/score", "monitor.patience=2", "monitor.min_delta=0.1")
    assert run.checkpoints.manifest.best == 3


def test_averaged_weights_are_what_is_measured_and_kept() -> None:
    """With a decay this near to 1 they hardly move, while the live weights do."""
    run, net = trained("train.ema=0.999", "train.epochs=1", "train.lr=1.0")
    state = run.checkpoint()
    assert state is not None
    averaged = state["updater"]["players"]["model"]["average"]["kept"]
    assert all(torch.equal(net.state_dict()[name], value) for name, value in averaged.items())
    assert not torch.equal(state["task"]["head.1.weight"], averaged["head.1.weight"])
    found = evaluate(net, Memory().evaluation("val"), CPU)
    assert run.history()[0]["val/loss"] == found.metrics["loss"]


# ---------------------------------------------------------------- mistakes


def test_a_monitor_that_does_not_exist_is_found_before_training() -> None:
    data = Memory()
    with pytest.raises(RecipeError, match=r"monitor.metric: there is no 'val/acuracy' \(did you mean `val/accuracy`\?\).*val/f1_macro"):
        trained("monitor.metric=val/acuracy", data=data)
    assert not data.drawn
    runs = opened().folder.parent
    assert len(list(runs.iterdir())) == 1, "no half-made run is left"


def test_a_plateau_metric_that_does_not_exist() -> None:
    data = Memory()
    with pytest.raises(RecipeError, match=r"train.schedule.metric: there is no 'val/nothing'.*val/accuracy"):
        trained("train.schedule={name: plateau, metric: val/nothing}", data=data)
    assert not data.drawn
    with pytest.raises(RecipeError, match=r"train.schedule.metric: there is no 'train/los' \(did you mean `train/loss`\?\)"):
        trained("train.schedule={name: plateau, metric: train/los}", data=data)


def test_a_plateau_may_watch_the_training_loss() -> None:
    run, _ = trained("train.schedule={name: plateau, metric: train/loss, mode: max, patience: 0, factor: 0.5}", "train.lr=0.05")
    assert [row["lr"] for row in run.history()] == [0.05, 0.05, 0.025], "a loss that falls is no maximum"


def test_divergence_names_the_step() -> None:
    with pytest.raises(
        DivergedError, match=r"train/loss: not a finite number at step 8 \(epoch 2, batch 3\).*train.lr=0.005.*clip"
    ) as caught:
        trained(data=Memory(poison=(1, 2)))
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("log_every", [4, 7, 1000])
def test_where_losses_are_read_rarely_the_first_bad_step_is_named_still(monkeypatch: pytest.MonkeyPatch, log_every: int) -> None:
    """As on a GPU: the look at each step is left out."""
    with opened(f"train.log_every={log_every}") as run, pytest.raises(DivergedError, match=r"step 8 \(epoch 2, batch 3\)"):
        net = task()
        with Fit(net, Memory(poison=(1, 2)), run) as fitting:
            look = fitting._look
            monkeypatch.setattr(fitting, "_look", lambda: look() if fitting.step_number % min(log_every, 5) == 0 else None)
            for batch in fitting.batches():
                fitting.step(batch)
    rows = run.history()
    assert [row["epoch"] for row in rows] == [1], "no row with NaN is written"


def test_divergence_in_the_first_epoch_leaves_a_run_to_replay() -> None:
    with pytest.raises(DivergedError), opened() as run:
        fit(run, data=Memory(poison=(0, 1)))
    assert (run.folder / "recipe.yaml").is_file()


def test_accumulating_longer_than_the_training_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"train.accumulate=16: the whole training has 15 batches"):
        trained("train.accumulate=16")


def test_compile_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(
        RecipeError, match=r"train.compile=true needs a C\+\+ compiler.*not found.*apt-get install g\+\+.*train.compile=false"
    ):
        trained("train.compile=true")
    monkeypatch.setenv("CXX", "/opt/none/c++ -O1")
    with pytest.raises(RecipeError, match=r"/opt/none/c\+\+"):
        trained("train.compile=true")


def test_a_device_that_is_not_there() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device, so asking for one is no error")
    with pytest.raises(RecipeError, match=r"device='cuda'.*try cpu"):
        trained("train.device=cuda")


# ---------------------------------------------------------------- precision, layout, compiler


@pytest.mark.parametrize("precision", ["bf16", "16"])
def test_half_precision_is_near_to_single(precision: str) -> None:
    plain, _ = trained("train.epochs=2")
    half, net = trained("train.epochs=2", f"train.precision={precision}")
    for one, other in zip(plain.history(), half.history(), strict=True):
        assert other["train/loss"] == pytest.approx(one["train/loss"], rel=0.02)
        assert other["train/loss"] != one["train/loss"], "it was not used"
        assert other["val/loss"] == pytest.approx(one["val/loss"], rel=0.02)
    assert {value.dtype for value in net.state_dict().values()} == {torch.float32, torch.int64}
    found = evaluate(net, Memory().evaluation("val"), CPU)
    best = max(half.history(), key=lambda row: row["val/accuracy"])
    assert found.metrics["loss"] == best["val/loss"], "measured in single precision, as it will be loaded"


def test_channels_last_gives_the_same_numbers() -> None:
    layouts = []

    class Noted(Classification):
        def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
            layouts.append(batch["image"].is_contiguous(memory_format=torch.channels_last))
            return super().losses(batch, player)

    plain, _ = trained()
    net = task()
    net.__class__ = Noted
    last, _ = trained("train.channels_last=true", net=net)
    assert all(layouts) and len(layouts) == 15
    for one, other in zip(plain.history(), last.history(), strict=True):
        assert other["train/loss"] == pytest.approx(one["train/loss"], rel=1e-4)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
@pytest.mark.slow
def test_compiled_gives_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    plain, _ = trained("train.epochs=2")
    quick, _ = trained("train.epochs=2", "train.compile=true")
    for one, other in zip(plain.history(), quick.history(), strict=True):
        assert other["train/loss"] == pytest.approx(one["train/loss"], rel=1e-4)
    assert "_orig_mod" not in json.dumps(list(quick.checkpoints.read_weights(quick.checkpoints.manifest.best)))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_frozen_epochs_end_on_time(optimizer: str) -> None:
    moved = []

    class Watched(Memory):
        def stream(self, epoch: int = 0, batch: int = 0) -> Any:
            for found in super().stream(epoch, batch):
                moved.append({name: value.clone() for name, value in net.state_dict().items() if name.startswith("backbone")})
                yield found

    net = task(frozen_epochs=2)
    trained(f"train.optimizer={optimizer}", net=net, data=Watched())
    assert all(same(state, moved[0]) for state in moved[:11]), "weights and batch statistics stand still"
    assert not torch.equal(moved[11]["backbone.net.0.weight"], moved[10]["backbone.net.0.weight"])
    assert not torch.equal(moved[11]["backbone.net.1.running_mean"], moved[10]["backbone.net.1.running_mean"])


def test_engines_draw_what_fit_says() -> None:
    """An engine may go on drawing after the end: there is nothing more."""
    with opened("train.epochs=1") as run, Fit(task(), Memory(), run) as fitting:
        batches = fitting.batches()
        for _ in range(5):
            fitting.step(next(batches), backward=lambda loss: loss.backward())
        assert fitting.done
        assert next(batches, None) is None
    assert Loop.__mro__[1].__name__ == "Engine"


class Resting(Classification):
    """Nobody plays in the first batch of each epoch of five."""

    calls = 0

    def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
        self.calls += 1
        return {} if self.calls % 5 == 1 else {"loss": super().losses(batch, player)["loss"] * 0 + 2.0}


def test_a_batch_in_which_nobody_plays_is_no_part_of_the_mean() -> None:
    net = task()
    net.__class__ = Resting
    run, _ = trained("train.epochs=2", net=net)
    assert [row["train/loss"] for row in run.history()] == [2.0, 2.0]


# ---------------------------------------------------------------- errors of PyTorch's, and its choice of algorithms


class Failing(Classification):
    """Raises at the second batch."""

    error: BaseException
    calls = 0

    def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
        self.calls += 1
        if self.calls == 2:
            raise self.error
        return super().losses(batch, player)


def failing(error: BaseException, *changes: str) -> None:
    net = task()
    net.__class__ = Failing
    net.error = error
    trained(*changes, net=net)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_out_of_memory_says_what_to_change(error: RuntimeError) -> None:
    words = r"out of memory at step 2 on cpu: 4 pictures of 8 pixels in a batch. "
    words += "Try train.on_oom=halve, or train.batch_size=2 train.accumulate=2, or a smaller data.size"
    with pytest.raises(ZooError, match=words + ", or train.precision=bf16"):
        failing(error)
    with pytest.raises(ZooError, match=words + "$"):
        failing(error, "train.precision=bf16")


def test_what_is_not_deterministic_is_named_where_that_was_asked_for() -> None:
    error = "kthvalue CUDA does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True)'."
    with pytest.raises(RecipeError, match=r"train.deterministic=strict: kthvalue CUDA does not .* Set train.deterministic=warn"):
        failing(RuntimeError(error), "train.deterministic=strict")
    with pytest.raises(RuntimeError, match=r"^kthvalue"):
        failing(RuntimeError(error))


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError, match=r"^shapes"):
        failing(RuntimeError("shapes"))


@pytest.mark.parametrize(("wish", "inside"), [("off", (False, False)), ("warn", (True, True)), ("strict", (True, False))])
def test_deterministic_algorithms_are_chosen_for_the_training_only(wish: str, inside: tuple[bool, bool]) -> None:
    seen = set()

    class Looking(Classification):
        def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
            seen.add((torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()))
            return super().losses(batch, player)

    net = task()
    net.__class__ = Looking
    trained(f"train.deterministic={wish}", net=net)
    assert seen == {inside}
    assert not torch.are_deterministic_algorithms_enabled()


# ---------------------------------------------------------------- a task that is looked at


class Looked(Classification):
    """Shows the batches it was told of, one pixel each, and is alarmed from the second epoch on."""

    told: list[int]

    def start_batch(self, step: int) -> None:
        self.told = [*getattr(self, "told", []), step]

    def snapshot(self) -> Tensor:
        assert not self.training and torch.is_inference_mode_enabled()
        return torch.full((4, 3, 8, 8), len(self.told) / 100)

    def alarms(self, history: Any) -> list[str]:
        return [f"{len(history)} epochs, {history[-1]['epoch']} the last.", "Stop it."] if len(history) > 1 else []


def looked() -> Looked:
    net = task()
    net.__class__ = Looked
    assert isinstance(net, Looked)
    return net


def test_a_task_is_told_the_number_of_each_batch(tmp_path: Path) -> None:
    net = looked()
    trained("train.epochs=2", net=net)
    assert net.told == list(range(10))


def test_a_sheet_of_each_epoch_is_kept() -> None:
    from PIL import Image

    run, _ = trained("train.epochs=3", net=looked())
    sheets = sorted((run.folder / "snapshots").iterdir())
    assert [sheet.name for sheet in sheets] == ["epoch_0001.png", "epoch_0002.png", "epoch_0003.png"]
    values = []
    for sheet in sheets:
        with Image.open(sheet) as picture:
            values.append(min(picture.convert("L").get_flattened_data()))
    assert values == [round(255 * told / 100) for told in (5, 10, 15)]


def test_alarms_are_said_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = trained("train.epochs=3", net=looked())
    assert [row.get("alarm") for row in run.history()] == [
        None,
        "2 epochs, 2 the last. Stop it.",
        "3 epochs, 3 the last. Stop it.",
    ]
    assert "WARNING: 2 epochs, 2 the last." in capsys.readouterr().err
