"""Every recipe: it trains, its first losses are those on file, it learns a batch, resumes, reports and loads.

The losses on file (`traces/<recipe>.csv`) notice a change of data, transforms, network or loss that nobody meant. After a change
that is meant: `python tests/recipes/test_recipes.py [RECIPE ...]` writes them anew, and the commit says why.
"""

from __future__ import annotations

import copy
import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from zoo import build, registry
from zoo.checking import JOINING
from zoo.datasets.loaders import Loaders, to_device
from zoo.engines import fit as fit_module
from zoo.engines.fit import Fit
from zoo.recipe import Recipe
from zoo.run import Run, weights_sha256
from zoo.train import train

ROOT = Path(__file__).resolve().parent.parent.parent
TRACES = Path(__file__).parent / "traces"
RECIPES = sorted(file.stem for file in (ROOT / "recipes").glob("*.yaml"))
TEXTS = {name: (ROOT / "recipes" / f"{name}.yaml").read_text(encoding="utf-8") for name in RECIPES}
LEARNING = [name for name in RECIPES if f"\n  engine: {JOINING}\n" not in TEXTS[name]]
"""The others put models of these together and learn nothing."""
EXPECTING = [name for name in LEARNING if "\nexpect:\n" in TEXTS[name]]
"""The others wait for weights that cannot be had everywhere, and say that they are not measured."""
EXTRA = dict.fromkeys(("hardhat_centernet_mmdet", "hardhat_yolov3_mmdet"), "mmdet")
"""Recipes that need a package beyond zoo's own."""
ALIKE = [
    f"mpii_{network}" for network in ("dinov2", "mobilenetv3", "resnet18", "resnet34", "resnet50", "resnet101", "squeezenet", "tinyvit")
]
"""Recipes that differ from `mpii_activity` in their network: what engines, resuming and reports do with it is left to the second tier."""
TRAINABLE = [
    pytest.param(name, marks=pytest.mark.skipif(name in EXTRA and not find_spec(EXTRA[name]), reason=f"needs zoo[{EXTRA.get(name)}]"))
    for name in LEARNING
]
WHOLE = [pytest.param(*one.values, marks=[*one.marks, *([pytest.mark.slow] if one.values[0] in ALIKE else [])]) for one in TRAINABLE]
SMALL = ["data.synthetic=always", "data.size=48", "data.workers=0", "train.batch_size=16", "train.max_steps=20", "train.device=cpu"]
RANDOM = ["backbone.pretrained=false"]  # what can be fetched must not decide what a test measures
FIRST = 5
ENGINES = [name for name in registry.names("engines") if name != JOINING]


NARROW = ["task.generator_widths=[64,32]", "task.discriminator_widths=[32,64]"]
"""48 pixels cannot be halved as often as the sizes of these recipes."""
FITTING = {
    "mpii_dinov2": ["data.size=42", "train.batch_size=8"],  # whole patches of 14 pixels
    "mpii_dinov2_probe": ["data.size=42", "train.batch_size=8"],
    "mpii_resnet50": ["train.batch_size=8"],
    "mpii_resnet101": ["train.batch_size=8"],
    "mpii_tinyvit": ["train.batch_size=4"],  # its windows are filled up: small pictures cost nearly what large ones do
}
"""What networks that are dear or particular about their pictures need beside `SMALL`."""
STAND_IN = {name: ["backbone.name=test_resnet"] for name in ("mpii_resnet34", "mpii_resnet50", "mpii_resnet101")} | {
    name: ["backbone.name=test_vit", "data.size=48"] for name in ("mpii_dinov2", "mpii_dinov2_probe")
}
"""Networks of the same kind for the tests that write checkpoints, which have up to half a gigabyte each for these recipes: the recipe's
own networks are those of the first losses and of the learnt batch, and of test_mpii.py."""


def small(name: str) -> list[str]:
    has_backbone = "\nbackbone:" in TEXTS[name]
    random = RANDOM if has_backbone else ["task.begin=random"] if name in EXTRA else []
    return SMALL + random + (NARROW if name in ("faces_dcgan_128", "faces_dcgan_256") else []) + FITTING.get(name, [])


def read(name: str, *changes: str) -> Recipe:
    return Recipe.read(ROOT / "recipes" / f"{name}.yaml", [*small(name), *changes])


def few(name: str) -> list[str]:
    """Changes that leave little to be measured, drawn and saved, which takes longest in a training of a few steps."""
    recipe = read(name)
    has = {"split.val=0.05": True, "split.test=0.05": recipe.split.test, "task.judged_at=32": getattr(recipe.task, "judged_at", None)}
    return [change for change, it_has in has.items() if it_has] + STAND_IN.get(name, [])


@cache
def loaders(name: str, *changes: str) -> Loaders:
    """The data of a recipe, whose files are looked at once."""
    recipe = read(name, *changes)
    return build.loaders(build.source(recipe), recipe)


def first_losses(name: str, steps: int = FIRST) -> list[float]:
    """The losses of the first steps of a recipe."""
    recipe, data = read(name), loaders(name)
    run = Run.open(recipe)
    task = build.task(recipe, data.spec)
    losses = []
    with Fit(task, data, run) as fit:
        for batch in fit.batches():
            losses.append(sum(float(value) for key, value in fit.step(batch).items() if key.endswith("loss")))
            if len(losses) == steps:
                return losses
    raise AssertionError("the recipe has fewer steps")


@pytest.fixture
def unmeasured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is validated: it takes longest, and must not change what is learnt."""
    metric = read(name).monitor.metric.removeprefix("val/")
    monkeypatch.setattr(fit_module, "evaluate", lambda *arguments, **options: SimpleNamespace(metrics={metric: 0.5}, details={}))


def trained(name: str, data: Loaders, *changes: str) -> str:
    """The digest of the weights after a small training, without figures and report."""
    recipe = read(name, *changes)
    with Run.open(recipe) as run:
        task = build.task(recipe, data.spec)
        build.engine(recipe).fit(task, data, run)
    return weights_sha256(task.state_dict())


def test_all_recipes_are_here() -> None:
    """A recipe without a trace, or a trace without a recipe, is a mistake."""
    assert len(RECIPES) >= 6
    assert sorted(file.stem for file in TRACES.glob("*.csv")) == LEARNING


@pytest.mark.parametrize("name", RECIPES)
def test_head_says_command_data_cost_and_goal(name: str) -> None:
    head = TEXTS[name].partition("\nquestion:")[0]
    assert all(line.startswith("#") or not line for line in head.splitlines())
    for word in (f"python -m zoo.train recipes/{name}.yaml", "Data ", "Cost ", "Reaches "):
        assert word in head, word
    recipe = Recipe.read(ROOT / "recipes" / f"{name}.yaml")
    assert recipe.question.endswith("?")
    assert not recipe.expect.real or recipe.expect.synthetic
    assert recipe.expect.synthetic or "not measured" in head or name not in LEARNING


@pytest.mark.parametrize("name", TRAINABLE)
def test_first_losses_are_those_on_file(name: str) -> None:
    with (TRACES / f"{name}.csv").open(encoding="utf-8") as file:
        expected = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(expected) == FIRST
    # What two players make of each other's last bits grows faster: other processors were 0.1 % off after five steps.
    assert first_losses(name) == pytest.approx(expected, rel=1e-2 if read(name).train.players else 1e-3)


@pytest.mark.parametrize("name", TRAINABLE)
def test_learns_one_batch(name: str) -> None:
    recipe, data = read(name, "data.augment=[]"), loaders(name, "data.augment=[]")
    batch = to_device(next(data.stream()), torch.device("cpu"))
    fresh = build.task(recipe, data.spec)
    # Of several each learns against the others as they are, from noise drawn anew.
    goal, most = (0.5, 60) if len(fresh.players()) == 1 else (0.7, 150)
    for player in fresh.players():
        task = copy.deepcopy(fresh).train()
        optimizer = torch.optim.Adam(task.players()[player].parameters(), 1e-3)
        losses: list[float] = []
        while len(losses) < most and not (losses and losses[-1] < goal * losses[0]):
            optimizer.zero_grad()
            loss = task.losses(batch, player)["loss"]
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < goal * losses[0], (player, losses)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, data_home: Path) -> Finished:
    """A finished small run of every recipe, interrupted once and resumed."""
    return Finished(tmp_path_factory.mktemp("finished"), data_home)


class Finished(dict[str, Run]):
    """Each is trained when it is first asked for."""

    def __init__(self, home: Path, data: Path) -> None:
        super().__init__()
        self.home, self.data = home, data

    def __missing__(self, name: str) -> Run:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ZOO_HOME", str(self.home))
            patch.setenv("ZOO_DATA", str(self.data))
            self[name] = _interrupted_and_resumed(name)
        return self[name]


def _interrupted_and_resumed(name: str) -> Run:
    recipe, data = read(name, "train.max_steps=6", *few(name)), loaders(name, *few(name))
    run = Run.open(recipe)
    with pytest.raises(Exception, match="interrupted and saved"), Fit(build.task(recipe, data.spec), data, run) as fit:
        for number, batch in enumerate(fit.batches()):
            if number == 2:
                fit.signal = 15
            fit.step(batch)
    return train(name, resume=run.folder)


@pytest.mark.parametrize("name", WHOLE)
def test_resumed_run_is_finished_and_reported(name: str, finished: dict[str, Run]) -> None:
    run = finished[name]
    assert run.metrics["synthetic"] is True
    assert run.history()[-1]["step"] == 6
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    assert run.recipe.question in report
    assert run.metrics["weights_sha256"] in report
    assert (run.folder / "figures" / "samples.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.usefixtures("unmeasured")
def test_unbroken_run_has_the_same_weights(name: str, finished: dict[str, Run]) -> None:
    assert trained(name, loaders(name, *few(name)), "train.max_steps=6", *few(name)) == finished[name].metrics["weights_sha256"]


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.usefixtures("unmeasured")
def test_three_steps_are_the_same_under_every_engine(name: str) -> None:
    own = STAND_IN.get(name, [])
    data = loaders(name, *own)
    found = {engine: trained(name, data, "train.max_steps=3", f"train.engine={engine}", *own) for engine in ENGINES}
    assert set(found) >= {"lightning", "loop", "mmengine"}
    assert len(set(found.values())) == 1, found


def test_a_stranger_process_loads_them_all(finished: dict[str, Run]) -> None:
    runs = [finished[name] for name in LEARNING if name not in EXTRA and name not in ALIKE]
    folders = [str(run.folder) for run in runs]
    done = subprocess.run([sys.executable, "-c", STRANGER, *folders], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [entry["labels"] for entry in said] == [list(run.spec.labels) for run in runs]
    assert all(abs(sum(entry["scores"]) - 1) < 1e-4 or entry["size"] == [48, 48] for entry in said)


STRANGER = """
import json, sys
import numpy as np
import zoo
said = []
for folder in sys.argv[1:]:
    model = zoo.load(folder)
    picture = np.full((70, 50, 3), 90, np.uint8)
    able = [word for word in ("detect", "segment", "classify", "reconstruct", "sample") if hasattr(model.task, word)]
    scores, made = {}, None
    if "detect" in able:
        assert model.predict(picture).boxes.shape[1] == 4
        made = model.spec
    elif "segment" in able:
        scores = model.segment(picture).shares
    elif "classify" in able:
        scores = model.predict(picture).scores
    elif "reconstruct" in able and not model.task.conditional:
        made = model.reconstruct(picture)
    else:
        made = model.sample(2, label=0 if model.task.conditional else None)[0]
    said.append({"labels": list(scores or model.labels), "scores": list(scores.values()), "size": made and made.size})
for name in ("pytorch_lightning", "mmengine", "torchmetrics", "matplotlib", "zoo.engines.loop"):
    assert name not in sys.modules, name
print(json.dumps(said))
"""


def rotation(names: Sequence[str], day: int) -> list[str]:
    """Two recipes for a day, all of them in turn."""
    return [names[(2 * day + offset) % len(names)] for offset in range(2)]


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", rotation([name for name in EXPECTING if name not in EXTRA], int(os.environ.get("ZOO_ROTATION", "0"))))
def test_full_recipe_reaches_what_it_expects(name: str) -> None:
    """The whole synthetic training; which two recipes is chosen by $ZOO_ROTATION."""
    run = train(name, ["data.synthetic=always"])
    bounds = run.recipe.expect.synthetic
    assert bounds, f"{name} states no expectation"
    for metric, bound in bounds.items():
        value = run.metrics[metric]
        assert bound.min is None or value >= bound.min, (metric, value)
        assert bound.max is None or value <= bound.max, (metric, value)


def test_rotation_takes_all_in_turn() -> None:
    names = ["a", "b", "c", "d", "e"]
    assert {name for day in range(5) for name in rotation(names, day)} == set(names)


if __name__ == "__main__":
    for recipe_name in sys.argv[1:] or LEARNING:
        found = first_losses(recipe_name)
        with (TRACES / f"{recipe_name}.csv").open("w", newline="", encoding="utf-8") as trace:
            csv.writer(trace, lineterminator="\n").writerows(
                [("step", "loss"), *((step + 1, f"{loss:.6f}") for step, loss in enumerate(found))]
            )
        print(recipe_name, *(f"{loss:.4f}" for loss in found))
