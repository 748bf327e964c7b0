"""Drawn faces with attributes, in the layout of Labeled Faces in the Wild: what stands in for pictures of real people.

A person keeps the shape of the face, skin, hair, eyes, brows, nose, lips and beard; a picture has its own pose, light, background, smile
and eyewear. Smile and eyewear are thrown for each picture, whoever is in it and whatever the other, so that the effect of one can be
measured. A face is colours (flat shapes) times light (from a height map), so that a light from the side shadows as it should.

The table has the 73 attributes of the real one. Those that are drawn follow the drawing, with noise; `UNDRAWN` are noise about a number
that each person has.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import cos, radians, sin
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from zoo.datasets.lfw import FOLDERS, TABLE
from zoo.progress import track

Array = NDArray[np.float64]
Color = tuple[float, float, float]
Eyewear = Literal["No Eyewear", "Eyeglasses", "Sunglasses"]

SIDE, SCALE = 250, 2
"""Pixels of a picture's side, and how many times larger its shapes are drawn, for smooth edges."""

# fmt: off
ATTRIBUTES = (
    "Male", "Asian", "White", "Black", "Baby", "Child", "Youth", "Middle Aged", "Senior", "Black Hair", "Blond Hair", "Brown Hair", "Bald",
    "No Eyewear", "Eyeglasses", "Sunglasses", "Mustache", "Smiling", "Frowning", "Chubby", "Blurry", "Harsh Lighting", "Flash",
    "Soft Lighting", "Outdoor", "Curly Hair", "Wavy Hair", "Straight Hair", "Receding Hairline", "Bangs", "Sideburns",
    "Fully Visible Forehead", "Partially Visible Forehead", "Obstructed Forehead", "Bushy Eyebrows", "Arched Eyebrows", "Narrow Eyes",
    "Eyes Open", "Big Nose", "Pointy Nose", "Big Lips", "Mouth Closed", "Mouth Slightly Open", "Mouth Wide Open", "Teeth Not Visible",
    "No Beard", "Goatee", "Round Jaw", "Double Chin", "Wearing Hat", "Oval Face", "Square Face", "Round Face", "Color Photo", "Posed Photo",
    "Attractive Man", "Attractive Woman", "Indian", "Gray Hair", "Bags Under Eyes", "Heavy Makeup", "Rosy Cheeks", "Shiny Skin",
    "Pale Skin", "5 o' Clock Shadow", "Strong Nose-Mouth Lines", "Wearing Lipstick", "Flushed Face", "High Cheekbones", "Brown Eyes",
    "Wearing Earrings", "Wearing Necktie", "Wearing Necklace",
)
"""The columns of the real table, in its order."""
UNDRAWN = (
    "Baby", "Flash", "Wavy Hair", "Sideburns", "Pointy Nose", "Double Chin", "Wearing Hat", "Posed Photo", "Attractive Man",
    "Attractive Woman", "Rosy Cheeks", "Shiny Skin", "Flushed Face", "Wearing Earrings", "Wearing Necklace",
)

FIRST = {
    True: ("Adrian", "Boris", "César", "Dmitri", "Emil", "Farid", "Günther", "Henrik", "Ivo", "Jean-Luc", "Kenji", "Ludvík", "Mateo",
           "Naveen", "Oscar", "Pavel", "Rafael", "Søren", "Tariq", "Yusuf"),
    False: ("Agnès", "Beatriz", "Chiara", "Dora", "Elif", "Fiona", "Greta", "Hana", "Irène", "Jana", "Kamala", "Lucía", "Mei-Ling",
            "Nadia", "Olga", "Priya", "Rosa", "Sofia", "Tamara", "Zoë"),
}
LAST = ("Abelard", "Bakker", "Castellanos", "Duarte", "Eriksen", "Farkas", "Grünwald", "Hakimi", "Ibáñez", "Jansson", "Karimov", "Lefèvre",
        "Moreau-Blanc", "Nakagawa", "Okonkwo", "Petrov", "Quiroga", "Rosenthal", "Szabó", "Takeda", "Ueda", "Van der Meer", "Winter",
        "Yildiz", "Zámek")
# fmt: on

SKINS: dict[str, tuple[Color, Color]] = {
    "White": ((240, 202, 178), (216, 164, 134)),
    "Asian": ((238, 200, 164), (208, 160, 120)),
    "Indian": ((190, 138, 102), (142, 98, 70)),
    "Black": ((146, 100, 74), (84, 56, 44)),
}
"""The palest and the darkest skin of each origin."""
HAIRS: dict[str, Color] = {
    "Black Hair": (34, 28, 28),
    "Brown Hair": (92, 62, 42),
    "Blond Hair": (206, 170, 104),
    "Gray Hair": (182, 180, 178),
}
EYES: tuple[Color, ...] = ((78, 50, 34), (104, 72, 44), (92, 110, 76), (92, 128, 164))
"""Two browns, green and blue."""
STYLES = {
    True: ("short", "short", "parted", "bangs", "curly", "receding", "bald"),
    False: ("long", "long", "parted", "bangs", "curly", "bun"),
}
BEARDS = ("none", "none", "none", "shadow", "mustache", "goatee", "full")
PEOPLE = 150
COUNTS = (1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10)
"""How many pictures a person has; each as likely."""


class Person(NamedTuple):
    """What all pictures of a person share. Lengths are pixels of the picture, colours 0 to 255."""

    male: bool
    origin: str
    age: float
    skin: Color
    tone: float  # 0 the palest of the origin, 1 the darkest
    hair: Color
    hair_name: str
    style: str
    beard: str
    eye: Color
    brown_eyes: bool
    width: float  # half the head's, at the cheekbones
    jaw: float  # the same at the mouth
    chin: float
    spacing: float
    eye_size: float
    slant: float
    brow: float
    arch: float
    nose: float
    nose_length: float
    mouth: float
    lips: float
    lipstick: float
    undrawn: dict[str, float]


class Look(NamedTuple):
    """What one picture has of its own."""

    smile: float  # from -2, a deep frown, to 2.5, a broad smile with teeth
    talk: float  # pixels that the lips part beyond what the smile parts them
    eyewear: Eyewear
    frame: int
    yaw: float
    pitch: float
    roll: float
    zoom: float
    shift: tuple[float, float]
    light: tuple[float, float]  # where it comes from: -1 left or above, 1 right or below
    harsh: float
    uneven: float  # how deep shadows of other things are
    warm: float
    bright: float
    outdoor: bool
    clothes: Color
    tie: bool
    blur: float
    grey: bool


def draw_person(male: bool, dice: random.Random) -> Person:
    """A man (or boy) or a woman (or girl), whose features depend on sex, origin and age."""
    age = dice.triangular(8, 82, 38)
    origin = dice.choices(tuple(SKINS), (10, 4, 2, 4))[0]
    tone, (pale, dark) = dice.random(), SKINS[origin]
    hair = _hair_name(dice, origin, age)
    grown, eye = male and age > 18, dice.randrange(len(EYES)) if origin == "White" else 0
    style = dice.choice(STYLES[male])
    return Person(
        male, origin, age, _mix(pale, dark, tone), tone, _jitter(HAIRS[hair], dice, 5), hair,
        style if age > 30 or style not in ("bald", "receding") else "short", dice.choice(BEARDS) if grown else "none",
        _jitter(EYES[eye], dice, 8), eye < 2,
        width=dice.gauss(44 if male else 42.5, 2.2), jaw=dice.gauss(37 if male else 33.5, 2.6), chin=dice.gauss(54 if male else 51.5, 2),
        spacing=dice.gauss(19.2, 1.0), eye_size=dice.gauss(1.0, 0.09) * (1.1 if age < 14 else 1.0),
        slant=dice.gauss(1.4 if origin == "Asian" else 0.2, 0.6), brow=max(0.9, dice.gauss(2.6 if male else 1.7, 0.6)),
        arch=dice.gauss(1.5 if male else 3.0, 1.0), nose=dice.gauss(9.0 if origin == "Black" else 7.4, 0.8) - (0 if male else 0.5),
        nose_length=dice.gauss(12, 1.4), mouth=dice.gauss(15.5, 1.2), lips=max(1.6, dice.gauss(4.2 if origin == "Black" else 3.1, 0.6)),
        lipstick=0.0 if male or age < 16 else max(0.0, dice.gauss(0.35, 0.4)), undrawn={name: dice.gauss(-0.4, 0.7) for name in UNDRAWN},
    )  # fmt: skip


def draw_look(dice: random.Random) -> Look:
    """Everything about a picture but who is in it."""
    eyewear: Sequence[Eyewear] = ("No Eyewear", "Eyeglasses", "Sunglasses")
    harsh = dice.random()
    return Look(
        smile=max(-2.2, min(2.6, dice.gauss(1.4, 0.6) if dice.random() < 0.55 else dice.gauss(-1.05, 0.5))),
        talk=max(0.0, dice.gauss(2.5, 1.5)) if dice.random() < 0.2 else 0.0,
        eyewear=dice.choices(eyewear, (0.62, 0.24, 0.14))[0], frame=dice.randrange(12),
        yaw=dice.gauss(0, 8), pitch=dice.gauss(0, 3), roll=dice.gauss(0, 2.5), zoom=dice.gauss(1.0, 0.03),
        shift=(dice.gauss(0, 1.1), dice.gauss(0, 1.1)), light=(dice.uniform(-1, 1), dice.gauss(-0.4, 0.35)),
        harsh=harsh * harsh, uneven=dice.uniform(0.02, 0.13),
        warm=dice.gauss(0.01, 0.035), bright=dice.gauss(1.0, 0.09), outdoor=dice.random() < 0.4,
        clothes=_jitter(dice.choice(((40, 44, 60), (230, 230, 226), (120, 36, 40), (70, 96, 130), (60, 90, 66), (24, 24, 26))), dice, 14),
        tie=dice.random() < 0.4, blur=abs(dice.gauss(0, 0.55)), grey=dice.random() < 0.04,
    )  # fmt: skip


def _hair_name(dice: random.Random, origin: str, age: float) -> str:
    if age > dice.uniform(45, 75):
        return "Gray Hair"
    return dice.choices(("Black Hair", "Brown Hair", "Blond Hair"), (2, 5, 3) if origin == "White" else (6, 1, 0))[0]


def _mix(one: Color, other: Color, part: float) -> Color:
    return tuple(a + (b - a) * part for a, b in zip(one, other, strict=True))  # type: ignore[return-value]  # three of them, as given


def _jitter(color: Color, dice: random.Random, by: float) -> Color:
    return tuple(min(255.0, max(0.0, value + dice.gauss(0, by))) for value in color)  # type: ignore[return-value]  # three of them


class Canvas:
    """A picture being drawn: shapes in the coordinates of a face, seen as the look turns it.

    A face's middle is the picture's, x to the right and y downwards in pixels; the eyes lie at y -11, the mouth at 29.
    """

    def __init__(self, look: Look, seed: int) -> None:
        self.look, self.noise = look, np.random.default_rng(seed)
        size = (SIDE * SCALE, SIDE * SCALE)
        self.image = Image.new("RGB", size)
        self.pen = ImageDraw.Draw(self.image)
        self.turn = (sin(radians(look.yaw)), sin(radians(look.pitch)))
        self.roll = (cos(radians(look.roll)), sin(radians(look.roll)))

    def place(self, points: Array, lift: float = 0.0) -> Array:
        """Points (N, 2) of a face -> pixels of the enlarged picture; `lift` is how far before the face's surface they are."""
        x, y = points.T
        deep = surface(x, y) + lift - 28  # what lies as deep as the eyes stays in the middle
        x, y = x + deep * self.turn[0], y + deep * self.turn[1]
        turned = np.stack((x * self.roll[0] - y * self.roll[1], x * self.roll[1] + y * self.roll[0]), axis=1)
        places: Array = (turned * self.look.zoom + np.array(self.look.shift) + SIDE / 2) * SCALE
        return places

    def face_grid(self, step: int) -> tuple[Array, Array]:
        """Which point of a face every `step`th pixel shows, were the face not turned to a side: x and y, (250 / step, 250 / step)."""
        y, x = np.mgrid[: SIDE // step, : SIDE // step] * step + step / 2 - SIDE / 2
        x, y = (x - self.look.shift[0]) / self.look.zoom, (y - self.look.shift[1]) / self.look.zoom
        return x * self.roll[0] + y * self.roll[1], y * self.roll[0] - x * self.roll[1]

    def fill(self, points: Array, color: Color, lift: float = 0.0) -> None:
        """A filled shape."""
        self.pen.polygon(_pairs(self.place(points, lift)), fill=_whole(color))

    def line(self, points: Array, color: Color, width: float, lift: float = 0.0) -> None:
        """An open line; `width` in pixels of the picture."""
        self.pen.line(_pairs(self.place(points, lift)), fill=_whole(color), width=max(1, round(width * SCALE)), joint="curve")

    def veil(self, points: Array, color: Color, part: float, soft: float = 0.0, lift: float = 0.0) -> None:
        """A shape through which `1 - part` of what lies behind is seen, with edges softened over `soft` pixels."""
        mask, corner = self.mask(points, 3 * soft, lift, round(255 * part))
        self.image.paste(_whole(color), (*corner, corner[0] + mask.width, corner[1] + mask.height), _soft(mask, soft * SCALE))

    def mask(self, points: Array, margin: float = 0.0, lift: float = 0.0, value: int = 255) -> tuple[Image.Image, tuple[int, int]]:
        """A shape as a mask no larger than it and a margin, and its upper left corner in the enlarged picture."""
        places = self.place(points, lift)
        left, top = (int(side) for side in places.min(axis=0) - margin * SCALE - 1)
        right, below = (int(side) for side in places.max(axis=0) + margin * SCALE + 2)
        mask = Image.new("L", (right - left, below - top))
        ImageDraw.Draw(mask).polygon(_pairs(places - (left, top)), fill=value)
        return mask, (left, top)

    def clouds(self, cells: int, side: int = SIDE) -> Array:
        """Smooth noise of about `cells` bumps across, mean 0 and deviation near 1, (side, side)."""
        return grown(self.noise.standard_normal((cells, cells)), side)


def grown(grid: Array, side: int = SIDE) -> Array:
    """A grid brought to another size, (side, side)."""
    return np.asarray(Image.fromarray(grid.astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC), np.float64)


def surface(x: Array, y: Array) -> Array:
    """How far the head's surface comes towards us, in pixels: half an egg."""
    deep: Array = 40 * np.sqrt(np.clip(1 - (x / 50) ** 2 - (y / 76) ** 2, 0, 1))
    return deep


def _soft(mask: Image.Image, radius: float) -> Image.Image:
    return mask.filter(ImageFilter.GaussianBlur(radius)) if radius else mask


def _pairs(points: Array) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points.tolist()]


def _whole(color: Color) -> tuple[int, int, int]:
    red, green, blue = (round(min(255, max(0, value))) for value in color)
    return red, green, blue


def smooth(*points: tuple[float, float]) -> Array:
    """A closed curve near some points: corners are cut three times (Chaikin)."""
    curve = np.array(points, np.float64)
    for _ in range(3):
        after = np.roll(curve, -1, axis=0)
        curve = np.stack((0.75 * curve + 0.25 * after, 0.25 * curve + 0.75 * after), axis=1).reshape(-1, 2)
    return curve


def both(*right: tuple[float, float]) -> Array:
    """The smooth outline whose right half is given from top to bottom."""
    return smooth(*right, *((-x, y) for x, y in reversed(right) if x))


def oval(x: float, y: float, wide: float, high: float) -> Array:
    """An oval about a point."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.stack((x + wide * np.cos(angles), y + high * np.sin(angles)), axis=1)


def between(x: Array, above: Array, below: Array) -> Array:
    """The outline of what lies between two lines over the same x."""
    return np.concatenate((np.stack((x, above), 1), np.stack((x, below), 1)[::-1]))


def draw(person: Person, look: Look, seed: int) -> Image.Image:
    """One picture, 250 x 250 pixels."""
    canvas = Canvas(look, seed)
    canvas.image.paste(background(canvas).resize(canvas.image.size, Image.Resampling.BILINEAR))
    plain = canvas.image.copy()
    _hair_behind(canvas, person)
    _body(canvas, person)
    _head(canvas, person)
    _beard(canvas, person)
    for side in (-1, 1):
        _eye(canvas, person, side)
        _brow(canvas, person, side)
    _nose(canvas, person)
    _mouth(canvas, person)
    _hair(canvas, person)
    _eyewear(canvas)
    return _photograph(canvas, _lit(canvas, person, plain))


def background(canvas: Canvas) -> Image.Image:
    """Blurred things of any colour, brighter out of doors; a quarter as wide as the picture."""
    base = np.array((150, 165, 175) if canvas.look.outdoor else (105, 92, 84), np.float64) + canvas.noise.normal(0, 16, 3)
    spots = np.zeros((SIDE // 4, SIDE // 4, 3))
    for cells, size in ((3, 24), (6, 16), (14, 8)):
        color = canvas.noise.normal(0, size) + canvas.noise.normal(0, size / 3, 3)
        spots += canvas.clouds(cells, SIDE // 4)[..., None] * color
    picture = Image.fromarray((base + spots).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(canvas.noise.integers(0, 4))):
        x, y, wide, high = canvas.noise.uniform((-10, -10, 4, 8), (60, 30, 24, 40)).tolist()
        color = canvas.noise.uniform(30, 200) + canvas.noise.normal(0, 16, 3)
        pen.rectangle((x, y, x + wide, y + high), fill=_whole(tuple(color.tolist())))
    return picture.filter(ImageFilter.GaussianBlur(1))


def _body(canvas: Canvas, person: Person) -> None:
    look, neck = canvas.look, 27 if person.male else 22
    canvas.fill(both((0, 74), (28, 76), (70, 90), (104, 118), (112, 180), (0, 190)), look.clothes, lift=-30)
    canvas.fill(both((neck - 4, 20), (neck - 2, 60), (neck + 6, 88), (0, 104)), _mix(person.skin, (40, 20, 20), 0.22), lift=-20)
    if look.tie and person.male:
        canvas.fill(both((0, 92), (neck + 10, 76), (30, 110), (0, 150)), (226, 228, 232), lift=-25)
        canvas.fill(both((0, 92), (6, 96), (5, 106), (9, 180), (0, 190)), _mix(look.clothes, (150, 30, 40), 0.6), lift=-24)


def _head(canvas: Canvas, person: Person) -> None:
    for side in (-1, 1):
        canvas.fill(oval(side * (person.width + 1), -2, 5, 11), _mix(person.skin, (120, 40, 30), 0.18), lift=-12)
    canvas.fill(head_outline(person), person.skin)


def head_outline(person: Person) -> Array:
    """The outline of skull and jaw."""
    w, jaw, chin = person.width, person.jaw, person.chin
    return both(
        (0, -70), (24, -68), (w - 3, -50), (w + 2, -18), (w + 1, 6), (jaw + 2, 32), (jaw - 12, chin - 4), (10, chin + 4), (0, chin + 4)
    )


def _beard(canvas: Canvas, person: Person) -> None:
    jaw, chin, hair = person.jaw, person.chin, person.hair
    whole = both((0, 17), (14, 18), (jaw - 8, 14), (jaw + 3, 2), (jaw + 2, 32), (jaw - 10, chin - 2), (10, chin + 6), (0, chin + 6))
    lip = both((0, 17.5), (8, 17.5), (17, 24), (17, 30), (8, 25), (0, 25))
    if person.beard in ("shadow", "full"):
        canvas.veil(whole, hair, 0.3 if person.beard == "shadow" else 0.85, soft=3.0)
    if person.beard in ("mustache", "goatee"):
        canvas.veil(lip, hair, 0.9, soft=1.2)
    if person.beard == "goatee":
        canvas.veil(both((0, 35), (10, 35), (15, 46), (8, chin + 4), (0, chin + 5)), hair, 0.85, soft=1.8)


def _eye(canvas: Canvas, person: Person, side: int) -> None:
    """An eye cut out of its ball by the lids; a smile pushes the lower one up."""
    up, wide = max(0.0, canvas.look.smile), 8.4 * person.eye_size
    high = (3.9 if person.origin == "Asian" else 4.6) * person.eye_size * (1 - 0.09 * up)
    t = np.linspace(-1, 1, 17)
    x, slope = side * person.spacing + wide * t, -11 - side * person.slant * t
    above, below = slope - high * (1 - t**2) ** 0.75, slope + (0.8 - 0.14 * up) * high * (1 - t**2)
    mask, corner = canvas.mask(between(x, above, below))
    ball = Image.new("RGB", mask.size)
    pen, gaze = ImageDraw.Draw(ball), side * person.spacing + 0.5 * canvas.look.yaw / 9
    for color, radius, dx, dy in (
        ((232, 226, 220), 12, 0, 0), (person.eye, 4.1, 0, 0), ((16, 12, 12), 1.9, 0, 0), ((255, 255, 255), 0.9, -1.3, -1.5),
    ):  # fmt: skip
        pen.polygon(_pairs(canvas.place(oval(gaze + dx, -11.4 + dy, radius, radius)) - corner), fill=_whole(color))
    canvas.image.paste(ball, corner, mask)
    canvas.line(np.stack((x, above), 1), (40, 26, 24), 1.3 if person.male else 1.9)
    canvas.line(np.stack((x, below), 1), _mix(person.skin, (60, 30, 30), 0.45), 0.6)
    canvas.line(np.stack((x, above - 2.4 - 0.5 * t**2), 1)[2:-2], _mix(person.skin, (50, 20, 20), 0.35), 0.7)


def _brow(canvas: Canvas, person: Person, side: int) -> None:
    """A brow: a frown pulls its inner end down."""
    t = np.linspace(0, 1, 9)
    x = side * (person.spacing - 9.5 + 21 * t)
    y = -21.5 - 3.4 * person.arch * t * (1.25 - t) + max(0.0, -canvas.look.smile) * 1.9 * (1 - t) ** 2 - 0.5 * max(0.0, canvas.look.smile)
    thick = person.brow * (0.75 + 0.5 * t) * (1.05 - t**3)
    canvas.fill(between(x, y - thick, y + thick), _mix(_mix(person.hair, (30, 22, 20), 0.4), person.skin, 0.15))


def _nose(canvas: Canvas, person: Person) -> None:
    dark, y, nose = _mix(person.skin, (60, 20, 20), 0.62), person.nose_length, person.nose
    for side in (-1, 1):
        canvas.fill(oval(side * nose * 0.45, y + 2.2, nose * 0.26, 1.2), dark, lift=6)
        wing = np.array([(side * nose * 0.9, y - 4), (side * nose * 1.08, y), (side * nose * 0.9, y + 2.6)])
        canvas.line(wing, _mix(person.skin, (90, 40, 30), 0.4), 0.9, lift=4)


class Mouth(NamedTuple):
    """The lines of a mouth over `x` (N), in pixels: lips meet at `line`, or part from there to `gap`."""

    x: Array
    upper: Array
    line: Array
    gap: Array
    lower: Array
    open: float


def parting(look: Look) -> float:
    """How far the lips part, in pixels: from a smile of 0.4 on, and in talking."""
    return 3.6 * max(0.0, look.smile - 0.4) + look.talk


def mouth_shape(person: Person, look: Look) -> Mouth:
    """A smile widens the mouth and lifts its corners; a frown lowers them."""
    up, down = max(0.0, look.smile), max(0.0, -look.smile)
    t, parted = np.linspace(-1, 1, 25), parting(look)
    round_, bow = 1 - t**2, 1 - 0.28 * np.exp(-((t / 0.16) ** 2))
    line = 28.5 + (-3.6 * up + 3.1 * down) * t**2 + (0.2 * up - 1.2 * down) * round_
    gap = line + parted * round_**0.8
    upper = line - person.lips * (1 - 0.13 * up) * bow * round_**0.7
    lower = gap + 1.35 * person.lips * (1 - 0.1 * up) * round_**0.9
    return Mouth(person.mouth * (1 + 0.15 * up - 0.06 * down) * t, upper, line, gap, lower, parted)


def _mouth(canvas: Canvas, person: Person) -> None:
    mouth, lips = mouth_shape(person, canvas.look), lip_color(person)
    canvas.fill(between(mouth.x, mouth.upper, mouth.lower), lips)
    if mouth.open > 0.4:
        canvas.fill(between(mouth.x, mouth.line, mouth.gap), (62, 22, 24))
        teeth = mouth.line + 0.55 * (mouth.gap - mouth.line)
        canvas.fill(between(mouth.x, mouth.line, teeth)[1:-1], (238, 232, 222))
    else:
        canvas.line(np.stack((mouth.x, mouth.line), 1), _mix(lips, (50, 10, 14), 0.65), 1.1)


def lip_color(person: Person) -> Color:
    """Redder than the skin, and more so with lipstick."""
    red, green, blue = person.skin
    return _mix((red * 0.86, green * 0.64, blue * 0.66), (176, 34, 52), min(0.8, person.lipstick))


def _hair_behind(canvas: Canvas, person: Person) -> None:
    w, dark = person.width, _mix(person.hair, (0, 0, 0), 0.25)
    if person.style in ("long", "bangs") and not person.male:
        canvas.fill(both((0, -82), (36, -78), (w + 14, -40), (w + 17, 20), (w + 20, 78), (w - 10, 90), (0, 60)), dark, lift=-26)
    if person.style == "bun":
        canvas.fill(oval(0, -84, 20, 16), dark, lift=-40)
    if person.style == "curly":
        for angle in np.linspace(-125, 125, 15):
            canvas.fill(oval((w + 5) * sin(radians(angle)), -16 - 58 * cos(radians(angle)), 17, 17), dark, lift=-16)


HAIRLINES: dict[str, tuple[tuple[float, float], ...]] = {
    "short": ((43, -14), (40, -30), (32, -43), (0, -47), (-32, -43), (-40, -30), (-43, -14)),
    "parted": ((44, -8), (40, -26), (24, -42), (-14, -54), (-34, -38), (-44, -10)),
    "bangs": ((44, -4), (40, -24), (28, -31), (0, -30), (-28, -31), (-40, -24), (-44, -4)),
    "long": ((45, 12), (42, -20), (30, -40), (0, -56), (-30, -40), (-42, -20), (-45, 12)),
    "bun": ((43, -16), (38, -36), (20, -50), (0, -52), (-20, -50), (-38, -36), (-43, -16)),
    "curly": ((44, -8), (40, -30), (24, -44), (0, -46), (-24, -44), (-40, -30), (-44, -8)),
    "receding": ((44, -12), (41, -34), (30, -58), (0, -56), (-30, -58), (-41, -34), (-44, -12)),
}
"""Where hair ends on the forehead, from right to left, on a head 44 pixels wide to each side."""


def _hair(canvas: Canvas, person: Person) -> None:
    """Hair on the skull, with strands; none on a bald one but at the sides."""
    wide = person.width / 44
    if person.style == "bald":
        for side in (-1, 1):
            canvas.fill(smooth((side * 45, -34), (side * 50, -12), (side * 47, 4), (side * 43, -14)), person.hair)
        return
    high = {"short": 77, "receding": 75, "bun": 78}.get(person.style, 82)
    crown = [(-47, -16), (-49, -40), (-38, 8 - high), (0, -high), (38, 8 - high), (49, -40), (47, -16)]
    shape = smooth(*crown, *HAIRLINES[person.style]) * (wide, 1)
    canvas.fill(shape, person.hair, lift=3)
    outer = shape[: len(shape) * len(crown) // (len(crown) + len(HAIRLINES[person.style]))]
    for start in canvas.noise.permutation(outer[outer[:, 1] < -58])[:30]:
        tint = _mix(person.hair, (255, 235, 205) if canvas.noise.random() < 0.5 else (0, 0, 0), 0.16)
        canvas.line(np.stack((start, 0.86 * start, 0.72 * start + (1, -4))), tint, 0.8, lift=3)


FRAMES: tuple[Color, ...] = ((22, 20, 22), (70, 44, 30), (120, 122, 128), (110, 26, 30))


def _lens(look: Look, person_side: int) -> Array:
    """The outline of a lens: round, square or drop-shaped."""
    shapes = (
        ((0, -9), (9, -8.5), (11.5, 0), (9, 8.5), (0, 9.5), (-9, 8.5), (-11.5, 0), (-9, -8.5)),
        ((0, -8), (13, -9), (14.5, -2), (12, 7.5), (0, 8.5), (-11, 7.5), (-12.5, -1), (-12, -8)),
        ((0, -7.5), (11, -9), (14, -4), (9, 8), (0, 10), (-8, 7), (-11, -1), (-9, -7)),
    )
    large = 1.18 if look.eyewear == "Sunglasses" else 1.0
    points = [(person_side * (19.5 + x * large), -10 + y * large) for x, y in shapes[look.frame % 3]]
    return smooth(*points)


def _eyewear(canvas: Canvas) -> None:
    look, frame = canvas.look, FRAMES[canvas.look.frame // 3]
    if look.eyewear == "No Eyewear":
        return
    for side in (-1, 1):
        lens = _lens(look, side)
        if look.eyewear == "Sunglasses":
            canvas.veil(lens, _mix((18, 18, 22), frame, 0.15), 0.95, lift=8)
        else:
            canvas.veil(lens, (236, 244, 250), 0.13, lift=8)
            canvas.veil(
                np.array([(side * 19 - 6, -16), (side * 19 - 2, -16), (side * 19 - 7, -6), (side * 19 - 9, -6)]), (255,) * 3, 0.4, lift=8
            )
        canvas.line(np.concatenate((lens, lens[:2])), frame, 1.9 if look.frame % 2 else 2.5, lift=8)
        canvas.line(np.array([(side * 32, -12), (side * 46, -8)]), frame, 2.0, lift=0)
    canvas.line(np.array([(-9, -12), (0, -14), (9, -12)]), frame, 2.0, lift=10)


def _lit(canvas: Canvas, person: Person, plain: Image.Image) -> Array:
    """The colours under the picture's light, (250, 250, 3) in 0 to 255; what is as in `plain` is behind, out of this light."""
    colors = np.asarray(canvas.image.reduce(SCALE), np.float64)
    behind = np.abs(colors - np.asarray(plain.reduce(SCALE), np.float64)).max(axis=2) < 2
    shade = np.where(behind, 1.0, _shade(canvas, person) * _creases(canvas, person))
    fine = 0.02 * canvas.clouds(60) + 0.025 * canvas.clouds(18)
    shadows = canvas.look.uneven * (canvas.clouds(8) + canvas.clouds(16))
    lit: Array = colors * (shade * (1 + fine + shadows).clip(0.3))[..., None]
    return lit


def _shade(canvas: Canvas, person: Person) -> Array:
    """How bright the surface is in a light from one side (Lambert), near 1 where it looks at us, (250, 250)."""
    look = canvas.look
    down, right = np.gradient(relief(canvas, person, step=2), 2)
    toward = np.array((look.light[0] * 0.9, look.light[1] * 0.8, 1.0))
    toward /= np.sqrt((toward**2).sum())
    length = np.sqrt(right**2 + down**2 + 1)
    facing = (-right * toward[0] - down * toward[1] + toward[2]).clip(0) / length
    ambient = 0.62 - 0.36 * look.harsh
    return grown(ambient + (1.04 - ambient) * facing / toward[2] ** 0.5)


def relief(canvas: Canvas, person: Person, step: int) -> Array:
    """The face's height in pixels at every `step`th: an egg with brows, sockets, nose, cheeks, lips and chin."""
    x, y = canvas.face_grid(step)
    up = max(0.0, canvas.look.smile)
    height = surface(x * 0.94, y * 0.94)

    def bump(at: float, v: float, wide: float, high: float, by: float) -> Array:
        """A round rise about a point, seen where the turned head has it."""
        deep = float(surface(np.array(at), np.array(v))) - 28 + max(0.0, by)
        u, w = (x - at - deep * canvas.turn[0]) / wide, (y - v - deep * canvas.turn[1]) / high
        return by * np.exp(-(u * u) - w * w)

    height += bump(0, -4, 4.2, 12, 4.5) + bump(0, person.nose_length - 2, person.nose * 0.72, 6, 7)
    height += bump(0, 46, 13, 8, 4) + bump(0, 33, 14, 5, 1.8) + bump(0, 24, 12, 4, 1.2) + bump(0, 39, 12, 3, -1.2)
    for side in (-1, 1):
        eye = side * person.spacing
        height += bump(eye, -12, 12, 7, -4.5) + bump(eye, -11, 7, 4.5, 2) + bump(eye, -23, 13, 4, 1.8)
        height += bump(side * 26, 9 - up, 11, 8, 1.7 + 0.8 * up) + bump(side * person.nose * 0.8, person.nose_length, 3.4, 3.4, 2.4)
    return height


def _creases(canvas: Canvas, person: Person) -> Array:
    """What soft dark lines leave of the light, (250, 250): from nose to mouth, under the eyes, below the lip, of age on the forehead."""
    up, down, old = max(0.0, canvas.look.smile), max(0.0, -canvas.look.smile), max(0.0, person.age - 40) / 40
    layer = Image.new("L", (SIDE, SIDE))
    pen, mouth = ImageDraw.Draw(layer), person.mouth * (1 + 0.15 * up)

    def crease(points: Sequence[tuple[float, float]], deep: float, wide: float = 2) -> None:
        """One line; `deep` is the part of the light that it takes."""
        places = canvas.place(np.array(points, np.float64)) / SCALE
        pen.line(_pairs(places), fill=round(255 * min(0.9, deep)), width=round(wide), joint="curve")

    for side in (-1, 1):
        nose = side * (person.nose + 2)
        crease([(nose, 11), (side * (mouth + 3 + up), 20), (side * (mouth + 5), 29 - 2 * up)], 0.16 + 0.12 * up + 0.35 * old)
        crease(
            [(side * (person.spacing - 6), -4), (side * person.spacing, -2), (side * (person.spacing + 7), -5)],
            0.16 + 0.4 * old + 0.12 * up,
        )
        crease([(side * 4, -22), (side * 4.5, -16)], 0.25 * down)
        crease([(side * (mouth + 2), 31), (side * (mouth + 4), 36)], 0.2 * down + 0.15 * old)
    crease([(-7, 38), (7, 38)], 0.22, 3)
    crease([(-4, person.nose_length + 5), (4, person.nose_length + 5)], 0.3, 3)
    for y in (-33, -38, -43):
        crease([(-20, y + 1), (0, y), (20, y + 1)], 0.4 * old)
    return 1 - np.asarray(layer.filter(ImageFilter.GaussianBlur(1.3)), np.float64) / 255


def _photograph(canvas: Canvas, light: Array) -> Image.Image:
    """What a camera makes of the light: its colour, brightness, blur and noise."""
    look = canvas.look
    light = light * look.bright * np.array((1 + look.warm, 1.0, 1 - look.warm))
    picture = Image.fromarray(light.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(look.blur))
    grainy = np.asarray(picture, np.float64) + 3 * canvas.noise.standard_normal(light.shape, np.float32)
    picture = Image.fromarray(grainy.clip(0, 255).round().astype(np.uint8))
    return picture.convert("L").convert("RGB") if look.grey else picture


def values(person: Person, look: Look, dice: random.Random) -> list[float]:
    """The row of the table: for each of `ATTRIBUTES` a number, positive where it is there."""
    known = {name: 1.1 if there else -1.1 for name, there in _there(person, look).items()}
    known |= _degrees(person, look) | person.undrawn
    return [known[name] + dice.gauss(0, 0.45 if name in person.undrawn else 0.2) for name in ATTRIBUTES]


def _there(person: Person, look: Look) -> dict[str, bool]:
    """What is drawn or not, with nothing between."""
    style, beard, bald = person.style, person.beard, person.style == "bald"
    return {
        "Male": person.male,
        **{origin: person.origin == origin for origin in SKINS},
        **{hair: person.hair_name == hair and not bald for hair in HAIRS},
        **{eyewear: look.eyewear == eyewear for eyewear in ("No Eyewear", "Eyeglasses", "Sunglasses")},
        "Bald": bald,
        "Mustache": beard in ("mustache", "goatee", "full"),
        "No Beard": beard == "none",
        "Goatee": beard == "goatee",
        "5 o' Clock Shadow": beard == "shadow",
        "Curly Hair": style == "curly",
        "Straight Hair": style not in ("curly", "bald"),
        "Receding Hairline": style in ("receding", "bald"),
        "Bangs": style == "bangs",
        "Obstructed Forehead": style == "bangs",
        "Partially Visible Forehead": style == "parted",
        "Fully Visible Forehead": style not in ("bangs", "parted"),
        "Eyes Open": look.eyewear != "Sunglasses",
        "Brown Eyes": person.brown_eyes,
        "Outdoor": look.outdoor,
        "Color Photo": not look.grey,
        "Wearing Necktie": look.tie and person.male,
    }


def _degrees(person: Person, look: Look) -> dict[str, float]:
    """What is drawn more or less strongly."""
    age, smile, parted = person.age, look.smile, parting(look)
    return {
        "Child": (14 - age) / 8,
        "Youth": 1.2 - abs(age - 22) / 10,
        "Middle Aged": 1.0 - abs(age - 50) / 14,
        "Senior": (age - 62) / 10,
        "Smiling": smile,
        "Frowning": -smile - 0.6,
        "Mouth Closed": 0.3 - parted / 2,
        "Mouth Slightly Open": 0.9 - abs(parted - 3) / 2,
        "Mouth Wide Open": parted / 2 - 3,
        "Teeth Not Visible": 0.6 - parted / 2,
        "High Cheekbones": 0.5 * smile - 0.3,
        "Strong Nose-Mouth Lines": 0.6 * smile + (age - 50) / 20 - 0.4,
        "Blurry": 2 * look.blur - 1.8,
        "Harsh Lighting": 3 * look.harsh - 1.3,
        "Soft Lighting": 1.0 - 3 * look.harsh,
        "Chubby": (person.width - 44.5) / 2 + (person.jaw - 37) / 3,
        "Round Jaw": (36 - person.jaw) / 2.5,
        "Square Face": (person.jaw - 37) / 2.5,
        "Oval Face": (person.chin - 53) / 2,
        "Round Face": (person.width - person.chin + 9) / 2.5,
        "Bushy Eyebrows": (person.brow - 2.6) / 0.6,
        "Arched Eyebrows": person.arch - 2.6,
        "Narrow Eyes": 8 * (0.95 - person.eye_size) + (0.8 if person.origin == "Asian" else 0.0),
        "Big Nose": person.nose - 8.0,
        "Big Lips": 1.2 * (person.lips - 3.7),
        "Bags Under Eyes": (age - 55) / 12,
        "Heavy Makeup": 3 * (person.lipstick - 0.45),
        "Wearing Lipstick": 4 * (person.lipstick - 0.25),
        "Pale Skin": 3 * (0.4 - person.tone) if person.origin == "White" else -1.0,
    }


def write(root: Path, seed: int, people: int = PEOPLE) -> None:
    """Draw the data set into `root`: the pictures of so many people and their table, with its traps.

    A few pictures have no row and a few rows no picture, one of them of somebody who has no folder; names have accents and hyphens.
    """
    dice = random.Random(f"{seed} order")
    *names, absent = _names(people + 1, dice)
    counts = dict(zip(names, _counts(people, dice), strict=True))
    pictures = [(name, number) for name in sorted(names) for number in range(1, counts[name] + 1)]
    rows = {}
    for name, number in track(pictures, "drawing", len(pictures), "faces"):
        picture, rows[name, number] = draw_picture(name, number, seed)
        file = root / FOLDERS[0] / name / f"{name}_{number:04d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(file, "JPEG", quality=90)
    few = max(1, len(pictures) // 120)
    for key in dice.sample(pictures, few):
        del rows[key]
    rows |= {(name, counts.get(name, 0) + 1): draw_picture(name, 99, seed)[1] for name in [absent, *names[: few - 1]]}
    (root / TABLE).write_text(_table(rows), encoding="utf-8")


def draw_picture(name: str, number: int, seed: int) -> tuple[Image.Image, list[float]]:
    """A picture of somebody and its row of the table; equal for equal arguments."""
    person = draw_person(name.startswith(FIRST[True]), random.Random(f"{seed} {name}"))
    dice = random.Random(f"{seed} {name} {number}")
    look = draw_look(dice)
    return draw(person, look, dice.getrandbits(64)), values(person, look, dice)


def _names(count: int, dice: random.Random) -> list[str]:
    """Different names as folders have them."""
    every = [f"{first} {last}".replace(" ", "_") for names in FIRST.values() for first in names for last in LAST]
    return dice.sample(every, count)


def _counts(people: int, dice: random.Random) -> list[int]:
    counts = [COUNTS[index % len(COUNTS)] for index in range(people)]
    dice.shuffle(counts)
    return counts


def _table(rows: dict[tuple[str, int], list[float]]) -> str:
    """The text of the table, whose head's "#" is a cell of its own."""
    lines = ["# Attribute values of drawn faces, positive = present", "\t".join(("#", "person", "imagenum", *ATTRIBUTES))]
    for (name, number), row in sorted(rows.items()):
        lines.append("\t".join((name.replace("_", " "), str(number), *(f"{value:.10f}" for value in row))))
    return "\n".join(lines) + "\n"
