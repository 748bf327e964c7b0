"""The decoder of codes: counts, any encoder's stages in reverse, conditions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.backbones.conv import Conv
from zoo.backbones.dense import Dense
from zoo.heads.mirror import Mirror

SIZES = [(28, 28), (45, 45), (64, 64), (13, 30), (3, 5), (1, 1)]


def count(*modules: nn.Module) -> int:
    return sum(weight.numel() for module in modules for weight in module.parameters())


def test_a_mirrored_dense_network_is_that_of_the_course() -> None:
    mirror = Mirror(20, ((1, 28, 28), (400,)), (1, 28, 28), conditions=10)
    assert count(mirror) == count(nn.Linear(30, 400), nn.Linear(400, 784))
    assert sum(isinstance(module, nn.ReLU) for module in mirror.modules()) == 1


def test_of_an_encoder_without_layers_it_is_linear() -> None:
    mirror = Mirror(5, Dense(1, (4, 6), hidden=()).shapes, (1, 4, 6))
    assert count(mirror) == count(nn.Linear(5, 24))
    one, other = torch.rand(1, 5), torch.rand(1, 5)
    middle = mirror((one + other) / 2)
    assert torch.allclose(middle, (mirror(one) + mirror(other)) / 2, atol=1e-5)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_encoder_and_none(size: tuple[int, int], channels: int) -> None:
    picture = (channels, *size)
    for shapes in (Dense(channels, size, hidden=(9, 7)).shapes, Conv(channels, size, widths=(4, 6)).shapes, ()):
        assert Mirror(5, shapes, picture)(torch.rand(2, 5)).shape == (2, *picture)


def test_stages_come_in_reverse() -> None:
    encoder = Conv(3, (13, 30), widths=(4, 6))
    mirror, x = Mirror(5, encoder.shapes, (3, 13, 30)), torch.rand(2, 5)
    found = []
    for step in mirror.steps:
        x = step(x)
        found.append(tuple(x.shape[1:]))
    assert found == list(reversed(encoder.shapes))


def test_stages_may_be_of_both_kinds() -> None:
    assert Mirror(5, ((1, 8, 8), (4, 4, 4), (10,)), (1, 8, 8))(torch.rand(2, 5)).shape == (2, 1, 8, 8)
    assert Mirror(5, ((1, 8, 8), (10,), (4, 4, 4)), (1, 8, 8))(torch.rand(2, 5)).shape == (2, 1, 8, 8)


def test_logits_can_have_any_sign() -> None:
    torch.manual_seed(0)
    for shapes in (((1, 8, 8), (20,)), ((1, 8, 8), (4, 4, 4)), ()):
        logits = Mirror(5, shapes, (1, 8, 8))(torch.randn(4, 5))
        assert logits.min() < 0 < logits.max()


def test_a_condition_changes_the_picture_of_a_code() -> None:
    torch.manual_seed(0)
    mirror = Mirror(5, (), (1, 16, 16), conditions=3).eval()
    code = torch.rand(1, 5).expand(3, -1)
    pictures = mirror(code, torch.eye(3))
    assert not torch.allclose(pictures[0], pictures[1]) and not torch.allclose(pictures[1], pictures[2])


def test_stages_of_another_picture_are_refused() -> None:
    with pytest.raises(ValueError, match=r"begin with \(1, 28, 28\); expected the picture's \(1, 32, 32\)"):
        Mirror(5, ((1, 28, 28), (400,)), (1, 32, 32))
