"""COCO's folders and files, and a single JSON of that form."""

from __future__ import annotations

from pathlib import Path

import annotated
import pytest

from zoo.datasets.boxes import IGNORED, Box
from zoo.datasets.coco_detection import COCODetection
from zoo.errors import DataError


def challenge(root: Path, pictures: str = "") -> Path:
    for number, part in enumerate(("train2017", "val2017")):
        images = [annotated.image(10 * number + one, f"{number}{one}.png") for one in (1, 2)]
        boxes = [annotated.box(1, of=10 * number + 1), annotated.box(2, of=10 * number + 1, category=3, bbox=(5.5, 5, 4.5, 2), iscrowd=1)]
        annotated.coco(root / "annotations" / f"instances_{part}.json", images, boxes, root / pictures / part)
    (root / "annotations" / "captions_train2017.json").write_text("{}")
    return root


@pytest.mark.parametrize("pictures", ["", "images"])
def test_the_challenges_layout(tmp_path: Path, pictures: str) -> None:
    source = COCODetection(challenge(tmp_path, pictures))
    assert source.labels == ("dog", "cat") and source.notes == []
    assert {part: [record.path.name for record in records] for part, records in source.records.items()} == {
        "train": ["01.png", "02.png"],
        "val": ["11.png", "12.png"],
    }
    first, second = source.records["train"]
    assert first.boxes == (Box(1, 2, 11, 22, 0), Box(5.5, 5, 10, 7, IGNORED)) and second.boxes == ()
    assert first.id == f"{pictures}/train2017/01.png".lstrip("/")
    assert len(COCODetection(tmp_path, parts="split").records["labelled"]) == 4


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("annotations.json", "images"),
        ("annotations/x.json", "images"),
        ("_annotations.coco.json", ""),
        ("instances_val2017.json", "val2017"),
    ],
)
def test_one_file_for_all(tmp_path: Path, file: str, folder: str) -> None:
    annotated.coco(tmp_path / file, [annotated.image(1, "a.png")], [annotated.box(1, of=1)], tmp_path / folder)
    annotated.picture(tmp_path / folder / "other.png")
    source = COCODetection(tmp_path)
    assert [record.path for record in source.records["labelled"]] == [tmp_path / folder / "a.png"]
    assert source.notes == [f"1 pictures that no annotation names are not read, such as {folder or tmp_path.name}/other.png"]


def test_parts_in_folders_of_their_own(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "valid")):
        folder = tmp_path / part
        annotated.coco(folder / "_annotations.coco.json", [annotated.image(number, "a.png")], [annotated.box(1, of=number)], folder)
    source = COCODetection(tmp_path)
    assert {part: records[0].id for part, records in source.records.items()} == {"train": "train/a.png", "val": "valid/a.png"}


def test_several_files_of_unknown_parts(tmp_path: Path) -> None:
    for name in ("one.json", "two.json"):
        annotated.coco(tmp_path / name, [], [])
    with pytest.raises(DataError, match=r"several JSON files, and one\.json is not the only one of train, val or test by its name"):
        COCODetection(tmp_path)


@pytest.mark.parametrize("name", ["../outside.png", "/etc/passwd", "a/../../outside.png", "a\0b", "x" * 300, "ø" * 200, 7])
def test_pictures_lie_in_their_folder(tmp_path: Path, name: object) -> None:
    annotated.picture(tmp_path / "outside.png")
    images = [annotated.image(1, "a.png"), annotated.image(2, "b.png", file_name=name)]
    root = tmp_path / "data"
    annotated.coco(root / "a.json", images, [annotated.box(1, of=1)])
    annotated.picture(root / "images" / "a.png")
    with pytest.raises(DataError, match=r"a\.json: image 1: its file_name"):
        COCODetection(root, bad_boxes="error")
    assert [record.path for record in COCODetection(root).records["labelled"]] == [root / "images" / "a.png"]


def test_a_picture_that_is_not_there(tmp_path: Path) -> None:
    annotated.coco(tmp_path / "a.json", [annotated.image(1, "a.png")], [annotated.box(1, of=1)], tmp_path / "images")
    annotated.coco(tmp_path / "a.json", [annotated.image(1, "a.png"), annotated.image(2, "b.png")], [annotated.box(1, of=1)])
    with pytest.raises(DataError, match=r"a\.json: b\.png: no picture b\.png"):
        COCODetection(tmp_path)
    assert len(COCODetection(tmp_path, unpaired="skip").records["labelled"]) == 1


def test_boxes_without_height_are_mended_and_told(tmp_path: Path) -> None:
    boxes = [annotated.box(1, of=1), annotated.box(2, of=1, bbox=(0, 9, 5, 0))]
    annotated.coco(tmp_path / "a.json", [annotated.image(1, "a.png")], boxes, tmp_path / "images")
    source = COCODetection(tmp_path)
    assert source.records["labelled"][0].boxes == (Box(1, 2, 11, 22, 0),)
    assert "1 mended (data.bad_boxes=mend): a.json: a.png: box 2 (dog): (0, 9, 5, 9) has no area" in source.notes[0]


@pytest.mark.parametrize("content", ["", "[]", '{"images": []}', '{"images": [], "annotations": {}, "categories": []}', "{" * 10_000])
def test_a_json_of_another_form(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=r"a\.json: .*\. Mend or remove the file\."):
        COCODetection(tmp_path)
