"""What a study's page is made of: its plan, its cells and what they say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.studies import outcomes
from zoo.studies.findings import Finding, Score, finding, side_by_side
from zoo.studies.outcomes import Outcome
from zoo.studies.paired import Difference, difference
from zoo.studies.plan import Plan, words


@dataclass(frozen=True)
class Drawn:
    """All of it.

    Attributes:
        names: key of a setting -> what it is called, in the order of the plan.
        scores: the monitored metric of each setting that has a finished cell.
        splits: whether all cells divide the pictures alike; see `outcomes.splits`.
    """

    plan: Plan
    cells: Sequence[Outcome]
    names: Mapping[outcomes.Key, str]
    scores: Sequence[Score]
    found: Finding
    splits: outcomes.Splits

    @property
    def metric(self) -> str:
        """What decides."""
        return self.plan.monitor[0]

    @property
    def tested(self) -> str:
        """The same on test."""
        return f"test/{self.metric.partition('/')[2]}"

    def of(self, name: str) -> list[Outcome]:
        """The finished cells of a setting."""
        return [cell for cell in self.cells if self.names[cell.key] == name and self.metric in cell.metrics]

    def differences(self, metric: str) -> tuple[str, list[Difference]]:
        """The first setting, and how the others differ from it; ("", []) where it is not finished or the first is one drawn by chance."""
        first = next(iter(self.names.values()), "")
        base = self._by_seed(first, metric)
        if self.plan.study.search != "grid" or not base:
            return "", []
        found = [difference(score.name, base, self._by_seed(score.name, metric)) for score in self.scores if score.name != first]
        return first, [one for one in found if one is not None]

    def _by_seed(self, name: str, metric: str) -> dict[int, float]:
        return {cell.seed: cell.metrics[metric] for cell in self.of(name) if metric in cell.metrics}


def gathered(plan: Plan) -> Drawn:
    """Read the cells' folders."""
    cells = outcomes.outcomes(plan)
    names = {cell.key: " + ".join(words(cell.setting)) for cell in cells}
    scores, splits = _scores(cells, names, plan.monitor[0]), outcomes.splits(plan, cells)
    said = side_by_side(scores, plan.monitor[0]) if splits == "apart" else finding(scores, *plan.monitor)
    return Drawn(plan, cells, names, scores, said, splits)


def _scores(cells: Sequence[Outcome], names: Mapping[outcomes.Key, str], metric: str) -> list[Score]:
    values: dict[str, list[float]] = {}
    for cell in cells:
        if metric in cell.metrics:
            values.setdefault(names[cell.key], []).append(float(cell.metrics[metric]))
    return [Score(name, tuple(found)) for name, found in values.items()]
