"""Removing whole feature sets, some of their utterances, or some of their levels and layers.

One step makes it so, and whatever is killed after it leaves litter alone: a feature set is renamed to a hidden name,
utterances are named by a plan generation without units, arrays by a `removed.json` beside the commit entries that name them.
"""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path

from emocache.care import litter
from emocache.errors import CacheError, UsageError
from emocache.files import sync_folder, write_whole
from emocache.layers import parse_layers
from emocache.store.claims import Use
from emocache.store.index import Array, Index, commit_entries, read_index, removed_arrays
from emocache.store.layout import Paths, array_name, read_json
from emocache.store.plan import write_removal
from emocache.store.writer import removed_text


def remove_sets(folder: Path, sets: Sequence[Paths]) -> None:
    """Remove a folder of the cache with the feature sets in it (one set, or a corpus); CacheError when somebody is at work on one."""
    with ExitStack() as alone:
        for paths in sets:
            alone.enter_context(Use(paths.claims, alone=True))
        litter.discard(folder, folder.parent)
        sync_folder(folder.parent)


def remove_utterances(paths: Paths, ids: Sequence[str]) -> None:
    """Say that utterances were removed: nobody reads them any more, and the next extraction that finds them makes them again.

    Their rows stay in shards that hold others too, until `emocache gc --compact`. UsageError for ids that are not there.
    """
    with Use(paths.claims, alone=True):
        index = read_index(paths)
        check_ids(paths, index, ids)
        if not write_removal(paths, len(index.generations), list(dict.fromkeys(ids))):
            raise CacheError(f"{paths.root}: somebody else planned in this moment; repeat the command")


def check_ids(paths: Paths, index: Index, ids: Sequence[str]) -> None:
    """UsageError when an utterance is not in a feature set."""
    name = f"{paths.root.parent.name}/{paths.root.name}"
    if not ids:
        raise UsageError(f"{name}: no utterances are named; give one id a line")
    if unknown := [one for one in ids if one not in index.newest]:
        raise UsageError(f"{name}: {len(unknown)} of {len(ids)} utterances are not there, first {unknown[0]!r}; nothing was removed")


def remove_arrays(paths: Paths, arrays: Collection[Array]) -> None:
    """Remove levels or layers: a file beside their commit entries says so, then their files go.

    A later extraction makes them again.
    """
    names = {f"{level}/{layer}" for level, layer in arrays}
    with Use(paths.claims, alone=True):
        made: dict[Path, set[str]] = {}
        for entry in commit_entries(paths):
            made.setdefault(entry.parent, set()).update(read_json(entry)["arrays"])
        for folder, there in made.items():
            path = folder / "removed.json"
            before = removed_arrays(path) if path.exists() else frozenset()
            if (after := before | (names & there)) != before:
                write_whole(path, removed_text(sorted(after)))
        for folder in folders_of(paths, arrays):
            litter.discard(folder, paths.root)


def folders_of(paths: Paths, arrays: Collection[Array]) -> list[Path]:
    """The folders that hold arrays."""
    found = [paths.array(level, array_name(layer, wide=wide)) for level, layer in arrays for wide in (False, True)]
    return [folder for folder in found if folder.exists()]


def choose_arrays(paths: Paths, index: Index, levels: Sequence[str], layers: str) -> list[Array]:
    """The stored arrays of some levels (none named: all) and layers ('all', 'last', '0-3,6'); UsageError for one that is not there."""
    stored = sorted(index.commits.stored)
    there = sorted({level for level, _ in stored})
    name = f"{paths.root.parent.name}/{paths.root.name}"
    if unknown := [level for level in levels or there[:1] or ["all"] if level not in there]:
        raise UsageError(f"{name}: has no level {unknown[0]!r}; there are: {', '.join(there) or 'none'}")
    inside = [(level, layer) for level, layer in stored if level in (levels or there)]
    chosen = parse_layers(layers, sorted({layer for _, layer in inside}))
    return [(level, layer) for level, layer in inside if layer in chosen]
