"""The configs of detectors that lie in mmdet's own package: their names, and the network that one describes, for our data.

MMEngine's configs are Python files, which are run to be read. So a recipe names one of the files of the installed package, and none
elsewhere can be meant.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from zoo.errors import RecipeError, shown

PARTS = {"type", "data_preprocessor", "backbone", "neck", "bbox_head", "train_cfg", "test_cfg", "init_cfg"}
"""What a one-stage detector consists of. What has more asks for masks, texts, a teacher's file or a second stage."""


BEGINNINGS = {"open-mmlab://mmdet/mobilenet_v2": "mobilenetv2_100"}
"""Weights of mmdet's own for which torchvision's of the same network stand in."""
TORCHVISION = "torchvision://"


def files(package: Path) -> dict[str, Path]:
    """Name -> file of all configs in the folder of the package mmdet."""
    found = sorted((package / ".mim" / "configs").glob("*/*.py"))
    return {file.stem: file for file in found if file.parent.name != "_base_"}


class Network(NamedTuple):
    """What mmdet's registry builds, and whose weights of torchvision's its backbone begins with ("resnet18"; None for others')."""

    settings: Any
    weights: str | None


def composed(package: Path, name: str, classes: int) -> Network:
    """The network of a config for so many classes.

    All its weights learn, batch statistics too, since the data are not those of the config; it fetches nothing.

    Raises:
        RecipeError: there is no such config, or it is not of a one-stage detector of boxes.
    """
    known = files(package)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "such as centernet_r18_8xb16-crop512-140e_coco"
        raise RecipeError(f"task.config: {shown(name)!r} is none of the {len(known)} configs of the installed mmdet; {hint}")
    model = _read(known[name]).get("model")
    if not _is_of_boxes(model):
        raise RecipeError(
            f"task.config: {name!r} is not of a one-stage detector of boxes; take a config of centernet, fcos, retinanet, atss, gfl, rtmdet"
        )
    begin = model["backbone"].get("init_cfg")
    where = str(begin.get("checkpoint", "")) if isinstance(begin, dict) else ""
    _adapt(model, classes)
    return Network(model, where.removeprefix(TORCHVISION) if where.startswith(TORCHVISION) else BEGINNINGS.get(where))


def _read(file: Path) -> Any:
    try:
        return Config.fromfile(file, import_custom_modules=False)
    except Exception as problem:  # it is a program; some build upon files that mmdet does not install
        raise RecipeError(f"task.config: mmdet's own {file} cannot be read ({problem}); take another config") from problem


def _is_of_boxes(model: Any) -> bool:
    if not isinstance(model, dict) or not {"backbone", "bbox_head"} <= set(model) <= PARTS:
        return False
    return "num_classes" in model["bbox_head"] and "loss_mask" not in model["bbox_head"]


SETTINGS: dict[str, Any] = {
    "pretrained": None,  # an older way to name weights
    "frozen_stages": -1,
    "norm_eval": False,
    "batch_augments": None,  # of the training data, which the recipe says
}
"""What is set wherever a config has it."""


def _adapt(node: Any, classes: int) -> None:
    if isinstance(node, list | tuple):
        for item in node:
            _adapt(item, classes)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in SETTINGS:
            node[key] = SETTINGS[key]
        elif key == "num_classes":
            node[key] = classes
        elif key == "init_cfg" and isinstance(value, dict) and value.get("type") == "Pretrained":
            node[key] = None
        elif (key, value) == ("type", "SyncBN"):  # the engine joins processes' statistics, if there are several
            node[key] = "BN"
        else:
            _adapt(value, classes)
