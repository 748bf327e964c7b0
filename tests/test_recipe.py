"""Recipes: what is accepted, and that all that is wrong is said at once (zoo/recipe.py, checking.py, sections.py, schema.py)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo import paths, registry
from zoo.document import parse
from zoo.errors import RecipeError
from zoo.nearest import nearest
from zoo.recipe import Recipe, find, options
from zoo.schema import json_schema

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))
BASE = "data: image_folder\nbackbone: resnet18\ntask: classification\n"


def read(text: str, *changes: str) -> Recipe:
    return Recipe.parse(text, "r.yaml", "r", changes)


def wrong(text: str, *changes: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        read(text, *changes)
    return str(caught.value).splitlines()


@pytest.fixture
def real(data_home: Path) -> str:
    """A change that makes the data real: its root exists."""
    (data_home / "real").mkdir(exist_ok=True)
    return "data.root=real"


# ---------------------------------------------------------------- values


def test_three_names_are_a_recipe() -> None:
    recipe = read(BASE)
    assert (recipe.data.name, recipe.task.name, recipe.seed, recipe.question) == ("image_folder", "classification", 0, "")
    assert recipe.backbone is not None
    assert recipe.backbone.name == "resnet18"
    assert recipe.train.optimizer.name == "adamw"
    assert recipe.synthetic  # there is no folder image_folder in $ZOO_DATA


def test_empty_keys_and_sections_are_defaults() -> None:
    assert read(f"{BASE}train:\nsplit:\nexpect:\nreference:\nseed:\nquestion:\nsynthetic:\n  train:\n") == read(BASE)
    assert read("\ufeff" + BASE) == read(BASE)


def test_an_empty_section_of_the_overlay_changes_nothing() -> None:
    assert read(BASE + "train:\n  epochs: 3\nsynthetic:\n  train:\n").train.epochs == 3


def test_floats_take_whole_numbers_and_exponents() -> None:
    assert read(BASE, "train.lr=1").train.lr == 1.0
    assert read(BASE, "train.lr=1e-3").train.lr == 0.001
    assert read(BASE + "train:\n  lr: 1E-3\n").train.lr == 0.001


def test_a_name_is_short_for_a_section() -> None:
    short = read(
        "data: {name: image_folder, augment: [flip]}\nbackbone: resnet18\ntask: classification\ntrain: {schedule: cosine, optimizer: sgd}\n"
    )
    long = read(
        "data: {name: image_folder, augment: [{name: flip}]}\nbackbone: {name: resnet18}\ntask: {name: classification}\n"
        "train: {schedule: {name: cosine}, optimizer: {name: sgd}}\n"
    )
    assert short == long
    assert short.train.schedule.name == "cosine"


def test_a_change_below_a_name_or_a_default() -> None:
    train = read(BASE + "train:\n  schedule: cosine\n", "train.schedule.final=0.1", "train.optimizer.weight_decay=0.5").train
    assert train.schedule.model_dump() == {"name": "cosine", "final": 0.1, "warmup": 0.0}
    assert train.optimizer.model_dump() == {"name": "adamw", "betas": (0.9, 0.999), "weight_decay": 0.5}


def test_later_words_win() -> None:
    assert read(BASE, "train.epochs=2", "train={epochs: 3}", "train.epochs=4").train.epochs == 4


# ---------------------------------------------------------------- players

PLAYERS = """\
train:
  optimizer: {name: adam, betas: [0.5, 0.999]}
  schedule: step
  players:
    generator:
      lr: 1e-4
      schedule: cosine
      optimizer: {weight_decay: 0.1}
    discriminator: {optimizer: sgd, schedule: {every: 3}}
    critic:
"""


def test_players_refine_what_holds_for_all() -> None:
    recipe = read(BASE + PLAYERS, "train.players.critic.lr=1e-5", "train.players.critic.schedule.gamma=0.5")
    generator, discriminator, critic = recipe.train.players.values()
    assert (generator.lr, discriminator.lr, critic.lr, recipe.train.lr) == (1e-4, None, 1e-5, 1e-3)
    assert generator.optimizer is not None
    assert generator.optimizer.model_dump() == {"name": "adam", "betas": (0.5, 0.999), "weight_decay": 0.1}
    assert generator.schedule is not None
    assert generator.schedule.name == "cosine"
    assert discriminator.optimizer is not None
    assert discriminator.optimizer.model_dump() == {"name": "sgd", "momentum": 0.9, "nesterov": False, "weight_decay": 0.0}
    assert discriminator.schedule is not None
    assert discriminator.schedule.model_dump() == {"name": "step", "warmup": 0.0, "every": 3.0, "gamma": 0.1}
    assert critic.optimizer is None
    assert critic.schedule is not None
    assert critic.schedule.model_dump() == {"name": "step", "warmup": 0.0, "every": 10.0, "gamma": 0.5}
    assert Recipe.parse(recipe.to_yaml(), "again.yaml", "r") == recipe
    assert recipe.changed(["train.lr=1"]).train.players == recipe.train.players


def test_players_alone_refine_the_defaults() -> None:
    (player,) = read(BASE, "train.players.any.optimizer.weight_decay=0.5").train.players.values()
    assert player.optimizer is not None
    assert player.optimizer.model_dump() == {"name": "adamw", "betas": (0.9, 0.999), "weight_decay": 0.5}
    assert read(BASE).train.players == {} == read(BASE, "train.players={}").train.players


def test_a_wrong_optimizer_of_all_players_is_said_once() -> None:
    text = "train:\n  optimizer: {name: sgd, momentum: 2}\n  players:\n    a:\n      optimizer: {nesterov: true}\n"
    text += "    b: {optimizer: {betas: 1}}\n"
    assert wrong(BASE + text) == [
        "r.yaml:5:26: `train.optimizer.momentum`: expected less than 1.0, found 2",
        "r.yaml:9:21: unknown key `train.players.b.optimizer.betas`; expected one of momentum, name, nesterov, weight_decay",
    ]


# ---------------------------------------------------------------- several devices


def test_devices_divide_the_batch() -> None:
    fits = "train: {engine: lightning, devices: 4, nodes: 2, batch_size: 48, device: cuda}\n"
    assert (read(BASE + fits).train.devices, read(BASE + fits).train.nodes) == (4, 2)
    text = "train:\n  engine: lightning\n  devices: 4\n  nodes: 2\n  batch_size: {size}\n  device: cuda:1\n"
    device = "r.yaml:9:3: `train.device` cuda:1 is one GPU and `train.devices` 4: set train.device=cuda"
    for size, near in ((50, "48 or 56"), (3, "8")):
        words = f"`train.batch_size` {size} cannot be divided among 8 processes (`train.devices` 4 x `train.nodes` 2): set it to {near}"
        assert wrong(BASE + text.replace("{size}", str(size))) == [f"r.yaml:8:3: {words}", device]
    assert read(BASE, "train.device=cuda:1").train.devices == 1


@pytest.mark.parametrize("key", ["devices", "nodes"])
def test_the_loop_knows_one_device(key: str) -> None:
    words = f"`train.{key}` 2: engine `loop` knows one device: set train.engine to lightning or mmengine"
    assert wrong(f"{BASE}train:\n  engine: loop\n  {key}: 2\n") == [f"r.yaml:6:3: {words}"]
    for engine in ("lightning", "mmengine"):
        assert read(BASE, f"train.{key}=2", f"train.engine={engine}").train.engine == engine


# ---------------------------------------------------------------- synthetic:

OVERLAID = (
    BASE
    + "train:\n  epochs: 1\n  lr: 0.1\n  schedule:\n    name: step\n    every: 3\n"
    + "synthetic:\n  data:\n    size: 64\n  train:\n    epochs: 2\n    schedule:\n      name: one_cycle\n"
)


def test_recipe_below_synthetic_below_command_line(real: str) -> None:
    assert (read(OVERLAID).train.epochs, read(OVERLAID).data.size, read(OVERLAID).train.lr) == (2, 64, 0.1)
    assert read(OVERLAID, "train.epochs=3").train.epochs == 3
    assert (read(OVERLAID, real).train.epochs, read(OVERLAID, real).data.size) == (1, 224)
    assert read(OVERLAID, real, "train.epochs=3").train.epochs == 3


def test_a_section_with_a_name_replaces_the_whole_one(real: str) -> None:
    assert read(OVERLAID).train.schedule.model_dump() == {"name": "one_cycle", "rise": 0.3, "start": 25.0, "end": 10000.0}
    assert read(OVERLAID, real).train.schedule.name == "step"


def test_changes_need_to_fit_only_what_is_in_effect(real: str) -> None:
    assert read(OVERLAID, real, "train.schedule.every=5").train.schedule.every == 5.0
    assert read(OVERLAID, "train.schedule.rise=0.5").train.schedule.rise == 0.5
    first, note = wrong(OVERLAID, "train.schedule.every=5")
    assert first.startswith("command line, `train.schedule.every=5`: unknown key `train.schedule.every`")
    assert "`synthetic:` section lies over" in note


def test_what_is_synthetic_is_a_property_of_the_data(data_home: Path, real: str) -> None:
    drawn = data_home / "drawn"
    drawn.mkdir(exist_ok=True)
    (drawn / "SYNTHETIC.json").write_text("{}")
    assert read(BASE, "data.root=drawn").synthetic
    assert not read(BASE, real).synthetic
    assert read(BASE, real, "data.synthetic=always").synthetic
    assert not read(BASE, "data.synthetic=never").synthetic
    assert read(BASE, "data.root=~nobody-of-this-name/x").synthetic
    assert read(BASE, f"data.root={'x' * 5000}").synthetic  # a name that no file can have


def test_the_synthetic_section_itself_can_be_changed() -> None:
    assert read(OVERLAID, "synthetic.train.epochs=7").train.epochs == 7
    assert read(OVERLAID, "train.epochs=3", "synthetic.train.epochs=7").train.epochs == 3
    assert read(OVERLAID, "synthetic={train: {epochs: 7}}").train.epochs == 7
    assert read(OVERLAID, "synthetic=").data.size == 224
    assert wrong(OVERLAID, "synthetic=7")[0] == "command line, `synthetic=7`: `synthetic`: expected changes such as `data:`, found 7"
    assert wrong(OVERLAID, "synthetic.train.lr=x")[0] == 'command line, `synthetic.train.lr=x`: `train.lr`: expected a number, found "x"'


def test_an_overlay_is_checked_whichever_data_is_read(real: str) -> None:
    text = BASE + "train:\n  lr: x\nsynthetic:\n  train:\n    epohcs: 2\n    lr: y\n    optimizer:\n      name: sgd\n      momentum: 2\n"
    for changes in ((), (real,)):
        lines = wrong(text, *changes)
        assert lines[0] == 'r.yaml:5:3: `train.lr`: expected a number, found "x"'
        assert lines[1].startswith("r.yaml:8:5: unknown key `train.epohcs` (did you mean `epochs`?)")
        assert lines[2] == 'r.yaml:9:5: `train.lr`: expected a number, found "y"'
        assert lines[3] == "r.yaml:12:7: `train.optimizer.momentum`: expected less than 1.0, found 2"
        assert len(lines) == 4


def test_overlays_of_other_shapes() -> None:
    assert wrong(BASE + "synthetic: [1]\n") == ["r.yaml:4:1: `synthetic`: expected changes such as `data:`, found [1]"]
    assert wrong(BASE + "synthetic:\n  synthetic:\n    seed: 1\n") == ["r.yaml:4:1: `synthetic` cannot stand inside itself"]
    assert wrong(BASE + "synthetic:\n  train: 5\n") == ["r.yaml:5:3: `train`: expected a section of keys and values, found 5"]
    assert wrong(BASE + "synthetic:\n  trian:\n    lr: 1\n")[0].startswith("r.yaml:6:5: unknown key `trian` (did you mean `train`?)")


# ---------------------------------------------------------------- errors


def test_all_errors_at_once_sorted_by_place() -> None:
    text = """\
sed: 3
data:
  name: image_folder
  szie: 3
  crop: 2
backbone: mobilnetv2
task: clasification
train:
  epochs: 1.5
  optimizer: adm
  batch_size: true
  schedule:
    name: cosine
    finl: 1
  lr: -1
  lr: 2
split:
  val: 0.6
  test: 0.5
expect:
  reel: {}
  real:
    val/accuracy: {min: 2, max: 1}
    val/f1: 0.5
reference:
  - metric: a
    certainty: Q
"""
    lines = wrong(text, "seed=-1", "train.epohcs=3", "foo", "data.augment=[flp, {name: crop, scal: 1}]")
    assert [line.partition(": ")[0] for line in lines] == [
        *[
            f"r.yaml:{place}"
            for place in ("1:1", "4:3", "5:3", "6:1", "7:1", "9:3", "10:3", "11:3", "14:5", "15:3", "16:3", "19:3", "21:3", "23:5", "24:5")
        ],
        *["r.yaml:26:5"] * 2,
        "r.yaml:27:5",
        "command line, `seed=-1`",
        "command line, `train.epohcs=3`",
        "command line, `foo`",
        *["command line, `data.augment=[flp, {name"] * 2,
        "(Drawn data is read here, so the recipe's `synthetic:` section lies over the rest of it.)",
    ][: len(lines)]
    said = "\n".join(lines)
    for words in (
        "unknown key `sed` (did you mean `seed`?); expected one of question,",
        "unknown key `data.szie` (did you mean `size`?); expected one of augment,",
        "`data.crop`: expected at most 1.0, found 2",
        "unknown name `mobilnetv2` in `backbone` (did you mean `mobilenetv2_100`?); see `zoo list backbones`",
        "unknown name `clasification` in `task` (did you mean `classification`?); see `zoo list tasks`",
        "`train.epochs`: expected a whole number, found 1.5",
        "unknown name `adm` in `train.optimizer` (did you mean `adam`?); expected one of sgd, adam, adamw, rmsprop",
        "`train.batch_size`: expected a whole number, found true",
        "unknown key `train.schedule.finl` (did you mean `final`?); expected one of final, name, warmup",
        "`train.lr`: expected more than 0.0, found -1",
        "`lr` stands twice: first at r.yaml:15:3; keep one",
        "`split.val` + `split.test` = 1.1: nothing is left to train on",
        "unknown key `expect.reel` (did you mean `real`?); expected one of real, synthetic",
        "`expect.real.val/accuracy`: `min` 2 is above `max` 1: swap them",
        "`expect.real.val/f1`: expected a section of keys and values, found 0.5",
        "`reference.0.value` is missing",
        "`reference.0.certainty`: expected 'V', 'C', 'N', 'S' or 'M', found \"Q\"",
        "`seed`: expected at least 0, found -1",
        "unknown name `flp` in `data.augment.0` (did you mean `flip`?)",
        "unknown key `data.augment.1.scal` (did you mean `scale`?); expected one of name, ratio, scale",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("train.epochs=true", "`train.epochs`: expected a whole number, found true"),
        ("train.epochs=1.0", "`train.epochs`: expected a whole number, found 1.0"),
        ("train.epochs='3'", '`train.epochs`: expected a whole number, found "3"'),
        ("train.epochs=" + "9" * 50, "`train.epochs`: expected less than 2147483648, found 999"),
        ("train.epochs=" + "9" * 5000, "`train.epochs`: expected a whole number, found Infinity"),
        ("train.epochs=", "`train.epochs`: expected a whole number, found null"),
        ("seed=4294967296", "`seed`: expected less than 4294967296, found 4294967296"),
        ("seed=true", "`seed`: expected a whole number, found true"),
        ("split.seed=-1", "`split.seed`: expected at least 0, found -1"),
        ("train.lr=.nan", "`train.lr`: expected a finite number, found NaN"),
        ("train.lr=1e400", "`train.lr`: expected a finite number, found Infinity"),
        ("train.lr=fast", '`train.lr`: expected a number, found "fast"'),
        ("train.lr=true", "`train.lr`: expected a number, found true"),
        ("train.lr.x=1", '`train.lr`: expected a number, found {"x": 1}'),
        ("train={lr: -1}", "`train.lr`: expected more than 0.0, found -1"),
        ("train=fast", '`train`: expected a section of keys and values, found "fast"'),
        ("train.compile=no", '`train.compile`: expected true or false, found "no"'),
        ("train.channels_last=yes", "`train.channels_last`: expected true or false or 'auto', found \"yes\""),
        ("train.precision=fp32", "`train.precision`: expected 32, 'bf16' or 16, found \"fp32\""),
        ("train.device=gpu", "`train.device`: expected 'auto', 'cpu' or 'cuda' or text that matches"),
        ("train.device=cuda:²", "`train.device`: expected 'auto', 'cpu' or 'cuda' or text that matches"),
        ("train.engine=lop", "unknown name `lop` in `train.engine` (did you mean `loop`?); expected one of"),
        ("train.schedule=5", "`train.schedule`: expected a name, or a section with a `name`, found 5"),
        ("train.schedule={nme: cosine}", "unknown key `train.schedule.nme` (did you mean `name`?)"),
        ("train.optimizer={name: adam, betas: [0.9]}", "`train.optimizer.betas`: expected one more value, found [0.9]"),
        ("train.devices=0", "`train.devices`: expected at least 1, found 0"),
        ("train.nodes=all", '`train.nodes`: expected a whole number, found "all"'),
        ("train.players=5", "`train.players`: expected a section of keys and values, found 5"),
        ("train.players.a=5", "`train.players.a`: expected a section of keys and values, found 5"),
        (
            "train.players.a.optimiser=sgd",
            "unknown key `train.players.a.optimiser` (did you mean `optimizer`?); expected one of ema, lr, optimizer,",
        ),
        ("train.players.a.lr=0", "`train.players.a.lr`: expected more than 0.0, found 0"),
        ("train.players.a.schedule=cosin", "unknown name `cosin` in `train.players.a.schedule` (did you mean `cosine`?); expected one of"),
        ("train.players.a.optimizer=5", "`train.players.a.optimizer`: expected a name, or a section with a `name`, found 5"),
        ("train.players.a.optimizer={name: sgd, momentm: 0}", "unknown key `train.players.a.optimizer.momentm` (did you mean `momentum`?)"),
        ("train.players.a.optimizer.betas=[0.9]", "`train.players.a.optimizer.betas`: expected one more value, found [0.9]"),
        ("data.size=0", "`data.size`: expected at least 1 or a list in [ ], found 0"),
        ("data.size=[8, x]", '`data.size.1`: expected a whole number, found "x"'),
        ("data.size=[8, 8, 8]", "`data.size`: expected a whole number or at most 2 values, found [8, 8, 8]"),
        ("data.root=5", "`data.root`: expected text (in quotes, if it looks like a number), found 5"),
        ("data.root=\udcff", "`data.root`: expected text of Unicode characters, found"),  # bytes of a shell that are no UTF-8
        ("data.root=''", '`data.root`: expected some text, found ""'),
        ("data.workers=-1", "`data.workers`: expected at least 0 or 'auto', found -1"),
        ("data.augment=flip", '`data.augment`: expected a list in [ ], found "flip"'),
        ("data.augment.0=flip", '`data.augment`: expected a list in [ ], found {"0": "flip"}'),
        ("data.augment=[{p: 1}]", "`data.augment.0.name` is missing: see `zoo list transforms`"),
        ("data.augment=[{name: flip, p: 2}]", "`data.augment.0.p`: expected at most 1.0, found 2"),
        ("data.augment_rare=[flip]", "`data.augment_rare` is used with `data.balance: augmented_sampler` only"),
        ("data={size: 3}", "`data.name` is missing: see `zoo list datasets`"),
        ("data=5", "`data`: expected a name or a section, found 5; see `zoo list datasets`"),
        ("data.name={a: 1}", '`data.name`: expected a name, found {"a": 1}; see `zoo list datasets`'),
        ("data=simpson", "unknown name `simpson` in `data` (did you mean `simpsons`?); see `zoo list datasets`"),
        ("backbone.pretrained=true", "`backbone.pretrained`: expected 'torchvision', 'timm', 'prefer' or false, found true"),
        ("backbone=timm", "unknown name `timm` in `backbone`"),
        ("task.loss=focall", "`task.loss`: expected 'cross_entropy' or 'focal', found \"focall\" (did you mean `focal`?)"),
        ("task.dropot=0.3", "unknown key `task.dropot` (did you mean `dropout`?)"),
        ("backbone=", "task `classification` needs a backbone: add `backbone: {name: resnet18}`"),
        ("question=5", "`question`: expected text (in quotes, if it looks like a number), found 5"),
        ("reference=5", "`reference`: expected a list in [ ], found 5"),
        ("1=2", "unknown key `1`; expected one of question, seed,"),
    ],
)
def test_each_message_names_the_value_and_what_was_expected(change: str, expected: str) -> None:
    line = wrong(BASE, change)[0]
    assert line.startswith("r.yaml:3:1: " if change == "backbone=" else "command line, `")
    assert expected in line


@pytest.mark.parametrize("section", ["data", "task", "backbone"])
@pytest.mark.parametrize(
    "name",
    [
        "os.path",
        "os:system",
        "zoo.tasks.classification:Classification",
        "zoo/tasks/classification.py",
        "../tasks/classification",
        "_target_",
        "",
    ],
)
def test_an_import_path_is_no_name(section: str, name: str) -> None:
    assert f"unknown name `{name}` in `{section}`" in wrong(BASE, f"{section}={{name: '{name}'}}")[0]


def test_two_values_of_one_word_have_a_message_each() -> None:
    assert wrong(BASE, "train={lr: -1, epochs: 0}")[:2] == [
        "command line, `train={lr: -1, epochs: 0}`: `train.epochs`: expected at least 1, found 0",
        "command line, `train={lr: -1, epochs: 0}`: `train.lr`: expected more than 0.0, found -1",
    ]


def test_an_empty_recipe_lacks_data_and_task() -> None:
    for text in ("", "# nothing\n", "data:\ntask:\n"):
        assert [line.partition(": ")[2] for line in wrong(text)] == [
            "`data.name` is missing: see `zoo list datasets`",
            "`task.name` is missing: see `zoo list tasks`",
        ]


def test_unreadable_text_is_the_only_problem_that_is_said() -> None:
    (line,) = wrong("data: &a x\n", "foo")
    assert line.startswith("r.yaml:1:7: anchors")
    (line,) = wrong("- data\n- task\n")
    assert line.startswith("r.yaml:1:1: expected sections")


def test_thousands_of_problems_are_cut_short() -> None:
    lines = wrong(BASE + "".join(f"key{number}: 1\n" for number in range(300)))
    assert len(lines) == 101
    assert lines[-1] == "... and 200 more"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("mobilnetv2", "mobilenetv2_100"),
        ("mobilenet_v2", "mobilenetv2_100"),
        ("MobileNetV2", "mobilenetv2_100"),
        ("resnet-18", "resnet18"),
        ("ResNet50", "resnet50"),
        ("efficientnet-b0", "efficientnet_b0"),
        ("se_resnet_18", "seresnet18"),
        ("squeeznet", "squeezenet"),
        ("qqqqqq", None),
    ],
)
def test_nearest_backbone(word: str, meant: str | None) -> None:
    assert nearest(word, registry.names("backbones")) == (f" (did you mean `{meant}`?)" if meant else "")


def test_nearest_looks_over_case_and_signs() -> None:
    assert nearest("a-b_C", ["A_B", "ABC"]) == " (did you mean `ABC`?)"


# ---------------------------------------------------------------- files


def test_find_by_path_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(RECIPES[0].stem) == RECIPES[0].resolve()
    (home / "recipes").mkdir()
    (home / "recipes" / "image_folder.yaml").write_text(BASE)
    assert find("image_folder") == home / "recipes" / "image_folder.yaml"  # one's own come first
    for path, what in (
        ("image_foldr", "no such recipe (did you mean `image_folder`?)"),
        ("recipes/simpsons_mobilnetv2.yaml", "no such recipe (did you mean `simpsons_mobilenetv2`?)"),
        (str(home), "a folder, not a recipe"),
        ("", ""),
        ("x\0y", "no such recipe"),
        ("x" * 5000, "no such recipe"),
    ):
        with pytest.raises(RecipeError) as caught:
            find(path)
        assert what in str(caught.value)
        assert str(home / "recipes") in str(caught.value)
        assert "zoo list" in str(caught.value)


def test_files_that_cannot_be_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.yaml"
    for content, words in ((b"a" * 300_000, "larger than 64 KB"), (b"question: \xff", "not UTF-8 text (byte 10)")):
        file.write_bytes(content)
        with pytest.raises(RecipeError, match="cannot be read") as caught:
            Recipe.read(file)
        assert words in str(caught.value)
        assert str(file) in str(caught.value)

    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:  # the tests may run as root, who may read everything
        patch.setattr(Path, "open", refuse)
        with pytest.raises(RecipeError, match=r"cannot be read.*Permission denied"):
            Recipe.read(file)
    odd = tmp_path / "...yaml"
    odd.write_text(BASE)
    with pytest.raises(RecipeError, match="rename the file"):
        Recipe.read(odd)  # its runs would lie in runs/..


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_recipes_are_read_written_and_read_again(file: Path, data_home: Path) -> None:
    (data_home / "real").mkdir(exist_ok=True)
    for changes in ((), ("data.root=real",)):
        recipe = Recipe.read(file, changes)
        assert recipe.synthetic == (not changes)
        assert Recipe.parse(recipe.to_yaml(), "again.yaml", recipe.name) == recipe
        assert recipe.changed(()) == recipe
        assert "\n- " not in parse(recipe.to_yaml(), "again.yaml").values  # a mapping of plain values
        assert recipe.question
        assert recipe.changed(["train.epochs=77"]).train.epochs == 77


def test_written_recipes_hold_every_key() -> None:
    values = parse(read(BASE).to_yaml(), "r.yaml").values
    assert set(values) == {"question", "seed", "split", "data", "backbone", "task", "train", "checkpoint", "monitor", "expect", "reference"}
    assert values["train"]["optimizer"] == {"name": "adamw", "betas": (0.9, 0.999), "weight_decay": 0.01}


@pytest.mark.parametrize("root", ["1e3", "no", "08", "a: b", "~", " x", "#x", "é 😀"])
def test_texts_that_look_like_other_values_survive_writing(root: str) -> None:
    recipe = read(BASE, f'data.root="{root}"', f'question="{root}"')
    again = Recipe.parse(recipe.to_yaml(), "again.yaml", "r")
    assert (again.data.root, again.question) == (root, root)


def test_options_are_what_the_class_takes() -> None:
    recipe = read(BASE, "task.dropout=0.5")
    assert options(recipe.data) == {}
    assert options(recipe.task)["dropout"] == 0.5
    assert "name" not in options(recipe.task)


# ---------------------------------------------------------------- schema


def valid(value: Any, schema: dict[str, Any]) -> bool:
    """The part of JSON Schema that ours uses; another keyword fails, so that none is overlooked."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    types: dict[str, Callable[[], bool]] = {
        "object": lambda: isinstance(value, dict),
        "array": lambda: isinstance(value, list),
        "string": lambda: isinstance(value, str),
        "boolean": lambda: isinstance(value, bool),
        "null": lambda: value is None,
        "number": lambda: number,
        "integer": lambda: number and value == int(value),
    }
    rules: dict[str, Callable[[Any], bool]] = {
        "type": lambda name: types[name](),
        "enum": lambda words: any(word == value and type(word) is type(value) for word in words),
        "const": lambda word: word == value,
        "anyOf": lambda inner: any(valid(value, other) for other in inner),
        "properties": lambda inner: not isinstance(value, dict) or all(valid(value[key], inner[key]) for key in value if key in inner),
        "required": lambda keys: not isinstance(value, dict) or set(keys) <= set(value),
        "items": lambda inner: not isinstance(value, list) or all(valid(item, inner) for item in value),
        "prefixItems": lambda inner: not isinstance(value, list) or all(map(valid, value, inner)),
        "minItems": lambda least: not isinstance(value, list) or len(value) >= least,
        "maxItems": lambda most: not isinstance(value, list) or len(value) <= most,
        "minLength": lambda least: not isinstance(value, str) or len(value) >= least,
        "pattern": lambda pattern: True,
        "minimum": lambda bound: not number or value >= bound,
        "maximum": lambda bound: not number or value <= bound,
        "exclusiveMinimum": lambda bound: not number or value > bound,
        "exclusiveMaximum": lambda bound: not number or value < bound,
    }
    more = schema.get("additionalProperties", True)
    unknown = [value[key] for key in value if key not in schema.get("properties", {})] if isinstance(value, dict) else []
    if any(more is False or (isinstance(more, dict) and not valid(inner, more)) for inner in unknown):
        return False
    said = {"$schema", "title", "description", "default", "additionalProperties"}
    return all(rules[key](inner) for key, inner in schema.items() if key not in said)


def as_json(text: str) -> Any:
    return json.loads(json.dumps(parse(text, "r.yaml").values))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_schema_accepts_every_recipe(file: Path, schema: dict[str, Any]) -> None:
    assert valid(as_json(file.read_text(encoding="utf-8")), schema)
    assert valid(as_json(Recipe.read(file).to_yaml()), schema)


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ("", True),
        ("train:\n  schedule: cosine\n  optimizer:\n    weight_decay: 0.1\n", True),
        ("train:\n  schedule: cosin\n", False),
        ("train:\n  schedule:\n    name: cosine\n    rise: 1\n", False),
        ("train:\n  epochs: 0\n", False),
        ("train:\n  lr: fast\n", False),
        ("train:\n  engine: warp\n", False),
        ("trian: {}\n", False),
        ("train:\n  devices: 0\n", False),
        ("train:\n  optimizer: sgd\n  players: {a: {lr: 1, schedule: cosine, optimizer: {momentum: 0.5}}, b: {optimizer: null}}\n", True),
        ("train:\n  players: {a: {rl: 1}}\n", False),
        ("train:\n  players: {a: {schedule: cosin}}\n", False),
        ("train:\n  engine: mmengine\n  hooks: [profiler, {name: empty_cache, after_iter: true}]\n", True),
        ("train:\n  engine: mmengine\n  hooks: [{name: profiler, by_epoch: 1}]\n", False),
        ("train:\n  engine: lightning\n  callbacks: [early_stopping]\n", False),
        ("train:\n  engine: lightning\n  callbacks: [{name: early_stopping, monitor: x}]\n", True),
        ("train:\n  engine: lightning\n  loggers: [tensorbord]\n", False),
        ("seed: -1\n", False),
        ("synthetic:\n  train:\n    epochs: 1\n", True),
    ],
)
def test_schema_and_check_agree(more: str, fits: bool, schema: dict[str, Any]) -> None:
    assert valid(as_json(BASE + more), schema) == fits
    assert bool(fits) == (not _problems(BASE + more))


@pytest.mark.parametrize(
    "text",
    [
        "data: {size: 8}\ntask: classification\n",
        "data: image_folder\n",
        "data: image_folder\ntask: x\n",
        "data: {name: x}\ntask: classification\n",
    ],
)
def test_schema_needs_known_names(text: str, schema: dict[str, Any]) -> None:
    assert not valid(as_json(text), schema)
    assert _problems(text)


def _problems(text: str) -> str:
    try:
        read(text)
    except RecipeError as error:
        return str(error)
    return ""


def test_list_recipes_names_them_all() -> None:
    import zoo

    assert set(zoo.list_recipes()) >= {file.stem for file in RECIPES}
    assert paths.recipes()["image_folder"].name == "image_folder.yaml"
