"""What a training found, as it is written: which parts are drawn, and networks that are not worth it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from small import Memory, recipe, task
from trained import CHANGES

import zoo
from zoo import results
from zoo.__main__ import run_command
from zoo.errors import DivergedError, RecipeError
from zoo.paths import runs
from zoo.tasks.classification import Classification
from zoo.tasks.task import Drawing, Examples
from zoo.train import train


def refuse(net: Classification, **metrics: float) -> None:
    data: Any = Memory()
    results.refuse_diverged(net, data, recipe(), {f"val/{name}": value for name, value in metrics.items()})


def test_each_part_is_drawn_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[str] = []

    def figures(net: Classification, examples: Examples) -> dict[str, Drawing]:
        parts.append(examples.part)
        return {}

    monkeypatch.setattr(results, "overview", lambda data: {})
    monkeypatch.setattr(Classification, "figures", figures)
    run = train("image_folder", [*CHANGES, "split.test=0.2", "train.max_steps=1", "data.repeat=2"])
    assert parts == ["val", "test"]
    assert run.split["epoch_counts"] == [2 * count for count in run.spec.counts]
    found = run.metrics
    assert 0 < found["train_seconds"] <= found["seconds"] and found["macs"] > found["parameters"] > 0 and found["milliseconds"] > 0
    kept = {name: found.get(name) for name in ("peak_megabytes", "macs")}
    (run.folder / "metrics.json").write_text(json.dumps(found | {"peak_megabytes": 77.7}))
    again = train("image_folder", resume=run.folder).metrics  # there is nothing left to train, so nothing to measure anew
    assert (again["peak_megabytes"], again["macs"]) == (77.7, kept["macs"])


def test_a_network_that_the_last_step_spoilt_is_no_finished_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Its weights are finite and what it says is not, which still has an accuracy."""
    words = ["image_folder", *CHANGES, "train.max_steps=1", "train.optimizer=sgd", "train.lr=1e20"]
    assert run_command("train", words) == 4
    printed = capsys.readouterr()
    assert "zoo train: val/loss: not a finite number" in printed.err and "(train.lr=1e+19)" in printed.err and not printed.out
    (folder,) = (runs() / "image_folder").iterdir()
    assert (folder / "history.jsonl").is_file() and not list(folder.glob("*.safetensors")) and not (folder / "metrics.json").exists()
    with pytest.raises(RecipeError, match="image_folder"):
        zoo.load("image_folder")


def test_a_weight_that_is_not_finite_counts_by_itself() -> None:
    net = task()
    with torch.no_grad():
        dict(net.named_parameters())["backbone.net.0.bias"][2] = torch.inf
    with pytest.raises(DivergedError, match=r"^backbone.net.0.bias: not a finite number .*train.lr=0.005\) or gradient clipping"):
        refuse(net, accuracy=0.5, loss=1.0)


def test_nothing_to_measure_is_no_divergence(capsys: pytest.CaptureFixture[str]) -> None:
    refuse(task(), accuracy=0.5, loss=math.nan)
    refuse(task(), accuracy=0.5, loss=math.inf)
    assert not capsys.readouterr().err
    refuse(task(), accuracy=math.nan, loss=math.nan)
    said = "WARNING: val/accuracy is not a number: val has nothing to measure by it, so the first epoch was kept\n"
    assert capsys.readouterr().err == said
