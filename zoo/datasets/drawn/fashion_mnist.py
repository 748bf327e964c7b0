"""Drawn clothes in the files of Fashion-MNIST: silhouettes of its ten kinds, of changing shape, grey and texture.

As among the real ones, the five kinds that cover the upper body differ in little: the length of their sleeves, a row of buttons, how
wide they are below. Most of that is lost in a thumbnail.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from zoo.datasets import idx
from zoo.datasets.fashion_mnist import LABELS
from zoo.datasets.idx import Array

SIDE, SCALE = 28, 4
PLAIN = 128
"""On the picture of lines: no line."""
TRAIN, TEST = 120, 20
"""Pictures of each kind."""

Dice = np.random.Generator
Points = list[tuple[float, float]]


class Cloth:
    """A silhouette and the lines on it, being drawn on a square from -1 to 1 with y downwards."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.side = SIDE * SCALE
        self.shape, self.lines = Image.new("L", (self.side,) * 2), Image.new("L", (self.side,) * 2, PLAIN)
        self.pen, self.needle = ImageDraw.Draw(self.shape), ImageDraw.Draw(self.lines)

    def between(self, low: float, high: float) -> float:
        """A number of this range."""
        return float(self.dice.uniform(low, high))

    def add(self, points: Points, hole: bool = False) -> None:
        """A polygon of cloth, or one cut out of it."""
        self.pen.polygon([self._place(*point) for point in points], fill=0 if hole else 255)

    def both(self, points: Points, hole: bool = False) -> None:
        """A polygon, and the same on the other side."""
        self.add(points, hole)
        self.add([(-x, y) for x, y in points], hole)

    def oval(self, x: float, y: float, width: float, height: float, hole: bool = False) -> None:
        """An oval of cloth around a point, or one cut out."""
        self.add([(x + width * math.cos(turn / 20 * math.pi), y + height * math.sin(turn / 20 * math.pi)) for turn in range(40)], hole)

    def line(self, points: Points, width: float, grey: int) -> None:
        """A line on the cloth; `grey` below `PLAIN` darkens, above brightens."""
        self.needle.line([self._place(*point) for point in points], fill=grey, width=max(1, round(width * self.side / 2)))

    def _place(self, x: float, y: float) -> tuple[float, float]:
        return (x + 1) * self.side / 2, (y + 1) * self.side / 2


def write(root: Path, seed: int) -> None:
    """Draw the pictures into `<root>/FashionMNIST/raw/`; those of a part are in random order."""
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for part, (start, count) in enumerate((("train", TRAIN), ("t10k", TEST))):
        dice = np.random.default_rng((seed, part))
        labels = dice.permutation(np.repeat(np.arange(len(LABELS), dtype=np.uint8), count))
        idx.write(folder / f"{start}-images-idx3-ubyte.gz", np.stack([draw(int(label), dice) for label in labels]))
        idx.write(folder / f"{start}-labels-idx1-ubyte.gz", labels)


def draw(label: int, dice: Dice) -> Array:
    """One piece of clothing, (28, 28), bright on black."""
    cloth = Cloth(dice)
    KINDS[label](cloth)
    turn = cloth.between(-5, 5)
    shape = cloth.shape.rotate(turn, Image.Resampling.BILINEAR)
    lines = cloth.lines.rotate(turn, Image.Resampling.BILINEAR, fillcolor=PLAIN)
    cover, drawn = (np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64) for image in (shape, lines))
    picture: Array = (cover / 255 * (texture(cloth) + drawn - PLAIN).clip(16, 255)).round().astype(np.uint8)
    return picture


def texture(cloth: Cloth) -> NDArray[np.float64]:
    """The greys of a cloth: one that changes a little from side to side and downwards, on some of them stripes, and grain."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    grey: NDArray[np.float64] = cloth.between(70, 235) + cloth.between(-30, 30) * x + cloth.between(-30, 30) * y
    if cloth.between(0, 1) < 0.35:
        turn, waves = cloth.between(0, math.pi), cloth.between(8, 30)
        grey += cloth.between(15, 60) * np.sin(waves * (x * math.cos(turn) + y * math.sin(turn)))
    grey += cloth.dice.normal(0, cloth.between(4, 20), (SIDE, SIDE))
    return grey


def upper(cloth: Cloth, sleeve: float, hem: float, waist: float, flare: float, neck: float) -> None:
    """What covers the upper body: `sleeve` long, down to `hem`, `waist` wide there and `flare` wider below, cut out at the neck."""
    top, shoulder = cloth.between(-0.92, -0.84), cloth.between(0.36, 0.48)
    pit = top + cloth.between(0.38, 0.5)
    cloth.both([(0, top), (0.2, top), (shoulder, top + 0.12), (waist, pit), (waist + flare, hem), (0, hem)])
    if sleeve:
        spread = cloth.between(0.15, 0.5) if sleeve > 0.6 else cloth.between(0.5, 0.9)
        x, y = shoulder + sleeve * math.sin(spread), top + 0.15 + sleeve * 1.35 * math.cos(spread)
        cuff = cloth.between(0.14, 0.22)
        cloth.both([(shoulder - 0.1, top + 0.06), (shoulder + 0.08, top + 0.14), (x, y), (x - cuff, y + 0.06), (waist, pit + 0.03)])
        cloth.line([(waist, pit), (shoulder - 0.06, top + 0.2)], 0.03, 90)
        cloth.line([(-waist, pit), (0.06 - shoulder, top + 0.2)], 0.03, 90)
    cloth.oval(0, top - 0.03, cloth.between(0.14, 0.22), neck, hole=True)


def front(cloth: Cloth, hem: float, width: float, grey: int) -> None:
    """A line down the front, more or less in the middle."""
    x = cloth.between(-0.05, 0.05)
    cloth.line([(x, -0.75), (x, hem)], width, grey)


def t_shirt(cloth: Cloth) -> None:
    """Short sleeves."""
    upper(cloth, cloth.between(0.22, 0.42), cloth.between(0.6, 0.9), cloth.between(0.42, 0.52), cloth.between(-0.03, 0.06), 0.14)
    if cloth.between(0, 1) < 0.4:  # a print
        cloth.line([(-0.2, -0.1), (0.2, -0.1)], cloth.between(0.1, 0.3), int(cloth.between(60, 200)))


def trouser(cloth: Cloth) -> None:
    """Two legs, more or less apart."""
    hip, foot, apart = cloth.between(0.28, 0.42), cloth.between(0.14, 0.24), cloth.between(0.0, 0.12)
    crotch, out = cloth.between(-0.5, -0.3), cloth.between(0.0, 0.14)
    cloth.both(
        [(0, -0.9), (hip * 0.85, -0.9), (hip, crotch), (apart + foot + out, 0.92), (apart + out, 0.92), (0.02, crotch + 0.05), (0, crotch)]
    )
    cloth.line([(-hip, -0.8), (hip, -0.8)], 0.05, 90)


def pullover(cloth: Cloth) -> None:
    """Long sleeves, and a band at the hem."""
    hem = cloth.between(0.6, 0.85)
    upper(cloth, cloth.between(0.8, 1.0), hem, cloth.between(0.42, 0.52), cloth.between(-0.04, 0.06), cloth.between(0.06, 0.14))
    cloth.line([(-0.6, hem - 0.08), (0.6, hem - 0.08)], 0.04, 95)


def dress(cloth: Cloth) -> None:
    """Narrow at the waist, wide below, with short sleeves or none."""
    sleeve = 0.0 if cloth.between(0, 1) < 0.5 else cloth.between(0.2, 0.75)
    upper(cloth, sleeve, cloth.between(0.85, 0.95), cloth.between(0.26, 0.38), cloth.between(0.0, 0.35), cloth.between(0.12, 0.3))
    if cloth.between(0, 1) < 0.5:
        cloth.line([(-0.5, 0.0), (0.5, 0.0)], 0.05, 80)


def coat(cloth: Cloth) -> None:
    """Long sleeves, open in front."""
    hem = cloth.between(0.75, 0.95)
    upper(cloth, cloth.between(0.8, 1.05), hem, cloth.between(0.4, 0.52), cloth.between(0.0, 0.1), cloth.between(0.1, 0.25))
    front(cloth, hem, 0.05, 30)
    cloth.line([(-0.14, -0.85), (0, -0.4), (0.14, -0.85)], 0.05, 70)


def sandal(cloth: Cloth) -> None:
    """Straps with nothing between them, on a sole, perhaps with a heel."""
    heel, height, straps = cloth.between(0.0, 0.4), cloth.between(0.4, 0.75), int(cloth.dice.integers(2, 5))
    top = 0.3 - heel - height / 2
    cloth.add([(-0.88, 0.5 - heel), (-0.85, top), (-0.45, top), (0.1, 0.1 - heel / 2), (0.6, 0.15), (0.85, 0.5), (0.2, 0.5)])
    for left, right in pairwise(np.linspace(-0.75, 0.8, straps + 1)):
        gap = (right - left) * cloth.between(0.35, 0.6)
        cloth.add([(left, 0.5), (left + 0.3, -0.6), (left + 0.3 + gap, -0.6), (left + gap, 0.5)], hole=True)
    cloth.add([(-0.9, 0.42 - heel), (-0.4, 0.42 - heel * 0.8), (0.3, 0.42), (0.9, 0.42), (0.9, 0.55), (0.2, 0.55), (-0.9, 0.55 - heel)])
    if heel > 0.15:
        cloth.add([(-0.9, 0.45 - heel), (-0.68, 0.45 - heel), (-0.78, 0.55), (-0.88, 0.55)])


def shirt(cloth: Cloth) -> None:
    """Sleeves of any length, a collar and buttons."""
    hem = cloth.between(0.6, 0.92)
    sleeve = cloth.between(0.25, 0.45) if cloth.between(0, 1) < 0.4 else cloth.between(0.75, 1.0)
    upper(cloth, sleeve, hem, cloth.between(0.4, 0.52), cloth.between(-0.03, 0.08), cloth.between(0.08, 0.18))
    x = cloth.between(-0.04, 0.04)
    for y in np.linspace(-0.55, hem - 0.2, 5):
        cloth.line([(x, y), (x, y + 0.07)], 0.06, 20)
    cloth.line([(-0.2, -0.8), (0, -0.62), (0.2, -0.8)], 0.05, 190)


def shoe(cloth: Cloth, top: float, shaft: float, sole: float) -> None:
    """A shoe that points to the right: `top` is how high its shaft begins, `shaft` how wide it is there, `sole` how thick it is below."""
    toe, bottom = cloth.between(0.0, 0.15), cloth.between(0.45, 0.58)
    cloth.add(
        [(-0.88, top), (shaft - 0.88, top), (shaft - 0.75, 0.0), (0.45, toe + 0.1), (0.85, toe + 0.25), (0.92, bottom), (-0.9, bottom)]
    )
    cloth.line([(-1, bottom - sole), (1, bottom - sole)], 0.05, 200 if cloth.between(0, 1) < 0.6 else 50)


def sneaker(cloth: Cloth) -> None:
    """Low, with laces."""
    shoe(cloth, cloth.between(-0.45, -0.1), cloth.between(0.5, 0.75), 0.14)
    for at in (-0.1, 0.05, 0.2):
        cloth.line([(at, 0.0), (at + 0.12, 0.2)], 0.04, 210)


def bag(cloth: Cloth) -> None:
    """A box with a handle."""
    top, wide, low = cloth.between(-0.4, 0.0), cloth.between(0.6, 0.9), cloth.between(0.6, 0.85)
    slant, handle = cloth.between(-0.12, 0.12), cloth.between(0.0, 0.55)
    if handle > 0.12:
        reach, thick = cloth.between(0.25, 0.55), cloth.between(0.06, 0.12)
        cloth.oval(0, top, reach, handle)
        cloth.oval(0, top, reach - thick, handle - thick, hole=True)
    cloth.both([(0, top), (wide - slant, top), (wide, low), (0, low)])
    cloth.line([(-1, top + 0.2), (1, top + 0.2)], 0.04, 80)


def ankle_boot(cloth: Cloth) -> None:
    """A shaft above the ankle, and often a heel."""
    shoe(cloth, cloth.between(-0.85, -0.4), cloth.between(0.5, 0.8), 0.08)
    if cloth.between(0, 1) < 0.6:
        cloth.add([(-0.9, 0.4), (-0.5, 0.4), (-0.55, 0.75), (-0.85, 0.75)])


KINDS: tuple[Callable[[Cloth], None], ...] = (t_shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle_boot)
"""In the order of the data set's labels."""
