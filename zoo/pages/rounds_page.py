"""The page of a replay: accuracy against labels, and how many labels each strategy needs. One file, which needs no network."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

from zoo.curation.rounds import Cell, Plan, curves, interval, needs
from zoo.errors import shown
from zoo.figures.budgets import budget_curves
from zoo.figures.style import save
from zoo.metrics.label_cost import Cost
from zoo.pages import markup
from zoo.pages.markup import Markup, details, drawn_badge, embedded, section, table_of, tag

_STYLE = ".curves { display: block; max-width: 100%; height: auto; margin: 0 auto; }"


def page(plan: Plan, cells: Sequence[Cell]) -> str:
    """The whole page of the rounds that `zoo.curation.rounds.play` gave."""
    style = markup.shared_style() + _STYLE
    name = shown(plan.recipe.name)
    found, lines = needs(plan, cells), curves(plan, cells)
    badge = drawn_badge("No result on real pictures.") if plan.recipe.synthetic else ""
    top = tag("header", tag("p", f"zoo mine --replay · {name}", class_="name"), tag("h1", headline(found)), badge)
    main = tag("main", top, _curves(plan, lines), _needed(plan, found), _rounds(plan, lines), _how(plan))
    return markup.page(f"Replay · {name}", style, main, tag("footer", "Drawn by zoo mine."))


def headline(found: Mapping[str, Cost]) -> str:
    """The strategy with the fewest labels, if its interval lies below random's; else that none is shown to spare any."""
    shares = {name: interval(cost.shares) for name, cost in found.items() if name != "random" and not cost.missed}
    if not found:
        return "No seed is finished yet"
    if set(found) == {"random"}:
        return "Only random choice was played: there is nothing to compare it with"
    if not shares:
        return "No strategy reaches in every seed what random choice reaches"
    best = min(shares, key=lambda name: shares[name][0])
    mean, low, high = shares[best]
    if math.isnan(high):
        return f"{best} needs {mean:.0%} of random’s labels, with one seed: another may say otherwise"
    if high >= 1:
        return f"Not shown that labels are spared: {best} needs {mean:.0%} of random’s, 95% interval {low:.0%} to {high:.0%}"
    return f"{best} needs {mean:.0%} of the labels that random choice needs, 95% interval {low:.0%} to {high:.0%}"


def _curves(plan: Plan, lines: Mapping[tuple[str, int], Sequence[float]]) -> Markup:
    file = io.BytesIO()
    save(budget_curves(plan.budgets, _bands(plan, lines)), file)
    image = tag("img", src=embedded(file.getvalue()), alt="accuracy against labels for each strategy", class_="curves", width=420)
    many = f"Means over {plan.seeds} seeds with their 95% intervals (Student’s)." if plan.seeds > 1 else "One seed: no interval is known."
    lead = f"{many} The dotted line is what random choice reaches with {plan.end:,} labels."
    return section("Accuracy against labels", tag("p", lead, class_="lead"), tag("div", image, class_="sheet"))


def _bands(plan: Plan, lines: Mapping[tuple[str, int], Sequence[float]]) -> dict[str, list[tuple[float, float, float]]]:
    """Strategy -> (mean, low, high) at each budget, of the seeds that are finished."""
    own = {name: [line for (other, _), line in lines.items() if other == name] for name in plan.strategies}
    return {name: [interval(values) for values in zip(*many, strict=True)] for name, many in own.items() if many}


def _needed(plan: Plan, found: Mapping[str, Cost]) -> Markup:
    rows = []
    for name, cost in found.items():
        least = "at least " if cost.missed else ""
        labels, shares = interval(cost.labels), interval(cost.shares)
        reached = f"{len(cost.needed) - cost.missed} of {len(cost.needed)}"
        cells = (f"{least}{labels[0]:,.0f}", _ends(cost, *labels[1:], 1), f"{least}{shares[0]:.0%}", _ends(cost, *shares[1:], 100))
        rows.append((name, *cells, reached))
    header = ("strategy", "labels", "95% interval", "of random’s", "95% interval", "seeds that get there")
    lead = f"For the accuracy that random choice reaches with {plan.end:,} labels in the same seed. Shares are paired by seed."
    if any(cost.missed for cost in found.values()):
        lead += f" A seed that does not get there counts with {plan.end:,} labels, which is too few: such means are lower bounds."
    seeds = [(name, *(f"over {plan.end:,}" if need is None else f"{need:,.0f}" for need in cost.needed)) for name, cost in found.items()]
    most = max((len(cost.needed) for cost in found.values()), default=0)
    each = details("By seed", table_of(("strategy", *(f"seed {number + 1}" for number in range(most))), seeds, bars=False))
    return section("Labels needed", tag("p", lead, class_="lead"), table_of(header, rows, bars=False), each)


def _ends(cost: Cost, low: float, high: float, factor: float) -> str:
    """An interval as text; none where a bound or a single seed leaves it unknown."""
    if cost.missed or math.isnan(low):
        return "unknown"
    if low == high:
        return "–"  # random choice, held against itself
    return f"{factor * low:,.0f} to {factor * high:,.0f}{'%' if factor == 100 else ''}"


def _rounds(plan: Plan, lines: Mapping[tuple[str, int], Sequence[float]]) -> Markup:
    bands = _bands(plan, lines)
    rows = [(labels, *(f"{points[place][0]:.4f}" for points in bands.values())) for place, labels in enumerate(plan.budgets)]
    table = table_of(("labels", *bands), rows, bars=False)
    return section("Accuracy in each round", details("Means over the seeds, round by round; every training is in replay.csv", table))


def _how(plan: Plan) -> Markup:
    notes = (
        f"Labels are revealed in rounds: {plan.begin:,} drawn at random, in a seed the same for all, then {plan.step:,} a round.",
        "After each round a network is trained from the start with as many steps as in every other round.",
        "Labels needed are read off the rising line nearest to the accuracies (isotonic regression), linear between rounds: "
        "single trainings scatter by more than a round brings.",
    )
    return section("How it was played", tag("ul", *(tag("li", note) for note in notes)))
