"""Folders of the user that emocache uses when none is named."""

import os
from pathlib import Path


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
