"""The recorder on films, folders and cameras: records that are whole at any moment, never written over, and that go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cameras import plugged
from PIL import Image

from zoo.__main__ import run_command
from zoo.datasets.recorded import Recorded
from zoo.frames import recording
from zoo.frames.recording import Record, described
from zoo.frames.region import Corners
from zoo.frames.video import Picture, film

RATE = 10.0
os.umask(UMASK := os.umask(0))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, and the current; there is no screen."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return tmp_path / "here"


def scene(place: int) -> Picture:
    """A chequered square on grey, further right from frame to frame; its level tells the frame."""
    made = np.full((64, 96, 3), 60, np.uint8)
    made[:4] = 5 * place
    made[16:40, place + 8 : place + 32] = 40
    made[16:28, place + 8 : place + 20] = made[28:40, place + 20 : place + 32] = (230, 200, 20)
    return made


def video(path: Path, frames: int = 12, hidden: tuple[int, ...] = ()) -> Path:
    with film(path, RATE) as add:
        for place in range(frames):
            add(np.full((64, 96, 3), 60, np.uint8) if place in hidden else scene(place), place / RATE)
    return path


def record(*words: object) -> int:
    return run_command("capture", [*map(str, words)])


def meta(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / "meta.json").read_text(encoding="utf-8"))
    return found


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path / "images"))


def numbers(path: Path) -> list[int]:
    return [int(name[6:12]) for name in names(path)]


def level(path: Path) -> int:
    """Which frame a picture was."""
    return round(float(np.asarray(Image.open(path))[:3].mean()) / 5)


# ---------------------------------------------------------------- a film


def test_a_film_becomes_a_record_that_the_source_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        record("--label", "FIVE", "--video", video(folder / "a.avi"), "--root", "records", "--person", "anna", "--box", "8,16,40,40") == 0
    )
    said = capsys.readouterr()
    path = folder / "records" / "record_1"
    assert said.out == "records/record_1\n" and "wrote 12 pictures of FIVE, of 12 frames" in said.err
    assert said.err.count("no preview: there is no screen") == 1
    about = meta(path)
    assert about.pop("created")[:2] == "20"
    assert about == {"gesture": "FIVE", "bbox": [8, 16, 40, 40], "source": "a.avi", "fps": 10.0, "person": "anna"}
    assert numbers(path) == list(range(1, 13)) and [level(path / "images" / name) for name in names(path)] == list(range(12))
    assert sorted(os.listdir(path)) == ["images", "meta.json"] and os.listdir(folder / "records") == ["record_1"]
    assert os.stat(path).st_mode & 0o777 == 0o777 & ~UMASK
    source = Recorded(folder / "records", margin=0.0)
    (part,) = source.records.values()
    assert len(part) == 12 and {source.labels[each.label or 0] for each in part} == {"FIVE"}
    assert source.read(part[0])[0].size == (32, 24)


def test_the_default_place_is_that_of_data(data_home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATA", str(folder / "data"))
    assert record("--label", "ONE", "--video", video(folder / "a.avi", 2), "--part", "val") == 0
    assert names(folder / "data" / "recorded" / "val" / "record_1") == ["image_000001.png", "image_000002.png"]
    assert meta(folder / "data" / "recorded" / "val" / "record_1")["bbox"] is None


def test_each_record_is_a_new_one(folder: Path) -> None:
    (folder / "r" / "record_7").mkdir(parents=True)
    (folder / "r" / "record_7" / "mine").touch()
    (folder / "r" / "record_x").touch()
    for number in (8, 9):
        assert record("--label", "A", "--video", video(folder / "a.avi", 2), "--root", "r") == 0
        assert numbers(folder / "r" / f"record_{number}") == [1, 2]
    assert os.listdir(folder / "r" / "record_7") == ["mine"]


def test_two_recorders_never_share_a_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one takes the number between looking and claiming."""
    rename, about = Path.rename, described("A", "a", None, 0)

    def late(self: Path, target: Path) -> Path:
        if target.name == "record_1":
            (target / "images").mkdir(parents=True)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    made = Record(folder, about)
    made.add(1, scene(0))
    assert made.folder == folder / "record_2" and sorted(os.listdir(folder)) == ["record_1", "record_2"]
    assert os.listdir(folder / "record_1" / "images") == []


def test_every_and_most(folder: Path) -> None:
    video(folder / "a.avi")
    assert record("--label", "A", "--video", "a.avi", "--root", "r", "--every", 3) == 0
    assert numbers(folder / "r" / "record_1") == [1, 4, 7, 10]
    assert record("--label", "A", "--video", "a.avi", "--root", "r", "--every", 3, "--most", 2) == 0
    assert numbers(folder / "r" / "record_2") == [1, 4]


def test_the_box_follows_and_lost_frames_are_passed_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video(folder / "a.avi", 14, hidden=(6, 7))
    assert record("--label", "A", "--video", "a.avi", "--root", "r", "--box", "8,16,32,40", "--track") == 0
    path = folder / "r" / "record_1"
    assert numbers(path) == [1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14]
    assert "2 frames passed over, in which what is followed was not found" in capsys.readouterr().err
    boxes = meta(path)["boxes"]
    assert list(boxes) == names(path) and meta(path)["bbox"] == boxes["image_000001.png"] == [8, 16, 32, 40]
    for name, (left, top, right, bottom) in boxes.items():
        place = int(name[6:12]) - 1
        assert np.allclose([left, top, right, bottom], [place + 8, 16, place + 32, 40], atol=3), name


# ---------------------------------------------------------------- going on


def test_a_record_goes_on_after_its_last_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video(folder / "a.avi")
    words = ("--video", "a.avi", "--every", 2)
    assert record("--label", "A", "--root", "r", "--box", "1,2,30,40", "--most", 2, *words) == 0
    path = folder / "r" / "record_1"
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in path.rglob("*.*") if file.is_file()}
    (path / "images" / ".image_000005.png.partial").touch()
    capsys.readouterr()
    assert record("--resume", path, *words) == 0
    assert "going on with" in (said := capsys.readouterr()).err and "after picture 3" in said.err and "wrote 4 pictures" in said.err
    assert numbers(path) == [1, 3, 5, 7, 9, 11] and os.listdir(folder / "r") == ["record_1"]
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in before} == before, "nothing is written over"
    assert record("--resume", path, *words) == 0
    assert "wrote 0 pictures" in capsys.readouterr().err and len(numbers(path)) == 6


def test_following_goes_on_where_it_was(folder: Path) -> None:
    video(folder / "a.avi", 14)
    assert record("--label", "A", "--video", "a.avi", "--root", "r", "--box", "8,16,32,40", "--track", "--most", 6) == 0
    path = folder / "r" / "record_1"
    assert record("--resume", path, "--video", "a.avi") == 0
    boxes = meta(path)["boxes"]
    assert list(boxes) == names(path) and len(boxes) == 14
    assert np.allclose(boxes["image_000014.png"], [13 + 8, 16, 13 + 32, 40], atol=3)


KILLED = """
import sys
from pathlib import Path
import numpy as np
from zoo import files
from zoo.frames import recording
record, calls = recording.Record(Path("r"), recording.described("A", "a.avi", None, 0)), []
real = recording.write_bytes
def write(path, content):
    calls.append(path)
    if len(calls) == int(sys.argv[1]):
        import os
        path.with_name(f".{path.name}.partial").write_bytes(content[:20])
        os._exit(9)
    real(path, content)
recording.write_bytes = write
for number in (1, 2, 3):
    record.add(number, np.full((64, 96, 3), 9, np.uint8), (8.0, 16.0, 32.0, 38.0 + number))
"""


@pytest.mark.parametrize(("call", "pictures"), [(2, None), (3, 1), (4, 1), (5, 2)])
def test_a_record_that_is_killed_is_whole(call: int, pictures: int | None, folder: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(call)], check=False).returncode == 9
    path = folder / "r" / "record_1"
    assert path.exists() == (pictures is not None)
    if pictures is not None:
        about = meta(path)
        shown = [name for name in names(path) if not name.startswith(".")]
        assert len(shown) == pictures and set(shown) <= set(about["boxes"])
        assert all(Image.open(path / "images" / name).size == (96, 64) for name in shown)
        assert len(Recorded(folder / "r").records["labelled"]) == pictures
        assert record("--resume", path, "--video", video(folder / "a.avi", 4)) == 0
        assert not list(path.rglob(".*"))


# ---------------------------------------------------------------- folders


def test_a_folder_of_pictures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "in" / "sub").mkdir(parents=True)
    for place, name in enumerate(("a.png", "b.jpg", "sub/c.png")):
        Image.fromarray(scene(place)).save(folder / "in" / name)
    (folder / "in" / "b.jpg").write_bytes(b"broken")
    (folder / "in" / "notes.txt").touch()
    assert record("--label", "BACKGROUND", "--folder", "in", "--root", "r") == 0
    assert "b.jpg: not a picture" in (said := capsys.readouterr().err) and "it is passed over" in said
    path = folder / "r" / "record_1"
    assert numbers(path) == [1, 3] and level(path / "images" / "image_000003.png") == 2
    assert meta(path)["source"] == "in" and "fps" not in meta(path)


# ---------------------------------------------------------------- cameras, Ctrl-C and windows


class Camera:
    """What Video asks of OpenCV."""

    def __init__(self, frames: int, before: Callable[[int], None] = lambda number: None) -> None:
        self.frames, self.number, self.before = frames, 0, before

    def get(self, key: int) -> float:
        return 64.0

    def read(self) -> tuple[bool, Any]:
        self.number += 1
        self.before(self.number)
        return self.number <= self.frames, scene(self.number - 1)[..., ::-1] if self.number <= self.frames else None


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Camera:
    return plugged(monkeypatch, Camera(30))


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[int], Callable[[int], None]]]:
    """Pressed at the so-many-th frame."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts the tests in the background leaves it ignored
    yield lambda frame: lambda number: os.kill(os.getpid(), signal.SIGINT) if number == frame else None
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_how_a_camera_ends_and_it_goes_on(
    folder: Path, camera: Camera, ctrl_c: Callable[[int], Callable[[int], None]], capsys: pytest.CaptureFixture[str]
) -> None:
    camera.before = ctrl_c(4)
    assert record("--label", "A", "--camera", 1, "--root", "r", "--no-preview") == 0
    said = capsys.readouterr()
    assert said.out == "r/record_1\n" and "wrote 3 pictures of A" in said.err and "preview" not in said.err
    camera.number, camera.before = 0, ctrl_c(3)
    assert record("--resume", "r/record_1", "--camera", 1) == 0
    assert numbers(folder / "r" / "record_1") == [1, 2, 3, 4, 5]
    assert record("--resume", "r/record_1", "--camera", 2) == 2
    assert "record_1: was recorded from camera 1, and not from camera 2" in capsys.readouterr().err


def test_ctrl_c_on_a_film_ends_tidily(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ctrl_c: Callable[[int], Callable[[int], None]], capsys: pytest.CaptureFixture[str]
) -> None:
    press, write = ctrl_c(6), recording.write_bytes
    calls: list[int] = []

    def late(path: Path, content: bytes) -> None:
        calls.append(1)
        if len(calls) == 6:
            path.with_name(f".{path.name}.partial").touch()
        press(len(calls))
        write(path, content)

    monkeypatch.setattr(recording, "write_bytes", late)
    assert record("--label", "A", "--video", video(folder / "a.avi"), "--root", "r") == 130
    said = capsys.readouterr()
    assert "wrote 4 pictures of A" in said.err and said.err.endswith("zoo capture: interrupted\n") and said.out == "r/record_1\n"
    assert names(folder / "r" / "record_1") == [f"image_{number:06}.png" for number in range(1, 5)]


class Screen:
    """A window before which a person does something at the so-many-th look."""

    def __init__(self, does: dict[int, str | Corners | None]) -> None:
        self.does, self.looks = does, 0
        self.box: Corners | None = None
        self.boxes, self.red = list[Corners | None](), list[bool]()

    def show(self, picture: Picture, wait: float = 0.001) -> str:
        self.looks += 1
        self.boxes.append(self.box)
        self.red.append(bool(picture[-1, -1, 0] > 200 and picture[-1, -1, 1] < 60))
        done = self.does.get(self.looks, "")
        if not isinstance(done, str):
            self.box = done
            return ""
        return done


def watched(monkeypatch: pytest.MonkeyPatch, does: dict[int, str | Corners | None]) -> Screen:
    screen = Screen(does)
    monkeypatch.setattr("zoo.frames.window.window", lambda title, wished: nullcontext(screen))
    return screen


def test_before_a_screen_space_begins_and_pauses_and_q_ends(folder: Path, camera: Camera, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watched(monkeypatch, {3: " ", 6: " ", 9: " ", 11: "q"})
    assert record("--label", "A", "--camera", 0, "--root", "r") == 0
    assert numbers(folder / "r" / "record_1") == [3, 4, 5, 9, 10]
    assert screen.red == [False] * 3 + [True] * 3 + [False] * 3 + [True] * 2


def test_a_film_stands_still_until_the_box_is_drawn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watched(monkeypatch, {2: (8.0, 16.0, 32.0, 40.0), 4: " ", 8: (1.0, 2.0, 60.0, 50.0), 10: None})
    assert record("--label", "A", "--video", video(folder / "a.avi"), "--root", "r") == 0
    path = folder / "r" / "record_1"
    assert numbers(path) == list(range(1, 13)) and screen.looks == 15
    about = meta(path)
    assert about["bbox"] == [8, 16, 32, 40]
    assert about["boxes"] == {
        **{f"image_{number:06}.png": [1, 2, 60, 50] for number in (5, 6)},
        **{f"image_{number:06}.png": [0, 0, 96, 64] for number in range(7, 13)},
    }


def test_before_a_screen_what_is_drawn_is_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watched(monkeypatch, {1: (8.0, 16.0, 32.0, 40.0), 2: " "})
    assert record("--label", "A", "--video", video(folder / "a.avi"), "--root", "r", "--track") == 0
    boxes = meta(folder / "r" / "record_1")["boxes"]
    assert len(boxes) == 12 and np.allclose(boxes["image_000012.png"], [19, 16, 43, 40], atol=3)
    last = screen.boxes[-1]
    assert last is not None and np.allclose(last, [19, 16, 43, 40], atol=3), "it is shown where it is"


def test_q_before_the_first_picture_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watched(monkeypatch, {2: "q"})
    assert record("--label", "A", "--video", video(folder / "a.avi"), "--root", "r") == 0
    assert "nothing was recorded" in (said := capsys.readouterr()).err and said.out == "" and os.listdir(folder) == ["a.avi"]


# ---------------------------------------------------------------- what goes wrong


def test_a_full_disk_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.name == "image_000003.png":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    assert record("--label", "A", "--video", video(folder / "a.avi"), "--root", "r") == 1
    said = capsys.readouterr().err
    assert "image_000003.png: cannot be written (No space left on device): free the disk; what was written before is whole" in said
    assert "wrote 2 pictures of A" in said and numbers(folder / "r" / "record_1") == [1, 2]
    monkeypatch.setattr(Path, "rename", lambda self, target: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert record("--label", "A", "--video", "a.avi", "--root", "r") == 1
    assert "No space left on device" in capsys.readouterr().err and os.listdir(folder / "r") == ["record_1"]


def test_a_cut_film_ends_with_3_and_a_whole_record(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = video(folder / "a.avi", 40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert record("--label", "A", "--video", path, "--root", "r") == 3
    assert "of 40 frames could be decoded" in capsys.readouterr().err and 10 < len(numbers(folder / "r" / "record_1")) < 30


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--label", "A", "--video", "no.mp4"], 3, "no.mp4: no such file; expected a video file"),
        (["--label", " ", "--video", "a.avi"], 2, "--label ' ': expected a name of 1 to 100 letters, such as FIVE"),
        (["--label", "a\x1b", "--video", "a.avi"], 2, r"--label 'a\\x1b': expected a name"),
        (["--label", "A" * 101, "--video", "a.avi"], 2, "expected a name of 1 to 100 letters"),
        (["--label", "A", "--video", "a.avi", "--person", ""], 2, "--person '': expected a name"),
        (["--label", "A", "--video", "a.avi", "--every", "0"], 2, "--every 0: expected a whole number from 1 on"),
        (["--label", "A", "--video", "a.avi", "--most", "-1"], 2, "--most -1: expected a whole number from 1 on"),
        (["--label", "A", "--video", "a.avi", "--box", "4,4,2,9"], 2, "--box 4,4,2,9: expected left,top,right,bottom in pixels"),
        (
            ["--label", "A", "--video", "a.avi", "--box", "400,4,500,9"],
            3,
            "a.avi, picture 1: the box 400,4,500,9 lies outside of its 96x64",
        ),
        (["--label", "A", "--video", "a.avi", "--track"], 2, "--track: there is no window to draw a box in; give it with --box"),
        (["--label", "A", "--video", "a.avi", "--track", "--box", "60,46,90,62"], 3, "is of one colour, with nothing to follow"),
        (["--label", "A", "--video", "a.avi", "--root", "a.avi"], 2, "--root a.avi: is no folder"),
        (["--label", "A", "--folder", "no"], 3, "no: no such folder; expected a folder of pictures"),
        (["--label", "A", "--folder", "empty"], 3, "empty: this folder holds no pictures"),
        (["--label", "A", "--camera", "77"], 3, "camera 77: cannot be opened"),
        (["--resume", "r/record_9", "--video", "a.avi"], 3, "r/record_9: no record; expected a folder such as record_7"),
        (["--resume", "empty", "--video", "a.avi"], 3, "empty: no record"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], code: int, message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video(folder / "a.avi", 2)
    (folder / "empty").mkdir()
    root = [] if "--resume" in words or "--root" in words else ["--root", "r"]
    assert record(*words, *root) == code
    assert message in capsys.readouterr().err
    assert sorted(os.listdir(folder)) == ["a.avi", "empty"]


BROKEN = ["", "\x00", "[]", "{}", '{"gesture": 5}', '{"gesture": "A", "boxes": []}', '{"gesture": "A", "bbox": [1, 2]}']
BROKEN += ['{"gesture": "A", "boxes": {"a": [1, 2, 3, "x"]}}', '{"gesture": "A", "bbox": {}}']


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_meta_is_named(content: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "record_1" / "images").mkdir(parents=True)
    (folder / "record_1" / "meta.json").write_text(content)
    assert record("--resume", "record_1", "--video", video(folder / "a.avi", 2)) in (1, 3)
    assert "record_1/meta.json: " in capsys.readouterr().err and (folder / "record_1" / "meta.json").read_text() == content


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--label", "B"], "--label B: record_1 is of A; leave --label out, or --resume"),
        (["--person", "anna"], "--person: is that of the record with --resume; leave it out"),
        (["--root", "r"], "--root: is that of the record with --resume; leave it out"),
    ],
)
def test_a_record_that_goes_on_keeps_what_it_is(words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert record("--label", "A", "--video", video(folder / "a.avi", 2), "--root", ".") == 0
    assert record("--resume", "record_1", "--video", "a.avi", *words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--label", "A"], ["--label", "A", "--video", "a", "--camera", "0"], ["--video", "a.mp4"]])
def test_a_label_and_one_source_are_needed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        record(*words)
    assert ended.value.code == 2 and "expected --" in capsys.readouterr().err


def test_help_loads_nothing_heavy() -> None:
    probe = (
        "import sys; from zoo.capture import _parser; _parser().format_help(); print({'cv2', 'numpy', 'torch', 'PIL'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "set()\n"
