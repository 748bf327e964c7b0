"""Own recordings: a box for all frames or for each, own parts, and what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gesture_files as files
import pytest

from zoo.datasets.recorded import Recorded
from zoo.datasets.source import Crop
from zoo.datasets.splits import divide
from zoo.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "recorded"
    files.recording(root / "record_1", "FIVE", created="2024-05-01T10:00:00", fps=30.0, person="ada", source="camera 0", more=[1])
    files.recording(root / "record_2", "WAVE", 1, bbox=None)
    files.recording(root / "record_10", "ONE", 2, boxes={"image_000002.png": [0, 0, 20, 10]})
    return root


def test_every_frame_is_a_record_of_its_recording(root: Path) -> None:
    source = Recorded(root, margin=0)
    assert source.labels == ("ONE", "FIVE", "WAVE") and source.groups == "person or recording" and not source.notes
    found = {record.id: (source.labels[record.label], record.group, record.crop) for record in source.records["labelled"]}
    box = Crop(10, 5, 50, 45)
    assert found == {
        **{f"record_1/image_{number:06d}.png": ("FIVE", "person ada", box) for number in (1, 2, 3)},
        "record_2/image_000001.png": ("WAVE", "record_2", None),
        "record_10/image_000001.png": ("ONE", "record_10", box),
        "record_10/image_000002.png": ("ONE", "record_10", Crop(0, 0, 20, 10)),
    }
    assert source.read(source.records["labelled"][0])[0].size == (40, 40)


def test_recordings_of_one_person_stay_together_unless_asked_otherwise(tmp_path: Path) -> None:
    for number, person in enumerate(("ada", "ada ", "bob", "", None), 1):
        files.recording(tmp_path / f"record_{number}", person=person)

    def groups(**options: Any) -> list[str | None]:
        return [record.group for record in Recorded(tmp_path, **options).records["labelled"][::3]]

    assert groups() == ["person ada", "person ada", "person bob", "record_4", "record_5"]
    assert groups(group_by="recording") == [f"record_{number}" for number in (1, 2, 3, 4, 5)]
    assert Recorded(tmp_path, group_by="recording").groups == "recording"


def test_one_person_alone_cannot_be_split_and_the_remedy_works(tmp_path: Path) -> None:
    for number in range(6):
        files.recording(tmp_path / f"record_{number}", person="ada")
    source = Recorded(tmp_path)
    assert source.groups == "person"
    with pytest.raises(DataError, match=r"no pictures to val \(train 18\): .*one person that there is by split\.by=random"):
        divide(source.records, 0.2, 0.0, 0, "auto", source.labels, source.groups)
    apart = Recorded(tmp_path, group_by="recording")
    assert divide(apart.records, 0.2, 0.0, 0, "auto", apart.labels, apart.groups).parts["val"]


def test_parts_of_their_own_are_kept(root: Path) -> None:
    files.recording(root / "val" / "record_1", "FIVE")
    assert len(Recorded(root).records["labelled"]) == 9, "val/ alone is no part: there is nothing beside it to train on"
    files.recording(root / "train" / "record_4", "FIVE")
    source = Recorded(root)
    assert {part: len(records) for part, records in source.records.items()} == {"train": 9, "val": 3}
    assert {record.group for record in source.records["val"]} == {"val/record_1"}
    assert source.notes == ["not in train/ or val/, and taken to train: 3 recordings"]


WRONG: dict[str, tuple[Any, str]] = {
    "gesture": (7, "`gesture`: its class is 7"),
    "bbox": ([1, 2, 3], "`bbox`: a JSON list, expected [left, top, right, bottom] in pixels"),
    "boxes": ([], "`boxes`: a JSON list, expected a box for each picture's name"),
    "person": (3, "`person`: 3, expected a text"),
    "source": (["a"], "`source`: a JSON list, expected a text"),
    "created": (5.5, "`created`: 5.5, expected a text"),
    "fps": (0, "`fps`: 0, expected more than 0"),
}


@pytest.mark.parametrize("key", list(WRONG))
def test_a_wrong_value_is_named(key: str, root: Path) -> None:
    value, says = WRONG[key]
    files.recording(root / "record_3", **({"gesture": "FIVE"} | {key: value}))
    with pytest.raises(DataError) as error:
        Recorded(root)
    assert str(error.value).startswith("1 recording cannot be used") and f"record_3/meta.json: {says}" in str(error.value)


@pytest.mark.parametrize("box", [[50, 5, 10, 45], [1, 2, float("nan"), 4], ["1", 2, 3, 4], 5, "all"])
def test_a_wrong_box_is_named(box: object, root: Path) -> None:
    files.recording(root / "record_3", bbox=box)
    with pytest.raises(DataError, match=r"record_3/meta\.json: `bbox`: "):
        Recorded(root)


def test_all_wrong_files_are_named_at_once(root: Path) -> None:
    for number, content in enumerate((b"", b"[1]", b"{" * 100_000, b'{"gesture": "A", "gesture": "B"}', b'{"gesture": "\xff"}', b"{}"), 3):
        files.recording(root / f"record_{number}")
        (root / f"record_{number}" / "meta.json").write_bytes(content)
    with pytest.raises(DataError) as error:
        Recorded(root)
    assert all(f"record_{number}/meta.json: " in str(error.value) for number in range(3, 9))


def test_what_is_not_whole_is_told_and_left_out(root: Path) -> None:
    boxes = {"image_000001.png": None, "image_000002.png": [200, 5, 300, 45], "../../record_1/images/image_000001.png": [1, 2, 3, 4]}
    files.recording(root / "record_3", boxes=boxes)
    files.recording(root / "record_4", frames=0)
    (root / "record_5" / "images").mkdir(parents=True)
    source = Recorded(root)
    assert [record.id for record in source.records["labelled"] if record.group == "record_3"] == ["record_3/image_000003.png"]
    assert set(source.notes) == {
        "without meta.json and left out: 1 folders, such as record_5",
        "left out: recordings without pictures (1): record_4",
        "left out: boxes of pictures that are not there (1): record_3/meta.json, boxes, '../../record_1/images/image_000001.png'",
        "left out: pictures whose box cannot be used (2): record_3/meta.json, image_000001.png, nothing, expected "
        "[left, top, right, bottom] in pixels; record_3/meta.json, image_000002.png, (200, 5, 300, 45) "
        "is no part of a picture of 96x54 pixels",
    }
    assert json.loads((root / "record_3" / "meta.json").read_text())["boxes"] == boxes
