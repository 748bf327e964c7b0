"""Check recipes and say all that is wrong with them.

python -m zoo.check recipes/*.yaml [key=value ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from zoo.errors import RecipeError
from zoo.recipe import Recipe


def main(argv: Sequence[str] | None = None) -> int:
    """The command: a line a recipe; exit code 2 if any is wrong."""
    parser = argparse.ArgumentParser(prog="zoo check", description="Check recipes and say all that is wrong with them.")
    parser.add_argument("words", nargs="+", metavar="recipe | key=value", help="recipes' files or names, and changes for all of them")
    words = parser.parse_args(argv).words
    changes = [word for word in words if "=" in word]
    recipes = [word for word in words if "=" not in word]
    if not recipes:
        parser.error("give a recipe's file or name (see `zoo list`)")
    wrong = []
    for path in recipes:
        try:
            Recipe.read(path, changes)
            print(f"{path}: fine")
        except RecipeError as error:
            wrong.append(str(error))
    if wrong:
        raise RecipeError("\n".join(wrong))
    return 0


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("check", sys.argv[1:]))
