"""Writing with everything on disk at the end, and how long an encoder waits for that."""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from store_data import Utterance, write_npy, write_store
from store_table import Row, compared, interleaved

Write = Callable[[Path, Sequence[Utterance]], object]
NPY, STORE = "one .npy per utterance", "emocache"
WRITERS: Mapping[str, Write] = {NPY: write_npy, STORE: write_store}
SLOWER = (1, 2)
"""How many times as long the simulated encoder takes as writing does."""


def writing(root: Path, data: Sequence[Utterance], rounds: int) -> list[Row]:
    """MB/s of float16 bytes on disk and synced, and the share of its time that an encoder waited."""
    folder, rows = root / "writing", sum(one.values.shape[1] for one in data)
    cast = [Utterance(one.item, one.values.astype(np.float16)) for one in data]
    size = sum(one.values.nbytes for one in cast) / 1e6
    given = {"float32 given": data, "float16 given": cast}
    tasks = {(how, what): partial(_speed, folder, of, WRITERS[how], size) for what, of in given.items() for how in WRITERS}
    found = interleaved(tasks, rounds)
    table: list[Row] = []
    for what in given:
        table += compared(f"write with fsync, {what}", "MB/s", {how: found[how, what] for how in WRITERS}, NPY)
    per_row = size / median(found[STORE, "float16 given"]) / rows
    waits = interleaved({f"encoder takes {k}x as long as writing": partial(_waited, folder, cast, per_row * k) for k in SLOWER}, rounds)
    return table + [Row("encoder's thread waits for the store", how, "% of its time", values) for how, values in waits.items()]


def _speed(folder: Path, data: Sequence[Utterance], write: Write, size: float, _: int) -> float:
    """MB/s of one writer."""
    began = time.perf_counter()
    write(folder, data)
    took = time.perf_counter() - began
    _remove(folder)
    return size / took


def _waited(folder: Path, data: Sequence[Utterance], per_row: float, _: int) -> float:
    """How much of its time, in percent, an encoder waited that sleeps `per_row` seconds for each row."""
    waited = sum(write_store(folder, data, per_row))
    _remove(folder)
    return 100 * waited / (waited + per_row * sum(one.values.shape[1] for one in data))


def _remove(folder: Path) -> None:
    """Remove what was written, and let the disk come to rest."""
    shutil.rmtree(folder)
    os.sync()
