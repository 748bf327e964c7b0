"""A signal that reaches every process of a training, as `timeout` and schedulers send it, stops it as one to the training alone does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trained import CHANGES


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGUSR1, 75, marks=pytest.mark.slow)])
def test_a_signal_to_the_whole_group_saves_and_stops(number: int, code: int, home: Path) -> None:
    words = [sys.executable, "-m", "zoo.train", "image_folder", *CHANGES, "data.workers=2", "train.epochs=500", "train.engine=loop"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 1/500  train" in line:
            break
    time.sleep(0.2)  # amid a step, or while waiting for a batch
    os.killpg(process.pid, number)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, said
    assert "--resume" in said and "Traceback" not in said
    assert list((home / "runs" / "image_folder").glob("*/checkpoints/manifest.json"))


def test_the_training_process_ends_its_workers() -> None:
    """What it sends itself is obeyed, so that nothing outlives it."""
    code = """
import multiprocessing, time
from zoo.datasets.loaders import _leave_signals
def work(ready):
    _leave_signals(0); ready.set(); time.sleep(60)
context = multiprocessing.get_context("fork")
ready = context.Event()
process = context.Process(target=work, args=(ready,), daemon=True)
process.start(); ready.wait(); begun = time.monotonic()
process.terminate(); process.join(20)
print(process.exitcode, time.monotonic() - begun < 15)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.split() == ["0", "True"], done.stderr
