"""What a model can do, by the protocols of its task, and what to say of one that cannot do what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from zoo.errors import RecipeError
from zoo.tasks.task import Classifies, Decodes, Detects, Embeds, HasPrior, Reconstructs, Samples, Segments

if TYPE_CHECKING:
    from zoo.model import Model


def decodes(model: Model) -> bool:
    """Whether codes that it embeds or has a prior for become pictures; a model that is told the label needs more than a code."""
    task = model.task
    return isinstance(task, Decodes) and isinstance(task, Embeds | HasPrior) and not task.conditional


def embeds_and_decodes(model: Model) -> bool:
    """Whether pictures become codes and these become pictures again."""
    return isinstance(model.task, Embeds) and decodes(model)


def draws_codes(model: Model) -> bool:
    """Whether it knows what its codes look like: by a prior, or by those of training pictures."""
    return decodes(model) and (prior_of(model) is not None or model.latent is not None)


def edits(model: Model) -> bool:
    """Whether it knows what attributes do to a code."""
    return embeds_and_decodes(model) and model.latent is not None and bool(model.latent.names)


def reconstructs(model: Model) -> bool:
    """Whether it makes a picture of a picture and nothing else."""
    return isinstance(model.task, Reconstructs) and not model.task.conditional


def prior_of(model: Model) -> HasPrior | None:
    """The task, if codes of N(0, I) alone become its pictures."""
    return model.task if isinstance(model.task, HasPrior) and not model.task.conditional else None


ABILITIES: Mapping[str, Callable[[Model], bool]] = {
    "predict": lambda model: isinstance(model.task, Classifies | Detects),
    "detect": lambda model: isinstance(model.task, Detects),
    "segment": lambda model: isinstance(model.task, Segments),
    "embed": lambda model: isinstance(model.task, Embeds),
    "reconstruct": reconstructs,
    "sample": lambda model: isinstance(model.task, Samples) or draws_codes(model),
    "decode": decodes,
    "edit": edits,
    "interpolate": embeds_and_decodes,
    "interpolate_seeds": draws_codes,
}
"""Method of `Model` -> whether a model has what it needs."""


def refusal(model: Model, cannot: str) -> RecipeError:
    """What to say of a model that cannot do what it was asked: what it can instead."""
    can = [f"model.{name}()" for name, able in ABILITIES.items() if able(model)]
    return RecipeError(f"{name_of(model)} {cannot}; " + (f"it offers {', '.join(can)}" if can else "its network is model.task"))


def name_of(model: Model) -> str:
    """Its recipe and its task."""
    return f"{model.recipe.name} ({model.recipe.task.name})"
