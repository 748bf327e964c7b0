"""A replay of active learning: rounds reveal what a strategy asks for, a cut replay goes on, and nothing is flattered on its page."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.curation import rounds
from zoo.curation.rounds import Cell, Plan, play
from zoo.datasets.loaders import Loaders
from zoo.errors import RecipeError
from zoo.pages.rounds_page import headline, page
from zoo.recipe import Recipe

RECIPE = """
question: Which colour?
data: {name: image_folder, size: 8, fit: squash, crop: 1.0, workers: 0, duplicates: never, augment: []}
backbone: {name: conv, pretrained: false, widths: [4]}
task: classification
train: {device: cpu, epochs: 2, batch_size: 4, lr: 0.05}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    dice = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 3)):
        for channel, label in enumerate(("blue", "red")):
            (tmp_path / "set" / part / label).mkdir(parents=True)
            for number in range(count):
                pixels = dice.integers(0, 120, (8, 8, 3), np.uint8)
                pixels[..., channel] += 100
                Image.fromarray(pixels).save(tmp_path / "set" / part / label / f"{number}.png")
    return tmp_path / "set"


def plan(root: Path, *strategies: str, seeds: int = 1, end: int = 8) -> Plan:
    return Plan(Recipe.parse(RECIPE, "small.yaml", "small", [f"data.root={root}"]), 4, end, 4, seeds, strategies)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The rows of every training that is begun."""
    begun: list[list[int]] = []
    real = rounds.trained

    def noted(plan: Plan, shown: rounds.Shown, seed: int, chosen: list[int], device: torch.device) -> object:
        begun.append(list(chosen))
        return real(plan, shown, seed, chosen, device)

    monkeypatch.setattr(rounds, "trained", noted)
    return begun


def test_each_round_adds_what_was_asked_for(root: Path, tmp_path: Path, trainings: list[list[int]]) -> None:
    cells = list(play(plan(root, *rounds.STRATEGIES), tmp_path / "out"))
    assert [(cell.strategy, cell.labels) for cell in cells] == [(name, labels) for name in rounds.STRATEGIES for labels in (4, 8)]
    assert all(0 <= cell.value <= 1 for cell in cells)
    assert len(trainings) == 2 * len(rounds.STRATEGIES) + rounds.MEMBERS - 1  # nothing is picked after the last round
    first, later = [rows for rows in trainings if len(rows) == 4], [rows for rows in trainings if len(rows) == 8]
    assert all(rows == first[0] for rows in first)
    assert all(rows[:4] == first[0] and len(set(rows)) == 8 and set(rows) <= set(range(24)) for rows in later)
    assert len({tuple(rows) for rows in later}) > 2  # strategies differ


def test_margin_reveals_the_smallest_margins(
    root: Path, tmp_path: Path, trainings: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model says by a picture's row how sure it is: the higher the row, the less."""

    def answers(task: object, images: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        lead = torch.linspace(0.9, 0.51, len(images))
        return torch.stack([lead, 1 - lead], 1), torch.zeros(len(images), 1)

    monkeypatch.setattr(rounds, "_answers", answers)
    list(play(plan(root, "margin"), tmp_path / "out"))
    unknown = sorted(set(range(24)) - set(trainings[0]))
    assert trainings[1][4:] == unknown[::-1][:4]


def test_a_cut_replay_goes_on_and_says_the_same(root: Path, tmp_path: Path, trainings: list[list[int]]) -> None:
    whole = list(play(plan(root, "random", "entropy", end=12), tmp_path / "whole"))
    del trainings[:]
    cells = list(islice(play(plan(root, "random", "entropy", end=12), tmp_path / "cut"), 5))
    assert len(trainings) == 5
    again = list(play(plan(root, "random", "entropy", end=12), tmp_path / "cut"))
    assert len(trainings) == 6  # one was missing
    assert again[:5] == cells
    assert [(cell.labels, cell.value) for cell in again] == [(cell.labels, cell.value) for cell in whole]


def test_what_is_finished_reads_no_pictures(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = list(play(plan(root, "random"), tmp_path / "out"))
    monkeypatch.setattr(Loaders, "evaluation", None)
    assert list(play(plan(root, "random"), tmp_path / "out")) == first


def test_another_replay_in_the_folder_is_refused(root: Path, tmp_path: Path) -> None:
    list(play(plan(root, "random"), tmp_path / "out"))
    with pytest.raises(RecipeError, match="another replay was begun there"):
        list(play(plan(root, "random", end=12), tmp_path / "out"))


def test_an_unknown_strategy_is_named_with_the_nearest(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"strategy 'margn': no such one \(did you mean `margin`\?\); expected some of random, "):
        list(play(plan(root, "random", "margn"), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_impossible_budgets_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"--begin 4 --end 25 .* expected 1 <= begin < end <= 24"):
        list(play(plan(root, "random", end=25), tmp_path / "out"))


# ---------------------------------------------------------------- what is said of it


def told(**lines: list[list[float]]) -> list[Cell]:
    """Of two budgets, 4 and 8: strategy -> for each seed its accuracies."""
    return [
        Cell(name, seed, labels, value, 0.1)
        for name, many in lines.items()
        for seed, line in enumerate(many)
        for labels, value in zip((4, 8), line, strict=False)
    ]


def test_shares_are_paired_by_seed(root: Path) -> None:
    found = told(random=[[0.5, 0.7], [0.4, 0.6]], margin=[[0.5, 0.9], [0.4, 0.8]])
    both = plan(root, "random", "margin", seeds=2)
    assert rounds.costs(both, found) == [("random", 2, "1.000", "1.000", "1.000"), ("margin", 2, "0.750", "0.750", "0.750")]
    low, high = rounds.interval([1.0, 3.0])[1:]
    assert (low, high) == pytest.approx((2 - 12.71, 2 + 12.71))  # Student's value for one degree of freedom, a standard error of 1
    assert headline(rounds.needs(both, found)) == "margin needs 75% of the labels that random choice needs, 95% interval 75% to 75%"


def test_a_seed_that_never_gets_there_is_said(root: Path) -> None:
    """Seed 2 of margin ends at 0.5 of 0.6: the mean of 0.75 and 1 is too low."""
    found = told(random=[[0.5, 0.7], [0.4, 0.6]], margin=[[0.5, 0.9], [0.4, 0.5]])
    both = plan(root, "random", "margin", seeds=2)
    assert rounds.costs(both, found)[1] == ("margin", 2, "at least 0.875", "unknown", "unknown")
    assert headline(rounds.needs(both, found)) == "No strategy reaches in every seed what random choice reaches"
    text = page(both, found)
    assert "at least 88%" in text and "1 of 2" in text and "over 8" in text and "lower bounds" in text


def test_unfinished_seeds_do_not_count(root: Path) -> None:
    found = told(random=[[0.5, 0.7], [0.4, 0.6]], margin=[[0.5, 0.9], [0.4]])
    both = plan(root, "random", "margin", seeds=2)
    assert rounds.costs(both, found)[1] == ("margin", 1, "0.750", "unknown", "unknown")
    assert headline(rounds.needs(both, found)) == "margin needs 75% of random’s labels, with one seed: another may say otherwise"


def test_a_wide_interval_claims_nothing(root: Path) -> None:
    found = told(random=[[0.5, 0.7], [0.5, 0.7]], margin=[[0.5, 0.9], [0.5, 0.75]])
    assert headline(rounds.needs(plan(root, "random", "margin", seeds=2), found)).startswith(
        "Not shown that labels are spared: margin needs 82%"
    )


def test_the_page_needs_no_network(root: Path) -> None:
    text = page(plan(root, "random"), told(random=[[0.5, 0.7]]))
    assert "http://" not in text and "https://" not in text and "<script" not in text
    assert text.count("data:image/png;base64,") == 1 and "One seed: no interval is known." in text
    assert "Only random choice was played" in text
    assert "No seed is finished yet" in page(plan(root, "random"), [])
