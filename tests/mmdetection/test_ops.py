"""The stand-in for mmcv's compiled operators against plain loops, called through mmcv's own Python."""

from __future__ import annotations

import subprocess
import sys
from importlib import invalidate_caches
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from zoo import mmcv_ops
from zoo.errors import ZooError

pytest.importorskip("mmcv.utils", reason="pip install 'zoo[mmdet]'")
mmcv_ops.provide()

from mmcv import ops  # noqa: E402  # the stand-in comes first


def naive_nms(boxes: Tensor, scores: Tensor, threshold: float, offset: int) -> list[int]:
    kept: list[int] = []
    for row in scores.argsort(descending=True).tolist():
        left, top, right, bottom = boxes[row].tolist()
        for other in kept:
            a, b, c, d = boxes[other].tolist()
            width, height = min(right, c) - max(left, a) + offset, min(bottom, d) - max(top, b) + offset
            common = max(width, 0) * max(height, 0)
            areas = (right - left + offset) * (bottom - top + offset) + (c - a + offset) * (d - b + offset)
            if common > threshold * (areas - common):
                break
        else:
            kept.append(row)
    return kept


@pytest.mark.parametrize("offset", [0, 1])
def test_nms_keeps_what_a_plain_loop_keeps(offset: int) -> None:
    generator = torch.Generator().manual_seed(offset)
    corners = torch.rand(120, 2, generator=generator).double() * 20
    boxes = torch.cat((corners, corners + 1 + torch.rand(120, 2, generator=generator).double() * 8), 1)
    scores = torch.randperm(120, generator=generator).double() / 120
    for threshold in (0.1, 0.5, 0.9):
        found, indices = ops.nms(boxes, scores, threshold, offset=offset)
        assert indices.tolist() == naive_nms(boxes, scores, threshold, offset)
        assert torch.equal(found, torch.cat((boxes, scores[:, None]), 1)[indices])
    assert naive_nms(boxes, scores, 0.5, 0) != naive_nms(boxes, scores, 0.5, 1), "the offset makes no difference here"


def test_nms_of_nothing_is_nothing() -> None:
    assert ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)[1].tolist() == []


def at(picture: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The value between pixels; outside it is 0."""
    total = picture.new_zeros(())
    for row in (int(y.floor()), int(y.floor()) + 1):
        for column in (int(x.floor()), int(x.floor()) + 1):
            if 0 <= row < picture.shape[0] and 0 <= column < picture.shape[1]:
                total = total + picture[row, column] * (1 - (y - row).abs()) * (1 - (x - column).abs())
    return total


def naive_deform(
    input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, dilation: int, groups: int
) -> Tensor:
    """Modulated deformable convolution, one multiplication after the other; `groups` of both kinds."""
    outputs, inside, size = weight.shape[0], weight.shape[1], weight.shape[2]
    parts = offset.shape[1] // (2 * size * size)
    rows, columns = offset.shape[2:]
    sums = []
    for b in range(len(input)):
        for o in range(outputs):
            for i in range(rows):
                for j in range(columns):
                    total = input.new_zeros(()) if bias is None else bias[o]
                    for c in range(inside):
                        channel = o // (outputs // groups) * inside + c
                        part = channel // (input.shape[1] // parts)
                        for cell in range(size * size):
                            place = part * size * size + cell
                            y = i * stride - padding + cell // size * dilation + offset[b, 2 * place, i, j]
                            x = j * stride - padding + cell % size * dilation + offset[b, 2 * place + 1, i, j]
                            total = total + weight[o, c].flatten()[cell] * mask[b, place, i, j] * at(input[b, channel], y, x)
                    sums.append(total)
    return torch.stack(sums).view(len(input), outputs, rows, columns)


@pytest.mark.parametrize(
    ("size", "stride", "padding", "dilation", "groups", "parts", "biased"),
    [(3, 1, 1, 1, 1, 1, True), (2, 2, 0, 1, 2, 1, False), (2, 1, 1, 2, 1, 2, True)],
)
def test_deformable_convolution_and_all_gradients_equal_the_sums(
    size: int, stride: int, padding: int, dilation: int, groups: int, parts: int, biased: bool
) -> None:
    generator = torch.Generator().manual_seed(size)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    side = (3 + 2 * padding - dilation * (size - 1) - 1) // stride + 1
    input, weight = drawn(2, 2, 3, 3), drawn(2, 2 // groups, size, size)
    offset, mask = drawn(2, 2 * parts * size * size, side, side), drawn(2, parts * size * size, side, side)
    bias = drawn(2) if biased else None
    leaves = [each for each in (input, offset, mask, weight, bias) if each is not None]
    found = ops.modulated_deform_conv2d(input, offset, mask, weight, bias, stride, padding, dilation, groups, parts)
    expected = naive_deform(input, offset, mask, weight, bias, stride, padding, dilation, groups)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    upstream = torch.randn(found.shape, generator=generator, dtype=torch.float64)
    for ours, theirs in zip(torch.autograd.grad(found, leaves, upstream), torch.autograd.grad(expected, leaves, upstream), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-11)


def test_focal_loss_and_its_gradient_are_those_of_the_formula() -> None:
    logits = torch.linspace(-4, 4, 15, dtype=torch.float64).view(5, 3).requires_grad_()
    target = torch.tensor([0, 1, 2, 3, 3])  # 3 is background
    found = ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, None, "none")
    p = logits.sigmoid()
    true = torch.nn.functional.one_hot(target, 4)[:, :3].bool()
    expected = torch.where(true, -0.25 * (1 - p) ** 2 * p.log(), -0.75 * p**2 * (1 - p).log())
    assert torch.allclose(found, expected, rtol=1e-12)
    ours, theirs = (torch.autograd.grad(each.sum(), logits)[0] for each in (found, expected))
    assert torch.allclose(ours, theirs, rtol=1e-10)


def test_another_operator_says_its_name() -> None:
    with pytest.raises(ZooError, match=r"'roi_align_forward' is needed and not there: .* nms, modulated_deform_conv_forward.*take another"):
        ops.roi_align(torch.zeros(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 2, 2]]), 2)


def test_mmengine_still_knows_that_mmcv_is_not_compiled() -> None:
    from mmengine.utils.dl_utils.misc import mmcv_full_available

    assert not mmcv_full_available()
    assert not hasattr(sys.modules[mmcv_ops.NAME], "__file__")


def test_it_steps_aside_for_a_compiled_mmcv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleSpec("mmcv", None, is_package=True)
    package.submodule_search_locations = [str(tmp_path)]
    mmcv = ModuleType("mmcv")
    mmcv.__spec__ = package
    monkeypatch.setitem(sys.modules, "mmcv", mmcv)
    monkeypatch.delitem(sys.modules, mmcv_ops.NAME)
    (tmp_path / f"_ext{EXTENSION_SUFFIXES[0]}").touch()
    mmcv_ops.provide()
    assert mmcv_ops.NAME not in sys.modules
    (tmp_path / f"_ext{EXTENSION_SUFFIXES[0]}").unlink()
    invalidate_caches()
    mmcv_ops.provide()
    assert sys.modules[mmcv_ops.NAME].nms is mmcv_ops.nms


def test_a_spawned_process_that_is_handed_a_task_has_it() -> None:
    """The task's module, which unpickling imports first, puts it in place."""
    code = (
        "import sys, zoo.tasks.mmdet; print('mmdet' in sys.modules, 'mmcv' in sys.modules); from mmcv.ops import nms; print(nms.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split() == ["False", "False", "nms"], done.stderr
