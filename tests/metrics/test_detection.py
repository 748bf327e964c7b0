"""COCO's numbers are those of pycocotools, whatever is ignored, absent or tied, and however the pictures come in."""

from __future__ import annotations

import contextlib
import io
import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from zoo.datasets import boxes as of_data
from zoo.errors import DataError
from zoo.metrics import judging
from zoo.metrics.detection import SIZES, DetectionScores, averages

LABELS = ("helmet", "head", "person")
NAMES = ("map", "map50", "map75", "map_small", "map_medium", "map_large", "recall")
PLACES = (0, 1, 2, 3, 4, 5, 8)  # in COCO's list of twelve


def test_all_mean_the_same_by_ignored() -> None:
    """Folders that may not import one another say it for themselves."""
    assert judging.IGNORED == of_data.IGNORED == -1


# ---------------------------------------------------------------- pictures


def corners(generator: np.random.Generator, number: int, side: float = 300) -> Any:
    """(number, 4), of every size."""
    centre = generator.uniform(0, side, (number, 2))
    sides = np.exp(generator.uniform(np.log(6), np.log(200), (number, 2)))
    return np.concatenate((centre - sides / 2, centre + sides / 2), 1).astype(np.float32)


def moved(generator: np.random.Generator, boxes: Any) -> Any:
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return (boxes + generator.normal(0, 0.08, boxes.shape) * sides).astype(np.float32)


def picture(generator: np.random.Generator, number: int, ignored: float = 0.0, classes: int = 3, tied: bool = False) -> dict[str, Any]:
    """True boxes, some of them ignored regions, and boxes near them, elsewhere and of another class."""
    there = corners(generator, number)
    kinds = generator.integers(0, classes, number)
    extra = corners(generator, 4)
    found = np.concatenate((moved(generator, there), moved(generator, there[: number // 2]), extra, extra[:1]))
    said = np.concatenate((kinds, kinds[: number // 2], generator.integers(0, classes, 5)))
    said = np.where(generator.random(len(said)) < 0.2, generator.integers(0, classes, len(said)), said)
    scores = generator.random(len(said)).astype(np.float32)
    scores = np.round(scores, 1) if tied else scores
    order = np.argsort(-scores, kind="stable")
    kinds = np.where(generator.random(number) < ignored, judging.IGNORED, kinds)
    return {"true_boxes": there, "true_classes": kinds, "boxes": found[order], "scores": scores[order], "classes": said[order]}


def empty(number: int = 0) -> Any:
    return np.zeros((number, 4), np.float32)


def gathered(pictures: Sequence[dict[str, Any]]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Predictions and a batch, filled up with rows that are none."""
    fill = {"boxes": 0.0, "scores": 0.0, "classes": of_data.NONE, "true_boxes": 0.0, "true_classes": of_data.NONE}
    padded = {
        name: pad_sequence([torch.as_tensor(one[name]) for one in pictures], batch_first=True, padding_value=value)
        for name, value in fill.items()
    }
    batch = {"boxes": padded.pop("true_boxes"), "classes": padded.pop("true_classes"), "index": torch.arange(len(pictures))}
    return padded, batch


def measured(pictures: Sequence[dict[str, Any]], labels: Sequence[str] = LABELS, size: int = 1000) -> DetectionScores:
    metric = DetectionScores(labels)
    said, batch = gathered(pictures)
    for start in range(0, len(pictures), size):
        part = slice(start, start + size)
        metric.update({key: value[part] for key, value in said.items()}, {key: value[part] for key, value in batch.items()})
    return metric


def reference(pictures: Sequence[dict[str, Any]], classes: int = 3) -> COCOeval:
    """What pycocotools says; an ignored region is a crowd of every class."""
    there: list[dict[str, Any]] = []
    said: list[dict[str, Any]] = []
    for number, one in enumerate(pictures):
        for box, label in zip(one["true_boxes"].astype(float), one["true_classes"].tolist(), strict=True):
            for kind in range(classes) if label == judging.IGNORED else [label]:
                sides = (box[2:] - box[:2]).tolist()
                row = {"image_id": number, "category_id": kind, "bbox": [*box[:2].tolist(), *sides], "area": sides[0] * sides[1]}
                there.append(row | {"id": len(there) + 1, "iscrowd": int(label == judging.IGNORED)})
        for box, score, label in zip(one["boxes"].astype(float), one["scores"].tolist(), one["classes"].tolist(), strict=True):
            sides = (box[2:] - box[:2]).tolist()
            row = {"image_id": number, "category_id": label, "bbox": [*box[:2].tolist(), *sides], "area": sides[0] * sides[1]}
            said.append(row | {"id": len(said) + 1, "iscrowd": 0, "score": score})
    sets = []
    with contextlib.redirect_stdout(io.StringIO()):
        for annotations in (there, said):
            coco = COCO()
            images = [{"id": number} for number in range(len(pictures))]
            coco.dataset = {"images": images, "categories": [{"id": kind} for kind in range(classes)], "annotations": annotations}
            coco.createIndex()
            sets.append(coco)
        evaluation = COCOeval(*sets, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def expected(evaluation: COCOeval) -> dict[str, float]:
    values = [float(evaluation.stats[place]) for place in PLACES]
    return dict(zip(NAMES, (value if value >= 0 else math.nan for value in values), strict=True))


def scenes(kind: str) -> list[dict[str, Any]]:
    generator = np.random.default_rng(7)
    sizes = generator.integers(1, 12, 30)
    if kind == "ignored":
        return [picture(generator, number, ignored=0.4) for number in sizes]
    if kind == "tied":
        return [picture(generator, number, ignored=0.2, tied=True) for number in sizes]
    if kind == "one class":
        return [picture(generator, number, classes=1) for number in sizes]
    drawn = [picture(generator, number) for number in sizes]
    nothing = {"boxes": empty(), "scores": np.zeros(0, np.float32), "classes": np.zeros(0, np.int64)}
    if kind == "without truth":
        return [one | {"true_boxes": empty(), "true_classes": np.zeros(0, np.int64)} for one in drawn]
    if kind == "nothing found":
        return [one | nothing for one in drawn]
    if kind == "only ignored":
        return [one | {"true_classes": np.full(len(one["true_classes"]), judging.IGNORED)} for one in drawn]
    if kind == "some empty":
        absent = {"true_boxes": empty(), "true_classes": np.zeros(0, np.int64)}
        return [one | (absent if row % 3 == 0 else {}) | (nothing if row % 4 == 0 else {}) for row, one in enumerate(drawn)]
    if kind == "small alone":
        return [one | {"true_boxes": one["true_boxes"] / 20, "boxes": one["boxes"] / 20} for one in drawn]
    return drawn


KINDS = ("plain", "ignored", "tied", "one class", "without truth", "nothing found", "only ignored", "some empty", "small alone")


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_those_of_pycocotools(kind: str) -> None:
    pictures = scenes(kind)
    evaluation = reference(pictures)
    found = measured(pictures).compute()
    truth = expected(evaluation)
    assert found == pytest.approx(truth, rel=1e-9, nan_ok=True)
    finite = {name for name, value in truth.items() if math.isfinite(value)}
    lacking = {"without truth": set(NAMES), "only ignored": set(NAMES), "small alone": {"map_medium", "map_large"}}
    assert finite == set(NAMES) - lacking.get(kind, set())
    if kind not in ("nothing found", "without truth", "only ignored"):
        assert 0.05 < found["map"] < 0.95


@pytest.mark.parametrize("kind", ["plain", "ignored", "some empty"])
def test_each_class_and_size_is_that_of_pycocotools(kind: str) -> None:
    pictures = scenes(kind)
    evaluation, metric = reference(pictures).eval, measured(pictures)
    precision, recall = (np.where(evaluation[name] < 0, np.nan, evaluation[name])[..., 2] for name in ("precision", "recall"))
    found = metric.averages()
    assert found.precision.shape == found.recall.shape == (10, len(LABELS), len(SIZES))
    np.testing.assert_allclose(found.precision, precision.mean(1))
    np.testing.assert_allclose(found.recall, recall)
    classes, sizes = metric.per_class(0.5), metric.per_size()
    np.testing.assert_allclose(classes.map50, precision[0, :, :, 0].mean(0))
    np.testing.assert_allclose(classes.map, precision[:, :, :, 0].mean((0, 1)))
    np.testing.assert_allclose(sizes.map, np.nanmean(precision, axis=(0, 1, 2)))
    np.testing.assert_allclose(sizes.recall, np.nanmean(recall, axis=(0, 1)))
    assert sizes.boxes[0] == classes.boxes.sum() == sizes.boxes[1:].sum() > 30


def test_what_is_found_within_an_ignored_region_counts_for_no_class() -> None:
    """One right box, and false alarms of both classes inside of a region without class, surer than it."""
    one = {
        "true_boxes": np.array([[0, 0, 20, 20], [100, 100, 200, 200]], np.float32),
        "true_classes": np.array([0, judging.IGNORED]),
        "boxes": np.array([[110, 110, 130, 130], [150, 150, 190, 190], [0, 0, 20, 20]], np.float32),
        "scores": np.array([0.9, 0.8, 0.5], np.float32),
        "classes": np.array([0, 1, 0]),
    }
    assert measured([one]).compute()["map"] == pytest.approx(1)
    wrong = one | {"true_classes": np.array([0, 1])}
    assert measured([wrong]).compute()["map50"] == pytest.approx(0.25), "as background, it halves helmets; and no head is found"


def test_a_box_in_its_own_right_is_right_also_within_an_ignored_region() -> None:
    one = {
        "true_boxes": np.array([[100, 100, 200, 200], [110, 110, 130, 130]], np.float32),
        "true_classes": np.array([judging.IGNORED, 1]),
        "boxes": np.array([[110, 110, 130, 130]], np.float32),
        "scores": np.array([0.9], np.float32),
        "classes": np.array([1]),
    }
    assert measured([one]).compute()["recall"] == pytest.approx(1)


# ---------------------------------------------------------------- the metric


@pytest.mark.parametrize("size", [30, 7, 1])
def test_batches_do_not_matter(size: int) -> None:
    pictures = scenes("ignored")
    assert measured(pictures, size=size).compute() == measured(pictures).compute()


def test_batches_of_other_widths_and_a_reset() -> None:
    pictures = scenes("some empty")
    metric = DetectionScores(LABELS)
    metric.update(*gathered(pictures[:1]))
    metric.reset()
    for index, one in enumerate(pictures):
        said, batch = gathered([one])
        metric.update(said, batch | {"index": torch.tensor([index])})
    assert metric.compute() == measured(pictures).compute()


def test_nothing_at_all_is_nan() -> None:
    metric = DetectionScores(LABELS)
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert all(map(math.isnan, metric.compute().values()))
    metric.update(*gathered([scenes("nothing found")[0] | {"true_boxes": empty(), "true_classes": np.zeros(0, np.int64)}]))
    assert all(map(math.isnan, metric.compute().values()))
    assert not metric.confusion(0.5).any()
    classes = metric.per_class(0.5)
    assert not classes.boxes.any()
    assert np.isnan([classes.map50, classes.map, classes.precision, classes.recall, classes.best_f1, classes.best_threshold]).all()


def test_boxes_that_are_no_numbers_count_as_not_found() -> None:
    pictures = scenes("plain")
    broken = [one | {"boxes": np.full_like(one["boxes"], np.nan)} for one in pictures]
    assert measured(broken).compute()["map"] == 0


def test_a_class_without_a_label_is_named() -> None:
    with pytest.raises(ValueError, match="class 2 of a found box: expected 0 to 1"):
        measured(scenes("plain"), LABELS[:2]).compute()
    with pytest.raises(ValueError, match="class 2 of a true box"):
        measured(scenes("nothing found"), LABELS[:2]).compute()


def test_pictures_without_true_boxes_are_named() -> None:
    said, batch = gathered(scenes("plain")[:1])
    with pytest.raises(DataError, match="come without true boxes"):
        DetectionScores(LABELS).update(said, {"index": batch["index"]})


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    measured(scenes("ignored")).compute()
    assert capsys.readouterr() == ("", "")
    assert not caplog.records


def test_an_update_does_not_look_at_what_it_keeps() -> None:
    """On a device it would have to wait for it: tensors without values are kept all the same."""
    said, batch = gathered(scenes("plain")[:3])
    metric = DetectionScores(LABELS)
    metric.update({key: value.to("meta") for key, value in said.items()}, {key: value.to("meta") for key, value in batch.items()})
    assert metric.found[0].device.type == "meta"


@pytest.mark.parametrize("share", [13, 0])
def test_boxes_are_gathered_over_processes(share: int) -> None:
    """As torchmetrics does it, also where one process has nothing; what the other process would send is handed over."""
    pictures = scenes("ignored")
    said, batch = gathered(pictures)
    mine, other = DetectionScores(LABELS), DetectionScores(LABELS)
    for metric, part in ((mine, slice(share, None)), (other, slice(0, share))):
        if part.stop != 0:
            metric.update({key: value[part] for key, value in said.items()}, {key: value[part] for key, value in batch.items()})
    sent: list[list[Tensor]] = []
    for metric in (other, mine):  # each tells what it would send
        parts: list[Tensor] = []
        sent.append(parts)

        def tell(tensor: Tensor, group: object = None, parts: list[Tensor] = parts) -> list[Tensor]:
            parts.append(tensor)
            return [tensor]

        metric.sync(dist_sync_fn=tell, distributed_available=lambda: True)
        metric.unsync()
    assert [(a.dtype, a.ndim) for a in sent[0]] == [(b.dtype, b.ndim) for b in sent[1]]
    coming = iter(zip(*sent, strict=True))
    mine.dist_sync_fn = lambda tensor, group=None: list(next(coming))
    mine.distributed_available_fn = lambda: True
    assert mine.compute() == measured(pictures).compute()


# ---------------------------------------------------------------- curves and confusion


def test_the_area_under_a_curve_is_the_average_precision() -> None:
    """By COCO's rule: the mean of the best precision at each of 101 recalls or more."""
    metric = measured(scenes("ignored"))
    for curve, truth in zip(metric.curves(), metric.per_class(0.5).map50, strict=True):
        best = [curve.precision[curve.recall >= recall - 1e-12].max(initial=0) for recall in np.linspace(0, 1, 101)]
        assert np.mean(best) == pytest.approx(truth)
        assert (np.diff(curve.recall) >= 0).all() and (np.diff(curve.scores) < 0).all()


def test_confusion_counts_every_true_box_once_and_every_found_one() -> None:
    pictures = scenes("ignored")
    metric = measured(pictures)
    for threshold in (0.0, 0.5, 2.0):
        counts = metric.confusion(threshold)
        truth = np.concatenate([one["true_classes"] for one in pictures])
        assert counts[:-1].sum(1).tolist() == [int((truth == kind).sum()) for kind in range(3)]
        kept = [seen.judged(threshold).kinds for seen in metric.pictures()]
        counted = sum(int(((kinds != judging.LEFT_OUT) & (kinds != judging.BELOW)).sum()) for kinds in kept)
        assert counts[:, :-1].sum() == counted
        right = sum(int((kinds == judging.RIGHT).sum()) for kinds in kept)
        assert counts[:-1, :-1].trace() == right
        assert counts[-1, -1] == 0
    assert counts[:, :-1].sum() == 0, "nothing is as sure as 2"


def test_precision_and_recall_at_a_threshold_and_the_best_one() -> None:
    metric = measured(scenes("tied"))
    counts, classes = metric.confusion(0.5), metric.per_class(0.5)
    hits = counts.diagonal()[:-1]
    np.testing.assert_allclose(classes.recall, hits / counts[:-1].sum(1))
    np.testing.assert_allclose(classes.precision, hits / counts[:, :-1].sum(0))
    for kind in range(3):
        f1 = {}
        for tenth in range(11):
            counts = metric.confusion(tenth / 10 - 1e-6)
            f1[tenth / 10] = 2 * counts[kind, kind] / (counts[kind].sum() + counts[:, kind].sum())
        assert classes.best_f1[kind] == pytest.approx(max(f1.values()))
        assert f1[round(float(classes.best_threshold[kind]), 1)] == max(f1.values())


def test_a_threshold_above_all_scores_finds_nothing() -> None:
    classes = measured(scenes("plain")).per_class(1.5)
    assert np.isnan(classes.precision).all() and (classes.recall == 0).all()


def test_averages_of_arrays_without_a_row() -> None:
    found = averages(np.zeros((0, 7)), np.zeros((0, 6)), 2)
    assert np.isnan(found.precision).all() and np.isnan(found.recall).all() and found.recall.shape == (10, 2, 4)
