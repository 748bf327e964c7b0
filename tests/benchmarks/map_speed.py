"""How long COCO's numbers take in zoo, beside pycocotools, on the same found and true boxes; some minutes.

    python tests/benchmarks/map_speed.py [--pictures 5000] [--rounds 6] [--boxes 7] [--found 20] [--classes 3]

The pictures have `--boxes` true boxes on average, a twentieth of them ignored regions, and `--found` found ones, two thirds of them near
true ones. Both sides start from the same arrays in memory and end with seven numbers, which must be equal to 1e-9; what each library
wants them made into first is part of it.

    zoo           `DetectionScores`: updates with batches of 16 pictures, then `compute` (faster-coco-eval)
    pycocotools   lists of annotations, `loadRes`, `evaluate`, `accumulate` and `summarize`; no file is written

In a round both sides run once, and the order is turned from round to round; a first round of a tenth of the pictures is not kept. Given
are the medians and the interval that holds the median of the rounds' ratios with at least 95 % (order statistics of the sign test; below
six rounds the outermost), in wall-clock and in CPU time. Target: zoo at least 3 times as fast.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from intervals import interval

from zoo.datasets.boxes import IGNORED, NONE
from zoo.metrics.detection import DetectionScores

NAMES = ("map", "map50", "map75", "map_small", "map_medium", "map_large", "recall")
PLACES = (0, 1, 2, 3, 4, 5, 8)
"""Of them in the list that pycocotools gives."""
BATCH = 16

Boxes = dict[str, Tensor]


def drawn(pictures: int, boxes: int, found: int, classes: int) -> tuple[Boxes, Boxes]:
    """Predictions and truth of all pictures, with as many rows for each; rows of class `NONE` are none."""
    generator = torch.Generator().manual_seed(0)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def corners(number: int) -> Tensor:
        centre, sides = 512 * uniform(pictures, number, 2), 8 * 20 ** uniform(pictures, number, 2)
        return torch.cat((centre - sides / 2, centre + sides / 2), 2)

    there, label = corners(2 * boxes), (classes * uniform(pictures, 2 * boxes)).long()
    absent = torch.arange(2 * boxes) >= (2 * boxes + 1) * uniform(pictures, 1)
    near = torch.randint(0, 2 * boxes, (pictures, found), generator=generator)
    sides = (there[..., 2:] - there[..., :2]).repeat(1, 1, 2)
    moved = (there + 0.1 * torch.randn(there.shape, generator=generator) * sides).gather(1, near[..., None].expand(-1, -1, 4))
    anywhere = (uniform(pictures, found) < 0.33) | absent.gather(1, near)
    other = (classes * uniform(pictures, found)).long()
    said = torch.where(uniform(pictures, found) < 0.1, other, label.gather(1, near))
    label = torch.where(uniform(*label.shape) < 0.05, IGNORED, label)
    truth = {"boxes": there, "classes": torch.where(absent, NONE, label), "index": torch.arange(pictures)}
    scores = uniform(pictures, found).sort(1, descending=True).values
    return {"boxes": torch.where(anywhere[..., None], corners(found), moved), "scores": scores, "classes": said}, truth


def by_zoo(predictions: Boxes, truth: Boxes, classes: int) -> list[float]:
    """In batches, as an evaluation does."""
    metric = DetectionScores([str(number) for number in range(classes)])
    for start in range(0, len(truth["index"]), BATCH):
        part = slice(start, start + BATCH)
        metric.update({key: value[part] for key, value in predictions.items()}, {key: value[part] for key, value in truth.items()})
    found = metric.compute()
    return [found[name] for name in NAMES]


def by_pycocotools(predictions: Boxes, truth: Boxes, classes: int) -> list[float]:
    """An ignored region is a crowd of every class."""
    there: list[dict[str, Any]] = []
    for picture, box, label in rows(truth["boxes"], truth["classes"]):
        for kind in range(classes) if label == IGNORED else [label]:
            annotation = {"id": len(there) + 1, "image_id": picture, "category_id": kind, "bbox": box, "area": box[2] * box[3]}
            there.append(annotation | {"iscrowd": int(label == IGNORED)})
    said = [
        {"image_id": picture, "category_id": label, "bbox": box, "score": score}
        for (picture, box, label), score in zip(
            rows(predictions["boxes"], predictions["classes"]), predictions["scores"].double().flatten().tolist(), strict=True
        )
    ]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number} for number in range(len(truth["index"]))],
        "categories": [{"id": number} for number in range(classes)],
        "annotations": there,
    }
    coco.createIndex()
    evaluation = COCOeval(coco, coco.loadRes(said), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [float(evaluation.stats[place]) for place in PLACES]


def rows(boxes: Tensor, classes: Tensor) -> list[tuple[int, list[float], int]]:
    """Picture, left, top, width and height, and class of each row that is a box."""
    wide = boxes.double()
    wide = torch.cat((wide[..., :2], wide[..., 2:] - wide[..., :2]), 2)
    there = classes != NONE
    return list(zip(there.nonzero()[:, 0].tolist(), wide[there].tolist(), classes[there].tolist(), strict=True))


def timed(call: Callable[[], list[float]]) -> tuple[list[float], tuple[float, float]]:
    """What it says, and its seconds by the wall clock and of the CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        found = call()
    return found, (time.perf_counter() - wall, time.process_time() - cpu)


def measure(arguments: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Seconds of both sides, a pair a round.

    Raises:
        AssertionError: their numbers differ.
    """
    sides = {"zoo": by_zoo, "pycocotools": by_pycocotools}
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for number in range(-1, arguments.rounds):
        print(f"\rround {number + 1} of {arguments.rounds} ", end="", file=sys.stderr, flush=True)
        pictures = arguments.pictures if number >= 0 else arguments.pictures // 10
        data = drawn(pictures, arguments.boxes, arguments.found, arguments.classes)
        said = {}
        for side in sorted(sides, reverse=bool(number % 2)):
            said[side], took = timed(partial(sides[side], *data, arguments.classes))
            if number >= 0:
                times[side].append(took)
        np.testing.assert_allclose(said["zoo"], said["pycocotools"], rtol=1e-9)
        assert all(map(math.isfinite, said["zoo"]))
    print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
    print(", ".join(f"{name} {value:.4f}" for name, value in zip(NAMES, said["zoo"], strict=True)), "of both")
    return times


def main() -> None:
    """Time both sides and print what a person reads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=6, help="at least 6, for an interval of 95 %%")
    parser.add_argument("--boxes", type=int, default=7, help="true ones a picture, on average")
    parser.add_argument("--found", type=int, default=20, help="a picture")
    parser.add_argument("--classes", type=int, default=3)
    arguments = parser.parse_args()
    times = measure(arguments)
    print(f"{arguments.rounds} rounds; seconds for {arguments.pictures:,} pictures\n{'':<13}{'wall':>9}{'CPU':>9}")
    for side, found in times.items():
        wall, cpu = (statistics.median(values) for values in zip(*found, strict=True))
        print(f"{side:<13}{wall:>9.2f}{cpu:>9.2f}")
    for kind, index in (("wall", 0), ("CPU", 1)):
        ours, theirs = ([found[index] for found in times[side]] for side in ("zoo", "pycocotools"))
        low, high = interval(sorted(other / one for one, other in zip(ours, theirs, strict=True)))
        print(f"pycocotools / zoo, {kind}: {statistics.median(theirs) / statistics.median(ours):.1f} [{low:.1f}, {high:.1f}]")


if __name__ == "__main__":
    main()
