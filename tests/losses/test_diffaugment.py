"""Differentiable augmentation: what is drawn, by hand; that gradients pass; that each picture draws its own."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from zoo.losses.diffaugment import Policy, diffaugment

ALL: tuple[Policy, ...] = ("color", "translation", "cutout")


def pictures(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def numbered(count: int, channels: int, height: int, width: int) -> Tensor:
    """Pictures whose every cell holds another number, none of them 0, the middle of the range."""
    return (torch.arange(channels * height * width) + 1.0).view(1, channels, height, width).repeat(count, 1, 1, 1)


# --------------------------------------------------------------------------------------------------------- translation


def shifted_by_hand(image: Tensor, down: int, right: int) -> Tensor:
    expected = torch.zeros_like(image)
    for y, x in itertools.product(range(image.shape[1]), range(image.shape[2])):
        if 0 <= y - down < image.shape[1] and 0 <= x - right < image.shape[2]:
            expected[:, y, x] = image[:, y - down, x - right]
    return expected


def test_pictures_are_shifted_by_whole_cells_each_by_its_own() -> None:
    torch.manual_seed(0)
    image = numbered(300, 2, 16, 8)
    found = diffaugment(image, ["translation"])
    shifts = []
    for before, after in zip(image, found, strict=True):
        y, x = (int(place) for place in (after[0] == before[0, 8, 4]).nonzero()[0])
        shifts.append((y - 8, x - 4))
        assert torch.equal(after, shifted_by_hand(before, *shifts[-1]))
    assert set(shifts) == set(itertools.product(range(-2, 3), range(-1, 2))), "an eighth of either side, and no more"
    counts = [shifts.count(shift) for shift in set(shifts)]
    assert min(counts) > 5 and max(counts) < 40, "all are equally likely: 20 of each"


def test_shifted_pictures_show_the_middle_of_the_range() -> None:
    torch.manual_seed(1)
    found = diffaugment(torch.full((50, 1, 8, 8), 3.0), ["translation"], low=1.0, high=2.0)
    assert found.unique().tolist() == [1.5, 3.0]


def test_the_gradient_of_a_shift_is_the_shift_back() -> None:
    torch.manual_seed(0)
    image = numbered(20, 1, 8, 16).requires_grad_()
    weight = pictures(20, 1, 8, 16).float()
    found = diffaugment(image, ["translation"])
    (found * weight).sum().backward()
    for before, after, slope, way in zip(image.detach(), found.detach(), image.grad, weight, strict=True):
        for y, x in itertools.product(range(8), range(16)):
            places = (after[0] == before[0, y, x]).nonzero()
            assert slope[0, y, x] == (way[0][tuple(places[0])] if len(places) else 0), "cells that were shifted out teach nothing"


# -------------------------------------------------------------------------------------------------------------- cutout


def test_a_box_of_half_the_sides_is_cut_out_around_any_cell() -> None:
    torch.manual_seed(0)
    image = numbered(2000, 2, 8, 6)
    found = diffaugment(image, ["cutout"])
    gone = found == 0
    assert torch.equal(found[~gone], image[~gone]) and torch.equal(gone[:, 0], gone[:, 1])
    boxes = set()
    for each in gone[:, 0]:
        rows, columns = each.any(1).nonzero().flatten().tolist(), each.any(0).nonzero().flatten().tolist()
        assert rows == list(range(rows[0], rows[-1] + 1)) and columns == list(range(columns[0], columns[-1] + 1))
        assert int(each.sum()) == len(rows) * len(columns)
        boxes.add((rows[0], len(rows), columns[0], len(columns)))
    by_hand = [{(max(0, begin), min(side, begin + box) - max(0, begin)) for begin in begins} for side, box, begins in SIDES]
    assert boxes == {(*row, *column) for row, column in itertools.product(*by_hand)}


SIDES = ((8, 4, range(-2, 7)), (6, 3, range(-1, 5)))
"""Side, box and where it may begin: an even box's centre lies between cells, at 9 places of 8 cells."""


def test_boxes_show_the_middle_of_the_range() -> None:
    torch.manual_seed(0)
    found = diffaugment(torch.full((9, 1, 8, 8), 3.0), ["cutout"], low=0.0, high=5.0)
    assert found.unique().tolist() == [2.5, 3.0]


# --------------------------------------------------------------------------------------------------------------- color


def test_brightness_moves_all_alike() -> None:
    torch.manual_seed(0)
    image = torch.full((4000, 3, 2, 2), 0.25)  # of one grey, which saturation and contrast leave
    for low, high, most in ((-1.0, 1.0, 0.5), (0.0, 1.0, 0.25)):
        moved = diffaugment(image, ["color"], low, high).flatten(1) - 0.25
        assert torch.allclose(moved, moved[:, :1].expand_as(moved), atol=1e-6)
        moved = moved[:, 0]
        assert -most <= moved.min() < -0.97 * most and 0.97 * most < moved.max() <= most + 1e-6
        assert abs(moved.mean().item()) < 0.03 * most and moved.std().item() == pytest.approx(most * 3**-0.5, rel=0.05)


def test_contrast_and_saturation_stretch_about_their_means() -> None:
    torch.manual_seed(0)
    image = pictures(1, 3, 4, 4).repeat(4000, 1, 1, 1)
    found = diffaugment(image, ["color"])
    grey, grey_found = image.mean(1), found.mean(1)
    contrast = ((grey_found - grey_found.mean((1, 2), keepdim=True)) / (grey - grey.mean((1, 2), keepdim=True))).flatten(1)
    both = ((found - grey_found[:, None]) / (image - grey[:, None])).flatten(1)
    for factor in (contrast, both):
        assert torch.allclose(factor, factor[:, :1].expand_as(factor), atol=1e-6)
    saturation = both[:, 0] / contrast[:, 0]
    for factor, low, high in ((contrast[:, 0], 0.5, 1.5), (saturation, 0.0, 2.0)):
        assert low - 1e-9 <= factor.min() < low + 0.01 and high - 0.01 < factor.max() <= high + 1e-9
        assert factor.mean().item() == pytest.approx(1, abs=0.05)
        assert factor.std().item() == pytest.approx((high - low) * 12**-0.5, rel=0.05)
    brightness = found.mean((1, 2, 3)) - image.mean((1, 2, 3))
    drawn = torch.corrcoef(torch.stack((brightness, contrast[:, 0], saturation)))
    assert (drawn - torch.eye(3)).abs().max() < 0.06, "the three are drawn apart"


def test_one_channel_has_no_saturation() -> None:
    torch.manual_seed(0)
    image = pictures(200, 1, 4, 4)
    found = diffaugment(image, ["color"])
    factor = found.flatten(1).std(1) / image.flatten(1).std(1)
    assert factor.min() >= 0.5 and factor.max() <= 1.5


# ------------------------------------------------------------------------------------------------------- all of them


@pytest.mark.parametrize("policy", [("color",), ("translation",), ("cutout",), ALL])
def test_gradients_and_their_gradients_are_those_of_differences(policy: tuple[Policy, ...]) -> None:
    image = pictures(2, 2, 4, 3).requires_grad_()

    def changed(image: Tensor) -> Tensor:
        torch.manual_seed(2)
        return diffaugment(image, policy)

    assert not torch.equal(changed(image), image)
    assert torch.autograd.gradcheck(changed, image) and torch.autograd.gradgradcheck(changed, image)


def test_the_range_of_the_pictures_changes_only_the_units() -> None:
    image = pictures(6, 3, 16, 16)
    found = []
    for low, high in ((-1.0, 1.0), (0.0, 1.0), (-3.0, 7.0)):
        torch.manual_seed(0)
        units = (image + 1) / 2 * (high - low) + low
        found.append((diffaugment(units, ALL, low, high) - low) / (high - low) * 2 - 1)
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], found[2])
    torch.manual_seed(0)
    torch.testing.assert_close(diffaugment(image, ALL), found[0], msg="the range is that of tanh if none is given")


def test_steps_follow_each_other_in_the_policys_order() -> None:
    image = pictures(4, 3, 16, 16)
    for policy in itertools.permutations(ALL):
        torch.manual_seed(0)
        found = diffaugment(image, policy)
        torch.manual_seed(0)
        expected = image
        for step in policy:
            expected = diffaugment(expected, [step])
        assert torch.equal(found, expected)


def test_each_picture_draws_its_own() -> None:
    torch.manual_seed(0)
    for step in ALL:
        found = diffaugment(pictures(1, 3, 32, 32).repeat(12, 1, 1, 1), [step])
        different = [not torch.equal(one, other) for one, other in itertools.combinations(found, 2)]
        assert sum(different) > len(different) - 6, step


def test_it_draws_from_the_global_generator() -> None:
    image = pictures(8, 3, 16, 16)
    for policy in (*((step,) for step in ALL), ALL):
        torch.manual_seed(5)
        one, state = diffaugment(image, policy), torch.get_rng_state()
        other = diffaugment(image, policy)
        torch.manual_seed(5)
        assert not torch.equal(state, torch.get_rng_state())
        assert torch.equal(one, diffaugment(image, policy)) and torch.equal(state, torch.get_rng_state())
        assert not torch.equal(one, other)


def test_nothing_asked_for_is_nothing_done() -> None:
    image, state = pictures(2, 3, 4, 4), torch.get_rng_state()
    assert diffaugment(image, ()) is image and torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("shape", [(2, 1, 1, 1), (2, 5, 3, 2), (0, 3, 8, 8), (1, 3, 7, 9)])
def test_any_size_and_type_stays_what_it_is(shape: tuple[int, ...]) -> None:
    for kind in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
        image = pictures(*shape).to(kind)
        before = image.clone()
        found = diffaugment(image, ALL)
        assert found.shape == shape and found.dtype == kind and found.isfinite().all()
        assert torch.equal(image, before), "the pictures given are left alone"


def test_no_value_is_read_back_from_the_device() -> None:
    """A device without values refuses to be read."""
    found = diffaugment(torch.zeros(4, 3, 16, 16, device="meta"), ALL)
    assert found.is_meta and found.shape == (4, 3, 16, 16)


def test_steps_and_ranges_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="policy 'flip': expected 'color', 'translation' or 'cutout'"):
        diffaugment(pictures(1, 3, 4, 4), ["flip"])
    for low, high in ((1.0, -1.0), (1.0, 1.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match=r"a range from .* expected the lower one first"):
            diffaugment(pictures(1, 3, 4, 4), (), low, high)
