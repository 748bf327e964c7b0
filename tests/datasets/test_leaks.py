"""Near duplicates across parts: counted before training, named with what to do, and not where it would take long or was not wished."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo import build
from zoo.datasets import leaks
from zoo.datasets.source import Record, Source
from zoo.datasets.splits import Split
from zoo.ranks import Ranks
from zoo.recipe import Recipe


def picture(path: Path, seed: int, **options: int) -> Record:
    """A picture like no other, or a copy of it under another name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8))
    coarse.resize((64, 64), Image.Resampling.BICUBIC).save(path, **options)
    return Record(path, path.name, 0, group=str(seed))


def divided(root: Path, by: str = "label", groups: str | None = None) -> tuple[Source, Split]:
    """20 pictures to train, 6 and 4 others; 3 of val and 1 of test are copies of those of train, 1 of test is a copy of val's."""
    parts = {
        "train": [picture(root / f"t{seed}.png", seed) for seed in range(20)],
        "val": [picture(root / f"v{number}.jpg", seed, quality=60) for number, seed in enumerate((3, 5, 7, 100, 101, 102))],
        "test": [picture(root / f"s{number}.jpg", seed, quality=50) for number, seed in enumerate((9, 101, 200, 201))],
    }
    source = Source(root, ("a",), {"labelled": [record for part in parts.values() for record in part]}, groups=groups)
    return source, Split(parts, by)


def test_what_two_parts_share_is_counted_and_named(tmp_path: Path) -> None:
    val, test, third = leaks.notes(*divided(tmp_path), "auto")
    start, _, end = val.partition(" (")
    assert start == "3 of 6 pictures of val look like pictures of train"
    named, _, advice = end.partition("): ")
    assert named.endswith(", ...") and {*named.removesuffix(", ...").split(", ")} < {
        "v0.jpg and t3.png",
        "v1.jpg and t5.png",
        "v2.jpg and t7.png",
    }
    assert advice == "the figure may be too good; remove one of each pair, or see that both lie in one part"
    assert test.startswith("1 of 4 pictures of test look like pictures of train (s0.jpg and t9.png): the figure")
    assert third.startswith("1 of 4 pictures of test look like pictures of val (s1.jpg and v4.jpg): the figure")


@pytest.mark.parametrize(("by", "advice"), [("label", "split.by=group keeps each video in one part"), ("group", "remove one of each pair")])
def test_what_to_do_depends_on_how_the_data_is_divided(tmp_path: Path, by: str, advice: str) -> None:
    assert all(advice in note for note in leaks.notes(*divided(tmp_path, by, "video"), "auto"))


def test_nothing_is_said_where_nothing_is_shared(tmp_path: Path) -> None:
    source, split = divided(tmp_path)
    split.parts["val"], split.parts["test"] = split.parts["val"][3:5], split.parts["test"][2:]
    assert leaks.notes(source, split, "auto") == []


def test_a_picture_counts_once_and_is_named_with_the_nearest(tmp_path: Path) -> None:
    source, split = divided(tmp_path)
    poor = picture(tmp_path / "poor.jpg", 3, quality=10)
    split.parts = {"train": [poor, *split.parts["train"]], "val": [picture(tmp_path / f"{seed}.jpg", seed, quality=90) for seed in (3, 5)]}
    (note,) = leaks.notes(source, split, "auto")
    named = note.partition("(")[2].partition(")")[0].split(", ")
    assert note.startswith("2 of 2 pictures of val") and sorted(named) == ["3.jpg and t3.png", "5.jpg and t5.png"]


def test_a_picture_in_all_three_parts_is_told_of_each_two(tmp_path: Path) -> None:
    source, split = divided(tmp_path)
    split.parts |= {part: [picture(tmp_path / f"{part}.jpg", 3, quality=60)] for part in ("val", "test")}
    assert [note.partition(" (")[0] for note in leaks.notes(source, split, "auto")] == [
        "1 of 1 pictures of val look like pictures of train",
        "1 of 1 pictures of test look like pictures of train",
        "1 of 1 pictures of test look like pictures of val",
    ]


def test_a_copy_is_found_among_many_of_its_own_part(tmp_path: Path) -> None:
    source, split = divided(tmp_path)
    split.parts = {
        "train": split.parts["train"],
        "val": [picture(tmp_path / f"{number}.jpg", 3, quality=60) for number in range(5)],
    }
    (note,) = leaks.notes(source, split, "auto")
    assert note.startswith("5 of 5 pictures of val")


@pytest.mark.parametrize(("groups", "expected"), [("video", ["3", "5", "alone.png"]), (None, None)])
def test_pictures_of_one_group_are_known_as_such(
    groups: str | None, expected: list[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [picture(tmp_path / "a.png", 3), picture(tmp_path / "b.png", 5), replace(picture(tmp_path / "alone.png", 7), group=None)]
    given: list[object] = []
    monkeypatch.setattr(leaks, "near", lambda thumbnails, parts, groups, nearest: given.append(groups) or [])
    leaks.notes(Source(tmp_path, ("a",), {"labelled": records}, groups=groups), Split({"train": records}, "label"), "always")
    assert given == [expected]


def test_names_from_outside_are_made_harmless(tmp_path: Path) -> None:
    source, split = divided(tmp_path)
    split.parts = {"train": split.parts["train"], "val": [picture(tmp_path / "a\x1b[2J.png", 3)]}
    (note,) = leaks.notes(source, split, "auto")
    assert "\x1b" not in note
    split.parts = {"train": split.parts["val"], "val": split.parts["train"]}
    (note,) = leaks.notes(source, split, "auto")
    assert "\x1b" not in note


def test_when_it_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = divided(tmp_path)
    assert leaks.notes(*given, "never") == []
    monkeypatch.setattr(leaks, "MOST_NEW", 29)
    (note,) = leaks.notes(*given, "auto")
    assert note.startswith("near duplicates across parts were not counted: 30 pictures are new, more than 29; data.duplicates=always")
    assert len(leaks.notes(*given, "always")) == 3
    monkeypatch.setattr(leaks, "MOST_NEW", 30)
    assert len(leaks.notes(*divided(tmp_path / "more"), "auto")) == 3
    monkeypatch.setattr(leaks, "ranks", lambda: Ranks(1, 2))
    assert leaks.notes(*given, "always") == []


def test_a_training_is_told_before_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part, start in (("train", 0), ("val", 8)):
        for label in ("a", "b"):
            for seed in range(start, start + 10):
                picture(tmp_path / part / label / f"{seed}.png", seed + 1000 * (label == "b"))
    text = "question: Which?\ndata: {name: image_folder, size: 16, workers: 0}\nbackbone: resnet18\ntask: classification\n"
    recipe = Recipe.parse(text, "test.yaml", "test", [f"data.root={tmp_path}", "train.device=cpu"])
    notes = build.loaders(build.source(recipe), recipe).notes
    assert any(note.startswith("4 of 20 pictures of val look like pictures of train (") for note in notes)
    assert "data: 4 of 20 pictures of val look like" in capsys.readouterr().err
    ignored = recipe.changed(["data.duplicates=never"])
    assert not any("look like" in note for note in build.loaders(build.source(ignored), ignored).notes)
