"""Drawn building sites in the layout of the hard-hat detection data: people with and without helmets, and many round things besides.

The traps are those of the real pictures: helmets of six colours seen from all sides, people behind people, planks and fences, crowds
of heads a few pixels high, heads cut by the border, pictures without anybody, and persons that are labelled in some pictures only.
Balls, buckets, lamps and drums have the helmets' colours, stones and hands those of skin: colour and roundness tell little.
"""

from __future__ import annotations

import io
import math
import random
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from zoo.datasets.drawn.places import LARGE, NEAR, PLACES, SCREENS, SMALL, Ground, Prop
from zoo.datasets.drawn.solids import OVER, Canvas, Light
from zoo.datasets.drawn.workers import HEAD, POSES, Look, Person, draw_body, draw_head
from zoo.progress import track

PICTURES, ANNOTATIONS = "images", "annotations"
COUNT = 240
LEAST_SIDE = 6
LEAST_SEEN = 0.3
"""A head of which less is seen is not labelled."""


class Labelled(NamedTuple):
    """An object of an annotation: pixels of its corners, and whether the border cuts it and something hides it."""

    name: str
    left: int
    top: int
    right: int
    bottom: int
    truncated: bool
    occluded: bool


@dataclass(frozen=True)
class Shot:
    """What a photographer takes: how many people, and their heads' heights in pixels, from least to most."""

    weight: int
    people: tuple[int, int]
    heads: tuple[float, float]
    camera: tuple[float, float]


SHOTS = (
    Shot(28, (1, 4), (52, 96), (1.4, 1.9)),
    Shot(40, (2, 8), (22, 56), (1.5, 2.6)),
    Shot(14, (5, 12), (8.5, 24), (2.2, 5.0)),
    Shot(14, (3, 9), (10, 80), (1.5, 2.3)),
    Shot(4, (0, 0), (20, 60), (1.5, 3.0)),
)


def draw_picture(seed: str) -> tuple[Image.Image, list[Labelled]]:
    """A picture (RGB) and what is labelled in it; equal for equal seeds."""
    dice = random.Random(seed)
    canvas = Canvas(_size(dice), _light(dice))
    shot = dice.choices(SHOTS, [shot.weight for shot in SHOTS])[0]
    ground = Ground(canvas, dice, dice.uniform(*shot.camera), canvas.size[1] * dice.uniform(0.28, 0.5))
    dice.choices(PLACES, (5, 4, 3, 3))[0](ground)
    people = _people(ground, shot)
    heads = _draw(ground, people, shot)
    labelled = labels(np.asarray(canvas.owner), people, heads, dice.random() < 0.05, dice)
    return _photograph(canvas.picture.reduce(OVER), dice), labelled


def _size(dice: random.Random) -> tuple[int, int]:
    if dice.random() < 0.8:
        return dice.choice(((416, 416), (416, 415), (415, 416), (416, 414)))
    return dice.choice(((416, 312), (416, 277), (312, 416), (500, 333), (480, 400)))


def _light(dice: random.Random) -> Light:
    """Sun from one side or an overcast sky; cold, plain or warm."""
    x, y = dice.uniform(-0.75, 0.75), dice.uniform(0.35, 0.8)
    toward = np.array((x, y, 0.6)) / math.sqrt(x * x + y * y + 0.36)
    warm = dice.gauss(0, 0.05)
    return Light((float(toward[0]), float(toward[1]), float(toward[2])), dice.uniform(0.5, 0.8), (1 + warm, 1.0, 1 - warm))


# ---- people


def _people(ground: Ground, shot: Shot) -> list[Person]:
    """People at free places, from far to near; in a picture they mostly all wear helmets or mostly none."""
    dice, (width, height) = ground.dice, ground.canvas.size
    helmets = dice.choice((1.0, 1.0, 0.95, 0.95, 0.8, 0.6, 0.1))
    clear = dice.choice((0.9, 1.3, 1.6))
    people: list[Person] = []
    for _ in range(dice.randint(*shot.people)):
        for _ in range(12):
            unit = math.exp(dice.uniform(*(math.log(size / 2) for size in shot.heads)))
            x = dice.uniform(-0.01, 1.01) * width
            tall, y = ground.head(unit, dice)
            free = all(math.hypot(x - other.x, y - other.y) > clear * (unit + other.unit) for other in people)
            if free and -0.2 * unit < y < height + 0.1 * unit:
                people.append(_person(dice, x, y, unit, tall, dice.random() < helmets))
                break
    return sorted(people, key=lambda person: person.unit)


def _person(dice: random.Random, x: float, y: float, unit: float, crouches: bool, helmet: bool) -> Person:
    yaw = dice.choice((dice.gauss(0, 35), dice.uniform(-180, 180), dice.choice((-90, 90)) + dice.gauss(0, 20)))
    pose = dice.choice(tuple(POSES))
    return Person(x, y, unit, yaw, dice.gauss(10, 12), dice.gauss(0, 7), pose, crouches, Look.chosen(dice, helmet))


def _draw(ground: Ground, people: list[Person], shot: Shot) -> list[int]:
    """Draw people and things from far to near; returns how many pixels each head has, hidden ones with them."""
    dice, canvas = ground.dice, ground.canvas
    heads: list[int] = []
    drawn: list[tuple[float, Callable[[], None]]] = [(scale, ground.prop(prop, scale)) for scale, prop in _things(ground, shot)]
    for number, person in enumerate(people):
        scale = person.unit / HEAD
        drawn.append((scale, partial(_stand, ground, person, 2 * number + 1, heads)))
        if dice.random() < 0.16:
            drawn.append((scale * 1.001, ground.screen(dice.choice(SCREENS), person)))
    for scale, draw in sorted(drawn, key=lambda item: item[0]):
        canvas.fog = ground.haze(scale)
        draw()
    return heads


def _things(ground: Ground, shot: Shot) -> list[tuple[float, Prop]]:
    """Things and the pixels a metre has where they are: large ones far away, a few small ones nearer than the visible ground."""
    dice, far, last = ground.dice, 12.0, ground.nearest
    large = [(math.exp(dice.uniform(math.log(far), math.log(min(last, 60.0)))), dice.choice(LARGE)) for _ in range(dice.randint(0, 3))]
    small = [(math.exp(dice.uniform(math.log(2 * far), math.log(last))), dice.choice(SMALL)) for _ in range(dice.randint(3, 7))]
    near = min(max(shot.heads) / 2 / HEAD, 230.0)
    if near > last:
        small += [(dice.uniform(last, near), dice.choice(NEAR)) for _ in range(dice.randint(0, 3))]
    return large + small


def _stand(ground: Ground, person: Person, number: int, heads: list[int]) -> None:
    """Draw a person with the shadow of the feet; the body's pixels are numbered `number`, the head's one more and counted in `heads`."""
    canvas = ground.canvas
    ground.stage(person.x, person.y + person.tall * person.unit, person.unit)
    ground.shadow(person.x, person.y + person.tall * person.unit, 2.6 * person.unit)
    canvas.mine = number
    draw_body(canvas, person)
    canvas.mine = number + 1
    heads.append(draw_head(canvas, person))
    canvas.mine = 0


# ---- labels


def labels(owner: NDArray[np.uint8], people: list[Person], heads: list[int], with_persons: bool, dice: random.Random) -> list[Labelled]:
    """Boxes around what is seen of heads, and of whole people in a picture in which somebody took the trouble."""
    found = []
    for number, (person, pixels) in enumerate(zip(people, heads, strict=True)):
        head, body = owner == 2 * number + 2, owner == 2 * number + 1
        seen = int(head.sum()) / pixels
        if seen < LEAST_SEEN:
            continue
        found.append(_box("helmet" if person.look.helmet else "head", head, seen < 0.85))
        if with_persons and body.sum() > 2 * head.sum() and dice.random() < 0.8:
            found.append(_box("person", head | body, seen < 0.85))
    return [box for box in found if min(box.right - box.left, box.bottom - box.top) >= LEAST_SIDE]


def _box(name: str, where: NDArray[np.bool_], hidden: bool) -> Labelled:
    height, width = where.shape[0] // OVER, where.shape[1] // OVER
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    left, top = int(columns[0]) // OVER, int(rows[0]) // OVER
    right, bottom = int(columns[-1]) // OVER + 1, int(rows[-1]) // OVER + 1
    cut = left == 0 or top == 0 or right == width or bottom == height
    return Labelled(name, left, top, right, bottom, cut, hidden and not cut)


# ---- the camera


def _photograph(picture: Image.Image, dice: random.Random) -> Image.Image:
    """Uneven light, blur, a colour cast, noise, and what is left of them in a JPEG file."""
    if dice.random() < 0.4:
        picture = picture.filter(ImageFilter.GaussianBlur(dice.uniform(0.3, 1.1)))
    pixels = np.asarray(picture, np.float32)
    height, width, _ = pixels.shape
    across = np.linspace(dice.uniform(0.8, 1.12), dice.uniform(0.8, 1.12), width, dtype=np.float32)[None, :, None]
    cast = np.array([dice.gauss(1, 0.04) for _ in range(3)], np.float32) * np.float32(dice.uniform(0.85, 1.25))
    veil = np.float32(max(0.0, dice.gauss(4, 10)))
    noise = np.random.default_rng(dice.getrandbits(64)).standard_normal((height, width, 1), np.float32) * np.float32(dice.uniform(1, 6))
    file = io.BytesIO()
    pixels = pixels * across * cast * (1 - veil / 255) + veil + noise
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=dice.randint(55, 90))
    return Image.open(file).convert("RGB")


# ---- files


def write(root: Path, seed: int, share: float = 1.0) -> None:
    """Draw the data set into `root`; `share` below 1 draws only that part of it (at least 6 pictures), equal to the whole's."""
    for folder in (PICTURES, ANNOTATIONS):
        (root / folder).mkdir(parents=True)
    count = max(6, round(share * COUNT))
    for number in track(range(count), "drawing", count, "pictures"):
        name = f"hard_hat_workers{number}"
        picture, labelled = draw_picture(f"{seed}/{name}")
        picture.save(root / PICTURES / f"{name}.png", compress_level=3)
        ET.ElementTree(_annotation(f"{name}.png", picture.size, labelled)).write(root / ANNOTATIONS / f"{name}.xml", encoding="utf-8")


def _annotation(name: str, size: tuple[int, int], labelled: list[Labelled]) -> ET.Element:
    """The XML of a picture, with the fields of the real files in their order."""
    top = ET.Element("annotation")
    _fields(top, folder=PICTURES, filename=name)
    _fields(ET.SubElement(top, "size"), width=size[0], height=size[1], depth=3)
    _fields(top, segmented=0)
    for box in labelled:
        item = ET.SubElement(top, "object")
        _fields(item, name=box.name, pose="Unspecified", truncated=int(box.truncated), occluded=int(box.occluded), difficult=0)
        _fields(ET.SubElement(item, "bndbox"), xmin=box.left, ymin=box.top, xmax=box.right, ymax=box.bottom)
    ET.indent(top, "    ")
    return top


def _fields(of: ET.Element, **values: object) -> None:
    for name, value in values.items():
        ET.SubElement(of, name).text = str(value)
