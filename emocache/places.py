"""Folders of the user that emocache uses when none is named, what a folder of ours may be called, and the room there is."""

import os
import re
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from emocache.errors import UsageError

CACHE_HELP = (
    "Folder of the cache, or several with ':' between, of which the last is written to (default: $EMOCACHE_PATH, else $EMOCACHE_HOME, "
    "else the user's cache folder)."
)
"""What --cache is, for every command."""


def user_cache() -> Path:
    """The user's cache folder: $XDG_CACHE_HOME, else ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def cache_path(given: str | Path | None = None) -> tuple[Path, ...]:
    """The caches to read, of which the last is the one to write to.

    `given` (as --cache), else $EMOCACHE_PATH, is one folder or several with ':' between; else $EMOCACHE_HOME is one, else
    `emocache` in the user's cache folder. UsageError for a list without a folder.
    """
    text = str(given) if given is not None else os.environ.get("EMOCACHE_PATH")
    if not text:
        home = os.environ.get("EMOCACHE_HOME")
        return (Path(home).expanduser() if home else user_cache() / "emocache",)
    if Path(text).is_dir():  # its own name may hold a ':'
        return (Path(text),)
    folders = tuple(dict.fromkeys(Path(part).expanduser() for part in text.split(os.pathsep) if part))
    if not folders:
        raise UsageError(f"{'--cache' if given is not None else 'EMOCACHE_PATH'} {text!r}: names no folder")
    return folders


def cache_root() -> Path:
    """Where features are cached: the last of `cache_path()`."""
    return cache_path()[-1]


def join(caches: Iterable[Path]) -> Path:
    """Several caches as `cache_path` takes them."""
    return Path(os.pathsep.join(map(str, caches)))


def open_to_group(root: Path) -> int:
    """Let the group write what this process makes, where that is the way of a folder (or of the nearest that there is above it).

    That way is the setgid bit with group write (chmod 2775), which keeps everything in the folder's group. Gives back the umask as
    it was.
    """
    while not root.exists():
        root = root.parent
    before = os.umask(0o077)
    shared = root.stat().st_mode & (stat.S_ISGID | stat.S_IWGRP) == stat.S_ISGID | stat.S_IWGRP
    os.umask(before & ~stat.S_IRWXG if shared else before)
    return before


def weights_root() -> Path:
    """Where weights that did not come from the Hub's own cache are kept."""
    return user_cache() / "emocache-weights"


def plain_name(name: str, what: str) -> str:
    """`name`, if it can be a folder's name on any system; UsageError that begins with `what` otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise UsageError(f"{what} {name!r} cannot be a folder's name here; use letters, digits, '.', '_', '-', with no '.' or '-' in front")
    return name


def free_bytes(path: Path) -> int:
    """Free space where a folder is or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
