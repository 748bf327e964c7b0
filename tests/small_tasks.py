"""Tasks beside classification, small enough for a test: an autoencoder that draws noise, and a game of two players that does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.spec import DataSpec
from zoo.tasks.task import Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Autoencoder(Task):
    """A variational autoencoder that is told the label; its codes are drawn anew for every batch."""

    main: ClassVar[str] = "loss"

    def __init__(self, spec: DataSpec, codes: int = 4) -> None:
        super().__init__()
        self.labels = spec.labels
        self.encoder = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 2 * codes))
        self.decoder = nn.Sequential(nn.Linear(codes + len(spec.labels), 3 * 64), nn.Unflatten(1, (3, 8, 8)))

    def decode(self, codes: Tensor, label: Tensor) -> Tensor:
        told = F.one_hot(label, len(self.labels)).to(codes.dtype)
        pictures: Tensor = self.decoder(torch.cat((codes, told), 1))
        return pictures

    def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
        mean, spread = self.encoder(batch["image"]).chunk(2, 1)
        codes = mean + torch.randn(mean.shape) * (0.5 * spread).exp()
        drawn = self.decode(codes, batch["label"])
        likeness = F.binary_cross_entropy_with_logits(drawn, batch["image"])
        divergence = 0.5 * (mean.square() + spread.exp() - spread - 1).mean()
        return {"loss": likeness + 0.1 * divergence, "likeness": likeness, "divergence": divergence}

    def predict(self, batch: Any) -> dict[str, Tensor]:
        codes = self.encoder(batch["image"]).chunk(2, 1)[0]
        if "label" not in batch:
            return {"codes": codes}
        drawn = self.decode(codes, batch["label"])
        return {"codes": codes, "losses": F.binary_cross_entropy_with_logits(drawn, batch["image"], reduction="none").mean((1, 2, 3))}

    def metrics(self) -> MetricCollection:
        return mean_loss()


class Game(Task):
    """A generator with batch statistics against a discriminator; each is asked for its loss in turn.

    Args:
        spec: of the data.
        sits_out, every: this player has nothing to learn in each `every`-th batch; 0 for never. Batches are counted in a buffer, so
            that a training that goes on counts on.
    """

    main: ClassVar[str] = "loss"
    NOISE: ClassVar[int] = 5
    turns: Tensor

    def __init__(self, spec: DataSpec, sits_out: Literal["generator", "discriminator"] = "discriminator", every: int = 0) -> None:
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(self.NOISE, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3 * 64), nn.Sigmoid(), nn.Unflatten(1, (3, 8, 8))
        )
        self.discriminator = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(6 * 16, 1))
        self.sits_out, self.every = sits_out, every
        self.register_buffer("turns", torch.zeros((), dtype=torch.int64))

    def players(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminator, "generator": self.generator}

    def noise(self, batch: Any) -> Tensor:
        return torch.randn(len(batch["image"]), self.NOISE)

    def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
        self.turns += player == "discriminator"  # which has the first turn
        if self.every and player == self.sits_out and self.turns % self.every == 0:
            return {}
        image = batch["image"]
        drawn = self.generator(self.noise(batch))
        fooled = self.discriminator(drawn)
        if player == "generator":
            return {"loss": F.softplus(-fooled).mean()}
        real = self.discriminator(image)
        return {"loss": F.softplus(-real).mean() + F.softplus(fooled).mean(), "real": real.mean()}

    def predict(self, batch: Any) -> dict[str, Tensor]:
        """How well the discriminator tells a picture from the one that the generator draws without noise."""
        score = self.discriminator(batch["image"]).flatten()
        drawn = self.discriminator(self.generator(torch.zeros(len(score), self.NOISE))).flatten()
        return {"score": score, "losses": F.softplus(-score) + F.softplus(drawn)}

    def metrics(self) -> MetricCollection:
        return mean_loss()


def mean_loss() -> MetricCollection:
    from torchmetrics import MetricCollection

    from zoo.metrics.mean import Mean

    return MetricCollection({"loss": Mean("losses")})
