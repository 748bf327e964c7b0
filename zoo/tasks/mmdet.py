"""Object detection by the one-stage detectors of MMDetection (Chen et al. 2019, arXiv:1906.07155): the only module that imports mmdet.

Network, losses and decoding are mmdet's, by a config of its own. Data, their augmentation, the schedule and the optimiser are the
recipe's: mmdet's pipelines, loaders, hooks and runner are not used.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from annotated_types import Gt, Lt
from torch import Tensor

from zoo import mmcv_ops, paths
from zoo.errors import RecipeError, ZooError
from zoo.progress import say
from zoo.spec import DataSpec
from zoo.tasks import detecting
from zoo.tasks.task import Batch, Drawing, Examples, Table, Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

mmcv_ops.provide()  # here, because a worker process that is handed a task imports this module first

MOST = 100
"""Boxes that are told of a picture."""
IGNORED, NONE = -1, -2
"""Classes of what is not learnt from and of rows without a box, as in the batches."""
COARSEST = 32
"""Pictures are padded to multiples of this stride, of which most backbones' coarsest map is."""


class MMDet(Task):
    """A one-stage detector of mmdet.

    Two things differ from mmdet's own training: all weights learn, also where the config freezes the first stages of a pretrained
    backbone, and boxes to be ignored are handed over, but most heads of mmdet, CenterNet's too, take what they cover for background.

    Args:
        spec: of the data; its labels are the classes.
        config: name of one of the configs that mmdet installs, without `.py`; of it the network, its losses and its decoding are used.
        begin: weights of the backbone, where the config takes torchvision's: "torchvision", "random", or "prefer" for the former if
            they can be had.
        checkpoint: file (.pth or .safetensors, relative to $ZOO_DATA) of a detector of the same config to begin with instead, as mmdet
            publishes them. Tensors whose shape depends on the classes are left out.
        threshold: score from which on a box is shown.
        trained: the weights come from elsewhere: nothing is drawn or read.
    """

    form: ClassVar[Literal["vector", "maps"] | None] = None
    main: ClassVar[str] = "map50"
    truth: ClassVar[str | None] = "boxes"

    def __init__(
        self,
        spec: DataSpec,
        config: str = "centernet_r18_8xb16-crop512-140e_coco",
        begin: Literal["prefer", "torchvision", "random"] = "prefer",
        checkpoint: str | None = None,
        threshold: Annotated[float, Gt(0), Lt(1)] = 0.3,
        trained: bool = False,
    ) -> None:
        super().__init__()
        if not spec.labels:
            raise ValueError("the boxes have no classes, at least one is needed")
        self.labels, self.threshold = spec.labels, threshold
        package = _package()
        from zoo.tasks.mmdet_config import composed  # needs mmengine, which imports cv2

        network, origin = composed(package, config, len(spec.labels))
        preprocessing = network.get("data_preprocessor") or {}
        self.rgb = bool(preprocessing.get("bgr_to_rgb"))  # mmdet reads pictures as BGR
        self.multiple = max(COARSEST, preprocessing.get("pad_size_divisor", 1))
        self.model = _built(config, network, drawn=not trained)
        if not trained:
            say(f"detector: {config}, {self._begin(origin, begin, checkpoint)}")

    def _begin(self, origin: str | None, begin: Literal["prefer", "torchvision", "random"], checkpoint: str | None) -> str:
        from zoo.tasks.mmdet_weights import begin_backbone, begin_detector

        if checkpoint is not None:
            return begin_detector(self.model, Path(paths.data(), Path(checkpoint).expanduser()))
        return begin_backbone(self.model.backbone, origin, begin)

    def coupling(self) -> list[str]:
        """Also the number of objects, by which losses are divided."""
        return [*super().coupling(), "the division by the number of objects"]

    def losses(self, batch: Batch, player: str) -> dict[str, Tensor]:
        """`loss`, the sum of mmdet's losses, and each of them."""
        image = batch["image"]
        samples = self._samples(image)
        for sample, boxes, classes in zip(samples, batch["boxes"], batch["classes"], strict=True):
            sample.gt_instances = _instances(boxes, classes, classes >= 0)
            sample.ignored_instances = _instances(boxes, classes, classes == IGNORED)
        loss, parts = self.model.parse_losses(self.model.loss(self._inputs(image), samples))
        return {**{name: part.detach() for name, part in parts.items()}, "loss": loss}

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """`boxes` (B, 100, 4) in pixels of `image`, `scores` (B, 100) descending and `classes` (B, 100); see `Detects.detect`."""
        image = batch["image"]
        found = self.model.predict(self._inputs(image), self._samples(image), rescale=False)
        rows = [_row(sample.pred_instances, image.shape[2:]) for sample in found]
        return {name: torch.stack(parts) for name, parts in zip(("boxes", "scores", "classes"), zip(*rows, strict=True), strict=True)}

    def detect(self, image: Tensor) -> dict[str, Tensor]:
        """See `Detects.detect`."""
        return self.predict({"image": image})

    def _inputs(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, 3, H', W') in the colours, range and normalisation of the config, padded at the right and below."""
        values = image.expand(-1, 3, -1, -1) * 255
        values = values if self.rgb else values.flip(1)
        normal = self.model.data_preprocessor
        if getattr(normal, "mean", None) is not None:
            values = (values - normal.mean) / normal.std
        height, width = image.shape[2:]
        return F.pad(values, (0, -width % self.multiple, 0, -height % self.multiple))

    def _samples(self, image: Tensor) -> list[Any]:
        """What mmdet must know of each picture beyond its pixels."""
        from mmdet.structures import DetDataSample

        height, width = image.shape[2:]
        padded = height + -height % self.multiple, width + -width % self.multiple
        facts = {
            "img_shape": (height, width),
            "ori_shape": (height, width),
            "pad_shape": padded,
            "batch_input_shape": padded,
            "scale_factor": (1.0, 1.0),
            "border": (0, height, 0, width),  # where in it the picture lies: CenterNet's own loader puts it into the middle
        }
        return [DetDataSample(metainfo=facts) for _ in image]

    def overlay(self, picture: npt.NDArray[np.uint8], truth: Mapping[str, Any], prediction: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
        """The picture with the boxes found and, where they are known, the true ones."""
        return detecting.overlay(picture, truth, prediction, self.labels, self.threshold)

    def metrics(self) -> MetricCollection:
        """COCO's mean average precisions and recall."""
        return detecting.metrics(self.labels)

    def details(self, metrics: MetricCollection) -> dict[str, Any]:
        """Curves and confusion."""
        return detecting.details(metrics)

    def figures(self, examples: Examples) -> dict[str, Drawing]:
        """Galleries, curves and confusion."""
        return detecting.drawings(self, examples)

    def tables(self, examples: Examples) -> dict[str, Table]:
        """Scores of each class."""
        return detecting.tables(self, examples)


def _package() -> Path:
    """The folder of mmdet.

    Raises:
        ZooError: it is not installed, or something that it needs.
    """
    try:
        import mmdet.models
    except (ImportError, AssertionError) as problem:  # it asserts that versions go together
        raise ZooError(
            f"task mmdet needs MMDetection, which cannot be imported ({problem}): pip install 'zoo[mmdet]'; cv2 is then the build with "
            "windows, for which a slim machine needs its packages libgl1 and libglib2.0-0"
        ) from problem
    return Path(mmdet.models.__file__).parent.parent


def _built(config: str, network: Any, drawn: bool) -> Any:
    """The network; with weights as mmdet draws them, if they are `drawn`."""
    from mmdet.registry import MODELS

    with _undisturbed():
        try:
            model = MODELS.build(network)
            if drawn:
                model.init_weights()
        except ZooError:
            raise
        except Exception as problem:  # mmdet's many authors fail in their own ways
            reason = (str(problem) or type(problem).__name__).splitlines()[0]
            raise RecipeError(f"task.config: mmdet cannot build {config} ({reason}); take another config") from problem
    return model


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Within it names are looked up in mmdet first, and MMEngine's lines about every single weight are not written."""
    from mmengine.logging import MMLogger
    from mmengine.registry import DefaultScope

    name = uuid.uuid4().hex
    MMLogger.get_instance(name, log_level="ERROR")
    try:
        with DefaultScope.overwrite_default_scope("mmdet"):
            yield
    finally:
        MMLogger._instance_dict.pop(name)


def _instances(boxes: Tensor, classes: Tensor, which: Tensor) -> Any:
    from mmengine.structures import InstanceData

    return InstanceData(bboxes=boxes[which], labels=classes[which])  # mmdet asks the device for each picture's boxes in any case


def _row(found: Any, size: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """The best boxes of a picture, inside of it, and rows without a box up to `MOST`."""
    scores, order = found.scores.float().sort(descending=True, stable=True)
    scores, order = scores[:MOST], order[:MOST]
    limit = scores.new_tensor((size[1], size[0], size[1], size[0]))
    boxes = found.bboxes[order].float().clamp(min=0).minimum(limit)
    boxes = torch.cat((boxes[:, :2], boxes[:, 2:].maximum(boxes[:, :2])), 1)  # CenterNet may say a width below 0
    left = MOST - len(scores)
    return F.pad(boxes, (0, 0, 0, left)), F.pad(scores, (0, left)), F.pad(found.labels[order], (0, left), value=NONE)
