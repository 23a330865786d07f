"""Levels from rows that are in the cache already: no encoder, no audio, and the numbers that extraction gives."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from emocache import manifest
from emocache.encoding import by_array, to_host
from emocache.errors import CacheError, UsageError
from emocache.levels import Columns, Level, pooled
from emocache.pipeline import item_of
from emocache.segments import choose
from emocache.store import Cache, Features, parse_layers
from emocache.store.layered import still_to_make
from emocache.store.unit import UnitWriter
from emocache.store.writer import FeatureWriter, Work
from emocache.types import Utterance

BATCH = 32
"""Utterances that are read at a time."""


class CachedRows:
    """The native rows of a feature set, as what other levels are pooled from; see `levels.Native`."""

    def __init__(self, features: Features, layer: int, ids: Sequence[str]) -> None:
        card = features.card
        self.modality, self.native, self.dim = card.modality, card.native, features.dim(card.native)
        self.hop, self.centre = card.hop, card.centre
        self.sentence_rule = card.levels.get("sentence", "")
        self._features = features
        offsets, _ = features.outline(card.native, layer, ids)
        self._rows: dict[str, int] = dict(zip(ids, (offsets[1:] - offsets[:-1]).tolist(), strict=True))

    def size(self, utterance: Utterance) -> int:
        """Its rows."""
        return self.rows(utterance)

    def rows(self, utterance: Utterance) -> int:
        """As they are stored."""
        return self._rows[utterance.id]

    def columns(self, utterance: Utterance) -> Columns:
        """Likewise."""
        return self._features.columns(utterance.id, self.native)


@dataclass(frozen=True, slots=True)
class Pooled:
    """What `pool` did: utterances pooled now, the levels, those without native rows, and the features as they are now."""

    utterances: int
    levels: tuple[str, ...]
    lacking: tuple[str, ...]
    features: Features


def pool(features: Features, data: Path, *, levels: Sequence[str], layers: str = "all", cache: Cache | None = None) -> Pooled:
    """Add levels to a feature set that holds its encoder's own rows; `layers` 'all' is all that are cached.

    What is made is written to `cache`, by default to where the features lie.

    Alignments, and what utterances there are, come from the prepared corpus in `data`. CacheError when the rows were made from
    other audio or text, UsageError for levels that cannot be.
    """
    if features.native not in features.levels:
        raise CacheError(f"{_name(features)}: holds no {features.native} to pool from; {features.card.again(features.name)}")
    cached = features.layers_of(features.native)
    chosen = cached if layers == "all" else parse_layers(layers, cached)
    held = set(features.held(features.native, chosen))
    corpus = manifest.load(data, features.corpus)
    utterances = [u for u in corpus.utterances if u.id in held]
    _check(features, utterances)
    rows = CachedRows(features, chosen[0], [u.id for u in utterances])
    rules = choose(rows, levels, data, features.corpus)
    if features.native in rules:
        raise UsageError(f"--levels {features.native}: these are the encoder's own rows; give levels that are pooled from them")
    cache = cache or Cache(features.paths.root.parents[1])
    below = cache.beneath(features.corpus, features.name)
    items, wanted = [item_of(u, rows, rules) for u in utterances], dict.fromkeys(rules, chosen)
    made: set[str] = set()
    for some, arrays in still_to_make(items, wanted, cache.own(features.corpus, features.name) if below else None, below):
        with FeatureWriter(cache.root, features.corpus, features.name, features.card) as writer:
            work = writer.plan(some, arrays)
            made |= _make(features, writer, work, rules, {u.id: u for u in utterances})
    lacking = tuple(u.id for u in corpus.utterances if u.id not in held)
    return Pooled(len(made), tuple(rules), lacking, cache.features(features.corpus, features.name))


def _make(
    features: Features, writer: FeatureWriter, work: Sequence[Work], rules: Mapping[str, Level], by_id: Mapping[str, Utterance]
) -> set[str]:
    """Make and commit units; the utterances that were pooled."""
    todo = [name for one in work for name in one.ids]
    title = f"pool {_name(features)}"
    with tqdm(total=len(todo), desc=title, unit="utterance", delay=1) as bar, closing(writer.units(work)) as units:
        for one, unit in units:
            for utterance in _fill(features, one, unit, rules, by_id):
                bar.update(utterance is not None)
    return set(todo)


def _check(features: Features, utterances: Sequence[Utterance]) -> None:
    """Nothing is pooled for audio or text that is no longer what its rows were made from."""
    if not utterances:
        raise CacheError(f"{_name(features)}: holds {features.native} of none of the corpus's utterances in these layers")
    features.check(utterances)
    if unheard := [u.id for u in utterances if features.card.modality == "audio" and u.audio_sha256 is None]:
        raise CacheError(f"{features.corpus}: the audio of {len(unheard)} utterances, first {unheard[0]}, was not read; prepare it again")


def _fill(
    features: Features, work: Work, unit: UnitWriter, rules: Mapping[str, Level], by_id: Mapping[str, Utterance]
) -> Iterator[Utterance]:
    """Put the rows of one unit and commit it."""
    layers = sorted({layer for _, layer in work.arrays})
    wanted = {level for level, _ in work.arrays}
    batches = [work.ids[at : at + BATCH] for at in range(0, len(work.ids), BATCH)]
    for ids, packed in zip(batches, features.batches(batches, features.native, layers), strict=True):
        for i, name in enumerate(ids):
            states = torch.from_numpy(packed.values[:, packed.offsets[i] : packed.offsets[i + 1]]).float()
            moved = to_host(pooled(rules, wanted, states, by_id[name], features.card.key.dtype), features.card.key.dtype)
            unit.put(name, by_array(moved, work, layers)())
            yield by_id[name]
    unit.commit()


def _name(features: Features) -> str:
    return f"{features.corpus}/{features.name}"
