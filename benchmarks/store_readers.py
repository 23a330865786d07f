"""Everybody's way to read the same features: ids and layers in, a new array [layers, rows, dim] out.

`whole(ids)` is what a reader is given for whole units: those that know where rows lie take a unit as one stretch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from store_data import CORPUS, DIM, LAYERS, NAME

from emocache.store import open_cache
from emocache.store.layout import DTYPES, UNIT_ROWS, Paths
from emocache.store.plan import read_generations
from heads.data import to_tensor

Values = NDArray[np.float16]


class Reader:
    """One way to read what lies in a folder; utterances one by one, unless a subclass can do better."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = Paths(root / "emocache" / CORPUS / NAME)
        (self.generation,) = read_generations(self.paths)
        self.rows = dict(zip(self.generation.names, self.generation.rows("frames").length.tolist(), strict=True))

    def read(self, ids: Sequence[str], layers: Sequence[int]) -> Values:
        """Utterances or stretches one after the other."""
        raise NotImplementedError

    def whole(self, units: Iterable[int]) -> list[str]:
        """The ids of all that lies in some units, in the plan's order."""
        return [self.generation.names[i] for unit in units for i in self.generation.unit_range(unit)]


class Emocache(Reader):
    """`Features.read_many`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.features = open_cache(root / "emocache").features(CORPUS, NAME)

    def read(self, ids: Sequence[str], layers: Sequence[int]) -> Values:
        return self.features.read_many(ids, "frames", layers).values


class Torch(Emocache):
    """The same as a tensor on the CPU, as the heads make it."""

    def read(self, ids: Sequence[str], layers: Sequence[int]) -> Values:
        packed = self.features.read_many(ids, "frames", layers)
        return to_tensor(packed, "benchmark", ids, torch.device("cpu")).values.numpy()


class Stretches(Reader):
    """Readers that know beforehand where the rows of every utterance lie, and of every unit, as if that were one."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        rows = self.generation.rows("frames")
        self.where = dict(zip(self.generation.names, zip(rows.start.tolist(), rows.length.tolist(), strict=True), strict=True))
        for unit in self.generation.unit_numbers:
            members = self.generation.unit_range(unit)
            self.where[f"unit {unit}"] = (int(rows.start[members.start]), int(rows.length[members.start : members.stop].sum()))

    def whole(self, units: Iterable[int]) -> list[str]:
        return [f"unit {unit}" for unit in units]

    def rows_of(self, layer: int, start: int, count: int) -> Values:
        """Rows of one layer."""
        raise NotImplementedError

    def read(self, ids: Sequence[str], layers: Sequence[int]) -> Values:
        spans = [self.where[name] for name in ids]
        values = np.empty((len(layers), sum(count for _, count in spans), DIM), np.float16)
        for target, layer in zip(values, layers, strict=True):
            at = 0
            for start, count in spans:
                target[at : at + count] = self.rows_of(layer, start, count)
                at += count
        return values


class BareMap(Stretches):
    """The yardstick: numpy.memmap of every shard, as plain arrays, and one copy per utterance and layer."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.spans = {name: (*divmod(start, UNIT_ROWS), count) for name, (start, count) in self.where.items()}
        shards = 1 + max(shard for shard, *_ in self.spans.values())
        self.shards = [[self._mapped(layer, shard) for shard in range(shards)] for layer in range(LAYERS)]

    def _mapped(self, layer: int, shard: int) -> Values:
        path = self.paths.shard("frames", str(layer), shard)
        rows = path.stat().st_size // (DIM * 2)  # the index at the end is shorter than a row
        return np.asarray(np.memmap(path, DTYPES["fp16"], "r", shape=(rows, DIM)))

    def read(self, ids: Sequence[str], layers: Sequence[int]) -> Values:
        spans = [self.spans[name] for name in ids]
        values = np.empty((len(layers), sum(count for *_, count in spans), DIM), np.float16)
        for target, layer in zip(values, layers, strict=True):
            shards = self.shards[layer]
            at = 0
            for shard, row, count in spans:
                target[at : at + count] = shards[shard][row : row + count]
                at += count
        return values


class PlainZarr(Stretches):
    """zarr-python on the same store."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.arrays: list[Any] = [zarr.open_array(self.paths.array("frames", str(layer)), mode="r") for layer in range(LAYERS)]

    def rows_of(self, layer: int, start: int, count: int) -> Values:
        rows: Values = self.arrays[layer][start : start + count]
        return rows


class Hdf5(Stretches):
    """h5py (`read_direct` takes 60 times as long). The file holds the utterances in the plan's order."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.flat = h5py.File(root / "flat.h5", "r")["features"]
        ends = np.cumsum(list(self.rows.values())).tolist()
        first = dict(zip(self.rows, [0, *ends[:-1]], strict=True))
        first |= {
            f"unit {unit}": first[self.generation.names[self.generation.unit_range(unit).start]] for unit in self.generation.unit_numbers
        }
        self.where = {name: (first[name], count) for name, (_, count) in self.where.items()}

    def rows_of(self, layer: int, start: int, count: int) -> Values:
        rows: Values = self.flat[start : start + count, layer]
        return rows


class Files(Reader):
    """One file per utterance [layers, rows, dim]: each is opened anew, as a data set of files does."""

    def __init__(self, root: Path, kind: str, load: Callable[[Path], Values]) -> None:
        super().__init__(root)
        self.files = {name: root / kind / f"{name}.{kind}" for name in self.rows}
        self.load = load

    def read(self, ids: Sequence[str], layers: Sequence[int]) -> Values:
        values = np.empty((len(layers), sum(self.rows[name] for name in ids), DIM), np.float16)
        which = layers[0] if len(layers) == 1 else slice(None) if len(layers) == LAYERS else list(layers)
        at = 0
        for name in ids:
            count = self.rows[name]
            values[:, at : at + count] = self.load(self.files[name])[which]
            at += count
        return values


def load_pt(path: Path) -> Values:
    """A .pt file as numpy sees it."""
    return torch.load(path, weights_only=True, mmap=False).numpy()


def load_mapped(path: Path) -> Values:
    """A .npy file, of which only what is used is read."""
    return np.load(path, mmap_mode="r")


BARE = "bare numpy memory map"
READERS: Mapping[str, Callable[[Path], Reader]] = {
    BARE: BareMap,
    "emocache": Emocache,
    "emocache, as torch tensors": Torch,
    "one .npy per utterance": lambda root: Files(root, "npy", np.load),
    "one .npy per utterance, mapped": lambda root: Files(root, "npy", load_mapped),
    "one .pt per utterance": lambda root: Files(root, "pt", load_pt),
    "HDF5, flat": Hdf5,
    "zarr-python, same store": PlainZarr,
}
"""Every way to read what lies in a folder."""
