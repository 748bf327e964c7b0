"""zoo: computer-vision projects, trainable, comparable and loadable from one place.

    python -m zoo.train recipes/simpsons_mobilenetv2.yaml
    model = zoo.load("mpii_activity"); model.predict("picture.jpg")

Importing this package imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo.model import Model

__version__ = "0.1.0"
__all__ = ["__version__", "list_recipes", "load"]


def load(what: str | Path | Sequence[str | Path], sha256: str | None = None, device: str = "auto") -> Model:
    """Load a trained model with its labels and preprocessing, ready to predict.

    Args:
        what: a run folder; a packed file or the HTTPS URL of one; or a trained recipe's name, `name`, `name:run`: by name the best
            run on the split of the newest finished one, trained on real data before drawn ones. `name@epoch` and `name:run@epoch` are
            the weights after an epoch that `checkpoint.keep_epochs` names. A list of any of these is an ensemble, whose answer is the
            mean of theirs.
        sha256: expected digest of the packed file (hex); an URL must have one.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        RecipeError: there is no such recipe, or it was not trained here.
        ZooError: the weights do not fit the recipe, or the file is broken or another one.
    """
    from zoo.model import load as load_model

    return load_model(what, sha256, device)


def list_recipes() -> list[str]:
    """Names of all recipes that can be trained by name."""
    from zoo import paths

    return [*paths.recipes()]  # not list(): once zoo.list is imported, that name is the module here
