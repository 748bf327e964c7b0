"""Print the JSON Schema of recipes, for editors.

    python -m zoo.schema > recipe.schema.json

In VS Code with the YAML extension: `"yaml.schemas": {"recipe.schema.json": "recipes/*.yaml"}`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from zoo.recipe import json_schema


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    argparse.ArgumentParser(prog="zoo schema", description="Print the JSON Schema of recipes, for editors.").parse_args(argv)
    print(json.dumps(json_schema(), indent=1))
    return 0


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("schema", sys.argv[1:]))
