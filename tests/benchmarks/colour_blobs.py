"""What colour alone finds of the drawn hard hats: blobs of likely pixels, scored by mAP@.5, beside which a trained network is judged.

    python tests/benchmarks/colour_blobs.py [FOLDER] [--seed 0]

FOLDER holds images/ and annotations/; without it the data is drawn (half a minute). Every fifth picture is for validation. The colours
of helmets and of bare heads are learnt from the boxes of the others as ratios of histograms (Jones & Rehg, "Statistical Color Models
with Application to Skin Detection", 1999); how likely a pixel must be and how far boxes grow beyond their blobs is what suits those
pictures best. A minute on one core; on the validation pictures of seeds 0 and 1 it finds 0.117 and 0.149.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from zoo.datasets.drawn.hardhat import ANNOTATIONS, PICTURES, write

LABELS = ("helmet", "head")
BINS = 16
LEVELS = (1.0, 2.0, 3.0)
GROWN = (1.0, 1.3, 1.6)

Array = NDArray[np.float64]


class Case(NamedTuple):
    """A picture (H, W, 3) uint8, its boxes (N, 4) as left, top, right, bottom, and their classes (N,)."""

    pixels: NDArray[np.uint8]
    boxes: Array
    classes: NDArray[np.int64]


def main() -> None:
    """Learn, choose and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the drawn data")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = arguments.folder or Path(place) / "drawn"
        if not arguments.folder:
            write(folder, arguments.seed)
        cases = read(folder)
    train, val = [case for at, case in enumerate(cases) if at % 5], cases[::5]
    odds = [learnt(train, label) for label in range(len(LABELS))]
    chosen = [best(train[::2], odds[label], label) for label in range(len(LABELS))]
    for name, part in (("training", train), ("validation", val)):
        each = [score(part, odds[label], label, *chosen[label]) for label in range(len(LABELS))]
        told = ", ".join(f"{label} {value:.3f}" for label, value in zip(LABELS, each, strict=True))
        print(f"colour blobs on {len(part)} {name} pictures: mAP@.5 {np.mean(each):.3f} ({told})")


def read(folder: Path) -> list[Case]:
    """All pictures in the order of their numbers, with their helmets and heads."""
    cases = []
    for path in sorted((folder / ANNOTATIONS).glob("*.xml"), key=lambda path: int(path.stem.removeprefix("hard_hat_workers"))):
        with Image.open(folder / PICTURES / f"{path.stem}.png") as picture:
            pixels = np.asarray(picture.convert("RGB"))
        found = [item for item in ET.parse(path).iter("object") if item.findtext("name") in LABELS]
        boxes = [[float(item.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")] for item in found]
        classes = [LABELS.index(item.findtext("name", "")) for item in found]
        cases.append(Case(pixels, np.array(boxes).reshape(-1, 4), np.array(classes, np.int64)))
    return cases


def bins(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The histogram's cell of each pixel, (H, W)."""
    cell = pixels.astype(np.int64) * BINS // 256
    return (cell[..., 0] * BINS + cell[..., 1]) * BINS + cell[..., 2]


def learnt(cases: list[Case], label: int) -> Array:
    """Log odds that a pixel of some colour belongs to a class, (BINS^3,): of a helmet the upper half counts, of a head all."""
    inside, outside = np.ones(BINS**3), np.ones(BINS**3)
    for case in cases:
        cells, mine = bins(case.pixels), np.zeros(case.pixels.shape[:2], bool)
        for left, top, right, bottom in case.boxes[case.classes == label].astype(int):
            edge = (right - left) // 6
            mine[top : (top + bottom) // 2 if LABELS[label] == "helmet" else bottom, left + edge : right - edge] = True
        inside += np.bincount(cells[mine], minlength=BINS**3)
        outside += np.bincount(cells[~mine], minlength=BINS**3)
    ratio: Array = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
    return ratio


def blobs(case: Case, odds: Array, level: float, grown: float) -> list[tuple[Array, float]]:
    """Boxes with scores: connected pixels above `level`, as high as `grown` times the blob; full blobs as high as wide score most."""
    likely = ndimage.uniform_filter(odds[bins(case.pixels)], 3)
    marks, _ = ndimage.label(ndimage.binary_opening(likely > level))
    found = []
    for mark, (rows, columns) in enumerate(ndimage.find_objects(marks), 1):
        high, wide = rows.stop - rows.start, columns.stop - columns.start
        mine = marks[rows, columns] == mark
        if min(high, wide) < 4 or max(high, wide) > 160:
            continue
        square = np.exp(-(np.log(grown * high / wide / 1.15) ** 2) / 0.2)
        value = float(likely[rows, columns][mine].mean() * mine.mean() * square)
        found.append((np.array([columns.start, rows.start, wide, grown * high]), value))
    return found


def best(cases: list[Case], odds: Array, label: int) -> tuple[float, float]:
    """The level and the growth that score most."""
    return max(itertools.product(LEVELS, GROWN), key=lambda chosen: score(cases, odds, label, *chosen))


def score(cases: list[Case], odds: Array, label: int, level: float, grown: float) -> float:
    """Average precision at IoU .5 of one class."""
    truth, found = [], []
    for number, case in enumerate(cases):
        for left, top, right, bottom in case.boxes[case.classes == label].tolist():
            box = [left, top, right - left, bottom - top]
            truth.append({"id": len(truth) + 1, "image_id": number, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
        for box, value in blobs(case, odds, level, grown):
            found.append({"image_id": number, "category_id": 1, "bbox": box.tolist(), "score": value})
    if not found:
        return 0.0
    images = [{"id": number, "width": case.pixels.shape[1], "height": case.pixels.shape[0]} for number, case in enumerate(cases)]
    data = COCO({"images": images, "annotations": truth, "categories": [{"id": 1, "name": LABELS[label]}]})
    evaluation = COCOeval_faster(data, data.loadRes(found), "bbox")
    evaluation.params.iouThrs = np.array([0.5])
    evaluation.evaluate()
    evaluation.accumulate()
    return float(evaluation.eval["precision"][0, :, 0, 0, -1].mean())


if __name__ == "__main__":
    main()
