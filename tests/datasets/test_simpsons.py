"""The Simpsons source on drawn data: layout, traps, submission, and that colour alone does not solve it."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo.datasets import synthetic
from zoo.datasets.drawn import simpsons as drawn
from zoo.datasets.pictures import read_picture
from zoo.datasets.simpsons import NAMES, Simpsons
from zoo.errors import DataError


@pytest.fixture(scope="module")
def root(data_home: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_DATA", str(data_home))
        return synthetic.folder("simpsons", Simpsons)


@pytest.fixture(scope="module")
def source(root: Path) -> Simpsons:
    return Simpsons(root)


def folder_of(root: Path, name: str, at: str = "train/simpsons_dataset") -> Path:
    """A root with one picture in the folder of one class."""
    folder = root / at / name
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "pic_0000.jpg")
    return root


def test_all_classes_are_listed_in_sorted_order(source: Simpsons) -> None:
    assert source.labels == NAMES == tuple(sorted(character.name for character in drawn.CAST))
    assert len(NAMES) == 42
    labels = [record.label for record in source.records["labelled"]]
    assert set(labels) == set(range(42))
    assert source.notes == []


def test_ids_are_paths_within_the_root_in_sorted_order(source: Simpsons, root: Path) -> None:
    ids = [record.id for record in source.records["labelled"]]
    assert ids == sorted(ids) and len(set(ids)) == len(ids)
    assert ids[0] == "train/simpsons_dataset/abraham_grampa_simpson/pic_0000.jpg"
    assert all((root / name).is_file() for name in ids)


def test_the_whole_set_is_as_uneven_as_the_real_one() -> None:
    counts = {character.name: drawn.drawn_count(character.total) for character in drawn.CAST}
    assert 1600 <= sum(counts.values()) <= 2000
    assert counts["lionel_hutz"] == min(counts.values()) == 3
    assert counts["homer_simpson"] == max(counts.values()) > 40 * 3


def test_characters_differ_and_use_known_parts() -> None:
    assert len({(c.head, c.parts) for c in drawn.CAST}) == 42
    assert {part for c in drawn.CAST for part in c.parts.split()} | set(drawn.DISGUISES) <= set(drawn.PARTS)
    assert {piece.layer for part in drawn.PARTS.values() for piece in part} <= set(drawn.LAYERS)


def test_equal_seeds_draw_equal_bytes(root: Path) -> None:
    for name, index in (("homer_simpson", 0), ("homer_simpson", 7), ("ned_flanders", 11), ("gil", 2)):
        file, data = drawn.draw_file(name, index, seed=0)
        assert (root / "train" / "simpsons_dataset" / name / file).read_bytes() == data
    assert drawn.draw_file("gil", 2, seed=0) != drawn.draw_file("gil", 2, seed=1)


def test_a_share_is_equal_to_its_part_of_the_whole(root: Path, tmp_path: Path) -> None:
    drawn.write(tmp_path, seed=0, share=0.02)
    files = [path.relative_to(tmp_path) for path in (tmp_path / "train").rglob("*.*")]
    assert len(files) == 3 * 42 and len(list((tmp_path / "testset" / "testset").iterdir())) == 3
    assert all((root / file).read_bytes() == (tmp_path / file).read_bytes() for file in files)


def test_traps_are_there_and_read_as_rgb(source: Simpsons) -> None:
    modes: Counter[str] = Counter()
    for record in source.records["labelled"]:
        with Image.open(record.path) as picture:
            modes[picture.mode] += 1
        if picture.mode != "RGB":
            read, fields = source.read(record)
            assert read.mode == "RGB" and fields == {"label": record.label}
            assert 20 < np.asarray(read).mean() < 235
    assert {mode: modes[mode] for mode in ("L", "CMYK", "RGBA")} == {"L": 1, "CMYK": 1, "RGBA": 1}
    assert set(modes) == {"RGB", "L", "CMYK", "RGBA"}


def test_sizes_are_mixed_and_odd_ones_occur(source: Simpsons) -> None:
    sizes = {Image.open(record.path).size for record in source.records["labelled"][:200]}
    assert len(sizes) > 100
    assert all(100 <= side <= 200 for size in sizes for side in size)
    assert any(width % 2 and height % 2 for width, height in sizes)


def test_submission_has_file_and_class_names(source: Simpsons, root: Path, tmp_path: Path) -> None:
    records = source.records["unlabelled"]
    assert all(record.label is None for record in records)
    path = tmp_path / "submission.csv"
    pictures = [record.path for record in records]
    Simpsons.write_submission(path, pictures, [index % 42 for index in range(len(pictures))], NAMES)
    lines = path.read_text().splitlines()
    assert lines[:2] == ["Id,Expected", "img0.jpg,abraham_grampa_simpson"]
    with (root / "sample_submission.csv").open() as sample, path.open() as written:
        rows = [list(csv.DictReader(file)) for file in (sample, written)]
    assert sorted(row["Id"] for row in rows[0]) == sorted(row["Id"] for row in rows[1])
    with pytest.raises(ValueError):
        Simpsons.write_submission(path, pictures, [0], NAMES)


def test_the_overview_is_drawn(root: Path) -> None:
    assert min(read_picture(root / "characters_illustration.png").size) > 800


@pytest.mark.parametrize("above", ["", "train/"])
@pytest.mark.parametrize("inner", ["simpsons_dataset", "simpsons_dataset/simpsons_dataset"])
def test_other_ways_of_unpacking(tmp_path: Path, above: str, inner: str) -> None:
    at = above + inner
    source = Simpsons(folder_of(tmp_path, "gil", at))
    assert [(record.id, record.label) for record in source.records["labelled"]] == [(f"{at}/gil/pic_0000.jpg", NAMES.index("gil"))]
    assert list(source.records) == ["labelled"]
    assert "homer_simpson" in source.notes[0] and "gil," not in source.notes[0]


def test_a_copy_inside_is_not_listed_twice(tmp_path: Path) -> None:
    folder_of(tmp_path, "gil")
    folder_of(tmp_path, "gil", "train/simpsons_dataset/simpsons_dataset")
    assert len(Simpsons(tmp_path).records["labelled"]) == 1


def test_hidden_and_foreign_files_are_passed_over(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "gil") / "train" / "simpsons_dataset" / "gil"
    for name in ("._pic_0000.jpg", "Thumbs.db", "notes.txt"):
        shutil.copy(folder / "pic_0000.jpg", folder / name)
    (folder.parent / ".DS_Store").touch()
    (folder.parent / "__MACOSX").mkdir()
    assert len(Simpsons(tmp_path).records["labelled"]) == 1


def test_an_unknown_folder_is_named_with_the_closest_class(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'homer_simson' is none of the 42 classes; the closest is 'homer_simpson'"):
        Simpsons(folder_of(tmp_path, "homer_simson"))


def test_a_missing_layout_shows_both_trees(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError) as error:
        Simpsons(tmp_path)
    for words in ("train/simpsons_dataset/<class>/*.jpg", "pictures/", "journey-springfield", "data.synthetic=always"):
        assert words in str(error.value)
    (tmp_path / "train" / "simpsons_dataset" / "gil").mkdir(parents=True)
    with pytest.raises(DataError, match="no picture in the folders"):
        Simpsons(tmp_path)


def test_thumbnails_do_not_give_the_class(source: Simpsons) -> None:
    records = source.records["labelled"]
    pixels = np.stack([np.asarray(source.read(record)[0].resize((8, 8), Image.Resampling.BOX)).ravel() for record in records])
    labels = np.array([record.label for record in records])
    train, val = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    shuffled = np.random.default_rng(0).permutation(labels[train])
    scores = [
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(pixels[train], target).score(pixels[val], labels[val])
        for target in (labels[train], shuffled)
    ]
    assert scores[0] < 0.45  # measured 0.2 to 0.3; a recipe reaches 0.9 and more
    assert scores[1] < 0.12  # the most frequent class alone is 0.07
