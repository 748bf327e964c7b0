"""A whole round on films of drawn hands: record, train, look at the errors, label what is asked for, and train again."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, appears, chromium
from PIL import Image

from zoo.__main__ import run_command
from zoo.datasets.drawn.takes import Shown, Somebody, Take
from zoo.frames.video import film
from zoo.pages.labelling import KEYS
from zoo.run import Run
from zoo.train import train

POSES = {"FIVE": "palm", "FIST": "fist", "THUMBS_UP": "like"}
RARE = "THUMBS_UP"
FRAMES = 4

TEXT = """
question: Which gesture is shown?
data:
  name: recorded
  root: {root}
  size: 48
  workers: 0
  synthetic: never
  duplicates: never
  augment: [flip]
backbone:
  name: test_resnet
  pretrained: false
task: classification
train:
  device: cpu
  epochs: 25
  batch_size: 16
  optimizer: adamw
  lr: 3e-3
  schedule: one_cycle
monitor:
  metric: val/f1_macro
  mode: max
"""


def take(gesture: str, number: int, part: str) -> list[Image.Image]:
    """Frames of somebody who shows a gesture; every take is of another person."""
    dice = random.Random(f"{part} {gesture} {number}")
    shown = Shown(POSES[gesture], dice.random() < 0.5, dice.random() < 0.5, 0.5, 0.6, 0.3)
    made = Take((96, 96), Somebody.chosen(dice), [shown], f"{part} {gesture} {number}")
    return [made.frame(frame)[0] for frame in range(FRAMES)]


def record(folder: Path, gesture: str, number: int, part: str) -> None:
    """A take as a film, recorded with the command."""
    video = folder / f"{part}_{gesture}_{number}.avi"
    with film(video, 10.0) as add:
        for place, picture in enumerate(take(gesture, number, part)):
            add(np.asarray(picture), place / 10)
    root = folder / "recorded"
    assert run_command("capture", ["--label", gesture, "--video", str(video), "--root", str(root), "--part", part]) == 0


def recall(run: Run, label: str) -> float:
    """Of the validated pictures of a class, the share that was known."""
    with (run.folder / "predictions_val.csv").open(newline="", encoding="utf-8") as file:
        said = [row["prediction"] for row in csv.DictReader(file) if row["truth"] == label]
    return said.count(label) / len(said)


def labelled(mined: Path, truth: dict[str, str], labels: list[str]) -> Path:
    """Label the page's pictures by their keys, in the order in which it asks."""
    with (mined / "ranked.csv").open(newline="", encoding="utf-8") as file:
        asked = [Path(row["path"]).name for row in csv.DictReader(file)]
    with chromium(mined) as browser:
        browser.open(mined / "label.html")
        browser.press(*(KEYS[labels.index(truth[name])] for name in asked), "Enter")
        return appears(mined / "labels.json")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_round_makes_the_mined_class_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    for gesture in POSES:
        for part, takes in (("train", 1 if gesture == RARE else 20), ("val", 6)):
            for number in range(takes):
                record(tmp_path, gesture, number, part)
    recipe = tmp_path / "hands.yaml"
    recipe.write_text(TEXT.format(root=tmp_path / "recorded"), encoding="utf-8")
    first = train(recipe)

    assert run_command("mine", [str(first.folder), "--out", str(tmp_path / "errors")]) == 0
    advice = json.loads((tmp_path / "errors" / "collect_next.json").read_text(encoding="utf-8"))
    assert RARE in json.dumps(advice[0] if isinstance(advice, list) else advice)

    # Enough to learn from: of 12 each, some seeds did not gain.
    pool, truth = tmp_path / "pool", {}
    pool.mkdir()
    for gesture in POSES:
        for number in range(24):
            name = f"{len(truth):03}.png"
            take(gesture, number, "pool")[0].save(pool / name)
            truth[name] = gesture
    mined = tmp_path / "mined"
    assert run_command("mine", [str(first.folder), "--pool", str(pool), "--count", "48", "--out", str(mined)]) == 0
    file = labelled(mined, truth, list(first.spec.labels))
    kept = {Path(one["path"]).name: one["label"] for one in json.loads(file.read_text(encoding="utf-8"))["pictures"]}
    assert len(kept) == 48 and all(truth[name] == label for name, label in kept.items())

    second = train(recipe, [f"data.labelled={file}"])
    before, after = recall(first, RARE), recall(second, RARE)
    print(f"recall of {RARE}: {before:.2f} before, {after:.2f} after; asked for: {sorted(kept.values())}")
    assert after > before + 0.2
