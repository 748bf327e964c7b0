"""Faces of people in the news with 73 real-valued attributes each: Labeled Faces in the Wild.

G. B. Huang, M. Ramesh, T. Berg, E. Learned-Miller: Labeled Faces in the Wild. Technical report 07-49, University of Massachusetts,
2007. The pictures as aligned by G. B. Huang, M. Mattar, H. Lee, E. Learned-Miller: Learning to Align from Scratch. NIPS 2012. The
attributes are outputs of the classifiers of N. Kumar, A. C. Berg, P. N. Belhumeur, S. K. Nayar: Attribute and Simile Classifiers for
Face Verification. ICCV 2009: positive = present, the larger the surer.

All 73 columns are kept. A helper that goes round with this data drops the last column of its table: the header's "#" is a cell of its
own, so that names stand one cell to the right of their values, and what it drops is the empty cell this leaves. Here the header is
read without its "#".
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from zoo.datasets.pictures import is_picture
from zoo.datasets.source import Record, Source, layout_error
from zoo.errors import DataError, shown

TABLE = "lfw_attributes.txt"
FOLDERS = ("lfw-deepfunneled", "lfw_funneled", "lfw")
"""Aligned by learning, aligned by congealing, and as found; the first that is there is read."""

MAX_BYTES, MAX_ROWS, MAX_COLUMNS = 256_000_000, 200_000, 1_000
"""A larger table is refused before memory is taken; the real one has 18 MB, 13,143 rows and 75 columns."""

MOST_VALUE = 1e30
"""Larger values are no float32."""

KEYS = ("person", "imagenum")
NUMBER = re.compile(r"[0-9]{1,6}")
SHOWN = 10  # faults told one by one before the rest is only counted

Key = tuple[str, int]
"""Whose picture, and which of theirs."""


class LFW(Source):
    """Faces grouped by person, with attributes and without labels. Pictures and rows of attributes are matched by person and number.

    Of the 250 x 250 pixels the face fills about the middle 90 x 90; the rest is background, and other people. `data.crop: 0.36` keeps
    that middle, in training and in prediction alike.

    Args:
        root: the folder that holds the folder of people and the table of attributes.

    Raises:
        DataError: the layout is not there, the table is broken (its lines are named), or nothing matches.
    """

    title: ClassVar[str] = "Labeled Faces in the Wild, with attributes"
    obtain: ClassVar[str] = (
        "Labeled Faces in the Wild was given out by the University of Massachusetts (vis-www.cs.umass.edu/lfw, lfw-deepfunneled.tgz) "
        "and its attributes by Columbia University (www.cs.columbia.edu/CAVE, lfw_attributes.txt), for research; both places come and "
        "go, copies are on Kaggle. Unpack the archive into the folder and put the table beside it."
    )
    layout: ClassVar[str] = f"""\
  {FOLDERS[0]}/                        (or {" or ".join(f"{name}/" for name in FOLDERS[1:])}; may lie in a folder of its own name)
    <Person_Name>/<Person_Name>_0001.jpg
  {TABLE}                       tab-separated; its head: # person imagenum Male Asian ...
"""
    version: ClassVar[int] = 1

    def __init__(self, root: Path) -> None:
        folder = next((root / name for name in FOLDERS if (root / name).is_dir()), None)
        if folder is None:
            raise layout_error(LFW, root, f"no folder {FOLDERS[0]}/")
        if not (root / TABLE).is_file():
            raise layout_error(LFW, root, f"no file {TABLE}")
        folder = next((folder / name for name in FOLDERS if (folder / name).is_dir()), folder)
        table = read_table(root / TABLE)
        pictures, strange = _pictures(folder)
        if not (matched := pictures.keys() & table.rows.keys()):
            raise layout_error(LFW, root, f"no picture in {shown(folder.relative_to(root))}/ has a row in {TABLE}")
        records = [_record(pictures[key], table.rows[key]) for key in pictures if key in matched]
        super().__init__(
            root, (), {"labelled": records}, "person", notes=_notes(pictures, table.rows, strange), attributes=table.attributes
        )

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw about 600 faces of 150 people with their attributes, in the real layout with the real traps."""
        from zoo.datasets.drawn.lfw import write

        write(root, seed)


class Table(NamedTuple):
    """The names of the attributes and the values of each picture."""

    attributes: tuple[str, ...]
    rows: dict[Key, tuple[float, ...]]


def read_table(path: Path) -> Table:
    """The table of attributes.

    Raises:
        DataError: it is too large, has no header, or has broken lines; the first of them are named.
    """
    lines = enumerate(_lines(path), start=1)
    attributes = _header(path, lines)
    rows: dict[Key, tuple[float, ...]] = {}
    places: dict[Key, int] = {}
    faults: list[str] = []
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        if len(rows) == MAX_ROWS:
            raise DataError(f"{shown(path)}: more than the {MAX_ROWS:,} rows that are read; is this the table of the data set?")
        try:
            key, values = _row(line, len(attributes))
            if key in places:
                raise ValueError(f"picture {key[1]} of {shown(key[0])} has a row already, in line {places[key]}; remove one of them")
            rows[key], places[key] = values, number
        except ValueError as error:
            faults.append(f"  line {number}: {error}")
    if faults:
        raise _faulty(path, faults)
    return Table(attributes, rows)


def _lines(path: Path) -> list[str]:
    if (size := path.stat().st_size) > MAX_BYTES:
        raise DataError(f"{shown(path)}: {size:,} bytes, more than the {MAX_BYTES:,} that are read; is this the table of the data set?")
    # Bytes that are no UTF-8 are kept as Python keeps those of file names, so that such names match as well.
    return path.read_text(encoding="utf-8-sig", errors="surrogateescape").split("\n")


def _header(path: Path, lines: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """The names of the attributes, from the first line that names columns; only comments may stand before it."""
    number = 1
    for number, line in lines:
        cells = [cell.strip() for cell in line.strip().removeprefix("#").strip().split("\t")]
        if tuple(cell.lower() for cell in cells[:2]) == KEYS:
            return _names(path, number, cells[2:])
        if line.strip() and not line.startswith("#"):
            break
    raise DataError(
        f"{shown(path)}: line {number}: expected the header, '# person imagenum Male Asian ...' with tabs between; only comments "
        "(#) may stand before it. Fetch the file again."
    )


def _names(path: Path, number: int, names: Sequence[str]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(names) <= MAX_COLUMNS else []
    if not names or not all(names) or twice or len(names) > MAX_COLUMNS:
        found = f"{shown(twice[0] or 'an empty name')} twice" if twice else f"{len(names)} names" if all(names) else "an empty name"
        raise DataError(f"{shown(path)}: line {number}: expected 1 to {MAX_COLUMNS} different names of attributes, found {found}")
    return tuple(names)


def _row(line: str, columns: int) -> tuple[Key, tuple[float, ...]]:
    """One picture's key and values.

    Raises:
        ValueError: says what is wrong and what to do.
    """
    person, *cells = line.rstrip("\r\t ").split("\t")
    if len(cells) != columns + 1:
        raise ValueError(f"{len(cells) + 1} columns, expected {columns + 2} as in the header; is a tab missing, or the line cut off?")
    if not person.strip() or not NUMBER.fullmatch(cells[0].strip()):
        raise ValueError(f"expected a person's name and a picture's number, found {shown(person)!r} and {shown(cells[0])!r}; mend them")
    values = tuple(_value(cell) for cell in cells[1:])
    return (_person(person), int(cells[0])), values


def _value(cell: str) -> float:
    try:
        value = float(cell) if "_" not in cell else math.nan  # Python would take 1_000 as a number
    except ValueError:
        value = math.nan
    if not abs(value) < MOST_VALUE:  # nor NaN
        raise ValueError(f"{shown(cell.strip()[:40])!r} is no finite number; mend it, or remove the line: its picture is then left out")
    return value


def _faulty(path: Path, faults: list[str]) -> DataError:
    more = [f"  ... and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    count = f"{len(faults)} line{'s' if len(faults) > 1 else ''} cannot be used"
    return DataError(f"{shown(path)}: {count}:\n" + "\n".join([*faults[:SHOWN], *more]) + "\nMend them or fetch the file again.")


def _person(name: str) -> str:
    """A name as it is matched: folders have underscores for spaces, and some file systems store accents as letters of their own."""
    return unicodedata.normalize("NFC", name.replace("_", " ")).strip()


def _pictures(folder: Path) -> tuple[dict[Key, Path], list[str]]:
    """Pictures by person and number in the order of their names, and the names of those that are not named as the layout asks.

    Raises:
        DataError: two are the same picture by their names.
    """
    pictures: dict[Key, Path] = {}
    strange = []
    for path in _listed(folder):
        name, _, number = path.stem.rpartition("_")
        key = (_person(path.parent.name), int(number)) if NUMBER.fullmatch(number) else None
        if key is None or _person(name) != key[0]:
            strange.append(f"{path.parent.name}/{path.name}")
        elif key in pictures:
            both = f"{shown(pictures[key])} and {shown(path)}"
            raise DataError(f"{both}: both are picture {key[1]} of {shown(key[0])} by their names; remove one of them")
        else:
            pictures[key] = path
    return pictures, strange


def _listed(folder: Path) -> Iterator[Path]:
    people = sorted(person for person in folder.iterdir() if person.is_dir() and not person.name.startswith((".", "__")))
    return (path for person in people for path in sorted(person.iterdir()) if is_picture(path))


def _record(path: Path, values: tuple[float, ...]) -> Record:
    person = path.parent.name
    return Record(path, f"{person}/{path.name}", group=person, attributes=values)


def _notes(pictures: dict[Key, Path], rows: dict[Key, tuple[float, ...]], strange: list[str]) -> list[str]:
    """What is left out: what has no counterpart, and what is not named as it should be."""
    alone = [f"{path.parent.name}/{path.name}" for key, path in pictures.items() if key not in rows]
    lost = [f"{person} {number}" for person, number in rows if (person, number) not in pictures]
    found = {
        "pictures without attributes": alone,
        "rows of attributes without a picture": lost,
        "pictures not named <Person_Name>_<number>": strange,
    }
    return [f"left out: {len(names)} {what}: {_some(names)}" for what, names in found.items() if names]


def _some(names: list[str], most: int = 5) -> str:
    return shown(", ".join(names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
