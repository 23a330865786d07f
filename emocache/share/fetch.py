"""Bringing bytes here, several requests at once; nothing is taken for whole before its SHA-256 was found to be right.

CACHE/.pull/objects/9f86...        an object that is whole
CACHE/.pull/objects/9f86....part   what has come of one so far; the next pull goes on from there
CACHE/.pull/rows/KEY/frames.12     rows of some utterances, one after the other
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emocache.errors import ShareError
from emocache.share.choice import Stretch, row_bytes, stretches
from emocache.share.format import Object, object_path
from emocache.share.passing import patiently
from emocache.share.place import Passing, Place
from emocache.share.shards import Outline, Table, digest_of
from emocache.store.index import Index

THREADS = 16
"""Requests under way at once: a server answers many as fast as one."""
ROUNDS = 2
"""How often something is asked for that comes with a wrong SHA-256."""
STEP = 1 << 16
"""Bytes that a try must bring to count as one that got somewhere."""
Tick = Callable[[int], object]


@dataclass(frozen=True)
class Rows:
    """Rows of one array that are gathered in a file: of which places, and the table of their digests."""

    path: Path
    outline: Outline
    index: Index
    places: Sequence[int]
    table: Table

    @property
    def edges(self) -> list[int]:
        """Where the rows of each place begin in the file."""
        return row_bytes(self.outline, self.index, self.places)

    def lacking(self) -> set[int]:
        """The places whose rows are not there as they should be."""
        edges = self.edges
        if not edges[-1]:
            return set()
        if not self.path.exists() or self.path.stat().st_size != edges[-1]:
            return {place for place, a, b in zip(self.places, edges[:-1], edges[1:], strict=True) if b > a}
        data = np.memmap(self.path, np.uint8, "r")
        return {
            place
            for place, a, b in zip(self.places, edges[:-1], edges[1:], strict=True)
            if b > a and digest_of([data[a:b]]) != bytes(self.table[place])
        }


def bring(place: Place, objects: Mapping[Object, Path], rows: Iterable[Rows], title: str) -> None:
    """Bring objects to where they are to lie, and rows into their files; ShareError for what is not what it should be."""
    waiting = {one: path for one, path in objects.items() if not _there(one, path)}
    gathered = [(one, one.lacking()) for one in rows]
    total = sum(one.size for one in waiting) + sum(_size(one, lacking) for one, lacking in gathered)
    bar = tqdm(total=total, desc=title, unit="B", unit_scale=True, delay=0.5, leave=False)
    tick = _Tick(bar)
    with bar, ThreadPoolExecutor(THREADS) as pool:
        jobs: list[Callable[[], None]] = [partial(_object, place, one, path, tick) for one, path in waiting.items()]
        for turn in range(ROUNDS):
            jobs += [job for one, lacking in gathered for job in _row_jobs(place, one, lacking, tick)]
            _all(pool, jobs, tick)
            jobs = []
            gathered = [(one, lacking) for one, _ in gathered if (lacking := one.lacking())]
            if gathered and turn == ROUNDS - 1:
                one, lacking = gathered[0]
                name = one.index.names[min(lacking)]
                raise ShareError(f"{place.shown}: the rows of {name} in {'/'.join(map(str, one.outline.array))} are not what was pushed")


def small_object(place: Place, one: Object, most: int) -> bytes:
    """The bytes of an object that is read whole."""
    if one.size > most:
        raise ShareError(f"{place.shown}: {one.path} is said to have {one.size} bytes, which none of its kind has; nothing was changed")
    for turn in range(ROUNDS):
        found = bytearray()
        _stream(place, one.path, 0, one.size, partial(_extend, found), lambda _: None, whole=True)
        if hashlib.sha256(found).hexdigest() == one.sha256:
            return bytes(found)
        if turn == ROUNDS - 1:
            break
    raise _damaged(place, one)


def _extend(found: bytearray, _: int, piece: bytes) -> None:
    found += piece


def _object(place: Place, one: Object, path: Path, tick: Tick) -> None:
    """Bring one object, going on from what an earlier pull has left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("a+b") as file:
        for turn in range(ROUNDS):
            begin = min(file.seek(0, os.SEEK_END), one.size)
            tick(begin)
            file.truncate(begin)
            _stream(place, one.path, begin, one.size, lambda _, piece: file.write(piece), tick, whole=True)
            file.flush()
            file.seek(0)
            if hashlib.file_digest(file, "sha256").hexdigest() == one.sha256:
                os.fsync(file.fileno())
                part.replace(path)
                return
            tick(-one.size)
            file.truncate(0)
            if turn == ROUNDS - 1:
                part.unlink(missing_ok=True)
    raise _damaged(place, one)


def _row_jobs(place: Place, rows: Rows, lacking: set[int], tick: Tick) -> list[Callable[[], None]]:
    """The requests for the rows that a file lacks."""
    if not lacking:
        return []
    rows.path.parent.mkdir(parents=True, exist_ok=True)
    with rows.path.open("ab") as file:
        file.truncate(rows.edges[-1])
    return [partial(_stretch, place, rows.path, one, tick) for one in stretches(rows.outline, rows.index, rows.places, lacking)]


def _stretch(place: Place, path: Path, stretch: Stretch, tick: Tick) -> None:
    """One request for rows, each written to where it belongs; what lies between them is let go."""
    with path.open("r+b") as file:

        def sink(at: int, piece: bytes) -> None:
            for begin, end, to in stretch.parts:
                first, last = max(begin, at), min(end, at + len(piece))
                if first < last:
                    os.pwrite(file.fileno(), piece[first - at : last - at], to + first - begin)

        _stream(place, object_path(stretch.sha256), stretch.begin, stretch.end, sink, tick)


def _stream(
    place: Place, name: str, begin: int, end: int, sink: Callable[[int, bytes], object], tick: Tick, *, whole: bool = False
) -> None:
    """The bytes of a file from `begin` to `end`, each once; `whole` files are not asked for by their end."""
    at = begin

    def attempt() -> None:
        nonlocal at
        if at == end:
            return
        for piece in place.stream(name, at, None if whole else end):
            if at + len(piece) > end:
                raise ShareError(f"{place.shown}: {name} is longer than was said ({end} bytes); nothing was changed")
            sink(at, piece)
            at += len(piece)
            tick(len(piece))
        if at < end:
            raise Passing(f"{place.shown}: {name} ended after {at} of {end} bytes")

    patiently(attempt, lambda: at // STEP)


class _Tick:
    """Tells the bar of bytes that came, and the threads that bring them that it is over."""

    def __init__(self, bar: "tqdm[None]") -> None:
        self._bar = bar
        self.over = False

    def __call__(self, count: int) -> None:
        if self.over:
            raise ShareError("interrupted")
        self._bar.update(count)


def _all(pool: ThreadPoolExecutor, jobs: Sequence[Callable[[], None]], tick: _Tick) -> None:
    """Do all; the first error, or an interruption, ends them."""
    waiting = [pool.submit(job) for job in jobs]
    try:
        for future in waiting:
            future.result()
    except BaseException:
        tick.over = True
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _there(one: Object, path: Path) -> bool:
    """Whether an object was brought by an earlier pull; what another program put there is not believed."""
    if not path.is_file() or path.stat().st_size != one.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == one.sha256


def _size(rows: Rows, lacking: set[int]) -> int:
    """Bytes of the rows that a file lacks."""
    return sum(one.end - one.begin for one in stretches(rows.outline, rows.index, rows.places, lacking))


def _damaged(place: Place, one: Object) -> ShareError:
    return ShareError(f"{place.shown}: {one.path} is not what was pushed (its SHA-256 differs); nothing was changed")
