"""What the suite of hostile files is made of: samples, of which each is a row of docs/security.md, and what must be true of all."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from zoo.errors import ZooError

REFUSED = "refused"


@dataclass(frozen=True)
class Sample:
    """One kind of hostile file.

    Attributes:
        what: it is.
        where: it is met.
        promise: what happens.
        make: whatever its test needs to plant it.
        says: part of the sentence that refuses it.
        test: `file::test` of a sample that is tested outside this folder.
    """

    what: str
    where: str
    promise: str = REFUSED
    make: Any = None
    says: str = ""
    test: str = ""


SUITE: dict[str, list[Sample]] = {}
"""Heading of docs/security.md -> its samples."""


def cases(kind: str, *samples: Sample) -> pytest.MarkDecorator:
    """Enter samples into the suite; those with a test elsewhere are not parameters of this one."""
    SUITE.setdefault(kind, []).extend(samples)
    here = [sample for sample in samples if not sample.test]
    return pytest.mark.parametrize("sample", here, ids=[f"{sample.what}, {sample.where}" for sample in here])


class Touch:
    """Unpickling it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)

    def __reduce__(self) -> tuple[Callable[..., int], tuple[str]]:
        return os.system, (f"touch '{self.file}'",)


def pickled(sentinel: Path, protocol: int = 2) -> bytes:
    return pickle.dumps(Touch(sentinel), protocol)


def command(*words: object) -> int:
    """A command of zoo in this process; its errors for people are raised and not printed."""
    code: int = importlib.import_module(f"zoo.{words[0]}").main([str(word) for word in words[1:]])
    return code


def refusal(act: Callable[[], object], name: str, says: str = "") -> str:
    """What zoo says of a file: an error made for people, which names the file."""
    with pytest.raises(ZooError, match=says or None) as caught:
        act()
    said = str(caught.value)
    assert name in said, f"does not name {name}: {said}"
    assert len(said) < 5000
    return said


def safetensors(header: Mapping[str, Any] | bytes, data: bytes = b"") -> bytes:
    """A safetensors file whose header says what we like."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def sparse(path: Path, size: int, begin: bytes = b"") -> Path:
    """A file of any size that takes no room on the disk."""
    path.write_bytes(begin)
    os.truncate(path, size)
    return path


def bounded(code: str, *words: object, megabytes: int = 2048, seconds: float = 30.0) -> str:
    """Run Python that may not have more memory or time than that; returns what it printed."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes * 2**20,) * 2)

    run = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=seconds, preexec_fn=limit, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
