"""Callbacks, loggers and hooks: what a recipe may name, its options, and the objects (docs/plugins.md, zoo/plugins.py)."""

from __future__ import annotations

import configparser
import inspect
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from installed import forget, installed

from zoo import registry
from zoo.__main__ import main
from zoo.errors import RecipeError, ZooError
from zoo.plugins import plugins
from zoo.recipe import Recipe, options
from zoo.schema import json_schema

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
BASE = "data: image_folder\nbackbone: resnet18\ntask: classification\n"


def read(text: str, *changes: str) -> Recipe:
    return Recipe.parse(BASE + text, "r.yaml", "r", changes)


def wrong(text: str, *changes: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        read(text, *changes)
    return str(caught.value).splitlines()


# ---------------------------------------------------------------- the page


def page_package() -> tuple[dict[str, str], dict[str, str]]:
    """The files and the entry points of the page's package."""
    files = dict(re.findall(r"Save this as `my_plugins/([^`]+)`:\n\n```\w+\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL))
    points = tomllib.loads(files.pop("pyproject.toml"))["project"]["entry-points"]["zoo.plugins"]
    assert len(points) == len(files) == 3
    return {"__init__.py": "", **{name.removeprefix("my_plugins/"): text for name, text in files.items()}}, points


@pytest.fixture
def page(tmp_path: Path) -> Iterator[None]:
    """The package of the page, installed."""
    with installed(tmp_path / "site", "my_plugins", *page_package()):
        yield


@pytest.mark.usefixtures("page")
def test_the_recipes_of_the_page_are_right() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        recipe = read(block)
        assert Recipe.parse(recipe.to_yaml(), "again.yaml", "r") == recipe
    assert [section.name for section in read(blocks[0]).train.callbacks] == ["device_stats", "early_stopping"]
    assert options(read(blocks[2]).train.callbacks[0]) == {"goal": 0.8, "metric": "val/accuracy", "silent": False}
    assert "my_plugins" not in sys.modules


@pytest.mark.usefixtures("page")
def test_the_table_of_the_page_holds_what_zoo_brings() -> None:
    named = re.findall(r"^\| `(\w+): (\w+)` \|", PAGE, flags=re.MULTILINE)
    assert set(named) == {tuple(name.split(".")) for name in own_points()}


@pytest.mark.usefixtures("page")
def test_options_of_the_page_are_checked() -> None:
    text = "train:\n  engine: lightning\n  callbacks:\n    - bell\n    - {name: bell, goal: 2}\n"
    text += "    - {name: bell, gaol: 0.5, silent: 1}\n    - bel\n  loggers:\n    - {name: lines, save_dir: /tmp, digits: many}\n"
    bell = "expected one of goal, metric, name, silent"
    assert wrong(text) == [
        "r.yaml:8:20: `train.callbacks.1.goal`: expected at most 1.0, found 2",
        f"r.yaml:9:20: unknown key `train.callbacks.2.gaol` (did you mean `goal`?); {bell}",
        "r.yaml:9:31: `train.callbacks.2.silent`: expected true or false, found 1",
        "r.yaml:10:7: unknown name `bel` in `train.callbacks.3` (did you mean `bell`?); see `zoo list callbacks`",
        "r.yaml:12:21: unknown key `train.loggers.0.save_dir`; expected one of digits, name",
        'r.yaml:12:37: `train.loggers.0.digits`: expected a whole number, found "many"',
    ]


@pytest.mark.usefixtures("page")
def test_the_callback_and_the_logger_of_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pytorch_lightning")
    train = read(
        "train: {engine: lightning, callbacks: [bell, {name: bell, goal: 0.1, silent: true}], loggers: [{name: lines, digits: 2}]}"
    ).train
    loud, quiet = plugins("callbacks", train.callbacks, save_dir=str(tmp_path))
    for accuracy in (0.5, 0.95):
        trainer: Any = SimpleNamespace(callback_metrics={"val/accuracy": accuracy}, current_epoch=4, is_global_zero=True)
        loud.on_train_epoch_end(trainer, None)
        quiet.on_train_epoch_end(trainer, None)
    said = ["epoch 5: val/accuracy 0.5000", "\aepoch 5: val/accuracy 0.9500", "epoch 5: val/accuracy 0.9500"]
    assert capsys.readouterr().out.splitlines() == said
    (logger,) = plugins("loggers", train.loggers, save_dir=str(tmp_path))
    logger.log_hyperparams({"seed": 1})
    logger.log_metrics({"train/loss": 0.123}, 7)
    rows = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows == [{"recipe": {"seed": 1}}, {"at": 7, "train/loss": 0.12}]


@pytest.mark.usefixtures("page")
def test_the_hook_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mmengine")
    (hook,) = plugins("hooks", read("train: {engine: mmengine, hooks: [{name: pace, every: 2}]}").train.hooks, save_dir="x")
    for number in range(4):
        runner: Any = SimpleNamespace(iter=number)
        hook.after_train_iter(runner, number, outputs={"loss": 0.5})
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["batch 2", "batch 4"]
    assert "loss 0.5000" in lines[0]


# ---------------------------------------------------------------- those that zoo brings


def own_points() -> dict[str, str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options.entry_points"]["zoo.plugins"].strip().splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


@pytest.mark.parametrize("point", own_points())
def test_what_zoo_brings_can_be_named_and_built(point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # instead of $MLFLOW_TRACKING_URI, which Lightning reads on import
    kind: Any = point.partition(".")[0]
    name = point.partition(".")[2]
    module, _, cls = own_points()[point].partition(":")
    pytest.importorskip(module.partition(".")[0])
    assert name in registry.names(kind), "setup.cfg and what is installed are not the same: pip install -e . again"
    loaded = registry.load(kind, name)
    assert (loaded.__module__, loaded.__name__) == (module, cls)
    parameters = inspect.signature(loaded).parameters
    for key, option in registry.options(kind, name).items():
        assert option.default == (... if parameters[key].default is inspect.Parameter.empty else parameters[key].default)
    engine = "mmengine" if kind == "hooks" else "lightning"
    needed = ", monitor: val/accuracy" if name == "early_stopping" else ""
    recipe = read(f"train: {{engine: {engine}, {kind}: [{{name: {name}{needed}}}]}}")
    assert Recipe.parse(recipe.to_yaml(), "again.yaml", "r") == recipe
    (built,) = plugins(kind, getattr(recipe.train, kind), save_dir=str(tmp_path / "run"))
    assert type(built) is loaded
    assert kind != "loggers" or "run" in str(built.save_dir)


def test_a_library_that_is_missing_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with installed(tmp_path / "site", "other", {}, {"hooks.ghost": "mmengine.no_such_module:Ghost", "hooks.gone": "no_such_package:Gone"}):
        assert "ghost" not in registry.names("hooks")
        (line,) = wrong("train:\n  engine: mmengine\n  hooks:\n    - ghost\n")
        needs = "`ghost` in `train.hooks.0` needs mmengine.no_such_module, which is not installed: install it, or take it out"
        assert line == f"r.yaml:7:7: {needs}"
    assert "ghost" not in caplog.text  # zoo's own entry points are there without their libraries
    assert "plugin hooks.gone: there is no module no_such_package" in caplog.text


def test_of_two_with_one_name_the_librarys_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    forget()
    lightnings = registry.entry("callbacks", "early_stopping")
    points = {"callbacks.early_stopping": "other:A", "callbacks.mine": "other:A"}
    with (
        installed(tmp_path / "a", "other", {"__init__.py": "class A: pass\nclass B: pass\n"}, points),
        installed(tmp_path / "b", "another", {"__init__.py": ""}, {"callbacks.mine": "other:B"}),
    ):
        assert registry.entry("callbacks", "early_stopping") == lightnings
        assert registry.entry("callbacks", "mine").cls == "B"  # the path's first
    assert "plugin callbacks.early_stopping: other:A is left out, since the name stands for pytorch_lightning." in caplog.text
    assert "plugin callbacks.mine: other:A is left out, since the name stands for other:B" in caplog.text


def test_a_distribution_that_is_found_twice_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a checkout the first may be what an old build left behind: it must not hide the other."""
    files = {"__init__.py": "class A: pass\n"}
    with (
        installed(tmp_path / "now", "other", files, {"hooks.one": "other:A", "hooks.two": "other:A"}),
        installed(tmp_path / "old", "other", files, {"hooks.one": "other:A"}),  # the path's first
    ):
        assert {"one", "two"} <= set(registry.names("hooks"))
    assert not caplog.text


# ---------------------------------------------------------------- classes that were not written for recipes

SOURCE = '''
import os
import typing
from datetime import timedelta
from typing import Any, Callable, Dict, List, Literal, Optional, Tuple, Union

raise SystemExit("a plugin was imported")

class Wide:
    def __init__(
        self,
        monitor: str,
        often: Optional[int] = None,
        either: Union[int, str] = 3,
        several: Optional[Union[float, bool]] = None,
        spelt: "Optional[int]" = 2,
        half: "int" | None = None,
        dotted: typing.Optional[typing.Literal["a", "b"]] = "a",
        way: Literal["int", "up"] = "up",
        pair: tuple[Optional[int], str] = (1, "x"),
        sloppy: int = None,
        untyped=3,
        length: Optional[Union[str, timedelta]] = None,
        names: List[str] = (),
        table: Dict[str, int] = {},
        old: Tuple[int, int] = (1, 2),
        call: Optional[Callable[[Any], int]] = None,
        place: str = os.getenv("PLACE"),
        many: tuple[int, ...] = [1],
        broken: "a b" = 1,
        name: str = "x",
        model_dump: bool = False,
        _secret: int = 1,
        save_dir: str = ".",
        *args: int,
        last: bool = False,
        **kwargs: Any,
    ) -> None: ...

class Child(Wide):
    """Its constructor is inherited."""

class Narrow:
    def __init__(self, batch: Callable[[Any], int], count: int = 1) -> None: ...

class Named:
    def __init__(self, name: str) -> None: ...
'''


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[None]:
    points = {f"callbacks.{cls.lower()}": f"foreign.things:{cls}" for cls in ("Wide", "Child", "Narrow", "Named", "Absent")}
    with installed(tmp_path / "site", "foreign", {"__init__.py": "raise SystemExit('imported')", "things.py": SOURCE}, points):
        yield


@pytest.mark.usefixtures("foreign")
def test_what_a_recipe_can_express_is_an_option() -> None:
    found = registry.options("callbacks", "wide")
    expected = {
        "monitor": (str, ...),
        "often": (int | None, None),
        "either": (int | str, 3),
        "several": (float | bool | None, None),
        "spelt": (int | None, 2),
        "half": (int | None, None),
        "dotted": (registry.Literal["a", "b"] | None, "a"),
        "way": (registry.Literal["int", "up"], "up"),
        "pair": (tuple[int | None, str], (1, "x")),
        "sloppy": (int | None, None),
        "last": (bool, False),
    }
    assert {key: (option.type, option.default) for key, option in found.items()} == expected
    assert registry.options("callbacks", "child") == {}


@pytest.mark.usefixtures("foreign")
def test_what_a_recipe_must_give_and_cannot_is_named() -> None:
    callable_ = r"Narrow cannot be named in a recipe, since its argument `batch` has no default and Callable\[\[Any\], int\] is not in the"
    with pytest.raises(ZooError, match=rf"things\.py:\d+: {callable_} language"):
        registry.options("callbacks", "narrow")
    with pytest.raises(ZooError, match="Named cannot be named in a recipe, since its argument `name` has no default and"):
        registry.options("callbacks", "named")
    lines = wrong("train:\n  engine: lightning\n  lr: 0\n  callbacks:\n    - narrow\n    - {name: wide, untyped: 4}\n    - absent\n")
    assert [line.partition(": ")[0] for line in lines] == ["r.yaml:6:3", "r.yaml:8:7", "r.yaml:9:7", "r.yaml:9:20", "r.yaml:10:7"]
    for line, words in zip(
        lines, ("`train.lr`", "Narrow cannot", "callbacks.1.monitor` is missing", "unknown key", "no class 'Absent'"), strict=True
    ):
        assert words in line


@pytest.mark.usefixtures("foreign")
def test_what_no_recipe_names_troubles_none() -> None:
    """Broken plugins are installed here."""
    assert read("train: {engine: lightning, callbacks: [child]}").train.callbacks[0].name == "child"
    items = json_schema()["properties"]["train"]["properties"]["callbacks"]["items"]["anyOf"]
    names = [name for item in items[1:] for name in item["properties"]["name"]["enum"]]
    assert {"wide", "child"} <= set(names)
    assert not {"narrow", "named", "absent"} & set(names)
    assert "child" in items[0]["enum"]
    assert "wide" not in items[0]["enum"]  # its name alone is not enough


@pytest.mark.usefixtures("foreign")
def test_list_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "callbacks", "e"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert {"early_stopping", "device_stats", "wide"} <= set(said)
    assert main(["list", "hooks"]) == 0
    assert "profiler" in capsys.readouterr().out.splitlines()
    assert main(["list", "loggers", "qqq"]) == 0
    assert capsys.readouterr().out == "no loggers with 'qqq' here\n"


# ---------------------------------------------------------------- building

TROUBLE = """
class LibraryError(Exception):
    pass

class Trouble:
    def __init__(self, how: str = "none", *, save_dir: str = "") -> None:
        self.how, self.save_dir = how, save_dir
        if how == "import":
            import left_pad.sub
        if how == "nameless":
            raise ImportError("neither this nor that is there")
        if how in ("value", "type", "library", "bug"):
            raise {"value": ValueError, "type": TypeError, "library": LibraryError, "bug": KeyError}[how]("not like this")
"""


@pytest.fixture
def trouble(tmp_path: Path) -> Iterator[None]:
    points = {"loggers.trouble": "trouble:Trouble", "loggers.unloadable": "trouble.sub:X"}
    files = {"__init__.py": TROUBLE, "sub.py": "import left_pad\nclass X: pass\n"}
    with installed(tmp_path / "site", "trouble", files, points):
        yield


@pytest.mark.usefixtures("trouble")
def test_objects_have_their_options_and_what_the_engine_gives() -> None:
    first, second = plugins(
        "loggers", read("train: {engine: lightning, loggers: [trouble, {name: trouble, how: b}]}").train.loggers, save_dir="run", rank=0
    )
    assert (first.how, second.how, first.save_dir, second.save_dir) == ("none", "b", "run", "run")
    assert plugins("loggers", ()) == []


@pytest.mark.usefixtures("trouble")
@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("{name: trouble, how: import}", "'trouble' needs what is not installed: No module named 'left_pad'; pip install left_pad, or"),
        ("{name: trouble, how: nameless}", "'trouble' needs what is not installed: neither this nor that is there; install it, or take"),
        ("unloadable", "'unloadable' of the loggers cannot be imported from trouble.sub: No module named 'left_pad'; install what it"),
        ("{name: trouble, how: value}", "'trouble' refuses its options: not like this"),
        ("{name: trouble, how: type}", "'trouble' refuses its options: not like this"),
        ("{name: trouble, how: library}", "'trouble' refuses its options: not like this"),
    ],
)
def test_objects_that_cannot_be_made(item: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        plugins("loggers", read(f"train: {{engine: lightning, loggers: [{item}]}}").train.loggers)
    assert str(caught.value).startswith(f"train.loggers: {words}")


@pytest.mark.usefixtures("trouble")
def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(KeyError):
        plugins("loggers", read("train: {engine: lightning, loggers: [{name: trouble, how: bug}]}").train.loggers)


# ---------------------------------------------------------------- recipes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("train.callbacks=device_stats", '`train.callbacks`: expected a list in [ ], found "device_stats"'),
        ("train.callbacks=", "`train.callbacks`: expected a list in [ ], found null"),
        ("train.callbacks=[{p: 1}]", "`train.callbacks.0.name` is missing: see `zoo list callbacks`"),
        ("train.hooks=[5]", "`train.hooks.0`: expected a name or a section, found 5; see `zoo list hooks`"),
        ("train.loggers=[os:system]", "unknown name `os:system` in `train.loggers.0`; see `zoo list loggers`"),
        (
            "train.loggers=[tensorbord]",
            "unknown name `tensorbord` in `train.loggers.0` (did you mean `tensorboard`?); see `zoo list loggers`",
        ),
    ],
)
def test_each_message_names_the_value_and_what_was_expected(change: str, words: str) -> None:
    assert words in wrong("", change)[0]


@pytest.mark.parametrize(
    ("kind", "name", "library", "engine", "others"),
    [
        ("callbacks", "device_stats", "PyTorch Lightning", "lightning", ("loop", "mmengine")),
        ("loggers", "csv", "PyTorch Lightning", "lightning", ("loop", "mmengine")),
        ("hooks", "empty_cache", "MMEngine", "mmengine", ("loop", "lightning")),
    ],
)
def test_each_engine_has_its_own(kind: str, name: str, library: str, engine: str, others: tuple[str, ...]) -> None:
    assert len(getattr(read(f"train: {{engine: {engine}, {kind}: [{name}]}}").train, kind)) == 1
    for other in others:
        words = f"`train.{kind}` are {library}'s: set train.engine={engine}, or train.{kind}=[]"
        assert wrong(f"train:\n  engine: {other}\n  {kind}: [{name}]\n") == [f"r.yaml:6:3: {words}"]
        assert read(f"train: {{engine: {other}, {kind}: []}}").train.engine == other


def test_checking_imports_no_library() -> None:
    recipe = "train.engine=lightning", "train.callbacks=[{name: early_stopping, monitor: x}]", "train.loggers=[csv, mlflow]"
    code = (
        "import sys; from zoo.recipe import Recipe; from zoo.schema import json_schema; json_schema(); "
        f"Recipe.parse({BASE!r}, 'r', 'r', {recipe!r}); "
        "print({name.partition('.')[0] for name in sys.modules} & {'torch', 'pytorch_lightning', 'lightning_fabric', 'mmengine', 'mlflow'})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
