"""The discriminator: DCGAN's own network, its sizes, every option, gradients of gradients, and what it refuses."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from zoo.errors import RecipeError
from zoo.heads.discriminator import Discriminator
from zoo.heads.players import Activation, Norm

NORMS: tuple[Norm, ...] = get_args(Norm)


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def weights_of(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def convolutions(network: nn.Module) -> list[nn.Module]:
    return [part for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)]


# -------------------------------------------------------------------------------------------------------- DCGAN's own


def test_the_default_at_64_pixels_has_dcgans_weights() -> None:
    """By hand: kernels of 4x4 on 3, 64, 128, 256, 512 channels and one score, scales and shifts of all but the first, two biases."""
    kernels = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512)
    assert weights_of(Discriminator((3, 64, 64))) == kernels + 2 * (128 + 256 + 512) + 64 + 1 == 2_765_633


def test_it_is_the_published_network() -> None:
    """Written out as its authors do, the score as a convolution over the last map; narrow, for speed."""
    torch.manual_seed(0)
    ours = Discriminator((3, 64, 64), widths=(4, 6, 8, 16))
    layers: list[nn.Module] = [nn.Conv2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2)]
    for inside, outside in pairwise((4, 6, 8, 16)):
        layers += [nn.Conv2d(inside, outside, 4, 2, 1, bias=False), nn.BatchNorm2d(outside), nn.LeakyReLU(0.2)]
    theirs = nn.Sequential(*layers, nn.Conv2d(16, 1, 4))
    for part in convolutions(ours):
        part.weight.data.mul_(10)
    state = list(ours.state_dict().values())
    state[-2] = state[-2].view(1, 16, 4, 4)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), state, strict=True)))
    for training in (True, False):
        found, expected = (network.train(training)(picture(6, 3, 64, 64)) for network in (ours, theirs))
        assert found.shape == (6,) and found.std() > 1e-2
        torch.testing.assert_close(found, expected.flatten())


@pytest.mark.parametrize(
    ("side", "widths", "cells"),
    [
        (8, (64,), 4),
        (28, (64, 128), 7),
        (32, (64, 128, 256), 4),
        (64, (64, 128, 256, 512), 4),
        (128, (64, 128, 256, 512, 512), 4),
        (256, (64, 128, 256, 512, 512, 512), 4),
    ],
)
def test_widths_and_depth_by_dcgans_rule(side: int, widths: tuple[int, ...], cells: int) -> None:
    with torch.device("meta"):
        discriminator = Discriminator((3, side, side))
        *stages, last = (linear.weight.shape for linear in convolutions(discriminator))
        assert stages == [(outside, inside, 4, 4) for inside, outside in pairwise((3, *widths))]
        assert last == (1, widths[-1] * cells * cells)
        assert discriminator(torch.zeros(2, 3, side, side)).shape == (2,)


def test_sides_and_channels_of_any_kind() -> None:
    with torch.device("meta"):
        for shape in ((1, 32, 64), (5, 96, 48), (3, 4, 4), (3, 6, 2)):
            assert Discriminator(shape)(torch.zeros(2, *shape)).shape == (2,)
            assert Discriminator(shape, widths=(9,))(torch.zeros(2, *shape)).shape == (2,)


def test_weights_are_drawn_as_dcgans() -> None:
    torch.manual_seed(0)
    for norm in NORMS:
        discriminator = Discriminator((30, 32, 32), widths=(48, 64), linear=(40,), norm=norm, extra=1)
        for part in convolutions(discriminator)[:-1]:  # the last are too few to tell
            drawn = part.parametrizations.weight.original if norm == "spectral" else part.weight
            assert drawn.std().item() == pytest.approx(0.02, rel=0.1) and drawn.mean().abs() < 0.002
            assert part.bias is None or not part.bias.any()


# --------------------------------------------------------------------------------------------------------- the options


@pytest.mark.parametrize("norm", NORMS)
def test_every_option_teaches_all_of_its_weights(norm: Norm) -> None:
    for activation in get_args(Activation):
        torch.manual_seed(0)
        discriminator = Discriminator((2, 16, 24), (6, 17), (9, 5), activation, norm, extra=1)
        scores = discriminator(picture(8, 2, 16, 24))
        assert scores.shape == (8,) and scores.isfinite().all()
        (scores * picture(8, seed=1)).sum().backward()
        for key, weight in discriminator.named_parameters():
            assert weight.grad is not None and weight.grad.isfinite().all() and weight.grad.any(), (activation, key)


def test_layers_are_counted_by_hand() -> None:
    plain = weights_of(Discriminator((1, 16, 16), (4, 8)))
    assert plain == 16 * (1 * 4 + 4 * 8 + 8) + 4 + 2 * 8 + 1
    assert weights_of(Discriminator((1, 16, 16), (4, 8), extra=2)) - plain == 2 * (9 * 4 * 4 + 2 * 4 + 9 * 8 * 8 + 2 * 8)
    assert weights_of(Discriminator((1, 16, 16), (4, 8), linear=(7, 5))) - plain == 128 * 7 + 14 + 7 * 5 + 10 + 5 - 128
    for norm in ("instance", "group"):
        assert weights_of(Discriminator((1, 16, 16), (4, 8), norm=norm)) == plain
    for norm in ("spectral", "none"):  # a bias in place of a scale and a shift
        assert weights_of(Discriminator((1, 16, 16), (4, 8), norm=norm)) == plain - 8


def test_which_layers_are_normalised_and_how() -> None:
    kinds: dict[Norm, type[nn.Module]] = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d, "group": nn.GroupNorm}
    vectors: dict[Norm, list[type[nn.Module]]] = {"batch": [nn.BatchNorm1d], "group": [nn.GroupNorm]}
    for norm in NORMS:
        discriminator = Discriminator((1, 16, 16), (4, 8), (6,), norm=norm)
        found = [type(part) for part in discriminator.modules() if "Norm" in type(part).__name__ and "Spectral" not in type(part).__name__]
        assert found == ([kinds[norm], *vectors.get(norm, [])] if norm in kinds else [])
        assert [type(part) for part in discriminator.stages[0][0]][1:] == [nn.LeakyReLU], "the first layer"
        assert [hasattr(part, "parametrizations") for part in convolutions(discriminator)] == [norm == "spectral"] * 4, "its weights all"


def test_spectral_scores_cannot_rise_faster_than_their_layers_allow() -> None:
    """A kernel of 4x4 and stride 2 reads each pixel four times: a layer's slope is at most 2, that of the linear ones 1."""
    torch.manual_seed(0)
    discriminator = Discriminator((3, 16, 16), (6, 8), (5,), norm="spectral")
    for part in convolutions(discriminator):
        part.parametrizations.weight.original.data.mul_(1000)
    for _ in range(30):
        discriminator(picture(2, 3, 16, 16))
    for part in convolutions(discriminator):
        assert torch.linalg.matrix_norm(part.weight.flatten(1), 2).item() == pytest.approx(1, rel=0.02)
    image = picture(64, 3, 16, 16).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator.eval()(image).sum(), image)
    assert 0 < slope.flatten(1).norm(dim=1).max() < 4.1


def test_pictures_are_scored_one_by_one_unless_the_batch_normalises() -> None:
    for norm in NORMS:
        torch.manual_seed(0)
        discriminator = Discriminator((1, 16, 16), (4, 8), (6,), norm=norm).double()
        if norm == "spectral":
            discriminator.eval()  # in training its estimate moves with each call
        image = picture(4, 1, 16, 16).double()
        alone = torch.allclose(discriminator(image)[:2], discriminator(image[:2]), rtol=1e-6, atol=0)
        assert alone == (norm != "batch")


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_of_gradients_are_those_of_differences(norm: Norm) -> None:
    """The squared slope at pictures, which R1 and WGAN-GP lower, along a random direction of all weights."""
    torch.manual_seed(0)
    discriminator = Discriminator((2, 8, 8), (3, 17), (5,), activation="gelu", norm=norm, extra=1).double()
    for part in convolutions(discriminator):
        (part.parametrizations.weight.original if norm == "spectral" else part.weight).data.mul_(10)
    if norm == "spectral":
        discriminator.eval()
    image = picture(5, 2, 8, 8).double().requires_grad_()
    weights = list(discriminator.parameters())
    direction = [torch.randn_like(weight) for weight in weights]

    def squared() -> Tensor:
        (slope,) = torch.autograd.grad(discriminator(image).sum(), image, create_graph=True)
        return slope.square().sum()

    def moved(step: float) -> float:
        with torch.no_grad():
            for weight, way in zip(weights, direction, strict=True):
                weight += step * way
        return squared().item()

    gradients = torch.autograd.grad(squared(), weights, allow_unused=True)  # none for the last bias
    found = sum((one * way).sum().item() for one, way in zip(gradients, direction, strict=True) if one is not None)
    ahead, behind = moved(1e-6), moved(-2e-6)
    assert found != 0 and found == pytest.approx((ahead - behind) / 2e-6, rel=1e-4)


# ---------------------------------------------------------------------------------------------------- what they refuse


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"33x33 pixels cannot be halved 3 times: .* multiples of 8, such as 32x32 \(data\.size\)"):
        Discriminator((3, 33, 33))
    with pytest.raises(ValueError, match=r"norm 'instance' with 3 widths: .* 8x8 pixels leave 1x1 cell"):
        Discriminator((3, 8, 8), (4, 4, 4), norm="instance")
    with pytest.raises(ValueError, match=r"pictures of 3x16x8 \(channels, height, width\): this discriminator was built for 3x8x8"):
        Discriminator((3, 8, 8))(picture(2, 3, 16, 8))


def test_a_batch_of_one_cannot_teach_means_over_a_batch() -> None:
    for widths, linear in (((4,), (5,)), ((4, 4, 4), ())):
        discriminator = Discriminator((3, 8, 8), widths, linear)
        with pytest.raises(RecipeError, match=r"batch of one picture; take another train\.batch_size"):
            discriminator(picture(1, 3, 8, 8))
        assert discriminator.eval()(picture(1, 3, 8, 8)).shape == (1,)
        assert Discriminator((3, 8, 8), widths, linear, norm="group")(picture(1, 3, 8, 8)).isfinite().all()
    assert Discriminator((3, 8, 8), (4, 4))(picture(1, 3, 8, 8)).isfinite().all()


# ------------------------------------------------------------------------------------------------------ where they run


@pytest.mark.parametrize("norm", NORMS)
def test_copies_and_files_hold_all_there_is(norm: Norm, tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = {"widths": (6, 17), "linear": (5,), "norm": norm, "extra": 1}
    one, other = Discriminator((2, 16, 16), **made), Discriminator((2, 16, 16), **made)
    image = picture(4, 2, 16, 16)
    one(image)
    copied = copy.deepcopy(one).eval()
    save_file(one.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    expected = one.eval()(image)
    assert torch.equal(copied(image), expected)
    assert torch.equal(other.eval()(image), expected)
    with torch.no_grad():
        list(one.parameters())[-1].fill_(9)
    assert torch.equal(copied(image), expected), "a copy's weights are its own"


@pytest.mark.parametrize("norm", NORMS)
def test_autocast_and_channels_last(norm: Norm) -> None:
    torch.manual_seed(0)
    discriminator, image = Discriminator((2, 16, 16), (6, 17), (5,), norm=norm, extra=1), picture(4, 2, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        scores = discriminator(image)
    assert scores.dtype == torch.float32
    scores.sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in discriminator.parameters())
    exact = copy.deepcopy(discriminator).eval().double()
    last = copy.deepcopy(exact).to(memory_format=torch.channels_last)
    assert exact(image.double()).dtype == torch.float64
    torch.testing.assert_close(exact(image.double()), last(image.double().to(memory_format=torch.channels_last)))


def test_it_compiles_in_one_piece() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator((2, 8, 8), (4,), (5,), norm="spectral").eval()
    compiled = torch.compile(discriminator, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(picture(4, 2, 8, 8)), discriminator(picture(4, 2, 8, 8)))
