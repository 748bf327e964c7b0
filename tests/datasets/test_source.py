"""Records that are parts of pictures: which pixels they are, and what they are called."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.datasets.masks import MaskValues
from zoo.datasets.source import Crop, Record, Source
from zoo.errors import DataError

SIZE = (20, 10)


@pytest.mark.parametrize(
    ("crop", "pixels"),
    [
        (Crop(2, 3, 7, 9), (2, 3, 7, 9)),
        (Crop(2.9, 3.9, 3.1, 4.1), (2, 3, 4, 5)),
        (Crop(-5, -5, 100, 100), (0, 0, 20, 10)),
        (Crop(0.25, 0.1, 0.5, 1.0, relative=True), (5, 1, 10, 10)),
        (Crop(-0.2, 0.5, 0.1, 1.2, relative=True), (0, 5, 2, 10)),
        (Crop(19.99, 9.99, 20, 10), (19, 9, 20, 10)),
    ],
)
def test_a_crop_is_all_pixels_that_it_touches(crop: Crop, pixels: tuple[int, int, int, int]) -> None:
    assert crop.pixels(SIZE) == pixels


@pytest.mark.parametrize(
    "crop", [Crop(20, 0, 30, 5), Crop(-9, 0, 0, 5), Crop(5, 5, 5, 9), Crop(7, 3, 2, 9), Crop(math.nan, 0, 5, 5), Crop(1.0, 0, 2, 1, True)]
)
def test_a_crop_without_a_pixel_is_refused(crop: Crop) -> None:
    with pytest.raises(ValueError, match="is no part of a picture of 20x10 pixels"):
        crop.pixels(SIZE)


def test_a_margin_is_added_on_every_side() -> None:
    assert Crop(10, 10, 20, 30).widened(0.1) == Crop(9, 8, 21, 32)
    assert Crop(0.25, 0.5, 0.75, 1.0, True).widened(0.5) == Crop(0.0, 0.25, 1.0, 1.25, True)
    assert Crop(1, 2, 3, 4).widened(0) == Crop(1, 2, 3, 4)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 3, (10, 20, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    Image.fromarray(noise[..., 0]).save(tmp_path / "mask.png")
    return tmp_path / "a.png"


def test_the_crop_is_read_and_its_mask_with_it(picture: Path) -> None:
    crop, mask = Crop(2, 3, 12, 9), picture.with_name("mask.png")
    source = Source(picture.parent, ("a", "b", "c"), {}, masks=MaskValues(3))
    found, fields = source.read(Record(picture, "x", mask=mask, crop=crop))
    whole, all_ = source.read(Record(picture, "x", mask=mask))
    assert np.array_equal(np.asarray(found), np.asarray(whole)[3:9, 2:12])
    assert np.array_equal(np.asarray(fields["mask"]), np.asarray(all_["mask"])[3:9, 2:12])


def test_a_crop_is_of_the_upright_picture(tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (10, 20, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    found, _ = Source(tmp_path, (), {}).read(Record(tmp_path / "turned.png", "x", crop=Crop(0, 12, 8, 20)))
    assert np.array_equal(np.asarray(found), np.asarray(picture.transpose(Image.Transpose.ROTATE_270))[12:20, 0:8])


def test_a_crop_outside_of_its_picture_names_it(picture: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: the crop \(50, 0, 60, 5\) is no part of a picture of 20x10 pixels"):
        Source(picture.parent, (), {}).read(Record(picture, "x", crop=Crop(50, 0, 60, 5)))


def test_records_are_told_apart_by_their_address() -> None:
    path = Path("a/b.png")
    records = [
        Record(path, "1"),
        Record(path, "2", place=7),
        Record(path, "3", crop=Crop(1, 2, 11, 22.5)),
        Record(path, "4", crop=Crop(0.125, 0.5, 0.375, 1.0, relative=True)),
    ]
    assert [record.address for record in records] == [
        "a/b.png",
        "a/b.png#7",
        "a/b.png#xywh=1,2,10,20.5",
        "a/b.png#xywh=percent:12.5,50,25,50",
    ]
