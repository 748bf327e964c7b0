"""Fit: what every engine's training has in common. An engine brings batches to `step` and leaves the rest here.

Epochs, logging, validation, the choice of the best, early stopping, checkpoints and signals are decided here, once, so that a
run does not depend on the engine that drove it.
"""

from __future__ import annotations

import math
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from zoo.datasets.loaders import Batch, Loaders, to_device
from zoo.device import compute_device
from zoo.engines.engine import training_step
from zoo.engines.schedules import better
from zoo.engines.update import Backward, Updater
from zoo.errors import DivergedError, RecipeError, ZooError
from zoo.evaluate import evaluate
from zoo.progress import Progress, clock, say
from zoo.run import Run
from zoo.tasks.task import Task

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class InterruptedTraining(ZooError):
    """Training was asked to stop and has saved its state; the exit code is that of the signal."""

    def __init__(self, number: int, run: Run) -> None:
        super().__init__(f"interrupted and saved: go on with `python -m zoo.train --resume {run.folder}`")
        self.exit_code = CODES[signal.Signals(number)]


class Fit:
    """One training in progress.

    Args:
        task: is moved to the recipe's device.
        data: its batches are drawn through `batches`.
        run: its recipe says how; what comes of it is written there.
    """

    def __init__(self, task: Task, data: Loaders, run: Run) -> None:
        self.recipe, self.train = run.recipe, run.recipe.train
        self.device = compute_device(self.train.device)
        self.layout = memory_format(self.train.channels_last, self.device)
        self.task = task.to(self.device)
        if self.layout is torch.channels_last:
            self.task.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types it for modules without it
        self.data, self.run = data, run
        self.updater = Updater(self.task, self.train, self.recipe.monitor, data.batches, self.device)
        self.module: nn.Module = compiled(self.task) if self.train.compile else self.task
        self.players = self.task.players()
        self.total = min(self.train.epochs * data.batches, self.train.max_steps or math.inf)
        self.step_number = 0  # batches consumed by updates
        self.best: float | None = None
        self.best_epoch = 0
        self.level: float | None = None  # what early stopping compares with: the last improvement worth waiting for
        self.waited = 0
        self.restored: dict[str, Any] | None = None
        self.sums: dict[str, Tensor] = {}
        self.bad = torch.zeros((), dtype=torch.bool, device=self.device)
        self.seconds = 0.0
        self.done = False
        self.signal: int | None = None

    # ------------------------------------------------------------ the course of a training

    def __enter__(self) -> Fit:
        self.handlers = {number: signal.signal(number, self._on_signal) for number in CODES} if _in_main_thread() else {}
        torch.manual_seed(self.recipe.seed)
        self._resume()
        self.done = self.step_number >= self.total
        self.task.start_epoch(self.epoch)
        self.task.train()
        self._begin_epoch()
        if self.restored and self.step_number % self.data.batches:  # cut in the middle of an epoch: its sums go on
            self.sums, self.gathered = self.restored["sums"], self.restored["gathered"]
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.progress.__exit__(kind, value, trace)
        if kind is None:
            self.run.load_best(self.task)

    @property
    def epoch(self) -> int:
        """Epochs completed."""
        return self.step_number // self.data.batches

    def batches(self) -> Iterator[Batch]:
        """Training batches on the device, from where the run stands to its end."""
        stream = iter(()) if self.done else self.data.stream(*divmod(self.step_number, self.data.batches))
        for batch in stream:
            moved = to_device(batch, self.device)
            if self.layout is torch.channels_last and "image" in moved:
                moved["image"] = moved["image"].contiguous(memory_format=torch.channels_last)
            yield moved
            if self.done:
                return

    def step(self, batch: Batch, backward: Backward | None = None) -> None:
        """Train on one batch, and do what falls due after it.

        Args:
            batch: of `batches`.
            backward: how the engine computes gradients, if not by `loss.backward()`.

        Raises:
            DivergedError: a loss is not a finite number.
            InterruptedTraining: a signal came; the state is saved.
        """
        with self._precision():
            losses = training_step(self.module, self.players, batch, lambda name, loss: self.updater.update(name, loss, backward))
        self.updater.end_batch()
        self.step_number += 1
        self._gather(losses)
        if self.step_number % self.train.log_every == 0 or self.device.type == "cpu":
            self._look()
        self.progress.advance(note=self.note)
        end = self.step_number >= self.total
        if end or self.step_number % self.data.batches == 0:
            self._end_epoch(end)
        if self.signal is not None:
            self._save()
            raise InterruptedTraining(self.signal, self.run)

    # ------------------------------------------------------------ its parts

    def _precision(self) -> AbstractContextManager[Any]:
        if self.train.precision == 32:
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16 if self.train.precision == "bf16" else torch.float16)

    def _gather(self, losses: dict[str, Tensor]) -> None:
        """Add up on the device; nothing is read from it here."""
        for name, value in losses.items():
            value = value.float()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        for name, value in losses.items():
            if name.endswith("loss"):
                self.bad = self.bad | ~value.isfinite()
        self.gathered += 1

    def _look(self) -> None:
        """Read from the device: has a loss gone wrong? Every step on the CPU, every `log_every` steps elsewhere."""
        if bool(self.bad):
            epoch, batch = divmod(self.step_number - 1, self.data.batches)
            raise DivergedError(
                f"a loss is not a finite number (seen at step {self.step_number}, epoch {epoch + 1}, batch {batch + 1}). "
                f"Try a lower rate (train.lr={self.train.lr / 10:g}), gradient clipping (train.clip=1.0)"
                + (" or train.precision=32" if self.train.precision != 32 else "")
                + f". The run so far is in {self.run.folder}"
            )
        if self.step_number % self.train.log_every == 0:
            self.note = " ".join(f"{name} {float(total) / self.gathered:.4g}" for name, total in self.sums.items())

    def _begin_epoch(self) -> None:
        done = self.step_number % self.data.batches
        title = f"epoch {min(self.epoch + 1, self.train.epochs)}/{self.train.epochs}"
        self.progress = Progress(title, min(self.data.batches, int(self.total) - self.step_number + done), "batches", done)
        self.note = ""
        self.sums, self.gathered = {}, 0
        self.begun = time.monotonic()

    def _end_epoch(self, end: bool) -> None:
        self._look_at_end()
        epoch = math.ceil(self.step_number / self.data.batches)
        row: dict[str, Any] = {"epoch": epoch, "step": self.step_number, "lr": self.rate}
        row |= {f"train/{name}": float(total) / self.gathered for name, total in self.sums.items()}
        trained = time.monotonic() - self.begun
        self.progress.__exit__(None, None, None)
        with self.updater.averaged(), self._precision():
            metrics = {f"val/{name}": value for name, value in evaluate(self.task, self.data.evaluation("val"), self.device).metrics.items()}
            improved = self._judge(metrics, epoch)
            if improved:
                self.run.save_best(self.task, epoch)
        self.seconds += time.monotonic() - self.begun
        row |= metrics | {"seconds": round(time.monotonic() - self.begun, 3), "train_seconds": round(trained, 3)}
        self.run.log(row)
        self._say(row, improved)
        self.updater.end_epoch(metrics)
        patience = self.recipe.monitor.patience
        stopped = patience is not None and self.waited >= patience
        if stopped:
            say(f"stopping: {self.recipe.monitor.metric} has not improved for {patience} epochs (best in epoch {self.best_epoch})")
        self.done = end or stopped
        self.task.start_epoch(self.epoch)
        self.task.train()
        self._begin_epoch()
        self._save()

    def _look_at_end(self) -> None:
        if self.device.type != "cpu":
            self._look()

    @property
    def rate(self) -> float:
        """The learning rate now."""
        return self.updater.rate

    def _judge(self, metrics: dict[str, float], epoch: int) -> bool:
        """Whether this epoch is the best so far; counts the epochs waited for the next improvement."""
        monitor = self.recipe.monitor
        if monitor.metric not in metrics:
            raise RecipeError(f"monitor.metric: there is no {monitor.metric!r}; this task measures {', '.join(metrics)}")
        value = metrics[monitor.metric]
        if better(value, self.level, monitor.mode, monitor.min_delta):
            self.level, self.waited = value, 0
        else:
            self.waited += 1
        improved = better(value, self.best, monitor.mode)
        if improved:
            self.best, self.best_epoch = value, epoch
        return improved

    def _say(self, row: dict[str, Any], improved: bool) -> None:
        shown = [f"{name} {row[name]:.4g}" for name in ("train/loss", self.recipe.monitor.metric) if name in row]
        shown += [f"{name} {row[name]:.4g}" for name in ("val/loss", f"val/{self.task.main}") if name in row and name != self.recipe.monitor.metric]
        left = self.seconds / max(self.epoch, 1) * (self.train.epochs - self.epoch)
        say(f"epoch {row['epoch']}/{self.train.epochs}  {'  '.join(shown)}  {clock(row['seconds'])}{'  best' if improved else ''}  ({clock(left)} left)")

    # ------------------------------------------------------------ stopping and going on

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt  # the second time is meant
        self.signal = number
        say(f"\n{signal.Signals(number).name}: finishing this step and saving (again to stop at once)")

    def _save(self) -> None:
        state = {
            "step": self.step_number,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "level": self.level,
            "waited": self.waited,
            "done": self.done,
            "seconds": self.seconds,
            "sums": self.sums,
            "gathered": self.gathered,
            "updater": self.updater.state_dict(),
            "task": self.task.state_dict(),
            "random": {"cpu": torch.default_generator.get_state()} | ({"cuda": torch.cuda.get_rng_state()} if self.device.type == "cuda" else {}),
        }
        self.run.save_checkpoint(state)

    def _resume(self) -> None:
        state = self.run.checkpoint()
        if state is None:
            return
        self.task.load_state_dict(state["task"])
        self.updater.load_state_dict(state["updater"])
        self.step_number, self.best, self.best_epoch = state["step"], state["best"], state["best_epoch"]
        self.level, self.waited, self.seconds = state["level"], state["waited"], state["seconds"]
        if state["done"]:
            self.total = self.step_number
        self.restored = state
        torch.default_generator.set_state(state["random"]["cpu"])
        if "cuda" in state["random"] and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["random"]["cuda"])
        self.run.cut_history(self.step_number)
        say(f"resuming {self.run.folder} after {self.step_number} batches")


def memory_format(wish: bool | str, on: torch.device) -> torch.memory_format:
    """channels_last where it is known to help (`auto`: CUDA); a table and not a timing, so that runs can be repeated."""
    use = on.type == "cuda" if wish == "auto" else bool(wish)
    return torch.channels_last if use else torch.contiguous_format


def compiled(task: Task) -> nn.Module:
    """The task compiled by torch.compile.

    Raises:
        RecipeError: on a machine without a C++ compiler, which torch.compile calls.
    """
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        raise RecipeError("train.compile=true needs a C++ compiler (c++, g++ or clang++) and none was found: install one (Debian: apt-get install g++) or leave it out")
    module: Any = torch.compile(task)
    return module  # type: ignore[no-any-return]


def _in_main_thread() -> bool:
    """Only there can handlers of signals be set."""
    return threading.current_thread() is threading.main_thread()

