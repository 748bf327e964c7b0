"""Real pictures with masks (200 things cut out and put on other grounds) and real ImageNet weights, from $ZOO_REAL_DATA."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import zoo
from zoo.train import train

pytestmark = pytest.mark.real


def test_a_few_epochs_find_more_than_a_threshold_does(real: Path) -> None:
    """Fast: at 64 pixels. Otsu's threshold gives 0.415 at best."""
    changes = [f"data.root={real / 'cutouts'}", "data.size=64", "train.epochs=6", "backbone.pretrained=torchvision", "train.batch_size=8"]
    run = train("image_masks", changes)
    assert run.metrics["synthetic"] is False
    assert run.split["sizes"] == {"train": 160, "val": 20, "test": 20}
    assert run.metrics["test/iou"] > 0.5
    picture = real / "cutouts" / "images" / "000.png"
    mask = zoo.load(str(run.folder)).segment([picture])[0]
    with Image.open(picture) as opened:
        assert mask.classes.shape == (opened.height, opened.width)
