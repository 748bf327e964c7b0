"""What a trained task costs: its weights, and the work and the time of a prediction for one picture."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.datasets.loaders import to_device

if TYPE_CHECKING:
    from zoo.datasets.loaders import Loaders
    from zoo.tasks.task import Task

ROUNDS = 7


def prediction_cost(task: Task, data: Loaders) -> dict[str, Any]:
    """`parameters`, `macs` (absent where none is counted) and `milliseconds` of a prediction for the first picture of val."""
    device = next(task.parameters()).device
    batch = to_device(next(iter(data.evaluation("val"))), device)
    given = {name: batch[name][:1] for name in (("image", "label") if task.conditional else ("image",))}
    macs = multiply_accumulates(task, given)
    return (
        {"parameters": sum(weight.numel() for weight in task.parameters())}
        | ({"macs": macs} if macs else {})
        | {"milliseconds": round(1000 * latency(task, given), 3)}
    )


@torch.no_grad()  # in inference mode torch's counter fails on weights that are computed from others, as by spectral_norm
def multiply_accumulates(task: Task, given: Mapping[str, Tensor]) -> int:
    """Multiply-accumulates of `task.predict(given)`: those of convolutions, matrix products and attention.

    What works on each number by itself (activations, normalisation, pooling, resizing) is not counted, as is usual; 0 for a task of
    nothing else.

    Args:
        task: in evaluation mode.
        given: a batch of one picture, on the task's device.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        task.predict(dict(given))
    flops: int = counter.get_total_flops()
    return flops // 2  # it counts a multiplication and an addition as two


@torch.inference_mode()
def latency(task: Task, given: Mapping[str, Tensor]) -> float:
    """Seconds that `task.predict(given)` takes: the median of seven, after two to warm up.

    Args:
        task: in evaluation mode.
        given: a batch of one picture, on the task's device.
    """
    taken = []
    for _ in range(ROUNDS + 2):
        begun = time.perf_counter()
        for said in task.predict(dict(given)).values():
            said.cpu()  # what a caller would wait for
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[2:])
