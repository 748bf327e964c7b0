"""What is wrong with a data set, found without training: bad files, copies, likely wrong labels, and pictures that stand out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from zoo.datasets import duplicates, quality
from zoo.datasets.amended import Row
from zoo.datasets.source import Record
from zoo.datasets.thumbnails import Thumbnails
from zoo.metrics import confident
from zoo.progress import say

if TYPE_CHECKING:
    from zoo.datasets.loaders import Loaders
    from zoo.recipe import Recipe

FALLBACK = "mobilenetv2_100"
"""The backbone that judges labels where the recipe has none of trained weights: its weights are the easiest to have."""
AGREEING = 0.7
"""The part of the labels that a judge must hold for the likeliest itself, or its doubts tell more of the judge than of the labels."""


class Copy(NamedTuple):
    """Two records that are one picture, and how far apart they are; 0 for equal files."""

    first: int
    second: int
    distance: float


@dataclass
class Diagnosis:
    """What was found; numbers are of `records`.

    Attributes:
        records, parts: all that were looked at, and the part of each.
        labels: class names.
        bad: path -> what is wrong, of the files that cannot be read.
        bad_records: the records of these files.
        copies: pairs of equal or nearly equal pictures, nearest first.
        issues: labels that may be wrong, the likeliest first.
        trusted: whether the label check rests on trained weights and knows most of the labels, so that its finds may leave the training.
        outliers: pictures that stand out.
        counts: part -> pictures of each class; empty where pictures have no class.
        notes: what was left out, and what the checks rest on.
    """

    records: list[Record]
    parts: list[str]
    labels: tuple[str, ...]
    bad: dict[Path, str]
    bad_records: list[Record]
    copies: list[Copy] = field(default_factory=list)
    issues: list[confident.Issue] = field(default_factory=list)
    trusted: bool = False
    outliers: list[quality.Outlier] = field(default_factory=list)
    counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def across(self) -> list[Copy]:
        """The copies that lie in two parts."""
        return [copy for copy in self.copies if self.parts[copy.first] != self.parts[copy.second]]

    def within(self) -> list[Copy]:
        """The copies that lie in one part; of frames of one group, which are alike anyway, only equal files."""
        return [copy for copy in self.copies if self.parts[copy.first] == self.parts[copy.second] and not self._alike(copy)]

    def frames(self) -> int:
        """How many near copies are frames of one group, such as a video, in one part."""
        return sum(self._alike(copy) for copy in self.copies if self.parts[copy.first] == self.parts[copy.second])

    def _alike(self, copy: Copy) -> bool:
        """Whether they are frames of one group that look like copies and are none."""
        first, second = self.records[copy.first].group, self.records[copy.second].group
        return first is not None and first == second and copy.distance > 0

    def name(self, label: int | None) -> str:
        """Of a class; "" for none."""
        return "" if label is None else self.labels[label]


def diagnose(data: Loaders, recipe: Recipe) -> Diagnosis:
    """Look at all labelled pictures of a recipe."""
    parts = [name for name, records in data.parts().items() for _ in records]
    records = [record for part in data.parts().values() for record in part]
    bad = data.preflight.bad
    every = [record for part in data.source.records.values() for record in part]
    found = Diagnosis(records, parts, data.spec.labels, bad, [record for record in every if record.path in bad])
    by_class = data.spec.truth == "label"
    vectors, found.trusted = _vectors(data, recipe, found.notes) if by_class else (None, False)
    found.copies = _copies(data, records, parts, vectors if found.trusted else None)
    if frames := found.frames():
        found.notes.append(f"{frames:,} pairs of one {data.source.groups} look like copies and are not shown: frames of one are alike")
    if by_class and vectors is not None:
        found.issues = _issues(found, data, vectors)
        found.counts = {name: _counted(part, len(data.spec.labels)) for name, part in data.parts().items()}
    else:
        found.notes.append("labels and classes were not checked: these pictures have no class each")
    found.outliers = quality.outliers(quality.measured(data.source, records))
    return found


def _counted(records: Sequence[Record], classes: int) -> tuple[int, ...]:
    return tuple(np.bincount([record.label for record in records if record.label is not None], minlength=classes).tolist())


def _copies(data: Loaders, records: Sequence[Record], parts: Sequence[str], vectors: torch.Tensor | None) -> list[Copy]:
    """Across parts first by search across them, then all; equal files have distance 0."""
    groups = [record.id if record.group is None else record.group for record in records] if data.source.groups else None
    thumbnails = Thumbnails(data.source, records).read()
    pairs = {(pair.first, pair.second): pair.distance for pair in duplicates.near(thumbnails, None, groups, vectors=vectors)}
    pairs |= {(pair.first, pair.second): pair.distance for pair in duplicates.near(thumbnails, parts, groups, vectors=vectors)}
    for numbers in duplicates.equal(records):
        for number in numbers[1:]:
            pairs[min(numbers[0], number), max(numbers[0], number)] = 0.0
    return sorted((Copy(*pair, distance) for pair, distance in pairs.items()), key=lambda copy: copy.distance)


# ---------------------------------------------------------------- labels


def _vectors(data: Loaders, recipe: Recipe, notes: list[str]) -> tuple[torch.Tensor, bool]:
    """(N, D) vectors of all records by trained weights, or by their thumbnails where none can be had; and whether it is the former."""
    from zoo import probe, probing
    from zoo.device import compute_device

    named = [recipe.backbone.name] if recipe.backbone else []
    for name in dict.fromkeys([*named, FALLBACK]):
        chosen = recipe if named and name == named[0] else probe.with_backbone(recipe, name)
        backbone = probe.built(chosen, data).eval()
        if backbone.weights.startswith("random weights"):
            continue
        notes.append(f"labels were judged by the embedding of {name}, {backbone.weights}")
        device = compute_device(recipe.train.device)
        backbone.to(device)
        vectors = [probing.embedded(backbone.vector, data, part, device).vectors for part in data.parts()]
        return torch.from_numpy(np.concatenate(vectors)), True
    note = (
        "no trained weights could be had, so labels were judged by thumbnails of 32 x 32 pixels, and copies by thumbnails alone: that "
        "finds few of the wrong labels and doubts many right ones, so these are shown and not put into the quarantine"
    )
    say(f"WARNING: {note}")
    notes.append(note)
    records = [record for part in data.parts().values() for record in part]
    return Thumbnails(data.source, records).read().flatten(1).float() / 255, False


def _issues(found: Diagnosis, data: Loaders, vectors: torch.Tensor) -> list[confident.Issue]:
    labels = np.array([record.label for record in found.records], np.int64)
    if len(np.unique(labels)) < 2:
        found.notes.append("labels were not checked: all pictures are of one class")
        return []
    say("judging labels: five folds of a logistic regression")
    probabilities = confident.held_out(vectors.numpy(), labels, _groups(found), len(found.labels))
    unjudged = int((~np.isfinite(probabilities).all(1)).sum())
    if unjudged:
        found.notes.append(f"{unjudged:,} labels could not be judged: no other group has their class")
    agreed = confident.agreement(probabilities, labels)
    if found.trusted and agreed < AGREEING:
        found.trusted = False
        note = (
            f"the embedding tells only {100 * agreed:.0f} % of the labels from pictures of other groups, so its doubts are shown and not "
            "put into the quarantine: train, and look at the surest mistakes by `python -m zoo.mine RUN`"
        )
        say(f"WARNING: {note}")
        found.notes.append(note)
    return confident.issues(probabilities, labels)


def _groups(found: Diagnosis) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(N,) the group of each record; copies are in one, as they would vouch for each other's labels."""
    names: dict[object, int] = {}
    groups = [names.setdefault(record.group if record.group is not None else row, len(names)) for row, record in enumerate(found.records)]
    into = {group: group for group in groups}

    def root(group: int) -> int:
        while into[group] != group:
            group = into[group]
        return group

    for copy in found.copies:
        into[root(groups[copy.second])] = root(groups[copy.first])
    return np.array([root(group) for group in groups], np.int64)


# ---------------------------------------------------------------- quarantine


def quarantine(found: Diagnosis) -> list[Row]:
    """What is to be left out: bad files, of copies in two parts the one that trains, and likely wrong labels. One row a record."""
    rows: dict[str, Row] = {}
    for record in found.bad_records:
        rows[record.id] = Row(record.id, "", "bad file", found.name(record.label))
    for copy in found.across():
        first, second = sorted((copy.first, copy.second), key=lambda number: ("train", "val", "test").index(found.parts[number]))
        record, other = found.records[first], found.records[second]
        reason = f"{'copy' if copy.distance == 0 else 'near copy'} of {found.parts[second]}'s {other.id}"
        rows.setdefault(record.id, Row(record.id, found.parts[first], reason, found.name(record.label), "", f"{copy.distance:.4f}"))
    for issue in found.issues if found.trusted else ():
        if issue.confident:
            record, part = found.records[issue.row], found.parts[issue.row]
            words = (found.name(record.label), found.labels[issue.suggested], f"{issue.margin:.4f}")
            rows.setdefault(record.id, Row(record.id, part, "likely wrong label", *words))
    return list(rows.values())
