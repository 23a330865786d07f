"""Back-translation with MarianMT: into a pivot language and back, by the checkpoint's own beam search; nothing is drawn at random."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from emocache.augment import faults
from emocache.augment.base import Rewritten
from emocache.encoders import configuration, find
from emocache.encoders.base import AS_IT_LIES, from_pretrained, weights_digest
from emocache.encoders.torchaudio_shim import make_torchaudio_importable
from emocache.errors import EncoderError
from emocache.files import first_line

HUB = "Helsinki-NLP/opus-mt-{source}-{target}"
"""Where the models of a pair of languages are."""
UNUSED = ("embed_positions", "lm_head")
"""Computed, or the embeddings themselves."""
VOCABULARY = ("source.spm", "target.spm", "vocab.json")


class Translator:
    """One MarianMT model on a device."""

    def __init__(self, model: str, device: torch.device) -> None:
        source = find(model)
        make_torchaudio_importable()
        from transformers import MarianMTModel

        folder = str(source.folder)
        config = configuration(folder)
        if config.model_type != "marian":
            raise EncoderError(f"{model}: is of type {config.model_type!r}, and no MarianMT model, such as Helsinki-NLP/opus-mt-en-de")
        self._tokenizer = _tokenizer(source.folder)
        self._model = from_pretrained(MarianMTModel, folder, f"{model} as a MarianMT model", UNUSED).to(device)
        self._longest = min(int(config.max_position_embeddings), int(self._tokenizer.model_max_length))
        self.about = f"{source.origin} at {source.revision[:12]} (sha256 {weights_digest(self._model, UNUSED)[:16]})"

    def translate(self, texts: Sequence[str]) -> list[Rewritten]:
        """The texts in the other language; too long ones are not cut, and have none."""
        lengths = [len(self._tokenizer(text).input_ids) for text in texts]
        fit = [text for text, length in zip(texts, lengths, strict=True) if length <= self._longest]
        made = iter(self._generate(fit) if fit else [])
        fault = "it has {} tokens for the translator, which takes {}"
        return [
            Rewritten(next(made)) if length <= self._longest else Rewritten("", fault.format(length, self._longest)) for length in lengths
        ]

    def _generate(self, texts: Sequence[str]) -> list[str]:
        """Translations of texts that fit."""
        given = self._tokenizer(list(texts), return_tensors="pt", padding=True).to(self._model.device)
        try:
            with torch.inference_mode():
                numbers = self._model.generate(**given, do_sample=False)
        except torch.OutOfMemoryError:
            raise EncoderError(f"the GPU's memory does not hold {len(texts)} texts at once; give a smaller --batch") from None
        return [str(text).strip() for text in self._tokenizer.batch_decode(numbers, skip_special_tokens=True)]


class BackTranslation:
    """A text in the pivot language, and that back again."""

    def __init__(self, forth: Translator, back: Translator, pivot: str) -> None:
        self._forth, self._back = forth, back
        self.name = f"back-translated through {pivot}"
        self.about = f"back-translation by {forth.about} and {back.about}"

    def rewrite(self, texts: Sequence[str]) -> list[Rewritten]:
        """Both ways in one batch each; what comes back empty, endless or as it was is of no use."""
        there = self._forth.translate(texts)
        ready = [one.text for one in there if one.text]
        back = iter(self._back.translate(ready) if ready else [])
        made = [next(back) if one.text else one for one in there]
        return [one if one.fault else replace(one, fault=faults.of_text(one.text, text)) for one, text in zip(made, texts, strict=True)]


def load(source: str, pivot: str, forth: str | None, back: str | None, device: torch.device) -> BackTranslation:
    """The models of the two ways, by name or derived from the codes of the two languages."""
    there, again = forth or HUB.format(source=source, target=pivot), back or HUB.format(source=pivot, target=source)
    return BackTranslation(Translator(there, device), Translator(again, device), pivot)


def _tokenizer(folder: Path) -> Any:
    """The tokenizer of a MarianMT model; EncoderError when a part of it is missing."""
    from transformers import MarianTokenizer

    if missing := [name for name in VOCABULARY if not (folder / name).is_file()]:
        raise EncoderError(f"{folder}: {', '.join(missing)} is missing; download the whole model again")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*sacremoses")  # it would only tidy punctuation
            return MarianTokenizer.from_pretrained(str(folder), **AS_IT_LIES)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise EncoderError(f"{folder}: its vocabulary cannot be loaded ({first_line(error)})") from error
