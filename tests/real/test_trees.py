"""Real pictures of trees from the air with boxes that people drew, from $ZOO_REAL_DATA."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo import convert
from zoo.datasets import splits
from zoo.datasets.annotations import voc
from zoo.datasets.voc_detection import VOCDetection

pytestmark = pytest.mark.real


def test_tiles_of_a_photo_stay_together(real: Path) -> None:
    source = VOCDetection(real / "trees", group_by="__")
    records = source.records["labelled"]
    assert source.labels == ("Tree",) and source.notes == [] and source.groups == "photo"
    assert len(records) == 45 and sum(len(record.boxes or ()) for record in records) == 918
    assert len({record.group for record in records}) == 4
    parts = splits.divide(source.records, 0.25, 0.25, 0, "auto", source.labels, source.groups).parts.values()
    assert sum(len({record.group for record in part}) for part in parts) == 4


def test_they_go_round_all_forms_and_come_back(real: Path, tmp_path: Path) -> None:
    way = [real / "trees", *(tmp_path / form for form in ("coco", "yolo", "voc"))]
    for old, new, form in zip(way, way[1:], ("voc", "coco", "yolo"), strict=False):
        assert convert.main([str(old), str(new), "--from", form, "--to", new.name]) == 0
    before, after = (voc.read(root).parts["labelled"] for root in (way[0], way[-1]))
    assert [(one.name, one.size, one.objects) for one in before] == [(one.name, one.size, one.objects) for one in after]
