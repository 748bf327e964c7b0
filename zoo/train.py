"""Train a recipe.

    python -m zoo.train recipes/simpsons_mobilenetv2.yaml [key=value ...]
    python -m zoo.train --resume RUN [key=value ...]

The last line on standard output is the run's folder; everything else goes to standard error.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo import build, launch, ranks
from zoo.ensembles import settled
from zoo.progress import say
from zoo.recipe import Recipe
from zoo.report import write_report
from zoo.run import Run, going_on


def train(
    path: str | Path, changes: Sequence[str] = (), resume: str | Path | None = None, max_time: float | None = None, force: bool = False
) -> Run:
    """Train a recipe, measure it and write its report.

    Args:
        path: the recipe's file or name; for `resume` the run's own recipe is used.
        changes: `key=value` words.
        resume: a run folder to go on in.
        max_time: seconds after which it saves and stops.
        force: with `resume`: also changes that make another run of it, which is then marked.

    Raises:
        RecipeError, DataError, DivergedError, StoppedError: see there; no half-made run is left behind.
    """
    from zoo.device import compute_device
    from zoo.estimate import described
    from zoo.memory import Memory
    from zoo.results import write_results

    recipe, forced = read(path, changes, resume, force)
    recipe = settled(recipe)
    # First of all the run, so that an early kill leaves a folder to resume.
    with ranks.joined(recipe.train.device), Run.open(recipe, Path(resume) if resume else None, forced, max_time) as run:
        with ranks.first_goes_first():  # it may draw data and fetch weights, and the others find them there
            source = build.source(recipe)
            data = build.loaders(source, recipe)
            task = build.task(recipe, data.spec)
        memory, epochs = Memory(compute_device(recipe.train.device)), len(run.history())
        memory.begin()
        say(f"estimate: {described(task, data, recipe)}")
        build.engine(recipe).fit(task, data, run)
        trained = len(run.history()) > epochs  # a resumed run may have been trained already
        taken = memory.peak() / 1e6 if trained and memory.known else None
        ranks.dismiss()
        write_results(task, data, run, taken)  # val of the best epoch, and test where a labelled test exists
        write_report(run.folder)
    return run


def read(path: str | Path, changes: Sequence[str], resume: str | Path | None, force: bool) -> tuple[Recipe, list[str]]:
    """The recipe to train, and what was changed in it by force.

    Raises:
        RecipeError: it is wrong, or not one that the run can go on with.
    """
    return (Recipe.read(path, changes), []) if resume is None else going_on(Run.read(resume), changes, force)


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    words = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="zoo train", description="Train a recipe, measure it and write its report.")
    parser.add_argument("recipe", nargs="?", help="a recipe's file or name (see `zoo list`)")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes of the recipe, such as train.epochs=3")
    parser.add_argument("--check", action="store_true", help="only check the recipe")
    parser.add_argument("--print", action="store_true", help="only print the recipe with every default filled in")
    parser.add_argument("--resume", metavar="RUN", help="go on with an interrupted run, perhaps longer (train.epochs=20)")
    parser.add_argument("--force", action="store_true", help="with --resume: also with changes that make another run of it; it is marked")
    parser.add_argument("--max-time", metavar="2h", type=duration, help="save and stop after so long (s, min, h), with exit code 75")
    arguments = parser.parse_intermixed_args(words)
    if arguments.resume and arguments.recipe is not None:
        arguments.changes.insert(0, arguments.recipe)
    if arguments.recipe is None and arguments.resume is None:
        parser.error("give a recipe, or --resume RUN")
    if arguments.resume and not all("=" in word for word in arguments.changes):
        parser.error("--resume RUN goes on with the run's own recipe: leave the recipe out; key=value changes may follow")
    if arguments.resume and (arguments.check or arguments.print):
        parser.error("--check and --print need a recipe; that of a run is RUN/recipe.yaml")
    if arguments.force and not arguments.resume:
        parser.error("--force belongs to --resume")
    if arguments.check or arguments.print:
        return _check(arguments.recipe, arguments.changes, arguments.print)
    launch.follow_parent()
    recipe, _ = read(arguments.recipe, arguments.changes, arguments.resume, arguments.force)
    if launch.needed(recipe.train):
        return launch.run(words, recipe.train.devices)
    run = train(arguments.recipe, arguments.changes, arguments.resume, arguments.max_time, arguments.force)
    print(run.folder)
    return 0


def duration(text: str) -> float:
    """`90`, `90s`, `10min`, `1.5h` -> seconds."""
    found = re.fullmatch(r"([0-9]+(?:[.][0-9]+)?) ?(s|min|h|)", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: expected a number and s, min or h, such as 90s, 30min, 1.5h")
    return float(found[1]) * {"min": 60, "h": 3600}.get(found[2], 1)


def _check(path: str, changes: Sequence[str], show: bool) -> int:
    recipe = Recipe.read(path, changes)
    print(recipe.to_yaml() if show else f"{recipe.name}: fine", end="" if show else "\n")
    return 0


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("train", sys.argv[1:]))
