"""Single-label classification: a backbone's vector, a linear head, cross entropy or focal loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Le, Lt
from torch import Tensor

from zoo.backbones.backbone import Backbone
from zoo.heads.linear import LinearHead
from zoo.losses.classification import cross_entropy, focal
from zoo.losses.mixing import mix
from zoo.spec import DataSpec
from zoo.tasks import answering
from zoo.tasks.task import Batch, Drawing, Examples, Table, Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Classification(Task):
    """One label for each picture, out of the spec's labels.

    Args:
        spec: of the data; `weights` weigh the classes in the loss.
        backbone: of the form "vector".
        loss: "cross_entropy" or "focal".
        smoothing: label smoothing, in [0, 1).
        gamma, alpha: of the focal loss.
        mixup, cutmix: alphas of their Beta distributions; 0 for none.
        dropout: before the linear layer.
        frozen_epochs: for so many epochs the backbone stands still, batch statistics included, and only the head learns; -1 for ever.
    """

    form: ClassVar[Literal["vector", "maps"] | None] = "vector"
    main: ClassVar[str] = "accuracy"
    truth: ClassVar[str | None] = "label"
    class_weights: Tensor

    def __init__(
        self,
        spec: DataSpec,
        backbone: Backbone,
        loss: Literal["cross_entropy", "focal"] = "cross_entropy",
        smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0,
        gamma: Annotated[float, Ge(0)] = 2.0,
        alpha: Annotated[float, Ge(0)] = 1.0,
        mixup: Annotated[float, Ge(0)] = 0.0,
        cutmix: Annotated[float, Ge(0)] = 0.0,
        dropout: Annotated[float, Ge(0), Le(1)] = 0.0,
        frozen_epochs: Annotated[int, Ge(-1)] = 0,
    ) -> None:
        super().__init__()
        if len(spec.labels) < 2:
            raise ValueError(f"the data has {len(spec.labels)} classes, at least two are needed to tell apart")
        self.labels = spec.labels
        self.backbone, self.head = backbone, LinearHead(backbone.width, len(spec.labels), dropout)
        self.loss, self.smoothing, self.gamma, self.alpha = loss, smoothing, gamma, alpha
        self.mixup, self.cutmix, self.frozen_epochs = mixup, cutmix, frozen_epochs
        self.frozen = False
        self.freezable = [weight for weight in backbone.parameters() if weight.requires_grad]  # not what the backbone itself holds still
        weights = torch.tensor(spec.weights or [1.0] * len(spec.labels))
        self.weighted = bool(spec.weights)
        self.register_buffer("class_weights", weights, persistent=False)  # of the training data, not of the trained model

    def start_epoch(self, epoch: int) -> None:
        """Freeze or unfreeze the backbone."""
        self.frozen = self.frozen_epochs < 0 or epoch < self.frozen_epochs
        for weight in self.freezable:
            weight.requires_grad_(not self.frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> Classification:
        """As usual, but a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def coupling(self) -> list[str]:
        """Beside batch normalisation: class weights, since their sum over the batch divides the loss, and mixing."""
        mixing = [name for name in ("mixup", "cutmix") if getattr(self, name) > 0]
        return super().coupling() + (["the loss's class weights"] if self.weighted else []) + mixing

    def logits(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, classes)."""
        logits: Tensor = self.head(self.backbone.vector(image))
        return logits

    def losses(self, batch: Batch, player: str) -> dict[str, Tensor]:
        """`loss` and, without mixing, `accuracy` of the batch as it was trained on."""
        image, target = batch["image"], batch["label"]
        mixing = self.training and (self.mixup > 0 or self.cutmix > 0)
        if mixing:
            image, target = mix(image, target, len(self.labels), self.mixup, self.cutmix)
        logits = self.logits(image).float()
        losses = {"loss": self._loss(logits, target)}
        if not mixing:
            losses["accuracy"] = (logits.detach().argmax(1) == target).float().mean()
        return losses

    def _loss(self, logits: Tensor, target: Tensor) -> Tensor:
        weight = self.class_weights if self.weighted else None
        if self.loss == "focal":
            return focal(logits, target, weight, self.smoothing, self.gamma, self.alpha)
        return cross_entropy(logits, target, weight, self.smoothing)

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """`probabilities` (B, classes) and, where labels are given, `losses` (B,): plain cross entropy of each picture."""
        logits = self.logits(batch["image"]).float()
        predictions = {"probabilities": logits.softmax(1)}
        if "label" in batch:
            predictions["losses"] = F.cross_entropy(logits, batch["label"], reduction="none")
        return predictions

    def classify(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, classes) probabilities."""
        return self.logits(image).float().softmax(1)

    def embed(self, image: Tensor) -> Tensor:
        """The backbone's vector: (B, C, H, W) in [0, 1] -> (B, width)."""
        return self.backbone.vector(image)

    def metrics(self) -> MetricCollection:
        """accuracy, macro, micro and weighted F1, and the mean cross entropy as `loss`."""
        return answering.metrics(self.labels)

    def details(self, metrics: MetricCollection) -> dict[str, Any]:
        """`confusion` (C, C) int64, rows truth."""
        return answering.details(metrics)

    def figures(self, examples: Examples) -> dict[str, Drawing]:
        """Confusion matrix and the surest mistakes."""
        return answering.drawings(self.labels, examples)

    def tables(self, examples: Examples) -> dict[str, Table]:
        """Precision, recall and F1 of each class; the most confused pairs."""
        return answering.tables(self.labels, examples)
