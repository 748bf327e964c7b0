"""Draw `report.html` from a run folder: one file that says what was asked, what came out, and whether that was expected.

    python -m zoo.report runs/simpsons/2024-05-01 --open

The page needs no network, no script and nothing beside it: styles and pictures are inside, and its content policy refuses everything
else. All that is read here counts as text from a stranger. It is escaped by construction: `_tag` escapes each string that is not
`Markup` already, so a class named `<script>` stays a name.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import re
import struct
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zoo import document
from zoo.cells import bare
from zoo.errors import RecipeError, ZooError
from zoo.pages import markup
from zoo.pages.markup import (
    Markup,
    amount,
    as_text,
    breakable,
    details,
    drawn_badge,
    embedded,
    is_number,
    pairs,
    range_picture,
    range_text,
    section,
    table_of,
    tag,
)
from zoo.progress import clock

_COLLAPSE_FROM = 60  # rows of a table
_MOST_ROWS = 5000
_MOST_COLUMNS = 100
_MOST_EXHIBITS = 200
_MOST_BYTES = 50_000_000
_WIDE = 550  # pixels on the page of a figure that must scroll on a phone instead of shrinking
_ORDER = (  # how file names begin
    *("curve", "training_curve", "class", "histogram", "balance", "sample", "confusion", "per_class", "confused"),
    *("f1_epochs", "precision_recall", "threshold", "mistake"),
)
_SETTINGS = (
    *(
        "data.name",
        "data.size",
        "data.fit",
        "data.augment",
        "data.balance",
        "backbone.name",
        "backbone.pretrained",
        "task.name",
        "task.loss",
    ),
    *("train.epochs", "train.batch_size", "train.optimizer", "train.lr", "train.schedule", "train.engine", "train.precision", "seed"),
)
_CERTAINTY = {
    "V": "verified: read in the original code, data or outputs",
    "C": "computed again from original artefacts",
    "N": "from the nearest public solution, not from this project",
    "S": "said only by the project's own summary",
    "M": "from memory, unconfirmed",
}


@dataclass(frozen=True)
class Verdict:
    """What became of an expectation.

    Attributes:
        state: "met", "missed", "none" (no expectation stated) or "open" (stated, but not measured yet).
        lines: one sentence per expected metric.
    """

    state: Literal["met", "missed", "none", "open"]
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Kept:
    """What a run folder holds; parts that are missing are empty and named in `missing`."""

    folder: Path
    recipe: Mapping[str, Any]
    recipe_text: str
    spec: Mapping[str, Any]
    split: Mapping[str, Any]
    metrics: Mapping[str, Any]
    environment: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    missing: list[str]

    @property
    def synthetic(self) -> bool | None:
        """Whether the data were drawn; None when the run does not say."""
        said = self.metrics.get("synthetic")
        return said if isinstance(said, bool) else None

    @property
    def kind(self) -> str:
        """The key of its expectations in the recipe: "synthetic", "real", or "" when the run does not say."""
        return {True: "synthetic", False: "real", None: ""}[self.synthetic]

    @property
    def monitor(self) -> tuple[str, str]:
        """The metric that chose the best epoch, and whether its best is the "max" or the "min"."""
        monitor = _mapping(self.recipe.get("monitor"))
        return str(_scalar(monitor.get("metric")) or ""), str(_scalar(monitor.get("mode")) or "max")


# ---------------------------------------------------------------------------------------------------------------- commands


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the report's path."""
    parser = argparse.ArgumentParser(prog="zoo report", description="Write report.html of a run folder and print its path.")
    parser.add_argument("run", metavar="RUN", help="a run folder, such as runs/simpsons/<id>, or the name of a trained recipe")
    parser.add_argument("--open", action="store_true", help="show the report in a browser")
    arguments = parser.parse_args(argv)
    report = write_report(_folder(arguments.run))
    print(report)
    if arguments.open:
        webbrowser.open(report.resolve().as_uri())
    return 0


def _folder(run: str) -> Path:
    from zoo.finding import find_run  # not needed to write a report after training

    return Path(run) if os.sep in run or Path(run).is_dir() else find_run(run).folder


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into `run_folder` from the files there, and return its path.

    Anything but `recipe.yaml` may be missing, so that a run can be looked at while it trains; the page names what is not there.
    """
    folder = Path(run_folder)
    if not (folder / "recipe.yaml").is_file():
        found = "is a folder without recipe.yaml" if folder.is_dir() else "is no folder"
        raise RecipeError(f"{folder} {found}; expected a run folder, such as runs/<recipe>/<id>, as zoo.train prints it last")
    page = _page(_read(folder)).encode("utf-8", "replace")  # JSON can spell lone surrogates, UTF-8 cannot
    unfinished = folder / ".report.html.part"
    try:
        unfinished.unlink(missing_ok=True)  # whatever lies there, even a link, is not written through
        unfinished.write_bytes(page)
        os.replace(unfinished, folder / "report.html")
    except OSError as error:
        raise ZooError(f"{folder / 'report.html'}: cannot be written ({error.strerror}): free the disk or mend the folder") from error
    return folder / "report.html"


def judge(metrics: Mapping[str, Any], expect: Any) -> Verdict:
    """Compare `metrics` with `expect`: metric -> {"min": number or None, "max": number or None}, both ends included."""
    lines, states = [], []
    for name, bounds in _mapping(expect).items():
        low, high = _bound(bounds, "min"), _bound(bounds, "max")
        if low is None and high is None:
            continue
        wanted, value = range_text(low, high), metrics.get(name)
        if not is_number(value):
            states.append("open")
            lines.append(f"{name}: expected {wanted}, not measured")
            continue
        met = math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)
        states.append("met" if met else "missed")
        lines.append(f"{name}: expected {wanted}, got {as_text(value)}{'' if met else ' – missed'}")
    if not states:
        return Verdict("none")
    return Verdict("missed" if "missed" in states else "open" if "open" in states else "met", tuple(lines))


# ----------------------------------------------------------------------------------------------------------------- reading


def _read(folder: Path) -> _Kept:
    missing: list[str] = []
    text = _file_text(folder, "recipe.yaml", missing)
    try:
        if len(text) > document.MAX_BYTES:
            text = f"{text[: document.MAX_BYTES]} ..."
            raise ValueError("larger than any recipe")
        recipe = _mapping(document.parse(text, "recipe.yaml").values)
    except ValueError:
        recipe = {}
        missing.append("recipe.yaml is no recipe that can be read; the beginning of it is shown below as it is")
    objects = {name: _mapping(_json(folder, f"{name}.json", missing)) for name in ("spec", "split", "metrics", "environment")}
    return _Kept(folder, recipe, text, history=_history(folder, missing), missing=missing, **objects)


def _file_bytes(folder: Path, name: object, missing: list[str]) -> bytes:
    """The bytes of a plain file right in `folder`; empty, with a note, for a path, a link or a missing file."""
    where = f"{folder.name}/{name}"
    if not isinstance(name, str) or name in ("", ".", "..") or re.search(r"[/\\:\0]", name):
        missing.append(f"{where} was ignored: not the plain name of a file in {folder.name}/")
        return b""
    try:
        path = folder / name
        if not path.is_file():
            missing.append(f"{name} is not there")
        elif path.is_symlink():
            missing.append(f"{where} was ignored: it is a link")
        elif path.stat().st_size > _MOST_BYTES:
            missing.append(f"{where} was left out: larger than {_MOST_BYTES // 1_000_000} MB")
        else:
            return path.read_bytes()
    except (OSError, ValueError) as error:
        missing.append(f"{where} cannot be read: {type(error).__name__}")
    return b""


def _file_text(folder: Path, name: object, missing: list[str]) -> str:
    return _file_bytes(folder, name, missing).decode("utf-8", "replace").removeprefix("\ufeff")


def _json(folder: Path, name: str, missing: list[str]) -> Any:
    text = _file_text(folder, name, missing)
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        missing.append(f"{name} is no valid JSON")
        return None


def _history(folder: Path, missing: list[str]) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    broken = 0
    for line in _file_text(folder, "history.jsonl", missing).split("\n"):
        try:
            row = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            rows += [row] if row else []
        else:
            broken += 1
    if broken:
        missing.append(f"history.jsonl: {broken} {'row' if broken == 1 else 'rows'} could not be read")
    return rows


# ---------------------------------------------------------------------------------------------------------------- the page


def _page(kept: _Kept) -> str:
    title = _question(kept)
    exhibits = _exhibits(kept)  # before the notes: it may add to them
    main_part = tag(
        "main",
        _hero(kept, title),
        _references(kept),
        _notes(kept),
        exhibits,
        _numbers(kept),
        _split(kept),
        _recipe(kept),
        _environment(kept),
    )
    footer = tag("footer", "Drawn by zoo from the files of the run folder. To draw it again: ", tag("code", "python -m zoo.report RUN"))
    return markup.page(f"{title} · {_name(kept)}", markup.shared_style(), main_part, footer)


def _hero(kept: _Kept, title: str) -> Markup:
    """Everything a reader wants before scrolling: question, result, expectation, verdict, and whether the data were drawn."""
    metric, _ = kept.monitor
    value = kept.metrics.get(metric)
    stated = _mapping(kept.recipe.get("expect"))
    expect = _mapping(stated.get(kept.kind))
    undecided = Verdict("open", ("Which of them holds depends on whether the data are real or drawn.",))
    verdict = undecided if any(stated.values()) and not kept.kind else judge(kept.metrics, expect)
    bounds = expect.get(metric)
    result = tag(
        "div",
        tag("p", metric or "no monitored metric", class_="metric"),
        tag("p", as_text(value) if is_number(value) else "no result yet", class_="value" if is_number(value) else "value pending"),
        range_picture(value, _bound(bounds, "min"), _bound(bounds, "max")),
        class_="result",
    )
    return tag(
        "header",
        tag("p", _name(kept), class_="name"),
        tag("h1", title),
        _badge(kept),
        tag("section", tag("div", result, _verdict_box(verdict, kept.kind), class_="answer"), _others(kept), class_="card hero"),
        _caution(kept),
    )


def _badge(kept: _Kept) -> Markup:
    if kept.synthetic:
        text = "These numbers say that the code works, nothing about real pictures."
        return drawn_badge(text)
    if kept.metrics and kept.synthetic is None:
        return tag("p", "The run does not record whether its data were real or drawn.", class_="badge")
    return Markup()


def _verdict_box(verdict: Verdict, kind: str) -> Markup:
    data = {"synthetic": "on drawn data", "real": "on real data"}.get(kind, "")
    words = {
        "met": ("✓", "Expectation met"),
        "missed": ("✗", "Expectation missed"),
        "none": ("–", f"No expectation stated {data}".strip()),
        "open": ("…", "Expectations stated, not measured yet"),
    }
    sign, sentence = words[verdict.state]
    sentence += f" {data}" if data and verdict.state in ("met", "missed") else ""
    items = [tag("li", line) for line in verdict.lines]
    head = tag("p", tag("span", sign, aria_hidden="true", class_="sign"), sentence, class_="sentence")
    return tag("div", head, tag("ul", *items) if items else "", class_=f"verdict {verdict.state}")


def _others(kept: _Kept) -> Markup:
    """The other measured numbers: those of the test part first, then those of the monitored part."""
    metric, _ = kept.monitor
    part = metric.partition("/")[0]
    names = [name for name, value in kept.metrics.items() if "/" in name and name != metric and is_number(value)]
    names = sorted((name for name in names if name.partition("/")[0] in ("test", part)), key=lambda name: not name.startswith("test/"))
    cells = [tag("div", tag("dt", breakable(name)), tag("dd", as_text(kept.metrics[name]))) for name in names[:6]]
    return tag("dl", *cells, class_="others") if cells else Markup()


def _caution(kept: _Kept) -> Markup:
    """How the number came about, in a sentence or two under it."""
    metric, _ = kept.monitor
    epochs = kept.metrics.get("epochs", len(kept.history) or None)
    seconds = kept.metrics.get("seconds")
    said = []
    best = kept.metrics.get("best_epoch", _best_epoch(kept))
    if is_number(best):
        said.append(f"Best epoch {as_text(best)} of {as_text(epochs)}{f', {clock(seconds)}' if is_number(seconds) else ''}.")
    said += _costs(kept.metrics)
    if is_number(kept.metrics.get(metric)) and not any(name.startswith("test/") for name in kept.metrics):
        said.append(f"Measured on the pictures of “{metric.partition('/')[0]}”, which also chose {_chosen(kept)}: an optimistic number.")
    if isinstance(forced := kept.environment.get("forced"), list):
        said.append(f"Changed by force while it was trained, so that its numbers are of no one recipe: {'; '.join(map(str, forced))}.")
    if isinstance(divided := kept.environment.get("divided"), str):
        said.append(f"{divided[:1].upper()}{divided[1:]}.")
    if alarms := [row for row in kept.history if isinstance(row.get("alarm"), str)]:
        epochs_of = ", ".join(as_text(row.get("epoch")) for row in alarms[:8]) + (", ..." if len(alarms) > 8 else "")
        said.append(f"ALARM after {'epoch' if len(alarms) == 1 else f'{len(alarms)} epochs,'} {epochs_of}. The last: {alarms[-1]['alarm']}")
    return tag("p", " ".join(said), class_="caution") if said else Markup()


def _chosen(kept: _Kept) -> str:
    """What the validated pictures decided, so that a number measured on them is too good."""
    task = _mapping(kept.recipe.get("task"))
    if not _sequence(task.get("members")):
        return "the best epoch"
    weighed = task.get("weights") == "fitted" or task.get("average") == "greedy"
    return f"the members’ best epochs{' and how they are put together' if weighed else ''}, as far as they share this split"


def _costs(metrics: Mapping[str, Any]) -> list[str]:
    """What the model and its training cost, of what is known."""
    size, wait, macs, weights, taken, memory = (
        metrics.get(name) for name in ("megabytes", "milliseconds", "macs", "parameters", "train_seconds", "peak_megabytes")
    )
    said = []
    if is_number(size) and is_number(wait):
        counted = f" ({amount(weights)} parameters)" if is_number(weights) else ""
        work = f" and {amount(macs)} multiply-accumulates" if is_number(macs) else ""
        said.append(f"Weights of {size:,.1f} MB{counted}; one picture takes {wait:,.1f} ms on the machine that trained{work}.")
    if is_number(taken) and is_number(memory):
        said.append(f"Training alone took {clock(taken)} and at most {memory:,.0f} MB of memory.")
    return said


def _best_epoch(kept: _Kept) -> object:
    """The epoch with the best monitored metric so far, the earliest among equals."""
    metric, mode = kept.monitor
    points = [(row[metric], row.get("epoch")) for row in kept.history if is_number(row.get(metric)) and math.isfinite(row[metric])]
    return (max if mode == "max" else min)(points, key=lambda point: point[0])[1] if points else None


def _references(kept: _Kept) -> Markup:
    """Others' numbers, in a list of their own: never in a column with ours."""
    rows = [row for row in _sequence(kept.recipe.get("reference")) if isinstance(row, Mapping)]
    if not rows:
        return Markup()
    text = "Reported by others, on real data, with their own split and code"
    text += ". This run read drawn data: the numbers cannot be compared." if kept.synthetic else "; a direction, not a target."
    return section("Others’ numbers", tag("p", text, class_="lead"), tag("ul", *map(reference_item, rows), class_="references"))


def reference_item(row: Mapping[str, Any]) -> Markup:
    """A number that others report, with its source and how certain it is."""
    metric, value, source, mark = (as_text(_scalar(row.get(key))) for key in ("metric", "value", "source", "certainty"))
    meaning = _CERTAINTY.get(mark, "certainty not stated")
    return tag(
        "li",
        tag("span", tag("b", value), " ", metric, class_="theirs"),
        tag("span", source, tag("small", tag("abbr", mark, title=meaning), f" {meaning}")),
    )


def _notes(kept: _Kept) -> Markup:
    if not kept.missing:
        return Markup()
    return section("Not in this report", tag("ul", *(tag("li", note) for note in kept.missing)), class_="missing")


def _numbers(kept: _Kept) -> Markup:
    """Every value of metrics.json, and the history as a table."""
    facts = [[name, value if is_number(value) else as_text(value)] for name, value in kept.metrics.items()]
    parts = [details("All numbers of the run", pairs(facts))] if facts else []
    if kept.history:
        columns = list(dict.fromkeys(name for row in kept.history for name in row))[:_MOST_COLUMNS]
        rows = [[row.get(name, "") for name in columns] for row in kept.history[-_MOST_ROWS:]]
        parts.append(details(f"Every epoch ({len(rows)})", table_of(columns, rows, bars=False)))
    return section("Numbers", *parts) if parts else Markup()


def _split(kept: _Kept) -> Markup:
    if not kept.split and not kept.spec:
        return Markup()
    sizes, size, labels = _mapping(kept.split.get("sizes")), _sequence(kept.spec.get("size")), _sequence(kept.spec.get("labels"))
    pixels = " × ".join(map(as_text, size)) + f", {as_text(kept.spec.get('channels'))} channels" if size else ""
    facts: list[list[Any]] = [["pictures", pixels]]
    facts += [
        ["classes", len(labels) or ""],
        ["seed of the split", kept.split.get("seed")],
        ["kept together by", kept.split.get("by") or kept.spec.get("groups")],
    ]
    facts += [[f"pictures in {part}", count] for part, count in sizes.items()] + [["fingerprint", kept.split.get("fingerprint")]]
    notes = [tag("li", note) for note in _sequence(kept.split.get("notes"))]
    return section("Data and split", tag("ul", *notes) if notes else "", pairs([fact for fact in facts if fact[1] not in (None, "")]))


def _recipe(kept: _Kept) -> Markup:
    text = tag("pre", tag("code", kept.recipe_text), tabindex="0")
    lead = tag("p", "As it was run, with every default filled in.", class_="lead")
    return section("Recipe", lead, pairs(_settings(kept.recipe)), details("recipe.yaml", text))


def _settings(recipe: Mapping[str, Any]) -> list[list[Any]]:
    """The keys that tell most: what was read, by what network, and how it learnt."""
    facts = []
    for name in _SETTINGS:
        key, _, inner = name.partition(".")
        text = _setting(_mapping(recipe.get(key)).get(inner) if inner else recipe.get(key))
        facts += [[name, text]] if text else []
    return facts


def _setting(value: Any) -> str:
    """A value in a few words: of a mapping, its name; of a list, those of its first entries."""
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(_word, value[:12]))) + (", ..." if len(value) > 12 else "")
    return _word(value)


def _word(value: Any) -> str:
    found = value.get("name") if isinstance(value, Mapping) else value
    if isinstance(found, bool):
        return str(found).lower()
    return as_text(found) if _scalar(found) is not None else ""


def _environment(kept: _Kept) -> Markup:
    if not kept.environment:
        return Markup()
    packages = _mapping(kept.environment.get("packages"))
    facts = [[name, as_text(value)] for name, value in kept.environment.items() if name != "packages"]
    if digest := kept.metrics.get("weights_sha256"):
        facts.append(["weights_sha256", as_text(digest)])  # equal for two runs of one recipe on one machine
    versions = [[name, str(version)] for name, version in packages.items()]
    return section("Environment", pairs(facts), details(f"Packages ({len(versions)})", pairs(versions)) if versions else "")


# ---------------------------------------------------------------------------------------------------------- figures, tables


def _exhibits(kept: _Kept) -> Markup:
    """Figures and tables: the well-known ones first, in the order a reader asks for them, then the others as their index lists them."""
    found = [(entry, _figure(kept, entry)) for entry in _index(kept, "figures", ".png", ".gif")]
    found += [(entry, _data_table(kept, entry)) for entry in _index(kept, "tables", ".csv")]
    shown = [(entry, markup) for entry, markup in found if markup]
    if not shown:
        kept.missing.append("there are no figures and no tables yet")
    return tag("div", *(markup for _, markup in sorted(shown, key=lambda pair: _rank(pair[0]))), class_="exhibits") if shown else Markup()


def _index(kept: _Kept, name: str, *endings: str) -> list[Mapping[str, Any]]:
    """The entries of `<name>/index.json`, each file once; without one, the files that are there, by name."""
    folder = kept.folder / name
    if folder.is_symlink() or not folder.is_dir():
        return []
    if (folder / "index.json").is_file():
        entries = _sequence(_json(folder, "index.json", kept.missing))
    else:
        entries = [{"file": path.name} for path in sorted(folder.iterdir()) if path.name.endswith(endings)]
    good = [entry for entry in entries if isinstance(entry, Mapping) and str(entry.get("file", "")).endswith(endings)]
    if len(good) < len(entries):
        kept.missing.append(f"{name}/index.json: {len(entries) - len(good)} of {len(entries)} entries name no {' or '.join(endings)} file")
    once: dict[str, Mapping[str, Any]] = {}
    for entry in good:
        once.setdefault(str(entry["file"]), entry)
    if len(once) > _MOST_EXHIBITS:
        kept.missing.append(f"{name}/: the first {_MOST_EXHIBITS} of {len(once)} are shown")
    return list(once.values())[:_MOST_EXHIBITS]


def _rank(entry: Mapping[str, Any]) -> int:
    stem = Path(str(entry["file"])).stem
    return next((place for place, word in enumerate(_ORDER) if stem.startswith(word)), len(_ORDER))


def _titles(entry: Mapping[str, Any]) -> tuple[str, str]:
    return str(entry.get("title") or Path(str(entry["file"])).stem.replace("_", " ")), str(entry.get("caption") or "")


def _figure(kept: _Kept, entry: Mapping[str, Any]) -> Markup:
    data = _file_bytes(kept.folder / "figures", entry["file"], kept.missing)
    if not data:
        return Markup()
    size = _size(data)
    if size is None:
        kept.missing.append(f"figures/{entry['file']} was ignored: it is no PNG and no GIF")
        return Markup()
    kind, width, height = size
    title, caption = _titles(entry)
    shape = "wide" if width > _WIDE else "tall" if height > 1.7 * width else ""
    image = tag(
        "img",
        src=embedded(data, kind),
        alt=f"{title}. {caption}".strip(),
        width=width,
        height=height,
    )
    sheet = tag("div", image, class_="sheet", **({"tabindex": "0"} if shape == "wide" else {}))
    if kind == "gif":  # what moves and cannot be stopped is not forced on a reader (WCAG 2.2.2)
        sheet = details("Play", sheet)
    words = tag("figcaption", tag("h2", title), tag("p", caption) if caption else "")
    return tag("figure", words, sheet, class_=f"card {shape}".strip())


def _size(data: bytes) -> tuple[str, int, int] | None:
    """Kind, width and height of a figure on the page; None if it is no PNG and no GIF.

    Figures are drawn for dense screens, two pixels of the file for one of the page; films are not.
    """
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return "png", width // 2, height // 2
    if data[:6] in (b"GIF89a", b"GIF87a") and len(data) >= 10:
        return "gif", *struct.unpack("<HH", data[6:10])
    return None


def _data_table(kept: _Kept, entry: Mapping[str, Any]) -> Markup:
    text = _file_text(kept.folder / "tables", entry["file"], kept.missing)
    try:
        rows = [[bare(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error:
        kept.missing.append(f"tables/{entry['file']} is no valid CSV")
        return Markup()
    if not rows:
        return Markup()
    if max(map(len, rows)) > _MOST_COLUMNS:
        kept.missing.append(f"tables/{entry['file']}: only the first {_MOST_COLUMNS} columns are shown")
        rows = [row[:_MOST_COLUMNS] for row in rows]
    title, caption = _titles(entry)
    header, body = rows[0], rows[1:]
    table = table_of(header, body[:_MOST_ROWS])
    more = f"The first {_MOST_ROWS} of {len(body)} rows; all of them are in tables/{entry['file']}." if len(body) > _MOST_ROWS else ""
    shown = details(f"{len(body)} rows", table) if len(body) > _COLLAPSE_FROM else table
    lead = f"{caption} {more}".strip()
    return section(title, tag("p", lead, class_="lead") if lead else "", shown, class_="wide")


# -------------------------------------------------------------------------------------------------------------- small parts


def _question(kept: _Kept) -> str:
    return " ".join(str(_scalar(kept.recipe.get("question")) or "").split()) or _name(kept)


def _name(kept: _Kept) -> str:
    """`<recipe>/<id>`: the last two folders."""
    return "/".join(kept.folder.resolve().parts[-2:])


def _mapping(value: Any) -> Mapping[str, Any]:
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def _scalar(value: Any) -> str | float | None:
    """Text or a number; None for anything else, since a few nested YAML aliases can spell out to gigabytes."""
    return value if isinstance(value, str) or is_number(value) else None


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else []


def _bound(bounds: Any, end: str) -> float | None:
    value = _mapping(bounds).get(end)
    return float(value) if is_number(value) else None


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("report", sys.argv[1:]))
