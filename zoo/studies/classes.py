"""What a study of classifications says class by class: F1 of each setting, and what balancing made of the training part.

Read from the files of the cells: `tables/per_class_test.csv` (`per_class.csv` where there is no test part), `spec.json`, `split.json`.
They may be a stranger's or damaged: what does not fit is left out.
"""

from __future__ import annotations

import contextlib
import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import facts
from zoo.cells import bare
from zoo.errors import ZooError
from zoo.files import read_json
from zoo.spec import DataSpec
from zoo.studies.drawn import Drawn
from zoo.studies.findings import ranked
from zoo.studies.outcomes import Outcome

MOST_SETTINGS = 12
"""Columns of the table: the best settings, in the order of the plan."""
MOST_CLASSES = 1000
MOST_BYTES = 1_000_000
"""Of a cell's table, and of its spec."""


@dataclass(frozen=True)
class PerClass:
    """F1 of each class under each setting.

    Attributes:
        part: that was measured.
        pictures: class -> how many the part has, in the order of the data set; without classes that have none.
        trained: class -> how many there are to train on, before balancing; empty where the runs do not say.
        f1: setting -> class -> a value for each seed.
    """

    part: str
    pictures: Mapping[str, int]
    trained: Mapping[str, int]
    f1: Mapping[str, Mapping[str, Sequence[float]]]

    def score(self, setting: str, label: str) -> tuple[float, float | None] | None:
        """Mean over the seeds and their standard deviation, None for one seed; None where nothing was measured."""
        values = self.f1[setting].get(label, ())
        if not values:
            return None
        return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def per_class(drawn: Drawn) -> PerClass | None:
    """The F1 of all finished cells of the best settings; None if they tell of no classes."""
    best = {score.name for score in ranked(drawn.scores, drawn.plan.monitor[1])[:MOST_SETTINGS]}
    names = [name for name in dict.fromkeys(drawn.names.values()) if name in best]
    cells = {name: drawn.of(name) for name in names}
    part = "test" if any((cell.folder / "tables" / "per_class_test.csv").is_file() for found in cells.values() for cell in found) else "val"
    file = "per_class_test.csv" if part == "test" else "per_class.csv"
    pictures: dict[str, int] = {}
    f1: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for name, found in cells.items():
        for cell in found:
            for label, (count, value) in _table(cell.folder / "tables" / file).items():
                pictures.setdefault(label, count)
                f1[name].setdefault(label, []).append(value)
    if not pictures:
        return None
    spec = next((known for found in cells.values() for cell in found if (known := _spec(cell))), None)
    trained = dict(zip(spec.labels, spec.counts, strict=True)) if spec and spec.counts else {}
    return PerClass(part, pictures, trained, f1)


def _table(file: Path) -> dict[str, tuple[int, float]]:
    """Class -> pictures and F1."""
    found: dict[str, tuple[int, float]] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, csv.Error):
        if _readable(file):
            text = file.read_text(encoding="utf-8", errors="replace")
            for row in list(csv.DictReader(io.StringIO(text, newline="")))[:MOST_CLASSES]:
                value, count = facts.number(float(row["f1"])), int(row["pictures"])
                if value is not None and count > 0:  # of no picture nothing can be found
                    found[bare(row["class"])] = count, value
    return found


def _spec(cell: Outcome) -> DataSpec | None:
    with contextlib.suppress(ZooError, ValueError):
        return facts.spec(read_json(file)) if _readable(file := cell.folder / "spec.json") else None
    return None


def _readable(file: Path) -> bool:
    return file.is_file() and not file.is_symlink() and file.stat().st_size <= MOST_BYTES


# ---------------------------------------------------------------- balance


@dataclass(frozen=True)
class Balance:
    """What each way of `data.balance` makes of the training part.

    Attributes:
        labels: of the classes.
        before: pictures of each.
        after: way -> pictures of each that an epoch sees; for `loss_weights` pictures times their weight.
    """

    labels: Sequence[str]
    before: Sequence[float]
    after: Mapping[str, Sequence[float]]


def balances(drawn: Drawn) -> Balance | None:
    """What the cells' runs say of it; None where they do not differ in it."""
    ways: dict[str, Sequence[float]] = {}
    spec = None
    for score in drawn.scores:
        cell = drawn.of(score.name)[0]
        way = drawn.plan.cell(cell.setting, cell.seed).recipe.data.balance
        known = _spec(cell) if way not in ways else None
        after = _after(known, cell.split.get("epoch_counts")) if known else None
        if known is None or after is None or (spec is not None and (known.labels, known.counts) != (spec.labels, spec.counts)):
            continue
        spec, ways[way] = known, after
    order = [way for way in ("none", "loss_weights", "sampler", "augmented_sampler") if way in ways]
    return Balance(spec.labels, spec.counts, {way: ways[way] for way in order}) if spec and len(ways) > 1 else None


def _after(spec: DataSpec, epoch: Any) -> list[float] | None:
    """Pictures of each class that an epoch sees, times the class's weight in the loss."""
    given = [facts.number(count) for count in epoch] if isinstance(epoch, list) else []
    counts = [count for count in given if count is not None and count >= 0]
    if not spec.counts or not len(counts) == len(given) == len(spec.labels):
        return None
    return [count * weight for count, weight in zip(counts, spec.weights or [1.0] * len(counts), strict=True)]
