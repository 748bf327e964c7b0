"""Reconstruct pictures with a trained model: through their codes, or, with a denoising one, without their noise.

python -m zoo.reconstruct RUN FOLDER --to clean
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import DataError, RecipeError, shown
from zoo.output import files_of, write_picture

AT_ONCE = 512


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the folder's path."""
    parser = argparse.ArgumentParser(
        prog="zoo reconstruct", description="Reconstruct or denoise pictures with a trained model; the results have the model's own size."
    )
    parser.add_argument("run", help="run folder, packed file, or the name of a trained recipe")
    parser.add_argument("pictures", nargs="+", type=Path, help="picture files and folders")
    parser.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="a PNG for each picture is written there, under its name")
    parser.add_argument("--force", action="store_true", help="write over files that are there already")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_args(argv)
    files = list(dict.fromkeys(files_of(arguments.pictures)))
    paths = _paths(files, arguments.to, arguments.force)  # before the work, not after it

    from zoo.model import load
    from zoo.progress import say

    model = load(arguments.run, device=arguments.device)
    for start in range(0, len(files), AT_ONCE):
        chunk = model.reconstruct(files[start : start + AT_ONCE], arguments.batch_size)
        assert isinstance(chunk, list)
        for picture, path in zip(chunk, paths[start:], strict=False):
            write_picture(picture, path)
    height, width = model.spec.size
    say(f"wrote {len(files)} pictures of {height}x{width} pixels, the model's own size")
    print(shown(arguments.to))
    return 0


def _paths(files: Sequence[Path], folder: Path, force: bool) -> list[Path]:
    """A PNG in `folder` for each picture, under the picture's name."""
    if not folder.is_dir() and (folder.exists() or not folder.parent.is_dir()):
        reason = "is a file" if folder.exists() else f"there is no folder {folder.parent}"
        raise RecipeError(f"--to {folder}: {reason}; expected a folder, there already or new in one that is")
    given = {file.resolve() for file in files}
    first: dict[Path, Path] = {}
    for file in files:
        path = folder / f"{file.stem}.png"
        if path in first:
            raise DataError(f"--to: {first[path]} and {file} would both become {path}; give one of them alone, or rename it")
        if path.resolve() in given:
            raise DataError(f"--to {folder}: {path} is one of the pictures given, and would be written over; choose another folder")
        if path.exists() and not force:
            raise RecipeError(f"{path}: is there already; choose another folder, or write over it with --force")
        first[path] = file
    return list(first)


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("reconstruct", sys.argv[1:]))
