"""Measure recipes in full, and write cards and the README's table from what was measured.

    python -m zoo.bench bands [RECIPE ...]      hours: trains every recipe on drawn data, appends to docs/results.csv
    python -m zoo.bench cards                   seconds: docs/recipes/*.md and the table in README.md

For people who work on zoo, in a checkout.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo.errors import RecipeError
from zoo.pages.markup import range_text
from zoo.recipe import Recipe
from zoo.sections import Bound

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results.csv"
CARDS = ROOT / "docs" / "recipes"
HEADER = ("recipe", "data", "metric", "value", "seconds", "date", "commit", "machine", "note")
CERTAINTY = {
    "V": "read in the original",
    "C": "recomputed from the original",
    "N": "a similar solution",
    "S": "only a summary says it",
    "M": "unconfirmed",
}

Row = Mapping[str, str]


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="zoo bench", description="Measure recipes in full; write cards and the README's table.")
    parser.add_argument("what", choices=("bands", "cards"))
    parser.add_argument("recipes", nargs="*", help="for bands: only these")
    arguments = parser.parse_args(argv)
    if not (ROOT / "recipes").is_dir():
        raise RecipeError("zoo bench works in a checkout of the project, where recipes/ and docs/ are")
    if arguments.what == "bands":
        for name in arguments.recipes or recipe_names():
            measure(name)
    write_cards()
    return 0


def recipe_names() -> list[str]:
    """All recipes of the project."""
    return sorted(file.stem for file in (ROOT / "recipes").glob("*.yaml"))


def measure(name: str) -> None:
    """Train a recipe on drawn data and append its metrics to `docs/results.csv`; says whether it reached what it expects."""
    from zoo.progress import say
    from zoo.report import judge
    from zoo.train import train

    begun = time.monotonic()
    run = train(ROOT / "recipes" / f"{name}.yaml", ["data.synthetic=always"])
    seconds = time.monotonic() - begun
    for metric, value in run.metrics.items():
        if "/" in metric and value is not None:  # None: there was nothing to measure, such as large boxes
            append(name, "synthetic", metric, float(value), seconds, f"run {run.folder.name}, {run.metrics['epochs']} epochs")
    for line in judge(run.metrics, run.recipe.expect.model_dump()["synthetic"]).lines:
        say(f"{name}: {line}")


def append(recipe: str, data: str, metric: str, value: float, seconds: float, note: str) -> None:
    """Add a measured number, with where and when, to `docs/results.csv`."""
    new = not RESULTS.is_file()
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(HEADER)
        digits = f"{value:.4f}" if abs(value) >= 0.1 else f"{value:.5f}"
        writer.writerow((recipe, data, metric, digits, f"{seconds:.0f}", time.strftime("%Y-%m-%d"), commit(), machine(), note))


def commit() -> str:
    """The commit measured, with a + where files were changed since."""
    done = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def machine() -> str:
    """What measured: cores, architecture, Python."""
    return f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}"


def results() -> list[Row]:
    """All rows of `docs/results.csv`."""
    if not RESULTS.is_file():
        return []
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def latest(name: str, data: str) -> dict[str, Row]:
    """Metric -> its newest row, for one recipe and kind of data."""
    return {row["metric"]: row for row in results() if row["recipe"] == name and row["data"] == data}


# ---------------------------------------------------------------- cards


def write_cards() -> None:
    """Write every recipe's card, and the table in the README."""
    CARDS.mkdir(exist_ok=True)
    for name in recipe_names():
        (CARDS / f"{name}.md").write_text(card(name), encoding="utf-8")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    begin, end = "<!-- recipes: made by `python -m zoo.bench cards` -->\n", "<!-- /recipes -->"
    before, _, rest = text.partition(begin)
    readme.write_text(f"{before}{begin}{table()}{end}{rest.partition(end)[2]}", encoding="utf-8")


def digest(name: str) -> str:
    """Of the recipe's text: a card that names another one is older than its recipe."""
    return hashlib.sha256((ROOT / "recipes" / f"{name}.yaml").read_bytes()).hexdigest()[:16]


def card(name: str) -> str:
    """A recipe's card: its head, our measured numbers against what it expects, the numbers of others."""
    path = ROOT / "recipes" / f"{name}.yaml"
    recipe = Recipe.read(path)
    head = path.read_text(encoding="utf-8").partition("\nquestion:")[0]
    lines = [f"# {name}", "", f"<!-- made by `python -m zoo.bench cards` from recipe {digest(name)} -->", ""]
    lines += ["```", *(line.removeprefix("# ").removeprefix("#") for line in head.rstrip().splitlines()), "```", ""]
    for kind, title in (("synthetic", "Drawn (synthetic) data"), ("real", "Real data")):
        lines += [f"## {title}", "", *_measured(latest(name, kind), getattr(recipe.expect, kind)), ""]
    if recipe.reference:
        lines += ["## What others report", "", "| metric | value | source | certainty |", "|---|---|---|---|"]
        lines += [f"| {one.metric} | {one.value:g} | {one.source} | {CERTAINTY[one.certainty]} |" for one in recipe.reference]
        lines += [""]
    lines += ["## Recipe", "", f"[recipes/{name}.yaml](../../recipes/{name}.yaml)"]
    return "\n".join(lines) + "\n"


def _measured(rows: Mapping[str, Row], expect: Mapping[str, Bound]) -> list[str]:
    if not rows and not expect:
        return ["Not measured: the data cannot be had here."]
    lines = ["| metric | expected | measured | date | commit | machine | note |", "|---|---|---|---|---|---|---|"]
    for metric in dict.fromkeys([*expect, *rows]):
        row, bound = rows.get(metric), expect.get(metric)
        facts = [row[key] for key in ("value", "date", "commit", "machine", "note")] if row else ["not yet", "", "", "", ""]
        lines.append(f"| {metric} | {span(bound) if bound else ''} | {' | '.join(facts)} |")
    return lines


def span(bound: Bound) -> str:
    """`at least 0.9`, `at most 2` or `0.5 to 0.7`."""
    return "any" if bound.min is None and bound.max is None else range_text(bound.min, bound.max)


def table() -> str:
    """The README's table: a row a recipe, drawn and real results in columns of their own."""
    lines = ["| recipe | question | on drawn data | on real data |", "|---|---|---|---|"]
    for name in recipe_names():
        recipe = Recipe.read(ROOT / "recipes" / f"{name}.yaml")
        cells = [_cell(latest(name, kind), recipe.monitor.metric, kind) for kind in ("synthetic", "real")]
        lines.append(f"| [{name}](docs/recipes/{name}.md) | {re.sub(r'[|]', '/', recipe.question)} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def _cell(rows: Mapping[str, Row], metric: str, kind: str) -> str:
    """A measured number, of the test part where there is one; for real data with what was read, which may stand in for the data set."""
    tested = f"test/{metric.partition('/')[2]}"
    metric = tested if tested in rows else metric
    if metric not in rows:
        return "not measured"
    row = rows[metric]
    return f"{metric} {row['value']}" + (f" ({row['note'].partition(',')[0]})" if kind == "real" else "")


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("bench", sys.argv[1:]))
