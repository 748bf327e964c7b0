"""From any picture to a fixed size, and every augmentation a recipe can name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from zoo import registry
from zoo.datasets import transforms
from zoo.datasets.loaders import seeded
from zoo.datasets.masks import IGNORE
from zoo.datasets.transforms import COLOURS_AND_PLACES, IN_PLACE, Preprocess, augmentation, binarized, nearest
from zoo.errors import RecipeError
from zoo.recipe import Recipe

NAMES = transforms.__all__
OPTIONS = registry.transform_options()


def step(name: str, **options: Any) -> Any:
    """As a checked recipe holds it."""
    return SimpleNamespace(name=name, model_dump=lambda exclude: options)


def surely(name: str) -> Any:
    """A transform with its defaults, but applied for certain."""
    options = {key: (1.0 if key == "p" else option.default) for key, option in OPTIONS[name].items()}
    return augmentation([step(name, **options)])


def gradient(channels: int, height: int, width: int) -> tv_tensors.Image:
    ramp = torch.linspace(0, 200, height * width).view(1, height, width)
    shift = torch.arange(channels).view(-1, 1, 1) * 25
    return tv_tensors.Image((ramp + shift).to(torch.uint8))


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
@pytest.mark.parametrize("goal", [(32, 32), (31, 47), (1, 1), (48, 20)])
@pytest.mark.parametrize("size", [(32, 32), (33, 57), (1, 1), (1, 40), (40, 1), (1, 300), (200, 2), (640, 480), (2, 2)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_any_size_becomes_the_wished_one(fit: Any, goal: tuple[int, int], size: tuple[int, int], mode: str) -> None:
    image = Preprocess(goal, fit)(Image.new(mode, size, 200 if mode == "L" else (200, 200, 200)))
    assert image.shape == ({"RGB": 3, "L": 1}[mode], *goal)
    assert image.dtype == torch.uint8 and image.is_contiguous() and type(image) is torch.Tensor
    if fit != "pad":
        assert image.unique().tolist() == [200]  # no border, no ringing


@pytest.mark.parametrize("size", [(1, 400), (400, 1)])
def test_extreme_pictures_cost_little(size: tuple[int, int]) -> None:
    """Resized whole, a picture of 1 x 60,000 pixels would ask for gigabytes; these would be ten times as long as wished."""
    resized = Preprocess((32, 32))._resize(Image.new("RGB", size))
    assert min(resized.size) >= 32 and max(resized.size) <= 8 * 37


def test_crop_keeps_the_aspect_and_the_middle() -> None:
    picture = Image.new("L", (300, 100), 0)
    picture.paste(255, (100, 0, 200, 100))
    image = Preprocess((50, 50), "crop", 1.0)(picture)[0]
    assert (image[:, 2:-2] == 255).all()
    whole = Preprocess((50, 50), "crop", 0.5)(Image.new("L", (10, 10), 7))[0]
    assert (whole == 7).all()


def test_crop_fraction_is_the_part_that_is_kept() -> None:
    picture = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (200, 1)))
    kept = Preprocess((100, 100), "crop", 0.5)(picture)[0][50]
    assert abs(int(kept[0]) - 50) <= 1 and abs(int(kept[-1]) - 149) <= 1


def test_squash_shows_all_and_pad_keeps_the_aspect() -> None:
    picture = Image.new("L", (200, 100), 0)
    picture.paste(255, (100, 0, 200, 100))
    squashed = Preprocess((40, 40), "squash")(picture)[0]
    assert (squashed[:, :18] == 0).all() and (squashed[:, 22:] == 255).all()
    padded = Preprocess((40, 40), "pad")(picture)[0]
    assert (padded[:10] == 128).all() and (padded[30:] == 128).all()
    assert (padded[10:30, :18] == 0).all() and (padded[10:30, 22:] == 255).all()


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_training_without_augmentation_is_validation(fit: Any) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8))
    preprocess = Preprocess((32, 32), fit)
    assert preprocess(picture).equal(preprocess(picture, lambda tensor: tensor))


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
@pytest.mark.parametrize("name", NAMES)
def test_augmented_pictures_have_the_wished_size(name: str, fit: Any) -> None:
    for size in ((70, 50), (1, 300), (300, 2), (1, 1)):
        assert Preprocess((32, 24), fit)(Image.new("RGB", size), surely(name)).shape == (3, 32, 24)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_transform_works_and_depends_on_its_seed_alone(name: str, channels: int) -> None:
    transform, given = surely(name), gradient(channels, 37, 26)
    results = []
    for seed in (*range(8), *range(8)):
        torch.rand(seed)  # whatever was drawn before
        with seeded(seed):
            results.append(transform(given.clone()))
    assert all(one.shape == given.shape and one.dtype == torch.uint8 for one in results)
    assert all(one.equal(other) for one, other in zip(results[:8], results[8:], strict=True))
    if (name, channels) != ("grey", 1):  # grey stays grey
        assert not all(one.equal(given) for one in results), "it does nothing"


@pytest.mark.parametrize("name", [name for name in NAMES if "p" in OPTIONS[name]])
def test_probability_zero_changes_nothing(name: str) -> None:
    given = gradient(3, 20, 20)
    transform = augmentation([step(name, p=0.0)])
    assert transform is not None and all(transform(given).equal(given) for _ in range(5))


def test_flips_are_flips() -> None:
    given = gradient(3, 8, 10)
    assert surely("flip")(given).equal(given.flip(-1)) and surely("vertical_flip")(given).equal(given.flip(-2))


def test_salt_and_pepper_spoils_whole_pixels_and_as_many_as_said() -> None:
    picture = tv_tensors.Image(torch.full((3, 200, 200), 100, dtype=torch.uint8))
    spoilt = augmentation([step("salt_and_pepper", share=0.1, p=1.0)])(picture)
    white, black = ((spoilt == value).all(0).float().mean().item() for value in (255, 0))
    assert white == pytest.approx(0.05, abs=0.01) and black == pytest.approx(0.05, abs=0.01)
    assert white + black + (spoilt == 100).all(0).float().mean().item() == pytest.approx(1)  # no pixel changed in one colour only


def test_occlusion_covers_a_square_within_the_picture() -> None:
    picture = tv_tensors.Image(torch.zeros(3, 20, 30, dtype=torch.uint8))
    places = set()
    for _ in range(20):
        covered = (augmentation([step("occlude", side=0.5, p=1.0)])(picture) == 128).all(0)
        rows, columns = covered.any(1).nonzero().flatten(), covered.any(0).nonzero().flatten()
        assert covered.sum() == 100 and len(rows) == len(columns) == 10 and not picture.any()
        places.add((int(rows[0]), int(columns[0])))
    assert len(places) > 10


def test_binarized_is_white_as_often_as_the_pixel_is_grey() -> None:
    grey = torch.arange(256, dtype=torch.uint8).repeat(4000, 1)
    drawn = binarized(grey)
    assert drawn.dtype == torch.uint8 and set(drawn.unique().tolist()) == {0, 255}
    assert torch.allclose(drawn.float().mean(0), grey[0].float(), atol=8)
    assert not drawn[:, 0].any() and (drawn[:, 255] == 255).all()


@pytest.mark.parametrize("name", IN_PLACE)
def test_what_changes_in_place_moves_nothing(name: str) -> None:
    """A step between black and white stays where it is: its side may change values, its place not."""
    picture = torch.zeros(3, 24, 24, dtype=torch.uint8)
    picture[:, :, 12:] = 255
    for _ in range(5):
        changed = surely(name)(tv_tensors.Image(picture)).float().mean(0).median(0).values  # of each column
        assert changed.shape == (24,) and changed[:9].max() <= changed[15:].min()


def test_noise_is_as_strong_as_said() -> None:
    transform = augmentation([step("noise", sigma=0.1, p=1.0)])
    assert transform is not None
    noisy = transform(tv_tensors.Image(torch.full((3, 100, 100), 128, dtype=torch.uint8))).float()
    assert noisy.std().item() == pytest.approx(25.5, rel=0.05) and noisy.mean().item() == pytest.approx(128, abs=1)


def test_steps_follow_one_another() -> None:
    given = gradient(3, 8, 8)
    both = augmentation([step("flip", p=1.0), step("vertical_flip", p=1.0)])
    assert both is not None and both(given).equal(given.flip(-1, -2))
    assert augmentation([]) is None


MOVING = ("affine", "crop", "flip", "perspective", "rotation", "vertical_flip", "zoom")
"""The transforms that move pixels; all others change colours, or refuse masks."""


def drawn(width: int, height: int) -> tuple[Image.Image, Image.Image]:
    """A mask of three classes in lopsided shapes, and a picture that shows class c as the grey 100 * c."""
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    classes = np.where(np.hypot(x - 0.4, y - 0.45) < 0.3, 1, 0)
    classes[(x > 0.55) & (y > 0.3) & (y < 0.9)] = 2
    grey = Image.fromarray((100 * classes).astype(np.uint8))
    return grey.convert("RGB"), Image.fromarray(classes.astype(np.uint8))


def agreement(image: torch.Tensor, mask: torch.Tensor) -> float:
    """The part of all pixels whose grey says their class; what is turned in is grey (between two classes) and ignored."""
    shown = torch.where(mask == IGNORE, 128, 100 * mask.int())
    return ((image[0].int() - shown).abs() <= 50).float().mean().item()


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
@pytest.mark.parametrize("size", [(120, 90), (96, 96), (61, 140)])
@pytest.mark.parametrize("name", [None, *MOVING])
def test_a_mask_moves_with_its_picture(name: str | None, size: tuple[int, int], fit: Any) -> None:
    picture, mask = drawn(*size)
    preprocess, transform = Preprocess((96, 80), fit), surely(name) if name else None
    plain = preprocess.pair(picture, mask)[1]
    moved = []
    for seed in range(6):
        with seeded(seed):
            image, places = preprocess.pair(picture, mask, transform)
        assert image.shape == (3, 96, 80) and places.shape == (96, 80) and places.dtype == torch.uint8 and places.is_contiguous()
        assert set(places.unique().tolist()) <= {0, 1, 2, IGNORE}  # never a value between
        assert agreement(image, places) > (0.96 if name else 0.98)  # interpolated edges between two classes are neither
        moved.append(not places.equal(plain))
    assert any(moved) == (name is not None)


@pytest.mark.parametrize("name", sorted({*MOVING} - {"zoom"}))  # its grey border blends with what is bright: see test_boxes.py
def test_masks_do_not_drift_against_their_pictures(name: str) -> None:
    """The middle of what is bright is the middle of its mask; taking corners for centres would shift it by a quarter of a pixel."""
    mask = drawn(96, 96)[1].point(lambda value: value // 2)
    picture = mask.point(lambda value: 255 * value).convert("RGB")
    offsets = []
    for seed in range(40):
        with seeded(seed):
            image, places = Preprocess((96, 96), "squash").pair(picture, mask, surely(name))
        bright, one = (image[0] > 128).float(), (places == 1).float()
        for line in (torch.arange(96.0), torch.arange(96.0).unsqueeze(1)):
            offsets.append(((bright * line).sum() / bright.sum() - (one * line).sum() / one.sum()).item())
    assert abs(np.mean(offsets)) < 0.03


@pytest.mark.parametrize("name", sorted({*NAMES} - {*MOVING} - {*COLOURS_AND_PLACES}))
def test_colours_change_and_the_mask_does_not(name: str) -> None:
    picture, mask = drawn(120, 90)
    picture = Image.merge("RGB", [channel.point(lambda value, shift=shift: value + shift) for shift, channel in enumerate(picture.split())])
    preprocess, changed = Preprocess((64, 64)), []
    image, places = preprocess.pair(picture, mask)
    for seed in range(8):
        with seeded(seed):
            other, same = preprocess.pair(picture, mask, surely(name))
        assert same.equal(places)
        changed.append(not other.equal(image))
    assert any(changed)


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
@pytest.mark.parametrize("name", [*sorted({*NAMES} - {*COLOURS_AND_PLACES})])
def test_the_picture_of_a_pair_is_the_picture_alone(name: str, fit: Any) -> None:
    picture, mask = drawn(70, 51)
    preprocess = Preprocess((32, 40), fit)
    with seeded(3):
        alone = preprocess(picture, surely(name))
        drawn_after = torch.rand(1)
    with seeded(3):
        image, _ = preprocess.pair(picture, mask, surely(name))
        assert image.equal(alone) and torch.rand(1).equal(drawn_after)


def test_torchvision_still_refuses_masks_where_it_is_said_to() -> None:
    for name in COLOURS_AND_PLACES:
        with pytest.raises(RecipeError, match=rf"data\.augment\.0 \({name}\) cannot be applied"):
            Preprocess((16, 16)).pair(*drawn(20, 20), surely(name))


def test_corners_turned_in_and_borders_are_ignored() -> None:
    picture, mask = Image.new("RGB", (40, 20)), Image.new("L", (40, 20), 1)
    assert (Preprocess((40, 40), "pad").pair(picture, mask)[1][:10] == IGNORE).all()
    turned = augmentation([step("rotation", degrees=45.0)])
    with seeded(1):
        places = Preprocess((40, 40), "squash").pair(picture, mask, turned)[1]
    assert set(places.unique().tolist()) == {1, IGNORE} and places[0, 0] == IGNORE


def test_nearest_takes_the_pixel_at_the_centre() -> None:
    row = torch.tensor([[3, 7, 1, 200]], dtype=torch.uint8)
    assert nearest(row[None], (1, 8))[0, 0].tolist() == [3, 3, 7, 7, 1, 1, 200, 200]
    assert nearest(row[None], (1, 2))[0, 0].tolist() == [7, 200]
    assert nearest(torch.arange(9, dtype=torch.uint8).view(1, 1, 9), (1, 3))[0, 0].tolist() == [1, 4, 7]


@pytest.mark.parametrize("size", [(66, 66), (70, 66), (66, 73), (64, 131)])
@pytest.mark.parametrize("goal", [(33, 33), (32, 33), (35, 35)])
def test_the_way_back_is_exact_where_nothing_was_resized(size: tuple[int, int], goal: tuple[int, int]) -> None:
    """Every pixel a class of its own; a crop in the middle of a picture of its own scale, whatever is odd."""
    grid = torch.from_numpy(np.random.default_rng(0).integers(0, 250, size, np.uint8))
    picture = Image.fromarray(grid.numpy())
    preprocess = Preprocess(goal, "crop", max(goal[0] / size[0], goal[1] / size[1]))
    assert preprocess._way(size[1], size[0]) == ((0, 0, size[1], size[0]), (size[1], size[0]))
    back = preprocess.restore(preprocess.pair(picture, picture)[1], size)
    assert back.shape == size and (back != IGNORE).sum() == goal[0] * goal[1]
    assert back[back != IGNORE].equal(grid[back != IGNORE])


@pytest.mark.parametrize("size", [(64, 64), (33, 64), (64, 17), (1, 64)])
def test_the_way_back_from_a_border_is_exact(size: tuple[int, int]) -> None:
    grid = torch.from_numpy(np.random.default_rng(0).integers(0, 250, size, np.uint8))
    preprocess = Preprocess((64, 64), "pad")
    places = preprocess.pair(Image.fromarray(grid.numpy()), Image.fromarray(grid.numpy()))[1]
    assert preprocess.restore(places, size).equal(grid)


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
@pytest.mark.parametrize("size", [(120, 90), (90, 120), (97, 131), (300, 211), (61, 40), (40, 700), (1, 300), (300, 2), (1, 1)])
def test_the_way_back_agrees_with_the_mask(size: tuple[int, int], fit: Any) -> None:
    picture, mask = drawn(*size)
    preprocess = Preprocess((96, 80), fit)
    back = preprocess.restore(preprocess.pair(picture, mask)[1], (size[1], size[0]))
    truth = torch.from_numpy(np.array(mask))
    seen = back != IGNORE
    assert back.shape == truth.shape and back.dtype == torch.uint8
    assert seen.all() or (fit == "crop" and seen.any())
    if size != (1, 1) and size[0] < 4 * size[1] and size[1] < 4 * size[0]:  # longer ones shrink to a few pixels
        assert (back[seen] == truth[seen]).float().mean() > 0.98
        kept = max(seen.any(1).float().mean().item(), seen.any(0).float().mean().item())
        assert kept == pytest.approx(0.875 if fit == "crop" else 1.0, abs=0.03)


RECIPE = "question: Q\ndata:\n  name: image_folder\ntask: classification\nbackbone: resnet18\n"


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ("[{name: blur, kernel: 4}]", r"`data\.augment\.0\.kernel`.*3, 5, 7.*found 4"),
        ("[flip, {name: flip, p: 1.5}]", r"`data\.augment\.1\.p`.*1(\.0)?, found 1\.5"),
        ("[{name: color, hue: 0.7}]", r"`data\.augment\.0\.hue`.*0\.5, found 0\.7"),
        ("[{name: crop, scale: [0.0, 1.0]}]", r"`data\.augment\.0\.scale.*found 0"),
        ("[{name: crop, scale: [0.5, 2.0]}]", r"`data\.augment\.0\.scale.*found 2"),
        ("[{name: affine, scale: [-1.0, 1.0]}]", r"`data\.augment\.0\.scale.*found -1"),
        ("[{name: erase, scale: [0.5, 1.5]}]", r"`data\.augment\.0\.scale.*found 1\.5"),
        ("[{name: rotate}]", r"rotate.*did you mean `rotation`"),
        ("[{name: rotation, degree: 5}]", r"degree.*did you mean `degrees`"),
    ],
)
def test_wrong_options_are_found_when_the_recipe_is_checked(steps: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        Recipe.parse(RECIPE, "test.yaml", "test", [f"data.augment={steps}"])


@pytest.mark.parametrize(
    ("name", "options"), [("crop", {"scale": (0.9, 0.1)}), ("crop", {"ratio": (2.0, 1.0)}), ("affine", {"scale": (2.0, 1.0)})]
)
def test_pairs_the_wrong_way_round_are_told_by_name(name: str, options: dict) -> None:
    key = next(iter(options))
    with pytest.raises(RecipeError, match=rf"^data\.augment_rare\.1 \({name}\): `{key}`: expected \[smallest, largest\], found"):
        augmentation([step("flip"), step(name, **options)], "data.augment_rare")


def test_what_only_torchvision_refuses_is_told_by_name() -> None:
    with pytest.raises(RecipeError, match=r"^data\.augment\.0 \(blur\): .*"):
        augmentation([step("blur", kernel=4)])
    small = augmentation([step("blur", kernel=23, p=1.0)])
    with pytest.raises(RecipeError, match=r"^data\.augment\.0 \(blur\) cannot be applied to a picture of 5x6 pixels"):
        assert small is not None and small(gradient(3, 5, 6))


def test_all_lists_every_transform() -> None:
    """A function with an annotation `-> Transform` that is missing in `__all__` could not be named in a recipe."""
    found = [name for name, value in vars(transforms).items() if getattr(value, "__annotations__", {}).get("return") == "Transform"]
    assert sorted(found) == sorted(NAMES) == NAMES == list(OPTIONS)
