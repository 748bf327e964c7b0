"""The curves of a replay come out for one seed, for none, and for all strategies; the baseline is told from the rest."""

from __future__ import annotations

import math

import numpy as np

from figures.test_figures import HOSTILE, rendered, texts
from zoo.figures.budgets import Point, budget_curves

LINE: list[Point] = [(0.5, 0.4, 0.6), (0.7, 0.65, 0.75)]


def test_bands_only_where_an_interval_is_known() -> None:
    axes = budget_curves([10, 20], {"random": LINE, "margin": [(0.5, math.nan, math.nan), (0.8, math.nan, math.nan)]}).axes[0]
    assert len(axes.collections) == 1
    dashes = {str(line.get_label()): line.get_linestyle() == "--" for line in axes.lines}
    assert dashes["random"] and not dashes["margin"]
    assert np.asarray(axes.lines[-1].get_ydata()).tolist() == [0.7, 0.7]  # the dotted line lies at the baseline's end


def test_no_strategy_is_said_and_every_number_of_them_renders() -> None:
    assert any("no seed is finished yet" in text for text in texts(budget_curves([10, 20], {"random": []})))
    for number in (1, 2, 7):
        rendered(budget_curves([10, 20], dict.fromkeys(HOSTILE[:number], LINE)))
    rendered(budget_curves([10], {"random": LINE[:1]}))
