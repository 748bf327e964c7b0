"""IDX files: what is written is read, nothing that lies is believed, and MNIST and Fashion-MNIST are read from them."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.datasets import idx, preflight, synthetic
from zoo.datasets.fashion_mnist import FashionMNIST
from zoo.datasets.idx import Array
from zoo.datasets.loaders import usable
from zoo.datasets.mnist import MNIST, STAND_IN
from zoo.datasets.source import Record, Source
from zoo.errors import DataError


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def packed(*lengths: int, content: bytes = b"", kind: int = 8) -> bytes:
    return struct.pack(f">HBB{len(lengths)}I", 0, kind, len(lengths), *lengths) + content


# ---------------------------------------------------------------- one file


@pytest.mark.parametrize("name", ["a", "a.gz"])
@pytest.mark.parametrize("array", [noise(5), noise(4, 3, 2), noise(0, 28, 28)], ids=str)
def test_what_is_written_is_read(tmp_path: Path, name: str, array: Array) -> None:
    idx.write(tmp_path / name, array)
    read = idx.read(tmp_path / name)
    assert read.dtype == np.uint8 and np.array_equal(read, array)
    assert idx.shape(tmp_path / name) == array.shape
    assert (tmp_path / name).read_bytes().startswith(b"\x1f\x8b" if name == "a.gz" else b"\0\0\x08")


def test_equal_arrays_are_equal_files(tmp_path: Path) -> None:
    idx.write(tmp_path / "a.gz", noise(9, 9, 9))
    assert (tmp_path / "a.gz").read_bytes()[4:8] == b"\0\0\0\0"  # no time of day


def test_a_file_is_packed_if_its_content_says_so(tmp_path: Path) -> None:
    """Browsers unpack files and leave them their names."""
    idx.write(tmp_path / "a.gz", noise(7))
    idx.write(tmp_path / "b", noise(7))
    (tmp_path / "a.gz").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "d.gz")
    assert np.array_equal(idx.read(tmp_path / "c"), noise(7)) and np.array_equal(idx.read(tmp_path / "d.gz"), noise(7))


WHOLE = gzip.compress(packed(1000, content=noise(1000).tobytes()))

BROKEN = {
    "empty": (b"", "not an IDX file: it begins with nothing"),
    "text": (b"<html>", "not an IDX file: it begins with 3c 68 74 6d"),
    "other first bytes": (b"\1" + packed(1, content=b"x")[1:], "not an IDX file: it begins with 01 00 08 01"),
    "four dimensions": (packed(1, 1, 1, 1, content=b"x"), "not an IDX file"),
    "floats": (packed(1, content=b"1234", kind=13), "numbers of kind 0x0d; only unsigned bytes"),
    "header cut": (packed(2, 2, 2)[:9], "cut off in its header"),
    "too much promised": (packed(2**31, 28, 28), "promises 1,683,627,180,032 bytes, more than the 268,435,456"),
    "content cut": (packed(3, 2, 2, content=b"x" * 11), "promises 12 bytes, and only 11 follow"),
    "something behind": (packed(3, content=b"xxxx"), "promises 3 bytes, and more follow"),
    "promises and holds nothing": (packed(2**27), "promises 134,217,728 bytes, and only 0 follow"),
    "gzip cut": (WHOLE[:500], "cut off or damaged"),
    "gzip changed": (WHOLE[:500] + bytes([WHOLE[500] ^ 255]) + WHOLE[501:], "cut off or damaged"),
    "gzip with another checksum": (WHOLE[:-8] + b"\0" * 4 + WHOLE[-4:], "cut off or damaged"),
    "something behind gzip": (WHOLE + b"more", "cut off or damaged"),
    "bomb": (gzip.compress(packed(10, content=b"\0" * 50_000_000), 1), "promises 10 bytes, and more follow"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_before_memory_is_taken(tmp_path: Path, kind: str) -> None:
    content, says = BROKEN[kind]
    path = tmp_path / "some\nfile"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(DataError) as error:
        idx.read(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(error.value).startswith(f"{tmp_path}/some\\nfile: ") and says in str(error.value)
    assert most < 5e6


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, says in (("missing", "cannot be read"), ("", "not a file"), ("pipe", "not a file")):
        with pytest.raises(DataError, match=says):
            idx.read(tmp_path / name)


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path: Path) -> None:
    idx.write(tmp_path / "a", noise(9))
    one = idx.read(tmp_path / "a")
    assert idx.read(tmp_path / "a") is one
    with pytest.raises(ValueError, match="read-only"):
        one[0] = 1
    idx.write(tmp_path / "a", noise(8))
    assert len(idx.read(tmp_path / "a")) == 8


# ---------------------------------------------------------------- the four files of a data set


def data_set(folder: Path, train: int = 30, test: int = 10, ending: str = ".gz", **others: Array) -> None:
    """The four files; `others` replace one by its name in them: train_images, t10k_labels ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("t10k", test)):
        images = others.get(f"{part}_images", noise(count, 6, 5, seed=count))
        labels = others.get(f"{part}_labels", np.arange(count, dtype=np.uint8) % 10)
        idx.write(folder / f"{part}-images-idx3-ubyte{ending}", images)
        idx.write(folder / f"{part}-labels-idx1-ubyte{ending}", labels)


@pytest.mark.parametrize("inside", ["", "MNIST", "MNIST/raw"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_the_files_are_found_where_people_point(tmp_path: Path, inside: str, ending: str) -> None:
    data_set(tmp_path / "MNIST" / "raw", ending=ending)
    source = MNIST(tmp_path / inside)
    assert source.labels == tuple("0123456789") and source.channels == 1 and not source.notes
    assert {part: len(records) for part, records in source.records.items()} == {"train": 30, "test": 10}
    record = source.records["train"][17]
    file = tmp_path / "MNIST" / "raw" / f"train-images-idx3-ubyte{ending}"
    assert record == Record(file, "train/00017", 7, place=17)
    picture, fields = source.read(record)
    assert fields == {"label": 7} and picture.mode == "L" and picture.size == (5, 6)
    assert np.array_equal(np.asarray(picture), noise(30, 6, 5, seed=30)[17])


def test_an_unpacked_file_goes_before_a_packed_one(tmp_path: Path) -> None:
    data_set(tmp_path)
    data_set(tmp_path, train=20, ending="")
    assert len(MNIST(tmp_path).records["train"]) == 20


def test_fashion_has_names_and_a_folder_of_its_own(tmp_path: Path) -> None:
    data_set(tmp_path / "FashionMNIST" / "raw")
    source = FashionMNIST(tmp_path)
    assert (source.labels[0], source.labels[9], len(source.labels)) == ("T-shirt/top", "Ankle boot", 10)
    assert source.read(source.records["test"][3])[1] == {"label": 3}
    with pytest.raises(DataError, match="no file train-images-idx3-ubyte"):
        MNIST(tmp_path)


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"t10k_labels": noise(9) % 10}, r"t10k-labels-idx1-ubyte\.gz: holds 9 labels for the 10 pictures of t10k-images-idx3-ubyte\.gz"),
        ({"train_labels": np.uint8([1] * 29 + [10])}, r"train-labels-idx1-ubyte\.gz: label 10 of picture 29, expected 0 to 9"),
        ({"train_labels": np.zeros((30, 1), np.uint8)}, r"train-labels-idx1-ubyte\.gz: holds 30x1 labels for the 30 pictures"),
        ({"train_images": noise(30, 28)}, r"train-images-idx3-ubyte\.gz: holds an array of 30x28, expected count x height x width"),
        ({"train_images": noise(0, 28, 28), "train_labels": noise(0)}, r"train-images-idx3-ubyte\.gz: holds an array of 0x28x28"),
    ],
)
def test_files_that_contradict_each_other_are_named(tmp_path: Path, others: dict[str, Array], says: str) -> None:
    data_set(tmp_path, **others)
    with pytest.raises(DataError, match=says):
        MNIST(tmp_path)


@pytest.mark.parametrize("name", ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    data_set(tmp_path)
    (tmp_path / f"{name}.gz").unlink()
    with pytest.raises(DataError, match=rf"no file {name}, nor {name}\.gz\nexpected MNIST"):
        MNIST(tmp_path)


def test_no_pixels_travel_to_workers(tmp_path: Path) -> None:
    data_set(tmp_path, train=300, train_images=noise(300, 28, 28))
    source = MNIST(tmp_path)
    source.read(source.records["train"][0])
    sent = pickle.dumps(source)
    assert len(sent) < 300 * 28 * 28 / 5
    assert np.array_equal(*(np.asarray(one.read(one.records["train"][299])[0]) for one in (source, pickle.loads(sent))))


# ---------------------------------------------------------------- the look at the files


def look(source: Source) -> preflight.Preflight:
    return preflight.check([record for part in source.records.values() for record in part])


def test_the_look_counts_pictures_and_not_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_set(tmp_path, t10k_images=noise(10, 8, 8))
    source = MNIST(tmp_path)
    asked: list[Path] = []
    read = idx.read
    monkeypatch.setattr(idx, "read", lambda path: asked.append(path) or read(path))
    found = look(source)
    assert (found.files, found.sizes, found.bad) == (40, {(5, 6): 30, (8, 8): 10}, {})
    assert found.bytes == sum(path.stat().st_size for path in tmp_path.glob("*images*"))
    assert sorted(asked) == sorted(tmp_path.glob("*images*"))
    assert found.summary() == "40 pictures, 0 MB, 5x6 to 8x8 pixels"


def test_marks_are_of_the_pixels(tmp_path: Path) -> None:
    images, marks = noise(30, 6, 5), []
    for name, ending, changed in (("a", ".gz", None), ("b", "", None), ("c", "", 0), ("d", "", 15)):
        if changed is not None:
            images[changed, 0, 0] += 1  # far from the file's end
        data_set(tmp_path / name, ending=ending, train_images=images)
        source = MNIST(tmp_path / name)
        marks.append(look(source).marks[source.records["train"][0].path])
    assert marks[0] == marks[1] and len(set(marks)) == 3


def test_a_broken_file_is_bad_and_can_be_left_out(tmp_path: Path) -> None:
    data_set(tmp_path, ending="")
    file = tmp_path / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    source = MNIST(tmp_path)  # reads headers only
    assert look(source).bad == {file: "its header promises 300 bytes, and only 299 follow"}
    with pytest.raises(DataError, match=rf"1 file cannot be used:\n  {file}: its header"):
        usable(source, "error")
    records, found, _ = usable(source, "skip")
    assert (len(records["train"]), records["test"]) == (30, []) and found.sizes == {(5, 6): 30}


# ---------------------------------------------------------------- what stands in for them


def test_real_digits_stand_in_for_mnist_and_are_called_so(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    source = MNIST(synthetic.folder("mnist", MNIST))
    assert source.notes == [STAND_IN] and "real" in STAND_IN and "scikit-learn" in STAND_IN and "scikit-learn" in MNIST.obtain
    assert {part: len(records) for part, records in source.records.items()} == {"train": 1500, "test": 297}
    labels = Counter(record.label for records in source.records.values() for record in records)
    assert labels == Counter(load_digits().target.tolist())
    images = idx.read(source.records["train"][0].path).astype(float)
    y, x = ((images * grid).sum((1, 2)) / images.sum((1, 2)) for grid in np.indices((28, 28)))
    assert images.shape == (1500, 28, 28) and abs(np.median(y) - 14) < 0.7 and abs(np.median(x) - 14) < 0.7
    assert not images[:, 0].any() and not images[:, :, 0].any() and images.max() == 255


def test_the_seed_divides_the_digits(tmp_path: Path) -> None:
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        MNIST.write_synthetic(tmp_path / str(seed), seed)
    drawn = synthetic.folder("mnist", MNIST)
    one, same, other = (
        [idx.read(root / "MNIST" / "raw" / f"{part}-images-idx3-ubyte.gz") for part in ("train", "t10k")]
        for root in (drawn, tmp_path / "0", tmp_path / "1")
    )
    assert np.array_equal(one[0], same[0]) and not np.array_equal(one[0], other[0])
    everything = [sorted(image.tobytes() for part in parts for image in part) for parts in (one, other)]
    assert everything[0] == everything[1]


def thumbnails(images: Array) -> Array:
    small = [Image.fromarray(image).resize((8, 8), Image.Resampling.BOX) for image in images]
    return np.stack([np.asarray(image, float).ravel() / 255 for image in small])


def test_drawn_clothes_are_not_told_by_thumbnails() -> None:
    from sklearn.linear_model import LogisticRegression

    folder = synthetic.folder("fashion_mnist", FashionMNIST) / "FashionMNIST" / "raw"
    x, y, others, truth = (
        idx.read(folder / f"{part}-{kind}-ubyte.gz") for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
    )
    assert (Counter(y.tolist()), Counter(truth.tolist())) == (dict.fromkeys(range(10), 120), dict.fromkeys(range(10), 20))
    model = LogisticRegression(max_iter=300).fit(thumbnails(x), y)
    assert 0.6 < model.score(thumbnails(others), truth) < 0.92  # measured: 0.845
