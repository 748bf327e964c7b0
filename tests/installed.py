"""Distributions with entry points that are there for the length of a test."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from zoo import checking, registry

CACHES = (
    registry.names,
    registry._plugins,
    registry._points,
    registry._entry_points,
    registry._parse,
    registry._class_options,
    checking.named_model,
)


@contextmanager
def installed(site: Path, package: str, files: Mapping[str, str], points: Mapping[str, str]) -> Iterator[None]:
    """A package of these files in a new folder on the path, and the entry points `zoo.plugins` of its distribution."""
    folder, info = site / package, site / f"{package}-0.1.dist-info"
    for made in (folder, info):
        made.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[zoo.plugins]\n" + "".join(f"{name} = {value}\n" for name, value in points.items()))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        forget()
        yield
    forget()
    for module in [module for module in sys.modules if module.partition(".")[0] == package]:
        del sys.modules[module]


def forget() -> None:
    """What zoo remembers of installed packages."""
    for cache in CACHES:
        cache.cache_clear()
