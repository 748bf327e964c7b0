"""A dozen trainings cut at random moments go on to the same end (`cuts.py` cuts as many as one likes)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import warm

SCRIPT = Path(__file__).with_name("cuts.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="trainings are forks of one process")
def test_twelve_random_cuts() -> None:
    found = warm.run(SCRIPT, "--cuts", "12")
    assert found.returncode == 0, found.stdout + found.stderr
    rows = [line for line in found.stdout.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 12
    assert all(row.endswith("| equal |") for row in rows)
    for word in ("SIGKILL", "SIGTERM", "lightning (", "mmengine (", "loop (", "(0)", "(1)", "(2)"):
        assert any(word in row for row in rows), word
