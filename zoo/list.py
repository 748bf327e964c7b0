"""List what there is.

python -m zoo.list [recipes|runs|backbones|tasks|datasets|engines|transforms|callbacks|loggers|hooks] [word]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo import paths

KINDS = ("recipes", "runs", "backbones", "tasks", "datasets", "engines", "transforms", "callbacks", "loggers", "hooks")


def main(argv: Sequence[str] | None = None) -> int:
    """The command: one thing a line."""
    parser = argparse.ArgumentParser(prog="zoo list", description="List what there is.")
    parser.add_argument("kind", nargs="?", default="recipes", choices=KINDS)
    parser.add_argument("word", nargs="?", default="", help="only those that contain it")
    arguments = parser.parse_args(argv)
    lines = [line for line in _lines(arguments.kind) if arguments.word in line]
    print("\n".join(lines) if lines else f"no {arguments.kind}{f' with {arguments.word!r}' if arguments.word else ''} here")
    return 0


def _lines(kind: str) -> Iterator[str]:
    if kind == "recipes":
        found = paths.recipes()
        width = max(map(len, found), default=0)
        yield from (f"{name:{width}}  {_question(path)}" for name, path in found.items())
    elif kind == "runs":
        yield from _runs()
    else:
        from zoo import registry

        if kind == "transforms":
            yield from sorted(registry.transform_options())
        else:
            yield from registry.names(kind)


def _question(path: Path) -> str:
    """A recipe's question, from its line: recipes are in block style, one key a line."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("question:"):
            return line.removeprefix("question:").strip().strip("\"'")
    return ""


def _runs() -> Iterator[str]:
    for folder in sorted(paths.runs().glob("*/*")):
        if not (folder / "recipe.yaml").is_file():
            continue
        name = f"{folder.parent.name}:{folder.name}"
        try:
            metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            yield f"{name}  not finished"
            continue
        if not isinstance(metrics, dict):
            yield f"{name}  metrics.json is broken"
            continue
        kind = "synthetic" if metrics.get("synthetic") else "real"
        shown = (f"{key} {value:.4g}" for key, value in metrics.items() if "/" in key and isinstance(value, int | float))
        yield "  ".join((name, kind, *shown))


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("list", sys.argv[1:]))
