"""The levels that an encoder's rows are stored in: its own, and those pooled from it in the same forward pass.

frames, tokens   as the encoder gives them
word             of text: the mean over the tokens of a word; special tokens count in none
sentence         of text: one row, as the checkpoint's own pooling says, else its first token
utterance        one row, the mean over all rows followed by their standard deviation, so it is twice as wide
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emocache import pooling
from emocache.encoders import Encoder
from emocache.store.layout import LEVELS
from emocache.types import Utterance

Columns = Mapping[str, NDArray[np.int32]]
OWN = {"tokens": "one row per token", "utterance": "one embedding per utterance"}


def _one(_: Utterance) -> int:
    return 1


def _nothing(_: Utterance) -> Columns:
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One level: what a row of it is (`about`, part of the key), its width, and how its rows come about.

    `rows` and `columns` are known before encoding; `pool` makes [layers, rows, dim] of the encoder's own rows.
    """

    about: str
    dim: int
    pool: Callable[[Tensor, Utterance], Tensor]
    rows: Callable[[Utterance], int] = _one
    columns: Callable[[Utterance], Columns] = _nothing


def levels_of(encoder: Encoder) -> dict[str, Level]:
    """Every level that an encoder can be stored in, its own first."""
    own = OWN.get(encoder.native, f"one row per frame of {encoder.hop} samples")
    found = {
        encoder.native: Level(
            about=own, dim=encoder.dim, pool=lambda states, _: states, rows=encoder.rows, columns=encoder.columns
        )
    }  # fmt: skip
    if encoder.native == "tokens":
        found["word"] = Level(
            about="mean over the tokens of a white-space word; one row of all tokens where there is no word",
            dim=encoder.dim,
            pool=lambda states, utterance: pooling.mean_of_groups(states, _word_of_token(encoder, utterance)),
            rows=lambda utterance: int(_word_of_token(encoder, utterance).max()) + 1,
            columns=lambda utterance: _word_columns(encoder, utterance),
        )
        found["sentence"] = Level(
            about=encoder.sentence_rule, dim=encoder.dim, pool=lambda states, _: pooling.SENTENCE[encoder.sentence_rule](states)
        )
    if not LEVELS[encoder.native]:
        found["utterance"] = Level(about=pooling.MEAN_AND_STD, dim=2 * encoder.dim, pool=lambda states, _: pooling.mean_and_std(states))
    return found


def _word_of_token(encoder: Encoder, utterance: Utterance) -> NDArray[np.int64]:
    """The row of level `word` that each token counts in [tokens], -1 for none; a text without words is one row of all tokens."""
    word = np.asarray(encoder.columns(utterance)["word"], np.int64)
    said, rows = np.unique(word[word >= 0], return_inverse=True)
    if not len(said):
        return np.zeros(len(word), np.int64)
    of_token = np.full(len(word), -1, np.int64)
    of_token[word >= 0] = rows
    return of_token


def _word_columns(encoder: Encoder, utterance: Utterance) -> Columns:
    """Of each row of level `word`: which white-space word it is (-1: none), and its first and last character (exclusive)."""
    tokens = encoder.columns(utterance)
    of_token = _word_of_token(encoder, utterance)
    rows = int(of_token.max()) + 1
    spans = [(tokens["word"][of_token == row], tokens["begin"][of_token == row], tokens["end"][of_token == row]) for row in range(rows)]
    return {
        "word": np.array([word.max() for word, _, _ in spans], np.int32),
        "begin": np.array([begin.min() for _, begin, _ in spans], np.int32),
        "end": np.array([end.max() for _, _, end in spans], np.int32),
    }


def pooled(levels: Mapping[str, Level], wanted: set[str], states: Tensor, utterance: Utterance) -> dict[str, Tensor]:
    """The rows of the wanted levels, each float32 [layers, rows, dim]."""
    with torch.inference_mode():
        return {name: levels[name].pool(states, utterance) for name in wanted}
