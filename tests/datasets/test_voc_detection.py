"""Pascal VOC's lists and pixels, and flat folders of pictures and XML files."""

from __future__ import annotations

from pathlib import Path

import annotated
import pytest

from zoo.datasets.boxes import Box
from zoo.datasets.voc_detection import VOCDetection
from zoo.errors import DataError

DOG = [("dog", (11.0, 21.0, 30.0, 40.0))]
EVERY: dict[str, annotated.Boxes] = dict.fromkeys(("a", "b", "c", "t"), DOG)


def ids(source: VOCDetection) -> dict[str, list[str]]:
    return {part: [record.path.stem for record in records] for part, records in source.records.items()}


@pytest.mark.parametrize("inside", ["", "VOCdevkit", "VOCdevkit/VOC2007"])
def test_a_development_kit(tmp_path: Path, inside: str) -> None:
    annotated.kit(tmp_path / "VOCdevkit" / "VOC2007", EVERY, train=("a", "b"), val=("c",), trainval=("a", "b", "c"), test=("t", "gone"))
    source = VOCDetection(tmp_path / inside)
    assert ids(source) == {"train": ["a", "b"], "val": ["c"], "test": ["t"]}
    assert source.notes == ["test.txt: 1 of 2 pictures are not there and left out"]
    assert source.records["val"][0].boxes == (Box(10, 20, 30, 40, 0),)  # pixels counted from 1, the last one within
    assert source.records["val"][0].id == "JPEGImages/c.png"
    assert VOCDetection(tmp_path / inside, corners="between").records["val"][0].boxes == (Box(11, 21, 30, 40, 0),)
    assert ids(VOCDetection(tmp_path / inside, parts="split"))["labelled"] == ["a", "b", "c"]


def test_years(tmp_path: Path) -> None:
    for year, names in (("2007", ("a", "b")), ("2012", ("c", "t"))):
        annotated.kit(tmp_path / f"VOC{year}", dict.fromkeys(names, DOG), trainval=names)
    newest = VOCDetection(tmp_path)
    assert ids(newest) == {"labelled": ["c", "t"]} and newest.notes == ["VOC2012 is read, VOC2007 not: data.year says which"]
    assert ids(VOCDetection(tmp_path, year=2007)) == {"labelled": ["a", "b"]}
    with pytest.raises(DataError, match=r"no folder VOC2010/Annotations/"):
        VOCDetection(tmp_path, year=2010)


def test_test_pictures_without_annotations_are_to_be_predicted(tmp_path: Path) -> None:
    annotated.kit(tmp_path, EVERY, train=("a", "b"), val=("c",), test=("t",))
    (tmp_path / "Annotations" / "t.xml").unlink()
    source = VOCDetection(tmp_path)
    assert ids(source) == {"train": ["a", "b"], "val": ["c"], "unlabelled": ["t"]} and source.records["unlabelled"][0].boxes is None


def test_a_picture_in_two_lists(tmp_path: Path) -> None:
    annotated.kit(tmp_path, EVERY, train=("a", "b"), val=("b", "c"))
    with pytest.raises(DataError, match=r"train\.txt and val\.txt both name b"):
        VOCDetection(tmp_path)


def test_one_list_is_divided(tmp_path: Path) -> None:
    annotated.kit(tmp_path, EVERY, trainval=("a", "b"), val=("b",), test=("t",))
    assert ids(VOCDetection(tmp_path)) == {"labelled": ["a", "b"], "test": ["t"]}


def test_a_list_names_what_is_not_there(tmp_path: Path) -> None:
    annotated.kit(tmp_path, EVERY, train=("a", "nobody"), val=("c",))
    with pytest.raises(DataError, match=r"ImageSets/Main: nobody: no picture nobody"):
        VOCDetection(tmp_path)
    assert ids(VOCDetection(tmp_path, unpaired="skip")) == {"train": ["a"], "val": ["c"]}


@pytest.mark.parametrize("name", ["../../etc/passwd", "sub/a"])
def test_a_list_cannot_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    annotated.kit(tmp_path, EVERY, train=("a", name), val=("c",))
    with pytest.raises(DataError, match=rf"train\.txt: '{name}' is no picture's name"):
        VOCDetection(tmp_path)


def test_flat_folders_with_and_without_lists(tmp_path: Path) -> None:
    annotated.voc(tmp_path, EVERY)
    source = VOCDetection(tmp_path)
    assert ids(source) == {"labelled": ["a", "b", "c", "t"]} and source.records["labelled"][0].boxes == (Box(11, 21, 30, 40, 0),)
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a\nb")
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("c\n\n")
    assert ids(VOCDetection(tmp_path)) == {"train": ["a", "b"], "val": ["c"]}


@pytest.mark.parametrize("form", ["{part}/{kind}", "{kind}/{part}"])
def test_parts_in_folders(tmp_path: Path, form: str) -> None:
    for part, name in (("train", "a"), ("valid", "b"), ("test", "t")):
        annotated.voc(tmp_path, {name: DOG}, form.format(part=part, kind="Images"), form.format(part=part, kind="annotations"))
    assert ids(VOCDetection(tmp_path)) == {"test": ["t"], "train": ["a"], "val": ["b"]}


def test_classes_are_in_the_order_of_their_file_else_by_name(tmp_path: Path) -> None:
    annotated.voc(tmp_path, {"a": [("dog", (1, 2, 3, 4)), ("ant", (1, 2, 3, 4)), ("cat", (1, 2, 3, 4))]})
    assert VOCDetection(tmp_path).labels == ("ant", "cat", "dog")
    (tmp_path / "classes.txt").write_text("dog\nbird\ncat\n")
    assert VOCDetection(tmp_path).labels == ("dog", "bird", "cat", "ant")


def test_two_pictures_of_one_name_are_no_ones(tmp_path: Path) -> None:
    annotated.voc(tmp_path, EVERY)
    annotated.picture(tmp_path / "images" / "a.jpg")
    with pytest.raises(DataError, match=r"(?s)annotations/a\.xml: no picture a.*a\.jpg: no annotation.*a\.png: no annotation"):
        VOCDetection(tmp_path)
