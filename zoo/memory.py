"""How much memory a computation takes: of a GPU what PyTorch's tensors hold there, of the CPU what this process has in it (Linux)."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import torch

PROCESS = Path("/proc/self")
MACHINE = Path("/proc/meminfo")


class Memory:
    """Bytes above those at the time it is made.

    Args:
        device: whose memory.

    Attributes:
        known: whether the system tells; else all is 0 and nothing is free.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.known = device.type == "cuda" or resident("VmHWM") is not None
        self.before = 0
        self.before = self.now()

    def begin(self) -> None:
        """Forget the peak so far."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        elif self.known:
            with contextlib.suppress(OSError):  # some sandboxes refuse; then an earlier, higher peak stays
                (PROCESS / "clear_refs").write_text("5")  # proc(5): the peak resident size becomes the present one

    def peak(self) -> int:
        """Most bytes since `begin`."""
        most = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else resident("VmHWM")
        return max(0, (most or 0) - self.before)

    def now(self) -> int:
        """Bytes at present."""
        held = torch.cuda.memory_allocated(self.device) if self.device.type == "cuda" else resident("VmRSS")
        return max(0, (held or 0) - self.before)

    def free(self) -> int:
        """Bytes that could still be taken."""
        if self.device.type == "cuda":
            return int(torch.cuda.mem_get_info(self.device)[0])
        return _kilobytes(MACHINE, "MemAvailable") or 0


def resident(field: str) -> int | None:
    """Bytes of this process that are in memory, "VmRSS" now or "VmHWM" at most; not `ru_maxrss`, in which a parent's peak lives on."""
    return _kilobytes(PROCESS / "status", field)


def _kilobytes(file: Path, field: str) -> int | None:
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB$", file.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
