"""Real pictures and real weights, from $ZOO_REAL_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder; its weights are those that are found."""
    folder = Path(os.environ["ZOO_REAL_DATA"])
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch_home"))
    return folder
