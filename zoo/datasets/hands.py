"""HANDS: frames of five people who show fifteen static gestures to a Kinect, with a box around each hand.

C. Nuzzi, S. Pasinetti, R. Pagani, G. Coffetti, G. Sansoni: HANDS: an RGB-D dataset of static hand-gestures for human-robot interaction.
Data in Brief 35, 2021. The depth frames are not read.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from zoo.datasets.annotations import number, read_bytes, told
from zoo.datasets.annotations.checking import header_size
from zoo.datasets.annotations.crops import Crops, Part, where
from zoo.datasets.gestures import HANDS
from zoo.datasets.pictures import is_picture
from zoo.datasets.source import Crop, Source, layout_error
from zoo.errors import DataError, shown
from zoo.progress import track

LABELS = tuple(HANDS)
"""Twelve gestures of one hand and three of two; a column's name begins with one of them."""
ABSENT = "[0 0 0 0]"
MOST_BYTES = 100_000_000
"""Of a table: a hundred times those of the data set."""
_SUBJECT = re.compile(r"subject[ _-]?\d{1,6}", re.IGNORECASE | re.ASCII)


class Hands(Source):
    """Each box a record, grouped by the person.

    A table has a line for each frame and a column for each gesture and view, such as `One_VFR`; those of one gesture are one class. The
    folders that the tables write are those of another machine: a frame is looked for by its file's name in its subject's folder.

    Args:
        root: the folder that holds `Subject1/`, `Subject2/` ...
        classes: gestures that are learnt, in their order; () for all that the tables hold, those of two hands too.
        margin: how much more than the box is cut out, in parts of its width on the left and right, of its height above and below.

    Raises:
        DataError: the layout is not there, or a table is none.
        RecipeError: `classes` names what is not there.
    """

    title: ClassVar[str] = "HANDS (static gestures of five people)"
    obtain: ClassVar[str] = (
        "HANDS is to be had from https://data.mendeley.com/datasets/ndrczc35bt/1 (12,000 colour frames, CC BY 4.0). "
        "Unpack the archive of each subject into the folder."
    )
    layout: ClassVar[str] = """\
  Subject1/Subject1.txt                rgb,depth,Punch_VFR,Punch_VFL,One_VFR,... and a line for each frame (or the .txt in the root)
  Subject1/Subject1/1_color.png  ...
  Subject2/  ...
"""
    version: ClassVar[int] = 1

    def __init__(self, root: Path, classes: tuple[str, ...] = (), margin: Annotated[float, Ge(0), Le(2)] = 0.1) -> None:
        folders = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and _SUBJECT.fullmatch(entry.name)]
        tables = {folder: table for folder in folders if (table := _table(root, folder))}
        if not tables:
            raise layout_error(Hands, root, "no folder Subject1/ with its table Subject1.txt")
        found = Crops()
        for folder in folders:
            if folder in tables:
                _read(root, folder, tables[folder], margin, found)
            else:
                found.leave("folders without their table", shown(folder.name))
        labels, records = found.listed(root, LABELS, classes)
        super().__init__(root, labels, records, "person", notes=[*found.notes, *found.left()])

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw hands of several people, in the real layout with its wrong paths."""
        from zoo.datasets.drawn.hands import write

        write(root, seed)


def _table(root: Path, folder: Path) -> Path | None:
    name = f"{folder.name}.txt"
    return next((file for file in (folder / name, root / name, folder / folder.name / name) if file.is_file()), None)


def _read(root: Path, folder: Path, table: Path, margin: float, found: Crops) -> None:
    """The boxes of one subject."""
    header, lines = _lines(table)
    place, columns, frames = partial(where, root, table), _columns(header), _frames(folder)
    for name in sorted({*header} - {"rgb", "depth"} - {column for _, column, _ in columns}):
        found.leave("columns of no gesture that is known, or said twice", place("line 1", name))
    for line, text in enumerate(track(lines, f"reading {shown(table.name)}", len(lines), "lines"), 2):
        cells = [cell.strip() for cell in text.split(",")]
        if len(cells) != len(header):
            if text.strip():
                found.leave(
                    "lines that are longer or shorter than the first", place(f"line {line}", f"{len(cells)} of {len(header)} cells")
                )
            continue
        path = frames.get(re.split(r"[\\/]", cells[header.index("rgb")])[-1])
        if path is None:
            found.leave("lines of a frame that is not there", place(f"line {line}", told(cells[header.index("rgb")], 80)))
            continue
        boxes = [(label, column, cells[index]) for label, column, index in columns if cells[index] != ABSENT]
        size = header_size(path) if boxes else None  # None also of a broken file, which the look at all files names
        for label, column, cell in boxes:
            try:
                crop = _crop(cell, size).widened(margin)
            except ValueError as error:
                found.leave("boxes that cannot be used", place(f"line {line}", column, error))
                continue
            found.add("labelled", Part(label, path, f"{path.relative_to(root).as_posix()}:{column}", folder.name, crop))


def _lines(table: Path) -> tuple[list[str], list[str]]:
    """The names of a table's columns, and its other lines; bytes that are no UTF-8 spoil the cells that hold them alone."""
    try:
        first, *lines = read_bytes(table, MOST_BYTES).decode("utf-8-sig", "surrogateescape").split("\n")
        header = [cell.strip() for cell in first.split(",")]
        if "rgb" not in header or not _columns(header):
            raise ValueError(
                f"no table of HANDS: its first line is {told(first.strip())}, expected rgb,depth,Punch_VFR,Punch_VFL and so on"
            )
    except ValueError as error:
        raise DataError(f"{shown(table)}: {error}. Mend or remove the file.") from error
    return header, lines


def _crop(cell: str, size: tuple[int, int] | None) -> Crop:
    """The box of a cell `[left top width height]`.

    Raises:
        ValueError: it is none, or lies outside of its picture.
    """
    values = cell[1:-1].split()
    if not (cell.startswith("[") and cell.endswith("]") and len(values) == 4):
        raise ValueError(f"{told(cell)}, expected [left top width height]")
    left, top, width, height = map(number, values)
    if width <= 0 or height <= 0:
        raise ValueError(f"{told(cell)} has no area")
    crop = Crop(left, top, left + width, top + height)
    if size is not None:
        crop.pixels(size)
    return crop


def _columns(header: list[str]) -> list[tuple[str, str, int]]:
    """Gesture, name and index of the columns that are of a gesture, each name once."""
    known = {label.lower(): label for label in LABELS}
    found: dict[str, tuple[str, str, int]] = {}
    for index, name in enumerate(header):
        label = known.get(name.partition("_")[0].lower())
        if label and header.count(name) == 1:
            found[name] = label, name, index
    return list(found.values())


def _frames(folder: Path) -> dict[str, Path]:
    """The pictures of a subject by their names. Listed once, so that no path of a table is followed."""
    inner = folder / folder.name
    return {path.name: path for top in (folder, inner) if top.is_dir() for path in sorted(top.iterdir()) if is_picture(path)}
