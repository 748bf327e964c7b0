"""What a trained model says of itself: its data, metrics and split. Checked, because a file may be damaged or a stranger's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Le, MaxLen
from pydantic import BaseModel, ConfigDict, InstanceOf, ValidationError

from zoo.errors import ZooError
from zoo.run import Run
from zoo.spec import DataSpec

T = TypeVar("T")

Side = Annotated[int, Ge(1), Le(4096)]
Text = InstanceOf[str]  # pydantic's own str refuses names of files that are no UTF-8
Name = Annotated[Text, MaxLen(1000)]
MOST = MaxLen(100_000)
MAX_BYTES = {"split.json": 64 * 2**20}
"""The ids of a million pictures; JSON of so many brackets takes some twenty times its size in memory."""
MAX_BYTES_OTHER = 8 * 2**20


class _Spec(BaseModel):
    """What `DataSpec` holds, with the bounds of what people train: a network is built from these numbers."""

    model_config = ConfigDict(allow_inf_nan=False)

    channels: Literal[1, 3]
    size: tuple[Side, Side]
    labels: Annotated[tuple[Name, ...], MOST] = ()
    counts: Annotated[tuple[Annotated[int, Ge(0)], ...], MOST] = ()
    weights: Annotated[tuple[Annotated[float, Ge(0)], ...], MOST] = ()
    groups: Name | None = None
    truth: Literal["label", "mask", "boxes", "none"] = "label"
    attributes: Annotated[tuple[Name, ...], MOST] = ()


class _Split(BaseModel):
    fingerprint: Text | None = None
    train: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Of the data it was trained on, its `metrics.json` and its `split.json`."""

    spec: DataSpec
    metrics: dict[str, Any]
    split: dict[str, Any]


def of_run(run: Run) -> Facts:
    """The facts of a finished run.

    Raises:
        ZooError: one of its files is damaged; names it.
    """
    split = "split.json"
    return Facts(
        _read(run, "spec.json", spec),
        _read(run, "metrics.json", metrics),
        _read(run, split, checked_split) if (run.folder / split).exists() else {},
    )


def of_epoch(run: Run, epoch: int) -> Facts:
    """The facts of a finished run as they were after an epoch: the numbers of validation are that epoch's, and there is no test."""
    about = of_run(run)
    row = next((row for row in run.history() if row.get("epoch") == epoch), {})
    other = {key: value for key, value in about.metrics.items() if not key.startswith(("val/", "test/"))}
    return Facts(about.spec, other | {key: value for key, value in row.items() if key.startswith("val/")}, about.split)


def _read(run: Run, name: str, check: Callable[[Any], T]) -> T:
    try:
        _refuse_large(run, name)
        return check(run.read_json(name))
    except (ValueError, OSError) as error:
        raise ZooError(f"{run.folder / name}: damaged: {words(error)}; put the file back from a copy of the run, or train again") from error


def _refuse_large(run: Run, name: str) -> None:
    size, most = (run.folder / name).stat().st_size, MAX_BYTES.get(name, MAX_BYTES_OTHER)
    if size > most:
        raise ValueError(f"{size / 2**20:,.0f} MB, more than the {most // 2**20} MB that are read")


def spec(data: Any) -> DataSpec:
    """Read `spec.json`; raises ValueError on what is none."""
    checked = _Spec.model_validate(data)
    labels = checked.labels
    if len(set(labels)) < len(labels):
        raise ValueError("two of its labels are equal")
    if len(set(checked.attributes)) < len(checked.attributes):
        raise ValueError("two of its attributes are equal")
    for name, values in (("counts", checked.counts), ("weights", checked.weights)):
        if values and len(values) != len(labels):
            raise ValueError(f"{len(values)} {name} for {len(labels)} labels")
    return DataSpec(**checked.model_dump())


def metrics(data: Any) -> dict[str, Any]:
    """Read `metrics.json`; raises ValueError on what is none."""
    if not isinstance(data, dict):
        raise ValueError(f"expected an object of names and values, found {data!r:.60}")
    return data


def checked_split(data: Any) -> dict[str, Any]:
    """Read `split.json`; raises ValueError on what is none."""
    _Split.model_validate(data)
    return metrics(data)


def number(value: Any) -> float | None:
    """A metric's value as a finite float, None for anything else (null, text, an int beyond all floats)."""
    try:
        found = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def words(error: Exception) -> str:
    """An error in one line: pydantic's without its address, and not all of them."""
    if not isinstance(error, ValidationError):
        return f"{error}"
    problems = error.errors(include_url=False)
    first = "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'all of it'}: {item['msg']}, found {item['input']!r:.60}" for item in problems[:3]
    )
    return first + (f" and {len(problems) - 3} more" if len(problems) > 3 else "")
