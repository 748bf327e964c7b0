"""Recipe: a YAML file, its changes from the command line -> checked, frozen values, or all that is wrong with them at once.

The order of values is: the recipe < its `synthetic:` section (when drawn data is read) < `key=value` of the command line.
No torch here: checking a recipe is cheap.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import paths
from zoo.checking import check, layered
from zoo.document import COMMAND_LINE, Document, UnreadableError, dump, parse, read_text
from zoo.errors import RecipeError
from zoo.nearest import nearest
from zoo.sections import Backbone, Checkpoint, Data, Expect, Monitor, Plugin, Reference, Section, Split, Task, Train

MOST = 100
"""Problems that are listed: a recipe has fewer, a file of another kind may have thousands."""


@dataclass(frozen=True)
class Recipe:
    """A checked recipe. Sections with a name hold the options of what they name (`options`)."""

    name: str
    question: str
    seed: int
    split: Split
    data: Data
    backbone: Backbone | None
    task: Task
    train: Train
    checkpoint: Checkpoint
    monitor: Monitor
    expect: Expect
    reference: tuple[Reference, ...]
    synthetic: bool

    @classmethod
    def read(cls, path: str | Path, changes: Sequence[str] = ()) -> Recipe:
        """Read a recipe by path or bare name, with `key=value` changes.

        Raises:
            RecipeError: everything that is wrong, one line each.
        """
        file = find(path)
        if not re.fullmatch(r"\w[\w.-]*", file.stem):
            raise RecipeError(
                f"{file}: a recipe's name becomes that of its runs and is made of letters, digits, _ . and -: rename the file"
            )
        try:
            text = read_text(file)
        except (OSError, ValueError) as error:
            raise RecipeError(f"{file}: cannot be read: {error}") from error
        return cls.parse(text, str(file), file.stem, changes)

    @classmethod
    def parse(cls, text: str, file: str, name: str, changes: Sequence[str] = ()) -> Recipe:
        """Check the text of a recipe; `file` is the name that stands in its errors, `name` the recipe's own.

        Raises:
            RecipeError: everything that is wrong, one line each.
        """
        try:
            document = parse(text, file)
        except UnreadableError as error:
            raise RecipeError(str(error)) from error
        layers = [layered(document, (), synthetic=False), layered(document, (), synthetic=True)]
        for layer in layers:  # the file is right whichever data is read; the changes need only fit the data that is
            check(layer)
        changed = layered(document, changes, synthetic=False)
        parts = check(changed)
        synthetic = parts["data"] is not None and reads_synthetic(parts["data"])
        if synthetic:
            changed = layered(document, changes, synthetic=True)
            parts = check(changed)
        _raise([document, *layers, changed], "synthetic" in document.values and synthetic)
        return cls(name=name, synthetic=synthetic, **parts)

    def changed(self, changes: Sequence[str]) -> Recipe:
        """This recipe with `key=value` changes.

        Raises:
            RecipeError: as `read`.
        """
        return Recipe.parse(self.to_yaml(), self.name, self.name, changes)

    def root(self) -> Path:
        """The folder that real data is read from."""
        return data_root(self.data)

    def to_yaml(self) -> str:
        """The effective recipe with every default, as a recipe that can be read again."""
        return dump(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The effective recipe with every default, as plain data."""
        plain: dict[str, Any] = {"question": self.question, "seed": self.seed}
        for key in ("split", "data", "backbone", "task", "train", "checkpoint", "monitor", "expect"):
            section: Section | None = getattr(self, key)
            if section is not None:
                plain[key] = section.model_dump(mode="json")
        plain["reference"] = [reference.model_dump(mode="json") for reference in self.reference]
        return plain


def _raise(documents: Sequence[Document], drawn: bool) -> None:
    """Raise all problems of the documents, sorted by place, each once."""
    problems = sorted((problem for document in documents for problem in document.problems), key=lambda problem: problem.place)
    lines = list(dict.fromkeys(map(str, problems)))
    if drawn and any(problem.place.line == COMMAND_LINE for problem in problems):
        lines.append("(Drawn data is read here, so the recipe's `synthetic:` section lies over the rest of it.)")
    if len(lines) > MOST:
        lines[MOST:] = [f"... and {len(lines) - MOST} more"]
    if lines:
        raise RecipeError("\n".join(lines))


def options(section: Section) -> dict[str, Any]:
    """The values of a named section that its class takes: all but those every section of the kind has."""
    common = next(base for base in type(section).__mro__ if base in (Data, Backbone, Task, Plugin)).model_fields
    return {key: getattr(section, key) for key in type(section).model_fields if key not in common}


def find(path: str | Path) -> Path:
    """The file of a recipe given as a path or a bare name.

    Raises:
        RecipeError: neither; names the nearest recipe.
    """
    if os.path.isfile(path):  # not Path.is_file, which raises on names too long or with a NUL
        return Path(path)
    known = paths.recipes()
    if str(path) in known:
        return known[str(path)]
    what = "a folder, not a recipe" if os.path.isdir(path) else "no such recipe"
    folders = ", ".join(map(str, paths.recipe_folders())) or "no recipes folder"
    raise RecipeError(f"{path}: {what}{nearest(Path(path).stem, known)}. Looked in {folders}; `zoo list` shows them all.")


def data_root(data: Data) -> Path:
    """`data.root` below `$ZOO_DATA`, or the source's name there."""
    return paths.data() / os.path.expanduser(data.root if data.root is not None else data.name)


def reads_synthetic(data: Data) -> bool:
    """Whether drawn data will be read: by wish, because there is no real data, or because `root` itself is drawn."""
    root = data_root(data)
    if data.synthetic == "auto":
        return not os.path.exists(root) or os.path.isfile(root / "SYNTHETIC.json")
    return data.synthetic == "always"
