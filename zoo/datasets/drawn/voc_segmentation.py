"""Drawn things of six of VOC's classes on plain grounds, in the layout of VOC2012: JPEG pictures, palette masks, lists."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image, ImageDraw

from zoo.datasets.masks import IGNORE, palette_color
from zoo.datasets.voc_segmentation import LABELS, LISTS, MASKS, PICTURES

Color = tuple[int, int, int]
Part = tuple[str, tuple[float, float, float, float], Color | None]
"""(ellipse or box, its place within the thing in 0 to 1, its colour; None for the thing's own)."""

DARK, PALE = (40, 40, 44), (214, 224, 232)

THINGS: dict[str, tuple[Part, ...]] = {
    "boat": (("box", (0.47, 0.0, 0.53, 0.7), DARK), ("box", (0.53, 0.05, 0.85, 0.5), PALE), ("ellipse", (0.0, 0.45, 1.0, 1.0), None)),
    "bottle": (("box", (0.4, 0.0, 0.6, 0.35), None), ("ellipse", (0.22, 0.25, 0.78, 0.6), None), ("box", (0.22, 0.42, 0.78, 1.0), None)),
    "bus": (
        ("box", (0.0, 0.1, 1.0, 0.82), None),
        ("box", (0.08, 0.2, 0.92, 0.45), PALE),
        ("ellipse", (0.12, 0.7, 0.34, 1.0), DARK),
        ("ellipse", (0.66, 0.7, 0.88, 1.0), DARK),
    ),
    "pottedplant": (
        ("ellipse", (0.1, 0.0, 0.55, 0.6), (52, 122, 54)),
        ("ellipse", (0.4, 0.05, 0.95, 0.65), (74, 146, 60)),
        ("box", (0.28, 0.55, 0.76, 1.0), None),
    ),
    "sheep": (
        ("box", (0.2, 0.6, 0.3, 1.0), DARK),
        ("box", (0.65, 0.6, 0.75, 1.0), DARK),
        ("ellipse", (0.08, 0.15, 0.86, 0.8), (236, 230, 218)),
        ("ellipse", (0.74, 0.1, 1.0, 0.5), DARK),
    ),
    "tvmonitor": (("box", (0.0, 0.0, 1.0, 0.78), DARK), ("box", (0.06, 0.07, 0.94, 0.7), None), ("box", (0.3, 0.78, 0.7, 1.0), DARK)),
}
COUNTS = {"train": 32, "val": 16}


def write(root: Path, seed: int) -> None:
    """Draw the data set into `root`."""
    folder = root / "VOCdevkit" / "VOC2012"
    for name in (PICTURES, MASKS, LISTS):
        (folder / name).mkdir(parents=True)
    lists: dict[str, list[str]] = {}
    for part, count in COUNTS.items():
        lists[part] = [f"2012_{1000 * (part == 'val') + number:06d}" for number in range(count)]
        for number, name in enumerate(lists[part]):
            picture, mask = draw_pair(f"{seed} {name}", number)
            picture.save(folder / PICTURES / f"{name}.jpg", quality=90)
            mask.save(folder / MASKS / f"{name}.png")
    lists["trainval"] = lists["train"] + lists["val"]
    for part, names in lists.items():
        (folder / LISTS / f"{part}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def draw_pair(seed: str, number: int) -> tuple[Image.Image, Image.Image]:
    """A picture (RGB) of two or three things and its mask (mode "P"), sides 90 to 140 pixels; the first thing is kind `number`."""
    dice = random.Random(seed)
    size = dice.randint(100, 140), dice.randint(90, 120)
    picture, mask = Image.new("RGB", size, _any_color(dice)), Image.new("P", size)
    mask.putpalette([part for index in range(256) for part in palette_color(index)])
    horizon = round(size[1] * dice.uniform(0.5, 0.8))
    ImageDraw.Draw(picture).rectangle((0, horizon, *size), fill=_any_color(dice))
    kinds = list(THINGS)
    for kind in (kinds[number % len(kinds)], *dice.sample(kinds, dice.randint(1, 2))):
        wide, high = dice.uniform(0.25, 0.5) * size[0], dice.uniform(0.35, 0.6) * size[1]
        place = (dice.uniform(0, size[0] - wide), dice.uniform(0, size[1] - high), wide, high)
        _paint(picture, mask, kind, place, _any_color(dice))
    return picture, mask


def _any_color(dice: random.Random) -> Color:
    return dice.randint(70, 230), dice.randint(70, 230), dice.randint(70, 230)


def _paint(picture: Image.Image, mask: Image.Image, kind: str, place: tuple[float, float, float, float], own: Color) -> None:
    """Paint a thing into the picture, and its class with a border of 255 into the mask: first all borders, then what is within."""
    left, top, wide, high = place
    parts = [
        (form, (left + x0 * wide, top + y0 * high, left + x1 * wide, top + y1 * high), color)
        for form, (x0, y0, x1, y1), color in THINGS[kind]
    ]
    for form, box, color in parts:
        _fill(picture, form, box, own if color is None else color)
    for form, box, _ in parts:
        _fill(mask, form, (box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2), IGNORE)
    for form, box, _ in parts:
        _fill(mask, form, box, LABELS.index(kind))


def _fill(picture: Image.Image, form: str, box: tuple[float, float, float, float], color: Color | int) -> None:
    pen = ImageDraw.Draw(picture)
    (pen.ellipse if form == "ellipse" else pen.rectangle)(box, fill=color)
