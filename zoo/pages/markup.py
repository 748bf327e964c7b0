"""HTML that is escaped by construction, and numbers as people read them. Used by all pages; knows nothing of runs.

`tag` escapes each string that is not `Markup` already, so a class named `<script>` stays a name.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf|nan", re.ASCII)


class Markup(str):
    """Text that is HTML already. Any other string is escaped when it becomes part of the page."""


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element; strings that are not `Markup` are escaped. `class_` and `aria_label` become `class` and `aria-label`."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{_escape(value)}"' for key, value in attributes.items())
    if name in ("meta", "img"):
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{''.join(child if isinstance(child, Markup) else _escape(child) for child in children)}</{name}>")


def _escape(value: object) -> str:
    """Escaped text without control characters, which no browser shows and some read as the end of a word."""
    return html.escape(re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "\ufffd", str(value)), quote=True)


def page(title: str, style: str, *body: object, script: str = "") -> str:
    """A whole page, which may load nothing and run nothing but its own style and script: browsers check both by their digests."""
    scripts = f"script-src {_digest(script)}; " if script else ""
    policy = f"default-src 'none'; img-src data:; style-src {_digest(style)}; {scripts}base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    end = (tag("script", Markup(script)),) if script else ()
    return "<!doctype html>\n" + tag("html", head, tag("body", *body, *end), lang="en")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def shared_style() -> str:
    """The style sheet of all pages that are read; a page adds its own to it."""
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def embedded(content: bytes, kind: str = "png") -> str:
    """The `src` of a picture that lies in the page itself."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def drawn_badge(meaning: str) -> Markup:
    """That the data were drawn, and what this means for the page; stands below its title."""
    return tag("p", tag("strong", "Drawn (synthetic) data"), f" {meaning}", class_="badge")


def section(title: str, *children: object, class_: str = "") -> Markup:
    """A card with a heading."""
    return tag("section", tag("h2", title), *children, class_=f"card {class_}".strip())


def details(summary: str, *children: object) -> Markup:
    """Something folded away under a summary."""
    return tag("details", tag("summary", summary), *children)


def pairs(facts: Iterable[Sequence[object]]) -> Markup:
    """Names with values, as a description list."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", as_text(value))) for name, value in facts), class_="pairs")


def breakable(text: str) -> Markup:
    """Text that may break after each "/" and "_", as long names of files, classes and metrics must on a phone."""
    return Markup(re.sub(r"([/_])(?=.)", r"\1<wbr>", _escape(text)))


def table_of(header: Sequence[object], rows: Sequence[Sequence[object]], bars: bool = True) -> Markup:
    """A table that scrolls by itself; numbers stand right with one number of digits per column, shares get a small bar."""
    width = max([len(header), *(len(row) for row in rows)])
    columns = [[row[place] if place < len(row) else "" for row in rows] for place in range(width)]
    names = [*header, *[""] * (width - len(header))]
    drawn = [_column(name, column, bars) for name, column in zip(names, columns, strict=True)]
    top = [column[0] for column in drawn]
    body = [tag("tr", *(column[place + 1] for column in drawn)) for place in range(len(rows))]
    return tag("div", tag("table", tag("thead", tag("tr", *top)), tag("tbody", *body)), class_="scroll", tabindex="0")


def _column(name: object, column: Sequence[object], bars: bool) -> list[Markup]:
    """The head and the cells of a column."""
    values = [_parsed(cell) for cell in column]
    given = [value for value, cell in zip(values, column, strict=True) if cell not in ("", None)]
    if not given or any(value is None for value in given):
        return [tag("th", name, scope="col"), *(tag("td", breakable(as_text(cell))) for cell in column)]
    finite = [value for value in given if value is not None and math.isfinite(value)]
    whole = all(value == int(value) for value in finite)
    share = bars and not whole and all(0 <= value <= 1 for value in finite) and max(finite) >= 0.1  # of slivers nothing can be read
    digits = _digits(finite)
    cells = [("", "") if value is None else (fixed(value, digits), _bar(value) if share else "") for value in values]
    return [tag("th", name, scope="col", class_="number"), *(tag("td", *cell, class_="number") for cell in cells)]


def _bar(value: float) -> Markup:
    if not math.isfinite(value):
        return Markup()
    track = tag("rect", width="100", height="4")
    filled = tag("rect", class_="filled", width=f"{100 * value:.1f}", height="4")
    stretch = {"viewBox": "0 0 100 4", "preserveAspectRatio": "none"}
    return tag("svg", track, filled, class_="bar", aria_hidden="true", **stretch)


def range_picture(value: Any, low: float | None, high: float | None) -> Markup:
    """The expected range as a band and the result as a mark on one line; the sentence beside it says the same in words."""
    if not is_number(value) or not math.isfinite(value) or (low is None and high is None):
        return Markup()
    known = [number for number in (value, low, high) if number is not None]
    left, right = (0.0, 1.0) if min(known) >= 0 and max(known) <= 1 else (min([0.0, *known]), max(known) * 1.1 or 1.0)
    if right <= left:
        return Markup()
    place = [300 * (number - left) / (right - left) for number in (left if low is None else low, right if high is None else high, value)]
    band = tag("rect", class_="band", x=f"{place[0]:.1f}", y="5", width=f"{max(0.0, place[1] - place[0]):.1f}", height="8")
    mark = tag("rect", class_="mark", x=f"{min(max(place[2] - 2, 0), 296):.1f}", y="1", width="4", height="16", rx="2")
    line = tag("rect", class_="line", y="8", width="300", height="2")
    text = f"{as_text(value)} on a line from {left:.4g} to {right:.4g}; expected {range_text(low, high)}"
    return tag("svg", line, band, mark, class_="range", viewBox="0 0 300 18", role="img", aria_label=text)


def range_text(low: float | None, high: float | None) -> str:
    """`at least 0.9`, `at most 2`, `0.5 to 0.7`; at least one end is given."""
    if low is not None and high is not None:
        return f"{low:.4g} to {high:.4g}"
    return f"at least {low:.4g}" if low is not None else f"at most {high:.4g}"


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a number that fits a float; JSON knows whole numbers of any length."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**300)


def _parsed(cell: object) -> float | None:
    if is_number(cell):
        return float(cell)
    return float(cell) if isinstance(cell, str) and _NUMBER.fullmatch(cell.strip()) else None


def _digits(values: Sequence[float]) -> int | None:
    """Decimals that suit a whole column; None when the numbers are too small or too large for any."""
    if all(value == int(value) for value in values):
        return 0
    sizes = [abs(value) for value in values if value]
    if max(sizes) >= 1e6 or min(sizes) < 1e-3:
        return None
    return 4 if max(sizes) < 0.1 else 3 if max(sizes) < 100 else 1


def fixed(value: float, digits: int | None) -> str:
    """A number with so many decimals; None for four significant digits."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else str(value)
    return f"{value:.4g}" if digits is None else f"{value:.{digits}f}"


def as_text(value: object) -> str:
    """A value as people read it: four digits for fractions, "–" for nothing."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return fixed(value, 4 if 1e-3 <= abs(value) <= 1 else 0 if value.is_integer() and abs(value) < 1e15 else None)
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def amount(value: float) -> str:
    """A large number in three digits, as sizes of networks are told: `2.23 M`, `4.09 G`, `812`."""
    if not math.isfinite(value) or abs(value) < 999.5:
        return f"{value:.3g}"
    digits, _, exponent = f"{value:.2e}".partition("e")  # rounded first: 999,950 is a million
    power = min(int(exponent) // 3, 4)
    places = int(exponent) - 3 * power
    return f"{float(digits) * 10**places:.{max(0, 2 - places)}f} {' kMGT'[power]}"
