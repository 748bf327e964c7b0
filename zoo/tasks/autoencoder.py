"""Autoencoder (Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647): pictures through a short code and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le
from torch import Tensor, nn

from zoo.backbones.backbone import Backbone
from zoo.heads.mirror import Mirror
from zoo.latent.space import joined
from zoo.losses import reconstruction as losses
from zoo.spec import DataSpec
from zoo.tasks import exploring, restoring, simpler
from zoo.tasks.showing import evenly
from zoo.tasks.task import Batch, Drawing, Examples, Table, Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

MOST, VALUES = 2000, 2**26
"""Most pictures, and most of their values, that simpler ways are fitted on and compared with."""


class Autoencoder(Task):
    """A picture's code is linear in the backbone's vector; the decoder mirrors the backbone's stages and ends in a sigmoid.

    Where `data.corrupt` spoils pictures it learns to give back the clean ones (Vincent 2008, doi:10.1145/1390156.1390294).

    Args:
        spec: of the data.
        backbone: of the form "vector".
        code: its length.
        loss: see `zoo.losses.reconstruction`.
        edits: attributes whose change the report shows; by default the three that codes tell best.
    """

    form: ClassVar[Literal["vector", "maps"] | None] = "vector"
    main: ClassVar[str] = "mse"

    def __init__(
        self,
        spec: DataSpec,
        backbone: Backbone,
        code: Annotated[int, Ge(1), Le(4096)] = 100,
        loss: Literal["mse", "l1", "ssim"] = "mse",
        edits: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        if unknown := sorted({joined(name) for name in edits} - {joined(name) for name in spec.attributes}):
            raise ValueError(
                f"edits: {', '.join(unknown)}: not among the data's attributes ({', '.join(spec.attributes) or 'it has none'})"
            )
        self.spec, self.edits = spec, edits
        self.code, self.loss = code, losses.build(loss)
        self.named = bool(spec.labels or spec.groups)  # then codes can be asked for pictures of the same kind
        self.most = max(2, min(MOST, VALUES // (spec.channels * spec.size[0] * spec.size[1])))
        self.backbone, self.head = backbone, nn.Linear(backbone.width, code)
        self.decoder = Mirror(code, backbone.shapes, (spec.channels, *spec.size))

    def embed(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, code)."""
        code: Tensor = self.head(self.backbone.vector(image))
        return code

    def decode(self, code: Tensor) -> Tensor:
        """(B, code) -> (B, C, H, W) in [0, 1]."""
        logits: Tensor = self.decoder(code)
        return logits.float().sigmoid()

    def reconstruct(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> the same shape, by the code."""
        return self.decode(self.embed(image))

    def losses(self, batch: Batch, player: str) -> dict[str, Tensor]:
        """`loss`, the mean over the pictures."""
        return {"loss": self.loss(self.reconstruct(batch["image"]), batch.get("clean", batch["image"]))}

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """`codes` (B, code), `reconstruction` (B, C, H, W), and of each picture (B,) `losses`, `mse`, `psnr` and `ssim`.

        These compare with the clean picture where the batch has one, else with the picture itself.
        """
        from zoo.metrics.reconstruction import per_picture

        image = batch["image"]
        code = self.embed(image).float()
        said, target = self.decode(code), batch.get("clean", image)
        predictions = {"codes": code, "reconstruction": said, "losses": self.loss(said, target, "none")}
        return predictions | per_picture(said, target)

    def overlay(self, picture: npt.NDArray[np.uint8], truth: Mapping[str, Any], prediction: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
        """The reconstruction."""
        return restoring.picture_of(prediction["reconstruction"])

    def metrics(self) -> MetricCollection:
        """Means over pictures of `mse`, `psnr`, `ssim` and the loss; with labels or groups also the codes' retrieval scores."""
        from torchmetrics import MetricCollection

        from zoo.metrics.mean import Mean
        from zoo.metrics.reconstruction import means
        from zoo.metrics.retrieval import RetrievalScores

        retrieval = {"retrieval": RetrievalScores()} if self.named else {}
        return MetricCollection({**means(), "loss": Mean("losses"), **retrieval})

    def figures(self, examples: Examples) -> dict[str, Drawing]:
        """The best, median and worst reconstructions, and what the codes tell."""
        return {
            "reconstructions": restoring.gallery(examples, "reconstruction"),
            **exploring.drawings(self, examples, self.spec, self.edits),
        }

    def tables(self, examples: Examples) -> dict[str, Table]:
        """The model beside as many principal components, and the mean picture; with labels or groups, what its codes find."""
        rows = evenly(len(examples.predictions["mse"]), self.most)
        image, target = restoring.pictures(examples, rows)
        seen, fields = examples.training(self.most)
        clean = fields.get("clean", seen).float() / 255
        tables = {"simpler": self._beside_simpler_ways(examples, rows, image, target, clean)}
        names = examples.truth.get("label", examples.truth.get("group"))
        if self.named and names is not None:
            from zoo.metrics.retrieval import TABLE_HEADER, retrieval_table

            kinds = names[rows] if isinstance(names, Tensor) else [names[row] for row in rows]
            found = retrieval_table(examples.predictions["codes"][rows], image, seen, kinds)
            caption = f"Each of {len(rows)} pictures looks for others of its own kind among them, by cosine.{_who_finds_most(found)}"
            tables["retrieval"] = Table("Retrieval", TABLE_HEADER, found, caption)
        return tables

    def _beside_simpler_ways(self, examples: Examples, rows: list[int], image: Tensor, target: Tensor, clean: Tensor) -> Table:
        from zoo.metrics.reconstruction import per_picture

        fitted = simpler.components(clean, self.code)
        ways = {f"PCA, {len(fitted.axes)} components": fitted.reconstruct(image), "mean picture": fitted.mean.expand_as(image)}
        values = {restoring.NETWORK: {name: examples.predictions[name][rows] for name in ("mse", "psnr", "ssim")}}
        values |= {way: per_picture(said, target) for way, said in ways.items()}
        return restoring.beside(values, "mse", f"PCA and the mean are those of {len(clean)} training pictures.")


def _who_finds_most(found: Sequence[Sequence[Any]]) -> str:
    """A sentence on rows of `retrieval_table`, the model's first; nothing where no two pictures are of one kind."""
    precision = {str(row[0]): float(row[-1]) for row in found}
    ours = str(found[0][0])
    if any(math.isnan(value) for value in precision.values()):
        return ""
    best = max(precision, key=lambda way: precision[way])
    beside = "" if best == ours else f", {ours} have {precision[ours]:.3f}"
    return f" The highest mAP is that of {best}, {precision[best]:.3f}{beside}."
