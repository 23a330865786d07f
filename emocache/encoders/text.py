"""Text encoders: BERT, RoBERTa, MPNet, MiniLM and models built like them, at token level."""

import inspect
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emocache.encoders.base import (
    AS_IT_LIES,
    Encoder,
    configuration_digest,
    from_pretrained,
    hidden_states,
    rows_of,
    to_device,
    weights_digest,
)  # fmt: skip
from emocache.encoders.snapshot import has_tokenizer
from emocache.errors import EncoderError
from emocache.files import first_line
from emocache.types import Utterance

PADDED = ("bert", "roberta", "xlm-roberta", "mpnet", "deberta-v2", "distilbert", "electra", "camembert")
"""Families that the tests prove exact in padded batches; others are batched at equal length alone."""
PROBES = ("Don't you DARE -- café, 3.14!", "I'm  fine\tthanks (laughs) [noise] \u201cquoted\u201d", "überraschung 你好 😀 x_y", "")
"""Texts whose tokens tell tokenizers apart: case, accents, spaces, digits, quotes, other scripts."""


class TextEncoder(Encoder):
    """One row per token, special tokens included. A text longer than the model allows is cut, and noted."""

    modality = "text"
    native = "tokens"

    def __init__(self, folder: str, config: Any, device: torch.device, precision: str) -> None:
        super().__init__(device, precision)
        from transformers import AutoModel, AutoTokenizer

        self._folder = folder
        if not has_tokenizer(Path(folder)):
            raise EncoderError(f"{folder}: its tokenizer is missing; copy there that of the model it was trained from")
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, **AS_IT_LIES)
        except (OSError, ValueError, ImportError, KeyError, TypeError, AttributeError) as error:
            raise EncoderError(f"{folder}: its tokenizer cannot be loaded ({first_line(error)})") from error
        if not self._tokenizer.is_fast:
            raise EncoderError(f"{folder}: has no fast tokenizer, which tells where each token stands in the text")
        self._model = from_pretrained(AutoModel, folder, config.model_type).to(device)
        self._blocks = _blocks(self._model, config.model_type)
        self._table = self._model.get_input_embeddings().num_embeddings
        self._limit = min(self._tokenizer.model_max_length, _positions(self._model, config))
        self.family = config.model_type
        self.layers = tuple(range(len(self._blocks) + 1))
        self.dim = config.hidden_size
        self.weights = weights_digest(self._model)
        self.configuration = configuration_digest(
            config, sorted(self._tokenizer.get_vocab().items()), self._tokenizer(list(PROBES))["input_ids"], self._tokenizer.truncation_side
        )
        self.preprocessing = f"its own tokenizer, at most {self._limit} tokens, special tokens kept"
        self.sentence_rule = _sentence_rule(Path(folder))
        taken = inspect.signature(self._model.forward).parameters
        self._inputs = [name for name in self._tokenizer.model_input_names if name in taken]
        self._padding = {"input_ids": self._tokenizer.pad_token_id or 0, "token_type_ids": self._tokenizer.pad_token_type_id}
        self.batching = "padded" if config.model_type in PADDED else "equal"
        self._tokens = lru_cache(maxsize=1 << 16)(self._tokenize)
        for probe in PROBES:
            self._tokens(probe)

    def rows(self, utterance: Utterance) -> int:
        """Tokens, with the special ones."""
        return len(self._tokens(utterance.transcript or "")["input_ids"])

    def note(self, utterance: Utterance) -> str | None:
        """Says when a text is empty or will be cut."""
        text = utterance.transcript or ""
        if not text.strip():
            return "no transcript: only the special tokens are encoded"
        whole = len(self._tokenizer(text, verbose=False)["input_ids"])
        return f"text cut from {whole} to {self._limit} tokens" if whole > self._limit else None

    def columns(self, utterance: Utterance) -> Mapping[str, NDArray[np.int32]]:
        """Word (which white-space word a token belongs to, -1 for special tokens), begin and end (characters of that word).

        Some tokenizers count the space before a word to its first token, and some make a token of that space alone: both
        belong to the word that follows. A text in a script without spaces is one word, unless it was given with spaces.
        """
        text = utterance.transcript or ""
        tokens = self._tokens(text)
        begin, end = np.array(tokens["offset_mapping"], np.int32).reshape(-1, 2).T
        letters = np.array([i for i, letter in enumerate(text) if not letter.isspace()] + [len(text)], np.int32)
        starts = [i for i in letters[:-1] if i == 0 or text[i - 1].isspace()]
        begin = letters[np.searchsorted(letters[:-1], begin)]
        word = np.searchsorted(starts, begin, side="right").astype(np.int32) - 1
        outside = np.array(tokens["special_tokens_mask"], bool) | (begin == len(text))
        begin, end = np.where(outside, np.int32(0), begin), np.where(outside, np.int32(0), np.maximum(begin, end))
        return {"word": np.where(outside, np.int32(-1), word), "begin": begin, "end": end}

    def size(self, utterance: Utterance) -> int:
        """Tokens."""
        return self.rows(utterance)

    def prepare(self, value: str) -> Mapping[str, Any]:
        """Token ids, offsets and marks."""
        return self._tokens(value)

    def forward(self, batch: Sequence[Mapping[str, Any]], layers: Sequence[int]) -> list[Tensor]:
        """float32 [layers, tokens, dim] for each text; shorter ones are padded on the right and masked."""
        lengths = [len(tokens["input_ids"]) for tokens in batch]
        names = [name for name in self._inputs if name in batch[0]]
        inputs = {name: torch.full((len(batch), max(lengths)), self._padding.get(name, 0)) for name in names}
        for name, padded in inputs.items():
            for row, tokens in zip(padded, batch, strict=True):
                row[: len(tokens[name])] = torch.tensor(tokens[name])
        with self.computing():
            states = hidden_states(self._model, self._blocks, layers, **{name: to_device(x, self.device) for name, x in inputs.items()})
            return [rows_of(states, i, length) for i, length in enumerate(lengths)]

    def _tokenize(self, text: str) -> Mapping[str, Any]:
        """Token ids, offsets and marks of a text; EncoderError when the model has no row for a token."""
        tokens = dict(
            self._tokenizer(text, truncation=True, max_length=self._limit, return_offsets_mapping=True, return_special_tokens_mask=True)
        )
        if (largest := max(tokens["input_ids"], default=0)) >= self._table:
            token = self._tokenizer.convert_ids_to_tokens(largest)
            raise EncoderError(
                f"{self._folder}: its tokenizer gives token {largest} ({token!r}), its model has {self._table}: they do not belong together"
            )
        return tokens


def _sentence_rule(folder: Path) -> str:
    """How sentence-transformers checkpoints say that a text becomes one row; others are taken at their first token."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "first token"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path}: cannot be read ({first_line(error)}); download the checkpoint again") from None
    modes = [name for name, on in settings.items() if name.startswith("pooling_mode_") and on is True]
    known = {"pooling_mode_mean_tokens": "mean over all tokens, not normalised", "pooling_mode_cls_token": "first token"}
    if len(modes) != 1 or modes[0] not in known:
        raise EncoderError(f"{path}: pools by {', '.join(modes) or 'nothing'}; known are {' and '.join(known)}, one of them")
    return known[modes[0]]


def _blocks(model: nn.Module, kind: str) -> nn.ModuleList:
    """The transformer blocks, in the two places where text models of transformers have them."""
    for path in ("encoder.layer", "transformer.layer", "encoder.layers"):
        try:
            found = model.get_submodule(path)
        except AttributeError:
            continue
        if isinstance(found, nn.ModuleList):
            return found
    raise EncoderError(f"{kind}: its blocks are not where BERT-like models have them; this kind of model is not supported")


def _positions(model: nn.Module, config: Any) -> int:
    """Most tokens that the position table allows (RoBERTa and MPNet count from behind the padding index)."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    offset = 0 if table is None or table.padding_idx is None else table.padding_idx + 1
    return int(getattr(config, "max_position_embeddings", 512)) - offset
