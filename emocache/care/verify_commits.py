"""Whether commit entries are what was written and fit the plan, and the files beside them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emocache.care import litter
from emocache.care.findings import Entry, Finding, reason
from emocache.care.verify_plan import PlanCheck
from emocache.errors import CacheError
from emocache.store.card import Card, knows
from emocache.store.index import Commits, commit_entries
from emocache.store.layout import WIDE_SUFFIX, Level, Paths, array_name, read_json, read_sealed, stored_dtype
from emocache.store.plan import Generation


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit entry that is as it was written, less the arrays that were removed since."""

    id: Entry
    path: Path
    arrays: Mapping[str, Any]
    failures: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stored:
    """One array of a committed unit: the Zarr array that holds it, its shards as (number, rows, SHA-256), its largest value."""

    level: Level
    name: str
    dtype: np.dtype[Any]
    largest: float
    shards: tuple[tuple[int, int, str], ...]


def all_entries(paths: Paths) -> frozenset[Entry]:
    """Every commit entry by its name."""
    return frozenset((path.parent.name, int(path.stem)) for path in commit_entries(paths))


def read_commits(paths: Paths, findings: list[Finding]) -> Iterator[Commit]:
    """The entries that are as they were written; `findings` gets the others, and the damaged files beside them."""
    removed: dict[Path, frozenset[str]] = {}
    for path in commit_entries(paths):
        folder, unit = path.parent, int(path.stem)
        if folder not in removed:
            removed[folder] = _removed(paths, folder, findings)
        try:
            entry = read_sealed(path, paths.format)
            Commits().add(unit, entry, (), path)
            if entry.get("unit") != unit or not isinstance(entry["failures"], dict):
                raise CacheError(f"{path}: is the entry of another unit")
        except (CacheError, OSError) as error:
            findings.append(Finding("entry", path, reason(error, path), frozenset({(folder.name, unit)})))
            continue
        kept = {name: about for name, about in entry["arrays"].items() if name not in removed[folder]}
        yield Commit((folder.name, unit), path, kept, entry["failures"])


def without_shards(paths: Paths, folder: Path) -> frozenset[str]:
    """The arrays of a folder of entries of which no shard is left."""
    there = {f"{level}/{array}" for level, array in litter.arrays_on_disk(paths) if any(litter.shard_files(paths, level, array))}
    names: set[str] = set()
    for path in folder.glob("[0-9]*.json"):
        try:
            names |= set(read_json(path)["arrays"])
        except (CacheError, KeyError, TypeError):
            continue
    return frozenset(name for name in names if there.isdisjoint({name, f"{name}{WIDE_SUFFIX}"}))


def stored_arrays(commit: Commit, generation: Generation, plan: PlanCheck, card: Card, findings: list[Finding]) -> dict[str, Stored]:
    """The arrays of a commit entry of this generation; none, and a finding, when it does not fit plan and card.

    Levels of which the plan is damaged are left out.
    """
    unit, found = commit.id[1], {}
    members = generation.unit_range(unit)
    try:
        if strangers := set(commit.failures) - set(generation.names[members.start : members.stop]):
            raise CacheError(f"names {min(strangers)!r}, which is not in its unit")
        for name, about in commit.arrays.items():
            level, _, layer = name.partition("/")
            if not knows(card, level, layer):
                raise CacheError(f"names {name}, which the card does not")
            if rows := plan.rows.get((generation.number, level)):
                first, last = rows.shard[unit - generation.first_unit : unit - generation.first_unit + 2].tolist()
                total = int(rows.length[members.start : members.stop].sum(dtype=np.int64))
                found[name] = _stored(card, name, about, range(first, last), total)
    except (CacheError, ValueError, KeyError, TypeError) as error:
        what = str(error) if isinstance(error, CacheError) else f"not a commit entry ({error!r})"
        findings.append(Finding("entry", commit.path, what, frozenset({commit.id})))
        return {}
    return found


def index_of(commits: list[Commit]) -> Commits:
    """The shards that entries name."""
    found = Commits()
    for commit in commits:
        found.add(commit.id[1], {"arrays": commit.arrays, "failures": {}}, (), commit.path)
    return found


def _removed(paths: Paths, folder: Path, findings: list[Finding]) -> frozenset[str]:
    """The arrays that were removed from a folder of entries; where that is damaged, those of which no shard is left."""
    path = folder / "removed.json"
    if not path.exists():
        return frozenset()
    try:
        return frozenset(map(str, read_sealed(path, paths.format)["arrays"]))
    except (CacheError, OSError) as error:
        findings.append(Finding("removed", path, reason(error, path)))
    except (KeyError, TypeError):
        findings.append(Finding("removed", path, "names no arrays"))
    return without_shards(paths, folder)


def _stored(card: Card, name: str, about: Mapping[str, Any], shards: range, total: int) -> Stored:
    """One array of a unit that owns `shards` for `total` rows; CacheError when its commit says otherwise."""
    level, _, layer = name.partition("/")
    cut, stored_as = card.cut(level), array_name(int(layer), wide=about["wide"])
    dtype = stored_dtype(stored_as, card.key.dtype)
    if about["dtype"] != dtype.name or (about["wide"] and card.key.dtype != "fp16"):
        raise CacheError(f"says that {name} is stored as {about['dtype']}")
    if {int(number) for number in about["sha256"]} != set(shards):
        raise CacheError(f"names shards {', '.join(about['sha256'])} of {name}, planned were {shards.start} to {shards.stop - 1}")
    rows = [min(cut.shard_rows, total - i * cut.shard_rows) for i in range(len(shards))]
    sums = tuple((number, count, str(about["sha256"][str(number)])) for number, count in zip(shards, rows, strict=True))
    return Stored(cut, stored_as, dtype, float(about["largest"]), sums)
