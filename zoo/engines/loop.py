"""The plain engine: a for loop on one device."""

from __future__ import annotations

from zoo.datasets.loaders import Loaders
from zoo.engines.engine import Engine
from zoo.engines.fit import Fit
from zoo.errors import RecipeError
from zoo.ranks import ranks
from zoo.run import Run
from zoo.tasks.task import Task


class Loop(Engine):
    """One process, one device, nothing between the batches and the step."""

    def fit(self, task: Task, data: Loaders, run: Run) -> None:
        """See `Engine.fit`."""
        if ranks().world > 1:
            raise RecipeError("train.engine=loop: knows one device; set train.engine to lightning or mmengine for several")
        with Fit(task, data, run) as fit:
            for batch in fit.batches():
                fit.step(batch)
