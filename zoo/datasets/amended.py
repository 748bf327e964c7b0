"""What a person changed of a data set after it was divided: records left out (a quarantine), and pictures labelled later.

Both come from files that `zoo doctor` and the labelling page write and that people may edit, so every value in them is checked. The split
itself stays what it is: records leave their part, and pictures labelled later join train alone, so val and test stay comparable.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from zoo import paths
from zoo.cells import bare, guarded
from zoo.datasets.source import Crop, Record, Source
from zoo.datasets.splits import Split
from zoo.errors import DataError, RecipeError, shown

MOST_BYTES = 64 * 2**20
MOST_PICTURES = 1_000_000
LABELLED = "labelled"
"""The group of all pictures labelled later, where the data has groups."""
SHOWN = 5


class Row(NamedTuple):
    """A record to be left out; all but `id` is for people: where it was, why, its label, the suggested one, and how sure that is."""

    id: str
    part: str
    reason: str
    label: str = ""
    suggested: str = ""
    score: str = ""


@dataclass
class Amendments:
    """What the two files say.

    Attributes:
        left_out: ids of the records to be left out.
        added: records that join train.
        notes: what a person should know of the files.
    """

    left_out: frozenset[str]
    added: list[Record]
    notes: list[str]

    def apply(self, source: Source, split: Split) -> list[str]:
        """Change the parts of a split, and say how.

        Raises:
            DataError: nothing is left to train or validate on.
        """
        told = self._leave_out(source, split) if self.left_out else []
        return [*self.notes, *told, *(self._join(split) if self.added else [])]

    def _leave_out(self, source: Source, split: Split) -> list[str]:
        known = {record.id for part in source.records.values() for record in part}
        counts = {name: sum(record.id in self.left_out for record in part) for name, part in split.parts.items()}
        split.parts = {name: [record for record in part if record.id not in self.left_out] for name, part in split.parts.items()}
        for name in ("train", "val"):
            if not split.parts[name]:
                raise DataError(f"data.quarantine leaves no pictures to {name}: delete rows of the file, or leave data.quarantine out")
        where = ", ".join(f"{count:,} of {name}" for name, count in counts.items() if count)
        broken = len(self.left_out & known) - sum(counts.values())
        more = f"; {broken:,} more have bad files or are not divided" if broken else ""
        told = [f"data.quarantine: {sum(counts.values()):,} records left out{f' ({where})' if where else ''}{more}"]
        strange = sorted(self.left_out - known)
        if strange:
            told.append(f"data.quarantine: {len(strange):,} ids that no record here has: {_listed(strange)}")
        return told

    def _join(self, split: Split) -> list[str]:
        """Pictures labelled later take the place of the same ones in train; those of val and test stay out."""
        judged = {os.path.realpath(record.path) for name, part in split.parts.items() if name != "train" for record in part}
        joining = [record for record in self.added if os.path.realpath(record.path) not in judged]
        new = set(map(_place, joining))
        before = split.parts["train"]
        stays = [record for record in before if _place(record) not in new]
        grouped = any(record.group is not None for record in stays)
        split.parts["train"] = stays + [replace(record, group=LABELLED if grouped else None) for record in joining]
        replaced = len(before) - len(stays)
        told = [f"data.labelled: {len(joining):,} pictures join train" + (f", {replaced:,} were there already" if replaced else "")]
        if out := [shown(record.path.name) for record in self.added if os.path.realpath(record.path) in judged]:
            told.append(f"data.labelled: {len(out):,} pictures are in val or test already and stay out of train: {_listed(out)}")
        return told


def read(source: Source, quarantine: str | None, labelled: str | None) -> Amendments:
    """The amendments of `data.quarantine` and `data.labelled`; as `data.root`, both are relative to `$ZOO_DATA`.

    Raises:
        DataError: a file is missing or not what it should be; names the place in it.
        RecipeError: `labelled` with data that has no class a picture.
    """
    left_out = frozenset(row.id for row in read_quarantine(_path(quarantine))) if quarantine else frozenset()
    added: list[Record] = []
    notes: list[str] = []
    if labelled:
        if source.masks is not None or source.boxed or source.attributes or not source.labels:
            raise RecipeError("data.labelled: its pictures have a class each, and those of this data have other labels: leave it out")
        added, skipped = read_labelled(_path(labelled), source.labels)
        notes = [f"data.labelled: {skipped:,} pictures without a label are left out"] if skipped else []
    return Amendments(left_out, added, notes)


# ---------------------------------------------------------------- quarantine


def read_quarantine(path: Path) -> list[Row]:
    """The rows of a quarantine file; of its columns only `id` must be there.

    Raises:
        DataError: not such a file.
    """
    text = _text(path, "data.quarantine")
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise _wrong(path, "data.quarantine", f"not readable as CSV ({error})") from error
    found = []
    for number, row in enumerate(rows, 2):
        if not row.get("id"):
            raise _wrong(path, "data.quarantine", f"row {number}: no `id`; expected the columns {','.join(Row._fields)}")
        found.append(Row(bare(row["id"]), *((row.get(name) or "") for name in Row._fields[1:])))
    if not rows and not text.startswith(Row._fields[0]):
        raise _wrong(path, "data.quarantine", f"expected the columns {','.join(Row._fields)} in its first line")
    return found


def quarantine_text(rows: Iterable[Row]) -> str:
    """The rows as the text of a quarantine file; texts that a spreadsheet would compute are guarded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    return text.getvalue()


# ---------------------------------------------------------------- labelled


def read_labelled(path: Path, labels: Sequence[str]) -> tuple[list[Record], int]:
    """The records of a labels file, and how many pictures of it have no label.

    Args:
        path: the file; pictures are relative to its folder.
        labels: class index -> name, of the data that the pictures join.

    Raises:
        DataError: not such a file; names the place in it.
    """
    try:
        content = json.loads(_text(path, "data.labelled"))
    except (ValueError, RecursionError) as error:
        raise _wrong(path, "data.labelled", f"not readable as JSON ({error})") from error
    if not isinstance(content, dict) or content.get("zoo") != "labels" or content.get("version") != 1:
        raise _wrong(path, "data.labelled", 'expected a file of the labelling page, which begins {"zoo": "labels", "version": 1, ...}')
    pictures, names = content.get("pictures"), content.get("labels")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _wrong(path, "data.labelled", f"labels: expected a list of names, found {_found(names)}")
    if not isinstance(pictures, list) or len(pictures) > MOST_PICTURES:
        raise _wrong(path, "data.labelled", f"pictures: expected a list of at most {MOST_PICTURES:,}, found {_found(pictures)}")
    found, seen = [], Counter[str]()
    for number, picture in enumerate(pictures):
        try:
            record = _labelled(picture, path.parent, labels)
        except ValueError as error:
            raise _wrong(path, "data.labelled", f"pictures[{number}]{error}") from error
        if record is not None:
            seen[record.id] += 1
            found.append(record if seen[record.id] == 1 else replace(record, id=f"{record.id}#{seen[record.id]}"))
    return found, len(pictures) - len(found)


def _labelled(picture: Any, folder: Path, labels: Sequence[str]) -> Record | None:
    """A record; None for a picture that was skipped. Raises ValueError with the place in the picture and what is wrong."""
    if not isinstance(picture, dict):
        raise ValueError(f": expected an object with path and label, found {_found(picture)}")
    path, label = picture.get("path"), picture.get("label")
    if not isinstance(path, str) or not path or "\0" in path or len(path) > 4096:
        raise ValueError(f".path: expected the path of a picture, found {_found(path)}")
    if label is None:
        return None
    if label not in labels:
        raise ValueError(f".label: expected one of {_listed(labels)} or null, found {_found(label)}")
    return Record(folder / path, f"{LABELLED}/{path}", list(labels).index(label), group=LABELLED, crop=_crop(picture.get("crop")))


def _crop(value: Any) -> Crop | None:
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 5 and isinstance(value[4], bool) and all(map(_is_number, value[:4])):
        left, top, right, bottom = map(float, value[:4])
        if left < right and top < bottom:
            return Crop(left, top, right, bottom, value[4])
    raise ValueError(f".crop: expected [left, top, right, bottom, relative] with left < right and top < bottom, found {_found(value)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)


# ---------------------------------------------------------------- files


def _path(given: str) -> Path:
    return paths.data() / os.path.expanduser(given)


def _text(path: Path, key: str) -> str:
    """Of a plain file that is not too large."""
    try:
        if not path.is_file():
            raise DataError(
                f"{key}: {shown(path)} {'is no plain file' if path.exists() else 'does not exist'}; give the file, or leave it out"
            )
        if path.stat().st_size > MOST_BYTES:
            raise _wrong(path, key, f"larger than {MOST_BYTES // 2**20} MB")
        return path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except (OSError, ValueError) as error:
        raise DataError(f"{key}: {shown(path)}: cannot be read ({error})") from error


def _wrong(path: Path, key: str, problem: str) -> DataError:
    return DataError(f"{key}: {shown(path)}: {shown(problem)}")


def _place(record: Record) -> tuple[str, object, object]:
    return os.path.realpath(record.path), record.place, record.crop


def _found(value: object) -> str:
    if isinstance(value, list | dict) and len(value) > 8:
        return f"{type(value).__name__} of {len(value):,}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _listed(names: Sequence[str]) -> str:
    return ", ".join([shown(name) for name in names[:SHOWN]] + ([f"and {len(names) - SHOWN:,} more"] if len(names) > SHOWN else []))
