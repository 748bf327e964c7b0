"""IDX files: arrays of bytes behind a short header, plain or gzipped, and the four of them that make a data set like MNIST.

Y. LeCun, C. Cortes, C. J. C. Burges: The MNIST database of handwritten digits. A file is two zero bytes, the kind of its numbers
(8: unsigned bytes), how many dimensions there are, the length of each (32 bits, the highest first), and the numbers.
"""

from __future__ import annotations

import gzip
import io
import math
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.datasets.source import Record, Source, layout_error
from zoo.errors import DataError, shown

Array = NDArray[np.uint8]

BYTES = 8
"""The kind of number that is read; signed, longer and real numbers are not."""

MAX_BYTES = 2**28
"""What a header may promise: five times the pictures of MNIST. More is refused before memory is taken for it (a gzip bomb)."""

PARTS = {"train": "train", "test": "t10k"}
"""Part of the data set -> how the names of its two files begin."""


def write(path: Path, array: Array) -> None:
    """Write an array (N,) or (N, H, W) as an IDX file, gzipped if its name ends in `.gz`; equal arrays give equal files."""
    content = struct.pack(f">HBB{array.ndim}I", 0, BYTES, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def shape(path: Path) -> tuple[int, ...]:
    """The lengths of an array's dimensions, from the file's header alone.

    Raises:
        DataError: not an IDX file, or one that is not read; names it.
    """
    with _opened(path) as file:
        return _header(file)


def read(path: Path) -> Array:
    """The array of a file, not to be written to. A process reads a file once, so that what goes to another process is its name only.

    Raises:
        DataError: as `shape`, or the file holds fewer or more bytes than its header promises; names it.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read ({error.strerror})") from error
    return _read(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=8)
def _read(path: Path, size: int, changed: int) -> Array:
    with _opened(path) as file:
        lengths = _header(file)
        promised = math.prod(lengths)
        content = bytearray()
        while block := file.read(min(2**20, promised + 1 - len(content))):  # to the end, where gzip's own checksum is looked at
            content += block
        if len(content) != promised:
            found = f"only {len(content):,}" if len(content) < promised else "more"
            raise ValueError(f"its header promises {promised:,} bytes, and {found} follow")
    array = np.frombuffer(content, np.uint8).reshape(lengths)
    array.flags.writeable = False
    return array


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedIOBase]:
    """A file's content, unpacked as it is read, whatever its name ends in; what goes wrong meanwhile names the file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("not a file")  # to open a pipe may wait for ever
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            yield gzip.GzipFile(fileobj=file) if packed else file
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{shown(path)}: cut off or damaged ({(isinstance(error, OSError) and error.strerror) or error})") from error
    except ValueError as error:
        raise DataError(f"{shown(path)}: {error}") from error


def _header(file: io.BufferedIOBase) -> tuple[int, ...]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or not 1 <= start[3] <= 3:
        raise ValueError(f"not an IDX file: it begins with {start.hex(' ') or 'nothing'}, expected 00 00 08 and 01, 02 or 03")
    if start[2] != BYTES:
        raise ValueError(f"an IDX file of numbers of kind {start[2]:#04x}; only unsigned bytes, 0x08, are read")
    lengths = file.read(4 * start[3])
    if len(lengths) < 4 * start[3]:
        raise ValueError("cut off in its header")
    dimensions = struct.unpack(f">{start[3]}I", lengths)
    if math.prod(dimensions) > MAX_BYTES:
        raise ValueError(f"its header promises {math.prod(dimensions):,} bytes, more than the {MAX_BYTES:,} that are read")
    return dimensions


def picture(record: Record) -> Image.Image:
    """The picture of mode "L" at a record's place of its file.

    Raises:
        DataError: as `read`.
    """
    return Image.fromarray(read(record.path)[record.place or 0])


def parts(source: type[Source], root: Path, name: str, classes: int) -> dict[str, list[Record]]:
    """The records of a data set of four files in `<root>/<name>/raw/`, as torchvision lays them out, in `<root>/raw/` or in `root`.

    Args:
        source: whose layout is shown where the files are not there.
        root: of the data set.
        name: of the folder.
        classes: labels are less than this.

    Raises:
        DataError: a file is missing or broken, or labels do not go with their pictures; names the files.
    """
    folders = (root / name / "raw", root / "raw", root)
    folder = next((folder for folder in folders if _file(folder, "train-images-idx3-ubyte").is_file()), folders[0])
    records = {}
    for part, start in PARTS.items():
        images, labels = (_file(folder, f"{start}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
        for file in (images, labels):
            if not file.is_file():
                raise layout_error(source, root, f"no file {file.name.removesuffix('.gz')}, nor {file.name.removesuffix('.gz')}.gz")
        records[part] = [Record(images, f"{part}/{place:05d}", label, place=place) for place, label in _labels(images, labels, classes)]
    return records


def _file(folder: Path, name: str) -> Path:
    """A file, or where it is not there its gzipped one."""
    return folder / name if (folder / name).is_file() else folder / f"{name}.gz"


def _labels(images: Path, labels: Path, classes: int) -> Iterator[tuple[int, int]]:
    """The place of each picture, and its label."""
    pictures, values = shape(images), read(labels)
    if len(pictures) != 3 or not all(pictures):
        raise DataError(f"{shown(images)}: holds an array of {_told(pictures)}, expected count x height x width of pictures")
    if values.shape != pictures[:1]:
        raise DataError(
            f"{shown(labels)}: holds {_told(values.shape)} labels for the {pictures[0]} pictures of {images.name}: fetch both again"
        )
    if values.max() >= classes:
        place = int(values.argmax())
        raise DataError(f"{shown(labels)}: label {values[place]} of picture {place}, expected 0 to {classes - 1}")
    return enumerate(values.tolist())


def _told(lengths: tuple[int, ...]) -> str:
    return "x".join(map(str, lengths))
