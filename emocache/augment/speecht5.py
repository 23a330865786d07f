"""SpeechT5 with HiFi-GAN, in the voice that x-vectors of SpeechBrain describe.

A voice is the mean of the x-vectors, each of length 1, of what a speaker says in an emotion. SpeechT5 keeps the dropout of its
decoder's prenet when it speaks, so each view is spoken by a seed of its own, and one by one.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emocache import audio
from emocache.augment.base import Voice, Waveform
from emocache.encoders import Source, find
from emocache.encoders import load as load_encoder
from emocache.encoders.base import AS_IT_LIES, Encoder, from_pretrained, weights_digest
from emocache.encoders.snapshot import CONFIG, WITHOUT_PREPARATION
from emocache.encoders.torchaudio_shim import make_torchaudio_importable
from emocache.errors import AudioError, AugmentationError, EncoderError
from emocache.files import first_line
from emocache.types import Utterance

MODEL, VOCODER, XVECTORS = "microsoft/speecht5_tts", "microsoft/speecht5_hifigan", "xvector"
"""What is loaded where nothing else is named."""
UNUSED = ("encode_positions.pe",)
"""Sines, which are computed."""


class SpeechT5Synthesiser:
    """Text to mel bands (SpeechT5), to samples (HiFi-GAN); a speaker encoder for the voices."""

    name = "SpeechT5"
    listens = True

    def __init__(self, model: str, vocoder: str, speakers: str, device: torch.device) -> None:
        sources = [find(one) for one in (model, vocoder, speakers)]
        make_torchaudio_importable()
        from transformers import SpeechT5ForTextToSpeech, SpeechT5HifiGan

        folders = _folder(sources[0], ("speecht5",)), _folder(sources[1], WITHOUT_PREPARATION)
        self._tokenizer = _tokenizer(folders[0])
        self._model = from_pretrained(SpeechT5ForTextToSpeech, str(folders[0]), f"{model} as SpeechT5", UNUSED).to(device)
        self._vocoder = from_pretrained(SpeechT5HifiGan, str(folders[1]), f"{vocoder} as HiFi-GAN", ()).to(device)
        self._speakers: Encoder = load_encoder(sources[2], device)
        self._check(model, vocoder, speakers)
        self._voices: dict[tuple[str, str], Tensor] = {}
        self._device, self._longest = device, int(self._model.config.max_text_positions)
        self.languages = ("en",) if model == MODEL else ()
        self.voices: dict[str, str] = {}
        digests = [weights_digest(self._model, UNUSED), weights_digest(self._vocoder, ()), self._speakers.weights]
        told = [f"{one.origin} at {one.revision[:12]} (sha256 {digest[:16]})" for one, digest in zip(sources, digests, strict=True)]
        self.about = f"SpeechT5 {told[0]}, HiFi-GAN {told[1]}, voices by {told[2]}"

    def _check(self, model: str, vocoder: str, speakers: str) -> None:
        """EncoderError for parts that do not fit each other."""
        width, bands = self._model.config.speaker_embedding_dim, self._model.config.num_mel_bins
        if self._speakers.native != "utterance" or self._speakers.dim != width:
            got = f"gives {self._speakers.native} of {self._speakers.dim}"
            raise EncoderError(f"{speakers}: {got}, and {model} takes one embedding of {width} an utterance; use {XVECTORS}")
        if self._vocoder.config.model_in_dim != bands:
            raise EncoderError(f"{vocoder}: takes {self._vocoder.config.model_in_dim} mel bands, and {model} gives {bands}; use {VOCODER}")

    def speak(self, text: str, voice: Voice, language: str, seed: int) -> Waveform:
        """Dropout by `seed`, on this kind of device; `language` decides nothing."""
        numbers = self._tokenizer(text, return_tensors="pt").input_ids.to(self._device)
        if numbers.shape[1] > self._longest:
            raise AugmentationError(f"its text has {numbers.shape[1]} characters, and SpeechT5 takes {self._longest}")
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices), torch.inference_mode():
            torch.manual_seed(seed)
            made = self._model.generate_speech(numbers, self._embedding(voice)[None], vocoder=self._vocoder)
        samples: Waveform = made.float().cpu().numpy().reshape(-1)
        return audio.resample(samples, self._vocoder.config.sampling_rate)

    def _embedding(self, voice: Voice) -> Tensor:
        """float32 [dim]; learnt once a voice."""
        key = (voice.speaker, voice.emotion)
        if key not in self._voices:
            told = [u for u in voice.utterances if self._speakers.rows(u)]
            if not told:
                raise AugmentationError(f"all that {voice.speaker} says in {voice.emotion!r} is too short to tell the voice")
            self._voices[key] = torch.stack([self._heard(_wave(u, voice.root)) for u in told]).mean(0)
        return self._voices[key]

    def _heard(self, wave: Waveform) -> Tensor:
        """The x-vector of one utterance, of length 1."""
        [rows] = self._speakers.encode([wave], (0,))
        return torch.nn.functional.normalize(rows[0, 0], dim=0)


def _wave(utterance: Utterance, root: Path) -> Waveform:
    """The audio of an utterance that was readable a moment ago."""
    try:
        return np.ascontiguousarray(audio.load_utterance(utterance, root))
    except AudioError as error:
        raise AugmentationError(f"the voice cannot be heard: {error}") from None


def _folder(source: Source, kinds: Sequence[str]) -> Path:
    """The folder of a model of one of these types. (As it was published, the vocoder is of one that transformers does not know.)"""
    try:
        kind = json.loads((source.folder / CONFIG).read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        kind = None
    if kind not in kinds:
        raise EncoderError(f"{source.asked}: is of type {kind!r}, expected {' or '.join(map(repr, kinds))}")
    return source.folder


def _tokenizer(folder: Path) -> Any:
    """The characters of a SpeechT5 model."""
    from transformers import SpeechT5Tokenizer

    if not (folder / "spm_char.model").is_file():
        raise EncoderError(f"{folder}: spm_char.model is missing; download the whole model again")
    try:
        return SpeechT5Tokenizer.from_pretrained(str(folder), **AS_IT_LIES)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise EncoderError(f"{folder}: its vocabulary cannot be loaded ({first_line(error)})") from error
