"""YAML text -> plain values that remember where each of them stands.

A small part of YAML: no tags, no anchors and aliases (so no alias bombs), no duplicate keys, no deep nesting, no large files;
and the scalars people expect: `1e-3` is a float, `no` is a string, `010` is ten, `1:30` and `2021-01-01` stay text.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 64 * 1024
MAX_DEPTH = 12

COMMAND_LINE = sys.maxsize
"""The line of what stands in no file but on the command line: after all others."""

Path_ = tuple[str | int, ...]
"""Where a value stands in a document: keys and list positions from the top."""


@dataclass(frozen=True, order=True)
class Place:
    """A line and column of a file, or a word of the command line; they sort in that order."""

    line: int
    column: int
    text: str


@dataclass(frozen=True)
class Problem:
    """One thing wrong: where it stands (`file:line:column`, or the word of the command line) and what to do about it."""

    place: Place
    message: str

    def __str__(self) -> str:
        # Keys and values come from outside: what a terminal would obey is spelt out.
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in f"{self.place.text}: {self.message}")


class UnreadableError(ValueError):
    """Text that is not YAML, or more of YAML than is read here; nothing can be said about its values."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass
class Document:
    """A nested dict of plain values, and the place of every key and value in it."""

    values: dict[str, Any] = field(default_factory=dict)
    marks: dict[Path_, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def where(self, path: Path_) -> Place:
        """The place of a path, or of its nearest parent that has one."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks[path]

    def report(self, path: Path_, message: str) -> None:
        """Note what is wrong with the value at a path."""
        self.problems.append(Problem(self.where(path), message))

    def set(self, path: tuple[str, ...], value: Any, place: Place) -> None:
        """Put a value at a path; a name standing on the way becomes `{name: ...}`."""
        level: Any = self.values
        for key in path[:-1]:
            inner = level.get(key)
            if isinstance(inner, str):
                inner = {"name": inner}
            level[key] = inner if isinstance(inner, dict) else {}
            level = level[key]
        level[path[-1]] = value
        self.marks = {known: mark for known, mark in self.marks.items() if known[: len(path)] != path}
        for length in range(1, len(path) + 1):
            self.marks.setdefault(path[:length], place)

    def change(self, word: str, number: int) -> None:
        """Lay a `key=value` word of the command line over the values; `number` counts such words."""
        place = Place(COMMAND_LINE, number, f"command line, `{shorten(word)}`")
        key, equals, text = word.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            self.problems.append(Problem(place, "expected key=value, such as train.epochs=3"))
            return
        value, problems = _parse_value(text.strip())
        self.problems += [Problem(place, problem.message) for problem in problems]
        if not problems:
            self.set(path, value, place)


def read_text(path: Path) -> str:
    """The text of a recipe file.

    Raises:
        ValueError: too large, or not UTF-8.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES // 1024} KB, which no recipe is")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text (byte {error.start}): save it as UTF-8") from error


def parse(text: str, name: str) -> Document:
    """Parse YAML text; what is wrong with its keys stands in `problems`.

    Raises:
        UnreadableError: it is no YAML, or more than the part of it that is read.
    """
    document = Document(marks={(): Place(1, 1, f"{name}:1:1")})
    node = _compose(text.removeprefix("\ufeff"), name)
    values = {} if node is None else _convert(node, (), name, document)
    if not isinstance(values, dict):
        raise UnreadableError(Problem(document.where(()), f"expected sections such as `data:` and `train:`, found {shown(values)}"))
    document.values = values
    return document


def dump(values: dict[str, Any]) -> str:
    """Plain values as YAML text that `parse` reads back."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def shown(value: Any) -> str:
    """A value as it may stand in a message."""
    return shorten(json.dumps(value, ensure_ascii=False, default=str))


def shorten(text: str) -> str:
    """At most 80 characters of a text."""
    return text if len(text) <= 80 else f"{text[:77]}..."


# ---------------------------------------------------------------- scalars

# At most 100 digits: Python refuses to convert thousands of them, and what is longer is an (infinite) float anyway.
_SCALARS: list[tuple[re.Pattern[str], Callable[[str], Any]]] = [
    (re.compile(r"~|null|Null|NULL|"), lambda text: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?[0-9]{1,100}"), int),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
]


def _scalar(text: str) -> Any:
    """The value of a scalar without quotes."""
    return next((convert(text) for pattern, convert in _SCALARS if pattern.fullmatch(text)), text)


class _Dumper(yaml.SafeDumper):
    """Quotes all strings that would be read as something else, by us (`1e3`) or by other readers of YAML (`no`)."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if _scalar(text) is text else "'")


_Dumper.add_representer(str, _represent_text)


# ---------------------------------------------------------------- nodes


def _compose(text: str, name: str) -> yaml.Node | None:
    """YAML's tree of nodes, from which nothing is constructed."""
    try:
        _refuse(text, name)
        return yaml.compose(text, yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line, column = text.count("\n", 0, error.position) + 1, error.position - text.rfind("\n", 0, error.position)
        message = f"the character {chr(error.character)!r} is not allowed: take it out"
        raise UnreadableError(Problem(Place(line, column, f"{name}:{line}:{column}"), message)) from error
    except yaml.MarkedYAMLError as error:
        message = " ".join(part for part in (error.context, error.problem) if part)
        hint = next((f": {hint}" for part, hint in _HINTS.items() if part in message), "")
        raise UnreadableError(Problem(_place(name, error.problem_mark), message + hint)) from error


_HINTS = {
    "mapping values are not allowed": "a text that holds `: ` needs quotes, and keys of one section the same indent",
    "'\\t'": "indent with spaces",
    "another document": "take the line `---` out",
    "expected <block end>": "keys of one section need the same indent",
}


def _refuse(text: str, name: str) -> None:
    """Refuse tags, aliases and deep nesting from the stream of events, before a tree is made of them."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels, which no recipe is"
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            message = "anchors and aliases (&, *) are not read: write the value out, or put it in quotes"
        elif tag := getattr(event, "tag", None):
            message = f"tags ({shorten(tag)}) are not read: write a plain value, or put it in quotes"
        else:
            continue
        raise UnreadableError(Problem(_place(name, event.start_mark), message))


def _convert(node: yaml.Node, path: Path_, name: str, document: Document) -> Any:
    """The plain value of a node; its place goes to the document's marks."""
    document.marks.setdefault(path, _place(name, node.start_mark))
    if isinstance(node, yaml.MappingNode):
        return _convert_mapping(node, path, name, document)
    if isinstance(node, yaml.SequenceNode):
        return tuple(_convert(item, (*path, number), name, document) for number, item in enumerate(node.value))
    return node.value if isinstance(node, yaml.ScalarNode) and node.style else _scalar(node.value)


def _convert_mapping(node: yaml.MappingNode, path: Path_, name: str, document: Document) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = _place(name, key_node.start_mark)
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode):
            document.problems.append(Problem(place, "a key is a single word"))
        elif key in values:
            first = document.where((*path, key)).text
            document.problems.append(Problem(place, f"`{shorten(key)}` stands twice: first at {first}; keep one"))
        else:
            document.marks[(*path, key)] = place
            values[key] = _convert(value_node, (*path, key), name, document)
    return values


def _parse_value(text: str) -> tuple[Any, list[Problem]]:
    """A value of the command line: plain text as it stands, the rest in YAML's one-line form."""
    if not text.startswith(("[", "{", '"', "'", "&", "*", "!")):
        return _scalar(text), []
    document = Document()
    try:
        node = _compose(text, "the value")
        assert node is not None  # the text is not empty
        return _convert(node, (), "the value", document), document.problems
    except UnreadableError as error:
        return None, [error.problem]


def _place(name: str, mark: Any) -> Place:
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Place(line, column, f"{name}:{line}:{column}")
