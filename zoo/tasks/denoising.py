"""Denoising: the clean picture from a spoilt one, by a network that keeps the picture's size.

A code that is shorter than the picture loses its details and cannot win against a blur; skip connections can (U-Net).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from zoo.backbones.backbone import Backbone
from zoo.backbones.padding import pad
from zoo.errors import RecipeError
from zoo.heads.decoders import Decoder
from zoo.losses import reconstruction as losses
from zoo.spec import DataSpec
from zoo.tasks import restoring, simpler
from zoo.tasks.showing import evenly
from zoo.tasks.task import Batch, Drawing, Examples, Table, Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

MEASURED = 200
"""Most pictures on which simpler ways are tried, and most on which they are compared with the network."""


class Denoising(Task):
    """Gives back the clean pictures that `data.corrupt` has spoilt.

    Args:
        spec: of the data.
        backbone: of the form "maps".
        decoder: what makes pictures of the maps: "none" for networks that end at full size by themselves (unet, segnet), a decoder
            of segmentation-models-pytorch for the pyramids of timm.
        loss: see `zoo.losses.reconstruction`.
        residual: predict what to subtract from the picture (Zhang 2017, "Beyond a Gaussian Denoiser", arXiv:1608.03981), else the
            picture itself.
    """

    form: ClassVar[Literal["vector", "maps"] | None] = "maps"
    main: ClassVar[str] = "psnr"

    def __init__(
        self,
        spec: DataSpec,
        backbone: Backbone,
        decoder: Literal[
            "none",
            "unet",
            "unetplusplus",
            "manet",
            "linknet",
            "fpn",
            "pspnet",
            "pan",
            "upernet",
            "segformer",
            "deeplabv3",
            "deeplabv3plus",
            "dpt",
        ] = "none",
        loss: Literal["mse", "l1", "ssim"] = "mse",
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.loss, self.residual = losses.build(loss), residual
        self.backbone = backbone
        self.decoder = Decoder(decoder, backbone.channels, backbone.strides, spec.channels)

    def restored(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> the same shape, which may leave [0, 1]."""
        said: Tensor = self.decoder(image, self.backbone.maps(pad(image, max(self.backbone.strides)))).float()
        return image - said if self.residual else said

    def reconstruct(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> the same shape in [0, 1]."""
        return self.restored(image).clamp(0, 1)

    def losses(self, batch: Batch, player: str) -> dict[str, Tensor]:
        """`loss`, the mean over the pictures.

        Raises:
            RecipeError: the data has no clean pictures to learn from.
        """
        if "clean" not in batch:
            raise RecipeError(
                "task 'denoising' learns from spoilt pictures beside clean ones, and nothing spoils these: "
                "set data.corrupt, such as data.corrupt=[{name: noise, sigma: 0.2, p: 1}]"
            )
        return {"loss": self.loss(self.restored(batch["image"]), batch["clean"])}

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """`reconstruction` (B, C, H, W) in [0, 1]; beside clean pictures also of each (B,) `losses`, `mse`, `psnr` and `ssim`."""
        said = self.restored(batch["image"])
        predictions = {"reconstruction": said.clamp(0, 1)}
        if "clean" in batch:
            from zoo.metrics.reconstruction import per_picture  # not needed where there is nothing to compare with

            predictions["losses"] = self.loss(said, batch["clean"], "none")
            predictions |= per_picture(said, batch["clean"])
        return predictions

    def overlay(self, picture: npt.NDArray[np.uint8], truth: Mapping[str, Any], prediction: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
        """The restored picture."""
        return restoring.picture_of(prediction["reconstruction"])

    def metrics(self) -> MetricCollection:
        """Means over pictures of `mse`, `psnr`, `ssim` and the loss."""
        from torchmetrics import MetricCollection

        from zoo.metrics.mean import Mean
        from zoo.metrics.reconstruction import means

        return MetricCollection({**means(), "loss": Mean("losses")})

    def figures(self, examples: Examples) -> dict[str, Drawing]:
        """The best, median and worst restored pictures, beside the best Gaussian blur."""
        sigma = self._best_sigma(examples)
        return {"restored": restoring.gallery(examples, "denoised", {f"blur {sigma:g} px": partial(simpler.blur, sigma=sigma)})}

    def tables(self, examples: Examples) -> dict[str, Table]:
        """The model beside what needs no training: nothing, a blur, medians."""
        from zoo.metrics.reconstruction import per_picture

        sigma = self._best_sigma(examples)
        rows = evenly(len(examples.predictions["psnr"]), MEASURED)
        image, clean = restoring.pictures(examples, rows)
        ways = {
            f"Gaussian blur, sigma {sigma:g} px": simpler.blur(image, sigma),
            "median filter, 3x3": simpler.median(image, 3),
            "median filter, 5x5": simpler.median(image, 5),
            "nothing done": image,
        }
        values = {restoring.NETWORK: {name: examples.predictions[name][rows] for name in ("mse", "psnr", "ssim")}}
        values |= {way: per_picture(said, clean) for way, said in ways.items()}
        tried = f"{simpler.SIGMAS[0]:g} to {simpler.SIGMAS[-1]:g}"
        return {"simpler": restoring.beside(values, "psnr", f"The blur's sigma is the best of {tried} px on training pictures.")}

    @staticmethod
    def _best_sigma(examples: Examples) -> float:
        """The blur that suits training pictures best."""
        spoilt, fields = examples.training(MEASURED)
        return simpler.best_sigma(spoilt.float() / 255, fields["clean"].float() / 255)
