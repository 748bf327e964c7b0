"""CVAE: its contract, that encoder and decoder are told the label, samples of a label, figures and tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from contracts_task import check_task
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from tasks.test_vae import SIDE, examples
from tasks.test_vae import batch as unlabelled
from zoo.backbones.conv import Conv
from zoo.backbones.dense import Dense
from zoo.errors import RecipeError
from zoo.spec import DataSpec
from zoo.tasks.cvae import CVAE, LABELS, STYLES
from zoo.tasks.task import Embeds, Samples

DIGITS = ("zero", "one", "two", "three")


def task(labels: tuple[str, ...] = DIGITS, **options: Any) -> CVAE:
    torch.manual_seed(0)
    options = {"latent": 3} | options
    return CVAE(DataSpec(1, (SIDE, SIDE), labels), Dense(1, (SIDE, SIDE), conditions=len(labels), hidden=(16,)), **options)


def batch(size: int = 6, labels: int = 4) -> dict[str, Any]:
    return unlabelled(size) | {"label": torch.arange(size) % labels}


@pytest.mark.parametrize("options", [{}, {"likelihood": "gaussian", "beta": 0.5, "warmup": 3}], ids=["bernoulli", "gaussian"])
def test_the_contract(options: dict[str, Any]) -> None:
    check_task(task(**options), batch())


def test_it_goes_with_convolutions() -> None:
    torch.manual_seed(0)
    check_task(CVAE(DataSpec(1, (SIDE, SIDE), DIGITS), Conv(1, (SIDE, SIDE), conditions=4, widths=(4, 8)), latent=3), batch())


def test_the_sizes_of_the_coursework() -> None:
    """784 pixels and 10 labels to 400 to 20, and back."""
    labels = tuple(map(str, range(10)))
    net = CVAE(DataSpec(1, (28, 28), labels), Dense(1, (28, 28), conditions=10, hidden=(400,)), latent=20)
    shapes = sorted(tuple(weight.shape) for weight in net.parameters() if weight.ndim == 2)
    assert shapes == sorted([(400, 794), (20, 400), (20, 400), (400, 30), (784, 400)])


def test_what_it_is() -> None:
    net = task()
    assert isinstance(net, Samples) and not isinstance(net, Embeds), "a code without its label is half of what was told"
    assert net.conditional and net.truth == "label" and net.main == "elbo"
    with pytest.raises(ValueError, match="no labels"):
        task(labels=())


def test_losses_are_those_of_the_paper_in_nats() -> None:
    net, data = task(beta=0.7), batch()
    torch.manual_seed(5)
    losses = net.losses(data, "model")
    torch.manual_seed(5)
    told = torch.eye(4)[data["label"]]
    mean, log_variance = net.head(net.backbone.vector(data["image"], told))
    q = Normal(mean, (log_variance / 2).exp())
    logits = net.decoder(mean + q.stddev * torch.randn(mean.shape), told)
    nll, kl = -Independent(Bernoulli(logits=logits), 3).log_prob(data["image"]).mean(), kl_divergence(q, Normal(0.0, 1.0)).sum(1).mean()
    for name, expected in (("nll", nll), ("kl", kl), ("loss", nll + 0.7 * kl)):
        assert torch.allclose(losses[name], expected)


def test_both_halves_are_told_the_label() -> None:
    net, data = task().eval(), batch()
    other = data | {"label": (data["label"] + 1) % 4}
    with torch.inference_mode():
        codes = [net.predict(each)["codes"] for each in (data, other)]
        drawn = [net.decode(torch.zeros(6, 3), each["label"]) for each in (data, other)]
        bounds = [net.bound(data["image"], data["label"], samples) for samples in (1, 100)]
    assert not torch.allclose(*codes, atol=1e-3) and not torch.allclose(*drawn, atol=1e-3)
    assert bounds[1].mean() > bounds[0].mean()


def test_the_bound_decodes_each_picture_with_its_label() -> None:
    """Where the decoder reads the label alone and the posterior is the prior, the bound is the likelihood."""
    net, data = task().eval(), batch(8)
    first = net.decoder.steps.get_submodule("0.0.1")
    with torch.inference_mode():
        for weight in net.head.parameters():
            weight.zero_()
        first.weight[:, :3] = 0
        first.weight[:, 3:] *= 20
        expected, bound = -net.predict(data)["nll"], net.bound(data["image"], data["label"], 20)
    assert torch.allclose(bound, expected, atol=1e-3)


def test_predictions_without_label_or_index() -> None:
    net, data = task().eval(), batch()
    with torch.inference_mode():
        whole = net.predict(data)
        for missing in ("label", "index"):
            blind = net.predict({key: value for key, value in data.items() if key != missing})
            assert set(blind) == {"codes", "log_variance", "reconstruction"} < set(whole)
    assert torch.equal(net.reconstruct(data["image"], data["label"]), whole["reconstruction"])
    assert torch.equal(whole["elbo"], -whole["nll"] - whole["kl"])


def test_samples_have_the_label_wished(monkeypatch: pytest.MonkeyPatch) -> None:
    net = task().eval()
    asked: list[tuple[Tensor, Tensor]] = []

    def decode(code: Tensor, label: Tensor) -> Tensor:
        asked.append((code, label))
        return torch.zeros(len(code), 1, SIDE, SIDE)

    monkeypatch.setattr(net, "decode", decode)
    assert net.sample(5, label=2).shape == (5, 1, SIDE, SIDE)
    assert asked[0][1].tolist() == [2] * 5
    torch.manual_seed(0)
    net.sample(4000)
    code, drawn = asked[1]
    assert torch.bincount(drawn, minlength=4).min() > 900
    assert code.min() < -1 and abs(code.mean()) < 0.05 and abs(code.std() - 1) < 0.05
    for label in (-1, 4):
        with pytest.raises(RecipeError, match=f"label={label}: expected 0 to 3"):
            net.sample(1, label=label)


def test_figures_have_all_labels_in_each_style(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.figures import digits

    drawn: list[dict[str, Any]] = []
    monkeypatch.setattr(
        digits, "titled_grid", lambda rows, above=(), beside=(): drawn.append({"rows": rows, "above": above, "beside": beside})
    )
    net = task()
    kept = examples(net, batch(12))
    assert list(net.figures(kept)) == ["reconstructions", "styles", "generated", "dimensions"]
    pairs, styles, samples = drawn
    assert list(net.figures(replace(kept, part="test"))) == ["reconstructions", "dimensions"], "these are of the model: once is enough"
    assert len(pairs["rows"]) == 2 and pairs["beside"] == ("picture", "decoded")
    assert (len(styles["rows"]), len(styles["rows"][0]), styles["above"]) == (STYLES, 4, DIGITS)
    assert (len(samples["rows"]), len(samples["rows"][0]), samples["beside"]) == (4, STYLES, DIGITS)
    from zoo.heads.variational import noise_of

    code = noise_of(torch.tensor([3]), 3)  # the fourth style with the second label
    expected = (net.decode(code, torch.tensor([1]))[0, 0] * 255).round()
    assert (torch.from_numpy(styles["rows"][3][1])[..., 0].float() - expected).abs().max() <= 1
    expected = (net.decode(noise_of(torch.tensor([STYLES + 2]), 3), torch.tensor([1]))[0, 0] * 255).round()
    assert (torch.from_numpy(samples["rows"][1][2])[..., 0].float() - expected).abs().max() <= 1


def test_of_many_labels_the_first_are_shown() -> None:
    labels = tuple(f"label {number}" for number in range(30))
    net = task(labels)
    drawings = net.figures(examples(net, batch(6, 30)))
    assert f"The first {LABELS} of 30 labels." in drawings["styles"].caption


def test_tables() -> None:
    net = task(samples=50)
    kept = examples(net, batch(12))
    tables = net.tables(kept)
    (_, pictures, single), (many, _, bound) = tables["bounds"].rows
    assert (pictures, many) == (12, "importance-weighted, 50 samples")
    assert single == pytest.approx(float(kept.metrics["elbo"])) and bound > single
    assert len(tables["dimensions"].rows) == 3
