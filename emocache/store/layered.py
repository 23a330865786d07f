"""A feature set of which parts lie in several caches, such as a lab's and one's own, and what is still to be made of it.

The last cache that plans an utterance says what it is made from. Rows of that input count wherever they lie, the last cache's
first; rows of another input, and of segments from another alignment, count nowhere.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import CacheError, KeyMismatch
from emocache.store.card import Card, differing, grown
from emocache.store.index import Array
from emocache.store.layout import SOURCE
from emocache.store.plan import Column, Item
from emocache.store.pulled import Pulled
from emocache.store.reader import Features, Packed

_NONE = "0" * 64
"""The digest of an alignment that a row was not made from."""


class LayeredFeatures(Features):
    """`parts` as one feature set. CacheError when they were not made in the same way."""

    def __init__(self, parts: Sequence[Features]) -> None:
        self.parts = tuple(parts)
        last = self.parts[-1]
        self.corpus, self.name, self.paths = last.corpus, last.name, last.paths
        for part in self.parts[:-1]:
            check_same(part, last.card)
        self.card: Card = reduce(lambda card, part: grown(card, part.card), self.parts[-2::-1], last.card)

    def __reduce__(self) -> tuple[Any, ...]:
        return LayeredFeatures, (self.parts,)

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders that it lies in."""
        return tuple(place for part in self.parts for place in part.places)

    @cached_property
    def pulled(self) -> Pulled | None:
        """Where the last part that was pulled came from, and what there is."""
        return next((part.pulled for part in reversed(self.parts) if part.pulled), None)

    @property
    def _arrays(self) -> list[Array]:
        return [(level, layer) for level, layers in self._layers_of.items() for layer in layers]

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """Levels with anything committed."""
        return tuple(sorted({level for part in self.parts for level in part.levels}))

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """Layers with anything committed, in any level."""
        return tuple(sorted({layer for part in self.parts for layer in part.layers}))

    @cached_property
    def _layers_of(self) -> dict[str, tuple[int, ...]]:
        there = [(level, layer) for part in self.parts for level in part.levels for layer in part.layers_of(level)]
        return {level: tuple(sorted({layer for name, layer in there if name == level})) for level in self.levels}

    @property
    def planned_ids(self) -> list[str]:
        """Utterances that it will hold when its extraction is finished."""
        return list(self._digests)

    @cached_property
    def planned(self) -> int:
        """How many these are."""
        return len(self._digests)

    @cached_property
    def _digests(self) -> dict[str, str]:
        """Utterance -> what it is made from."""
        return {name: part.made_from(name) for part in self.parts for name in part.planned_ids}

    @cached_property
    def failures(self) -> Mapping[str, str]:
        """Id -> reason, for utterances that could not be encoded and have no rows."""
        held = set(self.ids)
        return {name: reason for part in self.parts for name, reason in part.failures.items() if name not in held}

    @cached_property
    def digest(self) -> str:
        """Changes when anything that a reader could see changes."""
        return hashlib.sha256("".join(part.digest for part in self.parts).encode()).hexdigest()

    def made_from(self, name: str) -> str:
        """Hex digest of what an utterance's newest features were made from (decoded audio, or text)."""
        if name not in self._digests:
            raise CacheError(f"{self.corpus}/{self.name}: no utterance {name!r}")
        return self._digests[name]

    def aligned_as(self, level: str) -> dict[str, str]:
        """Of a level of segments: utterance -> digest (hex) of the segments that its newest rows were planned to be made from."""
        if level not in self._aligned:
            found: dict[str, str] = {}
            for part in self.parts:
                found |= {name: digest for name, digest in part.aligned_as(level).items() if digest != _NONE or name not in found}
            self._aligned[level] = found
        return self._aligned[level]

    @cached_property
    def _aligned(self) -> dict[str, dict[str, str]]:
        return {}

    def _held(self, arrays: Sequence[Array]) -> list[str]:
        holders = [self._holders(array) for array in arrays]
        return [name for name in self._digests if all(name in held for held in holders)] if holders else []

    def _holders(self, array: Array) -> dict[str, int]:
        """Of each utterance with rows in an array, which part holds them."""
        if array not in self._holders_of:
            found: dict[str, int] = {}
            for i, part in enumerate(self.parts):
                if _has(part, array):
                    counts = self._counting(i, array[0])
                    found |= {name: i for name in part.held(array[0], [array[1]]) if name in counts}
            self._holders_of[array] = found
        return self._holders_of[array]

    @cached_property
    def _holders_of(self) -> dict[Array, dict[str, int]]:
        return {}

    def _counting(self, part: int, level: str) -> set[str]:
        """The utterances whose rows in a level of a part are made from what decides."""
        key = (part, level if SOURCE in level else "")
        if key not in self._counting_in:
            names, decides = self.parts[part].planned_ids, self._digests
            same = {name for name in names if self.parts[part].made_from(name) == decides[name]}
            if SOURCE in level:
                theirs, aligned = self.parts[part].aligned_as(level), self.aligned_as(level)
                same = {name for name in same if theirs[name] == aligned[name]}
            self._counting_in[key] = same
        return self._counting_in[key]

    @cached_property
    def _counting_in(self) -> dict[tuple[int, str], set[str]]:
        return {}

    def _where(self, array: Array, ids: Sequence[str]) -> NDArray[np.int64]:
        """The part that holds each utterance's rows in an array; CacheError that says why the first one's are not there."""
        holders = self._holders(array)
        for name in ids:
            if name not in holders:
                if name not in self._digests:
                    raise CacheError(f"{self.corpus}/{self.name}: no utterance {name!r} among its {self.planned}")
                raise self._lacks(array, name)
        return np.fromiter((holders[name] for name in ids), np.int64, len(ids))

    def read_many(self, ids: Sequence[str], level: str | None = None, layers: Sequence[int] | None = None) -> Packed:
        """Several utterances, one after the other in the order of `ids`; see `Features.read_many`."""
        cut = self._level(level or self.native)
        chosen = self._chosen(cut, layers)
        where = [self._where((cut.name, layer), ids) for layer in chosen]
        if len(parts := {int(part) for one in where for part in one}) == 1:
            return self.parts[parts.pop()].read_many(ids, cut.name, chosen)
        outlines = [self.outline(cut.name, layer, ids) for layer in chosen]
        offsets = outlines[0][0] if outlines else np.zeros(len(ids) + 1, np.int64)
        dtype = max((dtype for _, dtype in outlines), key=lambda one: one.itemsize, default=np.dtype("<f4"))
        values = np.empty((len(chosen), int(offsets[-1]), cut.dim), dtype)
        for target, layer, at in zip(values, chosen, where, strict=True):
            for part, mine in _by_part(at):
                packed = self.parts[part].read_many([ids[i] for i in mine], cut.name, [layer])
                for j, i in enumerate(mine):
                    target[offsets[i] : offsets[i + 1]] = packed.values[0, packed.offsets[j] : packed.offsets[j + 1]]
        return Packed(values, offsets)

    def outline(self, level: str, layer: int, ids: Sequence[str]) -> tuple[NDArray[np.int64], Any]:
        """What `load` would give of one layer, without reading it: offsets [ids + 1], and the dtype that holds every row as stored."""
        lengths, dtype = np.zeros(len(ids), np.int64), np.dtype("<f2")
        for part, mine in _by_part(self._where((level, layer), ids)):
            offsets, stored = self.parts[part].outline(level, layer, [ids[i] for i in mine])
            lengths[mine] = np.diff(offsets)
            dtype = max(dtype, stored, key=lambda one: one.itemsize)
        return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]), dtype

    def columns(self, name: str, level: str) -> dict[str, Column]:
        """What each row of an utterance stands for; see `Features.columns`."""
        return self.columns_of([name], level)

    def columns_of(self, ids: Sequence[str], level: str) -> dict[str, Column]:
        """The same of several utterances, one after the other as `read_many` gives their rows."""
        layers = self.layers_of(level)
        whole = (layer for layer in layers if all(name in self._holders((level, layer)) for name in ids))
        at = self._where((level, next(whole, layers[0])), ids)
        if len(parts := _by_part(at)) == 1:
            return self.parts[parts[0][0]].columns_of(ids, level)
        found = [self.parts[int(part)].columns_of([name], level) for part, name in zip(at, ids, strict=True)]
        shared = set.intersection(*(set(one) for one in found)) if found else set()
        return {name: np.concatenate([one[name] for one in found]) for name in (found[0] if found else ()) if name in shared}


def _has(part: Features, array: Array) -> bool:
    """Whether a part has anything of an array."""
    return array[0] in part.levels and array[1] in part.layers_of(array[0])


def _by_part(at: NDArray[np.int64]) -> list[tuple[int, list[int]]]:
    """Each part, and the utterances (by their position) that it holds."""
    return [(int(part), np.flatnonzero(at == part).tolist()) for part in np.unique(at)]


def check_same(there: Features, card: Card) -> None:
    """KeyMismatch that names each differing field, unless features were made as `card` says."""
    if found := differing(there.card, card):
        where = " and ".join(map(str, there.places))
        raise KeyMismatch(
            f"{there.corpus}/{there.name} in {where} was made with other {'; '.join(found)}. Give what you make another --name, or "
            "read one of the caches alone with --cache"
        )


Part = tuple[list[Item], dict[str, list[int]]]
"""Utterances, and the levels and layers that they lack."""


def still_to_make(items: Sequence[Item], wanted: Mapping[str, Sequence[int]], own: Features | None, below: Features | None) -> list[Part]:
    """What is to be made in one's own cache, where others `below` it hold the rest: arrays that lack the same utterances together.

    Those that lack the fewest come first, so that what is written later finds their places. What `own` holds is not left out: its
    writer does that.
    """
    if below is None:
        return [(list(items), {level: list(layers) for level, layers in wanted.items()})]
    lacking: dict[tuple[str, ...], dict[str, list[int]]] = {}
    for level, layers in wanted.items():
        counts = set(_that_count(items, level, own, below))
        for layer in layers:
            held = counts.intersection(below.held(level, [layer])) if _has(below, (level, layer)) else set()
            names = tuple(item.id for item in items if item.id not in held)
            lacking.setdefault(names, {}).setdefault(level, []).append(layer)
    by_id = {item.id: item for item in items}
    found = sorted(((names, arrays) for names, arrays in lacking.items() if names), key=lambda one: len(one[0]))
    return [([by_id[name] for name in names], arrays) for names, arrays in found]


def _that_count(items: Sequence[Item], level: str, own: Features | None, below: Features) -> Iterable[str]:
    """The utterances whose rows in a level count if others hold them: made from the same, and one's own cache says nothing else."""
    planned, there = set(own.planned_ids) if own else set(), set(below.planned_ids)
    aligned = below.aligned_as(level) if SOURCE in level else {}
    ours = own.aligned_as(level) if own and SOURCE in level else {}
    for item in items:
        made_from = item.made_from.get(level, _NONE)
        same = item.id in there and below.made_from(item.id) == item.digest and aligned.get(item.id, _NONE) == made_from
        said = own is None or item.id not in planned or own.made_from(item.id) == item.digest
        if same and said and ours.get(item.id, _NONE) in {_NONE, made_from}:
            yield item.id
