"""Detectors of mmdet as a task: what they are given, what is made of what they say, and where their weights begin."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from contracts_task import check_task
from torch import Tensor

import zoo.tasks.mmdet as module
from zoo.backbones import weights
from zoo.errors import RecipeError
from zoo.spec import DataSpec
from zoo.tasks.mmdet import MMDet

pytest.importorskip("mmdet.models", reason="pip install 'zoo[mmdet]'")

from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

CENTERNET, TINY, YOLOX = "centernet_r18_8xb16-crop512-140e_coco", "rtmdet_tiny_8xb32-300e_coco", "yolox_tiny_8xb8-300e_coco"
SPEC = DataSpec(3, (64, 64), ("helmet", "head"), truth="boxes")


@cache
def _once(config: str) -> MMDet:
    torch.manual_seed(0)
    return MMDet(SPEC, config, begin="random")


def built(config: str = CENTERNET) -> MMDet:
    return copy.deepcopy(_once(config))


def batch(size: int = 64) -> dict[str, Tensor]:
    """Two pictures of whole levels, with two boxes each; the second has a region to be ignored."""
    image = torch.randint(256, (2, 3, size, size), generator=torch.Generator().manual_seed(0)) / 255
    boxes = torch.tensor([[[5, 5, 30, 40], [20, 10, 60, 50], [0, 0, 0, 0]], [[1, 2, 20, 22], [30, 30, 60, 60], [8, 40, 30, 60]]])
    return {"image": image, "boxes": boxes.float(), "classes": torch.tensor([[0, 1, -2], [1, 0, -1]]), "index": torch.arange(2)}


def test_centernet_keeps_to_the_contract_of_tasks() -> None:
    """With boxes of the three sizes that are measured apart."""
    image = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    boxes = torch.tensor([[10.0, 10, 30, 30], [40, 40, 100, 90], [4, 4, 124, 120]]).expand(2, 3, 4)
    fields = {"boxes": boxes, "classes": torch.tensor([[0, 1, -2], [1, -1, 0]])}
    check_task(built(), {"image": image, **fields, "index": torch.arange(2)})


@pytest.mark.parametrize("config", [CENTERNET, TINY, YOLOX])
def test_pictures_reach_the_network_as_from_mmdets_own_loader(config: str) -> None:
    """RGB normalised, BGR normalised, and BGR as it is: each padded as its preprocessor pads what mmdet reads, which is BGR."""
    task, image = built(config), batch(70)["image"]
    task.model.data_preprocessor.pad_size_divisor = 32
    read = [(each * 255).round().to(torch.uint8).flip(0) for each in image]
    own = task.model.data_preprocessor({"inputs": read, "data_samples": task._samples(image)}, training=False)["inputs"]
    found = task._inputs(image)
    assert found.shape == own.shape == (2, 3, 96, 96)
    assert torch.allclose(found[..., :70, :70], own[..., :70, :70], atol=1e-3)
    assert (found[..., 70:, :] == 0).all() and (found[..., 70:] == 0).all()


def test_losses_are_the_sum_of_mmdets_own_parts() -> None:
    task = built()
    losses = task.train()(batch())
    assert list(losses) == ["loss", "loss_center_heatmap", "loss_wh", "loss_offset"]
    assert torch.isclose(losses["loss"], losses["loss_center_heatmap"] + losses["loss_wh"] + losses["loss_offset"])
    assert losses["loss"].requires_grad and not losses["loss_wh"].requires_grad


def test_boxes_and_what_is_to_be_ignored_are_handed_over_and_padding_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    task, given = built(), []

    def loss(inputs: Tensor, samples: list[Any]) -> dict[str, Tensor]:
        given.extend(samples)
        return {"loss_none": inputs.sum() * 0}

    monkeypatch.setattr(task.model, "loss", loss)
    task(batch())
    assert [sample.gt_instances.labels.tolist() for sample in given] == [[0, 1], [1, 0]]
    assert given[1].gt_instances.bboxes.tolist() == [[1, 2, 20, 22], [30, 30, 60, 60]]
    assert [sample.ignored_instances.bboxes.tolist() for sample in given] == [[], [[8, 40, 30, 60]]]


def test_pictures_without_boxes_teach() -> None:
    empty = batch() | {"boxes": torch.zeros(2, 0, 4), "classes": torch.zeros(2, 0, dtype=torch.int64)}
    assert built().train()(empty)["loss"].isfinite()


@pytest.mark.parametrize("config", ["centernet_r18-dcnv2_8xb16-crop512-140e_coco", "retinanet_r18_fpn_1x_coco", TINY])
def test_other_one_stage_detectors_learn_and_predict(config: str) -> None:
    task = built(config).train()
    assert all(weight.requires_grad for weight in task.parameters())
    assert not any(isinstance(each, torch.nn.SyncBatchNorm) for each in task.modules()), "the engine joins processes, if it is asked to"
    optimizer = torch.optim.Adam(task.parameters(), 1e-3)
    seen = []
    for _ in range(5):
        loss = task(batch())["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(loss.detach()))
    assert config == TINY or seen[-1] < seen[0]  # the boxes that RTMDet learns from are chosen anew at each step
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in task.parameters())
    check_predictions(task.eval())


def check_predictions(task: MMDet) -> None:
    with torch.inference_mode():
        found = task.detect(batch()["image"])
    boxes, scores, classes = found["boxes"], found["scores"], found["classes"]
    assert boxes.shape == (2, 100, 4) and scores.shape == classes.shape == (2, 100)
    assert (scores.diff() <= 0).all() and (scores >= 0).all() and (scores <= 1).all()
    assert (boxes >= 0).all() and (boxes <= 64).all() and (boxes[..., 2:] >= boxes[..., :2]).all()
    real = scores > 0
    assert ((classes == -2) == ~real).all() and set(classes[real].tolist()) <= {0, 1}


def test_rows_are_the_best_first_and_filled_up() -> None:
    from mmengine.structures import InstanceData

    said = InstanceData(
        bboxes=torch.tensor([[1.0, 2, 3, 4], [-5, 60, 80, 50]]), scores=torch.tensor([0.2, 0.7]), labels=torch.tensor([1, 0])
    )
    boxes, scores, classes = module._row(said, (64, 70))
    assert boxes[:3].tolist() == [[0, 60, 70, 60], [1, 2, 3, 4], [0, 0, 0, 0]]
    assert scores[:3].tolist() == pytest.approx([0.7, 0.2, 0]) and classes[:3].tolist() == [0, 1, -2]
    many = InstanceData(bboxes=torch.zeros(150, 4), scores=torch.linspace(0, 1, 150), labels=torch.zeros(150, dtype=torch.int64))
    assert len(module._row(many, (64, 64))[0]) == 100


def test_a_trained_detector_finds_its_boxes_where_they_are() -> None:
    """CenterNet on one picture: the whole way of coordinates, also of a side that is no multiple of 32."""
    torch.manual_seed(0)
    task = built().train()
    image = torch.zeros(2, 3, 40, 56)
    image[0, 0, 4:20, 8:28], image[1, 1, 16:36, 32:54] = 1, 1
    boxes = torch.tensor([[[8.0, 4, 28, 20]], [[32, 16, 54, 36]]])
    optimizer = torch.optim.Adam(task.parameters(), 2e-3)
    for _ in range(80):  # after 30 the boxes are near on some machines only
        optimizer.zero_grad()
        task({"image": image, "boxes": boxes, "classes": torch.tensor([[0], [1]])})["loss"].backward()
        optimizer.step()
    for each in task.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            each.track_running_stats = False  # too few steps for them
    with torch.inference_mode():
        found = task.eval().detect(image)
    assert found["classes"][:, 0].tolist() == [0, 1]
    assert torch.allclose(found["boxes"][:, 0], boxes[:, 0], atol=4)


def test_grey_pictures_are_shown_to_all_three_colours() -> None:
    grey = batch()["image"][:, :1]
    task = built()
    assert torch.equal(task._inputs(grey), task._inputs(grey.expand(-1, 3, -1, -1)))


def test_nothing_is_left_behind_or_printed(capfd: pytest.CaptureFixture[str]) -> None:
    loggers, scopes = dict(MMLogger._instance_dict), dict(DefaultScope._instance_dict)
    MMDet(SPEC, TINY, begin="random")
    assert list(MMLogger._instance_dict) == list(loggers) and list(DefaultScope._instance_dict) == list(scopes)
    said = capfd.readouterr()
    assert said.out == "" and said.err.splitlines() == [f"detector: {TINY}, random weights"]


def test_shapes_are_known_without_memory() -> None:
    """As zoo.load wants it, which refuses a file of other shapes before it builds anything."""
    with torch.device("meta"):
        empty = MMDet(SPEC, CENTERNET, trained=True)
    assert {name: like.shape for name, like in empty.state_dict().items()} == {
        name: like.shape for name, like in built().state_dict().items()
    }
    assert all(like.is_meta for like in empty.parameters())


# ------------------------------------------------------------------------------------------------------------- configs


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("centernet_r18_8xb16-crop512-140e", "did you mean .*centernet_r18_8xb16-crop512-140e_coco"),
        ("faster-rcnn_r50_fpn_1x_coco", "is not of a one-stage detector of boxes"),
        ("rtmdet-ins_tiny_8xb32-300e_coco", "is not of a one-stage detector of boxes"),  # wants masks
        ("ld_r18-gflv1-r101_fpn_1x_coco", "is not of a one-stage detector of boxes"),  # reads a teacher's config from the current folder
        ("coco_detection", "is none of the"),  # a part of configs
        (f"{CENTERNET}.py", "is none of the"),
        (f"../centernet/{CENTERNET}", "is none of the"),
    ],
)
def test_a_config_is_one_of_mmdets_own_names(config: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        MMDet(SPEC, config)


def test_a_config_elsewhere_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("open('ran', 'w')")
    for config in ("mine", "mine.py", str(tmp_path / "mine.py"), str(tmp_path / "mine"), "mmdet::mine"):
        with pytest.raises(RecipeError, match="is none of the"):
            MMDet(SPEC, config)
    assert not (tmp_path / "ran").exists()


# ------------------------------------------------------------------------------------------------------------- weights


@pytest.fixture
def resnet(tmp_path: Path) -> Path:
    """A file of torchvision's ResNet-18, of random weights."""
    from torchvision.models import resnet18

    torch.save(resnet18().state_dict(), tmp_path / "resnet18.pth")
    return tmp_path / "resnet18.pth"


def test_the_backbone_begins_with_torchvisions_weights(resnet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "fetch", lambda checkpoint: resnet if checkpoint.file == "resnet18-f37072fd.pth" else None)
    state, found = weights.read(resnet), MMDet(SPEC).model.backbone.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in found.items())


def refuse(problem: Exception) -> Callable[[object], Path]:
    def fetch(checkpoint: object) -> Path:
        raise problem

    return fetch


def test_without_weights_it_says_so_or_refuses(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(weights, "fetch", refuse(weights.NoWeightsError("there is no network", "")))
    with caplog.at_level(logging.WARNING, "zoo"):
        MMDet(SPEC)
    assert "RANDOM weights (task.begin: prefer): there is no network" in caplog.text
    with pytest.raises(RecipeError, match=r"there is no network; set task.begin to prefer or random"):
        MMDet(SPEC, begin="torchvision")
    with pytest.raises(RecipeError, match=r"begins its backbone with weights that are not torchvision's"):
        MMDet(SPEC, TINY, begin="torchvision")


def test_a_trained_one_fetches_and_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "fetch", refuse(AssertionError("fetched")))
    MMDet(SPEC, begin="torchvision", checkpoint="gone.pth", trained=True)


def save(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


def test_a_checkpoint_of_other_classes_gives_all_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = MMDet(DataSpec(3, (64, 64), tuple("abc"), truth="boxes"), begin="random").model.state_dict()
    file = save(tmp_path / "theirs.pth", {"meta": {"epoch": 3, "CLASSES": ("a", "b")}, "state_dict": theirs})
    ours = MMDet(SPEC, checkpoint=file).model.state_dict()
    of_classes = ["bbox_head.heatmap_head.2.weight", "bbox_head.heatmap_head.2.bias"]
    assert [name for name, value in ours.items() if not torch.equal(value, theirs[name])] == [of_classes[0], of_classes[1]]
    assert f"theirs.pth, but its own for other classes: {', '.join(of_classes)}" in capsys.readouterr().err


def test_a_checkpoint_may_be_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = {name: value + 1 for name, value in built().model.state_dict().items()}
    save_file(state, tmp_path / "theirs.safetensors")
    ours = MMDet(SPEC, checkpoint=str(tmp_path / "theirs.safetensors")).model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in ours.items())


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.path,)


def test_no_object_in_a_checkpoint_is_unpickled(tmp_path: Path) -> None:
    file = save(tmp_path / "evil.pth", {"state_dict": {}, "meta": Trap(tmp_path / "sprung")})
    with pytest.raises(RecipeError, match="or holds objects besides"):
        MMDet(SPEC, checkpoint=file)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("backbone.conv1.weight") is None, "lacks 'backbone.conv1.weight': it belongs to another config"),
        (lambda state: state.update({"neck.more": torch.zeros(1)}), "has besides 'neck.more'"),
        (lambda state: state.update({"backbone.conv1.weight": torch.zeros(64, 1, 7, 7)}), "in another shape 'backbone.conv1.weight'"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, change: Callable[[dict[str, Tensor]], object], words: str) -> None:
    state = dict(built().model.state_dict())
    change(state)
    with pytest.raises(RecipeError, match=words):
        MMDet(SPEC, checkpoint=save(tmp_path / "other.pth", state))


@pytest.mark.parametrize(("content", "words"), [([1, 2], "holds list"), ({"state_dict": {"a": 1}}, "expected names with tensors")])
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, content: object, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        MMDet(SPEC, checkpoint=save(tmp_path / "else.pth", content))


def test_a_checkpoint_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"gone.pth cannot be read \(No such file"):
        MMDet(SPEC, checkpoint=str(tmp_path / "gone.pth"))
