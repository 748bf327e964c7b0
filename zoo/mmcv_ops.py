"""Operators of mmcv by torchvision, where mmcv is installed without its compiled module `mmcv._ext` (as mmcv-lite).

The compiled module does not build against today's torch, and one-stage detectors reach few of its operators. Those are here, under the
names and arguments by which mmcv's Python calls them; every other says that it is missing when it is called. Where the compiled module
is installed, nothing of this is used.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torchvision import ops

from zoo.errors import ZooError

NAME = "mmcv._ext"


def provide() -> None:
    """Puts this where mmcv looks for its compiled module, unless that is installed or mmcv is not; imports neither.

    To be called in every process before mmcv.ops is imported; once more does nothing.
    """
    package = importlib.util.find_spec("mmcv")
    if package is None or NAME in sys.modules or PathFinder.find_spec(NAME, package.submodule_search_locations) is not None:
        return
    module = ModuleType(NAME, __doc__)
    module.__spec__ = ModuleSpec(NAME, loader=None)  # MMEngine asks for the loader to learn whether mmcv is compiled: it is not
    for operator in OPERATORS:
        setattr(module, operator.__name__, operator)
    module.__dict__["__getattr__"] = _missing
    sys.modules[NAME] = module


def _missing(name: str) -> Callable[..., None]:
    """Stands for an operator that is not here: mmcv asks for all of them when it is imported, and calls few."""
    if name.startswith("__"):  # what Python itself asks of a module
        raise AttributeError(name)

    def operator(*_: Any, **__: Any) -> None:
        raise ZooError(
            f"mmcv's operator {name!r} is needed and not there: of its compiled module zoo stands in for "
            f"{', '.join(each.__name__ for each in OPERATORS)} only; take another config of mmdet, or install an mmcv that is compiled"
        )

    return operator


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes (N, 4) that no better one overlaps by more than the threshold, the best first.

    Args:
        boxes: left, top, right, bottom.
        scores: (N,).
        iou_threshold: of intersection over union.
        offset: 0, or 1 where right and bottom are the last pixels inside, so that a box is right - left + 1 wide.
    """
    kept: Tensor = ops.nms(boxes + boxes.new_tensor((0, 0, offset, offset)), scores, iou_threshold)
    return kept


def modulated_deform_conv_forward(
    input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor, mask: Tensor, output: Tensor, columns: Tensor, **how: int
) -> None:
    """Modulated deformable convolution (Zhu et al. 2019, arXiv:1811.11168) into `output`; see `_convolved`."""
    output.copy_(_convolved(input, weight, bias, offset, mask, how))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    **how: int,
) -> None:
    """Its gradients, into `grad_...`."""
    leaves = [each.detach().requires_grad_() for each in (input, weight, bias, offset, mask)]
    input, weight, bias, offset, mask = leaves
    with torch.enable_grad():
        output = _convolved(input, weight, bias, offset, mask, how)
    found = torch.autograd.grad(output, leaves, grad_output, allow_unused=True)  # the bias, where there is none
    for into, gradient in zip((grad_input, grad_weight, grad_bias, grad_offset, grad_mask), found, strict=True):
        if gradient is not None:
            into.copy_(gradient)


def _convolved(input: Tensor, weight: Tensor, bias: Tensor, offset: Tensor, mask: Tensor, how: dict[str, int]) -> Tensor:
    """The convolution, (B, O, H', W').

    Args:
        input: (B, C, H, W).
        weight: (O, C / groups, k, l).
        bias: (O,), unused without `with_bias`.
        offset: (B, 2 G k l, H', W'), down and right by turns for each of the kernel's cells, for each of G parts of the channels.
        mask: (B, G k l, H', W'), factors.
        how: `stride_h`, `stride_w`, and so on of `pad` and `dilation`; `with_bias`.
    """
    stride, padding, dilation = ((how[f"{name}_h"], how[f"{name}_w"]) for name in ("stride", "pad", "dilation"))
    result: Tensor = ops.deform_conv2d(input, offset, weight, bias if how["with_bias"] else None, stride, padding, dilation, mask)
    return result


def sigmoid_focal_loss_forward(input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float) -> None:
    """Focal loss (Lin et al. 2017, arXiv:1708.02002) of each logit into `output`; mmdet calls it on a GPU only.

    Args:
        input: (N, C) logits.
        target: (N,) classes; C is background.
        weight: of the classes; empty, since mmdet weights elsewhere.
        output: (N, C).
        gamma: how much the loss of what is right already shrinks.
        alpha: weight of the true class; 1 - alpha of the others.
    """
    output.copy_(_focal(input, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float) -> None:
    """The derivative of each loss by its logit, into `grad_input`."""
    logits = input.detach().requires_grad_()
    with torch.enable_grad():
        total = _focal(logits, target, weight, gamma, alpha).sum()
    grad_input.copy_(torch.autograd.grad(total, logits)[0])


def _focal(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    if weight.numel():
        raise ZooError("mmcv's operator 'sigmoid_focal_loss' is asked for with weights of classes, which zoo's stand-in does not know")
    true = target[:, None] == torch.arange(logits.shape[1], device=target.device)
    losses: Tensor = ops.sigmoid_focal_loss(logits, true.to(logits.dtype), alpha, gamma)
    return losses


OPERATORS: tuple[Callable[..., Any], ...] = (
    nms,
    modulated_deform_conv_forward,
    modulated_deform_conv_backward,
    sigmoid_focal_loss_forward,
    sigmoid_focal_loss_backward,
)
