"""A code space is measured as documented, kept without being believed, drawn from by seed, and laid out in a plane."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load

from zoo.latent import codes as ways
from zoo.latent.codes import interpolate, plane
from zoo.latent.samplers import SAMPLERS
from zoo.latent.space import KEPT, Latent, direction_between, evenly

RNG = np.random.default_rng(5)
CODES: NDArray[np.float32] = (RNG.normal(size=(200, 4)) * [1, 2, 3, 0.5] + [0, 1, 2, 3]).astype(np.float32)
VALUES = np.stack([CODES[:, 0] + 0.1, (CODES[:, 1] > 4) * 1.0], 1).astype(np.float32)
LABELS = np.arange(200) % 3
LATENT = Latent.measure(CODES, VALUES, ("Smiling", "No Eyewear"), LABELS)


# ---------------------------------------------------------------- measured


def test_mean_and_covariance_are_those_of_the_codes() -> None:
    np.testing.assert_allclose(LATENT.mean, CODES.mean(0), rtol=1e-5)
    plain = np.cov(CODES.T, bias=True)
    np.testing.assert_allclose(LATENT.covariance, plain, atol=0.06 * plain.max())
    assert np.trace(LATENT.covariance) == pytest.approx(np.trace(plain), rel=1e-4)  # shrunk towards its own mean variance
    few = Latent.measure(CODES[:3])
    assert np.linalg.eigvalsh(few.covariance.astype(np.float64)).min() > 1e-4  # three codes span two dimensions only


@pytest.mark.parametrize(("number", "ends"), [(200, 30), (60, 15), (20, 15)])
def test_a_direction_goes_from_the_least_to_the_most(number: int, ends: int) -> None:
    codes, values = CODES[:number], VALUES[:number, 0]
    order = np.argsort(values)
    most = [row for row in order[-ends:] if values[row] > values.mean()]
    least = [row for row in order[:ends] if values[row] < values.mean()]
    np.testing.assert_allclose(direction_between(codes, values), codes[most].mean(0) - codes[least].mean(0), rtol=1e-4, atol=1e-5)


def test_of_an_attribute_that_is_there_or_not_all_pictures_count() -> None:
    rare = VALUES[:, 1]
    assert 5 < rare.sum() < 30
    expected = CODES[rare == 1].mean(0) - CODES[rare == 0].mean(0)
    np.testing.assert_allclose(LATENT.directions[1], expected, rtol=1e-4, atol=1e-5)
    order = RNG.permutation(200)
    np.testing.assert_allclose(direction_between(CODES[order], rare[order]), LATENT.directions[1], rtol=1e-4, atol=1e-5)


def test_unknown_values_are_left_out_and_equal_ones_have_no_direction() -> None:
    values = VALUES[:, 0].copy()
    values[:50], values[0] = np.nan, np.inf
    np.testing.assert_allclose(direction_between(CODES, values), direction_between(CODES[50:], values[50:]))
    for alike in (1, np.nan):
        assert not direction_between(CODES, np.full(200, alike, np.float32)).any()
    with pytest.raises(ValueError, match="'Hat' has no direction: all training pictures have it alike"):
        Latent.measure(CODES, np.ones((200, 1)), ("Hat",)).direction("hat")


def test_at_most_ten_thousand_codes_are_kept_evenly() -> None:
    codes = np.arange(25_000, dtype=np.float32)[:, None]
    latent = Latent.measure(codes, codes, ("Place",), np.arange(25_000))
    assert latent.codes is not None and latent.attributes is not None and latent.labels is not None
    assert len(latent.codes) == 10_000 and latent.codes[[0, -1], 0].tolist() == [0, 24_999]
    assert (
        np.diff(latent.codes[:, 0]).max() == 3 and (latent.attributes == latent.codes).all() and (latent.labels == latent.codes[:, 0]).all()
    )
    assert latent.mean[0] == pytest.approx(12_499.5)  # of all
    assert evenly(3, 10).tolist() == [0, 1, 2] and evenly(0, 10).tolist() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(4),), r"codes of shape \(4,\); expected \(N, D\)"),
        ((np.zeros((0, 4)),), r"codes of shape \(0, 4\)"),
        ((np.full((3, 2), np.inf),), "codes hold values that are not finite"),
        ((CODES, VALUES, ("Smiling",)), "1 names for attributes"),
        ((CODES, None, ("Smiling",)), "1 names for attributes None"),
        ((CODES, None, (), [1, 2]), r"labels of shape \(2,\) for 200 codes"),
    ],
)
def test_what_cannot_be_measured(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Latent.measure(*arguments)


# ---------------------------------------------------------------- edited


def test_attributes_are_named_as_people_write_them() -> None:
    for name in ("No Eyewear", "no_eyewear", "NO-EYEWEAR", " no  eyewear"):
        assert (LATENT.direction(name) == LATENT.directions[1]).all()
    with pytest.raises(ValueError, match=r"no attribute 'smilng' .did you mean `smiling`.*; expected one of smiling, no_eyewear"):
        LATENT.direction("smilng")
    with pytest.raises(ValueError, match="no attribute 'smiling'; the model's data has no attributes"):
        Latent.measure(CODES).direction("smiling")
    twins = Latent.measure(CODES, VALUES, ("smiling", "Smiling"))
    assert (twins.direction("Smiling") == twins.directions[1]).all()  # exactly the name that was given


def test_an_edit_adds_directions_by_strength() -> None:
    edited = LATENT.edited(CODES[0], {"smiling": 1.5, "no_eyewear": -1})
    np.testing.assert_allclose(edited, CODES[0] + 1.5 * LATENT.directions[0] - LATENT.directions[1], rtol=1e-5)
    strip = LATENT.strip(CODES[0], "smiling")
    assert strip.shape == (5, 4) and (strip[2] == CODES[0]).all()
    np.testing.assert_allclose(strip[4] - strip[0], 4 * LATENT.directions[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("strength", [2.01, -3, float("nan"), "1"])
def test_strengths_that_are_none(strength: Any) -> None:
    with pytest.raises(ValueError, match=r"smiling=.*: expected a strength from -2 to 2"):
        LATENT.edited(CODES[0], {"smiling": strength})


# ---------------------------------------------------------------- kept


def test_what_is_kept_comes_back() -> None:
    content = LATENT.to_bytes()
    names = json.loads(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]["names"])
    again = Latent.from_tensors(load(content), names)
    assert again.names == LATENT.names
    for field, array in LATENT.to_tensors().items():
        np.testing.assert_array_equal(getattr(again, field), array)
        assert getattr(again, field).dtype == array.dtype


def test_what_is_given_away_holds_nothing_of_single_pictures() -> None:
    shared = LATENT.given_away()
    assert set(shared.to_tensors()) == {"mean", "covariance", "directions"} and shared.names == LATENT.names
    assert Latent.from_tensors(shared.to_tensors(), shared.names).codes is None


def test_a_code_space_without_attributes_and_labels() -> None:
    latent = Latent.measure(CODES)
    assert latent.directions.shape == (0, 4) and set(latent.to_tensors()) == {"mean", "covariance", "directions", "codes"}
    assert Latent.from_tensors(latent.to_tensors(), ()).labels is None


EMPTY: dict[str, tuple[int, ...]] = {"mean": (0,), "covariance": (0, 0), "directions": (2, 0), "codes": (200, 0)}
WIDE: dict[str, tuple[int, ...]] = {"mean": (4097,), "covariance": (4097, 4097), "directions": (2, 4097)}
HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"mean": None}, r"missing \['mean'\]"),
    "unknown": ({"pickle": np.zeros(1, np.float32)}, r"not known \['pickle'\]"),
    "width": ({"mean": np.zeros(5, np.float32)}, r"covariance is float32 \(4, 4\); expected float32 \(5, 5\)"),
    "empty": ({key: np.zeros(shape, np.float32) for key, shape in EMPTY.items()}, "200 codes of 0 numbers"),
    "flat": ({"codes": np.float32(3).reshape(())}, "codes is float32"),
    "names": ({"directions": np.zeros((3, 4), np.float32)}, r"directions is float32 \(3, 4\); expected float32 \(2, 4\)"),
    "kind": ({"mean": LATENT.mean.astype(np.float64)}, "mean is float64"),
    "labels": ({"labels": LABELS.astype(np.float32)}, "labels is float32"),
    "negative": ({"labels": LABELS - 1}, "labels holds negative numbers"),
    "length": ({"labels": LABELS[:9]}, r"labels is int64 \(9,\); expected int64 \(200,\)"),
    "finite": ({"mean": np.full(4, np.nan, np.float32)}, "mean holds values that are not finite"),
    "crooked": ({"covariance": LATENT.covariance + np.triu(np.ones((4, 4), np.float32), 1)}, "covariance is not symmetric"),
    "variance": ({"covariance": -np.eye(4, dtype=np.float32)}, "negative variance"),
    "wide": ({key: np.zeros(shape, np.float32) for key, shape in WIDE.items()} | dict.fromkeys(KEPT), "of 4097 numbers"),
    "many": ({"codes": np.zeros((10_001, 4), np.float32), "attributes": None, "labels": None}, "expected at most"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_tensors_that_are_no_code_space(what: str) -> None:
    changes, message = HOSTILE[what]
    tensors = {key: array for key, array in (LATENT.to_tensors() | changes).items() if array is not None}
    with pytest.raises(ValueError, match=message):
        Latent.from_tensors(tensors, LATENT.names)


# ---------------------------------------------------------------- drawn from


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_draws_the_same_codes_and_leaves_numpys_own(sampler: str) -> None:
    before = str(np.random.get_state())
    drawn = LATENT.sample(7, 3, sampler)
    assert drawn.shape == (7, 4) and drawn.dtype == np.float32
    assert (LATENT.sample(7, 3, sampler) == drawn).all() and (LATENT.sample(7, 4, sampler) != drawn).any()
    assert str(np.random.get_state()) == before


def test_each_sampler_has_its_distribution() -> None:
    def moments(sampler: str) -> tuple[NDArray[Any], NDArray[Any]]:
        drawn = LATENT.sample(20_000, 0, sampler)
        return drawn.mean(0), drawn.std(0)

    spread, fitted = CODES.std(0), np.sqrt(LATENT.covariance.diagonal())
    np.testing.assert_allclose(moments("normal"), (np.zeros(4), np.ones(4)), atol=0.05)
    for sampler, width in (("gaussian", fitted), ("mixture", spread), ("pca_kde", spread * (1 + 200 ** (-2 / 8)) ** 0.5)):
        mean, deviation = moments(sampler)
        np.testing.assert_allclose(mean, CODES.mean(0), atol=0.12)
        np.testing.assert_allclose(deviation, width, rtol=0.06)


def test_a_mixture_finds_heaps_and_mixes_their_order() -> None:
    heaps = np.concatenate([CODES[:100] / 10 - 5, CODES[100:] / 10 + 5])
    signs = np.sign(Latent.measure(heaps).sample(200, 0, "mixture")[:, 0])
    assert 60 < (signs > 0).sum() < 140
    assert (np.diff(signs) != 0).sum() > 40  # scikit-learn gives one heap after the other


def test_samples_of_few_codes_stay_among_them() -> None:
    """Three codes lie in a plane of the four dimensions."""
    few = Latent.measure(CODES[:3])
    for sampler in ("pca_kde", "mixture"):
        off = np.linalg.svd(CODES[:3] - CODES[:3].mean(0))[2][2:]
        assert np.abs((few.sample(50, 0, sampler) - CODES[:3].mean(0)) @ off.T).max() < 1e-4


@pytest.mark.parametrize("sampler", ["pca_kde", "mixture"])
def test_samplers_that_need_codes_say_so(sampler: str) -> None:
    with pytest.raises(ValueError, match=f"'{sampler}' needs the codes of training pictures.*take the sampler 'gaussian'"):
        LATENT.given_away().sample(3, 0, sampler)
    for alike in (np.ones((5, 3)), np.ones((1, 3))):
        with pytest.raises(ValueError, match=f"'{sampler}' needs codes that differ; there are {len(alike)}, all alike"):
            Latent.measure(alike).sample(3, 0, sampler)
    assert (LATENT.given_away().sample(3, 1) == LATENT.sample(3, 1, "gaussian")).all()


def test_wrong_samplers_and_seeds() -> None:
    with pytest.raises(ValueError, match=r"no sampler 'gausian' .did you mean `gaussian`.*one of normal, gaussian, pca_kde, mixture"):
        LATENT.sample(1, 0, "gausian")
    seeds: list[Any] = [-1, 2**32, True, 1.0]
    for seed in seeds:
        with pytest.raises(ValueError, match="expected a whole number from 0 to 4294967295"):
            LATENT.sample(1, seed)


# ---------------------------------------------------------------- ways and planes


def test_a_spherical_way_keeps_length_and_speed() -> None:
    first, last = np.array([2.0, 0, 0]), np.array([0, 2.0, 0])
    way = interpolate(first, last, 5)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 2, rtol=1e-6)
    angles = np.degrees(np.arctan2(way[:, 1], way[:, 0]))
    np.testing.assert_allclose(angles, [0, 22.5, 45, 67.5, 90], atol=1e-4)
    np.testing.assert_allclose(interpolate(first, last, 5, "linear")[2], [1, 1, 0])


@pytest.mark.parametrize("last", [[2.0, 4.0], [-1.0, -2.0], [0.0, 0.0], [1.0, 2.0]])
def test_where_no_angle_has_a_plane_the_way_is_straight(last: list[float]) -> None:
    first = [1.0, 2.0]
    way = interpolate(first, last, 3)
    np.testing.assert_allclose(way, np.array([first, np.mean([first, last], 0), last]), atol=1e-6)


@pytest.mark.parametrize("how", ["spherical", "linear"])
def test_a_way_begins_and_ends_where_it_should(how: Any) -> None:
    way = interpolate(CODES[0], 5 * CODES[1], 2, how)
    np.testing.assert_allclose(way, [CODES[0], 5 * CODES[1]], rtol=1e-5)


def test_ways_that_are_none() -> None:
    wrong: list[Any] = [1, 0, True, 2.0]
    for steps in wrong:
        with pytest.raises(ValueError, match=r"steps=.*: expected a whole number from 2 on"):
            interpolate([1.0], [2.0], steps)
    with pytest.raises(ValueError, match=r"codes of shapes \(1,\) and \(2,\)"):
        interpolate([1.0], [2.0, 3.0], 3)
    how: Any = "round"
    with pytest.raises(ValueError, match="how='round': expected spherical or linear"):
        interpolate([1.0], [2.0], 3, how)


def test_a_plane_by_pca_keeps_the_widest_two_axes() -> None:
    rows, points = plane(CODES)
    assert rows.tolist() == list(range(200)) and points.shape == (200, 2)
    widest = np.linalg.svd(CODES - CODES.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(points), np.abs(widest[0] * widest[1])[:, :2], atol=1e-3)
    assert not plane(CODES[:, :1])[1][:, 1].any()  # one dimension, drawn on a line


def test_a_plane_by_tsne_keeps_heaps_apart_at_any_number() -> None:
    heaps = np.concatenate([CODES[:20], CODES[:20] + 100])
    _, points = plane(heaps, "tsne")
    assert (plane(heaps, "tsne")[1] == points).all()
    across = np.linalg.norm(points[:20].mean(0) - points[20:].mean(0))
    assert across > 2 * np.linalg.norm(points[:20] - points[:20].mean(0), axis=1).mean()
    for few in (heaps[:5], heaps[:5, :1], np.ones((6, 2))):
        assert np.isfinite(plane(few, "tsne")[1]).all()


def test_a_plane_of_too_many_codes_takes_some_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[NDArray[Any]] = []

    def lay(codes: NDArray[Any], seed: int) -> NDArray[Any]:
        seen.append(codes)
        return codes[:, :2]

    fewest, most = ways.PLANES["tsne"][1:]
    monkeypatch.setattr(ways, "PLANES", {"tsne": (lay, fewest, most)})
    codes = np.arange(14_000, dtype=np.float32).reshape(7000, 2)
    rows, points = plane(codes, "tsne")
    assert len(rows) == len(points) == 3000 and rows[[0, -1]].tolist() == [0, 6999] and (seen[0] == codes[rows]).all()


def test_umap_is_asked_if_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    absent: Any = None
    monkeypatch.setitem(sys.modules, "umap", absent)
    with pytest.raises(ValueError, match=r"method 'umap' needs a package that is not installed .*pip install umap-learn, or take tsne"):
        plane(CODES, "umap")
    asked: list[dict[str, Any]] = []

    def made(**options: Any) -> Any:
        asked.append(options)
        return SimpleNamespace(fit_transform=lambda codes: codes[:, :2])

    umap: Any = SimpleNamespace(UMAP=made)
    monkeypatch.setitem(sys.modules, "umap", umap)
    assert (plane(CODES[:9], "umap", 4)[1] == CODES[:9, :2]).all()
    assert asked == [{"n_neighbors": 8, "random_state": 4, "n_jobs": 1}]


def test_planes_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"no method 't-sne' .did you mean `tsne`.*; expected one of pca, tsne, umap"):
        plane(CODES, "t-sne")
    for method, number in (("pca", 1), ("tsne", 4)):
        with pytest.raises(ValueError, match=f"{number} codes are too few for {method}"):
            plane(CODES[:number], method)
