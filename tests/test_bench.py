"""Cards and the README's table are made from recipes and measured numbers, and are not older than them."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo import bench
from zoo.sections import Bound

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", bench.recipe_names())
def test_card_is_not_older_than_its_recipe_and_its_numbers(name: str) -> None:
    card = ROOT / "docs" / "recipes" / f"{name}.md"
    assert card.is_file(), "run `python -m zoo.bench cards`"
    assert card.read_text(encoding="utf-8") == bench.card(name), "run `python -m zoo.bench cards`"


def test_readme_table_is_fresh() -> None:
    assert bench.table() in (ROOT / "README.md").read_text(encoding="utf-8"), "run `python -m zoo.bench cards`"


def test_a_number_is_appended_with_where_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results.csv")
    bench.append("image_folder", "synthetic", "val/accuracy", 0.5, 12.0, "first")
    bench.append("image_folder", "synthetic", "val/accuracy", 0.75, 13.0, "second")
    bench.append("image_folder", "real", "val/accuracy", 0.1, 13.0, "other")
    assert bench.latest("image_folder", "synthetic")["val/accuracy"]["value"] == "0.7500"
    row = bench.latest("image_folder", "real")["val/accuracy"]
    assert row["commit"] and row["machine"] and row["date"].startswith("20")
    assert "0.7500" in bench.card("image_folder")


@pytest.mark.parametrize(
    ("bound", "words"),
    [(Bound(min=0.9), "at least 0.9"), (Bound(max=2.0), "at most 2"), (Bound(min=0.5, max=0.7), "0.5 to 0.7"), (Bound(), "any")],
)
def test_bounds_in_words(bound: Bound, words: str) -> None:
    assert bench.span(bound) == words
