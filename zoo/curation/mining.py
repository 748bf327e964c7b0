"""What to label or record next: a pool of unlabelled pictures ranked by what their labels would teach, and a model's errors by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
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
PAIRS, SHOWN = 10, 25
"""Pairs with a gallery, and pictures in it."""


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
    """A class to record more of.

    Attributes:
        label: its name.
        pictures: how many of it were looked at.
        errors: how many of these were taken for another class.
        caused: how many pictures of other classes were taken for this one.
        taken_for, taken: the class they were taken for most often, and how many were.
    """

    label: str
    pictures: int
    errors: int
    caused: int
    taken_for: str
    taken: int

    @property
    def ask(self) -> str:
        """What to record."""
        return f"Record more {self.label}"

    @property
    def why(self) -> str:
        """Because of which errors."""
        rest = self.errors - self.taken
        more = f", {rest:,} for other classes" if rest else ""
        others = f"; {self.caused:,} of other classes were taken for {self.label}" if self.caused else ""
        return f"{self.taken:,} of {self.pictures:,} were taken for {self.taken_for}{more}{others}."


@dataclass(frozen=True)
class Pair:
    """Pictures of class `truth` taken for class `said`: `rows` of the first, the surest mistakes first, of `errors` in all."""

    truth: int
    said: int
    errors: int
    rows: tuple[int, ...]


def rank(models: Sequence[Model], folder: Path, strategy: str, count: int, known: Set[Path] = frozenset()) -> list[Ranked]:
    """The `count` pictures of a folder that are worth a label most; broken ones are said and left out.

    Args:
        models: one, or a committee; what is said of a picture is their mean, vectors are of the first.
        folder: of the pictures, with its subfolders.
        strategy: of `STRATEGIES`.
        count: at most so many.
        known: resolved paths of pictures that are not asked for.

    Raises:
        RecipeError: a model has no classes or no embedding, several have other classes, or a committee has one member.
        DataError: there is no such folder, or no picture in it can be read.
    """
    _refuse(models, strategy)
    if not folder.is_dir():
        raise DataError(f"--pool {shown(folder)}: {'is no folder' if folder.exists() else 'no such folder'}; expected one with pictures")
    every = in_folder(folder)
    new = [file for file in every if not known or file.resolve() not in known]
    if len(new) < len(every):
        say(f"left out: {len(every) - len(new):,} of {len(every):,} pictures, which are labelled already")
    if not new:
        raise DataError(f"--pool {shown(folder)}: all of its pictures are labelled already; give a folder with others")
    probabilities, vectors, files = _answers(models, new, strategy in ("diversity", "spread"))
    mean = probabilities.mean(0)
    places, scores = _chosen(strategy, probabilities, vectors, min(count, len(files)))
    sure, best = mean.max(1)
    labels = models[0].labels
    return [
        Ranked(files[place], number, float(score), labels[int(best[place])], float(sure[place]))
        for number, (place, score) in enumerate(zip(places.tolist(), scores.tolist(), strict=True), 1)
    ]


def _chosen(strategy: str, probabilities: Tensor, vectors: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Places of `count` pictures in order, and their scores: of probabilities (M, N, C) of M models and vectors (N, D)."""
    if strategy == "diversity":
        return uncertainty.k_centre(vectors, count)
    mean = probabilities.mean(0)
    if strategy == "spread":
        doubts = uncertainty.margin(mean)
        places = uncertainty.spread(doubts, vectors, count)
    else:
        doubts = COMMITTEES[strategy](probabilities) if strategy in COMMITTEES else getattr(uncertainty, strategy)(mean)
        places = doubts.argsort(descending=True, stable=True)[:count]
    return places, doubts[places]


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
            chunk, images = files[begin : begin + AT_ONCE], [list[Tensor]() for _ in models]
            read = [file for file in chunk if _prepare(models, file, images)]
            if read:
                batches = [torch.stack(each).to(model.device).float().div_(255) for model, each in zip(models, images, strict=True)]
                said.append(torch.stack([_classified(model, batch) for model, batch in zip(models, batches, strict=True)]))
                task = models[0].task
                if embed and isinstance(task, Embeds):
                    vectors.append(task.embed(batches[0]).float().cpu())
            good += read
            progress.advance(len(chunk))
    if not good:
        raise DataError(f"{shown(files[0].parent)}: none of its {len(files)} pictures can be read")
    return torch.cat(said, 1), torch.cat(vectors) if vectors else torch.zeros(len(good), 0), good


def _prepare(models: Sequence[Model], file: Path, images: Sequence[list[Tensor]]) -> bool:
    """Add a picture as each model sees it; False, and said, for one that cannot be read."""
    try:
        picture = to_pil(file, 3)
    except DataError as error:
        say(f"left out: {error}")
        return False
    for model, each in zip(models, images, strict=True):
        each.append(model.preprocess(to_pil(picture, model.spec.channels)))
    return True


def _classified(model: Model, images: Tensor) -> Tensor:
    assert isinstance(model.task, Classifies)  # as `_refuse` saw
    return model.task.classify(images).float().cpu()


def confused(truth: Sequence[int], said: Sequence[int]) -> list[tuple[tuple[int, int], int]]:
    """((truth, predicted), errors) of all pairs with errors, most first."""
    counts = Counter((one, other) for one, other in zip(truth, said, strict=True) if one != other)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def galleries(truth: Sequence[int], said: Sequence[int], sure: Sequence[float], pairs: int = PAIRS, most: int = SHOWN) -> list[Pair]:
    """The most confused pairs with at most `most` of their rows each, by `sure`, the probability of what was said."""
    found = []
    for (one, other), count in confused(truth, said)[:pairs]:
        rows = [row for row, both in enumerate(zip(truth, said, strict=True)) if both == (one, other)]
        found.append(Pair(one, other, count, tuple(sorted(rows, key=lambda row: -sure[row])[:most])))
    return found


def collect_next(truth: Sequence[int], said: Sequence[int], labels: Sequence[str]) -> list[Wanted]:
    """Classes with errors, most first.

    A class that others are taken for and that is always known itself is left out: more pictures of the others settle that.
    """
    pairs, sizes = confused(truth, said), Counter(truth)
    found = []
    for place, label in enumerate(labels):
        own = [(other, count) for (one, other), count in pairs if one == place]
        if own:
            caused = sum(count for (_, other), count in pairs if other == place)
            found.append(Wanted(label, sizes[place], sum(count for _, count in own), caused, labels[own[0][0]], own[0][1]))
    return sorted(found, key=lambda one: (-one.errors, -one.caused))
