"""Records left out and pictures labelled later: training honours both files, val and test stay, and each wrong value is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zoo.datasets import amended
from zoo.datasets.amended import Amendments, Row
from zoo.datasets.image_folder import ImageFolder
from zoo.datasets.loaders import Loaders
from zoo.datasets.source import Crop
from zoo.errors import DataError, RecipeError, ZooError
from zoo.recipe import Recipe

RECIPE = """
question: Which?
data: {name: image_folder, size: 8, workers: 0, duplicates: never}
backbone: resnet18
task: classification
train: {batch_size: 4}
"""


PICTURE = {"path": "0.png", "label": "a"}


def noise(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part, count in (("train", 6), ("val", 3)):
        for number in range(count):
            for place, label in enumerate("ab"):
                noise(tmp_path / "set" / part / label / f"{number}.png", 100 * place + 10 * count + number)
    return tmp_path / "set"


def loaders(root: Path, *changes: str) -> Loaders:
    recipe = Recipe.parse(RECIPE, "test.yaml", "test", [f"data.root={root}", *changes])
    return Loaders(ImageFolder(root), recipe)


def quarantined(root: Path, *ids: str) -> str:
    file = root.parent / "quarantine.csv"
    file.write_text(amended.quarantine_text(Row(id, "train", "wrong label") for id in ids), encoding="utf-8")
    return f"data.quarantine={file}"


def labelled(folder: Path, *pictures: Any, **others: Any) -> str:
    file = folder / "labels.json"
    file.write_text(json.dumps({"zoo": "labels", "version": 1, "labels": ["a", "b"], "pictures": list(pictures)} | others))
    return f"data.labelled={file}"


def ids(data: Loaders) -> dict[str, list[str]]:
    return {name: [record.id for record in part] for name, part in data.parts().items()}


# ---------------------------------------------------------------- quarantine


def test_training_leaves_the_quarantine_out(root: Path) -> None:
    whole = loaders(root)
    data = loaders(root, quarantined(root, "train/a/0.png", "train/b/1.png", "val/a/2.png", "gone.png"))
    left = {name: [id for id in part if id not in ("train/a/0.png", "train/b/1.png", "val/a/2.png")] for name, part in ids(whole).items()}
    assert ids(data) == left and data.spec.counts == (5, 5)
    assert data.notes[-2] == "data.quarantine: 3 records left out (2 of train, 1 of val)"
    assert data.notes[-1] == "data.quarantine: 1 ids that no record here has: gone.png"
    assert data.fingerprint() != whole.fingerprint() and data.split.fingerprint != whole.split.fingerprint
    seen = {path for batch in data.evaluation("train") for path in batch["path"]}
    assert not any(path.endswith("train/a/0.png") for path in seen) and len(seen) == 10


def test_of_many_strange_ids_a_few_are_listed(root: Path) -> None:
    data = loaders(root, quarantined(root, *(f"{number}.png" for number in range(7))))
    assert data.notes[-1].endswith("7 ids that no record here has: 0.png, 1.png, 2.png, 3.png, 4.png, and 2 more")


def test_a_bad_file_in_the_quarantine_stops_nothing(root: Path) -> None:
    (root / "train" / "a" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="1 file cannot be used"):
        loaders(root, quarantined(root, "train/a/1.png"))
    data = loaders(root, quarantined(root, "train/a/0.png", "train/a/1.png"))
    assert "train/a/0.png" not in ids(data)["train"] and len(ids(data)["train"]) == 10
    assert data.notes[-1] == "data.quarantine: 1 records left out (1 of train); 1 more have bad files or are not divided"


@pytest.mark.parametrize(("part", "count"), [("train", 6), ("val", 3)])
def test_what_a_quarantine_must_leave(root: Path, part: str, count: int) -> None:
    every = [f"{part}/{label}/{number}.png" for label in "ab" for number in range(count)]
    with pytest.raises(DataError, match=f"leaves no pictures to {part}: delete rows"):
        loaders(root, quarantined(root, *every))


def test_ids_survive_the_file_whatever_they_are(tmp_path: Path) -> None:
    names = ["=1+1.png", "'=1.png", 'a,"b\n.png', "-x.png", "ä.png", "\udcff.png"]
    rows = [Row(name, "val", "bad file", "a", "b", "0.5") for name in names]
    file = tmp_path / "q.csv"
    file.write_text(amended.quarantine_text(rows), encoding="utf-8", errors="surrogateescape", newline="")
    assert [row.id for row in amended.read_quarantine(file)] == names
    assert amended.read_quarantine(file)[2] == rows[2]
    assert "\n=1+1" not in file.read_text(encoding="utf-8", errors="surrogateescape")
    file.write_text("id\nx.png\n")  # a person's own list
    assert amended.read_quarantine(file) == [Row("x.png", "", "")]
    file.write_text("\ufeffid\nx.png\n")  # as a spreadsheet saves it
    assert amended.read_quarantine(file) == [Row("x.png", "", "")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected the columns id,part,reason"),
        (b"name\nx\n", "row 2: no `id`"),
        (b"id,part\n,train\n", "row 2: no `id`"),
        (b'id\n"x\n', "not readable as CSV"),
    ],
)
def test_what_is_no_quarantine_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "q.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"q\.csv: ") as raised:
        amended.read_quarantine(file)
    assert reason in str(raised.value)


def test_missing_and_large_files_are_named(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "of"))
    for key in ("quarantine", "labelled"):
        with pytest.raises(DataError, match=f"data.{key}: {tmp_path}/no.file does not exist"):
            loaders(root, f"data.{key}=no.file")
        with pytest.raises(DataError, match=f"data.{key}: {tmp_path}/of/mine does not exist"):
            loaders(root, f"data.{key}=~/mine")
        with pytest.raises(DataError, match="is no plain file"):
            loaders(root, f"data.{key}=set")
    labelled(tmp_path, PICTURE, PICTURE)
    monkeypatch.setattr(amended, "MOST_PICTURES", 1)
    with pytest.raises(DataError, match="expected a list of at most 1"):
        loaders(root, "data.labelled=labels.json")
    monkeypatch.setattr(amended, "MOST_BYTES", 3)
    quarantined(root, "train/a/0.png")
    with pytest.raises(DataError, match="larger than"):
        loaders(root, "data.quarantine=quarantine.csv")  # relative to $ZOO_DATA


# ---------------------------------------------------------------- labelled


def test_pictures_labelled_later_join_train_alone(root: Path, tmp_path: Path) -> None:
    whole = loaders(root)
    for number in range(3):
        noise(tmp_path / "pool" / f"{number}.png", 900 + number)
    pictures = [
        {"path": "0.png", "label": "b", "crop": [0.5, 0, 1.0, 1.0, True]},
        {"path": str(tmp_path / "pool" / "1.png"), "label": "a"},
        {"path": "2.png", "label": None},
    ]
    data = loaders(root, labelled(tmp_path / "pool", *pictures))
    assert data.parts()["val"] == whole.parts()["val"] and data.spec.counts == (7, 7)
    joined = data.parts()["train"][12:]
    assert [(record.path.name, record.label, record.crop) for record in joined] == [
        ("0.png", 1, Crop(0.5, 0, 1, 1, True)),
        ("1.png", 0, None),
    ]
    assert data.source.read(joined[0])[0].size == (8, 12)
    assert data.notes[-2:] == ["data.labelled: 1 pictures without a label are left out", "data.labelled: 2 pictures join train"]
    assert data.fingerprint() != whole.fingerprint()
    assert sum(len(batch["label"]) for batch in data.evaluation("train")) == 14  # records with and without a group would not be one batch


def test_a_picture_of_val_stays_there(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    pictures = [{"path": "../link/val/a/0.png", "label": "b"}, {"path": "../link/train/a/0.png", "label": "b"}]
    (tmp_path / "pool").mkdir()
    data = loaders(root, labelled(tmp_path / "pool", *pictures))
    assert ids(data)["val"] == ids(loaders(root))["val"]
    assert len(ids(data)["train"]) == 12 and data.spec.counts == (5, 7), "train's own record has the label that was given later"
    assert data.notes[-2] == "data.labelled: 1 pictures join train, 1 were there already"
    assert data.notes[-1] == "data.labelled: 1 pictures are in val or test already and stay out of train: 0.png"


def test_a_picture_of_test_stays_there(root: Path) -> None:
    noise(root / "test" / "a" / "0.png", 500)
    data = loaders(root, labelled(root, {"path": "test/a/0.png", "label": "b"}))
    assert len(ids(data)["train"]) == 12 and len(ids(data)["test"]) == 1


def test_a_part_of_a_picture_does_not_take_its_place(root: Path) -> None:
    part = {"path": "train/a/0.png", "crop": [0, 0, 0.5, 1, True], "label": "b"}
    data = loaders(root, labelled(root, part))
    assert "train/a/0.png" in ids(data)["train"] and data.spec.counts == (6, 7)


def test_where_the_data_has_groups_pictures_labelled_later_are_one(root: Path) -> None:
    noise(root.parent / "0.png", 900)
    labelled(root.parent, {"path": "0.png", "label": "a"})
    added, _ = amended.read_labelled(root.parent / "labels.json", ("a", "b"))
    for group in (None, "one person"):
        split = loaders(root).split
        split.parts["train"] = [replace(record, group=group) for record in split.parts["train"]]
        Amendments(frozenset(), added, []).apply(ImageFolder(root), split)
        assert split.parts["train"][-1].group == (None if group is None else "labelled")


def test_parts_of_one_picture_have_ids_of_their_own(tmp_path: Path) -> None:
    crops = [{"path": "0.png", "label": "a", "crop": [0, 0, side, side, False]} for side in (4, 5.5, 6)]
    labelled(tmp_path, *crops)
    records, skipped = amended.read_labelled(tmp_path / "labels.json", ("a", "b"))
    assert [record.id for record in records] == ["labelled/0.png", "labelled/0.png#2", "labelled/0.png#3"] and not skipped


def test_a_bad_picture_is_treated_as_the_others_are(root: Path, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"no picture")
    change = labelled(tmp_path, {"path": "0.png", "label": "a"})
    with pytest.raises(DataError, match=r"0\.png: not a picture"):
        loaders(root, change)
    assert len(ids(loaders(root, change, "data.bad_files=skip"))["train"]) == 12


@pytest.mark.parametrize(("name", "value"), [("labels", ()), ("masks", "of pixels"), ("attributes", ("smiling",))])
def test_data_without_a_class_a_picture_takes_none(root: Path, tmp_path: Path, name: str, value: Any) -> None:
    labelled(tmp_path)
    source = ImageFolder(root)
    setattr(source, name, value)
    with pytest.raises(RecipeError, match=r"data\.labelled"):
        amended.read(source, None, str(tmp_path / "labels.json"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[", "not readable as JSON"),
        ("[" * 100_000, "not readable as JSON"),
        ("[]", "expected a file of the labelling page"),
        ({"version": 2}, "expected a file of the labelling page"),
        ({"labels": "ab"}, "labels: expected a list of names, found 'ab'"),
        ({"pictures": {}}, "pictures: expected a list"),
        ({"pictures": [PICTURE, 3]}, "pictures[1]: expected an object"),
        ({"pictures": [{"label": "a"}]}, "pictures[0].path: expected the path of a picture, found None"),
        ({"pictures": [{"path": "a\0b", "label": "a"}]}, "pictures[0].path"),
        ({"pictures": [{"path": "x" * 5000, "label": "a"}]}, "pictures[0].path"),
        ({"pictures": [{"path": "0.png", "label": "c"}]}, "pictures[0].label: expected one of a, b or null, found 'c'"),
        ({"pictures": [{"path": "0.png", "label": ["a"]}]}, "pictures[0].label"),
        ({"pictures": [PICTURE | {"crop": [0, 0, 1, 1]}]}, "pictures[0].crop: expected [left, top, right, bottom, relative]"),
        ({"pictures": [PICTURE | {"crop": [0, 0, 1, 1, 1]}]}, "pictures[0].crop"),
        ({"pictures": [PICTURE | {"crop": [0, 0, float("nan"), 1, True]}]}, "pictures[0].crop"),
        ({"pictures": [PICTURE | {"crop": [0, 0, 10**400, 1, True]}]}, "pictures[0].crop"),
        ({"pictures": [PICTURE | {"crop": [0, 0, True, 1, True]}]}, "pictures[0].crop"),
        ({"pictures": [PICTURE | {"crop": [1, 0, 0, 1, False]}]}, "pictures[0].crop"),
        ({"pictures": [PICTURE | {"crop": [0, 1, 1, 1, False]}]}, "pictures[0].crop"),
        ({"pictures": [PICTURE | {"crop": "\x1b[2J"}]}, "pictures[0].crop"),
    ],
)
def test_what_is_wrong_in_a_labels_file_is_named(tmp_path: Path, content: Any, reason: str) -> None:
    if isinstance(content, str):
        (tmp_path / "labels.json").write_text(content)
    else:
        labelled(tmp_path, **content)
    with pytest.raises(ZooError) as raised:
        amended.read_labelled(tmp_path / "labels.json", ("a", "b"))
    assert f"data.labelled: {tmp_path}/labels.json: {reason}" in str(raised.value) and "\x1b" not in str(raised.value)
