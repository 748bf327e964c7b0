"""Where commands may write: asked before the work, and said truly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from zoo.errors import RecipeError, ZooError
from zoo.output import refuse_unwritable, target, write_picture

CLOSED = Path("/proc")
"""A folder that takes no files, whoever asks."""
without = pytest.mark.skipif(not CLOSED.is_dir(), reason="this system has no /proc")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty one."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_a_folder_that_takes_files_is_left_as_it_was(folder: Path) -> None:
    (folder / "old.png").write_bytes(b"old")
    for name in ("new.png", "old.png"):
        refuse_unwritable(folder / name)
    assert [each.name for each in folder.iterdir()] == ["old.png"] and (folder / "old.png").read_bytes() == b"old"
    refuse_unwritable(None)


@without
def test_a_folder_that_takes_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"^--to /proc/x\.png: no file can be made in /proc \(.+\); expected a file to write"):
        refuse_unwritable(CLOSED / "x.png")
    monkeypatch.chdir(CLOSED)
    with pytest.raises(RecipeError, match=r"^x\.png: no file can be made in /proc \(.+\); choose a file elsewhere with --to FILE"):
        target(None, "x.png")
    assert target(Path("given.png"), "x.png") == Path("given.png")


def test_a_locked_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(RecipeError, match=rf"no file can be made in {tmp_path} \(Permission denied\)"):
        refuse_unwritable(tmp_path / "x.png")


def test_a_disk_that_fills_on_the_way_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ZooError, match=r"x\.png: cannot be written \(No space left on device\): make room there, or choose another place"):
        write_picture(Image.new("L", (2, 2)), folder / "x.png")
    assert not list(folder.iterdir())


def test_a_folder_that_goes_on_the_way_is_no_matter_of_a_run(folder: Path) -> None:
    gone = folder / "gone" / "folder" / "x.png"
    with pytest.raises(
        ZooError, match=r"x\.png: cannot be written \(No such file or directory\): make room there, or choose .* with --to$"
    ):
        write_picture(Image.new("L", (2, 2)), gone)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder, "is a folder"),
        (lambda folder: folder / "nowhere" / "x.png", "there is no folder"),
        (lambda folder: Path("/dev/null"), "is no file"),
    ],
)
def test_other_places_are_refused(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        refuse_unwritable(make(tmp_path))
