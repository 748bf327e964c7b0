"""What is drawn of the data before training: counts of each class and part, before and after balancing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from zoo.datasets.image_folder import ImageFolder
from zoo.datasets.loaders import Loaders
from zoo.overview import overview
from zoo.recipe import Recipe
from zoo.tasks.task import Drawing

RECIPE = """
question: Which?
data: {name: image_folder, size: 8, workers: 0, duplicates: never, balance: sampler}
backbone: resnet18
task: classification
train: {batch_size: 4}
"""
COUNTS = {"train": {"few": 2, "many": 6}, "val": {"few": 1, "many": 3}}


def widths(drawing: Drawing) -> list[list[float]]:
    """The bars, those of a part together, from the top."""
    return [[bar.get_width() for bar in bars] for bars in drawing.figure.axes[0].containers]


def test_classes_are_counted_in_each_part_and_before_balancing(tmp_path: Path) -> None:
    for part, counts in COUNTS.items():
        for place, (label, count) in enumerate(counts.items()):
            (tmp_path / part / label).mkdir(parents=True)
            for number in range(count):
                picture = np.random.default_rng(10 * place + number).integers(0, 255, (12, 12, 3), np.uint8)
                Image.fromarray(picture).save(tmp_path / part / label / f"{number}.png")
    data = Loaders(ImageFolder(tmp_path), Recipe.parse(RECIPE, "test.yaml", "test", [f"data.root={tmp_path}"]))
    drawn = overview(data)
    assert list(drawn) == ["classes", "balance", "samples", "samples_val"]
    assert widths(drawn["classes"]) == [[6, 2], [3, 1]], "train and val, the most frequent first"
    few, many = data.epoch_counts()
    assert widths(drawn["balance"]) == [[6, 2], [many, few]] and few + many == 8
    assert "8 in all" in drawn["samples"].caption and "4 in all" in drawn["samples_val"].caption
