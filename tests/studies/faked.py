"""Studies whose cells are not trained: a small script in place of `zoo.train` writes what a training would leave behind.

Also a command, `python faked.py BODY STUDY ...`, so that a whole study can be killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

STUDY = """
question: Which is best?
recipe: image_folder
axes:
  network:
    a: {backbone.name: resnet18}
    b: {backbone.name: resnet34}
  train.lr: [1e-2, 1e-3]
changes: {data.synthetic: always}
"""
CELLS = ["a-lr0.01-0", "a-lr0.001-0", "b-lr0.01-0", "b-lr0.001-0"]

HEAD = """
import fcntl, json, os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
name, study = folder.name, folder.parent
with (study / "calls").open("a") as calls:
    calls.write(f"{name} {os.getpid()}\\n")
lock = (folder / ".lock").open("a")
fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
value, split = 0.5, "one"
"""
TAIL = """
(folder / "weights.safetensors").write_bytes(b"")
(folder / "split.json").write_text(json.dumps({"fingerprint": split, "sizes": {"val": 40}}))
(folder / "history.jsonl").write_text(json.dumps({"epoch": 1, "val/accuracy": value, "train/loss": 1.0}))
(folder / "metrics.json").write_text(json.dumps({"val/accuracy": value, "test/accuracy": value - 0.01, "seconds": 2.0, "parameters": 7}))
"""


def script(body: str = "") -> str:
    """A training that does `body`, which may set `value` and `split`, and then is finished."""
    return HEAD + textwrap.dedent(body) + TAIL


class Trainings:
    """In place of `subprocess.Popen` in `zoo.studies.work`."""

    def __init__(self, body: str = "") -> None:
        self.script = script(body)

    def __call__(self, words: list[str], **options: Any) -> subprocess.Popen[bytes]:
        assert words[1:4] == ["-m", "zoo.train", "--resume"]
        return subprocess.Popen([sys.executable, "-S", "-c", self.script, words[4]], **options)


def write(folder: Path, text: str = STUDY, name: str = "mine") -> Path:
    """A study's file."""
    file = folder / f"{name}.yaml"
    file.write_text(text)
    return file


def calls(home: Path, name: str = "mine") -> list[str]:
    """The cells whose training was begun, in order."""
    file = home / "runs" / name / "calls"
    return [line.split()[0] for line in file.read_text().splitlines()] if file.is_file() else []


def started(body: str, *words: str) -> subprocess.Popen[str]:
    """`python -m zoo.study` in a process of its own, with such trainings and without a report."""
    command = [sys.executable, str(Path(__file__)), body, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def main() -> int:
    """The command."""
    from types import SimpleNamespace

    from zoo import study
    from zoo.__main__ import run_command
    from zoo.studies import work

    fake = {"Popen": Trainings(sys.argv[1]), "DEVNULL": subprocess.DEVNULL}
    setattr(work, "subprocess", SimpleNamespace(**fake))  # noqa: B010  # a module's name, which types do not know as assignable
    setattr(study, "report", lambda path, changes: Path("report.html"))  # noqa: B010  # a function of a module, likewise
    return run_command("study", sys.argv[2:])


def said(folder: Path, file: str) -> Any:
    """A JSON file of a cell."""
    return json.loads((folder / file).read_text())


if __name__ == "__main__":
    sys.exit(main())
