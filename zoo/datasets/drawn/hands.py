"""Drawn frames in the layout of HANDS: five people before one camera, a recording for each gesture, mostly with both hands at once.

The traps are those of the real data: tables that name the folders of another machine, cells of what is not shown, columns of two hands,
depth frames beside the colour frames, and frames of one recording that are nearly the same picture.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from zoo.datasets.drawn.takes import Corners, Shown, Somebody, Take
from zoo.progress import track

SIZE = (256, 144)
"""A sixteenth of the real area."""
SUBJECTS, FRAMES = 5, 6
ONE_HAND = {
    "Punch": "fist",
    "One": "one",
    "Two": "peace",
    "Three": "three",
    "Four": "four",
    "Five": "palm",
    "Six": "six",
    "Seven": "seven",
    "Eight": "eight",
    "Nine": "ok",
    "Span": "span",
}
TWO_HANDS = ("Collab", "XSign", "TimeOut")
COLUMNS = (*(f"{name}_VF{hand}" for name in ONE_HAND for hand in "RL"), "Horiz_HFR", "Horiz_HFL", "Horiz_HBR", "Horiz_HBL", *TWO_HANDS)
ELSEWHERE = ("D:\\acquisitions\\{name}_new\\{file}", "/home/kinect/hands/{name}/{name}/rgb/{file}")
"""Where the tables say that the frames are."""


class Recording(NamedTuple):
    """The hands that are shown, and the columns of their boxes; of two hands with one column there is one box around both."""

    shown: tuple[Shown, ...]
    columns: tuple[str, ...]


def recordings(dice: random.Random) -> list[Recording]:
    """The 16 recordings of a person. The right hand is at the left of the picture; now and then a hand stays down."""
    found = [_both(pose, name, "VF", back=False, dice=dice) for name, pose in ONE_HAND.items()]
    found += [_both("horiz", "Horiz", f"H{side}", back=side == "B", dice=dice) for side in "FB"]
    palm, level = Shown("palm", False, False, 0.4, 0.6), Shown("horiz", True, True, 0.55, 0.42)
    found.append(Recording((palm, Shown("palm", True, False, 0.6, 0.6)), ("Collab",)))
    found.append(Recording((Shown("one", False, True, 0.42, 0.6), Shown("one", True, True, 0.56, 0.6)), ("XSign",)))
    found.append(Recording((Shown("stop", False, True, 0.48, 0.72), level), ("TimeOut",)))
    return found


def _both(pose: str, name: str, view: str, back: bool, dice: random.Random) -> Recording:
    hands = [(Shown(pose, left, back, 0.8 if left else 0.2, 0.58), f"{name}_{view}{'L' if left else 'R'}") for left in (False, True)]
    if dice.random() < 0.2:
        hands.remove(dice.choice(hands))
    return Recording(tuple(shown for shown, _ in hands), tuple(column for _, column in hands))


def write(root: Path, seed: int, subjects: int = SUBJECTS, frames: int = FRAMES) -> None:
    """Draw the data set into `root`: `subjects` people and of each of their 16 recordings `frames` frames."""
    for number in track(range(1, subjects + 1), "drawing", subjects, "people"):
        name = f"Subject{number}"
        dice = random.Random(f"{seed}/{name}")
        somebody, folder = Somebody.chosen(dice), root / name / name
        folder.mkdir(parents=True)
        rows, written = [",".join(("rgb", "depth", *COLUMNS))], 0
        for recording in recordings(dice):
            take = Take(SIZE, somebody, recording.shown, f"{seed}/{name}/{recording.columns}")
            for index in range(frames):
                written += 1
                picture, boxes = take.frame(index)
                picture.save(folder / f"{written}_color.png", compress_level=3)
                _depth(boxes).save(folder / f"{written}_depth.png", compress_level=3)
                rows.append(_row(f"{seed}/{number}", name, written, cells(recording, boxes)))
        (root / name / f"{name}.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")


def cells(recording: Recording, boxes: list[Corners]) -> dict[str, str]:
    """The table's cells of a frame: column -> `[x y w h]`, or `[0 0 0 0]`."""
    if len(recording.columns) < len(boxes):
        left, top, right, bottom = zip(*boxes, strict=True)
        boxes = [(min(left), min(top), max(right), max(bottom))]
    said = {
        column: f"[{left} {top} {right - left} {bottom - top}]"
        for column, (left, top, right, bottom) in zip(recording.columns, boxes, strict=True)
    }
    return {column: said.get(column, "[0 0 0 0]") for column in COLUMNS}


def _row(who: str, name: str, number: int, said: dict[str, str]) -> str:
    """A line of a table; a person's table was written on one machine."""
    place = random.Random(who).choice(ELSEWHERE)
    return ",".join((*(place.format(name=name, file=f"{number}_{kind}.png") for kind in ("color", "depth")), *said.values()))


def _depth(boxes: list[Corners]) -> Image.Image:
    """Millimetres at a quarter of the size: a wall and, nearer, where hands are."""
    depth = np.full((SIZE[1] // 4, SIZE[0] // 4), 2400, np.uint16)
    for left, top, right, bottom in boxes:
        depth[top // 4 : bottom // 4, left // 4 : right // 4] = 900
    return Image.fromarray(depth)
