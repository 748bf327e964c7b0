"""Where to compute, and in which memory layout."""

from __future__ import annotations

import re

import torch

from zoo.errors import RecipeError
from zoo.ranks import ranks

_LARGE = 96


def compute_device(name: str) -> torch.device:
    """The device of a recipe's `train.device`: auto, cpu, cuda or cuda:N. Where several processes train, each has the GPU of its number.

    Raises:
        RecipeError: it is not there.
    """
    if name == "auto":  # never mps: the metrics add up in float64, which it lacks
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", name):
        raise RecipeError(f"device={name!r}: expected auto, cpu, cuda or cuda:N")
    if name == "cuda" and ranks().world > 1 and torch.cuda.device_count() != 1:  # one: a cluster shows each process its own alone
        name = f"cuda:{ranks().local}"
    wished = torch.device(name)
    if wished.type == "cuda" and not torch.cuda.is_available():
        raise RecipeError(f"device={name!r}: this machine has no CUDA device that PyTorch can use; try cpu")
    if wished.type == "cuda" and (wished.index or 0) >= torch.cuda.device_count():
        raise RecipeError(
            f"device={name!r}: this machine has {torch.cuda.device_count()} CUDA devices, counted from 0; try cuda, or fewer processes"
        )
    return wished


def memory_format(wish: bool | str, on: torch.device, size: tuple[int, int]) -> torch.memory_format:
    """channels_last where it is known to help; a table and not a timing, so that runs can be repeated.

    `auto` is a GPU, and a CPU with pictures (height, width) of `_LARGE` pixels or more: there training takes 0.5 to 1.0 of the time and
    prediction 0.4 to 1.0, with smaller ones training takes 0.6 to 1.3 (docs/decisions/0015-memory-layout.md).
    """
    use = on.type == "cuda" or min(size) >= _LARGE if wish == "auto" else bool(wish)
    return torch.channels_last if use else torch.contiguous_format
