"""Whatever is handed over as a picture is predicted as in training, or refused in a sentence; the command writes what it says."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from trained import pictures, run

import zoo
from zoo.__main__ import run_command
from zoo.errors import DataError, RecipeError
from zoo.given import to_pil
from zoo.model import Model, Prediction
from zoo.tasks.task import Task

__all__ = ["pictures", "run"]


@pytest.fixture
def model(run: Path) -> Model:
    return zoo.load(str(run), device="cpu")


@pytest.fixture
def star(pictures: Path) -> Path:
    return pictures / "star" / "star_00.png"


def one(model: Model, picture: Any) -> Prediction:
    found = model.predict(picture)
    assert isinstance(found, Prediction)
    return found


def many(model: Model, pictures: Any, batch_size: int = 32) -> list[Prediction]:
    found = model.predict(pictures, batch_size)
    assert isinstance(found, list)
    return found


def same(first: Prediction, second: Prediction, tolerance: float = 1e-6) -> bool:
    return first.label == second.label and list(first.scores.values()) == pytest.approx(list(second.scores.values()), rel=tolerance)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


# ---------------------------------------------------------------- what comes out


def test_one_picture_gives_a_prediction(model: Model, star: Path) -> None:
    found = one(model, star)
    assert tuple(found.scores) == model.labels == ("circle", "crescent", "cross", "diamond", "hexagon", "square", "star", "triangle")
    assert found.score == max(found.scores.values()) == found.scores[found.label]
    assert sum(found.scores.values()) == pytest.approx(1, abs=1e-5)
    assert found.path == star
    assert one(model, Image.open(star)).path is None


def test_lists_and_folders_keep_their_order(model: Model, pictures: Path) -> None:
    folder = many(model, pictures / "star")
    files = sorted((pictures / "star").iterdir())
    assert [each.path for each in folder] == files
    assert len({each.scores["star"] for each in folder}) > 30, "all alike: order would not show"
    assert all(map(same, many(model, files[::-1]), folder[::-1]))
    assert [each.path for each in many(model, (path for path in files))] == files, "anything that can be gone through is a list"
    assert len(many(model, str(pictures))) == 320, "subfolders belong to a folder"


def test_an_empty_list_is_no_error_but_an_empty_folder_is(model: Model, tmp_path: Path) -> None:
    assert model.predict([]) == []
    assert model.embed([]).shape == (0, model.embed([Image.new("RGB", (40, 40))]).shape[1])
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "._hidden.jpg").write_text("macOS leaves these")
    with pytest.raises(DataError, match="holds no pictures"):
        model.predict(tmp_path)


@pytest.mark.parametrize("batch_size", [1, 7, 40, 1000])
def test_the_batch_size_changes_nothing(model: Model, pictures: Path, batch_size: int) -> None:
    assert all(map(same, many(model, pictures / "cross", batch_size), many(model, pictures / "cross", 13)))
    assert torch.allclose(model.embed(pictures / "cross", batch_size), model.embed(pictures / "cross", 13), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "8", None, True, np.float64(8), np.bool_(True)])
@pytest.mark.parametrize("method", ["predict", "embed"])
def test_impossible_batch_sizes_are_refused(model: Model, star: Path, method: str, batch_size: Any) -> None:
    for given in (star, [star]):
        with pytest.raises(RecipeError, match=re.escape(f"batch_size={batch_size!r}: expected a whole number from 1 on")):
            getattr(model, method)(given, batch_size=batch_size)


def test_predictions_are_those_of_the_validation(model: Model, run: Path, pictures: Path) -> None:
    written = rows(run / "predictions_val.csv")
    found = model.predict([pictures / row["id"] for row in written])
    assert [each.label for each in found] == [row["prediction"] for row in written]
    assert [each.score for each in found] == pytest.approx([float(row["score"]) for row in written], abs=2e-6)
    right = sum(each.label == row["truth"] for each, row in zip(found, written, strict=True))
    assert right / len(found) == pytest.approx(model.metrics["val/accuracy"])


def test_embeddings(model: Model, pictures: Path, star: Path) -> None:
    many = model.embed(pictures / "star")
    assert many.shape == (40, 96) and many.dtype == torch.float32
    assert torch.allclose(model.embed(star), many[0], rtol=1e-5, atol=1e-6)
    assert model.embed([star]).shape == (1, 96)
    probe = torch.nn.Linear(96, 2)
    probe(many).sum().backward()  # what comes out can train what comes after it
    assert probe.weight.grad is not None


def test_the_command_says_what_a_model_without_classes_offers(
    model: Model, star: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Autoencoder(Task):
        def embed(self, image: torch.Tensor) -> torch.Tensor:
            return image.flatten(1)

        def decode(self, code: torch.Tensor) -> torch.Tensor:
            return code

        def reconstruct(self, image: torch.Tensor) -> torch.Tensor:
            return image

    model.task = Autoencoder()
    monkeypatch.setattr("zoo.model.load", lambda what, device: model)
    assert predict("RUN", star) == 2
    offered = "model.embed(), model.reconstruct(), model.decode(), model.interpolate()"
    assert f"image_folder (classification) predicts no classes; it offers {offered}\n" in capsys.readouterr().err


def test_tasks_without_classes_or_embedding_say_so(model: Model, star: Path) -> None:
    model.task = torch.nn.Identity()
    with pytest.raises(RecipeError, match=r"image_folder .classification. predicts no classes"):
        model.predict(star)
    with pytest.raises(RecipeError, match="has no embedding"):
        model.embed(star)


# ---------------------------------------------------------------- what goes in


def array(star: Path) -> Any:
    return np.asarray(Image.open(star).convert("RGB"))


GIVEN: dict[str, Callable[[Path], Any]] = {
    "str": str,
    "pil": Image.open,
    "pil with alpha": lambda star: Image.open(star).convert("RGBA"),
    "uint8 array": array,
    "float array": lambda star: array(star) / 255,
    "float32 array": lambda star: (array(star) / 255).astype(np.float32),
    "array with alpha": lambda star: np.dstack([array(star), np.full(array(star).shape[:2], 255, np.uint8)]),
    "array turned in memory": lambda star: np.asfortranarray(array(star))[::-1][::-1],
    "uint8 tensor": lambda star: torch.from_numpy(array(star).copy()).permute(2, 0, 1),
    "float tensor": lambda star: torch.from_numpy(array(star) / 255).permute(2, 0, 1),
    "tensor with gradient": lambda star: torch.from_numpy(array(star) / 255).permute(2, 0, 1).requires_grad_(),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_the_same_picture_in_any_form(model: Model, star: Path, kind: str) -> None:
    assert np.array_equal(np.asarray(to_pil(GIVEN[kind](star), 3)), array(star)), "to the last bit"
    assert same(one(model, GIVEN[kind](star)), one(model, star))


def test_floats_are_rounded_to_the_nearest_level() -> None:
    """Resizing leaves values such as 1.0000001."""
    levels = np.arange(256, dtype=np.uint8)[None]
    for floats in ((levels / 255).astype(np.float32), levels / 255 * (1 + 1e-7), levels / 255 - 1e-7):
        assert np.array_equal(np.asarray(to_pil(floats, 1)), levels)


def test_batches_are_lists(model: Model, pictures: Path) -> None:
    shape = (100, 90)
    stars = np.stack([np.asarray(Image.open(path).convert("RGB").resize(shape)) for path in sorted((pictures / "star").iterdir())[:3]])
    singly = [one(model, each) for each in stars]
    assert all(map(same, many(model, stars), singly))
    tensors = torch.from_numpy(stars).permute(0, 3, 1, 2)
    assert all(map(same, many(model, tensors), singly))
    assert all(map(same, many(model, list(tensors / 255)), singly))
    assert model.predict(stars[:0]) == []


def test_grey_pictures(model: Model) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (50, 60), np.uint8)
    expected = one(model, np.dstack([grey] * 3))
    forms = [
        grey,
        grey[..., None],
        grey / 255,
        torch.from_numpy(grey),
        torch.from_numpy(grey)[None],
        Image.fromarray(grey),
        Image.fromarray(grey.astype(np.uint16) * 257),
    ]
    assert all(same(one(model, form), expected) for form in forms)
    assert same(one(model, torch.from_numpy(grey / 255).bfloat16()), expected, 0.1)


def test_transparent_is_white_and_exif_is_turned(model: Model, star: Path, tmp_path: Path) -> None:
    clear = np.zeros((50, 60, 4), np.uint8)
    assert same(one(model, clear), one(model, np.full((50, 60, 3), 255, np.uint8)))
    upright = Image.open(star).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me a quarter clockwise"
    lying = tmp_path / "lying.png"
    upright.transpose(Image.Transpose.ROTATE_90).save(lying, exif=exif)
    assert same(one(model, lying), one(model, star))
    assert same(one(model, Image.open(lying)), one(model, star))
    assert not same(one(model, np.asarray(Image.open(lying))), one(model, star)), "an array has no EXIF: the picture is no test"


WRONG: dict[str, tuple[Any, str]] = {
    "vector": (np.zeros(5, np.uint8), r"shape \(5,\): expected an array \(H, W\) or \(H, W, C\)"),
    "channels first": (np.zeros((3, 40, 50), np.uint8), r"shape \(3, 40, 50\).*transpose\(1, 2, 0\)"),
    "channels last": (torch.zeros(40, 50, 3), r"shape \(40, 50, 3\).*permute\(2, 0, 1\)"),
    "two channels": (np.zeros((40, 50, 2), np.uint8), r"1, 3 or 4 channels"),
    "five dimensions": (np.zeros((1, 1, 40, 50, 3), np.uint8), r"1, 40, 50, 3\)"),
    "empty": (np.zeros((0, 50, 3)), r"shape \(0, 50, 3\)"),
    "scalar": (torch.tensor(1.0), r"shape \(\)"),
    "int64": (np.zeros((40, 50, 3), np.int64), r"of int64: expected uint8, or float in \[0, 1\].*astype"),
    "bool": (np.zeros((40, 50), bool), "of bool: expected uint8"),
    "complex": (torch.zeros(3, 40, 50, dtype=torch.complex64), "of complex64: expected uint8"),
    "text": (np.array(["a.png"]), r"shape \(1,\)"),
    "objects": (np.array([[None]]), "of object: expected uint8"),
    "0 to 255": (np.full((40, 50, 3), 200.0), r"from 200 to 200: expected values in \[0, 1\].*divide"),
    "normalised": (torch.randn(3, 40, 50, generator=torch.Generator().manual_seed(0)), "before any normalisation"),
    "nan": (np.full((40, 50), np.nan), "from nan to nan"),
    "empty pil": (Image.new("RGB", (0, 5)), "0x5 pixels is empty"),
    "none": (None, "None .NoneType. is no picture: expected a file's path"),
    "number": (7, "7 .int. is no picture"),
    "bytes": (b"a.png", "bytes. is no picture"),
    "dict": ({"a.png": 1}, "dict. is no picture"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_picture_is_refused(model: Model, kind: str) -> None:
    given, message = WRONG[kind]
    for picture in (given, [given]):
        with pytest.raises(DataError, match=message):
            model.predict(picture)


def test_the_guilty_file_is_named(model: Model, star: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.png"
    cut.write_bytes(star.read_bytes()[:600])
    for given in (cut, [star, cut, star], tmp_path):
        with pytest.raises(DataError, match=r"cut\.png"):
            model.predict(given)
    with pytest.raises(DataError, match=r"cut\.png: broken or truncated"):
        model.predict(Image.open(cut))
    with pytest.raises(DataError, match=r"missing\.png"):
        model.predict(tmp_path / "missing.png")
    with pytest.raises(DataError, match="a folder inside a list"):
        model.predict([star, tmp_path])


# ---------------------------------------------------------------- the command


def predict(*words: object) -> int:
    return run_command("predict", [str(word) for word in words])


def test_the_command_prints(run: Path, star: Path, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(run, star) == 0
    found = one(model, star)
    assert capsys.readouterr().out == f"{found.score:.6f}  {found.label}  {star}\n"


def test_the_command_writes_csv_and_submission(
    run: Path, pictures: Path, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, submission = tmp_path / "all.csv", tmp_path / "out.csv"
    words = (pictures / "star", pictures / "cross" / "cross_00.png", "--csv", table, "--submission", submission, "--batch-size", 5)
    assert predict(run, *words) == 0
    assert capsys.readouterr().out == ""
    found = model.predict([*sorted((pictures / "star").iterdir()), pictures / "cross" / "cross_00.png"])
    assert [(row["path"], row["label"], row["score"]) for row in rows(table)] == [(str(p.path), p.label, f"{p.score:.6f}") for p in found]
    assert [(row["id"], row["label"]) for row in rows(submission)] == sorted((p.path.name, p.label) for p in found if p.path)


def test_odd_file_names(run: Path, star: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No formula for a spreadsheet, no escape for a terminal, and the bytes of a name that is no UTF-8."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    monkeypatch.chdir(folder)
    odd = os.fsdecode(b"caf\xe9.png")
    names = ["=1+1.png", "+2.png", "@3.png", 'a,"b.png', "犬.png", "\x1b[31mred.png", odd]
    for name in names:
        Path(name).write_bytes(star.read_bytes())
    assert predict(run, *names, "--csv", tmp_path / "out.csv") == 0
    written = [row["path"] for row in rows(tmp_path / "out.csv")]
    assert written == ["./=1+1.png", "./+2.png", "./@3.png", *names[3:]]
    assert all(Path(path).is_file() for path in written)
    assert b"caf\xe9.png" in (tmp_path / "out.csv").read_bytes()
    capsys.readouterr()
    assert predict(run, *names) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed and r"\x1b[31mred.png" in printed and "犬.png" in printed and r"caf\udce9.png" in printed
    done = subprocess.run([sys.executable, "-m", "zoo", "predict", str(run), os.fsencode(odd)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["{run}", "missing.png"], 3, "missing.png: no such file or folder"),
        (["{run}", "{empty}"], 3, "holds no pictures"),
        (["nosuch", "{star}"], 2, "'nosuch': no such recipe"),
        (["{empty}", "{star}"], 2, "no run folder"),
        (["{run}", "{star}", "--batch-size", "0"], 2, "batch_size=0: expected a whole number"),
        (["{run}", "{star}", "--device", "banana"], 2, "device='banana': expected auto, cpu, cuda or cuda:N"),
        (["{run}", "{star}", "--csv", "{empty}"], 2, "is a folder; expected a file to write"),
        (["{run}", "{star}", "--csv", "nowhere/x.csv"], 2, "there is no folder nowhere"),
        (["{run}", "{star}", "--submission", "nowhere/x.csv"], 2, "there is no folder nowhere"),
        (["{run}", "{star}", "--csv", "/dev/full"], 1, "/dev/full: cannot be written"),
    ],
)
def test_exit_codes(
    run: Path, star: Path, tmp_path: Path, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert predict(*(word.format(run=run, star=star, empty=tmp_path / "empty") for word in words)) == code
    assert message in capsys.readouterr().err


# ---------------------------------------------------------------- the evaluate command and another split


def test_evaluating_on_the_own_split_gives_the_metrics(run: Path, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("evaluate", [str(run)]) == 0
    done = capsys.readouterr()
    found = {name: float(value) for name, value in map(str.split, done.out.splitlines())}
    assert found == pytest.approx({name: value for name, value in model.metrics.items() if name.startswith("val/")}, rel=1e-5)
    assert "WARNING" not in done.err


def test_evaluating_on_another_split_warns_and_counts(run: Path, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("evaluate", [str(run), "split.seed=1"]) == 0
    errors = capsys.readouterr().err
    assert "WARNING: this is another split than the model was trained on" in errors
    from zoo import build

    recipe = model.recipe.changed(["split.seed=1"])
    val = {record.id for record in build.loaders(build.source(recipe), recipe).parts()["val"]}
    leaked = len(val & set(model.split["train"]))
    assert 0 < leaked < 64
    assert f"{leaked} of 64 pictures in val were trained on" in errors
