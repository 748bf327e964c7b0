"""What a recipe will do is told before it is done: parameters, counts, and an estimate that leaves no trace and is about right."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from small import Convolution, Memory, recipe, same, spec
from torch import nn
from trained import CHANGES

from zoo import build
from zoo.__main__ import run_command
from zoo.datasets.loaders import Loaders
from zoo.errors import DataError
from zoo.estimate import Estimate, estimate
from zoo.recipe import Recipe
from zoo.tasks.classification import Classification


def describe(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run_command("describe", list(words)) == 0
    return capsys.readouterr().out


@pytest.fixture
def loaders() -> Loaders:
    made = Recipe.read("image_folder", CHANGES)
    return build.loaders(build.source(made), made)


# ---------------------------------------------------------------- the command


def test_the_model_of_the_simpsons_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two classes have pictures; the others keep their place."""
    for number in range(20):
        folder = tmp_path / "train" / "simpsons_dataset" / ("bart_simpson", "gil")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (number, 0, 0)).save(folder / f"{number}.png")
    told = describe(capsys, "simpsons_mobilenetv2", "data.size=32", "train.batch_size=4", "data.workers=0", f"data.root={tmp_path}")
    assert "model: classification over mobilenetv2_100, 2,277,674 parameters\n" in told
    assert "  backbone: 2,223,872\n  head: 53,802\n" in told
    assert re.search(r"^parts: train 16, val 4; unlabelled 0$", told, re.MULTILINE)
    assert re.search(r"^estimate: about .* an epoch, .* in all; [\d.]+ GB for training", told, re.MULTILINE)


def test_data_alone(capsys: pytest.CaptureFixture[str]) -> None:
    told = describe(capsys, "image_folder", "--data", *CHANGES, "split.val=0.25")
    assert "parts: train 240, val 80; unlabelled 0\n" in told
    assert re.search(r"^class +train +val$", told, re.MULTILINE)
    assert len(re.findall(r"^(circle|crescent|cross|diamond|hexagon|square|star|triangle) +30 +10$", told, re.MULTILINE)) == 8
    assert "sizes (width x height): 297 different" in told and "note: no labelled test part" in told and "estimate: about" in told
    assert "model:" not in told


def test_groups_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    told = describe(capsys, "mpii_activity", "--data", "data.size=32", "backbone.name=test_resnet", "train.batch_size=4")
    assert re.search(r"^groups \(video\): train \d+, val \d+$", told, re.MULTILINE)


def test_wrong_recipes_and_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run_command("describe", ["nosuch"]) == 2
    assert run_command("describe", ["image_folder", "train.epochs=0"]) == 2
    assert run_command("describe", ["image_folder", f"data.root={tmp_path}"]) == 3
    assert "no such recipe" in capsys.readouterr().err


# ---------------------------------------------------------------- the estimate


def test_an_estimate_leaves_no_trace(loaders: Loaders) -> None:
    made = Recipe.read("image_folder", [*CHANGES, "task.mixup=0.2", "task.frozen_epochs=1"])
    task = build.task(made, loaders.spec, trained=True)
    before = {name: value.clone() for name, value in task.state_dict().items()}
    random = torch.get_rng_state()
    estimate(task, loaders, made)
    assert torch.equal(random, torch.get_rng_state())
    assert same(before, task.state_dict()), "batch statistics count too"
    assert all(weight.grad is None and weight.requires_grad for weight in task.parameters())
    assert task.training


class Kept(Memory):
    """`Memory` with what an estimate asks of `Loaders`; its pictures are read as slowly as wished."""

    def __init__(self, samples: int = 20, batch_size: int = 4, workers: int = 0, delay: float = 0.0) -> None:
        super().__init__(samples, batch_size)
        self.workers, self.delay = workers, delay

    def __getitem__(self, row: int) -> dict[str, Any]:
        time.sleep(self.delay)
        return {"image": self.image[row], "label": int(self.label[row])}

    def __len__(self) -> int:
        return len(self.label)

    def pictures(self, part: str) -> Any:
        return self

    def parts(self) -> dict[str, Any]:
        return {"train": range(len(self)), "val": range(len(self) // 2)}


def estimated(data: Kept, *changes: str, task: nn.Module | None = None) -> Estimate:
    net: Any = task or Classification(spec(), Convolution(norm=False))
    kept: Any = data
    return estimate(net, kept, recipe(*changes))


WEIGHTS = (3 * 9 * 6 + 6) + (6 * 3 + 3)  # a convolution to 6 maps, a linear head of 3 classes


def test_activations_by_hand() -> None:
    """The convolution keeps its input, ReLU its output, and the head and the loss a handful of numbers."""
    a_picture = 3 * 8 * 8 + 6 * 8 * 8 + 6 + 3
    found = estimated(Kept(batch_size=4)).activation_bytes
    assert found == pytest.approx(4 * 4 * a_picture, rel=0.01)
    assert estimated(Kept(batch_size=8)).activation_bytes == 2 * found


@pytest.mark.parametrize(
    ("changes", "copies"),
    [
        (["train.optimizer={name: sgd, momentum: 0.0}"], 2),
        (["train.optimizer=sgd"], 3),
        (["train.optimizer=adamw"], 4),
        (["train.optimizer=rmsprop"], 3),
        (["train.optimizer={name: rmsprop, momentum: 0.5}"], 4),
        (["train.optimizer=adam", "train.ema=0.9"], 5),
    ],
)
def test_weights_gradients_and_what_the_optimiser_keeps(changes: list[str], copies: int) -> None:
    assert estimated(Kept(), *changes).state_bytes == 4 * WEIGHTS * copies


def test_half_precision_keeps_less() -> None:
    assert estimated(Kept(), "train.precision=bf16").activation_bytes < 0.8 * estimated(Kept()).activation_bytes


def test_reading_counts_unless_others_do_it_meanwhile() -> None:
    alone = estimated(Kept(delay=0.01)).epoch_seconds
    assert 0.3 < alone < 0.9, "20 pictures to train on and 10 to judge, 0.01 s each"
    shared = estimated(Kept(delay=0.01, workers=2)).epoch_seconds
    assert shared == pytest.approx(alone / 2, rel=0.4)


def test_all_epochs_or_as_many_steps_as_wished() -> None:
    found = estimated(Kept(delay=0.001), "train.epochs=6")
    assert found.seconds == pytest.approx(6 * found.epoch_seconds)
    found = estimated(Kept(delay=0.001), "train.max_steps=10")
    assert found.seconds == pytest.approx(2 * found.epoch_seconds), "an epoch has five batches"


def test_a_frozen_backbone_keeps_nothing() -> None:
    def activations(frozen: int) -> int:
        task = Classification(spec(), Convolution(norm=False), frozen_epochs=frozen)
        return estimated(Kept(), "train.epochs=3", task=task).activation_bytes

    assert activations(-1) < 0.2 * activations(0), "frozen for ever"
    assert activations(2) == activations(0), "the last epoch is the dearest"


def test_one_picture_is_enough() -> None:
    """Batch statistics need two."""
    assert estimated(Kept(samples=1, batch_size=1), task=Classification(spec(), Convolution())).activation_bytes > 0


def test_a_broken_file_is_named() -> None:
    class Broken(Kept):
        def __getitem__(self, row: int) -> dict[str, Any]:
            return {"error": DataError("cut.jpg: broken or truncated")}

    with pytest.raises(DataError, match=r"cut\.jpg"):
        estimated(Broken())


def test_in_words() -> None:
    assert str(Estimate(65, 3700, 25_000_000, 1_500_000_000)) == (
        "about 1 min 05 s an epoch, 1 h 01 min in all; 1.52 GB for training beside what PyTorch itself takes "
        "(0.03 weights, gradients and optimiser, 1.50 activations)"
    )
