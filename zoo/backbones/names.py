"""The names of timm's models, read from its files: importing timm takes seconds, and checking a recipe should not."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

from zoo.errors import ZooError

# timm registers a model by decorating the function that builds it, and gives it the function's name.
_REGISTERED = re.compile(rb"^@register_model\b[^\n]*\n(?:@[^\n]*\n)*def (\w+)", re.MULTILINE)


@cache
def timm_names() -> tuple[str, ...]:
    """All names of `timm.list_models()`, in its order, without importing timm or torch."""
    found = importlib.util.find_spec("timm")  # finds a package without running it
    if found is None or not found.submodule_search_locations:
        raise ZooError("timm is not installed, and the names of its backbones are read from it: run `pip install timm`")
    files = Path(found.submodule_search_locations[0], "models").glob("*.py")
    names = {name.decode() for file in files for name in _REGISTERED.findall(file.read_bytes())}
    return tuple(sorted(names, key=_with_numbers))


def _with_numbers(name: str) -> list[str | int]:
    """Sorts resnet9 before resnet10; text and numbers alternate, so like is only compared with like."""
    return [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", name)]
