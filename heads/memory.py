"""How much memory there is, and how that which large batches leave behind is used again."""

import ctypes
import os
from pathlib import Path

import torch

SHARERS = "EMOCACHE_SHARERS"
"""Environment variable: how many processes share the memory of the device, set for those that --jobs starts."""
MMAP_MAX, TRIM_THRESHOLD = -4, -1
"""Names of settings in glibc's malloc.h."""


def free_bytes(device: torch.device) -> int:
    """The share that this process has of the free memory of the device; without a limit where that cannot be told."""
    return _free_bytes(device) // int(os.environ.get(SHARERS, "1"))


def _free_bytes(device: torch.device) -> int:
    """What is free for all."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        free = 1 << 62
    return min(free, _allowed_bytes(Path("/sys/fs/cgroup")))


def _allowed_bytes(cgroup: Path) -> int:
    """What a container or a batch system still lets this process take (control groups, version 2); without a limit where none is set."""
    try:
        limit = (cgroup / "memory.max").read_text(encoding="ascii").strip()
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text(encoding="ascii").splitlines())
        taken = int((cgroup / "memory.current").read_text(encoding="ascii")) - int(stat["inactive_file"])  # which is given back at need
        return 1 << 62 if limit == "max" else max(0, int(limit) - taken)
    except (OSError, KeyError, ValueError):
        return 1 << 62


def keep_freed() -> None:
    """From now on memory that this process frees stays with it, where the C library is glibc.

    Otherwise every buffer of hundreds of megabytes comes from the system anew, page by page, which takes as long as to read a batch.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(MMAP_MAX, 0)
    mallopt(TRIM_THRESHOLD, 2**31 - 1)
