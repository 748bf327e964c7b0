"""What a model makes up: samples, edits, interpolations and reconstructions. See the methods of `Model` that it is behind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from zoo import packing
from zoo.codes import Interpolation
from zoo.codes import interpolate as between
from zoo.errors import RecipeError, ZooError
from zoo.given import Picture, listed
from zoo.latent import MOST_WIDTH, Latent
from zoo.nearest import nearest
from zoo.progress import Progress
from zoo.samplers import refuse_seed
from zoo.tasks.task import Classifies, Decodes, Embeds, Reconstructs, Samples, Segments

if TYPE_CHECKING:
    import numpy.typing as npt

    from zoo.model import Model

AT_ONCE = 256
"""Pictures decoded in one go."""
MAX_BYTES = 512 * 2**20
"""Of a measured code space: ten thousand codes of the widest kind, their covariance and attributes fit."""


# ---------------------------------------------------------------- what the methods do


def sample(model: Model, count: int, seed: int, label: int | str | None, sampler: str | None) -> list[Image.Image]:
    """See `Model.sample`."""
    if type(count) is not int or count < 1:
        raise RecipeError(f"count={count!r}: expected a whole number from 1 on, such as 64")
    if label is not None and not model.task.conditional:
        raise RecipeError(f"{_name(model)} is not told classes, so label={label!r} means nothing to it; leave it out")
    index = None if label is None else _label(model, label)
    if isinstance(model.task, Samples) and sampler is None:
        with _as_sentence():
            refuse_seed(seed)
        with _seeded(seed, model.device), torch.inference_mode():
            return [picture for n in _portions(count) for picture in _pictures(model.task.sample(n, index))]
    if not decodes(model):
        raise _refusal(model, "makes no pictures up" if sampler is None else f"decodes no codes that the sampler {sampler!r} could draw")
    with _as_sentence():
        return _decoded(model, _latent(model).sample(count, seed, sampler or "gaussian"))


def decode(model: Model, codes: Tensor | npt.NDArray[Any] | Sequence[float]) -> Image.Image | list[Image.Image]:
    """See `Model.decode`."""
    _refuse_without_codes(model)
    width = _width(model)
    try:
        given = torch.as_tensor(codes, dtype=torch.float32).detach()
    except (TypeError, ValueError) as error:
        raise RecipeError(f"codes {codes!r:.60}: expected ({width},) or (N, {width}) of finite numbers") from error
    if given.ndim not in (1, 2) or given.shape[-1] != width or not given.isfinite().all():
        raise RecipeError(f"codes of shape {tuple(given.shape)}: expected ({width},) or (N, {width}) of finite numbers")
    found = _decoded(model, given.reshape(-1, width).cpu().numpy())
    return found if given.ndim == 2 else found[0]


def edit(model: Model, image: Picture, strengths: Mapping[str, float]) -> Image.Image:
    """See `Model.edit`."""
    _refuse_without_codes(model)
    latent, code = _latent(model), code_of(model, image)
    with _as_sentence():
        edited = latent.edited(code, strengths)
    return _decoded(model, edited[None])[0]


def strips(model: Model, image: Picture, strengths: Mapping[str, float]) -> list[list[Image.Image]]:
    """A row of edits for each attribute named: it goes from -2 to 2 while the others stay at their strengths."""
    _refuse_without_codes(model)
    latent, code = _latent(model), code_of(model, image)
    with _as_sentence():
        rows = [latent.strip(latent.edited(code, {**strengths, name: 0.0}), name) for name in strengths]
    return [_decoded(model, row) for row in rows]


def interpolate(model: Model, a: Picture, b: Picture, steps: int, how: Interpolation) -> list[Image.Image]:
    """See `Model.interpolate`."""
    _refuse_without_codes(model)
    first, last = code_of(model, a), code_of(model, b)
    with _as_sentence():
        way = between(first, last, steps, how)
    return _decoded(model, way)


def reconstruct(model: Model, pictures: Picture | Sequence[Picture], batch_size: int) -> Image.Image | list[Image.Image]:
    """See `Model.reconstruct`."""
    if not isinstance(model.task, Reconstructs) or model.task.conditional:
        raise _refusal(model, "reconstructs no pictures by themselves")
    many, items = listed(pictures)
    found: list[Image.Image] = []
    with Progress("reconstructing", len(items), "pictures") as progress, torch.inference_mode():
        for chunk, images, _ in model._batches(items, batch_size):
            found += _pictures(model.task.reconstruct(images))
            progress.advance(len(chunk))
    return found if many else found[0]


def seen(model: Model, image: Picture) -> Image.Image:
    """One picture as the model sees it, at its own size."""
    _, images, _ = next(model._batches([image], 1))
    return _pictures(images)[0]


# ---------------------------------------------------------------- what it takes


def decodes(model: Model) -> bool:
    """Whether pictures become codes and codes pictures; a model that is told the label as well needs more than a code."""
    return isinstance(model.task, Embeds) and isinstance(model.task, Decodes) and not model.task.conditional


def code_of(model: Model, image: Picture) -> npt.NDArray[Any]:
    """(D,) of one picture."""
    code = model.embed(image)
    if code.ndim != 1:
        raise RecipeError(f"{len(code)} pictures where one is expected: give one file, PIL picture, array or tensor")
    return code.numpy()


def read_latent(path: Path, attributes: Sequence[str]) -> Latent | None:
    """The code space of a run, measured after its training; None if it has none.

    Raises:
        ZooError: the file is damaged or belongs to other data.
    """
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_BYTES:
        raise ZooError(
            f"{path}: {path.stat().st_size:,} bytes, more than the {MAX_BYTES:,} that are read; remove it, the rest of the run works"
        )
    tensors, metadata = packing.read_safetensors(path)
    try:
        names = json.loads(metadata.get("names", "null"))
        if names != list(attributes):
            raise ValueError(f"its attributes are {names!r:.80}, those of the run {list(attributes)!r:.80}")
        return Latent.from_tensors({key: tensor.numpy() for key, tensor in tensors.items()}, attributes)
    except (ValueError, TypeError, RecursionError) as error:  # NumPy lacks some of torch's types
        raise ZooError(f"{path}: no code space of this run ({error}): remove it, the rest of the run works, or train again") from error


def _latent(model: Model) -> Latent:
    if model.latent is None:
        raise RecipeError(
            f"{_name(model)}: its codes were not measured, which is done at the end of a training, for the weights of its best epoch "
            f"and codes of at most {MOST_WIDTH} numbers; load the run by its name or folder, or train it again"
        )
    if len(model.latent.mean) != (width := _width(model)):
        raise ZooError(
            f"{model.origin}: its code space is of codes of {len(model.latent.mean)} numbers, and its network gives {width}: "
            "it is damaged, or made of two; fetch it again, or train again"
        )
    return model.latent


def _width(model: Model) -> int:
    return int(code_of(model, torch.zeros(model.spec.channels, *model.spec.size)).size)


def _label(model: Model, label: int | str) -> int:
    """The index of a class given by name or index; a name goes before an index."""
    if isinstance(label, str) and label in model.labels:
        return model.labels.index(label)
    index = int(label) if isinstance(label, str) and label.isdecimal() and len(label) < 10 else label
    if type(index) is int and 0 <= index < len(model.labels):
        return index
    near = nearest(label, model.labels) if isinstance(label, str) else ""
    names = ", ".join(model.labels[:12]) + (", ..." if len(model.labels) > 12 else "")
    raise RecipeError(f"label={label!r}: no such class{near}; expected an index from 0 to {len(model.labels) - 1}, or one of {names}")


def _decoded(model: Model, codes: npt.NDArray[Any]) -> list[Image.Image]:
    assert isinstance(model.task, Decodes)
    with torch.inference_mode():
        parts = (torch.from_numpy(codes[start : start + AT_ONCE]) for start in range(0, len(codes), AT_ONCE))
        return [picture for part in parts for picture in _pictures(model.task.decode(part.to(model.device)))]


def _pictures(images: Tensor) -> list[Image.Image]:
    """(B, C, H, W) in [0, 1] -> grey or RGB."""
    levels = images.float().clamp(0, 1).mul(255).round().to(torch.uint8).cpu()
    return [Image.fromarray(image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).numpy()) for image in levels]


def _portions(count: int) -> list[int]:
    return [min(AT_ONCE, count - start) for start in range(0, count, AT_ONCE)]


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draws on the CPU and on `device` are the seed's; both go on as before afterwards, and other devices notice nothing."""
    on_cuda = device.type == "cuda"
    with torch.random.fork_rng([device] if on_cuda else []):
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def _as_sentence() -> Iterator[None]:
    """Pure functions know no recipes: what they refuse is an argument of the person who asked."""
    try:
        yield
    except ValueError as error:
        raise RecipeError(str(error)) from error


def _name(model: Model) -> str:
    return f"{model.recipe.name} ({model.recipe.task.name})"


def _refuse_without_codes(model: Model) -> None:
    if not decodes(model):
        raise _refusal(model, "has no codes that become pictures again")


def _refusal(model: Model, cannot: str) -> RecipeError:
    """Says what it can instead."""
    task = model.task
    able = {"predict": Classifies, "segment": Segments, "embed": Embeds, "sample": Samples}
    can = [name for name, ability in able.items() if isinstance(task, ability)]
    if isinstance(task, Reconstructs) and not task.conditional:
        can.append("reconstruct")
    offer = ", ".join(f"model.{name}()" for name in can) or "its network is model.task"
    return RecipeError(f"{_name(model)} {cannot}; it offers {offer}" if can else f"{_name(model)} {cannot}; {offer}")
