"""Processes that begin with the libraries imported are processes like any other."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import warm

PROBE = """
import os, sys
def is_open(number):
    try:
        return bool(os.fstat(number))
    except OSError:
        return False
print(os.getcwd(), os.environ.get("WHO"), "torch" in sys.modules, "zoo" in sys.modules, *map(is_open, map(int, sys.argv[1:])))
"""
PARENT = """
import os, signal, subprocess, sys
import zoo
signal.signal(signal.SIGTERM, lambda number, frame: None)
kept, other = os.pipe()
words = [sys.executable, "-m", "probe", str(kept), str(other)]
print(subprocess.run(words, env=dict(os.environ, WHO="child"), pass_fds=[kept], capture_output=True, text=True, check=True).stdout, end="")
sleeper = subprocess.Popen([sys.executable, "-m", "sleeper"])
sleeper.terminate()
print(sleeper.wait())
print(subprocess.run([sys.executable, "-m", "failing"]).returncode)
"""


def test_it_has_words_folder_variables_and_exit_code(tmp_path: Path) -> None:
    done = warm.run("-c", PROBE + "sys.exit(7)", cwd=tmp_path, env={"WHO": "me"})
    assert (done.returncode, done.stdout, done.stderr) == (7, f"{tmp_path} me True False\n", "")
    assert warm.run("-c", "1 / 0").returncode == 1
    assert "ZeroDivisionError" in warm.run("-c", "1 / 0").stderr
    assert os.environ.get("WHO") is None


def test_it_can_be_told_to_stop() -> None:
    process = warm.Process("-c", "import time; print('begun', flush=True); time.sleep(60)")
    assert process.poll() is None
    while not process.out.read_text():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.communicate()[0] == "begun\n"
    assert process.returncode == -signal.SIGTERM


def test_a_process_that_it_starts_is_warm_and_keeps_nothing_else(tmp_path: Path) -> None:
    for name, code in (("probe", PROBE), ("sleeper", "import time; time.sleep(60)"), ("failing", "raise SystemExit(3)")):
        (tmp_path / f"{name}.py").write_text(code)
    done = warm.run("-c", PARENT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path} child True False True False\n-15\n3\n"
