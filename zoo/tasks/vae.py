"""Variational autoencoder (Kingma & Welling 2013, arXiv:1312.6114): pictures through codes that are normally distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from zoo.backbones.backbone import Backbone
from zoo.errors import RecipeError
from zoo.heads.mirror import Mirror
from zoo.heads.variational import GaussianHead, noise_of, reparameterise
from zoo.losses import elbo
from zoo.spec import DataSpec
from zoo.tasks import showing
from zoo.tasks.showing import refuse_spoilt
from zoo.tasks.task import Batch, Drawing, Examples, Table, Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

SHEET = 64
"""Samples shown."""
WALK = 15
"""Codes on each side of the plane that is shown where a code has two numbers."""


class VAE(Task):
    """A picture's code is a diagonal Gaussian; the decoder mirrors the backbone's stages and says how likely each pixel is.

    Args:
        spec: of the data.
        backbone: of the form "vector".
        latent: length of the code.
        likelihood: "bernoulli" for pixels that are 0 or 1 (`data.binarize`), "gaussian" for grey and colour; its mean is in [0, 1].
        std: of the Gaussian, where the pixels' range is 1.
        beta: weight of the KL term; 1 is the bound itself (Higgins 2017 for others).
        warmup: epochs over which this weight rises from 0.
        samples: of each picture, for the importance-weighted bound in the report.
    """

    form: ClassVar[Literal["vector", "maps"] | None] = "vector"
    main: ClassVar[str] = "elbo"

    def __init__(
        self,
        spec: DataSpec,
        backbone: Backbone,
        latent: Annotated[int, Ge(1), Le(4096)] = 20,
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
        std: Annotated[float, Gt(0)] = 0.1,
        beta: Annotated[float, Ge(0)] = 1.0,
        warmup: Annotated[int, Ge(0)] = 0,
        samples: Annotated[int, Ge(1)] = 100,
    ) -> None:
        super().__init__()
        self.latent, self.samples = latent, samples
        self.nll = elbo.likelihood(likelihood, std)
        self.beta, self.warmup, self.weight = beta, warmup, beta
        self.backbone, self.head = backbone, GaussianHead(backbone.width, latent)
        self.decoder = Mirror(latent, backbone.shapes, (spec.channels, *spec.size))

    def start_epoch(self, epoch: int) -> None:
        """Set the weight of the KL term."""
        self.weight = elbo.warmed(self.beta, self.warmup, epoch)

    def posterior(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) in [0, 1] -> mean and log-variance of q(z|x), (B, latent) each."""
        mean, log_variance = self.head(self.backbone.vector(image))
        return mean, log_variance

    def logits(self, code: Tensor) -> Tensor:
        """(B, latent) -> (B, C, H, W)."""
        logits: Tensor = self.decoder(code)
        return logits.float()

    def losses(self, batch: Batch, player: str) -> dict[str, Tensor]:
        """`loss` = `nll` + weight * `kl`, means over the pictures, in nats."""
        refuse_spoilt(batch)
        image = batch["image"]
        mean, log_variance = self.posterior(image)
        nll = self.nll(self.logits(reparameterise(mean, log_variance, torch.randn_like(mean))), image).mean()
        kl = elbo.kl(mean, log_variance).mean()
        return {"loss": nll + self.weight * kl, "nll": nll, "kl": kl}

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """`codes` (the means) and `log_variance` (B, latent) and `reconstruction` (B, C, H, W), the codes decoded.

        Where the pictures' `index` is given, also (B,) in nats: `nll` by one draw of the code, always the same for an index; `kl`;
        and `elbo`, which is minus both.
        """
        image = batch["image"]
        mean, log_variance = self.posterior(image)
        predictions = {"codes": mean, "log_variance": log_variance, "reconstruction": self.decode(mean)}
        if "index" in batch:
            noise = noise_of(batch["index"], self.latent)
            nll = self.nll(self.logits(reparameterise(mean, log_variance, noise)), image)
            kl = elbo.kl(mean, log_variance)
            predictions |= {"elbo": -nll - kl, "nll": nll, "kl": kl}
        return predictions

    def bound(self, image: Tensor, samples: int) -> Tensor:
        """The importance-weighted bound: (B, C, H, W) in [0, 1] -> (B,) nats; memory as for ten times as many pictures."""
        mean, log_variance = self.posterior(image)

        def log_weights(count: int) -> Tensor:
            code = reparameterise(mean, log_variance, torch.randn(count, *mean.shape, device=mean.device))
            nll = self.nll(self.logits(code.flatten(0, 1)), image.repeat(count, 1, 1, 1))
            return elbo.log_weights(code, mean, log_variance, nll.view(count, -1))

        return elbo.importance_bound(log_weights, samples)

    def embed(self, image: Tensor) -> Tensor:
        """The mean of q(z|x): (B, C, H, W) in [0, 1] -> (B, latent)."""
        return self.posterior(image)[0]

    def decode(self, code: Tensor) -> Tensor:
        """(B, latent) -> (B, C, H, W) in [0, 1], the mean of p(x|z)."""
        return self.logits(code).sigmoid()

    def reconstruct(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> the same shape, by the mean of the code."""
        return self.decode(self.embed(image))

    def sample(self, n: int, label: int | None = None) -> Tensor:
        """`n` codes of N(0, I), decoded: (n, C, H, W) in [0, 1].

        Raises:
            RecipeError: a label is wished; this model knows none.
        """
        if label is not None:
            raise RecipeError(f"label={label}: a vae knows no labels; leave it out, or train with task.name=cvae")
        return self.decode(torch.randn(n, self.latent, device=self.head.mean.weight.device))

    def metrics(self) -> MetricCollection:
        """Means of `elbo`, `nll` and `kl`, and `active`, the number of dimensions in use."""
        from zoo.metrics.elbo import scores

        return scores(self.latent)

    def details(self, metrics: MetricCollection) -> dict[str, Any]:
        """`dimensions`, what each does."""
        active: Any = metrics["active"]
        return {"dimensions": active.dimensions()}

    @torch.inference_mode()
    def figures(self, examples: Examples) -> dict[str, Drawing]:
        """Reconstructions, samples, the plane of codes where they have two numbers, and the dimensions in use."""
        return {
            "reconstructions": showing.reconstructions(examples),
            **(self._made_up() if examples.part == "val" else {}),
            "dimensions": showing.dimension_bars(examples.details["dimensions"]),
        }

    def _made_up(self) -> dict[str, Drawing]:
        """What no picture is needed for."""
        from zoo.figures.digits import code_plane, sample_sheet

        device = self.head.mean.weight.device
        noise = noise_of(torch.arange(SHEET), self.latent).to(device)
        samples = sample_sheet(showing.drawable(self.decode(noise)))
        drawings = {"generated": Drawing("Samples", samples, "Codes drawn from N(0, I), decoded.")}
        if self.latent == 2:
            at = showing.quantiles(WALK)
            codes = torch.cartesian_prod(at.flip(0), at).flip(1).to(device)  # rows from the top: the second number falls
            pictures = showing.drawable(self.decode(codes))
            rows = [pictures[start : start + WALK] for start in range(0, len(pictures), WALK)]
            caption = "Codes on a grid of equal steps in probability (the inverse of the Gaussian's distribution function), decoded."
            drawings["plane"] = Drawing("Plane of codes", code_plane(rows, at.numpy()), caption)
        return drawings

    def tables(self, examples: Examples) -> dict[str, Table]:
        """The bounds, and what each dimension of the code does."""
        bounds = showing.bounds(
            examples, lambda batch: self.bound(batch["image"], self.samples), self.samples, self.head.mean.weight.device
        )
        return {"bounds": bounds, "dimensions": showing.dimension_table(examples.details["dimensions"])}
