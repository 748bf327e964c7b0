"""MMEngine drives the training step: its Runner, hooks and distributed wrapper.

The Runner is given a loop of ours, whose epochs and iterations hooks see as they know them, and a model whose `train_step` is the one
training step. MMEngine's own seeding, schedulers, checkpoints and logs are off: `Fit` does all that.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.dist import get_dist_info
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import DefaultScope
from mmengine.runner import BaseLoop, Runner
from mmengine.visualization import Visualizer
from torch import Tensor, nn

from zoo.datasets.loaders import Batch, Loaders
from zoo.engines.engine import Engine
from zoo.engines.fit import Fit
from zoo.plugins import plugins
from zoo.run import Run
from zoo.tasks.task import Task


class MMEngine(Engine):
    """MMEngine's Runner, on one device or several (its DistributedDataParallel)."""

    def fit(self, task: Task, data: Loaders, run: Run) -> None:
        """See `Engine.fit`."""
        fit = Fit(task, data, run)
        with TemporaryDirectory() as scratch:
            keep = fit.train.hooks and fit.ranks.first  # without hooks there is nothing in it
            # Made before the run is taken up: while all weights learn, and before random numbers count.
            runner = _runner(fit, str(run.folder / "mmengine") if keep else scratch)
            try:
                with fit:
                    runner.train()
            finally:
                _forget(runner)


class _Model(nn.Module):
    """The task and its training step, as MMEngine asks for them."""

    def __init__(self, fit: Fit) -> None:
        super().__init__()
        self.task = fit.module
        self.fit = fit

    def forward(self, batch: Batch, player: str) -> dict[str, Tensor]:
        """The task's losses."""
        losses: dict[str, Tensor] = self.task(batch, player)
        return losses

    def train_step(self, batch: Batch, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One batch, and what falls due after it."""
        return self.fit.step(batch)


class _Wrapper(MMDistributedDataParallel):  # type: ignore[misc]  # MMEngine has no types
    """The wrapper for several devices; MMEngine's own would call the model in its way and step an optimiser."""

    def train_step(self, batch: Batch, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """As `_Model.train_step`, which computes losses through this wrapper."""
        losses: dict[str, Tensor] = self.module.train_step(batch, optim_wrapper)
        return losses


class _Loop(BaseLoop):  # type: ignore[misc]  # likewise
    """The stream of batches, told to hooks as epochs and iterations, with the numbers of the validation that ends each epoch.

    Attributes:
        stop_training: a hook may set it, as MMEngine's own EarlyStoppingHook does.
    """

    def __init__(self, runner: Runner, fit: Fit) -> None:
        super().__init__(runner, [])
        self.fit = fit
        self.stop_training = False
        self.max_epochs, self.max_iters = fit.train.epochs, fit.total
        self.epoch = self.iter = 0
        self.row: Mapping[str, Any] = {}
        fit.listen = self._publish

    def run(self) -> nn.Module:
        """Train to the end."""
        runner, fit, inside = self.runner, self.fit, False
        runner.message_hub.update_info_dict({"loop_stage": "train", "max_epochs": self.max_epochs, "max_iters": self.max_iters})
        self._count()
        runner.call_hook("before_train")
        for batch in fit.batches():
            if not inside:
                runner.call_hook("before_train_epoch")
            index = fit.step_number % fit.data.batches
            runner.call_hook("before_train_iter", batch_idx=index, data_batch=batch)
            losses = runner.model.train_step(batch, runner.optim_wrapper)
            runner.call_hook("after_train_iter", batch_idx=index, data_batch=batch, outputs=losses)
            if self.stop_training:
                fit.finish()
            inside = not fit.done and fit.step_number % fit.data.batches > 0
            if not inside:
                runner.call_hook("after_train_epoch")
                runner.call_hook("after_val_epoch", metrics=dict(self.row))
            if self.stop_training:
                fit.finish()
            self._count()
        runner.call_hook("after_train")
        model: nn.Module = runner.model
        return model

    def _count(self) -> None:
        """As in MMEngine's loops, hooks after an iteration or epoch still find its number, counted from 0."""
        self.epoch, self.iter = self.fit.epoch, self.fit.step_number
        self.runner.message_hub.update_info("epoch", self.epoch)
        self.runner.message_hub.update_info("iter", self.iter)

    def _publish(self, numbers: Mapping[str, Any], step: int) -> None:
        """Hooks find the numbers in the message hub. MMEngine would read the losses at every step and wait for the device."""
        if "epoch" in numbers:
            self.row = numbers
        for name, value in numbers.items():
            self.runner.message_hub.update_scalar(name, value)


class _Runner(Runner):  # type: ignore[misc]  # likewise
    """MMEngine's Runner without what it does by itself at the start."""

    def setup_env(self, env_cfg: Mapping[str, Any]) -> None:
        """The processes are connected already; neither their start method nor their threads are MMEngine's to set."""
        self._rank, self._world_size = get_dist_info()
        self._timestamp = time.strftime("%Y%m%d_%H%M%S")

    def set_randomness(self, seed: int | None, diff_rank_seed: bool = False, deterministic: bool = False) -> None:
        """The seeds are the run's."""
        self._seed, self._deterministic = seed, deterministic

    def _log_env(self, env_cfg: Mapping[str, Any]) -> None:
        """The run's `environment.json` says it; here compilers would be started to ask their versions."""

    def dump_config(self) -> None:
        """The run's `recipe.yaml` says it."""

    def wrap_model(self, model_wrapper_cfg: Mapping[str, Any] | None, model: nn.Module) -> nn.Module:
        """It is wrapped, and on its device."""
        return model


def _runner(fit: Fit, folder: str) -> Runner:
    """A Runner that leaves to `Fit` what is `Fit`'s."""
    model: nn.Module = _Model(fit)
    several = fit.ranks.world > 1
    if several:
        index = [fit.device.index] if fit.device.type == "cuda" else None
        model = _Wrapper(model, device_ids=index, find_unused_parameters=True)
        fit.module = model
    wrappers = {name: OptimWrapper(player.optimizer) for name, player in fit.updater.players.items()}
    runner = _Runner(
        model,
        work_dir=folder,
        train_dataloader=[],
        train_cfg={},  # the loop needs the runner; it is put in below
        optim_wrapper=OptimWrapperDict(**wrappers) if len(wrappers) > 1 else wrappers.popitem()[1],
        default_hooks=dict.fromkeys(("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint")),
        custom_hooks=plugins("hooks", fit.train.hooks),
        launcher="pytorch" if several else "none",
        log_level="WARNING",
        experiment_name=uuid.uuid4().hex,  # MMEngine keeps its helpers by name for the whole process
        cfg={},
    )
    if fit.ranks.first:
        for log in (runner.logger, *runner.logger.handlers):
            log.setLevel("INFO")  # from here on hooks speak
    runner._train_loop = _Loop(runner, fit)
    return runner


def _forget(runner: Runner) -> None:
    """MMEngine keeps what it made for a Runner, an open file among it, until the process ends."""
    for handler in list(runner.logger.handlers):
        handler.close()
        runner.logger.removeHandler(handler)
    for kind in (MMLogger, MessageHub, Visualizer, DefaultScope):
        kind._instance_dict.pop(runner.experiment_name, None)
