"""Model: a trained task with its labels and preprocessing. Loading needs no engine, no data set and no pickle."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from zoo import build, ensembles, facts, packing
from zoo.abilities import refusal
from zoo.datasets.transforms import Preprocess
from zoo.device import compute_device, memory_format
from zoo.errors import RecipeError, ZooError
from zoo.facts import Facts
from zoo.finding import find_run, open_run
from zoo.given import Picture, listed, to_pil
from zoo.latent import imagine
from zoo.latent.codes import Interpolation
from zoo.latent.samplers import whole
from zoo.latent.space import Latent
from zoo.progress import Progress
from zoo.recipe import Recipe
from zoo.run import Run
from zoo.spec import DataSpec
from zoo.tasks.task import Classifies, Detects, Embeds, Segments, Task

__all__ = ["Detections", "Mask", "Model", "Picture", "Prediction", "find_run", "from_run", "load"]


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


@dataclass(frozen=True)
class Mask:
    """What a segmentation says of a picture.

    Attributes:
        classes: (H, W) uint8 of the upright picture's own size: index into the model's labels; 255 where the preprocessing cut it off.
        shares: class -> its share of the pixels that were seen, 0 if none was.
        path: the picture's file, if it came from one.
    """

    classes: npt.NDArray[np.uint8]
    shares: Mapping[str, float]
    path: Path | None = None


@dataclass(frozen=True)
class Detections:
    """What a detector finds in a picture, the surest first.

    Attributes:
        boxes: (N, 4) float32 as left, top, right, bottom in pixels of the upright picture.
        labels: what each is.
        scores: (N,) float32 in [0, 1].
        path: the picture's file, if it came from one.
    """

    boxes: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    scores: npt.NDArray[np.float32]
    path: Path | None = None


Said = Prediction | Detections


class Model:
    """A trained model.

    Attributes:
        task: the network, in evaluation mode on `device`.
        recipe: what it was trained by.
        spec: of the data it was trained on.
        labels: class index -> name.
        metrics: as in its `metrics.json`.
        split: as in its `split.json` (a packed model knows only the fingerprint and the sizes).
        origin: the run folder or file it came from.
        latent: what is known of its code space; None of a task without one that decodes.
    """

    def __init__(self, task: Task, recipe: Recipe, about: Facts, origin: Path, latent: Latent | None = None) -> None:
        self.task: Task = task.eval()
        self.recipe, self.origin, self.latent = recipe, origin, latent
        self.spec, self.labels, self.metrics, self.split = about.spec, about.spec.labels, about.metrics, about.split
        self.preprocess = Preprocess(about.spec.size, recipe.data.fit, recipe.data.crop)

    def __repr__(self) -> str:
        kind = "synthetic" if self.metrics.get("synthetic") is True else "real"
        classes = f"{len(self.labels)} classes, " if self.labels else ""
        height, width = self.spec.size
        return f"<Model {self.recipe.name}: {classes}{height}x{width} pixels, trained on {kind} data, from {self.origin}>"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.task.parameters()).device

    def to(self, device: str | torch.device) -> Model:
        """Move it to "cpu", "cuda", "cuda:N" or "auto"; returns itself."""
        _place(self.task, compute_device(str(device)), self.spec)
        return self

    @overload
    def predict(self, pictures: Picture, batch_size: int = 32) -> Said | list[Prediction] | list[Detections]: ...  # type: ignore[overload-overlap]  # str
    @overload
    def predict(self, pictures: Sequence[Picture], batch_size: int = 32) -> list[Prediction] | list[Detections]: ...
    def predict(self, pictures: Picture | Sequence[Picture], batch_size: int = 32) -> Said | list[Prediction] | list[Detections]:
        """Predict one picture, a list of them, or all in a folder (by path, subfolders included).

        Args:
            pictures: see `Picture`; a tensor or array with a batch dimension counts as a list.
            batch_size: how many go through the network at once.

        Returns:
            A `Prediction` for one picture, of a detector its `Detections`; a list in order for a list or a folder.

        Raises:
            DataError: a picture cannot be read; names its file.
            RecipeError: the model predicts no classes, or `batch_size` is no number from 1 on.
        """
        if isinstance(self.task, Detects):
            return self.detect(pictures, batch_size)
        if not isinstance(self.task, Classifies):
            raise refusal(self, "predicts no classes")
        many, items = listed(pictures)
        found: list[Prediction] = []
        with Progress("predicting", len(items), "pictures") as progress, torch.inference_mode():
            for chunk, images, _ in self._batches(items, batch_size):
                probabilities = self.task.classify(images).cpu()
                found += [self._prediction(item, row) for item, row in zip(chunk, probabilities, strict=True)]
                progress.advance(len(chunk))
        return found if many else found[0]

    @overload
    def detect(self, pictures: Picture, batch_size: int = 32, threshold: float | None = None) -> Detections | list[Detections]: ...  # type: ignore[overload-overlap]  # str
    @overload
    def detect(self, pictures: Sequence[Picture], batch_size: int = 32, threshold: float | None = None) -> list[Detections]: ...
    def detect(
        self, pictures: Picture | Sequence[Picture], batch_size: int = 32, threshold: float | None = None
    ) -> Detections | list[Detections]:
        """What is where in one picture, a list of them, or all in a folder; otherwise as `predict`.

        Args:
            pictures: see `Picture`; a tensor or array with a batch dimension counts as a list.
            batch_size: how many go through the network at once.
            threshold: score from 0 to 1 from which on a box is given; None for the task's own.
        """
        if not isinstance(self.task, Detects):
            raise refusal(self, "finds no boxes")
        threshold = self.task.threshold if threshold is None else threshold
        if not 0 <= threshold <= 1:
            raise RecipeError(f"threshold={threshold!r}: expected a score from 0 to 1, such as 0.3")
        many, items = listed(pictures)
        found: list[Detections] = []
        with Progress("detecting", len(items), "pictures") as progress, torch.inference_mode():
            for chunk, images, sizes in self._batches(items, batch_size):
                said = {name: value.float().cpu() for name, value in self.task.detect(images).items()}
                rows = zip(said["boxes"], said["scores"], said["classes"], strict=True)
                found += [self._detections(*each, threshold) for each in zip(chunk, rows, sizes, strict=True)]
                progress.advance(len(chunk))
        return found if many else found[0]

    @overload
    def segment(self, pictures: Picture, batch_size: int = 32) -> Mask | list[Mask]: ...  # type: ignore[overload-overlap]  # str
    @overload
    def segment(self, pictures: Sequence[Picture], batch_size: int = 32) -> list[Mask]: ...
    def segment(self, pictures: Picture | Sequence[Picture], batch_size: int = 32) -> Mask | list[Mask]:
        """The class of each pixel of one picture, of a list of them, or of all in a folder; otherwise as `predict`."""
        if not isinstance(self.task, Segments):
            raise refusal(self, "makes no masks")
        many, items = listed(pictures)
        found: list[Mask] = []
        with Progress("segmenting", len(items), "pictures") as progress, torch.inference_mode():
            for chunk, images, sizes in self._batches(items, batch_size):
                masks = self.task.segment(images).cpu()
                found += [self._mask(*each) for each in zip(chunk, masks, sizes, strict=True)]
                progress.advance(len(chunk))
        return found if many else found[0]

    def embed(self, pictures: Picture | Sequence[Picture], batch_size: int = 32) -> Tensor:
        """Vectors of pictures, on the CPU: (D,) for one, (N, D) for a list or a folder.

        Raises:
            DataError: a picture cannot be read; names its file.
            RecipeError: the model has no embedding, or `batch_size` is no number from 1 on.
        """
        if not isinstance(self.task, Embeds):
            raise refusal(self, "has no embedding")
        many, items = listed(pictures)
        with torch.inference_mode():
            parts = [self.task.embed(images).cpu() for _, images, _ in self._batches(items, batch_size)]
            if not items:  # only the network knows the width
                parts = [self.task.embed(torch.zeros(1, self.spec.channels, *self.spec.size, device=self.device)).cpu()[:0]]
        vectors = torch.cat(parts)  # out here: tensors made in inference mode cannot train what comes after them
        return vectors if many else vectors[0]

    def sample(
        self,
        count: int = 64,
        seed: int = 0,
        label: int | str | None = None,
        sampler: str | None = None,
        truncation: float | None = None,
    ) -> list[Image.Image]:
        """Pictures that the model makes up, at its own size; the same seed draws the same, the caller's random state stays.

        Args:
            count: how many.
            seed: from 0 on.
            label: index or name of the class, for a model that is told one; None leaves it to the model.
            sampler: draws codes to decode: normal, gaussian, pca_kde or mixture (see `zoo.latent.samplers`). By default a model with a
                prior draws from that, another takes gaussian.
            truncation: of a model with a normal prior: the largest magnitude of a code's numbers, from 0.01 to 5 (see
                `zoo.latent.prior.truncated`). Less makes better pictures of fewer kinds.

        Raises:
            RecipeError: the model makes no pictures up, knows no such label, or lacks what the sampler or the truncation needs.
        """
        return imagine.sample(self, count, seed, label, sampler, truncation)

    def decode(self, codes: Tensor | npt.NDArray[Any] | Sequence[float]) -> Image.Image | list[Image.Image]:
        """The picture of a code (D,), or a list of those of codes (N, D); raises RecipeError if the model decodes none such."""
        return imagine.decode(self, codes)

    def edit(self, image: Picture, /, **strengths: float) -> Image.Image:
        """A picture with attributes strengthened or weakened, at the model's own size: `model.edit("me.jpg", smiling=+1.5)`.

        Args:
            image: one picture.
            strengths: attribute -> from -2 to 2, times its direction (see `Latent.measure`), added to the picture's code. Case does
                not count; other characters than letters and digits are `_`.

        Raises:
            DataError: the picture cannot be read; names its file.
            RecipeError: no such attribute or strength, or the model has no codes.
        """
        return imagine.edit(self, image, strengths)

    def interpolate(self, a: Picture, b: Picture, steps: int = 8, how: Interpolation = "spherical") -> list[Image.Image]:
        """`steps` pictures from one to another, at the model's own size; the first and the last are their reconstructions.

        Args:
            a: the first picture.
            b: the last one.
            steps: from 2 on.
            how: spherical or linear, see `zoo.latent.codes.interpolate`.

        Raises:
            DataError: a picture cannot be read; names its file.
            RecipeError: no such way, or the model has no codes.
        """
        return imagine.interpolate(self, a, b, steps, how)

    def interpolate_seeds(
        self, a: int, b: int, steps: int = 8, how: Interpolation = "spherical", truncation: float | None = None
    ) -> list[Image.Image]:
        """`steps` pictures from one that the model makes up to another: from `sample(1, seed=a)` to `sample(1, seed=b)`.

        Args:
            a: seed of the first picture.
            b: of the last one.
            steps: from 2 on.
            how: spherical or linear, see `zoo.latent.codes.interpolate`.
            truncation: of both ends, see `sample`.

        Raises:
            RecipeError: no such way, or the model draws no codes.
        """
        return imagine.interpolate_seeds(self, a, b, steps, how, truncation)

    def reconstruct(self, pictures: Picture | Sequence[Picture], batch_size: int = 32) -> Image.Image | list[Image.Image]:
        """What the model makes of pictures, at its own size: through their codes, or, by a denoising model, without their noise.

        Returns:
            One picture for one; a list in order for a list or a folder.

        Raises:
            DataError: a picture cannot be read; names its file.
            RecipeError: the model reconstructs none, or `batch_size` is no number from 1 on.
        """
        return imagine.reconstruct(self, pictures, batch_size)

    def split_warnings(self, split: Any) -> list[str]:
        """What is wrong with measuring this model on a split (a `splits.Split`): nothing on its own, leaks on another."""
        known = self.split.get("fingerprint")
        if known is None or known == split.fingerprint:
            return []
        warnings = [f"this is another split than the model was trained on (fingerprint {split.fingerprint[:12]}, the model's {known[:12]})"]
        if "train" not in self.split:
            return [*warnings, "a packed file does not say which pictures it was trained on: its figures may mean nothing here"]
        trained = set(self.split["train"])
        for part in ("val", "test"):
            leaked = sum(record.id in trained for record in split.parts.get(part, ()))
            if leaked:
                total = len(split.parts[part])
                warnings.append(f"{leaked} of {total} pictures in {part} were trained on: its figures mean nothing")
        return warnings

    def _batches(self, items: Sequence[Picture], batch_size: int) -> Iterator[tuple[list[Picture], Tensor, list[tuple[int, int]]]]:
        """Chunks, their (B, C, H, W) float in [0, 1] on the device and their pictures' (height, width), read a chunk ahead in threads."""
        batch_size = whole(batch_size)
        if type(batch_size) is not int or batch_size < 1:
            raise RecipeError(f"batch_size={batch_size!r}: expected a whole number from 1 on, such as 32")
        queue = iter(items)
        ahead: tuple[list[Picture], list[Future[tuple[Tensor, tuple[int, int]]]]] | None = None
        pool = ThreadPoolExecutor(2)
        try:
            while True:
                chunk = list(islice(queue, batch_size))
                coming = (chunk, [pool.submit(self._read, item) for item in chunk])
                if ahead is not None:
                    tensors, sizes = zip(*(future.result() for future in ahead[1]), strict=True)
                    yield ahead[0], torch.stack(tensors).to(self.device).float().div_(255), list(sizes)
                if not chunk:
                    return
                ahead = coming
        finally:
            pool.shutdown(cancel_futures=True)  # after an error nobody waits for the pictures ahead

    def _read(self, item: Picture) -> tuple[Tensor, tuple[int, int]]:
        picture = to_pil(item, self.spec.channels)
        return self.preprocess(picture), (picture.height, picture.width)

    def _prediction(self, item: Picture, row: Tensor) -> Prediction:
        scores = dict(zip(self.labels, row.tolist(), strict=True))
        best = int(row.argmax())
        return Prediction(self.labels[best], float(row[best]), scores, _path(item))

    def _detections(self, item: Picture, row: tuple[Tensor, Tensor, Tensor], size: tuple[int, int], threshold: float) -> Detections:
        boxes, scores, classes = row
        kept = (scores >= threshold) & (classes >= 0)  # rows without a box have a negative class
        corners, scores, classes = self.preprocess.unboxed(boxes[kept], size), scores[kept], classes[kept]
        there = (corners[:, 2:] > corners[:, :2]).all(1)  # what lies in the margin of `fit: pad` has no part in the picture
        labels = tuple(self.labels[int(index)] for index in classes[there])
        return Detections(corners[there].numpy(), labels, scores[there].numpy(), _path(item))

    def _mask(self, item: Picture, mask: Tensor, size: tuple[int, int]) -> Mask:
        whole = self.preprocess.restore(mask, size).numpy()
        counts = np.bincount(whole.ravel(), minlength=len(self.labels))[: len(self.labels)]
        shares = counts / max(1, counts.sum())  # of a very long picture the crop may keep less than one pixel
        return Mask(whole, dict(zip(self.labels, shares.tolist(), strict=True)), _path(item))


def _path(item: Picture) -> Path | None:
    return Path(item) if isinstance(item, str | os.PathLike) else None


# ---------------------------------------------------------------- loading


def load(what: str | Path | Sequence[str | Path], sha256: str | None = None, device: str = "auto") -> Model:
    """See `zoo.load`."""
    wished = compute_device(device)  # first, because a wrong word should not wait for a download
    if not isinstance(what, str | Path):
        if sha256 is not None:
            raise RecipeError("sha256: the digest of one packed file; of several, fetch and check each by itself")
        return ensembles.together([load(each, device=device) for each in what])
    path = Path(what)
    if "://" in str(what):
        return _from_pack(packing.download(str(what), sha256), sha256, wished)
    if path.suffix in (".yaml", ".yml"):
        raise RecipeError(f"{what}: a recipe is no trained model: train it with `python -m zoo.train {what}`, then zoo.load({path.stem!r})")
    if path.is_file():
        return _from_pack(path, sha256, wished)
    if sha256 is not None:
        raise RecipeError(f"{what}: sha256 is the digest of a packed file, and there is no such file; leave it out to load a run")
    name, at, epoch = str(what).rpartition("@")
    if at and not path.exists():
        if not re.fullmatch("[1-9][0-9]{0,8}", epoch):
            raise RecipeError(f"{what}: after @ stands an epoch, counted from 1, such as {name}@18")
        return from_run(open_run(name), device, int(epoch))
    return from_run(open_run(what), device)


def from_run(run: Run, device: str = "auto", epoch: int | None = None) -> Model:
    """The model of a finished run.

    Args:
        run: finished.
        device: auto, cpu, cuda or cuda:N.
        epoch: whose weights are wished, if not those of the best; `checkpoint.keep_epochs` keeps them.

    Raises:
        RecipeError: the run is not finished.
        ZooError: its weights do not fit its recipe, or are not kept.
    """
    if not run.finished:
        raise RecipeError(f"{run.folder}: this run is not finished; go on with `python -m zoo.train --resume {run.folder}`")
    if epoch is not None:
        tensors = run.checkpoints.read_weights(epoch)
        return _assemble(run.recipe, facts.of_epoch(run, epoch), tensors, run.folder, compute_device(device))
    tensors, _ = packing.read_safetensors(run.folder / "weights.safetensors")
    about = facts.of_run(run)
    latent = packing.read_latent(run.folder / packing.LATENT, about.spec.attributes)
    return _assemble(run.recipe, about, tensors, run.folder, compute_device(device), latent)


def _from_pack(path: Path, sha256: str | None, device: torch.device) -> Model:
    pack = packing.unpack(path, sha256)
    return _assemble(pack.recipe, pack.about, pack.tensors, path, device, pack.latent)


def _assemble(
    recipe: Recipe, about: Facts, tensors: Mapping[str, Tensor], origin: Path, device: torch.device, latent: Latent | None = None
) -> Model:
    """Build the task and give it its weights; the caller's random state stays as it is, though building draws weights."""
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):  # shapes alone: a file may name a network larger than this machine
                expected = build.task(recipe, about.spec, trained=True).state_dict()
            _refuse_misfits(expected, tensors, origin)
            task = build.task(recipe, about.spec, trained=True)
            task.load_state_dict(tensors)
        except ZooError as error:
            if str(error).startswith(str(origin)):
                raise
            raise type(error)(f"{origin}: {error}") from error
        except Exception as error:  # libraries fail in their own ways on options that nobody would train with
            reason = f"{type(error).__name__}: {error}"
            raise ZooError(
                f"{origin}: its network cannot be built ({reason}): another version of zoo or timm made it, or it is damaged"
            ) from error
    _place(task, device, about.spec)
    return Model(task, recipe, about, origin, latent)


def _place(task: Task, device: torch.device, spec: DataSpec) -> None:
    """On a device, the weights in the layout that is quicker there; pictures follow in the first convolution."""
    task.to(device).to(memory_format=memory_format("auto", device, spec.size))


def _refuse_misfits(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], origin: Path) -> None:
    both = [key for key in expected if key in found]
    wrong = {
        "missing": [key for key in expected if key not in found],
        "not known": [key for key in found if key not in expected],
        "of another shape": [
            f"{key} {tuple(found[key].shape)} instead of {tuple(expected[key].shape)}"
            for key in both
            if found[key].shape != expected[key].shape
        ],
        "of another kind": [
            f"{key} {found[key].dtype} instead of {expected[key].dtype}"
            for key in both
            if found[key].is_floating_point() != expected[key].is_floating_point() or found[key].is_complex()
        ],
    }
    if any(wrong.values()):
        keys = "; ".join(f"{title}: {_few(keys)}" for title, keys in wrong.items() if keys)
        raise ZooError(
            f"{origin}: these weights do not fit their recipe. {keys}. "
            "They were made by another recipe, or by another version of zoo or timm: train again, or install that version"
        )


def _few(keys: Sequence[str], most: int = 4) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")
