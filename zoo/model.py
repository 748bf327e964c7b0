"""Model: a trained task with its labels and preprocessing. Loading needs no engine, no data set and no pickle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from zoo import build, packing, paths
from zoo.device import compute_device
from zoo.datasets.pictures import is_picture, read_picture, upright
from zoo.datasets.transforms import Preprocess
from zoo.errors import DataError, RecipeError, ZooError
from zoo.progress import Progress, say
from zoo.recipe import Recipe, nearest
from zoo.run import Run
from zoo.spec import DataSpec
from zoo.tasks.task import Classifies, Embeds, Task

Picture = str | Path | Image.Image | npt.NDArray[Any] | Tensor
"""A file, a PIL picture, an array (H, W) or (H, W, C), or a tensor (C, H, W); numbers are uint8, or float in [0, 1]."""


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of a picture.

    Attributes:
        label: the likeliest class.
        score: its probability.
        scores: class -> probability, in the order of the model's labels.
        path: the picture's file, if it came from one.
    """

    label: str
    score: float
    scores: Mapping[str, float]
    path: Path | None = None


class Model:
    """A trained model.

    Attributes:
        task: the network, in evaluation mode on `device`.
        recipe: what it was trained by.
        spec: of the data it was trained on.
        labels: class index -> name.
        metrics: as in its `metrics.json`.
        split: as in its `split.json` (a packed model knows only the fingerprint).
        origin: the run folder or file it came from.
    """

    def __init__(self, task: Task, recipe: Recipe, spec: DataSpec, metrics: Mapping[str, Any], split: Mapping[str, Any], origin: Path) -> None:
        self.task, self.recipe, self.spec, self.labels = task.eval(), recipe, spec, spec.labels
        self.metrics, self.split, self.origin = metrics, split, origin
        self.preprocess = Preprocess(spec.size, recipe.data.fit, recipe.data.crop)

    def __repr__(self) -> str:
        kind = {True: " on synthetic data", False: " on real data"}.get(self.metrics.get("synthetic"), "")  # type: ignore[call-overload]
        return f"<Model {self.recipe.name}: {len(self.labels)} classes, {self.spec.size[0]}x{self.spec.size[1]} pixels, trained{kind}, from {self.origin}>"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.task.parameters()).device

    def to(self, device: str | torch.device) -> Model:
        """Move it; returns itself."""
        self.task.to(device)
        return self

    @overload
    def predict(self, pictures: Picture, batch_size: int = 32) -> Prediction | list[Prediction]: ...
    @overload
    def predict(self, pictures: Sequence[Picture], batch_size: int = 32) -> list[Prediction]: ...
    def predict(self, pictures: Picture | Sequence[Picture], batch_size: int = 32) -> Prediction | list[Prediction]:
        """Predict one picture, a list of them, or all in a folder (by path, subfolders included).

        Args:
            pictures: see `Picture`; a tensor or array with a batch dimension counts as a list.
            batch_size: how many go through the network at once.

        Returns:
            A `Prediction` for one picture; a list in order for a list or a folder.

        Raises:
            DataError: a file cannot be read; names it.
            TypeError: the model predicts no classes.
        """
        if not isinstance(self.task, Classifies):
            raise TypeError(f"{self.recipe.name} ({self.recipe.task.name}) predicts no classes")
        many, items = _listed(pictures)
        found: list[Prediction] = []
        with Progress("predicting", len(items), "pictures") as progress:
            for chunk, images in self._batches(items, batch_size):
                probabilities = self._run({"image": images})["probabilities"].cpu()
                found += [self._prediction(item, row) for item, row in zip(chunk, probabilities, strict=True)]
                progress.advance(len(chunk))
        return found if many else found[0]

    def embed(self, pictures: Picture | Sequence[Picture], batch_size: int = 32) -> Tensor:
        """Vectors of pictures, on the CPU: (D,) for one, (N, D) for a list or a folder.

        Raises:
            TypeError: the model has no embedding.
        """
        if not isinstance(self.task, Embeds):
            raise TypeError(f"{self.recipe.name} ({self.recipe.task.name}) has no embedding")
        many, items = _listed(pictures)
        parts = []
        with torch.inference_mode():
            for _, images in self._batches(items, batch_size):
                parts.append(self.task.embed(images.to(self.device).float().div_(255)).cpu())
        vectors = torch.cat(parts)
        return vectors if many else vectors[0]

    def split_warnings(self, split: Any) -> list[str]:
        """What is wrong with measuring this model on a split (a `splits.Split`): nothing on its own, leaks on another."""
        known = self.split.get("fingerprint")
        if known is None or known == split.fingerprint:
            return []
        warnings = [f"this is another split than the model was trained on (fingerprint {split.fingerprint[:12]}, the model's {known[:12]})"]
        trained = set(self.split.get("train", ()))
        for part in ("val", "test"):
            leaked = sum(record.id in trained for record in split.parts.get(part, ()))
            if leaked:
                total = len(split.parts[part])
                warnings.append(f"{leaked} of {total} pictures in {part} were trained on: its figures mean nothing")
        return warnings

    def _run(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.inference_mode():
            image = batch["image"].to(self.device).float().div_(255)
            return self.task.predict(batch | {"image": image})

    def _batches(self, items: Sequence[Picture], batch_size: int) -> Iterator[tuple[list[Picture], Tensor]]:
        """Chunks and their (B, C, H, W) uint8, read a chunk ahead in threads."""
        queue = iter(items)
        with ThreadPoolExecutor(2) as pool:
            ahead: Any = None
            while chunk := list(islice(queue, batch_size)):
                coming = (chunk, [pool.submit(self._read, item) for item in chunk])
                if ahead is not None:
                    yield ahead[0], torch.stack([future.result() for future in ahead[1]])
                ahead = coming
            if ahead is not None:
                yield ahead[0], torch.stack([future.result() for future in ahead[1]])

    def _read(self, item: Picture) -> Tensor:
        return self.preprocess(_to_pil(item, self.spec.channels))

    def _prediction(self, item: Picture, row: Tensor) -> Prediction:
        scores = dict(zip(self.labels, row.tolist(), strict=True))
        best = int(row.argmax())
        return Prediction(self.labels[best], float(row[best]), scores, Path(item) if isinstance(item, str | Path) else None)


def _listed(pictures: Picture | Sequence[Picture]) -> tuple[bool, list[Picture]]:
    """Whether many were asked for, and all of them."""
    if isinstance(pictures, str | Path):
        if not Path(pictures).is_dir():
            return False, [pictures]
        files: list[Picture] = [path for path in sorted(Path(pictures).rglob("*")) if is_picture(path) and path.is_file()]
        if not files:
            raise DataError(f"{pictures}: this folder holds no pictures")
        return True, files
    if isinstance(pictures, Image.Image) or (isinstance(pictures, np.ndarray | Tensor) and pictures.ndim < 4):
        return False, [pictures]
    return True, list(pictures)


def _to_pil(item: Picture, channels: int) -> Image.Image:
    if isinstance(item, str | Path):
        return read_picture(Path(item), channels)
    if isinstance(item, Image.Image):
        return upright(item, channels)
    array = item.detach().cpu().numpy() if isinstance(item, Tensor) else np.asarray(item)
    if isinstance(item, Tensor) and array.ndim == 3:
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        shape = tuple(item.shape)
        raise DataError(f"a picture of shape {shape} is none: expected an array (H, W) or (H, W, 3), or a tensor (C, H, W)")
    if array.dtype != np.uint8:
        if not np.issubdtype(array.dtype, np.floating) or not (array.min() >= 0 and array.max() <= 1):
            raise DataError(f"a picture of {array.dtype} from {array.min():g} to {array.max():g}: expected uint8, or float in [0, 1]")
        array = (array * 255).round().astype(np.uint8)
    return upright(Image.fromarray(np.ascontiguousarray(array)), channels)


# ---------------------------------------------------------------- loading


def load(what: str | Path, sha256: str | None = None, device: str = "auto") -> Model:
    """See `zoo.load`."""
    text, path = str(what), Path(what)
    if text.startswith(("https://", "http://")):
        return _from_pack(packing.download(text, sha256), sha256, device)
    if path.is_dir():
        return from_run(Run.read(path), device)
    if path.is_file():
        return _from_pack(path, sha256, device)
    if path.suffix or len(path.parts) > 1:
        raise RecipeError(f"{what}: no such file or folder; `zoo list runs` shows the trained runs in {paths.runs()}")
    return from_run(find_run(text), device)


def from_run(run: Run, device: str = "auto") -> Model:
    """The model of a finished run.

    Raises:
        RecipeError: the run is not finished.
        ZooError: its weights do not fit its recipe.
    """
    if not run.finished:
        raise RecipeError(f"{run.folder}: this run is not finished; go on with `python -m zoo.train --resume {run.folder}`")
    tensors, _ = packing.read_safetensors(run.folder / "weights.safetensors")
    return _assemble(run.recipe, run.spec, tensors, run.metrics, run.split, run.folder, device)


def _from_pack(path: Path, sha256: str | None, device: str) -> Model:
    pack = packing.unpack(path, sha256)
    return _assemble(pack.recipe, pack.spec, pack.tensors, pack.metrics, pack.split, path, device)


def _assemble(
    recipe: Recipe, spec: DataSpec, tensors: Mapping[str, Tensor], metrics: Mapping[str, Any], split: Mapping[str, Any], origin: Path, device: str
) -> Model:
    with torch.random.fork_rng(devices=[]):  # building draws random weights; whoever loads a model keeps their random state
        task = build.task(recipe, spec, trained=True)
    _refuse_misfits(task.state_dict(), tensors, origin)
    task.load_state_dict(tensors)
    return Model(task.to(compute_device(device)), recipe, spec, metrics, split, origin)


def _refuse_misfits(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], origin: Path) -> None:
    missing = [key for key in expected if key not in found]
    extra = [key for key in found if key not in expected]
    other = [f"{key} {tuple(found[key].shape)} instead of {tuple(expected[key].shape)}" for key in expected if key in found and found[key].shape != expected[key].shape]
    if missing or extra or other:
        parts = [f"{title}: {_few(keys)}" for title, keys in (("missing", missing), ("not known", extra), ("of another shape", other)) if keys]
        raise ZooError(f"{origin}: these weights do not fit their recipe. {'; '.join(parts)}. They were made by another recipe, or by another version of zoo or timm.")


def _few(keys: Sequence[str], most: int = 4) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")


def find_run(name: str) -> Run:
    """The run that a name means: `name` or `name:run`.

    Raises:
        RecipeError: no such recipe, or none of its runs is finished here.
    """
    recipe, _, wanted = name.partition(":")
    folder = paths.runs() / recipe
    found = [path for path in sorted(folder.glob("*")) if (path / "metrics.json").is_file() and (path / "weights.safetensors").is_file()]
    if not found:
        known = paths.recipes()
        if recipe not in known:
            trained = [path.name for path in paths.runs().glob("*") if path.is_dir()]
            raise RecipeError(f"{recipe!r}: no such recipe{nearest(recipe, [*known, *trained])}; `zoo list` shows them all")
        raise RecipeError(f"{recipe!r} was not trained here (looked in {folder}): train it with `python -m zoo.train {known[recipe]}`")
    if wanted:
        match = [path for path in found if path.name == wanted]
        if not match:
            raise RecipeError(f"{name!r}: no finished run {wanted!r}{nearest(wanted, [path.name for path in found])} in {folder}")
        return Run.read(match[0])
    return best_run([Run.read(path) for path in found])


def best_run(runs: Iterable[Run]) -> Run:
    """Of finished runs those on the newest one's split, of those on real data if there are any, of those the best by its monitor."""
    ordered = sorted(runs, key=lambda run: (run.folder / "metrics.json").stat().st_mtime_ns)  # by when they were finished
    real = [run for run in ordered if not run.metrics.get("synthetic")] or ordered
    same = [run for run in real if run.split.get("fingerprint") == real[-1].split.get("fingerprint")]
    monitor = same[-1].recipe.monitor
    sign = 1 if monitor.mode == "max" else -1

    def quality(run: Run) -> float:
        value = run.metrics.get(monitor.metric)
        return sign * value if isinstance(value, int | float) else float("-inf")

    best = max(same, key=quality)
    kind = "synthetic" if best.metrics.get("synthetic") else "real"
    value = best.metrics.get(monitor.metric)
    say(f"loading {best.recipe.name}:{best.folder.name}, the best of {len(same)} on {kind} data by {monitor.metric} ({value if value is None else format(value, '.4g')})")
    return best
