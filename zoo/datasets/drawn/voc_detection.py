"""The first of the drawn building sites of `hardhat`, in the layout of VOC2007."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from PIL import Image

from zoo.datasets.annotations import Annotation, Object
from zoo.datasets.annotations.voc import ANNOTATIONS, LISTS, PICTURES, read, spell
from zoo.datasets.drawn import hardhat

SHARE = 0.05
"""Of all building sites."""
VAL = 3
"""One picture of so many validates."""
DIFFICULT = 10
"""Pixels of the shorter side below which a thing is difficult."""


def sites(folder: Path, seed: int) -> list[Annotation]:
    """Draw a part of the building sites into a folder, and read what is labelled in them."""
    hardhat.write(folder, seed, SHARE)
    return read(folder, "between").parts["labelled"]


def write(root: Path, seed: int) -> None:
    """Draw the data set into `root`."""
    kit = root / "VOCdevkit" / "VOC2007"
    for folder in (PICTURES, ANNOTATIONS, LISTS):
        (kit / folder).mkdir(parents=True)
    lists: dict[str, list[str]] = {"train": [], "val": []}
    with tempfile.TemporaryDirectory(dir=root) as place:
        for number, one in enumerate(sites(Path(place), seed)):
            assert one.picture and one.size
            name = f"{number:06d}"
            lists["train" if number % VAL else "val"].append(name)
            with Image.open(one.picture) as picture:
                picture.save(kit / PICTURES / f"{name}.jpg", quality=90)
            content = spell(f"{name}.jpg", one.size, tuple(map(_judged, one.objects)), inclusive=True)
            (kit / ANNOTATIONS / f"{name}.xml").write_bytes(content)
    for part, names in {**lists, "trainval": sorted(lists["train"] + lists["val"])}.items():
        (kit / LISTS / f"{part}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _judged(thing: Object) -> Object:
    left, top, right, bottom = thing.corners
    return replace(thing, difficult=min(right - left, bottom - top) < DIFFICULT)
