"""What a computation takes is counted from the time one begins to look."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from alone import alone

from zoo import memory
from zoo.memory import Memory

CPU = torch.device("cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell")
@alone
def test_memory_of_this_process() -> None:
    measured = Memory(CPU)
    measured.begin()
    kept = torch.ones(2**24)  # 64 MiB, which the allocator takes from the system and gives back
    some, much = 2**25, 0.95 * 2**26  # the system counts in steps
    assert much < measured.peak() < 1.3 * 2**26 and measured.now() > much
    del kept
    assert measured.now() < some and measured.peak() > much
    measured.begin()
    assert measured.peak() < some, "forgotten"
    assert measured.free() > 2**26


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PROCESS", "MACHINE"):
        monkeypatch.setattr(memory, name, tmp_path / "none")
    found = Memory(CPU)
    found.begin()
    assert (found.known, found.peak(), found.now(), found.free()) == (False, 0, 0, 0)


def test_the_systems_own_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "status").write_text("Name:\tVmRSS: 7 kB\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t2\n")
    monkeypatch.setattr(memory, "PROCESS", tmp_path)
    assert (memory.resident("VmRSS"), memory.resident("VmHWM"), memory.resident("Threads")) == (2**20, 2**21, None)


def test_less_than_there_was_at_first_is_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "PROCESS", tmp_path)
    (tmp_path / "status").write_text("VmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n")
    found = Memory(CPU)
    (tmp_path / "status").write_text("VmHWM:\t    512 kB\nVmRSS:\t    256 kB\n")
    assert (found.known, found.peak(), found.now()) == (True, 0, 0)


def test_a_peak_that_cannot_be_forgotten_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "PROCESS", tmp_path)
    (tmp_path / "clear_refs").mkdir()
    (tmp_path / "status").write_text("VmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n")
    found = Memory(CPU)
    found.begin()
    assert found.peak() == 2**20


def test_free_is_what_can_be_had_without_swapping(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:       4096 kB\nMemFree:        1024 kB\nMemAvailable:   2048 kB\n")
    monkeypatch.setattr(memory, "MACHINE", tmp_path / "meminfo")
    assert Memory(CPU).free() == 2**21
