"""Starts the processes of a training on one machine: one a device, each running the same command.

torchrun would do as well (and does, on several machines); from here errors keep their exit codes, and Ctrl-C lets a training save.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

from zoo.errors import RecipeError
from zoo.progress import say
from zoo.ranks import ranks
from zoo.sections import Train

GRACE = 20.0
"""Seconds in which the others may end by themselves after one has failed, before they are killed."""


PIPE = "ZOO_PARENT_PIPE"
"""The variable that names the end of a pipe which the starting process holds open."""
SIGNALLED = {-signal.SIGINT: 130, -signal.SIGTERM: 143}
"""How a process ended by a signal, before it could save, is counted."""
ORDERLY = (75, 130, 143)
"""Exit codes of a training that was asked to stop: rank 0 may still be saving."""


def needed(train: Train) -> bool:
    """Whether this process is to start others, and not itself one of several.

    Raises:
        RecipeError: more processes are running, or asked for, than can be.
    """
    wished, me = train.devices * train.nodes, ranks()
    if me.world > 1:
        if wished not in (1, me.world):
            raise RecipeError(
                f"train.devices={train.devices} on train.nodes={train.nodes}: {me.world} processes were started; start {wished}, or "
                "leave the two keys out: the number that was started holds"
            )
        return False
    if train.nodes > 1:
        raise RecipeError(
            f"train.nodes={train.nodes}: start the command on each machine, by torchrun or srun (docs/many_gpus.md shows both); by itself "
            "it can only start processes on this one"
        )
    return train.devices > 1


def run(words: Sequence[str], processes: int) -> int:
    """Run `zoo train` with these words in several processes; returns the exit code of the first that failed, else 0."""
    env = os.environ | {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1"}
    env |= {"MASTER_PORT": str(_free_port())}
    env.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    started = _Started()
    started.listen()  # before there is a process that a signal could leave behind
    ours, theirs = os.pipe()  # ends when this process does, however it ends
    for rank in range(processes):
        mine = env | {"RANK": str(rank), "LOCAL_RANK": str(rank), PIPE: str(ours)}
        # In sessions of their own: a Ctrl-C of the terminal reaches this process alone, which passes it on once.
        command = [sys.executable, "-m", "zoo.train", *words]
        started.children.append(subprocess.Popen(command, env=mine, start_new_session=True, pass_fds=[ours]))
    try:
        return started.wait()
    finally:
        os.close(ours)
        os.close(theirs)


def follow_parent() -> None:
    """In a process that `run` has started: stop as SIGTERM would when the one that started it is gone."""
    if PIPE not in os.environ:
        return
    end = int(os.environ[PIPE])

    def follow() -> None:
        os.read(end, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()


class _Started:
    """The processes of a training, and the signals that they are sent."""

    def __init__(self) -> None:
        self.children: list[subprocess.Popen[bytes]] = []
        self.asked = 0  # how often they were told to stop
        self.deadline = math.inf

    def listen(self) -> None:
        """Pass signals on; a closed terminal counts as SIGTERM."""
        for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"):
            if hasattr(signal, name):  # Windows lacks two
                signal.signal(getattr(signal, name), self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        told = signal.Signals(number).name
        self.pass_on(signal.SIGTERM if told == "SIGHUP" else number)

    def pass_on(self, number: int) -> None:
        """Send all the signal; at the second time, whoever has not ended soon after is killed: it may be waiting for one that hangs."""
        self.asked += 1
        for child in self.children:
            child.send_signal(number)
        if self.asked > 1:
            self._end_within(GRACE)

    def wait(self) -> int:
        """Wait for all; when one fails the others are ended. Returns the exit code."""
        failed = False
        while None in (polled := [child.poll() for child in self.children]) and time.monotonic() < self.deadline:
            if not failed and any(polled):
                failed = True
                self._one_failed()
            time.sleep(0.1)
        for rank, child in enumerate(self.children):
            if child.poll() is None:
                say(f"rank {rank} of {len(self.children)} does not answer: it is killed")
                child.kill()
                child.wait()
        codes = [SIGNALLED.get(child.returncode, child.returncode) for child in self.children]
        # What tells most: those that only lost their company end with 1, those killed here by a signal.
        return next((code for code in codes if code > 1), 0 if not any(codes) else 1)

    def _one_failed(self) -> None:
        rank, code = next((rank, child.returncode) for rank, child in enumerate(self.children) if child.returncode)
        if code < 0 and not self.asked:
            say(f"rank {rank} of {len(self.children)} was ended by {signal.Signals(-code).name}; the others are ended too")
        if code not in ORDERLY:
            self._end_within(GRACE)

    def _end_within(self, seconds: float) -> None:
        self.deadline = min(self.deadline, time.monotonic() + seconds)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
