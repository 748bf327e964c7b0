"""The only place that joins the parts: recipe -> source, loaders, task, engine. Importing it imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo import ensembles, registry
from zoo.errors import DataError, RecipeError
from zoo.progress import say
from zoo.recipe import Recipe, options
from zoo.spec import DataSpec

if TYPE_CHECKING:
    from zoo.backbones.backbone import Backbone
    from zoo.datasets.loaders import Loaders
    from zoo.datasets.source import Source
    from zoo.engines.engine import Engine
    from zoo.tasks.task import Task


def source(recipe: Recipe) -> Source:
    """The source of a recipe, over real data or drawn ones; says loudly when it is the latter.

    Raises:
        DataError: there is no data, or it is not laid out as the source expects.
    """
    from zoo.datasets import synthetic

    cls = registry.load("datasets", recipe.data.name)
    root = recipe.root()
    if recipe.synthetic and not synthetic.is_synthetic(root):
        why = "by data.synthetic=always" if recipe.data.synthetic == "always" else f"because {root} does not exist"
        root = synthetic.folder(recipe.data.name, cls)
        say(f"SYNTHETIC DATA: other pictures stand in for {cls.title}, {why}. {cls.obtain} Or set data.root=FOLDER.")
    if not root.is_dir():
        problem = "is no folder" if root.exists() else "does not exist"
        raise DataError(f"data.root: {root} {problem}. {cls.obtain} Or set data.synthetic=always to use drawn data.")
    try:
        built: Source = cls(root, **options(recipe.data))
    except OSError as error:
        raise DataError(f"{error.filename or root}: cannot be read ({error.strerror or error})") from error
    return built


def loaders(source: Source, recipe: Recipe) -> Loaders:
    """The loaders of a recipe: looks at every file, splits, counts, and says what was found."""
    from zoo.datasets.loaders import Loaders
    from zoo.device import compute_device

    made = Loaders(source, recipe, compute_device(recipe.train.device).type)
    sizes = ", ".join(f"{len(records):,} to {part}" for part, records in made.parts().items())
    classes = f"; {len(made.spec.labels)} classes" if made.spec.labels else ""
    say(f"data: {made.preflight.summary()}; {sizes}{classes}")
    for note in made.notes:
        say(f"data: {note}")
    return made


def task(recipe: Recipe, spec: DataSpec, trained: bool = False) -> Task:
    """The task of a recipe with its backbone, if the task asks for one.

    Args:
        recipe: names them.
        spec: of the data.
        trained: weights will be loaded afterwards, so none are fetched now.

    Raises:
        RecipeError: task and backbone do not go together.
    """
    import torch

    torch.default_generator.manual_seed(recipe.seed)  # random weights are the seed's; networks are built on the CPU, so no device is seeded
    cls = registry.load("tasks", recipe.task.name)
    if cls.truth is not None and cls.truth != spec.truth:
        has, other = _OTHERWISE[spec.truth]
        raise RecipeError(
            f"task {recipe.task.name!r} learns from {_OTHERWISE[cls.truth][0]} of each picture, and data {recipe.data.name!r} has {has}: "
            f"take task.name={other}, or other data"
        )
    arguments: dict[str, Any] = options(recipe.task)
    if "trained" in registry.arguments("tasks", recipe.task.name):  # one that fetches weights itself
        arguments["trained"] = trained
    if ensembles.is_ensemble(recipe):
        arguments["networks"] = ensembles.networks(recipe, spec)
    if cls.form is not None:
        arguments["backbone"] = backbone(recipe, spec, cls, trained)
    elif recipe.backbone is not None:
        raise RecipeError(f"task {recipe.task.name!r} has no backbone: leave the section `backbone` out")
    try:
        built: Task = cls(spec, **arguments)
    except ValueError as error:
        raise RecipeError(f"task {recipe.task.name!r}: {error}") from error
    return built


_OTHERWISE = {
    "label": ("a label", "classification"),
    "mask": ("a mask", "segmentation"),
    "boxes": ("boxes", "centernet"),
    "none": ("pictures alone", "autoencoder"),
}
"""What data has instead of what a task asked for, and a task for that."""


def backbone(recipe: Recipe, spec: DataSpec, task: type[Task], trained: bool = False) -> Backbone:
    """The backbone of a recipe in the form that its task asks for."""
    section = recipe.backbone
    if section is None:
        example = "add `backbone: {name: resnet18}`; `zoo list backbones` shows them"
        raise RecipeError(f"task {recipe.task.name!r} needs a backbone: {example}")
    cls = registry.load("backbones", section.name)
    taken = registry.arguments("backbones", section.name)
    if task.conditional and "conditions" not in taken:
        able = [name for name in registry.names("backbones", timm=False) if "conditions" in registry.arguments("backbones", name)]
        raise RecipeError(
            f"task {recipe.task.name!r} tells its backbone the label, and {section.name!r} takes none: "
            f"set backbone.name to {' or '.join(able)}"
        )
    given = {"name": section.name, "size": spec.size, "conditions": len(spec.labels) if task.conditional else 0}
    arguments: dict[str, Any] = {"channels": spec.channels, "form": task.form, "pretrained": False if trained else section.pretrained}
    arguments |= {key: value for key, value in given.items() if key in taken} | options(section)
    built: Backbone = cls(**arguments)
    if not trained:
        say(f"backbone: {section.name}, {built.weights}")
    return built


def engine(recipe: Recipe) -> Engine:
    """The engine of a recipe."""
    built: Engine = registry.load("engines", recipe.train.engine)()
    return built
