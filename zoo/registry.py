"""A short name in a recipe -> the class in the module of that name, and the options its constructor takes.

The folder is the registry: `task: {name: segmentation}` means the one class in `zoo/tasks/segmentation.py` that inherits `Task`.
Names and options are read from the source text, so that listing and checking import nothing heavy. Installed packages add
their own through entry points of the group `zoo.plugins`, named `<kind>.<name>` (`tasks.counting = my_package.counting:Counting`);
no file that zoo reads can name an import path.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import annotated_types

from zoo.backbones.names import timm_names
from zoo.errors import RecipeError, ZooError

Kind = Literal["datasets", "backbones", "tasks", "engines"]

BASES: Mapping[Kind, str] = {"datasets": "Source", "backbones": "Backbone", "tasks": "Task", "engines": "Engine"}
SUPPLIED = frozenset({"self", "root", "spec", "backbone", "name", "channels", "form", "pretrained", "size"})
"""Arguments that `build.py` gives; all others are options of a recipe."""

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
def names(kind: Kind) -> tuple[str, ...]:
    """All short names of one kind, sorted: zoo's own, timm's (for backbones) and those of installed plugins."""
    own = set(_folder(kind)) | set(_plugins(kind))
    if kind == "backbones":
        own = (own - {"timm"}) | set(timm_names())
    return tuple(sorted(own))


def known(kind: Kind, name: str) -> bool:
    """Whether a short name exists."""
    return name in names(kind)


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
    return _class_options(entry(kind, name))


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
    found = {}
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
    for point in _entry_points():
        group, _, name = point.name.partition(".")
        if group != kind:
            continue
        file = _module_file(point.module)
        if file is None:
            log.warning("plugin %s: there is no module %s; install its package again, or uninstall it", point.name, point.module)
        else:
            found[name] = Entry(point.module, point.attr, file)
    return found


@cache
def _entry_points() -> importlib.metadata.EntryPoints:
    """Of all installed distributions; finding them takes longest of all that checking a recipe does, so it is done once."""
    return importlib.metadata.entry_points(group="zoo.plugins")


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
    for member in _class(found).body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            try:
                return _options(member.args)
            except (TypeError, ValueError) as error:
                raise ZooError(f"{found.file}:{member.lineno}: {found.cls}'s options cannot be read: {error}") from error
    return {}


def _options(arguments: ast.arguments) -> dict[str, Option]:
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(arguments.defaults)), *arguments.defaults]
    pairs = [*zip(plain, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return {
        argument.arg: Option(_type(argument.annotation), REQUIRED if default is None else ast.literal_eval(default))
        for argument, default in pairs
        if argument.arg not in SUPPLIED
    }


_PLAIN: Mapping[str, Any] = {"bool": bool, "int": int, "float": float, "str": str}
_BOUNDS: Mapping[str, Any] = {name: getattr(annotated_types, name) for name in ("Ge", "Gt", "Le", "Lt")}


def _type(node: ast.expr | None) -> Any:
    """The type an annotation says: `bool int float str None Literal[...] tuple[...] Annotated[..., Ge(0)]` and unions of them.

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
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, *bounds])):
            return Annotated[(_type(inner), *map(_bound, bounds))]
    raise TypeError(f"{ast.unparse(node) if node else 'a missing annotation'} is not in the language of recipe options")


def _bound(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[value]) if name in _BOUNDS:
            return _BOUNDS[name](ast.literal_eval(value))
    raise TypeError(f"{ast.unparse(node)} is not a bound: use Ge, Gt, Le or Lt of annotated_types")
