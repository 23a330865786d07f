"""Synthetic features as HuBERT base gives for IEMOCAP, and the forms in which they lie on disk."""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from emocache.files import sync_folder
from emocache.store.card import Card, Key
from emocache.store.plan import Item, unit_rows
from emocache.store.writer import FeatureWriter

DIM = 768
LAYERS = 13
FRAMES_PER_S = 50
MEAN_S, SPREAD, SHORTEST_S, LONGEST_S = 4.5, 0.65, 0.6, 34.0
"""Of the lengths of utterances: lognormal, as IEMOCAP's are."""
GROUPS = 5
CORPUS, NAME = "corpus", "hubert"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance: what an encoder gives [layers, rows, dim], float32 or cast to float16 already."""

    item: Item
    values: NDArray[Any]


def lengths(count: int) -> list[int]:
    """Rows of `count` utterances."""
    rng = np.random.default_rng(0)
    seconds = rng.lognormal(np.log(MEAN_S) - SPREAD**2 / 2, SPREAD, count).clip(SHORTEST_S, LONGEST_S)
    return [int(rows) for rows in seconds * FRAMES_PER_S]


def items(count: int) -> list[Item]:
    """As the store sees `count` utterances, in five sessions one after the other."""
    return [
        Item(
            f"Ses{i * GROUPS // count + 1:02d}_impro{i:07d}", hashlib.sha256(b"%d" % i).hexdigest(), str(i * GROUPS // count), {"frames": n}
        )
        for i, n in enumerate(lengths(count))
    ]


def made(count: int) -> list[Utterance]:
    """`count` utterances with values like a transformer's: a scale for each layer and dimension, and a few dimensions far out."""
    rng = np.random.default_rng(1)
    scale = rng.lognormal(-1.5, 0.4, (LAYERS, 1, DIM)).astype(np.float32)
    mean = rng.normal(0, 0.2, (LAYERS, 1, DIM)).astype(np.float32)
    mean[..., rng.choice(DIM, 4, replace=False)] *= 50
    return [Utterance(item, rng.standard_normal((LAYERS, item.rows["frames"], DIM), np.float32) * scale + mean) for item in items(count)]


def card(todo: Sequence[Item], layers: int) -> Card:
    """The card of such features."""
    rows = sum(item.rows["frames"] for item in todo)
    return Card(
        key=Key(weights="w", configuration="c", preprocessing="p", layer_rule="l", precision="fp32", dtype="fp16"),
        encoder=NAME, model="./hubert", origin="o", revision="r", encoder_licence="e", corpus=CORPUS, corpus_licence="c",
        corpus_share="free", modality="audio", native="frames", hop=320, layers=tuple(range(layers)), unit_rows=unit_rows(rows),
        levels={"frames": "one row per frame"}, dims={"frames": DIM}, made_with={}, digests="audio",
    )  # fmt: skip


def write_store(root: Path, data: Sequence[Utterance], seconds_per_row: float = 0.0) -> list[float]:
    """Write with emocache, complete and synced, after an encoder that sleeps for every row.

    How long that encoder had to wait, in seconds: for each claim of a unit, put and commit.
    """
    by_id = {one.item.id: one for one in data}
    todo = [one.item for one in data]
    waited = []
    with FeatureWriter(root, CORPUS, NAME, card(todo, LAYERS)) as writer:
        work_to_do = writer.plan(todo, {"frames": range(LAYERS)})
        since = time.perf_counter()
        for work, unit in writer.units(work_to_do):
            waited.append(time.perf_counter() - since)
            for name in work.ids:
                time.sleep(seconds_per_row * by_id[name].values.shape[1])
                since = time.perf_counter()
                unit.put(name, {(level, layer): by_id[name].values[layer] for level, layer in work.arrays})
                waited.append(time.perf_counter() - since)
            since = time.perf_counter()
            unit.commit()
    return waited


def write_npy(root: Path, data: Sequence[Utterance]) -> None:
    """One .npy per utterance [layers, rows, dim], each synced and renamed."""
    root.mkdir()
    for one in data:
        _whole(root / f"{one.item.id}.npy", lambda file, one=one: np.save(file, one.values.astype(np.float16, copy=False)))
    sync_folder(root)


def write_pt(root: Path, data: Sequence[Utterance]) -> None:
    """One .pt per utterance."""
    root.mkdir()
    for one in data:
        _whole(
            root / f"{one.item.id}.pt", lambda file, one=one: torch.save(torch.from_numpy(one.values.astype(np.float16, copy=False)), file)
        )


def write_hdf5(path: Path, data: Sequence[Utterance]) -> None:
    """One flat data set [rows, layers, dim], in the order of `data`."""
    rows = sum(one.values.shape[1] for one in data)
    with h5py.File(path, "w") as file:
        flat = file.create_dataset("features", (rows, LAYERS, DIM), np.float16, chunks=(256, 1, DIM))
        at = 0
        for one in data:
            count = one.values.shape[1]
            flat[at : at + count] = one.values.transpose(1, 0, 2)
            at += count


def _whole(path: Path, save: Callable[[Any], object]) -> None:
    """Write, sync, rename."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        save(file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
