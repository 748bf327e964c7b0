"""Small data sets of gestures for tests, in the layouts of HANDS, HaGRID and own recordings: grey pictures of 96 x 54 pixels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from zoo.datasets.hands import LABELS

SIZE = (96, 54)
COLUMNS = (
    *(f"{name}_VF{side}" for name in LABELS[:11] for side in "RL"),
    *("Horiz_HBL", "Horiz_HFL", "Horiz_HBR", "Horiz_HFR", "Collab", "XSign", "TimeOut"),
)


def picture(path: Path, colour: str = "grey", size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def line(number: int, cells: Mapping[str, str], columns: Sequence[str] = COLUMNS) -> str:
    rgb, depth = (rf"D:\Somebody\Else\{number}_{kind}.png" for kind in ("color", "depth"))
    return ",".join([rgb, depth, *(cells.get(column, "[0 0 0 0]") for column in columns)])


def hands(root: Path, subjects: Mapping[str, Sequence[Mapping[str, str]]]) -> Path:
    """Subject -> for each frame its cells by column."""
    for subject, frames in subjects.items():
        for number in range(1, len(frames) + 1):
            picture(root / subject / subject / f"{number}_color.png")
        rows = [line(number, cells) for number, cells in enumerate(frames, 1)]
        (root / subject / f"{subject}.txt").write_text("\r\n".join([",".join(("rgb", "depth", *COLUMNS)), *rows]) + "\r\n")
    return root


def entry(*boxes: tuple[str, Sequence[Any]], user: Any = "u1", **more: Any) -> dict[str, Any]:
    return {"bboxes": [list(box) for _, box in boxes], "labels": [label for label, _ in boxes], "user_id": user, **more}


def hagrid(root: Path, annotations: Mapping[str, Mapping[str, Any]], pictures: str = "subsample") -> Path:
    """`ann_subsample/like` -> picture's name -> its entry."""
    for name, entries in annotations.items():
        file = root / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(entries))
        for stem in entries:
            picture(root / pictures / file.stem / f"{stem}.jpg")
    return root


def recording(folder: Path, gesture: str = "FIVE", frames: int = 3, **more: Any) -> Path:
    for number in range(1, frames + 1):
        picture(folder / "images" / f"image_{number:06d}.png")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.json").write_text(json.dumps({"gesture": gesture, "bbox": [10, 5, 50, 45], **more}))
    return folder
