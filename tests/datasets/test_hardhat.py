"""The hard hats' layout and classes."""

from __future__ import annotations

from pathlib import Path

import annotated
import pytest

from zoo.datasets.boxes import IGNORED, Box
from zoo.datasets.hardhat import HardHat
from zoo.errors import DataError, RecipeError

SITE = {
    "hard_hat_workers0": [("helmet", (1.0, 2.0, 9.0, 9.0)), ("person", (0.0, 1.0, 20.0, 40.0))],
    "hard_hat_workers1": [("head", (5.0, 5.0, 60.0, 40.0))],
    "hard_hat_workers2": [],
}


def test_persons_are_no_class_unless_asked_for(tmp_path: Path) -> None:
    source = HardHat(annotated.voc(tmp_path, SITE))
    first, second, third = source.records["labelled"]
    assert source.labels == ("helmet", "head") and source.boxed and source.groups is None
    assert first.id == "images/hard_hat_workers0.png" and first.path.is_file() and first.label is None
    assert first.boxes == (Box(1, 2, 9, 9, 0), Box(0, 1, 20, 40, IGNORED)) and second.boxes == (Box(5, 5, 60, 40, 1),)
    assert third.boxes == ()
    every = HardHat(tmp_path, classes=())
    assert every.labels == ("helmet", "head", "person") and every.records["labelled"][0].boxes == (Box(1, 2, 9, 9, 0), Box(0, 1, 20, 40, 2))
    hats = HardHat(tmp_path, classes=("any",), merge=("any=helmet+head",), others="background")
    assert [record.boxes for record in hats.records["labelled"]] == [(Box(1, 2, 9, 9, 0),), (Box(5, 5, 60, 40, 0),), ()]


def test_a_class_that_the_data_set_does_not_have(tmp_path: Path) -> None:
    annotated.voc(tmp_path, SITE | {"hard_hat_workers3": [("hat", (1, 2, 3, 4))]})
    with pytest.raises(DataError, match=r"workers3\.xml: box 1 \(hat\): there is no such class; expected helmet, head, person"):
        HardHat(tmp_path)
    assert HardHat(tmp_path, bad_boxes="mend").records["labelled"][3].boxes == ()
    with pytest.raises(RecipeError, match=r"data\.classes: there is no class 'hat'"):
        HardHat(tmp_path, classes=("hat",))
