"""Reading pictures: every mode and orientation a file may have, and every way in which it may be broken."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from picture_files import broken_files, jpeg, lopsided, png, saved
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from zoo.datasets import pictures
from zoo.datasets.loaders import Pictures
from zoo.datasets.pictures import open_picture, read_picture, shown, upright
from zoo.datasets.source import Record, Source
from zoo.datasets.transforms import Preprocess
from zoo.errors import DataError
from zoo.given import to_pil

ORIENTATION = 0x0112
TURN = Image.Transpose
CAMERA = {  # orientation -> what the camera did to the upright picture
    1: None,
    2: TURN.FLIP_LEFT_RIGHT,
    3: TURN.ROTATE_180,
    4: TURN.FLIP_TOP_BOTTOM,
    5: TURN.TRANSPOSE,
    6: TURN.ROTATE_90,
    7: TURN.TRANSVERSE,
    8: TURN.ROTATE_270,
}


def turned_file(folder: Path, orientation: int, name: str) -> Path:
    """The lopsided picture as a camera held that way writes it."""
    turn = CAMERA[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if name.endswith("webp") else {}
    return saved(folder, lopsided() if turn is None else lopsided().transpose(turn), name, exif=exif, **options)


@pytest.mark.parametrize("kind", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", CAMERA)
def test_all_orientations_come_out_upright_in_training_and_in_prediction(tmp_path: Path, orientation: int, kind: str) -> None:
    path = turned_file(tmp_path, orientation, f"a.{kind}")
    assert np.array_equal(np.asarray(read_picture(path)), np.asarray(lopsided()))
    preprocess = Preprocess((16, 16))
    source = Source(tmp_path, ["a"], {})
    trained = Pictures(source, [Record(path, "a", 0)], preprocess)[0]["image"]
    for given in (path, str(path), Image.open(path)):
        predicted = preprocess(to_pil(given, 3))
        assert isinstance(trained, Tensor) and trained.equal(predicted)


@pytest.mark.parametrize("orientation", CAMERA)
def test_an_upright_picture_is_not_turned_again(tmp_path: Path, orientation: int) -> None:
    picture = read_picture(turned_file(tmp_path, orientation, "a.jpg"))
    assert picture.size == (24, 16)
    assert np.array_equal(np.asarray(upright(picture)), np.asarray(picture))


def test_exif_data_that_pillow_cannot_parse_do_not_spoil_a_whole_picture(tmp_path: Path) -> None:
    text = PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n       4\nno hexadecimal digits")
    path = saved(tmp_path, lopsided(), "a.png", pnginfo=text)
    assert np.array_equal(np.asarray(read_picture(path)), np.asarray(lopsided()))


def test_what_the_caller_gave_stays_as_it_was(tmp_path: Path) -> None:
    given = Image.open(turned_file(tmp_path, 6, "a.png"))
    upright(given)
    assert given.size == (16, 24) and given.getexif()[ORIENTATION] == 6


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0junk", b"Exif\0\0MM\0\x2a\0\0\xff\xff", b"Exif\0\0MM\0\x2a\0\0\0\x08\xff\xff\x01\x12", b"Exif\0\0" + b"x" * 60_000]
)
def test_broken_or_huge_exif_data_does_not_spoil_a_whole_picture(tmp_path: Path, exif: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(exif=exif))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own, on corrupt EXIF data
        assert read_picture(tmp_path / "a.jpg").size == (200, 150)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16", "I;16B", "I;16L"]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_becomes_8_bits_in_the_channels_asked_for(mode: str, channels: int) -> None:
    picture = upright(Image.new(mode, (5, 3)), channels)
    assert (picture.mode, picture.size) == ({1: "L", 3: "RGB"}[channels], (5, 3))


def test_grey_pictures_have_three_equal_channels(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("L", (4, 4), 77), "a.png")
    assert read_picture(path).getpixel((0, 0)) == (77, 77, 77)
    assert read_picture(path, 1).getpixel((0, 0)) == 77


@pytest.mark.parametrize(
    ("mode", "color", "options", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), {}, (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), {}, (255, 0, 0)),
        ("RGBA", (0, 0, 0, 51), {}, (204, 204, 204)),
        ("LA", (0, 0), {}, (255, 255, 255)),
        ("RGB", (9, 8, 7), {"transparency": (9, 8, 7)}, (255, 255, 255)),
        ("RGB", (9, 8, 7), {"transparency": (1, 1, 1)}, (9, 8, 7)),
        ("L", 0, {"transparency": 0}, (255, 255, 255)),
        ("1", 0, {"transparency": 0}, (255, 255, 255)),
        ("1", 1, {}, (255, 255, 255)),
        ("1", 0, {}, (0, 0, 0)),
    ],
)
def test_transparent_pixels_are_laid_on_white(tmp_path: Path, mode: str, color: object, options: dict, expected: tuple) -> None:
    path = saved(tmp_path, Image.new(mode, (4, 4), color), "a.png", **options)
    assert read_picture(path).getpixel((0, 0)) == expected
    assert abs(read_picture(path, 1).getpixel((0, 0)) - Image.new("RGB", (1, 1), expected).convert("L").getpixel((0, 0))) <= 1


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_a_palette_with_transparency_is_laid_on_white(tmp_path: Path, transparency: object) -> None:
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.putpixel((1, 0), 1)
    path = saved(tmp_path, picture, "a.png", transparency=transparency)
    read = read_picture(path)
    assert (read.getpixel((0, 0)), read.getpixel((1, 0))) == ((255, 255, 255), (0, 255, 0))


def test_cmyk_jpeg_has_the_right_colours(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGB", (16, 16), (250, 20, 30)).convert("CMYK"), "a.jpg", quality=95)
    assert Image.open(path).mode == "CMYK"
    assert np.allclose(read_picture(path).getpixel((8, 8)), (250, 20, 30), atol=8)


def test_16_bits_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    read = np.asarray(read_picture(saved(tmp_path, Image.fromarray(values), "a.png"), 1))
    assert np.array_equal(read, np.round(values / 257))
    dark = saved(tmp_path, Image.fromarray(np.full((4, 4), 2570, np.uint16)), "b.png")
    assert read_picture(dark).getpixel((0, 0)) == (10, 10, 10)  # not stretched: a dark picture stays dark


@pytest.mark.parametrize(("low", "high", "kind"), [(0, 1, np.float32), (-3, 7, np.float32), (-100, 1000, np.int32), (0, 10**6, np.int32)])
def test_float_and_32_bit_tiffs_are_stretched(tmp_path: Path, low: float, high: float, kind: type) -> None:
    values = np.linspace(low, high, 256).astype(kind).reshape(16, 16)
    read = np.asarray(read_picture(saved(tmp_path, Image.fromarray(values), "a.tif"), 1)).astype(int).ravel()
    assert (read[0], read[-1]) == (0, 255) and (np.diff(read) >= 0).all() and abs(read[128] - 128) <= 1


@pytest.mark.parametrize(("value", "read_as"), [(np.nan, 0), (np.inf, 255), (-np.inf, 0)])
def test_values_that_are_no_numbers_give_a_picture_without_warnings(tmp_path: Path, value: float, read_as: int) -> None:
    values = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    values[1, 1] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = np.asarray(read_picture(saved(tmp_path, Image.fromarray(values), "a.tif"), 1))
        constant = read_picture(saved(tmp_path, Image.fromarray(np.full((4, 4), value, np.float32)), "b.tif"), 1)
    assert (read[0, 0], read[1, 1], read[3, 3]) == (0, read_as, 255)
    assert constant.getextrema()[0] == constant.getextrema()[1]


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    path = saved(tmp_path, frames[0], f"a.{kind}", save_all=True, append_images=frames[1:])
    assert Image.open(path).n_frames == 2
    assert np.allclose(read_picture(path).getpixel((4, 4)), (255, 0, 0), atol=4)


def test_a_wrong_ending_does_no_harm(tmp_path: Path) -> None:
    saved(tmp_path, lopsided(), "a.png").rename(tmp_path / "a.jpg")
    assert np.array_equal(np.asarray(read_picture(tmp_path / "a.jpg")), np.asarray(lopsided()))


def test_names_that_are_pictures() -> None:
    yes = ["a.jpg", "A.JPEG", "-a.png", "a b.GIF", "new\nline.webp", "a.jfif", "a.tiff"]
    no = ["a.txt", ".hidden.jpg", "._a.jpg", "jpg", "a.jpg.part", "a.heic", "a.svg"]
    assert all(pictures.is_picture(Path(name)) for name in yes)
    assert not any(pictures.is_picture(Path(name)) for name in no)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_broken_is_named_with_its_path_on_one_line(tmp_path: Path) -> None:
    for path, word in broken_files(tmp_path).items():
        with pytest.raises(DataError, match=word) as error:
            read_picture(path)
        message = str(error.value)
        assert message.startswith(f"{shown(path)}: ") and "\n" not in message, message
        message.encode("utf-8")  # printable, whatever the name was


def test_a_bomb_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bomb.png").write_bytes(png(60_000, 60_000))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(DataError, match="decompression bomb"):
        open_picture(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # somebody switched Pillow's own limit off
    with pytest.raises(DataError, match=r"60000x60000 pixels.*remove it"):
        open_picture(tmp_path / "bomb.png")


def test_pillows_limit_stays_as_it_was(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    read_picture(saved(tmp_path, lopsided(), "a.png"))
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, lopsided(), "a.png")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(DataError, match=r"a\.png: Permission denied$"):
        open_picture(path)
