"""The MPII recipes without pretrained weights, most of which only a hub has: sizes, what learns, what is kept, what is claimed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from zoo import build
from zoo.datasets.mpii_activity import CATEGORIES
from zoo.engines.fit import Fit
from zoo.recipe import Recipe
from zoo.run import Run
from zoo.spec import DataSpec
from zoo.studies import definition
from zoo.studies.plan import Plan
from zoo.tasks.classification import Classification

RECIPES = Path(__file__).resolve().parent.parent.parent / "recipes"
PARAMETERS = {
    "mpii_activity": 2_249_492,
    "mpii_dinov2": 21_636_500,
    "mpii_dinov2_probe": 21_636_500,
    "mpii_efficientnet_b0": 4_033_168,
    "mpii_mobilenetv3": 4_227_652,
    "mpii_resnet18": 11_186_772,
    "mpii_resnet34": 21_294_932,
    "mpii_resnet50": 23_549_012,
    "mpii_resnet101": 42_541_140,
    "mpii_se_resnet18": 11_273_812,
    "mpii_squeezenet": 732_756,
    "mpii_tinyvit": 5_078_184,
}
"""With 20 classes and at the recipe's own size: the published networks less their 1,000 outputs."""
PUBLISHED = {"mpii_se_resnet18": (18, 40), "mpii_efficientnet_b0": (40, 142, 251)}
"""The epochs of the ensemble that reports F1 0.831."""
STUDIES = sorted((RECIPES / "studies").glob("*.yaml"))


def read(name: str, *changes: str) -> Recipe:
    return Recipe.read(RECIPES / f"{name}.yaml", ["backbone.pretrained=false", *changes])


def net(recipe: Recipe, side: int) -> Classification:
    task = build.task(recipe, DataSpec(3, (side, side), CATEGORIES))
    assert isinstance(task, Classification)
    return task


def count(weights: list[Tensor]) -> int:
    return sum(weight.numel() for weight in weights)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_those_of_the_published_network(name: str) -> None:
    recipe = read(name, "data.synthetic=never")
    with torch.device("meta"):  # only their shapes
        weights = list(net(recipe, recipe.data.size).parameters())
    assert count(weights) == PARAMETERS[name]
    if name not in ("mpii_activity", "mpii_se_resnet18"):
        assert f"{PARAMETERS[name]:,}" in (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name != "mpii_dinov2_probe"])
def test_every_weight_learns(name: str) -> None:
    side = 42 if "dinov2" in name else 48
    task = net(read(name, "data.synthetic=always"), side).train()
    task.start_epoch(0)
    torch.manual_seed(0)
    task.losses({"image": torch.rand(2, 3, side, side), "label": torch.tensor([0, 18])}, "model")["loss"].backward()
    assert [name for name, weight in task.named_parameters() if weight.grad is None] == []


def test_a_linear_probe_trains_its_head_and_leaves_the_backbone_to_the_bit() -> None:
    changes = ["data.synthetic=always", "data.size=28", "data.workers=0", "train.batch_size=8", "train.max_steps=3", "train.device=cpu"]
    recipe = read("mpii_dinov2_probe", *changes, "train.engine=loop")
    data = build.loaders(build.source(recipe), recipe)
    task = net(recipe, 28)
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    with Fit(task, data, Run.open(recipe)) as fit:
        for batch in fit.batches():
            fit.step(batch)
    learns = [weight for weight in task.parameters() if weight.requires_grad]
    assert count(learns) == 384 * 20 + 20
    changed = {name for name, tensor in task.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.1.weight", "head.1.bias"}
    assert not task.backbone.training


@pytest.mark.parametrize("name", ["mpii_dinov2", "mpii_dinov2_probe"])
@pytest.mark.parametrize("drawn", ["always", "never"])
def test_pictures_are_whole_patches(name: str, drawn: str) -> None:
    assert read(name, f"data.synthetic={drawn}").data.size % 14 == 0


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_ensemble_can_be_put_together(name: str) -> None:
    real, drawn = (read(name, f"data.synthetic={synthetic}") for synthetic in ("never", "always"))
    assert real.checkpoint.keep_epochs == PUBLISHED[name] and real.train.epochs >= max(PUBLISHED[name])
    assert len(drawn.checkpoint.keep_epochs) == len(PUBLISHED[name])
    assert drawn.train.epochs >= max(drawn.checkpoint.keep_epochs)


def test_the_count_that_was_not_reproduced_is_said() -> None:
    recipe = read("mpii_efficientnet_b0")
    reported = next(one for one in recipe.reference if one.metric == "parameters")
    assert reported.value == 4_074_512 and "not reproduced" in reported.source and "4,033,168" in reported.source


@pytest.mark.parametrize("name", PARAMETERS)
def test_nothing_is_claimed_of_real_data(name: str) -> None:
    assert not read(name).expect.real


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_recipe_of_a_study_is_right(file: Path) -> None:
    plan = Plan(definition.read(file), ["data.synthetic=always"])
    assert plan.cells
    head = plan.study.text.partition("\nquestion:")[0]
    for word in (f"python -m zoo.study recipes/studies/{file.name}", "Cost ", "Reaches "):
        assert word in head, word


def test_studies_of_mpii_have_the_cells_they_should() -> None:
    cells = {file.stem: Plan(definition.read(file), ["data.synthetic=always"]) for file in STUDIES if file.stem.startswith("mpii_")}
    assert {name: len(plan.cells) for name, plan in cells.items()}.items() >= {
        "mpii_augmentation": 9 * 3,
        "mpii_backbones": 11,
        "mpii_balance": 4 * 5,
        "mpii_training": 4 * 3 * 3,
    }.items()


def test_ways_of_balancing_train_on_as_many_pictures() -> None:
    plan = Plan(definition.read(RECIPES / "studies" / "mpii_balance.yaml"), ["data.synthetic=always"])
    recipes = [cell.recipe for cell in plan.cells if cell.seed == 0]
    source = build.source(recipes[0])
    batches = [build.loaders(source, recipe).batches * recipe.train.epochs for recipe in recipes]
    assert max(batches) <= 1.03 * min(batches), batches
