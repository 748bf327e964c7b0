"""Short names -> classes, read from the source text (zoo/registry.py)."""

import ast
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import annotated_types
import pytest
import timm
from installed import forget

from zoo import registry
from zoo.checking import NAMED
from zoo.datasets import transforms
from zoo.errors import RecipeError, ZooError
from zoo.recipe import Recipe

KINDS = tuple(registry.BASES)
OWN = [(kind, name) for kind in KINDS for name in registry._folder(kind)]


def test_kinds_and_folders() -> None:
    assert {"simpsons", "mpii_activity", "image_folder"} <= set(registry.names("datasets"))
    assert "classification" in registry.names("tasks")
    assert "loop" in registry.names("engines")
    assert {"se_resnet18", "squeezenet", "mobilenetv2_100"} <= set(registry.names("backbones"))
    assert "timm" not in registry.names("backbones")


def test_backbones_are_timms_and_ours() -> None:
    ours = set(registry._folder("backbones")) - {"timm"}
    assert set(registry.names("backbones")) == set(timm.list_models()) | ours
    assert registry.load("backbones", "resnet18") is registry.load("backbones", "vit_tiny_patch16_224")
    assert registry.load("backbones", "resnet18").__name__ == "TimmBackbone"


@pytest.mark.parametrize(("kind", "name"), OWN)
def test_a_module_has_the_one_class_of_its_name(kind: registry.Kind, name: str) -> None:
    entry = registry._folder(kind)[name]
    module = importlib.import_module(entry.module)
    base = getattr(importlib.import_module(f"zoo.{kind}.{registry.BASES[kind].lower()}"), registry.BASES[kind])
    inside = [cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__ and issubclass(cls, base)]
    assert [cls.__name__ for cls in inside] == [entry.cls]


def test_no_class_of_a_folder_is_overlooked() -> None:
    for kind, base in registry.BASES.items():
        for file in (Path(registry.__file__).parent / kind).glob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            classes = [
                node
                for node in tree.body
                if isinstance(node, ast.ClassDef) and base in {ast.unparse(b).split("[")[0].split(".")[-1] for b in node.bases}
            ]
            assert len(classes) == (file.stem in registry._folder(kind)), file


@pytest.mark.parametrize(("kind", "name"), OWN)
def test_options_are_the_signature(kind: registry.Kind, name: str) -> None:
    entry = registry._folder(kind)[name]
    cls = getattr(importlib.import_module(entry.module), entry.cls)
    same_as_python(registry._class_options(entry), cls.__init__ if "__init__" in vars(cls) else lambda self: None)


@pytest.mark.parametrize("name", list(registry.transform_options()))
def test_transform_options_are_the_signature(name: str) -> None:
    same_as_python(registry.transform_options()[name], getattr(transforms, name))


def test_transforms_are_those_listed() -> None:
    assert list(registry.transform_options()) == list(transforms.__all__)


def same_as_python(options: dict[str, registry.Option], function: Callable[..., Any]) -> None:
    parameters = {key: known for key, known in inspect.signature(function).parameters.items() if key not in registry.SUPPLIED}
    hints = get_type_hints(function, include_extras=True)
    assert list(options) == list(parameters)
    for key, parameter in parameters.items():
        assert parameter.kind is not parameter.VAR_KEYWORD
        default = ... if parameter.default is parameter.empty else parameter.default
        assert options[key].default == default
        assert type(options[key].default) is type(default)
        assert options[key].type == hints[key]


@pytest.mark.parametrize(
    ("section", "kind", "name"), [(key, kind, name) for key, (kind, _) in NAMED.items() for name in registry._folder(kind)]
)
def test_options_hide_no_common_key(section: str, kind: registry.Kind, name: str) -> None:
    common = set(NAMED[section][1].model_fields)
    assert not common & set(registry._class_options(registry._folder(kind)[name]))


def test_the_form_of_a_task_is_read_from_its_text() -> None:
    for name in registry._folder("tasks"):
        assert registry.attribute("tasks", name, "form") == registry.load("tasks", name).form
    assert registry.attribute("tasks", "classification", "nothing") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bool", bool),
        ("int | None", int | None),
        ("Literal['a', 'b']", Literal["a", "b"]),
        ("Literal[1]", Literal[1]),
        ("tuple[int, float]", tuple[int, float]),
        ("tuple[str, ...]", tuple[str, ...]),
        ("tuple[int]", tuple[int]),
        ("dict[str, float]", dict[str, float]),
        ("dict[str, dict[str, str | None] | Literal['a']] | None", dict[str, dict[str, str | None] | Literal["a"]] | None),
        ("Annotated[float, Ge(0), Lt(1)]", Annotated[float, annotated_types.Ge(0), annotated_types.Lt(1)]),
        ("tuple[Annotated[int, Gt(-1)], ...] | str", tuple[Annotated[int, annotated_types.Gt(-1)], ...] | str),
    ],
)
def test_the_language_of_options(text: str, expected: Any) -> None:
    found = registry._type(ast.parse(text, mode="eval").body)
    assert found == expected
    assert get_origin(found) == get_origin(expected)
    assert get_args(found) == get_args(expected)


@pytest.mark.parametrize(
    "text",
    [
        "list[int]",
        "dict",
        "dict[int, str]",
        "dict[str, Path]",
        "dict[str]",
        "Path",
        "'int'",
        "os.PathLike",
        "Annotated[int, print(1)]",
        "Annotated[int, Ge]",
        "Literal[f()]",
        "__import__('os')",
    ],
)
def test_all_else_is_refused(text: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        registry._type(ast.parse(text, mode="eval").body)


def test_unknown_names() -> None:
    assert not registry.known("tasks", "clasification")
    with pytest.raises(RecipeError, match="'x' is not one of the tasks: see `zoo list tasks`"):
        registry.entry("tasks", "x")


# ---------------------------------------------------------------- plugins

SOURCE = """
from typing import Literal
import not_installed_anywhere

class Mine(Source):
    def __init__(self, root, shape: Literal["round", "square"] = "round", *, count: int = 3):
        pass

class Odd(Source):
    def __init__(self, root, shapes: list[str] = []):
        pass
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a distribution with entry points, for the length of a test."""

    def install(*points: str) -> None:
        package = tmp_path / "site" / "my_package"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise SystemExit('a plugin was imported')")
        (package / "sources.py").write_text(SOURCE)
        info = tmp_path / "site" / "my_package-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[zoo.plugins]\n" + "\n".join(points) + "\n")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        forget()

    yield install
    monkeypatch.undo()
    forget()


def test_a_plugin_is_listed_and_checked_without_being_imported(plugins: Callable[..., None]) -> None:
    plugins("datasets.mine = my_package.sources:Mine")
    assert "mine" in registry.names("datasets")
    assert "mine" not in registry.names("tasks")
    recipe = Recipe.parse("data: {name: mine, count: 4}\nbackbone: resnet18\ntask: classification\n", "r.yaml", "r")
    assert recipe.data.model_dump()["count"] == 4
    assert recipe.data.model_dump()["shape"] == "round"
    with pytest.raises(RecipeError, match=r"expected 'round' or 'square', found \"rond\" \(did you mean `round`\?\)"):
        recipe.changed(["data.shape=rond"])
    assert "my_package" not in sys.modules


def test_a_plugin_cannot_take_a_name_of_ours_but_one_of_timms(plugins: Callable[..., None]) -> None:
    plugins(
        "datasets.simpsons = my_package.sources:Mine",
        "backbones.resnet18 = my_package.sources:Mine",
        "backbones.timm = my_package.sources:Mine",
    )
    assert registry.entry("datasets", "simpsons").module == "zoo.datasets.simpsons"
    assert registry.entry("backbones", "resnet18").module == "my_package.sources"
    assert not registry.known("backbones", "timm")


def test_broken_plugins_are_named(plugins: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    plugins(
        "datasets.gone = no_such_package.sub:Mine",
        "datasets.moved = my_package.elsewhere:Mine",
        "datasets.missing = my_package.sources:Missing",
        "datasets.odd = my_package.sources:Odd",
        "nonsense = my_package.sources:Mine",
    )
    assert {"odd", "missing", "simpsons"} <= set(registry.names("datasets"))
    assert not {"gone", "moved"} & set(registry.names("datasets"))
    assert "plugin datasets.gone: there is no module no_such_package.sub" in caplog.text
    assert "plugin datasets.moved: there is no module my_package.elsewhere" in caplog.text
    with pytest.raises(ZooError, match="has no class 'Missing'; mend the entry point"):
        registry.options("datasets", "missing")
    with pytest.raises(ZooError, match=r"sources\.py:10: Odd's options cannot be read: list\[str\] is not in the language"):
        registry.options("datasets", "odd")


def test_what_a_plugin_needs_is_named(plugins: Callable[..., None], tmp_path: Path) -> None:
    plugins("datasets.mine = my_package.sources:Mine")
    (tmp_path / "site" / "my_package" / "__init__.py").write_text("")
    with pytest.raises(
        ZooError, match=r"'mine' of the datasets cannot be imported from my_package.sources: No module named 'not_installed_anywhere'"
    ):
        registry.load("datasets", "mine")
    for module in [module for module in sys.modules if module.startswith("my_package")]:
        del sys.modules[module]
