"""What PyTorch Lightning's own objects see of a training, and what they may do to it."""

from __future__ import annotations

import csv
import gc
import json
import signal
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from installed import installed
from pytorch_lightning import Callback
from pytorch_lightning.loggers import Logger
from small import Memory, recipe, task

from zoo.engines import lightning
from zoo.engines.fit import StoppedError
from zoo.engines.lightning import Lightning
from zoo.run import Run
from zoo.tasks.classification import Classification

ENGINE = "train.engine=lightning"


class Watcher(Callback):
    """Notes what it sees; `act` is called at the end of each batch."""

    def __init__(self, act: Callable[[Any, int], None] = lambda trainer, step: None) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.act = act

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.seen.append(("start", trainer.current_epoch))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        assert torch.isfinite(outputs["loss"])
        assert set(batch) >= {"image", "label"}
        self.seen.append(("batch", batch_idx, trainer.global_step))
        self.act(trainer, trainer.global_step)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        numbers = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.seen.append(("end", trainer.current_epoch, numbers.get("val/accuracy")))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.seen.append(("all",))

    def kinds(self, *kinds: str) -> list[tuple[Any, ...]]:
        return [item for item in self.seen if item[0] in kinds]


class Rows(Logger):
    """Notes what it is given."""

    name, version = "rows", 0

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int | None, dict[str, Any]]] = []
        self.recipes: list[Any] = []
        self.ended: list[str] = []

    def log_hyperparams(self, params: Any) -> None:
        self.recipes.append(params)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append((step, metrics))

    def finalize(self, status: str) -> None:
        self.ended.append(status)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Trains with these objects in place of those that a recipe names."""

    def train(*objects: Any, changes: tuple[str, ...] = (), run: Run | None = None, net: Any = None) -> Run:
        kinds = {"callbacks": Callback, "loggers": Logger}
        monkeypatch.setattr(
            lightning, "plugins", lambda kind, sections, **supplied: [one for one in objects if isinstance(one, kinds[kind])]
        )
        with run or Run.open(recipe(ENGINE, *changes)) as opened:
            Lightning().fit(net or task(), Memory(), opened)
        return opened

    return train


# ---------------------------------------------------------------- what is seen


def test_callbacks_see_epochs_batches_and_numbers(watched: Callable[..., Run]) -> None:
    watcher = Watcher()
    run = watched(watcher)
    assert watcher.kinds("start") == [("start", 0), ("start", 1), ("start", 2)]
    assert watcher.kinds("batch") == [("batch", n % 5, n + 1) for n in range(15)], "steps are batches"
    accuracies = [row["val/accuracy"] for row in run.history()]
    assert watcher.kinds("end") == [("end", n, pytest.approx(accuracies[n])) for n in range(3)]
    assert watcher.seen[-1] == ("all",)


def test_callbacks_see_the_epochs_of_a_run_that_goes_on(watched: Callable[..., Run]) -> None:
    """Stopped after 7 batches of 15, so in the middle of the second epoch of five batches."""

    def interrupt(trainer: Any, step: int) -> None:
        if step == 7:
            signal.raise_signal(signal.SIGTERM)

    run = Run.open(recipe(ENGINE))
    with pytest.raises(StoppedError):
        watched(Watcher(interrupt), run=run)
    again = Watcher()
    watched(again, run=Run.read(run.folder))
    assert again.kinds("start") == [("start", 1), ("start", 2)]
    assert [step for _, _, step in again.kinds("batch")] == [*range(9, 16)], "the signal came while batch 7 was ended; 8 is saved"
    assert [epoch for _, epoch, _ in again.kinds("end")] == [1, 2]
    ended = Watcher()
    watched(ended, run=Run.read(run.folder))
    assert ended.kinds("start", "batch", "end") == [], "nothing is left to train"


def test_loggers_get_the_recipe_rows_on_the_way_and_the_epochs(watched: Callable[..., Run]) -> None:
    logger = Rows()
    run = watched(logger, changes=("train.log_every=2",))
    assert [given["train"]["epochs"] for given in logger.recipes] == [3]
    rows = {step: metrics for step, metrics in logger.rows if "epoch" in metrics}
    assert [rows[step]["val/accuracy"] for step in (5, 10, 15)] == [row["val/accuracy"] for row in run.history()]
    on_the_way = [(step, metrics) for step, metrics in logger.rows if "epoch" not in metrics]
    assert {step for step, _ in on_the_way} == {2, 4, 6, 8, 10, 12, 14}
    assert set(on_the_way[0][1]) == {"train/loss", "train/accuracy", "lr"}
    assert logger.ended[-1] == "success"


def test_a_run_that_stops_tells_its_loggers(watched: Callable[..., Run]) -> None:
    logger = Rows()

    def interrupt(trainer: Any, step: int) -> None:
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(StoppedError) as stopped:
        watched(logger, Watcher(interrupt))
    assert stopped.value.exit_code == 130
    assert logger.ended == ["failed"]


# ---------------------------------------------------------------- what may be done


@pytest.mark.parametrize(("step", "epochs"), [(3, [(1, 3)]), (5, [(1, 5)]), (7, [(1, 5), (2, 7)])])
def test_a_callback_may_end_the_training(step: int, epochs: list[tuple[int, int]], watched: Callable[..., Run]) -> None:
    """As if that batch had been the last: validated, the best kept, done."""

    def stop(trainer: Any, now: int) -> None:
        trainer.should_stop |= now == step

    run = watched(Watcher(stop))
    assert [(row["epoch"], row["step"]) for row in run.history()] == epochs
    state = run.checkpoint()
    assert state
    assert state["done"]
    assert run.checkpoints.manifest.best in run.checkpoints.manifest.weights


def test_the_end_of_training_ends_lightning(watched: Callable[..., Run]) -> None:
    watcher = Watcher()
    run = watched(watcher, changes=("monitor.patience=1", "train.epochs=50", "train.lr=1e-9", "train.schedule=constant"))
    assert len(watcher.kinds("start")) == len(watcher.kinds("end")) == len(run.history()) < 50, "no empty epochs after the last"


def test_a_second_interrupt_leaves_at_once(watched: Callable[..., Run]) -> None:
    class Impatient(Classification):
        def losses(self, batch: Any, player: str) -> Any:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            return super().losses(batch, player)

    net = task()
    net.__class__ = Impatient
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        watched(net=net)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_callback_that_leaves_leaves(watched: Callable[..., Run]) -> None:
    def leave(trainer: Any, step: int) -> None:
        raise SystemExit(7)

    with pytest.raises(SystemExit) as left:
        watched(Watcher(leave))
    assert left.value.code == 7


def test_signals_are_ours_alone(watched: Callable[..., Run]) -> None:
    """Lightning's own handler would send a message to other processes from within a signal."""
    found = []
    watched(Watcher(lambda trainer, step: found.append(signal.getsignal(signal.SIGTERM))))
    assert {getattr(handler, "__name__", "") for handler in found} == {"_on_signal"}


def test_lightning_is_quiet_and_leaves_loggers_as_they_were(watched: Callable[..., Run], capfd: pytest.CaptureFixture[str]) -> None:
    import logging

    level = logging.getLogger("pytorch_lightning").level
    watched(net=task(frozen_epochs=1))
    said = capfd.readouterr()
    assert said.out == ""
    assert all(line.startswith("epoch ") for line in said.err.splitlines())
    assert logging.getLogger("pytorch_lightning").level == level


# ---------------------------------------------------------------- by a recipe


def trained(*changes: str) -> Run:
    with Run.open(recipe(ENGINE, *changes)) as run:
        Lightning().fit(task(), Memory(), run)
    return run


def test_lightnings_early_stopping() -> None:
    run = trained(
        "train.callbacks=[{name: early_stopping, monitor: val/accuracy, mode: max, patience: 2, min_delta: 0.9}]",
        *("train.epochs=20", "train.lr=1e-9"),
    )
    assert len(run.history()) == 3
    with pytest.raises(RuntimeError, match="val/acuracy"):
        trained("train.callbacks=[{name: early_stopping, monitor: val/acuracy}]")


def test_lightnings_csv_logger() -> None:
    run = trained("train.loggers=[{name: csv, prefix: zoo}]", "train.log_every=5")
    (file,) = run.folder.rglob("metrics.csv")
    rows = list(csv.DictReader(file.open()))
    accuracies = [float(row["zoo-val/accuracy"]) for row in rows if row["zoo-val/accuracy"]]
    assert accuracies == pytest.approx([row["val/accuracy"] for row in run.history()])


def test_lightnings_tensorboard_logger() -> None:
    pytest.importorskip("tensorboard", reason="pip install 'zoo[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = trained("train.loggers=[tensorboard]")
    (file,) = run.folder.rglob("events.out.*")
    events = EventAccumulator(str(file.parent))
    events.Reload()
    assert [(item.step, pytest.approx(item.value)) for item in events.Scalars("val/accuracy")] == [
        (row["step"], row["val/accuracy"]) for row in run.history()
    ]


def test_lightnings_mlflow_logger(tmp_path: Path) -> None:
    """In a process of its own, since the place is an environment variable that is read once."""
    pytest.importorskip("mlflow", reason="pip install 'zoo[mlflow]'")
    import os

    import warm

    code = """
import importlib, sys; sys.path.insert(0, sys.argv[1])
import pytorch_lightning.loggers.mlflow
importlib.reload(pytorch_lightning.loggers.mlflow)  # a warm process has loaded it with the variables of another
from engines.test_lightning import trained
run = trained("train.loggers=[{name: mlflow, experiment_name: small}]")
import mlflow
(found,) = mlflow.search_runs(experiment_names=["small"], output_format="list")
print(found.info.status, found.data.metrics["val/accuracy"], run.history()[-1]["val/accuracy"])
"""
    env = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    found = warm.run("-c", code, Path(__file__).resolve().parent.parent, env=env, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    status, theirs, ours = found.stdout.split()
    assert status == "FINISHED"
    assert float(theirs) == pytest.approx(float(ours))


@pytest.fixture
def page(tmp_path: Path) -> Iterator[None]:
    """The package of docs/plugins.md, installed."""
    from test_plugins import page_package

    files, points = page_package()
    with installed(tmp_path / "site", "my_plugins", files, points):
        yield


@pytest.mark.usefixtures("page")
def test_the_callback_and_the_logger_of_the_docs(capfd: pytest.CaptureFixture[str]) -> None:
    run = trained("train.callbacks=[{name: bell, goal: 0, silent: true}]", "train.loggers=[{name: lines, digits: 3}]")
    rows = [json.loads(line) for line in (run.folder / "lines.jsonl").read_text().splitlines()]
    assert rows[0]["recipe"]["task"]["name"] == "classification"
    assert [row["at"] for row in rows if "val/accuracy" in row] == [5, 10, 15]
    accuracies = [row["val/accuracy"] for row in run.history()]
    assert capfd.readouterr().out.splitlines() == [f"epoch {n}: val/accuracy {accuracy:.4f}" for n, accuracy in enumerate(accuracies, 1)]


def test_afterwards_signals_mean_what_they_meant_and_nothing_is_kept(watched: Callable[..., Run]) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    tasks = []
    for fails in (False, True):
        net = task()
        tasks.append(weakref.ref(net))
        if fails:
            with pytest.raises(ZeroDivisionError):
                watched(Watcher(lambda trainer, step: 1 // 0), net=net)
        else:
            watched(net=net)
        assert {number: signal.getsignal(number) for number in before} == before
    del net
    gc.collect()
    assert tasks[0]() is None, "Lightning's handlers would keep the Trainer and with it the network"


def test_a_signal_before_the_first_batch_is_not_lost(watched: Callable[..., Run]) -> None:
    """While the run is taken up one batch is measured; Lightning's own handler would then end the training without saving."""

    class Told(Classification):
        told = False

        def predict(self, batch: Any) -> Any:
            if not self.told:
                self.told = True
                signal.raise_signal(signal.SIGTERM)
            return super().predict(batch)

    net = task()
    net.__class__ = Told
    run = Run.open(recipe(ENGINE))
    with pytest.raises(StoppedError):
        watched(net=net, run=run)
    assert run.newest_checkpoint() == 1
