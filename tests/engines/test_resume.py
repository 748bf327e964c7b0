"""A training that was cut anywhere and went on equals one that was never cut, to the bit."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import warm
from small import Memory, fit, recipe, same, task

from zoo.engines.fit import Fit, StoppedError
from zoo.errors import DataError, ZooError
from zoo.run import Run
from zoo.tasks.classification import Classification

ALL = (
    "train.epochs=4",
    "train.ema=0.9",
    "train.accumulate=3",
    "train.schedule={name: plateau, patience: 0, factor: 0.5, metric: val/accuracy, warmup: 0.5}",
    "train.clip=0.5",
    "monitor.patience=3",
)
SETTINGS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "plain": (("train.epochs=4",), {}),
    "all at once": (ALL, {"inner_dropout": 0.5, "dropout": 0.3, "mixup": 0.4, "cutmix": 1.0}),
    "freezing": (("train.epochs=4", "train.optimizer=sgd"), {"frozen_epochs": 2, "dropout": 0.5}),
    "adam, channels last": (("train.epochs=4", "train.optimizer=adam", "train.channels_last=true", "train.accumulate=2"), {}),
    "bf16": (("train.epochs=4", "train.precision=bf16", "train.optimizer=adamw"), {}),
    "16": (("train.epochs=4", "train.precision=16", "train.optimizer=adamw"), {}),
    "rmsprop": (("train.epochs=4", "train.optimizer=rmsprop"), {}),
}


def net(options: dict[str, Any], seed: int = 0) -> Classification:
    return task(seed=seed, **options)


def facts(run: Run, trained: Any) -> dict[str, Any]:
    """All that must be equal: weights, history but its times, the state at the end, what was answered after each epoch."""
    state = run.checkpoint()
    assert state is not None
    state = {key: value for key, value in state.items() if key not in ("seconds", "spent")}
    rows = [{key: value for key, value in row.items() if "seconds" not in key} for row in run.history()]
    told = {path.name: path.read_bytes() for path in sorted((run.folder / "predictions").iterdir())}
    told["confusion"] = (run.folder / "confusion.jsonl").read_bytes()
    kept = {"weights": dict(trained.state_dict()), "state": state, "history": rows, "best": run.checkpoints.manifest.best}
    return kept | {"answers": told}


def cut(run: Run, options: dict[str, Any], step: int) -> None:
    """Train to a step and stop there as a signal would."""
    with pytest.raises(StoppedError), Fit(net(options), Memory(), run) as fitting:
        for batch in fitting.batches():
            if fitting.step_number == step - 1:
                fitting.signal = signal.SIGTERM
            fitting.step(batch)


def resumed(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Go on in a process that has drawn other numbers and built other weights in between."""
    torch.manual_seed(12345)
    run = Run.read(folder)
    return facts(run, fit(run, net(options, seed=99)))


@pytest.mark.parametrize("setting", SETTINGS)
def test_cut_anywhere(setting: str) -> None:
    changes, options = SETTINGS[setting]
    run = Run.open(recipe(*changes))
    whole = facts(run, fit(run, net(options)))
    assert len(whole["history"]) == 4
    for step in (1, 5, 8, 12, 20):  # the first, the edge of an epoch, within accumulation, after unfreezing, the last
        run = Run.open(recipe(*changes))
        cut(run, options, step)
        assert same(resumed(run.folder, options), whole), f"cut after step {step}"


def test_cut_again_and_again() -> None:
    changes, options = SETTINGS["all at once"]
    run = Run.open(recipe(*changes))
    whole = facts(run, fit(run, net(options)))
    run = Run.open(recipe(*changes))
    for step in (2, 3, 9, 10, 16):
        cut(run, options, step)
    assert same(resumed(run.folder, options), whole)


def test_killed_without_warning_it_goes_on_from_the_last_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    changes, options = SETTINGS["all at once"]
    run = Run.open(recipe(*changes))
    whole = facts(run, fit(run, net(options)))
    run = Run.open(recipe(*changes))
    with pytest.raises(MemoryError), Fit(net(options), Memory(), run) as fitting:
        for batch in fitting.batches():
            if fitting.step_number == 14:
                monkeypatch.setattr(fitting, "_save", lambda: (_ for _ in ()).throw(MemoryError))  # after the row was written
            fitting.step(batch)
    assert [row["epoch"] for row in run.history()] == [1, 2, 3]
    monkeypatch.undo()
    assert same(resumed(run.folder, options), whole), "history is cut back to the checkpoint"


def test_killed_before_the_first_checkpoint_it_starts_over() -> None:
    run = Run.open(recipe())
    whole = facts(run, fit(run, net({})))
    run = Run.open(recipe())
    run.log({"epoch": 1, "step": 5})
    torch.manual_seed(5)
    again = Run.read(run.folder)
    assert same(facts(again, fit(again, net({}))), whole)


def test_a_finished_run_does_nothing_more() -> None:
    run = Run.open(recipe())
    whole = facts(run, fit(run, net({})))
    data = Memory()
    again = Run.read(run.folder)
    found = facts(again, fit(again, net({}, seed=5), data))
    assert not data.drawn
    assert same(found, whole)


def test_a_run_that_stopped_early_stays_stopped() -> None:
    changes = ("train.epochs=50", "train.lr=1e-9", "monitor.patience=1")
    run = Run.open(recipe(*changes))
    epochs = len(facts(run, fit(run, net({})))["history"])
    assert epochs < 5
    data = Memory()
    again = Run.read(run.folder)
    assert len(facts(again, fit(again, net({}), data))["history"]) == epochs
    assert not data.drawn


def test_seconds_go_on() -> None:
    run = Run.open(recipe())
    with pytest.raises(StoppedError), Fit(net({}), Memory(), run) as fitting:
        for batch in fitting.batches():
            if fitting.step_number == 2:
                fitting.begun -= 100  # a long epoch
                fitting.signal = signal.SIGINT
            fitting.step(batch)
    again = Run.read(run.folder)
    fit(again, net({}))
    assert 100 <= again.history()[0]["seconds"] < 110
    assert again.history()[1]["seconds"] < 10


def test_other_data_is_refused() -> None:
    run = Run.open(recipe())
    cut(run, {}, 3)
    with pytest.raises(DataError, match="not what this run was trained on"):
        fit(Run.read(run.folder), data=Memory(samples=24))
    assert run.checkpoint() is not None


def test_other_threads_are_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.open(recipe())
    cut(run, {}, 3)
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 3)
    fit(Run.read(run.folder))
    assert f"WARNING: {threads + 3} threads now, {threads} before" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    run = Run.open(recipe())
    with pytest.raises(StoppedError, match=f"python -m zoo.train --resume {run.folder}") as caught, Fit(net({}), Memory(), run) as fitting:
        for batch in fitting.batches():
            if fitting.step_number == 2:
                os.kill(os.getpid(), number)
            fitting.step(batch)
    assert caught.value.exit_code == code
    assert run.newest_checkpoint() == 3
    assert f"{number.name}: finishing this step and saving" in capsys.readouterr().err
    assert {each: signal.getsignal(each) for each in before} == before, "handlers are put back"


def test_a_second_signal_stops_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)  # shells start background jobs with it ignored
    run = Run.open(recipe())
    with pytest.raises(KeyboardInterrupt), Fit(net({}), Memory(), run) as fitting:
        for batch in fitting.batches():
            fitting.step(batch)
            if fitting.step_number == 2:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_workers_that_die_of_the_signal_lose_nothing() -> None:
    """Ctrl-C reaches them too; the training process may be waiting for a batch just then."""

    class Dying(Memory):
        def stream(self, epoch: int = 0, batch: int = 0) -> Any:
            for number, found in enumerate(super().stream(epoch, batch)):
                if number == 2:
                    os.kill(os.getpid(), signal.SIGINT)
                    raise RuntimeError("DataLoader worker (pid(s) 1) exited unexpectedly")
                yield found

    run = Run.open(recipe())
    with pytest.raises(StoppedError):
        fit(run, net({}), Dying())
    assert run.newest_checkpoint() == 2

    class Broken(Memory):
        def stream(self, epoch: int = 0, batch: int = 0) -> Any:
            raise RuntimeError("a real one")
            yield

    with pytest.raises(RuntimeError, match="a real one"):
        fit(Run.open(recipe()), net({}), Broken())


def test_handlers_are_put_back_when_the_start_fails() -> None:
    before = signal.getsignal(signal.SIGTERM)
    run = Run.open(recipe())
    cut(run, {}, 3)
    (run.folder / "checkpoints" / "3.safetensors").write_bytes(b"broken")
    with pytest.raises(ZooError, match=r"3.safetensors has 6 bytes.*Remove .*checkpoints to train this run anew"):
        fit(Run.read(run.folder))
    assert signal.getsignal(signal.SIGTERM) is before


def test_outside_of_the_main_thread_it_trains_without_handlers() -> None:
    run = Run.open(recipe())
    thread = threading.Thread(target=fit, args=(run, net({})))
    thread.start()
    thread.join()
    assert len(run.history()) == 3


SCRIPT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from small import Memory, fit, recipe, task
from zoo.__main__ import run_command
from zoo.run import Run
import zoo.train

class Slow(Memory):
    def stream(self, epoch=0, batch=0):
        for found in super().stream(epoch, batch):
            time.sleep(0.02)
            print("batch", flush=True)
            yield found

def main(argv):
    with Run.open(recipe("train.epochs=4"), None if not argv else __import__("pathlib").Path(argv[0])) as run:
        print(run.folder, flush=True)
        fit(run, task(inner_dropout=0.5), Slow())
    return 0

zoo.train.main = main
sys.exit(run_command("train", sys.argv[2:]))
"""


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in warm processes: sums of another number of threads may differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_process_that_is_told_to_stop(number: signal.Signals, code: int) -> None:
    run = Run.open(recipe("train.epochs=4"))
    whole = facts(run, fit(run, task(inner_dropout=0.5)))
    process = warm.Process("-c", SCRIPT, Path(__file__).parent.parent)
    while process.poll() is None and process.out.read_text().count("batch") < 7:
        time.sleep(0.01)
    process.send_signal(number)
    out, errors = process.communicate()
    assert process.returncode == code, errors
    assert "--resume" in errors and "Traceback" not in errors
    again = Run.read(out.splitlines()[0])
    assert again.newest_checkpoint() is not None
    assert same(facts(again, fit(again, task(inner_dropout=0.5))), whole)


def test_only_plain_files_are_in_the_folder() -> None:
    run = Run.open(recipe())
    cut(run, {}, 8)
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".yaml", ".json", ".jsonl", ".safetensors", ".gz"}
    assert [path.name for path in files if path.name.startswith(".")] in ([], [".lock"])
    assert sorted(path.stem for path in (run.folder / "checkpoints").glob("[0-9]*")) == ["5", "5", "8", "8"], (
        "the newest and the one before"
    )
    for path in files:
        assert not path.read_bytes().startswith((b"PK", b"\x80")), f"{path} is a pickle"
        if path.suffix == ".json":
            json.loads(path.read_text())


def test_a_save_that_is_cut_off_leaves_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    changes, options = SETTINGS["all at once"]
    run = Run.open(recipe(*changes))
    whole = facts(run, fit(run, net(options)))
    run = Run.open(recipe(*changes))
    cut(run, options, 7)
    (run.folder / "checkpoints" / "8.safetensors").write_bytes(b"written, but its JSON is not")
    (run.folder / "checkpoints" / ".9.safetensors.partial").write_bytes(b"cut off")
    assert same(resumed(run.folder, options), whole)
    assert not list((run.folder / "checkpoints").glob(".*")), "what was left half-written is cleared away"


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_signal_is_not_lost_while_processes_agree(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes when this process has said that there was none, and waits for what the others say."""
    calls = iter(range(1, 1000))

    def most(value: float) -> int:
        if next(calls) == call:
            signal.raise_signal(signal.SIGTERM)
        return int(value)

    monkeypatch.setattr("zoo.engines.fit.most", most)
    with pytest.raises(StoppedError), Run.open(recipe()) as run:
        fit(run)
