"""What a recipe will do is told before it is done: parameters, counts, and an estimate."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from trained import CHANGES

from zoo.__main__ import run_command


def describe(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run_command("describe", list(words)) == 0
    return capsys.readouterr().out


# ---------------------------------------------------------------- the command


def test_the_model_of_the_simpsons_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two classes have pictures; the others keep their place."""
    for number in range(20):
        folder = tmp_path / "train" / "simpsons_dataset" / ("bart_simpson", "gil")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (number, 0, 0)).save(folder / f"{number}.png")
    told = describe(capsys, "simpsons_mobilenetv2", "data.size=32", "train.batch_size=4", "data.workers=0", f"data.root={tmp_path}")
    assert "model: classification over mobilenetv2_100, 2,277,674 parameters\n" in told
    assert "  backbone: 2,223,872\n  head: 53,802\n" in told
    assert re.search(r"^parts: train 16, val 4; unlabelled 0$", told, re.MULTILINE)
    assert re.search(
        r"^estimate: about .* an epoch, .* in all; [\d.]+ GB beyond what it has now at the peak, for batches of 4 pictures$",
        told,
        re.MULTILINE,
    )


def test_data_alone(capsys: pytest.CaptureFixture[str]) -> None:
    told = describe(capsys, "image_folder", "--data", *CHANGES, "split.val=0.25")
    assert "parts: train 240, val 80; unlabelled 0\n" in told
    assert re.search(r"^class +train +val$", told, re.MULTILINE)
    assert len(re.findall(r"^(circle|crescent|cross|diamond|hexagon|square|star|triangle) +30 +10$", told, re.MULTILINE)) == 8
    assert "sizes (width x height): 297 different" in told and "note: no labelled test part" in told and "estimate: about" in told
    assert "model:" not in told


def test_groups_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    told = describe(capsys, "mpii_activity", "--data", "data.size=32", "backbone.name=test_resnet", "train.batch_size=4")
    assert re.search(r"^groups \(video\): train \d+, val \d+$", told, re.MULTILINE)


def test_wrong_recipes_and_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run_command("describe", ["nosuch"]) == 2
    assert run_command("describe", ["image_folder", "train.epochs=0"]) == 2
    assert run_command("describe", ["image_folder", f"data.root={tmp_path}"]) == 3
    assert "no such recipe" in capsys.readouterr().err
