"""Counts, shapes and strides of the backbones, and the list of names."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from zoo.backbones.backbone import Backbone
from zoo.backbones.names import timm_names
from zoo.backbones.se_resnet18 import SEResNet18
from zoo.backbones.squeezenet import SqueezeNet
from zoo.backbones.timm import TimmBackbone
from zoo.errors import RecipeError

Build = Callable[..., Backbone]


def named(name: str) -> Build:
    def build(**options: Any) -> Backbone:
        return TimmBackbone(name, **options)

    build.__name__ = name
    return build


VECTORS: list[tuple[Build, int, int]] = [  # the backbone, its width, a size of picture it takes
    (named("mobilenetv2_100"), 1280, 64),
    (named("mobilenetv3_small_100"), 1024, 64),
    (named("resnet18"), 512, 64),
    (named("vit_tiny_patch16_224"), 192, 224),
    (named("tiny_vit_5m_224"), 320, 64),
    (SEResNet18, 512, 64),
    (SqueezeNet, 512, 64),
]
MAPS: list[tuple[Build, tuple[int, ...], tuple[int, ...]]] = [  # the backbone, its channels and strides
    (named("mobilenetv2_100"), (16, 24, 32, 96, 320), (2, 4, 8, 16, 32)),
    (named("mobilenetv3_small_100"), (16, 16, 24, 48, 576), (2, 4, 8, 16, 32)),
    (named("resnet18"), (64, 64, 128, 256, 512), (2, 4, 8, 16, 32)),
    (named("vit_tiny_patch16_224"), (192, 192, 192), (16, 16, 16)),
    (named("tiny_vit_5m_224"), (64, 128, 160, 320), (4, 8, 16, 32)),
    (named("swin_tiny_patch4_window7_224"), (96, 192, 384, 768), (4, 8, 16, 32)),
    (SEResNet18, (64, 64, 128, 256, 512), (2, 4, 8, 16, 32)),
    (SqueezeNet, (64, 128, 256, 512), (2, 4, 8, 16)),
]


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@torch.no_grad()
def vector(backbone: Backbone, *shape: int) -> Tensor:
    return backbone.eval().vector(torch.rand(*shape))


@torch.no_grad()
def maps(backbone: Backbone, *shape: int) -> list[Tensor]:
    return backbone.eval().maps(torch.rand(*shape))


@pytest.mark.parametrize(
    ("build", "labels", "parameters"),
    [
        (named("mobilenetv2_100"), 0, 2_223_872),
        (named("mobilenetv2_100"), 42, 2_277_674),
        (named("mobilenetv2_100"), 20, 2_249_492),
        (named("resnet18"), 10, 11_181_642),
        (named("efficientnet_b0"), 20, 4_033_168),
        (SEResNet18, 20, 11_273_812),
        (SqueezeNet, 0, 722_496),
    ],
)
def test_trunk_and_head_count_what_was_reported(build: Build, labels: int, parameters: int) -> None:
    trunk = build()
    head = [nn.Linear(trunk.width, labels)] if labels else []
    assert count(trunk, *head) == parameters


def test_pyramid_leaves_out_what_it_does_not_use() -> None:
    assert count(TimmBackbone("mobilenetv2_100", form="maps")) == 1_811_712


@pytest.mark.parametrize(("build", "width", "size"), VECTORS)
@pytest.mark.parametrize("channels", [3, 1])
def test_vector(build: Build, width: int, size: int, channels: int) -> None:
    backbone = build(channels=channels)
    assert backbone.width == width
    assert vector(backbone, 2, channels, size, size).shape == (2, width)
    with pytest.raises(TypeError, match="maps"):
        maps(backbone, 2, channels, size, size)


@pytest.mark.parametrize(("build", "channels", "strides"), MAPS)
def test_maps(build: Build, channels: tuple[int, ...], strides: tuple[int, ...]) -> None:
    fixed = getattr(build, "__name__", "").endswith("_224")
    backbone = build(form="maps", **({"size": (96, 64)} if fixed else {}))
    assert (tuple(backbone.channels), tuple(backbone.strides)) == (channels, strides)
    shapes = [tuple(each.shape) for each in maps(backbone, 2, 3, 96, 64)]
    assert shapes == [(2, width, 96 // stride, 64 // stride) for width, stride in zip(channels, strides, strict=True)]
    with pytest.raises(TypeError, match="vector"):
        vector(backbone, 2, 3, 96, 64)


def test_other_version_of_squeezenet() -> None:
    backbone = SqueezeNet(form="maps", version="1_0", channels=1)
    shapes = [tuple(each.shape[1:]) for each in maps(backbone, 1, 1, 64, 96)]
    assert shapes == [(96, 32, 48), (256, 16, 24), (512, 8, 12), (512, 4, 6)]


def test_a_vit_takes_the_size_of_the_pictures() -> None:
    assert vector(TimmBackbone("vit_tiny_patch16_224", size=(64, 96)), 1, 3, 64, 96).shape == (1, 192)
    assert vector(TimmBackbone("resnet18", size=(64, 96)), 1, 3, 64, 96).shape == (1, 512)


@pytest.mark.parametrize(("name", "mean"), [("resnet18", 0.485), ("tf_efficientnet_lite0", 0.5)])
def test_normalisation_is_that_of_the_weights_and_saved_with_them(name: str, mean: float) -> None:
    backbone = TimmBackbone(name)
    assert backbone.state_dict()["normalize.mean"][0].item() == pytest.approx(mean)


def test_normalisation_of_grey_is_the_mean_of_the_colours() -> None:
    for backbone in (TimmBackbone("resnet18", channels=1), SqueezeNet(channels=1), SEResNet18(channels=1)):
        assert backbone.state_dict()["normalize.mean"].flatten().tolist() == pytest.approx([0.449], abs=1e-6)


def test_building_draws_only_what_the_weights_need() -> None:
    torch.manual_seed(0)
    TimmBackbone("mobilenetv3_small_100")
    ours = torch.rand(1)
    torch.manual_seed(0)
    timm.create_model("mobilenetv3_small_100", num_classes=0)
    assert torch.equal(ours, torch.rand(1))


def test_drop_path_only_where_the_model_knows_it() -> None:
    backbone = TimmBackbone("tiny_vit_5m_224", drop_path=0.2)
    assert any(getattr(module, "drop_prob", 0) for module in backbone.modules())
    with pytest.raises(RecipeError, match="drop_path_rate"):
        TimmBackbone("vgg11", drop_path=0.2)


def test_dropout_and_groups_of_the_se_resnet() -> None:
    backbone = SEResNet18(norm_groups=8, dropout=0.3)
    assert {module.num_groups for module in backbone.modules() if isinstance(module, nn.GroupNorm)} == {8}
    assert [module.p for module in backbone.modules() if isinstance(module, nn.Dropout)] == [0.3] * 8
    assert not any(isinstance(module, nn.BatchNorm2d | nn.ReLU) for module in backbone.modules())
    with pytest.raises(RecipeError, match=r"norm_groups: 24 .* expected 1, 2, 4"):
        SEResNet18(norm_groups=24)


@pytest.mark.parametrize("name", ["resnet81", "hf-hub:somebody/resnet18", "local-dir:model", "", "../resnet18"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=r"backbone\.name"):
        TimmBackbone(name)


def test_unknown_names_get_a_suggestion_and_unknown_tags_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"did you mean.*resnet18"):
        TimmBackbone("resnet1_8")
    with pytest.raises(RecipeError, match=r"resnet18\.a1_in1k"):
        TimmBackbone("resnet18.mine")


def test_a_model_without_a_vector_says_so() -> None:
    with torch.device("meta"):
        backbone = TimmBackbone("gemma4_vit_167m_enc")
        facts = timm.models.get_pretrained_cfg("gemma4_vit_167m_enc")
        assert facts is not None
        with pytest.raises(RecipeError, match="not one vector a picture"):
            backbone.vector(torch.empty(1, *facts.input_size))


def test_names_are_those_of_timm() -> None:
    assert list(timm_names()) == timm.list_models()


def test_names_are_read_quickly_and_without_timm() -> None:
    def seconds() -> float:
        begin = time.perf_counter()
        timm_names.__wrapped__()
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(5)) < 0.1  # 0.02 on a quiet machine
    code = "import sys; from zoo.backbones.names import timm_names; timm_names(); sys.exit(bool({'timm', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
