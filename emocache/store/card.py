"""The card of a feature set: how it was made, and the key that decides its numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from emocache.errors import CacheError, KeyMismatch
from emocache.store.layout import DTYPES, FORMAT, Level, check_format, level, read_json, read_sealed, to_json
from emocache.store.seal import SEALED, sealed

DIGESTS = ("audio", "text", "imported")
"""What the digest of an utterance can be of: its decoded audio, its text, or the rows that were imported."""
IMPORTED = DIGESTS[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """What decides the numbers: features with another key are other features."""

    weights: str
    configuration: str
    preprocessing: str
    layer_rule: str
    precision: str
    dtype: str
    format: int = FORMAT


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """Key and description. `levels` says what a row of each level is, `dims` how wide it is; `digests` is one of DIGESTS.

    `model` is what --model was given; of an imported set, the format and name of what was imported.
    """

    key: Key
    encoder: str
    model: str
    origin: str
    revision: str
    encoder_licence: str
    corpus: str
    corpus_licence: str
    corpus_share: str
    modality: str
    digests: str
    native: str
    hop: int
    layers: tuple[int, ...]
    levels: Mapping[str, str]
    dims: Mapping[str, int]
    unit_rows: int
    made_with: Mapping[str, str]

    def cut(self, name: str) -> Level:
        """How the arrays of a level are cut."""
        return level(name, self.dims[name], self.unit_rows, self.levels[name], self.key.format)

    def command(self, name: str) -> str:
        """The command that makes, or completes, the feature set `name`."""
        if self.digests == IMPORTED:
            return f"emocache import {self.model} --corpus {self.corpus} --name {name}"
        return f"emocache extract --model {self.model}" + ("" if name == self.encoder else f" --name {name}")


def to_text(card: Card) -> str:
    """The card as sealed JSON."""
    return sealed(to_json(asdict(card)))


def read_card(path: Path) -> Card:
    """The card in a file, or a CacheError that names the field that does not fit."""
    found = read_json(path)
    if SEALED in found:
        read_sealed(path)
    key = _fitted(Key, found.get("key"), path)
    check_format(key.format, str(path.parent))
    older = {"digests": found.get("modality")}  # a card without the field is of a release that imported nothing
    card: Card = _fitted(Card, older | found | {"key": key, "layers": tuple(found.get("layers") or ())}, path)
    if card.digests not in DIGESTS:
        raise CacheError(f"{path}: its digests are of {card.digests!r}, expected one of {', '.join(DIGESTS)}; the feature set is damaged")
    if key.dtype not in DTYPES or set(card.levels) != set(card.dims) or card.native not in card.levels:
        raise CacheError(f"{path}: its levels, dims or stored type do not fit together; the feature set is damaged")
    return card


def check_key(there: Card, wanted: Card, where: str) -> None:
    """KeyMismatch that names each differing field, unless both cards have the same key."""
    if found := differing(there, wanted):
        raise KeyMismatch(f"{where} was made with other {'; '.join(found)}. Keep both with --name OTHER_NAME, or remove it first")


def differing(there: Card, wanted: Card) -> list[str]:
    """The fields of the key in which two cards differ, with both values."""
    old, new = asdict(there.key), asdict(wanted.key)
    old |= {f"level {name}": about for name, about in there.levels.items() if name in wanted.levels}
    new |= {f"level {name}": about for name, about in wanted.levels.items() if name in there.levels}
    return [f"{name} ({old[name]} there, {new[name]} asked for)" for name in old if old[name] != new[name]]


def _fitted(kind: Any, values: object, path: Path) -> Any:
    """A dataclass from a JSON object that holds all of its fields in their types; others are left aside."""
    if not isinstance(values, dict):
        raise CacheError(f"{path}: is no card of a feature set")
    plain: list[tuple[Any, type]] = [(str, str), (int, int), (Key, Key), (tuple[int, ...], tuple)]
    for field in fields(kind):
        expected = next((python for kind_, python in plain if field.type == kind_), dict)
        if not isinstance(values.get(field.name), expected):
            raise CacheError(f"{path}: field {field.name!r} of the card is missing or does not fit; the feature set is damaged")
    return kind(**{field.name: values[field.name] for field in fields(kind)})
