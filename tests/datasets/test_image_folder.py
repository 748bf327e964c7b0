"""A folder per class, as people really have them; and that the drawn shapes are not too easy."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo.datasets import synthetic
from zoo.datasets.image_folder import ImageFolder
from zoo.errors import DataError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def tree(root: Path, *files: str) -> Path:
    """A folder with these pictures (any other file is a text)."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        if Path(file).suffix in (".jpg", ".png", ".JPG"):
            Image.new("RGB", (8, 8)).save(root / file, "PNG")
        else:
            (root / file).write_text("x")
    return root


def ids(source: ImageFolder, part: str) -> list[str]:
    return [record.id for record in source.records.get(part, [])]


def test_folders_are_classes_in_sorted_order(place: Path) -> None:
    source = ImageFolder(tree(place, "dogs/b.png", "dogs/deep/er/a.JPG", "cats/1.jpg", "Zebras/1.png"))
    assert source.labels == ("Zebras", "cats", "dogs")
    assert {record.id: record.label for record in source.records["labelled"]} == {
        "Zebras/1.png": 0,
        "cats/1.jpg": 1,
        "dogs/b.png": 2,
        "dogs/deep/er/a.JPG": 2,
    }
    assert source.notes == []


def test_empty_classes_keep_their_place(place: Path) -> None:
    (tree(place, "a/1.png", "c/1.png") / "b").mkdir()
    assert ImageFolder(place).labels == ("a", "b", "c")


def test_remains_of_archives_and_hidden_things_are_no_classes(place: Path) -> None:
    source = ImageFolder(tree(place, "a/1.png", "b/1.png", "__MACOSX/a/._1.png", ".git/x.png", "a/.hidden.png"))
    assert source.labels == ("a", "b") and ids(source, "labelled") == ["a/1.png", "b/1.png"]


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Train", "Valid", "TEST"), ("training", "validation", "testing")])
def test_own_parts_are_kept(place: Path, names: tuple[str, str, str]) -> None:
    for name, classes in zip(names, ("ab", "ab", "ac"), strict=True):
        tree(place, *(f"{name}/{label}/1.png" for label in classes))
    source = ImageFolder(place)
    assert source.labels == ("a", "b", "c")
    assert [ids(source, part) for part in ("train", "val", "test")] == [
        [f"{name}/{label}/1.png" for label in classes] for name, classes in zip(names, ("ab", "ab", "ac"), strict=True)
    ]


def test_a_class_may_be_called_train(place: Path) -> None:
    assert ImageFolder(tree(place, "bus/1.png", "train/1.png", "test/1.png")).labels == ("bus", "test", "train")


def test_unlabelled_pictures(place: Path) -> None:
    source = ImageFolder(tree(place, "a/1.png", "b/1.png", "unlabelled/x.png", "unlabelled/sub/y.png"))
    assert source.labels == ("a", "b") and ids(source, "unlabelled") == ["y.png", "x.png"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ((), "found 0 class folders, at least two are needed"),
        (("1.png", "2.png"), "found 0 class folders"),
        (("a/1.png",), "found 1 class folder, at least two"),
        (("a/x.txt", "b/y.heic"), "the class folders hold no pictures (.bmp, .gif,"),
        (("val/a/1.png", "test/a/1.png", "test/b/1.png"), "test/, val/ but no train/"),
        (("train/a/1.png", "train/b/1.png", "val/a/1.png", "valid/a/1.png"), "val/ and valid/ are both there; which is the val part?"),
    ],
)
def test_other_layouts_show_the_trees_expected_and_found(place: Path, files: tuple[str, ...], told: str) -> None:
    with pytest.raises(DataError) as error:
        ImageFolder(tree(place, *files))
    message = str(error.value)
    assert message.startswith(f"{place}: ") and told in message.splitlines()[0]
    assert ImageFolder.layout in message and "Point data.root at the right folder" in message
    for file in files:
        assert Path(file).parts[0] in message.partition("found in")[2]


def test_the_tree_found_is_two_deep_and_short(place: Path) -> None:
    """An archive that unpacked into a folder of its own is the most usual mistake: the message shows it."""
    tree(place, "archive/cats/1.png", "archive/dogs/1.png")
    with pytest.raises(DataError, match=r"\n  archive/  archive/cats/  archive/dogs/\n"):
        ImageFolder(place)
    tree(place, *(f"{number:02}.txt" for number in range(30)), *(f"archive/{number}.txt" for number in range(9)))
    with pytest.raises(DataError) as error:
        ImageFolder(place)
    assert "archive/1.txt  ...\n" in str(error.value) and "  ... and 19 more\n" in str(error.value)


def test_what_is_not_read_is_said(place: Path) -> None:
    tree(place, "a/1.png", "a/2.heic", "a/3.heic", "a/notes", "b/1.png", "loose.png")
    assert ImageFolder(place).notes == [
        "not read, no pictures by their names: 2 .heic, 1 without ending",
        "in no class and not read: 1 picture directly in the folder",
    ]


def test_folders_beside_the_parts_and_empty_parts_are_said(place: Path) -> None:
    tree(place, "train/a/1.png", "train/b/1.png", "extra/a/1.png", "unlabelled/x.png")
    (place / "val" / "a").mkdir(parents=True)
    assert ImageFolder(place).notes == ["val/ holds no pictures", "beside train/ and not read: extra/"]


def test_links(place: Path) -> None:
    """To a picture: read. To nowhere or to itself: listed, so that the look at the files names it. To a folder: said."""
    tree(place, "root/a/1.png", "root/b/1.png", "elsewhere/2.png")
    a = place / "root" / "a"
    (a / "2.png").symlink_to(place / "elsewhere" / "2.png")
    (a / "gone.png").symlink_to("nowhere.png")
    (a / "loop.png").symlink_to("loop.png")
    (a / "round").symlink_to(place / "root")
    (a / "folder.png").mkdir()
    (place / "root" / "c").symlink_to(place / "elsewhere")
    source = ImageFolder(place / "root")
    assert ids(source, "labelled") == ["a/1.png", "a/2.png", "a/gone.png", "a/loop.png", "b/1.png", "c/2.png"]
    assert source.notes == ["not read, no pictures by their names: 1 links to folders"]


def test_odd_names(place: Path) -> None:
    names = ["-rf.png", "two\nlines.png", "ça.png", "a,b.png", os.fsdecode(b"caf\xe9.png")]
    for name in names:
        tree(place, f"a/{name}", f"{'x' * 200}/{name}")
    source = ImageFolder(place)
    assert sorted(ids(source, "labelled"))[:5] == sorted(f"a/{name}" for name in names)
    assert all(source.read(record)[0].size == (8, 8) for record in source.records["labelled"])


def test_submission(place: Path) -> None:
    ImageFolder.write_submission(place / "s.csv", [Path("x/b.png"), Path("a,b.png")], [1, 0], ("cats", 'big "dogs"'))
    with (place / "s.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["id", "label"], ["a,b.png", "cats"], ["b.png", 'big "dogs"']]


@pytest.fixture(scope="module")
def thumbnails(data_home: Path) -> tuple[np.ndarray, np.ndarray]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_DATA", str(data_home))
        source = ImageFolder(synthetic.folder("image_folder", ImageFolder))
    records = source.records["labelled"]
    grids = [np.asarray(source.read(record)[0].resize((8, 8), Image.Resampling.BOX)).ravel() / 255 for record in records]
    return np.array(grids), np.array([record.label for record in records])


def accuracy(x: np.ndarray, y: np.ndarray) -> float:
    """Of logistic regression, over five halves."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    found = []
    for seed in range(5):
        x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.3, stratify=y, random_state=seed)
        found.append(model.fit(x_train, y_train).score(x_val, y_val))
    return float(np.mean(found))


def test_the_drawn_shapes_are_not_told_by_colour(thumbnails: tuple[np.ndarray, np.ndarray]) -> None:
    """The recipe reaches 0.80; chance is 0.125."""
    assert accuracy(*thumbnails) < 0.35


def test_shuffled_labels_give_chance(thumbnails: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = thumbnails
    assert 0.05 < accuracy(x, np.random.default_rng(0).permutation(y)) < 0.20


def test_drawing_is_equal_for_equal_seeds(place: Path) -> None:
    for name, seed in (("same", 0), ("other", 1)):
        (place / name).mkdir()
        ImageFolder.write_synthetic(place / name, seed)
    contents = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.png")}
        for root in (synthetic.folder("image_folder", ImageFolder), place / "same", place / "other")
    ]
    assert contents[0] == contents[1] and len(contents[0]) == 320
    assert contents[0].keys() == contents[2].keys()
    assert not any(contents[0][path] == contents[2][path] for path in contents[0])
