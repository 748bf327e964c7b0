"""Losses of segmentation: the one place to take them from, by function or by name.

The contract of all: `f(logits, mask, *, <options>, ignore=255, reduction="mean")` with

- `logits` (B, K, H, W) of any float type, read as float32 (float64 stays). K = 1: foreground against background by a sigmoid, the
  mask being 0, 1 or `ignore`; K > 1: one of K classes by a softmax, the mask being 0 to K - 1 or `ignore`;
- `mask` (B, H, W) int64. Its values are not checked, because that would wait for the device;
- ignored pixels, whatever their logits hold, change neither value nor gradient;
- "none" gives one number for each picture over its valid pixels, (B,), 0 for a picture without any; "mean" their mean over the
  pictures that have one, 0 with zero gradients if none has. So a loss does not depend on how pictures are divided into batches;
- values and gradients stay finite at logits of +-1e4;
- a ValueError for shapes, types or options that are none of the above.

Which option is read by which loss, with its default:

| loss | smoothing | gamma | alpha | beta | weight |
|---|---|---|---|---|---|
| bce, lovasz | | | | | |
| dice | 1 pixel | | | | |
| soft_bce | 0.1, a part | | | | |
| focal | | 2 | none | | |
| focal_course | | 2 | | | |
| tversky | 1 pixel | | 0.3 | 0.7 | |
| focal_tversky | 1 pixel | 4/3 | 0.3 | 0.7 | |
| total_variation | | | | | 1 |
| boundary | 1 pixel | | | | 0.5 |
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from zoo.losses.boundary import boundary
from zoo.losses.masked import IGNORE, Reduction, require
from zoo.losses.overlap import dice, focal_tversky, lovasz, tversky
from zoo.losses.pixels import bce, focal, focal_course, soft_bce, total_variation

__all__ = [
    "IGNORE",
    "NAMES",
    "Loss",
    "Name",
    "Reduction",
    "bce",
    "boundary",
    "build",
    "dice",
    "focal",
    "focal_course",
    "focal_tversky",
    "lovasz",
    "options",
    "soft_bce",
    "total_variation",
    "tversky",
]

Name = Literal["bce", "dice", "focal", "focal_course", "tversky", "focal_tversky", "lovasz", "soft_bce", "total_variation", "boundary"]
NAMES: tuple[Name, ...] = get_args(Name)

_FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    "bce": bce,
    "dice": dice,
    "focal": focal,
    "focal_course": focal_course,
    "tversky": tversky,
    "focal_tversky": focal_tversky,
    "lovasz": lovasz,
    "soft_bce": soft_bce,
    "total_variation": total_variation,
    "boundary": boundary,
}


class Loss(Protocol):
    """A loss whose options are chosen."""

    def __call__(self, logits: Tensor, mask: Tensor, *, ignore: int = IGNORE, reduction: Reduction = "mean") -> Tensor:
        """(B, K, H, W) and (B, H, W) -> a scalar, or (B,)."""
        ...


def options(name: str) -> tuple[str, ...]:
    """The options that a loss reads, in the order of its signature."""
    shared = {"logits", "mask", "ignore", "reduction"}
    return tuple(option for option in inspect.signature(_FUNCTIONS[name]).parameters if option not in shared)


def build(
    name: str,
    *,
    smoothing: float | None = None,
    gamma: float | None = None,
    alpha: float | None = None,
    beta: float | None = None,
    weight: float | None = None,
) -> Loss:
    """A loss by its name.

    Args:
        name: one of `NAMES`.
        smoothing: of the truth or of an overlap. This and all that follow: None for the loss's own default; what the loss does not
            read is left aside, so that one recipe can be tried with several losses.
        gamma: of the focal forms.
        alpha: of the foreground or the false positives.
        beta: of the false negatives.
        weight: of the term that is added or mixed in.

    Returns:
        A function that can be pickled.

    Raises:
        ValueError: no loss has the name, or an option is out of its range.
    """
    require(name in NAMES, "loss", name, f"one of {', '.join(NAMES)}")
    given = {"smoothing": smoothing, "gamma": gamma, "alpha": alpha, "beta": beta, "weight": weight}
    loss = partial(_FUNCTIONS[name], **{option: given[option] for option in options(name) if given[option] is not None})
    loss(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, dtype=torch.int64))  # so that a wrong option is refused here, not in training
    return loss
