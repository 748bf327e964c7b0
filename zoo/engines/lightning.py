"""PyTorch Lightning drives the training step: its strategies, callbacks and loggers, with manual optimisation.

Lightning is given the stream of batches and calls the one training step; epochs are its own, one for one, so that callbacks see
them. It neither samples, validates, schedules, scales nor saves: `Fit` does.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any, Self

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor

from zoo.datasets.loaders import Batch, Loaders
from zoo.engines.engine import Engine
from zoo.engines.fit import Fit
from zoo.plugins import plugins
from zoo.ranks import Ranks
from zoo.run import Run
from zoo.tasks.task import Task


class Lightning(Engine):
    """PyTorch Lightning's Trainer, on one device or several (DistributedDataParallel)."""

    def fit(self, task: Task, data: Loaders, run: Run) -> None:
        """See `Engine.fit`."""
        fit = Fit(task, data, run)
        with ExitStack() as stack, _quiet():
            stack.callback(fit.put_handlers_back)  # also where Lightning fails, or is interrupted, before the run is taken up
            trainer = _trainer(fit, run)
            try:
                trainer.fit(_Module(fit, lambda: stack.enter_context(fit)), _Epochs(fit))
            except SystemExit as error:
                if isinstance(error.__context__, KeyboardInterrupt):  # a second Ctrl-C, of which Lightning makes this
                    raise KeyboardInterrupt from error
                raise
            fit.finish()  # where a callback has stopped the Trainer at an epoch's end


class _Module(LightningModule):
    """The task and its training step, as Lightning asks for them."""

    def __init__(self, fit: Fit, begin: Callable[[], object]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = fit.module  # so that several devices' wrapper finds the weights
        self.fit, self.begin = fit, begin

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """For callbacks that look at them; the updater steps them."""
        return [player.optimizer for player in self.fit.updater.players.values()]

    def on_train_start(self) -> None:
        """The run is taken up only now: after Lightning has wrapped the weights, while all of them learn."""
        self.begin()
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        progress.processed = progress.completed = self.fit.epoch
        self.trainer.should_stop = self.fit.done
        self.fit.listen = self._publish
        for logger in self.trainer.loggers:
            logger.log_hyperparams(self.fit.recipe.to_dict())

    def training_step(self, batch: Batch, index: int) -> dict[str, Tensor]:
        """One batch; what falls due after it is done here as well."""
        losses = self.fit.step(batch, self.manual_backward if self.fit.ranks.world > 1 else None)
        # Lightning would count optimisers' steps: two for one batch of a GAN.
        self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.total.completed = self.fit.step_number
        if self.fit.done:
            self.trainer.should_stop = True
        return losses

    def on_train_epoch_end(self) -> None:
        """A callback may have stopped the Trainer amid the epoch."""
        if self.trainer.should_stop:
            self.fit.finish()

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """It is there already; Lightning would walk through all its paths to make sure."""
        return batch

    def cpu(self) -> Self:
        """Lightning would move the trained task away from the device on which it is measured next."""
        return self

    def _publish(self, numbers: Mapping[str, Any], step: int) -> None:
        """Callbacks find the numbers in `trainer.callback_metrics`, loggers are given them."""
        measured = {name: float(value) for name, value in numbers.items() if name not in ("epoch", "step")}
        self.log_dict(measured, logger=False, batch_size=1)
        for logger in self.trainer.loggers:
            logger.log_metrics(dict(numbers), step)


class _Epochs:
    """The stream of batches, an epoch at a time."""

    def __init__(self, fit: Fit) -> None:
        self.fit = fit
        self.stream: Iterator[Batch] | None = None

    def __len__(self) -> int:
        return self.fit.data.batches

    def __iter__(self) -> Iterator[Batch]:
        self.stream = self.stream or self.fit.batches()
        yield from islice(self.stream, len(self) - self.fit.step_number % len(self))


def _trainer(fit: Fit, run: Run) -> Trainer:
    """A Trainer that leaves to `Fit` what is `Fit`'s."""
    device, ranks, train = fit.device, fit.ranks, fit.train
    several = ranks.world > 1
    index = [device.index or 0] if device.type == "cuda" else 1
    trainer = Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=ranks.here if several else index,
        num_nodes=ranks.world // ranks.here,
        # A player that waits has weights without gradients, and so has a frozen backbone.
        strategy=DDPStrategy(find_unused_parameters=True) if several else "auto",
        plugins=[_environment(ranks)],
        max_epochs=train.epochs,
        callbacks=plugins("callbacks", train.callbacks),
        logger=plugins("loggers", train.loggers, save_dir=str(run.folder)),
        default_root_dir=run.folder,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    # Signals are ours: Lightning's handler of SIGTERM would end the training before it has saved, and of several processes each would wait
    # for its device before every batch, to ask whether one of them has met it.
    connector: Any = trainer._signal_connector
    connector.register_signal_handlers = lambda: None
    loop: Any = trainer.fit_loop.epoch_loop
    loop._broadcast_sigterm_tensor = lambda: None
    return trainer


def _environment(ranks: Ranks) -> TorchElasticEnvironment | LightningEnvironment:
    """Where Lightning reads ranks from: torchrun's variables, which `ranks.joined` has set also under SLURM; never SLURM's own,
    as Lightning would then submit the job again by itself.
    """
    return TorchElasticEnvironment() if ranks.world > 1 else LightningEnvironment()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's greeting, and without its advice on what zoo does on purpose."""
    log = logging.getLogger("pytorch_lightning")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(pytorch_)?lightning.*")
            yield
    finally:
        log.setLevel(level)
