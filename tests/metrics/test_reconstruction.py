"""PSNR and SSIM of each picture against formulas in plain Python and torchmetrics' own."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
import torch
from losses.test_reconstruction import pictures, ssim_by_loops, ssim_of_torchmetrics
from torchmetrics.functional.image import peak_signal_noise_ratio

from zoo.losses import reconstruction as losses
from zoo.metrics import reconstruction
from zoo.metrics.reconstruction import means, per_picture


@pytest.mark.parametrize(("shape", "window"), [((2, 3, 12, 13), 11), ((2, 1, 6, 9), 5)], ids=str)
def test_each_picture_by_the_formulas(shape: tuple[int, ...], window: int) -> None:
    said, target = pictures(*shape)
    found = per_picture(said, target)
    for number in range(len(said)):
        apart = (said[number].double() - target[number].double()).flatten().tolist()
        mse = math.fsum(d * d for d in apart) / len(apart)
        assert float(found["mse"][number]) == pytest.approx(mse, rel=1e-12)
        assert float(found["psnr"][number]) == pytest.approx(10 * math.log10(1 / mse), rel=1e-12)
        assert float(found["ssim"][number]) == pytest.approx(ssim_by_loops(said[number], target[number], window), rel=1e-9)


def test_they_are_those_of_torchmetrics() -> None:
    said, target = pictures(4, 3, 30, 41)
    found = per_picture(said, target)
    psnr = peak_signal_noise_ratio(said, target, data_range=1.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(found["psnr"].float(), psnr, atol=1e-4, rtol=0)
    torch.testing.assert_close(found["ssim"].float(), ssim_of_torchmetrics(said, target), atol=1e-5, rtol=0)


@pytest.mark.parametrize("side", [4, 11, 40])
def test_loss_and_metric_are_one_ssim(side: int) -> None:
    """Written twice, since losses and metrics may not import one another."""
    said, target = (picture.double() for picture in pictures(3, 1, side, side))
    torch.testing.assert_close(1 - losses.ssim(said, target, "none"), reconstruction.ssim(said, target))


def test_equal_pictures_are_perfect_and_finite() -> None:
    _, target = pictures(2, 1, 16, 16)
    found = per_picture(target, target)
    assert found["mse"].tolist() == [0, 0] and found["psnr"].tolist() == [100, 100]
    assert found["ssim"].tolist() == pytest.approx([1, 1])


def test_what_no_picture_can_show_is_not_counted() -> None:
    said, target = torch.full((1, 1, 16, 16), 1.7), torch.ones(1, 1, 16, 16)
    assert float(per_picture(said, target)["mse"]) == 0
    assert float(per_picture(-said, 0 * target)["mse"]) == 0


def test_means_over_pictures_however_they_are_batched() -> None:
    said, target = pictures(6, 1, 16, 16)
    said[0] = target[0]
    found = per_picture(said, target)
    for name, metric in means().items():
        metric.update({name: found[name][:5]}, {})
        metric.update({name: found[name][5:]}, {})
        assert float(metric.compute()) == pytest.approx(float(found[name].mean()))
    assert float(found["psnr"].mean()) != pytest.approx(float(reconstruction.psnr(found["mse"].mean())), abs=0.1)  # not of the mean error


def test_measuring_a_picture_needs_no_torchmetrics() -> None:
    """It is done where a model is served, too."""
    tree = ast.parse(Path(reconstruction.__file__).read_text())
    assert not any("torchmetrics" in ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
