"""Print the JSON Schema of recipes, for editors.

    python -m zoo.schema > recipe.schema.json

In VS Code with the YAML extension: `"yaml.schemas": {"recipe.schema.json": "recipes/*.yaml"}`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from zoo import registry
from zoo.checking import KEYS, NAMED, PLAIN, named_model
from zoo.sections import Head, Section


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    argparse.ArgumentParser(prog="zoo schema", description="Print the JSON Schema of recipes, for editors.").parse_args(argv)
    print(json.dumps(json_schema(), indent=1))
    return 0


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of recipes: keys, types, bounds and the names that are known."""
    schemas: dict[str, Any] = {key: _inlined(model) for key, model in PLAIN.items()}
    schemas["train"]["properties"]["engine"]["enum"] = list(registry.names("engines"))
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
    """A section with a name, or the name alone. Names of one class (timm's, a thousand) share a schema."""
    classes: dict[registry.Entry, list[str]] = {}
    for name in registry.names(kind):
        classes.setdefault(registry.entry(kind, name), []).append(name)
    sections = []
    for names in classes.values():
        section = _inlined(named_model(kind, names[0], base))
        section["properties"]["name"] = {"type": "string", "enum": names}
        sections.append(section)
    return {"anyOf": [{"type": "string", "enum": list(registry.names(kind))}, *sections]}


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
