"""An index finds what a loop finds, keeps any file's name, knows its model, and is refused where it is damaged."""

from __future__ import annotations

import builtins
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from trained import pictures, run

import zoo
from zoo import retrieval
from zoo.__main__ import run_command
from zoo.errors import DataError, RecipeError, ZooError
from zoo.metrics.retrieval import DISTANCES, distances
from zoo.model import Model
from zoo.packing import read_safetensors
from zoo.retrieval import Index, Maker, Neighbour

__all__ = ["pictures", "run"]


@pytest.fixture
def model(run: Path) -> Model:
    return zoo.load(str(run), device="cpu")


@pytest.fixture
def folder(pictures: Path, tmp_path: Path) -> Path:
    """Twelve pictures in two folders, one of them twice."""
    for name in ("star", "cross"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for file in sorted((pictures / name).iterdir())[:6]:
            shutil.copy(file, tmp_path / "pictures" / name / file.name)
    shutil.copy(tmp_path / "pictures/star/star_00.png", tmp_path / "pictures/twin.png")
    return tmp_path / "pictures"


def plain(number: int = 50, width: int = 6) -> Index:
    """An index that needs no model."""
    vectors = torch.randn(number, width, generator=torch.Generator().manual_seed(0))
    spread = torch.diag(torch.arange(1.0, width + 1).double())
    return Index(vectors, spread, [f"{row}.png" for row in range(number)], Maker("x", "0" * 64, "/nowhere"), "/pictures")


# ---------------------------------------------------------------- searching


def test_a_picture_finds_itself_and_its_twin_first(model: Model, folder: Path) -> None:
    index = Index.build(model, folder)
    assert len(index) == len(list(folder.rglob("*.png"))) == 13
    for metric in DISTANCES:
        first, second, third = index.search(folder / "star/star_00.png", 3, metric)
        assert (first.path, second.path) == (folder / "star/star_00.png", folder / "twin.png")
        assert (first.rank, second.rank, third.rank) == (1, 2, 3)
        assert first.distance == second.distance == pytest.approx(0, abs=1e-3)
        assert third.distance > 0.001


@pytest.mark.parametrize("metric", DISTANCES)
def test_one_and_many_equal_a_loop(model: Model, folder: Path, metric: str) -> None:
    (folder / "twin.png").unlink()  # equal ones may change places
    index = Index.build(model, folder, batch_size=5)
    files = sorted(folder.rglob("*.png"))
    vectors = model.embed(files)
    queries = files[::5]
    truth = distances(model.embed(queries), vectors, metric, index.covariance)
    many = index.search(queries, 4, metric)
    for row, query, found in zip(truth, queries, many, strict=True):
        assert [each.distance for each in found] == pytest.approx(row.sort().values[:4].tolist(), rel=1e-3, abs=5e-3)
        assert [each.path for each in found] == [files[place] for place in row.argsort()[:4]]
        one = index.search(Image.open(query), 4, metric)
        assert [each.path for each in one] == [each.path for each in found]
    assert len(index.search(queries[0], 99)) == 12
    assert index.search([], 3) == []


@pytest.mark.parametrize("what", [{"k": 0}, {"k": 2.5}, {"k": True}, {"metric": "cos"}])
def test_impossible_wishes_are_refused(what: dict[str, Any]) -> None:
    (name, value), *_ = what.items()
    with pytest.raises(RecipeError, match=f"{name}={value!r}: expected"):
        plain().search(np.zeros((9, 9), np.uint8), **what)


def test_lists_of_files_are_kept_under_absolute_names(model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(folder)
    index = Index.build(model, ["star/star_01.png", folder / "twin.png"])
    index.save(tmp_path / "some.index")
    monkeypatch.chdir(tmp_path)
    found = Index.load(tmp_path / "some.index").search(folder / "star/star_01.png")
    assert [each.path for each in found] == [folder / "star/star_01.png", folder / "twin.png"]
    refused: tuple[tuple[list[Any], str], ...] = (
        ([], "no pictures to index"),
        (["missing.png"], "missing.png: no such"),
        ([np.zeros(3)], "an index names files"),
    )
    for wrong, message in refused:
        with pytest.raises(DataError, match=message):
            Index.build(model, wrong)


def test_bad_pictures_and_diverged_models_are_named(model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index.build(model, folder)
    monkeypatch.setattr(model, "embed", lambda files, batch_size=32: torch.tensor([[1.0]] * (len(files) - 1) + [[torch.nan]]))
    with pytest.raises(ZooError, match=r"twin\.png: image_folder gives it no finite vector"):
        Index.build(model, folder)
    with pytest.raises(ZooError, match="image_folder gives a query no finite vector"):
        index.search(folder / "twin.png")
    monkeypatch.setattr(model, "embed", lambda files, batch_size=32: torch.ones(len(files), 9000))
    with pytest.raises(ZooError, match="13 vectors of 9,000 numbers: an index holds"):
        Index.build(model, folder)
    monkeypatch.undo()
    (folder / "cut.png").write_bytes((folder / "twin.png").read_bytes()[:500])
    with pytest.raises(DataError, match=r"cut\.png"):
        Index.build(model, folder)


# ---------------------------------------------------------------- the file


def test_an_index_comes_back_as_it_was(model: Model, folder: Path, tmp_path: Path) -> None:
    index, file = Index.build(model, folder), tmp_path / "x.index"
    index.save(file)
    again = Index.load(file)
    assert torch.equal(again.vectors, index.vectors) and torch.equal(again.covariance, index.covariance)
    assert (again.paths, again.maker, again.folder) == (index.paths, index.maker, str(folder))
    assert again.search(folder / "twin.png", 4, "mahalanobis") == index.search(folder / "twin.png", 4, "mahalanobis")
    assert again.maker.recipe == "image_folder" and Path(again.maker.origin) == model.origin
    with pytest.raises(ZooError, match="cannot be written"):
        index.save(tmp_path / "x.index" / "y")


def test_an_index_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.index"
    plain(5).save(file)
    before = file.read_bytes()

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ZooError, match="cannot be written"):
        plain(9).save(file)
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x.index"]


def test_any_name_of_a_file_survives_and_is_shown_safely(
    model: Model, run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["two\nlines.png", os.fsdecode(b"caf\xe9.png"), "\x1b[31mred.png", "a..b.png", "犬.png", "=1+1.png"]
    odd = tmp_path / "odd\n\x1b[31m"
    odd.mkdir()
    for name in names:
        shutil.copy(folder / "twin.png", odd / name)
    assert run_command("index", [str(run), str(odd), "--to", str(tmp_path / "odd.index")]) == 0
    index = Index.load(tmp_path / "odd.index")
    assert sorted(index.paths) == sorted(names)
    found = index.search(folder / "twin.png", 6)
    assert sorted(each.path for each in found) == sorted(odd / name for name in names) and all(each.path.is_file() for each in found)
    capsys.readouterr()
    assert run_command("search", [str(tmp_path / "odd.index"), str(odd / names[0]), "-k", "6", "--to", str(tmp_path / "sheet.png")]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 6 and "\x1b" not in printed.out + printed.err
    assert r"two\nlines.png" in printed.out and r"caf\udce9.png" in printed.out


def test_another_models_index_is_refused(model: Model, folder: Path, run: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.index"
    Index.build(model, folder).save(file)
    assert Index.load(file, model).search(folder / "twin.png", 1)
    with torch.no_grad():
        next(model.task.parameters()).add_(1e-3)
    with pytest.raises(RecipeError, match=r"made by image_folder with weights \w{12}, and .* has weights \w{12}: .* Give the model that"):
        Index.load(file, model)
    tensors = load_file(run / "weights.safetensors")
    save_file({name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}, run / "weights.safetensors")
    index = Index.load(file)
    with pytest.raises(RecipeError, match="distances between them mean nothing"):
        index.search(folder / "twin.png")
    shutil.rmtree(run)
    with pytest.raises(RecipeError, match=r"is no longer there: give it, with `--model RUN`"):
        index.search(folder / "twin.png")


def rewritten(file: Path, tensors: dict[str, Tensor], header: object) -> Path:
    save_file(tensors, file, {retrieval.KEY: header if isinstance(header, str) else json.dumps(header)})
    return file


def parts(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    plain(3).save(file)
    tensors, metadata = read_safetensors(file)
    return tensors, json.loads(metadata[retrieval.KEY])


def names(*given: str) -> Tensor:
    return torch.frombuffer(bytearray(b"\0".join(map(os.fsencode, given))), dtype=torch.uint8)


DAMAGED: dict[str, tuple[Callable[[dict[str, Tensor], dict[str, Any]], object], str]] = {
    "another format": (lambda t, h: h.update(format=2), "format 2, this zoo reads 1"),
    "no maker": (lambda t, h: h.pop("weights_sha256"), "weights_sha256"),
    "a maker of another kind": (lambda t, h: h.update(origin=["/"]), r"origin: \['/'\] is no text"),
    "a folder of another kind": (lambda t, h: h.update(folder=7), "folder: 7 is no text"),
    "no vectors": (lambda t, h: t.pop("vectors"), "'vectors'"),
    "vectors of whole numbers": (lambda t, h: t.update(vectors=torch.zeros(3, 6, dtype=torch.int64)), "numbers of torch.int64"),
    "vectors of one dimension": (lambda t, h: t.update(vectors=torch.zeros(18)), r"vectors of shape \(18,\)"),
    "vectors that are not finite": (lambda t, h: t.update(vectors=torch.full((3, 6), torch.nan)), "not finite"),
    "a covariance of another width": (lambda t, h: t.update(covariance=torch.eye(5).double()), r"covariance of \(5, 5\)"),
    "a covariance that is none": (lambda t, h: t.update(covariance=-torch.eye(6).double()), "cannot be inverted"),
    "too few names": (lambda t, h: t.update(paths=names("a.png", "b.png")), "2 names for 3 vectors"),
    "a name that leaves the folder": (lambda t, h: t.update(paths=names("a.png", "b/../../c.png", "d.png")), r"'b/../../c.png' is no name"),
    "an absolute name in a folder": (lambda t, h: t.update(paths=names("a.png", "/etc/passwd", "d.png")), "'/etc/passwd' is no name"),
    "an empty name": (lambda t, h: t.update(paths=names("a.png", "", "d.png")), "'' is no name"),
    "relative names without a folder": (lambda t, h: h.update(folder=None), "'0.png' is no name"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files_are_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "x.index"
    tensors, header = parts(file)
    damage, message = DAMAGED[kind]
    damage(tensors, header)
    with pytest.raises(ZooError, match=rf"x\.index: no index, or damaged \(.*{message}"):
        Index.load(rewritten(file, tensors, header))


def test_other_files_are_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.index"
    tensors, _ = parts(file)
    for header in ("{" * 10_000, "9" * 5000, "[1]", '"text"', "null", '{"a":' * 10_000):
        with pytest.raises(ZooError, match="make it again with `zoo index RUN FOLDER`"):
            Index.load(rewritten(file, tensors, header))
    with pytest.raises(ZooError, match="safetensors, but no index"):
        Index.load(run / "weights.safetensors")
    for content in (b"", b"\x89PNG not an index at all", (2**60).to_bytes(8, "little") + b"{}"):
        file.write_bytes(content)
        with pytest.raises(ZooError, match="This is no index: make one with"):
            Index.load(file)
    with pytest.raises(ZooError, match="cannot be read"):
        Index.load(tmp_path / "missing.index")
    plain(3).save(file)
    monkeypatch.setattr(retrieval, "MAX_BYTES", 100)
    with pytest.raises(ZooError, match="more than an index has"):
        Index.load(file)


# ---------------------------------------------------------------- many vectors


def test_a_graph_finds_what_a_loop_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("usearch")
    monkeypatch.setattr(retrieval, "EXACT", 1000)
    monkeypatch.setattr(retrieval, "PATIENCE", 0)
    index = plain(1500)
    queries = torch.cat((index.vectors[:5], torch.randn(20, 6, generator=torch.Generator().manual_seed(1))))
    for metric in DISTANCES:
        found, rows = index.nearest(queries, 7, metric)
        monkeypatch.setattr(retrieval, "PATIENCE", 10**9)
        exact, truth = index.nearest(queries, 7, metric)
        monkeypatch.setattr(retrieval, "PATIENCE", 0)
        assert (rows == truth).float().mean() > 0.95 and rows[:5, 0].tolist() == [0, 1, 2, 3, 4]
        assert torch.allclose(found[rows == truth], exact[rows == truth], atol=1e-5)
    assert set(index._graphs) == {"cosine", "euclidean", "mahalanobis"} and all(index._graphs.values())
    assert [part.shape for part in index.nearest(queries, 2000)] == [(25, 1500)] * 2, "where a graph has too few, the loop answers"


def test_a_graph_is_made_only_when_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr(retrieval, "_Graph", lambda vectors, metric, covariance: made.append(len(vectors)))
    monkeypatch.setattr(retrieval, "EXACT", 50)
    monkeypatch.setattr(retrieval, "PATIENCE", 30)
    small, large = plain(50), plain(51)
    for index in (small, large):
        for _ in range(3):
            assert index.nearest(index.vectors[:10], 2)[1][:, 0].tolist() == list(range(10))
    assert made == []
    for _ in range(2):
        assert small.nearest(small.vectors[:1], 2)[1][0, 0] == large.nearest(large.vectors[:1], 2)[1][0, 0] == 0
    assert made == [51], "once"


def test_without_the_library_it_is_said_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    true = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("usearch"):
            raise ImportError(name)
        return true(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(retrieval, "EXACT", 10)
    monkeypatch.setattr(retrieval, "PATIENCE", 0)
    index = plain(50)
    for _ in range(2):
        assert index.nearest(index.vectors[:4], 1)[1][:, 0].tolist() == [0, 1, 2, 3]
    assert capsys.readouterr().err == (
        "50 vectors are compared one by one; so many queries are answered faster after `pip install zoo[search]`\n"
    )


# ---------------------------------------------------------------- the commands


def test_the_commands(run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command("index", [str(run), str(folder)]) == 0
    told = capsys.readouterr()
    assert told.out == "pictures.index\n" and "13 pictures, 96 numbers each" in told.err
    star = str(folder / "star/star_00.png")
    assert run_command("search", ["pictures.index", star, "-k", "3", "--metric", "euclidean", "--to", "sheet.png"]) == 0
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["1", "2", "3"] and [line[2] for line in lines[:2]] == [star, str(folder / "twin.png")]
    found: Sequence[Neighbour] = Index.load("pictures.index").search(star, 3, "euclidean")
    assert [line[1:] for line in lines] == [[f"{each.distance:.6f}", str(each.path)] for each in found]
    assert Image.open("sheet.png").width == 840
    moved = run.rename(run.parent / "moved")
    assert run_command("search", ["pictures.index", star]) == 2
    assert "is no longer there" in capsys.readouterr().err
    assert run_command("search", ["pictures.index", star, "--model", str(moved)]) == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["index", "{run}", "missing"], 3, "missing: not there; expected a folder of pictures"),
        (["index", "{run}", "{star}"], 3, "a file; expected a folder of pictures"),
        (["index", "{run}", "{folder}", "--to", "nowhere/x"], 2, "there is no folder nowhere"),
        (["index", "{run}", "{folder}", "--batch-size", "0"], 2, "batch_size=0: expected a whole number"),
        (["index", "{run}", "{empty}"], 3, "holds no pictures"),
        (["index", "nosuch", "{folder}"], 2, "'nosuch': no such recipe"),
        (["search", "{file}", "missing.png"], 3, "missing.png: not there; expected a picture file"),
        (["search", "{file}", "{folder}"], 3, "a folder; expected a picture file"),
        (["search", "{star}", "{star}"], 1, "This is no index"),
        (["search", "{file}", "{star}", "-k", "0"], 2, "k=0: expected a whole number"),
        (["search", "{file}", "{star}", "--metric", "l2"], 2, "metric='l2': expected one of cosine"),
        (["search", "{file}", "{star}", "--device", "banana"], 2, "device='banana': expected auto"),
        (["search", "{file}", "{star}", "--to", "{star}"], 2, "would be written over"),
        (["search", "{file}", "{star}", "--to", "{twin}"], 2, "would be written over"),
        (["search", "{file}", "{star}", "--to", "{file}"], 2, "would be written over"),
        (["index", "{run}", "{folder}", "--to", "{star}"], 2, "would be written over"),
    ],
)
def test_exit_codes(
    run: Path, model: Model, folder: Path, tmp_path: Path, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    file = tmp_path / "x.index"
    if words[0] == "search":
        Index.build(model, folder).save(file)
    given = {"run": run, "folder": folder, "star": folder / "star/star_00.png", "twin": folder / "twin.png", "file": file}
    name, *rest = [word.format(**given, empty=tmp_path / "empty") for word in words]
    assert run_command(name, rest) == code
    assert message in capsys.readouterr().err
    assert (folder / "twin.png").read_bytes() == (folder / "star/star_00.png").read_bytes()
