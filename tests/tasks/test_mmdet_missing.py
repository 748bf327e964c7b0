"""The task `mmdet` where MMDetection is not installed: it is listed, its options are checked, and it says what to install."""

from __future__ import annotations

import re
import sys

import pytest

from zoo import registry
from zoo.errors import ZooError
from zoo.spec import DataSpec


@pytest.fixture(autouse=True)
def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were not installed, also where it is."""
    for module in ("mmdet", "mmdet.models"):
        monkeypatch.setitem(sys.modules, module, None)


def test_it_is_listed_and_its_options_are_known() -> None:
    assert "mmdet" in registry.names("tasks")
    assert list(registry.options("tasks", "mmdet")) == ["config", "begin", "checkpoint", "threshold"]


def test_building_it_says_what_to_install_in_one_sentence() -> None:
    task = registry.load("tasks", "mmdet")
    with pytest.raises(ZooError) as caught:
        task(DataSpec(3, (64, 64), ("helmet", "head"), truth="boxes"))
    words = str(caught.value)
    assert re.search(r"pip install 'zoo\[mmdet\]'.*libgl1.*libglib2.0-0", words) and "\n" not in words
    assert ". " not in words
