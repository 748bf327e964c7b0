"""Drawn pictures in the layout of HaGRID: many people, each with a few pictures, who show a gesture to a webcam or telephone.

The traps are those of the real data: two boxes where the other hand is seen too (`no_gesture`), a file of each gesture with the same
people in all of them, a finger before the mouth, hands seen from either side, landmarks that are missing, and files that no annotation
knows. The real landmarks are left out: their lists are empty, as they are where none were found.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.datasets.drawn.takes import Corners, Shown, Somebody, Take
from zoo.progress import track

POSES = {
    "call": "call",
    "dislike": "dislike",
    "fist": "fist",
    "four": "four",
    "like": "like",
    "mute": "one",
    "ok": "ok",
    "one": "one",
    "palm": "palm",
    "peace": "peace",
    "peace_inverted": "peace",
    "rock": "rock",
    "stop": "stop",
    "stop_inverted": "stop",
    "three": "three",
    "three2": "three2",
    "two_up": "two_up",
    "two_up_inverted": "two_up",
}
"""The 18 gestures of the first version, and how they are drawn; `inverted` ones show the back of the hand."""
PICTURES = 24
SIZES = ((208, 156), (224, 126), (144, 192))
OTHER = 0.4
"""The part of the pictures in which the other hand is seen."""

Entry = dict[str, Any]


def write(root: Path, seed: int, pictures: int = PICTURES) -> None:
    """Draw the subsample of the first version into `root`: `pictures` of each gesture."""
    people = _people(seed, max(12, 4 * pictures))
    (root / "ann_subsample").mkdir(parents=True)
    for gesture in track(POSES, "drawing", len(POSES), "gestures"):
        entries = _draw(root / "subsample" / gesture, gesture, f"{seed}/{gesture}", pictures, people)
        _save(root / "ann_subsample" / f"{gesture}.json", entries)


def write_second(root: Path, seed: int, gestures: tuple[str, ...] = ("like", "peace_inverted"), pictures: int = 6) -> None:
    """Draw a small data set of the second version, with parts of its own and the fields it adds; a person is in one part only."""
    everyone = list(_people(seed, 12).items())
    for gesture in gestures:
        for part, start in (("train", 0), ("val", 6), ("test", 9)):
            people = dict(everyone[start : start + (6 if part == "train" else 3)])
            entries = _draw(root / gesture, gesture, f"{seed}/{part}/{gesture}", pictures, people)
            added = {name: entry | _second(entry) for name, entry in entries.items()}
            _save(root / "annotations" / part / f"{gesture}.json", added)


def _people(seed: int, count: int) -> dict[str, Somebody]:
    """People by their `user_id`, which is a digest in the real files."""
    return {
        uuid.UUID(int=random.Random(f"{seed}/{number}").getrandbits(128)).hex: Somebody.chosen(random.Random(f"{seed} person {number}"))
        for number in range(count)
    }


def _draw(folder: Path, gesture: str, seed: str, pictures: int, people: Mapping[str, Somebody]) -> dict[str, Entry]:
    """Draw pictures of one gesture; their annotations by the names of the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    entries: dict[str, Entry] = {}
    for number in range(pictures):
        dice = random.Random(f"{seed}/{number}")
        name, person = str(uuid.UUID(int=dice.getrandbits(128))), dice.choice(list(people))
        size, left = dice.choice(SIZES), dice.random() < 0.5
        shown = _shown(gesture, left, size[0] / size[1], dice)
        picture, boxes = Take(size, people[person], shown, name).frame(0)
        picture.save(folder / f"{name}.jpg", quality=dice.randint(70, 92))
        entries[name] = _entry(gesture, boxes, size, person, left)
    return entries


def _shown(gesture: str, left: bool, aspect: float, dice: random.Random) -> list[Shown]:
    """The leading hand and perhaps, behind it and lower on the other side, the other one."""
    back = gesture.endswith("_inverted") or (gesture in ("like", "dislike", "fist", "call", "three2") and dice.random() < 0.5)
    size = dice.uniform(0.16, 0.27) * min(1.0, 0.9 * aspect)
    x, y = (0.72 if left else 0.28) + dice.gauss(0, 0.04), dice.uniform(0.4, 0.62)
    if gesture == "mute":
        x, y = 0.5 + dice.gauss(0, 0.03), dice.uniform(0.4, 0.5)
    leading = Shown(POSES[gesture], left, back, x, y, size)
    if dice.random() >= OTHER:
        return [leading]
    return [Shown("rest", not left, dice.random() < 0.5, 0.22 if left else 0.78, dice.uniform(0.72, 0.84), size), leading]


def _entry(gesture: str, boxes: list[Corners], size: tuple[int, int], person: str, left: bool) -> Entry:
    """What the first version says of a picture."""
    kept = [(box, label) for box, label in zip(reversed(boxes), (gesture, "no_gesture"), strict=False) if box[2] > box[0]]
    return {
        "bboxes": [_relative(box, size) for box, _ in kept],
        "labels": [label for _, label in kept],
        "landmarks": [[] for _ in kept],
        "leading_conf": 1.0,
        "leading_hand": "left" if left else "right",
        "user_id": person,
    }


def _second(entry: Entry) -> Entry:
    """What the second version adds: a box around both hands where they make one gesture, which these do not, and who is seen."""
    return {
        "united_bbox": None,
        "united_label": None,
        "hand_landmarks": entry["landmarks"],
        "meta": {"age": [None], "gender": ["unknown"], "race": ["unknown"]},
    }


def _relative(box: Corners, size: tuple[int, int]) -> list[float]:
    """Left, top, width and height in parts of the picture."""
    left, top, right, bottom = box
    return [round(left / size[0], 6), round(top / size[1], 6), round((right - left) / size[0], 6), round((bottom - top) / size[1], 6)]


def _save(path: Path, entries: Mapping[str, Entry]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=1), encoding="utf-8")
