"""Boxes that are each a sample of their own: what files tell of parts of pictures, and what of it cannot be used."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from zoo.datasets.source import Crop, Record
from zoo.errors import DataError, RecipeError, shown
from zoo.nearest import nearest

SHOWN = 3
"""Examples of each kind of thing that is left out."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection: what is listed are a million objects and no circle among them, and to look for one takes longest."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Part(NamedTuple):
    """A crop, or a whole picture, of a class by its name; the rest as in `Record`."""

    name: str
    path: Path
    id: str
    group: str | None
    crop: Crop | None


class Crops:
    """What a reader finds in the files of a data set: what can be used, and the rest by its kinds, with where it stands.

    Attributes:
        parts: part of the data ("train") -> its crops.
        notes: what a person should know besides.
    """

    def __init__(self) -> None:
        self.parts: dict[str, list[Part]] = {}
        self.notes: list[str] = []
        self._ids: set[str] = set()
        self._left: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, part: str, found: Part) -> None:
        """Take a crop up, unless its id has been there before."""
        if found.id in self._ids:
            self.leave("boxes that are said twice", shown(found.id))
            return
        self._ids.add(found.id)
        self.parts.setdefault(part, []).append(found)

    def leave(self, kind: str, where: str) -> None:
        """Note what is left out.

        Args:
            kind: what is wrong with it, in the plural: "boxes without area".
            where: file, place and value, fit to be printed.
        """
        self._left[kind] += 1
        examples = self._examples.setdefault(kind, [])
        if len(examples) < SHOWN:
            examples.append(where)

    def left(self) -> list[str]:
        """A line for each kind of thing that is left out."""
        lines = []
        for kind, count in self._left.items():
            examples = self._examples[kind]
            more = f" and {count - len(examples):,} more" if count > len(examples) else ""
            lines.append(f"left out: {kind} ({count:,}): {'; '.join(examples)}{more}")
        return lines

    def listed(self, root: Path, known: Sequence[str], classes: tuple[str, ...] = ()) -> tuple[tuple[str, ...], dict[str, list[Record]]]:
        """Labels, and the records of each part.

        Args:
            root: of the data set, for messages.
            known: the classes that there can be, in their order.
            classes: as `data.classes`: those that are wished; () for all that occur.

        Raises:
            DataError: nothing is left.
            RecipeError: `classes` names what is not there, or one twice.
        """
        counts = Counter(one.name for part in self.parts.values() for one in part)
        for name in classes:
            if name not in known:
                raise RecipeError(f"data.classes: there is no class {shown(name)!r}{nearest(name, known)}; there are {', '.join(known)}")
        if len(set(classes)) != len(classes):
            raise RecipeError(f"data.classes={list(classes)}: a class is named twice")
        labels = classes or tuple(name for name in known if counts[name])
        numbers = {name: number for number, name in enumerate(labels)}
        records = {
            part: [Record(one.path, one.id, numbers[one.name], one.group, crop=one.crop) for one in found if one.name in numbers]
            for part, found in self.parts.items()
        }
        others = [f"{count:,} {name}" for name, count in counts.items() if name not in numbers]
        self.notes += [f"of other classes and left out (data.classes): {', '.join(others)}"] if others else []
        if not any(records.values()):
            lines = "".join(f"\n  {line}" for line in (*self.notes, *self.left()))
            raise DataError(f"{shown(root)}: no picture with a label that can be used{':' if lines else ''}{lines}")
        return labels, {part: found for part, found in records.items() if found}


def where(root: Path, file: Path, *places: object) -> str:
    """A place in a file of a data set, for messages: the file's path within the root, and what of it is meant."""
    return shown(", ".join([file.relative_to(root).as_posix(), *(str(place)[:100] for place in places)]))
