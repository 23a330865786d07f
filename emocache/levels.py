"""The levels that an encoder's rows are stored in: its own, and those pooled from it in the same forward pass.

frames, tokens   as the encoder gives them
word             of text: the mean over the tokens of a word; special tokens count in none
sentence         of text: one row, as the checkpoint's own pooling says, else its first token
utterance        one row, the mean over all rows followed by their standard deviation, so it is twice as wide
word@SOURCE      of speech: one row per segment of a forced alignment; phone and syllable likewise (segments.py)

Pooled rows are made from the others as these are stored, so that pooling what is cached gives the same numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emocache import alignment, pooling
from emocache.errors import CacheError
from emocache.store.layout import LEVELS
from emocache.store.plan import Column
from emocache.types import Utterance

Columns = Mapping[str, Column]
OVERFLOWS = 65_520.0
"""From here on, rounding to float16 gives infinity."""
OWN = {"tokens": "one row per token", "utterance": "one embedding per utterance"}


class Native(Protocol):
    """What gives the rows that levels are pooled from: an encoder, or a cache. See `encoders.Encoder`."""

    modality: str
    native: str
    dim: int
    hop: int
    centre: int
    sentence_rule: str

    def size(self, utterance: Utterance) -> int:
        """What an utterance counts in a batch."""

    def rows(self, utterance: Utterance) -> int:
        """Rows of an utterance in the native level."""

    def columns(self, utterance: Utterance) -> Columns:
        """What each of them stands for."""


def _one(_: Utterance) -> int:
    return 1


def _nothing(_: Utterance) -> Columns:
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One level: what a row of it is (`about`, part of the key), its width, and how its rows come about.

    `rows`, `columns` and `made_from` (a digest of what the rows depend on beside audio or text) are known before encoding;
    `pool` makes [layers, rows, dim] of the encoder's own rows, and is None for these themselves.
    """

    about: str
    dim: int
    pool: Callable[[Tensor, Utterance], Tensor] | None
    rows: Callable[[Utterance], int] = _one
    columns: Callable[[Utterance], Columns] = _nothing
    made_from: Callable[[Utterance], str] | None = None


def levels_of(native: Native) -> dict[str, Level]:
    """Every level that an encoder can be stored in but those of segments, its own first."""
    own = OWN.get(native.native, f"one row per frame of {native.hop} samples")
    found = {native.native: Level(about=own, dim=native.dim, pool=None, rows=native.rows, columns=native.columns)}
    if native.native == "tokens":
        found["word"] = Level(
            about="mean over the tokens of a white-space word; one row of all tokens where there is no word",
            dim=native.dim,
            pool=lambda states, utterance: pooling.mean_of_groups(states, _word_of_token(native, utterance)),
            rows=lambda utterance: int(_word_of_token(native, utterance).max()) + 1,
            columns=lambda utterance: _word_columns(native, utterance),
        )
        found["sentence"] = Level(
            about=native.sentence_rule, dim=native.dim, pool=lambda states, _: pooling.SENTENCE[native.sentence_rule](states)
        )
    if not LEVELS[native.native]:
        found["utterance"] = Level(about=pooling.MEAN_AND_STD, dim=2 * native.dim, pool=lambda states, _: pooling.mean_and_std(states))
    return found


def kinds_of(native: Native) -> dict[str, Level]:
    """What a card says of the levels that a feature set can hold: `levels_of`, and each kind of segments once."""
    about = f"{pooling.RULES[pooling.CENTRE]}; the name says of which alignment, and which variant"
    segments = Level(about=about, dim=native.dim, pool=None)
    return levels_of(native) | (dict.fromkeys(alignment.LEVELS, segments) if has_segments(native) else {})


def has_segments(native: Native) -> bool:
    """Whether the native rows are frames with a known place in time."""
    return native.native == "frames" and native.centre >= 0


def _word_of_token(native: Native, utterance: Utterance) -> NDArray[np.int64]:
    """The row of level `word` that each token counts in [tokens], -1 for none; a text without words is one row of all tokens."""
    columns = native.columns(utterance)
    if "word" not in columns:
        raise CacheError(f"{utterance.id}: which word each token is of was not passed on with the features, being the transcript")
    word = np.asarray(columns["word"], np.int64)
    said, rows = np.unique(word[word >= 0], return_inverse=True)
    if not len(said):
        return np.zeros(len(word), np.int64)
    of_token = np.full(len(word), -1, np.int64)
    of_token[word >= 0] = rows
    return of_token


def _word_columns(native: Native, utterance: Utterance) -> Columns:
    """Of each row of level `word`: which white-space word it is (-1: none), and its first and last character (exclusive)."""
    tokens = native.columns(utterance)
    of_token = _word_of_token(native, utterance)
    rows = int(of_token.max()) + 1
    spans = [(tokens["word"][of_token == row], tokens["begin"][of_token == row], tokens["end"][of_token == row]) for row in range(rows)]
    return {
        "word": np.array([word.max() for word, _, _ in spans], np.int32),
        "begin": np.array([begin.min() for _, begin, _ in spans], np.int32),
        "end": np.array([end.max() for _, _, end in spans], np.int32),
    }


def pooled(levels: Mapping[str, Level], wanted: set[str], states: Tensor, utterance: Utterance, dtype: str) -> dict[str, Tensor]:
    """The rows of the wanted levels, each float32 [layers, rows, dim], pooled from the encoder's own as they are stored."""
    found: dict[str, Tensor] = {}
    stored: Tensor | None = None
    with torch.inference_mode():
        for name in wanted:
            if (pool := levels[name].pool) is None:
                found[name] = states
            else:
                stored = as_stored(states, dtype) if stored is None else stored
                found[name] = pool(stored, utterance).float()
    return found


def as_stored(states: Tensor, dtype: str) -> Tensor:
    """Rows [layers, rows, dim] in float64, with the rounding of what they are stored as.

    A layer with values that float16 cannot hold is stored in float32.
    """
    if dtype != "fp16":
        return states.double()
    least, most = torch.aminmax(states.flatten(1), dim=1)
    fits = torch.maximum(-least, most) < OVERFLOWS
    rounded = states.half()
    if states.device.type == "cpu" and bool(fits.all()):  # a GPU would have to be waited for
        return rounded.double()
    return torch.where(fits[:, None, None], rounded.double(), states.double())
