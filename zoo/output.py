"""Where commands write the pictures that they draw: checked before the work, written whole, never over a picture that was given."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, RecipeError, ZooError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image


def refuse_unwritable(path: Path | None, given: Sequence[Path] = ()) -> None:
    """Raise RecipeError unless `path` (if any) is a file, there already or new in a folder that takes files, and none of those given.

    What is there and no file (`/dev/null`) would be replaced by one.
    """
    if path is None:
        return
    if (path.exists() and not path.is_file()) or not path.parent.is_dir():
        reason = "is a folder" if path.is_dir() else "is no file" if path.exists() else f"there is no folder {path.parent}"
        raise RecipeError(f"--to {path}: {reason}; expected a file to write, in a folder that exists")
    if path.resolve() in {file.resolve() for file in given}:
        raise RecipeError(f"--to {path}: this file was given, and would be written over; choose another file")
    if reason := _closed(path.parent):
        raise RecipeError(f"--to {path}: {reason}; expected a file to write, in a folder that takes new ones")


def _closed(folder: Path) -> str:
    """Why no file can be made in the folder, by making one: rights alone do not tell (`/proc`)."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"no file can be made in {folder.resolve()} ({error.strerror or error})"


def target(to: Path | None, name: str) -> Path:
    """The file to write: the one asked for, or `name` in the current folder, which then must not be there yet."""
    if to is not None:
        return to
    path = Path(name)
    if path.exists():
        raise RecipeError(f"{path}: is there already; choose a file with --to FILE, or remove it")
    if reason := _closed(path.parent):
        raise RecipeError(f"{path}: {reason}; choose a file elsewhere with --to FILE")
    return path


def write_picture(picture: Image, path: Path) -> None:
    """Write a PNG whole or not at all."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    _write(path, content.getvalue())


def write_figure(figure: Figure, path: Path) -> None:
    """Write a PNG whole or not at all."""
    from zoo.figures.style import save

    content = io.BytesIO()
    save(figure, content)
    _write(path, content.getvalue())


def _write(path: Path, content: bytes) -> None:
    from zoo.files import write_bytes

    try:
        write_bytes(path, content)
    except ZooError as error:  # its words are of files in a run
        cause = error.__cause__
        reason = (isinstance(cause, OSError) and cause.strerror) or str(cause or error)
        raise ZooError(f"{path}: cannot be written ({reason}): make room there, or choose another place with --to") from error


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The picture files that a person names, and those in the folders among them."""
    from zoo.given import in_folder

    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
    return [file for path in paths for file in (in_folder(path) if path.is_dir() else [path])]
