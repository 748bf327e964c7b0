"""Semantic segmentation: a class for each pixel, by a backbone's maps, a decoder and one of many losses.

Two classes (background and foreground) are told apart by one logit and a threshold; more classes by a softmax.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from zoo.backbones.backbone import Backbone
from zoo.backbones.padding import pad
from zoo.heads.decoders import Decoder
from zoo.losses import segmentation as losses
from zoo.spec import DataSpec
from zoo.tasks.task import Batch, Drawing, Examples, Table, Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

SHOWN = 8
"""Pictures in the gallery."""


class Segmentation(Task):
    """One of the spec's labels for each pixel.

    Args:
        spec: of the data; its labels are the classes, background first.
        backbone: of the form "maps".
        decoder: what makes logits of the maps: "none" for networks that end at full size by themselves (unet, segnet), a decoder of
            segmentation-models-pytorch for the pyramids of timm.
        loss: see `zoo.losses.segmentation`, also for the options below; null is a loss's own default, and what a loss does not read
            is left aside.
        smoothing: of the truth or of an overlap.
        gamma: of the focal forms.
        alpha: weight of the foreground or of false alarms.
        beta: weight of missed pixels.
        weight: of the term that is added or mixed in.
        threshold: of two classes, a pixel is foreground from this probability on.
    """

    form: ClassVar[Literal["vector", "maps"] | None] = "maps"
    main: ClassVar[str] = "iou"
    truth: ClassVar[str | None] = "mask"

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
        loss: Literal[
            "bce", "dice", "focal", "focal_course", "tversky", "focal_tversky", "lovasz", "soft_bce", "total_variation", "boundary"
        ] = "bce",
        smoothing: Annotated[float, Ge(0)] | None = None,
        gamma: Annotated[float, Ge(0)] | None = None,
        alpha: Annotated[float, Ge(0)] | None = None,
        beta: Annotated[float, Ge(0)] | None = None,
        weight: Annotated[float, Ge(0)] | None = None,
        threshold: Annotated[float, Gt(0), Lt(1)] = 0.5,
    ) -> None:
        super().__init__()
        if len(spec.labels) < 2:
            raise ValueError(f"the masks have {len(spec.labels)} classes, at least two (background and something) are needed")
        self.labels, self.threshold = spec.labels, threshold
        self.loss = losses.build(loss, smoothing=smoothing, gamma=gamma, alpha=alpha, beta=beta, weight=weight)
        self.backbone = backbone
        outputs = 1 if len(spec.labels) == 2 else len(spec.labels)
        self.decoder = Decoder(decoder, backbone.channels, backbone.strides, outputs)

    def logits(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, K, H, W); K is 1 for two classes."""
        logits: Tensor = self.decoder(image, self.backbone.maps(pad(image, max(self.backbone.strides))))
        return logits

    def losses(self, batch: Batch, player: str) -> dict[str, Tensor]:
        """`loss`, the mean over the pictures."""
        return {"loss": self.loss(self.logits(batch["image"]), batch["mask"])}

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """`probabilities` (B, K, H, W) and the decided classes `mask` (B, H, W) uint8.

        Where the truth is given, also for each picture (B,): `losses`, `iou`, `dice` and `iou_thresholded`.
        """
        logits = self.logits(batch["image"]).float()
        probabilities = logits.sigmoid() if len(self.labels) == 2 else logits.softmax(1)
        predictions = {"probabilities": probabilities, "mask": self._decided(probabilities)}
        if "mask" in batch:
            from zoo.metrics.segmentation import per_picture  # not needed where there is no truth to compare with

            predictions["losses"] = self.loss(logits, batch["mask"], reduction="none")
            predictions |= per_picture(predictions["mask"], batch["mask"], len(self.labels))
        return predictions

    def _decided(self, probabilities: Tensor) -> Tensor:
        said = probabilities[:, 0] >= self.threshold if len(self.labels) == 2 else probabilities.argmax(1)
        return said.to(torch.uint8)

    def segment(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, H, W) uint8, the class of each pixel."""
        return self.predict({"image": image})["mask"]

    def overlay(self, picture: npt.NDArray[np.uint8], truth: Mapping[str, Any], prediction: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
        """The picture with contours of the predicted mask and, where it is known, of the true one."""
        from zoo.figures.masks import outlined

        true = np.asarray(truth["mask"]) if "mask" in truth else None
        return outlined(picture, np.asarray(prediction["mask"]), true, len(self.labels))

    def metrics(self) -> MetricCollection:
        """IoU, Dice and thresholded IoU over pictures, pooled IoU, pixel accuracies, and the mean loss."""
        from torchmetrics import MetricCollection

        from zoo.metrics.segmentation import MeanOverMasks, SegmentationScores

        return MetricCollection({"scores": SegmentationScores(len(self.labels)), "loss": MeanOverMasks("losses")})

    def details(self, metrics: MetricCollection) -> dict[str, Any]:
        """`confusion` (C, C) of all pixels, rows truth; `sweep` of thresholds, None for more than two classes."""
        scores: Any = metrics["scores"]
        return {"confusion": scores.confusion.cpu().numpy(), "sweep": scores.sweep()}

    def figures(self, examples: Examples) -> dict[str, Drawing]:
        """The worst masks, and for two classes what other thresholds give."""
        from zoo.figures.masks import Case, overlay_gallery, threshold_sweep, worst_first

        cases = []
        ious = examples.predictions["iou"].tolist()
        for row in worst_first(ious)[:SHOWN]:
            fields, said = examples.again(row)
            name, group = str(fields["path"]).replace("\\", "/").rpartition("/")[2], str(fields.get("group", ""))
            cases.append(Case(examples.picture(row), np.asarray(said["mask"]), np.asarray(fields["mask"]), name, ious[row], group))
        caption = f"The {len(cases)} lowest IoU of {len(ious)} pictures, the worst first."
        drawings = {"worst": Drawing("Worst masks", overlay_gallery(cases, self.labels, SHOWN), caption)}
        if (sweep := examples.details["sweep"]) is not None:
            figure = threshold_sweep(sweep.thresholds, sweep.iou, sweep.dice, self.threshold)
            caption = "Means over pictures. The star is the best threshold for these very pictures, an optimistic choice."
            drawings["threshold"] = Drawing("Threshold", figure, caption)
        return drawings

    def tables(self, examples: Examples) -> dict[str, Table]:
        """Scores of each class over all pixels, and of each group of pictures (a diagnosis)."""
        from zoo.metrics.segmentation import group_means, per_class

        classes = per_class(examples.details["confusion"])
        columns = (classes.pixels.astype(int), classes.iou, classes.dice, classes.precision, classes.recall)
        rows = [(label, *(column[i].item() for column in columns)) for i, label in enumerate(self.labels)]
        header = ("class", "pixels", "iou", "dice", "precision", "recall")
        tables = {"per_class": Table("Per class", header, rows, "Over all pixels of all pictures.")}
        if "group" in examples.truth:
            names = ("iou", "dice", "iou_thresholded")
            means = group_means(examples.truth["group"], {name: examples.predictions[name] for name in names})
            groups = [(group, int(found["pictures"]), *(found[name] for name in names)) for group, found in means.items()]
            tables["per_group"] = Table("Per group", ("group", "pictures", *names), groups, "Means over the pictures of each group.")
        return tables
