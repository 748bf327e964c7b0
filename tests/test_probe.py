"""The command `zoo probe`: a run's own numbers and report, a backbone alone, and what people are told when it cannot be done."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from trained import rewrite, run

from zoo import probe as command
from zoo import probing
from zoo.__main__ import run_command
from zoo.datasets.source import Record
from zoo.errors import RecipeError, ZooError
from zoo.facts import of_run
from zoo.metrics import knn, linear_probe
from zoo.model import load
from zoo.recipe import Recipe
from zoo.run import Run
from zoo.spec import DataSpec
from zoo.tasks.task import Task

__all__ = ["run"]
SMALL = ["data.size=32", "data.workers=0", "train.device=cpu"]
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search of a few steps."""
    monkeypatch.setattr(linear_probe, "CS", (0.01, 1.0))
    monkeypatch.setattr(linear_probe, "BUDGET", 1e6)


def printed(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, float], str]:
    said = capsys.readouterr()
    return {line.split()[0]: float(line.split()[1]) for line in said.out.splitlines()}, said.err


def folder_of(root: Path, counts: dict[str, int]) -> Path:
    """A folder of noisy pictures for each class."""
    dice = np.random.default_rng(0)
    for place, (label, count) in enumerate(counts.items()):
        (root / label).mkdir(parents=True)
        for number in range(count):
            pixels = dice.integers(0, 120, (32, 32, 3), dtype=np.uint8)
            pixels[..., place % 3] += 100
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    return root


# ---------------------------------------------------------------- a run


def test_a_run_keeps_its_probes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, file = Run.read(run).metrics, run / "metrics.json"
    age = file.stat().st_mtime_ns
    assert run_command("probe", [str(run)]) == 0
    found, told = printed(capsys)
    after = Run.read(run).metrics
    assert {name: after[name] for name in found} == pytest.approx(found, rel=1e-5)
    assert after == before | {name: after[name] for name in found}, "nothing else changed"
    assert {"val/knn_accuracy", "val/knn_10_f1_macro", "val/linear_probe_accuracy", "val/linear_probe_f1_macro"} <= set(found)
    assert file.stat().st_mtime_ns == age, "it is no newer run for that"
    assert f"written into {run}" in told and "SYNTHETIC" in told
    assert of_run(Run.read(run)).metrics == after and load(run, device="cpu").metrics == after
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Probes of the embedding" in page and "val/linear_probe_accuracy" in page


def test_probes_are_replaced_and_other_tables_stay(run: Path) -> None:
    earlier = ("val/knn_7_accuracy", "other/knn_accuracy", "other/linear_probe_f1_macro")
    rewrite(run / "metrics.json", lambda metrics: metrics | dict.fromkeys(earlier, 0.5) | {"val/knnish": 1.0})
    tables = json.loads((run / "tables" / "index.json").read_text())
    for _ in range(2):
        assert run_command("probe", [str(run)]) == 0
    found = json.loads((run / "tables" / "index.json").read_text())
    assert found[:-1] == tables and found[-1]["file"] == "probes.csv"
    metrics = Run.read(run).metrics
    assert not set(earlier) & set(metrics) and metrics["val/knnish"] == 1.0
    with (run / "tables" / "probes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[-1]["probe"].startswith("logistic regression") and rows[-1]["setting"].startswith("C ")
    assert float(rows[-1]["val accuracy"]) == metrics["val/linear_probe_accuracy"]


def test_the_vectors_are_those_of_the_model(run: Path) -> None:
    from zoo import build

    model = load(run, device="cpu")
    task: Any = model.task
    data = build.loaders(build.source(model.recipe), model.recipe)
    found = probing.embedded(task.embed, data, "val", CPU)
    records = data.parts()["val"]
    assert np.allclose(found.vectors, model.embed([record.path for record in records]).numpy(), atol=1e-5)
    assert found.labels.tolist() == [record.label for record in records] and len(set(found.groups.tolist())) == len(records)


@pytest.mark.parametrize(
    ("change", "reason"), [("data.size=16", "data.size=16 (was 32)"), ("split.seed=1", "split.seed=1 (was 0)"), ("seed=0", "")]
)
def test_other_numbers_than_the_runs_own_are_printed_only(run: Path, change: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "metrics.json").read_bytes()
    assert run_command("probe", [str(run), change]) == 0
    found, told = printed(capsys)
    assert found and ((run / "metrics.json").read_bytes() == before) == bool(reason)
    assert reason in told and ("printed only" in told) == bool(reason)
    assert ("WARNING: this is another split" in told) == change.startswith("split") == ("were trained on" in told)


def test_a_run_whose_pictures_are_divided_anew_is_printed_only(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(run / "split.json", lambda split: split | {"fingerprint": "0" * 64})
    assert run_command("probe", [str(run)]) == 0
    assert "printed only: the run keeps the numbers of its own data; here the pictures are divided in another way" in printed(capsys)[1]


def test_weights_of_one_epoch_and_files_from_elsewhere_are_no_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_at = run.rename(run.with_name("a@1"))
    found, _ = command._loaded(str(with_at), "cpu")
    assert found is not None and found.folder == with_at
    asked: list[str] = []
    monkeypatch.setattr("zoo.model.load", lambda what, device: asked.append(what))
    for what in ("image_folder@2", "https://there/a.zoo"):
        assert command._loaded(what, "cpu") == (None, None)
    assert asked == ["image_folder@2", "https://there/a.zoo"]


def test_a_packed_file_is_printed_only(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("pack", [str(run), "--to", str(tmp_path / "a.zoo")]) == 0
    before = (tmp_path / "a.zoo").read_bytes()
    capsys.readouterr()
    assert run_command("probe", [str(tmp_path / "a.zoo"), "--csv", str(tmp_path / "a.csv")]) == 0
    found, told = printed(capsys)
    assert "printed only" in told and (tmp_path / "a.zoo").read_bytes() == before
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = {row["probe"]: row for row in csv.DictReader(file)}
    assert float(rows["linear_probe"]["accuracy"]) == pytest.approx(found["val/linear_probe_accuracy"], abs=1e-5)
    assert rows["knn"]["data"] == "synthetic" and rows["knn"]["weights"] == "trained"


def test_a_run_whose_folder_leads_elsewhere_is_not_written(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "tables").rename(tmp_path / "tables")
    (run / "tables").symlink_to(tmp_path / "tables")
    before = (run / "metrics.json").read_bytes(), sorted(path.name for path in (tmp_path / "tables").iterdir())
    assert run_command("probe", [str(run)]) == 2
    assert "a link in a run" in capsys.readouterr().err
    assert ((run / "metrics.json").read_bytes(), sorted(path.name for path in (tmp_path / "tables").iterdir())) == before


# ---------------------------------------------------------------- a backbone


def test_a_random_backbone_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path / "few", {"blues": 10, "greens": 20})
    words = ["test_resnet", "--data", "image_folder", *SMALL, f"data.root={root}", "backbone.pretrained=false"]
    words += ["--csv", str(tmp_path / "a.csv")]
    assert run_command("probe", words) == 0
    said = capsys.readouterr()
    assert "WARNING: RANDOM NETWORK: test_resnet has random weights" in said.err
    assert all(line.endswith("(random network)") for line in said.out.splitlines()) and "val/knn_10_accuracy" in said.out
    with (tmp_path / "a.csv").open(newline="") as file:
        assert {(row["weights"], row["data"]) for row in csv.DictReader(file)} == {("random network", "real")}
    assert run_command("probe", words) == 0
    assert capsys.readouterr().out == said.out, "its weights are the seed's"


def test_a_pretrained_backbone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from zoo import build

    plain = build.backbone

    def named(recipe: Any, *arguments: Any) -> Any:
        assert recipe.backbone.pretrained == "torchvision" and recipe.backbone.name == "test_resnet"
        built = plain(recipe.changed(["backbone.pretrained=false"]), *arguments)
        built.weights = "torchvision weights x.pth"
        return built

    def watched(embed: Any, *given: Any) -> Any:
        assert not embed.__self__.training, "batch statistics are the weights' own"
        return probe(embed, *given)

    probe = probing.probe
    monkeypatch.setattr(probing, "probe", watched)
    monkeypatch.setattr(build, "backbone", named)
    root = folder_of(tmp_path / "few", {"blues": 10, "greens": 20})
    words = ["test_resnet", "--data", "image_folder", *SMALL, f"data.root={root}", "backbone.pretrained=torchvision"]
    words += ["--csv", str(tmp_path / "a.csv")]
    assert run_command("probe", words) == 0
    said = capsys.readouterr()
    assert "RANDOM" not in said.err and "random" not in said.out
    assert "torchvision weights x.pth" in (tmp_path / "a.csv").read_text()


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["resnet18"], "'resnet18' is a backbone and no run: say on which data, such as --data image_folder"),
        (["resnet81", "--data", "image_folder"], "'resnet81': no such backbone (did you mean"),
        (["resnet18", "--data", "image_masks", *SMALL], "data 'image_masks' has masks, and probes need a class for each picture"),
        (["resnet18", "--data", "image_folder", "--csv", "nowhere/a.csv"], "--csv nowhere/a.csv: there is no folder nowhere"),
        (["resnet18", "--data", "image_folder", "--csv", "."], "--csv .: is a folder"),
        (["resnet18", "--data", "nothing"], "nothing: no such recipe"),
    ],
)
def test_refusals(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("probe", words) == 2
    assert reason in capsys.readouterr().err


def test_a_run_or_a_file_of_a_backbones_name_comes_first(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet18").write_bytes(b"packed")
    (home / "runs" / "resnet34").mkdir(parents=True)
    for name in ("resnet18", "resnet34"):
        command._refuse_backbone(name)
    with pytest.raises(RecipeError, match="'resnet50' is a backbone"):
        command._refuse_backbone("resnet50")


def test_random_weights_are_the_seeds() -> None:
    def weights(seed: int) -> torch.Tensor:
        changes = ["backbone.name=test_resnet", "backbone.pretrained=false", f"seed={seed}"]
        data: Any = SimpleNamespace(spec=DataSpec(3, (32, 32), ("a", "b"), (1, 1), ()))
        return next(command.built(Recipe.read("image_folder", changes), data).parameters())

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


def test_weights_are_preferred_where_the_recipe_has_no_backbone() -> None:
    plain = Recipe.read("image_folder", ["backbone.pretrained=torchvision"])
    for recipe, pretrained in ((plain, "torchvision"), (replace(plain, backbone=None), "prefer")):
        backbone = command.with_backbone(recipe, "resnet34").backbone
        assert backbone is not None and (backbone.name, backbone.pretrained) == ("resnet34", pretrained)


def test_one_class_in_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path / "train", {"reds": 4}).parent
    folder_of(tmp_path / "val", {"greens": 2, "reds": 2})
    words = ["test_resnet", "--data", "image_folder", *SMALL, f"data.root={root}", "backbone.pretrained=false"]
    assert run_command("probe", words) == 3
    assert "all 4 pictures in train are of one class, 'reds'" in capsys.readouterr().err


def test_few_pictures_leave_large_k_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path / "few", {"blues": 10, "greens": 10})
    words = ["test_resnet", "--data", "image_folder", *SMALL, f"data.root={root}", "backbone.pretrained=false"]
    assert run_command("probe", words) == 0
    found, told = printed(capsys)
    assert "kNN with k 20, 100, 200 left out: train has 16 pictures" in told
    assert "probed on real image_folder: 16 in train, 4 in val" in told
    assert "probing: kNN, k chosen in train: k " in told and "probing: logistic regression: C " in told
    assert {name for name in found if name.endswith("accuracy")} == {
        *("val/knn_accuracy", "val/knn_1_accuracy", "val/knn_5_accuracy", "val/knn_10_accuracy", "val/linear_probe_accuracy")
    }


def test_a_model_without_an_embedding(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model = load(run, device="cpu")
    model.task = Task()
    monkeypatch.setattr(command, "_loaded", lambda what, device: (None, model))
    assert run_command("probe", [str(run)]) == 2
    assert "image_folder (classification) has no embedding" in capsys.readouterr().err


# ---------------------------------------------------------------- by hand


class Few:
    """What probing asks of `Loaders`: pictures of one pixel that is their class, in groups of two."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.split = {
            part: [Record(Path(f"{row}.png"), f"{row}", row % 2, f"video {row // 2}") for row in range(count)]
            for part, count in counts.items()
        }
        self.spec = SimpleNamespace(truth="label", labels=("dark", "light"))

    def parts(self) -> dict[str, list[Record]]:
        return self.split

    def evaluation(self, part: str) -> list[dict[str, Any]]:
        labels = torch.tensor([record.label for record in self.split[part]])
        rows = torch.arange(len(labels)).flip(0).split(4)
        return [{"image": (255 * labels[each]).to(torch.uint8)[:, None, None, None], "index": each} for each in rows]


def embed(image: torch.Tensor) -> torch.Tensor:
    return torch.cat([image.flatten(1), 1 - image.flatten(1)], 1)


def test_groups_reach_both_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    plain, fit = knn.best_k, linear_probe.fit
    monkeypatch.setattr(knn, "best_k", lambda *given: seen.append(given[2].tolist()) or plain(*given))
    monkeypatch.setattr(linear_probe, "fit", lambda *given: seen.append(given[2].tolist()) or fit(*given))
    data: Any = Few({"train": 12, "val": 6, "test": 4})
    found, _ = probing.probe(embed, data, CPU)
    assert seen == [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]] * 2
    metrics = probing.metrics(found)
    assert metrics["val/knn_1_accuracy"] == metrics["test/linear_probe_f1_macro"] == 1.0
    assert probing.table(found).header == ["probe", "setting", "val accuracy", "val macro F1", "test accuracy", "test macro F1"]


def test_the_k_that_was_chosen_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn, "best_k", lambda *given: 5)
    data: Any = Few({"train": 12, "val": 6})
    found, notes = probing.probe(embed, data, CPU)
    assert [(one.name, one.setting) for one in found[:4]] == [("knn", "k 5"), ("knn_1", "k 1"), ("knn_5", "k 5"), ("knn_10", "k 10")]
    assert not any("not searched" in note or "learnt from" in note for note in notes)


def test_of_one_group_nothing_is_chosen() -> None:
    data: Any = Few({"train": 2, "val": 6})
    found, notes = probing.probe(embed, data, CPU)
    assert "knn" not in [one.name for one in found]
    assert "C and l1_ratio were not searched: train has too few pictures or groups to hold any out" in notes


def test_cells_are_no_formulas(tmp_path: Path) -> None:
    found = probing.Found("knn", "kNN", "k 5", {"val": {"accuracy": 0.5, "f1_macro": 0.25}})
    command._write_csv(tmp_path / "a.csv", [found], ["=1+1", "trained", "r", "real"])
    with (tmp_path / "a.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert not row["what"].startswith("=") and row["what"].endswith("=1+1")
    assert (row["setting"], row["accuracy"], row["f1_macro"]) == ("k 5", "0.500000", "0.250000")


def test_vectors_that_are_no_numbers() -> None:
    data: Any = Few({"train": 12, "val": 6})
    with pytest.raises(ZooError, match=r"train: 6 of 12 pictures have a vector with NaN or infinity, the first is 0\.png"):
        probing.probe(lambda image: torch.cat([image.flatten(1).log(), image.flatten(1)], 1), data, CPU)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "MOST_BYTES", 18 * 2 * 4)
    data: Any = Few({"train": 12, "val": 6})
    probing.probe(embed, data, CPU)
    monkeypatch.setattr(probing, "MOST_BYTES", 18 * 2 * 4 - 1)
    with pytest.raises(ZooError, match="18 vectors of 2 numbers take"):
        probing.probe(embed, data, CPU)


def test_a_bounded_fit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_probe, "FITTED", 8)
    data: Any = Few({"train": 12, "val": 6})
    found, notes = probing.probe(embed, data, CPU)
    assert "the logistic regression learnt from 8 of 12 pictures in train, drawn evenly" in notes
    assert "The logistic regression learnt from 8 of 12" in probing.table(found, notes).caption
