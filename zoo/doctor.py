"""Look a data set over before training: bad files, copies, likely wrong labels, classes, and pictures that stand out.

    python -m zoo.doctor RECIPE [key=value ...] [--out DIR]

Writes a page and a quarantine file, whose records a training with `data.quarantine=FILE` leaves out. The data is not changed. The last
line on standard output is the page's path.
"""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import RecipeError
from zoo.progress import say

if TYPE_CHECKING:
    from zoo.curation.diagnosis import Diagnosis

CHANGES = ("data.bad_files=skip", "data.duplicates=never", "data.quarantine=null")
"""What the doctor reads otherwise than training: all that is bad is to be seen, and copies are counted by itself."""


def doctor(recipe: str | Path, changes: Sequence[str] = (), out: Path | None = None) -> tuple[Diagnosis, Path]:
    """Look a recipe's data over; returns what was found and the page's path.

    Args:
        recipe: path or name.
        changes: `key=value` words.
        out: folder for `doctor.html` and `quarantine.csv`; default: `doctor/<recipe>` in `$ZOO_HOME`.

    Raises:
        RecipeError, DataError: as a training would raise; bad files are found, not raised.
    """
    from zoo import build, paths
    from zoo.curation import diagnosis
    from zoo.datasets.amended import quarantine_text
    from zoo.files import write_bytes
    from zoo.pages import diagnosis_page
    from zoo.recipe import Recipe

    read = Recipe.read(recipe, [*changes, *CHANGES])
    folder = (out or paths.home() / "doctor" / read.name).resolve()
    _make(folder)
    data = build.loaders(build.source(read), read)
    found = diagnosis.diagnose(data, read)
    rows = diagnosis.quarantine(found)
    file = folder / "quarantine.csv"
    write_bytes(file, quarantine_text(rows).encode("utf-8", "surrogateescape"))
    command = ["python", "-m", "zoo.train", str(recipe), *changes, f"data.quarantine={file}"]
    text = diagnosis_page.page(found, data.source, rows, command, read.name, read.synthetic)
    write_bytes(folder / "doctor.html", text.encode("utf-8", "replace"))
    say(f"{len(rows):,} records in {file}" + (f"; train without them: {' '.join(command)}" if rows else ""))
    return found, folder / "doctor.html"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"--out {folder}: cannot be made ({error.strerror or error}); expected a folder to write into") from error


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the page's path."""
    parser = argparse.ArgumentParser(prog="zoo doctor", description="Look a data set over before training: a page and a quarantine file.")
    parser.add_argument("recipe", help="a recipe's file or name; any with pictures")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes of the recipe, such as data.root=FOLDER")
    parser.add_argument("--out", metavar="DIR", type=Path, help="folder for doctor.html and quarantine.csv (default: doctor/RECIPE)")
    parser.add_argument("--open", action="store_true", help="show the page in a browser")
    arguments = parser.parse_intermixed_args(argv)
    page = doctor(arguments.recipe, arguments.changes, arguments.out)[1]
    print(page)
    if arguments.open:
        webbrowser.open(page.as_uri())
    return 0


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("doctor", sys.argv[1:]))
