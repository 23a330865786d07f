"""What lies in a feature set and nobody needs: left by writers that died, and by removals and rewritings that were killed."""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from emocache.store.claims import claim
from emocache.store.index import Commits, commit_entries, removed_arrays
from emocache.store.layout import SEPARATORS, STAGED_DIGITS, Paths, read_json

REMOVED = ".removed."
"""In the name of what is being deleted."""
KEPT_LOCKS = ("use.lock", "probe.lock")
"""Locks that are taken before anybody can be kept out, so they are never deleted."""


@dataclass(frozen=True, slots=True)
class Litter:
    """A file or folder that may go, why, and its bytes."""

    path: Path
    what: str
    size: int


def find(paths: Paths, commits: Commits | None) -> list[Litter]:
    """Everything in a feature set that may go when nobody is at work on it; without `commits`, what does not depend on them."""
    found = [*_unfinished(paths), *_locks(paths)]
    if commits is not None:
        found += [*_shards(paths, commits), *_spent_entries(paths)]
    return [Litter(path, what, size_of(path)) for path, what in found]


def sweep(litter: Iterable[Litter], root: Path) -> None:
    """Delete litter of the feature set at `root`."""
    for one in litter:
        if one.path.suffix == ".lock":
            with claim(one.path.parent, one.path.stem, wait=False) as free:
                if free:
                    one.path.unlink(missing_ok=True)
        elif one.path.is_dir():
            discard(one.path, root)
        else:
            one.path.unlink(missing_ok=True)


def discard(folder: Path, into: Path) -> None:
    """Delete a folder, of which nothing is visible any more from the first moment on; what resists is left for the next time."""
    hidden = folder
    if REMOVED not in folder.name:
        hidden = into / f".{folder.name.removeprefix('.')}{REMOVED}{secrets.token_hex(4)}"
        folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.lstat().st_size if path.exists() else 0
    return sum(Path(folder, name).lstat().st_size for folder, _, names in os.walk(path) for name in names)


def shard_files(paths: Paths, level: str, array: str) -> Iterator[tuple[Path, int, str]]:
    """(path, number, digits of the checksum that its name carries or '') of every shard file of an array."""
    folder = paths.array(level, array)
    if SEPARATORS[paths.format] == "/":
        yield from ((path, int(path.parent.name), "") for path in folder.glob("c/*/0") if path.parent.name.isdecimal())
        return
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        mark, number, *rest = [*path.name.split("."), "", ""]
        if mark == "c" and number.isdecimal() and rest[0] == "0" and len(rest[1]) in {0, STAGED_DIGITS}:
            yield path, int(number), rest[1]


def arrays_on_disk(paths: Paths) -> Iterator[tuple[str, str]]:
    """(level, name of the Zarr array) of every array folder."""
    for level in sorted(paths.zarr.iterdir()) if paths.zarr.is_dir() else ():
        if level.is_dir():
            yield from ((level.name, array.name) for array in sorted(level.iterdir()) if array.is_dir())


def _unfinished(paths: Paths) -> Iterator[tuple[Path, str]]:
    """Files and folders that were to be renamed once they were whole, or that were being deleted."""
    for parent, folders, files in os.walk(paths.root):
        for name in [*folders, *files]:
            part = (name.startswith(".") and (name.endswith(".part") or REMOVED in name)) or name.endswith(".partial")
            if part or (name in files and Path(parent) == paths.parts):
                yield Path(parent, name), "unfinished"
                if name in folders:
                    folders.remove(name)


def _locks(paths: Paths) -> Iterator[tuple[Path, str]]:
    """Lock files; one that is held is left when it comes to deleting."""
    return ((path, "lock") for path in sorted(paths.claims.glob("*.lock")) if path.name not in KEPT_LOCKS)


def _shards(paths: Paths, commits: Commits) -> Iterator[tuple[Path, str]]:
    """Arrays and shards that no commit entry names."""
    for level, array in arrays_on_disk(paths):
        named = commits.sha256.get((level, array))
        if named is None:
            yield paths.array(level, array), "array without rows"
            continue
        for path, number, digits in shard_files(paths, level, array):
            if number not in named or not named[number].startswith(digits):
                yield path, "shard without commit"


def _spent_entries(paths: Paths) -> Iterator[tuple[Path, str]]:
    """Commit entries of which every array was removed, and folders without any other."""
    removed = {path.parent: removed_arrays(path) for path in paths.root.glob("commits/*/removed.json")}
    entries: dict[Path, list[Path]] = {folder: [] for folder in paths.root.glob("commits/*/") if folder.is_dir()}
    for path in commit_entries(paths):
        entries[path.parent].append(path)
    for folder, there in entries.items():
        gone = removed.get(folder, frozenset())
        spent = [path for path in there if gone and gone.issuperset(read_json(path)["arrays"])]
        if len(spent) == len(there):
            yield folder, "commit entries without arrays"
        else:
            yield from ((path, "commit without arrays") for path in spent)
