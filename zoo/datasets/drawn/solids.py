"""Solids in the light, for drawn scenes: ellipsoids and round-ended limbs, beside flat shapes, on a canvas that knows what is whose.

Parallel projection onto the picture: x right, y up and z towards the eye within a solid; pixels of the picture, y down, on the canvas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.float32]
Color = tuple[int, int, int]
Point = tuple[float, float]
Paint = Color | Callable[[Array], Array]
"""One colour, or the colours (N, 3) at places (2 or 3, N) on a solid's surface."""

OVER = 2
"""Scenes are drawn this many times larger, then averaged down: smooth edges."""


def mixed(one: Color, other: Color, part: float) -> Color:
    """`part` of the other colour in the one."""
    red, green, blue = (round(a * (1 - part) + b * part) for a, b in zip(one, other, strict=True))
    return red, green, blue


def shade(color: Color, factor: float) -> Color:
    """A colour made darker, or lighter with a factor above 1."""
    red, green, blue = (max(0, min(255, round(part * factor))) for part in color)
    return red, green, blue


@dataclass(frozen=True)
class Light:
    """Where light comes from (a unit vector), how much of it from everywhere, and its colour."""

    toward: tuple[float, float, float]
    ambient: float
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def on(self, colors: Array, normal: Array, gloss: float = 0.0) -> Array:
        """Colours (N, 3) of a surface lit by this light, its normals (3, N) of length 1 (Blinn 1977)."""
        toward = np.array(self.toward, np.float32)
        lit = self.ambient + (1 - self.ambient) * (toward @ normal).clip(0)
        seen = colors * lit[:, None] * np.array(self.tint, np.float32)
        if gloss:
            half = toward + np.array((0, 0, 1), np.float32)
            shine = (half / np.linalg.norm(half) @ normal).clip(0) ** 26
            seen = seen + 255 * gloss * shine[:, None]
        return np.asarray(seen, np.float32)


class Canvas:
    """A picture being drawn, from far to near.

    Attributes:
        picture: RGB, `OVER` times larger than asked for.
        owner: of the same size; each pixel is the number of what was drawn there last.
        mine: the number of what is being drawn; 0 is the scenery.
        fog: a colour, and the part of it in everything that is drawn now.
    """

    def __init__(self, size: tuple[int, int], light: Light) -> None:
        self.size, self.light = size, light
        large = (size[0] * OVER, size[1] * OVER)
        self.picture, self.owner = Image.new("RGB", large), Image.new("L", large)
        self._pen, self._mark = ImageDraw.Draw(self.picture, "RGBA"), ImageDraw.Draw(self.owner)
        self.mine = 0
        self.fog: tuple[Color, float] = ((200, 205, 210), 0.0)

    def shape(self, points: Sequence[Point], color: Color, alpha: int = 255) -> None:
        """A filled polygon; what is translucent, such as a shadow, covers nothing."""
        at = [(x * OVER, y * OVER) for x, y in points]
        self._pen.polygon(at, fill=(*mixed(color, *self.fog), alpha))
        if alpha == 255:
            self._mark.polygon(at, fill=self.mine)

    def box(self, left: float, top: float, right: float, bottom: float, color: Color, alpha: int = 255) -> None:
        """A filled rectangle."""
        self.shape([(left, top), (right, top), (right, bottom), (left, bottom)], color, alpha)

    def disc(self, x: float, y: float, wide: float, high: float, color: Color, alpha: int = 255) -> None:
        """A filled ellipse with these half axes."""
        around = [2 * math.pi * step / 24 for step in range(24)]
        self.shape([(x + wide * math.cos(a), y + high * math.sin(a)) for a in around], color, alpha)

    def line(self, points: Sequence[Point], width: float, color: Color, alpha: int = 255) -> None:
        """An open line, at least half a pixel wide."""
        at, thick = [(x * OVER, y * OVER) for x, y in points], max(1, round(width * OVER))
        self._pen.line(at, fill=(*mixed(color, *self.fog), alpha), width=thick, joint="curve")
        if alpha == 255:
            self._mark.line(at, fill=self.mine, width=thick, joint="curve")

    def limb(self, start: Point, end: Point, first: float, last: float, paint: Paint, hem: bool = False) -> None:
        """A rod with round ends, `first` thick (half) at its start; painted by (along 0 to 1, across -1 to 1).

        With a hem it is cut off straight at its end.
        """
        thick = max(first, last)
        left, top = math.floor(min(start[0], end[0]) - thick), math.floor(min(start[1], end[1]) - thick)
        right, bottom = math.ceil(max(start[0], end[0]) + thick), math.ceil(max(start[1], end[1]) + thick)
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, self.size[0]), min(bottom, self.size[1])
        if left >= right or top >= bottom:
            return
        x, y = _grid(left, top, right, bottom)
        dx, dy = end[0] - start[0], end[1] - start[1]
        reached = ((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy + 1e-6)
        along = reached.clip(0, 1)
        width = first + (last - first) * along
        away_x, away_y = (x - start[0] - along * dx) / width, (y - start[1] - along * dy) / width
        inside = away_x**2 + away_y**2 < 1
        if hem:
            inside &= reached < 1
        away_x, away_y, along = away_x[inside], away_y[inside], along[inside]
        off = away_x**2 + away_y**2
        across = np.sign(away_x * dy - away_y * dx) * np.sqrt(off)
        normal = np.stack([away_x, -away_y, np.sqrt(1 - off)])
        colors = np.zeros((*inside.shape, 3), np.float32)
        colors[inside] = self.light.on(_painted(paint, np.stack([along, across])), normal)
        self.paste(left, top, colors, inside)

    def rod(self, start: Point, end: Point, thick: float, paint: Paint) -> None:
        """A limb as thick (half) at both ends."""
        self.limb(start, end, thick, thick, paint)

    def mottle(self, noise: np.random.Generator, top: float, *bumps: tuple[int, float]) -> None:
        """Uneven brightness on all that is drawn below `top`: pairs of how many bumps go across and how strong they are."""
        width, height = self.picture.size
        row = round(min(max(top, 0) * OVER, height - 1))
        light = np.ones((height - row, width, 1), np.float32)
        for cells, amount in bumps:
            values = noise.standard_normal((max(2, cells * (height - row) // width), cells), np.float32)
            light[..., 0] += amount * np.asarray(Image.fromarray(values).resize((width, height - row), Image.Resampling.BILINEAR))
        pixels = np.asarray(self.picture.crop((0, row, width, height)), np.float32) * light
        self.picture.paste(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), (0, row))

    def paste(self, left: int, top: int, colors: Array, where: NDArray[np.bool_]) -> None:
        """Put colours (H, W, 3), of the enlarged picture, where they are wanted."""
        fog, part = self.fog
        colors = colors * (1 - part) + part * np.array(fog, np.float32)
        mask = Image.fromarray(where)
        self.picture.paste(Image.fromarray(colors.clip(0, 255).astype(np.uint8)), (left * OVER, top * OVER), mask)
        self.owner.paste(self.mine, (left * OVER, top * OVER), mask)


def _grid(left: int, top: int, right: int, bottom: int) -> tuple[Array, Array]:
    """Where the enlarged picture's pixels lie: x (1, W) and y (H, 1)."""
    x, y = (np.arange(start + 0.5 / OVER, end, 1 / OVER, dtype=np.float32) for start, end in ((left, right), (top, bottom)))
    return x[None], y[:, None]


def _painted(paint: Paint, at: Array) -> Array:
    return paint(at) if callable(paint) else np.broadcast_to(np.array(paint, np.float32), (at.shape[1], 3))


def turned(yaw: float, pitch: float, roll: float) -> Array:
    """The rotation (3, 3) of (side, up, front) into the view, in degrees.

    A yaw of 0 faces the eye and 90 the right; with a positive pitch one looks down on it.
    """
    (sy, cy), (sp, cp), (sr, cr) = ((math.sin(math.radians(a)), math.cos(math.radians(a))) for a in (yaw, pitch, roll))
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(tilt @ nod @ turn, np.float32)


class Cluster:
    """Ellipsoids that turn together, the nearest in front; they are put on the canvas at once.

    Args:
        centre: pixel of the origin.
        unit: pixels per unit of length.
        turn: rotation (3, 3) of (side, up, front) into the view.
        reach: no ellipsoid is farther from the origin than this.
    """

    def __init__(self, canvas: Canvas, centre: Point, unit: float, turn: Array, reach: float = 1.7) -> None:
        self.canvas, self.turn = canvas, turn
        self.left, self.top = math.floor(centre[0] - reach * unit), math.floor(centre[1] - reach * unit)
        across = math.ceil(2 * reach * unit) + 1
        x, y = _grid(self.left, self.top, self.left + across, self.top + across)
        self.x, self.y = (x - centre[0]) / unit, (centre[1] - y) / unit
        self.depth = np.full((x.size, x.size), -np.inf, np.float32)
        self.colors = np.zeros((x.size, x.size, 3), np.float32)

    def add(
        self,
        middle: Sequence[float],
        axes: Sequence[float],
        paint: Paint,
        where: Callable[[Array], Array] | None = None,
        gloss: float = 0.0,
    ) -> None:
        """An ellipsoid, or the part of it where `where`, as `paint`, a function of (side, up, front) on the unit sphere, is above 0."""
        scaled = self.turn.T / np.array(axes, np.float32)[:, None]  # view -> unit sphere
        cx, cy, cz = self.turn @ np.array(middle, np.float32)
        near = max(axes)
        rows, columns = np.flatnonzero(abs(self.y[:, 0] - cy) < near), np.flatnonzero(abs(self.x[0] - cx) < near)
        if not len(rows) or not len(columns):
            return
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        flat = scaled[:, 0, None, None] * (self.x[:, part[1]] - cx) + scaled[:, 1, None, None] * (self.y[part[0]] - cy)
        ray = scaled[:, 2]
        square, linear = float(ray @ ray), np.tensordot(ray, flat, 1)
        root = linear**2 - square * (np.einsum("ihw,ihw->hw", flat, flat) - 1)
        z = (np.sqrt(root.clip(0)) - linear) / square
        hit = (root > 0) & (z + cz > self.depth[part])
        at = flat[:, hit] + z[hit] * ray[:, None]
        if where is not None:
            kept = where(at) > 0
            hit[hit], at = kept, at[:, kept]
        normal = scaled.T @ at
        normal /= np.linalg.norm(normal, axis=0) + 1e-6
        self.depth[part][hit] = (z + cz)[hit]
        self.colors[part][hit] = self.canvas.light.on(_painted(paint, at), normal, gloss)

    def put(self) -> int:
        """Put it on the canvas; returns its pixels, with those beyond the picture's border."""
        where = np.isfinite(self.depth)
        self.canvas.paste(self.left, self.top, self.colors, where)
        return int(where.sum())


def ball(canvas: Canvas, x: float, y: float, radius: float, paint: Paint, gloss: float = 0.2, high: float = 1.0) -> None:
    """A ball, or a tall or flat one."""
    cluster = Cluster(canvas, (x, y), radius, turned(0, 15, 0), reach=1.1 * max(1.0, high))
    cluster.add((0, 0, 0), (1, high, 1), paint, gloss=gloss)
    cluster.put()
