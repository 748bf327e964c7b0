"""What a study shows of its cells: samples where models make pictures up, the same held-out pictures where they do not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from small import recipe
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.facts import Facts
from zoo.latent import prior
from zoo.model import Model
from zoo.spec import DataSpec
from zoo.studies.outcomes import Outcome
from zoo.studies.pictures import BOXES, NARROW, OUTLINES, SAMPLES, Gallery, HeldOut, gallery
from zoo.tasks.task import Task

SPEC = DataSpec(1, (2, 3), ("cat", "dog", "owl"))


class Dark(Task):
    """Makes pictures of codes, each darker than they say by a factor."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.latent = 6
        self.factor = nn.Parameter(torch.tensor(factor))

    def decode(self, code: Tensor) -> Tensor:
        return torch.special.ndtr(code).reshape(-1, 1, 2, 3) * self.factor

    def sample(self, n: int, label: int | None = None) -> Tensor:
        return self.decode(torch.randn(n, self.latent))


class Told(Dark):
    """The brighter the higher the label; a second sample of one is brighter by a little."""

    conditional: ClassVar[bool] = True

    def sample(self, n: int, label: int | None = None) -> Tensor:
        assert label is not None
        return (torch.arange(n)[:, None, None, None] * 0.02 + 0.2 * (label + 1)).expand(n, 1, 2, 3)


class Mute(Task):
    """Makes no pictures up."""


class Broken(Dark):
    """Fails in a library's own way."""

    def decode(self, code: Tensor) -> Tensor:
        raise RuntimeError("out of <memory>")


Shown = Callable[..., Gallery]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """The gallery of finished cells with these tasks, best first."""

    def show(*tasks: Task, spec: DataSpec = SPEC) -> Gallery:
        models = iter([Model(task, recipe(), Facts(spec, {}, {}), Path("x")) for task in tasks])
        monkeypatch.setattr("zoo.run.Run.read", lambda folder: folder)
        monkeypatch.setattr("zoo.model.from_run", lambda folder: next(models))
        return gallery([Outcome(f"cell{number}", {}, 0, Path("x"), "finished") for number in range(len(tasks))])

    return show


def pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture)


def test_each_cell_has_its_own_samples_by_the_same_seed(shown: Shown) -> None:
    found = shown(Dark(), Dark(0.5))
    assert list(found.strips) == ["cell0", "cell1"] and not found.notes
    assert found.title == "Samples of each cell" and found.caption == "What each cell’s model makes up by seed 0: none was chosen."
    assert found.heads == [(f"sample {number}", "") for number in range(1, 11)] and found.width == NARROW
    expected = torch.special.ndtr(prior.codes(SAMPLES, 6, 0)).reshape(-1, 2, 3).numpy() * 255
    for cell, factor in (("cell0", 1.0), ("cell1", 0.5)):
        drawn = [pixels(tile.png) for tile in found.strips[cell]]
        np.testing.assert_allclose(drawn, expected * factor, atol=0.51)
        assert {(tile.said, tile.right) for tile in found.strips[cell]} == {("", None)}


def test_a_model_that_is_told_labels_shows_each_in_turn(shown: Shown) -> None:
    found = shown(Told(), Dark())
    assert [tile.said for tile in found.strips["cell0"]] == ["cat", "dog", "owl"] * 3 + ["cat"]
    levels = [round(float(pixels(tile.png)[0, 0]) / 255, 2) for tile in found.strips["cell0"]]
    assert levels == [0.2, 0.4, 0.6, 0.22, 0.42, 0.62, 0.24, 0.44, 0.64, 0.26]
    assert {tile.said for tile in found.strips["cell1"]} == {""} and not found.notes
    assert found.caption.endswith("none was chosen. Below a picture: the label asked for.")
    asked: list[int | None] = []
    told = Told()
    told.sample = lambda n, label=None: asked.append(label) or torch.zeros(n, 1, 2, 3)
    many = shown(told, spec=DataSpec(1, (2, 3), tuple(map(str, range(40)))))
    assert [tile.said for tile in many.strips["cell0"]] == [str(number) for number in range(10)]
    assert asked == list(range(10))


def test_large_samples_are_reduced(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    large = Dark()
    monkeypatch.setattr(large, "decode", lambda code: torch.zeros(len(code), 3, 256, 128))
    assert {pixels(tile.png).shape for tile in shown(large).strips["cell0"]} == {(2 * NARROW, NARROW, 3)}


def test_cells_that_cannot_be_shown_are_named(shown: Shown) -> None:
    found = shown(Dark(), Mute(), Broken())
    assert list(found.strips) == ["cell0"]
    assert found.notes[0].startswith("cell1 is not among the pictures: small (classification) makes no pictures up")
    assert found.notes[1] == "cell2 is not among the pictures: RuntimeError: out of <memory>"
    first = shown(Broken(), Dark())
    assert list(first.strips) == ["cell1"] and first.title == "Samples of each cell"


def test_the_best_cell_says_what_is_shown(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*words: object) -> None:
        raise ZooError("its pictures are gone")

    monkeypatch.setattr("zoo.build.source", nowhere)
    found = shown(Mute(), Dark())
    assert found.notes == ["cell0 is not among the pictures: its pictures are gone"] and list(found.strips) == ["cell1"]
    only = shown(Mute())
    assert (only.title, only.strips, len(only.notes)) == ("", {}, 1)


@pytest.mark.parametrize(("masks", "boxed", "told"), [(None, True, BOXES), ((0, 1), False, OUTLINES), (None, False, "")])
def test_what_is_drawn_on_held_out_pictures_is_told(masks: Any, boxed: bool, told: str) -> None:
    held: Any = object.__new__(HeldOut)  # without a data set
    held.known, held.part, held.heads = {"": SimpleNamespace(source=SimpleNamespace(masks=masks, boxed=boxed))}, "val", []
    assert held.gallery({}, []).caption == f"Pictures of “val”, spread evenly over it, under each cell’s model.{told}"
