"""Measuring leaves no trace, keeps what is asked for, and the results of a run say what was measured."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small import Memory, same, task
from torch import Tensor

from zoo import evaluate as command
from zoo.errors import RecipeError
from zoo.evaluate import evaluate
from zoo.recipe import Recipe
from zoo.run import Run, weights_sha256
from zoo.tasks.classification import Classification

CPU = torch.device("cpu")


def test_it_leaves_no_trace() -> None:
    class Dice(Classification):
        def predict(self, batch: Any) -> dict[str, Tensor]:
            assert not self.training and torch.is_inference_mode_enabled()
            self.drawn = torch.rand(3)
            return super().predict(batch)

    net = task()
    net.__class__ = Dice
    net.train()
    torch.manual_seed(7)
    random.seed(7)
    before = torch.default_generator.get_state(), random.getstate(), {key: value.clone() for key, value in net.state_dict().items()}
    first = evaluate(net, Memory().evaluation("val"), CPU).metrics
    drawn = net.drawn
    assert torch.equal(torch.default_generator.get_state(), before[0])
    assert random.getstate() == before[1]
    assert same(dict(net.state_dict()), before[2])
    assert net.training
    torch.manual_seed(8)
    assert evaluate(net, Memory().evaluation("val"), CPU).metrics == first
    assert torch.equal(net.drawn, drawn), "measured under a seed of its own"
    net.eval()
    evaluate(net, Memory().evaluation("val"), CPU)
    assert not net.training


def test_modes_and_seed_come_back_after_an_error() -> None:
    net = task().train()
    state = torch.default_generator.get_state()

    def broken() -> Any:
        yield Memory().batch(torch.arange(2))
        raise OSError

    with pytest.raises(OSError):
        evaluate(net, broken(), CPU)
    assert net.training and torch.equal(torch.default_generator.get_state(), state)


def test_a_frozen_backbone_stays_frozen() -> None:
    net = task(frozen_epochs=-1)
    net.start_epoch(0)
    net.train()
    evaluate(net, Memory().evaluation("val"), CPU)
    assert net.training and not net.backbone.training


@pytest.mark.parametrize("size", [1, 3, 20, 64])
def test_the_batch_size_does_not_matter(size: int) -> None:
    data = Memory()
    net = task()
    expected = evaluate(net, data.evaluation("val"), CPU, keep=True)
    batches = [data.batch(rows) for rows in torch.arange(20).split(size)]
    found = evaluate(net, batches, CPU, keep=True)
    assert found.metrics == pytest.approx(expected.metrics, rel=1e-5)
    assert np.array_equal(found.details["confusion"], expected.details["confusion"])
    assert torch.allclose(found.predictions["probabilities"], expected.predictions["probabilities"], atol=1e-6)
    assert torch.equal(found.truth["label"], data.label) and found.truth["path"] == [f"{n}.png" for n in range(20)]


def test_nothing_is_kept_unless_asked() -> None:
    found = evaluate(task(), Memory().evaluation("val"), CPU)
    assert found.truth == {} and found.predictions == {}
    kept = evaluate(task(), Memory().evaluation("val"), CPU, keep=True)
    assert "image" not in kept.truth and not kept.predictions["probabilities"].requires_grad


def test_large_predictions_are_not_kept() -> None:
    class Pictures(Classification):
        def predict(self, batch: Any) -> dict[str, Tensor]:
            return super().predict(batch) | {"mask": torch.zeros(len(batch["image"]), 80, 80)}

    net = task()
    net.__class__ = Pictures
    data = Memory(samples=200)
    found = evaluate(net, data.evaluation("val"), CPU, keep=True)
    assert len(found.predictions["probabilities"]) == 200
    assert "mask" not in found.predictions and "image" not in found.truth


def test_no_batches_at_all() -> None:
    with pytest.warns(UserWarning, match="compute"):
        found = evaluate(task(), [], CPU, keep=True)
    assert all(np.isnan(value) for value in found.metrics.values())


# ---------------------------------------------------------------- a whole small run, its results, and measuring it again

# Not 16 pixels: of a 3x3 convolution with stride 2 over one pixel, oneDNN (torch 2.15, bf16 on a CPU) leaves the gradients of the taps that
# lie outside uninitialised, and now and then one of them is NaN.
TEXT = """
question: Red or blue?
data:
  name: image_folder
  root: {root}
  size: 32
  workers: 0
  synthetic: never
backbone:
  name: se_resnet18
  pretrained: false
task: classification
train:
  device: cpu
  epochs: 2
  batch_size: 4
  ema: 0.5
  precision: bf16
monitor:
  metric: val/loss
  mode: min
"""


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red and blue pictures, with a labelled test part and an awkward class name."""
    root = tmp_path_factory.mktemp("colours")
    dice = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 3), ("test", 2)):
        for label, channel in (("<b>red</b>", 0), ("blue, dark", 2)):
            folder = root / part / label.replace("/", "-")
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = dice.integers(0, 90, (20, 24, 3), dtype=np.uint8)
                pixels[..., channel] += 120
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def finished(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    from zoo.train import train

    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("finished")
        patch.setenv("ZOO_HOME", str(folder))
        (folder / "colours.yaml").write_text(TEXT.format(root=colours))
        return train(folder / "colours.yaml")


def test_results(finished: Run) -> None:
    metrics, rows = finished.metrics, finished.history()
    assert finished.finished and finished.spec.size == (32, 32)
    best = min(rows, key=lambda row: row["val/loss"])
    assert best["epoch"] == 2, "the first would be no test"
    assert metrics["best_epoch"] == best["epoch"] and metrics["epochs"] == 2
    for name in ("val/accuracy", "val/loss", "val/f1_macro"):
        assert metrics[name] == best[name], "validation and results are measured in one way, to the bit"
    assert metrics["synthetic"] is False and "test/accuracy" in metrics
    assert metrics["seconds"] == pytest.approx(sum(row["seconds"] for row in rows), abs=0.1)
    names = {path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*") if path.is_file()}
    assert names >= {
        *("recipe.yaml", "spec.json", "split.json", "history.jsonl", "history.csv", "metrics.json", "environment.json"),
        *("weights.safetensors", "report.html", "predictions_val.csv", "predictions_test.csv"),
        *("figures/index.json", "tables/index.json", "figures/confusion.png", "figures/curves.png", "tables/per_class.csv"),
    }
    assert not [name for name in names if name.endswith((".pt", ".pth", ".pkl", ".partial"))]


def test_the_digest_is_that_of_the_weights(finished: Run) -> None:
    from safetensors.torch import load_file

    assert weights_sha256(load_file(finished.folder / "weights.safetensors")) == finished.metrics["weights_sha256"]


def test_history_as_csv(finished: Run) -> None:
    with (finished.folder / "history.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    rows = finished.history()
    assert [row["epoch"] for row in found] == ["1", "2"] and list(found[0]) == list(rows[0])
    assert float(found[1]["val/loss"]) == rows[1]["val/loss"]


def test_the_split_is_written_by_ids(finished: Run) -> None:
    split = finished.split
    assert split["sizes"] == {"train": 12, "val": 6, "test": 4}
    assert len(split["train"]) == 12 and not set(split["train"]) & set(split["val"])
    assert split["fingerprint"]


def test_predictions_as_csv(finished: Run) -> None:
    with (finished.folder / "predictions_test.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and {row["truth"] for row in rows} == {"<b>red<-b>", "blue, dark"}
    hits = sum(row["truth"] == row["prediction"] for row in rows)
    assert hits / 4 == finished.metrics["test/accuracy"]


@pytest.mark.parametrize("part", ["val", "test"])
def test_the_command_measures_the_same_again(finished: Run, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(finished.folder), "--part", part]) == 0
    printed = capsys.readouterr()
    found = dict(line.split() for line in printed.out.splitlines())
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {name: value for name, value in finished.metrics.items() if name.startswith(part)}, rel=1e-5
    )
    assert "pictures of real image_folder" in printed.err and "WARNING" not in printed.err


def test_the_command_refuses_other_classes(finished: Run, colours: Path, tmp_path: Path) -> None:
    root = tmp_path / "others"
    for label in ("green", "blue, dark"):
        (root / label).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (20, 20)).save(root / label / f"{number}.png")
    with pytest.raises(RecipeError, match=r"other classes than the model: missing \['<b>red<-b>'\], new \['green'\]"):
        command.main([str(finished.folder), f"data.root={root}"])


def test_the_command_warns_of_another_split(finished: Run, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mixed").symlink_to(colours / "train")
    command.main([str(finished.folder), f"data.root={tmp_path / 'mixed'}", "split.seed=3"])
    assert "WARNING: this is another split than the model was trained on" in capsys.readouterr().err


def test_the_command_names_the_parts_there_are(finished: Run, colours: Path, tmp_path: Path) -> None:
    (tmp_path / "mixed").symlink_to(colours / "train")
    with pytest.raises(RecipeError, match=r"--part test: this data has train, val"):
        command.main([str(finished.folder), "--part", "test", f"data.root={tmp_path / 'mixed'}"])


def test_a_finished_run_resumed_writes_the_same_results(finished: Run) -> None:
    from zoo.train import train

    def told() -> str:
        return json.dumps({name: value for name, value in Run.read(finished.folder).metrics.items() if name != "milliseconds"})

    before = told()
    history = (finished.folder / "history.jsonl").read_bytes()
    train("", resume=finished.folder)
    assert told() == before
    assert (finished.folder / "history.jsonl").read_bytes() == history
    assert isinstance(Run.read(finished.folder).recipe, Recipe)
