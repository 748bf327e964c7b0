"""Two processes with half of each batch train as one does with all of it; what they measure is exact, and one of them writes."""

from __future__ import annotations

import gzip
import json
import os
import socket
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import warm
from safetensors.torch import load_file

from .ranked import CASES, ENGINES, train

SCRIPT = Path(__file__).with_name("ranked.py")


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes found, in files; all trainings in one start, which takes longest."""
    folder = tmp_path_factory.mktemp("together")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = os.environ | {"ZOO_HOME": str(folder)}
    env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    started = [warm.Process(SCRIPT, folder, env=env | {"RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(2)]
    said = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(said)
    assert "epoch 1/3" in said[0]
    assert "epoch" not in said[1], "one of them speaks"
    return folder


@pytest.mark.parametrize(("case", "engine"), [*product(CASES, ENGINES)])
def test_two_ranks_train_as_one(case: str, engine: str, together: Path) -> None:
    alone = train("loop", case)
    assert alone is not None
    assert len(alone["losses"]) >= 8
    found = json.loads((together / f"{case}-{engine}.json").read_text())
    torch.testing.assert_close(found["losses"], alone["losses"], rtol=0, atol=1e-5)
    weights = load_file(together / f"{case}-{engine}.safetensors")
    torch.testing.assert_close(weights, alone["weights"], rtol=0, atol=1e-5)
    assert len(found["history"]) == len(alone["history"]) == 3
    for ours, theirs in zip(found["history"], alone["history"], strict=True):
        numbers = {key: value for key, value in theirs.items() if "seconds" not in key}
        assert {key: ours[key] for key in numbers} == pytest.approx(numbers, abs=1e-5)
        if "val/accuracy" in theirs:
            assert ours["val/accuracy"] == theirs["val/accuracy"], "of uneven shares, and exact"


def test_what_all_answered_is_written_by_the_first_in_the_order_of_the_part(together: Path) -> None:
    """Of 21 pictures one rank validates 11, every second one, the other 10."""
    alone = train("loop", "classifier")
    assert alone is not None
    for engine in ENGINES:
        found = json.loads((together / f"classifier-{engine}.json").read_text())
        ours, theirs = Path(found["run"]), Path(alone["run"])
        assert (ours / "confusion.jsonl").read_text() == (theirs / "confusion.jsonl").read_text()
        for epoch in (1, 3):
            rows, wished = (answers(folder / "predictions" / f"epoch_000{epoch}.csv.gz") for folder in (ours, theirs))
            assert len(rows) == 22 and [row[:3] for row in rows] == [row[:3] for row in wished]
            assert [float(row[3]) for row in rows[1:]] == pytest.approx([float(row[3]) for row in wished[1:]], abs=1e-4)


def answers(file: Path) -> list[list[str]]:
    return [line.split(",") for line in gzip.decompress(file.read_bytes()).decode().splitlines()]


@pytest.mark.parametrize("engine", ENGINES)
def test_both_stop_after_the_same_step_and_go_on_with_their_own_noise(engine: str, together: Path) -> None:
    for rank in range(2):
        assert checks(together, rank)[f"{engine}: equal after a stop"]


@pytest.mark.parametrize("engine", ENGINES)
def test_each_validates_its_share(engine: str, together: Path) -> None:
    assert [checks(together, rank)[f"{engine}: validated"] for rank in range(2)] == [11, 10]


@pytest.mark.parametrize("engine", ENGINES)
def test_both_find_that_one_has_diverged(engine: str, together: Path) -> None:
    """Named by both, although the loss of rank 0 is a number."""
    said = [checks(together, rank)[f"{engine}: diverged"] for rank in range(2)]
    assert all(text.startswith("train/loss: not a finite number at step 3 (epoch 1, batch 3)") for text in said), said


def test_the_first_is_alone_until_it_is_done(together: Path) -> None:
    assert all(checks(together, rank)["after the first"] for rank in range(2))


def test_numbers_are_those_of_the_weights_that_are_kept(together: Path) -> None:
    """Though the batch statistics of the two differ."""
    measured, best = checks(together, 0)["loss of the kept weights"]
    assert measured == pytest.approx(best, abs=1e-9)


def checks(folder: Path, rank: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"checks-{rank}.json").read_text())
    return found


def test_only_the_first_rank_writes(together: Path) -> None:
    """A folder for each training and not for each process, and files of one writer."""
    runs = [run for run in (together / "runs" / "small").iterdir() if len(list((run / "checkpoints").glob("epoch-*"))) >= 1]
    finished = [run for run in runs if len((run / "history.jsonl").read_text().splitlines()) == 3]
    assert len(finished) == len(CASES) * len(ENGINES) + 2 * len(ENGINES)
    for run in finished:
        rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
        assert [row["epoch"] for row in rows] == [1, 2, 3]
        assert json.loads((run / "environment.json").read_text())["ranks"] == 2
