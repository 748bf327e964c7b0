"""Values of the losses of segmentation: by their formulas in float64, pixel by pixel, and other libraries' where they agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import kornia.losses as kornia
import numpy as np
import pytest
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from zoo.losses import boundary as boundary_module
from zoo.losses.boundary import outline_distances
from zoo.losses.segmentation import (
    IGNORE,
    NAMES,
    bce,
    boundary,
    build,
    dice,
    focal,
    focal_course,
    focal_tversky,
    lovasz,
    soft_bce,
    total_variation,
    tversky,
)

SIZE = (4, 5)


def case(classes: int, pictures: int = 3, size: tuple[int, int] = SIZE, ignored: float = 0.2) -> tuple[Tensor, Tensor]:
    """Every class occurs in every picture."""
    generator = torch.Generator().manual_seed(classes)
    logits = 2 * torch.randn(pictures, classes, *size, generator=generator, dtype=torch.float64)
    mask = torch.randint(max(classes, 2), (pictures, *size), generator=generator)
    mask[torch.rand(mask.shape, generator=generator) < ignored] = IGNORE
    for value in range(max(classes, 2)):
        mask[:, 0, value] = value
    return logits, mask


class Pixel:
    """One valid pixel: its place, its class, and (p, whether it is of the class) for each map."""

    def __init__(self, place: tuple[int, int], logits: list[float], label: int) -> None:
        self.place, self.label = place, label
        if len(logits) == 1:
            p = 1 / (1 + math.exp(-logits[0]))
            self.shares = [1 - p, p]
            self.maps = [(p, label == 1)]
        else:
            total = sum(math.exp(x) for x in logits)
            self.shares = [math.exp(x) / total for x in logits]
            self.maps = [(share, c == label) for c, share in enumerate(self.shares)]

    @property
    def truth(self) -> float:
        return self.shares[self.label]


def pixels(logits: Tensor, mask: Tensor) -> list[Pixel]:
    places = [(y, x) for y in range(mask.shape[0]) for x in range(mask.shape[1]) if int(mask[y, x]) != IGNORE]
    return [Pixel(place, logits[:, place[0], place[1]].tolist(), int(mask[place])) for place in places]


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def occurring(picture: list[Pixel]) -> list[list[tuple[float, bool]]]:
    maps = [[pixel.maps[k] for pixel in picture] for k in range(len(picture[0].maps))]
    return maps if len(maps) == 1 else [one for one in maps if any(t for _, t in one)]


def by_dice(picture: list[Pixel], s: float) -> float:
    def one(pairs: list[tuple[float, bool]]) -> float:
        return 1 - (2 * sum(p * t for p, t in pairs) + s) / (sum(p for p, _ in pairs) + sum(t for _, t in pairs) + s)

    return mean(map(one, occurring(picture)))


def by_tversky(picture: list[Pixel], alpha: float, beta: float, s: float, exponent: float = 1.0) -> float:
    def one(pairs: list[tuple[float, bool]]) -> float:
        tp = sum(p * t for p, t in pairs)
        fp, fn = sum(p * (1 - t) for p, t in pairs), sum((1 - p) * t for p, t in pairs)
        return float((1 - (tp + s) / (tp + alpha * fp + beta * fn + s)) ** exponent)

    return mean(map(one, occurring(picture)))


def by_focal(picture: list[Pixel], gamma: float, alpha: float) -> float:
    return mean((alpha if p.label else 1 - alpha) * -((1 - p.truth) ** gamma) * math.log(p.truth) for p in picture)


def by_focal_course(picture: list[Pixel], gamma: float) -> float:
    return mean(((1 - p.truth) ** gamma if p.label else 1.0) * -math.log(p.truth) for p in picture)


def by_soft_bce(picture: list[Pixel], s: float) -> float:
    classes = len(picture[0].shares)
    return mean(-sum((s / classes + (1 - s) * (c == p.label)) * math.log(share) for c, share in enumerate(p.shares)) for p in picture)


def by_total_variation(picture: list[Pixel], weight: float) -> float:
    at = {pixel.place: pixel.shares for pixel in picture}
    pairs = [(at[y, x], at[n]) for y, x in at for n in ((y + 1, x), (y, x + 1)) if n in at]
    return by_soft_bce(picture, 0) + weight * mean(sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2 for p, q in pairs)


def by_lovasz(picture: list[Pixel], logits: Tensor) -> float:
    """The Lovász extension of 1 - IoU as a function of the set of mistaken pixels."""

    def one(pairs: list[tuple[float, bool]]) -> float:
        order = sorted(range(len(pairs)), key=lambda i: -error(i, pairs))
        truth = {i for i, (_, t) in enumerate(pairs) if t}
        loss = [len(set(order[:n])) / len(truth | set(order[:n])) if n else 0.0 for n in range(len(order) + 1)]
        return sum(error(i, pairs) * (loss[n + 1] - loss[n]) for n, i in enumerate(order))

    def error(i: int, pairs: list[tuple[float, bool]]) -> float:
        p, t = pairs[i]
        if len(logits) > 1:
            return 1 - p if t else p
        y, x = picture[i].place
        return max(0.0, 1 - float(logits[0, y, x]) * (1 if t else -1))

    return mean(map(one, occurring(picture)))


def by_boundary(picture: list[Pixel], weight: float, size: tuple[int, int]) -> float:
    diagonal = math.hypot(*size)

    def away(pixel: Pixel, c: int) -> float:
        others = [math.dist(pixel.place, other.place) for other in picture if (other.label == c) != (pixel.label == c)]
        return min(others, default=diagonal) / diagonal

    far = mean(sum(away(p, c) * abs(share - (p.label == c)) for c, share in enumerate(p.shares)) / 2 for p in picture)
    return (1 - weight) * by_dice(picture, 1.0) + weight * far


FORMULAS: dict[str, tuple[Callable[..., Tensor], Callable[[list[Pixel], Tensor], float]]] = {
    "bce": (bce, lambda picture, _: mean(-math.log(p.truth) for p in picture)),
    "dice": (dice, lambda picture, _: by_dice(picture, 1.0)),
    "dice, smoothing 0": (build("dice", smoothing=0), lambda picture, _: by_dice(picture, 0)),
    "focal": (focal, lambda picture, _: 2 * by_focal(picture, 2, 0.5)),
    "focal, alpha .3": (build("focal", gamma=0.5, alpha=0.3), lambda picture, _: by_focal(picture, 0.5, 0.3)),
    "focal_course": (focal_course, lambda picture, _: by_focal_course(picture, 2)),
    "focal_course, gamma 3": (build("focal_course", gamma=3), lambda picture, _: by_focal_course(picture, 3)),
    "tversky": (tversky, lambda picture, _: by_tversky(picture, 0.3, 0.7, 1.0)),
    "tversky, alpha 0": (build("tversky", alpha=0, beta=0.1, smoothing=2), lambda picture, _: by_tversky(picture, 0, 0.1, 2)),
    "focal_tversky": (focal_tversky, lambda picture, _: by_tversky(picture, 0.3, 0.7, 1.0, 0.75)),
    "focal_tversky, gamma 2": (build("focal_tversky", gamma=2), lambda picture, _: by_tversky(picture, 0.3, 0.7, 1.0, 0.5)),
    "lovasz": (lovasz, by_lovasz),
    "soft_bce": (soft_bce, lambda picture, _: by_soft_bce(picture, 0.1)),
    "soft_bce, smoothing .4": (build("soft_bce", smoothing=0.4), lambda picture, _: by_soft_bce(picture, 0.4)),
    "total_variation": (total_variation, lambda picture, _: by_total_variation(picture, 1)),
    "total_variation, weight .2": (build("total_variation", weight=0.2), lambda picture, _: by_total_variation(picture, 0.2)),
    "boundary": (boundary, lambda picture, logits: by_boundary(picture, 0.5, (logits.shape[1], logits.shape[2]))),
    "boundary, weight 1": (
        build("boundary", weight=1),
        lambda picture, logits: by_boundary(picture, 1, (logits.shape[1], logits.shape[2])),
    ),
}


def test_every_loss_has_a_formula_here() -> None:
    assert {name.partition(",")[0] for name in FORMULAS} == set(NAMES)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("classes", [1, 2, 4])
@pytest.mark.parametrize("ignored", [0.0, 0.3])
def test_each_picture_by_the_formula(formula: str, classes: int, ignored: float) -> None:
    loss, reference = FORMULAS[formula]
    logits, mask = case(classes, ignored=ignored)
    mask[2] = 0  # all background: classes that do not occur
    expected = [reference(pixels(*pair), pair[0]) for pair in zip(logits, mask, strict=True)]
    assert loss(logits, mask, reduction="none").tolist() == pytest.approx(expected, rel=1e-6 if "boundary" in formula else 1e-9)
    assert float(loss(logits, mask)) == pytest.approx(mean(expected), rel=1e-6)
    assert loss(logits.float(), mask, reduction="none").tolist() == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("name", ["bce", "focal", "focal_course", "soft_bce", "total_variation"])
def test_a_softmax_of_two_classes_is_a_sigmoid_of_their_difference(name: str) -> None:
    logits, mask = case(2)
    for alpha in (None, 0.25):
        loss = build(name, alpha=alpha)
        assert float(loss(logits, mask)) == pytest.approx(float(loss(logits[:, 1:] - logits[:, :1], mask)), rel=1e-12)


def test_the_boundary_term_of_two_classes_is_that_of_their_difference() -> None:
    logits, mask = case(2)
    loss = build("boundary", weight=1)
    assert float(loss(logits, mask)) == pytest.approx(float(loss(logits[:, 1:] - logits[:, :1], mask)), rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("room", [1, 500, 2**20])
def test_distances_are_scipys(classes: int, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one piece or row by row; where all pixels have a class, within and without add up to one map."""
    monkeypatch.setattr(boundary_module, "ROOM_CPU", room)
    blobs = F.interpolate(torch.randn(4, classes, 4, 5, generator=torch.Generator().manual_seed(1)), size=(21, 34), mode="bicubic")
    mask = blobs.argmax(1)
    found = outline_distances(mask, classes)
    for row in range(len(mask)):
        for c in range(classes):
            one = mask[row].numpy() == c
            expected = (distance_transform_edt(one) + distance_transform_edt(~one)) / math.hypot(21, 34)
            assert 0 < one.sum() < one.size
            assert np.allclose(found[row, c].numpy(), expected, rtol=1e-6)


def test_distances_without_an_outline_are_the_whole_diagonal() -> None:
    mask = torch.stack([torch.zeros(7, 3), torch.ones(7, 3), torch.full((7, 3), -1)]).long()
    assert torch.equal(outline_distances(mask, 2)[:2], torch.ones(2, 2, 7, 3))
    corner = torch.zeros(1, 30, 40).long()
    corner[0, 0, 0] = 1
    assert float(outline_distances(corner, 2)[0, 1, 29, 39]) == pytest.approx(math.hypot(29, 39) / 50)


def test_without_foreground_overlap_losses_fall_with_what_is_predicted() -> None:
    logits = torch.tensor([-20.0, -2.0, 0.0, 2.0]).view(4, 1, 1, 1).expand(4, 1, 6, 6)
    mask = torch.zeros(4, 6, 6).long()
    for name in ("dice", "tversky", "focal_tversky", "lovasz", "boundary"):
        values = build(name)(logits, mask, reduction="none").tolist()
        assert values == sorted(values) and values[0] < 1e-5 < 0.1 < values[2], name
    for name in ("dice", "tversky", "focal_tversky"):  # without smoothing nothing but none at all is right
        assert build(name, smoothing=0)(logits[1:], mask[1:], reduction="none").tolist() == pytest.approx([1.0] * 3)
        assert float(build(name, smoothing=0)(torch.full((1, 1, 6, 6), -1e4), mask[:1])) == pytest.approx(0, abs=1e-9)


def close(ours: Tensor, theirs: Tensor) -> None:
    assert float(ours) == pytest.approx(float(theirs), rel=1e-6)


def test_smps_binary_losses() -> None:
    """Theirs divide by all of a batch's pixels or sum over the batch, so they are asked one picture at a time."""
    logits, mask = case(1)
    for x, m in zip(torch.split(logits, 1), torch.split(mask, 1), strict=True):
        # Their smoothing is in the numerator once and not twice.
        close(dice(x, m, smoothing=0), smp.DiceLoss("binary", ignore_index=IGNORE)(x, m))
        close(dice(x, m, smoothing=3), smp.DiceLoss("binary", smooth=1.5, ignore_index=IGNORE)(x, m))
        close(tversky(x, m), smp.TverskyLoss("binary", smooth=1, alpha=0.3, beta=0.7, ignore_index=IGNORE)(x, m))
        # Their gamma is the exponent.
        theirs = smp.TverskyLoss("binary", smooth=1, alpha=0.3, beta=0.7, gamma=0.75, ignore_index=IGNORE)
        close(focal_tversky(x, m), theirs(x, m))
        close(focal(x, m, alpha=0.25, gamma=1.5), smp.FocalLoss("binary", alpha=0.25, gamma=1.5, ignore_index=IGNORE)(x, m))
        close(focal(x, m), smp.FocalLoss("binary", ignore_index=IGNORE)(x, m))
        close(lovasz(x, m), smp.LovaszLoss("binary", per_image=True, ignore_index=IGNORE)(x.float(), m))  # theirs mixes types
    logits, mask = case(1, ignored=0)
    # They take the smoothing off each target and we the part spread over both: theirs is half of ours. Theirs counts ignored pixels.
    close(soft_bce(logits, mask, smoothing=0.3), smp.SoftBCEWithLogitsLoss(smooth_factor=0.15)(logits, mask[:, None].double()))
    close(bce(logits, mask), F.binary_cross_entropy_with_logits(logits[:, 0], mask.double()))


def test_smps_losses_of_several_classes() -> None:
    """Only where all classes occur: theirs counts the others as perfect. Their focal loss is one class against the rest, ours a softmax."""
    logits, mask = case(3)
    for x, m in zip(torch.split(logits, 1), torch.split(mask, 1), strict=True):
        close(dice(x, m, smoothing=0), smp.DiceLoss("multiclass", ignore_index=IGNORE)(x, m))
        close(tversky(x, m), smp.TverskyLoss("multiclass", smooth=1, alpha=0.3, beta=0.7, ignore_index=IGNORE)(x, m))
        close(lovasz(x, m), smp.LovaszLoss("multiclass", per_image=True, ignore_index=IGNORE)(x.float(), m))  # theirs mixes types
        close(bce(x, m), F.cross_entropy(x, m, ignore_index=IGNORE))
    logits, mask = case(3, ignored=0)
    close(soft_bce(logits, mask, smoothing=0.3), smp.SoftCrossEntropyLoss(smooth_factor=0.3)(logits, mask))


def test_kornias_losses() -> None:
    """Theirs are of each picture too, and of the classes that occur; they have no smoothing in the numerator, so here is none at all."""
    logits, mask = case(3)
    mask[2] = 0
    close(dice(logits, mask, smoothing=0), kornia.dice_loss(logits, mask, "macro", eps=0.0, ignore_index=IGNORE))
    ours = tversky(logits, mask, alpha=0.2, beta=0.9, smoothing=0)
    close(ours, kornia.tversky_loss(logits, mask, 0.2, 0.9, eps=0.0, ignore_index=IGNORE))
    logits, mask = case(3, ignored=0)
    # Theirs is the mean over pixels and classes.
    close(focal(logits, mask, gamma=1.5, alpha=0.3), 3 * kornia.focal_loss(logits, mask, alpha=0.3, gamma=1.5, reduction="mean"))
    close(lovasz(logits[:1], mask[:1]), kornia.lovasz_softmax_loss(logits[:1], mask[:1]))
    logits, mask = case(1, ignored=0)
    theirs = kornia.binary_focal_loss_with_logits(logits, mask[:, None].double(), alpha=0.3, gamma=2.0, reduction="mean")
    close(focal(logits, mask, alpha=0.3), theirs)
    close(lovasz(logits, mask), kornia.lovasz_hinge_loss(logits, mask))
    # Theirs is a sum; a picture of 4 x 5 pixels has 31 pairs.
    varied = total_variation(logits, mask, weight=1) - bce(logits, mask)
    close(varied, kornia.total_variation(logits.sigmoid()).mean() / 31)


def test_the_boundary_term_teaches_as_kervadecs() -> None:
    """Their mean of signed distance times probability differs by a constant of the truth: values apart, gradients equal."""
    logits, mask = case(1, pictures=1, size=(9, 11), ignored=0)
    logits.requires_grad_()
    one = mask[0].numpy() == 1
    signed = torch.from_numpy(distance_transform_edt(~one) - distance_transform_edt(one)) / math.hypot(9, 11)
    (expected,) = torch.autograd.grad((signed * logits.sigmoid()[0, 0]).mean(), logits)
    (gradient,) = torch.autograd.grad(boundary(logits, mask, weight=1), logits)
    assert torch.allclose(gradient, expected, rtol=1e-6)
