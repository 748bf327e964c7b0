"""Stick figures at their activities, drawn in the layouts of `zoo.datasets.mpii_activity`.

A video is one person, one background and one variant of one activity; its frames differ by the motion and a little by the camera.
Pose and props tell the activity; backgrounds, colours, sizes and sides are drawn without regard to it. Scenes are written in body
heights: x to the right, y up from the ground, the person facing right and about 0.95 tall.
"""

from __future__ import annotations

import colorsys
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageDraw

from zoo.datasets.mpii_activity import ANSWERS, CATEGORIES, COURSE, MAT, NAMES, OFFICIAL, VIDEOS
from zoo.datasets.source import write_csv
from zoo.progress import track

Colour = tuple[int, int, int]
Point = tuple[float, float]
Points = Sequence[Point]

COUNTS = {0: 276, 1: 14, 2: 57, 3: 185, 4: 82, 5: 107, 6: 87, 8: 58, 9: 134, 10: 42, 11: 57, 12: 51, 13: 48, 14: 24, 16: 82, 18: 44}
"""Labelled pictures per category: about an eighth of the real ones, so that the imbalance of 20 to 1 is kept."""

TESTS = 60
OVER = 2  # drawn this many times larger, then averaged down: smooth edges
SKINS = ((244, 208, 177), (224, 172, 125), (198, 134, 90), (141, 85, 54), (92, 56, 38))
WOOD, METAL, DARK, WHITE, ROAD = (150, 104, 62), (150, 155, 162), (38, 38, 44), (242, 242, 240), (110, 110, 114)


# ---- colours and geometry


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, round(part * factor)) for part in colour)
    return red, green, blue


def _vivid(rng: random.Random) -> Colour:
    return _hsv(rng.random(), rng.uniform(0.35, 0.95), rng.uniform(0.35, 0.95))


def _pale(rng: random.Random) -> Colour:
    return _hsv(rng.random(), rng.uniform(0.02, 0.4), rng.uniform(0.5, 0.95))


def _bend(start: Point, end: Point, upper: float, lower: float, side: float) -> tuple[Point, Point]:
    """Elbow and hand (or knee and foot) of a limb from `start` towards `end`, which it may be too short to reach."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    distance = math.hypot(dx, dy) or 1e-6
    ux, uy = dx / distance, dy / distance
    distance = min(max(distance, abs(upper - lower) + 1e-3), (upper + lower) * 0.999)
    along = (upper**2 - lower**2 + distance**2) / (2 * distance)
    aside = math.sqrt(max(upper**2 - along**2, 0.0)) * side
    middle = start[0] + ux * along - uy * aside, start[1] + uy * along + ux * aside
    return middle, (start[0] + ux * distance, start[1] + uy * distance)


def _turn(phase: float, radius: float, centre: Point = (0.0, 0.0)) -> Point:
    return centre[0] + radius * math.cos(2 * math.pi * phase), centre[1] + radius * math.sin(2 * math.pi * phase)


def _wave(phase: float) -> float:
    return math.sin(2 * math.pi * phase)


# ---- the stage: one frame being drawn


@dataclass(frozen=True)
class Look:
    """Colours and build of a person."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    build: float
    long_hair: bool
    short_sleeves: bool

    @classmethod
    def chosen(cls, rng: random.Random) -> Look:
        """A person as `rng` wills."""
        hair = _hsv(rng.uniform(0.04, 0.12), rng.uniform(0.1, 0.7), rng.uniform(0.08, 0.7))
        clothes = (_vivid(rng), _vivid(rng), _shade(_vivid(rng), 0.6))
        return cls(rng.choice(SKINS), hair, *clothes, rng.uniform(0.85, 1.3), rng.random() < 0.4, rng.random() < 0.6)


@dataclass
class Stage:
    """A canvas and where body heights lie on it.

    Attributes:
        draw: the canvas, `OVER` times larger than the picture.
        origin: pixel of the point (0, 0), on the ground.
        scale: pixels per body height; `side` is -1 where the scene is mirrored.
        horizon: pixel row where the ground ends.
        phase: time within the motion; 1 is a full turn of it.
        video: gives the same numbers for all frames of a video.
        frame: gives other numbers for each frame.
    """

    draw: ImageDraw.ImageDraw
    size: tuple[int, int]
    origin: Point
    scale: float
    side: int
    horizon: float
    phase: float
    video: random.Random
    frame: random.Random
    look: Look
    paint: list[Colour] = field(default_factory=list)

    def at(self, point: Point) -> Point:
        """The pixel of a point in body heights."""
        return self.origin[0] + self.side * point[0] * self.scale, self.origin[1] - point[1] * self.scale

    def line(self, points: Points, width: float, colour: Colour) -> None:
        """A line with round ends and corners."""
        pixels, thick = [self.at(point) for point in points], max(2, round(width * self.scale))
        self.draw.line(pixels, fill=colour, width=thick)
        if thick > 3:
            for x, y in pixels:
                self.draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=colour)

    def disc(self, centre: Point, radius: float, colour: Colour, flat: float = 1.0) -> None:
        """A filled circle; `flat` below 1 presses it together."""
        (x, y), r = self.at(centre), radius * self.scale
        self.draw.ellipse((x - r, y - r * flat, x + r, y + r * flat), fill=colour)

    def ring(self, centre: Point, radius: float, width: float, colour: Colour, flat: float = 1.0) -> None:
        """The outline of a circle."""
        (x, y), r = self.at(centre), radius * self.scale
        self.draw.ellipse((x - r, y - r * flat, x + r, y + r * flat), outline=colour, width=max(2, round(width * self.scale)))

    def shape(self, points: Points, colour: Colour) -> None:
        """A filled polygon."""
        self.draw.polygon([self.at(point) for point in points], fill=colour)

    def box(self, left: float, bottom: float, right: float, top: float, colour: Colour) -> None:
        """A filled rectangle."""
        self.shape([(left, bottom), (right, bottom), (right, top), (left, top)], colour)

    def person(
        self,
        hip: Point = (0.0, 0.47),
        lean: float = 0.0,
        hands: tuple[Point, Point] = ((0.04, 0.46), (-0.04, 0.46)),
        feet: tuple[Point, Point] = ((0.06, 0.02), (-0.06, 0.02)),
        elbows: tuple[float, float] = (-1.0, -1.0),
        knees: tuple[float, float] = (1.0, 1.0),
        look: Look | None = None,
        shift: float = 0.0,
        turned: bool = False,
        dress: bool = False,
        nod: float = 0.0,
    ) -> None:
        """A person; pairs are (far, near). Hands and feet are reached for, elbows and knees follow. `lean` in degrees, forward."""
        look = look or self.look
        Body(self, look, shift, -1.0 if turned else 1.0).draw(hip, lean, hands, feet, elbows, knees, dress, nod)


@dataclass(frozen=True)
class Body:
    """A person standing at `shift`, facing `way` (1 right, -1 left)."""

    stage: Stage
    look: Look
    shift: float
    way: float

    def draw(
        self,
        hip: Point,
        lean: float,
        hands: tuple[Point, Point],
        feet: tuple[Point, Point],
        elbows: tuple[float, float],
        knees: tuple[float, float],
        dress: bool,
        nod: float,
    ) -> None:
        """Draw far limbs, trunk, head and near arm, in this order."""
        tilt, look = math.radians(lean), self.look
        up = math.sin(tilt), math.cos(tilt)
        neck = hip[0] + 0.30 * up[0], hip[1] + 0.30 * up[1]
        shoulder = hip[0] + 0.275 * up[0], hip[1] + 0.275 * up[1]
        self._arm(shoulder, hands[0], elbows[0], 0.72)
        self._leg(hip, feet[0], knees[0], 0.72)
        self._leg(hip, feet[1], knees[1], 1.0)
        self._line([hip, shoulder], 0.135 * look.build, look.shirt)
        self._line([(hip[0] - 0.02 * up[0], hip[1] - 0.02 * up[1]), hip], 0.128 * look.build, look.shirt if dress else look.trousers)
        if dress:
            sway = 0.17 * look.build
            self._shape(
                [(hip[0] - 0.05, hip[1] + 0.08), (hip[0] + 0.05, hip[1] + 0.08), (hip[0] + sway, 0.2), (hip[0] - sway, 0.2)], look.shirt
            )
        self._head(neck, tilt + math.radians(nod))
        self._arm(shoulder, hands[1], elbows[1], 1.12)

    def _place(self, point: Point) -> Point:
        return self.shift + self.way * point[0], point[1]

    def _line(self, points: Points, width: float, colour: Colour) -> None:
        self.stage.line([self._place(point) for point in points], width, colour)

    def _shape(self, points: Points, colour: Colour) -> None:
        self.stage.shape([self._place(point) for point in points], colour)

    def _arm(self, shoulder: Point, hand: Point, side: float, light: float) -> None:
        elbow, wrist = _bend(shoulder, hand, 0.17, 0.165, side)
        sleeve, skin = _shade(self.look.shirt, light), _shade(self.look.skin, min(light, 1.0))
        self._line([elbow, wrist], 0.043 * self.look.build, skin if self.look.short_sleeves else sleeve)
        self._line([shoulder, elbow], 0.055 * self.look.build, sleeve)
        self.stage.disc(self._place(wrist), 0.029, skin)

    def _leg(self, hip: Point, foot: Point, side: float, light: float) -> None:
        knee, ankle = _bend(hip, foot, 0.235, 0.235, side)
        colour = _shade(self.look.trousers, light)
        self._line([hip, knee, ankle], 0.072 * self.look.build, colour)
        # the shoe stands off the shin, forward
        down = math.atan2(ankle[1] - knee[1], ankle[0] - knee[0]) + math.pi / 2.2
        toe = ankle[0] + 0.075 * math.cos(down), ankle[1] + 0.075 * math.sin(down)
        self._line([ankle, toe], 0.045, _shade(self.look.shoes, light))

    def _head(self, neck: Point, tilt: float) -> None:
        up, ahead = (math.sin(tilt), math.cos(tilt)), (math.cos(tilt), -math.sin(tilt))

        def spot(forward: float, height: float) -> Point:
            return neck[0] + forward * ahead[0] + height * up[0], neck[1] + forward * ahead[1] + height * up[1]

        self._line([neck, spot(0.0, 0.05)], 0.05, _shade(self.look.skin, 0.85))
        if self.look.long_hair:
            self._line([spot(-0.03, 0.12), spot(-0.06, -0.02)], 0.06, self.look.hair)
        self.stage.disc(self._place(spot(-0.012, 0.112)), 0.078, self.look.hair)
        self.stage.disc(self._place(spot(0.014, 0.098)), 0.066, self.look.skin)
        self.stage.disc(self._place(spot(0.045, 0.11)), 0.01, DARK)


# ---- props that several scenes share


def _ball(s: Stage, centre: Point, radius: float, colour: Colour) -> None:
    s.disc(centre, radius, _shade(colour, 0.6))
    s.disc((centre[0] - 0.005, centre[1] + 0.005), radius * 0.88, colour)


def _table(s: Stage, left: float, right: float, top: float, colour: Colour) -> None:
    for x in (left + 0.03, right - 0.03):
        s.line([(x, 0.0), (x, top)], 0.03, _shade(colour, 0.7))
    s.box(left, top - 0.04, right, top, colour)


def _chair(s: Stage, x: float, seat: float, colour: Colour) -> None:
    s.line([(x - 0.1, 0.0), (x - 0.1, seat + 0.3)], 0.03, colour)
    s.line([(x + 0.12, 0.0), (x + 0.12, seat)], 0.03, colour)
    s.line([(x - 0.1, seat), (x + 0.13, seat)], 0.04, colour)


def _bike(s: Stage, turn: float, colour: Colour) -> None:
    for x in (-0.34, 0.34):
        s.ring((x, 0.2), 0.2, 0.022, DARK)
        for spoke in range(3):
            s.line([_turn(turn + spoke / 6, 0.19, (x, 0.2)), _turn(turn + spoke / 6 + 0.5, 0.19, (x, 0.2))], 0.005, METAL)
    s.line([(-0.34, 0.2), (-0.12, 0.48), (0.24, 0.46), (0.0, 0.2), (-0.34, 0.2)], 0.026, colour)
    s.line([(-0.12, 0.48), (0.0, 0.2)], 0.026, colour)
    s.line([(0.34, 0.2), (0.22, 0.58), (0.3, 0.6)], 0.026, colour)
    s.line([(-0.19, 0.535), (-0.07, 0.53)], 0.04, DARK)


def _water(s: Stage, level: float, front: bool = False) -> None:
    """Water up to `level`; with `front` only down from there, over what is already drawn, else a band with a bank before it."""
    width, height = s.size
    top = s.at((0.0, level))[1]
    colour = _hsv(s.video.uniform(0.42, 0.66), s.video.uniform(0.15, 0.7), s.video.uniform(0.4, 0.9))
    bottom = height if front else s.at((0.0, 0.02))[1]
    s.draw.rectangle((0, top, width, bottom), fill=colour)
    for _ in range(26):
        x, y, long = s.frame.uniform(0, width), s.frame.uniform(top, bottom), s.frame.uniform(0.05, 0.2) * s.scale
        s.draw.arc((x, y, x + long, y + long * 0.35), 200, 340, fill=_shade(colour, s.frame.choice((0.8, 1.2, 1.3))), width=3)


def _snow(s: Stage) -> None:
    width, height = s.size
    s.draw.rectangle((0, s.horizon, width, height), fill=_hsv(0.58, s.video.uniform(0.0, 0.15), s.video.uniform(0.75, 0.97)))


def _net(s: Stage, x: float, top: float) -> None:
    s.line([(x, 0.0), (x, top)], 0.025, METAL)
    for step in range(7):
        s.line([(x, top - 0.05 * step), (x + 0.5, top - 0.05 * step + 0.03)], 0.006, WHITE)
        s.line([(x + 0.08 * step, top), (x + 0.08 * step, top - 0.3)], 0.006, WHITE)


# ---- the scenes; each draws one variant of one activity


def _football(s: Stage) -> None:
    swing = 0.5 + 0.5 * _wave(s.phase)
    ball = (0.28 + 0.35 * swing, 0.06 + 0.15 * swing)
    s.person(lean=-6, hands=((-0.22, 0.62), (0.24, 0.66)), feet=((-0.05, 0.02), (0.16 + 0.16 * swing, 0.08 + 0.12 * swing)))
    _ball(s, ball, 0.06, WHITE)
    for spot in ((-0.02, 0.0), (0.025, 0.02), (0.0, -0.03)):
        s.disc((ball[0] + spot[0], ball[1] + spot[1]), 0.016, DARK)


def _basketball(s: Stage) -> None:
    jump, x = 0.08 + 0.08 * _wave(s.phase), 0.72
    s.line([(x + 0.12, 0.0), (x + 0.12, 1.3)], 0.035, METAL)
    s.box(x + 0.04, 1.05, x + 0.08, 1.42, WHITE)
    s.ring((x - 0.06, 1.12), 0.1, 0.018, (222, 90, 40), flat=0.35)
    s.person(hip=(0.0, 0.5 + jump), lean=6, hands=((0.16, 1.06 + jump), (0.2, 1.04 + jump)), feet=((-0.12, 0.05 + jump), (-0.02, jump)))
    _ball(s, (0.21, 1.13 + jump), 0.08, (226, 118, 44))


def _tennis(s: Stage) -> None:
    swing = 0.12 * _wave(s.phase)
    hand = (0.24, 0.72 + swing)
    head = (hand[0] + 0.22, hand[1] + 0.14 + swing)
    s.line([hand, head], 0.02, DARK)
    s.disc(head, 0.1, (226, 226, 210))
    s.ring(head, 0.1, 0.02, s.paint[0])
    for step in (-0.05, 0.0, 0.05):
        s.line([(head[0] + step, head[1] - 0.08), (head[0] + step, head[1] + 0.08)], 0.005, METAL)
        s.line([(head[0] - 0.08, head[1] + step), (head[0] + 0.08, head[1] + step)], 0.005, METAL)
    s.person(hip=(0.0, 0.43), lean=14, hands=((-0.1, 0.7), hand), feet=((0.17, 0.02), (-0.19, 0.02)))
    _ball(s, (head[0] + 0.28, head[1] + 0.05 - swing), 0.032, (214, 232, 60))


def _volleyball(s: Stage) -> None:
    jump = 0.1 + 0.06 * _wave(s.phase)
    _net(s, 0.42, 1.0)
    s.person(
        hip=(0.0, 0.5 + jump), lean=4, hands=((-0.05, 1.08 + jump), (0.16, 1.1 + jump)), feet=((-0.16, 0.12 + jump), (-0.06, 0.04 + jump))
    )
    _ball(s, (0.28, 1.22 + jump), 0.075, (236, 224, 170))


def _sofa(s: Stage) -> None:
    cloth, rise = s.paint[0], 0.008 * _wave(s.phase)
    s.box(-0.66, 0.06, 0.66, 0.26, _shade(cloth, 0.8))
    s.box(-0.7, 0.06, -0.56, 0.44, cloth)
    s.box(0.56, 0.06, 0.7, 0.44, cloth)
    s.box(-0.6, 0.26, 0.6, 0.56, _shade(cloth, 0.65))
    s.disc((0.48, 0.36), 0.1, WHITE, flat=0.6)
    s.person(hip=(-0.02, 0.33 + rise), lean=84, hands=((0.05, 0.4), (0.06, 0.42 + rise)), feet=((-0.46, 0.31), (-0.47, 0.34)), nod=-14)


def _talk(s: Stage) -> None:
    wave = 0.05 * _wave(s.phase)
    other = Look.chosen(s.video)
    s.person(shift=0.3, turned=True, look=other, hands=((0.12, 0.55), (0.04, 0.46 - wave)))
    s.person(shift=-0.22, hands=((0.05, 0.46), (0.2, 0.66 + wave)), feet=((0.05, 0.02), (-0.05, 0.02)))


def _car(s: Stage) -> None:
    paint = s.paint[0]
    s.shape([(-0.85, 0.14), (-0.85, 0.36), (-0.62, 0.4), (-0.45, 0.6), (0.2, 0.6), (0.42, 0.4), (0.75, 0.36), (0.78, 0.14)], paint)
    s.shape([(-0.5, 0.4), (-0.4, 0.55), (-0.14, 0.55), (-0.14, 0.4)], (176, 206, 220))
    s.shape([(-0.08, 0.4), (-0.08, 0.55), (0.16, 0.55), (0.3, 0.4)], (176, 206, 220))
    for x in (-0.52, 0.45):
        s.disc((x, 0.13), 0.13, DARK)
        s.disc((x, 0.13), 0.06, METAL)
    s.person(shift=0.02, hands=((0.16, 0.5), (0.2, 0.56 + 0.05 * _wave(s.phase))))


def _desk(s: Stage) -> None:
    tap = 0.015 * _wave(2 * s.phase)
    _chair(s, -0.2, 0.3, DARK)
    s.person(hip=(-0.16, 0.36), lean=8, hands=((0.14, 0.46 - tap), (0.13, 0.46 + tap)), feet=((0.13, 0.02), (0.09, 0.02)))
    _table(s, 0.02, 0.74, 0.43, WOOD)
    s.box(0.3, 0.5, 0.36, 0.78, DARK)
    s.line([(0.36, 0.5), (0.4, 0.44)], 0.03, DARK)
    s.box(0.1, 0.43, 0.24, 0.45, METAL)
    s.box(0.5, 0.43, 0.68, 0.43 + s.video.uniform(0.05, 0.18), WHITE)


def _bench(s: Stage) -> None:
    rise = 0.5 + 0.5 * _wave(s.phase)
    hand = (0.2, 0.6 + 0.2 * rise)
    _table(s, 0.16, 0.86, 0.4, WOOD)
    s.box(0.42, 0.4, 0.7, 0.47, METAL)
    s.person(lean=12, hands=((0.34, 0.47), hand), feet=((0.07, 0.02), (-0.1, 0.02)))
    s.shape([(-0.0, 0.72), (0.1, 0.72), (0.13, 0.25), (-0.04, 0.25)], s.paint[1])  # apron
    s.line([hand, (hand[0] + 0.17, hand[1] + 0.08)], 0.02, WOOD)
    s.box(hand[0] + 0.14, hand[1] + 0.02, hand[0] + 0.21, hand[1] + 0.15, DARK)


def _blackboard(s: Stage) -> None:
    s.box(0.08, 0.52, 0.98, 1.12, WOOD)
    s.box(0.11, 0.55, 0.95, 1.09, (44, 74, 62))
    for row in range(4):
        s.line([(0.3, 1.0 - 0.1 * row), (s.video.uniform(0.5, 0.9), 1.0 - 0.1 * row)], 0.012, WHITE)
    s.person(hands=((0.02, 0.46), (0.26, 0.84 + 0.08 * _wave(s.phase))))


def _carrying(s: Stage) -> None:
    step = _stride(s.phase, 0.13, 0.04)
    for x, y in ((0.55, 0.0), (0.55, 0.2), (0.78, 0.0)):
        s.box(x, y, x + 0.21, y + 0.19, (186, 146, 98))
        s.line([(x + 0.1, y), (x + 0.1, y + 0.19)], 0.02, (220, 196, 150))
    s.person(lean=-7, hands=((0.28, 0.52), (0.26, 0.5)), feet=step)
    s.box(0.08, 0.49, 0.36, 0.74, (190, 150, 100))
    s.line([(0.22, 0.49), (0.22, 0.74)], 0.025, (224, 200, 150))
    s.disc((0.24, 0.5), 0.03, s.look.skin)


def _swimming(s: Stage) -> None:
    _water(s, 0.62)
    arm = _turn(s.phase, 0.3, (0.3, 0.33))
    s.person(hip=(0.0, 0.24), lean=84, hands=(_turn(s.phase + 0.5, 0.3, (0.3, 0.33)), arm), feet=((-0.45, 0.24), (-0.46, 0.18)), nod=-40)
    _water(s, 0.25, front=True)
    for _ in range(9):
        s.disc((s.frame.gauss(0.2, 0.3), 0.25 + s.frame.uniform(0.0, 0.12)), 0.015, WHITE)


def _surfing(s: Stage) -> None:
    tilt, balance = 0.05 * _wave(s.phase), 0.06 * _wave(s.phase)
    _water(s, 0.45)
    s.shape([(-0.9, -0.2), (-0.85, 0.25), (-0.6, 0.55), (-0.45, 0.5), (-0.6, 0.3), (-0.4, 0.05), (0.9, -0.2)], (150, 196, 210))
    s.person(
        hip=(-0.02, 0.34), lean=18, hands=((0.34, 0.66 + balance), (-0.3, 0.62 - balance)), feet=((0.18, 0.07 + tilt), (-0.2, 0.06 - tilt))
    )
    s.line([(-0.42, 0.04 - tilt), (0.38, 0.05 + tilt), (0.48, 0.09 + tilt)], 0.05, s.paint[0])
    _water(s, 0.03, front=True)
    for _ in range(14):
        s.disc((s.frame.gauss(-0.4, 0.2), 0.04 + s.frame.uniform(0.0, 0.2)), 0.02, WHITE)


def _kayak(s: Stage) -> None:
    stroke = _wave(s.phase)
    _water(s, 0.55)
    low, high = (-0.3 + 0.2 * stroke, 0.22 - 0.16 * stroke), (0.42 - 0.1 * stroke, 0.22 + 0.3 * stroke)
    s.person(
        hip=(-0.04, 0.16), lean=10, hands=((0.22, 0.34 + 0.12 * stroke), (0.02, 0.34 - 0.06 * stroke)), feet=((0.3, 0.14), (0.3, 0.14))
    )
    s.shape([(-0.62, 0.16), (0.7, 0.18), (0.5, 0.04), (-0.45, 0.03)], s.paint[0])
    s.line([low, high], 0.018, DARK)
    s.disc(low, 0.065, s.paint[1], flat=0.6)
    s.disc(high, 0.065, s.paint[1], flat=0.6)
    _water(s, 0.06, front=True)


def _cooking(s: Stage) -> None:
    stir = 0.04 * _wave(s.phase)
    s.box(0.16, 0.0, 0.86, 0.44, WHITE)
    s.box(0.2, 0.06, 0.5, 0.32, DARK)
    for knob in range(4):
        s.disc((0.56 + 0.08 * knob, 0.38), 0.02, DARK)
    s.box(0.28, 0.44, 0.5, 0.58, METAL)
    for puff in range(4):
        s.disc((0.38 + 0.04 * _wave(s.phase + puff / 4), 0.64 + 0.1 * puff), 0.03 + 0.008 * puff, (214, 214, 216))
    hand = (0.24 + stir, 0.68)
    s.person(lean=5, hands=((0.26, 0.56), hand))
    s.line([hand, (0.38 + stir, 0.54)], 0.015, WOOD)


def _vacuuming(s: Stage) -> None:
    reach = 0.07 * _wave(s.phase)
    hand = (0.22 + reach, 0.52)
    s.disc((-0.36, 0.09), 0.12, s.paint[0], flat=0.75)
    s.disc((-0.42, 0.03), 0.04, DARK)
    s.line([(-0.28, 0.12), (-0.16, 0.32), (0.02, 0.28), hand], 0.025, DARK)
    s.person(lean=16, hands=((0.16 + reach, 0.5), hand), feet=((0.12, 0.02), (-0.12, 0.02)))
    s.line([hand, (0.52 + reach, 0.04)], 0.022, METAL)
    s.line([(0.44 + reach, 0.025), (0.66 + reach, 0.025)], 0.05, DARK)


def _ironing(s: Stage) -> None:
    hand = (0.26 + 0.08 * _wave(s.phase), 0.5)
    s.line([(0.18, 0.0), (0.66, 0.43)], 0.02, METAL)
    s.line([(0.66, 0.0), (0.18, 0.43)], 0.02, METAL)
    s.line([(0.08, 0.43), (0.82, 0.43)], 0.045, s.paint[1])
    s.shape([(0.46, 0.45), (0.72, 0.45), (0.76, 0.26), (0.52, 0.28)], s.paint[2])
    s.shape([(hand[0] - 0.08, 0.45), (hand[0] + 0.12, 0.45), (hand[0] + 0.02, 0.52), (hand[0] - 0.08, 0.53)], s.paint[0])
    s.person(lean=10, hands=((0.2, 0.46), (hand[0], hand[1] + 0.05)))


def _raking(s: Stage) -> None:
    pull = 0.1 * _wave(s.phase)
    tip = (0.58 + pull, 0.03)
    for _ in range(30):
        s.disc(
            (s.video.gauss(0.55, 0.2), abs(s.video.gauss(0.0, 0.035))),
            0.02,
            _hsv(s.video.uniform(0.02, 0.16), 0.8, s.video.uniform(0.4, 0.85)),
        )
    near = (0.1 + pull / 2, 0.6)
    s.line([(-0.06 + pull / 2, 0.74), tip], 0.02, WOOD)
    for tooth in range(5):
        s.line([(tip[0] - 0.08 + 0.04 * tooth, 0.08), (tip[0] - 0.1 + 0.05 * tooth, 0.0)], 0.01, DARK)
    s.line([(tip[0] - 0.09, 0.08), (tip[0] + 0.09, 0.08)], 0.02, DARK)
    s.person(lean=10, hands=((0.26 + pull / 2, 0.42), near), feet=((0.12, 0.02), (-0.12, 0.02)))


def _mowing(s: Stage) -> None:
    for tuft in range(26):
        x = -1.0 + 0.08 * tuft
        s.line([(x, 0.0), (x + s.video.uniform(-0.02, 0.02), 0.05 if x < 0.5 else 0.13)], 0.012, _hsv(0.3, 0.7, s.video.uniform(0.3, 0.6)))
    s.line([(0.24, 0.5), (0.5, 0.14)], 0.025, METAL)
    s.person(lean=12, hands=((0.25, 0.5), (0.24, 0.5)), feet=_stride(s.phase, 0.13, 0.05))
    s.shape([(0.4, 0.06), (0.84, 0.06), (0.8, 0.18), (0.44, 0.18)], s.paint[0])
    s.box(0.54, 0.18, 0.7, 0.27, DARK)
    for x in (0.46, 0.78):
        s.disc((x, 0.06), 0.065, DARK)
        s.disc((x, 0.06), 0.03, METAL)


def _digging(s: Stage) -> None:
    push = 0.04 * _wave(s.phase)
    tip = (0.36, -0.02 + push)
    s.disc((0.66, 0.0), 0.2, (96, 68, 46), flat=0.55)
    s.disc((0.42, -0.02), 0.12, (62, 44, 32), flat=0.35)
    s.person(hip=(0.0, 0.46), lean=24, hands=((0.27, 0.36 + push), (0.18, 0.62 + push)), feet=((0.32, 0.12 + push), (-0.1, 0.02)))
    s.line([(0.16, 0.68 + push), (0.32, 0.16 + push)], 0.02, WOOD)
    s.shape([(0.26, 0.18 + push), (0.38, 0.21 + push), tip, (0.3, 0.02 + push)], METAL)


def _skiing(s: Stage) -> None:
    _snow(s)
    step = 0.16 * _wave(s.phase)
    feet = ((step, 0.04), (-step, 0.04))
    hands = ((0.14 - step, 0.6), (0.14 + step, 0.6))
    s.person(hip=(0.0, 0.44), lean=20, hands=hands, feet=feet)
    for (x, y), (hand_x, hand_y) in zip(feet, hands, strict=True):
        s.line([(x - 0.3, y - 0.03), (x + 0.34, y - 0.03), (x + 0.42, y + 0.03)], 0.022, s.paint[0])
        s.line([(hand_x + 0.02, hand_y + 0.05), (hand_x - 0.2, 0.0)], 0.012, DARK)
        s.disc((hand_x - 0.19, 0.05), 0.025, DARK, flat=0.4)


def _downhill(s: Stage) -> None:
    _snow(s)
    drop = 0.02 * _wave(s.phase)
    s.shape([(-1.6, 0.46), (1.6, -0.56), (1.6, -2.0), (-1.6, -2.0)], (226, 232, 240))
    s.person(hip=(-0.1, 0.34 + drop), lean=52, hands=((0.22, 0.42), (0.2, 0.4)), feet=((0.0, -0.01), (-0.03, 0.02)), nod=-30)
    s.disc((0.2, 0.66 + drop), 0.082, s.paint[1])
    s.line([(0.2, 0.42), (-0.36, 0.34)], 0.012, DARK)
    for shift in (0.0, 0.05):
        s.line([(-0.38 + shift, 0.09 - shift), (0.34 + shift, -0.14 - shift), (0.42 + shift, -0.12 - shift)], 0.02, s.paint[0])
    for _ in range(12):
        s.disc((s.frame.gauss(-0.42, 0.1), s.frame.uniform(0.06, 0.26)), 0.018, WHITE)


def _barbell(s: Stage) -> None:
    rise = 0.5 + 0.5 * _wave(s.phase)
    height, hip = 0.98 + 0.12 * rise, 0.4 + 0.06 * rise
    s.line([(-0.46, height), (0.46, height)], 0.02, METAL)
    s.person(
        hip=(0.0, hip), hands=((-0.17, height), (0.17, height)), feet=((-0.16, 0.02), (0.16, 0.02)), elbows=(1.0, -1.0), knees=(-1.0, 1.0)
    )
    for x in (-0.44, -0.37, 0.37, 0.44):
        s.line([(x, height - 0.13), (x, height + 0.13)], 0.045, s.paint[0] if abs(x) < 0.4 else DARK)


def _pushups(s: Stage) -> None:
    rise = 0.5 + 0.5 * _wave(s.phase)
    s.line([(-0.62, 0.0), (0.5, 0.0)], 0.035, s.paint[0])
    hip = (0.0, 0.13 + 0.08 * rise)
    s.person(hip=hip, lean=78 - 8 * rise, hands=((0.28, 0.03), (0.3, 0.02)), feet=((-0.45, 0.05), (-0.46, 0.04)), nod=-20)


def _situps(s: Stage) -> None:
    rise = 0.5 + 0.5 * _wave(s.phase)
    s.line([(-0.6, 0.0), (0.62, 0.0)], 0.035, s.paint[0])
    tilt = math.radians(-78 + 60 * rise)
    ear = (0.36 * math.sin(tilt), 0.07 + 0.36 * math.cos(tilt))
    s.person(hip=(0.0, 0.08), lean=-78 + 60 * rise, hands=(ear, ear), feet=((0.34, 0.03), (0.3, 0.03)), elbows=(1.0, 1.0))


def _skipping(s: Stage) -> None:
    jump = 0.06 + 0.05 * _wave(s.phase)
    hands = ((-0.24, 0.56 + jump), (0.24, 0.56 + jump))
    s.person(hip=(0.0, 0.47 + jump), hands=hands, feet=((-0.03, 0.02 + jump), (0.05, 0.02 + jump)), elbows=(1.0, -1.0))
    reach = 0.56 * math.cos(2 * math.pi * s.phase) + 0.02
    rope = [(0.24 * math.cos(k / 12 * math.pi) * (1 + 0.5 * _wave(k / 24)), 0.56 + jump + 1.1 * reach * _wave(k / 24)) for k in range(13)]
    s.line(rope, 0.014, s.paint[0])


def _riding(s: Stage) -> None:
    _cyclist(s, lean=20, bar=(0.27, 0.62))


def _racing(s: Stage) -> None:
    _cyclist(s, lean=52, bar=(0.3, 0.56))
    s.line([(0.13, 0.935), (0.225, 0.895)], 0.075, s.paint[1])  # helmet


def _cyclist(s: Stage, lean: float, bar: Point) -> None:
    far, near = _turn(-s.phase, 0.085, (0.0, 0.2)), _turn(0.5 - s.phase, 0.085, (0.0, 0.2))
    _bike(s, -s.phase, s.paint[0])
    s.person(hip=(-0.12, 0.58), lean=lean, hands=(bar, bar), feet=(far, near), nod=-lean / 2)
    s.line([(0.0, 0.2), near], 0.02, METAL)


def _angling(s: Stage) -> None:
    lift = 0.1 * _wave(s.phase)
    _water(s, 0.3)
    tip = (0.86, 0.98 + lift)
    s.person(lean=-4, hands=((0.26, 0.62 + lift / 3), (0.16, 0.54)), feet=((0.08, 0.02), (-0.07, 0.02)))
    s.line([(0.1, 0.5), (0.28, 0.63 + lift / 3), tip], 0.016, WOOD)
    s.line([tip, (0.98, 0.1)], 0.006, WHITE)
    s.disc((0.98, 0.1), 0.026, (220, 50, 40))
    s.disc((-0.36, 0.07), 0.075, s.paint[0])


def _seated_angling(s: Stage) -> None:
    lift = 0.08 * _wave(s.phase)
    _water(s, 0.26)
    tip = (0.9, 0.78 + lift)
    s.box(-0.26, 0.0, -0.04, 0.24, s.paint[0])
    s.person(hip=(-0.14, 0.3), lean=8, hands=((0.16, 0.46), (0.08, 0.42)), feet=((0.14, 0.02), (0.1, 0.02)))
    s.line([(0.02, 0.38), (0.16, 0.46), tip], 0.016, WOOD)
    s.line([tip, (0.98, 0.06)], 0.006, WHITE)
    s.disc((0.98, 0.07), 0.026, (220, 50, 40))


def _hunting(s: Stage) -> None:
    aim = 0.05 * _wave(s.phase)
    s.person(lean=6, hands=((0.32, 0.78 + aim), (0.14, 0.74)), feet=((0.13, 0.02), (-0.13, 0.02)))
    s.line([(0.02, 0.76), (0.18, 0.78)], 0.045, WOOD)
    s.line([(0.16, 0.785), (0.66, 0.83 + 2 * aim)], 0.02, DARK)
    s.line([(0.0, 0.97), (0.14, 0.96)], 0.03, _shade(s.look.hair, 0.8))


def _lights(s: Stage) -> None:
    for lamp in range(9):
        x = -1.0 + 0.25 * lamp
        s.disc((x, 1.16 - 0.12 * _wave(lamp / 4 + 0.1) ** 2), 0.035, _hsv(lamp / 9 + s.phase, 0.8, 0.95))


def _party(s: Stage) -> None:
    sway = 0.07 * _wave(s.phase)
    _lights(s)
    s.person(
        hip=(sway, 0.45),
        lean=-60 * sway,
        hands=((-0.2 + sway, 1.02), (0.24 + sway, 0.96 + sway)),
        feet=((-0.12, 0.02), (0.14, 0.05 + abs(sway))),
        elbows=(1.0, -1.0),
        dress=s.look.long_hair,
    )


def _ballroom(s: Stage) -> None:
    sway = 0.03 * _wave(s.phase)
    other = Look.chosen(s.video)
    feet = ((0.1 + sway, 0.02), (-0.1, 0.03 + abs(sway)))
    _lights(s)
    s.person(shift=0.17, turned=True, look=other, lean=-4, hands=((0.2, 0.62), (0.16 + sway, 1.03)), feet=feet, dress=True)
    s.person(shift=-0.17, lean=-2 + 100 * sway, hands=((0.28, 0.6), (0.17 - sway, 1.02)), feet=feet)


def _ballet(s: Stage) -> None:
    lift = 0.08 * _wave(s.phase)
    s.person(
        hip=(0.0, 0.5),
        lean=10,
        hands=((0.3, 0.92 + lift), (-0.28, 0.84 - lift)),
        feet=((0.02, 0.05), (-0.42, 0.6 + lift)),
        knees=(1.0, -1.0),
    )
    s.shape([(-0.04, 0.58), (0.06, 0.57), (0.2, 0.42), (0.02, 0.38), (-0.22, 0.48)], _shade(s.look.shirt, 1.2))


def _stride(phase: float, length: float, lift: float) -> tuple[Point, Point]:
    def foot(turn: float) -> Point:
        return length * math.cos(2 * math.pi * turn), 0.02 + lift * max(0.0, _wave(turn))

    return foot(phase), foot(phase + 0.5)


def _walk(s: Stage, lean: float = 4.0, hands: tuple[Point, Point] | None = None) -> None:
    swing = 0.13 * math.cos(2 * math.pi * s.phase)
    s.person(hip=(0.0, 0.46), lean=lean, hands=hands or ((0.06 - swing, 0.48), (0.06 + swing, 0.48)), feet=_stride(s.phase, 0.17, 0.07))


def _strolling(s: Stage) -> None:
    _walk(s)


def _hiking(s: Stage) -> None:
    s.box(-0.24, 0.54, -0.04, 0.84, s.paint[0])
    hand = (0.22 + 0.04 * _wave(s.phase), 0.6)
    _walk(s, 8, ((0.02, 0.5), hand))
    s.line([(hand[0], 0.68), (hand[0] + 0.04, 0.0)], 0.016, WOOD)


def _dog_walking(s: Stage) -> None:
    trot = _stride(2 * s.phase, 0.05, 0.03)
    s.line([(0.18, 0.5), (0.42, 0.26)], 0.01, DARK)
    for x in (0.4, 0.6):
        for foot in trot:
            s.line([(x, 0.18), (x + foot[0], foot[1])], 0.03, _shade(s.look.hair, 1.3))
    s.line([(0.39, 0.2), (0.61, 0.2)], 0.1, _shade(s.look.hair, 1.4))
    s.line([(0.66, 0.29), (0.74, 0.27)], 0.075, _shade(s.look.hair, 1.4))
    s.line([(0.38, 0.22), (0.3, 0.32)], 0.025, _shade(s.look.hair, 1.4))
    _walk(s, 2, ((-0.04, 0.48), (0.18, 0.52)))


def _running(s: Stage) -> None:
    swing = math.cos(2 * math.pi * s.phase)
    hands = ((0.2 - 0.14 * swing, 0.68 - 0.06 * swing), (0.2 + 0.14 * swing, 0.68 + 0.06 * swing))
    far, near = _stride(s.phase, 0.3, 0.26)
    feet = ((far[0] - 0.06, far[1] + 0.04), (near[0] - 0.06, near[1] + 0.04))
    s.person(hip=(0.0, 0.47 + 0.03 * abs(swing)), lean=16, hands=hands, feet=feet, nod=-8)
    s.box(0.0, 0.6, 0.1, 0.7, WHITE)  # the start number
    s.line([(0.03, 0.65), (0.07, 0.65)], 0.015, DARK)


def _painting(s: Stage) -> None:
    hand = (0.34, 1.02 + 0.09 * _wave(s.phase))
    s.box(0.42, 0.74, 0.72, 1.3, s.paint[0])
    _ladder(s)
    s.person(hip=(0.02, 0.72), lean=6, hands=((0.2, 0.86), hand), feet=((0.12, 0.27), (0.04, 0.27)))
    s.line([hand, (hand[0] + 0.08, hand[1] + 0.03)], 0.02, WOOD)
    s.line([(hand[0] + 0.1, hand[1] - 0.05), (hand[0] + 0.1, hand[1] + 0.11)], 0.05, _shade(s.paint[0], 0.8))


def _ladder(s: Stage) -> None:
    for foot, top in ((-0.16, 0.1), (0.08, 0.3)):
        s.line([(foot, 0.0), (top, 1.1)], 0.028, METAL)
    for rung in range(1, 8):
        height = 0.14 * rung
        s.line([(-0.16 + 0.236 * height, height), (0.08 + 0.2 * height, height)], 0.022, METAL)


def _hammering(s: Stage) -> None:
    swing = 0.5 + 0.5 * _wave(s.phase)
    hand = (0.26 - 0.12 * swing, 0.78 + 0.12 * swing)
    for plank in range(4):
        s.box(0.44, 0.1 + 0.25 * plank, 1.1, 0.33 + 0.25 * plank, _shade(WOOD, 1.15 if plank % 2 else 1.0))
    s.person(hands=((0.36, 0.7), hand), feet=((0.1, 0.02), (-0.08, 0.02)))
    s.line([hand, (hand[0] + 0.14, hand[1] + 0.12)], 0.02, WOOD)
    s.line([(hand[0] + 0.11, hand[1] + 0.17), (hand[0] + 0.18, hand[1] + 0.08)], 0.045, DARK)


def _sawing(s: Stage) -> None:
    pull = 0.08 * _wave(s.phase)
    hand = (0.2 + pull, 0.5)
    for x in (0.34, 0.84):
        s.line([(x - 0.1, 0.0), (x, 0.3), (x + 0.1, 0.0)], 0.03, WOOD)
    s.line([(0.22, 0.33), (0.98, 0.33)], 0.06, (196, 150, 96))
    s.person(lean=26, hands=((0.34, 0.38), hand), feet=((0.16, 0.02), (-0.12, 0.02)))
    s.shape([(hand[0], hand[1] + 0.03), (hand[0] + 0.02, hand[1] - 0.08), (hand[0] + 0.32, hand[1] - 0.24)], METAL)


def _guitar(s: Stage) -> None:
    strum = 0.04 * _wave(s.phase)
    s.person(hands=((0.34, 0.72), (0.02, 0.58)), feet=((0.08, 0.02), (-0.08, 0.02)))
    s.disc((-0.02, 0.54), 0.12, s.paint[0])
    s.disc((0.1, 0.59), 0.09, s.paint[0])
    s.disc((0.05, 0.57), 0.04, DARK)
    s.line([(0.1, 0.59), (0.46, 0.76)], 0.032, WOOD)
    s.line([(0.44, 0.75), (0.52, 0.79)], 0.05, DARK)
    s.line([(0.0, 0.72), (-0.1, 0.62), (0.03, 0.56 + strum)], 0.045, _shade(s.look.shirt, 1.12))
    s.disc((0.03, 0.56 + strum), 0.03, s.look.skin)
    s.disc((0.34, 0.71), 0.03, s.look.skin)


def _piano(s: Stage) -> None:
    tap = 0.02 * _wave(2 * s.phase)
    s.box(0.3, 0.0, 0.76, 0.84, s.paint[0] if sum(s.paint[0]) < 330 else DARK)
    s.box(0.1, 0.36, 0.34, 0.44, DARK)
    s.box(0.11, 0.44, 0.32, 0.465, WHITE)
    s.shape([(0.29, 0.58), (0.33, 0.58), (0.4, 0.8), (0.36, 0.8)], WHITE)
    s.line([(0.14, 0.36), (0.14, 0.0)], 0.03, DARK)
    s.line([(-0.28, 0.27), (-0.04, 0.27)], 0.05, DARK)
    for x in (-0.26, -0.06):
        s.line([(x, 0.27), (x, 0.0)], 0.03, DARK)
    s.person(hip=(-0.16, 0.34), lean=6, hands=((0.2, 0.49 - tap), (0.16, 0.49 + tap)), feet=((0.12, 0.02), (0.08, 0.02)))


def _drums(s: Stage) -> None:
    hit = 0.1 * _wave(s.phase)
    left, right = (0.14, 0.6 + hit), (0.16, 0.62 - hit)
    s.line([(-0.14, 0.0), (-0.14, 0.27)], 0.03, METAL)
    s.line([(-0.22, 0.29), (-0.06, 0.29)], 0.05, DARK)
    s.person(hip=(-0.14, 0.36), lean=4, hands=(left, right), feet=((0.16, 0.02), (0.1, 0.02)))
    s.disc((0.42, 0.19), 0.19, s.paint[0])
    s.disc((0.42, 0.19), 0.15, WHITE)
    s.box(0.14, 0.34, 0.34, 0.46, s.paint[0])
    s.line([(0.14, 0.46), (0.34, 0.46)], 0.02, WHITE)
    s.line([(0.66, 0.0), (0.66, 0.74)], 0.015, METAL)
    s.line([(0.5, 0.7), (0.82, 0.78)], 0.022, (214, 176, 70))
    s.line([left, (left[0] + 0.2, left[1] + 0.02)], 0.014, WOOD)
    s.line([right, (right[0] + 0.2, right[1] - 0.04)], 0.014, WOOD)


Scene = Callable[[Stage], None]
Place = Literal["in", "out", "any"]

SCENES: dict[int, tuple[tuple[Scene, Place], ...]] = {
    0: ((_football, "out"), (_basketball, "any"), (_tennis, "any"), (_volleyball, "any")),
    1: ((_sofa, "in"),),
    2: ((_talk, "any"), (_car, "out")),
    3: ((_desk, "in"), (_bench, "any"), (_blackboard, "in"), (_carrying, "any")),
    4: ((_swimming, "any"), (_surfing, "out"), (_kayak, "out")),
    5: ((_cooking, "in"), (_vacuuming, "in"), (_ironing, "in")),
    6: ((_raking, "out"), (_mowing, "out"), (_digging, "out")),
    8: ((_skiing, "out"), (_downhill, "out")),
    9: ((_barbell, "any"), (_pushups, "any"), (_situps, "any"), (_skipping, "any")),
    10: ((_riding, "any"), (_racing, "out")),
    11: ((_angling, "out"), (_seated_angling, "out"), (_hunting, "out")),
    12: ((_party, "any"), (_ballroom, "any"), (_ballet, "any")),
    13: ((_strolling, "any"), (_hiking, "out"), (_dog_walking, "out")),
    14: ((_running, "any"),),
    16: ((_painting, "any"), (_hammering, "any"), (_sawing, "any")),
    18: ((_guitar, "any"), (_piano, "in"), (_drums, "any")),
}
"""Category -> its variants and where they happen. Rare categories have few: one never seen in training cannot be learnt."""


# ---- backgrounds, chosen without regard to the activity


def _room(s: Stage) -> None:
    (width, height), rng = s.size, s.video
    wall, floor = _pale(rng), _shade(_pale(rng), rng.uniform(0.5, 1.0))
    s.draw.rectangle((0, 0, width, s.horizon), fill=wall)
    s.draw.rectangle((0, s.horizon, width, height), fill=floor)
    stripes = rng.choice((0, 0, 12, 24))
    for stripe in range(stripes):
        s.draw.line((width * stripe / stripes, 0, width * stripe / stripes, s.horizon), fill=_shade(wall, 0.93), width=4)
    for board in range(rng.choice((0, 5, 9))):
        y = s.horizon + (height - s.horizon) * board / 9
        s.draw.line((0, y, width, y), fill=_shade(floor, 0.88), width=2)
    for _ in range(rng.randint(1, 4)):
        x, y, w, h = (
            rng.uniform(-0.1, 0.9) * width,
            rng.uniform(0.02, 0.4) * s.horizon,
            rng.uniform(0.08, 0.3) * width,
            rng.uniform(0.15, 0.5) * s.horizon,
        )
        s.draw.rectangle((x, y, x + w, y + h), fill=rng.choice((_vivid(rng), _pale(rng))), outline=_shade(wall, 0.5), width=4)
        if rng.random() < 0.5:
            s.draw.line((x + w / 2, y, x + w / 2, y + h), fill=_shade(wall, 0.5), width=4)
    for _ in range(rng.randint(0, 3)):
        x, w, h = rng.uniform(-0.1, 1.0) * width, rng.uniform(0.05, 0.22) * width, rng.uniform(0.1, 0.5) * s.horizon
        s.draw.rectangle((x, s.horizon - h, x + w, s.horizon + h * 0.1), fill=_shade(_vivid(rng), 0.8))


def _hall(s: Stage) -> None:
    (width, height), rng = s.size, s.video
    upper, lower, floor = _pale(rng), _pale(rng), _hsv(rng.random(), rng.uniform(0.05, 0.5), rng.uniform(0.3, 0.8))
    s.draw.rectangle((0, 0, width, s.horizon), fill=upper)
    s.draw.rectangle((0, s.horizon * rng.uniform(0.45, 0.75), width, s.horizon), fill=lower)
    s.draw.rectangle((0, s.horizon, width, height), fill=floor)
    columns = rng.randint(2, 5)
    for column in range(columns):
        x = width * (column + rng.uniform(0.2, 0.6)) / columns
        s.draw.rectangle((x, 0, x + width * 0.03, s.horizon), fill=_shade(upper, 0.8))
    for _ in range(3):
        line = (rng.uniform(-0.2, 1.2) * width, s.horizon, rng.uniform(-0.2, 1.2) * width, height)
        s.draw.line(line, fill=_shade(floor, rng.choice((0.75, 1.25))), width=5)


def _sky(s: Stage) -> None:
    (width, _), rng = s.size, s.video
    top = rng.choice((_hsv(rng.uniform(0.52, 0.62), rng.uniform(0.1, 0.6), rng.uniform(0.6, 0.95)), _pale(rng), _hsv(0.08, 0.4, 0.9)))
    bottom = _shade(top, rng.uniform(0.95, 1.25))
    for band in range(8):
        mix = band / 7
        red, green, blue = (round(a * (1 - mix) + b * mix) for a, b in zip(top, bottom, strict=True))
        s.draw.rectangle((0, s.horizon * band / 8, width, s.horizon * (band + 1) / 8), fill=(red, green, blue))
    for _ in range(rng.randint(0, 4)):
        x, y, r = rng.uniform(0, width), rng.uniform(0, s.horizon * 0.5), rng.uniform(0.02, 0.06) * width
        for puff in range(3):
            s.draw.ellipse((x + puff * r, y - r / 2, x + puff * r + 2 * r, y + r / 2), fill=_shade(top, 1.15))


def _ground(s: Stage) -> None:
    """Grass, sand, asphalt, earth or snow: no activity owns one of them."""
    (width, height), rng = s.size, s.video
    hue, saturation, value = rng.choice(
        ((0.28, 0.5, 0.5), (0.22, 0.4, 0.65), (0.11, 0.35, 0.8), (0.6, 0.05, 0.5), (0.07, 0.4, 0.4), (0.58, 0.06, 0.92))
    )
    colour = _hsv(hue + rng.uniform(-0.03, 0.03), saturation * rng.uniform(0.6, 1.2), min(0.97, value * rng.uniform(0.8, 1.15)))
    s.draw.rectangle((0, s.horizon, width, height), fill=colour)
    for _ in range(40):
        x, y, w = rng.uniform(0, width), rng.uniform(s.horizon, height), rng.uniform(4, 30)
        s.draw.line((x, y, x + w, y), fill=_shade(colour, rng.uniform(0.85, 1.15)), width=3)


def _trees(s: Stage, count: int) -> None:
    (width, height), rng = s.size, s.video
    for _ in range(count):
        x, h = rng.uniform(0, width), rng.uniform(0.2, 0.7) * s.horizon
        leaf, base = _hsv(rng.uniform(0.05, 0.42), rng.uniform(0.2, 0.7), rng.uniform(0.25, 0.7)), s.horizon + rng.uniform(0, 0.05) * height
        s.draw.rectangle((x - h * 0.04, base - h * 0.5, x + h * 0.04, base), fill=_shade(WOOD, 0.7))
        if rng.random() < 0.5:
            s.draw.polygon([(x - h * 0.28, base - h * 0.25), (x + h * 0.28, base - h * 0.25), (x, base - h)], fill=leaf)
        else:
            s.draw.ellipse((x - h * 0.3, base - h, x + h * 0.3, base - h * 0.35), fill=leaf)


def _field(s: Stage) -> None:
    (width, _), rng = s.size, s.video
    _sky(s)
    for _ in range(rng.randint(0, 3)):
        x, w, h = rng.uniform(-0.3, 1.0) * width, rng.uniform(0.3, 0.8) * width, rng.uniform(0.15, 0.6) * s.horizon
        slope = _hsv(rng.uniform(0.2, 0.65), rng.uniform(0.1, 0.45), rng.uniform(0.35, 0.85))
        s.draw.polygon([(x, s.horizon), (x + w * rng.uniform(0.3, 0.7), s.horizon - h), (x + w, s.horizon)], fill=slope)
    _ground(s)
    _trees(s, rng.randint(0, 5))


def _street(s: Stage) -> None:
    (width, height), rng = s.size, s.video
    _sky(s)
    _ground(s)
    x = -rng.uniform(0, 0.2) * width
    while x < width:
        w, h, wall = rng.uniform(0.15, 0.35) * width, rng.uniform(0.35, 0.95) * s.horizon, _pale(rng)
        s.draw.rectangle((x, s.horizon - h, x + w, s.horizon), fill=wall)
        for row in range(1, 4):
            for column in range(3):
                left, top = x + w * (0.12 + 0.29 * column), s.horizon - h + h * 0.25 * (row - 0.6)
                s.draw.rectangle((left, top, left + w * 0.16, top + h * 0.13), fill=_shade(wall, 0.6))
        x += w + rng.choice((0.0, 0.1)) * width
    edge = s.horizon + (height - s.horizon) * rng.uniform(0.15, 0.4)
    s.draw.line((0, edge, width, edge), fill=_shade(ROAD, rng.uniform(0.7, 1.6)), width=6)
    _trees(s, rng.randint(0, 2))


def _shore(s: Stage) -> None:
    (width, _), rng = s.size, s.video
    _sky(s)
    _ground(s)
    top = s.horizon * rng.uniform(0.8, 0.95)
    s.draw.rectangle((0, top, width, s.horizon), fill=_hsv(rng.uniform(0.42, 0.66), rng.uniform(0.15, 0.6), rng.uniform(0.4, 0.85)))
    _trees(s, rng.randint(0, 2))


INDOORS, OUTDOORS = (_room, _hall), (_field, _street, _shore)


# ---- a video, frame by frame


@dataclass(frozen=True)
class Frame:
    """What one picture is made from; all frames of a video share everything but `index`."""

    category: int
    seed: int
    index: int


def _plan(rng: random.Random, category: int, pictures: int) -> Iterator[Frame]:
    """Videos of 2 to 5 frames until there are `pictures` of them; a rare category has short ones, so that it has several."""
    longest = 5 if pictures > 30 else 4
    while pictures:
        frames = min(pictures, rng.randint(2, longest))
        if pictures - frames == 1:  # no video of a single frame
            frames += 1 if frames == 2 else -1
        seed = rng.getrandbits(48)
        yield from (Frame(category, seed, index) for index in range(frames))
        pictures -= frames


def draw_frame(plan: Frame) -> Image.Image:
    """Draw one frame, the same for an equal plan."""
    video, frame = random.Random(plan.seed), random.Random(plan.seed * 8 + plan.index + 1)
    scene, place = video.choice(SCENES[plan.category])
    width, height = _size(video)
    canvas = Image.new("RGB", (width * OVER, height * OVER))
    stage = _stage(ImageDraw.Draw(canvas), canvas.size, video, frame, plan.index)
    if place == "any":
        place = "in" if video.random() < 0.5 else "out"
    video.choice(INDOORS if place == "in" else OUTDOORS)(stage)
    scene(stage)
    return _photograph(canvas.reduce(OVER), video, frame)


def _size(rng: random.Random) -> tuple[int, int]:
    long = 8 * rng.randint(24, 40)
    short = round(long / rng.choice((1.25, 4 / 3, 4 / 3, 1.5, 16 / 9)))
    return (short, long) if rng.random() < 0.12 else (long, max(160, short))


def _stage(draw: ImageDraw.ImageDraw, size: tuple[int, int], video: random.Random, frame: random.Random, index: int) -> Stage:
    width, height = size
    reach = min(height / 1.4, width / 1.75)  # body heights that every scene needs on either side of the person
    scale = reach * video.uniform(0.75, 1.04) * frame.uniform(0.98, 1.02)
    ground = height * video.uniform(0.84, 0.95)
    x = width * (0.5 + video.uniform(-0.1, 0.1)) + frame.gauss(0.0, 0.012) * width
    return Stage(
        draw=draw,
        size=size,
        origin=(x, ground + frame.gauss(0.0, 0.006) * height),
        scale=scale,
        side=video.choice((-1, 1)),
        horizon=ground - scale * video.uniform(0.1, 0.4) + frame.gauss(0.0, 2.0),
        phase=video.random() + index * video.uniform(0.13, 0.3),
        video=video,
        frame=frame,
        look=Look.chosen(video),
        paint=[_vivid(video) for _ in range(3)],
    )


def _photograph(picture: Image.Image, video: random.Random, frame: random.Random) -> Image.Image:
    """Uneven light, a colour cast and sensor noise, as a camera adds them."""
    pixels = np.asarray(picture, dtype=np.float32)
    height, width, _ = pixels.shape
    across = np.linspace(video.uniform(0.75, 1.1), video.uniform(0.75, 1.1), width, dtype=np.float32)[None, :, None]
    cast = np.array([video.uniform(0.88, 1.1) for _ in range(3)], dtype=np.float32)
    noise = np.random.default_rng(frame.getrandbits(48)).standard_normal((height, width, 1), dtype=np.float32) * video.uniform(2, 8)
    return Image.fromarray((pixels * across * cast + noise).clip(0, 255).astype(np.uint8))


# ---- the two layouts


def write_course(root: Path, seed: int, counts: dict[int, int] | None = None, tests: int = TESTS) -> None:
    """Write the course's tables and pictures below `root`, with the videos in `video_ids.csv`.

    Args:
        root: an existing folder.
        seed: equal seeds write equal files.
        counts: labelled pictures per category; `COUNTS` when None.
        tests: pictures without an answer.
    """
    rng = random.Random(seed)
    counts = COUNTS if counts is None else counts
    plans = [plan for category, count in counts.items() for plan in _plan(rng, category, count)]
    train = len(plans)
    while len(plans) < train + tests:
        category = rng.choices(list(counts), weights=list(counts.values()))[0]
        plans += list(_plan(rng, category, min(3, train + tests - len(plans))))
    # numbers with gaps, in an order that tells nothing of the category
    numbers = rng.sample(range(10, 20 * len(plans)), len(plans))
    videos = dict(
        zip(dict.fromkeys(plan.seed for plan in plans), rng.sample(range(1, 4 * len(plans)), len({p.seed for p in plans})), strict=True)
    )
    folder = root / COURSE
    parts = ("img_train", "img_test")
    for part in parts:
        (folder / part).mkdir(parents=True)
    drawn = track(zip(plans, numbers, strict=True), "drawing", len(plans), "pictures")
    for position, (plan, number) in enumerate(drawn):
        picture = draw_frame(plan)
        picture.save(folder / parts[position >= train] / f"{number}.jpg", quality=70 + plan.seed % 23)
    rows = sorted(zip(numbers, plans, strict=True), key=lambda row: row[0])
    answers = [(number, plan.category) for number, plan in zip(numbers[:train], plans, strict=False)]
    rng.shuffle(answers)
    write_csv(folder / ANSWERS, ("img_id", "target_feature"), answers)
    write_csv(folder / NAMES, ("id", "category"), list(enumerate(CATEGORIES)))
    write_csv(folder / VIDEOS, ("img_id", "video_id"), [(number, videos[plan.seed]) for number, plan in rows])


def write_official(root: Path, seed: int, frames: int = 2) -> None:
    """Write a small official annotation file with `images/`, for tests: one video of `frames` pictures per non-empty category.

    As in the real file there are test entries without an activity and training entries without one; one picture is missing.
    """
    rng = random.Random(seed)
    plans = [Frame(category, rng.getrandbits(48), index) for category in COUNTS for index in range(frames)]
    names = [f"{number:09d}.jpg" for number in rng.sample(range(10**8), len(plans) + 6)]
    (root / "images").mkdir()
    rows: list[dict[str, Any]] = []
    for position, name in enumerate(names):
        plan = plans[position % len(plans)]
        kind = "activity" if position < len(plans) else "idle" if position < len(plans) + 2 else "test"
        if position != len(plans) - 1:
            draw_frame(plan).save(root / "images" / name, quality=85)
        rows.append({"name": name, "video": 1 + position // frames, "category": CATEGORIES[plan.category], "kind": kind})
    rng.shuffle(rows)
    _save_mat(root / OFFICIAL / MAT, rows)


def _save_mat(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    from scipy.io import savemat

    nothing = np.zeros((0, 0))
    annotations = np.zeros((1, len(rows)), dtype=[(name, object) for name in ("image", "annorect", "frame_sec", "vididx")])
    acts = np.zeros((1, len(rows)), dtype=[(name, object) for name in ("cat_name", "act_name", "act_id")])
    for position, row in enumerate(rows):
        tested, active = row["kind"] == "test", row["kind"] == "activity"
        annotations[0, position] = ({"name": row["name"]}, nothing, nothing if tested else 10.0, nothing if tested else float(row["video"]))
        acts[0, position] = (row["category"], row["category"], 7.0) if active else (nothing, nothing, -1.0)
    train = np.array([[row["kind"] != "test" for row in rows]], dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"RELEASE": {"annolist": annotations, "img_train": train, "act": acts, "version": "12"}}, do_compression=True)
