"""Any pictures, without labels: `<root>/**/picture.jpg`, or the same under train/, val/ and test/."""

from __future__ import annotations

import colorsys
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from PIL import Image, ImageDraw, ImageFilter

from zoo.datasets.image_folder import PARTS
from zoo.datasets.pictures import EXTENSIONS, is_picture
from zoo.datasets.source import Record, Source, layout_error
from zoo.datasets.synthetic import MARK
from zoo.errors import RecipeError, shown


class ImageFiles(Source):
    """Pictures of a folder and its subfolders.

    With folders train/ and val/ or test/ (or training/, valid/, validation/, testing/), these parts are kept; otherwise `split` divides.
    Links to folders are not followed, because they may go round in circles.

    Args:
        root: the folder.
        groups: `folder`: pictures of one folder, such as those of one person, stay together in a split.
        grey: whether pictures are converted to grey.

    Raises:
        DataError: there are no pictures, or two folders are the same part.
        RecipeError: `groups` is `folder`, and there are no folders.
    """

    title: ClassVar[str] = "a folder of pictures"
    obtain: ClassVar[str] = "Any pictures of your own will do; subfolders are read too, and names mean nothing."
    layout: ClassVar[str] = "  <root>/1.jpg  <root>/any/folder/2.png ...\n  or <root>/train/1.jpg  <root>/val/2.jpg  <root>/test/3.jpg ..."
    version: ClassVar[int] = 1

    def __init__(self, root: Path, groups: Literal["none", "folder"] = "none", grey: bool = False) -> None:
        tops = _parts(root)
        found = {part: _files(top) for part, top in tops.items()}
        pictures = {part: [path for path in paths if is_picture(path)] for part, paths in found.items()}
        if not (pictures.get("labelled") or pictures.get("train")):
            raise layout_error(ImageFiles, root, f"no pictures ({', '.join(sorted(EXTENSIONS))})")
        records = {
            part: [Record(path, path.relative_to(root).as_posix(), group=_group(path, tops[part], groups)) for path in paths]
            for part, paths in pictures.items()
        }
        if groups == "folder" and all(path.parent == tops[part] for part, paths in pictures.items() for path in paths):
            raise RecipeError(f"data.groups=folder: all pictures lie in {shown(root)} itself; put each group in a folder, or leave it out")
        super().__init__(
            root, (), records, "folder" if groups == "folder" else None, channels=1 if grey else 3, notes=_notes(root, tops, found)
        )

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw 288 pictures of a few soft shapes each: twelve folders, and each has its own kind of shape and range of colours."""
        for number in range(12):
            folder = root / f"set_{number:02d}"
            folder.mkdir(parents=True)
            for index in range(24):
                _draw(number, random.Random(f"{seed} {number} {index}")).save(folder / f"{index:02d}.png")


def _parts(root: Path) -> dict[str, Path]:
    """The data set's own parts, if one of its folders is called train and another val or test; otherwise all of it."""
    found: dict[str, Path] = {}
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir()):
        part = PARTS.get(folder.name.lower())
        if part in found:
            raise layout_error(ImageFiles, root, f"{found[part].name}/ and {folder.name}/ are both there; which is the {part} part?")
        if part is not None:
            found[part] = folder
    return found if "train" in found and len(found) > 1 else {"labelled": root}


def _files(top: Path) -> list[Path]:
    """What lies below a folder, by path, but for what is hidden. Links that lead nowhere are among it, so that the look names them."""
    visible = (path for path in sorted(top.rglob("*")) if not any(name.startswith((".", "__")) for name in path.relative_to(top).parts))
    return [path for path in visible if not path.is_dir() and path.name != MARK]


def _group(path: Path, top: Path, groups: str) -> str | None:
    """The picture's folder; a picture that lies in none is a group of its own."""
    if groups == "none":
        return None
    return (path if path.parent == top else path.parent).relative_to(top).as_posix()


def _notes(root: Path, tops: Mapping[str, Path], found: Mapping[str, list[Path]]) -> list[str]:
    """What is there and not read."""
    unread = Counter(shown(path.suffix.lower()) or "without ending" for paths in found.values() for path in paths if not is_picture(path))
    notes = []
    if unread:
        notes.append(f"not read, no pictures by their names: {', '.join(f'{count} {kind}' for kind, count in unread.most_common(5))}")
    if "train" in tops:
        beside = [path for path in _files(root) if is_picture(path) and not any(path.is_relative_to(top) for top in tops.values())]
        notes += [f"beside {tops['train'].name}/ and not read: {len(beside)} picture{'s' * (len(beside) > 1)}"] if beside else []
    return notes


def _draw(kind: int, dice: random.Random) -> Image.Image:
    """Soft shapes on a ground that grows darker to one side; `kind` sets their outline, and their hues but for a little."""
    side, scale = dice.choice((64, 72, 96)), 2
    hue = kind / 12
    ground = Image.linear_gradient("L").rotate(dice.choice((0, 90, 180, 270))).resize((side * scale,) * 2)
    dark, light = (_color(hue + 0.5, dice, value) for value in (0.25, 0.7))
    picture = Image.composite(Image.new("RGB", ground.size, light), Image.new("RGB", ground.size, dark), ground)
    pen = ImageDraw.Draw(picture)
    for _ in range(dice.randint(1, 4)):
        x, y, width, height = (dice.uniform(low, high) * side * scale for low, high in ((0.2, 0.8), (0.2, 0.8), (0.1, 0.3), (0.1, 0.3)))
        box, fill = (x - width, y - height, x + width, y + height), _color(hue, dice, dice.uniform(0.5, 1.0))
        if kind % 3 == 0:
            pen.ellipse(box, fill)
        elif kind % 3 == 1:
            pen.rounded_rectangle(box, min(width, height) / 3, fill)
        else:
            pen.polygon([(x, y - height), (x + width, y + height), (x - width, y + height)], fill)
    return picture.filter(ImageFilter.GaussianBlur(dice.uniform(0.5, 2) * scale)).resize((side, side), Image.Resampling.BOX)


def _color(hue: float, dice: random.Random, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb((hue + dice.uniform(-0.06, 0.06)) % 1, dice.uniform(0.4, 0.9), value)
    return round(red * 255), round(green * 255), round(blue * 255)
