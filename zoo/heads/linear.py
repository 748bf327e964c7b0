"""A linear head: dropout and one linear layer."""

from __future__ import annotations

from torch import Tensor, nn


class LinearHead(nn.Sequential):
    """(B, width) -> (B, outputs) logits.

    The weights start small (normal, std 0.01, bias 0) whatever the backbone, so that the first loss is that of a guess and can be
    compared between backbones (docs/decisions/0003-small-heads.md).
    """

    def __init__(self, width: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__(nn.Dropout(dropout), nn.Linear(width, outputs))
        linear = self[1]
        assert isinstance(linear, nn.Linear)
        nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(linear.bias)

    def forward(self, input: Tensor) -> Tensor:
        """(B, width) -> (B, outputs)."""
        output: Tensor = super().forward(input)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return output
