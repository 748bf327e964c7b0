"""What a model makes up, by method and by command: with networks whose answers are known to the pixel."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from small import recipe
from small import task as classification
from torch import Tensor, nn
from trained import run

import zoo
from zoo import model as models
from zoo import packing
from zoo.__main__ import run_command
from zoo.errors import DataError, RecipeError, ZooError
from zoo.facts import Facts
from zoo.finding import open_run
from zoo.latent import imagine, prior
from zoo.latent.space import Latent
from zoo.model import Model
from zoo.spec import DataSpec
from zoo.tasks.task import Task

__all__ = ["run"]

SPEC = DataSpec(1, (2, 3), ("cat", "dog", "10"), attributes=("Smiling", "No Eyewear"))
FIRST = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)
SECOND = np.array([[255, 0, 0], [51, 51, 51]], np.uint8)


class Plain(Task):
    """An autoencoder whose code is the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def embed(self, image: Tensor) -> Tensor:
        return image.flatten(1)

    def decode(self, code: Tensor) -> Tensor:
        return code.reshape(-1, 1, 2, 3)

    def reconstruct(self, image: Tensor) -> Tensor:
        return 1 - image


class Prior(Plain):
    """The same, with a prior."""

    def sample(self, n: int, label: int | None = None) -> Tensor:
        return torch.rand(n, 1, 2, 3)


class Told(Prior):
    """Draws its label, and can do nothing without one."""

    conditional: ClassVar[bool] = True

    def sample(self, n: int, label: int | None = None) -> Tensor:
        return torch.full((n, 1, 2, 3), 1.0 if label is None else label / 10)


class Generator(Task):
    """Decodes codes of a prior, and takes no picture to a code."""

    def __init__(self) -> None:
        super().__init__()
        self.latent = 6
        self.weight = nn.Parameter(torch.zeros(1))

    def decode(self, code: Tensor) -> Tensor:
        return torch.special.ndtr(code).reshape(-1, 1, 2, 3)

    def sample(self, n: int, label: int | None = None) -> Tensor:
        return self.decode(torch.randn(n, self.latent))


class Both(Generator, Plain):
    """A variational autoencoder: pictures become codes as well."""


class Labelled(Generator):
    """The same with a label, which `decode` is told in truth."""

    conditional: ClassVar[bool] = True


class Colour(Prior):
    """Samples in colour."""

    def sample(self, n: int, label: int | None = None) -> Tensor:
        return torch.tensor([0.2, 0.4, 2.0])[None, :, None, None].expand(n, 3, 2, 3)


def latent() -> Latent:
    """Smiling brightens the first pixel by 0.2, and each code is a grey."""
    codes = np.repeat(np.linspace(0.2, 0.6, 40, dtype=np.float32)[:, None], 6, 1)
    smiling = np.tile([-1.0, 1.0], 20)
    codes[:, 0] = 0.4 + 0.1 * smiling
    return Latent.measure(codes, np.stack([smiling, np.zeros(40)], 1), SPEC.attributes, np.arange(40) % 3)


def model(task: Task, known: Latent | None = None) -> Model:
    return Model(task, recipe(), Facts(SPEC, {}, {}), Path("small.zoo"), known)


def levels(picture: Any) -> NDArray[np.uint8]:
    assert isinstance(picture, Image.Image)
    return np.asarray(picture)


# ---------------------------------------------------------------- samples


def test_a_prior_is_drawn_from_by_seed() -> None:
    prior = model(Prior())
    pictures = prior.sample(5, seed=3)
    assert [(each.size, each.mode) for each in pictures] == [((3, 2), "L")] * 5
    torch.manual_seed(3)
    np.testing.assert_array_equal(np.stack([levels(each) for each in pictures]), (torch.rand(5, 2, 3) * 255).round().numpy())
    assert len(prior.sample()) == 64 and len(prior.sample(imagine.AT_ONCE + 1)) == imagine.AT_ONCE + 1
    assert (levels(prior.sample(1, seed=4)[0]) != levels(pictures[0])).any()
    assert levels(model(Colour()).sample(1)[0])[0, 0].tolist() == [51, 102, 255]


def test_nothing_that_is_made_up_disturbs_the_caller(tmp_path: Path) -> None:
    both = model(Prior(), latent())
    doings: list[Callable[[], object]] = [
        lambda: both.sample(3),
        lambda: both.sample(3, sampler="mixture"),
        lambda: both.edit(FIRST, smiling=1),
        lambda: both.interpolate(FIRST, SECOND),
    ]
    for doing in doings:
        doing()
        torch.manual_seed(9)
        before = torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()
        doing()
        assert (torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()) == before
    assert not torch.is_inference_mode_enabled()


def test_sampling_leaves_the_generators_of_gpus_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    model(Prior()).sample(2)
    assert not seeded


def test_codes_are_drawn_where_there_is_no_prior_or_a_sampler_is_wished() -> None:
    known = latent()
    expected = known.sample(4, 2, "gaussian").clip(0, 1) * 255
    for task, sampler in ((Plain(), None), (Prior(), "gaussian")):
        pictures = model(task, known).sample(4, seed=2, sampler=sampler)
        np.testing.assert_allclose([levels(each).ravel() for each in pictures], expected, atol=0.51)
    kde = model(Plain(), known).sample(4, 2, sampler="pca_kde")
    assert any((levels(one) != levels(other)).any() for one, other in zip(kde, model(Plain(), known).sample(4, 2), strict=True))


@pytest.mark.parametrize(("label", "level"), [(2, 51), ("10", 51), ("dog", 26), (0, 0), ("2", 51), (None, 255)])
def test_a_label_is_given_by_name_or_index(label: Any, level: int) -> None:
    assert (levels(model(Told()).sample(2, label=label)[1]) == level).all()


@pytest.mark.parametrize("label", [3, -1, True, "dg", "3", "-1", "²", "9" * 20, 1.0, np.int64(3), np.float32(1), np.bool_(True)])
def test_labels_that_are_none(label: Any) -> None:
    with pytest.raises(RecipeError, match=r"no such class.*expected an index from 0 to 2, or one of cat, dog, 10"):
        model(Told()).sample(2, label=label)


def test_samples_that_cannot_be() -> None:
    counts: list[Any] = [0, -1, True, 2.0, "3", np.float64(2), np.bool_(True), np.int8(-1), [2]]
    for count in counts:
        with pytest.raises(RecipeError, match=r"count=.*expected a whole number from 1 on"):
            model(Prior()).sample(count)
    for task, known in ((Prior(), None), (Plain(), latent())):
        with pytest.raises(RecipeError, match=r"small \(classification\) is not told classes, so label=1 means nothing to it"):
            model(task, known).sample(2, label=1)
        with pytest.raises(RecipeError, match="seed=-1: expected a whole number"):
            model(task, known).sample(2, seed=-1)
    with pytest.raises(
        RecipeError, match=r"decodes no codes that the sampler 'normal' could draw; it offers model.embed\(\), model.sample"
    ):
        model(Told()).sample(2, sampler="normal")
    with pytest.raises(RecipeError, match="its codes were not measured"):
        model(Plain()).sample(2)
    with pytest.raises(RecipeError, match="'pca_kde' needs the codes of training pictures"):
        model(Plain(), latent().given_away()).sample(2, sampler="pca_kde")


def test_whole_numbers_of_other_libraries_are_numbers() -> None:
    """As they come out of arrays and tensors."""
    generator, told, plain = model(Generator()), model(Told()), model(Plain(), latent())
    same: list[tuple[Any, Any]] = [
        (generator.sample(3, 2), generator.sample(torch.tensor(3), np.uint32(2))),
        (told.sample(2, label=1), told.sample(np.int64(2), np.int8(0), np.int64(1))),
        (plain.sample(2, 3), plain.sample(np.int16(2), np.array(3))),
        (plain.interpolate(FIRST, SECOND, 3), plain.interpolate(FIRST, SECOND, np.int64(3))),
        (generator.interpolate_seeds(1, 2, 3), generator.interpolate_seeds(np.int64(1), np.int64(2), np.int64(3))),
        (plain.reconstruct([FIRST, SECOND], 1), plain.reconstruct([FIRST, SECOND], np.int64(1))),
    ]
    for expected, found in same:
        np.testing.assert_array_equal([levels(each) for each in expected], [levels(each) for each in found])


# ---------------------------------------------------------------- made-up pictures of a model that decodes and embeds nothing


@pytest.mark.parametrize("kind", [Generator, Both])
def test_a_seed_means_the_same_codes_in_samples_decoding_and_ways(kind: type[Task]) -> None:
    made = model(kind())
    codes = prior.codes(imagine.AT_ONCE + 2, 6, 4)
    pictures = made.sample(len(codes), seed=4)
    decoded = made.decode(codes)
    assert isinstance(decoded, list) and len(pictures) == len(codes)
    np.testing.assert_array_equal([levels(each) for each in pictures], [levels(each) for each in decoded])
    np.testing.assert_array_equal(
        [levels(each) for each in made.sample(2, seed=4, sampler="normal")], [levels(each) for each in decoded[:2]]
    )
    way = made.interpolate_seeds(4, 9, 5)
    ends = [levels(made.sample(1, seed)[0]).astype(int) for seed in (4, 9)]
    assert len(way) == 5 and (ends[0] != ends[1]).all()
    for found, end in ((way[0], ends[0]), (way[-1], ends[1])):
        assert np.abs(levels(found) - end).max() <= 1
    straight = made.interpolate_seeds(4, 9, 3, "linear")[1]
    middle = made.decode((prior.codes(1, 6, 4) + prior.codes(1, 6, 9))[0] / 2)
    assert np.abs(levels(straight).astype(int) - levels(middle)).max() <= 1
    assert (levels(straight) != levels(made.interpolate_seeds(4, 9, 3)[1])).any()


def test_truncated_codes_stay_near_the_middle() -> None:
    made = model(Generator())
    found = np.stack([levels(each) for each in made.sample(300, 1, truncation=0.5)]) / 255
    assert found.min() > 0.30 and found.max() < 0.70  # the distribution function of N(0, 1) at -0.5 is 0.309
    assert found.std() == pytest.approx(0.384 / 3, rel=0.15)  # of a nearly even density over -0.5 to 0.5
    np.testing.assert_array_equal([levels(each) for each in made.sample(2, 1, truncation=0.5)], (found[:2] * 255).round())
    way = np.stack([levels(each) for each in made.interpolate_seeds(1, 2, 4, truncation=0.5)]) / 255
    assert np.abs(way[0] - found[0]).max() < 0.006 and way.min() > 0.3 and way.max() < 0.7


def test_truncation_is_of_a_prior_alone() -> None:
    for kind in (Plain, Prior):
        with pytest.raises(RecipeError, match=r"truncation=0.7: small \(classification\) has no prior N\(0, I\) whose codes alone become"):
            model(kind(), latent()).sample(2, truncation=0.7)
    assert len(model(Labelled()).sample(2)) == 2
    for told in (Told(), Labelled()):
        with pytest.raises(RecipeError, match=r"makes no pictures of codes alone, so truncation=0\.7 means nothing to it; it offers model"):
            model(told, latent()).sample(2, truncation=0.7)
    with pytest.raises(RecipeError, match=r"truncation=0\.7 is of the model's prior, and the sampler 'gaussian' draws other codes"):
        model(Both(), latent()).sample(2, sampler="gaussian", truncation=0.7)
    thresholds: list[Any] = [0, 6, "1", True, float("nan")]
    for threshold in thresholds:
        with pytest.raises(RecipeError, match=r"truncation=.*: expected a number from 0\.01"):
            model(Generator()).sample(2, truncation=threshold)
    with pytest.raises(RecipeError, match="seed=-1: expected a whole number"):
        model(Generator()).interpolate_seeds(0, -1)
    with pytest.raises(RecipeError, match="steps=1: expected a whole number from 2 on"):
        model(Generator()).interpolate_seeds(0, 1, 1)


def test_an_autoencoder_has_ways_between_codes_like_those_of_its_pictures() -> None:
    plain = model(Plain(), latent())
    way = plain.interpolate_seeds(3, 4, 3)
    assert np.abs(levels(way[-1]).astype(int) - levels(plain.sample(1, seed=4)[0])).max() <= 1
    with pytest.raises(RecipeError, match="its codes were not measured"):
        model(Plain()).interpolate_seeds(3, 4)


def test_a_model_that_embeds_nothing_says_what_it_can_instead() -> None:
    made = model(Generator())
    doings: list[tuple[Callable[[], object], str]] = [
        (lambda: made.edit(FIRST, smiling=1), "takes no picture to a code and back"),
        (lambda: made.interpolate(FIRST, SECOND), "takes no picture to a code and back"),
        (lambda: made.reconstruct(FIRST), "reconstructs no pictures"),
        (lambda: made.embed(FIRST), "has no embedding"),
        (lambda: made.predict(FIRST), "predicts no classes"),
        (lambda: made.sample(2, sampler="pca_kde"), "its codes were not measured"),
    ]
    for doing, cannot in doings[:-1]:
        with pytest.raises(RecipeError, match=rf"{cannot}.*; it offers model.sample\(\), model.decode\(\), model.interpolate_seeds\(\)$"):
            doing()
    with pytest.raises(RecipeError, match=doings[-1][1]):
        doings[-1][0]()
    with pytest.raises(RecipeError, match=r"expected \(6,\) or \(N, 6\) of finite numbers"):
        made.decode(np.zeros(5))
    with pytest.raises(
        RecipeError, match=r"predicts no classes; it offers model.embed\(\), model.reconstruct\(\), model.sample\(\), .*edit"
    ):
        model(Plain(), latent()).predict(FIRST)
    with pytest.raises(RecipeError, match=r"predicts no classes; its network is model\.task$"):
        model(Task()).predict(FIRST)


# ---------------------------------------------------------------- codes


def test_codes_become_pictures() -> None:
    plain = model(Plain())
    codes = plain.embed([FIRST, SECOND])
    found = plain.decode(codes)
    assert isinstance(found, list)
    np.testing.assert_array_equal([levels(each) for each in found], [FIRST, SECOND])
    assert (levels(plain.decode(codes[1].tolist())) == SECOND).all() and plain.decode(codes[:0]) == []
    assert (levels(plain.decode(codes[0].double().numpy())) == FIRST).all()
    many = plain.decode(np.zeros((imagine.AT_ONCE + 2, 6)))
    assert isinstance(many, list) and len(many) == imagine.AT_ONCE + 2
    wrong: list[Any] = [np.zeros(5), np.zeros((1, 1, 6)), np.full(6, np.nan), "code", None, 3.0]
    for codes in wrong:
        for each in (plain, model(Plain(), latent())):
            with pytest.raises(RecipeError, match=r"expected \(6,\) or \(N, 6\) of finite numbers"):
                each.decode(codes)


def test_an_edit_moves_a_picture_along_directions() -> None:
    known = model(Plain(), latent())
    edited = levels(known.edit(FIRST, smiling=+1.5)).astype(int) - FIRST
    assert edited[0, 0] == pytest.approx(0.3 * 255, abs=1) and np.abs(edited.ravel()[1:]).max() < 12
    assert (levels(known.edit(FIRST)) == FIRST).all()
    assert (levels(known.edit(FIRST, **{"SMILING": 0.5})) == levels(known.edit(FIRST, smiling=0.5))).all()
    assert levels(known.edit(SECOND, smiling=1))[0, 0] == 255  # no brighter than white


def test_a_strip_moves_one_attribute_and_keeps_the_others() -> None:
    codes = np.eye(6, dtype=np.float32)[:4] * 0.1
    known = Latent(codes.mean(0), np.eye(6, dtype=np.float32), codes[:2], SPEC.attributes)
    rows = imagine.strips(model(Plain(), known), FIRST, {"smiling": 1.0, "no_eyewear": -2.0})
    first, second = ([levels(each).ravel()[:2].tolist() for each in row] for row in rows)
    assert first == [[0, 0], [0, 0], [0, 0], [26, 0], [51, 0]]
    assert second == [[26, 0], [26, 26], [26, 51], [26, 76], [26, 102]]


def test_edits_that_cannot_be() -> None:
    known = model(Plain(), latent())
    for name, strength, message in (
        ("smilin", 1, r"no attribute 'smilin' .did you mean `smiling`"),
        ("smiling", 3, "smiling=3: expected a strength from -2 to 2"),
        ("no_eyewear", 1, "'No Eyewear' has no direction"),
    ):
        with pytest.raises(RecipeError, match=message):
            known.edit(FIRST, **{name: strength})
    several: Any = [FIRST, SECOND]
    with pytest.raises(RecipeError, match="2 pictures where one is expected"):
        known.edit(several, smiling=1)
    with pytest.raises(DataError, match=r"nowhere\.png"):
        known.edit("nowhere.png", smiling=1)
    with pytest.raises(RecipeError, match=r"its codes were not measured.*train it again"):
        model(Plain()).edit(FIRST, smiling=1)


def test_a_way_leads_from_picture_to_picture() -> None:
    plain = model(Plain())
    straight = plain.interpolate(FIRST, SECOND, 3, "linear")
    np.testing.assert_array_equal([levels(each) for each in straight[::2]], [FIRST, SECOND])
    np.testing.assert_allclose(levels(straight[1]), (FIRST.astype(float) + SECOND) / 2, atol=0.51)
    round_way = plain.interpolate(FIRST, SECOND)
    assert len(round_way) == 8 and (levels(round_way[0]) == FIRST).all() and (levels(round_way[-1]) == SECOND).all()
    assert (levels(plain.interpolate(FIRST, SECOND, 3)[1]) != levels(straight[1])).any()
    with pytest.raises(RecipeError, match="steps=1: expected a whole number from 2 on"):
        plain.interpolate(FIRST, SECOND, 1)


def test_pictures_are_reconstructed_one_or_many() -> None:
    plain = model(Plain())
    assert (levels(plain.reconstruct(FIRST)) == 255 - FIRST).all()
    found = plain.reconstruct([FIRST, SECOND, FIRST], batch_size=2)
    assert isinstance(found, list)
    np.testing.assert_array_equal([levels(each) for each in found], [255 - FIRST, 255 - SECOND, 255 - FIRST])
    assert levels(plain.reconstruct(np.zeros((40, 60), np.uint8))).shape == (2, 3)


def test_a_model_that_needs_a_label_says_so() -> None:
    told = model(Told(), latent())
    doings: list[Callable[[], object]] = [
        lambda: told.reconstruct(FIRST),
        lambda: told.edit(FIRST, smiling=1),
        lambda: told.interpolate(FIRST, SECOND),
        lambda: told.decode(np.zeros(6)),
    ]
    for doing in doings:
        with pytest.raises(
            RecipeError, match=r"(by themselves|become pictures|code and back); it offers model.embed\(\), model.sample\(\)$"
        ):
            doing()


# ---------------------------------------------------------------- a run that cannot, and one that keeps its codes


def test_a_classifier_says_what_it_can_instead() -> None:
    classifier, picture = model(classification()), np.zeros((32, 32, 3), np.uint8)
    doings: list[tuple[Callable[[], object], str]] = [
        (lambda: classifier.sample(2), "makes no pictures up"),
        (lambda: classifier.sample(2, truncation=1), "makes no pictures of codes alone, so truncation=1 means nothing to it"),
        (lambda: classifier.edit(picture, smiling=1), "takes no picture to a code and back"),
        (lambda: classifier.interpolate(picture, picture), "takes no picture to a code"),
        (lambda: classifier.interpolate_seeds(0, 1), "makes no pictures of codes alone, so no way leads from seed to seed"),
        (lambda: classifier.decode([0.0]), "has no codes that become pictures"),
        (lambda: classifier.segment(picture), "makes no masks"),
        (lambda: classifier.reconstruct(picture), "reconstructs no pictures"),
    ]
    for doing, cannot in doings:
        with pytest.raises(RecipeError, match=rf"small \(classification\) {cannot}.*; it offers model.predict\(\), model.embed\(\)$"):
            doing()


def test_a_run_keeps_its_code_space(run: Path) -> None:
    assert zoo.load(str(run), device="cpu").latent is None
    file = run / "latent.safetensors"
    kept = Latent.measure(np.random.default_rng(0).normal(size=(20, 5)), labels=np.arange(20) % 3)
    file.write_bytes(kept.to_bytes())
    found = zoo.load(str(run), device="cpu").latent
    assert found is not None and found.codes is not None and kept.codes is not None
    np.testing.assert_array_equal(found.codes, kept.codes)
    np.testing.assert_array_equal(found.covariance, kept.covariance)
    shared = zoo.load(str(packing.pack(open_run(run), run / "x.zoo")), device="cpu").latent
    assert shared is not None and shared.codes is None and shared.labels is None
    np.testing.assert_array_equal(shared.covariance, kept.covariance)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ZooError, match=r"latent\.safetensors: cannot be read as safetensors"):
        zoo.load(str(run), device="cpu")


def test_a_damaged_code_space_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save

    file = tmp_path / "latent.safetensors"
    whole = Latent.measure(np.eye(5)).to_bytes()
    other = Latent.measure(np.eye(5), np.eye(5)[:, :1], ("Smiling",)).to_bytes()
    half = save({"mean": torch.zeros(2, dtype=torch.bfloat16)}, metadata={"names": "[]"})
    for content, message in (
        (whole[:-9], "cannot be read as safetensors"),
        (b"\x80\x04pickle!" * 9, "not a safetensors file"),
        (other, r"its attributes are \['Smiling'\], those of the run \[\]"),
        (whole.replace(b'"[]"', b'"[["', 1), "no code space of this run"),
        (half, "no code space of this run"),
        (save({"mean": torch.zeros(2)}), "its attributes are None"),
    ):
        file.write_bytes(content)
        with pytest.raises(ZooError, match=message):
            packing.read_latent(file, ())
    file.write_bytes(whole)
    assert packing.read_latent(file, ()) is not None and packing.read_latent(tmp_path / "none", ()) is None
    monkeypatch.setattr(packing, "MAX_LATENT", len(whole) - 1)
    with pytest.raises(ZooError, match=r"more than the .* that are read"):
        packing.read_latent(file, ())


# ---------------------------------------------------------------- commands


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with two pictures; commands load a model with a prior and measured codes."""
    folder = tmp_path / "here"
    (folder / "in" / "cats").mkdir(parents=True)
    Image.fromarray(FIRST).save(folder / "in" / "a.png")
    Image.fromarray(SECOND).save(folder / "in" / "cats" / "b.png")
    monkeypatch.chdir(folder)
    kinds = {"told": Told, "generator": Generator}
    monkeypatch.setattr(models, "load", lambda what, device: model(kinds.get(what, Prior)(), None if what == "generator" else latent()))
    return folder


COMMANDS = {
    "sample": ("sample RUN", "small_samples.png"),
    "labelled": ("sample told --label 10 --count 5", "small_samples.png"),
    "sampler": ("sample RUN --sampler mixture --seed 4", "small_samples.png"),
    "truncated": ("sample generator --truncation 0.7 --count 3", "small_samples.png"),
    "edit": ("edit RUN in/a.png smiling=+1.5", "a_edited.png"),
    "strip": ("edit RUN in/a.png smiling --strip", "a_edited.png"),
    "interpolate": ("interpolate RUN in/a.png in/cats/b.png --how linear", "small_interpolation.png"),
    "options first": ("interpolate RUN --how linear in/a.png in/cats/b.png", "small_interpolation.png"),
    "seeds": ("interpolate generator --seeds 3 8 --steps 5", "small_interpolation.png"),
    "truncated seeds": ("interpolate --seeds 3 8 --truncation 0.5 generator", "small_interpolation.png"),
    "plane": ("plane RUN", "small_plane.png"),
    "folder last": ("plane RUN --by label in", "small_plane.png"),
    "by": ("plane RUN --by smiling", "small_plane.png"),
    "folder": ("plane RUN in --by label", "small_plane.png"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_writes_a_picture_and_says_where(command: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (name, *words), file = COMMANDS[command][0].split(), COMMANDS[command][1]
    assert run_command(name, words) == 0
    assert capsys.readouterr().out == f"{file}\n"
    with Image.open(here / file) as picture:
        assert picture.format == "PNG" and (picture.size == (3, 2)) == (command == "edit")
    assert run_command(name, words) == 2  # it is there already
    assert f"{file}: is there already; choose a file with --to FILE" in capsys.readouterr().err
    assert run_command(name, [*words, "--to", file]) == 0
    assert run_command(name, [*words, "--to", "new.png"]) == 0
    assert (here / "new.png").read_bytes() == (here / file).read_bytes()
    assert run_command(name, [*words, "--to", "nowhere/new.png"]) == 2
    assert run_command(name, [*words, "--to", "in"]) == 2
    assert not [each for each in here.iterdir() if each.name.startswith(".")]


def test_what_is_asked_by_command_reaches_the_model(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    for name in ("sample", "interpolate", "interpolate_seeds"):
        monkeypatch.setattr(imagine, name, lambda _, *words: asked.append(words) or [Image.new("L", (3, 2))] * 2)
    for words in (
        "sample RUN --count 2 --seed 5 --truncation 0.7",
        "interpolate RUN --seeds 3 8 --steps 5 --how linear --truncation 0.5",
        "interpolate RUN --steps 4 in/a.png in/cats/b.png",
    ):
        name, *rest = words.split()
        assert run_command(name, [*rest, "--to", "x.png"]) == 0
    assert asked[:2] == [(2, 5, None, None, 0.7), (3, 8, 5, "linear", 0.5)]
    assert asked[2] == (Path("in/a.png"), Path("in/cats/b.png"), 4, "spherical")


def test_an_edit_by_command_is_that_of_the_model(here: Path) -> None:
    assert run_command("edit", ["RUN", "in/a.png", "smiling=-0.5", "--to", "x.png"]) == 0
    with Image.open("x.png") as picture:
        assert (np.asarray(picture) == levels(model(Prior(), latent()).edit(FIRST, smiling=-0.5))).all()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("sample RUN --count 0", 2, "--count 0: expected a number from 1 to 1024"),
        ("sample RUN --count 1025", 2, "--count 1025"),
        ("sample RUN --sampler kde", 2, "no sampler 'kde'"),
        ("sample RUN --label 1", 2, "is not told classes, so label='1'"),
        ("edit RUN in/a.png smiling", 2, "smiling: expected NAME=STRENGTH, such as smiling=+1.5"),
        ("edit RUN in/a.png smiling=big", 2, "smiling=big: expected NAME=STRENGTH"),
        ("edit RUN in/a.png smiling=nan", 2, "smiling=nan: expected a strength"),
        ("edit RUN in/a.png smiling=1 Smiling=2", 2, "Smiling=2: named twice"),
        ("edit RUN in/a.png =1", 2, "=1: no name"),
        ("edit RUN in/a.png simling=1", 2, "did you mean `smiling`"),
        ("edit RUN in smiling=1", 2, "in: a folder; expected one picture file"),
        ("edit RUN in/c.png smiling=1", 3, "in/c.png: no such file or folder"),
        ("edit RUN in/a.png smiling=1 --to in/a.png", 2, "this file was given, and would be written over"),
        ("interpolate RUN in/a.png in/a.png --steps 1", 2, "--steps 1: expected a number from 2 to 64"),
        ("interpolate RUN in/a.png in/a.png --to in/a.png", 2, "would be written over"),
        ("interpolate RUN in/a.png nowhere", 3, "nowhere: no such file or folder"),
        ("interpolate told in/a.png in/a.png", 2, "takes no picture to a code and back"),
        ("interpolate generator in/a.png in/a.png", 2, "it offers model.sample(), model.decode(), model.interpolate_seeds()"),
        ("interpolate RUN", 2, "0 pictures: expected two pictures, A B, or --seeds A B"),
        ("interpolate RUN in/a.png", 2, "1 picture: expected two pictures, A B, or --seeds A B"),
        ("interpolate generator in/a.png in/a.png --seeds 3 8", 2, "pictures as well as --seeds: expected two pictures"),
        ("interpolate RUN in/a.png in/a.png --truncation 0.7", 2, "--truncation 0.7: is of made-up pictures; give --seeds A B"),
        ("interpolate generator --seeds 3 -8", 2, "seed=-8: expected a whole number"),
        ("sample generator --truncation 7", 2, "truncation=7.0: expected a number from 0.01"),
        ("sample RUN --truncation 0.7", 2, "has no prior N(0, I)"),
        ("plane generator", 2, "has no embedding; it offers model.sample()"),
        ("plane generator in", 2, "has no embedding; it offers model.sample()"),
        ("sample RUN --to /proc/x.png", 2, "--to /proc/x.png: no file can be made in /proc (No such file or directory); expected a file"),
        ("reconstruct RUN in --to /proc/x", 1, "cannot be written (No such file or directory): make room there, or choose another place"),
        ("plane RUN nowhere", 2, "nowhere: no such folder"),
        ("plane RUN in --to in/a.png", 2, "would be written over"),
        ("sample RUN --to /dev/null", 2, "is no file; expected a file to write"),
        ("plane RUN --by smilin", 2, "--by smilin: not known of these pictures (did you mean `Smiling`?); expected one of label, Smiling"),
        ("plane RUN in --by smiling", 2, "--by smiling: not known of these pictures; expected one of label"),
        ("plane RUN in/cats", 2, "1 codes are too few for pca"),
        ("plane RUN in/cats --by label", 2, "no classes are known of these pictures"),
        ("reconstruct RUN in/a.png --to in", 3, "in/a.png is one of the pictures given, and would be written over"),
        ("reconstruct RUN in --to no/out", 2, "there is no folder no"),
        ("reconstruct RUN in --to in/a.png", 2, "is a file"),
        ("reconstruct told in --to out", 2, "reconstructs no pictures by themselves"),
    ],
)
def test_commands_that_cannot_say_so(words: str, code: int, message: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(here.rglob("*"))
    name, *rest = words.split()
    assert run_command(name, rest) == code
    said = capsys.readouterr()
    assert message in said.err and not said.out
    assert sorted(here.rglob("*")) == before


def test_reconstructions_keep_the_names_of_their_pictures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("reconstruct", ["RUN", "in", "--to", "out", "--batch-size", "1"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "out" and "2 pictures of 2x3 pixels, the model's own size" in said.err
    for name, picture in (("a", FIRST), ("b", SECOND)):
        with Image.open(here / "out" / f"{name}.png") as found:
            assert (np.asarray(found) == 255 - picture).all()


def test_reconstructions_write_over_nothing_unless_told_to(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "out").mkdir()
    elsewhere = tmp_path / "elsewhere.png"
    elsewhere.write_bytes(b"precious")
    os.symlink(elsewhere, here / "out" / "a.png")
    assert run_command("reconstruct", ["RUN", "in", "--to", "out"]) == 2
    assert "out/a.png: is there already; choose another folder, or write over it with --force" in capsys.readouterr().err
    assert run_command("reconstruct", ["RUN", "in", "--to", "out", "--force"]) == 0
    assert elsewhere.read_bytes() == b"precious" and (here / "out" / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_a_plane_without_kept_codes_asks_for_a_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for known in (None, latent().given_away()):
        monkeypatch.setattr(models, "load", lambda what, device, known=known: model(Prior(), known))
        assert run_command("plane", ["RUN"]) == 2
        assert "name a folder of pictures as well" in capsys.readouterr().err
        assert run_command("plane", ["RUN", "in", "--to", "x.png"]) == 0


@pytest.mark.parametrize("command", ["sample", "edit", "interpolate", "plane", "reconstruct"])
def test_help_is_light(command: str) -> None:
    code = f"""
import json, sys
from zoo.__main__ import run_command
try:
    run_command("{command}", ["--help"])
except SystemExit as done:
    assert done.code == 0
print(json.dumps(sorted({{"torch", "numpy", "matplotlib", "sklearn", "scipy", "PIL"}} & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [] and "--to" in done.stdout


def test_two_pictures_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    from zoo.errors import DataError
    from zoo.reconstruct import _paths

    with pytest.raises(DataError, match=r"a\.jpg and .*a\.png would both become .*a\.png; give one of them alone, or rename it"):
        _paths([tmp_path / "a.jpg", tmp_path / "a.png"], tmp_path / "out", force=False)


def test_a_code_space_of_another_width_is_not_used() -> None:
    known = latent()
    other = Latent(known.mean[:1], known.covariance[:1, :1], known.directions[:, :1], known.names)
    mixed = model(Plain(), other)
    for call in (lambda: mixed.edit(FIRST, smiling=1), lambda: mixed.sample(2)):
        with pytest.raises(ZooError, match=r"its code space is of codes of 1 numbers, and its network gives \d"):
            call()
