"""A run is found by name and loaded anywhere, or the sentence says what to do; loading leaves no trace in the process."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from trained import copy_run, pictures, rewrite, run

import zoo
from zoo.errors import RecipeError, ZooError
from zoo.model import Model, Prediction
from zoo.tasks.task import Classifies

__all__ = ["pictures", "run"]

STRANGER = """
import sys, zoo
model = zoo.load(sys.argv[1], device="cpu")
for prediction in model.predict(sys.argv[2]):
    print(prediction.path.name, prediction.label, *(value.hex() for value in prediction.scores.values()))
unwanted = ("zoo.engines", "zoo.evaluate", "zoo.results", "zoo.report", "zoo.datasets.loaders", "zoo.datasets.image_folder")
unwanted += ("torchmetrics", "matplotlib", "sklearn", "scipy", "pandas", "pytorch_lightning", "mmengine", "tensorboard")
found = [name for name in sys.modules if name in unwanted or name.startswith(unwanted[0] + ".")]
assert not found, found
"""


# ---------------------------------------------------------------- what is loaded


def test_a_model_tells_what_it_is(run: Path) -> None:
    model = zoo.load(str(run), device="cpu")
    assert model.labels == model.spec.labels and len(model.labels) == 8
    assert model.metrics == json.loads((run / "metrics.json").read_text())
    assert model.recipe.backbone is not None and model.recipe.backbone.name == "test_resnet" and model.recipe.data.size == 32
    assert model.device == torch.device("cpu") and not model.task.training and model.origin == run
    assert repr(model) == f"<Model image_folder: 8 classes, 32x32 pixels, trained on synthetic data, from {run}>"
    assert model.to("cpu") is model
    assert repr(zoo.load(str(run), device="cpu")) == repr(zoo.load(run, device="cpu"))


def test_weights_lie_in_memory_as_is_quicker_and_answers_are_the_same(run: Path) -> None:
    small, moved = (zoo.load(run, device="cpu") for _ in range(2))
    rewrite(run / "spec.json", lambda spec: spec | {"size": [96, 96]})
    large = zoo.load(run, device="cpu")
    moved.spec = large.spec
    for model, last in ((small, False), (large, True), (moved.to("cpu"), True)):
        weights = [weight for weight in model.task.parameters() if weight.ndim == 4 and weight.shape[2] > 1]
        assert {weight.is_contiguous(memory_format=torch.channels_last) for weight in weights} == {last}
    image = torch.rand(4, 3, 96, 96)
    assert isinstance(small.task, Classifies) and isinstance(large.task, Classifies)
    with torch.inference_mode():
        assert torch.allclose(small.task.classify(image), large.task.classify(image), atol=1e-6)


def test_a_stranger_predicts_the_same(run: Path, pictures: Path, tmp_path: Path) -> None:
    """A new process in another folder, in which no engine, data set, metric or figure is imported."""
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, str(run), str(pictures / "star")], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    here = zoo.load(str(run), device="cpu").predict([*sorted((pictures / "star").iterdir())])
    there = [line.split() for line in done.stdout.splitlines()]
    assert [line[:2] for line in there] == [[each.path.name, each.label] for each in here if each.path]
    for line, each in zip(there, here, strict=True):
        assert [float.fromhex(value) for value in line[2:]] == pytest.approx(list(each.scores.values()), rel=1e-5)


def test_loading_leaves_the_generators_of_gpus_alone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    zoo.load(str(run), device="cpu")
    assert not seeded


def test_loading_leaves_no_trace(run: Path) -> None:
    def state() -> list[Any]:
        numbers: Any = np.random.get_state()
        modes = [torch.get_num_threads(), torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype()]
        modes += [torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()]
        return [torch.get_rng_state().tolist(), random.getstate(), str(numbers), dict(os.environ), Path.cwd(), *modes]

    zoo.load(str(run), device="cpu")  # imports may do what they like
    torch.manual_seed(77)
    before = state()
    model = zoo.load(str(run), device="cpu")
    model.predict(np.zeros((40, 50, 3), np.uint8))
    model.embed(np.zeros((40, 50, 3), np.uint8))
    assert state() == before
    with torch.no_grad():
        zoo.load(str(run), device="cpu")
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("banana", "device='banana': expected auto, cpu, cuda or cuda:N"),
        ("cuda:x", "device='cuda:x'"),
        ("", "device=''"),
        ("cuda:99", "cuda:99"),
    ],
)
def test_devices_that_are_none(run: Path, device: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        zoo.load(str(run), device=device)
    model = zoo.load(str(run), device="cpu")
    with pytest.raises(RecipeError, match=message):
        model.to(device)
    assert model.device.type == "cpu"


# ---------------------------------------------------------------- three errors


def test_no_such_recipe(run: Path) -> None:
    for name, near in (("imagefolder", "image_folder"), ("mpii_activty", "mpii_activity")):
        with pytest.raises(RecipeError, match=f"'{name}': no such recipe, file or folder .did you mean `{near}`.*zoo list"):
            zoo.load(name)
    for name in ("nowhere/model.zoo", "model.zoo", "..x", "a/../b", "image_folder/20250101-000000"):
        with pytest.raises(RecipeError, match="no such recipe, file or folder"):
            zoo.load(name)


def test_a_recipe_that_was_not_trained_here(home: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"'mpii_activity' was not trained here .looked in .*train it with `python -m zoo\.train .*mpii_activity\.yaml`"
    ):
        zoo.load("mpii_activity")
    with pytest.raises(RecipeError, match="a recipe is no trained model: train it with"):
        zoo.load("recipes/mpii_activity.yaml")


def test_an_unfinished_run(run: Path) -> None:
    (run / "metrics.json").unlink()
    for what in (str(run), "image_folder", "image_folder:20250101-000000"):
        with pytest.raises(RecipeError, match=f"not finished; go on with `python -m zoo.train --resume {run}`"):
            zoo.load(what)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state.pop("head.1.weight"), r"missing: head\.1\.weight"),
        (lambda state: state.update(extra=torch.zeros(2)), "not known: extra"),
        (lambda state: state.update({"head.1.weight": torch.zeros(9, 96)}), r"head\.1\.weight \(9, 96\) instead of \(8, 96\)"),
        (lambda state: state.update({"head.1.bias": torch.zeros(8, dtype=torch.int64)}), r"head\.1\.bias torch\.int64 instead of"),
        (lambda state: [state.pop(key) for key in [*state][:9]], "and 5 more"),
    ],
)
def test_weights_that_do_not_fit(run: Path, damage: Callable[[dict[str, torch.Tensor]], Any], message: str) -> None:
    state = load_file(run / "weights.safetensors")
    assert "head.1.weight" in state
    damage(state)
    save_file(state, run / "weights.safetensors")
    with pytest.raises(ZooError, match=f"do not fit their recipe.*{message}.*"):
        zoo.load(str(run))


def test_half_precision_weights_are_welcome(run: Path, pictures: Path) -> None:
    before = zoo.load(str(run), device="cpu").predict(pictures / "star" / "star_00.png")
    state = load_file(run / "weights.safetensors")
    save_file({key: value.half() if value.is_floating_point() else value for key, value in state.items()}, run / "weights.safetensors")
    after = zoo.load(str(run), device="cpu").predict(pictures / "star" / "star_00.png")
    assert isinstance(before, Prediction) and isinstance(after, Prediction)
    assert after.score == pytest.approx(before.score, rel=0.05)


# ---------------------------------------------------------------- by name


def finish(run: Path, when: int, accuracy: Any, synthetic: bool = True, fingerprint: str = "a") -> None:
    rewrite(run / "metrics.json", lambda metrics: metrics | {"val/accuracy": accuracy, "synthetic": synthetic})
    rewrite(run / "split.json", lambda split: split | {"fingerprint": fingerprint})
    os.utime(run / "metrics.json", (when, when))


@pytest.fixture
def three(run: Path, home: Path) -> list[Path]:
    return [run, *(copy_run(run, home, f"20250101-00000{number}") for number in (1, 2))]


Finished = tuple[Any, ...]


@pytest.mark.parametrize(
    ("finished", "chosen"),
    [
        ([(1, 0.5), (2, 0.9), (3, 0.7)], 1),
        ([(1, 0.9, True, "old"), (2, 0.5, True, "new"), (3, 0.4, True, "new")], 1),
        ([(1, 0.2, False), (2, 0.9), (3, 0.9)], 0),
        ([(1, 0.9, False, "old"), (2, 0.3, False, "new"), (3, 0.99)], 1),
        ([(3, 0.5), (1, 0.5), (2, 0.5)], 0),
        ([(1, None), (2, 0.1), (3, "high")], 1),
        ([(1, float("nan")), (2, 0.1), (3, 10**400)], 1),
        ([(1, 0.1), (3, [1]), (2, {"a": 1})], 0),
    ],
    ids=["best", "newest split", "real first", "real, newest split", "of equals the newest", "not measured", "no number", "nested"],
)
def test_the_best_run_is_loaded(three: list[Path], finished: list[Finished], chosen: int, capsys: pytest.CaptureFixture[str]) -> None:
    for each, facts in zip(three, finished, strict=True):
        finish(each, *facts)
    assert zoo.load("image_folder", device="cpu").origin == three[chosen]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"loading image_folder:{three[chosen].name}, the best by val/accuracy (")


def test_smaller_is_better_where_the_recipe_says_so(three: list[Path]) -> None:
    for number, each in enumerate(three):
        recipe = (each / "recipe.yaml").read_text().replace("metric: val/accuracy\n  mode: max", "metric: val/loss\n  mode: min")
        assert "val/loss" in recipe
        (each / "recipe.yaml").write_text(recipe)
        rewrite(each / "metrics.json", (lambda loss: lambda metrics: metrics | {"val/loss": loss})((0.5, 0.2, 0.9)[number]))
    assert zoo.load("image_folder", device="cpu").origin == three[1]


def test_a_run_by_its_name(three: list[Path]) -> None:
    assert zoo.load("image_folder:20250101-000001", device="cpu").origin == three[1]
    with pytest.raises(RecipeError, match=r"no run '20250101-00001' .did you mean `20250101-00000\d`.*zoo list runs"):
        zoo.load("image_folder:20250101-00001")
    with pytest.raises(RecipeError, match="after @ stands an epoch, counted from 1, such as image_folder@18"):
        zoo.load("image_folder@three")


def test_a_damaged_run_does_not_hide_the_others(three: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    (three[0] / "metrics.json").write_text("{")
    (three[1] / "recipe.yaml").write_text("data: {name: of_another_version}")
    assert zoo.load("image_folder", device="cpu").origin == three[2]
    errors = capsys.readouterr().err
    assert f"left out: {three[0] / 'metrics.json'}" in errors and f"left out: {three[1] / 'recipe.yaml'}" in errors
    shutil.rmtree(three[2])
    with pytest.raises(ZooError, match=r"metrics\.json"):
        zoo.load("image_folder")


def test_a_folder_of_the_same_name_does_not_hide_the_recipe(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image_folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert zoo.load("image_folder", device="cpu").origin == run
    (tmp_path / "other").mkdir()
    with pytest.raises(RecipeError, match="other: no run folder"):
        zoo.load("other")


def test_a_digest_for_what_is_no_file_is_not_ignored(run: Path) -> None:
    for what in (str(run), "image_folder"):
        with pytest.raises(RecipeError, match="sha256 is the digest of a packed file"):
            zoo.load(what, sha256="0" * 64)


# ---------------------------------------------------------------- damaged and hostile run folders

DEEP = "[" * 10_000 + "]" * 10_000
SPECS: dict[str, Any] = {
    "list": [],
    "null": None,
    "no size": {"channels": 3, "labels": ["a"]},
    "text": {"channels": "x", "size": [32, 32]},
    "channels": {"channels": 10**9, "size": [32, 32]},
    "huge side": {"channels": 3, "size": [10**9, 32]},
    "infinite": {"channels": 3, "size": [float("inf"), 32]},
    "negative": {"channels": 3, "size": [-1, 32]},
    "one side": {"channels": 3, "size": [32]},
    "labels": {"channels": 3, "size": [32, 32], "labels": "abc"},
    "label": {"channels": 3, "size": [32, 32], "labels": [1]},
    "equal labels": {"channels": 3, "size": [32, 32], "labels": ["a", "a"]},
    "too many labels": {"channels": 3, "size": [32, 32], "labels": [str(number) for number in range(100_001)]},
    "counts": {"channels": 3, "size": [32, 32], "labels": ["a"], "counts": [1, 2]},
    "weights": {"channels": 3, "size": [32, 32], "labels": ["a"], "weights": [float("nan")]},
    "groups": {"channels": 3, "size": [32, 32], "groups": {"a": 1}},
}


@pytest.mark.parametrize("kind", SPECS)
def test_specs_that_are_none(run: Path, kind: str) -> None:
    (run / "spec.json").write_text(json.dumps(SPECS[kind]))
    with pytest.raises(ZooError, match=r"spec\.json: damaged: .*train again"):
        zoo.load(str(run))


@pytest.mark.parametrize("name", ["spec.json", "metrics.json", "split.json", "recipe.yaml"])
@pytest.mark.parametrize(
    "content",
    [DEEP, "", "{", "null", "[]", "3", "9" * 5000, '{"fingerprint": 3, "channels": 1e999}', b"\xff\xfe", b"\0", '"' + "x" * 10**6 + '"'],
    ids=["deep", "empty", "cut", "null", "list", "number", "long number", "types", "no text", "nul", "long"],
)
def test_damaged_files_are_named(run: Path, name: str, content: str | bytes) -> None:
    if name == "metrics.json" and content == '{"fingerprint": 3, "channels": 1e999}':
        pytest.skip("an object like any other")
    (run / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ZooError, match=name.replace(".", r"\.")) as caught:
        zoo.load(str(run))
    assert len(str(caught.value)) < 2000


def test_metrics_of_any_kind_do_not_break_a_model(run: Path) -> None:
    rewrite(run / "metrics.json", lambda metrics: metrics | {"synthetic": [1], "val/accuracy": {"a": 10**400}, "epochs": "x" * 99})
    assert "8 classes" in repr(zoo.load("image_folder", device="cpu"))


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\xff" * 8 + b"{}", (2).to_bytes(8, "little") + b"{]"])
def test_damaged_weights_are_named(run: Path, content: bytes) -> None:
    (run / "weights.safetensors").write_bytes(content)
    with pytest.raises(ZooError, match=r"weights\.safetensors"):
        zoo.load(str(run))


def test_a_missing_spec_or_split(run: Path) -> None:
    (run / "split.json").unlink()
    model: Model = zoo.load(str(run), device="cpu")
    assert model.split == {}
    (run / "spec.json").unlink()
    with pytest.raises(ZooError, match=r"spec\.json: damaged"):
        zoo.load(str(run))


def test_labels_that_are_no_text_survive(run: Path, pictures: Path) -> None:
    """A class folder may be named in bytes that are no UTF-8."""
    odd = os.fsdecode(b"caf\xe9")
    rewrite(run / "spec.json", lambda spec: spec | {"labels": [odd, *spec["labels"][1:]]})
    assert zoo.load(str(run), device="cpu").labels[0] == odd
