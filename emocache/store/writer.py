"""Writing a feature set: plan, claim a unit, append its rows to part files, commit, move them into place.

Whoever is killed at whatever moment leaves part files and unreferenced shards at most: readers believe commit entries
alone, and a commit entry is created once, whole, by a hard link that cannot overwrite.
"""

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from emocache.errors import CacheError
from emocache.files import create_whole, write_whole
from emocache.places import open_to_group
from emocache.store.background import Background
from emocache.store.card import Card, check_key, grown, read_card, to_text
from emocache.store.claims import Use, claim, runs
from emocache.store.index import SUPERSEDED, Array, Index, Places, arrays_of, committed, read_index
from emocache.store.layout import DTYPES, FORMAT, FULL, Level, Paths, check_not_aside, disk, make_arrays, make_root, remedy, to_json
from emocache.store.plan import Generation, Item, read_generations, write_generation, write_level
from emocache.store.seal import sealed
from emocache.store.unit import UnitWriter

WAIT_S = 0.5
"""Between looks at units that another process is making."""
TELL_S = 5.0
"""After so much waiting it is said."""


@dataclass(frozen=True, slots=True)
class Work:
    """One unit still to be made: the utterances to encode, out of those it holds, and the arrays."""

    unit: int
    ids: tuple[str, ...]
    arrays: tuple[Array, ...]


class FeatureWriter:
    """One feature set, opened for writing; made if it is not there yet. While it is open, nobody removes or rewrites it.

    What the process makes until it is closed is open to the group, where the cache's folder is (places.open_to_group).

    Raises KeyMismatch when features of this name were made in another way, CacheError where nothing can be written.
    """

    def __init__(self, root: Path, corpus: str, name: str, card: Card, on_wait: Callable[[str], object] = lambda text: None) -> None:
        """`on_wait` is told, in words, when there is nothing to do but wait for others."""
        self.on_wait = on_wait
        self.paths = Paths(root / corpus / name)
        self.levels: dict[str, Level] = {}
        self._use: Use | None = None
        self._umask = open_to_group(root)
        self._generations: list[Generation] = []
        if not self.paths.card.exists():
            check_not_aside(self.paths)
            with _writable(self.paths.root):
                make_root(root)
                self._open()
                with claim(self.paths.claims, "plan"):
                    if not self.paths.card.exists():
                        _check_vacant(self.paths)
                        create_whole(self.paths.card, to_text(card))
        self.card = read_card(self.paths.card)
        if self.card.key.format != FORMAT:
            raise CacheError(
                f"{self.paths.root}: has format {self.card.key.format}, and this release adds to format {FORMAT} alone; "
                f"run `emocache migrate {corpus}/{name}` first (nothing is encoded again)"
            )
        check_key(self.card, card, f"{corpus}/{name}")
        self.card = grown(self.card, card)
        self.dtype = DTYPES[self.card.key.dtype]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let others remove or rewrite, and make files as before."""
        os.umask(self._umask)
        if self._use is not None:
            self._use.close()
            self._use = None

    def plan(self, items: Sequence[Item], wanted: Mapping[str, Sequence[int]], *, retry: bool = False) -> list[Work]:
        """Give every item its place and say what is still to be made, the unit with the longest utterance first.

        `wanted` maps levels to layers. Items whose newest rows were made from the same input keep them; new and changed
        ones go into a new generation, and with `retry` those that failed before. Where nothing is to be made, nothing is
        written, so a complete set may be read-only.
        """
        _check_items(items)
        arrays = arrays_of(wanted)
        self.levels |= {name: self.card.cut(name) for name in wanted}
        index = read_index(self.paths)
        if _is_planned(index, items, arrays, retry=retry) and not _work(index, items, arrays, self):
            self._settle(index)
            return []
        with _writable(self.paths.root):
            self._open()
        with claim(self.paths.claims, "plan", wait=False) as free:
            if not free:
                self.on_wait("waiting for another writer that is planning")
        with disk(self.paths.root, "the plan"), claim(self.paths.claims, "plan"):
            settle(self.paths, index := read_index(self.paths))
            if grown(there := read_card(self.paths.card), self.card) != there:
                write_whole(self.paths.card, to_text(self.card))
            while (new := _unplaced(index, items, arrays, retry=retry)) or not _is_laid_out(index, arrays):
                if new:
                    write_generation(self.paths, len(index.generations), new, self.card.native, self.card.unit_rows)
                    retry = False
                for name in () if new else wanted:
                    _plan_level(index, items, self.levels[name])
                index = read_index(self.paths)
            for name, layers in wanted.items():
                make_arrays(self.paths, self.levels[name], layers, _shards(index, name), self.dtype)
        return _work(index, items, arrays, self)

    def units(self, work: Sequence[Work]) -> Generator[tuple[Work, UnitWriter], None, None]:
        """Claim one unit after the other; the caller puts its utterances and commits it, and may go on at once.

        What it is given lacks the arrays that others have committed in the meantime. Units that another process
        holds are waited for at the end, and made here should that process vanish.
        """
        pending = list(work)
        opened: list[UnitWriter] = []
        waited = 0.0
        try:
            with Background(1) as committing, Background() as background:  # a unit is synced while the next one is written
                while pending:
                    before = len(opened)
                    for item in pending:
                        if unit := self._claimed(item, background, committing):
                            opened.append(unit)
                            yield replace(item, arrays=unit.arrays), unit
                    background.finish()
                    committing.finish()
                    pending = [item for item in pending if self._lacking(item)]
                    if pending and len(opened) == before:
                        waited += WAIT_S
                        if waited == TELL_S:
                            self.on_wait(f"waiting for {len(pending)} units that other writers are making, first unit {pending[0].unit}")
                        time.sleep(WAIT_S)
        finally:
            for unit in opened:
                unit.close()

    def _settle(self, index: Index) -> None:
        """In a complete set, do what is left to be done if it can be: readers do without."""
        if any(True for _ in unsettled(self.paths, index)):
            with contextlib.suppress(OSError, CacheError):
                self._open()
                settle(self.paths, read_index(self.paths))

    def _open(self) -> None:
        """Make the folders and keep others from removing or rewriting."""
        for folder in (self.paths.parts, self.paths.claims, self.paths.root / "plan"):
            folder.mkdir(parents=True, exist_ok=True)
        if self._use is None:
            self._use = Use(self.paths.claims)

    def _claimed(self, work: Work, background: Background, committing: Background) -> UnitWriter | None:
        """A unit that is ours to make now; None when it is held elsewhere or complete."""
        with contextlib.ExitStack() as claimed, disk(self.paths.root, f"unit {work.unit}"):
            held = claimed.enter_context(claim(self.paths.claims, str(work.unit), wait=False))
            arrays = self._lacking(work) if held else ()
            if not arrays:
                return None
            for part in self.paths.parts.glob(f"{work.unit}.*"):  # those of a live writer of another machine are its own
                if runs(part) is False:
                    part.unlink(missing_ok=True)
            return UnitWriter(
                self.paths, self._generation(work.unit), work.unit, arrays, self.levels, self.dtype, background, committing,
                claimed.pop_all(),
            )  # fmt: skip

    def _generation(self, unit: int) -> Generation:
        """The generation that holds a unit."""
        if not any(unit in generation.unit_numbers for generation in self._generations):
            self._generations = read_generations(self.paths)
        return next(generation for generation in self._generations if unit in generation.unit_numbers)

    def _lacking(self, work: Work) -> tuple[Array, ...]:
        """The arrays of a unit that nobody has committed."""
        there = committed(self.paths, work.unit)
        return tuple((level, layer) for level, layer in work.arrays if f"{level}/{layer}" not in there)


def _check_items(items: Sequence[Item]) -> None:
    """CacheError for an id that stands twice, or that a flat array of bytes cannot hold."""
    seen: set[str] = set()
    for item in items:
        if item.id in seen or not item.id or item.id.endswith("\0"):
            raise CacheError(f"{item.id!r}: is no id, or stands twice among the utterances")
        seen.add(item.id)


def removed_text(arrays: Iterable[str]) -> str:
    """What a `removed.json` holds."""
    return sealed(to_json({"arrays": list(arrays)}))


def settle(paths: Paths, index: Index) -> None:
    """Do what writers left to do that died: move committed shards into place, remove other bytes beside them, and part files."""
    for staged, place in unsettled(paths, index):
        with contextlib.suppress(FileNotFoundError):  # its writer lives, and was faster
            if place is None:
                staged.unlink()
            else:
                staged.replace(place)


def unsettled(paths: Paths, index: Index) -> Iterator[tuple[Path, Path | None]]:
    """Files beside the places of committed shards, and where each belongs; None for bytes that no entry names or ever will."""
    for (level, array), shards in index.commits.sha256.items():
        folder = paths.array(level, array)
        for name in os.listdir(folder) if folder.is_dir() else ():  # noqa: PTH208
            number, _, digits = name.removeprefix("c.").partition(".0.")
            if digits and number.isdecimal() and (sha256 := shards.get(int(number))):
                yield folder / name, paths.shard(level, array, int(number)) if sha256.startswith(digits) else None
    yield from ((part, None) for part in paths.parts.glob("*.*") if runs(part) is False)


def _check_vacant(paths: Paths) -> None:
    """CacheError when there are rows of which nobody knows any more how they were made."""
    there = any((paths.root / name).is_dir() and any((paths.root / name).iterdir()) for name in ("plan", "commits"))
    if there and not paths.card.exists():  # looked for again: where locks keep nobody out, somebody may just have begun
        name = f"{paths.root.parent.name}/{paths.root.name}"
        raise CacheError(
            f"{paths.card}: missing, so how the rows beside it were made is not known; put it back, "
            f"or `emocache rm {name}` and extract again"
        )


@contextlib.contextmanager
def _writable(root: Path) -> Iterator[None]:
    """Say in one line that a folder cannot be written."""
    try:
        yield
    except OSError as error:
        hint = remedy(error) if error.errno in FULL else "choose another --cache"
        raise CacheError(f"{root}: cannot be written ({error.strerror}); {hint}") from None


def _is_planned(index: Index, items: Sequence[Item], arrays: Sequence[Array], *, retry: bool) -> bool:
    """Whether every item has its place in every level."""
    return _is_laid_out(index, arrays) and not _unplaced(index, items, arrays, retry=retry)


def _is_laid_out(index: Index, arrays: Sequence[Array]) -> bool:
    """Whether every generation has its rows planned in every level."""
    return all(generation.has_level(level) for generation in index.generations for level in {name for name, _ in arrays})


def _unplaced(index: Index, items: Sequence[Item], arrays: Sequence[Array], *, retry: bool) -> list[Item]:
    """The items whose newest place is not for the same input and as many rows, or was passed over when these arrays were made.

    With `retry`, those that failed there too.
    """
    if not items or not index.newest:
        return list(items)
    places = _places(index, items)
    digests = np.frombuffer(bytes.fromhex("".join(item.digest for item in items)), np.uint8).reshape(-1, 32)
    fits = (places >= 0) & (index.digests[places] == digests).all(axis=1)
    for level in {name for name, _ in arrays}:
        laid_out = np.repeat([one.has_level(level) for one in index.generations], np.diff(index.first_place))
        rows = np.fromiter((item.rows[level] for item in items), np.int64, len(items))
        fits &= ~laid_out[places] | ((index.table(level).length[places] == rows) & _same_source(index, items, level, places))
    reasons = (pair for array in arrays for pair in index.commits.failed.get(array, {}).items())
    failed = {pair for pair, reason in reasons if retry or reason == SUPERSEDED}
    if failed:
        units = index.unit_of[places].tolist()
        fits &= np.array([(unit, item.id) not in failed for unit, item in zip(units, items, strict=True)], bool)
    return list(compress(items, ~fits))


def _same_source(index: Index, items: Sequence[Item], level: str, places: Places) -> NDArray[np.bool_]:
    """Of each item, whether its rows in a level were planned to be made from what they are now made from beside its digest."""
    now = b"".join(bytes.fromhex(item.made_from[level]) if level in item.made_from else bytes(32) for item in items)
    same: NDArray[np.bool_] = (index.made_from(level)[places] == np.frombuffer(now, np.uint8).reshape(-1, 32)).all(axis=1)
    return same


def _places(index: Index, items: Sequence[Item]) -> Places:
    """The newest place of each item; -1 where it has none."""
    newest = index.newest
    return np.fromiter((newest.get(item.id, -1) for item in items), np.int64, len(items))


def _plan_level(index: Index, items: Sequence[Item], cut: Level) -> None:
    """Lay out a level in every generation that lacks it.

    Utterances that were planned earlier, but are gone or were made from other input, get no rows.
    """
    by_id = {item.id: item for item in items}
    there = {generation.number: index.has_rows(generation, cut.name) for generation in index.generations}
    shards = max((int(generation.rows(cut.name).shard[-1]) for generation in index.generations if there[generation.number]), default=0)
    for generation in index.generations:
        if there[generation.number]:
            continue
        digests = generation.digests.tobytes().hex()
        found = [by_id.get(name) for name in generation.names]
        same = [item if item and item.digest == digests[64 * i : 64 * i + 64] else None for i, item in enumerate(found)]
        write_level(generation, cut, same, shards)
        shards = int(generation.rows(cut.name).shard[-1])


def _shards(index: Index, level: str) -> int:
    """How many shards a level has in all."""
    return max((int(generation.rows(level).shard[-1]) for generation in index.generations if not generation.removal), default=0)


def _held(index: Index, items: Sequence[Item], arrays: Sequence[Array], places: Places) -> dict[Array, NDArray[np.bool_]]:
    """Of each array and item, whether its newest or an older unit holds its rows, made from the same input and as many."""
    rows = {level: np.fromiter((item.rows[level] for item in items), np.int64, len(items)) for level in {level for level, _ in arrays}}
    located = {array: index.located(array, places) for array in arrays}
    return {array: (at >= 0) & (index.table(array[0]).length[at] == rows[array[0]]) for array, at in located.items()}


def _work(index: Index, items: Sequence[Item], arrays: Sequence[Array], writer: FeatureWriter) -> list[Work]:
    """The units that hold any of the items and lack any of the arrays; rows of the same input in older units are not made again."""
    places = _places(index, items)
    held = _held(index, items, arrays, places)
    units = index.unit_of[places]
    order = np.lexsort((places, units))  # unit after unit, each in the plan's order
    found: list[tuple[int, Work]] = []
    for mine in np.split(order, np.flatnonzero(np.diff(units[order])) + 1) if items else ():
        unit, members = int(units[mine[0]]), [items[i] for i in mine.tolist()]
        if missing := tuple(a for a in arrays if unit not in index.commits.stored.get(a, {}) and not held[a][mine].all()):
            longest = max(item.length(writer.card.native) for item in members)
            found.append((longest, Work(unit, tuple(item.id for item in members), missing)))
    return [work for _, work in sorted(found, key=lambda pair: (-pair[0], pair[1].unit))]
