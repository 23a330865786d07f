"""Rewriting a feature set without encoding: what can be read is copied into a new set of the newest format.

    .NAME.rewrite    grows, is verified
    NAME -> .NAME.old,  .NAME.rewrite -> NAME      two renames
    .NAME.old        is deleted

Killed before the first rename, the old set is there and the copy is litter. Killed between the two, there is nothing
under the name, nobody takes it, and `end_swap` makes the second. Killed after it, the old set is litter.
"""

import shutil

from emocache.care import litter
from emocache.care.copying import copy, states
from emocache.care.usage import utterance_bytes
from emocache.care.verify import verify
from emocache.errors import CacheError
from emocache.files import sync_folder
from emocache.store.claims import Use
from emocache.store.index import Index, read_index
from emocache.store.layout import Paths
from emocache.store.pulled import PULLED
from emocache.store.reader import Features


def rewrite(paths: Paths) -> None:
    """Copy a feature set and put the copy in its place; CacheError when it is damaged, in use, or there is no room."""
    end_swap(paths)
    made = Paths(paths.rewritten)
    with Use(paths.claims, alone=True):
        check_sound(paths)
        features = Features(paths)
        index = read_index(features.paths)
        _check_room(features, index)
        try:
            copy(features, index, made.root.name)
            check_sound(made)
            copied = read_index(made)
            if copied.newest.keys() != index.newest.keys() or states(copied) != states(index):
                raise CacheError(f"{made.root}: does not hold what {paths.root} holds, which is a bug of emocache; nothing was changed")
        except BaseException:
            shutil.rmtree(made.root, ignore_errors=True)
            raise
        for folder in (made.claims, made.parts):
            shutil.rmtree(folder)
        if (paths.root / PULLED).exists():
            shutil.copyfile(paths.root / PULLED, made.root / PULLED)
        sync_folder(made.root)
        paths.root.rename(paths.old)
        _take_place(paths)
        litter.discard(paths.old, paths.root.parent)


def end_swap(paths: Paths) -> None:
    """Have a rewriting that was interrupted either done or undone; CacheError while it is under way."""
    if paths.old.exists() and not paths.root.exists():
        with Use(Paths(paths.old).claims, alone=True):
            _take_place(paths)
    if paths.old.exists() and paths.rewritten.exists():
        both = f"{paths.old.name} and {paths.rewritten.name}"
        raise CacheError(f"{paths.root}: is there, and so are {both}; look which one to keep, and delete the others")
    left = [folder for folder in (paths.old, paths.rewritten) if folder.exists()]
    if left and paths.root.exists():
        with Use(paths.claims, alone=True):
            for folder in left:
                litter.discard(folder, folder.parent)
    elif left:
        litter.discard(paths.rewritten, paths.root.parent)  # its feature set was removed


def check_sound(paths: Paths, *, contents: bool = True) -> None:
    """CacheError when verify finds anything."""
    report = verify(paths, contents=contents)
    if report.findings:
        first = report.findings[0]
        raise CacheError(f"{first.path}: {first.what}; run `emocache repair {report.name}` first")


def _check_room(features: Features, index: Index) -> None:
    """CacheError when the disk cannot take a copy."""
    total, free = utterance_bytes(index, features.card, list(index.newest)), shutil.disk_usage(features.paths.root).free
    if total > free:
        needed = f"{total / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free"
        raise CacheError(f"{features.paths.root}: a copy of what is in use takes {needed}; free some space first")


def _take_place(paths: Paths) -> None:
    """The second rename of a swap."""
    (paths.rewritten if paths.rewritten.exists() else paths.old).rename(paths.root)
    sync_folder(paths.root.parent)
