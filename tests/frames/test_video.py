"""Video in and out: frames in order and in colour, what is cut or none at all said, films whole or not at all, an alarm that is steady."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from zoo.errors import DataError, RecipeError, ZooError
from zoo.frames import video as module
from zoo.frames.alarm import Alarm
from zoo.frames.video import Frame, Picture, Video, film, open_camera, open_video, refuse_film
from zoo.frames.watch import Behind, Watched, ahead, watch
from zoo.partial import growing, whole

RATE = 10.0
SIZE = (96, 64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty one."""
    (tmp_path / "films").mkdir()
    return tmp_path / "films"


def picture(place: int, size: tuple[int, int] = SIZE) -> Picture:
    """Red on grey, further right from frame to frame."""
    made = np.full((size[1], size[0], 3), 60, np.uint8)
    made[16:48, place : place + 24] = (230, 20, 20)
    return made


def write(path: Path, frames: int, size: tuple[int, int] = SIZE) -> Path:
    """A video as a camera might leave it, by OpenCV alone."""
    module.opencv()  # which must be told at first use what not to print
    codec = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), RATE, size)
    assert writer.isOpened()
    for number in range(frames):
        writer.write(picture(number, size)[..., ::-1])
    writer.release()
    return path


def read(path: Path) -> list[Frame]:
    with open_video(path) as video:
        return list(video.frames())


def cut(path: Path, part: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    return path


def left_edge(shown: Picture) -> int:
    """Of the red."""
    red = shown[..., 0].astype(int) - shown[..., 2] > 80
    return int(red.any(0).argmax())


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
def test_frames_come_in_order_with_their_times_in_rgb(name: str, folder: Path) -> None:
    path = write(folder / name, 20)
    with open_video(path) as video:
        assert (video.rate, video.expected, video.pixels, video.live) == (RATE, 20, 96 * 64, False)
        frames = list(video.frames())
    assert [frame.number for frame in frames] == list(range(1, 21))
    assert [frame.seconds for frame in frames] == pytest.approx([number / RATE for number in range(20)], abs=1e-3)
    assert all(abs(left_edge(frame.picture) - place) <= 2 for place, frame in enumerate(frames))
    assert frames[0].picture.shape == (64, 96, 3) and frames[0].picture.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; expected a video file"),
        (b"", r"the file is empty \(0 bytes\)"),
        (b"no video" * 100, "cannot be opened .it is no video, truncated before its index"),
    ],
)
def test_what_is_no_video_is_refused(content: bytes | None, message: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "a\x1b.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\\x1b\.mp4: {message}"):
        read(path)
    assert capfd.readouterr().err == "", "OpenCV adds nothing of its own"


def test_folders_devices_and_addresses_are_no_files(folder: Path) -> None:
    for path, reason in ((folder, "a folder"), (Path(os.devnull), "no file"), (Path("http://localhost/a.mp4"), "no such file")):
        with pytest.raises(DataError, match=f"{reason}; expected a video file"):
            read(path)


def test_a_cut_mp4_has_no_index_and_a_cut_avi_no_end(folder: Path) -> None:
    with pytest.raises(DataError, match="truncated before its index"):
        read(cut(write(folder / "a.mp4", 20), 0.7))
    path = cut(write(folder / "a.avi", 60), 0.5)
    with open_video(path) as video:
        frames = list(video.frames())
        lacking, ends = video.lacking(len(frames), frames[-1].seconds)
    assert 20 < len(frames) < 40 and ends
    assert lacking == f"{path}: {len(frames)} of 60 frames could be decoded; it ends after {len(frames) / RATE:.1f} of 6.0 seconds"


def test_whole_videos_lack_nothing(folder: Path) -> None:
    for frames in (1, 2, 60):
        with open_video(write(folder / "a.mp4", frames)) as video:
            *_, last = video.frames()
            assert video.lacking(last.number, last.seconds) == ("", False)


class Capture:
    """What Video asks of OpenCV."""

    def __init__(self, sizes: list[tuple[int, int]], times: list[float] | None = None, **said: float) -> None:
        self.sizes, self.times, self.number = sizes, times or [0.0] * len(sizes), 0
        self.said = {"FPS": 10.0, "FRAME_COUNT": float(len(sizes)), "FRAME_WIDTH": 96.0, "FRAME_HEIGHT": 64.0} | said

    def get(self, key: int) -> float:
        if key == cv2.CAP_PROP_POS_MSEC:
            return 1000 * self.times[self.number - 1]
        return next(value for name, value in self.said.items() if getattr(cv2, f"CAP_PROP_{name}") == key)

    def read(self) -> tuple[bool, Any]:
        self.number += 1
        there = self.number <= len(self.sizes)
        return there, picture(0, self.sizes[self.number - 1])[..., ::-1] if there else None


def opened(*sizes: tuple[int, int], times: list[float] | None = None, live: bool = False, **said: float) -> Video:
    capture: Any = Capture(list(sizes), times, **said)
    return Video(capture, "made.mp4", live)


def test_impossible_headers_are_not_believed() -> None:
    for said in (float("nan"), -1.0, 0.0, 1e9, float("inf")):
        video = opened(SIZE, FPS=said, FRAME_COUNT=said if said != 1e9 else -1.0)
        assert (video.rate, video.expected) == (0, 0)
        assert video.lacking(1, 0.0) == ("", False)
    with pytest.raises(DataError, match="frames of 20000x20000 pixels; expected at most 7680x4320"):
        opened(SIZE, FRAME_WIDTH=20000.0, FRAME_HEIGHT=20000.0)


def test_a_video_without_frames_or_of_two_sizes_is_refused() -> None:
    with pytest.raises(DataError, match=r"made\.mp4: no frame could be decoded"):
        list(opened().frames())
    frames = opened(SIZE, SIZE, (64, 96)).frames()
    assert [next(frames).number, next(frames).number] == [1, 2]
    with pytest.raises(DataError, match="frame 3 is of 64x96 pixels, those before it of 96x64"):
        next(frames)


def test_times_that_do_not_grow_are_made_up_by_the_rate() -> None:
    """Raw streams have none, and some files jump back."""
    said = [0.0, 0.1, 0.1, float("nan"), 0.2, 0.9]
    assert [round(frame.seconds, 3) for frame in opened(*[SIZE] * 6, times=said).frames()] == [0, 0.1, 0.2, 0.3, 0.4, 0.9]


def test_frames_missing_on_the_way_are_no_end() -> None:
    video = opened(SIZE, FRAME_COUNT=60.0)
    assert video.lacking(37, 5.9) == ("made.mp4: 37 of 60 frames could be decoded; some on the way are missing", False)


def test_a_video_that_was_taken_upright_is_turned(folder: Path) -> None:
    """Telephones write frames as the chip has them, and how to turn them in the track's matrix (ISO 14496-12, 8.3.2)."""
    path = write(folder / "a.mp4", 3)
    content = path.read_bytes()
    matrix = content.index(b"tkhd") + 44
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 64 << 16, 0, 1 << 30)
    path.write_bytes(content[:matrix] + quarter + content[matrix + 36 :])
    frames = read(path)
    assert [frame.picture.shape for frame in frames] == [(96, 64, 3)] * 3
    assert left_edge(frames[2].picture.swapaxes(0, 1)) in (1, 2, 3), "what was left is above"


def test_a_camera_that_is_not_there_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"^camera 77: cannot be opened \(there: .+\); expected a camera"), open_camera(77):
        pass
    assert capfd.readouterr().err == ""


def test_a_cameras_frames_carry_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.5, 103.0])
    monkeypatch.setattr("zoo.frames.video.time.monotonic", lambda: next(clock))
    video = opened(SIZE, SIZE, live=True)
    assert video.expected == 0 and [frame.seconds for frame in video.frames()] == [0.5, 3.0]


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize(("name", "size"), [("a.mp4", SIZE), ("a.avi", SIZE), ("odd.MP4", (97, 63))])
def test_a_film_comes_back(name: str, size: tuple[int, int], folder: Path) -> None:
    with film(folder / name, 12.3456) as add:
        for number in range(15):
            add(picture(number, size), number / 12.3456)
    frames = read(folder / name)
    assert len(frames) == 15 and frames[0].picture.shape[:2] == (size[1] // 2 * 2, size[0] // 2 * 2)
    assert all(abs(left_edge(frame.picture) - place) <= 2 for place, frame in enumerate(frames))
    assert frames[-1].seconds == pytest.approx(14 / 12.346, abs=0.01)
    assert [each.name for each in folder.iterdir()] == [name]


def test_a_cameras_film_keeps_time(folder: Path) -> None:
    """Pictures that come late are repeated."""
    with film(folder / "a.avi", RATE, live=True) as add:
        for place, seconds in enumerate((0.0, 0.1, 0.5, 0.52, 1.0)):
            add(picture(10 * place), seconds)
    places = [round(left_edge(frame.picture) / 10) for frame in read(folder / "a.avi")]
    assert places == [0, 1, 2, 2, 2, 2, 3, 4, 4, 4, 4]


def test_a_film_of_nothing_is_no_file(folder: Path) -> None:
    with film(folder / "a.mp4", RATE):
        pass
    assert not list(folder.iterdir())


def test_an_error_on_the_way_leaves_what_was_there(folder: Path) -> None:
    (folder / "a.mp4").write_bytes(b"old")
    with pytest.raises(ValueError, match="stop"), film(folder / "a.mp4", RATE) as add:
        add(picture(0), 0)
        raise ValueError("stop")
    assert [each.name for each in folder.iterdir()] == ["a.mp4"] and (folder / "a.mp4").read_bytes() == b"old"


def test_a_missing_codec_and_other_endings_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"a\.gif: a video is drawn to a video; expected a file that ends with \.mp4 or \.avi"):
        refuse_film(Path("a.gif"))
    monkeypatch.setitem(module.CODECS, ".mp4", "ZZZZ")
    with (
        pytest.raises(ZooError, match=r"a\.mp4: OpenCV cannot write it \(96x64 pixels, 10 frames .*codec ZZZZ\).*try \.avi"),
        film(folder / "a.mp4", RATE) as add,
    ):
        add(picture(0), 0)
    assert not list(folder.iterdir())


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from zoo.frames.video import film
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))  # as a disk that is full by then
generator = np.random.default_rng(0)
with film(Path(sys.argv[1]), 10) as add:
    for number in range(40):
        add(generator.integers(0, 256, (64, 96, 3), np.uint8), number / 10)
"""


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_a_full_disk_is_noticed_though_opencv_does_not_tell(name: str, folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(folder / name)], capture_output=True, text=True, check=False)
    assert f"{name}: cannot be written: only " in done.stderr and "of 40 frames reached the disk: make room there" in done.stderr
    assert not list(folder.iterdir())


def test_files_that_grow_are_whole_or_gone(folder: Path) -> None:
    path = folder / "a.jsonl"
    (folder / ".a.partial.jsonl").symlink_to(folder / "victim")
    with growing(path) as file:
        file.write("caf\udce9\n")
        assert not path.exists() and (folder / ".a.partial.jsonl").read_bytes() == b"caf\xe9\n", "a line goes out at once"
    assert path.read_bytes() == b"caf\xe9\n" and [each.name for each in folder.iterdir()] == ["a.jsonl"]
    full = folder / "full"  # a link: code that is wrong would replace the device itself
    full.symlink_to("/dev/full")
    with pytest.raises(ZooError, match=r"full: cannot be written \(No space left on device\)"), growing(full) as file:
        file.write("text\n")
    with pytest.raises(BrokenPipeError), whole(path):
        raise BrokenPipeError
    assert path.read_bytes() == b"caf\xe9\n"


# ---------------------------------------------------------------- threads


def test_ahead_keeps_order_and_its_bound() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1, 21):
            taken.append(number)
            yield number

    for number in (frames := ahead(items(), 3)):
        assert len(taken) <= number + 3
        if number == 10:
            break
    frames.close()
    assert taken == list(range(1, len(taken) + 1)) and 10 <= len(taken) <= 13
    assert list(ahead(items(), 3)) == list(range(1, 21))


def test_behind_calls_in_order_within_its_bound() -> None:
    gate, called = threading.Event(), list[int]()

    def call(number: int) -> None:
        gate.wait(5)
        called.append(number)

    with Behind(call, 2) as behind:
        for number in range(2):
            behind(number)  # more would wait for the gate
        assert called == []
        gate.set()
        for number in range(2, 9):
            behind(number)
    assert called == list(range(9))


def test_errors_of_both_threads_arrive_and_end_them() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise DataError("broken")

    def fail(number: int) -> None:
        raise ZooError(f"full at {number}")

    with pytest.raises(DataError, match="broken"):
        list(ahead(broken(), 4))
    with pytest.raises(ZooError, match="full at 1"), Behind(fail, 1) as behind:
        behind(1)
    before = threading.active_count()
    with pytest.raises(ZooError, match="full at 1"):
        watch(opened(*[SIZE] * 30), edges, lambda frame, edge: fail(frame.number), 2)
    assert threading.active_count() == before


def edges(pictures: list[Picture]) -> list[int]:
    return [left_edge(shown) for shown in pictures]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_all_frames_are_watched_in_order(batch_size: int, folder: Path) -> None:
    sizes, found = list[int](), list[tuple[int, int]]()

    def detect(pictures: list[Picture]) -> list[int]:
        sizes.append(len(pictures))
        return edges(pictures)

    with open_video(write(folder / "a.mp4", 20)) as video:
        done = watch(video, detect, lambda frame, edge: found.append((frame.number, edge)), batch_size)
    assert done.frames == 20 and done.last == pytest.approx(1.9) and not done.interrupted
    assert [number for number, _ in found] == list(range(1, 21))
    assert all(abs(edge - number + 1) <= 2 for number, edge in found)
    assert max(sizes) == min(batch_size, 20) and sum(sizes) == 20
    assert 0 < done.inside < done.seconds
    assert len(done.waits) == 20 and min(done.waits) > 0 and max(done.waits) < done.seconds


def test_ctrl_c_ends_as_the_videos_end_does() -> None:
    found: list[int] = []

    def detect(pictures: list[Picture]) -> list[int]:
        if len(found) >= 4:
            raise KeyboardInterrupt
        time.sleep(0.01)  # so that the writer keeps up
        return edges(pictures)

    done = watch(opened(*[SIZE] * 500), detect, lambda frame, edge: found.append(frame.number), 2)
    assert done.interrupted and done.frames == len(found) and found == list(range(1, len(found) + 1)) and len(found) < 500


def test_who_watches_may_end_it() -> None:
    answers = iter([True, True, False])
    done = watch(opened(*[SIZE] * 30), edges, lambda frame, edge: None, 2, lambda: next(answers))
    assert done.interrupted and done.frames == 6


def test_the_latency_is_a_median_and_a_percentile() -> None:
    waits = [0.01] * 90 + [0.5] * 10
    assert Watched(100, 4.7, 60.0, 51.0, waits=waits).latency == (
        "latency 10 ms from a frame taken to what is found in it (median), 500 ms (95th percentile)"
    )
    assert Watched(0, 0.0, 1.0, 0.0).latency == ""


def test_a_frame_knows_when_it_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([5.0, 6.5, 7.0])
    monkeypatch.setattr("zoo.frames.video.time.perf_counter", lambda: next(clock))
    assert [frame.taken for frame in opened(SIZE, SIZE).frames()] == [5.0, 6.5]


def test_the_report_is_plain() -> None:
    assert str(Watched(120, 4.7, 60.0, 51.0)) == "120 frames in 1 min 00 s: 2.0 per second, 85% of the time in the model"


# ---------------------------------------------------------------- alarm


def lines(alarm: Alarm, pattern: str) -> list[tuple[int, str]]:
    """A frame for each letter, every tenth of a second: x a head, . none; with the frame that a line came with."""
    said = [(number, alarm.update(number, number / 10, ("helmet", "head") if letter == "x" else ("helmet",)))
            for number, letter in enumerate(pattern, 1)]  # fmt: skip
    return [(number, line) for number, line in said if line]


def test_an_alarm_needs_so_many_frames_running() -> None:
    assert lines(Alarm("head", 3), "xx.xx.x.xx") == []
    assert lines(Alarm("head", 3), ".xx.xxx") == [(7, "ALARM: head seen in 3 frames running, first at 0:00.50 (frame 5)")]
    assert lines(Alarm("head", 1), "..x") == [(3, "ALARM: head seen in 1 frame, first at 0:00.30 (frame 3)")]


def test_missed_frames_do_not_end_it() -> None:
    alarm = Alarm("head", 3)
    found = lines(alarm, "xxx.x..xx...xx")
    assert [number for number, _ in found] == [3, 12]
    assert found[1][1] == "alarm ends: head last seen at 0:00.90 (frame 9), 0.8 s after the first"
    assert alarm.end() is None
    assert [number for number, _ in lines(Alarm("head", 1), "x.x.x..x")] == [1, 7, 8], "one missed frame ends none"


def test_the_videos_end_ends_it() -> None:
    alarm = Alarm("he\x1bad", 2)
    for number in (1, 2):
        alarm.update(number, 59.999 + number, ["he\x1bad"])
    assert alarm.end() == r"alarm ends: he\x1bad last seen at 1:02.00 (frame 2), 1.0 s after the first"
    assert alarm.end() is None


def test_a_second_alarm_begins_anew() -> None:
    found = lines(Alarm("head", 2), "xx..xx..")
    assert [line for _, line in found][2] == "ALARM: head seen in 2 frames running, first at 0:00.50 (frame 5)"
