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
import time
from collections.abc import Sequence
from types import FrameType

from zoo.errors import RecipeError
from zoo.progress import say
from zoo.ranks import ranks
from zoo.sections import Train

GRACE = 20.0
"""Seconds in which the others may end by themselves after one has failed, before they are killed."""


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
    command = [sys.executable, "-m", "zoo.train", *words]
    # In sessions of their own: a Ctrl-C of the terminal reaches this process alone, which passes it on once.
    children = [
        subprocess.Popen(command, env=env | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, start_new_session=True)
        for rank in range(processes)
    ]

    def pass_on(number: int, frame: FrameType | None) -> None:
        for child in children:
            child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    signal.signal(signal.SIGHUP, lambda number, frame: pass_on(signal.SIGTERM, frame))
    return _watch(children)


def _watch(children: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait for all; when one fails the others are ended."""
    while all(child.poll() in (None, 0) for child in children):
        if all(child.poll() == 0 for child in children):
            return 0
        time.sleep(0.1)
    rank, code = next((rank, child.returncode) for rank, child in enumerate(children) if child.returncode not in (None, 0))
    if code < 0:
        say(f"rank {rank} of {len(children)} was ended by {signal.Signals(-code).name}; the others are ended too")
    deadline = time.monotonic() + (math.inf if code in ORDERLY else GRACE)
    while any(child.poll() is None for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    for child in children:
        if child.poll() is None:
            child.kill()
            child.wait()
    # What tells most: those that only lost their company end with 1, those killed here by a signal.
    return next((child.returncode for child in children if child.returncode > 1), 1)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
