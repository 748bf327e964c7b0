"""Trains the cells of a study: each in a process of its own, the command `zoo.train --resume <its folder>`.

So a cell that crashes, or is ended for want of memory, ends alone; a half-trained one goes on exactly; and what a cell does is what the
same command does by hand.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from zoo.errors import RecipeError
from zoo.launch import GRACE, ORDERLY, PIPE, SIGNALLED
from zoo.progress import clock, say
from zoo.run import FREE, Run, differences
from zoo.studies import outcomes
from zoo.studies.locks import Lock, alone, held, hold
from zoo.studies.plan import Cell, Plan, cell_id

if TYPE_CHECKING:  # it brings Optuna
    from zoo.studies.queue import Queue, Ticket

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
FREE_OF_CELLS = tuple(key for key in FREE if key not in ("train.epochs", "train.max_steps"))
"""What may change in a cell's recipe after it was begun: not its length, which would make other results."""
AGAIN = 2.0
"""Seconds between two looks at a queue that had nothing for this process."""


@dataclass
class Training:
    """A cell in its process."""

    ticket: Ticket
    cell: Cell
    claim: Lock
    process: subprocess.Popen[bytes]
    card: str
    begun: float
    said: int  # bytes of its log that earlier trainings wrote


class Work:
    """The cells of a study while they are trained.

    Args:
        plan: what is to be trained.
        queue: who trains what.
        jobs: how many at a time.
        retry: also those that failed before.

    Attributes:
        code: 0, or the exit code of what stopped the study.
    """

    def __init__(self, plan: Plan, queue: Queue, jobs: int = 1, retry: bool = False) -> None:
        self.plan, self.queue, self.jobs, self.retry = plan, queue, jobs, retry
        self.folder = plan.study.folder
        self.running: list[Training] = []
        self.left: set[str] = set()  # cells that somebody stopped: they go on next time
        self.code, self.asked, self.deadline = 0, 0, math.inf
        self.seconds: list[float] = []
        self.look = 0.0
        self.dying = False

    def run(self) -> None:
        """Train until nothing waits, or a signal comes."""
        with alone(self.folder):
            self._fill_queue()
        self._announce()
        before = self._listen()
        ours, theirs = os.pipe()  # ends when this process does, however it ends: then the cells save and stop
        try:
            while self._step(ours):
                time.sleep(0.1)
        finally:
            for training in self.running:  # an error of our own: nobody would wait for them
                training.process.terminate()
            os.close(ours)
            os.close(theirs)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _step(self, end: int) -> bool:
        """Look after the cells once; False when there is nothing more to do."""
        for training in [training for training in self.running if training.process.poll() is not None]:
            self.running.remove(training)
            self._ended(training)
            self.look = 0.0
        if time.monotonic() > self.deadline:
            for training in self.running:
                say(f"{training.cell.id} does not answer: it is killed")
                training.process.kill()
        while not self.asked and len(self.running) < self.jobs and time.monotonic() >= self.look:
            taken = self._take()
            if taken is None:
                self.look = time.monotonic() + AGAIN
            else:
                self._begin(*taken, end)
        return bool(self.running) or (self.dying and not self.asked)

    def result(self) -> int:
        """The exit code: 0 all is finished (here or elsewhere), 1 some failed, that of the signal, or 75 if a cell is to go on."""
        return self.code or (1 if self._states()["failed"] else 75 if self.left else 0)

    # ------------------------------------------------------------ the queue

    def _fill_queue(self) -> None:
        """Put in what is wished and neither waits nor runs, nor is done."""
        queued = {self._id(ticket) for ticket in self.queue.tickets("waiting", "running")}
        told = {self._id(ticket) for ticket in self.queue.tickets("complete")}
        found = {outcome.id: outcome for outcome in outcomes.outcomes(self.plan)}
        for cell_name, (setting, seed) in self._wished(found).items():
            state = found[cell_name].state if cell_name in found else "waiting"
            failed = state == "failed" and not self.retry and not changes(found[cell_name], self.plan.cell(setting, seed))
            done = failed or (state == "finished" and cell_name in told)
            if cell_name not in queued and not done:
                self.queue.put(setting, seed)

    def _wished(self, found: dict[str, outcomes.Outcome]) -> dict[str, tuple[dict[str, Any], int]]:
        """Cells of the plan, and for each setting that was drawn all its seeds."""
        settings = [dict(outcome.setting) for outcome in found.values()]
        if self.plan.study.search == "tpe":
            drawn = self.queue.tickets("waiting", "running", "complete", "fail")
            settings += [self.plan.ordered(ticket.setting) for ticket in drawn if ticket.setting]
        wished = {cell_id(setting, seed): (setting, seed) for setting in settings for seed in self.plan.study.seeds}
        return {name: (setting, seed) for name, (setting, seed) in wished.items() if self.plan.has(setting, seed)}

    def _id(self, ticket: Ticket) -> str:
        return cell_id(self.plan.ordered(ticket.setting), ticket.seed) if ticket.setting else ""

    def _take(self) -> tuple[Ticket, Cell, Lock] | None:
        """A cell that nobody trains: first those whose process is gone."""
        with alone(self.folder):
            self.dying = False
            for ticket in self._candidates():
                setting = self.plan.ordered(ticket.setting) if ticket.setting else {}
                name = cell_id(setting, ticket.seed)
                if not self.plan.has(setting, ticket.seed):
                    self.queue.tell(ticket.number, None)  # of an earlier form of the study
                    continue
                if name in self.left or any(training.cell.id == name for training in self.running):
                    continue
                claim = hold(self.folder / ".claims" / name)
                if claim is None:  # on another machine
                    continue
                if held(self.folder / name / ".lock"):  # its study was killed, and it is saving
                    self.dying = True
                    claim.release()
                    continue
                try:
                    return ticket, self.plan.cell(setting, ticket.seed), claim
                except RecipeError as error:  # between the ends of a range, which were checked
                    say(f"{name} is left out: {error}")
                    self.queue.tell(ticket.number, None)
                    claim.release()
        return None

    def _candidates(self) -> Iterator[Ticket]:
        yield from self.queue.tickets("running")
        while ticket := self.queue.next():
            yield ticket
        while self._may_draw():
            ticket = self.queue.draw()
            for seed in self.plan.study.seeds[1:]:
                self.queue.put(self.plan.ordered(ticket.setting), seed)
            yield ticket

    def _may_draw(self) -> bool:
        study = self.plan.study
        if study.search != "tpe":
            return False
        drawn = self.queue.tickets("waiting", "running", "complete", "fail")
        settings = {cell_id(self.plan.ordered(ticket.setting), 0) for ticket in drawn if ticket.setting}
        # The sampler may come back to a setting; it is not asked for ever.
        return len(settings) < study.settings and len(drawn) < 10 * study.settings * len(study.seeds)

    # ------------------------------------------------------------ a cell

    def _begin(self, ticket: Ticket, cell: Cell, claim: Lock, end: int) -> None:
        folder = self.folder / cell.id
        known = outcomes.read(folder)
        if known is not None and known.state == "finished":
            self._tell(ticket, known.metrics.get(self.plan.monitor[0]))
            claim.release()
            return
        if known is not None and changes(known, cell):  # `refuse_others` let it pass: there is nothing to lose
            shutil.rmtree(folder)
        outcomes.prepare(cell, folder)
        log, card = self.log(cell.id), self._card(cell)
        log.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "zoo.train", "--resume", str(folder)]
        with log.open("ab") as stream:
            said = stream.tell()
            # In a session of its own: a Ctrl-C of the terminal reaches this process alone, which passes it on.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=self._environment(card) | {PIPE: str(end)},
                start_new_session=True,
                pass_fds=[end],
            )
        self.running.append(Training(ticket, cell, claim, process, card, time.monotonic(), said))
        if self.asked:  # meanwhile, when it was not in the list yet
            process.terminate()

    def _environment(self, card: str) -> dict[str, str]:
        """The cells share the cores, unless OMP_NUM_THREADS says how many each has."""
        env = dict(os.environ)
        if self.jobs > 1:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            env.setdefault("OMP_NUM_THREADS", str(max(1, cores // self.jobs)))
        return env | ({"CUDA_VISIBLE_DEVICES": card} if card else {})

    def _card(self, cell: Cell) -> str:
        """Of several GPUs that CUDA_VISIBLE_DEVICES lists the one with the fewest cells; "" leaves the choice to the cell."""
        cards = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        if self.jobs == 1 or len(cards) == 1 or cell.recipe.train.devices > 1:
            return ""
        used = [training.card for training in self.running]
        return min(cards, key=used.count)

    def log(self, name: str) -> Path:
        """Where a cell's output goes."""
        return self.folder / "logs" / f"{name}.log"

    def _ended(self, training: Training) -> None:
        """Keep what came of a cell, and say it in a line."""
        name, code, metric = training.cell.id, training.process.returncode, self.plan.monitor[0]
        folder, log = self.folder / name, self.log(name)
        known = outcomes.read(folder)
        seconds = time.monotonic() - training.begun
        if code == 0 and known is not None and metric in known.metrics:
            self.seconds.append(seconds)
            self._tell(training.ticket, known.metrics[metric])
            value = f"{metric} {known.metrics[metric]:.4g}"
            say(f"{self._count()} {name}: {value} in {clock(seconds)}{self._left()}")
        elif self.asked or SIGNALLED.get(code, code) in ORDERLY:
            self.left.add(name)
            if not self.asked:
                say(f"{name}: stopped from outside; it goes on when the study does")
        else:
            reason = _reason(code, log, training.said) if code else f"{metric} was not measured"
            outcomes.note(folder, failed=reason)
            self._tell(training.ticket, None)
            say(f"{self._count()} {name}: FAILED: {reason} ({log}){self._left()}")
        training.claim.release()
        with alone(self.folder):
            outcomes.write_table(outcomes.outcomes(self.plan), self.folder / "results.csv")

    def _tell(self, ticket: Ticket, value: float | None) -> None:
        with alone(self.folder):
            self.queue.tell(ticket.number, value)

    # ------------------------------------------------------------ words and signals

    def _states(self) -> dict[str, int]:
        running = {training.cell.id for training in self.running}
        found = ["begun" if outcome.id in running else outcome.state for outcome in outcomes.outcomes(self.plan)]
        return {state: found.count(state) for state in ("finished", "failed", "begun", "waiting")}

    @property
    def total(self) -> int:
        """How many cells there will be."""
        return self.plan.study.settings * len(self.plan.study.seeds) or len(self.plan.cells)

    def _announce(self) -> None:
        states, many = self._states(), f"{self.jobs} at a time" if self.jobs > 1 else "one after another"
        done = states["finished"] + (0 if self.retry else states["failed"])
        failed = f" ({states['failed']} failed: --retry tries them again)" if states["failed"] and not self.retry else ""
        say(f"study {self.plan.study.name}: {self.total} cells, {done} done{failed}, {many}; output of each in {self.folder / 'logs'}")

    def _count(self) -> str:
        states = self._states()
        return f"[{states['finished'] + states['failed']}/{self.total}]"

    def _left(self) -> str:
        states = self._states()
        waiting = self.total - states["finished"] - states["failed"]
        if not waiting or not self.seconds:
            return ""
        return f", about {clock(math.ceil(waiting / self.jobs) * sum(self.seconds) / len(self.seconds))} left"

    def _listen(self) -> dict[int, Any]:
        """Pass signals on to the cells; a closed terminal counts as SIGTERM. Returns the handlers there were."""
        numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP") if hasattr(signal, name)]
        return {number: signal.signal(number, self._on_signal) for number in numbers}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        told = signal.SIGTERM if signal.Signals(number).name == "SIGHUP" else signal.Signals(number)
        self.asked += 1
        self.code = CODES.get(told, 75)
        for training in self.running:
            training.process.send_signal(told)
        if self.asked > 1:  # whoever has not ended soon after the second time hangs
            self.deadline = min(self.deadline, time.monotonic() + GRACE)


def refuse_others(plan: Plan) -> None:
    """Raise if a cell was begun with another recipe than it would have now.

    Raises:
        RecipeError: names each and what differs.
    """
    lines = []
    for outcome in outcomes.outcomes(plan):
        trained = outcome.state == "finished" or (outcome.state == "begun" and (outcome.folder / "checkpoints" / "manifest.json").is_file())
        other = changes(outcome, plan.cell(outcome.setting, outcome.seed)) if trained else []
        if other:
            lines.append(f"{outcome.id}: {', '.join(other[:5])}{' ...' if len(other) > 5 else ''}")
    if lines:
        head = "these cells were trained by another recipe than the study has now, and would not be comparable with the others:"
        more = [f"... and {len(lines) - 20} more"] if len(lines) > 20 else []
        remedy = f"Take the change back, give the study's file another name, or remove those folders from {plan.study.folder} to train anew"
        raise RecipeError("\n".join([head, *lines[:20], *more, remedy]))


def changes(outcome: outcomes.Outcome, cell: Cell) -> list[str]:
    """What differs between the recipe that a cell was begun with and the one it would have now."""
    if not (outcome.folder / "recipe.yaml").is_file():
        return []
    return differences(Run.read(outcome.folder).recipe, cell.recipe, FREE_OF_CELLS)


def _reason(code: int, log: Path, said: int) -> str:
    """Why a cell failed, in a line: what its command said last, or the signal that ended it."""
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        return f"ended by {name}" + (" (the machine may have run out of memory)" if name == "SIGKILL" else "")
    with log.open("rb") as file:
        file.seek(max(said, log.stat().st_size - 20_000))
        text = file.read().decode("utf-8", "replace")
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    line = re.sub(r"\s+", " ", text.rpartition("zoo train:")[2] if "zoo train:" in text else last).strip()
    return f"{line[:300]}{'...' if len(line) > 300 else ''}" or f"exit code {code}"
