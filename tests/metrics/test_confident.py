"""Confident learning: changed labels are found out of fold, groups stay together, and what cannot be judged is not."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.metrics import confident
from zoo.metrics.confident import Doubles, Ints


def test_the_confident_joint_by_hand() -> None:
    """Thresholds are 0.6 and 0.7: row 2 reaches that of class 1, row 3 is likelier of class 1 but does not."""
    p: Doubles = np.array([[0.9, 0.1], [0.8, 0.2], [0.25, 0.75], [0.45, 0.55], [0.1, 0.9], [0.5, 0.5]])
    found = confident.issues(p, np.array([0, 0, 0, 0, 1, 1]))
    assert [(each.row, each.suggested, each.confident) for each in found] == [(2, 1, True), (3, 1, False)]
    assert [each.margin for each in found] == pytest.approx([0.5, 0.1])


def test_what_was_not_judged_is_no_issue() -> None:
    p: Doubles = np.array([[np.nan, np.nan], [0.9, 0.1], [0.2, 0.8]])
    assert confident.issues(p, np.array([0, 0, 1])) == []
    assert confident.issues(p[:1], np.array([0])) == []


def blobs(count: int, classes: int, width: int = 300) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float32]], Ints]:
    dice = np.random.default_rng(0)
    labels = np.arange(count) % classes
    vectors = dice.normal(0, 1, (count, width)).astype(np.float32)
    vectors[np.arange(count), labels] += 12
    return vectors, labels


def test_changed_labels_are_found_with_the_right_one() -> None:
    vectors, labels = blobs(120, 3, 20)
    given, changed = labels.copy(), np.array([4, 40, 77, 101])
    given[changed] = (labels[changed] + 1) % 3
    found = confident.issues(confident.held_out(vectors, given, np.arange(120), 3), given)
    assert {each.row for each in found[:4]} == set(changed.tolist())
    assert all(each.suggested == labels[each.row] for each in found[:4]) and found[0].confident


def test_copies_do_not_vouch_for_each_other() -> None:
    """Each of 20 noise vectors stands four times in the data under one label: only in groups is it unknown."""
    dice = np.random.default_rng(1)
    vectors, labels = np.repeat(dice.normal(0, 1, (20, 400)), 4, 0).astype(np.float32), np.repeat(dice.integers(0, 2, 20), 4)
    alone = confident.held_out(vectors, labels, np.arange(80), 2)
    grouped = confident.held_out(vectors, labels, np.repeat(np.arange(20), 4), 2)
    right = [float((p.argmax(1) == labels).mean()) for p in (alone, grouped)]
    assert right[0] > 0.95 and right[1] < 0.9


def test_a_class_of_one_group_judges_nobody() -> None:
    vectors, labels = blobs(60, 3)
    groups = np.where(labels == 2, 1000, np.arange(60))
    found = confident.held_out(vectors, labels, groups, 3)
    assert np.isnan(found[labels == 2]).all() and np.isfinite(found[labels != 2]).any()
    assert not {each.row for each in confident.issues(found, labels)} & set(np.flatnonzero(labels == 2).tolist())


def test_fewer_vectors_than_numbers_are_turned_and_lose_nothing() -> None:
    vectors, _ = blobs(30, 3)
    narrow = confident._narrowed(vectors)
    standard = (vectors - vectors.mean(0)) / vectors.std(0)
    assert narrow.shape == (30, 30) and np.allclose(narrow @ narrow.T, standard @ standard.T, rtol=1e-3, atol=0.2)
    assert confident._narrowed(blobs(400, 3)[0]).shape == (400, confident.WIDTH)
