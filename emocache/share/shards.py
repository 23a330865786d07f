"""What is known of shards without having them: bytes, where the rows of an utterance lie in them, and the SHA-256 of these rows.

Of every array there is one table, SHA-256 [places, 32]: of the rows of each planned utterance, zeros where the array has none.
An utterance that is longer than a shard has its rows in several, one after the other.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import CacheError, ShareError
from emocache.store.index import Array, Index
from emocache.store.layout import Level, Paths, stored_dtype
from emocache.store.reader import Features

Table = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shard:
    """A committed shard: the Zarr array that it is of, its number, SHA-256 and bytes; `rows` of it are used, each `row` bytes."""

    level: str
    name: str
    number: int
    sha256: str
    size: int
    row: int


class Outline:
    """The units of one array of a feature set, as its plan and commits have them."""

    def __init__(self, features: Features, index: Index, array: Array) -> None:
        self.array = array
        self.cut: Level = features.card.cut(array[0])
        self.table = index.table(array[0])
        self._features, self._index = features, index
        self.units = index.commits.stored[array]

    def dtype(self, unit: int) -> Any:
        """What a unit is stored as."""
        return stored_dtype(self.units[unit], self._features.card.key.dtype)

    def row(self, unit: int) -> int:
        """Bytes of a row in a unit."""
        return self.cut.dim * int(self.dtype(unit).itemsize)

    def shards(self, unit: int) -> list[Shard]:
        """The shards of a committed unit."""
        generation = next(one for one in self._index.generations if unit in one.unit_numbers)
        members = generation.unit_range(unit)
        rows, level = generation.rows(self.array[0]), self.array[0]
        first, last = rows.shard[unit - generation.first_unit : unit - generation.first_unit + 2].tolist()
        total, name, row = int(rows.length[members.start : members.stop].sum(dtype=np.int64)), self.units[unit], self.row(unit)
        checksums = self._index.commits.sha256[level, name]
        found = []
        for number in range(first, last):
            held = min(self.cut.shard_rows, total - (number - first) * self.cut.shard_rows)
            size = -(-held // self.cut.chunk_rows) * self.cut.chunk_rows * row + 16 * self.cut.chunks + 4
            found.append(Shard(level, name, number, checksums[number], size, row))
        return found

    def places(self, unit: int) -> range:
        """The places of a unit."""
        generation = next(one for one in self._index.generations if unit in one.unit_numbers)
        members, first = generation.unit_range(unit), int(self._index.first_place[generation.number])
        return range(first + members.start, first + members.stop)

    def pieces(self, place: int) -> Iterator[tuple[int, int, int]]:
        """(shard, first byte, end) of the rows of a place whose unit is committed."""
        at, end = int(self.table.start[place]), int(self.table.start[place]) + int(self.table.length[place])
        row = self.row(int(self._index.unit_of[place]))
        while at < end:
            shard, first = divmod(at, self.cut.shard_rows)
            count = min(end - at, self.cut.shard_rows - first)
            yield shard, first * row, (first + count) * row
            at += count


def shard_file(paths: Paths, shard: Shard) -> Path:
    """Where a shard is: beside its place until it is settled."""
    staged = paths.staged(shard.level, shard.name, shard.number, shard.sha256)
    return staged if staged.exists() else paths.shard(shard.level, shard.name, shard.number)


def digest_rows(outline: Outline, paths: Paths, places: int) -> Table:
    """The table of an array, from the shards in `paths`; CacheError when one is not what was committed."""
    table = np.zeros((places, 32), np.uint8)
    for unit in outline.units:
        shards = outline.shards(unit)
        held = {shard.number: mapped(shard_file(paths, shard), shard) for shard in shards}
        for place in outline.places(unit):
            if outline.table.length[place]:
                table[place] = np.frombuffer(digest_of([held[n][a:b] for n, a, b in outline.pieces(place)]), np.uint8)
    return table


def digest_of(parts: Sequence[NDArray[np.uint8]]) -> bytes:
    """SHA-256 of bytes one after the other."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.data)
    return found.digest()


def mapped(path: Path, shard: Shard) -> NDArray[np.uint8]:
    """The bytes of a shard that is as it was committed."""
    try:
        data: NDArray[np.uint8] = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError) as error:
        raise CacheError(f"{path}: cannot be read ({error}); run `emocache verify`") from None
    if len(data) != shard.size or hashlib.sha256(data.data).hexdigest() != shard.sha256:
        raise CacheError(f"{path}: is not what was committed, so it is not passed on; run `emocache verify`")
    return data


def read_table(data: bytes, places: int, where: str) -> Table:
    """A table that came from a remote."""
    if len(data) != places * 32:
        raise ShareError(f"{where}: has digests for {len(data) // 32} utterances, planned are {places}; nothing was changed")
    return np.frombuffer(data, np.uint8).reshape(places, 32)
