"""The checkpoints of a run: training states to go on from, and the weights of epochs that are kept.

Each file is written under another name, flushed to the disk and renamed; the manifest that lists it, with its size and SHA-256, is
written after it. So a cut at any moment leaves the last whole checkpoint whole. Tensors are safetensors, the rest is JSON.

    checkpoints/manifest.json        what is here; `last` and `best` point into it
    checkpoints/<step>.safetensors   tensors of a training state: weights, optimisers, averages, random states
    checkpoints/<step>.json          its plain rest
    checkpoints/epoch-<n>.safetensors   weights as they were validated after an epoch
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError
from zoo.files import read_json, write_bytes
from zoo.progress import say

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, Any]
KEPT = 2
"""Training states that are kept: were the newest damaged, the one before is there."""


@dataclass(frozen=True)
class File:
    """A file as it was written."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Saved:
    """A training state: the file of its tensors, that of its plain rest, and the epoch whose weights were the best by then (0: none)."""

    tensors: File
    plain: File
    best: int


@dataclass(frozen=True)
class Manifest:
    """What the folder holds.

    Attributes:
        states: step -> its training state.
        weights: epoch -> its file.
    """

    states: dict[int, Saved]
    weights: dict[int, File]

    @property
    def last(self) -> int:
        """Step of the newest state, 0 before there is one."""
        return max(self.states, default=0)

    @property
    def best(self) -> int:
        """Epoch of the best weights, 0 before there are any."""
        return self.states[self.last].best if self.states else 0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        states = {str(step): asdict(saved) for step, saved in self.states.items()}
        return {
            "last": self.last,
            "best": self.best,
            "states": states,
            "weights": {str(epoch): asdict(f) for epoch, f in self.weights.items()},
        }

    @staticmethod
    def from_json(value: Any) -> Manifest:
        """Read what `to_json` gave.

        Raises:
            TypeError, KeyError, ValueError, AttributeError: it is something else.
        """
        states = {
            int(step): Saved(_file(saved["tensors"]), _file(saved["plain"]), int(saved["best"])) for step, saved in value["states"].items()
        }
        return Manifest(states, {int(epoch): _file(item) for epoch, item in value["weights"].items()})


def _file(value: Any) -> File:
    file = File(str(value["name"]), int(value["size"]), str(value["sha256"]))
    if Path(file.name).name != file.name or file.name.startswith("."):
        raise ValueError(f"{file.name!r} is no name of a file here")
    return file


class Checkpoints:
    """The folder `checkpoints/` of a run.

    Args:
        folder: need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unlisted: dict[int, File] = {}  # weights of epochs that no training state knows of yet

    @property
    def manifest(self) -> Manifest:
        """What is here.

        Raises:
            ZooError: the manifest is broken.
        """
        file = self.folder / "manifest.json"
        value = read_json(file)
        try:
            return Manifest({}, {}) if value is None else Manifest.from_json(value)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise ZooError(f"{file}: no manifest of checkpoints ({error!r}); remove {self.folder} to train this run anew") from error

    # ------------------------------------------------------------ writing

    def save_weights(self, weights: Mapping[str, Tensor], epoch: int) -> None:
        """Keep weights of an epoch; until the next state is saved nothing points to them."""
        self.unlisted[epoch] = self._write(f"epoch-{epoch}.safetensors", to_bytes(weights))

    def save(self, state: State, best: int, keep: Iterable[int] = ()) -> None:
        """Save a training state as the newest, and then leave out what is no longer needed.

        Args:
            state: nested dicts of tensors and plain data, with `step`.
            best: epoch whose weights are the best so far, 0 for none.
            keep: epochs whose weights are kept beside.
        """
        step = int(state["step"])
        tensors: dict[str, Tensor] = {}
        plain = json.dumps(_take_out(state, tensors, ""))  # NaN stays NaN here
        saved = Saved(self._write(f"{step}.safetensors", to_bytes(tensors)), self._write(f"{step}.json", plain.encode()), best)
        known = self.manifest
        earlier = {number: kept for number, kept in known.states.items() if number < step}  # later ones: a course that was left
        states = {number: earlier[number] for number in sorted(earlier)[1 - KEPT :]} | {step: saved}
        wanted = {kept.best for kept in states.values()} | set(keep)
        manifest = Manifest(states, {epoch: file for epoch, file in (known.weights | self.unlisted).items() if epoch in wanted})
        write_bytes(self.folder / "manifest.json", json.dumps(manifest.to_json(), indent=1).encode())
        self.unlisted = {}
        self._prune(manifest)

    def _write(self, name: str, content: bytes) -> File:
        with ThreadPoolExecutor(1) as side:  # neither waits for the other: one computes, one waits for the disk
            digest = side.submit(lambda: hashlib.sha256(content).hexdigest())
            write_bytes(self.folder / name, content)
        return File(name, len(content), digest.result())

    def _prune(self, known: Manifest) -> None:
        files = [file for saved in known.states.values() for file in (saved.tensors, saved.plain)] + [*known.weights.values()]
        listed = {file.name for file in files}
        for file in self.folder.iterdir():
            if file.name not in listed and file.name != "manifest.json" and file.is_file():
                file.unlink(missing_ok=True)

    # ------------------------------------------------------------ reading

    def newest(self) -> int | None:
        """The step of the newest state that the manifest lists, or None; whether it is whole is seen when it is read."""
        return max(self.manifest.states, default=None)

    def read(self) -> State | None:
        """The newest whole training state; says which it leaves out, and why. None if there was never one.

        Raises:
            ZooError: there are some, and none of them is whole.
        """
        states, problems = self.manifest.states, []
        for step in sorted(states, reverse=True):
            try:
                plain = self._read_state(states[step])
            except ZooError as error:
                problems.append(str(error))
                continue
            for problem in problems:
                say(f"WARNING: a newer checkpoint is left out: {problem}")
            return plain
        if problems:
            raise ZooError(f"no checkpoint of this run is whole: {'; '.join(problems)}. Remove {self.folder} to train this run anew")
        return None

    def _read_state(self, saved: Saved) -> State:
        for file in (saved.tensors, saved.plain):
            self._check(file)
        try:
            state = _put_back(read_json(self.folder / saved.plain.name), read_tensors(self.folder / saved.tensors.name))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ZooError(f"{self.folder / saved.plain.name}: no training state ({error!r})") from error
        if not isinstance(state, dict):
            raise ZooError(f"{self.folder / saved.plain.name}: no training state")
        return state

    def read_weights(self, epoch: int) -> dict[str, Tensor]:
        """The weights of an epoch.

        Raises:
            ZooError: they are not kept, or broken.
        """
        known = self.manifest
        weights = known.weights | self.unlisted
        if epoch not in weights:
            kept = ", ".join(f"{number}{' (best)' if number == known.best else ''}" for number in sorted(weights))
            raise ZooError(
                f"{self.folder.parent}: the weights of epoch {epoch} are not kept; kept are {kept or 'none'}. "
                f"checkpoint.keep_epochs=[{epoch}] keeps them in the next training"
            )
        self._check(weights[epoch])
        return read_tensors(self.folder / weights[epoch].name)

    def _check(self, file: File) -> None:
        path = self.folder / file.name
        if not path.is_file():
            raise ZooError(f"{path} is missing")
        if path.stat().st_size != file.size:
            raise ZooError(f"{path} has {path.stat().st_size} bytes and should have {file.size}")
        with path.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
                raise ZooError(f"{path} was changed or damaged (its SHA-256 is another)")


# ---------------------------------------------------------------- tensors and plain data


def to_bytes(state: Mapping[str, Tensor]) -> bytes:
    """A safetensors file of these tensors, which may be views of one another."""
    from safetensors.torch import save

    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in state.items():
        tensor = tensor.detach().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if memory in seen else tensor  # the format knows no tensors that share memory
        seen.add(memory)
    content: bytes = save(apart)
    return content


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        ZooError: it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ZooError(f"{path}: cannot be read ({error})") from error
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
