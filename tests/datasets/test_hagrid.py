"""HaGRID: boxes in parts of the picture, of two versions, the people they are of, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import gesture_files as files
import pytest
from gesture_files import entry

from zoo.datasets.hagrid import HaGRID
from zoo.datasets.source import Crop
from zoo.errors import DataError

LIKE, NONE = ("like", [0.5, 0.25, 0.25, 0.5]), ("no_gesture", [0.0, 0.0, 0.125, 0.25])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    both = entry(LIKE, NONE, landmarks=[[[0.1, 0.2]] * 21, []], leading_hand="right", leading_conf=1.0)
    second = entry(("fist", [0.1, 0.1, 0.2, 0.2]), user="u2", united_bbox=None, united_label=None, hand_landmarks=[], meta={"age": [20]})
    return files.hagrid(tmp_path / "hagrid", {"ann_subsample/like": {"aa": both}, "ann_subsample/fist": {"bb": second}})


def test_every_box_is_a_record_of_its_gesture_and_its_person(root: Path) -> None:
    source = HaGRID(root, margin=0)
    assert source.labels == ("fist", "like", "no_gesture") and source.groups == "person" and not source.notes
    found = {record.id: (source.labels[record.label], record.group, record.crop) for record in source.records["labelled"]}
    assert found == {
        "subsample/like/aa.jpg#0": ("like", "u1", Crop(0.5, 0.25, 0.75, 0.75, True)),
        "subsample/like/aa.jpg#1": ("no_gesture", "u1", Crop(0, 0, 0.125, 0.25, True)),
        "subsample/fist/bb.jpg#0": ("fist", "u2", Crop(*(pytest.approx(value) for value in (0.1, 0.1, 0.3, 0.3)), True)),
    }
    like = next(record for record in source.records["labelled"] if record.id.endswith("aa.jpg#0"))
    assert source.read(like)[0].size == (24, 28), "13.5 to 40.5 pixels down touch 28"


@pytest.mark.parametrize(
    ("folders", "pictures"), [(("ann_train_val", "ann_test"), "train_val"), (("annotations/train", "annotations/test"), "")]
)
def test_the_parts_of_both_versions_are_kept(folders: tuple[str, str], pictures: str, root: Path) -> None:
    for number, folder in enumerate(folders):
        files.hagrid(root, {f"{folder}/like": {f"{number}{name}": entry(LIKE, user=f"{number}") for name in "abc"}}, pictures)
    source = HaGRID(root)
    assert {part: len(records) for part, records in source.records.items()} == {"train": 3, "test": 3}
    assert source.notes == ["ann_subsample/ is not read, since all of the data set is there"]


def test_pictures_that_are_not_there_are_counted_and_no_path_is_followed(root: Path) -> None:
    files.picture(root.parent / "outside.jpg")
    entries = {name: entry(LIKE) for name in ("cc", "../../outside", str(root.parent / "outside"), "")}
    (root / "ann_subsample" / "one.json").write_text(json.dumps(entries))
    source = HaGRID(root)
    assert len(source.records["labelled"]) == 3 and source.notes == ["annotated, but not here and left out: 4 pictures"]
    assert all(record.path.resolve().is_relative_to(root) for record in source.records["labelled"])


BAD = {
    "no numbers": (["0.1", 0.1, 0.2, 0.2], "the text '0.1' is no number"),
    "NaN": ([float("nan"), 0.1, 0.2, 0.2], "nan is no number of pixels"),
    "infinity": ([0.1, 0.1, float("inf"), 0.2], "is no number of pixels"),
    "a huge number": ([0.1, 0.1, 10**400, 0.2], "is no number of pixels"),
    "pixels": ([100, 200, 300, 400], "expected parts of its width and height"),
    "pixels from the corner on": ([0, 0, 300, 400], "expected parts of its width and height"),
    "no area": ([0.1, 0.1, 0.0, 0.2], "has no area"),
    "outside": ([1.1, 0.1, 0.2, 0.2], "lies outside of the picture"),
    "three numbers": ([0.1, 0.1, 0.2], "expected [left, top, width, height]"),
    "true": ([True, 0.1, 0.2, 0.2], "True is no number"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_a_bad_box_is_left_out_and_told_with_its_place(case: str, root: Path) -> None:
    box, says = BAD[case]
    files.hagrid(root, {"ann_subsample/one": {"cc": entry(("one", box), ("one", [0.1, 0.1, 0.2, 0.2]))}})
    source = HaGRID(root)
    assert "subsample/one/cc.jpg#1" in {record.id for record in source.records["labelled"]} and len(source.records["labelled"]) == 4
    (note,) = source.notes
    assert note.startswith("left out: boxes that cannot be used (1): ann_subsample/one.json, cc, bboxes[0], ") and says in note


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ([], "a JSON list, expected bboxes, labels and user_id"),
        ({"bboxes": [[0, 0, 1, 1]], "labels": [], "user_id": "u"}, "no two lists of equal length"),
        ({"bboxes": {}, "labels": [], "user_id": "u"}, "no two lists of equal length"),
        (entry(LIKE, user=None), "its user_id is nothing"),
        (entry(LIKE, user=["u"]), "its user_id is a JSON list"),
        (entry(LIKE, user="\ud800"), "its user_id is"),
        (entry(("Like", [0, 0, 1, 1])), "its label is 'Like', which is no gesture of HaGRID"),
        (entry((["like"], [0, 0, 1, 1])), "its label is a JSON list"),
    ],
)
def test_a_bad_entry_is_left_out_and_told_with_its_place(wrong: object, says: str, root: Path) -> None:
    files.hagrid(root, {"ann_subsample/one": {"cc": wrong}})
    source = HaGRID(root)
    (note,) = source.notes
    assert len(source.records["labelled"]) == 3 and "ann_subsample/one.json, cc" in note and says in note and note.isprintable()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[1]", "a JSON list, expected a JSON object"),
        (b"{", "no JSON"),
        (b'{"a": "\xff"}', "no JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b"\x89PNG", "no JSON"),
    ],
)
def test_a_file_that_is_no_json_is_named(content: bytes, says: str, root: Path) -> None:
    (root / "ann_subsample" / "one.json").write_bytes(content)
    with pytest.raises(DataError, match=rf"ann_subsample/one\.json: {says}"):
        HaGRID(root)


def test_a_key_that_stands_twice_is_told(root: Path) -> None:
    file = root / "ann_subsample" / "like.json"
    file.write_text(f'{{"aa": {json.dumps(entry(LIKE))}, "aa": {json.dumps(entry(NONE))}}}')
    source = HaGRID(root)
    assert {record.id: source.labels[record.label] for record in source.records["labelled"]}["subsample/like/aa.jpg#0"] == "no_gesture"
    assert source.notes == ["left out: entries of a key that is there again (1): ann_subsample/like.json, aa"]


def test_an_annotation_of_too_many_bytes_is_not_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.datasets.hagrid.MOST_BYTES", 10)
    with pytest.raises(DataError, match="more than the 0 MB that are read"):
        HaGRID(root)
