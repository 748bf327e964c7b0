"""Places and things of a drawn building site: what lies behind people, stands among them and hides them.

Lengths are in metres: a thing at some distance is drawn with so many pixels per metre, and stands where the ground is at that distance.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from zoo.datasets.drawn.solids import Array, Canvas, Cluster, Color, Point, ball, mixed, shade, turned
from zoo.datasets.drawn.workers import HEAD, HELMETS, SKINS, VESTS, Person, hsv

WOOD, STEEL, CONCRETE, DARK = (178, 138, 92), (138, 142, 148), (172, 170, 164), (44, 44, 48)
YELLOW, ORANGE, RED, WHITE = (244, 194, 34), (238, 112, 36), (204, 44, 40), (238, 238, 234)


@dataclass
class Ground:
    """A plane seen by a camera `camera` metres above it; `horizon` is the pixel row in which it ends."""

    canvas: Canvas
    dice: random.Random
    camera: float
    horizon: float
    air: Color = (205, 212, 220)

    def foot(self, scale: float) -> float:
        """Pixel row of the ground at a distance at which a metre has `scale` pixels."""
        return self.horizon + scale * self.camera

    def head(self, unit: float, dice: random.Random) -> tuple[bool, float]:
        """Whether somebody crouches, and the pixel row of the middle of the head, for half a head of `unit` pixels."""
        crouches = dice.random() < 0.1
        lift = dice.uniform(1.0, 2.6) if dice.random() < 0.14 else dice.gauss(0.0, 0.13)
        scale = unit / HEAD
        return crouches, self.foot(scale) - lift * scale - (9.4 if crouches else 14.0) * unit

    def haze(self, scale: float) -> tuple[Color, float]:
        """The air between us and what is seen with `scale` pixels per metre."""
        return self.air, 0.45 * math.exp(-scale / 22)

    def shadow(self, x: float, y: float, wide: float) -> None:
        """A soft shadow on the ground."""
        for part in (1.0, 0.75, 0.5):
            self.canvas.disc(x + 0.15 * wide, y, wide * part, 0.22 * wide * part, (20, 20, 24), 38)

    def stage(self, x: float, y: float, unit: float) -> None:
        """What somebody stands on whose feet are off the ground: planks on poles."""
        scale, canvas = unit / HEAD, self.canvas
        floor = self.foot(scale)
        if floor - y < 0.5 * scale:
            return
        left, right = x - 1.1 * scale, x + 1.1 * scale
        for pole in (left + 0.1 * scale, right - 0.1 * scale):
            canvas.rod((pole, y - 1.1 * scale), (pole, floor), 0.035 * scale, STEEL)
        canvas.line([(left, floor), (right, y)], 0.05 * scale, shade(STEEL, 0.8))
        for rail in (0.55, 1.05):
            canvas.line([(left, y - rail * scale), (right, y - rail * scale)], 0.04 * scale, shade(STEEL, 0.9))
        canvas.box(left, y - 0.03 * scale, right, y + 0.08 * scale, WOOD)
        canvas.box(left, y + 0.05 * scale, right, y + 0.08 * scale, shade(WOOD, 0.6))

    @property
    def nearest(self) -> float:
        """Pixels per metre of what stands on the last visible bit of ground."""
        return (0.96 * self.canvas.size[1] - self.horizon) / self.camera

    def prop(self, prop: Prop, scale: float) -> Callable[[], None]:
        """What draws a thing somewhere: on the ground, or on a crate if it is nearer than the visible ground."""
        (width, height), seed = self.canvas.size, self.dice.getrandbits(48)
        x, high = self.dice.uniform(0, width), self.dice.uniform(0.6, 0.95) * height

        def draw() -> None:
            own = random.Random(seed)
            if scale > self.nearest:
                self._crate(x, high, scale, own)
            prop(self, x, min(high, self.foot(scale)) if scale > self.nearest else self.foot(scale), scale, own)

        return draw

    def _crate(self, x: float, y: float, scale: float, dice: random.Random) -> None:
        color, wide = dice.choice((WOOD, CONCRETE, shade(WOOD, 0.7))), dice.uniform(0.22, 0.4) * scale
        self.canvas.box(x - wide, y, x + wide, self.canvas.size[1], color)
        self.canvas.box(x - 1.05 * wide, y, x + 1.05 * wide, y + 0.05 * scale, shade(color, 0.8))
        for plank in (-0.33, 0.33):
            self.canvas.line([(x + plank * wide, y), (x + plank * wide, self.canvas.size[1])], 1, shade(color, 0.7))

    def screen(self, screen: Screen, person: Person) -> Callable[[], None]:
        """What draws something before a person."""
        seed = self.dice.getrandbits(48)
        return lambda: screen(self.canvas, person, random.Random(seed))


Prop = Callable[[Ground, float, float, float, random.Random], None]
"""A thing at x and y (its foot, in pixels) with so many pixels per metre."""
Screen = Callable[[Canvas, Person, random.Random], None]


def _bright(dice: random.Random) -> Color:
    """A colour that helmets or vests have too, yellow above all."""
    colors = [*(color for color, _ in HELMETS), *VESTS, YELLOW, YELLOW, ORANGE]
    return shade(dice.choice(colors), dice.uniform(0.85, 1.05))


# ---- round and bright things, none of them a helmet


def _balls(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 3)):
        r, at = dice.uniform(0.09, 0.2) * m, x + dice.uniform(-0.6, 0.6) * m
        g.shadow(at, y, r)
        ball(g.canvas, at, y - r, r, _bright(dice), gloss=dice.choice((0.1, 0.5)))


def _bucket(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    color, r, over = _bright(dice), dice.uniform(0.12, 0.18) * m, dice.random() < 0.5
    g.shadow(x, y, 1.2 * r)
    top, foot = (0.8, 1.0) if over else (1.05, 0.75)
    g.canvas.limb((x, y - 2.1 * r), (x, y), top * r, foot * r, color, hem=True)
    if not over:
        g.canvas.disc(x, y - 2.25 * r, 1.08 * r, 0.34 * r, shade(color, 0.45))
        g.canvas.line(
            [(x + r * math.cos(a), y - 2.25 * r - 1.1 * r * math.sin(a)) for a in np.linspace(0, math.pi, 12).tolist()], 0.02 * m, STEEL
        )


def _lamp(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    high, r = dice.uniform(0.9, 2.6) * m, dice.uniform(0.1, 0.2) * m
    g.canvas.rod((x, y - high), (x, y), 0.04 * m, DARK)
    color = dice.choice(((255, 226, 130), (255, 246, 214), ORANGE, (250, 200, 60)))
    for glow in (2.0, 1.5):
        g.canvas.disc(x, y - high, glow * r, glow * r, color, 36)
    ball(g.canvas, x, y - high, r, color, gloss=0.4)


def _beacon(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    """A post with a bright dome, like a helmet without a head."""
    color, high, r = dice.choice((ORANGE, YELLOW, RED, (60, 110, 220))), dice.uniform(0.8, 1.8) * m, dice.uniform(0.1, 0.15) * m
    g.canvas.rod((x, y - high), (x, y), 0.05 * m, STEEL)
    dome = Cluster(g.canvas, (x, y - high), r, turned(0, 12, 0))
    dome.add((0, 0, 0), (1, 1.1, 1), color, lambda at: at[1], gloss=0.6)
    dome.add((0, -0.1, 0), (1.05, 0.18, 1.05), DARK)
    dome.put()


def _stones(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    """Stones in the colours of skin and hair."""
    for _ in range(dice.randint(2, 6)):
        r, at = dice.uniform(0.06, 0.2) * m, x + dice.uniform(-0.7, 0.7) * m
        color = shade(dice.choice((*SKINS, CONCRETE)), dice.uniform(0.75, 1.05))
        ball(g.canvas, at, y - 0.7 * r, r, color, gloss=0.0, high=dice.uniform(0.7, 1.2))


def _cone(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    high, wide = dice.uniform(0.45, 0.8) * m, 0.17 * m
    g.shadow(x, y, 1.6 * wide)
    g.canvas.box(x - 1.3 * wide, y - 0.06 * m, x + 1.3 * wide, y, shade(ORANGE, 0.8))

    def paint(at: Array) -> Array:
        white = (abs(at[0] - 0.45) < 0.1) | (abs(at[0] - 0.75) < 0.07)
        return np.where(white[..., None], np.array(WHITE, np.float32), np.array(ORANGE, np.float32))

    g.canvas.limb((x, y - high), (x, y - 0.05 * m), 0.03 * m, wide, paint, hem=True)


def _barrel(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    color, r, high = _bright(dice), 0.29 * m, 0.86 * m
    base = np.array(color, np.float32)
    g.shadow(x, y, 1.2 * r)

    def paint(at: Array) -> Array:
        return np.asarray(base * (1 - 0.25 * (abs(at[0] - 0.33) < 0.02) - 0.25 * (abs(at[0] - 0.67) < 0.02))[..., None], np.float32)

    g.canvas.limb((x, y - high + 0.2 * r), (x, y), r, r, paint, hem=True)
    g.canvas.disc(x, y - high + 0.05 * r, r, 0.26 * r, shade(color, 0.75))


def _sign(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    high, r = dice.uniform(1.1, 2.2) * m, dice.uniform(0.16, 0.32) * m
    g.canvas.rod((x, y - high), (x, y), 0.03 * m, STEEL)
    color, rim = dice.choice(((YELLOW, DARK), (WHITE, RED), ((40, 90, 180), WHITE), (YELLOW, RED), (RED, WHITE)))
    corners = dice.choice((3, 24, 24, 4))
    for size, fill in ((1.0, rim), (0.84, color)):
        turns = [2 * math.pi * (step + (0.5 if corners == 4 else 0)) / corners for step in range(corners)]
        g.canvas.shape([(x + size * r * math.sin(a), y - high - size * r * math.cos(a)) for a in turns], fill)
    g.canvas.box(x - 0.1 * r, y - high - 0.45 * r, x + 0.1 * r, y - high + 0.15 * r, rim)
    g.canvas.disc(x, y - high + 0.35 * r, 0.12 * r, 0.12 * r, rim)


def _gloves(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    """A rail with gloves and rags of all colours."""
    high = dice.uniform(0.7, 1.3) * m
    g.canvas.line([(x - 0.8 * m, y - high), (x + 0.8 * m, y - high)], 0.05 * m, STEEL)
    for at in (-0.75, 0.75):
        g.canvas.line([(x + at * m, y - high), (x + at * m, y)], 0.05 * m, STEEL)
    for _ in range(dice.randint(2, 4)):
        at, color = x + dice.uniform(-0.7, 0.7) * m, dice.choice((*SKINS, *VESTS, WHITE, YELLOW))
        g.canvas.limb((at, y - high), (at, y - high + 0.16 * m), 0.06 * m, 0.09 * m, color)


# ---- larger things


def _heap(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    wide, high = dice.uniform(1.0, 2.6) * m, dice.uniform(0.5, 1.3) * m
    color = dice.choice(((206, 172, 118), (156, 148, 138), (128, 96, 66), (214, 158, 124)))
    edge = [(x + wide * part, y - high * max(0.0, 1 - part**2) * dice.uniform(0.85, 1.1)) for part in np.linspace(-1, 1, 19).tolist()]
    g.canvas.shape(edge, color)
    g.canvas.shape([*edge[9:], (x + 0.2 * wide, y)], shade(color, 0.85))
    for _ in range(40):
        part, up = dice.uniform(-0.8, 0.8), dice.random()
        g.canvas.disc(x + part * wide, y - up * 0.85 * high * (1 - part**2), 0.04 * m, 0.03 * m, shade(color, dice.uniform(0.75, 1.15)))


def _bricks(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    color = dice.choice(((178, 92, 66), (196, 120, 86), CONCRETE, (214, 160, 120)))
    g.canvas.box(x - 0.55 * m, y - 0.12 * m, x + 0.55 * m, y, shade(WOOD, 0.8))
    for row in range(dice.randint(3, 8)):
        for column in range(4):
            left, foot = x + (-0.5 + 0.25 * column + 0.02 * (row % 2)) * m, y - (0.12 + 0.12 * row) * m
            g.canvas.box(left, foot - 0.11 * m, left + 0.24 * m, foot, shade(color, dice.uniform(0.85, 1.12)))


def _pipes(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    r, color = dice.uniform(0.13, 0.28) * m, dice.choice((STEEL, (214, 116, 52), (70, 110, 160), CONCRETE, YELLOW))
    rows = dice.randint(1, 3)
    for row in range(rows):
        for column in range(4 - row):
            at, up = x + (2 * column - 3 + row) * r, y - r - 1.75 * row * r
            g.canvas.disc(at, up, r, r, color)
            g.canvas.disc(at, up, 0.8 * r, 0.8 * r, shade(color, 0.4))


def _mixer(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    color, side = np.array(_bright(dice), np.float32), dice.choice((-1, 1))
    for leg in (-0.35, 0.35):
        g.canvas.rod((x, y - 0.7 * m), (x + leg * m, y), 0.04 * m, DARK)

    def paint(at: Array) -> Array:
        return np.asarray(color * (1 - 0.3 * (abs(at[1] + 0.1) < 0.08))[..., None], np.float32)

    drum = Cluster(g.canvas, (x, y - 0.95 * m), 0.42 * m, turned(0, 10, -32 * side))
    drum.add((0, 0, 0), (0.9, 1.1, 0.9), paint, gloss=0.3)
    drum.add((0, 1.0, 0), (0.5, 0.2, 0.5), DARK)
    drum.put()


def _excavator(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    color, canvas = shade(dice.choice((YELLOW, YELLOW, ORANGE, (226, 226, 220))), dice.uniform(0.85, 1.0)), g.canvas
    side = dice.choice((-m, m))

    def at(*points: Point) -> list[Point]:
        return [(x + side * along, y - m * up) for along, up in points]

    g.shadow(x, y, 2.2 * m)
    back, front, shoulder, elbow, wrist = at((-1.3, 0.4), (1.3, 0.4), (1.2, 1.4), (2.6, 3.4), (3.9, 1.7))
    canvas.rod(back, front, 0.4 * m, DARK)
    for wheel, axle in at((-1.2, 0.4), (-0.4, 0.4), (0.4, 0.4), (1.2, 0.4)):
        canvas.disc(wheel, axle, 0.22 * m, 0.22 * m, (90, 90, 94))
    canvas.shape(at((-1.7, 0.9), (1.2, 0.9), (1.2, 1.4), (0.2, 1.9), (-1.7, 1.8)), color)
    canvas.shape(at((-0.1, 1.4), (1.1, 1.4), (1.0, 2.7), (0.0, 2.7)), shade(color, 0.9))
    canvas.shape(at((0.05, 1.6), (0.95, 1.6), (0.88, 2.55), (0.1, 2.55)), (112, 140, 156))
    canvas.limb(shoulder, elbow, 0.22 * m, 0.16 * m, color)
    canvas.limb(elbow, wrist, 0.16 * m, 0.11 * m, color)
    canvas.shape(at((3.6, 1.8), (4.2, 1.8), (4.3, 1.0), (3.7, 0.7), (3.4, 1.1)), shade(STEEL, 0.6))
    ball(canvas, *at((0.5, 2.8))[0], 0.13 * m, ORANGE, gloss=0.5)


def _container(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    color, wide, high = hsv(dice.random(), dice.uniform(0.2, 0.8), dice.uniform(0.4, 0.8)), dice.uniform(1.5, 3.0) * m, 2.5 * m
    g.canvas.box(x - wide, y - high, x + wide, y, color)
    for rib in range(14):
        left = x - wide + 2 * wide * rib / 14
        g.canvas.box(left, y - 0.95 * high, left + wide / 14, y - 0.05 * high, shade(color, 0.85))
    if dice.random() < 0.5:
        g.canvas.box(x - 0.6 * wide, y - 0.8 * high, x - 0.1 * wide, y - 0.4 * high, (150, 176, 190))


def _planks(g: Ground, x: float, y: float, m: float, dice: random.Random) -> None:
    for row in range(dice.randint(3, 9)):
        wide, foot = dice.uniform(0.9, 1.3) * m, y - 0.09 * row * m
        g.canvas.box(x - wide, foot - 0.08 * m, x + wide, foot, shade(WOOD, dice.uniform(0.7, 1.15)))


SMALL: tuple[Prop, ...] = (
    *(_balls, _balls, _bucket, _bucket, _lamp, _lamp, _beacon, _stones, _stones, _sign, _sign, _gloves),
    *(_cone, _barrel, _mixer, _pipes),
)
NEAR = SMALL[:-4]
LARGE: tuple[Prop, ...] = (_heap, _bricks, _pipes, _excavator, _excavator, _container, _planks, _barrel)


# ---- what hides people


def _pole(canvas: Canvas, p: Person, dice: random.Random) -> None:
    x = p.x + dice.uniform(-1.1, 1.1) * p.unit
    canvas.rod((x, -20), (x, canvas.size[1] + 20), dice.uniform(0.15, 0.4) * p.unit, dice.choice((STEEL, YELLOW, WOOD, DARK)))


def _plank(canvas: Canvas, p: Person, dice: random.Random) -> None:
    slope, y, width = dice.uniform(-0.5, 0.5), p.y + dice.uniform(-0.6, 3.0) * p.unit, canvas.size[0]
    line = [(p.x - 7 * p.unit, y - 7 * slope * p.unit), (p.x + 7 * p.unit, y + 7 * slope * p.unit)]
    if p.unit > 3 and width:
        canvas.line(line, dice.uniform(0.3, 0.7) * p.unit, shade(WOOD, dice.uniform(0.7, 1.1)))


def _barrier(canvas: Canvas, p: Person, dice: random.Random) -> None:
    """Red and white boards, at breast height or a little above."""
    y, wide, high = p.y + dice.uniform(0.4, 5.0) * p.unit, dice.uniform(5, 11) * p.unit, 1.1 * p.unit
    left = p.x - wide * dice.uniform(0.3, 0.7)
    for step in range(8):
        canvas.box(left + step * wide / 8, y, left + (step + 1) * wide / 8, y + high, (RED, WHITE)[step % 2])
    for post in (0.05, 0.95):
        canvas.box(left + post * wide - 0.2 * p.unit, y, left + post * wide + 0.2 * p.unit, y + 12 * p.unit, STEEL)


def _fence(canvas: Canvas, p: Person, dice: random.Random) -> None:
    """Wire or bars that let one see through."""
    top, wide, gap = p.y + dice.uniform(-3.0, 2.0) * p.unit, dice.uniform(8, 20) * p.unit, dice.uniform(0.7, 1.4) * p.unit
    left, color = p.x - wide / 2, dice.choice((STEEL, (90, 120, 90), DARK, ORANGE))
    foot, thick = top + 17 * p.unit, 0.09 * p.unit
    for bar in range(int(wide / gap) + 1):
        canvas.line([(left + bar * gap, top), (left + bar * gap, foot)], thick, color)
    for rail in range(4 if dice.random() < 0.5 else 14):
        y = top + rail * 1.3 * p.unit
        canvas.line([(left, y), (left + wide, y)], thick, color)


def _column(canvas: Canvas, p: Person, dice: random.Random) -> None:
    x, wide = p.x + dice.choice((-1, 1)) * dice.uniform(0.5, 1.5) * p.unit, dice.uniform(0.8, 1.6) * p.unit
    left = x if x > p.x else x - wide
    canvas.box(left, -5, left + wide, canvas.size[1] + 5, CONCRETE)
    canvas.box(left + 0.7 * wide, -5, left + wide, canvas.size[1] + 5, shade(CONCRETE, 0.82))


SCREENS: tuple[Screen, ...] = (_pole, _plank, _barrier, _barrier, _fence, _fence, _column)


# ---- places


def _sky(g: Ground) -> None:
    dice, (width, _) = g.dice, g.canvas.size
    top = dice.choice(
        (hsv(0.58, dice.uniform(0.2, 0.6), dice.uniform(0.75, 0.95)), hsv(0.58, 0.06, dice.uniform(0.7, 0.95)), hsv(0.07, 0.25, 0.9))
    )
    g.air = mixed(top, (236, 234, 228), 0.6)
    bands = 24
    for band in range(bands):
        g.canvas.box(0, g.horizon * band / bands, width, g.horizon * (band + 1) / bands + 1, mixed(top, g.air, band / bands))
    if dice.random() < 0.25:
        x, y, r = dice.uniform(0, width), dice.uniform(0.05, 0.5) * g.horizon, dice.uniform(8, 22)
        for glow in (2.2, 1.7, 1.35):
            g.canvas.disc(x, y, glow * r, glow * r, (255, 244, 200), 40)
        g.canvas.disc(x, y, r, r, (255, 236, 140))
    for _ in range(dice.randint(0, 4)):
        x, y, r = dice.uniform(0, width), dice.uniform(0, 0.7) * g.horizon, dice.uniform(10, 26)
        for _ in range(7):
            g.canvas.disc(
                x + dice.uniform(-2.5, 2.5) * r, y + dice.uniform(-0.3, 0.3) * r, r * dice.uniform(0.7, 1.5), 0.5 * r, (250, 250, 250), 60
            )


def _soil(g: Ground) -> None:
    dice, (width, height) = g.dice, g.canvas.size
    color = shade(
        dice.choice(((168, 140, 106), (150, 146, 138), (190, 170, 134), (120, 96, 74), (164, 164, 160), (116, 128, 82))),
        dice.uniform(0.8, 1.1),
    )
    for band in range(20):
        top, foot = (g.horizon + (height - g.horizon) * part / 20 for part in (band, band + 1))
        g.canvas.box(0, top, width, foot + 1, mixed(mixed(color, g.air, 0.4), color, min(1.0, band / 7)))
    for _ in range(70):
        depth = dice.random() ** 2
        y, long = g.horizon + (height - g.horizon) * depth, (4 + 40 * depth) * dice.uniform(0.4, 1.5)
        g.canvas.disc(dice.uniform(0, width), y, long, 0.16 * long, shade(color, dice.uniform(0.8, 1.15)), 70)
    for _ in range(dice.randint(0, 3)):
        x, bend = dice.uniform(0, width), dice.uniform(-1.5, 1.5) * width
        g.canvas.line([(x, g.horizon), (x + bend, height)], 4, shade(color, 0.7), 90)
    noise = np.random.default_rng(dice.getrandbits(64))
    g.canvas.mottle(noise, g.horizon, (12, 0.04), (160, 0.05))


def _crane(g: Ground, x: float) -> None:
    dice, canvas = g.dice, g.canvas
    high, thin, color = dice.uniform(0.6, 1.1) * g.horizon, dice.uniform(2.5, 5.0), dice.choice((YELLOW, (214, 84, 50), WHITE))
    side, top = dice.choice((-1, 1)), g.horizon - high
    for edge in (-thin, thin):
        canvas.line([(x + edge, g.horizon), (x + edge, top)], 1, color)
    steps = int(high / (2 * thin))
    canvas.line([(x + thin * (-1) ** step, g.horizon - 2 * thin * step) for step in range(steps + 1)], 0.5, color)
    tip, tail = x + side * dice.uniform(60, 170), x - side * dice.uniform(25, 50)
    for y in (top, top - thin):
        canvas.line([(tail, y), (tip, y)], 1, color)
    canvas.line([(tail, top), (x, top - 5 * thin), (tip, top)], 0.5, color)
    canvas.box(min(tail, tail + 8 * side), top, max(tail, tail + 8 * side), top + 9, CONCRETE)
    hook = x + 0.7 * (tip - x)
    canvas.line([(hook, top), (hook, top + 0.4 * high)], 0.5, DARK)
    canvas.box(hook - 6, top + 0.4 * high, hook + 6, top + 0.4 * high + 5, WOOD)


def _tower(g: Ground, left: float, wide: float) -> None:
    """A building, finished or still a skeleton."""
    dice, canvas = g.dice, g.canvas
    high, color = (
        dice.uniform(0.3, 0.95) * g.horizon,
        mixed(dice.choice((CONCRETE, (188, 120, 92), (206, 196, 176), (150, 160, 172))), g.air, 0.35),
    )
    floors, columns = max(2, round(high / dice.uniform(16, 26))), max(2, round(wide / dice.uniform(14, 24)))
    raw, top = dice.random() < 0.6, g.horizon - high
    canvas.box(left, top, left + wide, g.horizon, shade(color, 0.5) if raw else color)
    for floor in range(floors + 1):
        y = top + high * floor / floors
        canvas.box(left - 1, y, left + wide + 1, y + (3 if raw else 1), shade(color, 1.05))
    for column in range(columns + 1):
        x = left + wide * column / columns
        canvas.box(x - 1, top - (6 if raw else 0), x + 1.5, g.horizon, color)
        for floor in range(0 if raw else floors):
            y = top + high * (floor + 0.3) / floors
            canvas.box(x + 0.25 * wide / columns, y, x + 0.75 * wide / columns, y + 0.45 * high / floors, mixed((90, 110, 130), g.air, 0.3))
    if raw and dice.random() < 0.4:
        canvas.box(left, top, left + wide, top + high * dice.uniform(0.2, 0.6), (60, 140, 90), 120)


def _yard(g: Ground) -> None:
    """Open ground before a skyline with cranes."""
    dice, width = g.dice, g.canvas.size[0]
    _sky(g)
    for _ in range(dice.randint(0, 2)):
        _crane(g, dice.uniform(0.05, 0.95) * width)
    x = -dice.uniform(0, 60)
    while x < width:
        wide = dice.uniform(50, 140)
        if dice.random() < 0.75:
            _tower(g, x, wide)
        x += wide + dice.choice((0, 4, 30))
    _soil(g)


def _scaffold(g: Ground) -> None:
    """A wall of bricks or concrete with a scaffold before it."""
    dice, canvas, (width, _) = g.dice, g.canvas, g.canvas.size
    _sky(g)
    _soil(g)
    foot, top = g.horizon + dice.uniform(6, 40), g.horizon * dice.uniform(-0.2, 0.25)
    color = dice.choice(((176, 94, 70), (198, 128, 96), CONCRETE, (206, 176, 140)))
    canvas.box(0, top, width, foot, color)
    step = dice.uniform(5, 9)
    for row in range(int((foot - top) / step)):
        y = top + row * step
        canvas.line([(0, y), (width, y)], 0.5, shade(color, 0.82))
        for column in range(0 if color == CONCRETE else int(width / (2.4 * step)) + 1):
            x = (column + 0.5 * (row % 2)) * 2.4 * step
            canvas.line([(x, y), (x, y + step)], 0.5, shade(color, 0.82))
    gap, floor = dice.uniform(60, 110), dice.uniform(62, 100)
    for column in range(int(width / gap) + 1):
        x = (column + 0.35) * gap
        canvas.box(x - 0.2 * gap, foot - 0.75 * floor, x + 0.2 * gap, foot - 0.2 * floor, shade(color, 0.4))
        canvas.rod((x + 0.5 * gap, top - 30), (x + 0.5 * gap, foot + 8), 2, STEEL)
    for level in range(1, 6):
        y = foot - level * floor
        canvas.box(0, y, width, y + 5, WOOD)
        canvas.line([(0, y - 0.35 * floor), (width, y - 0.35 * floor)], 2, shade(STEEL, 0.9))
        canvas.line([(0, y + floor), (width * 0.5, y), (width, y + floor)], 1.5, shade(STEEL, 0.8))
    if dice.random() < 0.3:
        canvas.box(width * dice.random(), top, width, foot, dice.choice(((60, 140, 90), (70, 110, 170))), 110)


def _skeleton(g: Ground) -> None:
    """Inside a raw building: floor, ceiling, columns, and the light of the open sides."""
    dice, canvas, (width, _) = g.dice, g.canvas, g.canvas.size
    _sky(g)
    _soil(g)
    color = shade(CONCRETE, dice.uniform(0.7, 1.0))
    ceiling = g.horizon * dice.uniform(0.2, 0.5)
    canvas.shape(
        [(0, -5), (width, -5), (width, ceiling * 0.4), (width * 0.75, ceiling), (width * 0.25, ceiling), (0, ceiling * 0.4)],
        shade(color, 0.55),
    )
    for beam in range(7):
        x = width * (beam + 0.5) / 7
        canvas.line([(x, ceiling), (width / 2 + 2.2 * (x - width / 2), -5)], 4, shade(color, 0.45))
    for column in range(dice.randint(2, 5)):
        x, wide = width * (column + dice.uniform(0.1, 0.9)) / 4, dice.uniform(9, 24)
        canvas.box(x, 0, x + wide, g.horizon + 1.3 * wide, color)
        canvas.box(x + 0.7 * wide, 0, x + wide, g.horizon + 1.3 * wide, shade(color, 0.8))
    for _ in range(dice.randint(0, 4)):
        x, y, r = dice.uniform(0, width), dice.uniform(0.1, 0.9) * ceiling, dice.uniform(5, 15)
        canvas.line([(x, 0), (x, y)], 1, DARK)
        ball(canvas, x, y, r, dice.choice(((255, 234, 160), (250, 208, 80), WHITE)))


def _hall(g: Ground) -> None:
    """A room with plain or tiled walls, windows and pipes."""
    dice, canvas, (width, height) = g.dice, g.canvas, g.canvas.size
    wall = hsv(dice.choice((0.09, 0.12, 0.58, 0.3)), dice.uniform(0.02, 0.25), dice.uniform(0.5, 0.9))
    g.air = wall
    canvas.box(0, 0, width, height, wall)
    for _ in range(dice.randint(1, 3)):
        x, y, wide, high = (
            dice.uniform(0, 0.8) * width,
            dice.uniform(0.05, 0.4) * g.horizon,
            dice.uniform(50, 110),
            dice.uniform(0.3, 0.55) * g.horizon,
        )
        canvas.box(x, y, x + wide, y + high, shade(wall, 0.6))
        canvas.box(x + 3, y + 3, x + wide - 3, y + high - 3, (206, 220, 232))
        canvas.line([(x + wide / 2, y), (x + wide / 2, y + high)], 2, shade(wall, 0.6))
    for _ in range(dice.randint(0, 3)):
        y = dice.uniform(0, 0.9) * g.horizon
        canvas.rod((-20, y), (width + 20, y), dice.uniform(2, 7), dice.choice((STEEL, YELLOW, RED, (60, 100, 150))))
    _soil(g)
    for _ in range(dice.randint(0, 3)):
        x, y, r = dice.uniform(0, width), dice.uniform(0.05, 0.5) * g.horizon, dice.uniform(8, 22)
        canvas.line([(x, 0), (x, y)], 1, DARK)
        ball(canvas, x, y, r, dice.choice(((255, 234, 160), (250, 208, 80), WHITE, RED)))


PLACES: tuple[Callable[[Ground], None], ...] = (_yard, _scaffold, _skeleton, _hall)
