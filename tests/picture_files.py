"""Picture files for tests: whole, odd and broken ones."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def lopsided(width: int = 24, height: int = 16) -> Image.Image:
    """A picture that differs from all its turns."""
    grid = np.zeros((height, width, 3), np.uint8)
    grid[: height // 2, : width // 2] = (255, 0, 0)
    grid[: height // 2, width // 2 :] = (0, 255, 0)
    grid[height // 2 :, : width // 2] = (0, 0, 255)
    return Image.fromarray(grid)


def saved(folder: Path, picture: Image.Image, name: str, **options: object) -> Path:
    picture.save(folder / name, **options)
    return folder / name


def png(width: int, height: int, body: bytes = b"\0" * 100) -> bytes:
    """A PNG whose header may claim anything."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def jpeg(size: tuple[int, int] = (200, 150), exif: bytes = b"") -> bytes:
    """A JPEG with detail; `exif` is the content of its EXIF segment."""
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG")
    data = file.getvalue()
    return data[:2] + (b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif if exif else b"") + data[2:]


def broken_files(folder: Path) -> dict[Path, str]:
    """Files that cannot be read, and a word of what is to be said of each."""
    whole = jpeg()
    (folder / "source.png").write_bytes(png(200, 150, os.urandom(150 * 601)))
    contents = {
        "zero.jpg": (b"", "empty"),
        "text.jpg": (b"this is no picture", "not a picture"),
        "half.jpg": (whole[: len(whole) // 2], "truncated"),
        "header.jpg": (whole[:100], "(?i)truncated"),
        "half.png": ((folder / "source.png").read_bytes()[:40_000], "truncated"),
        "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),
        "bomb.png": (png(60_000, 60_000), "decompression bomb"),
        "large.png": (png(12_000, 11_000), "12000x11000 pixels, more than the 128,000,000"),
        "two\nlines.jpg": (b"x", "not a picture"),
        os.fsdecode(b"caf\xe9.jpg"): (b"", "empty"),
        "-rf.jpg": (b"", "empty"),
    }
    (folder / "source.png").unlink()
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.jpg").mkdir()
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    others = {"folder.jpg": "directory", "loop.jpg": "leads nowhere", "gone.jpg": "leads nowhere", "missing.jpg": "No such file"}
    return {folder / name: word for name, word in {**{name: word for name, (_, word) in contents.items()}, **others}.items()}
