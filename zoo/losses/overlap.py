"""Losses that measure how far prediction and truth overlap: Dice, Tversky, focal Tversky and Lovász.

All follow the contract of `zoo.losses.segmentation`. With several classes each is the mean over the classes that occur in the
picture's truth, the background being one of them; with one logit map it is the foreground's alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.losses.masked import IGNORE, Masked, Reduction, read, require


def dice(logits: Tensor, mask: Tensor, *, smoothing: float = 1.0, ignore: int = IGNORE, reduction: Reduction = "mean") -> Tensor:
    """Soft Dice loss (Milletari 2016, "V-Net"; there with squares below the line): 1 - (2 sum(p t) + s) / (sum p + sum t + s).

    In [0, 1]. Sums run over a picture, not over the batch.

    Args:
        logits: (B, K, H, W).
        mask: (B, H, W).
        smoothing: s, in pixels, from 0 up. It is what teaches a picture without foreground: there the loss is
            1 - s / (sum p + s), which falls to 0 with the foreground predicted. With 0 it is 1 whatever little is predicted.
        ignore: value of pixels left out.
        reduction: "none" or "mean".
    """
    batch = read(logits, mask, ignore, reduction)
    return batch.reduce(soft_dice(batch, batch.truth(), smoothing), reduction)


def tversky(
    logits: Tensor,
    mask: Tensor,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    smoothing: float = 1.0,
    ignore: int = IGNORE,
    reduction: Reduction = "mean",
) -> Tensor:
    """Tversky loss (Salehi 2017, arXiv:1706.05721): 1 - (TP + s) / (TP + alpha FP + beta FN + s).

    TP = sum(p t), FP = sum(p (1 - t)), FN = sum((1 - p) t) over a picture. In [0, 1]. Salehi has no smoothing.

    Args:
        logits: (B, K, H, W).
        mask: (B, H, W).
        alpha: cost of what is predicted and not there (false positives), from 0 up.
        beta: cost of what is there and not predicted (false negatives), from 0 up; above alpha it finds more of small lesions.
        smoothing: s, in pixels, from 0 up; see `dice`, which is alpha = beta = 0.5 with twice this smoothing.
        ignore: value of pixels left out.
        reduction: "none" or "mean".
    """
    batch = read(logits, mask, ignore, reduction)
    truth = batch.truth()
    return batch.reduce(batch.over_classes(_missed(batch, truth, alpha, beta, smoothing), truth), reduction)


def focal_tversky(
    logits: Tensor,
    mask: Tensor,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 4 / 3,
    smoothing: float = 1.0,
    ignore: int = IGNORE,
    reduction: Reduction = "mean",
) -> Tensor:
    """Focal Tversky loss (Abraham & Khan 2018, arXiv:1810.07842): the Tversky loss of each class to the power 1 / gamma.

    With gamma = 4/3 the exponent is 0.75, which teaches well-found pictures more than `tversky` does. Abraham's alpha stands at the
    false negatives and beta at the false positives; here both stand as in `tversky`. Abraham sums over classes, this is the mean.

    Args:
        logits: (B, K, H, W).
        mask: (B, H, W).
        alpha: cost of false positives, from 0 up.
        beta: cost of false negatives, from 0 up.
        gamma: above 0; the exponent is 1 / gamma. Some write the exponent itself as gamma.
        smoothing: in pixels, from 0 up.
        ignore: value of pixels left out.
        reduction: "none" or "mean".
    """
    require(gamma > 0, "gamma", gamma, "a number above 0 (the exponent is 1 / gamma)")
    batch = read(logits, mask, ignore, reduction)
    truth = batch.truth()
    missed = _missed(batch, truth, alpha, beta, smoothing)
    # A root is infinitely steep at 0, where a picture is perfect and has nothing left to learn.
    losses = missed.clamp_min(torch.finfo(missed.dtype).tiny) ** (1 / gamma)
    return batch.reduce(batch.over_classes(losses, truth), reduction)


def lovasz(logits: Tensor, mask: Tensor, *, ignore: int = IGNORE, reduction: Reduction = "mean") -> Tensor:
    """Lovász hinge, with several classes Lovász-Softmax (Berman 2018, arXiv:1705.08790), of each picture by itself.

    The convex surrogate of 1 - IoU. The hinge, from 0 up, asks for logits beyond -1 and 1, not for probabilities; in a picture
    without foreground it is the worst pixel's. Lovász-Softmax is in [0, 1].
    """
    batch = read(logits, mask, ignore, reduction)
    truth = batch.truth()
    if logits.shape[1] == 1:
        errors = (1 - torch.where(truth, batch.logits, -batch.logits)).relu() * batch.valid[:, None]
    else:
        errors = batch.misses(batch.probabilities(), truth)
    # Ignored pixels have no error, so they come last and weigh what they may.
    errors, order = errors.flatten(2).sort(dim=2, descending=True)
    losses = (errors * _jaccard_steps(truth.flatten(2).gather(2, order), errors.dtype)).sum(2)
    return batch.reduce(batch.over_classes(losses, truth), reduction)


def soft_dice(batch: Masked, truth: Tensor, smoothing: float) -> Tensor:
    """(B,): `dice` of each picture, `truth` being the batch's."""
    require(smoothing >= 0, "smoothing", smoothing, "a number from 0 up")
    return batch.over_classes(_missed(batch, truth, 0.5, 0.5, smoothing / 2), truth)


def _missed(batch: Masked, truth: Tensor, alpha: float, beta: float, smoothing: float) -> Tensor:
    """(B, K): 1 - Tversky index of each class, 0 where neither prediction nor truth has any of it."""
    for name, value in (("alpha", alpha), ("beta", beta), ("smoothing", smoothing)):
        require(value >= 0, name, value, "a number from 0 up")
    misses = batch.misses(batch.probabilities(), truth)
    lost = misses * truth
    found = (truth.sum((2, 3)) - lost.sum((2, 3))).clamp_min(0)
    # The part missed, and not 1 less the part found: exact where little is missed.
    missed = alpha * (misses - lost).sum((2, 3)) + beta * lost.sum((2, 3))
    return missed / (found + missed + smoothing).clamp_min(torch.finfo(missed.dtype).eps)


def _jaccard_steps(truth: Tensor, dtype: torch.dtype) -> Tensor:
    """How much 1 - IoU grows with each pixel that joins the wrongly predicted ones (Berman 2018).

    Args:
        truth: (B, K, N) bool, pixels by falling error.
        dtype: of the steps.

    Returns:
        (B, K, N). Written as quotients, not as differences of neighbouring IoUs, which have no digits left in large pictures.
    """
    size = truth.sum(2, keepdim=True)
    joined = truth.cumsum(2)
    union = size + torch.arange(1, truth.shape[2] + 1, device=truth.device) - joined
    left = (size - joined).to(dtype) / (union - 1).clamp_min(1)
    return torch.where(truth | (union == 1), 1, left) / union
