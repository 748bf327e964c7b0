"""The tables of a study's page: settings or cells with what they reach and cost, differences to the first, F1 by class, splits."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from zoo.pages.markup import Markup, amount, as_text, breakable, details, fixed, is_number, section, table_of, tag
from zoo.progress import clock
from zoo.studies import outcomes
from zoo.studies.classes import MOST_SETTINGS, PerClass, per_class
from zoo.studies.drawn import Drawn
from zoo.studies.findings import ranked
from zoo.studies.outcomes import Outcome
from zoo.studies.paired import Difference, interval

COSTS = {
    "parameters": "params",
    "macs": "MACs",
    "train_seconds": "training",
    "seconds": "time",
    "milliseconds": "a picture",
    "peak_megabytes": "memory",
    "epochs": "epochs",
}
"""What runs cost -> its head in the table."""
EXACT = ("parameters", "macs", "epochs")
"""Of these, what is equal in all cells needs no column."""
LEGEND = {
    "macs": "MACs: multiply-accumulates of a prediction for one picture.",
    "train_seconds": "Training: without the measuring after each epoch.",
    "milliseconds": "A picture: time of a prediction on the machine that trained.",
    "peak_megabytes": "Memory: the most that training took.",
}
SHADES = 8
"""Of a field with an F1 of 1."""
MOST_ROWS = 30
"""Classes that are shown unfolded."""


def results(drawn: Drawn) -> Markup:
    """A row for each setting, or for each cell where there is one seed: the best first."""
    everything = _ordered(drawn)
    shown, same = _shown(drawn, everything)
    told = " ".join(LEGEND[name] for name in shown if name in LEGEND)
    told += f" Equal in all: {', '.join(same)}." if same else ""
    single = len(drawn.plan.study.seeds) == 1
    spread = "" if single else "Mean ± standard deviation over the seeds. "
    lead = tag("p", f"{spread}A click on a head sorts. {told}".strip(), class_="lead")
    table = _cells(drawn, shown) if single else _settings(drawn, shown)
    rest = details(f"All numbers of the {len(drawn.cells)} cells", _cells(drawn, everything))
    return section("Cells" if single else "Settings", lead, table, rest, class_="wide")


def _ordered(drawn: Drawn) -> list[str]:
    """Names of all metrics: the deciding one first, then the same on test."""
    names = [name for name in outcomes.metric_names(drawn.cells) if name != "best_epoch"]
    first = [drawn.metric, drawn.tested]
    return sorted(names, key=lambda name: first.index(name) if name in first else len(first))


def _shown(drawn: Drawn, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The columns that compare settings, and costs that are equal in all cells, in words.

    Of the metrics that are measured on test and val the one on test, but for the deciding one; not the loss, whose scale is each loss's
    own; nor micro F1 where it is accuracy, as with one label a picture.
    """
    finished = [cell.metrics for cell in drawn.cells if cell.metrics]
    known = set(names)

    def compares(name: str) -> bool:
        part, _, leaf = name.partition("/")
        if name in (drawn.metric, drawn.tested):
            return True
        micro = leaf == "f1_micro" and all(cell.get(name) == cell.get(f"{part}/accuracy") for cell in finished)
        return bool(leaf) and leaf != "loss" and not micro and not (part == "val" and f"test/{leaf}" in known)

    costs = [name for name in COSTS if name in known and (name != "seconds" or "train_seconds" not in known)]
    same = [name for name in EXACT if name in costs and len(finished) > 1 and len({cell.get(name) for cell in finished}) == 1]
    return (
        [name for name in names if compares(name)] + [name for name in costs if name not in same],
        [f"{name.replace('macs', 'MACs')} {_written(finished[0][name], name)}" for name in same],
    )


def _cells(drawn: Drawn, names: Sequence[str]) -> Markup:
    """A row for each cell: the best first, then what is not finished."""
    sign = -1 if drawn.plan.monitor[1] == "max" else 1
    rows = []
    for cell in sorted(drawn.cells, key=lambda cell: sign * cell.metrics.get(drawn.metric, math.inf * sign)):
        finished = cell.state == "finished"
        name = tag("a", breakable(cell.id), href=f"{cell.id}/report.html") if finished else breakable(cell.id)
        state = {
            "failed": tag("small", "failed", class_="failed"),
            "begun": tag("small", "half trained"),
            "waiting": tag("small", "not begun"),
        }
        first = tag("td", name, " ", state.get(cell.state, ""), data_value=cell.id, class_="first" if _leads(drawn, cell) else "")
        rows.append(tag("tr", first, *(_numeric(cell.metrics.get(metric), metric) for metric in names)))
    return _sortable(["cell", *names], rows, *_deciding(drawn))


def _settings(drawn: Drawn, names: Sequence[str]) -> Markup:
    """A row for each setting: the best first; with a column of seeds where some have fewer than others."""
    rows, uneven = [], len({len(score.values) for score in drawn.scores}) > 1
    for score in ranked(drawn.scores, drawn.plan.monitor[1]):
        cells = drawn.of(score.name)
        leads = score.name == drawn.found.leader
        cols = [tag("td", breakable(score.name), data_value=score.name, class_="first" if leads else "")]
        cols += [_numeric(len(cells), "seeds")] if uneven else []
        for name in names:
            values = [float(cell.metrics[name]) for cell in cells if name in cell.metrics]
            spread = statistics.stdev(values) if len(values) > 1 and "/" in name else None
            cols.append(_numeric(statistics.fmean(values) if values else None, name, spread))
        rows.append(tag("tr", *cols))
    return _sortable(["setting", *(["seeds"] if uneven else []), *names], rows, *_deciding(drawn))


def _deciding(drawn: Drawn) -> tuple[str, str]:
    return drawn.metric, "descending" if drawn.plan.monitor[1] == "max" else "ascending"


def _leads(drawn: Drawn, cell: Outcome) -> bool:
    return cell.state == "finished" and drawn.names[cell.key] == drawn.found.leader


def _numeric(value: float | None, name: str, spread: float | None = None) -> Markup:
    if value is None:
        return tag("td", "–", class_="number", data_value="")
    text, around = _written(value, name), Markup()
    if spread is not None:  # below the number, that costs have room beside it; of both what seeds leave of the digits
        digits = 3 if abs(value) < 10 else 2
        text, around = fixed(value, digits), tag("small", f" ± {fixed(spread, digits)}", class_="under")
    return tag("td", text, around, class_="number", data_value=repr(float(value)))


def _written(value: float, name: str) -> str:
    """A number with its unit."""
    if "/" in name:
        return fixed(value, 4 if abs(value) < 10 else 3)
    if name in ("seconds", "train_seconds"):
        return clock(value)
    if name == "milliseconds":
        return f"{value:,.1f} ms"
    if name in ("megabytes", "peak_megabytes"):
        return f"{amount(value * 1e6)}B"
    return amount(value) if name in ("parameters", "macs") else f"{value:,.0f}"


def _sortable(header: Sequence[str], rows: Sequence[Markup], by: str, order: str) -> Markup:
    """A table whose rows stand in this order by one of its columns."""
    heads = [
        tag(
            "th",
            breakable(COSTS.get(name, name)),
            scope="col",
            class_="number" if place else "",
            aria_sort=order if name == by else "none",
        )
        for place, name in enumerate(header)
    ]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="sortable")
    return tag("div", table, class_="scroll", tabindex="0")


# ---------------------------------------------------------------- differences


def differences(drawn: Drawn) -> Markup:
    """How far each setting lies from the first, with an interval over the seeds."""
    if drawn.splits == "mixed":
        return Markup()
    names = [drawn.metric, drawn.tested, *(f"{part}/f1_macro" for part in ("val", "test"))]
    columns = {name: drawn.differences(name) for name in dict.fromkeys(names)}
    first = columns[drawn.metric][0]
    known = {name: {one.name: one for one in found} for name, (_, found) in columns.items() if found}
    if not any(one.seeds > 1 for one in known.get(drawn.metric, {}).values()):
        return Markup()
    rows = []
    for score in ranked(drawn.scores, drawn.plan.monitor[1]):
        if score.name in known[drawn.metric]:
            found = [column.get(score.name) for column in known.values()]
            head = tag("td", breakable(score.name), data_value=score.name)
            rows.append(tag("tr", head, _numeric(known[drawn.metric][score.name].seeds, "seeds"), *map(_difference, found)))
    lead = (
        f"Setting minus {first}, each seed’s run against the same seed’s: the mean, and its 95 % interval over the seeds (Student’s t). "
        "Bold: the interval leaves 0 out. Each stands for itself: of twenty that hold nothing, one does so by chance."
    )
    table = _sortable(["setting", "seeds", *known], rows, *_deciding(drawn))
    return section(f"Differences to {first}", tag("p", lead, class_="lead"), table, class_="wide")


def _difference(found: Difference | None) -> Markup:
    if found is None:
        return tag("td", "–", class_="number", data_value="")
    around = tag("small", f" {interval(found) or 'no interval'}")
    mean = f"{found.mean:+.3f}"
    return tag("td", tag("b", mean) if found.told else mean, around, class_="number", data_value=repr(found.mean))


# ---------------------------------------------------------------- classes


def classes(drawn: Drawn) -> Markup:
    """F1 of each class under each setting, the class with most training pictures first."""
    found = per_class(drawn)
    if found is None:
        return Markup()
    counts, counted = (found.trained, "to train on") if found.trained else (found.pictures, f"in {found.part}")
    labels = sorted(found.pictures, key=lambda label: -counts.get(label, 0))
    heads = ["class", *dict.fromkeys([counted, f"in {found.part}"]), *found.f1]
    rows = [_class_row(found, label) for label in labels]
    table = _sortable(heads, rows, counted, "descending")
    several = len(drawn.plan.study.seeds) > 1
    told = f"On the pictures of “{found.part}”{', mean ± standard deviation over the seeds' if several else ''}; the more blue, the better."
    told += f" The {MOST_SETTINGS} best settings." if len(drawn.scores) > MOST_SETTINGS else ""
    shown = table if len(labels) <= MOST_ROWS else details(f"{len(labels)} classes", table)
    return section("F1 of each class", tag("p", told, class_="lead"), shown, class_="wide")


def _class_row(found: PerClass, label: str) -> Markup:
    counts = [found.trained.get(label)] if found.trained else []
    columns = [_numeric(count, "pictures") for count in [*counts, found.pictures[label]]]
    columns += [_shaded(found.score(setting, label)) for setting in found.f1]
    return tag("tr", tag("td", breakable(label), data_value=label), *columns)


def _shaded(score: tuple[float, float | None] | None) -> Markup:
    """A mean F1 with its spread, the more blue the nearer to 1."""
    if score is None:
        return tag("td", "–", class_="number", data_value="")
    mean, spread = score
    around = tag("small", f" ± {spread:.3f}") if spread is not None else ""
    shade = round(SHADES * min(max(mean, 0), 1))
    return tag("td", f"{mean:.3f}", around, class_=f"number shade{shade}", data_value=repr(mean))


# ---------------------------------------------------------------- splits


def splits(drawn: Drawn) -> Markup:
    """How the settings divide the pictures, side by side, where an axis changes it."""
    if drawn.splits != "apart":
        return Markup()
    parts = list(dict.fromkeys(part for cell in drawn.cells for part in cell.sizes))
    rows: list[list[Any]] = []
    seen: set[str] = set()
    for cell in drawn.cells:
        if cell.fingerprint and cell.fingerprint not in seen:
            seen.add(cell.fingerprint)
            sizes = [size if is_number(size := cell.sizes.get(part)) else "" for part in parts]
            notes = cell.split.get("notes")
            said = "; ".join(map(str, notes[:20])) if isinstance(notes, list) else ""
            rows.append([drawn.names[cell.key], as_text(cell.split.get("by") or "nothing"), *sizes, said or "–"])
    lead = (
        "A split that keeps related pictures together (of one video, one person) measures what new ones would give. One that does not "
        "lets the model meet them again, and reads higher for it: a difference between the measurements, not between models."
    )
    return section("Splits side by side", tag("p", lead, class_="lead"), table_of(["setting", "kept together by", *parts, "notes"], rows))
