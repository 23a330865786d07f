"""What is in a feature set: generations of utterances and the commits that say which of their rows are there.

A *place* is the number of a planned utterance over all generations, int64; an utterance that was planned again has
several, the newest last.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import CacheError
from emocache.store.layout import REPAIR, Paths, array_name, read_json
from emocache.store.plan import Column, Generation, read_generations

Array = tuple[str, int]
"""One array of a feature set: (level, layer)."""
Places = NDArray[np.int64]
SUPERSEDED = "superseded"
"""Why a commit has no rows of an utterance: a newer generation holds it, or it was removed."""
MANY, THREADS = 64, 16
"""From so many commit entries on, they are read by threads: a network file system answers each after a while."""


@dataclass(frozen=True)
class Table:
    """Where the rows of every place lie in one level: start [places] and length [places], in rows of its arrays."""

    start: NDArray[np.int64]
    length: NDArray[np.int32]


@dataclass(frozen=True)
class Commits:
    """What the commit entries say. `stored`: array -> unit -> name of the Zarr array that holds it ('12' or '12.float32').

    `failed`: array -> (unit, id) -> reason; `sha256`: (level, name of the Zarr array) -> shard -> checksum.
    """

    entries: dict[tuple[str, int], str] = field(default_factory=dict)
    stored: dict[Array, dict[int, str]] = field(default_factory=dict)
    failed: dict[Array, dict[tuple[int, str], str]] = field(default_factory=dict)
    sha256: dict[tuple[str, str], dict[int, str]] = field(default_factory=dict)

    def add(self, unit: int, entry: Mapping[str, Any], removed: Iterable[str], where: Path) -> None:
        """Enter one commit, less the arrays that were removed or are there; CacheError when it is none."""
        try:
            kept = [(name, shard) for name, shard in entry["arrays"].items() if name not in removed]
            for name, shard in kept:
                level, layer = name.split("/")
                array = (level, int(layer))
                if unit in self.stored.get(array, {}):
                    continue
                stored = array_name(int(layer), wide=bool(shard["wide"]))
                self.stored.setdefault(array, {})[unit] = stored
                self.sha256.setdefault((level, stored), {}).update((int(number), str(sum_)) for number, sum_ in shard["sha256"].items())
                if entry["failures"]:
                    self.failed.setdefault(array, {}).update({(unit, failed): str(why) for failed, why in entry["failures"].items()})
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise CacheError(f"{where}: not a commit entry ({error!r}); {REPAIR}") from None


@dataclass(frozen=True)
class Index:
    """A snapshot of plan and commits."""

    generations: list[Generation]
    commits: Commits

    @cached_property
    def names(self) -> list[str]:
        """The id of each place."""
        return [name for generation in self.generations for name in generation.names]

    @cached_property
    def newest(self) -> dict[str, int]:
        """Id -> its newest place, in the order in which they were first planned; removed utterances are not among them."""
        newest = dict(zip(self.names, range(len(self.names)), strict=True))
        if any(generation.removal for generation in self.generations):
            unit = self.unit_of
            newest = {name: place for name, place in newest.items() if unit[place] >= 0}
        return newest

    @cached_property
    def places(self) -> Places:
        """The newest places, in the order of `newest`."""
        if len(self.newest) == len(self.names):
            return np.arange(len(self.names))
        return np.fromiter(self.newest.values(), np.int64, len(self.newest))

    @cached_property
    def unit_of(self) -> NDArray[np.int64]:
        """The unit of each place; -1 where it says that an utterance was removed."""
        return _joined([generation.unit_of for generation in self.generations])

    @cached_property
    def digests(self) -> NDArray[np.uint8]:
        """What each place was planned to be made from [places, 32]."""
        return _joined([generation.digests for generation in self.generations])

    def digest_of(self, place: int) -> str:
        """The same of one place, in hexadecimal."""
        return bytes(self.digests[place]).hex()

    @cached_property
    def first_place(self) -> NDArray[np.int64]:
        """The first place of each generation, and the number of places as last entry."""
        return np.cumsum([0, *(len(generation.ids) for generation in self.generations)])

    def generation_of(self, place: int) -> Generation:
        """The generation that planned a place."""
        return self.generations[int(np.searchsorted(self.first_place, place, side="right")) - 1]

    @cached_property
    def units(self) -> int:
        """How many units there are."""
        return sum(len(generation.unit_numbers) for generation in self.generations)

    def made_from(self, level: str) -> NDArray[np.uint8]:
        """What each place of a level was planned to be made from beside `digests` [places, 32]; zeros where that is nothing.

        Where a generation lacks the level, since another level's alignment asked for it, as the place before of the same input.
        """
        if level not in self._made_from:
            found = _joined([generation.made_from(level) for generation in self.generations])
            lacks = np.repeat([not generation.has_level(level) for generation in self.generations], np.diff(self.first_place))
            if lacks.any() and found.any():
                seen: dict[tuple[str, bytes], int] = {}
                for place, name in enumerate(self.names):
                    before = seen.get(key := (name, bytes(self.digests[place])))
                    if lacks[place] and before is not None:
                        found[place] = found[before]
                    seen[key] = place
            self._made_from[level] = found
        return self._made_from[level]

    def older(self, level: str) -> Places:
        """For each place the one before it of the same utterance, if it was made from the same input in a level; else -1.

        None lies before a removal: what was removed does not come back.
        """
        if level not in self._older:
            older = np.full(len(self.names), -1, np.int64)
            if len(self.generations) > 1:
                seen: dict[str, dict[bytes, int]] = {}
                more, removed = self.made_from(level), self.unit_of < 0
                for place, name in enumerate(self.names):
                    if removed[place]:
                        seen.pop(name, None)
                        continue
                    before, key = seen.setdefault(name, {}), bytes(self.digests[place]) + bytes(more[place])
                    older[place] = before.get(key, -1)
                    before[key] = place
            self._older[level] = older
        return self._older[level]

    def has_level(self, level: str) -> bool:
        """Whether anything is committed in a level."""
        return any(name == level for name, _ in self.commits.stored)

    def table(self, level: str) -> Table:
        """Where the rows of every place lie in a level; places of generations that lack it have none.

        CacheError when a generation has lost it.
        """
        if level not in self._tables:
            rows = [g.rows(level) if self.has_rows(g, level) else None for g in self.generations]
            sizes = [len(g.ids) for g in self.generations]
            start = _joined([one.start if one else np.zeros(n, np.int64) for one, n in zip(rows, sizes, strict=True)])
            length = _joined([one.length if one else np.zeros(n, np.int32) for one, n in zip(rows, sizes, strict=True)])
            self._tables[level] = Table(start, length)
        return self._tables[level]

    def columns(self, level: str, place: int) -> dict[str, Column]:
        """What the rows of a place stand for in a level, column -> [rows]."""
        generation = self.generation_of(place)
        if (level, generation.number) not in self._columns:
            columns = generation.columns(level)
            ends = np.cumsum([0, *generation.rows(level).length.tolist()]) if columns else np.zeros(0, np.int64)
            self._columns[level, generation.number] = ends, columns
        ends, columns = self._columns[level, generation.number]
        i = place - int(self.first_place[generation.number])
        return {name: values[ends[i] : ends[i + 1]] for name, values in columns.items()}

    def has_rows(self, generation: Generation, level: str) -> bool:
        """Whether the rows of a level are planned in a generation; CacheError when they are not, but are committed."""
        if generation.has_level(level):
            return True
        units = {unit for (name, _), stored in self.commits.stored.items() if name == level for unit in stored}
        if not units.isdisjoint(generation.unit_numbers):
            raise CacheError(f"{generation.paths.plan(generation.number) / level}: missing, though rows of it are committed; {REPAIR}")
        return False

    def committed(self, array: Array) -> NDArray[np.bool_]:
        """Of each place, whether its unit is committed in an array."""
        committed = np.zeros(self.units + 1, bool)  # the last one stands for unit -1
        committed[list(self.commits.stored.get(array, {}))] = True
        return committed[self.unit_of]

    def held(self, array: Array) -> NDArray[np.bool_]:
        """Of each place, whether its rows are committed in an array."""
        if array not in self._held:
            held = self.committed(array)
            for unit, name in self.commits.failed.get(array, {}):
                held[self.place_in_unit(unit, name)] = False
            self._held[array] = held
        return self._held[array]

    def located(self, array: Array, places: Places) -> Places:
        """For newest places, those that hold the rows in an array: the newest of the same input; -1 where there is none."""
        if self._is_complete(array):
            return places
        held = self.held(array)
        found = places
        while (lacking := ~held[found] & (found >= 0)).any():
            found = np.where(lacking, self.older(array[0])[found], found)
        return found

    def _is_complete(self, array: Array) -> bool:
        """Whether the newest place of every utterance holds its rows in an array."""
        if array not in self._complete:
            self._complete[array] = bool(self.held(array)[self.places].all())
        return self._complete[array]

    def place_in_unit(self, unit: int, name: str) -> int:
        """Where an utterance is in a unit; CacheError when it is not."""
        generation = next((g for g in self.generations if unit in g.unit_numbers), None)
        members = generation.unit_range(unit) if generation else range(0)
        if generation is None or name not in (held := generation.names[members.start : members.stop]):
            raise CacheError(f"unit {unit} has no utterance {name!r}: plan and commits do not fit together; run `emocache verify`")
        return int(self.first_place[generation.number]) + members.start + held.index(name)

    @cached_property
    def digest(self) -> str:
        """Changes with whatever is planned or committed: SHA-256 over plan and commit entries."""
        found = hashlib.sha256()
        for generation in self.generations:
            for values in (generation.ids, generation.digests, generation.units):
                found.update(np.ascontiguousarray(values).data.cast("B"))
        lines = sorted(f"{folder}/{unit} {digest}" for (folder, unit), digest in self.commits.entries.items())
        found.update("\n".join(lines).encode())
        found.update(repr(sorted(self.commits.stored)).encode())  # less the arrays that were removed
        return found.hexdigest()

    @cached_property
    def _tables(self) -> dict[str, Table]:
        return {}

    @cached_property
    def _columns(self) -> dict[tuple[str, int], tuple[NDArray[np.int64], dict[str, Column]]]:
        return {}

    @cached_property
    def _made_from(self) -> dict[str, NDArray[np.uint8]]:
        return {}

    @cached_property
    def _older(self) -> dict[str, Places]:
        return {}

    @cached_property
    def _held(self) -> dict[Array, NDArray[np.bool_]]:
        return {}

    @cached_property
    def _complete(self) -> dict[Array, bool]:
        return {}


def read_index(paths: Paths) -> Index:
    """Read plan and commits of a feature set; the plan last, since units are planned before they are committed.

    CacheError when either is damaged.
    """
    commits = Commits()
    removed = {path.parent.name: removed_arrays(path) for path in paths.root.glob("commits/*/removed.json")}
    entries = list(commit_entries(paths))
    for path, text in zip(entries, _read_all(entries), strict=True):
        if text is None:
            continue
        try:
            entry = json.loads(text)
        except ValueError as error:
            raise CacheError(f"{path}: not a commit entry ({error}); {REPAIR}") from None
        folder, unit = path.parent.name, int(path.stem)
        commits.entries[folder, unit] = hashlib.sha256(text).hexdigest()
        commits.add(unit, entry, removed.get(folder, ()), path)
    generations = read_generations(paths)
    planned = sum(len(generation.unit_numbers) for generation in generations)
    if (last := max((unit for _, unit in commits.entries), default=-1)) >= planned:
        raise CacheError(f"{paths.root}: unit {last} is committed, but only {planned} are in the plan; part of it is lost; {REPAIR}")
    return Index(generations, commits)


def committed(paths: Paths, unit: int) -> dict[str, Any]:
    """For every array of a unit that is committed ('frames/3'), what the entry says of it."""
    found: dict[str, Any] = {}
    for entry in sorted(paths.root.glob(f"commits/*/{unit}.json")):
        removed = entry.with_name("removed.json")
        gone = removed_arrays(removed) if removed.exists() else frozenset()
        found = {name: about for name, about in read_json(entry)["arrays"].items() if name not in gone} | found
    return found


def next_entry(paths: Paths, unit: int) -> Path:
    """Where the next commit entry of a unit belongs.

    Writers that know of the same entries are given the same place, and one of them gets it.
    """
    for number in count():
        entry = paths.commits(str(number)) / f"{unit}.json"
        if not entry.exists() and not entry.with_name("removed.json").exists():
            return entry
    raise AssertionError


def commit_entries(paths: Paths) -> Iterator[Path]:
    """Every commit entry, folder by folder."""
    root = paths.root / "commits"
    if not root.is_dir():
        return
    for folder in sorted(root.iterdir()):
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json") and name[:-5].isdecimal())  # noqa: PTH208
        yield from (folder / name for name in names)


def removed_arrays(path: Path) -> frozenset[str]:
    """The arrays that a `removed.json` names."""
    return frozenset(map(str, read_json(path).get("arrays", ())))


def _read_all(paths: Sequence[Path]) -> Iterator[bytes | None]:
    """The contents of files, in their order; None for one that was removed in this moment."""
    if len(paths) < MANY:
        yield from map(_read, paths)
        return
    share = -(-len(paths) // THREADS)  # a thread reads many: handing over a single one costs more than reading it
    with ThreadPoolExecutor(THREADS) as pool:
        parts = [paths[at : at + share] for at in range(0, len(paths), share)]
        for read in pool.map(lambda part: [_read(path) for path in part], parts):
            yield from read


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Arrays one after the other; a single one as it is."""
    return np.asarray(parts[0]) if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros(0, np.int64)


def arrays_of(wanted: Mapping[str, Iterable[int]]) -> list[Array]:
    """Level -> layers as a sorted list of arrays."""
    return sorted((level, layer) for level, layers in wanted.items() for layer in layers)
