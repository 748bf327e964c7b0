"""Small data sets with boxes, in the layouts that annotations come in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from zoo.datasets.annotations import Object
from zoo.datasets.annotations.voc import spell

Boxes = Sequence[tuple[str, tuple[float, float, float, float]]]

SIZE = (60, 40)
"""Width and height of every picture."""


def picture(path: Path, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def voc(root: Path, pictures: Mapping[str, Boxes], images: str = "images", annotations: str = "annotations") -> Path:
    """A picture, and an XML file with these boxes, for each name."""
    for name, boxes in pictures.items():
        picture(root / images / f"{name}.png")
        file = root / annotations / f"{name}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(spell(f"{name}.png", SIZE, tuple(Object(*box) for box in boxes)))
    return root


def kit(root: Path, pictures: Mapping[str, Boxes], **lists: Sequence[str]) -> Path:
    """The folder of one year of the VOC challenge; `lists` are those in ImageSets/Main."""
    voc(root, pictures, "JPEGImages", "Annotations")
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for part, names in lists.items():
        (root / "ImageSets" / "Main" / f"{part}.txt").write_text("".join(f"{name}\n" for name in names))
    return root


CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]


def coco(file: Path, images: Sequence[Mapping[str, object]], boxes: Sequence[Mapping[str, object]], folder: Path | None = None) -> Path:
    """A JSON with these entries, and a picture in `folder` for every image that has a plain name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": list(images), "annotations": list(boxes), "categories": CATEGORIES}))
    for image in images if folder else ():
        picture((folder or file.parent) / str(image["file_name"]))
    return file


def image(number: int, name: str, **more: object) -> dict[str, object]:
    return {"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1], **more}


def box(number: int, of: int, category: int = 7, bbox: Sequence[float] = (1, 2, 10, 20), **more: object) -> dict[str, object]:
    return {"id": number, "image_id": of, "category_id": category, "bbox": list(bbox), "iscrowd": 0, "area": bbox[2] * bbox[3], **more}
