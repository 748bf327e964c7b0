"""Logistic regression: what it chooses, that it looks at nothing else, and that its work is bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from zoo.metrics import linear_probe


def vectors(count: int, width: int, told: int, strength: float, seed: int = 0) -> tuple[Any, Any]:
    """Vectors (count, width) float32 of three classes that only the first `told` features tell apart, and the classes."""
    dice = np.random.default_rng(seed)
    labels = dice.integers(0, 3, count)
    found = dice.normal(size=(count, width))
    found[:, :told] += strength * np.random.default_rng(99).normal(size=(3, told))[labels]
    return found.astype(np.float32), labels


def test_it_learns_and_is_scikit_learns() -> None:
    x, y = vectors(240, 12, 12, 0.6)
    held, truth = vectors(120, 12, 12, 0.6, seed=1)
    probe = linear_probe.fit(x, y, np.arange(240))
    assert probe.searched and probe.fitted == 240 and probe.c in linear_probe.CS
    assert (probe.predict(held) == truth).mean() > 0.7
    if probe.l1_ratio == 0:
        mean, scale = x.mean(0), x.std(0)
        other = LogisticRegression(C=probe.c, max_iter=200).fit((x - mean) / scale, y)
        assert probe.predict(held).tolist() == other.predict((held - mean) / scale).tolist()


def test_units_of_features_do_not_count() -> None:
    x, y = vectors(120, 8, 8, 0.6)
    scale = np.logspace(-3, 3, 8).astype(np.float32)
    one, other = linear_probe.fit(x, y, np.arange(120)), linear_probe.fit(x * scale + 7, y, np.arange(120))
    assert (one.c, one.l1_ratio) == (other.c, other.l1_ratio)
    assert (one.predict(x) == other.predict(x * scale + 7)).mean() > 0.98


def test_few_features_among_many_want_absolute_values() -> None:
    x, y = vectors(150, 200, 3, 1.4)
    probe = linear_probe.fit(x, y, np.arange(150))
    assert probe.l1_ratio == 0.5
    assert (probe.model.coef_ == 0).mean() > 0.3, "most features tell nothing"


def test_a_feature_that_never_changes() -> None:
    x, y = vectors(60, 5, 5, 1.0)
    x[:, 2] = 4
    assert (linear_probe.fit(x, y, np.arange(60)).predict(x) == y).mean() > 0.6


def test_equal_scores_take_the_simplest() -> None:
    y = np.arange(90) % 3
    x = np.eye(3, dtype=np.float32)[y]
    assert linear_probe.search(x, y, np.arange(90)) == (0.001, 0.0)


def test_groups_stay_together() -> None:
    dice = np.random.default_rng(0)
    groups = np.arange(60) // 4
    for learn, held in linear_probe._folds(dice.integers(0, 3, 15)[groups], groups, 0):
        assert not set(groups[learn]) & set(groups[held]) and len(held)
    assert len(list(linear_probe._folds(dice.integers(0, 3, 15)[groups], groups, 0))) == 3


@pytest.mark.parametrize(
    ("labels", "groups"),
    [([0, 0, 0, 1, 1, 1], [5] * 6), ([0, 1], [0, 1]), ([0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1])],
)
def test_too_little_to_hold_out(labels: list[int], groups: list[int]) -> None:
    """One group, one vector a class, or a group a class: nothing is searched, and something is fitted."""
    y = np.array(labels)
    probe = linear_probe.fit(np.eye(2, dtype=np.float32)[y], y, np.array(groups))
    assert not probe.searched and (probe.c, probe.l1_ratio) == (0.01, 0.0)
    assert probe.predict(np.eye(2, dtype=np.float32)).tolist() == [0, 1]


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="all 4 training vectors are of one class"):
        linear_probe.fit(np.zeros((4, 2), np.float32), np.full(4, 7), np.arange(4))


def test_classes_keep_their_numbers() -> None:
    y = np.array([2, 9] * 20)
    x = np.where(y == 2, -1.0, 1.0)[:, None].astype(np.float32)
    assert set(linear_probe.fit(x, y, np.arange(40)).predict(x).tolist()) == {2, 9}


def test_a_draw_keeps_shares() -> None:
    labels = np.repeat([0, 1, 2], [800, 150, 50])
    rows = linear_probe.drawn(labels, 100, 0)
    assert len(set(rows.tolist())) == 100 and np.bincount(labels[rows]).tolist() == pytest.approx([80, 15, 5], abs=1)
    assert not np.array_equal(rows, linear_probe.drawn(labels, 100, 1))
    assert linear_probe.drawn(labels, 1000, 0).tolist() == list(range(1000))


def test_the_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    plain = linear_probe._quietly
    monkeypatch.setattr(
        linear_probe, "_quietly", lambda model, x, y: (seen.append((len(x), model.solver, model.max_iter)), plain(model, x, y))
    )
    monkeypatch.setattr(linear_probe, "SEARCHED", 60)
    monkeypatch.setattr(linear_probe, "FITTED", 90)
    monkeypatch.setattr(linear_probe, "BUDGET", 40 * 6 * 3 * 5)
    x, y = vectors(120, 6, 6, 1.0)
    probe = linear_probe.fit(x, y, np.arange(120))
    assert probe.fitted == 90 and seen[-1][0] == 90 and max(count for count, _, _ in seen[:-1]) <= 41
    assert {passes for _, solver, passes in seen[:-1] if solver == "saga"} <= {4, 5}
    assert linear_probe._passes(1.5e8, 10**6, 1280, 1000) == 3 and linear_probe._passes(1.5e8, 10, 2, 2) == 200
