"""The doctor: what is wrong is found, shown and put into a quarantine that training honours."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo import build, diagnosis
from zoo.datasets import duplicates
from zoo.datasets.image_folder import ImageFolder
from zoo.datasets.source import Record
from zoo.diagnosis import Copy, Diagnosis
from zoo.doctor import doctor, main
from zoo.errors import RecipeError
from zoo.metrics.confident import Issue
from zoo.recipe import Recipe


def picture(path: Path, seed: int, **options: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8))
    coarse.resize((48, 48), Image.Resampling.BICUBIC).save(path, **options)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for part, count in (("train", 8), ("val", 4)):
        for place, label in enumerate(("a", "<b>")):
            for number in range(count):
                picture(tmp_path / "set" / part / label / f"{number}.png", 100 * place + 10 * count + number)
    picture(tmp_path / "set" / "val" / "a" / "copy.jpg", 81, quality=60)  # of train/a/1.png
    (tmp_path / "set" / "train" / "a" / "bad.png").write_bytes(b"no picture")
    return tmp_path / "set"


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backbone whose weights stand for trained ones: no weights are fetched in a test."""

    class Pixels(torch.nn.Module):
        weights = "pixels"

        def vector(self, image: torch.Tensor) -> torch.Tensor:
            return image[:, :, ::4, ::4].flatten(1)

    monkeypatch.setattr(build, "backbone", lambda *given: Pixels())


def small(root: Path) -> list[str]:
    return [f"data.root={root}", "data.size=16", "data.workers=0", "train.device=cpu", "backbone.pretrained=false"]


@pytest.mark.usefixtures("untrained")
def test_what_is_wrong_is_found_and_training_leaves_it_out(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image_folder", *small(root), "--out", str(tmp_path / "out")]) == 0
    page = Path(capsys.readouterr().out.splitlines()[-1])
    with (tmp_path / "out" / "quarantine.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert rows["train/a/bad.png"]["reason"] == "bad file"
    assert rows["train/a/1.png"]["reason"] == "near copy of val's val/a/copy.jpg" and rows["train/a/1.png"]["part"] == "train"
    assert "val/a/copy.jpg" not in rows
    text = page.read_text(encoding="utf-8")
    assert "<b>0.png" not in text and "&lt;b&gt;" in text and f"data.quarantine={tmp_path}/out/quarantine.csv" in text
    assert "Bad files: 1" in text and "Copies in two parts: 1" in text and "http://" not in text and "https://" not in text
    recipe = Recipe.read("image_folder", [*small(root), f"data.quarantine={tmp_path}/out/quarantine.csv"])
    data = build.loaders(build.source(recipe), recipe)
    assert not {record.id for part in data.parts().values() for record in part} & set(rows)


def test_without_trained_weights_doubts_are_only_shown(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "FALLBACK", "mobilenetv2_100")
    monkeypatch.setattr("zoo.probe.with_backbone", lambda recipe, name: recipe.changed(["backbone.pretrained=false"]))
    found, page = doctor("image_folder", small(root), tmp_path / "out")
    assert not found.trusted and any("no trained weights could be had" in note for note in found.notes)
    assert not any(row.reason == "likely wrong label" for row in diagnosis.quarantine(found))
    assert "no trained weights could be had" in page.read_text(encoding="utf-8")


def test_pictures_without_a_class_are_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    for number in range(12):
        picture(tmp_path / "files" / f"{number}.png", number)
    recipe = tmp_path / "r.yaml"
    text = "question: Q\ndata: {name: image_files, size: 16, workers: 0}\ntask: autoencoder\n"
    recipe.write_text(f"{text}backbone: {{name: resnet18, pretrained: false}}\n")
    found, page = doctor(recipe, [f"data.root={tmp_path / 'files'}", "train.device=cpu"], tmp_path / "out")
    assert found.notes == ["labels and classes were not checked: these pictures have no class each"]
    assert "Nothing in 12 pictures" in page.read_text(encoding="utf-8")


def test_one_row_a_record_and_only_what_is_likely(root: Path) -> None:
    records = ImageFolder(root).records["train"][:4]
    found = diagnosis.Diagnosis(records, ["train", "val", "test", "train"], ("a", "b"), {}, [])
    found.copies = [diagnosis.Copy(0, 1, 0.0), diagnosis.Copy(1, 2, 0.01), diagnosis.Copy(0, 3, 0.0)]
    found.issues, found.trusted = [Issue(0, 1, 0.9, True), Issue(2, 1, 0.5, True), Issue(3, 1, 0.1, False)], True
    rows = diagnosis.quarantine(found)
    assert [(row.id, row.reason.split(" of ")[0]) for row in rows] == [
        (records[0].id, "copy"),
        (records[1].id, "near copy"),
        (records[2].id, "likely wrong label"),
    ]
    assert diagnosis._groups(found).tolist() == [0, 0, 0, 0], "copies of copies are one group"


def test_frames_of_one_video_are_no_copies_unless_their_files_are_equal_or_the_parts_differ() -> None:
    groups = ("a", "a", "a", "b", None, None)
    records = [Record(Path(f"{number}.png"), f"{number}", 0, group) for number, group in enumerate(groups)]
    parts = ["train", "train", "val", "train", "train", "train"]
    copies = [Copy(0, 1, 0.01), Copy(0, 1, 0.0), Copy(0, 2, 0.01), Copy(0, 3, 0.01), Copy(4, 5, 0.01)]
    found = Diagnosis(records, parts, ("x",), {}, [], copies)
    assert found.within() == [copies[1], copies[3], copies[4]] and found.across() == [copies[2]] and found.frames() == 1


@pytest.mark.usefixtures("untrained")
def test_a_judge_that_knows_few_labels_puts_none_aside(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(agreeing: int) -> Callable[..., np.ndarray]:
        def out(vectors: object, labels: np.ndarray, *rest: object) -> np.ndarray:
            said = np.where(np.arange(len(labels)) < agreeing, labels, 1 - labels)
            return np.eye(2)[said] * 0.8 + 0.1

        return out

    for agreeing, trusted in ((18, True), (17, False)):  # of 25, the limit being 17.5
        monkeypatch.setattr("zoo.metrics.confident.held_out", held(agreeing))
        found, page = doctor("image_folder", small(root), tmp_path / f"{agreeing}")
        assert ("It knows too few labels itself" in page.read_text(encoding="utf-8")) != trusted
        assert len(found.records) == 25 and len(found.issues) == 25 - agreeing and found.trusted == trusted
        assert any("tells only 68 % of the labels" in note for note in found.notes) != trusted
        assert any(row.reason == "likely wrong label" for row in diagnosis.quarantine(found)) == trusted
        assert any(row.reason.startswith("near copy") for row in diagnosis.quarantine(found)), "these are found by other means"


def test_an_embedding_finds_copies_that_thumbnails_do_not(tmp_path: Path) -> None:
    """Two thumbnails that differ much: believed where their vectors are each other's nearest by far, and not where they are merely near."""
    dice = torch.Generator().manual_seed(0)
    thumbnails = torch.randint(0, 255, (20, 3, 8, 8), generator=dice, dtype=torch.uint8).float()
    thumbnails = torch.nn.functional.interpolate(thumbnails, (32, 32), mode="bicubic").clamp(0, 255).to(torch.uint8)
    vectors = torch.randn(20, 64, generator=dice)
    vectors[7] = vectors[3] + 0.1 * torch.randn(64, generator=dice)
    assert duplicates.near(thumbnails) == []
    assert [pair[:2] for pair in duplicates.near(thumbnails, vectors=vectors)] == [(3, 7)]
    assert duplicates.near(thumbnails, parts=[0] * 20, vectors=vectors) == []
    vectors[11] = vectors[3] + 0.1 * torch.randn(64, generator=dice)  # a third one as near: nothing tells them apart
    assert duplicates.near(thumbnails, vectors=vectors) == []


def test_a_folder_that_cannot_be_made_is_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match="cannot be made"):
        main(["image_folder", *small(root), "--out", str(tmp_path / "file" / "in")])
