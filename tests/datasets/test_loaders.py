"""Loaders: the same batches whoever reads them and wherever one begins; balancing; errors without a worker's stack."""

from __future__ import annotations

import json
import random
import traceback
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from zoo.datasets.image_folder import ImageFolder
from zoo.datasets.loaders import Endless, Loaders, class_counts, collate, loss_weights, seeded, to_device
from zoo.datasets.source import Crop, Source
from zoo.errors import DataError, RecipeError
from zoo.recipe import Recipe
from zoo.spec import DataSpec

RECIPE = """
question: Which?
seed: 5
data:
  name: image_folder
  size: 16
  workers: 0
  augment:
    - name: crop
      scale: [0.5, 1.0]
    - flip
    - color
    - name: noise
      p: 1.0
backbone: resnet18
task: classification
train:
  batch_size: 4
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes of 12, 6 and 3 pictures of noise."""
    draw = np.random.default_rng(0)
    for name, count in (("a", 12), ("b", 6), ("c", 3)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(count):
            noise = draw.integers(0, 255, (20, 24, 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / "set" / name / f"{number}.png")
    return tmp_path / "set"


def loaders(root: Path, *changes: str) -> Loaders:
    recipe = Recipe.parse(RECIPE, "test.yaml", "test", [f"data.root={root}", *changes])
    return Loaders(ImageFolder(root), recipe)


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        value.equal(other[key]) if isinstance(value, Tensor) else value == other[key] for key, value in one.items()
    )


def first(data: Loaders, count: int, epoch: int = 0, batch: int = 0) -> list[dict]:
    stream = data.stream(epoch, batch)
    try:
        return list(islice(stream, count))
    finally:
        stream.close()


def test_a_batch_holds_what_is_promised(root: Path) -> None:
    (batch,) = first(loaders(root), 1)
    assert batch["image"].shape == (4, 3, 16, 16) and batch["image"].dtype == torch.uint8
    assert batch["label"].shape == (4,) and batch["label"].dtype == torch.int64
    assert batch["index"].dtype == torch.int64 and len(batch["path"]) == 4
    moved = to_device(batch, torch.device("cpu"))
    assert moved["image"].dtype == torch.float32 and moved["image"].min() >= 0 and moved["image"].max() <= 1
    assert batch["image"].dtype == torch.uint8  # the batch itself is left alone


def test_batches_are_equal_for_any_number_of_workers(root: Path) -> None:
    batches = [first(loaders(root, f"data.workers={workers}"), 9) for workers in (0, 1, 2)]
    assert all(same(one, other) for others in batches[1:] for one, other in zip(batches[0], others, strict=True))
    validated = [list(loaders(root, f"data.workers={workers}").evaluation("val")) for workers in (0, 1, 2)]
    assert all(same(one, other) for others in validated[1:] for one, other in zip(validated[0], others, strict=True))


@pytest.mark.parametrize("balance", ["none", "sampler", "augmented_sampler"])
def test_a_stream_can_begin_anywhere(root: Path, balance: str) -> None:
    data = loaders(root, f"data.balance={balance}")
    whole = first(data, 3 * data.batches)
    for start in (1, data.batches, data.batches + 2):
        tail = first(data, 3 * data.batches - start, *divmod(start, data.batches))
        assert all(same(one, other) for one, other in zip(whole[start:], tail, strict=True))


def test_nothing_before_the_beginning_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, read = loaders(root), []
    original = data.source.read
    monkeypatch.setattr(data.source, "read", lambda record: read.append(record.id) or original(record))
    first(data, 1, epoch=7, batch=2)
    assert len(read) == 4


def test_epochs_and_copies_and_seeds_differ(root: Path) -> None:
    data = loaders(root)
    images = {(epoch, index): data_image(data, epoch, index) for epoch in (0, 1) for index in (0, 1)}
    assert not images[0, 0].equal(images[1, 0]) and not images[0, 0].equal(images[0, 1])
    assert [key[1] for key in data.sampler.epoch(0)] != [key[1] for key in data.sampler.epoch(1)]
    other = loaders(root, "seed=6")
    assert [key[1] for key in data.sampler.epoch(0)] != [key[1] for key in other.sampler.epoch(0)]
    assert data.split.fingerprint == other.split.fingerprint  # seed is not split.seed
    assert data.split.fingerprint != loaders(root, "split.seed=1").split.fingerprint


def data_image(data: Loaders, epoch: int, index: int) -> Tensor:
    return next(batch["image"][batch["index"] == index][0] for batch in first(data, data.batches, epoch) if index in batch["index"])


@pytest.mark.parametrize("workers", [0, 2])
def test_the_random_states_of_the_process_stay_as_they_are(root: Path, workers: int) -> None:
    data = loaders(root, f"data.workers={workers}", "data.balance=sampler")
    states = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())
    first(data, 5)
    assert list(data.evaluation("val")) and list(data.evaluation("val"))
    assert torch.get_rng_state().equal(states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])


def test_what_the_process_drew_before_changes_nothing(root: Path) -> None:
    data = loaders(root)
    batches = first(data, 3)
    torch.manual_seed(99)
    assert all(same(one, other) for one, other in zip(batches, first(data, 3), strict=True))


def test_seeded_draws_the_same_and_puts_the_state_back_even_after_an_error() -> None:
    before = torch.get_rng_state()
    with seeded(1, 2, 3):
        drawn = torch.rand(4)
    with pytest.raises(ZeroDivisionError), seeded(1, 2, 3):
        assert torch.rand(4).equal(drawn)
        raise ZeroDivisionError
    with seeded(1, 2, 4):
        assert not torch.rand(4).equal(drawn)
    assert torch.get_rng_state().equal(before)


def test_evaluation_is_in_order_whole_and_without_augmentation(root: Path) -> None:
    data = loaders(root)
    for _ in range(2):
        batches = list(data.evaluation("val"))
        assert torch.cat([batch["index"] for batch in batches]).tolist() == list(range(len(data.parts()["val"])))
        assert len(data.evaluation("val")) == len(batches)
        record = data.parts()["val"][0]
        assert batches[0]["image"][0].equal(data.preprocess(data.source.read(record)[0]))


def test_the_last_small_batch_is_left_out_unless_it_is_the_only_one() -> None:
    assert [len(keys) for keys in islice(Endless([0] * 11, 4, 0), 4)] == [4, 4, 4, 4]
    assert Endless([0] * 11, 4, 0).batches == 2
    assert [len(keys) for keys in islice(Endless([0] * 3, 4, 0), 2)] == [3, 3]


def test_an_epoch_shows_every_record_once() -> None:
    sampler = Endless([0, 1, 2] * 10, 4, 0)
    for epoch in (0, 5):
        assert sorted(sampler.epoch(epoch)) == [(epoch, index, 0) for index in range(30)]


def test_an_epoch_repeats_every_record_if_wished() -> None:
    assert sorted(Endless([0, 1, 2], 4, 0, repeat=3).epoch(2)) == [(2, index, number) for index in range(3) for number in range(3)]
    assert Endless([0, 1, 2], 4, 0, repeat=3).batches == 2
    keys = Endless([0, 0, 0, 1], 4, 0, "augmented_sampler", repeat=2).epoch(0)
    assert Counter(index for _, index, _ in keys) == {0: 2, 1: 2, 2: 2, 3: 6}, "balanced, and twice over"


def test_repeated_pictures_are_augmented_anew_and_not_as_rare_ones(root: Path) -> None:
    data = loaders(
        root,
        "data.balance=augmented_sampler",
        "data.repeat=2",
        "data.augment=[{name: color, hue: 0.3, saturation: 0.9}]",
        "data.augment_rare=[{name: grey, p: 1.0}]",
    )
    pictures = data.training_pictures()
    one, other, rare = (pictures[(0, 3, number)]["image"] for number in range(3))
    assert not one.equal(other) and one[0].ne(one[1]).any() and other[0].ne(other[1]).any()
    assert rare[0].equal(rare[1])


WEIGHTS = [2.0] * 10 + [1.0] * 20 + [0.5] * 8


@pytest.mark.parametrize("balance", ["none", "loss_weights"])
@pytest.mark.parametrize("repeat", [1, 3])
def test_an_epoch_shows_records_by_their_weights(balance: str, repeat: int) -> None:
    sampler = Endless([0] * 38, 4, 7, balance, repeat=repeat, weights=WEIGHTS)
    shown: Counter[int] = Counter()
    for epoch in range(200):
        keys = sampler.epoch(epoch)
        assert len(keys) == len(set(keys)) == 38 * repeat, "an epoch is no longer, and copies differ"
        counts = Counter(index for _, index, _ in keys)
        expected = [weight * 38 * repeat / sum(WEIGHTS) for weight in WEIGHTS]
        assert all(int(wished) <= counts[index] <= int(wished) + 1 for index, wished in enumerate(expected)), "rounded up or down"
        shown += counts
    means = [sum(shown[index] for index in part) / len(part) / 200 for part in (range(10), range(10, 30), range(30, 38))]
    assert means[0] / means[1] == pytest.approx(2, rel=0.03) and means[2] / means[1] == pytest.approx(0.5, rel=0.05)
    assert [key[1] for key in sampler.epoch(0)] != [key[1] for key in sampler.epoch(1)]
    assert sampler.epoch(3) == Endless([0] * 38, 4, 7, balance, repeat=repeat, weights=WEIGHTS).epoch(3)


def test_weights_count_within_a_class_that_is_balanced() -> None:
    labels = [0] * 90 + [1] * 10
    sampler = Endless(labels, 10, 0, "sampler", weights=[3.0] * 45 + [1.0] * 45 + [5.0] * 10)
    counts = Counter(index for epoch in range(60) for _, index, _ in sampler.epoch(epoch))
    heavy, light, rare = (sum(counts[index] for index in part) for part in (range(45), range(45, 90), range(90, 100)))
    assert heavy / light == pytest.approx(3, rel=0.08) and rare / (heavy + light + rare) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("balance", ["none", "loss_weights", "sampler", "augmented_sampler"])
def test_equal_weights_change_nothing(balance: str) -> None:
    labels = [0] * 9 + [1] * 3
    assert Endless(labels, 4, 5, balance, weights=[2.0] * 12).epoch(2) == Endless(labels, 4, 5, balance).epoch(2)


def test_weights_and_copies_of_classes_do_not_go_together() -> None:
    with pytest.raises(RecipeError, match=r"data\.balance=augmented_sampler .*set data\.balance=sampler, or leave the weights out"):
        Endless([0, 1], 1, 0, "augmented_sampler", weights=[1.0, 2.0])


def test_the_weights_of_records_reach_the_sampler_and_the_loss(root: Path) -> None:
    recipe = Recipe.parse(RECIPE, "test.yaml", "test", [f"data.root={root}", "data.balance=loss_weights", "data.augment=[]"])
    source = ImageFolder(root)
    source.records["labelled"] = [replace(record, weight=4.0 if record.label == 2 else 1.0) for record in source.records["labelled"]]
    data = Loaders(source, recipe)
    assert data.spec.counts == (10, 5, 2) and data.spec.weights == loss_weights((10, 5, 8))
    assert sum(data.epoch_counts()) == 17 and data.epoch_counts()[2] > 4


def test_crops_are_read_named_apart_and_in_the_fingerprint(root: Path) -> None:
    recipe = Recipe.parse(RECIPE, "test.yaml", "test", [f"data.root={root}", "data.workers=0", "data.duplicates=never"])
    whole = Loaders(ImageFolder(root), recipe)
    prints, paths = [whole.fingerprint()], set()
    for right in (10, 11):
        source = ImageFolder(root)
        source.records["labelled"] = [replace(record, crop=Crop(0, 0, right, 20)) for record in source.records["labelled"]]
        data = Loaders(source, recipe)
        prints.append(data.fingerprint())
        sample = data.pictures("train")[0]
        picture = Image.open(data.parts()["train"][0].path).crop((0, 0, right, 20))
        assert sample["image"].equal(data.preprocess(picture)) and sample["path"].endswith(f".png#xywh=0,0,{right},20")
        paths.add(sample["path"])
    assert len(set(prints)) == 3 and len(paths) == 2


def test_sampler_draws_classes_evenly() -> None:
    labels = [0] * 900 + [1] * 90 + [2] * 10
    sampler = Endless(labels, 10, 0, "sampler")
    keys = [key for epoch in range(10) for key in sampler.epoch(epoch)]
    assert len(keys) == 10 * len(labels)
    for count in Counter(labels[index] for _, index, _ in keys).values():
        assert abs(count / len(keys) - 1 / 3) < 0.03
    assert len(set(keys)) == len(keys)  # copies are numbered, so that they differ


def test_augmented_sampler_repeats_rare_classes_up_to_the_cap() -> None:
    labels = [0] * 100 + [1] * 50 + [2] * 33 + [3] * 2
    keys = Endless(labels, 10, 0, "augmented_sampler", max_repeats=10).epoch(3)
    counts = Counter(labels[index] for _, index, _ in keys)
    assert counts == {0: 100, 1: 100, 2: 99, 3: 20}
    assert len(set(keys)) == len(keys)
    assert {copy for _, index, copy in keys if labels[index] == 3} == set(range(10))


def test_repeats_get_the_other_augmentation(root: Path) -> None:
    rare = "data.augment_rare=[{name: vertical_flip, p: 1.0}]"
    data = loaders(root, "data.balance=augmented_sampler", "data.augment=[]", rare)
    copies = {}
    for batch, keys in zip(first(data, data.batches), islice(data.sampler, data.batches), strict=True):
        for row, key in enumerate(keys):
            copies[key] = batch["image"][row]
    plain = {index: data.pictures("train")[index]["image"] for _, index, _ in copies}
    assert any(key[2] for key in copies)
    for (_, index, number), image in copies.items():
        assert image.equal(plain[index]) == (number == 0)


def test_loss_weights() -> None:
    counts = (100, 0, 25, 5)
    weights = loss_weights(counts)
    assert weights[1] == 0 and weights[2] == pytest.approx(4 * weights[0]) and weights[3] == pytest.approx(20 * weights[0])
    assert sum(weight * count for weight, count in zip(weights, counts, strict=True)) / sum(counts) == pytest.approx(1)


def test_the_spec_carries_counts_and_weights(root: Path) -> None:
    plain, weighted = loaders(root), loaders(root, "data.balance=loss_weights")
    assert plain.spec.counts == (10, 5, 2) == class_counts(plain.parts()["train"], 3)
    assert plain.spec.weights == () and weighted.spec.weights == loss_weights((10, 5, 2))
    assert plain.spec.size == (16, 16) and plain.spec.labels == ("a", "b", "c")


def test_epoch_counts_tell_what_balancing_does(root: Path) -> None:
    assert loaders(root).epoch_counts() == (10, 5, 2)
    assert loaders(root, "data.balance=augmented_sampler").epoch_counts() == (10, 10, 10)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("part", ["train", "val"])
def test_a_file_that_broke_after_the_look_is_named_without_a_workers_stack(root: Path, workers: int, part: str) -> None:
    data = loaders(root, f"data.workers={workers}")
    path = data.parts()[part][0].path
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError) as error:
        list(islice(data.stream(), data.batches + 1)) if part == "train" else list(data.evaluation("val"))
    assert str(error.value).startswith(f"{path}: broken or truncated")
    assert "DataLoader worker" not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_transform_that_cannot_be_applied_is_named_without_a_workers_stack(root: Path, workers: int) -> None:
    changes = ["data.size=6", "data.augment=[flip, {name: blur, kernel: 23, p: 1.0}]", f"data.workers={workers}"]
    with pytest.raises(RecipeError, match=r"^data\.augment\.1 \(blur\) cannot be applied to a picture of 7x8 pixels: "):
        first(loaders(root, *changes), 1)


def test_options_that_do_not_go_together_are_told_before_the_files_are_looked_at(root: Path) -> None:
    next(root.rglob("*.png")).write_bytes(b"")
    with pytest.raises(RecipeError, match=r"^data\.augment\.0 \(crop\): `scale`: expected \[smallest, largest\], found \[1\.0, 0\.5\]"):
        loaders(root, "data.augment=[{name: crop, scale: [1.0, 0.5]}]")


def test_the_data_fingerprint_tells_changes(root: Path) -> None:
    seen = [loaders(root).fingerprint(), loaders(root, "seed=9", "data.size=20").fingerprint()]
    assert seen[0] == seen[1]
    path = root / "a" / "3.png"
    other = np.asarray(Image.open(path)).copy()
    other[0, 0, 0] ^= 1
    Image.fromarray(other).save(path, compress_level=0)
    seen.append(loaders(root).fingerprint())
    other[0, 0, 0] ^= 2  # another picture in a file of the same length
    Image.fromarray(other).save(path, compress_level=0)
    seen.append(loaders(root).fingerprint())
    path.rename(root / "b" / "33.png")
    seen.append(loaders(root).fingerprint())
    seen.append(loaders(root, "split.seed=3").fingerprint())
    assert len(set(seen)) == 5


def test_unlabelled_pictures_are_kept_apart(root: Path) -> None:
    (root / "unlabelled").mkdir()
    Image.new("RGB", (9, 9)).save(root / "unlabelled" / "x.png")
    data = loaders(root)
    assert [record.id for record in data.unlabelled] == ["x.png"] and "unlabelled" not in data.parts()
    sample = data.pictures("unlabelled")[0]
    assert sample["path"].endswith("x.png") and "label" not in sample


def test_skipped_files_are_counted_and_noted(root: Path) -> None:
    (root / "a" / "bad.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"bad\.png: the file is empty"):
        loaders(root)
    data = loaders(root, "data.bad_files=skip")
    assert sum(map(len, data.parts().values())) == 21 and len(data.preflight.bad) == 1
    assert any("1 bad file skipped" in note and "a/bad.png" in note for note in data.notes)


def test_collate_keeps_what_is_no_number_as_a_list() -> None:
    batch = collate([{"image": torch.zeros(3), "label": 1, "path": "a"}, {"image": torch.ones(3), "label": 2, "path": "b"}])
    assert batch["image"].shape == (2, 3) and batch["label"].tolist() == [1, 2] and batch["path"] == ["a", "b"]


# ---------------------------------------------------------------- spoilt and binarised pictures


SPOILT = ("data.augment=[flip]", "data.corrupt=[{name: noise, sigma: 0.2, p: 1.0}]")


def test_spoilt_pictures_come_with_the_whole_ones(root: Path) -> None:
    data = loaders(root, *SPOILT)
    (batch,) = first(data, 1)
    assert batch["clean"].shape == batch["image"].shape and batch["clean"].dtype == torch.uint8
    difference = (batch["image"].float() - batch["clean"].float()).std() / 255
    assert 0.1 < difference < 0.2  # clipped at the ends of the range
    plain = loaders(root, "data.augment=[flip]")
    seen = {picture.numpy().tobytes() for batch in plain.evaluation("val") for picture in batch["image"]}
    assert {picture.numpy().tobytes() for batch in data.evaluation("val") for picture in batch["clean"]} == seen
    moved = to_device(batch, torch.device("cpu"))
    assert moved["clean"].dtype == torch.float32 and moved["clean"].max() <= 1


@pytest.mark.parametrize("change", [SPOILT[1], "data.binarize=true"])
def test_evaluation_spoils_by_the_picture_training_by_the_epoch(root: Path, change: str) -> None:
    data = loaders(root, "data.augment=[]", change)
    one, other = (torch.cat([batch["image"] for batch in data.evaluation("val")]) for _ in range(2))
    assert one.equal(other)
    seeds = [
        torch.cat([batch["image"] for batch in loaders(root, change, f"train.batch_size={size}").evaluation("val")]) for size in (1, 3)
    ]
    assert seeds[0].equal(seeds[1]) and seeds[0].equal(one)
    pictures = data.training_pictures()
    assert pictures[0, 2, 0]["image"].equal(pictures[0, 2, 0]["image"])
    assert not pictures[0, 2, 0]["image"].equal(pictures[1, 2, 0]["image"])


def test_binarised_pictures_have_two_values(root: Path) -> None:
    (batch,) = first(loaders(root, "data.binarize=true"), 1)
    assert set(batch["image"].unique().tolist()) == {0, 255} and "clean" not in batch


def test_what_moves_pixels_cannot_spoil(root: Path) -> None:
    with pytest.raises(RecipeError, match=r"data\.corrupt\.1 \(flip\) moves what is in the picture; expected one of autocontrast"):
        loaders(root, "data.corrupt=[grey, flip]")


class Described(ImageFolder):
    """Pictures without labels, each with two values and a person."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        found = [
            replace(record, label=None, attributes=(float(n), -0.5), group=f"p{n // 3}")
            for n, record in enumerate(self.records["labelled"])
        ]
        Source.__init__(self, root, (), {"labelled": found}, groups="person", attributes=("Smiling", "Bald"))


def test_attributes_and_groups_come_along(root: Path) -> None:
    recipe = Recipe.parse(RECIPE, "test.yaml", "test", [f"data.root={root}"])
    data = Loaders(Described(root), recipe)
    assert data.spec.attributes == ("Smiling", "Bald") and data.spec.truth == "none" and data.spec.labels == ()
    assert DataSpec.from_json(json.loads(json.dumps(data.spec.to_json()))) == data.spec
    (batch,) = first(data, 1)
    assert batch["attributes"].shape == (4, 2) and batch["attributes"].dtype == torch.float32
    train = data.parts()["train"]
    for row, index in enumerate(batch["index"].tolist()):
        assert batch["attributes"][row].tolist() == list(train[index].attributes) and batch["group"][row] == train[index].group
    assert "label" not in batch
    before, records = data.fingerprint(), data.split.parts["train"]
    records[0] = replace(records[0], attributes=(9.0, 9.0))
    assert data.fingerprint() != before
    with pytest.raises(RecipeError, match=r"data\.balance=sampler: these pictures have no labels"):
        Loaders(Described(root), Recipe.parse(RECIPE, "test.yaml", "test", [f"data.root={root}", "data.balance=sampler"]))


def test_a_mosaic_needs_boxes(root: Path) -> None:
    with pytest.raises(RecipeError, match=r"data\.mosaic=0\.5: it is for pictures with boxes, and these have none; leave it out"):
        loaders(root, "data.mosaic=0.5")
