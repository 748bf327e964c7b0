"""The contract of an engine, and the one training step that all engines take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from zoo.datasets.loaders import Loaders
    from zoo.run import Run
    from zoo.tasks.task import Task

Update = Callable[[str, Tensor], None]


class Engine:
    """Drives training: supplies devices, ranks, `backward` and the outer loop, and leaves everything else to `Fit`."""

    def fit(self, task: Task, data: Loaders, run: Run) -> None:
        """Train `task` on `data` by the run's recipe; afterwards the task holds the best weights."""
        raise NotImplementedError  # an engine that cannot fit is none


def training_step(
    module: Callable[..., dict[str, Tensor]], players: Mapping[str, nn.Module], batch: Mapping[str, Any], update: Update
) -> dict[str, Tensor]:
    """Each player in turn computes its losses and updates its own weights; the others' weights stand still.

    Args:
        module: the task, or a wrapper of it (a compiler's, several devices') whose call is `task.losses(batch, player)`.
        players: `task.players()`.
        batch: on the device.
        update: takes a player's name and the scalar to lower.

    Returns:
        All named losses, detached: `loss`, or `<player>/loss` where there are several players.
    """
    logged: dict[str, Tensor] = {}
    for name in players:
        with waiting(players, name):
            losses = module(batch, name)
            if losses:
                update(name, _lowered(losses, name))
        prefix = f"{name}/" if len(players) > 1 else ""
        logged |= {prefix + key: value.detach() for key, value in losses.items()}
    return logged


def _lowered(losses: Mapping[str, Tensor], player: str) -> Tensor:
    if "loss" not in losses:
        raise ValueError(
            f"losses of player {player!r}: expected 'loss', the scalar to lower, found {', '.join(losses)}; return {{}} to sit out"
        )
    return losses["loss"]


@contextmanager
def waiting(players: Mapping[str, nn.Module], active: str) -> Iterator[None]:
    """The weights of all players but `active` ask for no gradient; afterwards each asks as it did before."""
    others = [weight for name, player in players.items() if name != active for weight in player.parameters() if weight.requires_grad]
    for weight in others:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in others:
            weight.requires_grad_(True)
