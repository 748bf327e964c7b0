"""Every test has a ZOO_HOME and seeds of its own and shares one data folder, so that synthetic data is drawn once a session."""

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest


def pytest_configure() -> None:
    """Worker processes share the cores: one thread each, unless told. No test has imported torch yet."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def data_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """$ZOO_DATA, one folder for the whole session and all of its processes."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return tmp_path_factory.mktemp("data")
    folder = tmp_path_factory.getbasetemp().parent / "data"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, data_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$ZOO_HOME, a new folder for every test."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("ZOO_HOME", str(folder))
    monkeypatch.setenv("ZOO_DATA", str(data_home))
    return folder


@pytest.fixture(autouse=True)
def seeded() -> None:
    """What a test draws is the same in every session: no failure by chance, and one that is found can be found again."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):  # a test of what is imported must not import it here
        torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `real` are skipped without real pictures."""
    if os.environ.get("ZOO_REAL_DATA"):
        return
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.skip(reason="$ZOO_REAL_DATA is not set"))
