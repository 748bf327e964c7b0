"""Pascal VOC's folders, lists and palette masks; and the drawn things that stand in for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.datasets import synthetic
from zoo.datasets.drawn.voc_segmentation import THINGS, palette_color
from zoo.datasets.loaders import usable
from zoo.datasets.masks import IGNORE
from zoo.datasets.voc_segmentation import LABELS, LISTS, MASKS, PICTURES, VOCSegmentation
from zoo.errors import DataError


def year(root: Path, name: str = "VOC2012", **lists: tuple[str, ...]) -> Path:
    """One year's folder with these lists and a picture and a mask for every name."""
    folder = root / name
    for inner in (PICTURES, MASKS, LISTS):
        (folder / inner).mkdir(parents=True)
    for part, names in lists.items():
        (folder / LISTS / f"{part}.txt").write_text("".join(f"{one}\n" for one in names))
        for one in names:
            Image.new("RGB", (6, 4)).save(folder / PICTURES / f"{one}.jpg")
            mask = Image.new("P", (6, 4), 15)
            mask.putpalette([value for index in range(256) for value in palette_color(index)])
            mask.putpixel((0, 0), 255)
            mask.save(folder / MASKS / f"{one}.png")
    return root


def ids(source: VOCSegmentation) -> dict[str, list[str]]:
    return {part: [record.id for record in records] for part, records in source.records.items()}


def test_classes_are_in_the_palettes_order() -> None:
    """Colours as the development kit's documentation gives them, in the order it names the classes."""
    assert len(LABELS) == 21 and LABELS[0] == "background" and list(LABELS[1:]) == sorted(LABELS[1:])
    colours = {"aeroplane": (128, 0, 0), "bicycle": (0, 128, 0), "person": (192, 128, 128), "tvmonitor": (0, 64, 128)}
    assert {name: palette_color(LABELS.index(name)) for name in colours} == colours
    assert palette_color(IGNORE) == (224, 224, 192)


@pytest.mark.parametrize("inside", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_own_parts(tmp_path: Path, inside: str) -> None:
    year(tmp_path / "VOCdevkit", train=("a", "b"), val=("c",), trainval=("a", "b", "c"))
    source = VOCSegmentation(tmp_path / inside)
    assert ids(source) == {"train": ["a", "b"], "val": ["c"]} and source.notes == []
    picture, fields = source.read(source.records["train"][0])
    mask = np.asarray(fields["mask"])
    assert picture.size == (6, 4) and mask[0, 0] == IGNORE and mask[1, 1] == LABELS.index("person")
    assert ids(VOCSegmentation(tmp_path / inside, parts="split")) == {"labelled": ["a", "b", "c"]}


def test_a_list_of_train_and_val_together_is_enough(tmp_path: Path) -> None:
    assert ids(VOCSegmentation(year(tmp_path, trainval=("a", "b")))) == {"labelled": ["a", "b"]}


def test_years(tmp_path: Path) -> None:
    year(year(tmp_path, "VOC2007", train=("a",), val=("b",)), "VOC2012", train=("c",), val=("d",))
    newest = VOCSegmentation(tmp_path)
    assert ids(newest)["train"] == ["c"] and newest.notes == ["VOC2012 is read, VOC2007 not: data.year says which"]
    assert ids(VOCSegmentation(tmp_path, year=2007))["train"] == ["a"]
    with pytest.raises(DataError, match=r"no folder VOC2010/ImageSets/Segmentation/"):
        VOCSegmentation(tmp_path, year=2010)


def test_test_pictures_with_masks_without_and_not_there(tmp_path: Path) -> None:
    year(tmp_path, train=("a",), val=("b",), test=("t", "u"))
    assert ids(VOCSegmentation(tmp_path))["test"] == ["t", "u"]
    (tmp_path / "VOC2012" / MASKS / "u.png").unlink()
    source = VOCSegmentation(tmp_path)
    assert "test" not in ids(source) and ids(source)["unlabelled"] == ["t", "u"]
    assert all(record.mask is None for record in source.records["unlabelled"])
    (tmp_path / "VOC2012" / PICTURES / "t.jpg").unlink()
    source = VOCSegmentation(tmp_path)
    assert ids(source)["unlabelled"] == ["u"] and source.notes == ["test.txt: 1 of 2 pictures are not there and left out"]


def test_a_missing_mask_is_named_by_the_look(tmp_path: Path) -> None:
    year(tmp_path, train=("a", "b"), val=("c",))
    (tmp_path / "VOC2012" / MASKS / "b.png").unlink()
    with pytest.raises(DataError, match=r"b\.jpg: mask .*b\.png: No such file"):
        usable(VOCSegmentation(tmp_path), "error")
    assert [record.id for record in usable(VOCSegmentation(tmp_path), "skip")[0]["train"]] == ["a"]


def test_values_that_are_no_class(tmp_path: Path) -> None:
    year(tmp_path, train=("a",), val=("b",))
    path = tmp_path / "VOC2012" / MASKS / "a.png"
    mask = Image.open(path)
    mask.putpixel((2, 2), 21)
    mask.save(path)
    with pytest.raises(DataError, match=r"a\.png: 1 pixel of other values than 0 to 20 and 255 \(21\)"):
        usable(VOCSegmentation(tmp_path), "error")
    source = VOCSegmentation(tmp_path, unexpected="ignore")
    assert np.asarray(source.read(source.records["train"][0])[1]["mask"])[2, 2] == IGNORE
    assert "a.png (1 pixel of other values" in usable(source, "error")[2][0]


@pytest.mark.parametrize("name", ["../../etc/passwd", "sub/a"])
def test_a_list_cannot_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    year(tmp_path, train=("a",), val=("b",))
    (tmp_path / "VOC2012" / LISTS / "train.txt").write_text(f"a\n{name}\n")
    with pytest.raises(DataError, match=rf"train\.txt: '{name}' is no picture's name"):
        VOCSegmentation(tmp_path)


def test_empty_lists_are_told(tmp_path: Path) -> None:
    year(tmp_path, train=(), val=())
    with pytest.raises(DataError, match=r"holds neither train\.txt nor trainval\.txt with names in it"):
        VOCSegmentation(tmp_path)


def test_the_drawn_things(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every drawn class is in both parts, and each thing has a border that is ignored."""
    monkeypatch.setenv("ZOO_DATA", str(data_home))
    source = VOCSegmentation(synthetic.folder("voc_segmentation", VOCSegmentation))
    assert {part: len(records) for part, records in source.records.items()} == {"train": 32, "val": 16}
    for records in source.records.values():
        masks = [np.asarray(source.read(record)[1]["mask"]) for record in records]
        assert {int(value) for mask in masks for value in np.unique(mask)} == {0, IGNORE, *map(LABELS.index, THINGS)}
        for mask in masks:
            inner = (mask > 0) & (mask < IGNORE)
            assert not (inner[1:] & (mask[:-1] == 0)).any() and not (inner[:, :-1] & (mask[:, 1:] == 0)).any()
    assert usable(source, "error")[2] == []
