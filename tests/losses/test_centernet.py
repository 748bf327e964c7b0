"""CenterNet's targets and losses: against loops over boxes and cells, ignored regions, empty pictures, extremes, and no waiting."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.datasets import boxes as data
from zoo.losses import centernet
from zoo.losses.centernet import IGNORED, NONE, Targets, losses, radius, targets

SHAPE = (3, 12, 16)


def batch(most: int = 9, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Boxes in 64x48 pixels, in all classes, ignored and missing ones among them."""
    generator = torch.Generator().manual_seed(seed)
    limit = torch.tensor([64.0, 48.0])
    middle, side = torch.rand(2, most, 2, generator=generator) * limit, 1 + torch.rand(2, most, 2, generator=generator) * 40
    corners = torch.cat(((middle - side / 2).clamp_min(0), torch.minimum(middle + side / 2, limit)), 2)
    return corners, torch.randint(-2, 3, (2, most), generator=generator)


def maps(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    heat, size, offset = (torch.randn(2, channels, *SHAPE[1:], generator=generator) for channels in (3, 2, 2))
    return heat, size, offset


def by_hand(boxes: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Heat map and ignored cells, cell by cell."""
    heat, ignored = torch.zeros(2, *SHAPE), torch.zeros(2, *SHAPE[1:], dtype=torch.bool)
    for picture in range(2):
        for box, label in zip((boxes[picture] / 4).tolist(), classes[picture].tolist(), strict=True):
            x, y = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
            reach = int(radius(torch.tensor(box[2] - box[0]), torch.tensor(box[3] - box[1]), 0.3))
            for row in range(SHAPE[1]):
                for column in range(SHAPE[2]):
                    if label == IGNORED and box[0] < column + 1 and column < box[2] and box[1] < row + 1 and row < box[3]:
                        ignored[picture, row, column] = True
                    if label >= 0 and abs(row - y) <= reach and abs(column - x) <= reach:
                        value = math.exp(-((row - y) ** 2 + (column - x) ** 2) / (2 * ((2 * reach + 1) / 6) ** 2))
                        heat[picture, label, row, column] = max(value, float(heat[picture, label, row, column]))
    return heat, ignored


def test_targets_are_those_of_loops() -> None:
    boxes, classes = batch()
    found = targets(boxes, classes, SHAPE, 4)
    heat, ignored = by_hand(boxes, classes)
    torch.testing.assert_close(found.heat, heat)
    assert torch.equal(found.ignored, ignored) and 0 < ignored.sum() < ignored.numel()
    middle = (boxes[..., :2] + boxes[..., 2:]) / 8
    torch.testing.assert_close(found.size, (boxes[..., 2:] - boxes[..., :2]) / 4)
    torch.testing.assert_close(found.offset, middle - middle.floor())
    assert torch.equal(found.cell, (middle[..., 1].long() * 16 + middle[..., 0].long()))
    real = torch.nonzero(classes >= 0).tolist()
    assert (found.heat == 1).sum() == len({(picture, int(classes[picture, box]), int(found.cell[picture, box])) for picture, box in real})
    assert found.learnt.sum() == len({(picture, int(found.cell[picture, box])) for picture, box in real}) > 5


def test_drawn_in_parts_they_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = targets(*batch(), SHAPE, 4)
    monkeypatch.setattr(centernet, "MOST", 2 * 2 * 12 * 16 + 1)
    assert all(torch.equal(one, other) for one, other in zip(whole, targets(*batch(), SHAPE, 4), strict=True))


def overlap(width: float, height: float, first: float, second: float) -> float:
    """IoU of a box and the one whose two corners are moved outwards by so much (or inwards, if negative), along both axes."""
    inner = (width + min(first, 0) + min(second, 0)) * (height + min(first, 0) + min(second, 0))
    outer = (width + first + second) * (height + first + second)
    return inner / (width * height + outer - inner)


@pytest.mark.parametrize("least", [0.3, 0.7])
@pytest.mark.parametrize(("width", "height"), [(10.0, 10.0), (40.0, 13.0), (5.0, 80.0)])
def test_the_radius_is_the_largest_that_overlaps_enough(width: float, height: float, least: float) -> None:
    reach = float(radius(torch.tensor(width), torch.tensor(height), least))

    def worst(by: float) -> float:
        return min(overlap(width, height, first * by, second * by) for first, second in ((1, -1), (-1, -1), (1, 1)))

    assert worst(reach) >= least > worst(reach + 1)


def test_of_two_centres_in_a_cell_the_last_is_learnt() -> None:
    boxes = torch.tensor([[[8.0, 8, 24, 24], [9, 9, 24, 24], [40, 20, 48, 40], [10, 10, 22, 22]]])
    found = targets(boxes, torch.tensor([[0, 0, 1, NONE]]), SHAPE, 4)
    assert found.learnt.tolist() == [[False, True, True, False]]
    assert (found.heat == 1).sum() == 2
    other = targets(boxes, torch.tensor([[0, 1, 1, NONE]]), SHAPE, 4)  # of two classes: two centres, one size
    assert other.learnt.tolist() == found.learnt.tolist() and (other.heat == 1).sum() == 3


def reference(heat: Tensor, size: Tensor, offset: Tensor, target: Targets) -> tuple[float, float, float]:
    """Equation 1 and the distances as they are written, in float64."""
    chance = heat.double().sigmoid()
    centre = target.heat == 1
    negative = (1 - target.heat.double()) ** 4 * chance**2 * (1 - chance).log()
    negative[target.ignored[:, None].expand_as(negative)] = 0
    focal = -torch.where(centre, (1 - chance) ** 2 * chance.log(), negative).sum()
    found = []
    for said, wanted in ((size, target.size), (offset, target.offset)):
        rows = [
            (said[picture, :, target.cell[picture, box] // 16, target.cell[picture, box] % 16] - wanted[picture, box]).abs().sum()
            for picture, box in torch.nonzero(target.learnt)
        ]
        found.append(float(sum(rows)) / 2)
    number = max(1, int(centre.sum()))
    return float(focal) / number, 0.1 * found[0] / number, found[1] / number


def test_losses_are_those_of_the_paper() -> None:
    target = targets(*batch(), SHAPE, 4)
    found = losses(*maps(), target)
    parts = [float(found[name]) for name in ("heat_loss", "size_loss", "offset_loss")]
    assert parts == pytest.approx(reference(*maps(), target), rel=1e-5)
    assert float(found["loss"]) == pytest.approx(sum(parts))
    doubled = losses(*maps(), target, size_weight=0.2, offset_weight=3.0)
    assert [float(doubled[name]) for name in ("size_loss", "offset_loss")] == pytest.approx([2 * parts[1], 3 * parts[2]])


def test_nothing_is_learnt_from_ignored_regions_but_centres() -> None:
    boxes = torch.tensor([[[8.0, 8, 30, 24], [16, 12, 20, 16], [50, 30, 60, 40]]])
    heat = torch.zeros(1, *SHAPE, requires_grad=True)
    target = targets(boxes, torch.tensor([[IGNORED, 1, 2]]), SHAPE, 4)
    losses(heat, torch.zeros(1, 2, 12, 16), torch.zeros(1, 2, 12, 16), target)["loss"].backward()
    assert heat.grad is not None
    region = torch.zeros(12, 16, dtype=torch.bool)
    region[2:6, 2:8] = True
    assert torch.equal(target.ignored[0], region)
    inside = heat.grad[0].abs() * region
    assert inside[1, 3, 4] > 0 and inside.count_nonzero() == 1
    assert ((heat.grad[0] > 0) == ~region).sum() >= 3 * 12 * 16 - 3 * region.sum() - 2
    assert target.learnt.tolist() == [[False, True, True]]


def test_missing_rows_change_nothing() -> None:
    boxes, classes = batch()
    more = torch.cat((boxes, torch.rand(2, 3, 4) * 40), 1), torch.cat((classes, torch.full((2, 3), NONE)), 1)
    one, other = (losses(*maps(), targets(*each, SHAPE, 4)) for each in ((boxes, classes), more))
    torch.testing.assert_close(one, other)


def test_pictures_without_boxes_teach_what_is_nowhere() -> None:
    made = tuple(each.requires_grad_() for each in maps())
    target = targets(torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.int64), SHAPE, 4)
    found = losses(*made, target)
    assert found["heat_loss"] > 0 and not found["size_loss"] and not found["offset_loss"]
    found["loss"].backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in made)  # every weight takes part, as DDP wants


def test_what_is_surely_wrong_can_still_be_learnt() -> None:
    boxes, classes = torch.tensor([[[8.0, 8, 24, 24]]]), torch.tensor([[0]])
    target = targets(boxes, classes, SHAPE, 4)
    heat = torch.where(target.heat == 1, -60.0, 60.0).requires_grad_()
    found = losses(heat, torch.zeros(1, 2, 12, 16), torch.zeros(1, 2, 12, 16), target)["loss"]
    found.backward()
    assert found.isfinite() and heat.grad is not None
    assert heat.grad[target.heat == 1].item() == pytest.approx(-1) and (heat.grad[target.heat == 0] > 0.9).all()


def test_halves_are_summed_in_float32() -> None:
    target = targets(*batch(), SHAPE, 4)
    halves = tuple(each.bfloat16() for each in maps())
    found = losses(*halves, target)
    assert found["loss"].dtype == torch.float32
    assert torch.equal(found["loss"], losses(*(each.float() for each in halves), target)["loss"])


def test_nothing_waits_for_the_device() -> None:
    """Tensors of the device "meta" have no values: reading one, or taking a path by one, is an error."""
    boxes, classes = (each.to("meta") for each in batch())
    target = targets(boxes, classes, SHAPE, 4)
    found = losses(*(each.to("meta").requires_grad_() for each in maps()), target)
    found["loss"].backward()
    assert found["loss"].device.type == "meta"


def test_compiled_they_are_the_same_for_any_number_of_boxes() -> None:
    """Traced without a compiler behind it, once more for all numbers: after eight times nothing would be compiled any more."""
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    def step(boxes: Tensor, classes: Tensor) -> dict[str, Tensor]:
        return losses(*maps(), targets(boxes, classes, SHAPE, 4))

    compiled: Any = torch.compile(step, backend=backend)
    for most in (4, 7, 9, 12):
        torch.testing.assert_close(compiled(*batch(most)), step(*batch(most)))
    assert len(graphs) == 2, f"{len(graphs)} graphs"


def test_classes_of_no_box_are_those_of_the_data() -> None:
    assert (IGNORED, NONE) == (data.IGNORED, data.NONE)
