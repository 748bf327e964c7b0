"""Where commands write the pictures that they draw: checked before the work, written whole, never over a picture that was given."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, RecipeError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image


def refuse_unwritable(path: Path | None, given: Sequence[Path] = ()) -> None:
    """Raise RecipeError unless `path` (if any) is a file, there already or new in a folder that exists, and none of those given.

    What is there and no file (`/dev/null`) would be replaced by one.
    """
    if path is None:
        return
    if (path.exists() and not path.is_file()) or not path.parent.is_dir():
        reason = "is a folder" if path.is_dir() else "is no file" if path.exists() else f"there is no folder {path.parent}"
        raise RecipeError(f"--to {path}: {reason}; expected a file to write, in a folder that exists")
    if path.resolve() in {file.resolve() for file in given}:
        raise RecipeError(f"--to {path}: this file was given, and would be written over; choose another file")


def target(to: Path | None, name: str) -> Path:
    """The file to write: the one asked for, or `name` in the current folder, which then must not be there yet."""
    path = to or Path(name)
    if to is None and path.exists():
        raise RecipeError(f"{path}: is there already; choose a file with --to FILE, or remove it")
    return path


def write_picture(picture: Image, path: Path) -> None:
    """Write a PNG whole or not at all."""
    from zoo.files import write_bytes

    content = io.BytesIO()
    picture.save(content, "PNG")
    write_bytes(path, content.getvalue())


def write_figure(figure: Figure, path: Path) -> None:
    """Write a PNG whole or not at all."""
    from zoo.figures.style import save
    from zoo.files import write_bytes

    content = io.BytesIO()
    save(figure, content)
    write_bytes(path, content.getvalue())


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The picture files that a person names, and those in the folders among them."""
    from zoo.given import in_folder

    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
    return [file for path in paths for file in (in_folder(path) if path.is_dir() else [path])]
