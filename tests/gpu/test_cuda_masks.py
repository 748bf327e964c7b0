"""Segmentation on a CUDA device: losses that wait for nothing and are repeatable, networks in 16-bit floats."""

from __future__ import annotations

import pytest
import torch

from zoo import registry
from zoo.losses import segmentation as losses
from zoo.spec import DataSpec
from zoo.tasks.segmentation import Segmentation

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device")


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("name", losses.NAMES)
def test_no_loss_waits_for_the_device(name: str, classes: int) -> None:
    logits = torch.randn(4, classes, 32, 40, device="cuda", requires_grad=True)
    mask = torch.randint(0, max(2, classes), (4, 32, 40), device="cuda")
    loss = losses.build(name)
    loss(logits, mask).backward()  # kernels are loaded, which does wait
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss(logits, mask).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", losses.NAMES)
def test_every_loss_is_that_of_the_cpu(name: str) -> None:
    torch.manual_seed(0)
    logits, mask = torch.randn(4, 3, 32, 40), torch.randint(0, 3, (4, 32, 40))
    mask[0, :5] = losses.IGNORE
    loss = losses.build(name)
    torch.testing.assert_close(loss(logits.cuda(), mask.cuda()).cpu(), loss(logits, mask), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["segnet", "unet", "unet_strided", "unet_dilated"])
def test_networks_train_in_16_bits(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    net = Segmentation(DataSpec(3, (64, 64), ("a", "b"), truth="mask"), registry.load("backbones", name)(width=8)).cuda()
    batch = {"image": torch.rand(2, 3, 64, 64, device="cuda"), "mask": torch.randint(0, 2, (2, 64, 64), device="cuda")}
    with torch.autocast("cuda", dtype):
        loss = net.losses(batch, "model")["loss"]
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in net.parameters())
