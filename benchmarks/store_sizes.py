"""What a feature set takes: bytes on disk, files and folders."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from store_data import GROUPS

from emocache.store.plan import cut_units, unit_rows


def on_disk(root: Path) -> int:
    """Bytes of disk that a folder's files take."""
    return sum(os.lstat(path).st_blocks * 512 for path in root.rglob("*") if path.is_file())


def counted(root: Path) -> tuple[int, int]:
    """Files and folders in a folder."""
    found = list(root.rglob("*"))
    return sum(path.is_file() for path in found), sum(path.is_dir() for path in found)


def shards_and_units(rows: Sequence[int]) -> tuple[int, int]:
    """Shards of one array, and units, of utterances of so many rows, from the plan's rules."""
    limit = unit_rows(sum(rows))
    _, units = cut_units(rows, [str(i * GROUPS // len(rows)) for i in range(len(rows))], limit)
    in_unit = np.add.reduceat(rows, units[:-1])
    return int((-(-in_unit // limit)).sum()), len(in_unit)


def files(rows: Sequence[int], layers: int) -> int:
    """Files that grow with what a complete feature set holds: shards and a zarr.json of each layer, a commit and a lock of each unit."""
    shards, units = shards_and_units(rows)
    return (shards + 1) * layers + 2 * units
