"""Where things lie: ZOO_HOME (runs), ZOO_DATA (data sets), the recipes that came with zoo."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """`$ZOO_HOME`, else the nearest parent of the current folder that holds `runs/`, else the current folder."""
    if os.environ.get("ZOO_HOME"):
        return Path(os.environ["ZOO_HOME"]).expanduser().resolve()
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "runs").is_dir()), here)


def data() -> Path:
    """`$ZOO_DATA`, else `data/` in `home()`."""
    if os.environ.get("ZOO_DATA"):
        return Path(os.environ["ZOO_DATA"]).expanduser().resolve()
    return home() / "data"


def runs() -> Path:
    """The folder of all runs, `<recipe>/<id>/` below it."""
    return home() / "runs"


def recipe_folders() -> list[Path]:
    """Where recipes are looked for by name: `recipes/` of the current folder, then those that came with zoo."""
    package = Path(__file__).resolve().parent
    # In a wheel recipes/ lies inside the package (setup.cfg, package_dir); in a checkout beside it.
    folders = [Path.cwd() / "recipes", home() / "recipes", package / "recipes", package.parent / "recipes"]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def recipes() -> dict[str, Path]:
    """Name -> file of every recipe that can be called by name; the first folder that has it wins."""
    found: dict[str, Path] = {}
    for folder in recipe_folders():
        for file in sorted(folder.glob("*.yaml")):
            found.setdefault(file.stem, file)
    return dict(sorted(found.items()))
