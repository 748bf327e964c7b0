"""What a prediction costs, on networks whose work is known."""

from __future__ import annotations

import torch
from small import task
from torch.nn.utils.parametrizations import spectral_norm

from zoo.cost import latency, multiply_accumulates


def test_the_work_of_a_convolution_and_a_linear_layer() -> None:
    net = task().eval()
    picture = {"image": torch.rand(1, 3, 8, 8)}
    weights = net.backbone.net[0].weight
    assert weights.shape == (6, 3, 3, 3)
    assert multiply_accumulates(net, picture) == 8 * 8 * weights.numel() + 6 * 3
    assert multiply_accumulates(net, {"image": torch.rand(2, 3, 8, 8)}) == 2 * (8 * 8 * weights.numel() + 6 * 3)
    assert latency(net, picture) > 0


def test_the_work_of_a_network_whose_weights_are_normalised() -> None:
    net, picture = task().eval(), {"image": torch.rand(1, 3, 8, 8)}
    convolution = net.backbone.net[0]
    plain = multiply_accumulates(net, picture)
    spectral_norm(convolution)
    assert plain <= multiply_accumulates(net, picture) <= plain + 2 * convolution.weight.numel(), "dividing the weights may be counted"
    assert convolution.parametrizations.weight.original.requires_grad
