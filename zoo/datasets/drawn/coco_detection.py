"""The first of the drawn building sites of `hardhat`, in the layout of COCO's 2017 challenge."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

from PIL import Image

from zoo.datasets.annotations import Annotated, Annotation
from zoo.datasets.annotations.coco import spell
from zoo.datasets.drawn.voc_detection import VAL, sites
from zoo.datasets.hardhat import LABELS

YEAR = 2017


def write(root: Path, seed: int) -> None:
    """Draw the data set into `root`: persons are crowds."""
    (root / "annotations").mkdir(parents=True)
    parts: dict[str, list[Annotation]] = {"train": [], "val": []}
    with tempfile.TemporaryDirectory(dir=root) as place:
        for number, one in enumerate(sites(Path(place), seed)):
            part = "train" if number % VAL else "val"
            parts[part].append(_moved(one, root / f"{part}{YEAR}" / f"{number:012d}.jpg"))
    for part, content in spell(Annotated(root, LABELS, parts)).items():
        (root / "annotations" / f"instances_{part}{YEAR}.json").write_text(json.dumps(content) + "\n", encoding="utf-8")


def _moved(one: Annotation, to: Path) -> Annotation:
    """The annotation of a picture that is saved as a JPEG file elsewhere."""
    assert one.picture
    to.parent.mkdir(exist_ok=True)
    with Image.open(one.picture) as picture:
        picture.save(to, quality=90)
    return replace(one, name=to.name, objects=tuple(replace(thing, crowd=thing.name == "person") for thing in one.objects))
