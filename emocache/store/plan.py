"""What goes where: utterances into units, and the rows of every level, fixed before anything is encoded.

A unit is a fixed list of utterances, longest first; batches never cross it, so what is stored depends on the unit
alone. In every level it owns whole shards:

    unit 0: a a a a a a b b b b c c . .|    unit 1: d d d d e . . . . . . . . .|
            ^ start of c = 10               ^ every unit starts on a shard

A generation without units says of its utterances that they were removed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.store.layout import (
    LARGE_ROWS,
    UNIT_ROWS,
    UNIT_ROWS_LARGE,
    UNIT_UTTERANCES,
    Level,
    Paths,
    read_array,
    write_folder,
)

Column = NDArray[Any]
"""What each row of a level stands for: a number (int32), or text (bytes in UTF-8)."""
COLUMN = "column."
"""How the names of the files begin that say what each row stands for."""
DIGESTS = "digests"
"""The file of a level that says what the rows of each utterance were made from, beside the utterance's own digest."""


@dataclass(frozen=True, slots=True)
class Item:
    """One utterance as the store sees it: what it is made from (`digest`, hex) and its rows in each level.

    `group` is what a user may want alone later (a session or fold): no unit holds two groups. `columns` says of each
    row of a level what it stands for: column name -> int32, or bytes (UTF-8), [rows]. `size` is what it counts in a batch,
    where that is not its rows: units are made longest first. `made_from` holds the digests (hex) of what levels are made
    from beside `digest`: of segments, the alignment.
    """

    id: str
    digest: str
    group: str
    rows: Mapping[str, int]
    columns: Mapping[str, Mapping[str, Column]] = field(default_factory=dict)
    size: int = 0
    made_from: Mapping[str, str] = field(default_factory=dict)

    def length(self, native: str) -> int:
        """What decides its place among others."""
        return self.size or self.rows[native]


@dataclass(frozen=True)
class Generation:
    """The utterances planned together: ids [n] (UTF-8), digests [n, 32], units [u + 1] (first utterance of each)."""

    paths: Paths
    number: int
    first_unit: int
    ids: NDArray[np.bytes_]
    digests: NDArray[np.uint8]
    units: NDArray[np.int64]
    _rows: dict[str, "Rows"] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def names(self) -> list[str]:
        """The ids as text."""
        return [name.decode() for name in self.ids.tolist()]

    def unit_range(self, unit: int) -> range:
        """The utterances of unit `unit` (a number over all generations)."""
        local = unit - self.first_unit
        return range(int(self.units[local]), int(self.units[local + 1]))

    @property
    def removal(self) -> bool:
        """Whether this generation says which utterances were removed."""
        return len(self.units) == 1

    @property
    def unit_numbers(self) -> range:
        """The units of this generation, numbered over all generations."""
        return range(self.first_unit, self.first_unit + len(self.units) - 1)

    @cached_property
    def unit_of(self) -> NDArray[np.int64]:
        """The unit of each utterance [n]; -1 where it was removed."""
        if self.removal:
            return np.full(len(self.ids), -1, np.int64)
        return np.repeat(np.asarray(self.unit_numbers), np.diff(self.units))

    def rows(self, level: str) -> "Rows":
        """Where the rows of each utterance lie in a level."""
        if self.removal:
            none = np.zeros(len(self.ids), np.int64)
            return Rows(none, none.astype(np.int32), none[:1])
        if level not in self._rows:
            folder = self.paths.plan(self.number) / level
            self._rows[level] = Rows(*(read_array(folder / f"{name}.npy") for name in ("start", "length", "shard")))
        return self._rows[level]

    def made_from(self, level: str) -> NDArray[np.uint8]:
        """Digests [n, 32] of what a level is made from beside the utterance's own digest; zeros where that is nothing."""
        path = self.paths.plan(self.number) / level / f"{DIGESTS}.npy"
        return read_array(path) if path.is_file() else np.zeros((len(self.ids), 32), np.uint8)

    def columns(self, level: str) -> dict[str, Column]:
        """What each row of a level stands for, over all utterances, one after the other."""
        files = sorted((self.paths.plan(self.number) / level).glob(f"{COLUMN}*.npy"))
        return {path.stem.removeprefix(COLUMN): read_array(path) for path in files}

    def has_level(self, level: str) -> bool:
        """Whether the rows of a level are planned."""
        return self.removal or (self.paths.plan(self.number) / level).is_dir()


@dataclass(frozen=True, slots=True)
class Rows:
    """start [n] and length [n] in rows of the level's arrays; shard [u + 1], the first shard of each unit."""

    start: NDArray[np.int64]
    length: NDArray[np.int32]
    shard: NDArray[np.int64]


def read_generations(paths: Paths) -> list[Generation]:
    """Every generation, oldest first."""
    found: list[Generation] = []
    first_unit = 0
    for number in takewhile(lambda number: paths.plan(number).is_dir(), count()):
        folder = paths.plan(number)
        arrays: list[Any] = [read_array(folder / f"{name}.npy") for name in ("ids", "digests", "units")]
        found.append(Generation(paths, number, first_unit, *arrays))
        first_unit += len(arrays[2]) - 1
    return found


def write_generation(paths: Paths, number: int, items: Sequence[Item], native: str, limit: int) -> bool:
    """Cut items into units and write them as generation `number`; False when another writer was first."""
    rows, sizes, groups = zip(*((item.rows[native], item.length(native), item.group) for item in items), strict=True)
    order, units = cut_units(rows, groups, limit, sizes)
    digests = np.frombuffer(b"".join(bytes.fromhex(items[i].digest) for i in order), np.uint8).reshape(-1, 32)
    ids = np.array([items[i].id.encode() for i in order])
    return write_folder(paths.plan(number), {"ids": ids, "digests": digests, "units": np.array(units, np.int64)})


def write_removal(paths: Paths, number: int, ids: Sequence[str]) -> bool:
    """Write as generation `number` that these utterances were removed; False when another writer was first."""
    gone = np.array([name.encode() for name in ids])
    arrays = {"ids": gone, "digests": np.zeros((len(gone), 32), np.uint8), "units": np.zeros(1, np.int64)}
    return write_folder(paths.plan(number), arrays)


def cut_units(rows: Sequence[int], groups: Sequence[str], limit: int, sizes: Sequence[int] | None = None) -> tuple[list[int], list[int]]:
    """The order of utterances, and where units begin in it (with the end as last entry).

    Group after group, longest (by `sizes`, else by rows) first; a unit ends before it would pass `limit` rows or UNIT_UTTERANCES.
    """
    by = rows if sizes is None else sizes
    order = sorted(range(len(rows)), key=lambda i: (groups[i], -by[i], i))
    units = [0]
    filled = 0
    for position, i in enumerate(order):
        crowded = filled + rows[i] > limit or position - units[-1] >= UNIT_UTTERANCES
        if position > units[-1] and (crowded or groups[i] != groups[order[position - 1]]):
            units.append(position)
            filled = 0
        filled += rows[i]
    return order, [*units, len(order)]


def unit_rows(rows: int) -> int:
    """Most rows of a unit, and rows of a shard, for a corpus of `rows` rows in all: more for large ones."""
    return UNIT_ROWS_LARGE if rows >= LARGE_ROWS else UNIT_ROWS


def write_level(generation: Generation, level: Level, items: Sequence[Item | None], first_shard: int) -> int:
    """Lay out the rows of a level for one generation, from shard `first_shard` on; the next free shard.

    `items` are the generation's utterances in its order; None stands for one that gets no rows.
    """
    length = np.array([item.rows[level.name] if item else 0 for item in items], np.int32)
    rows = lay_out(length, generation.units, level.shard_rows, first_shard)
    arrays: dict[str, NDArray[Any]] = {"start": rows.start, "length": rows.length, "shard": rows.shard}
    if any(item and level.name in item.made_from for item in items):
        found = (bytes.fromhex(item.made_from[level.name]) if item else bytes(32) for item in items)
        arrays[DIGESTS] = np.frombuffer(b"".join(found), np.uint8).reshape(-1, 32)
    write_folder(generation.paths.plan(generation.number) / level.name, arrays | _columns(level.name, items))
    return int(rows.shard[-1])


def lay_out(length: NDArray[np.int32], units: NDArray[np.int64], shard_rows: int, first_shard: int) -> Rows:
    """The rows of utterances one after the other, every unit from a shard of its own on."""
    rows = np.add.reduceat(length.astype(np.int64), units[:-1])
    shard = np.concatenate([[first_shard], first_shard + np.cumsum(-(-rows // shard_rows))]).astype(np.int64)
    before = np.cumsum(length, dtype=np.int64) - length
    in_unit = before - np.repeat(before[units[:-1]], np.diff(units))
    return Rows(in_unit + np.repeat(shard[:-1] * shard_rows, np.diff(units)), length, shard)


def _columns(level: str, items: Sequence[Item | None]) -> dict[str, NDArray[Any]]:
    """The columns of a level over all utterances, each flat: one value per row."""
    parts: dict[str, list[NDArray[Any]]] = {}
    for item in items:
        for name, values in (item.columns.get(level, {}) if item else {}).items():
            parts.setdefault(f"{COLUMN}{name}", []).append(values)
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    return {name: values if values.dtype.kind == "S" else values.astype(np.int32) for name, values in joined.items()}
