"""What of a feature set has to come: whole units where (nearly) all of their utterances are wanted, else rows.

unit 4:  a a a b b c d d d d     wanted a, b, c, d: the shards as they are, one request each
unit 5:  e e f f f g g g h h     wanted f: the rows of f out of the middle of a shard
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from emocache.share.shards import Outline, Shard
from emocache.store import Features
from emocache.store.index import Array, Index

NEARLY = 1 / 1.05
"""From so much of a unit's rows on, it comes whole: with a twentieth more than was asked for at most."""
GAPS = 0.04
"""Most bytes between wanted rows that come along to save requests, as a part of what is wanted."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Of each array the units that come whole, and the places whose rows come by themselves."""

    whole: Mapping[Array, Sequence[int]]
    rows: Mapping[Array, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of a shard that are asked for at once: `parts` of them (begin, end, place in the file of rows) are wanted."""

    sha256: str
    begin: int
    end: int
    parts: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Here:
    """A feature set that is in the cache already. `alike`: its plan is the same as the remote's as far as both go."""

    features: Features
    index: Index
    alike: bool

    def holds(self, index: Index, array: Array) -> set[str]:
        """The utterances whose rows in an array are here, made from the same input as the remote's."""
        mine = self.index.newest
        same = {name for name, place in index.newest.items() if name in mine and self._same(index, array[0], name, place)}
        if array not in self.index.commits.stored:
            return set()
        return same & set(self.features.held(array[0], [array[1]]))

    def _same(self, index: Index, level: str, name: str, place: int) -> bool:
        at = self.index.newest[name]
        if bytes(index.digests[place]) != bytes(self.index.digests[at]):
            return False
        return "@" not in level or bytes(index.made_from(level)[place]) == bytes(self.index.made_from(level)[at])


def choose(outlines: Mapping[Array, Outline], index: Index, here: Here | None, ids: set[str] | None) -> Choice:
    """What has to come of some arrays (all of `outlines`) for some utterances (None: all), less what is here."""
    names = [name for name in index.newest if ids is None or name in ids]
    newest = np.array([index.newest[name] for name in names], np.int64)
    whole: dict[Array, list[int]] = {}
    rows: dict[Array, list[int]] = {}
    for array, outline in outlines.items():
        held = here.holds(index, array) if here else set()
        located = index.located(array, newest).tolist() if names else []
        places = [at for name, at in zip(names, located, strict=True) if at >= 0 and name not in held]
        mine = here.index.commits.stored.get(array, {}) if here else {}
        by_unit: dict[int, list[int]] = {}
        for at in places:
            by_unit.setdefault(int(index.unit_of[at]), []).append(at)
        for unit, wanted in sorted(by_unit.items()):
            lengths = outline.table.length
            members = np.asarray(outline.places(unit))
            total = int(lengths[members][index.held(array)[members]].sum(dtype=np.int64))  # less those that failed: they have zeros there
            comes_whole = (here is None or here.alike) and unit not in mine
            if comes_whole and int(lengths[np.array(wanted)].sum(dtype=np.int64)) >= NEARLY * total:
                whole.setdefault(array, []).append(unit)
            else:
                rows.setdefault(array, []).extend(sorted(wanted))
    return Choice(whole, rows)


def row_bytes(outline: Outline, index: Index, places: Sequence[int]) -> list[int]:
    """Where the rows of each place begin in the file that they are gathered in, and its size as last entry."""
    sizes = [int(outline.table.length[place]) * outline.row(int(index.unit_of[place])) for place in places]
    return [0, *np.cumsum(sizes, dtype=np.int64).tolist()]


def stretches(outline: Outline, index: Index, places: Sequence[int], lacking: set[int]) -> list[Stretch]:
    """The requests for rows of the places that are `lacking`, out of all that are gathered in one file."""
    edges = row_bytes(outline, index, places)
    shards: dict[tuple[int, int], Shard] = {}
    pieces: list[tuple[str, int, int, int]] = []
    for place, edge in zip(places, edges[:-1], strict=True):
        if place not in lacking:
            continue
        unit, at = int(index.unit_of[place]), edge
        if (unit, -1) not in shards:
            shards |= {(unit, one.number): one for one in outline.shards(unit)} | {(unit, -1): outline.shards(unit)[0]}
        for number, begin, end in outline.pieces(place):
            pieces.append((shards[unit, number].sha256, begin, end, at))
            at += end - begin
    return _joined(sorted(pieces))


def _joined(pieces: Sequence[tuple[str, int, int, int]]) -> list[Stretch]:
    """Pieces of one shard with little between them, as one request: the smallest gaps first, as long as they add up to little."""
    gaps = [(after[1] - before[2], i + 1) for i, (before, after) in enumerate(pairwise(pieces)) if before[0] == after[0]]
    left = GAPS * sum(end - begin for _, begin, end, _ in pieces)
    closed: set[int] = set()
    for gap, i in sorted(gaps):
        left -= gap
        if left < 0:
            break
        closed.add(i)
    found: list[list[tuple[str, int, int, int]]] = []
    for i, piece in enumerate(pieces):
        if i in closed:
            found[-1].append(piece)
        else:
            found.append([piece])
    return [Stretch(run[0][0], run[0][1], run[-1][2], tuple((begin, end, at) for _, begin, end, at in run)) for run in found]
