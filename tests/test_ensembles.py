"""Trained models put together: by a recipe, by a list, in a file; each answer is the mean of the members' own."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small import spec as small_spec
from small import task as small_task
from trained import CHANGES, pictures

import zoo
from zoo import build, ensembles, packing
from zoo.__main__ import run_command
from zoo.engines import combine
from zoo.errors import RecipeError, ZooError
from zoo.heads.committee import combined
from zoo.model import Model, Prediction
from zoo.ranks import Ranks
from zoo.recipe import Recipe
from zoo.run import Run
from zoo.tasks.ensemble import Ensemble, Network
from zoo.tasks.task import Examples, Task
from zoo.train import train

__all__ = ["pictures"]
CPU = torch.device("cpu")

MEMBERS = ("image_folder:a@1", "image_folder:a@2", "image_folder:b")
RECIPE = """
question: What do they say together?
data: {name: image_folder, size: 32, workers: 0}
split: {val: 0.3}
task: {name: ensemble, members: [image_folder:a@1, image_folder:a@2, image_folder:b]}
train: {engine: combine, device: cpu}
monitor: {metric: val/accuracy, mode: max}
"""


@cache
def _trained(home: Path) -> Path:
    """Two runs on one split: one with the weights of two epochs, one at another size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_HOME", str(home))
        kept = ("train.epochs=2", "train.batch_size=32", "checkpoint.keep_epochs=[1,2]")
        for name, changes in (("a", kept), ("b", ("train.max_steps=8", "data.size=24", "seed=1"))):
            train("image_folder", [*CHANGES, "split.val=0.3", *changes]).folder.rename(home / "runs" / "image_folder" / name)
    return home / "runs"


@pytest.fixture
def members(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The members in this test's own $ZOO_HOME, and the recipe of their ensemble there."""
    shutil.copytree(_trained(tmp_path_factory.getbasetemp() / "members"), home / "runs")
    (home / "recipes").mkdir()
    file = home / "recipes" / "together.yaml"
    file.write_text(RECIPE, encoding="utf-8")
    return file


def said(model: Model, folder: Path) -> torch.Tensor:
    found = model.predict(folder)
    assert isinstance(found, list)
    return torch.tensor([[*each.scores.values()] for each in found if isinstance(each, Prediction)])


# ---------------------------------------------------------------- by a recipe


def test_a_recipe_puts_trained_models_together(members: Path, pictures: Path) -> None:
    run = train(members)
    assert run.metrics["epochs"] == 0 and run.metrics["synthetic"] is True
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "together" in report and "Not in this report" not in report
    with (run.folder / "tables" / "networks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["network"] for row in rows] == [*MEMBERS, "together"]
    assert float(rows[-1]["accuracy"]) == pytest.approx(run.metrics["val/accuracy"])
    for name, row in zip(MEMBERS, rows, strict=False):
        assert float(row["accuracy"]) == pytest.approx(zoo.load(name, device="cpu").metrics["val/accuracy"], abs=0.02), name
    model = zoo.load("together", device="cpu")
    answers = torch.stack([said(zoo.load(name, device="cpu"), pictures / "star") for name in MEMBERS[:2]])
    third = model.task
    assert isinstance(third, Ensemble) and third.sizes == [(32, 32), (32, 32), (24, 24)]
    third.shares.copy_(torch.tensor([0.5, 0.5, 0]))
    assert torch.allclose(said(model, pictures / "star"), answers.mean(0), atol=1e-6)


def test_it_needs_its_members_no_more(members: Path, home: Path, pictures: Path, tmp_path: Path) -> None:
    run = train(members)
    before = said(zoo.load(run.folder, device="cpu"), pictures / "star")
    packed = packing.pack(Run.read(run.folder), tmp_path / "together.zoo")
    shutil.rmtree(home / "runs" / "image_folder")
    members.unlink()
    assert torch.equal(said(zoo.load(run.folder, device="cpu"), pictures / "star"), before)
    assert torch.equal(said(zoo.load(packed, device="cpu"), pictures / "star"), before)
    csv_file = tmp_path / "answers.csv"
    assert run_command("predict", [str(packed), str(pictures / "star"), "--csv", str(csv_file)]) == 0
    assert len(csv_file.read_text().splitlines()) == 1 + len(before)
    assert run_command("evaluate", [str(packed), "data.workers=0"]) == 0


def test_its_run_names_the_members_runs(members: Path, home: Path) -> None:
    """So that better runs that come later change nothing."""
    run = train(members, ["task.members=[image_folder, image_folder:a@2]"])
    first, second = run.recipe.to_dict()["task"]["members"]
    assert first.startswith("image_folder:") and second == "image_folder:a@2"
    assert len(run.recipe.to_dict()["task"]["recipes"]) == 2


def test_of_its_members_it_keeps_what_their_networks_hang_on(members: Path, home: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(home / "runs" / "image_folder" / "b", tmp_path / "elsewhere"))
    task = ensembles.settled(Recipe.read(members, [f"task.members=[{folder}, image_folder:a@2]"])).to_dict()["task"]
    assert task["members"] == [str(folder), "image_folder:a@2"], "another run of this name may be among ours"
    assert [set(json.loads(text)) for text in task["recipes"]] == [{"question", "data", "backbone", "task"}] * 2


def test_as_many_members_as_are_promised() -> None:
    ensembles._refuse_number(["a"] * 64)
    with pytest.raises(RecipeError, match="65 models"):
        ensembles._refuse_number(["a"] * 65)


def test_what_is_cut_off_matters_where_something_is_cut_off() -> None:
    whole, middle = (Recipe.read("image_folder", [f"data.crop={crop}"]) for crop in (1.0, 0.5))
    with pytest.raises(RecipeError, match=r"m was trained with data\.crop=1\.0, and this ensemble has 0\.5"):
        ensembles._refuse_other_view(whole, middle, "m")
    ensembles._refuse_other_view(whole.changed(["data.fit=squash"]), middle.changed(["data.fit=squash"]), "m")


@pytest.mark.parametrize(
    ("change", "seats"),
    [("train.lr=0.5", [[0, 1]]), ("data.size=24", [[0], [1]]), ("task.dropout=0.5", [[0], [1]]), ("backbone=resnet34", [[0], [1]])],
)
def test_members_of_one_architecture_sit_together(change: str, seats: list[list[int]]) -> None:
    recipe = Recipe.read("image_folder", ["data.size=32"])
    texts = [one.to_yaml() for one in (recipe, recipe.changed([change]))]
    assert ensembles._seats(texts, joined=True) == seats and ensembles._seats(texts, joined=False) == [[0], [1]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["task.members=[]"], "0 models; expected 1 to 64"),
        ([f"task.members=[{', '.join(['image_folder:b'] * 65)}]"], "65 models; expected 1 to 64"),
        (["task.members=[image_folder:z]"], "no run 'z'"),
        (["task.members=[image_folder:a@7]"], "epoch 7"),
        (["task.members=[mnist_vae]"], "was not trained here"),
        (["task.weights=[1]"], "1 numbers for 3 networks"),
        (["task.weights=[0,0,0]"], "not all of them 0"),
        (["task.weights=[-1,1,1]"], "expected at least 0.0, found -1"),
        (["train.engine=loop"], "set it to combine"),
        (["data.fit=squash"], "data.fit=crop"),
        (["data.crop=0.5"], "data.crop=0.875"),
        (["task.recipes=[x]"], "written by training"),
    ],
)
def test_what_cannot_be_is_said(members: Path, changes: list[str], words: str) -> None:
    with pytest.raises(ZooError, match=words):
        train(members, changes)
    assert not list((members.parent.parent / "runs" / "together").glob("*/metrics.json"))


def test_a_task_that_learns_is_not_made_by_it() -> None:
    with pytest.raises(RecipeError, match="task `classification` is not made by it"):
        Recipe.read("image_folder", ["train.engine=combine"])


def test_members_of_another_split_are_told(members: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(members, ["split.seed=5", "task.members=[image_folder:b]"])
    assert "WARNING: image_folder:b: this is another split" in capsys.readouterr().err


# ---------------------------------------------------------------- what validation decides


def test_fitted_weights_are_kept(members: Path) -> None:
    run = train(members, ["task.weights=fitted"])
    model = zoo.load(run.folder, device="cpu")
    assert isinstance(model.task, Ensemble)
    shares = model.task.shares
    assert shares.sum() == pytest.approx(1) and not torch.allclose(shares, torch.full((3,), 1 / 3), atol=1e-3)
    equal = train(members)
    assert run.metrics["val/loss"] <= equal.metrics["val/loss"]
    assert "fitted on these very pictures" in (run.folder / "tables" / "index.json").read_text()


@pytest.mark.parametrize("how", ["probabilities", "logits"])
def test_weights_are_fitted_to_how_answers_are_combined(members: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(combine, "fitted", lambda answers, label, how: asked.append(how) or torch.tensor([0.5, 0.3, 0.2]))
    run = train(members, ["task.weights=fitted", f"task.combine={how}"])
    found = zoo.load(run.folder, device="cpu").task
    assert isinstance(found, Ensemble)
    assert asked == [how] and found.shares.tolist() == pytest.approx([0.5, 0.3, 0.2])


def test_weights_are_averaged_by_architecture(members: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(members, ["task.average=uniform"])
    model = zoo.load(run.folder, device="cpu")
    assert isinstance(model.task, Ensemble) and len(model.task.networks) == 2 and model.task.members[0] == MEMBERS[:2]
    mean = torch.stack([zoo.load(name, device="cpu").task.state_dict()["head.1.weight"] for name in MEMBERS[:2]]).mean(0)
    assert torch.equal(model.task.state_dict()["networks.0.head.1.weight"], mean)
    assert "ensemble: image_folder:a@1 0.50, image_folder:b 0.50" in capsys.readouterr().err


def test_batch_statistics_of_a_mean_are_measured(members: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those of the mean network on the training pictures, not the mean of two networks' statistics."""
    training: list[bool] = []
    average = combine._average
    monkeypatch.setattr(combine, "_average", lambda network, *given: training.append(network.training) or average(network, *given))
    model = zoo.load(train(members, ["task.average=uniform"]).folder, device="cpu")
    assert training == [False], "nothing is dropped meanwhile"
    name = "networks.0.backbone.net.conv1.1.running_mean"
    found = model.task.state_dict()
    means = [zoo.load(name_, device="cpu").task.state_dict()["backbone.net.conv1.1.running_mean"] for name_ in MEMBERS[:2]]
    assert name in found and not torch.allclose(found[name], torch.stack(means).mean(0), atol=1e-4)


def test_the_greedy_soup_takes_what_does_not_harm(
    members: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is best alone comes first; what makes validation worse is left out, and the weights are then the best one's own."""
    scores = iter([0.5, 0.7, 0.6])  # of the two members alone, then of both together
    monkeypatch.setattr(combine, "_accuracy", lambda *arguments: next(scores))
    model = zoo.load(train(members, ["task.average=greedy"]).folder, device="cpu")
    assert "greedy soup: 1 of 2 weights" in capsys.readouterr().err
    best = zoo.load(MEMBERS[1], device="cpu").task.state_dict()
    assert all(torch.equal(value, model.task.state_dict()[f"networks.0.{name}"]) for name, value in best.items())


class Batches:
    """What averaging asks of `Loaders`: pictures in memory; those of val are others."""

    def parts(self) -> dict[str, list[int]]:
        return {"train": [*range(16)]}

    def evaluation(self, part: str) -> list[dict[str, Any]]:
        dice = torch.Generator().manual_seed(["train", "val"].index(part))
        images = torch.randint(0, 255, (16, 3, 8, 8), generator=dice, dtype=torch.uint8)
        return [{"image": image, "path": [""] * len(image)} for image in images.split(8)]


@pytest.mark.parametrize(
    ("scores", "kept", "poured", "said"),
    [
        ([0.5, 0.7, 0.6, 0.7, 0.69], [1, 2], 3, "2 of 3 weights, val/accuracy 0.7000, the best alone 0.7000"),
        ([0.5, 0.7, 0.6, 0.75, 0.72], [1, 2], 3, "2 of 3 weights, val/accuracy 0.7500, the best alone 0.7000"),
        ([0.5, 0.7, 0.6, 0.6, 0.8], [1, 0], 2, "2 of 3 weights, val/accuracy 0.8000, the best alone 0.7000"),
    ],
)
def test_the_greedy_soup_grows_from_the_best(
    scores: list[float], kept: list[int], poured: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scores are of three models alone, then of the best with the second, then with the third as well."""
    given = iter(scores)
    seen: list[list[int]] = []
    monkeypatch.setattr(combine, "_accuracy", lambda *arguments: next(given))
    monkeypatch.setattr(combine, "_pour", lambda network, states, data, device: seen.append([state["number"] for state in states]))
    models: Any = [SimpleNamespace(task=SimpleNamespace(state_dict=lambda number=number: {"number": number})) for number in range(3)]
    stub: Any = None
    combine._average(stub, models, "greedy", stub, CPU)
    assert seen[-1] == kept and len(seen) == poured and said in capsys.readouterr().err


def test_measured_statistics_are_the_mean_over_the_training_pictures() -> None:
    states = [small_task(seed=seed).state_dict() for seed in (1, 2)]
    for state in states:  # what was measured before is forgotten
        state["backbone.net.1.running_mean"] += 3
        state["backbone.net.1.num_batches_tracked"] += 5
    network, data = small_task().eval(), Batches()
    loaders: Any = data
    norm: Any = network.backbone.net[1]
    combine._pour(network, states, loaders, CPU)
    network.backbone.net[1] = torch.nn.Identity()
    seen = [network.backbone.net[0](batch["image"].float() / 255).mean((0, 2, 3)) for batch in data.evaluation("train")]
    assert torch.allclose(norm.running_mean, torch.stack(seen).mean(0), atol=1e-5)
    assert norm.momentum == 0.1 and not norm.training


def test_it_knows_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combine, "ranks", lambda: Ranks(0, 2))
    stub: Any = None
    with pytest.raises(RecipeError, match=r"set train\.devices to 1"):
        combine.Combine().fit(stub, stub, stub)


def test_a_member_of_other_labels_is_refused(members: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.load(MEMBERS[0], device="cpu")
    monkeypatch.setattr(combine, "load", lambda name, device: model)
    data: Any = SimpleNamespace(spec=replace(model.spec, labels=model.labels[::-1]))
    with pytest.raises(RecipeError, match="in another order"):
        combine._member("a", data, CPU)
    data.spec = replace(model.spec, channels=1)
    with pytest.raises(RecipeError, match="it sees pictures of 3 channels, and these have 1"):
        combine._member("a", data, CPU)


# ---------------------------------------------------------------- what it answers


def pair(size: tuple[int, int] = (8, 8), **options: Any) -> Ensemble:
    """Two networks that are sure of what they say; the second was trained at this size."""
    networks = [Network(small_task(seed=seed), its, (name,)) for seed, its, name in ((1, (8, 8), "a"), (2, size, "b"))]
    for network in networks:
        torch.nn.init.normal_(network.task.get_parameter("head.1.weight"), std=5)
    return Ensemble(small_spec(), networks, ("a", "b"), **options).eval()


@pytest.mark.parametrize("how", ["probabilities", "logits"])
def test_answers_are_joined_as_wished(how: Any) -> None:
    task = pair(combine=how, weights=(3.0, 1.0))
    image, label = torch.rand(5, 3, 8, 8), torch.tensor([0, 1, 2, 0, 1])
    found = task.predict({"image": image, "label": label})
    expected = combined(torch.stack([network.classify(image) for network in task.networks], 1), torch.tensor([0.75, 0.25]), how)
    assert torch.allclose(found["probabilities"], expected) and torch.allclose(task.classify(image), expected)
    assert torch.allclose(found["losses"], -expected[torch.arange(5), label].log())
    assert "losses" not in task.predict({"image": image})


def test_a_member_of_another_size_sees_the_picture_resized_smoothly() -> None:
    task = pair((4, 4))
    image = torch.rand(5, 3, 8, 8)
    smaller = torch.nn.functional.interpolate(image, (4, 4), mode="bilinear", antialias=True)
    assert torch.allclose(task.answers(image)[:, 1], task.networks[1].classify(smaller))


@pytest.mark.parametrize(
    ("fitted", "part", "warned"), [(True, "val", True), (True, "test", False), (False, "val", False), (False, "test", False)]
)
def test_the_table_sets_the_networks_beside_the_ensemble(fitted: bool, part: Any, warned: bool) -> None:
    task = pair(weights=(3.0, 1.0))
    task.fitted, task.members = fitted, [("a",), ("b", "c", "d")]
    label = torch.tensor([0, 1, 2] * 20)
    right = torch.nn.functional.one_hot(label, 3).float()
    first, second, both = right.clone(), right.clone(), right.clone()
    for said, wrong in ((first, 30), (second, 12), (both, 6)):
        said[:wrong] = said[:wrong].roll(1, 1)
    stub: Any = None
    groups = [f"{row}" for row in range(60)]
    predictions = {"answers": torch.stack([first, second], 1), "probabilities": both}
    table = task._compared(Examples({"label": label, "group": groups}, predictions, stub, {}, {}, stub, stub, part))
    assert [row[:3] for row in table.rows] == [
        ("a", 0.75, pytest.approx(0.5)),
        ("b and 2 more, averaged", 0.25, pytest.approx(0.8)),
        ("together", "", pytest.approx(0.9)),
    ]
    assert table.caption.startswith("Together they are right +0.100 more often than the best alone, b and 2 more, averaged [+0.0")
    assert ("fitted on these very pictures" in table.caption) == warned
    one = table.caption.partition("]")[0]
    whole = Examples({"label": label, "group": ["one"] * 30 + ["two"] * 30}, predictions, stub, {}, {}, stub, stub, part)
    assert task._compared(whole).caption.partition("]")[0] != one, "whole groups are drawn"


# ---------------------------------------------------------------- by a list


def test_a_list_is_an_ensemble(members: Path, pictures: Path) -> None:
    model = zoo.load([*MEMBERS], device="cpu")
    answers = torch.stack([said(zoo.load(name, device="cpu"), pictures / "star") for name in MEMBERS[:2]])
    assert torch.allclose(said(zoo.load(MEMBERS[:2], device="cpu"), pictures / "star"), answers.mean(0), atol=1e-6)
    assert model.labels == zoo.load(MEMBERS[0], device="cpu").labels and model.spec.size == (32, 32) and "ensemble" in repr(model)
    assert model.split["fingerprint"] == zoo.load(MEMBERS[0], device="cpu").split["fingerprint"]


def test_a_list_of_models_that_do_not_go_together_is_refused(members: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="0 models"):
        zoo.load([])
    with pytest.raises(RecipeError, match="digest of one packed file"):
        zoo.load([*MEMBERS], sha256="0" * 64)
    other = Path(shutil.copytree(members.parent.parent / "runs" / "image_folder" / "b", tmp_path / "b"))
    spec = json.loads((other / "spec.json").read_text())
    (other / "spec.json").write_text(json.dumps(spec | {"labels": spec["labels"][::-1]}))
    with pytest.raises(RecipeError, match="in another order"):
        zoo.load([MEMBERS[0], other], device="cpu")


def test_what_a_list_cannot_hold_is_refused(members: Path) -> None:
    first, second = (zoo.load(name, device="cpu") for name in (MEMBERS[0], MEMBERS[2]))
    with pytest.raises(RecipeError, match=r"\(ensemble\): an ensemble is made of classifiers that are none themselves"):
        ensembles.together([first, ensembles.together([first, second])])
    second.recipe = second.recipe.changed(["data.fit=squash"])
    with pytest.raises(RecipeError, match=r"was trained with data\.fit=squash, and this ensemble has crop"):
        ensembles.together([first, second])
    second.recipe, second.task = first.recipe, Task()
    with pytest.raises(RecipeError, match="an ensemble is made of classifiers"):
        ensembles.together([first, second])


def test_what_is_known_of_a_list_is_what_is_known_of_all(members: Path) -> None:
    first, second = (zoo.load(name, device="cpu") for name in (MEMBERS[0], MEMBERS[2]))
    first.metrics, second.metrics = {"synthetic": False}, {"synthetic": True}
    first.split, second.split = {"fingerprint": "1", "train": ["a", "b"]}, {"fingerprint": "2", "train": ["b", "c"]}
    both = ensembles.together([first, second])
    assert both.metrics == {"synthetic": True}
    assert first.recipe.expect.synthetic and not both.recipe.expect.synthetic, "what one should reach is not promised of all"
    assert both.split == {"fingerprint": "of several splits", "train": ["a", "b", "c"]}
    second.split = {"fingerprint": "2"}
    assert ensembles.together([first, second]).split == {"fingerprint": "of several splits"}, "what one was trained on is not known"


def test_pictures_that_any_member_was_trained_on_are_leaks(members: Path) -> None:
    train("image_folder", [*CHANGES, "split.val=0.3", "split.seed=3", "train.max_steps=2"]).folder.rename(
        members.parent.parent / "runs" / "image_folder" / "c"
    )
    model = zoo.load([MEMBERS[0], "image_folder:c"], device="cpu")
    recipe = Recipe.read("image_folder", [*CHANGES, "split.val=0.3"])
    warnings = model.split_warnings(build.loaders(build.source(recipe), recipe).split)
    assert any("pictures in val were trained on" in warning for warning in warnings)


# ---------------------------------------------------------------- the views


def test_views_are_the_picture_mirrored_and_its_middle() -> None:
    image = torch.arange(2 * 3 * 50 * 60.0).reshape(2, 3, 50, 60) / 18000
    seen = {}
    for views in ((), ("flip",), ("zoom",), ("flip", "zoom")):
        stub: Any = type("Stub", (), {"views": views})()
        seen[views] = list(Ensemble._seen(stub, image))
    assert [len(each) for each in seen.values()] == [1, 2, 2, 4]
    assert torch.equal(seen["flip",][1], image.flip(3)) and all(torch.equal(each[0], image) for each in seen.values())
    zoomed = seen["zoom",][1]
    assert zoomed.shape == image.shape
    assert torch.allclose(zoomed.mean((2, 3)), image.mean((2, 3)), atol=1e-3)
    assert float(zoomed[0, 0].std() / image[0, 0].std()) == pytest.approx(0.88, abs=0.01)


def test_views_change_the_answer_and_are_averaged(members: Path, pictures: Path) -> None:
    plain = zoo.load(train(members, ["task.members=[image_folder:b]"]).folder, device="cpu")
    flipped = zoo.load(train(members, ["task.members=[image_folder:b]", "task.views=[flip]"]).folder, device="cpu")
    image = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert isinstance(plain.task, Ensemble) and isinstance(flipped.task, Ensemble)
    with torch.inference_mode():
        expected = (plain.task.classify(image) + plain.task.classify(image.flip(3))) / 2
        assert torch.allclose(flipped.task.classify(image), expected, atol=1e-6)
        assert not torch.allclose(flipped.task.classify(image), plain.task.classify(image), atol=1e-4)


# ---------------------------------------------------------------- files of strangers


def test_a_strangers_recipes_are_checked(members: Path, tmp_path: Path) -> None:
    """Nested ensembles, unknown networks, too many of them: refused before anything is built."""
    packed = packing.pack(Run.read(train(members).folder), tmp_path / "together.zoo")
    with safe_open(packed, framework="pt") as content:
        header = json.loads(content.metadata()["zoo"])
    recipe = Recipe.parse(header["recipe"], "packed", "together")
    texts = list(recipe.to_dict()["task"]["recipes"])
    inner = json.dumps({key: value for key, value in recipe.to_dict().items() if key in ("question", "data", "task", "train")})
    cases = [
        ([inner, *texts[1:]], "an ensemble itself"),
        ([texts[0].replace("test_resnet", "os.system"), *texts[1:]], "os.system"),
        (["{", *texts[1:]], "task.recipes"),
        ([json.dumps(json.loads(texts[0]) | {"task": {"name": "autoencoder"}}), *texts[1:]], r"\(autoencoder\) predicts no classes"),
        (texts[:2], "2 for 3 members"),
    ]
    for number, (changed, words) in enumerate(cases):
        text = recipe.changed([f"task.recipes={json.dumps(changed)}"]).to_yaml()
        file = tmp_path / f"{number}.zoo"
        save_file(load_file(packed), file, metadata={"zoo": json.dumps(header | {"recipe": text})})
        with pytest.raises(ZooError, match=words):
            zoo.load(file, device="cpu")
