"""Cells in processes of their own: once each, one after another or several, through failures, signals, kills and changes of the file."""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from faked import CELLS, STUDY, Trainings, calls, said, started, write

from zoo.errors import RecipeError, ZooError
from zoo.finding import find_run
from zoo.run import Run
from zoo.studies import outcomes, work
from zoo.study import study

Install = Callable[..., None]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(work, "AGAIN", 0.2)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Install:
    def install(body: str = "") -> None:
        monkeypatch.setattr(work, "subprocess", SimpleNamespace(Popen=Trainings(body), DEVNULL=subprocess.DEVNULL))

    install()
    return install


def rows(home: Path, name: str = "mine") -> list[dict[str, str]]:
    with (home / "runs" / name / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)


# ---------------------------------------------------------------- once each


@pytest.mark.parametrize("jobs", [1, 3])
def test_each_cell_is_trained_once_as_an_ordinary_run(jobs: int, tmp_path: Path, home: Path, trainings: Install) -> None:
    trainings('value = {"a": 0.6, "b": 0.7}[name[0]]; print("hello from", name)')
    file = write(tmp_path)
    assert study(file, ["train.epochs=2"], jobs=jobs).result() == 0
    assert sorted(calls(home)) == sorted(CELLS)
    folder = home / "runs" / "mine"
    for name in CELLS:
        run = Run.read(folder / name)
        assert (run.recipe.name, run.recipe.train.epochs, run.recipe.seed) == ("mine", 2, 0)
        assert run.recipe.backbone is not None
        assert run.recipe.backbone.name == {"a": "resnet18", "b": "resnet34"}[name[0]]
        assert run.recipe.train.lr == float(name.split("-")[1].removeprefix("lr"))
        assert f"hello from {name}" in (folder / "logs" / f"{name}.log").read_text()
    assert [(row["cell"], row["state"], row["val/accuracy"]) for row in rows(home)] == [
        (name, "finished", {"a": "0.6", "b": "0.7"}[name[0]]) for name in CELLS
    ]
    assert study(file, ["train.epochs=2"]).result() == 0
    assert len(calls(home)) == 4  # nothing was trained again
    assert (folder / "study.yaml").read_text() == STUDY


def test_cells_share_the_threads(tmp_path: Path, home: Path, trainings: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    trainings('(folder / "env").write_text(os.environ.get("OMP_NUM_THREADS", "") + " " + os.environ.get("CUDA_VISIBLE_DEVICES", ""))')
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)))
    study(write(tmp_path), jobs=2)
    seen = [(home / "runs" / "mine" / name / "env").read_text() for name in CELLS]
    assert {one.split()[0] for one in seen} == {"3"}
    assert {one.split()[1] for one in seen} == {"4", "7"}


@pytest.mark.parametrize("database", [False, True])
def test_two_at_once_train_no_cell_twice(database: bool, tmp_path: Path, home: Path) -> None:
    """As two machines would that share the folder."""
    file = write(tmp_path, STUDY + "seeds: [0, 1]\n")
    storage = ["--storage", f"sqlite:///{tmp_path}/study.db"] if database else []
    both = [started("time.sleep(0.15)", str(file), *storage) for _ in range(2)]
    ended = [process.communicate(timeout=90) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    assert len(calls(home)) == 8
    assert len(set(calls(home))) == 8
    trained = [said_there.count(" in ") for _, said_there in ended]
    assert min(trained) > 0  # both took part


def test_a_database_hands_out_the_cells_too(tmp_path: Path, home: Path, trainings: Install) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    assert study(write(tmp_path), storage=url, jobs=2).result() == 0
    assert sorted(calls(home)) == sorted(CELLS)
    assert (tmp_path / "study.db").is_file()
    assert not (home / "runs" / "mine" / "journal.log").exists()
    assert study(write(tmp_path), storage=url).result() == 0
    assert len(calls(home)) == 4


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense://user:secret@host/x", r"--storage nonsense://...: cannot be opened .*expected an URL such as sqlite:///study.db"),
        ("sqlite:////nowhere/at/all.db", r"--storage sqlite://...: cannot be opened"),
    ],
)
def test_a_database_that_cannot_be_opened(url: str, message: str, tmp_path: Path, trainings: Install) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        study(write(tmp_path), storage=url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("damage", ["torn", "gone"])
def test_a_lost_journal_loses_nothing(damage: str, tmp_path: Path, home: Path, trainings: Install) -> None:
    file, journal = write(tmp_path), home / "runs" / "mine" / "journal.log"
    trainings('if name.startswith("b"): os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)')
    assert study(file).result() == 75  # somebody stopped two cells
    if damage == "torn":
        journal.write_bytes(journal.read_bytes() + b'{"op_code":4,"worker')
    else:
        journal.unlink()
    trainings()
    assert study(file).result() == 0
    assert [calls(home).count(name) for name in CELLS] == [1, 1, 2, 2]


def test_a_damaged_journal_is_named(tmp_path: Path, home: Path, trainings: Install) -> None:
    file, journal = write(tmp_path), home / "runs" / "mine" / "journal.log"
    trainings()
    study(file)
    for line in (b"{torn\n", b"\xff\x00\n", b"[]\n"):
        journal.write_bytes(line + journal.read_bytes())
        with pytest.raises(ZooError, match=r"journal\.log: damaged .*: remove it"):
            study(file)
    journal.unlink()
    assert study(file).result() == 0
    assert len(calls(home)) == 4


# ---------------------------------------------------------------- failures


def test_a_failing_cell_is_reported_and_the_others_go_on(
    tmp_path: Path, home: Path, trainings: Install, capfd: pytest.CaptureFixture[str]
) -> None:
    trainings("""
        if name == "a-lr0.01-0": print("zoo train: the loss is\\nno number", file=sys.stderr); sys.exit(4)
        if name == "a-lr0.001-0": os.kill(os.getpid(), signal.SIGKILL)
        if name == "b-lr0.01-0": raise KeyError("inside")
    """)
    file, folder = write(tmp_path), home / "runs" / "mine"
    assert study(file).result() == 1
    text = capfd.readouterr().err
    assert f"a-lr0.01-0: FAILED: the loss is no number ({folder}/logs/a-lr0.01-0.log)" in text
    assert "a-lr0.001-0: FAILED: ended by SIGKILL (the machine may have run out of memory)" in text
    assert "b-lr0.01-0: FAILED: KeyError: 'inside'" in text
    assert "[4/4] b-lr0.001-0: val/accuracy 0.5 in " in text
    assert [row["error"] for row in rows(home)][:1] == ["the loss is no number"]
    trainings()
    assert study(file).result() == 1  # what failed would fail again
    assert "4 done (3 failed: --retry tries them again)" in capfd.readouterr().err
    assert len(calls(home)) == 4
    assert study(file, retry=True).result() == 0
    assert len(calls(home)) == 7
    assert {row["state"] for row in rows(home)} == {"finished"}


def test_a_failed_cell_whose_recipe_was_mended_begins_anew(tmp_path: Path, home: Path, trainings: Install) -> None:
    trainings('(folder / "rubbish").touch()\nif name == "b-lr0.01-0": sys.exit("too large")')
    study(write(tmp_path))
    trainings()
    assert study(write(tmp_path, STUDY.replace("resnet34}", "resnet34, train.clip: 1.0}").replace("1e-2, 1e-3", "1e-2"))).result() == 0
    folder = home / "runs" / "mine" / "b-lr0.01-0"
    assert not (folder / "rubbish").exists()
    assert Run.read(folder).recipe.train.clip == 1.0


def test_a_cell_without_the_metric_failed(tmp_path: Path, home: Path, trainings: Install) -> None:
    trainings('value = float("nan")')  # JSON's NaN, which counts as no number
    assert study(write(tmp_path)).result() == 1
    assert rows(home)[0]["error"] == "val/accuracy was not measured"


def test_different_splits_are_said_loudly(tmp_path: Path, trainings: Install, capfd: pytest.CaptureFixture[str]) -> None:
    trainings('split = "other" if name == "b-lr0.01-0" else split')
    study(write(tmp_path))
    assert "WARNING: the cells were measured on DIFFERENT SPLITS" in (text := capfd.readouterr().err)
    assert "other: b-lr0.01-0" in text


# ---------------------------------------------------------------- cuts


def test_a_killed_study_goes_on(tmp_path: Path, home: Path) -> None:
    """SIGKILL for the study and its cells; finished cells stay, the others are taken up."""
    file, body = str(write(tmp_path)), 'if name.startswith("b"): time.sleep(60)'
    process = started(body, file, "--jobs", "2")
    wait_for(lambda: len(calls(home)) == 4, process)
    process.kill()
    process.communicate()
    for line in (home / "runs" / "mine" / "calls").read_text().splitlines():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[1]), signal.SIGKILL)
    again = started("", file, "--jobs", "2")
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert out.splitlines()[-1] == "report.html"
    assert "4 cells, 2 done" in err
    assert sorted(calls(home)[4:]) == sorted(CELLS[2:])


def test_a_cell_that_outlives_its_study_is_waited_for(tmp_path: Path, home: Path) -> None:
    file = str(write(tmp_path))
    process = started("time.sleep(3 if name == 'a-lr0.01-0' else 0)", file)
    wait_for(lambda: len(calls(home)) == 1, process)
    wait_for((home / "runs" / "mine" / CELLS[0] / ".lock").exists)
    process.kill()  # the cell's process stays, as it would while it saves
    process.communicate()
    again = started("", file)
    err = again.communicate(timeout=60)[1]
    assert again.returncode == 0, err
    assert sorted(calls(home)) == sorted(CELLS)  # it was not trained a second time
    assert said(home / "runs" / "mine" / CELLS[0], "metrics.json")["val/accuracy"] == 0.5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 75)])
def test_signals_stop_the_cells_which_save(number: signal.Signals, code: int, tmp_path: Path, home: Path) -> None:
    body = f"""
        def save(number, frame):
            (folder / "saved").write_text(str(number))
            sys.exit({code})
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1): signal.signal(each, save)
        (folder / "ready").touch()
        time.sleep(60)
    """
    file, folder = str(write(tmp_path)), home / "runs" / "mine"
    process = started(body, file, "--jobs", "2")
    wait_for(lambda: len(list(folder.glob("*/ready"))) == 2, process)
    process.send_signal(number)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == code, err
    assert f"stopped and saved: go on with `python -m zoo.study {file} --jobs 2`" in err
    assert [path.read_text() for path in folder.glob("*/saved")] == [str(int(number))] * 2
    assert len(calls(home)) == 2  # no other was begun


# ---------------------------------------------------------------- changes of the file


def test_added_cells_are_trained_and_others_left_alone(
    tmp_path: Path, home: Path, trainings: Install, capfd: pytest.CaptureFixture[str]
) -> None:
    study(write(tmp_path))
    study(write(tmp_path, STUDY.replace("[1e-2, 1e-3]", "[1e-2, 1e-4]") + "seeds: [0, 1]\n"))
    assert sorted(calls(home)[4:]) == ["a-lr0.0001-0", "a-lr0.0001-1", "a-lr0.01-1", "b-lr0.0001-0", "b-lr0.0001-1", "b-lr0.01-1"]
    text = capfd.readouterr().err
    assert "its file has changed since it was begun: finished cells stay, new ones are trained" in text
    assert "left out: a-lr0.001-0, b-lr0.001-0" in text
    assert len(rows(home)) == 8
    study(write(tmp_path))  # back again: nothing is lost
    assert len(calls(home)) == 10
    assert study(write(tmp_path)).result() == 0


def test_cells_of_another_recipe_are_refused_by_name(tmp_path: Path, home: Path, trainings: Install) -> None:
    study(write(tmp_path))
    with pytest.raises(RecipeError) as error:
        study(write(tmp_path, STUDY.replace("resnet34}", "resnet34, train.clip: 1.0}")))
    lines = str(error.value).splitlines()
    assert lines[1:3] == ["b-lr0.01-0: train.clip=1.0 (was None)", "b-lr0.001-0: train.clip=1.0 (was None)"]
    assert "give the study's file another name, or remove those folders from" in lines[-1]
    assert len(calls(home)) == 4
    assert study(write(tmp_path), ["train.device=cpu", "data.workers=0"]).result() == 0  # what makes no other results may change


def test_a_cell_that_was_removed_is_trained_again(tmp_path: Path, home: Path, trainings: Install) -> None:
    import shutil

    study(write(tmp_path))
    shutil.rmtree(home / "runs" / "mine" / "a-lr0.01-0")
    study(write(tmp_path))
    assert calls(home)[4:] == ["a-lr0.01-0"]


# ---------------------------------------------------------------- searches

RANGES = """
recipe: image_folder
axes:
  train.lr: {low: 1e-4, high: 1e-1, log: true}
  network:
    a: {backbone.name: resnet18}
    b: {backbone.name: resnet34}
changes: {data.synthetic: always}
settings: 3
seeds: [0, 1]
"""


@pytest.mark.parametrize("search", ["random", "tpe"])
def test_drawn_settings_are_trained_with_every_seed(search: str, tmp_path: Path, home: Path, trainings: Install) -> None:
    file = write(tmp_path, f"{RANGES}search: {search}\n")
    trainings('if len((study / "calls").read_text().splitlines()) > 3: os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)')
    assert study(file).result() == 75
    trainings()
    assert study(file).result() == 0
    table = rows(home)
    assert len(table) == 6
    assert all(row["state"] == "finished" for row in table)
    settings = {(row["train.lr"], row["network"]) for row in table}
    assert len(settings) == 3
    assert all(1e-4 <= float(lr) <= 1e-1 for lr, _ in settings)
    assert sorted(row["seed"] for row in table) == ["0"] * 3 + ["1"] * 3
    before = len(calls(home))
    study(file)
    assert len(calls(home)) == before


def test_tpe_learns_from_what_was_found(tmp_path: Path, home: Path, trainings: Install) -> None:
    """It minimises here: later settings lie nearer to the best value than the first, random ones."""
    text = "recipe: image_folder\naxes: {train.lr: {low: 0.0001, high: 1.0}}\nsearch: tpe\nsettings: 24\n"
    text += "changes: {data.synthetic: always, monitor: {metric: val/accuracy, mode: min}}\n"
    trainings('value = abs(float(name.split("-")[0][2:]) - 0.3)')
    assert study(write(tmp_path, text)).result() == 0
    order = [abs(float(name.split("-")[0][2:]) - 0.3) for name in calls(home)]
    assert len(order) == 24
    assert statistics.median(order[10:]) < statistics.median(order[:10]) / 2


def test_axes_that_changed_places_are_another_form(tmp_path: Path, home: Path, trainings: Install) -> None:
    """Not the same cells twice, under two names."""
    first, second = "  train.lr: {low: 0.001, high: 0.1}\n", "  network: {a: {backbone.name: resnet18}, b: {backbone.name: resnet34}}\n"
    text = "recipe: image_folder\naxes:\n{}{}changes: {{data.synthetic: always}}\nsearch: tpe\nsettings: 2\n"
    study(write(tmp_path, text.format(first, second)))
    study(write(tmp_path, text.format(second, first)))
    assert len(rows(home)) == 2
    assert all(row["cell"].startswith(row["network"]) for row in rows(home))


def test_a_drawn_setting_that_cannot_be_is_left_out(
    tmp_path: Path, home: Path, trainings: Install, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both ends of the range can be divided among two processes, and every other number between them."""
    text = "recipe: image_folder\naxes: {train.batch_size: {low: 2, high: 40}}\nsearch: tpe\nsettings: 8\n"
    text += "changes: {data.synthetic: always, train.devices: 2}\n"
    assert study(write(tmp_path, text)).result() == 0
    assert all(int(name.removeprefix("batch_size").partition("-")[0]) % 2 == 0 for name in calls(home))
    assert 0 < len(calls(home)) < 8
    assert "is left out: " in capfd.readouterr().err


# ---------------------------------------------------------------- from outside


def test_cells_are_found_by_name(tmp_path: Path, home: Path, trainings: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo import list as listed

    trainings('value = 0.9 if name == "b-lr0.01-0" else 0.5')
    study(write(tmp_path))
    for folder in (home / "runs" / "mine").glob("*/metrics.json"):
        (folder.parent / "spec.json").write_text('{"channels": 3, "size": [8, 8], "labels": ["a", "b"]}')
    assert find_run("mine:a-lr0.001-0").folder.name == "a-lr0.001-0"
    assert find_run("mine").folder.name == "b-lr0.01-0"
    assert [line.split()[0] for line in listed._lines("runs")] == sorted(f"mine:{name}" for name in CELLS)


def test_damaged_cells_are_no_outcomes(tmp_path: Path, home: Path, trainings: Install) -> None:
    study(write(tmp_path))
    folder = home / "runs" / "mine" / CELLS[0]
    (folder / "metrics.json").write_text("[[")
    found = outcomes.read(folder)
    assert found is not None
    assert found.state == "begun"
    (folder / "cell.json").write_text('{"setting": {"network": ["x"]}, "seed": 0}')
    assert outcomes.read(folder) is None
