"""Writing a feature set: plan, claim a unit, append its rows to part files, commit, move them into place.

Whoever is killed at whatever moment leaves part files and unreferenced shards at most: readers believe commit entries
alone, and a commit entry is created once, whole, by a hard link that cannot overwrite.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from emocache.errors import CacheError
from emocache.files import write_whole
from emocache.store.background import Background
from emocache.store.card import Card, check_key, read_card, to_text
from emocache.store.claims import Use, claim
from emocache.store.index import SUPERSEDED, Array, Index, arrays_of, read_index, removed_arrays
from emocache.store.layout import DTYPES, FORMAT, Level, Paths, check_not_aside, disk, make_arrays, make_root, read_json, to_json
from emocache.store.plan import Generation, Item, read_generations, write_generation, write_level
from emocache.store.seal import sealed
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
    """One feature set, opened for writing; made if it is not there yet. While it is open, nobody removes or rewrites it.

    Raises KeyMismatch when features of this name were made in another way, CacheError where nothing can be written.
    """

    def __init__(self, root: Path, corpus: str, name: str, card: Card) -> None:
        self.paths = Paths(root / corpus / name)
        self.levels: dict[str, Level] = {}
        self._use: Use | None = None
        self._generations: list[Generation] = []
        if not self.paths.card.exists():
            check_not_aside(self.paths)
            with _writable(self.paths.root):
                make_root(root)
                self._open()
                with claim(self.paths.claims, "plan"):
                    if not self.paths.card.exists():
                        _check_vacant(self.paths)
                        write_whole(self.paths.card, to_text(card))
        self.card = read_card(self.paths.card)
        if self.card.key.format != FORMAT:
            raise CacheError(
                f"{self.paths.root}: has format {self.card.key.format}, and this release adds to format {FORMAT} alone; "
                f"run `emocache migrate {corpus}/{name}` first (nothing is encoded again)"
            )
        check_key(self.card, card, f"{corpus}/{name}")
        self.dtype = DTYPES[self.card.key.dtype]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let others remove or rewrite."""
        if self._use is not None:
            self._use.close()
            self._use = None

    def plan(self, items: Sequence[Item], wanted: Mapping[str, Sequence[int]], *, retry: bool = False) -> list[Work]:
        """Give every item its place and say what is still to be made, the unit with the longest utterance first.

        `wanted` maps levels to layers. Items whose newest rows were made from the same input keep them; new and changed
        ones go into a new generation, and with `retry` those that failed before. Where nothing is to be made, nothing is
        written, so a complete set may be read-only.
        """
        arrays = arrays_of(wanted)
        self.levels |= {name: self.card.cut(name) for name in wanted}
        index = read_index(self.paths)
        if _is_planned(index, items, arrays, retry=retry) and not _work(index, items, arrays, self):
            return []
        with _writable(self.paths.root):
            self._open()
        with claim(self.paths.claims, "plan"), disk(self.paths.root, "the plan"):
            settle(self.paths, index := read_index(self.paths))
            while new := [item for item in items if not _placed(index, item, arrays, retry=retry)]:
                write_generation(self.paths, len(index.generations), new, self.card.native, self.card.unit_rows)
                index, retry = read_index(self.paths), False
            for name, layers in wanted.items():
                make_arrays(self.paths, self.levels[name], layers, _plan_level(index, items, self.levels[name]), self.dtype)
        return _work(read_index(self.paths), items, arrays, self)

    def units(self, work: Sequence[Work]) -> Generator[tuple[Work, UnitWriter], None, None]:
        """Claim one unit after the other; the caller puts its utterances and commits it, and may go on at once.

        What it is given lacks the arrays that another pass has committed in the meantime. Units that another process
        holds are waited for at the end, and made here should that process vanish.
        """
        pending = list(work)
        opened: list[UnitWriter] = []
        try:
            with Background() as background:
                while pending:
                    before = len(opened)
                    for item in pending:
                        if unit := self._claimed(item, background):
                            opened.append(unit)
                            yield replace(item, arrays=unit.arrays), unit
                    background.finish()
                    pending = [item for item in pending if self._lacking(item)]
                    if pending and len(opened) == before:
                        time.sleep(WAIT_S)
        finally:
            for unit in opened:
                unit.close()

    def committed(self, work: Work) -> bool:
        """Whether every array of a unit is committed, in whatever pass."""
        return not self._lacking(work)

    def _open(self) -> None:
        """Make the folders and keep others from removing or rewriting."""
        for folder in (self.paths.parts, self.paths.claims, self.paths.root / "plan"):
            folder.mkdir(parents=True, exist_ok=True)
        if self._use is None:
            self._use = Use(self.paths.claims)

    def _claimed(self, work: Work, background: Background) -> UnitWriter | None:
        """A unit that is ours to make now; None when it is held elsewhere or complete."""
        with contextlib.ExitStack() as claimed, disk(self.paths.root, f"unit {work.unit}"):
            held = claimed.enter_context(claim(self.paths.claims, str(work.unit), wait=False))
            arrays = self._lacking(work) if held else ()
            if not arrays:
                return None
            for part in self.paths.parts.glob(f"{work.unit}.*"):  # of a writer that died: its claim is ours now
                part.unlink(missing_ok=True)
            commits = self.paths.commits(work.pass_id)
            commits.mkdir(parents=True, exist_ok=True)
            if not (commits / "pass.json").exists():
                write_whole(commits / "pass.json", pass_text(f"{name}/{layer}" for name, layer in work.arrays))
            return UnitWriter(
                self.paths, self._generation(work.unit), work.unit, work.pass_id, arrays, self.levels, self.dtype, background,
                claimed.pop_all(),
            )  # fmt: skip

    def _generation(self, unit: int) -> Generation:
        """The generation that holds a unit."""
        if not any(unit in generation.unit_numbers for generation in self._generations):
            self._generations = read_generations(self.paths)
        return next(generation for generation in self._generations if unit in generation.unit_numbers)

    def _lacking(self, work: Work) -> tuple[Array, ...]:
        """The arrays of a unit that no pass has committed."""
        there: set[str] = set()
        for entry in self.paths.root.glob(f"commits/*/{work.unit}.json"):
            removed = entry.with_name("removed.json")
            there |= set(read_json(entry)["arrays"]) - (removed_arrays(removed) if removed.exists() else set())
        return tuple((level, layer) for level, layer in work.arrays if f"{level}/{layer}" not in there)


def pass_text(arrays: Iterable[str]) -> str:
    """What a `pass.json` or `removed.json` holds: the arrays of a pass, or those that were removed."""
    return sealed(to_json({"arrays": list(arrays)}))


def settle(paths: Paths, index: Index) -> None:
    """Move shards into place for writers that died between their commit and that."""
    for (level, array), shards in index.commits.sha256.items():
        folder = paths.array(level, array)
        for name in os.listdir(folder) if folder.is_dir() else ():  # noqa: PTH208
            number, _, checksum = name.removeprefix("c.").partition(".0.")
            if checksum and number.isdecimal() and shards.get(int(number), "").startswith(checksum):
                (folder / name).replace(paths.shard(level, array, int(number)))


def _check_vacant(paths: Paths) -> None:
    """CacheError when there are rows of which nobody knows any more how they were made."""
    if any((paths.root / name).is_dir() and any((paths.root / name).iterdir()) for name in ("plan", "commits")):
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
        raise CacheError(f"{root}: cannot be written ({error.strerror}); choose another --cache") from None


def _is_planned(index: Index, items: Sequence[Item], arrays: Sequence[Array], *, retry: bool) -> bool:
    """Whether every item has its place in every level."""
    levels = {name for name, _ in arrays}
    laid_out = all(generation.has_level(level) for generation in index.generations for level in levels)
    return laid_out and all(_placed(index, item, arrays, retry=retry) for item in items)


def _placed(index: Index, item: Item, arrays: Sequence[Array], *, retry: bool) -> bool:
    """Whether the newest place of an item is for the same input and as many rows, and was not passed over when these arrays
    were made; with `retry`, and it has not failed there.
    """
    place = index.newest.get(item.id)
    if place is None or index.digest_of(place) != item.digest:
        return False
    generation = index.generation_of(place)
    for level in {name for name, _ in arrays}:
        if generation.has_level(level) and int(index.table(level).length[place]) != item.rows[level]:
            return False
    unit = int(index.unit_of[place])
    reasons = {index.commits.failed.get(array, {}).get((unit, item.id)) for array in arrays} - {None}
    return not reasons or not (retry or SUPERSEDED in reasons)


def _plan_level(index: Index, items: Sequence[Item], cut: Level) -> int:
    """Lay out a level in every generation that lacks it; the number of its shards in all.

    Utterances that were planned earlier, but are gone or were made from other input, get no rows.
    """
    by_id = {item.id: item for item in items}
    there = {generation.number: index.has_rows(generation, cut.name) for generation in index.generations}
    shards = max((int(generation.rows(cut.name).shard[-1]) for generation in index.generations if there[generation.number]), default=0)
    for generation in index.generations:
        if there[generation.number]:
            continue
        found = [by_id.get(name) for name in generation.names]
        same = [item if item and item.digest == generation.digest(i) else None for i, item in enumerate(found)]
        write_level(generation, cut, same, shards)
        shards = int(generation.rows(cut.name).shard[-1])
    return shards


def _work(index: Index, items: Sequence[Item], arrays: Sequence[Array], writer: FeatureWriter) -> list[Work]:
    """The units that hold any of the items and lack any of the arrays."""
    members: dict[int, list[tuple[int, Item]]] = {}
    for item in items:
        place = index.newest[item.id]
        members.setdefault(int(index.unit_of[place]), []).append((place, item))
    retired = sorted(path.parent.name for path in writer.paths.root.glob("commits/*/removed.json"))
    found: list[tuple[int, Work]] = []
    for unit, held in members.items():
        if missing := tuple(array for array in arrays if unit not in index.commits.stored.get(array, {})):
            ids = tuple(item.id for _, item in sorted(held, key=lambda pair: pair[0]))
            longest = max(item.rows[writer.card.native] for _, item in held)
            found.append((longest, Work(_pass_id(missing, retired), unit, ids, missing)))
    return [work for _, work in sorted(found, key=lambda pair: (-pair[0], pair[1].unit))]


def _pass_id(arrays: Sequence[Array], retired: Sequence[str]) -> str:
    """The same for the same levels and layers, so that a repeated command goes on where it stopped.

    Passes of which arrays were removed are `retired`: those arrays are made anew in another pass.
    """
    return hashlib.sha256(json.dumps([sorted(arrays), retired] if retired else sorted(arrays)).encode()).hexdigest()[:8]
