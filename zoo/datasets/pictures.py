"""Reading one picture file: any format Pillow knows, any colour mode, upright, in the channels asked for."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from PIL import Image, ImageOps

from zoo.errors import DataError

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""The only decoders offered a file: Pillow's others run programs (EPS) or are seldom tested."""

MAX_PIXELS = 128_000_000
"""Larger pictures are refused before they are decoded (a decompression bomb); 128 megapixels are 384 MB as RGB."""


def is_picture(path: Path) -> bool:
    """Whether the file's name says that it is a picture; hidden files (`._x.jpg` of macOS) are not."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def open_picture(file: Path | IO[bytes]) -> Image.Image:
    """Open a picture without decoding it.

    Raises:
        DataError: not a picture, or more than `MAX_PIXELS` pixels.
    """
    name = file if isinstance(file, Path) else getattr(file, "name", "picture")
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # ours is checked below, with a sentence of ours
    try:
        picture = Image.open(file, formats=FORMATS)
    except Exception as error:  # Pillow's decoders raise many kinds on hostile bytes (OSError, SyntaxError, struct.error ...)
        raise DataError(f"{name}: {_reason(file, error)}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    if picture.width * picture.height > MAX_PIXELS:
        size = f"{picture.width}x{picture.height}"
        picture.close()
        raise DataError(f"{name}: {size} pixels, more than the {MAX_PIXELS:,} that are opened (a decompression bomb?)")
    return picture


def _reason(file: Path | IO[bytes], error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(file, Path) and file.is_file() and file.stat().st_size == 0:
        return "the file is empty (0 bytes)"
    return f"not a picture of a kind that can be read ({', '.join(FORMATS)})"


def read_picture(path: Path, channels: int = 3) -> Image.Image:
    """Decode a picture file; see `upright` for what is done to it.

    Raises:
        DataError: with the path, when the file is missing, broken, truncated, not a picture or far too large.
    """
    with open_picture(path) as picture:
        try:
            return upright(picture, channels)
        except Exception as error:
            raise DataError(f"{path}: broken or truncated ({error})") from error


def upright(picture: Image.Image, channels: int = 3) -> Image.Image:
    """Turn a picture upright (EXIF orientation) and convert it to RGB (`channels` 3) or grey (1), 8 bits a channel.

    Transparent pixels are laid on white; 16-bit and float pictures are scaled to 8 bits; of an animation the first frame is taken.
    """
    picture = ImageOps.exif_transpose(picture)
    mode = "L" if channels == 1 else "RGB"
    if picture.mode == mode:
        picture.load()
        return picture
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = _to_8_bits(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert(mode)


def _to_8_bits(picture: Image.Image) -> Image.Image:
    """16-bit modes are divided by 257 (65535 -> 255); 32-bit and float ones are stretched from their own extremes."""
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.getextrema()[1] <= 65535):
        return picture.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    low, high = picture.getextrema()
    scale = 255 / (high - low) if high > low else 0.0
    return picture.convert("F").point(lambda value: value * scale - low * scale).convert("L")
