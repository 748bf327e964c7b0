"""What detectors measure and show in the report, whichever network finds the boxes; no task itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from zoo.tasks.task import Drawing, Examples, Table

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from zoo.metrics.judging import Judged, Seen

SHOWN = 9
"""Boxes in a gallery."""
MISSED = "missed"


class Detector(Protocol):
    """A task that finds boxes; see `zoo.tasks.task.Detects`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    @property
    def threshold(self) -> float:
        """Score from which on a box is shown."""
        ...


def metrics(labels: Sequence[str]) -> MetricCollection:
    """`map`, `map50`, `map75`, `map_small`, `map_medium`, `map_large` and `recall`; see `zoo.metrics.detection`."""
    from torchmetrics import MetricCollection

    from zoo.metrics.detection import DetectionScores

    return MetricCollection({"scores": DetectionScores(labels)}, compute_groups=False)


def details(metrics: MetricCollection) -> dict[str, Any]:
    """`scores`, the metric itself: curves, confusion and tables are counted when they are drawn, not after every epoch."""
    return {"scores": metrics["scores"]}


def overlay(
    picture: npt.NDArray[np.uint8], truth: Mapping[str, Any], prediction: Mapping[str, Any], labels: Sequence[str], threshold: float
) -> npt.NDArray[np.uint8]:
    """A picture with the boxes found from this score on and, where they are known, the true ones; see `Task.overlay`."""
    from zoo.figures.boxes import outlined

    boxes, classes, scores = (np.asarray(prediction[key]) for key in ("boxes", "classes", "scores"))
    kept = scores >= threshold
    true = (np.asarray(truth["boxes"]), np.asarray(truth["classes"])) if "boxes" in truth else None
    return outlined(picture, boxes[kept], classes[kept], scores[kept], labels, true)


# ---------------------------------------------------------------- figures


def drawings(task: Detector, examples: Examples) -> dict[str, Drawing]:
    """Galleries of each kind of error that occurs, precision over recall, and the confusion of classes and background."""
    from zoo.figures.confusion import confusion_matrix

    scores = examples.details["scores"]
    figures = _galleries(task, examples)
    caption = (
        "From the surest box to the least sure, at IoU 0.5. The area under a line is its average precision. "
        f"Dots: boxes with a score of {task.threshold:g} or more; a line gives the best precision at each recall or more, a dot its own."
    )
    figures["precision_recall"] = Drawing("Precision and recall", _curves(task, scores), caption)
    caption = (
        f"Boxes with a score of {task.threshold:g} or more, matched at IoU 0.5. Rows: truth; columns: what was found. "
        "Last column: true boxes that were missed. Last row: found boxes without a true box of their own."
    )
    matrix = confusion_matrix(scores.confusion(task.threshold), [*task.labels, "background"])
    return figures | {"confusion": Drawing("Confusion with the background", matrix, caption)}


def _curves(task: Detector, scores: Any) -> Any:
    from zoo.figures.detection import Line, precision_recall

    averages = scores.per_class(task.threshold).map50
    return precision_recall(
        [
            Line(label, curve.recall, curve.precision, float(average), curve.at(task.threshold)[::-1])
            for label, curve, average in zip(task.labels, scores.curves(), averages, strict=True)
        ]
    )


@dataclass(frozen=True)
class _Mistake:
    """A box that something is wrong with: how much it is worth showing, where, and in words."""

    weight: float
    seen: Seen
    box: npt.NDArray[np.float64]
    title: tuple[str, ...]


def _galleries(task: Detector, examples: Examples) -> dict[str, Drawing]:
    from zoo.figures.boxes import gallery
    from zoo.metrics.judging import FALSE, LOOSE, WRONG

    mistakes = _mistakes(task, examples.details["scores"])
    words = {
        MISSED: ("misses", "Missed boxes", "True boxes that were not found, not even loosely", "largest"),
        FALSE: ("false_alarms", "False alarms", "Found boxes where nothing of their class is", "surest"),
        LOOSE: (
            "loose",
            "Loose boxes",
            "Found boxes that overlap a true one of their class by an IoU below 0.5",
            "surest",
        ),
        WRONG: ("wrong_class", "Wrong classes", "Found boxes that match a true box of another class", "surest"),
    }
    figures = {}
    for kind, (name, title, text, first) in words.items():
        if found := sorted(mistakes[kind], key=lambda one: -one.weight):
            cases = [_case(task, examples, mistake) for mistake in found[:SHOWN]]
            caption = f"{text}: {len(found):,} in all, {len(cases)} shown, the {first} first. Found: score {task.threshold:g} or more."
            figures[name] = Drawing(title, gallery(cases), caption)
    return figures


def _mistakes(task: Detector, scores: Any) -> dict[str, list[_Mistake]]:
    """By kind. A true box with a loose one near is not among the missed: it is shown with that one."""
    from zoo.metrics.judging import FALSE, LOOSE, WRONG

    kept: dict[str, list[_Mistake]] = {MISSED: [], FALSE: [], LOOSE: [], WRONG: []}
    for seen in scores.pictures():
        said = seen.judged(task.threshold)
        for place in np.flatnonzero(_alone(said)).tolist():
            box = seen.true_boxes[place]
            wide, tall = box[2:] - box[:2]
            words = (task.labels[int(seen.true_classes[place])], f"{wide:.0f} x {tall:.0f} px")
            kept[MISSED].append(_Mistake(float(wide * tall), seen, box, words))
        for place, kind in enumerate(said.kinds.tolist()):
            if kind in kept:
                kept[kind].append(_Mistake(float(seen.scores[place]), seen, seen.boxes[place], _title(task, seen, said, place)))
    return kept


def _alone(said: Judged) -> npt.NDArray[np.bool_]:
    from zoo.metrics.judging import LOOSE

    alone = said.missed.copy()
    alone[said.partners[said.kinds == LOOSE]] = False
    return alone


def _title(task: Detector, seen: Seen, said: Judged, place: int) -> tuple[str, ...]:
    from zoo.metrics.judging import LOOSE, WRONG

    words = f"{task.labels[int(seen.classes[place])]} {seen.scores[place]:.2f}"
    if said.kinds[place] == WRONG:
        return f"is {task.labels[int(seen.true_classes[said.partners[place]])]}", f"said {words}"
    return (words, f"IoU {said.overlaps[place]:.2f}") if said.kinds[place] == LOOSE else (words,)


def _case(task: Detector, examples: Examples, mistake: _Mistake) -> Any:
    from zoo.figures.boxes import Case
    from zoo.metrics.judging import IGNORED

    seen = mistake.seen
    row = examples.truth["index"].tolist().index(seen.index)
    found, truth = seen.boxes[seen.scores >= task.threshold], seen.true_boxes
    ignored = seen.true_classes == IGNORED
    name = str(examples.truth["path"][row]).replace("\\", "/").rpartition("/")[2]
    return Case(examples.picture(row), mistake.box, found, truth[~ignored], truth[ignored], mistake.title, name)


# ---------------------------------------------------------------- tables


def tables(task: Detector, examples: Examples) -> dict[str, Table]:
    """Scores of each class and of each size, and what became of the boxes."""
    scores = examples.details["scores"]
    found = scores.per_class(task.threshold)
    columns = (found.map50, found.map, found.precision, found.recall, found.best_f1, found.best_threshold)
    rows = [(label, int(found.boxes[i]), *(column[i].item() for column in columns)) for i, label in enumerate(task.labels)]
    header = ("class", "boxes", "map50", "map", "precision", "recall", "best_f1", "best_threshold")
    caption = (
        f"precision and recall: of boxes with a score of {task.threshold:g} or more, at IoU 0.5. best_f1: the most that another "
        "threshold gives for these very pictures, an optimistic choice."
    )
    return {
        "per_class": Table("Per class", header, rows, caption),
        "per_size": _per_size(scores),
        "outcomes": _outcomes(task, scores),
    }


def _per_size(scores: Any) -> Table:
    sizes = scores.per_size()
    names = ("all", "small: up to 32 x 32", "medium: up to 96 x 96", "large: above")
    rows = [
        (name, int(boxes), value.item(), recall.item())
        for name, boxes, value, recall in zip(names, sizes.boxes, sizes.map, sizes.recall, strict=True)
    ]
    caption = (
        "By the area of true boxes in pixels of the picture as the model sees it; on a limit it counts on both sides. "
        "recall: mean over IoUs from 0.5 to 0.95, any score."
    )
    return Table("Per size", ("size", "boxes", "map", "recall"), rows, caption)


def _outcomes(task: Detector, scores: Any) -> Table:
    from zoo.metrics.judging import FALSE, LEFT_OUT, LOOSE, RIGHT, TWICE, WRONG

    counts: Counter[str] = Counter()
    for seen in scores.pictures():
        said = seen.judged(task.threshold)
        counts.update(said.kinds.tolist())
        counts[MISSED] += int(said.missed.sum())
    meanings = {
        RIGHT: "found with IoU 0.5 or more and the right class",
        WRONG: "found with IoU 0.5 or more, called another class",
        LOOSE: "found with IoU 0.1 to 0.5 and the right class",
        TWICE: "found once more",
        FALSE: "found where nothing of the class is",
        LEFT_OUT: "found in a region that does not count",
        MISSED: "true box that no found box matches",
    }
    rows = [(kind, counts[kind], meaning) for kind, meaning in meanings.items()]
    return Table("What became of the boxes", ("kind", "boxes", "meaning"), rows, f"Boxes with a score of {task.threshold:g} or more.")
