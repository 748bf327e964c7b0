"""Several processes by one command: their errors, their signals, and a process that dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import warm

from zoo import launch
from zoo.errors import RecipeError
from zoo.run import Run
from zoo.sections import Train

CHANGES = (
    *("data.synthetic=always", "data.size=32", "data.augment=[]", "backbone.name=squeezenet", "backbone.pretrained=false"),
    *("train.batch_size=16", "train.device=cpu", "train.lr=1e-4", "data.workers=0", "train.devices=2"),
)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


# ---------------------------------------------------------------- who starts what


def test_one_process_needs_no_launch() -> None:
    assert not launch.needed(Train())
    assert launch.needed(Train(devices=2))


def test_other_machines_cannot_be_reached() -> None:
    with pytest.raises(RecipeError, match=r"train.nodes=2: start the command on each machine, by torchrun or srun \(docs/many_gpus.md"):
        launch.needed(Train(devices=4, nodes=2))


def test_the_number_that_was_started_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert not launch.needed(Train())
    assert not launch.needed(Train(devices=2, nodes=2))
    with pytest.raises(
        RecipeError, match=r"train.devices=2 on train.nodes=1: 4 processes were started; start 2, or leave the two keys out"
    ):
        launch.needed(Train(devices=2))


# ---------------------------------------------------------------- small processes in place of trainings


def started(code: str, monkeypatch: pytest.MonkeyPatch, processes: int = 2) -> int:
    """`launch.run` with `python -c code` in place of `python -m zoo.train`; RANK is `r` in it."""
    real = subprocess.Popen
    script = f"import os, sys, time, signal; r = int(os.environ['RANK'])\n{code}"
    monkeypatch.setattr(subprocess, "Popen", lambda words, **options: real([sys.executable, "-c", script], **options))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        return launch.run([], processes)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_all_that_end_well_end_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "seen"
    folder.mkdir()
    code = f"open('{folder}/' + os.environ['LOCAL_RANK'] + os.environ['WORLD_SIZE'] + os.environ['LOCAL_WORLD_SIZE'], 'w')"
    assert started(code, monkeypatch, 3) == 0
    assert sorted(file.name for file in folder.iterdir()) == ["033", "133", "233"]


@pytest.mark.parametrize("culprit", [0, 1])
def test_the_exit_code_is_that_of_the_culprit(culprit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not that of the one that only lost its company."""
    assert started(f"sys.exit(3 if r == {culprit} else 1)", monkeypatch) == 3


def test_a_killed_process_ends_the_others(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(launch, "GRACE", 0.5)
    begun = time.monotonic()
    assert started("os.kill(os.getpid(), 9) if r else time.sleep(60)", monkeypatch) == 1
    assert time.monotonic() - begun < 20
    assert "rank 1 of 2 was ended by SIGKILL; the others are ended too" in capsys.readouterr().err


def test_one_that_still_saves_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(launch, "GRACE", 0.2)
    code = f"if r: sys.exit(143)\ntime.sleep(0.7); open('{tmp_path}/saved', 'w'); sys.exit(143)"
    assert started(code, monkeypatch) == 143
    assert (tmp_path / "saved").exists()


@pytest.mark.parametrize(("sent", "received"), [(signal.SIGINT, 2), (signal.SIGTERM, 15), (signal.SIGHUP, 15)])
def test_signals_are_passed_on_once(sent: int, received: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    note = f"lambda n, f: open('{tmp_path}/' + str(r), 'a').write(str(n) + ' ')"
    code = f"""
[signal.signal(n, {note}) for n in (1, 2, 15)]
open('{tmp_path}/ready' + str(r), 'w')
end = time.monotonic() + 30
while not os.path.exists('{tmp_path}/' + str(r)) and time.monotonic() < end:
    time.sleep(0.02)
time.sleep(0.3)  # in which a second one would come
"""

    def send() -> None:
        while len(list(tmp_path.glob("ready*"))) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), sent)

    threading.Thread(target=send).start()
    assert started(code, monkeypatch) == 0
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == [f"{received} "] * 2


# ---------------------------------------------------------------- real trainings


def command(*words: str) -> warm.Process:
    return warm.Process("-m", "zoo.train", *words)


def endless(engine: str) -> warm.Process:
    return command("image_folder", *CHANGES, "train.epochs=500", f"train.engine={engine}")


IMPATIENT = """
import sys
from zoo import launch
from zoo.__main__ import run_command
launch.GRACE = 2.0
sys.exit(run_command("train", sys.argv[1:]))
"""


def ranks_of(parent: warm.Process) -> list[int]:
    found = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    return [int(child) for child in found]


def alive(process: int) -> bool:
    """Whether it runs; one that has ended may wait for its new parent to take notice."""
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(home: Path, name: str, process: warm.Process) -> Path:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for found in home.glob(f"runs/*/*/{name}"):
            return found.parents[name.count("/")]
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"no {name} in {home}: {process.communicate()[1]}")


def test_a_command_trains_in_two_processes_and_reports_once() -> None:
    """From nothing, as it is typed: those below begin with the libraries imported."""
    words = [sys.executable, "-m", "zoo.train", "image_folder", *CHANGES, "train.epochs=2", "train.engine=mmengine"]
    found = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)
    out, err = found.stdout, found.stderr
    assert found.returncode == 0, err
    (folder,) = out.split()
    run = Run.read(folder)
    assert [row["epoch"] for row in run.history()] == [1, 2]
    assert run.finished
    assert (run.folder / "report.html").is_file()
    assert len(list(run.folder.parent.iterdir())) == 1
    assert err.count("epoch 2/2  ") == 1
    assert not re.search("Traceback|reducer.cpp", err)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
def test_a_killed_rank_ends_all_within_a_minute_and_the_run_goes_on(home: Path) -> None:
    process = endless("lightning")
    folder = wait_for(home, "checkpoints/manifest.json", process)
    first, second = ranks_of(process)
    os.kill(first, signal.SIGSTOP)  # it would end too, perhaps before it is found that the other has
    os.kill(second, signal.SIGKILL)
    while process.poll() is None and "SIGKILL" not in process.err.read_text():
        time.sleep(0.1)
    os.kill(first, signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "rank 1 of 2 was ended by SIGKILL" in err
    assert "rank 0 of 2 cannot reach the others" in err
    assert "Traceback" not in err

    before = Run.read(folder).newest_checkpoint()
    assert before
    again = command("--resume", str(folder))
    deadline = time.monotonic() + 120
    while (Run.read(folder).newest_checkpoint() or 0) <= before and time.monotonic() < deadline:
        time.sleep(0.1)
    again.send_signal(signal.SIGTERM)
    _, err = again.communicate(timeout=60)
    assert again.returncode == 143
    assert f"resuming {folder} after {before} batches" in err
    assert err.count("interrupted and saved") == 1, "one of them speaks"
    assert (Run.read(folder).newest_checkpoint() or 0) > before


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
def test_a_signal_to_one_rank_stops_both_and_what_hangs_is_killed_at_the_second(home: Path) -> None:
    process = endless("mmengine")
    folder = wait_for(home, "checkpoints/manifest.json", process)
    os.kill(ranks_of(process)[1], signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.count("interrupted and saved") == 1

    again = warm.Process("-c", IMPATIENT, "--resume", str(folder))
    before = Run.read(folder).newest_checkpoint()
    while Run.read(folder).newest_checkpoint() == before and again.poll() is None:
        time.sleep(0.1)
    children = ranks_of(again)
    os.kill(children[1], signal.SIGSTOP)
    time.sleep(1)
    for _ in range(2):
        again.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    _, err = again.communicate(timeout=30)
    assert "rank 1 of 2 does not answer: it is killed" in err
    assert not any(alive(child) for child in children)
    assert Run.read(folder).checkpoint(), "what was saved is whole"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
def test_when_the_starting_process_is_killed_the_others_save_and_end(home: Path) -> None:
    process = endless("mmengine")
    folder = wait_for(home, "checkpoints/manifest.json", process)
    children = ranks_of(process)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while any(alive(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(alive(child) for child in children)
    err = process.err.read_text()
    assert f"go on with `python -m zoo.train --resume {folder}`" in err


def test_a_port_that_is_taken_is_named() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        place = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "RANK": "0",
            "WORLD_SIZE": "2",
            "LOCAL_RANK": "0",
            "LOCAL_WORLD_SIZE": "2",
        }
        found = warm.run("-m", "zoo.train", "image_folder", *CHANGES, env=os.environ | place)
    assert found.returncode == 1
    assert f"cannot meet at 127.0.0.1:{port} (" in found.stderr
    assert "set MASTER_ADDR to the first machine and MASTER_PORT to a free port" in found.stderr
    assert "Traceback" not in found.stderr
