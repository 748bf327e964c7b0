"""Drawn recordings in the layout of `zoo capture`: a hand before a webcam for some frames, boxed once or, by a tracker, in each frame."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from zoo.datasets.drawn.takes import Shown, Somebody, Take
from zoo.progress import track

POSES: dict[str, tuple[str, ...]] = {
    "BACKGROUND": ("call", "rock", "seven", "eight", "span", "rest", "horiz"),
    "ONE": ("one",),
    "TWO": ("two_up", "peace"),
    "THREE": ("three", "three2", "six"),
    "FOUR": ("four",),
    "FIVE": ("palm", "stop"),
    "THUMBS_UP": ("like",),
    "THUMBS_DOWN": ("dislike",),
    "OKEY": ("ok",),
    "FIST": ("fist",),
}
SIZE = (160, 120)
PEOPLE, RECORDS, FRAMES = 8, 60, 8


def write(root: Path, seed: int, records: int = RECORDS, frames: int = FRAMES) -> None:
    """Draw `records` recordings of `frames` frames into `root`; all gestures equally often."""
    order = random.Random(f"{seed} order")
    people = [Somebody.chosen(random.Random(f"{seed} recorded person {number}")) for number in range(PEOPLE)]
    gestures = [list(POSES)[number % len(POSES)] for number in range(records)]
    order.shuffle(gestures)
    for number in track(range(1, records + 1), "drawing", records, "recordings"):
        dice = random.Random(f"{seed}/record_{number}")
        who = dice.randrange(PEOPLE)
        _record(root / f"record_{number}", people[who], f"person {who + 1}", gestures[number - 1], frames, dice)


def _record(folder: Path, somebody: Somebody, person: str, gesture: str, frames: int, dice: random.Random) -> None:
    """One recording: boxed by hand, by a tracker, or not at all where the hand fills the picture."""
    (folder / "images").mkdir(parents=True)
    boxed = dice.choices(("hand", "tracker", "none"), (6, 3, 1))[0]
    x, y, size = (0.5, 0.72, 0.52) if boxed == "none" else (dice.choice((0.25, 0.7)), dice.uniform(0.45, 0.6), dice.uniform(0.2, 0.29))
    shown = Shown(dice.choice(POSES[gesture]), dice.random() < 0.5, dice.random() < 0.4, x, y, size)
    take = Take(SIZE, somebody, [shown], f"{dice.getrandbits(64)}")
    boxes: dict[str, list[int]] = {}
    for index in range(1, frames + 1):
        picture, (box,) = take.frame(index)
        name = f"image_{index:06d}.png"
        picture.save(folder / "images" / name, compress_level=3)
        boxes[name] = list(box)
    meta: dict[str, Any] = {"bbox": None if boxed == "none" else _around(boxes), "gesture": gesture, "person": person}
    meta |= {"source": "drawn", "fps": 10.0, "created": "2024-01-01T12:00:00+00:00"}
    meta |= {"boxes": boxes} if boxed == "tracker" else {}
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def _around(boxes: dict[str, list[int]]) -> list[int]:
    """The box that somebody draws by hand for a whole recording: around the hand of all frames."""
    left, top, right, bottom = zip(*boxes.values(), strict=True)
    return [min(left), min(top), max(right), max(bottom)]
