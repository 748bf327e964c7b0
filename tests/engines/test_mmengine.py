"""What MMEngine's hooks see of a training, and what they may do to it."""

from __future__ import annotations

import gc
import random
import signal
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from installed import installed
from mmengine.hooks import Hook
from small import Memory, recipe, spec, task
from small_tasks import Game

from zoo.engines import mmengine
from zoo.engines.fit import StoppedError
from zoo.engines.mmengine import MMEngine
from zoo.run import Run

ENGINE = "train.engine=mmengine"


class Watcher(Hook):
    """Notes what it sees; `act` is called after each iteration."""

    def __init__(self, act: Callable[[Any, int], None] = lambda runner, step: None) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.act = act

    def before_train(self, runner: Any) -> None:
        self.seen.append(("train", runner.max_epochs, runner.max_iters))

    def before_train_epoch(self, runner: Any) -> None:
        self.seen.append(("start", runner.epoch))

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        assert torch.isfinite(outputs["loss"])
        assert set(data_batch) >= {"image", "label"}
        assert runner.message_hub.get_info("iter") == runner.iter
        self.seen.append(("batch", batch_idx, runner.iter, runner.epoch))
        self.act(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Any) -> None:
        self.seen.append(("end", runner.epoch, runner.message_hub.get_scalar("val/accuracy").current()))

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        self.seen.append(("val", metrics["epoch"], metrics["val/accuracy"]))

    def after_train(self, runner: Any) -> None:
        self.seen.append(("all", runner.epoch, runner.iter))

    def kinds(self, *kinds: str) -> list[tuple[Any, ...]]:
        return [item for item in self.seen if item[0] in kinds]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Trains with these hooks in place of those that a recipe names."""

    def train(*hooks: Any, changes: tuple[str, ...] = (), run: Run | None = None, net: Any = None) -> Run:
        monkeypatch.setattr(mmengine, "plugins", lambda kind, sections, **supplied: list(hooks))
        with run or Run.open(recipe(ENGINE, *changes)) as opened:
            MMEngine().fit(net or task(), Memory(), opened)
        return opened

    return train


def test_hooks_see_epochs_iterations_and_numbers(watched: Callable[..., Run]) -> None:
    watcher = Watcher()
    run = watched(watcher)
    accuracies = [row["val/accuracy"] for row in run.history()]
    assert watcher.seen[0] == ("train", 3, 15)
    assert watcher.kinds("start") == [("start", 0), ("start", 1), ("start", 2)]
    assert watcher.kinds("batch") == [("batch", n % 5, n, n // 5) for n in range(15)], "counted from 0, as MMEngine's hooks expect"
    assert watcher.kinds("end") == [("end", n, pytest.approx(accuracies[n])) for n in range(3)]
    assert watcher.kinds("val") == [("val", n + 1, accuracies[n]) for n in range(3)]
    assert watcher.seen[-1] == ("all", 3, 15)


def test_hooks_see_the_iterations_of_a_run_that_goes_on(watched: Callable[..., Run]) -> None:
    def interrupt(runner: Any, step: int) -> None:
        if step == 7:
            signal.raise_signal(signal.SIGTERM)

    run = Run.open(recipe(ENGINE))
    with pytest.raises(StoppedError):
        watched(Watcher(interrupt), run=run)
    again = Watcher()
    watched(again, run=Run.read(run.folder))
    assert again.kinds("start") == [("start", 1), ("start", 2)]
    assert [step for _, _, step, _ in again.kinds("batch")] == [*range(8, 15)]
    ended = Watcher()
    watched(ended, run=Run.read(run.folder))
    assert ended.kinds("start", "batch", "end", "val") == [], "nothing is left to train"


@pytest.mark.parametrize(("step", "epochs"), [(3, [(1, 3)]), (5, [(1, 5)]), (7, [(1, 5), (2, 7)])])
def test_a_hook_may_end_the_training(step: int, epochs: list[tuple[int, int]], watched: Callable[..., Run]) -> None:
    def stop(runner: Any, now: int) -> None:
        runner.train_loop.stop_training = now == step

    watcher = Watcher(stop)
    run = watched(watcher)
    assert [(row["epoch"], row["step"]) for row in run.history()] == epochs
    assert [kind for kind, *_ in watcher.seen[-4:]] == ["batch", "end", "val", "all"]
    state = run.checkpoint()
    assert state
    assert state["done"]


def test_the_rates_of_players_are_told_apart(watched: Callable[..., Run]) -> None:
    found: list[Any] = []
    watcher = Watcher(lambda runner, step: found.append(runner.optim_wrapper.get_lr()))

    class Silent(Watcher):
        def after_train_iter(self, runner: Any, **named: Any) -> None:
            watcher.act(runner, 0)

        def after_train_epoch(self, runner: Any) -> None: ...

        def after_val_epoch(self, runner: Any, metrics: Any = None) -> None: ...

    changes = ("train.players.generator.lr=0.002", "train.schedule=constant", "monitor={metric: val/loss, mode: min}")
    watched(Silent(), changes=changes, net=Game(spec()))
    assert found[0] == {"discriminator.lr": [0.05], "generator.lr": [0.002]}


def test_it_leaves_random_numbers_threads_and_the_run_folder_alone(watched: Callable[..., Run]) -> None:
    random.seed(1)
    np.random.seed(1)
    threads = torch.get_num_threads()
    expected = random.Random(1).random(), np.random.RandomState(1).rand()
    run = watched()
    assert (random.random(), np.random.rand()) == expected
    assert torch.get_num_threads() == threads
    written = sorted(file.name for file in run.folder.iterdir())
    assert written == ["checkpoints", "confusion.jsonl", "environment.json", "history.jsonl", "predictions", "recipe.yaml"]


def test_it_is_quiet_until_a_hook_speaks(watched: Callable[..., Run], capfd: pytest.CaptureFixture[str]) -> None:
    watched()
    said = capfd.readouterr()
    assert said.out == ""
    assert all(line.startswith("epoch ") for line in said.err.splitlines())

    def speak(runner: Any, step: int) -> None:
        runner.logger.info(f"step {step}")

    watched(Watcher(speak))
    found = capfd.readouterr()
    assert "step 3" in found.out + found.err


# ---------------------------------------------------------------- by a recipe


def trained(*changes: str) -> Run:
    with Run.open(recipe(ENGINE, *changes)) as run:
        MMEngine().fit(task(), Memory(), run)
    return run


def test_mmengines_early_stopping(tmp_path: Path) -> None:
    point = {"hooks.early_stopping": "mmengine.hooks.early_stopping_hook:EarlyStoppingHook"}
    with installed(tmp_path / "site", "stopping", {"__init__.py": ""}, point):
        hook = "train.hooks=[{name: early_stopping, monitor: val/accuracy, patience: 1, min_delta: 0.9}]"
        run = trained(hook, "train.epochs=20", "train.lr=1e-9")
    assert len(run.history()) == 2
    assert (run.folder / "mmengine").is_dir(), "the place for what hooks write"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[None]:
    """The package of docs/plugins.md, installed."""
    from test_plugins import page_package

    files, points = page_package()
    with installed(tmp_path / "site", "my_plugins", files, points):
        yield


@pytest.mark.usefixtures("page")
def test_the_hook_of_the_docs(capfd: pytest.CaptureFixture[str]) -> None:
    trained("train.hooks=[{name: pace, every: 5}]")
    lines = capfd.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["batch 5", "batch 10", "batch 15"]
    assert all("loss" in line and line.endswith("batches/s") for line in lines)


def test_afterwards_nothing_is_kept(watched: Callable[..., Run]) -> None:
    """MMEngine keeps its helpers by name, and an open log file with them."""
    from mmengine.logging import MessageHub, MMLogger

    watched()
    files, kept = len(list(Path("/proc/self/fd").iterdir())), len(MMLogger._instance_dict) + len(MessageHub._instance_dict)
    net = task()
    found = weakref.ref(net)
    for _ in range(3):
        watched(net=net)
    del net
    gc.collect()
    assert len(MMLogger._instance_dict) + len(MessageHub._instance_dict) == kept
    assert len(list(Path("/proc/self/fd").iterdir())) <= files
    assert found() is None
