"""Annotations: what the files beside pictures say of the things in them, in one form whatever the format.

Readers (`voc`, `coco`, `yolo`) take files of strangers: their size is bounded before they are read, nothing in them is followed or run,
and what is wrong with a box is told in words and never raised, so that all faults of a data set are named at once (`checking`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from zoo.errors import DataError, shown

Corners = tuple[float, float, float, float]

MOST_PIXELS = 1e7
"""Of a side of a picture or a coordinate; beyond it a number is a fault."""
LONGEST_NAME = 100


@dataclass(frozen=True)
class Object:
    """A thing in a picture.

    Attributes:
        name: of its class, as the file spells it.
        corners: left, top, right, bottom in pixels of the upright picture, corners between pixels.
        difficult: too hard to be asked for (VOC); COCO files carry it as `ignore`, which MMDetection reads too.
        crowd: many things in one box (COCO's `iscrowd`).
        truncated: what is in the box is not the whole thing.
        occluded: something is before it.
        pose: a word such as "Frontal"; "" where nothing is said.
        area: square pixels of the thing itself; None where it is the box's.
        segmentation: its outline as COCO's JSON has it; None where there is none.
    """

    name: str
    corners: Corners
    difficult: bool = False
    crowd: bool = False
    truncated: bool = False
    occluded: bool = False
    pose: str = ""
    area: float | None = None
    segmentation: Any = None

    @property
    def ignored(self) -> bool:
        """Whether what is found here is neither right nor wrong."""
        return self.difficult or self.crowd


@dataclass(frozen=True)
class Annotation:
    """What is said of one picture.

    Attributes:
        name: the picture's path within the folder of pictures, with "/".
        where: the annotation's file and the place in it, for messages; of a picture without annotation the picture.
        picture: its file; None if it is not there.
        size: width and height as the annotation gives them; None if it does not.
        objects: those that could be read.
        faults: what is wrong with the others, and what mending does.
        state: `read`; `absent`: there is none for the picture; `unreadable`: as a whole, `faults` says why.
    """

    name: str
    where: str
    picture: Path | None
    size: tuple[int, int] | None = None
    objects: tuple[Object, ...] = ()
    faults: tuple[str, ...] = ()
    state: Literal["read", "absent", "unreadable"] = "read"


@dataclass
class Annotated:
    """A data set: pictures and what is said of them.

    Attributes:
        root: its folder.
        labels: names of classes, in the order that its files give, else by name.
        parts: "labelled", or "train" with "val" and "test", -> their pictures.
        unlabelled: pictures that are to be predicted.
        faults: what is wrong beyond single pictures, and what mending does.
        notes: what a person should know.
    """

    root: Path
    labels: tuple[str, ...]
    parts: dict[str, list[Annotation]]
    unlabelled: list[Path] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def rejoin(self) -> None:
        """Make one part, to be divided anew, of the data set's own train and val."""
        if "train" in self.parts:
            self.parts["labelled"] = self.parts.pop("train") + self.parts.pop("val", [])


class MissingLayoutError(DataError):
    """A folder does not hold what a format expects; `what` says what is missing."""

    def __init__(self, root: Path, what: str) -> None:
        super().__init__(f"{shown(root)}: {what}")
        self.what = what


def read_bytes(path: Path, most: int) -> bytes:
    """A file's content.

    Raises:
        ValueError: it cannot be read, is no ordinary file, or has more than `most` bytes.
    """
    try:
        if not path.is_file():  # to open a pipe may wait for ever
            raise ValueError("not a file")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror or error})") from error
    if len(content) > most:
        raise ValueError(f"more than the {most / 1e6:,.0f} MB that are read of such a file")
    return content


_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)


def number(value: object) -> float:
    """A coordinate or size, as a number or as text.

    Raises:
        ValueError: it is no number, or too large for pixels; the value is named.
    """
    if isinstance(value, str) and len(value) <= LONGEST_NAME and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{told(value)} is no number")
    if not (abs(value) <= MOST_PIXELS and math.isfinite(value)):
        raise ValueError(f"{told(value)} is no number of pixels")
    return float(value)


def size_of(width: object, height: object) -> tuple[int, int] | None:
    """A picture's size as an annotation gives it; None if it does not, or gives none that could be."""
    try:
        sides = round(number(width)), round(number(height))
    except ValueError:
        return None
    return sides if min(sides) > 0 else None


def class_name(value: object) -> str:
    """The name of a class.

    Raises:
        ValueError: it is empty, long, or no text that can be printed.
    """
    name = value.strip() if isinstance(value, str) else ""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(f"its class is {told(value)}; expected a name of 1 to {LONGEST_NAME} letters")
    return name


def told(value: object, most: int = 40) -> str:
    """A value of a stranger's file in a message."""
    if isinstance(value, int) and abs(value) > 10**most:  # Python refuses to spell out really long ones
        return "a number of more than 40 digits"
    if isinstance(value, dict | list):
        return f"a JSON {'object' if isinstance(value, dict) else 'list'}"
    text = value if isinstance(value, str) else "nothing" if value is None else str(value)
    cut = shown(text[:most]) + ("..." if len(text) > most else "")
    return f"'{cut}'" if isinstance(value, str) else cut
