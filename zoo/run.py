"""Run: the folder a training leaves behind. Plain files only: YAML, JSON, CSV, PNG, HTML and safetensors; nothing is pickled.

Of several processes that train together rank 0 makes the folder and writes; the others read.
"""

from __future__ import annotations

import contextlib
import csv
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
from zoo.document import read_text
from zoo.errors import RecipeError, ZooError
from zoo.progress import say
from zoo.ranks import first_only, ranks, told
from zoo.recipe import Recipe
from zoo.spec import DataSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

State = dict[str, Any]


class Run:
    """A run folder and its recipe. As a context it holds a new folder until something worth keeping is in it.

    Attributes:
        folder: `$ZOO_HOME/runs/<recipe>/<id>`.
        recipe: effective, with every default.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder, self.recipe = folder, recipe
        self.new = False

    @classmethod
    def open(cls, recipe: Recipe, resume: Path | None = None) -> Run:
        """Make a new run folder, or open the one to go on in.

        Raises:
            ZooError: the folder cannot be made, or is no run.
        """
        if resume is not None:
            return cls.read(resume)
        if not ranks().first:
            return cls(Path(told("")), recipe)
        if recipe.train.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise RecipeError("train.tensorboard=true needs TensorBoard: pip install 'zoo[tensorboard]', or leave it out")
        parent = paths.runs() / recipe.name
        try:
            run = cls(_new_folder(parent, time.strftime("%Y%m%d-%H%M%S")), recipe)
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
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None and self.new and not self.history() and self.newest_checkpoint() is None:
            self._remove()
        elif kind is not None:
            say(f"the run so far is in {self.folder}")

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
        path = self.folder / name
        partial = path.with_name(f".{path.name}.partial")
        try:
            path.parent.mkdir(exist_ok=True)
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise _unwritable(path, error) from error

    def write_json(self, name: str, value: object) -> None:
        """Write plain data; NaN and infinity become null, which every reader of JSON knows."""
        self.write_text(name, json.dumps(_finite(value), indent=2, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Read what `write_json` wrote; None if the file is not there.

        Raises:
            ZooError: the file is broken.
        """
        path = self.folder / name
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
        except (ValueError, RecursionError) as error:
            raise ZooError(f"{path}: not readable as JSON ({error})") from error

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
        path = self.folder / "history.jsonl"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_finite(row)) + "\n")
        except OSError as error:
            raise _unwritable(path, error) from error
        if self.recipe.train.tensorboard:
            _tensorboard(self.folder, row)

    def history(self) -> list[dict[str, Any]]:
        """The rows so far; a last row that was cut off is left out."""
        path = self.folder / "history.jsonl"
        rows = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            with contextlib.suppress(ValueError):
                rows.append(json.loads(line))
        return rows

    @first_only
    def cut_history(self, step: int) -> None:
        """Leave out the rows after `step`: they will be written again."""
        if not (self.folder / "history.jsonl").is_file():
            return
        rows = [row for row in self.history() if row["step"] <= step]
        self.write_text("history.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    # ------------------------------------------------------------ weights and checkpoints

    @first_only
    def save_best(self, task: nn.Module, epoch: int) -> None:
        """Keep the task's weights as the best so far (a copy in a file: weights in memory go on changing)."""
        self.write_bytes("checkpoints/best.safetensors", _safetensors(task.state_dict()))
        self.write_json("checkpoints/best.json", {"epoch": epoch})

    def load_best(self, task: nn.Module) -> None:
        """Give the task the best weights.

        Raises:
            ZooError: they are missing or broken.
        """
        task.load_state_dict(_read_safetensors(self.folder / "checkpoints" / "best.safetensors"))

    def save_weights(self, task: nn.Module) -> str:
        """Write `weights.safetensors`; returns `weights_sha256` of them."""
        state = task.state_dict()
        self.write_bytes("weights.safetensors", _safetensors(state))
        return weights_sha256(state)

    @first_only
    def save_checkpoint(self, state: State) -> None:
        """Save the training state (nested dicts of tensors and plain data) in place of the last one."""
        tensors: dict[str, Tensor] = {}
        plain = _take_out(state, tensors, "")
        step = int(state["step"])
        self.write_bytes(f"checkpoints/{step}.safetensors", _safetensors(tensors))
        self.write_text(f"checkpoints/{step}.json", json.dumps(plain))  # not `write_json`: NaN stays NaN here
        for other in (self.folder / "checkpoints").iterdir():
            left = other.name.endswith(".partial") or (other.stem.isdigit() and other.stem != str(step))
            if left:
                other.unlink(missing_ok=True)

    def newest_checkpoint(self) -> int | None:
        """The step of the newest whole checkpoint, or None."""
        files = (self.folder / "checkpoints").glob("*.json")
        return max((int(file.stem) for file in files if file.stem.isdigit() and file.with_suffix(".safetensors").is_file()), default=None)

    def checkpoint(self) -> State | None:
        """The newest training state, or None.

        Raises:
            ZooError: it is broken.
        """
        step = self.newest_checkpoint()
        if step is None:
            return None
        tensors = _read_safetensors(self.folder / "checkpoints" / f"{step}.safetensors")
        state: State = _put_back(self.read_json(f"checkpoints/{step}.json"), tensors)
        return state

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


def environment() -> dict[str, Any]:
    """What the run depends on beyond its recipe: versions, machine, command."""
    packages = {}
    for name in ("zoo", "torch", "torchvision", "timm", "numpy", "pillow", "pydantic", "safetensors", "torchmetrics", "matplotlib"):
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


def _unwritable(path: Path, error: OSError) -> ZooError:
    return ZooError(f"{path}: cannot be written ({error.strerror}): free the disk or mend the folder; what was written before is whole")


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


def _safetensors(state: Mapping[str, Tensor]) -> bytes:
    from safetensors.torch import save

    content: bytes = save({name: tensor.detach().contiguous().clone() for name, tensor in state.items()})
    return content


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ZooError(f"{path}: cannot be read ({error}); remove {path.parent} to train this run anew") from error
    return tensors


def _take_out(value: Any, tensors: dict[str, Tensor], name: str) -> Any:
    """Nested data -> what JSON can hold; tensors go to `tensors`. Dicts become pairs, so that their keys may be numbers."""
    if isinstance(value, dict):
        return {"pairs": [[key, _take_out(inner, tensors, f"{name}/{key}")] for key, inner in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_take_out(inner, tensors, f"{name}/{number}") for number, inner in enumerate(value)]}
    if hasattr(value, "dtype"):
        tensors[name] = value
        return {"tensor": name}
    return value


def _put_back(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    if "pairs" in value:
        return {key: _put_back(inner, tensors) for key, inner in value["pairs"]}
    if "list" in value:
        return [_put_back(inner, tensors) for inner in value["list"]]
    return tensors[value["tensor"]]


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
