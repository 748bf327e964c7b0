"""Tests of what a whole process takes: in one that has run thousands of others, memory is given back and taken again all the time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSIDE = "ZOO_TEST_ALONE"


def alone(test: Callable[[], None]) -> Callable[[], None]:
    """Runs a test in a process of its own."""

    @wraps(test)
    def run() -> None:
        if INSIDE in os.environ:
            test()
            return
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{test.__code__.co_filename}::{test.__name__}"]
        done = subprocess.run(words, cwd=ROOT, env=os.environ | {INSIDE: "1"}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout

    return run
