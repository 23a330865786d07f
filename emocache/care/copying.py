"""Copying what can be read of a feature set into another: same utterances, rows, columns, failures, and no dead rows."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emocache.care.usage import utterance_bytes
from emocache.store.card import planned_levels
from emocache.store.index import SUPERSEDED, Array, Index, Places
from emocache.store.layout import FORMAT, WIDE_SUFFIX, kind_of
from emocache.store.plan import Item
from emocache.store.reader import Features
from emocache.store.unit import UnitWriter
from emocache.store.writer import FeatureWriter, Work


@dataclass(frozen=True, slots=True)
class State:
    """Which utterances have no rows in an array: `absent` were not made yet, `failed` could not be (id -> reason)."""

    absent: frozenset[str]
    failed: Mapping[str, str]


def states(index: Index) -> dict[Array, State]:
    """The state of every array that holds, or failed to give, anything of the utterances that were not removed."""
    found: dict[Array, State] = {}
    for array in sorted(index.commits.stored):
        located = index.located(array, index.places).tolist()
        lacking = {name for name, place in zip(index.newest, located, strict=True) if place < 0}
        failed = {
            name: reason
            for (unit, name), reason in index.commits.failed.get(array, {}).items()
            if name in lacking and reason != SUPERSEDED and index.unit_of[index.newest[name]] == unit
        }
        if len(absent := frozenset(lacking - failed.keys())) < len(index.newest):
            found[array] = State(absent, failed)
    return found


def copy(features: Features, index: Index, name: str) -> None:
    """Write a feature set called `name` beside this one, of the newest format. Every unit of it comes from one unit of the old.

    Utterances of one old unit that lack other arrays than its others get a unit of their own, since units are committed whole.
    """
    card = replace(features.card, key=replace(features.card.key, format=FORMAT))
    corpus = features.paths.root.parent
    alike = _alike(states(index))
    items = _items(features, index, [state for state, _ in alike])
    total = utterance_bytes(index, features.card, list(index.newest))
    bar = tqdm(total=total, desc=f"rewrite {features.corpus}/{features.name}", unit="B", unit_scale=True, delay=1, leave=False)
    with bar, FeatureWriter(corpus.parent, corpus.name, name, card) as writer:
        writer.plan(items, {})
        for state, arrays in alike:
            wanted: dict[str, list[int]] = {}
            for level, layer in arrays:
                wanted.setdefault(level, []).append(layer)
            work = [one for one in writer.plan(items, wanted) if one.ids[0] not in state.absent]
            with closing(writer.units(work)) as units:
                for one, unit in units:
                    _copy_unit(features, index, state, one, unit, bar)


def _alike(known: Mapping[Array, State]) -> list[tuple[State, list[Array]]]:
    """Arrays by their state: those of one can be committed together."""
    found: list[tuple[State, list[Array]]] = []
    for array, state in known.items():
        arrays = next((arrays for other, arrays in found if other == state), None)
        if arrays is None:
            found.append((state, [array]))
        else:
            arrays.append(array)
    return found


def _items(features: Features, index: Index, known: Sequence[State]) -> list[Item]:
    """The utterances as they were planned; a group is what lay in one unit and was made in the same arrays."""
    places = {level: _places(index, level) for level in planned_levels(features.paths, features.card)}
    lengths = {level: index.table(level).length[at].tolist() for level, at in places.items()}
    digests = {level: index.made_from(level) for level in places if kind_of(level) != level}
    items: list[Item] = []
    for i, (name, place) in enumerate(index.newest.items()):
        group = f"{index.unit_of[place]:012d}" + "".join("01"[name in state.absent] for state in known)
        rows = {features.card.native: 0} | {level: length[i] for level, length in lengths.items()}
        stands_for = {level: index.columns(level, int(at[i])) for level, at in places.items()}
        made_from = {level: bytes(values[places[level][i]]).hex() for level, values in digests.items()}
        items.append(Item(name, index.digest_of(place), group, rows, stands_for, made_from=made_from))
    return items


def _places(index: Index, level: str) -> Places:
    """Of every utterance the place that holds its rows in a level; the newest one where none does."""
    at = index.places
    for array in index.commits.stored:
        if array[0] == level:
            located = index.located(array, index.places)
            at = np.where(located >= 0, located, at)
    return at


def _copy_unit(features: Features, index: Index, state: State, work: Work, unit: UnitWriter, bar: "tqdm[None]") -> None:
    """Put the rows of one unit, in the type that they are stored in."""
    places = np.array([index.newest[name] for name in work.ids], np.int64)
    by_level: dict[str, list[int]] = {}
    for level, layer in work.arrays:
        by_level.setdefault(level, []).append(layer)
        located = index.located((level, layer), places)
        stored = index.commits.stored[level, layer]
        if any(stored[held].endswith(WIDE_SUFFIX) for held in np.unique(index.unit_of[located[located >= 0]]).tolist()):
            unit.widen((level, layer))
    for name in work.ids:
        if reason := state.failed.get(name):
            unit.fail(name, reason)
            continue
        rows: dict[Array, NDArray[np.float32]] = {}
        for level, layers in by_level.items():
            values = features.read(name, level, layers)
            rows |= {(level, layer): one.astype(np.float32) for layer, one in zip(layers, values, strict=True)}
            bar.update(values.nbytes)
        unit.put(name, rows)
    unit.commit()
