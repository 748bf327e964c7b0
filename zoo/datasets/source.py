"""The contract of a data source: it lists the pictures of one data set as they lie on disk, and reads one of them.

A source knows one layout and nothing of splits, transforms, batches or devices: `splits.py` divides its records,
`loaders.py` reads and transforms them. It is inherited so that its module can be listed without being imported.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from PIL import Image

from zoo.datasets.boxes import Box, tensors
from zoo.datasets.masks import MaskValues, read_mask_of
from zoo.datasets.pictures import read_picture
from zoo.errors import DataError, shown


class Crop(NamedTuple):
    """A rectangle of a picture, in pixels of the upright picture or, if `relative`, in parts of its width and height.

    Corners lie between pixels, as those of boxes. What reaches out of the picture is cut off when the picture is read.
    """

    left: float
    top: float
    right: float
    bottom: float
    relative: bool = False

    def widened(self, margin: float) -> Crop:
        """With more of the picture around: `margin` of its width on the left and right, of its height above and below."""
        across, down = margin * (self.right - self.left), margin * (self.bottom - self.top)
        return Crop(self.left - across, self.top - down, self.right + across, self.bottom + down, self.relative)

    def pixels(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Left, top, right and bottom in a picture of `size` (width, height): whole pixels, all that the crop touches.

        Raises:
            ValueError: nothing of it lies in the picture.
        """
        width, height = size
        across, down = size if self.relative else (1, 1)
        left, right = (min(max(value * across, 0.0), width) for value in (self.left, self.right))
        top, bottom = (min(max(value * down, 0.0), height) for value in (self.top, self.bottom))
        if not (right > left and bottom > top):
            corners = ", ".join(f"{value:g}" for value in self[:4])
            raise ValueError(f"({corners}){' of its sides' * self.relative} is no part of a picture of {width}x{height} pixels")
        return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


@dataclass(frozen=True)
class Record:
    """One picture, or a part of one, as the data set lists it; nothing is read yet.

    Attributes:
        path: the picture's file; several records may be parts of it.
        id: what the data set itself calls it (file name, number); submissions are written with it.
        label: class index in the data set's own numbering, or None where it is not labelled.
        group: records of one group never lie on both sides of a split (a video, a person); None = a group of its own.
        boxes: what is where in the picture; () where it is known that there is nothing, None where boxes are not known.
        mask: the file whose pixels are the classes of the picture's pixels.
        stratum: what the data set says a picture is of beyond its label, such as a diagnosis: each part gets its share of each, and
            results are told for each.
        place: which picture of the file, where a file holds many.
        attributes: a value for each of the source's attributes, positive where it is present.
        crop: the part of the picture that is meant, and read; None for all of it. For pictures without boxes.
        weight: how often training shows the record, relative to others; more than 0.
    """

    path: Path
    id: str
    label: int | None = None
    group: str | None = None
    boxes: tuple[Box, ...] | None = None
    mask: Path | None = None
    stratum: str | None = None
    place: int | None = None
    attributes: tuple[float, ...] | None = None
    crop: Crop | None = None
    weight: float = 1.0

    @property
    def address(self) -> str:
        """The path, and which picture of the file or which part of the picture it is: the `path` of a sample.

        Parts are written as in Media Fragments URI 1.0 (W3C 2012), section 4.2.2: `#xywh=` left, top, width and height.
        """
        if self.place is not None:
            return f"{self.path}#{self.place}"
        if self.crop is None:
            return str(self.path)
        left, top, right, bottom, relative = self.crop
        numbers = (value * (100 if relative else 1) for value in (left, top, right - left, bottom - top))
        return f"{self.path}#xywh={'percent:' if relative else ''}{','.join(f'{value:.7g}' for value in numbers)}"


class Source:
    """Base of all sources. A subclass reads its layout in `__init__(self, root, <options>)` and calls `super().__init__`.

    Class attributes:
        title: the data set's name for people.
        obtain: where the real data is to be had, a sentence or two; printed when drawn data is used instead.
        layout: the expected tree, shown when `root` lacks it.
        version: of the drawn data; raise it when `write_synthetic` draws something else.

    Attributes:
        root: the folder read.
        labels: class index -> name; of pictures with masks the classes of their pixels, of those with boxes those of the boxes.
        records: what the data set itself tells apart. Either "labelled" (to be split by `splits.py`), or its own "train"
            with "val" and/or "test"; besides, "unlabelled" for pictures to be submitted.
        groups: the meaning of `Record.group` ("video"), or None.
        channels: 3 (RGB) or 1 (grey): what pictures are converted to.
        masks: what the numbers in the masks mean; None where there are none.
        attributes: names of the values that every record has beyond its label.
        notes: things found while listing that a person should know (said in the pre-flight and the report).
    """

    title: ClassVar[str] = ""
    obtain: ClassVar[str] = ""
    layout: ClassVar[str] = ""
    version: ClassVar[int] = 1

    def __init__(
        self,
        root: Path,
        labels: Sequence[str],
        records: Mapping[str, Sequence[Record]],
        groups: str | None = None,
        channels: int = 3,
        notes: Sequence[str] = (),
        masks: MaskValues | None = None,
        attributes: Sequence[str] = (),
    ) -> None:
        self.root = root
        self.labels = tuple(labels)
        self.records = {name: list(part) for name, part in records.items()}
        self.groups = groups
        self.channels = channels
        self.notes = list(notes)
        self.masks = masks
        self.attributes = tuple(attributes)

    @property
    def boxed(self) -> bool:
        """Whether boxes are what is known of the pictures."""
        return any(record.boxes is not None for part in self.records.values() for record in part)

    def read(self, record: Record) -> tuple[Image.Image, dict[str, Any]]:
        """The picture upright in `channels` channels, or its part that the record is, and the other fields of its sample.

        These are `label`, the class; `mask`, a picture of mode "L" and the same size whose values are classes or 255 (to be ignored);
        `group`, the record's stratum or else its group; `attributes`, a tuple of floats; `boxes` (N, 4) and `classes` (N,), see
        `zoo.datasets.boxes`; each where it is known.

        Raises:
            DataError: the file cannot be read as a picture, or its mask not as the mask of it, or the record is no part of it.
        """
        picture = read_picture(record.path, self.channels)
        fields = known_fields(record)
        if record.mask is not None and self.masks is not None:
            fields["mask"] = read_mask_of(record.mask, picture.size, self.masks)
        if record.crop is not None:
            try:
                pixels = record.crop.pixels(picture.size)
            except ValueError as error:
                raise DataError(f"{shown(record.path)}: the crop {error}") from error
            picture = picture.crop(pixels)
            fields |= {"mask": fields["mask"].crop(pixels)} if "mask" in fields else {}
        return picture, fields

    @staticmethod
    def write_submission(path: Path, pictures: Sequence[Path], predictions: Sequence[int], labels: Sequence[str]) -> None:
        """Write the data set's own submission file. Needs no data set on disk: ids come from the pictures' names.

        Args:
            path: file to write.
            pictures: the files that were predicted.
            predictions: a class index for each.
            labels: class index -> name.

        Raises:
            DataError: this data set has no submission format, or a picture is not named as its own are.
        """
        raise DataError("this data set has no submission format: leave --submission out, or use --csv")

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw a small data set into the empty folder `root`, in the real layout with the real traps, equal for equal seeds."""
        raise DataError("this source cannot draw synthetic data; give it a folder with data.root=FOLDER")


def known_fields(record: Record) -> dict[str, Any]:
    """The fields of a sample that are known without reading anything; see `Source.read`."""
    group = record.group if record.stratum is None else record.stratum
    fields = {"label": record.label, "group": group, "attributes": record.attributes}
    known: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    if record.boxes is not None:
        known["boxes"], known["classes"] = tensors(record.boxes)
    return known


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV file with Unix line ends."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:  # file names may be no UTF-8
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def layout_error(source: type[Source], root: Path, missing: str) -> DataError:
    """The error for a folder that exists but is not laid out as `source` expects: shows the trees expected and found."""
    return DataError(
        f"{shown(root)}: {missing}\nexpected {source.title} in this layout:\n{source.layout.rstrip()}\n"
        f"found in {shown(root)}:\n" + "\n".join(_tree(root) or ["  (nothing)"]) + f"\n{source.obtain}\n"
        "Point data.root at the right folder, or set data.synthetic=always to use drawn data."
    )


def _tree(root: Path, most: int = 12, inside: int = 4) -> list[str]:
    """What a folder holds, folders first, each with the first things in it."""
    lines = []
    for entry in (entries := _entries(root))[:most]:
        within = _entries(entry)
        more = ["..."] if len(within) > inside else []
        lines.append("  " + "  ".join([_name(entry), *(f"{_name(entry)}{_name(item)}" for item in within[:inside]), *more]))
    return lines + ([f"  ... and {len(entries) - most} more"] if len(entries) > most else [])


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda entry: (not entry.is_dir(), entry.name)) if folder.is_dir() else []
    except OSError:  # may not be listed: shown as empty
        return []


def _name(entry: Path) -> str:
    return shown(entry.name) + ("/" if entry.is_dir() else "")
