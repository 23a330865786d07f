"""Rows that came by themselves, taken into the cache as a generation of their own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emocache.share.arrival import Arrival
from emocache.share.fetch import Rows
from emocache.store.claims import claim
from emocache.store.index import Array, read_index
from emocache.store.layout import WIDE_SUFFIX, Paths
from emocache.store.plan import Item, write_generation
from emocache.store.writer import FeatureWriter


def add_rows(root: Path, paths: Paths, arrival: Arrival) -> None:
    """Utterances of which rows came, as a generation of their own: a unit is of one group, and has the same arrays for all."""
    arrays: dict[str, list[Array]] = {}
    for rows in arrival.rows:
        for at in rows.places:
            arrays.setdefault(arrival.index.names[at], []).append(rows.outline.array)
    items = [_item(arrival, name, mine) for name, mine in arrays.items()]
    wanted: dict[str, list[int]] = {}
    for level, layer in sorted({array for mine in arrays.values() for array in mine}):
        wanted.setdefault(level, []).append(layer)
    gathered = {rows.outline.array: _Gathered(rows) for rows in arrival.rows}
    card = arrival.features.card
    with FeatureWriter(root, paths.root.parent.name, paths.root.name, card) as writer:
        with claim(paths.claims, "plan"):
            write_generation(paths, len(read_index(paths).generations), items, card.native, card.unit_rows)
        work = [replace(one, arrays=tuple(a for a in one.arrays if a in arrays[one.ids[0]])) for one in writer.plan(items, wanted)]
        for one, unit in writer.units([one for one in work if one.arrays]):
            for array in one.arrays:
                if any(gathered[array].wide(name) for name in one.ids):
                    unit.widen(array)
            for name in one.ids:
                unit.put(name, {array: gathered[array].read(name) for array in one.arrays})
            unit.commit()


def _item(arrival: Arrival, name: str, arrays: Sequence[Array]) -> Item:
    """An utterance as the store sees it, with the rows that it has in every level that came."""
    index, card = arrival.index, arrival.features.card
    place_ = index.newest[name]
    rows = {card.native: 0}
    columns, made_from = {}, {}
    for level in {rows_.outline.array[0] for rows_ in arrival.rows}:
        array = next((one for one in arrays if one[0] == level), None)
        at = int(index.located(array, np.array([place_]))[0]) if array else place_
        rows[level] = int(index.table(level).length[at])
        columns[level] = index.columns(level, at)
        if "@" in level:
            made_from[level] = bytes(index.made_from(level)[at]).hex()
    key = "+".join(f"{level}/{layer}" for level, layer in sorted(arrays))
    return Item(name, index.digest_of(place_), f"{arrival.groups.get(name, '')} {key}", rows, columns, made_from=made_from)


class _Gathered:
    """Rows in their file, by utterance."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        edges = rows.edges
        self._data = np.memmap(rows.path, np.uint8, "r") if edges[-1] else np.zeros(0, np.uint8)
        self._at = {rows.index.names[at]: (at, a, b) for at, a, b in zip(rows.places, edges[:-1], edges[1:], strict=True)}

    def wide(self, name: str) -> bool:
        """Whether the utterance's rows are of a unit that did not fit float16."""
        return self._stored(self._at[name][0]).endswith(WIDE_SUFFIX)

    def read(self, name: str) -> NDArray[np.floating]:
        """[rows, dim], as stored."""
        at, begin, end = self._at[name]
        outline = self._rows.outline
        values: NDArray[np.floating] = self._data[begin:end].view(outline.dtype(self._unit(at))).reshape(-1, outline.cut.dim)
        return values

    def _unit(self, at: int) -> int:
        return int(self._rows.index.unit_of[at])

    def _stored(self, at: int) -> str:
        return self._rows.outline.units[self._unit(at)]
