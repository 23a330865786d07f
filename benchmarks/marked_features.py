"""Synthetic features that say of every value which utterance, level, layer and row it is, and which process wrote it.

    value = scale * whole number of (utterance, level, layer, row, column) + mark / 8        exact in the stored type

so that whoever reads a cache can tell rows of the wrong place from rows of the right one, and a unit that two processes
wrote from one that a single process wrote. One utterance is longer than a shard, one does not fit float16 in one
layer, one cannot be encoded.
"""

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emocache.errors import EmocacheError
from emocache.store import open_cache
from emocache.store.card import Card, Key
from emocache.store.layout import Paths
from emocache.store.plan import Item
from emocache.store.unit import shards_of
from emocache.store.writer import FeatureWriter

MARKS = 8
"""Processes that can be told apart."""
DIM = 8
LAYERS = (0, 1, 2)
LEVELS = ("frames", "utterance")
WANTED: tuple[Mapping[str, Sequence[int]], ...] = (
    dict.fromkeys(LEVELS, LAYERS),
    {"frames": LAYERS},
    {"frames": (2,)},
)
"""What each of three writers is asked for: their units are the same, and so are some of their arrays."""
CARD = Card(
    key=Key(weights="w", configuration="c", preprocessing="p", layer_rule="l", precision="fp32", dtype="fp16"),
    encoder="toy", model="./toy", origin="o", revision="r", encoder_licence="e", corpus="corpus", corpus_licence="c", corpus_share="free",
    modality="audio", digests="audio", native="frames", hop=320, layers=LAYERS, unit_rows=512, made_with={},
    levels={"frames": "one row per frame", "utterance": "mean"}, dims=dict.fromkeys(LEVELS, DIM),
)  # fmt: skip
ROWS = {f"u{i}": rows for i, rows in enumerate([600, *random.Random(0).choices(range(1, 256), k=23)])}
WIDE, FAILING = "u5", "u7"
ITEMS = [
    Item(name, f"{i:064x}", str(i % 2), {"frames": rows, "utterance": 1}, {"frames": {"row": np.arange(rows, dtype=np.int32)}})
    for i, (name, rows) in enumerate(ROWS.items())
]


def unmarked(name: str, level: str, layer: int) -> np.ndarray:
    """The values of one utterance [rows, DIM] before a process adds its mark."""
    seed = int.from_bytes(hashlib.sha256(f"{name}/{level}/{layer}".encode()).digest()[:8], "little")
    rows = ROWS[name] if level == "frames" else 1
    whole = np.random.default_rng(seed).integers(-250, 250, (rows, DIM)).astype(np.float32)
    return whole * (4096 if (name, layer) == (WIDE, 2) else 1)


CONTENT = {(level, layer, name): unmarked(name, level, layer) for level in LEVELS for layer in LAYERS for name in ROWS}


def extract(root: Path, wanted: Mapping[str, Sequence[int]], mark: int, pause_s: float) -> None:
    """What a process that extracts does, with an encoder that takes up to `pause_s` for an utterance."""
    with FeatureWriter(root, "corpus", "toy", CARD) as writer:
        for work, unit in writer.units(writer.plan(ITEMS, wanted)):
            for name in work.ids:
                time.sleep(random.uniform(0, pause_s))
                if name == FAILING:
                    unit.fail(name, "made to fail")
                else:
                    unit.put(name, {(level, layer): CONTENT[level, layer, name] + mark / 8 for level, layer in work.arrays})
            unit.commit()


@dataclass
class Checker:
    """Reads one cache again and again, and says what is wrong with it."""

    root: Path
    seen: dict[tuple[str, int, str], int] = field(default_factory=dict)
    """(level, layer, utterance) -> mark, of all that was ever readable."""
    corrupt: dict[str, None] = field(default_factory=dict)
    """What is wrong, each once, in the order found."""
    lost: dict[str, None] = field(default_factory=dict)

    def look(self) -> None:
        """Read everything that is committed now."""
        entries = self._entries()
        try:
            marks = self._read()
        except EmocacheError as error:
            if entries or self.seen:
                self.corrupt[f"cannot be read: {error}"] = None
            return
        self.lost |= {f"{key} was there": None for key in self.seen if key not in marks}
        changed = [key for key, mark in marks.items() if self.seen.setdefault(key, mark) != mark]
        self.corrupt |= {f"{key} has another process's values than before": None for key in changed}
        for path, entry in entries.items():
            self._check_entry(path, entry, marks)

    def complete(self, wanted: Mapping[str, Sequence[int]]) -> bool:
        """Whether all that was asked for is there, with the one failure named."""
        features = open_cache(self.root).features("corpus", "toy")
        there = all(set(features.held(level, layers)) == set(ROWS) - {FAILING} for level, layers in wanted.items())
        return there and dict(features.failures) == {FAILING: "made to fail"}

    def left_behind(self) -> Counter[str]:
        """How many files of dead writers lie about, by kind."""
        kinds = {
            "part files of units": "corpus/toy/parts/*",
            "shards out of place": "corpus/toy/features.zarr/**/c.*.0.*",
            "part files of metadata": "**/*.part*",
        }
        return Counter({kind: len([path for path in self.root.glob(pattern) if path.is_file()]) for kind, pattern in kinds.items()})

    def _read(self) -> dict[tuple[str, int, str], int]:
        """The mark of whatever can be read, through the public reader; anything but the content of its place is corrupt."""
        features = open_cache(self.root).features("corpus", "toy")
        marks: dict[tuple[str, int, str], int] = {}
        for level in features.levels:
            for layer in features.layers_of(level):
                ids = features.held(level, [layer])
                packed = features.read_many(ids, level, [layer])
                for name, first, last in zip(ids, packed.offsets[:-1], packed.offsets[1:], strict=True):
                    expected = CONTENT[level, layer, name]
                    values = packed.values[0, first:last].astype(np.float64)
                    found = np.unique((values - expected) * 8) if values.shape == expected.shape else np.array([-1, -1])
                    if len(found) != 1 or found[0] not in range(MARKS):
                        self.corrupt[f"{level}/{layer} of {name} has other values than its own"] = None
                    marks[level, layer, name] = int(found[0])
        return marks

    def _entries(self) -> dict[Path, dict]:
        """Every commit entry, read without emocache."""
        return {path: json.loads(path.read_text()) for path in sorted(self.root.glob("corpus/toy/commits/*/[0-9]*.json"))}

    def _check_entry(self, path: Path, entry: dict, marks: Mapping[tuple[str, int, str], int]) -> None:
        """One process wrote everything that an entry names, and the shards have the checksums that it states."""
        plan = self.root / "corpus/toy/plan/0"
        units, ids = np.load(plan / "units.npy"), np.load(plan / "ids.npy")
        members = [name.decode() for name in ids[units[entry["unit"]] : units[entry["unit"] + 1]]]
        arrays = [(level, int(layer)) for level, layer in (array.split("/") for array in entry["arrays"])]
        by = {marks.get((level, layer, name)) for level, layer in arrays for name in members if name not in entry["failures"]}
        if len(by) > 1:
            self.corrupt[f"{path.parent.name}/{path.name} holds rows of several processes"] = None
        for level, array, shard, checksum in shards_of(entry):
            if checksum not in {_sha256(Paths(self.root / "corpus/toy"), level, array, shard, checksum) for _ in range(2)}:
                self.corrupt[f"{path.parent.name}/{path.name}: {level}/{array} shard {shard} has another checksum"] = None


def _sha256(paths: Paths, level: str, array: str, shard: int, checksum: str) -> str:
    """The checksum of a committed shard, which may be moved into its place in this moment."""
    for path in (paths.staged(level, array, shard, checksum), paths.shard(level, array, shard)):
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            continue
    return "missing"
