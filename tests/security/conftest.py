"""Around every test of this folder: a place that no file of a stranger may touch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside everything, which holds one file."""
    folder = tmp_path / "outside"
    folder.mkdir(exist_ok=True)
    (folder / "precious.txt").write_text("keep me")
    return folder


@pytest.fixture
def sentinel(outside: Path) -> Path:
    """The file that hostile samples try to make."""
    return outside / "it-ran"


@pytest.fixture(autouse=True)
def untouched(outside: Path) -> Iterator[None]:
    """After the test that folder is as it was."""
    yield
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"precious.txt": "keep me"}
