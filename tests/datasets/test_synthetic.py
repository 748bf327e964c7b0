"""Drawn data: whole or not at all, marked, said loudly, and never in the place of real data."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from zoo import build, paths
from zoo.datasets import synthetic
from zoo.datasets.image_folder import ImageFolder
from zoo.datasets.source import Source
from zoo.errors import DataError
from zoo.recipe import Recipe


class Drawn(Source):
    """Draws two pictures and counts how often."""

    title, obtain, version = "drawn things", "Nowhere.", 3
    drawings = 0

    def __init__(self, root: Path) -> None:
        super().__init__(root, ["a"], {})

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        Drawn.drawings += 1
        (root / "a").mkdir()
        Image.new("L", (4, 4), seed).save(root / "a" / "1.png")


class Broken(Drawn):
    error: BaseException = RuntimeError("in the middle")

    @staticmethod
    def write_synthetic(root: Path, seed: int) -> None:
        Drawn.write_synthetic(root, seed)
        raise Broken.error


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A $ZOO_DATA of its own, that does not exist yet."""
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(Drawn, "drawings", 0)
    return tmp_path / "data"


def left_over(data: Path) -> list[str]:
    return sorted(entry.name for entry in (data / ".synthetic").iterdir()) if (data / ".synthetic").is_dir() else []


def test_it_is_drawn_once_and_marked(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = synthetic.folder("things", Drawn, 7)
    assert place == data / ".synthetic" / "things-3-7" == synthetic.folder("things", Drawn, 7)
    assert Drawn.drawings == 1 and left_over(data) == ["things-3-7"]
    assert capsys.readouterr().err == f"drawing synthetic drawn things into {place}\n"
    mark = json.loads((place / "SYNTHETIC.json").read_text())
    assert (mark["source"], mark["version"], mark["seed"]) == ("things", 3, 7)
    assert synthetic.is_synthetic(place) and not synthetic.is_synthetic(data)
    assert place.stat().st_mode & 0o777 == 0o755


def test_another_version_or_seed_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {synthetic.folder("things", Drawn, 0), synthetic.folder("things", Drawn, 1)}
    monkeypatch.setattr(Drawn, "version", 4)
    places.add(synthetic.folder("things", Drawn, 0))
    assert len(places) == 3 and Drawn.drawings == 3


@pytest.mark.parametrize("error", [RuntimeError("in the middle"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_drawing_that_fails_leaves_nothing(data: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broken, "error", error)
    with pytest.raises(DataError if isinstance(error, OSError) else type(error)) as raised:
        synthetic.folder("things", Broken)
    assert left_over(data) == []
    if isinstance(error, OSError):
        place = data / ".synthetic" / "things-3-0"
        assert str(raised.value) == f"{place}: cannot be written (No space left on device): free the disk or set ZOO_DATA to another one"


SLOW = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from zoo.datasets import synthetic
from zoo.datasets.source import Source

class Slow(Source):
    title, version = "slow", 1
    def write_synthetic(root, seed):
        (root / "first").write_text("x")
        print("begun", flush=True)
        time.sleep(60)

synthetic.folder("slow", Slow)
"""


def test_a_killed_drawing_leaves_no_data_and_is_swept_away_later(data: Path) -> None:
    code = SLOW.format(tests=str(Path(__file__).parent))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGKILL)
    (left,) = (data / ".synthetic").iterdir()
    assert left.name.startswith(".slow-1-0-")  # nothing under the real name
    synthetic.folder("slow", Slow)
    assert left.exists()  # it might be another process at work
    shutil.rmtree(data / ".synthetic" / "slow-1-0")
    os.utime(left, (time.time() - 2 * 86400,) * 2)
    synthetic.folder("slow", Slow)
    assert left_over(data) == ["slow-1-0"]


class Slow(Drawn):
    title, version = "slow", 1


def draw(barrier: object) -> None:
    barrier.wait()
    place = synthetic.folder("image_folder", ImageFolder)
    sys.exit(0 if len(ImageFolder(place).records["labelled"]) == 320 else 1)


def test_two_processes_at_once(data: Path) -> None:
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(2)
    processes = [fork.Process(target=draw, args=(barrier,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert left_over(data) == ["image_folder-1-0"]


def test_the_second_of_two_takes_what_the_first_drew(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = data / ".synthetic" / "things-3-0"

    class Late(Drawn):
        @staticmethod
        def write_synthetic(root: Path, seed: int) -> None:
            Drawn.write_synthetic(root, seed)
            if not place.exists():
                synthetic.folder("things", Drawn)  # somebody else is quicker
                (place / "first").touch()

    assert synthetic.folder("things", Late) == place
    assert (place / "first").exists() and left_over(data) == ["things-3-0"]


def test_what_lies_there_without_a_mark_is_replaced(data: Path) -> None:
    place = data / ".synthetic" / "things-3-0"
    (place / "half").mkdir(parents=True)
    synthetic.folder("things", Drawn)
    assert not (place / "half").exists() and (place / "a" / "1.png").exists()


def test_a_data_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "file" / "data"))
    with pytest.raises(DataError, match=r"things-3-0: cannot be written \(Not a directory\): set ZOO_DATA to a folder that can be"):
        synthetic.folder("things", Drawn)


def test_a_read_only_data_folder(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(DataError, match=r"\(Read-only file system\): set ZOO_DATA"):
        synthetic.folder("things", Drawn)


RECIPE = "question: Q\ndata:\n  name: image_folder\n  size: 16\ntask: classification\nbackbone: resnet18\n"


def source(*changes: str) -> Source:
    return build.source(Recipe.parse(RECIPE, "test.yaml", "test", changes))


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """`image_folder` draws two pictures: where they lie is looked at, and not what they show."""
    monkeypatch.setattr(ImageFolder, "write_synthetic", lambda root, seed: real(root))


@pytest.mark.usefixtures("quickly")
def test_without_real_data_it_is_drawn_loudly(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = source()
    assert found.root == data / ".synthetic" / "image_folder-1-0"
    said = capsys.readouterr().err
    assert "SYNTHETIC DATA" in said and str(data / "image_folder") in said and "does not exist" in said and ImageFolder.obtain in said
    assert not (data / "image_folder").exists()


@pytest.mark.usefixtures("quickly")
def test_always_leaves_real_data_alone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real(data / "image_folder")
    before = sorted((data / "image_folder").rglob("*"))
    assert source("data.synthetic=always").root.parent == data / ".synthetic"
    assert "by data.synthetic=always" in capsys.readouterr().err
    assert sorted((data / "image_folder").rglob("*")) == before


def real(root: Path) -> None:
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / name / "1.png")


def test_real_data_is_read_in_silence(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real(data / "image_folder")
    assert source().root == data / "image_folder" == paths.data() / "image_folder"
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("quickly")
def test_a_root_that_is_drawn_is_synthetic_whoever_asks(data: Path) -> None:
    place = synthetic.folder("image_folder", ImageFolder)
    recipe = Recipe.parse(RECIPE, "test.yaml", "test", [f"data.root={place}"])
    assert recipe.synthetic and build.source(recipe).root == place


def test_never_says_what_is_missing_and_where_to_get_it(data: Path) -> None:
    with pytest.raises(DataError) as error:
        source("data.synthetic=never")
    assert str(error.value).startswith(f"data.root: {data / 'image_folder'} does not exist. {ImageFolder.obtain}")
    assert "data.synthetic=" in str(error.value)


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").write_text("x")
    with pytest.raises(DataError, match=r"photos\.zip is no folder"):
        source(f"data.root={tmp_path / 'photos.zip'}")


def test_a_folder_that_may_not_be_listed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real(data / "image_folder")

    def refuse(self: ImageFolder, root: Path) -> None:
        raise PermissionError(13, "Permission denied", str(root / "a"))

    monkeypatch.setattr(ImageFolder, "__init__", refuse)
    with pytest.raises(DataError, match=r"image_folder/a: cannot be read \(Permission denied\)"):
        source()
