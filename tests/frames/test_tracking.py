"""The tracker follows drawn things, says when it has lost them, finds them again, and refuses what has nothing to follow."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from zoo.errors import DataError
from zoo.frames.region import Corners, parsed, within
from zoo.frames.tracking import Tracker
from zoo.frames.video import Picture


@cache
def ground(seed: int = 9) -> Picture:
    """Soft clouds of colour."""
    noise = np.random.default_rng(seed).integers(0, 256, (240, 320, 3), np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 5).astype(np.float32)
    return ((blurred - blurred.min()) / np.ptp(blurred) * 140 + 60).astype(np.uint8)


def scene(left: int, top: int, side: int = 30, plain: bool = False, seed: int = 3) -> Picture:
    """A square of 6 by 6 colours, or of one."""
    thing = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    made = ground().copy()
    made[top : top + side, left : left + side] = (250, 20, 20) if plain else cv2.resize(thing, (side, side))
    return made


def overlap(one: Corners, other: Corners) -> float:
    wide, tall = (min(one[place + 2], other[place + 2]) - max(one[place], other[place]) for place in (0, 1))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return (both := max(0.0, wide) * max(0.0, tall)) / (sum(areas) - both)


def box(left: int, top: int, side: int = 30) -> Corners:
    return float(left), float(top), float(left + side), float(top + side)


@pytest.mark.parametrize("plain", [False, True])
def test_a_square_that_moves_is_followed(plain: bool) -> None:
    places = [(20 + 5 * step, int(100 + 60 * np.sin(step / 8))) for step in range(45)]
    tracker = Tracker(scene(*places[0], plain=plain), box(*places[0]))
    found = [tracker.update(scene(*place, plain=plain)) for place in places[1:]]
    assert all(each is not None and overlap(each, box(*place)) > 0.8 for each, place in zip(found, places[1:], strict=True))


def test_what_comes_nearer_grows() -> None:
    tracker = Tracker(scene(100, 80), box(100, 80))
    for step in range(1, 40):
        side = 30 + round(0.7 * step)
        found = tracker.update(scene(100, 80, side))
        assert found is not None and overlap(found, box(100, 80, side)) > 0.8, step


def test_what_slowly_changes_is_followed() -> None:
    before, after = (scene(100, 80, seed=seed).astype(np.float32) for seed in (3, 4))
    tracker = Tracker(before.astype(np.uint8), box(100, 80))
    for share in np.linspace(0, 1, 50):
        found = tracker.update(((1 - share) * before + share * after).astype(np.uint8))
        assert found is not None and overlap(found, box(100, 80)) > 0.8, share


def test_what_is_gone_is_lost_and_found_again() -> None:
    tracker = Tracker(scene(100, 80), box(100, 80))
    assert tracker.update(scene(104, 80)) is not None
    assert [tracker.update(ground()) for _ in range(4)] == [None] * 4 and tracker.score < 0.65
    found = tracker.update(scene(150, 100))
    assert found is not None and overlap(found, box(150, 100)) > 0.9


def test_the_box_stays_in_the_picture() -> None:
    tracker = Tracker(scene(20, 100), box(20, 100))
    for left in (14, 8, 2, -4, -8):
        picture = scene(8, 100) if left < 0 else scene(left, 100)
        found = tracker.update(
            np.ascontiguousarray(np.pad(picture[:, 8 - left :], ((0, 0), (0, 8 - left), (0, 0)))) if left < 0 else picture
        )
        assert found is not None and found[0] == pytest.approx(max(0, left), abs=2) and found[0] >= 0 and found[2] <= 320


def test_nothing_to_follow_is_refused() -> None:
    with pytest.raises(DataError, match=r"the box 10,10,60,60 is of one colour, with nothing to follow; draw it around something"):
        Tracker(np.full((100, 100, 3), 90, np.uint8), (10.0, 10.0, 60.0, 60.0))


def test_what_turns_to_one_colour_is_lost() -> None:
    """Its correlation is not a number, or 1."""
    tracker = Tracker(scene(100, 80), box(100, 80))
    assert tracker.update(np.full((240, 320, 3), 90, np.uint8)) is None and np.isfinite(tracker.score)


def test_a_box_is_cut_to_the_picture() -> None:
    assert within(parsed("10.5,-0,300,40.2"), 200, 100, "a") == (10, 0, 200, 41)
    with pytest.raises(DataError, match="a: the box 200,0,210,9 lies outside of its 200x100 pixels"):
        within(parsed("200,0,210,9"), 200, 100, "a")
