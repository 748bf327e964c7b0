"""One file of a run, to share: a safetensors file whose header holds recipe, spec, metrics and card as JSON.

Nothing in it is executed or believed: the recipe is checked as any other, names come from zoo's own registry, sizes are bounded
before they are read.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import document, facts, fetching
from zoo.errors import RecipeError, ZooError
from zoo.facts import Facts
from zoo.latent.space import Latent
from zoo.recipe import Recipe
from zoo.run import Run

if TYPE_CHECKING:
    from torch import Tensor

KEY = "zoo"
LATENT = "latent.safetensors"
BESIDE = "latent:"
"""What is known of the code space lies among the weights under such names, which no weight has."""
FORMAT = 1
MAX_HEADER = 16 * 2**20
MAX_BYTES = 4 * 2**30
MAX_LATENT = 512 * 2**20
"""Of a measured code space: ten thousand codes of the widest kind, their covariance and attributes fit."""
MAX_TENSORS = 20_000
"""The deepest networks of timm have some thousands; each costs time to look at, even an empty one."""
CONNECT_SECONDS = 10.0
SMALLEST_CROP = 0.05
"""A picture is enlarged by its inverse before it is cropped: a smaller one would fill the memory."""


UNWATCHED = ("train.callbacks=[]", "train.loggers=[]", "train.hooks=[]")
"""What watched a training is not needed to load its model, and may not be installed there."""


@dataclass(frozen=True)
class Pack:
    """What a packed file holds, checked."""

    recipe: Recipe
    about: Facts
    card: str
    tensors: dict[str, Tensor]
    latent: Latent | None = None


def pack(run: Run, to: Path) -> Path:
    """Write a finished run as one file; returns its path.

    Raises:
        RecipeError: the run is not finished.
        ZooError: one of its files is damaged, or the packed one cannot be written.
    """
    if not run.finished:
        raise RecipeError(
            f"{run.folder}: not finished, so there is nothing to share; go on with `python -m zoo.train --resume {run.folder}`"
        )
    tensors, _ = read_safetensors(run.folder / "weights.safetensors")
    about = facts.of_run(run)
    if (codes := read_latent(run.folder / LATENT, about.spec.attributes)) is not None:
        from torch import from_numpy

        tensors |= {BESIDE + name: from_numpy(array) for name, array in codes.given_away().to_tensors().items()}
    header = {
        "format": FORMAT,
        "name": run.recipe.name,
        "recipe": run.recipe.changed(UNWATCHED).to_yaml(),
        "spec": about.spec.to_json(),
        "metrics": about.metrics,
        "split": {"fingerprint": about.split.get("fingerprint"), "sizes": about.split.get("sizes")},  # not the ids: they may be private
        "card": card(run.recipe, about),
    }
    _save(tensors, json.dumps(header), to)
    return to


def _save(tensors: dict[str, Tensor], header: str, to: Path) -> None:
    """Whole or not at all."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    partial = to.with_name(f".{to.name}.partial")
    try:
        save_file(tensors, partial, metadata={KEY: header})
        partial.replace(to)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise ZooError(f"{to}: cannot be written ({error}): choose another place with --to FILE") from error


def card(recipe: Recipe, about: Facts) -> str:
    """A short text for whoever gets the file: what it is, how good, on what, how to use it."""
    metrics, (height, width) = about.metrics, about.spec.size
    kind = "SYNTHETIC (drawn) data" if metrics.get("synthetic") is True else "real data"
    results = {name: facts.number(value) for name, value in metrics.items() if "/" in name}
    lines = [
        f"# {recipe.name}",
        "",
        recipe.question,
        "",
        f"{recipe.task.name} with {recipe.backbone.name if recipe.backbone else 'a network of its own'}, {height}x{width} pixels, "
        f"trained for {metrics.get('epochs')} epochs on {kind} ({recipe.data.name}).",
        "",
        *(f"- {name}: {value:.4f}" for name, value in results.items() if value is not None),
        "",
        *([f"Labels: {', '.join(about.spec.labels)}", ""] if about.spec.labels else []),
        *([f"Attributes: {', '.join(about.spec.attributes)}", ""] if about.spec.attributes else []),
        f'    import zoo; model = zoo.load("{recipe.name}.zoo"); help(model)',
    ]
    return "\n".join(lines) + "\n"


def unpack(path: Path, sha256: str | None = None) -> Pack:
    """Open a packed file.

    Raises:
        ZooError: it is another file than `sha256` says, broken, or no packed model.
        RecipeError: its recipe is not one of this zoo.
    """
    if sha256 is not None:
        refuse_other(path, sha256)
    tensors, metadata = read_safetensors(path)
    if KEY not in metadata:
        raise ZooError(f"{path}: safetensors, but not packed by zoo: load the folder of its run, or pack that with `zoo pack RUN`")
    try:
        header = json.loads(metadata[KEY])
        if header["format"] != FORMAT:
            raise ZooError(f"{path}: packed in format {header['format']!r}, this zoo reads {FORMAT}: install a newer zoo")
        about = Facts(facts.spec(header["spec"]), facts.metrics(header["metrics"]), facts.checked_split(header["split"]))
        recipe = Recipe.parse(_recipe_text(header["recipe"]), f"{path} (recipe)", _name(header["name"]))
        if recipe.data.crop < SMALLEST_CROP:
            raise ValueError(f"data.crop is {recipe.data.crop:g}, expected at least {SMALLEST_CROP}")
        beside = {name.removeprefix(BESIDE): tensors.pop(name).numpy() for name in list(tensors) if name.startswith(BESIDE)}
        codes = Latent.from_tensors(beside, about.spec.attributes) if beside else None
    except (ValueError, KeyError, TypeError, RuntimeError) as error:  # RecursionError is a RuntimeError
        reason = facts.words(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ZooError(f"{path}: its header is not what zoo packs ({reason}): ask whoever shared it for a whole one") from error
    return Pack(recipe, about, str(header.get("card", "")), tensors, codes)


def _name(name: Any) -> str:
    """A recipe's name, which others make file names of."""
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 100 or set(name) & set("/\\:") or name.startswith("."):
        raise ValueError(f"{name!r:.60} is no name of a recipe")
    return name


def _recipe_text(text: Any) -> str:
    if not isinstance(text, str) or len(text) > document.MAX_BYTES:
        raise ValueError(f"its recipe is no text of at most {document.MAX_BYTES // 1024} KB")
    return text


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """Tensors and metadata of a safetensors file; never anything else.

    Raises:
        ZooError: it is broken, or no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > min(MAX_HEADER, path.stat().st_size):
            raise ZooError(
                f"{path}: not a safetensors file (its header claims {length} bytes). "
                "A model is loaded from a run folder, or from the file that `zoo pack RUN` makes of it: no archives, no pickles"
            )
        with safe_open(path, framework="pt") as content:
            names = content.keys()
            if len(names) > MAX_TENSORS:
                raise ZooError(f"{path}: {len(names):,} tensors, more than the {MAX_TENSORS:,} that are read; no model here has so many")
            tensors = {name: content.get_tensor(name) for name in names}
            return tensors, content.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ZooError(f"{path}: cannot be read as safetensors ({error})") from error


def read_latent(path: Path, attributes: Sequence[str]) -> Latent | None:
    """The code space of a run, measured after its training; None if it has none.

    Raises:
        ZooError: the file is damaged or belongs to other data.
    """
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_LATENT:
        raise ZooError(
            f"{path}: {path.stat().st_size:,} bytes, more than the {MAX_LATENT:,} that are read; remove it, the rest of the run works"
        )
    tensors, metadata = read_safetensors(path)
    try:
        names = json.loads(metadata.get("names", "null"))
        if names != list(attributes):
            raise ValueError(f"its attributes are {names!r:.80}, those of the run {list(attributes)!r:.80}")
        return Latent.from_tensors({key: tensor.numpy() for key, tensor in tensors.items()}, attributes)
    except (ValueError, TypeError, RecursionError) as error:  # NumPy lacks some of torch's types
        raise ZooError(f"{path}: no code space of this run ({error}): remove it, the rest of the run works, or train again") from error


def refuse_other(path: Path, sha256: str) -> None:
    """Raise ZooError unless the file has this digest."""
    expected = _digest(sha256)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from error
    if found != expected:
        raise ZooError(f"{path}: its sha256 is {found}, expected {expected}: it is another file, or was damaged on the way; fetch it again")


def _digest(sha256: str) -> str:
    digest = sha256.strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", digest):  # it also becomes a file name
        raise RecipeError(f"sha256={sha256!r}: expected 64 hexadecimal digits, as `sha256sum FILE` prints them")
    return digest


# ---------------------------------------------------------------- fetching


def download(url: str, sha256: str | None) -> Path:
    """Fetch a packed file into the cache; one that is there is used only if its digest is right.

    Raises:
        RecipeError: the address is not HTTPS (or HTTP of this machine), or no digest is given.
        ZooError: it cannot be fetched, or what came is not the file.
    """
    fetching.refuse_open_ways(url)
    if sha256 is None:
        raise RecipeError(f'{url}: give the file\'s digest, zoo.load(url, sha256="..."); whoever shares it finds it with `sha256sum FILE`')
    digest = _digest(sha256)
    target = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo" / f"{digest}.zoo"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _cached(target, digest):
            _fetch(url, target, digest)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ZooError(f"{url}: cannot be fetched ({error or type(error).__name__}): check the address and the connection") from error
    return target


def _cached(target: Path, digest: str) -> bool:
    if not target.is_file():
        return False
    try:
        refuse_other(target, digest)
        return True
    except ZooError:  # damaged since: fetched again
        target.unlink()
        return False


def _fetch(url: str, target: Path, digest: str) -> None:
    def check(file: Path) -> None:
        with file.open("rb") as whole:
            found = hashlib.file_digest(whole, "sha256").hexdigest()
        if found != digest:
            raise ZooError(
                f"{url}: what came has sha256 {found}, expected {digest}, and was not kept: ask whoever shared it for both again"
            )

    fetching.fetch_file(url, target, check, MAX_BYTES, CONNECT_SECONDS)
