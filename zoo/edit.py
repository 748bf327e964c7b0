"""Strengthen or weaken attributes of a picture with a trained model.

python -m zoo.edit RUN IMAGE smiling=+1.5 eyeglasses=-1
python -m zoo.edit RUN IMAGE smiling eyeglasses --strip
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import RecipeError, shown
from zoo.output import files_of, refuse_unwritable, target, write_figure, write_picture


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the path of the picture."""
    parser = argparse.ArgumentParser(prog="zoo edit", description="Strengthen or weaken attributes of a picture with a trained model.")
    parser.add_argument("run", help="run folder, packed file, or the name of a trained recipe")
    parser.add_argument("image", type=Path, help="a picture file")
    parser.add_argument("attributes", nargs="+", metavar="NAME=STRENGTH", help="such as smiling=+1.5; strengths from -2 to 2")
    parser.add_argument(
        "--strip", action="store_true", help="draw a row for each attribute, which goes from -2 to 2 while the others stay as given (or 0)"
    )
    parser.add_argument("--to", metavar="FILE", type=Path, help="default: <picture>_edited.png in the current folder")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_args(argv)
    strengths = _strengths(arguments.attributes, arguments.strip)
    files = files_of([arguments.image])
    if arguments.image.is_dir():
        raise RecipeError(f"{arguments.image}: a folder; expected one picture file")
    to = target(arguments.to, f"{arguments.image.stem}_edited.png")
    refuse_unwritable(to, [Path(arguments.run), *files])  # before the work, not after it

    from zoo.model import load

    model = load(arguments.run, device=arguments.device)
    if not arguments.strip:
        write_picture(model.edit(arguments.image, **strengths), to)
        print(shown(to))
        return 0

    import numpy as np

    from zoo.figures.latent import picture_strips
    from zoo.latent import imagine
    from zoo.latent.space import STRENGTHS

    given = imagine.seen(model, arguments.image)
    rows = [[given, *row] for row in imagine.strips(model, arguments.image, strengths)]
    columns = ["given", *(f"{strength:+g}" if strength else "0" for strength in STRENGTHS)]
    write_figure(picture_strips([[np.asarray(picture) for picture in row] for row in rows], columns, list(strengths)), to)
    print(shown(to))
    return 0


def _strengths(words: Sequence[str], strip: bool) -> dict[str, float]:
    """`smiling=+1.5` -> {"smiling": 1.5}; in a strip a name alone stands at 0."""
    from zoo.latent.space import joined

    strengths: dict[str, float] = {}
    for word in words:
        name, equals, value = word.partition("=")
        try:
            strength = 0.0 if strip and not equals else float(value)
        except ValueError as error:
            raise RecipeError(f"{word}: expected NAME=STRENGTH, such as {name or 'smiling'}=+1.5") from error
        if not name or joined(name) in map(joined, strengths):
            raise RecipeError(f"{word}: {'named twice' if name else 'no name'}; expected each attribute once, such as smiling=+1.5")
        strengths[name] = strength
    return strengths


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("edit", sys.argv[1:]))
