"""The generator: DCGAN's own network, its sizes, every option, and what it refuses. What both players share is tested here too."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from zoo.errors import RecipeError
from zoo.heads.generator import Generator
from zoo.heads.players import Activation, Norm, Output, dcgan_widths, groups

NORMS: tuple[Norm, ...] = get_args(Norm)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def weights_of(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def convolutions(network: nn.Module) -> list[nn.Module]:
    return [part for part in network.modules() if isinstance(part, nn.ConvTranspose2d | nn.Conv2d | nn.Linear)]


# -------------------------------------------------------------------------------------------------------- DCGAN's own


def test_the_default_at_64_pixels_has_dcgans_weights() -> None:
    """By hand: kernels of 4x4 on 512, 256, 128, 64 and 3 channels, a scale and a shift for each that is normalised, the last biases."""
    kernels = 16 * (100 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    assert weights_of(Generator(100, (3, 64, 64))) == kernels + 2 * (512 + 256 + 128 + 64) + 3 == 3_576_707


def test_it_is_the_published_network() -> None:
    """Written out as its authors do, the projection as a transposed convolution of one cell; narrow, for speed."""
    torch.manual_seed(0)
    ours, widths = Generator(5, (3, 64, 64), widths=(16, 8, 6, 4)), (5, 16, 8, 6, 4)
    layers: list[nn.Module] = []
    for number, (inside, outside) in enumerate(pairwise(widths)):
        stride, padding = (2, 1) if number else (1, 0)
        convolution = nn.ConvTranspose2d(inside, outside, 4, stride, padding, bias=False)
        layers += [convolution, nn.BatchNorm2d(outside), nn.ReLU()]
    theirs = nn.Sequential(*layers, nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.Tanh())
    for part in convolutions(ours):
        part.weight.data.mul_(10)
    state = list(ours.state_dict().values())
    state[0] = state[0].view(16, 4, 4, 5).permute(3, 0, 1, 2)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), state, strict=True)))
    code = noise(6, 5)
    for training in (True, False):
        found, expected = ours.train(training)(code), theirs.train(training)(code[:, :, None, None])
        assert found.shape == (6, 3, 64, 64) and found.std() > 1e-2
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("side", "widths", "cells"),
    [
        (8, (64,), 4),
        (28, (128, 64), 7),
        (32, (256, 128, 64), 4),
        (48, (256, 128, 64), 6),
        (64, (512, 256, 128, 64), 4),
        (128, (512, 512, 256, 128, 64), 4),
        (256, (512, 512, 512, 256, 128, 64), 4),
    ],
)
def test_widths_and_depth_by_dcgans_rule(side: int, widths: tuple[int, ...], cells: int) -> None:
    assert dcgan_widths((3, side, side)) == widths[::-1]
    with torch.device("meta"):
        generator = Generator(100, (3, side, side))
        first, *stages = (linear.weight.shape for linear in convolutions(generator))
        assert first == (widths[0] * cells * cells, 100)
        assert stages == [(*each, 4, 4) for each in pairwise((*widths, 3))]
        assert generator(torch.zeros(2, 100)).shape == (2, 3, side, side)


def test_sides_and_channels_of_any_kind() -> None:
    assert dcgan_widths((1, 32, 64)) == dcgan_widths((1, 64, 32)) == (64, 128, 256), "the shorter side counts"
    with torch.device("meta"):
        for picture in ((1, 32, 64), (5, 96, 48), (3, 4, 4), (3, 6, 2)):
            assert Generator(7, picture)(torch.zeros(2, 7)).shape == (2, *picture)
            assert Generator(7, picture, widths=(9,))(torch.zeros(2, 7)).shape == (2, *picture)


def test_weights_are_drawn_as_dcgans() -> None:
    torch.manual_seed(0)
    for norm in NORMS:
        generator = Generator(50, (3, 32, 32), widths=(64, 48), linear=(40,), norm=norm, extra=1)
        for part in convolutions(generator):
            drawn = part.parametrizations.weight.original if norm == "spectral" and part is not generator.last[0] else part.weight
            assert drawn.std().item() == pytest.approx(0.02, rel=0.1) and drawn.mean().abs() < 0.002
            assert part.bias is None or not part.bias.any()


# --------------------------------------------------------------------------------------------------------- the options


@pytest.mark.parametrize("norm", NORMS)
def test_every_option_teaches_all_of_its_weights(norm: Norm) -> None:
    for activation in get_args(Activation):
        torch.manual_seed(0)
        generator = Generator(6, (2, 16, 24), (17, 6), (9, 5), activation, norm, extra=1)
        pictures = generator(noise(8, 6))
        assert pictures.shape == (8, 2, 16, 24) and pictures.isfinite().all()
        (pictures * noise(*pictures.shape, seed=1)).sum().backward()
        for key, weight in generator.named_parameters():
            assert weight.grad is not None and weight.grad.isfinite().all() and weight.grad.any(), (activation, key)


def test_activations_are_what_they_are_called() -> None:
    values = torch.linspace(-3, 3, 13)
    for name in get_args(Activation):
        *_, found = Generator(4, (1, 8, 8), (3,), activation=name, norm="none").first[0]
        expected = F.leaky_relu(values, 0.2) if name == "leaky_relu" else getattr(F, name)(values)
        assert torch.equal(found(values.clone()), expected), name


def test_layers_are_counted_by_hand() -> None:
    plain = weights_of(Generator(10, (1, 16, 16), (8, 4)))
    assert plain == 10 * 8 * 16 + 16 * (8 * 4 + 4 * 1) + 2 * (8 + 4) + 1
    assert weights_of(Generator(10, (1, 16, 16), (8, 4), extra=2)) - plain == 2 * (9 * 8 * 8 + 2 * 8 + 9 * 4 * 4 + 2 * 4)
    assert weights_of(Generator(10, (1, 16, 16), (8, 4), linear=(7, 5))) - plain == 10 * 7 + 14 + 7 * 5 + 10 + (5 - 10) * 8 * 16
    for norm in ("instance", "group"):
        assert weights_of(Generator(10, (1, 16, 16), (8, 4), norm=norm)) == plain
    for norm in ("spectral", "none"):  # a bias for each in place of a scale and a shift; the projection has one for each cell
        assert weights_of(Generator(10, (1, 16, 16), (8, 4), norm=norm)) - plain == (8 * 16 + 4) - 2 * (8 + 4)


def test_the_output_has_its_range() -> None:
    code, found = 100 * noise(8, 4), {}
    for output in get_args(Output):
        torch.manual_seed(0)
        generator = Generator(4, (1, 8, 8), (3,), norm="none", output=output)
        generator.last[0].weight.data.mul_(1000)
        found[output] = generator(code)
    assert found["linear"].abs().max() > 3 and found["linear"].min() < 0
    torch.testing.assert_close(found["tanh"], found["linear"].tanh())
    torch.testing.assert_close(found["sigmoid"], found["linear"].sigmoid())


def test_which_layers_are_normalised_and_how() -> None:
    kinds: dict[Norm, type[nn.Module]] = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d, "group": nn.GroupNorm}
    for norm in NORMS:
        generator = Generator(4, (1, 16, 16), (8, 4), norm=norm, extra=1)
        found = [type(part) for part in generator.modules() if "Norm" in type(part).__name__ and "Spectral" not in type(part).__name__]
        assert found == ([kinds[norm]] * 4 if norm in kinds else [])
        assert [hasattr(part, "parametrizations") for part in convolutions(generator)] == [norm == "spectral"] * 4 + [False]


def test_spectral_weights_have_a_largest_singular_value_of_1() -> None:
    torch.manual_seed(0)
    generator = Generator(12, (3, 16, 16), (8, 6), (10,), norm="spectral", extra=1)
    for _ in range(30):
        generator(noise(2, 12))
    for part in convolutions(generator)[:-1]:
        dim = 1 if isinstance(part, nn.ConvTranspose2d) else 0  # of outputs
        value = torch.linalg.matrix_norm(part.weight.transpose(0, dim).flatten(1), 2)
        assert value.item() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(512, 32), (1024, 32), (256, 16), (100, 5), (64, 4), (50, 2), (53, 1), (48, 3), (16, 1), (17, 1), (7, 1), (1, 1)],
)
def test_groups_divide_any_width(channels: int, expected: int) -> None:
    assert groups(channels) == expected
    assert nn.GroupNorm(groups(channels), channels)(noise(2, channels, 2, 2)).isfinite().all()


# ---------------------------------------------------------------------------------------------------- what they refuse


@pytest.mark.parametrize(
    ("side", "widths", "message"),
    [
        (33, (), r"33x33 pixels cannot be halved 3 times: .* multiples of 8, such as 32x32 \(data\.size\)"),
        (30, (), r"30x30 .* 2 times: .* multiples of 4, such as 32x32"),
        (100, (), r"100x100 .* 4 times: .* multiples of 16, such as 96x96"),
        (64, (8,) * 7, r"64x64 .* 7 times: .* multiples of 128, such as 128x128 .* or other widths, one for each halving"),
        (1, (), r"1x1 .* 1 times: .* such as 2x2"),
        (0, (), r"0x0 .* 1 times"),
    ],
)
def test_sides_that_cannot_be_halved_are_refused(side: int, widths: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Generator(8, (3, side, side), widths)
    with pytest.raises(ValueError, match=r"such as 32x64"):
        Generator(8, (3, 32, 60), (4, 4, 4))


def test_instance_normalisation_of_one_cell_is_refused() -> None:
    with pytest.raises(ValueError, match=r"norm 'instance' with 3 widths: 3 halvings of 8x8 pixels leave 1x1 cell.*fewer widths.*'group'"):
        Generator(8, (3, 8, 8), (4, 4, 4), norm="instance")
    assert Generator(8, (3, 8, 16), (4, 4, 4), norm="instance")(noise(2, 8)).isfinite().all()
    for norm in ("group", "spectral", "none", "batch"):
        assert Generator(8, (3, 8, 8), (32, 4, 4), norm=norm)(noise(2, 8)).std() > 0


def test_names_that_do_not_exist_are_refused() -> None:
    for option in ("activation", "norm", "output"):
        with pytest.raises(ValueError, match=f"{option} 'other': expected '"):
            Generator(8, (3, 8, 8), **{option: "other"})


def test_a_batch_of_one_cannot_teach_means_over_a_batch() -> None:
    for widths, linear in (((4,), (5,)), ((4, 4, 4), ())):
        generator = Generator(8, (3, 8, 8), widths, linear)
        with pytest.raises(RecipeError, match=r"batch of one picture; take another train\.batch_size"):
            generator(noise(1, 8))
        assert generator.eval()(noise(1, 8)).shape == (1, 3, 8, 8)
        assert Generator(8, (3, 8, 8), widths, linear, norm="group")(noise(1, 8)).isfinite().all()
    assert Generator(8, (3, 8, 8), (4,))(noise(1, 8)).isfinite().all()


# ------------------------------------------------------------------------------------------------------ where they run


@pytest.mark.parametrize("norm", NORMS)
def test_copies_and_files_hold_all_there_is(norm: Norm, tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = {"widths": (17, 6), "linear": (5,), "norm": norm, "extra": 1}
    one, other = Generator(6, (2, 16, 16), **made), Generator(6, (2, 16, 16), **made)
    one(noise(4, 6))
    copied = copy.deepcopy(one).eval()
    save_file(one.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    expected = one.eval()(noise(4, 6))
    assert torch.equal(copied(noise(4, 6)), expected)
    assert torch.equal(other.eval()(noise(4, 6)), expected)
    with torch.no_grad():
        next(one.parameters()).zero_()
    assert torch.equal(copied(noise(4, 6)), expected), "a copy's weights are its own"


def test_half_floats_leave_the_output_a_slope() -> None:
    for output, slope in (("tanh", 1 - math.tanh(4) ** 2), ("sigmoid", 1 / (2 + 2 * math.cosh(4)))):
        generator = Generator(4, (1, 8, 8), (3,), norm="none", output=output)
        nn.init.zeros_(generator.last[0].weight)
        nn.init.constant_(generator.last[0].bias, 4.0)
        with torch.autocast("cpu", torch.bfloat16):
            pictures = generator(noise(2, 4))
        assert pictures.dtype == torch.float32
        pictures.mean().backward()
        assert generator.last[0].bias.grad.item() == pytest.approx(slope, rel=0.01)


@pytest.mark.parametrize("norm", NORMS)
def test_autocast_and_channels_last(norm: Norm) -> None:
    torch.manual_seed(0)
    generator = Generator(6, (2, 16, 16), (17, 6), (5,), norm=norm, extra=1)
    with torch.autocast("cpu", torch.bfloat16):
        generator(noise(4, 6)).sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in generator.parameters())
    exact = copy.deepcopy(generator).eval().double()
    last = copy.deepcopy(exact).to(memory_format=torch.channels_last)
    assert exact(noise(4, 6).double()).dtype == torch.float64
    torch.testing.assert_close(exact(noise(4, 6).double()), last(noise(4, 6).double()))


def test_it_compiles_in_one_piece() -> None:
    torch.manual_seed(0)
    generator = Generator(6, (2, 8, 8), (4,), (5,), norm="spectral").eval()
    compiled = torch.compile(generator, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(noise(4, 6)), generator(noise(4, 6)))
