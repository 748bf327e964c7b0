"""The doctor: what is wrong is found, shown and put into a quarantine that training honours."""

from __future__ import annotations

import csv
import html
import re
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo import build
from zoo.curation import diagnosis
from zoo.curation.diagnosis import Copy, Diagnosis
from zoo.datasets import duplicates
from zoo.datasets.image_folder import ImageFolder
from zoo.datasets.loaders import Loaders
from zoo.datasets.quality import Outlier
from zoo.datasets.source import Record
from zoo.doctor import doctor, main
from zoo.errors import RecipeError
from zoo.metrics.confident import Issue
from zoo.pages import diagnosis_page
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
    assert rows[2].label == "a" and rows[2].suggested == "b"
    assert diagnosis._groups(found).tolist() == [0, 0, 0, 0], "copies of copies are one group"
    found.trusted = False
    assert len(diagnosis.quarantine(found)) == 2, "what judged the labels was not trained"


def found_in(root: Path) -> tuple[diagnosis.Diagnosis, ImageFolder]:
    """Six good records, and what might have been found of them."""
    source = ImageFolder(root)
    records = [record for record in source.records["train"] if "bad" not in record.id]
    chosen = [*records[:5], records[-1]]
    found = diagnosis.Diagnosis(chosen, ["train"] * 4 + ["val"] * 2, source.labels, {}, [], trusted=True)
    found.copies = [diagnosis.Copy(0, 5, 0.0), diagnosis.Copy(1, 2, 0.0125), diagnosis.Copy(2, 3, 0.02)]
    found.issues = [Issue(3, 1, 0.9, True), Issue(4, 1, 0.5, False), Issue(1, 1, 0.2, False), Issue(2, 1, 0.1, False)]
    found.outliers = [Outlier(1, "small", -5.0), Outlier(1, "dark", -4.25), Outlier(2, "dark", -4.0)]
    found.counts = {"train": (16, 0), "val": (1, 1)}
    return found, source


def shown(root: Path, synthetic: bool = False) -> list[str]:
    """The texts of the page, one for each element that has one."""
    found, source = found_in(root)
    text = diagnosis_page.page(found, source, diagnosis.quarantine(found), ["train", "a b"], "name", synthetic)
    body = text[text.index("<body>") :].replace("<wbr>", "")
    return [html.unescape(part) for part in re.split(r"(?:<[^>]*>)+", body) if part]


def test_the_page_counts_what_was_found(root: Path) -> None:
    texts = shown(root)
    assert "2 of 6 pictures should be looked at before training" in texts and "train 'a b'" in texts
    for row in (
        ("bad files", "0", "0"),
        ("copies in two parts", "1", "1"),
        ("copies in one part", "2", "0"),
        ("likely wrong labels", "1", "1"),
        ("doubtful labels", "3", "0"),
        ("pictures that stand out", "2", "0"),
    ):
        place = texts.index(row[0])
        assert tuple(texts[place : place + 3]) == row
    assert "Looked at: 4 in train, 2 in val." in " ".join(texts)
    assert "The largest class has 1.0 times the training pictures of the smallest. Without any: a." in texts
    assert not any("synthetic" in text for text in texts) and any("synthetic" in text for text in shown(root, synthetic=True))


def test_the_galleries_show_each_find_with_what_is_done(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = shown(root)
    pair = texts[texts.index("Copies in two parts: 1") :][2:6]
    assert pair == ["<b> and a", "quarantine", "train: train/<b>/0.png", "val: train/a/7.png"]
    assert texts[texts.index("Copies in one part: 2") :][2:4] == ["<b>", "train: train/<b>/1.png"], "alike, and it stays"
    labels = texts[texts.index("Labels that may be wrong: 4") :]
    assert labels[2:6] == ["<b>", " → a?", "quarantine", "train: train/<b>/3.png"] and labels.count("quarantine") == 1
    assert [text for text in texts if text.startswith("z-score")] == ["z-score -4.2", "z-score -4.0", "z-score -5.0"]
    assert texts.index("Dark pictures: 2") < texts.index("Small pictures: 1") and "Bright pictures" not in "".join(texts)
    monkeypatch.setattr(diagnosis_page, "MOST", 2)
    texts = shown(root)
    assert sum(text.startswith("margin") for text in texts) == 2 and any("The first 2 of 4 are shown." in text for text in texts)
    found, source = found_in(root)
    assert diagnosis_page._pairs("Copies", "", found.copies, found, source, set()).count("<figure") == 2


@pytest.mark.parametrize(("largest", "said"), [(30, False), (31, True)])
def test_balancing_is_advised_where_classes_differ_much(root: Path, largest: int, said: bool) -> None:
    found, _ = found_in(root)
    found.counts = {"train": (largest, 10)}
    assert ("data.balance=sampler" in diagnosis_page._balance(found)) == said


def test_copies_are_sorted_and_equal_files_are_at_distance_0(root: Path) -> None:
    picture(root / "train" / "a" / "near.jpg", 81, quality=60)  # of train/a/1.png
    Image.new("RGB", (48, 48)).save(root / "train" / "a" / "plain.png")  # of which thumbnails say nothing
    (root / "train" / "a" / "same.png").write_bytes((root / "train" / "a" / "plain.png").read_bytes())
    recipe = Recipe.read("image_folder", [*small(root), "data.bad_files=skip", "data.duplicates=never"])
    data = build.loaders(build.source(recipe), recipe)
    parts = [name for name, records in data.parts().items() for _ in records]
    records = [record for part in data.parts().values() for record in part]
    copies = [
        (records[first].path.name, records[second].path.name, far) for first, second, far in diagnosis._copies(data, records, parts, None)
    ]
    assert ("plain.png", "same.png", 0.0) in copies and {"near.jpg", "copy.jpg"} <= {name for copy in copies for name in copy[:2]}
    assert [far for *_, far in copies] == sorted(far for *_, far in copies)


def test_pictures_of_one_group_are_known_as_such_when_copies_are_looked_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe.read("image_folder", [*small(root), "data.bad_files=skip", "data.duplicates=never"])
    data = build.loaders(build.source(recipe), recipe)
    first, second = data.parts()["train"][:2]
    given: list[object] = []
    monkeypatch.setattr(duplicates, "near", lambda thumbnails, parts, groups, vectors: given.append(groups) or [])
    for data.source.groups in ("video", None):
        diagnosis._copies(data, [replace(first, group="one video"), second], ["train", "train"], None)
    assert given == [["one video", second.id]] * 2 + [None] * 2


def test_the_doctor_looks_at_what_training_leaves_out(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "q.csv").write_text("id\ntrain/a/0.png\n")
    opened, believed = list[str](), list[object]()
    seen: list[tuple[diagnosis.Diagnosis, Recipe]] = []
    diagnose = diagnosis.diagnose

    def watched(data: Loaders, recipe: Recipe) -> diagnosis.Diagnosis:
        seen.append((diagnose(data, recipe), recipe))
        return seen[-1][0]

    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(diagnosis, "_vectors", lambda data, recipe, notes: (torch.rand(sum(map(len, data.parts().values())), 4), False))
    monkeypatch.setattr(diagnosis, "_copies", lambda data, records, parts, vectors: believed.append(vectors) or [])
    monkeypatch.setattr(diagnosis, "diagnose", watched)
    changes = [f"data.quarantine={tmp_path}/q.csv", "data.bad_files=error", "data.duplicates=always"]
    assert main(["image_folder", *small(root), *changes, "--out", str(tmp_path / "out"), "--open"]) == 0
    ((found, recipe),) = seen
    assert "train/a/0.png" in {record.id for record in found.records} and [record.id for record in found.bad_records] == ["train/a/bad.png"]
    assert recipe.data.duplicates == "never" and opened == [(tmp_path / "out" / "doctor.html").as_uri()]
    assert believed == [None], "vectors of thumbnails find no copies"


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
