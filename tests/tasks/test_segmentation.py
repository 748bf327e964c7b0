"""Segmentation: its contract, losses by name, decisions, figures and tables, and that it goes with every network and any size."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from contracts_task import check_task
from torch import Tensor

from zoo import build, registry
from zoo.backbones.backbone import Backbone
from zoo.backbones.unet import UNet
from zoo.errors import RecipeError
from zoo.heads import decoders
from zoo.losses import segmentation as losses
from zoo.metrics.segmentation import Sweep
from zoo.recipe import Recipe
from zoo.spec import DataSpec
from zoo.tasks.segmentation import SHOWN, Segmentation
from zoo.tasks.task import Classifies, Examples, Segments

LABELS = ("background", "lesion")
SHAPES = ("background", "disc", "ring")
SIDE = 24
PAIRS = ((0.1, 0.9), (0.9, 0.1))


def network(width: int = 4) -> Backbone:
    torch.manual_seed(0)
    return UNet(width=width)


def task(labels: tuple[str, ...] = LABELS, **options: Any) -> Segmentation:
    return Segmentation(DataSpec(3, (SIDE, SIDE), labels), network(), **options)


def batch(labels: tuple[str, ...] = LABELS, size: int = 4) -> dict[str, Any]:
    """Discs on a ground, a class each, with a border that is to be ignored."""
    generator = torch.Generator().manual_seed(1)
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    mask = torch.zeros(size, SIDE, SIDE, dtype=torch.int64)
    for number in range(size):
        y, x = torch.randint(8, 16, (2,), generator=generator).tolist()
        distance = ((rows - y) ** 2 + (columns - x) ** 2).sqrt()
        mask[number][distance < 8] = losses.IGNORE
        mask[number][distance < 7] = 1 + number % (len(labels) - 1)
    image = torch.rand(size, 3, SIDE, SIDE, generator=generator) * 0.3 + 0.5 * (mask == 1)[:, None] + 0.2 * (mask == 2)[:, None]
    groups = ["nevus" if number % 2 else "melanoma" for number in range(size)]
    return {"image": image, "mask": mask, "index": torch.arange(size), "path": [f"{n}.png" for n in range(size)], "group": groups}


@pytest.mark.parametrize("labels", [LABELS, SHAPES], ids=["two classes", "three classes"])
@pytest.mark.parametrize("loss", ["bce", "dice", "lovasz"])
def test_the_contract(labels: tuple[str, ...], loss: str) -> None:
    check_task(task(labels, loss=loss), batch(labels))


def test_names_are_those_of_the_libraries() -> None:
    """The signature is read as text, so its names stand there once more."""
    options = registry.options("tasks", "segmentation")
    assert get_args(options["loss"].type) == losses.NAMES
    assert get_args(options["decoder"].type) == get_args(decoders.Name)


def test_all_ignore_the_same_value() -> None:
    """Folders that may not import one another say it for themselves."""
    from zoo.datasets import masks as of_data
    from zoo.figures import masks as of_figures
    from zoo.metrics import segmentation as of_metrics

    assert {losses.IGNORE, of_data.IGNORE, of_figures.IGNORE, of_metrics.IGNORE} == {255}


@pytest.mark.parametrize("name", losses.NAMES)
def test_every_loss_is_the_one_of_its_name(name: str) -> None:
    net, data = task(loss=name), batch()
    expected = losses.build(name)(net.logits(data["image"]), data["mask"])
    assert torch.equal(net.losses(data, "model")["loss"], expected)
    assert float(expected.detach()) > 0


def test_options_reach_the_loss() -> None:
    data = batch()
    found = [float(task(loss="tversky", alpha=alpha, beta=beta).losses(data, "model")["loss"].detach()) for alpha, beta in PAIRS]
    assert found[0] != pytest.approx(found[1], rel=1e-3)
    with pytest.raises(ValueError, match="gamma"):
        task(loss="focal_tversky", gamma=0.0)


def test_a_pixel_is_foreground_from_the_threshold_on() -> None:
    net, data = task(threshold=0.3).eval(), batch()
    net.decoder.head.weight.data.mul_(100)  # probabilities on both sides
    with torch.inference_mode():
        said = net.predict(data)
    assert torch.equal(said["mask"] == 1, said["probabilities"][:, 0] >= 0.3)
    assert 0 < said["mask"].float().mean() < 1
    assert said["mask"].dtype == torch.uint8


def test_of_more_classes_the_likeliest() -> None:
    net, data = task(SHAPES).eval(), batch(SHAPES)
    with torch.inference_mode():
        said = net.predict(data)
    assert said["probabilities"].shape == (4, 3, SIDE, SIDE)
    assert torch.equal(said["mask"].long(), said["probabilities"].argmax(1))


def test_what_it_is_and_is_not() -> None:
    assert isinstance(task(), Segments) and not isinstance(task(), Classifies)
    with pytest.raises(ValueError, match="1 classes, at least two"):
        task(("lesion",))


def test_data_of_another_kind_is_refused() -> None:
    changes = ["data.synthetic=always", "backbone={name: unet, width: 2, pretrained: false}"]
    masks, labels = DataSpec(3, (32, 32), LABELS, truth="mask"), DataSpec(3, (32, 32), LABELS)
    segmenting = Recipe.read("image_masks", [*changes, "task={name: segmentation}"])
    with pytest.raises(RecipeError, match=r"'segmentation' learns from a mask .* 'image_masks' has a label: take task.name=classification"):
        build.task(segmenting, labels)
    assert build.task(segmenting, masks).truth == "mask"
    with pytest.raises(RecipeError, match=r"'classification' learns from a label .*: take task.name=segmentation"):
        build.task(Recipe.read("image_folder", ["data.synthetic=always"]), masks)


def test_a_pyramid_needs_a_decoder() -> None:
    pyramid = registry.load("backbones", "test_resnet")("test_resnet", form="maps")
    spec = DataSpec(3, (64, 64), LABELS)
    with pytest.raises(ValueError, match=r"decoder 'none' cannot read this backbone's maps of strides .*; expected unet or"):
        Segmentation(spec, pyramid)
    net = Segmentation(spec, pyramid, "unet").eval()
    with torch.inference_mode():
        assert net.logits(torch.rand(2, 3, 97, 131)).shape == (2, 1, 97, 131)


@pytest.mark.parametrize("name", ["segnet", "unet", "unet_strided", "unet_dilated"])
def test_two_steps_at_full_width(name: str) -> None:
    torch.manual_seed(0)
    net = Segmentation(DataSpec(3, (48, 40), LABELS), registry.load("backbones", name)(), loss="dice")
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    image, mask = torch.rand(2, 3, 48, 40), torch.zeros(2, 48, 40, dtype=torch.int64)
    mask[:, 10:30, 10:30] = 1
    found = []
    for _ in range(3):
        loss = net.losses({"image": image, "mask": mask}, "model")["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(float(loss.detach()))
    assert found[-1] < found[0]


def examples(net: Segmentation, data: Mapping[str, Any]) -> Examples:
    """What an evaluation keeps."""
    metrics = net.eval().metrics()
    with torch.inference_mode():
        said = net.predict(data)
    metrics.update(said, data)

    def again(row: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {key: value[row] for key, value in data.items()}, {key: value[row] for key, value in said.items()}

    def picture(row: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return (data["image"][row] * 255).clamp(0, 255).byte().permute(1, 2, 0).numpy()

    small = {key: value for key, value in said.items() if value.ndim == 1}
    truth = {key: value for key, value in data.items() if key not in ("image", "mask")}
    return Examples(truth, small, picture, metrics.compute(), net.details(metrics), again, lambda most: (data["image"][:most], {}))


def test_figures_show_the_worst_first_and_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    from zoo.figures import masks

    monkeypatch.setattr(masks, "overlay_gallery", lambda cases, labels, most: drawn.extend(cases))
    net, data = task(), batch(size=SHOWN + 3)
    found = net.figures(examples(net, data))
    assert list(found) == ["worst", "threshold"]
    ious = [case.iou for case in drawn]
    assert len(ious) == SHOWN and ious == sorted(ious)
    assert {case.group for case in drawn} == {"nevus", "melanoma"} and drawn[0].name.endswith(".png")
    net = task(SHAPES)
    assert list(net.figures(examples(net, batch(SHAPES)))) == ["worst"]


def test_tables_of_classes_and_groups() -> None:
    net, data = task(), batch()
    kept = examples(net, data)
    tables = net.tables(kept)
    assert [row[0] for row in tables["per_class"].rows] == list(LABELS)
    assert sum(int(str(row[1])) for row in tables["per_class"].rows) == int((data["mask"] != 255).sum())
    nevus = next(row for row in tables["per_group"].rows if row[0] == "nevus")
    assert nevus[1] == 2 and nevus[2] == pytest.approx(float(kept.predictions["iou"][1::2].mean()))
    without = Examples({}, kept.predictions, kept.picture, kept.metrics, kept.details, kept.again, kept.training)
    assert list(net.tables(without)) == ["per_class"]
    assert isinstance(kept.details["sweep"], Sweep)


def test_the_overlay_draws_on_the_picture() -> None:
    net, data = task(), batch()
    fields, said = examples(net, data).again(0)
    plain = np.full((SIDE, SIDE, 3), 128, np.uint8)
    said = said | {"mask": (data["mask"][0] == 1).byte()}
    assert not np.array_equal(net.overlay(plain, fields, said), plain)
    assert net.overlay(plain, {}, said).shape[2] == 3


def test_loading_needs_no_metrics() -> None:
    """`predict` without truth imports nothing that only measuring needs."""
    source = Path(str(registry.entry("tasks", "segmentation").file)).read_text()
    top = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not any("metrics" in ast.unparse(node) or "figures" in ast.unparse(node) for node in top)
