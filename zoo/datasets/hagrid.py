"""HaGRID: people before their webcams who show gestures, with a box around each hand.

A. Kapitanov, K. Kvanchiani, A. Nagaev, R. Kraynov, A. Makhliarchuk: HaGRID -- HAnd Gesture Recognition Image Dataset. WACV 2024. The second
version: A. Nuzhdin and others: HaGRIDv2: 1M Images for Static and Dynamic Hand Gesture Recognition. 2024.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le

from zoo.datasets.annotations import LONGEST_NAME, json_file, told
from zoo.datasets.annotations.crops import Crops, Part, uncollected, where
from zoo.datasets.gestures import HAGRID
from zoo.datasets.pictures import is_picture
from zoo.datasets.source import Crop, Source, layout_error
from zoo.errors import DataError, shown
from zoo.progress import track

LABELS = tuple(HAGRID)
"""The first version's 18 gestures and `no_gesture`, then what the second one adds."""

MOST_BYTES = 500_000_000
"""Of a file of annotations: ten times the largest."""
_FOLDERS = {"ann_train_val": "train", "ann_train": "train", "ann_val": "val", "ann_test": "test", "ann_subsample": "labelled"}
_SECOND = {"train": "train", "val": "val", "test": "test"}
"""Folders of annotations -> the part they are of; in the second version below `annotations/`."""

Pictures = Mapping[str, Mapping[str, str]]
"""Folder's name -> name of a picture without its ending -> its file within the root."""


class HaGRID(Source):
    """Each box a record, grouped by the person, in either version and in the subsample of 100 pictures a gesture.

    Pictures are looked for by their names below folders named by the gesture, wherever these lie, so that a data set of which only some
    gestures are there can be read. The parts of the full data set are kept; of the first version `val` is cut from `train`.

    Args:
        root: the folder that holds the annotations and the pictures.
        classes: gestures that are learnt, in their order; () for all that occur.
        margin: how much more than the box is cut out, in parts of its width on the left and right, of its height above and below.

    Raises:
        DataError: the layout is not there, or a file of annotations is none.
        RecipeError: `classes` names what is not there.
    """

    title: ClassVar[str] = "HaGRID (gestures before webcams)"
    obtain: ClassVar[str] = (
        "HaGRID is to be had from https://github.com/hukenovs/hagrid (a variant of CC BY-SA 4.0): the subsample has 2.5 GB, "
        "all of it 716 GB. Unpack pictures and annotations into the folder."
    )
    layout: ClassVar[str] = """\
  ann_subsample/like.json  ...                     with  subsample/like/<name>.jpg  ...
or ann_train_val/like.json  ann_test/like.json  ...  with  train_val/like/<name>.jpg  test/like/<name>.jpg  ...
or annotations/train/like.json  annotations/val/  annotations/test/  ...  with  like/<name>.jpg  ...
"""
    version: ClassVar[int] = 1

    def __init__(self, root: Path, classes: tuple[str, ...] = (), margin: Annotated[float, Ge(0), Le(2)] = 0.1) -> None:
        files, pictures, notes = _find(root)
        if not files:
            raise layout_error(HaGRID, root, "no annotations, such as ann_subsample/like.json")
        if not pictures:
            raise layout_error(HaGRID, root, "annotations, but no pictures")
        found, absent = Crops(), 0
        with uncollected():
            for part, file in track(files, "reading annotations", len(files), "files"):
                absent += _read(root, file, part, pictures, margin, found)
            labels, records = found.listed(root, LABELS, classes)
        notes += [f"annotated, but not here and left out: {absent:,} pictures"] if absent else []
        super().__init__(root, labels, records, "person", notes=[*notes, *found.notes, *found.left()])

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw people who show gestures, in the real layout of the subsample."""
        from zoo.datasets.drawn.hagrid import write

        write(root, seed)


def _find(root: Path) -> tuple[list[tuple[str, Path]], Pictures, list[str]]:
    """The files of annotations with their parts, and all pictures, in one walk that follows no links; and what is to be said of them."""
    parts: dict[str, list[Path]] = {}
    pictures: dict[str, dict[str, str]] = {}
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__")))
        place = Path(folder)
        part = _SECOND.get(place.name) if place.parent.name == "annotations" else _FOLDERS.get(place.name)
        if part is not None:
            parts.setdefault(part, []).extend(place / name for name in sorted(names) if name.endswith(".json") and not name.startswith("."))
            continue
        start = "" if place == root else f"{place.relative_to(root).as_posix()}/"
        here = {os.path.splitext(name)[0]: start + name for name in sorted(names) if is_picture(Path(name))}
        if here:
            pictures.setdefault(place.name.removeprefix("train_val_").removeprefix("test_"), {}).update(here)
    notes = []
    if {"train", "labelled"} <= set(parts):
        del parts["labelled"]
        notes.append("ann_subsample/ is not read, since all of the data set is there")
    if "train" not in parts:  # nothing of its own to train on: all is divided
        parts = {"labelled": [file for files in parts.values() for file in files]}
    return [(part, file) for part, files in sorted(parts.items()) for file in files], pictures, notes


def _read(root: Path, file: Path, part: str, pictures: Pictures, margin: float, found: Crops) -> int:
    """The boxes of one file of annotations; how many of its pictures are not there."""
    try:
        entries, twice = json_file.read(file, MOST_BYTES)
    except ValueError as error:
        raise DataError(f"{shown(file)}: {error}. Mend or remove the file.") from error
    place, absent = partial(where, root, file), 0
    for key in twice:
        found.leave("entries of a key that is there again", place(key))
    folders = [pictures.get(file.stem, {}), *pictures.values()]
    for name, entry in entries.items():
        picture = next((folder[name] for folder in folders if name in folder), None)
        if picture is None:
            absent += 1
            continue
        try:
            boxes, person = _entry(entry)
        except ValueError as error:
            found.leave("pictures whose annotation cannot be used", place(name, error))
            continue
        path = root / picture
        for index, (box, label) in enumerate(boxes):
            try:
                crop = _crop(box, label).widened(margin)
            except ValueError as error:
                found.leave("boxes that cannot be used", place(name, f"bboxes[{index}]", error))
                continue
            found.add(part, Part(label, path, f"{picture}#{index}", person, crop))
    return absent


def _entry(entry: object) -> tuple[list[tuple[object, Any]], str]:
    """Boxes with their labels, and the person, of what is said of a picture.

    Raises:
        ValueError: something of it is not there; without the person the picture could be in two parts with others of that person.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"it is {told(entry)}, expected bboxes, labels and user_id")
    boxes, labels, person = (entry.get(key) for key in ("bboxes", "labels", "user_id"))
    if not isinstance(boxes, list) or not isinstance(labels, list) or len(boxes) != len(labels):
        raise ValueError("its bboxes and labels are no two lists of equal length")
    if (
        isinstance(person, bool)
        or not isinstance(person, str | int)
        or not 0 < len(str(person)) <= LONGEST_NAME
        or not str(person).isprintable()
    ):
        raise ValueError(f"its user_id is {told(person)}, expected a text")
    return list(zip(boxes, labels, strict=True)), str(person)


def _crop(box: object, label: object) -> Crop:
    """A box of parts of the picture's width and height, of a known gesture.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(label, str) or label not in LABELS:
        raise ValueError(f"its label is {told(label)}, which is no gesture of HaGRID")
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"{told(box)}, expected [left, top, width, height]")
    left, top, width, height = map(json_file.real, box)
    spelt = f"[{left:g}, {top:g}, {width:g}, {height:g}]"
    if width <= 0 or height <= 0:
        raise ValueError(f"{spelt} has no area")
    if not (max(left, 0) < min(left + width, 1) and max(top, 0) < min(top + height, 1)) or max(width, height) > 2:
        raise ValueError(f"{spelt} lies outside of the picture; expected parts of its width and height, 0 to 1")
    return Crop(left, top, left + width, top + height, relative=True)
