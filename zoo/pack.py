"""Make one file of a run, to share: weights, recipe, spec, metrics and card.

python -m zoo.pack RUN [--to FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the file's path; its size and sha256 go to standard error."""
    parser = argparse.ArgumentParser(prog="zoo pack", description="Make one file of a run, to share.")
    parser.add_argument("run", help="run folder, or the name of a trained recipe")
    parser.add_argument("--to", metavar="FILE", help="default: <recipe>.zoo in the current folder")
    arguments = parser.parse_args(argv)

    import hashlib

    from zoo import packing
    from zoo.finding import open_run
    from zoo.progress import say

    run = open_run(arguments.run)
    path = packing.pack(run, Path(arguments.to or f"{run.recipe.name}.zoo"))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    say(f'{path.stat().st_size / 1e6:.1f} MB; open it with zoo.load("{path}", sha256="{digest}")')
    print(path)
    return 0


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("pack", sys.argv[1:]))
