"""What a feature set takes: bytes on disk, files and folders."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from store_data import lengths

from emocache.store.plan import cut_units, unit_rows

GROUPS = 5
"""Sessions or splits; no unit holds two."""


def on_disk(root: Path) -> int:
    """Bytes of disk that a folder's files take."""
    return sum(os.lstat(path).st_blocks * 512 for path in root.rglob("*") if path.is_file())


def counted(root: Path) -> tuple[int, int]:
    """Files and folders in a folder."""
    found = list(root.rglob("*"))
    return sum(path.is_file() for path in found), sum(path.is_dir() for path in found)


def expected(rows: Iterable[int], layers: int) -> tuple[int, int]:
    """Files and folders of one complete feature set of one level, from the plan's rules."""
    rows = list(rows)
    limit = unit_rows(sum(rows))
    _, units = cut_units(rows, [str(i * GROUPS // len(rows)) for i in range(len(rows))], limit)
    in_unit = np.add.reduceat(rows, units[:-1])
    shards = int((-(-in_unit // limit)).sum())
    card, plan, zarr_json, pass_json, claims = 1, 6, 2 + layers, 1, 3 + len(in_unit)
    files = shards * layers + len(in_unit) + card + plan + zarr_json + pass_json + claims
    return files, 9 + layers


def at_size(count: int, layers: int) -> tuple[int, int]:
    """The same for `count` utterances of IEMOCAP-like lengths."""
    return expected(lengths(count), layers)
