"""Looking at every file before the first epoch, so that what is broken is named in minute one and not in hour three.

Only headers are read, in threads. A JPEG or PNG whose end mark is missing, and any other format, is decoded to be sure. Masks are
decoded: they are small, and only their pixels tell whether they hold the values they should. A file that holds many pictures is read
whole, once.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from zoo.datasets import idx
from zoo.datasets.masks import MaskValues, mismatch, read_mask, told
from zoo.datasets.pictures import open_picture, read_picture, upright_size
from zoo.datasets.source import Record
from zoo.errors import DataError, shown
from zoo.progress import track

_TAIL = 4096
"""The last bytes of a file that are read: cameras append things behind the picture."""


@dataclass
class Preflight:
    """What a look at all files found.

    Attributes:
        files: number of pictures looked at.
        bytes: the size of their files together.
        sizes: (width, height) -> number of pictures.
        marks: path -> "length-checksum" of a file: what tells a changed file from the one that was looked at.
        bad: path of a picture -> what is wrong with it or with its mask.
        masks: number of whole masks.
        odd: path of a mask -> the unexpected values it holds.
        empty: masks of nothing but the first class.
    """

    files: int = 0
    bytes: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    marks: dict[Path, str] = field(default_factory=dict)
    bad: dict[Path, str] = field(default_factory=dict)
    masks: int = 0
    odd: dict[Path, dict[int, int]] = field(default_factory=dict)
    empty: list[Path] = field(default_factory=list)

    def summary(self) -> str:
        """One line: how many files, how large, which sizes."""
        if not self.sizes:
            return f"{self.files} files, none of them a picture that can be read"
        widths, heights = sorted(width for width, _ in self.sizes), sorted(height for _, height in self.sizes)
        span = f"{widths[0]}x{heights[0]} to {widths[-1]}x{heights[-1]}" if len(self.sizes) > 1 else f"{widths[0]}x{heights[0]}"
        masks = " with masks" if self.masks else ""
        return f"{self.files:,} pictures{masks}, {self.bytes / 1e6:,.0f} MB, {span} pixels" + (f", {len(self.bad)} bad" if self.bad else "")


def check(records: Sequence[Record], masks: MaskValues | None = None) -> Preflight:
    """Look at the files of all records; `masks` is what the numbers in their masks mean."""
    found = Preflight()
    unique = {record.path: record for record in records}
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 2)) as pool:
        looks = track(pool.map(partial(_look_at_both, values=masks), unique.values()), "checking files", len(unique), "files")
        for (path, record), (look, seen) in zip(unique.items(), looks, strict=True):
            found.files += 1 if isinstance(look, str) else look.pictures
            if isinstance(look, str) or isinstance(seen, str):
                found.bad[path] = look if isinstance(look, str) else f"mask {shown(record.mask)}: {seen}"
                continue
            found.bytes += look.length
            found.sizes[look.size] += look.pictures
            found.marks[path] = look.mark
            if record.mask is not None and seen is not None:
                _note_mask(found, record.mask, seen)
    return found


def _note_mask(found: Preflight, path: Path, seen: _Seen) -> None:
    found.masks += 1
    found.marks[path] = seen.mark
    if seen.odd:
        found.odd[path] = seen.odd
    if seen.empty:
        found.empty.append(path)


class _Seen(NamedTuple):
    """What a look at a mask found: its mark, its unexpected values, and whether it holds nothing but the first class."""

    mark: str
    odd: dict[int, int]
    empty: bool


def _look_at_both(record: Record, values: MaskValues | None) -> tuple[_Look | str, _Seen | str | None]:
    look = _look(record.path) if record.place is None else _look_at_many(record.path)
    if isinstance(look, str) or record.mask is None or values is None:
        return look, None
    return look, _look_at_mask(record.mask, look.size, values)


def _look_at_mask(path: Path, size: tuple[int, int], values: MaskValues) -> _Seen | str:
    """What a mask holds; or what is wrong. Its mark is of the classes read, so that it tells any change of them."""
    try:
        mask, odd = read_mask(path, values)
    except DataError as error:
        return str(error).removeprefix(f"{shown(path)}: ")
    if problem := mismatch(mask.size, size):
        return problem
    pixels = mask.histogram()
    return _Seen(_mark(len(mask.tobytes()), mask.tobytes()), odd, not any(pixels[1 : values.classes]))


class _Look(NamedTuple):
    """What a look at a file found: (width, height) once upright, its bytes, its mark, and how many pictures it holds."""

    size: tuple[int, int]
    length: int
    mark: str
    pictures: int = 1


def _look_at_many(path: Path) -> _Look | str:
    """A file of many pictures, or what is wrong with it. Its mark is of the pixels, so that it is the same packed and unpacked."""
    try:
        pictures = idx.read(path)
        count, height, width = pictures.shape
        return _Look((width, height), path.stat().st_size, _mark(pictures.nbytes, pictures.data), count)
    except DataError as error:
        return str(error).removeprefix(f"{shown(path)}: ")


def _mark(length: int, content: bytes | memoryview) -> str:
    return f"{length}-{zlib.crc32(content):08x}"


def _look(path: Path) -> _Look | str:
    """A picture's file, marked by its length and its last bytes; or what is wrong with it."""
    try:
        with open_picture(path) as picture:
            size, kind = upright_size(picture), picture.format
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
    return _Look(size, length, _mark(length, tail))


def _ends_well(kind: str | None, tail: bytes) -> bool:
    """Whether the mark is there that ends a whole JPEG or PNG; False for other formats, which have none."""
    if kind in ("JPEG", "MPO"):  # a thumbnail has an end as well: what counts is one behind the last start of pixels
        return tail.rfind(b"\xff\xd9") > tail.rfind(b"\xff\xda")
    return kind == "PNG" and b"IEND" in tail[-64:]


def skipped_note(bad: dict[Path, str], root: Path) -> str:
    """One line about the files left out."""
    return f"{len(bad)} bad file{'s' if len(bad) > 1 else ''} skipped (data.bad_files: skip): {_listed(bad, root)}"


def mask_notes(found: Preflight, values: MaskValues, root: Path, labels: Sequence[str]) -> list[str]:
    """A line about unexpected values, which are told and treated as the source's `unexpected` says, and one about empty masks."""
    notes = []
    if found.odd:
        done = f"from 128 on they count as {labels[1]}" if values.unexpected == "half" else "they are left out of losses and metrics"
        names = _listed({path: told(odd, values) for path, odd in found.odd.items()}, root)
        notes.append(f"{len(found.odd)} of {found.masks} masks with unexpected values, {done} (data.unexpected): {names}")
    if found.empty:
        names = _listed(dict.fromkeys(found.empty, ""), root)
        notes.append(f"{len(found.empty)} of {found.masks} masks hold nothing but {labels[0]}: {names}")
    return notes


def _listed(files: dict[Path, str], root: Path, most: int = 5) -> str:
    """The first files by their place in `root`, with what is to be said of each."""
    names = []
    for path, why in list(files.items())[:most]:
        name = shown(path.relative_to(root) if path.is_relative_to(root) else path)
        names.append(f"{name} ({why})" if why else name)
    return ", ".join(names + ([f"and {len(files) - most} more"] if len(files) > most else []))


def bad_files_error(bad: dict[Path, str], most: int = 20) -> DataError:
    """The error that names the bad files."""
    lines = [f"  {shown(path)}: {problem}" for path, problem in list(bad.items())[:most]]
    if len(bad) > most:
        lines.append(f"  ... and {len(bad) - most} more")
    return DataError(
        f"{len(bad)} file{'s' if len(bad) > 1 else ''} cannot be used:\n" + "\n".join(lines) + "\n"
        "Mend or remove them, or set data.bad_files=skip to leave them out (they are counted and reported)."
    )
