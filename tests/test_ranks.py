"""Who a process is among those that train together, by the variables that torchrun, SLURM or nobody sets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from zoo import ranks as module
from zoo.errors import RecipeError
from zoo.progress import Progress, say
from zoo.ranks import RankLostError, Ranks, first_host, first_only, joined, meeting_point, ranks
from zoo.run import Run

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SLURM = {
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "2",
}


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, *SLURM):
        monkeypatch.delenv(name, raising=False)


def be(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, RANK="1", WORLD_SIZE="2", LOCAL_RANK="1", LOCAL_WORLD_SIZE="2")


def test_a_process_alone_is_the_first_of_one() -> None:
    assert ranks() == Ranks(0, 1, 0, 1)
    assert ranks().first
    with joined():
        assert module.told("text") == "text"
        assert module.most(3) == 3


def test_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, RANK="5", WORLD_SIZE="8", LOCAL_RANK="1", LOCAL_WORLD_SIZE="4", MASTER_ADDR="a", MASTER_PORT="7")
    assert ranks() == Ranks(5, 8, 1, 4)
    assert not ranks().first
    assert "MASTER_ADDR" not in meeting_point({"MASTER_ADDR": "a", "MASTER_PORT": "7"}), "torchrun's stand"


def test_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, **SLURM)
    assert ranks() == Ranks(5, 8, 1, 4)
    found = meeting_point(SLURM)
    assert {name: found[name] for name in NAMES[:5]} == {
        **{"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"},
        "MASTER_ADDR": "gpu03",
    }
    assert 1024 < int(found["MASTER_PORT"]) < 65536
    assert found["MASTER_PORT"] != meeting_point(SLURM | {"SLURM_STEP_ID": "3"})["MASTER_PORT"], "two steps of a job do not meet"


def test_the_shell_of_a_slurm_script_is_no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has SLURM_NTASKS and a SLURM_PROCID too, and is one process."""
    be(monkeypatch, SLURM_NTASKS="8", SLURM_PROCID="0", SLURM_LOCALID="0", SLURM_STEP_NUM_TASKS="1")
    assert ranks() == Ranks()


@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": "2", "WORLD_SIZE": "2"},
        {"RANK": "x", "WORLD_SIZE": "2"},
        {"RANK": "-1", "WORLD_SIZE": "2"},
        {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "3", "LOCAL_WORLD_SIZE": "2"},
        {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "1"},
    ],
)
def test_contradicting_variables_are_named(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    be(monkeypatch, **variables)
    with pytest.raises(RecipeError, match=r"variables of torchrun or SLURM .*: start with torchrun or srun, or unset them"):
        ranks()


@pytest.mark.parametrize(
    ("hosts", "first"),
    [
        ("node7", "node7"),
        ("a,b", "a"),
        ("gpu[03-05,09]", "gpu03"),
        ("gpu[7]-ib", "gpu7-ib"),
        ("n[1,4],m2", "n1"),
        ("x-1-[08-11]", "x-1-08"),
    ],
)
def test_the_first_host_of_a_slurm_list(hosts: str, first: str) -> None:
    assert first_host(hosts) == first


def test_shares_are_disjoint_whole_and_of_one_length() -> None:
    for world in (1, 2, 3, 4):
        shares = [Ranks(rank, world, rank, world).share(list(range(12))) for rank in range(world)]
        assert [item for share in shares for item in share] == list(range(12))
        assert {len(share) for share in shares} == {12 // world}
    assert [list(Ranks(rank, 3, rank, 3).share(range(8))) for rank in range(3)] == [[0, 1], [2, 3], [4, 5]]


def test_only_the_first_speaks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    second_of_two(monkeypatch)
    say("hello")
    progress = Progress("counting", 10)
    progress.begun -= 60
    progress.advance()
    assert capsys.readouterr().err == ""


def test_only_the_first_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done: list[int] = []
    write = first_only(done.append)
    write(0)
    folder = tmp_path / "run"
    folder.mkdir()
    run = Run(folder, None)
    second_of_two(monkeypatch)
    write(1)
    assert done == [0]
    run.write_text("notes.txt", "")
    run.write_json("notes.json", {})
    run.log({"step": 1})
    run.cut_history(0)
    run.save_checkpoint({"step": 1})
    assert list(folder.iterdir()) == []


def test_the_others_are_dismissed(monkeypatch: pytest.MonkeyPatch) -> None:
    module.dismiss()
    second_of_two(monkeypatch)
    with pytest.raises(SystemExit) as left:
        module.dismiss()
    assert left.value.code == 0


@pytest.mark.parametrize(
    "said", ["[pair.cc:561] Connection closed by peer [127.0.0.1]:4", "Broken pipe", "Read error: Connection reset by peer"]
)
def test_a_lost_rank_is_said_in_a_sentence(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch.distributed as dist

    second_of_two(monkeypatch)
    monkeypatch.setattr(dist, "init_process_group", lambda: None)
    with (
        pytest.raises(RankLostError, match=r"rank 1 of 2 cannot reach the others .*: one of them ended; its own message says why"),
        joined("cpu"),
    ):
        raise RuntimeError(said)
    with pytest.raises(RuntimeError, match="shapes"), joined("cpu"):
        raise RuntimeError("shapes do not match")


def test_alone_no_torch_is_imported() -> None:
    import subprocess

    code = "import sys; from zoo.ranks import *; told('x'); most(1); dismiss()\nwith joined(): pass\nprint('torch' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code.replace("import *", "import told, most, dismiss, joined")], capture_output=True, text=True
    )
    assert found.stdout.strip() == "False", found.stderr
