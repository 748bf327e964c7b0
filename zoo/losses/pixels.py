"""Losses that are means over pixels: cross entropy, its focal forms, and cross entropy with total variation.

All follow the contract of `zoo.losses.segmentation`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.losses.masked import IGNORE, Masked, Reduction, read, require


def bce(logits: Tensor, mask: Tensor, *, ignore: int = IGNORE, reduction: Reduction = "mean") -> Tensor:
    """Binary cross entropy; with several classes cross entropy over a softmax. From 0 up."""
    batch = read(logits, mask, ignore, reduction)
    return batch.reduce(batch.mean(batch.entropy()), reduction)


def soft_bce(logits: Tensor, mask: Tensor, *, smoothing: float = 0.1, ignore: int = IGNORE, reduction: Reduction = "mean") -> Tensor:
    """Cross entropy with softened targets (Szegedy 2016, "Rethinking the Inception Architecture", section 7).

    Args:
        logits: (B, K, H, W).
        mask: (B, H, W).
        smoothing: part of the truth spread evenly over all classes, in [0, 1). Foreground and background are two classes, so 0.1
            makes targets of 0.95 and 0.05 where K = 1.
        ignore: value of pixels left out.
        reduction: "none" or "mean".
    """
    require(0 <= smoothing < 1, "smoothing", smoothing, "a part from 0 to below 1")
    batch = read(logits, mask, ignore, reduction)
    return batch.reduce(batch.mean(batch.entropy(smoothing)), reduction)


def focal(
    logits: Tensor,
    mask: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    ignore: int = IGNORE,
    reduction: Reduction = "mean",
) -> Tensor:
    """Focal loss (Lin 2017, "Focal Loss for Dense Object Detection", eqs. 4 and 5): (1 - p)^gamma times cross entropy.

    p is the probability of the truth, so the foreground is weighted by (1 - p)^gamma and the background by p^gamma of the
    foreground's p. Lin divides by the number of foreground boxes; this is the mean over the picture's pixels.

    Args:
        logits: (B, K, H, W).
        mask: (B, H, W).
        gamma: how much sure pixels are played down, from 0 (not at all) up.
        alpha: weight of the foreground, in [0, 1], that of the background being 1 - alpha; None weighs both by 1. With several
            classes the background is class 0.
        ignore: value of pixels left out.
        reduction: "none" or "mean".
    """
    require(alpha is None or 0 <= alpha <= 1, "alpha", alpha, "a weight from 0 to 1, or None")
    batch = read(logits, mask, ignore, reduction)
    entropy = batch.entropy()
    losses = entropy * _doubt(entropy, gamma)
    if alpha is not None:
        losses = torch.where(batch.mask > 0, alpha * losses, (1 - alpha) * losses)
    return batch.reduce(batch.mean(losses), reduction)


def focal_course(logits: Tensor, mask: Tensor, *, gamma: float = 2.0, ignore: int = IGNORE, reduction: Reduction = "mean") -> Tensor:
    """The focal loss of the course that set the PH2 homework: only the foreground is weighted by (1 - p)^gamma.

    -(1 - p)^gamma t log p - (1 - t) log(1 - p) of the foreground's p: the background's term stays plain, where Lin 2017 weights it
    by p^gamma (`focal`). With several classes the background is class 0. Options as in `focal`.
    """
    batch = read(logits, mask, ignore, reduction)
    entropy = batch.entropy()
    losses = torch.where(batch.mask > 0, entropy * _doubt(entropy, gamma), entropy)
    return batch.reduce(batch.mean(losses), reduction)


def total_variation(logits: Tensor, mask: Tensor, *, weight: float = 1.0, ignore: int = IGNORE, reduction: Reduction = "mean") -> Tensor:
    """Cross entropy plus `weight` times the total variation of the probabilities, which smooths the predicted outline.

    Anisotropic total variation (Rudin 1992, "Nonlinear total variation based noise removal algorithms"; there isotropic): the mean,
    over all pairs of valid pixels side by side or one above the other, of |p - q|. With several classes it is half the sum over
    classes (how far the two distributions are apart), so that a softmax of two classes gives what a sigmoid gives.

    Args:
        logits: (B, K, H, W).
        mask: (B, H, W).
        weight: of the variation, from 0 up. A perfect mask has a variation too: the part of its pairs that cross an outline.
        ignore: value of pixels left out, with the pairs they are in.
        reduction: "none" or "mean".
    """
    require(weight >= 0, "weight", weight, "a number from 0 up")
    batch = read(logits, mask, ignore, reduction)
    return batch.reduce(batch.mean(batch.entropy()) + weight * _variation(batch), reduction)


def _doubt(entropy: Tensor, gamma: float) -> Tensor:
    """(1 - p)^gamma from -log p."""
    require(gamma >= 0, "gamma", gamma, "a number from 0 up")
    # 1 - p from the log: exact where p is close to 1, and its gradient stays finite there for gamma < 1.
    return (-torch.expm1(-entropy)).clamp_min(torch.finfo(entropy.dtype).tiny) ** gamma


def _variation(batch: Masked) -> Tensor:
    """(B,): mean difference between valid neighbours, 0 where a picture has no two."""
    p, valid = batch.probabilities(), batch.valid[:, None]
    below = valid[:, :, 1:] & valid[:, :, :-1]
    beside = valid[..., 1:] & valid[..., :-1]
    total = (p.diff(dim=2).abs() * below).sum((1, 2, 3)) + (p.diff(dim=3).abs() * beside).sum((1, 2, 3))
    pairs = below.sum((1, 2, 3)) + beside.sum((1, 2, 3))
    return total / (pairs * min(p.shape[1], 2)).clamp_min(1)
