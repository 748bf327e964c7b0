"""Boxes follow their pixels: through every transform, every way to the model's size, and back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.datasets import transforms
from zoo.datasets.boxes import IGNORED, NONE, Box, joined, seen, tensors
from zoo.datasets.loaders import Pictures, collate, seeded
from zoo.datasets.source import Record, Source
from zoo.datasets.transforms import COLOURS_AND_PLACES, IN_PLACE, Preprocess, mosaic
from zoo.evaluate import _join

TURNS = {"rotation", "perspective", "affine"}
"""What turns a rectangle makes its box larger than what one sees of it."""


def picture(width: int, height: int, box: Box, color: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """Black, with a rectangle in a colour."""
    image = Image.new("RGB", (width, height))
    image.paste(color, tuple(int(side) for side in box[:4]))
    return image


def lit(image: torch.Tensor, channel: int | None = None) -> list[float]:
    """The box around the bright pixels."""
    values = image.amin(0) if channel is None else image[channel]
    rows, columns = np.nonzero(values.numpy() > 170)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
@pytest.mark.parametrize("size", [(200, 120), (90, 210), (64, 64)])
def test_boxes_come_to_the_models_size_and_back(fit: transforms.Fit, size: tuple[int, int]) -> None:
    width, height = size
    box = Box(width * 0.4, height * 0.45, width * 0.55, height * 0.6, 1)
    box = Box(*(round(side) for side in box[:4]), 1)
    preprocess = Preprocess((96, 64), fit)
    corners, classes = tensors([box])
    image, moved, kept = preprocess.boxed(picture(width, height, box), corners, classes)
    assert image.shape == (3, 96, 64)
    assert kept.tolist() == [1]
    assert moved[0].tolist() == pytest.approx(lit(image), abs=1.1)
    assert preprocess.unboxed(moved, (height, width))[0].tolist() == pytest.approx(box[:4], abs=1e-3)
    plain = preprocess(picture(width, height, box))
    assert torch.equal(image, plain), "a picture must not look different because it has boxes"


def test_what_a_crop_cuts_comes_back_within_the_picture() -> None:
    preprocess = Preprocess((64, 64), "crop", 1.0)
    corners, classes = tensors([Box(30, 10, 60, 30, 0), Box(0, 0, 10, 10, 0), Box(30, 0, 48, 40, 0)])
    _, moved, kept = preprocess.boxed(Image.new("RGB", (120, 40)), corners, classes)
    assert len(moved) == 2, "the box in the cut-off end is gone"
    assert kept.tolist() == [0, IGNORED], "of the third only an edge is left: the middle of 30 to 48 is outside"
    assert preprocess.unboxed(moved, (40, 120))[0].tolist() == pytest.approx([40, 10, 60, 30], abs=1e-3)


@pytest.mark.parametrize("name", sorted(set(transforms.__all__) - set(COLOURS_AND_PLACES)))
def test_boxes_follow_their_pixels(name: str) -> None:
    """Through each transform, drawn thirty times."""
    transform = getattr(transforms, name)(**({"p": 0.0} if name in ("erase", "occlude") else {}))
    box = Box(40, 48, 72, 60, 0)
    corners, classes = tensors([box])
    preprocess = Preprocess((96, 128), "squash")
    checked = 0
    for number in range(30):
        with seeded(7, number):
            image, moved, kept = preprocess.boxed(picture(128, 96, box), corners, classes, transform)
        if kept.tolist() != [0] or name in IN_PLACE:
            assert name not in IN_PLACE or moved.tolist() == [list(box[:4])]
            continue
        left, top, right, bottom = lit(image)
        found, slack = moved[0].tolist(), 3.0
        assert found[0] <= left + slack and found[1] <= top + slack and found[2] >= right - slack and found[3] >= bottom - slack
        if name not in TURNS:
            assert found == pytest.approx([left, top, right, bottom], abs=slack)
        checked += 1
    assert checked > 10 or name in IN_PLACE


def test_turned_boxes_stay_close() -> None:
    """Without a turn the affine transform only shifts and scales, so the box is exact."""
    transform = transforms.affine(degrees=0.0, shift=0.1)
    box = Box(40, 48, 72, 60, 0)
    for number in range(10):
        with seeded(number):
            image, moved, _ = Preprocess((96, 128), "squash").boxed(picture(128, 96, box), *tensors([box]), transform)
        assert moved[0].tolist() == pytest.approx(lit(image), abs=2.0)


def test_zoom_shows_more_and_less() -> None:
    sides = []
    for number in range(40):
        with seeded(number):
            _, moved, _ = Preprocess((96, 96), "squash").boxed(
                Image.new("RGB", (96, 96)), *tensors([Box(40, 40, 56, 56, 0)]), transforms.zoom((0.6, 1.3))
            )
        sides += (moved[:, 2] - moved[:, 0]).tolist()
    assert max(sides) == pytest.approx(16 / 0.6, rel=0.1)
    assert min(sides) == pytest.approx(16 / 1.3, rel=0.1)


def test_a_mask_goes_the_way_of_its_picture_in_a_zoom() -> None:
    box = Box(30, 30, 60, 50, 0)
    mask = picture(96, 96, box, (1, 1, 1)).convert("L").point(lambda value: int(value > 0))
    for number in range(10):
        with seeded(number):
            image, places = Preprocess((96, 96), "squash").pair(picture(96, 96, box), mask, transforms.zoom((1.1, 1.3)))
        assert lit(image) == pytest.approx(lit((places == 1).to(torch.uint8)[None] * 255), abs=1.5)
        assert (places == 255).any(), "around the picture there is no truth"


def test_mosaic_shows_four_pictures_with_their_boxes() -> None:
    quarters = []
    for number in range(4):
        box = Box(20, 20, 76, 76, number)
        image, corners, classes = Preprocess((96, 96), "squash").boxed(
            picture(96, 96, box, tuple(255 if channel == number else 0 for channel in range(3))), *tensors([box])
        )
        quarters.append((image, corners, classes))
    with seeded(3):
        whole, corners, classes = mosaic(quarters)
    assert whole.shape == (3, 96, 96)
    for place, kind in zip(corners.tolist(), classes.tolist(), strict=True):
        left, top, right, bottom = (round(side) for side in place)
        part = whole[:, top:bottom, left:right].float().mean((1, 2))
        if kind in (0, 1, 2):
            assert part[kind] > 250 and part.sum() < 260, "the box holds its own picture's colour alone"
    for channel in range(3):
        mine = corners[(classes == channel) | (classes == IGNORED)]
        assert any(place == pytest.approx(lit(whole, channel), abs=1.0) for place in mine.tolist())


def test_boxes_cut_at_the_middle_are_ignored() -> None:
    corners = torch.tensor([[-10.0, 0, 9, 10], [-8, 0, 9, 10], [90, 90, 120, 101], [200, 0, 210, 10]])
    clipped, classes = seen(corners, torch.tensor([0, 1, 2, 3]), (100, 100))
    assert clipped.tolist() == [[0, 0, 9, 10], [0, 0, 9, 10], [90, 90, 100, 100]]
    assert classes.tolist() == [IGNORED, 1, IGNORED]


class Boxed(Source):
    """Three pictures with two, no and one box."""

    def __init__(self, root: Path) -> None:
        boxes = [(Box(4, 4, 20, 12, 0), Box(10, 20, 30, 28, 1)), (), (Box(1, 1, 9, 9, IGNORED),)]
        records = []
        for number, each in enumerate(boxes):
            picture(32, 32, each[0] if each else Box(0, 0, 1, 1, 0)).save(root / f"{number}.png")
            records.append(Record(root / f"{number}.png", str(number), boxes=each))
        super().__init__(root, ("a", "b"), {"labelled": records})


def test_a_batch_holds_the_boxes_of_its_pictures(tmp_path: Path) -> None:
    source = Boxed(tmp_path)
    assert source.boxed
    pictures = Pictures(source, source.records["labelled"], Preprocess((32, 32), "squash"))
    batch = collate([pictures[index] for index in range(3)])
    assert batch["boxes"].shape == (3, 2, 4)
    assert batch["classes"].tolist() == [[0, 1], [NONE, NONE], [IGNORED, NONE]]
    assert batch["boxes"][0, 1].tolist() == [10, 20, 30, 28]
    alone = collate([pictures[1]])
    assert alone["boxes"].shape == (1, 0, 4)
    whole = _join([batch, alone])
    assert whole["classes"].tolist() == [[0, 1], [NONE, NONE], [IGNORED, NONE], [NONE, NONE]]
    assert whole["boxes"].shape == (4, 2, 4)


def test_a_mosaic_reads_other_pictures_and_is_equal_each_time(tmp_path: Path) -> None:
    source = Boxed(tmp_path)

    def make(chance: float) -> Pictures:
        return Pictures(source, source.records["labelled"], Preprocess((32, 32), "squash"), seed=1, mosaic=chance)

    first, again, never = make(1.0)[(0, 0, 0)], make(1.0)[(0, 0, 0)], make(0.0)[(0, 0, 0)]
    assert torch.equal(first["image"], again["image"]) and torch.equal(first["boxes"], again["boxes"])
    assert not torch.equal(first["image"], never["image"])
    assert first["path"] == never["path"]


def test_joined_fills_up() -> None:
    corners, classes = joined([torch.ones(1, 4), torch.zeros(0, 4)], [torch.tensor([5]), torch.zeros(0, dtype=torch.int64)])
    assert corners.shape == (2, 1, 4)
    assert classes.tolist() == [[5], [NONE]]


def test_what_suits_labels_only_is_refused_for_boxes() -> None:
    from zoo.datasets.loaders import refuse_for_places
    from zoo.errors import RecipeError

    data = SimpleNamespace(balance="sampler", binarize=False, corrupt=(), augment=())
    with pytest.raises(RecipeError, match="these pictures have boxes and no class each"):
        refuse_for_places(data, "boxes")
    data = SimpleNamespace(balance="none", binarize=False, corrupt=(), augment=(SimpleNamespace(name="randaugment"),))
    with pytest.raises(RecipeError, match=r"data.augment.0 \(randaugment\) cannot move boxes with their pictures"):
        refuse_for_places(data, "boxes")
