"""What people do in the MPII Human Pose pictures: 20 declared activity categories, four of which hold no picture.

Two layouts are read: the tables of a course's repack, and the authors' own annotation file. In both the class index is the
category's original number, so that empty categories keep their place and submissions need no translation.

M. Andriluka, L. Pishchulin, P. Gehler, B. Schiele: 2D Human Pose Estimation: New Benchmark and State of the Art Analysis. CVPR 2014.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from zoo.datasets.pictures import is_picture
from zoo.datasets.source import Record, Source, layout_error, write_csv
from zoo.errors import DataError

CATEGORIES = (
    "sports",
    "inactivity quiet/light",
    "miscellaneous",
    "occupation",
    "water activities",
    "home activities",
    "lawn and garden",
    "religious activities",
    "winter activities",
    "conditioning exercise",
    "bicycling",
    "fishing and hunting",
    "dancing",
    "walking",
    "running",
    "self care",
    "home repair",
    "volunteer activities",
    "music playing",
    "transportation",
)
"""The categories in the numbering of the course's `activity_categories.csv`; the official file names them without numbers."""

COURSE = "human_poses_data"
ANSWERS, NAMES, VIDEOS = "train_answers.csv", "activity_categories.csv", "video_ids.csv"
OFFICIAL = "mpii_human_pose_v1_u12_2"
MAT = "mpii_human_pose_v1_u12_1.mat"
SHOWN = 10  # faults told one by one before the rest is only counted
WHOLE = re.compile(r"[0-9]{1,18}")  # not int(): that also takes "1_000", "+5" and digits of other scripts


class MPIIActivity(Source):
    """Activity classification on MPII Human Pose.

    Reads `human_poses_data/` of the course, or the official `.mat` with `images/`; where both are there, the course's. Records are
    "labelled" and, where there are test pictures, "unlabelled". Videos are the groups wherever the layout tells them.
    """

    title: ClassVar[str] = "MPII Human Pose, activities"
    obtain: ClassVar[str] = (
        "MPII Human Pose is to be had from the Max Planck Institute for Informatics (human-pose.mpi-inf.mpg.de): annotations 12.5 MB under "
        "the Simplified BSD licence, pictures 12.9 GB for research only, no commercial use (they are frames of other people's videos)."
    )
    layout: ClassVar[str] = f"""\
  {COURSE}/                      (or its content directly in the root)
    {ANSWERS}                img_id,target_feature
    {NAMES}         id,category
    img_train/<img_id>.jpg
    img_test/<img_id>.jpg                (may be missing)
    {VIDEOS}                    img_id,video_id (optional, zoo's own addition: splits then keep videos whole)
or the official one:
  {OFFICIAL}/{MAT}    (or the .mat directly in the root)
  images/<name>.jpg
"""
    version: ClassVar[int] = 1

    def __init__(self, root: Path) -> None:
        """List the pictures under `root`.

        Raises:
            DataError: neither layout is there, or its files contradict each other.
        """
        course = next((folder for folder in (root, root / COURSE) if (folder / ANSWERS).is_file()), None)
        mat = next((file for file in (root / OFFICIAL / MAT, root / MAT) if file.is_file()), None)
        if course is not None:
            listing = _read_course(root, course)
        elif mat is not None:
            listing = _read_official(root, mat)
        else:
            raise layout_error(MPIIActivity, root, f"neither {ANSWERS} nor {MAT} is there")
        if course is not None and mat is not None:
            listing.notes.append(f"both layouts are there; {course / ANSWERS} is read, {mat} is not")
        super().__init__(root, listing.labels, listing.records, listing.groups, notes=listing.notes)

    @staticmethod
    def write_submission(path: Path, pictures: Sequence[Path], predictions: Sequence[int], labels: Sequence[str]) -> None:
        """Write `id,target_feature`: the pictures' original ids in numeric order, the categories' original numbers.

        Raises:
            DataError: a picture is not named `<img_id>.jpg`, or two have the same number.
        """
        answers: dict[str, int] = {}
        for picture, prediction in zip(pictures, predictions, strict=True):
            if not WHOLE.fullmatch(picture.stem):
                raise DataError(f"{picture}: a submission needs pictures named by their img_id, such as 1234.jpg")
            if picture.stem in answers:
                raise DataError(f"{picture}: a second picture with the img_id {picture.stem}; predict the folder img_test alone")
            answers[picture.stem] = int(prediction)
        write_csv(path, ("id", "target_feature"), [(name, answers[name]) for name in sorted(answers, key=_numeric)])

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw stick figures at their activities, in the course's layout and with the videos they come from."""
        from zoo.datasets.drawn.mpii_activity import write_course

        write_course(root, seed)


class _Listing(NamedTuple):
    labels: Sequence[str]
    records: dict[str, list[Record]]
    groups: str | None
    notes: list[str]


def _numeric(name: str) -> tuple[int, int, str]:
    """Sorts 9 before 10; names that begin with no number come last."""
    digits = WHOLE.match(name)
    return (0, int(digits[0]), name) if digits else (1, 0, name)


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        more = [f"... and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        raise DataError("\n".join([*faults[:SHOWN], *more]))


# ---- the course's tables


def _read_course(root: Path, folder: Path) -> _Listing:
    for needed, there in ((NAMES, (folder / NAMES).is_file()), ("img_train", (folder / "img_train").is_dir())):
        if not there:
            raise layout_error(MPIIActivity, root, f"{folder / needed} is missing")
    labels = _read_labels(folder / NAMES)
    videos = _read_videos(folder / VIDEOS)
    labelled, notes = _read_answers(folder, labels, videos)
    records = {"labelled": labelled}
    tests, odd = _test_pictures(folder / "img_test", videos)
    if tests:
        records["unlabelled"] = tests
    if odd:
        notes.append(f"{len(odd)} pictures in img_test are left out: their names are not numbers ({odd[0]})")
    if not videos:
        notes.append("the videos are not known: frames of one video may lie on both sides of a random split, so scores may be too good")
    return _Listing(labels, records, "video" if videos else None, notes)


def _rows(path: Path, columns: tuple[str, str]) -> Iterator[tuple[int, str, str]]:
    """Line number and the two named cells of each row; blank lines are passed over."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not set(columns) <= set(reader.fieldnames or ()):
                raise DataError(f"{path}, line 1: the header is {','.join(reader.fieldnames or ())!r}, expected {','.join(columns)!r}")
            for row in reader:
                yield reader.line_num, (row[columns[0]] or "").strip(), (row[columns[1]] or "").strip()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a CSV table in UTF-8 ({error})") from error


def _read_labels(path: Path) -> list[str]:
    names: dict[int, str] = {}
    faults = []
    for line, number, name in _rows(path, ("id", "category")):
        if not WHOLE.fullmatch(number):
            faults.append(f"{path}, line {line}: id {number!r} is not a whole number")
        elif not name:
            faults.append(f"{path}, line {line}: category {number} has no name")
        elif names.setdefault(int(number), name) != name:
            faults.append(f"{path}, line {line}: category {number} is {name!r} here and {names[int(number)]!r} before")
    _refuse(faults)
    missing = next((number for number in range(len(names)) if number not in names), None)
    if missing is not None or not names:
        raise DataError(f"{path}: category id {missing or 0} is not declared, but ids must be 0, 1, 2 ... without gaps")
    return [names[number] for number in range(len(names))]


def _read_videos(path: Path) -> dict[int, str]:
    videos: dict[int, str] = {}
    faults = []
    for line, number, video in _rows(path, ("img_id", "video_id")) if path.is_file() else ():
        if not WHOLE.fullmatch(number):
            faults.append(f"{path}, line {line}: img_id {number!r} is not a whole number")
        elif not video:
            faults.append(f"{path}, line {line}: img_id {number} has no video_id")
        elif videos.setdefault(int(number), video) != video:
            faults.append(f"{path}, line {line}: img_id {number} is in video {video!r} here and {videos[int(number)]!r} before")
    _refuse(faults)
    return videos


def _read_answers(folder: Path, labels: Sequence[str], videos: Mapping[int, str]) -> tuple[list[Record], list[str]]:
    path, pictures = folder / ANSWERS, folder / "img_train"
    present = {entry.name for entry in pictures.iterdir()}
    records: dict[int, Record] = {}
    faults: list[str] = []
    repeated = 0
    for line, name, answer in _rows(path, ("img_id", "target_feature")):
        where = f"{path}, line {line}"
        fault = _fault(name, answer, labels)
        if fault:
            faults.append(f"{where}: {fault}")
            continue
        number, label = int(name), int(answer)
        if number in records:
            repeated += 1
            if records[number].label != label:
                faults.append(f"{where}: img_id {name} has the label {label} here and {records[number].label} before")
            continue
        if f"{name}.jpg" not in present:
            faults.append(f"{where}: img_id {name} has no picture {pictures.name}/{name}.jpg")
        elif videos and number not in videos:
            faults.append(f"{where}: img_id {name} has no video in {VIDEOS}")
        records[number] = Record(pictures / f"{name}.jpg", name, label, videos.get(number))
    _refuse(faults)
    if not records:
        raise DataError(f"{path}: no picture is listed")
    unlisted = sum(is_picture(pictures / name) for name in present) - len(records)
    notes = [f"{repeated} rows of {ANSWERS} repeat an earlier one"] if repeated else []
    notes += [f"{unlisted} pictures in {pictures.name} have no row in {ANSWERS} and are left out"] if unlisted else []
    return [records[number] for number in sorted(records)], notes


def _fault(name: str, answer: str, labels: Sequence[str]) -> str | None:
    if not WHOLE.fullmatch(name):
        return f"img_id {name!r} is not a whole number"
    if not WHOLE.fullmatch(answer):
        return f"target_feature {answer!r} of img_id {name} is not a whole number"
    if int(answer) >= len(labels):
        return f"target_feature {answer} of img_id {name} is not in {NAMES} (0 to {len(labels) - 1})"
    return None


def _test_pictures(folder: Path, videos: Mapping[int, str]) -> tuple[list[Record], list[str]]:
    found = folder.iterdir() if folder.is_dir() else ()
    files = sorted((file for file in found if is_picture(file)), key=lambda file: _numeric(file.name))
    numbered = [file for file in files if WHOLE.fullmatch(file.stem)]
    odd = [file.name for file in files if not WHOLE.fullmatch(file.stem)]
    return [Record(file, file.stem, None, videos.get(int(file.stem))) for file in numbered], odd


# ---- the official annotation file


def _read_official(root: Path, mat: Path) -> _Listing:
    images = root / "images"
    if not images.is_dir():
        raise layout_error(MPIIActivity, root, f"{images} is missing")
    present = {entry.name for entry in images.iterdir()}
    wanted = {name: index for index, name in enumerate(CATEGORIES)}
    entries = _read_mat(mat)
    train = {entry.name: entry for entry in entries if entry.train and entry.category in wanted}
    tests = {entry.name: entry for entry in entries if not entry.train}
    labelled = [
        Record(images / name, name, wanted[entry.category], entry.video) for name, entry in sorted(train.items()) if name in present
    ]
    if not labelled:
        raise DataError(f"{images}: none of the {len(train):,} training pictures with an activity that {mat.name} lists is there")
    records = {"labelled": labelled}
    unlabelled = [Record(images / name, name, None, entry.video) for name, entry in sorted(tests.items()) if name in present]
    if unlabelled:
        records["unlabelled"] = unlabelled
    counts = {
        f"training pictures that {mat.name} lists are missing from images": len(train) - len(labelled),
        "training pictures have no activity and are left out": sum(entry.train and not entry.category for entry in entries),
        "training pictures have an activity outside the 20 categories and are left out": sum(
            entry.train and bool(entry.category) and entry.category not in wanted for entry in entries
        ),
        "training pictures name no video: each counts as a video of its own": sum(record.group is None for record in labelled),
    }
    return _Listing(CATEGORIES, records, "video", [f"{count} {what}" for what, count in counts.items() if count])


class _Entry(NamedTuple):
    name: str
    video: str | None
    train: bool
    category: str


def _read_mat(path: Path) -> list[_Entry]:
    """The entries of the struct RELEASE. The file may hold anything: what it names is checked, nothing in it is run.

    Raises:
        DataError: no MATLAB 5 file, not this structure, or an image name that is more than a file name.
    """
    from scipy.io import loadmat  # here, because only this layout needs scipy

    try:
        with path.open("rb") as file:
            if not file.read(10) == b"MATLAB 5.0":  # older kinds have no mark: any bytes would be taken for one
                raise ValueError("it does not begin as a MATLAB 5 file")
        release = loadmat(path, struct_as_record=False, squeeze_me=True, variable_names=["RELEASE"])["RELEASE"]
        columns = [np.atleast_1d(getattr(release, field)).ravel() for field in ("annolist", "act", "img_train")]
        entries = [_entry(*row) for row in zip(*columns, strict=True)]
    except Exception as error:  # scipy raises many kinds on broken bytes; the structure may be any other
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path}: cannot be read as MPII annotations ({reason})") from error
    _refuse([f"{path}: entry {index + 1}: {fault}" for index, fault in _faults(entries)])
    return entries


def _entry(annotation: Any, activity: Any, train: Any) -> _Entry:
    number = _scalar(activity.act_id)
    category = _scalar(activity.cat_name) if number is not None and int(number) >= 0 else None
    video = _scalar(getattr(annotation, "vididx", None))
    return _Entry(
        name=str(_scalar(annotation.image.name) or ""),
        video=None if video is None else str(int(video)),
        train=int(_scalar(train) or 0) == 1,
        category=str(category or "").strip(),
    )


def _scalar(value: Any) -> Any:
    """The one thing in a MATLAB array of whatever nesting, or None where it is empty."""
    flat = np.asarray(value, dtype=object).ravel()
    if flat.size > 1:
        raise ValueError(f"one value expected where there are {flat.size}")
    if flat.size == 0 or flat[0] is None:
        return None
    return _scalar(flat[0]) if isinstance(flat[0], np.ndarray) else flat[0]


def _faults(entries: Sequence[_Entry]) -> Iterator[tuple[int, str]]:
    seen: dict[str, _Entry] = {}
    for index, entry in enumerate(entries):
        if not entry.name and not (entry.train and entry.category):  # entries that are not used may have no picture
            continue
        if entry.name in ("", ".", "..") or any(mark in entry.name for mark in "/\\:\0"):
            yield index, f"image name {entry.name!r} is not a plain file name"
        elif seen.setdefault(entry.name, entry) != entry:
            yield index, f"image {entry.name!r} was listed before with another activity, video or part"
