"""Own records: what `zoo capture` writes, a folder of frames for each recording of one gesture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Le

from zoo.datasets.annotations import LONGEST_NAME, class_name, json_file, told
from zoo.datasets.annotations.checking import header_size
from zoo.datasets.annotations.crops import Crops, Part, where
from zoo.datasets.gestures import GESTURES
from zoo.datasets.pictures import is_picture
from zoo.datasets.source import Crop, Source, layout_error
from zoo.errors import DataError, shown

META = "meta.json"
PARTS = ("train", "val", "test")
MOST_BYTES = 20_000_000
"""Of a `meta.json`: boxes of 200,000 frames."""
SHOWN = 10
"""Wrong files told one by one before the rest is only counted."""


class Recorded(Source):
    """Each frame a record, grouped by the person who was recorded, or by the recording where its `meta.json` names nobody.

    The classes are the gestures that occur, in the order of `zoo.datasets.gestures` and others by their names. Recordings below `train/`
    and `val/` or `test/` keep these parts.

    Args:
        root: the folder that holds `record_1/` and so on, or `train/` and `val/`.
        margin: how much more than the box is cut out, in parts of its width on the left and right, of its height above and below.
        group_by: `recording` keeps a recording's frames together and may divide a person's recordings: for records of one person alone.

    Raises:
        DataError: there are no recordings, or a `meta.json` is none; all such files are named.
    """

    title: ClassVar[str] = "own recordings of gestures"
    obtain: ClassVar[str] = "Record some with a camera or from a video: `python -m zoo.capture --help`."
    layout: ClassVar[str] = """\
  record_1/meta.json                     {"gesture": "FIVE", "bbox": [left, top, right, bottom] in pixels, or null for the whole picture,
                                          "person": "anna" (may be left out)}
  record_1/images/image_000001.png  ...
or train/record_1/  val/record_2/  ...
"""
    version: ClassVar[int] = 1

    def __init__(
        self,
        root: Path,
        margin: Annotated[float, Ge(0), Le(2)] = 0.1,
        group_by: Literal["person", "recording"] = "person",
    ) -> None:
        folders, notes = _recordings(root)
        if not folders:
            raise layout_error(Recorded, root, f"no folder record_1/ with its {META}")
        found, wrong, people = Crops(), [], set()
        for part, folder in folders:
            try:
                people.add(_read(root, part, folder, margin, group_by == "person", found))
            except ValueError as error:
                wrong.append(f"  {shown(folder / META)}: {error}")
        if wrong:
            more = [f"  ... and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
            lines = "\n".join([*wrong[:SHOWN], *more])
            raise DataError(f"{len(wrong)} recording{'s' * (len(wrong) > 1)} cannot be used; mend or remove:\n{lines}")
        others = sorted({one.name for part in found.parts.values() for one in part} - {*GESTURES})
        labels, records = found.listed(root, (*GESTURES, *others))
        groups = " or ".join(["person"] * bool(people - {None}) + ["recording"] * (None in people))
        super().__init__(root, labels, records, groups, notes=[*notes, *found.notes, *found.left()])

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw recordings of hands that move a little, in the layout that `zoo capture` writes."""
        from zoo.datasets.drawn.recorded import write

        write(root, seed)


def _recordings(root: Path) -> tuple[list[tuple[str, Path]], list[str]]:
    """Each recording with its part, and what is there and not read."""
    tops = {part: root / part for part in PARTS if (root / part).is_dir()}
    found = {part: _folders(top) for part, top in tops.items()}
    loose = _folders(root)
    notes = []
    if found.get("train"):
        found["train"] += loose
        notes += [f"not in {' or '.join(f'{part}/' for part in tops)}, and taken to train: {len(loose):,} recordings"] if loose else []
    else:
        found = {"labelled": [*loose, *(folder for inner in found.values() for folder in inner)]}
    ready = [(part, folder) for part, folders in found.items() for folder in folders if (folder / META).is_file()]
    bare = [folder for folders in found.values() for folder in folders if not (folder / META).is_file()]
    if bare and ready:
        notes.append(f"without {META} and left out: {len(bare):,} folders, such as {shown(bare[0].relative_to(root).as_posix())}")
    return ready, notes


def _folders(top: Path) -> list[Path]:
    return sorted(entry for entry in top.iterdir() if entry.name.startswith("record_") and entry.is_dir() and not entry.is_symlink())


class _Meta(NamedTuple):
    """What a `meta.json` says: the gesture, the box of all frames (None: the whole picture), those of single ones, and who was recorded."""

    gesture: str
    box: Crop | None
    boxes: Mapping[str, Any]
    person: str | None


def _read(root: Path, part: str, folder: Path, margin: float, by_person: bool, found: Crops) -> str | None:
    """Find the frames of a recording; returns the person they are grouped by, if it is one.

    Raises:
        ValueError: what is wrong with its `meta.json`.
    """
    content, twice = json_file.read(folder / META, MOST_BYTES)
    if twice:
        raise ValueError(f"{told(twice[0])} stands twice; keep one")
    meta, place, name = _meta(content), partial(where, root, folder / META), folder.relative_to(root).as_posix()
    person = meta.person if by_person else None
    group = f"person {person}" if person else name
    frames = {path.name: path for path in sorted((folder / "images").iterdir()) if is_picture(path)} if (folder / "images").is_dir() else {}
    if not frames:
        found.leave("recordings without pictures", shown(name))
    for frame in sorted(meta.boxes.keys() - frames.keys()):
        found.leave("boxes of pictures that are not there", place("boxes", told(frame)))
    for frame, path in frames.items():
        try:
            crop = _corners(meta.boxes[frame]) if frame in meta.boxes else meta.box
            if crop is not None and (size := header_size(path)) is not None:  # None of a broken file, which the look at all files names
                crop.pixels(size)
        except ValueError as error:
            found.leave("pictures whose box cannot be used", place(frame, error))
            continue
        found.add(part, Part(meta.gesture, path, f"{name}/{frame}", group, None if crop is None else crop.widened(margin)))
    return person


def _meta(content: Mapping[str, Any]) -> _Meta:
    """What is known of a recording; keys that are not known are passed over.

    Raises:
        ValueError: a value is not of its kind.
    """
    try:
        gesture = class_name(content.get("gesture"))
    except ValueError as error:
        raise ValueError(f"`gesture`: {error}") from error
    try:
        box = None if content.get("bbox") is None else _corners(content["bbox"])
    except ValueError as error:
        raise ValueError(f"`bbox`: {error}") from error
    boxes = content.get("boxes", {})
    if not isinstance(boxes, dict):
        raise ValueError(f"`boxes`: {told(boxes)}, expected a box for each picture's name")
    for key in ("person", "source", "created"):
        value = content.get(key)
        if value is not None and not (isinstance(value, str) and len(value) <= 10 * LONGEST_NAME):
            raise ValueError(f"`{key}`: {told(value)}, expected a text")
    rate = content.get("fps")
    if rate is not None and json_file.real(rate) <= 0:
        raise ValueError(f"`fps`: {told(rate)}, expected more than 0")
    return _Meta(gesture, box, boxes, (content.get("person") or "").strip() or None)


def _corners(box: object) -> Crop:
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"{told(box)}, expected [left, top, right, bottom] in pixels")
    left, top, right, bottom = map(json_file.real, box)
    if right <= left or bottom <= top:
        raise ValueError(f"[{left:g}, {top:g}, {right:g}, {bottom:g}] has no area; expected [left, top, right, bottom]")
    return Crop(left, top, right, bottom)
