"""Metrics against a published confusion matrix and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from zoo.metrics.classification import ClassificationScores, per_class, scores
from zoo.metrics.mean import Mean

# Ten static hand gestures, 9,918 crops, a ResNet18: rows truth, columns prediction.
GESTURES = np.array(
    [
        [1159, 4, 0, 0, 0, 0, 1, 4, 0, 0],
        [282, 678, 45, 1, 0, 0, 0, 1, 0, 0],
        [12, 3, 823, 145, 0, 0, 0, 0, 0, 0],
        [42, 0, 30, 1390, 27, 0, 0, 0, 0, 0],
        [22, 0, 0, 61, 769, 55, 0, 0, 0, 3],
        [0, 0, 2, 12, 38, 1154, 0, 0, 0, 0],
        [272, 1, 0, 0, 0, 0, 471, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 663, 0, 0],
        [144, 13, 2, 4, 0, 0, 0, 0, 615, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 969],
    ]
)


def test_the_gestures() -> None:
    found = scores(GESTURES)
    assert found["f1_weighted"] == pytest.approx(0.8784950, abs=5e-8)
    assert found["f1_macro"] == pytest.approx(0.88007, abs=5e-6)
    assert found["accuracy"] == found["f1_micro"] == pytest.approx(0.87629, abs=5e-6)
    classes = per_class(GESTURES)
    assert classes.f1.round(3).tolist() == [0.747, 0.795, 0.873, 0.896, 0.882, 0.956, 0.775, 0.995, 0.883, 0.998]
    assert classes.precision[0] == pytest.approx(0.599, abs=5e-4)
    assert classes.support.tolist() == [1168, 1007, 983, 1489, 910, 1206, 744, 664, 778, 969]


def test_the_gestures_through_the_metric() -> None:
    truth, said = (torch.as_tensor(np.repeat(index, GESTURES.flatten())) for index in np.divmod(np.arange(100), 10))
    metric = ClassificationScores(10)
    metric.update({"probabilities": torch.nn.functional.one_hot(said, 10).float()}, {"label": truth})
    assert np.array_equal(metric.confusion.numpy(), GESTURES)
    assert metric.compute()["f1_weighted"] == pytest.approx(0.8784950, abs=5e-8)


@pytest.mark.parametrize("seed", range(30))
def test_equal_to_scikit_learn(seed: int) -> None:
    """Some classes do not occur in truth, some not in predictions, some in neither."""
    dice = np.random.default_rng(seed)
    classes = int(dice.integers(2, 12))
    occurring = dice.choice(classes, size=int(dice.integers(1, classes + 1)), replace=False)
    truth = dice.choice(occurring, size=50)
    said = np.where(dice.random(50) < 0.5, truth, dice.integers(0, classes, size=50))
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (truth, said), 1)
    found = scores(confusion)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, said))
    for average in ("macro", "micro", "weighted"):
        assert found[f"f1_{average}"] == pytest.approx(sk.f1_score(truth, said, average=average, zero_division=0)), average
    classwise = per_class(confusion)
    expected = sk.precision_recall_fscore_support(truth, said, labels=range(classes), zero_division=0)
    for ours, theirs in zip((classwise.precision, classwise.recall, classwise.f1, classwise.support), expected, strict=True):
        assert ours == pytest.approx(theirs)


@pytest.mark.parametrize("size", [1, 2, 7, 50])
def test_the_batch_size_does_not_matter(size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(50, 6, generator=generator).softmax(1)
    label = torch.randint(6, (50,), generator=generator)
    losses = 1e3 * torch.rand(50, generator=generator)
    whole, parts = (ClassificationScores(6), Mean("losses")), (ClassificationScores(6), Mean("losses"))
    for metric in whole:
        metric.update({"probabilities": probabilities, "losses": losses}, {"label": label})
    for rows in torch.arange(50).split(size):
        for metric in parts:
            metric.update({"probabilities": probabilities[rows], "losses": losses[rows]}, {"label": label[rows]})
    assert parts[0].compute() == whole[0].compute()
    assert float(parts[1].compute()) == pytest.approx(float(whole[1].compute()), rel=1e-12)
    assert float(whole[1].compute()) == pytest.approx(float(losses.double().mean()), rel=1e-12)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_measured_is_nan() -> None:
    assert all(math.isnan(value) for value in scores(np.zeros((3, 3))).values())
    assert set(scores(np.zeros((3, 3)))) == set(scores(np.eye(3)))
    assert math.isnan(float(Mean("losses").compute()))


def test_perfect_and_hopeless() -> None:
    assert set(scores(np.eye(4) * 5).values()) == {1.0}
    assert set(scores(np.roll(np.eye(4) * 5, 1, axis=1)).values()) == {0.0}


def test_a_label_outside_of_the_classes_is_refused() -> None:
    """It would be counted in another cell, or the sum would fail without saying why."""
    metric = ClassificationScores(3)
    for label in (3, -1):
        with pytest.raises(ValueError, match=f"label {label}.*0 to 2"):
            metric.update({"probabilities": torch.eye(3)[:1]}, {"label": torch.tensor([label])})


def test_many_samples_lose_nothing() -> None:
    metric = Mean("losses")
    for _ in range(20):
        metric.update({"losses": torch.full((100_000,), 0.1)}, {})
    assert float(metric.compute()) == pytest.approx(0.1, rel=1e-7)
