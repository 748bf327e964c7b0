"""The mean of a number that a task predicts for each sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.errors import DataError


class Mean(Metric):
    """Mean over samples of `predictions[key]`, shape (B,); in float64, so that it does not depend on the batch size."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predictions: Mapping[str, Tensor], batch: Mapping[str, Any]) -> None:
        """Count a batch.

        Raises:
            DataError: there was nothing to compare the predictions with.
        """
        if self.key not in predictions:
            raise DataError(
                f"`{self.key}` cannot be measured: these pictures come without what the model's are compared with "
                "(labels, masks; of a denoising model the clean pictures, which data.corrupt spoils)"
            )
        self.total += predictions[self.key].double().sum()
        self.count += len(predictions[self.key])

    def compute(self) -> Tensor:
        """The mean so far."""
        return self.total / self.count
