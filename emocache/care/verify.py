"""Verifying a feature set: card, plan, commit entries, arrays and shards, each held against the others.

Everything that is wrong is found and named; what rests on a damaged file is condemned with it:

    card.json              how any of the rows were made is not known
    plan/1/ids.npy         the units of generation 1 and of later ones: they are numbered on from it
    plan/1/frames/...      units of generation 1 that have rows in `frames`
    commits/0/9.json    unit 9
    frames/3/c.17.0        the unit that shard 17 is of
    zarr.json              nothing: it can be made again
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from emocache.care import litter
from emocache.care.findings import Entry, Finding, Report, entries_of, reason
from emocache.care.verify_commits import Commit, Stored, all_entries, index_of, read_commits, stored_arrays
from emocache.care.verify_plan import PlanCheck, check_plan
from emocache.care.verify_shards import check_array, check_group, check_largest, check_shard
from emocache.errors import CacheError, NewerFormat
from emocache.store.card import Card, knows, read_card
from emocache.store.index import Array
from emocache.store.layout import WIDE_SUFFIX, Paths, check_not_aside, read_sealed

THREADS = 8
"""Shards that are read at once."""
Task = tuple[Commit, str, Stored]
"""One array ('frames/3') of one unit, to be read."""


def verify(paths: Paths, *, contents: bool = True) -> Report:
    """Everything that is wrong with a feature set, and what only lies about; with `contents`, every shard is read.

    NewerFormat for one that a newer release has written.
    """
    check_not_aside(paths)
    known = all_entries(paths)  # before the plan: units are planned before they are committed
    units = len({unit for _, unit in known})
    try:
        card = read_card(paths.card)
        read_sealed(paths.card, card.key.format)
    except NewerFormat:
        raise
    except CacheError as error:
        what = f"{reason(error, paths.card)}; how its rows were made is not known any more"
        return Report(paths, units, findings=(Finding("card", paths.card, what, known),))
    paths = Paths(paths.root, card.key.format)
    findings: list[Finding] = []
    commits = list(read_commits(paths, findings))
    plan = check_plan(paths, card)
    findings += _plan_findings(paths, plan, commits, known)
    tasks: list[Task] = []
    for commit in commits:
        if generation := plan.generation_of(commit.id[1]):
            arrays = stored_arrays(commit, generation, plan, card, findings)
            tasks += [(commit, name, stored) for name, stored in arrays.items()]
    findings += _zarr_findings(paths, card, [stored for _, _, stored in tasks])
    size = _check_contents(paths, tasks, findings) if contents else 0
    certain = not any(finding.kind in {"entry", "removed"} for finding in findings)
    left = tuple(litter.find(paths, index_of(commits) if certain else None))
    return Report(paths, units, size, tuple(findings), left, _arrays(paths, card, commits))


def _arrays(paths: Paths, card: Card, commits: Iterable[Commit]) -> frozenset[Array]:
    """The arrays that commit entries name, and those that have a folder: an entry may be damaged, and a folder lost."""
    folders = {f"{path.parent.name}/{path.name.removesuffix(WIDE_SUFFIX)}" for path in paths.zarr.glob("*/*") if path.is_dir()}
    pairs = {(level, layer) for name in folders.union(*(commit.arrays for commit in commits)) for level, _, layer in [name.partition("/")]}
    return frozenset((level, int(layer)) for level, layer in pairs if knows(card, level, layer))


def _plan_findings(paths: Paths, plan: PlanCheck, commits: list[Commit], known: frozenset[Entry]) -> Iterator[Finding]:
    """What is wrong with the plan, and the entries that rest on it."""
    beyond = frozenset(entry for entry in known if entry[1] >= plan.units)
    lost = [fault for fault in plan.faults if fault.level is None]
    if beyond and not lost:
        unit = min(unit for _, unit in beyond)
        yield Finding("generation", paths.plan(len(plan.generations)), f"missing, though unit {unit} is committed", beyond)
    yield from (Finding("generation", fault.path, fault.what, beyond) for fault in lost)
    for generation in plan.generations:
        inside = entries_of(known, generation.unit_numbers)
        holders: dict[str, set[Entry]] = {}
        for commit in commits:
            for name in commit.arrays if commit.id in inside else ():
                holders.setdefault(name.partition("/")[0], set()).add(commit.id)
        for level in sorted({*holders, *(fault.level for fault in plan.faults if fault.level)}):
            entries = frozenset(holders.get(level, ()))
            faults = [fault for fault in plan.faults if (fault.generation, fault.level) == (generation.number, level)]
            yield from (Finding("level", fault.path, fault.what, entries) for fault in faults)
            if entries and not faults and not generation.has_level(level):
                yield Finding("level", paths.plan(generation.number) / level, "missing, though rows of it are committed", entries)


def _zarr_findings(paths: Paths, card: Card, arrays: Iterable[Stored]) -> Iterator[Finding]:
    """What is wrong with the `zarr.json` of groups and arrays that hold rows."""
    needed: dict[tuple[str, str], int] = {}
    for stored in arrays:
        key = (stored.level.name, stored.name)
        needed[key] = max([needed.get(key, 0), *(number + 1 for number, _, _ in stored.shards)])
    found: dict[Path, str | None] = {paths.zarr: check_group(paths.zarr, {})} if needed else {}
    for level in sorted({level for level, _ in needed}):
        found[paths.zarr / level] = check_group(paths.zarr / level, {"about": card.cut(level).about})
    for (level, name), shards in needed.items():
        found[paths.array(level, name)] = check_array(paths, card, card.cut(level), name, shards)
    yield from (Finding("zarr", folder / "zarr.json", what) for folder, what in found.items() if what)


def _check_contents(paths: Paths, tasks: list[Task], findings: list[Finding]) -> int:
    """Read every shard of every entry; the bytes that were read."""
    sizes = [litter.size_of(_shard_path(paths, stored, shard)) for _, _, stored in tasks for shard in stored.shards]
    title = f"verify {paths.root.parent.name}/{paths.root.name}"
    workers = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))
    with workers, tqdm(total=sum(sizes), desc=title, unit="B", unit_scale=True, delay=1, leave=False) as bar:
        for found in workers.map(lambda task: list(_content_findings(paths, task, bar.update)), tasks):
            findings += found
    return sum(sizes)


def _content_findings(paths: Paths, task: Task, tick: Callable[[int], object]) -> Iterator[Finding]:
    """What is wrong with the shards of one array of one unit."""
    commit, name, stored = task
    magnitudes: list[float] = []
    for shard in stored.shards:
        path = _shard_path(paths, stored, shard)
        try:
            magnitudes.append(check_shard(path, stored, shard, tick))
        except CacheError as error:
            yield Finding("entry", path, reason(error, path), frozenset({commit.id}))
    if len(magnitudes) == len(stored.shards) and (what := check_largest(stored, max(magnitudes, default=0.0))):
        yield Finding("entry", commit.path, f"{name}: {what}", frozenset({commit.id}))


def _shard_path(paths: Paths, stored: Stored, shard: tuple[int, int, str]) -> Path:
    """Where a committed shard is: under the name of its bytes until it is in its place."""
    number, _, checksum = shard
    staged = paths.staged(stored.level.name, stored.name, number, checksum)
    return staged if staged.exists() else paths.shard(stored.level.name, stored.name, number)
