"""Pictures of 42 characters of the Simpsons, a folder a class, as the Kaggle competition `journey-springfield` gives them out."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar

from zoo.datasets.pictures import is_picture
from zoo.datasets.source import Record, Source, layout_error, write_csv
from zoo.errors import DataError

NAMES = (
    "abraham_grampa_simpson", "agnes_skinner", "apu_nahasapeemapetilon", "barney_gumble", "bart_simpson", "carl_carlson",
    "charles_montgomery_burns", "chief_wiggum", "cletus_spuckler", "comic_book_guy", "disco_stu", "edna_krabappel", "fat_tony",
    "gil", "groundskeeper_willie", "homer_simpson", "kent_brockman", "krusty_the_clown", "lenny_leonard", "lionel_hutz",
    "lisa_simpson", "maggie_simpson", "marge_simpson", "martin_prince", "mayor_quimby", "milhouse_van_houten", "miss_hoover",
    "moe_szyslak", "ned_flanders", "nelson_muntz", "otto_mann", "patty_bouvier", "principal_skinner", "professor_john_frink",
    "rainier_wolfcastle", "ralph_wiggum", "selma_bouvier", "sideshow_bob", "sideshow_mel", "snake_jailbird", "troy_mcclure",
    "waylon_smithers",
)  # fmt: skip
"""The classes in sorted order. They are written out so that a class without pictures keeps its place."""

INNER = "simpsons_dataset"


class Simpsons(Source):
    """Labelled pictures in a folder a class, and the competition's test pictures to be submitted.

    `simpsons_dataset` may lie under `train/` or in `root` itself, and may hold a second folder of its own name.
    """

    title: ClassVar[str] = "The Simpsons (journey-springfield)"
    obtain: ClassVar[str] = (
        "The real pictures come with the Kaggle competition journey-springfield "
        "(https://www.kaggle.com/competitions/journey-springfield, after accepting its rules); unpack the archive into the folder."
    )
    layout: ClassVar[str] = """\
  train/simpsons_dataset/<class>/*.jpg   42 folders, abraham_grampa_simpson to waylon_smithers
  testset/testset/*.jpg                  optional: the pictures to be submitted
"""
    version: ClassVar[int] = 1

    def __init__(self, root: Path) -> None:
        folder = _class_root(root)
        if folder is None:
            raise layout_error(type(self), root, f"no folder train/{INNER}/")
        labelled = _labelled(root, folder)
        if not labelled:
            raise layout_error(type(self), root, f"no picture in the folders of {folder}")
        records = {"labelled": labelled}
        if tests := _pictures(_test_folder(root)):
            records["unlabelled"] = [Record(path, path.name) for path in tests]
        empty = sorted({*range(len(NAMES))} - {record.label for record in labelled if record.label is not None})
        notes = [f"no picture of {', '.join(NAMES[index] for index in empty)}"] if empty else []
        super().__init__(root, NAMES, records, notes=notes)

    @staticmethod
    def write_submission(path: Path, pictures: Sequence[Path], predictions: Sequence[int], labels: Sequence[str]) -> None:
        """Write `Id,Expected` with each picture's file name and the name of its predicted class, as the competition wants them.

        Args:
            path: file to write.
            pictures: the files that were predicted; any names will do.
            predictions: a class index for each.
            labels: class index -> name.
        """
        rows = [(picture.name, labels[index]) for picture, index in zip(pictures, predictions, strict=True)]
        write_csv(path, ("Id", "Expected"), rows)

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        """Draw about 1,900 pictures of 42 cartoon characters of our own, in the real layout and as unevenly spread as the real ones."""
        from zoo.datasets.drawn.simpsons import write

        write(root, seed)


def _class_root(root: Path) -> Path | None:
    """The folder that holds the class folders; unpacking sometimes leaves one of the same name inside it."""
    for folder in (root / "train" / INNER, root / INNER):
        if folder.is_dir():
            nested = folder / INNER
            return nested if nested.is_dir() and not any((folder / name).is_dir() for name in NAMES) else folder
    return None


def _labelled(root: Path, folder: Path) -> list[Record]:
    """All pictures, by class and then by file name."""
    records: list[Record] = []
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir() or entry.name.startswith((".", "__")) or entry.name == INNER:  # the inner one holds copies
            continue
        label = _label(entry)
        records += [Record(path, path.relative_to(root).as_posix(), label) for path in _pictures(entry)]
    return records


def _label(folder: Path) -> int:
    if folder.name in NAMES:
        return NAMES.index(folder.name)
    close = get_close_matches(folder.name, NAMES, n=1, cutoff=0.0)[0]
    raise DataError(
        f"{folder}: {folder.name!r} is none of the {len(NAMES)} classes; the closest is {close!r}. Rename the folder or remove it."
    )


def _test_folder(root: Path) -> Path:
    nested = root / "testset" / "testset"
    return nested if nested.is_dir() else nested.parent


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if is_picture(path) and path.is_file()) if folder.is_dir() else []
