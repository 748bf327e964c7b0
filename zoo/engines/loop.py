"""The plain engine: a for loop on one device."""

from __future__ import annotations

from zoo.datasets.loaders import Loaders
from zoo.engines.engine import Engine
from zoo.engines.fit import Fit
from zoo.run import Run
from zoo.tasks.task import Task


class Loop(Engine):
    """One process, one device, nothing between the batches and the step."""

    def fit(self, task: Task, data: Loaders, run: Run) -> None:
        """See `Engine.fit`."""
        with Fit(task, data, run) as fit:
            for batch in fit.batches():
                fit.step(batch)
