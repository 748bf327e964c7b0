"""Start a homework: copy a recipe, with its head, under a new name.

python -m zoo.new my_homework --from image_folder
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo import paths
from zoo.document import read_text
from zoo.errors import RecipeError, ZooError
from zoo.recipe import Recipe, find


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the new recipe's path."""
    parser = argparse.ArgumentParser(prog="zoo new", description="Start a homework: copy a recipe, with its head, under a new name.")
    parser.add_argument("name", help="of the new recipe: letters, digits and _")
    parser.add_argument(
        "--from", dest="source", default="image_folder", metavar="RECIPE", help="a recipe's file or name (default: image_folder)"
    )
    parser.add_argument("--to", default="recipes", type=Path, metavar="FOLDER", help="default: recipes/")
    arguments = parser.parse_args(argv)
    name, known = arguments.name, paths.recipes()
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise RecipeError(f"{name!r}: a new recipe's name is made of letters, digits and _ only, such as my_homework")
    if name in known:
        raise RecipeError(f"{name!r}: this recipe exists already ({known[name]}); choose another name")
    old = find(arguments.source)
    Recipe.read(old)
    new = arguments.to / f"{name}.yaml"
    # Its own name in the commands of the head becomes the new one; `data.name` and the like stay.
    text = read_text(old).replace(f"recipes/{old.stem}.yaml", new.as_posix()).replace(f'zoo.load("{old.stem}")', f'zoo.load("{name}")')
    text = re.sub(rf"(?<=python -m )(zoo\.\w+) {re.escape(old.stem)}(?!\S)", rf"\1 {name}", text)
    _write(new, text)
    print(new)
    return 0


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ZooError(f"{file}: cannot be written: {error.strerror}; choose another name, or another folder with --to") from error


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("new", sys.argv[1:]))
