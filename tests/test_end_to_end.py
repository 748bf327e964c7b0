"""The way of a user: train, pack, load the file in a new process, predict a folder, submit with the data set's own ids."""

from __future__ import annotations

import csv
from pathlib import Path

import warm

import zoo
from zoo import build
from zoo.recipe import Recipe
from zoo.train import train

SMALL = ["data.synthetic=always", "data.size=48", "data.workers=0", "train.batch_size=16", "train.max_steps=8", "backbone.pretrained=false"]
SMALL += ["split.val=0.05"]


def test_mpii_from_training_to_submission(tmp_path: Path) -> None:
    run = train("mpii_activity", SMALL)
    packed = tmp_path / "shared.zoo"
    done = warm.run("-m", "zoo", "pack", run.folder, "--to", packed)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(packed)

    source = build.source(Recipe.read("mpii_activity", SMALL))
    pictures = source.records["unlabelled"][0].path.parent
    done = warm.run("-m", "zoo", "predict", packed, pictures, "--submission", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "target_feature"]
    assert [int(row["id"]) for row in rows] == sorted(int(path.stem) for path in pictures.iterdir())
    model = zoo.load(str(run.folder))
    said = {
        prediction.path.stem: source.labels.index(prediction.label)
        for prediction in model.predict([*pictures.iterdir()])
        if prediction.path
    }
    assert {row["id"]: int(row["target_feature"]) for row in rows} == said
    assert len(source.labels) == 20 and source.labels[18] == "music playing"  # the ids of the data set, empty classes and all


def test_simpsons_submission_has_names(tmp_path: Path) -> None:
    run = train("simpsons_mobilenetv2", SMALL)
    source = build.source(Recipe.read("simpsons_mobilenetv2", SMALL))
    pictures = source.records["unlabelled"][0].path.parent
    done = warm.run("-m", "zoo", "predict", run.folder, pictures, "--submission", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["Id", "Expected"]
    assert {row["Id"] for row in rows} == {path.name for path in pictures.iterdir()}
    assert {row["Expected"] for row in rows} <= set(source.labels)


def test_a_report_is_found_by_name() -> None:
    run = train("image_folder", SMALL)
    done = warm.run("-m", "zoo", "report", "image_folder")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(run.folder / "report.html")
