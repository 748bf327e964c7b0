"""Axes -> settings -> cells: each an ordinary recipe, all checked before any is trained.

A setting is one value on each axis; a cell is a setting with a seed, trained as one run. The order of values is: the base recipe and
its `synthetic:` section < the study's `changes` and its `synthetic:` < the axes < `key=value` of the command line.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.checking import check, layered
from zoo.document import Document, Problem
from zoo.errors import RecipeError
from zoo.recipe import Recipe, reads_synthetic
from zoo.studies.definition import Axis, Change, Scalar, Study

MOST_CELLS = 1000
MOST_BYTES = 150
"""Of a cell's id: file systems take 255, and what is named after it has endings."""
Setting = Mapping[str, Scalar]
"""Axis -> where it stands, in the order of the axes."""


@dataclass(frozen=True)
class Cell:
    """A setting with a seed: one run, in the study's folder under its id."""

    id: str
    setting: Setting
    seed: int
    recipe: Recipe


class Plan:
    """What a study will train.

    Args:
        study: checked.
        words: `key=value` changes for all cells.

    Attributes:
        cells: all, in order, for grid and random; for tpe those that are drawn come later (`cell`).
        monitor: metric and mode, which all cells share.
        synthetic: whether drawn data is read.

    Raises:
        RecipeError: everything that is wrong with any of its recipes.
    """

    def __init__(self, study: Study, words: Sequence[str] = ()) -> None:
        self.study, self.words = study, tuple(words)
        _refuse_seed(words)
        _check_base(study)
        _check_size(study)
        settings = list(_drawn(study)) if study.search != "tpe" else []
        # A range's ends and all values of the others stand for what may be drawn between them.
        self._check_all(settings if study.search == "grid" else [*settings, *_corners(study.axes)])
        self.cells = [self.cell(setting, seed) for setting in settings for seed in study.seeds]
        first = self.cells[0] if self.cells else self.cell(next(_corners(study.axes)), study.seeds[0])
        monitor = first.recipe.monitor
        self.monitor, self.synthetic, self.recipe = (monitor.metric, monitor.mode), first.recipe.synthetic, first.recipe
        self.ids = {cell.id: cell for cell in self.cells}

    def cell(self, setting: Setting, seed: int) -> Cell:
        """The cell of a setting that lies on the axes.

        Raises:
            RecipeError: its recipe is wrong.
        """
        recipe, problems = self._recipe(setting, seed)
        if recipe is None or problems:
            raise RecipeError("\n".join(f"{problem}" for problem in problems))
        return Cell(cell_id(setting, seed), dict(setting), seed, recipe)

    def has(self, setting: Mapping[str, Any], seed: int) -> bool:
        """Whether such a cell belongs to the study as it stands now."""
        axes = self.study.axes
        # The order counts: it is that of the words in a cell's id.
        fits = list(setting) == [axis.name for axis in axes] and all(axis.holds(setting[axis.name]) for axis in axes)
        return fits and seed in self.study.seeds and (self.study.search == "tpe" or cell_id(setting, seed) in self.ids)

    def ordered(self, setting: Mapping[str, Any]) -> dict[str, Scalar]:
        """The setting in the order of the axes, with ranges' values as they are written."""
        return {axis.name: tidy(axis, setting[axis.name]) for axis in self.study.axes}

    # ------------------------------------------------------------ recipes

    def _recipe(self, setting: Setting, seed: int) -> tuple[Recipe | None, list[Problem]]:
        layer = self._layer(setting, seed, synthetic=False)
        parts = check(layer)
        synthetic = parts["data"] is not None and reads_synthetic(parts["data"])
        if synthetic:
            layer = self._layer(setting, seed, synthetic=True)
            parts = check(layer)
        if layer.problems:
            return None, layer.problems
        return Recipe(name=self.study.name, synthetic=synthetic, **parts), []

    def _layer(self, setting: Setting, seed: int, synthetic: bool) -> Document:
        """The base recipe with all that lies over it."""
        study, own = self.study, [word for word in self.words if word.startswith("synthetic.")]
        layer = layered(study.base, own, synthetic)
        _lay(layer, study.changes)
        if synthetic:
            _lay(layer, study.synthetic)
        for axis in study.axes:
            _lay(layer, axis.changes(setting[axis.name]))
        for number, word in enumerate(self.words):
            if word not in own:
                layer.change(word, number)
        layer.values["seed"] = seed
        layer.values.pop("expect", None)  # said of the base recipe, not of its variants
        return layer

    def _check_all(self, settings: Sequence[Setting]) -> None:
        """Raise all that is wrong with any recipe, each once, with the settings it is wrong in unless it is all of them."""
        found: dict[str, list[str]] = {}
        places: dict[str, Any] = {}
        recipes: dict[str, Recipe] = {}
        for setting in settings:
            recipe, problems = self._recipe(setting, self.study.seeds[0])
            name = cell_id(setting, self.study.seeds[0]).rpartition("-")[0]
            if recipe is not None:
                recipes[name] = recipe
            for problem in problems:
                found.setdefault(str(problem), []).append(name)
                places[str(problem)] = problem.place
        if found:
            lines = [f"{line}{_within(found[line], len(settings))}" for line in sorted(found, key=lambda line: places[line])]
            raise RecipeError("\n".join(lines))
        _check_ids(settings)
        _check_together(recipes)


def _within(names: Sequence[str], total: int) -> str:
    if len(set(names)) == total:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f" (in {', '.join(list(dict.fromkeys(names))[:3])}{more})"


def _lay(layer: Document, changes: Sequence[Change]) -> None:
    for change in changes:
        layer.set(change.path, change.value, change.place)


def _refuse_seed(words: Sequence[str]) -> None:
    if wrong := [word for word in words if word.partition("=")[0].strip() == "seed"]:
        raise RecipeError(f"command line, `{wrong[0]}`: a study's seeds stand in its file: `seeds: [0, 1, 2]`")


def _check_base(study: Study) -> None:
    """The base recipe must be right by itself: what is wrong with it is said once, and not of each cell."""
    layers = [layered(study.base, (), synthetic) for synthetic in (False, True)]
    for layer in layers:
        check(layer)
    problems = sorted((problem for layer in layers for problem in layer.problems), key=lambda problem: problem.place)
    if problems := [*study.base.problems, *problems]:
        raise RecipeError("\n".join(dict.fromkeys(map(str, problems))))


def _check_size(study: Study) -> None:
    """Raise if more settings shall be drawn than there are: a search would ask for them in vain."""
    total = math.prod(map(_size, study.axes))
    if study.settings > total:
        listed = "set" if all(axis.values for axis in study.axes) else "ask for fewer, or list the values of the ranges and set"
        raise RecipeError(f"{study.file}: `settings: {study.settings}` of the {total} that there are: {listed} `search: grid`")


def _check_ids(settings: Sequence[Setting]) -> None:
    """Raise if two settings' runs would lie in one folder, or in one whose name is too long."""
    seen: dict[str, Setting] = {}
    for setting in settings:
        name = cell_id(setting, 0)
        if name in seen and seen[name] != setting:
            raise RecipeError(f"axes: {dict(seen[name])} and {dict(setting)} would both be called {name!r}: give their values other names")
        if len(name.encode("utf-8", "surrogateescape")) > MOST_BYTES:
            raise RecipeError(f"axes: {name[:60]!r}... is too long for a folder's name: give the values shorter names")
        seen[name] = setting


def _check_together(recipes: Mapping[str, Recipe]) -> None:
    """Raise if recipes cannot be compared: equal ones, other monitors, drawn and real data."""
    seen: dict[str, str] = {}
    first_name, first = next(iter(recipes.items()))
    for name, recipe in recipes.items():
        text = recipe.to_yaml()
        if text in seen:
            raise RecipeError(
                f"axes: {seen[text]!r} and {name!r} would be the same training: an axis changes nothing, or a change of the command line "
                "lies over it; take one of them out"
            )
        seen[text] = name
        if (recipe.monitor.metric, recipe.monitor.mode) != (first.monitor.metric, first.monitor.mode):
            raise RecipeError(f"axes: {first_name!r} and {name!r} differ in `monitor`, which decides which is best: give all one")
        if recipe.synthetic != first.synthetic:
            raise RecipeError(f"axes: {first_name!r} and {name!r} read real and drawn data, which are never compared: give all one kind")


# ---------------------------------------------------------------- settings


def cell_id(setting: Mapping[str, Any], seed: int) -> str:
    """`unet-dice-0`, `lr0.001-dice-0`: where each axis stands, and the seed."""
    return "-".join([*(_part(word) for word in words(setting)), str(seed)])


def words(setting: Mapping[str, Any]) -> list[str]:
    """Where each axis stands, as people say it: `unet`, `lr 0.001`."""
    return [_said(axis, value) for axis, value in setting.items()]


def _said(axis: str, value: object) -> str:
    """A name speaks for itself, a number needs its axis."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{axis.rpartition('.')[2]} {text}" if re.fullmatch(r"[-+.\d]+(e[-+]?\d+)?|true|false|none", text) else text


def _part(text: str) -> str:
    """A word as a part of a folder's name."""
    return re.sub(r"[^\w.+]+", "_", re.sub(r" (?=[\d.])", "", text)).lstrip(".") or "_"


def tidy(axis: Axis, value: Scalar) -> Scalar:
    """A drawn number with four digits, as it then stands in the recipe, the folder's name and the table."""
    if axis.values or isinstance(value, int | str):
        return value
    return min(max(float(f"{value:.4g}"), float(axis.low)), float(axis.high))


def _corners(axes: Sequence[Axis]) -> Iterator[dict[str, Scalar]]:
    """All values, and both ends of ranges; of very many each value with the first of the other axes."""
    if math.prod(len(axis.ends) for axis in axes) <= MOST_CELLS:
        yield from _grid(axes)
        return
    first = {axis.name: axis.ends[0] for axis in axes}
    yield first
    for axis in axes:
        yield from (first | {axis.name: value} for value in axis.ends[1:])


def _grid(axes: Sequence[Axis]) -> Iterator[dict[str, Scalar]]:
    names = [axis.name for axis in axes]
    yield from (dict(zip(names, values, strict=True)) for values in itertools.product(*(axis.ends for axis in axes)))


def _drawn(study: Study) -> Iterator[dict[str, Scalar]]:
    """The settings of a grid, or different ones at random: the same for the same file on every machine."""
    total = math.prod(map(_size, study.axes))
    wished = total if study.search == "grid" else study.settings
    if wished * len(study.seeds) > MOST_CELLS:
        raise RecipeError(
            f"{study.file}: {wished:,.0f} settings with {len(study.seeds)} seeds are more than {MOST_CELLS} cells: leave some out"
        )
    if study.search == "grid":
        yield from _grid(study.axes)
        return
    generator, seen = random.Random(study.seeds[0]), dict[str, dict[str, Scalar]]()
    for _ in range(100 * study.settings):
        setting = {axis.name: tidy(axis, _draw(axis, generator)) for axis in study.axes}
        if len(seen) < wished:
            seen.setdefault(cell_id(setting, 0), setting)
    if len(seen) < wished:
        raise RecipeError(
            f"{study.file}: `settings: {study.settings}`: the ranges are so narrow that only {len(seen)} were found: ask for fewer"
        )
    yield from seen.values()


def _size(axis: Axis) -> float:
    """How many values an axis has."""
    return len(axis.values) or (axis.high - axis.low + 1 if axis.whole else math.inf)


def _draw(axis: Axis, generator: random.Random) -> Scalar:
    if axis.values:
        return generator.choice(list(axis.values))
    if not axis.log:
        return generator.randint(int(axis.low), int(axis.high)) if axis.whole else generator.uniform(axis.low, axis.high)
    value = math.exp(generator.uniform(math.log(axis.low), math.log(axis.high)))
    return min(max(round(value), int(axis.low)), int(axis.high)) if axis.whole else value
