"""Arrays of another tool matched to the utterances of a corpus, and looked through before anything is stored."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emocache.errors import SourceError
from emocache.exchange.foreign import Found
from emocache.types import Corpus

NAMED = 3
"""Ids that an error names."""


@dataclass(frozen=True, slots=True)
class Match:
    """Utterance -> its array; `unknown` are arrays that match no utterance, `missing` utterances without an array."""

    found: Mapping[str, Found]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """What arrays have in common; `dtype` is the widest of theirs."""

    ndim: int
    layers: int
    dim: int
    dtype: Any


@dataclass(frozen=True, slots=True)
class Looked:
    """One array: its rows, and the digest of type, shape and numbers."""

    rows: int
    digest: str


def match(everything: Sequence[Found], corpus: Corpus, source: Path, *, allow_missing: bool) -> Match:
    """Find the utterance of every array.

    SourceError when two match the same one, when none does, or, unless that is allowed, when some have no counterpart.
    """
    known = {utterance.id for utterance in corpus.utterances}
    found: dict[str, Found] = {}
    unknown: list[str] = []
    for one in everything:
        name = next((name for name in one.names if name in known), None)
        if name is None:
            unknown.append(one.names[0])
        elif name in found:
            raise SourceError(f"{source}: {found[name].where} and {one.where} both match utterance {name!r}; take one away")
        else:
            found[name] = one
    missing = tuple(utterance.id for utterance in corpus.utterances if utterance.id not in found)
    wrong = [f"{len(unknown)} of {len(everything)} arrays match no utterance of {corpus.name} (first {_first(unknown)})"] if unknown else []
    if not found:
        raise SourceError(f"{source}: {wrong[0]}; ids are file names without .npy, or dataset names")
    if missing:
        wrong.append(f"{len(missing)} utterances of {corpus.name} have no array (first {_first(missing)})")
    if wrong and not allow_missing:
        raise SourceError(f"{source}: {', and '.join(wrong)}; import the matching ones with --allow-missing")
    return Match(found, tuple(unknown), missing)


def look_through(found: Mapping[str, Found]) -> tuple[Shape, dict[str, Looked]]:
    """Read every array once. SourceError names the first that holds no features, or is unlike the first of all."""
    first = next(iter(found.values()))
    common = shape_of(first.read(), first.where)
    looked = {}
    for name, one in tqdm(found.items(), desc="reading", unit=" utterances", delay=1):
        values = one.read()
        shape = shape_of(values, one.where)
        if (shape.ndim, shape.layers, shape.dim) != (common.ndim, common.layers, common.dim):
            raise SourceError(f"{one.where}: is {_words(shape)}, but {first.where} is {_words(common)}; all must be alike but for time")
        common = replace(common, dtype=max(common.dtype, shape.dtype, key=lambda dtype: dtype.itemsize))
        looked[name] = Looked(values.shape[-2] if values.ndim > 1 else 1, digest_of(values))
    return common, looked


def shape_of(values: NDArray[Any], where: str) -> Shape:
    """The shape of one array. SourceError for one that holds no features."""
    if values.dtype.kind != "f":
        raise SourceError(f"{where}: holds {values.dtype}, expected floating-point numbers")
    if not 1 <= values.ndim <= 3:
        raise SourceError(f"{where}: has shape {values.shape}, expected [dim], [time, dim] or [layers, time, dim]")
    if not values.size:
        raise SourceError(f"{where}: is empty, its shape is {values.shape}; make it again, or take it away and add --allow-missing")
    return Shape(values.ndim, values.shape[0] if values.ndim == 3 else 1, values.shape[-1], values.dtype)


def digest_of(values: NDArray[Any]) -> str:
    """SHA-256 of type, shape and numbers."""
    digest = hashlib.sha256(f"{values.dtype.str} {values.shape}\n".encode())
    digest.update(np.ascontiguousarray(values).view(np.uint8).data)
    return digest.hexdigest()


def _words(shape: Shape) -> str:
    """[layers, time, dim] with its numbers."""
    return {1: f"[{shape.dim}]", 2: f"[time, {shape.dim}]", 3: f"[{shape.layers}, time, {shape.dim}]"}[shape.ndim]


def _first(names: Collection[str]) -> str:
    return ", ".join(list(names)[:NAMED])
