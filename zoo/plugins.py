"""The callbacks, loggers and hooks that a recipe names: classes of installed packages, made with the recipe's options."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from zoo import registry
from zoo.errors import RecipeError, ZooError
from zoo.recipe import options
from zoo.sections import Section


def plugins(kind: registry.Kind, sections: Sequence[Section], **supplied: Any) -> list[Any]:
    """The callbacks, loggers or hooks that a recipe names, in its order.

    Args:
        kind: of which they all are.
        sections: of the recipe, such as `recipe.train.loggers`.
        supplied: what the engine gives, such as `save_dir`, to those constructors that have an argument of that name.

    Raises:
        RecipeError: one of them is not installed, needs what is not installed, or refuses its options.
    """
    return [_plugin(kind, section, supplied) for section in sections]


def _plugin(kind: registry.Kind, section: Any, supplied: dict[str, Any]) -> Any:
    place = f"train.{kind}"
    try:
        cls = registry.load(kind, section.name)
        taken = inspect.signature(cls).parameters
        return cls(**options(section), **{key: value for key, value in supplied.items() if key in taken})
    except ZooError as error:
        raise RecipeError(f"{place}: {error}, or take it out") from error
    except ImportError as error:  # loggers look for their library only now
        package = f"pip install {error.name.partition('.')[0]}" if error.name else "install it"
        raise RecipeError(f"{place}: {section.name!r} needs what is not installed: {error}; {package}, or take it out") from error
    except Exception as error:
        # Libraries have exceptions of their own for wrong options. Any other of Python's is a bug, whose traceback helps its author.
        if isinstance(error, ValueError | TypeError) or type(error).__module__ != "builtins":
            raise RecipeError(f"{place}: {section.name!r} refuses its options: {error}") from error
        raise
