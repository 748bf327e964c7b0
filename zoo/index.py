"""Index a folder of pictures with a trained model, so that similar ones can be found with `zoo.search`.

python -m zoo.index RUN FOLDER [--to FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the file's path."""
    parser = argparse.ArgumentParser(prog="zoo index", description="Index a folder of pictures, to find similar ones with `zoo search`.")
    parser.add_argument("run", help="run folder, packed file, or the name of a trained recipe; any model that embeds pictures")
    parser.add_argument("folder", type=Path, help="folder of pictures, its subfolders included")
    parser.add_argument("--to", metavar="FILE", type=Path, help="default: <folder>.index in the current folder")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_args(argv)

    from zoo.errors import DataError, shown
    from zoo.output import files_of, refuse_unwritable, target
    from zoo.progress import say

    folder: Path = arguments.folder
    if not folder.is_dir():
        raise DataError(f"{shown(folder)}: {'a file' if folder.exists() else 'not there'}; expected a folder of pictures")
    to = target(arguments.to, f"{folder.resolve().name or 'pictures'}.index")
    refuse_unwritable(to, [Path(arguments.run), *files_of([folder])])  # before the work, not after it

    from zoo.model import load
    from zoo.retrieval import Index

    index = Index.build(load(arguments.run, device=arguments.device), folder, arguments.batch_size)
    index.save(to)
    count = f"{len(index):,} picture{'s' * (len(index) != 1)}"
    say(f"{count}, {index.vectors.shape[1]} numbers each; search them with `zoo search {shown(to)} IMAGE`")
    print(shown(to))
    return 0


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("index", sys.argv[1:]))
