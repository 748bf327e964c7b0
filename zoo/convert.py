"""Convert annotations of boxes between VOC, COCO and YOLO.

python -m zoo.convert FROM TO --from voc --to coco
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.datasets.annotations import Annotated

FORMATS = ("voc", "coco", "yolo")

DESCRIPTION = """\
Convert a data set with boxes: its annotations are written anew, its pictures put beside them.

  voc   VOC<year>/JPEGImages and Annotations, or images/ and annotations/ with an XML file for each picture
  coco  annotations/instances_train2017.json and train2017/, or one JSON beside its pictures or images/
  yolo  images/ and labels/ with a text file for each picture, and data.yaml or classes.txt

Parts (train, val, test) and the order of classes are kept. VOC and COCO hold all that is said of a box; YOLO holds its class and place
only, and boxes that are difficult or a crowd are left out there."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the new folder; what was found and mended goes to standard error."""
    parser = argparse.ArgumentParser(prog="zoo convert", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FROM", help="the data set's folder; it is only read")
    parser.add_argument("to", type=Path, metavar="TO", help="the new folder; it must not be there")
    parser.add_argument("--from", dest="source", choices=FORMATS, required=True, help="what FROM is")
    parser.add_argument("--to", dest="form", choices=FORMATS, required=True, help="what TO becomes")
    parser.add_argument(
        "--corners",
        choices=("auto", "between", "inclusive"),
        default="auto",
        help="numbers of VOC files: corners between pixels, or pixels counted from 1, the last included, as the challenge has them "
        "(default: inclusive to read a development kit, else between)",
    )
    parser.add_argument("--bad-boxes", choices=("error", "mend"), default="error", help="faults: name them all, or mend what can be")
    parser.add_argument(
        "--unpaired",
        choices=("error", "skip", "empty"),
        default="error",
        help="files without counterpart; empty: such pictures hold nothing",
    )
    parser.add_argument("--pictures", choices=("copy", "link", "none"), default="copy", help="link: hard links, which take no room")
    arguments = parser.parse_args(argv)

    from zoo.datasets.annotations.checking import checked
    from zoo.errors import RecipeError, shown

    if arguments.to.exists():
        raise RecipeError(f"{shown(arguments.to)}: is there already; name a folder that is not")
    found = _read(arguments.folder, arguments.source, arguments.corners)
    found, notes = checked(found, arguments.bad_boxes, arguments.unpaired, spelling=("--bad-boxes mend", "--unpaired skip"))
    _write(found, arguments.to, arguments.form, arguments.corners == "inclusive", arguments.pictures)
    _tell(found, notes, arguments.form)
    print(arguments.to)
    return 0


def _read(folder: Path, form: str, corners: str) -> Annotated:
    from typing import cast

    from zoo.datasets.annotations import MissingLayoutError, coco, voc, yolo
    from zoo.errors import DataError, shown

    if not folder.is_dir():
        raise DataError(f"{shown(folder)}: there is no such folder")
    try:
        if form == "voc":
            return voc.read(folder, cast(voc.Convention, corners))
        return coco.read(folder) if form == "coco" else yolo.read(folder)
    except MissingLayoutError as error:
        raise DataError(f"{error}; `zoo convert --help` says what --from {form} expects") from None


def _write(found: Annotated, to: Path, form: str, inclusive: bool, how: str) -> None:
    """Write the data set under another name and rename it when it is whole.

    Raises:
        ZooError: the folder cannot be written.
        DataError: pictures cannot be told apart by their names, or are of no known size.
    """
    import os
    import shutil
    import tempfile

    from zoo.datasets.annotations import coco, voc, yolo
    from zoo.errors import ZooError, shown

    _check(found)
    place = {"voc": voc, "coco": coco, "yolo": yolo}[form].place
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.parent))
        try:
            for part, pictures in found.parts.items():
                for one in pictures:
                    assert one.picture
                    _put(one.picture, work / place(part, one.name), how)
            if form == "voc":
                voc.write(work, found, inclusive)
            else:
                (coco if form == "coco" else yolo).write(work, found)
            os.chmod(work, 0o755)  # mkdtemp's 0700 would shut other users out
            work.rename(to)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise ZooError(f"{shown(to)}: cannot be written ({error.strerror or error}); free the disk or name another folder") from error


def _check(found: Annotated) -> None:
    """All formats can hold the data set: each picture has a name of its own, without its ending too, and a size."""
    from zoo.errors import DataError, shown

    for part, pictures in found.parts.items():
        names: dict[str, str] = {}
        for one in pictures:
            stem = str(Path(one.name).with_suffix(""))
            if stem in names:
                raise DataError(f"{part}: {shown(names[stem])} and {shown(one.name)} differ in their endings only; rename one")
            if not one.name.isprintable():
                raise DataError(f"{part}: {shown(one.name)}: no format can hold this name; rename the picture")
            if one.size is None:
                raise DataError(f"{shown(one.picture)}: its size is not told and cannot be read; mend or remove it and its annotation")
            names[stem] = one.name


def _put(picture: Path, to: Path, how: str) -> None:
    """Copy a picture, link it, or leave it where it is."""
    import errno
    import os
    import shutil

    from zoo.errors import ZooError, shown

    if how == "none":
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        (os.link if how == "link" else shutil.copyfile)(picture.resolve(), to)
    except OSError as error:
        if how == "copy" or error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        reason = "it lies on another disk" if error.errno == errno.EXDEV else error.strerror
        raise ZooError(f"--pictures link: {shown(picture)} cannot be linked to {shown(to)}: {reason}; use --pictures copy") from error


def _tell(found: Annotated, notes: list[str], form: str) -> None:
    """What was converted, and what was mended or left out."""
    from zoo.progress import say

    for part, pictures in found.parts.items():
        boxes = sum(len(one.objects) for one in pictures)
        say(f"{part}: {len(pictures):,} pictures, {boxes:,} boxes of {len(found.labels)} classes")
    ignored = sum(thing.ignored for part in found.parts.values() for one in part for thing in one.objects)
    if form == "yolo" and ignored:
        say(f"left out, since YOLO cannot mark them: {ignored:,} boxes that are difficult or a crowd")
    if found.unlabelled:
        say(f"left out: {len(found.unlabelled):,} pictures without annotations, to be predicted")
    for note in notes:
        say(note)


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("convert", sys.argv[1:]))
