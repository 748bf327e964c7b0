"""VAE: its contract, its losses in nats, the bound against Monte Carlo, noise that belongs to a picture, samples, figures and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from contracts_task import check_task
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal

from zoo.backbones.conv import Conv
from zoo.backbones.dense import Dense
from zoo.errors import RecipeError
from zoo.losses import elbo
from zoo.spec import DataSpec
from zoo.tasks.task import Decodes, Embeds, Examples, Reconstructs, Samples, Task
from zoo.tasks.vae import SHEET, VAE

SIDE = 8


def task(channels: int = 1, **options: Any) -> VAE:
    torch.manual_seed(0)
    options = {"latent": 3} | options
    return VAE(DataSpec(channels, (SIDE, SIDE)), Dense(channels, (SIDE, SIDE), hidden=(16,)), **options)


def batch(size: int = 6, channels: int = 1) -> dict[str, Any]:
    """Pixels of 0 and 1."""
    image = torch.rand(size, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).round()
    return {"image": image, "index": torch.arange(size), "path": [f"{n}.png" for n in range(size)]}


def examples(net: Task, data: Mapping[str, Any]) -> Examples:
    """What an evaluation keeps."""
    metrics = net.eval().metrics()
    with torch.inference_mode():
        said = net.predict(data)
    metrics.update(said, data)
    bytes_ = (data["image"] * 255).byte()

    def again(row: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
        fields = {key: value[row] for key, value in data.items()} | {"image": bytes_[row]}
        return fields, {key: value[row] for key, value in said.items()}

    def picture(row: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return bytes_[row].permute(1, 2, 0).numpy()

    def training(most: int) -> tuple[Tensor, Mapping[str, Any]]:
        return bytes_[:most], {}

    truth = {key: value for key, value in data.items() if key != "image"}
    return Examples(truth, said, picture, metrics.compute(), net.details(metrics), again, training)


@pytest.mark.parametrize("options", [{}, {"likelihood": "gaussian", "beta": 0.5, "warmup": 3}], ids=["bernoulli", "gaussian"])
def test_the_contract(options: dict[str, Any]) -> None:
    check_task(task(channels=3, **options), batch(channels=3))


def test_it_goes_with_convolutions_and_their_batch_statistics() -> None:
    torch.manual_seed(0)
    net = VAE(DataSpec(1, (SIDE, SIDE)), Conv(1, (SIDE, SIDE), widths=(4, 8)), latent=3)
    check_task(net, batch())
    assert net.train().coupling() == ["batch normalisation"] and not task().train().coupling()


def test_what_it_can_do() -> None:
    net = task()
    assert isinstance(net, Embeds) and isinstance(net, Decodes) and isinstance(net, Reconstructs) and isinstance(net, Samples)
    assert net.form == "vector" and net.truth is None and not net.conditional and net.main == "elbo"


@pytest.mark.parametrize(("likelihood", "std"), [("bernoulli", 0.1), ("gaussian", 0.3)])
def test_losses_are_those_of_the_paper_in_nats(likelihood: str, std: float) -> None:
    net, data = task(likelihood=likelihood, std=std, beta=0.7), batch()
    torch.manual_seed(5)
    losses = net.losses(data, "model")
    torch.manual_seed(5)
    mean, log_variance = net.posterior(data["image"])
    q = Normal(mean, (log_variance / 2).exp())
    code = mean + q.stddev * torch.randn(mean.shape)
    pixels = Bernoulli(logits=net.logits(code)) if likelihood == "bernoulli" else Normal(net.decode(code), std)
    nll = -Independent(pixels, 3).log_prob(data["image"]).mean()
    kl = torch.distributions.kl_divergence(q, Normal(0.0, 1.0)).sum(1).mean()
    assert torch.allclose(losses["nll"], nll) and torch.allclose(losses["kl"], kl)
    assert torch.allclose(losses["loss"], nll + 0.7 * kl)


def test_the_elbo_is_what_draws_say() -> None:
    """log p(x|z) + log p(z) - log q(z|x), with torch's own densities, over many draws."""
    net, data = task().eval(), batch(2)
    torch.manual_seed(0)
    with torch.inference_mode():
        many = {"image": data["image"].repeat(20_000, 1, 1, 1), "index": torch.arange(40_000)}
        said = net.predict(many)["elbo"].view(-1, 2)
        mean, log_variance = net.posterior(data["image"])
        q = Normal(mean, (log_variance / 2).exp())
        code = q.sample((20_000,))
        likelihood = Independent(Bernoulli(logits=net.logits(code.flatten(0, 1))), 3).log_prob(many["image"]).view(-1, 2)
        drawn = likelihood + (Normal(0.0, 1.0).log_prob(code) - q.log_prob(code)).sum(-1)
    error = math.sqrt(2 / len(drawn)) * drawn.std(0)
    assert ((said.mean(0) - drawn.mean(0)).abs() < 4 * error).all()
    assert error.max() < 0.05


def test_the_bound_is_above_the_elbo() -> None:
    net, data = task().eval(), batch(50)
    net.head.mean.weight.data.mul_(10)  # a posterior far from the truth
    torch.manual_seed(0)
    with torch.inference_mode():
        one, many = (net.bound(data["image"], samples) for samples in (1, 200))
        single = net.predict(data)["elbo"]
    assert one.shape == many.shape == (50,)
    assert one.mean() == pytest.approx(float(single.mean()), abs=3 * float(one.std()) / math.sqrt(50))
    assert (many > one).float().mean() > 0.9 and many.mean() > one.mean() + 0.5


def test_measuring_does_not_depend_on_the_batch_or_the_random_state() -> None:
    net, data = task().eval(), batch()
    torch.manual_seed(0)
    with torch.inference_mode():
        whole = net.predict(data)
        part = net.predict({key: value[2:4] for key, value in data.items()})
        blind = net.predict({"image": data["image"]})
    for key in ("elbo", "nll", "kl"):
        assert torch.allclose(whole[key][2:4], part[key])
    assert torch.equal(whole["elbo"], -whole["nll"] - whole["kl"])
    assert set(blind) == {"codes", "log_variance", "reconstruction"}, "without an index there is no noise of one's own"


def test_codes_and_pictures() -> None:
    net, image = task().eval(), batch()["image"]
    with torch.inference_mode():
        said = net.predict({"image": image})
        assert torch.equal(net.embed(image), said["codes"]) and said["codes"].shape == (6, 3)
        assert torch.equal(net.reconstruct(image), said["reconstruction"])
        assert torch.equal(net.decode(said["codes"]), said["reconstruction"])
    assert said["reconstruction"].shape == image.shape and 0 < said["reconstruction"].min() <= said["reconstruction"].max() < 1


def test_samples_are_decoded_normal_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    net, asked = task().eval(), []
    monkeypatch.setattr(net, "decode", lambda code: asked.append(code) or torch.zeros(len(code), 1, SIDE, SIDE))
    assert net.sample(5000).shape == (5000, 1, SIDE, SIDE)
    code = asked[0]
    assert code.min() < -1 and abs(code.mean()) < 0.05 and abs(code.std() - 1) < 0.05
    with pytest.raises(RecipeError, match=r"label=3: a vae knows no labels; .*task.name=cvae"):
        net.sample(1, label=3)


def test_the_weight_of_the_kl_warms_up() -> None:
    net, data = task(beta=2.0, warmup=4), batch()
    for epoch, weight in ((0, 0.0), (2, 1.0), (4, 2.0), (9, 2.0)):
        net.start_epoch(epoch)
        losses = net.losses(data, "model")
        assert torch.allclose(losses["loss"], losses["nll"] + weight * losses["kl"])


def test_figures_and_tables() -> None:
    net = task()
    kept = examples(net, batch(12))
    state = torch.random.get_rng_state()
    drawings, tables = net.figures(kept), net.tables(kept)
    assert torch.equal(state, torch.random.get_rng_state()), "drawing touched training's random numbers"
    assert list(drawings) == ["reconstructions", "generated", "dimensions"]
    assert "active" in drawings["dimensions"].caption and len(tables["dimensions"].rows) == 3
    (one, pictures, single), (many, _, bound) = tables["bounds"].rows
    assert (one, pictures, many) == ("ELBO, 1 sample", 12, "importance-weighted, 100 samples")
    assert single == pytest.approx(float(kept.metrics["elbo"])) and bound > single
    torch.manual_seed(7)
    assert net.tables(kept)["bounds"].rows == tables["bounds"].rows, "other numbers the second time"


def test_a_code_of_two_numbers_is_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.figures import digits

    drawn: dict[str, Any] = {}
    monkeypatch.setattr(digits, "code_plane", lambda rows, values: drawn.update(rows=rows, values=values))
    monkeypatch.setattr(digits, "sample_sheet", lambda pictures: drawn.update(samples=pictures))
    net = task(latent=2)
    kept = examples(net, batch())
    assert list(net.figures(kept)) == ["reconstructions", "generated", "plane", "dimensions"]
    assert list(net.figures(replace(kept, part="test"))) == ["reconstructions", "dimensions"], "these are of the model: once is enough"
    values = torch.from_numpy(drawn["values"])
    assert torch.allclose(Normal(0.0, 1.0).cdf(values), (torch.arange(15) + 0.5) / 15)
    for row, column in ((0, 14), (14, 0), (3, 9)):  # the second number rises upwards, the first to the right
        code = torch.stack([values[column], values[14 - row]])[None]
        expected = (net.decode(code)[0, 0] * 255).round().byte()
        assert (torch.from_numpy(drawn["rows"][row][column])[..., 0].int() - expected.int()).abs().max() <= 1
    assert len(drawn["samples"]) == SHEET


def test_options_out_of_range() -> None:
    with pytest.raises(ValueError, match="std"):
        task(likelihood="gaussian", std=0.0)
    assert elbo.likelihood("bernoulli") is task().nll


def test_spoilt_pictures_are_refused() -> None:
    net, data = task(), batch()
    with pytest.raises(RecipeError, match=r"leave data\.corrupt out, or take task\.name=autoencoder"):
        net.losses({**data, "clean": data["image"]}, "model")
