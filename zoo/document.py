"""YAML text -> plain values that remember where each of them stands.

PyYAML's safe loader with less: no tags, no anchors and aliases (so no alias bombs), no duplicate keys, no deep nesting, no
large files; and the scalars people expect: `1e-3` is a float, `no` is a string, `1:30` and `2021-01-01` stay text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 256 * 1024
MAX_DEPTH = 12

Path_ = tuple[str | int, ...]
"""Where a value stands in a document: keys and list positions from the top."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong: where it stands (`file:line:column`, or the word of the command line) and what to do about it."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"

    @property
    def position(self) -> tuple[int, ...]:
        """Line and column, for sorting; what stands in no line comes last."""
        numbers = re.findall(r":(\d+)", self.where)
        return tuple(int(number) for number in numbers[-2:]) or (MAX_BYTES,)


@dataclass
class Document:
    """A nested dict of plain values, and the place of every key and value in it."""

    values: dict[str, Any]
    marks: dict[Path_, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def where(self, path: Path_) -> str:
        """The place of a path, or of its nearest parent that has one."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, "recipe")

    def set(self, path: tuple[str, ...], value: Any, where: str) -> None:
        """Put a value at a dotted path, as `key=value` on the command line does; a name standing there becomes `{name: ...}`."""
        level: Any = self.values
        for key in path[:-1]:
            inner = level.get(key)
            if isinstance(inner, str):
                inner = {"name": inner}
            if not isinstance(inner, dict):
                inner = {}
            level[key] = inner
            level = inner
        level[path[-1]] = value
        for known in [known for known in self.marks if known[: len(path)] == path]:
            del self.marks[known]
        for length in range(1, len(path) + 1):
            self.marks.setdefault(path[:length], where)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: Any = {}


_INT, _FLOAT = r"[-+]?[0-9]+", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (_INT, list("-+0123456789")),
    "float": (_FLOAT, list("-+.0123456789")),
}
for _tag, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


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
        raise ValueError(f"not UTF-8 text (byte {error.start})") from error


def parse(text: str, name: str) -> Document:
    """Parse YAML text; what is wrong with it stands in `problems`, all at once where YAML can go on after it."""
    document = Document({})
    loader = _Loader(text)
    try:
        _refuse(text, name, document)
        node = loader.get_single_node()
        values = {} if node is None else _convert(node, (), name, document, loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        reason = " ".join(str(part) for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part)
        document.problems.append(Problem(place, reason or f"not YAML ({error})"))
        return document
    except _RefusedError:
        return document
    if isinstance(values, dict):
        document.values = values
    else:
        document.problems.append(Problem(f"{name}:1:1", f"expected sections such as `data:` and `train:`, found {values!r}"))
    return document


def parse_value(text: str, word: str, document: Document) -> Any:
    """The value of a `key=value` change, read as YAML; problems are added to `document`."""
    inner = parse(f"value: {text}" if text.strip() else "value:", f"`{word}`")
    document.problems += [Problem(f"command line, `{word}`", problem.message) for problem in inner.problems]
    return inner.values.get("value")


class _RefusedError(Exception):
    pass


def _refuse(text: str, name: str, document: Document) -> None:
    """Refuse tags, aliases and deep nesting from the stream of events, before anything is built from them."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels, which no recipe is"
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            message = "anchors and aliases (&, *) are not read: write the value out"
        elif getattr(event, "tag", None):
            message = f"tags ({event.tag}) are not read: write a plain value"
        else:
            continue
        document.problems.append(Problem(f"{name}:{event.start_mark.line + 1}:{event.start_mark.column + 1}", message))
        raise _RefusedError


def _convert(node: yaml.Node, path: Path_, name: str, document: Document, loader: _Loader) -> Any:
    document.marks.setdefault(path, _place(name, node))
    if isinstance(node, yaml.MappingNode):
        return _convert_mapping(node, path, name, document, loader)
    if isinstance(node, yaml.SequenceNode):
        return tuple(_convert(item, (*path, number), name, document, loader) for number, item in enumerate(node.value))
    return loader.construct_object(node)  # type: ignore[no-untyped-call]


def _convert_mapping(node: yaml.MappingNode, path: Path_, name: str, document: Document, loader: _Loader) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = _place(name, key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            document.problems.append(Problem(place, "a key is a single word"))
            continue
        key = str(key_node.value)
        if key in values:
            document.problems.append(Problem(place, f"`{key}` stands twice: first at {document.where((*path, key))}; keep one"))
            continue
        document.marks[(*path, key)] = place
        values[key] = _convert(value_node, (*path, key), name, document, loader)
    return values


def _place(name: str, node: yaml.Node) -> str:
    return f"{name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
