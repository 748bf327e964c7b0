"""The doctor's page: what was found in numbers, what to do next, and a gallery for each kind. One file, which needs no network."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from zoo.datasets.pictures import jpeg
from zoo.errors import shown
from zoo.pages import markup
from zoo.pages.markup import Markup, breakable, drawn_badge, embedded, section, table_of, tag

if TYPE_CHECKING:
    from zoo.curation.diagnosis import Copy, Diagnosis
    from zoo.datasets.amended import Row
    from zoo.datasets.source import Record, Source

MOST = 40
"""Pictures, or pairs of them, of a gallery."""
SIDE = 144
"""Pixels of a picture on the page."""
KINDS = {
    "blurred": "Blurred",
    "dark": "Dark",
    "bright": "Bright",
    "small": "Small",
    "large": "Large",
    "tall": "Tall",
    "wide": "Wide",
}
_STYLE = """
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(136px, 1fr)); gap: 14px 12px; align-items: start; }
.gallery.two { grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); }
.tile { margin: 0; min-width: 0; font-size: .8rem; line-height: 1.35; }
.tile .sides { display: grid; grid-template-columns: 1fr 1fr; gap: 6px; }
.tile img { display: block; width: 100%; height: auto; aspect-ratio: 1; object-fit: contain; background: var(--track); border-radius: 6px; }
.tile b { display: block; margin-top: 4px; } .tile small { display: block; color: var(--soft); font-size: .74rem; }
.tile .to { color: var(--bad); }
.tile .out { display: inline-block; padding: 0 6px; border-radius: 6px; background: var(--bad-back); color: var(--bad); }
.command { padding: 10px 12px; border-radius: 8px; background: var(--calm-back); white-space: pre-wrap; overflow-wrap: anywhere; }
.balance { display: block; max-width: 100%; height: auto; margin: 0 auto; }
.badge + .card { margin-top: 16px; }
"""


def page(found: Diagnosis, source: Source, rows: Sequence[Row], command: Sequence[str], name: str, synthetic: bool) -> str:
    """The whole page.

    Args:
        found: by `zoo.curation.diagnosis`.
        source: of the records, to read what is shown.
        rows: the quarantine.
        command: words that train without it.
        name: of the recipe.
        synthetic: whether the data were drawn.
    """
    style = markup.shared_style() + _STYLE
    badge = drawn_badge("These pictures stand in for real ones.") if synthetic else ""
    top = tag("header", tag("p", f"zoo doctor · {name}", class_="name"), tag("h1", _headline(found, rows)), badge)
    out = {row.id for row in rows}
    parts = (_summary(found, rows), _next(rows, command), *_copies(found, source, out), _labels(found, source, out))
    rest = (_bad(found), _balance(found), *_outliers(found, source), _notes(found))
    footer = tag("footer", "Drawn by zoo doctor. Nothing was changed in the data.")
    return markup.page(f"Doctor · {name}", style, tag("main", top, *parts, *rest), footer)


def _headline(found: Diagnosis, rows: Sequence[Row]) -> str:
    if not rows:
        doubts = f", but {len(found.issues):,} labels are doubted" if found.issues else ""
        return f"Nothing in {len(found.records):,} pictures that training should leave out{doubts}"
    return f"{len(rows):,} of {len(found.records) + len(found.bad_records):,} pictures should be looked at before training"


def _summary(found: Diagnosis, rows: Sequence[Row]) -> Markup:
    reasons = [row.reason.partition(" of ")[0] for row in rows]
    confident = sum(issue.confident for issue in found.issues)
    counts = [
        ("bad files", len(found.bad_records), reasons.count("bad file")),
        ("copies in two parts", len(found.across()), sum(reason.endswith("copy") for reason in reasons)),
        ("copies in one part", len(found.within()), 0),
        ("likely wrong labels", confident, reasons.count("likely wrong label")),
        ("doubtful labels", len(found.issues) - confident, 0),
        ("pictures that stand out", len({each.number for each in found.outliers}), 0),
    ]
    sizes = ", ".join(f"{found.parts.count(part):,} in {part}" for part in dict.fromkeys(found.parts))
    lead = tag("p", f"Looked at: {sizes}. What stands out by size, blur or exposure is shown and stays in the data.", class_="lead")
    return section("What was found", lead, table_of(("kind", "found", "in the quarantine"), counts, bars=False))


def _next(rows: Sequence[Row], command: Sequence[str]) -> Markup:
    if not rows:
        return Markup()
    steps = (
        "Look at the galleries below, and delete the rows of the quarantine file whose pictures are right. "
        "Correct wrong labels in the data where you can: that is better than to leave pictures out. Then train without the rest:"
    )
    return section("What to do next", tag("p", steps, class_="lead"), tag("pre", shlex.join(map(shown, command)), class_="command"))


# ---------------------------------------------------------------- galleries


def _copies(found: Diagnosis, source: Source, out: set[str]) -> list[Markup]:
    across = _pairs(
        "Copies in two parts",
        "A copy of a training picture makes the figure too good; the training one leaves.",
        found.across(),
        found,
        source,
        out,
    )
    within = _pairs("Copies in one part", "They count twice; nothing is done about them.", found.within(), found, source, out)
    return [across, within]


def _pairs(title: str, lead: str, copies: Sequence[Copy], found: Diagnosis, source: Source, out: set[str]) -> Markup:
    def tile(copy: Copy) -> Markup:
        sides = [found.records[number] for number in (copy.first, copy.second)]
        labels = [found.name(record.label) for record in sides]
        told = [tag("small", f"{found.parts[number]}: ", breakable(shown(found.records[number].id))) for number in copy[:2]]
        differs = (
            tag("b", f"{shown(labels[0])} and {shown(labels[1])}", class_="to") if labels[0] != labels[1] else tag("b", shown(labels[0]))
        )
        gone = tag("span", "quarantine", class_="out") if any(record.id in out for record in sides) else ""
        score = "equal" if copy.distance == 0 else f"distance {copy.distance:.4f}"
        images = tag("div", *(_image(source, record) for record in sides), class_="sides")
        return tag("figure", images, differs, gone, *told, tag("small", score), class_="tile")

    return _gallery(title, lead, copies, map(tile, copies[:MOST]), "gallery two")


def _labels(found: Diagnosis, source: Source, out: set[str]) -> Markup:
    def tile(number: int) -> Markup:
        issue = found.issues[number]
        record = found.records[issue.row]
        arrow = tag("b", shown(found.name(record.label)), tag("span", f" → {shown(found.labels[issue.suggested])}?", class_="to"))
        gone = tag("span", "quarantine", class_="out") if record.id in out else ""
        told = tag("small", f"{found.parts[issue.row]}: ", breakable(shown(record.id)))
        return tag("figure", _image(source, record), arrow, gone, told, tag("small", f"margin {issue.margin:.2f}"), class_="tile")

    lead = (
        "A network that did not learn from a picture finds another class likelier than the given one; by how much is the margin. "
        "Those that it is confident of are likely wrong, the others doubtful."
    ) + ("" if found.trusted else " It knows too few labels itself, so all stay in the data: see the notes.")
    return _gallery("Labels that may be wrong", lead, found.issues, map(tile, range(min(MOST, len(found.issues)))))


def _outliers(found: Diagnosis, source: Source) -> list[Markup]:
    galleries = []
    for kind, title in KINDS.items():
        chosen = [each for each in found.outliers if each.kind == kind]
        tiles = (
            tag(
                "figure",
                _image(source, found.records[each.number]),
                tag("b", shown(found.name(found.records[each.number].label))),
                tag("small", breakable(shown(found.records[each.number].id))),
                tag("small", f"z-score {each.score:+.1f}"),
                class_="tile",
            )
            for each in chosen[: MOST // 2]
        )
        if chosen:
            galleries.append(_gallery(f"{title} pictures", "Far from the usual of this data set.", chosen, tiles))
    return galleries


def _gallery(title: str, lead: str, every: Sequence[object], tiles: Iterable[Markup], class_: str = "gallery") -> Markup:
    drawn = list(tiles)
    if not drawn:
        return Markup()
    more = f" The first {len(drawn)} of {len(every):,} are shown." if len(drawn) < len(every) else ""
    return section(f"{title}: {len(every):,}", tag("p", lead + more, class_="lead"), tag("div", *drawn, class_=class_))


def _image(source: Source, record: Record) -> Markup:
    return tag("img", src=embedded(jpeg(source.read(record)[0], SIDE), "jpeg"), alt=shown(record.id), loading="lazy")


# ---------------------------------------------------------------- the rest


def _bad(found: Diagnosis) -> Markup:
    if not found.bad:
        return Markup()
    rows = [(shown(path), problem) for path, problem in list(found.bad.items())[:MOST]]
    more = f"The first {MOST} of {len(found.bad):,}." if len(found.bad) > MOST else "They cannot be read."
    return section(f"Bad files: {len(found.bad):,}", tag("p", more, class_="lead"), table_of(("file", "what is wrong"), rows))


def _balance(found: Diagnosis) -> Markup:
    if not found.counts:
        return Markup()
    from zoo.figures.bars import class_histogram
    from zoo.figures.style import save

    file = io.BytesIO()
    save(class_histogram(found.labels, found.counts), file)
    train = found.counts.get("train", ())
    filled = [count for count in train if count]
    lead = f"The largest class has {max(filled) / min(filled):.1f} times the training pictures of the smallest." if filled else ""
    empty = [shown(label) for label, count in zip(found.labels, train, strict=True) if not count]
    lead += f" Without any: {', '.join(empty[:8])}." if empty else ""
    if filled and max(filled) > 3 * min(filled):
        lead += " data.balance=sampler or loss_weights makes up for it."
    image = tag("img", src=embedded(file.getvalue()), alt="pictures of each class", class_="balance")
    return section("Classes", tag("p", lead, class_="lead"), tag("div", image, class_="sheet"))


def _notes(found: Diagnosis) -> Markup:
    return section("How it was looked at", tag("ul", *(tag("li", shown(note)) for note in found.notes))) if found.notes else Markup()
