"""What a detector finds, written down: a row a box, a JSON line a picture, COCO's results, and pictures with the boxes drawn on them.

Each writer is a context manager that gives what takes one picture after the other; its file is whole when the block has ended well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zoo.cells import guarded
from zoo.errors import shown
from zoo.frames.video import Picture, film
from zoo.partial import growing, growing_lines, growing_rows, whole
from zoo.progress import say

if TYPE_CHECKING:
    from zoo.model import Detections


class Seen(NamedTuple):
    """A picture that was looked at.

    Attributes:
        number: its id in COCO's results.
        where: what it is called: its path, or its frame and time.
        picture: reads it, (H, W, 3) uint8 RGB.
    """

    number: int
    where: Mapping[str, str | int | float]
    picture: Callable[[], Picture]


Write = Callable[[Seen, "Detections"], None]
COLUMNS = ("label", "score", "left", "top", "right", "bottom")


@contextmanager
def printed() -> Iterator[Write]:
    """A line a box on standard output."""

    def write(seen: Seen, found: Detections) -> None:
        where = "  ".join(shown(value) for value in seen.where.values())
        for label, score, corners in _boxes(found):
            print(f"{score:.6f}  {shown(label)}  {' '.join(f'{value:.1f}' for value in corners)}  {where}", flush=True)

    yield write


@contextmanager
def rows(path: Path, where: Sequence[str]) -> Iterator[Write]:
    """CSV with a row a box."""
    with growing_rows(path, [*where, *COLUMNS]) as add:

        def write(seen: Seen, found: Detections) -> None:
            names = [no_formula(value) if isinstance(value, str) else value for value in seen.where.values()]
            for label, score, corners in _boxes(found):
                add([*names, guarded(label), f"{score:.6f}", *(f"{value:.2f}" for value in corners)])

        yield write


@contextmanager
def json_lines(path: Path) -> Iterator[Write]:
    """A JSON object a line and picture: what it is called, `boxes` as left, top, right, bottom, `labels` and `scores`."""
    with growing_lines(path) as add:

        def write(seen: Seen, found: Detections) -> None:
            labels, scores, boxes = zip(*_boxes(found), strict=True) if found.labels else ((), (), ())
            add({**seen.where, "boxes": boxes, "labels": labels, "scores": scores})

        yield write


@contextmanager
def coco_results(path: Path, labels: Sequence[str], ids: str) -> Iterator[Write]:
    """COCO's format of results (cocodataset.org, "Results Format"): a list of boxes as left, top, width, height.

    Args:
        path: the file.
        labels: of the model; the first is category 1.
        ids: what the pictures' ids are, for people.
    """
    category = {label: number for number, label in enumerate(labels, 1)}
    count = 0
    with growing(path) as file:
        file.write("[")

        def write(seen: Seen, found: Detections) -> None:
            nonlocal count
            for label, score, (left, top, right, bottom) in _boxes(found):
                bbox = [left, top, round(right - left, 2), round(bottom - top, 2)]
                result = {"image_id": seen.number, "category_id": category[label], "bbox": bbox, "score": score}
                file.write(("," if count else "") + "\n" + json.dumps(result))
                count += 1

        yield write
        file.write("\n]\n")
    categories = ", ".join(f"{number} {shown(label)}" for label, number in category.items())
    say(f"wrote {count} boxes to {path}: image_id is {ids}; category_id is {categories}")


@contextmanager
def drawn_pictures(folder: Path, names: Mapping[int, str], labels: Sequence[str]) -> Iterator[Write]:
    """A PNG a picture in a folder, by the pictures' numbers."""
    from PIL import Image

    draw = _drawer(labels)

    def write(seen: Seen, found: Detections) -> None:
        path = folder / names[seen.number]
        with whole(path) as partial:
            folder.mkdir(exist_ok=True)
            Image.fromarray(draw(seen.picture(), found)).save(partial)

    yield write
    say(f"wrote {len(names)} pictures to {folder}")


@contextmanager
def drawn_film(path: Path, rate: float, live: bool, labels: Sequence[str]) -> Iterator[Write]:
    """A film of the frames; see `zoo.frames.video.film`."""
    count, draw = 0, _drawer(labels)
    with film(path, rate, live) as add:

        def write(seen: Seen, found: Detections) -> None:
            nonlocal count
            add(draw(seen.picture(), found), float(seen.where["seconds"]))
            count += 1

        yield write
    say(f"wrote {count} frames to {path}")


def _drawer(labels: Sequence[str]) -> Callable[[Picture, Detections], Picture]:
    """What draws boxes on a picture (H, W, 3) uint8; it is loaded here, before the first picture waits for it."""
    from zoo.figures.boxes import outlined

    def draw(picture: Picture, found: Detections) -> Picture:
        if not found.labels:
            return picture
        classes = np.array([labels.index(label) for label in found.labels])
        return outlined(picture, found.boxes, classes, found.scores, labels)

    return draw


def no_formula(path: str) -> str:
    """The same file under a name that spreadsheets do not take for a formula: `=1.png` -> `./=1.png`."""
    return f"./{path}" if path[0] in "=+-@\t\r" else path


def _boxes(found: Detections) -> Iterator[tuple[str, float, list[float]]]:
    """Label, score and corners of each; hundredths of a pixel are finer than any detector."""
    corners = np.asarray(found.boxes, np.float64).round(2).tolist()
    scores = np.asarray(found.scores, np.float64).round(6).tolist()
    yield from zip(found.labels, scores, corners, strict=True)
