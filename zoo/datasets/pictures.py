"""Reading one picture file: any format Pillow knows, any colour mode, upright, in the channels asked for."""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from zoo.errors import DataError, shown

EXTENSIONS = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""The only decoders offered a file: Pillow's others run programs (EPS) or are seldom tested."""

MAX_PIXELS = 128_000_000
"""Larger pictures are refused before they are decoded (a decompression bomb); 128 megapixels are 384 MB as RGB."""


_TURN = Image.Transpose
_TURNS = {
    2: _TURN.FLIP_LEFT_RIGHT,
    3: _TURN.ROTATE_180,
    4: _TURN.FLIP_TOP_BOTTOM,
    5: _TURN.TRANSPOSE,
    6: _TURN.ROTATE_270,
    7: _TURN.TRANSVERSE,
    8: _TURN.ROTATE_90,
}
"""EXIF orientation -> what makes the picture upright."""


def is_picture(path: Path) -> bool:
    """Whether the file's name says that it is a picture; hidden files (`._x.jpg` of macOS) are not."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def open_picture(file: Path | IO[bytes]) -> Image.Image:
    """Open a picture without decoding it.

    Raises:
        DataError: not a picture, or more than `MAX_PIXELS` pixels.
    """
    name = shown(file if isinstance(file, Path) else getattr(file, "name", "picture"))
    try:
        if isinstance(file, Path) and stat.S_IFMT(file.stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            raise OSError("a pipe or a device, not a file")  # to open one may wait for ever
        picture = Image.open(file, formats=FORMATS)
    except Exception as error:  # Pillow's decoders raise many kinds on hostile bytes (OSError, SyntaxError, struct.error ...)
        raise DataError(f"{name}: {_reason(file, error)}") from error
    if picture.width * picture.height > MAX_PIXELS:
        picture.close()
        size = f"{picture.width}x{picture.height} pixels, more than the {MAX_PIXELS:,} that are opened (a decompression bomb?)"
        raise DataError(f"{name}: {size}. Make it smaller or remove it.")
    return picture


def _reason(file: Path | IO[bytes], error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):  # Pillow has a limit too
        return f"{error} Make it smaller or remove it."
    if isinstance(error, UnidentifiedImageError):
        empty = isinstance(file, Path) and file.stat().st_size == 0
        return "the file is empty (0 bytes)" if empty else f"not a picture of a kind that can be read ({', '.join(FORMATS)})"
    if isinstance(file, Path) and file.is_symlink() and not file.exists():
        return "a link that leads nowhere"
    return (isinstance(error, OSError) and error.strerror) or f"broken ({error or type(error).__name__})"


def read_picture(path: Path, channels: int = 3) -> Image.Image:
    """Decode a picture file; see `upright` for what is done to it.

    Raises:
        DataError: with the path, when the file is missing, broken, truncated, not a picture or far too large.
    """
    with open_picture(path) as picture:
        try:
            return upright(picture, channels)
        except Exception as error:
            raise DataError(f"{shown(path)}: broken or truncated ({error or type(error).__name__})") from error


def upright(picture: Image.Image, channels: int = 3) -> Image.Image:
    """Turn a picture upright (EXIF orientation) and convert it to RGB (`channels` 3) or grey (1), 8 bits a channel.

    Transparent pixels are laid on white; 16-bit and float pictures are scaled to 8 bits; of an animation the first frame is taken.
    """
    picture = turned(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = _to_8_bits(picture)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    if picture.mode not in ("L", "1", "RGB"):
        picture = picture.convert("RGB")
    mode = "L" if channels == 1 else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def jpeg(picture: Image.Image, side: int) -> bytes:
    """A picture for a page: in RGB, made at most `side` pixels long, as a JPEG file."""
    small = picture.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return file.getvalue()


def turned(picture: Image.Image) -> Image.Image:
    """The picture upright.

    Not by `ImageOps.exif_transpose`: that copies upright pictures, and fails where other parts of the EXIF data are broken.
    """
    picture.load()  # a PNG may tell its orientation after the pixels
    turn = _orientation(picture)
    if turn is None:
        return picture
    turned = picture.transpose(turn)
    turned.info = {key: value for key, value in picture.info.items() if key == "transparency"}  # else it would be turned again
    return turned


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Width and height of a picture once it is upright, from its header alone."""
    if "exif" not in picture.info:  # `getexif` would decode a PNG to look behind its pixels
        return picture.size
    across = _orientation(picture) in (_TURN.TRANSPOSE, _TURN.ROTATE_270, _TURN.TRANSVERSE, _TURN.ROTATE_90)
    return (picture.height, picture.width) if across else picture.size


def _orientation(picture: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF data in a picture that is whole
        return None


def _to_8_bits(picture: Image.Image) -> Image.Image:
    """16-bit values are divided by 257 (65535 -> 255); others, 32-bit and float, are stretched from their own extremes.

    Row by row, because as floats a large picture would take eight times its size, several times over.
    """
    values = np.atleast_2d(np.asarray(picture))
    extremes = [(row.min(), row.max()) for row in (row[np.isfinite(row)] for row in values) if row.size]
    low, high = (float(min(low for low, _ in extremes)), float(max(high for _, high in extremes))) if extremes else (0.0, 0.0)
    if picture.mode.startswith("I") and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    levels = np.empty(values.shape, np.uint8)
    for row, level in zip(values, levels, strict=True):
        number = np.nan_to_num(row.astype(np.float64), nan=low, posinf=high, neginf=low)
        level[:] = ((number - low) * (255 / max(high - low, 1e-12))).round()
    return Image.fromarray(levels)
