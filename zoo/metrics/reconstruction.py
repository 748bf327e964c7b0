"""How alike two pictures are: mean squared error, PSNR and SSIM of each, and their means over pictures.

All are computed in float64, whatever a network computes in: SSIM's variances are small differences of large numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from torchmetrics import Metric

NAMES = ("mse", "psnr", "ssim")

LEAST = 1e-10
"""The mean squared error from which PSNR no longer rises: equal pictures have 100 dB, and a mean over pictures stays finite."""

WINDOW = 11
"""Of SSIM, in pixels."""


def per_picture(said: Tensor, target: Tensor) -> dict[str, Tensor]:
    """`mse`, `psnr` and `ssim` of each picture of a batch, for a task's predictions.

    Args:
        said: (B, C, H, W); what lies outside of [0, 1] counts as 0 or 1, as no picture can show it.
        target: (B, C, H, W) in [0, 1].

    Returns:
        Each (B,) float64.
    """
    said, target = said.double().clamp(0, 1), target.double()
    error = mse(said, target)
    return {"mse": error, "psnr": psnr(error), "ssim": ssim(said, target)}


def means() -> dict[str, Metric]:
    """Metrics `mse`, `psnr` and `ssim`: the means over pictures of what `per_picture` gives under these names."""
    from zoo.metrics.mean import Mean  # here, so that predicting does not need torchmetrics

    return {name: Mean(name) for name in NAMES}


def mse(said: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over channels and pixels: two (B, C, H, W) -> (B,)."""
    return (said - target).square().flatten(1).mean(1)


def psnr(mse: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in decibels, for a range of 1, of mean squared errors: 100 dB at most."""
    return -10 * mse.clamp_min(LEAST).log10()


def ssim(said: Tensor, target: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861, eq. 13) for a range of 1: two (B, C, H, W) -> (B,).

    The paper's Gaussian window (11 pixels, sigma 1.5) at all places within the picture, the mean over places and channels; the largest
    odd window that fits where a side is below 11. Both float64: the function does not convert.
    """
    from kornia.metrics import ssim as similarity  # takes a second to import

    most = min(WINDOW, *said.shape[2:])
    return similarity(said, target, most - (most % 2 == 0), padding="valid").flatten(1).mean(1)
