"""Which process trains which cell: a study of Optuna (Akiba et al., "Optuna", KDD 2019), in a journal file or a database.

A trial is a cell: it waits, runs, and is told the monitored metric or that it failed. Tree-structured Parzen estimators (Bergstra et
al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011) draw the settings of `search: tpe`. What was found lies in the cells'
folders, so a lost journal loses nothing.

Only this module imports Optuna.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from zoo.errors import RecipeError, ZooError
from zoo.studies.definition import Axis

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Ticket:
    """A cell that was handed to a process; `setting` may hold numbers that are not tidy yet."""

    number: int
    setting: Mapping[str, Any]
    seed: int


class Queue:
    """The trials of a study.

    Args:
        where: a journal file, or the URL of a database.
        name: of the study.
        axes: what settings are made of. A study of other axes has trials of its own, since Optuna's ranges do not change.
        mode: whether the metric's best is its "max" or its "min".
        seed: of drawn settings.

    Raises:
        RecipeError: the database cannot be opened.
        ZooError: the journal is damaged.
    """

    def __init__(self, where: Path | str, name: str, axes: Sequence[Axis], mode: str, seed: int) -> None:
        self.distributions = {axis.name: _distribution(axis) for axis in axes}
        text = json.dumps({key: optuna.distributions.distribution_to_json(value) for key, value in self.distributions.items()})
        self.seed = seed
        self.study = optuna.create_study(
            study_name=f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}",
            storage=_storage(where),
            direction="maximize" if mode == "max" else "minimize",
            load_if_exists=True,
        )

    def tickets(self, *states: str) -> list[Ticket]:
        """All cells that wait or run, or are done or failed: `waiting`, `running`, `complete`, `fail`."""
        wished = tuple(TrialState[state.upper()] for state in states)
        return [self._ticket(trial) for trial in self.study.get_trials(deepcopy=False, states=wished)]

    def put(self, setting: Mapping[str, Any], seed: int) -> None:
        """Let a cell wait for a process."""
        self.study.enqueue_trial(dict(setting), user_attrs={"seed": seed})

    def next(self) -> Ticket | None:
        """The first that waits."""
        while self.tickets("waiting"):
            trial = self._ask()
            if "seed" in trial.user_attrs:
                return Ticket(trial.number, trial.params, trial.user_attrs["seed"])
            self.tell(trial.number, None)  # another machine was quicker: Optuna drew a new one instead
        return None

    def draw(self) -> Ticket:
        """A new setting, by what was found so far."""
        trial = self._ask()
        trial.set_user_attr("seed", self.seed)
        return Ticket(trial.number, trial.params, self.seed)

    def tell(self, number: int, value: float | None) -> None:
        """What came of a cell; None: it failed."""
        if value is None:
            self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
        else:
            self.study.tell(number, value, skip_if_finished=True)

    def _ticket(self, trial: FrozenTrial) -> Ticket:
        setting = trial.params or trial.system_attrs.get("fixed_params", {})
        return Ticket(trial.number, setting, trial.user_attrs.get("seed", self.seed))  # one that was cut while it was drawn has none

    def _ask(self) -> optuna.Trial:
        # Seeded anew by the number of trials: a process that goes on must not draw again what the one before it drew.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.sampler = optuna.samplers.TPESampler(seed=self.seed + len(self.study.get_trials(deepcopy=False)), constant_liar=True)
        return self.study.ask(self.distributions)


def _distribution(axis: Axis) -> optuna.distributions.BaseDistribution:
    if axis.values:
        return optuna.distributions.CategoricalDistribution(list(axis.values))
    if axis.whole:
        return optuna.distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return optuna.distributions.FloatDistribution(float(axis.low), float(axis.high), log=axis.log)


def _storage(where: Path | str) -> BaseStorage:
    if isinstance(where, Path):
        return _journal(where)
    try:
        return optuna.storages.get_storage(where)
    except ImportError as error:
        scheme = where.partition(":")[0]
        raise RecipeError(f"--storage {scheme}://...: the driver of this database is not installed ({error}): install it") from error
    except Exception as error:  # SQLAlchemy's and the drivers' own
        reason = str(error).splitlines()[0]
        raise RecipeError(
            f"--storage {where.partition(':')[0]}://...: cannot be opened ({reason}); expected an URL such as sqlite:///study.db or "
            "postgresql://user@host/name"
        ) from error


def _journal(file: Path) -> BaseStorage:
    _mend(file)
    try:
        return JournalStorage(JournalFileBackend(str(file), _lock(file)))
    except (ValueError, KeyError, TypeError) as error:  # what Optuna meets in a line that it did not write
        raise ZooError(
            f"{file}: damaged ({error}): remove it when nothing works on the study, and give the same command again; what is finished "
            "lies in the cells' folders"
        ) from error


def _mend(journal: Path) -> None:
    """Cut off a last line that was not written whole: Optuna would append to it, and could read nothing after it."""
    if not journal.is_file():
        return
    with _locked(journal), journal.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


@contextlib.contextmanager
def _locked(journal: Path) -> Iterator[None]:
    lock = _lock(journal)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _lock(journal: Path) -> JournalFileOpenLock:
    """Of Optuna's locks the one that Windows has too; one left by a killed process is broken after so many seconds."""
    return JournalFileOpenLock(str(journal), grace_period=10)
