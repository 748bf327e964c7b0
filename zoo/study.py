"""Train a study: a recipe under several changes, as one resumable table.

    python -m zoo.study recipes/studies/ph2_networks_by_losses.yaml [--jobs 2] [key=value ...]
    python -m zoo.study recipes/studies/ph2_networks_by_losses.yaml --report

The same command goes on with a study that was stopped. The last line on standard output is the report's path.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import RecipeError
from zoo.files import write_bytes
from zoo.progress import say
from zoo.studies import definition, outcomes
from zoo.studies.locks import alone
from zoo.studies.plan import Plan
from zoo.studies.work import Work, refuse_others


def study(path: str | Path, changes: Sequence[str] = (), jobs: int = 1, storage: str | None = None, retry: bool = False) -> Work:
    """Train all cells of a study that are not finished; returns what became of the work.

    Args:
        path: the study's file or name.
        changes: `key=value` words, for all cells.
        jobs: cells at a time.
        storage: URL of a database that hands out the cells; default: a journal file in the study's folder.
        retry: also cells that failed before.

    Raises:
        RecipeError: the study or any of its recipes is wrong, or cells were trained by other recipes; nothing was trained.
    """
    plan = Plan(definition.read(path), changes)
    refuse_others(plan)
    from zoo.studies.queue import Queue

    folder = plan.study.folder
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        _note_changes(plan)
        queue = Queue(storage or folder / "journal.log", plan.study.name, plan.study.axes, plan.monitor[1], plan.study.seeds[0])
    work = Work(plan, queue, jobs, retry)
    work.run()
    _warn_of_splits(plan)
    return work


def _note_changes(plan: Plan) -> None:
    """Keep the file as it was run, and say what became of it since."""
    kept = plan.study.folder / "study.yaml"
    text = plan.study.text.encode("utf-8", "surrogateescape")
    if kept.is_file() and kept.read_bytes() != text:
        left = outcomes.strangers(plan)
        aside = f"; cells that no longer belong to it are kept and left out: {', '.join(left[:5])}" if left else ""
        say(f"study {plan.study.name}: its file has changed since it was begun: finished cells stay, new ones are trained{aside}")
    write_bytes(kept, text)


def _warn_of_splits(plan: Plan) -> None:
    splits: dict[str, list[str]] = {}
    cells = outcomes.outcomes(plan)
    for outcome in cells:
        if outcome.fingerprint:
            splits.setdefault(outcome.fingerprint, []).append(outcome.id)
    if outcomes.splits(plan, cells) == "mixed":
        told = "; ".join(f"{fingerprint[:12]}: {', '.join(names[:4])}" for fingerprint, names in splits.items())
        say(f"WARNING: the cells were measured on DIFFERENT SPLITS, so their figures cannot be compared: {told}")


def report(path: str | Path, changes: Sequence[str] = ()) -> Path:
    """Draw a study's report and table from what is finished; returns the report's path.

    Raises:
        RecipeError: the study is wrong, or was never begun here.
    """
    from zoo.studies.report import write_report

    plan = Plan(definition.read(path), changes)
    if not plan.study.folder.is_dir():
        raise RecipeError(
            f"{plan.study.name}: this study was not begun here (looked in {plan.study.folder}): leave --report out to train it"
        )
    return write_report(plan)


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the report's path."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="zoo study", description="Train a recipe under several changes, and compare them in one report.")
    parser.add_argument("study", help="a study's file or name, such as recipes/studies/NAME.yaml")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes of the recipe for all cells, such as train.epochs=3")
    parser.add_argument("--jobs", type=_count, default=1, metavar="N", help="cells trained at a time (default: 1)")
    parser.add_argument("--storage", metavar="URL", help="database that hands out the cells (default: a journal in the study's folder)")
    parser.add_argument("--retry", action="store_true", help="try cells again that failed before")
    parser.add_argument("--check", action="store_true", help="only check the study and the recipe of every cell")
    parser.add_argument("--report", action="store_true", help="only draw the report, also of an unfinished study")
    parser.add_argument("--open", action="store_true", help="show the report in a browser")
    arguments = parser.parse_intermixed_args(words)
    if arguments.check:
        return _check(arguments.study, arguments.changes)
    if arguments.report:
        print(_shown(report(arguments.study, arguments.changes), arguments.open))
        return 0
    work = study(arguments.study, arguments.changes, arguments.jobs, arguments.storage, arguments.retry)
    if work.code:
        say(f"stopped and saved: go on with `{shlex.join(['python', '-m', 'zoo.study', *words])}`; add --report to see what there is")
        return work.code
    print(_shown(report(arguments.study, arguments.changes), arguments.open))
    return work.result()


def _check(path: str, changes: Sequence[str]) -> int:
    plan = Plan(definition.read(path), changes)
    axes = " x ".join(f"{len(axis.values) or 'range'} {axis.name}" for axis in plan.study.axes)
    cells = plan.study.settings * len(plan.study.seeds) or len(plan.cells)
    print(
        f"{plan.study.name}: fine; {cells} cells by {plan.study.search} ({axes}, {len(plan.study.seeds)} seeds) of {plan.study.base_name}"
    )
    return 0


def _shown(file: Path, wished: bool) -> Path:
    if wished:
        webbrowser.open(file.resolve().as_uri())
    return file


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 to 256")
    return int(text)


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("study", sys.argv[1:]))
