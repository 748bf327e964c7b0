"""Train a recipe.

    python -m zoo.train recipes/simpsons_mobilenetv2.yaml [key=value ...]
    python -m zoo.train --resume RUN

The last line on standard output is the run's folder; everything else goes to standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo import build, launch, ranks
from zoo.progress import say
from zoo.recipe import Recipe
from zoo.report import write_report
from zoo.run import Run


def train(path: str | Path, changes: Sequence[str] = (), resume: str | Path | None = None) -> Run:
    """Train a recipe, measure it and write its report.

    Args:
        path: the recipe's file or name; for `resume` the run's own recipe is used.
        changes: `key=value` words.
        resume: a run folder to go on in.

    Raises:
        RecipeError, DataError, DivergedError: see there; no half-made run is left behind.
    """
    from zoo.estimate import estimate
    from zoo.results import write_results

    recipe = Recipe.read(path, changes) if resume is None else Run.read(resume).recipe
    # First of all the run, so that an early kill leaves a folder to resume.
    with ranks.joined(recipe.train.device), Run.open(recipe, Path(resume) if resume else None) as run:
        with ranks.first_goes_first():  # it may draw data and fetch weights, and the others find them there
            source = build.source(recipe)
            data = build.loaders(source, recipe)
            task = build.task(recipe, data.spec)
        say(f"estimate: {estimate(task, data, recipe)}")
        build.engine(recipe).fit(task, data, run)
        ranks.dismiss()
        write_results(task, data, run)  # val of the best epoch, and test where a labelled test exists
        write_report(run.folder)
    return run


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    words = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="zoo train", description="Train a recipe, measure it and write its report.")
    parser.add_argument("recipe", nargs="?", help="a recipe's file or name (see `zoo list`)")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes of the recipe, such as train.epochs=3")
    parser.add_argument("--check", action="store_true", help="only check the recipe")
    parser.add_argument("--print", action="store_true", help="only print the recipe with every default filled in")
    parser.add_argument("--resume", metavar="RUN", help="go on with an interrupted run")
    arguments = parser.parse_intermixed_args(words)
    if (arguments.recipe is None) == (arguments.resume is None):
        parser.error("give a recipe, or --resume RUN alone: a run goes on as it was begun")
    if arguments.resume and (arguments.check or arguments.print):
        parser.error("--check and --print need a recipe; that of a run is RUN/recipe.yaml")
    if arguments.check or arguments.print:
        return _check(arguments.recipe, arguments.changes, arguments.print)
    recipe = Recipe.read(arguments.recipe, arguments.changes) if arguments.resume is None else Run.read(arguments.resume).recipe
    if launch.needed(recipe.train):
        return launch.run(words, recipe.train.devices)
    run = train(arguments.recipe, arguments.changes, arguments.resume)
    print(run.folder)
    return 0


def _check(path: str, changes: Sequence[str], show: bool) -> int:
    recipe = Recipe.read(path, changes)
    print(recipe.to_yaml() if show else f"{recipe.name}: fine", end="" if show else "\n")
    return 0


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("train", sys.argv[1:]))
