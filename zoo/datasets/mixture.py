"""Several data sets as one: their labels are mapped to common ones, and each is shown as often as it is worth.

The folder holds a folder for each of them, named as the source is. Without a table of one's own it is the mixture of the gesture project:
HANDS, HaGRID and own recordings, with the ten classes of `zoo.datasets.gestures`.
"""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le
from PIL import Image

from zoo.datasets.annotations.crops import uncollected
from zoo.datasets.gestures import GESTURES, TABLES
from zoo.datasets.source import Record, Source, layout_error
from zoo.errors import RecipeError, shown
from zoo.nearest import nearest

Table = Mapping[str, str | None]
PARTS = ("labelled", "train", "val", "test")


class Mixture(Source):
    """The labelled pictures of other sources, each grouped and read as its own source does it.

    Parts that every source has are kept; otherwise all pictures are divided anew.

    Args:
        root: the folder that holds a folder for each source, named as it is.
        labels: the classes, in their order; () for the ten gestures.
        sources: for each source its own labels and what they are here, null for those that are left out; a label that is not in its table
            is itself. `gestures`: the table of `zoo.datasets.gestures`. Without `sources`: hands, hagrid and recorded by these tables.
        weights: how often a picture of a source is shown in training, relative to one of a source that is not named here.
        margin: as that of the sources that cut out boxes.

    Raises:
        DataError: a source's folder is not there, or not laid out as it should be.
        RecipeError: the tables name what is not there, or leave a label out; or a source cannot be joined.
    """

    title: ClassVar[str] = "a mixture of data sets"
    obtain: ClassVar[str] = "Put each data set into a folder named as its source (`zoo list datasets`), or leave it out of data.sources."
    layout: ClassVar[str] = "  hands/  hagrid/  recorded/ ...         a folder for each of data.sources, laid out as it expects"
    version: ClassVar[int] = 1

    def __init__(
        self,
        root: Path,
        labels: tuple[str, ...] = (),
        sources: dict[str, dict[str, str | None] | Literal["gestures"]] | None = None,
        weights: dict[str, Annotated[float, Gt(0), Le(1000)]] | None = None,
        margin: Annotated[float, Ge(0), Le(2)] = 0.1,
    ) -> None:
        labels = labels or GESTURES
        tables = {name: _table(name, table, labels) for name, table in (sources or dict.fromkeys(TABLES, "gestures")).items()}
        _refuse_strange("weights", weights or {}, tables)
        self.joined = {name: _built(root, name, margin) for name in tables}
        with uncollected():
            mapped = {
                name: _mapped(name, source, tables[name], labels, (weights or {}).get(name, 1.0)) for name, source in self.joined.items()
            }
        records, notes = _joined(mapped)
        groups = " or ".join(dict.fromkeys(source.groups for source in self.joined.values() if source.groups))
        channels = max(source.channels for source in self.joined.values())
        notes = [*(f"{name}: {note}" for name, source in self.joined.items() for note in source.notes), *notes]
        super().__init__(root, labels, records, groups or None, channels, [*_counted(mapped, tables, self.joined), *notes])

    def read(self, record: Record) -> tuple[Image.Image, dict[str, Any]]:
        """The picture as the source in whose folder it lies reads it."""
        inner = record.path.relative_to(self.root).parts[0] if record.path.is_relative_to(self.root) else ""
        if inner not in self.joined:
            return super().read(record)
        picture, fields = self.joined[inner].read(record)
        return picture.convert("RGB" if self.channels == 3 else "L"), fields

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw the three data sets of gestures."""
        for name in TABLES:
            (root / name).mkdir(parents=True)
            _class(name).write_synthetic(root / name, seed)


def _names() -> list[str]:
    """The sources that can be joined. Those of plugins are not looked for."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [file.stem for file in files if "(Source)" in file.read_text(encoding="utf-8") and file.stem != "mixture"]


def _class(name: str) -> type[Source]:
    if name not in _names():  # so that a recipe can name no other module
        raise RecipeError(
            f"data.sources: there is no source {shown(name)!r}{nearest(name, _names())}; expected some of {', '.join(_names())}"
        )
    members = vars(importlib.import_module(f"zoo.datasets.{name}")).values()
    return next(one for one in members if isinstance(one, type) and issubclass(one, Source) and one.__module__ == f"zoo.datasets.{name}")


def _table(name: str, table: Table | str, labels: Sequence[str]) -> Table:
    """The table of one source, after a look at the labels it maps to."""
    if isinstance(table, str):
        if name not in TABLES:
            raise RecipeError(f"data.sources.{shown(name)}: there is no table `gestures` for it; write one: {{its label: ours, ...}}")
        table = TABLES[name]
    for own, ours in table.items():
        if ours is not None and ours not in labels:
            raise RecipeError(
                f"data.sources.{shown(name)}.{shown(own)}: {shown(ours)!r} is none of data.labels{nearest(ours, labels)}; "
                f"expected one of {shown(', '.join(labels))}, or null to leave it out"
            )
    return table


def _refuse_strange(option: str, given: Mapping[str, object], names: Mapping[str, object]) -> None:
    for name in given:
        if name not in names:
            raise RecipeError(f"data.{option}: {shown(name)!r} is none of data.sources{nearest(name, names)}; there are {', '.join(names)}")


def _built(root: Path, name: str, margin: float) -> Source:
    cls = _class(name)
    if not (root / name).is_dir():
        raise layout_error(Mixture, root, f"no folder {name}/")
    options: dict[str, Any] = {"margin": margin} if "margin" in inspect.signature(cls).parameters else {}
    source = cls(root / name, **options)
    if source.masks is not None or source.boxed or source.attributes or not source.labels:
        raise RecipeError(f"data.sources.{name}: only pictures with a label each can be joined; leave it out")
    return source


def _mapped(name: str, source: Source, table: Table, labels: Sequence[str], weight: float) -> dict[str, list[Record]]:
    """The records of a source as those of the mixture: part -> records.

    Raises:
        RecipeError: a label is in no table and none of the mixture's.
    """
    numbers: list[int | None] = []
    for own in source.labels:
        ours = table.get(own, own)
        if ours is not None and ours not in labels:
            meant = nearest(own, table) or nearest(own, labels)
            raise RecipeError(
                f"data.sources.{name}: its label {shown(own)!r} is not mapped{meant}: add `{shown(own)}: NAME` with one of "
                f"{shown(', '.join(labels))}, or `{shown(own)}: null` to leave it out"
            )
        numbers.append(None if ours is None else labels.index(ours))
    return {
        part: [
            replace(
                record,
                id=f"{name}/{record.id}",
                label=numbers[record.label],
                group=None if record.group is None else f"{name}/{record.group}",
                weight=weight * record.weight,
            )
            for record in source.records.get(part, ())
            if record.label is not None and numbers[record.label] is not None
        ]
        for part in PARTS
        if part in source.records
    }


def _joined(mapped: Mapping[str, Mapping[str, list[Record]]]) -> tuple[dict[str, list[Record]], list[str]]:
    """The records of all sources by part: their own parts if these are the same, else one part to be divided."""
    kinds = {frozenset(parts) for parts in mapped.values()}
    if len(kinds) == 1:
        return {part: [record for parts in mapped.values() for record in parts[part]] for part in PARTS if part in next(iter(kinds))}, []
    own = [f"{name} ({', '.join(parts)})" for name, parts in mapped.items() if "labelled" not in parts]
    everyone = [record for parts in mapped.values() for records in parts.values() for record in records]
    return {"labelled": everyone}, [f"divided anew, since not all sources have the same parts of their own: {'; '.join(own)}"]


def _counted(mapped: Mapping[str, Mapping[str, list[Record]]], tables: Mapping[str, Table], joined: Mapping[str, Source]) -> list[str]:
    """What each source brings, and lines of tables that stand for nothing in it."""
    notes = []
    for name, parts in mapped.items():
        used, all_ = sum(map(len, parts.values())), Counter(part for part, records in joined[name].records.items() for _ in records)
        left = sum(count for part, count in all_.items() if part in PARTS) - used
        notes.append(f"{name}: {used:,} pictures" + (f", and {left:,} of labels that are left out" if left else ""))
        unused = [own for own in tables[name] if own not in joined[name].labels]
        if unused and tables[name] is not TABLES.get(name):
            notes.append(f"{name}: in its table, but of no picture: {shown(', '.join(unused))}")
    return notes
