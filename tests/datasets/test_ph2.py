"""PH2 as it is given out and as people pass it on; and that the drawn lesions are not told by brightness."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.datasets import synthetic
from zoo.datasets.drawn.ph2 import COUNTS, draw_case, write
from zoo.datasets.loaders import usable
from zoo.datasets.ph2 import DIAGNOSES, INNER, OUTER, PH2, TABLE, read_table
from zoo.errors import DataError

ROWS = """
|| Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry | Pigment Network | Dots/Globules || Colors ||
|| IMD002 ||                        ||                  0 ||         0 |               T |             A ||                4 ||
|| IMD003||Melanoma||2||1|AT|P||3  4||
|| imd004 ||  ||  1  ||  0 | T | A || 4 ||

Legends:
Asymmetry: 0 - Fully Symmetric; Clinical Diagnosis: 0 - Common Nevus; 1 - Atypical Nevus; 2 - Melanoma
"""


def case(folder: Path, name: str, mask: np.ndarray | None = None) -> None:
    """One folder of the data set; the mask a bitmap of one bit."""
    (folder / name / f"{name}_Dermoscopic_Image").mkdir(parents=True)
    (folder / name / f"{name}_lesion").mkdir()
    (folder / name / f"{name}_roi").mkdir()
    Image.new("RGB", (8, 6), (200, 150, 140)).save(folder / name / f"{name}_Dermoscopic_Image" / f"{name}.bmp")
    values = np.eye(6, 8, dtype=bool) if mask is None else mask
    Image.fromarray(values).save(folder / name / f"{name}_lesion" / f"{name}_lesion.bmp")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three cases with their table."""
    for name in ("IMD002", "IMD003", "IMD004"):
        case(tmp_path / "root" / OUTER / INNER, name)
    (tmp_path / "root" / OUTER / TABLE).write_text(ROWS)
    return tmp_path / "root"


def folder(root: Path, name: str, kind: str) -> Path:
    return root / OUTER / INNER / name / f"{name}_{kind}"


@pytest.mark.parametrize("inside", ["", OUTER])
def test_pictures_masks_and_diagnoses(root: Path, inside: str) -> None:
    source = PH2(root / inside)
    assert source.labels == ("background", "lesion")
    assert {record.id: record.stratum for record in source.records["labelled"]} == {
        "IMD002": "common nevus",
        "IMD003": "melanoma",
        "IMD004": "atypical nevus",
    }
    assert source.notes == ["1 common nevus, 1 atypical nevus, 1 melanoma"]
    picture, fields = source.read(source.records["labelled"][1])
    assert picture.mode == "RGB" and fields["group"] == "melanoma"
    assert np.array_equal(np.asarray(fields["mask"]), np.eye(6, 8))


def test_without_the_table_there_are_no_diagnoses(root: Path) -> None:
    (root / OUTER / TABLE).unlink()
    source = PH2(root)
    assert {record.stratum for record in source.records["labelled"]} == {None}
    assert source.notes == [f"no {TABLE}: the diagnoses are not known, so parts and results are not divided by them"]


def test_rows_without_pictures_and_pictures_without_rows_are_told(root: Path) -> None:
    case(root / OUTER / INNER, "IMD009")
    (root / OUTER / TABLE).write_text(ROWS + "|| IMD777 || || 1 || 0 ||\n")
    source = PH2(root)
    assert source.records["labelled"][-1].stratum == "diagnosis unknown"
    assert source.notes == [
        "1 common nevus, 1 atypical nevus, 1 melanoma, 1 diagnosis unknown",
        f"in {TABLE} and without pictures: IMD777",
    ]


def test_the_column_is_found_by_its_head(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("|| Name || Clinical Diagnosis || Other ||\r\n|| IMD1 || 2 || 0 ||\r\n", newline="")
    assert read_table(tmp_path / "t") == {"IMD1": "melanoma"}
    assert read_table(tmp_path / "none") == {}


@pytest.mark.parametrize("text", ["", "Name,Clinical Diagnosis\nIMD002,0\n", "|| IMD002 || || common || 0 ||"])
def test_another_table_is_refused(root: Path, text: str) -> None:
    (root / OUTER / TABLE).write_text(text)
    with pytest.raises(DataError, match=r"PH2_dataset\.txt: no row tells a diagnosis; expected rows such as .*or remove it"):
        PH2(root)


def test_other_endings_and_letters(root: Path) -> None:
    """Copies are often turned into PNG; some file systems change letters."""
    for kind, stem in (("Dermoscopic_Image", "IMD002"), ("lesion", "IMD002_lesion")):
        file = folder(root, "IMD002", kind) / f"{stem}.bmp"
        Image.open(file).save(file.with_name(f"{stem.lower()}.PNG"))
        file.unlink()
    assert not usable(PH2(root), "error")[1].bad


def test_what_is_missing_is_named_by_the_look(root: Path) -> None:
    (folder(root, "IMD002", "lesion") / "IMD002_lesion.bmp").unlink()
    (folder(root, "IMD003", "Dermoscopic_Image") / "IMD003.bmp").unlink()
    case(root / OUTER / INNER, "IMD005", np.ones((6, 9), bool))
    with pytest.raises(DataError) as error:
        usable(PH2(root), "error")
    told = str(error.value)
    assert "3 files cannot be used" in told and "IMD002_lesion.bmp: No such file" in told and "IMD003.bmp: No such file" in told
    assert "the mask has 9x6 pixels, its picture 8x6" in told
    assert [record.id for record in usable(PH2(root), "skip")[0]["labelled"]] == ["IMD004"]


@pytest.mark.parametrize(("unexpected", "value"), [("half", 1), ("ignore", 255)])
def test_grey_in_a_mask_is_counted_and_treated_as_asked(root: Path, unexpected: str, value: int) -> None:
    grey = np.zeros((6, 8), np.uint8)
    grey[0, :3] = (255, 200, 130)
    Image.fromarray(grey).save(folder(root, "IMD002", "lesion") / "IMD002_lesion.bmp")
    source = PH2(root, unexpected=unexpected)
    assert np.asarray(source.read(source.records["labelled"][0])[1]["mask"])[0].tolist() == [1, value, value, 0, 0, 0, 0, 0]
    (note,) = usable(source, "error")[2]
    assert (
        note.startswith("1 of 3 masks with unexpected values, ")
        and "IMD002_lesion.bmp (2 pixels of other values than 0 and 255 (130, 200))" in note
    )
    assert ("from 128 on they count as lesion" in note) == (unexpected == "half")
    with pytest.raises(DataError, match=r"2 pixels of other values"):
        usable(PH2(root, unexpected="error"), "error")


def test_remains_of_archives_are_no_cases(root: Path) -> None:
    (root / OUTER / INNER / "__MACOSX").mkdir()
    (root / OUTER / INNER / "Thumbs.db").write_text("x")
    assert len(PH2(root).records["labelled"]) == 3


# The drawn data.


@pytest.fixture(scope="module")
def drawn(data_home: Path) -> PH2:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_DATA", str(data_home))
        return PH2(synthetic.folder("ph2", PH2))


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / max(1, (found | truth).sum()))


def otsu(values: np.ndarray) -> int:
    """The level that divides the values so that both sides differ most (Otsu 1979)."""
    counts = np.bincount(values.ravel(), minlength=256).astype(float)
    below, mass = counts.cumsum(), (counts * np.arange(256)).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return int(np.nanargmax((mass[-1] * below / below[-1] - mass) ** 2 / (below * (below[-1] - below))))


def test_the_drawn_lesions_are_not_told_by_a_threshold(drawn: PH2) -> None:
    """Not by Otsu's on brightness, on any colour or on saturation, nor by the best there is for all pictures; a small UNet reaches 0.87."""
    single, common = [], []
    for record in drawn.records["labelled"]:
        picture, fields = drawn.read(record)
        truth = np.asarray(fields["mask"]) > 0
        planes = [
            np.asarray(picture.convert("L")),
            *np.asarray(picture).transpose(2, 0, 1),
            255 - np.asarray(picture.convert("HSV"))[..., 1],
        ]
        single.append([max(iou(plane <= otsu(plane), truth), iou(plane > otsu(plane), truth)) for plane in planes])
        common.append([[iou(plane <= level, truth) for level in range(0, 256, 8)] for plane in planes])
    by_otsu, by_best = np.mean(single, axis=0), np.mean(common, axis=0).max(axis=1)
    assert by_otsu[0] < 0.50 and by_best[0] < 0.50  # 0.42 and 0.40; 0.65 is the most that is allowed
    assert by_otsu.max() < 0.75 and by_best.max() < 0.70  # 0.69 and 0.65, of saturation


def test_the_drawn_data_are_spread_like_the_real_ones(drawn: PH2) -> None:
    records = drawn.records["labelled"]
    assert Counter(record.stratum for record in records) == COUNTS and len(records) <= 200
    found = [drawn.read(record) for record in records]
    sizes, shares = {picture.size for picture, _ in found}, [np.asarray(fields["mask"]).mean() for _, fields in found]
    assert len(sizes) > 20 and all(abs(width - 192) <= 5 and abs(height - 140) <= 4 for width, height in sizes)
    assert min(shares) > 0.03 and max(shares) < 0.6
    assert usable(drawn, "error")[2] == []


def test_diagnoses_differ_in_their_edges(drawn: PH2) -> None:
    """Common nevi are roundest: the share of their masks that lies at the outline is least."""
    ragged: dict[str, list[float]] = {diagnosis: [] for diagnosis in DIAGNOSES}
    for record in drawn.records["labelled"]:
        mask = np.asarray(drawn.read(record)[1]["mask"]) > 0
        outline = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
        ragged[record.stratum or ""].append(outline / np.sqrt(mask.sum()))
    means = [np.mean(ragged[diagnosis]) for diagnosis in DIAGNOSES]
    assert means == sorted(means)


def test_drawing_is_equal_for_equal_seeds(tmp_path: Path) -> None:
    contents = []
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        write(tmp_path / name, seed, share=0.05)
        contents.append({path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*") if path.is_file()})
    assert contents[0] == contents[1] and len(contents[0]) == 2 * (4 + 4 + 3) + 1
    assert contents[0].keys() != contents[2].keys()
    one, other = draw_case("melanoma", "a"), draw_case("melanoma", "b")
    assert one[1].mode == "1" and np.asarray(one[0]).mean() != np.asarray(other[0]).mean()
