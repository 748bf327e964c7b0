"""Folders of pictures beside folders of annotations, paired by their names."""

from __future__ import annotations

from pathlib import Path

from zoo.datasets.annotations import MissingLayoutError, read_bytes
from zoo.datasets.image_folder import PARTS
from zoo.datasets.pictures import is_picture
from zoo.errors import DataError, shown

PART_NAMES = ("train", "val", "test")
MOST_BYTES = 50_000_000
"""Of a list of names."""


Pair = tuple[str, Path | None, Path | None]
"""Name of a picture within its folder, its file, and its annotation."""


def find(root: Path, second: str) -> dict[str, tuple[Path, Path]]:
    """Part -> its folder of pictures, `images`, and of annotations, named `second`; parts lie above or below these, or there are none.

    Raises:
        MissingLayoutError: the folders are not there, or two are one part.
    """
    tops = _folders(root)
    if "images" in tops:
        images, others = _folders(tops["images"]), _folders(tops.get(second))
        found = [(name, images[name], others[name]) for name in images if name in PARTS and name in others]
        if not {"train", "training"} & {name for name, *_ in found}:  # subfolders that only happen to be called so
            found = [("", tops["images"], tops[second])] if second in tops else []
    else:
        inner = {name: _folders(top) for name, top in tops.items() if name in PARTS}
        found = [(name, both["images"], both[second]) for name, both in inner.items() if "images" in both and second in both]
    parts: dict[str, tuple[Path, Path]] = {}
    for name, first, other in found:
        if (part := PARTS[name] if name else "labelled") in parts:
            raise MissingLayoutError(root, f"two folders are its {part} part: {shown(parts[part][0])} and {shown(first)}")
        parts[part] = (first, other)
    if not {"labelled", "train"} & set(parts):
        raise MissingLayoutError(root, f"no folders images/ and {second}/")
    return parts


def _folders(root: Path | None) -> dict[str, Path]:
    """Folders by their names in small letters."""
    if root is None or not root.is_dir():
        return {}
    return {entry.name.lower(): entry for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.name.startswith((".", "__"))}


def paired(images: Path, annotations: Path, suffix: str) -> list[Pair]:
    """Pictures and annotations whose names are equal but for their endings.

    Either file is None where there is none; a name that two pictures share is no one's.
    """
    pictures: dict[str, list[Path]] = {}
    for path in sorted(images.rglob("*")):
        if is_picture(path) and not path.is_dir():
            pictures.setdefault(_key(path, images), []).append(path)
    files = {_key(path, annotations): path for path in sorted(annotations.rglob(f"*{suffix}")) if not path.name.startswith(".")}
    result: list[Pair] = []
    for key in sorted({*pictures, *files}):
        same = pictures.get(key, [])
        result += [(path.relative_to(images).as_posix(), path, files.get(key) if len(same) == 1 else None) for path in same]
        result += [(key, None, files[key])] if len(same) != 1 and key in files else []
    return result


def _key(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def listed_names(path: Path) -> list[str]:
    """The pictures that a list names, each once; [] if there is no such list.

    Raises:
        DataError: a line is no name, or the list cannot be read.
    """
    if not path.is_file():
        return []
    try:
        text = read_bytes(path, MOST_BYTES).decode("utf-8", "surrogateescape")
    except ValueError as error:
        raise DataError(f"{shown(path)}: {error}") from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    strange = [one for one in names if Path(one).name != one]
    if strange:
        raise DataError(f"{shown(path)}: {shown(strange[0])!r} is no picture's name; expected names without folder and ending, one a line")
    return list(dict.fromkeys(names))
