"""People of a drawn building site: shaded heads, bare or in helmets, seen from any side, on bodies in working clothes.

Lengths are in half heads (half the height from chin to crown); a person is about 15 of them tall.
"""

from __future__ import annotations

import colorsys
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from zoo.datasets.drawn.solids import Array, Canvas, Cluster, Color, Point, shade, turned

HEAD = 0.117
"""Metres in half a head."""

SKINS: tuple[Color, ...] = ((246, 208, 178), (228, 178, 138), (206, 150, 108), (172, 116, 78), (128, 82, 54), (88, 56, 40))
HAIRS: tuple[Color, ...] = ((34, 28, 26), (58, 42, 32), (92, 62, 40), (140, 92, 52), (196, 156, 98), (160, 156, 152), (142, 64, 36))
HELMETS: tuple[tuple[Color, int], ...] = (
    ((246, 202, 36), 34),
    ((242, 242, 238), 24),
    ((206, 44, 40), 12),
    ((40, 92, 178), 12),
    ((238, 122, 34), 10),
    ((44, 138, 80), 6),
    ((150, 154, 160), 2),
)
VESTS: tuple[Color, ...] = ((206, 226, 50), (244, 116, 36), (236, 206, 48))
SILVER: Color = (214, 216, 214)

POSES: dict[str, tuple[Point, Point]] = {
    "stands": ((1.9, -7.0), (-1.9, -7.0)),
    "hips": ((1.4, -5.9), (-1.4, -5.9)),
    "folds": ((-0.7, -4.4), (0.7, -4.1)),
    "points": ((5.2, -1.6), (-1.9, -7.0)),
    "waves": ((3.4, 1.9), (-1.9, -7.0)),
    "calls": ((1.25, -0.6), (-1.5, -5.9)),
    "reads": ((0.8, -3.9), (-0.8, -3.9)),
    "carries": ((1.3, -5.2), (-1.3, -5.2)),
    "digs": ((0.9, -6.0), (2.6, -4.6)),
}
"""Where the hands are, from the middle of the head, y up, for a person who faces us."""


def hsv(hue: float, saturation: float, value: float) -> Color:
    """A colour of hue, saturation and value in 0 to 1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


@dataclass(frozen=True)
class Look:
    """What a person looks like; `helmet` is None for a bare head, which may wear a cap."""

    skin: Color
    hair: Color
    style: str
    beard: float
    helmet: Color | None
    full_brim: bool
    cap: Color | None
    muffs: Color | None
    glasses: bool
    badge: Color | None
    shirt: Color
    vest: Color | None
    trousers: Color
    build: float

    @classmethod
    def chosen(cls, dice: random.Random, helmet: bool) -> Look:
        """A person as the dice fall."""
        color = dice.choices([color for color, _ in HELMETS], [weight for _, weight in HELMETS])[0]
        cloth = hsv(dice.random(), dice.uniform(0.05, 0.7), dice.uniform(0.2, 0.9))
        denim = hsv(dice.uniform(0.55, 0.65), dice.uniform(0.1, 0.5), dice.uniform(0.2, 0.6))
        return cls(
            skin=shade(dice.choice(SKINS), dice.uniform(0.92, 1.05)),
            hair=shade(dice.choice(HAIRS), dice.uniform(0.8, 1.2)),
            style=dice.choice(("short", "short", "short", "bald", "long", "tail", "curly")),
            beard=max(0.0, dice.uniform(-1.0, 0.9)),
            helmet=shade(color, dice.uniform(0.85, 1.04)) if helmet else None,
            full_brim=dice.random() < 0.2,
            cap=cloth if dice.random() < 0.15 else None,
            muffs=dice.choice(((200, 40, 40), (40, 40, 44), (240, 200, 40))) if dice.random() < 0.12 else None,
            glasses=dice.random() < 0.25,
            badge=dice.choice(((250, 250, 250), (40, 80, 160), (190, 30, 40))) if dice.random() < 0.5 else None,
            shirt=hsv(dice.uniform(0.12, 1.02), dice.uniform(0.05, 0.8), dice.uniform(0.25, 0.95)),
            vest=shade(dice.choice(VESTS), dice.uniform(0.85, 1.05)) if dice.random() < (0.75 if helmet else 0.3) else None,
            trousers=denim if dice.random() < 0.7 else hsv(dice.random(), 0.3, 0.4),
            build=dice.uniform(0.88, 1.2),
        )


@dataclass(frozen=True)
class Person:
    """Where and how somebody stands: pixel of the middle of the head, pixels per half head, and angles as `turned` takes them."""

    x: float
    y: float
    unit: float
    yaw: float
    pitch: float
    roll: float
    pose: str
    crouches: bool
    look: Look

    @property
    def tall(self) -> float:
        """From the middle of the head to the feet, in half heads."""
        return 9.4 if self.crouches else 14.0


# ---- heads


def draw_head(canvas: Canvas, person: Person) -> int:
    """Draw a head with what it wears; returns its pixels, with those that lie beyond the border."""
    look = person.look
    head = Cluster(canvas, (person.x, person.y), person.unit, turned(person.yaw, person.pitch, person.roll))
    head.add((0, 0, 0), (0.74, 1.0, 0.88), _face(look))
    head.add((0, -0.48, 0.22), (0.52, 0.53, 0.58), _chin(look))
    head.add((0, -0.12, 0.86), (0.1, 0.19, 0.15), shade(look.skin, 1.03))
    for side in (-0.74, 0.74):
        head.add((side, -0.04, -0.04), (0.09, 0.2, 0.13), shade(look.skin, 0.93))
    _hair(head, look)
    if look.helmet:
        _helmet(head, look, look.helmet)
    elif look.cap:
        head.add((0, 0.14, -0.02), (0.83, 0.94, 0.96), look.cap, lambda at: at[1] - 0.05)
        head.add((0, 0.24, 0.86), (0.55, 0.06, 0.6), shade(look.cap, 0.8))
    return head.put()


def _face(look: Look) -> Callable[[Array], Array]:
    """Skin with eyes, brows and cheeks, darker under a helmet."""
    skin, brow = np.array(look.skin, np.float32), np.array(shade(look.hair, 0.8), np.float32)

    def paint(at: Array) -> Array:
        side, up, front = abs(at[0]), at[1], at[2]
        colors: Array = skin * (1 - 0.06 * np.exp(-(((side - 0.45) / 0.2) ** 2) - ((up + 0.2) / 0.2) ** 2))[..., None]
        if look.helmet:
            colors *= (1 - 0.4 * ((up + 0.1) / 0.4).clip(0, 1))[..., None]
        before = front > 0
        colors[before & (((side - 0.36) / 0.17) ** 2 + ((up - 0.05) / 0.075) ** 2 < 1)] = (238, 234, 228)
        colors[before & (((side - 0.36) / 0.075) ** 2 + ((up - 0.05) / 0.075) ** 2 < 1)] = (44, 34, 30)
        colors[before & (abs(side - 0.37) < 0.22) & (abs(up - 0.2 + 0.1 * abs(side - 0.33)) < 0.045)] = brow
        if look.glasses:
            rim = ((side - 0.36) / 0.26) ** 2 + ((up - 0.04) / 0.16) ** 2
            colors[before & (rim < 1)] *= 0.8
            colors[(before & (rim > 0.75) & (rim < 1.1)) | ((abs(up - 0.06) < 0.03) & (side > 0.6) & (front > -0.1))] = (40, 40, 46)
        if look.helmet:
            colors[(abs(front - 0.12) < 0.05) & (up < 0.2)] = (60, 60, 64)
        return colors

    return paint


def _chin(look: Look) -> Callable[[Array], Array]:
    """The lower face with its mouth, and perhaps a beard."""
    skin, hair, lips = (np.array(color, np.float32) for color in (look.skin, look.hair, (164, 84, 78)))

    def paint(at: Array) -> Array:
        side, up, front = abs(at[0]), at[1], at[2]
        bearded = look.beard * (((up < 0.08) | (side > 0.5)) & (front > -0.3) & (up < 0.6)).astype(np.float32)
        colors: Array = skin * (1 - bearded)[..., None] + hair * bearded[..., None]
        colors[(front > 0) & (side < 0.42) & (abs(up - 0.24 - 0.5 * side**2) < 0.06)] = (lips + skin) / 2
        return colors

    return paint


def _hair(head: Cluster, look: Look) -> None:
    """A shell down to the hairline, which is high above the face and low at the nape; a bald head keeps a wreath."""
    shell = 1.14 if look.style == "curly" else 1.05
    rough = np.array(look.hair, np.float32)

    def paint(at: Array) -> Array:
        strands = 1 + 0.12 * np.sin(23 * at[0] + 5 * at[2]) * np.sin(17 * at[2] + 9 * at[0])
        return np.asarray(rough * strands[..., None], np.float32)

    def grown(at: Array) -> Array:
        line = -0.1 + 0.56 * at[2] + 0.05 * np.sin(9 * at[0]) - 0.25 * (abs(at[0]) > 0.9)
        above: Array = at[1] - line
        return np.minimum(above, 0.35 - at[1] - at[2]) if look.style == "bald" else above

    head.add((0, 0.03, -0.03), (0.74 * shell, shell, 0.88 * shell), paint, grown)
    if look.style == "long":
        head.add((0, -0.38, -0.42), (0.8, 0.9, 0.5), paint)
    if look.style == "tail":
        head.add((0, -0.15, -1.0), (0.2, 0.55, 0.22), paint)


def _helmet(head: Cluster, look: Look, color: Color) -> None:
    """A dome with ridges and a badge on a brim, which is longest in front."""
    base, badge = np.array(color, np.float32), look.badge

    def paint(at: Array) -> Array:
        side, up, front = at
        ridge = (abs(side) < 0.09) | (abs(abs(side) - 0.34) < 0.05)
        edge = (abs(abs(side) - 0.115) < 0.025) | (abs(abs(side) - 0.415) < 0.025)
        colors = base * (1 + 0.07 * ridge - 0.2 * (edge & (up > 0.2)) - 0.25 * (up < 0.07))[..., None]
        if badge is not None:
            colors[(front > 0) & ((side / 0.2) ** 2 + ((up - 0.42) / 0.14) ** 2 < 1)] = badge
        return np.asarray(colors, np.float32)

    head.add((0, 0.2, -0.02), (0.95, 1.02, 1.1), paint, lambda at: at[1] + 0.02, gloss=0.5)
    if look.full_brim:
        head.add((0, 0.2, 0.02), (1.3, 0.09, 1.45), shade(color, 0.93), gloss=0.2)
    else:
        head.add((0, 0.2, 0.14), (1.0, 0.09, 1.27), shade(color, 0.93), gloss=0.2)
    if look.muffs:
        for side in (-0.84, 0.84):
            head.add((side, -0.08, 0), (0.17, 0.33, 0.26), look.muffs, gloss=0.2)


# ---- bodies


def draw_body(canvas: Canvas, person: Person) -> None:
    """Draw legs, trunk and arms; arms that are held in front of somebody who looks away are behind the trunk."""
    look, unit = person.look, person.unit
    away = math.cos(math.radians(person.yaw)) < -0.2
    _legs(canvas, person)
    if away:
        _arms(canvas, person)
    wide = (0.68 + 0.32 * abs(math.cos(math.radians(person.yaw)))) * look.build
    shift = math.sin(math.radians(person.yaw))
    neck, hip = (person.x - 0.12 * shift * unit, person.y + 0.6 * unit), (person.x - 0.3 * shift * unit, person.y + 6.9 * unit)
    trunk = (person.x - 0.3 * shift * unit, person.y + 2.95 * unit)
    canvas.limb(trunk, hip, 1.55 * wide * unit, 1.32 * wide * unit, _clothes(look, shift, away), hem=True)
    canvas.limb(neck, (neck[0], person.y + 1.5 * unit), 0.42 * unit, 0.5 * unit, shade(look.skin, 0.82))
    if not away:
        _arms(canvas, person)


def _clothes(look: Look, shift: float, away: bool) -> Callable[[Array], Array]:
    """The shirt and over it a vest with reflecting bands; `shift` is where its opening is, -1 to 1 across."""
    shirt, vest = np.array(look.shirt, np.float32), np.array(look.vest or look.shirt, np.float32)

    def paint(at: Array) -> Array:
        down, across = at[0], at[1] + 0.9 * shift
        folds = 1 + 0.05 * np.sin(14 * down + 5 * across)
        colors: Array = vest * folds[..., None]
        if look.vest:
            bands = (abs(down - 0.45) < 0.06) | (abs(down - 0.8) < 0.06) | ((abs(abs(across) - 0.5) < 0.09) & (down < 0.45))
            colors[bands] = SILVER
            if not away:
                colors[(abs(across) < 0.3 * (0.6 - down)) & (down < 0.6)] = shirt
        elif not away:
            colors[(abs(across) < 0.03)] *= 0.75
        return colors

    return paint


def _bent(start: Point, end: Point, out: float) -> Point:
    """The elbow or knee of a limb: off its middle, to the side where `out` points."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    return (start[0] + end[0]) / 2 + out * abs(dy) * 0.25, (start[1] + end[1]) / 2 + abs(dx) * 0.18


def _arms(canvas: Canvas, person: Person) -> None:
    look, unit, turn = person.look, person.unit, math.radians(person.yaw)
    sleeve = look.vest if look.vest and look.build > 1.1 else look.shirt
    for side, hand in zip((1, -1), POSES[person.pose], strict=True):
        wide = 1.62 * look.build * (0.35 + 0.65 * abs(math.cos(turn)))
        shoulder = person.x + (side * wide - 0.3 * math.sin(turn)) * unit, person.y + 2.35 * unit
        reach = hand[0] * math.cos(turn) + 1.6 * math.sin(turn) * (abs(hand[0]) < 1.6)
        wrist = person.x + reach * unit, person.y - hand[1] * unit
        elbow = _bent(shoulder, wrist, side * math.cos(turn))
        canvas.limb(shoulder, elbow, 0.56 * unit, 0.46 * unit, sleeve)
        canvas.limb(elbow, wrist, 0.45 * unit, 0.34 * unit, sleeve if look.build > 0.95 else look.skin)
        canvas.limb(wrist, (wrist[0] + 0.15 * unit, wrist[1] + 0.3 * unit), 0.36 * unit, 0.3 * unit, look.skin)
        if person.pose == "digs" and side == 1:
            handle = (wrist[0] + 3.2 * unit, wrist[1] - 3 * unit), (wrist[0] - 4 * unit, wrist[1] + 5 * unit)
            canvas.rod(*handle, 0.14 * unit, (150, 110, 70))
    if person.pose in ("reads", "carries") and math.cos(turn) > -0.2:
        x, y, high = person.x + 1.2 * math.sin(turn) * unit, person.y + (4.2 if person.pose == "reads" else 4.6) * unit, 0.9 * unit
        canvas.box(x - unit, y - high, x + unit, y + 0.6 * high, (236, 234, 226) if person.pose == "reads" else (168, 122, 76))


def _legs(canvas: Canvas, person: Person) -> None:
    look, unit = person.look, person.unit
    hip, foot = person.y + 6.4 * unit, person.y + person.tall * unit
    spread = 0.75 * look.build * (0.5 + 0.5 * abs(math.cos(math.radians(person.yaw))))
    for side in (1, -1):
        start = person.x + side * 0.6 * spread * unit, hip
        end = person.x + side * 1.15 * spread * unit, foot - 0.4 * unit
        knee = _bent(start, end, 0.0)
        if person.crouches:
            knee = knee[0] + side * 1.3 * unit, knee[1] - 0.6 * unit
        canvas.limb(start, knee, 0.78 * unit, 0.62 * unit, look.trousers)
        canvas.limb(knee, end, 0.62 * unit, 0.46 * unit, look.trousers)
        canvas.limb(end, (end[0] + 0.35 * side * unit, end[1] + 0.15 * unit), 0.5 * unit, 0.45 * unit, (66, 52, 40))
