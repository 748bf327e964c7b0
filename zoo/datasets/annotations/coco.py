"""COCO's form: one JSON file for all pictures of a part.

T.-Y. Lin and others: Microsoft COCO: Common Objects in Context, ECCV 2014. Boxes are left, top, width and height, corners between pixels.
What VOC knows besides is kept in keys of its own (`ignore`, `truncated`, `occluded`, `pose`), which other readers pass over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

from zoo.datasets.annotations import (
    LONGEST_NAME,
    Annotated,
    Annotation,
    Corners,
    MissingLayoutError,
    Object,
    class_name,
    json_file,
    number,
    read_bytes,
    size_of,
    told,
)
from zoo.datasets.image_folder import PARTS
from zoo.datasets.pictures import is_picture
from zoo.errors import DataError, shown

MOST_BYTES = 1_000_000_000
"""COCO's own largest file, of train2017, has 470 MB."""


def parse(content: bytes) -> dict[str, Any]:
    """The JSON of a data set: an object whose `images`, `annotations` and `categories` are lists.

    Raises:
        ValueError: it is something else.
    """
    data = json_file.loaded(content, parse_constant=_no_constant)
    if not isinstance(data, dict):
        raise ValueError(f"{told(data)}, expected an object with images, annotations and categories")
    for key in ("images", "annotations", "categories"):
        if not isinstance(data.get(key), list):
            raise ValueError(f"its `{key}` is {told(data.get(key))}, expected a list")
    return data


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def understood(data: dict[str, Any], where: str, folder: Path) -> tuple[list[str], list[Annotation], list[str]]:
    """Names of classes in the file's order, what is said of each picture, and what is wrong with entries that belong to no picture.

    Args:
        data: as `parse` gives it.
        where: the file's name, for messages.
        folder: of the pictures; files outside it are refused.
    """
    faults: list[str] = []
    classes = dict(_noting(faults, where, "category", data["categories"], _category))
    images: dict[object, dict[str, Any]] = {}
    names: set[str] = set()
    for key, image in _noting(faults, where, "image", data["images"], lambda one: _image(one, images, names)):
        images[key] = image
    objects: dict[object, list[Object]] = {key: [] for key in images}
    wrong: dict[object, list[str]] = {key: [] for key in images}
    for place, entry in enumerate(data["annotations"]):
        image_id = _key(entry, "image_id")
        if image_id is None or image_id not in images:
            faults.append(
                f"{where}: annotations[{place}]: its image_id is {_said(entry, 'image_id')}, and no image has that id (mended: dropped)"
            )
            continue
        try:
            objects[image_id].append(_object(entry, classes))
        except ValueError as error:
            wrong[image_id].append(f"annotations[{place}]: {error} (mended: dropped)")
    found = []
    for key, image in images.items():
        name = image["file_name"]
        picture = folder / name
        size = size_of(image.get("width"), image.get("height"))
        there = picture if picture.is_file() else None
        found.append(Annotation(name, f"{where}: {shown(name)}", there, size, tuple(objects[key]), tuple(wrong[key])))
    return list(dict.fromkeys(classes.values())), found, faults


def _noting(faults: list[str], where: str, what: str, entries: list[Any], read: Any) -> Iterator[tuple[Any, Any]]:
    """What `read` makes of each entry; where it raises ValueError that is noted, and the entry left out."""
    for place, entry in enumerate(entries):
        try:
            yield read(entry)
        except ValueError as error:
            faults.append(f"{where}: {what} {place}: {error} (mended: dropped)")


def _key(entry: object, name: str) -> int | str | None:
    """The id in an entry: a whole number or a text."""
    value = entry.get(name) if isinstance(entry, dict) else None
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _said(entry: object, name: str) -> str:
    return told(entry.get(name)) if isinstance(entry, dict) else f"not there: the entry is {told(entry)}"


def _category(entry: object) -> tuple[int | str, str]:
    key = _key(entry, "id")
    if key is None or not isinstance(entry, dict):
        raise ValueError(f"its id is {_said(entry, 'id')}, expected a number")
    return key, class_name(entry.get("name"))


def _image(entry: object, images: dict[object, dict[str, Any]], names: set[str]) -> tuple[int | str, dict[str, Any]]:
    key = _key(entry, "id")
    if key is None or not isinstance(entry, dict):
        raise ValueError(f"its id is {_said(entry, 'id')}, expected a number")
    name = inner_path(entry.get("file_name"))
    if key in images or name in names:
        raise ValueError(f"its id {told(key)} or its file_name {told(name)} is another image's")
    names.add(name)
    return key, entry | {"file_name": name}


def inner_path(value: object) -> str:
    """A file's path within a folder, in its plainest form.

    Raises:
        ValueError: it leads out of the folder, or is no path.
    """
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"its file_name is {told(value)}, expected a path within the pictures' folder")
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError(f"its file_name {told(value)} leads out of the pictures' folder")
    if any(len(part.encode("utf-8", "replace")) > 255 for part in path.parts) or len(value) > 500:
        raise ValueError(f"its file_name {told(value)} is longer than names of files can be")
    return path.as_posix()


def _object(entry: dict[str, Any], classes: dict[Any, str]) -> Object:
    name = classes.get(_key(entry, "category_id"))
    if name is None:
        raise ValueError(f"its category_id is {_said(entry, 'category_id')}, and no category has that id")
    area = entry.get("area")
    pose = entry.get("pose")
    corners = _corners(entry.get("bbox"))
    return Object(
        name,
        corners,
        difficult=entry.get("ignore") in (1, True),
        crowd=entry.get("iscrowd") in (1, True),
        truncated=entry.get("truncated") in (1, True),
        occluded=entry.get("occluded") in (1, True),
        pose=pose if isinstance(pose, str) and pose.isprintable() and len(pose) <= LONGEST_NAME else "",
        area=None if area is None or area == entry["bbox"][2] * entry["bbox"][3] else _any_area(area),
        segmentation=entry.get("segmentation") or None,
    )


def _any_area(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e14:
        raise ValueError(f"its area is {told(value)}")
    return float(value)


def _corners(box: object) -> Corners:
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"its bbox is {told(box)}, expected [left, top, width, height]")
    left, top, width, height = map(number, box)
    if width < 0 or height < 0:
        raise ValueError(f"its bbox has width {width:g} and height {height:g}")
    return left, top, _sum(left, width), _sum(top, height)


def _sum(one: float, other: float) -> float:
    """The sum of two numbers as they are written: 0.1 and 0.2 are 0.3."""
    return one + other if one.is_integer() and other.is_integer() else float(Decimal(repr(one)) + Decimal(repr(other)))


def _area(corners: Corners) -> float:
    left, top, right, bottom = corners
    return _sum(right, -left) * _sum(bottom, -top)


def read(root: Path) -> Annotated:
    """COCO's layout (`annotations/instances_train2017.json` with `train2017/`), or one JSON beside its pictures or their folder.

    Raises:
        MissingLayoutError: there is no such JSON, or it cannot be told which is which part.
        DataError: a JSON is none of COCO's form.
    """
    files = _files(root)
    labels: dict[str, None] = {}
    named: dict[Path, set[str]] = {}
    result = Annotated(root, (), {})
    for part, file in files.items():
        where = shown(file.relative_to(root).as_posix())
        try:
            data = parse(read_bytes(file, MOST_BYTES))
        except ValueError as error:
            raise DataError(f"{shown(file)}: {error}. Mend or remove the file.") from error
        folder = _folder(root, file, data)
        names, found, faults = understood(data, where, folder)
        labels |= dict.fromkeys(names)
        result.parts[part] = found
        result.faults += faults
        named.setdefault(folder, set()).update(one.name for one in found)
    result.labels = tuple(labels)
    result.notes += [note for folder, names in named.items() if (note := _unnamed(folder, names))]
    return result


_PART = re.compile(r"(?<![a-z])(" + "|".join(PARTS) + r")(?![a-z])")


def _files(root: Path) -> dict[str, Path]:
    """Part -> its JSON; a file alone is "labelled"."""
    folders = [root / "annotations", root, *(entry for entry in sorted(root.iterdir()) if entry.is_dir() and entry.name.lower() in PARTS)]
    found = [file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.json")) if _may_be(file)]
    own = [file for file in found if file.name.startswith("instances_")]  # COCO has others beside: captions, key points
    found = own or found
    if len(found) == 1:
        return {"labelled": found[0]}
    parts: dict[str, Path] = {}
    for file in found:
        match = _PART.search(file.stem.lower())
        part = PARTS[match[1]] if match else PARTS.get(file.parent.name.lower()) if file.parent != root else None
        if part is None or part in parts:
            raise MissingLayoutError(
                root, f"several JSON files, and {shown(file.name)} is not the only one of train, val or test by its name"
            )
        parts[part] = file
    if "train" not in parts:
        raise MissingLayoutError(root, "no JSON of a train part" if found else "no JSON with annotations")
    return parts


def _may_be(file: Path) -> bool:
    return file.is_file() and not file.name.startswith((".", "image_info")) and file.name != "SYNTHETIC.json"


def _folder(root: Path, file: Path, data: dict[str, Any]) -> Path:
    """Where the pictures of a JSON lie: the first folder of the usual ones that holds the first picture that any of them holds."""
    tail = file.stem.rpartition("_")[2] or file.stem
    match = _PART.search(file.stem.lower())
    usual = [tail, f"images/{tail}", *([match[1], f"images/{match[1]}"] if match else []), "images"]
    folders = [folder for folder in (*(root / name for name in usual), file.parent, root) if folder.is_dir()]
    for entry in data["images"][:20]:
        try:
            name = inner_path(entry.get("file_name") if isinstance(entry, dict) else None)
        except ValueError:
            continue
        for folder in folders:
            if (folder / name).is_file():
                return folder
    return folders[0]


def _unnamed(folder: Path, names: set[str]) -> str:
    """A note about pictures that no annotation names; "" if there are none."""
    left = sorted(path.name for path in folder.iterdir() if is_picture(path) and path.name not in names)
    return f"{len(left)} pictures that no annotation names are not read, such as {shown(folder.name)}/{shown(left[0])}" if left else ""


def place(part: str, name: str) -> str:
    """Where the picture of a part lies in a data set that is written."""
    return f"images/{name}" if part == "labelled" else f"{part}/{name}"


def spell(found: Annotated) -> dict[str, dict[str, object]]:
    """Part -> the content of its JSON. Ids are counted from 1, in the order of `labels` and of the pictures."""
    numbers = {name: number for number, name in enumerate(found.labels, 1)}
    categories = [{"id": number, "name": name, "supercategory": ""} for name, number in numbers.items()]
    content: dict[str, dict[str, object]] = {}
    for part, pictures in found.parts.items():
        images = [_spell_image(number, one) for number, one in enumerate(pictures, 1)]
        boxes = ((image, one) for image, picture in enumerate(pictures, 1) for one in picture.objects)
        entries = [_spell(number, image, numbers[one.name], one) for number, (image, one) in enumerate(boxes, 1)]
        content[part] = {"images": images, "annotations": entries, "categories": categories}
    return content


def write(root: Path, found: Annotated) -> None:
    """Write the annotations of pictures that lie where `place` says: `annotations/instances_<part>.json`, of one part `instances.json`."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for part, content in spell(found).items():
        name = "instances.json" if part == "labelled" else f"instances_{part}.json"
        (root / "annotations" / name).write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")


def _spell_image(number: int, one: Annotation) -> dict[str, object]:
    assert one.size is not None
    return {"id": number, "file_name": one.name, "width": one.size[0], "height": one.size[1]}


def _spell(number: int, image: int, category: int, one: Object) -> dict[str, object]:
    left, top, right, bottom = one.corners
    entry: dict[str, object] = {"id": number, "image_id": image, "category_id": category, "iscrowd": int(one.crowd)}
    entry["bbox"] = [_plain(value) for value in (left, top, _sum(right, -left), _sum(bottom, -top))]
    entry["area"] = _plain(_area(one.corners) if one.area is None else one.area)
    entry["segmentation"] = [] if one.segmentation is None else one.segmentation
    extra = {"ignore": one.difficult, "truncated": one.truncated, "occluded": one.occluded}
    return entry | {key: 1 for key, value in extra.items() if value} | ({"pose": one.pose} if one.pose else {})


def _plain(value: float) -> float:
    return int(value) if value.is_integer() else value
