"""Any data set with a folder per class: `<root>/<class>/**/picture.jpg`, or the same under train/, val/ and test/."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from math import cos, radians, sin
from pathlib import Path

from PIL import Image, ImageDraw

from zoo.datasets.pictures import EXTENSIONS, is_picture
from zoo.datasets.source import Record, Source, layout_error, write_csv
from zoo.errors import DataError, shown

PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What folders of a data set's own parts are called, in small or capital letters."""

UNLABELLED = "unlabelled"


class ImageFolder(Source):
    """A folder per class; class order is the sorted order of the names.

    With folders train/ and val/ (or valid/, validation/) and test/, these parts are kept; otherwise `split` divides.
    Pictures in `unlabelled/` are for submissions.
    """

    title = "a folder per class"
    obtain = "Any pictures of your own will do: one folder for each class."
    layout = "  <root>/cats/1.jpg  <root>/dogs/a.png ...\n  or <root>/train/cats/1.jpg  <root>/val/cats/2.jpg  <root>/test/cats/3.jpg ..."
    version = 1

    def __init__(self, root: Path) -> None:
        parts = _parts(root) or {"labelled": root}
        classes = {part: [folder for folder in _folders(top) if folder.name != UNLABELLED] for part, top in parts.items()}
        labels = sorted({folder.name for part in classes.values() for folder in part})
        if len(labels) < 2:
            found = f"found {len(labels)} class folder{'' if len(labels) == 1 else 's'}"
            raise layout_error(ImageFolder, root, f"{found}, at least two are needed")
        unread: Counter[str] = Counter()
        records = {part: _records(root, folders, labels, unread) for part, folders in classes.items()}
        if not any(records.values()):
            raise layout_error(ImageFolder, root, f"the class folders hold no pictures ({', '.join(sorted(EXTENSIONS))})")
        notes = _notes(root, parts, records, unread)
        records["unlabelled"] = [Record(path, path.name) for path in _pictures(root / UNLABELLED, Counter())]
        super().__init__(root, labels, records, notes=notes)

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


def _parts(root: Path) -> dict[str, Path]:
    """The data set's own parts: folders named as such that hold folders (a class may be called "train" as well)."""
    found: dict[str, Path] = {}
    for folder in _folders(root):
        part = PARTS.get(folder.name.lower())
        if part is None or not _folders(folder):
            continue
        if part in found:
            raise layout_error(ImageFolder, root, f"{found[part].name}/ and {folder.name}/ are both there; which is the {part} part?")
        found[part] = folder
    if found and "train" not in found:
        raise layout_error(ImageFolder, root, f"{', '.join(f'{folder.name}/' for folder in found.values())} but no train/")
    return found


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith((".", "__")))
    except OSError as error:
        raise DataError(f"{shown(root)}: cannot be listed ({error.strerror})") from error


def _pictures(folder: Path, unread: Counter[str]) -> list[Path]:
    """All below a folder by their names, other things are counted in `unread`.

    A link that leads nowhere is among the pictures, so that the look at the files names it. Links to folders are not followed:
    they may go round in circles.
    """
    pictures = []
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            unread["links to folders"] += path.is_symlink()
        elif is_picture(path):
            pictures.append(path)
        elif not path.name.startswith("."):
            unread[shown(path.suffix.lower()) or "without ending"] += 1
    return pictures


def _records(root: Path, folders: list[Path], labels: list[str], unread: Counter[str]) -> list[Record]:
    pictures = [(path, labels.index(folder.name)) for folder in folders for path in _pictures(folder, unread)]
    return [Record(path, path.relative_to(root).as_posix(), label) for path, label in pictures]


def _notes(root: Path, parts: dict[str, Path], records: dict[str, list[Record]], unread: Counter[str]) -> list[str]:
    """What is there and not read, and parts without pictures: seldom meant."""
    notes = [f"{parts[part].name}/ holds no pictures" for part, found in records.items() if not found]
    if +unread:
        notes.append(f"not read, no pictures by their names: {', '.join(f'{count} {kind}' for kind, count in (+unread).most_common(5))}")
    if "train" in parts:
        others = [f"{folder.name}/" for folder in _folders(root) if folder not in parts.values() and folder.name != UNLABELLED]
        notes += [f"beside {parts['train'].name}/ and not read: {shown(', '.join(others))}"] if others else []
    loose = sum(is_picture(path) and not path.is_dir() for path in root.iterdir())
    notes += [f"in no class and not read: {loose} picture{'' if loose == 1 else 's'} directly in the folder"] if loose else []
    return notes


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
