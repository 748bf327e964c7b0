"""A study's file: a base recipe and axes of changes of it -> checked values, or all that is wrong with them at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import MinLen
from pydantic import Field

from zoo import paths
from zoo.checking import checked_section
from zoo.document import Document, Path_, Place, UnreadableError, parse, read_text, shown
from zoo.errors import RecipeError
from zoo.nearest import nearest
from zoo.recipe import find
from zoo.sections import Count, Section, Seed, Text

Scalar = str | int | float
"""What an axis stands at: the name of one of its values, or a number of its range."""
KEYS = ("question", "recipe", "axes", "seeds", "search", "settings", "changes", "synthetic")
RANGE = {"low", "high", "log"}


class Head(Section):
    """What stands in a study outside of its axes and changes."""

    question: str = Field("", description="what the study asks, in one sentence; default: the recipe's")
    recipe: Text = Field(description="the base: a recipe's name, or its file, relative to the study's")
    seeds: Annotated[tuple[Seed, ...], MinLen(1)] = Field((0,), description="each setting is trained once with each seed")
    search: Literal["grid", "random", "tpe"] = Field("grid", description="grid: all settings; random, tpe: so many as `settings` says")
    settings: Count | None = Field(None, description="how many settings are drawn, for random and tpe")


@dataclass(frozen=True)
class Change:
    """A value for a key of the recipe, and where the study says so."""

    path: tuple[str, ...]
    value: Any
    place: Place


@dataclass(frozen=True)
class Axis:
    """What a study varies: named values, each a set of changes, or a range of one key.

    Attributes:
        name: as in the file.
        values: name -> its changes; {} for a range.
        low, high, log: of a range; both ends included. Whole numbers draw whole numbers.
    """

    name: str
    values: Mapping[str, tuple[Change, ...]]
    place: Place
    low: int | float = 0
    high: int | float = 0
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether a range holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Scalar, ...]:
        """All its values, or the two ends of its range."""
        return tuple(self.values) or (self.low, self.high)

    def holds(self, value: object) -> bool:
        """Whether the axis can stand there."""
        if self.values:
            return isinstance(value, str) and value in self.values
        return isinstance(value, int if self.whole else int | float) and self.low <= value <= self.high

    def changes(self, value: Scalar) -> tuple[Change, ...]:
        """What standing there changes in the recipe."""
        return self.values[str(value)] if self.values else (Change(tuple(self.name.split(".")), value, self.place),)


@dataclass(frozen=True)
class Study:
    """A checked study.

    Attributes:
        name: the file's; its runs are in `$ZOO_HOME/runs/<name>/`.
        text: of the file.
        base: the base recipe, as it stands in its file.
        base_name: the base recipe's name.
        settings: how many are drawn; 0 for all.
        changes, synthetic: of the recipe for all cells, and over these where drawn data is read.
    """

    name: str
    file: Path
    text: str
    question: str
    base: Document
    base_name: str
    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]
    search: Literal["grid", "random", "tpe"]
    settings: int
    changes: tuple[Change, ...]
    synthetic: tuple[Change, ...]

    @property
    def folder(self) -> Path:
        """Where its cells and its own files lie."""
        return paths.runs() / self.name


def read(path: str | Path) -> Study:
    """Read a study's file.

    Raises:
        RecipeError: everything that is wrong, one line each.
    """
    file = _find(path)
    document = _document(file)
    for key in document.values:
        if key not in KEYS:
            document.report((key,), f"unknown key `{key}`{nearest(key, KEYS)}; expected one of {', '.join(KEYS)}")
    head = checked_section(
        Head, (), {key: document.values[key] for key in Head.model_fields if document.values.get(key) is not None}, document
    )
    axes = tuple(_axes(document))
    changes, synthetic = (tuple(_section(document, key)) for key in ("changes", "synthetic"))
    base = _base(head.recipe, file, document) if head else None
    if head:
        _check_search(head, axes, document)
    problems = sorted(document.problems, key=lambda problem: problem.place)
    if problems or head is None or base is None:
        raise RecipeError("\n".join(dict.fromkeys(map(str, problems))))
    question = head.question or base.values.get("question") or ""
    text, settings = read_text(file), 0 if head.search == "grid" else head.settings or 0
    return Study(
        *(file.stem, file, text, question, base, find(_base_file(head.recipe, file)).stem, axes, tuple(dict.fromkeys(head.seeds))),
        *(head.search, settings, changes, synthetic),
    )


def _find(path: str | Path) -> Path:
    file, known = Path(path), studies()
    if not os.path.isfile(file):  # not Path.is_file, which raises on names too long or with a NUL
        if str(path) not in known:
            folders = ", ".join(str(folder / "studies") for folder in paths.recipe_folders())
            raise RecipeError(f"{path}: no such study{nearest(file.stem, known)}; looked in {folders}")
        file = known[str(path)]
    if not re.fullmatch(r"\w[\w.-]*", file.stem):
        raise RecipeError(f"{file}: a study's name becomes that of its folder and is made of letters, digits, _ . and -: rename the file")
    if file.stem in paths.recipes():
        raise RecipeError(f"{file}: a recipe has this name, and its runs lie in the folder of that name: rename the study's file")
    return file


def studies() -> dict[str, Path]:
    """Name -> file of every study that can be called by name: `studies/` in the folders of recipes."""
    return {file.stem: file for folder in reversed(paths.recipe_folders()) for file in sorted((folder / "studies").glob("*.yaml"))}


def _document(file: Path) -> Document:
    try:
        return parse(read_text(file), str(file))
    except UnreadableError as error:
        raise RecipeError(str(error)) from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"{file}: cannot be read: {error}") from error


def _base_file(name: str, study: Path) -> str | Path:
    beside = study.parent / name
    return beside if os.path.isfile(beside) else name


def _base(name: str, study: Path, document: Document) -> Document | None:
    """The base recipe; a study's own `synthetic:` and `changes:` come over it later."""
    try:
        return _document(find(_base_file(name, study)))
    except RecipeError as error:
        document.report(("recipe",), f"`recipe`: {error}")
        return None


# ---------------------------------------------------------------- axes and changes


def _axes(document: Document) -> Iterator[Axis]:
    given = document.values.get("axes")
    if not isinstance(given, dict) or not given:
        example = "such as `network: {resnet: {backbone.name: resnet18}, vit: {backbone.name: vit_tiny}}` or `train.lr: [1e-3, 1e-4]`"
        found = "" if given is None else f", found {shown(given)}"
        document.report(("axes",), f"`axes`: expected a section of what varies, {example}{found}")
        return
    for name, value in given.items():
        path = ("axes", name)
        if name in ("seed", "split.seed"):
            document.report(path, f"`axes.{name}`: repeats stand in `seeds`, over one split: take the axis out")
        elif isinstance(value, tuple):
            yield from _listed(name, value, document)
        elif isinstance(value, dict) and value and value.keys() <= RANGE:
            yield from _range(name, value, document)
        elif isinstance(value, dict) and value:
            values = {key: tuple(_changes(inner, (*path, key), document)) for key, inner in value.items()}
            yield Axis(name, values, document.where(path))
        else:
            document.report(
                path, f"`axes.{name}`: expected named values, a list in [ ], or a range {{low: ..., high: ...}}, found {shown(value)}"
            )


def _listed(name: str, values: tuple[Any, ...], document: Document) -> Iterator[Axis]:
    """`train.lr: [1e-3, 1e-4]`: the values of one key are named after themselves."""
    path, named = ("axes", name), {}
    for number, value in enumerate(values):
        place = document.where((*path, number))
        word = "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        if isinstance(value, dict | tuple):
            message = f"`axes.{name}`: {shown(value)} needs a name: write `{name}:` as a section, such as `short: {{{name}: ...}}`"
            document.report((*path, number), message)
        elif word in named:
            document.report((*path, number), f"`axes.{name}`: {shown(value)} stands twice; keep one")
        named[word] = (Change(tuple(name.split(".")), value, place),)
    if not values:
        document.report(path, f"`axes.{name}`: the list is empty: write at least two values")
        return
    yield Axis(name, named, document.where(path))


def _range(name: str, value: Mapping[str, Any], document: Document) -> Iterator[Axis]:
    path = ("axes", name)
    low: Any = value.get("low")
    high: Any = value.get("high")
    log = value.get("log", False)
    wrong = [key for key, end in (("low", low), ("high", high)) if isinstance(end, bool) or not isinstance(end, int | float)]
    for key in wrong:
        document.report((*path, key), f"`axes.{name}.{key}`: expected a number, found {shown(value.get(key))}")
    if not isinstance(log, bool):
        document.report((*path, "log"), f"`axes.{name}.log`: expected true or false, found {shown(log)}")
    elif not wrong and not (low < high < float("inf") and low > float("-inf")):
        document.report(path, f"`axes.{name}`: expected `low` below `high`, both finite, found {low} and {high}")
    elif not wrong and log and low <= 0:
        document.report((*path, "low"), f"`axes.{name}.low`: with `log: true` expected more than 0, found {low}")
    elif not wrong:
        if not (isinstance(low, int) and isinstance(high, int)):
            low, high = float(low), float(high)
        yield Axis(name, {}, document.where(path), low, high, log)


def _section(document: Document, key: str) -> Iterator[Change]:
    value = document.values.get(key)
    return _changes(value, (key,), document) if value is not None else iter(())


def _changes(values: Any, path: Path_, document: Document, under: tuple[str, ...] = ()) -> Iterator[Change]:
    """Leaves of nested or dotted changes; a section with a `name` replaces the whole one."""
    if not isinstance(values, dict):
        key = ".".join(map(str, path))
        document.report(path, f"`{key}`: expected changes of the recipe such as `task.loss: focal`, found {shown(values)}")
        return
    for key, value in values.items():
        inner = (*under, *key.split("."))
        if not all(inner) or inner[0] in ("synthetic", "expect", "reference"):
            document.report((*path, key), f"`{key}`: expected a key of the recipe, such as `backbone.name`")
        elif inner in (("seed",), ("split", "seed")) and path[0] == "axes":
            document.report((*path, key), f"`{key}`: repeats stand in `seeds`, over one split: take it out of the axis")
        elif inner == ("seed",):
            document.report((*path, key), "`seed`: a study's seeds stand in `seeds`: take it out")
        elif isinstance(value, dict) and "name" not in value:
            yield from _changes(value, (*path, key), document, inner)
        else:
            yield Change(inner, value, document.where((*path, key)))


def _check_search(head: Head, axes: Sequence[Axis], document: Document) -> None:
    """What is right by itself and wrong together."""
    if head.search != "grid" and head.settings is None:
        document.report(("search",), f"`search: {head.search}` draws settings: say how many, such as `settings: 20`")
    if head.search == "grid" and head.settings is not None:
        document.report(("settings",), "`settings` is for `search: random` and `search: tpe`; a grid has all of them: take it out")
    for axis in axes:
        if head.search == "grid" and not axis.values:
            message = f"`axes.{axis.name}` is a range, which a grid cannot fill: list values, or set `search: random`"
            document.report(("axes", axis.name), message)
