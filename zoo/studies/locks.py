"""Who works on what: locks on files, which end with the process that holds them, however it ends.

On a network disk they hold between machines. Where there are none (Windows, some network disks) everything counts as free, and one
process at a time may work on a study.
"""

from __future__ import annotations

import errno
import importlib.util
from pathlib import Path
from types import TracebackType
from typing import IO

from zoo.files import unwritable


class Lock:
    """A file held by this process until `release`; as a context until its end."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    def release(self) -> None:
        """Let others have it; the file stays, because another may be waiting for just this one."""
        self.file.close()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def hold(path: Path, wait: bool = False) -> Lock | None:
    """Hold a file; None if another process does and this one does not wish to wait.

    The lock is the process's: closing the same file elsewhere in it ends the lock, so a path is held once in a process.

    Raises:
        ZooError: the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        if importlib.util.find_spec("fcntl"):
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            file.close()
            return None
        if error.errno != errno.ENOLCK:  # a network disk without locks
            file.close()
            raise unwritable(path, error) from error
    return Lock(file)


def alone(folder: Path) -> Lock:
    """Within, no other process works on a study's own files and queue; not to be nested."""
    lock = hold(folder / ".lock", wait=True)
    assert lock is not None  # it waits
    return lock


def held(path: Path) -> bool:
    """Whether another process holds the file."""
    if not path.is_file():
        return False
    lock = hold(path)
    if lock is None:
        return True
    lock.release()
    return False
