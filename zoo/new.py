"""Start a homework: copy a recipe, with its head, under a new name.

    python -m zoo.new my_homework --from image_folder
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import RecipeError
from zoo.recipe import Recipe, find


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the new recipe's path."""
    parser = argparse.ArgumentParser(prog="zoo new", description="Start a homework: copy a recipe, with its head, under a new name.")
    parser.add_argument("name", help="of the new recipe: letters, digits and _")
    parser.add_argument("--from", dest="source", default="image_folder", metavar="RECIPE", help="a recipe's file or name (default: image_folder)")
    parser.add_argument("--to", default="recipes", type=Path, metavar="FOLDER", help="default: recipes/")
    arguments = parser.parse_args(argv)
    if not re.fullmatch(r"[A-Za-z0-9_]+", arguments.name):
        raise RecipeError(f"{arguments.name!r}: a recipe's name has letters, digits and _ only")
    old = find(arguments.source)
    Recipe.read(old)
    new = arguments.to / f"{arguments.name}.yaml"
    # Its own name in the commands of the head becomes the new one; `data.name` and the like stay.
    text = re.sub(rf"recipes/{re.escape(old.stem)}\.yaml", new.as_posix(), old.read_text(encoding="utf-8"))
    text = re.sub(rf'zoo\.load\("{re.escape(old.stem)}"\)', f'zoo.load("{arguments.name}")', text)
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        with new.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise RecipeError(f"{new}: this recipe exists already; choose another name") from error
    print(new)
    return 0


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("new", sys.argv[1:]))
