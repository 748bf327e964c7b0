"""The drawn building sites: the real files' layout, boxes that fit what is seen, and heads that colour does not tell."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from zoo.datasets.drawn.hardhat import LEAST_SIDE, draw_picture, labels, write
from zoo.datasets.drawn.places import LARGE, PLACES, SCREENS, SMALL, Ground
from zoo.datasets.drawn.solids import OVER, Canvas, Cluster, Light, ball, turned
from zoo.datasets.drawn.workers import Look, Person, draw_body, draw_head

SHARE = 0.1
GREY = (120, 120, 120)
LIGHT = Light((0.0, 0.6, 0.8), 0.6)
SIDES = ("xmin", "ymin", "xmax", "ymax")


class Object(NamedTuple):
    name: str
    box: tuple[int, int, int, int]
    flags: dict[str, str]


def objects(root: ET.Element) -> list[Object]:
    """What an annotation names."""
    found = []
    for item in root.iter("object"):
        left, top, right, bottom = (int(item.findtext(f"bndbox/{side}", "")) for side in SIDES)
        flags = {key: item.findtext(key, "") for key in ("truncated", "occluded", "difficult")}
        found.append(Object(item.findtext("name", ""), (left, top, right, bottom), flags))
    return found


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hardhat")
    write(root, 0, SHARE)
    return root


@pytest.fixture(scope="module")
def cases(drawn: Path) -> list[tuple[Path, ET.Element]]:
    files = [drawn / "images" / f"hard_hat_workers{number}.png" for number in range(round(SHARE * 240))]
    return [(file, ET.parse(drawn / "annotations" / f"{file.stem}.xml").getroot()) for file in files]


def test_names_and_fields_are_those_of_the_real_files(drawn: Path, cases: list[tuple[Path, ET.Element]]) -> None:
    assert {path.name for path in drawn.iterdir()} == {"images", "annotations"}
    assert sorted(path.name for path in (drawn / "images").iterdir()) == sorted(file.name for file, _ in cases)
    sizes: Counter[tuple[int, int]] = Counter()
    for file, root in cases:
        assert [child.tag for child in root][:4] == ["folder", "filename", "size", "segmented"]
        assert (root.findtext("folder"), root.findtext("filename")) == ("images", file.name)
        with Image.open(file) as picture:
            assert picture.mode == "RGB"
            assert [root.findtext(f"size/{key}") for key in ("width", "height", "depth")] == [*map(str, picture.size), "3"]
            sizes[picture.size] += 1
        for item in root.iter("object"):
            assert [child.tag for child in item] == ["name", "pose", "truncated", "occluded", "difficult", "bndbox"]
            assert [child.tag for child in item[-1]] == list(SIDES)
    near = sum(count for (width, height), count in sizes.items() if abs(width - 416) < 3 and abs(height - 415) < 3)
    assert 0.6 < near / len(cases) < 1


def test_boxes_lie_in_their_pictures(cases: list[tuple[Path, ET.Element]]) -> None:
    cut = 0
    for _, root in cases:
        width, height = (int(root.findtext(f"size/{key}", "")) for key in ("width", "height"))
        for _, (left, top, right, bottom), flags in objects(root):
            assert 0 <= left < right <= width and 0 <= top < bottom <= height
            assert min(right - left, bottom - top) >= LEAST_SIDE
            at_border = left == 0 or top == 0 or right == width or bottom == height
            assert flags["truncated"] == str(int(at_border)) and flags["difficult"] == "0"
            cut += at_border
    assert cut


def test_classes_and_sizes_are_spread_like_the_real_ones(cases: list[tuple[Path, ET.Element]]) -> None:
    found = [[item for item in objects(root) if item.name != "person"] for _, root in cases]
    heads = [item for items in found for item in items]
    high = [bottom - top for _, (_, top, _, bottom), _ in heads]
    counts = Counter(item.name for item in heads)
    assert set(counts) == {"helmet", "head"} and 0.6 < counts["helmet"] / len(heads) < 0.88
    assert 3 < len(heads) / len(cases) < 7 and any(not items for items in found)
    assert min(high) < 14 and max(high) > 75 and 20 < np.median(high) < 50
    assert any(item.flags["occluded"] == "1" for item in heads)


def test_persons_are_labelled_in_some_pictures_only() -> None:
    """And there not always all that are seen: six people in the first picture, eleven in the last."""
    named = [Counter(item.name for item in draw_picture(f"0/hard_hat_workers{number}")[1]) for number in (62, 63, 64)]
    assert [count["person"] for count in named] == [5, 0, 7]
    assert [count["helmet"] + count["head"] for count in named[::2]] == [6, 11]


def test_drawing_is_equal_for_equal_seeds(drawn: Path, tmp_path: Path) -> None:
    """And fewer pictures are the first of many."""
    for name, seed in (("same", 0), ("other", 1)):
        write(tmp_path / name, seed, share=0.01)
    files = [path.relative_to(tmp_path / "same") for path in (tmp_path / "same").rglob("*.*")]
    assert len(files) == 12
    assert all((tmp_path / "same" / file).read_bytes() == (drawn / file).read_bytes() for file in files)
    assert all((tmp_path / "other" / file).read_bytes() != (drawn / file).read_bytes() for file in files if file.suffix == ".png")


def test_most_helmet_colours_are_no_helmets(cases: list[tuple[Path, ET.Element]]) -> None:
    """Saturated yellow, orange, red and blue lie mostly on vests, balls, signs and machines: less than 0.25 within helmets' boxes."""
    inside = everywhere = 0
    for file, root in cases:
        with Image.open(file) as picture:
            hue, saturation, value = np.asarray(picture.convert("HSV")).transpose(2, 0, 1)
        vivid = (saturation > 150) & (value > 110) & ((hue < 45) | (hue > 240) | (abs(hue.astype(int) - 150) < 20))
        mine = np.zeros_like(vivid)
        for name, (left, top, right, bottom), _ in objects(root):
            if name == "helmet":
                mine[top:bottom, left:right] = True
        inside, everywhere = inside + (vivid & mine).sum(), everywhere + vivid.sum()
    assert 0.02 < inside / everywhere < 0.25


# What is drawn and what is labelled.


def person(helmet: bool, x: float = 60.0, y: float = 60.0, yaw: float = 0.0, seed: int = 0) -> Person:
    return Person(x, y, 20.0, yaw, 5.0, 0.0, "stands", False, Look.chosen(random.Random(seed), helmet))


def plain(size: tuple[int, int] = (120, 120)) -> Canvas:
    canvas = Canvas(size, LIGHT)
    canvas.box(0, 0, *size, GREY)
    return canvas


def extent(canvas: Canvas) -> tuple[int, int, int, int]:
    """The box around what differs from grey."""
    rows, columns = np.nonzero((np.asarray(canvas.picture) != GREY).any(2))
    return columns.min() // OVER, rows.min() // OVER, columns.max() // OVER + 1, rows.max() // OVER + 1


def headed(canvas: Canvas, who: Person) -> int:
    """Draw only the head, as that of the first person."""
    canvas.mine = 2
    pixels = draw_head(canvas, who)
    canvas.mine = 0
    return pixels


@pytest.mark.parametrize("yaw", [0, 60, 180, -100])
@pytest.mark.parametrize("helmet", [True, False])
def test_a_box_is_what_is_seen_of_a_head(helmet: bool, yaw: float) -> None:
    canvas, who = plain(), person(helmet, yaw=yaw)
    pixels = headed(canvas, who)
    (found,) = labels(np.asarray(canvas.owner), [who], [pixels], with_persons=False, dice=random.Random(0))
    assert found[:5] == ("helmet" if helmet else "head", *extent(canvas))
    assert not found.truncated and not found.occluded


def test_what_is_hidden_is_outside_the_box_and_hardly_seen_heads_have_none() -> None:
    seen = {}
    for edge in (0, 60, 85):
        canvas, who = plain(), person(True)
        pixels = headed(canvas, who)
        canvas.box(0, edge, 120, 120, (90, 60, 30))
        seen[edge] = labels(np.asarray(canvas.owner), [who], [pixels], with_persons=False, dice=random.Random(0))
    assert seen[0] == []
    assert seen[60][0].bottom == 60 and seen[60][0].occluded
    assert seen[85][0].bottom < 85 and not seen[85][0].occluded


def test_shadows_hide_nothing() -> None:
    canvas, who = plain(), person(True)
    pixels = headed(canvas, who)
    canvas.box(0, 0, 120, 120, (0, 0, 0), alpha=40)
    (found,) = labels(np.asarray(canvas.owner), [who], [pixels], with_persons=False, dice=random.Random(0))
    assert not found.occluded


@pytest.mark.parametrize(("x", "labelled"), [(2.0, True), (-18.0, False)])
def test_the_border_cuts_boxes(x: float, labelled: bool) -> None:
    canvas, who = plain(), person(True, x=x)
    pixels = headed(canvas, who)
    found = labels(np.asarray(canvas.owner), [who], [pixels], with_persons=False, dice=random.Random(0))
    assert [(box.left, box.truncated, box.occluded) for box in found] == ([(0, True, False)] if labelled else [])


def test_a_person_is_body_and_head() -> None:
    canvas, who = plain((200, 400)), person(False, x=100, y=40)
    canvas.mine = 1
    draw_body(canvas, who)
    pixels = headed(canvas, who)
    found = labels(np.asarray(canvas.owner), [who], [pixels], with_persons=True, dice=random.Random(1))
    assert [box.name for box in found] == ["head", "person"]
    assert found[1][1:5] == extent(canvas)
    assert found[1].bottom - found[1].top == pytest.approx(15 * who.unit, rel=0.03)


@pytest.mark.parametrize("helmet", [True, False])
def test_crowns_have_the_colour_of_what_is_worn_from_all_sides(helmet: bool) -> None:
    for yaw in range(-180, 180, 45):
        canvas, who = plain(), person(helmet, yaw=yaw, seed=int(not helmet))
        headed(canvas, who)
        crown = np.median(np.asarray(canvas.picture.reduce(OVER))[41:48, 54:66].reshape(-1, 3), axis=0)
        color = np.array(who.look.helmet or who.look.cap or who.look.hair)
        assert crown @ color / np.linalg.norm(crown) / np.linalg.norm(color) > 0.97


def test_faces_are_seen_from_the_front_only() -> None:
    """Eyes are white spots, which somebody who looks away has not."""
    white = []
    for yaw in (0, 180):
        canvas = plain()
        headed(canvas, person(False, yaw=yaw, seed=5))
        pixels = np.asarray(canvas.picture)[100:130, 90:150].astype(int)
        white.append(((pixels.min(2) > 150) & (np.ptp(pixels, 2) < 40)).sum())
    assert white[0] > 10 and white[1] == 0


# Solids.


def test_a_ball_is_round_and_lit_from_where_the_light_is() -> None:
    canvas = Canvas((80, 80), Light((-0.6, 0.0, 0.8), 0.3))
    canvas.mine = 9
    ball(canvas, 40, 40, 25, (200, 200, 200), gloss=0.0)
    owned = np.asarray(canvas.owner) == 9
    assert owned.sum() == pytest.approx(np.pi * (25 * OVER) ** 2, rel=0.01)
    row = np.asarray(canvas.picture)[80, :, 0]
    assert row[45] > row[80] > row[115]


def test_the_nearest_solid_is_seen_whatever_the_order() -> None:
    for order in (1, -1):
        canvas = plain()
        cluster = Cluster(canvas, (60, 60), 20, turned(0, 0, 0))
        for depth, color in ((0.5, (250, 0, 0)), (-0.5, (0, 250, 0)))[::order]:
            cluster.add((0, 0, depth), (0.6, 0.6, 0.6), color)
        cluster.put()
        red, green, _ = np.asarray(canvas.picture)[120, 120]
        assert red > 100 and green == 0


def test_turns() -> None:
    front = np.array((0, 0, 1.0))
    assert np.allclose(turned(90, 0, 0) @ front, (1, 0, 0), atol=1e-6)  # to the right
    assert (turned(0, 30, 0) @ front)[1] < 0  # seen from above, the front is lower
    assert np.allclose(turned(20, -40, 70) @ turned(20, -40, 70).T, np.eye(3), atol=1e-6)


def test_a_hem_is_straight_and_fog_dims() -> None:
    for hem in (False, True):
        canvas = plain()
        canvas.limb((60, 20), (60, 80), 10, 10, (200, 0, 0), hem=hem)
        assert extent(canvas) == (50, 10, 70, 80 if hem else 90)
    canvas = plain()
    canvas.fog = ((0, 0, 250), 1.0)
    canvas.limb((60, 20), (60, 80), 10, 10, (200, 0, 0))
    assert np.asarray(canvas.picture)[100, 120].tolist() == [0, 0, 250]


@pytest.mark.parametrize("place", PLACES)
def test_every_place_fills_its_picture(place: Callable[[Ground], None]) -> None:
    canvas = Canvas((104, 96), LIGHT)
    canvas.picture.paste((255, 0, 255), (0, 0, *canvas.picture.size))
    place(Ground(canvas, random.Random(3), 1.7, 40.0))
    assert not (np.asarray(canvas.picture) == (255, 0, 255)).all(2).any()


def test_everything_draws_something_and_belongs_to_nobody() -> None:
    for prop in (*SMALL, *LARGE):
        canvas = plain((200, 160))
        canvas.owner.paste(7, (0, 0, *canvas.owner.size))
        ground = Ground(canvas, random.Random(1), 1.7, 60.0)
        prop(ground, 100.0, 140.0, 50.0, random.Random(2))
        changed = (np.asarray(canvas.picture) != GREY).any(2)
        assert changed.sum() > 200, prop
        assert (np.asarray(canvas.owner) == 0).sum() > 0.5 * changed.sum() / OVER, prop
    for screen in SCREENS:
        canvas = plain((200, 160))
        screen(canvas, person(True, x=100), random.Random(2))
        assert (np.asarray(canvas.picture) != GREY).any(2).sum() > 200, screen
