"""The members of an ensemble: who they are, written down so that its run or file needs them no more, and their networks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo import paths, registry
from zoo.document import dump
from zoo.errors import RecipeError
from zoo.recipe import Recipe, options
from zoo.spec import DataSpec

if TYPE_CHECKING:
    from zoo.model import Model
    from zoo.run import Run
    from zoo.tasks.ensemble import Network

MOST = 64
"""Members; published ensembles have a handful."""
WRITTEN = ("question", "data", "backbone", "task")
"""Sections of a member's recipe that its network and its pictures hang on."""


def is_ensemble(recipe: Recipe) -> bool:
    """Whether a recipe is of a task over trained models."""
    return "networks" in registry.arguments("tasks", recipe.task.name)


def settled(recipe: Recipe) -> Recipe:
    """The recipe of an ensemble with its members' runs by their own names, and with their recipes; any other as it is.

    Raises:
        RecipeError: a member was not trained here.
    """
    if not is_ensemble(recipe) or options(recipe.task)["recipes"]:
        return recipe
    from zoo.finding import open_run

    named = [str(member).rpartition("@") if "@" in str(member) else (str(member), "", "") for member in options(recipe.task)["members"]]
    _refuse_number([name for name, _, _ in named])
    runs = [open_run(name) for name, _, _ in named]
    members = [_full(run) + at + epoch for run, (_, at, epoch) in zip(runs, named, strict=True)]
    return recipe.changed(_words(members, [run.recipe for run in runs]))


def _full(run: Run) -> str:
    """The name that means this run and no later one."""
    ours = run.folder.resolve().parent == (paths.runs() / run.recipe.name).resolve()
    return f"{run.recipe.name}:{run.folder.name}" if ours else str(run.folder)


def _words(members: Sequence[str], recipes: Sequence[Recipe]) -> list[str]:
    texts = [json.dumps({key: value for key, value in recipe.to_dict().items() if key in WRITTEN}) for recipe in recipes]
    return [f"task.members={json.dumps(list(members))}", f"task.recipes={json.dumps(texts)}"]


def networks(recipe: Recipe, spec: DataSpec) -> list[Network]:
    """The networks of an ensemble's members, without their weights.

    Raises:
        RecipeError: a member is no classifier, or sees its pictures in another way than the ensemble.
    """
    from zoo import build
    from zoo.tasks.ensemble import Network
    from zoo.tasks.task import Classifies

    told = options(recipe.task)
    _refuse_number(told["members"])
    if len(told["recipes"]) != len(told["members"]):
        raise RecipeError(
            f"task.recipes: {len(told['recipes'])} for {len(told['members'])} members; leave them out, they are written by training"
        )
    found = []
    for places in _seats(told["recipes"], joined=told["average"] != "none"):
        names = tuple(told["members"][place] for place in places)
        its = Recipe.parse(told["recipes"][places[0]], f"task.recipes ({names[0]})", "member")
        _refuse_other_view(its, recipe, names[0])
        size = its.data.size if isinstance(its.data.size, tuple) else (its.data.size, its.data.size)
        if is_ensemble(its):
            raise RecipeError(f"task.members: {names[0]} is an ensemble itself; name its members instead")
        task = build.task(its, replace(spec, size=size, weights=(), counts=()), trained=True)
        if not isinstance(task, Classifies):
            raise RecipeError(f"task.members: {names[0]} ({its.task.name}) predicts no classes; expected classifiers")
        found.append(Network(task, size, names))
    return found


def _refuse_number(members: Sequence[str]) -> None:
    if not 1 <= len(members) <= MOST:
        raise RecipeError(f"task.members: {len(members)} models; expected 1 to {MOST}")


def _refuse_other_view(member: Recipe, ensemble: Recipe, name: str) -> None:
    """Only the size may differ: what is cut off or squeezed cannot be put back."""
    for key in ("fit", "crop"):
        its, ours = getattr(member.data, key), getattr(ensemble.data, key)
        if its != ours and not (key == "crop" and ensemble.data.fit != "crop"):
            raise RecipeError(f"task.members: {name} was trained with data.{key}={its}, and this ensemble has {ours}: they must be equal")


def _seats(texts: Sequence[str], joined: bool) -> list[list[int]]:
    """The places of the members of each network: one each, or those of one architecture together."""
    if not joined:
        return [[place] for place in range(len(texts))]
    seats: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        seats.setdefault(_architecture(text), []).append(place)
    return list(seats.values())


def _architecture(text: str) -> str:
    recipe = Recipe.parse(text, "task.recipes", "member")
    parts: list[Any] = [recipe.data.size, recipe.task.model_dump(), recipe.backbone.model_dump() if recipe.backbone else None]
    return repr(parts)


# ---------------------------------------------------------------- without training


def together(models: Sequence[Model]) -> Model:
    """Loaded models as one: the mean of their probabilities, each as strong as the others.

    Raises:
        RecipeError: their labels or their pictures differ, or one is no classifier.
    """
    from zoo.facts import Facts
    from zoo.model import Model
    from zoo.tasks.ensemble import Ensemble, Network
    from zoo.tasks.task import Classifies

    names = [_shown(model) for model in models]
    _refuse_number(names)
    largest = max(models, key=lambda model: model.spec.size[0] * model.spec.size[1])
    recipe = _recipe([model.recipe for model in models], names, largest.recipe)
    for name, model in zip(names, models, strict=True):
        refuse_other_data(model, largest.spec, name)
        _refuse_other_view(model.recipe, recipe, name)
        if is_ensemble(model.recipe) or not isinstance(model.task, Classifies):
            raise RecipeError(f"{name} ({model.recipe.task.name}): an ensemble is made of classifiers that are none themselves")
    found = [Network(model.task, model.spec.size, (name,)) for model, name in zip(models, names, strict=True)]
    task = Ensemble(largest.spec, found, tuple(names)).to(largest.device)
    metrics = {"synthetic": any(model.metrics.get("synthetic") is True for model in models)}
    return Model(task, recipe, Facts(largest.spec, metrics, _split(models)), largest.origin)


def refuse_other_data(model: Model, spec: DataSpec, name: str) -> None:
    """Raise RecipeError unless the model knows the labels of these data, in their order, and sees as many colours."""
    if model.labels != spec.labels:
        raise RecipeError(f"{name}: its labels are others than those of the data, or in another order; train it on the same data")
    if model.spec.channels != spec.channels:
        raise RecipeError(f"{name}: it sees pictures of {model.spec.channels} channels, and these have {spec.channels}")


def _recipe(recipes: Sequence[Recipe], names: Sequence[str], base: Recipe) -> Recipe:
    plain = base.to_dict()
    plain.pop("backbone", None)
    plain |= {"task": {"name": "ensemble", "members": list(names)}, "train": {"engine": "combine"}, "expect": {}, "reference": []}
    bare = Recipe.parse(dump(plain), "ensemble", f"{base.name}_ensemble")
    return bare.changed(_words(names, recipes))


def _shown(model: Model) -> str:
    return f"{model.recipe.name}:{model.origin.name}" if model.origin.is_dir() else str(model.origin)


def _split(models: Sequence[Model]) -> dict[str, Any]:
    """The members' common split; of different ones all pictures that any was trained on, so that leaks are noticed."""
    prints = {model.split.get("fingerprint") for model in models}
    if len(prints) == 1:
        return models[0].split
    known = [model.split["train"] for model in models if "train" in model.split]
    union = {"train": sorted(set().union(*known))} if len(known) == len(models) else {}
    return {"fingerprint": "of several splits", **union}
