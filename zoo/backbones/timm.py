"""Every backbone of timm (Wightman 2019, doi:10.5281/zenodo.4414861), under its own name. The only module that imports timm."""

from __future__ import annotations

import difflib
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import timm
import torch
from annotated_types import Ge, Lt
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor

from zoo.backbones import weights
from zoo.backbones.backbone import Backbone, Form, Normalize, Pretrained
from zoo.backbones.names import timm_names
from zoo.backbones.weights import CHECKPOINTS, Checkpoint, NoWeightsError, Trunk
from zoo.errors import RecipeError


class TimmBackbone(Backbone):
    """A trunk of timm without its classifier.

    As "vector" it has the trunk's own pooling and pre-logits (a ViT's class token); as "maps" timm's pyramid of the same
    trunk, which for some models is smaller (MobileNetV2 leaves out its last convolution).
    """

    def __init__(
        self,
        name: str,
        channels: int = 3,
        form: Form = "vector",
        pretrained: Pretrained = False,
        drop_path: Annotated[float, Ge(0), Lt(1)] = 0.0,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Builds the trunk.

        Args:
            name: one of `timm_names()`; a tag behind a dot names one of timm's own weights, as in resnet18.a1_in1k.
            channels: of the pictures; pretrained weights for colour are averaged over it.
            form: "vector" or "maps".
            pretrained: which weights to begin with.
            drop_path: chance of leaving out a residual block in training, rising with depth (Huang et al. 2016, arXiv:1603.09382).
            size: height and width of the pictures, for the models that are built for one size, such as ViTs; others ignore it.
        """
        super().__init__()
        _check(name)
        if form == "maps" and size is not None and _facts(name).fixed_input_size:
            size = _padded(name, size)
        create = partial(_create, name, channels=channels, form=form, drop_path=drop_path, size=size)
        trunk = weights.choose(name, pretrained, _attempts(name, create), lambda: _random(create))
        net: Any = trunk.net  # timm's attributes are not declared on nn.Module
        self.net = trunk.net
        self.normalize = Normalize(*trunk.normal, channels=channels)
        self.weights = trunk.weights
        self.form = form
        if form == "maps":
            self.channels = tuple(net.feature_info.channels())
            self.strides = tuple(net.feature_info.reduction())
            self._channels_last = getattr(net, "output_fmt", "NCHW") == "NHWC"  # the Swin family's
        else:
            self.width = int(net.head_hidden_size)  # num_features is another number where layers follow the pooling: MobileNetV3

    def vector(self, image: Tensor) -> Tensor:
        """(B, C, H, W) float in [0, 1] -> (B, width)."""
        if self.form != "vector":
            return super().vector(image)
        features: Tensor = self.net(self.normalize(image))
        if features.ndim != 2:  # the encoders of a few language models
            raise RecipeError(f"backbone.name: this trunk answers with {tuple(features.shape)}, not one vector a picture; take another")
        return features

    def maps(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) float in [0, 1] -> [(B, channels[i], H / strides[i], W / strides[i])], fine to coarse."""
        if self.form != "maps":
            return super().maps(image)
        maps: list[Tensor] = self.net(self.normalize(image))
        return [each.permute(0, 3, 1, 2).contiguous() for each in maps] if self._channels_last else list(maps)


def _check(name: str) -> None:
    """Refuses what is no model of timm's registry; timm itself would also take addresses of other people's code and weights."""
    if name.split(".")[0] not in timm_names():
        near = difflib.get_close_matches(name, timm_names(), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise RecipeError(f"backbone.name: {name!r} is no model of timm {timm.__version__}{hint}")
    _facts(name)


def _padded(name: str, size: tuple[int, int]) -> tuple[int, int]:
    """What pictures of this size are padded to before they come here as maps: multiples of the coarsest stride, see `padding.pad`."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # only for its strides
        net: Any = timm.create_model(name, features_only=True)
    multiple = max(net.feature_info.reduction())
    return size[0] + -size[0] % multiple, size[1] + -size[1] % multiple


def _create(
    name: str, channels: int, form: Form, drop_path: float, size: tuple[int, int] | None, pretrained: bool = False
) -> torch.nn.Module:
    options: dict[str, Any] = {"in_chans": channels, **({"features_only": True} if form == "maps" else {"num_classes": 0})}
    if drop_path:  # some models do not know the option
        options["drop_path_rate"] = drop_path
    if size is not None and _facts(name).fixed_input_size:
        options["img_size"] = tuple(size)
    try:
        return timm.create_model(name, pretrained=pretrained, **options)
    except (TypeError, RuntimeError, AssertionError, ValueError, AttributeError) as problem:
        if pretrained:
            raise
        raise RecipeError(f"timm cannot build {name} with {options}: {problem}; leave an option out or take another backbone") from problem


def _facts(name: str) -> Any:
    """What timm knows of a model's weights: their address, mean, std and size."""
    try:
        facts = timm.models.get_pretrained_cfg(name)
    except RuntimeError as problem:  # the model is known, the tag behind it is not
        known = ", ".join(timm.list_pretrained(f"{name.split('.')[0]}.*")) or "the name without a dot"
        raise RecipeError(f"backbone.name: {name!r} names weights that timm has not; expected {known}") from problem
    return facts or timm.models.PretrainedCfg(mean=weights.IMAGENET[0], std=weights.IMAGENET[1])


def _normal(name: str) -> Any:
    return _facts(name).mean, _facts(name).std


def _random(create: partial[torch.nn.Module]) -> Trunk:
    return Trunk(create(), _normal(create.args[0]), "random weights")


def _attempts(name: str, create: partial[torch.nn.Module]) -> dict[str, partial[Trunk]]:
    """The origins of weights for this model, the preferred one first: a file that is checked and cached before one of the hub."""
    attempts: dict[str, partial[Trunk]] = {}
    if known := CHECKPOINTS.get(name):
        attempts[known.origin] = partial(_from_checkpoint, name, known, create)
    attempts["timm"] = partial(_from_hub, name, create)
    return attempts


def _from_checkpoint(name: str, checkpoint: Checkpoint, create: partial[torch.nn.Module]) -> Trunk:
    state = weights.read(weights.fetch(checkpoint))
    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # only for its names and shapes: takes no memory, draws nothing
        expected = timm.create_model(name).state_dict()
    net = create()
    weights.put(net, weights.fit(state, expected, checkpoint.by))
    return Trunk(net, checkpoint.normal, f"{checkpoint.origin} weights {checkpoint.file}")


def _from_hub(name: str, create: partial[torch.nn.Module]) -> Trunk:
    facts = _facts(name)
    if not facts.has_weights:
        raise NoWeightsError(f"timm has no weights for {name}", "Set backbone.pretrained to false or take another backbone")
    address = _address(facts)
    if not _cached(facts) and not weights.reachable(address):
        reason = f"timm's weights for {name} cannot be fetched: {address} gave no answer within {weights.CONNECT_SECONDS:g} s"
        raise NoWeightsError(reason, "Connect to the internet, or set backbone.pretrained to prefer or false")
    try:
        net = create(pretrained=True)
    except Exception as problem:  # whatever the hub's client of the day raises: a person can only choose other weights
        raise NoWeightsError(
            f"timm could not load its weights for {name}: {problem}", "Set backbone.pretrained to prefer or false"
        ) from problem
    return Trunk(net, _normal(name), f"timm weights {'.'.join(filter(None, (facts.architecture, facts.tag)))}")


def _address(facts: Any) -> str:
    """Where timm will look: the hub before an address of the model's own."""
    from huggingface_hub import constants  # only here: it is slow to import, and only wanted for weights of the hub

    return str(constants.ENDPOINT if facts.hf_hub_id else facts.url)


def _cached(facts: Any) -> bool:
    from huggingface_hub import constants, try_to_load_from_cache

    if not facts.hf_hub_id:
        return (weights.cache_folder() / Path(facts.url).name).is_file()
    if constants.HF_HUB_OFFLINE:
        return True  # a person has said so: let the hub's client look in its cache and say what it lacks
    repository, _, revision = facts.hf_hub_id.partition("@")
    files = [facts.hf_hub_filename] if facts.hf_hub_filename else ["model.safetensors", "pytorch_model.bin"]
    return any(isinstance(try_to_load_from_cache(repository, file, revision=revision or None), str) for file in files)


def synchronise(network: torch.nn.Module) -> None:
    """Make batch statistics those of all processes that train together, in place.

    timm's own layers hold an activation beside the normalisation, which PyTorch's `convert_sync_batchnorm` would leave out.
    """
    convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]  # timm leaves it untyped
