"""Records of the recorder: pictures of one gesture with the box it is in, whole at any moment and never written over.

    <root>/record_7/meta.json
    <root>/record_7/images/image_000001.png

A record appears under its number with `meta.json` and its first picture in it, at once; from then on each picture is written whole or not
at all. The number in a picture's name is that of its frame, or its place in the folder it came from, so that a record that was interrupted
goes on where it ended.
"""

from __future__ import annotations

import errno
import io
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image

from zoo.errors import DataError, RecipeError, shown
from zoo.files import read_json, unwritable, write_bytes
from zoo.frames.region import Corners, within
from zoo.frames.tracking import Tracker
from zoo.frames.video import Frame, Picture
from zoo.frames.window import ENDS, Window

META, IMAGES = "meta.json", "images"
START = " "
"""The key that starts a record and pauses it."""

_RECORD = re.compile(r"record_([0-9]{1,9})")
_IMAGE = re.compile(r"image_([0-9]{6,9})\.png")
_MOST_BYTES = 20_000_000  # of a meta.json that is read
_MOST_LETTERS = 100
_HELD = 0.05  # seconds between two looks at a window whose picture stands still
_RED = (214, 39, 40)  # the edge of what is being recorded


class Record:
    """A record that is being written.

    Args:
        place: the folder of records.
        about: what `meta.json` says, see `described`.
        folder: the record, where it is there already.

    Attributes:
        folder: the record; None before its first picture.
        last: the number of its last picture; 0 if there is none.
        written: pictures that were added here.
    """

    def __init__(self, place: Path, about: Mapping[str, Any], folder: Path | None = None) -> None:
        self.place, self.about, self.folder = place, dict(about), folder
        self.last = max(_numbers(folder), default=0) if folder else 0
        self.written = 0

    def add(self, number: int, picture: Picture, box: Corners | None = None) -> None:
        """Write a picture (H, W, 3) uint8 RGB.

        Args:
            number: larger than that of the last one.
            picture: the whole of it, also where a box is given.
            box: of this picture; None for that of the record.

        Raises:
            ZooError: it cannot be written; what was written before is whole.
        """
        if number <= self.last:
            raise ValueError(f"picture {number}: expected a number above {self.last}")
        name, content = f"image_{number:06}.png", io.BytesIO()
        Image.fromarray(picture).save(content, "PNG", compress_level=1)
        if box is not None:
            self.about.setdefault("boxes", {})[name] = plain(box)
        if self.folder is None:
            self.folder = _claimed(self.place, self._meta(), name, content.getvalue())
        else:
            if box is not None:
                write_bytes(self.folder / META, self._meta())  # first: a box without its picture harms nobody
            write_bytes(self.folder / IMAGES / name, content.getvalue())
        self.last, self.written = number, self.written + 1

    def tidy(self) -> None:
        """Remove what a write that was interrupted left."""
        if self.folder is not None:
            for partial in (*self.folder.glob(".*.partial"), *(self.folder / IMAGES).glob(".*.partial")):
                partial.unlink(missing_ok=True)

    def _meta(self) -> bytes:
        return (json.dumps(self.about, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape")


def described(gesture: str, source: str, person: str | None, fps: float) -> dict[str, Any]:
    """What `meta.json` says of a new record; raises RecipeError for texts that are no names."""
    for option, text in (("--label", gesture), ("--person", person)):
        if text is not None and (not text.strip() or len(text) > _MOST_LETTERS or not text.isprintable()):
            raise RecipeError(f"{option} {shown(text)!r:.60}: expected a name of 1 to {_MOST_LETTERS} letters, such as FIVE")
    about: dict[str, Any] = {
        "gesture": gesture,
        "bbox": None,
        "source": shown(source),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return about | ({"person": person} if person is not None else {}) | ({"fps": round(fps, 3)} if fps else {})


def resumed(folder: Path, source: str) -> Record:
    """A record to go on with.

    Raises:
        DataError: it is not there, or its `meta.json` is none.
        RecipeError: it was recorded from something else.
    """
    name = shown(folder)
    if not _RECORD.fullmatch(folder.name) or not (folder / META).is_file() or not (folder / IMAGES).is_dir():
        raise DataError(f"{name}: no record; expected a folder such as record_7, with {META} and {IMAGES} in it")
    if (folder / META).stat().st_size > _MOST_BYTES:
        raise DataError(f"{name}/{META}: larger than {_MOST_BYTES} bytes; expected what the recorder wrote")
    about = read_json(folder / META)
    if not isinstance(about, dict) or not isinstance(about.get("gesture"), str) or not isinstance(about.get("boxes", {}), dict):
        raise DataError(f'{name}/{META}: expected an object with "gesture" and perhaps "boxes", as the recorder wrote it')
    boxes = [about["bbox"]] if about.get("bbox") is not None else []
    for box in (*boxes, *about.get("boxes", {}).values()):
        if not isinstance(box, list) or len(box) != 4 or not all(type(value) in (int, float) for value in box):
            raise DataError(f"{name}/{META}: the box {shown(box)!r:.60}; expected [left, top, right, bottom]")
    if about.get("source", source) != shown(source):
        raise RecipeError(
            f"{name}: was recorded from {shown(about['source'])}, and not from {shown(source)}; leave --resume out for a new one"
        )
    return Record(folder.parent, about, folder)


def _numbers(folder: Path) -> list[int]:
    """Of the pictures of a record."""
    return [int(match[1]) for file in (folder / IMAGES).iterdir() if (match := _IMAGE.fullmatch(file.name))]


def _claimed(place: Path, meta: bytes, name: str, content: bytes) -> Path:
    """A new record with its first picture. It is made under a hidden name; to rename it claims a number, which only one can."""
    hidden = place
    try:
        place.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=".record.", suffix=".partial", dir=place))
        partial = hidden / "record"  # inside, because others may not look into what `mkdtemp` makes
        (partial / IMAGES).mkdir(parents=True)
        write_bytes(partial / META, meta)
        write_bytes(partial / IMAGES / name, content)
        taken = [int(match[1]) for entry in place.iterdir() if (match := _RECORD.fullmatch(entry.name))]
        for number in count(max(taken, default=0) + 1):
            folder = place / f"record_{number}"
            try:
                partial.rename(folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
            else:
                return folder
    except OSError as error:
        raise unwritable(place, error) from error
    finally:
        if hidden != place:
            shutil.rmtree(hidden, ignore_errors=True)
    raise AssertionError("numbers do not end")


def plain(box: Corners) -> list[float]:
    """As it is written: whole numbers without a point."""
    return [int(value) if value == int(value) else round(value, 1) for value in box]


# ---------------------------------------------------------------- going through frames


class Take:
    """Goes through frames and adds those that are wanted to a record.

    Before a screen it waits for the space key, which pauses it as well; the box is drawn with the mouse, and q ends it.

    Args:
        record: to add to.
        name: of the source, for people.
        box: that the gesture is in; None for the whole picture.
        track: follow what is in the box.
        every: take each so-many-th frame, from 1 on.
        most: pictures to take; None for all.
        screen: a window, if there is one.
        live: frames come by themselves; others stand still while it is paused, and their numbers are those of the pictures.

    Attributes:
        seen: number and seconds of the last frame.
        lost: frames passed over because what is followed was not found in them.
        ended: whether a person ended it, or there were enough pictures.
    """

    def __init__(
        self,
        record: Record,
        name: str,
        box: Corners | None = None,
        track: bool = False,
        every: int = 1,
        most: int | None = None,
        screen: Window | None = None,
        live: bool = False,
    ) -> None:
        self.record, self.name, self.box, self.track, self.every, self.most = record, name, box, track, every, most
        self.screen, self.live, self.running = screen, live, screen is None
        self.offset = record.last if live else 0
        self.tracker: Tracker | None = None
        self.seen, self.lost, self.ended, self.interrupted = (0, 0.0), 0, False, False

    def run(self, frames: Iterable[Frame], advance: Callable[[], None] = lambda: None) -> None:
        """Add frames until there are no more; Ctrl-C ends it as well.

        Args:
            frames: in order, their numbers growing; those up to the record's last are passed over.
            advance: called before each frame.

        Raises:
            DataError: the box lies outside of a picture, or holds nothing to follow.
            ZooError: a picture cannot be written.
        """
        try:
            for frame in frames:
                self.seen = frame.number, frame.seconds
                advance()
                if frame.number + self.offset > self.record.last:
                    self._frame(frame)
                elif self.track and frame.number == self.record.last:
                    self._begin(frame.picture)
                if self.ended:
                    return
        except KeyboardInterrupt:
            self.ended = self.interrupted = True
        finally:
            self.record.tidy()

    def _frame(self, frame: Frame) -> None:
        found = self.box if self.tracker is None else self.tracker.update(frame.picture)
        if self.screen is not None:
            found = self._steer(self.screen, frame.picture, found)
        if self.ended or not self.running:
            return
        if self.box is not None and (self.tracker is None or not self.track):
            found = self._begin(frame.picture)
        if found is None and self.tracker is not None:
            self.lost += 1
        elif (frame.number - 1) % self.every == 0:
            self._add(frame.number + self.offset, frame.picture, found)

    def _begin(self, picture: Picture) -> Corners | None:
        """The box within the picture, followed from here on if that is wished."""
        if self.box is not None:
            height, width = picture.shape[:2]
            left, top, right, bottom = within(self.box, width, height, f"{self.name}, picture {self.seen[0]}")
            self.box = float(left), float(top), float(right), float(bottom)
            self.tracker = Tracker(picture, self.box) if self.track else None
        return self.box

    def _steer(self, screen: Window, picture: Picture, found: Corners | None) -> Corners | None:
        """Show the picture, do what is asked with keys and mouse, and give the box in it; a picture that is no camera's waits."""
        while True:
            screen.box = shown_box = found
            key = screen.show(_edged(picture) if self.running else picture, 0.001 if self.running or self.live else _HELD)
            if screen.box != shown_box:
                self.box = found = screen.box
                self.tracker = None
            if key in ENDS:
                self.ended = True
            elif key == START:
                self.running = not self.running
            if self.ended or self.running or self.live:
                return found

    def _add(self, number: int, picture: Picture, box: Corners | None) -> None:
        about = self.record.about
        if self.record.folder is None:
            about["bbox"] = None if box is None else plain(box)
        if box is None and about["bbox"] is not None:  # it was drawn away meanwhile
            box = 0.0, 0.0, float(picture.shape[1]), float(picture.shape[0])
        own = self.track or (box is not None and plain(box) != about["bbox"])
        self.record.add(number, picture, box if own else None)
        self.ended = self.most is not None and self.record.written >= self.most


def _edged(picture: Picture) -> Picture:
    """With a red edge."""
    edged = picture.copy()
    thick = max(2, max(picture.shape) // 80)
    edged[:thick] = edged[-thick:] = edged[:, :thick] = edged[:, -thick:] = _RED
    return edged
