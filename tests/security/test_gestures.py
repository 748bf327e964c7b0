"""Annotations of gestures are files of strangers too: 5,000 spoilt ones are read or refused, and none crashes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import gesture_files as files
import pytest

from security.hostile import Sample, cases, refusal, sparse
from security.test_annotations import named, numbers_changed, spoilt
from zoo.datasets.hagrid import HaGRID
from zoo.datasets.hands import Hands
from zoo.datasets.recorded import Recorded
from zoo.datasets.source import Source
from zoo.errors import DataError

BOX = [0.25, 0.25, 0.5, 0.5]
COUNT = 1250


def _hands(root: Path) -> Path:
    cells = [{"One_VFR": "[10 20 30 20]", "Two_VFL": "[1 2 3 4]"}, {"Collab": "[5 5 50 40]"}]
    return files.hands(root, {"Subject1": cells}) / "Subject1" / "Subject1.txt"


def _first(root: Path) -> Path:
    entries = {name: files.entry(("like", BOX), ("no_gesture", BOX), leading_hand="left", leading_conf=1.0) for name in "ab"}
    return files.hagrid(root, {"ann_subsample/like": entries}) / "ann_subsample" / "like.json"


def _second(root: Path) -> Path:
    more = {"united_bbox": [None, BOX], "united_label": [None, "timeout"], "hand_landmarks": [[[0.1, 0.2]], []], "meta": {"age": [24.5]}}
    entries = {name: files.entry(("timeout", BOX), ("timeout", BOX), **more) for name in "ab"}
    return files.hagrid(root, {"annotations/train/timeout": entries}, "") / "annotations" / "train" / "timeout.json"


def _meta(root: Path) -> Path:
    boxes = {"image_000001.png": [0, 0, 20, 10], "image_000002.png": [5, 5, 30, 40]}
    return files.recording(root / "record_1", "FIVE", 2, boxes=boxes, fps=29.97, person="ada", created="2024-05-01T10:00:00") / "meta.json"


KINDS: dict[str, tuple[type[Source], Callable[[Path], Path]]] = {
    "hands": (Hands, _hands),
    "hagrid 1": (HaGRID, _first),
    "hagrid 2": (HaGRID, _second),
    "recorded": (Recorded, _meta),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_1250_spoilt_files_are_told_and_none_crashes(kind: str, tmp_path: Path) -> None:
    """Whatever is read lies in its folder and its picture; and whatever is wrong is told with the file's name."""
    source, write = KINDS[kind]
    file = write(tmp_path)
    whole, told = file.read_bytes(), 0
    assert not source(tmp_path).notes
    for seed in range(COUNT):
        dice = random.Random(f"{kind} {seed}")
        file.write_bytes((spoilt if dice.random() < 0.7 else numbers_changed)(whole, dice))
        told += _tried(source, tmp_path, file)
    assert told > COUNT / 3, "most changes are faults"


def _tried(source: type[Source], root: Path, file: Path) -> bool:
    try:
        found = source(root)
    except DataError as error:
        for line in str(error).splitlines():
            named(line)
        return file.name in str(error) or "not here" in str(error)
    for note in found.notes:
        named(note)
        assert file.name in note or "not here" in note
    for record in (record for part in found.records.values() for record in part):
        assert record.path.is_file() and record.path.resolve().is_relative_to(root.resolve())
        assert record.label is not None and found.labels[record.label].isprintable() and record.group
        assert record.crop is None or all(side >= 0 for side in record.crop.pixels(files.SIZE))
    return bool(found.notes)


@cases(
    "Annotations of gestures",
    Sample("JSON nested 100,000 deep", "a file of `hagrid` or a `meta.json`", "refused", b"[" * 100_000, "nested too deep"),
    Sample("bytes that are no text", "a file of `hagrid` or a `meta.json`", "refused", b'{"\xff": 1}', "no JSON"),
    Sample("JSON of another kind", "a file of `hagrid` or a `meta.json`", "refused", b'["a list"]', "expected a JSON object"),
)
def test_hostile_json_is_refused(sample: Sample, tmp_path: Path) -> None:
    for kind in ("hagrid 1", "recorded"):
        source, write = KINDS[kind]
        file = write(tmp_path / kind)
        file.write_bytes(sample.make)
        refusal(lambda source=source, kind=kind: source(tmp_path / kind), file.name, sample.says)


@cases(
    "Annotations of gestures",
    Sample("2 GB of text", "a table of `hands`", "refused by its size", "hands", "more than the"),
    Sample("2 GB of JSON", "a `meta.json`", "refused by its size", "recorded", "more than the"),
)
def test_huge_annotations_are_refused(sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, write = KINDS[sample.make]
    monkeypatch.setattr(f"zoo.datasets.{sample.make}.MOST_BYTES", 1_000_000)
    file = write(tmp_path)
    sparse(file, 2 * 2**30, file.read_bytes())
    refusal(lambda: source(tmp_path), file.name, sample.says)


@cases(
    "Annotations of gestures",
    Sample(
        "a number of 5,000 digits", "a box in a file of `hagrid`", "left out, and told with its place", "9" * 5000, "is no number of pixels"
    ),
    Sample("NaN and Infinity", "a box in a file of `hagrid`", "left out, and told with its place", "NaN", "is no number of pixels"),
)
def test_a_hostile_number_spoils_its_box_alone(sample: Sample, tmp_path: Path) -> None:
    file = _first(tmp_path)
    file.write_text(file.read_text().replace("0.25", sample.make, 1))
    source = HaGRID(tmp_path)
    (note,) = source.notes
    assert len(source.records["labelled"]) == 3 and "ann_subsample/like.json, a, bboxes[0]" in note and sample.says in note


@cases(
    "Annotations of gestures",
    Sample("a path elsewhere", "a line of a table of `hands`", "not followed: only the file's name counts", "../../../elsewhere/x.png"),
    Sample(
        "an absolute path", "a picture's name in a file of `hagrid`", "not followed: pictures are those that the folder holds", "/etc/x"
    ),
)
def test_a_path_is_not_followed(sample: Sample, tmp_path: Path) -> None:
    files.picture(tmp_path / "elsewhere" / "x.png")
    for kind, old in (("hands", r"D:\Somebody\Else\1_color.png"), ("hagrid 1", '"a"')):
        source, write = KINDS[kind]
        file = write(tmp_path / "root" / kind)
        new = sample.make if kind == "hands" else json.dumps(sample.make)
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        records = source(tmp_path / "root" / kind).records["labelled"]
        assert records and all(record.path.resolve().is_relative_to(tmp_path / "root") for record in records)
