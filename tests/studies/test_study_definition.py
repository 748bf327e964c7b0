"""A study's file: what it may say, and what is wrong with it, at its place, before anything is trained."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from faked import CELLS, STUDY, write

from zoo.document import Place
from zoo.errors import RecipeError
from zoo.studies import definition
from zoo.studies.definition import Axis
from zoo.studies.plan import Plan, _draw, cell_id, tidy

ROOT = Path(__file__).resolve().parent.parent.parent


def plan(folder: Path, text: str = STUDY, *words: str) -> Plan:
    return Plan(definition.read(write(folder, text)), words)


def wrong(folder: Path, text: str, *words: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        plan(folder, text, *words)
    return str(error.value).replace(f"{folder}/", "").splitlines()


# ---------------------------------------------------------------- cells


def test_a_grid_is_every_setting_with_every_seed(tmp_path: Path) -> None:
    cells = plan(tmp_path, STUDY + "seeds: [0, 7]\n").cells
    assert [cell.id for cell in cells] == [f"{name[:-2]}-{seed}" for name in CELLS for seed in (0, 7)]
    assert [cell.recipe.seed for cell in cells] == [0, 7] * 4
    assert {cell.recipe.split.seed for cell in cells} == {0}
    assert cells[1].setting == {"network": "a", "train.lr": "0.01"}
    assert all(cell.recipe.synthetic and cell.recipe.name == "mine" for cell in cells)


def test_values_lie_over_each_other_in_order(tmp_path: Path) -> None:
    """Base < base's synthetic < changes < synthetic < axes < command line; image_folder's synthetic section says 96 pixels."""
    text = STUDY.replace("{data.synthetic: always}", "{data: {synthetic: always}, train.epochs: 2, train.batch_size: 8}")
    (cell, *_) = plan(tmp_path, text).cells
    assert (cell.recipe.data.size, cell.recipe.train.epochs, cell.recipe.train.batch_size, cell.recipe.train.lr) == (96, 2, 8, 0.01)
    (cell, *_) = plan(tmp_path, text + "synthetic: {train: {epochs: 3, lr: 1.0}, data.size: 64}\n", "train.batch_size=4").cells
    assert (cell.recipe.data.size, cell.recipe.train.epochs, cell.recipe.train.batch_size, cell.recipe.train.lr) == (64, 3, 4, 0.01)


def test_real_data_does_not_read_the_synthetic_section(tmp_path: Path, data_home: Path) -> None:
    text = STUDY.replace("{data.synthetic: always}", "{data.synthetic: never}") + "synthetic: {data.size: 64}\n"
    assert plan(tmp_path, text).cells[0].recipe.data.size == 160


def test_a_named_section_replaces_the_whole_and_a_dotted_key_does_not(tmp_path: Path) -> None:
    text = """
recipe: image_folder
axes:
  a:
    whole: {backbone: {name: resnet18}}
    part: {backbone.name: resnet18}
changes: {backbone.pretrained: false, data.synthetic: always}
"""
    whole, part = plan(tmp_path, text).cells
    assert whole.recipe.backbone is not None
    assert part.recipe.backbone is not None
    assert (whole.recipe.backbone.pretrained, part.recipe.backbone.pretrained) == ("prefer", False)


def test_what_the_base_expects_is_not_expected_of_its_variants(tmp_path: Path) -> None:
    assert plan(tmp_path).cells[0].recipe.expect.synthetic == {}


def test_a_base_beside_the_study_comes_first(tmp_path: Path) -> None:
    (tmp_path / "mine.base.yaml").write_text("data: image_folder\nbackbone: resnet18\ntask: classification\ntrain: {batch_size: 5}\n")
    cells = plan(tmp_path, STUDY.replace("recipe: image_folder", "recipe: mine.base.yaml")).cells
    assert cells[0].recipe.train.batch_size == 5


def test_random_draws_the_same_everywhere_and_in_range(tmp_path: Path) -> None:
    text = """
recipe: image_folder
axes:
  train.lr: {low: 1e-4, high: 1e-1, log: true}
  train.batch_size: {low: 4, high: 6}
search: random
settings: 12
changes: {data.synthetic: always}
"""
    one, other = plan(tmp_path, text).cells, plan(tmp_path, text).cells
    assert [cell.id for cell in one] == [cell.id for cell in other]
    assert len({cell.id for cell in one}) == 12
    assert all(1e-4 <= cell.recipe.train.lr <= 0.1 for cell in one)
    assert {cell.recipe.train.batch_size for cell in one} == {4, 5, 6}
    assert one[0].setting["train.lr"] == one[0].recipe.train.lr
    assert one[0].id == f"lr{one[0].recipe.train.lr:.4g}-batch_size{one[0].recipe.train.batch_size}-0"


def test_a_log_range_is_drawn_evenly_by_size(tmp_path: Path) -> None:
    (axis,) = definition.read(
        write(tmp_path, "recipe: image_folder\naxes: {train.lr: {low: 1e-4, high: 1, log: true}}\nsearch: tpe\nsettings: 2")
    ).axes
    drawn = [float(_draw(axis, random.Random(seed))) for seed in range(400)]
    assert 0.4 < sum(value < 0.01 for value in drawn) / 400 < 0.6
    assert all(axis.holds(tidy(axis, value)) for value in drawn)


def test_tidy_numbers_stay_in_their_range() -> None:
    axis = Axis("train.lr", {}, Place(1, 1, "x:1:1"), 0.00012345, 0.00012346)
    assert axis.holds(tidy(axis, 0.000123456))


def test_ids_are_names_of_folders() -> None:
    assert cell_id({"network": "a/../b", "x": "@e:1"}, 3) == "a_.._b-_e_1-3"
    assert cell_id({"train.lr": "-1", "data.flag": "true", "loss": ".hidden"}, 0) == "lr_1-flag_true-hidden-0"


# ---------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (
            ("question:", "quetsion:"),
            ["mine.yaml:2:1: unknown key `quetsion` (did you mean `question`?); expected one of question, recipe"],
        ),
        (("recipe: image_folder", ""), ["mine.yaml:1:1: `recipe` is missing"]),
        (
            ("recipe: image_folder", "recipe: image_foldr"),
            ["mine.yaml:3:1: `recipe`: image_foldr: no such recipe (did you mean `image_folder`?)"],
        ),
        (("[1e-2, 1e-3]", "[]"), ["mine.yaml:8:3: `axes.train.lr`: the list is empty"]),
        (("[1e-2, 1e-3]", "[1e-2, 0.01]"), ["mine.yaml:8:20: `axes.train.lr`: 0.01 stands twice"]),
        (("[1e-2, 1e-3]", "[[1], 2]"), ["mine.yaml:8:14: `axes.train.lr`: [1] needs a name"]),
        (
            ("[1e-2, 1e-3]", "{low: 1, high: 1}"),
            ["mine.yaml:8:3: `axes.train.lr`: expected `low` below `high`, both finite, found 1 and 1"],
        ),
        (("[1e-2, 1e-3]", "{low: 0.1, high: 1}"), ["mine.yaml:8:3: `axes.train.lr` is a range, which a grid cannot fill"]),
        (("[1e-2, 1e-3]", "{low: x, high: 1}"), ['mine.yaml:8:14: `axes.train.lr.low`: expected a number, found "x"']),
        (
            ("[1e-2, 1e-3]", "5"),
            ["mine.yaml:8:3: `axes.train.lr`: expected named values, a list in [ ], or a range {low: ..., high: ...}, found 5"],
        ),
        (("train.lr: [1e-2, 1e-3]", "seed: [1, 2]"), ["mine.yaml:8:3: `axes.seed`: repeats stand in `seeds`, over one split"]),
        (("backbone.name: resnet18", "seed: 3"), ["mine.yaml:6:9: `seed`: repeats stand in `seeds`"]),
        (
            ("{backbone.name: resnet18}", "resnet18"),
            ['mine.yaml:6:5: `axes.network.a`: expected changes of the recipe such as `task.loss: focal`, found "resnet18"'],
        ),
        (("backbone.name: resnet18", "expect: 3"), ["mine.yaml:6:9: `expect`: expected a key of the recipe"]),
        (("resnet18", "resnte18"), ["mine.yaml:6:9: unknown name `resnte18` in `backbone` (did you mean `resnet18`?)"]),
        (("1e-3]", "-1]"), ["mine.yaml:8:20: `train.lr`: expected more than 0.0, found -1 (in a-lr_1, b-lr_1)"]),
        (("resnet34", "resnet18"), ["axes: 'a-lr0.01' and 'b-lr0.01' would be the same training"]),
        (("resnet34", "resnet34, monitor.metric: val/loss"), ["axes: 'a-lr0.01' and 'b-lr0.01' differ in `monitor`"]),
        (("resnet34", "resnet34, data.synthetic: never"), ["axes: 'a-lr0.01' and 'b-lr0.01' read real and drawn data"]),
        (("changes: {", "changes: {seed: 3, "), ["mine.yaml:9:11: `seed`: a study's seeds stand in `seeds`"]),
        (("changes: {", "search: tpe\nchanges: {"), ["mine.yaml:9:1: `search: tpe` draws settings: say how many, such as `settings: 20`"]),
        (("changes: {", "settings: 3\nchanges: {"), ["mine.yaml:9:1: `settings` is for `search: random` and `search: tpe`"]),
        (
            ("changes: {", "search: random\nsettings: 9\nchanges: {"),
            ["mine.yaml: `settings: 9` of the 4 that there are: set `search: grid`"],
        ),
        (
            ("train.lr: [1e-2, 1e-3]", "train.epochs: {low: 1, high: 3}\nsearch: tpe\nsettings: 9"),
            ["mine.yaml: `settings: 9` of the 6 that there are: ask for fewer, or list the values of the ranges and set `search: grid`"],
        ),
        (("changes: {", "seeds: []\nchanges: {"), ["mine.yaml:9:1: `seeds`: expected at least 1 values, found []"]),
        (("changes: {", "seeds: [-1]\nchanges: {"), ["mine.yaml:9:9: `seeds.0`: expected at least 0, found -1"]),
    ],
)
def test_what_is_wrong_is_said_at_its_place(change: tuple[str, str], lines: list[str], tmp_path: Path) -> None:
    found = wrong(tmp_path, STUDY.replace(*change))
    assert len(found) == len(lines), found
    for line, expected in zip(found, lines, strict=True):
        assert line.startswith(expected)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = STUDY.replace("resnet18", "resnte18").replace("1e-3]", "-1]")
    found = wrong(tmp_path, text, "train.epohcs=3")
    assert [line.partition(": ")[0] for line in found] == ["mine.yaml:6:9", "mine.yaml:8:20", "command line, `train.epohcs=3`"]
    found = wrong(tmp_path, STUDY.replace("question", "quetsion").replace("axes", "axse"))
    assert len(found) == 3


def test_a_broken_base_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("data: image_folder\nbackbone: resnet18\ntask: classification\ntrain: {epohcs: 3}\n")
    (line,) = wrong(tmp_path, STUDY.replace("recipe: image_folder", "recipe: base.yaml"))
    assert line.startswith("base.yaml:4:9: unknown key `train.epohcs`")


def test_the_command_line_may_not_undo_an_axis_or_the_seeds(tmp_path: Path) -> None:
    assert "would be the same training" in wrong(tmp_path, STUDY, "train.lr=3")[0]
    assert wrong(tmp_path, STUDY, "seed=3") == ["command line, `seed=3`: a study's seeds stand in its file: `seeds: [0, 1, 2]`"]


def test_two_settings_of_one_name_are_refused(tmp_path: Path) -> None:
    found = wrong(tmp_path, STUDY.replace("a: {", "x y: {").replace("b: {", "x_y: {"))
    assert "would both be called 'x_y-lr0.01-0': give their values other names" in found[0]


def test_names_too_long_for_a_folder_are_refused(tmp_path: Path) -> None:
    for letter, most in (("x", 130), ("\N{CJK UNIFIED IDEOGRAPH-6C49}", 45)):
        text = STUDY.replace("a: {", f"{letter * most}: {{")
        assert len(plan(tmp_path, text).cells) == 4
        assert "is too long for a folder's name" in wrong(tmp_path, text.replace(letter * most, letter * (most + 20)))[0]


def test_too_many_cells_are_refused(tmp_path: Path) -> None:
    many = ", ".join(str(number) for number in range(1, 600))
    assert "1,198 settings with 1 seeds are more than 1000 cells" in wrong(tmp_path, STUDY.replace("1e-2, 1e-3", many))[0]


def test_a_study_may_not_be_called_like_a_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a recipe has this name"):
        definition.read(write(tmp_path, name="image_folder"))
    with pytest.raises(RecipeError, match="letters, digits"):
        definition.read(write(tmp_path, name="a b"))


def test_a_study_that_is_not_there_suggests() -> None:
    with pytest.raises(RecipeError, match=r"no such study \(did you mean `ph2_networks_by_losses`\?\)"):
        definition.read("ph2_network_by_losses")
    with pytest.raises(RecipeError, match="no such study"):
        definition.read("y" * 300)


def test_help_and_check_load_nothing_heavy(tmp_path: Path) -> None:
    file = write(tmp_path)
    code = "import sys, zoo.study\ntry: zoo.study.main({words})\nexcept SystemExit: pass\n"
    code += "print({{'torch', 'optuna', 'numpy', 'matplotlib'}} & set(sys.modules))"
    for words in (["--help"], [str(file), "--check"]):
        ended = subprocess.run([sys.executable, "-c", code.format(words=words)], capture_output=True, text=True, check=True)
        assert ended.stdout.splitlines()[-1] == "set()"
    assert "mine: fine; 4 cells by grid (2 network x 2 train.lr, 1 seeds) of image_folder" in ended.stdout
