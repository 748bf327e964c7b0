"""What a model makes up: samples, edits, interpolations and reconstructions. See the methods of `Model` that it is behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from zoo.abilities import decodes, embeds_and_decodes, name_of, prior_of, reconstructs, refusal
from zoo.errors import RecipeError, ZooError
from zoo.given import Picture, listed
from zoo.latent import prior
from zoo.latent.codes import Interpolation
from zoo.latent.codes import interpolate as between
from zoo.latent.samplers import checked_seed, whole
from zoo.latent.space import MOST_WIDTH, Latent
from zoo.nearest import nearest
from zoo.progress import Progress
from zoo.tasks.task import Decodes, Samples

if TYPE_CHECKING:
    import numpy.typing as npt

    from zoo.model import Model

AT_ONCE = 256
"""Pictures decoded in one go."""


# ---------------------------------------------------------------- what the methods do


def sample(
    model: Model, count: int, seed: int, label: int | str | None, sampler: str | None, truncation: float | None
) -> list[Image.Image]:
    """See `Model.sample`."""
    count = whole(count)
    if type(count) is not int or count < 1:
        raise RecipeError(f"count={count!r}: expected a whole number from 1 on, such as 64")
    if label is not None and not model.task.conditional:
        raise RecipeError(f"{name_of(model)} is not told classes, so label={label!r} means nothing to it; leave it out")
    index = None if label is None else _label(model, label)
    task = model.task
    if isinstance(task, Samples) and prior_of(model) is None and sampler is None and truncation is None:
        with _as_sentence():
            seed = checked_seed(seed)
        with _seeded(seed, model.device), torch.inference_mode():
            return [picture for n in _portions(count) for picture in _pictures(task.sample(n, index))]
    if not decodes(model):
        raise refusal(model, _cannot_sample(sampler, truncation))
    return _decoded(model, _codes(model, count, seed, sampler, truncation))


def _cannot_sample(sampler: str | None, truncation: float | None) -> str:
    if sampler is not None:
        return f"decodes no codes that the sampler {sampler!r} could draw"
    return (
        "makes no pictures up"
        if truncation is None
        else f"makes no pictures of codes alone, so truncation={truncation!r} means nothing to it"
    )


def decode(model: Model, codes: Tensor | npt.NDArray[Any] | Sequence[float]) -> Image.Image | list[Image.Image]:
    """See `Model.decode`."""
    if not decodes(model):
        raise refusal(model, "has no codes that become pictures")
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
    return _way(model, code_of(model, a), code_of(model, b), steps, how)


def interpolate_seeds(model: Model, a: int, b: int, steps: int, how: Interpolation, truncation: float | None) -> list[Image.Image]:
    """See `Model.interpolate_seeds`."""
    if not decodes(model):
        raise refusal(model, "makes no pictures of codes alone, so no way leads from seed to seed")
    first, last = (_codes(model, 1, seed, None, truncation)[0] for seed in (a, b))
    return _way(model, first, last, steps, how)


def _way(model: Model, first: npt.NDArray[Any], last: npt.NDArray[Any], steps: int, how: Interpolation) -> list[Image.Image]:
    with _as_sentence():
        way = between(first, last, whole(steps), how)
    return _decoded(model, way)


def reconstruct(model: Model, pictures: Picture | Sequence[Picture], batch_size: int) -> Image.Image | list[Image.Image]:
    """See `Model.reconstruct`."""
    if not reconstructs(model):
        raise refusal(model, "reconstructs no pictures by themselves")
    task: Any = model.task
    many, items = listed(pictures)
    found: list[Image.Image] = []
    with Progress("reconstructing", len(items), "pictures") as progress, torch.inference_mode():
        for chunk, images, _ in model._batches(items, batch_size):
            found += _pictures(task.reconstruct(images))
            progress.advance(len(chunk))
    return found if many else found[0]


def seen(model: Model, image: Picture) -> Image.Image:
    """One picture as the model sees it, at its own size."""
    _, images, _ = next(model._batches([image], 1))
    return _pictures(images)[0]


# ---------------------------------------------------------------- what it takes


def _refuse_without_codes(model: Model) -> None:
    if not embeds_and_decodes(model):
        raise refusal(model, "takes no picture to a code and back")


def code_of(model: Model, image: Picture) -> npt.NDArray[Any]:
    """(D,) of one picture."""
    code = model.embed(image)
    if code.ndim != 1:
        raise RecipeError(f"{len(code)} pictures where one is expected: give one file, PIL picture, array or tensor")
    return code.numpy()


def _codes(model: Model, count: int, seed: int, sampler: str | None, truncation: float | None) -> npt.NDArray[Any]:
    """(count, D) of the model's prior, or where it has none or a sampler is wished, of its measured codes."""
    task = prior_of(model)
    with _as_sentence():
        if task is not None and sampler in (None, "normal"):
            return prior.codes(count, task.latent, seed, truncation).numpy()
        if truncation is not None:
            raise ValueError(_no_truncation(model, sampler, truncation))
        return _latent(model).sample(count, seed, sampler or "gaussian")


def _no_truncation(model: Model, sampler: str | None, truncation: float) -> str:
    if prior_of(model) is not None:
        return f"truncation={truncation!r} is of the model's prior, and the sampler {sampler!r} draws other codes; leave one of them out"
    return f"truncation={truncation!r}: {name_of(model)} has no prior N(0, I) whose codes alone become pictures; leave it out"


def _latent(model: Model) -> Latent:
    if model.latent is None:
        raise RecipeError(
            f"{name_of(model)}: its codes were not measured, which is done at the end of a training, for the weights of its best epoch "
            f"and codes of at most {MOST_WIDTH} numbers; load the run by its name or folder, or train it again"
        )
    if len(model.latent.mean) != (width := _width(model)):
        raise ZooError(
            f"{model.origin}: its code space is of codes of {len(model.latent.mean)} numbers, and its network gives {width}: "
            "it is damaged, or made of two; fetch it again, or train again"
        )
    return model.latent


def _width(model: Model) -> int:
    """Numbers in a code; of one that was measured only the network knows."""
    task = prior_of(model)
    return int(code_of(model, torch.zeros(model.spec.channels, *model.spec.size)).size) if task is None else task.latent


def _label(model: Model, label: int | str) -> int:
    """The index of a class given by name or index; a name goes before an index."""
    if isinstance(label, str) and label in model.labels:
        return model.labels.index(label)
    index = int(label) if isinstance(label, str) and label.isdecimal() and len(label) < 10 else whole(label)
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
