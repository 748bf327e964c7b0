"""Denoising: its contract, that it needs clean pictures, and how it is compared with what needs no training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from contracts_task import check_task
from scipy import ndimage
from torch import Tensor

from tasks.test_autoencoder import examples
from zoo import registry
from zoo.backbones.unet import UNet
from zoo.errors import DataError, RecipeError
from zoo.heads import decoders
from zoo.losses import reconstruction as losses
from zoo.metrics.reconstruction import per_picture
from zoo.spec import DataSpec
from zoo.tasks import simpler
from zoo.tasks.denoising import Denoising
from zoo.tasks.restoring import NETWORK, beside
from zoo.tasks.task import Embeds, Examples, Reconstructs, Segments

SIDE = 20


def task(channels: int = 1, **options: Any) -> Denoising:
    torch.manual_seed(0)
    return Denoising(DataSpec(channels, (SIDE, SIDE), truth="none"), UNet(channels=channels, width=4), **options)


def batch(channels: int = 1, size: int = 6, sigma: float = 0.2) -> dict[str, Any]:
    """Smooth pictures under noise."""
    generator = torch.Generator().manual_seed(1)
    clean = F.interpolate(torch.rand(size, channels, 4, 4, generator=generator), (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    image = (clean + sigma * torch.randn(clean.shape, generator=generator)).clamp(0, 1)
    fields = {"image": (image * 255).round() / 255, "clean": (clean * 255).round() / 255}
    return fields | {"index": torch.arange(size), "path": [f"{number}.png" for number in range(size)]}


@pytest.mark.parametrize("residual", [True, False])
def test_the_contract(residual: bool) -> None:
    check_task(task(residual=residual), batch())


def test_without_clean_pictures_it_says_what_to_set() -> None:
    net, data = task(), batch()
    with pytest.raises(RecipeError, match=r"nothing spoils these: set data.corrupt, such as data.corrupt=\[\{name: noise"):
        net.losses({"image": data["image"]}, "model")
    with torch.inference_mode():
        assert list(net.eval().predict({"image": data["image"]})) == ["reconstruction"]


def test_names_are_those_of_the_decoders() -> None:
    assert get_args(registry.options("tasks", "denoising")["decoder"].type) == get_args(decoders.Name)


@pytest.mark.parametrize("name", ["mse", "l1", "ssim"])
def test_every_loss_is_the_one_of_its_name_and_sees_what_is_not_clamped(name: Any) -> None:
    net, data = task(3, loss=name).eval(), batch(3)
    net.decoder.head.weight.data.mul_(20)
    with torch.inference_mode():
        restored = net.restored(data["image"])
        assert restored.min() < -0.1 and restored.max() > 1.1
        assert torch.equal(net.losses(data, "model")["loss"], losses.build(name)(restored, data["clean"]))
        said = net.predict(data)
    assert torch.equal(said["reconstruction"], restored.clamp(0, 1))
    assert torch.equal(said["mse"], per_picture(restored.clamp(0, 1), data["clean"])["mse"])


def test_a_residual_is_subtracted() -> None:
    data = batch()
    for residual in (True, False):
        net = task(residual=residual).eval()
        net.decoder.head.load_state_dict({"weight": torch.zeros_like(net.decoder.head.weight), "bias": torch.tensor([0.25])})
        with torch.inference_mode():
            expected = data["image"] - 0.25 if residual else torch.full_like(data["image"], 0.25)
            assert torch.allclose(net.restored(data["image"]), expected)


def test_pyramids_and_any_size() -> None:
    pyramid = registry.load("backbones", "test_resnet")("test_resnet", form="maps")
    with pytest.raises(ValueError, match="decoder 'none' cannot read"):
        Denoising(DataSpec(3, (64, 64)), pyramid)
    net = Denoising(DataSpec(3, (97, 70)), pyramid, "unet").eval()
    with torch.inference_mode():
        assert net.reconstruct(torch.rand(2, 3, 97, 70)).shape == (2, 3, 97, 70)
    assert isinstance(net, Reconstructs) and not isinstance(net, Segments | Embeds)


def test_the_overlay_is_the_restored_picture() -> None:
    net, data = task(3), batch(3)
    fields, said = examples(net, data, data).again(0)
    shown = net.overlay(np.zeros((SIDE, SIDE, 3), np.uint8), fields, said)
    assert np.abs(shown / 255 - said["reconstruction"].permute(1, 2, 0).numpy()).max() <= 0.5 / 255 + 1e-6


def test_figures_show_spoilt_restored_and_clean_beside_a_blur(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.figures import pairs

    drawn: dict[str, Any] = {}
    monkeypatch.setattr(pairs, "pair_gallery", lambda columns, rows: drawn.update(columns=columns, rows=rows))
    net, data, training = task(), batch(), batch(size=12)
    sigma = simpler.best_sigma(training["image"], training["clean"])
    assert list(net.figures(examples(net, data, training))) == ["restored"]
    assert drawn["columns"] == ["spoilt", "denoised", "clean", f"blur {sigma:g} px"]
    row = drawn["rows"][0]
    number = int(row.name.split(": ")[1].removesuffix(".png"))
    for shown, expected in ((row.pictures[0], data["image"]), (row.pictures[2], data["clean"]), (row.pictures[3], None)):
        picture = simpler.blur(data["image"], sigma)[number] if expected is None else expected[number]
        assert np.abs(shown[:, :, 0] / 255 - picture[0].numpy()).max() < 0.004


def scored(kept: Examples, psnr: float) -> Examples:
    """As if the network had this PSNR on every picture."""
    values = list(vars(kept).values())
    return Examples(values[0], {**kept.predictions, "psnr": torch.full_like(kept.predictions["psnr"], psnr)}, *values[2:])


def test_the_table_says_who_wins() -> None:
    net, data, training = task(), batch(), batch(size=12)
    kept = examples(net, data, training)
    table = net.tables(kept)["simpler"]
    ways = {str(row[0]): row for row in table.rows}
    sigma = simpler.best_sigma(training["image"], training["clean"])
    blurred = f"Gaussian blur, sigma {sigma:g} px"
    assert list(ways) == [NETWORK, blurred, "median filter, 3x3", "median filter, 5x5", "nothing done"]
    place = list(table.header).index("psnr")
    for way, said in ((blurred, simpler.blur(data["image"], sigma)), ("nothing done", data["image"])):
        assert ways[way][place] == pytest.approx(float(per_picture(said, data["clean"])["psnr"].mean()), rel=1e-5)
    assert ways[NETWORK][place] == pytest.approx(float(kept.metrics["psnr"]))
    lost, won = (net.tables(scored(kept, psnr))["simpler"].caption for psnr in (1.0, 60.0))
    assert lost.startswith(f"{blurred} is better than the network: ") and "against 1.00 dB, place 5 of 5" in lost
    assert won.startswith(f"The network is the best of 5 ways: 60.00 dB, then {blurred}, ")


def scipy_on(pictures: Tensor, way: Any) -> Tensor:
    return torch.tensor(np.stack([[way(plane) for plane in picture] for picture in pictures.numpy()]))


def test_blur_and_median_are_those_of_scipy() -> None:
    image = batch(3, size=2)["image"].double()
    for side in (3, 5):
        mirrored = scipy_on(image, lambda plane, side=side: ndimage.median_filter(plane, side, mode="mirror"))
        assert torch.equal(simpler.median(image, side), mirrored)
    inside = (..., slice(8, -8), slice(8, -8))
    blurred = scipy_on(image, lambda plane: ndimage.gaussian_filter(plane, 1.2, truncate=6))
    assert torch.allclose(simpler.blur(image, 1.2)[inside], blurred[inside], atol=1e-6)
    flat = torch.full((1, 1, 9, 6), 0.3)
    assert torch.allclose(simpler.blur(flat, 2.5), flat)


def test_the_best_blur_is_the_best_and_grows_with_the_noise() -> None:
    found: Mapping[float, float] = {}
    for noise in (0.05, 0.2, 0.4):
        data = batch(sigma=noise)
        best = simpler.best_sigma(data["image"], data["clean"])
        errors = {sigma: float((simpler.blur(data["image"], sigma) - data["clean"]).square().mean()) for sigma in simpler.SIGMAS}
        assert errors[best] == min(errors.values())
        found = {**found, noise: best}
    assert found[0.05] < found[0.2] < found[0.4]


def test_components_are_orthonormal_and_no_more_than_there_are() -> None:
    data = batch(size=5)
    fitted = simpler.components(data["clean"], 100)
    assert len(fitted.axes) == 4
    assert torch.allclose(fitted.axes @ fitted.axes.T, torch.eye(4), atol=1e-4)
    assert torch.allclose(fitted.reconstruct(data["clean"]), data["clean"], atol=1e-3)  # of the pictures themselves, nothing is lost


def test_measuring_without_clean_pictures_says_what_is_missing() -> None:
    net, data = task().eval(), {key: value for key, value in batch().items() if key != "clean"}
    with torch.inference_mode(), pytest.raises(DataError, match=r"`\w+` cannot be measured"):
        net.metrics().update(net.predict(data), data)


def test_a_network_that_diverged_is_not_the_best() -> None:
    values = {NETWORK: {"psnr": torch.tensor([float("nan")])}, "blur": {"psnr": torch.tensor([20.0])}}
    assert beside(values, "psnr", "").caption.startswith("Blur is better than the network: 20.00 dB against nan dB, place 2 of 2")
