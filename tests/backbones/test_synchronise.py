"""Batch statistics of several processes: the network stays what it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.backbones.timm import TimmBackbone, synchronise


@pytest.mark.parametrize("name", ["mobilenetv2_100", "efficientnet_b0", "resnet18"])
def test_only_the_statistics_change(name: str) -> None:
    torch.manual_seed(0)
    net = TimmBackbone(name, pretrained=False, size=(64, 64))
    net.eval()
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before = net.vector(image)
        keys = list(net.state_dict())
        weights = [id(weight) for weight in net.parameters()]
        synchronise(net)
        assert torch.equal(net.vector(image), before)
    assert list(net.state_dict()) == keys
    assert [id(weight) for weight in net.parameters()] == weights, "optimisers keep the weights they know"
    assert any(isinstance(module, nn.SyncBatchNorm) for module in net.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) and not isinstance(module, nn.SyncBatchNorm) for module in net.modules())
