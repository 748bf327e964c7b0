"""Pictures: what is whole is read, whatever kind it is; what is broken, lies or is none is refused by name. Nothing else is started."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from picture_files import jpeg, lopsided, png
from PIL import Image
from trained import run

from security.hostile import Sample, bounded, cases, command, refusal

__all__ = ["run"]

Plant = Callable[[Path], object]


def _saved(picture: Image.Image, **options: object) -> Plant:
    return lambda file: picture.save(file, **options)


def _palette() -> Image.Image:
    picture = Image.new("P", (40, 40), 0)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    return picture


def _text_bomb() -> bytes:
    """A whole PNG with a text of 256 MB in 256 KB."""
    text = b"zTXtComment\0\0" + zlib.compress(bytes(2**28), 1)
    whole = png(4, 4, bytes(52))
    return whole[:33] + struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text)) + whole[33:]


REFUSE: dict[str, tuple[str, Plant, str]] = {
    "a bomb: 60,000 x 60,000 pixels": ("x.png", lambda file: file.write_bytes(png(60_000, 60_000)), "decompression bomb"),
    "a bomb in its text: 256 MB in 256 KB": ("x.png", lambda file: file.write_bytes(_text_bomb()), "too large|broken"),
    "a truncated JPEG": ("x.jpg", lambda file: file.write_bytes(jpeg()[:5000]), "truncated"),
    "an empty file": ("x.jpg", lambda file: file.write_bytes(b""), "empty"),
    "PostScript named PNG, which runs a program elsewhere": (
        "x.png",
        lambda file: file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        "not a picture",
    ),
    "SVG with a script named PNG": (
        "x.png",
        lambda file: file.write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        "not a picture",
    ),
    "a link to a device": ("x.jpg", lambda file: file.symlink_to("/dev/zero"), "a pipe or a device"),
    "a pipe, on which reading waits for ever": ("x.jpg", os.mkfifo, "a pipe or a device"),
    "a link in a circle": ("x.jpg", lambda file: file.symlink_to(file.name), "leads nowhere"),
}
READ: dict[str, tuple[str, Plant]] = {
    "a PNG named JPEG": ("x.jpg", _saved(lopsided(), format="PNG")),
    "60 KB of broken EXIF data": ("x.jpg", lambda file: file.write_bytes(jpeg(exif=b"Exif\0\0" + b"x" * 60_000))),
    "an animation": ("x.gif", _saved(lopsided(), save_all=True, append_images=[Image.new("RGB", (24, 16))] * 3)),
    "16 bits a pixel": ("x.png", _saved(Image.fromarray(np.full((9, 9), 40_000, np.uint16)))),
    "CMYK": ("x.jpg", _saved(Image.new("CMYK", (40, 40), (0, 200, 200, 0)))),
    "a palette with transparency": ("x.png", _saved(_palette(), transparency=bytes([0, 255]))),
}


def _data(folder: Path, name: str, plant: Plant) -> list[object]:
    """A data set of two classes in which the sample is one picture; the words that describe it."""
    for kind in ("a", "b"):
        (folder / "data" / kind).mkdir(parents=True)
        for number in range(5):
            lopsided().save(folder / "data" / kind / f"{number}.png")
    plant(folder / "data" / "a" / name)
    changes = ["data.synthetic=never", "data.size=32", "data.workers=0", "backbone.name=test_resnet", "backbone.pretrained=false"]
    return ["describe", "image_folder", f"data.root={folder / 'data'}", *changes]


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@cases(
    "Pictures",
    *[
        Sample(
            what,
            "`zoo train`, `zoo describe`, `zoo predict`",
            "refused before training; left out and told with `data.bad_files=skip`",
            make,
            make[2],
        )
        for what, make in REFUSE.items()
    ],
)
def test_what_is_no_picture(sample: Sample, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, plant, says = sample.make
    words = _data(tmp_path, name, plant)
    refusal(lambda: command(*words), name, says)
    assert command(*words, "data.bad_files=skip") == 0
    assert f"1 bad file skipped (data.bad_files: skip): a/{name}" in capsys.readouterr().err
    refusal(lambda: command("predict", run, tmp_path / "data" / "a" / name), name)


@cases("Pictures", *[Sample(what, "`zoo train`, `zoo describe`, `zoo predict`", "read", make) for what, make in READ.items()])
def test_odd_pictures_are_read(sample: Sample, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, plant = sample.make
    words = _data(tmp_path, name, plant)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own, on corrupt EXIF data
        assert command(*words) == 0
        assert "11 pictures" in capsys.readouterr().out
        assert command("predict", run, tmp_path / "data" / "a" / name) == 0
    assert name in capsys.readouterr().out


READING = "import sys, pathlib, zoo.datasets.pictures as p; print(p.read_picture(pathlib.Path(sys.argv[1])).size)"


@cases("Pictures", Sample("64 megapixels of 16 bits in 125 KB", "`zoo train`, `zoo predict`", "read within 1 GB", 8000))
def test_the_largest_pictures_fit(sample: Sample, tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    Image.fromarray(np.zeros((sample.make, sample.make), np.uint16)).save(file, compress_level=1)
    assert "(8000, 8000)" in bounded(READING, file, megabytes=1024)
