"""An index of pictures: the vectors that a model gives them, and which of them are nearest to another picture's.

The file is safetensors with a JSON header: vectors, their covariance, names, and which model made them. Names are kept as bytes, as
the file system gives them. Nothing in it is run; what it names is opened only as a model or a picture, and never written.

Exact up to `EXACT` vectors. Above, a graph (Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using HNSW
graphs", 2018; usearch, if installed) proposes candidates, which are then measured exactly. It is made in memory once more than
`PATIENCE` queries were asked, because until then it takes longer than it saves; it is not saved, because the library would read a
stranger's file with its own code, unchecked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from zoo import packing
from zoo.errors import DataError, RecipeError, ZooError, shown
from zoo.files import write_bytes
from zoo.given import Picture, in_folder, listed
from zoo.metrics.retrieval import DISTANCES, nearest, ranked, shrunk_covariance, space
from zoo.model import Model, load
from zoo.progress import Progress, say
from zoo.run import weights_sha256

EXACT = 100_000
"""Vectors that are always compared one by one."""
PATIENCE = 30_000
"""Queries after which a graph pays: on one core, one of 150,000 vectors of 128 numbers takes 198 s, and a thousand exact answers 5.4 s."""
CANDIDATES = 100
"""At least so many are proposed by a graph, to be measured exactly."""
KEY = "zoo_index"
FORMAT = 1
MAX_BYTES = 4 * 2**30
"""Of an index file: eight million vectors of 128 numbers."""
MAX_WIDTH = 8192
"""Numbers of a vector; the covariance has as many rows and columns."""
_AT_ONCE = 256
_SOWN = 2000


@dataclass(frozen=True)
class Neighbour:
    """A picture that was found.

    Attributes:
        path: its file.
        distance: to the query, 0 for an equal vector; see `zoo.metrics.retrieval.distances`.
        rank: from 1 on.
    """

    path: Path
    distance: float
    rank: int


@dataclass(frozen=True)
class Maker:
    """The model that made an index.

    Attributes:
        recipe: its name.
        weights_sha256: of its weights.
        origin: the run folder or packed file it came from.
    """

    recipe: str
    weights_sha256: str
    origin: str


class Index:
    """Vectors of pictures, to be searched.

    Attributes:
        vectors: (N, D) float32, finite, on the CPU.
        covariance: (D, D) float64, of the vectors, shrunk; for Mahalanobis.
        paths: N names, relative to `folder` if there is one.
        maker: the model they are of.
        folder: what was indexed; None for a list of files.
    """

    def __init__(
        self, vectors: Tensor, covariance: Tensor, paths: Sequence[str], maker: Maker, folder: str | None = None, model: Model | None = None
    ) -> None:
        self.vectors, self.covariance, self.paths, self.maker, self.folder = vectors, covariance, tuple(paths), maker, folder
        self._model, self._asked = model, 0
        self._graphs: dict[str, _Graph | None] = {}

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        return f"<Index of {len(self)} pictures, {self.vectors.shape[1]} numbers each, by {shown(self.maker.recipe)}>"

    @classmethod
    def build(cls, model: Model, pictures: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], batch_size: int = 32) -> Index:
        """Index a folder and its subfolders, or a list of files.

        Raises:
            DataError: there is no picture, or one cannot be read; names it.
            RecipeError: the model embeds no pictures, or `batch_size` is no number from 1 on.
            ZooError: its vectors are not finite, or too many or too wide.
        """
        folder, files = _files(pictures)
        vectors = _vectors(model, files, batch_size)
        names = [os.path.relpath(file, folder) if folder else os.path.abspath(file) for file in files]
        maker = Maker(model.recipe.name, weights_sha256(model.task.state_dict()), os.path.abspath(model.origin))
        return cls(vectors, shrunk_covariance(vectors), names, maker, folder, model)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index as one file, whole or not at all; raises ZooError if it cannot be written."""
        from safetensors.torch import save

        names = b"\0".join(map(os.fsencode, self.paths))
        tensors = {
            "vectors": self.vectors.contiguous(),
            "covariance": self.covariance.contiguous(),
            "paths": torch.frombuffer(bytearray(names), dtype=torch.uint8),
        }
        header = {"format": FORMAT, "folder": self.folder, **asdict(self.maker)}
        write_bytes(Path(path), save(tensors, {KEY: json.dumps(header)}))

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: Model | None = None) -> Index:
        """Read an index.

        Args:
            path: what `save` wrote.
            model: embeds the queries; without it, it is loaded from where it was when it is needed.

        Raises:
            ZooError: the file is missing, damaged or no index.
            RecipeError: another model made it.
        """
        file = Path(path)
        tensors, header = _read(file)
        try:
            index = _checked(tensors, header)
        except (ValueError, KeyError, TypeError, RuntimeError) as error:  # RecursionError is a RuntimeError
            raise ZooError(f"{shown(file)}: no index, or damaged ({shown(error)}); make it again with `zoo index RUN FOLDER`") from error
        if model is not None:
            index.use(model)
        return index

    def use(self, model: Model) -> None:
        """Embed queries with this model; raises RecipeError if another one made the index."""
        digest = weights_sha256(model.task.state_dict())
        if digest != self.maker.weights_sha256:
            raise RecipeError(
                f"this index was made by {shown(self.maker.recipe)} with weights {self.maker.weights_sha256[:12]}, and {model.origin} has "
                f"weights {digest[:12]}: distances between them mean nothing. Give the model that made it, or index the pictures again"
            )
        self._model = model

    @property
    def model(self) -> Model:
        """The model that made the index, loaded from where it was."""
        if self._model is None:
            origin = self.maker.origin
            if not os.path.exists(origin):
                raise RecipeError(
                    f"{shown(origin)}: the model that made this index ({shown(self.maker.recipe)}, weights "
                    f"{self.maker.weights_sha256[:12]}) is no longer there: give it, with `--model RUN` or as Index.load(path, model)"
                )
            self.use(load(origin))
        assert self._model is not None
        return self._model

    @overload
    def search(self, image: Picture, k: int = 5, metric: str = "cosine") -> list[Neighbour]: ...  # type: ignore[overload-overlap]  # str
    @overload
    def search(self, image: Sequence[Picture], k: int = 5, metric: str = "cosine") -> list[list[Neighbour]]: ...
    def search(self, image: Picture | Sequence[Picture], k: int = 5, metric: str = "cosine") -> list[Neighbour] | list[list[Neighbour]]:
        """The pictures nearest to one, nearest first; for a list or a folder, a list of them for each.

        Args:
            image: see `Picture`; a picture of the index finds itself.
            k: how many; all if there are fewer.
            metric: cosine, euclidean, manhattan or mahalanobis.

        Raises:
            DataError: a picture cannot be read; names its file.
            RecipeError: no such metric or number, or the model is another one or not there.
        """
        if metric not in DISTANCES:
            raise RecipeError(f"metric={metric!r}: expected one of {', '.join(DISTANCES)}")
        if type(k) is not int or k < 1:
            raise RecipeError(f"k={k!r}: expected a whole number from 1 on, such as 5")
        many, items = listed(image)
        vectors = self.model.embed(items).float()
        if not vectors.isfinite().all():
            raise ZooError(f"{self.maker.recipe} gives a query no finite vector: its training diverged; take another epoch of it")
        distances, rows = self.nearest(vectors, k, metric)
        found = [self._neighbours(*pair) for pair in zip(distances.tolist(), rows.tolist(), strict=True)]
        return found if many else found[0]

    def nearest(self, vectors: Tensor, k: int, metric: str = "cosine") -> tuple[Tensor, Tensor]:
        """Distances (Q, k) and rows (Q, k) of the vectors nearest to these (Q, D)."""
        if len(self) > EXACT:
            self._asked += len(vectors)
            graph = self._graph(metric) if self._asked > PATIENCE else None
            found = graph.nearest(vectors, min(k, len(self)), metric) if graph else None
            if found is not None:
                return found
        return nearest(vectors, self.vectors, k, metric, self.covariance)

    def _graph(self, metric: str) -> _Graph | None:
        """Made when it is first needed; Manhattan shares that of Euclidean."""
        kind = "euclidean" if metric == "manhattan" else metric
        if kind not in self._graphs:
            try:
                self._graphs[kind] = _Graph(self.vectors, kind, self.covariance)
            except ImportError:
                self._graphs[kind] = None
                say(f"{len(self):,} vectors are compared one by one; so many queries are answered faster after `pip install zoo[search]`")
        return self._graphs[kind]

    def _neighbours(self, distances: Sequence[float], rows: Sequence[int]) -> list[Neighbour]:
        paths = (Path(self.folder or "", self.paths[row]) for row in rows)
        return [Neighbour(path, distance, rank) for rank, (path, distance) in enumerate(zip(paths, distances, strict=True), 1)]


class _Graph:
    """Proposes what may be nearest. The only door to usearch."""

    def __init__(self, vectors: Tensor, metric: str, covariance: Tensor) -> None:
        from usearch.index import Index as Graph

        self.place = space(vectors, metric, covariance)
        self.points = self.place(vectors)
        self.graph = Graph(ndim=vectors.shape[1], metric="l2sq", dtype="f32")
        with Progress("joining vectors", len(vectors), "vectors") as progress:
            for begin in range(0, len(vectors), _SOWN):
                rows = np.arange(begin, min(begin + _SOWN, len(vectors)), dtype=np.uint64)
                # Vectors joined at the same moment do not see one another, which matters while there are few.
                self.graph.add(rows, self.points[begin : begin + _SOWN].numpy(), threads=0 if begin else 1)
                progress.advance(len(rows))

    def nearest(self, vectors: Tensor, k: int, metric: str) -> tuple[Tensor, Tensor] | None:
        """As `Index.nearest`; None if the graph has too few proposals for a query."""
        asked, wanted = self.place(vectors), min(max(CANDIDATES, 4 * k), len(self.points))
        parts = []
        for queries in torch.split(asked, 1000):
            matches: Any = self.graph.search(queries.numpy(), wanted)
            if (matches.counts < wanted).any():
                return None
            distances, rows = ranked(queries, self.points, torch.from_numpy(matches.keys.astype(np.int64)), metric)
            parts.append((distances[:, :k], rows[:, :k]))
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


# ---------------------------------------------------------------- building and reading


def _files(pictures: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> tuple[str | None, list[Path]]:
    """The folder, if one was given, and its pictures."""
    given = [pictures] if isinstance(pictures, str | os.PathLike) else list(pictures)
    for item in given:
        if not isinstance(item, str | os.PathLike):
            raise DataError(f"{item!r:.60} ({type(item).__name__}): an index names files; expected a folder or a list of files")
        if not os.path.exists(item):
            raise DataError(f"{shown(item)}: no such file or folder")
    if isinstance(pictures, str | os.PathLike) and os.path.isdir(pictures):
        return os.path.abspath(pictures), in_folder(Path(pictures))
    if not given:
        raise DataError("no pictures to index: expected a folder or a list of files")
    return None, [Path(item) for item in given]


def _vectors(model: Model, files: Sequence[Path], batch_size: int) -> Tensor:
    parts: list[Tensor] = []
    at_once = max(_AT_ONCE, batch_size) if type(batch_size) is int else _AT_ONCE
    with Progress("embedding", len(files), "pictures") as progress:
        for begin in range(0, len(files), at_once):
            chunk = files[begin : begin + at_once]
            vectors = model.embed(chunk, batch_size).float()
            wrong = (~vectors.isfinite().all(1)).nonzero()[:, 0].tolist()
            if wrong:
                raise ZooError(f"{shown(chunk[wrong[0]])}: {model.recipe.name} gives it no finite vector: its training diverged")
            if vectors.shape[1] > MAX_WIDTH or 4 * vectors.shape[1] * len(files) > MAX_BYTES:
                what = f"{len(files):,} vectors of {vectors.shape[1]:,} numbers"
                raise ZooError(f"{what}: an index holds {MAX_BYTES // 2**30} GB and vectors of {MAX_WIDTH:,} numbers; index fewer pictures")
            parts.append(vectors)
            progress.advance(len(chunk))
    return torch.cat(parts)


def _read(path: Path) -> tuple[dict[str, Tensor], Any]:
    """Tensors and the header of an index, not looked at yet."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ZooError(f"{shown(path)}: cannot be read ({error.strerror}); an index is made with `zoo index RUN FOLDER`") from error
    if size > 2 * MAX_BYTES:
        raise ZooError(f"{shown(path)}: {size / 2**30:.0f} GB, more than an index has")
    try:
        tensors, metadata = packing.read_safetensors(path)
    except ZooError as error:
        raise ZooError(f"{error}. This is no index: make one with `zoo index RUN FOLDER`") from error
    if KEY not in metadata:
        raise ZooError(f"{shown(path)}: safetensors, but no index: make one with `zoo index RUN FOLDER`")
    try:
        return tensors, json.loads(metadata[KEY])
    except (ValueError, RecursionError) as error:
        raise ZooError(f"{shown(path)}: its header is no JSON ({error}); make it again with `zoo index RUN FOLDER`") from error


def _checked(tensors: Mapping[str, Tensor], header: Any) -> Index:
    """The index that a file's parts make; raises ValueError or KeyError on what is none."""
    if header["format"] != FORMAT:
        raise ValueError(f"format {header['format']!r:.20}, this zoo reads {FORMAT}")
    maker = Maker(*(_text(header, name) for name in ("recipe", "weights_sha256", "origin")))
    folder = None if header["folder"] is None else _text(header, "folder")
    vectors, covariance, names = (tensors[name] for name in ("vectors", "covariance", "paths"))
    for tensor, kind in ((vectors, torch.float32), (covariance, torch.float64), (names, torch.uint8)):
        if tensor.dtype != kind:
            raise ValueError(f"numbers of {tensor.dtype}, expected {kind}")
    if vectors.ndim != 2 or not 0 < vectors.shape[1] <= MAX_WIDTH or covariance.shape != (vectors.shape[1],) * 2 or names.ndim != 1:
        raise ValueError(f"vectors of shape {tuple(vectors.shape)} with a covariance of {tuple(covariance.shape)}")
    if not vectors.isfinite().all():
        raise ValueError("a vector is not finite")
    space(vectors[:1], "mahalanobis", covariance)
    raw = names.numpy().tobytes().split(b"\0")
    if len(raw) != len(vectors):
        raise ValueError(f"{len(raw)} names for {len(vectors)} vectors")
    return Index(vectors, covariance, [_name(os.fsdecode(name), folder) for name in raw], maker, folder)


def _text(header: Mapping[str, Any], name: str) -> str:
    if not isinstance(header[name], str) or not header[name] or "\0" in header[name]:
        raise ValueError(f"{name}: {header[name]!r:.40} is no text")
    return str(header[name])


def _name(name: str, folder: str | None) -> str:
    """A picture's name; one in a folder stays in it."""
    if not name or ".." in Path(name).parts or os.path.isabs(name) != (folder is None):
        raise ValueError(f"{name!r:.80} is no name of a picture in {folder!r:.80}")
    return name
