"""The processes that train together: which of them this one is, and what they tell each other.

Whoever starts them (`zoo.launch`, torchrun, SLURM's srun) says so in environment variables. A process alone is rank 0 of 1; then
nothing here imports torch.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from zoo.errors import RecipeError, ZooError

if TYPE_CHECKING:
    from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")


class RankLostError(ZooError):
    """Another process of the training is gone, so that this one cannot go on."""

    common = True


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together.

    Attributes:
        rank: its number; rank 0 writes and speaks.
        world: how many there are.
        local: its number on this machine, which is also that of its GPU.
        here: how many there are on this machine.
    """

    rank: int = 0
    world: int = 1
    local: int = 0
    here: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of a batch. All parts have one length, as gradients are averaged over them: up to `world` - 1 are left."""
        size = len(items) // self.world
        return items[self.rank * size : (self.rank + 1) * size]


_START = "start with torchrun or srun, or unset them"


def ranks() -> Ranks:
    """Who this process is, by the variables of torchrun or, without them, of a SLURM step.

    Raises:
        RecipeError: the variables contradict each other.
    """
    env = os.environ
    try:
        if "RANK" in env and "WORLD_SIZE" in env:
            local = int(env.get("LOCAL_RANK", 0))
            found = Ranks(int(env["RANK"]), int(env["WORLD_SIZE"]), local, int(env.get("LOCAL_WORLD_SIZE", local + 1)))
        elif int(env.get("SLURM_STEP_NUM_TASKS", 1)) > 1:  # and not SLURM_NTASKS, which a batch script's own shell has too
            each = re.fullmatch(r"(\d+)(\(x\d+\))?", env["SLURM_STEP_TASKS_PER_NODE"])
            if not each:
                raise ValueError(f"SLURM_STEP_TASKS_PER_NODE={env['SLURM_STEP_TASKS_PER_NODE']}: expected one number for all machines")
            tasks = int(each[1])
            found = Ranks(int(env["SLURM_PROCID"]), int(env["SLURM_STEP_NUM_TASKS"]), int(env["SLURM_LOCALID"]), tasks)
        else:
            return Ranks()
    except (KeyError, ValueError) as error:
        raise RecipeError(f"variables of torchrun or SLURM are missing or no numbers ({error}): {_START}") from error
    if not (0 <= found.rank < found.world and 0 <= found.local < found.here and found.world % found.here == 0):
        raise RecipeError(f"the variables of torchrun or SLURM contradict each other ({found}): {_START}")
    return found


def first_only(write: Callable[P, None]) -> Callable[P, None]:
    """What only rank 0 does, such as writing a file; the others pass by."""

    @functools.wraps(write)
    def passing(*args: P.args, **kwargs: P.kwargs) -> None:
        if ranks().first:
            write(*args, **kwargs)

    return passing


# ---------------------------------------------------------------- together


@contextmanager
def joined(device: str = "auto") -> Iterator[None]:
    """Within, the ranks are connected: over gloo, and between CUDA devices over NCCL.

    Args:
        device: as `train.device`; each rank takes the GPU of its local number.

    Raises:
        RankLostError: one of the others went away meanwhile.
    """
    me = ranks()
    if me.world == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    os.environ.update(meeting_point(os.environ))
    if device != "cpu" and me.local < torch.cuda.device_count():
        torch.cuda.set_device(me.local)
    place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    if me.first:
        print(f"waiting for {me.world} processes at {place}", file=sys.stderr, flush=True)
    try:
        dist.init_process_group()
    except RuntimeError as error:
        why = str(error).splitlines()[0]
        raise ZooError(
            f"the processes of this training cannot meet at {place} ({why}): set MASTER_ADDR to the first machine and MASTER_PORT to a "
            "free port, the same for all"
        ) from error
    try:
        yield
        if dist.is_initialized():
            dist.destroy_process_group()  # not after an error: a rank that waits for one that is gone would wait here as well
    except RuntimeError as error:
        found = re.search(r"[Cc]onnection (closed|reset|refused)( by peer)?|Broken pipe", str(error))
        if not found:
            raise
        raise RankLostError(
            f"rank {me.rank} of {me.world} cannot reach the others ({found.group()}): one of them ended; its own message says why"
        ) from error


def meeting_point(env: Mapping[str, str]) -> dict[str, str]:
    """The variables by which PyTorch's ranks find each other; under SLURM made from the step's own."""
    me = ranks()
    names = {"RANK": me.rank, "WORLD_SIZE": me.world, "LOCAL_RANK": me.local, "LOCAL_WORLD_SIZE": me.here}
    found = {name: str(value) for name, value in names.items()}
    if "MASTER_ADDR" not in env:
        found["MASTER_ADDR"] = first_host(env.get("SLURM_STEP_NODELIST", "127.0.0.1"))
    if "MASTER_PORT" not in env:  # of the job and step, so that two of them on one machine do not meet
        found["MASTER_PORT"] = str(20_000 + (int(env.get("SLURM_JOB_ID", 0)) * 31 + int(env.get("SLURM_STEP_ID", 0))) % 20_000)
    return found


def first_host(hosts: str) -> str:
    """The first name of a SLURM list: `gpu[03-05,09]` -> `gpu03`, `a,b` -> `a`."""
    found = re.match(r"([^,\[]*)(?:\[(\d+)[^\]]*\]([^,\[]*))?", hosts)
    assert found  # every part may be empty
    return "".join(part or "" for part in found.groups())


@contextmanager
def first_goes_first() -> Iterator[None]:
    """Within, rank 0 is alone until it is done; then the others follow and find what it drew or downloaded."""
    me = ranks()
    if me.world == 1:
        yield
        return
    import torch.distributed as dist

    if not me.first:
        dist.barrier()
    yield
    if me.first:
        dist.barrier()


def dismiss() -> None:
    """The end for all but rank 0, which does alone what follows. They leave the connection together, as NCCL asks.

    Raises:
        SystemExit: this is another rank.
    """
    me = ranks()
    if me.world > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.barrier()
            dist.destroy_process_group()
    if not me.first:
        raise SystemExit(0)


def told(text: str) -> str:
    """What rank 0 says, for all."""
    me = ranks()
    if me.world == 1:
        return text
    import torch
    import torch.distributed as dist

    content = torch.tensor(list(text.encode()), dtype=torch.uint8)
    length = torch.tensor([len(content)])
    dist.broadcast(length, 0)
    if not me.first:
        content = torch.empty(int(length), dtype=torch.uint8)
    dist.broadcast(content, 0)
    return bytes(content.tolist()).decode()


def most(value: int) -> int:
    """The largest of the ranks' numbers."""
    if ranks().world == 1:
        return int(value)
    import torch
    import torch.distributed as dist

    found = torch.tensor([value])  # on the CPU, whatever the ranks compute on: no device is waited for
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


def mean(value: Tensor) -> Tensor:
    """The mean over the ranks, in place."""
    me = ranks()
    if me.world > 1:
        import torch.distributed as dist

        dist.all_reduce(value)
        value /= me.world
    return value


def gathered(value: Tensor) -> list[Tensor]:
    """The tensors of all ranks, in their order; all have one shape."""
    me = ranks()
    if me.world == 1:
        return [value]
    import torch
    import torch.distributed as dist

    found = [torch.empty_like(value) for _ in range(me.world)]
    dist.all_gather(found, value)
    return found


def take_from_first(tensors: Iterator[Tensor]) -> None:
    """Overwrite tensors by those of rank 0."""
    if ranks().world > 1:
        import torch.distributed as dist

        for tensor in tensors:
            dist.broadcast(tensor, 0)
