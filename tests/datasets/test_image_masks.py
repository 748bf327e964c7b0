"""Folders of pictures and masks as people really name them; and that the drawn leaves are not told by a threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zoo.datasets import synthetic
from zoo.datasets.image_masks import ImageMasks, pair
from zoo.datasets.loaders import usable
from zoo.errors import DataError, RecipeError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def tree(root: Path, *files: str, value: int = 255) -> Path:
    """A folder with these pictures; in folders of masks one pixel has `value`."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("L", (6, 4))
        picture.putpixel((1, 2), value)
        picture.save(root / file, "PNG")
    return root


def pairs(source: ImageMasks, part: str = "labelled") -> dict[str, str]:
    return {record.id: record.mask.relative_to(source.root).as_posix() for record in source.records[part] if record.mask is not None}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (("1.jpg", "2.jpg"), ("1.png", "2.png")),
        (("a.jpg", "b.jpg"), ("a_mask.png", "b_mask.png")),
        (("img_1.png", "img_2.png"), ("mask_1.png", "mask_2.png")),
        (("ISIC_0010.jpg", "ISIC_0011.jpg"), ("ISIC_0010_segmentation.png", "ISIC_0011_segmentation.png")),
        (("100_sat.jpg", "104_sat.jpg"), ("100_mask.png", "104_mask.png")),
        (("cat1.jpg", "cat10.jpg", "dog1.jpg"), ("seg-cat1-v2.png", "seg-cat10-v2.png", "seg-dog1-v2.png")),
        (("apple.jpg", "orange.jpg"), ("apple_m.png", "orange_m.png")),
        (("x/1.jpg", "y/1.jpg"), ("x/1_mask.png", "y/1_mask.png")),
        (("alone.jpg",), ("alone.png",)),
    ],
)
def test_names_that_go_together(place: Path, images: tuple[str, ...], masks: tuple[str, ...]) -> None:
    tree(place, *(f"images/{name}" for name in images), *(f"masks/{name}" for name in masks))
    source = ImageMasks(place)
    assert pairs(source) == {f"images/{one}": f"masks/{other}" for one, other in zip(images, masks, strict=True)}
    assert source.notes == [] and source.labels == ("background", "foreground")


def test_the_plainest_way_to_pair_is_taken(tmp_path: Path) -> None:
    """A mask that is called like another picture's must not be taken for it."""
    images = {tmp_path / name: (".", name) for name in ("1", "1_mask")}
    masks = {tmp_path / "m" / name: (".", name) for name in ("1", "1_mask")}
    assert pair(images, masks) == ([(tmp_path / "1", tmp_path / "m" / "1"), (tmp_path / "1_mask", tmp_path / "m" / "1_mask")], [])


def test_a_name_of_two_files_is_no_ones(place: Path) -> None:
    tree(place, "images/1.jpg", "images/1.png", "images/2.jpg", "masks/1.png", "masks/2.png")
    with pytest.raises(DataError, match="no third file has that name") as error:
        ImageMasks(place)
    assert "pictures without a mask: 2 (images/1.jpg, images/1.png); masks without a picture: 1 (masks/1.png)" in str(error.value)


def test_single_names_are_not_guessed(place: Path) -> None:
    with pytest.raises(DataError, match=r"pictures without a mask: 1 \(images/cat1\.jpg\); masks without a picture: 1 \(masks/dog1\.png\)"):
        ImageMasks(tree(place, "images/cat1.jpg", "masks/dog1.png"))


def test_files_without_their_counterpart(place: Path) -> None:
    tree(place, *(f"images/{number}.jpg" for number in range(14)), *(f"masks/{number}_m.png" for number in range(3, 15)))
    with pytest.raises(DataError) as error:
        ImageMasks(place)
    told = str(error.value)
    assert "pictures without a mask: 3 (images/0.jpg, images/1.jpg, images/2.jpg)" in told
    assert "masks without a picture: 1 (masks/14_m.png)" in told and "data.unpaired=skip" in told
    source = ImageMasks(place, unpaired="skip")
    assert len(pairs(source)) == 11 and source.notes[0].startswith(
        "left out (data.unpaired: skip): pictures without a mask: 3 (images/0.jpg,"
    )


def test_long_lists_are_cut(place: Path) -> None:
    tree(place, "images/a.jpg", "masks/a.png", *(f"masks/{number:02d}.png" for number in range(30)))
    with pytest.raises(DataError, match=r"masks without a picture: 30 \(masks/00\.png, .* masks/07\.png \.\.\.\)"):
        ImageMasks(place)


@pytest.mark.parametrize("form", ["{part}/{kind}/{name}", "{kind}/{part}/{name}"])
def test_own_parts_are_kept(place: Path, form: str) -> None:
    names = {"train": ("1", "2"), "Valid": ("3",), "test": ("4",)}
    tree(
        place,
        *(form.format(part=part, kind=kind, name=f"{name}.png") for part in names for name in names[part] for kind in ("images", "masks")),
    )
    source = ImageMasks(place)
    assert {part: len(pairs(source, part)) for part in ("train", "val", "test")} == {"train": 2, "val": 1, "test": 1}


def test_a_test_part_without_masks_is_to_be_predicted(place: Path) -> None:
    source = ImageMasks(tree(place, "train/images/1.png", "train/masks/1.png", "test/images/2.png", "unlabelled/3.png"))
    assert [record.id for record in source.records["unlabelled"]] == ["3.png", "test/images/2.png"]
    assert source.notes == ["test/images/ has no masks: its pictures are to be predicted"]


def test_subfolders_may_be_called_like_parts(place: Path) -> None:
    source = ImageMasks(tree(place, "images/test/1.png", "images/x/1.png", "masks/test/1.png", "masks/x/1.png"))
    assert pairs(source) == {"images/test/1.png": "masks/test/1.png", "images/x/1.png": "masks/x/1.png"}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (("images/1.png",), "no folder masks/ for"),
        (("images/x.txt/1.png", "masks/2.png"), "pictures without a mask: 1"),
        (("pictures/1.png", "masks/1.png"), "no picture with a mask"),
        (("val/images/1.png", "val/masks/1.png"), "no picture with a mask"),
        (("train/images/1.png", "train/masks/1.png", "val/images/2.png"), "no folder masks/ for"),
        (("val/images/1.png", "val/masks/1.png", "valid/images/1.png", "valid/masks/1.png"), "two folders are its val part"),
    ],
)
def test_other_layouts_are_told(place: Path, files: tuple[str, ...], told: str) -> None:
    with pytest.raises(DataError, match=told):
        ImageMasks(tree(place, *files))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"classes": ("a", "b", "c")}, r"3 names, but binary masks tell two classes; set data\.values=indexed"),
        ({"classes": ("a", "a")}, r"expected from 2 to 255 different names"),
        ({"classes": ("a",), "values": "indexed"}, r"expected from 2 to 255"),
        ({"values": "indexed", "unexpected": "half"}, r"data\.unexpected=half suits binary masks only"),
    ],
)
def test_options_that_do_not_go_together(place: Path, options: Any, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        ImageMasks(tree(place, "images/1.png", "masks/1.png"), **options)


def test_indexed_masks(place: Path) -> None:
    source = ImageMasks(tree(place, "images/1.png", "masks/1.png", value=2), classes=("a", "b", "c"), values="indexed")
    mask = source.read(source.records["labelled"][0])[1]["mask"]
    assert np.asarray(mask)[2, 1] == 2 and source.labels == ("a", "b", "c")


def test_numbers_read_as_binary_are_not_swallowed(place: Path) -> None:
    """Class numbers 0, 1 and 2 are all nearer to 0 than to 255: cut at half they would all be background."""
    source = ImageMasks(tree(place, "images/1.png", "masks/1.png", value=2))
    with pytest.raises(
        DataError, match=r"masks/1\.png: 1 pixel of other values than 0 and 255 \(2\); if they are class numbers, set data\.values=indexed"
    ):
        usable(source, "error")


# The drawn data.


def test_the_drawn_leaves_are_not_told_by_a_threshold(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATA", str(data_home))
    source = ImageMasks(synthetic.folder("image_masks", ImageMasks))
    assert len(source.records["labelled"]) == 160 and usable(source, "error")[2] == []
    best = []
    for record in source.records["labelled"]:
        picture, fields = source.read(record)
        truth = np.asarray(fields["mask"]) > 0
        assert 0.03 < truth.mean() < 0.5
        grey = np.asarray(picture.convert("L"))
        sides = [side for level in range(0, 256, 8) for side in (grey <= level, grey > level)]
        best.append([(side & truth).sum() / (side | truth).sum() for side in sides])
    assert np.mean(best, axis=0).max() < 0.4  # one threshold for all
