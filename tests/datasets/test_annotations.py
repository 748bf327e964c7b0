"""What VOC, COCO and YOLO files say is read as it is meant, and written so that it is read back."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import annotated
import pytest
import yaml

from zoo.datasets.annotations import Annotated, Annotation, MissingLayoutError, Object, class_name, coco, number, read_bytes, voc, yolo
from zoo.errors import DataError

NAMES = ("dog", "größer & <kleiner>", "traffic light")


def things(dice: random.Random, size: tuple[int, int], digits: int) -> tuple[Object, ...]:
    """Things with all that can be said of them; coordinates of so many digits behind the point."""
    made = []
    for _ in range(dice.randint(0, 5)):
        left, right = sorted(round(dice.uniform(0, size[0]), digits) for _ in range(2))
        top, bottom = sorted(round(dice.uniform(0, size[1]), digits) for _ in range(2))
        flags = [dice.random() < 0.3 for _ in range(4)]
        outline = [[left, top, right, top, right, bottom]] if dice.random() < 0.5 else None
        pose = dice.choice(("", "Frontal", "von links"))
        area = dice.choice((None, round(dice.uniform(1, 500), 3)))
        made.append(Object(dice.choice(NAMES), (left, top, right, bottom), *flags, pose=pose, area=area, segmentation=outline))
    return tuple(made)


@pytest.mark.parametrize("digits", [0, 2, 15])
@pytest.mark.parametrize("inclusive", [False, True])
def test_voc_is_read_back(digits: int, inclusive: bool) -> None:
    for seed in range(30):
        made = things(random.Random(seed), (500, 375), digits)
        size, read, faults = voc.parse(voc.spell("a.jpg", (500, 375), made, inclusive), inclusive)
        assert size == (500, 375) and faults == []
        if digits < 15 or not inclusive:  # one more or less shifts the last of 16 digits
            assert tuple(rounded(one) for one in read) == tuple(rounded(one) for one in made)
            assert inclusive or tuple(read) == made


def rounded(one: Object) -> tuple[Any, ...]:
    return (*(round(value, 9) for value in one.corners), *(getattr(one, name) for name in one.__dataclass_fields__ if name != "corners"))


@pytest.mark.parametrize("digits", [0, 2, 6])
def test_coco_is_read_back(digits: int, tmp_path: Path) -> None:
    pictures = [Annotation(f"{seed}.jpg", "", None, (500, 375), things(random.Random(seed), (500, 375), digits)) for seed in range(30)]
    content = coco.spell(Annotated(tmp_path, NAMES, {"labelled": pictures}))["labelled"]
    names, read, faults = coco.understood(coco.parse(json.dumps(content).encode()), "a.json", tmp_path)
    assert names == list(NAMES) and faults == []
    assert [(one.name, one.size, one.objects, one.faults) for one in read] == [(one.name, one.size, one.objects, ()) for one in pictures]


@pytest.mark.parametrize("size", [(1, 1), (416, 415), (1001, 997), (99_999, 12_345)])
def test_yolo_is_read_back_to_a_millionth_of_a_pixel(size: tuple[int, int]) -> None:
    for seed in range(30):
        made = tuple(Object(one.name, one.corners) for one in things(random.Random(seed), size, 6))
        content = yolo.spell(made, size, {name: place for place, name in enumerate(NAMES)})
        read, faults = yolo.parse(content.encode(), size, dict(enumerate(NAMES)))
        assert [one.name for one in read] == [one.name for one in made] and faults == []
        pairs = [(one, other) for old, new in zip(made, read, strict=True) for one, other in zip(old.corners, new.corners, strict=True)]
        assert all(abs(one - other) <= 1.000001e-6 for one, other in pairs)


def test_whole_pixels_come_back_from_yolo_as_they_were() -> None:
    made = [Object("dog", (left, 3, left + wide, 77)) for left in range(0, 90, 7) for wide in (1, 3, 10)]
    assert yolo.parse(yolo.spell(tuple(made), (113, 79), {"dog": 0}).encode(), (113, 79), {0: "dog"})[0] == made


def test_the_challenges_pixels_are_counted_from_one() -> None:
    """VOC2007's 000005 begins with a chair whose first column is 263: 262 pixels are left of it."""
    text = (
        b"<annotation><object><name>chair</name><bndbox><xmax>324</xmax><xmin>263</xmin><ymin>211</ymin><ymax>339</ymax></bndbox></object>"
    )
    text += b"</annotation>"
    assert voc.parse(text, inclusive=True) == (None, [Object("chair", (262, 210, 324, 339))], [])
    assert voc.parse(text)[1][0].corners == (263, 211, 324, 339)


def test_parts_of_a_thing_are_no_things() -> None:
    """The challenge boxes heads and hands of persons within the person."""
    body = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    text = f"<annotation><object><part><name>head</name>{body.replace('9', '3')}</part><name>person</name>{body}</object></annotation>"
    assert [(one.name, one.corners) for one in voc.parse(text.encode())[1]] == [("person", (1, 1, 9, 9))]


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ("<name>dog</name>", "object 1: 'dog' has no <bndbox>"),
        ("<bndbox/>", "object 1: its class is nothing; expected a name"),
        ("<name> </name><bndbox/>", "object 1: its class is ' '; expected a name"),
        ("<name>dog</name><bndbox><xmin>1</xmin></bndbox>", "object 1: ymin: nothing is no number"),
        ("<name>dog</name><bndbox><xmin>1_0</xmin></bndbox>", "object 1: xmin: '1_0' is no number"),
        ("<name>dog</name><bndbox><xmin>nan</xmin></bndbox>", "object 1: xmin: 'nan' is no number"),
        ("<name>dog</name><bndbox><xmin>9e99</xmin></bndbox>", "object 1: xmin: 9e+99 is no number of pixels"),
    ],
)
def test_faults_of_an_xml_are_named(inside: str, told: str) -> None:
    good = annotated_object()
    _, read, faults = voc.parse(f"<annotation><object>{inside}</object>{good}</annotation>".encode())
    assert len(faults) == 1 and faults[0].startswith(told) and faults[0].endswith("(mended: dropped)")
    assert [one.name for one in read] == ["cat"]


def annotated_object() -> str:
    return "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object>"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 .5 .5 .1", "line 2: '0 .5 .5 .1': expected 5 numbers"),
        ("0 .5 .5 .1 .1 .9", "outlines and scores are not read"),
        ("2 .5 .5 .1 .1", "line 2: its class is '2', and no class has that number"),
        ("-1 .5 .5 .1 .1", "line 2: its class is '-1'"),
        ("0 .5 x .1 .1", "line 2: 'x' is no number"),
    ],
)
def test_faults_of_lines_are_named(line: str, told: str) -> None:
    read, faults = yolo.parse(f"1 .5 .5 .1 .1\n{line}\n".encode(), (10, 10), {0: "dog", 1: "cat"})
    assert len(read) == 1 and len(faults) == 1 and told in faults[0]


@pytest.mark.parametrize(
    ("images", "boxes", "told"),
    [
        ([{"id": 1}], [], "image 0: its file_name is nothing"),
        ([{"file_name": "a.png"}], [], "image 0: its id is nothing, expected a number"),
        (["a.png"], [], "image 0: its id is not there: the entry is 'a.png'"),
        ([annotated.image(1, "a.png"), annotated.image(2, "./a.png")], [], "image 1: its id 2 or its file_name 'a.png' is another image's"),
        ([], [annotated.box(1, of=9)], "annotations[0]: its image_id is 9, and no image has that id"),
        ([], [None], "annotations[0]: its image_id is not there: the entry is nothing"),
    ],
)
def test_faults_of_entries_are_named(images: Any, boxes: Any, told: str, tmp_path: Path) -> None:
    faults = coco.understood({"images": images, "annotations": boxes, "categories": annotated.CATEGORIES}, "a.json", tmp_path)[2]
    assert len(faults) == 1 and faults[0].startswith(f"a.json: {told}")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"category_id": 5}, "its category_id is 5, and no category has that id"),
        ({"bbox": [1, 2, 3]}, "its bbox is a JSON list, expected [left, top, width, height]"),
        ({"bbox": [1, 2, None, 3]}, "nothing is no number"),
        ({"bbox": [1, 2, -3, 3]}, "its bbox has width -3 and height 3"),
        ({"bbox": [10**5000, 2, 3, 3]}, "a number of more than 40 digits is no number of pixels"),
        ({"bbox": [True, 2, 3, 3]}, "True is no number"),
        ({"area": "large"}, "its area is 'large'"),
    ],
)
def test_faults_of_boxes_are_named(wrong: dict[str, Any], told: str, tmp_path: Path) -> None:
    boxes = [annotated.box(1, of=1), annotated.box(2, of=1) | wrong]
    data = {"images": [annotated.image(1, "a.png")], "annotations": boxes, "categories": annotated.CATEGORIES}
    _, (one,), faults = coco.understood(data, "a.json", tmp_path)
    assert faults == [] and one.faults == (f"annotations[1]: {told} (mended: dropped)",) and len(one.objects) == 1


def test_sums_are_of_the_numbers_that_are_written(tmp_path: Path) -> None:
    data = {
        "images": [annotated.image(1, "a.png")],
        "annotations": [annotated.box(1, 1, bbox=(0.1, 0.7, 0.2, 0.1))],
        "categories": annotated.CATEGORIES,
    }
    assert coco.understood(data, "", tmp_path)[1][0].objects[0].corners == (0.1, 0.7, 0.3, 0.8)


def test_names_of_yolos_classes(tmp_path: Path) -> None:
    annotated.picture(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    with pytest.raises(MissingLayoutError, match=r"no data\.yaml or classes\.txt"):
        yolo.read(tmp_path)
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    assert yolo.read(tmp_path).labels == ("dog", "cat")
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"names": {0: "bird", 2: "fish"}, "train": "/etc"}))
    found = yolo.read(tmp_path)
    assert found.labels == ("bird", "fish") and found.parts["labelled"][0].objects == ()


@pytest.mark.parametrize(
    "content",
    ["names: 5", "names: []", "names: [1]", "names: {-1: a}", "[" * 5000, "names: !!bool x", "a: !!timestamp x", "\0", "names: &a [*a]"],
)
def test_names_that_cannot_be_read(content: str, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(content)
    with pytest.raises(DataError, match=r"data\.yaml: .*; expected the names of the classes"):
        yolo.read(tmp_path)


def test_numbers_and_names() -> None:
    assert [number(value) for value in (" 7 ", "+1.50", ".5", "1e2", 3, 0.25)] == [7, 1.5, 0.5, 100, 3, 0.25]
    assert class_name(" traffic light ") == "traffic light"
    for value in ("", "0x10", "1e400", "inf", "٣", float("nan"), None, [], True):
        with pytest.raises(ValueError, match="is no number"):
            number(value)
    for name in ("", "a\nb", "a" * 101, "\ud800", 5):
        with pytest.raises(ValueError, match="its class is"):
            class_name(name)


def test_files_are_bounded_before_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5) == b"12345"
    for path, told in ((tmp_path / "a", "more than the"), (tmp_path, "not a file"), (tmp_path / "b", "not a file")):
        with pytest.raises(ValueError, match=told):
            read_bytes(path, 4)
