"""Folders of the user that emocache uses when none is named, what a folder of ours may be called, and the room there is."""

import os
import re
import shutil
from pathlib import Path

from emocache.errors import UsageError


def user_cache() -> Path:
    """The user's cache folder: $XDG_CACHE_HOME, else ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def cache_root() -> Path:
    """Where features are cached: $EMOCACHE_HOME, else `emocache` in the user's cache folder."""
    home = os.environ.get("EMOCACHE_HOME")
    return Path(home).expanduser() if home else user_cache() / "emocache"


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
