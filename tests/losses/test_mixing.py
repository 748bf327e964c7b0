"""Mixup and CutMix: labels in exactly the shares of the pictures."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.losses.mixing import mix

CLASSES = 5


def plain(size: int = 6, side: tuple[int, int] = (16, 12)) -> tuple[Tensor, Tensor]:
    """Picture n is n everywhere, so that its part in a mixture can be counted; its label is n too."""
    label = torch.arange(size) % CLASSES
    return label.float().view(-1, 1, 1, 1).expand(size, 3, *side).contiguous(), label


@pytest.mark.parametrize("seed", range(20))
def test_mixup_mixes_labels_as_pictures(seed: int) -> None:
    torch.manual_seed(seed)
    image, label = plain()
    mixed, soft = mix(image, label, CLASSES, mixup=0.4, cutmix=0.0)
    assert torch.allclose(mixed[:, 0, 0, 0], soft @ torch.arange(CLASSES).float(), atol=1e-5)
    assert torch.allclose(soft.sum(1), torch.ones(len(soft)))
    assert (soft >= 0).all()
    assert (soft > 0).sum(1).max() <= 2


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("side", [(16, 12), (7, 7), (1, 1), (2, 9)])
def test_cutmix_counts_its_pixels(seed: int, side: tuple[int, int]) -> None:
    torch.manual_seed(seed)
    image, label = plain(side=side)
    mixed, soft = mix(image, label, CLASSES, mixup=0.0, cutmix=1.0)
    for row in range(len(mixed)):
        pixels = mixed[row, 0].flatten().long()
        assert torch.allclose(F.one_hot(pixels, CLASSES).float().mean(0), soft[row], atol=1e-6)
        assert torch.equal(mixed[row, 0], mixed[row, 2]), "all channels are cut alike"


def test_the_input_is_left_as_it_was() -> None:
    image, label = plain()
    before = image.clone(), label.clone()
    for mixup, cutmix in ((1.0, 0.0), (0.0, 1.0)):
        mix(image, label, CLASSES, mixup, cutmix)
    assert torch.equal(image, before[0]) and torch.equal(label, before[1])


def test_both_are_drawn_in_equal_shares_and_repeatably() -> None:
    image, label = plain()
    torch.manual_seed(0)
    cut = sum(bool((mix(image, label, CLASSES, 0.4, 1.0)[0] % 1 == 0).all()) for _ in range(300))
    assert 100 < cut < 200
    results = []
    for _ in range(2):
        torch.manual_seed(1)
        results.append(mix(image, label, CLASSES, 0.4, 1.0))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("alpha", [1e-6, 1e-3, 0.1, 1.0, 100.0])
def test_any_alpha_gives_numbers(alpha: float) -> None:
    image, label = plain()
    torch.manual_seed(0)
    for _ in range(50):
        for mixup, cutmix in ((alpha, 0.0), (0.0, alpha)):
            mixed, soft = mix(image, label, CLASSES, mixup, cutmix)
            assert mixed.isfinite().all() and soft.isfinite().all()


def test_a_batch_of_one_stays_itself() -> None:
    image, label = plain(1)
    mixed, soft = mix(image, label, CLASSES, 1.0, 1.0)
    assert torch.equal(mixed, image)
    assert soft.tolist() == [[1.0, 0, 0, 0, 0]]


def test_half_floats_keep_exact_labels() -> None:
    image, label = plain()
    torch.manual_seed(0)
    _, soft = mix(image.half(), label, CLASSES, 0.4, 0.0)
    assert soft.dtype == torch.float32
    assert torch.allclose(soft.sum(1), torch.ones(len(soft)))
