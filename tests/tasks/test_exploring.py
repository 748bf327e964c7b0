"""What the report shows of codes: samples, map, ways between pictures, neighbours and edits, of a network whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zoo.spec import DataSpec
from zoo.tasks import exploring
from zoo.tasks.autoencoder import Autoencoder
from zoo.tasks.task import Examples

SIDE, NUMBER = 4, 40
SPEC = DataSpec(1, (SIDE, SIDE), attributes=("Smiling", "Bald", "Noise"))


class Identity(nn.Module):
    """A picture's code is its pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def embed(self, image: Tensor) -> Tensor:
        return image.flatten(1)

    def decode(self, code: Tensor) -> Tensor:
        return code.view(-1, 1, SIDE, SIDE)


def data(number: int = NUMBER, seed: int = 0) -> tuple[Tensor, dict[str, Any]]:
    """Faint noise; smiling lights the first pixel strongly, baldness the second faintly, the third attribute none."""
    generator = torch.Generator().manual_seed(seed)
    attributes = torch.randn(number, 3, generator=generator)
    image = 0.5 + 0.02 * torch.randn(number, 1, SIDE, SIDE, generator=generator)
    image[:, 0, 0, 0] += 0.2 * attributes[:, 0]
    image[:, 0, 0, 1] += 0.02 * attributes[:, 1]
    groups = [f"person {row // 4}" for row in range(number)]
    return image.clamp(0, 1), {"attributes": attributes, "group": groups}


def examples(number: int = NUMBER, **without: None) -> Examples:
    image, fields = data(number)
    fields = {key: value for key, value in fields.items() if key not in without}
    seen, known = data(200, seed=1)
    known = {key: value for key, value in known.items() if key not in without}

    def picture(row: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return (image[row] * 255).byte().movedim(0, -1).numpy()

    def again(row: int) -> tuple[Mapping[str, Any], Mapping[str, Tensor]]:
        raise AssertionError("not needed")

    def training(most: int) -> tuple[Tensor, Mapping[str, Any]]:
        return (seen[:most] * 255).byte(), known

    truth = {"index": torch.arange(number), **fields}
    return Examples(truth, {"codes": image.flatten(1)}, picture, {}, {}, again, training)


def test_all_is_drawn() -> None:
    found = exploring.drawings(Identity(), examples(), SPEC)
    assert list(found) == ["samples_fitted", "map", "between", "neighbours", "edits"]
    assert all(drawing.title and drawing.caption and drawing.figure.get_figwidth() > 3 for drawing in found.values())


def test_samples_are_those_of_the_model_and_not_of_a_part() -> None:
    found = exploring.drawings(Identity(), replace(examples(), part="test"), SPEC)
    assert list(found) == ["map", "between", "neighbours", "edits"]


@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_few_pictures(number: int) -> None:
    assert len(exploring.drawings(Identity(), examples(number), SPEC)) == 5


def test_without_attributes_nothing_is_edited() -> None:
    spec = DataSpec(1, (SIDE, SIDE))
    assert "edits" not in exploring.drawings(Identity(), examples(attributes=None), spec)


def test_attributes_that_codes_tell_come_first() -> None:
    assert exploring.told_best(exploring.measured(Identity(), examples(), SPEC)) == ["Smiling", "Bald", "Noise"]


def test_edits_are_shown_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row: the picture as given, then the first pixel rises with the strength, and the others stay."""
    from zoo.figures import latent

    drawn: dict[str, Any] = {}
    monkeypatch.setattr(latent, "picture_strips", lambda rows, columns=(), names=(): drawn.update(rows=rows, columns=columns, names=names))
    kept = examples()
    exploring.drawings(Identity(), kept, SPEC, ("smiling",))
    assert drawn["names"] == ["Smiling", "Smiling"] and drawn["columns"] == ("given", "-2", "-1", "0", "+1", "+2")
    for row, at in zip(drawn["rows"], (0, NUMBER - 1), strict=True):
        assert np.array_equal(row[0], kept.picture(at))
        first, last = ([int(picture[place][0]) for picture in row[1:]] for place in ((0, 0), (3, 3)))
        assert first == sorted(first) and first[-1] - first[0] > 100
        assert max(last) - min(last) < 15


def test_neighbours_are_the_nearest_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.figures import neighbours

    drawn: list[Any] = []
    monkeypatch.setattr(neighbours, "neighbour_rows", drawn.extend)
    kept = examples()
    exploring.drawings(Identity(), kept, SPEC)
    codes, groups = nn.functional.normalize(kept.predictions["codes"], dim=1), kept.truth["group"]
    assert len(drawn) == exploring.ROWS and drawn[0].title == "person 0"
    order = (codes @ codes[0]).argsort(descending=True).tolist()
    expected = [row for row in order if row != 0][: exploring.NEIGHBOURS]
    assert all(np.array_equal(shown, kept.picture(row)) for shown, row in zip(drawn[0].neighbours, expected, strict=True))
    assert drawn[0].right == [groups[row] == "person 0" for row in expected]
    assert drawn[0].titles == [groups[row] for row in expected]


def test_wrong_names_are_told_before_the_training() -> None:
    from small import Convolution

    with pytest.raises(ValueError, match=r"edits: smilin: not among the data's attributes \(Smiling, Bald, Noise\)"):
        Autoencoder(DataSpec(3, (8, 8), attributes=SPEC.attributes), Convolution(), edits=("Smilin",))
    with pytest.raises(ValueError, match=r"\(it has none\)"):
        Autoencoder(DataSpec(3, (8, 8)), Convolution(), edits=("Smiling",))


def test_attributes_without_a_direction_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an attribute that all training pictures have alike nothing can be shown; it is no reason to lose the report."""
    from zoo.figures import latent

    drawn: dict[str, Any] = {}
    monkeypatch.setattr(latent, "picture_strips", lambda rows, columns=(), names=(): drawn.update(names=names))
    kept = examples()
    seen, known = kept.training(200)
    known = {**known, "attributes": known["attributes"].clone()}
    known["attributes"][:, 1] = 0.5
    exploring.drawings(Identity(), replace(kept, training=lambda most: (seen, known)), SPEC, ("Bald", "Smiling"))
    assert drawn["names"] == ["Smiling", "Smiling"]


def test_of_a_network_that_diverged_nothing_is_shown() -> None:
    kept = examples()
    assert exploring.drawings(Identity(), replace(kept, predictions={"codes": kept.predictions["codes"] * float("nan")}), SPEC) == {}


def test_exact_names_go_first() -> None:
    spec = DataSpec(1, (SIDE, SIDE), attributes=("No-Eyewear", "No Eyewear"))
    assert exploring._at(spec, "No Eyewear") == 1 and exploring._at(spec, "no_eyewear") == 0
