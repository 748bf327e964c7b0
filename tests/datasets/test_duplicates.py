"""Near duplicates: copies are found however they were saved, other pictures are not, plain ones are left alone."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageEnhance
from torch import Tensor

from zoo.datasets import duplicates, idx
from zoo.datasets.duplicates import FARTHEST, SURE, equal, limit, near, plain, thumbnail
from zoo.datasets.source import Crop, Record

Picture = Image.Image


def scene(seed: int, size: tuple[int, int] = (96, 80)) -> Picture:
    """A picture like no other: patches of many colours."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 255, (6, 7, 3), np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC)


def stacked(pictures: list[Picture]) -> Tensor:
    return torch.stack([thumbnail(picture) for picture in pictures])


def saved(picture: Picture, quality: int) -> Picture:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "saved": lambda picture: saved(picture, 40),
    "smaller": lambda picture: picture.resize((40, 36)),
    "larger": lambda picture: picture.resize((200, 210)),
    "inside": lambda picture: picture.crop((4, 4, 92, 76)),
    "corner": lambda picture: picture.crop((6, 5, 96, 80)),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.6),
    "pale": lambda picture: ImageEnhance.Contrast(picture).enhance(0.6),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found_and_nothing_else(change: str) -> None:
    pictures = [scene(seed) for seed in range(30)] + [CHANGES[change](scene(seed)) for seed in range(0, 20, 2)]
    pairs = near(stacked(pictures))
    assert sorted((pair.first, pair.second) for pair in pairs) == [(2 * place, 30 + place) for place in range(10)]
    assert [pair.distance for pair in pairs] == sorted(pair.distance for pair in pairs)
    assert all(0 <= pair.distance < FARTHEST for pair in pairs)


def test_equal_pictures_are_at_distance_zero_also_in_grey() -> None:
    grey = [scene(seed).convert("L") for seed in (*range(12), 3)]
    (pair,) = near(stacked(grey))
    assert (pair.first, pair.second) == (3, 12) and pair.distance == pytest.approx(0, abs=1e-5)


def test_the_same_in_other_colours_is_another_picture() -> None:
    red, green, blue = scene(3).split()
    assert not near(stacked([*map(scene, range(12)), Image.merge("RGB", (green, blue, red))]))
    turned = np.asarray(scene(3)).astype(int)
    grey = turned @ [0.299, 0.587, 0.114]
    mirrored = np.clip(2 * grey[..., None] - turned, 0, 255).astype(np.uint8)  # about the same grey, complementary colours
    assert not near(stacked([*map(scene, range(12)), Image.fromarray(mirrored)]))


def test_only_pairs_across_parts_where_parts_are_given() -> None:
    pictures = (
        [scene(seed) for seed in range(12)] + [saved(scene(seed), 60) for seed in (1, 2)] + [saved(scene(seed), 50) for seed in (1, 2)]
    )
    parts = ["train"] * 12 + ["train", "val", "val", "val"]
    pairs = {(pair.first, pair.second) for pair in near(stacked(pictures), parts)}
    assert pairs == {(2, 13), (1, 14), (12, 14), (2, 15)}
    assert {(1, 12), (13, 15)} < {(pair.first, pair.second) for pair in near(stacked(pictures))}


def dot(seed: int) -> Picture:
    picture = Image.new("RGB", (64, 64), "white")
    x, y = np.random.default_rng(seed).integers(4, 54, 2).tolist()
    ImageDraw.Draw(picture).rectangle((x, y, x + 5, y + 5), "black")
    return picture


def test_plain_pictures_are_in_no_pair() -> None:
    colours = [Image.new("RGB", (40, 40), (9 * number, 100, 50)) for number in range(20)]
    pictures = colours + [dot(seed) for seed in range(60)] + [scene(seed) for seed in range(5)]
    assert plain(stacked(pictures)).tolist() == [True] * 80 + [False] * 5
    assert near(stacked(pictures)) == []


def test_a_faint_pattern_is_plain_and_a_strong_one_is_not() -> None:
    dice = torch.Generator().manual_seed(0)
    pattern = torch.randint(0, 2, (1, 1, 32, 32), generator=dice, dtype=torch.uint8)
    assert plain(torch.cat([100 + 2 * pattern, 100 + 40 * pattern])).tolist() == [True, False]


def strokes(seed: int) -> Picture:
    """Like a digit: always about the same curve."""
    draw = np.random.default_rng(seed)
    picture = Image.new("L", (56, 56))
    points = np.array([(14, 12), (28, 8), (40, 20), (28, 30), (16, 46), (42, 46)]) + draw.normal(0, 3.0, (6, 2))
    ImageDraw.Draw(picture).line([(float(x), float(y)) for x, y in points], 255, 5)
    return picture


def test_the_limit_is_lower_where_all_pictures_are_alike() -> None:
    alike, different = stacked([strokes(seed) for seed in range(100)]), stacked([scene(seed) for seed in range(60)])
    assert SURE <= limit(alike) < FARTHEST / 2 and limit(different) == FARTHEST
    assert len(near(alike)) <= 2
    copies = stacked([saved(strokes(seed), 80).convert("L") for seed in range(10)])
    found = {(pair.first, pair.second) for pair in near(torch.cat([alike, copies]))}
    assert {(place, 100 + place) for place in range(10)} <= found


def test_copies_and_groups_do_not_lower_the_limit() -> None:
    pictures = stacked([scene(seed) for seed in range(10)] * 2)
    assert limit(pictures) == FARTHEST
    draw = np.random.default_rng(0)
    frames = []
    for video in range(4):
        base = np.asarray(scene(video), float)
        for _ in range(12):
            frames.append(
                Image.fromarray((base + 90 * np.asarray(scene(int(draw.integers(100, 10**6))), float) / 255).clip(0, 255).astype(np.uint8))
            )
    groups = torch.arange(4).repeat_interleave(12)
    assert limit(stacked(frames)) < FARTHEST == limit(stacked(frames), groups)


@pytest.mark.parametrize(
    ("count", "usual", "expected"), [(100, 0.25, 0.25**3 / 2), (4000, 0.25, 0.25**3 / 4), (100, 0.5, FARTHEST), (100, 0.1, SURE)]
)
def test_the_limit_is_half_the_cube_of_a_usual_distance_and_less_of_many_pictures(
    count: int, usual: float, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_as_they_are", "_proven"):
        monkeypatch.setattr(duplicates, name, lambda thumbnails, pairs: torch.full((len(pairs),), usual))
    assert limit(torch.zeros(count, 1, 32, 32, dtype=torch.uint8)) == pytest.approx(expected)


def test_pairs_beyond_the_limit_of_these_data_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = stacked([Image.new("RGB", (40, 40), "red"), *map(scene, range(5)), saved(scene(3), 20)])
    (pair,) = near(pictures)
    given: list[list[int]] = []
    for part, found in ((1.1, [pair]), (0.9, [])):

        def scaled(thumbnails: Tensor, groups: Tensor, part: float = part) -> float:
            given.append(groups.tolist())
            return part * pair.distance

        monkeypatch.setattr(duplicates, "limit", scaled)
        assert near(pictures, groups=["plain", "a", "b", "a", "c", "b", "c"]) == found
    assert given == [[0, 1, 0, 2, 1, 2]] * 2


def patched(seed: int, side: int) -> Picture:
    """The scene with a black patch on it."""
    picture = scene(seed)
    ImageDraw.Draw(picture).rectangle((40, 30, 40 + side, 30 + side), "black")
    return picture


def vectors_of(number: int, near_ones: dict[int, list[float]]) -> Tensor:
    """Of so many pictures each unlike all others, but for the given ones: these lie in a space of their own."""
    found = torch.eye(number + 3)[:number]
    for place, numbers in near_ones.items():
        found[place] = torch.tensor([0.0] * number + numbers)
    return found


def test_twice_the_limit_holds_for_each_others_nearest_alone() -> None:
    pictures = stacked([*map(scene, range(30)), patched(3, 12)])
    assert near(pictures) == []
    (pair,) = near(pictures, vectors=vectors_of(31, {3: [1, 0, 0], 30: [0.5, 0.866, 0]}))
    assert pair[:2] == (3, 30) and FARTHEST < pair.distance < 2 * FARTHEST
    assert near(pictures, vectors=vectors_of(31, {3: [1, 0, 0], 30: [0.5, 0.866, 0], 1: [-0.1, 0.995, 0]})) == [], "30 is nearer to 1"


@pytest.mark.parametrize(("moved", "found"), [(20, True), (28, False)])
def test_a_move_is_followed_as_far_as_an_eighth_of_the_picture(moved: int, found: bool) -> None:
    whole = scene(1, (192, 160))
    sides = [whole.crop((0, 0, 192 - moved, 160)), whole.crop((moved, 0, 192, 160))]
    pictures = stacked([*map(scene, range(2, 30)), *sides])
    assert bool(near(pictures, vectors=vectors_of(30, {28: [1, 0, 0], 29: [0.5, 0.866, 0]}))) == found


def test_a_copy_that_both_searches_find_is_told_once() -> None:
    pictures = stacked([*map(scene, range(6)), saved(scene(3), 60)])
    assert near(pictures, vectors=vectors_of(7, {3: [1, 0, 0], 6: [1, 0.1, 0]})) == near(pictures) != []


@pytest.mark.parametrize(
    ("vectors", "found"),
    [
        ({2: [1, 0, 0], 4: [0.9, 0.436, 0]}, True),
        ({2: [1, 0, 0], 4: [0.8, 0.6, 0]}, False),  # nearest by far, and yet not near
        ({2: [1, 0, 0], 4: [0.9, 0.436, 0], 5: [0.619, 0.785, 0]}, False),  # another is as near to the second of the pair
        ({4: [1, 0, 0], 2: [0.9, 0.436, 0], 5: [0.619, 0.785, 0]}, False),
    ],
)
def test_pictures_unlike_each_other_are_a_pair_where_their_vectors_are_much_nearer_than_all_others(
    vectors: dict[int, list[float]], found: bool
) -> None:
    pairs = near(stacked([*map(scene, range(6))]), vectors=vectors_of(6, vectors))
    assert [pair[:2] for pair in pairs] == ([(2, 4)] if found else [])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures(count: int) -> None:
    pictures = stacked([scene(0)] * 2)[:count]
    assert len(near(pictures)) == (count == 2)
    assert near(pictures, ["a", "a"][:count]) == []


def test_more_than_one_chunk_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_CHUNK", 16)
    pairs = near(stacked([scene(seed) for seed in range(50)] + [CHANGES["inside"](scene(seed)) for seed in range(50)]))
    assert {(pair.first, pair.second) for pair in pairs} == {(place, 50 + place) for place in range(50)}


def test_equal_files_and_equal_pictures_of_one_file(tmp_path: Path) -> None:
    contents = (b"aa", b"bb", b"aa", b"c", b"bb", b"aa")
    records = []
    for number, content in enumerate(contents):
        (tmp_path / str(number)).write_bytes(content)
        records.append(Record(tmp_path / str(number), str(number)))
    assert equal(records) == [[0, 2, 5], [1, 4]]
    array = np.random.default_rng(0).integers(0, 255, (4, 5, 5), np.uint8)
    array[3] = array[1]
    idx.write(tmp_path / "many", array)
    many = [Record(tmp_path / "many", str(place), place=place) for place in range(4)]
    assert equal(many) == [[1, 3]]
    idx.write(tmp_path / "few", array[2:3])
    assert equal([*many, Record(tmp_path / "few", "few", place=0)]) == [[1, 3], [2, 4]], "though the files differ in length"


def test_crops_are_equal_by_their_corners(tmp_path: Path) -> None:
    for name in "ab":
        Image.new("RGB", (20, 20), "red").save(tmp_path / f"{name}.png")
    crops = [Record(tmp_path / f"{name}.png", f"{name}{left}", crop=Crop(left, 0, 9, 9)) for name in "ab" for left in (0, 1)]
    assert equal(crops) == [[0, 2], [1, 3]]
