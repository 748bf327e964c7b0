"""Conditional variational autoencoder (Sohn, Lee & Yan 2015, "Learning Structured Output Representation using Deep Conditional Generative
Models"): a code for what the label leaves open.

Encoder q(z|x, y) and decoder p(x|z, y) are told the label; the prior of the code is N(0, I) whatever the label, as in Kingma et al. 2014,
arXiv:1406.5298, where the paper learns one for each condition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
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

STYLES = 8
"""Codes shown with each label."""
LABELS = 12
"""Labels shown."""


class CVAE(Task):
    """A picture's code is a diagonal Gaussian given its label; the decoder mirrors the backbone's stages.

    Args:
        spec: of the data; its labels are the conditions.
        backbone: of the form "vector", one that takes conditions.
        latent: length of the code.
        likelihood: "bernoulli" for pixels that are 0 or 1 (`data.binarize`), "gaussian" for grey and colour; its mean is in [0, 1].
        std: of the Gaussian, where the pixels' range is 1.
        beta: weight of the KL term; 1 is the bound itself (Higgins 2017 for others).
        warmup: epochs over which this weight rises from 0.
        samples: of each picture, for the importance-weighted bound in the report.
    """

    form: ClassVar[Literal["vector", "maps"] | None] = "vector"
    main: ClassVar[str] = "elbo"
    truth: ClassVar[str | None] = "label"
    conditional: ClassVar[bool] = True

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
        if not spec.labels:
            raise ValueError("the data has no labels to tell the network; take task.name=vae, or other data")
        self.labels, self.latent, self.samples = spec.labels, latent, samples
        self.nll = elbo.likelihood(likelihood, std)
        self.beta, self.warmup, self.weight = beta, warmup, beta
        self.backbone, self.head = backbone, GaussianHead(backbone.width, latent)
        self.decoder = Mirror(latent, backbone.shapes, (spec.channels, *spec.size), len(spec.labels))

    def start_epoch(self, epoch: int) -> None:
        """Set the weight of the KL term."""
        self.weight = elbo.warmed(self.beta, self.warmup, epoch)

    def condition(self, label: Tensor) -> Tensor:
        """(B,) -> (B, labels), one-hot."""
        return F.one_hot(label, len(self.labels)).to(self.head.mean.weight.dtype)

    def posterior(self, image: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) in [0, 1] and (B, labels) -> mean and log-variance of q(z|x, y), (B, latent) each."""
        vector: Any = self.backbone.vector  # typed without the condition, which only some backbones take
        mean, log_variance = self.head(vector(image, condition))
        return mean, log_variance

    def logits(self, code: Tensor, condition: Tensor) -> Tensor:
        """(B, latent) and (B, labels) -> (B, C, H, W)."""
        logits: Tensor = self.decoder(code, condition)
        return logits.float()

    def losses(self, batch: Batch, player: str) -> dict[str, Tensor]:
        """`loss` = `nll` + weight * `kl`, means over the pictures, in nats."""
        refuse_spoilt(batch)
        image, condition = batch["image"], self.condition(batch["label"])
        mean, log_variance = self.posterior(image, condition)
        code = reparameterise(mean, log_variance, torch.randn_like(mean))
        nll = self.nll(self.logits(code, condition), image).mean()
        kl = elbo.kl(mean, log_variance).mean()
        return {"loss": nll + self.weight * kl, "nll": nll, "kl": kl}

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """`codes` (the means) and `log_variance` (B, latent) and `reconstruction` (B, C, H, W), the codes decoded.

        Without a label all are as likely to the network, which it was not trained for. Where labels and the pictures' `index` are given,
        also (B,) in nats: `nll` by one draw of the code, always the same for an index; `kl`; and `elbo`, which is minus both.
        """
        image = batch["image"]
        condition = self.condition(batch["label"]) if "label" in batch else self._unknown(len(image), image.device)
        mean, log_variance = self.posterior(image, condition)
        decoded = self.logits(mean, condition).sigmoid()
        predictions = {"codes": mean, "log_variance": log_variance, "reconstruction": decoded}
        if "label" in batch and "index" in batch:
            code = reparameterise(mean, log_variance, noise_of(batch["index"], self.latent))
            nll, kl = self.nll(self.logits(code, condition), image), elbo.kl(mean, log_variance)
            predictions |= {"elbo": -nll - kl, "nll": nll, "kl": kl}
        return predictions

    def _unknown(self, count: int, device: torch.device) -> Tensor:
        return torch.full((count, len(self.labels)), 1 / len(self.labels), device=device)

    def bound(self, image: Tensor, label: Tensor, samples: int) -> Tensor:
        """The importance-weighted bound of log p(x|y): (B, C, H, W) in [0, 1] and (B,) -> (B,) nats."""
        condition = self.condition(label)
        mean, log_variance = self.posterior(image, condition)

        def log_weights(count: int) -> Tensor:
            code = reparameterise(mean, log_variance, torch.randn(count, *mean.shape, device=mean.device))
            logits = self.logits(code.flatten(0, 1), condition.repeat(count, 1))
            return elbo.log_weights(code, mean, log_variance, self.nll(logits, image.repeat(count, 1, 1, 1)).view(count, -1))

        return elbo.importance_bound(log_weights, samples)

    def decode(self, code: Tensor, label: Tensor) -> Tensor:
        """(B, latent) and (B,) -> (B, C, H, W) in [0, 1], the mean of p(x|z, y)."""
        return self.logits(code, self.condition(label)).sigmoid()

    def reconstruct(self, image: Tensor, label: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] and (B,) -> the pictures' shape, by the mean of the code."""
        return self.decode(self.posterior(image, self.condition(label))[0], label)

    def sample(self, n: int, label: int | None = None) -> Tensor:
        """`n` pictures (n, C, H, W) in [0, 1]: codes of N(0, I), decoded with a label; without one, with any label equally often by chance.

        Raises:
            RecipeError: there is no such label.
        """
        device = self.head.mean.weight.device
        if label is not None and not 0 <= label < len(self.labels):
            raise RecipeError(
                f"label={label}: expected 0 to {len(self.labels) - 1}, the place of a label among the model's {len(self.labels)}"
            )
        wished = torch.randint(len(self.labels), (n,), device=device) if label is None else torch.full((n,), label, device=device)
        return self.decode(torch.randn(n, self.latent, device=device), wished)

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
        """Reconstructions, labels by styles, samples of each label, and the dimensions in use."""
        return {
            "reconstructions": showing.reconstructions(examples),
            **(self._made_up() if examples.part == "val" else {}),
            "dimensions": showing.dimension_bars(examples.details["dimensions"]),
        }

    def _made_up(self) -> dict[str, Drawing]:
        """What no picture is needed for."""
        from zoo.figures.digits import titled_grid

        names = self.labels[:LABELS]
        which = "" if len(names) == len(self.labels) else f" The first {len(names)} of {len(self.labels)} labels."
        styles = noise_of(torch.arange(STYLES), self.latent)
        by_style = self._drawn(styles.repeat_interleave(len(names), 0), len(names), torch.arange(len(names)).repeat(STYLES))
        noise = noise_of(torch.arange(len(names) * STYLES), self.latent)
        by_label = self._drawn(noise, STYLES, torch.arange(len(names)).repeat_interleave(STYLES))
        return {
            "styles": Drawing(
                "Labels by styles", titled_grid(by_style, above=names), f"Each row is one code drawn from N(0, I), with each label.{which}"
            ),
            "generated": Drawing(
                "Samples of each label", titled_grid(by_label, beside=names), f"Each picture has a code of its own from N(0, I).{which}"
            ),
        }

    def _drawn(self, codes: Tensor, columns: int, labels: Tensor) -> list[list[showing.Picture]]:
        """Codes with labels as rows of pictures."""
        device = self.head.mean.weight.device
        pictures = showing.drawable(self.decode(codes.to(device), labels.to(device)))
        return [pictures[start : start + columns] for start in range(0, len(pictures), columns)]

    def tables(self, examples: Examples) -> dict[str, Table]:
        """The bounds, and what each dimension of the code does."""
        device = self.head.mean.weight.device
        bounds = showing.bounds(examples, lambda batch: self.bound(batch["image"], batch["label"], self.samples), self.samples, device)
        return {"bounds": bounds, "dimensions": showing.dimension_table(examples.details["dimensions"])}
