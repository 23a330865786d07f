"""Features that another tool made, into the cache.

files -> Collection (what is there) -> Match (whose it is) -> Looked (shape, digest) -> Intake (what would be stored) -> store

Nobody knows how such features were made, so their key is the rows themselves, and what the user says of them. A feature
set holds what one import brought: the same files again change nothing; other files, or more of them, are other features
and need another name.
"""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emocache import manifest
from emocache.errors import CacheError, SourceError, UsageError
from emocache.exchange.foreign import Found, Said, collect
from emocache.exchange.matched import Looked, Match, Shape, digest_of, look_through, match
from emocache.places import free_bytes, plain_name
from emocache.store import Features, open_cache
from emocache.store.card import IMPORTED, Card, Key
from emocache.store.layout import DTYPES, LEVELS
from emocache.store.plan import Item, unit_rows
from emocache.store.writer import FeatureWriter
from emocache.types import Corpus

UNKNOWN = "imported, not known"
FRAMES, UTTERANCE_LEVEL = "frames", "utterance"
MODALITIES = ("audio", "text")
MADE_WITH = ("emocache", "numpy", "h5py")
"""Packages whose versions a card records."""


@dataclass(frozen=True, kw_only=True)
class Intake:
    """One import: everything that is known before anything is stored."""

    corpus: Corpus
    cache: Path
    name: str
    card: Card
    match: Match
    items: list[Item]
    prepared: bool
    """Whether the corpus came from its prepared manifest, rather than from the cache's copy of that."""

    @property
    def level(self) -> str:
        """The level that is stored."""
        return self.card.native

    @cached_property
    def bytes(self) -> int:
        """Bytes when all is stored."""
        numbers = sum(item.rows[self.level] for item in self.items) * self.card.dims[self.level] * len(self.card.layers)
        return numbers * int(DTYPES[self.card.key.dtype].itemsize)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import did: utterances stored now, and those whose rows cannot be, with the reason."""

    imported: int
    failures: Mapping[str, str]
    features: Features


def look(
    kind: str, source: Path, said: Said, *, corpus: str, name: str, data: Path, cache: Path, dtype: str | None = None,
    ids: Path | None = None, allow_missing: bool = False,
) -> Intake:  # fmt: skip
    """Match a source to a prepared corpus and look through all of it. Nothing is written.

    SourceError names the first file that does not fit; arrays and utterances without a counterpart are errors unless allowed.
    """
    _check_options(name, said, dtype)
    prepared = (data / corpus / manifest.MANIFEST).is_file()
    known = manifest.load(data if prepared or not (cache / corpus / manifest.MANIFEST).is_file() else cache, corpus)
    collection = collect(kind, source, level=said.level, ids=ids)
    matched = match(collection.found, known, source, allow_missing=allow_missing)
    shape, looked = look_through(matched.found)
    said = _complete(said, collection.said, shape)
    _check_rows(said.level, shape, matched.found, looked)
    items = [
        Item(u.id, looked[u.id].digest, u.session or u.fold or u.split or "", {said.level: looked[u.id].rows},
             {said.level: matched.found[u.id].columns})
        for u in known.utterances if u.id in looked
    ]  # fmt: skip
    stored = dtype or ("fp16" if shape.dtype.itemsize == 2 else "fp32")
    card = _card(known, said, items, shape.dim, f"{kind} {source.resolve().name}", stored)
    return Intake(corpus=known, cache=cache, name=name, card=card, match=matched, items=items, prepared=prepared)


def check_room(intake: Intake) -> None:
    """CacheError when the disk has no room for all of it."""
    free = free_bytes(intake.cache)
    if intake.bytes > free:
        smaller = " store as --dtype fp16, or" if intake.card.key.dtype == "fp32" else ""
        raise CacheError(
            f"{intake.bytes / 1e9:.3g} GB would not fit the {free / 1e9:.3g} GB free at {intake.cache};{smaller} give another --cache"
        )


def write(intake: Intake) -> Outcome:
    """Store what is not in the cache yet, unit by unit; an interrupted import goes on where it stopped.

    Rows that are not finite fail by id. KeyMismatch when the name is taken by other features, SourceError when a file
    is no longer what was looked at.
    """
    layers = intake.card.layers
    imported, digests = 0, {item.id: item.digest for item in intake.items}
    with FeatureWriter(intake.cache, intake.corpus.name, intake.name, intake.card) as writer:
        work = writer.plan(intake.items, {intake.level: layers})
        if intake.prepared:
            manifest.save(replace(intake.corpus, audio_root=Path()), intake.cache)
        with tqdm(total=sum(len(one.ids) for one in work), desc=f"{intake.corpus.name}/{intake.name}", unit=" utterances", delay=1) as bar:
            for one, unit in writer.units(work):
                for name in one.ids:
                    rows = _read_again(intake.match.found[name], digests[name])
                    if np.isfinite(rows).all():
                        unit.put(name, {(level, layer): rows[layers.index(layer)] for level, layer in one.arrays})
                        imported += 1
                    else:
                        unit.fail(name, "holds values that are not finite, or too large for float32")
                    bar.update()
                unit.commit()
    features = open_cache(intake.cache).features(intake.corpus.name, intake.name)
    return Outcome(imported, {name: reason for name, reason in features.failures.items() if name in digests}, features)


def _check_options(name: str, said: Said, dtype: str | None) -> None:
    """UsageError for a value that cannot be."""
    plain_name(name, "--name")
    if name in {manifest.MANIFEST, manifest.CORPUS}:
        raise UsageError(f"--name {name}: is the name of a file beside the features; choose another")
    for option, value, choices in (
        ("level", said.level, (*LEVELS,)),
        ("modality", said.modality, MODALITIES),
        ("dtype", dtype, (*DTYPES,)),
    ):
        if value and value not in choices:
            raise UsageError(f"--{option} {value!r}: expected one of {', '.join(choices)}")
    if said.hop < 0 or not said.encoder.isprintable():
        raise UsageError(f"--hop {said.hop} or --encoder {said.encoder!r} cannot be: expected samples at 16 kHz, and one line of text")


def _complete(said: Said, told: Said, shape: Shape) -> Said:
    """What the user says, else what the file tells, else what is usual."""
    level = said.level or told.level or (UTTERANCE_LEVEL if shape.ndim == 1 else FRAMES)
    if said.hop and level != FRAMES:
        raise UsageError(f"--hop goes with frames; these are rows of level {level}")
    if told.layers and said.layers not in {(), told.layers}:
        raise UsageError(f"--layers: the file itself says that its layers are {_numbers(told.layers)}; leave it out")
    layers = said.layers or told.layers or tuple(range(shape.layers))
    if len(layers) != shape.layers:
        raise UsageError(f"--layers {_numbers(layers)}: are {len(layers)}, and the arrays hold {shape.layers}")
    return Said(
        level=level,
        layers=layers,
        hop=said.hop or told.hop if level == FRAMES else 0,
        modality=said.modality or told.modality or ("text" if level == "tokens" else "audio"),
        encoder=said.encoder or told.encoder or "imported",
    )


def _check_rows(level: str, shape: Shape, found: Mapping[str, Found], looked: Mapping[str, Looked]) -> None:
    """SourceError for arrays that do not have the rows of the level."""
    if LEVELS[level] and (long := [name for name, one in looked.items() if one.rows != 1]):
        rows = looked[long[0]].rows
        raise SourceError(f"{found[long[0]].where}: has {rows} rows, and level {level} takes one an utterance; import as --level frames")
    if not LEVELS[level] and shape.ndim == 1:
        first = next(iter(found.values()))
        raise SourceError(f"{first.where}: is [{shape.dim}], one row for the utterance; import as --level utterance")


def _read_again(found: Found, digest: str) -> NDArray[np.float32]:
    """[layers, rows, dim] in float32; SourceError when the file is no longer what was looked at."""
    values = found.read()
    if digest_of(values) != digest:
        raise SourceError(f"{found.where}: changed while it was being imported; import again under another --name")
    with np.errstate(over="ignore"):
        rows: NDArray[np.float32] = values.astype(np.float32)
    return rows.reshape(values.shape[0] if values.ndim == 3 else 1, -1, values.shape[-1])


def _card(corpus: Corpus, said: Said, items: Sequence[Item], dim: int, origin: str, dtype: str) -> Card:
    """Key and description. What the user says of the features is in the key, so that it is never said in two ways."""
    rows = hashlib.sha256("\n".join(sorted(f"{item.id} {item.digest}" for item in items)).encode()).hexdigest()
    key = Key(
        weights=f"{UNKNOWN}; SHA-256 of the rows {rows}",
        configuration=f"{UNKNOWN}; said to be {said.encoder}",
        preprocessing=f"{UNKNOWN}; said to be of {said.modality}",
        layer_rule=f"{UNKNOWN}; numbered {_numbers(said.layers)}",
        precision=UNKNOWN,
        dtype=dtype,
    )
    pace = (f" of {said.hop} samples" if said.hop else ", hop not known") if said.level == FRAMES else ""
    return Card(
        key=key,
        encoder=said.encoder,
        model=origin,
        origin=origin,
        revision=rows,
        encoder_licence="not known",
        corpus=corpus.name,
        corpus_licence=corpus.licence,
        corpus_share=corpus.share,
        modality=said.modality,
        digests=IMPORTED,
        native=said.level,
        hop=said.hop,
        layers=said.layers,
        levels={said.level: f"imported, one row per {said.level.removesuffix('s')}{pace}"},
        dims={said.level: dim},
        unit_rows=unit_rows(sum(item.rows[said.level] for item in items)),
        made_with={name: version(name) for name in MADE_WITH} | {"python": platform.python_version()},
    )


def _numbers(layers: Sequence[int]) -> str:
    """Layer numbers for people."""
    return ",".join(map(str, layers))
