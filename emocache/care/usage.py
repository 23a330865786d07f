"""What a feature set takes on disk: by level and layer, in dead rows, and for some utterances."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emocache.care.litter import Litter, arrays_on_disk, find, size_of
from emocache.store.card import Card, read_card
from emocache.store.index import Array, Index, Places, read_index
from emocache.store.layout import WIDE, WIDE_SUFFIX, Paths, check_not_aside, kind_of, stored_dtype


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes and files of each array (float32 siblings with it), of the rest, and what could be freed."""

    paths: Paths
    arrays: dict[Array, tuple[int, int]]
    rest: tuple[int, int]
    litter: tuple[Litter, ...]
    dead: int

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(size for size, _ in self.arrays.values()) + self.rest[0]

    @property
    def files(self) -> int:
        """Files in all."""
        return sum(files for _, files in self.arrays.values()) + self.rest[1]


def usage(paths: Paths) -> Usage:
    """What a feature set takes; CacheError when it is damaged."""
    check_not_aside(paths)
    card = read_card(paths.card)
    paths = Paths(paths.root, card.key.format)
    index = read_index(paths)
    arrays: dict[Array, tuple[int, int]] = {}
    for level, name in arrays_on_disk(paths):
        array = (level, int(name.removesuffix(WIDE_SUFFIX)))
        size, files = arrays.get(array, (0, 0))
        folder = paths.array(level, name)
        arrays[array] = (size + size_of(folder), files + _files(folder))
    total, files = size_of(paths.root), _files(paths.root)
    rest = (total - sum(size for size, _ in arrays.values()), files - sum(count for _, count in arrays.values()))
    return Usage(paths, dict(sorted(arrays.items())), rest, tuple(find(paths, index.commits)), dead_bytes(index, card))


def dead_bytes(index: Index, card: Card) -> int:
    """Bytes of rows that nobody reads any more: of utterances that were planned anew since, or removed."""
    total = 0
    for array in index.commits.stored:
        dead = index.committed(array)
        dead[index.places] = False
        found = index.located(array, index.places)
        dead[found[found >= 0]] = False
        total += _bytes(index, card, array, np.flatnonzero(dead))
    return total


def held_bytes(paths: Paths, ids: Sequence[str]) -> dict[str, int]:
    """Of some utterances those that a feature set has, and the bytes of their rows."""
    card = read_card(paths.card)
    index = read_index(Paths(paths.root, card.key.format))
    return {name: utterance_bytes(index, card, [name]) for name in ids if name in index.newest}


def utterance_bytes(index: Index, card: Card, ids: Sequence[str]) -> int:
    """Bytes of the rows of some utterances."""
    places = np.array([index.newest[name] for name in ids], np.int64)
    found = ((array, index.located(array, places)) for array in index.commits.stored)
    return sum(_bytes(index, card, array, located[located >= 0]) for array, located in found)


def _bytes(index: Index, card: Card, array: Array, places: Places) -> int:
    """Bytes of the rows at some places of an array."""
    size: NDArray[np.int64] = np.full(index.units, stored_dtype("", card.key.dtype).itemsize)
    size[[unit for unit, name in index.commits.stored[array].items() if name.endswith(WIDE_SUFFIX)]] = WIDE.itemsize
    rows = index.table(array[0]).length[places].astype(np.int64)
    return int((rows * size[index.unit_of[places]]).sum()) * card.dims[kind_of(array[0])]


def _files(folder: Path) -> int:
    """Files in a folder and all below it."""
    return sum(len(names) for _, _, names in os.walk(folder))
