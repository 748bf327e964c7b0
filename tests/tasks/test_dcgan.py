"""DCGAN: its contract, its losses by hand, who plays when, the judge that stays as it is, samples, alarms, figures and tables."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from contracts_task import check_task
from torch import Tensor

from tasks.test_vae import examples
from zoo.backbones.conv import Conv
from zoo.errors import RecipeError
from zoo.heads.variational import noise_of
from zoo.losses import adversarial
from zoo.spec import DataSpec
from zoo.tasks.dcgan import DCGAN, thumbnail
from zoo.tasks.gaming import alarms
from zoo.tasks.task import Decodes, Embeds, HasPrior, Samples, Watched

SIDE = 8


def task(channels: int = 1, **options: Any) -> DCGAN:
    torch.manual_seed(0)
    options = {"latent": 3, "generator_widths": (8, 4), "discriminator_widths": (4, 8)} | options
    return DCGAN(DataSpec(channels, (SIDE, SIDE)), Conv(channels, (SIDE, SIDE), widths=(4, 6)), **options)


def batch(size: int = 6, channels: int = 1) -> dict[str, Any]:
    image = torch.rand(size, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    return {"image": image, "index": torch.arange(size), "path": [f"{n}.png" for n in range(size)]}


STEADY = {"loss": "hinge", "generator_norm": "group", "discriminator_norm": "spectral", "r1": 2.0, "augment": ("color", "translation")}
COURSE = {"generator_loss": "lsgan", "real_labels": (0.7, 1.0), "fake_labels": (0.0, 0.3), "label_noise": 0.1, "discriminator_linear": (5,)}
PENALTY = {"loss": "wgan", "gradient_penalty": 10.0, "discriminator_norm": "instance", "output": "linear", "scale": "unit"}


@pytest.mark.parametrize("options", [{}, STEADY, COURSE, PENALTY], ids=["plain", "steady", "course", "penalty"])
def test_the_contract(options: dict[str, Any]) -> None:
    check_task(task(channels=3, **options), batch(channels=3))


def test_what_it_can_do() -> None:
    net = task()
    assert isinstance(net, Decodes) and isinstance(net, Samples) and isinstance(net, HasPrior) and isinstance(net, Watched)
    assert not isinstance(net, Embeds), "the judge's features are no codes that decode"
    assert list(net.players()) == ["generator", "discriminator"] and net.main == "kid" and net.truth is None


# ---------------------------------------------------------------- the game


@pytest.mark.parametrize("loss", ["bce", "lsgan", "hinge", "wgan"])
def test_losses_are_those_of_the_papers(loss: str) -> None:
    net, data = task(loss=loss), batch()
    torch.manual_seed(5)
    found = net.losses(data, "discriminator")
    torch.manual_seed(5)
    fake = net.generator(torch.randn(6, 3)).detach()
    real_score, fake_score = net.discriminator(2 * data["image"] - 1), net.discriminator(fake)
    assert float(found["loss"].detach()) == pytest.approx(float(adversarial.of_discriminator(net.loss, real_score, fake_score)), rel=1e-5)
    shown = torch.sigmoid if loss == "bce" else torch.clone
    assert float(found["real_score"]) == pytest.approx(float(shown(real_score).mean()), rel=1e-5)
    assert float(found["fake_score"]) == pytest.approx(float(shown(fake_score).mean()), rel=1e-5)
    torch.manual_seed(6)
    made = net.losses(data, "generator")
    torch.manual_seed(6)
    scores = net.discriminator(net.generator(torch.randn(6, 3)))
    assert set(made) == {"loss"}
    assert float(made["loss"].detach()) == pytest.approx(float(adversarial.of_generator(net.loss, scores)), rel=1e-5)


def test_the_generator_may_have_another_loss() -> None:
    mixed = task(generator_loss="lsgan")
    assert mixed.generator_loss == "lsgan" and mixed.loss == "bce"
    torch.manual_seed(1)
    found = mixed.losses(batch(), "generator")["loss"]
    torch.manual_seed(1)
    scores = mixed.discriminator(mixed.generator(torch.randn(6, 3)))
    assert float(found) == pytest.approx(float(0.5 * (scores - 1).square().mean()), rel=1e-5)


def test_soft_and_noisy_labels_are_the_discriminators_targets() -> None:
    net, data = task(real_labels=(0.6, 0.6), fake_labels=(0.2, 0.2)), batch()
    torch.manual_seed(5)
    found = net.losses(data, "discriminator")["loss"]
    torch.manual_seed(5)
    fake = net.generator(torch.randn(6, 3)).detach()
    real_score, fake_score = net.discriminator(2 * data["image"] - 1), net.discriminator(fake)
    entropy = F.binary_cross_entropy_with_logits
    expected = entropy(real_score, torch.full((6,), 0.6)) + entropy(fake_score, torch.full((6,), 0.2))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    swapped = task(label_noise=1.0)
    torch.manual_seed(5)
    told = swapped.losses(data, "discriminator")["loss"]
    assert float(told) == pytest.approx(float(entropy(real_score, torch.zeros(6)) + entropy(fake_score, torch.ones(6))), rel=1e-5)


def test_plain_labels_draw_no_numbers() -> None:
    """So that the plain game is the textbook's, number by number."""
    states = []
    for options in ({}, {"label_noise": 0.5}):
        net = task(**options)
        torch.manual_seed(5)
        net.losses(batch(), "discriminator")
        states.append(torch.default_generator.get_state())
    torch.manual_seed(5)
    torch.randn(6, 3)
    assert torch.equal(states[0], torch.default_generator.get_state()) and not torch.equal(states[0], states[1])


def test_both_players_learn_from_the_same_samples() -> None:
    net, data = task(), batch()
    torch.manual_seed(5)
    net.losses(data, "generator")
    found = net.losses(data, "discriminator")
    torch.manual_seed(5)
    scores = net.discriminator(net.generator(torch.randn(6, 3)))
    assert float(found["fake_score"]) == pytest.approx(float(scores.sigmoid().mean()), rel=1e-5)
    assert not any(weight.grad is not None for weight in net.parameters()) and net.samples is None, "kept no longer than needed"


def test_samples_of_another_batch_or_of_a_larger_portion_are_not_used() -> None:
    net, other, data = task(), task(), batch()
    torch.manual_seed(5)
    expected = float(net.losses(data, "discriminator")["fake_score"])
    net.losses(data, "generator")
    net.start_batch(1)
    torch.manual_seed(5)
    assert float(net.losses(data, "discriminator")["fake_score"]) == expected
    net.losses(data, "generator")
    torch.manual_seed(5)
    half = {key: values[:3] for key, values in data.items()}
    found = float(net.losses(half, "discriminator")["fake_score"])
    torch.manual_seed(5)
    assert found == float(other.losses(half, "discriminator")["fake_score"])


def test_the_generator_sits_out() -> None:
    net, played = task(discriminator_steps=3), []
    for step in range(7):
        net.start_batch(step)
        assert net.losses(batch(), "discriminator")
        played.append(bool(net.losses(batch(), "generator")))
    assert played == [False, False, True, False, False, True, False]


def test_gradients_on_real_pictures_are_penalised_now_and_then_and_as_much_stronger() -> None:
    net, plain, data = task(r1=0.5, r1_every=4), task(), batch()
    for step in range(6):
        net.start_batch(step)
        torch.manual_seed(5)
        found = net.losses(data, "discriminator")
        assert ("r1" in found) == (step in (0, 4))
        torch.manual_seed(5)
        bare = plain.losses(data, "discriminator")["loss"]
        expected = bare + 0.5 * 4 * adversarial.r1(plain.discriminator, 2 * data["image"] - 1) if "r1" in found else bare
        assert float(found["loss"].detach()) == pytest.approx(float(expected), rel=1e-4)


def test_the_gradient_penalty_is_weighed() -> None:
    net = task(loss="wgan", gradient_penalty=7.0, discriminator_norm="none")
    torch.manual_seed(5)
    found = net.losses(batch(), "discriminator")
    score = found["fake_score"] - found["real_score"]
    assert float(found["loss"].detach()) == pytest.approx(float(score + 7 * found["gradient_penalty"]), rel=1e-5)
    assert float(found["gradient_penalty"]) > 0


def test_both_kinds_of_pictures_are_augmented_and_the_generator_learns_through_it() -> None:
    net, data = task(augment=("translation",)), batch()
    seen: list[Tensor] = []
    net.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    net.losses(data, "discriminator")
    net.losses(data, "generator")
    assert not torch.equal(seen[0], 2 * data["image"] - 1)
    assert all((image == 0).flatten(1).any() for image in seen), "the middle of the range comes in from the sides"
    assert seen[2].requires_grad and not seen[1].requires_grad


@pytest.mark.parametrize(("scale", "low"), [("symmetric", -1.0), ("unit", 0.0)])
def test_pictures_are_scaled_for_the_players_and_back(scale: str, low: float) -> None:
    net = task(scale=scale, output="linear")
    image = torch.tensor([0.0, 0.25, 1.0])
    assert net.scaled(image).tolist() == [low, low + 0.25 * (1 - low), 1.0]
    net.generator.forward = net.scaled  # what the generator gives is in the players' scale
    assert net.decode(image).tolist() == pytest.approx([0.0, 0.25, 1.0])
    net.generator.forward = lambda code: torch.tensor([low - 1, 2.0])
    assert net.decode(image).tolist() == [0.0, 1.0]


# ---------------------------------------------------------------- the judge


def test_the_judge_is_not_trained_and_stays_in_evaluation_mode() -> None:
    net = task()
    before = copy.deepcopy(net.backbone.state_dict())
    net.train()
    assert not any(module.training for module in net.backbone.modules()) and net.generator.training
    assert not any(weight.requires_grad for weight in net.backbone.parameters())
    for player in net.players():
        net.losses(batch(), player)["loss"].backward()
    with torch.inference_mode():
        net.predict(batch())
    assert all(torch.equal(value, before[name]) for name, value in net.backbone.state_dict().items())


def test_the_judge_may_see_pictures_enlarged() -> None:
    torch.manual_seed(0)
    net = DCGAN(DataSpec(1, (SIDE, SIDE)), Conv(1, (16, 16), widths=(4, 6)), latent=3, generator_widths=(4,), judged_at=16)
    assert net.judge(batch()["image"]).shape == (6, net.backbone.width)


def test_predictions_belong_to_pictures() -> None:
    net, data = task().eval(), batch()
    with torch.inference_mode():
        said = net.predict(data)
        swapped = net.predict({key: value[::-1] if isinstance(value, list) else value.flip(0) for key, value in data.items()})
        fake = net.decode(noise_of(data["index"], 3))
    assert torch.allclose(said["fake"], fake) and torch.allclose(swapped["fake"].flip(0), fake, atol=1e-6)
    assert torch.allclose(said["features_fake"], net.backbone.vector(fake))
    assert torch.allclose(said["real_score"], net.discriminator(2 * data["image"] - 1).sigmoid())


@pytest.mark.parametrize(("size", "expected"), [((8, 8), 64), ((64, 64), 1024), ((64, 32), 512)])
def test_thumbnails(size: tuple[int, int], expected: int) -> None:
    assert thumbnail(torch.rand(2, 1, *size)).shape == (2, expected)
    assert torch.equal(thumbnail(torch.full((2, 3, *size), 0.5)), torch.full((2, 3 * expected), 0.5))


# ---------------------------------------------------------------- samples


def test_samples_are_of_the_given_random_state_and_know_no_labels() -> None:
    net = task().eval()
    torch.manual_seed(3)
    with torch.inference_mode():
        one = net.sample(4)
    torch.manual_seed(3)
    assert torch.equal(one, net.decode(torch.randn(4, 3)))
    assert one.shape == (4, 1, SIDE, SIDE) and 0 <= float(one.min()) <= float(one.max()) <= 1
    with pytest.raises(RecipeError, match="label=2: a dcgan knows no labels"):
        net.sample(1, label=2)


def test_snapshots_are_of_the_same_codes_and_draw_nothing() -> None:
    net = task().eval()
    state = torch.default_generator.get_state()
    with torch.inference_mode():
        one, other = net.snapshot(), net.snapshot()
    assert torch.equal(one, other) and torch.equal(state, torch.default_generator.get_state())
    assert len(one) == 64 and not torch.equal(one[0], one[1])


def test_spoilt_pictures_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"leave data\.corrupt out"):
        task().losses(batch() | {"clean": batch()["image"]}, "discriminator")


# ---------------------------------------------------------------- alarms


def row(
    epoch: int, diversity: float | None, pixels: float | None = None, real: float = 0.6, fake: float = 0.4, step: int = 0
) -> dict[str, Any]:
    scores = {"train/discriminator/real_score": real, "train/discriminator/fake_score": fake, "step": step or 150 * epoch}
    return {"epoch": epoch, "val/diversity": diversity, "val/diversity_of_pixels": diversity if pixels is None else pixels, **scores}


def test_alarm_of_samples_that_look_the_same() -> None:
    assert not alarms([row(1, 0.05, step=100)], "hinge"), "a fresh generator's do"
    assert not alarms([row(1, 0.05), row(2, 0.4)], "hinge")
    for history in ([row(1, 0.05), row(2, 0.05)], [row(1, 0.05, step=100), row(2, 0.6, step=110), row(3, 0.19, step=120)]):
        (said,) = alarms(history, "hinge")
        assert said.startswith("collapse") and "train.players.generator.lr" in said
        assert f"{history[-1]['val/diversity']:.0%}" in said
    assert not alarms([row(1, 0.05), row(2, 0.05, pixels=0.5)], "hinge"), "features alone may be blind to what differs"
    assert not alarms([row(1, None), row(2, None)], "hinge"), "nor is it known of a network that diverged"


def test_alarm_of_samples_that_differ_more_than_pictures_do() -> None:
    (said,) = alarms([row(1, 0.8, pixels=1.7)], "bce")
    assert "1.7 times" in said and "train.players.generator.lr" in said
    assert not alarms([row(1, 1.1, pixels=1.2)], "bce")


def test_alarm_of_a_discriminator_that_has_won() -> None:
    lost = [row(n, 0.8, real=0.995, fake=0.004) for n in (1, 2)]
    (said,) = alarms(lost, "bce")
    assert "tells all pictures apart" in said and "0.995" in said and "train.players.discriminator.lr" in said
    assert not alarms(lost[:1], "bce") and not alarms([row(1, 0.8), lost[1]], "bce"), "once is chance"
    assert not alarms(lost, "lsgan"), "other losses' scores are no chances"


@pytest.mark.parametrize("labels", [(0.9, 0.1), (-0.1, 1.0), (0.0, 1.5)])
def test_labels_are_checked_before_the_first_step(labels: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"real_labels: .* expected two numbers from 0 to 1"):
        task(real_labels=labels)


# ---------------------------------------------------------------- numbers and pictures


def test_metrics_figures_and_tables() -> None:
    net, data = task(channels=3), batch(12, channels=3)
    found = examples(net, data)
    assert set(found.metrics) == {
        *("kid", "fid", "one_nn_accuracy", "diversity", "diversity_of_pixels", "real_score", "fake_score"),
    }
    figures = net.figures(found)
    assert list(figures) == ["generated", "nearest", "between", "truncated", "map"]
    assert list(net.figures(replace(found, part="test"))) == ["map"], "the others would be the same"
    table = net.tables(found)["compared"]
    assert [row[0] for row in table.rows] == ["samples", "real pictures"]
    values: dict[str, Any] = {name: (sample, real) for name, sample, real in zip(table.header, *table.rows, strict=True)}
    assert values["KID"][0] == pytest.approx(float(found.metrics["kid"]))
    assert values["1-NN accuracy"][0] == pytest.approx(float(found.metrics["one_nn_accuracy"]))
    assert values["diversity of pixels"][0] == pytest.approx(float(found.metrics["diversity_of_pixels"]))
    assert values["KID"][1] < values["KID"][0], "training pictures, here the same ones, in the samples' place"
    far, near = values["nearest training picture"]
    assert near < 0.1 * far
    assert "random weights" in table.caption and "12 pictures" in table.caption


def test_as_many_training_pictures_stand_in_the_samples_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few known pictures none comes twice, and of the others no more are taken."""
    monkeypatch.setattr("zoo.tasks.gaming.MEASURED", 5)
    net, data = task(channels=3), batch(12, channels=3)
    found = examples(net, data)
    few = replace(found, training=lambda most: (found.training(most)[0][:5], {}))
    table = net.tables(few)["compared"]
    assert "5 pictures" in table.caption
    values = {name: (sample, real) for name, sample, real in zip(table.header, *table.rows, strict=True)}
    assert all(math.isfinite(value) for pair in list(values.values())[1:] for value in pair)


def test_a_network_that_diverged_shows_nothing() -> None:
    net = task()
    with torch.no_grad():
        next(net.generator.parameters()).fill_(math.nan)
    found = examples(net, batch())
    assert not net.figures(found)
    assert all(math.isnan(value) for name, value in found.metrics.items() if name in ("kid", "fid", "one_nn_accuracy", "diversity"))
