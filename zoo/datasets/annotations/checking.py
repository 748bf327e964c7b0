"""What is wrong with annotations, told for all pictures at once; and what mending makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from zoo.datasets.annotations import Annotated, Annotation, Corners, Object
from zoo.datasets.pictures import open_picture, upright_size
from zoo.errors import DataError, shown
from zoo.progress import track

SHOWN = 10
"""Faults told one by one before the rest is only counted."""
NOTED = 5
"""The same of those that are mended."""
SLACK = 0.01
"""Pixels by which a box may reach out without a word, since tools round; and a box that is narrower is empty."""

BadBoxes = Literal["error", "mend"]
Unpaired = Literal["error", "skip", "empty"]


def checked(
    found: Annotated,
    bad_boxes: BadBoxes,
    unpaired: Unpaired,
    known: tuple[str, ...] = (),
    spelling: tuple[str, str] = ("data.bad_boxes=mend", "data.unpaired=skip"),
) -> tuple[Annotated, list[str]]:
    """The data set without its faults, every picture with its size where it can be read; and a note for each kind that was mended.

    Args:
        found: as a reader gives it.
        bad_boxes: `mend`: boxes that reach out are cut, inverted ones turned, others dropped, and pictures whose annotation is unreadable
            or of a picture of another size left out.
        unpaired: `skip`: pictures without annotation and annotations without picture are left out; `empty`: such pictures hold nothing.
        known: the classes that there are; () for any.
        spelling: how a person asks for mending and skipping.

    Raises:
        DataError: there are faults that are not to be mended.
    """
    faults, unseen, unsaid = list(found.faults), list[str](), list[str]()
    parts: dict[str, list[Annotation]] = {part: [] for part in found.parts}
    everyone = [(part, one) for part, annotations in found.parts.items() for one in annotations]
    for part, one in track(everyone, "checking annotations", len(everyone), "files"):
        if one.picture is None:
            unseen.append(f"{one.where}: no picture {shown(one.name)}")
        elif one.state == "absent" and unpaired != "empty":
            unsaid.append(f"{shown(one.name)}: no annotation")
        else:
            whole, problems = mended(one, known)
            faults += [f"{one.where}: {problem}" for problem in problems]
            parts[part] += [whole] if whole else []
    lone, mend, skip = unseen + unsaid, *spelling
    empty = f", or {skip.replace('skip', 'empty')} if such pictures hold nothing" if unsaid else ""
    wrong = []
    if faults and bad_boxes == "error":
        wrong += [
            _told(faults, "fault", "in the annotations"),
            f"Mend them, or set {mend} to do as each line says (they are counted and told).",
        ]
    if lone and unpaired == "error":
        wrong += [_told(lone, "file", "without a counterpart"), f"Add or remove files, or set {skip} to leave these out{empty}."]
    if wrong:
        raise DataError(f"{shown(found.root)}:\n" + "\n".join(wrong))
    return replace(found, parts=parts), [*found.notes, *_notes(faults, lone, (mend, skip.replace("skip", unpaired)))]


def _told(faults: list[str], what: str, where: str) -> str:
    more = [f"  ... and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    head = f"{len(faults)} {what}{'' if len(faults) == 1 else 's'} {where}:"
    return "\n".join([head, *(f"  {fault}" for fault in faults[:SHOWN]), *more])


def _notes(faults: list[str], lone: list[str], asked: tuple[str, str]) -> list[str]:
    notes = []
    for told, what, how in zip((faults, lone), ("mended", "left out"), asked, strict=True):
        if told:
            more = f" and {len(told) - NOTED} more" if len(told) > NOTED else ""
            notes.append(f"annotations: {len(told)} {what} ({how}): {'; '.join(told[:NOTED])}{more}")
    return notes


def header_size(picture: Path | None) -> tuple[int, int] | None:
    """Width and height of a picture once upright; None if it cannot be read, which the look at all files names."""
    if picture is None:
        return None
    try:
        with open_picture(picture) as opened:
            return upright_size(opened)
    except (DataError, OSError):
        return None


def mended(one: Annotation, known: tuple[str, ...] = ()) -> tuple[Annotation | None, list[str]]:
    """An annotation without its faults, and each of these with what was done; None if nothing of it can be used."""
    faults = list(one.faults)
    if one.state == "unreadable":
        return None, faults
    size = header_size(one.picture) or one.size
    if size and one.size and size != one.size:
        said = f"it is of a picture of {one.size[0]}x{one.size[1]} pixels, and {shown(one.name)} has {size[0]}x{size[1]}"
        return None, [*faults, f"{said} (mended: its picture is left out)"]
    objects: dict[tuple[str, Corners, bool], Object] = {}
    for place, thing in enumerate(one.objects, 1):
        kept, problem = _mended(thing, size, known)
        if kept and (key := (kept.name, kept.corners, kept.ignored)) in objects:
            kept, problem = None, f"{_spelt(thing.corners)} is there twice (mended: one is kept)"
        if kept:
            objects[key] = kept
        if problem:
            faults.append(f"box {place} ({thing.name}): {problem}")
    return replace(one, size=size, objects=tuple(objects.values())), faults


def _mended(thing: Object, size: tuple[int, int] | None, known: tuple[str, ...]) -> tuple[Object | None, str]:
    """A thing as it is used, and what was wrong with it; None if there is no way to use it."""
    left, top, right, bottom = thing.corners
    spelt = _spelt(thing.corners)
    if known and thing.name not in known:
        return None, f"there is no such class; expected {', '.join(known)} (mended: dropped)"
    turned = min(left, right), min(top, bottom), max(left, right), max(top, bottom)
    if turned[2] - turned[0] < SLACK or turned[3] - turned[1] < SLACK:
        return None, f"{spelt} has no area (mended: dropped)"
    cut = turned if size is None else _cut(turned, size)
    if cut[2] - cut[0] < SLACK or cut[3] - cut[1] < SLACK:
        return None, f"{spelt} is outside the picture of {_pixels(size)} (mended: dropped)"
    problems = ["is inverted (mended: turned)"] if turned != thing.corners else []
    if max(abs(one - other) for one, other in zip(cut, turned, strict=True)) > SLACK:
        problems.append(f"reaches out of the picture of {_pixels(size)} (mended: cut)")
    return replace(thing, corners=cut), f"{spelt} {' and '.join(problems)}" if problems else ""


def _cut(corners: Corners, size: tuple[int, int]) -> Corners:
    left, top, right, bottom = corners
    return max(left, 0.0), max(top, 0.0), min(right, float(size[0])), min(bottom, float(size[1]))


def _pixels(size: tuple[int, int] | None) -> str:
    return f"{size[0]}x{size[1]} pixels" if size else "unknown size"


def _spelt(corners: Corners) -> str:
    return f"({', '.join(f'{value:g}' for value in corners)})"
