"""Bringing feature sets of older formats to the newest one, without encoding.

A release that changes the format adds a row to STEPS; a feature set goes through as many as it needs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emocache.care.rewrite import end_swap, rewrite
from emocache.care.sets import find_sets
from emocache.files import write_whole
from emocache.store.card import read_card
from emocache.store.layout import FORMAT, MARKER, Paths, read_json, to_json


@dataclass(frozen=True, slots=True)
class Step:
    """What a step away from a format changes, and the function that makes it."""

    what: str
    make: Callable[[Paths], None]


STEPS: Mapping[int, Step] = {
    0: Step("a file instead of a folder for each shard, seals and checksums for the small files", rewrite),
}
"""Format -> the step to a newer one."""


def format_of(paths: Paths) -> int:
    """The format of a feature set; CacheError for one that is newer than this release."""
    return read_card(paths.card).key.format


def migrate(paths: Paths) -> int:
    """Bring a feature set to the newest format; how many steps that took. One that was killed in between is begun again."""
    end_swap(paths)
    steps = 0
    while (found := format_of(paths)) < FORMAT:
        STEPS[found].make(paths)
        steps += 1
    return steps


def mark(root: Path) -> bool:
    """Mark a cache as of the newest format once every feature set in it is; whether that was to be done."""
    if read_json(root / MARKER).get("format") == FORMAT or any(format_of(paths) < FORMAT for paths in find_sets(root)):
        return False
    write_whole(root / MARKER, to_json({"format": FORMAT}))
    return True
