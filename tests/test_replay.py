"""What made a training diverge is found from its folder, which stays as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from trained import CHANGES

from zoo import registry
from zoo.__main__ import run_command
from zoo.backbones.timm import TimmBackbone
from zoo.errors import DivergedError
from zoo.replay import Layers, replay
from zoo.run import Run
from zoo.tasks.classification import Classification
from zoo.train import train

SMALL = [*CHANGES, "train.epochs=2", "train.batch_size=32", "data.augment=[]", "train.engine=loop"]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def diverging(home: Path, *changes: str) -> Path:
    with pytest.raises(DivergedError, match=r"Try .*; `python -m zoo.replay .*` finds the pictures and the layer"):
        train("image_folder", [*SMALL, *changes])
    (folder,) = (home / "runs" / "image_folder").iterdir()
    return folder


@pytest.mark.parametrize("bad", [3, 11])
def test_a_layer_that_breaks(bad: int, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In the first epoch, before there is a checkpoint, and in the second. What comes after the backbone is the head's dropout."""
    calls = 0
    vector = TimmBackbone.vector

    def breaking(self: Any, image: Tensor) -> Tensor:
        nonlocal calls
        calls += self.training
        found = vector(self, image)
        return found * torch.nan if self.training and calls == bad else found

    monkeypatch.setattr(TimmBackbone, "vector", breaking)
    monkeypatch.setattr("zoo.estimate.estimate", lambda *arguments: "not asked")
    folder = diverging(home)
    before = files(folder)
    newest = Run.read(folder).newest_checkpoint() or 0
    calls = newest
    assert run_command("replay", [str(folder)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert re.match(rf"train/loss: not a finite number at step {bad} \(epoch {1 + bad // 8}, batch {(bad - 1) % 8 + 1}\)\.", said[0])
    assert said[1] == "first in the output of head.0 (Dropout)"
    assert said[2] == "pictures of the batch (32):"
    assert len(said) == 35
    assert all(Path(line.strip()).is_file() for line in said[3:])
    assert files(folder) == before, "the run stays as it is"
    assert (newest > 0) == (bad == 11)


def test_a_rate_that_is_too_high(home: Path) -> None:
    said = replay(Run.read(diverging(home, "train.lr=1e30", "train.optimizer=sgd")))
    assert re.search(r"not a finite number at step \d+", said)
    assert re.search(r"first in (the output of|the weight) \S+", said)


def test_nothing_to_find(home: Path) -> None:
    run = train("image_folder", [*SMALL, "train.max_steps=2"])
    assert "every loss was finite to the end" in replay(run)


def test_weights_are_told_from_outputs() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    layers = Layers(net)
    layers.begin()
    net(torch.tensor([[1.0, float("inf")]]))
    assert layers.culprit() == "the output of 0 (Linear)"
    layers.begin()
    net(torch.ones(1, 2))
    assert layers.culprit() == "the loss: all layers were finite"
    with torch.no_grad():
        net[2].weight.fill_(torch.inf)
    layers.end()
    assert layers.culprit() == "the weight 2.weight: the gradients of the step before made it so"
    assert registry.known("tasks", "classification")
    assert Classification.main == "accuracy"
