"""A trained segmentation as its users meet it: masks of the picture's own size, files of masks, results and a report."""

from __future__ import annotations

import csv
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo import build, packing
from zoo.__main__ import run_command
from zoo.errors import DataError, RecipeError
from zoo.model import Mask, Model
from zoo.paths import data
from zoo.predict import main
from zoo.recipe import Recipe
from zoo.run import Run, weights_sha256
from zoo.tasks.task import Segments
from zoo.train import train

CHANGES = ["data.synthetic=always", "data.size=32", "data.workers=0", "backbone={name: unet, pretrained: false, width: 2}"]
STEPS = ["task.decoder=none", "train.device=cpu", "train.max_steps=30", "train.batch_size=8", "split.val=0.2", "split.test=0.2"]
STEPS += ["task.loss=tversky", "train.lr=0.02"]  # so that its masks hold both classes: one of nothing but ground lies everywhere right


@cache
def _trained(home: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_HOME", str(home))
        return train("image_masks", [*CHANGES, *STEPS]).folder


@pytest.fixture
def run(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in this test's own $ZOO_HOME."""
    to = home / "runs" / "image_masks" / "20250101-000000"
    shutil.copytree(_trained(tmp_path_factory.getbasetemp() / "segmented"), to)
    return to


@pytest.fixture
def pictures() -> list[Path]:
    """Three of the drawn pictures."""
    (root,) = (data() / ".synthetic").glob("image_masks-*-0")
    return sorted((root / "images").iterdir())[:3]


@pytest.fixture
def model(run: Path) -> Model:
    return zoo.load(str(run), device="cpu")


def one(model: Model, picture: Path | Image.Image) -> Mask:
    found = model.segment(picture)
    assert isinstance(found, Mask)
    return found


def test_masks_are_of_the_pictures_own_size(model: Model, pictures: list[Path]) -> None:
    found = model.segment(pictures, batch_size=2)
    for mask, file in zip(found, pictures, strict=True):
        with Image.open(file) as picture:
            assert mask.classes.shape == (picture.height, picture.width)
        assert mask.classes.dtype == np.uint8 and set(np.unique(mask.classes)) == {0, 1}
        assert mask.path == file and list(mask.shares) == list(model.labels)
        assert sum(mask.shares.values()) == pytest.approx(1)
        assert mask.shares[model.labels[1]] == pytest.approx(float((mask.classes == 1).mean()))
    assert np.array_equal(one(model, pictures[0]).classes, found[0].classes)


def test_what_the_preprocessing_cut_off_is_no_class(run: Path, pictures: list[Path]) -> None:
    model = zoo.load(str(run), device="cpu")
    model.preprocess.fit = "crop"
    wide = Image.open(pictures[0]).resize((120, 60))
    found = one(model, wide)
    assert found.classes.shape == (60, 120)
    assert (found.classes[:, :20] == 255).all() and (found.classes[25:35, 55:65] != 255).all()
    assert sum(found.shares.values()) == pytest.approx(1)


def test_of_a_picture_cut_to_less_than_a_pixel_nothing_is_said(run: Path) -> None:
    model = zoo.load(str(run), device="cpu")
    model.preprocess.fit = "crop"
    found = one(model, Image.new("RGB", (1, 200)))
    assert (found.classes == 255).all()
    assert set(found.shares.values()) == {0.0}


def test_the_mask_is_the_networks(model: Model, pictures: list[Path]) -> None:
    """Enlarged, but not moved: cell by cell it is what the network says of the small picture."""
    with Image.open(pictures[0]) as opened:
        square = opened.convert("RGB").resize((64, 64))
    assert isinstance(model.task, Segments)
    with torch.inference_mode():
        said = model.task.segment(model.preprocess(square)[None].float() / 255)[0]
    assert np.array_equal(one(model, square).classes, np.kron(said.numpy(), np.ones((2, 2), np.uint8)))


def test_other_questions_are_answered_with_what_there_is(model: Model, pictures: list[Path]) -> None:
    with pytest.raises(RecipeError, match=r"image_masks .segmentation. predicts no classes; it offers model.segment\(\)$"):
        model.predict(pictures[0])
    with pytest.raises(RecipeError, match="has no embedding"):
        model.embed(pictures[0])


def test_a_packed_model_segments_alike(run: Path, model: Model, pictures: list[Path], tmp_path: Path) -> None:
    pack = packing.pack(Run.read(run), tmp_path / "masks.zoo")
    assert np.array_equal(one(zoo.load(str(pack), device="cpu"), pictures[0]).classes, one(model, pictures[0]).classes)


def test_the_command_writes_masks_and_shares(run: Path, model: Model, pictures: list[Path], tmp_path: Path) -> None:
    masks, table = tmp_path / "masks", tmp_path / "shares.csv"
    words = [str(run), *map(str, pictures), "--masks", str(masks), "--csv", str(table)]
    assert run_command("predict", words) == 0
    expected = one(model, pictures[1])
    with Image.open(masks / f"{pictures[1].stem}.png") as written:
        assert written.mode == "P" and np.array_equal(np.asarray(written), expected.classes)
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(path) for path in pictures]
    assert float(rows[1][model.labels[1]]) == pytest.approx(expected.shares[model.labels[1]], abs=1e-6)


def test_without_files_the_command_prints_shares(run: Path, pictures: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("predict", [str(run), str(pictures[0])]) == 0
    said = capsys.readouterr().out
    assert said.startswith("background 0.") and said.endswith(f"{pictures[0]}\n")


def test_pictures_of_one_name_are_refused_before_the_work(run: Path, pictures: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other" / pictures[0].name
    other.parent.mkdir()
    shutil.copy(pictures[0], other)
    with pytest.raises(DataError, match=rf"would both become {pictures[0].stem}.png; predict their folders one by one"):
        main([str(run), str(pictures[0]), str(other), "--masks", str(tmp_path / "masks")])
    assert not (tmp_path / "masks").exists()


def test_no_mask_is_written_over_a_picture(run: Path, pictures: list[Path], tmp_path: Path) -> None:
    with Image.open(pictures[0]) as opened:
        opened.save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(DataError, match=r"the mask of .*a\.png would be written over a picture; choose another folder"):
        main([str(run), str(tmp_path), "--masks", str(tmp_path)])
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize(("folder", "reason"), [("no/where", "there is no folder .*no"), ("file", "is a file")])
def test_a_folder_that_cannot_be_is_refused_before_the_work(folder: str, reason: str, pictures: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match=rf"{reason}; expected a folder"):
        main(["no such run", str(pictures[0]), "--masks", str(tmp_path / folder)])


def test_a_segmentation_writes_no_submission(run: Path, pictures: list[Path], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="take --masks FOLDER or --csv FILE"):
        main([str(run), str(pictures[0]), "--submission", str(tmp_path / "s.csv")])


def test_results_say_each_picture_and_the_worst(run: Path) -> None:
    folder = Run.read(run).folder
    with (folder / "predictions_test.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    metrics = Run.read(run).metrics
    assert {"id", "losses", "iou", "dice", "iou_thresholded"} <= set(rows[0])
    assert np.mean([float(row["iou"]) for row in rows]) == pytest.approx(metrics["test/iou"], abs=1e-5)
    assert metrics["parameters"] == sum(weight.numel() for weight in zoo.load(str(run)).task.parameters())
    names = {path.name for path in (folder / "figures").iterdir()}
    assert {"worst.png", "worst_test.png", "threshold.png", "samples.png"} <= names and "classes.png" not in names
    assert "Worst masks (test)" in (folder / "report.html").read_text(encoding="utf-8")


def test_equal_seeds_give_equal_digests(run: Path, home: Path) -> None:
    recipe = Recipe.read("image_masks", [*CHANGES, *STEPS, "train.engine=loop"])
    with Run.open(recipe) as again:
        loaders = build.loaders(build.source(recipe), recipe)
        task = build.task(recipe, loaders.spec)
        build.engine(recipe).fit(task, loaders, again)
    assert weights_sha256(task.state_dict()) == Run.read(run).metrics["weights_sha256"]
