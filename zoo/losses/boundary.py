"""The boundary loss, and the distances to the truth's outline that it needs.

Follows the contract of `zoo.losses.segmentation`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.losses.masked import IGNORE, Reduction, read, require
from zoo.losses.overlap import soft_dice

ROOM_CPU, ROOM = 2**20, 2**25
"""How many sums of `_nearest` are held at a time: 4 MB stay in a processor's cache, 128 MB keep a device busy."""


def boundary(
    logits: Tensor,
    mask: Tensor,
    *,
    weight: float = 0.5,
    smoothing: float = 1.0,
    ignore: int = IGNORE,
    reduction: Reduction = "mean",
) -> Tensor:
    """Boundary loss with Dice (Kervadec 2018, arXiv:1812.07032): (1 - weight) Dice + weight mean(d |p - t|).

    d is the distance to the outline: a wrong pixel costs more the further it lies from where the outline should be. Kervadec writes
    mean(phi p), phi the signed distance, negative within; that is ours less a constant of the truth, so gradients are equal, and
    ours is 0 for a perfect mask. In [0, 1].

    Where we differ: distances are in parts of the picture's diagonal, not in pixels, so that the size of a picture does not change
    the balance with Dice; the weight stays, where Kervadec raises it from epoch to epoch. A picture without an outline (all foreground
    or all background) has distance 1 everywhere, and not 0: what is wrong there is as far from right as can be. With several classes
    it is half the sum over classes, so that a softmax of two classes gives what a sigmoid gives.

    Args:
        logits: (B, K, H, W).
        mask: (B, H, W).
        weight: of the boundary term, in [0, 1]; the rest is Dice's.
        smoothing: of `dice`, in pixels, from 0 up.
        ignore: value of pixels left out. Distances reach across them, to the nearest pixel whose class is known.
        reduction: "none" or "mean".
    """
    require(0 <= weight <= 1, "weight", weight, "a part from 0 to 1")
    batch = read(logits, mask, ignore, reduction)
    truth, classes = batch.truth(), logits.shape[1]
    away = outline_distances(batch.mask, max(classes, 2))[:, -classes:]  # the foreground's alone where there is one map
    far = (batch.misses(batch.probabilities(), truth) * away).sum(1) / min(classes, 2)
    return batch.reduce((1 - weight) * soft_dice(batch, truth, smoothing) + weight * batch.mean(far), reduction)


def outline_distances(mask: Tensor, classes: int) -> Tensor:
    """Exact Euclidean distance of each pixel to the nearest one that differs from it in being of a class or not.

    Half a pixel more than to the outline, which runs between the two. Costs H + W sums for each pixel and class.

    Args:
        mask: (B, H, W) int64; pixels of no class belong to neither side.
        classes: how many, from 2 up.

    Returns:
        (B, classes, H, W) float32 in parts of the picture's diagonal; 1 where there is no such pixel.
    """
    diagonal = mask.shape[1] ** 2 + mask.shape[2] ** 2
    truth = mask[:, None] == torch.arange(classes, device=mask.device)[:, None, None]
    squared = torch.where(truth, 0.0, float(diagonal))
    # Along the columns and then along the rows (Felzenszwalb 2012, "Distance Transforms of Sampled Functions").
    squared = _nearest(_nearest(squared.mT).mT)
    others = squared.masked_fill(truth, diagonal).amin(1, keepdim=True)
    return (torch.where(truth, others, squared) / diagonal).sqrt()


def _nearest(squared: Tensor) -> Tensor:
    """For each i the least squared[..., j] + (i - j)^2. All pairs are tried: more sums than a lower envelope, but no wait for a device."""
    place = torch.arange(squared.shape[-1], dtype=squared.dtype, device=squared.device)
    steps = (place[:, None] - place) ** 2
    rows = squared.reshape(-1, 1, len(place))
    together = max(1, (ROOM_CPU if squared.is_cpu else ROOM) // steps.numel())
    return torch.cat([(part + steps).amin(2) for part in torch.split(rows, together)]).view(squared.shape)
