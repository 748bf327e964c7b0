"""Thumbnails of a data set's pictures, read in threads and kept between runs, for finding near duplicates.

What took long is kept in `$XDG_CACHE_HOME/zoo/thumbnails/` (default `~/.cache`), one file for each data folder: a digest of what
follows, then for each picture a digest of its path, place in the file, crop, length and time of change, and the thumbnail's bytes. A
file that is damaged, or larger than its pictures can make it, is not used; of folders that were not read for long the files go.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from zoo.datasets.duplicates import SIDE, thumbnail
from zoo.datasets.pictures import open_picture, upright
from zoo.datasets.source import Record, Source
from zoo.errors import DataError
from zoo.progress import track

VERSION = 1
"""Of how thumbnails are made; raise it when they become other ones."""
KEY = 16
WORTH_KEEPING = 1.0
"""Seconds of reading; what took less is read again as fast as it is looked up."""
FILES = 32
"""Data folders whose thumbnails are kept."""

Kept = Mapping[bytes, bytes]


class Thumbnails:
    """What is known of the thumbnails of some records before any picture is read.

    Args:
        source: of the records.
        records: whose thumbnails are wanted.

    Attributes:
        new: how many are not kept from an earlier run.
    """

    def __init__(self, source: Source, records: Sequence[Record]) -> None:
        self.source, self.records = source, records
        self.row = source.channels * SIDE * SIDE
        self.keys = [_key(record, source.channels) for record in records]
        self.file = _folder() / f"{hashlib.blake2b(os.fsencode(source.root.absolute()), digest_size=KEY).hexdigest()}-{source.channels}"
        self.kept = _read(self.file, self.row, set(self.keys))
        self.new = sum(key not in self.kept for key in self.keys)

    def read(self) -> Tensor:
        """(N, C, 32, 32) uint8; black for a picture that cannot be read."""
        begun = time.monotonic()
        wanted = {key: record for key, record in zip(self.keys, self.records, strict=True) if key not in self.kept}
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            made = track(pool.map(partial(_made, self.source), wanted.values()), "looking for near duplicates", len(wanted), "pictures")
            found = dict(self.kept) | dict(zip(wanted, made, strict=True))
        if time.monotonic() - begun > WORTH_KEEPING:
            with contextlib.suppress(OSError):  # without them the next run takes as long
                _write(self.file, found)
        rows = bytearray().join(found[key] for key in self.keys)
        return torch.frombuffer(rows, dtype=torch.uint8).view(-1, self.source.channels, SIDE, SIDE)


def _made(source: Source, record: Record) -> bytes:
    """The bytes of a thumbnail, decoded no larger than needed where the format can do that."""
    try:
        if record.place is not None or record.crop is not None:
            picture = source.read(record)[0]
        else:
            with open_picture(record.path) as opened:
                opened.draft("L" if source.channels == 1 else "RGB", (2 * SIDE, 2 * SIDE))
                picture = upright(opened, source.channels)
        return thumbnail(picture).numpy().tobytes()
    except Exception:  # Pillow's decoders raise many kinds; broken files are named before, or where they are used
        return bytes(source.channels * SIDE * SIDE)


def _key(record: Record, channels: int) -> bytes:
    try:
        facts = record.path.stat()
    except OSError as error:
        raise DataError(f"{record.path}: cannot be read ({error.strerror})") from error
    told: tuple[object, ...] = (VERSION, channels, os.fsencode(record.path.absolute()), record.place, facts.st_size, facts.st_mtime_ns)
    told += (tuple(record.crop),) if record.crop is not None else ()
    return hashlib.blake2b(repr(told).encode(), digest_size=KEY).digest()


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo" / "thumbnails"


def _read(file: Path, row: int, wanted: set[bytes]) -> Kept:
    """The thumbnails of a file that are wanted; none if it is not there, not whole or not one of ours."""
    try:
        if not file.is_file() or file.stat().st_size > KEY + 2 * (KEY + row) * len(wanted):
            return {}
        content = file.read_bytes()
        os.utime(file)  # the files least recently used go first
    except OSError:
        return {}
    body = memoryview(content)[KEY:]
    if content[:KEY] != hashlib.blake2b(body, digest_size=KEY).digest() or len(body) % (KEY + row):
        return {}
    rows = (body[start : start + KEY + row] for start in range(0, len(body), KEY + row))
    return {key: bytes(each[KEY:]) for each in rows if (key := bytes(each[:KEY])) in wanted}


def _write(file: Path, found: Kept) -> None:
    """Whole or not at all; then the files of the folders longest unused go."""
    body = b"".join(key + row for key, row in found.items())
    file.parent.mkdir(parents=True, exist_ok=True)
    number, partial_file = tempfile.mkstemp(prefix=".", suffix=".partial", dir=file.parent)
    try:
        with open(number, "wb") as opened:
            opened.write(hashlib.blake2b(body, digest_size=KEY).digest() + body)
        os.replace(partial_file, file)
    finally:
        Path(partial_file).unlink(missing_ok=True)
    for old in sorted(file.parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-FILES]:
        old.unlink(missing_ok=True)
