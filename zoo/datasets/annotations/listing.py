"""What a source makes of annotations: the classes that are asked for, and a record for each picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from zoo.datasets.annotations import Annotated, Annotation
from zoo.datasets.annotations.checking import BadBoxes, Unpaired, checked
from zoo.datasets.boxes import IGNORED, Box
from zoo.datasets.source import Record
from zoo.errors import DataError, RecipeError, shown

Others = Literal["ignore", "background"]


@dataclass(frozen=True)
class Listing:
    """What `Source.__init__` takes."""

    labels: tuple[str, ...]
    records: dict[str, list[Record]]
    groups: str | None
    notes: list[str]


def listed(
    found: Annotated,
    classes: tuple[str, ...],
    merge: tuple[str, ...],
    others: Others,
    bad_boxes: BadBoxes,
    unpaired: Unpaired,
    group_by: str,
    known: tuple[str, ...] = (),
) -> Listing:
    """The records of a data set.

    Args:
        found: as a reader gives it.
        classes: those that are asked for, in their order; () for all.
        merge: each "new=old+old": what is called so counts as one class.
        others: what boxes of other classes become: `IGNORED`, or nothing.
        bad_boxes: see `checked`.
        unpaired: see `checked`.
        group_by: what separates the name of a photo from that of its part in a picture's name; "" where pictures do not belong together.
        known: the classes that the data set has; () for those that are found.

    Raises:
        DataError: faults of the annotations that are not to be mended, or no boxes.
        RecipeError: the options name what is not there.
    """
    labels, meant = choose(known or found.labels, classes, merge)
    whole, notes = checked(found, bad_boxes, unpaired, known)
    left: Counter[str] = Counter()
    records: dict[str, list[Record]] = {
        part: [_record(one, found, labels, meant, others, group_by, left) for one in annotations]
        for part, annotations in whole.parts.items()
    }
    if not any(box.label != IGNORED for part in records.values() for record in part for box in record.boxes or ()):
        raise DataError(
            f"{shown(found.root)}: no box of {shown(', '.join(labels)) or 'any class'} in any annotation, but for what is ignored; "
            f"there is nothing to learn{''.join(f'. {note}' for note in notes)}"
        )
    records |= (
        {"unlabelled": [Record(path, path.relative_to(found.root).as_posix()) for path in found.unlabelled]} if found.unlabelled else {}
    )
    if group_by and all(group_by not in PurePosixPath(record.id).stem for part in records.values() for record in part):
        raise RecipeError(f"data.group_by={group_by!r} is in no picture's name, such as {shown(next(iter(records.values()))[0].path.name)}")
    return Listing(labels, records, "photo" if group_by else None, notes + _left_out(left, others))


def choose(names: Sequence[str], classes: tuple[str, ...], merge: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Labels, and the class index of each name in the annotations that counts as one of them.

    Raises:
        RecipeError: a name is not there, is said twice, or `merge` is not of its form.
    """
    renamed = {old: new for new, olds in map(_merging, merge) for old in olds}
    said = [old for _, olds in map(_merging, merge) for old in olds]
    merged = tuple(dict.fromkeys(renamed.get(name, name) for name in names))
    for option, wanted, there in (("merge", said, names), ("classes", classes, merged)):
        strange = [name for name in wanted if name not in there]
        if strange:
            raise RecipeError(f"data.{option}: there is no class {shown(strange[0])!r}; there are {shown(', '.join(there)) or 'none'}")
        if len(set(wanted)) != len(wanted):
            raise RecipeError(f"data.{option}={list(wanted)}: a class is named twice")
    labels = classes or merged
    return labels, {name: labels.index(new) for name in names if (new := renamed.get(name, name)) in labels}


def _merging(text: str) -> tuple[str, list[str]]:
    new, _, olds = (part.strip() for part in text.partition("="))
    names = [old.strip() for old in olds.split("+")]
    if not new or not all(names):
        raise RecipeError(f"data.merge: {text!r}: expected new=old+old, such as hat=helmet+cap")
    return new, names


def _record(
    one: Annotation,
    found: Annotated,
    labels: Sequence[str],
    meant: Mapping[str, int],
    others: Others,
    group_by: str,
    left: Counter[str],
) -> Record:
    assert one.picture is not None
    boxes = []
    for thing in one.objects:
        label = meant.get(thing.name)
        left[thing.name] += label is None
        if label is not None or others == "ignore":
            boxes.append(Box(*thing.corners, IGNORED if label is None or thing.ignored else label))
    group = one.picture.stem.partition(group_by)[0] if group_by else None
    return Record(one.picture, one.picture.relative_to(found.root).as_posix(), group=group, boxes=tuple(boxes))


def _left_out(left: Counter[str], others: Others) -> list[str]:
    if not +left:
        return []
    what = "count as ignored" if others == "ignore" else "count as background"
    return [
        f"boxes of other classes {what} (data.others): {', '.join(f'{count} {shown(name)}' for name, count in (+left).most_common(10))}"
    ]
