"""A pickle is a program. None runs, whatever it is called and wherever it lies."""

from __future__ import annotations

import io
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from trained import _trained, pictures, run

import zoo
from security.hostile import Sample, Touch, cases, command, pickled, refusal

__all__ = ["pictures", "run"]


def _saved(value: object, **options: bool) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


FORMS: dict[str, Callable[[Path], bytes]] = {
    "plain": pickled,
    "in letters": lambda sentinel: pickled(sentinel, 0),
    "framed": lambda sentinel: pickled(sentinel, 4),
    "torch": lambda sentinel: _saved({"weight": Touch(sentinel)}),
    "old torch": lambda sentinel: _saved({"weight": Touch(sentinel)}, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_samples_do_run_where_they_are_trusted(form: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    content = FORMS[form](proof)
    torch.load(io.BytesIO(content), weights_only=False) if "torch" in form else pickle.loads(content)
    assert proof.exists(), "the sample is harmless: it would prove nothing"


def _file(name: str) -> Callable[[Path, Path, bytes], Callable[[], object]]:
    def plant(run: Path, folder: Path, content: bytes) -> Callable[[], object]:
        (folder / name).write_bytes(content)
        return lambda: zoo.load(folder / name)

    return plant


def _in_run(name: str) -> Callable[[Path, Path, bytes], Callable[[], object]]:
    def plant(run: Path, folder: Path, content: bytes) -> Callable[[], object]:
        (run / name).write_bytes(content)
        return lambda: zoo.load(run)

    return plant


def _picture(run: Path, folder: Path, content: bytes) -> Callable[[], object]:
    (folder / "1.jpg").write_bytes(content)
    return lambda: command("predict", run, folder / "1.jpg")


def _in_data(run: Path, folder: Path, content: bytes) -> Callable[[], object]:
    for name in ("a/1.png", "b/1.png"):
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / name).write_bytes(content)
    return lambda: command("describe", "image_folder", f"data.root={folder / 'data'}", "data.synthetic=never")


def _annotations(run: Path, folder: Path, content: bytes) -> Callable[[], object]:
    (folder / "mpii" / "images").mkdir(parents=True, exist_ok=True)
    (folder / "mpii" / "mpii_human_pose_v1_u12_1.mat").write_bytes(content)
    return lambda: command("describe", "mpii_activity", f"data.root={folder / 'mpii'}", "data.synthetic=never")


@cases(
    "Pickles",
    *[
        Sample(
            f"a pickle named `model{ending}`",
            "`zoo.load(FILE)`",
            "refused: no safetensors file",
            (_file(f"model{ending}"), f"model{ending}"),
            "no pickles",
        )
        for ending in (".pt", ".pth", ".ckpt", ".safetensors", ".zoo")
    ],
    Sample(
        "a pickle as `weights.safetensors`",
        "`zoo.load(RUN)`",
        "refused",
        (_in_run("weights.safetensors"), "weights.safetensors"),
        "safetensors",
    ),
    *[
        Sample(f"a pickle as `{name}`", "`zoo.load(RUN)`", "refused", (_in_run(name), name))
        for name in ("recipe.yaml", "metrics.json", "spec.json", "split.json")
    ],
    Sample("a pickle as picture", "`zoo predict`", "refused", (_picture, "1.jpg"), "not a picture"),
    Sample(
        "pickles as pictures of a data set",
        "`zoo train`, `zoo describe`",
        "refused, all named at once",
        (_in_data, "a/1.png"),
        "not a picture",
    ),
    Sample("a pickle as MATLAB annotations", "`zoo train`, `zoo describe`", "refused", (_annotations, ".mat"), "MATLAB 5"),
    Sample(
        "a pickle as pretrained `.pth`, its SHA-256 right",
        "the weights' cache",
        "refused: it is read as tensors only",
        test="tests/backbones/test_weights.py::test_a_hostile_checkpoint_is_refused_before_it_runs",
    ),
)
def test_no_pickle_runs(sample: Sample, run: Path, tmp_path: Path, sentinel: Path) -> None:
    plant, name = sample.make
    for form in FORMS.values():
        refusal(plant(run, tmp_path, form(sentinel)), name, sample.says)
        assert not sentinel.exists()


@cases("Pickles", Sample("pickles as a run's checkpoints", "`zoo train --resume RUN`"))
def test_no_checkpoint_runs(sample: Sample, run: Path, tmp_path_factory: pytest.TempPathFactory, sentinel: Path) -> None:
    shutil.copytree(_trained(tmp_path_factory.getbasetemp() / "trained") / "checkpoints", run / "checkpoints")
    files = [*(run / "checkpoints").rglob("*.safetensors")]
    assert files
    for file in files:
        file.write_bytes(pickled(sentinel))
    refusal(lambda: command("train", "--resume", run), str(run / "checkpoints"))
