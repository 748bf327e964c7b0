"""Semantic segmentation of Pascal VOC: 20 classes of things, and the background.

M. Everingham, L. Van Gool, C. K. I. Williams, J. Winn, A. Zisserman: The Pascal Visual Object Classes (VOC) Challenge. IJCV 2010.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from zoo.datasets.masks import MaskValues
from zoo.datasets.source import Record, Source, layout_error
from zoo.errors import DataError, shown

LABELS = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""The classes in the order of the masks' palette."""

LISTS, PICTURES, MASKS = "ImageSets/Segmentation", "JPEGImages", "SegmentationClass"


class VOCSegmentation(Source):
    """The pictures that the lists of the segmentation task name. Masks are palette pictures: their indices are the classes, 255 is ignored.

    Args:
        root: the folder that holds `VOCdevkit/` or `VOC<year>/`, or one of these itself.
        year: of the challenge; None for the newest that is there.
        parts: `own`: the lists train, val and, where its masks are there, test are the parts; `split`: train and val together are divided
            anew by `split`.
        unexpected: what becomes of values that are neither a class nor 255. `ignore`: losses and metrics pass over such pixels; `error`:
            the mask is bad.

    Raises:
        DataError: the layout is not there, or a list names nothing.
    """

    title: ClassVar[str] = "Pascal VOC, segmentation"
    obtain: ClassVar[str] = (
        "Pascal VOC is to be had from http://host.robots.ox.ac.uk/pascal/VOC/ (VOC2012 trainval: 2 GB); its pictures are Flickr's, under "
        "Flickr's terms. Unpack the archive into the folder."
    )
    layout: ClassVar[str] = f"""\
  VOCdevkit/VOC2012/               (or VOC2007, or the folder VOC2012/ or its content directly in the root)
    {PICTURES}/2007_000032.jpg
    {MASKS}/2007_000032.png
    {LISTS}/train.txt  val.txt  (or trainval.txt; test.txt optional)
"""
    version: ClassVar[int] = 1

    def __init__(
        self,
        root: Path,
        year: Literal[2007, 2008, 2009, 2010, 2011, 2012] | None = None,
        parts: Literal["own", "split"] = "own",
        unexpected: Literal["error", "ignore"] = "error",
    ) -> None:
        folder, notes = _folder(root, year)
        lists = {name: _names(folder, name) for name in ("train", "val", "trainval", "test")}
        known = list(dict.fromkeys([*lists["trainval"], *lists["train"], *lists["val"]]))
        if not known:
            raise layout_error(VOCSegmentation, root, f"{folder / LISTS} holds neither train.txt nor trainval.txt with names in it")
        own = parts == "own" and bool(lists["train"])
        chosen = {"train": lists["train"], "val": lists["val"]} if own else {"labelled": known}
        records = {part: [_record(folder, name) for name in names] for part, names in chosen.items()}
        tests, more = _tests(folder, lists["test"])
        records |= tests
        super().__init__(root, LABELS, records, notes=notes + more, masks=MaskValues(len(LABELS), unexpected=unexpected))

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw 48 pictures of simple things of six classes, with palette masks whose borders are 255, as VOC2012."""
        from zoo.datasets.drawn.voc_segmentation import write

        write(root, seed)


def _folder(root: Path, year: int | None) -> tuple[Path, list[str]]:
    """The folder of one year's challenge, and a note if there are others."""
    wanted = "VOC????" if year is None else f"VOC{year}"
    if (root / LISTS).is_dir() and (root / PICTURES).is_dir():
        return root, []
    found = [folder for top in (root / "VOCdevkit", root) for folder in sorted(top.glob(wanted)) if (folder / LISTS).is_dir()]
    if not found:
        raise layout_error(VOCSegmentation, root, f"no folder {wanted.replace('????', '<year>')}/{LISTS}/")
    newest = max(found, key=lambda folder: folder.name)
    others = sorted(folder.name for folder in found if folder != newest)
    return newest, [f"{newest.name} is read, {', '.join(others)} not: data.year says which"] if others else []


def _names(folder: Path, name: str) -> list[str]:
    """The pictures that a list names; empty if there is no such list."""
    path = folder / LISTS / f"{name}.txt"
    if not path.is_file():
        return []
    names = [line.strip() for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if line.strip()]
    strange = [one for one in names if Path(one).name != one]
    if strange:
        raise DataError(f"{shown(path)}: {shown(strange[0])!r} is no picture's name; expected names without folder and ending, one a line")
    return list(dict.fromkeys(names))


def _record(folder: Path, name: str) -> Record:
    return Record(folder / PICTURES / f"{name}.jpg", name, mask=folder / MASKS / f"{name}.png")


def _tests(folder: Path, names: list[str]) -> tuple[dict[str, list[Record]], list[str]]:
    """The test pictures: a part of their own where their masks are there, otherwise to be predicted; and notes."""
    there = [record for record in (_record(folder, name) for name in names) if record.path.is_file()]
    notes = [f"test.txt: {len(names) - len(there)} of {len(names)} pictures are not there and left out"] if len(there) < len(names) else []
    if there and all(record.mask is not None and record.mask.is_file() for record in there):
        return {"test": there}, notes
    return ({"unlabelled": [Record(record.path, record.id) for record in there]} if there else {}), notes
