"""A detector on pictures, folders and videos as people call it: what is printed, written, drawn and alarmed, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from cameras import Camera, plugged
from PIL import Image
from small import recipe
from torch import Tensor, nn

from zoo.__main__ import run_command
from zoo.datasets.boxes import NONE
from zoo.datasets.transforms import Preprocess
from zoo.errors import RecipeError
from zoo.facts import Facts
from zoo.frames import detecting
from zoo.frames import video as videos
from zoo.model import Model
from zoo.spec import DataSpec
from zoo.tasks.task import Task

LABELS = ("helmet", "head")
SIDE = 64
RATE = 10.0


class Blobs(Task):
    """Boxes around what is yellow (a helmet, score 0.9) and red (a head, 0.6)."""

    threshold: float = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def detect(self, image: Tensor) -> dict[str, Tensor]:
        red, green, blue = image.unbind(1)
        bright = (red > 0.6) & (blue < 0.4)
        rows = [[self._box(each) for each in kinds] for kinds in zip(bright & (green > 0.6), bright & (green < 0.4), strict=True)]
        there = torch.tensor([[box is not None for box in row] for row in rows])
        return {
            "boxes": torch.tensor([[box or [0.0] * 4 for box in row] for row in rows]),
            "scores": torch.where(there, torch.tensor([0.9, 0.6]), 0.0),
            "classes": torch.where(there, torch.tensor([0, 1]), NONE),
        }

    def _box(self, where: Tensor) -> list[float] | None:
        if not where.any():
            return None
        rows, columns = where.nonzero().unbind(1)
        return [float(value) for value in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]


class Plain(Task):
    """Neither finds nor classifies."""

    def classify(self, image: Tensor) -> Tensor:
        return torch.full((len(image), 2), 0.5)


def model(task: Task) -> Model:
    spec = DataSpec(3, (SIDE, SIDE), LABELS, truth="boxes")
    return Model(task, recipe("data.fit=squash"), Facts(spec, {}, {}), Path("run"))


@pytest.fixture(autouse=True)
def detector(monkeypatch: pytest.MonkeyPatch) -> Model:
    """Whatever is loaded is this."""
    made = model(Blobs())
    monkeypatch.setattr("zoo.model.load", lambda what, device: made)
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, and the current."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def scene(helmet: int | None, head: int | None, scale: int = 1) -> npt.NDArray[np.uint8]:
    """64 by 64 pixels, enlarged: 16 by 16 of a colour at a place from the left."""
    made = np.full((SIDE, SIDE, 3), 70, np.uint8)
    if helmet is not None:
        made[8:24, helmet : helmet + 16] = (240, 220, 20)
    if head is not None:
        made[40:56, head : head + 16] = (230, 20, 20)
    return np.kron(made, np.ones((scale, scale, 1), np.uint8))


def save(path: Path, *what: Any) -> Path:
    Image.fromarray(scene(*what)).save(path)
    return path


def film(path: Path, pattern: str) -> Path:
    """A frame a letter, twice as large as the model sees it: x shows a head, whose place is the frame's."""
    videos.opencv()
    codec = {".mp4": "mp4v", ".avi": "MJPG"}[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), RATE, (2 * SIDE, 2 * SIDE))
    for place, letter in enumerate(pattern):
        writer.write(scene(20, place if letter == "x" else None, 2)[..., ::-1])
    writer.release()
    return path


def predict(*words: object) -> int:
    return run_command("predict", ["run", *map(str, words)])


def objects(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ---------------------------------------------------------------- pictures


def test_a_line_a_box_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both, none = save(folder / "a.png", 10, 30, 2), save(folder / "b.png", None, None)
    assert predict(both, none) == 0
    assert capsys.readouterr().out == (f"0.900000  helmet  20.0 16.0 52.0 48.0  {both}\n0.600000  head  60.0 80.0 92.0 112.0  {both}\n")
    assert predict(both, "--threshold", "0.7") == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_rows_objects_and_results_agree(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pictures").mkdir()
    save(folder / "pictures" / "=a.png", 10, 30, 2)
    save(folder / "pictures" / "b.png", None, None)
    save(folder / "pictures" / "c\x1b.png", None, 4)
    os.chdir(folder / "pictures")
    assert predict("=a.png", "b.png", "c\x1b.png", "--csv", "../a.csv", "--json", "../a.jsonl", "--coco", "../a.json") == 0
    said = capsys.readouterr()
    assert said.out == "" and sorted(each.name for each in folder.iterdir()) == ["a.csv", "a.json", "a.jsonl", "pictures"]
    assert "wrote 3 rows to ../a.csv" in said.err and "wrote 3 lines to ../a.jsonl" in said.err
    assert "image_id is the picture's place among those given, from 1 on; category_id is 1 helmet, 2 head" in said.err
    first, second, third = objects(folder / "a.jsonl")
    boxes = [[20, 16, 52, 48], [60, 80, 92, 112]]
    assert first == {"path": "=a.png", "boxes": boxes, "labels": ["helmet", "head"], "scores": [0.9, 0.6]}
    assert second == {"path": "b.png", "boxes": [], "labels": [], "scores": []}
    assert (third["path"], third["labels"]) == ("c\x1b.png", ["head"])
    rows = table(folder / "a.csv")
    assert [row["path"] for row in rows] == ["./=a.png", "./=a.png", "c\x1b.png"]
    assert rows[1] == {
        "path": "./=a.png", "label": "head", "score": "0.600000", "left": "60.00", "top": "80.00", "right": "92.00", "bottom": "112.00",
    }  # fmt: skip
    results = json.loads((folder / "a.json").read_text())
    assert results[1] == {"image_id": 1, "category_id": 2, "bbox": [60, 80, 32, 32], "score": 0.6}
    assert [result["image_id"] for result in results] == [1, 1, 3]


def test_coco_takes_what_is_written(folder: Path) -> None:
    pycocotools = pytest.importorskip("faster_coco_eval")
    save(folder / "000000000139.png", 10, None)
    save(folder / "000000000285.png", None, 30)
    assert predict(folder, "--coco", "found.json") == 0
    truth = {
        "images": [{"id": number, "width": 64, "height": 64} for number in (139, 285)],
        "categories": [{"id": 1, "name": "helmet"}, {"id": 2, "name": "head"}],
        "annotations": [
            {"id": 1, "image_id": 139, "category_id": 1, "bbox": [10, 8, 16, 16], "area": 256, "iscrowd": 0},
            {"id": 2, "image_id": 285, "category_id": 2, "bbox": [30, 40, 16, 16], "area": 256, "iscrowd": 0},
        ],
    }
    known = pycocotools.COCO(truth)
    judge = pycocotools.COCOeval_faster(known, known.loadRes(json.loads((folder / "found.json").read_text())), "bbox")
    judge.run()
    assert judge.stats[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("names", "ids", "said"),
    [
        (["7.png", "000123.png"], [7, 123], "the number that is the picture's name"),
        (["7.png", "007.png"], [1, 2], "the picture's place"),
        (["7.png", "b.png"], [1, 2], "the picture's place"),
        (["7.png", "²3.png"], [1, 2], "the picture's place"),
        (["7.png", "12345678901234567890.png"], [1, 2], "the picture's place"),
    ],
)
def test_ids_are_the_names_where_these_are_numbers(names: list[str], ids: list[int], said: str) -> None:
    numbers, words = detecting._image_ids([Path(name) for name in names])
    assert numbers == ids and words.startswith(said)


def test_results_of_nothing_are_an_empty_list(folder: Path) -> None:
    assert predict(save(folder / "a.png", None, None), "--coco", "a.json", "--csv", "a.csv") == 0
    assert json.loads((folder / "a.json").read_text()) == [] and table(folder / "a.csv") == []


def test_drawn_pictures_are_of_their_own_size(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [save(folder / "a.png", 10, 30, 3), save(folder / "b.png", None, None, 2)]
    assert predict(*files, "--drawn", "drawn") == 0
    assert "wrote 2 pictures to drawn" in capsys.readouterr().err
    assert sorted(each.name for each in (folder / "drawn").iterdir()) == ["a.png", "b.png"]
    before, after = np.asarray(Image.open(files[0])), np.asarray(Image.open(folder / "drawn" / "a.png"))
    assert before.shape == after.shape and (before != after).any()
    assert np.array_equal(np.asarray(Image.open(folder / "drawn" / "b.png")), np.asarray(Image.open(files[1])))


def test_no_picture_is_drawn_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(folder / "a.png", 10, 30)
    before = path.read_bytes()
    assert predict(path, "--drawn", folder) == 3
    assert f"--drawn {folder}: the drawn {path} would be written over a picture; choose another folder" in capsys.readouterr().err
    assert path.read_bytes() == before


# ---------------------------------------------------------------- a video


@pytest.mark.parametrize("name", ["site.mp4", "site.avi"])
def test_a_video_from_end_to_end(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = film(folder / name, "..xxxxx.xxx....")
    words = ("--json", "a.jsonl", "--csv", "a.csv", "--coco", "a.json", "--drawn", "drawn.mp4", "--alarm", "head", "--alarm-frames", 3)
    assert predict("--video", path, *words) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "ALARM: head seen in 3 frames running, first at 0:00.20 (frame 3)",
        "alarm ends: head last seen at 0:01.00 (frame 11), 0.8 s after the first",
    ]
    assert f"{path}: 15 frames in " in said.err and "of the time in the model (its own rate is 10)" in said.err
    assert f"{path}: latency " in said.err
    lines = objects(folder / "a.jsonl")
    assert [line["frame"] for line in lines] == list(range(1, 16))
    assert [line["seconds"] for line in lines] == pytest.approx([place / RATE for place in range(15)])
    assert ["".join("x" if "head" in line["labels"] else "." for line in lines)] == ["..xxxxx.xxx...."]
    lefts = {line["frame"]: line["boxes"][1][0] for line in lines if "head" in line["labels"]}
    assert all(abs(left - 2 * (frame - 1)) <= 3 for frame, left in lefts.items()), "in pixels of the video, each frame its own"
    assert len(table(folder / "a.csv")) == len(json.loads((folder / "a.json").read_text())) == 15 + 8
    assert table(folder / "a.csv")[0]["frame"] == "1"
    with videos.open_video(folder / "drawn.mp4") as drawn, videos.open_video(path) as given:
        pairs = list(zip(drawn.frames(), given.frames(), strict=True))
    assert len(pairs) == 15 and drawn.rate == RATE
    assert all((np.abs(after.picture.astype(int) - before.picture) > 60).sum() > 50 for after, before in pairs), "a box is on each"
    assert not [each.name for each in folder.iterdir() if "partial" in each.name]


def test_without_files_a_videos_boxes_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("--video", film(folder / "a.avi", ".x"), "--batch-size", 1) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("0.900000  helmet  ") and lines[0].endswith("  1  0.0") and lines[2].endswith("  2  0.1")


def test_an_alarm_at_the_end_ends_with_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("--video", film(folder / "a.avi", "." + "x" * 7), "--alarm", "head") == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["ALARM", "alarm ends"]


def test_a_cut_video_ends_with_3_and_whole_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = film(folder / "a.avi", "x" * 40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert predict("--video", path, "--json", "a.jsonl", "--drawn", "b.avi") == 3
    frames = len(objects(folder / "a.jsonl"))
    assert 10 < frames < 25
    said = capsys.readouterr().err
    assert f"{path}: {frames} of 40 frames could be decoded; it ends after {frames / RATE:.1f} of 4.0 seconds" in said
    assert "truncated or broken; what was asked for is written up to there: copy the video again" in said
    with videos.open_video(folder / "b.avi") as drawn:
        assert len(list(drawn.frames())) == frames


def test_what_lies_beside_the_picture_is_not_told() -> None:
    """With `fit: pad` there is grey above and below a wide picture, and a box there would have no height in it."""
    made = model(Blobs())
    made.preprocess = Preprocess((SIDE, SIDE), "pad")
    row = torch.tensor([[4.0, 2.0, 20.0, 14.0], [4.0, 10.0, 20.0, 24.0]]), torch.tensor([0.9, 0.8]), torch.tensor([0, 1])
    found = made._detections("wide.png", row, (SIDE, 2 * SIDE), 0.3)
    assert found.boxes.tolist() == [[8.0, 0.0, 40.0, 16.0]]
    assert found.labels == ("head",) and found.scores.tolist() == pytest.approx([0.8])


def test_an_error_leaves_no_file(folder: Path, detector: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def fail(*given: object) -> None:
        calls.append(1)
        if len(calls) > 2:
            raise RecipeError("stop")

    monkeypatch.setattr(detector, "_detections", fail, raising=True)
    monkeypatch.setattr("zoo.frames.box_files._boxes", lambda found: [])
    path = film(folder / "a.avi", "x" * 9)
    assert predict("--video", path, "--json", "a.jsonl", "--coco", "a.json", "--csv", "a.csv", "--batch-size", 1) == 2
    assert [each.name for each in folder.iterdir()] == ["a.avi"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--video", "no.mp4"], 3, "no.mp4: no such file; expected a video file"),
        (["--video", "{video}", "--drawn", "{video}"], 2, "this is the video that was given, and would be written over"),
        (["--video", "{video}", "--drawn", "b.gif"], 2, "expected a file that ends with .mp4 or .avi"),
        (["--video", "{video}", "--drawn", "no/b.mp4"], 2, "there is no folder no; expected a video to write"),
        (["--video", "{video}", "--drawn", "{folder}/sub.mp4"], 2, "sub.mp4: is no file; expected a video to write"),
        (["--video", "{video}", "--json", "no/b.json"], 2, "there is no folder no"),
        (["--video", "{video}", "--coco", "{folder}"], 2, "is a folder; expected a file to write"),
        (["--video", "{video}", "--batch-size", "0"], 2, "--batch-size 0: expected a whole number from 1 on, such as 4"),
        (["--video", "{video}", "--threshold", "1.5"], 2, "threshold=1.5: expected a score from 0 to 1"),
        (["--video", "{video}", "--alarm", "Heads"], 2, "--alarm Heads: no class of this model (did you mean `head`?); expected one of"),
        (["--video", "{video}", "--alarm", "head", "--alarm-frames", "0"], 2, "--alarm-frames 0: expected a number from 1 on"),
        (["--video", "{video}", "--alarm-frames", "3"], 2, "--alarm-frames 3: expected --alarm CLASS with it, one of helmet, head"),
        (["--video", "{video}", "--masks", "m"], 2, "--masks: small (classification) makes no masks; leave it out"),
        (["--video", "{video}", "--submission", "s.csv"], 2, "--submission: small (classification) writes none; leave it out"),
        (["--video", "{video}", "--box", "1,1,9,9"], 2, "--box: small (classification) gives frames no labels; leave it out"),
        (["--video", "{video}", "--smooth", "1"], 2, "--smooth: small (classification) gives frames no labels; leave it out"),
        (["--video", "{video}", "--no-preview"], 2, "--preview: small (classification) gives frames no labels; leave it out"),
        (["--camera", "-1"], 2, "camera -1: expected its number, from 0 on"),
        (["--camera", "77"], 3, "camera 77: cannot be opened"),
        (["{picture}", "--alarm", "head"], 2, "--alarm: pictures have no frames running; take it with --video or --camera"),
        (["{picture}", "--drawn", "no/drawn"], 2, "there is no folder no; expected a folder"),
        (["{picture}", "--json", "full"], 1, "full: cannot be written (No space left on device)"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], code: int, message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video, picture = film(folder / "a.avi", "x"), save(folder / "a.png", 1, 2)
    (folder / "sub.mp4").mkdir()
    (folder / "full").symlink_to("/dev/full")  # code that is wrong would replace the device itself
    before = sorted(folder.iterdir())
    assert predict(*(word.format(video=video, picture=picture, folder=folder) for word in words)) == code
    assert message in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("words", [[], ["a.png", "--video", "a.mp4"], ["--video", "a.mp4", "--camera", "0"]])
def test_one_source_is_needed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        predict(*words)
    assert ended.value.code == 2 and "expected pictures, --video FILE or --camera N, and one of them" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["a.png", option, "1"] for option in ("--coco", "--alarm", "--alarm-frames")])
def test_other_models_find_no_boxes(
    words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(folder / "a.png", 1, 2)
    monkeypatch.setattr("zoo.model.load", lambda what, device: model(Plain()))
    assert predict(*words) == 2
    (option,) = [word for word in words if word.startswith("--")]
    assert f"zoo predict: {option}: small (classification) finds no boxes; leave it out\n" in capsys.readouterr().err
    assert [each.name for each in folder.iterdir()] == ["a.png"]


# ---------------------------------------------------------------- Ctrl-C and cameras


@pytest.fixture
def ctrl_c(detector: Model) -> Iterator[Callable[[int], None]]:
    """Pressed before the model's so-many-th batch."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts the tests in the background leaves it ignored

    def press(after: int) -> None:
        task: Any = detector.task
        detect, calls = task.detect, list[int]()

        def pressed(image: Tensor) -> dict[str, Tensor]:
            calls.append(1)
            if len(calls) > after:
                os.kill(os.getpid(), signal.SIGINT)
            found: dict[str, Tensor] = detect(image)
            return found

        task.detect = pressed

    yield press
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_with_whole_files(folder: Path, ctrl_c: Callable[[int], None], capsys: pytest.CaptureFixture[str]) -> None:
    ctrl_c(3)
    path = film(folder / "a.avi", "x" * 40)
    words = ("--json", "a.jsonl", "--coco", "a.json", "--drawn", "b.mp4", "--alarm", "head", "--batch-size", 2)
    assert predict("--video", path, *words) == 130
    said = capsys.readouterr()
    assert "alarm ends" in said.out and "truncated" not in said.err and said.err.endswith("zoo predict: interrupted\n")
    assert len(objects(folder / "a.jsonl")) == 6 and len(json.loads((folder / "a.json").read_text())) == 12
    with videos.open_video(folder / "b.mp4") as drawn:
        assert len(list(drawn.frames())) == 6
    assert sorted(each.name for each in folder.iterdir()) == ["a.avi", "a.json", "a.jsonl", "b.mp4"]


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Camera:
    """Whatever its number."""
    return plugged(monkeypatch, Camera(1000, scene(10, 20)))


def test_ctrl_c_is_how_a_camera_ends(
    folder: Path, ctrl_c: Callable[[int], None], camera: Camera, capsys: pytest.CaptureFixture[str]
) -> None:
    ctrl_c(5)
    assert predict("--camera", 2, "--json", "a.jsonl", "--drawn", "b.avi", "--alarm", "helmet", "--alarm-frames", 1) == 0
    said = capsys.readouterr()
    assert said.out.startswith("ALARM: helmet seen in 1 frame, first at 0:00.") and "camera 2: 5 frames in " in said.err
    assert len(objects(folder / "a.jsonl")) == 5 and camera.left > 980, "frames are not hoarded"


def test_a_camera_that_is_pulled_out_is_said(folder: Path, camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    camera.left = 3
    assert predict("--camera", 0, "--json", "a.jsonl") == 3
    assert "camera 0: it gave no more frames; what was asked for is written up to there: see that" in capsys.readouterr().err
    assert len(objects(folder / "a.jsonl")) == 3


def test_help_loads_nothing_heavy() -> None:
    probe = "import sys; from zoo.predict import _parser; _parser().format_help(); print({'cv2', 'numpy', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "set()\n"
