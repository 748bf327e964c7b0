"""Which run is meant: a folder, `name`, or `name:run`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from zoo import facts, paths
from zoo.errors import RecipeError, ZooError
from zoo.nearest import nearest
from zoo.progress import say
from zoo.run import Run


def open_run(what: str | Path) -> Run:
    """The run of a folder or a name.

    Raises:
        RecipeError: there is none, or its recipe cannot be read.
    """
    path = Path(what)
    if (path / "recipe.yaml").is_file() or (path.is_dir() and not _known(str(what).partition(":")[0])):
        return Run.read(path)
    return find_run(str(what))


def find_run(name: str) -> Run:
    """The run that a name means: the one of `name:run`, or for `name` the best (see `best_run`).

    Raises:
        RecipeError: no such recipe, or none of its runs is finished here.
        ZooError: they are all damaged.
    """
    recipe, _, wanted = name.partition(":")
    if "@" in name:
        raise RecipeError(
            f"{name!r}: an epoch (@) is for zoo.load, `zoo predict` and `zoo evaluate`; here give the run, {name.partition('@')[0]!r}"
        )
    if not _known(recipe):
        trained = [path.name for path in paths.runs().glob("*") if path.is_dir()]
        near = nearest(recipe, [*paths.recipes(), *trained])
        raise RecipeError(
            f"{name!r}: no such recipe, file or folder{near}; `zoo list` shows the recipes, `zoo list runs` the runs in {paths.runs()}"
        )
    folders = sorted(path for path in (paths.runs() / recipe).glob("*") if (path / "recipe.yaml").is_file())
    finished = [path for path in folders if (path / "metrics.json").is_file() and (path / "weights.safetensors").is_file()]
    if wanted:
        return _wanted(name, wanted, folders, finished)
    if not finished:
        raise RecipeError(_untrained(recipe, folders))
    return best_run(_readable(finished))


def _known(recipe: str) -> bool:
    return len(Path(recipe).parts) == 1 and (recipe in paths.recipes() or (recipe != ".." and (paths.runs() / recipe).is_dir()))


def _wanted(name: str, wanted: str, folders: Sequence[Path], finished: Sequence[Path]) -> Run:
    for folder in folders:
        if folder.name == wanted:
            return Run.read(folder)  # an unfinished one is refused where it is loaded, with what to do
    where = paths.runs() / name.partition(":")[0]
    raise RecipeError(
        f"{name!r}: no run {wanted!r}{nearest(wanted, [path.name for path in finished])} in {where}; `zoo list runs` shows them all"
    )


def _untrained(recipe: str, unfinished: Sequence[Path]) -> str:
    if unfinished:
        newest = unfinished[-1]
        return f"{recipe!r}: its newest run {newest.name} is not finished; go on with `python -m zoo.train --resume {newest}`"
    command = f"python -m zoo.train {paths.recipes().get(recipe, recipe)}"
    return f"{recipe!r} was not trained here (looked in {paths.runs() / recipe}): train it with `{command}`"


def _readable(folders: Sequence[Path]) -> list[tuple[Run, facts.Facts]]:
    """Runs and their facts; damaged ones, and those of another version of zoo, are left out and said if others remain."""
    found: list[tuple[Run, facts.Facts]] = []
    damaged: list[ZooError] = []
    for folder in folders:
        try:
            run = Run.read(folder)
            found.append((run, facts.of_run(run)))
        except ZooError as error:
            damaged.append(error)
    if not found:
        raise damaged[0]
    for problem in damaged:
        say(f"left out: {problem}")
    return found


def best_run(runs: Iterable[tuple[Run, facts.Facts]]) -> Run:
    """Of finished runs those on real data if there are any, of those the ones on the newest's split, of those the best.

    Best is by the newest's monitor. Says which it is and why.
    """
    ordered = sorted(runs, key=lambda item: (item[0].folder / "metrics.json").stat().st_mtime_ns, reverse=True)  # newest first
    kind = [item for item in ordered if item[1].metrics.get("synthetic") is not True] or ordered
    newest, its = kind[0]
    same = [(run, fact) for run, fact in kind if fact.split.get("fingerprint") == its.split.get("fingerprint")]
    monitor = newest.recipe.monitor
    sign = 1 if monitor.mode == "max" else -1

    def quality(item: tuple[Run, facts.Facts]) -> float:
        value = facts.number(item[1].metrics.get(monitor.metric))
        return -float("inf") if value is None else sign * value

    best, fact = max(same, key=quality)  # of equals the newest
    data = "synthetic" if fact.metrics.get("synthetic") is True else "real"
    value = facts.number(fact.metrics.get(monitor.metric))
    measured = "not measured" if value is None else f"{value:.4g}"
    among = f"the best by {monitor.metric} ({measured}) of {len(same)} on {data} data and the newest one's split; {len(ordered)} finished"
    say(f"loading {best.recipe.name}:{best.folder.name}, {among}")
    return best
