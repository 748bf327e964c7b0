"""The contract of a task: what is learnt from a batch, what is predicted, how it is measured and drawn.

A task is the network too: it holds its backbone and heads as submodules, so that `task.state_dict()` is the trained model.
It knows nothing of optimisers, devices, epochs' bookkeeping, files or engines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

if TYPE_CHECKING:  # neither is needed to load and predict
    from matplotlib.figure import Figure
    from torchmetrics import MetricCollection

Batch = Mapping[str, Any]


@dataclass(frozen=True)
class Examples:
    """One part of the data and what was predicted for it, kept for drawing.

    Attributes:
        truth: the batches' fields, joined over the part (`label` (N,), `index` (N,), `path` list of N); large ones, such as pictures
            and masks, are left out.
        predictions: what `Task.predict` gave, joined over the part, on the CPU (first dimension N); large ones are left out.
        picture: row -> its picture as the model saw it, (H, W, C) uint8.
        metrics: name -> value, as in `metrics.json`.
        details: what the metrics can tell beyond single numbers (`confusion` (C, C)).
        again: row -> all fields of its sample, and all that is predicted for it, on the CPU; read and computed once more.
        training: number -> at most so many samples of the training part, evenly chosen, as evaluation sees them: pictures (N, C, H, W)
            uint8 and their other fields, joined. What simpler ways than the model are fitted on.
        part: of the data. What shows the model and not the part, such as samples, is drawn for "val" alone.
    """

    truth: Mapping[str, Any]
    predictions: Mapping[str, Tensor]
    picture: Callable[[int], npt.NDArray[np.uint8]]
    metrics: Mapping[str, float]
    details: Mapping[str, Any]
    again: Callable[[int], tuple[Mapping[str, Any], Mapping[str, Tensor]]]
    training: Callable[[int], tuple[Tensor, Mapping[str, Any]]]
    part: Literal["val", "test"] = "val"


@dataclass(frozen=True)
class Drawing:
    """A figure for the report, with the words above and below it."""

    title: str
    figure: Figure
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """A table for the report: rows of plain values under a header."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""


class Task(nn.Module):
    """Base of all tasks. A subclass's constructor takes `spec: DataSpec`, `backbone` (if `form` is not None) and its options.

    Class attributes:
        form: which form of backbone it asks for: "vector", "maps", or None for none.
        main: name of the metric that sums it up best; the others follow it in reports.
        truth: the field of a sample that it learns from, see `DataSpec.truth`; None if it needs none.
        conditional: whether its backbone is told the picture's label as well (`conditions`).
        learns: whether it is trained; an ensemble of trained models is put together by an engine of its own.
    """

    form: ClassVar[Literal["vector", "maps"] | None] = None
    main: ClassVar[str] = "loss"
    truth: ClassVar[str | None] = None
    conditional: ClassVar[bool] = False
    learns: ClassVar[bool] = True

    def players(self) -> dict[str, nn.Module]:
        """Groups of weights with an optimiser of their own, by name; a weight that is trained belongs to exactly one. A GAN has two."""
        return {"model": self}

    def start_epoch(self, epoch: int) -> None:
        """Called before the first batch of each epoch (counted from 0): the place for a freezing schedule."""

    def start_batch(self, step: int) -> None:
        """Called before each training batch with the number of batches trained on so far: the place for what is not done in every one."""

    def coupling(self) -> list[str]:
        """What joins the pictures of a batch while training, in words: dividing a batch changes its results."""
        joins = any(isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training for module in self.modules())
        return ["batch normalisation"] if joins else []

    def losses(self, batch: Batch, player: str) -> dict[str, Tensor]:
        """Named losses of a batch for a player: `loss` is the scalar to lower, others are logged; {} sits this batch out."""
        raise NotImplementedError  # a task without losses cannot be trained

    def forward(self, batch: Batch, player: str = "model") -> dict[str, Tensor]:
        """`losses`, under the name that wrappers for several devices and compilers call."""
        return self.losses(batch, player)

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """What the model says of a batch; every tensor's first dimension is B. Called without gradients, in evaluation mode."""
        raise NotImplementedError  # a task without predictions cannot be evaluated

    def overlay(self, picture: npt.NDArray[np.uint8], truth: Mapping[str, Any], prediction: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
        """A picture with what was predicted drawn on it, so that models can be compared side by side.

        Args:
            picture: (H, W, C) uint8, as the model saw it.
            truth: the fields of its sample, as far as they are known.
            prediction: its part of `predict`, on the CPU.

        Returns:
            (H, W, C) uint8; the picture itself where nothing can be drawn on it.
        """
        return picture

    def metrics(self) -> MetricCollection:
        """Metrics whose `update(predictions, batch)` takes what `predict` gave and the batch it gave it for."""
        raise NotImplementedError  # likewise

    def details(self, metrics: MetricCollection) -> dict[str, Any]:
        """What `metrics` gathered beyond single numbers, for `figures` and `tables`."""
        return {}

    def figures(self, examples: Examples) -> dict[str, Drawing]:
        """Figures for the report, by file stem, in the order to show."""
        return {}

    def tables(self, examples: Examples) -> dict[str, Table]:
        """Tables for the report, by file stem, in the order to show."""
        return {}


@runtime_checkable
class Embeds(Protocol):
    """A task whose model turns pictures into vectors."""

    def embed(self, image: Tensor) -> Tensor:
        """(B, C, H, W) float in [0, 1] -> (B, D)."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """A task that says which of the spec's labels a picture has."""

    def classify(self, image: Tensor) -> Tensor:
        """(B, C, H, W) float in [0, 1] -> (B, classes) probabilities in the order of the labels, also in `predict`."""
        ...


@runtime_checkable
class Segments(Protocol):
    """A task that says which of the spec's labels each pixel has."""

    def segment(self, image: Tensor) -> Tensor:
        """(B, C, H, W) float in [0, 1] -> (B, H, W) uint8 class indices."""
        ...


@runtime_checkable
class Detects(Protocol):
    """A task that says where in a picture something is."""

    threshold: float
    """Score from which on a box is shown."""

    def detect(self, image: Tensor) -> dict[str, Tensor]:
        """(B, C, H, W) float in [0, 1] -> `boxes` (B, K, 4) as left, top, right, bottom in its pixels, `scores` (B, K) in [0, 1],
        descending, and `classes` (B, K) int64, indices of the spec's labels. Rows without a box have score 0.
        """
        ...


@runtime_checkable
class Decodes(Protocol):
    """A task that turns the vectors of `embed` back into pictures."""

    def decode(self, code: Tensor) -> Tensor:
        """(B, D) -> (B, C, H, W) in [0, 1]."""
        ...


@runtime_checkable
class HasPrior(Protocol):
    """A task whose pictures are of codes from N(0, I); one that is `conditional` decodes a code with a label only."""

    latent: int
    """Numbers in a code."""

    def decode(self, code: Tensor) -> Tensor:
        """(B, latent) -> (B, C, H, W) in [0, 1]."""
        ...


@runtime_checkable
class Reconstructs(Protocol):
    """A task that gives its picture of a picture: through a code, or without its noise."""

    def reconstruct(self, image: Tensor) -> Tensor:
        """(B, C, H, W) float in [0, 1] -> the same shape in [0, 1]."""
        ...


@runtime_checkable
class Samples(Protocol):
    """A task that makes pictures up."""

    def sample(self, n: int, label: int | None = None) -> Tensor:
        """`n` pictures (n, C, H, W) in [0, 1], of a class where the task knows classes; drawn from torch's own random numbers."""
        ...


@runtime_checkable
class Watched(Protocol):
    """A task that is looked at while it trains: one number does not tell whether all is well."""

    def snapshot(self) -> Tensor:
        """(N, C, H, W) in [0, 1]: what it makes of the same N codes each time. Called in evaluation mode, without gradients."""
        ...

    def alarms(self, history: Sequence[Mapping[str, Any]]) -> list[str]:
        """What is wrong after the last of these epochs, and what to try next, a sentence each.

        Args:
            history: a row for each epoch so far, as in `history.jsonl`.
        """
        ...
