"""Our CenterNet against MMDetection's own: weights, maps, targets, losses, gradients and boxes, on equal pictures."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from zoo import mmcv_ops
from zoo.backbones.timm import TimmBackbone
from zoo.heads.centernet import decode, from_mmdet
from zoo.losses import centernet as losses
from zoo.spec import DataSpec
from zoo.tasks.centernet import CenterNet

if importlib.util.find_spec("mmcv") is None:  # not mmdet: this folder has its name
    pytest.skip("mmdet is not installed", allow_module_level=True)
mmcv_ops.provide()

LABELS = ("helmet", "head", "vest")
SIDE, BATCH, MOST = 128, 3, 24
PARTS = (("heat_loss", "loss_center_heatmap"), ("size_loss", "loss_wh"), ("offset_loss", "loss_offset"))


def theirs(deformable: bool = False) -> Any:
    """MMDetection's detector with random weights, those of the deformable places too, and random statistics."""
    import mmdet
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules
    from mmengine.config import Config

    register_all_modules()
    name = f"centernet_r18{'-dcnv2' if deformable else ''}_8xb16-crop512-140e_coco.py"
    config = Config.fromfile(Path(mmdet.__file__).parent / ".mim" / "configs" / "centernet" / name)
    config.model.backbone.init_cfg = None
    config.model.bbox_head.num_classes = len(LABELS)
    torch.manual_seed(0)
    net = MODELS.build(config.model)
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for values, middle in ((layer.running_mean, 0.0), (layer.running_var, 1.0), (layer.weight, 1.0), (layer.bias, 0.0)):
                assert values is not None
                torch.nn.init.uniform_(values, middle - 0.3, middle + 0.3)
        if hasattr(layer, "conv_offset"):
            torch.nn.init.normal_(layer.conv_offset.weight, std=0.05)
            torch.nn.init.normal_(layer.conv_offset.bias, std=0.5)
    return net.eval()


def ours(net: Any, deformable: bool = False) -> CenterNet:
    """The task with the same weights."""
    task = CenterNet(DataSpec(3, (SIDE, SIDE), LABELS), TimmBackbone("resnet18", form="maps"), deformable)
    found = task.load_state_dict(from_mmdet(net.state_dict()), strict=False)
    assert found.missing_keys == ["backbone.normalize.mean", "backbone.normalize.std"] and not found.unexpected_keys
    return task.eval()


def pictures() -> Tensor:
    return torch.randint(0, 256, (BATCH, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def boxes(counts: Sequence[int] = (MOST, 5, 0)) -> tuple[Tensor, Tensor]:
    """Boxes of 2 pixels to the whole picture; of some in a picture the centres are in one cell."""
    generator = torch.Generator().manual_seed(2)
    middle, side = torch.rand(BATCH, MOST, 2, generator=generator) * SIDE, 2 + torch.rand(BATCH, MOST, 2, generator=generator) ** 3 * SIDE
    middle[:, 2:5] = middle[:, 1:2]
    corners = torch.cat((middle - side / 2, middle + side / 2), 2).clamp(0, SIDE)
    classes = torch.randint(len(LABELS), (BATCH, MOST), generator=generator)
    return corners, torch.where(torch.arange(MOST) < torch.tensor(counts)[:, None], classes, losses.NONE)


def samples(corners: Tensor, classes: Tensor) -> list[Any]:
    """The boxes as MMDetection wants them."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    made = []
    for box, label in zip(corners, classes, strict=True):
        sample = DetDataSample(metainfo={"img_shape": (SIDE, SIDE), "ori_shape": (SIDE, SIDE), "border": (0, SIDE, 0, SIDE)})
        sample.gt_instances = InstanceData(bboxes=box[label >= 0], labels=label[label >= 0])
        made.append(sample)
    return made


def given(net: Any, *truth: Tensor) -> Any:
    """Normalised pictures and samples by MMDetection's own preprocessor, which wants blue first."""
    return net.data_preprocessor({"inputs": list(pictures().flip(1)), "data_samples": samples(*truth)}, training=False)


@pytest.fixture(params=[False, True], ids=["plain", "deformable"])
def pair(request: pytest.FixtureRequest) -> tuple[Any, CenterNet]:
    net = theirs(request.param)
    return net, ours(net, request.param)


def test_maps_agree(pair: tuple[Any, CenterNet]) -> None:
    """Probabilities within 1e-5; sizes and offsets too, relative to the largest where that is above 1."""
    net, task = pair
    with torch.inference_mode():
        (heat,), (size,), (offset,) = net._forward(given(net, *boxes())["inputs"])
        found = task.maps(pictures() / 255)
    assert heat.std() > 1e-3 and heat.shape == (BATCH, len(LABELS), SIDE // 4, SIDE // 4)
    for one, other in ((found.heat.sigmoid(), heat), (found.size, size), (found.offset, offset)):
        assert (one - other).abs().max() <= 1e-5 * max(1.0, float(other.abs().max()))


def test_targets_agree() -> None:
    net, (corners, classes) = theirs(), boxes()
    cells = SIDE // 4
    shown = [corners[row][classes[row] >= 0] for row in range(BATCH)], [classes[row][classes[row] >= 0] for row in range(BATCH)]
    wanted, number = net.bbox_head.get_targets(*shown, (BATCH, len(LABELS), cells, cells), (SIDE, SIDE))
    found = losses.targets(corners, classes, (len(LABELS), cells, cells), 4)
    torch.testing.assert_close(found.heat, wanted["center_heatmap_target"], rtol=0, atol=1e-5)
    assert int((found.heat == 1).sum()) == int(number)
    assert not found.ignored.any()
    for values, name in (
        (found.size, "wh_target"),
        (found.offset, "offset_target"),
        (torch.ones_like(found.size), "wh_offset_target_weight"),
    ):
        drawn = torch.zeros(BATCH, 2, cells * cells)
        for row in range(BATCH):
            for box in torch.nonzero(found.learnt[row])[:, 0]:
                drawn[row, :, found.cell[row, box]] += values[row, box]
        torch.testing.assert_close(drawn.view(BATCH, 2, cells, cells), wanted[name], rtol=1e-5, atol=1e-5)


def test_radii_are_equal() -> None:
    """Of all pairs of sides in quarters of cells."""
    from mmdet.models.utils import gaussian_radius

    sides = torch.arange(1, 160, 3) / 4
    width, height = (each.flatten() for each in torch.meshgrid(sides, sides, indexing="ij"))
    wanted = [max(0, int(gaussian_radius([one, other], min_overlap=0.3))) for one, other in zip(height, width, strict=True)]
    assert losses.radius(width, height, 0.3).tolist() == wanted


def test_losses_agree(pair: tuple[Any, CenterNet]) -> None:
    """With statistics of the batch, as in training."""
    net, task = (each.train() for each in pair)
    corners, classes = boxes()
    wanted = net.loss(*given(net, corners, classes).values())
    found = task.losses({"image": pictures() / 255, "boxes": corners, "classes": classes}, "model")
    for our, their in PARTS:
        torch.testing.assert_close(found[our], wanted[their], rtol=1e-5, atol=1e-5)


def test_gradients_agree(pair: tuple[Any, CenterNet]) -> None:
    """In float64: on few pictures, ReLUs and batch statistics blow roundings up."""
    net, task = (each.train().double() for each in pair)
    corners, classes = boxes()
    image = pictures().double() / 255
    sum(net.loss(task.backbone.normalize(image), given(net, corners, classes)["data_samples"]).values()).backward()
    task.losses({"image": image, "boxes": corners, "classes": classes}, "model")["loss"].backward()
    gradients = from_mmdet({name: weight.grad for name, weight in net.named_parameters()})
    assert set(gradients) == {name for name, _ in task.named_parameters()}
    for name, weight in task.named_parameters():
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, gradients[name], rtol=0, atol=1e-5 * float(gradients[name].abs().max()))


def test_boxes_are_equal(pair: tuple[Any, CenterNet]) -> None:
    """On the same maps to the last bit, and through the whole detector within a thousandth of a pixel."""
    net, task = pair
    shown = given(net, *boxes())
    with torch.inference_mode():
        (heat,), (size,), (offset,) = net._forward(shown["inputs"])
        corners, classes = net.bbox_head._decode_heatmap(heat, size, offset, (SIDE, SIDE))
        found = decode(heat, size, offset, 4)
        sure = found[1] > 0
        assert sure.sum() > 100
        torch.testing.assert_close(torch.cat((found[0], found[1][..., None]), 2)[sure], corners[sure], rtol=0, atol=0)
        assert torch.equal(found[2][sure], classes[sure]) and not corners[..., 4][~sure].any()
        said, told = task.detect(pictures() / 255), net.predict(*shown.values())
    for row, instances in enumerate(each.pred_instances for each in told):
        torch.testing.assert_close(said["scores"][row], instances.scores, rtol=0, atol=1e-5)
        middle = (instances.bboxes[:, :2] + instances.bboxes[:, 2:]) / 2
        side = (instances.bboxes[:, 2:] - instances.bboxes[:, :2]).clamp(min=0)  # ours are no less than empty, and inside the picture
        clipped = torch.cat((middle - side / 2, middle + side / 2), 1).clamp(0, SIDE)
        near = instances.scores.diff().abs() > 1e-6  # the order of equals is free
        apart = torch.cat((near.new_ones(1), near)) & torch.cat((near, near.new_ones(1))) & (instances.scores > 0)
        torch.testing.assert_close(said["boxes"][row][apart], clipped[apart], rtol=0, atol=1e-3)
        assert apart.sum() > 10
