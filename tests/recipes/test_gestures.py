"""The gesture recipe: the published network, training and label tables."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from zoo import build
from zoo.datasets.gestures import GESTURES, HAGRID, HANDS
from zoo.datasets.transforms import augmentation
from zoo.recipe import Recipe
from zoo.sections import SGD, Plateau
from zoo.spec import DataSpec

FILE = Path(__file__).resolve().parent.parent.parent / "recipes" / "gestures_resnet18.yaml"


def read(*changes: str) -> Recipe:
    return Recipe.read(FILE, ["backbone.pretrained=false", "data.synthetic=never", *changes])


def test_the_network_has_the_published_size() -> None:
    with torch.device("meta"):  # only their shapes
        task = build.task(read(), DataSpec(3, (224, 224), GESTURES))
    assert sum(weight.numel() for weight in task.parameters()) == 11_181_642
    assert "11,181,642" in FILE.read_text(encoding="utf-8")


def test_training_is_as_published() -> None:
    recipe = read()
    train, schedule = recipe.train, recipe.train.schedule
    assert (train.epochs, train.batch_size, train.lr) == (100, 16, 1e-3)
    assert isinstance(train.optimizer, SGD) and (train.optimizer.momentum, train.optimizer.weight_decay) == (0.9, 0.0)
    assert isinstance(schedule, Plateau) and (schedule.metric, schedule.mode) == ("train/loss", "min")
    assert (schedule.factor, schedule.patience) == (0.1, 10)
    assert (recipe.monitor.metric, recipe.monitor.mode) == ("val/f1_weighted", "max")
    assert (recipe.data.size, recipe.data.fit, recipe.split.by) == (224, "squash", "auto")
    assert [(step.name, step.p) for step in recipe.data.augment] == [("color", 0.8), ("affine", 0.8)]


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_both_losses_can_be_had(loss: str) -> None:
    task = build.task(read(f"task.loss={loss}"), DataSpec(3, (32, 32), GESTURES))
    assert (task.loss, task.gamma, task.alpha) == (loss, 2.0, 1.0)


def test_tables_are_those_of_the_original() -> None:
    data = read().data
    assert tuple(data.labels) == GESTURES
    assert data.sources == {"hands": dict(HANDS), "hagrid": dict(HAGRID), "recorded": "gestures"}
    expected = {"One": "ONE", "Six": "THREE", "Punch": "FIST", "Nine": "OKEY", "Horiz": "BACKGROUND", "Collab": None}
    assert {name: data.sources["hands"][name] for name in expected} == expected
    others = {"mute": "ONE", "peace_inverted": "TWO", "three2": "THREE", "stop": "FIVE", "rock": "BACKGROUND", "no_gesture": "BACKGROUND"}
    assert {name: data.sources["hagrid"][name] for name in others} == others


def test_four_of_five_pictures_are_augmented_by_each() -> None:
    """Five hundred pictures: 0.8 give or take four standard deviations."""
    for step in read().data.augment:
        change, picture = augmentation([step]), torch.arange(3 * 16 * 16, dtype=torch.uint8).reshape(3, 16, 16)
        assert change is not None
        torch.manual_seed(0)
        changed = sum(not torch.equal(change(picture), picture) for _ in range(500))
        assert 0.73 < changed / 500 < 0.87, step.name
