"""Classification: the contract, its losses by option, the freezing schedule, figures and tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from contracts_task import check_task
from small import LABELS, Convolution, Memory, spec, task
from torch import Tensor, nn

from zoo.backbones.se_resnet18 import SEResNet18
from zoo.backbones.timm import TimmBackbone
from zoo.losses.classification import focal
from zoo.spec import DataSpec
from zoo.tasks import answering
from zoo.tasks.classification import Classification
from zoo.tasks.task import Classifies, Embeds, Examples


def batch(size: int = 6) -> dict[str, Any]:
    found = Memory().batch(torch.arange(size))
    return found | {"image": found["image"].float() / 255}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "focal", "gamma": 0.5, "alpha": 0.25, "smoothing": 0.1},
        {"mixup": 0.4, "cutmix": 1.0},
        {"dropout": 0.5, "frozen_epochs": 1},
        {"frozen_epochs": -1},
    ],
)
def test_contract(options: dict[str, Any]) -> None:
    check_task(task(**options), batch())


def test_contract_with_class_weights() -> None:
    torch.manual_seed(0)
    check_task(Classification(spec(weights=(0.5, 1.0, 2.0)), Convolution()), batch())


def test_contract_in_grey_with_two_classes() -> None:
    class Grey(Convolution):
        def __init__(self) -> None:
            super().__init__()
            self.net[0] = nn.Conv2d(1, 6, 3)

    fields = batch()
    fields |= {"image": fields["image"][:, :1], "label": fields["label"] % 2}
    check_task(Classification(DataSpec(1, (8, 8), ("no", "yes")), Grey()), fields)


@pytest.mark.parametrize("breakage", ["loss", "batch", "players", "state", "metrics", "predict"])
def test_the_contract_finds_what_is_broken(breakage: str) -> None:
    class Broken(Classification):
        def losses(self, batch: Any, player: str) -> dict[str, Tensor]:
            if breakage == "batch":
                batch["image"].mul_(0.5)
            losses = super().losses(batch, player)
            return {"cross": losses["loss"]} if breakage == "loss" else losses

        def players(self) -> dict[str, nn.Module]:
            return {"head": self.head} if breakage == "players" else super().players()

        def predict(self, batch: Any) -> dict[str, Tensor]:
            found = super().predict(batch)
            if breakage == "predict":
                found["probabilities"] = found["probabilities"].mean(0, keepdim=True).expand(len(batch["image"]), -1)
            if breakage == "state":
                found["probabilities"] = (found["probabilities"] + self.seen).softmax(1)
                self.seen += 1
            return found

        seen = 0

    torch.manual_seed(0)
    broken = Broken(spec(), Convolution())
    if breakage == "metrics":
        broken.main = "f1"
    with pytest.raises(AssertionError, match=r"\w{4}"):
        check_task(broken, batch())


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("name", "classes", "count"),
    [
        ("mobilenetv2_100", 42, 2_277_674),
        ("mobilenetv2_100", 20, 2_249_492),
        ("resnet18", 10, 11_181_642),
        ("efficientnet_b0", 20, 4_033_168),
    ],
)
def test_parameters_with_timms_backbones(name: str, classes: int, count: int) -> None:
    made = DataSpec(3, (64, 64), tuple(map(str, range(classes))))
    found = Classification(made, TimmBackbone(name, 3, "vector", False))
    assert sum(weight.numel() for weight in found.parameters()) == count


def test_parameters_of_our_own_network() -> None:
    found = Classification(DataSpec(3, (64, 64), tuple(map(str, range(20)))), SEResNet18(3, "vector", False))
    assert sum(weight.numel() for weight in found.parameters()) == 11_273_812


# ---------------------------------------------------------------- losses


def test_losses_are_those_of_the_options() -> None:
    fields = batch()
    weight = (0.5, 1.0, 2.0)
    for options, expected in (
        ({}, lambda logits: F.cross_entropy(logits, fields["label"], torch.tensor(weight))),
        ({"smoothing": 0.1}, lambda logits: F.cross_entropy(logits, fields["label"], torch.tensor(weight), label_smoothing=0.1)),
        (
            {"loss": "focal", "gamma": 1.5, "alpha": 0.3, "smoothing": 0.1},
            lambda logits: focal(logits, fields["label"], torch.tensor(weight), 0.1, 1.5, 0.3),
        ),
    ):
        torch.manual_seed(0)
        net = Classification(spec(weight), Convolution(norm=False), **options)
        losses = net.losses(fields, "model")
        logits = net.logits(fields["image"])
        assert float(losses["loss"].detach()) == pytest.approx(float(expected(logits).detach()), rel=1e-6), options
        assert float(losses["accuracy"]) == pytest.approx(float((logits.argmax(1) == fields["label"]).float().mean()))


def test_a_fresh_head_guesses() -> None:
    assert float(task().losses(batch(), "model")["loss"].detach()) == pytest.approx(np.log(len(LABELS)), abs=0.1)


def test_mixing_in_training_only() -> None:
    net = task(norm=False, mixup=1.0)
    torch.manual_seed(0)
    mixed = net.losses(batch(), "model")
    assert list(mixed) == ["loss"], "no accuracy against labels that were mixed"
    net.eval()
    first, second = net.losses(batch(), "model"), net.losses(batch(), "model")
    assert torch.equal(first["loss"], second["loss"]) and "accuracy" in first


def test_validation_loss_is_plain_cross_entropy() -> None:
    """Comparable between recipes whatever they train with."""
    net = task(loss="focal", smoothing=0.3, mixup=1.0).eval()
    fields = batch()
    expected = F.cross_entropy(net.logits(fields["image"]), fields["label"], reduction="none")
    assert torch.allclose(net.predict(fields)["losses"], expected)
    assert list(net.predict({"image": fields["image"]})) == ["probabilities"]


def test_one_class_is_none() -> None:
    with pytest.raises(ValueError, match="the data has 1 classes, at least two"):
        Classification(DataSpec(3, (8, 8), ("all",)), Convolution())


# ---------------------------------------------------------------- freezing


def asks(net: Classification) -> list[bool]:
    return [weight.requires_grad for weight in net.backbone.parameters()]


def test_freezing_schedule() -> None:
    net = task(frozen_epochs=2)
    for epoch, frozen in ((0, True), (1, True), (2, False), (3, False), (1, True)):
        net.start_epoch(epoch)
        net.train()
        assert asks(net) == [not frozen] * 4
        assert net.backbone.training is not frozen
        assert net.head.training and all(weight.requires_grad for weight in net.head.parameters())


def test_frozen_for_ever() -> None:
    net = task(frozen_epochs=-1)
    for epoch in (0, 1, 10**6):
        net.start_epoch(epoch)
        net.train()
        assert not any(asks(net)) and not net.backbone.training


def test_frozen_statistics_stand_still() -> None:
    net = task(frozen_epochs=1, dropout=0.5)
    before = {key: value.clone() for key, value in net.backbone.state_dict().items()}
    net.start_epoch(0)
    net.train()
    net.losses(batch(), "model")["loss"].backward()
    assert all(torch.equal(value, before[key]) for key, value in net.backbone.state_dict().items())
    assert all(weight.grad is None for weight in net.backbone.parameters())
    assert all(weight.grad is not None for weight in net.head.parameters())


def test_what_the_backbone_holds_still_itself_is_not_thawed() -> None:
    backbone = Convolution()
    backbone.net[0].requires_grad_(False)
    net = Classification(spec(), backbone, frozen_epochs=1)
    net.start_epoch(0)
    net.start_epoch(1)
    assert asks(net) == [False, False, True, True]


# ---------------------------------------------------------------- abilities, figures, tables


def test_abilities() -> None:
    assert isinstance(task(), Embeds) and isinstance(task(), Classifies)


def test_state_holds_no_class_weights() -> None:
    """They belong to the training data; a model trained with them loads where there are none."""
    weighted = Classification(spec((1.0, 2.0, 3.0)), Convolution())
    assert "class_weights" not in weighted.state_dict()
    task().load_state_dict(weighted.state_dict())


def examples(said: list[int], truth: list[int], sure: float = 0.9) -> Examples:
    rows = torch.full((len(said), 3), (1 - sure) / 2)
    rows[range(len(said)), said] = sure
    confusion = np.zeros((3, 3), dtype=np.int64)
    np.add.at(confusion, (truth, said), 1)
    fields = {"label": torch.tensor(truth), "index": torch.arange(len(truth)), "path": [f"{n}.png" for n in range(len(truth))]}

    def picture(row: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.full((8, 8, 3), row, np.uint8)

    def again(row: int) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        return {}, {}

    def training(most: int) -> tuple[torch.Tensor, dict[str, Any]]:
        return torch.zeros(0, 3, 8, 8, dtype=torch.uint8), {}

    return Examples(
        fields,
        {"probabilities": rows},
        picture,
        {},
        {"confusion": confusion},
        again,
        lambda most: (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), {}),
    )


def test_figures_and_tables(tmp_path: Path) -> None:
    found = examples([0, 1, 1, 2, 0], [0, 0, 0, 2, 1])
    net = task()
    drawings = net.figures(found)
    assert list(drawings) == ["confusion", "precision_recall", "threshold_f1", "mistakes"]
    for name, drawing in drawings.items():
        drawing.figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
    assert "3 mistakes of 3" in drawings["mistakes"].caption
    against, f1 = (drawings[name].figure.axes[0].lines for name in ("precision_recall", "threshold_f1"))
    assert against[0].get_label() == "red  0.57" and np.allclose(against[0].get_xydata(), [[0, 0.5], [1 / 3, 0.5], [1, 0.6]])
    assert f1[0].get_label() == "red  0.05" and np.allclose(f1[0].get_xydata(), [[0.9, 0.4], [0.05, 0.75], [0, 0.75]])
    assert np.allclose(f1[1].get_xydata(), [[0.05, 0.75]]), "the dot"
    tables = net.tables(found)
    assert [row[:2] for row in tables["per_class"].rows] == [("red", 3), ("green", 1), ("blue", 1)]
    assert tables["per_class"].rows[0][2:] == pytest.approx((0.5, 1 / 3, 0.4)), "precision, recall, F1"
    assert tables["confused_pairs"].rows == [("red", "green", 2), ("green", "red", 1)]
    blue = tables["thresholds"].rows[2]
    assert blue == ("blue", 1, pytest.approx(0.9), 1.0, 1.0, 1.0), "pictures, threshold, F1 at it, F1 as answered, average precision"


def test_without_mistakes_there_is_no_gallery() -> None:
    found = examples([0, 1, 2], [0, 1, 2])
    assert list(task().figures(found)) == ["confusion", "precision_recall", "threshold_f1"]
    assert list(task().tables(found)) == ["per_class", "thresholds"]


def test_a_class_without_pictures_has_no_curve_and_test_chooses_no_threshold() -> None:
    found = examples([0, 1, 2], [0, 1, 1])
    assert "1 without pictures here: no curve." in task().figures(found)["precision_recall"].caption
    assert [row[0] for row in task().tables(found)["thresholds"].rows] == ["red", "green"]
    assert "thresholds" not in task().tables(replace(found, part="test"))


def test_of_many_classes_the_worst_are_drawn_and_that_is_said() -> None:
    classes = 20
    said = torch.eye(classes).repeat(2, 1) * 0.9
    said[:3] = 1 / classes
    labels = [f"class {index}" for index in range(classes)]
    found = replace(examples([0], [0]), truth={"label": torch.arange(classes).repeat(2)}, predictions={"probabilities": said})
    drawing = answering._curves(labels, found)["precision_recall"]
    assert "The 8 of 20 classes with the lowest average precision" in drawing.caption
    names = [text.get_text() for text in drawing.figure.axes[0].get_legend().get_texts()]
    assert len(names) == 8 and {"class 0", "class 1", "class 2"} <= {name.rpartition("  ")[0] for name in names}


def test_mistakes_are_ordered_by_how_sure_they_were() -> None:
    found = examples([1, 1, 1], [0, 0, 0])
    found.predictions["probabilities"][0] = torch.tensor([0.2, 0.5, 0.3])
    found.predictions["probabilities"][2] = torch.tensor([0.0, 1.0, 0.0])
    wrong, said, score = answering._mistakes(found)
    assert wrong == [2, 1, 0]
    assert said.tolist() == [1, 1, 1] and float(score[2]) == 1.0
