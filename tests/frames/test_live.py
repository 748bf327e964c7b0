"""A classifier before a video and a camera: what is printed, written and drawn, that it does not flicker, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from contextlib import nullcontext
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
from zoo.facts import Facts
from zoo.figures.label import labelled
from zoo.frames import live
from zoo.frames import video as videos
from zoo.frames.smoothing import Shown
from zoo.frames.video import Frame, Picture
from zoo.frames.window import window
from zoo.model import Model
from zoo.spec import DataSpec
from zoo.tasks.task import Task

LABELS = ("BACKGROUND", "RED", "GRE\x1bEN")
SIDE = 64
RATE = 10.0
COLOURS = {".": (90, 90, 90), "r": (220, 30, 30), "g": (30, 200, 30), "w": (150, 70, 70)}


class Colours(Task):
    """Red, green or neither, by the mean colour; of a weak red it is half sure."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def classify(self, image: Tensor) -> Tensor:
        red, green, _ = image.mean((2, 3)).unbind(1)
        scores = torch.stack((torch.full_like(red, 0.3), red - green, green - red), 1)
        return (12 * scores).softmax(1)


class Neither(Task):
    """Gives no classes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))


def model(task: Task, labels: tuple[str, ...] = LABELS, origin: Path = Path("run")) -> Model:
    return Model(task, recipe("data.fit=squash"), Facts(DataSpec(3, (16, 16), labels), {}, {}), origin)


@pytest.fixture(autouse=True)
def classifier(monkeypatch: pytest.MonkeyPatch) -> Model:
    """Whatever is loaded is this; there is no screen."""
    made = model(Colours())
    monkeypatch.setattr("zoo.model.load", lambda what, device: made)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, and the current."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def scene(letter: str, across: int = SIDE) -> Picture:
    return np.full((SIDE, across, 3), COLOURS[letter], np.uint8)


def film(path: Path, pattern: str) -> Path:
    """A frame a letter."""
    with videos.film(path, RATE) as add:
        for place, letter in enumerate(pattern):
            add(scene(letter), place / RATE)
    return path


def predict(*words: object) -> int:
    return run_command("predict", ["run", *map(str, words)])


def objects(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def initials(path: Path) -> str:
    """What was shown of each frame: a letter, or a point for nothing."""
    return "".join("." if line["label"] is None else line["label"][0].lower() for line in objects(path))


# ---------------------------------------------------------------- what comes out


def test_a_video_from_end_to_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = film(folder / "a.avi", "....rrrrrr....gggggg")
    assert predict("--video", path, "--json", "a.jsonl", "--csv", "a.csv", "--drawn", "b.mp4", "--smooth", 0.1) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{path}: 20 frames in " in said.err and f"{path}: latency " in said.err
    assert "threshold 0.5: nothing is known of the model's errors; --threshold SCORE sets another" in said.err
    assert said.err.count("no preview") == 1
    assert all(f"wrote 20 {what}" in said.err for what in ("lines to a.jsonl", "rows to a.csv", "frames to b.mp4"))
    assert initials(folder / "a.jsonl") == "....rrrrrr....gggggg"
    first, *_, last = objects(folder / "a.jsonl")
    assert (first["frame"], first["seconds"], first["label"]) == (1, 0.0, None) and last["seconds"] == pytest.approx(1.9)
    assert list(last["scores"]) == list(LABELS) and last["score"] == last["scores"][last["label"]] > 0.9
    assert sum(last["scores"].values()) == pytest.approx(1, abs=1e-5)
    with (folder / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["" if line["label"] is None else line["label"] for line in objects(folder / "a.jsonl")]
    assert [float(row["score"]) for row in rows] == [line["score"] for line in objects(folder / "a.jsonl")]
    with videos.open_video(folder / "b.mp4") as drawn:
        frames = [frame.picture for frame in drawn.frames()]
    assert len(frames) == 20 and drawn.rate == RATE
    assert all(
        (np.abs(frame.astype(int) - scene(letter)) > 60).sum() > 100 for frame, letter in zip(frames, "....rrrrrr....gggggg", strict=True)
    )
    assert sorted(each.name for each in folder.iterdir()) == ["a.avi", "a.csv", "a.jsonl", "b.mp4"]


def test_without_files_changes_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("--video", film(folder / "a.avi", "..rrrrgg"), "--smooth", 0, "--batch-size", 3) == 0
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [(label, frame, seconds) for _, label, frame, seconds in lines] == [
        ("-", "1", "0.000"), ("RED", "3", "0.200"), (r"GRE\x1bEN", "7", "0.600"),
    ]  # fmt: skip
    assert all(0.9 < float(score) <= 1 for score, *_ in lines)


def test_frames_go_through_the_network_one_by_one_unless_told(folder: Path, classifier: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, say = list[int](), classifier.predict
    monkeypatch.setattr(classifier, "predict", lambda pictures, batch_size: sizes.append(len(pictures)) or say(pictures, batch_size))
    path = film(folder / "a.avi", "rrrrr")
    assert predict("--video", path) == 0 and sizes == [1] * 5, "a batch would be waited for"
    sizes.clear()
    assert predict("--video", path, "--batch-size", 3) == 0 and sum(sizes) == 5 and max(sizes) == 3


def test_labels_are_no_formulas_in_a_table(folder: Path, classifier: Model) -> None:
    classifier.labels = ("BACKGROUND", "=RED", "GREEN")
    assert predict("--video", film(folder / "a.avi", "r"), "--csv", "a.csv", "--json", "a.jsonl") == 0
    assert (folder / "a.csv").read_text().splitlines()[1].split(",")[2] == "'=RED" and objects(folder / "a.jsonl")[0]["label"] == "=RED"


def test_smoothing_takes_single_frames_away(folder: Path) -> None:
    path = film(folder / "a.avi", "rrrrrrrr.rrrrgrrrrrr")
    assert predict("--video", path, "--json", "a.jsonl") == 0
    assert initials(folder / "a.jsonl") == "r" * 20
    assert predict("--video", path, "--json", "a.jsonl", "--smooth", 0) == 0
    assert initials(folder / "a.jsonl") == "rrrrrrrr.rrrrgrrrrrr"


def test_the_threshold_and_the_background_decide(folder: Path, classifier: Model, capsys: pytest.CaptureFixture[str]) -> None:
    path = film(folder / "a.avi", "wwww")
    assert predict("--video", path, "--json", "a.jsonl") == 0 and "no class is named background" not in capsys.readouterr().err
    line = objects(folder / "a.jsonl")[-1]
    assert line["label"] is None and 0.2 < line["scores"]["RED"] < 0.55, "weak"
    classifier.labels = ("OTHER", "RED", "GREEN")
    assert predict("--video", path, "--json", "a.jsonl", "--threshold", 0.2) == 0
    assert objects(folder / "a.jsonl")[-1]["label"] is not None and "no class is named background" in capsys.readouterr().err


def test_a_box_is_all_that_is_looked_at(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with videos.film(folder / "a.avi", RATE) as add:
        for place in range(4):
            picture = scene(".", 160)
            picture[:, 100:] = COLOURS["r"]
            add(picture, place / RATE)
    for box, found in (("0,0,80,64", "...."), ("104,0,160,64", "rrrr"), ("104.5,10,999,999", "rrrr")):
        assert predict("--video", "a.avi", "--box", box, "--json", "a.jsonl", "--drawn", "b.avi") == 0
        assert initials(folder / "a.jsonl") == found
    with videos.open_video(folder / "b.avi") as drawn:
        (first, *_) = (frame.picture for frame in drawn.frames())
    assert np.abs(first[30, 102].astype(int) - first[30, 90]).sum() > 100, "its edge is drawn"
    capsys.readouterr()
    assert predict("--video", "a.avi", "--box", "200,0,300,60", "--json", "c.jsonl") == 3
    assert "a.avi: the box 200,0,300,60 lies outside of its 160x64 pixels" in capsys.readouterr().err
    assert not (folder / "c.jsonl").exists()


def test_pictures_and_folders_are_predicted_as_before(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pictures").mkdir()
    for name, letter in (("a", "r"), ("b", "g")):
        Image.fromarray(scene(letter)).save(folder / "pictures" / f"{name}.png")
    assert predict("pictures") == 0 and predict("pictures/a.png") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[1:] for line in lines] == [
        ["RED", "pictures/a.png"], [r"GRE\x1bEN", "pictures/b.png"], ["RED", "pictures/a.png"],
    ]  # fmt: skip


# ---------------------------------------------------------------- the threshold that is fitted


def test_the_threshold_is_fitted_on_the_runs_validation(folder: Path, classifier: Model, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run").mkdir()
    classifier.origin = folder / "run"
    rows = [("RED", "RED", 0.9)] * 40 + [("BACKGROUND", "RED", 0.72)] * 4 + [("RED", "BACKGROUND", 0.99)] * 30
    table = "id,truth,prediction,score\n" + "".join(f"{place},{truth},{said},{score}\n" for place, (truth, said, score) in enumerate(rows))
    (folder / "run" / "predictions_val.csv").write_text(table)
    path = film(folder / "a.avi", "w")
    assert predict("--video", path) == 0
    assert "threshold 0.75: 0.0% of what is shown of the validation pictures at it is wrong; --threshold SCORE" in capsys.readouterr().err
    (folder / "run" / "predictions_val.csv").write_text(table.replace("RED,RED", "RED,GREEN"))
    assert predict("--video", path) == 0
    assert "threshold 0.95" not in (said := capsys.readouterr().err) and "threshold 0.9: 100.0% of what" in said
    assert "more than the 5% wished for" in said
    (folder / "run" / "predictions_val.csv").write_text(table.replace("RED,RED", "'=RED,'=RED").replace("RED,BACK", "'=RED,BACK"))
    assert predict("--video", path) == 0
    assert "threshold 0.75: 0.0% of what" in capsys.readouterr().err, "names that were guarded in the table"
    for broken in ("id,truth\n1,a\n", "id,truth,prediction,score\n1,a,b,c\n", "\x00" * 9):
        (folder / "run" / "predictions_val.csv").write_text(broken)
        assert predict("--video", path) == 0
        assert "threshold 0.5: nothing is known" in capsys.readouterr().err


def test_predictions_that_are_too_large_or_a_link_are_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, link = folder / "predictions_val.csv", folder / "link.csv"
    table.write_text("truth,prediction,score\nRED,RED,0.9\n")
    link.symlink_to(table)
    assert list(live._answers(table)) == [("RED", "RED", 0.9)] and list(live._answers(link)) == []
    monkeypatch.setattr(live, "_MOST_BYTES", 9)
    assert list(live._answers(table)) == []


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--video", "no.mp4"], 3, "no.mp4: no such file; expected a video file"),
        (["--video", "a.avi", "--threshold", "1.5"], 2, "--threshold 1.5: expected a score from 0 to 1, such as 0.5"),
        (["--video", "a.avi", "--threshold", "nan"], 2, "--threshold nan: expected a score"),
        (["--video", "a.avi", "--smooth", "-1"], 2, "--smooth -1: expected seconds from 0 on, such as 0.3"),
        (["--video", "a.avi", "--smooth", "inf"], 2, "--smooth inf: expected seconds from 0 on"),
        (["--video", "a.avi", "--box", "1,2,3"], 2, "--box 1,2,3: expected left,top,right,bottom in pixels"),
        (["--video", "a.avi", "--box", "9,9,2,20"], 2, "--box 9,9,2,20: expected left,top,right,bottom"),
        (["--video", "a.avi", "--box", "a,b,c,\x1b"], 2, r"--box a,b,c,\x1b: expected left"),
        (["--video", "a.avi", "--batch-size", "0"], 2, "--batch-size 0: expected a whole number from 1 on, such as 1"),
        (["--video", "a.avi", "--drawn", "a.avi"], 2, "this is the video that was given, and would be written over"),
        (["--video", "a.avi", "--drawn", "b.gif"], 2, "expected a file that ends with .mp4 or .avi"),
        (["--video", "a.avi", "--alarm", "RED"], 2, "--alarm: small (classification) finds no boxes; leave it out"),
        (["--video", "a.avi", "--submission", "s.csv"], 2, "--submission: is written of pictures; of a video or a camera take --csv FILE"),
        (["--video", "a.avi", "--json", "no/a.jsonl"], 2, "there is no folder no"),
        (["a.png", "--preview"], 2, "--preview: of a classifier it goes with --video or --camera"),
        (["--camera", "77"], 3, "camera 77: cannot be opened"),
        *((["a.png", option, "1"], 2, f"{option}: of a classifier it goes with --video or --camera; of pictures take --csv FILE")
          for option in ("--json", "--drawn", "--threshold", "--box", "--smooth")),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(words: list[str], code: int, message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(folder / "a.avi", "r")
    Image.fromarray(scene("r")).save(folder / "a.png")
    assert predict(*words) == code
    assert message in capsys.readouterr().err
    assert sorted(each.name for each in folder.iterdir()) == ["a.avi", "a.png"]


def test_a_model_without_classes_says_what_it_offers(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("zoo.model.load", lambda what, device: model(Neither()))
    assert predict("--video", film(folder / "a.avi", "r")) == 2
    assert "small (classification) predicts no classes; its network is model.task" in capsys.readouterr().err


# ---------------------------------------------------------------- cameras and windows


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Camera:
    """Whatever its number."""
    return plugged(monkeypatch, Camera(1000, scene("r")))


class Screen:
    """A window of which a person presses q at the so-many-th picture."""

    def __init__(self, last: int) -> None:
        self.last, self.seen = last, list[npt.NDArray[np.uint8]]()

    def show(self, picture: Picture, wait: float = 0.001) -> str:
        self.seen.append(picture)
        return "q" if len(self.seen) >= self.last else ""


def test_q_in_the_window_is_how_a_camera_ends(
    folder: Path, camera: Camera, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen(3)
    monkeypatch.setattr(live, "window", lambda title, wished: nullcontext(screen if wished else None))
    assert predict("--camera", 0, "--json", "a.jsonl") == 0
    assert "camera 0: latency " in capsys.readouterr().err
    assert initials(folder / "a.jsonl") in ("r" * 3, "r" * 4, "r" * 5) and camera.left > 980
    assert all((np.abs(each.astype(int) - scene("r")) > 60).sum() > 100 for each in screen.seen), "labels are on what is shown"


def test_a_camera_that_is_pulled_out_is_said(folder: Path, camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    camera.left = 3
    assert predict("--camera", 0, "--json", "a.jsonl", "--no-preview") == 3
    said = capsys.readouterr().err
    assert "camera 0: it gave no more frames" in said and "no preview" not in said
    assert initials(folder / "a.jsonl") == "rrr"


def test_a_window_that_cannot_be_is_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with window("a") as none:
        assert none is None and "no preview: there is no screen" in capsys.readouterr().err
    monkeypatch.setenv("DISPLAY", ":0")

    def fail(*given: object) -> None:
        raise cv2.error("The function is not implemented")

    monkeypatch.setattr(cv2, "namedWindow", fail, raising=False)
    with window("a") as none:
        assert none is None and "no preview: this OpenCV has no windows" in capsys.readouterr().err
    with window("a", wished=False) as none:
        assert none is None and capsys.readouterr().err == ""


def test_a_window_shows_takes_keys_and_a_box(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, mouse, drawn = [-1, ord("r") | 0x100000, 27], list[Callable[..., None]](), list[Picture]()
    monkeypatch.setenv("DISPLAY", ":0")
    for name, does in {
        "namedWindow": lambda title, flags: None,
        "setMouseCallback": lambda title, call: mouse.append(call),
        "imshow": lambda title, picture: drawn.append(picture),
        "waitKey": lambda wait: keys.pop(0) if keys else -1,
        "getWindowProperty": lambda title, key: 1.0 if keys else 0.0,
        "destroyAllWindows": lambda: drawn.clear(),
    }.items():
        monkeypatch.setattr(cv2, name, does, raising=False)
    with window("a") as screen:
        assert screen is not None
        picture = scene("r")
        assert [screen.show(picture) for _ in range(2)] == ["", "r"]
        assert drawn[0][0, 0].tolist() == [30, 30, 220], "OpenCV shows blue first"
        for event, across, down in ((cv2.EVENT_LBUTTONDOWN, 40, 30), (cv2.EVENT_MOUSEMOVE, 20, 50), (cv2.EVENT_LBUTTONUP, 10, 60)):
            mouse[0](event, across, down, 0, None)
        boxes = [screen.box]
        assert screen.show(picture) == "q", "a window that was closed"
        assert (drawn[-1] != drawn[0]).any() and np.array_equal(picture, scene("r"))
        mouse[0](cv2.EVENT_LBUTTONDOWN, 5, 5, 0, None)
        mouse[0](cv2.EVENT_LBUTTONUP, 6, 6, 0, None)
        assert [*boxes, screen.box] == [(10.0, 30.0, 40.0, 60.0), None], "a click is no box"
    assert drawn == []


# ---------------------------------------------------------------- drawing


@pytest.mark.parametrize(("across", "down"), [(640, 480), (64, 64), (24, 200), (1, 1)])
def test_a_label_is_drawn_on_pictures_of_any_size(across: int, down: int) -> None:
    picture = np.full((down, across, 3), 70, np.uint8)
    drawn = labelled(picture, "THUMBS_DOWN\n$x", 0.93, 7, (0, 0, across, down), 0.6)
    assert drawn.shape == picture.shape and drawn.dtype == np.uint8 and (drawn != picture).any() and (picture == 70).all()


def test_the_bar_is_as_long_as_the_score() -> None:
    picture = np.full((480, 640, 3), 70, np.uint8)
    lengths = [int((labelled(picture, None, score)[38] > 240).all(-1).sum()) for score in (0.0, 0.25, 0.75)]
    assert lengths[0] <= 3 and lengths[2] == pytest.approx(3 * lengths[1], abs=6) and lengths[1] > 15


def test_the_colour_is_the_labels_and_the_threshold_is_marked() -> None:
    frame = Frame(1, 0.0, np.full((480, 640, 3), 70, np.uint8))

    def drawn(label: int, threshold: float) -> Picture:
        return live._draw(("A", "A"), None, threshold, frame, Shown(label, 0.9, np.zeros(2)))

    assert (drawn(0, 0.5) != drawn(1, 0.5)).any() and (drawn(0, 0.5) != drawn(0, 0.7)).any()


def test_no_label_is_grey() -> None:
    picture = np.full((480, 640, 3), 70, np.uint8)
    nothing, something = labelled(picture, None, 0.4)[2, 2], labelled(picture, "A", 0.4, 1)[2, 2]
    assert int(nothing.max()) - int(nothing.min()) < 40 < int(something.max()) - int(something.min())
