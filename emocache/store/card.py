"""The card of a feature set: how it was made, and the key that decides its numbers."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from emocache.errors import CacheError, KeyMismatch
from emocache.layers import ranges
from emocache.store.layout import DTYPES, FORMAT, Level, Paths, check_format, kind_of, level, read_json, read_sealed, to_json
from emocache.store.seal import SEALED, sealed

DIGESTS = ("audio", "text", "imported")
"""What the digest of an utterance can be of: its decoded audio, its text, or the rows that were imported."""
IMPORTED = DIGESTS[2]
DTYPE, PRECISION, WINDOW_S = "fp16", "fp32", "30"
"""What `emocache extract` stores as, computes in, and the seconds of Whisper's window, where nothing else is said."""
WINDOW = r"log-mel of consecutive ([0-9.]+) s windows"
"""How a key tells of Whisper's window: whole frames of 20 ms, so that the number is exact."""


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

    `model` is what --model was given; of an imported set, the format and name of what was imported. Levels of segments
    stand there once, whatever alignments they may be from. `hop` and `centre` say which sample is in the middle of frame l:
    centre + hop l; -1 for `centre` where that is not known, or not so.
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
    centre: int = -1

    def cut(self, name: str) -> Level:
        """How the arrays of a level are cut."""
        return level(name, self.dims[kind_of(name)], self.unit_rows, self.levels[kind_of(name)], self.key.format)

    @property
    def window(self) -> str:
        """The seconds of Whisper's window, where it was shortened; else ''."""
        found = re.search(WINDOW, self.key.preprocessing)
        return found[1] if found and found[1] != WINDOW_S else ""

    def commands(self, name: str, arrays: Iterable[tuple[str, int]] = ()) -> list[str]:
        """The commands that make or complete the arrays (level, layer) of feature set `name`; none for an imported one.

        One for all levels that have the same layers; without `arrays`, what an extraction makes by itself.
        """
        if self.digests == IMPORTED:
            return []
        levels: dict[str, list[int]] = {}
        for level_name, layer in sorted(set(arrays), key=lambda one: (one[0] != self.native, one)):
            levels.setdefault(level_name, []).append(layer)
        together: dict[tuple[int, ...], list[str]] = {}
        for level_name, layers in levels.items():
            together.setdefault(tuple(layers), []).append(level_name)
        return [shlex.join(self._extract(name, names, layers)) for layers, names in (together or {self.layers: [self.native]}).items()]

    def _extract(self, name: str, levels: Sequence[str], layers: tuple[int, ...]) -> list[str]:
        """One extraction, with what is not as it is by itself."""
        options = {
            "--name": ("" if name == self.encoder else name),
            "--dtype": ("" if self.key.dtype == DTYPE else self.key.dtype),
            "--precision": ("" if self.key.precision == PRECISION else self.key.precision),
            "--window": self.window,
            "--levels": ("" if list(levels) == [self.native] else ",".join(levels)),
            "--layers": ("" if layers == self.layers else ranges(layers)),
            "--corpus": self.corpus,
        }
        given = [part for option, value in options.items() if value for part in (option, value)]
        return ["emocache", "extract", "--model", self.model, *given]

    def again(self, name: str, arrays: Iterable[tuple[str, int]] = ()) -> str:
        """What to do for rows that are not there: the commands, or for an import, of which not all is known, what to give again."""
        if commands := self.commands(name, arrays):
            return f"run `{' && '.join(commands)}`"
        what = f"{self.native}, layers {ranges(self.layers)}, hop {self.hop}, of {self.modality}, by {self.encoder}, as {self.key.dtype}"
        return f"import {self.model} again as {self.corpus}/{name}, with the files and options that it was imported with ({what})"


def knows(card: Card, level_name: str, layer: str) -> bool:
    """Whether a feature set may hold that level and layer."""
    return kind_of(level_name) in card.levels and layer in {str(number) for number in card.layers}


def planned_levels(paths: Paths, card: Card) -> list[str]:
    """The levels that rows are planned in by any generation, less those that the card does not know."""
    names = {path.name for path in (paths.root / "plan").glob("*/*") if path.is_dir()}
    return sorted(name for name in names if kind_of(name) in card.levels)


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
    older = {"digests": found.get("modality"), "centre": -1}  # a card without them is of a release that imported nothing
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


def grown(there: Card, wanted: Card) -> Card:
    """A card of the same key with the levels that only `wanted` knows, since an older release wrote it."""
    levels, dims = {**wanted.levels, **there.levels}, {**wanted.dims, **there.dims}
    return there if levels.keys() == there.levels.keys() else replace(there, centre=wanted.centre, levels=levels, dims=dims)


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
