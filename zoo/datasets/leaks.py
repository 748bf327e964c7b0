"""Pictures of one part of the data that look like pictures of another: counted before training, because they make figures too good."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

from zoo.datasets.duplicates import Pair, near
from zoo.datasets.source import Record, Source
from zoo.datasets.splits import Split
from zoo.datasets.thumbnails import Thumbnails
from zoo.errors import shown
from zoo.ranks import ranks

When = Literal["auto", "always", "never"]

MOST_NEW = 30_000
"""So many pictures are read without being asked: one or two minutes, once."""
SHOWN = 2


def notes(source: Source, split: Split, when: When) -> list[str]:
    """A line for every two parts that share near duplicates; one that says why nothing was counted; or none.

    Args:
        source: of the records.
        split: their parts.
        when: as `data.duplicates`.
    """
    if when == "never" or not ranks().first:  # of several processes one tells
        return []
    parts = [name for name, records in split.parts.items() for _ in records]
    records = [record for part in split.parts.values() for record in part]
    thumbnails = Thumbnails(source, records)
    if when == "auto" and thumbnails.new > MOST_NEW:
        return [
            f"near duplicates across parts were not counted: {thumbnails.new:,} pictures are new, more than {MOST_NEW:,}; "
            "data.duplicates=always counts them, which takes long only once"
        ]
    groups = [record.id if record.group is None else record.group for record in records] if source.groups else None
    pairs = near(thumbnails.read(), parts, groups, nearest=2)
    return _told(source, split, pairs, records, parts)


def _told(source: Source, split: Split, pairs: Sequence[Pair], records: Sequence[Record], parts: Sequence[str]) -> list[str]:
    lines = []
    for before, part in combinations(split.parts, 2):
        found = [pair if parts[pair.first] == part else pair._replace(first=pair.second, second=pair.first) for pair in pairs]
        found = [pair for pair in found if (parts[pair.first], parts[pair.second]) == (part, before)]
        alike: dict[int, Pair] = {}
        for pair in found:  # nearest first
            alike.setdefault(pair.first, pair)
        if alike:
            examples = [f"{shown(records[pair.first].id)} and {shown(records[pair.second].id)}" for pair in list(alike.values())[:SHOWN]]
            more = ", ..." if len(alike) > SHOWN else ""
            lines.append(
                f"{len(alike):,} of {len(split.parts[part]):,} pictures of {part} look like pictures of {before} "
                f"({', '.join(examples)}{more}): the figure may be too good; {_remedy(source, split)}"
            )
    return lines


def _remedy(source: Source, split: Split) -> str:
    if source.groups and split.by != "group":
        return f"split.by=group keeps each {source.groups} in one part"
    return "remove one of each pair, or see that both lie in one part"
