"""The run folder: whole files or none, sentences instead of stacks, and only what is worth keeping."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import struct
import time
from pathlib import Path

import pytest
import torch
import warm
from small import fit, recipe

from zoo.errors import DataError, RecipeError, ZooError
from zoo.run import Run, environment, weights_sha256


@pytest.fixture
def run() -> Run:
    return Run.open(recipe())


def break_disk(monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOSPC) -> None:
    """From here on nothing can be written."""

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)


# ---------------------------------------------------------------- opening


def test_a_new_run(run: Run, home: Path) -> None:
    assert run.folder.parent == home / "runs" / "small"
    assert sorted(path.name for path in run.folder.iterdir()) == ["environment.json", "recipe.yaml"]
    assert Run.read(run.folder).recipe == run.recipe
    assert set(environment()) <= set(run.read_json("environment.json")) | {"command"}
    assert run.read_json("environment.json")["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert not run.finished and run.metrics == {} and run.split == {} and run.history() == []


def test_runs_of_one_second_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda *_: "20300101-000000")
    names = [Run.open(recipe()).folder.name for _ in range(3)]
    assert names == ["20300101-000000", "20300101-000000-2", "20300101-000000-3"]


def test_what_is_no_run(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(RecipeError, match=r"no run folder \(it has no recipe.yaml\).*runs/<recipe>/<id>"):
            Run.read(folder)
    (tmp_path / "recipe.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match=r"recipe.yaml: cannot be read: not UTF-8"):
        Run.read(tmp_path)
    (tmp_path / "recipe.yaml").write_text("task: nonsense")
    with pytest.raises(RecipeError, match="nonsense"):
        Run.read(tmp_path)


def test_a_home_that_is_a_file(home: Path) -> None:
    (home / "runs").write_text("not a folder")
    with pytest.raises(ZooError, match=r"runs/small: a run folder cannot be made there .*set ZOO_HOME"):
        Run.open(recipe())


def test_a_disk_that_is_full_at_the_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_disk(monkeypatch)
    with pytest.raises(ZooError, match=r"recipe.yaml: cannot be written \(No space left on device\)"):
        Run.open(recipe())
    assert not (home / "runs" / "small").exists(), "no empty run is left"


def test_tensorboard_that_is_missing_is_found_at_the_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"train.tensorboard=true needs TensorBoard: pip install 'zoo\[tensorboard\]'"):
        Run.open(recipe("train.tensorboard=true"))
    assert not (home / "runs").exists()


# ---------------------------------------------------------------- what is kept


def test_a_new_run_of_bad_data_leaves_nothing(home: Path) -> None:
    with pytest.raises(DataError), Run.open(recipe()):
        raise DataError("broken")
    assert list((home / "runs").iterdir()) == []


def test_others_runs_are_left_alone(run: Run) -> None:
    with pytest.raises(DataError), Run.open(recipe()) as second:
        raise DataError("broken")
    assert run.folder.is_dir() and not second.folder.exists()


@pytest.mark.parametrize("error", [DataError, KeyboardInterrupt, ValueError])
def test_a_resumed_run_is_never_removed(run: Run, error: type[BaseException]) -> None:
    with pytest.raises(error), Run.open(run.recipe, run.folder):
        raise error("broken")
    assert (run.folder / "recipe.yaml").is_file()


@pytest.mark.parametrize("what", ["history", "checkpoint"])
def test_a_run_with_something_in_it_is_kept(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError), Run.open(recipe()) as run:
        if what == "history":
            run.log({"step": 1})
        else:
            run.save_checkpoint({"step": 1})
        raise ValueError
    assert run.folder.is_dir()
    assert f"the run so far is in {run.folder}" in capsys.readouterr().err


def test_a_run_that_ends_well_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Run.open(recipe()) as run:
        pass
    assert run.folder.is_dir()
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------- files


def test_files_are_whole_or_as_they_were(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.write_text("a.txt", "old")
    break_disk(monkeypatch)
    for name in ("a.txt", "b.txt"):
        with pytest.raises(ZooError, match=rf"{name}: cannot be written \(No space left on device\): free the disk"):
            run.write_text(name, "new" * 1000)
    monkeypatch.undo()
    assert (run.folder / "a.txt").read_text() == "old"
    assert not list(run.folder.glob(".*")) and not (run.folder / "b.txt").exists()


def test_a_folder_that_is_gone_or_in_the_way(run: Run) -> None:
    (run.folder / "figures").write_text("a file")
    with pytest.raises(ZooError, match=r"figures/a.png: cannot be written"):
        run.write_bytes("figures/a.png", b"x")
    (run.folder / "history.jsonl").mkdir()
    with pytest.raises(ZooError, match=r"history.jsonl: cannot be written"):
        run.log({"step": 1})


def test_a_disk_that_fills_while_writing(run: Run) -> None:
    """A real limit of the system on the size of files, in a process of its own."""
    script = f"""
import resource, sys
from zoo.errors import ZooError
from zoo.run import Run
import torch
run = Run.read({str(run.folder)!r})
run.save_checkpoint({{"step": 1, "w": torch.ones(10)}})
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    run.save_checkpoint({{"step": 2, "w": torch.ones(10_000)}})
except ZooError as error:
    print(error)
print(run.checkpoint()["step"])
"""
    found = warm.run("-c", script)
    assert "2.safetensors: cannot be written (File too large)" in found.stdout
    assert found.stdout.endswith("\n1\n")
    assert sorted(path.name for path in (run.folder / "checkpoints").iterdir()) == ["1.json", "1.safetensors", "manifest.json"]


def test_training_on_a_full_disk_ends_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.engines.fit import Fit

    save = Fit._save

    def full(self: Fit) -> None:
        if self.step_number > 5:
            break_disk(monkeypatch)
        save(self)

    monkeypatch.setattr(Fit, "_save", full)
    with pytest.raises(ZooError, match=r"checkpoints/10.safetensors: cannot be written"), Run.open(recipe()) as run:
        fit(run)
    assert run.newest_checkpoint() == 5, "what was saved before is whole"


def test_json_has_no_nan(run: Run) -> None:
    value = {"a": math.nan, "b": [math.inf, -math.inf, 1.5], "c": {"d": (math.nan, "x")}}
    run.write_json("a.json", value)
    assert "NaN" not in (run.folder / "a.json").read_text() and "Infinity" not in (run.folder / "a.json").read_text()
    assert run.read_json("a.json") == {"a": None, "b": [None, None, 1.5], "c": {"d": [None, "x"]}}
    assert run.read_json("none.json") is None
    (run.folder / "a.json").write_text('{"a": ')
    with pytest.raises(ZooError, match=r"a.json: not readable as JSON"):
        run.read_json("a.json")


def test_history_survives_a_row_that_was_cut_off(run: Run) -> None:
    for step in (5, 10, 15):
        run.log({"epoch": step // 5, "step": step, "val/f1": math.nan if step == 10 else 0.1})
    with (run.folder / "history.jsonl").open("a") as file:
        file.write('{"epoch": 4, "st')
    assert [row["step"] for row in run.history()] == [5, 10, 15]
    run.cut_history(10)
    run.log({"epoch": 3, "step": 15})
    assert [row["step"] for row in run.history()] == [5, 10, 15]
    assert run.history()[1]["val/f1"] is None


def test_csv(run: Run) -> None:
    run.write_rows("a.csv", ("name", "value"), [('comma, quote" and\nline', 0.5), ("é", None)])
    assert (run.folder / "a.csv").read_bytes() == 'name,value\n"comma, quote"" and\nline",0.5\né,\n'.encode()


def test_names_that_are_no_utf8_can_be_written(run: Run) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    run.write_rows("a.csv", ("path",), [(name,)])
    assert b"caf\xe9.jpg" in (run.folder / "a.csv").read_bytes()


# ---------------------------------------------------------------- tensors


def test_weights_digest_is_stable(run: Run) -> None:
    torch.manual_seed(0)
    state = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).state_dict()
    digest = weights_sha256(state)
    assert digest == weights_sha256({name: state[name].clone() for name in reversed(list(state))}), "whatever the order"
    layouts = {name: value.to(memory_format=torch.channels_last) if value.ndim == 4 else value for name, value in state.items()}
    assert digest == weights_sha256(layouts), "whatever the memory layout"
    fixed = {"b": torch.tensor([1.0, 2.0]), "a": torch.tensor(3), "c": torch.zeros(0, 2, dtype=torch.float16)}
    written = (
        b"a torch.int64 ()\n" + struct.pack("<q", 3) + b"b torch.float32 (2,)\n" + struct.pack("<2f", 1, 2) + b"c torch.float16 (0, 2)\n"
    )
    assert weights_sha256(fixed) == hashlib.sha256(written).hexdigest(), "the format is fixed: digests of older runs stay valid"


def test_weights_digest_sees_every_change() -> None:
    state = {"a": torch.zeros(2, 3), "b": torch.ones(2)}
    others = [
        {"a": torch.zeros(3, 2), "b": torch.ones(2)},
        {"a": torch.zeros(2, 3, dtype=torch.int32), "b": torch.ones(2)},
        {"a": torch.zeros(2, 3), "c": torch.ones(2)},
        {"a": torch.zeros(2, 3)},
        {"a": torch.zeros(2, 3), "b": torch.tensor([1.0, 1.0 + 2**-23])},
        {"a": -torch.zeros(2, 3), "b": torch.ones(2)},
        {"b": torch.zeros(2, 3), "a": torch.ones(2)},
    ]
    digests = {weights_sha256(each) for each in [state, *others]}
    assert len(digests) == len(others) + 1


def test_weights_are_written_with_their_digest(run: Run) -> None:
    from safetensors.torch import load_file

    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    digest = run.save_weights(net)
    assert weights_sha256(load_file(run.folder / "weights.safetensors")) == digest


# ---------------------------------------------------------------- TensorBoard


def test_tensorboard_by_its_key() -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Run.open(recipe("train.tensorboard=true")) as run:
        fit(run)
    events = EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    rows = run.history()
    assert [event.step for event in events.Scalars("val/accuracy")] == [5, 10, 15]
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx([row["train/loss"] for row in rows])
    with Run.open(recipe()) as plain:
        fit(plain)
    assert not (plain.folder / "tensorboard").exists()


def test_no_row_is_read_as_something_else(run: Run) -> None:
    run.log({"step": 1, "note": "line\u2028separator"})
    assert json.loads((run.folder / "history.jsonl").read_text())["note"] == "line\u2028separator"
    assert len(run.history()) == 1
