"""The page of a run's errors: what to collect next, the most confused pairs of classes, and a gallery of each. One file, no network."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.curation import mining
from zoo.datasets.pictures import jpeg
from zoo.errors import shown
from zoo.pages import markup
from zoo.pages.markup import Markup, drawn_badge, embedded, section, table_of, tag

if TYPE_CHECKING:
    from zoo.curation.mining import Pair, Wanted
    from zoo.datasets.source import Record, Source

SIDE = 128
"""Pixels of a picture on the page."""
LISTED = 10
"""Classes to collect and rows of the table."""
_STYLE = """
a { color: var(--blue); }
ol { margin: 0; padding-left: 1.5em; } .next li { margin: 6px 0; }
.five { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 8px; }
.five img { display: block; width: 100%; height: auto; aspect-ratio: 1; object-fit: contain; background: var(--track); border-radius: 6px; }
.five figcaption { color: var(--soft); font-size: .74rem; text-align: center; }
.command { padding: 10px 12px; border-radius: 8px; background: var(--calm-back); white-space: pre-wrap; overflow-wrap: anywhere; }
.whole { white-space: nowrap; }
"""


@dataclass(frozen=True)
class Seen:
    """What a model said of some records; all lists have the same order.

    Attributes:
        records: of the part that was looked at.
        truth, said: class indices.
        sure: the probability of what was said.
        labels: class index -> name.
    """

    records: Sequence[Record]
    truth: Sequence[int]
    said: Sequence[int]
    sure: Sequence[float]
    labels: Sequence[str]

    def name(self, place: int) -> str:
        """A class as it is shown."""
        return shown(self.labels[place])


def page(seen: Seen, source: Source, run: str, part: str, synthetic: bool) -> str:
    """The whole page.

    Args:
        seen: by the model.
        source: of the records, to read what is shown.
        run: as the person named it.
        part: of the data.
        synthetic: whether the data were drawn.
    """
    wanted, pairs = mining.collect_next(seen.truth, seen.said, seen.labels), mining.galleries(seen.truth, seen.said, seen.sure)
    errors = sum(one.errors for one in wanted)
    headline = f"{errors:,} of {len(seen.truth):,} pictures of {part} are taken for another class" if errors else ""
    style = markup.shared_style() + _STYLE
    badge = drawn_badge("These pictures stand in for real ones.") if synthetic else ""
    title = tag("h1", headline or f"None of {len(seen.truth):,} pictures of {part} is taken for another class")
    top = tag("header", tag("p", f"zoo mine · {shown(run)}", class_="name"), title, badge)
    shelves = tag("div", *(_gallery(seen, source, number, pair) for number, pair in enumerate(pairs)), class_="exhibits")
    body = tag("main", top, _next(seen, wanted, pairs), _loop(run), shelves, _table(seen))
    return markup.page(f"Errors · {shown(run)}", style, body, tag("footer", "Drawn by zoo mine."))


def _next(seen: Seen, wanted: Sequence[Wanted], pairs: Sequence[Pair]) -> Markup:
    """The list to follow; a class whose gallery is on the page is a link to it."""
    if not wanted:
        return Markup()
    places = {(seen.labels[pair.truth], seen.labels[pair.said]): number for number, pair in reversed(list(enumerate(pairs)))}
    items = []
    for one in wanted[:LISTED]:
        number = places.get((one.label, one.taken_for))
        ask = shown(one.ask) if number is None else tag("a", f"{shown(one.ask)} that looks like these", href=f"#pair-{number}")
        items.append(tag("li", ask, f": {shown(one.why)}"))
    more = f" The first {LISTED} of {len(wanted):,} classes; all are in collect_next.csv." if len(wanted) > LISTED else ""
    lead = tag("p", f"Classes with most errors first.{more}", class_="lead")
    return section("Collect next", lead, tag("ol", *items), class_="next")


def _loop(run: str) -> Markup:
    """How the list becomes pictures with labels."""
    command = shlex.join(["python", "-m", "zoo.mine", shown(run)])
    return section(
        "How to go on",
        tag("p", "Record what is missing, or rank a folder of pictures without labels and label the first of them:", class_="lead"),
        tag("pre", f"{command} ", tag("span", "--pool FOLDER", class_="whole"), class_="command"),
    )


def _gallery(seen: Seen, source: Source, number: int, pair: Pair) -> Markup:
    def tile(row: int) -> Markup:
        record = seen.records[row]
        name = shown(record.id)
        image = tag("img", src=embedded(jpeg(source.read(record)[0], SIDE), "jpeg"), alt=name, title=name)
        return tag("figure", image, tag("figcaption", f"{seen.sure[row]:.0%}"))

    total = sum(one == pair.truth for one in seen.truth)
    title = f"{seen.name(pair.truth)} taken for {seen.name(pair.said)}: {pair.errors:,} of {total:,}"
    shown_rows = f" The first {len(pair.rows)} are shown." if len(pair.rows) < pair.errors else ""
    lead = tag("p", f"With how sure the model was, surest first.{shown_rows}", class_="lead")
    return tag("div", section(title, lead, tag("div", *map(tile, pair.rows), class_="five")), id=f"pair-{number}")


def _table(seen: Seen) -> Markup:
    """Pairs of classes with their errors."""
    pairs = mining.confused(seen.truth, seen.said)
    if not pairs:
        return Markup()
    rows = [(seen.name(one), seen.name(other), count) for (one, other), count in pairs[: 2 * LISTED]]
    more = f"The first {len(rows)} of {len(pairs):,}; all are in confused.csv." if len(rows) < len(pairs) else "All pairs with errors."
    return section("Confused pairs", tag("p", more, class_="lead"), table_of(("truth", "taken for", "errors"), rows, bars=False))
