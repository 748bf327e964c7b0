"""The doctor on real pictures in which 20 labels are changed and 10 copies are planted across parts, from $ZOO_REAL_DATA."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "doctor.py"


def test_most_changed_labels_and_all_copies_are_found(real: Path, tmp_path: Path) -> None:
    found = runpy.run_path(str(BENCHMARK))["measure"](real / "stamps", tmp_path / "set", tmp_path / "out", seed=1)
    assert found["labels in the first 40"] >= 14
    assert found["copies"] == 10 and found["false pairs across"] + found["false pairs within"] <= 2
