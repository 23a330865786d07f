"""Rows out of shards: exact ranges, read straight into the array that the caller gets.

The first range of a shard is asked of the page cache (RWF_NOWAIT). If it is there, the shard is mapped and later ranges
are copied from the map, which is fastest; if not, ranges are read by threads, since a disk answers many requests as fast
as one. Where that flag does not exist, as on network file systems, threads read everything. Arrays that are not raw, such
as the compressed ones of others, are read by zarr-python.
"""

import contextlib
import errno
import json
import mmap
import os
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from emocache.errors import CacheError
from emocache.files import first_line
from emocache.store.layout import REPAIR, Level, Paths, read_json, stored_dtype
from emocache.store.shards import rows_in_shard

THREADS = 16
"""Reads under way at once where rows are not in memory yet: a disk, and a server even more, answers many as fast as one."""
PIECE = 8 << 20
"""Most bytes of one read by a thread."""
OPEN_FILES = 512
"""Shards kept open; a process may often have 1024 files."""
NOWAIT = getattr(os, "RWF_NOWAIT", None)
"""The flag of Linux that reads from memory only."""
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


Stretch = tuple[int, int, int, int]
"""Rows within one shard: (shard, first row in it, first row of the target, rows)."""


@dataclass(frozen=True, slots=True)
class Source:
    """One Zarr array of a feature set; `sha256` maps its committed shards to their checksums."""

    level: Level
    name: str
    sha256: dict[int, str]


@dataclass(frozen=True, slots=True)
class Request:
    """Rows of one array: its `stretches`, into target [rows, dim], which is contiguous and of the array's stored type."""

    source: Source
    stretches: Sequence[Stretch]
    target: NDArray[Any]


def stretches(start: Sequence[int], edges: Sequence[int], shard_rows: int) -> list[Stretch]:
    """Rows from start[i] on that go to target[edges[i]:edges[i + 1]], as stretches within shards.

    Those that follow on each other on disk too become one; one that crosses the border of a shard becomes several.
    """
    found: list[Stretch] = []
    after = -1
    for first, at, end in zip(start, edges[:-1], edges[1:], strict=True):  # a batch has so few that numpy would be slower
        while at < end:
            shard, row = divmod(first, shard_rows)
            count = min(end - at, shard_rows - row)
            if first == after and row:
                before = found.pop()
                found.append((shard, before[1], before[2], before[3] + count))
            else:
                found.append((shard, row, at, count))
            after = first = first + count
            at += count
    return found


class Pinned:
    """A folder that is looked up by name again and again, and must go on being the same one.

    Entered, it sees to that: whatever was found in the meantime, CacheError when it was found in another folder, or in none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # keeps its inode from being given to another
        except OSError as error:
            raise CacheError(f"{path}: cannot be read ({error.strerror})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._handle), self._path.stat()):
                return
        raise CacheError(f"{self._path}: was rewritten or removed since it was opened; open it again")

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            os.close(self._handle)


class RowReader:
    """Reads rows of one feature set. Safe to use from threads, and in a forked child."""

    def __init__(self, paths: Paths, dtype: str, pinned: Pinned) -> None:
        """`dtype` is the stored type that the card states."""
        self._pinned = pinned
        self._paths = paths
        self._dtype = dtype
        self._raw: dict[tuple[str, str], bool] = {}
        self._rows: dict[tuple[str, str, int], int] = {}
        self._open: dict[tuple[str, str, int], _Shard] = {}
        self._lock = threading.Lock()
        self._nowait = NOWAIT
        _readers.add(self)

    def read(self, requests: Iterable[Request]) -> None:
        """Fill all targets. CacheError for a shard that is missing, damaged or shorter than planned."""
        cold: list[_Piece] = []
        for request in requests:
            if self._is_raw(request.source):
                cold += self._from_memory(request)
            else:
                self._read_zarr(request)
        if len(cold) == 1 and len(cold[0].target) <= PIECE:
            _read_fully(cold[0])
        elif cold:
            with ThreadPoolExecutor(THREADS) as pool:
                for _ in pool.map(_read_fully, [part for piece in cold for part in piece.split()]):
                    pass

    def path(self, source: Source, shard: int) -> Path:
        """Where a committed shard is: under the name of its bytes until it is in its place."""
        if shard in source.sha256:
            staged = self._paths.staged(source.level.name, source.name, shard, source.sha256[shard])
            if staged.exists():
                return staged
        return self._paths.shard(source.level.name, source.name, shard)

    def _from_memory(self, request: Request) -> list["_Piece"]:
        """Fill the target with what the page cache holds; what is still to be read from the disk."""
        source, target = request.source, request.target
        width = source.level.dim * target.itemsize
        cold: list[_Piece] = []
        shards: dict[int, _Shard] = {}
        for number, row, at, count in request.stretches:
            if (shard := shards.get(number)) is None:
                shard = shards[number] = self._shard(source, number, target.itemsize)
                shard.check()
            if row + count > shard.rows:
                raise CacheError(f"{shard.path}: ends before row {row + count}; {REPAIR}")
            if shard.mapped is not None:
                target[at : at + count] = shard.mapped[row : row + count]
                continue
            view = target[at : at + count].reshape(-1).view(np.uint8).data
            there = self._preadv(shard, view, row * width)
            if there == len(view):
                shard.map(target.dtype, source.level.dim)
            else:
                cold.append(_Piece(shard, row * width + there, view[there:]))
        return cold

    def _preadv(self, shard: "_Shard", view: memoryview, offset: int) -> int:
        """Read what is in memory; how many bytes these were."""
        if self._nowait is None:
            return 0
        try:
            return os.preadv(shard.handle, [view], offset, self._nowait)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise _unreadable(shard.path, error) from None
            self._nowait = None
            return 0

    def _read_zarr(self, request: Request) -> None:
        """Rows of an array that is not raw."""
        import zarr

        path = self._paths.array(request.source.level.name, request.source.name)
        try:
            with self._pinned:
                array = zarr.open_array(path, mode="r")
                for number, row, at, count in request.stretches:
                    first = number * request.source.level.shard_rows + row
                    request.target[at : at + count] = array[first : first + count]
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise CacheError(f"{path}: zarr cannot read it ({first_line(error)}); {REPAIR}") from None

    def _is_raw(self, source: Source) -> bool:
        """Whether an array's metadata says that its shards are raw and cut as planned."""
        key = (source.level.name, source.name)
        if key not in self._raw:
            with self._pinned:
                self._raw[key] = is_raw(self._paths, source.level, source.name, stored_dtype(source.name, self._dtype))
        return self._raw[key]

    def _shard(self, source: Source, number: int, itemsize: int) -> "_Shard":
        """An open shard, its index checked the first time."""
        key = (source.level.name, source.name, number)
        if (shard := self._open.get(key)) is not None:
            return shard
        with self._lock:
            with self._pinned:
                path, handle = self._opened(source, number)
            shard = _Shard(path, handle)
            if key not in self._rows:
                self._rows[key] = rows_in_shard(handle, path, source.level, itemsize)
            shard.rows = self._rows[key]
            while len(self._open) >= OPEN_FILES:
                self._open.pop(next(iter(self._open)))
            self._open[key] = shard
            return shard

    def _opened(self, source: Source, number: int) -> tuple[Path, int]:
        """Path and handle of a committed shard."""
        path = self.path(source, number)
        try:
            with contextlib.suppress(FileNotFoundError):  # moved into its place in this moment, or lost
                return path, os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            path = self._paths.shard(source.level.name, source.name, number)
            return path, os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _unreadable(path, error) from None


_readers: weakref.WeakSet[RowReader] = weakref.WeakSet()


def _fresh_locks() -> None:
    """In a forked child: whoever held a lock is not there to let go of it."""
    for reader in list(_readers):
        reader._lock = threading.Lock()


os.register_at_fork(after_in_child=_fresh_locks)


class _Shard:
    """An open shard of `rows` rows; closed when nobody needs it any more. `mapped` [rows, dim] once it proved to be in memory."""

    __slots__ = ("handle", "mapped", "path", "rows", "size")

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.handle = handle
        self.size = os.fstat(handle).st_size
        self.rows = 0
        self.mapped: NDArray[Any] | None = None

    def map(self, dtype: np.dtype[Any], dim: int) -> None:
        """Map the rows: from memory that is a little faster than reading them."""
        values = np.frombuffer(mmap.mmap(self.handle, self.size, prot=mmap.PROT_READ), dtype, self.rows * dim)
        self.mapped = values.reshape(self.rows, dim)

    def check(self) -> None:
        """CacheError when the file is no longer as long as it was: to touch the map beyond its end would kill the process."""
        if os.lseek(self.handle, 0, os.SEEK_END) != self.size:  # half of the time of fstat
            raise CacheError(f"{self.path}: was cut short while it was read; {REPAIR}")

    def __del__(self) -> None:
        os.close(self.handle)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes of one shard from `offset` on, and where they go."""

    shard: _Shard
    offset: int
    target: memoryview

    def split(self) -> Iterator[Self]:
        """Pieces of at most PIECE bytes."""
        for at in range(0, len(self.target), PIECE):
            yield type(self)(self.shard, self.offset + at, self.target[at : at + PIECE])


def _read_fully(piece: _Piece) -> None:
    """Read a piece, however long that takes."""
    done = 0
    while done < len(piece.target):
        try:
            there = os.preadv(piece.shard.handle, [piece.target[done:]], piece.offset + done)
        except OSError as error:
            raise _unreadable(piece.shard.path, error) from None
        if not there:
            raise CacheError(f"{piece.shard.path}: was cut short while it was read; {REPAIR}")
        done += there


def _unreadable(path: Path, error: OSError) -> CacheError:
    """What to say of a shard that cannot be read."""
    return CacheError(f"{path}: cannot be read ({error.strerror}); {REPAIR}")


def is_raw(paths: Paths, level: Level, name: str, dtype: Any) -> bool:
    """Whether a Zarr array is stored as this release writes it: raw shards, cut as the level says. CacheError if it is damaged."""
    about = read_json(paths.array(level.name, name) / "zarr.json")
    try:
        (sharding,) = about["codecs"]
        inner = sharding["configuration"]
        return (
            sharding["name"] == "sharding_indexed"
            and about["chunk_grid"]["configuration"]["chunk_shape"] == [level.shard_rows, level.dim]
            and inner["chunk_shape"] == [level.chunk_rows, level.dim]
            and [codec["name"] for codec in inner["codecs"]] == ["bytes"]
            and [codec["name"] for codec in inner["index_codecs"]] == ["bytes", "crc32c"]
            and inner.get("index_location", "end") == "end"
            and np.dtype(about["data_type"]) == dtype
            and json.dumps([codec["configuration"] for codec in inner["codecs"]]) == '[{"endian": "little"}]'
        )
    except (KeyError, ValueError, TypeError):
        return False
