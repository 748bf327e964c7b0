"""Fit: what every engine's training has in common. An engine brings batches to `step` and leaves the rest here.

Epochs, logging, validation, the choice of the best, early stopping, checkpoints and signals are decided here, once, so that a
run does not depend on the engine that drove it. Where several processes train together, each has a `Fit`; they agree on what is
decided, and rank 0 writes.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from itertools import islice
from operator import and_
from types import FrameType, TracebackType
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from zoo.datasets.loaders import Batch, Loaders, to_device
from zoo.device import compute_device, memory_format
from zoo.engines.engine import training_step
from zoo.engines.portions import Portions, out_of_memory, said_of
from zoo.engines.schedules import better, measured
from zoo.engines.update import Backward, Updater
from zoo.epochs import Answers
from zoo.errors import DataError, DivergedError, RecipeError, ZooError
from zoo.evaluate import evaluate
from zoo.film import sheet
from zoo.progress import Progress, clock, say
from zoo.ranks import gathered, mean, most, ranks, take_from_first
from zoo.run import Run
from zoo.sections import Cosine, OneCycle
from zoo.tasks.task import Task, Watched

TIME_UP = int(getattr(signal, "SIGUSR1", 1000))
"""What schedulers of clusters send when the time is nearly up; also stands for `--max-time`. Windows has no such signal."""
CODES = {int(signal.SIGINT): 130, int(signal.SIGTERM): 143, TIME_UP: 75}
"""Signals that stop a training, and its exit code then."""


class StoppedError(ZooError):
    """Training was asked to stop and has saved its state; the exit code is that of the signal."""

    common = True

    def __init__(self, number: int, run: Run) -> None:
        reason = "the time is up: stopped" if number == TIME_UP else "interrupted"
        super().__init__(f"{reason} and saved: go on with `python -m zoo.train --resume {shlex.quote(str(run.folder))}`")
        self.exit_code = CODES[number]


class Fit:
    """One training in progress. Entered as a context it takes up the run where it stands; nothing may draw random numbers after that.

    Args:
        task: is moved to the recipe's device.
        data: its batches are drawn through `batches`.
        run: its recipe says how; what comes of it is written there.

    Attributes:
        module: what computes the losses: the task, compiled if the recipe wishes; an engine may wrap it.
        listen: is given numbers by name, and their step, whenever they are known: running means of the epoch every `log_every` steps,
            and the epoch's row of the history.

    Raises:
        RecipeError: the recipe asks for what this machine or this training cannot do.
    """

    def __init__(self, task: Task, data: Loaders, run: Run) -> None:
        self.recipe, self.train = run.recipe, run.recipe.train
        self.data, self.run = data, run
        self.total = self.train.epochs * data.batches
        self.total = min(self.total, self.train.max_steps or self.total)
        if self.train.accumulate > self.total:
            raise RecipeError(
                f"train.accumulate={self.train.accumulate}: the whole training has {self.total} batches, so no step would be taken; "
                f"expected {self.total} or less"
            )
        self.device = compute_device(self.train.device)
        self.layout = memory_format(self.train.channels_last, self.device, data.spec.size)
        self.ranks = ranks()
        self._check_ranks()
        self.task = task.to(self.device)
        if self.ranks.world > 1:
            self._share_batch_statistics()
        self.task.to(memory_format=self.layout)
        self.updater = Updater(self.task, self.train, self.recipe.monitor, data.batches, self.device)
        self.module: nn.Module = compiled(self.task) if self.train.compile else self.task
        self.players = self.task.players()
        self.portions = Portions(self.task, self._losses, self.updater, self.device)
        self.answers = Answers(self.task, data, run)
        self.fingerprint = data.fingerprint()
        self.step_number = 0  # batches consumed by updates
        self.best: float | None = None
        self.best_epoch = 0
        self.level: float | None = None  # what early stopping compares with: the last improvement worth waiting for
        self.waited = 0
        self.seconds = 0.0
        self.sums: dict[str, Tensor] = {}  # of this epoch's losses, by name
        self.counts: dict[str, int] = {}  # of the batches in each sum: a player may sit some out
        self.gathered = 0  # batches of this epoch
        self.sane = torch.zeros((), dtype=torch.int64, device=self.device)  # of those, the ones before a loss went wrong
        self.fine = torch.ones((), dtype=torch.bool, device=self.device)
        self.done = False
        self.signal = 0
        self.handlers = {
            number: signal.getsignal(number) for number in CODES if number in signal.valid_signals()
        }  # before an engine sets its own
        self.until = math.inf if run.max_seconds is None else time.monotonic() + run.max_seconds
        self.every = Every(self.recipe.checkpoint.every)
        self.listen: Callable[[Mapping[str, Any], int], None] = lambda numbers, step: None

    # ------------------------------------------------------------ the course of a training

    def __enter__(self) -> Fit:
        self._choose_algorithms()
        self.process = os.getpid()
        for number in self.handlers if _in_main_thread() else ():
            signal.signal(number, self._on_signal)
        try:
            self._take_up()
        except BaseException:
            self._leave()
            raise
        return self

    def _take_up(self) -> None:
        """The run as it stands: at its newest checkpoint, or at the start."""
        torch.manual_seed(self.recipe.seed + self.ranks.rank)  # each process draws its own noise; weights were drawn before, from the seed
        state = self.run.checkpoint()
        if state is None:
            self._check_names()
            self.run.cut_history(0)  # of a run that was cut off before its first checkpoint
        else:
            try:
                self._take_over(state)
            except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
                where = self.run.folder / "checkpoints"
                raise ZooError(f"{where}: a checkpoint does not fit this run ({error!r:.300}); remove {where} to train it anew") from error
        self.run.note_environment(self._chosen())
        self.task.start_epoch(self.epoch)
        self.task.train()
        self._begin_epoch()
        if state is not None:
            self._go_on(state)

    def _leave(self) -> None:
        """What was set for the whole process is as it was before."""
        self.put_handlers_back()
        torch.use_deterministic_algorithms(self.algorithms[0], warn_only=self.algorithms[1])

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._leave()
        self.progress.__exit__(kind, value, trace)
        if kind is None and self.done and self.ranks.first:  # an engine may be left early, to look at a few steps
            self.run.load_weights(self.task, self.best_epoch)

    def _choose_algorithms(self) -> None:
        """Deterministic ones if wished; afterwards it is again as it was before."""
        self.algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
        wish = self.train.deterministic
        if wish != "off":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has none to choose
            torch.use_deterministic_algorithms(True, warn_only=wish == "warn")

    def put_handlers_back(self) -> None:
        """Signals mean again what they meant before."""
        for number, handler in self.handlers.items() if _in_main_thread() else ():
            signal.signal(number, handler)

    @property
    def epoch(self) -> int:
        """Epochs completed."""
        return self.step_number // self.data.batches

    def batches(self) -> Iterator[Batch]:
        """Training batches on the device, from where the run stands to its end."""
        if self.done:
            return
        stream = self.data.stream(*divmod(self.step_number, self.data.batches))
        while not self.done:
            try:
                batch = next(stream)
            except RuntimeError:  # Ctrl-C goes to the workers too, and one that is gone is a RuntimeError here
                if not self.signal or self.ranks.world > 1:
                    raise
                self._stop()
            moved = to_device(batch, self.device)
            if "image" in moved:
                moved["image"] = moved["image"].contiguous(memory_format=self.layout)
            yield moved

    def step(self, batch: Batch, backward: Backward | None = None) -> dict[str, Tensor]:
        """Train on one batch, and do what falls due after it.

        Args:
            batch: of `batches`.
            backward: how the engine computes gradients, if not by `loss.backward()`.

        Returns:
            All named losses, detached, on the device.

        Raises:
            DivergedError: a loss is not a finite number.
            StoppedError: a signal came; the state is saved.
        """
        self.task.start_batch(self.step_number)
        try:
            losses = self._trained_on(batch, backward)
        except (RuntimeError, MemoryError) as error:
            if said := self._explained(error):
                raise said from error
            raise
        if self.train.log_gradients:
            losses |= self.updater.norms
        self.updater.end_batch()
        self.step_number += 1
        self._gather(losses)
        if self.device.type == "cpu" or self.step_number % self.train.log_every == 0:
            self._look()
        self.progress.advance(note=self.note)
        end, edge = self.step_number >= self.total, self.step_number % self.data.batches == 0
        if end or edge:
            self._end_epoch(end)
        if time.monotonic() >= self.until:
            self.signal = self.signal or TIME_UP
        if not self.done and self.every.due(edge):
            self._save()
        agreed = most(self.signal)  # it may have reached one process only, and all stop after the same step
        if agreed:  # else one that has come meanwhile waits for the next step: it must not be written over
            self.signal = agreed
            self._stop()
        return losses

    def finish(self) -> None:
        """End the training here, as if this had been its last step: a callback or hook of the user asks for it."""
        if self.done:
            return
        if self.gathered or not self.best_epoch:
            self._end_epoch(end=True)
        else:
            self.done = True
            self._save()

    # ------------------------------------------------------------ its parts

    def _trained_on(self, batch: Batch, backward: Backward | None) -> dict[str, Tensor]:
        """The one training step, in portions of the batch if memory does not suffice for the whole and the recipe wishes."""
        if self.train.on_oom == "stop":
            return training_step(self._losses, self.players, batch, lambda name, loss: self.updater.update(name, loss, backward))
        before = self.portions.number
        losses = training_step(
            lambda batch, name: self.portions.turn(batch, name, backward),
            self.players,
            batch,
            lambda name, loss: self.updater.end_turn(name),
        )
        if self.portions.number != before:
            said = said_of(self.portions.number, self.data.batch_size, self.step_number + 1, self.task.coupling())
            say(f"WARNING: {said}")
            self.run.note_environment({"divided": said})
        return losses

    def _explained(self, error: RuntimeError | MemoryError) -> ZooError | None:
        """What people can do about an error of PyTorch's, if it is one of those that they can mend."""
        text = str(error)
        if out_of_memory(error):
            train, size = self.train, self.recipe.data.size
            smaller = ["train.on_oom=halve"] if train.on_oom == "stop" and self.ranks.world == 1 and train.batch_size > 1 else []
            if train.batch_size > 1:
                smaller.append(f"train.batch_size={train.batch_size // 2} train.accumulate={train.accumulate * 2}")
            smaller += ["a smaller data.size"] + ([] if train.precision != 32 else ["train.precision=bf16"])
            share = self.data.batch_size // self.ranks.world
            where = f"at step {self.step_number + 1} on {self.device}"
            return ZooError(f"out of memory {where}: {share} pictures of {size} pixels in a batch. Try {', or '.join(smaller)}")
        if self.train.deterministic == "strict" and "deterministic" in text:
            return RecipeError(f"train.deterministic=strict: {text.splitlines()[0]} Set train.deterministic=warn to go on without")
        return None

    def _losses(self, batch: Batch, player: str) -> dict[str, Tensor]:
        """The task's losses; in 16-bit floats backward pass and optimiser stay outside of autocast, as PyTorch advises."""
        if self.train.precision == 32:
            losses: dict[str, Tensor] = self.module(batch, player)
            return losses
        with torch.autocast(self.device.type, torch.bfloat16 if self.train.precision == "bf16" else torch.float16):
            losses = self.module(batch, player)
        return losses

    def _check_ranks(self) -> None:
        world, wished = self.ranks.world, self.train.devices * self.train.nodes
        if world > 1 and self.train.on_oom == "halve":
            raise RecipeError("train.on_oom=halve: for one process only, as the others would wait for ever; set train.on_oom=stop")
        if wished > 1 and world != wished:
            raise RecipeError(
                f"train.devices={self.train.devices} on train.nodes={self.train.nodes}: {world} processes train here and not {wished}; "
                "start the training as a command (`python -m zoo.train`, torchrun, srun), which makes them"
            )
        if self.data.batch_size % world:
            lower = max(1, self.data.batch_size // world) * world
            raise RecipeError(
                f"train.batch_size={self.data.batch_size} is divided among {world} processes and cannot be: try {lower} or {lower + world}"
            )

    def _share_batch_statistics(self) -> None:
        """On GPUs a batch's statistics are those of all its shares; PyTorch cannot do so on the CPU."""
        if self.device.type == "cuda":
            from zoo.backbones.timm import synchronise

            synchronise(self.task)
        elif any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in self.task.modules()):
            say("note: on the CPU each process has its own batch statistics, so results differ from those of one process")

    def _chosen(self) -> dict[str, Any]:
        """What `auto` came to mean on this machine."""
        kind = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        return {
            "device": f"{self.device} ({kind})",
            "threads": torch.get_num_threads(),
            "workers": self.data.workers,
            "channels_last": self.layout is torch.channels_last,
            "ranks": self.ranks.world,
        }

    def _check_names(self) -> None:
        """Measure one batch: a metric that does not exist, or cannot be computed, is better found before the first epoch."""
        found = evaluate(self.task, islice(self.data.evaluation("val"), 1), self.device).metrics
        known = {f"val/{name}": value for name, value in found.items()}
        measured("monitor.metric", self.recipe.monitor.metric, known)
        for plateau in self.updater.plateaus:
            if not plateau.metric.startswith("train/"):
                measured("train.schedule.metric", plateau.metric, known)

    def _gather(self, losses: dict[str, Tensor]) -> None:
        """Add up on the device; nothing is read from it here."""
        sums = self.sums
        for name, value in losses.items():
            sums[name] = sums[name] + value if name in sums else value.float()
            self.counts[name] = self.counts.get(name, 0) + 1
        self.gathered += 1
        # A sum that is not finite stays so: the number of finite ones tells, whenever it is read, which step was the first bad one.
        self.sane = self.sane + reduce(and_, (value.isfinite() for name, value in sums.items() if name.endswith("loss")), self.fine)

    def _look(self) -> None:
        """Read from the device: has a loss gone wrong? Every step on the CPU, every `log_every` steps elsewhere."""
        wrong = most(self.gathered - int(self.sane))
        if wrong:
            raise self._diverged(self.step_number - wrong + 1)
        if self.step_number % self.train.log_every == 0 and self.gathered:
            means = self._means()
            self.note = " ".join(f"{name} {value:.4g}" for name, value in means.items())
            self.listen({f"train/{name}": value for name, value in means.items()} | self.updater.rates, self.step_number)

    def _means(self) -> dict[str, float]:
        """This epoch's losses so far, over the shares of all processes."""
        if not self.sums:
            return {}
        means = mean(torch.stack(list(self.sums.values())).double())
        return {name: total / self.counts[name] for name, total in zip(self.sums, means.tolist(), strict=True)}

    def _diverged(self, step: int) -> DivergedError:
        epoch, batch = divmod(step - 1, self.data.batches)
        names = ", ".join(f"train/{name}" for name, value in self._means().items() if not math.isfinite(value))
        remedies = [f"a lower rate (train.lr={self.train.lr / 10:g})"]
        remedies += [] if self.train.clip else ["gradient clipping (train.clip=1.0)"]
        remedies += [] if self.train.precision == 32 else ["train.precision=32"]
        return DivergedError(
            f"{names}: not a finite number at step {step} (epoch {epoch + 1}, batch {batch + 1}). Try {' or '.join(remedies)}; "
            f"`python -m zoo.replay {shlex.quote(str(self.run.folder))}` finds the pictures and the layer"
        )

    def _begin_epoch(self) -> None:
        done = self.step_number % self.data.batches
        title = f"epoch {min(self.epoch + 1, self.train.epochs)}/{self.train.epochs}"
        self.progress = Progress(title, min(self.data.batches, self.total - self.step_number + done), "batches", done)
        self.note = ""
        self.sums, self.counts, self.gathered, self.sane = {}, {}, 0, torch.zeros_like(self.sane)
        self.begun = time.monotonic()

    def _end_epoch(self, end: bool) -> None:
        self._look()
        epoch = math.ceil(self.step_number / self.data.batches)
        row: dict[str, Any] = {"epoch": epoch, "step": self.step_number} | self.updater.rates
        row |= {f"train/{name}": value for name, value in self._means().items()}
        trained = time.monotonic() - self.begun
        self.progress.__exit__(None, None, None)
        metrics, improved = self._validate(epoch)
        self.updater.end_epoch(row | metrics)
        taken = time.monotonic() - self.begun
        self.seconds += taken
        row |= metrics | {"seconds": round(taken, 3), "train_seconds": round(trained, 3)}
        self.run.log(row | self._alarms(row))
        self.listen(row, self.step_number)
        self._say(row, improved)
        self.done = end or self._out_of_patience()
        self.task.start_epoch(self.epoch)
        self.task.train()
        self._begin_epoch()
        if self.done:
            self._save()

    def _validate(self, epoch: int) -> tuple[dict[str, float], bool]:
        """The numbers of the validation part, and whether they are the best so far; then the weights are kept.

        Measured in 32 bits whatever the precision of the training, because that is how the model will be loaded.
        """
        with self.updater.averaged():
            take_from_first(self.task.buffers())  # batch statistics that are not shared
            batches = self.data.evaluation("val", shared=True)
            found = evaluate(self.task, batches, self.device, keep=self.answers.due(epoch), shared=True)
            self.answers.note(found, epoch, self.step_number)
            metrics = {f"val/{name}": value for name, value in found.metrics.items()}
            improved = self._judge(metrics, epoch)
            if improved or epoch in self.recipe.checkpoint.keep_epochs:
                self.run.keep_weights(self.task, epoch)
            self._keep_snapshot(epoch)
        return metrics, improved

    def _keep_snapshot(self, epoch: int) -> None:
        """A picture for the film of the training, of a task that has one."""
        if isinstance(self.task, Watched) and self.ranks.first:
            with torch.inference_mode():
                self.run.keep_snapshot(epoch, sheet(self.task.eval().snapshot()))

    def _alarms(self, row: Mapping[str, Any]) -> dict[str, str]:
        """What the task finds wrong with its training after this epoch, said and kept in the history."""
        if not isinstance(self.task, Watched) or not self.ranks.first:
            return {}
        found = self.task.alarms([*self.run.history(), row])
        for sentence in found:
            say(f"WARNING: {sentence}")
        return {"alarm": " ".join(found)} if found else {}

    def _judge(self, metrics: dict[str, float], epoch: int) -> bool:
        """Whether this epoch is the best so far; counts the epochs waited for the next improvement."""
        monitor = self.recipe.monitor
        value = measured("monitor.metric", monitor.metric, metrics)
        if better(value, self.level, monitor.mode, monitor.min_delta):
            self.level, self.waited = value, 0
        else:
            self.waited += 1
        improved = better(value, self.best, monitor.mode)
        if improved:
            self.best, self.best_epoch = value, epoch
        return improved

    def _out_of_patience(self) -> bool:
        monitor = self.recipe.monitor
        if monitor.patience is None or self.waited < monitor.patience:
            return False
        say(f"stopping: {monitor.metric} has not improved for {self.waited} epochs (best in epoch {self.best_epoch})")
        return True

    def _say(self, row: dict[str, Any], improved: bool) -> None:
        losses = [name for name in row if name.startswith("train/") and name.endswith("/loss")]  # one for each player
        names = dict.fromkeys((*losses, self.recipe.monitor.metric, "val/loss", f"val/{self.task.main}"))
        shown = "  ".join(f"{name} {row[name]:.4g}" for name in names if name in row)
        left = self.seconds / self.step_number * (self.total - self.step_number)
        after = f"  ({clock(left)} left)" if left else ""
        say(f"epoch {row['epoch']}/{self.train.epochs}  {shown}  {clock(row['seconds'])}{'  best' if improved else ''}{after}")

    # ------------------------------------------------------------ stopping and going on

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self.process:
            return  # in a worker, which has inherited this handler: the training process tells it when to end
        if self.signal:
            raise KeyboardInterrupt  # the second time is meant
        self.signal = number
        say(f"\n{signal.Signals(number).name}: finishing this step and saving (again to stop at once)")

    def _stop(self) -> NoReturn:
        self._save()
        raise StoppedError(self.signal, self.run) from None

    def _save(self) -> None:
        self.every.begin()
        state = {
            "step": self.step_number,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "level": self.level,
            "waited": self.waited,
            "done": self.done,
            "total": self.total,
            "seconds": self.seconds,
            "spent": time.monotonic() - self.begun,
            "sums": self.sums,
            "counts": self.counts,
            "gathered": self.gathered,
            "portions": self.portions.number,
            "updater": self.updater.state_dict(),
            "task": self.task.state_dict(),
            "data": self.fingerprint,
            "threads": torch.get_num_threads(),
            "random": self._random(),
        }
        self.run.save_checkpoint(state, self.best_epoch)

    def _random(self) -> dict[str, list[Tensor]]:
        """Random states of the CPU, and of the GPU if it is used, of every process."""
        states = {"cpu": gathered(torch.default_generator.get_state())}
        if self.device.type == "cuda":
            states["cuda"] = gathered(torch.cuda.get_rng_state(self.device))
        return states

    def _take_over(self, state: dict[str, Any]) -> None:
        """Weights and counts of a checkpoint."""
        if state["data"] != self.fingerprint:
            raise DataError(
                f"{self.run.folder}: the data in {self.data.source.root} is not what this run was trained on "
                "(other files, labels or split): bring the old data back, or start a new run"
            )
        self.task.load_state_dict(state["task"])
        self.updater.load_state_dict(state["updater"])
        self.step_number, self.best, self.best_epoch = state["step"], state["best"], state["best_epoch"]
        self.level, self.waited, self.seconds = state["level"], state["waited"], state["seconds"]
        self.portions.number = state["portions"]
        if state["total"] != self.total and isinstance(self.train.schedule, Cosine | OneCycle):
            name, before = self.train.schedule.name, state["total"]
            say(f"WARNING: the schedule {name} spans {self.total} batches now, {before} before: the rate jumps here")
        longer = self.step_number == state["total"] < self.total  # it ended with its last epoch, and more were asked for
        self.done = state["done"] and not longer
        self.run.cut_history(self.step_number)
        say(f"resuming {self.run.folder} after {self.step_number} batches")
        before, now = state["threads"], torch.get_num_threads()
        if before != now:
            say(f"WARNING: {now} threads now, {before} before: sums may differ in their last bits (set OMP_NUM_THREADS={before})")
        world = len(state["random"]["cpu"])
        if world != self.ranks.world:
            say(f"WARNING: {self.ranks.world} processes now, {world} before: random numbers and the last bits of sums differ from here on")

    def _go_on(self, state: dict[str, Any]) -> None:
        """What was under way within the epoch; random state last, so that nothing draws from it before the next batch."""
        self.sums = {name: value.to(self.device) for name, value in state["sums"].items()}
        self.counts, self.gathered = dict(state["counts"]), state["gathered"]
        self.sane += self.gathered
        self.begun -= state["spent"]
        random = state["random"]
        if self.ranks.rank < len(random["cpu"]):
            torch.default_generator.set_state(random["cpu"][self.ranks.rank])
        if self.device.type == "cuda" and self.ranks.rank < len(random.get("cuda", ())):
            torch.cuda.set_rng_state(random["cuda"][self.ranks.rank], self.device)


class Every:
    """When a training state is due: after so many steps or epochs, or so much time.

    Args:
        text: as `checkpoint.every`.
    """

    def __init__(self, text: str) -> None:
        number = re.match("[0-9]+", text)
        assert number  # the recipe was checked
        self.unit = text[number.end() :].strip().removesuffix("s") or "s"
        self.number = int(number.group()) * {"min": 60, "h": 3600}.get(self.unit, 1)
        self.begin()

    def begin(self) -> None:
        """A state was saved."""
        self.passed, self.since = 0, time.monotonic()

    def due(self, edge: bool) -> bool:
        """Called after each step; `edge`: it was an epoch's last."""
        if self.unit in ("step", "epoch"):
            self.passed += edge or self.unit == "step"
            return self.passed >= self.number
        return bool(most(time.monotonic() - self.since >= self.number))  # clocks differ, and all save together


def compiled(task: Task) -> nn.Module:
    """The task compiled by torch.compile.

    Raises:
        RecipeError: on a machine without the C++ compiler that torch.compile calls.
    """
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler.split()[0]) is None:
        raise RecipeError(
            f"train.compile=true needs a C++ compiler and {compiler} was not found: install it (Debian: apt-get install g++), "
            "name another in the environment variable CXX, or set train.compile=false"
        )
    module: Any = torch.compile(task)
    return module  # type: ignore[no-any-return]  # torch says Any of what it has compiled


def _in_main_thread() -> bool:
    """Only there can handlers of signals be set."""
    return threading.current_thread() is threading.main_thread()
