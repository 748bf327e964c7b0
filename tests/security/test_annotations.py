"""Annotations are files of strangers: what they declare is not expanded, what they name is not followed, and what is broken is named."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path

import annotated
import pytest

from security.hostile import Sample, cases, refusal, sparse
from zoo.datasets.annotations import coco, voc, yolo
from zoo.datasets.annotations.checking import checked
from zoo.datasets.coco_detection import COCODetection
from zoo.datasets.voc_detection import VOCDetection

BOX = "<object><name>dog</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))

XML = {
    "an entity that is a file": ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>', "document type"),
    "a billion laughs": (f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><annotation>&l11;</annotation>', "document type"),
    "a document type elsewhere": ('<!DOCTYPE a SYSTEM "http://localhost:1/a.dtd"><annotation/>', "document type"),
    "elements nested 10,000 deep": ("<annotation>" + "<a>" * 10_000, "nested deeper"),
    "100,001 elements": ("<annotation>" + "<a/>" * 100_001, "more than 100,000"),
    "bytes that are no text": ("<annotation>\0\ufffe</annotation>", "no XML"),
    "an encoding that is none": ('<?xml version="1.0" encoding="rot13"?><annotation/>', "no XML"),
}


@cases(
    "Annotations of boxes",
    *[Sample(what, "an XML file of `voc_detection`", "refused", content, says) for what, (content, says) in XML.items()],
)
def test_hostile_xml_is_refused(sample: Sample, tmp_path: Path) -> None:
    annotated.voc(tmp_path, {"a": [("dog", (1, 2, 3, 4))], "b": []})
    (tmp_path / "annotations" / "b.xml").write_text(sample.make, encoding="utf-8")
    refusal(lambda: VOCDetection(tmp_path), "annotations/b.xml", sample.says)
    assert len(VOCDetection(tmp_path, bad_boxes="mend").records["labelled"]) == 1


JSON = {
    "JSON nested 100,000 deep": ("[" * 100_000, "nested too deep"),
    "NaN": ('{"images": [NaN]}', "NaN is no number"),
    "a number of 5,000 digits": ("9" * 5000, "no JSON"),
    "JSON of another kind": ('["a list"]', "expected an object"),
    "bytes that are no text": ("\ufffe\0", "no JSON"),
}


@cases(
    "Annotations of boxes",
    *[Sample(what, "a JSON file of `coco_detection`", "refused", content, says) for what, (content, says) in JSON.items()],
)
def test_hostile_json_is_refused(sample: Sample, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(sample.make, encoding="utf-8")
    refusal(lambda: COCODetection(tmp_path), "a.json", sample.says)


@cases(
    "Annotations of boxes",
    Sample("2 GB of XML", "an XML file of `voc_detection`", "refused by its size", "voc", "more than the"),
    Sample("2 GB of JSON", "a JSON file of `coco_detection`", "refused by its size", "coco", "more than the"),
)
def test_huge_annotations_are_refused(sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """COCO's own bound is 1 GB, which is not read here."""
    monkeypatch.setattr(coco, "MOST_BYTES", 1_000_000)
    annotated.voc(tmp_path, {"a": []})
    file = sparse(tmp_path / ("annotations/a.xml" if sample.make == "voc" else "a.json"), 2 * 2**30, b"<annotation>")
    begun = time.monotonic()
    refusal(lambda: (VOCDetection if sample.make == "voc" else COCODetection)(tmp_path), file.name, sample.says)
    assert time.monotonic() - begun < 2


@cases(
    "Annotations of boxes",
    Sample(
        "a picture's name with `../`, absolute, or too long",
        "a JSON file of `coco_detection`",
        "refused: only the pictures' folder is read",
        test="tests/datasets/test_coco_detection.py::test_pictures_lie_in_their_folder",
    ),
    Sample(
        "a name with `../`",
        "a list in `ImageSets/Main`",
        "refused",
        test="tests/datasets/test_voc_detection.py::test_a_list_cannot_lead_out_of_its_folder",
    ),
    Sample(
        "a path elsewhere", "`filename` of an XML file", "not followed: pictures are found by the XML file's own name", "../outside/x.png"
    ),
)
def test_a_path_in_an_xml_is_not_followed(sample: Sample, tmp_path: Path) -> None:
    annotated.voc(tmp_path, {"a": []})
    (tmp_path / "annotations" / "a.xml").write_text(f"<annotation><filename>{sample.make}</filename><path>/etc</path>{BOX}</annotation>")
    assert [record.path for record in VOCDetection(tmp_path).records["labelled"]] == [tmp_path / "images" / "a.png"]


# Fuzzing: files that were right, and then were not.

WORDS = (
    b"-1",
    b"1e999",
    b"nan",
    b"9" * 400,
    b"\0",
    b"\xff",
    b"<",
    b">",
    b'"',
    b"{",
    b"]",
    b"null",
    b"../../x",
    b"&x;",
    b"<!DOCTYPE a>",
    "ø".encode(),
)


def spoilt(content: bytes, dice: random.Random) -> bytes:
    """Bytes changed, put in, cut out, doubled or cut off."""
    data = bytearray(content)
    for _ in range(dice.randint(1, 6)):
        place, length = dice.randrange(len(data) + 1), dice.randint(1, 30)
        match dice.randrange(5):
            case 0 if place < len(data):
                data[place] = dice.randrange(256)
            case 1:
                data[place:place] = dice.choice(WORDS)
            case 2:
                del data[place : place + length]
            case 3:
                data[place:place] = data[place : place + length]
            case _ if dice.random() < 0.3:
                del data[place:]
    return bytes(data)


def numbers_changed(content: bytes, dice: random.Random) -> bytes:
    """Whole numbers in an otherwise right file replaced: the form stays, and the content makes no sense."""
    return b"".join(dice.choice(WORDS) if word.isdigit() and dice.random() < 0.2 else word for word in _tokens(content))


def _tokens(content: bytes) -> list[bytes]:
    return re.split(rb"(\d+)", content)


@pytest.mark.parametrize("form", ["voc", "coco", "yolo"])
def test_1000_spoilt_annotations_are_told_and_none_crashes(form: str, tmp_path: Path) -> None:
    """Each is read, or refused by an error for people; and whatever is left out, is told with its place."""
    picture = annotated.picture(tmp_path / "images" / "a.png")
    told = 0
    for seed in range(1000):
        dice = random.Random(f"{form} {seed}")
        content = (spoilt if dice.random() < 0.7 else numbers_changed)(WHOLE[form], dice)
        told += TRY[form](content, tmp_path, picture)
    assert told > 400, "most changes are faults"


def _try_voc(content: bytes, root: Path, picture: Path) -> bool:
    try:
        size, objects, faults = voc.parse(content)
    except ValueError as error:
        return named(str(error))
    one = voc.Annotation(picture.name, "annotations/a.xml", picture, size, tuple(objects), tuple(faults))
    return _checked(voc.Annotated(root, (), {"labelled": [one]}), content.count(b"<object>") - len(objects))


def _try_coco(content: bytes, root: Path, picture: Path) -> bool:
    try:
        data = coco.parse(content)
    except ValueError as error:
        return named(str(error))
    labels, found, faults = coco.understood(data, "a.json", picture.parent)
    assert all(one.picture is None or one.picture.resolve().is_relative_to(root) for one in found)
    lost = len(data["annotations"]) - sum(len(one.objects) for one in found)
    return _checked(voc.Annotated(root, tuple(labels), {"labelled": found}, faults=faults), lost)


def _try_yolo(content: bytes, root: Path, picture: Path) -> bool:
    try:
        objects, faults = yolo.parse(content, annotated.SIZE, {0: "dog", 1: "cat"})
    except ValueError as error:
        return named(str(error))
    one = voc.Annotation(picture.name, "labels/a.txt", picture, annotated.SIZE, tuple(objects), tuple(faults))
    lines = [line for line in content.decode().splitlines() if line.strip()]
    return _checked(voc.Annotated(root, (), {"labelled": [one]}), len(lines) - len(objects))


def _checked(found: voc.Annotated, lost: int) -> bool:
    """Nothing is lost without a word: what a reader leaves out and what mending changes is named, and what is left is right."""
    own = len(found.faults) + sum(len(one.faults) for one in found.parts["labelled"])
    assert own >= lost
    for fault in (*found.faults, *(fault for one in found.parts["labelled"] for fault in one.faults)):
        named(fault)
    whole, notes = checked(found, "mend", "skip")
    for note in notes:
        named(note)
    for one in whole.parts["labelled"]:
        for thing in one.objects:
            left, top, right, bottom = thing.corners
            assert one.size and 0 <= left < right <= one.size[0] and 0 <= top < bottom <= one.size[1] and thing.name
    return bool(notes)


def named(text: str) -> bool:
    """A sentence fit to be printed: on one line, not endless."""
    assert text and text.isprintable() and len(text) < 3000, text
    return True


WHOLE = {
    "voc": voc.spell("a.png", annotated.SIZE, tuple(voc.parse(f"<annotation>{BOX * 3}</annotation>".encode())[1])),
    "coco": json.dumps(
        {
            "images": [annotated.image(1, "a.png"), annotated.image(2, "b.png")],
            "annotations": [annotated.box(number, of=1) for number in range(4)],
            "categories": annotated.CATEGORIES,
        }
    ).encode(),
    "yolo": b"0 0.5 0.5 0.25 0.25\n1 0.25 0.75 0.1 0.2\n0 0.1 0.1 0.05 0.05\n",
}
TRY = {"voc": _try_voc, "coco": _try_coco, "yolo": _try_yolo}
