"""Several classifiers that answer together (Dietterich 2000, "Ensemble Methods in Machine Learning"): trained apart, averaged here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from zoo.heads.committee import TINY, combined
from zoo.spec import DataSpec
from zoo.tasks import answering
from zoo.tasks.task import Batch, Classifies, Drawing, Examples, Table, Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

ZOOM = 0.88
"""The part of each side that the view `zoom` keeps."""


@dataclass(frozen=True)
class Network:
    """A classifier, without its weights at first; the (height, width) it was trained at; the names of the members that it stands for."""

    task: Task
    size: tuple[int, int]
    members: tuple[str, ...]


class Ensemble(Task):
    """Trained classifiers whose answers are averaged. It learns nothing itself: the engine `combine` fetches the members' weights.

    A member that was trained at another size sees the picture resized from the ensemble's.

    Args:
        spec: of the data.
        networks: one for each member, or for each architecture if `average` joins its members.
        members: trained models, as `zoo.load` takes them: `name`, `name:run`, `name@epoch`.
        recipes: of the members, as text; written here when the ensemble is put together, to be left out by people.
        combine: mean of "probabilities", or of "logits".
        weights: of the networks in that mean: "equal", "fitted" (least cross entropy on the validation part), or a number each.
        average: whether members of one architecture become one network with the mean of their weights: "none", "uniform" (Izmailov 2018,
            arXiv:1803.05407, stochastic weight averaging), or "greedy" (Wortsman 2022, arXiv:2203.05482, the greedy soup: the best comes
            first, others join if validation gets no worse by it).
        views: test-time augmentation: the picture is seen mirrored as well ("flip"), and its middle enlarged ("zoom").
    """

    main: ClassVar[str] = "accuracy"
    truth: ClassVar[str | None] = "label"
    learns: ClassVar[bool] = False
    shares: Tensor

    def __init__(
        self,
        spec: DataSpec,
        networks: Sequence[Network],
        members: tuple[str, ...],
        recipes: tuple[str, ...] = (),
        combine: Literal["probabilities", "logits"] = "probabilities",
        weights: Literal["equal", "fitted"] | tuple[Annotated[float, Ge(0)], ...] = "equal",
        average: Literal["none", "uniform", "greedy"] = "none",
        views: tuple[Literal["flip", "zoom"], ...] = (),
    ) -> None:
        super().__init__()
        self.labels, self.views = spec.labels, views
        self.combine, self.average, self.fitted = combine, average, weights == "fitted"
        self.networks = nn.ModuleList(network.task for network in networks)
        self.sizes = [network.size for network in networks]
        self.members = [network.members for network in networks]
        given = [float(weight) for weight in weights] if isinstance(weights, tuple) else [1.0] * len(networks)
        if len(given) != len(networks) or not sum(given):
            raise ValueError(f"weights: {len(given)} numbers for {len(networks)} networks; expected one for each, not all of them 0")
        self.register_buffer("shares", torch.tensor(given) / sum(given))

    def players(self) -> dict[str, nn.Module]:
        """None: nothing is learnt."""
        return {}

    def answers(self, image: Tensor) -> Tensor:
        """What each network says, the mean over the views: (B, C, H, W) in [0, 1] -> (B, networks, classes) probabilities."""
        views = list(self._seen(image))
        said = [torch.stack([self._answer(number, view) for view in views]).mean(0) for number in range(len(self.networks))]
        return torch.stack(said, 1)

    def _answer(self, number: int, image: Tensor) -> Tensor:
        network, size = self.networks[number], self.sizes[number]
        assert isinstance(network, Classifies)
        return network.classify(image if image.shape[2:] == size else F.interpolate(image, size, mode="bilinear", antialias=True))

    def _seen(self, image: Tensor) -> Iterator[Tensor]:
        """The picture and what `views` make of it."""
        for view in (image, _middle(image)) if "zoom" in self.views else (image,):
            yield view
            if "flip" in self.views:
                yield view.flip(3)

    def classify(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, classes) probabilities."""
        return combined(self.answers(image), self.shares, self.combine)

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """`probabilities` (B, classes), `answers` (B, networks, classes) and, where labels are given, `losses` (B,): cross entropy."""
        answers = self.answers(batch["image"])
        predictions = {"probabilities": combined(answers, self.shares, self.combine), "answers": answers}
        if "label" in batch:
            predictions["losses"] = F.nll_loss(predictions["probabilities"].clamp_min(TINY).log(), batch["label"], reduction="none")
        return predictions

    def metrics(self) -> MetricCollection:
        """accuracy, macro, micro and weighted F1, and the mean cross entropy as `loss`."""
        return answering.metrics(self.labels)

    def details(self, metrics: MetricCollection) -> dict[str, Any]:
        """`confusion` (C, C) int64, rows truth."""
        return answering.details(metrics)

    def figures(self, examples: Examples) -> dict[str, Drawing]:
        """Confusion matrix and the surest mistakes."""
        return answering.drawings(self.labels, examples)

    def tables(self, examples: Examples) -> dict[str, Table]:
        """The networks beside the ensemble; precision, recall and F1 of each class; the most confused pairs."""
        return {"networks": self._compared(examples), **answering.tables(self.labels, examples)}

    def _compared(self, examples: Examples) -> Table:
        """Each network alone and the ensemble, and what it gains over the best of them."""
        from zoo.metrics.bootstrap import paired_difference
        from zoo.metrics.classification import confusion_of, scores

        label, answers = examples.truth["label"], examples.predictions["answers"]
        said = [*answers.argmax(2).unbind(1), examples.predictions["probabilities"].argmax(1)]
        found = [scores(confusion_of(label, each, len(self.labels))) for each in said]
        names = [*map(_name, self.members), "together"]
        shares = [*self.shares.tolist(), ""]
        rows = [(name, share, each["accuracy"], each["f1_macro"]) for name, share, each in zip(names, shares, found, strict=True)]
        best = max(range(len(said) - 1), key=lambda number: found[number]["accuracy"])
        together, alone = ((each == label).float().numpy() for each in (said[-1], said[best]))
        gain, low, high = paired_difference(together, alone, examples.truth.get("group"))
        words = (
            f"Together they are right {gain:+.3f} more often than the best alone, {names[best]} [{low:+.3f}, {high:+.3f}]: 95 % of "
            "2,000 bootstrap samples of these pictures (of whole groups where there are some)."
        )
        if self.fitted and examples.part == "val":
            words += " The weights were fitted on these very pictures: believe the test part, if there is one."
        return Table("Networks", ("network", "weight", "accuracy", "f1_macro"), rows, words)


def _name(members: Sequence[str]) -> str:
    return members[0] if len(members) == 1 else f"{members[0]} and {len(members) - 1} more, averaged"


def _middle(image: Tensor) -> Tensor:
    """(B, C, H, W) -> the same shape: its middle, enlarged."""
    height, width = image.shape[2:]
    top, left = (round(side * (1 - ZOOM) / 2) for side in (height, width))
    return F.interpolate(image[:, :, top : height - top, left : width - left], (height, width), mode="bilinear", antialias=True)
