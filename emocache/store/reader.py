"""Reading one feature set: rows as numpy arrays."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, compress, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import CacheError
from emocache.layers import ranges
from emocache.store.card import IMPORTED, read_card
from emocache.store.index import SUPERSEDED, Array, Places, Table, read_index
from emocache.store.layout import WIDE_SUFFIX, Level, Paths, array_name, kind_of, stored_dtype
from emocache.store.plan import Column
from emocache.store.pulled import Pulled, read_pulled
from emocache.store.rows import Pinned, Request, RowReader, Source, stretches
from emocache.types import Utterance


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows of several utterances, one after the other.

    values [layers, rows, dim] in the stored dtype; offsets int64 [utterances + 1]: utterance i is
    `values[:, offsets[i]:offsets[i + 1]]`.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]


class Features:
    """The committed features of one encoder over one corpus; a snapshot taken when it was opened.

    Threads may share it; a worker process that it is sent to opens it anew. Once the feature set was removed or rewritten,
    what is open already goes on being read, and anything else is a CacheError.
    """

    def __init__(self, paths: Paths) -> None:
        self.corpus = paths.root.parent.name
        self.name = paths.root.name
        with Pinned(paths.root) as self._pinned:
            self.card = read_card(paths.card)
            self.paths = Paths(paths.root, self.card.key.format)
            self._index = read_index(self.paths)
        self._reader = RowReader(self.paths, self.card.key.dtype, self._pinned)

    def __reduce__(self) -> tuple[type["Features"], tuple[Paths]]:
        return Features, (self.paths,)

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders that it lies in."""
        return (self.paths.root,)

    def __repr__(self) -> str:
        return f"<Features {self.corpus}/{self.name}: {len(self.ids)} utterances, levels {', '.join(self.levels) or 'none'}>"

    @property
    def native(self) -> str:
        """The level that the encoder itself gives: frames, tokens or utterance."""
        return self.card.native

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """Levels with anything committed."""
        return tuple(sorted({name for name, _ in self._index.commits.stored}))

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """Layers with anything committed, in any level."""
        return tuple(sorted({layer for _, layer in self._index.commits.stored}))

    def layers_of(self, level: str) -> tuple[int, ...]:
        """Layers with anything committed in one level."""
        return self._layers_of[self._level(level).name]

    @cached_property
    def _layers_of(self) -> dict[str, tuple[int, ...]]:
        stored = sorted(self._index.commits.stored)
        return {level: tuple(layer for name, layer in stored if name == level) for level in self.levels}

    @property
    def _arrays(self) -> list[Array]:
        """Every level and layer with anything committed."""
        return list(self._index.commits.stored)

    def dim(self, level: str) -> int:
        """Width of a row."""
        return self._level(level).dim

    @cached_property
    def ids(self) -> list[str]:
        """Utterances with rows in every array that has anything committed."""
        return self._held(self._arrays)

    def held(self, level: str, layers: Sequence[int]) -> list[str]:
        """Utterances with rows in these layers of a level, whatever else is there or under way."""
        return self._held([(level, layer) for layer in layers])

    def _held(self, arrays: Sequence[Array]) -> list[str]:
        index = self._index
        if not arrays:
            return []
        there = np.logical_and.reduce([index.located(array, index.places) >= 0 for array in arrays])
        return list(compress(index.newest, there.tolist()))

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
        index = self._index
        named = [(unit, name, reason) for pairs in index.commits.failed.values() for (unit, name), reason in pairs.items()]
        held, newest = (set(self.ids), index.newest) if named else (set(), {})
        return {
            name: reason
            for unit, name, reason in named
            if reason != SUPERSEDED and name in newest and name not in held and int(index.unit_of[newest[name]]) == unit
        }

    @cached_property
    def digest(self) -> str:
        """Changes when anything that a reader could see changes."""
        return hashlib.sha256(f"{self.card.key}{self._index.digest}".encode()).hexdigest()

    @cached_property
    def pulled(self) -> Pulled | None:
        """Where the feature set was pulled from, and what there is."""
        return read_pulled(self.paths.root)

    def again(self, arrays: Iterable[Array] = ()) -> str:
        """What to do for rows of some arrays that are not here: pull them where they came from, else as the card says."""
        wanted = list(arrays)
        if self._elsewhere(wanted):
            return f"it was pulled in part: run `{self._pull()}`"
        return self.card.again(self.name, wanted)

    @property
    def lacks(self) -> str | None:
        """In one line what the source that it was pulled from has and the cache does not; None where that is nothing."""
        if self.pulled is None:
            return None
        levels = {level: sorted(set(layers) - set(self._layers_of.get(level, ()))) for level, layers in sorted(self.pulled.arrays.items())}
        parts = [f"{level} {ranges(layers)}" for level, layers in levels.items() if layers]
        if (missing := self.pulled.utterances - len(self.ids)) > 0:
            parts.append(f"{missing} of {self.pulled.utterances} utterances")
        return f"pulled in part, without {', '.join(parts)}; `{self._pull()}` brings the rest" if parts else None

    def _elsewhere(self, arrays: Sequence[Array]) -> str:
        """What to add to an error where all of these arrays are at the source that the feature set was pulled from; else ''."""
        there = self.pulled.arrays if self.pulled else {}
        if not arrays or any(layer not in there.get(level, ()) for level, layer in arrays):
            return ""
        return f"; it was pulled in part: run `{self._pull()}`"

    def _pull(self) -> str:
        """What brings the rest."""
        return self.pulled.command(self.corpus, self.name) if self.pulled else ""

    def made_from(self, name: str) -> str:
        """Hex digest of what an utterance's newest features were made from (decoded audio, or text)."""
        place = self._index.newest.get(name)
        if place is None:
            raise CacheError(f"{self.corpus}/{self.name}: no utterance {name!r}")
        return self._index.digest_of(place)

    def check(self, utterances: Iterable[Utterance]) -> None:
        """CacheError when features were made from another text or audio than these utterances now have.

        Audio is compared where its digest is known (after a scan), text always; of imported features nobody knows.
        """
        if self.card.digests == IMPORTED:
            return
        text = self.card.digests == "text"
        known = set(self.planned_ids)
        now = {u.id: text_digest(u) if text else u.audio_sha256 for u in utterances if u.id in known}
        stale = [name for name, digest in now.items() if digest not in {None, self.made_from(name)}]
        if stale:
            raise CacheError(
                f"{self.corpus}/{self.name}: features of {len(stale)} utterances (first {stale[0]!r}) were made from other "
                f"{self.card.digests} than the corpus now has; {self.card.again(self.name, self._arrays)}"
            )

    def read(self, name: str, level: str | None = None, layers: Sequence[int] | None = None) -> NDArray[Any]:
        """One utterance: [layers, rows, dim] in the stored dtype (by default the encoder's own level, all layers)."""
        return self.read_many([name], level, layers).values

    def read_many(self, ids: Sequence[str], level: str | None = None, layers: Sequence[int] | None = None) -> Packed:
        """Several utterances, one after the other in the order of `ids`, such as a batch.

        Raises CacheError that names the first id, level or layer that is not there.
        """
        cut = self._level(level or self.native)
        chosen = self._chosen(cut, layers)
        table, newest = self._table(cut.name), self._newest(ids)
        places = [self._located((cut.name, layer), ids, newest) for layer in chosen]
        for at in places[1:]:
            if at is not places[0] and (other := table.length[at] != table.length[places[0]]).any():
                name = ids[int(np.argmax(other))]
                raise CacheError(
                    f"{self.corpus}/{self.name}: the layers of {name} have different numbers of rows; {self.again(self._arrays)}"
                )
        lengths = table.length[places[0]].tolist() if places else [0] * len(newest)
        edges = list(accumulate(lengths, initial=0))
        parts = [self._sources(cut, layer, at) for layer, at in zip(chosen, places, strict=True)]
        dtype = max((self._dtype(source) for part in parts for source, _ in part), key=lambda one: one.itemsize, default=np.dtype("<f4"))
        values = np.empty((len(chosen), edges[-1], cut.dim), dtype)
        direct: list[Request] = []
        lain: Places | None = None
        for target, at, part in zip(values, places, parts, strict=True):
            if at is not lain:  # layers lie alike, but where some hold older rows
                lain, start = at, table.start[at].tolist()
                found = stretches(start, edges, cut.shard_rows)
            for source, which in part:
                if which is None and self._dtype(source) == dtype:
                    direct.append(Request(source, found, target))
                else:
                    self._read_apart(source, start, edges, target, range(len(start)) if which is None else which.tolist())
        self._reader.read(direct)
        return Packed(values, np.array(edges, np.int64))

    def _chosen(self, cut: Level, layers: Sequence[int] | None) -> tuple[int, ...]:
        """The layers asked for, by default all that there are; CacheError for another."""
        there = self._layers_of[cut.name]
        chosen = there if layers is None else tuple(layers)
        if unknown := [layer for layer in chosen if layer not in there]:
            more = self._elsewhere([(cut.name, unknown[0])])
            raise CacheError(f"{self.corpus}/{self.name}: no layer {unknown[0]} in level {cut.name}; there are: {_numbers(there)}{more}")
        return chosen

    def load(self, level: str | None = None, layers: Sequence[int] | None = None, ids: Sequence[str] | None = None) -> Packed:
        """Many utterances in one array; by default all of `ids`, all layers, the encoder's own level. Otherwise as `read_many`."""
        return self.read_many(self.ids if ids is None else ids, level, layers)

    def batches(
        self, batches: Iterable[Sequence[str]], level: str | None = None, layers: Sequence[int] | None = None, *, ahead: int = 2
    ) -> Iterator[Packed]:
        """`read_many` of one batch of ids after the other, with `ahead` of them being read while the caller works on one."""
        waiting: deque[Future[Packed]] = deque()
        with ThreadPoolExecutor(1) as pool:
            for batch in batches:
                waiting.append(pool.submit(self.read_many, batch, level, layers))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def outline(self, level: str, layer: int, ids: Sequence[str]) -> tuple[NDArray[np.int64], Any]:
        """What `load` would give of one layer, without reading it: offsets [ids + 1], and the dtype that holds every row as stored."""
        cut, table = self._level(level), self._index.table(level)
        places = self._located((level, layer), ids, self._newest(ids))
        stored = (self._dtype(source) for source, _ in self._sources(cut, layer, places))
        dtype = max(stored, key=lambda one: one.itemsize, default=np.dtype("<f4"))
        return np.concatenate([[0], np.cumsum(table.length[places], dtype=np.int64)]), dtype

    def columns(self, name: str, level: str) -> dict[str, Column]:
        """What each row of an utterance stands for, column -> [rows].

        Level `tokens` has `word` (which white-space word of the text, -1 for special tokens), `begin` and `end` (characters).
        Levels of segments have `label` (bytes, UTF-8), `kind` (of emocache.alignment.KINDS), `begin` and `end` (samples at
        16 kHz), and `nearest` (1 where no frame's centre lies in the segment).
        """
        newest = self._newest([name])
        with self._pinned:
            found = self._index.columns(level, self._any_rows(level, [name], newest)[0])
            return {column: np.array(values) for column, values in found.items()}

    def columns_of(self, ids: Sequence[str], level: str) -> dict[str, Column]:
        """The same of several utterances, one after the other as `read_many` gives their rows."""
        places = self._any_rows(level, ids, self._newest(ids))
        with self._pinned:
            found = [self._index.columns(level, place) for place in places]
        return {name: np.concatenate([one[name] for one in found]) for name in (found[0] if found else ())}

    def find_level(self, name: str) -> str:
        """The level of that name, or the only one of segments of that kind ('word' for 'word@wdseg'); else the choices are listed."""
        if name in self.levels:
            return name
        kind = [level for level in self.levels if kind_of(level) == name]
        if len(kind) == 1:
            return kind[0]
        there = f"choose one of: {', '.join(kind)}" if kind else f"there are: {', '.join(self.levels) or 'none yet'}"
        raise CacheError(f"{self.corpus}/{self.name}: {'several levels' if kind else 'no level'} {name!r}; {there}")

    def aligned_as(self, level: str) -> dict[str, str]:
        """Of a level of segments: utterance -> digest (hex) of the segments that its newest rows were planned to be made from."""
        digests = self._index.made_from(level)
        return {name: bytes(digests[place]).hex() for name, place in self._index.newest.items()}

    def _any_rows(self, level: str, ids: Sequence[str], newest: Places) -> list[int]:
        """The places that hold the rows of utterances in a level, by the first layer that has them all, or else the first one."""
        layers = self.layers_of(level)
        whole = (layer for layer in layers if (self._index.located((level, layer), newest) >= 0).all())
        places: list[int] = self._located((level, next(whole, layers[0])), ids, newest).tolist()
        return places

    def _table(self, level: str) -> Table:
        """Where the rows of every place lie in a level."""
        if level not in self._tables:
            with self._pinned:
                self._tables[level] = self._index.table(level)
        return self._tables[level]

    @cached_property
    def _tables(self) -> dict[str, Table]:
        return {}

    def _level(self, name: str) -> Level:
        """The cut of a level that has anything committed."""
        if (cut := self._cuts.get(name)) is None:
            more = self._elsewhere([(name, layer) for layer in self.pulled.arrays.get(name, ())] if self.pulled else [])
            raise CacheError(f"{self.corpus}/{self.name}: no level {name!r}; there are: {', '.join(self.levels) or 'none yet'}{more}")
        return cut

    @cached_property
    def _cuts(self) -> dict[str, Level]:
        return {name: self.card.cut(name) for name in self.levels}

    def _newest(self, ids: Sequence[str]) -> Places:
        """The newest places of utterances."""
        newest = self._index.newest
        try:
            return np.array([newest[name] for name in ids], np.int64)
        except KeyError as error:
            raise CacheError(f"{self.corpus}/{self.name}: no utterance {error.args[0]!r} among its {self.planned}") from None

    def _located(self, array: Array, ids: Sequence[str], newest: Places) -> Places:
        """Where the rows of utterances are in an array, or CacheError that says why the first one's are not there."""
        places = self._index.located(array, newest)
        if places is not newest and places.min() < 0:
            raise self._lacks(array, ids[int(np.argmin(places))])
        return places

    def _lacks(self, array: Array, name: str) -> CacheError:
        """Why the rows of an utterance are not there."""
        where = f"{self.corpus}/{self.name}"
        if reason := self.failures.get(name):
            return CacheError(f"{where}: {name} could not be encoded: {reason}")
        return CacheError(f"{where}: {name} has no {array[0]}/{array[1]} yet; {self.again(self._arrays)}")

    def _dtype(self, source: Source) -> np.dtype[Any]:
        """What a Zarr array is stored as."""
        dtype: np.dtype[Any] = stored_dtype(source.name, self.card.key.dtype)
        return dtype

    def _sources(self, cut: Level, layer: int, places: Places) -> list[tuple[Source, NDArray[np.intp] | None]]:
        """The Zarr arrays that hold rows of a layer, and which of the utterances each holds (None: all)."""
        names = self._array_names[cut.name, layer]
        if len(names) == 1:
            return [(self._source(cut, names[0]), None)]
        stored = self._index.commits.stored[cut.name, layer]
        wide = np.array([stored[unit].endswith(WIDE_SUFFIX) for unit in self._index.unit_of[places].tolist()], bool)
        found = [(array_name(layer, wide=kind), np.flatnonzero(wide == kind)) for kind in (False, True)]
        return [(self._source(cut, name), which if len(which) < len(wide) else None) for name, which in found if len(which)]

    @cached_property
    def _array_names(self) -> dict[Array, list[str]]:
        """The Zarr arrays that hold rows of each layer: one, or two where some units did not fit float16."""
        return {array: sorted(set(units.values())) for array, units in self._index.commits.stored.items()}

    def _source(self, cut: Level, name: str) -> Source:
        """One Zarr array."""
        if (source := self._sources_made.get((cut.name, name))) is None:
            source = self._sources_made[cut.name, name] = Source(cut, name, self._index.commits.sha256.get((cut.name, name), {}))
        return source

    @cached_property
    def _sources_made(self) -> dict[tuple[str, str], Source]:
        return {}

    def _read_apart(self, source: Source, start: list[int], edges: list[int], target: NDArray[Any], which: Sequence[int]) -> None:
        """Read the utterances `which` of one array by themselves and copy them to where they belong, in the target's type."""
        inner = list(accumulate((edges[i + 1] - edges[i] for i in which), initial=0))
        rows = np.empty((inner[-1], source.level.dim), self._dtype(source))
        self._reader.read([Request(source, stretches([start[i] for i in which], inner, source.level.shard_rows), rows)])
        for i, (first, last) in zip(which, pairwise(inner), strict=True):
            target[edges[i] : edges[i + 1]] = rows[first:last]


def text_digest(utterance: Utterance) -> str:
    """SHA-256 of a transcript's exact text (a missing one counts as empty)."""
    return hashlib.sha256((utterance.transcript or "").encode()).hexdigest()


def _numbers(layers: Sequence[int]) -> str:
    """Layer numbers for people."""
    return ", ".join(map(str, layers)) or "none"
