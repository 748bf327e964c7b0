"""Dividing labelled pictures into train, val and test: by seed, evenly over classes or strata, and whole groups at a time."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from zoo.datasets.source import Record
from zoo.errors import DataError

By = Literal["auto", "group", "random"]
Parts = dict[str, list[Record]]
Kind = int | str | None


@dataclass
class Split:
    """Records by part ("train", "val", perhaps "test") and what a person should know of how they came to be there."""

    parts: Parts
    by: str
    notes: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the ids of each part: equal for equal splits, whatever the order of listing."""
        return fingerprint({name: [record.id for record in part] for name, part in self.parts.items()})


def fingerprint(ids: Mapping[str, Iterable[str]]) -> str:
    """SHA-256 (hex) over the sorted ids of train, val and test."""
    digest = hashlib.sha256()
    for name in ("train", "val", "test"):
        digest.update(f"{name}\n".encode())
        for one in sorted(ids.get(name, ())):
            digest.update(one.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def divide(
    records: Mapping[str, Sequence[Record]],
    val: float,
    test: float,
    seed: int,
    by: By,
    labels: Sequence[str] = (),
    groups: str | None = None,
) -> Split:
    """Divide a source's records.

    Parts that the data set has itself are kept; what is missing is cut from "labelled" or from its "train".

    Args:
        records: as `Source.records`.
        val: part of the pictures that validates, in (0, 1).
        test: part kept for a test, in [0, 1).
        seed: of this split alone.
        by: "group" keeps groups whole, "random" looks at labels (or strata) only, "auto" is "group" where the data has groups.
        labels: class names, for the notes.
        groups: what a group is ("video"), for the notes.

    Raises:
        DataError: nothing is labelled, or `by` asks for groups that the data does not have.
    """
    pool = list(records.get("labelled", ())) or list(records.get("train", ()))
    if not pool:
        raise DataError("no labelled pictures were found: there is nothing to train on")
    own = {name: list(records[name]) for name in ("val", "test") if records.get(name)}
    shares = {"val": 0.0 if "val" in own else val, "test": 0.0 if "test" in own else test}
    by_group = by == "group" or (by == "auto" and groups is not None)
    if by_group and groups is None:
        raise DataError("split.by=group: this data has no groups (videos, persons); use split.by=auto or random")
    split = _by_group(pool, shares, seed) if by_group else _by_label(pool, shares, seed)
    split.parts |= _in_order(own)
    split.notes += _notes(split.parts, own, labels, groups, by_group)
    named = {record.group for record in pool}
    _refuse_empty(split.parts, groups if by_group and len(pool) > 1 and len(named) == 1 and None not in named else None)
    return split


def _by_label(pool: Sequence[Record], shares: Mapping[str, float], seed: int) -> Split:
    """Each class is divided in the wished shares; a class of two gives one to val, a class of one only trains."""
    dice, parts = random.Random(seed), Parts(train=[], val=[], test=[])
    classes: dict[Kind, list[Record]] = defaultdict(list)
    for record in pool:
        classes[_kind(record)].append(record)
    for kind in sorted(classes, key=lambda kind: (0, kind, "") if isinstance(kind, int) else (-1 if kind is None else 1, 0, str(kind))):
        members = sorted(classes[kind], key=lambda record: record.id)
        dice.shuffle(members)
        taken = 0
        for name, count in _counts(len(members), shares).items():
            parts[name] += members[taken : taken + count]
            taken += count
        parts["train"] += members[taken:]
    return Split(_in_order(parts), "stratum" if any(isinstance(kind, str) for kind in classes) else "label")


def _kind(record: Record) -> Kind:
    """What a record is of, so that each part gets its share: its class or, where it has none, its stratum."""
    return record.stratum if record.label is None else record.label


def _counts(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """How many of a class go to each part: rounded, at least one where enough are there, and always one left to train on."""
    counts, left = {}, total - 1
    for name in ("val", "test"):
        wished = max(1, round(shares[name] * total)) if shares[name] else 0
        counts[name] = min(wished, left)
        left -= counts[name]
    return counts


def _by_group(pool: Sequence[Record], shares: Mapping[str, float], seed: int) -> Split:
    """Whole groups, dealt so that every class comes near its share in every part.

    Groups are taken in random order within their rarest class, rarest classes first; each goes to the part that lacks most of
    its classes (a greedy form of iterative stratification, Sechidis 2011). The last groups of a class go to parts without it.
    """
    totals = Counter(_kind(record) for record in pool)
    order = _groups(pool, totals, random.Random(seed))
    waiting = Counter(label for label, _ in order)
    wished = {part: share for part, share in {"train": 1 - sum(shares.values()), **shares}.items() if share > 0}
    lacking = {part: {label: share * count for label, count in totals.items()} for part, share in wished.items()}
    parts: Parts = {part: [] for part in wished}
    met: set[tuple[str, Kind]] = set()
    for label, members in order:
        without = [part for part in wished if (part, label) not in met]
        choice = without[: waiting[label]] if waiting[label] <= len(without) else list(wished)
        need = {part: sum(lacking[part][_kind(record)] / totals[_kind(record)] for record in members) for part in choice}
        part = max(choice, key=need.__getitem__)
        parts[part] += members
        for record in members:
            met.add((part, _kind(record)))
            lacking[part][_kind(record)] -= 1
        waiting[label] -= 1
    return Split(_in_order(parts), "group")


def _groups(pool: Sequence[Record], totals: Mapping[Kind, int], dice: random.Random) -> list[tuple[Kind, list[Record]]]:
    """(rarest class, records) of every group: groups of rare classes first, large groups first, otherwise in random order."""
    named: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(pool, key=lambda record: record.id):
        named[f"g{record.group}" if record.group is not None else f"r{record.id}"].append(record)
    groups = [named[name] for name in sorted(named)]
    dice.shuffle(groups)
    pairs = [(min((_kind(record) for record in group), key=lambda label: (totals[label], str(label))), group) for group in groups]
    return sorted(pairs, key=lambda pair: (totals[pair[0]], -len(pair[1])))


def _in_order(parts: Parts) -> Parts:
    return {name: sorted(part, key=lambda record: record.id) for name, part in parts.items() if part}


def _refuse_empty(parts: Parts, only: str | None) -> None:
    """`only`: what all pictures are of a single one of, and which is kept whole."""
    for name in ("train", "val"):
        if not parts.get(name):
            sizes = ", ".join(f"{part} {len(records)}" for part, records in parts.items())
            remedy = "change split.val and split.test"
            if only is not None:
                remedy = f"divide the one {only} that there is by split.by=random, whose figures are too good"
            raise DataError(f"the split leaves no pictures to {name} ({sizes}): give more data, or {remedy}")


def _notes(parts: Parts, own: Mapping[str, Sequence[Record]], labels: Sequence[str], groups: str | None, by_group: bool) -> list[str]:
    notes = []
    if own:
        notes.append(f"{' and '.join(sorted(own))}: the data set's own part")
    if "test" not in parts:
        notes.append("no labelled test part: the best epoch is selected and measured on validation, so the figure is a little optimistic")
    elif "val" not in own and "test" in own:
        notes.append("val is cut from the data set's training part")
    if groups is not None:
        notes += _grouping(parts, own, groups, by_group)
    counts = {name: Counter(record.label for record in part if record.label is not None) for name, part in parts.items()}
    total = sum(counts.values(), Counter())
    if not total:  # pictures without a class of their own: `labels` are their masks'
        return notes
    few = [index for index in range(len(labels)) if 0 < total[index] < 3]
    unlearnt = [index for index in range(len(labels)) if total[index] and not counts["train"][index]]
    if unlearnt:
        notes.append(f"not in train, so never learnt: {_some(labels, unlearnt)}")
    for part in ("val", "test"):
        absent = [index for index in range(len(labels)) if total[index] and part in parts and not counts[part][index]]
        if absent:
            why = "the data set's own part" if part in own else "too few pictures or groups"
            notes.append(f"not in {part}: {_some(labels, absent)} ({why})")
    if few:
        notes.append(f"fewer than three pictures: {_some(labels, few)}")
    empty = [index for index in range(len(labels)) if not total[index]]
    if empty:
        notes.append(f"no pictures at all, kept in the class map: {_some(labels, empty)}")
    return notes


def _grouping(parts: Parts, own: Mapping[str, Sequence[Record]], groups: str, by_group: bool) -> list[str]:
    """Which split was used: by group, or one that lets frames of one person be learnt and asked for."""
    train = {record.group for record in parts.get("train", ()) if record.group is not None}
    notes = [] if not by_group or {"val", "test"} <= set(own) else [f"split by {groups}: pictures of one {groups} are all in one part"]
    for part in ("val", "test"):
        asked = {record.group for record in parts.get(part, ()) if record.group is not None}
        if both := len(asked & train):
            how = "the data set's own part" if part in own else "split.by=random"
            notes.append(
                f"{how}: pictures of one {groups} lie on both sides, in train and in {part} ({both:,} of {len(asked):,} groups of {part}), "
                "so the figure may be too good"
            )
    return notes


def _some(labels: Sequence[str], indices: Sequence[int], most: int = 8) -> str:
    names = ", ".join(labels[index] for index in indices[:most])
    return names + (f" and {len(indices) - most} more" if len(indices) > most else "")
