"""Dividing records: seeded, even over classes, whole groups, whatever the order of listing."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from zoo.datasets.source import Record
from zoo.datasets.splits import Split, divide, fingerprint
from zoo.errors import DataError


def records(counts: dict[int, int], start: str = "") -> list[Record]:
    return [Record(Path(f"{start}{label}/{n}.jpg"), f"{start}{label}/{n}", label) for label, count in counts.items() for n in range(count)]


def cut(pool: list[Record], val: float = 0.2, test: float = 0.0, seed: int = 0, by: str = "auto", **more: object) -> Split:
    return divide({"labelled": pool}, val, test, seed, by, **more)


def ids(split: Split, part: str) -> set[str]:
    return {record.id for record in split.parts.get(part, ())}


def labels_in(split: Split, part: str) -> Counter:
    return Counter(record.label for record in split.parts.get(part, ()))


def videos(count: int = 120, classes: int = 6, seed: int = 0, mixed: float = 0.0) -> list[Record]:
    """Videos of 1 to 9 frames; `mixed` is the part of frames that show another class than their video."""
    dice = random.Random(seed)
    found = []
    for video in range(count):
        label = min(int(dice.expovariate(0.7)), classes - 1)
        for frame in range(dice.randint(1, 9)):
            shown = dice.randrange(classes) if dice.random() < mixed else label
            found.append(Record(Path(f"{video}_{frame}"), f"{video}_{frame}", shown, f"v{video}"))
    return found


def test_every_record_is_in_one_part() -> None:
    pool = records({0: 50, 1: 30, 2: 7})
    split = cut(pool, 0.2, 0.1)
    parts = [ids(split, part) for part in ("train", "val", "test")]
    assert set.union(*parts) == {record.id for record in pool} and sum(map(len, parts)) == len(pool)


def test_shares_hold_for_every_class() -> None:
    split = cut(records({0: 500, 1: 100, 2: 50, 3: 10}), 0.2, 0.1)
    assert labels_in(split, "val") == {0: 100, 1: 20, 2: 10, 3: 2}
    assert labels_in(split, "test") == {0: 50, 1: 10, 2: 5, 3: 1}


@pytest.mark.parametrize(("size", "expected"), [(1, (1, 0, 0)), (2, (1, 1, 0)), (3, (1, 1, 1)), (4, (2, 1, 1))])
def test_small_classes_train_first_and_then_validate(size: int, expected: tuple[int, int, int]) -> None:
    split = cut(records({0: 40, 1: size}), 0.2, 0.2, labels=("many", "few"))
    assert tuple(labels_in(split, part)[1] for part in ("train", "val", "test")) == expected
    assert any("fewer than three pictures: few" in note for note in split.notes) == (size < 3)
    assert any("not in val: few" in note for note in split.notes) == (size < 2)
    assert any("not in test: few" in note for note in split.notes) == (size < 3)


def test_empty_classes_are_noted() -> None:
    assert cut(records({0: 9, 2: 9}), labels=("a", "b", "c")).notes[1:] == ["no pictures at all, kept in the class map: b"]


@pytest.mark.parametrize(("empty", "named"), [(8, "b, c, d, e, f, g, h, i"), (10, "b, c, d, e, f, g, h, i and 2 more")])
def test_a_long_list_of_classes_is_cut(empty: int, named: str) -> None:
    assert cut(records({0: 9}), labels="abcdefghijk"[: 1 + empty]).notes[-1] == f"no pictures at all, kept in the class map: {named}"


def test_nothing_is_said_of_a_split_with_all_in_every_part() -> None:
    assert cut(records({0: 20, 1: 20}), 0.2, 0.1, labels=("a", "b")).notes == []


@pytest.mark.parametrize("by", ["group", "random"])
def test_the_order_of_listing_changes_nothing(by: str) -> None:
    pool = videos()
    expected = cut(pool, 0.2, 0.1, by=by, groups="video")
    for seed in range(3):
        random.Random(seed).shuffle(pool)
        split = cut(pool, 0.2, 0.1, by=by, groups="video")
        assert split.fingerprint == expected.fingerprint
        assert split.parts == expected.parts  # the order within parts as well: it decides the order of training


@pytest.mark.parametrize("by", ["group", "random"])
def test_seeds_give_splits(by: str) -> None:
    pool = videos()
    found = {cut(pool, seed=seed, by=by, groups="video").fingerprint for seed in range(5)}
    assert len(found) == 5


def test_the_split_of_a_seed_stays_what_it_was() -> None:
    """Other numbers than these would make the runs of earlier versions incomparable; raise them knowingly."""
    assert cut(records({0: 20, 1: 5})).fingerprint[:12] == "032390dc52a7"
    assert cut(videos(30), groups="video").fingerprint[:12] == "6541fe070dfd"
    mixed = [cut(videos(count, mixed=0.6), 0.2, 0.2, groups="video").fingerprint[:12] for count in (12, 120)]
    assert mixed == ["ab83861cd728", "deac6f48b0f9"]


@pytest.mark.parametrize("mixed", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("test", [0.0, 0.15])
def test_groups_stay_whole_and_shares_come_near(seed: int, test: float, mixed: float) -> None:
    pool = videos(seed=seed, mixed=mixed)
    split = cut(pool, 0.2, test, seed, groups="video")
    sides = Counter(part for part in split.parts for _ in {record.group for record in split.parts[part]})
    assert sides.total() == len({record.group for record in pool})
    for part, share in (("val", 0.2), ("test", test)):
        assert abs(len(ids(split, part)) / len(pool) - share) < 0.03
    for label, total in Counter(record.label for record in pool).items():
        if total > 60:
            assert abs(labels_in(split, "val")[label] / total - 0.2) < 0.1


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("groups", "parts"), [(1, ("train",)), (2, ("train", "val")), (3, ("train", "val", "test")), (5, ("train", "val", "test"))]
)
def test_a_class_with_enough_groups_is_in_every_part(seed: int, groups: int, parts: tuple[str, ...]) -> None:
    dice = random.Random(seed)
    pool = videos(seed=seed)
    for group in range(groups):
        pool += [Record(Path("x"), f"rare {group} {n}", 9, f"rare{group}") for n in range(dice.choice((1, 2, 20)))]
    split = cut(pool, 0.2, 0.2, seed, groups="video")
    assert tuple(part for part in ("train", "val", "test") if labels_in(split, part)[9]) == parts


def test_the_only_group_of_a_class_trains_even_if_val_lacks_its_other_classes() -> None:
    """A group of two classes: train has more than enough of the one, and nothing yet of the other."""
    sizes = {("large", 8): 1, ("large", 0): 90, ("mixed", 9): 2, ("mixed", 0): 9, ("x", 1): 20, ("y", 1): 20, ("z", 1): 20}
    pool = [Record(Path("x"), f"{group} {label} {n}", label, group) for (group, label), size in sizes.items() for n in range(size)]
    split = cut(pool, groups="video")
    assert labels_in(split, "train")[9] == 2 and labels_in(split, "train")[8] == 1 and labels_in(split, "val")[1]


def test_records_without_a_group_stand_alone() -> None:
    pool = [Record(Path("x"), str(n), n % 2) for n in range(50)] + [Record(Path("x"), f"g{n}", n % 2, "1") for n in range(10)]
    split = cut(pool, groups="video")
    assert len({part for part in split.parts for record in split.parts[part] if record.group}) == 1
    assert {part for part in split.parts for record in split.parts[part] if not record.group} == {"train", "val"}
    assert 8 <= len(ids(split, "val")) <= 16


def test_a_record_is_not_of_the_group_of_its_name() -> None:
    split = cut([Record(Path("x"), "1", 0), Record(Path("y"), "2", 0, "1")], groups="video")
    assert {part: len(found) for part, found in split.parts.items()} == {"train": 1, "val": 1}


def test_random_ignores_groups_and_warns() -> None:
    split = cut(videos() + [Record(Path("x"), f"alone {n}", 0) for n in range(20)], by="random", groups="video")
    both = {r.group for r in split.parts["train"]} & {r.group for r in split.parts["val"]} - {None}
    assert None in {r.group for r in split.parts["val"]}
    asked = len({r.group for r in split.parts["val"]} - {None})
    assert both and split.notes[1] == (
        "split.by=random: pictures of one video lie on both sides, in train and in val "
        f"({len(both)} of {asked} groups of val), so the figure may be too good"
    )


def test_a_split_by_groups_says_so() -> None:
    assert "split by video: pictures of one video are all in one part" in cut(videos(), groups="video").notes
    own = divide({"train": videos(30), "val": videos(30)}, 0.2, 0.0, 0, "auto", groups="video")
    assert any(note.startswith("the data set's own part: pictures of one video lie on both sides") for note in own.notes)
    whole = divide({"train": videos(30), "val": videos(30), "test": videos(30)}, 0.2, 0.0, 0, "auto", groups="video")
    assert not any("all in one part" in note for note in whole.notes), "nothing was divided"
    assert not any("video" in note for note in cut(records({0: 9, 1: 9}), by="random", groups="video").notes), "there is none on both sides"


def test_asking_for_groups_that_are_not_there() -> None:
    with pytest.raises(DataError, match=r"split\.by=group.*use split\.by=auto or random"):
        cut(records({0: 9}), by="group")


def test_own_parts_are_kept() -> None:
    own = {name: records({0: size, 1: size}, f"{name}/") for name, size in (("train", 10), ("val", 4), ("test", 3))}
    split = divide(own, 0.5, 0.5, 0, "auto")
    for name, part in own.items():
        assert ids(split, name) == {record.id for record in part}
    assert "test and val: the data set's own part" in split.notes
    assert not any("optimistic" in note for note in split.notes)
    turned = divide({name: part[::-1] for name, part in own.items()}, 0.5, 0.5, 0, "auto")
    assert turned.parts == split.parts, "the order of listing changes nothing"


def test_val_is_cut_from_train_beside_an_own_test() -> None:
    own = {"train": records({0: 40, 1: 10}, "train/"), "test": records({0: 5}, "test/"), "val": []}
    split = divide(own, 0.2, 0.3, 0, "auto", ("a", "b"))
    assert {part: len(found) for part, found in split.parts.items()} == {"train": 40, "val": 10, "test": 5}
    assert all(one.startswith("train/") for one in ids(split, "val"))
    assert "val is cut from the data set's training part" in split.notes
    assert "not in test: b (the data set's own part)" in split.notes


def test_classes_that_are_only_in_val_are_noted() -> None:
    own = {"train": records({0: 4}, "train/"), "val": records({0: 2, 1: 2}, "val/")}
    assert "not in train, so never learnt: b" in divide(own, 0.2, 0, 0, "auto", ("a", "b")).notes


def test_unlabelled_pictures_are_never_used() -> None:
    pool = records({0: 10, 1: 10})
    more = [Record(Path("u"), f"unlabelled {n}") for n in range(50)]
    split = divide({"labelled": pool, "unlabelled": more}, 0.2, 0.2, 0, "auto")
    assert not any(one.startswith("unlabelled") for part in split.parts for one in ids(split, part))
    with pytest.raises(DataError, match="no labelled pictures"):
        divide({"unlabelled": more}, 0.2, 0.2, 0, "auto")


@pytest.mark.parametrize(
    ("pool", "by", "groups", "remedy"),
    [
        (records({0: 1, 1: 1}), "auto", None, "change split.val"),
        ([Record(Path("x"), str(n), 0, "one") for n in range(9)], "auto", "video", "the one video that there is by split.by=random"),
        ([Record(Path("x"), "alone", 0, "one")], "auto", "video", "change split.val"),
        ([Record(Path("x"), "alone", 0)], "auto", "video", "change split.val"),
        ([Record(Path("x"), str(n), n, "one") for n in range(2)], "random", "video", "change split.val"),
    ],
)
def test_a_split_without_validation_is_refused(pool: list[Record], by: str, groups: str | None, remedy: str) -> None:
    with pytest.raises(DataError, match=rf"no pictures to val \(train \d\).*{remedy}"):
        cut(pool, by=by, groups=groups)


def test_a_split_without_training_is_refused() -> None:
    with pytest.raises(DataError, match=r"no pictures to train \(val \d+, test \d+\)"):
        cut(videos(), 0.5, 0.5, groups="video")


def test_the_fingerprint_is_of_sets_per_part() -> None:
    one = fingerprint({"train": ["a", "b"], "val": ["c"]})
    assert one == fingerprint({"val": iter(["c"]), "train": ["b", "a"], "test": []})
    others = [
        {"train": ["a"], "val": ["b", "c"]},
        {"train": ["ab"], "val": ["c"]},
        {"train": ["a", "b"], "test": ["c"]},
        {"train": ["a", "b\0val\nc"]},
    ]
    assert one not in [fingerprint(other) for other in others]
    assert fingerprint({"train": ["caf\udce9"]}) != fingerprint({"train": ["caf"]})  # a name that is no UTF-8


def masked(counts: dict[str | None, int]) -> list[Record]:
    """Pictures without labels of these strata."""
    return [Record(Path("x"), f"{kind} {n}", mask=Path("m"), stratum=kind) for kind, count in counts.items() for n in range(count)]


def strata_in(split: Split, part: str) -> Counter:
    return Counter(record.stratum for record in split.parts.get(part, ()))


def test_pictures_without_labels_are_divided_by_stratum() -> None:
    split = cut(masked({"nevus": 80, "atypical": 40, "melanoma": 10}), 0.2, 0.1, labels=("background", "lesion"))
    assert split.by == "stratum" and not any("class map" in note for note in split.notes)
    assert strata_in(split, "val") == {"nevus": 16, "atypical": 8, "melanoma": 2}
    assert strata_in(split, "test") == {"nevus": 8, "atypical": 4, "melanoma": 1}


def test_strata_are_divided_by_seed_whatever_the_order() -> None:
    pool = masked({"a": 30, "b": 9, None: 4})
    expected = cut(pool)
    assert expected.fingerprint == cut(pool[::-1]).fingerprint != cut(pool, seed=1).fingerprint
    assert expected.fingerprint[:12] == "1e4261ab4493" and expected.by == "stratum"
    assert cut(masked({"A": 30, "b": 9, None: 4})).fingerprint[:12] == "f160800c2503", "pictures of no stratum come first"


def test_labels_go_before_strata() -> None:
    pool = records({0: 20, 1: 5})
    with_strata = [Record(record.path, record.id, record.label, stratum="ab"[number % 2]) for number, record in enumerate(pool)]
    assert cut(pool).fingerprint == cut(with_strata).fingerprint and cut(with_strata).by == "label"


def test_groups_of_pictures_without_labels_stay_whole_and_share_the_strata() -> None:
    kinds = ["a"] * 60 + ["b"] * 30
    pool = [Record(Path("x"), f"{n} {k}", group=f"g{n}", mask=Path("m"), stratum=kind) for n, kind in enumerate(kinds) for k in range(2)]
    split = cut(pool, 0.2, groups="patient")
    assert strata_in(split, "val") == {"a": 24, "b": 12}
    assert not {r.group for r in split.parts["train"]} & {r.group for r in split.parts["val"]}
