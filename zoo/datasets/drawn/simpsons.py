"""Draws a small stand-in for the Simpsons data set: 42 cartoon characters of our own that only borrow the class names.

A character is a line of `CAST`: a head shape, an ear size, three colours, and the names of parts (hair, beard, glasses, hat,
clothes ...) that `PARTS` describes as points. One function draws them all, so there is no code for any single character.
Nearly all share one family of skin colours and change clothes now and then: it takes shapes to tell them apart.
"""

from __future__ import annotations

import colorsys
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import cos, radians, sin
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from zoo.datasets.source import write_csv
from zoo.progress import track

Points = Sequence[tuple[float, ...]]
Color = tuple[int, int, int]
Array = NDArray[np.float64]

INK: Color = (38, 28, 30)
# fmt: off
COLORS: dict[str, Color] = {
    "ink": INK, "white": (250, 248, 242), "black": (52, 48, 58), "grey": (150, 152, 160), "silver": (205, 208, 214),
    "brown": (122, 76, 44), "umber": (78, 54, 44), "auburn": (158, 72, 38), "ginger": (226, 112, 40), "blond": (240, 214, 120),
    "sand": (214, 180, 130), "red": (208, 48, 48), "pink": (240, 140, 172), "rose": (216, 84, 112), "orange": (240, 140, 48),
    "gold": (236, 186, 50), "olive": (132, 138, 62), "lime": (150, 198, 74), "green": (62, 142, 84), "teal": (40, 150, 152),
    "sky": (118, 188, 230), "blue": (62, 104, 190), "navy": (46, 62, 110), "violet": (132, 92, 180), "lilac": (186, 160, 220),
    "plum": (120, 52, 96), "cream": (244, 228, 192), "tongue": (214, 92, 92), "frame": (52, 48, 58),
}
# fmt: on
SKINS: dict[str, Color] = {"light": (255, 217, 82), "tan": (232, 178, 76), "deep": (176, 118, 62)}

HEADS: dict[str, tuple[float, float, float, float]] = {
    "round": (1.0, 1.0, 2.0, 0.0),
    "oval": (0.88, 1.12, 2.1, 0.0),
    "tall": (0.78, 1.3, 2.4, 0.04),
    "long": (0.72, 1.36, 2.8, -0.08),
    "square": (0.95, 1.04, 4.5, 0.0),
    "barrel": (0.86, 1.2, 3.4, 0.06),
    "pear": (0.95, 1.12, 2.2, 0.26),
    "jowl": (1.06, 1.02, 2.6, 0.3),
    "egg": (0.98, 1.12, 2.1, -0.26),
    "wedge": (0.98, 1.14, 2.6, -0.36),
    "wide": (1.2, 0.88, 2.4, 0.06),
    "baby": (1.06, 0.86, 2.1, 0.14),
}
"""Half width, half height, squareness (2 is an ellipse) and how much wider the chin is than the crown."""


class Piece(NamedTuple):
    """One shape of a part, in the coordinates of its layer.

    "blob" is a filled closed curve, "poly" the same with corners, "line" an open curve and "loop" a closed one, "dots" are ovals
    (x, y, half width, half height). Neighbours of one colour and layer melt into one silhouette.
    """

    layer: str
    kind: str
    color: str
    points: Points
    width: float = 0.06


LAYERS = ("behind", "body", "skull", "hair", "beard", "look", "nose", "face", "hat")
"""From back to front. Behind, hair and hat hug the skull (1 is its outline), body hangs from the chin, the rest turns with the face."""


def arc(r: float, start: float, stop: float, n: int) -> list[tuple[float, ...]]:
    """`n` points of a circle; angles in degrees from the top, clockwise."""
    return [(r * sin(radians(a)), -r * cos(radians(a))) for a in np.linspace(start, stop, n).tolist()]


def fan(start: float, stop: float, inner: float, outer: float, n: int) -> list[tuple[float, ...]]:
    """`n` spikes that stand on a circle."""
    angles = np.linspace(start, stop, 2 * n + 1).tolist()
    return [arc(outer if i % 2 else inner, a, a, 1)[0] for i, a in enumerate(angles)]


def ring(r: float, start: float, stop: float, n: int, size: float) -> list[tuple[float, ...]]:
    """`n` balls of one size along a circle, as "dots"."""
    return [(*point, size, size) for point in arc(r, start, stop, n)]


def both(*points: tuple[float, ...]) -> list[tuple[float, ...]]:
    """The outline whose right half is given from top to bottom."""
    return [*points, *((-x, y) for x, y in reversed(points) if x)]


def twice(layer: str, kind: str, color: str, points: Points, width: float = 0.06) -> list[Piece]:
    """A piece and its mirror image."""
    return [Piece(layer, kind, color, [(s * p[0], *p[1:]) for p in points], width) for s in (1, -1)]


def cap(*line: tuple[float, ...], r: float = 1.08, side: float = 92) -> Piece:
    """Hair that covers the crown down to a hairline given from left to right."""
    return Piece("hair", "blob", "hair", [*arc(r, side, -side, 13), *line])


FRINGE = ((-0.88, -0.2), (-0.6, -0.5), (0.0, -0.62), (0.6, -0.5), (0.88, -0.2))
SIDES = ((-0.82, -0.18), (-0.78, -0.45), (-0.5, -0.78), (0.0, -0.62), (0.55, -0.5), (0.86, -0.16))
PARTED = ((-0.98, 0.25), (-0.78, -0.1), (-0.4, -0.4), (0.0, -0.98), (0.4, -0.4), (0.78, -0.1), (0.98, 0.25))
P = Piece

# fmt: off
PARTS: dict[str, list[Piece]] = {
    # hair
    "spikes": [P("hair", "poly", "hair", [*fan(-72, 72, 1.02, 1.5, 7), (0.6, -0.58), (0.0, -0.68), (-0.6, -0.58)])],
    "wild": [P("behind", "poly", "hair", fan(-140, -28, 0.9, 1.62, 6)), P("behind", "poly", "hair", fan(28, 140, 0.9, 1.62, 6))],
    "crew": [cap((-0.72, -0.5), (-0.3, -0.7), (0.3, -0.7), (0.72, -0.5), r=1.06, side=72)],
    "flattop": [P("hair", "poly", "hair", both((1.06, -1.42), (0.96, -0.35), (0.74, -0.4), (0.6, -0.66)))],
    "tower": [
        P("behind", "blob", "hair", both((0.0, -2.75), (0.55, -2.6), (0.72, -2.1), (0.92, -1.3), (1.08, -0.5), (0.9, 0.1))),
        cap(*FRINGE),
        P("hair", "line", "white", [(0.3, -0.66), (0.55, -1.2), (0.3, -1.8), (0.42, -2.35)], 0.13),
    ],
    "afro": [
        P("behind", "dots", "hair", [*ring(1.2, -118, 118, 11, 0.5), (0, -0.5, 1.2, 1.0)]),
        P("hair", "dots", "hair", ring(0.98, -62, 62, 7, 0.26)),
    ],
    "fuzz": [P("hair", "dots", "hair", ring(0.98, -84, 84, 11, 0.22))],
    "curls": [P("hair", "dots", "hair", [*ring(1.1, -100, 100, 9, 0.34), *ring(0.86, -45, 45, 4, 0.27)])],
    "waves": [P("behind", "dots", "hair", ring(1.18, -148, 148, 13, 0.4)), cap(*SIDES)],
    "bun": [P("behind", "dots", "hair", [(0, -1.34, 0.5, 0.42)]), cap(*FRINGE)],
    "sidepart": [cap(*SIDES)],
    "bowl": [cap((-0.98, 0.05), (-0.84, -0.24), (0, -0.34), (0.84, -0.24), (0.98, 0.05), r=1.16, side=104)],
    "pigtails": [
        *twice("behind", "blob", "hair", [(1.0, -0.5), (1.5, -0.75), (1.85, -0.2), (1.62, 0.62), (1.3, 0.1)]),
        cap(*PARTED),
        P("hair", "dots", "second", [(1.06, -0.46, 0.14, 0.14), (-1.06, -0.46, 0.14, 0.14)]),
    ],
    "bob": [P("behind", "blob", "hair", both((0.0, -1.2), (0.85, -1.0), (1.28, -0.1), (1.5, 0.85), (0.9, 0.8))), cap(*SIDES)],
    "long": [P("behind", "blob", "hair", both((0.0, -1.12), (0.9, -0.9), (1.24, 0.0), (1.3, 1.5), (0.7, 1.6))), cap(*PARTED)],
    "ponytail": [
        P("behind", "blob", "hair", [(0.7, -0.9), (1.35, -1.25), (1.75, -0.5), (1.6, 0.7), (1.36, 0.0), (1.1, -0.5)]),
        cap(*FRINGE),
    ],
    "puffs": [*twice("behind", "dots", "hair", [(1.1, -0.42, 0.4, 0.4), (1.38, -0.05, 0.42, 0.42), (1.12, 0.34, 0.36, 0.36)])],
    "horseshoe": [*twice("hair", "blob", "hair", [(0.98, -0.5), (1.14, -0.3), (1.14, 0.2), (0.96, 0.3), (0.84, -0.1)])],
    "pompadour": [
        P("hair", "blob", "hair", [(-0.96, -0.2), (-1.1, -0.95), (-0.7, -1.55), (0.2, -1.72), (1.0, -1.4), (1.14, -0.8), (0.95, -0.2),
            (0.72, -0.56), (0.0, -0.72), (-0.72, -0.56)]),
    ],
    "quiff": [
        cap(*FRINGE),
        P("hair", "blob", "hair", [(-0.75, -0.85), (-0.5, -1.4), (0.3, -1.75), (1.2, -1.5), (0.95, -1.12), (0.5, -0.7)]),
    ],
    "combover": [
        *twice("hair", "blob", "hair", [(0.96, -0.4), (1.1, -0.2), (1.08, 0.12), (0.9, 0.0)]),
        *(P("hair", "line", "hair", [(-0.86, -0.42), (-0.3, y), (0.4, y), (0.9, -0.46)], 0.09) for y in (-0.74, -0.94, -1.14)),
    ],
    "strands": [P("hair", "line", "hair", [(x, -0.95), (1.8 * x - 0.1, -1.3), (2.2 * x + 0.1, -1.62)], 0.09) for x in (-0.3, 0.02, 0.34)],
    "rake": [P("hair", "line", "hair", [(x, -0.5), (1.1 * x, -0.86), (1.15 * x, -1.16)], 0.11)
        for x in (-0.62, -0.36, -0.12, 0.12, 0.36, 0.62)],
    "palm": [P("behind", "blob", "hair", [(0.7 * x, -0.5), *arc(1.9, a - 9, a + 9, 3), (0.7 * x + 0.25, -0.55)])
        for a in (-78, -52, -26, 0, 26, 52, 78) for x in (sin(radians(a)),)] + [cap(*FRINGE, r=1.05)],
    "slick": [cap((-0.86, -0.12), (-0.66, -0.62), (-0.34, -0.78), (0.0, -0.42), (0.34, -0.78), (0.66, -0.62), (0.86, -0.12))],
    "curtains": [cap(*PARTED, r=1.1, side=100)],
    "mullet": [
        P("behind", "blob", "hair", both((0.0, -1.0), (0.9, -0.8), (1.16, 0.2), (1.2, 1.3), (0.6, 1.4))),
        cap(*FRINGE, r=1.04, side=75),
    ],
    "jag": [
        P("hair", "poly", "hair", [*arc(1.08, 94, -94, 11), (-0.86, 0.0), (-0.68, -0.5), (-0.5, -0.18), (-0.26, -0.55), (0.0, -0.2),
            (0.26, -0.55), (0.5, -0.18), (0.68, -0.5), (0.86, 0.0)]),
    ],
    "topknot": [P("behind", "line", "hair", [(0, -0.9), (0, -1.3)], 0.16), P("behind", "dots", "hair", [(0, -1.4, 0.26, 0.3)])],
    "humps": [P("behind", "dots", "hair", [(-0.58, -1.08, 0.66, 0.72), (0.58, -1.08, 0.66, 0.72)]), cap(*PARTED)],
    "shag": [
        P("behind", "poly", "hair", [*fan(-160, 160, 1.12, 1.4, 13)]),
        P("hair", "poly", "hair", [*arc(1.1, 98, -98, 11), (-0.7, -0.4), (-0.1, -0.7), (0.3, -0.3), (0.5, -0.6), (0.8, -0.2)]),
    ],
    "flip": [
        P("behind", "blob", "hair", both((0.0, -1.2), (0.9, -1.0), (1.2, 0.0), (1.16, 0.6), (1.72, 0.78), (0.9, 1.05))),
        cap(*FRINGE),
    ],
    # beards and moustaches
    "stubble": [P("beard", "blob", "stubble", both((0.0, 0.3), (0.55, 0.22), (0.72, 0.55), (0.0, 0.86)), 0)],
    "muzzle": [P("beard", "blob", "white", both((0.0, 0.26), (0.6, 0.2), (0.78, 0.55), (0.0, 0.9)), 0.03)],
    "beard": [P("beard", "blob", "hair", both((0.0, 0.3), (0.5, 0.28), (0.92, -0.05), (0.9, 0.65), (0.4, 1.2), (0.0, 1.26)))],
    "goatee": [P("beard", "blob", "hair", both((0.0, 0.72), (0.2, 0.72), (0.3, 0.96), (0.0, 1.3)))],
    "chinstrap": [P("beard", "blob", "hair", both((0.0, 0.8), (0.5, 0.62), (0.8, 0.2), (0.96, 0.1), (0.8, 0.8), (0.0, 1.12)))],
    "walrus": [P("look", "blob", "hair", both((0.0, 0.3), (0.42, 0.3), (0.66, 0.58), (0.28, 0.5), (0.0, 0.46)))],
    "pencil": [*twice("look", "line", "hair", [(0.05, 0.36), (0.4, 0.42)], 0.07)],
    "handlebar": [*twice("look", "blob", "hair", [(0.0, 0.32), (0.4, 0.34), (0.62, 0.16), (0.6, 0.44), (0.3, 0.48), (0.0, 0.4)])],
    # noses
    "ball": [P("nose", "dots", "skin", [(0, 0.14, 0.2, 0.17)])],
    "button": [P("nose", "dots", "skin", [(0, 0.14, 0.12, 0.1)])],
    "broad": [P("nose", "blob", "skin", both((0.0, 0.0), (0.24, 0.1), (0.3, 0.24), (0.0, 0.3)))],
    "hook": [P("nose", "blob", "skin", [(-0.1, -0.1), (0.3, 0.02), (0.4, 0.34), (0.22, 0.22), (0.0, 0.26), (-0.12, 0.18)])],
    "point": [P("nose", "poly", "skin", [(-0.08, 0.0), (0.52, 0.2), (-0.06, 0.27)])],
    "drop": [P("nose", "blob", "skin", both((0.0, -0.14), (0.09, 0.0), (0.2, 0.26), (0.0, 0.36)))],
    "clown": [P("nose", "dots", "red", [(0, 0.14, 0.25, 0.23)])],
    # glasses
    "rounds": [P("face", "hoops", "frame", [(0.36, -0.12, 0.36, 0.36), (-0.36, -0.12, 0.36, 0.36)], 0.08)],
    "squares": [
        *twice("face", "loop", "frame", [(0.06, -0.38), (0.7, -0.38), (0.66, 0.14), (0.1, 0.14)], 0.1),
        P("face", "line", "frame", [(-0.08, -0.2), (0.08, -0.2)], 0.1),
    ],
    "cateye": [
        *twice("face", "loop", "second", [(0.06, -0.28), (0.4, -0.4), (0.9, -0.62), (0.68, 0.08), (0.36, 0.18), (0.1, 0.1)], 0.1),
        P("face", "line", "second", [(-0.08, -0.2), (0.08, -0.2)], 0.1),
    ],
    "halves": [*twice("face", "loop", "gold", [(0.08, 0.02), (0.62, 0.02), (0.52, 0.26), (0.2, 0.28)], 0.07)],
    "shades": [*twice("face", "blob", "black", [(0.04, -0.36), (0.4, -0.4), (0.76, -0.34), (0.62, 0.1), (0.34, 0.16), (0.1, 0.02)])],
    "stars": [*twice("face", "poly", "second", [(0.38 + 0.44 * x, -0.13 + 0.44 * y) for x, y in fan(0, 360, 0.5, 1.0, 5)])],
    "monocle": [
        P("face", "hoops", "gold", [(0.36, -0.12, 0.38, 0.38)], 0.09),
        P("face", "line", "gold", [(0.66, 0.1), (0.8, 0.5), (0.76, 0.9)]),
    ],
    # marks
    "brow": [P("look", "line", "hair", [(-0.66, -0.46), (-0.3, -0.52), (0.0, -0.46), (0.3, -0.52), (0.66, -0.46)], 0.14)],
    "brows": [*twice("look", "line", "hair", [(0.16, -0.52), (0.4, -0.64), (0.66, -0.52)], 0.12)],
    "lashes": [
        *(p for x, y in ((0.52, -0.5), (0.68, -0.42), (0.36, -0.52)) for p in twice("look", "line", "ink", [(0.9 * x, 0.75 * y),
            (1.14 * x, 1.12 * y)], 0.05)),
    ],
    "freckles": [*twice("look", "dots", "stubble", [(0.5, 0.28, 0.05, 0.05), (0.66, 0.2, 0.05, 0.05), (0.68, 0.36, 0.05, 0.05)], 0)],
    "cheeks": [*twice("look", "dots", "pink", [(0.66, 0.3, 0.17, 0.13)], 0)],
    "bags": [*twice("look", "line", "shade", [(0.14, 0.2), (0.36, 0.28), (0.58, 0.18)], 0.06)],
    "wrinkles": [P("look", "line", "shade", [(-0.4, y), (0.0, y - 0.05), (0.4, y)], 0.05)
        for y in (-0.6, -0.74)] + twice("look", "line", "shade", [(0.4, 0.3), (0.6, 0.5), (0.54, 0.7)], 0.05),
    "mole": [P("look", "dots", "ink", [(0.48, 0.42, 0.06, 0.06)], 0)],
    "plaster": [P("look", "poly", "cream", [(-0.86, 0.24), (-0.5, 0.14), (-0.44, 0.32), (-0.8, 0.42)], 0.04)],
    "scar": [
        P("look", "line", "rose", [(-0.66, 0.2), (-0.5, 0.62)], 0.06),
        *(P("look", "line", "rose", [(x - 0.12, y), (x + 0.1, y - 0.05)], 0.04) for x, y in ((-0.62, 0.34), (-0.55, 0.5))),
    ],
    "lips": [P("beard", "blob", "rose", both((0.0, 0.44), (0.14, 0.4), (0.48, 0.56), (0.2, 0.76), (0.0, 0.78)), 0.03)],
    "teeth": [
        P("look", "poly", "white", [(-0.2, 0.5), (0.2, 0.5), (0.18, 0.78), (-0.18, 0.78)], 0.035),
        P("look", "line", "ink", [(0, 0.52), (0, 0.78)], 0.035),
    ],
    "dummy": [P("face", "dots", "second", [(0, 0.56, 0.34, 0.24)]), P("face", "hoops", "gold", [(0, 0.68, 0.15, 0.17)], 0.07)],
    "hoops": [*twice("hat", "hoops", "gold", [(1.1, 0.5, 0.2, 0.24)], 0.08)],
    "drops": [*twice("hat", "poly", "second", [(1.08, 0.22), (1.28, 0.68), (0.9, 0.68)])],
    "studs": [*twice("hat", "dots", "second", [(1.08, 0.34, 0.13, 0.13)])],
    # hats
    "beanie": [
        P("hat", "blob", "second", [*arc(1.14, 76, -76, 11), (0.0, -0.46)]),
        P("hat", "line", "white", [(-1.02, -0.36), (0, -0.5), (1.02, -0.36)], 0.24),
        P("hat", "dots", "white", [(0, -1.24, 0.2, 0.2)]),
    ],
    "peaked": [
        P("hat", "poly", "second", both((1.3, -1.36), (0.98, -0.62))),
        P("hat", "line", "ink", [(-0.98, -0.66), (0, -0.74), (0.98, -0.66)], 0.22),
        P("hat", "blob", "black", both((0.0, -0.66), (0.9, -0.6), (0.62, -0.36), (0.0, -0.3))),
        P("hat", "dots", "gold", [(0, -1.0, 0.18, 0.18)]),
    ],
    "straw": [
        P("hat", "blob", "sand", both((0.0, -1.6), (0.6, -1.5), (0.76, -0.7))),
        P("hat", "blob", "sand", both((0.0, -0.86), (1.5, -0.8), (1.6, -0.5), (0.0, -0.46))),
        P("hat", "line", "second", [(-0.72, -0.9), (0, -0.98), (0.72, -0.9)], 0.16),
    ],
    "fedora": [
        P("hat", "blob", "second", both((0.0, -1.42), (0.5, -1.62), (0.84, -0.7))),
        P("hat", "blob", "second", both((0.0, -0.8), (1.3, -0.86), (1.36, -0.62), (0.0, -0.4))),
        P("hat", "line", "ink", [(-0.74, -0.86), (0, -0.92), (0.74, -0.86)], 0.16),
    ],
    "propeller": [
        P("hat", "blob", "second", [*arc(1.12, 66, -66, 9), (0.0, -0.52)]),
        P("hat", "line", "ink", [(0, -1.1), (0, -1.36)]),
        P("hat", "dots", "red", [(-0.34, -1.42, 0.34, 0.12), (0.34, -1.42, 0.34, 0.12)]),
    ],
    "bow": [
        *twice("hat", "blob", "second", [(0.02, -1.04), (0.5, -1.44), (0.62, -0.8)]),
        P("hat", "dots", "second", [(0, -1.06, 0.13, 0.13)]),
    ],
    "headband": [P("hat", "line", "second", [(-1.02, -0.44), (-0.5, -0.62), (0.5, -0.62), (1.02, -0.44)], 0.22)],
    "bandana": [
        P("hat", "blob", "second", [*arc(1.1, 80, -80, 11), (-0.5, -0.46), (0.5, -0.46)]),
        P("hat", "poly", "second", [(1.0, -0.3), (1.5, -0.4), (1.4, 0.05)]),
        P("hat", "dots", "white", [(-0.5, -0.74, 0.09, 0.09), (0.5, -0.74, 0.09, 0.09), (0, -0.68, 0.09, 0.09),
            (-0.25, -0.92, 0.09, 0.09), (0.25, -0.92, 0.09, 0.09)], 0),
    ],
    "phones": [P("hat", "line", "second", arc(1.2, -84, 84, 11), 0.17), *twice("hat", "dots", "black", [(1.12, 0.06, 0.22, 0.34)])],
    "flower": [
        P("hat", "dots", "second", [(0.72 + 0.2 * x, -0.7 + 0.2 * y, 0.15, 0.15) for x, y in arc(1, 0, 288, 5)]),
        P("hat", "dots", "gold", [(0.72, -0.7, 0.13, 0.13)]),
    ],
    "feather": [
        P("hat", "line", "second", [(-1.02, -0.44), (-0.5, -0.62), (0.5, -0.62), (1.02, -0.44)], 0.16),
        P("hat", "blob", "red", [(0.5, -0.6), (0.55, -1.4), (0.85, -1.75), (0.9, -1.2)]),
    ],
    # clothes
    "tee": [P("body", "line", "second", [(-0.4, 0.22), (-0.24, 0.48), (0, 0.56), (0.24, 0.48), (0.4, 0.22)], 0.1)],
    "vneck": [
        P("body", "poly", "skin", [(-0.34, 0.1), (0.34, 0.1), (0.0, 1.0)], 0),
        P("body", "line", "second", [(-0.42, 0.2), (0.0, 1.02)], 0.12),
        P("body", "line", "second", [(0.42, 0.2), (0.0, 1.02)], 0.12),
    ],
    "collar": twice("body", "poly", "white", [(0.0, 0.46), (0.38, 0.1), (0.66, 0.46), (0.34, 0.82)]),
    "tie": [
        P("body", "poly", "second", both((0.17, 0.44), (0.1, 0.64), (0.24, 1.5), (0.0, 1.75))),
        *twice("body", "poly", "white", [(0.02, 0.5), (0.36, 0.1), (0.6, 0.46), (0.34, 0.78)]),
    ],
    "bowtie": [
        *twice("body", "poly", "white", [(0.0, 0.46), (0.38, 0.1), (0.66, 0.46), (0.34, 0.82)]),
        *twice("body", "blob", "second", [(0.0, 0.52), (0.44, 0.28), (0.52, 0.55), (0.44, 0.8)]),
        P("body", "dots", "second", [(0, 0.54, 0.12, 0.13)]),
    ],
    "turtle": [
        P("body", "poly", "main", both((0.44, -0.1), (0.5, 0.36), (0.0, 0.46))),
        P("body", "line", "second", [(-0.46, 0.14), (0, 0.24), (0.46, 0.14)], 0.07),
    ],
    "pearls": [P("body", "dots", "white", [(0.52 * x, 0.28 - 0.34 * y, 0.11, 0.11) for x, y in arc(1, 90, 270, 8)], 0.04)],
    "suit": [
        P("body", "poly", "white", [(-0.36, 0.16), (0.36, 0.16), (0.0, 1.7)], 0),
        P("body", "poly", "second", both((0.15, 0.42), (0.09, 0.6), (0.2, 1.3), (0.0, 1.5))),
        *twice("body", "poly", "main", [(0.36, 0.08), (0.66, 0.34), (0.8, 0.8), (0.58, 0.82), (0.0, 1.75), (0.16, 0.9)]),
    ],
    "hood": [
        *twice("body", "blob", "main", [(0.28, 0.3), (0.7, 0.02), (1.0, 0.4), (0.5, 0.7)]),
        *twice("body", "line", "second", [(0.24, 0.52), (0.3, 1.1)], 0.08),
    ],
    "stripes": [P("body", "line", "second", [(-1.3, y), (0.0, y + 0.06), (1.3, y)], 0.15) for y in (0.85, 1.25, 1.65, 2.05)],
    "overalls": [
        *twice("body", "poly", "second", [(0.5, 0.36), (0.78, 0.46), (0.74, 1.2), (0.46, 1.2)]),
        P("body", "poly", "second", [(-0.8, 1.1), (0.8, 1.1), (0.9, 4), (-0.9, 4)]),
        P("body", "dots", "gold", [(-0.6, 1.24, 0.09, 0.09), (0.6, 1.24, 0.09, 0.09)], 0.03),
    ],
    "badge": [
        *twice("body", "poly", "second", [(0.0, 0.48), (0.4, 0.1), (0.7, 0.5), (0.34, 0.85)]),
        P("body", "poly", "gold", [(0.78 + 0.26 * x, 1.06 + 0.26 * y) for x, y in fan(0, 360, 0.5, 1.0, 5)], 0.04),
    ],
    "scarf": [
        P("body", "poly", "second", [(0.2, 0.4), (0.6, 0.4), (0.7, 1.5), (0.36, 1.55)]),
        P("body", "blob", "second", both((0.0, -0.04), (0.56, -0.02), (0.7, 0.36), (0.0, 0.56))),
    ],
    "ruff": [P("body", "dots", "white", [(x, 0.4 - 0.14 * x * x, 0.22, 0.22) for x in (-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9)], 0.04)],
    "vest": twice("body", "poly", "second", [(0.4, 0.24), (0.95, 0.48), (1.42, 1.0), (1.5, 4.0), (0.5, 4.0), (0.42, 0.9)]),
    "coat": twice("body", "poly", "white", [(0.3, 0.14), (0.95, 0.44), (1.46, 1.0), (1.55, 4.0), (0.2, 4.0), (0.2, 1.0)]),
    "medal": [
        P("body", "line", "gold", [(-0.45, 0.24), (0.0, 1.0), (0.45, 0.24)], 0.08),
        P("body", "dots", "gold", [(0, 1.08, 0.24, 0.24)]),
    ],
    "bib": [
        P("body", "blob", "white", both((0.0, 0.2), (0.5, 0.24), (0.62, 0.8), (0.0, 1.12))),
        P("body", "dots", "second", [(0, 0.7, 0.2, 0.2)], 0.03),
    ],
    "jersey": [
        P("body", "line", "second", [(-0.4, 0.22), (0, 0.56), (0.4, 0.22)], 0.12),
        P("body", "dots", "second", [(0, 1.2, 0.36, 0.36)]),
    ],
    "sash": [P("body", "poly", "second", [(-1.0, 0.46), (-0.66, 0.36), (1.4, 2.1), (1.4, 2.6)])],
    "zip": [
        *twice("body", "poly", "second", [(0.02, 0.5), (0.36, 0.0), (0.66, 0.3), (0.4, 0.7)]),
        P("body", "line", "silver", [(0, 0.56), (0, 4)], 0.08),
    ],
}
# fmt: on

BODY = [
    P("body", "blob", "main", both((0.0, 0.3), (0.42, 0.24), (0.95, 0.46), (1.4, 1.0), (1.55, 4.0), (0.0, 4.4))),
    P("body", "blob", "skin", both((0.34, -0.5), (0.34, 0.2), (0.0, 0.52))),
]
EYES: dict[str, tuple[float, float, float]] = {
    "big": (0.29, 0.3, 0.0),
    "wide": (0.36, 0.37, 0.0),
    "small": (0.2, 0.21, 0.0),
    "high": (0.2, 0.32, 0.0),
    "sleepy": (0.3, 0.28, 0.52),
    "dots": (0.0, 0.0, 0.0),
}
"""Half width and half height of the white, and how much of it the lid covers."""

MOUTHS: tuple[list[Piece], ...] = (
    [P("look", "line", "ink", [(-0.36, 0.54), (0.0, 0.68), (0.36, 0.54)])],
    [P("look", "line", "ink", [(-0.3, 0.6), (0.0, 0.58), (0.34, 0.52)])],
    [P("look", "line", "ink", [(-0.32, 0.66), (0.0, 0.56), (0.32, 0.66)])],
    [P("look", "blob", "tongue", both((0.0, 0.5), (0.3, 0.52), (0.22, 0.74), (0.0, 0.8)), 0.05)],
    [P("look", "blob", "white", both((0.0, 0.52), (0.36, 0.5), (0.26, 0.68), (0.0, 0.72)), 0.05)],
    [P("look", "dots", "tongue", [(0.0, 0.62, 0.13, 0.15)], 0.05)],
)


class Character(NamedTuple):
    """One class: its name, how many pictures of it the real data has, and what tells it apart."""

    name: str
    total: int
    head: str
    ears: float
    eyes: str
    hair: str
    main: str
    second: str
    parts: str
    skin: str = "light"


C = Character
# fmt: off
CAST: tuple[Character, ...] = (
    C("abraham_grampa_simpson", 913, "tall", 0.30, "sleepy", "silver", "plum", "sand", "horseshoe walrus hook halves scarf wrinkles"),
    C("agnes_skinner", 42, "egg", 0.14, "small", "grey", "lilac", "plum", "bun point cateye lashes pearls mole"),
    C("apu_nahasapeemapetilon", 623, "oval", 0.24, "high", "black", "green", "lime", "pompadour drop goatee stripes brows", "tan"),
    C("barney_gumble", 106, "jowl", 0.22, "sleepy", "auburn", "rose", "olive", "beanie stubble ball jersey"),
    C("bart_simpson", 1342, "square", 0.18, "big", "ginger", "red", "white", "spikes button freckles hood"),
    C("carl_carlson", 98, "round", 0.20, "big", "umber", "teal", "cream", "fuzz broad zip", "deep"),
    C("charles_montgomery_burns", 1193, "wedge", 0.26, "small", "silver", "green", "plum", "horseshoe monocle hook bowtie wrinkles"),
    C("chief_wiggum", 986, "jowl", 0.16, "small", "umber", "sky", "navy", "horseshoe peaked broad badge cheeks"),
    C("cletus_spuckler", 47, "long", 0.30, "dots", "sand", "cream", "blue", "straw mullet point overalls teeth"),
    C("comic_book_guy", 469, "wide", 0.14, "small", "brown", "sky", "navy", "ponytail chinstrap ball jersey"),
    C("disco_stu", 8, "oval", 0.0, "big", "violet", "pink", "gold", "afro stars drop medal pencil"),
    C("edna_krabappel", 457, "egg", 0.12, "sleepy", "brown", "olive", "orange", "flip button lashes lips vneck studs"),
    C("fat_tony", 27, "barrel", 0.20, "sleepy", "black", "grey", "plum", "slick fedora broad pencil suit scar"),
    C("gil", 27, "long", 0.24, "high", "grey", "sand", "rose", "combover drop bags tie"),
    C("groundskeeper_willie", 121, "square", 0.24, "small", "ginger", "teal", "umber", "curls brow beard ball turtle"),
    C("homer_simpson", 2246, "pear", 0.22, "wide", "umber", "orange", "cream", "strands stubble ball hood"),
    C("kent_brockman", 498, "barrel", 0.18, "high", "silver", "blue", "red", "pompadour drop suit brows"),
    C("krusty_the_clown", 1206, "round", 0.0, "big", "teal", "violet", "lime", "puffs clown muzzle bowtie brows"),
    C("lenny_leonard", 310, "wedge", 0.24, "big", "umber", "olive", "white", "crew stubble point collar"),
    C("lionel_hutz", 3, "oval", 0.20, "small", "auburn", "sky", "red", "curtains handlebar point suit"),
    C("lisa_simpson", 1354, "round", 0.14, "big", "blond", "rose", "teal", "pigtails rounds button lashes tee"),
    C("maggie_simpson", 128, "baby", 0.18, "wide", "ginger", "sky", "rose", "topknot bow dummy bib cheeks"),
    C("marge_simpson", 1291, "oval", 0.14, "big", "teal", "lime", "red", "tower button lashes hoops vneck"),
    C("martin_prince", 71, "egg", 0.20, "small", "brown", "red", "green", "bowl propeller squares ball tie cheeks"),
    C("mayor_quimby", 246, "square", 0.22, "sleepy", "brown", "navy", "gold", "quiff broad suit sash"),
    C("milhouse_van_houten", 1079, "round", 0.20, "big", "navy", "pink", "red", "curtains squares button overalls"),
    C("miss_hoover", 17, "tall", 0.12, "sleepy", "umber", "teal", "orange", "bob flower halves point turtle lashes"),
    C("moe_szyslak", 1452, "barrel", 0.34, "small", "grey", "sky", "black", "curls brow broad bowtie bags"),
    C("ned_flanders", 1454, "tall", 0.22, "high", "auburn", "green", "pink", "sidepart walrus rounds drop vest"),
    C("nelson_muntz", 358, "wide", 0.20, "sleepy", "auburn", "orange", "umber", "jag button plaster vest"),
    C("otto_mann", 32, "long", 0.0, "big", "black", "lime", "red", "long phones shades drop tee stubble"),
    C("patty_bouvier", 72, "pear", 0.14, "sleepy", "lilac", "blue", "orange", "afro button drops lashes vneck bags"),
    C("principal_skinner", 1194, "barrel", 0.22, "big", "grey", "violet", "navy", "flattop point tie"),
    C("professor_john_frink", 65, "egg", 0.22, "wide", "brown", "sky", "red", "wild rounds hook teeth coat"),
    C("rainier_wolfcastle", 45, "square", 0.16, "small", "blond", "black", "grey", "flattop shades broad turtle chinstrap"),
    C("ralph_wiggum", 89, "round", 0.24, "dots", "umber", "sky", "red", "rake ball collar cheeks"),
    C("selma_bouvier", 103, "pear", 0.14, "sleepy", "lilac", "rose", "teal", "humps button studs lashes pearls bags"),
    C("sideshow_bob", 877, "long", 0.22, "high", "red", "teal", "olive", "palm hook coat"),
    C("sideshow_mel", 40, "wide", 0.20, "wide", "green", "sand", "umber", "waves feather ball goatee ruff"),
    C("snake_jailbird", 55, "wedge", 0.20, "sleepy", "black", "white", "blue", "shag bandana point stubble stripes"),
    C("troy_mcclure", 8, "square", 0.22, "high", "ginger", "cream", "violet", "quiff button bowtie brows"),
    C("waylon_smithers", 181, "oval", 0.22, "big", "grey", "lime", "violet", "sidepart rounds button bowtie"),
)
# fmt: on
BY_NAME = {character.name: character for character in CAST}


@dataclass(frozen=True)
class Pose:
    """How a character stands in one picture: pixels for `x`, `y`, `unit`; radians for `tilt`."""

    x: float
    y: float
    unit: float
    tilt: float = 0.0
    mirror: bool = False
    turn: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    mouth: int = 0
    blink: bool = False
    light: float = -0.06


class Pen:
    """Draws shapes given in units of a head's half width, turned and shifted onto the picture."""

    def __init__(self, picture: Image.Image, x: float, y: float, unit: float, tilt: float, mirror: bool) -> None:
        self.draw = ImageDraw.Draw(picture)
        self.unit = unit
        flip = -1.0 if mirror else 1.0
        self.matrix = unit * np.array([[flip * cos(tilt), sin(tilt) * flip], [-sin(tilt), cos(tilt)]])
        self.shift = np.array([x, y])

    def at(self, points: Array) -> list[tuple[float, float]]:
        """Where points (N,2) come to lie, in pixels."""
        placed = points @ self.matrix + self.shift
        return [(float(x), float(y)) for x, y in placed]

    def fill(self, points: Array, color: Color) -> None:
        """A closed shape without an outline."""
        self.draw.polygon(self.at(points), fill=color)

    def stroke(self, points: Array, color: Color, width: float, closed: bool = False) -> None:
        """A line of a width in units; an open one ends round."""
        placed = self.at(points)
        pixels = max(1, round(width * self.unit))
        self.draw.line([*placed, *placed[:2]] if closed else placed, fill=color, width=pixels, joint="curve")
        for x, y in () if closed else (placed[0], placed[-1]):
            self.draw.ellipse((x - pixels / 2, y - pixels / 2, x + pixels / 2, y + pixels / 2), fill=color)


def spline(points: Array, closed: bool, steps: int = 5) -> Array:
    """The Catmull-Rom curve through points (N,2)."""
    last = len(points) - 1
    index = np.arange(-1, last + 3)
    around = points[index % len(points) if closed else index.clip(0, last)]
    p0, p1, p2, p3 = (around[i : len(points) + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    flat: Array = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat[: (len(points) - 1) * steps], points[-1:]])


CIRCLE: Array = np.array(arc(1.0, 0, 345, 24))


def _as_is(points: Array) -> Array:
    return points  # clothes are drawn by a pen of their own that stands at the chin


class Frames:
    """From the coordinates of a layer to those of the pen."""

    def __init__(self, head: str, turn: float) -> None:
        self.width, self.height, self.power, self.taper = HEADS[head]
        self.turn = turn

    def skull(self, points: Array) -> Array:
        """The unit disc becomes the head: a superellipse that widens or narrows towards the chin."""
        r = np.maximum(np.hypot(points[:, 0], points[:, 1]), 1e-9)
        bulge = (np.abs(points / r[:, None]) ** self.power).sum(1) ** (-1 / self.power)
        u, v = points[:, 0] * bulge, points[:, 1] * bulge
        return np.stack([self.width * u * (1 + self.taper * np.clip(v, -1, 1)), self.height * v], 1)

    def face(self, points: Array) -> Array:
        """Features keep their size on wide heads and slide sideways as the head turns."""
        moved: Array = points * [min(self.width, 1.0) ** 0.7, self.height**0.8] + [self.turn, 0.04]
        return moved

    def outlines(self, piece: Piece) -> list[Array]:
        """The curves of a piece, each (N,2)."""
        frame = {"body": _as_is, "behind": self.skull, "hair": self.skull, "hat": self.skull}.get(piece.layer, self.face)
        points = np.array(piece.points, dtype=np.float64)
        if piece.kind in ("dots", "hoops"):
            return [frame(points[i : i + 1, :2]) + CIRCLE * points[i, 2:] for i in range(len(points))]
        if piece.kind in ("poly", "loop"):
            return [frame(points)]
        return [frame(spline(points, closed=piece.kind == "blob"))]


def paint(pen: Pen, frames: Frames, pieces: Sequence[Piece], palette: dict[str, Color]) -> None:
    """Draw pieces in order; the ink of neighbours of one colour comes first, so that they melt together."""
    for name, group in groupby(pieces, key=lambda piece: piece.color):
        shapes = [(piece, line) for piece in group for line in frames.outlines(piece)]
        for piece, line in shapes:
            if piece.width and piece.kind in ("blob", "poly", "dots"):
                pen.stroke(line, INK, 2 * piece.width, closed=True)
            elif piece.kind == "line" and name not in ("ink", "shade", "rose"):
                pen.stroke(line, INK, piece.width + 0.08)
        for piece, line in shapes:
            if piece.kind in ("line", "loop", "hoops"):
                pen.stroke(line, palette[name], piece.width, closed=piece.kind != "line")
            else:
                pen.fill(line, palette[name])


def draw_head(picture: Image.Image, character: Character, pose: Pose, palette: dict[str, Color]) -> None:
    """Draw one character, head and shoulders, onto an RGB or RGBA picture."""
    frames = Frames(character.head, pose.turn)
    pen = Pen(picture, pose.x, pose.y, pose.unit, pose.tilt, pose.mirror)
    chin = pen.at(np.array([[0.0, 0.82 * frames.height]]))[0]
    shoulders = Pen(picture, *chin, pose.unit, 0.3 * pose.tilt, pose.mirror)
    layers: dict[str, list[Piece]] = {layer: [] for layer in LAYERS}
    for piece in (piece for part in character.parts.split() for piece in PARTS[part]):
        layers[piece.layer].append(piece)
    paint(pen, frames, layers["behind"], palette)
    paint(shoulders, frames, [*BODY, *layers["body"]], palette)
    _skull(pen, frames, character.ears, pose.light, palette)
    paint(pen, frames, layers["hair"] + layers["beard"], palette)
    _eyes(pen, frames, character.eyes, pose, palette)
    paint(pen, frames, MOUTHS[pose.mouth] + layers["look"] + layers["nose"] + layers["face"] + layers["hat"], palette)


def _skull(pen: Pen, frames: Frames, ears: float, light: float, palette: dict[str, Color]) -> None:
    """Ears and head; the lit part is the same shape, smaller and shifted towards the light."""
    for side in (-1.0, 1.0) if ears else ():
        ear = frames.skull(np.array([[side * 1.02, 0.08]])) + CIRCLE * [ears, 1.25 * ears]
        pen.stroke(ear, INK, 0.12, closed=True)
        pen.fill(ear, palette["skin"])
    outline = frames.skull(np.array(arc(1.0, 0, 354, 60)))
    pen.stroke(outline, INK, 0.12, closed=True)
    pen.fill(outline, palette["shade"])
    pen.fill(0.93 * outline + [light, -0.04], palette["skin"])


def _eyes(pen: Pen, frames: Frames, kind: str, pose: Pose, palette: dict[str, Color]) -> None:
    width, height, lid = EYES[kind]
    for side in (-1.0, 1.0):
        center = frames.face(np.array([[0.35 * side, -0.13]]))
        if pose.blink:
            pen.stroke(center + spline(np.array([[-0.22, 0.0], [0.0, 0.1], [0.22, 0.0]]), closed=False), INK, 0.07)
            continue
        if width:
            pen.stroke(center + CIRCLE * [width, height], INK, 0.1, closed=True)
            pen.fill(center + CIRCLE * [width, height], palette["white"])
        look = np.array(pose.gaze) * [max(width - 0.13, 0), max(height - 0.15, 0) * (1 - lid)] + [0, 0.3 * lid * height]
        pen.fill(center + look + CIRCLE * (0.1 if width else 0.13), INK)
        if lid:
            top = CIRCLE[CIRCLE[:, 1] < -1 + 2 * lid]
            top = top[np.argsort(top[:, 0])]
            pen.fill(center + top * [width, height], palette["shade"])
            pen.stroke(center + top[[0, -1]] * [width, height], INK, 0.06)


# Pictures: a scene, a character in it, a light over both, a file.


def hsv(hue: float, saturation: float, value: float) -> Color:
    """A colour from three numbers in 0 to 1; the hue wraps round."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return round(255 * red), round(255 * green), round(255 * blue)


def shifted(color: Color, hue: float = 0.0, saturation: float = 1.0, value: float = 1.0) -> Color:
    """A neighbour of a colour: hue is added, the others multiplied."""
    h, s, v = colorsys.rgb_to_hsv(*(channel / 255 for channel in color))
    return hsv(h + hue, s * saturation, v * value)


def palette_of(character: Character, rng: random.Random | None = None) -> dict[str, Color]:
    """The colours of a character: its own, or with `rng` as they fall in one picture (another shirt now and then)."""
    skin, hair, main, second = SKINS[character.skin], COLORS[character.hair], COLORS[character.main], COLORS[character.second]
    if rng:
        skin = shifted(skin, rng.uniform(-0.02, 0.015), rng.uniform(0.8, 1.05), rng.uniform(0.92, 1.0))
        hair = shifted(hair, rng.uniform(-0.03, 0.03), rng.uniform(0.8, 1.1), rng.uniform(0.85, 1.1))
        main, second = shifted(main, rng.uniform(-0.04, 0.04), 0.95, rng.uniform(0.85, 1.1)), shifted(second, rng.uniform(-0.04, 0.04))
        main, second = (any_color(rng) if rng.random() < 0.45 else color for color in (main, second))
    own = {"skin": skin, "shade": shifted(skin, -0.02, 1.08, 0.85), "stubble": shifted(skin, -0.02, 0.85, 0.68)}
    return {**COLORS, **own, "hair": hair, "main": main, "second": second}


def any_color(rng: random.Random) -> Color:
    """Anything from pastel to poster paint; oranges and yellows are frequent, so that skin does not stand out by colour."""
    hue = rng.gauss(0.12, 0.04) if rng.random() < 0.3 else rng.random()
    return hsv(hue, rng.uniform(0.15, 0.75), rng.uniform(0.5, 1.0))


def backdrop(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """A flat cartoon place: a wall with furniture, a sky, stripes, or a plain gradient."""
    wide, high = size
    picture = Image.new("RGB", size, any_color(rng))
    draw = ImageDraw.Draw(picture)
    scene = rng.choice((_room, _room, _outdoors, _outdoors, _stripes, _gradient, _shelf))
    scene(draw, wide, high, rng)
    return picture


def _room(draw: ImageDraw.ImageDraw, wide: int, high: int, rng: random.Random) -> None:
    floor = high * rng.uniform(0.6, 0.9)
    draw.rectangle((0, floor, wide, high), fill=any_color(rng), outline=INK, width=3)
    for _ in range(rng.randint(1, 4)):
        left, top = rng.uniform(-0.2, 0.9) * wide, rng.uniform(-0.1, 0.7) * high
        box = (left, top, left + rng.uniform(0.15, 0.5) * wide, max(top + 8, rng.choice((floor, top + 0.3 * high))))
        draw.rectangle(box, fill=any_color(rng), outline=INK, width=3)
        if rng.random() < 0.6:  # a window pane, a drawer, a picture in its frame
            inner = (box[0] + 8, box[1] + 8, max(box[2] - 8, box[0] + 9), max(box[3] - 8, box[1] + 9))
            draw.rectangle(inner, fill=any_color(rng), outline=INK, width=2)


def _outdoors(draw: ImageDraw.ImageDraw, wide: int, high: int, rng: random.Random) -> None:
    _gradient(draw, wide, high, rng)
    for _ in range(rng.randint(0, 3)):
        x, y, r = rng.uniform(0, wide), rng.uniform(0, 0.4) * high, rng.uniform(0.06, 0.14) * wide
        for step in (-1.0, 0.0, 1.0):
            draw.ellipse((x + step * r - r, y - 0.6 * r, x + step * r + r, y + 0.6 * r), fill=(246, 248, 250))
    ground = high * rng.uniform(0.55, 0.9)
    for _ in range(rng.randint(0, 3)):
        x, side = rng.uniform(-0.1, 0.9) * wide, rng.uniform(0.2, 0.4) * wide
        top = ground - side * rng.uniform(0.6, 1.2)
        draw.rectangle((x, top, x + side, ground), fill=any_color(rng), outline=INK, width=3)
        draw.polygon([(x - 6, top), (x + side / 2, top - 0.5 * side), (x + side + 6, top)], fill=any_color(rng), outline=INK, width=3)
    draw.ellipse((-0.4 * wide, ground, 1.4 * wide, 2 * high), fill=shifted((110, 180, 80), rng.uniform(-0.12, 0.06)), outline=INK, width=3)


def _stripes(draw: ImageDraw.ImageDraw, wide: int, high: int, rng: random.Random) -> None:
    step, lean, color = rng.uniform(0.06, 0.2) * wide, rng.uniform(-1, 1) * wide, any_color(rng)
    for i in range(-12, 30, 2):
        draw.polygon([(i * step, 0), ((i + 1) * step, 0), ((i + 1) * step + lean, high), (i * step + lean, high)], fill=color)


def _gradient(draw: ImageDraw.ImageDraw, wide: int, high: int, rng: random.Random) -> None:
    top, bottom = any_color(rng), any_color(rng)
    for y in range(0, high, 4):
        part = y / high
        draw.rectangle((0, y, wide, y + 4), fill=tuple(round(a + part * (b - a)) for a, b in zip(top, bottom, strict=True)))


def _shelf(draw: ImageDraw.ImageDraw, wide: int, high: int, rng: random.Random) -> None:
    rows = rng.randint(2, 4)
    for row in range(rows):
        x, floor = 0.0, high * (row + 1) / rows
        while x < wide:
            thick = rng.uniform(0.04, 0.12) * wide
            draw.rectangle((x, floor - rng.uniform(0.5, 0.85) * high / rows, x + thick, floor), fill=any_color(rng), outline=INK, width=2)
            x += thick
        draw.rectangle((0, floor - 8, wide, floor), fill=(126, 84, 52), outline=INK, width=2)


DISGUISES = ("beanie", "straw", "fedora", "propeller", "bow", "headband", "phones", "shades", "rounds", "dummy", "scarf", "clown")


def occlude(picture: Image.Image, rng: random.Random) -> None:
    """Put something in front: a board from below or a post at the side, over at most a quarter of the picture."""
    (wide, high), draw, color = picture.size, ImageDraw.Draw(picture), any_color(rng)
    if rng.random() < 0.5:
        draw.rectangle((-9, high * rng.uniform(0.75, 0.9), wide + 9, high + 9), fill=color, outline=INK, width=5)
        return
    left = rng.choice((rng.uniform(-0.1, 0.05), rng.uniform(0.8, 0.92))) * wide
    draw.rounded_rectangle((left, high * rng.uniform(-0.1, 0.5), left + 0.2 * wide, high + 20), 16, fill=color, outline=INK, width=5)


def disguised(character: Character, rng: random.Random) -> Character:
    """Now and then somebody wears a thing that others are known by."""
    return character._replace(parts=f"{character.parts} {rng.choice(DISGUISES)}") if rng.random() < 0.2 else character


def add_bystander(picture: Image.Image, pose: Pose, rng: random.Random) -> None:
    """Somebody else, clearly smaller, stands behind and to the side; the label is the one in front."""
    other = rng.choice(CAST)
    x = pose.x + rng.choice((-1, 1)) * rng.uniform(1.2, 2.0) * pose.unit
    unit = rng.uniform(0.45, 0.65) * pose.unit
    draw_head(picture, other, replace(any_pose(picture.size, rng), x=x, unit=unit), palette_of(other, rng))


def any_pose(size: tuple[int, int], rng: random.Random) -> Pose:
    """Where and how a character stands in a picture of a size in pixels; tall hair may leave the picture."""
    wide, high = size
    return Pose(
        x=wide * rng.uniform(0.28, 0.72),
        y=high * rng.uniform(0.38, 0.7),
        unit=min(size) * rng.uniform(0.4, 0.9) / 2.3,
        tilt=radians(rng.gauss(0, 13)),
        mirror=rng.random() < 0.5,
        turn=rng.uniform(-0.2, 0.2),
        gaze=(rng.uniform(-0.9, 0.9), rng.uniform(-0.8, 0.8)),
        mouth=rng.randrange(len(MOUTHS)),
        blink=rng.random() < 0.08,
        light=rng.choice((-0.05, 0.05)),
    )


def lit(picture: Image.Image, rng: random.Random) -> Image.Image:
    """The picture under a tinted light that falls off to one side, with a little noise."""
    pixels = np.asarray(picture, dtype=np.float32)
    tint = np.array([rng.uniform(0.94, 1.06) for _ in range(3)], dtype=np.float32) * np.float32(rng.uniform(0.86, 1.1))
    across = np.linspace(1 - rng.uniform(0, 0.25), 1.0, pixels.shape[1], dtype=np.float32)[None, :, None]
    noise = np.random.default_rng(rng.getrandbits(64)).standard_normal(pixels.shape, dtype=np.float32) * np.float32(rng.uniform(0, 4))
    pixels = pixels * tint * (across if rng.random() < 0.5 else across[:, ::-1]) + noise
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def draw_picture(name: str, key: str, seed: int) -> Image.Image:
    """One RGB picture of a character, sides 100 to 200 pixels; the same name, key and seed always give the same picture."""
    rng = random.Random(f"{seed}/{name}/{key}")
    character = disguised(BY_NAME[name], rng)
    size = (2 * rng.randint(100, 200), 2 * rng.randint(100, 200))  # drawn at twice the size: that smooths the edges
    picture = backdrop(size, rng)
    pose = any_pose(size, rng)
    if rng.random() < 0.25:
        add_bystander(picture, pose, rng)
    draw_head(picture, character, pose, palette_of(character, rng))
    if rng.random() < 0.25:
        occlude(picture, rng)
    picture = lit(picture.reduce(2), rng)
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.3))) if rng.random() < 0.2 else picture


def portrait(name: str, size: tuple[int, int], scale: float) -> Image.Image:
    """A character cut out (RGBA, transparent around it), facing us; `scale` is a head's half width as a share of the width."""
    picture = Image.new("RGBA", (2 * size[0], 2 * size[1]))
    character, middle = BY_NAME[name], 1.16 * size[1]
    frames = Frames(character.head, 0)
    pieces = [piece for part in character.parts.split() for piece in PARTS[part] if piece.layer in ("behind", "hair", "hat")]
    reach = np.concatenate([line for piece in pieces for line in frames.outlines(piece)])
    top, side = max(frames.height, float(-reach[:, 1].min())), max(1.0, float(np.abs(reach[:, 0]).max()))
    unit = min(2 * scale * size[0], 0.94 * middle / top, 0.95 * size[0] / side)  # tall or wide hair makes the head smaller
    draw_head(picture, character, Pose(size[0], middle, unit), palette_of(character))
    return picture.reduce(2)


def draw_overview() -> Image.Image:
    """All characters with their names, seven in a row."""
    wide, high, rows = 150, 190, -(-len(CAST) // 7)
    sheet = Image.new("RGB", (7 * wide + 20, rows * high + 20), (250, 246, 236))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for i, character in enumerate(CAST):
        left, top = 10 + i % 7 * wide, 10 + i // 7 * high
        tile = Image.new("L", (2 * (wide - 12), 2 * (high - 42)))
        ImageDraw.Draw(tile).rounded_rectangle((0, 0, tile.width - 1, tile.height - 1), 28, fill=255)
        mask = tile.reduce(2)
        ground = Image.new("RGBA", mask.size, (*hsv(0.52 + 0.37 * (i % 3), 0.16, 0.96), 255))
        ground.alpha_composite(portrait(character.name, mask.size, 0.25))
        sheet.paste(ground.convert("RGB"), (left + 6, top + 4), mask)
        words = character.name.replace("_", " ").title()
        draw.multiline_text((left + wide / 2, top + high - 20), _fold(words), INK, font, anchor="mm", align="center", spacing=1)
    return sheet


def _fold(words: str) -> str:
    """Long names go on two lines, broken at the last space."""
    return words if len(words) < 21 else "\n".join(words.rsplit(" ", 1))


# Files.

TRAPS = {("homer_simpson", 7): "L", ("moe_szyslak", 5): "CMYK", ("ned_flanders", 11): "RGBA"}
"""Pictures in other colour modes, as crawled pictures have them: a grey and a CMYK JPEG, and a PNG with transparency."""

TESTS = 60


def drawn_count(count: int) -> int:
    """How many pictures are drawn for a class of `count` real ones: the imbalance stays, flattened (2,246 : 3 becomes 133 : 3)."""
    return max(3, round(1.3 * float(count**0.6)))


def encode(picture: Image.Image, mode: str, rng: random.Random) -> bytes:
    """The bytes of a JPEG of any quality, or of a PNG for pictures with transparency."""
    file = io.BytesIO()
    if mode == "RGBA":
        picture.save(file, "PNG")
    else:
        picture.convert(mode).save(file, "JPEG", quality=rng.randint(60, 92))
    return file.getvalue()


def draw_file(name: str, index: int, seed: int) -> tuple[str, bytes]:
    """File name and bytes of the labelled picture number `index` of a class."""
    mode = TRAPS.get((name, index), "RGB")
    picture = portrait(name, (151, 163), 0.28) if mode == "RGBA" else draw_picture(name, str(index), seed)
    suffix = ".png" if mode == "RGBA" else ".jpg"
    return f"pic_{index:04d}{suffix}", encode(picture, mode, random.Random(f"{seed}/{name}/{index}/file"))


def write(root: Path, seed: int, share: float = 1.0) -> None:
    """Draw the data set into `root`; `share` below 1 draws only that part of each class (at least 3 pictures), equal to the whole's."""
    for character in track(CAST, "drawing", len(CAST), "characters"):
        folder = root / "train" / "simpsons_dataset" / character.name
        folder.mkdir(parents=True)
        for index in range(max(3, round(share * drawn_count(character.total)))):
            name, data = draw_file(character.name, index, seed)
            (folder / name).write_bytes(data)
    _write_tests(root, seed, max(3, round(share * TESTS)))
    draw_overview().save(root / "characters_illustration.png")


def _write_tests(root: Path, seed: int, count: int) -> None:
    """Pictures of unnamed characters, the frequent ones more often, and the sample submission, which knows one answer to all."""
    folder = root / "testset" / "testset"
    folder.mkdir(parents=True)
    rng = random.Random(f"{seed}/tests")
    names = rng.choices([c.name for c in CAST], [drawn_count(c.total) for c in CAST], k=count)
    for index, name in enumerate(names):
        (folder / f"img{index}.jpg").write_bytes(encode(draw_picture(name, f"test{index}", seed), "RGB", rng))
    write_csv(root / "sample_submission.csv", ("Id", "Expected"), [(f"img{index}.jpg", CAST[0].name) for index in range(count)])
