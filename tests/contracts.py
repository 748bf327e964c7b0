"""`check_source`: what every data source must keep to. Any class can be put through it, those of plugins too."""

from __future__ import annotations

import csv
import inspect
import shutil
from pathlib import Path

import pytest

from zoo import registry
from zoo.datasets import preflight, splits
from zoo.datasets.boxes import IGNORED
from zoo.datasets.masks import IGNORE
from zoo.datasets.source import Record, Source
from zoo.errors import DataError

PARTS = {"labelled", "train", "val", "test", "unlabelled"}


def check_source(cls: type[Source], root: Path, scratch: Path, name: str | None = None) -> None:
    """Put a source through the contract.

    Args:
        cls: the class.
        root: a folder in its layout, such as `synthetic.folder` draws; it is only read.
        scratch: an empty folder.
        name: its short name, if it is registered.

    Raises:
        AssertionError: says which part of the contract is broken.
    """
    check_declarations(cls, name)
    source = cls(root)
    check_records(source)
    check_reading(source)
    check_listing_is_stable(cls, source)
    check_split(source)
    check_submission(source, scratch)
    check_wrong_folders(cls, scratch)


def check_declarations(cls: type[Source], name: str | None) -> None:
    """Class attributes, and a constructor that `registry` can read without importing it."""
    for attribute in ("title", "obtain", "layout"):
        text = getattr(cls, attribute)
        assert isinstance(text, str) and text.strip(), f"{attribute}: expected a text for people"
    assert cls.obtain.endswith("."), "obtain: expected sentences"
    assert isinstance(cls.version, int) and cls.version >= 1
    arguments = list(inspect.signature(cls.__init__).parameters.values())[1:]
    assert arguments[0].name == "root", "the constructor takes `root` first"
    assert all(argument.default is not inspect.Parameter.empty for argument in arguments[1:]), "all options have defaults"
    for method in ("write_submission", "write_synthetic"):
        assert isinstance(inspect.getattr_static(cls, method), staticmethod), f"{method} is called on the class: it needs no data on disk"
        expected = list(inspect.signature(getattr(Source, method)).parameters)
        assert list(inspect.signature(getattr(cls, method)).parameters) == expected, f"{method}: expected the arguments {expected}"
    if name is not None:
        assert registry.load("datasets", name) is cls
        assert set(registry.options("datasets", name)) == {argument.name for argument in arguments[1:]}


def check_records(source: Source) -> None:
    """Ids are unique, labels in range, files there."""
    assert set(source.records) <= PARTS, f"records: expected some of {sorted(PARTS)}, found {sorted(source.records)}"
    assert bool(source.records.get("labelled")) != bool(source.records.get("train")), "either `labelled`, or parts of its own"
    assert len(set(source.labels)) == len(source.labels), "labels: each name once"
    assert all(isinstance(label, str) and label for label in source.labels)
    everyone = [record for part in source.records.values() for record in part]
    assert all(type(record) is Record and isinstance(record.path, Path) for record in everyone)
    assert all(record.path.is_relative_to(source.root) for record in everyone), "files lie in the root"
    for part, records in source.records.items():
        assert len({record.id for record in records}) == len(records), f"{part}: each id once"
        if part == "unlabelled":
            assert all(record.label is None and record.mask is None for record in records)
        elif source.masks is not None:
            check_masked(source, part, records)
        elif source.boxed:
            check_boxed(source, part, records)
        elif source.labels:
            assert all(type(record.label) is int and 0 <= record.label < len(source.labels) for record in records), (
                f"{part}: a label out of range"
            )
    assert all(len(record.attributes or ()) == len(source.attributes) for record in everyone), "attributes: a value for each"
    grouped = any(record.group is not None for record in everyone)
    assert grouped == (source.groups is not None), "`groups` says what groups are if there are any"
    assert source.channels in (1, 3)
    assert all(isinstance(note, str) and note for note in source.notes)


def check_masked(source: Source, part: str, records: list[Record]) -> None:
    """Every record has a mask in the root, and either all or none have a stratum: batches hold one or the other."""
    assert source.masks is not None and source.masks.classes == len(source.labels), "labels: one for each class of the masks"
    assert all(record.mask is not None and record.mask.is_relative_to(source.root) for record in records), f"{part}: a mask for each"
    assert len({record.mask for record in records}) == len(records), f"{part}: each mask once"
    assert len({record.stratum is None for record in records}) <= 1, f"{part}: a stratum for all or for none"


def check_boxed(source: Source, part: str, records: list[Record]) -> None:
    """Boxes are known of every record, and each has an extent and a class that has a name."""
    assert all(record.boxes is not None and record.label is None for record in records), f"{part}: boxes for each, and no other label"
    boxes = [box for record in records for box in record.boxes or ()]
    assert all(box.right > box.left >= 0 and box.bottom > box.top >= 0 for box in boxes), f"{part}: a box inverted, empty or outside"
    assert all(box.label == IGNORED or 0 <= box.label < len(source.labels) for box in boxes), f"{part}: a box's class out of range"


def check_reading(source: Source) -> None:
    """Every file passes the look; reading gives an upright picture in the channels promised."""
    found = preflight.check([record for part in source.records.values() for record in part], source.masks)
    assert not found.bad, found.bad
    assert found.masks == sum(record.mask is not None for part in source.records.values() for record in part)
    for records in source.records.values():
        for record in records[:3]:
            picture, fields = source.read(record)
            assert picture.mode == {1: "L", 3: "RGB"}[source.channels]
            assert fields.get("label") == record.label
            assert fields.get("group") == (record.group if record.stratum is None else record.stratum)
            assert fields.get("attributes") == record.attributes
            assert ("mask" in fields) == (record.mask is not None)
            assert ("boxes" in fields) == ("classes" in fields) == (record.boxes is not None)
            for box in record.boxes or ():
                assert box.right <= picture.width and box.bottom <= picture.height, "a box reaches out of its picture"
            if "mask" in fields:
                mask = fields["mask"]
                assert mask.mode == "L" and mask.size == picture.size, "a mask of mode L, as large as its picture"
                found_values = {value for value, count in enumerate(mask.histogram()) if count}
                assert found_values <= {*range(len(source.labels)), IGNORE}, "a mask holds a class without a name"
    missing = Record(source.root / "there is no such file.jpg", "x", 0)
    with pytest.raises(DataError, match="there is no such file"):
        source.read(missing)


def check_listing_is_stable(cls: type[Source], source: Source) -> None:
    """Listing twice gives equal records in equal order."""
    again = cls(source.root)
    assert again.records == source.records and again.labels == source.labels


def check_split(source: Source) -> None:
    """The records can be divided: every class that can be is in train and in val, no group on both sides."""
    split = splits.divide(source.records, 0.2, 0.0, 0, "auto", source.labels, source.groups)
    train, val = split.parts["train"], split.parts["val"]
    assert {record.label for record in val} <= {record.label for record in train}
    groups = [{record.group for record in part if record.group is not None} for part in (train, val)]
    assert not groups[0] & groups[1]
    assert split.fingerprint == splits.divide(source.records, 0.2, 0.0, 0, "auto").fingerprint or source.groups


def check_submission(source: Source, scratch: Path) -> None:
    """A submission has a head and a row for each picture; sources without one say so."""
    pictures = [record.path for record in source.records.get("unlabelled", [])][:7]
    file = scratch / "submission.csv"
    try:
        type(source).write_submission(file, pictures, list(range(len(pictures))), source.labels)
    except DataError:
        assert not pictures and not file.exists(), "pictures to be submitted, and no way to do so"
        return
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.reader(opened))
    assert len(rows) == len(pictures) + 1 and len({len(row) for row in rows}) == 1


def check_wrong_folders(cls: type[Source], scratch: Path) -> None:
    """A folder in another layout gives an error that shows both trees and the way out."""
    for name, files in (("empty", []), ("other", ["holidays/beach.txt", "readme.md"])):
        root = scratch / name
        root.mkdir()
        for file in files:
            (root / file).parent.mkdir(exist_ok=True)
            (root / file).write_text("x")
        with pytest.raises(DataError) as error:
            cls(root)
        message = str(error.value)
        expected = (str(root), cls.layout.strip().splitlines()[0].strip(), cls.obtain, "data.root", "data.synthetic=always")
        for text in (*expected, *(("holidays/", "beach.txt", "readme.md") if files else ("(nothing)",))):
            assert text in message, f"{text!r} is missing in {message!r}"
        shutil.rmtree(root)
