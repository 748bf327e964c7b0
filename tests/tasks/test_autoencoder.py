"""Autoencoder: its contract, what it compares with, figures, and tables that say who wins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from contracts_task import check_task
from torch import Tensor

from zoo.backbones.backbone import Backbone
from zoo.backbones.conv import Conv
from zoo.backbones.dense import Dense
from zoo.losses import reconstruction as losses
from zoo.spec import DataSpec
from zoo.tasks.autoencoder import Autoencoder
from zoo.tasks.restoring import NETWORK
from zoo.tasks.task import Decodes, Embeds, Examples, Reconstructs, Samples, Task

SIDE = 14


def task(channels: int = 1, labels: tuple[str, ...] = (), backbone: type[Any] = Dense, **options: Any) -> Autoencoder:
    torch.manual_seed(0)
    size = (SIDE, SIDE)
    network: Backbone = backbone(channels, size, hidden=(12,)) if backbone is Dense else backbone(channels, size, widths=(4, 6))
    return Autoencoder(DataSpec(channels, size, labels, groups="person", truth="none"), network, **({"code": 3} | options))


def batch(channels: int = 1, size: int = 6, spoilt: bool = False) -> dict[str, Any]:
    """Gradients of several directions and strengths: they vary in three numbers."""
    generator = torch.Generator().manual_seed(1)
    down, along = torch.meshgrid(torch.linspace(-1, 1, SIDE), torch.linspace(-1, 1, SIDE), indexing="ij")
    numbers = torch.rand(size, 3, 1, 1, generator=generator) - 0.5
    pictures = 0.5 + 0.4 * (numbers[:, 0] * down + numbers[:, 1] * along) + 0.2 * numbers[:, 2]
    clean = (pictures[:, None].expand(-1, channels, -1, -1) * 255).round() / 255
    fields: dict[str, Any] = {"image": clean.contiguous()}
    if spoilt:
        noisy = (clean + 0.1 * torch.randn(clean.shape, generator=generator)).clamp(0, 1)
        fields = {"image": (noisy * 255).round() / 255, "clean": clean}
    people = [f"person {number % 3}" for number in range(size)]
    return fields | {"index": torch.arange(size), "path": [f"faces/{number}.png" for number in range(size)], "group": people}


def examples(net: Task, data: Mapping[str, Any], training: Mapping[str, Any]) -> Examples:
    """What an evaluation keeps."""
    metrics = net.eval().metrics()
    with torch.inference_mode():
        said = net.predict(data)
    metrics.update(said, data)
    stored = {key: (value * 255).round().byte() if key in ("image", "clean") else value for key, value in data.items()}
    seen = {key: (value * 255).round().byte() if key in ("image", "clean") else value for key, value in training.items()}

    def again(row: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {key: value[row] for key, value in stored.items()}, {key: value[row] for key, value in said.items()}

    def picture(row: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        found: np.ndarray[Any, np.dtype[np.uint8]] = stored["image"][row].permute(1, 2, 0).numpy()
        return found

    def some(most: int) -> tuple[Tensor, Mapping[str, Any]]:
        return seen["image"][:most], {key: value[:most] for key, value in seen.items() if key != "image"}

    kept = {key: value for key, value in said.items() if value[0].numel() < 150}
    truth = {key: value for key, value in data.items() if key not in ("image", "clean")}
    return Examples(truth, kept, picture, metrics.compute(), net.details(metrics), again, some)


@pytest.mark.parametrize("backbone", [Dense, Conv])
@pytest.mark.parametrize("spoilt", [False, True])
def test_the_contract(backbone: type[Backbone], spoilt: bool) -> None:
    check_task(task(backbone=backbone), batch(spoilt=spoilt))


@pytest.mark.parametrize("name", ["mse", "l1", "ssim"])
def test_every_loss_is_the_one_of_its_name(name: Any) -> None:
    net, data = task(3, loss=name), batch(3)
    expected = losses.build(name)(net.reconstruct(data["image"]), data["image"])
    assert torch.equal(net.losses(data, "model")["loss"], expected)
    said = net.eval().predict(data)
    assert float(said["losses"].mean().detach()) == pytest.approx(float(expected.detach()), rel=1e-4)


def test_it_gives_back_the_clean_picture_where_there_is_one() -> None:
    net, data = task().eval(), batch(spoilt=True)
    with torch.inference_mode():
        spoilt, said = net.losses(data, "model")["loss"], net.predict(data)
        assert spoilt == losses.mse(net.reconstruct(data["image"]), data["clean"])
    assert torch.allclose(said["mse"].float(), losses.mse(said["reconstruction"], data["clean"], "none"))
    assert not torch.allclose(said["mse"].float(), losses.mse(said["reconstruction"], data["image"], "none"))


def test_abilities_agree() -> None:
    net, data = task(3, backbone=Conv).eval(), batch(3)
    assert isinstance(net, Embeds) and isinstance(net, Decodes) and isinstance(net, Reconstructs) and not isinstance(net, Samples)
    with torch.inference_mode():
        codes, said = net.embed(data["image"]), net.predict(data)
        assert codes.shape == (6, 3) and torch.equal(codes, said["codes"])
        assert torch.equal(net.decode(codes), said["reconstruction"]) and torch.equal(net.reconstruct(data["image"]), net.decode(codes))
        far = net.decode(1000 * torch.randn(4, 3))
    assert far.shape == (4, 3, SIDE, SIDE) and float(far.min()) >= 0 and float(far.max()) <= 1


def test_any_backbone_with_a_vector_will_do() -> None:
    from zoo.backbones.squeezenet import SqueezeNet

    net = Autoencoder(DataSpec(3, (40, 33)), SqueezeNet(), code=4).eval()
    with torch.inference_mode():
        assert net.reconstruct(torch.rand(2, 3, 40, 33)).shape == (2, 3, 40, 33)


def test_metrics_are_means_over_pictures_and_of_what_codes_find() -> None:
    net, data = task().eval(), batch()
    found = examples(net, data, data)
    assert set(found.metrics) == {"mse", "psnr", "ssim", "loss", "recall_at_1", "retrieval_map"}
    assert float(found.metrics["mse"]) == pytest.approx(float(found.predictions["mse"].mean()))
    alone = Autoencoder(DataSpec(1, (SIDE, SIDE)), Dense(1, (SIDE, SIDE)), code=2)
    assert set(alone.metrics().keys()) == {"mse", "psnr", "ssim", "loss"}


def test_the_overlay_is_the_reconstruction() -> None:
    net, data = task(3), batch(3)
    fields, said = examples(net, data, data).again(0)
    shown = net.overlay(np.zeros((SIDE, SIDE, 3), np.uint8), fields, said)
    assert shown.shape == (SIDE, SIDE, 3) and shown.dtype == np.uint8
    assert np.abs(shown / 255 - said["reconstruction"].permute(1, 2, 0).numpy()).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("spoilt", [False, True])
def test_figures_show_best_median_and_worst(spoilt: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.figures import pairs

    drawn: dict[str, Any] = {}
    monkeypatch.setattr(pairs, "pair_gallery", lambda columns, rows: drawn.update(columns=columns, rows=rows))
    net, data = task(), batch(size=9, spoilt=spoilt)
    kept = examples(net, data, data)
    assert next(iter(net.figures(kept))) == "reconstructions"
    assert drawn["columns"] == (
        ["spoilt", "reconstruction", "clean"] if spoilt else ["picture", "reconstruction", f"difference x{pairs.AMPLIFIED}"]
    )
    order = kept.predictions["mse"].argsort().tolist()
    words = [row.name.split(": ")[0] for row in drawn["rows"]]
    numbers = [int(row.name.split(": faces/")[1].removesuffix(".png")) for row in drawn["rows"]]
    assert words == ["best", "best", "median", "median", "worst", "worst"]
    assert numbers == [order[0], order[1], order[3], order[4], order[7], order[8]]
    assert all(f"mse {float(kept.predictions['mse'][row]):.4f}" in shown.note for row, shown in zip(numbers, drawn["rows"], strict=True))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_few_pictures_can_be_drawn(size: int) -> None:
    net, data = task(), batch(size=size)
    assert list(net.figures(examples(net, data, batch()))) == ["reconstructions", "samples_fitted", "map", "between", "neighbours"]


def test_where_principal_components_win_the_table_says_so() -> None:
    net, data, training = task(), batch(), batch(size=30)
    table = net.tables(examples(net, data, training))["simpler"]
    ways = {str(row[0]): row for row in table.rows}
    assert list(ways) == [NETWORK, "PCA, 3 components", "mean picture"] and table.header == ("way", "mse", "psnr", "ssim")
    known = training["image"].flatten(1).double()
    axes = torch.linalg.svd(known - known.mean(0), full_matrices=False)[2][:3]
    centred = data["image"].flatten(1).double() - known.mean(0)
    assert ways["PCA, 3 components"][1] == pytest.approx(float((centred - centred @ axes.T @ axes).square().mean()), rel=1e-3, abs=1e-8)
    assert ways["mean picture"][1] == pytest.approx(float(centred.square().mean()), rel=1e-4)
    assert table.caption.startswith("PCA, 3 components is better than the network: mse 0.0000")
    assert "place 3 of 3" in table.caption or "place 2 of 3" in table.caption


def test_where_the_network_wins_the_table_says_so() -> None:
    net, data = task(), batch()
    kept = examples(net, data, batch(size=30))
    perfect = {name: torch.full_like(kept.predictions["mse"], value) for name, value in (("mse", 1e-9), ("psnr", 90), ("ssim", 1))}
    kept = Examples(kept.truth, {**kept.predictions, **perfect}, *list(vars(kept).values())[2:])
    assert net.tables(kept)["simpler"].caption.startswith("The network is the best of 3 ways: mse 0.00000, then PCA, 3 components")


def test_spoilt_pictures_go_through_the_components_of_clean_ones() -> None:
    net, data, training = task(), batch(spoilt=True), batch(size=30, spoilt=True)
    rows = {str(row[0]): row for row in net.tables(examples(net, data, training))["simpler"].rows}
    mean = training["clean"].mean(0)
    assert rows["mean picture"][1] == pytest.approx(float((data["clean"] - mean).square().mean()), rel=1e-3)
    through = rows["PCA, 3 components"][1]
    assert isinstance(through, float) and 1e-6 < through < float((data["image"] - data["clean"]).square().mean())


def test_codes_are_asked_for_pictures_of_the_same_kind() -> None:
    net, data = task(), batch()
    kept = examples(net, data, batch(size=30))
    tables = net.tables(kept)
    assert list(tables) == ["simpler", "retrieval"]
    assert tables["retrieval"].rows[0][2] == pytest.approx(float(kept.metrics["recall_at_1"]))
    without = {key: value for key, value in data.items() if key != "group"}
    assert list(net.tables(examples(net, without, batch(size=30)))) == ["simpler"]


@pytest.mark.parametrize(
    ("precisions", "said"),
    [
        ((0.5, 0.4, 0.3), " The highest mAP is that of ours, 0.500."),
        ((0.5, 0.6, 0.7), " The highest mAP is that of PCA, 0.700, ours have 0.500."),
        ((math.nan, 0.6, 0.7), ""),
        ((math.nan, math.nan, math.nan), ""),
    ],
)
def test_where_codes_find_less_the_table_says_so(
    monkeypatch: pytest.MonkeyPatch, precisions: tuple[float, float, float], said: str
) -> None:
    from zoo.metrics import retrieval

    rows = [(way, 3, 0.9, 0.9, value) for way, value in zip(("ours", "raw pixels", "PCA"), precisions, strict=True)]
    monkeypatch.setattr(retrieval, "retrieval_table", lambda *arguments: rows)
    net = task()
    caption = net.tables(examples(net, batch(), batch(size=30)))["retrieval"].caption
    assert caption.partition("by cosine.")[2] == said
