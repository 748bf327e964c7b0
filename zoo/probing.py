"""Probing an embedding: nearest neighbours and logistic regression learn a data set's classes from the vectors of its training pictures.

Vectors are of pictures as evaluation sees them. Everything that is chosen (k, C, l1_ratio) is chosen within the training part, so the
numbers of val and test are of pictures that decided nothing here; a run's own training may have used val to keep its best epoch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.datasets.loaders import class_counts, to_device
from zoo.errors import DataError, RecipeError, ZooError, shown
from zoo.metrics import knn, linear_probe
from zoo.metrics.classification import scores
from zoo.progress import Progress, say
from zoo.results import write_tables
from zoo.tasks.task import Table

if TYPE_CHECKING:
    from zoo.datasets.loaders import Loaders
    from zoo.run import Run

Embed = Callable[[Tensor], Tensor]
"""(B, C, H, W) float in [0, 1] -> (B, D)."""
PARTS = ("val", "test")
MOST_BYTES = 4 * 2**30
"""Of all vectors: 100,000 of 1,280 numbers take half a gigabyte."""


@dataclass(frozen=True)
class Embedded:
    """The vectors (N, D) of a part's pictures, their classes (N,) and groups (N,), in the order of its records."""

    vectors: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """What one probe found.

    Attributes:
        name: how its metrics begin, such as "knn_20".
        probe: what it is, for people.
        setting: what it was given or chose, for people.
        scores: part -> "accuracy" and "f1_macro".
    """

    name: str
    probe: str
    setting: str
    scores: Mapping[str, Mapping[str, float]]


def probe(embed: Embed, data: Loaders, device: torch.device) -> tuple[list[Found], list[str]]:
    """Probe an embedding on a data set.

    Args:
        embed: in evaluation mode, on `device`.
        data: train is learnt from; val and, where there is one, test are told.
        device: to compute the vectors on; the probes compute on the CPU.

    Returns:
        What was found, and what a person should know of how.

    Raises:
        RecipeError: the data has no label a picture.
        DataError: there is but one class to learn.
        ZooError: the vectors are no finite numbers, or take more memory than `MOST_BYTES`.
    """
    counts = _counts(data)
    parts = {part: embedded(embed, data, part, device) for part in ("train", *PARTS) if part in data.parts()}
    train = parts.pop("train")
    neighbours, notes = _neighbours(train, parts, counts)
    linear, more = _linear(train, parts, len(counts))
    return [*neighbours, linear], notes + more


def embedded(embed: Embed, data: Loaders, part: str, device: torch.device) -> Embedded:
    """The vectors of a part, computed once, a batch at a time."""
    records = data.parts()[part]
    held = sum(map(len, data.parts().values()))
    vectors = np.empty((len(records), 0), np.float32)
    with Progress(f"embedding {part}", len(records), "pictures") as progress, torch.inference_mode():
        for batch in data.evaluation(part):
            found = embed(to_device(batch, device)["image"]).float().cpu().numpy()
            if not vectors.size:
                _refuse_large(held, found.shape[1])
                vectors = np.empty((len(records), found.shape[1]), np.float32)
            vectors[batch["index"].numpy()] = found
            progress.advance(len(found))
    broken = np.flatnonzero(~np.isfinite(vectors).all(1))
    if len(broken):
        raise ZooError(
            f"{part}: {len(broken)} of {len(records)} pictures have a vector with NaN or infinity, the first is "
            f"{shown(records[broken[0]].path)}: the network diverged or is damaged. Train it again with a lower rate, or take another"
        )
    names: dict[object, int] = {}  # a record without a group is one of its own
    groups = [names.setdefault(record.group if record.group is not None else row, len(names)) for row, record in enumerate(records)]
    return Embedded(vectors, np.array([record.label for record in records], np.int64), np.array(groups, np.int64))


def _counts(data: Loaders) -> tuple[int, ...]:
    """Training pictures of each class."""
    if data.spec.truth != "label":
        has = {"mask": "masks", "boxes": "boxes"}.get(data.spec.truth, "no labels")
        raise RecipeError(
            f"data {data.data.name!r} has {has}, and probes need a class for each picture: take a recipe with classes, such as image_folder"
        )
    counts = class_counts(data.parts()["train"], len(data.spec.labels))
    filled = [label for label, count in zip(data.spec.labels, counts, strict=True) if count]
    if len(filled) < 2:
        raise DataError(
            f"all {sum(counts)} pictures in train are of one class, {shown(filled[0])!r}: probes need at least two to tell apart; "
            "check data.root and the split"
        )
    return counts


def _refuse_large(pictures: int, width: int) -> None:
    if pictures * width * 4 > MOST_BYTES:
        size, most = pictures * width * 4 / 2**30, MOST_BYTES / 2**30
        raise ZooError(
            f"{pictures:,} vectors of {width:,} numbers take {size:.1f} GB, more than the {most:g} GB that are held: "
            "probe fewer pictures, or a network with a narrower embedding"
        )


def _neighbours(train: Embedded, parts: Mapping[str, Embedded], counts: Sequence[int]) -> tuple[list[Found], list[str]]:
    """A row for each k that fits, the first of them with the k that was chosen."""
    ks = knn.fitting(counts)
    bank, labels, groups = (torch.from_numpy(values) for values in (train.vectors, train.labels, train.groups))
    best = knn.best_k(bank, labels, groups, ks, len(counts))
    votes = {part: knn.votes(bank, labels, torch.from_numpy(each.vectors), ks, len(counts)) for part, each in parts.items()}
    found = [Found(f"knn_{k}", "kNN", f"k {k}", _scored({part: votes[part][k].numpy() for part in parts}, parts, len(counts))) for k in ks]
    chosen = [Found("knn", "kNN, k chosen in train", one.setting, one.scores) for one in found if one.name == f"knn_{best}"]
    large = [k for k in knn.PROTOCOL if k not in ks]
    note = f"kNN with k {', '.join(map(str, large))} left out: train has {len(labels)} pictures"
    return chosen + found, [note] if large else []


def _linear(train: Embedded, parts: Mapping[str, Embedded], classes: int) -> tuple[Found, list[str]]:
    say("probing: searching C and l1_ratio of a logistic regression")
    fitted = linear_probe.fit(train.vectors, train.labels, train.groups)
    said = {part: fitted.predict(each.vectors) for part, each in parts.items()}
    found = Found(
        "linear_probe",
        "logistic regression",
        f"C {fitted.c:g}, l1_ratio {fitted.l1_ratio:g}",
        _scored(said, parts, classes),
    )
    notes = []
    if not fitted.searched:
        notes.append("C and l1_ratio were not searched: train has too few pictures or groups to hold any out")
    if fitted.fitted < len(train.labels):
        notes.append(f"the logistic regression learnt from {fitted.fitted:,} of {len(train.labels):,} pictures in train, drawn evenly")
    return found, notes


def _scored(said: Mapping[str, npt.NDArray[np.int64]], parts: Mapping[str, Embedded], classes: int) -> dict[str, dict[str, float]]:
    scored = {}
    for part, each in parts.items():
        cells = np.bincount(each.labels * classes + said[part], minlength=classes**2)
        every = scores(cells.reshape(classes, classes))
        scored[part] = {name: every[name] for name in ("accuracy", "f1_macro")}
    return scored


# ---------------------------------------------------------------- telling


def metrics(found: Sequence[Found]) -> dict[str, float]:
    """Names as in `metrics.json`: `val/knn_20_accuracy`, `val/linear_probe_f1_macro` and so on."""
    parts = list(found[0].scores)
    return {f"{part}/{one.name}_{name}": value for part in parts for one in found for name, value in one.scores[part].items()}


def table(found: Sequence[Found], notes: Sequence[str] = ()) -> Table:
    """A row for each probe."""
    parts = list(found[0].scores)
    header = ["probe", "setting", *(f"{part} {name}" for part in parts for name in ("accuracy", "macro F1"))]
    rows = [[one.probe, one.setting, *(value for part in parts for value in one.scores[part].values())] for one in found]
    caption = (
        "How well the classes are told from the embedding alone, learnt from the training pictures as evaluation sees them. "
        "The k that is chosen, C and l1_ratio are chosen within the training part."
    )
    return Table("Probes of the embedding", header, rows, " ".join([caption, *(f"{note[:1].upper()}{note[1:]}." for note in notes)]))


def write(run: Run, found: Sequence[Found], notes: Sequence[str]) -> None:
    """Put what was found into a finished run: its numbers, a table, and the report drawn anew. Earlier probes are replaced.

    Raises:
        ZooError: another process trains in it, or it cannot be written; its metrics are then as before.
    """
    from zoo.report import write_report

    file = run.folder / "metrics.json"
    with run:  # as a training would hold it
        before = file.stat()
        index = run.read_json("tables/index.json") or []
        write_tables(run, {"probes": table(found, notes)})
        [mine] = run.read_json("tables/index.json")
        run.write_json("tables/index.json", [*(entry for entry in index if entry.get("file") != mine["file"]), mine])
        kept = {name: value for name, value in run.metrics.items() if not re.fullmatch(r"\w+/(knn(_\d+)?|linear_probe)_\w+", name)}
        run.write_json("metrics.json", kept | metrics(found))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # a run is as old as its training: the newest decides what loads
    write_report(run.folder)
