"""Drawn data sets: made once under `$ZOO_DATA/.synthetic/`, whole or not at all, and marked by a `SYNTHETIC.json`."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from zoo import paths
from zoo.datasets.source import Source
from zoo.errors import DataError
from zoo.progress import say

MARK = "SYNTHETIC.json"


def folder(name: str, source: type[Source], seed: int = 0) -> Path:
    """The folder of the drawn data of source `name`; draws it if it is not there yet.

    Two processes may draw at once: each works under a name of its own, and the first to finish wins.

    Raises:
        DataError: the source cannot draw, or the disk refuses.
    """
    place = paths.data() / ".synthetic" / f"{name}-{source.version}-{seed}"
    if (place / MARK).is_file():
        return place
    say(f"drawing synthetic {source.title or name} into {place}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except OSError as error:
        raise DataError(f"{place}: cannot be written ({error}): set ZOO_DATA to a folder that can") from error
    try:
        source.write_synthetic(work, seed)
        mark = {"source": name, "version": source.version, "seed": seed, "note": "drawn pictures, not real ones"}
        (work / MARK).write_text(json.dumps(mark, indent=2) + "\n", encoding="utf-8")
        os.chmod(work, 0o755)  # mkdtemp's 0700 would shut other users out
        _put(work, place)
    except OSError as error:
        raise DataError(f"{place}: cannot be written ({error}): free the disk or set ZOO_DATA to another one") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return place


def _put(work: Path, place: Path) -> None:
    if place.exists() and not (place / MARK).is_file():
        shutil.rmtree(place)  # left by hand or by an old version: never a whole drawing
    try:
        work.rename(place)
    except OSError:
        if not (place / MARK).is_file():
            raise


def is_synthetic(root: Path) -> bool:
    """Whether a folder holds drawn data: a property of the data, whoever asks."""
    return (root / MARK).is_file()
