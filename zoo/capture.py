"""Record pictures of one gesture, from a camera, a video file or a folder, each record a folder of its own that training reads.

python -m zoo.capture --label FIVE --camera 0 --person anna
python -m zoo.capture --label FIVE --video five.mp4 --box 220,80,420,280 --track --every 3
python -m zoo.capture --label BACKGROUND --folder empty_rooms --part val
python -m zoo.capture --resume data/recorded/record_7 --video five.mp4
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, RecipeError, shown
from zoo.progress import Progress, say

if TYPE_CHECKING:
    from zoo.frames.recording import Record, Take
    from zoo.frames.region import Corners
    from zoo.frames.video import Frame, Video


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the record's folder; how it goes is said on standard error."""
    arguments = _parser().parse_args(argv)
    if sum((arguments.camera is not None, arguments.video is not None, arguments.folder is not None)) != 1:
        _parser().error("expected --camera N, --video FILE or --folder DIR, and one of them")
    if arguments.label is None and arguments.resume is None:
        _parser().error("expected --label NAME, or --resume RECORD to go on with one")
    for option, number in (("every", arguments.every), ("most", arguments.most)):
        if number is not None and number < 1:
            raise RecipeError(f"--{option} {number}: expected a whole number from 1 on")

    from zoo.frames import footage
    from zoo.frames.recording import Take
    from zoo.frames.region import parsed
    from zoo.frames.window import window

    box = None if arguments.box is None else parsed(arguments.box)
    with _opened(arguments) as (name, video, frames, expected):
        record = _record(arguments, name, video.rate if video else 0.0)
        box, track = _place(arguments, record, box)
        with window("zoo capture", arguments.preview) as screen:
            if track and box is None and screen is None:
                raise RecipeError("--track: there is no window to draw a box in; give it with --box left,top,right,bottom")
            if screen is not None:
                say("space: record, and pause; mouse: draw the box; q: end")
            live = video is not None and video.live
            take = Take(record, name, box, track, arguments.every, arguments.most, screen, live)
            try:
                with Progress("recording", expected, "frames") if expected else nullcontext() as bar:
                    take.run(frames, _nothing if bar is None else bar.advance)
            finally:
                _say(take, record)
    if video is not None and not take.ended:
        footage.refuse_cut(video, *take.seen)
    if take.interrupted and not live:
        raise KeyboardInterrupt
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zoo capture", description="Record pictures of one gesture from a camera, a video or a folder.")
    parser.add_argument("--label", metavar="NAME", help="the gesture, such as FIVE; BACKGROUND where there is none")
    source = parser.add_argument_group("where from, one of")
    source.add_argument("--camera", metavar="N", type=int, help="a camera, until q or Ctrl-C")
    source.add_argument("--video", metavar="FILE", type=Path, help="a video file")
    source.add_argument("--folder", metavar="DIR", type=Path, help="the pictures of a folder and its subfolders, by path")
    where = parser.add_argument_group("where to")
    where.add_argument("--root", metavar="DIR", type=Path, help="the folder of records ($ZOO_DATA/recorded)")
    where.add_argument("--part", choices=("train", "val"), help="a folder in it, for records that are not to be split")
    where.add_argument("--resume", metavar="RECORD", type=Path, help="go on with a record, after its last picture")
    where.add_argument("--person", metavar="NAME", help="whose hand it is: recordings of one person stay together in a split")
    what = parser.add_argument_group("what")
    what.add_argument("--every", metavar="N", type=int, default=1, help="take each N-th frame (1)")
    what.add_argument("--most", metavar="N", type=int, help="end after so many pictures")
    what.add_argument("--box", metavar="L,T,R,B", help="where the gesture is, in pixels of the frame (the whole frame)")
    what.add_argument("--track", action="store_true", help="follow what is in the box; frames in which it is not found are passed over")
    what.add_argument(
        "--preview", action=argparse.BooleanOptionalAction, default=True, help="show the frames in a window, where there is a screen (yes)"
    )
    return parser


@contextmanager
def _opened(arguments: argparse.Namespace) -> Iterator[tuple[str, Video | None, Iterator[Frame], int]]:
    """The source's name as the record keeps it, the video if it is one, its frames, and how many are expected (0: not known)."""
    from zoo.frames import footage

    if arguments.folder is not None:
        files = _pictures(arguments.folder)
        yield arguments.folder.resolve().name, None, _read(files), len(files)
    else:
        with footage.source(arguments) as video:
            yield video.name if video.live else arguments.video.name, video, video.frames(), video.expected


def _pictures(folder: Path) -> list[Path]:
    from zoo.datasets.pictures import is_picture

    if not folder.is_dir():
        raise DataError(f"{shown(folder)}: {'no folder' if folder.exists() else 'no such folder'}; expected a folder of pictures")
    files = [path for path in sorted(folder.rglob("*")) if is_picture(path) and path.is_file()]
    if not files:
        raise DataError(f"{shown(folder)}: this folder holds no pictures; expected files such as 1.jpg or sub/2.png")
    return files


def _read(files: Sequence[Path]) -> Iterator[Frame]:
    """Pictures as frames, numbered by their places; a broken one is said and passed over."""
    import numpy as np

    from zoo.datasets.pictures import read_picture
    from zoo.frames.video import Frame

    for number, file in enumerate(files, 1):
        try:
            picture = read_picture(file)
        except DataError as error:
            say(f"{error}; it is passed over")
            continue
        yield Frame(number, 0.0, np.array(picture))


def _record(arguments: argparse.Namespace, source: str, rate: float) -> Record:
    """A new record, or the one to go on with."""
    from zoo.frames.recording import Record, described, resumed
    from zoo.paths import data

    if arguments.resume is None:
        place: Path = data() / "recorded" if arguments.root is None else arguments.root
        if place.exists() and not place.is_dir():
            raise RecipeError(f"--root {shown(place)}: is no folder; expected one, there already or new")
        place = place / arguments.part if arguments.part else place
        return Record(place, described(arguments.label, source, arguments.person, rate))
    for option in ("root", "part", "person"):
        if getattr(arguments, option) is not None:
            raise RecipeError(f"--{option}: is that of the record with --resume; leave it out")
    record = resumed(arguments.resume, source)
    if arguments.label not in (None, record.about["gesture"]):
        known = shown(record.about["gesture"])
        raise RecipeError(f"--label {shown(arguments.label)}: {shown(arguments.resume)} is of {known}; leave --label out, or --resume")
    say(f"going on with {shown(arguments.resume)} after picture {record.last}")
    return record


def _place(arguments: argparse.Namespace, record: Record, box: Corners | None) -> tuple[Corners | None, bool]:
    """The box to begin with and whether to follow it; of a record that goes on, those it ended with."""
    boxes = record.about.get("boxes", {})
    if box is None and record.folder is not None:
        last = boxes.get(f"image_{record.last:06}.png", record.about.get("bbox"))
        box = None if last is None else (float(last[0]), float(last[1]), float(last[2]), float(last[3]))
    return box, arguments.track or (bool(boxes) and arguments.box is None)


def _say(take: Take, record: Record) -> None:
    """What was written; the record's folder on standard output."""
    if record.folder is None:
        say("nothing was recorded")
        return
    lost = f"; {take.lost} frames passed over, in which what is followed was not found" if take.lost else ""
    say(f"wrote {record.written} pictures of {shown(record.about['gesture'])}, of {take.seen[0]} frames{lost}")
    print(record.folder, flush=True)


def _nothing() -> None:
    pass


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("capture", sys.argv[1:]))
