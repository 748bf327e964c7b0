"""Decoders over the backbones' maps: sizes, which go together, equality with segmentation-models-pytorch, and what they refuse."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
import warm
from torch import Tensor, nn

from zoo.backbones.backbone import Backbone
from zoo.backbones.padding import pad
from zoo.backbones.timm import TimmBackbone
from zoo.errors import RecipeError
from zoo.heads.decoders import PYRAMID, Decoder, Name, fitting

DOUBLING = (2, 4, 8, 16, 32)
NARROW = (4, 8, 8, 16, 32)


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def logits(backbone: Backbone, decoder: Decoder, image: Tensor) -> Tensor:
    """As a task does it."""
    found: Tensor = decoder(image, backbone.maps(pad(image, max(backbone.strides))))
    return found


def awake(*modules: nn.Module) -> None:
    """Normalisations whose scale and shift are none that they start with: timm's ResNets begin with scales of zero."""
    torch.manual_seed(1)
    for module in modules:
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.uniform_(part.bias, -0.5, 0.5)


def side_for(name: str) -> int:
    """Of a small picture that the decoder takes: PAN halves the coarsest map three times."""
    return 256 if name == "pan" else 64


def maps_of(channels: Sequence[int], strides: Sequence[int], height: int, width: int, batch: int = 2) -> list[Tensor]:
    return [picture(batch, *(c, height // s, width // s), seed=s) for c, s in zip(channels, strides, strict=True)]


# -------------------------------------------------------------------------------------------------------- they work


@pytest.fixture(scope="module", params=["resnet18", "mobilenetv2_100", "convnext_atto"])
def backbone(request: pytest.FixtureRequest) -> Backbone:
    torch.manual_seed(0)
    built = TimmBackbone(request.param, form="maps")
    awake(built)
    return built


@pytest.mark.parametrize("name", [name for name in PYRAMID if name != "pan"])
def test_every_decoder_works_on_every_pyramid_and_teaches_all_of_it(backbone: Backbone, name: Name) -> None:
    torch.manual_seed(0)
    decoder = Decoder(name, backbone.channels, backbone.strides, 3)
    awake(decoder)
    decoder.head.weight.data.mul_(100)
    image = picture(2, 3, 97, 131)
    found = logits(backbone, decoder, image)
    assert found.shape == (2, 3, 97, 131)
    backbone.zero_grad()
    (found * picture(*found.shape, seed=1)).sum().backward()
    for part, module in (("backbone", backbone), ("decoder", decoder)):
        for key, weight in module.named_parameters():
            assert weight.grad is not None and weight.grad.isfinite().all(), f"{part}: {key}"
            assert weight.numel() == 0 or weight.grad.any() or "SE_" in key, f"{part}: {key}"  # ReLUs of few channels may all be shut


@pytest.mark.parametrize("size", [(64, 96), (49, 75)])
def test_swin_whose_windows_ask_for_a_size(size: tuple[int, int]) -> None:
    built = TimmBackbone("swin_tiny_patch4_window7_224", form="maps", size=size).eval()  # in training it leaves out blocks by chance
    decoder = Decoder("unet", built.channels, built.strides, 1)
    found = logits(built, decoder, picture(2, 3, *size))
    assert found.shape == (2, 1, *size)
    found.square().sum().backward()
    assert all(weight.grad is not None for module in (built, decoder) for weight in module.parameters())


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
def test_pan_works_on_pictures_that_are_large_enough(name: str) -> None:
    built = TimmBackbone(name, form="maps")
    assert logits(built, Decoder("pan", built.channels, built.strides, 1), picture(2, 3, 225, 250)).shape == (2, 1, 225, 250)


@pytest.mark.parametrize("name", ["dpt", "none"])
def test_a_plain_vit(name: Name) -> None:
    built = TimmBackbone("vit_tiny_patch16_224", form="maps", size=(112, 144))
    decoder = Decoder(name, built.channels, built.strides, 2)
    found = logits(built, decoder, picture(2, 3, 97, 131))
    assert found.shape == (2, 2, 97, 131)
    found.square().sum().backward()
    assert all(weight.grad is not None for module in (built, decoder) for weight in module.parameters())


@pytest.mark.parametrize("size", [(32, 32), (97, 131), (64, 96), (33, 17)])
def test_none_on_one_map_is_its_1x1_convolution(size: tuple[int, int]) -> None:
    decoder = Decoder("none", (8,), (1,), 2)
    image, one = picture(2, 3, *size), picture(2, 8, *size)
    expected = torch.einsum("bchw,oc->bohw", one, decoder.head.weight[:, :, 0, 0]) + decoder.head.bias.view(-1, 1, 1)
    torch.testing.assert_close(decoder(image, [one]), expected)


def test_none_enlarges_cells_as_areas_and_crops_from_the_origin() -> None:
    decoder = Decoder("none", (1,), (4,), 1)
    nn.init.ones_(decoder.head.weight)
    nn.init.zeros_(decoder.head.bias)
    ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    found = decoder(torch.zeros(1, 3, 13, 14), [ramp])
    centres = (torch.arange(16) + 0.5) / 4 - 0.5  # where pixels stand between the cells
    torch.testing.assert_close(found, centres.clamp(0, 3)[:14].expand(1, 1, 13, 14))


def test_new_heads_are_large_enough_to_turn_back() -> None:
    """As PyTorch draws them, of std sqrt(1 / (3 * incoming)): small ones on ReLUs may all turn negative and stay so."""
    torch.manual_seed(0)
    for name in ("unet", "fpn", "pspnet"):
        weight = Decoder(name, (8, 8, 16, 16, 32), DOUBLING, 21).head.weight
        assert weight.std().item() == pytest.approx((3 * weight[0].numel()) ** -0.5, rel=0.1), name


def test_decoders_are_drawn_as_in_the_librarys_networks() -> None:
    """Of std sqrt(2 / incoming), where PyTorch would draw sqrt(1 / (3 * incoming))."""
    torch.manual_seed(0)
    for name in ("unet", "segformer", "deeplabv3plus"):
        drawn = [part for part in Decoder(name, (8, 8, 16, 16, 32), DOUBLING, 2).decoder.modules() if isinstance(part, nn.Conv2d)]
        (weight,) = (part.weight for part in drawn if part.weight.numel() == max(part.weight.numel() for part in drawn))
        assert weight.std().item() == pytest.approx((2 / weight[0].numel()) ** 0.5, rel=0.05), name


def test_autocast_and_channels_last() -> None:
    torch.manual_seed(0)
    for name in PYRAMID:
        decoder = Decoder(name, NARROW, DOUBLING, 2)
        side = side_for(name)
        maps = maps_of(NARROW, DOUBLING, side, side)
        image = torch.zeros(2, 3, side - 6, side)
        with torch.autocast("cpu", torch.bfloat16):
            found = decoder(image, maps)
        assert found.shape == (2, 2, side - 6, side) and found.isfinite().all(), name
        exact = copy.deepcopy(decoder).eval().double()
        last = copy.deepcopy(exact).to(memory_format=torch.channels_last)
        with torch.no_grad():
            one = exact(image, [each.double() for each in maps])
            other = last(image, [each.double().to(memory_format=torch.channels_last) for each in maps])
        torch.testing.assert_close(one, other, msg=lambda text, name=name: f"{name}: {text}")


def test_state_dict_holds_each_tensor_once_and_is_all_there_is() -> None:
    for name in PYRAMID:
        side = side_for(name)
        maps, image = maps_of(NARROW, DOUBLING, side, side), torch.zeros(2, 3, side, side)
        one, other = (Decoder(name, NARROW, DOUBLING, 2).eval() for _ in range(2))
        state = one.state_dict()
        assert len({value.data_ptr() for value in state.values() if value.numel()}) == len(state), name
        other.load_state_dict(state)
        with torch.no_grad():
            assert torch.equal(one(image, maps), other(image, maps)), name


# ------------------------------------------------------------------------------------ equal to the library's networks

THEIRS: dict[str, Any] = {
    "unet": smp.Unet,
    "unetplusplus": smp.UnetPlusPlus,
    "manet": smp.MAnet,
    "linknet": smp.Linknet,
    "fpn": smp.FPN,
    "pspnet": smp.PSPNet,
    "pan": smp.PAN,
    "upernet": smp.UPerNet,
    "segformer": smp.Segformer,
}
"""Those that the library builds on an encoder as it is; its DeepLabs dilate it."""


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv2_100"])
@pytest.mark.parametrize("name", list(THEIRS))
def test_equal_weights_give_the_librarys_logits(name: Name, encoder: str) -> None:
    torch.manual_seed(0)
    built = TimmBackbone(encoder, form="maps")
    decoder = Decoder(name, built.channels, built.strides, 2)
    awake(built, decoder)
    more = {"pan": {"encoder_output_stride": 32}, "pspnet": {"encoder_depth": 5}}.get(name, {})
    theirs = THEIRS[name](f"tu-{encoder}", encoder_weights=None, classes=2, **more).eval()
    theirs.encoder.model.load_state_dict(built.net.state_dict())
    theirs.decoder.load_state_dict(decoder.decoder.state_dict())
    theirs.segmentation_head[0].load_state_dict(decoder.head.state_dict())
    if isinstance(theirs.segmentation_head[1], nn.Upsample):  # the only difference: cells as areas
        times = {"pspnet": 32}.get(name, 4)
        theirs.segmentation_head[1] = nn.Upsample(scale_factor=times, mode="bilinear", align_corners=False)
    image = picture(2, 3, side_for(name), 256 if name == "pan" else 96)
    with torch.no_grad():
        found = logits(built.eval(), decoder.eval(), image)
        expected = theirs(built.normalize(image))
    assert found.std() > 0
    torch.testing.assert_close(found, expected)


def test_a_pyramid_from_stride_4_gives_the_librarys_logits() -> None:
    torch.manual_seed(0)
    built = TimmBackbone("convnext_atto", form="maps").eval()
    for name in ("unet", "unetplusplus", "manet", "linknet", "fpn", "upernet", "segformer"):
        decoder = Decoder(name, built.channels, built.strides, 1)
        awake(decoder)
        theirs = THEIRS[name]("tu-convnext_atto", encoder_weights=None, classes=1).eval()
        theirs.encoder.model.load_state_dict(built.net.state_dict())
        theirs.decoder.load_state_dict(decoder.decoder.state_dict())
        theirs.segmentation_head[0].load_state_dict(decoder.head.state_dict())
        if isinstance(theirs.segmentation_head[1], nn.Upsample):
            theirs.segmentation_head[1] = nn.Upsample(scale_factor=4, mode="bilinear", align_corners=False)
        image = picture(1, 3, 64, 96)
        with torch.no_grad():
            torch.testing.assert_close(logits(built, decoder.eval(), image), theirs(built.normalize(image)))


def test_deeplab_is_the_librarys_but_for_rates_and_enlargement() -> None:
    """At stride 16, where the library's takes no more than the last map, rates double the paper's."""
    torch.manual_seed(0)
    channels, strides = (4, 8, 8, 16), (2, 4, 8, 16)
    decoder = Decoder("deeplabv3plus", channels, strides, 1)
    awake(decoder)
    theirs = smp.decoders.deeplabv3.decoder.DeepLabV3PlusDecoder((3, *channels), 4, 256, (6, 12, 18), 16, True, 0.5).eval()
    theirs.load_state_dict(decoder.decoder.state_dict())
    maps = maps_of(channels, strides, 64, 96)
    with torch.no_grad():
        expected = decoder.head(theirs([torch.zeros(2, 3, 64, 96), *maps]))
        found = decoder.eval()(torch.zeros(2, 3, 64, 96), maps)
    assert expected.shape[2:] == (16, 24)
    torch.testing.assert_close(found, nn.functional.interpolate(expected, size=(64, 96), mode="bilinear"))
    rates = [part.dilation[0] for part in Decoder("deeplabv3", NARROW, DOUBLING, 1).modules() if isinstance(part, nn.Conv2d)]
    assert sorted(rate for rate in rates if rate > 1) == [3, 6, 9]


# --------------------------------------------------------------------------------------------------- what they refuse


@pytest.mark.parametrize(
    ("strides", "expected"),
    [
        ((1,), ("none",)),
        ((8,), ("none",)),
        ((14, 14, 14), ("none",)),
        ((16, 16, 16), ("dpt", "none")),
        (DOUBLING, PYRAMID),
        ((4, 8, 16, 32), PYRAMID),
        ((1, 2, 4, 8, 16, 32), PYRAMID),
        ((4, 8, 16), tuple(name for name in PYRAMID if name != "fpn")),
        ((16, 32, 64), ()),
        ((2, 4), ()),
        ((4, 8, 16, 16), ()),
        ((32, 16, 8, 4), ()),
    ],
)
def test_which_decoders_read_which_maps(strides: tuple[int, ...], expected: tuple[str, ...]) -> None:
    assert fitting(strides) == expected
    for name in expected:
        side, channels = (8 if name == "pan" else 2) * max(strides), [8] * len(strides)
        found = Decoder(name, channels, strides, 1)(torch.zeros(2, 3, side, side), maps_of(channels, strides, side, side))
        assert found.shape == (2, 1, side, side)


@pytest.mark.parametrize(
    ("name", "strides", "message"),
    [
        ("none", DOUBLING, r"decoder 'none' cannot read this backbone's maps of strides 2, 4, 8, 16, 32; expected unet or .*deeplabv3plus"),
        ("unet", (1,), r"decoder 'unet' cannot read this backbone's one map of stride 1; expected none"),
        ("unet", (16, 16, 16), r"decoder 'unet' .* expected dpt or none"),
        ("dpt", DOUBLING, r"decoder 'dpt' .* expected unet"),
        ("fpn", (4, 8, 16), r"decoder 'fpn' .* expected unet"),
        ("unet", (16, 32, 64), r"no decoder reads maps of strides 16, 32, 64; take another backbone, such as resnet18"),
    ],
)
def test_maps_that_do_not_fit_are_refused_with_what_does(name: Name, strides: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Decoder(name, [8] * len(strides), strides, 1)


@pytest.mark.parametrize("name", ["pan", "upernet", "deeplabv3", "deeplabv3plus"])
def test_a_batch_of_one_cannot_teach_means_over_a_batch(name: Name) -> None:
    decoder = Decoder(name, NARROW, DOUBLING, 1)
    image, maps = torch.zeros(1, 3, 256, 256), maps_of(NARROW, DOUBLING, 256, 256, batch=1)
    with pytest.raises(RecipeError, match=rf"decoder '{name}' .* batch of one picture; take another train\.batch_size"):
        decoder(image, maps)
    assert decoder.eval()(image, maps).shape == (1, 1, 256, 256)


@pytest.mark.parametrize("name", [name for name in PYRAMID if name not in ("pan", "upernet", "deeplabv3", "deeplabv3plus")])
def test_the_others_learn_from_a_batch_of_one(name: Name) -> None:
    maps = maps_of(NARROW, DOUBLING, 64, 64, batch=1)
    assert Decoder(name, NARROW, DOUBLING, 1)(torch.zeros(1, 3, 64, 64), maps).isfinite().all()


def test_pan_says_which_pictures_it_needs() -> None:
    decoder = Decoder("pan", NARROW, DOUBLING, 1)
    with pytest.raises(RecipeError, match=r"needs pictures of 225 pixels or more .* data\.size"):
        decoder(torch.zeros(2, 3, 224, 256), maps_of(NARROW, DOUBLING, 224, 256))


def test_the_library_is_loaded_only_when_one_of_its_decoders_is_built() -> None:
    code = (
        "import sys; from zoo.heads.decoders import Decoder; Decoder('none', (4,), (1,), 1); "
        "assert 'segmentation_models_pytorch' not in sys.modules; Decoder('unet', (4, 8, 8), (2, 4, 8), 1); "
        "assert 'segmentation_models_pytorch' in sys.modules"
    )
    found = warm.run("-c", code)  # this library is not among those that a warm process has
    assert found.returncode == 0, found.stderr
