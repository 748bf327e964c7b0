"""Find the pictures of an index that are most like another one.

python -m zoo.search INDEX IMAGE [-k 5] [--metric cosine] [--to sheet.png]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.retrieval import Neighbour

MOST_DRAWN = 30
"""Neighbours on a sheet."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints rank, distance and path of each neighbour."""
    parser = argparse.ArgumentParser(prog="zoo search", description="Find the pictures of an index that are most like another one.")
    parser.add_argument("index", help="file that `zoo index` wrote")
    parser.add_argument("image", type=Path, help="picture file")
    parser.add_argument("-k", type=int, default=5, help="how many to find (default: 5)")
    parser.add_argument("--metric", default="cosine", help="cosine (default), euclidean, manhattan or mahalanobis")
    parser.add_argument("--model", metavar="RUN", help="the model that made the index, if it is no longer where it was")
    parser.add_argument("--to", metavar="FILE", type=Path, help="draw the picture and what was found there, as PNG")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_args(argv)

    from zoo.errors import DataError, shown
    from zoo.output import refuse_unwritable

    image: Path = arguments.image
    if not image.is_file():
        raise DataError(f"{shown(image)}: {'a folder' if image.is_dir() else 'not there'}; expected a picture file")
    refuse_unwritable(arguments.to, [image, Path(arguments.index)])  # before the work, not after it

    from zoo.model import load
    from zoo.retrieval import Index

    index = Index.load(arguments.index, load(arguments.model, device=arguments.device) if arguments.model else None)
    index.model.to(arguments.device)
    found = index.search(image, arguments.k, arguments.metric)
    for neighbour in found:
        print(f"{neighbour.rank}  {neighbour.distance:.6f}  {shown(neighbour.path)}")
    if arguments.to is not None:
        _draw(image, found[:MOST_DRAWN], arguments.to)
    return 0


def _draw(image: Path, found: Sequence[Neighbour], to: Path) -> None:
    """A sheet of the query and its neighbours."""
    import numpy as np

    from zoo.datasets.pictures import read_picture
    from zoo.figures.neighbours import Found, neighbour_rows
    from zoo.output import refuse_unwritable, write_figure
    from zoo.progress import say

    files = [image, *(neighbour.path for neighbour in found)]
    refuse_unwritable(to, files)
    pictures = []
    for file in files:
        picture = read_picture(file)
        picture.thumbnail((256, 256))
        pictures.append(np.asarray(picture))
    write_figure(neighbour_rows([Found(pictures[0], pictures[1:], [neighbour.distance for neighbour in found])]), to)
    say(f"drew {len(found)} neighbours on {to}")


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("search", sys.argv[1:]))
