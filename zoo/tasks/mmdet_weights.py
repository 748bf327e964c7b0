"""Weights that a detector of mmdet begins with: torchvision's for its backbone, or a checkpoint of mmdet's for all of it."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.backbones import weights
from zoo.errors import RecipeError, shown

log = logging.getLogger("zoo")

CLASSIFIER = "classifier."
Begin = Literal["prefer", "torchvision", "random"]


def begin_backbone(backbone: nn.Module, name: str | None, how: Begin) -> str:
    """Gives a backbone torchvision's weights, if they are wished and can be had.

    Args:
        backbone: of mmdet; its ResNets have torchvision's names, its MobileNetV2 the same tensors in the same order.
        name: of torchvision's network; None if the config's own weights are not torchvision's.
        how: "prefer" falls back to random weights and says so.

    Returns:
        A line about the weights.

    Raises:
        RecipeError: they cannot be had, and "torchvision" was asked for.
    """
    if how == "random":
        return "random weights"
    known = weights.CHECKPOINTS.get(name or "")
    try:
        if known is None or known.origin != "torchvision":
            raise weights.NoWeightsError(f"the config begins its backbone with {name or 'weights'} that are not torchvision's", "")
        state = weights.read(weights.fetch(known))
        if known.by == "order":
            trunk = {key: value for key, value in state.items() if not key.startswith(CLASSIFIER)}
            state = weights.fit(trunk, backbone.state_dict(), "order")
        weights.put(backbone, state)
    except weights.NoWeightsError as problem:
        if how == "torchvision":
            raise RecipeError(f"task.begin=torchvision: {problem.reason}; set task.begin to prefer or random") from problem
        log.warning("the detector starts from RANDOM weights (task.begin: prefer): %s", problem.reason)
        return "random weights, though pretrained ones were preferred"
    return f"{known.origin} weights {known.file} in its backbone"


def begin_detector(model: nn.Module, file: Path) -> str:
    """Gives a detector the tensors of a checkpoint of the same config, as far as they do not depend on the classes.

    Returns:
        A line about the weights, with the names of those that are left as they were.

    Raises:
        RecipeError: the file holds more than tensors and plain values, or belongs to another network; names the first misfit.
    """
    found, target = read(file), model.state_dict()
    lacking = [name for name in target if name not in found and not name.endswith("num_batches_tracked")]
    unknown = [name for name in found if name not in target]
    shapes = [name for name, like in target.items() if name in found and not _like_but_for_classes(found[name], like)]
    for names, how in ((lacking, "lacks"), (unknown, "has besides"), (shapes, "has in another shape")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise RecipeError(f"task.checkpoint: {shown(file)} {how} {names[0]!r}{more}: it belongs to another config than task.config")
    fitting = {name: value for name, value in found.items() if value.shape == target[name].shape}
    model.load_state_dict(fitting, strict=False)
    left = [name for name in found if name not in fitting]
    return f"weights of {shown(file)}" + (f", but its own for other classes: {', '.join(left)}" if left else "")


def _like_but_for_classes(found: Tensor, like: Tensor) -> bool:
    """Classes are the first dimension of a head's last convolution, and of its bias."""
    return found.ndim == like.ndim and found.shape[1:] == like.shape[1:]


def read(file: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of one that torch saved, alone or under `state_dict` as mmdet lays them."""
    try:
        if file.stat().st_size > weights.MAX_BYTES:
            raise RecipeError(f"task.checkpoint: {shown(file)} is larger than {weights.MAX_BYTES} bytes, which no one-stage detector is")
        if file.suffix == ".safetensors":
            return dict(load_file(file))
        content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as problem:
        raise RecipeError(f"task.checkpoint: {shown(file)} cannot be read ({problem.strerror or problem})") from problem
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, ValueError) as problem:
        reason = (str(problem) or type(problem).__name__).splitlines()[0]
        raise RecipeError(
            f"task.checkpoint: {shown(file)} is no file of tensors, or holds objects besides ({reason}); of a training of mmdet's own, "
            "save the tensors alone: torch.save(checkpoint['state_dict'], FILE)"
        ) from problem
    state = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise RecipeError(f"task.checkpoint: {shown(file)} holds {type(state).__name__}, expected names with tensors")
    return dict(state)
