"""A DCGAN trained on digits for two epochs: a generator whose rate is a hundred times too high raises the alarm, steady games do not."""

from __future__ import annotations

import pytest

from zoo import build
from zoo.recipe import Recipe
from zoo.run import Run

RECIPE = """
question: Does it collapse?
data:
  name: mnist
  size: 16
  fit: squash
  repeat: 3
  workers: 0
  synthetic: always
backbone:
  name: conv
  widths: [8, 16]
  pretrained: false
task:
  name: dcgan
  latent: 16
  generator_widths: [32, 16]
  discriminator_widths: [16, 32]
train:
  device: cpu
  engine: loop
  epochs: 2
  batch_size: 32
  optimizer:
    name: adam
    betas: [0.5, 0.999]
  lr: 1e-3
monitor:
  metric: val/kid
  mode: min
"""


def alarms(*changes: str) -> list[str | None]:
    """What each epoch said."""
    recipe = Recipe.parse(RECIPE, "digits.yaml", "digits", changes)
    with Run.open(recipe) as run:
        data = build.loaders(build.source(recipe), recipe)
        build.engine(recipe).fit(build.task(recipe, data.spec), data, run)
    return [row.get("alarm") for row in run.history()]


@pytest.mark.parametrize("changes", [[], ["task.generator_norm=none"]])
def test_steady_games_raise_none(changes: list[str]) -> None:
    assert alarms(*changes) == [None, None]


def test_a_rate_a_hundred_times_too_high_raises_one() -> None:
    """Batch normalisation would save this generator: its outputs do not depend on how large its weights have become."""
    said = alarms("task.generator_norm=none", "train.players.generator.lr=0.1")
    assert any(sentence and "train.players.generator.lr" in sentence for sentence in said)
