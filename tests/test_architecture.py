"""What may import what (docs/straight_line.md), read from the syntax trees."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "zoo").rglob("*.py"))

# Package -> the only modules that may import it.
ONLY = {
    "timm": {"zoo/backbones/timm.py"},
    "pytorch_lightning": {"zoo/engines/lightning.py"},
    "lightning": set(),
    "lightning_fabric": {"zoo/engines/lightning.py"},
    "mmengine": {"zoo/engines/mmengine.py", "zoo/tasks/mmdet.py", "zoo/tasks/mmdet_config.py"},
    "mmdet": {"zoo/tasks/mmdet.py"},
    "mmcv": set(),
    "faster_coco_eval": {"zoo/metrics/detection.py"},
    "cv2": {"zoo/frames/video.py"},
    "segmentation_models_pytorch": {"zoo/heads/decoders.py"},
    "optuna": {"zoo/studies/queue.py"},
    "usearch": {"zoo/retrieval.py"},
    "umap": {"zoo/latent/codes.py"},
    "pickle": {"zoo/backbones/weights.py", "zoo/tasks/mmdet_weights.py"},  # for the name of the error that torch's safe loading raises
}
PURE = ("heads", "losses", "metrics", "figures", "backbones", "datasets")
LEAVES = {"zoo.cells", "zoo.errors", "zoo.fetching", "zoo.nearest", "zoo.spec", "zoo.progress", "zoo.paths", "zoo.ranks"}
LIGHT = (
    "__init__",
    "__main__",
    "paths",
    "errors",
    "ranks",
    "launch",
    "spec",
    "document",
    "recipe",
    "registry",
    "progress",
    "run",
    "build",
    "train",
    "list",
    "check",
    "schema",
    "new",
    "report",
    "predict",
    "doctor",
    "mine",
    "capture",
    "evaluate",
    "describe",
    "pack",
    "study",
    "download",
    "index",
    "search",
    "sample",
    "edit",
    "interpolate",
    "plane",
    "reconstruct",
    "output",
    "convert",
    "probe",
    "ensembles",
)
HEAVY = ("torch", "optuna", "torchvision", "timm", "torchmetrics", "matplotlib", "sklearn", "scipy", "tensorboard")


def imports(file: Path, top_only: bool = False) -> Iterator[tuple[str, ast.stmt]]:
    """Modules imported by a file; with `top_only` those that importing it imports (not in functions, not for types)."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = _top(tree.body) if top_only else (node for node in ast.walk(tree) if isinstance(node, ast.stmt))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute"
            assert node.module
            yield node.module, node
            yield from (
                (f"{node.module}.{alias.name}", node)
                for alias in node.names
                if (ROOT / node.module.replace(".", "/") / f"{alias.name}.py").is_file()
            )


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from _top([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _top([*node.body, *node.orelse, *node.finalbody])


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("file", FILES, ids=name)
def test_each_big_library_has_one_door(file: Path) -> None:
    for module, node in imports(file):
        allowed = ONLY.get(module.partition(".")[0])
        assert allowed is None or name(file) in allowed, f"{name(file)}:{node.lineno} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=name)
def test_matplotlib_is_in_figures_only(file: Path) -> None:
    if "figures/" not in name(file):
        for module, node in imports(file, top_only=True):
            assert not module.startswith("matplotlib"), f"{name(file)}:{node.lineno}"


@pytest.mark.parametrize("file", [file for file in FILES if file.parent.name in PURE or file.parent.parent.name in PURE], ids=name)
def test_pure_folders_import_their_own_folder_only(file: Path) -> None:
    folder = next(part for part in file.relative_to(ROOT).parts if part in PURE)
    for module, node in imports(file):
        if module.startswith("zoo"):
            own = module == f"zoo.{folder}" or module.startswith(f"zoo.{folder}.")
            assert own or module in LEAVES or module == "zoo", f"{name(file)}:{node.lineno} imports {module}"


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    """Neither themselves nor through another module of zoo."""
    seen: set[Path] = set()
    queue = [ROOT / "zoo" / f"{module}.py"]
    while queue:
        file = queue.pop()
        if file in seen:
            continue
        seen.add(file)
        for imported, node in imports(file, top_only=True):
            assert imported.partition(".")[0] not in HEAVY, f"{module}: {name(file)}:{node.lineno} imports {imported}"
            inner = ROOT / f"{imported.replace('.', '/')}.py"
            if inner.is_file():
                queue.append(inner)


def test_tasks_know_no_engine_and_no_data_set() -> None:
    for file in (ROOT / "zoo" / "tasks").glob("*.py"):
        for module, node in imports(file):
            assert not module.startswith(("zoo.engines", "zoo.datasets", "zoo.run", "zoo.recipe", "zoo.build")), (
                f"{name(file)}:{node.lineno}: {module}"
            )


def test_loading_a_model_needs_no_engine_and_no_plots() -> None:
    file = ROOT / "zoo" / "model.py"
    for module, node in imports(file):
        assert not module.startswith(("zoo.engines", "zoo.results", "zoo.figures", "zoo.metrics", "zoo.evaluate")), (
            f"{node.lineno}: {module}"
        )


def test_train_has_no_branch_on_task_data_or_engine() -> None:
    tree = ast.parse((ROOT / "zoo" / "train.py").read_text(encoding="utf-8"))
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "train"]
    assert not [node for node in ast.walk(function) if isinstance(node, ast.If | ast.Match)]


def test_no_function_of_the_package_shares_a_modules_name() -> None:
    import zoo

    modules = {file.stem for file in (ROOT / "zoo").glob("*.py")} | {folder.name for folder in (ROOT / "zoo").iterdir() if folder.is_dir()}
    assert not modules & (set(zoo.__all__) - {"__version__"})


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def test_setup_cfg_lists_every_package() -> None:
    listed = set(setup_cfg()["options"]["packages"].split())
    found = {".".join(file.parent.relative_to(ROOT).parts) for file in FILES if file.name == "__init__.py"}
    assert listed == found | {"zoo.recipes"}


def test_setup_cfg_lists_every_other_file() -> None:
    """Style sheets and scripts of pages: a wheel without them draws none."""
    listed = {
        file
        for package, patterns in setup_cfg()["options.package_data"].items()
        for pattern in patterns.split(",")
        for file in (ROOT / package.replace(".", "/")).glob(pattern.strip())
    }
    files = {file for file in (ROOT / "zoo").rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")}
    assert files and files == {file for file in listed if file.is_relative_to(ROOT / "zoo")}


def test_every_dependency_states_its_reason() -> None:
    lines = (
        (ROOT / "setup.cfg")
        .read_text(encoding="utf-8")
        .partition("install_requires =")[2]
        .partition("[options.extras_require]")[0]
        .splitlines()
    )
    for before, line in pairwise(lines):
        bare = ">=" in line and not line.lstrip().startswith("#")
        assert not bare or before.lstrip().startswith("#") or "pyyaml" in line, f"no reason above {line.strip()!r}"


def test_every_test_folder_mirrors_zoo() -> None:
    known = {folder.name for folder in (ROOT / "zoo").iterdir() if folder.is_dir()} | {
        "recipes",
        "benchmarks",
        "security",
        "resume",
        "real",
        "gpu",
        "mmdetection",
    }
    folders = {folder.name for folder in (ROOT / "tests").iterdir() if folder.is_dir() and not folder.name.startswith(("_", "."))}
    assert folders <= known
