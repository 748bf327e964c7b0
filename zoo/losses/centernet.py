"""What CenterNet learns: where objects are centred, how large they are, and where in their cell the centre is.

Zhou, Wang & Krähenbühl 2019 (Objects as Points), arXiv:1904.07850, sections 3 and 4.1, in the form that MMDetection 3.3 gives them. All
is computed for the whole batch where it lies, and nothing waits for the device.

Regions of class `IGNORED` teach nothing: in a cell that such a region touches, a probability is not lowered, of whatever class; centres
of objects there are learnt as elsewhere. Rows of class `NONE` are no boxes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED, NONE = -1, -2
"""Classes of boxes that are none, as in the data."""

MOST = 2**24
"""Values that are drawn at once: 64 MiB."""


class Targets(NamedTuple):
    """What the maps should say.

    Attributes:
        heat: (B, labels, H, W) in [0, 1]: 1 in the cell of an object's centre, around it a Gaussian; the highest where several meet.
        ignored: (B, H, W) bool, cells that an ignored region touches.
        cell: (B, M) int64, the cell of each box's centre, counted row by row.
        size: (B, M, 2) width and height in cells.
        offset: (B, M, 2) of the centre in its cell, in [0, 1).
        learnt: (B, M) bool, whether size and offset are learnt from the box: of several in one cell from the last.
    """

    heat: Tensor
    ignored: Tensor
    cell: Tensor
    size: Tensor
    offset: Tensor
    learnt: Tensor


@torch.compiler.disable  # type: ignore[untyped-decorator]  # torch leaves it untyped; pictures have ever other numbers of boxes
@torch.no_grad()
def targets(boxes: Tensor, classes: Tensor, shape: tuple[int, int, int], stride: float, min_overlap: float = 0.3) -> Targets:
    """Targets of a batch.

    Args:
        boxes: (B, M, 4) as left, top, right, bottom in pixels; M may be 0.
        classes: (B, M) int64, `IGNORED` and `NONE` among them.
        shape: labels, height and width of the heat map.
        stride: pixels per cell.
        min_overlap: see `radius`.
    """
    boxes, (_, height, width) = boxes.float() / stride, shape
    size = boxes[..., 2:] - boxes[..., :2]
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    column, row = centre[..., 0].long().clamp(0, width - 1), centre[..., 1].long().clamp(0, height - 1)
    across, down = size.clamp_min(0).unbind(2)  # rows that are no boxes may hold anything
    heat = _drawn(column, row, radius(across, down, min_overlap), classes, shape)
    cell = row * width + column
    offset = centre - torch.stack((column, row), 2)
    return Targets(heat, _touched(boxes, classes == IGNORED, height, width), cell, size, offset, _last(cell, classes >= 0, height * width))


def radius(width: Tensor, height: Tensor, min_overlap: float) -> Tensor:
    """How far corners may be off, in whole cells, so that a box still overlaps with the true one by `min_overlap` (IoU).

    Law & Deng 2018 (CornerNet), arXiv:1808.01244, section 3.2. Their later release and MMDetection take the least of three cases: both
    corners off to the inside, both to the outside, one to either. The first is always the least.

    Args:
        width: of the true boxes, any shape.
        height: of the same boxes.
        min_overlap: in (0, 1).

    Returns:
        The same shape, float, whole numbers from 0 up.
    """
    around = width + height
    inside = (around - (around**2 - 4 * ((1 - min_overlap) * width * height)).sqrt()) / 4
    return inside.clamp_min(0).trunc()


def losses(
    heat: Tensor, size: Tensor, offset: Tensor, target: Targets, size_weight: float = 0.1, offset_weight: float = 1.0
) -> dict[str, Tensor]:
    """Focal loss of the heat map and distances of sizes and offsets, in float32 at least.

    All are divided by the number of centres in the batch (1 if there are none). The logarithms of probabilities are taken from logits:
    MMDetection adds 1e-12 to probabilities and the authors keep them 1e-4 from 0 and 1, beyond which nothing is learnt.

    Args:
        heat: (B, labels, H, W) logits.
        size: (B, 2, H, W) in cells.
        offset: (B, 2, H, W) in cells.
        target: of the same batch.
        size_weight: of the distance of sizes, beside the focal loss.
        offset_weight: of the distance of offsets.

    Returns:
        `heat_loss`, `size_loss` and `offset_loss`, each with its weight, and their sum `loss`; scalars.
    """
    heat, size, offset = (each.to(torch.promote_types(each.dtype, torch.float32)) for each in (heat, size, offset))
    centre = target.heat == 1
    number = centre.sum().clamp_min(1)
    found = {
        "heat_loss": _focal(heat, target.heat, centre, target.ignored) / number,
        "size_loss": size_weight * _distance(size, target.size, target) / number,
        "offset_loss": offset_weight * _distance(offset, target.offset, target) / number,
    }
    return {"loss": torch.stack(list(found.values())).sum(), **found}


def _focal(logits: Tensor, heat: Tensor, centre: Tensor, ignored: Tensor) -> Tensor:
    """Sum of (1 - p)^2 -log(p) at centres and of (1 - heat)^4 p^2 -log(1 - p) elsewhere (equation 1)."""
    wrong = torch.where(centre, -logits, logits)  # the logit of what should not be
    weight = torch.where(centre, 1, (1 - heat) ** 4 * ~ignored[:, None])
    return (weight * wrong.sigmoid() ** 2 * F.softplus(wrong)).sum()


def _distance(maps: Tensor, wanted: Tensor, target: Targets) -> Tensor:
    """Sum over the learnt boxes of the mean distance of two numbers."""
    said = maps.flatten(2).gather(2, target.cell[:, None].expand(-1, 2, -1)).mT
    return ((said - wanted).abs() * target.learnt[..., None]).sum() / 2


def _drawn(column: Tensor, row: Tensor, reach: Tensor, classes: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Gaussians of all boxes on a heat map, the highest where several meet: each (B, M) -> (B, labels, H, W)."""
    (batch, most), (labels, height, width) = classes.shape, shape
    rows = _bell(row, reach, height) * (classes >= 0)[..., None]
    columns = _bell(column, reach, width)
    place = torch.arange(batch, device=classes.device)[:, None] * labels + classes.clamp_min(0)
    heat = rows.new_zeros(batch * labels, height * width)
    step = max(1, MOST // (batch * height * width))
    for first in range(0, most, step):
        some = slice(first, first + step)
        drawn = (rows[:, some, :, None] * columns[:, some, None]).reshape(-1, height * width)
        heat.scatter_reduce_(0, place[:, some].reshape(-1, 1).expand_as(drawn), drawn, "amax")
    return heat.view(batch, *shape)


def _bell(middle: Tensor, reach: Tensor, side: int) -> Tensor:
    """One dimension of Gaussians whose sixth part is a deviation, cut off beyond their reach: (B, M) -> (B, M, side)."""
    distance = torch.arange(side, device=middle.device) - middle[..., None]
    deviation = (2 * reach[..., None] + 1) / 6
    return torch.exp(-(distance**2) / (2 * deviation**2)) * (distance.abs() <= reach[..., None])


def _touched(boxes: Tensor, chosen: Tensor, height: int, width: int) -> Tensor:
    """(B, H, W) bool: the cells that any of the chosen boxes (B, M), in cells, touches."""
    across, down = (torch.arange(side, device=boxes.device) for side in (width, height))
    columns = (across < boxes[..., 2:3]) & (across + 1 > boxes[..., 0:1])
    rows = (down < boxes[..., 3:4]) & (down + 1 > boxes[..., 1:2]) & chosen[..., None]
    return rows.float().mT @ columns.float() > 0


def _last(cell: Tensor, real: Tensor, cells: int) -> Tensor:
    """(B, M) bool: the boxes that are real and have no real one of the same cell behind them."""
    order = torch.where(real, torch.arange(cell.shape[1], device=cell.device), -1)
    highest = order.new_full((len(cell), cells), -1).scatter_reduce_(1, cell, order, "amax")
    return real & (highest.gather(1, cell) == order)
