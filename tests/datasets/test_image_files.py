"""Any folder of pictures: what is read and what is not, groups by folder, the data set's own parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from picture_files import lopsided, saved
from PIL import Image

from zoo.datasets import splits, synthetic
from zoo.datasets.image_files import ImageFiles
from zoo.errors import DataError, RecipeError


def pictures(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        saved((root / name).parent, lopsided(), Path(name).name)
    return root


def ids(source: ImageFiles) -> dict[str, list[str]]:
    return {part: [record.id for record in records] for part, records in source.records.items()}


def test_all_pictures_below_a_folder_are_read(tmp_path: Path) -> None:
    root = pictures(tmp_path, "b.png", "a/1.jpg", "a/deep/er/2.png", ".hidden/3.png", "a/._1.jpg", "__MACOSX/a/4.png")
    (root / "a" / "notes.txt").write_text("x")
    (root / "a" / "round").symlink_to(root, target_is_directory=True)
    source = ImageFiles(root)
    assert ids(source) == {"labelled": ["a/1.jpg", "a/deep/er/2.png", "b.png"]}
    assert source.labels == () and source.groups is None and source.channels == 3
    assert all(record.label is None and record.group is None for record in source.records["labelled"])
    assert source.notes == ["not read, no pictures by their names: 1 .txt"]
    picture, fields = source.read(source.records["labelled"][0])
    assert picture.mode == "RGB" and fields == {}


def test_grey(tmp_path: Path) -> None:
    source = ImageFiles(pictures(tmp_path, "a.png"), grey=True)
    assert source.channels == 1 and source.read(source.records["labelled"][0])[0].mode == "L"


def test_pictures_of_one_folder_stay_together(tmp_path: Path) -> None:
    root = pictures(tmp_path, "loose.png", *(f"people/{person}/{number}.png" for person in "abcde" for number in range(4)))
    source = ImageFiles(root, groups="folder")
    assert source.groups == "folder"
    groups = {record.id: record.group for record in source.records["labelled"]}
    assert groups["people/c/2.png"] == "people/c" and groups["loose.png"] == "loose.png"
    parts = splits.divide(source.records, 0.2, 0.2, 0, "auto", source.labels, source.groups).parts
    people = [{record.group for record in part if record.group} for part in parts.values()]
    assert sum(map(len, people)) == 6 and all(people)


def test_groups_need_folders(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"data\.groups=folder: all pictures lie in"):
        ImageFiles(pictures(tmp_path, "1.png", "2.png"), groups="folder")


@pytest.mark.parametrize(("train", "val", "test"), [("train", "val", "test"), ("Training", "valid", "Testing")])
def test_own_parts_are_kept(tmp_path: Path, train: str, val: str, test: str) -> None:
    root = pictures(tmp_path, f"{train}/1.png", f"{train}/ann/2.png", f"{val}/3.png", f"{test}/ann/4.png", "beside.png", "more/5.png")
    source = ImageFiles(root, groups="folder")
    assert ids(source) == {"train": [f"{train}/1.png", f"{train}/ann/2.png"], "val": [f"{val}/3.png"], "test": [f"{test}/ann/4.png"]}
    assert source.records["train"][1].group == source.records["test"][0].group == "ann"
    assert source.notes == [f"beside {train}/ and not read: 2 pictures"]


def test_a_folder_that_happens_to_be_called_so_is_no_part(tmp_path: Path) -> None:
    assert ids(ImageFiles(pictures(tmp_path, "test/1.png", "val/2.png"))) == {"labelled": ["test/1.png", "val/2.png"]}
    assert ids(ImageFiles(pictures(tmp_path / "test", "train/3.png"))) == {"labelled": ["1.png", "train/3.png"]}


def test_two_folders_for_one_part_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="val/ and valid/ are both there; which is the val part"):
        ImageFiles(pictures(tmp_path, "train/1.png", "val/2.png", "valid/3.png"))


@pytest.mark.parametrize("name", ["val/1.png", "readme.txt"])
def test_nothing_to_train_on_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "train").mkdir()
    pictures(tmp_path, name) if name.endswith("png") else (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=r"no pictures \(\.bmp"):
        ImageFiles(tmp_path)


def test_drawn_pictures_differ_and_have_groups(tmp_path: Path) -> None:
    source = ImageFiles(synthetic.folder("image_files", ImageFiles), groups="folder")
    records = source.records["labelled"]
    assert len(records) == 288 and len({record.group for record in records}) == 12 and not source.notes
    small = np.stack([np.asarray(source.read(record)[0].resize((8, 8), Image.Resampling.BOX), float) for record in records])
    within = np.mean([small[at : at + 24].std(0).mean() for at in range(0, 288, 24)])
    assert within > 20  # grey levels: no folder holds one picture again and again


def test_pictures_in_no_folder_are_groups_of_their_own(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.png", "3.png", "4.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    records = ImageFiles(tmp_path, groups="folder").records["labelled"]
    assert [(record.id, record.group) for record in records] == [("3.png", "3.png"), ("4.png", "4.png"), ("a/1.png", "a"), ("a/2.png", "a")]
