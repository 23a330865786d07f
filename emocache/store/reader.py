"""Reading a cache: corpora, feature sets, and rows as numpy arrays, through memory maps of the raw shards."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache import manifest
from emocache.errors import CacheError
from emocache.places import cache_root
from emocache.store.card import IMPORTED, read_card
from emocache.store.index import SUPERSEDED, Array, read_index
from emocache.store.layout import Level, Paths, check_root, read_array, shard_rows_there, stored_dtype
from emocache.store.plan import Generation, Rows
from emocache.types import Corpus, Utterance

MAPS = 4096
"""Memory maps kept open; a process may have 65,530."""


def open_cache(path: str | Path | None = None) -> "Cache":
    """The cache in a folder (by default `cache_root()`); CacheError when there is none."""
    root = cache_root() if path is None else Path(path).expanduser()
    check_root(root)
    return Cache(root)


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows of several utterances, one after the other.

    values [layers, rows, dim] in the stored dtype; offsets int64 [utterances + 1]: utterance i is
    `values[:, offsets[i]:offsets[i + 1]]`.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of corpora, each with feature sets."""

    root: Path

    def corpora(self) -> list[str]:
        """Corpora that have features here."""
        return sorted(folder.name for folder in self.root.iterdir() if folder.is_dir() and self.names(folder.name))

    def names(self, corpus: str) -> list[str]:
        """Names of the feature sets of a corpus."""
        folder = self.root / corpus
        return sorted(one.name for one in folder.iterdir() if (one / "card.json").is_file()) if folder.is_dir() else []

    def features(self, corpus: str, model: str) -> "Features":
        """The feature set of that name, or the only one made by the encoder of that name; else the choices are listed."""
        if corpus not in self.corpora():
            raise CacheError(f"{self.root}: no corpus {corpus!r}; there are: {', '.join(self.corpora()) or 'none'}")
        names = self.names(corpus)
        if model in names:
            return Features(Paths(self.root / corpus / model))
        made_by = [name for name in names if read_card(self.root / corpus / name / "card.json").encoder == model]
        if len(made_by) == 1:
            return Features(Paths(self.root / corpus / made_by[0]))
        choices = ", ".join(made_by or names)
        raise CacheError(f"{self.root}: {len(made_by) or 'no'} feature sets {model!r} of {corpus}; choose one of: {choices}")

    def corpus(self, name: str) -> Corpus:
        """The corpus as it was when features were last extracted: labels, speakers, folds; where its audio lay is not kept."""
        return manifest.load(self.root, name)


class Features:
    """The committed features of one encoder over one corpus; a snapshot taken when it was opened."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.corpus = paths.root.parent.name
        self.name = paths.root.name
        self.card = read_card(paths.card)
        self._index = read_index(paths)
        self._maps: OrderedDict[tuple[str, str, int], NDArray[Any]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Features {self.corpus}/{self.name}: {len(self.ids)} utterances, levels {', '.join(self.levels) or 'none'}>"

    @property
    def native(self) -> str:
        """The level that the encoder itself gives: frames, tokens or utterance."""
        return self.card.native

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """Levels with anything committed."""
        return tuple(sorted({name for name, _ in self._index.stored}))

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """Layers with anything committed, in any level."""
        return tuple(sorted({layer for _, layer in self._index.stored}))

    def layers_of(self, level: str) -> tuple[int, ...]:
        """Layers with anything committed in one level."""
        return tuple(sorted(layer for name, layer in self._index.stored if name == self._level(level).name))

    def dim(self, level: str) -> int:
        """Width of a row."""
        return self._level(level).dim

    @cached_property
    def ids(self) -> list[str]:
        """Utterances with rows in every array that has anything committed."""
        return self._held(list(self._index.stored))

    def held(self, level: str, layers: Sequence[int]) -> list[str]:
        """Utterances with rows in these layers of a level, whatever else is there or under way."""
        return self._held([(level, layer) for layer in layers])

    def _held(self, arrays: Sequence[Array]) -> list[str]:
        return [name for name in self._index.newest if arrays and all(self._index.find(array, name) for array in arrays)]

    @property
    def planned_ids(self) -> list[str]:
        """Utterances that the feature set will hold when its extraction is finished."""
        return list(self._index.newest)

    @cached_property
    def planned(self) -> int:
        """How many these are."""
        return len(self._index.newest)

    @cached_property
    def failures(self) -> Mapping[str, str]:
        """Id -> reason, for utterances that could not be encoded and have no rows."""
        failed = {name: reason for pairs in self._index.failed.values() for (_, name), reason in pairs.items()}
        held = set(self.ids)
        return {name: reason for name, reason in failed.items() if reason != SUPERSEDED and name not in held}

    @cached_property
    def digest(self) -> str:
        """Changes when anything that a reader could see changes."""
        return hashlib.sha256(f"{self.card.key}{self._index.digest}".encode()).hexdigest()

    def made_from(self, name: str) -> str:
        """Hex digest of what an utterance's newest features were made from (decoded audio, or text)."""
        place = self._index.newest.get(name)
        if place is None:
            raise CacheError(f"{self.corpus}/{self.name}: no utterance {name!r}")
        return self._index.generations[place[0]].digest(place[1])

    def check(self, utterances: Iterable[Utterance]) -> None:
        """CacheError when features were made from another text or audio than these utterances now have.

        Audio is compared where its digest is known (after a scan), text always; of imported features nobody knows.
        """
        if self.card.digests == IMPORTED:
            return
        text = self.card.digests == "text"
        known = self._index.newest
        now = {u.id: text_digest(u) if text else u.audio_sha256 for u in utterances if u.id in known}
        stale = [name for name, digest in now.items() if digest not in {None, self.made_from(name)}]
        if stale:
            raise CacheError(
                f"{self.corpus}/{self.name}: features of {len(stale)} utterances (first {stale[0]!r}) were made from other "
                f"{self.card.digests} than the corpus now has; run `{self.card.command(self.name)}` again"
            )

    def read(self, name: str, level: str | None = None, layers: Sequence[int] | None = None) -> NDArray[Any]:
        """One utterance: [layers, rows, dim] in the stored dtype (by default the encoder's own level, all layers)."""
        return self.load(level, layers, [name]).values

    def load(self, level: str | None = None, layers: Sequence[int] | None = None, ids: Sequence[str] | None = None) -> Packed:
        """Several utterances in one array; by default all of `ids`, all layers, the encoder's own level.

        Raises CacheError that names the first id, level or layer that is not there.
        """
        cut = self._level(level or self.native)
        chosen = self.layers_of(cut.name) if layers is None else tuple(layers)
        names = self.ids if ids is None else list(ids)
        if unknown := [layer for layer in chosen if layer not in self.layers_of(cut.name)]:
            raise CacheError(
                f"{self.corpus}/{self.name}: no layer {unknown[0]} in level {cut.name}; there are: {_numbers(self.layers_of(cut.name))}"
            )
        places = [[self._place((cut.name, layer), name) for name in names] for layer in chosen]
        lengths = np.array([self._rows_of(g, cut.name).length[i] for g, i in places[0]] if places else [], np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        arrays = {self._array((cut.name, layer), place) for layer, row in zip(chosen, places, strict=True) for place in row}
        dtype = max((stored_dtype(name, self.card.key.dtype) for name in arrays), key=lambda dtype: dtype.itemsize, default=np.float32)
        values = np.empty((len(chosen), int(offsets[-1]), cut.dim), dtype)
        for target, layer, row in zip(values, chosen, places, strict=True):
            for i in self._disk_order(cut.name, row):
                self._copy(target[offsets[i] : offsets[i + 1]], cut, layer, row[i])
        return Packed(values, offsets)

    def outline(self, level: str, layer: int, ids: Sequence[str]) -> tuple[NDArray[np.int64], Any]:
        """What `load` would give of one layer, without reading it: offsets [ids + 1], and the dtype that holds every row as stored."""
        places = [self._place((level, layer), name) for name in ids]
        lengths = [int(self._rows_of(generation, level).length[i]) for generation, i in places]
        stored = {stored_dtype(self._array((level, layer), place), self.card.key.dtype) for place in places}
        dtype = max(stored, key=lambda dtype: dtype.itemsize, default=np.dtype(np.float32))
        return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), dtype

    def columns(self, name: str, level: str) -> dict[str, NDArray[np.int32]]:
        """What each row of an utterance stands for, column -> [rows].

        Level `tokens` has `word` (which white-space word of the text, -1 for special tokens), `begin` and `end` (characters).
        """
        layers = self.layers_of(level)
        held = next((layer for layer in layers if self._index.find((level, layer), name)), layers[0])
        generation, i = self._place((level, held), name)
        length = self._rows_of(generation, level).length
        first = int(length[:i].sum(dtype=np.int64))
        files = sorted((self.paths.plan(generation) / level).glob("column.*.npy"))
        return {path.stem.removeprefix("column."): np.array(read_array(path)[first : first + int(length[i])]) for path in files}

    def _level(self, name: str) -> Level:
        """The cut of a level that has anything committed."""
        if name not in self.levels:
            raise CacheError(f"{self.corpus}/{self.name}: no level {name!r}; there are: {', '.join(self.levels) or 'none yet'}")
        return self.card.cut(name)

    def _place(self, array: Array, name: str) -> tuple[int, int]:
        """Where an utterance's rows are, or CacheError that says why they are not there."""
        if place := self._index.find(array, name):
            return place
        where = f"{self.corpus}/{self.name}"
        if name not in self._index.newest:
            raise CacheError(f"{where}: no utterance {name!r} among its {self.planned}")
        if reason := self.failures.get(name):
            raise CacheError(f"{where}: {name} could not be encoded: {reason}")
        raise CacheError(f"{where}: {name} has no {array[0]}/{array[1]} yet; run `{self.card.command(self.name)}` again")

    def _rows_of(self, generation: int, level_name: str) -> Rows:
        return self._index.generations[generation].rows(level_name)

    def _array(self, array: Array, place: tuple[int, int]) -> str:
        """Name of the Zarr array that holds an utterance's rows."""
        generation: Generation = self._index.generations[place[0]]
        return self._index.stored[array][int(generation.unit_of[place[1]])]

    def _disk_order(self, level_name: str, places: Sequence[tuple[int, int]]) -> list[int]:
        """Positions sorted by where their rows lie."""
        starts = [int(self._rows_of(g, level_name).start[i]) for g, i in places]
        return sorted(range(len(places)), key=starts.__getitem__)

    def _copy(self, target: NDArray[Any], cut: Level, layer: int, place: tuple[int, int]) -> None:
        """Copy one utterance's rows of one layer, from as many shards as they span."""
        start = int(self._rows_of(place[0], cut.name).start[place[1]])
        name = self._array((cut.name, layer), place)
        done = 0
        while done < len(target):
            shard, row = divmod(start + done, cut.shard_rows)
            rows = self._map(cut, name, shard)[row : row + len(target) - done]
            if not len(rows):
                raise CacheError(f"{self.paths.shard(cut.name, name, shard)}: ends before row {row}; its unit must be extracted again")
            target[done : done + len(rows)] = rows
            done += len(rows)

    def _map(self, cut: Level, array: str, shard: int) -> NDArray[Any]:
        """One shard as a memory map [rows, dim], its index checked the first time."""
        key = (cut.name, array, shard)
        if key not in self._maps:
            path = self.paths.shard(cut.name, array, shard)
            dtype = stored_dtype(array, self.card.key.dtype)
            rows = shard_rows_there(path, cut, dtype.itemsize)
            self._maps[key] = np.memmap(path, dtype, "r", shape=(rows, cut.dim))
            while len(self._maps) > MAPS:
                self._maps.popitem(last=False)
        self._maps.move_to_end(key)
        return self._maps[key]


def text_digest(utterance: Utterance) -> str:
    """SHA-256 of a transcript's exact text (a missing one counts as empty)."""
    return hashlib.sha256((utterance.transcript or "").encode()).hexdigest()


def _numbers(layers: Sequence[int]) -> str:
    """Layer numbers for people."""
    return ", ".join(map(str, layers)) or "none"
