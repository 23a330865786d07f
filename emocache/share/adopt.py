"""Taking what has come into the cache, by the store's own rules: shards beside their places, then commit entries, then into place.

A set that is not here yet is put together in a hidden folder, which gets its name when it is whole. One that is here gets the units
that came whole under the same numbers, and rows that came by themselves as a generation of their own.
"""

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emocache.errors import CacheError
from emocache.files import link_new, part_file, sync_folder, write_whole
from emocache.share.adopt_rows import add_rows
from emocache.share.arrival import Arrival
from emocache.store.card import check_key, grown, read_card, to_text
from emocache.store.claims import Use, claim, process
from emocache.store.index import Array, Index, committed, next_entry, read_index
from emocache.store.layout import WIDE, WIDE_SUFFIX, Paths, make_arrays, stored_dtype, to_json
from emocache.store.plan import Generation
from emocache.store.seal import sealed
from emocache.store.unit import place


def alike(mine: Index, other: Index) -> bool:
    """Whether two plans are the same as far as both go, so that a unit of one is the unit of that number in the other."""
    for here, there in zip(mine.generations, other.generations, strict=False):
        if not all(np.array_equal(getattr(here, name), getattr(there, name)) for name in ("ids", "digests", "units")):
            return False
        levels = {level for index in (mine, other) for level, _ in index.commits.stored}
        if any(here.has_level(level) and there.has_level(level) and not _same_rows(here, there, level) for level in levels):
            return False
    return True


def _same_rows(here: Generation, there: Generation, level: str) -> bool:
    """Whether a level is laid out the same, from the same segments, in two generations."""
    mine, other = here.rows(level), there.rows(level)
    same = all(np.array_equal(getattr(mine, name), getattr(other, name)) for name in ("start", "length", "shard"))
    return same and np.array_equal(here.made_from(level), there.made_from(level))


def adopt(root: Path, arrival: Arrival, staging: Path) -> None:
    """Take an arrival into the cache at `root`; `staging` is an empty folder on the same disk."""
    corpus, name = arrival.features.corpus, arrival.features.name
    paths = Paths(root / corpus / name)
    if not paths.card.exists():
        made = Paths(staging / corpus / name)
        made.root.mkdir(parents=True)
        shutil.copytree(arrival.features.paths.root / "plan", made.root / "plan")
        write_whole(made.card, to_text(arrival.features.card))
        _fill(staging, made, arrival)
        for folder in (made.claims, made.parts):
            shutil.rmtree(folder, ignore_errors=True)
        _sync(made.root)
        paths.root.parent.mkdir(parents=True, exist_ok=True)
        try:
            made.root.rename(paths.root)
        except OSError:
            if not paths.card.exists():
                raise
        else:
            sync_folder(paths.root.parent)
            return
    _fill(root, paths, arrival)


def _fill(root: Path, paths: Paths, arrival: Arrival) -> None:
    """Add what came to a feature set that has a card."""
    there = read_card(paths.card)
    check_key(there, arrival.features.card, f"{paths.root.parent.name}/{paths.root.name}")
    for folder in (paths.parts, paths.claims, paths.root / "plan"):
        folder.mkdir(parents=True, exist_ok=True)
    with Use(paths.claims):
        if arrival.alike:
            with claim(paths.claims, "plan"):
                _add_plan(paths, arrival)
                if (card := grown(there, arrival.features.card)) != there:
                    write_whole(paths.card, to_text(card))
            _add_units(paths, arrival)
    if any(one.places for one in arrival.rows):
        add_rows(root, paths, arrival)


def _add_plan(paths: Paths, arrival: Arrival) -> None:
    """The generations that are not here, and in all the levels that units came of."""
    if not alike(read_index(paths), arrival.index):
        raise CacheError(f"{paths.root}: was planned further in this moment; repeat the command")
    levels = {level for level, _ in [*arrival.whole, *(rows.outline.array for rows in arrival.rows)]}
    for generation in arrival.index.generations:
        source, target = generation.paths.plan(generation.number), paths.plan(generation.number)
        if not target.exists():
            _copy_folder(source, target)
        for level in levels:
            if (source / level).is_dir() and not (target / level).exists():
                _copy_folder(source / level, target / level)


def _copy_folder(source: Path, target: Path) -> None:
    """A folder of the plan, which appears whole."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.copytree(source, part)
    _sync(part)
    part.rename(target)
    sync_folder(target.parent)


def _add_units(paths: Paths, arrival: Arrival) -> None:
    """Shards beside their places, then an entry for each unit, then into place."""
    for array in arrival.whole:
        _make_array(paths, arrival, array)
    by_unit: dict[int, list[Array]] = {}
    for array, units in arrival.whole.items():
        for unit in units:
            by_unit.setdefault(unit, []).append(array)
            for shard in arrival.outlines[array].shards(unit):
                with contextlib.suppress(FileExistsError):
                    os.link(arrival.objects / shard.sha256, paths.staged(shard.level, shard.name, shard.number, shard.sha256))
    for folder in {paths.array(level, name) for level, name in arrival.index.commits.sha256}:
        if folder.is_dir():
            sync_folder(folder)
    for unit, arrays in sorted(by_unit.items()):
        _enter(paths, arrival, unit, arrays)


def _make_array(paths: Paths, arrival: Arrival, array: Array) -> None:
    """The Zarr arrays of a layer, long enough for every shard that is planned."""
    level, layer = array
    outline = arrival.outlines[array]
    shards = max(int(one.rows(level).shard[-1]) for one in arrival.index.generations if one.has_level(level) and not one.removal)
    plain = stored_dtype(str(layer), arrival.features.card.key.dtype)
    make_arrays(paths, outline.cut, [layer], shards, plain)
    if any(name.endswith(WIDE_SUFFIX) for name in outline.units.values()):
        make_arrays(paths, outline.cut, [layer], shards, WIDE, wide=True)


def _enter(paths: Paths, arrival: Arrival, unit: int, arrays: Sequence[Array]) -> None:
    """Commit the arrays of a unit that nobody has committed; those that failed alike in one entry."""
    about = committed(arrival.features.paths, unit)
    alike_: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for level, layer in arrays:
        failed = arrival.index.commits.failed.get((level, layer), {})
        mine = tuple(sorted((name, why) for (number, name), why in failed.items() if number == unit))
        alike_.setdefault(mine, []).append(f"{level}/{layer}")
    for failures, names in alike_.items():
        while True:
            entry = next_entry(paths, unit)  # first this, then the look, as UnitWriter does
            standing = committed(paths, unit)
            if not (new := {name: about[name] for name in names if name not in standing}):
                break
            _link(paths, entry, sealed(to_json({"arrays": new, "failures": dict(failures), "unit": unit})))
    standing = committed(paths, unit)
    place(paths, {"arrays": {name: standing[name] for names in alike_.values() for name in names}})


def _link(paths: Paths, entry: Path, text: str) -> None:
    """Create a commit entry, whole, unless it exists."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    with part_file(paths.parts / f"{entry.stem}.{process()}.{entry.parent.name}.pulled", text) as part:
        link_new(part, entry)
    sync_folder(entry.parent)
    sync_folder(entry.parent.parent)


def _sync(folder: Path) -> None:
    """Make everything below a folder durable; shards were synced when they came."""
    for parent, _, names in os.walk(folder):
        for name in (name for name in names if not name.startswith("c.")):
            with Path(parent, name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))
