"""Where to compute."""

from __future__ import annotations

import torch

from zoo.errors import RecipeError


def compute_device(name: str) -> torch.device:
    """The device of a recipe's `train.device`: auto, cpu, cuda or cuda:N.

    Raises:
        RecipeError: it is not there.
    """
    if name == "auto":  # never mps: the metrics add up in float64, which it lacks
        name = "cuda" if torch.cuda.is_available() else "cpu"
    wished = torch.device(name)
    if wished.type == "cuda" and not torch.cuda.is_available():
        raise RecipeError(f"train.device={name}: this machine has no CUDA device that PyTorch can use; try train.device=cpu")
    if wished.type == "cuda" and (wished.index or 0) >= torch.cuda.device_count():
        raise RecipeError(
            f"train.device={name}: this machine has {torch.cuda.device_count()} CUDA devices, counted from 0; try train.device=cuda"
        )
    return wished
