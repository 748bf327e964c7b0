"""One file of a run, to share: a safetensors file whose header holds recipe, spec, metrics and card as JSON.

Nothing in it is executed or believed: the recipe is checked as any other, names come from zoo's own registry, sizes are bounded
before they are read.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError
from zoo.progress import Progress
from zoo.recipe import Recipe
from zoo.run import Run
from zoo.spec import DataSpec

if TYPE_CHECKING:
    from torch import Tensor

KEY = "zoo"
FORMAT = 1
MAX_HEADER = 16 * 2**20
MAX_BYTES = 4 * 2**30
CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Pack:
    """What a packed file holds, checked."""

    recipe: Recipe
    spec: DataSpec
    metrics: dict[str, Any]
    split: dict[str, Any]
    card: str
    tensors: dict[str, Tensor]


def pack(run: Run, to: Path) -> Path:
    """Write a finished run as one file; returns its path.

    Raises:
        ZooError: the run is not finished, or the file cannot be written.
    """
    if not run.finished:
        raise ZooError(f"{run.folder}: this run is not finished, so there is nothing to share yet")
    tensors, _ = read_safetensors(run.folder / "weights.safetensors")
    facts = {
        "format": FORMAT,
        "name": run.recipe.name,
        "recipe": run.recipe.to_yaml(),
        "spec": run.spec.to_json(),
        "metrics": run.metrics,
        "split": {"fingerprint": run.split.get("fingerprint"), "sizes": run.split.get("sizes")},  # not the ids: they may be private
        "card": card(run),
    }
    from safetensors.torch import save_file

    partial = to.with_name(f".{to.name}.partial")
    try:
        save_file(tensors, partial, metadata={KEY: json.dumps(facts, ensure_ascii=False)})
        partial.replace(to)
    except OSError as error:
        raise ZooError(f"{to}: cannot be written ({error})") from error
    finally:
        partial.unlink(missing_ok=True)
    return to


def card(run: Run) -> str:
    """A short text for whoever gets the file: what it is, how good, on what, how to use it."""
    recipe, metrics, spec = run.recipe, run.metrics, run.spec
    kind = "SYNTHETIC (drawn) data" if metrics.get("synthetic") else "real data"
    results = [f"- {name}: {value:.4f}" for name, value in metrics.items() if "/" in name and isinstance(value, int | float)]
    lines = [
        f"# {recipe.name}",
        "",
        recipe.question,
        "",
        f"{recipe.task.name} with {recipe.backbone.name if recipe.backbone else 'a network of its own'}, {spec.size[0]}x{spec.size[1]} pixels, "
        f"trained for {metrics.get('epochs')} epochs on {kind} ({recipe.data.name}).",
        "",
        *results,
        "",
        f"Labels: {', '.join(spec.labels)}",
        "",
        f'    import zoo; zoo.load("{recipe.name}.zoo").predict("picture.jpg")',
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
        raise ZooError(f"{path}: safetensors, but not packed by zoo (`zoo pack RUN` does that)")
    try:
        facts = json.loads(metadata[KEY])
        if facts["format"] != FORMAT:
            raise ZooError(f"{path}: packed in format {facts['format']!r}, this zoo reads {FORMAT}: install a newer zoo")
        name, spec = str(facts["name"]), DataSpec.from_json(facts["spec"])
        metrics, split, text, words = dict(facts["metrics"]), dict(facts["split"]), str(facts["recipe"]), str(facts["card"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ZooError(f"{path}: its header is not what zoo packs ({type(error).__name__}: {error})") from error
    return Pack(Recipe.parse(text, f"{path} (recipe)", name), spec, metrics, split, words, tensors)


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
            raise ZooError(f"{path}: not a safetensors file (its header claims {length} bytes)")
        with safe_open(path, framework="pt") as content:
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118  # no dict: it has keys() only
            return tensors, content.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ZooError(f"{path}: cannot be read as safetensors ({error})") from error


def refuse_other(path: Path, sha256: str) -> None:
    """Raise ZooError unless the file has this digest."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.lower():
        raise ZooError(f"{path}: its sha256 is {found}, expected {sha256}: it is another file, or damaged on the way")


def download(url: str, sha256: str | None) -> Path:
    """Fetch a packed file into the cache; one that is there is used only if its digest is right.

    Raises:
        ZooError: the address is not HTTPS (or this machine), no digest is given, or what came is not the file.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ZooError(f"{url}: only https is fetched, because anybody on the way can change http")
    if sha256 is None:
        raise ZooError(f'{url}: give the file\'s digest, zoo.load(url, sha256="..."); whoever shares it finds it with sha256sum')
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo"
    target = cache / f"{sha256.lower()}.zoo"
    if target.is_file():
        try:
            refuse_other(target, sha256)
            return target
        except ZooError:
            target.unlink()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _fetch(url, target, sha256)
    except (OSError, ValueError) as error:
        raise ZooError(f"{url}: cannot be fetched ({error})") from error
    return target


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only (or, from this machine, to this machine)."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        there, here = urllib.parse.urlsplit(newurl), urllib.parse.urlsplit(req.full_url)
        if there.scheme != "https" and (there.scheme, there.hostname) != (here.scheme, here.hostname):
            raise ValueError(f"redirected to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(url: str, target: Path, sha256: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    partial, digest = Path(name), hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.build_opener(_SameScheme).open(url, timeout=CONNECT_SECONDS) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            with Progress("fetching", total // 2**20, "MB") as progress:
                while block := answer.read(2**20):
                    file.write(block)
                    digest.update(block)
                    progress.advance()
                    if file.tell() > MAX_BYTES:
                        raise ValueError(f"larger than {MAX_BYTES // 2**30} GB, which no model here is")
        if digest.hexdigest() != sha256.lower():
            raise ZooError(f"{url}: what came has sha256 {digest.hexdigest()}, expected {sha256}: it was not kept")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
