"""What a training will cost, before it begins: seconds an epoch and peak memory, by trials on two small batches.

A trial does what training does (reading, steps with the optimiser, validation) on a copy of the task. What a batch costs is a part that
is always there and a part for each picture; two trials tell both, and the line through them is followed to the true batch. Where the
second trial can have the true batch within its time, nothing is left to follow.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from zoo import registry
from zoo.datasets.loaders import Loaders, Pictures, collate, to_device
from zoo.device import compute_device, memory_format
from zoo.engines.engine import training_step
from zoo.engines.portions import out_of_memory
from zoo.engines.update import Updater
from zoo.evaluate import evaluate
from zoo.memory import Memory
from zoo.progress import clock
from zoo.ranks import ranks
from zoo.recipe import Recipe

if TYPE_CHECKING:
    from zoo.tasks.task import Task

T = TypeVar("T")

FEW = 2
"""Pictures of the first trial: batch statistics need two."""
SECONDS = 3.0
"""That the second trial may take, as far as the first one tells."""


@dataclass(frozen=True)
class Estimate:
    """What a training will cost.

    Attributes:
        epoch_seconds: of the dearest epoch (all that will ever learn does): training and validation, without saving.
        seconds: of all epochs.
        memory: bytes at the peak, of each process that trains. On a GPU all that PyTorch's tensors take there; on the CPU what the
            process grows by, once network and data are there: libraries of engine and metrics, gradients, optimiser, activations and
            whatever else steps, validation and saving take, and what the allocator does not give back. Readers in processes of
            their own are not in it. None where the system does not tell (other than Linux).
        gpu: whether that is memory of a GPU.
        batch, tried: pictures in a batch of one process; of the largest batch tried.
        step: pictures that a step of the optimiser learns from, over all processes and accumulated batches.
    """

    epoch_seconds: float
    seconds: float
    memory: float | None
    gpu: bool
    batch: int
    tried: int
    step: int

    def __str__(self) -> str:
        where = "on the GPU" if self.gpu else "beyond what it has now"
        memory = "memory unknown on this system" if self.memory is None else f"{self.memory / 1e9:.2f} GB {where} at the peak"
        tried = "" if self.tried >= self.batch else f", by trials of up to {self.tried}"
        step = "" if self.step == self.batch else f"; {self.step} to a step of the optimiser"
        times = f"about {clock(self.epoch_seconds)} an epoch, {clock(self.seconds)} in all"
        return f"{times}; {memory}, for batches of {self.batch} pictures{tried}{step}"


class TooLargeError(Exception):
    """Memory does not suffice for a batch of so many pictures."""


def described(task: Task, data: Loaders, recipe: Recipe) -> str:
    """The estimate in words, or why there is none."""
    if not task.learns:
        return "none: nothing is learnt, its parts are trained already"
    try:
        return str(estimate(task, data, recipe))
    except TooLargeError as error:
        return f"none: there is no memory for a batch of {error} pictures"


def estimate(task: Task, data: Loaders, recipe: Recipe) -> Estimate:
    """Try, and follow the line to the true batch; on a copy of the task, with the random state put back.

    Raises:
        DataError: a picture cannot be read.
        TooLargeError: even the trial is too much.
    """
    train, world = recipe.train, ranks().world
    batch = data.batch_size // world or 1
    device = compute_device(train.device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        trial = Trial(task, data, recipe, device)
        trial.cost(FEW)  # libraries are loaded and kernels chosen
        few = trial.cost(FEW)
        more = few if batch <= FEW else trial.cost(_affordable(few, batch, trial.memory.free()))
    one, judged = along(few, more, batch), along(few, more, -(-len(data.parts()["val"]) // world))
    training = data.batches * _together(one.reading, one.step, data.workers)
    epoch = training + _together(judged.reading_val, judged.validation, data.workers)
    epochs = min(train.epochs, (train.max_steps or train.epochs * data.batches) / data.batches)
    memory = max(one.step_memory, one.validation_memory, one.rest_memory + trial.saving()) if trial.memory.known else None
    return Estimate(epoch, epoch * epochs, memory, device.type == "cuda", batch, more.pictures, batch * world * train.accumulate)


@dataclass(frozen=True)
class Cost:
    """What so many pictures cost: seconds, and bytes above what there was before the trials."""

    pictures: int
    reading: float
    reading_val: float
    step: float
    validation: float
    step_memory: float = 0.0
    validation_memory: float = 0.0
    rest_memory: float = 0.0  # when all is done


def along(few: Cost, more: Cost, pictures: int) -> Cost:
    """The line through two costs at a number of pictures; nothing gets cheaper with more. One cost alone is all for its pictures."""

    def at(low: float, high: float) -> float:
        between = more.pictures - few.pictures
        each = max(0.0, high - low) / between if between else high / more.pictures
        return max(0.0, high + each * (pictures - more.pictures))

    return Cost(pictures, *(at(low, high) for low, high in zip(astuple(few)[1:], astuple(more)[1:], strict=True)))


def _affordable(few: Cost, batch: int, free: float) -> int:
    """Pictures of the second trial: the true batch, if `SECONDS` and half of the free bytes suffice, as if all grew with the pictures."""
    seconds = few.reading + few.reading_val + 2 * few.step + few.validation
    memory = max(few.step_memory, few.validation_memory)
    share = min(SECONDS / max(seconds, 1e-9), free / 2 / max(memory, 1.0))
    return max(min(batch, 2 * FEW), min(batch, int(few.pictures * share)))


def _together(reading: float, computing: float, workers: int) -> float:
    """Seconds of both: one after the other, or side by side when other processes read."""
    return max(reading / workers, computing) if workers else reading + computing


class Trial:
    """A copy of a task that trains and is measured on a few pictures.

    Args:
        task: stays as it is.
        data: its first training and validation pictures are read, as they are in training.
        recipe: says how it is trained.
        device: to compute on.

    Attributes:
        memory: of the device or process, from here on.
    """

    def __init__(self, task: Task, data: Loaders, recipe: Recipe, device: torch.device) -> None:
        train, self.device = recipe.train, device
        self.precision, self.layout = train.precision, memory_format(train.channels_last, device, data.spec.size)
        on_cpu = copy.deepcopy(task)
        self.memory = Memory(device)  # on the CPU the weights are there before a training begins
        registry.load("engines", train.engine)  # its libraries are not
        self.task = on_cpu.to(device).to(memory_format=self.layout)
        self.task.start_epoch(train.epochs - 1)  # the dearest: by then everything that will learn does
        few = train.model_copy(update={"accumulate": min(2, train.accumulate)})  # of two steps, one that updates
        self.updater = Updater(self.task, few, recipe.monitor, data.batches, device)
        self.training, self.keys = data.training_pictures(), data.sampler.epoch(0)
        self.judged = data.pictures("val")

    def cost(self, pictures: int) -> Cost:
        """Read, train twice and validate.

        Raises:
            TooLargeError: memory does not suffice.
        """
        try:
            batch, reading = self._timed(lambda: _read(self.training, self.keys, pictures))
            judged, reading_val = self._timed(lambda: _read(self.judged, range(len(self.judged)), pictures))
            self.memory.begin()
            step = min(self._timed(partial(self._step, batch, number))[1] for number in range(2))
            step_memory = self.memory.peak()
            self.memory.begin()
            validation = self._timed(lambda: self._validate(judged))[1]
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise TooLargeError(pictures) from error
        peak, rest = self.memory.peak(), self.memory.now()
        return Cost(pictures, reading, reading_val, step, validation, step_memory, peak, rest)

    def saving(self) -> int:
        """Bytes that saving takes on the CPU: the training state twice, each tensor's bytes and the file of all of them."""
        state = [self.task.state_dict(), self.updater.state_dict()]
        return 0 if self.device.type == "cuda" else 2 * sum(tensor.numel() * tensor.element_size() for tensor in _tensors(state))

    def _step(self, batch: dict[str, Any], number: int) -> None:
        moved = to_device(batch, self.device)
        moved["image"] = moved["image"].contiguous(memory_format=self.layout)
        self.task.train()
        self.task.start_batch(number)
        training_step(self._losses, self.task.players(), moved, self.updater.update)
        self.updater.end_batch()

    def _losses(self, batch: dict[str, Any], player: str) -> dict[str, torch.Tensor]:
        half = torch.float16 if self.precision == 16 else torch.bfloat16
        with torch.autocast(self.device.type, half, enabled=self.precision != 32):
            return self.task.losses(batch, player)

    def _validate(self, batch: dict[str, Any]) -> None:
        with warnings.catch_warnings():  # of classes that two pictures do not have
            warnings.simplefilter("ignore")
            evaluate(self.task, [batch], self.device)

    def _timed(self, work: Callable[[], T]) -> tuple[T, float]:
        """What work gives, and its seconds."""
        self._wait()
        begun = time.perf_counter()
        result = work()
        self._wait()
        return result, time.perf_counter() - begun

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _read(pictures: Pictures, keys: Sequence[Any], number: int) -> dict[str, Any]:
    """A batch; pictures are repeated where there are fewer."""
    batch = collate([pictures[keys[place % len(keys)]] for place in range(number)])
    if "error" in batch:
        raise batch["error"]
    return batch


def _tensors(state: Any) -> list[torch.Tensor]:
    """All tensors in nested dicts and lists."""
    if isinstance(state, torch.Tensor):
        return [state]
    inner = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
    return [tensor for value in inner for tensor in _tensors(value)]
