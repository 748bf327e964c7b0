"""Blur, exposure and size: what stands out of a set is told, and nothing where all is alike."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from zoo.datasets import quality


def picture(seed: int, side: int = 64, low: int = 60, high: int = 200) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(low, high, (side, side, 3), np.uint8))


def test_what_stands_out_is_told_by_kind() -> None:
    usual = [picture(seed, 60 + seed % 5, 55 + seed % 7, 195 + seed % 9) for seed in range(30)]
    odd = [picture(40).filter(ImageFilter.GaussianBlur(4)), picture(41, low=0, high=20), picture(42, low=235, high=255), picture(43, 8)]
    found = quality.outliers([quality.quality(each) for each in usual + odd])
    kinds = {each.number: [other.kind for other in found if other.number == each.number] for each in found}
    assert "blurred" in kinds[30] and "dark" in kinds[31] and "bright" in kinds[32] and "small" in kinds[33]
    assert not set(range(30)) & set(kinds)
    assert [abs(each.score) for each in found] == sorted((abs(each.score) for each in found), reverse=True)


def test_shapes_are_told_apart_sharp_ones_stay_and_unreadable_ones_shift_nothing() -> None:
    usual = [quality.Quality(1000.0 + step, 1 + step / 100, 50.0 + step, 100.0 + step) for step in range(20)]
    odd = [usual[10]._replace(aspect=9.0), usual[10]._replace(aspect=0.1), usual[10]._replace(sharpness=1e9)]
    assert {(each.number, each.kind) for each in quality.outliers([None, *usual, *odd])} == {(21, "wide"), (22, "tall")}


def test_the_size_of_a_picture_says_nothing_of_its_sharpness() -> None:
    small = picture(0, 32).resize((256, 256), Image.Resampling.BICUBIC)
    large = picture(0, 32).resize((1024, 1024), Image.Resampling.BICUBIC)
    assert quality.quality(large).sharpness == pytest.approx(quality.quality(small).sharpness, rel=0.3)


def test_equal_pictures_do_not_stand_out() -> None:
    assert quality.outliers([quality.quality(picture(0))] * 9 + [None]) == []
    assert quality.outliers([]) == [] and quality.outliers([None]) == []


def test_the_numbers_are_what_they_are_called() -> None:
    one = quality.quality(Image.new("L", (200, 100), 77))
    assert one == quality.Quality(20000, 2.0, 0.0, 77.0)
    assert quality.quality(Image.new("L", (1, 1), 5)).sharpness == 0
    line = np.zeros((3, 4), np.uint8)
    line[1, 1] = 10
    assert quality.quality(Image.fromarray(line)).sharpness == pytest.approx(np.var([-40, 10]))


def test_the_robust_score_by_hand() -> None:
    assert quality.robust(np.array([1.0, 2, 3, 4, 100]), 0.1).tolist() == pytest.approx([-1.349, -0.6745, 0, 0.6745, 65.4265])


def test_among_equal_pictures_only_a_clear_difference_stands_out() -> None:
    assert quality.robust(np.array([5.0, 5, 5, 5, 5.9, 6, 4]), 1.0).tolist() == pytest.approx([0, 0, 0, 0, 3.15, 3.5, -3.5])
    sizes = [quality.quality(picture(seed, side)) for seed, side in enumerate([64] * 9 + [60, 20])]
    assert [(each.number, each.kind) for each in quality.outliers(sizes) if each.kind in ("small", "large")] == [(10, "small")]
