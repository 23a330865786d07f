"""Sentences spoken by espeak-ng, which says itself when each word was spoken."""

from functools import cache

import numpy as np
import pytest
import soxr

from emocache.demo import espeak
from emocache.types import SAMPLE_RATE

SENTENCE = "I was in the kitchen, and then he called."


@cache
def said(text: str = SENTENCE, voice: str = "en-us+f1") -> tuple[np.ndarray, tuple[espeak.Timed, ...]]:
    """float32 [samples] at 16 kHz, and the words."""
    pytest.importorskip("espeakng_loader", reason="the voice is the extra emocache[demo]")
    spoken = espeak.speak(text, voice, espeak.Prosody())
    wave = soxr.resample(spoken.samples.astype(np.float32) / 32768, espeak.SPOKEN_RATE, SAMPLE_RATE, quality="HQ")
    return wave.astype(np.float32), spoken.words
