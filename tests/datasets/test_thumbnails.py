"""Thumbnails kept between runs: read once, read again when a file changed, never believed when damaged."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.datasets import idx, thumbnails
from zoo.datasets.duplicates import thumbnail
from zoo.datasets.mnist import MNIST
from zoo.datasets.pictures import read_picture
from zoo.datasets.source import Crop, Record, Source
from zoo.datasets.thumbnails import Thumbnails


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """Five pictures, whatever they take to read kept in a cache of this test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(thumbnails, "WORTH_KEEPING", 0.0)
    draw = np.random.default_rng(0)
    made = []
    for number, kind in enumerate(("jpg", "png", "png", "bmp", "jpg")):
        path = tmp_path / "set" / f"{number}.{kind}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (50, 60 + 100 * number, 3), np.uint8)).save(path)
        made.append(Record(path, path.name))
    return made


def source(records: list[Record], channels: int = 3) -> Source:
    return Source(records[0].path.parent, (), {"labelled": records}, channels=channels)


def read(records: list[Record], channels: int = 3) -> tuple[int, torch.Tensor]:
    found = Thumbnails(source(records, channels), records)
    return found.new, found.read()


def kept(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "cache" / "zoo" / "thumbnails"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_each_picture_is_read_once(records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, first = read(records)
    assert new == 5 and first.shape == (5, 3, 32, 32) and first.dtype == torch.uint8
    assert first[1].equal(thumbnail(read_picture(records[1].path)))
    monkeypatch.setattr(thumbnails, "_made", lambda source, record: b"")  # nothing is to be read
    new, second = read(records)
    assert new == 0 and second.equal(first)
    assert len(kept(tmp_path)) == 1


def test_what_is_quick_to_read_is_not_kept(records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "WORTH_KEEPING", 60.0)
    read(records)
    assert not kept(tmp_path)


def test_a_changed_file_is_read_again(records: list[Record]) -> None:
    _, first = read(records)
    path = records[2].path
    Image.new("RGB", (50, 50), "red").save(path)
    assert read(records)[0] == 1
    facts = path.stat()
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    new, second = read(records)
    assert new == 1 and not second[2].equal(first[2]) and second[3].equal(first[3])


def test_grey_and_colour_are_kept_apart(records: list[Record], tmp_path: Path) -> None:
    read(records)
    new, grey = read(records, 1)
    assert new == 5 and grey.shape == (5, 1, 32, 32) and len(kept(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "longer", "huge", "text", "folder"])
def test_a_damaged_file_is_not_believed(records: list[Record], tmp_path: Path, damage: str) -> None:
    _, first = read(records)
    (file,) = kept(tmp_path)
    content = file.read_bytes()
    middle = len(content) // 2
    changed = {
        "cut": content[:middle],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "empty": b"",
        "longer": content + b"\0",
        "huge": content * 50,
        "text": b"hello",
    }
    file.unlink()
    file.mkdir() if damage == "folder" else file.write_bytes(changed[damage])
    new, second = read(records)
    assert new == 5 and second.equal(first)


def test_a_cache_that_cannot_be_written_is_done_without(records: list[Record], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, where the folder should be")
    assert read(records)[0] == 5


def test_broken_pictures_are_black(records: list[Record]) -> None:
    records[1].path.write_bytes(b"broken")
    found = read(records)[1]
    assert not found[1].any() and found[2].any()


def test_files_of_folders_that_are_not_read_any_more_go(records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "FILES", 2)
    folder = tmp_path / "cache" / "zoo" / "thumbnails"
    folder.mkdir(parents=True)
    for age, name in enumerate(("c", "b", "a")):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (10**9 - age, 10**9 - age))
    read(records)
    assert len(kept(tmp_path)) == 2 and folder / "c" in kept(tmp_path)


def test_pictures_of_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(thumbnails, "WORTH_KEEPING", 0.0)
    array = np.random.default_rng(0).integers(0, 255, (3, 28, 28), np.uint8)
    for part in ("train", "t10k"):
        idx.write(tmp_path / f"{part}-images-idx3-ubyte", array)
        idx.write(tmp_path / f"{part}-labels-idx1-ubyte", np.arange(3, dtype=np.uint8))
    built = MNIST(tmp_path)
    records = built.records["train"]
    first = Thumbnails(built, records)
    rows = first.read()
    assert first.new == 3 and rows.shape == (3, 1, 32, 32) and rows[2].equal(thumbnail(Image.fromarray(array[2])))
    again = Thumbnails(built, records)
    assert again.new == 0 and again.read().equal(rows)


def test_crops_of_one_picture_have_thumbnails_of_their_own(records: list[Record]) -> None:
    crops = [replace(records[3], id=f"{left}", crop=Crop(left, 0, left + 30, 50)) for left in (0, 40)]
    new, made = read([records[3], *crops])
    picture = read_picture(records[3].path)
    assert new == 3 and all(made[n + 1].equal(thumbnail(picture.crop((left, 0, left + 30, 50)))) for n, left in enumerate((0, 40)))
    again, kept = read([records[3], *crops])
    assert again == 0 and kept.equal(made)
    assert read([replace(crops[0], crop=Crop(0, 0, 29, 50))])[0] == 1
