"""How fast the store is beside a bare numpy memory map, files per utterance, HDF5 and zarr-python; how small; how soon open.

    python benchmarks/store.py [--quick] [--folder DIR] [--out FILE] [--only write,read,cold,size,open]

Synthetic features of 200 utterances of IEMOCAP-like lengths x 13 layers x 768, stored as fp16. Within a comparison the
competitors take turns, and one table says median, least and most of the rounds. Takes about 10 GB of disk, 8 GB of memory and
10 minutes; --quick takes less of everything and proves nothing. What was made is removed at the end.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import store_data
import store_opening
from store_cold import drop
from store_data import DIM, LAYERS, Utterance, lengths, write_hdf5, write_npy, write_pt, write_store
from store_readers import BARE, READERS, Reader, Values
from store_sizes import counted, files, on_disk
from store_table import Row, compared, interleaved, table
from store_writing import writing

BATCH = 32
ONE, ALL = (LAYERS - 1,), tuple(range(LAYERS))
BATCHES = {"one layer": ONE, "all layers": ALL}
COLD = (BARE, "emocache", "one .npy per utterance", "one .npy per utterance, mapped")
SECTIONS = ("write", "read", "cold", "size", "open")
CORPORA = {"IEMOCAP, 4 classes": 5_531, "IEMOCAP": 10_039, "1,000 hours": 800_000}
"""Utterances of 4.5 s on average."""
ONE_EACH = "one file per utterance"
PLANNED = 3
"""How often a large feature set is planned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How much of everything: rounds, batches timed at once with one and with all layers, sizes at which caches are opened."""

    utterances: int
    rounds: int
    batches: tuple[int, int]
    opened: tuple[int, ...]


FULL = Scale(utterances=200, rounds=9, batches=(30, 6), opened=(10_000, 100_000, 1_000_000))
QUICK = Scale(utterances=60, rounds=3, batches=(6, 2), opened=(10_000,))


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to be measured")
    parser.add_argument("--out", type=Path, help="write the table here too")
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--drop-all", action="store_true", help="open caches after dropping the whole machine's caches too (root)")
    options = parser.parse_args()
    scale = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory(prefix="store-", dir=options.folder) as made:
        rows, notes = measured(Path(made), scale, options.only.split(","), everything=options.drop_all)
        text = table(rows, notes, Path(made))
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


def measured(root: Path, scale: Scale, sections: Sequence[str], *, everything: bool) -> tuple[list[Row], list[str]]:
    """All rows of the table, and what is to be said before it."""
    rows: list[Row] = []
    data = store_data.made(scale.utterances)
    total = sum(one.values.shape[1] for one in data)
    notes = [f"{len(data)} utterances, {total:,} frames x {LAYERS} layers x {DIM}, {total * LAYERS * DIM * 2 / 1e6:,.0f} MB as fp16."]
    if "write" in sections:
        with said("write"):
            rows += writing(root, data, scale.rounds)
    with said("prepare"):
        prepare(root, data)
    del data
    if "read" in sections:
        with said("read"):
            rows += reading(root, scale)
    if "cold" in sections:
        with said("cold"):
            found, stayed = cold(root, scale.rounds)
        rows += found
        notes.append(f"Cold: at most {stayed:.2%} of the pages stayed in the page cache when the files were dropped from it.")
    if "size" in sections:
        rows += sizes(root)
    for count in scale.opened if "open" in sections else ():
        with said(f"open {count}"):
            rows += opening(root / str(count), count, scale.rounds, everything=everything)
    return rows, notes


@contextlib.contextmanager
def said(name: str) -> Iterator[None]:
    """Say on stderr how long something took."""
    began = time.perf_counter()
    yield
    print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def prepare(root: Path, data: Sequence[Utterance]) -> None:
    """Write the features in every form."""
    write_store(root / "emocache", data)
    by_id = {one.item.id: one for one in data}
    write_npy(root / "npy", data)
    write_pt(root / "pt", data)
    write_hdf5(root / "flat.h5", [by_id[name] for name in Reader(root).rows])


def reading(root: Path, scale: Scale) -> list[Row]:
    """Random batches, one group and everything from a warm page cache; every reader must give the same first."""
    opened = {name: make(root) for name, make in READERS.items()}
    units = list(opened[BARE].generation.unit_numbers)
    fold = units[: len(units) // store_data.GROUPS]
    for layers in (ONE, ALL):
        check({name: partial(reader.read, batches(reader, 0, 1)[0], layers) for name, reader in opened.items()})
    check({name: partial(reader.read, reader.whole(units), ALL) for name, reader in opened.items()})
    rows: list[Row] = []
    for (what, layers), count in zip(BATCHES.items(), scale.batches, strict=True):
        tasks = {name: partial(batches_per_s, reader, layers, count) for name, reader in opened.items()}
        rows += compared(f"{BATCH} random utterances, {what}", "batches/s", interleaved(tasks, scale.rounds), BARE)
    for what, chosen in {"one fold": fold, "everything": units}.items():
        tasks = {name: partial(mb_per_s, reader, reader.whole(chosen)) for name, reader in opened.items()}
        rows += compared(f"{what}, all layers", "MB/s", interleaved(tasks, scale.rounds), BARE)
    return rows


def check(reads: Mapping[str, Callable[[], Values]]) -> None:
    """Every reader's result must equal the bare map's, bit for bit."""
    expected = reads[BARE]()
    for name, read in reads.items():
        if not np.array_equal(read().view(np.uint16), expected.view(np.uint16)):
            sys.exit(f"{name} reads other values than {BARE}")


def batches(reader: Reader, number: int, count: int) -> list[list[str]]:
    """`count` batches of random utterances, the same for every reader in a round."""
    rng, ids = np.random.default_rng([3, number]), sorted(reader.rows)
    return [rng.choice(ids, BATCH, replace=False).tolist() for _ in range(count)]


def batches_per_s(reader: Reader, layers: Sequence[int], count: int, number: int) -> float:
    """The speed of random batches, after one that is not counted; nothing is kept from one to the next."""
    first, *rest = batches(reader, number, 1 + count)
    reader.read(first, layers)
    began = time.perf_counter()
    for ids in rest:
        reader.read(ids, layers)
    return count / (time.perf_counter() - began)


def mb_per_s(reader: Reader, whole: Sequence[str], _: int) -> float:
    """The speed of whole units."""
    began = time.perf_counter()
    size = reader.read(whole, ALL).nbytes
    return size / (time.perf_counter() - began) / 1e6


def cold(root: Path, rounds: int) -> tuple[list[Row], float]:
    """Every utterance once, in random batches, by a reader just opened, from files that are not in memory."""
    stayed: list[float] = []
    rows: list[Row] = []
    for what, layers in BATCHES.items():
        tasks = {name: partial(cold_batches_per_s, root, READERS[name], layers, stayed) for name in COLD}
        rows += compared(f"{BATCH} random utterances, {what}, cold", "batches/s", interleaved(tasks, rounds), BARE)
    return rows, max(stayed)


def cold_batches_per_s(root: Path, make: Callable[[Path], Reader], layers: Sequence[int], stayed: list[float], number: int) -> float:
    """The speed of one pass over all utterances; adds to `stayed` which share of the pages were in memory before it."""
    reader = make(root)
    ids = np.random.default_rng([4, number]).permutation(sorted(reader.rows)).tolist()
    parts = [ids[at : at + BATCH] for at in range(0, len(ids), BATCH)]
    stayed.append(drop(path for path in root.rglob("*") if path.is_file()))
    began = time.perf_counter()
    for part in parts:
        reader.read(part, layers)
    return len(parts) / (time.perf_counter() - began)


def sizes(root: Path) -> list[Row]:
    """Bytes on disk as measured, and files as the plan's rules give them."""
    reader = Reader(root)
    fp32 = sum(-(-(128 + rows * LAYERS * DIM * 4) // 4096) * 4096 for rows in reader.rows.values())
    found = {
        ".npy fp32, one per utterance": fp32,
        ".npy fp16, one per utterance": on_disk(root / "npy"),
        "emocache": on_disk(reader.paths.root),
    }
    rows = compared("on disk", "MB", {name: [size / 1e6] for name, size in found.items()}, ".npy fp32, one per utterance")
    found_files, folders = counted(reader.paths.root)
    others = found_files - files(list(reader.rows.values()), LAYERS)
    for corpus, count in CORPORA.items():
        for layers in (13, 25):
            competitors = {
                ONE_EACH: [count],
                f"emocache, in {folders + layers - LAYERS} folders": [others + files(lengths(count), layers)],
            }
            rows += compared(f"{corpus}: {count:,} utterances, {layers} layers", "files", competitors, ONE_EACH)
    return rows


def opening(root: Path, count: int, rounds: int, *, everything: bool) -> list[Row]:
    """Planning a large feature set, and opening it in a new process."""
    planned = [store_opening.plan(root / str(i), count) for i in range(PLANNED)]
    tasks = {kind: partial(store_opening.opened, root / "0", cold=kind == "cold", everything=everything) for kind in ("warm", "cold")}
    found = interleaved(tasks, rounds)
    rows = [Row(f"{count:,} utterances", "FeatureWriter.plan", "s", planned)]
    for kind, steps in found.items():
        rows += [Row(f"{count:,} utterances", f"{name}, {kind}", "ms", [one[name] for one in steps]) for name in steps[0]]
    return rows


if __name__ == "__main__":
    main()
