"""Lay the codes of pictures out in a plane, coloured by class or by an attribute.

python -m zoo.plane RUN
python -m zoo.plane RUN --by smiling --method tsne
python -m zoo.plane RUN FOLDER
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import RecipeError, shown
from zoo.output import files_of, refuse_unwritable, target, write_figure

if TYPE_CHECKING:
    from zoo.model import Model

TITLES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}


@dataclass(frozen=True)
class Known:
    """Codes (N, D) and what is known of their pictures.

    Attributes:
        codes: one for each picture.
        classes: (N,) indices into `names`, or None.
        names: of the classes.
        attributes: name -> (N,) values.
    """

    codes: Any
    classes: Any
    names: Sequence[str]
    attributes: dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints the path of the drawing."""
    parser = argparse.ArgumentParser(prog="zoo plane", description="Lay the codes of pictures out in a plane.")
    parser.add_argument("run", help="run folder, packed file, or the name of a trained recipe")
    parser.add_argument("folder", nargs="?", type=Path, help="pictures; default: those that the run was trained on, at most 10,000")
    parser.add_argument("--by", metavar="NAME", help="colour by an attribute, or by `label` (of a FOLDER: its subfolders); default: label")
    parser.add_argument("--method", choices=tuple(TITLES), default="pca", help="default: pca; t-SNE and UMAP take at most 3,000 pictures")
    parser.add_argument("--seed", type=int, default=0, help="of t-SNE and UMAP")
    parser.add_argument("--to", metavar="FILE", type=Path, help="default: <recipe>_plane.png in the current folder")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_intermixed_args(argv)  # FOLDER may come after options
    if arguments.folder is not None and not arguments.folder.is_dir():
        raise RecipeError(f"{arguments.folder}: no such folder; expected a folder of pictures, or none")
    given = files_of([arguments.folder]) if arguments.folder else []
    refuse_unwritable(arguments.to, [Path(arguments.run), *given])  # before the work, not after it

    from zoo.model import load

    model = load(arguments.run, device=arguments.device)
    to = target(arguments.to, f"{model.recipe.name}_plane.png")
    known = _of_run(model) if arguments.folder is None else _of_folder(model, arguments.folder)
    write_figure(_figure(known, arguments), to)
    print(shown(to))
    return 0


def _of_run(model: Model) -> Known:
    from zoo.abilities import ABILITIES, refusal

    latent = model.latent
    if not ABILITIES["embed"](model):
        raise refusal(model, "has no embedding")
    if latent is None or latent.codes is None:
        reason = "a packed file leaves the codes of its training pictures out" if model.origin.is_file() else "it kept no codes"
        raise RecipeError(f"{model.origin}: {reason}; name a folder of pictures as well: python -m zoo.plane RUN FOLDER")
    columns = {} if latent.attributes is None else dict(zip(latent.names, latent.attributes.T, strict=True))
    return Known(latent.codes, latent.labels, model.labels, columns)


def _of_folder(model: Model, folder: Path) -> Known:
    """Codes of its pictures; the classes are its subfolders, if it has any."""
    from zoo.given import in_folder

    files = in_folder(folder)
    owners = [file.relative_to(folder).parts[0] if file.parent != folder else "" for file in files]
    names = sorted(set(owners))
    classes = [names.index(owner) for owner in owners] if names != [""] else None
    return Known(model.embed(files).numpy(), classes, names, {})


def _figure(known: Known, arguments: argparse.Namespace) -> Any:
    import numpy as np

    from zoo.figures.latent import class_plane, value_plane
    from zoo.latent.codes import plane

    column = None if arguments.by in (None, "label") else _attribute(known, arguments.by)
    if arguments.by == "label" and known.classes is None:
        raise RecipeError("--by label: no classes are known of these pictures; leave it out")
    try:
        rows, points = plane(known.codes, arguments.method, arguments.seed)
    except ValueError as error:
        raise RecipeError(str(error)) from error
    title = f"{len(rows):,} codes by {TITLES[arguments.method]}"
    if column is not None:
        return value_plane(points, known.attributes[column][rows], column, title)
    return class_plane(points, None if known.classes is None else np.asarray(known.classes)[rows], known.names, title)


def _attribute(known: Known, name: str) -> str:
    """The attribute's name as the data has it."""
    from zoo.latent.space import joined
    from zoo.nearest import nearest

    found = [each for each in known.attributes if each == name] or [each for each in known.attributes if joined(each) == joined(name)]
    if not found:
        names = ", ".join(["label", *list(known.attributes)[:12]])
        raise RecipeError(f"--by {name}: not known of these pictures{nearest(name, known.attributes)}; expected one of {names}")
    return found[0]


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("plane", sys.argv[1:]))
