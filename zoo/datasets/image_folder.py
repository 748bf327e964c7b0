"""Any data set with a folder per class: `<root>/<class>/**/picture.jpg`, or the same under train/, val/ and test/."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import cos, radians, sin
from pathlib import Path

from PIL import Image, ImageDraw

from zoo.datasets.pictures import is_picture
from zoo.datasets.source import Record, Source, layout_error, write_csv
from zoo.errors import DataError

PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
UNLABELLED = "unlabelled"


class ImageFolder(Source):
    """A folder per class; class order is the sorted order of the names.

    With folders train/ and val/ (or valid/, validation/) and test/, these parts are kept; otherwise `split` divides.
    Pictures directly in `unlabelled/` are for submissions.
    """

    title = "a folder per class"
    obtain = "Any pictures of your own will do: one folder for each class."
    layout = "  <root>/cats/1.jpg  <root>/dogs/a.png ...\n  or <root>/train/cats/1.jpg  <root>/val/cats/2.jpg  <root>/test/cats/3.jpg ..."
    version = 1

    def __init__(self, root: Path) -> None:
        folders = _folders(root)
        own = {PARTS[folder.name]: folder for folder in folders if folder.name in PARTS}
        parts = own if "train" in own else {"labelled": root}
        classes = {part: [f for f in _folders(top) if f.name != UNLABELLED] for part, top in parts.items()}
        labels = sorted({folder.name for part in classes.values() for folder in part})
        if len(labels) < 2:
            raise layout_error(ImageFolder, root, f"found {len(labels)} class folder{'s' if len(labels) != 1 else ''}, at least two are needed")
        records = {part: _records(root, found, labels) for part, found in classes.items()}
        if not any(records.values()):
            raise layout_error(ImageFolder, root, "the class folders hold no pictures")
        loose = root / UNLABELLED
        records["unlabelled"] = [Record(path, path.name) for path in _pictures(loose)] if loose.is_dir() else []
        super().__init__(root, labels, records)

    @staticmethod
    def write_submission(path: Path, pictures: Sequence[Path], predictions: Sequence[int], labels: Sequence[str]) -> None:
        """Write `id,label`: file name and class name, by file name."""
        rows = sorted((picture.name, labels[index]) for picture, index in zip(pictures, predictions, strict=True))
        write_csv(path, ("id", "label"), rows)

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Eight classes of one shape each (circle, star, cross ...) in any colour, size and place, 40 pictures a class."""
        for number, (name, corners) in enumerate(_SHAPES.items()):
            (root / name).mkdir(parents=True)
            for index in range(40):
                dice = random.Random(f"{seed} {number} {index}")
                _draw(corners, dice).save(root / name / f"{name}_{index:02d}.png")


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    except OSError as error:
        raise DataError(f"{root}: cannot be listed ({error.strerror})") from error


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if is_picture(path) and path.is_file())


def _records(root: Path, folders: list[Path], labels: list[str]) -> list[Record]:
    index = {label: number for number, label in enumerate(labels)}
    return [Record(path, path.relative_to(root).as_posix(), index[folder.name]) for folder in folders for path in _pictures(folder)]


# Corners on the unit circle: (angle in degrees, radius), walked in order.
_SHAPES: dict[str, list[tuple[float, float]]] = {
    "circle": [(step * 10, 1.0) for step in range(36)],
    "cross": [(quarter * 90 + angle, radius) for quarter in range(4) for angle, radius in ((-18, 1.0), (18, 1.0), (45, 0.42))],
    "crescent": [*[(angle, 1.0) for angle in range(-120, 121, 10)], *[(angle * 0.9, 0.55) for angle in range(120, -121, -10)]],
    "diamond": [(0, 0.55), (90, 1.0), (180, 0.55), (270, 1.0)],
    "hexagon": [(step * 60, 1.0) for step in range(6)],
    "square": [(45 + step * 90, 1.0) for step in range(4)],
    "star": [(step * 36, 1.0 if step % 2 else 0.45) for step in range(10)],
    "triangle": [(step * 120, 1.0) for step in range(3)],
}


def _draw(corners: list[tuple[float, float]], dice: random.Random) -> Image.Image:
    width, height = dice.randint(90, 140), dice.randint(90, 140)
    scale = 3  # drawn large and reduced, for smooth edges
    back = tuple(dice.randint(0, 255) for _ in range(3))
    front = tuple((value + dice.randint(80, 175)) % 256 for value in back)
    picture = Image.new("RGB", (width * scale, height * scale), back)
    pen = ImageDraw.Draw(picture)
    for _ in range(dice.randint(2, 6)):  # clutter of thin lines, so that edges alone tell nothing
        ends = [dice.randint(0, side * scale) for side in (width, height, width, height)]
        pen.line(ends, fill=tuple(dice.randint(0, 255) for _ in range(3)), width=dice.randint(1, 3) * scale)
    size = dice.uniform(0.18, 0.42) * min(width, height) * scale
    x, y = (dice.uniform(size, side * scale - size) for side in (width, height))
    turn = dice.uniform(-25, 25)
    pen.polygon([(x + size * r * cos(radians(a + turn)), y + size * r * sin(radians(a + turn))) for a, r in corners], fill=front)
    return picture.resize((width, height), Image.Resampling.LANCZOS)
