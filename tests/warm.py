"""New processes that begin with the libraries imported, which otherwise takes each of them seconds.

They are forks of Python's fork server, which has imported the libraries and nothing of zoo, and has computed nothing. Each has words,
folder, variables, output, signals and exit code of its own, and imports zoo anew; Python processes that it starts are forks of it, and
import zoo anew as well. What cannot be tested with them is how a process begins: what it imports, and what libraries read from the
environment when they are loaded.
"""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from functools import cache, partial
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

LIBRARIES = (
    *("torch", "torchvision.transforms.v2", "torchmetrics.functional", "timm", "kornia", "safetensors.torch", "torch.distributed"),
    *("pytorch_lightning", "mmengine.runner", "mmengine.optim", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("sklearn.linear_model", "sklearn.neighbors", "pydantic", "yaml", "PIL.Image", "optuna"),
    "pytest",  # the program whose processes they are, which multiprocessing imports in each
)


@cache
def server() -> BaseContext:
    """The fork server, which is started with the first process. It has one thread, so that all of its forks have."""
    if sys.platform != "linux":  # elsewhere libraries may not survive a fork
        return multiprocessing.get_context("spawn")
    from multiprocessing.forkserver import ensure_running, set_forkserver_preload

    set_forkserver_preload(list(LIBRARIES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("TORCH_CPP_LOG_LEVEL", "ERROR")
        ensure_running()
    return multiprocessing.get_context("forkserver")


class Process:
    """`python WORDS`, such as `-m zoo list`, in this process's folder and environment unless told otherwise; like `subprocess.Popen`.

    Attributes:
        pid: of the process.
        out, err: files with what it has said so far.
    """

    def __init__(self, *words: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self._kept = tempfile.TemporaryDirectory(prefix="warm-")
        self.out, self.err = Path(self._kept.name, "out"), Path(self._kept.name, "err")
        for file in (self.out, self.err):
            file.touch()
        place = (str(cwd or Path.cwd()), dict(os.environ if env is None else env), str(self.out), str(self.err))
        self._process: Any = getattr(server(), "Process")(target=_first, args=([str(word) for word in words], *place))  # noqa: B009  # types know no Process of a context
        self._process.start()
        self.pid: int = self._process.pid
        atexit.register(self.kill)  # a test that fails leaves nothing behind

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        code: int | None = self._process.exitcode
        return code

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 500) -> tuple[str, str]:
        """Wait for its end; what it said."""
        self._process.join(timeout)
        assert self.returncode is not None, f"it still runs: {self.err.read_text()}"
        return self.out.read_text(), self.err.read_text()


def run(*words: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run([sys.executable, *words])`."""
    process = Process(*words, cwd=cwd, env=env)
    out, err = process.communicate()
    return subprocess.CompletedProcess(list(words), process.returncode or 0, out, err)


# ---------------------------------------------------------------- in the forks


def _first(words: Sequence[str], folder: str, environment: Mapping[str, str], out: str, err: str) -> None:
    """A fork of the server, which multiprocessing ends as a process of its own."""
    multiprocessing.set_start_method(None, force=True)  # its own processes are started as anywhere
    for name, number in ((out, 1), (err, 2)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_APPEND), number)
    os.chdir(folder)
    setattr(subprocess, "Popen", Fork)  # noqa: B010  # which types know as a class of its own
    _begin(words, environment)


class Fork(subprocess.Popen[Any]):
    """In a fork of the server: another Python is a fork again. Its streams, session and folder are made as for any process."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str] | None = None, pass_fds: Sequence[int] = (), **options: Any) -> None:
        if words[:2] == [sys.executable, "-m"]:
            options["preexec_fn"] = partial(_again, words[1:], dict(os.environ if env is None else env), pass_fds)
        super().__init__(words, env=env, pass_fds=pass_fds, **options)


def _again(words: Sequence[str], environment: Mapping[str, str], pass_fds: Sequence[int]) -> None:
    """A fork of a fork, which keeps the libraries, and not what else a new program would not have: handlers, open files, zoo.

    Does not return: its end is that of the process.
    """
    code: object = 1
    try:
        for signalled in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            if callable(signal.getsignal(signalled)):
                signal.signal(signalled, signal.default_int_handler if signalled == signal.SIGINT else signal.SIG_DFL)
        first = 3
        for number in (*sorted(pass_fds), os.sysconf("SC_OPEN_MAX")):  # the parent waits for this, and may send signals then
            os.closerange(first, number)
            first = number + 1
        for name in [name for name in sys.modules if name.partition(".")[0] == "zoo"]:
            del sys.modules[name]
        _begin(words, environment)
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _begin(words: Sequence[str], environment: Mapping[str, str]) -> None:
    """Do what `python WORDS` does."""
    gc.freeze()  # what is imported is not looked through for garbage, again and again
    os.environ.clear()
    os.environ.update(environment)
    kind = words[0] if words[0] in ("-m", "-c") else ""
    sys.path[:0] = ["" if kind else str(Path(words[0]).parent), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [kind, *words[2:]] if kind else list(words)
    if kind == "-m":
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        exec(words[1], {"__name__": "__main__"})
    else:
        runpy.run_path(words[0], run_name="__main__")
