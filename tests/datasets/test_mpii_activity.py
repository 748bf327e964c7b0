"""The MPII activity source: both layouts, their faults, and whether the drawn data is neither too easy nor without sense."""

from __future__ import annotations

import csv
import hashlib
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zoo.datasets import synthetic
from zoo.datasets.drawn.mpii_activity import COUNTS, write_course, write_official
from zoo.datasets.mpii_activity import ANSWERS, CATEGORIES, COURSE, MAT, NAMES, OFFICIAL, VIDEOS, MPIIActivity
from zoo.errors import DataError

EMPTY = {7, 15, 17, 19}
FEW = {0: 4, 1: 4, 18: 4}


@pytest.fixture(scope="module")
def drawn(data_home: Path) -> MPIIActivity:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_DATA", str(data_home))
        return MPIIActivity(synthetic.folder("mpii_activity", MPIIActivity))


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("few")
    write_course(root, 0, FEW, tests=3)
    return root


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("official")
    write_official(root, 0)
    return root


@pytest.fixture
def copy(few: Path, tmp_path: Path) -> Path:
    """The small course folder, to be spoilt."""
    return Path(shutil.copytree(few / COURSE, tmp_path / COURSE))


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def _write(path: Path, rows: list[list[str]]) -> None:
    path.write_text("".join(",".join(row) + "\n" for row in rows))


def _digest(root: Path) -> str:
    """Of all names and bytes below `root`."""
    total = hashlib.sha256()
    for file in sorted(root.rglob("*.*")):
        total.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return total.hexdigest()


# ---- the course's layout


def test_labels_are_the_twenty_categories_and_four_stay_empty(drawn: MPIIActivity) -> None:
    assert drawn.labels == CATEGORIES and len(CATEGORIES) == 20
    used = Counter(record.label for record in drawn.records["labelled"])
    assert used == COUNTS
    assert set(range(20)) - set(used) == EMPTY
    assert 15 <= max(used.values()) / min(used.values()) <= 25


def test_records_are_numbered_pictures_in_numeric_order(drawn: MPIIActivity) -> None:
    numbers = [int(record.id) for record in drawn.records["labelled"]]
    assert numbers == sorted(set(numbers)) and numbers[-1] > 2 * len(numbers)
    assert all(record.path.name == f"{record.id}.jpg" and record.path.parent.name == "img_train" for record in drawn.records["labelled"])
    assert len(drawn.records["unlabelled"]) == 60
    assert all(record.label is None and record.path.parent.name == "img_test" for record in drawn.records["unlabelled"])


def test_pictures_are_read_with_their_label(drawn: MPIIActivity) -> None:
    record = drawn.records["labelled"][0]
    picture, fields = drawn.read(record)
    assert picture.mode == "RGB" and min(picture.size) >= 100
    assert fields == {"label": record.label, "group": record.group}


def test_every_class_has_videos_for_a_grouped_split(drawn: MPIIActivity) -> None:
    assert drawn.groups == "video" and not drawn.notes
    videos: dict[str | None, set[int | None]] = {}
    for record in drawn.records["labelled"]:
        videos.setdefault(record.group, set()).add(record.label)
    assert None not in videos and all(len(labels) == 1 for labels in videos.values())
    assert min(Counter(label for labels in videos.values() for label in labels).values()) >= 3
    frames = Counter(record.group for record in drawn.records["labelled"])
    assert set(frames.values()) == {2, 3, 4, 5}


def test_unlabelled_videos_are_not_labelled_ones(drawn: MPIIActivity) -> None:
    labelled, tests = ({record.group for record in drawn.records[part]} for part in ("labelled", "unlabelled"))
    assert not labelled & tests


def test_without_video_ids_there_are_no_groups_but_a_note(copy: Path) -> None:
    (copy / VIDEOS).unlink()
    source = MPIIActivity(copy)
    assert source.groups is None and {record.group for record in source.records["labelled"]} == {None}
    assert any("one video" in note and "random split" in note for note in source.notes)


def test_the_folder_itself_may_be_the_root(few: Path) -> None:
    assert MPIIActivity(few / COURSE).records == MPIIActivity(few).records


def test_drawing_is_equal_for_equal_seeds(few: Path, tmp_path: Path) -> None:
    digests = []
    for name, seed in (("same", 0), ("other", 1)):
        (tmp_path / name).mkdir()
        write_course(tmp_path / name, seed, FEW, tests=3)
        digests.append(_digest(tmp_path / name))
    assert digests[0] == _digest(few) != digests[1]


def test_submission_has_original_ids_and_categories(drawn: MPIIActivity, tmp_path: Path) -> None:
    pictures = [record.path for record in drawn.records["unlabelled"]]
    random.Random(0).shuffle(pictures)
    MPIIActivity.write_submission(tmp_path / "submission.csv", pictures, [int(picture.stem) % 20 for picture in pictures], drawn.labels)
    header, *rows = _rows(tmp_path / "submission.csv")
    assert header == ["id", "target_feature"]
    assert [int(row[0]) for row in rows] == sorted(int(record.id) for record in drawn.records["unlabelled"])
    assert all(int(answer) == int(number) % 20 for number, answer in rows)
    assert max(int(answer) for _, answer in rows) > 15  # more than 16 numbers: nothing was re-encoded


@pytest.mark.parametrize(("names", "message"), [(("cat.jpg", "1.jpg"), "cat.jpg.*img_id"), (("a/1.jpg", "b/1.jpg"), "second picture")])
def test_submission_of_foreign_pictures_is_refused(tmp_path: Path, names: tuple[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        MPIIActivity.write_submission(tmp_path / "submission.csv", [Path(name) for name in names], [0, 1], CATEGORIES)
    assert not (tmp_path / "submission.csv").exists()


# ---- faults of the course's layout


def test_missing_layout_shows_the_trees(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    with pytest.raises(DataError) as caught:
        MPIIActivity(tmp_path)
    for part in ("train_answers.csv", "img_train/<img_id>.jpg", "mpii_human_pose_v1_u12_1.mat", "holiday/", "research only", "data.root"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", [NAMES, "img_train"])
def test_half_a_layout_is_told(copy: Path, name: str) -> None:
    shutil.rmtree(copy / name) if (copy / name).is_dir() else (copy / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing(.|\n)*expected"):
        MPIIActivity(copy.parent)


def _set(line: int, column: int, value: str) -> Callable[[list[list[str]]], None]:
    return lambda rows: rows[line - 1].__setitem__(column, value)


FAULTS: list[tuple[str, Callable[[list[list[str]]], None], str]] = [
    (
        ANSWERS,
        _set(4, 1, "20"),
        r"train_answers.csv, line 4: target_feature 20 of img_id \d+ is not in activity_categories.csv \(0 to 19\)",
    ),
    (ANSWERS, _set(3, 1, "1.0"), r"train_answers.csv, line 3: target_feature '1.0' of img_id \d+ is not a whole number"),
    (ANSWERS, _set(3, 1, ""), r"train_answers.csv, line 3: target_feature '' of img_id \d+ is not a whole number"),
    (ANSWERS, _set(2, 0, "../7"), r"train_answers.csv, line 2: img_id '../7' is not a whole number"),
    (ANSWERS, _set(2, 0, "99999"), r"train_answers.csv, line 2: img_id 99999 has no picture img_train/99999.jpg"),
    (ANSWERS, _set(1, 1, "label"), r"train_answers.csv, line 1: the header is 'img_id,label'"),
    (ANSWERS, lambda rows: rows.append([rows[1][0], "12"]), r"line 14: img_id \d+ has the label 12 here and \d+ before"),
    (ANSWERS, lambda rows: rows.__delitem__(slice(1, None)), r"train_answers.csv: no picture is listed"),
    (NAMES, _set(9, 0, "seven"), r"activity_categories.csv, line 9: id 'seven' is not a whole number"),
    (NAMES, _set(9, 0, "3"), r"activity_categories.csv, line 9: category 3 is 'religious activities' here and 'occupation' before"),
    (NAMES, lambda rows: rows.__delitem__(8), r"activity_categories.csv: category id 7 is not declared"),
    (NAMES, _set(9, 1, ""), r"activity_categories.csv, line 9: category 7 has no name"),
    (VIDEOS, _set(5, 1, ""), r"video_ids.csv, line 5: img_id \d+ has no video_id"),
    (VIDEOS, lambda rows: rows.append([rows[1][0], "x"]), r"video_ids.csv, line 17: img_id \d+ is in video 'x' here"),
    (VIDEOS, lambda rows: rows.__delitem__(slice(2, None)), r"img_id \d+ has no video in video_ids.csv"),
]


@pytest.mark.parametrize(("name", "spoil", "message"), FAULTS)
def test_faults_name_file_line_and_value(copy: Path, name: str, spoil: Callable[[list[list[str]]], None], message: str) -> None:
    rows = _rows(copy / name)
    spoil(rows)
    _write(copy / name, rows)
    with pytest.raises(DataError, match=message):
        MPIIActivity(copy)


def test_ten_faults_are_told_and_the_rest_counted(copy: Path) -> None:
    header, *rows = _rows(copy / ANSWERS)
    _write(copy / ANSWERS, [header, *([number, "none"] for number, _ in rows)])
    with pytest.raises(DataError) as caught:
        MPIIActivity(copy)
    assert str(caught.value).count("not a whole number") == 10
    assert str(caught.value).endswith("... and 2 more")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00img_id", b"", b'img_id,target_feature\n"' + b"x" * 200_000])
def test_tables_of_garbage_are_refused(copy: Path, content: bytes) -> None:
    (copy / ANSWERS).write_bytes(content)
    with pytest.raises(DataError, match=ANSWERS):
        MPIIActivity(copy)


def test_harmless_oddities_are_notes(copy: Path) -> None:
    rows = _rows(copy / ANSWERS)
    _write(copy / ANSWERS, [*rows[:-1], rows[1], [""]])  # the last picture loses its row, the first has two
    Image.new("RGB", (8, 8)).save(copy / "img_test" / "cover.png")
    source = MPIIActivity(copy)
    assert len(source.records["labelled"]) == 11
    assert sum(any(part in note for note in source.notes) for part in ("1 rows", "1 pictures in img_train", "cover.png")) == 3


def test_a_bom_and_windows_line_ends_are_read(copy: Path, few: Path) -> None:
    text = (copy / ANSWERS).read_text()
    (copy / ANSWERS).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    labels = [record.label for record in MPIIActivity(copy).records["labelled"]]
    assert labels == [record.label for record in MPIIActivity(few).records["labelled"]]


# ---- the official layout


def test_official_file_is_read_with_videos(official: Path) -> None:
    source = MPIIActivity(official)
    labelled = source.records["labelled"]
    assert source.groups == "video" and source.labels == CATEGORIES
    assert len(labelled) == 2 * 16 - 1  # one picture is missing
    assert {record.label for record in labelled} == set(range(20)) - EMPTY
    assert sorted(Counter(record.group for record in labelled).values()) == [1] + [2] * 15
    assert all(record.path.is_file() and record.id == record.path.name for record in labelled)
    assert len(source.records["unlabelled"]) == 4
    assert sorted(note.split()[0] for note in source.notes) == ["1", "2"]


def test_official_file_may_lie_in_the_root(official: Path, tmp_path: Path) -> None:
    shutil.copytree(official, tmp_path, dirs_exist_ok=True)
    shutil.move(tmp_path / OFFICIAL / MAT, tmp_path / MAT)
    assert len(MPIIActivity(tmp_path).records["labelled"]) == 31


def test_official_submission_is_in_numeric_order(official: Path, tmp_path: Path) -> None:
    pictures = [record.path for record in MPIIActivity(official).records["unlabelled"]]
    MPIIActivity.write_submission(tmp_path / "submission.csv", pictures[::-1], [18, 7, 3, 0], CATEGORIES)
    labels = ("0", "3", "7", "18")
    assert _rows(tmp_path / "submission.csv")[1:] == [[picture.stem, label] for picture, label in zip(pictures, labels, strict=True)]


def test_official_without_pictures_is_refused(official: Path, tmp_path: Path) -> None:
    shutil.copytree(official / OFFICIAL, tmp_path / OFFICIAL)
    with pytest.raises(DataError, match="images is missing"):
        MPIIActivity(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="none of the 32 training pictures"):
        MPIIActivity(tmp_path)


def _mat(root: Path, name: str = "1.jpg", count: int = 1, **activity: Any) -> None:
    """A `.mat` of one training entry, as MATLAB writes a struct that is no array."""
    from scipy.io import savemat

    (root / "images").mkdir()
    Image.new("RGB", (8, 8)).save(root / "images" / "1.jpg")
    act = {"cat_name": "running", "act_name": "running", "act_id": 3.0} | activity
    annotation = {"image": {"name": name}, "vididx": 5.0}
    savemat(root / MAT, {"RELEASE": {"annolist": annotation, "act": act, "img_train": np.ones((1, count), np.uint8)}})


def test_a_file_of_one_entry_is_read(tmp_path: Path) -> None:
    _mat(tmp_path)
    (record,) = MPIIActivity(tmp_path).records["labelled"]
    assert (record.id, record.label, record.group) == ("1.jpg", 14, "5")


@pytest.mark.parametrize("name", ["../1.jpg", "/etc/1.jpg", "a\\1.jpg", "..", "C:1.jpg"])
def test_image_names_that_are_paths_are_refused(tmp_path: Path, name: str) -> None:
    _mat(tmp_path, name)
    with pytest.raises(DataError, match=rf"entry 1: image name {re.escape(repr(name))} is not a plain file name"):
        MPIIActivity(tmp_path)


def test_unequal_lengths_and_odd_values_are_refused(tmp_path: Path) -> None:
    spoils: list[dict[str, Any]] = [{"count": 2}, {"act_id": [1.0, 2.0]}, {"act_id": "many"}]
    for index, spoil in enumerate(spoils):
        root = tmp_path / str(index)
        root.mkdir()
        _mat(root, **spoil)
        with pytest.raises(DataError, match=f"{MAT}: cannot be read as MPII annotations"):
            MPIIActivity(root)


@pytest.mark.parametrize("kind", ["empty", "noise", "marked noise", "cut", "hdf5", "flipped"])
def test_hostile_mat_is_refused(official: Path, tmp_path: Path, kind: str) -> None:
    whole = (official / OFFICIAL / MAT).read_bytes()
    noise = random.Random(0).randbytes(4096)
    contents = {
        "empty": b"",
        "noise": noise,
        "marked noise": whole[:128] + noise,
        "cut": whole[: len(whole) // 2],
        "hdf5": b"MATLAB 7.3 MAT-file" + noise,
        "flipped": whole[:400] + bytes(byte ^ 0xFF for byte in whole[400:500]) + whole[500:],
    }
    (tmp_path / "images").mkdir()
    (tmp_path / MAT).write_bytes(contents[kind])
    with pytest.raises(DataError, match=f"{MAT}: cannot be read as MPII annotations"):
        MPIIActivity(tmp_path)


# ---- guards: the drawn data must need more than colours, and its labels must mean something


def _thumbnail_accuracy(source: MPIIActivity, shuffled: bool) -> float:
    """Of a logistic regression on 8x8 colour thumbnails, on videos it has not seen."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    records = source.records["labelled"]
    pixels = np.stack([np.asarray(source.read(record)[0].resize((8, 8), Image.Resampling.BOX), float).ravel() for record in records])
    labels = np.array([record.label for record in records])
    if shuffled:
        np.random.default_rng(0).shuffle(labels)
    held_out = np.array([int(record.group or 0) % 4 == 0 for record in records])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(pixels[~held_out], labels[~held_out])
    return float(model.score(pixels[held_out], labels[held_out]))


@pytest.mark.filterwarnings("ignore")
def test_colours_alone_tell_little(drawn: MPIIActivity) -> None:
    assert _thumbnail_accuracy(drawn, shuffled=False) < 0.35


@pytest.mark.filterwarnings("ignore")
def test_shuffled_labels_give_chance(drawn: MPIIActivity) -> None:
    assert _thumbnail_accuracy(drawn, shuffled=True) < 0.25
