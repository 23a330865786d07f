"""Files out of the page cache, and proof that they are: mincore(2) counts the pages that stay."""

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

PAGE = mmap.PAGESIZE
DROP_ALL = Path("/proc/sys/vm/drop_caches")


def drop(paths: Iterable[Path]) -> float:
    """Sync files and drop them from the page cache; the share of their pages that stayed there."""
    stayed = total = 0
    for path in paths:
        if size := path.stat().st_size:
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            stayed += resident(handle, size)
            total += -(-size // PAGE)
            os.close(handle)
    return stayed / max(total, 1)


def drop_everything() -> None:
    """Drop page cache, inodes and folder entries of the whole machine (root only)."""
    os.sync()
    DROP_ALL.write_text("3", encoding="ascii")


def resident(handle: int, size: int) -> int:
    """How many pages of an open file are in memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, handle, 0)
    pages = ctypes.create_string_buffer(-(-size // PAGE))
    failed = libc.mincore(address, size, pages)
    libc.munmap(address, size)
    if failed:
        raise OSError(ctypes.get_errno(), "mincore")
    return sum(byte & 1 for byte in pages.raw)
