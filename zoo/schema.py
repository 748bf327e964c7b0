"""Print the JSON Schema of recipes, for editors.

    python -m zoo.schema > recipe.schema.json

In VS Code with the YAML extension: `"yaml.schemas": {"recipe.schema.json": "recipes/*.yaml"}`.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from typing import Any

from zoo import registry
from zoo.checking import KEYS, NAMED, PLAIN, named_model
from zoo.errors import ZooError
from zoo.sections import Head, Plugin, Section


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    argparse.ArgumentParser(prog="zoo schema", description="Print the JSON Schema of recipes, for editors.").parse_args(argv)
    gc.freeze()  # what is imported stays: to look through it again and again would take half of the time
    print(json.dumps(json_schema(), indent=1))
    return 0


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of recipes: keys, types, bounds and the names that are known."""
    schemas: dict[str, Any] = {key: _inlined(model) for key, model in PLAIN.items()}
    schemas["train"]["properties"]["engine"]["enum"] = list(registry.names("engines"))
    for kind in registry.PLUGGED:
        named = _named(kind, Plugin)
        schemas["train"]["properties"][kind] |= {"items": named} if named["anyOf"] else {"maxItems": 0}
    schemas["train"]["properties"]["players"] = _without_required(schemas["train"]["properties"]["players"])
    schemas |= {key: _named(*named) for key, named in NAMED.items()}
    schemas |= _inlined(Head)["properties"]
    schemas["synthetic"] = {"type": "object", "description": "changes of the sections above for drawn data"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "zoo recipe",
        "type": "object",
        "properties": {key: schemas[key] for key in KEYS},
        "required": ["data", "task"],
        "additionalProperties": False,
    }


def _named(kind: registry.Kind, base: type[Section]) -> dict[str, Any]:
    """A section with a name, or the name alone if that is enough. Names of one class (timm's, a thousand) share a schema."""
    classes: dict[registry.Entry, list[str]] = {}
    for name in registry.names(kind):
        classes.setdefault(registry.entry(kind, name), []).append(name)
    sections, short = [], []
    for names in classes.values():
        try:
            section = _inlined(named_model(kind, names[0], base))
        except ZooError:  # a plugin whose options cannot be read: `check` says so when a recipe names it
            continue
        section["properties"]["name"] = {"type": "string", "enum": names}
        sections.append(section)
        short += names if section["required"] == ["name"] else []
    return {"anyOf": [*([{"type": "string", "enum": sorted(short)}] if short else []), *sections]}


def _without_required(value: Any) -> Any:
    """A player's options need no name: they may refine those of all players."""
    if isinstance(value, list):
        return [_without_required(item) for item in value]
    return {key: _without_required(inner) for key, inner in value.items() if key != "required"} if isinstance(value, dict) else value


def _inlined(model: type[Section]) -> dict[str, Any]:
    """A section's schema without `$defs`, so that it can stand inside another; names may stand for sections."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def inline(value: Any) -> Any:
        if isinstance(value, list):
            return [inline(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return inline(definitions[value["$ref"].rpartition("/")[2]])
        if "discriminator" in value:
            short = {"type": "string", "enum": sorted(value["discriminator"]["mapping"])}
            return {"anyOf": [short, *inline(value["oneOf"])]} | {key: value[key] for key in ("default", "description") if key in value}
        return {key: inline(inner) for key, inner in value.items()}

    inlined: dict[str, Any] = inline(schema)
    return inlined


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("schema", sys.argv[1:]))
