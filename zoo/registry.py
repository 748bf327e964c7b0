"""A short name in a recipe -> the class in the module of that name, and the options its constructor takes.

The folder is the registry: `task: {name: segmentation}` means the one class in `zoo/tasks/segmentation.py` that inherits `Task`.
Names and options are read from the source text, so that listing and checking import nothing heavy. Installed packages add
their own through entry points of the group `zoo.plugins`, named `<kind>.<name>` (`tasks.counting = my_package.counting:Counting`);
no file that zoo reads can name an import path. Callbacks, loggers and hooks come from there only: they are classes of other
libraries, not written for recipes, so of their arguments those are options that a recipe can express (docs/plugins.md).
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.metadata
import importlib.util
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import annotated_types

from zoo.backbones.names import timm_names
from zoo.errors import RecipeError, ZooError

Kind = Literal["datasets", "backbones", "tasks", "engines", "callbacks", "loggers", "hooks"]

BASES: Mapping[Kind, str] = {"datasets": "Source", "backbones": "Backbone", "tasks": "Task", "engines": "Engine"}
"""The kinds that have a folder in zoo, and the class that all of a kind inherit."""
PLUGGED: tuple[Kind, ...] = ("callbacks", "loggers", "hooks")
"""The kinds that only installed packages bring."""
SUPPLIED = frozenset(
    {"self", "root", "spec", "backbone", "name", "channels", "form", "pretrained", "size", "conditions", "trained", "networks"}
)
"""Arguments that `build.py` gives; all others are options of a recipe."""
SUPPLIED_TO_PLUGGED = frozenset({"self", "save_dir"})
"""The same for the kinds that only installed packages bring."""

log = logging.getLogger("zoo")

REQUIRED: Any = ...
"""The default of an option that has none."""


@dataclass(frozen=True)
class Option:
    """One argument of a constructor or a transform: its type (pydantic's language) and default (`REQUIRED` for none)."""

    type: Any
    default: Any


@dataclass(frozen=True)
class Entry:
    """Where a registered class is: its module, its name, and the file to read its signature from."""

    module: str
    cls: str
    file: Path


@cache
def names(kind: Kind, timm: bool = True) -> tuple[str, ...]:
    """All short names of one kind, sorted: zoo's own, those of installed plugins and, for backbones, timm's if they are asked for."""
    own = set(_folder(kind)) | set(_plugins(kind))
    if kind == "backbones":
        own = (own - {"timm"}) | (set(timm_names()) if timm else set())
    return tuple(sorted(own))


def known(kind: Kind, name: str) -> bool:
    """Whether a short name exists."""
    return name in names(kind)


def missing(kind: Kind, name: str) -> str | None:
    """The module that a plugin of this name should lie in and that is not installed; None if no such plugin is known."""
    point = _points(kind).get(name)
    return point.module if point and not known(kind, name) else None


def entry(kind: Kind, name: str) -> Entry:
    """Where the class of a short name is.

    Raises:
        RecipeError: there is no such name.
    """
    if not known(kind, name):
        raise RecipeError(f"{name!r} is not one of the {kind}: see `zoo list {kind}`")
    if name in _folder(kind):
        return _folder(kind)[name]
    if name in _plugins(kind):
        return _plugins(kind)[name]
    return _folder(kind)["timm"]


def options(kind: Kind, name: str) -> dict[str, Option]:
    """The options a recipe may give to the class of a short name, from its constructor's source text.

    Raises:
        ZooError: a plugin lacks the class, or takes options of other types.
    """
    found = entry(kind, name)
    return _plugged_options(found) if kind in PLUGGED else _class_options(found)


def arguments(kind: Kind, name: str) -> frozenset[str]:
    """All arguments of the constructor of a short name's class, those that `build.py` gives included."""
    constructor = _constructor(entry(kind, name))
    return frozenset(argument.arg for argument, _ in _arguments(constructor.args)) if constructor else frozenset()


def attribute(kind: Kind, name: str, attribute: str) -> Any:
    """An annotated class attribute of plain value, from the source text; None if the class does not set it."""
    for node in _class(entry(kind, name)).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == attribute and node.value:
            return ast.literal_eval(node.value)
    return None


def load(kind: Kind, name: str) -> Any:
    """Import and return the class of a short name.

    Raises:
        ZooError: something that it needs is not installed.
    """
    found = entry(kind, name)
    try:
        return getattr(importlib.import_module(found.module), found.cls)
    except ImportError as error:
        raise ZooError(f"{name!r} of the {kind} cannot be imported from {found.module}: {error}; install what it needs") from error


def transform_options() -> dict[str, dict[str, Option]]:
    """The augmentations of `zoo/datasets/transforms.py`: the functions it lists in `__all__`, with their options."""
    tree = _parse(Path(__file__).parent / "datasets" / "transforms.py")
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    listed = next(ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign) and _is_all(node))
    return {name: _options(functions[name].args) for name in listed if name in functions}


@cache
def _folder(kind: Kind) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    if kind not in BASES:
        return found
    for file in sorted((Path(__file__).parent / kind).glob("*.py")):
        text = file.read_text(encoding="utf-8")
        if f"({BASES[kind]})" not in text:
            continue
        for node in _parse(file).body:
            if isinstance(node, ast.ClassDef) and any(isinstance(base, ast.Name) and base.id == BASES[kind] for base in node.bases):
                found[file.stem] = Entry(f"zoo.{kind}.{file.stem}", node.name, file)
    return found


@cache
def _plugins(kind: Kind) -> dict[str, Entry]:
    found = {}
    for name, point in _points(kind).items():
        file = _module_file(point.module)
        if file is not None:
            found[name] = Entry(point.module, point.attr, file)
        elif not _of_library(point):  # zoo itself names classes of libraries that need not be there
            log.warning("plugin %s: there is no module %s; install its package again, or uninstall it", point.name, point.module)
    return found


@cache
def _points(kind: Kind) -> dict[str, importlib.metadata.EntryPoint]:
    """The entry points of one kind by short name. A library's own class keeps its name, else the first that is found."""
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for point in sorted(_entry_points(), key=lambda point: not _of_library(point)):
        group, _, name = point.name.partition(".")
        if group == kind and found.setdefault(name, point).value != point.value:
            log.warning("plugin %s: %s is left out, since the name stands for %s", point.name, point.value, found[name].value)
    return found


def _of_library(point: importlib.metadata.EntryPoint) -> bool:
    return point.module.partition(".")[0] in ("pytorch_lightning", "mmengine")


@cache
def _entry_points() -> tuple[importlib.metadata.EntryPoint, ...]:
    """Of all installed distributions; finding them takes longest of all that checking a recipe does, so it is done once.

    Each once, but also of a distribution that is found twice: in a checkout the first may be what an old build left behind.
    """
    points = (point for found in importlib.metadata.distributions() for point in found.entry_points)
    return tuple(dict.fromkeys(point for point in points if point.group == "zoo.plugins"))


def _module_file(module: str) -> Path | None:
    """The source file of a module, found without importing its package: that might import torch."""
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None
    if not inner:
        return Path(spec.origin) if spec.origin else None
    stems = [Path(folder, *inner) for folder in spec.submodule_search_locations or ()]
    files = [file for stem in stems for file in (stem.with_suffix(".py"), stem / "__init__.py")]
    return next((file for file in files if file.is_file()), None)


@cache
def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def _is_all(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)


def _class(found: Entry) -> ast.ClassDef:
    for node in _parse(found.file).body:
        if isinstance(node, ast.ClassDef) and node.name == found.cls:
            return node
    raise ZooError(f"{found.module}: {found.file} has no class {found.cls!r}; mend the entry point that names it")


@cache
def _class_options(found: Entry) -> dict[str, Option]:
    constructor = _constructor(found)
    if constructor is None:
        return {}
    try:
        return _options(constructor.args)
    except (TypeError, ValueError) as error:
        raise ZooError(f"{found.file}:{constructor.lineno}: {found.cls}'s options cannot be read: {error}") from error


def _plugged_options(found: Entry) -> dict[str, Option]:
    """Of a class that was not written for recipes: what no recipe can express keeps its default. An inherited constructor is not read.

    Raises:
        ZooError: an argument that must be given cannot be expressed.
    """
    constructor = _constructor(found)
    options = {}
    for argument, default in _arguments(constructor.args) if constructor else ():
        if argument.arg in SUPPLIED_TO_PLUGGED:
            continue
        try:
            options[argument.arg] = _plugged_option(argument, default)
        except (TypeError, ValueError, SyntaxError) as error:
            if default is None:
                raise ZooError(
                    f"{found.file}:{argument.lineno}: {found.cls} cannot be named in a recipe, since its argument `{argument.arg}` "
                    f"has no default and {error}; inherit from the class, give the argument a value there and register that class"
                ) from error
    return options


def _plugged_option(argument: ast.arg, default: ast.expr | None) -> Option:
    if argument.arg == "name" or argument.arg.startswith(("_", "model_")):  # the key that names the class; what pydantic keeps for itself
        raise TypeError(f"`{argument.arg}` cannot be an option")
    kind = _type(_Modern().visit(argument.annotation) if argument.annotation else None)
    value = REQUIRED if default is None else ast.literal_eval(default)
    if isinstance(value, list | dict | set):
        raise TypeError(f"{ast.unparse(argument)} has a default that cannot be written back")
    return Option(kind | None if value is None else kind, value)  # `x: int = None` is often written


class _Modern(ast.NodeTransformer):
    """Rewrites an annotation: `X | Y` for `Optional` and `Union`, names for `typing.X`, and for a string what it says."""

    def visit_Constant(self, node: ast.Constant) -> Any:
        return self.visit(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        return ast.Name(node.attr) if isinstance(node.value, ast.Name) and node.value.id in ("typing", "t") else node

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        outer = self.visit(node.value)
        name = outer.id if isinstance(outer, ast.Name) else None
        if name == "Literal":  # its strings are values
            return ast.Subscript(outer, node.slice)
        inner = self.visit(node.slice)
        if name not in ("Optional", "Union"):
            return ast.Subscript(outer, inner)
        parts = [*(inner.elts if isinstance(inner, ast.Tuple) else [inner]), *([ast.Constant(None)] if name == "Optional" else [])]
        return functools.reduce(lambda left, right: ast.BinOp(left, ast.BitOr(), right), parts)


def _constructor(found: Entry) -> ast.FunctionDef | None:
    members = _class(found).body
    return next((member for member in members if isinstance(member, ast.FunctionDef) and member.name == "__init__"), None)


def _options(arguments: ast.arguments) -> dict[str, Option]:
    return {
        argument.arg: Option(_type(argument.annotation), REQUIRED if default is None else ast.literal_eval(default))
        for argument, default in _arguments(arguments)
        if argument.arg not in SUPPLIED
    }


def _arguments(arguments: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """Each argument that has a name of its own, with its default."""
    plain = [*arguments.posonlyargs, *arguments.args]
    yield from zip(plain, [*[None] * (len(plain) - len(arguments.defaults)), *arguments.defaults], strict=True)
    yield from zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)


_PLAIN: Mapping[str, Any] = {"bool": bool, "int": int, "float": float, "str": str}
_BOUNDS: Mapping[str, Any] = {name: getattr(annotated_types, name) for name in ("Ge", "Gt", "Le", "Lt")}


def _type(node: ast.expr | None) -> Any:
    """The type an annotation says: `bool int float str None Literal[...] tuple[...] dict[str, ...] Annotated[..., Ge(0)]` or a union.

    Raises:
        TypeError: anything else; a contract test keeps all constructors within this language.
    """
    match node:
        case ast.Name(id=name) if name in _PLAIN:
            return _PLAIN[name]
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=value) if value is Ellipsis:
            return value
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _type(left) | _type(right)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            values = ast.literal_eval(inner)
            return Literal[values] if not isinstance(values, tuple) else Literal[tuple(values)]
        case ast.Subscript(value=ast.Name(id="tuple"), slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return tuple.__class_getitem__(tuple(_type(part) for part in parts))
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[ast.Name(id="str"), inner])):
            return dict.__class_getitem__((str, _type(inner)))
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, *bounds])):
            return Annotated[(_type(inner), *map(_bound, bounds))]
    raise TypeError(f"{ast.unparse(node) if node else 'a missing annotation'} is not in the language of recipe options")


def _bound(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[value]) if name in _BOUNDS:
            return _BOUNDS[name](ast.literal_eval(value))
    raise TypeError(f"{ast.unparse(node)} is not a bound: use Ge, Gt, Le or Lt of annotated_types")
