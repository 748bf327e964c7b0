"""The backbones of codes: counts, shapes of their stages, conditions, any size of picture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from zoo import registry
from zoo.backbones.conv import Conv
from zoo.backbones.dense import Dense
from zoo.errors import RecipeError

SIZES = [(28, 28), (45, 45), (64, 64), (13, 30), (3, 5)]
BOTH = [Dense, Conv]


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_dense_is_the_network_of_the_course() -> None:
    network = Dense(1, (28, 28), conditions=10)
    assert count(network) == count(nn.Linear(794, 400))
    assert network.width == 400
    assert network.shapes == ((1, 28, 28), (400,))


def test_dense_without_layers_gives_the_pixels() -> None:
    network = Dense(3, (4, 5), hidden=())
    image = torch.rand(2, 3, 4, 5)
    assert count(network) == 0
    assert network.width == 60 and network.shapes == ((3, 4, 5),)
    assert torch.equal(network.vector(image), network.normalize(image).flatten(1))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_shapes_are_those_of_the_stages(size: tuple[int, int], channels: int) -> None:
    network = Conv(channels, size, widths=(4, 6, 8))
    image = torch.rand(2, channels, *size)
    found = [tuple(image.shape[1:])]
    for stage in network.stages:
        image = stage(image)
        found.append(tuple(image.shape[1:]))
    assert list(network.shapes) == found
    assert network.width == image[0].numel()


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("build", BOTH)
def test_vectors_of_any_size(build: Any, size: tuple[int, int]) -> None:
    network = build(3, size)
    assert network.vector(torch.rand(2, 3, *size)).shape == (2, network.width)


@pytest.mark.parametrize("build", BOTH)
def test_a_condition_changes_the_vector_of_a_picture(build: Any) -> None:
    torch.manual_seed(0)
    network = build(1, (16, 16), conditions=3).eval()
    image, labels = torch.rand(1, 1, 16, 16).expand(3, -1, -1, -1), torch.eye(3)
    vectors = network.vector(image, labels)
    assert vectors.shape == (3, network.width)
    assert not torch.allclose(vectors[0], vectors[1]) and not torch.allclose(vectors[1], vectors[2])
    assert torch.allclose(vectors[1:2], network.vector(image[1:2], labels[1:2]), atol=1e-5)


@pytest.mark.parametrize("build", BOTH)
def test_what_they_refuse(build: Any) -> None:
    with pytest.raises(RecipeError, match="one vector a picture and no maps; take another"):
        build(1, (16, 16), form="maps")
    with pytest.raises(RecipeError, match="'timm' cannot be had"):
        build(1, (16, 16), pretrained="timm")
    with pytest.raises(ValueError, match=r"pictures of 1x16x15 .*: this network was built for 1x16x16"):
        build(1, (16, 16)).vector(torch.rand(2, 1, 16, 15))
    assert "nobody publishes" in build(1, (16, 16), pretrained="prefer").weights


def test_convolutions_need_a_stage() -> None:
    with pytest.raises(RecipeError, match="no stages; expected the channels of at least one"):
        Conv(1, (16, 16), widths=())


def test_dropout_is_for_training_alone() -> None:
    network, image = Dense(1, (8, 8), dropout=0.5), torch.rand(4, 1, 8, 8)
    assert not torch.equal(network.vector(image), network.vector(image))
    network.eval()
    assert torch.equal(network.vector(image), network.vector(image))


def test_pixels_may_stay_as_they_are() -> None:
    network, image = Dense(1, (4, 4), hidden=(), normalize=False), torch.rand(2, 1, 4, 4)
    assert torch.equal(network.vector(image), image.flatten(1))


def test_options_are_a_recipes() -> None:
    assert set(registry.options("backbones", "dense")) == {"hidden", "dropout", "normalize"}
    assert set(registry.options("backbones", "conv")) == {"widths"}
