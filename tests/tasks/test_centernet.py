"""The task centernet: its contract, sizes that do not fit, the flip test, precision, and that it learns to find boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from contracts_task import check_task
from torch import Tensor, nn

from zoo import registry
from zoo.backbones.backbone import Backbone
from zoo.backbones.unet import UNet
from zoo.errors import RecipeError
from zoo.heads.centernet import NONE, TOP
from zoo.spec import DataSpec
from zoo.tasks.centernet import CenterNet
from zoo.tasks.task import Detects, Examples, Segments

LABELS = ("bright", "dark")
SIDE = 64


class Pyramid(Backbone):
    """Maps of strides 8 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.BatchNorm2d(8), nn.ReLU())
        self.coarse = nn.Sequential(nn.Conv2d(8, 32, 4, 4), nn.BatchNorm2d(32), nn.ReLU())
        self.channels, self.strides = (8, 32), (8, 32)

    def maps(self, image: Tensor) -> list[Tensor]:
        fine = self.fine(image)
        return [fine, self.coarse(fine)]


def task(**options: Any) -> CenterNet:
    torch.manual_seed(0)
    options = {"widths": (32, 16, 16), "head_width": 16} | options
    return CenterNet(DataSpec(3, (SIDE, SIDE), LABELS, truth="boxes"), Pyramid(), **options)


def batch(size: int = 4) -> dict[str, Any]:
    """One or two squares on grey, a row to fill up, and an ignored region in every other picture."""
    generator = torch.Generator().manual_seed(1)
    image = 0.5 + 0.05 * torch.rand(size, 3, SIDE, SIDE, generator=generator)
    boxes, classes = torch.zeros(size, 3, 4), torch.full((size, 3), NONE)
    for row in range(size):
        for number in range(1 + row % 2):
            left, top = (number * 32 + torch.randint(0, 16, (2,), generator=generator) * torch.tensor([1, 1])).tolist()
            kind, side = (row // 2 + number) % 2, 14
            image[row, :, top : top + side, left : left + side] = 1.0 - kind
            boxes[row, number], classes[row, number] = torch.tensor([left, top, left + side, top + side]), kind
        boxes[row, 2], classes[row, 2] = torch.tensor([48.0, 0, 64, 16]), (NONE, -1)[row % 2]
    return {"image": image, "boxes": boxes, "classes": classes, "index": torch.arange(size), "path": [f"{row}.png" for row in range(size)]}


@pytest.mark.parametrize("deformable", [False, True], ids=["plain", "deformable"])
def test_the_contract(deformable: bool) -> None:
    """With boxes of the three sizes that are measured apart."""
    image = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    boxes = torch.tensor([[10.0, 10, 30, 30], [40, 40, 100, 90], [4, 4, 124, 120]]).expand(2, 3, 4)
    fields = {"boxes": boxes, "classes": torch.tensor([[0, 1, NONE], [1, -1, 0]])}
    fields |= {"index": torch.arange(2), "path": ["0.png", "1.png"]}
    # In float64: where scores are nearly equal, as of a network that has learnt nothing, the order of boxes would be one of rounding.
    check_task(task(deformable=deformable).double(), {"image": image.double(), **fields})


def test_what_it_is() -> None:
    net = task()
    assert isinstance(net, Detects) and not isinstance(net, Segments)
    assert net.coupling() == ["batch normalisation", "the division by the number of objects"]
    options = registry.options("tasks", "centernet")
    assert {name: option.default for name, option in options.items()} == {
        "deformable": False,
        "lateral": False,
        "widths": (256, 128, 64),
        "head_width": 64,
        "min_overlap": 0.3,
        "size_weight": 0.1,
        "offset_weight": 1.0,
        "flip_test": False,
        "threshold": 0.3,
    }
    with pytest.raises(ValueError, match="the boxes have no classes"):
        CenterNet(DataSpec(3, (SIDE, SIDE)), Pyramid())
    with pytest.raises(ValueError, match="found 1: take another backbone"):
        CenterNet(DataSpec(3, (SIDE, SIDE), LABELS), UNet(width=4))


def test_the_report_and_the_overlay() -> None:
    net, data = task(threshold=0.05).eval(), batch()
    metrics = net.metrics()
    with torch.inference_mode():
        said = net.predict(data)
    metrics.update(said, data)
    pictures = (data["image"] * 255).byte().permute(0, 2, 3, 1).numpy()

    def again(row: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {name: value[row] for name, value in data.items()}, {name: value[row] for name, value in said.items()}

    details = net.details(metrics)
    examples = Examples(data, said, lambda row: pictures[row], metrics.compute(), details, again, lambda most: (data["image"][:most], {}))
    assert {"precision_recall", "confusion"} <= set(net.figures(examples))
    assert [row[0] for row in net.tables(examples)["per_class"].rows] == list(LABELS)
    assert not np.array_equal(net.overlay(pictures[0], *again(0)), pictures[0])


def test_the_parts_make_the_loss() -> None:
    found = task(size_weight=0.5).losses(batch(), "model")
    assert list(found) == ["loss", "heat_loss", "size_loss", "offset_loss"]
    assert float(found["loss"].detach()) == pytest.approx(sum(float(value.detach()) for name, value in found.items() if name != "loss"))
    other = task(size_weight=0.1).losses(batch(), "model")
    assert float(found["size_loss"].detach()) == pytest.approx(5 * float(other["size_loss"].detach()))
    data = batch() | {"boxes": torch.tensor([0.0, 0, 60, 60]).expand(4, 3, 4)}
    wide, narrow = (task(min_overlap=least).losses(data, "model")["heat_loss"] for least in (0.3, 0.9))
    assert wide < narrow


def test_it_finds_what_it_has_learnt() -> None:
    net, data = task().train(), batch()
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(150):
        optimizer.zero_grad()
        net.losses(data, "model")["loss"].backward()
        optimizer.step()
    with torch.inference_mode():
        said = net.eval().predict(data)
    for row in range(4):
        real = data["classes"][row] >= 0
        number = int(real.sum())
        order = said["boxes"][row, :number, 0].argsort()
        assert said["scores"][row, number - 1] > 0.5 > said["scores"][row, number]
        torch.testing.assert_close(said["boxes"][row, :number][order], data["boxes"][row][real], atol=2.0, rtol=0)
        assert torch.equal(said["classes"][row, :number][order], data["classes"][row][real])


def test_predictions_are_as_all_detectors_give_them() -> None:
    with torch.inference_mode():
        said = task().eval().predict({"image": batch()["image"]})
    assert {name: (tuple(value.shape), value.dtype) for name, value in said.items()} == {
        "boxes": ((4, TOP, 4), torch.float32),
        "scores": ((4, TOP), torch.float32),
        "classes": ((4, TOP), torch.int64),
    }
    assert (said["scores"].diff() <= 0).all() and ((said["classes"] == NONE) == (said["scores"] == 0)).all()


@pytest.mark.parametrize("size", [(97, 70), (64, 41), (33, 64)])
def test_pictures_of_any_size(size: tuple[int, int]) -> None:
    """Nothing is found or punished in the margin that is mirrored."""
    net, image = task(), torch.rand(2, 3, *size)
    heat, _, offset = net.maps(image)
    assert heat.shape[2:] == offset.shape[2:] == tuple(-(-side // 4) for side in size)
    with torch.no_grad():
        net.head.size[-1].bias.fill_(30.0)
        said = net.eval().predict({"image": image})["boxes"]
    height, width = size
    assert said.min() == 0 and said[..., 0::2].max() == width and said[..., 1::2].max() == height
    boxes = torch.tensor([[[width - 3.0, height - 3.0, width, height]]]).expand(2, 1, 4)
    assert net.losses({"image": image, "boxes": boxes, "classes": torch.zeros(2, 1, dtype=torch.int64)}, "model")["loss"].isfinite()


def test_no_box_is_smaller_than_nothing() -> None:
    net = task().eval()
    with torch.no_grad():
        net.head.size[-1].bias.fill_(-30.0)
        said = net.predict(batch())["boxes"]
    assert (said[..., 2:] >= said[..., :2]).all()


def lively(**options: Any) -> CenterNet:
    """A task whose maps differ from cell to cell."""
    net = task(**options).eval()
    torch.manual_seed(3)
    for layer in net.head.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=0.2)
    return net


def test_the_flip_test_sees_a_picture_and_its_mirror_image_alike() -> None:
    data = torch.rand(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(4))
    mirrored = data.flip(3)
    with torch.inference_mode():
        (one, other), (plain, reverse) = ([net.detect(image) for image in (data, mirrored)] for net in (lively(flip_test=True), lively()))
    torch.testing.assert_close(one["scores"], other["scores"])
    assert not torch.allclose(plain["scores"], reverse["scores"], rtol=1e-4)
    expected = [net.sigmoid() for net in (lively().maps(data).heat, lively().maps(mirrored).heat.flip(3))]
    assert one["scores"].max() == pytest.approx(float((sum(expected) / 2).max().detach()), rel=1e-5)


def test_the_flip_test_of_a_size_that_does_not_fit() -> None:
    """The padded picture is mirrored: were it the picture itself, cells would not lie upon cells."""
    net, plain, image = lively(flip_test=True), lively(), torch.rand(2, 3, SIDE, 50, generator=torch.Generator().manual_seed(4))
    from zoo.backbones.padding import pad

    with torch.inference_mode():
        heat, size, offset = net._probable(image)
        there, back = (plain.maps(each) for each in (pad(image, 32), pad(image, 32).flip(3)))
    torch.testing.assert_close(heat, ((there.heat.sigmoid() + back.heat.sigmoid().flip(3)) / 2)[..., :13])
    torch.testing.assert_close(size, ((there.size + back.size.flip(3)) / 2)[..., :13])
    torch.testing.assert_close(offset, there.offset[..., :13])


@pytest.mark.parametrize("deformable", [False, True], ids=["plain", "deformable"])
def test_half_precision(deformable: bool) -> None:
    net, data = task(deformable=deformable), batch()
    whole = net.losses(data, "model")
    with torch.autocast("cpu", torch.bfloat16):
        half = net.losses(data, "model")
        said = net.eval().predict(data)
    assert all(value.dtype == torch.float32 for value in half.values()) and said["scores"].dtype == torch.float32
    assert float(half["loss"].detach()) == pytest.approx(float(whole["loss"].detach()), rel=0.02)


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext"])
def test_it_goes_with_pyramids_of_timm(name: str) -> None:
    spec = DataSpec(3, (SIDE, SIDE), LABELS)
    net = CenterNet(spec, registry.load("backbones", name)(name, form="maps"), widths=(8, 8, 8), head_width=8)
    assert net.head.stride == 4
    net.losses(batch(), "model")["loss"].backward()
    assert all(weight.grad is not None for weight in net.head.parameters())


def test_a_backbone_whose_maps_do_not_cover_the_picture_is_refused() -> None:
    class Unpadded(Pyramid):
        def maps(self, image: Tensor) -> list[Tensor]:
            return [each[..., 1:, 1:] for each in super().maps(image)]

    net = CenterNet(DataSpec(3, (SIDE, SIDE), LABELS, truth="boxes"), Unpadded(), widths=(32, 16, 16), head_width=16)
    with pytest.raises(RecipeError, match=r"coarsest map has 1x1 cells where 2x2 cover the picture .*: take another backbone\.name"):
        net.losses(batch(), "model")
