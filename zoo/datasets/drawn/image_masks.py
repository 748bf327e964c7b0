"""Drawn leaves on littered ground, with their masks, in folders `images/` and `masks/`."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COUNT = 160
SCALE = 3  # drawn large and reduced, for smooth edges

Points = list[tuple[float, float]]


def write(root: Path, seed: int) -> None:
    """Draw the data set into `root`: `images/leaf_007.jpg` and `masks/leaf_007_mask.png`."""
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for number in range(COUNT):
        picture, mask = draw_pair(f"{seed} {number}")
        picture.save(root / "images" / f"leaf_{number:03d}.jpg", quality=90)
        mask.save(root / "masks" / f"leaf_{number:03d}_mask.png")


def draw_pair(seed: str) -> tuple[Image.Image, Image.Image]:
    """A picture (RGB) and its mask (mode "L", 0 and 255), sides 80 to 130 pixels; equal for equal seeds."""
    dice = random.Random(seed)
    size = dice.randint(80, 130), dice.randint(80, 130)
    picture = _ground(size, dice)
    mask = Image.new("L", picture.size)
    middle = tuple(dice.uniform(0.35, 0.65) * side for side in picture.size)
    outline = _leaf((middle[0], middle[1]), dice.uniform(0.5, 0.85) * min(picture.size) / 2, dice)
    color = _color(dice)
    ImageDraw.Draw(mask).polygon(outline, fill=255)
    pen = ImageDraw.Draw(picture)
    pen.polygon(outline, fill=color)
    _veins(pen, outline, tuple(round(0.75 * part) for part in color))
    light = np.random.default_rng(dice.getrandbits(64)).normal(0, 6, (size[1], size[0], 3))
    pixels = np.asarray(picture.reduce(SCALE), np.float32) + light
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), mask.resize(size, Image.Resampling.NEAREST)


def _color(dice: random.Random) -> tuple[int, int, int]:
    """Green, yellow or brown."""
    return dice.randint(60, 200), dice.randint(80, 190), dice.randint(20, 90)


def _ground(size: tuple[int, int], dice: random.Random) -> Image.Image:
    """Soil with stalks and crumbs in the colours of leaves, so that colour alone tells little."""
    picture = Image.new("RGB", (size[0] * SCALE, size[1] * SCALE), _color(dice))
    pen = ImageDraw.Draw(picture)
    for _ in range(dice.randint(25, 60)):
        x, y, angle = dice.uniform(0, picture.width), dice.uniform(0, picture.height), dice.uniform(0, math.pi)
        long, wide = dice.uniform(10, 70), dice.randint(3, 12)
        pen.line((x, y, x + long * math.cos(angle), y + long * math.sin(angle)), fill=_color(dice), width=wide)
    return picture


def _leaf(middle: tuple[float, float], length: float, dice: random.Random) -> Points:
    """A pointed, perhaps toothed outline around `middle`; its first and its middle point are stalk and tip."""
    turn, slim, teeth = dice.uniform(0, 2 * math.pi), dice.uniform(0.35, 0.7), dice.choice((0, 0, 7, 11))
    points = []
    for step in range(80):
        along = 2 * math.pi * step / 80
        wide = slim * math.sin(along) * (1 + 0.12 * math.sin(teeth * along)) * (1 - 0.3 * math.cos(along))
        x, y = -length * math.cos(along), length * wide
        points.append((middle[0] + x * math.cos(turn) - y * math.sin(turn), middle[1] + x * math.sin(turn) + y * math.cos(turn)))
    return points


def _veins(pen: ImageDraw.ImageDraw, outline: Points, color: tuple[int, ...]) -> None:
    stalk, tip = outline[0], outline[40]
    pen.line((stalk, tip), fill=color, width=SCALE)
    for step in range(8, 36, 6):
        for side in (step, 80 - step):
            part = step / 48
            root = (stalk[0] + part * (tip[0] - stalk[0]), stalk[1] + part * (tip[1] - stalk[1]))
            end = outline[side]
            pen.line((root, (root[0] + 0.8 * (end[0] - root[0]), root[1] + 0.8 * (end[1] - root[1]))), fill=color, width=2)
