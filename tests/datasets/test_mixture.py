"""A mixture: labels mapped by tables, weights, groups and parts of several sources."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import annotated
import gesture_files as files
import numpy as np
import pytest
from gesture_files import entry

from zoo.datasets import gestures, idx
from zoo.datasets.hagrid import LABELS as HAGRID
from zoo.datasets.hands import LABELS as HANDS
from zoo.datasets.loaders import Loaders
from zoo.datasets.mixture import Mixture
from zoo.datasets.source import Record
from zoo.errors import DataError, RecipeError
from zoo.recipe import Recipe

BOX = [0.25, 0.25, 0.5, 0.5]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "gestures"
    frames = [{"One_VFR": "[10 20 30 20]"}, {"Six_VFL": "[10 20 30 20]"}, {"Horiz_HBL": "[0 0 96 54]"}, {"Collab": "[5 5 50 40]"}]
    files.hands(root / "hands", {"Subject1": frames, "Subject2": frames})
    likes = {name: entry(("like", BOX), ("no_gesture", BOX), user=name) for name in "abc"}
    files.hagrid(root / "hagrid", {"ann_subsample/like": likes, "ann_subsample/mute": {"m": entry(("mute", BOX))}})
    files.recording(root / "recorded" / "record_1", "ONE", 4)
    return root


def everyone(source: Mixture) -> list[Record]:
    return [record for part in source.records.values() for record in part]


def counts(source: Mixture) -> Counter[str]:
    return Counter(f"{record.id.partition('/')[0]} {source.labels[record.label]}" for record in everyone(source))


def test_the_gestures_are_mapped_as_published(root: Path) -> None:
    source = Mixture(root)
    assert source.labels == gestures.GESTURES and source.groups == "person or recording"
    assert counts(source) == {
        "hands ONE": 2,
        "hands THREE": 2,
        "hands BACKGROUND": 2,
        "hagrid THUMBS_UP": 3,
        "hagrid BACKGROUND": 3,
        "hagrid ONE": 1,
        "recorded ONE": 4,
    }
    assert {record.group for record in everyone(source)} == {
        *("hands/Subject1", "hands/Subject2", "hagrid/a", "hagrid/b", "hagrid/c", "hagrid/u1", "recorded/record_1")
    }
    assert "hands: 6 pictures, and 2 of labels that are left out" in source.notes
    for record in everyone(source):
        assert source.read(record)[0].size != files.SIZE or "Horiz" in record.id


def test_tables_know_all_labels_of_their_sources() -> None:
    assert tuple(gestures.HANDS) == HANDS and tuple(gestures.HAGRID) == HAGRID and len(gestures.GESTURES) == 10
    assert {ours for table in gestures.TABLES.values() for ours in table.values()} == {None, *gestures.GESTURES}


def test_a_table_of_ones_own(root: Path) -> None:
    table = {"like": "yes", "mute": None, "no_gesture": "no", "rock": None}
    source = Mixture(root, ("no", "yes", "ONE"), {"hagrid": table, "recorded": {}}, {"recorded": 2.5}, margin=0)
    assert counts(source) == {"hagrid yes": 3, "hagrid no": 3, "recorded ONE": 4}
    assert {(record.id[:3], record.weight) for record in everyone(source)} == {("hag", 1.0), ("rec", 2.5)}
    assert "hagrid: in its table, but of no picture: rock" in source.notes
    assert everyone(source)[0].crop == (0.25, 0.25, 0.75, 0.75, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sources": {"handz": {}}}, r"data\.sources: there is no source 'handz' \(did you mean `hands`\?\); expected some of .*hagrid"),
        ({"sources": {"os.path": {}}}, "there is no source 'os.path'"),
        ({"sources": {"mixture": {}}}, "there is no source 'mixture'"),
        ({"sources": {"hands": {}}}, r"data\.sources\.hands: its label 'One' is not mapped \(did you mean `ONE`\?\): add `One: NAME` with"),
        (
            {"sources": {"hands": {"Onne": "ONE", "Three": None}}},
            r"data\.sources\.hands: its label 'One' is not mapped \(did you mean `Onne`\?\): .*or `One: null` to leave it out",
        ),
        (
            {"sources": {"hands": {"One": "ON"}}},
            r"data\.sources\.hands\.One: 'ON' is none of data\.labels \(did you mean `ONE`\?\); expected",
        ),
        ({"sources": {"simpsons": "gestures"}}, r"data\.sources\.simpsons: there is no table `gestures` for it"),
        ({"weights": {"hand": 2.0}}, r"data\.weights: 'hand' is none of data\.sources \(did you mean `hands`\?\); there are hands, hagrid"),
    ],
)
def test_what_does_not_fit_is_named_with_the_way_out(options: dict[str, Any], says: str, root: Path) -> None:
    with pytest.raises(RecipeError, match=says):
        Mixture(root, **options)


def test_a_source_without_a_folder_is_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"no folder image_folder/\n(.|\n)*leave it out of data\.sources"):
        Mixture(root, ("a",), {"image_folder": {}})


def test_sources_of_boxes_cannot_be_joined(root: Path) -> None:
    annotated.voc(root / "voc_detection", {"a": [("dog", (1, 2, 3, 4))]})
    with pytest.raises(RecipeError, match=r"data\.sources\.voc_detection: only pictures with a label each can be joined"):
        Mixture(root, ("a",), {"voc_detection": {}})


def test_parts_are_kept_where_all_sources_have_them_and_else_divided_anew(root: Path) -> None:
    for part, person in (("train", "t"), ("test", "e")):
        files.hagrid(root / "hagrid", {f"annotations/{part}/like": {f"{person}{part}": entry(("like", BOX), user=person)}}, "")
        files.recording(root / "recorded" / part / "record_7", "ONE", 2)
    (root / "recorded" / "record_1").rename(root / "recorded" / "train" / "record_1")
    both = Mixture(root, sources={"hagrid": "gestures", "recorded": {}})
    assert {part: len(records) for part, records in both.records.items()} == {"train": 7, "test": 3}
    three = Mixture(root)
    assert {part: len(records) for part, records in three.records.items()} == {"labelled": 16}
    assert any(note.startswith("divided anew") and "hagrid (train, test); recorded (train, test)" in note for note in three.notes)


def test_each_is_read_as_its_source_does_and_all_in_one_form(root: Path) -> None:
    pixels = np.arange(120, dtype=np.uint8).reshape(30, 2, 2)
    (root / "mnist").mkdir()
    for start, count in (("train", 30), ("t10k", 10)):
        idx.write(root / "mnist" / f"{start}-images-idx3-ubyte", pixels[:count])
        idx.write(root / "mnist" / f"{start}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8) % 10)
    source = Mixture(root, ("digit", "ONE"), {"recorded": {}, "mnist": dict.fromkeys("0123456789", "digit")})
    assert counts(source) == {"recorded ONE": 4, "mnist digit": 40}
    assert {source.read(record)[0].mode for record in everyone(source)} == {"RGB"}
    (third,) = (record for record in everyone(source) if record.id == "mnist/train/00003")
    assert np.array_equal(np.asarray(source.read(third)[0])[..., 0], pixels[3])
    elsewhere = files.picture(root.parent / "labelled.png")
    assert source.read(Record(elsewhere, "x", 0))[0].size == files.SIZE


RECIPE = """
data:
  name: mixture
  labels: [no, yes]
  sources:
    hagrid:
      like: yes
      no_gesture: no
      mute: null
  weights:
    hagrid: 3
backbone: resnet18
task: classification
"""


def test_a_recipe_can_say_all_of_it(root: Path) -> None:
    recipe = Recipe.parse(
        RECIPE, "test.yaml", "test", [f"data.root={root}", "data.sources.recorded.ONE=yes", "data.size=16", "data.workers=0"]
    )
    assert recipe.data.sources == {"hagrid": {"like": "yes", "no_gesture": "no", "mute": None}, "recorded": {"ONE": "yes"}}
    assert Recipe.parse(recipe.to_yaml(), "again.yaml", "test").data == recipe.data
    source = Mixture(root, recipe.data.labels, recipe.data.sources, recipe.data.weights)
    data = Loaders(source, recipe)
    assert data.split.by == "group" and data.spec.labels == ("no", "yes")
    assert "split by person or recording: pictures of one person or recording are all in one part" in data.notes


@pytest.mark.parametrize(
    ("line", "wrong", "says"),
    [
        ("      like: yes", "      like: [yes]", r'7:7: `data.sources.hagrid.like`: expected text .* found \["yes"\]'),
        ("      like: yes", "      like: 3", r"7:7: `data.sources.hagrid.like`: expected text .* found 3"),
        ("    hagrid: 3", "    hagrid: 0", r"11:5: `data.weights.hagrid`: expected more than 0.0, found 0"),
        ("    hagrid: 3", "    hagrid: many", r'11:5: `data.weights.hagrid`: expected a number, found "many"'),
        ("  weights:", "  wieghts:", r"10:3: unknown key `data.wieghts` \(did you mean `weights`\?\)"),
        ("      mute: null", "    recorded: gesture", r"9:5: `data.sources.recorded`: expected .* \(did you mean `gestures`\?\)"),
        ("      mute: null", "    recorded: [ONE]", r"9:5: `data.sources.recorded`: expected a section of keys and values or 'gestures'"),
    ],
)
def test_wrong_tables_are_named_with_their_line(line: str, wrong: str, says: str) -> None:
    with pytest.raises(RecipeError, match=f"test.yaml:{says}"):
        Recipe.parse(RECIPE.replace(line, wrong), "test.yaml", "test")


def test_the_schema_knows_tables() -> None:
    from zoo.schema import json_schema

    (section,) = (
        one
        for one in json_schema()["properties"]["data"]["anyOf"]
        if "mixture" in one.get("properties", {}).get("name", {}).get("enum", ())
    )
    table, none = section["properties"]["sources"]["anyOf"]
    assert none == {"type": "null"} and table["type"] == "object"
    assert table["additionalProperties"]["anyOf"][0]["additionalProperties"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert section["properties"]["weights"]["anyOf"][0]["additionalProperties"] == {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 1000,
    }
