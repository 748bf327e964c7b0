"""The errors zoo raises for people, each with the exit code its command ends with."""

from __future__ import annotations


class ZooError(Exception):
    """Something a person can mend. The message names the value, what was expected and the next step."""

    exit_code = 1
    common = False
    """Whether all processes that train together meet it at once, so that one of them says it."""


class RecipeError(ZooError):
    """A recipe, an argument or a name is wrong (exit code 2)."""

    exit_code = 2


class DataError(ZooError):
    """Files of a data set are missing, broken or contradict each other (exit code 3)."""

    exit_code = 3


class DivergedError(ZooError):
    """A loss is no longer a finite number (exit code 4)."""

    exit_code = 4
    common = True


def shown(text: object) -> str:
    """Text from outside (a path, a class) on one line of a message: control characters and bytes that are no text are spelt out."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))
