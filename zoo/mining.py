"""What to label or record next: a pool of unlabelled pictures ranked by what their labels would teach, and a model's errors by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.errors import DataError, RecipeError, shown
from zoo.given import in_folder, to_pil
from zoo.metrics import uncertainty
from zoo.progress import Progress, say
from zoo.tasks.task import Classifies, Embeds

if TYPE_CHECKING:
    from zoo.model import Model

STRATEGIES = ("margin", "entropy", "least_confident", "diversity", "spread", "committee", "vote_entropy")
COMMITTEES = {"committee": uncertainty.disagreement, "vote_entropy": uncertainty.vote_entropy}
AT_ONCE = 32


@dataclass(frozen=True)
class Ranked:
    """A picture of a pool: the first `rank` is 1; `score` rises with what its label would teach; what the (mean) model says of it."""

    path: Path
    rank: int
    score: float
    predicted: str
    probability: float


@dataclass(frozen=True)
class Wanted:
    """A class to record more of: `errors` are its pictures taken for another, `caused` others taken for it."""

    label: str
    pictures: int
    errors: int
    caused: int
    words: str


def rank(models: Sequence[Model], folder: Path, strategy: str, count: int) -> list[Ranked]:
    """The `count` pictures of a folder that are worth a label most; broken ones are said and left out.

    Raises:
        RecipeError: a model has no classes or no embedding, several have other classes, or a committee has one member.
        DataError: no picture can be read.
    """
    _refuse(models, strategy)
    probabilities, vectors, files = _answers(models, in_folder(folder), strategy in ("diversity", "spread"))
    mean = probabilities.mean(0)
    count = min(count, len(files))
    if strategy == "diversity":
        places, scores = uncertainty.k_centre(vectors, count)
    elif strategy == "spread":
        every = uncertainty.margin(mean)
        places = uncertainty.spread(every, vectors, count)
        scores = every[places]
    else:
        every = COMMITTEES[strategy](probabilities) if strategy in COMMITTEES else getattr(uncertainty, strategy)(mean)
        places = every.argsort(descending=True, stable=True)[:count]
        scores = every[places]
    sure, best = mean.max(1)
    labels = models[0].labels
    return [
        Ranked(files[place], number, float(score), labels[int(best[place])], float(sure[place]))
        for number, (place, score) in enumerate(zip(places.tolist(), scores.tolist(), strict=True), 1)
    ]


def _refuse(models: Sequence[Model], strategy: str) -> None:
    from zoo.abilities import refusal

    for model in models:
        if not isinstance(model.task, Classifies):
            raise refusal(model, "predicts no classes")
        if model.labels != models[0].labels:
            raise RecipeError(f"{model.origin}: has other classes than {models[0].origin}; a committee needs runs of the same classes")
    if strategy in COMMITTEES and len(models) < 2:
        raise RecipeError(f"--strategy {strategy}: one model cannot disagree with itself; give two runs or more")
    if strategy in ("diversity", "spread") and not isinstance(models[0].task, Embeds):
        raise refusal(models[0], "has no embedding")


def _answers(models: Sequence[Model], files: Sequence[Path], embed: bool) -> tuple[Tensor, Tensor, list[Path]]:
    """Probabilities (M, N, C), vectors (N, D) of the first model, and the files that could be read."""
    said: list[Tensor] = []
    vectors: list[Tensor] = []
    good: list[Path] = []
    with Progress("ranking", len(files), "pictures") as progress, torch.inference_mode():
        for begin in range(0, len(files), AT_ONCE):
            chunk = files[begin : begin + AT_ONCE]
            pictures, read = [], []
            for file in chunk:
                try:
                    pictures.append(to_pil(file, 3))
                    read.append(file)
                except DataError as error:
                    say(f"left out: {error}")
            if read:
                said.append(torch.stack([_classified(model, pictures) for model in models]))
                task = models[0].task
                if embed and isinstance(task, Embeds):
                    vectors.append(task.embed(_batch(models[0], pictures)).float().cpu())
            good += read
            progress.advance(len(chunk))
    if not good:
        raise DataError(f"{shown(files[0].parent)}: none of its {len(files)} pictures can be read")
    return torch.cat(said, 1), torch.cat(vectors) if vectors else torch.zeros(len(good), 0), good


def _batch(model: Model, pictures: Sequence[object]) -> Tensor:
    tensors = [model.preprocess(to_pil(picture, model.spec.channels)) for picture in pictures]  # type: ignore[arg-type]  # PIL pictures
    return torch.stack(tensors).to(model.device).float().div_(255)


def _classified(model: Model, pictures: Sequence[object]) -> Tensor:
    assert isinstance(model.task, Classifies)  # as `_refuse` saw
    return model.task.classify(_batch(model, pictures)).float().cpu()


def confused(truth: Sequence[int], said: Sequence[int]) -> list[tuple[tuple[int, int], int]]:
    """((truth, predicted), errors) of all pairs with errors, most first."""
    counts = Counter((one, other) for one, other in zip(truth, said, strict=True) if one != other)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def collect_next(truth: Sequence[int], said: Sequence[int], labels: Sequence[str]) -> list[Wanted]:
    """Classes by the errors they take part in, most first, each with a sentence of what to record; those without errors are left out."""
    pairs, sizes = confused(truth, said), Counter(truth)
    found = []
    for place, label in enumerate(labels):
        own = [(pair[1], count) for pair, count in pairs if pair[0] == place]
        errors, caused = sum(count for _, count in own), sum(count for pair, count in pairs if pair[1] == place)
        if errors + caused:
            words = f"Record more {label}: {errors} of {sizes[place]} were taken for something else"
            words += f", most often for {labels[own[0][0]]} ({own[0][1]})" if own else ""
            words += f"; {caused} others were taken for {label}." if caused else "."
            found.append(Wanted(label, sizes[place], errors, caused, words))
    return sorted(found, key=lambda one: (-(one.errors + one.caused), -one.errors))
