"""Detection by centres: boxes from a heat map of their middles, in one pass and without comparing boxes with one another.

Zhou, Wang & Krähenbühl 2019 (Objects as Points), arXiv:1904.07850. With timm's ResNet-18 it is MMDetection's `centernet_r18`, whose
weights it takes (`zoo.heads.centernet.from_mmdet`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor

from zoo.backbones.backbone import Backbone
from zoo.backbones.padding import pad
from zoo.errors import RecipeError
from zoo.heads.centernet import CenterHead, Maps, decode
from zoo.losses import centernet as losses
from zoo.spec import DataSpec
from zoo.tasks import detecting
from zoo.tasks.task import Batch, Drawing, Examples, Table, Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class CenterNet(Task):
    """Boxes, each of one of the spec's labels.

    Args:
        spec: of the data; its labels are the classes.
        backbone: of the form "maps", of which the coarsest is read, with `lateral` the others too.
        deformable: whether convolutions of the head choose where they look: better, and three times as slow a step on a CPU.
        lateral: whether the backbone's finer maps are added on the way up: small things are found sooner. MMDetection's form has none.
        widths: channels of the head's maps, each of twice the side of the one before.
        head_width: channels inside its three branches.
        min_overlap: the smaller, the further around a centre a guess is punished less: the IoU that a box has there at least.
        size_weight: of the distance of sizes, beside the focal loss of centres.
        offset_weight: of the distance of centres in their cells.
        flip_test: whether predictions are of the picture and its mirror image together: heat maps and sizes are averaged, offsets
            are the picture's own, as the authors do. MMDetection's present version joins the boxes of both instead.
        threshold: score from which on a box is shown; measured are all.
    """

    form: ClassVar[Literal["vector", "maps"] | None] = "maps"
    main: ClassVar[str] = "map50"
    truth: ClassVar[str | None] = "boxes"

    def __init__(
        self,
        spec: DataSpec,
        backbone: Backbone,
        deformable: bool = False,
        lateral: bool = False,
        widths: tuple[Annotated[int, Ge(1), Le(4096)], ...] = (256, 128, 64),
        head_width: Annotated[int, Ge(1), Le(4096)] = 64,
        min_overlap: Annotated[float, Gt(0), Lt(1)] = 0.3,
        size_weight: Annotated[float, Ge(0)] = 0.1,
        offset_weight: Annotated[float, Ge(0)] = 1.0,
        flip_test: bool = False,
        threshold: Annotated[float, Gt(0), Lt(1)] = 0.3,
    ) -> None:
        super().__init__()
        if not spec.labels:
            raise ValueError("the boxes have no classes, at least one is needed")
        self.labels, self.min_overlap, self.flip_test, self.threshold = spec.labels, min_overlap, flip_test, threshold
        self.size_weight, self.offset_weight = size_weight, offset_weight
        self.backbone = backbone
        self.head = CenterHead(backbone.channels, backbone.strides, len(spec.labels), widths, head_width, deformable, lateral)

    def coupling(self) -> list[str]:
        """Also the number of objects, by which losses are divided."""
        return [*super().coupling(), "the division by the number of objects"]

    def maps(self, image: Tensor) -> Maps:
        """(B, C, H, W) in [0, 1] -> what is said of the cells that the picture covers, the last perhaps in part."""
        return self._cropped(self._padded_maps(pad(image, max(self.backbone.strides))), image)

    def _padded_maps(self, image: Tensor) -> Maps:
        pyramid = self.backbone.maps(image)
        expected = tuple(side // self.backbone.strides[-1] for side in image.shape[2:])
        if pyramid[-1].shape[2:] != expected:  # cells would not lie over their pixels
            found, whole = ("x".join(map(str, shape)) for shape in (pyramid[-1].shape[2:], expected))
            raise RecipeError(
                f"the backbone's coarsest map has {found} cells where {whole} cover the picture (convolutions without padding?): "
                "take another backbone.name, such as resnet18"
            )
        maps: Maps = self.head(pyramid)
        return maps

    def _cropped(self, maps: Maps, image: Tensor) -> Maps:
        """Without the cells of the mirrored margin, where objects are seen that nobody has labelled."""
        height, width = (-(-side // self.head.stride) for side in image.shape[2:])
        return Maps(*(each[..., :height, :width] for each in maps))

    def losses(self, batch: Batch, player: str) -> dict[str, Tensor]:
        """`loss` and its parts: `heat_loss`, `size_loss` and `offset_loss`."""
        maps = self.maps(batch["image"])
        shape = (len(self.labels), *maps.heat.shape[2:])
        target = losses.targets(batch["boxes"], batch["classes"], shape, self.head.stride, self.min_overlap)
        return losses.losses(*maps, target, self.size_weight, self.offset_weight)

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """The most likely boxes of each picture, the likeliest first; rows without one have score 0 and class -2.

        Returns:
            `boxes` (B, 100, 4) as left, top, right, bottom in pixels of `image`, cut off at its edges; `scores` (B, 100) in [0, 1];
            `classes` (B, 100) int64.
        """
        return self.detect(batch["image"])

    def detect(self, image: Tensor) -> dict[str, Tensor]:
        """(B, C, H, W) in [0, 1] -> `boxes`, `scores` and `classes` as in `predict`."""
        heat, size, offset = self._probable(image)
        boxes, scores, classes = decode(heat, size.clamp_min(0), offset, self.head.stride)
        height, width = image.shape[2:]
        sides = zip(boxes.unbind(2), (width, height, width, height), strict=True)
        return {"boxes": torch.stack([side.clamp(0, most) for side, most in sides], 2), "scores": scores, "classes": classes}

    def _probable(self, image: Tensor) -> Maps:
        """`maps` in float32 with probabilities, where it is asked for those of the mirror image too."""
        padded = pad(image, max(self.backbone.strides))
        heat, size, offset = (each.float() for each in self._padded_maps(padded))
        heat = heat.sigmoid()
        if self.flip_test:
            mirrored = [each.float().flip(3) for each in self._padded_maps(padded.flip(3))]
            heat, size = (heat + mirrored[0].sigmoid()) / 2, (size + mirrored[1]) / 2
        return self._cropped(Maps(heat, size, offset), image)

    def overlay(self, picture: npt.NDArray[np.uint8], truth: Mapping[str, Any], prediction: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
        """The picture with the boxes found and, where they are known, the true ones."""
        return detecting.overlay(picture, truth, prediction, self.labels, self.threshold)

    def metrics(self) -> MetricCollection:
        """Mean average precision in COCO's manner, by overlap and by size, and recall."""
        return detecting.metrics(self.labels)

    def details(self, metrics: MetricCollection) -> dict[str, Any]:
        """What was confused with what, and precision over recall."""
        return detecting.details(metrics)

    def figures(self, examples: Examples) -> dict[str, Drawing]:
        """What was found and missed, and precision over recall."""
        return detecting.drawings(self, examples)

    def tables(self, examples: Examples) -> dict[str, Table]:
        """Scores of each class."""
        return detecting.tables(self, examples)
