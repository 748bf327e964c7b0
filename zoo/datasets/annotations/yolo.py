"""YOLO's form: a text file for each picture, a line for each box: number of the class, centre, width and height as parts of the picture.

As Ultralytics reads it: `images/train/a.jpg` and `labels/train/a.txt`, the names of the classes in `data.yaml`; or, as older tools, in
`classes.txt`. There is no place for what a box is beyond its class, and none to say that it is to be ignored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from zoo.datasets.annotations import Annotated, Annotation, Corners, MissingLayoutError, Object, class_name, number, read_bytes, told
from zoo.datasets.annotations.checking import header_size
from zoo.datasets.annotations.folders import find, paired
from zoo.errors import DataError, shown

MOST_BYTES = 8_000_000
DIGITS = 12
"""Behind the point: a picture of 100,000 pixels keeps its boxes to a ten millionth of one."""


def parse(content: bytes, size: tuple[int, int], names: dict[int, str]) -> tuple[list[Object], list[str]]:
    """The boxes of a picture of `size` (width, height), to a millionth of a pixel, and what is wrong with other lines.

    Raises:
        ValueError: it is no text.
    """
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError("no text") from error
    objects, faults = [], []
    for place, line in enumerate(lines, 1):
        if line.strip():
            try:
                objects.append(_object(line, size, names))
            except ValueError as error:
                faults.append(f"line {place}: {error} (mended: dropped)")
    return objects, faults


def _object(line: str, size: tuple[int, int], names: dict[int, str]) -> Object:
    words = line.split(maxsplit=6)
    if len(words) != 5:
        more = "; outlines and scores are not read" if len(words) > 5 else ""
        raise ValueError(f"{told(line.strip())}: expected 5 numbers (class, centre x and y, width, height){more}")
    if not (words[0].isascii() and words[0].isdecimal() and len(words[0]) < 10 and int(words[0]) in names):
        raise ValueError(f"its class is {told(words[0])}, and no class has that number")
    x, y, width, height = map(number, words[1:])
    return Object(names[int(words[0])], _corners(x, y, width, height, size))


def _corners(x: float, y: float, width: float, height: float, size: tuple[int, int]) -> Corners:
    wide, high = size
    left, right = (round((x + side * width / 2) * wide, 6) for side in (-1, 1))
    top, bottom = (round((y + side * height / 2) * high, 6) for side in (-1, 1))
    return left, top, right, bottom


def spell(objects: tuple[Object, ...], size: tuple[int, int], numbers: dict[str, int]) -> str:
    """The lines of a picture's boxes; those that are to be ignored are left out."""
    lines = []
    for one in objects:
        left, top, right, bottom = one.corners
        parts = ((left + right) / 2 / size[0], (top + bottom) / 2 / size[1], (right - left) / size[0], (bottom - top) / size[1])
        lines += [] if one.ignored else [" ".join([str(numbers[one.name]), *(f"{part:.{DIGITS}f}" for part in parts)])]
    return "".join(f"{line}\n" for line in lines)


def read(root: Path) -> Annotated:
    """Folders `images` and `labels`, perhaps in train, val and test. A picture without its file of lines holds nothing.

    The paths in `data.yaml` are not followed.

    Raises:
        MissingLayoutError: the folders or the classes' names are not there.
        DataError: the names cannot be read.
    """
    names = _names(root)
    parts = {
        part: [_annotation(root, *one, names) for one in paired(images, labels, ".txt")]
        for part, (images, labels) in find(root, "labels").items()
    }
    return Annotated(root, tuple(dict.fromkeys(names.values())), parts)


def _annotation(root: Path, name: str, picture: Path | None, file: Path | None, names: dict[int, str]) -> Annotation:
    size = header_size(picture)
    if file is None:
        return Annotation(name, name, picture, size)
    where = shown(file.relative_to(root).as_posix())
    if picture is None:
        return Annotation(name, where, None)
    try:
        if size is None:
            raise ValueError("its picture cannot be read, and numbers are parts of its size")
        objects, faults = parse(read_bytes(file, MOST_BYTES), size, names)
    except ValueError as error:
        return Annotation(name, where, picture, faults=(f"{error} (mended: its picture is left out)",), state="unreadable")
    return Annotation(name, where, picture, size, tuple(objects), tuple(faults))


def _names(root: Path) -> dict[int, str]:
    """Number of a class -> its name."""
    for file, parse_names in ((root / "data.yaml", _names_of_yaml), (root / "classes.txt", _names_of_lines)):
        if file.is_file():
            try:
                return parse_names(read_bytes(file, 1_000_000))
            except Exception as error:  # YAML's own types raise many kinds on values that they do not expect
                raise DataError(f"{shown(file)}: {shown(str(error)[:300])}; expected the names of the classes") from error
    raise MissingLayoutError(root, "no data.yaml or classes.txt with the names of the classes")


def _names_of_yaml(content: bytes) -> dict[int, str]:
    data: Any = yaml.safe_load(content)
    names = data.get("names") if isinstance(data, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or not all(isinstance(key, int) and 0 <= key < 10**9 for key in names):
        raise ValueError("its `names` is no list of names, nor are they numbered")
    return {key: class_name(names[key]) for key in sorted(names)}


def _names_of_lines(content: bytes) -> dict[int, str]:
    return {place: class_name(line) for place, line in enumerate(content.decode("utf-8").rstrip().splitlines())}


def place(part: str, name: str) -> str:
    """Where the picture of a part lies in a data set that is written."""
    return f"images/{name}" if part == "labelled" else f"images/{part}/{name}"


def write(root: Path, found: Annotated) -> None:
    """Write the annotations of pictures that lie where `place` says, under `labels/`, and `data.yaml`."""
    numbers = {name: number for number, name in enumerate(found.labels)}
    for part, pictures in found.parts.items():
        for one in pictures:
            assert one.size is not None
            file = (root / place(part, one.name).replace("images/", "labels/", 1)).with_suffix(".txt")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(spell(one.objects, one.size, numbers), encoding="utf-8")
    whole = "labelled" in found.parts
    folders = {"train": "images", "val": "images"} if whole else {part: f"images/{part}" for part in found.parts}
    data = {**folders, "names": dict(enumerate(found.labels))}
    (root / "data.yaml").write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
