"""Adversarial losses, penalties on the scores' slope and soft labels, against closed forms and autograd."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from zoo.losses.adversarial import Name, gradient_penalty, of_discriminator, of_generator, r1, soft_labels

NAMES: tuple[Name, ...] = get_args(Name)
CPU = torch.device("cpu")


def scores(count: int = 6, seed: int = 0) -> Tensor:
    return 2 * torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pictures(count: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(count, 2, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# -------------------------------------------------------------------------------------------------------- the two sides


def test_losses_of_the_discriminator_by_hand() -> None:
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0, 1.0])

    def log_of(value: float) -> float:
        return math.log(1 / (1 + math.exp(-value)))

    of_real, of_fake = -(log_of(2) + log_of(-1)) / 2, -(log_of(-0.5) + log_of(3) + log_of(-1)) / 3
    expected = {
        "bce": of_real + of_fake,
        "lsgan": ((1 + 4) / 2 + (0.25 + 9 + 1) / 3) / 2,
        "hinge": (0 + 2) / 2 + (1.5 + 0 + 2) / 3,
        "wgan": -1.5 / 3 - 1 / 2,
    }
    for name in NAMES:
        assert of_discriminator(name, real, fake).item() == pytest.approx(expected[name]), name


def test_losses_of_the_generator_by_hand() -> None:
    fake = torch.tensor([0.5, -3.0])
    expected = {
        "bce": (math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(3))) / 2,
        "lsgan": (0.25 + 16) / 4,
        "hinge": 2.5 / 2,
        "wgan": 2.5 / 2,
    }
    for name in NAMES:
        assert of_generator(name, fake).item() == pytest.approx(expected[name]), name


def test_labels_are_targets_of_two_losses() -> None:
    real, fake = scores(), scores(4, seed=1)
    real_label, fake_label = soft_labels(6, 0.7, 1.0, 0.3, CPU), soft_labels(4, 0.0, 0.3, 0.3, CPU)
    likelihood = nn.functional.binary_cross_entropy
    expected = likelihood(real.sigmoid(), real_label.double()) + likelihood(fake.sigmoid(), fake_label.double())
    assert torch.allclose(of_discriminator("bce", real, fake, real_label, fake_label), expected)
    expected = ((real - real_label).square().mean() + (fake - fake_label).square().mean()) / 2
    assert torch.allclose(of_discriminator("lsgan", real, fake, real_label, fake_label), expected)
    for name in NAMES:
        plain, given = of_discriminator(name, real, fake), of_discriminator(name, real, fake, torch.ones(6), torch.zeros(4))
        assert torch.equal(plain, given)
        for_one = (of_discriminator(name, real, fake, real_label), of_discriminator(name, real, fake, None, fake_label))
        assert [torch.equal(plain, found) for found in for_one] == [name in ("hinge", "wgan")] * 2


def test_the_two_pull_scores_apart_and_together() -> None:
    for name in NAMES:
        real, fake = (score.requires_grad_() for score in (0.4 * scores().tanh(), 0.4 * scores(4, seed=1).tanh()))
        of_discriminator(name, real, fake).backward()
        assert (real.grad < 0).all() and (fake.grad > 0).all(), name
        drawn = (0.4 * scores().tanh()).requires_grad_()
        of_generator(name, drawn).backward()
        assert (drawn.grad < 0).all(), name


def test_scores_far_out_stay_finite_and_the_generator_is_not_left_alone() -> None:
    far = torch.tensor([-2000.0, 2000.0])
    for name in NAMES:
        score = far.clone().requires_grad_()
        of_generator(name, score).backward()
        assert score.grad.isfinite().all() and score.grad[0] <= -0.5, name
        assert of_discriminator(name, far, far).isfinite()


def test_half_floats_are_read_as_float32() -> None:
    halves, label = scores().bfloat16(), torch.full((6,), 0.9)
    for name in NAMES:
        for found, exact in (
            (of_discriminator(name, halves, halves, label), of_discriminator(name, halves.float(), halves.float(), label)),
            (of_generator(name, halves), of_generator(name, halves.float())),
            (r1(lambda image: image.flatten(1).sum(1).bfloat16(), halves.view(6, 1)), torch.tensor(0.5)),
        ):
            assert found.dtype == torch.float32 and torch.equal(found, exact)


def test_losses_that_do_not_exist_and_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="no adversarial loss is called 'other'; expected 'bce', 'lsgan', 'hinge' or 'wgan'"):
        of_discriminator("other", scores(), scores())
    with pytest.raises(ValueError, match="'other'"):
        of_generator("other", scores())
    for labels in ((torch.ones(6, 1), None), (None, torch.zeros(1))):
        with pytest.raises(ValueError, match=r"labels \((6, 1|1,)\) for scores \(6,\): expected equal shapes"):
            of_discriminator("lsgan", scores(), scores(), *labels)


# ---------------------------------------------------------------------------------------------------------- the slope


def linear(weight: Tensor) -> nn.Module:
    """A score whose slope is `weight` everywhere."""
    score = nn.Sequential(nn.Flatten(), nn.Linear(24, 1).double(), nn.Flatten(0))
    score[1].weight.data.copy_(weight)
    return score


def test_penalties_of_a_linear_score_and_their_gradients_in_closed_form() -> None:
    for length in (0.2, 1.0, 3.0):
        weight = nn.functional.normalize(pictures(1).flatten(1), dim=1) * length
        score = linear(weight)
        penalty = gradient_penalty(score, pictures(), pictures(seed=1))
        assert penalty.item() == pytest.approx((length - 1) ** 2, abs=1e-12), "slopes below 1 cost too"
        (found,) = torch.autograd.grad(penalty, score[1].weight)
        assert torch.allclose(found, 2 * (length - 1) * weight / length)
        penalty = r1(score, pictures())
        assert penalty.item() == pytest.approx(length**2 / 2)
        (found,) = torch.autograd.grad(penalty, score[1].weight)
        assert torch.allclose(found, weight)


def test_penalties_of_a_score_that_bends() -> None:
    def score(image: Tensor) -> Tensor:
        return 0.5 * image.square().sum((1, 2, 3))  # its slope is the picture

    image = pictures()
    norm = image.flatten(1).norm(dim=1)
    assert torch.allclose(r1(score, image), 0.5 * norm.square().mean())
    assert torch.allclose(gradient_penalty(score, image, image), (norm - 1).square().mean())


def test_penalties_are_those_of_single_pictures() -> None:
    """Against autograd's Jacobian, picture by picture, and gradients of weights against differences."""
    torch.manual_seed(0)
    score = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 1), nn.Flatten(0)).double()
    real = pictures()
    slopes = torch.stack([torch.autograd.functional.jacobian(lambda one: score(one[None])[0], one).flatten() for one in real])
    expected = {r1: 0.5 * slopes.square().sum(1).mean(), gradient_penalty: (slopes.norm(dim=1) - 1).square().mean()}
    for penalty, images in ((r1, (real,)), (gradient_penalty, (real, real))):
        assert torch.allclose(penalty(score, *images), expected[penalty])
        weight = score[0].weight
        (gradient,) = torch.autograd.grad(penalty(score, *images), weight)
        way, step = torch.randn_like(weight), 1e-6
        with torch.no_grad():
            weight += step * way
        ahead = penalty(score, *images).item()
        with torch.no_grad():
            weight -= 2 * step * way
        behind = penalty(score, *images).item()
        with torch.no_grad():
            weight += step * way
        assert (gradient * way).sum().item() == pytest.approx((ahead - behind) / (2 * step), rel=1e-5)


def test_places_lie_on_the_lines_between_pictures_each_at_its_own() -> None:
    seen: list[Tensor] = []

    def score(image: Tensor) -> Tensor:
        seen.append(image.detach())
        return image.sum((1, 2, 3))

    real, fake = pictures(500), pictures(500, seed=1)
    torch.manual_seed(0)
    gradient_penalty(score, real, fake)
    state = torch.get_rng_state()
    torch.manual_seed(0)
    gradient_penalty(score, real, fake)
    assert torch.equal(seen[0], seen[1]) and torch.equal(state, torch.get_rng_state())
    shares = ((seen[0] - fake) / (real - fake)).flatten(1)
    assert torch.allclose(shares, shares[:, :1].expand_as(shares), atol=1e-6), "one share a picture"
    share = shares[:, 0]
    assert 0 <= share.min() < 0.02 and 0.98 < share.max() <= 1 and len(share.unique()) > 490
    assert share.mean().item() == pytest.approx(0.5, abs=0.05) and share.std().item() == pytest.approx(12**-0.5, abs=0.03)


def test_a_dead_score_costs_and_teaches_no_nonsense() -> None:
    score = linear(torch.zeros(1, 24))
    penalty = gradient_penalty(score, pictures(), pictures(seed=1))
    assert penalty.item() == 1
    (found,) = torch.autograd.grad(penalty, score[1].weight)
    assert not found.any()


def test_gradients_reach_the_weights_and_not_the_pictures() -> None:
    score = nn.Sequential(linear(pictures(1).flatten(1)), nn.Tanh())
    real, fake = pictures().requires_grad_(), pictures(seed=1).requires_grad_()
    (r1(score, real) + gradient_penalty(score, real, fake)).backward()
    assert score[0][1].weight.grad.any() and real.grad is None and fake.grad is None


def test_a_discriminator_can_be_compiled_around_its_penalties() -> None:
    """Compiled code has no gradients of gradients; what the penalties call runs as it is written."""
    weight, real = pictures(1).flatten().requires_grad_(), pictures()

    def score(image: Tensor) -> Tensor:
        return (image.flatten(1) @ weight).tanh()

    def loss(image: Tensor) -> Tensor:
        return of_generator("hinge", score(image)) + r1(score, image) + gradient_penalty(score, image, image)

    (expected,) = torch.autograd.grad(loss(real), weight)
    (found,) = torch.autograd.grad(torch.compile(loss, backend="aot_eager")(real), weight)
    torch.testing.assert_close(found, expected)


def test_pictures_of_two_shapes_have_no_lines_between_them() -> None:
    with pytest.raises(ValueError, match=r"real pictures \(5, 2, 3, 4\) and drawn ones \(4, 2, 3, 4\): expected two equal shapes"):
        gradient_penalty(linear(torch.zeros(1, 24)), pictures(5), pictures(4))


# --------------------------------------------------------------------------------------------------------- soft labels


def test_soft_labels_are_uniform_and_some_change_sides() -> None:
    torch.manual_seed(0)
    label = soft_labels(20_000, 0.8, 1.0, 0.05, CPU)
    assert label.shape == (20_000,) and label.dtype == torch.float32
    swapped = label < 0.5
    assert swapped.float().mean().item() == pytest.approx(0.05, abs=0.006)
    for part, low, high in ((label[~swapped], 0.8, 1.0), (label[swapped], 0.0, 0.2)):
        assert part.min() >= low - 1e-6 and part.max() <= high + 1e-6
        assert part.mean().item() == pytest.approx((low + high) / 2, abs=0.006)
        assert part.std().item() == pytest.approx(0.2 * 12**-0.5, rel=0.1)


def test_labels_without_doubt() -> None:
    assert soft_labels(9, 1.0, 1.0, 0.0, CPU).tolist() == [1] * 9
    assert soft_labels(9, 0.0, 0.0, 0.0, CPU).tolist() == [0] * 9
    assert soft_labels(9, 1.0, 1.0, 1.0, CPU).tolist() == [0] * 9
    assert soft_labels(0, 0.0, 1.0, 0.5, CPU).shape == (0,)
    with pytest.raises(ValueError, match=r"labels from 1.0 to 0.7: expected the lower one first"):
        soft_labels(9, 1.0, 0.7, 0.0, CPU)


def test_labels_come_from_the_global_generator() -> None:
    torch.manual_seed(3)
    one = soft_labels(50, 0.0, 1.0, 0.5, CPU)
    other = soft_labels(50, 0.0, 1.0, 0.5, CPU)
    torch.manual_seed(3)
    assert torch.equal(one, soft_labels(50, 0.0, 1.0, 0.5, CPU)) and not torch.equal(one, other)


def test_no_value_is_read_back_from_the_device() -> None:
    """A device without values refuses to be read."""
    meta = torch.device("meta")
    with meta:
        score, image = nn.Sequential(nn.Flatten(), nn.Linear(24, 1), nn.Flatten(0)), torch.zeros(5, 2, 3, 4)
        label = soft_labels(5, 0.7, 1.0, 0.1, meta)
        found = [of_discriminator(name, score(image), score(image), label, label) + of_generator(name, score(image)) for name in NAMES]
        found += [r1(score, image), gradient_penalty(score, image, image)]
    assert all(loss.shape == () and loss.is_meta for loss in found)
