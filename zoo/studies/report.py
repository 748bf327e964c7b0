"""Draw a study's `report.html` and `results.csv` from its cells' folders: one file that says which setting is best, if any, and why.

The page needs no network. Its one script sorts tables, and its content policy lets no other run; without it the tables stand sorted by
the monitored metric. All that is read here counts as text from a stranger and is escaped by construction (`zoo.pages.markup`).
"""

from __future__ import annotations

import io
import math
import shlex
import statistics
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import facts
from zoo.files import write_bytes
from zoo.pages import markup
from zoo.pages.markup import Markup, as_text, breakable, details, drawn_badge, embedded, section, tag
from zoo.progress import clock
from zoo.report import reference_item
from zoo.studies import outcomes, tables
from zoo.studies.classes import balances
from zoo.studies.drawn import Drawn, gathered
from zoo.studies.findings import effects, ranked
from zoo.studies.locks import alone
from zoo.studies.outcomes import Outcome
from zoo.studies.paired import answer
from zoo.studies.pictures import WIDE, Gallery, Tile, gallery
from zoo.studies.plan import Plan, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_STRIPS = 30
"""Settings whose pictures are shown, best first."""
_SORT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const value = (row, column) => row.cells[column].dataset.value ?? "";
  table.querySelectorAll("th").forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.ariaSort !== "descending";
      table.querySelectorAll("th").forEach((other) => { other.ariaSort = "none"; });
      head.ariaSort = down ? "descending" : "ascending";
      const rows = [...table.tBodies[0].rows].sort((one, other) => {
        const a = value(one, column), b = value(other, column);
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}
"""


def write_report(plan: Plan) -> Path:
    """Write `report.html` and `results.csv` into the study's folder; returns the report's path."""
    drawn = gathered(plan)
    best = [drawn.of(score.name)[0] for score in ranked(drawn.scores, plan.monitor[1])]
    folder = plan.study.folder
    text = page(drawn, gallery(best[:MOST_STRIPS])).encode("utf-8", "replace")
    with alone(folder):
        outcomes.write_table(drawn.cells, folder / "results.csv")
        write_bytes(folder / "report.html", text)
    return folder / "report.html"


def page(drawn: Drawn, shown: Gallery) -> str:
    """The whole page."""
    style = markup.shared_style() + Path(__file__).with_name("study.css").read_text(encoding="utf-8")
    title = drawn.plan.study.question or drawn.plan.study.name
    parts = (
        *(_hero(drawn, title), _figures(drawn), tables.results(drawn), tables.differences(drawn), tables.splits(drawn), _balance(drawn)),
        *(tables.classes(drawn), _pictures(drawn, shown), _failures(drawn), _references(drawn), _notes(drawn, shown)),
    )
    command = tag("code", shlex.join(["python", "-m", "zoo.study", str(drawn.plan.study.file), *drawn.plan.words, "--report"]))
    footer = tag("footer", "Drawn by zoo from the folders of the cells. To draw it again: ", command)
    return markup.page(f"{title} · {drawn.plan.study.name}", style, tag("main", *parts, _files(drawn)), footer, script=_SORT)


# ---------------------------------------------------------------- the answer


def _hero(drawn: Drawn, title: str) -> Markup:
    study = drawn.plan.study
    badge = drawn_badge("These numbers say that the code works, nothing about real pictures.")
    return tag(
        "header",
        tag("p", f"study {study.name} · base recipe {study.base_name}", class_="name"),
        tag("h1", title),
        badge if drawn.plan.synthetic else "",
        tag("section", tag("p", drawn.found.sentence, class_="said"), _told(drawn), class_="card hero"),
    )


def _told(drawn: Drawn) -> Markup:
    """What belongs to the answer: how it was measured, what it reaches on test, what each axis does, what is missing."""
    part, leader = drawn.metric.partition("/")[0], drawn.of(drawn.found.leader)
    lines = []
    if drawn.splits != "mixed" and (said := answer(*drawn.differences(drawn.metric), *drawn.plan.monitor, drawn.splits == "apart")):
        lines.append(said)
    if leader:
        many = leader[0].sizes.get(part)
        pictures = f"the {many} pictures of “{part}”" if isinstance(many, int) else f"“{part}”"
        lines.append(f"Measured on {pictures}, which also chose the best epoch of each cell: an optimistic number.")
        if tested := _tested(leader, drawn.tested):
            lines.append(f"On pictures that chose nothing, {drawn.found.leader} reaches {tested}.")
    lines += effects({drawn.names[cell.key]: cell.setting for cell in drawn.cells}, drawn.scores, drawn.metric)
    warning = (
        tag("p", "THE CELLS WERE MEASURED ON DIFFERENT SPLITS: their figures cannot be compared.", class_="failed")
        if drawn.splits == "mixed"
        else ""
    )
    return Markup(
        "".join([tag("p", _count(drawn), class_="count"), warning, tag("ul", *(tag("li", line) for line in lines)) if lines else ""])
    )


def _tested(cells: Sequence[Outcome], name: str) -> str:
    values = [cell.metrics[name] for cell in cells if name in cell.metrics]
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{name} {statistics.fmean(values):.4g}{spread}"


def _count(drawn: Drawn) -> str:
    states = [cell.state for cell in drawn.cells]
    study = drawn.plan.study
    total = max(len(states), study.settings * len(study.seeds))
    seconds = sum(cell.metrics.get("seconds", 0.0) for cell in drawn.cells)
    missing = {
        "failed": states.count("failed"),
        "half trained": states.count("begun"),
        "not begun": total - len(states) + states.count("waiting"),
    }
    rest = "".join(f", {count} {word}" for word, count in missing.items() if count)
    seeds = f"seeds {', '.join(map(str, study.seeds))}" if len(study.seeds) > 1 else f"seed {study.seeds[0]}"
    return f"{states.count('finished')} of {total} cells finished{rest}; {seeds}; {clock(seconds)} of training."


# ---------------------------------------------------------------- figures


def _figures(drawn: Drawn) -> Markup:
    cards = [_map(drawn), _effects(drawn), _curves(drawn)] if drawn.scores else [_curves(drawn)]
    return tag("div", *cards, class_="exhibits")


def _card(title: str, caption: str, figure: Figure) -> Markup:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    width, height = struct.unpack(">II", content.getvalue()[16:24])
    image = tag("img", src=embedded(content.getvalue()), alt=f"{title}. {caption}", width=width // 2, height=height // 2)
    sheet = tag("div", image, class_="sheet", tabindex="0")
    return tag(
        "figure", tag("figcaption", tag("h2", title), tag("p", caption)), sheet, class_=f"card {'wide' if width > 1100 else ''}".strip()
    )


def _map(drawn: Drawn) -> Markup:
    """The first two axes, where both have names; of more axes the best over the others."""
    axes = [axis for axis in drawn.plan.study.axes if axis.values][:2]
    if len(axes) < 2:
        return Markup()
    from zoo.figures.heatmap import heat_map

    rows, columns = (list(axis.values) for axis in axes)
    values = [[math.nan] * len(columns) for _ in rows]
    spreads = [[math.nan] * len(columns) for _ in rows]
    fields: dict[tuple[int, int], str] = {}
    settings = {drawn.names[cell.key]: cell.setting for cell in drawn.cells}
    for score in reversed(ranked(drawn.scores, drawn.plan.monitor[1])):  # the best is written last
        setting = settings[score.name]
        field = rows.index(setting[axes[0].name]), columns.index(setting[axes[1].name])
        values[field[0]][field[1]], fields[field] = score.mean, score.name
        spreads[field[0]][field[1]] = math.nan if score.spread is None else score.spread
    best = next((field for field, name in fields.items() if name == drawn.found.leader), None)
    near = [field for field, name in fields.items() if name in drawn.found.near]
    figure = heat_map(values, rows, columns, (axes[0].name, axes[1].name), spreads, best, near, drawn.plan.monitor[1])
    superlative = "highest" if drawn.plan.monitor[1] == "max" else "lowest"
    words = ["★ the best." if drawn.found.claimed else f"★ the {superlative} value."] if best else []
    words += ["Dashed frames: cannot be told from it."] if near else []
    words += ["± standard deviation over the seeds."] if any(score.spread is not None for score in drawn.scores) else []
    words += ["Each field is the best over the other axes."] if len(drawn.plan.study.axes) > 2 else []
    return _card(f"{drawn.metric} by {axes[0].name} and {axes[1].name}", " ".join(words), figure)


def _effects(drawn: Drawn) -> Markup:
    """A panel for each axis, unless the heat map says it all."""
    axes = drawn.plan.study.axes
    if len(axes) == 2 and all(axis.values for axis in axes):
        return Markup()
    from zoo.figures.compared import Effect, axis_panels

    cells = [cell for cell in drawn.cells if drawn.metric in cell.metrics]
    values = [cell.metrics[drawn.metric] for cell in cells]
    found = [Effect(axis.name, [cell.setting[axis.name] for cell in cells], values, axis.log) for axis in axes]
    best = (max if drawn.plan.monitor[1] == "max" else min)(range(len(values)), key=values.__getitem__)
    figure = axis_panels(found, drawn.metric, best if drawn.splits == "one" else None)
    star = "; ★ the best cell" if drawn.splits == "one" else ""
    return _card(f"{drawn.metric} by axis", f"A point for each cell; bars are means of named values{star}.", figure)


def _curves(drawn: Drawn) -> Markup:
    from zoo.figures.compared import Curve, compared_curves

    axes = drawn.plan.study.axes
    panels: dict[str, list[Curve]] = {drawn.metric: [], "train/loss": []}
    for cell in drawn.cells:
        colour, *rest = words(cell.setting)
        for title, curves in panels.items():
            points = [
                (epoch, value)
                for row in cell.history
                if (epoch := facts.number(row.get("epoch"))) and (value := _value(row, title)) is not None
            ]
            curves.append(Curve(colour, " + ".join(rest), points))
    if not any(curve.points for curve in panels[drawn.metric]):
        return Markup()
    figure = compared_curves(panels, (axes[0].name, " + ".join(axis.name for axis in axes[1:])))
    return _card("Training", "A line for each cell. Losses of different kinds have different scales.", figure)


def _balance(drawn: Drawn) -> Markup:
    """The classes before and after, where cells differ in how they balance them."""
    from zoo.figures.balance import MOST, balance_panels

    found = balances(drawn)
    if found is None:
        return Markup()
    caption = "Grey: pictures of each class in the training part. Blue: how many an epoch sees, times the class’s weight in the loss."
    caption += f" The {MOST // 2} most and the {MOST // 2} least frequent classes." if len(found.labels) > MOST else ""
    return _card("Classes before and after balancing", caption, balance_panels(found.labels, found.before, found.after))


def _value(row: Mapping[str, Any], name: str) -> float | None:
    return facts.number(row.get(name))


# ---------------------------------------------------------------- pictures, words


def _pictures(drawn: Drawn, gallery: Gallery) -> Markup:
    """A row for each setting, a column for each picture."""
    if not gallery.strips:
        return Markup()
    heads = [tag("th", tag("small", breakable(name)), label, scope="col") for name, label in gallery.heads]
    cells = {cell.id: cell for cell in drawn.cells}
    rows = []
    for name, tiles in gallery.strips.items():
        value = cells[name].metrics.get(drawn.metric)
        first = tag(
            "td",
            tag("a", breakable(name), href=f"{name}/report.html"),
            tag("small", tag("br"), breakable(drawn.metric), " ", as_text(value)),
        )
        columns = zip(tiles, gallery.heads, strict=True)
        rows.append(tag("tr", first, *(_tile(tile, f"{name}: {head[0]}", gallery.width) for tile, head in columns)))
    style = "tiles wall" if gallery.width < WIDE else "tiles"
    table = tag("table", tag("thead", tag("tr", tag("th", "cell", scope="col"), *heads)), tag("tbody", *rows), class_=style)
    more = f" The {MOST_STRIPS} best settings of {len(drawn.scores)}." if len(drawn.scores) > MOST_STRIPS else ""
    seeds = " Of each setting the cell of one seed." if len(drawn.plan.study.seeds) > 1 else ""
    lead = tag("p", f"{gallery.caption} Best cells first.{seeds}{more}", class_="lead")
    return section(gallery.title, lead, tag("div", table, class_="scroll", tabindex="0"), class_="wide")


def _tile(tile: Tile, alt: str, wide: int) -> Markup:
    width, height = struct.unpack(">II", tile.png[16:24])
    image = tag("img", src=embedded(tile.png), alt=f"{alt} {tile.said}".strip(), width=wide, height=round(wide * height / width))
    mark = {True: "✓ ", False: "✗ ", None: ""}[tile.right]
    colour = {True: "right", False: "wrong", None: ""}[tile.right]
    return tag("td", image, tag("span", f"{mark}{tile.said}", class_=colour) if tile.said else "")


def _failures(drawn: Drawn) -> Markup:
    failed = [cell for cell in drawn.cells if cell.state == "failed"]
    if not failed:
        return Markup()
    items = [
        tag("li", tag("b", breakable(cell.id)), ": ", cell.error, " ", tag("a", "output", href=f"logs/{cell.id}.log")) for cell in failed
    ]
    lead = tag("p", "The others went on. ", tag("code", "--retry"), " tries these again.", class_="lead")
    return section("Failed cells", lead, tag("ul", *items))


def _references(drawn: Drawn) -> Markup:
    rows = [reference.model_dump(mode="json") for reference in drawn.plan.recipe.reference]
    if not rows:
        return Markup()
    text = "Reported by others, on real data, with their own split and code"
    text += ". This study read drawn data: the numbers cannot be compared." if drawn.plan.synthetic else "; a direction, not a target."
    return section("Others’ numbers", tag("p", text, class_="lead"), tag("ul", *map(reference_item, rows), class_="references"))


def _notes(drawn: Drawn, shown: Gallery) -> Markup:
    left = outcomes.strangers(drawn.plan)
    notes = [*shown.notes, *([f"cells of an earlier form of the study: {', '.join(left)}"] if left else [])]
    return section("Not in this report", tag("ul", *(tag("li", note) for note in notes)), class_="missing") if notes else Markup()


def _first_recipe(drawn: Drawn) -> str:
    """As it was trained: perhaps with changes on a command line that are not given again for the page."""
    kept = [file for cell in drawn.cells if (file := cell.folder / "recipe.yaml").is_file()]
    return kept[0].read_text(encoding="utf-8", errors="replace") if kept else drawn.plan.recipe.to_yaml()


def _files(drawn: Drawn) -> Markup:
    plan = drawn.plan
    recipe = tag("pre", tag("code", _first_recipe(drawn)), tabindex="0")
    study = tag("pre", tag("code", plan.study.text), tabindex="0")
    words = tag("p", "Changed on the command line: ", tag("code", " ".join(plan.words)), class_="lead") if plan.words else ""
    return section(
        "Study", words, details(f"{plan.study.name}.yaml", study), details("Recipe of the first cell, with every default", recipe)
    )
