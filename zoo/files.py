"""Files written whole or not at all, and plain data read from them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any

from zoo.errors import ZooError


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: under another name, flushed to the disk, then renamed, and the folder flushed.

    Raises:
        ZooError: it cannot be written; what was there before is there still.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(exist_ok=True)
        partial.unlink(missing_ok=True)  # of a run that was cut; were it a link, it is not followed
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def _flush_folder(folder: Path) -> None:
    """The new name reaches the disk too; some file systems refuse to flush a folder, and need it not."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def unwritable(path: Path, error: OSError) -> ZooError:
    """What to say when a file of a run cannot be written."""
    remedy = {
        errno.ENOSPC: "free the disk",
        errno.EDQUOT: "free some of your quota",
        errno.ENOENT: "its folder was removed or renamed under the run",
        errno.EROFS: "its disk is mounted read-only",
    }.get(error.errno or 0, "mend the folder")
    return ZooError(f"{path}: cannot be written ({error.strerror or error}): {remedy}; what was written before is whole")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a file with one JSON object a line; [] if it is not there. Other lines, such as a last one cut off, are left out."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        with contextlib.suppress(ValueError, RecursionError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict)]


def read_json(path: Path) -> Any:
    """Plain data of a JSON file; None if it is not there.

    Raises:
        ZooError: the file is broken.
    """
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise ZooError(f"{path}: not readable as JSON ({error})") from error
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror or error})") from error
