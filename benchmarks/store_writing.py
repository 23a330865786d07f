"""Writing with everything on disk at the end, and how long an encoder waits for that."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from store_data import Utterance, write_npy, write_store
from store_table import Row, compared, interleaved

Write = Callable[[Path, Sequence[Utterance]], object]
SLOWER = (1, 2)
"""How many times as long the simulated encoder takes as writing does."""


def writing(root: Path, data: Sequence[Utterance], rounds: int) -> list[Row]:
    """MB/s of float32 values given and float16 bytes synced, and the share of its time that an encoder waited."""
    size = sum(one.values.nbytes for one in data) / 2
    tasks = {
        "one .npy per utterance, fsync": partial(_speed, root / "w", data, write_npy, size),
        "emocache": partial(_speed, root / "w", data, write_store, size),
    }
    found = interleaved(tasks, rounds)
    rows = compared("write, with fsync", "MB/s", found, "one .npy per utterance, fsync")
    per_row = size / 1e6 / median(found["emocache"]) / sum(one.values.shape[1] for one in data)
    waits = interleaved({f"encoder {k}x as slow as writing": partial(_waited, root / "w", data, per_row * k) for k in SLOWER}, rounds)
    rows += [Row("encoder's thread waited for the store", how, "% of its time", values) for how, values in waits.items()]
    return rows


def _speed(folder: Path, data: Sequence[Utterance], write: Write, size: float, _: int) -> float:
    """MB/s of one writer."""
    began = time.perf_counter()
    write(folder, data)
    took = time.perf_counter() - began
    _remove(folder)
    return size / took / 1e6


def _waited(folder: Path, data: Sequence[Utterance], per_row: float, _: int) -> float:
    """How much of its time, in percent, an encoder waited that sleeps `per_row` seconds for each row."""
    waited = sum(write_store(folder, data, per_row))
    _remove(folder)
    return 100 * waited / (waited + per_row * sum(one.values.shape[1] for one in data))


def _remove(folder: Path) -> None:
    """Remove what was written, and let the disk come to rest."""
    shutil.rmtree(folder)
    os.sync()
