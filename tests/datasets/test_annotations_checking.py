"""Faults of annotations: all are named at once, and mending does what it says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import annotated
import pytest
from PIL import Image

from zoo.datasets.annotations import Annotation, Object, voc
from zoo.datasets.annotations.checking import checked, header_size, mended
from zoo.datasets.annotations.listing import choose, listed
from zoo.datasets.boxes import IGNORED, Box
from zoo.errors import DataError, RecipeError

SIZE = annotated.SIZE


@pytest.mark.parametrize(
    ("corners", "becomes", "told"),
    [
        ((1, 2, 30, 40), (1, 2, 30, 40), ""),
        ((0, 0, 60.005, 40), (0, 0, 60, 40), ""),
        ((-3, 2, 30, 40), (0, 2, 30, 40), "(-3, 2, 30, 40) reaches out of the picture of 60x40 pixels (mended: cut)"),
        ((1, 2, 61, 41), (1, 2, 60, 40), "(1, 2, 61, 41) reaches out of the picture of 60x40 pixels (mended: cut)"),
        ((30, 40, 1, 2), (1, 2, 30, 40), "(30, 40, 1, 2) is inverted (mended: turned)"),
        (
            (30, 2, -1, 40),
            (0, 2, 30, 40),
            "(30, 2, -1, 40) is inverted (mended: turned) and reaches out of the picture of 60x40 pixels (mended: cut)",
        ),
        ((5, 5, 5, 9), None, "(5, 5, 5, 9) has no area (mended: dropped)"),
        ((60, 5, 70, 9), None, "(60, 5, 70, 9) is outside the picture of 60x40 pixels (mended: dropped)"),
        ((-9, 5, 0, 9), None, "(-9, 5, 0, 9) is outside the picture of 60x40 pixels (mended: dropped)"),
    ],
)
def test_boxes_are_mended(corners: tuple[float, float, float, float], becomes: Sequence[float] | None, told: str) -> None:
    one, faults = mended(Annotation("a.png", "a.xml", None, SIZE, (Object("dog", corners, truncated=True),)))
    assert one is not None
    assert [thing.corners for thing in one.objects] == ([becomes] if becomes else []) and all(thing.truncated for thing in one.objects)
    assert faults == ([f"box 1 (dog): {told}"] if told else [])


def test_a_box_is_kept_once_of_each_class() -> None:
    same = (1.0, 2.0, 3.0, 4.0)
    things = (Object("dog", same), Object("cat", same), Object("dog", same), Object("dog", same, crowd=True))
    one, faults = mended(Annotation("a.png", "a.xml", None, SIZE, things))
    assert one is not None and one.objects == (things[0], things[1], things[3])
    assert faults == ["box 3 (dog): (1, 2, 3, 4) is there twice (mended: one is kept)"]


def test_unknown_classes() -> None:
    one, faults = mended(Annotation("a.png", "", None, SIZE, (Object("helmt", (1, 2, 3, 4)),)), ("helmet", "head"))
    assert one is not None and one.objects == ()
    assert faults == ["box 1 (helmt): there is no such class; expected helmet, head (mended: dropped)"]


def test_the_pictures_own_size_counts(tmp_path: Path) -> None:
    path, thing = annotated.picture(tmp_path / "a.png"), Object("dog", (1, 2, 70, 30))
    for told in (SIZE, None):
        one, _ = mended(Annotation("a.png", "", path, told, (thing,)))
        assert one is not None and one.size == SIZE and one.objects[0].corners == (1, 2, 60, 30)
    one, faults = mended(Annotation("a.png", "", path, (40, 60), (thing,)))
    assert one is None and faults == ["it is of a picture of 40x60 pixels, and a.png has 60x40 (mended: its picture is left out)"]


def test_a_turned_picture_has_the_size_it_is_seen_in(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", SIZE).save(tmp_path / "a.jpg", exif=exif)
    assert header_size(tmp_path / "a.jpg") == (40, 60) and header_size(tmp_path / "b.jpg") is None


def faulty(root: Path) -> Path:
    """A data set with one of each fault."""
    good = ("dog", (1, 2, 3, 4))
    annotated.voc(root, {"a": [good, good], "b": [("dog", (1, 2, 99, 30))], "c": [good], "d": [], "e": [good], "f": [good]})
    (root / "annotations" / "c.xml").write_text("<annotation>")
    (root / "annotations" / "d.xml").unlink()
    (root / "images" / "e.png").unlink()
    annotated.picture(root / "images" / "f.png", (41, 60))
    return root


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        checked(voc.read(faulty(tmp_path)), "error", "error")
    said = str(caught.value)
    for line in (
        "4 faults in the annotations:",
        "annotations/a.xml: box 2 (dog): (1, 2, 3, 4) is there twice (mended: one is kept)",
        "annotations/b.xml: box 1 (dog): (1, 2, 99, 30) reaches out of the picture of 60x40 pixels (mended: cut)",
        "annotations/c.xml: no XML (no element found: line 1, column 12) (mended: its picture is left out)",
        "annotations/f.xml: it is of a picture of 60x40 pixels, and f.png has 41x60 (mended: its picture is left out)",
        "2 files without a counterpart:",
        "annotations/e.xml: no picture e",
        "d.png: no annotation",
        "data.bad_boxes=mend",
        "data.unpaired=skip",
        "data.unpaired=empty",
    ):
        assert line in said


def test_what_is_mended_is_noted(tmp_path: Path) -> None:
    whole, notes = checked(voc.read(faulty(tmp_path)), "mend", "skip")
    assert [(one.name, len(one.objects)) for one in whole.parts["labelled"]] == [("a.png", 1), ("b.png", 1)]
    assert notes[0].startswith("annotations: 4 mended (data.bad_boxes=mend): annotations/a.xml: box 2 (dog)")
    assert notes[1] == "annotations: 2 left out (data.unpaired=skip): annotations/e.xml: no picture e; d.png: no annotation"
    empty, _ = checked(voc.read(tmp_path), "mend", "empty")
    assert [(one.name, one.objects) for one in empty.parts["labelled"]][2] == ("d.png", ())


def test_each_policy_is_for_its_own_faults(tmp_path: Path) -> None:
    faulty(tmp_path)
    with pytest.raises(DataError, match="4 faults in the annotations") as caught:
        checked(voc.read(tmp_path), "error", "skip")
    assert "counterpart" not in str(caught.value) and "data.unpaired" not in str(caught.value)
    with pytest.raises(DataError, match="2 files without a counterpart") as caught:
        checked(voc.read(tmp_path), "mend", "error")
    assert "in the annotations" not in str(caught.value) and "data.bad_boxes" not in str(caught.value)


def test_long_lists_are_cut(tmp_path: Path) -> None:
    annotated.voc(tmp_path, {f"{number:02d}": [("dog", (1, 2, 99, 30))] for number in range(14)})
    with pytest.raises(DataError, match=r"14 faults in the annotations:(?s:.)*09\.xml(?s:.)*  \.\.\. and 4 more") as caught:
        checked(voc.read(tmp_path), "error", "error")
    assert "10.xml" not in str(caught.value)


# Classes.


def test_classes_and_merging() -> None:
    names = ("car", "bus", "dog")
    assert choose(names, (), ()) == (names, {"car": 0, "bus": 1, "dog": 2})
    assert choose(names, ("dog", "car"), ()) == (("dog", "car"), {"dog": 0, "car": 1})
    assert choose(names, (), ("vehicle = car + bus",)) == (("vehicle", "dog"), {"car": 0, "bus": 0, "dog": 1})
    assert choose(names, ("vehicle",), ("vehicle=car+bus",)) == (("vehicle",), {"car": 0, "bus": 0})
    assert choose(names, (), ("car=bus",)) == (("car", "dog"), {"car": 0, "bus": 0, "dog": 1})


@pytest.mark.parametrize(
    ("classes", "merge", "told"),
    [
        (("cat",), (), "data.classes: there is no class 'cat'; there are car, bus, dog"),
        (("car",), ("vehicle=car+bus",), "data.classes: there is no class 'car'; there are vehicle, dog"),
        (("dog", "dog"), (), "a class is named twice"),
        ((), ("vehicle=car+van",), "data.merge: there is no class 'van'; there are car, bus, dog"),
        ((), ("vehicle=car", "thing=car"), "a class is named twice"),
        ((), ("car+bus",), r"expected new=old\+old"),
        ((), ("v=car+",), r"expected new=old\+old"),
    ],
)
def test_classes_that_are_not_there(classes: tuple[str, ...], merge: tuple[str, ...], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        choose(("car", "bus", "dog"), classes, merge)


def test_boxes_of_other_classes(tmp_path: Path) -> None:
    annotated.voc(tmp_path, {"a": [("dog", (1, 2, 3, 4)), ("cat", (5, 6, 7, 8))], "b": []})
    ignored = listed(voc.read(tmp_path), ("dog",), (), "ignore", "error", "error", "")
    assert [record.boxes for record in ignored.records["labelled"]] == [(Box(1, 2, 3, 4, 0), Box(5, 6, 7, 8, IGNORED)), ()]
    assert ignored.labels == ("dog",) and ignored.notes == ["boxes of other classes count as ignored (data.others): 1 cat"]
    nothing = listed(voc.read(tmp_path), ("dog",), (), "background", "error", "error", "")
    assert nothing.records["labelled"][0].boxes == (Box(1, 2, 3, 4, 0),)
    assert nothing.notes == ["boxes of other classes count as background (data.others): 1 cat"]


def test_what_cannot_be_told_is_ignored(tmp_path: Path) -> None:
    annotated.voc(tmp_path, {"a": [("dog", (5, 6, 7, 8))]})
    things = (Object("dog", (1, 2, 3, 4), difficult=True), Object("dog", (2, 2, 3, 4), crowd=True), Object("dog", (3, 2, 9, 4)))
    (tmp_path / "annotations" / "a.xml").write_bytes(voc.spell("a.png", SIZE, things))
    (record,) = listed(voc.read(tmp_path), (), (), "ignore", "error", "error", "").records["labelled"]
    assert [box.label for box in record.boxes or ()] == [IGNORED, IGNORED, 0]


def test_photos_stay_together(tmp_path: Path) -> None:
    annotated.voc(tmp_path, {name: [("dog", (1, 2, 3, 4))] for name in ("p__0__1", "p__1", "q")})
    found = listed(voc.read(tmp_path), (), (), "ignore", "error", "error", "__")
    assert [record.group for record in found.records["labelled"]] == ["p", "p", "q"] and found.groups == "photo"
    with pytest.raises(RecipeError, match=r"data\.group_by='@' is in no picture's name, such as p__0__1\.png"):
        listed(voc.read(tmp_path), (), (), "ignore", "error", "error", "@")


def test_a_data_set_without_boxes_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no box of any class"):
        listed(voc.read(annotated.voc(tmp_path, {"a": [], "b": []})), (), (), "ignore", "error", "error", "")
    annotated.voc(tmp_path, {"a": [("dog", (1, 2, 3, 4))]})
    with pytest.raises(DataError, match="no box of cat in any annotation, but for what is ignored; there is nothing to learn"):
        listed(voc.read(tmp_path), ("cat",), (), "ignore", "error", "error", "", ("dog", "cat"))
    annotated.picture(tmp_path / "images" / "a.png", (40, 60))
    with pytest.raises(DataError, match=r"nothing to learn\. annotations: 1 mended .*: it is of a picture of 60x40 pixels"):
        listed(voc.read(tmp_path), (), (), "ignore", "mend", "skip", "")
