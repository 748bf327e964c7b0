"""What the encoder-decoder backbones have in common: sizes, padding, what they refuse, precision, weights."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zoo import registry
from zoo.backbones.backbone import Backbone
from zoo.backbones.padding import crop, pad
from zoo.backbones.segnet import SegNet
from zoo.backbones.unet import UNet
from zoo.backbones.unet_dilated import UNetDilated
from zoo.backbones.unet_strided import UNetStrided
from zoo.errors import RecipeError

Build = Callable[..., Backbone]
MULTIPLES = {UNet: 16, UNetStrided: 16, UNetDilated: 8, SegNet: 32}
NAMES = {UNet: "unet", UNetStrided: "unet_strided", UNetDilated: "unet_dilated", SegNet: "segnet"}
every = pytest.mark.parametrize("build", list(MULTIPLES))


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def awake(backbone: Backbone) -> Backbone:
    """Batch normalisation with weights and statistics unlike those it starts with, so that a wrong order of layers is seen."""
    torch.manual_seed(1)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return backbone


@every
def test_options_are_read_and_the_class_is_found_by_name(build: Any) -> None:
    assert registry.load("backbones", NAMES[build]) is build
    (option,) = registry.options("backbones", NAMES[build]).items()
    assert option[0] == "width" and option[1].default == 64


@every
@pytest.mark.parametrize("size", [(17, 17), (18, 33), (97, 131), (32, 64)])
def test_one_map_as_large_as_the_picture(build: Build, size: tuple[int, int]) -> None:
    backbone = build(width=3)
    (found,) = backbone.maps(picture(2, 3, *size))
    assert (tuple(backbone.channels), tuple(backbone.strides)) == ((3,), (1,))
    assert found.shape == (2, 3, *size) and found.isfinite().all()


@every
def test_padding_is_the_mirrored_picture_and_nothing_is_shifted(build: Any) -> None:
    backbone = awake(build(width=2)).eval()
    image = picture(1, 3, 41, 50)
    multiple = MULTIPLES[build]
    below, right = -41 % multiple, -50 % multiple
    mirrored = torch.from_numpy(np.pad(image.numpy(), ((0, 0), (0, 0), (0, below), (0, right)), mode="reflect"))
    with torch.no_grad():
        assert torch.equal(backbone.maps(image)[0], backbone.maps(mirrored)[0][..., :41, :50])


@every
def test_too_small_pictures_are_refused_by_their_size(build: Any) -> None:
    least = MULTIPLES[build] // 2 + 1
    with pytest.raises(RecipeError, match=rf"data\.size: 64x{least - 1} pixels are too few .* at least {least} on either side"):
        build(width=1).maps(picture(1, 3, 64, least - 1))
    assert build(width=1).eval().maps(picture(1, 3, least, least))[0].shape[2:] == (least, least)


def test_what_fits_is_neither_copied_nor_cropped() -> None:
    image = picture(1, 3, 32, 64)
    assert pad(image, 32) is image and pad(image, 1) is image and crop(image, image) is image
    assert crop(pad(image[..., :40], 32), image[..., :40]).shape == (1, 3, 32, 40)


@every
def test_gradients_reach_every_weight(build: Build) -> None:
    backbone = awake(build(width=4))
    (found,) = backbone.maps(picture(2, 3, 40, 64))
    (found * picture(*found.shape, seed=1)).sum().backward()  # a plain sum would be constant after a normalisation
    for name, weight in backbone.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


@every
def test_in_place_activations_leave_no_false_gradient(build: Build) -> None:
    backbone = awake(build(width=2)).double()
    plain = copy.deepcopy(backbone)
    for module in plain.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    image, weigh = picture(2, 3, 33, 40).double(), picture(2, 2, 33, 40, seed=1)
    for net in (backbone, plain):
        (net.maps(image)[0] * weigh).sum().backward()
    for (name, one), other in zip(backbone.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad), name


@every
def test_forms_and_weights_that_do_not_exist_are_refused(build: Any, caplog: pytest.LogCaptureFixture) -> None:
    name = NAMES[build]
    with pytest.raises(RecipeError, match=rf"backbone\.name: {name} gives a map .* no vector"):
        build(form="vector")
    for origin in ("torchvision", "timm"):
        with pytest.raises(RecipeError, match=f"'{origin}' cannot be had for {name}; expected one of prefer, false"):
            build(width=1, pretrained=origin)
    with caplog.at_level(logging.WARNING, "zoo"):
        backbone = build(width=1, pretrained="prefer")
    assert f"{name} starts from RANDOM weights" in caplog.text
    assert "nobody publishes pretrained ones" in backbone.weights
    with pytest.raises(TypeError, match="form='vector'"):
        backbone.vector(picture(1, 3, 32, 32))


@every
def test_state_dict_holds_each_tensor_once_and_is_all_there_is(build: Build) -> None:
    backbone = awake(build(width=2)).eval()
    state = backbone.state_dict()
    assert len({value.data_ptr() for value in state.values()}) == len(state)
    assert {"normalize.mean", "normalize.std"} <= set(state)
    again = build(width=2).eval()
    again.load_state_dict(state)
    image = picture(1, 3, 33, 40)
    with torch.no_grad():
        assert torch.equal(backbone.maps(image)[0], again.maps(image)[0])


@every
def test_grey_pictures(build: Build) -> None:
    backbone = build(channels=1, width=2)
    assert backbone.maps(picture(2, 1, 32, 32))[0].shape == (2, 2, 32, 32)
    assert backbone.state_dict()["normalize.mean"].flatten().tolist() == pytest.approx([0.449], abs=1e-6)


@every
def test_channels_last_gives_the_same(build: Build) -> None:
    backbone = awake(build(width=4)).double()
    image, weigh = picture(2, 3, 40, 64).double(), picture(2, 4, 40, 64, seed=1)
    last = copy.deepcopy(backbone).to(memory_format=torch.channels_last)
    found = [backbone.maps(image)[0], last.maps(image.to(memory_format=torch.channels_last))[0]]
    assert last.maps(picture(1, 3, 32, 32).double())[0].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found[0], found[1])
    for each in found:
        (each * weigh).sum().backward()
    for (name, one), other in zip(backbone.named_parameters(), last.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=lambda text, name=name: f"{name}: {text}")


@every
def test_autocast_to_bfloat16_stays_close_and_learns(build: Build) -> None:
    backbone = awake(build(width=4))
    image = picture(2, 3, 40, 64)
    exact = copy.deepcopy(backbone).maps(image)[0].detach()
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = backbone.maps(image)
    assert found.dtype == torch.bfloat16 and found.shape == exact.shape
    alike = torch.corrcoef(torch.stack([found.float().flatten(), exact.flatten()]))[0, 1]
    assert alike > (0.7 if build is SegNet else 0.98)  # of two values that 8 bits make equal SegNet may take the other one's place
    found.float().square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in backbone.parameters())


@every
def test_convolutions_are_drawn_as_the_paper_says(build: Build) -> None:
    """Of std sqrt(2 / N), where N is the number of nodes that come in (Ronneberger 2015, section 3)."""
    for name, module in build(width=16).named_modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 4000:
            incoming = module.in_channels * module.kernel_size[0] * module.kernel_size[1]
            assert module.weight.std().item() == pytest.approx((2 / incoming) ** 0.5, rel=0.05), name
