"""Draw the way from one picture to another through a trained model's codes: of given pictures, or of made-up ones by their seeds.

python -m zoo.interpolate RUN A B
python -m zoo.interpolate RUN A B --steps 12 --how linear --to way.png
python -m zoo.interpolate RUN --seeds 3 8
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import RecipeError, shown
from zoo.output import files_of, refuse_unwritable, target, write_figure

MOST = 64


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the path of the drawing."""
    parser = argparse.ArgumentParser(
        prog="zoo interpolate", description="Draw the way from one picture to another through a model's codes."
    )
    parser.add_argument("run", help="run folder, packed file, or the name of a trained recipe")
    parser.add_argument("pictures", nargs="*", type=Path, metavar="PICTURE", help="two: the first and the last")
    parser.add_argument("--seeds", nargs=2, type=int, metavar=("A", "B"), help="in place of pictures: of made-up ones, as for `zoo sample`")
    parser.add_argument("--truncation", type=float, help="with --seeds: of both ends, as for `zoo sample`")
    parser.add_argument("--steps", type=int, default=8, help=f"pictures on the way, both ends included, at most {MOST} (default: 8)")
    parser.add_argument("--how", choices=("spherical", "linear"), default="spherical")
    parser.add_argument("--to", metavar="FILE", type=Path, help="default: <recipe>_interpolation.png in the current folder")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_intermixed_args(argv)
    _refuse_ends(arguments)
    refuse_unwritable(arguments.to, [Path(arguments.run), *files_of(arguments.pictures)])  # before the work, not after it
    if not 2 <= arguments.steps <= MOST:
        raise RecipeError(f"--steps {arguments.steps}: expected a number from 2 to {MOST}")

    from zoo.model import load

    model = load(arguments.run, device=arguments.device)
    to = target(arguments.to, f"{model.recipe.name}_interpolation.png")
    first, last = arguments.seeds or arguments.pictures
    if arguments.seeds:
        pictures = model.interpolate_seeds(first, last, arguments.steps, arguments.how, arguments.truncation)
    else:
        pictures = model.interpolate(first, last, arguments.steps, arguments.how)

    import numpy as np

    from zoo.figures.latent import picture_sheet

    write_figure(picture_sheet([np.asarray(picture) for picture in pictures], 8, _title(arguments)), to)
    print(shown(to))
    return 0


def _refuse_ends(arguments: argparse.Namespace) -> None:
    """Two pictures, or two seeds."""
    count = len(arguments.pictures)
    if count != (0 if arguments.seeds else 2):
        found = "pictures as well as --seeds" if arguments.seeds else f"{count} picture{'s' * (count != 1)}"
        raise RecipeError(f"{found}: expected two pictures, A B, or --seeds A B")
    if arguments.truncation is not None and not arguments.seeds:
        raise RecipeError(f"--truncation {arguments.truncation:g}: is of made-up pictures; give --seeds A B, or leave it out")


def _title(arguments: argparse.Namespace) -> str:
    if not arguments.seeds:
        return f"{arguments.pictures[0].name} to {arguments.pictures[1].name}, {arguments.how}"
    truncated = "" if arguments.truncation is None else f", truncation {arguments.truncation:g}"
    return f"seed {arguments.seeds[0]} to seed {arguments.seeds[1]}, {arguments.how}{truncated}"


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("interpolate", sys.argv[1:]))
