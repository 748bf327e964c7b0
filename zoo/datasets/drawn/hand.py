"""One drawn hand: shaded fingers, each stretched, bent or curled as its gesture wants it, on a palm or the back of a hand.

A hand's own frame: the wrist at (0, 0), y towards the knuckles, the thumb at -x; a palm is about 1 wide.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from zoo.datasets.drawn.solids import Canvas, Color, Paint, Point, shade
from zoo.datasets.drawn.workers import SKINS, hsv

Line = tuple[Point, ...]


class Pose(NamedTuple):
    """How a gesture is shown.

    Attributes:
        fingers: from index to little finger: `|` stretched, `c` curled, `h` half bent, `t` bent to the tip of the thumb.
        thumb: a name of `THUMBS`.
        spread: degrees between fingers.
        turn: degrees by which the hand is turned so that the thumb rises; 90: a level hand with its thumb above.
        edge: whether it is seen from the side.
    """

    fingers: str
    thumb: str
    spread: tuple[float, float] = (4, 9)
    turn: float = 0.0
    edge: bool = False


THUMBS: dict[str, Line] = {
    "out": ((-0.3, 0.2), (-0.64, 0.5), (-0.84, 0.74), (-0.98, 0.98)),
    "close": ((-0.3, 0.2), (-0.5, 0.5), (-0.56, 0.75), (-0.56, 0.95)),
    "across": ((-0.3, 0.25), (-0.5, 0.52), (-0.3, 0.7), (0.02, 0.7)),
    "folded": ((-0.3, 0.25), (-0.42, 0.48), (-0.2, 0.62), (0.1, 0.66)),
    "up": ((-0.25, 0.42), (-0.6, 0.62), (-0.88, 0.66), (-1.16, 0.63)),
    "ring": ((-0.3, 0.2), (-0.62, 0.34), (-0.8, 0.56), (-0.86, 0.8)),
    "to_middle": ((-0.3, 0.25), (-0.46, 0.5), (-0.36, 0.68), (-0.12, 0.78)),
    "to_third": ((-0.3, 0.25), (-0.42, 0.46), (-0.22, 0.6), (0.08, 0.7)),
    "to_little": ((-0.3, 0.25), (-0.4, 0.44), (-0.12, 0.54), (0.22, 0.62)),
}
POSES: dict[str, Pose] = {
    "one": Pose("|ccc", "across"),
    "two_up": Pose("||cc", "across", (0, 2)),
    "peace": Pose("||cc", "across", (13, 20)),
    "three": Pose("|||c", "folded", (8, 13)),
    "three2": Pose("||cc", "out", (9, 15)),
    "six": Pose("|||t", "to_little", (8, 13)),
    "four": Pose("||||", "folded", (6, 11)),
    "palm": Pose("||||", "out", (7, 12)),
    "stop": Pose("||||", "close", (0, 1.5)),
    "fist": Pose("cccc", "across"),
    "ok": Pose("t|||", "ring", (6, 11)),
    "like": Pose("cccc", "up", turn=90),
    "dislike": Pose("cccc", "up", turn=-90),
    "call": Pose("ccc|", "out"),
    "rock": Pose("|cc|", "across"),
    "seven": Pose("||t|", "to_third", (7, 11)),
    "eight": Pose("|t||", "to_middle", (7, 11)),
    "span": Pose("|ccc", "out"),
    "horiz": Pose("||||", "close", (0, 1), turn=80, edge=True),
    "rest": Pose("hhhh", "close", (2, 6), turn=35),
}
KNUCKLES: Line = ((-0.35, 0.98), (-0.12, 1.05), (0.12, 1.02), (0.34, 0.91))
LENGTHS = (0.86, 0.96, 0.89, 0.70)
HALVES = (0.112, 0.118, 0.112, 0.098)
THUMB_HALF = 0.13
FANNED = (-1.5, -0.4, 0.6, 1.7)
"""How far each finger goes aside when fingers are spread."""


@dataclass(frozen=True)
class Person:
    """Whose hand it is: skin, pixels of a palm in parts of the picture's height, build of the fingers, and what is worn."""

    skin: Color
    size: float
    thick: float
    long: float
    shirt: Color
    bare: float
    watch: Color | None
    nails: Color | None

    @classmethod
    def chosen(cls, dice: random.Random) -> Person:
        """A person as the dice fall."""
        skin = shade(dice.choice(SKINS), dice.uniform(0.9, 1.06))
        varnish = hsv(dice.choice((0.95, 0.0, 0.6, 0.8)), 0.7, 0.75)
        return cls(
            skin=skin,
            size=dice.uniform(0.85, 1.15),
            thick=dice.uniform(0.85, 1.14),
            long=dice.uniform(0.88, 1.1),
            shirt=hsv(dice.random(), dice.uniform(0.05, 0.75), dice.uniform(0.2, 0.92)),
            bare=dice.choice((0.25, 0.3, 0.5, 1.2, 3.0)),
            watch=hsv(dice.random(), 0.3, dice.uniform(0.1, 0.8)) if dice.random() < 0.25 else None,
            nails=varnish if dice.random() < 0.15 else shade(skin, 1.16),
        )


@dataclass(frozen=True)
class Hold:
    """Where a hand is and how it is held: pixel of the palm's middle, pixels a palm is wide, degrees clockwise, degrees to the side."""

    x: float
    y: float
    unit: float
    tilt: float
    yaw: float
    left: bool
    back: bool
    spread: float
    """From 0 to 1: how far within what the pose allows."""
    bend: float = 0.0
    """Degrees each joint of a stretched finger is bent aside."""


class Hand:
    """A hand that is drawn on a canvas: all its own lengths and places in the frame of the module's first lines."""

    def __init__(self, canvas: Canvas, person: Person, pose: Pose, hold: Hold) -> None:
        self.canvas, self.person, self.pose, self.hold = canvas, person, pose, hold
        mirrored = hold.left != hold.back  # a right hand's palm has its thumb at the viewer's right
        angle = math.radians(hold.tilt + (pose.turn if mirrored else -pose.turn))
        self.cos, self.sin = math.cos(angle), math.sin(angle)
        self.flat = 0.3 if pose.edge else math.cos(math.radians(hold.yaw))
        self.side = (1 if mirrored else -1) * self.flat

    def at(self, point: Point) -> Point:
        """A place of the hand -> pixel."""
        x, y = point[0] * self.side, 0.75 - point[1]
        return self.hold.x + (x * self.cos - y * self.sin) * self.hold.unit, self.hold.y + (x * self.sin + y * self.cos) * self.hold.unit

    def rods(self, line: Line, half: float, last: float, color: Color, rim: float = 0.022) -> None:
        """A bent limb with a dark rim, by which it is told from the skin behind it."""
        places, unit = [self.at(point) for point in line], self.hold.unit
        steps = [half + (last - half) * step / (len(line) - 1) for step in range(len(line))]
        for extra, paint in ((rim, shade(color, 0.55)), (0.0, color)):
            for start, end, first, second in zip(places, places[1:], steps, steps[1:], strict=False):
                self.canvas.limb(start, end, (first + extra) * unit, (second + extra) * unit, paint)

    def draw(self) -> None:
        """Seen from the palm, curled fingers and the thumb lie before it; seen from the back, behind it."""
        if self.hold.back:
            self.thumb()
            self.fingers()
            self.palm()
        else:
            self.palm()
            self.fingers()
            self.thumb()

    def arm(self) -> None:
        """The wrist and what the sleeve leaves of the forearm; beyond the elbow the arm hangs down."""
        person, unit = self.person, self.hold.unit
        wrist, cuff, elbow = (self.at((0, -along)) for along in (-0.25, person.bare, max(3.3, person.bare + 0.5)))
        self.canvas.limb(elbow, (elbow[0], elbow[1] + 9 * unit), 0.6 * unit, 0.75 * unit, person.shirt)
        self.canvas.limb(wrist, cuff, 0.31 * unit, 0.36 * unit, shade(person.skin, 0.94))
        if person.watch and person.bare > 0.4:
            self.canvas.limb(self.at((0, -0.12)), self.at((0, -0.26)), 0.34 * unit, 0.34 * unit, person.watch, hem=True)
        self.canvas.limb(elbow, cuff, 0.6 * unit, 0.45 * unit, _cloth(person.shirt), hem=True)

    def palm(self) -> None:
        """Four soft rods from wrist to knuckles, the ball of the thumb and with its creases, or with knuckles."""
        skin, unit, thick = self.person.skin, self.hold.unit, 0.55 + 0.45 * abs(self.flat)
        skin = shade(skin, 0.93) if self.hold.back else skin
        starts = [(-0.14, 0.12), (-0.05, 0.12), (0.05, 0.12), (0.14, 0.12)]
        for extra, paint in ((0.022, shade(skin, 0.55)), (0.0, skin)):
            for start, (x, y) in zip(starts, KNUCKLES, strict=True):
                end = self.at((0.9 * x, y - 0.17))
                self.canvas.limb(self.at(start), end, (0.22 + extra) * unit * thick, (0.17 + extra) * unit * thick, paint)
        if self.hold.back:
            for x, y in KNUCKLES:
                self.canvas.line([self.at((0.9 * x - 0.05, y - 0.1)), self.at((0.9 * x + 0.05, y - 0.1))], 0.025 * unit, shade(skin, 0.72))
        else:
            self.canvas.line([self.at(p) for p in ((-0.36, 0.72), (-0.05, 0.66), (0.34, 0.76))], 0.025 * unit, shade(skin, 0.7))
            self.canvas.line([self.at(p) for p in ((-0.34, 0.66), (-0.1, 0.5), (-0.02, 0.15))], 0.025 * unit, shade(skin, 0.7))

    def fingers(self) -> None:
        """Stretched ones first: what is curled or bent lies before them."""
        order = sorted(range(4), key=lambda number: self.pose.fingers[number] != "|")
        for number in order:
            kind = self.pose.fingers[number]
            draw = {"|": self._stretched, "c": self._curled, "h": self._half_bent, "t": self._to_thumb}[kind]
            draw(number)

    def _line(self, number: int, part: float = 1.0) -> Line:
        """A stretched finger's joints."""
        low, high = self.pose.spread
        angle = FANNED[number] * (low + (high - low) * self.hold.spread)
        x, y = KNUCKLES[number]
        line = [(x, y - 0.1)]
        for share in (0.1 / LENGTHS[number] + 0.46, 0.29, 0.25):
            length = share * LENGTHS[number] * self.person.long * part
            x, y = line[-1]
            line.append((x + length * math.sin(math.radians(angle)), y + length * math.cos(math.radians(angle))))
            angle += self.hold.bend
        return tuple(line)

    def _stretched(self, number: int) -> None:
        half, line = HALVES[number] * self.person.thick, self._line(number)
        self.rods(line, half, 0.82 * half, self.person.skin)
        self._creases(line, half)
        if self.hold.back:
            self._nail(line, half)

    def _creases(self, line: Line, half: float) -> None:
        for (x, y), (next_x, next_y) in pairwise(line[1:]):
            away = math.hypot(next_x - x, next_y - y) / (0.6 * half)
            across = (next_y - y) / away, (x - next_x) / away
            ends = [self.at((x - across[0], y - across[1])), self.at((x + across[0], y + across[1]))]
            self.canvas.line(ends, 0.02 * self.hold.unit, shade(self.person.skin, 0.72))

    def _nail(self, line: Line, half: float) -> None:
        (x, y), (tip_x, tip_y) = line[-2:]
        start, end = ((x + part * (tip_x - x), y + part * (tip_y - y)) for part in (0.75, 1.05))
        self.canvas.rod(self.at(start), self.at(end), 0.5 * half * self.hold.unit, self.person.nails or self.person.skin)

    def _curled(self, number: int) -> None:
        """From the palm: the finger's end on the palm; from the back: the bent first joint behind the knuckle."""
        (x, y), half = KNUCKLES[number], HALVES[number] * self.person.thick
        if self.hold.back:
            self.rods(((x, y - 0.1), (x, y + 0.08)), 1.05 * half, 1.05 * half, shade(self.person.skin, 0.9))
        else:
            self.rods(((0.97 * x, y + 0.12), (0.9 * x, y - 0.12), (0.84 * x, y - 0.34)), 1.12 * half, 0.95 * half, self.person.skin)

    def _half_bent(self, number: int) -> None:
        line, half = self._line(number, 0.62), HALVES[number] * self.person.thick
        self.rods(line[:3], half, half, self.person.skin)
        if not self.hold.back:
            (x, y), (near_x, near_y) = line[2], line[1]
            self.rods(((x, y), ((x + near_x) / 2, (y + near_y) / 2 - 0.05)), half, 0.9 * half, shade(self.person.skin, 0.96))

    def _to_thumb(self, number: int) -> None:
        """To the tip of the thumb: the index aside, so that it makes a ring; the others over the palm."""
        (x, y), half, tip = KNUCKLES[number], HALVES[number] * self.person.thick, THUMBS[self.pose.thumb][-1]
        if self.pose.thumb == "ring":
            self.rods(((x, y - 0.1), (x - 0.16, y + 0.28), (x - 0.42, y + 0.22), tip), half, 0.85 * half, self.person.skin)
        elif self.hold.back:
            self._curled(number)
        else:
            self.rods(((x, y - 0.05), (x, y + 0.16), ((x + tip[0]) / 2, y - 0.08), tip), half, 0.85 * half, self.person.skin)

    def thumb(self) -> None:
        """The ball of the thumb belongs to the palm; a thumb across the palm is hidden from the back."""
        half = THUMB_HALF * self.person.thick
        line = THUMBS[self.pose.thumb]
        self.rods(line[:2], 1.5 * half, 1.15 * half, self.person.skin, 0.0 if not self.hold.back else 0.022)
        self.rods(line[1:], 1.1 * half, 0.88 * half, self.person.skin)
        if self.pose.thumb in ("across", "up") or self.hold.back:
            self._nail(line, half)


def _cloth(color: Color) -> Paint:
    base = np.array(color, np.float32)
    return lambda at: np.asarray(base * (1 + 0.06 * np.sin(40 * at[0] + 4 * at[1]))[..., None], np.float32)
