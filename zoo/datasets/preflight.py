"""Looking at every file before the first epoch, so that what is broken is named in minute one and not in hour three.

Only headers are read, in threads. A JPEG or PNG whose end mark is missing, and any other format, is decoded to be sure.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from zoo.datasets.pictures import open_picture, read_picture
from zoo.datasets.source import Record
from zoo.errors import DataError
from zoo.progress import track

_ENDS = {"JPEG": (b"\xff\xd9", 4096), "PNG": (b"IEND", 64)}
"""Format -> the mark that ends its files, and in how many last bytes to look for it (cameras append things)."""


@dataclass
class Preflight:
    """What a look at all files found.

    Attributes:
        files: number of files looked at.
        bytes: their size together.
        sizes: (width, height) -> number of pictures.
        bad: path -> what is wrong with it.
    """

    files: int = 0
    bytes: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    bad: dict[Path, str] = field(default_factory=dict)

    def summary(self) -> str:
        """One line: how many files, how large, which sizes."""
        if not self.sizes:
            return f"{self.files} files, none of them a picture that can be read"
        widths, heights = sorted(width for width, _ in self.sizes), sorted(height for _, height in self.sizes)
        span = f"{widths[0]}x{heights[0]} to {widths[-1]}x{heights[-1]}" if len(self.sizes) > 1 else f"{widths[0]}x{heights[0]}"
        return f"{self.files:,} pictures, {self.bytes / 1e6:,.0f} MB, {span} pixels" + (f", {len(self.bad)} bad" if self.bad else "")


def check(records: Sequence[Record]) -> Preflight:
    """Look at the files of all records."""
    found = Preflight()
    unique = list(dict.fromkeys(record.path for record in records))
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 2)) as pool:
        for path, (size, length, problem) in zip(unique, track(pool.map(_look, unique), "checking files", len(unique), "files"), strict=True):
            found.files += 1
            found.bytes += length
            if problem:
                found.bad[path] = problem
            else:
                found.sizes[size] += 1
    return found


def _look(path: Path) -> tuple[tuple[int, int], int, str]:
    """(width, height), bytes and what is wrong, if anything."""
    try:
        with open_picture(path) as picture:
            size, kind = picture.size, picture.format or ""
        length = path.stat().st_size
        if not _ends_well(path, kind, length):
            read_picture(path)
    except DataError as error:
        return (0, 0), 0, str(error).removeprefix(f"{path}: ")
    except OSError as error:
        return (0, 0), 0, str(error)
    return size, length, ""


def _ends_well(path: Path, kind: str, length: int) -> bool:
    if kind not in _ENDS:
        return False
    mark, tail = _ENDS[kind]
    with path.open("rb") as file:
        file.seek(max(0, length - tail))
        return mark in file.read()


def bad_files_error(bad: dict[Path, str], most: int = 20) -> DataError:
    """The error that names the bad files."""
    lines = [f"  {path}: {problem}" for path, problem in list(bad.items())[:most]]
    if len(bad) > most:
        lines.append(f"  ... and {len(bad) - most} more")
    return DataError(
        f"{len(bad)} file{'s' if len(bad) > 1 else ''} cannot be used:\n" + "\n".join(lines) + "\n"
        "Mend or remove them, or set data.bad_files=skip to leave them out (they are counted and reported)."
    )
