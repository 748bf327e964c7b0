"""Files that grow while the work goes on: under another name until they are whole."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from zoo.errors import ZooError, shown
from zoo.progress import say


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a name to write under, which becomes `path` when the block has ended well and is gone otherwise.

    What is there and no file (a pipe, `/dev/stdout`) is written to directly.

    Raises:
        ZooError: it cannot be written; what was there before is there still.
    """
    direct = path.exists() and not path.is_file()
    partial = path if direct else path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        if not direct:
            partial.unlink(missing_ok=True)  # of a run that was cut; were it a link, it is not followed
        yield partial
        if not direct and partial.is_file():
            _flush(partial)
            partial.replace(path)
    except BrokenPipeError:
        raise  # the reader of standard output went away: no matter of this file
    except OSError as error:
        reason = error.strerror or error
        raise ZooError(f"{shown(path)}: cannot be written ({reason}): make room there, or choose another place") from error
    finally:
        if not direct:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


@contextmanager
def growing(path: Path) -> Iterator[IO[str]]:
    """A text file, whole or not at all; each line goes out at once. Names that are no UTF-8 keep their bytes."""
    with whole(path) as partial, partial.open("w", encoding="utf-8", errors="surrogateescape", newline="", buffering=1) as file:
        yield file


@contextmanager
def growing_rows(path: Path, header: Sequence[str]) -> Iterator[Callable[[Sequence[object]], None]]:
    """What adds a row to a CSV file, whole or not at all; says at the end how many there are."""
    count = 0
    with growing(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)

        def add(row: Sequence[object]) -> None:
            nonlocal count
            table.writerow(row)
            count += 1

        yield add
    say(f"wrote {count} rows to {path}")


@contextmanager
def growing_lines(path: Path) -> Iterator[Callable[[Mapping[str, object]], None]]:
    """What adds a JSON object as a line to a file, whole or not at all; says at the end how many there are."""
    count = 0
    with growing(path) as file:

        def add(line: Mapping[str, object]) -> None:
            nonlocal count
            file.write(json.dumps(line) + "\n")
            count += 1

        yield add
    say(f"wrote {count} lines to {path}")


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
