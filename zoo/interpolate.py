"""Draw the way from one picture to another through a trained model's codes.

python -m zoo.interpolate RUN A B
python -m zoo.interpolate RUN A B --steps 12 --how linear --to way.png
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
    parser.add_argument("a", type=Path, help="the first picture")
    parser.add_argument("b", type=Path, help="the last picture")
    parser.add_argument("--steps", type=int, default=8, help=f"pictures on the way, both ends included, at most {MOST} (default: 8)")
    parser.add_argument("--how", choices=("spherical", "linear"), default="spherical")
    parser.add_argument("--to", metavar="FILE", type=Path, help="default: <recipe>_interpolation.png in the current folder")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_args(argv)
    refuse_unwritable(arguments.to, [Path(arguments.run), *files_of([arguments.a, arguments.b])])  # before the work, not after it
    if not 2 <= arguments.steps <= MOST:
        raise RecipeError(f"--steps {arguments.steps}: expected a number from 2 to {MOST}")

    from zoo.model import load

    model = load(arguments.run, device=arguments.device)
    to = target(arguments.to, f"{model.recipe.name}_interpolation.png")
    pictures = model.interpolate(arguments.a, arguments.b, arguments.steps, arguments.how)

    import numpy as np

    from zoo.figures.latent import picture_sheet

    title = f"{arguments.a.name} to {arguments.b.name}, {arguments.how}"
    write_figure(picture_sheet([np.asarray(picture) for picture in pictures], 8, title), to)
    print(shown(to))
    return 0


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("interpolate", sys.argv[1:]))
