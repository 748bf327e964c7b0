"""Drawn skin with lesions, in the layout of PH2: what stands in for pictures that may not be passed on.

The traps are those of the real pictures: dark corners of the lens, shadows, hairs, bubbles in the gel, rulers, freckles beside the
lesion, lesions hardly darker than the skin and lesions with pale parts. A threshold on brightness therefore finds them badly.
"""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from zoo.datasets.ph2 import DIAGNOSES, INNER, OUTER, TABLE
from zoo.progress import track

Array = NDArray[np.float64]

COUNTS = dict(zip(DIAGNOSES, (80, 80, 40), strict=True))
"""As many as of the real ones."""

MELANIN = np.array([0.55, 1.0, 1.25])
"""How much of red, green and blue pigment takes away."""
BLOOD = np.array([0.25, 1.0, 0.85])
"""The same for flushed skin, which is as saturated as a lesion."""


class Traits(NamedTuple):
    """How the lesions of a diagnosis look; pairs are ranges. Lengths are parts of half the picture's short side."""

    size: tuple[float, float]
    uneven: tuple[float, float]
    soft: tuple[float, float]
    dark: tuple[float, float]
    mottled: float
    pale: int
    blue: float


TRAITS = dict(
    zip(
        DIAGNOSES,
        (
            Traits((0.32, 0.62), (0.02, 0.06), (0.02, 0.05), (0.28, 0.80), mottled=0.25, pale=0, blue=0.0),
            Traits((0.35, 0.70), (0.06, 0.13), (0.04, 0.09), (0.26, 0.70), mottled=0.45, pale=1, blue=0.0),
            Traits((0.45, 0.82), (0.10, 0.20), (0.01, 0.06), (0.50, 1.10), mottled=0.70, pale=2, blue=0.6),
        ),
        strict=True,
    )
)


class Canvas:
    """One picture's grid: `x` and `y` in half short sides from the middle, and its dice."""

    def __init__(self, size: tuple[int, int], seed: str) -> None:
        self.width, self.height = size
        self.dice = random.Random(seed)
        self.noise = np.random.default_rng(self.dice.getrandbits(64))
        rows, columns = np.mgrid[: self.height, : self.width].astype(np.float64)
        half = min(size) / 2
        self.x, self.y = (columns - self.width / 2 + 0.5) / half, (rows - self.height / 2 + 0.5) / half

    def between(self, pair: tuple[float, float]) -> float:
        """A number in a range."""
        return self.dice.uniform(*pair)

    def clouds(self, cells: int) -> Array:
        """Smooth noise of about `cells` bumps across, mean 0 and deviation near 1, (H, W)."""
        grid = self.noise.standard_normal((cells + 3, round(cells * self.width / self.height) + 3))
        grown = Image.fromarray(grid.astype(np.float32)).resize((self.width, self.height), Image.Resampling.BICUBIC)
        return np.asarray(grown, np.float64)

    def spot(self, x: float, y: float, radius: float, soft: float) -> Array:
        """1 within a slightly bent circle, falling to 0 over `soft`."""
        away = np.hypot(self.x - x, (self.y - y) * self.between((0.8, 1.2))) * (1 + 0.08 * self.clouds(3))
        return _step((radius - away) / soft)


def draw_case(diagnosis: str, seed: str) -> tuple[Image.Image, Image.Image]:
    """A picture (RGB) and the mask of its lesion (mode "1"), about 192 x 140 pixels; equal for equal seeds."""
    dice = random.Random(seed)
    canvas = Canvas((192 + dice.randint(-5, 5), 140 + dice.randint(-3, 4)), f"{seed} canvas")
    depth, angle = _shape(canvas, TRAITS[diagnosis])
    light = _skin(canvas) * _freckles(canvas, depth)
    light = light * _left(_pigment(canvas, depth, angle, TRAITS[diagnosis]), MELANIN)
    light = _blue_veil(canvas, light, depth, TRAITS[diagnosis].blue)
    light = _lens(canvas, light) * _shadows(canvas)
    light = _hairs(canvas, _bubbles(canvas, light))
    light = light + 0.012 * canvas.noise.standard_normal(light.shape)
    picture = Image.fromarray((light.clip(0, 1) * 255).round().astype(np.uint8))
    if dice.random() < 0.2:
        _ruler(picture, dice)
    return picture, Image.fromarray(depth > 0)


def _step(value: Array) -> Array:
    """0 below -1, 1 above 1, smooth between."""
    part = (value.clip(-1, 1) + 1) / 2
    return part * part * (3 - 2 * part)


def _left(dense: Array, color: Array) -> Array:
    """What a layer (H, W) leaves of the light, when it takes `color` of red, green and blue: (H, W, 3)."""
    left: Array = np.exp(-dense[..., None] * color)
    return left


def _skin(canvas: Canvas) -> Array:
    """Skin of any complexion in uneven light, with its fine lines, (H, W, 3) in 0 to 1."""
    tone = canvas.between((0.0, 1.0))
    color = np.array([0.93 - 0.16 * tone, 0.76 - 0.22 * tone, 0.68 - 0.26 * tone])
    color = color + np.array([canvas.dice.gauss(0, 0.025) for _ in range(3)])
    fine = 0.010 * canvas.clouds(60) + 0.012 * canvas.clouds(25) + 0.018 * canvas.clouds(9)
    flush = 0.03 * canvas.clouds(5) + canvas.between((0.03, 0.16)) * canvas.clouds(3).clip(-1, 2)
    skin: Array = color * (1 + fine[..., None]) * _left(flush, BLOOD)
    return skin


def _shape(canvas: Canvas, traits: Traits) -> tuple[Array, Array]:
    """Depth below the lesion's outline (negative outside, in half short sides), and the direction from its middle, both (H, W)."""
    size, uneven = canvas.between(traits.size), canvas.between(traits.uneven)
    reach = max(0.0, 1.02 - size)
    middle_x, middle_y = canvas.dice.uniform(-1.3, 1.3) * reach, canvas.dice.uniform(-0.9, 0.9) * reach
    turn, stretch = canvas.dice.uniform(0, math.pi), canvas.dice.uniform(1.0, 1.35)
    x, y = canvas.x - middle_x, canvas.y - middle_y
    across, along = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    across, along = across * math.sqrt(stretch), along / math.sqrt(stretch)
    angle = np.arctan2(along, across)
    outline = np.full_like(angle, size)
    for wave in range(2, 9):
        outline += size * uneven * canvas.dice.gauss(0, 1.4 / wave**0.7) * np.cos(wave * angle + canvas.dice.uniform(0, 6.3))
    return outline - np.hypot(across, along), angle


def _pigment(canvas: Canvas, depth: Array, angle: Array, traits: Traits) -> Array:
    """How dense the lesion's pigment is, (H, W): half of it at the outline, mottled, with a network of lines, and pale in parts."""
    soft = canvas.between(traits.soft) * (1 + 0.5 * np.cos(angle + canvas.dice.uniform(0, 6.3)))
    dense = canvas.between(traits.dark) * _step(depth / (2 * soft))
    mottled = 1 + traits.mottled * (0.35 * canvas.clouds(4) + 0.25 * canvas.clouds(9))
    network = 1 + 0.25 * (np.abs(canvas.clouds(22)) < 0.3)
    rich = 1 + 0.6 * _step((depth - 0.15) / 0.15) * canvas.dice.random()
    for _ in range(canvas.dice.randint(0, 1) + traits.pale):
        away, toward = canvas.dice.uniform(0.0, 0.4), canvas.dice.uniform(0, 6.3)
        row, column = np.unravel_index(np.argmax(depth), depth.shape)
        x, y = float(canvas.x[row, column]) + away * math.cos(toward), float(canvas.y[row, column]) + away * math.sin(toward)
        rich = rich * (1 - canvas.dice.uniform(0.3, 0.65) * canvas.spot(x, y, canvas.dice.uniform(0.08, 0.22), 0.08))
    pigment: Array = dense * mottled.clip(0.35, 2.0) * network * rich
    return pigment


def _blue_veil(canvas: Canvas, light: Array, depth: Array, chance: float) -> Array:
    """A milky blue patch within some melanomas."""
    if canvas.dice.random() >= chance:
        return light
    row, column = divmod(canvas.dice.choice(np.flatnonzero(depth > 0.6 * depth.max()).tolist()), canvas.width)
    patch = canvas.spot(float(canvas.x[row, column]), float(canvas.y[row, column]), canvas.between((0.12, 0.3)), 0.1) * (depth > 0)
    veil = 0.55 * patch[..., None]
    veiled: Array = light * (1 - veil) + veil * np.array([0.46, 0.52, 0.62])
    return veiled


def _freckles(canvas: Canvas, depth: Array) -> Array:
    """Little brown spots beside the lesion, that are no part of it: what is left of the light, (H, W, 3)."""
    dense = np.zeros_like(depth)
    for _ in range(canvas.dice.randint(0, 5)):
        x, y = canvas.dice.uniform(-1.3, 1.3), canvas.dice.uniform(-1, 1)
        dense += canvas.between((0.2, 0.7)) * canvas.spot(x, y, canvas.between((0.03, 0.08)), 0.02)
    return _left(dense * (depth < -0.08), MELANIN)


def _shadows(canvas: Canvas) -> Array:
    """Light that falls off to one side, and shadows, grey or warm, (H, W, 3)."""
    toward = canvas.dice.uniform(0, 6.3)
    slope = canvas.x * math.cos(toward) + canvas.y * math.sin(toward)
    light: Array = (1 + canvas.between((0.02, 0.16)) * slope + 0.03 * canvas.clouds(2))[..., None]
    for _ in range(canvas.dice.randint(0, 2)):
        x, y = canvas.dice.choice((-1, 1)) * canvas.between((0.5, 1.4)), canvas.between((-1.1, 1.1))
        deep = canvas.between((0.15, 0.55)) * canvas.spot(x, y, canvas.between((0.2, 0.6)), canvas.between((0.18, 0.4)))
        warm = canvas.dice.random()
        light = light * _left(deep, warm * MELANIN + 1 - warm)
    light *= canvas.between((0.75, 1.05))
    return light


def _lens(canvas: Canvas, light: Array) -> Array:
    """The round view of the dermatoscope: dim towards the corners, which are black in some pictures."""
    away = np.hypot(canvas.x - canvas.dice.gauss(0, 0.05), canvas.y - canvas.dice.gauss(0, 0.05))
    dim = 1 - canvas.between((0.05, 0.40)) * _step((away - 1.25) / 0.5)
    if canvas.dice.random() < 0.55:
        dim = dim * (1 - canvas.between((0.7, 0.97)) * _step((away - canvas.between((1.28, 1.5))) / 0.09))
    return light * dim[..., None]


def _bubbles(canvas: Canvas, light: Array) -> Array:
    """Bubbles of air in the gel: dark rings with a glint."""
    for _ in range(canvas.dice.choice((0, 0, 1, 2, 4))):
        x, y, radius = canvas.dice.uniform(-1.2, 1.2), canvas.dice.uniform(-0.95, 0.95), canvas.between((0.05, 0.16))
        away = np.hypot(canvas.x - x, canvas.y - y)
        ring = np.exp(-(((away - radius) / 0.022) ** 2)) * canvas.between((0.25, 0.55))
        glint = np.exp(-(((canvas.x - x + radius / 2) ** 2 + (canvas.y - y + radius / 2) ** 2) / 0.0012)) * 0.6
        light = light * (1 - ring[..., None]) + glint[..., None] * (1 - light)
    return light


def _hairs(canvas: Canvas, light: Array) -> Array:
    """Bent dark hairs across the picture, in some pictures many."""
    scale, dice = 3, canvas.dice
    cover = Image.new("L", (canvas.width * scale, canvas.height * scale))
    pen = ImageDraw.Draw(cover)
    main = dice.uniform(0, math.pi)
    for _ in range(dice.choice((0, 0, 2, 5, 9, 16))):
        x, y = dice.uniform(0, cover.width), dice.uniform(0, cover.height)
        angle, bend, line = dice.gauss(main, 0.5), dice.gauss(0, 0.05), [(x, y)]
        for _ in range(dice.randint(8, 26)):
            angle += bend
            x, y = x + 14 * math.cos(angle), y + 14 * math.sin(angle)
            line.append((x, y))
        pen.line(line, fill=dice.randint(130, 235), width=dice.randint(2, 4), joint="curve")
    part = np.asarray(cover.reduce(scale), np.float64)[..., None] / 255
    haired: Array = light * (1 - part) + part * np.array([0.12, 0.09, 0.08])
    return haired


def _ruler(picture: Image.Image, dice: random.Random) -> None:
    """The ticks of a scale along one side."""
    pen, step, below = ImageDraw.Draw(picture), dice.uniform(7, 12), dice.random() < 0.6
    for tick in range(int((picture.width if below else picture.height) / step)):
        long = 14 if tick % 5 == 0 else 7
        place = tick * step
        ends = (place, picture.height - long, place, picture.height) if below else (picture.width - long, place, picture.width, place)
        pen.line(ends, fill=(38, 34, 36), width=1 + (tick % 5 == 0))


def write(root: Path, seed: int, share: float = 1.0) -> None:
    """Draw the data set into `root`; `share` below 1 draws only that part of each diagnosis."""
    dice = random.Random(f"{seed} order")
    cases = [diagnosis for diagnosis, count in COUNTS.items() for _ in range(max(3, round(share * count)))]
    dice.shuffle(cases)
    numbers = sorted(dice.sample(range(2, 440), len(cases)))
    for number, diagnosis in track(zip(numbers, cases, strict=True), "drawing", len(cases), "pictures"):
        name = f"IMD{number:03d}"
        picture, mask = draw_case(diagnosis, f"{seed} {name}")
        folder = root / OUTER / INNER / name
        for kind, stem, image in (("Dermoscopic_Image", name, picture), ("lesion", f"{name}_lesion", mask)):
            (folder / f"{name}_{kind}").mkdir(parents=True)
            image.save(folder / f"{name}_{kind}" / f"{stem}.bmp")
    (root / OUTER / TABLE).write_text(_table([f"IMD{number:03d}" for number in numbers], cases, dice), encoding="utf-8")


def _table(names: list[str], cases: list[str], dice: random.Random) -> str:
    """The table of the data set: histology is known of melanomas; the criteria beside the diagnosis are dice."""
    criteria = " | ".join(("Asymmetry", "Pigment Network", "Dots/Globules", "Streaks", "Regression Areas", "Blue-Whitish Veil"))
    rows = [f"|| Name || Histological Diagnosis || Clinical Diagnosis || {criteria} || Colors ||"]
    for name, diagnosis in zip(names, cases, strict=True):
        code, colors = DIAGNOSES.index(diagnosis), dice.choice(("4", "3  4", "3  4  5"))
        seen = " | ".join((dice.choice("012"), dice.choice(("T", "AT")), *(dice.choice(("A", "P")) for _ in range(4))))
        histology = "Melanoma" if diagnosis == "melanoma" else ""
        rows.append(f"|| {name} || {histology:>22} || {code:>18} || {seen:>40} || {colors:>16} ||")
    legend = ["", "Legends:", *(f"Clinical Diagnosis: {code} - {name}" for code, name in enumerate(DIAGNOSES)), ""]
    return "\n".join(rows + legend)
