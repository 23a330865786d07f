"""Raw shards: rows as they are, then the Zarr v3 index of their chunks, so that a row is found by multiplication."""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from emocache.errors import CacheError
from emocache.store.layout import REPAIR, WIDE, Level

MISSING = np.uint64(2**64 - 1)
"""Offset, in a shard index, of a chunk that was not written."""


def shard_index(rows: int, level: Level, itemsize: int) -> bytes:
    """The Zarr v3 index of a raw shard whose first `rows` rows are there: (offset, size) per chunk, then CRC-32C."""
    size = level.chunk_rows * level.dim * itemsize
    index = np.full((level.chunks, 2), MISSING, dtype="<u8")
    there = -(-rows // level.chunk_rows)
    index[:there, 0] = np.arange(there) * size
    index[:there, 1] = size
    payload = index.tobytes()
    return payload + int(google_crc32c.value(payload)).to_bytes(4, "little")


def rows_in_shard(handle: int, path: Path, level: Level, itemsize: int) -> int:
    """How many rows an open raw shard holds, after checking that its index is the one of a raw shard.

    Raises CacheError when file size, checksum or offsets are not those of chunks that lie one after the other.
    """
    total = os.fstat(handle).st_size
    index_size = 16 * level.chunks + 4
    index = os.pread(handle, index_size, max(0, total - index_size))
    chunk = level.chunk_rows * level.dim * itemsize
    there = (total - index_size) // chunk
    rows = there * level.chunk_rows
    if total != there * chunk + index_size or index != shard_index(rows, level, itemsize):
        raise CacheError(f"{path}: damaged (its index does not fit its {total} bytes); {REPAIR}")
    return rows


HALF_OVERFLOW = 65_520.0
"""The least float32 that float16 rounds to infinity."""


def largest_of(values: NDArray[Any]) -> float:
    """The largest absolute value of float32 or float16 numbers; infinite or not a number if one of them is.

    Without their sign, floating-point numbers are in the order of their bits.
    """
    if not values.size:
        return 0.0
    whole = np.ascontiguousarray(values)
    if values.dtype.itemsize == 2:
        return float((whole.view(np.uint16) & np.uint16(0x7FFF)).max().view(np.float16))
    return float((whole.view(np.uint32) & np.uint32(0x7FFF_FFFF)).max().view(np.float32))


class ArrayFile:
    """The rows of one array of a unit while they are made, in one part file per shard (nearly always one)."""

    def __init__(self, stem: Path, level: Level, dtype: Any) -> None:
        """`stem` begins the names of the part files."""
        self.level = level
        self.dtype = dtype
        self.wide = False
        self.largest = 0.0
        self._stem = stem
        self._parts: list[_Part] = []

    def append(self, values: NDArray[Any], largest: float) -> None:
        """Append rows [n, dim] in the stored dtype; an array that does not fit float16 goes on as float32.

        `largest` is the largest absolute value among them.
        """
        if not len(values):
            return
        self.largest = max(self.largest, largest)
        if self.dtype != WIDE and largest >= HALF_OVERFLOW:
            self.widen()
        stored = values.astype(self.dtype, copy=False)
        while len(stored):
            if not self._parts or self._parts[-1].rows == self.level.shard_rows:
                self._parts.append(_Part(self._stem.with_name(f"{self._stem.name}.{len(self._parts)}")))
            room = self.level.shard_rows - self._parts[-1].rows
            self._parts[-1].append(stored[:room])
            stored = stored[room:]

    def finish(self) -> list[tuple[Path, str]]:
        """Pad to whole chunks, add the index, sync; each part's path and SHA-256."""
        return [part.finish(self.level, self.dtype.itemsize) for part in self._parts]

    def remove(self) -> None:
        """Remove parts that were not moved away."""
        for part in self._parts:
            part.remove()

    def widen(self) -> None:
        """Go on as float32; what was appended so far is rewritten (its values keep their float16 rounding)."""
        if self.dtype == WIDE:
            return
        for i, part in enumerate(self._parts):
            narrow = part.read(self.dtype, self.level.dim)
            part.remove()
            self._parts[i] = _Part(self._stem.with_name(f"{self._stem.name}.{i}.wide"))
            self._parts[i].append(narrow.astype(WIDE))
        self.dtype = WIDE
        self.wide = True


class _Part:
    """One file of rows that is being appended to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._hash = hashlib.sha256()
        self._file = path.open("x+b", buffering=0)

    def append(self, values: NDArray[Any]) -> None:
        """Append rows as they are."""
        self._write(np.ascontiguousarray(values).data.cast("B"))
        self.rows += len(values)

    def read(self, dtype: Any, dim: int) -> NDArray[Any]:
        """Everything appended so far, [rows, dim], even if another writer has removed the file."""
        self._file.seek(0)
        return np.frombuffer(self._file.readall(), dtype).reshape(-1, dim)

    def finish(self, level: Level, itemsize: int) -> tuple[Path, str]:
        """Close the shard; its path and SHA-256."""
        padding = -self.rows % level.chunk_rows
        self._write(bytes(padding * level.dim * itemsize))
        self._write(shard_index(self.rows, level, itemsize))
        os.fsync(self._file.fileno())
        self._file.close()
        return self.path, self._hash.hexdigest()

    def remove(self) -> None:
        """Close and delete, if it is still there; what the disk does not let go of now is left to the next writer of the unit."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _write(self, data: Any) -> None:
        self._hash.update(data)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
