"""HANDS: tables with the paths of another machine, boxes in cells, and what of them is left out."""

from __future__ import annotations

from pathlib import Path

import gesture_files as files
import pytest

from zoo.datasets.hands import LABELS, Hands
from zoo.datasets.source import Crop, Record
from zoo.errors import DataError, RecipeError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    both = {"Four_VFR": "[10 5 20 30]", "Four_VFL": "[60 5 20 30]"}
    frames = [{"One_VFR": "[10 20 30 20]"}, {"Horiz_HBL": "[0 0 96 54]"}, {"Collab": "[5 5 50 40]"}, both, {}]
    return files.hands(tmp_path / "hands", {"Subject1": frames, "Subject2": [{"One_VFL": "[1.5 2.5 10 10]"}]})


def listed(source: Hands) -> list[Record]:
    return source.records["labelled"]


def test_every_box_is_a_record_of_its_gesture_and_its_person(root: Path) -> None:
    source = Hands(root, margin=0)
    assert source.labels == ("One", "Four", "Horiz", "Collab") and source.groups == "person" and not source.notes
    found = {record.id: (source.labels[record.label], record.group, record.crop) for record in listed(source)}
    inner = "Subject1/Subject1"
    assert found == {
        f"{inner}/1_color.png:One_VFR": ("One", "Subject1", Crop(10, 20, 40, 40)),
        f"{inner}/2_color.png:Horiz_HBL": ("Horiz", "Subject1", Crop(0, 0, 96, 54)),
        f"{inner}/3_color.png:Collab": ("Collab", "Subject1", Crop(5, 5, 55, 45)),
        f"{inner}/4_color.png:Four_VFR": ("Four", "Subject1", Crop(10, 5, 30, 35)),
        f"{inner}/4_color.png:Four_VFL": ("Four", "Subject1", Crop(60, 5, 80, 35)),
        "Subject2/Subject2/1_color.png:One_VFL": ("One", "Subject2", Crop(1.5, 2.5, 11.5, 12.5)),
    }
    assert all(record.path.is_file() for record in listed(source))


def test_the_margin_is_a_part_of_the_box_on_every_side(root: Path) -> None:
    assert listed(Hands(root, margin=0.5))[0].crop == Crop(-5, 10, 55, 50)
    assert Hands(root, margin=0.5).read(listed(Hands(root, margin=0.5))[0])[0].size == (55, 40)


def test_two_hands_can_be_left_out(root: Path) -> None:
    source = Hands(root, classes=LABELS[:12])
    assert source.labels == LABELS[:12] and len(listed(source)) == 5
    assert "of other classes and left out (data.classes): 1 Collab" in source.notes
    with pytest.raises(RecipeError, match=r"there is no class 'Colab' \(did you mean `Collab`\?\)"):
        Hands(root, classes=("Colab",))


def test_a_table_may_lie_in_the_root(root: Path) -> None:
    before = listed(Hands(root))
    (root / "Subject1" / "Subject1.txt").rename(root / "Subject1.txt")
    assert listed(Hands(root)) == before


BAD = {
    "[1 2 3]": "expected [left top width height]",
    "1 2 3 4": "expected [left top width height]",
    "[1 2 x 4]": "'x' is no number",
    "[1 2 nan 4]": "'nan' is no number",
    "[1 2 1e99 4]": "is no number of pixels",
    "[1 2 0 4]": "has no area",
    "[1 2 3 -4]": "has no area",
    "[200 2 30 40]": "is no part of a picture of 96x54 pixels",
    "[-30 2 30 40]": "is no part of a picture",
    "": "expected [left top width height]",
}


@pytest.mark.parametrize("cell", list(BAD))
def test_a_bad_cell_is_left_out_and_told_with_its_place(cell: str, root: Path) -> None:
    files.hands(root, {"Subject3": [{"Five_VFL": cell, "Six_VFL": "[1 1 9 9]"}]})
    source = Hands(root)
    assert [record.id for record in listed(source) if record.group == "Subject3"] == ["Subject3/Subject3/1_color.png:Six_VFL"]
    (note,) = source.notes
    assert note.startswith("left out: boxes that cannot be used (1): Subject3/Subject3.txt, line 2, Five_VFL") and BAD[cell] in note


def test_lines_and_columns_and_folders_that_fit_nothing_are_told(root: Path) -> None:
    table = root / "Subject2" / "Subject2.txt"
    head, row = table.read_text().splitlines()
    (root / "Subject9").mkdir()
    more = [f"{row},[1 2 3 4]", row.replace("1_color", "7_color"), row.replace("1_color", "../../Subject1/Subject1/1_color"), row, ""]
    table.write_text("\n".join([f"{head},Wave_VFR", *(f"{line},[0 0 0 0]" for line in (row, *more))]))
    source = Hands(root)
    assert sum(record.group == "Subject2" for record in listed(source)) == 1, "the same box three times is one"
    assert set(source.notes) == {
        "left out: columns of no gesture that is known, or said twice (1): Subject2/Subject2.txt, line 1, Wave_VFR",
        "left out: lines that are longer or shorter than the first (2): Subject2/Subject2.txt, line 3, 33 of 32 cells; "
        "Subject2/Subject2.txt, line 7, 2 of 32 cells",
        r"left out: lines of a frame that is not there (1): Subject2/Subject2.txt, line 4, 'D:\Somebody\Else\7_color.png'",
        "left out: boxes that are said twice (2): Subject2/Subject2/1_color.png:One_VFL; Subject2/Subject2/1_color.png:One_VFL",
        "left out: folders without their table (1): Subject9",
    }


@pytest.mark.parametrize("content", [b"", b"hello\nworld", b"rgb,depth,Wave\n", b"\x89PNG\r\n\xff\x00", b"\xff\xfer\x00g\x00b\x00"])
def test_a_file_that_is_no_table_is_named(content: bytes, root: Path) -> None:
    (root / "Subject2" / "Subject2.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"Subject2\.txt: no table of HANDS: its first line is .*, expected rgb,depth"):
        Hands(root)


def test_nothing_that_can_be_used_is_an_error_with_its_reasons(tmp_path: Path) -> None:
    root = files.hands(tmp_path, {"Subject1": [{"One_VFR": "[1 2 3]"}]})
    with pytest.raises(DataError, match=r"no picture with a label that can be used:\n  left out: boxes .*line 2, One_VFR"):
        Hands(root)
