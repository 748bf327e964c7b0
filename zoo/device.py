"""Where to compute."""

from __future__ import annotations

import torch

from zoo.errors import RecipeError


def compute_device(name: str) -> torch.device:
    """The device of a recipe's `train.device`: auto, cpu, cuda or cuda:N.

    Raises:
        RecipeError: it is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    wished = torch.device(name)
    if wished.type == "cuda" and not torch.cuda.is_available():
        raise RecipeError(f"train.device={name}: this machine has no CUDA device that PyTorch can use; try train.device=cpu")
    return wished
