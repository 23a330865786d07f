"""Writing a feature set: plan, claim a unit, append its rows to part files, rename them into place, commit.

Whoever is killed at whatever moment leaves part files and unreferenced shards at most: readers believe commit entries
alone, and a commit entry is created once, whole, by a hard link that cannot overwrite.
"""

import contextlib
import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emocache.errors import CacheError
from emocache.files import write_whole
from emocache.store.card import Card, check_key, read_card, to_text
from emocache.store.index import Array, Index, arrays_of, read_index
from emocache.store.layout import DTYPES, Level, Paths, disk, make_arrays, make_root, to_json
from emocache.store.plan import Item, write_generation, write_level
from emocache.store.unit import UnitWriter

WAIT_S = 0.5
"""Between looks at units that another process is making."""


@dataclass(frozen=True, slots=True)
class Work:
    """One unit still to be made in one pass: the utterances to encode, out of those it holds, and the arrays."""

    pass_id: str
    unit: int
    ids: tuple[str, ...]
    arrays: tuple[Array, ...]


class FeatureWriter:
    """One feature set, opened for writing; made if it is not there yet.

    Raises KeyMismatch when features of this
    name were made in another way.
    """

    def __init__(self, root: Path, corpus: str, name: str, card: Card) -> None:
        self.paths = Paths(root / corpus / name)
        self.levels: dict[str, Level] = {}
        try:
            make_root(root)
            for folder in (self.paths.parts, self.paths.claims, self.paths.root / "plan"):
                folder.mkdir(parents=True, exist_ok=True)
            with self._lock("plan"):
                if not self.paths.card.exists():
                    write_whole(self.paths.card, to_text(card))
        except OSError as error:
            raise CacheError(f"{self.paths.root}: cannot be written ({error.strerror}); choose another --cache") from None
        self.card = read_card(self.paths.card)
        check_key(self.card, card, f"{corpus}/{name}")
        self.dtype = DTYPES[self.card.key.dtype]

    def plan(self, items: Sequence[Item], wanted: Mapping[str, Sequence[int]], *, retry: bool = False) -> list[Work]:
        """Give every item its place and say what is still to be made, the unit with the longest utterance first.

        `wanted` maps levels to layers. Items whose newest rows were made from the
        same input keep them; new and changed ones go into a new generation, and with `retry` those that failed before.
        """
        arrays = arrays_of(wanted)
        with self._lock("plan"), disk(self.paths.root, "the plan"):
            self._sweep()
            index = read_index(self.paths)
            if new := [item for item in items if not _placed(index, item, arrays, retry=retry)]:
                write_generation(self.paths, len(index.generations), new, self.card.native, self.card.unit_rows)
                index = read_index(self.paths)
            for name, layers in wanted.items():
                cut = self.levels[name] = self.card.cut(name)
                make_arrays(self.paths, cut, layers, _plan_level(index, items, cut), self.dtype)
        return _work(index, items, arrays, self.card.native)

    def _sweep(self) -> None:
        """Remove what a writer that died while planning left: planning is done under one lock, so nobody else is at it."""
        for folder in [*self.paths.root.glob("plan/.*.part"), *self.paths.root.glob("plan/*/.*.part")]:
            shutil.rmtree(folder)
        for pattern in (
            ".card.json.*.part",
            "features.zarr/zarr.*.partial",
            "features.zarr/*/zarr.*.partial",
            "features.zarr/*/*/zarr.*.partial",
        ):
            for path in self.paths.root.glob(pattern):
                path.unlink()

    def units(self, work: Sequence[Work]) -> Iterator[tuple[Work, UnitWriter]]:
        """Claim one unit after the other; the caller puts its utterances and commits it.

        Units that another process holds are waited for at the end, and made here should that process vanish.
        """
        pending = list(work)
        while pending:
            before = len(pending)
            for item in list(pending):
                with self._claim(item) as unit:
                    if unit is not None:
                        yield item, unit
                if self.committed(item):
                    pending.remove(item)
            if len(pending) == before:
                time.sleep(WAIT_S)

    def committed(self, work: Work) -> bool:
        """Whether a unit is complete in a pass."""
        return (self.paths.commits(work.pass_id) / f"{work.unit}.json").exists()

    @contextlib.contextmanager
    def _claim(self, work: Work) -> Iterator[UnitWriter | None]:
        """Hold a unit's lock while it is made; None when it is held elsewhere or complete already."""
        with self._lock(str(work.unit), wait=False) as held:
            if not held or self.committed(work):
                yield None
                return
            for part in self.paths.parts.glob(f"{work.unit}.*"):  # of a writer that died: its claim is ours now
                part.unlink()
            index = read_index(self.paths)
            commits = self.paths.commits(work.pass_id)
            commits.mkdir(parents=True, exist_ok=True)
            if not (commits / "pass.json").exists():
                write_whole(commits / "pass.json", to_json({"arrays": [f"{name}/{layer}" for name, layer in work.arrays]}))
            generation = next(g for g in index.generations if work.unit in g.unit_numbers)
            unit = UnitWriter(self.paths, generation, work.unit, work.pass_id, work.arrays, self.levels, self.dtype)
            try:
                yield unit
            finally:
                unit.close()

    @contextlib.contextmanager
    def _lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """An exclusive kernel lock, which vanishes with its process; False when not waiting and held elsewhere."""
        with (self.paths.claims / f"{name}.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            except OSError as error:
                raise CacheError(f"{file.name}: file locks do not work here ({error.strerror}); choose another --cache") from None
            yield True


def _placed(index: Index, item: Item, arrays: Sequence[Array], *, retry: bool) -> bool:
    """Whether the newest place of an item is for the same input and as many rows; with `retry`, and it has not failed there."""
    place = index.newest.get(item.id)
    if place is None or index.generations[place[0]].digest(place[1]) != item.digest:
        return False
    generation, position = index.generations[place[0]], place[1]
    for level in {name for name, _ in arrays}:
        if generation.has_level(level) and int(generation.rows(level).length[position]) != item.rows[level]:
            return False
    unit = int(generation.unit_of[position])
    return not (retry and any((unit, item.id) in index.failed.get(array, {}) for array in arrays))


def _plan_level(index: Index, items: Sequence[Item], cut: Level) -> int:
    """Lay out a level in every generation that lacks it; the number of its shards in all.

    Utterances that were planned earlier, but are gone or were made from other input, get no rows.
    """
    by_id = {item.id: item for item in items}
    shards = 0
    for generation in index.generations:
        if generation.has_level(cut.name):
            shards = int(generation.rows(cut.name).shard[-1])
            continue
        found = [by_id.get(name) for name in generation.names]
        same = [item if item and item.digest == generation.digest(i) else None for i, item in enumerate(found)]
        shards = write_level(generation, cut, same, shards)
    return shards


def _work(index: Index, items: Sequence[Item], arrays: Sequence[Array], native: str) -> list[Work]:
    """The units that hold any of the items and lack any of the arrays."""
    members: dict[int, list[tuple[int, Item]]] = {}
    for item in items:
        generation, position = index.newest[item.id]
        members.setdefault(int(index.generations[generation].unit_of[position]), []).append((position, item))
    found: list[tuple[int, Work]] = []
    for unit, held in members.items():
        if missing := tuple(array for array in arrays if unit not in index.stored.get(array, {})):
            ids = tuple(item.id for _, item in sorted(held, key=lambda pair: pair[0]))
            longest = max(item.rows[native] for _, item in held)
            found.append((longest, Work(_pass_id(missing), unit, ids, missing)))
    return [work for _, work in sorted(found, key=lambda pair: (-pair[0], pair[1].unit))]


def _pass_id(arrays: Sequence[Array]) -> str:
    """The same for the same levels and layers, so that a repeated command goes on where it stopped."""
    return hashlib.sha256(json.dumps(sorted(arrays)).encode()).hexdigest()[:8]
