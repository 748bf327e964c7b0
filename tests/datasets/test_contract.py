"""Every registered source keeps to the contract, on its own drawn data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts import check_source
from PIL import Image

from zoo import registry
from zoo.datasets import synthetic
from zoo.datasets.boxes import Box
from zoo.datasets.masks import MaskValues
from zoo.datasets.source import Record, Source


@pytest.mark.parametrize("name", registry.names("datasets"))
def test_source(name: str, tmp_path: Path) -> None:
    cls = registry.load("datasets", name)
    (tmp_path / "scratch").mkdir()
    check_source(cls, synthetic.folder(name, cls), tmp_path / "scratch", name)


class Forgetful(Source):
    """Breaks the contract in one point: its ids are not unique."""

    title, obtain, layout = "t", "o.", "l"

    def __init__(self, root: Path) -> None:
        good = registry.load("datasets", "image_folder")(root)
        records = [type(record)(record.path, record.path.name[:3], record.label) for record in good.records["labelled"]]
        super().__init__(root, good.labels, {"labelled": records})


class Colourful(Source):
    """Breaks the contract in another: its masks hold a class that has no name."""

    title, obtain, layout = "t", "o.", "l"

    def __init__(self, root: Path) -> None:
        good = registry.load("datasets", "voc_segmentation")(root)
        super().__init__(root, good.labels[:2], good.records, masks=MaskValues(2, unexpected="ignore"))

    def read(self, record: Record) -> tuple[Image.Image, dict[str, Any]]:
        picture, fields = super().read(record)
        return picture, fields | {"mask": fields["mask"].point(lambda value: 2)}


class Boundless(Source):
    """Breaks the contract in a third: a box reaches out of its picture."""

    title, obtain, layout = "t", "o.", "l"

    def __init__(self, root: Path) -> None:
        good = registry.load("datasets", "coco_detection")(root)
        first, *others = good.records["train"]
        wide = replace(first, boxes=(Box(0, 0, 10_000, 5, 0),))
        super().__init__(root, good.labels, good.records | {"train": [wide, *others]})


def test_the_contract_finds_faults_of_boxes(tmp_path: Path) -> None:
    root = synthetic.folder("coco_detection", registry.load("datasets", "coco_detection"))
    with pytest.raises(AssertionError, match="a box reaches out of its picture"):
        check_source(Boundless, root, tmp_path)


def test_the_contract_finds_faults_of_masks(tmp_path: Path) -> None:
    root = synthetic.folder("voc_segmentation", registry.load("datasets", "voc_segmentation"))
    with pytest.raises(AssertionError, match="class without a name"):
        check_source(Colourful, root, tmp_path)


def test_the_contract_finds_faults(tmp_path: Path) -> None:
    root = synthetic.folder("image_folder", registry.load("datasets", "image_folder"))
    with pytest.raises(AssertionError, match="each id once"):
        check_source(Forgetful, root, tmp_path)
