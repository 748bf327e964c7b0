"""Takes of drawn gestures: somebody in a room shows hands to a camera for some frames, which are nearly alike.

All frames of a take share the person, the room, the light and how the hands are held; they differ by a tremble, noise and blur.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from zoo.datasets.drawn.hand import POSES, Hand, Hold, Person
from zoo.datasets.drawn.solids import OVER, Array, Canvas, Color, Light, shade
from zoo.datasets.drawn.workers import Look, draw_head, hsv
from zoo.datasets.drawn.workers import Person as Stander

Corners = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels."""


class Shown(NamedTuple):
    """A hand to be drawn: a pose's name, which hand, whether from its back, and where in the picture, in parts of it."""

    pose: str
    left: bool
    back: bool
    x: float
    y: float
    size: float = 0.25
    """Width of the palm in parts of the picture's height."""


@dataclass(frozen=True)
class Somebody:
    """A person with the room that all their takes are made in."""

    hand: Person
    look: Look
    room: int

    @classmethod
    def chosen(cls, dice: random.Random) -> Somebody:
        """A person as the dice fall."""
        hand = Person.chosen(dice)
        return cls(hand, replace(Look.chosen(dice, helmet=False), skin=hand.skin, shirt=hand.shirt), dice.getrandbits(32))


class Take:
    """A recording of hands.

    Args:
        size: of its pictures, width and height.
        somebody: who is seen.
        shown: their hands, from back to front.
        seed: of all that is the take's own.
    """

    def __init__(self, size: tuple[int, int], somebody: Somebody, shown: Sequence[Shown], seed: str) -> None:
        self.size, self.somebody, self.seed = size, somebody, seed
        dice = random.Random(seed)
        room = random.Random(somebody.room)
        x, y = room.uniform(-0.6, 0.6), room.uniform(0.3, 0.7)
        away = math.sqrt(x * x + y * y + 0.5)
        self.light = Light((x / away, y / away, math.sqrt(0.5) / away), room.uniform(0.55, 0.75))
        self.scene = Canvas(size, self.light)
        _draw_room(self.scene, room)
        _draw_somebody(self.scene, somebody, dice)
        self.holds = [(one, _hold(one, size, somebody, dice)) for one in shown]
        self.cast = np.array([room.gauss(1, 0.05) for _ in range(3)], np.float32) * np.float32(room.uniform(0.8, 1.15))
        self.noise = dice.uniform(1, 4)

    def frame(self, number: int) -> tuple[Image.Image, list[Corners]]:
        """A picture (RGB) of the take and the boxes around its hands, in the order of `shown`; equal for equal numbers."""
        dice = random.Random(f"{self.seed}/{number}")
        canvas = Canvas(self.size, self.light)
        canvas.picture.paste(self.scene.picture)
        boxes = []
        for index, (shown, hold) in enumerate(self.holds, 1):
            hand = Hand(canvas, self.somebody.hand, POSES[shown.pose], _trembling(hold, dice))
            hand.arm()
            canvas.mine = index
            hand.draw()
            canvas.mine = 0
            boxes.append(_box(np.asarray(canvas.owner) == index))
        return self._photograph(canvas.picture.reduce(OVER), dice), boxes

    def _photograph(self, picture: Image.Image, dice: random.Random) -> Image.Image:
        """Blur of a moving hand or camera in some frames, the take's colour cast, and noise."""
        pixels = np.asarray(picture, np.float32)
        if dice.random() < 0.3:
            pixels = _moved(pixels, dice.uniform(1, 0.022 * self.size[1]), dice.uniform(0, math.pi))
        noise = np.random.default_rng(dice.getrandbits(64)).standard_normal((*pixels.shape[:2], 1), np.float32)
        return Image.fromarray((pixels * self.cast + self.noise * noise).clip(0, 255).astype(np.uint8))


def _hold(shown: Shown, size: tuple[int, int], somebody: Somebody, dice: random.Random) -> Hold:
    unit = shown.size * size[1] * somebody.hand.size
    tilt, yaw, spread, bend = dice.gauss(0, 11), dice.uniform(-38, 38), dice.random(), dice.gauss(0, 3)
    x, y = shown.x * size[0] + dice.gauss(0, 0.06 * unit), shown.y * size[1] + dice.gauss(0, 0.06 * unit)
    return Hold(x, y, unit, tilt, yaw, shown.left, shown.back, spread, bend)


def _trembling(hold: Hold, dice: random.Random) -> Hold:
    x, y = hold.x + dice.gauss(0, 0.03 * hold.unit), hold.y + dice.gauss(0, 0.03 * hold.unit)
    return replace(
        hold, x=x, y=y, tilt=hold.tilt + dice.gauss(0, 1.2), yaw=hold.yaw + dice.gauss(0, 2), unit=hold.unit * dice.gauss(1, 0.01)
    )


def _box(where: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> Corners:
    """Around the pixels that are a hand's; of a hand out of sight (0, 0, 0, 0)."""
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]) // OVER, int(rows[0]) // OVER, int(columns[-1]) // OVER + 1, int(rows[-1]) // OVER + 1


def _moved(pixels: Array, length: float, angle: float) -> Array:
    """Blur along a line of `length` pixels."""
    steps = max(2, round(length))
    parts = [
        ((step / (steps - 1) - 0.5) * length * math.cos(angle), (step / (steps - 1) - 0.5) * length * math.sin(angle))
        for step in range(steps)
    ]
    padded = np.pad(pixels, ((8, 8), (8, 8), (0, 0)), mode="edge")
    height, width = pixels.shape[:2]
    cuts = [padded[8 + round(y) : 8 + round(y) + height, 8 + round(x) : 8 + round(x) + width] for x, y in parts]
    return np.asarray(np.mean(cuts, axis=0), np.float32)


# ---- what is behind the hands


def _draw_somebody(canvas: Canvas, somebody: Somebody, dice: random.Random) -> None:
    """The shoulders and the head of who shows the hands: as much skin as a hand has, and no gesture."""
    width, height = canvas.size
    unit = height * dice.uniform(0.1, 0.13)
    x, y = width * dice.uniform(0.4, 0.6), height * dice.uniform(0.2, 0.3)
    canvas.limb((x, y + 3 * unit), (x, y + 14 * unit), 2.3 * unit, 2.0 * unit, somebody.hand.shirt)
    canvas.limb((x, y + 0.5 * unit), (x, y + 1.5 * unit), 0.42 * unit, 0.5 * unit, shade(somebody.hand.skin, 0.8))
    yaw, roll = dice.gauss(0, 18), dice.gauss(0, 5)
    draw_head(canvas, Stander(x, y, unit, yaw, dice.gauss(5, 6), roll, "stands", False, somebody.look))


def _draw_room(canvas: Canvas, room: random.Random) -> None:
    """A wall with what stands and hangs there, in any colour, those of skin and wood among them."""
    width, height = canvas.size
    wall = room.choice((_pale(room), _pale(room), hsv(room.random(), room.uniform(0.1, 0.6), room.uniform(0.2, 0.8))))
    canvas.box(0, 0, width, height, wall)
    for _ in range(room.randint(2, 7)):
        room.choice((_picture, _picture, _shelf, _window, _stripes, _plant))(canvas, room, wall)
    canvas.mottle(np.random.default_rng(room.getrandbits(32)), 0, (3, 0.08), (9, 0.02))


def _pale(room: random.Random) -> Color:
    return hsv(room.random(), room.uniform(0.02, 0.25), room.uniform(0.6, 0.95))


def _thing(room: random.Random) -> Color:
    """Half of the things are of wood, leather or card, which have the colours of skin."""
    wood = hsv(room.uniform(0.03, 0.1), room.uniform(0.25, 0.6), room.uniform(0.3, 0.95))
    return wood if room.random() < 0.5 else hsv(room.random(), room.uniform(0.1, 0.8), room.uniform(0.15, 0.9))


def _picture(canvas: Canvas, room: random.Random, wall: Color) -> None:
    width, height = canvas.size
    x, y, w, h = (
        room.uniform(-0.1, 1) * width,
        room.uniform(-0.1, 0.8) * height,
        room.uniform(0.1, 0.3) * width,
        room.uniform(0.1, 0.5) * height,
    )
    canvas.box(x, y, x + w, y + h, shade(wall, 0.5))
    canvas.box(x + 2, y + 2, x + w - 2, y + h - 2, _thing(room))
    canvas.disc(x + w / 2, y + h / 2, w * room.uniform(0.1, 0.4), h * room.uniform(0.1, 0.4), _thing(room))


def _shelf(canvas: Canvas, room: random.Random, wall: Color) -> None:
    width, height = canvas.size
    x, y, w = room.uniform(-0.2, 0.8) * width, room.uniform(0.2, 1) * height, room.uniform(0.3, 0.6) * width
    at = x
    while at < x + w:
        wide, high = room.uniform(0.012, 0.045) * width, room.uniform(0.1, 0.22) * height
        canvas.box(at, y - high, at + wide - 1, y, _thing(room))
        at += wide
    canvas.box(x, y, x + w, y + 0.025 * height, shade(wall, 0.6))


def _window(canvas: Canvas, room: random.Random, wall: Color) -> None:
    width, height = canvas.size
    x, y, w, h = (
        room.uniform(-0.1, 0.8) * width,
        room.uniform(-0.2, 0.3) * height,
        room.uniform(0.2, 0.4) * width,
        room.uniform(0.4, 0.7) * height,
    )
    canvas.box(x, y, x + w, y + h, shade(wall, 1.2))
    canvas.box(x + 3, y + 3, x + w - 3, y + h - 3, room.choice(((214, 228, 240), (160, 196, 226), (40, 46, 62))))
    canvas.box(x + w / 2 - 1.5, y, x + w / 2 + 1.5, y + h, shade(wall, 1.2))


def _stripes(canvas: Canvas, room: random.Random, wall: Color) -> None:
    """A curtain or boards: upright, as fingers are."""
    width, height = canvas.size
    x, w, color = room.uniform(-0.2, 0.9) * width, room.uniform(0.015, 0.05) * width, _thing(room)
    for stripe in range(room.randint(4, 12)):
        canvas.rod((x + stripe * w, -height), (x + stripe * w, 2 * height), 0.5 * w, shade(color, room.uniform(0.85, 1.1)))


def _plant(canvas: Canvas, room: random.Random, wall: Color) -> None:
    width, height = canvas.size
    x, y = room.uniform(0, 1) * width, room.uniform(0.7, 1) * height
    for _ in range(room.randint(5, 11)):
        angle, long = room.gauss(0, 0.6), room.uniform(0.2, 0.5) * height
        leaf = hsv(room.uniform(0.2, 0.4), room.uniform(0.3, 0.7), room.uniform(0.25, 0.6))
        canvas.limb((x, y), (x + long * math.sin(angle), y - long * math.cos(angle)), 0.03 * height, 0.008 * height, leaf)
    canvas.box(x - 0.06 * height, y, x + 0.06 * height, y + 0.15 * height, _thing(room))
