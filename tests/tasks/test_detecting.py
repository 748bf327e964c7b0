"""What detectors show: galleries of each kind of error, curves, confusion and tables, of anything and of nothing."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.tasks import detecting
from zoo.tasks.task import Drawing, Examples

LABELS = ("helmet", "head", "person")
SIDE = 120


@dataclass(frozen=True)
class Toy:
    """All that is asked of a detector."""

    labels: tuple[str, ...] = LABELS
    threshold: float = 0.3


def predictions() -> dict[str, Tensor]:
    """A right helmet and a loose head; a head called helmet and a false alarm; one in a region that does not count; nothing found."""
    none = [0.0, 0, 0, 0]
    boxes = [
        [[10, 10, 30, 30], [62, 50, 82, 70], [10, 10, 30, 30]],
        [[10, 10, 30, 30], [80, 80, 100, 100], none],
        [[50, 50, 60, 60], none, none],
        [none, none, none],
    ]
    scores = [[0.9, 0.8, 0.1], [0.7, 0.6, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]
    classes = [[0, 1, 0], [0, 1, -2], [1, -2, -2], [-2, -2, -2]]
    return {"boxes": torch.tensor(boxes), "scores": torch.tensor(scores), "classes": torch.tensor(classes)}


def truth() -> dict[str, Any]:
    boxes = [
        [[10, 10, 30, 30], [50, 50, 70, 70]],
        [[10, 10, 30, 30], [0, 0, 0, 0]],
        [[40, 40, 90, 90], [0, 0, 0, 0]],
        [[20, 20, 60, 80], [90, 90, 100, 100]],
    ]
    classes = [[0, 1], [1, -2], [-1, -2], [0, 1]]
    paths = [f"site/{name}.png" for name in "abcd"]
    return {"boxes": torch.tensor(boxes).float(), "classes": torch.tensor(classes), "index": torch.tensor([3, 2, 1, 0]), "path": paths}


def examples(said: dict[str, Tensor], there: dict[str, Any]) -> Examples:
    metrics = detecting.metrics(LABELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics', of a metric without a batch
        if len(there["index"]):
            metrics.update(said, there)
        numbers = {name: float(value) for name, value in metrics.compute().items()}
    pictures = np.random.default_rng(0).integers(90, 160, (4, SIDE, SIDE, 3)).astype(np.uint8)

    def unasked(*_: Any) -> Any:
        raise AssertionError("nothing is computed again")

    return Examples(there, said, lambda row: pictures[row], numbers, detecting.details(metrics), unasked, unasked)


def rendered(drawing: Drawing) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawing.figure.savefig(io.BytesIO(), format="png", dpi=40)


def texts(drawing: Drawing) -> list[str]:
    found: Any = drawing.figure.findobj(match=lambda artist: hasattr(artist, "get_text"))
    return [text.get_text() for text in found]


def test_the_metrics_are_named_as_in_the_report() -> None:
    found = examples(predictions(), truth()).metrics
    assert set(found) == {"map", "map50", "map75", "map_small", "map_medium", "map_large", "recall"}
    assert 0 < found["map50"] < 1


def test_each_error_is_in_its_gallery_with_its_picture() -> None:
    drawn = detecting.drawings(Toy(), examples(predictions(), truth()))
    assert list(drawn) == ["misses", "false_alarms", "loose", "wrong_class", "precision_recall", "confusion"]
    for drawing in drawn.values():
        rendered(drawing)
        assert drawing.title and drawing.caption.endswith(".")
    lines = {name: [line for line in texts(drawing) if line] for name, drawing in drawn.items()}
    assert {"helmet", "40 x 60 px", "d.png", "head", "10 x 10 px"} <= set(lines["misses"])
    assert lines["misses"].index("40 x 60 px") < lines["misses"].index("10 x 10 px"), "the larger first"
    assert "20 x 20 px" not in lines["misses"], "the loose one is shown as loose, the mistaken one as mistaken"
    assert {"head 0.60", "b.png"} <= set(lines["false_alarms"]) and "c.png" not in lines["false_alarms"]
    assert {"head 0.80", "IoU 0.25", "a.png"} <= set(lines["loose"])
    assert {"is head", "said helmet 0.70", "b.png"} <= set(lines["wrong_class"])
    assert "2 in all, 2 shown, the largest first" in drawn["misses"].caption


def test_the_threshold_is_the_tasks() -> None:
    drawn = detecting.drawings(Toy(threshold=0.75), examples(predictions(), truth()))
    assert list(drawn) == ["misses", "loose", "precision_recall", "confusion"]
    assert "0.75 or more" in drawn["confusion"].caption


def test_a_gallery_shows_the_worst_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detecting, "SHOWN", 1)
    drawing = detecting.drawings(Toy(), examples(predictions(), truth()))["misses"]
    assert "40 x 60 px" in texts(drawing) and "10 x 10 px" not in texts(drawing)
    assert "2 in all, 1 shown" in drawing.caption


def test_tables() -> None:
    tables = detecting.tables(Toy(), examples(predictions(), truth()))
    assert list(tables) == ["per_class", "per_size", "outcomes"]
    for table in tables.values():
        assert all(len(row) == len(table.header) for row in table.rows)
    rows: dict[Any, dict[str, Any]] = {row[0]: dict(zip(tables["per_class"].header, row, strict=True)) for row in tables["per_class"].rows}
    assert [rows[label]["boxes"] for label in LABELS] == [2, 3, 0]
    assert (rows["helmet"]["precision"], rows["helmet"]["recall"]) == (0.5, 0.5)
    assert np.isnan(rows["person"]["map"])
    assert {row[0]: row[1] for row in tables["outcomes"].rows} == {
        "right": 1,
        "wrong class": 1,
        "loose": 1,
        "duplicate": 0,
        "false alarm": 1,
        "ignored": 1,
        "missed": 3,
    }
    assert [row[1] for row in tables["per_size"].rows] == [5, 4, 1, 0]


@pytest.mark.parametrize("kind", ["nothing found", "nothing there", "neither", "no pictures"])
def test_nothing_is_drawn_and_told_as_well(kind: str) -> None:
    said, there = predictions(), truth()
    if kind in ("nothing found", "neither"):
        said["classes"] = torch.full_like(said["classes"], -2)
    if kind in ("nothing there", "neither"):
        there |= {"boxes": torch.zeros(4, 0, 4), "classes": torch.zeros(4, 0, dtype=torch.int64)}
    if kind == "no pictures":
        said, there = ({key: value[:0] for key, value in fields.items()} for fields in (said, there))
    found = examples(said, there)
    drawn = detecting.drawings(Toy(), found)
    for drawing in drawn.values():
        rendered(drawing)
    expected = {"nothing found": ["misses"], "nothing there": ["false_alarms"]}.get(kind, [])
    assert list(drawn) == [*expected, "precision_recall", "confusion"]
    assert len(detecting.tables(Toy(), found)["per_class"].rows) == len(LABELS)


def test_the_overlay_shows_boxes_from_the_threshold_on() -> None:
    picture = np.full((SIDE, SIDE, 3), 100, np.uint8)
    said = {key: value[0] for key, value in predictions().items()}
    drawn = detecting.overlay(picture, {}, said, LABELS, 0.3)
    assert drawn.shape == picture.shape and drawn.dtype == np.uint8
    assert (drawn != detecting.overlay(picture, {}, said, LABELS, 0.85)).any()
    assert (detecting.overlay(picture, {}, said, LABELS, 1.0) == picture).all()
    true = {key: truth()[key][3] for key in ("boxes", "classes")}
    assert (detecting.overlay(picture, true, said, LABELS, 1.0) == 255).all(2).any(), "the truth is white"
