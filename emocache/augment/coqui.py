"""YourTTS (Casanova et al. 2022), the paper's own synthesiser, through the package coqui-tts.

The package downloads its model by itself, at first use. The weights are under CC BY-NC-ND 4.0. What it generates is drawn at
random, so each view is spoken by a seed of its own.
"""

import contextlib
import io
import logging
import shutil
import weakref
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import soundfile
import torch

from emocache import audio
from emocache.augment.base import Voice, Waveform
from emocache.encoders.torchaudio_shim import make_torchaudio_importable
from emocache.errors import AudioError, AugmentationError, EncoderError, UsageError
from emocache.files import first_line
from emocache.types import SAMPLE_RATE

MODEL = "tts_models/multilingual/multi-dataset/your_tts"
INSTALL = 'pip install "emocache[coqui]"'
LANGUAGES = {"en": "en", "fr": "fr-fr", "pt": "pt-br"}
"""What YourTTS calls the languages that it speaks."""


class CoquiSynthesiser:
    """A voice is learnt from all that a speaker says in an emotion, once: the package keeps it in a folder of ours."""

    name = "YourTTS"
    languages = tuple(LANGUAGES)
    listens = True

    def __init__(self, tts: Any, device: torch.device) -> None:
        self._tts, self._device = tts, device
        self._known: dict[tuple[str, str], str] = {}
        self._folder = Path(mkdtemp(prefix="emocache-voices-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.voices: dict[str, str] = {}
        self.about = f"{MODEL} by coqui-tts {version('coqui-tts')}"

    def speak(self, text: str, voice: Voice, language: str, seed: int) -> Waveform:
        """Noise by `seed`, on this kind of device."""
        key = (voice.speaker, voice.emotion)
        wavs = None if key in self._known else self._wavs(voice)
        called = self._known.setdefault(key, f"voice{len(self._known)}")
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices), contextlib.redirect_stdout(io.StringIO()):  # it prints what it reads
            torch.manual_seed(seed)
            try:
                made = self._tts.tts(
                    text, speaker=called, speaker_wav=wavs, language=LANGUAGES.get(language, "en"), voice_dir=str(self._folder)
                )
            except (ValueError, RuntimeError, IndexError, KeyError) as error:
                if wavs is not None:
                    del self._known[key]
                raise AugmentationError(f"YourTTS does not speak it ({first_line(error)})") from None
        return audio.resample(np.asarray(made, np.float32).reshape(-1), int(self._tts.synthesizer.output_sample_rate))

    def _wavs(self, voice: Voice) -> list[str]:
        """What a speaker says in an emotion, each utterance in a file of its own."""
        folder = self._folder / f"of{len(self._known)}"
        folder.mkdir(exist_ok=True)
        paths = [folder / f"{number}.wav" for number in range(len(voice.utterances))]
        try:
            for utterance, path in zip(voice.utterances, paths, strict=True):
                soundfile.write(path, audio.load_utterance(utterance, voice.root), SAMPLE_RATE)
        except AudioError as error:
            raise AugmentationError(f"the voice cannot be heard: {error}") from None
        return [str(path) for path in paths]


def load(device: torch.device) -> CoquiSynthesiser:
    """YourTTS on a device; UsageError when the package is not installed, EncoderError when its model cannot be had."""
    make_torchaudio_importable()
    logging.getLogger("TTS").setLevel(logging.CRITICAL)  # what goes wrong is said once, by us
    try:
        from TTS.api import TTS
    except (ImportError, OSError) as error:
        absent = isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == "TTS"
        reason = "coqui-tts is not installed" if absent else f"coqui-tts cannot be imported ({first_line(error)})"
        raise UsageError(f"--speech coqui: {reason}; run: {INSTALL}") from None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            tts = TTS(MODEL, progress_bar=True).to(str(device))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = f"{MODEL}: cannot be had or loaded ({first_line(error)})"
        raise EncoderError(f"{reason}; run this once where there is a network, or use --speech tts") from None
    return CoquiSynthesiser(tts, device)
