"""Looking at every file before the first epoch, so that what is broken is named in minute one and not in hour three.

Only headers are read, in threads. A JPEG or PNG whose end mark is missing, and any other format, is decoded to be sure.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from zoo.datasets.pictures import open_picture, read_picture
from zoo.datasets.source import Record
from zoo.errors import DataError, shown
from zoo.progress import track

_TAIL = 4096
"""The last bytes of a file that are read: cameras append things behind the picture."""


@dataclass
class Preflight:
    """What a look at all files found.

    Attributes:
        files: number of files looked at.
        bytes: their size together.
        sizes: (width, height) -> number of pictures.
        marks: path -> "length-checksum" of a file: what tells a changed file from the one that was looked at.
        bad: path -> what is wrong with it.
    """

    files: int = 0
    bytes: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    marks: dict[Path, str] = field(default_factory=dict)
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
        looks = track(pool.map(_look, unique), "checking files", len(unique), "files")
        for path, look in zip(unique, looks, strict=True):
            found.files += 1
            if isinstance(look, str):
                found.bad[path] = look
                continue
            size, length, tail = look
            found.bytes += length
            found.sizes[size] += 1
            found.marks[path] = f"{length}-{zlib.crc32(tail):08x}"
    return found


def _look(path: Path) -> tuple[tuple[int, int], int, bytes] | str:
    """(width, height), number of bytes and the last of them; or what is wrong."""
    try:
        with open_picture(path) as picture:
            size, kind = picture.size, picture.format
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - _TAIL))
            tail = file.read()
        if not _ends_well(kind, tail):
            read_picture(path)
    except DataError as error:
        return str(error).removeprefix(f"{shown(path)}: ")
    except OSError as error:
        return error.strerror or str(error)
    return size, length, tail


def _ends_well(kind: str | None, tail: bytes) -> bool:
    """Whether the mark is there that ends a whole JPEG or PNG; False for other formats, which have none."""
    if kind in ("JPEG", "MPO"):  # a thumbnail has an end as well: what counts is one behind the last start of pixels
        return tail.rfind(b"\xff\xd9") > tail.rfind(b"\xff\xda")
    return kind == "PNG" and b"IEND" in tail[-64:]


def skipped_note(bad: dict[Path, str], root: Path, most: int = 5) -> str:
    """One line about the files left out."""
    names = [f"{shown(path.relative_to(root) if path.is_relative_to(root) else path)} ({why})" for path, why in list(bad.items())[:most]]
    names += [f"and {len(bad) - most} more"] if len(bad) > most else []
    return f"{len(bad)} bad file{'s' if len(bad) > 1 else ''} skipped (data.bad_files: skip): {', '.join(names)}"


def bad_files_error(bad: dict[Path, str], most: int = 20) -> DataError:
    """The error that names the bad files."""
    lines = [f"  {shown(path)}: {problem}" for path, problem in list(bad.items())[:most]]
    if len(bad) > most:
        lines.append(f"  ... and {len(bad) - most} more")
    return DataError(
        f"{len(bad)} file{'s' if len(bad) > 1 else ''} cannot be used:\n" + "\n".join(lines) + "\n"
        "Mend or remove them, or set data.bad_files=skip to leave them out (they are counted and reported)."
    )
