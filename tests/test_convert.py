"""`zoo convert`: a data set goes from form to form and comes back as it was."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import annotated
import pytest

from zoo import convert
from zoo.datasets.annotations import Annotated, Object, coco, voc, yolo
from zoo.datasets.annotations.checking import header_size
from zoo.errors import DataError, RecipeError, ZooError

READ = {"voc": voc.read, "coco": coco.read, "yolo": yolo.read}

RICH = (
    Object("dog", (1, 2, 30, 40), truncated=True, pose="Frontal"),
    Object("bird", (1.25, 0, 60, 7.5), occluded=True, area=17.5, segmentation=[[1.25, 0, 60, 7.5, 3, 3]]),
    Object("dog", (0.1, 0.7, 0.3, 39.8), difficult=True),
    Object("ant", (5, 5, 50, 30), crowd=True, segmentation={"counts": [5, 7], "size": [40, 60]}),
)


def data_set(root: Path, parts: tuple[str, ...] = ()) -> Path:
    """VOC's form, with all that can be said, a picture in a folder and one without boxes; classes are not in the order of their names."""
    things = {"a": RICH, "sub/b": (Object("dog", (1, 2, 3, 4)),), "c": ()}
    for part in parts or ("",):
        for name, objects in things.items():
            annotated.picture(root / part / "images" / f"{name}.png")
            file = root / part / "annotations" / f"{name}.xml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(voc.spell(f"{name}.png", annotated.SIZE, objects))
    (root / "classes.txt").write_text("dog\nant\nbird\nfish\n")
    return root


def command(*words: object) -> int:
    return convert.main([str(word) for word in words])


def held(found: Annotated, whole: bool = True) -> dict[str, list[tuple[Any, ...]]]:
    """What a data set says, by part and picture; but for `whole`, what YOLO can hold of it."""
    parts = {}
    for part, pictures in found.parts.items():
        assert all(one.picture and one.picture.is_file() and not one.faults and one.state == "read" for one in pictures)
        kept = [(one.name, one.size, one.objects if whole else _plain(one.objects)) for one in pictures]
        parts[part] = sorted(kept, key=lambda item: item[0])
    return parts


def _plain(objects: tuple[Object, ...]) -> list[Object]:
    return [Object(one.name, one.corners) for one in objects if not one.ignored]


@pytest.mark.parametrize("parts", [(), ("train", "val"), ("train", "val", "test")], ids=len)
@pytest.mark.parametrize(
    "forms", [("coco", "voc"), ("voc",), ("coco", "coco", "voc"), ("yolo", "voc"), ("coco", "yolo", "coco")], ids="-".join
)
def test_there_and_back(tmp_path: Path, forms: tuple[str, ...], parts: tuple[str, ...]) -> None:
    first = place = data_set(tmp_path / "voc", parts)
    before = "voc"
    for number, form in enumerate(forms):
        new = tmp_path / f"{number}"
        assert command(place, new, "--from", before, "--to", form) == 0
        place, before = new, form
    old, new_one = voc.read(first), READ[before](place)
    assert held(new_one) == held(old) if "yolo" not in forms else held(new_one, False) == held(old, False)
    assert new_one.labels == old.labels == ("dog", "ant", "bird", "fish")
    assert set(new_one.parts) == set(parts or ("labelled",))


def test_the_way_from_form_to_form_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(data_set(tmp_path / "a"), tmp_path / "b", "--from", "voc", "--to", "yolo")
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'b'}\n"
    assert "labelled: 3 pictures, 5 boxes of 4 classes" in said.err
    assert "left out, since YOLO cannot mark them: 2 boxes that are difficult or a crowd" in said.err
    assert sorted(path.relative_to(tmp_path / "b").as_posix() for path in (tmp_path / "b").rglob("*.*")) == [
        "data.yaml", "images/a.png", "images/c.png", "images/sub/b.png", "labels/a.txt", "labels/c.txt", "labels/sub/b.txt",
    ]  # fmt: skip
    assert (tmp_path / "b" / "labels" / "sub" / "b.txt").read_text() == "0 0.033333333333 0.075000000000 0.033333333333 0.050000000000\n"


def test_a_development_kit_counts_from_one(tmp_path: Path) -> None:
    annotated.kit(tmp_path / "kit", {name: [("dog", (11, 21, 30, 40))] for name in "abc"}, train=("a", "b"), val=("c",))
    command(tmp_path / "kit", tmp_path / "coco", "--from", "voc", "--to", "coco")
    assert [one.objects[0].corners for one in coco.read(tmp_path / "coco").parts["train"]] == [(10, 20, 30, 40)] * 2
    command(tmp_path / "coco", tmp_path / "voc", "--from", "coco", "--to", "voc", "--corners", "inclusive")
    assert b"<xmin>11</xmin>" in (tmp_path / "voc" / "val" / "annotations" / "c.xml").read_bytes()


@pytest.mark.parametrize("how", ["copy", "link", "none"])
def test_pictures(tmp_path: Path, how: str) -> None:
    command(data_set(tmp_path / "a"), tmp_path / "b", "--from", "voc", "--to", "coco", "--pictures", how)
    old, new = tmp_path / "a" / "images" / "a.png", tmp_path / "b" / "images" / "a.png"
    assert new.exists() == (how != "none") and (how == "none" or header_size(new) == annotated.SIZE)
    assert how == "none" or (new.samefile(old) == (how == "link") and not new.is_symlink())


def test_pictures_that_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_disk(old: Path, new: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    data_set(tmp_path / "a")
    monkeypatch.setattr(os, "link", other_disk)
    with pytest.raises(ZooError, match=r"a\.png cannot be linked to .*another disk; use --pictures copy"):
        command(tmp_path / "a", tmp_path / "b", "--from", "voc", "--to", "coco", "--pictures", "link")
    assert not (tmp_path / "b").exists()


def test_faults_are_named_or_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotated.voc(tmp_path / "a", {"a": [("dog", (1, 2, 99, 30))], "b": [("dog", (1, 2, 9, 9))]})
    (tmp_path / "a" / "annotations" / "b.xml").unlink()
    words = (tmp_path / "a", tmp_path / "b", "--from", "voc", "--to", "coco")
    with pytest.raises(DataError, match=r"(?s)a\.xml: box 1 .*--bad-boxes mend .*b\.png: no annotation.*--unpaired skip "):
        command(*words)
    assert not (tmp_path / "b").exists()
    command(*words, "--bad-boxes", "mend", "--unpaired", "empty")
    assert [one.objects for one in coco.read(tmp_path / "b").parts["labelled"]] == [(Object("dog", (1, 2, 60, 30)),), ()]
    assert "1 mended (--bad-boxes mend)" in capsys.readouterr().err


def test_names_that_differ_in_their_endings(tmp_path: Path) -> None:
    images = [annotated.image(1, "a.png"), annotated.image(2, "a.jpg")]
    annotated.coco(tmp_path / "a" / "a.json", images, [], tmp_path / "a" / "images")
    with pytest.raises(DataError, match=r"a\.png and a\.jpg differ in their endings only"):
        command(tmp_path / "a", tmp_path / "b", "--from", "coco", "--to", "voc")


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    words = (data_set(tmp_path / "a"), tmp_path / "b", "--from", "voc", "--to", "coco")
    with pytest.raises(RecipeError, match="is there already"):
        command(*words)
    assert list((tmp_path / "b").iterdir()) == []
    with pytest.raises(DataError, match="there is no such folder"):
        command(tmp_path / "c", tmp_path / "d", *words[2:])
    with pytest.raises(DataError, match=r"no folders images/ and labels/; `zoo convert --help` says what --from yolo expects"):
        command(words[0], tmp_path / "d", "--from", "yolo", "--to", "coco")


def test_a_conversion_that_is_cut_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(coco, "write", full)
    with pytest.raises(ZooError, match="No space left on device"):
        command(data_set(tmp_path / "a"), tmp_path / "b", "--from", "voc", "--to", "coco")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "home"}
