"""Probe an embedding: weighted nearest neighbours (kNN) and logistic regression, on a run's own data or of a backbone alone.

python -m zoo.probe RUN [data.root=FOLDER ...]
python -m zoo.probe mobilenetv2_100 --data image_folder [key=value ...] [--csv FILE]
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import RecipeError
from zoo.progress import say

if TYPE_CHECKING:
    from zoo.backbones.backbone import Backbone
    from zoo.datasets.loaders import Loaders
    from zoo.model import Model
    from zoo.probing import Found
    from zoo.recipe import Recipe
    from zoo.run import Run

RANDOM = "random network"
"""Stands beside each number of weights that nobody trained."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints a line a number; of a run they are also written into it."""
    parser = argparse.ArgumentParser(prog="zoo probe", description="Measure what an embedding knows: kNN and logistic regression.")
    parser.add_argument("what", metavar="RUN_OR_BACKBONE", help="run folder, packed file, name of a trained recipe; or a backbone")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes of the run's recipe, or of RECIPE")
    parser.add_argument("--data", metavar="RECIPE", help="probe the backbone of this name, as pretrained, on the data of this recipe")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write the numbers there as well")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    arguments = parser.parse_intermixed_args(argv)
    _refuse_folder(arguments.csv)
    if arguments.data is not None:
        _probe_backbone(arguments.what, arguments.data, arguments.changes, arguments.csv, arguments.device)
    else:
        _refuse_backbone(arguments.what)
        _probe_run(arguments.what, arguments.changes, arguments.csv, arguments.device)
    return 0


# ---------------------------------------------------------------- a run


def _probe_run(what: str, changes: Sequence[str], to: Path | None, device: str) -> None:
    from zoo import build, probing
    from zoo.abilities import refusal
    from zoo.tasks.task import Embeds

    run, model = _loaded(what, device)
    if not isinstance(model.task, Embeds):
        raise refusal(model, "has no embedding")
    recipe = model.recipe.changed(changes)
    data = build.loaders(build.source(recipe), recipe)
    for warning in model.split_warnings(data.split):
        say(f"WARNING: {warning}")
    found, notes = probing.probe(model.task.embed, data, model.device)
    _print(found, notes, recipe, data)
    if to is not None:
        _write_csv(to, found, [what, "trained", recipe.name, _kind(recipe)])
    other = _others(run, recipe, data)
    if run is not None and not other:
        probing.write(run, found, notes)
        say(f"written into {run.folder}")
    else:
        say(f"printed only: {other or 'these are no numbers of one run folder'}")


def _loaded(what: str, device: str) -> tuple[Run | None, Model]:
    """The model, and the run that its numbers are of: a packed file is none, and weights of one epoch are not those it is judged by."""
    from zoo.finding import open_run
    from zoo.model import from_run, load

    path = Path(what)
    if path.is_file() or "://" in what or ("@" in what and not path.exists()):
        return None, load(what, device=device)
    run = open_run(what)
    return run, from_run(run, device)


def _others(run: Run | None, recipe: Recipe, data: Loaders) -> str:
    """What makes these other numbers than the run's own, in words; "" if nothing does."""
    from zoo.run import FREE, differences

    if run is None:
        return ""
    changed = differences(run.recipe, recipe, FREE)
    if not changed and data.split.fingerprint == run.split.get("fingerprint"):
        return ""
    return f"the run keeps the numbers of its own data; here {', '.join(changed) or 'the pictures are divided in another way'}"


# ---------------------------------------------------------------- a backbone


def _probe_backbone(name: str, recipe_name: str, changes: Sequence[str], to: Path | None, device: str) -> None:
    from zoo import build, probing, registry
    from zoo.device import compute_device
    from zoo.nearest import nearest
    from zoo.recipe import Recipe

    if not registry.known("backbones", name):
        near = nearest(name, registry.names("backbones"))
        raise RecipeError(f"{name!r}: no such backbone{near}; `zoo list backbones` shows them. Without --data a trained run is probed")
    wished = compute_device(device)
    recipe = with_backbone(Recipe.read(recipe_name, changes), name)
    data = build.loaders(build.source(recipe), recipe)
    backbone = built(recipe, data).eval().to(wished)
    untrained = backbone.weights.startswith("random weights")
    if untrained:
        say(f"WARNING: RANDOM NETWORK: {name} has {backbone.weights}. These numbers are no result: they say nothing about {name}.")
    found, notes = probing.probe(backbone.vector, data, wished)
    _print(found, notes, recipe, data, RANDOM if untrained else "")
    if to is not None:
        _write_csv(to, found, [name, RANDOM if untrained else backbone.weights, recipe.name, _kind(recipe)])


def with_backbone(recipe: Recipe, name: str) -> Recipe:
    """The recipe with this backbone and its default options; whose weights it begins with is the recipe's word."""
    from zoo import sections
    from zoo.checking import named_model

    pretrained = recipe.backbone.pretrained if recipe.backbone else "prefer"
    section = named_model("backbones", name, sections.Backbone).model_validate({"name": name, "pretrained": pretrained})
    assert isinstance(section, sections.Backbone)  # named_model is of all kinds of sections
    return replace(recipe, backbone=section)


def built(recipe: Recipe, data: Loaders) -> Backbone:
    """The recipe's backbone with its first weights, giving one vector a picture."""
    import torch

    from zoo import build
    from zoo.tasks.classification import Classification

    torch.default_generator.manual_seed(recipe.seed)  # random weights are the seed's
    return build.backbone(recipe, data.spec, Classification)  # which asks for one vector a picture


# ---------------------------------------------------------------- telling


def _refuse_backbone(what: str) -> None:
    """Raise RecipeError for a backbone without data; a run or a file of the same name comes first."""
    from zoo import paths, registry

    if registry.known("backbones", what) and not Path(what).exists() and not (paths.runs() / what).is_dir():
        raise RecipeError(f"{what!r} is a backbone and no run: say on which data, such as --data image_folder data.root=FOLDER")


def _refuse_folder(path: Path | None) -> None:
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        reason = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise RecipeError(f"--csv {path}: {reason}; expected a file to write, in a folder that exists")


def _kind(recipe: Recipe) -> str:
    return "synthetic" if recipe.synthetic else "real"


def _print(found: Sequence[Found], notes: Sequence[str], recipe: Recipe, data: Loaders, mark: str = "") -> None:
    """The numbers on standard output, a line each; what a person should know beside them."""
    from zoo import probing

    sizes = ", ".join(f"{len(records)} in {part}" for part, records in data.parts().items())
    say(f"probed on {_kind(recipe)} {recipe.data.name}: {sizes}")
    chosen = [f"{one.probe}: {one.setting}" for one in found if one.name in ("knn", "linear_probe")]
    for note in [*chosen, *notes]:
        say(f"probing: {note}")
    for name, value in probing.metrics(found).items():
        sys.stdout.write(f"{name} {value:.6g}{f'  ({mark})' if mark else ''}\n")


def _write_csv(path: Path, found: Sequence[Found], head: Sequence[str]) -> None:
    """A row for each probe and part; `head` says whose numbers they are."""
    from zoo.cells import guarded
    from zoo.files import write_bytes

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("what", "weights", "recipe", "data", "part", "probe", "setting", "accuracy", "f1_macro"))
    for one in found:
        for part, scores in one.scores.items():
            numbers = (f"{scores[name]:.6f}" for name in ("accuracy", "f1_macro"))
            writer.writerow((*map(guarded, head), part, one.name, one.setting, *numbers))
    write_bytes(path, text.getvalue().encode("utf-8", "surrogateescape"))
    say(f"wrote {path}")


if __name__ == "__main__":
    from zoo.__main__ import run_command

    sys.exit(run_command("probe", sys.argv[1:]))
