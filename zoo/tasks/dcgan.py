"""Deep convolutional generative adversarial network (Goodfellow et al. 2014, arXiv:1406.2661; Radford, Metz & Chintala 2015,
arXiv:1511.06434): a generator that makes pictures up and a discriminator that tells them from real ones learn from each other.

Beyond the papers each player's depth, width, normalisation and activation, four losses and what keeps the game steady are options. The
backbone takes no part in the game: it is a judge, whose features of real and made-up pictures are compared. It is not trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Le
from torch import Tensor, nn

from zoo.backbones.backbone import Backbone
from zoo.errors import RecipeError
from zoo.heads.discriminator import Discriminator
from zoo.heads.generator import Generator
from zoo.heads.variational import noise_of
from zoo.losses import adversarial
from zoo.losses.diffaugment import diffaugment
from zoo.spec import DataSpec
from zoo.tasks import gaming
from zoo.tasks.showing import refuse_spoilt
from zoo.tasks.task import Batch, Drawing, Examples, Table, Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

THUMBNAIL = 32
"""Pixels of the longest side at which pictures are compared pixel by pixel."""
SHEET = 512
"""Pixels that the side of a snapshot has about; it shows 4 to 64 samples."""


class DCGAN(Task):
    """A game of two players; a code of N(0, I) is all that the generator is given.

    The generator has the first turn in a batch, and the discriminator then learns from the same samples: made once, used twice.

    Args:
        spec: of the data.
        backbone: of the form "vector": the judge; it stays as it is.
        latent: length of the code.
        loss: of both players: "bce" (Goodfellow 2014, non-saturating), "lsgan" (Mao 2016), "hinge" (Lim & Ye 2017) or "wgan" (Arjovsky
            2017, with `gradient_penalty`).
        generator_loss: of the generator alone, if it is another one.
        generator_widths: channels of its maps from coarse to fine, one a doubling; () for the paper's: down to 64, up to 512.
        generator_linear: units of linear layers between the code and the first map.
        generator_activation: after each of its layers but the last.
        generator_norm: likewise; "spectral" normalises weights (Miyato 2018) and no maps.
        generator_extra: 3x3 convolutions more at each resolution.
        discriminator_widths: channels of its maps from fine to coarse, one a halving.
        discriminator_linear: units of linear layers before the score.
        discriminator_activation: after each of its layers but the last.
        discriminator_norm: as above, not in the first layer; "spectral" in all.
        discriminator_extra: 3x3 convolutions more at each resolution.
        output: activation of the generator's last layer.
        scale: what a picture's [0, 1] is to both players: "symmetric" for [-1, 1], "unit" as it is.
        discriminator_steps: batches that the discriminator learns from for each one of the generator's.
        real_labels, fake_labels: ends of the range that the discriminator's targets are drawn from (Salimans 2016, section 3.4); of losses
            with targets, "bce" and "lsgan".
        label_noise: chance of a target of the other kind.
        gradient_penalty: weight of (|gradient| - 1)^2 between real and fake pictures (Gulrajani 2017: 10).
        r1: gamma of the penalty of gradients on real pictures (Mescheder 2018).
        r1_every: batches between two of these penalties, each as much stronger (Karras 2020, "lazy regularisation").
        augment: what both kinds of pictures go through before the discriminator (Zhao 2020, DiffAugment): "color", "translation", "cutout".
        judged_at: pixels of the side at which the judge sees pictures; None for their own size.
    """

    form: ClassVar[Literal["vector", "maps"] | None] = "vector"
    main: ClassVar[str] = "kid"

    def __init__(
        self,
        spec: DataSpec,
        backbone: Backbone,
        latent: Annotated[int, Ge(1), Le(4096)] = 100,
        loss: Literal["bce", "lsgan", "hinge", "wgan"] = "bce",
        generator_loss: Literal["bce", "lsgan", "hinge", "wgan"] | None = None,
        generator_widths: tuple[Annotated[int, Ge(1), Le(4096)], ...] = (),
        generator_linear: tuple[Annotated[int, Ge(1), Le(65536)], ...] = (),
        generator_activation: Literal["relu", "leaky_relu", "elu", "gelu", "silu"] = "relu",
        generator_norm: Literal["batch", "instance", "group", "spectral", "none"] = "batch",
        generator_extra: Annotated[int, Ge(0), Le(8)] = 0,
        discriminator_widths: tuple[Annotated[int, Ge(1), Le(4096)], ...] = (),
        discriminator_linear: tuple[Annotated[int, Ge(1), Le(65536)], ...] = (),
        discriminator_activation: Literal["relu", "leaky_relu", "elu", "gelu", "silu"] = "leaky_relu",
        discriminator_norm: Literal["batch", "instance", "group", "spectral", "none"] = "batch",
        discriminator_extra: Annotated[int, Ge(0), Le(8)] = 0,
        output: Literal["tanh", "sigmoid", "linear"] = "tanh",
        scale: Literal["symmetric", "unit"] = "symmetric",
        discriminator_steps: Annotated[int, Ge(1), Le(1000)] = 1,
        real_labels: tuple[float, float] = (1.0, 1.0),
        fake_labels: tuple[float, float] = (0.0, 0.0),
        label_noise: Annotated[float, Ge(0), Le(1)] = 0.0,
        gradient_penalty: Annotated[float, Ge(0)] = 0.0,
        r1: Annotated[float, Ge(0)] = 0.0,
        r1_every: Annotated[int, Ge(1), Le(10000)] = 16,
        augment: tuple[Literal["color", "translation", "cutout"], ...] = (),
        judged_at: Annotated[int, Ge(1), Le(1024)] | None = None,
    ) -> None:
        super().__init__()
        for name, (low, high) in (("real_labels", real_labels), ("fake_labels", fake_labels)):
            if not 0 <= low <= high <= 1:
                raise ValueError(f"{name}: [{low:g}, {high:g}]; expected two numbers from 0 to 1, the lower one first, such as [0.7, 1.0]")
        picture = (spec.channels, *spec.size)
        self.latent, self.size = latent, spec.size
        self.generator = Generator(
            latent, picture, generator_widths, generator_linear, generator_activation, generator_norm, generator_extra, output
        )
        self.discriminator = Discriminator(
            picture, discriminator_widths, discriminator_linear, discriminator_activation, discriminator_norm, discriminator_extra
        )
        self.backbone = backbone.requires_grad_(False).eval()
        self.loss, self.generator_loss = loss, generator_loss or loss
        self.low = -1.0 if scale == "symmetric" else 0.0
        self.discriminator_steps = discriminator_steps
        self.real_labels, self.fake_labels, self.label_noise = real_labels, fake_labels, label_noise
        self.gradient_penalty, self.r1, self.r1_every = gradient_penalty, r1, r1_every
        self.augment, self.judged_at = augment, judged_at
        self.start_batch(0)

    def players(self) -> dict[str, nn.Module]:
        """The generator has the first turn, when the discriminator still is as the last batch left it."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def train(self, mode: bool = True) -> DCGAN:
        """The judge stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def start_batch(self, step: int) -> None:
        """Whose turn comes in this batch, and whether gradients on real pictures are penalised: by the batch's number alone."""
        self.generates = (step + 1) % self.discriminator_steps == 0
        self.penalised = self.r1 > 0 and step % self.r1_every == 0
        self.samples: Tensor | None = None  # of the generator's turn, until the discriminator's

    # ------------------------------------------------------------ the game

    def losses(self, batch: Batch, player: str) -> dict[str, Tensor]:
        """`loss` of a player; of the discriminator also the mean scores of both kinds of pictures and the penalties.

        A score is the chance of being real with "bce", as it is with the other losses.
        """
        refuse_spoilt(batch)
        if player == "discriminator":
            return self._of_discriminator(self.scaled(batch["image"]))
        if not self.generates:
            return {}
        fake = self.generator(self.codes(len(batch["image"]), batch["image"].device))
        self.samples = fake.detach()
        return {"loss": adversarial.of_generator(self.generator_loss, self.discriminator(self._augmented(fake)))}

    def _of_discriminator(self, real: Tensor) -> dict[str, Tensor]:
        real, fake = self._augmented(real), self._augmented(self._samples(real))
        scores = self.discriminator(real), self.discriminator(fake)
        loss = adversarial.of_discriminator(self.loss, *scores, *self._targets(len(real), real.device))
        told = {"real_score": self._shown(scores[0]).mean(), "fake_score": self._shown(scores[1]).mean()}
        if self.gradient_penalty:
            told["gradient_penalty"] = adversarial.gradient_penalty(self.discriminator, real, fake)
            loss = loss + self.gradient_penalty * told["gradient_penalty"]
        if self.penalised:
            told["r1"] = adversarial.r1(self.discriminator, real)
            loss = loss + self.r1 * self.r1_every * told["r1"]
        return {"loss": loss, **told}

    @torch.no_grad()
    def _samples(self, real: Tensor) -> Tensor:
        """As many as there are real pictures; those of the generator's turn once, unless memory has it take smaller portions."""
        fake, self.samples = self.samples, None
        return fake if fake is not None and len(fake) == len(real) else self.generator(self.codes(len(real), real.device))

    def _targets(self, count: int, device: torch.device) -> tuple[Tensor | None, Tensor | None]:
        """Of real and of fake pictures; None where they are simply 1 and 0."""
        if (self.real_labels, self.fake_labels, self.label_noise) == ((1.0, 1.0), (0.0, 0.0), 0.0):
            return None, None
        real = adversarial.soft_labels(count, *self.real_labels, self.label_noise, device)
        return real, adversarial.soft_labels(count, *self.fake_labels, self.label_noise, device)

    def _augmented(self, images: Tensor) -> Tensor:
        return diffaugment(images, self.augment, self.low, 1.0) if self.augment else images

    def _shown(self, scores: Tensor) -> Tensor:
        return scores.sigmoid() if self.loss == "bce" else scores

    def codes(self, count: int, device: torch.device) -> Tensor:
        """(count, latent) of N(0, I), by torch's own random numbers."""
        return torch.randn(count, self.latent, device=device)

    def scaled(self, image: Tensor) -> Tensor:
        """Pictures in [0, 1] as the players see them."""
        return self.low + (1 - self.low) * image

    # ------------------------------------------------------------ what is made of it

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """What the judge and the discriminator say of a picture, and of one made up that belongs to the picture's `index`, if it is given.

        `features_*` (B, width), `pixels_*` (B, P) in [0, 1], a thumbnail, `*_score` (B,) for real and fake, and the picture `fake` itself
        (B, C, H, W) in [0, 1].
        """
        predictions = self._told(batch["image"], "real")
        if "index" in batch:
            fake = self.decode(noise_of(batch["index"], self.latent))
            predictions |= self._told(fake, "fake") | {"fake": fake}
        return predictions

    def _told(self, image: Tensor, kind: str) -> dict[str, Tensor]:
        scores = self._shown(self.discriminator(self.scaled(image)))
        return {f"features_{kind}": self.judge(image), f"pixels_{kind}": thumbnail(image), f"{kind}_score": scores.float()}

    def judge(self, image: Tensor) -> Tensor:
        """The judge's features: (B, C, H, W) in [0, 1] -> (B, width)."""
        if self.judged_at is not None:
            image = F.interpolate(image, (self.judged_at, self.judged_at), mode="bilinear", antialias=True)
        return self.backbone.vector(image).float()

    def decode(self, code: Tensor) -> Tensor:
        """(B, latent) -> (B, C, H, W) in [0, 1]."""
        made: Tensor = self.generator(code).float()
        return ((made - self.low) / (1 - self.low)).clamp(0, 1)

    def sample(self, n: int, label: int | None = None) -> Tensor:
        """`n` codes of N(0, I), decoded: (n, C, H, W) in [0, 1].

        Raises:
            RecipeError: a label is wished; this model knows none.
        """
        if label is not None:
            raise RecipeError(f"label={label}: a dcgan knows no labels; leave it out")
        return self.decode(self.codes(n, next(self.generator.parameters()).device))

    def snapshot(self) -> Tensor:
        """Pictures of codes that are the same each time: (N, C, H, W) in [0, 1]."""
        side = max(2, min(8, SHEET // max(self.size)))
        codes = noise_of(torch.arange(side * side), self.latent)
        return self.decode(codes.to(next(self.generator.parameters()).device))

    def alarms(self, history: Sequence[Mapping[str, Any]]) -> list[str]:
        """Whether the samples have become alike, or one player has lost; see `zoo.tasks.gaming`."""
        return gaming.alarms(history, self.loss)

    # ------------------------------------------------------------ numbers and pictures

    def metrics(self) -> MetricCollection:
        """Of samples against pictures by the judge's features: `kid`, `fid`, `one_nn_accuracy`, `diversity`; and both mean scores."""
        from zoo.metrics.generative import scores

        return scores()

    def figures(self, examples: Examples) -> dict[str, Drawing]:
        """Samples, their nearest training pictures, ways between them, truncation, and a map of both kinds."""
        return gaming.drawings(self, examples)

    def tables(self, examples: Examples) -> dict[str, Table]:
        """Samples against pictures, beside what real pictures reach against one another."""
        return {"compared": gaming.comparison(self, examples)}


def thumbnail(image: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, P): pixels, of larger pictures at `THUMBNAIL` on the longer side."""
    factor = THUMBNAIL / max(image.shape[2:])
    if factor < 1:
        size = [max(1, round(side * factor)) for side in image.shape[2:]]
        image = F.interpolate(image, size, mode="bilinear", antialias=True)
    return image.flatten(1).float()
