"""A run that goes on: longer, with other workers, by force with another recipe; stopped when its time is up; one process at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small import Memory, fit, recipe, same, task
from torch import Tensor
from trained import CHANGES

import zoo
from zoo.engines.fit import Every, Fit, StoppedError
from zoo.errors import RecipeError, ZooError
from zoo.report import write_report
from zoo.run import Run, going_on
from zoo.tasks.classification import Classification
from zoo.train import duration, main, train


def trained(*changes: str) -> tuple[Run, dict[str, Tensor]]:
    with Run.open(recipe("train.schedule=constant", *changes)) as run:
        net = fit(run, task(norm=False))
    return run, dict(net.state_dict())


def resumed(run: Run, *changes: str, force: bool = False) -> tuple[Run, dict[str, Tensor]]:
    wished, forced = going_on(Run.read(run.folder), changes, force)
    with Run.open(wished, run.folder, forced) as again:
        net = fit(again, task(norm=False, seed=9))
    return again, dict(net.state_dict())


# ---------------------------------------------------------------- another recipe


def test_a_run_that_goes_on_longer_equals_the_long_one() -> None:
    _, expected = trained("train.epochs=5")
    run, _ = trained("train.epochs=2")
    again, found = resumed(run, "train.epochs=5")
    assert same(found, expected)
    assert [row["epoch"] for row in again.history()] == [1, 2, 3, 4, 5]
    assert Run.read(run.folder).recipe.train.epochs == 5, "the run says so from now on"


def test_steps_that_were_a_trial_go_on() -> None:
    _, expected = trained("train.epochs=3")
    run, _ = trained("train.epochs=3", "train.max_steps=7")
    _, found = resumed(run, "train.max_steps=15")
    assert same(found, expected)


def test_a_run_that_stopped_by_itself_stays_so_when_it_may_be_longer() -> None:
    run, _ = trained("train.epochs=10", "train.lr=1e-9", "monitor.patience=1")
    epochs = len(run.history())
    assert epochs < 10
    again, _ = resumed(run, "train.epochs=20")
    assert len(again.history()) == epochs


@pytest.mark.parametrize(
    "change",
    [
        *("train.engine=mmengine", "data.workers=2", "train.log_every=3", "train.tensorboard=false", "checkpoint.every=3 steps"),
        *("train.device=cpu", "question=Why?", "expect.synthetic={val/accuracy: {min: 0.1}}", "checkpoint.keep_epochs=[1]"),
    ],
)
def test_what_may_change(change: str) -> None:
    run, expected = trained()
    _, found = resumed(run, change)
    assert same(found, expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train.lr=0.5", r"train.lr=0.5 \(was 0.05\)"),
        ("seed=4", r"seed=4 \(was 3\)"),
        ("train.batch_size=2", "train.batch_size=2"),
        ("data.size=9", "data.size=9"),
        ("train.optimizer=adam", r"train.optimizer.betas=\[0.9, 0.999\] .*train.optimizer.name=adam \(was sgd\)"),
        ("train.players.model.lr=0.1", "train.players.model.lr=0.1"),
        ("monitor.metric=val/loss", "monitor.metric=val/loss"),
    ],
)
def test_what_would_make_another_run_is_refused_by_name(change: str, said: str) -> None:
    run, _ = trained()
    before = (run.folder / "recipe.yaml").read_text()
    with pytest.raises(RecipeError, match=f"--resume {run.folder}: .*{said}.*Start a new run, or say --force.*train.epochs"):
        resumed(run, change)
    assert (run.folder / "recipe.yaml").read_text() == before


def test_by_force_it_goes_on_and_is_marked() -> None:
    run, _ = trained("train.epochs=2")
    again, _ = resumed(run, "train.lr=0.5", "train.epochs=3", force=True)
    assert again.history()[-1]["lr"] == 0.5
    assert again.read_json("environment.json")["forced"] == ["train.lr=0.5 (was 0.05)"]
    more, _ = resumed(again, "train.lr=0.25", "train.epochs=4", force=True)
    assert more.read_json("environment.json")["forced"] == ["train.lr=0.5 (was 0.05)", "train.lr=0.25 (was 0.5)"]
    quiet, _ = resumed(more, "train.epochs=5")
    assert len(quiet.read_json("environment.json")["forced"]) == 2
    words = "Changed by force while it was trained, so that its numbers are of no one recipe: train.lr=0.5 (was 0.05); train.lr=0.25"
    assert words in write_report(quiet.folder).read_text(encoding="utf-8")


def test_a_wrong_change_is_said_as_in_any_recipe() -> None:
    run, _ = trained()
    with pytest.raises(RecipeError, match="did you mean"):
        resumed(run, "train.epoch=5")


def test_a_schedule_over_the_whole_training_is_said_to_jump(capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = trained("train.epochs=2", "train.schedule=cosine")
    resumed(run, "train.epochs=4")
    assert "WARNING: the schedule cosine spans 20 batches now, 10 before: the rate jumps here" in capsys.readouterr().err


# ---------------------------------------------------------------- time


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("30min", 1800), ("1.5h", 5400), ("2 h", 7200), ("0.5s", 0.5)])
def test_times_as_people_write_them(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "2d", "-1h", "0", "0h", "1e3", "nan", "1h30"])
def test_what_is_no_time(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["image_folder", f"--max-time={text}"])
    assert left.value.code == 2
    assert "such as 90s, 30min, 1.5h" in capsys.readouterr().err


def test_when_the_time_is_up_it_saves_and_goes_on_to_the_same_end(capsys: pytest.CaptureFixture[str]) -> None:
    _, expected = trained()
    run = Run.open(recipe("train.schedule=constant"), max_seconds=1e-9)
    with pytest.raises(StoppedError, match="the time is up: stopped and saved: go on with") as stopped, run:
        fit(run, task(norm=False))
    assert stopped.value.exit_code == 75
    assert run.newest_checkpoint() == 1
    _, found = resumed(run)
    assert same(found, expected)


def test_a_cluster_may_say_that_the_time_is_up() -> None:
    class Told(Classification):
        def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
            os.kill(os.getpid(), signal.SIGUSR1)
            return super().losses(batch, player)

    net = task()
    net.__class__ = Told
    before = signal.getsignal(signal.SIGUSR1)
    with pytest.raises(StoppedError) as stopped, Run.open(recipe()) as run:
        fit(run, net)
    assert stopped.value.exit_code == 75
    assert signal.getsignal(signal.SIGUSR1) is before


def test_the_command_stops_in_time_and_goes_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from zoo.__main__ import run_command

    assert run_command("train", ["image_folder", *CHANGES, "train.max_steps=12", "--max-time=0.01s"]) == 75
    (folder,) = (home / "runs" / "image_folder").iterdir()
    assert f"go on with `python -m zoo.train --resume {folder}`" in capsys.readouterr().err
    assert run_command("train", ["--resume", str(folder), "train.max_steps=14"]) == 0
    assert Run.read(folder).history()[-1]["step"] == 14
    assert not (folder / ".lock").exists()
    for words in (["image_folder", "--force"], ["image_folder", "--resume", str(folder)], []):
        with pytest.raises(SystemExit):
            main(words)


# ---------------------------------------------------------------- how often, and what is kept


ALL = list(range(1, 15))


@pytest.mark.parametrize(
    ("every", "steps"),
    [
        ("1 epoch", [5, 10]),
        ("2 epochs", [10]),
        ("4 steps", [4, 8, 12]),
        ("1step", ALL),
        ("1h", []),
        ("1s", ALL),
    ],
)
def test_how_often_the_state_is_saved(every: str, steps: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour is never up, and a second always: the clock is turned."""
    saved: list[int] = []
    save = Fit._save

    def note(self: Fit) -> None:
        saved.append(self.step_number)
        save(self)
        if every == "1s":
            self.every.since -= 2

    monkeypatch.setattr(Fit, "_save", note)
    if every == "1s":
        begin = Every.begin
        monkeypatch.setattr(Every, "begin", lambda self: (begin(self), setattr(self, "since", self.since - 2)))
    trained(f"checkpoint.every={every}")
    assert saved == [*steps, 15], "and when the training ends"


@pytest.mark.parametrize("every", ["0 epochs", "-1 step", "epoch", "3", "1 day", "1.5h", "1 epoch 2"])
def test_what_is_no_interval(every: str) -> None:
    with pytest.raises(RecipeError, match=r"`checkpoint.every`: expected text that matches"):
        recipe(f"checkpoint.every={every!r}")


def test_a_kill_between_saves_that_are_rare_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights of the best epoch are newer than the state then."""
    whole, expected = trained("train.epochs=4", "checkpoint.every=3 epochs")

    class Killed(BaseException):
        pass

    def killing(self: Fit, *arguments: Any) -> None:
        raise Killed

    run = Run.open(recipe("train.schedule=constant", "train.epochs=4", "checkpoint.every=3 epochs"))
    with monkeypatch.context() as patch, pytest.raises(Killed), Fit(task(norm=False), Memory(), run) as fitting:
        for batch in fitting.batches():
            if fitting.step_number == 18:
                patch.setattr(Fit, "step", killing)
            fitting.step(batch)
    assert run.newest_checkpoint() == 15
    again, found = resumed(run)
    assert same(found, expected)
    assert again.checkpoints.manifest.best == whole.checkpoints.manifest.best


def test_an_epoch_that_was_kept_can_be_loaded(home: Path) -> None:
    run = train("image_folder", [*CHANGES, "train.epochs=3", "train.max_steps=24", "train.batch_size=32", "checkpoint.keep_epochs=[1, 9]"])
    best = run.checkpoints.manifest.best
    assert set(run.checkpoints.manifest.weights) >= {1, best}
    model = zoo.load("image_folder@1", device="cpu")
    expected = run.checkpoints.read_weights(1)
    assert all(torch.equal(value, expected[key]) for key, value in model.task.state_dict().items())
    assert same(zoo.load(f"image_folder:{run.folder.name}@{best}", device="cpu").task.state_dict(), zoo.load(run.folder).task.state_dict())
    with pytest.raises(ZooError, match=r"the weights of epoch 77 are not kept; kept are .*best.*checkpoint.keep_epochs=\[77\]"):
        zoo.load(f"{run.folder}@77")


# ---------------------------------------------------------------- one process at a time


def test_two_processes_do_not_train_in_one_run() -> None:
    run, _ = trained("train.epochs=2")
    code = f"""
from zoo.run import Run
from zoo.errors import ZooError
run = Run.read({str(run.folder)!r})
try:
    with run:
        print("trains")
except ZooError as error:
    print(error)
"""

    def other() -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    with Run.read(run.folder):
        assert f"{run.folder}: another process is training in this run; wait until it ends, or stop it" in other()
    assert other() == "trains\n", "the lock ends with the process"
    assert not (run.folder / ".lock").exists()


def test_a_folder_that_is_removed_under_the_run_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    class Removing(Memory):
        def stream(self, epoch: int = 0, batch: int = 0) -> Any:
            for number, found in enumerate(super().stream(epoch, batch)):
                if number == 7:
                    shutil.rmtree(run.folder)
                yield found

    with pytest.raises(ZooError, match=r"cannot be written .*: its folder was removed or renamed under the run"), Run.open(recipe()) as run:
        fit(run, data=Removing())


# ---------------------------------------------------------------- a stranger's run


def test_a_link_in_a_run_is_not_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name, target in ((".metrics.json.partial", outside / "a"), ("history.jsonl", outside / "b"), ("checkpoints", outside)):
        run = Run.open(recipe())
        (run.folder / name).symlink_to(target)
        with pytest.raises(RecipeError, match=rf"{name}: a link in a run that is to go on; put the file itself there"):
            resumed(run)
    assert list(outside.iterdir()) == []


def test_a_left_name_that_is_a_link_is_replaced(tmp_path: Path) -> None:
    run = Run.open(recipe())
    (run.folder / ".a.json.partial").symlink_to(tmp_path / "sentinel")
    run.write_json("a.json", 1)
    assert not (tmp_path / "sentinel").exists()
    assert run.read_json("a.json") == 1


@pytest.mark.parametrize(
    "text", ["3", '{"pairs": 3}', '{"pairs": [["step", {"tensor": "none"}]]}', '{"pairs": [["step", 3]]}', "[" * 100_000]
)
def test_a_state_that_is_none_is_refused(text: str) -> None:
    """With digests that are right: whoever made it could write them too."""
    import hashlib
    import json

    run, _ = trained("train.epochs=1")
    folder = run.folder / "checkpoints"
    manifest = json.loads((folder / "manifest.json").read_text())
    step = str(manifest["last"])
    manifest["states"] = {step: manifest["states"][step]}
    manifest["states"][step]["plain"] |= {"size": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / f"{step}.json").write_text(text)
    with pytest.raises(ZooError, match=r"no checkpoint of this run is whole: .*json|a checkpoint does not fit this run"):
        resumed(run)


def test_a_history_of_rubbish_is_read_as_far_as_it_goes() -> None:
    run = Run.open(recipe())
    (run.folder / "history.jsonl").write_bytes(b'{"step": 1}\n\xff\xfe\n' + b"[" * 20_000 + b'\n3\n"x"\n{"step": 2}\n')
    assert [row["step"] for row in run.history()] == [1, 2]
