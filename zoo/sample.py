"""Draw pictures that a trained model makes up.

python -m zoo.sample RUN
python -m zoo.sample RUN --count 10 --label 7 --seed 3 --to sevens.png
python -m zoo.sample RUN --truncation 0.7
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import RecipeError, shown
from zoo.output import refuse_unwritable, target, write_figure

MOST = 1024
"""More pictures are too small to see on one sheet; `model.sample` makes as many as are wished."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the path of the sheet."""
    parser = argparse.ArgumentParser(prog="zoo sample", description="Draw a sheet of pictures that a trained model makes up.")
    parser.add_argument("run", help="run folder, packed file, or the name of a trained recipe")
    parser.add_argument("--count", type=int, default=64, help=f"how many, at most {MOST} (default: 64)")
    parser.add_argument("--label", help="index or name of the class, for a model that is told one")
    parser.add_argument("--sampler", help="of codes: normal, gaussian, pca_kde or mixture; default: the model's prior, or else gaussian")
    parser.add_argument("--truncation", type=float, help="largest magnitude of a prior's numbers, 0.01 to 5: less is better and more alike")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", metavar="FILE", type=Path, help="default: <recipe>_samples.png in the current folder")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_args(argv)
    refuse_unwritable(arguments.to, [Path(arguments.run)])  # before the work, not after it
    if not 1 <= arguments.count <= MOST:
        raise RecipeError(f"--count {arguments.count}: expected a number from 1 to {MOST}")

    from zoo.model import load

    model = load(arguments.run, device=arguments.device)
    to = target(arguments.to, f"{model.recipe.name}_samples.png")
    pictures = model.sample(arguments.count, arguments.seed, arguments.label, arguments.sampler, arguments.truncation)

    import numpy as np

    from zoo.figures.latent import picture_sheet

    shows = ("label", "sampler", "truncation", "seed")
    details = [f"{name} {value}" for name in shows if (value := getattr(arguments, name)) is not None]
    title = f"{model.recipe.name}: {', '.join(details)}"
    write_figure(picture_sheet([np.asarray(picture) for picture in pictures], max(8, math.isqrt(len(pictures))), title), to)
    print(shown(to))
    return 0


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("sample", sys.argv[1:]))
