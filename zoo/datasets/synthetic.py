"""Drawn data sets: made once under `$ZOO_DATA/.synthetic/`, whole or not at all, and marked by a `SYNTHETIC.json`."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
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
        _sweep(place)
        work = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except OSError as error:
        raise DataError(f"{place}: cannot be written ({error.strerror}): set ZOO_DATA to a folder that can be") from error
    try:
        source.write_synthetic(work, seed)
        mark = {"source": name, "version": source.version, "seed": seed, "note": "drawn pictures, not real ones"}
        (work / MARK).write_text(json.dumps(mark, indent=2) + "\n", encoding="utf-8")
        os.chmod(work, 0o755)  # mkdtemp's 0700 would shut other users out
        _put(work, place)
    except OSError as error:
        raise DataError(f"{place}: cannot be written ({error.strerror}): free the disk or set ZOO_DATA to another one") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return place


def _sweep(place: Path, hours: float = 24) -> None:
    """Remove what drawings of `place` left that were killed; one as old as this is not at work any more."""
    for left in place.parent.glob(f".{place.name}-*"):
        if left.stat().st_mtime < time.time() - hours * 3600:
            shutil.rmtree(left, ignore_errors=True)


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
