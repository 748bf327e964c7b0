"""Metrics of masks against scikit-learn and against loops over pictures, pixels and thresholds."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn import metrics as sk
from torch import Tensor

from zoo.errors import DataError
from zoo.metrics.segmentation import (
    THRESHOLDS,
    MeanOverMasks,
    SegmentationScores,
    accuracies,
    confusions,
    group_means,
    overlaps,
    per_class,
    per_picture,
    swept_confusions,
    thresholded_iou,
)

Mask = npt.NDArray[np.int64]
NAMES = {"iou", "iou_pooled", "iou_thresholded", "dice", "pixel_accuracy", "mean_pixel_accuracy"}


def drawn(seed: int, classes: int, pictures: int = 6, side: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities (B, K, H, W), decided masks and truth; some classes do not occur, a fifth of the pixels has no truth.

    The first picture has only background in truth and prediction, the last no truth at all.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (pictures, side, side)
    occurring = torch.randperm(classes, generator=generator)[: max(2, classes - 1)]
    truth = occurring[torch.randint(len(occurring), shape, generator=generator)]
    scores = torch.randn(pictures, classes, side, side, generator=generator)
    scores.scatter_add_(1, truth[:, None], torch.ones(pictures, 1, side, side))
    scores[0], truth[0] = torch.tensor([9.0] + [0.0] * (classes - 1))[:, None, None], 0
    truth[torch.rand(shape, generator=generator) < 0.2] = 255
    truth[-1] = 255
    probabilities = scores.softmax(1)
    if classes == 2:
        probabilities = probabilities[:, 1:]
        return probabilities, (probabilities[:, 0] >= 0.5).to(torch.uint8), truth
    return probabilities, probabilities.argmax(1).to(torch.uint8), truth


def measured(classes: int, probabilities: Tensor, said: Tensor, truth: Tensor, size: int = 100) -> SegmentationScores:
    metric = SegmentationScores(classes)
    for part, decided, mask in zip(probabilities.split(size), said.split(size), truth.split(size), strict=True):
        metric.update({"probabilities": part, "mask": decided}, {"mask": mask})
    return metric


def by_hand(said: Mask, truth: Mask, classes: int) -> tuple[float, float, float]:
    """IoU, Dice and thresholded IoU of one picture, in fractions; over the classes that occur, or of class 1 of two."""
    said, truth = said[truth != 255], truth[truth != 255]
    occurring = [c for c in range(classes) if (said == c).any() or (truth == c).any()]
    found: list[tuple[Fraction, Fraction, Fraction]] = []
    for c in [1] if classes == 2 else occurring:
        hit, union = int(((said == c) & (truth == c)).sum()), int(((said == c) | (truth == c)).sum())
        iou = Fraction(hit, union) if union else Fraction(1)
        steps = math.ceil(min(max(20 * (iou - Fraction(1, 2)), Fraction(0)), Fraction(10)))
        found.append((iou, 2 * iou / (1 + iou), Fraction(steps, 10)))
    iou, dice, thresholded = (float(sum(values)) / len(found) for values in zip(*found, strict=True))
    return iou, dice, thresholded


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("seed", range(5))
def test_pooled_equals_scikit_learn(seed: int, classes: int) -> None:
    probabilities, said, truth = drawn(seed, classes)
    metric = measured(classes, probabilities, said, truth)
    valid = (truth != 255).numpy()
    y, x = truth.numpy()[valid], said.numpy()[valid]
    assert np.array_equal(metric.confusion.numpy(), sk.confusion_matrix(y, x, labels=range(classes)))
    found = metric.compute()
    assert set(found) == NAMES
    assert found["iou_pooled"] == pytest.approx(sk.jaccard_score(y, x, average="binary" if classes == 2 else "macro"))
    assert found["pixel_accuracy"] == pytest.approx(sk.accuracy_score(y, x))
    present = np.unique(y)  # scikit-learn's balanced accuracy warns where a class is said but never true
    assert found["mean_pixel_accuracy"] == pytest.approx(sk.recall_score(y, x, labels=present, average="macro"))
    table = per_class(metric.confusion.numpy())
    for c in range(classes):
        occurs = bool((y == c).any() or (x == c).any())
        for ours, theirs in (
            (table.iou, sk.jaccard_score),
            (table.dice, sk.f1_score),
            (table.precision, sk.precision_score),
            (table.recall, sk.recall_score),
        ):
            if occurs and not math.isnan(ours[c]):
                assert ours[c] == pytest.approx(theirs(y == c, x == c))
        assert math.isnan(table.iou[c]) == math.isnan(table.dice[c]) == (not occurs)
        assert math.isnan(table.recall[c]) == (not (y == c).any())
        assert math.isnan(table.precision[c]) == (not (x == c).any())
        assert table.pixels[c] == (y == c).sum()


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("seed", range(5))
def test_each_picture_by_hand(seed: int, classes: int) -> None:
    probabilities, said, truth = drawn(seed, classes)
    expected = [by_hand(s, t, classes) for s, t in zip(said.numpy(), truth.numpy(), strict=True) if (t != 255).any()]
    assert len(expected) == len(truth) - 1
    found = per_picture(said, truth, classes)
    mean = measured(classes, probabilities, said, truth).compute()
    for place, name in enumerate(("iou", "dice", "iou_thresholded")):
        values = [values[place] for values in expected]
        assert found[name].dtype == torch.float64
        assert found[name][:-1].tolist() == pytest.approx(values)
        assert math.isnan(found[name][-1])
        assert mean[name] == pytest.approx(float(np.mean(values)))
    # The first picture is background only, truly and predicted: of two classes its empty foreground is 1, of more the background is.
    assert [float(value[0]) for value in found.values()] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("size", [1, 2, 4, 5])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_batch_size_does_not_matter(size: int, classes: int) -> None:
    probabilities, said, truth = drawn(0, classes, pictures=9)
    whole, parts = measured(classes, probabilities, said, truth), measured(classes, probabilities, said, truth, size)
    assert torch.equal(whole.confusion, parts.confusion)
    assert parts.compute() == pytest.approx(whole.compute(), rel=1e-14)
    one, other = whole.sweep(), parts.sweep()
    if classes == 2:
        assert one is not None
        assert other is not None
        assert other.iou == pytest.approx(one.iou, rel=1e-14)
        assert other.dice == pytest.approx(one.dice, rel=1e-14)
    else:
        assert one is other is None


@pytest.mark.parametrize("seed", range(5))
def test_the_sweep_is_a_pass_for_each_threshold(seed: int) -> None:
    probabilities, said, truth = drawn(seed, 2)
    metric = measured(2, probabilities, said, truth)
    sweep = metric.sweep()
    assert sweep is not None
    assert sweep.thresholds.tolist() == list(THRESHOLDS)
    assert [f"{threshold:.2f}" for threshold in THRESHOLDS] == [f"{step / 100:.2f}" for step in range(5, 100, 5)]
    for place, threshold in enumerate(THRESHOLDS):
        alone = measured(2, probabilities, (probabilities[:, 0] >= threshold).to(torch.uint8), truth).compute()
        assert sweep.iou[place] == pytest.approx(alone["iou"])
        assert sweep.dice[place] == pytest.approx(alone["dice"])
    assert sweep.iou[9] == pytest.approx(metric.compute()["iou"])


def test_a_probability_at_the_threshold_is_foreground() -> None:
    """At every threshold, and exactly as `probabilities >= threshold` decides in float32."""
    thresholds = torch.tensor(THRESHOLDS, dtype=torch.float64)
    at = torch.tensor(THRESHOLDS)
    below = torch.nextafter(at, torch.zeros(()))
    probability = torch.stack((at, below), 1)[:, None]  # nineteen pictures of two pixels
    counts = swept_confusions(probability, torch.ones(19, 1, 2, dtype=torch.int64), thresholds)
    for place, threshold in enumerate(THRESHOLDS):
        assert (probability[place] >= threshold).tolist() == [[True, False]]
        assert counts[place, place].tolist() == [[0, 0], [1, 1]]
    assert swept_confusions(torch.tensor([[[0.0, 1.0, 1.0]]]), torch.tensor([[[1, 1, 255]]]), thresholds)[0].unique(dim=0).tolist() == [
        [[0, 0], [1, 1]]
    ]


def test_thresholds_of_ones_own() -> None:
    metric = SegmentationScores(2, thresholds=(0.1, 0.9))
    truth = torch.tensor([[[1, 1, 0, 0]]])
    probability = torch.tensor([[[[0.95, 0.2, 0.2, 0.05]]]])
    metric.update({"probabilities": probability, "mask": (probability[:, 0] >= 0.5).byte()}, {"mask": truth})
    sweep = metric.sweep()
    assert sweep is not None
    assert sweep.iou.tolist() == pytest.approx([2 / 3, 1 / 2])
    assert sweep.dice.tolist() == pytest.approx([4 / 5, 2 / 3])
    for wrong in ((0.5, 0.1), (0.5, 0.5)):
        with pytest.raises(ValueError, match="expected ascending numbers"):
            SegmentationScores(2, thresholds=wrong)


def test_the_thresholded_iou_is_exact_at_its_steps() -> None:
    """0.1 up to an IoU of exactly 0.55, 0.2 just above: in floating point 20 * (0.55 - 0.5) is 1.0000000000000009."""
    union = 20_000
    for step in range(-10, 11):
        hit = torch.tensor([1000 * (10 + step) - 1, 1000 * (10 + step), 1000 * (10 + step) + 1]).clamp(0, union)
        here = max(step, 0) / 10
        above = min(max(step + 1, 0), 10) / 10
        found = thresholded_iou(hit, torch.full((3,), union)).tolist()
        assert found == [0.0 if step == -10 else here, here, above], step
    assert math.ceil(20 * (0.55 - 0.5)) == 2  # what this guards against
    assert thresholded_iou(torch.tensor(0), torch.tensor(0)) == 1


def test_thresholded_iou_is_the_share_of_thresholds_surpassed() -> None:
    union = 97
    for hit in range(union + 1):
        surpassed = sum(Fraction(hit, union) > Fraction(50 + 5 * step, 100) for step in range(10))
        assert float(thresholded_iou(torch.tensor(hit), torch.tensor(union))) == surpassed / 10


def test_empty_masks() -> None:
    """Nothing there and nothing said is right; one of them empty is 0."""
    empty, full = torch.zeros(1, 4, 4, dtype=torch.int64), torch.ones(1, 4, 4, dtype=torch.int64)
    for said, truth, value in ((empty, empty, 1.0), (empty, full, 0.0), (full, empty, 0.0), (full, full, 1.0)):
        found = {name: float(values) for name, values in per_picture(said, truth, 2).items()}
        assert found == dict.fromkeys(("iou", "dice", "iou_thresholded"), value)
    metric = measured(2, torch.zeros(1, 1, 4, 4), empty, empty)
    assert metric.compute() == dict.fromkeys(NAMES, 1.0)


def test_a_picture_without_truth_counts_nowhere() -> None:
    probabilities, said, truth = drawn(3, 2)
    with_it, without = measured(2, probabilities, said, truth), measured(2, probabilities[:-1], said[:-1], truth[:-1])
    assert with_it.compute() == without.compute()
    assert int(with_it.pictures) == len(truth) - 1
    one, other = with_it.sweep(), without.sweep()
    assert one is not None
    assert other is not None
    assert one.iou.tolist() == other.iou.tolist()


def test_the_mean_loss_leaves_pictures_without_truth_out() -> None:
    mask = torch.zeros(4, 3, 3, dtype=torch.int64)
    mask[1] = 255
    mask[2, 1:] = 255  # one row of truth is enough
    mean = MeanOverMasks("losses")
    mean.update({"losses": torch.tensor([1.0, 0.0, 2.0, 6.0])}, {"mask": mask})
    mean.update({"losses": torch.zeros(1)}, {"mask": mask[1:2]})
    assert mean.compute() == 3
    with pytest.raises(DataError, match="`losses` cannot be measured"):
        mean.update({}, {})


def test_nothing_measured_is_nan() -> None:
    metric = measured(3, torch.rand(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.uint8), torch.full((1, 2, 2), 255))
    found = metric.compute()
    assert set(found) == NAMES
    assert all(math.isnan(value) for value in found.values())


def test_perfect_and_hopeless() -> None:
    for classes in (2, 5):
        truth = torch.arange(classes).expand(2, 3, classes)
        probabilities = torch.rand(2, classes if classes > 2 else 1, 3, classes)
        assert measured(classes, probabilities, truth, truth).compute() == dict.fromkeys(NAMES, 1.0)
        assert measured(classes, probabilities, (truth + 1) % classes, truth).compute() == dict.fromkeys(NAMES, 0.0)


def test_one_picture_weighs_as_much_as_another() -> None:
    """Per picture and pooled differ: the small lesion is missed, the large one found."""
    truth = torch.zeros(2, 10, 10, dtype=torch.int64)
    truth[0], truth[1, 0, 0] = 1, 1
    said = truth.clone()
    said[1] = 0
    found = measured(2, said[:, None].float(), said, truth).compute()
    assert found["iou"] == found["dice"] == found["iou_thresholded"] == 0.5
    assert found["iou_pooled"] == pytest.approx(100 / 101)
    assert found["pixel_accuracy"] == pytest.approx(199 / 200)
    assert found["mean_pixel_accuracy"] == pytest.approx((1 + 100 / 101) / 2)


@pytest.mark.parametrize("value", [3, 254, -1])
def test_a_value_that_is_no_class_is_refused(value: int) -> None:
    good, bad = torch.zeros(1, 2, 2, dtype=torch.int64), torch.tensor([[[0, value], [255, 0]]])
    predictions: dict[str, Any] = {"probabilities": torch.rand(1, 3, 2, 2), "mask": good}
    with pytest.raises(ValueError, match=rf"mask value {value}: expected a class from 0 to 2"):
        SegmentationScores(3).update(predictions, {"mask": bad})
    with pytest.raises(ValueError, match=rf"^mask value {value}:"):
        per_picture(good, bad, 3)
    with pytest.raises(ValueError, match=rf"^predicted mask value {value}:"):
        per_picture(torch.tensor([[[0, value], [0, 0]]]), good, 3)
    with pytest.raises(ValueError, match=r"^predicted mask value 255:"):
        per_picture(torch.full((1, 2, 2), 255), good, 3)


def test_a_number_of_classes_that_makes_no_sense_is_refused() -> None:
    for classes in (1, 256):
        with pytest.raises(ValueError, match=f"{classes} classes: expected 2 .* to 255"):
            SegmentationScores(classes)


def test_counts_of_each_picture_and_integer_types() -> None:
    said, truth = torch.tensor([[[0, 1]], [[1, 1]]]), torch.tensor([[[1, 1]], [[255, 0]]])
    expected = [[[0, 0], [1, 1]], [[0, 1], [0, 0]]]
    for kind in (torch.uint8, torch.int32, torch.int64):
        counts = confusions(said.to(kind), truth.to(kind), 2)
        assert counts.tolist() == expected
        assert counts.dtype == torch.int64
    assert confusions(said.byte(), torch.full((2, 1, 2), 254, dtype=torch.uint8).fill_(7), 2, ignore=7).sum() == 0
    many = torch.full((1, 1, 2), 200, dtype=torch.uint8)  # 200 * 201 does not fit into a byte
    assert confusions(many, many, 201)[0, 200, 200] == 2


def test_large_numbers_are_exact() -> None:
    """2^24 + 1 pixels are more than float32 can count."""
    counts = torch.tensor([[0, 0], [1, 2**24]])
    assert float(overlaps(counts)["iou"]) == 2**24 / (2**24 + 1)
    assert accuracies(counts)["pixel_accuracy"] == 2**24 / (2**24 + 1)


def test_groups() -> None:
    iou = torch.tensor([0.5, 1.0, 0.25, math.nan, math.nan], dtype=torch.float64)
    means = group_means(["b", "b", "a", "a", "c"], {"iou": iou, "dice": 2 * iou / (1 + iou)})
    assert list(means) == ["a", "b", "c"]
    assert means["a"] == pytest.approx({"pictures": 1, "iou": 0.25, "dice": 0.4})
    assert means["b"] == pytest.approx({"pictures": 2, "iou": 0.75, "dice": (2 / 3 + 1) / 2})
    assert means["c"]["pictures"] == 0
    assert math.isnan(means["c"]["iou"])
    assert group_means([], {"iou": torch.zeros(0)}) == {}
    with pytest.raises(ValueError, match="5 values of iou for 1 groups"):
        group_means(["a"], {"iou": iou})


def test_accuracies_of_one_matrix() -> None:
    found = accuracies(torch.tensor([[8, 2, 0], [1, 1, 0], [0, 0, 0]]))
    assert found == pytest.approx({"pixel_accuracy": 0.75, "mean_pixel_accuracy": 0.65})


def test_states_are_summed_over_processes() -> None:
    """As torchmetrics does it: the states of two processes, stacked and reduced, are those of one that saw everything."""
    probabilities, said, truth = drawn(1, 2)
    whole = measured(2, probabilities, said, truth)
    first = measured(2, probabilities[:2], said[:2], truth[:2])
    second = measured(2, probabilities[2:], said[2:], truth[2:])
    for name, reduce in first._reductions.items():
        assert callable(reduce)
        setattr(first, name, reduce(torch.stack((getattr(first, name), getattr(second, name)))))
    assert first.compute() == pytest.approx(whole.compute(), rel=1e-14)
    one, other = first.sweep(), whole.sweep()
    assert one is not None
    assert other is not None
    assert one.iou == pytest.approx(other.iou, rel=1e-14)
    assert set(first._reductions) == {"confusion", "sums", "swept", "pictures"}
