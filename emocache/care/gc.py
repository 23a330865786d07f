"""Collecting what nobody needs: litter of one feature set, dead rows, and what removals left beside feature sets."""

import time
from collections.abc import Iterator
from pathlib import Path

from emocache.care import litter
from emocache.care.litter import REMOVED, Litter
from emocache.care.rewrite import check_sound, end_swap, rewrite
from emocache.care.usage import dead_bytes
from emocache.errors import CacheError
from emocache.store.card import read_card
from emocache.store.claims import Use
from emocache.store.index import read_index
from emocache.store.layout import FORMAT, Paths
from emocache.store.writer import settle

STALE_S = 3600
"""A part file of a corpus or cache that was not touched for so long is nobody's: these are written in a moment."""


def collect(paths: Paths) -> list[Litter]:
    """End what was interrupted in a feature set and delete its litter; CacheError when it is damaged or somebody is at work."""
    end_swap(paths)
    if not paths.root.exists():
        return []
    with Use(paths.claims, alone=True):
        check_sound(paths, contents=False)
        paths = Paths(paths.root, read_card(paths.card).key.format)
        index = read_index(paths)
        settle(paths, index)
        found = litter.find(paths, index.commits)
        litter.sweep(found, paths.root)
    return found


def compact(paths: Paths) -> bool:
    """Rewrite a feature set that has dead rows or removed utterances in it; whether it has."""
    card = read_card(paths.card)
    if card.key.format != FORMAT:
        name = f"{paths.root.parent.name}/{paths.root.name}"
        raise CacheError(f"{paths.root}: has format {card.key.format}; run `emocache migrate {name}`, which leaves out dead rows too")
    index = read_index(paths)
    if not dead_bytes(index, card) and not any(generation.removal for generation in index.generations):
        return False
    rewrite(paths)
    return True


def beside(root: Path) -> list[Litter]:
    """What removals and killed writers left in a cache beside its feature sets."""
    return [Litter(path, "unfinished", litter.size_of(path)) for path in _beside(root)]


def _beside(root: Path) -> Iterator[Path]:
    """Hidden folders that are being deleted, and part files that were left."""
    corpora = [folder for folder in root.iterdir() if folder.is_dir() and REMOVED not in folder.name]
    for folder in [root, *corpora]:
        for path in folder.glob(".*"):
            stale = path.name.endswith(".part") and time.time() - path.lstat().st_mtime > STALE_S
            if stale or (REMOVED in path.name and path.is_dir()):
                yield path
    pulls = root / ".pull"  # what interrupted pulls have so far
    if pulls.is_dir() and time.time() - max(path.lstat().st_mtime for path in [pulls, *pulls.rglob("*")]) > STALE_S:
        yield pulls
