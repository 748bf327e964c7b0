"""Mask files: numbers are read as they lie there, odd ones are told, and a picture and its mask stay together up to the device."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from picture_files import broken_files, saved
from PIL import Image
from torch import Tensor

from zoo.datasets import masks, pictures, preflight
from zoo.datasets.loaders import Loaders, Pictures, to_device, usable
from zoo.datasets.masks import IGNORE, MaskValues, read_mask, read_mask_of
from zoo.datasets.source import Record, Source
from zoo.datasets.transforms import Preprocess, augmentation
from zoo.errors import DataError, RecipeError
from zoo.recipe import Recipe

BINARY, INDEXED = MaskValues(2, binary=True), MaskValues(4)
VALUES = np.array([[0, 0, 1], [2, 3, 255]], np.uint8)


def file(folder: Path, values: Any, mode: str = "L", name: str = "m.png", palette: Any = None) -> Path:
    picture = Image.fromarray(np.asarray(values, np.uint8))
    if mode == "P":
        picture = Image.frombytes("P", picture.size, picture.tobytes())
        picture.putpalette(palette or [255 - number // 3 for number in range(768)])
    return saved(folder, picture if picture.mode == mode else picture.convert(mode), name)


def classes(path: Path, values: MaskValues) -> list[list[int]]:
    mask, _ = read_mask(path, values)
    assert mask.mode == "L"
    return np.asarray(mask).tolist()


@pytest.mark.parametrize("kind", ["png", "bmp", "tif"])
@pytest.mark.parametrize("mode", ["L", "P"])
def test_indices_are_classes_whatever_the_palette(tmp_path: Path, mode: str, kind: str) -> None:
    assert classes(file(tmp_path, VALUES, mode, f"m.{kind}"), INDEXED) == VALUES.tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0, 255], [255, 0]], [[0, 1], [1, 0]]),
        ([[0, 1], [1, 0]], [[0, 1], [1, 0]]),
        ([[0, 0]], [[0, 0]]),
        ([[255]], [[1]]),
        ([[1]], [[1]]),
    ],
)
def test_binary_masks_are_0_and_255_or_0_and_1(tmp_path: Path, values: Any, expected: Any) -> None:
    assert classes(file(tmp_path, values), BINARY) == expected
    assert classes(file(tmp_path, values, "RGB"), BINARY) == expected  # grey in a colour picture


@pytest.mark.parametrize("name", ["m.bmp", "m.png", "m.tif"])
def test_masks_of_one_bit(tmp_path: Path, name: str) -> None:
    path = file(tmp_path, [[0, 255], [255, 0]], "1", name)
    assert classes(path, BINARY) == classes(path, MaskValues(2)) == [[0, 1], [1, 0]]


def test_a_binary_palette_of_greys_means_what_one_sees(tmp_path: Path) -> None:
    """Bitmaps may have white as colour 0; a palette of colours has no brightness to go by."""
    white_first = [255, 255, 255, 0, 0, 0] + [0] * 762
    assert classes(file(tmp_path, [[0, 1]], "P", "a.bmp", white_first), BINARY) == [[1, 0]]
    red_second = [0, 0, 0, 128, 0, 0] + [0] * 762
    assert classes(file(tmp_path, [[0, 1]], "P", "b.png", red_second), BINARY) == [[0, 1]]
    assert classes(file(tmp_path, [[0, 1]], "P", "c.png", white_first), INDEXED) == [[0, 1]]


@pytest.mark.parametrize(("unexpected", "expected"), [("half", [[0, 0, 1, 1]]), ("ignore", [[0, IGNORE, IGNORE, 1]])])
def test_other_values_of_binary_masks(tmp_path: Path, unexpected: Any, expected: Any) -> None:
    mask, odd = read_mask(file(tmp_path, [[0, 127, 128, 255]]), MaskValues(2, True, unexpected))
    assert np.asarray(mask).tolist() == expected and odd == {127: 1, 128: 1}


def test_other_values_of_indexed_masks(tmp_path: Path) -> None:
    mask, odd = read_mask(file(tmp_path, [[3, 4, 4, 254, 255]]), MaskValues(4, unexpected="ignore"))
    assert np.asarray(mask).tolist() == [[3, IGNORE, IGNORE, IGNORE, IGNORE]] and odd == {4: 2, 254: 1}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (BINARY, r"0 and 255 \(7, 8, 9, 10 \.\.\.\); if they are class numbers, set data\.values=indexed; else "),
        (INDEXED, r"0 to 3 and 255 \(7, 8, 9, 10 \.\.\.\); "),
    ],
)
def test_an_error_tells_the_values_and_the_way_out(tmp_path: Path, values: MaskValues, told: str) -> None:
    with pytest.raises(DataError, match=rf"m\.png: 6 pixels of other values than {told}data\.unexpected says"):
        read_mask(file(tmp_path, [[0, 7, 7, 8, 9, 10, 11, 255]]), values)


def test_colours_are_refused(tmp_path: Path) -> None:
    colours = np.zeros((2, 2, 3), np.uint8)
    colours[0, 0] = (0, 0, 1)
    with pytest.raises(DataError, match=r"a mask of mode RGB; expected one number a pixel.*turn its colours into class numbers"):
        read_mask(saved(tmp_path, Image.fromarray(colours), "m.png"), INDEXED)
    deep = Image.fromarray(np.full((2, 2), 300, np.uint16))
    with pytest.raises(DataError, match=r"a mask of mode I;16"):
        read_mask(saved(tmp_path, deep, "deep.png"), INDEXED)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_broken_masks_are_told_like_broken_pictures(tmp_path: Path) -> None:
    for path, word in broken_files(tmp_path).items():
        with pytest.raises(DataError, match=word):
            read_mask(path, MaskValues(2, True, "half"))


def test_a_mask_of_another_size(tmp_path: Path) -> None:
    path = file(tmp_path, np.zeros((4, 6)))
    assert read_mask_of(path, (6, 4), BINARY).size == (6, 4)
    with pytest.raises(DataError, match=r"m\.png: the mask has 6x4 pixels, its picture 4x6"):
        read_mask_of(path, (4, 6), BINARY)


# Together with their pictures.


class Pairs(Source):
    """Pictures a.png, b.png ... and masks a_mask.png ... in one folder; the grey of a picture says its class."""

    def __init__(self, root: Path, values: MaskValues = INDEXED, strata: bool = True) -> None:
        stems = sorted(path.stem.removesuffix("_mask") for path in root.glob("*_mask.png"))
        kinds = [("round" if number % 3 else "long") if strata else None for number in range(len(stems))]
        records = [
            Record(root / f"{stem}.png", stem, mask=root / f"{stem}_mask.png", stratum=kind)
            for stem, kind in zip(stems, kinds, strict=True)
        ]
        super().__init__(root, ["ground", "one", "two", "three"][: values.classes], {"labelled": records}, masks=values)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve pairs of blocks of 4 x 4 pixels."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    for number in range(12):
        values = np.kron(np.random.default_rng(number).integers(0, 4, (5, 6)), np.ones((4, 4))).astype(np.uint8)
        saved(folder, Image.fromarray(values), f"{number:02d}_mask.png")
        saved(folder, Image.fromarray(60 * values).convert("RGB"), f"{number:02d}.png")
    return folder


RECIPE = """
question: Which?
data:
  name: image_folder
  size: [20, 24]
  fit: squash
  workers: 0
split:
  val: 0.25
backbone: resnet18
task: classification
train:
  batch_size: 4
"""


def loaders(root: Path, *changes: str, **options: Any) -> Loaders:
    return Loaders(Pairs(root, **options), Recipe.parse(RECIPE, "test.yaml", "test", [f"data.root={root}", *changes]))


def test_a_batch_holds_masks_and_groups(root: Path) -> None:
    batch = next(loaders(root).stream())
    assert batch["mask"].shape == (4, 20, 24) and batch["mask"].dtype == torch.uint8
    assert len(batch["group"]) == 4 and set(batch["group"]) <= {"long", "round"} and "label" not in batch
    assert batch["image"][:, 0].equal(60 * batch["mask"])
    moved = to_device(batch, torch.device("cpu"))
    assert moved["mask"].dtype == torch.int64 and moved["mask"].equal(batch["mask"].long())
    assert batch["mask"].dtype == torch.uint8  # the batch itself is left alone


def test_without_strata_there_are_no_groups(root: Path) -> None:
    assert "group" not in next(loaders(root, strata=False).stream())


@pytest.mark.parametrize("part", ["train", "val"])
def test_masks_move_with_their_pictures_in_training_and_stay_in_evaluation(root: Path, part: str) -> None:
    data = loaders(root, "data.augment=[flip, vertical_flip, {name: noise, sigma: 0.01}, {name: erase, p: 1.0}]")
    batches = list(islice(data.stream(), 6)) if part == "train" else list(data.evaluation("val"))
    for batch in batches:
        same = (batch["image"][:, 0].int() - 60 * batch["mask"].int()).abs() < 20
        assert same.float().mean() > (0.7 if part == "train" else 0.9999)  # what is erased is grey and keeps its mask
    plain = {sample["path"]: sample["mask"] for sample in (data.pictures(part)[row] for row in range(len(data.parts()[part])))}
    moved = [not mask.equal(plain[path]) for batch in batches for path, mask in zip(batch["path"], batch["mask"], strict=True)]
    assert any(moved) == (part == "train")


def test_batches_with_masks_are_equal_for_any_number_of_workers_and_from_anywhere(root: Path) -> None:
    augment = "data.augment=[flip, affine, crop, color]"
    whole = list(islice(loaders(root, augment).stream(), 5))
    for found, start in ((loaders(root, augment, "data.workers=2").stream(), 0), (loaders(root, augment).stream(1, 1), 3)):
        for one, other in zip(whole[start:], found, strict=False):
            assert all(value.equal(other[key]) if isinstance(value, Tensor) else value == other[key] for key, value in one.items())


def test_a_picture_and_its_mask_are_opened_once_each(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    for module in (masks, pictures):
        monkeypatch.setattr(module, "open_picture", lambda path, real=module.open_picture: opened.append(path.name) or real(path))
    source = Pairs(root)
    sample = Pictures(source, source.records["labelled"], Preprocess((8, 8)), augmentation([]))[0]
    assert "mask" in sample and opened == ["00.png", "00_mask.png"]


def test_a_mask_that_broke_after_the_look_is_named(root: Path) -> None:
    data = loaders(root)
    mask = data.parts()["val"][0].mask
    assert mask is not None
    file(root, np.zeros((3, 3)), name=mask.name)
    with pytest.raises(DataError, match=rf"{mask.name}: the mask has 3x3 pixels, its picture 24x20"):
        list(data.evaluation("val"))


def test_the_spec_names_the_classes_and_counts_none(root: Path) -> None:
    data = loaders(root)
    assert data.spec.labels == ("ground", "one", "two", "three") and data.spec.counts == () and data.epoch_counts() == ()
    assert not any("class map" in note or "not in" in note for note in data.notes)


def test_every_part_gets_its_share_of_each_stratum(root: Path) -> None:
    parts = loaders(root, "split.test=0.25").parts()
    assert {name: sorted(record.stratum or "" for record in part) for name, part in parts.items()} == {
        "train": ["long", "long", *["round"] * 4],
        "val": ["long", "round", "round"],
        "test": ["long", "round", "round"],
    }


@pytest.mark.parametrize("balance", ["loss_weights", "sampler", "augmented_sampler"])
def test_there_is_nothing_to_balance(root: Path, balance: str) -> None:
    with pytest.raises(RecipeError, match=rf"data\.balance={balance}: .*no class each.*leave data\.balance out"):
        loaders(root, f"data.balance={balance}")


@pytest.mark.parametrize("name", ["randaugment", "trivial_augment"])
def test_what_cannot_move_masks_is_refused_before_the_training(root: Path, name: str) -> None:
    with pytest.raises(RecipeError, match=rf"data\.augment\.1 \({name}\) cannot move masks with their pictures; use "):
        loaders(root, f"data.augment=[flip, {name}]")


# The look at all files.


def test_bad_masks_are_found_with_their_pictures(root: Path) -> None:
    (root / "00_mask.png").write_bytes(b"")
    file(root, np.zeros((20, 23)), name="01_mask.png")
    file(root, np.full((20, 24), 9), name="02_mask.png")
    source = Pairs(root)
    (root / "03_mask.png").unlink()
    found = preflight.check(source.records["labelled"], source.masks)
    assert {path.name: why.partition("_mask.png: ")[2] for path, why in found.bad.items()} == {
        "00.png": "the file is empty (0 bytes)",
        "01.png": "the mask has 23x20 pixels, its picture 24x20",
        "02.png": "480 pixels of other values than 0 to 3 and 255 (9); data.unexpected says what becomes of them",
        "03.png": "No such file or directory",
    }
    assert all(why.startswith(f"mask {root}") for why in found.bad.values())
    assert found.masks == 8 and found.files == 12 and found.summary() == "12 pictures with masks, 0 MB, 24x20 pixels, 4 bad"


def test_bad_masks_follow_the_policy(root: Path) -> None:
    file(root, np.full((20, 24), 9), name="02_mask.png")
    with pytest.raises(DataError, match=r"1 file cannot be used:\n  .*02\.png: mask .*02_mask\.png: 480 pixels"):
        usable(Pairs(root), "error")
    records, _, notes = usable(Pairs(root), "skip")
    assert len(records["labelled"]) == 11 and "02" not in [record.id for record in records["labelled"]]
    assert notes[0].startswith("1 bad file skipped (data.bad_files: skip): 02.png (mask ")


def test_odd_and_empty_masks_are_noted(root: Path) -> None:
    values = np.zeros((20, 24), np.uint8)
    file(root, values, name="04_mask.png")
    values[0, :3] = 7
    file(root, values, name="05_mask.png")
    file(root, np.ones((20, 24), np.uint8), name="06_mask.png")
    assert usable(Pairs(root, MaskValues(4, unexpected="ignore")), "error")[2] == [
        "1 of 12 masks with unexpected values, they are left out of losses and metrics (data.unexpected): "
        "05_mask.png (3 pixels of other values than 0 to 3 and 255 (7))",
        "2 of 12 masks hold nothing but ground: 04_mask.png, 05_mask.png",
    ]


def test_a_turned_picture_is_as_large_as_its_mask(root: Path) -> None:
    picture = Image.open(root / "00.png").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right before it is shown
    picture.save(root / "00.jpg", exif=exif)
    record = Record(root / "00.jpg", "00", mask=root / "00_mask.png")
    assert not preflight.check([record], INDEXED).bad
    picture, fields = Pairs(root).read(record)
    assert picture.size == fields["mask"].size == (24, 20)
    assert np.abs(np.asarray(picture, int)[..., 0] - 60 * np.asarray(fields["mask"], int)).mean() < 10


def test_the_data_fingerprint_tells_changed_masks(root: Path) -> None:
    seen = [
        loaders(root).fingerprint(),
        loaders(root, "data.size=8").fingerprint(),
        loaders(root, strata=False, values=INDEXED).fingerprint(),
    ]
    values = np.asarray(Image.open(root / "03_mask.png")).copy()
    values[:4, :4] = (values[:4, :4] + 1) % 4
    file(root, values, name="03_mask.png")
    seen.append(loaders(root).fingerprint())
    assert seen[0] == seen[1] and len(set(seen)) == 3
