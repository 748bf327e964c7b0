"""Which dimensions of a code tell something of the picture (Burda, Grosse & Salakhutdinov 2015, arXiv:1509.00519)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from zoo.metrics.mean import Mean

ACTIVE = 0.01
"""A dimension is active if the variance over pictures of its mean is above this, as in the paper."""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Dimensions:
    """What each dimension of a code does, each (D,).

    Attributes:
        activity: variance over pictures of the mean.
        kl: nats that it adds to the KL term, mean over pictures.
    """

    activity: Vector
    kl: Vector

    def rows(self) -> list[tuple[int, float, float, str]]:
        """(dimension counted from 0, activity, kl, "yes" where it is active), the most active first."""
        order = np.argsort(-self.activity, kind="stable")
        return [(int(i), float(self.activity[i]), float(self.kl[i]), "yes" if self.activity[i] > ACTIVE else "no") for i in order]

    def in_words(self, most: int = 12) -> str:
        """How many are active, and which collapsed to the prior."""
        dead = np.flatnonzero(~(self.activity > ACTIVE)).tolist()
        if not dead:
            return f"All {len(self.activity)} dimensions are active."
        named = ", ".join(map(str, dead[:most])) + (f" and {len(dead) - most} more" if len(dead) > most else "")
        active = len(self.activity) - len(dead)
        return f"{active} of {len(self.activity)} dimensions are active; collapsed, the same for all pictures: {named}."


class ActiveDimensions(Metric):
    """How many dimensions are active, from `predictions["codes"]` and `predictions["log_variance"]`, (B, D) each; sums in float64."""

    full_state_update = False
    count: Tensor
    total: Tensor
    squares: Tensor
    nats: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        for name in ("total", "squares", "nats"):
            self.add_state(name, torch.zeros(latent, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, predictions: Mapping[str, Tensor], batch: Mapping[str, Any]) -> None:
        """Count a batch."""
        mean, log_variance = predictions["codes"].double(), predictions["log_variance"].double()
        self.count += len(mean)
        self.total += mean.sum(0)
        self.squares += mean.square().sum(0)
        self.nats += 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(0)

    def compute(self) -> Tensor:
        """The number so far."""
        return (self._activity() > ACTIVE).sum()

    def dimensions(self) -> Dimensions:
        """Each dimension's share in it."""
        return Dimensions(self._activity().cpu().numpy(), (self.nats / self.count).cpu().numpy())

    def _activity(self) -> Tensor:
        return (self.squares / self.count - (self.total / self.count).square()).clamp_min(0)


def scores(latent: int) -> MetricCollection:
    """Means of `elbo`, `nll` and `kl` in nats for each picture, and `active` of `latent` dimensions."""
    found: dict[str, Metric] = {name: Mean(name) for name in ("elbo", "nll", "kl")}
    return MetricCollection({**found, "active": ActiveDimensions(latent)}, compute_groups=False)
