"""What became of each cell, read from its folder: the folders are the truth, and everything else of a study is drawn from them.

A cell is an ordinary run in the study's folder with one more file, `cell.json`: its setting and seed, and why it failed if it did.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from zoo import facts
from zoo.cells import guarded
from zoo.errors import ZooError
from zoo.files import read_json, read_rows, write_bytes
from zoo.run import Run, environment
from zoo.studies.plan import Cell, Plan, cell_id

State = Literal["finished", "failed", "begun", "waiting"]
Splits = Literal["one", "apart", "mixed"]
Key = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        state: "finished", "failed", "begun" (it trains, or can go on) or "waiting".
        metrics: of its `metrics.json`, those that are finite numbers.
        history: a row an epoch.
        error: why it failed.
        split: what its `split.json` says beside the pictures of each part, {} before it is finished; unchecked.
    """

    id: str
    setting: Mapping[str, Any]
    seed: int
    folder: Path
    state: State = "waiting"
    metrics: Mapping[str, float] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    error: str = ""
    split: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Equal for cells that divide the pictures alike."""
        return str(self.split.get("fingerprint") or "")

    @property
    def sizes(self) -> Mapping[str, Any]:
        """Pictures in each part."""
        return found if isinstance(found := self.split.get("sizes"), dict) else {}

    @property
    def key(self) -> Key:
        """Equal for the cells of one setting."""
        return tuple(self.setting.items())


def outcomes(plan: Plan) -> list[Outcome]:
    """Of all cells of the plan, and of those drawn so far, in the order of the plan."""
    found = {cell.id: Outcome(cell.id, cell.setting, cell.seed, plan.study.folder / cell.id) for cell in plan.cells}
    for folder in sorted(plan.study.folder.glob("*/cell.json")):
        known = read(folder.parent)
        if known is not None and plan.has(known.setting, known.seed):
            found[known.id] = known
    return list(found.values())


def splits(plan: Plan, cells: Iterable[Outcome]) -> Splits:
    """Whether the finished cells divide the pictures alike.

    Returns:
        "one"; "apart": an axis changes `split`, and cells that stand alike on it share theirs; "mixed": cells that should share one do not.
    """
    axes = [axis for axis in plan.study.axes if any(change.path[0] == "split" for end in axis.ends for change in axis.changes(end))]
    found: dict[tuple[Any, ...], set[str]] = {}
    for cell in cells:
        if cell.fingerprint:
            found.setdefault(tuple(cell.setting[axis.name] for axis in axes), set()).add(cell.fingerprint)
    if len(set[str]().union(*found.values())) <= 1:
        return "one"
    return "apart" if all(len(prints) == 1 for prints in found.values()) else "mixed"


def strangers(plan: Plan) -> list[str]:
    """Ids of cells that an earlier form of the study has left."""
    known = [read(file.parent) for file in sorted(plan.study.folder.glob("*/cell.json"))]
    return [outcome.id for outcome in known if outcome is not None and not plan.has(outcome.setting, outcome.seed)]


def read(folder: Path) -> Outcome | None:
    """What a cell's folder says; None for one that is none, or is damaged."""
    said = _json(folder / "cell.json")
    setting, seed = said.get("setting"), said.get("seed")
    if not isinstance(setting, dict) or not isinstance(seed, int) or cell_id(setting, seed) != folder.name:
        return None
    metrics = {name: value for name, value in _json(folder / "metrics.json").items() if _is_number(value)}
    error = str(said.get("failed") or "")
    finished = bool(metrics) and (folder / "weights.safetensors").is_file() and not error
    state: State = "finished" if finished else "failed" if error else "begun"
    return Outcome(
        *(folder.name, setting, seed, folder, state, metrics if finished else {}),
        history=read_rows(folder / "history.jsonl"),
        error=error,
        split=_about_split(folder) if finished else {},
    )


def _about_split(folder: Path) -> dict[str, Any]:
    """`split.json` without the ids of the pictures, which may be a million in each of a thousand cells."""
    return {
        key: value for key, value in _json(folder / "split.json").items() if key in ("fingerprint", "by", "sizes", "notes", "epoch_counts")
    }


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and facts.number(value) is not None


def _json(file: Path) -> dict[str, Any]:
    with contextlib.suppress(ZooError):
        found = read_json(file)
        return found if isinstance(found, dict) else {}
    return {}


# ---------------------------------------------------------------- writing


def prepare(cell: Cell, folder: Path) -> None:
    """Make the cell's folder one that a training can go on in: from its checkpoint, or from the start."""
    run = Run(folder, cell.recipe)
    folder.mkdir(parents=True, exist_ok=True)
    run.write_text("recipe.yaml", cell.recipe.to_yaml())
    if not (folder / "environment.json").is_file():
        run.write_json("environment.json", environment())
    run.write_json("cell.json", {"setting": dict(cell.setting), "seed": cell.seed})


def note(folder: Path, **facts: object) -> None:
    """Add to a cell's `cell.json`: why it `failed`."""
    import json

    content = json.dumps(_json(folder / "cell.json") | facts, indent=2, ensure_ascii=False) + "\n"
    write_bytes(folder / "cell.json", content.encode("utf-8", "replace"))


def write_table(found: Iterable[Outcome], file: Path) -> None:
    """Write `results.csv`: a row a cell, with every metric."""
    rows = list(found)
    axes = list(rows[0].setting) if rows else []
    names = metric_names(rows)
    header = ["cell", *axes, "seed", "state", *names, "split", "error"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([guarded(name) for name in header])
    for row in rows:
        numbers = [row.metrics.get(name, "") for name in names]
        cells = [row.id, *(row.setting.get(axis, "") for axis in axes), row.seed, row.state, *numbers]
        writer.writerow([guarded(cell) for cell in [*cells, row.fingerprint, row.error]])
    write_bytes(file, text.getvalue().encode("utf-8", "replace"))


def metric_names(found: Iterable[Outcome]) -> list[str]:
    """Names of all numbers that cells have: test before val, then epochs and seconds."""
    names = dict.fromkeys(name for outcome in found for name in outcome.metrics)
    rank = {"test": 0, "val": 1}
    return sorted(names, key=lambda name: rank.get(name.partition("/")[0], 2) if "/" in name else 3)
