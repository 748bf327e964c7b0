"""Losses of single-label classification. All take logits, and hard or soft targets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Cross entropy, averaged over the batch by weight.

    Args:
        logits: (B, C).
        target: (B,) int64 class indices, or (B, C) float probabilities (mixup).
        weight: (C,) weight of each class, or None.
        smoothing: part of the target spread evenly over all classes, in [0, 1) (Szegedy 2016, section 7).

    Returns:
        A scalar. With hard targets equal to `torch.nn.functional.cross_entropy`; with soft ones the divisor is the targets'
        mean weight rather than B, so that weighting changes the balance of the classes and not the size of the loss.
    """
    if target.dim() == 1:
        return F.cross_entropy(logits, target, weight, label_smoothing=smoothing)
    return _weighted(logits.log_softmax(1), target, weight, smoothing)


def focal(
    logits: Tensor, target: Tensor, weight: Tensor | None = None, smoothing: float = 0.0, gamma: float = 2.0, alpha: float = 1.0
) -> Tensor:
    """Focal loss (Lin 2017, "Focal Loss for Dense Object Detection", eq. 4) over a softmax: alpha (1 - p)^gamma times cross entropy.

    `alpha` scales the whole loss, as in the projects zoo reproduces; per-class weights are `weight`. With gamma 0 and alpha 1 it
    equals `cross_entropy`. Shapes and the rest as there.
    """
    log_p = logits.log_softmax(1)
    if target.dim() == 1:
        target = F.one_hot(target, logits.shape[1]).to(log_p.dtype)
    # 1 - p from the log: exact where p is close to 1, and its gradient stays finite there for gamma < 1.
    missing = -torch.expm1(log_p)
    factor = missing.clamp_min(torch.finfo(log_p.dtype).tiny) ** gamma
    return alpha * _weighted(log_p * factor, target, weight, smoothing)


def _weighted(log_p: Tensor, target: Tensor, weight: Tensor | None, smoothing: float) -> Tensor:
    """-sum(weight * target * log_p) / sum(weight * target), with the smoothing kept out of the divisor as torch has it."""
    weights = torch.ones_like(log_p[0]) if weight is None else weight
    divisor = (target * weights).sum()
    smooth = target * (1 - smoothing) + smoothing / log_p.shape[1]
    return -(smooth * weights * log_p).sum() / divisor
