"""A training small enough for a test: random pictures in memory, a network of one convolution, a real run folder."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from zoo.backbones.backbone import Backbone
from zoo.datasets.loaders import Batch
from zoo.engines.loop import Loop
from zoo.ranks import Ranks, ranks
from zoo.recipe import Recipe
from zoo.run import Run
from zoo.spec import DataSpec
from zoo.tasks.classification import Classification
from zoo.tasks.task import Task

LABELS = ("red", "green", "blue")

RECIPE = """
question: Which colour?
seed: 3
data:
  name: image_folder
  size: 8
  synthetic: always
backbone:
  name: resnet18
  pretrained: false
task: classification
train:
  device: cpu
  epochs: 3
  batch_size: 4
  lr: 0.05
  optimizer: sgd
  schedule: one_cycle
"""


def recipe(*changes: str) -> Recipe:
    return Recipe.parse(RECIPE, "small.yaml", "small", changes)


class Convolution(Backbone):
    """One convolution, with or without batch statistics, and dropout if wished."""

    def __init__(self, width: int = 6, norm: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = width
        self.net = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width) if norm else nn.Identity(), nn.ReLU(), nn.Dropout(dropout)
        )

    def vector(self, image: Tensor) -> Tensor:
        vector: Tensor = self.net(image).mean((2, 3))
        return vector


def spec(weights: Sequence[float] = ()) -> DataSpec:
    return DataSpec(3, (8, 8), LABELS, (1,) * len(LABELS), tuple(weights))


def task(norm: bool = True, inner_dropout: float = 0.0, seed: int = 0, **options: Any) -> Classification:
    torch.manual_seed(seed)
    return Classification(spec(), Convolution(norm=norm, dropout=inner_dropout), **options)


class Memory:
    """What `Fit` asks of `Loaders`, over pictures in memory: the class is the brightest channel, more or less."""

    def __init__(self, samples: int = 20, batch_size: int = 4, seed: int = 0, poison: tuple[int, int] | None = None) -> None:
        generator = torch.Generator().manual_seed(11)
        self.label = torch.randint(len(LABELS), (samples,), generator=generator)
        self.image = torch.randint(0, 160, (samples, 3, 8, 8), generator=generator, dtype=torch.uint8)
        self.image[range(samples), self.label] += 60
        self.batch_size, self.seed, self.poison = batch_size, seed, poison
        self.batches = samples // batch_size
        self.workers = 0
        self.source = SimpleNamespace(root=Path("memory"))
        self.spec = spec()
        self.drawn: list[tuple[int, int]] = []

    def batch(self, rows: Tensor) -> Batch:
        return {"image": self.image[rows], "label": self.label[rows], "index": rows, "path": [f"{row}.png" for row in rows.tolist()]}

    def stream(self, epoch: int = 0, batch: int = 0) -> Iterator[Batch]:
        while True:
            order = torch.randperm(len(self.label), generator=torch.Generator().manual_seed(self.seed * 1000 + epoch))
            for number in range(batch, self.batches):
                self.drawn.append((epoch, number))
                drawn = self.batch(ranks().share(order[number * self.batch_size :][: self.batch_size]))
                if (epoch, number) == self.poison:
                    drawn["image"] = torch.full((self.batch_size, 3, 8, 8), float("nan"))
                yield drawn
            epoch, batch = epoch + 1, 0

    def evaluation(self, part: str, shared: bool = False) -> list[Batch]:
        assert part == "val"
        me = ranks() if shared else Ranks()
        return [self.batch(rows) for rows in torch.arange(me.rank, len(self.label), me.world).split(8)]

    def parts(self) -> dict[str, list[Any]]:
        return {"val": [SimpleNamespace(id=f"{row}.png") for row in range(len(self.label))]}

    def fingerprint(self) -> str:
        return f"{self.label.tolist()}"


def fit(run: Run, net: Task | None = None, data: Any = None) -> Task:
    net = task() if net is None else net
    Loop().fit(net, Memory() if data is None else data, run)
    return net


def stopped(net: Classification, step: int) -> Classification:
    """`net`, in whose computation of a step's losses a signal comes."""
    compute, calls = net.losses, iter(range(1, 1000))

    def losses(batch: Any, player: str) -> dict[str, Tensor]:
        if next(calls) == step:
            signal.raise_signal(signal.SIGTERM)
        return compute(batch, player)

    net.losses = losses
    return net


def same(one: Any, other: Any) -> bool:
    """Equal to the bit, through nested dicts."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(torch.equal(one, other)) if isinstance(one, Tensor) else bool(one == other)
