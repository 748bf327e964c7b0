"""Predict pictures, folders or, with a classifier or a detector, a video or a camera.

python -m zoo.predict RUN FOLDER
python -m zoo.predict RUN FOLDER --csv predictions.csv
python -m zoo.predict RUN FOLDER --submission out.csv
python -m zoo.predict RUN FOLDER --masks masks
python -m zoo.predict RUN FOLDER --drawn drawn --json boxes.jsonl --coco results.json
python -m zoo.predict RUN --video site.mp4 --drawn drawn.mp4 --alarm head --alarm-frames 5
python -m zoo.predict RUN --camera 0 --alarm head
python -m zoo.predict RUN --camera 0 --box 220,80,420,280 --json labels.jsonl
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, RecipeError, ZooError

if TYPE_CHECKING:
    from zoo.model import Model, Prediction

BATCH = 32
"""Pictures that go through the network at once, if nothing is said."""

FOREIGN = (
    ("submission", ("classes",), "writes none"),
    ("masks", ("masks",), "makes no masks"),
    *((option, ("boxes",), "finds no boxes") for option in ("coco", "alarm", "alarm-frames")),
    *((option, ("boxes", "classes"), "finds no boxes and no classes") for option in ("json", "drawn", "threshold", "video", "camera")),
    *((option, ("classes",), "gives frames no labels") for option in ("box", "smooth", "preview")),
)
"""Option, the kinds of model it is for, and what is to be said of others."""

FRAMES = ("json", "drawn", "threshold", "box", "smooth", "preview")
"""Options that a classifier has for frames alone."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    arguments = _parser().parse_args(argv)
    if sum((bool(arguments.pictures), arguments.video is not None, arguments.camera is not None)) != 1:
        _parser().error("expected pictures, --video FILE or --camera N, and one of them")
    for path in (arguments.csv, arguments.submission, arguments.json, arguments.coco):
        _refuse_unwritable(path)  # before the work, not after it
    _refuse_no_folder(arguments.masks)
    if arguments.pictures:
        _refuse_no_folder(arguments.drawn)

    from zoo.model import load
    from zoo.tasks.task import Detects, Segments

    files = _files(arguments.pictures)
    model = load(arguments.run, device=arguments.device)
    kind = "boxes" if isinstance(model.task, Detects) else "masks" if isinstance(model.task, Segments) else "classes"
    _refuse_foreign(arguments, model, kind)
    if kind == "boxes":
        from zoo.frames import detecting

        return detecting.pictures(model, files, arguments) if files else detecting.video(model, arguments)
    if kind == "classes" and not files:
        from zoo.frames import live

        return live.video(model, arguments)
    arguments.batch_size = BATCH if arguments.batch_size is None else arguments.batch_size
    return (_segment if kind == "masks" else _classify)(model, files, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zoo predict", description="Predict pictures, folders, a video or a camera with a trained model.")
    parser.add_argument("run", help="run folder, packed file, or the name of a trained recipe")
    parser.add_argument("pictures", nargs="*", type=Path, help="picture files and folders")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write what would be printed there")
    parser.add_argument("--batch-size", type=int, help=f"pictures at once: {BATCH} by default; frames: 1, of a video with a detector 4")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    frames = parser.add_argument_group("videos and cameras, of a classifier or a detector")
    frames.add_argument("--video", metavar="FILE", type=Path, help="go through a video instead of pictures")
    frames.add_argument("--camera", metavar="N", type=int, help="or through what a camera sees, until Ctrl-C")
    frames.add_argument("--json", metavar="FILE", type=Path, help="write a JSON object a line, for each frame; a detector for pictures too")
    frames.add_argument(
        "--drawn", metavar="PLACE", type=Path, help="draw what is found: an .mp4 or .avi for a video; of a detector a folder for pictures"
    )
    frames.add_argument(
        "--threshold", metavar="SCORE", type=float, help="from which score on a box or a frame's label counts, instead of the model's own"
    )
    classes = parser.add_argument_group("classification")
    classes.add_argument("--submission", metavar="FILE", type=Path, help="write the data set's own submission file, with its ids")
    classes.add_argument("--box", metavar="L,T,R,B", help="of a video: look at this part of its frames, in pixels")
    classes.add_argument("--smooth", metavar="SECONDS", type=float, help="over which labels of frames are averaged (0.3); 0 does not")
    classes.add_argument(
        "--preview", action=argparse.BooleanOptionalAction, default=None, help="show the frames in a window, where there is a screen (yes)"
    )
    masks = parser.add_argument_group("segmentation")
    masks.add_argument("--masks", metavar="FOLDER", type=Path, help="write a mask for each picture there")
    boxes = parser.add_argument_group("detection")
    boxes.add_argument("--coco", metavar="FILE", type=Path, help="write COCO's format of results")
    boxes.add_argument("--alarm", metavar="CLASS", help="of a video: print a line when this class is seen, and when it has gone")
    boxes.add_argument("--alarm-frames", metavar="N", type=int, help="in so many frames running (5)")
    return parser


def _refuse_foreign(arguments: argparse.Namespace, model: Model, kind: str) -> None:
    """Raise RecipeError for an option that is of another kind of model."""
    name = f"{model.recipe.name} ({model.recipe.task.name})"
    given = {option for option, _, _ in FOREIGN if getattr(arguments, option.replace("-", "_")) is not None}
    for option, owners, lack in FOREIGN:
        if kind not in owners and option in given:
            if (option, kind) == ("submission", "masks"):
                raise RecipeError("--submission: a segmentation writes none; take --masks FOLDER or --csv FILE")
            raise RecipeError(f"--{option}: {name} {lack}; leave it out")
    if kind == "classes" and arguments.pictures:
        for option in FRAMES:
            if option in given:
                raise RecipeError(
                    f"--{option}: of a classifier it goes with --video or --camera; of pictures take --csv FILE, or leave it out"
                )
    if not arguments.pictures and "submission" in given:
        raise RecipeError("--submission: is written of pictures; of a video or a camera take --csv FILE or --json FILE")


def _classify(model: Model, files: Sequence[Path], arguments: argparse.Namespace) -> int:
    """Write classes, or the data set's own submission."""
    from zoo.errors import shown
    from zoo.model import Prediction

    predictions = [each for each in model.predict(files, arguments.batch_size) if isinstance(each, Prediction)]
    if arguments.submission:
        _write_submission(arguments.submission, model, predictions)
    if arguments.csv:
        _write_csv(arguments.csv, predictions)
    if not arguments.submission and not arguments.csv:
        for prediction in predictions:
            print(f"{prediction.score:.6f}  {shown(prediction.label)}  {shown(prediction.path)}")
    return 0


def _segment(model: Model, files: Sequence[Path], arguments: argparse.Namespace) -> int:
    """Write masks, and what part of each picture is of which class."""
    from zoo.datasets.masks import palette_mask
    from zoo.errors import shown
    from zoo.progress import say

    names = png_names(files, arguments.masks, "--masks") if arguments.masks else []
    masks = model.segment(files, arguments.batch_size)
    if arguments.masks:
        for name, mask in zip(names, masks, strict=True):
            with _writing(arguments.masks / name):
                arguments.masks.mkdir(exist_ok=True)
                palette_mask(mask.classes).save(arguments.masks / name)
        say(f"wrote {len(masks)} masks to {arguments.masks}: the class of a pixel is its index in the palette, 255 is none")
    rows = [[mask.path, *(f"{share:.6f}" for share in mask.shares.values())] for mask in masks]
    if arguments.csv:
        _write_rows(arguments.csv, ("path", *model.labels), rows)
    elif not arguments.masks:
        for path, *shares in rows:
            print("  ".join([*(f"{shown(label)} {share}" for label, share in zip(model.labels, shares, strict=True)), shown(path)]))
    return 0


def png_names(files: Sequence[Path], folder: Path, option: str) -> list[str]:
    """A PNG for each picture, under the picture's name.

    Raises:
        DataError: two pictures would become one, or a picture would be written over.
    """
    first: dict[str, Path] = {}
    pictures = {file.resolve() for file in files}
    for file in files:
        name = f"{file.stem}.png"
        if name in first:
            raise DataError(f"{option}: {first[name]} and {file} would both become {name}; predict their folders one by one")
        if (folder / name).resolve() in pictures:
            what = "the mask of" if option == "--masks" else "the drawn"
            raise DataError(f"{option} {folder}: {what} {file} would be written over a picture; choose another folder")
        first[name] = file
    return list(first)


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files of the command line, and those in its folders."""
    from zoo.given import in_folder

    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
    return [file for path in paths for file in (in_folder(path) if path.is_dir() else [path])]


def _write_submission(path: Path, model: Model, predictions: Sequence[Prediction]) -> None:
    from zoo import registry
    from zoo.cells import is_formula
    from zoo.progress import say

    files = [prediction.path for prediction in predictions]
    indices = [model.labels.index(prediction.label) for prediction in predictions]
    with _writing(path):
        registry.load("datasets", model.recipe.data.name).write_submission(path, files, indices, model.labels)
    say(f"wrote {len(files)} rows to {path}")
    if any(is_formula(text) for text in (*(file.name for file in files if file), *(prediction.label for prediction in predictions))):
        say(f"{path}: names that begin with =, +, - or @ are in it to the letter, as ids must be: a spreadsheet would run them as formulas")


def _write_csv(path: Path, predictions: Sequence[Prediction]) -> None:
    from zoo.cells import guarded

    rows = [(prediction.path, guarded(prediction.label), f"{prediction.score:.6f}") for prediction in predictions]
    _write_rows(path, ("path", "label", "score"), rows)


def _write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write rows that begin with a path; names that are no UTF-8 keep their bytes."""
    from zoo.cells import guarded
    from zoo.frames.box_files import no_formula
    from zoo.progress import say

    written = [[guarded(name) for name in header], *([no_formula(str(first)), *rest] for first, *rest in rows)]
    with _writing(path), path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file, lineterminator="\n").writerows(written)
    say(f"wrote {len(rows)} rows to {path}")


def _refuse_no_folder(path: Path | None) -> None:
    if path is not None and not path.is_dir() and (path.exists() or not path.parent.is_dir()):
        reason = "is a file" if path.exists() else f"there is no folder {path.parent}"
        raise RecipeError(f"{path}: {reason}; expected a folder, there already or new in one that is")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ZooError(f"{path}: cannot be written ({error}): choose another file") from error
    except UnicodeError as error:
        raise DataError(f"{path}: cannot hold a picture's name that is no UTF-8 ({error}): rename the picture") from error


def _refuse_unwritable(path: Path | None) -> None:
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        reason = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise RecipeError(f"{path}: {reason}; expected a file to write, in a folder that exists")


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("predict", sys.argv[1:]))
