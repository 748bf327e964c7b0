"""docs/adding_a_homework.md is followed to the letter, in a copy of the project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import warm

ROOT = Path(__file__).resolve().parent.parent


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, content) of the fenced blocks, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.timeout(300)
def test_the_page_works_as_it_stands(tmp_path: Path, data_home: Path) -> None:
    for folder in ("zoo", "recipes"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "ZOO_HOME": str(tmp_path), "ZOO_DATA": str(data_home)}
    text = (ROOT / "docs" / "adding_a_homework.md").read_text(encoding="utf-8")
    commands = 0
    for language, content in blocks(text):
        if language == "bash":
            for line in content.strip().splitlines():
                program, *words = shlex.split(line)
                assert program == "zoo"
                done = warm.run("-m", "zoo", *words, cwd=tmp_path, env=environment)
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
                commands += 1
        else:
            (path,) = re.findall(r"Save this as `([^`]+)`", text.partition(content)[0])[-1:]
            (tmp_path / path).write_text(content, encoding="utf-8")
    assert commands == 6
    assert "blobs" in done.stdout  # the last command lists the runs
