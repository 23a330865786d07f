"""Speech to text: the whole of a Whisper checkpoint, encoder and decoder, by greedy search."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emocache import languages
from emocache.devices import out_of_memory
from emocache.encoders import configuration, find
from emocache.encoders.base import AS_IT_LIES, from_pretrained, weights_digest
from emocache.encoders.snapshot import has_tokenizer
from emocache.encoders.torchaudio_shim import make_torchaudio_importable
from emocache.errors import EncoderError, UsageError
from emocache.files import first_line
from emocache.types import SAMPLE_RATE

TIED = ("proj_out",)
"""The token embeddings once more."""
SETTINGS = "generation_config.json"
"""What of the vocabulary is no text, and what a transcript begins with; without it Whisper says anything."""


class Recogniser:
    """Transcripts of waveforms. `about` says what makes them, weights included."""

    def __init__(self, model: str, device: torch.device, language: str | None = None) -> None:
        """EncoderError for anything but a whole Whisper checkpoint."""
        source = find(model)
        make_torchaudio_importable()
        from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

        folder = source.folder
        if source.computed or configuration(str(folder)).model_type != "whisper":
            raise EncoderError(f"{model}: is no Whisper model, which alone transcribe here; give one such as whisper-small.en")
        if missing := _missing(folder):
            raise EncoderError(f"{model}: {missing} is not in {folder}, and without it there is no text; copy or download the whole model")
        self._extract = WhisperFeatureExtractor.from_pretrained(str(folder), **AS_IT_LIES)
        self._extract.dither = 0.0
        self._tokenizer = _tokenizer(folder)
        self._model = from_pretrained(WhisperForConditionalGeneration, str(folder), f"{model} as Whisper", TIED).to(device)
        self._window = self._extract.n_samples
        several = bool(getattr(self._model.generation_config, "is_multilingual", False))
        language = None if language is None else self._known(model, languages.code(language), several=several)
        self._asked: dict[str, Any] = {"language": language, "task": "transcribe"} if several else {}
        spoken = f", language {language or 'as heard'}" if several else ""
        self.name = source.name
        self.about = f"{source.origin} at {source.revision[:12]} (sha256 {weights_digest(self._model, TIED)[:16]}), greedy{spoken}"

    def _known(self, model: str, language: str, *, several: bool) -> str:
        """The language, if the model hears it; UsageError."""
        marks = getattr(self._model.generation_config, "lang_to_id", None) or {}
        if language not in ({mark.strip("<|>") for mark in marks} if several else {"en"}):
            raise UsageError(f"--language {language}: {model} does not hear it; give a code that it knows{'' if several else ', en alone'}")
        return language

    def hear(self, waves: Sequence[NDArray[np.float32]]) -> list[str]:
        """The text of each; longer ones than a window are heard window by window, by Whisper's own marks of time."""
        short = [i for i, wave in enumerate(waves) if len(wave) <= self._window]
        found = dict(zip(short, self._short([waves[i] for i in short]) if short else [], strict=True))
        return [found[i] if i in found else self._long(wave) for i, wave in enumerate(waves)]

    def _short(self, waves: Sequence[NDArray[np.float32]]) -> list[str]:
        given = self._extract(list(waves), sampling_rate=SAMPLE_RATE, return_tensors="pt", return_attention_mask=True)
        return self._generate(given, return_timestamps=False)

    def _long(self, wave: NDArray[np.float32]) -> str:
        given = self._extract(
            wave, sampling_rate=SAMPLE_RATE, return_tensors="pt", truncation=False, padding="longest", return_attention_mask=True
        )
        (text,) = self._generate(given, return_timestamps=True)
        return text

    def _generate(self, given: Any, *, return_timestamps: bool) -> list[str]:
        """The likeliest token at each step; nothing is drawn at random."""
        inputs = {name: tensor.to(self._model.device) for name, tensor in given.items()}
        try:
            with torch.inference_mode():
                tokens = self._model.generate(**inputs, **self._asked, do_sample=False, num_beams=1, return_timestamps=return_timestamps)
        except RuntimeError as error:
            if out_of_memory(error):
                raise EncoderError(
                    f"memory does not hold {len(given['input_features'])} recordings at once; give a smaller --batch"
                ) from None
            raise EncoderError(f"{self.name}: cannot transcribe ({first_line(error)})") from error
        return [" ".join(str(text).split()) for text in self._tokenizer.batch_decode(tokens, skip_special_tokens=True)]


def _missing(folder: Path) -> str | None:
    """The part of a Whisper checkpoint that transcribing needs beyond encoding, and that is not there."""
    if not has_tokenizer(folder):
        return "its tokenizer"
    return None if (folder / SETTINGS).is_file() else SETTINGS


def _tokenizer(folder: Path) -> Any:
    """Whisper's own; EncoderError when it cannot be loaded."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder), **AS_IT_LIES)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise EncoderError(f"{folder}: its tokenizer cannot be loaded ({first_line(error)})") from error
