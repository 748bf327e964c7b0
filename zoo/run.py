"""Run: the folder a training leaves behind. Plain files only: YAML, JSON, CSV, PNG, HTML and safetensors; nothing is pickled.

Of several processes that train together rank 0 makes the folder and writes; the others read.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import importlib.util
import io
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from zoo import paths
from zoo.checkpoints import Checkpoints, State, to_bytes
from zoo.document import read_text
from zoo.errors import DivergedError, RecipeError, ZooError
from zoo.files import read_json, read_rows, unwritable, write_bytes
from zoo.progress import say
from zoo.ranks import first_only, ranks, told
from zoo.recipe import Recipe
from zoo.spec import DataSpec

if TYPE_CHECKING:
    from torch import Tensor, nn


SNAPSHOTS = "snapshots"
"""Folder of what a task made after each epoch."""
HISTORY = "history.jsonl"
CONFUSION = "confusion.jsonl"
"""A row for each epoch of a classifier, with its confusion matrix; see `zoo.epochs`."""
PREDICTIONS = "predictions"
"""Folder of what a classifier answered after each epoch."""


def predictions_file(epoch: int) -> str:
    """The name of what a classifier answered after an epoch."""
    return f"{PREDICTIONS}/epoch_{epoch:04d}.csv.gz"


class Run:
    """A run folder and its recipe. As a context it holds a new folder until something worth keeping is in it.

    Attributes:
        folder: `$ZOO_HOME/runs/<recipe>/<id>`.
        recipe: effective, with every default.
        max_seconds: how long this session may train, not the run.
    """

    def __init__(self, folder: Path, recipe: Recipe, max_seconds: float | None = None) -> None:
        self.folder, self.recipe = folder, recipe
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self.new = False
        self.max_seconds = max_seconds
        self.forced: Sequence[str] = ()

    @classmethod
    def open(cls, recipe: Recipe, resume: Path | None = None, forced: Sequence[str] = (), max_seconds: float | None = None) -> Run:
        """Make a new run folder, or open the one to go on in. Entered as a context, no other process can train in it.

        Args:
            recipe: effective.
            resume: the folder to go on in.
            forced: changes of a run that goes on which make another one of it: they are noted there.
            max_seconds: after which the training stops and can be resumed.

        Raises:
            ZooError: the folder cannot be made, or is no run.
        """
        if resume is not None:
            run = cls(resume.resolve(), recipe, max_seconds)
            run.forced = forced
            return run
        if not ranks().first:
            return cls(Path(told("")), recipe, max_seconds)
        if recipe.train.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise RecipeError("train.tensorboard=true needs TensorBoard: pip install 'zoo[tensorboard]', or leave it out")
        parent = paths.runs() / recipe.name
        try:
            run = cls(_new_folder(parent, time.strftime("%Y%m%d-%H%M%S")), recipe, max_seconds)
        except OSError as error:
            raise ZooError(
                f"{parent}: a run folder cannot be made there ({error.strerror}): set ZOO_HOME to a folder that can be written"
            ) from error
        run.new = True
        try:
            run.write_text("recipe.yaml", recipe.to_yaml())
            run.write_json("environment.json", environment())
            told(str(run.folder))
        except BaseException:
            run._remove()
            raise
        return run

    @classmethod
    def read(cls, folder: str | Path) -> Run:
        """Open an existing run folder.

        Raises:
            RecipeError: it is no run folder.
        """
        folder = Path(folder)
        file = folder / "recipe.yaml"
        if not file.is_file():
            raise RecipeError(f"{folder}: no run folder (it has no recipe.yaml); runs are in {paths.runs()}/<recipe>/<id>")
        try:
            text = read_text(file)
        except (OSError, ValueError) as error:
            raise RecipeError(f"{file}: cannot be read: {error}") from error
        return cls(folder.resolve(), Recipe.parse(text, str(file), folder.resolve().parent.name))

    def __enter__(self) -> Run:
        if not self.new:
            self._refuse_links()
        self._lock()
        if not self.new:
            self.write_text("recipe.yaml", self.recipe.to_yaml())  # a run may go on longer, or with other workers
        if self.forced:
            before = (self.read_json("environment.json") or {}).get("forced", [])
            self.note_environment({"forced": [*before, *self.forced]})
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        bare = self.new and not self.history() and self.newest_checkpoint() is None and not isinstance(value, DivergedError)
        if kind is not None and bare:
            self._remove()
        elif kind is not None:
            say(f"the run so far is in {self.folder}")
        self._unlock()

    def _refuse_links(self) -> None:
        """A folder from elsewhere could name files outside of it, which a training would write to.

        Raises:
            RecipeError: there is a link in it.
        """
        link = next((path for path in self.folder.rglob("*") if path.is_symlink()), None)
        if link is not None:
            raise RecipeError(f"{link}: a link in a run that is to go on; put the file itself there")

    @first_only
    def _lock(self) -> None:
        """One process trains in a run. The lock is the process's and ends with it; its workers do not inherit it.

        Raises:
            ZooError: another one does.
        """
        path = self.folder / ".lock"
        try:
            self.lock = path.open("a")
            if importlib.util.find_spec("fcntl"):  # Windows has no such locks
                import fcntl

                fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES) and os.access(self.folder, os.W_OK):
                raise ZooError(f"{self.folder}: another process is training in this run; wait until it ends, or stop it") from error
            if error.errno != errno.ENOLCK:  # a network disk without locks
                raise unwritable(path, error) from error

    @first_only
    def _unlock(self) -> None:
        self.lock.close()
        with contextlib.suppress(OSError):
            (self.folder / ".lock").unlink()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()  # if this was the recipe's first run

    # ------------------------------------------------------------ files

    def write_text(self, name: str, text: str) -> None:
        """Write a file whole or not at all."""
        self.write_bytes(name, text.encode("utf-8", "surrogateescape"))

    @first_only
    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        write_bytes(self.folder / name, content)

    def write_json(self, name: str, value: object) -> None:
        """Write plain data; NaN and infinity become null, which every reader of JSON knows."""
        self.write_text(name, json.dumps(_finite(value), indent=2, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Read what `write_json` wrote; None if the file is not there.

        Raises:
            ZooError: the file is broken.
        """
        return read_json(self.folder / name)

    def write_rows(self, name: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Write a CSV file."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        self.write_text(name, text.getvalue())

    @first_only
    def note_environment(self, facts: Mapping[str, Any]) -> None:
        """Add to `environment.json` what was chosen on this machine."""
        self.write_json("environment.json", (self.read_json("environment.json") or {}) | dict(facts))

    # ------------------------------------------------------------ history

    @first_only
    def log(self, row: Mapping[str, Any]) -> None:
        """Append a row to `history.jsonl`, and to TensorBoard's events if the recipe wishes."""
        self.append(HISTORY, row)
        if self.recipe.train.tensorboard:
            _tensorboard(self.folder, row)

    @first_only
    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """Append a row to a file of JSON lines."""
        path = self.folder / name
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_finite(row)) + "\n")
        except OSError as error:
            raise unwritable(path, error) from error

    def history(self) -> list[dict[str, Any]]:
        """The rows so far; a last row that was cut off is left out."""
        return read_rows(self.folder / HISTORY)

    def confusions(self) -> list[dict[str, Any]]:
        """The rows of `confusion.jsonl`, likewise; see `zoo.epochs.confusions`."""
        return read_rows(self.folder / CONFUSION)

    @first_only
    def cut_history(self, step: int) -> None:
        """Leave out the rows after `step`, and the predictions after the last row's epoch: they will be written again."""
        for name in (HISTORY, CONFUSION):
            if (self.folder / name).is_file():
                rows = [row for row in read_rows(self.folder / name) if row["step"] <= step]
                self.write_text(name, "".join(json.dumps(row) + "\n" for row in rows))
        last = max((row["epoch"] for row in self.history()), default=0)
        for path in (self.folder / PREDICTIONS).glob("epoch_*.csv.gz"):
            number = path.name.removeprefix("epoch_").removesuffix(".csv.gz")
            if number.isdecimal() and int(number) > last:
                path.unlink()

    @first_only
    def keep_snapshot(self, epoch: int, png: bytes) -> None:
        """Keep a picture of what the task makes after an epoch, for the film of its training."""
        self.write_bytes(f"{SNAPSHOTS}/epoch_{epoch:04d}.png", png)

    # ------------------------------------------------------------ weights and checkpoints

    @first_only
    def keep_weights(self, task: nn.Module, epoch: int) -> None:
        """Keep the task's weights as they are after an epoch (a copy in a file: weights in memory go on changing)."""
        self.checkpoints.save_weights(task.state_dict(), epoch)

    def load_weights(self, task: nn.Module, epoch: int) -> None:
        """Give the task the weights of an epoch.

        Raises:
            ZooError: they are not kept, or broken.
        """
        task.load_state_dict(self.checkpoints.read_weights(epoch))

    def save_weights(self, task: nn.Module) -> str:
        """Write `weights.safetensors`; returns `weights_sha256` of them."""
        state = task.state_dict()
        self.write_bytes("weights.safetensors", to_bytes(state))
        return weights_sha256(state)

    @first_only
    def save_checkpoint(self, state: State, best: int = 0) -> None:
        """Save the training state (nested dicts of tensors and plain data, with `step`); `best` is the best epoch so far."""
        self.checkpoints.save(state, best, self.recipe.checkpoint.keep_epochs)

    def newest_checkpoint(self) -> int | None:
        """The step of the newest training state, or None."""
        return self.checkpoints.newest()

    def checkpoint(self) -> State | None:
        """The newest whole training state, or None.

        Raises:
            ZooError: all are broken.
        """
        return self.checkpoints.read()

    # ------------------------------------------------------------ what a finished run says of itself

    @property
    def spec(self) -> DataSpec:
        """The data the run was trained on."""
        return DataSpec.from_json(self.read_json("spec.json"))

    @property
    def metrics(self) -> dict[str, Any]:
        """`metrics.json`, {} for a run that is not finished."""
        return self.read_json("metrics.json") or {}

    @property
    def split(self) -> dict[str, Any]:
        """`split.json`, {} where it was not written yet."""
        return self.read_json("split.json") or {}

    @property
    def finished(self) -> bool:
        """Whether it has weights and metrics."""
        return (self.folder / "weights.safetensors").is_file() and (self.folder / "metrics.json").is_file()


FREE = (
    *("question", "expect", "reference", "checkpoint", "data.root", "data.workers", "data.duplicates", "train.epochs", "train.max_steps"),
    *("train.engine", "train.device", "train.devices", "train.nodes"),
    *("train.on_oom", "train.log_every", "train.log_gradients", "train.tensorboard", "train.callbacks", "train.loggers", "train.hooks"),
)
"""Keys that may change when a run goes on: its length, what computes and what watches it."""


def going_on(run: Run, changes: Sequence[str], force: bool = False) -> tuple[Recipe, list[str]]:
    """The recipe with which a run goes on, and what was changed in it that would have made another run.

    Raises:
        RecipeError: a change is wrong, or would make another run of it (unless `force`).
    """
    recipe = run.recipe.changed(changes)
    other = differences(run.recipe, recipe, FREE)
    if other and not force:
        raise RecipeError(
            f"--resume {run.folder}: {', '.join(other)}: a run goes on as it was begun, or its numbers mean nothing. Start a new run, or "
            f"say --force, and the run is marked. Free to change are {', '.join(FREE[3:])}"
        )
    return recipe, other


def differences(stored: Recipe, wished: Recipe, free: Sequence[str]) -> list[str]:
    """What of a recipe differs from the one that was trained, but for keys that are free to change: `key=now (was then)`."""
    before, after = _flat(stored.to_dict()), _flat(wished.to_dict())
    return [
        f"{key}={after.get(key)} (was {before.get(key)})"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and not any(key == name or key.startswith(f"{name}.") for name in free)
    ]


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Nested sections -> dotted keys."""
    if not isinstance(value, dict) or not value:
        return {key: value}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= _flat(inner, f"{key}.{name}" if key else name)
    return found


def _new_folder(parent: Path, stamp: str) -> Path:
    """`<stamp>`, or `<stamp>-2` and so on: two trainings may start in one second."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


PACKAGES = (
    "zoo", "torch", "torchvision", "timm", "numpy", "pillow", "pydantic", "safetensors", "torchmetrics", "matplotlib", "mmdet", "mmcv-lite",
)  # fmt: skip
"""Whose versions are kept with a run, where they are installed."""


def environment() -> dict[str, Any]:
    """What the run depends on beyond its recipe: versions, machine, command."""
    packages = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            packages[name] = metadata.version(name)
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "packages": packages,
    }


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) over names, types, shapes and bytes of tensors, in the order of the names.

    The file itself has no such digest: safetensors orders its header as it likes.
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _tensorboard(folder: Path, row: Mapping[str, Any]) -> None:
    """Append an epoch's numbers to the event files in the run folder."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / "tensorboard")) as writer:
        for name, value in row.items():
            if isinstance(value, int | float):
                writer.add_scalar(name, value, row["step"])
