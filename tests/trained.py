"""A run of `image_folder` over drawn pictures and a tiny network, trained once a session; tests work on copies of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from zoo.paths import data
from zoo.train import train

CHANGES = [
    "data.size=32",
    "data.workers=0",
    "backbone.name=test_resnet",
    "backbone.pretrained=false",
    "train.device=cpu",
    "train.lr=0.01",
]
STEPS = "train.max_steps=12"


@cache
def _trained(home: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_HOME", str(home))
        return train("image_folder", [*CHANGES, STEPS]).folder


@pytest.fixture
def run(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in this test's own $ZOO_HOME, to be read or damaged."""
    return copy_run(_trained(tmp_path_factory.getbasetemp() / "trained"), home, "20250101-000000")


def copy_run(folder: Path, home: Path, name: str) -> Path:
    to = home / "runs" / "image_folder" / name
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("checkpoints", "figures", "report.html"))
    return to


@pytest.fixture
def pictures() -> Path:
    """The drawn pictures the run was trained on, a folder a class."""
    return data() / ".synthetic" / "image_folder-1-0"


def rewrite(file: Path, change: Callable[[Any], Any]) -> None:
    """Change a JSON file through its plain data."""
    file.write_text(json.dumps(change(json.loads(file.read_text(encoding="utf-8")))), encoding="utf-8")
